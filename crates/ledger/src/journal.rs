//! The seam behind which records become durable.

use crate::{Blob, ContentKeyId, ConversationId, Event, Hash, LogId, Time, WrappedUnit};
use std::fmt;
use std::future::Future;

/// One record to append, with what must become durable in the same instant.
///
/// The journal adds the log's name, the position and the previous leaf hash, so that no caller can
/// choose them.
#[derive(Debug)]
pub struct Entry {
    /// When it happened, by the caller's clock.
    pub time: Time,
    /// What happened.
    pub event: Event,
    /// Sealed content that the event commits to.
    pub blobs: Vec<Blob>,
    /// The keys of a unit that begins, which the blobs need.
    pub unit: Option<WrappedUnit>,
    /// Surrogates minted in this step, sealed, kept for later turns of their conversation.
    pub surrogates: Vec<SealedSurrogate>,
}

impl Entry {
    /// An entry with nothing beside the record.
    #[must_use]
    pub const fn bare(time: Time, event: Event) -> Self {
        Self { time, event, blobs: Vec::new(), unit: None, surrogates: Vec::new() }
    }
}

/// One surrogate and its value, sealed under the conversation's key.
#[derive(Clone, Debug)]
pub struct SealedSurrogate {
    /// The conversation in which the surrogate stands for the value.
    pub conversation: ConversationId,
    /// The unit under whose key it is sealed.
    pub unit: ContentKeyId,
    /// Surrogate, class and value, sealed.
    pub sealed: Vec<u8>,
    /// From this moment on the mapping is gone: it is neither read nor kept.
    pub expires: Time,
}

/// Where a durable record is found: its log, its position, its leaf hash.
///
/// Written `bulla/<deployment>/<tenant>#<position>@<leaf hash>`. Only a journal makes one, after the
/// record is durable; whoever holds one can later demand that record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The log.
    pub log: LogId,
    /// The position in the log, from 0.
    pub seq: u64,
    /// The leaf hash of the record's bytes.
    pub leaf: Hash,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.log, self.seq, self.leaf)
    }
}

/// The record is not durable, so what it speaks of must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// The disk has no room. Room may come back.
    #[error("the disk has no room for the record")]
    Full,
    /// The record exceeds what one entry may hold.
    #[error("the record is larger than one entry may be")]
    TooLarge,
    /// The entry contradicts what is stored: a name taken, a version skipped, an intent ended
    /// before. Other entries are not affected.
    #[error("the entry contradicts what is stored")]
    Conflict,
    /// Another process kept the log to itself for too long. It may come free.
    #[error("another process keeps the log to itself")]
    Busy,
    /// Writing failed in a way after which nothing on the disk can be trusted without a restart.
    #[error("the log stopped after a failed write")]
    Stopped,
}

/// Makes records durable, in order, each exactly once.
///
/// The futures resolve only when the bytes would survive a power cut. They are never resolved
/// with a receipt before that.
pub trait Journal: Send + Sync {
    /// Appends a record, with its blobs and keys, in one atomic durable step.
    ///
    /// # Errors
    /// [`Unrecorded`]: nothing of the entry is kept.
    fn append(&self, entry: Entry) -> impl Future<Output = Result<Receipt, Unrecorded>> + Send;

    /// Makes one sealed window of a running answer durable. A later record commits to it.
    ///
    /// # Errors
    /// [`Unrecorded`]: the window is not kept and must not be shown.
    fn keep(&self, window: Blob) -> impl Future<Output = Result<(), Unrecorded>> + Send;
}

impl<J: Journal> Journal for &J {
    fn append(&self, entry: Entry) -> impl Future<Output = Result<Receipt, Unrecorded>> + Send {
        (**self).append(entry)
    }
    fn keep(&self, window: Blob) -> impl Future<Output = Result<(), Unrecorded>> + Send {
        (**self).keep(window)
    }
}
