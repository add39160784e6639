//! Tasks that outlive the connection that began them, and that shutdown waits for.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Runs exchanges to their recorded end, whatever becomes of their callers.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    running: AtomicUsize,
    ended: Notify,
}

/// Counts one task while it lives, also when it panics.
struct Running(Arc<Counter>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

impl Tasks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(Arc::clone(&self.0));
        // In a place of its own: the runtime moves what it is given several times, and this may be long.
        let task = Box::pin(task);
        #[expect(clippy::disallowed_methods, reason = "this is the one place that counts tasks")]
        let handle = tokio::spawn(async move {
            let _running = running;
            task.await;
        });
        // The count is what shutdown waits for; the handle is not needed.
        drop(handle);
    }

    /// Waits until no task runs.
    pub async fn drained(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.0.running.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}
