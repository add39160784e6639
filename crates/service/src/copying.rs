//! Copies the log into object storage that nobody can write anew, not even who runs this server.
//!
//! An object is written once and never over another: chunks of records up to a signed checkpoint, then the
//! checkpoint, then who vouches for it. What is there is the truth. Each start lists it and compares its
//! end with the log, which through the chain is all of it; an object that holds other bytes than ours is
//! another past, and the copy stops until a person has looked. The position in the database only says what
//! must be there at the least.
//!
//! Nothing waits for a copy, and nothing is taken away by it. Keys are never copied: what cannot be
//! forgotten there could not be forgotten at all.

use crate::anchoring::turn;
use crate::export::ReadError;
use crate::feed::{PositionView, wait};
use crate::house::{Error, House};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gate::rules::{CoveredCopy, Credential, LogCopy};
use ledger::bundle::{
    AnchorFile, Chunk, Committed, Part, archive_name, blob_file, cosignature_name,
};
use ledger::tree::leaf_hash;
use ledger::{ContentClass, Entry, Event, Hash, Record};
use providers::{BucketFailure, BucketLogin, Lock, Put, Secret};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::LogPosition;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a copy is due, or gone from the configuration.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often the bucket is asked whether it locks what it holds.
const LOCK_INTERVAL: Duration = Duration::from_hours(1);

/// Records that are read at once.
const BATCH_RECORDS: usize = 512;

/// Bytes of records after which an object is full: some ten thousand records, and one request.
const OBJECT_BYTES: usize = 8 << 20;

/// Holes in a copy that are filled. More is no accident.
const MAX_HOLES: usize = 1000;

/// Names of objects that are known to be there, so that they are not written again and again.
const MAX_WRITTEN: usize = 1000;

/// A year of a lock, as buckets count it.
const YEAR_DAYS: u32 = 365;

const BEGINNING: LogPosition = LogPosition { next: 0, before: Hash::ZERO };

/// The copies of a house while it serves.
#[derive(Default)]
pub(crate) struct Copies {
    runs: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Run>>>>,
    failing: Mutex<BTreeSet<String>>,
}

impl Copies {
    fn run(&self, id: &str) -> Arc<tokio::sync::Mutex<Run>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(runs.entry(id.to_owned()).or_default())
    }

    fn forget(&self, id: &str) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// One copy at work.
#[derive(Default)]
struct Run {
    /// The copy as it was when the bucket was asked.
    copy: Option<LogCopy>,
    /// Where the next object begins; absent until the bucket was asked.
    at: Option<LogPosition>,
    /// What the database knows of that.
    kept: u64,
    /// The last turn ran to its end, so that the bucket holds what we think.
    sure: bool,
    /// Positions that are not in the bucket though later ones are, both ends among them.
    holes: VecDeque<(u64, u64)>,
    written: BTreeSet<String>,
    lock_asked: Option<Instant>,
    /// What was told of the lock.
    lock_told: Option<&'static str>,
    /// The bucket holds another past.
    forked: Option<&'static str>,
}

