//! The statements of one job, each in the transaction of its batch.

use crate::batches;
use crate::deployment::{self, NO_TENANT, NewAnchor, StampRow};
use crate::error::Fault;
use crate::number::Number;
use crate::rows::{
    ApiKeyRow, CheckpointRow, ConfigurationRow, Effect, Forgotten, LogPosition, NewDocument,
    SpentRow, TenantRow,
};
use crate::sql;
use ledger::seal::PerClass;
use ledger::tree::Complete;
use ledger::{
    Blob, ContentKeyId, Day, Disposal, Event, Hash, Head, SealedSurrogate, TenantId, Time, Unit,
    WrappedUnit,
};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, params};

/// What the probe writes: as much as a small exchange leaves behind.
pub(crate) const PROBE_BYTES: usize = 16 << 10;

/// Runs a statement; says how many rows it changed.
pub(crate) fn run(
    connection: &Connection,
    text: &str,
    values: impl Params,
    during: &'static str,
) -> Result<u64, Fault> {
    let mut statement = connection.prepare_cached(text).map_err(Fault::during(during))?;
    let rows = statement.execute(values).map_err(Fault::during(during))?;
    Ok(rows as u64)
}

/// As [`run`], for a statement that must change exactly one row.
pub(crate) fn run_one(
    connection: &Connection,
    text: &str,
    values: impl Params,
    during: &'static str,
) -> Result<(), Fault> {
    if run(connection, text, values, during)? == 1 { Ok(()) } else { Err(Fault::Conflict) }
}

pub(crate) fn add_record(
    connection: &Connection,
    tenant: TenantId,
    seq: u64,
    leaf: Hash,
    bytes: &[u8],
) -> Result<(), Fault> {
    let values = params![tenant.as_bytes(), Number(seq), leaf.as_bytes(), bytes];
    match run(connection, sql::ADD_RECORD, values, "adding a record") {
        Ok(_) => Ok(()),
        // INVARIANT: the head is read under the write lock, so its position is free. If it is not,
        // head and records disagree, and going on would fork the chain.
        Err(Fault::Conflict) => Err(Fault::stop("adding a record at a taken position")),
        Err(fault) => Err(fault),
    }
}

pub(crate) fn add_blob(
    connection: &Connection,
    tenant: TenantId,
    blob: &Blob,
) -> Result<u64, Fault> {
    let values = params![
        tenant.as_bytes(),
        blob.exchange.as_bytes(),
        Number(blob.part.number()),
        blob.key.as_bytes(),
        blob.commitment.as_bytes(),
        blob.sealed,
    ];
    // Whose key was destroyed seals nothing more: nobody could read it, and no disposal would excuse it.
    run_one(connection, sql::ADD_BLOB, values, "adding a blob").map(|()| 1)
}

/// Adds a unit, unless its shelf is closed.
pub(crate) fn add_unit(
    connection: &Connection,
    tenant: TenantId,
    unit: &WrappedUnit,
) -> Result<(), Fault> {
    let values = params![
        tenant.as_bytes(),
        unit.id.as_bytes(),
        unit.shelf.as_bytes(),
        unit.conversation.map(|id| *id.as_bytes()),
        unit.keys.prompts,
        unit.keys.answers,
        unit.keys.surrogates,
    ];
    run_one(connection, sql::ADD_UNIT, values, "adding a unit")
}

pub(crate) fn close_shelf(
    connection: &Connection,
    tenant: TenantId,
    shelf: ContentKeyId,
) -> Result<u64, Fault> {
    let values = params![tenant.as_bytes(), shelf.as_bytes()];
    run(connection, sql::CLOSE_SHELF, values, "closing a shelf")
}

