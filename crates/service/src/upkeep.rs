//! What the house does by itself while it serves.

use crate::house::{Error, House};
use crate::keys::KeysError;
use ledger::{Blob, BlobPart, Entry, Event, ExchangeId, Hash, Outcome, Record, ReplyContent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::Effect;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often another process's changes to keys and configuration are looked for. A revoked key is
/// refused within a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// How long a key service that did not open the keys is left alone.
const KEY_SERVICE_AWAY: Duration = Duration::from_secs(2);

/// How often a checkpoint is signed while records arrive.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How often refused requests are recorded: a stranger makes one record in this time, whatever the
/// number of tries.
const REFUSED_INTERVAL: Duration = Duration::from_secs(5);

/// How often agreements are looked at, and what a full disk interrupted: intents without an outcome, keys
/// and records that were to go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// How often retention, surrogates and reviews are looked at.
const CALENDAR_INTERVAL: Duration = Duration::from_hours(1);

impl House {
    /// Ends every intent that has no outcome and no running exchange: the program was killed, or the
    /// disk was full, between the two records.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read or written.
    pub async fn sweep(&self) -> Result<u64, Error> {
        let mut ended = 0;
        for intent in self.tenant.open_intents().await? {
            if self.live.holds(intent.exchange) {
                continue;
            }
            let Ok(Record { event: Event::Intent(recorded), .. }) =
                Record::from_bytes(&intent.record)
            else {
                tracing::error!(seq = intent.seq, "an open intent does not parse");
                continue;
            };
            let reply = self.kept_windows(intent.exchange).await?;
            let outcome = Outcome {
                about: recorded.about,
                outcome: "interrupted".to_owned(),
                code: None,
                reason: None,
                intent: Some(intent.seq),
                reply,
                upstream_request: None,
                usage: None,
            };
            let entry = Entry::bare(self.clock.now(), Event::Outcome(Box::new(outcome)));
            self.tenant.append_with(entry, Vec::new()).await?;
            ended += 1;
        }
        Ok(ended)
    }

    /// What was kept of an answer whose end was never recorded. Some of it may have been shown, so the
    /// record commits to it.
    async fn kept_windows(&self, exchange: ExchangeId) -> Result<Option<ReplyContent>, Error> {
        let blobs = self.tenant.blobs(exchange).await?;
        let windows = blobs.iter().filter(|blob| matches!(blob.part, BlobPart::Window(_)));
        let digests: Vec<Hash> = windows.map(Blob::digest).collect();
        if digests.is_empty() {
            return Ok(None);
        }
        let bytes = match self.open_content(exchange, &blobs).await {
            Ok(content) => content.delivered_bytes(),
            Err(error) => {
                tracing::error!(%error, %exchange, "the content of an interrupted exchange");
                0
            }
        };
        Ok(Some(ReplyContent {
            windows: digests.len() as u64,
            digest: Hash::of_all(digests.iter().map(|digest| digest.as_bytes().as_slice())),
            bytes,
            restored: 0,
            unknown: 0,
            findings: BTreeMap::new(),
        }))
    }

    /// Records how many requests were refused because nobody could be authenticated.
    pub(crate) async fn record_refused(&self) -> Result<(), Error> {
        let count = self.refused.swap(0, Ordering::Relaxed);
        if count > 0 {
            let entry = Entry::bare(self.clock.now(), Event::AccessRefused { count });
            self.tenant.append_with(entry, Vec::new()).await.inspect_err(|_| {
                // They are counted again with the next ones.
                self.refused.fetch_add(count, Ordering::Relaxed);
            })?;
        }
        Ok(())
    }

    /// Warns once of every agreement and evidence that ends within 90, 60, 30 and 7 days.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read or written.
    pub async fn warn_of_expiry(&self) -> Result<(), Error> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(()) };
        let now = self.clock.now();
        for expiring in in_force.rules.registry().expiring(now) {
            let name = format!("expiring/{}/{}/{}", expiring.id, expiring.expires, expiring.days);
            if self.tenant.notice_given(&name).await? {
                continue;
            }
            tracing::warn!(agreement = %expiring.id, days = expiring.days, "an agreement ends soon");
            let event = Event::AgreementExpiring {
                agreement: expiring.id.to_string(),
                expires: expiring.expires,
                days: expiring.days,
            };
            self.tenant.append_with(Entry::bare(now, event), vec![Effect::Notice(name)]).await?;
        }
        Ok(())
    }

    /// Keeps the house in order until `stop` resolves.
    pub async fn keep_up(self: Arc<Self>, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut watch = interval(WATCH_INTERVAL);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = Due::new();
        let tending = async {
            loop {
                tokio::select! {
                    () = &mut stop => return,
                    _ = watch.tick() => {}
                }
                Box::pin(self.tend(&mut due)).await;
            }
        };
        // Outsiders take their time, and nothing else waits for them. All go on at once: one may hold
        // the lock that another wants.
        tokio::select! {
            () = tending => {}
            () = self.keep_anchored() => {}
            () = self.keep_delivering() => {}
            () = self.keep_copying() => {}
            () = self.keep_tracing() => {}
            () = self.keep_keys() => {}
            () = self.keep_calendar() => {}
            () = self.keep_testing() => {}
            () = self.keep_batches() => {}
        }
    }

    /// Keeps the keys open while the key service lets us, and no longer.
    async fn keep_keys(&self) {
        let mut told = false;
        loop {
            let wait = match self.content_keys.keep().await {
                Ok(()) | Err(KeysError::Gone) => {
                    told = false;
                    WATCH_INTERVAL
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "the keys do not open; soon nothing goes through");
                    }
                    KEY_SERVICE_AWAY
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Anchors the log again and again.
    async fn keep_anchored(&self) {
        /// Until there is a configuration, and after that at the most.
        const LOOK_INTERVAL: Duration = Duration::from_secs(1);
        let mut last: Option<Instant> = None;
        loop {
            let seconds = self.in_force.load().as_ref().map(|it| it.rules.anchor_seconds());
            let every = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
            if let Some(every) = every
                && last.is_none_or(|last| last.elapsed() >= every)
            {
                last = Some(Instant::now());
                log_failure("anchoring the log", self.anchor().await);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Signs a checkpoint when there are records that the last one does not cover.
    async fn sign_if_grown(&self, due: &mut Due) -> Result<(), Error> {
        let size = self.tenant.head().await?.size();
        if due.signed != Some(size) {
            self.tenant.publish_checkpoint(&self.signer).await?;
            due.signed = Some(size);
        }
        Ok(())
    }

    async fn tend(&self, due: &mut Due) {
        match self.store.change_counter().await {
            Ok(counter) if Some(counter) != due.counter => {
                let reloaded = self.reload().await;
                // What could not be read is read again at the next look, changed or not; a configuration that
                // was read and is none stays so until it changes.
                let read = matches!(&reloaded, Ok(()) | Err(Error::Configuration { .. }));
                due.counter = read.then_some(counter);
                log_failure("reading the configuration", reloaded);
                log_failure("warning of expiry", self.warn_of_expiry().await);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "changes cannot be looked for");
                self.forget_keys();
                due.counter = None;
            }
        }
        let now = Instant::now();
        if due.checkpoint <= now {
            due.checkpoint = now + CHECKPOINT_INTERVAL;
            log_failure("signing a checkpoint", self.sign_if_grown(due).await);
        }
        if due.refused <= now {
            due.refused = now + REFUSED_INTERVAL;
            log_failure("recording refused access", self.record_refused().await);
            log_failure("recording denied access", self.record_denied().await);
        }
        if due.sweep <= now {
            due.sweep = now + SWEEP_INTERVAL;
            self.cache.sweep();
            log_failure("ending open intents", self.sweep().await);
            log_failure("warning of expiry", self.warn_of_expiry().await);
        }
    }

    /// Does what the calendar asks for. That can take minutes after years of records, and a key that is
    /// revoked meanwhile is refused within a second all the same: so it is not a part of tending.
    async fn keep_calendar(&self) {
        let mut calendar = interval(CALENDAR_INTERVAL);
        let mut sweep = interval(SWEEP_INTERVAL);
        calendar.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = calendar.tick() => self.follow_calendar().await,
                _ = sweep.tick() => {
                    log_failure("finishing disposals", self.finish_disposals().await);
                    log_failure("finishing to prune", self.finish_pruning().await);
                }
            }
        }
    }

    async fn follow_calendar(&self) {
        let purged = self.tenant.purge_surrogates(self.clock.now()).await;
        log_failure("forgetting surrogates", purged.map_err(Error::from));
        log_failure("forgetting what was spent", self.purge_spent().await);
        log_failure("forgetting files and batches", self.purge_batches().await);
        log_failure("disposing of agreements", self.retire_agreements().await);
        let applied = self.apply_retention().await;
        // Records go after what they commit to, and not while that could not go.
        if applied.is_ok() {
            log_failure("pruning records", self.prune().await);
        }
        log_failure("applying the retention schedule", applied);
        log_failure("writing a report to review", self.write_due_report().await);
        log_failure("looking for a review", self.tell_of_overdue_review().await);
    }
}

/// What is to be done when.
struct Due {
    counter: Option<u64>,
    signed: Option<u64>,
    checkpoint: Instant,
    refused: Instant,
    sweep: Instant,
}

impl Due {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            counter: None,
            signed: None,
            checkpoint: now,
            refused: now,
            sweep: now + SWEEP_INTERVAL,
        }
    }
}

fn log_failure<T, E: std::fmt::Display>(doing: &'static str, result: Result<T, E>) {
    if let Err(error) = result {
        tracing::error!(%error, doing, "upkeep failed");
    }
}
