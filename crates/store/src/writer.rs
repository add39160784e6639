//! The one thread that writes.
//!
//! Jobs wait in a bounded queue. The thread takes the first, drains what else waits, runs them in
//! one transaction and answers all after its one commit: many writers share one synchronisation of
//! the disk. Another process may append to the same logs, because each transaction takes the write
//! lock first and then reads the head again if anyone else has committed.

use crate::batches::{self, Change};
use crate::connection::BUSY_TIMEOUT;
use crate::deployment::{NewAnchor, StampRow};
use crate::error::{Error, Fault, StopReason};
use crate::figures::{Counts, WriterFigures};
use crate::folder::Turn;
use crate::pruning;
use crate::rows::{CheckpointRow, Effect, Forgotten, LogPosition, TenantRow};
use crate::search::{self, Indexed};
use crate::sql::{self, dialect};
use crate::statements::{self, PROBE_BYTES, read_one, run};
use ledger::{
    Blob, ContentKeyId, Day, DeploymentId, Entry, Head, LogId, Receipt, TenantId, Time, Unrecorded,
};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Jobs that may wait. Beyond it senders wait: enough for every stream of a busy machine to have
/// one window and one record under way, and no more memory than those streams hold anyway.
const QUEUE_JOBS: usize = 1024;
/// Jobs in one transaction: after this many, one more hardly lowers the cost of the commit.
const BATCH_JOBS: usize = 256;
/// Bytes in one transaction, so that one commit stays short and its pages in the cache.
const BATCH_BYTES: usize = 4 << 20;
/// What one entry may weigh: above the largest body that the server accepts, sealed twice.
pub(crate) const ENTRY_BYTES: usize = 64 << 20;
/// Pages written after which the write-ahead log is copied back: about 16 MiB.
const WAL_PAGES: u64 = 4096;
/// SQLite's page size, for the estimate of pages written.
const PAGE_BYTES: u64 = 4096;
/// Pages that one job touches beside its own bytes: indexes, tables' last pages.
const PAGES_PER_JOB: u64 = 4;
/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    Append {
        tenant: TenantId,
        entry: Entry,
        effects: Vec<Effect>,
    },
    Keep {
        tenant: TenantId,
        window: Blob,
    },
    AddTenant {
        row: TenantRow,
        entry: Entry,
    },
    CloseShelf {
        tenant: TenantId,
        shelf: ContentKeyId,
    },
    Forget {
        tenant: TenantId,
        disposal: u64,
        forgotten: Vec<Forgotten>,
    },
    AddCheckpoint {
        tenant: TenantId,
        row: CheckpointRow,
    },
    AddAnchor(Box<NewAnchor>),
    AddStamp {
        size: u64,
        stamp: StampRow,
    },
    AddCosignature {
        size: u64,
        witness: String,
        line: String,
    },
    PurgeSurrogates {
        tenant: TenantId,
        now: Time,
    },
    PurgeSpent {
        tenant: TenantId,
        before: Day,
    },
    MoveFeed {
        tenant: TenantId,
        feed: String,
        position: LogPosition,
    },
    MoveCopy {
        tenant: TenantId,
        copy: String,
        position: LogPosition,
    },
    Prune {
        tenant: TenantId,
    },
    Change {
        tenant: TenantId,
        changes: Vec<Change>,
    },
    PurgeBatches {
        tenant: TenantId,
        now: Time,
        made_before: Time,
    },
    Probe,
    #[cfg(test)]
    Poke(fn(&Connection)),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Appended(Receipt),
    Rows(u64),
}

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unrecorded(Unrecorded),
    Conflict,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unrecorded(unrecorded) => Self::Unrecorded(unrecorded),
            Refusal::Conflict => Self::Conflict,
        }
    }
}

impl From<Refusal> for Unrecorded {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unrecorded(unrecorded) => unrecorded,
            Refusal::Conflict => Self::Conflict,
        }
    }
}

type Answer = Result<Done, Refusal>;

