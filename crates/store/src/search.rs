//! What makes the log searchable: in which blocks of records a term stands, and which positions a span
//! of time covers.
//!
//! A block is 256 records, as in a tile. Within one, a term costs one row however often it stands there,
//! so what stands in every record (a kind, a busy program) costs next to nothing as it is written, and
//! what stands in few (a patient, a conversation) leads straight to its blocks. Whoever searches reads
//! the blocks and looks at each record: the index only says where nothing is.

use crate::error::{Error, Fault};
use crate::number::Number;
use crate::pruning::Pruned;
use crate::sql;
use crate::statements::run;
use ledger::{ConversationId, Event, ExchangeId, Hash, TenantId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// Records of one block.
pub(crate) const BLOCK: u64 = 256;

/// Records after which one reading returns what it has.
const RECORDS_AT_ONCE: usize = 1024;

/// Bytes of records after which one reading returns what it has.
const BYTES_AT_ONCE: usize = 4 << 20;

/// Blocks that one reading looks at, so that no reading takes long however rare what is sought.
const LOOKS_AT_ONCE: usize = 65_536;

/// The longest text that is told apart in the index; what is longer is looked for by its beginning.
const TERM_BYTES: usize = 96;

/// Something that a record says and that can be searched by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(Vec<u8>);

impl Term {
    fn of(tag: u8, value: &[u8]) -> Self {
        let value = value.get(..TERM_BYTES).unwrap_or(value);
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.push(tag);
        bytes.extend_from_slice(value);
        Self(bytes)
    }

    /// Who acted, by id or by name.
    #[must_use]
    pub fn who(id_or_name: &str) -> Self {
        Self::of(b'w', id_or_name.as_bytes())
    }

    /// The kind of record.
    #[must_use]
    pub fn kind(kind: &str) -> Self {
        Self::of(b'k', kind.as_bytes())
    }

    /// The surface.
    #[must_use]
    pub fn surface(surface: &str) -> Self {
        Self::of(b's', surface.as_bytes())
    }

    /// The decision.
    #[must_use]
    pub fn decision(decision: &str) -> Self {
        Self::of(b'd', decision.as_bytes())
    }

    /// The outcome.
    #[must_use]
    pub fn outcome(outcome: &str) -> Self {
        Self::of(b'o', outcome.as_bytes())
    }

    /// The destination.
    #[must_use]
    pub fn destination(destination: &str) -> Self {
        Self::of(b't', destination.as_bytes())
    }

    /// The conversation.
    #[must_use]
    pub fn conversation(conversation: ConversationId) -> Self {
        Self::of(b'c', conversation.as_bytes())
    }

    /// The exchange.
    #[must_use]
    pub fn exchange(exchange: ExchangeId) -> Self {
        Self::of(b'x', exchange.as_bytes())
    }

    /// The patient.
    #[must_use]
    pub fn patient(patient: Hash) -> Self {
        Self::of(b'p', patient.as_bytes())
    }

    /// Everything that a record can be searched by.
    fn each(event: &Event, mut put: impl FnMut(Self)) {
        put(Self::kind(event.kind()));
        if let Some(actor) = event.actor() {
            put(Self::who(&actor.id));
            put(Self::who(&actor.name));
        }
        if let Some(exchange) = event.exchange() {
            put(Self::exchange(exchange));
        }
        if let Some(conversation) = event.conversation() {
            put(Self::conversation(conversation));
        }
        if let Event::Outcome(outcome) = event {
            put(Self::outcome(&outcome.outcome));
        }
        let Some(about) = event.about() else { return };
        put(Self::surface(&about.surface));
        about.decision.iter().for_each(|decision| put(Self::decision(decision)));
        about.destination.iter().for_each(|destination| put(Self::destination(destination)));
        about.patient.iter().for_each(|patient| put(Self::patient(*patient)));
    }
}

/// What the writer remembers of a log's index, so that a term of a block is written once.
#[derive(Debug, Default)]
pub(crate) struct Indexed {
    block: u64,
    terms: BTreeSet<Term>,
    minute: Option<i64>,
}

/// Notes where a record's terms stand, and its minute when it is another than that before.
pub(crate) fn index(
    connection: &Connection,
    tenant: TenantId,
    indexed: &mut Indexed,
    (seq, time): (u64, Time),
    event: &Event,
) -> Result<(), Fault> {
    let during = "indexing a record";
    let block = seq / BLOCK;
    if indexed.block != block {
        indexed.block = block;
        indexed.terms.clear();
    }
    let mut new = Vec::new();
    Term::each(event, |term| {
        if !indexed.terms.contains(&term) {
            new.push(term);
        }
    });
    for term in new {
        let values = params![tenant.as_bytes(), term.0, Number(block)];
        run(connection, sql::ADD_TERM, values, during)?;
        indexed.terms.insert(term);
    }
    let minute = minute(time);
    if indexed.minute.is_none() {
        indexed.minute = last_minute(connection, tenant).map_err(Fault::during(during))?;
    }
    if indexed.minute != Some(minute) {
        let values = params![tenant.as_bytes(), Number(seq), minute];
        run(connection, sql::ADD_MINUTE, values, during)?;
        indexed.minute = Some(minute);
    }
    Ok(())
}

const fn minute(time: Time) -> i64 {
    time.as_micros().div_euclid(60_000_000)
}

fn last_minute(connection: &Connection, tenant: TenantId) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(sql::LAST_MINUTE)?;
    statement.query_row(params![tenant.as_bytes()], |row| row.get(0)).optional()
}

/// What to look for. Records that are found may be others too; none is left out that fits.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// All of these stand in the record.
    pub terms: Vec<Term>,
    /// Not before this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// Reads every record, and believes no index.
    pub scan: bool,
}

