//! The handle on one organisation: its log, its sealed content, its rules.

use crate::checkpoints;
use crate::deployment::{Leaves, Of};
use crate::error::Error;
use crate::folder::{Folder, parse_note, replace_note};
use crate::number::Number;
use crate::pruning::{self, Pruned};
use crate::rows::{
    ApiKeyRow, CheckpointRow, ConfigurationRow, ConfigurationVersion, DocumentRow, Effect,
    Forgotten, HoldRow, KeyRole, LogPosition, OpenDisposal, OpenIntent, SpentRow,
};
use crate::search::{self, Candidates, Sought};
use crate::sql;
use crate::store::{Store, receipt};
use crate::writer::{Done, Work};
use ledger::checkpoint::{Checkpoint, Signer};
use ledger::proof::{self, Rows as _, Tiles};
use ledger::seal::PerClass;
use ledger::{
    ApiKeyId, Blob, BlobPart, ContentKeyId, ConversationId, Day, Entry, ExchangeId, Hash, Head,
    Journal, LogId, Receipt, TenantId, Time, Unit, Unrecorded, WrappedUnit,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// Records that one read returns at most, so that an export holds little of a long log in memory.
pub const RECORDS_PER_READ: usize = 4096;
/// Bytes of records after which one read returns what it has, for the same reason.
const BYTES_PER_READ: usize = 16 << 20;
/// Surrogates of one conversation that are read at once. A prompt of several megabytes holds some ten
/// thousand identifiers.
const SURROGATES: u64 = 100_000;
/// API keys of one organisation: one per program, with room.
const API_KEYS: u64 = 100_000;
/// Open intents that are read at once; there are never more than exchanges under way.
const OPEN_INTENTS: u64 = 10_000;

/// Units that are read at once.
const UNITS_AT_ONCE: u64 = 10_000;
/// Units of one conversation: one a month for 80 years.
const UNITS_OF_CONVERSATION: u64 = 1000;
/// Documents of one organisation: some for each agreement in its life.
const DOCUMENTS: u64 = 10_000;
/// Holds of one organisation: some for each matter in court.
const HOLDS: u64 = 100_000;

/// One organisation's part of a [`Store`]. Cheap to clone; it is the organisation's
/// [`ledger::Journal`].
#[derive(Clone, Debug)]
pub struct Tenant {
    store: Store,
    id: TenantId,
}

impl Journal for Tenant {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        self.append_with(entry, Vec::new()).await
    }

    async fn keep(&self, window: Blob) -> Result<(), Unrecorded> {
        self.store.submit(Work::Keep { tenant: self.id, window }).await?;
        Ok(())
    }
}