struct Job {
    work: Work,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

impl Job {
    fn answer(self, answer: Answer) {
        if self.answer.send(answer).is_err() {
            // What is durable stays durable.
            tracing::debug!("the caller of an append is gone");
        }
    }
}

/// What others may see of the writer.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stop: OnceLock<StopReason>,
    commits: AtomicU64,
    counts: Counts,
}

impl Shared {
    pub(crate) fn health(&self) -> Result<(), StopReason> {
        self.stop.get().map_or(Ok(()), |reason| Err(*reason))
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn stop(&self, reason: StopReason) {
        if self.stop.set(reason).is_ok() {
            tracing::error!(%reason, "nothing is recorded until a restart");
        }
    }
}

/// The sending end of the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) shared: Arc<Shared>,
}

impl Queue {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        turn: Turn,
        deployment: DeploymentId,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = mpsc::channel(QUEUE_JOBS);
        let writer = Writer {
            connection,
            turn,
            deployment,
            shared: Arc::clone(&shared),
            heads: BTreeMap::new(),
            indexed: BTreeMap::new(),
            dirty: BTreeSet::new(),
            governed: false,
            data_version: None,
            wal_pages: 0,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(Error::file("start the writer's thread"))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), shared })
    }

    /// What was written, and what waits.
    pub(crate) fn figures(&self) -> WriterFigures {
        let taken = |sender: &mpsc::Sender<Job>| sender.max_capacity() - sender.capacity();
        WriterFigures {
            batches: self.shared.counts.batches.read(),
            commits: self.shared.counts.commits.read(),
            waiting: self.sender.as_ref().map_or(0, taken) as u64,
        }
    }

    /// Hands in one job and waits until it is durable, or refused.
    pub(crate) async fn submit(&self, work: Work) -> Answer {
        const STOPPED: Answer = Err(Refusal::Unrecorded(Unrecorded::Stopped));
        let bytes = weight(&work);
        if bytes > ENTRY_BYTES {
            return Err(Refusal::Unrecorded(Unrecorded::TooLarge));
        }
        let (answer, answered) = oneshot::channel();
        let Some(sender) = &self.sender else { return STOPPED };
        if sender.send(Job { work, bytes, answer }).await.is_err() {
            return STOPPED;
        }
        answered.await.unwrap_or(STOPPED)
    }
}

impl Drop for Queue {
    /// Closes the queue and waits for what is in it, at most one commit per batch.
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer's thread had ended in a panic");
        }
    }
}

fn weight(work: &Work) -> usize {
    match work {
        Work::Append { entry, effects, .. } => {
            let bytes = effects.iter().map(|effect| match effect {
                Effect::AddConfiguration(row) => row.bytes.len(),
                Effect::AddDocument(document) => document.sealed.len(),
                Effect::Batch(change) => change.weight(),
                Effect::AddApiKey(_)
                | Effect::RevokeApiKey { .. }
                | Effect::Spend(_)
                | Effect::Notice(_) => 0,
            });
            entry_weight(entry) + bytes.sum::<usize>()
        }
        Work::Keep { window, .. } => window.sealed.len(),
        Work::AddTenant { entry, .. } => entry_weight(entry),
        Work::AddStamp { stamp, .. } => stamp.token.len(),
        Work::AddCheckpoint { .. }
        | Work::CloseShelf { .. }
        | Work::Forget { .. }
        | Work::AddAnchor(_)
        | Work::AddCosignature { .. }
        | Work::PurgeSurrogates { .. }
        | Work::PurgeSpent { .. }
        | Work::MoveFeed { .. }
        | Work::MoveCopy { .. }
        | Work::PurgeBatches { .. }
        | Work::Prune { .. } => 0,
        Work::Change { changes, .. } => changes.iter().map(Change::weight).sum(),
        Work::Probe => PROBE_BYTES,
        #[cfg(test)]
        Work::Poke(_) => 0,
    }
}

