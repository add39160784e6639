//! Delivers the log to the feeds of the configuration.
//!
//! Each feed goes on from its own position, which is kept in the database and moves forward only after
//! the receiver has what was before it. So every record arrives at least once and in order, through
//! outages, crashes and restarts, and one that arrives again is known by its position. Nothing waits for
//! a feed: the records wait for it, in the log, where they are anyway.
//!
//! Whether a webhook or a file has the lines is known at once. Syslog acknowledges nothing, so lines on a
//! connection count as arrived when it still lives some seconds later ([`SETTLE`]): by then the other
//! machine has acknowledged them, or the connection would be broken. What was sent on a connection that
//! broke before that is sent again.

use super::Logged;
use super::sink::{Parcel, Pulse, Sink, UNACKNOWLEDGED};
use super::syslog;
use crate::anchoring::turn;
use crate::house::{Error, House};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use gate::rules::{CoveredFeed, Feed, FeedTarget, LineFormat};
use ledger::{Entropy, Entry, Event, Hash, LogId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::LogPosition;
use tokio::time::{Instant, sleep};

/// How often a feed looks for new records. A SIEM has a record within a second or two, and the disk has
/// at most one write a second more for each feed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Records in one parcel.
const BATCH_RECORDS: usize = 256;

/// Bytes in one parcel after which it is sent: below what collectors take in one request.
const BATCH_BYTES: usize = 1 << 20;

/// Lines on a syslog connection that lives so long after them have arrived. Longer than the other
/// machine's TCP may leave them unacknowledged.
const SETTLE: Duration = Duration::from_secs(UNACKNOWLEDGED.as_secs() + 2);

/// A receiver that ends a connection in order had this long to read what came before.
const ORDERLY: Duration = Duration::from_secs(1);

/// Parcels on a syslog connection that have not settled: enough for some hundred thousand records, and a
/// few hundred kilobytes of memory.
const MAX_UNSETTLED: usize = 4096;

/// A connection that breaks so often without anything arrived is an outage.
const MAX_CUTS: u32 = 3;

/// Parcels of one turn. After it, whether the receiver is still covered is asked again.
const TURN_PARCELS: usize = 64;

/// The longest time between two tries.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// The position of a log of which nothing was delivered.
const BEGINNING: LogPosition = LogPosition { next: 0, before: Hash::ZERO };

/// The feeds of a house while it serves.
#[derive(Default)]
pub(crate) struct Feeds {
    runs: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Run>>>>,
    failing: Mutex<BTreeSet<String>>,
    /// One feed reads at a time: exchanges read from the same database.
    reading: tokio::sync::Mutex<()>,
}

/// Where a feed is, or a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionView {
    /// Its id.
    pub id: String,
    /// The position of the first record that may not be there.
    pub next: u64,
    /// Records of the log.
    pub size: u64,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There is more to send.
    More,
    /// Everything was sent; whether it arrived shows later.
    Sent,
    /// Something arrived, or there was nothing to send: the feed works.
    Works,
}