impl Tenant {
    pub(crate) const fn new(store: Store, id: TenantId) -> Self {
        Self { store, id }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// The organisation.
    #[must_use]
    pub const fn id(&self) -> TenantId {
        self.id
    }

    /// The name of its log.
    #[must_use]
    pub fn log(&self) -> LogId {
        LogId { deployment: self.store.deployment(), tenant: self.id }
    }

    /// Appends a record and makes the changes that it speaks of, in one atomic durable step.
    ///
    /// # Errors
    /// [`Unrecorded`]: nothing of it is kept. An entry that contradicts what is stored (a name
    /// taken, a version skipped, a key unknown, an intent ended before, no such organisation) gets
    /// [`Unrecorded::Stopped`] too, while [`Store::health`] stays good.
    pub async fn append_with(
        &self,
        entry: Entry,
        effects: Vec<Effect>,
    ) -> Result<Receipt, Unrecorded> {
        let work = Work::Append { tenant: self.id, entry, effects };
        receipt(self.store.submit(work).await).map_err(Unrecorded::from)
    }

    /// Forgets the surrogates whose time is over; says how many.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable.
    pub async fn purge_surrogates(&self, now: Time) -> Result<u64, Error> {
        match self.store.submit(Work::PurgeSurrogates { tenant: self.id, now }).await? {
            Done::Rows(rows) => Ok(rows),
            // INVARIANT: the writer answers a deletion with a count.
            Done::Appended(_) => Err(Error::Unrecorded(Unrecorded::Stopped)),
        }
    }

    /// Forgets what was spent before a day; says how many rows that were.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable.
    pub async fn purge_spent(&self, before: Day) -> Result<u64, Error> {
        match self.store.submit(Work::PurgeSpent { tenant: self.id, before }).await? {
            Done::Rows(rows) => Ok(rows),
            // INVARIANT: the writer answers a deletion with a count.
            Done::Appended(_) => Err(Error::Unrecorded(Unrecorded::Stopped)),
        }
    }

    /// Adds up what was spent from a day on, with the owner of each key: `add` gets `sum` and each row.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn spent_since<T: Send + 'static>(
        &self,
        since: Day,
        mut sum: T,
        add: fn(&mut T, SpentRow, String),
    ) -> Result<T, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let failed = Error::database("reading what was spent");
                let mut statement = connection.prepare_cached(sql::SPENT).map_err(&failed)?;
                let values = params![id.as_bytes(), since.number()];
                let mut rows = statement.query(values).map_err(&failed)?;
                while let Some(row) = rows.next().map_err(&failed)? {
                    let (row, owner) = spent(row).map_err(&failed)?;
                    add(&mut sum, row, owner);
                }
                Ok(sum)
            })
            .await
    }

    /// The API keys, ended ones too, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes(), limit_column(API_KEYS)?];
                let rows = all(connection, sql::API_KEYS, values, api_key, "reading API keys")?;
                within(rows, "API keys", API_KEYS)
            })
            .await
    }

    /// The latest version of the governed configuration; absent when there is none.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn configuration(&self) -> Result<Option<ConfigurationRow>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes()];
                one(connection, sql::CONFIGURATION, values, configuration, CONFIGURATION)
            })
            .await
    }

    /// One version of the governed configuration.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn configuration_version(
        &self,
        version: u64,
    ) -> Result<Option<ConfigurationRow>, Error> {
        let (id, Some(version)) = (self.id, column(version)) else { return Ok(None) };
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes(), version];
                one(connection, sql::CONFIGURATION_VERSION, values, configuration, CONFIGURATION)
            })
            .await
    }

    /// All versions of the governed configuration, without their texts, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn configurations(&self) -> Result<Vec<ConfigurationVersion>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let version = |row: &Row<'_>| {
                    Ok(ConfigurationVersion {
                        version: row.get::<_, Number>(0)?.0,
                        sha256: Hash::from_bytes(row.get(1)?),
                        applied_at: Time::from_micros(row.get(2)?),
                    })
                };
                let values = params![id.as_bytes()];
                all(connection, sql::CONFIGURATIONS, values, version, CONFIGURATION)
            })
            .await
    }

    /// A unit; absent when it is unknown. Of its keys, those that were destroyed are absent.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn unit(&self, id: ContentKeyId) -> Result<Option<WrappedUnit>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                one(connection, sql::UNIT, values, unit, "reading a unit")
            })
            .await
    }

    /// The unit under whose keys an exchange is sealed; absent when none of its content is kept.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn unit_of(&self, exchange: ExchangeId) -> Result<Option<WrappedUnit>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let values = params![tenant.as_bytes(), exchange.as_bytes()];
                one(connection, sql::UNIT_OF_EXCHANGE, values, unit, "reading a unit")
            })
            .await
    }

    /// The units of a conversation, the newest first: it begins a new one each month.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 1,000.
    pub async fn units_of(&self, conversation: ConversationId) -> Result<Vec<WrappedUnit>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let values = params![
                    tenant.as_bytes(),
                    conversation.as_bytes(),
                    limit_column(UNITS_OF_CONVERSATION)?
                ];
                let during = "reading a conversation";
                let rows = all(connection, sql::UNITS_OF_CONVERSATION, values, unit, during)?;
                within(rows, "units of one conversation", UNITS_OF_CONVERSATION)
            })
            .await
    }

    /// Units that stand on a shelf, in order of id, from the one after `after` on; at most 10,000.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn units_on(
        &self,
        on: ContentKeyId,
        after: Option<ContentKeyId>,
    ) -> Result<Vec<WrappedUnit>, Error> {
        let tenant = self.id;
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        self.store
            .read(move |connection| {
                let values =
                    params![tenant.as_bytes(), on.as_bytes(), after, column(UNITS_AT_ONCE)];
                all(connection, sql::UNITS_ON_SHELF, values, unit, "reading a shelf")
            })
            .await
    }

    /// The documents of agreements, those too that were disposed of, without their bytes, oldest first.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 10,000.
    pub async fn documents(&self) -> Result<Vec<DocumentRow>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let document = |row: &Row<'_>| {
                    Ok(DocumentRow {
                        seq: row.get::<_, Number>(0)?.0,
                        agreement: row.get(1)?,
                        key: ContentKeyId::from_bytes(row.get(2)?),
                        sha256: Hash::from_bytes(row.get(3)?),
                        record: row.get(4)?,
                        kept: row.get(5)?,
                    })
                };
                let values = params![tenant.as_bytes(), limit_column(DOCUMENTS)?];
                let rows = all(connection, sql::DOCUMENTS, values, document, "reading documents")?;
                within(rows, "documents", DOCUMENTS)
            })
            .await
    }

    /// The sealed bytes of the document that was filed at a position; absent when it was disposed of.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn document(&self, seq: u64) -> Result<Option<Vec<u8>>, Error> {
        let (tenant, Some(seq)) = (self.id, column(seq)) else { return Ok(None) };
        self.store
            .read(move |connection| {
                let values = params![tenant.as_bytes(), seq];
                let sealed = |row: &Row<'_>| row.get::<_, Option<Vec<u8>>>(0);
                let found = one(connection, sql::DOCUMENT, values, sealed, "reading a document")?;
                Ok(found.flatten())
            })
            .await
    }

    /// The holds, ended ones too, oldest first.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 100,000.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let values = params![tenant.as_bytes(), limit_column(HOLDS)?];
                let rows = all(connection, sql::HOLDS, values, hold, "reading holds")?;
                within(rows, "holds", HOLDS)
            })
            .await
    }

    /// Disposals that are recorded and not carried out to the end, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn open_disposals(&self) -> Result<Vec<OpenDisposal>, Error> {
        let tenant = self.id;
        self.store
            .read(move |connection| {
                let disposal = |row: &Row<'_>| {
                    Ok(OpenDisposal { seq: row.get::<_, Number>(0)?.0, record: row.get(1)? })
                };
                let values = params![tenant.as_bytes(), column(OPEN_INTENTS)];
                all(connection, sql::OPEN_DISPOSALS, values, disposal, "reading open disposals")
            })
            .await
    }

    /// From now on no unit is put on the shelf.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable.
    pub async fn close_shelf(&self, id: ContentKeyId) -> Result<(), Error> {
        self.store.submit(Work::CloseShelf { tenant: self.id, shelf: id }).await?;
        Ok(())
    }

    /// Takes out what a disposal destroyed, and ends the disposal.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable.
    pub async fn forget(&self, disposal: u64, forgotten: Vec<Forgotten>) -> Result<(), Error> {
        self.store.submit(Work::Forget { tenant: self.id, disposal, forgotten }).await?;
        Ok(())
    }

    /// The surrogates of a conversation that are sealed under a unit's key and whose time is not over:
    /// `now < expires`.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 100,000, instead of leaving some out.
    pub async fn surrogates(
        &self,
        conversation: ConversationId,
        unit: ContentKeyId,
        now: Time,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let values = params![
                    id.as_bytes(),
                    conversation.as_bytes(),
                    now.as_micros(),
                    unit.as_bytes(),
                    limit_column(SURROGATES)?
                ];
                let sealed = |row: &Row<'_>| row.get(0);
                let rows = all(connection, sql::SURROGATES, values, sealed, "reading surrogates")?;
                within(rows, "surrogates in one conversation", SURROGATES)
            })
            .await
    }

    /// Intents without an outcome, oldest first, at most 10,000: whoever ends them asks again until
    /// none is left.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn open_intents(&self) -> Result<Vec<OpenIntent>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let intent = |row: &Row<'_>| {
                    Ok(OpenIntent {
                        exchange: ExchangeId::from_bytes(row.get(0)?),
                        seq: row.get::<_, Number>(1)?.0,
                        record: row.get(2)?,
                    })
                };
                let values = params![id.as_bytes(), column(OPEN_INTENTS)];
                all(connection, sql::OPEN_INTENTS, values, intent, "reading open intents")
            })
            .await
    }

    /// Whether the notice of this name was given.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn notice_given(&self, name: &str) -> Result<bool, Error> {
        let (id, name) = (self.id, name.to_owned());
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes(), name];
                let found = one(connection, sql::NOTICE, values, |_| Ok(()), "reading a notice")?;
                Ok(found.is_some())
            })
            .await
    }

    /// How far a feed was delivered; absent when nothing ever was.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn feed_position(&self, feed: &str) -> Result<Option<LogPosition>, Error> {
        let (id, feed) = (self.id, feed.to_owned());
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes(), feed];
                one(connection, sql::FEED, values, position, "reading a feed")
            })
            .await
    }

    /// Keeps how far a feed was delivered. It only moves forward.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is that far already; [`Error::Unrecorded`] when it is not durable.
    pub async fn move_feed(&self, feed: &str, position: LogPosition) -> Result<(), Error> {
        let feed = feed.to_owned();
        self.store.submit(Work::MoveFeed { tenant: self.id, feed, position }).await?;
        Ok(())
    }

    /// How far the log was copied; absent when nothing ever was.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn copy_position(&self, copy: &str) -> Result<Option<LogPosition>, Error> {
        let (id, copy) = (self.id, copy.to_owned());
        self.store
            .read(move |connection| {
                let values = params![id.as_bytes(), copy];
                one(connection, sql::COPY, values, position, "reading a copy")
            })
            .await
    }

    /// Keeps how far the log was copied. It only moves forward.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is that far already; [`Error::Unrecorded`] when it is not durable.
    pub async fn move_copy(&self, copy: &str, position: LogPosition) -> Result<(), Error> {
        let copy = copy.to_owned();
        self.store.submit(Work::MoveCopy { tenant: self.id, copy, position }).await?;
        Ok(())
    }

    /// The end of the log.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] when there is no such organisation.
    pub async fn head(&self) -> Result<Head, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                checkpoints::head(connection, id)?.ok_or(Error::UnknownTenant(id))
            })
            .await
    }

    /// How much of the log is pruned.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn pruned(&self) -> Result<Pruned, Error> {
        let id = self.id;
        self.store.read(move |connection| pruning::pruned(connection, id)).await
    }

    /// Takes away the next records that are recorded as pruned; says how many went, 0 when no more are
    /// to go.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable; [`Error::Conflict`] when records are not what they
    /// must be.
    pub async fn prune(&self) -> Result<u64, Error> {
        match self.store.submit(Work::Prune { tenant: self.id }).await? {
            Done::Rows(rows) => Ok(rows),
            Done::Appended(_) => Err(Error::Conflict),
        }
    }

    /// The root of the tree over the log's first `size` records.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there are fewer.
    pub async fn root(&self, size: u64) -> Result<Hash, Error> {
        let of = Of::Tenant(self.id);
        self.store
            .read(move |connection| {
                proof::root(&mut Tiles::new(Leaves { connection, of }, size), size)
            })
            .await
    }

    /// Records from position `seq` on, in order, with their positions. Those that were pruned are passed
    /// over, so after record 0 may come a later one than record 1.
    ///
    /// At most `limit`, [`RECORDS_PER_READ`] or 16 MiB of them, whichever is least. Fewer than
    /// `limit` do not mean that the log ends there; only an empty answer does.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn records_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let (id, limit) = (self.id, limit.min(RECORDS_PER_READ));
        self.store
            .read(move |connection| {
                let pruned = pruning::pruned(connection, id)?;
                // Some of those that are recorded as pruned may still be there.
                let limit = if seq == 0 && pruned.size() > 0 { limit.min(1) } else { limit };
                let Some(seq) = column(pruned.go_on_from(seq)) else { return Ok(Vec::new()) };
                records(connection, id, seq, limit)
            })
            .await
    }

    /// One record's bytes; absent beyond the end of the log, and where it was pruned.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let kept = pruning::pruned(connection, id)?.go_on_from(seq) == seq;
                let Some(seq) = column(seq).filter(|_| kept) else { return Ok(None) };
                let values = params![id.as_bytes(), seq];
                one(connection, sql::RECORD, values, |row| row.get(0), "reading a record")
            })
            .await
    }

    /// Records that may be what is sought, from position `from` on and before `size`. An answer may hold
    /// none and still say where to go on.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn candidates(
        &self,
        sought: &Sought,
        from: u64,
        size: u64,
    ) -> Result<Candidates, Error> {
        let (id, sought) = (self.id, sought.clone());
        self.store
            .read(move |connection| search::candidates(connection, id, &sought, from, size))
            .await
    }

    /// The first `width` hashes of a tile of the log, as C2SP tlog-tiles cuts it: those of leaves at
    /// level 0, of subtrees of 256 leaves at level 1, and so on. They must be under a checkpoint.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there are fewer.
    pub async fn tile(&self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Error> {
        let of = Of::Tenant(self.id);
        self.store.read(move |connection| Leaves { connection, of }.row(level, index, width)).await
    }

    /// The proof that a record is under a checkpoint of `size` records; absent when it is not.
    ///
    /// # Errors
    /// [`Error::Database`] when a subtree cannot be read.
    pub async fn inclusion(&self, seq: u64, size: u64) -> Result<Option<Vec<Hash>>, Error> {
        let of = Of::Tenant(self.id);
        self.store
            .read(move |connection| {
                proof::inclusion(&mut Tiles::new(Leaves { connection, of }, size), seq, size)
            })
            .await
    }

    /// The proof that the log of `new` records grew from that of `old`; absent when `old` is larger.
    ///
    /// # Errors
    /// [`Error::Database`] when a subtree cannot be read.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, Error> {
        let of = Of::Tenant(self.id);
        self.store
            .read(move |connection| {
                proof::consistency(&mut Tiles::new(Leaves { connection, of }, new), old, new)
            })
            .await
    }

    /// A published checkpoint by its size.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn checkpoint(&self, size: u64) -> Result<Option<CheckpointRow>, Error> {
        let id = self.id;
        self.store.read(move |connection| checkpoints::at(connection, id, size)).await
    }

    /// The sealed content of an exchange: the prompt, then the windows in order.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn blobs(&self, exchange: ExchangeId) -> Result<Vec<Blob>, Error> {
        let id = self.id;
        self.store
            .read(move |connection| {
                let blob = |row: &Row<'_>| {
                    let Some(part) = BlobPart::from_number(row.get::<_, Number>(0)?.0) else {
                        return Ok(None);
                    };
                    let key = ContentKeyId::from_bytes(row.get(1)?);
                    let commitment = Hash::from_bytes(row.get(2)?);
                    Ok(Some(Blob { exchange, part, key, commitment, sealed: row.get(3)? }))
                };
                let values = params![id.as_bytes(), exchange.as_bytes()];
                let blobs = all(connection, sql::BLOBS, values, blob, "reading blobs")?;
                blobs
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .ok_or(Error::Malformed { table: "blobs" })
            })
            .await
    }

    /// The last published checkpoint; absent when there is none.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, Error> {
        let id = self.id;
        self.store.read(move |connection| checkpoints::last(connection, id)).await
    }

    /// Signs the present end of the log, and keeps the signed note in the database and in the file
    /// beside it. Without new records since the last one, that one is the answer.
    ///
    /// # Errors
    /// [`Error::RolledBack`] when what was published before is not part of the present log;
    /// [`Error::OtherLog`] when the signer is another log's.
    pub async fn publish_checkpoint(&self, signer: &Signer) -> Result<String, Error> {
        if signer.name() != self.log().to_string() {
            return Err(Error::OtherLog);
        }
        let folder = self.store.folder().clone();
        let lock = blocking(move || folder.lock_checkpoint()).await?;
        let head = self.head().await?;
        let last = self.last_checkpoint().await?;
        self.refuse_rollback(&head, last.as_ref())?;
        if let Some(last) = last.filter(|last| last.size == head.size()) {
            self.put_in_file(&last, Step::Prepare).await?;
            self.put_in_file(&last, Step::Replace).await?;
            return Ok(last.note);
        }
        let (size, root) = (head.size(), head.root());
        let note = signer.sign(&Checkpoint { origin: signer.name().to_owned(), size, root });
        let row = CheckpointRow { size, root, note };
        self.put_in_file(&row, Step::Prepare).await?;
        self.store.submit(Work::AddCheckpoint { tenant: self.id, row: row.clone() }).await?;
        self.put_in_file(&row, Step::Replace).await?;
        drop(lock);
        Ok(row.note)
    }

    /// Compare before swap: the log only grows.
    fn refuse_rollback(&self, head: &Head, last: Option<&CheckpointRow>) -> Result<(), Error> {
        let Some(last) = last else { return Ok(()) };
        let contradicts = last.size == head.size() && last.root != head.root();
        if last.size > head.size() || contradicts {
            let (log, database) = (self.log(), head.size());
            return Err(Error::RolledBack { log, checkpoint: last.size, database });
        }
        Ok(())
    }

    async fn put_in_file(&self, row: &CheckpointRow, step: Step) -> Result<(), Error> {
        let (folder, note) = (self.store.folder().clone(), row.note.clone());
        blocking(move || put_in_file(&folder, note, step)).await
    }
}