/// Takes out what a disposal destroyed, and ends the disposal.
pub(crate) fn forget(
    connection: &Connection,
    tenant: TenantId,
    disposal: u64,
    forgotten: &[Forgotten],
) -> Result<u64, Fault> {
    let during = "forgetting what was disposed of";
    let mut rows = 0;
    for one in forgotten {
        rows += match one {
            Forgotten::Unit(id, gone) | Forgotten::Shelf(id, gone) => {
                let text = match one {
                    Forgotten::Shelf(..) => sql::FORGET_SHELF,
                    Forgotten::Unit(..) | Forgotten::Conversation(_) | Forgotten::Document(_) => {
                        sql::FORGET_UNIT
                    }
                };
                let tenant = tenant.as_bytes();
                let values =
                    params![gone.prompts, gone.answers, gone.surrogates, tenant, id.as_bytes()];
                run(connection, text, values, during)?
            }
            Forgotten::Conversation(id) => {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                run(connection, sql::DROP_SURROGATES, values, during)?
            }
            Forgotten::Document(key) => {
                let values = params![tenant.as_bytes(), key.as_bytes()];
                run(connection, sql::FORGET_DOCUMENT, values, during)?
            }
        };
    }
    let values = params![tenant.as_bytes(), Number(disposal)];
    run(connection, sql::END_DISPOSAL, values, during)?;
    Ok(rows)
}

/// Keeps the tables that follow from the records themselves: intents without an outcome, holds,
/// disposals to be carried out. An outcome that names an intent ends exactly that one, once; nothing is
/// disposed of that a hold covers.
pub(crate) fn index(
    connection: &Connection,
    tenant: TenantId,
    time: Time,
    event: &Event,
    seq: u64,
) -> Result<(), Fault> {
    let during = "indexing an intent";
    match event {
        Event::Intent(intent) => {
            let values = params![tenant.as_bytes(), intent.about.exchange.as_bytes(), Number(seq)];
            run(connection, sql::ADD_INTENT, values, during).map(|_| ())
        }
        Event::Outcome(outcome) => {
            let Some(intent) = outcome.intent else { return Ok(()) };
            let exchange = outcome.about.exchange.as_bytes();
            let values = params![tenant.as_bytes(), exchange, Number(intent)];
            run_one(connection, sql::END_INTENT, values, during)
        }
        Event::LogOpened { .. }
        | Event::ConfigurationApplied { .. }
        | Event::ApiKeyCreated { .. }
        | Event::ApiKeyRevoked { .. }
        | Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::ContentRead { .. }
        | Event::AnswerWithdrawn { .. }
        | Event::AccessRefused { .. }
        | Event::Started { .. }
        | Event::Stopped { .. }
        | Event::AgreementExpiring { .. }
        | Event::AgreementFiled { .. }
        | Event::AgreementRead { .. }
        | Event::Anchored { .. }
        | Event::AnchorFailing { .. }
        | Event::ClockSkewed { .. }
        | Event::FeedFailing { .. }
        | Event::AccessDenied { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. }
        | Event::Reviewed { .. }
        | Event::ReviewOverdue { .. }
        | Event::CopyFailing { .. }
        | Event::BatchFile { .. }
        | Event::KeyRotated { .. }
        | Event::SelfTestPassed { .. }
        | Event::SelfTestFailed { .. }
        | Event::CacheMismatch { .. } => Ok(()),
        Event::HoldPlaced { hold, unit, authority, .. } => {
            let (exchange, conversation) = columns(*unit);
            let values = params![
                tenant.as_bytes(),
                hold,
                exchange,
                conversation,
                authority,
                time.as_micros()
            ];
            run_one(connection, sql::ADD_HOLD, values, "placing a hold")
        }
        Event::HoldReleased { hold, .. } => {
            let values = params![time.as_micros(), tenant.as_bytes(), hold];
            run_one(connection, sql::RELEASE_HOLD, values, "releasing a hold")
        }
        Event::Disposed { scope, classes, .. } => {
            let unit = match scope {
                Disposal::Exchange(exchange) => Some(Unit::Exchange(*exchange)),
                Disposal::Conversation(conversation) => Some(Unit::Conversation(*conversation)),
                Disposal::Before(_) => None,
            };
            begin_disposal(connection, tenant, seq, unit)?;
            // From this record on nothing is sealed under these keys, so that what the log says was
            // disposed of lies before it.
            let text = match unit {
                Some(Unit::Exchange(_)) => sql::FORGET_EXCHANGE,
                Some(Unit::Conversation(_)) => sql::FORGET_CONVERSATION,
                None => return Ok(()),
            };
            let (exchange, conversation) = columns(unit);
            let gone = PerClass::make(|class| classes.contains(&class));
            let (of, id) = (tenant.as_bytes(), exchange.or(conversation));
            let values = params![gone.prompts, gone.answers, gone.surrogates, of, id];
            run(connection, text, values, "disposing of keys").map(|_| ())
        }
        // Only a hold over everything covers a document.
        Event::AgreementDisposed { .. } => begin_disposal(connection, tenant, seq, None),
        // Records are pruned from the first on, whatever they speak of, so any hold is in the way.
        Event::Pruned { size, .. } => {
            refuse_under_holds(connection, tenant)?;
            if !(2..=seq).contains(size) {
                return Err(Fault::Conflict);
            }
            let values = params![tenant.as_bytes(), Number(*size)];
            run_one(connection, sql::BEGIN_PRUNING, values, "beginning to prune")
        }
        // Whoever leaves takes everything along, so any hold is in the way.
        Event::Offboarded { .. } => {
            refuse_under_holds(connection, tenant)?;
            begin_disposal(connection, tenant, seq, None)
        }
    }
}

