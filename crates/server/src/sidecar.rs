//! Starts and watches `bulla-model`, so that native inference code shares no process with keys.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long to wait before the model is started again; doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long the model may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the local model is called in configurations.
const MODEL_NAME: &str = "local";

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct LocalModel {
    pub(crate) program: PathBuf,
    pub(crate) weights: PathBuf,
    pub(crate) port: u16,
}

/// A running and watched model.
#[derive(Debug)]
pub(crate) struct Sidecar {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Sidecar {
    /// Starts the model, and again whenever it ends by itself.
    pub(crate) fn start(model: LocalModel, tasks: &service::Tasks) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        tasks.spawn(async move {
            watch_over(&model, stopped).await;
            drop(end);
        });
        Self { stop, ended }
    }

    /// Ends the model and waits for it.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        // The sender is dropped when the watching ended, which is the news.
        let _ended = self.ended.await.is_err();
    }
}

async fn watch_over(model: &LocalModel, mut stopped: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match launch(model) {
            Ok(mut child) => {
                // Waiting for a child closes its standard input, unless it is kept apart.
                let stdin = child.stdin.take();
                tracing::info!(port = model.port, "the local model was started");
                tokio::select! {
                    ended = child.wait() => {
                        let code = ended.ok().and_then(|status| status.code());
                        tracing::error!(code, "the local model ended by itself");
                    }
                    () = asked_to_stop(&mut stopped) => return end(child).await,
                }
                drop(stdin);
            }
            Err(error) => tracing::error!(%error, "the local model cannot be started"),
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = asked_to_stop(&mut stopped) => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    // A closed channel means that the server is gone, which is a reason to stop as well.
    let _closed = stopped.wait_for(|stopped| *stopped).await.is_err();
}

fn launch(model: &LocalModel) -> std::io::Result<Child> {
    Command::new(&model.program)
        .arg("--model")
        .arg(&model.weights)
        .arg("--listen")
        .arg(format!("127.0.0.1:{}", model.port))
        .arg("--name")
        .arg(MODEL_NAME)
        // The model ends when this process does, whatever ends it, because its standard input then
        // closes.
        .arg("--exit-with-stdin")
        // The model needs nothing of this process's environment, which may hold credentials.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn end(mut child: Child) {
    if let Some(pid) =
        child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw)
    {
        // A model that is gone already needs no signal.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err();
    }
    if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
        let _gone = child.kill().await.is_err();
    }
}