/// The two halves of writing the checkpoint file.
#[derive(Clone, Copy)]
enum Step {
    /// Everything that needs room on the disk.
    Prepare,
    /// What makes it visible.
    Replace,
}

fn put_in_file(folder: &Folder, note: String, step: Step) -> Result<(), Error> {
    match step {
        Step::Prepare => {
            let new = parse_note(note).ok_or(Error::CheckpointMalformed)?;
            let notes = folder.read_checkpoints()?;
            if let Some(former) = notes.iter().find(|former| former.log == new.log)
                && (former.size > new.size || (former.size == new.size && former.note != new.note))
            {
                let (log, database) = (new.log, new.size);
                return Err(Error::RolledBack { log, checkpoint: former.size, database });
            }
            folder.prepare_checkpoints(&replace_note(notes, new))
        }
        Step::Replace => folder.put_checkpoints(),
    }
}

async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::ThreadGone)?
}

const CONFIGURATION: &str = "reading the configuration";

/// A number as SQL has it; absent beyond what any row can hold.
fn spent(row: &Row<'_>) -> rusqlite::Result<(SpentRow, String)> {
    let day: i64 = row.get(0)?;
    let spent = SpentRow {
        // A day that no calendar has was not written here.
        day: Day::from_number(day).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, day))?,
        key: ApiKeyId::from_bytes(row.get(1)?),
        route: row.get(3)?,
        currency: row.get(4)?,
        tokens: row.get(5)?,
        micros: row.get(6)?,
    };
    Ok((spent, row.get(2)?))
}

