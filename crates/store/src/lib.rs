//! Keeps everything durable: records, sealed content, wrapped keys, governed configuration.
//!
//! One [`Store`] stands for one data directory. One thread writes, in transactions that many callers
//! share ([`Store::commits`] counts them); a few connections read. A [`Tenant`] is the handle on one
//! organisation and is its [`ledger::Journal`].
//!
//! - **Invariant:** an append is answered with a receipt only after its transaction was synchronised
//!   to the disk, and the record, its blobs, keys, surrogates and effects are in one transaction.
//! - **Invariant:** the head of a log is read under the database's write lock, so two processes never
//!   fork a chain.
//! - **Invariant:** after a write that failed for any reason but a full disk nothing is written until
//!   a restart ([`Store::health`]).
//! - **Invariant:** a database that does not contain the last published checkpoint does not open.
//!
//! - **Invariant:** the keys on which everything sealed depends lie in a database of their own
//!   ([`KeyStore`]), so that old copies of the large one cannot be read without the present small one.
//!
//! Nothing here can read content: blobs, keys and surrogates arrive sealed.

mod batches;
mod checkpoints;
mod connection;
mod deployment;
mod error;
mod figures;
mod folder;
mod keys;
mod number;
mod pruning;
mod rows;
mod search;
mod sql;
mod statements;
mod store;
mod tenant;
mod writer;

pub use batches::{BatchRow, Change, FileKind, FileRow, LineCounts, LineRow, LineState};
pub use deployment::{AnchorRow, Deployment, LeafRow, StampRow};
pub use error::{Error, StopReason};
pub use figures::{Distribution, Histogram, WriterFigures};
pub use folder::ServeLock;
pub use keys::{Destruction, KeyStore};
pub use pruning::Pruned;
pub use rows::{
    ApiKeyRow, CheckpointRow, ConfigurationRow, ConfigurationVersion, DocumentRow, Effect,
    Forgotten, HoldRow, KeyRole, LogPosition, MovedUnit, NewDocument, OpenDisposal, OpenIntent,
    ShelfRow, SpentRow, TenantKeyRow, TenantRow,
};
pub use search::{Candidates, Sought, Term};
pub use store::Store;
pub use tenant::{RECORDS_PER_READ, Tenant};