fn entry_weight(entry: &Entry) -> usize {
    let blobs = entry.blobs.iter().map(|blob| blob.sealed.len());
    let surrogates = entry.surrogates.iter().map(|surrogate| surrogate.sealed.len());
    blobs.chain(surrogates).sum()
}

struct Writer {
    connection: Connection,
    turn: Turn,
    deployment: DeploymentId,
    shared: Arc<Shared>,
    /// The heads as of the last commit that was seen, moved on by the batch under way.
    heads: BTreeMap<TenantId, Head>,
    /// What stands in the index of each log, as far as it matters for the next record.
    indexed: BTreeMap<TenantId, Indexed>,
    /// Logs that the batch under way appended to.
    dirty: BTreeSet<TenantId>,
    /// Whether the batch under way changed tenants, API keys or configuration.
    governed: bool,
    /// What the database said when `heads` was true; absent when it is not.
    data_version: Option<i64>,
    wal_pages: u64,
}

impl Writer {
    fn run(mut self, mut receiver: mpsc::Receiver<Job>) {
        let _stop_on_panic = StopOnPanic(Arc::clone(&self.shared));
        while let Some(first) = receiver.blocking_recv() {
            let batch = gather(first, &mut receiver);
            self.run_batch(batch);
            self.checkpoint_wal_when_due();
        }
    }

    fn run_batch(&mut self, batch: Vec<Job>) {
        if self.shared.health().is_err() {
            return answer_all(batch, Refusal::Unrecorded(Unrecorded::Stopped));
        }
        match self.attempt(&batch) {
            Ok(answers) => {
                for (job, answer) in batch.into_iter().zip(answers) {
                    job.answer(answer);
                }
            }
            // One job spoilt the transaction of all. Alone, each gets its own answer.
            Err(Fault::Conflict | Fault::TooLarge) if batch.len() > 1 => {
                for job in batch {
                    self.run_batch(vec![job]);
                }
            }
            Err(fault) => {
                let refusal = self.refusal(fault);
                answer_all(batch, refusal);
            }
        }
    }

    fn refusal(&self, fault: Fault) -> Refusal {
        match fault {
            Fault::Full => {
                tracing::warn!("the disk has no room for the log");
                Refusal::Unrecorded(Unrecorded::Full)
            }
            Fault::Busy => {
                tracing::warn!("another process holds the write lock of the database");
                Refusal::Unrecorded(Unrecorded::Busy)
            }
            Fault::Conflict => {
                tracing::warn!("an entry contradicts what is stored");
                Refusal::Conflict
            }
            Fault::TooLarge => Refusal::Unrecorded(Unrecorded::TooLarge),
            Fault::Stop(reason) => {
                self.stop(reason);
                Refusal::Unrecorded(Unrecorded::Stopped)
            }
        }
    }

    fn stop(&self, reason: StopReason) {
        self.shared.stop(reason);
        // After a failed write nothing more is copied into the database: the next start recovers
        // from the write-ahead log as it lies on the disk.
        let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if self.connection.set_db_config(config, true).is_err() {
            tracing::error!("the database may be checkpointed when it is closed");
        }
    }

    /// One transaction. When it fails nothing of it is kept, on the disk or in memory.
    fn attempt(&mut self, batch: &[Job]) -> Result<Vec<Answer>, Fault> {
        let started = Instant::now();
        self.turn.take(BUSY_TIMEOUT);
        let begun = self.step(dialect::BEGIN, "beginning a transaction");
        self.turn.give_up();
        begun?;
        let answers = self.apply_all(batch).and_then(|answers| {
            self.step(sql::COMMIT, "committing")?;
            Ok(answers)
        });
        if answers.is_ok() {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.shared.counts.batches.add(batch.len() as u64);
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.shared.counts.commits.add(micros);
            self.dirty.clear();
            self.governed = false;
            let bytes: usize = batch.iter().map(|job| job.bytes).sum();
            self.wal_pages += batch.len() as u64 * PAGES_PER_JOB + bytes as u64 / PAGE_BYTES;
        } else {
            self.roll_back()?;
        }
        answers
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        self.dirty.clear();
        self.governed = false;
        // The heads in memory have moved on with the batch: read them again.
        self.data_version = None;
        self.indexed.clear();
        // Some errors end the transaction by themselves.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        let during = "rolling back";
        match self.step(sql::ROLLBACK, during) {
            Ok(()) => Ok(()),
            Err(Fault::Stop(reason)) => Err(Fault::Stop(reason)),
            Err(Fault::Full | Fault::Busy | Fault::Conflict | Fault::TooLarge) => {
                Err(Fault::stop(during))
            }
        }
    }

