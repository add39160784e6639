//! Records whose time is over: their bytes go, their leaf hashes stay.

use crate::error::{Error, Fault};
use crate::number::Number;
use crate::search::BLOCK;
use crate::sql;
use crate::statements::{run, run_one};
use ledger::{Event, ExchangeId, Record, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// Records that go in one transaction, so that nobody who appends waits for long.
const PRUNED_AT_ONCE: u64 = 1000;

/// How much of a log is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    size: u64,
    done: u64,
}

impl Pruned {
    /// How many of the first records are pruned, record 0 counted, which itself stays; 0 when none is.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Whether the bytes of some are still to go.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        self.done < self.size
    }

    /// The position of the next record that is there, from `seq` on.
    #[must_use]
    pub const fn go_on_from(self, seq: u64) -> u64 {
        if seq > 0 && seq < self.size { self.size } else { seq }
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<Pruned> {
    Ok(Pruned { size: row.get::<_, Number>(0)?.0, done: row.get::<_, Number>(1)?.0 })
}

/// How much of a log is pruned.
pub(crate) fn pruned(connection: &Connection, tenant: TenantId) -> Result<Pruned, Error> {
    let found = connection
        .prepare_cached(sql::PRUNED)
        .and_then(|mut statement| statement.query_row(params![tenant.as_bytes()], row).optional());
    Ok(found.map_err(Error::database("reading how much is pruned"))?.unwrap_or_default())
}

/// Takes away the next records that are recorded as pruned, with the sealed content that they name, which
/// nothing opens any more. Says how many went; 0 when there are no more.
pub(crate) fn prune(connection: &Connection, tenant: TenantId) -> Result<u64, Fault> {
    let during = "pruning records";
    let id = tenant.as_bytes();
    let found = connection
        .prepare_cached(sql::PRUNED)
        .and_then(|mut statement| statement.query_row(params![id], row).optional())
        .map_err(Fault::during(during))?;
    let Some(Pruned { size, done }) = found.filter(|pruned| pruned.is_under_way()) else {
        return Ok(0);
    };
    let end = size.min(done.saturating_add(PRUNED_AT_ONCE));
    let span = params![id, Number(done), Number(end)];
    for exchange in exchanges(connection, tenant, done, end)? {
        run(connection, sql::PRUNE_BLOBS, params![id, exchange.as_bytes()], during)?;
    }
    let kept = run(connection, sql::KEEP_LEAVES, span, during)?;
    if kept != end - done || run(connection, sql::PRUNE_RECORDS, span, during)? != kept {
        return Err(Fault::Conflict);
    }
    if end == size {
        run(connection, sql::PRUNE_TERMS, params![id, Number(size / BLOCK)], during)?;
        run(connection, sql::PRUNE_MINUTES, params![id, Number(size)], during)?;
    }
    run_one(connection, sql::SET_PRUNED, params![Number(end), id], during)?;
    Ok(kept)
}

/// The exchanges of the records from a position to before another.
fn exchanges(
    connection: &Connection,
    tenant: TenantId,
    from: u64,
    end: u64,
) -> Result<BTreeSet<ExchangeId>, Fault> {
    let failed = Fault::during("reading records to prune");
    let mut statement = connection.prepare_cached(sql::RECORDS).map_err(&failed)?;
    let values = params![tenant.as_bytes(), Number(from), Number(end - from)];
    let rows = statement.query_map(values, |row| row.get::<_, Vec<u8>>(1)).map_err(&failed)?;
    let mut exchanges = BTreeSet::new();
    for bytes in rows {
        let record = Record::from_bytes(&bytes.map_err(&failed)?).map_err(|_| Fault::Conflict)?;
        if let Event::Intent(_) | Event::Outcome(_) = record.event {
            exchanges.extend(record.event.exchange());
        }
    }
    Ok(exchanges)
}