/// Records that may be what is sought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// They, in order, with their positions.
    pub records: Vec<(u64, Vec<u8>)>,
    /// The position to go on from; absent when there are no more.
    pub next: Option<u64>,
}

/// Looks through the log from `from` on, to before `size`.
pub(crate) fn candidates(
    connection: &Connection,
    tenant: TenantId,
    sought: &Sought,
    from: u64,
    size: u64,
) -> Result<Candidates, Error> {
    let pruned = crate::pruning::pruned(connection, tenant)?;
    let search = Search { connection, tenant, pruned };
    let before = if sought.scan { size } else { search.unindexed()? };
    let (low, high) = search.bounds(sought)?;
    let (mut found, mut at, mut bytes) = (Candidates::default(), from, 0);
    for _ in 0..LOOKS_AT_ONCE {
        at = pruned.go_on_from(at);
        // What was never indexed is read as it is.
        if at >= before {
            at = at.max(low);
            match search.next_block(&sought.terms, at / BLOCK)? {
                Some(block) => at = at.max(block * BLOCK),
                None => return Ok(found),
            }
            if at >= high {
                return Ok(found);
            }
        }
        if at >= size {
            return Ok(found);
        }
        let end = (at / BLOCK + 1).saturating_mul(BLOCK).min(size);
        bytes += search.read(at, end, &mut found.records)?;
        at = end;
        if found.records.len() >= RECORDS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            break;
        }
    }
    found.next = (at < size).then_some(at);
    Ok(found)
}

struct Search<'c> {
    connection: &'c Connection,
    tenant: TenantId,
    pruned: Pruned,
}

const DURING: &str = "searching the log";

impl Search<'_> {
    fn unindexed(&self) -> Result<u64, Error> {
        let values = params![self.tenant.as_bytes()];
        let read = |row: &Row<'_>| Ok(row.get::<_, Number>(0)?.0);
        let found = self
            .connection
            .prepare_cached(sql::UNINDEXED)
            .and_then(|mut statement| statement.query_row(values, read).optional());
        Ok(found.map_err(Error::database(DURING))?.unwrap_or(0))
    }

    /// Positions of the records between two times. Those of another time may lie between them.
    fn bounds(&self, sought: &Sought) -> Result<(u64, u64), Error> {
        const ALL: (u64, u64) = (0, u64::MAX);
        if sought.scan || (sought.since.is_none() && sought.until.is_none()) {
            return Ok(ALL);
        }
        let failed = Error::database(DURING);
        let (first, last) =
            (sought.since.map_or(i64::MIN, minute), sought.until.map_or(i64::MAX, minute));
        let values = params![self.tenant.as_bytes(), first, last];
        let pair = |row: &Row<'_>| {
            let (low, high) = (row.get::<_, Option<Number>>(0)?, row.get::<_, Option<Number>>(1)?);
            Ok(low.zip(high).map(|(low, high)| (low.0, high.0)))
        };
        let spans = self
            .connection
            .prepare_cached(sql::MINUTES_BETWEEN)
            .and_then(|mut statement| statement.query_row(values, pair))
            .map_err(&failed)?;
        let Some((low, last)) = spans else { return Ok((u64::MAX, 0)) };
        // The last span goes on to where another begins.
        let values = params![self.tenant.as_bytes(), Number(last)];
        let next = self
            .connection
            .prepare_cached(sql::NEXT_MINUTE)
            .and_then(|mut statement| {
                statement.query_row(values, |row| row.get::<_, Option<Number>>(0))
            })
            .map_err(&failed)?;
        Ok((low, next.map_or(u64::MAX, |next| next.0)))
    }

    /// The first block from `from` on in which every term stands.
    fn next_block(&self, terms: &[Term], from: u64) -> Result<Option<u64>, Error> {
        let failed = Error::database(DURING);
        let mut statement = self.connection.prepare_cached(sql::NEXT_BLOCK).map_err(&failed)?;
        let mut block = from;
        // Each term in turn says where it stands next, until all say the same.
        let mut agree = 0;
        let mut next = terms.iter().cycle();
        while agree < terms.len() {
            let Some(term) = next.next() else { break };
            let Ok(column) = i64::try_from(block) else { return Ok(None) };
            let values = params![self.tenant.as_bytes(), term.0, column];
            let found = statement
                .query_row(values, |row| row.get::<_, Option<Number>>(0))
                .map_err(&failed)?;
            match found {
                None => return Ok(None),
                Some(Number(found)) if found == block => agree += 1,
                Some(Number(found)) => (block, agree) = (found, 1),
            }
        }
        Ok(Some(block))
    }

    /// Reads the records from a position to before another; says how many bytes they have.
    fn read(&self, from: u64, end: u64, out: &mut Vec<(u64, Vec<u8>)>) -> Result<usize, Error> {
        let failed = Error::database(DURING);
        let mut statement = self.connection.prepare_cached(sql::RECORDS).map_err(&failed)?;
        let values = params![self.tenant.as_bytes(), Number(from), Number(end - from)];
        let mut rows = statement.query(values).map_err(&failed)?;
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(&failed)? {
            let (Number(seq), record): (Number, Vec<u8>) =
                row.get(0).and_then(|seq| Ok((seq, row.get(1)?))).map_err(&failed)?;
            // Where records were pruned, as many lie further on; where they are being, some are still there.
            if seq >= end {
                break;
            }
            if self.pruned.go_on_from(seq) != seq {
                continue;
            }
            bytes += record.len();
            out.push((seq, record));
        }
        Ok(bytes)
    }
}
