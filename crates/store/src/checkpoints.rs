//! The last signed checkpoint, kept outside the database too, so that an older copy of the database
//! is noticed.
//!
//! Publishing writes the note durably beside the checkpoint file, then into the table, then puts the
//! file in its place. A crash in between leaves the file at most one checkpoint behind the table,
//! which the next opening repairs; the file is never ahead of the table unless the database is an
//! older one.

use crate::error::Error;
use crate::folder::{Folder, PublishedNote, parse_note, replace_note};
use crate::number::Number;
use crate::rows::CheckpointRow;
use crate::sql;
use ledger::{DeploymentId, Hash, Head, LogId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Compares the checkpoint file with the database.
pub(crate) fn verify(
    folder: &Folder,
    connection: &Connection,
    deployment: DeploymentId,
) -> Result<(), Error> {
    let _lock = folder.lock_checkpoint()?;
    let mut notes = folder.read_checkpoints()?;
    let mut behind = false;
    for log in logs(connection, deployment, &notes)? {
        let published = notes.iter().find(|note| note.log == log);
        if let Some(last) = verify_log(connection, log, published)? {
            notes = replace_note(notes, last);
            behind = true;
        }
    }
    if behind {
        folder.prepare_checkpoints(&notes)?;
        folder.put_checkpoints()?;
    }
    Ok(())
}

/// The logs of the database and those that the file names.
fn logs(
    connection: &Connection,
    deployment: DeploymentId,
    notes: &[PublishedNote],
) -> Result<Vec<LogId>, Error> {
    let failed = Error::database("reading the tenants");
    let mut statement = connection.prepare(sql::TENANTS).map_err(&failed)?;
    let mut logs: Vec<LogId> = statement
        .query_map([], |row| Ok(TenantId::from_bytes(row.get(0)?)))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(&failed)?
        .into_iter()
        .map(|tenant| LogId { deployment, tenant })
        .collect();
    logs.extend(notes.iter().map(|note| note.log));
    logs.sort();
    logs.dedup();
    Ok(logs)
}

/// The note that the file should hold and does not, when a crash came between table and file.
fn verify_log(
    connection: &Connection,
    log: LogId,
    published: Option<&PublishedNote>,
) -> Result<Option<PublishedNote>, Error> {
    let head = head(connection, log.tenant)?;
    let database = head.as_ref().map_or(0, Head::size);
    let last = last(connection, log.tenant)?;
    if let Some(published) = published {
        let rolled_back = Error::RolledBack { log, checkpoint: published.size, database };
        let known = at(connection, log.tenant, published.size)?;
        if known.is_none_or(|known| known.note != published.note) {
            return Err(rolled_back);
        }
    } else if count(connection, log.tenant)? > 1 {
        return Err(Error::CheckpointMissing { log });
    }
    let Some(last) = last else { return Ok(None) };
    let contradicts = head.is_some_and(|head| head.size() == last.size && head.root() != last.root);
    if last.size > database || contradicts {
        return Err(Error::RolledBack { log, checkpoint: last.size, database });
    }
    if published.is_some_and(|published| published.size >= last.size) {
        return Ok(None);
    }
    parse_note(last.note).map(Some).ok_or(Error::Malformed { table: "checkpoints" })
}

/// The end of a log; absent when there is no such tenant.
pub(crate) fn head(connection: &Connection, tenant: TenantId) -> Result<Option<Head>, Error> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached(sql::HEAD)
        .and_then(|mut statement| {
            statement.query_row(params![tenant.as_bytes()], |row| row.get(0)).optional()
        })
        .map_err(Error::database("reading a head"))?;
    bytes
        .map(|bytes| Head::from_bytes(&bytes).ok_or(Error::Malformed { table: "heads" }))
        .transpose()
}

/// The checkpoint of the most records.
pub(crate) fn last(
    connection: &Connection,
    tenant: TenantId,
) -> Result<Option<CheckpointRow>, Error> {
    connection
        .prepare_cached(sql::LAST_CHECKPOINT)
        .and_then(|mut statement| {
            statement.query_row(params![tenant.as_bytes()], checkpoint_row).optional()
        })
        .map_err(Error::database("reading a checkpoint"))
}

fn checkpoint_row(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow {
        size: row.get::<_, Number>(0)?.0,
        root: Hash::from_bytes(row.get(1)?),
        note: row.get(2)?,
    })
}

pub(crate) fn at(
    connection: &Connection,
    tenant: TenantId,
    size: u64,
) -> Result<Option<CheckpointRow>, Error> {
    // A size beyond what a database can hold is none of ours.
    let Ok(size_column) = i64::try_from(size) else { return Ok(None) };
    connection
        .prepare_cached(sql::CHECKPOINT_AT)
        .and_then(|mut statement| {
            statement
                .query_row(params![tenant.as_bytes(), size_column], |row| {
                    let root = Hash::from_bytes(row.get(0)?);
                    Ok(CheckpointRow { size, root, note: row.get(1)? })
                })
                .optional()
        })
        .map_err(Error::database("reading a checkpoint"))
}

fn count(connection: &Connection, tenant: TenantId) -> Result<u64, Error> {
    connection
        .prepare_cached(sql::CHECKPOINTS_UP_TO_TWO)
        .and_then(|mut statement| statement.query_row(params![tenant.as_bytes()], |row| row.get(0)))
        .map(|Number(count)| count)
        .map_err(Error::database("counting checkpoints"))
}
