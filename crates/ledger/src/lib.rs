//! The audit record, and how anyone verifies it.
//!
//! A log is a list of [`Record`]s. The bytes of a record are RFC 8785 (JCS) JSON
//! and are hashed exactly as stored. Each record carries the leaf hash of the one
//! before it (the chain) and is itself a leaf of an RFC 6962 tree, whose root a
//! [`checkpoint`] signs. Content (prompts, answers) is never in a record: it lies
//! beside the log in sealed [`Blob`]s, to which the record commits.
//!
//! This crate is pure: it reads no clock, no file, no environment and draws no
//! randomness. [`Clock`] and [`Entropy`] are arguments, and [`Journal`] is the one
//! seam behind which a database does the durable part.

pub mod anchor;
pub mod bundle;
mod canon;
pub mod checkpoint;
mod form;
mod glance;
mod head;
mod id;
mod journal;
pub mod proof;
pub mod receipt;
mod record;
#[cfg(test)]
mod sample;
mod scan;
pub mod seal;
mod time;
pub mod tree;
pub mod verify;
pub mod witness;

pub use head::{Appended, Head};
pub use id::{
    ApiKeyId, BatchId, ContentKeyId, ConversationId, DeploymentId, ExchangeId, FileId, LogId,
    MalformedId, TenantId,
};
pub use journal::{Entry, Journal, Receipt, SealedSurrogate, Unrecorded};
pub use record::{
    About, Actor, ActorKind, Change, ChangeKind, Cover, CoverKind, Disposal, Event, Intent,
    MAX_RECORD_BYTES, MalformedRecord, Outcome, RECORD_VERSION, Record, ReplyContent, Surrogates,
    Unit, Usage, is_canonical,
};
pub use seal::{Blob, BlobPart, ContentClass, WrappedUnit};
pub use time::{Clock, Day, Entropy, MalformedDay, Time};
pub use tree::Hash;
