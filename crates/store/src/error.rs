//! What can go wrong, and how far the damage of a failed statement reaches.

use ledger::{LogId, TenantId, Unrecorded};
use rusqlite::{ErrorCode, ffi};
use std::fmt;

/// Why the store refuses or fails. No variant holds anything that a caller wrote.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("database failed while {during}: {}", ffi::code_to_str(*code))]
    Database {
        /// What was being done.
        during: &'static str,
        /// SQLite's extended result code.
        code: i32,
    },
    /// A file of the data directory could not be read or written.
    #[error("cannot {doing}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// `create` found a database.
    #[error("this folder holds a database already")]
    Exists,
    /// `open` found none, or one whose creation was cut short.
    #[error("this folder holds no complete Bulla database")]
    Absent,
    /// The database was written by a later version of the program.
    #[error("the database has schema {found}, this program knows schemas up to {known}")]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The latest that this program knows.
        known: i64,
    },
    /// The database was written by a program that was never released.
    #[error("the database has schema {found}, of a program that was never released")]
    UnreleasedSchema {
        /// The schema of the database.
        found: i64,
    },
    /// The key store is missing, or is another deployment's.
    #[error("the data directory has no key store, or that of another deployment")]
    KeysMissing,
    /// The database does not contain the last checkpoint that was published from it: an older copy
    /// was put in its place, or records are gone.
    #[error(
        "the database of log {log} was rolled back: a checkpoint of {checkpoint} records was \
         published, and the database, with {database} records, does not contain it"
    )]
    RolledBack {
        /// The log.
        log: LogId,
        /// Records under the checkpoint in the file beside the database.
        checkpoint: u64,
        /// Records in the database.
        database: u64,
    },
    /// Checkpoints were published, and the file beside the database does not hold the last one.
    #[error("the checkpoint file lacks log {log}, of which checkpoints were published")]
    CheckpointMissing {
        /// The log.
        log: LogId,
    },
    /// The database does not contain the last anchor that was signed from it.
    #[error(
        "the deployment's log was rolled back: an anchor of {anchor} checkpoints was signed, and the \
         database does not contain it"
    )]
    AnchorRolledBack {
        /// Leaves under the anchor in the file beside the database.
        anchor: u64,
    },
    /// Anchors were signed, and the file beside the database is gone.
    #[error("the anchor file is missing, and anchors were signed")]
    AnchorMissing,
    /// The checkpoint file is not a list of signed notes.
    #[error("the checkpoint file is malformed")]
    CheckpointMalformed,
    /// The signer is another log's.
    #[error("the signer belongs to another log")]
    OtherLog,
    /// Another process serves from this data directory.
    #[error("another process serves from this data directory")]
    AlreadyServing,
    /// There is no such tenant.
    #[error("no tenant {0}")]
    UnknownTenant(TenantId),
    /// A stored value does not have its form.
    #[error("a stored value of `{table}` is malformed")]
    Malformed {
        /// The table.
        table: &'static str,
    },
    /// More rows than may be held in memory at once.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Rows of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The change contradicts what is stored: a name taken, a version skipped, a key unknown.
    #[error("the change contradicts what is stored")]
    Conflict,
    /// The change could not be made durable.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// A thread of the store ended in a panic.
    #[error("a thread of the store ended unexpectedly")]
    ThreadGone,
}

impl Error {
    /// A wrapper for `map_err` around calls of the file system.
    pub(crate) fn file<E: Into<std::io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::File { doing, source: source.into() }
    }

    /// A wrapper for `map_err` around calls of the database.
    pub(crate) fn database(during: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |error| Self::Database { during, code: code_of(&error) }
    }
}

/// Why the writer stopped for ever. It says what was being done and SQLite's code, no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReason {
    /// What was being done.
    pub during: &'static str,
    /// SQLite's extended result code; 0 when the database itself reported nothing.
    pub code: i32,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log stopped while {}", self.during)?;
        if self.code == 0 {
            return Ok(());
        }
        write!(f, ": {} (SQLite {})", ffi::code_to_str(self.code), self.code)
    }
}

impl std::error::Error for StopReason {}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room on the disk: this batch fails, a later one may succeed.
    Full,
    /// Another process kept the write lock beyond [`crate::connection::BUSY_TIMEOUT`]: as [`Fault::Full`].
    Busy,
    /// One job contradicts what is stored; the others of its batch are innocent.
    Conflict,
    /// One job is larger than the database takes.
    TooLarge,
    /// Nothing can be trusted without a restart.
    Stop(StopReason),
}

impl Fault {
    /// A wrapper for `map_err` around statements of a batch.
    pub(crate) fn during(during: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |error| Self::of(&error, during)
    }

    /// A stop that the database itself did not report.
    pub(crate) const fn stop(during: &'static str) -> Self {
        Self::Stop(StopReason { during, code: 0 })
    }

    fn of(error: &rusqlite::Error, during: &'static str) -> Self {
        let code = code_of(error);
        // A full disk shows as SHMSIZE when the wal-index, which is rebuilt at every start and holds
        // nothing durable, cannot grow.
        if code == ffi::SQLITE_IOERR_SHMSIZE {
            return Self::Full;
        }
        if matches!(error, rusqlite::Error::ToSqlConversionFailure(_)) {
            return Self::Conflict;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ConstraintViolation) => Self::Conflict,
            Some(ErrorCode::TooBig) => Self::TooLarge,
            // Fail closed: whatever is not known to be harmless stops the log.
            _ => Self::Stop(StopReason { during, code }),
        }
    }
}

fn code_of(error: &rusqlite::Error) -> i32 {
    match error.sqlite_error() {
        Some(error) => error.extended_code,
        None => 0,
    }
}