fn column(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

/// One row more than the limit, so that an excess shows.
fn limit_column(limit: u64) -> Result<i64, Error> {
    column(limit.saturating_add(1)).ok_or(Error::TooMany { what: "rows", limit })
}

fn within<T>(rows: Vec<T>, what: &'static str, limit: u64) -> Result<Vec<T>, Error> {
    if rows.len() as u64 > limit { Err(Error::TooMany { what, limit }) } else { Ok(rows) }
}

pub(crate) fn one<T>(
    connection: &Connection,
    text: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    during: &'static str,
) -> Result<Option<T>, Error> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.query_row(values, read).optional())
        .map_err(Error::database(during))
}

pub(crate) fn all<T>(
    connection: &Connection,
    text: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    during: &'static str,
) -> Result<Vec<T>, Error> {
    let failed = Error::database(during);
    let mut statement = connection.prepare_cached(text).map_err(&failed)?;
    let rows = statement.query_map(values, read).map_err(&failed)?;
    rows.collect::<Result<Vec<_>, _>>().map_err(&failed)
}

fn records(
    connection: &Connection,
    tenant: TenantId,
    seq: i64,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let failed = Error::database("reading records");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql::RECORDS).map_err(&failed)?;
    let mut rows = statement.query(params![tenant.as_bytes(), seq, limit]).map_err(&failed)?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(&failed)? {
        let (Number(seq), record): (Number, Vec<u8>) =
            row.get(0).and_then(|seq| Ok((seq, row.get(1)?))).map_err(&failed)?;
        bytes += record.len();
        records.push((seq, record));
        if bytes >= BYTES_PER_READ {
            break;
        }
    }
    Ok(records)
}

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKeyRow> {
    Ok(ApiKeyRow {
        id: ApiKeyId::from_bytes(row.get(0)?),
        secret_hash: Hash::from_bytes(row.get(1)?),
        owner: row.get(2)?,
        purpose: row.get(3)?,
        created: Time::from_micros(row.get(4)?),
        expires: row.get::<_, Option<i64>>(5)?.map(Time::from_micros),
        revoked_at: row.get::<_, Option<i64>>(6)?.map(Time::from_micros),
        // INVARIANT: the column holds these words only. A word of a later program sends no prompts.
        role: KeyRole::of(&row.get::<_, String>(7)?).unwrap_or(KeyRole::Auditor),
    })
}