fn refuse_under_holds(connection: &Connection, tenant: TenantId) -> Result<(), Fault> {
    let values = params![tenant.as_bytes()];
    let held: i64 = read_one(connection, sql::HOLD_COUNT, values, "looking for holds")?;
    if held > 0 { Err(Fault::Conflict) } else { Ok(()) }
}

fn columns(unit: Option<Unit>) -> (Option<[u8; 16]>, Option<[u8; 16]>) {
    match unit {
        None => (None, None),
        Some(Unit::Exchange(exchange)) => (Some(*exchange.as_bytes()), None),
        Some(Unit::Conversation(conversation)) => (None, Some(*conversation.as_bytes())),
    }
}

fn begin_disposal(
    connection: &Connection,
    tenant: TenantId,
    seq: u64,
    unit: Option<Unit>,
) -> Result<(), Fault> {
    let during = "looking for holds";
    let (exchange, conversation) = columns(unit);
    let values = params![tenant.as_bytes()];
    let over_all: i64 = read_one(connection, sql::HOLDS_OVER_ALL, values, during)?;
    let values = params![tenant.as_bytes(), exchange, conversation];
    let over_unit: i64 = read_one(connection, sql::HOLDS_OVER_UNIT, values, during)?;
    if over_all + over_unit > 0 {
        return Err(Fault::Conflict);
    }
    let values = params![tenant.as_bytes(), Number(seq)];
    run_one(connection, sql::ADD_DISPOSAL, values, "beginning a disposal")
}

/// Makes a change that the record at position `seq`, of these bytes, speaks of.
pub(crate) fn apply_effect(
    connection: &Connection,
    tenant: TenantId,
    effect: &Effect,
    seq: u64,
    record: &[u8],
) -> Result<(), Fault> {
    match effect {
        Effect::AddApiKey(row) => add_api_key(connection, tenant, row),
        Effect::RevokeApiKey { id, at } => {
            let values = params![at.as_micros(), tenant.as_bytes(), id.as_bytes()];
            run_one(connection, sql::REVOKE_API_KEY, values, "revoking an API key")
        }
        Effect::AddConfiguration(row) => add_configuration(connection, tenant, row),
        Effect::AddDocument(document) => {
            let NewDocument { agreement, key, sha256, sealed } = document;
            let (of, key, sha256) = (tenant.as_bytes(), key.as_bytes(), sha256.as_bytes());
            let values = params![of, Number(seq), agreement, key, sha256, record, sealed];
            run_one(connection, sql::ADD_DOCUMENT, values, "adding a document")
        }
        Effect::Spend(row) => {
            let SpentRow { day, key, route, currency, tokens, micros } = row;
            let (of, key) = (tenant.as_bytes(), key.as_bytes());
            let values = params![of, day.number(), key, route, currency, tokens, micros];
            run_one(connection, sql::ADD_SPENT, values, "adding to what was spent")
        }
        Effect::Batch(change) => batches::apply(connection, tenant, change),
        Effect::Notice(name) => {
            let values = params![tenant.as_bytes(), name];
            run_one(connection, sql::ADD_NOTICE, values, "adding a notice")
        }
    }
}