/// Why a turn ended early.
#[derive(Debug)]
enum Stop {
    /// The bucket, in a word for the log.
    Failing(&'static str),
    /// The bucket and the log do not hold the same past. Nothing more is copied.
    Forked(&'static str),
    /// The house itself.
    House(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::House(error)
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self::House(error.into())
    }
}

impl From<BucketFailure> for Stop {
    fn from(BucketFailure { reason }: BucketFailure) -> Self {
        Self::Failing(reason)
    }
}

/// The log does not hold what was copied from it.
const REWRITTEN: Stop = Stop::Forked("log_rewritten");

/// A text without its first lines.
fn lines_from(text: &[u8], passed: usize) -> &[u8] {
    let mut rest = text;
    for _ in 0..passed {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        rest = rest.get(end..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
    }
    rest
}

impl House {
    /// Copies the log to every copy of the configuration, each at its own pace, until it is dropped.
    pub(crate) async fn keep_copying(&self) {
        let mut running = FuturesUnordered::new();
        let mut ids = BTreeSet::new();
        loop {
            if let Some(in_force) = self.in_force.load_full() {
                for copy in in_force.rules.copies() {
                    if ids.insert(copy.id().to_owned()) {
                        running.push(Box::pin(self.keep_copy(copy.id().to_owned())));
                    }
                }
            }
            tokio::select! {
                Some(gone) = running.next() => drop(ids.remove(&gone)),
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Keeps one copy until the configuration no longer has it.
    async fn keep_copy(&self, id: String) -> String {
        let mut failures = 0;
        while let Some(copy) = self.copy_in_force(&id) {
            let turned = Box::pin(self.copy_turn_if_covered(&copy)).await;
            failures = if turned.is_ok() { 0 } else { failures + 1 };
            let every = Duration::from_secs(u64::from(copy.every_seconds()));
            let pause = if turned.is_ok() { every } else { wait(failures, &*self.entropy) };
            self.tell_of_copy(&id, turned).await;
            let begun = Instant::now();
            while begun.elapsed() < pause && self.copy_in_force(&id).as_ref() == Some(&copy) {
                sleep(LOOK_INTERVAL.min(pause)).await;
            }
        }
        self.copies.forget(&id);
        turn(&self.copies.failing, &id, false);
        id
    }

    fn copy_in_force(&self, id: &str) -> Option<LogCopy> {
        self.in_force.load().as_ref()?.rules.copy(id).cloned()
    }

    async fn copy_turn_if_covered(&self, copy: &LogCopy) -> Result<(), Stop> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(()) };
        match copy.cover(in_force.rules.registry(), self.clock.now()) {
            Ok(covered) => self.copy_turn(&covered).await,
            Err(gap) => {
                tracing::warn!(copy = copy.id(), %gap, "nothing is copied there");
                Err(Stop::Failing("uncovered"))
            }
        }
    }

    /// Copies what is new, if the bucket takes it.
    async fn copy_turn(&self, covered: &CoveredCopy<'_>) -> Result<(), Stop> {
        let run = self.copies.run(covered.copy().id());
        let mut run = run.lock().await;
        if run.copy.as_ref() != Some(covered.copy()) {
            *run = Run { copy: Some(covered.copy().clone()), ..Run::default() };
        }
        if let Some(reason) = run.forked {
            return Err(Stop::Forked(reason));
        }
        let login = self.bucket_login(covered.copy())?;
        let folder = format!("{}/{}/", self.log.deployment, self.log.tenant);
        let this = Turn { house: self, covered, login, folder };
        // A turn that fails or is dropped half-way leaves this as it is: the bucket is asked again.
        let sure = std::mem::replace(&mut run.sure, false);
        let turned = this.go(&mut run, sure).await;
        match &turned {
            Ok(()) => run.sure = true,
            Err(Stop::Forked(reason)) => run.forked = Some(*reason),
            Err(Stop::Failing(_) | Stop::House(_)) => {}
        }
        turned
    }

    fn bucket_login(&self, copy: &LogCopy) -> Result<BucketLogin, Stop> {
        let read = crate::configuration::read_small;
        let secret = |credential: &Credential| {
            let found = match credential {
                Credential::None => return Ok(None),
                Credential::Env(name) => (self.environment)(name),
                Credential::File(path) => read(path),
            };
            let found = found.map(|text| Some(Secret::new(&text)));
            found.ok_or(Stop::Failing("secret_unreadable"))
        };
        let key = |credential| secret(credential)?.ok_or(Stop::Failing("secret_unreadable"));
        let pem = copy.ca_file().map(|path| {
            let text = read(path).ok_or(Stop::Failing("certificates_unreadable"))?;
            Ok::<Vec<u8>, Stop>(text.into_bytes())
        });
        Ok(BucketLogin {
            access_key: key(copy.access_key())?,
            secret_key: key(copy.secret_key())?,
            session_token: secret(copy.session_token())?,
            authority_pem: pem.transpose()?,
        })
    }

    /// Says once that a copy fails, until it works again.
    async fn tell_of_copy(&self, id: &str, turned: Result<(), Stop>) {
        let reason = match turned {
            Ok(()) => {
                turn(&self.copies.failing, &missing(id), false);
                if turn(&self.copies.failing, id, false) {
                    tracing::info!(copy = id, "the log is copied again");
                }
                return;
            }
            Err(Stop::House(error)) => {
                tracing::error!(copy = id, %error, "the copy cannot go on; it is tried again");
                return;
            }
            Err(Stop::Failing(reason) | Stop::Forked(reason)) => reason,
        };
        if !turn(&self.copies.failing, id, true) {
            return;
        }
        if !self.record_copy(id, reason).await {
            // Told again at the next try.
            turn(&self.copies.failing, id, false);
        }
    }

    /// Records what is wrong with a copy; says whether that is durable.
    async fn record_copy(&self, id: &str, reason: &str) -> bool {
        tracing::error!(copy = id, reason, "the copy of the log is not what it must be");
        let event = Event::CopyFailing { copy: id.to_owned(), reason: reason.to_owned() };
        let entry = Entry::bare(self.clock.now(), event);
        let recorded = self.tenant.append_with(entry, Vec::new()).await;
        if let Err(error) = &recorded {
            tracing::error!(copy = id, %error, "that a copy fails is not recorded");
        }
        recorded.is_ok()
    }

    /// Copies the last records.
    pub(crate) async fn finish_copies(&self) {
        let Some(in_force) = self.in_force.load_full() else { return };
        let finish = |copy| async move {
            if let Err(stop) = self.copy_turn_if_covered(copy).await {
                tracing::warn!(copy = copy.id(), ?stop, "the copy is not at the end of the log");
            }
        };
        join_all(in_force.rules.copies().map(finish)).await;
    }

    /// Where each copy of the configuration is.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn copies(&self) -> Result<Vec<PositionView>, Error> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(Vec::new()) };
        let size = self.tenant.head().await?.size();
        let mut views = Vec::new();
        for copy in in_force.rules.copies() {
            let position = self.tenant.copy_position(copy.id()).await?;
            let next = position.map_or(0, |position| position.next);
            views.push(PositionView { id: copy.id().to_owned(), next, size });
        }
        Ok(views)
    }
}

/// What is told of objects that are gone, once until all is there again. No id has a space.
fn missing(id: &str) -> String {
    format!("{id} objects_missing")
}

/// One turn of one copy.
struct Turn<'a> {
    house: &'a House,
    covered: &'a CoveredCopy<'a>,
    login: BucketLogin,
    /// Of this log, below the prefix of the copy.
    folder: String,
}

/// Records as one object.
struct Written {
    chunk: Chunk,
    bytes: Vec<u8>,
    after: LogPosition,
    committed: Committed,
}

impl Turn<'_> {
    async fn go(&self, run: &mut Run, sure: bool) -> Result<(), Stop> {
        self.ask_lock(run).await?;
        let mut at = match run.at {
            Some(at) if sure => at,
            known => self.find(run, known).await?,
        };
        let tenant = &self.house.tenant;
        let Some(checkpoint) = tenant.last_checkpoint().await? else { return Ok(()) };
        while let Some((first, last)) = run.holes.front().copied() {
            let after = self.write(self.position(first).await?, last + 1).await?;
            run.holes.pop_front();
            if after.next <= last {
                run.holes.push_front((after.next, last));
            }
        }
        while at.next < checkpoint.size {
            at = self.write(at, checkpoint.size).await?;
            run.at = Some(at);
            if at.next > run.kept {
                tenant.move_copy(self.covered.copy().id(), at).await?;
                run.kept = at.next;
            }
        }
        self.once(run, Part::EarlierCheckpoint(checkpoint.size), checkpoint.note).await?;
        self.copy_anchors(run, at.next).await
    }

    /// Tells when the bucket does not lock what is written, or not as long as it must: then this is a
    /// copy, and whoever holds the bucket can write it anew.
    async fn ask_lock(&self, run: &mut Run) -> Result<(), Stop> {
        if run.lock_asked.is_some_and(|asked| asked.elapsed() < LOCK_INTERVAL) {
            return Ok(());
        }
        let (providers, now) = (&self.house.providers, self.house.clock.now());
        let lock = providers.lock(self.covered, &self.login, now).await?;
        let copy = self.covered.copy();
        let told = match lock {
            Lock::Compliance { days } if days >= copy.lock_years() * YEAR_DAYS => None,
            Lock::Compliance { .. } => Some("lock_too_short"),
            Lock::Governance | Lock::Open => Some("not_locked"),
            Lock::Unknown => Some("lock_unknown"),
        };
        if run.lock_told != told
            && let Some(reason) = told
            && !self.house.record_copy(copy.id(), reason).await
        {
            return Ok(());
        }
        (run.lock_told, run.lock_asked) = (told, Some(Instant::now()));
        Ok(())
    }

    /// Asks the bucket how far it is, and checks that the log still holds what is there.
    async fn find(&self, run: &mut Run, known: Option<LogPosition>) -> Result<LogPosition, Stop> {
        let id = self.covered.copy().id();
        let stored = self.house.tenant.copy_position(id).await?.unwrap_or(BEGINNING);
        for position in [Some(stored), known].into_iter().flatten() {
            if self.position(position.next).await? != position {
                return Err(REWRITTEN);
            }
        }
        let from = known.unwrap_or(BEGINNING).next;
        let listed = self.list(from).await?;
        if let Some(chunk) = listed.last {
            self.compare(chunk).await?;
        }
        let next = listed.next;
        if !listed.holes.is_empty() || next < stored.next {
            // It is written again, and the log says that it was gone.
            let told = missing(id);
            if turn(&self.house.copies.failing, &told, true)
                && !self.house.record_copy(id, "objects_missing").await
            {
                turn(&self.house.copies.failing, &told, false);
            }
        }
        run.holes = listed.holes;
        run.kept = stored.next;
        let at = self.position(next).await?;
        run.at = Some(at);
        Ok(at)
    }

    /// The chunks from a position on that the bucket has.
    async fn list(&self, from: u64) -> Result<Listed, Stop> {
        let below = format!("{}{}", self.folder, Chunk::FOLDER);
        let mut after = format!("{}{}", self.folder, Chunk::before(from));
        let mut listed = Listed { next: from, last: None, holes: VecDeque::new() };
        loop {
            let (providers, now) = (&self.house.providers, self.house.clock.now());
            let page = providers.objects(self.covered, &self.login, &below, &after, now).await?;
            let names = page.names.iter().filter_map(|name| name.strip_prefix(&self.folder));
            for chunk in names.filter_map(Chunk::of) {
                listed.add(chunk)?;
            }
            match page.names.last() {
                Some(last) if page.more && *last > after => after.clone_from(last),
                Some(_) if page.more => return Err(Stop::Failing("garbage")),
                Some(_) | None => return Ok(listed),
            }
        }
    }

    /// Checks that the log holds the records of an object of the bucket.
    async fn compare(&self, chunk: Chunk) -> Result<(), Stop> {
        if self.house.tenant.head().await?.size() <= chunk.last {
            return Err(Stop::Forked("holds_more"));
        }
        let pruned = self.house.tenant.pruned().await?.size();
        let before = self.position(chunk.first.max(pruned)).await?;
        let ours = self.read(before, chunk.last + 1, usize::MAX).await?;
        // What was pruned here is there, and cannot be compared.
        let passed = usize::try_from(before.next - chunk.first).unwrap_or(usize::MAX);
        match self.object(&chunk.to_string()).await? {
            Some(theirs) if lines_from(&theirs, passed) == ours.bytes => Ok(()),
            Some(_) => Err(REWRITTEN),
            None => Err(Stop::Failing("objects_missing")),
        }
    }

    /// The position with what stands before it in the log.
    async fn position(&self, next: u64) -> Result<LogPosition, Stop> {
        let Some(last) = next.checked_sub(1) else { return Ok(BEGINNING) };
        let before = self.house.leaf_of(last).await?.ok_or(REWRITTEN)?;
        Ok(LogPosition { next, before })
    }

    /// Reads records before position `end`, each of which must follow the one before it, until they have
    /// so many bytes.
    async fn read(&self, from: LogPosition, end: u64, most_bytes: usize) -> Result<Written, Stop> {
        // A copy holds the whole log, and cannot begin with what was pruned.
        let pruned = self.house.tenant.pruned().await?.size();
        if pruned > 0 && from.next < pruned {
            return Err(Stop::Failing("log_pruned"));
        }
        let (mut bytes, mut after, mut committed) = (Vec::new(), from, Committed::default());
        while after.next < end && bytes.len() < most_bytes {
            let batch = self.house.tenant.records_from(after.next, BATCH_RECORDS).await?;
            if batch.is_empty() {
                return Err(REWRITTEN);
            }
            for (_, record_bytes) in batch {
                if after.next == end || bytes.len() >= most_bytes {
                    break;
                }
                let record = Record::from_bytes(&record_bytes).map_err(|_| REWRITTEN)?;
                let follows = record.seq == after.next && record.prev == after.before;
                if record.log != self.house.log || !follows {
                    return Err(REWRITTEN);
                }
                committed.add(&record.event);
                after = LogPosition { next: record.seq + 1, before: leaf_hash(&record_bytes) };
                bytes.extend_from_slice(&record_bytes);
                bytes.push(b'\n');
            }
        }
        let chunk = Chunk { first: from.next, last: after.next.saturating_sub(1) };
        Ok(Written { chunk, bytes, after, committed })
    }

    /// Writes the next object of records, and before it the content that its records name, where the
    /// configuration says so.
    async fn write(&self, from: LogPosition, end: u64) -> Result<LogPosition, Stop> {
        let Written { chunk, bytes, after, committed } = self.read(from, end, OBJECT_BYTES).await?;
        if self.covered.copy().content() {
            self.copy_content(&committed).await?;
        }
        self.put(&chunk.to_string(), bytes).await?;
        Ok(after)
    }

    async fn copy_content(&self, committed: &Committed) -> Result<(), Stop> {
        for exchange in committed.exchanges() {
            let blobs = self.house.tenant.blobs(exchange).await?;
            let kept = self.house.kept_classes(&blobs).await.map_err(|error| {
                if let ReadError::House(error) = error {
                    Stop::House(error)
                } else {
                    Stop::Failing("content_unreadable")
                }
            })?;
            for blob in blobs {
                let named = committed.names(blob.exchange, blob.part);
                if named && *kept.get(ContentClass::of_part(blob.part)) {
                    let name = Part::Blob(blob.exchange, blob.part).to_string();
                    self.put(&name, blob_file(&blob)).await?;
                }
            }
        }
        Ok(())
    }

    /// Copies the newest anchor of everybody who vouches for the log.
    async fn copy_anchors(&self, run: &mut Run, records: u64) -> Result<(), Stop> {
        let own_log = self.house.store.own_log();
        for row in own_log.newest_anchors().await? {
            let Some(anchor) = self.house.shown(row, records).await.map_err(Stop::House)? else {
                continue;
            };
            let (size, of) = (anchor.size, anchor.inclusion.of);
            let file = |file| Part::Anchor(size, file);
            if let Some(checkpoint) = self.house.tenant.checkpoint(of).await? {
                self.once(run, Part::EarlierCheckpoint(of), checkpoint.note).await?;
            }
            self.once(run, file(AnchorFile::Inclusion), anchor.inclusion.to_string()).await?;
            self.once(run, file(AnchorFile::Checkpoint), anchor.note).await?;
            for (witness, line) in own_log.cosigned(size).await? {
                self.once(run, cosignature_name(size, &witness), line).await?;
            }
            for (authority, token) in anchor.stamps {
                let name = format!("{}{authority}.tst", file(AnchorFile::Stamp));
                self.once(run, name, token).await?;
            }
            for (authority, pem) in self.house.archives() {
                self.once(run, archive_name(&authority, &pem), pem).await?;
            }
        }
        Ok(())
    }

    /// Writes a small object unless it is known to be there.
    async fn once(
        &self,
        run: &mut Run,
        name: impl ToString,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<(), Stop> {
        let name = name.to_string();
        if run.written.contains(&name) {
            return Ok(());
        }
        self.put(&name, bytes.into()).await?;
        if run.written.len() >= MAX_WRITTEN {
            run.written.clear();
        }
        run.written.insert(name);
        Ok(())
    }

    /// Writes an object. One that is there must be the same.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Stop> {
        let (providers, now) = (&self.house.providers, self.house.clock.now());
        let whole = format!("{}{name}", self.folder);
        match providers.put_object(self.covered, &self.login, &whole, bytes.clone(), now).await? {
            Put::Written => Ok(()),
            Put::Exists => match self.object(name).await? {
                Some(there) if there == bytes => Ok(()),
                Some(_) => Err(REWRITTEN),
                None => Err(Stop::Failing("objects_missing")),
            },
        }
    }

    async fn object(&self, name: &str) -> Result<Option<Vec<u8>>, Stop> {
        let (providers, now) = (&self.house.providers, self.house.clock.now());
        let whole = format!("{}{name}", self.folder);
        Ok(providers.object(self.covered, &self.login, &whole, now).await?)
    }
}

/// What the bucket has of the records.
struct Listed {
    /// The position behind the last one.
    next: u64,
    last: Option<Chunk>,
    holes: VecDeque<(u64, u64)>,
}

impl Listed {
    fn add(&mut self, chunk: Chunk) -> Result<(), Stop> {
        if chunk.first < self.next {
            // Somebody else writes there too.
            return Err(Stop::Forked("objects_overlap"));
        }
        if chunk.first > self.next {
            if self.holes.len() >= MAX_HOLES {
                return Err(Stop::Forked("objects_missing"));
            }
            self.holes.push_back((self.next, chunk.first - 1));
        }
        (self.next, self.last) = (chunk.last + 1, Some(chunk));
        Ok(())
    }
}
