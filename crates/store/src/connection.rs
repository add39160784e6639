//! How connections are opened, and the pool of those that only read.

use crate::error::Error;
use crate::folder::Folder;
use crate::sql;
use crate::sql::{FIRST_SCHEMA, MIGRATIONS, dialect};
use ledger::DeploymentId;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a connection waits for the write lock of another process. A command such as
/// `bulla apply` holds it for one commit; ten seconds is far beyond the slowest disk's fsync.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements kept compiled per connection: more than the crate has texts.
const STATEMENTS: usize = 128;
/// Page cache of the writer, in KiB: index pages of the hot tables, well inside the 64 MB budget.
const WRITER_CACHE_KIB: i64 = 8192;
/// Page cache of a reader, in KiB.
const READER_CACHE_KIB: i64 = 2048;
/// The write-ahead log's file is cut back to this size when it starts over. Above the size at which
/// it is copied back, so that in ordinary traffic it is overwritten in place, which costs no
/// file-system metadata per commit.
const WAL_LIMIT_BYTES: i64 = 64 << 20;
/// Connections that only read: reads are short, and two cores are served by four.
const READERS: usize = 4;

/// Opens the connection that writes.
pub(crate) fn open_writer(folder: &Folder) -> Result<Connection, Error> {
    let during = "opening the database";
    let failed = Error::database(during);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.database(), flags).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(&failed)?;
    if mode != "wal" {
        return Err(Error::Database { during: "switching to write-ahead logging", code: 0 });
    }
    // FULL: the log is synchronised at every commit, so that a receipt survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL").map_err(&failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(&failed)?;
    // SQLite swallows the error of an automatic checkpoint, and a failed fsync must stop the log, so
    // the writer checkpoints by itself.
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", 0, |row| row.get::<_, i64>(0))
        .map_err(&failed)?;
    connection
        .pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT_BYTES, |row| {
            row.get::<_, i64>(0)
        })
        .map_err(&failed)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(&failed)?;
    // Deleted surrogates and destroyed keys are overwritten, not only unlinked.
    connection
        .pragma_update_and_check(None, "secure_delete", true, |row| row.get::<_, i64>(0))
        .map_err(&failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(&failed)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(&failed)?;
    Ok(connection)
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(folder: &Folder) -> Result<Connection, Error> {
    let failed = Error::database("opening the database for reading");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.database(), flags).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(&failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(&failed)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(&failed)?;
    Ok(connection)
}

/// Writes the schema and the deployment's name into an empty database, all or nothing.
pub(crate) fn found(connection: &Connection, deployment: DeploymentId) -> Result<(), Error> {
    let failed = Error::database("creating the database");
    let transaction = connection.unchecked_transaction().map_err(&failed)?;
    for step in MIGRATIONS {
        transaction.execute_batch(step).map_err(&failed)?;
    }
    transaction
        .execute(sql::ADD_META, params![known_schema(), deployment.as_bytes()])
        .map_err(&failed)?;
    transaction.execute(sql::ADD_PROBE, params![&[0_u8][..]]).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

/// Reads the deployment's name, after bringing an older schema up to date.
pub(crate) fn migrate(connection: &Connection) -> Result<DeploymentId, Error> {
    let failed = Error::database("reading the schema");
    let read = || {
        let meta = connection.query_row(sql::META, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?))
        });
        match meta.optional() {
            Ok(meta) => meta.ok_or(Error::Absent),
            // "no such table": the file is an empty database, left by an interrupted `create`.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                Err(Error::Absent)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                Err(Error::Absent)
            }
            Err(error) => Err(failed(error)),
        }
    };
    let (version, deployment) = read()?;
    if version < FIRST_SCHEMA {
        return Err(Error::UnreleasedSchema { found: version });
    }
    if version > known_schema() {
        return Err(Error::NewerSchema { found: version, known: known_schema() });
    }
    if version < known_schema() {
        let failed = Error::database("bringing the schema up to date");
        connection.execute_batch(dialect::BEGIN).map_err(&failed)?;
        // Under the lock, because another process may have migrated in the meantime. An error rolls
        // back when the connection closes.
        let (version, _) = read()?;
        let done = usize::try_from(version - FIRST_SCHEMA + 1)
            .map_err(|_| Error::Malformed { table: "meta" })?;
        for step in MIGRATIONS.iter().skip(done) {
            connection.execute_batch(step).map_err(&failed)?;
        }
        connection.execute(sql::SET_SCHEMA_VERSION, params![known_schema()]).map_err(&failed)?;
        connection.execute_batch(sql::COMMIT).map_err(&failed)?;
    }
    Ok(DeploymentId::from_bytes(deployment))
}

fn known_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).map_or(i64::MAX, |steps| FIRST_SCHEMA - 1 + steps)
}

/// A small pool of connections that only read.
#[derive(Debug)]
pub(crate) struct Readers {
    folder: Folder,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(folder: Folder) -> Self {
        Self { folder, idle: Mutex::new(Vec::new()), permits: Semaphore::new(READERS) }
    }

    /// Runs `read` on a thread that may block.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let _permit = self.permits.acquire().await.map_err(|_| Error::ThreadGone)?;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&readers.folder)?,
            };
            let answer = read(&connection);
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        })
        .await
        .map_err(|_| Error::ThreadGone)?
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