fn add_api_key(connection: &Connection, tenant: TenantId, row: &ApiKeyRow) -> Result<(), Fault> {
    let values = params![
        row.id.as_bytes(),
        tenant.as_bytes(),
        row.secret_hash.as_bytes(),
        row.owner,
        row.purpose,
        row.created.as_micros(),
        row.expires.map(Time::as_micros),
        row.role.as_str(),
    ];
    run_one(connection, sql::ADD_API_KEY, values, "adding an API key")
}

fn add_configuration(
    connection: &Connection,
    tenant: TenantId,
    row: &ConfigurationRow,
) -> Result<(), Fault> {
    let during = "adding a configuration";
    let values = params![tenant.as_bytes()];
    let Number(last) = read_one(connection, sql::LAST_CONFIGURATION_VERSION, values, during)?;
    // Versions have no gaps, and of two that were prepared at once from the same version before,
    // the second is refused.
    if Some(row.version) != last.checked_add(1) {
        return Err(Fault::Conflict);
    }
    let values = params![
        tenant.as_bytes(),
        Number(row.version),
        row.sha256.as_bytes(),
        row.applied_at.as_micros(),
        row.bytes,
    ];
    run_one(connection, sql::ADD_CONFIGURATION, values, during)
}

pub(crate) fn add_tenant(connection: &Connection, row: &TenantRow) -> Result<(), Fault> {
    let (id, during) = (row.id.as_bytes(), "adding a tenant");
    let values = params![id, row.name, row.created.as_micros()];
    run(connection, sql::ADD_TENANT, values, during)?;
    run(connection, sql::ADD_HEAD, params![id, Head::new().to_bytes()], during)?;
    Ok(())
}

pub(crate) fn add_surrogate(
    connection: &Connection,
    tenant: TenantId,
    surrogate: &SealedSurrogate,
) -> Result<(), Fault> {
    let values = params![
        tenant.as_bytes(),
        surrogate.conversation.as_bytes(),
        surrogate.unit.as_bytes(),
        surrogate.expires.as_micros(),
        surrogate.sealed,
    ];
    run(connection, sql::ADD_SURROGATE, values, "adding a surrogate").map(|_| ())
}

pub(crate) fn purge_surrogates(
    connection: &Connection,
    tenant: TenantId,
    now: Time,
) -> Result<u64, Fault> {
    let values = params![tenant.as_bytes(), now.as_micros()];
    run(connection, sql::PURGE_SURROGATES, values, "purging surrogates")
}

pub(crate) fn purge_spent(
    connection: &Connection,
    tenant: TenantId,
    before: Day,
) -> Result<u64, Fault> {
    let values = params![tenant.as_bytes(), before.number()];
    run(connection, sql::PURGE_SPENT, values, "purging what was spent")
}

pub(crate) fn add_checkpoint(
    connection: &Connection,
    tenant: TenantId,
    row: &CheckpointRow,
) -> Result<u64, Fault> {
    let values = params![tenant.as_bytes(), Number(row.size), row.root.as_bytes(), row.note];
    run(connection, sql::ADD_CHECKPOINT, values, "adding a checkpoint")
}

/// A subtree of a log is complete once; a second one at its place would be another tree.
pub(crate) fn add_subtree(
    connection: &Connection,
    log: TenantId,
    subtree: &Complete,
) -> Result<(), Fault> {
    let during = "adding a subtree";
    match deployment::add_subtree(connection, log, subtree).map_err(Fault::during(during)) {
        Ok(_) => Ok(()),
        Err(Fault::Conflict) => Err(Fault::stop("adding a subtree at a taken place")),
        Err(fault) => Err(fault),
    }
}

