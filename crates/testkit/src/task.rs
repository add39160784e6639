//! The one place where testkit starts a task.

use std::future::Future;
use tokio::task::JoinHandle;

/// Starts a task that its owner aborts on drop.
#[expect(
    clippy::disallowed_methods,
    reason = "development only: the owner of the handle aborts the task, no product shutdown waits for it"
)]
pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(work)
}