/// Why a turn ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The receiver, in a word for the log.
    Failing(&'static str),
    /// The connection ended; a new one may do.
    Cut,
    /// The receiver does not take that much at once.
    TooLarge,
    /// The log does not hold what was delivered from it. Nothing more is delivered.
    Rewritten,
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

/// One feed at work.
struct Run {
    /// The feed as it was when the sink was opened.
    feed: Option<Feed>,
    sink: Option<Sink>,
    /// Where the next line comes from; absent before the first turn.
    sent: Option<LogPosition>,
    /// What the receiver has.
    arrived: LogPosition,
    /// What the database knows of that.
    kept: LogPosition,
    kept_at: Instant,
    /// What was sent when, and has not settled.
    unsettled: VecDeque<(Instant, LogPosition)>,
    cuts: u32,
    /// Something arrived since the last failure.
    proved: bool,
    limit: usize,
    /// A sending that was dropped half-way may have left half a line.
    under_way: bool,
    rewritten: bool,
}

impl Run {
    fn new() -> Self {
        Self {
            feed: None,
            sink: None,
            sent: None,
            arrived: BEGINNING,
            kept: BEGINNING,
            kept_at: Instant::now(),
            unsettled: VecDeque::new(),
            cuts: 0,
            proved: false,
            limit: BATCH_RECORDS,
            under_way: false,
            rewritten: false,
        }
    }

    /// Lets go of the connection. What has not arrived is sent again.
    fn let_go(&mut self) {
        self.sink = None;
        self.unsettled.clear();
        self.sent = self.sent.map(|_| self.arrived);
    }

    /// Takes note of what was sent until `now` and still lives.
    fn settle(&mut self) -> Result<(), Stop> {
        let Some(Sink::Syslog(connection)) = &mut self.sink else { return Ok(()) };
        let pulse = connection.pulse();
        let age = match pulse {
            Pulse::Open => SETTLE,
            Pulse::Closed => ORDERLY,
            Pulse::Broken => Duration::MAX,
        };
        while let Some((at, position)) = self.unsettled.front().copied()
            && at.elapsed() >= age
        {
            self.unsettled.pop_front();
            self.arrive(position);
        }
        if pulse == Pulse::Open {
            return Ok(());
        }
        if self.unsettled.is_empty() {
            self.let_go();
            return Ok(());
        }
        self.cut()
    }

    fn arrive(&mut self, position: LogPosition) {
        (self.arrived, self.cuts, self.proved) = (position, 0, true);
    }

    /// How a turn that did not fail ended.
    fn state(&self) -> Turn {
        let nothing_open = self.sent == Some(self.arrived);
        if self.proved || nothing_open { Turn::Works } else { Turn::Sent }
    }

    /// The connection ended before everything arrived.
    fn cut(&mut self) -> Result<(), Stop> {
        self.let_go();
        self.cuts += 1;
        if self.cuts < MAX_CUTS { Ok(()) } else { Err(Stop::Failing("cut")) }
    }
}

impl House {
    /// Delivers to every feed of the configuration, each at its own pace, until it is dropped.
    pub(crate) async fn keep_delivering(&self) {
        let mut running = FuturesUnordered::new();
        let mut ids = BTreeSet::new();
        loop {
            if let Some(in_force) = self.in_force.load_full() {
                for feed in in_force.rules.feeds() {
                    if ids.insert(feed.id().to_owned()) {
                        running.push(Box::pin(self.keep_feeding(feed.id().to_owned())));
                    }
                }
            }
            tokio::select! {
                Some(gone) = running.next() => drop(ids.remove(&gone)),
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Delivers to one feed until the configuration no longer has it.
    async fn keep_feeding(&self, id: String) -> String {
        let mut failures = 0;
        loop {
            let Some(in_force) = self.in_force.load_full() else { break };
            let Some(feed) = in_force.rules.feed(&id) else { break };
            let registry = in_force.rules.registry();
            let turn = match feed.cover(registry, self.clock.now()) {
                Ok(covered) => self.feed_turn(&covered).await,
                Err(gap) => {
                    tracing::warn!(feed = %id, %gap, "nothing is sent there");
                    self.feeds.forget(&id);
                    Err(Stop::Failing("uncovered"))
                }
            };
            let pause = match &turn {
                Ok(Turn::More) => Duration::ZERO,
                Ok(Turn::Sent) => LOOK_INTERVAL,
                Ok(Turn::Works) => {
                    failures = 0;
                    LOOK_INTERVAL
                }
                Err(_) => {
                    failures += 1;
                    wait(failures, &*self.entropy)
                }
            };
            self.tell_of_feed(&id, turn).await;
            drop(in_force);
            sleep(pause).await;
        }
        self.feeds.forget(&id);
        turn(&self.feeds.failing, &id, false);
        id
    }

    /// Delivers what there is, if the receiver takes it.
    async fn feed_turn(&self, covered: &CoveredFeed<'_>) -> Result<Turn, Stop> {
        let run = self.feeds.run(covered.feed().id());
        let mut run = run.lock().await;
        if run.rewritten {
            return Err(Stop::Rewritten);
        }
        if run.under_way || run.feed.as_ref() != Some(covered.feed()) {
            run.let_go();
            run.under_way = false;
            run.feed = Some(covered.feed().clone());
        }
        self.find_position(&mut run, covered.feed().id()).await?;
        let delivered = self.deliver(&mut run, covered).await;
        match &delivered {
            Ok(_) => {}
            Err(Stop::Rewritten) => {
                run.rewritten = true;
                run.let_go();
            }
            Err(_) => {
                run.proved = false;
                run.let_go();
            }
        }
        self.keep_position(&mut run, covered.feed().id()).await?;
        delivered
    }

    /// Reads where the feed is, and checks that the log still holds what was delivered from it.
    async fn find_position(&self, run: &mut Run, id: &str) -> Result<(), Stop> {
        if run.sent.is_some() {
            return Ok(());
        }
        let position = self.tenant.feed_position(id).await?.unwrap_or(BEGINNING);
        if let Some(last) = position.next.checked_sub(1)
            && self.leaf_of(last).await? != Some(position.before)
        {
            run.rewritten = true;
            return Err(Stop::Rewritten);
        }
        (run.sent, run.arrived, run.kept) = (Some(position), position, position);
        Ok(())
    }

    async fn keep_position(&self, run: &mut Run, id: &str) -> Result<(), Stop> {
        if run.arrived.next > run.kept.next {
            self.tenant.move_feed(id, run.arrived).await?;
            run.kept = run.arrived;
        }
        run.kept_at = Instant::now();
        Ok(())
    }

    async fn deliver(&self, run: &mut Run, covered: &CoveredFeed<'_>) -> Result<Turn, Stop> {
        for _ in 0..TURN_PARCELS {
            run.settle()?;
            let from = run.sent.unwrap_or(run.arrived);
            if run.unsettled.len() >= MAX_UNSETTLED {
                return Ok(run.state());
            }
            let Some(batch) = self.batch(from, run.limit, covered).await? else {
                return Ok(run.state());
            };
            match self.send(run, covered, batch).await {
                Ok(()) => {}
                Err(Stop::Cut) => run.cut()?,
                // Half as much at once, down to a line.
                Err(Stop::TooLarge) if run.limit > 1 => run.limit /= 2,
                Err(Stop::TooLarge) => return Err(Stop::Failing("too_large")),
                Err(stop) => return Err(stop),
            }
            // At most one write a second more for the disk, however fast the receiver is.
            if run.kept_at.elapsed() >= LOOK_INTERVAL {
                self.keep_position(run, covered.feed().id()).await?;
            }
        }
        Ok(Turn::More)
    }

    async fn send(
        &self,
        run: &mut Run,
        covered: &CoveredFeed<'_>,
        batch: Batch,
    ) -> Result<(), Stop> {
        let sink = match &mut run.sink {
            Some(sink) => sink,
            place @ None => place.insert(Sink::open(self, covered).await?),
        };
        run.under_way = true;
        let sent = sink.send(&self.providers, covered, batch.parcel, self.clock.now()).await;
        run.under_way = false;
        sent?;
        run.sent = Some(batch.after);
        if matches!(sink, Sink::Syslog(_)) {
            run.unsettled.push_back((Instant::now(), batch.after));
        } else {
            run.arrive(batch.after);
        }
        Ok(())
    }

    /// The next lines; absent at the end of the log.
    async fn batch(
        &self,
        from: LogPosition,
        limit: usize,
        covered: &CoveredFeed<'_>,
    ) -> Result<Option<Batch>, Stop> {
        let _alone = self.feeds.reading.lock().await;
        // A feed that is new to an old log begins with record 0 and goes on behind what was pruned.
        let from = self.behind_pruned(from).await?;
        let records = self.tenant.records_from(from.next, limit).await?;
        let (log, format) = (self.log, covered.feed().format());
        let framed = matches!(covered.target(), FeedTarget::Syslog(_));
        let write = move || Batch::write(records, log, from, format, framed);
        tokio::task::spawn_blocking(write).await.map_err(|_| Stop::Failing("interrupted"))?
    }

    /// Says once that a feed fails, until it works again.
    async fn tell_of_feed(&self, id: &str, turned: Result<Turn, Stop>) {
        let reason = match turned {
            Ok(Turn::More | Turn::Sent) => return,
            Ok(Turn::Works) => {
                if turn(&self.feeds.failing, id, false) {
                    tracing::info!(feed = id, "the feed delivers again");
                }
                return;
            }
            Err(Stop::House(error)) => {
                tracing::error!(feed = id, %error, "the feed cannot go on; it is tried again");
                return;
            }
            Err(Stop::Failing(reason)) => reason,
            Err(Stop::Cut) => "cut",
            Err(Stop::TooLarge) => "too_large",
            Err(Stop::Rewritten) => "log_rewritten",
        };
        if !turn(&self.feeds.failing, id, true) {
            return;
        }
        tracing::error!(feed = id, reason, "the feed does not deliver; the records wait for it");
        let event = Event::FeedFailing { feed: id.to_owned(), reason: reason.to_owned() };
        let entry = Entry::bare(self.clock.now(), event);
        if let Err(error) = self.tenant.append_with(entry, Vec::new()).await {
            // Told again at the next try.
            turn(&self.feeds.failing, id, false);
            tracing::error!(feed = id, %error, "that a feed fails is not recorded");
        }
    }

    /// Delivers the last records and ends the connections in order.
    pub(crate) async fn finish_feeds(&self) {
        let Some(in_force) = self.in_force.load_full() else { return };
        let rules = &in_force.rules;
        let finish = |feed| async move {
            let feed: &Feed = feed;
            let Ok(covered) = feed.cover(rules.registry(), self.clock.now()) else { return };
            // One turn: a receiver that is far behind must not hold up the end.
            if let Err(stop) = self.feed_turn(&covered).await {
                tracing::warn!(feed = feed.id(), ?stop, "the feed is not at the end of the log");
                return;
            }
            let run = self.feeds.run(feed.id());
            let mut run = run.lock().await;
            if let Some(Sink::Syslog(connection)) = run.sink.take()
                && connection.close().await
                && let Some(sent) = run.sent
            {
                run.arrive(sent);
            }
            run.let_go();
            if let Err(stop) = self.keep_position(&mut run, feed.id()).await {
                tracing::warn!(feed = feed.id(), ?stop, "how far the feed is, is not kept");
            }
        };
        join_all(rules.feeds().map(finish)).await;
    }

    /// Where each feed of the configuration is.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn feeds(&self) -> Result<Vec<PositionView>, Error> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(Vec::new()) };
        let size = self.tenant.head().await?.size();
        let mut views = Vec::new();
        for feed in in_force.rules.feeds() {
            let position = self.tenant.feed_position(feed.id()).await?;
            let next = position.map_or(0, |position| position.next);
            views.push(PositionView { id: feed.id().to_owned(), next, size });
        }
        Ok(views)
    }
}

impl Feeds {
    fn run(&self, id: &str) -> Arc<tokio::sync::Mutex<Run>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(tokio::sync::Mutex::new(Run::new()));
        Arc::clone(runs.entry(id.to_owned()).or_insert_with(new))
    }

    fn forget(&self, id: &str) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// How long until the next look: a second, and longer after each failure, at random within bounds, so
/// that many senders do not return to a receiver at once.
pub(crate) fn wait(failures: u32, entropy: &dyn Entropy) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return LOOK_INTERVAL };
    let longest = LOOK_INTERVAL.saturating_mul(1 << doublings.min(6)).min(MAX_WAIT);
    let mut random = [0; 2];
    entropy.fill(&mut random);
    let half = longest / 2;
    half + half.mul_f64(f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX))
}

