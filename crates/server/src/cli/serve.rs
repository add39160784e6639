//! `bulla serve`.

use super::{Data, Environment, Failure, operator, say};
use crate::api;
use crate::listen::{Listener, Tls};
use crate::sidecar::{LocalModel, Sidecar};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    data: Data,
    /// The address to listen on; anything but this machine itself needs TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Run `bulla-model` over this GGUF file, and watch it
    #[arg(long, value_name = "FILE")]
    local_model: Option<PathBuf>,
    /// The port of the local model, on this machine
    #[arg(long, value_name = "PORT", default_value_t = 8089)]
    local_model_port: u16,
    /// The `bulla-model` program, when it is not beside this one
    #[arg(long, value_name = "FILE")]
    local_model_bin: Option<PathBuf>,
    /// Write the log lines as JSON
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        start_log(environment, self.log_json);
        let house = self.data.open(environment).await?;
        let lock = house.lock_for_serving().map_err(|error| Failure::of_house(&error))?;
        let tls = self
            .tls_cert
            .clone()
            .zip(self.tls_key.clone())
            .map(|(certificate, key)| Tls { certificate, key });
        let listener = Listener::bind(self.listen, tls.as_ref())
            .await
            .map_err(|error| Failure::usage(&error))?;
        let actor = operator(environment);
        let interrupted = house.sweep().await.map_err(|error| Failure::of_house(&error))?;
        if interrupted > 0 {
            tracing::warn!(
                interrupted,
                "exchanges had no recorded end; they are recorded as interrupted"
            );
        }
        house.finish_disposals().await.map_err(|error| Failure::of_house(&error))?;
        house.finish_pruning().await.map_err(|error| Failure::of_house(&error))?;
        house.started(actor.clone()).await.map_err(|error| Failure::of_house(&error))?;
        house.self_test_at_start().await;
        let sidecar = self.local_model()?.map(|model| Sidecar::start(model, house.tasks()));

        let (stop, stopped) = watch::channel(false);
        let upkeep = Arc::clone(&house).keep_up(changed(stopped.clone()));
        let (kept_up, keeping) = tokio::sync::oneshot::channel::<()>();
        house.tasks().spawn(async move {
            upkeep.await;
            drop(kept_up);
        });
        let mut termination = Termination::listen()?;
        let scheme = if listener.is_secure() { "https" } else { "http" };
        if let Some(address) = listener.address() {
            say(format_args!(
                "bulla {} serves {scheme}://{address}/v1",
                env!("CARGO_PKG_VERSION")
            ))?;
        }
        let router = api::router(&house);
        let tasks = house.tasks().clone();
        let serving = listener.serve(router, &tasks, changed(stopped));
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            signal = termination.wait() => {
                tracing::info!(signal, "stopping");
                stop.send_replace(true);
                serving.await;
            }
        }
        if let Some(sidecar) = sidecar {
            sidecar.stop().await;
        }
        // Upkeep ends at the same word; its last checkpoint is ours.
        let _ended = keeping.await.is_err();
        house.stopped(actor).await.map_err(|error| Failure::of_house(&error))?;
        drop(lock);
        Ok(ExitCode::SUCCESS)
    }

    fn local_model(&self) -> Result<Option<LocalModel>, Failure> {
        let Some(weights) = self.local_model.clone() else { return Ok(None) };
        let program = match self.local_model_bin.clone() {
            Some(program) => program,
            None => std::env::current_exe()?.with_file_name("bulla-model"),
        };
        if !program.exists() {
            return Err(Failure {
                code: 2,
                message: format!(
                    "there is no {}; build it with `cargo build --release -p bulla-model`",
                    program.display()
                ),
            });
        }
        Ok(Some(LocalModel { program, weights, port: self.local_model_port }))
    }
}

/// Writes what happens to standard error, as `BULLA_LOG` filters it.
pub(super) fn start_log(environment: &Environment, json: bool) {
    let directives = environment.get("BULLA_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = environment.get("NO_COLOR").is_none()
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let set = if json { lines.json().try_init() } else { lines.with_ansi(ansi).try_init() };
    // Only a second subscriber in one process fails here, and the first one goes on.
    drop(set);
}

async fn changed(mut stopped: watch::Receiver<bool>) {
    // A closed channel means that the server is gone, which is a reason to stop as well.
    let _closed = stopped.wait_for(|stopped| *stopped).await.is_err();
}

/// Signals that ask to stop. They are caught from the moment on at which this is made, so it is made
/// before anybody is told that the program runs.
pub(super) struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    pub(super) fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one; says which.
    pub(super) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