    fn step(&self, text: &str, during: &'static str) -> Result<(), Fault> {
        run(&self.connection, text, [], during).map(|_| ())
    }

    fn apply_all(&mut self, batch: &[Job]) -> Result<Vec<Answer>, Fault> {
        self.forget_heads_if_another_process_wrote()?;
        let answers =
            batch.iter().map(|job| self.apply(&job.work)).collect::<Result<Vec<_>, _>>()?;
        for tenant in &self.dirty {
            let Some(head) = self.heads.get(tenant) else {
                return Err(Fault::stop("writing a head that is not in memory"));
            };
            let values = params![head.to_bytes(), tenant.as_bytes()];
            if run(&self.connection, sql::SET_HEAD, values, "writing a head")? != 1 {
                return Err(Fault::stop("writing a head that is not in the database"));
            }
        }
        if self.governed {
            self.step(sql::BUMP_GOVERNED, "counting a change")?;
        }
        Ok(answers)
    }

    fn forget_heads_if_another_process_wrote(&mut self) -> Result<(), Fault> {
        // Inside the transaction, so that nobody can commit between this look and our commit.
        let version =
            read_one(&self.connection, dialect::DATA_VERSION, [], "looking for other writers")?;
        if self.data_version != Some(version) {
            self.heads.clear();
            self.indexed.clear();
            self.data_version = Some(version);
        }
        Ok(())
    }

    /// `Ok(Err(_))`: this job is refused and has changed nothing. `Err`: the batch fails.
    fn apply(&mut self, work: &Work) -> Result<Answer, Fault> {
        let connection = &self.connection;
        let rows = match work {
            Work::Append { tenant, entry, effects } => {
                return self.append(*tenant, entry, effects);
            }
            Work::AddTenant { row, entry } => {
                statements::add_tenant(connection, row)?;
                self.governed = true;
                let answer = self.append(row.id, entry, &[])?;
                // Without its first record the rows above must go too.
                return if answer.is_ok() { Ok(answer) } else { Err(Fault::TooLarge) };
            }
            Work::Keep { tenant, window } => statements::add_blob(connection, *tenant, window)?,
            Work::AddCheckpoint { tenant, row } => {
                statements::add_checkpoint(connection, *tenant, row)?
            }
            Work::CloseShelf { tenant, shelf } => {
                statements::close_shelf(connection, *tenant, *shelf)?
            }
            Work::Forget { tenant, disposal, forgotten } => {
                statements::forget(connection, *tenant, *disposal, forgotten)?
            }
            Work::AddAnchor(new) => statements::add_anchor(connection, new)?,
            Work::AddStamp { size, stamp } => statements::add_stamp(connection, *size, stamp)?,
            Work::AddCosignature { size, witness, line } => {
                statements::add_cosignature(connection, *size, witness, line)?
            }
            Work::PurgeSurrogates { tenant, now } => {
                statements::purge_surrogates(connection, *tenant, *now)?
            }
            Work::PurgeSpent { tenant, before } => {
                statements::purge_spent(connection, *tenant, *before)?
            }
            Work::MoveFeed { tenant, feed, position } => {
                statements::move_feed(connection, *tenant, feed, position)?
            }
            Work::MoveCopy { tenant, copy, position } => {
                statements::move_copy(connection, *tenant, copy, position)?
            }
            Work::Prune { tenant } => pruning::prune(connection, *tenant)?,
            Work::Change { tenant, changes } => {
                for change in changes {
                    batches::apply(connection, *tenant, change)?;
                }
                changes.len() as u64
            }
            Work::PurgeBatches { tenant, now, made_before } => {
                batches::purge(connection, *tenant, *now, *made_before)?
            }
            Work::Probe => statements::probe(connection)?,
            #[cfg(test)]
            Work::Poke(poke) => {
                poke(connection);
                0
            }
        };
        Ok(Ok(Done::Rows(rows)))
    }