/// Records as they are sent together.
struct Batch {
    parcel: Parcel,
    after: LogPosition,
}

impl Batch {
    /// Writes the lines of records, each of which must follow the one before it.
    fn write(
        records: Vec<(u64, Vec<u8>)>,
        log: LogId,
        from: LogPosition,
        format: LineFormat,
        framed: bool,
    ) -> Result<Option<Self>, Stop> {
        let mut parcel = Parcel { bytes: Vec::new(), first: from.next, last: from.before };
        let mut after = from;
        for (_, bytes) in records {
            let logged = Logged::parse(bytes).map_err(|_| Stop::Rewritten)?;
            let record = &logged.record;
            if record.log != log || record.seq != after.next || record.prev != after.before {
                return Err(Stop::Rewritten);
            }
            let line = logged.line(format);
            if framed {
                let message = syslog::message(&logged, &line);
                parcel.bytes.extend_from_slice(syslog::frame(&message).as_bytes());
            } else {
                parcel.bytes.extend_from_slice(line.as_bytes());
                parcel.bytes.push(b'\n');
            }
            after = LogPosition { next: record.seq + 1, before: logged.leaf };
            parcel.last = logged.leaf;
            if parcel.bytes.len() >= BATCH_BYTES {
                break;
            }
        }
        Ok((after != from).then_some(Self { parcel, after }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::entropy::Seeded;

    #[test]
    fn a_feed_that_fails_is_tried_again_ever_later_up_to_a_minute() {
        let entropy = Seeded::new(5);
        assert_eq!(wait(0, &entropy), LOOK_INTERVAL);
        for failures in 1..100 {
            let longest = Duration::from_secs(1 << (failures - 1).min(6)).min(MAX_WAIT);
            let waited = wait(failures, &entropy);
            assert!(waited >= longest / 2 && waited <= longest, "{failures}: {waited:?}");
        }
        assert_ne!(wait(9, &entropy), wait(9, &entropy), "not all at once");
    }
}