/// Adds leaves to the deployment's log and its signed checkpoint, if nobody else did meanwhile.
pub(crate) fn add_anchor(connection: &Connection, new: &NewAnchor) -> Result<u64, Fault> {
    let during = "adding an anchor";
    let head = deployment::head(connection).map_err(|_| Fault::stop(during))?;
    if head.size() != new.before {
        return Err(Fault::Conflict);
    }
    for (seq, leaf) in (new.before..).zip(&new.leaves) {
        let values =
            params![Number(seq), leaf.tenant.as_bytes(), Number(leaf.size), leaf.leaf.as_bytes()];
        run(connection, sql::ADD_LEAF, values, during)?;
    }
    for subtree in &new.complete {
        add_subtree(connection, NO_TENANT, subtree)?;
    }
    run(connection, sql::SET_DEPLOYMENT_HEAD, params![new.head.to_bytes()], during)?;
    let anchor = &new.anchor;
    let values =
        params![Number(anchor.size), anchor.root.as_bytes(), anchor.note, anchor.made.as_micros()];
    run(connection, sql::ADD_ANCHOR, values, during)
}

pub(crate) fn add_stamp(
    connection: &Connection,
    size: u64,
    stamp: &StampRow,
) -> Result<u64, Fault> {
    let values = params![
        Number(size),
        stamp.authority,
        stamp.stamped.as_micros(),
        stamp.ends.as_micros(),
        stamp.token,
    ];
    run(connection, sql::ADD_STAMP, values, "adding a stamp")
}

pub(crate) fn add_cosignature(
    connection: &Connection,
    size: u64,
    witness: &str,
    line: &str,
) -> Result<u64, Fault> {
    let values = params![Number(size), witness, line];
    run(connection, sql::ADD_COSIGNATURE, values, "adding a cosignature")
}

/// Moves a feed forward. It never goes back: what was delivered stays delivered.
pub(crate) fn move_feed(
    connection: &Connection,
    tenant: TenantId,
    feed: &str,
    position: &LogPosition,
) -> Result<u64, Fault> {
    let values =
        params![tenant.as_bytes(), feed, Number(position.next), position.before.as_bytes()];
    run_one(connection, sql::MOVE_FEED, values, "moving a feed").map(|()| 1)
}

/// Moves a copy forward. It never goes back: what was copied stays copied.
pub(crate) fn move_copy(
    connection: &Connection,
    tenant: TenantId,
    copy: &str,
    position: &LogPosition,
) -> Result<u64, Fault> {
    let values =
        params![tenant.as_bytes(), copy, Number(position.next), position.before.as_bytes()];
    run_one(connection, sql::MOVE_COPY, values, "moving a copy").map(|()| 1)
}

pub(crate) fn probe(connection: &Connection) -> Result<u64, Fault> {
    let during = "probing";
    let writes: i64 = read_one(connection, sql::PROBE_WRITES, [], during)?;
    // Other bytes each time: SQLite does not write a page that would stay the same.
    let filler = writes.to_be_bytes().repeat(PROBE_BYTES / size_of::<i64>());
    run(connection, sql::WRITE_PROBE, params![filler], during)
}

/// The end of a log, which must be the end of its records.
pub(crate) fn read_head(connection: &Connection, tenant: TenantId) -> Result<Head, Fault> {
    let during = "reading a head";
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached(sql::HEAD)
        .and_then(|mut statement| {
            statement.query_row(params![tenant.as_bytes()], |row| row.get(0)).optional()
        })
        .map_err(Fault::during(during))?;
    let head = match bytes {
        // No such tenant.
        None => return Err(Fault::Conflict),
        Some(bytes) => Head::from_bytes(&bytes).ok_or(Fault::stop(during))?,
    };
    let Number(end) =
        read_one(connection, sql::RECORDS_END, params![tenant.as_bytes()], "reading the end")?;
    if end == head.size() {
        Ok(head)
    } else {
        Err(Fault::stop("comparing a head with the records"))
    }
}

/// The one column of the one row of a query.
pub(crate) fn read_one<T: FromSql>(
    connection: &Connection,
    text: &str,
    values: impl Params,
    during: &'static str,
) -> Result<T, Fault> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.query_row(values, |row| row.get(0)))
        .map_err(Fault::during(during))
}