fn position(row: &Row<'_>) -> rusqlite::Result<LogPosition> {
    let next = row.get::<_, Number>(0)?.0;
    Ok(LogPosition { next, before: Hash::from_bytes(row.get(1)?) })
}

fn configuration(row: &Row<'_>) -> rusqlite::Result<ConfigurationRow> {
    Ok(ConfigurationRow {
        version: row.get::<_, Number>(0)?.0,
        sha256: Hash::from_bytes(row.get(1)?),
        applied_at: Time::from_micros(row.get(2)?),
        bytes: row.get(3)?,
    })
}

fn unit(row: &Row<'_>) -> rusqlite::Result<WrappedUnit> {
    Ok(WrappedUnit {
        id: ContentKeyId::from_bytes(row.get(0)?),
        shelf: ContentKeyId::from_bytes(row.get(1)?),
        conversation: row.get::<_, Option<[u8; 16]>>(2)?.map(ConversationId::from_bytes),
        keys: PerClass { prompts: row.get(3)?, answers: row.get(4)?, surrogates: row.get(5)? },
    })
}

fn hold(row: &Row<'_>) -> rusqlite::Result<HoldRow> {
    let exchange = row.get::<_, Option<[u8; 16]>>(1)?.map(ExchangeId::from_bytes);
    let conversation = row.get::<_, Option<[u8; 16]>>(2)?.map(ConversationId::from_bytes);
    Ok(HoldRow {
        name: row.get(0)?,
        unit: exchange.map(Unit::Exchange).or(conversation.map(Unit::Conversation)),
        authority: row.get(3)?,
        placed: Time::from_micros(row.get(4)?),
        released: row.get::<_, Option<i64>>(5)?.map(Time::from_micros),
    })
}