    fn append(
        &mut self,
        tenant: TenantId,
        entry: &Entry,
        effects: &[Effect],
    ) -> Result<Answer, Fault> {
        let log = LogId { deployment: self.deployment, tenant };
        let head = match self.heads.entry(tenant) {
            btree_map::Entry::Occupied(head) => head.into_mut(),
            btree_map::Entry::Vacant(place) => {
                place.insert(statements::read_head(&self.connection, tenant)?)
            }
        };
        // Sealing moves the head before anything is stored; a later fault in the batch discards it.
        let sealed = match head.seal_next(log, entry.time, &entry.event) {
            Ok(sealed) => sealed,
            Err(unrecorded) => return Ok(Err(Refusal::Unrecorded(unrecorded))),
        };
        self.dirty.insert(tenant);
        let connection = &self.connection;
        if let Some(unit) = &entry.unit {
            statements::add_unit(connection, tenant, unit)?;
        }
        for effect in effects {
            self.governed |= effect.is_governed();
            statements::apply_effect(connection, tenant, effect, sealed.seq, &sealed.bytes)?;
        }
        for surrogate in &entry.surrogates {
            statements::add_surrogate(connection, tenant, surrogate)?;
        }
        for blob in &entry.blobs {
            statements::add_blob(connection, tenant, blob)?;
        }
        statements::index(connection, tenant, entry.time, &entry.event, sealed.seq)?;
        statements::add_record(connection, tenant, sealed.seq, sealed.leaf, &sealed.bytes)?;
        let indexed = self.indexed.entry(tenant).or_default();
        let place = (sealed.seq, entry.time);
        search::index(connection, tenant, indexed, place, &entry.event)?;
        for subtree in &sealed.complete {
            statements::add_subtree(connection, tenant, subtree)?;
        }
        Ok(Ok(Done::Appended(Receipt { log, seq: sealed.seq, leaf: sealed.leaf })))
    }

    /// Copies the write-ahead log back, after the answers were given.
    fn checkpoint_wal_when_due(&mut self) {
        if self.wal_pages < WAL_PAGES || self.shared.health().is_err() {
            return;
        }
        self.wal_pages = 0;
        let during = "copying the write-ahead log back";
        let done = read_one::<i64>(&self.connection, dialect::CHECKPOINT_WAL, [], during);
        match done {
            Ok(_) | Err(Fault::Busy) => {}
            Err(Fault::Full) => tracing::warn!("the disk has no room to tidy the database"),
            Err(Fault::Stop(reason)) => self.stop(reason),
            Err(Fault::Conflict | Fault::TooLarge) => self.stop(StopReason { during, code: 0 }),
        }
    }
}

/// A panic of the writer stops the log like any other failure that nobody foresaw.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(StopReason { during: "running the writer's thread", code: 0 });
        }
    }
}

fn gather(first: Job, receiver: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.bytes;
    let mut batch = vec![first];
    while batch.len() < BATCH_JOBS && bytes < BATCH_BYTES {
        let Ok(job) = receiver.try_recv() else { break };
        bytes += job.bytes;
        batch.push(job);
    }
    batch
}

fn answer_all(batch: Vec<Job>, refusal: Refusal) {
    for job in batch {
        job.answer(Err(refusal));
    }
}

#[cfg(test)]
mod tests;
