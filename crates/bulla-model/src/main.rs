//! The optional local-model sidecar: an OpenAI-compatible server on loopback
//! over one GGUF file.
//!
//! It is a process of its own so that native inference code never shares an
//! address space with keys or with the audit log (DESIGN D10). It listens on
//! loopback only, keeps nothing between two requests, and never writes a
//! prompt or an answer anywhere but into the reply.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::engine::{EngineError, Settings};
use crate::http::App;

mod engine;
mod http;
mod text;
mod wire;

/// How many requests wait behind the one that runs. On two cores a request
/// takes seconds, so a longer queue would only outlive its callers' timeouts.
const QUEUE_LIMIT: usize = 8;

/// Exit code: the command line or the configuration is wrong.
const EXIT_USAGE: u8 = 2;
/// Exit code: the model or the listener cannot run.
const EXIT_CANNOT_RUN: u8 = 3;

/// Serves one GGUF model on loopback in the dialect of OpenAI's chat completions.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The model file.
    #[arg(long, value_name = "FILE.gguf")]
    model: PathBuf,
    /// The loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The model name that callers use; the file's name without its ending by default.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Threads for inference; the machine's cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: Option<u16>,
    /// Tokens of context: prompt and answer together.
    #[arg(long, value_name = "TOKENS", default_value_t = 2048,
          value_parser = clap::value_parser!(u32).range(64..=131_072))]
    context: u32,
    /// End when standard input closes, so that the model never outlives the
    /// process that started it.
    #[arg(long)]
    exit_with_stdin: bool,
    /// Let llama.cpp write its own log lines to standard error.
    #[arg(long)]
    verbose: bool,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0} is not a loopback address, and this server has no authentication of its own")]
    NotLoopback(SocketAddr),
    #[error("no such model file: {}", .0.display())]
    NoModel(PathBuf),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the inference thread ended unexpectedly")]
    EngineGone,
}

impl StartError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotLoopback(_) | Self::NoModel(_) => EXIT_USAGE,
            Self::Listen { .. } | Self::Io(_) | Self::Engine(_) | Self::EngineGone => {
                EXIT_CANNOT_RUN
            }
        })
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulla-model: {error}");
            error.exit_code()
        }
    }
}

fn run(args: Args) -> Result<(), StartError> {
    if !args.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(args.listen));
    }
    if !args.model.is_file() {
        return Err(StartError::NoModel(args.model));
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), StartError> {
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|source| StartError::Listen { address: args.listen, source })?;
    let address = listener.local_addr()?;
    let name = args.name.unwrap_or_else(|| {
        args.model.file_stem().map_or_else(|| "local".into(), |stem| stem.to_string_lossy().into())
    });
    eprintln!("bulla-model: loading {}", args.model.display());

    let (jobs, queue) = sync_channel(QUEUE_LIMIT);
    let ready = Arc::new(OnceLock::new());
    let (ended_tx, ended) = oneshot::channel();
    let settings = Settings {
        model: args.model,
        context: args.context,
        threads: args.threads.map_or_else(cores, i32::from),
        verbose: args.verbose,
    };
    let loaded = Arc::clone(&ready);
    std::thread::Builder::new().name("inference".into()).spawn(move || {
        let outcome = engine::run(&settings, &queue, |card| {
            eprintln!(
                "bulla-model: ready on http://{address}/v1 ({} parameters, context {})",
                card.parameters, card.context
            );
            loaded.get_or_init(|| card);
        });
        // The receiver is gone only when the process already ends.
        drop(ended_tx.send(outcome));
    })?;

    let app = App::new(name, jobs, ready, unix_seconds());
    tokio::select! {
        served = http::serve(listener, app) => Ok(served?),
        outcome = ended => outcome.unwrap_or(Err(EngineError::Gone)).map_err(StartError::from)
            .and(Err(StartError::EngineGone)),
        () = stop_signal() => Ok(()),
        () = stdin_closed(), if args.exit_with_stdin => Ok(()),
    }
}

fn cores() -> i32 {
    std::thread::available_parallelism().ok().and_then(|n| i32::try_from(n.get()).ok()).unwrap_or(1)
}

/// Seconds since 1970, for the `created` fields of the dialect.
#[expect(clippy::disallowed_methods, reason = "the one place where this binary reads the clock")]
fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Resolves on SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals keep their default effect, which is to end the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Resolves when nobody holds the other end of standard input any more.
async fn stdin_closed() {
    let (closed, wait) = oneshot::channel::<()>();
    let watch = move || {
        // What arrives means nothing here; only the end does, and an error is one.
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        drop(closed);
    };
    if std::thread::Builder::new().name("stdin".into()).spawn(watch).is_err() {
        // Fail closed: a model that cannot see its parent end must not stay.
        return;
    }
    drop(wait.await);
}
