//! Something of which there is only so much, shared by keys so that none can take it all.
//!
//! A key may take more while it then holds no more than stays free for the others (the dynamic threshold
//! of shared buffers, Choudhury and Hahne 1998): one key gets half of everything, two that want all get a
//! third each, and there is always something for whoever comes next.

use ledger::ApiKeyId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What a key may have whatever others hold, as a part of everything: as long as it is there.
const ALWAYS: usize = 16;

/// Everything there is.
#[derive(Debug)]
pub(super) struct Pool {
    all: usize,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    free: usize,
    held: BTreeMap<ApiKeyId, usize>,
    /// Who waits, in order of arrival. As many as there are connections, and nobody for longer than the
    /// patience that they came with.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    key: ApiKeyId,
    count: usize,
    tell: oneshot::Sender<Taken>,
}

/// What one request took. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    pool: Arc<Pool>,
    key: ApiKeyId,
    count: usize,
}

/// Whoever waited and waits no more, because it was served or because it gave up, stands in nobody's way.
struct Leaves<'a>(&'a Arc<Pool>);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

/// Whether somebody may take so much now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    /// It is not there.
    Later,
    /// It is there, for others.
    BeyondShare,
}

impl Pool {
    pub(super) fn of(all: usize) -> Arc<Self> {
        let lines = Lines { free: all, held: BTreeMap::new(), waiting: VecDeque::new() };
        Arc::new(Self { all, lines: Mutex::new(lines) })
    }

    /// Takes so much for a key, or waits for its turn; nothing when that does not come in time.
    pub(super) async fn take(
        self: &Arc<Self>,
        key: ApiKeyId,
        count: usize,
        patience: Duration,
    ) -> Option<Taken> {
        let told = {
            let mut lines = self.lock();
            // Whoever waits within its share goes first.
            let in_line =
                |it: &Waiting| !it.tell.is_closed() && self.turn(&lines, it) != Turn::BeyondShare;
            let line = lines.waiting.iter().any(in_line);
            let (tell, told) = oneshot::channel();
            let waiting = Waiting { key, count, tell };
            if !line && self.turn(&lines, &waiting) == Turn::Now {
                return Some(self.give(&mut lines, &waiting));
            }
            lines.waiting.push_back(waiting);
            told
        };
        let _leaves = Leaves(self);
        timeout(patience, told).await.ok().and_then(Result::ok)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, lines: &Lines, it: &Waiting) -> Turn {
        let held = lines.held.get(&it.key).copied().unwrap_or(0);
        let share = lines.free.saturating_sub(it.count).max(self.all / ALWAYS);
        if held.saturating_add(it.count) > share {
            Turn::BeyondShare
        } else if it.count > lines.free {
            Turn::Later
        } else {
            Turn::Now
        }
    }

    fn give(self: &Arc<Self>, lines: &mut Lines, to: &Waiting) -> Taken {
        lines.free = lines.free.saturating_sub(to.count);
        let held = lines.held.entry(to.key).or_default();
        *held = held.saturating_add(to.count);
        Taken { pool: Arc::clone(self), key: to.key, count: to.count }
    }

    /// Gives what is free to those who wait: in order, past those who are beyond their share, but past
    /// nobody who only waits for there to be enough.
    fn serve(self: &Arc<Self>) {
        // Who left meanwhile gives back, which takes the lock again, so that waits until it is open.
        let mut gone = Vec::new();
        let mut lines = self.lock();
        let mut beyond = VecDeque::new();
        while let Some(next) = lines.waiting.pop_front() {
            if next.tell.is_closed() {
                continue;
            }
            match self.turn(&lines, &next) {
                Turn::Now => {
                    let taken = self.give(&mut lines, &next);
                    gone.extend(next.tell.send(taken).err());
                }
                Turn::BeyondShare => beyond.push_back(next),
                Turn::Later => {
                    lines.waiting.push_front(next);
                    break;
                }
            }
        }
        beyond.append(&mut lines.waiting);
        lines.waiting = beyond;
        drop(lines);
        drop(gone);
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }
}

impl Taken {
    /// Both as one.
    pub(super) fn merge(&mut self, mut more: Self) {
        self.count = self.count.saturating_add(std::mem::take(&mut more.count));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.count == 0 {
            return;
        }
        let mut lines = self.pool.lock();
        lines.free = lines.free.saturating_add(self.count);
        if let Some(held) = lines.held.get_mut(&self.key) {
            *held = held.saturating_sub(self.count);
            if *held == 0 {
                lines.held.remove(&self.key);
            }
        }
        let waits = !lines.waiting.is_empty();
        drop(lines);
        if waits {
            self.pool.serve();
        }
    }
}
