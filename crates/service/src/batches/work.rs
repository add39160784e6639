//! What is done at batches, step by step.
//!
//! Each step begins with what is durable and ends with something durable, so that a program that is killed
//! in between does the step again, and where something left, asks the vendor first what arrived. Lines whose
//! file did not arrive become new exchanges: what was recorded of the former ones stays, and they end as
//! interrupted or not answered.

use super::line::{Came, Plan, refused};
use super::read::{Input, read};
use super::{BatchApi, Ending, KEPT_DAYS, Leftover, Problem, Stage, State, Unserved};
use crate::export::ReadError;
use crate::house::{House, InForce};
use crate::keys::KeysError;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gate::rules::{Destination, Rules};
use gate::{Code, Control, Parcel, Refusal, UpstreamFailure};
use ledger::{Entry, Event, FileId, Unrecorded};
use providers::{Batches, Gone, InputFile, RemoteBatch, RemoteId, RemoteStatus, Wire};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{BatchRow, Change, Effect, FileKind, FileRow, LineState};

/// How often it is looked whether something is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Batches that are worked on at once: each holds its input while it is prepared.
const BATCHES_AT_ONCE: usize = 4;

/// Lines of one batch that are worked on at once, so that they share the synchronisations of the disk.
const LINES_AT_ONCE: usize = 16;

/// Rows that are read at once.
const ROWS: u32 = 256;

/// How often a batch begins anew of which nothing had arrived.
const BEGINNINGS: u32 = 3;

/// How often a vendor is asked in vain before a thing is given up, over some hours.
const TRIES: u32 = 30;

/// How often the files of a batch whose lines are not all answered are fetched again.
const FETCHES: u32 = 3;

/// The longest pause between two looks at a batch that runs, in seconds.
const LONGEST_LOOK: i64 = 60;

/// The longest pause between two tries of something that fails, in seconds.
const LONGEST_PAUSE: i64 = 3600;

/// How long a vendor may take: its own promise is a day. Later than this the surrogates would be gone
/// before the answers came.
const RUNNING_DAYS: i64 = KEPT_DAYS - 3;

/// Why a step was not taken to its end. It is taken again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    #[error(transparent)]
    Content(Box<ReadError>),
    #[error("the vendor could not be asked: {}", .0.reason())]
    Upstream(UpstreamFailure),
    #[error("the configuration in force has no such destination")]
    NoDestination,
    #[error("the vendor's files do not answer every line")]
    Missing,
    #[error("what is kept of a line cannot be read")]
    Unreadable,
    #[error("a control cannot run: {}", .0.code().as_str())]
    Control(Control),
}

impl From<UpstreamFailure> for Stopped {
    fn from(failure: UpstreamFailure) -> Self {
        Self::Upstream(failure)
    }
}

/// A batch under way.
struct Work {
    row: BatchRow,
    state: State,
}

/// Where a batch's vendor is.
struct There {
    in_force: Arc<InForce>,
    id: String,
}

impl There {
    fn destination(&self) -> Option<(&Destination, &Wire)> {
        let destination = self.in_force.rules.destination(&self.id)?;
        Some((destination, self.in_force.wires.get(&self.id)?))
    }
}

/// Seconds before try number `tries`, which is from 0 on.
fn pause(tries: u32, longest: i64) -> i64 {
    (1 << tries.min(12)).min(longest)
}

impl House {
    /// Does what is to be done at batches, again and again.
    pub(crate) async fn keep_batches(&self) {
        loop {
            if let Err(error) = self.work_on_batches().await {
                tracing::error!(%error, "batches cannot be looked at");
            }
            tokio::select! {
                () = self.batch_work.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Takes every batch at which something is due a step further; says how many those were.
    ///
    /// # Errors
    /// [`store::Error`] when it cannot be read which those are.
    pub async fn work_on_batches(&self) -> Result<usize, store::Error> {
        let worker = Worker { house: self };
        let limit = u32::try_from(BATCHES_AT_ONCE).unwrap_or(1);
        let rows = self.tenant.batches_due(self.clock.now(), limit).await?;
        let due = rows.len();
        let each = rows.into_iter().map(|row| Box::pin(worker.work_on(row)));
        stream::iter(each).for_each_concurrent(BATCHES_AT_ONCE, |it| it).await;
        Ok(due)
    }
}

/// Whoever does it.
struct Worker<'h> {
    house: &'h House,
}

impl Worker<'_> {
    async fn work_on(&self, row: BatchRow) {
        let batch = row.id;
        let Some(state) = State::read(&row) else {
            tracing::error!(%batch, "what is known of a batch does not parse");
            return;
        };
        let mut work = Work { row, state };
        let begun = work.state.stage;
        let stopped = match begun {
            Stage::Preparing => self.prepare(&mut work).await,
            Stage::Sending => self.go_on_sending(&mut work, None).await,
            Stage::Running => self.look(&mut work).await,
            Stage::Collecting => self.collect(&mut work).await,
            Stage::Tidying => self.tidy(&mut work).await,
            Stage::Over => self.save(&work, None).await,
        };
        let Err(stopped) = stopped else { return };
        tracing::warn!(%batch, error = %stopped, stage = ?begun, "a batch waits");
        // What was not made durable is not known.
        let state = State::read(&work.row).unwrap_or(work.state);
        let tries = state.tries.saturating_add(1);
        let work = Work { state: State { tries, ..state }, row: work.row };
        if let Err(error) = self.save(&work, Some(pause(tries, LONGEST_PAUSE))).await {
            tracing::error!(%batch, %error, "a batch cannot be put off");
        }
    }

    /// Makes what is known durable; something is to be done after so many seconds, or nothing more.
    async fn save(&self, work: &Work, after: Option<i64>) -> Result<(), Stopped> {
        Ok(self.house.tenant.change(vec![self.set(work, after)]).await?)
    }

    fn set(&self, work: &Work, after: Option<i64>) -> Change {
        let due = after.map(|seconds| self.house.clock.now().plus_seconds(seconds));
        Change::SetBatch { id: work.row.id, due, state: work.state.to_bytes() }
    }

    /// The next stage, and on to it at once.
    async fn enter(&self, work: &mut Work, stage: Stage, after: i64) -> Result<(), Stopped> {
        work.state.stage = stage;
        work.state.tries = 0;
        self.save(work, Some(after)).await?;
        work.row.state = work.state.to_bytes();
        self.house.batch_work.notify_one();
        Ok(())
    }

    /// Lines become exchanges, and leave.
    async fn prepare(&self, work: &mut Work) -> Result<(), Stopped> {
        // What became exchanges before is not among them: its intents end as interrupted.
        self.house.tenant.change(vec![Change::DropLines(work.row.id)]).await?;
        if work.row.cancelled.is_some() {
            return self.finish(work, Ending::Cancelled).await;
        }
        let (plan, input) = match self.plan(work).await? {
            Ok(planned) => planned,
            Err(problems) => {
                work.state.problems = problems;
                return self.finish(work, Ending::Failed).await;
            }
        };
        work.state.total = input.lines.len() as u64;
        work.state.destination = Some(plan.destination.clone());
        self.save(work, Some(0)).await?;
        work.row.state = work.state.to_bytes();
        let parcel = Mutex::new(Parcel::new(work.row.id));
        let lines = input.lines.into_iter();
        stream::iter(lines.map(|line| Box::pin(self.house.board_line(&plan, line, &parcel))))
            .buffer_unordered(LINES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        let parcel = parcel.into_inner().unwrap_or_else(PoisonError::into_inner);
        let now = self.house.tenant.batch(work.row.id).await?;
        if now.is_none_or(|row| row.cancelled.is_some()) {
            self.end_waiting(work, &|| Came::Unwanted).await?;
            return self.finish(work, Ending::Cancelled).await;
        }
        let called = parcel.api().and_then(BatchApi::of);
        let (Some(called), Some(file)) = (called, InputFile::of(parcel)) else {
            // None of them may leave.
            return self.finish(work, Ending::Completed).await;
        };
        work.state.called = called;
        work.state.stage = Stage::Sending;
        work.state.tries = 0;
        let event = Event::BatchFile {
            batch: work.row.id,
            destination: plan.destination.clone(),
            outcome: "sent".to_owned(),
            file: None,
            reason: None,
            count: Some(file.lines() as u64),
            sha256: Some(file.sha256()),
        };
        let effects = vec![Effect::Batch(Box::new(self.set(work, Some(0))))];
        let entry = Entry::bare(self.house.clock.now(), event);
        self.house.tenant.append_with(entry, effects).await?;
        work.row.state = work.state.to_bytes();
        let Some(wire) = plan.in_force.wires.get(&plan.destination) else {
            let failure = UpstreamFailure::NoCredential;
            return self.give_up_sending(work, failure).await;
        };
        match self.house.providers.upload(file, wire).await {
            Ok(id) => {
                work.state.remote_input = Some(id);
                self.save(work, Some(0)).await?;
                work.row.state = work.state.to_bytes();
                self.go_on_sending(work, None).await
            }
            Err(failure) => self.go_on_sending(work, Some(failure)).await,
        }
    }

    /// What the lines of a batch share, or what is wrong with it.
    async fn plan(&self, work: &Work) -> Result<Result<(Plan, Input), Vec<Problem>>, Stopped> {
        let wrong = |code, message| Ok(Err(refused(&Refusal::fixed(code, message))));
        let Some(principal) = self.house.principal(work.row.key) else {
            let message = "The API key that made the batch is no longer in force.";
            return wrong(Code::InvalidApiKey, message);
        };
        let input = match self.house.own_file(&principal, work.state.input).await {
            Ok(file) => self.house.input(&file).await,
            Err(unserved) => Err(unserved),
        };
        let text = match input {
            Ok(text) => text,
            Err(Unserved::Failed(control)) => return Err(Stopped::Control(control)),
            Err(Unserved::Refused(_)) => {
                return wrong(Code::NotFound, "The file that the batch was made of is gone.");
            }
        };
        let input = match read(&text, work.state.api) {
            Ok(input) => input,
            Err(problems) => return Ok(Err(problems)),
        };
        let Some(in_force) = self.house.in_force.load_full() else {
            let message = "No configuration is in force, so nothing may leave.";
            return wrong(Code::PhiBlocked, message);
        };
        if let Err(Unserved::Refused(refusal)) = self.house.keeps_content() {
            return Ok(Err(refused(&refusal)));
        }
        let Some(route) = in_force.rules.route(input.model.expose()).cloned() else {
            let message = "The lines name a model that is not configured here. GET /v1/models lists those that are.";
            return wrong(Code::ModelNotFound, message);
        };
        if route.reduce().is_some() {
            // Fail closed: what the route wants reduced first does not leave as it is.
            let message = "This model has every request reduced by another one first, which no batch does. Ask the lines alone.";
            return wrong(Code::UnsupportedByDestination, message);
        }
        let destination = route.targets().0.destination().as_str().to_owned();
        if !takes_batches(&in_force.rules, &destination) {
            let refusal = Refusal {
                code: Code::UnsupportedByDestination,
                message: format!(
                    "The destination \"{destination}\" of this model takes no batches."
                )
                .into(),
                classes: Vec::new(),
                reason: None,
            };
            return Ok(Err(refused(&refusal)));
        }
        let state = work.state.clone();
        let plan = Plan { batch: work.row.id, principal, in_force, route, destination, state };
        Ok(Ok((plan, input)))
    }

    fn there(&self, state: &State) -> Result<There, Stopped> {
        let in_force = self.house.in_force.load_full().ok_or(Stopped::NoDestination)?;
        let id = state.destination.clone().ok_or(Stopped::NoDestination)?;
        Ok(There { in_force, id })
    }

    fn batches_of<'a>(&'a self, there: &'a There) -> Result<Batches<'a>, Stopped> {
        let (destination, wire) = there.destination().ok_or(Stopped::NoDestination)?;
        Ok(self.house.providers.batches(destination.path().endpoint(), wire))
    }

    /// Goes on after an upload, or what may have been one. `failed` says how it failed just now.
    async fn go_on_sending(
        &self,
        work: &mut Work,
        failed: Option<UpstreamFailure>,
    ) -> Result<(), Stopped> {
        if work.state.tries >= TRIES {
            let failure = failed.unwrap_or(UpstreamFailure::Unreachable);
            return self.give_up_sending(work, failure).await;
        }
        let there = self.there(&work.state)?;
        let vendor = self.batches_of(&there)?;
        let id = work.row.id;
        if work.state.remote_input.is_none() {
            work.state.remote_input = vendor.find_input(id).await?;
        }
        let Some(input) = work.state.remote_input.clone() else {
            return self.begin_anew(work, failed).await;
        };
        let begun = match vendor.find(id).await? {
            Some(begun) => Ok(begun),
            None => vendor.begin(&input, work.state.called.api(), id).await,
        };
        match begun {
            Ok(RemoteBatch { id, .. }) => {
                work.state.remote_batch = Some(id);
                work.state.begun = Some(self.house.clock.now());
                self.enter(work, Stage::Running, 1).await
            }
            Err(failure @ (UpstreamFailure::Rejected(_) | UpstreamFailure::Unauthorized)) => {
                self.give_up_sending(work, failure).await
            }
            Err(failure) => {
                // That there is an input is worth keeping.
                work.row.state = work.state.to_bytes();
                Err(failure.into())
            }
        }
    }

    /// Nothing of the batch arrived: it begins anew, unless that is no use.
    async fn begin_anew(
        &self,
        work: &mut Work,
        failed: Option<UpstreamFailure>,
    ) -> Result<(), Stopped> {
        // A program that was killed has failed nobody.
        work.state.beginnings += u32::from(failed.is_some());
        let useless = failed.is_some_and(|failure| !failure.may_be_retried());
        if useless || work.state.beginnings >= BEGINNINGS {
            let failure = failed.unwrap_or(UpstreamFailure::Unreachable);
            return self.give_up_sending(work, failure).await;
        }
        if let Some(failure) = failed {
            self.end_waiting(work, &|| Came::Failure(failure)).await?;
        }
        let wait = pause(work.state.beginnings, LONGEST_PAUSE);
        self.enter(work, Stage::Preparing, wait).await
    }

    async fn give_up_sending(
        &self,
        work: &mut Work,
        failure: UpstreamFailure,
    ) -> Result<(), Stopped> {
        self.end_waiting(work, &|| Came::Failure(failure)).await?;
        let code = failure.code().as_str();
        work.state.problems = vec![Problem::of(None, code, failure.message())];
        self.finish(work, Ending::Failed).await
    }

    /// Looks at a batch that runs.
    async fn look(&self, work: &mut Work) -> Result<(), Stopped> {
        let there = self.there(&work.state)?;
        let vendor = self.batches_of(&there)?;
        let Some(remote) = work.state.remote_batch.clone() else {
            return self.enter(work, Stage::Sending, 0).await;
        };
        let late = work.row.created.plus_seconds(RUNNING_DAYS * 86_400);
        let is_late = self.house.clock.now() >= late;
        if (work.row.cancelled.is_some() || is_late) && !work.state.stopping {
            // It may be over already, which the next look shows.
            if let Err(failure) = vendor.cancel(&remote).await
                && failure.may_be_retried()
            {
                return Err(failure.into());
            }
            work.state.stopping = true;
            work.state.looks = 0;
        }
        let seen = match vendor.look(&remote).await {
            Ok(seen) => seen,
            // Whoever does not know it any more has no answers.
            Err(UpstreamFailure::Rejected(_)) if work.state.tries >= TRIES || is_late => {
                return self.answers(work, Ending::Failed, Vec::new()).await;
            }
            Err(failure) if is_late && work.state.tries >= TRIES => {
                tracing::error!(batch = %work.row.id, reason = failure.reason(), "a batch is given up");
                return self.answers(work, Ending::Expired, Vec::new()).await;
            }
            Err(failure) => return Err(failure.into()),
        };
        let ending = match seen.status {
            RemoteStatus::Validating
            | RemoteStatus::InProgress
            | RemoteStatus::Finalizing
            | RemoteStatus::Cancelling => {
                let wait = pause(work.state.looks, LONGEST_LOOK);
                work.state.looks = work.state.looks.saturating_add(1);
                work.state.tries = 0;
                return self.save(work, Some(wait)).await;
            }
            RemoteStatus::Completed => Ending::Completed,
            RemoteStatus::Failed => Ending::Failed,
            RemoteStatus::Expired => Ending::Expired,
            RemoteStatus::Cancelled if is_late => Ending::Expired,
            RemoteStatus::Cancelled => Ending::Cancelled,
        };
        let outputs = [seen.output, seen.errors].into_iter().flatten().collect();
        self.answers(work, ending, outputs).await
    }

    /// The vendor is done, and has its answers there.
    async fn answers(
        &self,
        work: &mut Work,
        ending: Ending,
        outputs: Vec<RemoteId>,
    ) -> Result<(), Stopped> {
        work.state.remote_outputs = outputs;
        work.state.finalizing = Some(self.house.clock.now());
        work.state.verdict = Some(ending);
        work.state.problems = match ending {
            Ending::Failed => {
                let failure = UpstreamFailure::Rejected(None);
                vec![Problem::of(None, failure.code().as_str(), failure.message())]
            }
            Ending::Expired => {
                vec![Problem::of(None, "batch_expired", "The vendor did not answer in time.")]
            }
            Ending::Completed | Ending::Cancelled => Vec::new(),
        };
        self.enter(work, Stage::Collecting, 0).await
    }

    /// Fetches the answers; each is recorded before anybody sees it.
    async fn collect(&self, work: &mut Work) -> Result<(), Stopped> {
        let ending = work.state.verdict.unwrap_or(Ending::Failed);
        for file in work.state.remote_outputs.clone() {
            match self.collect_file(work, &file).await {
                Ok(()) => {}
                Err(Stopped::Upstream(failure)) if work.state.tries >= TRIES => {
                    // What did not come by now does not come.
                    tracing::error!(batch = %work.row.id, reason = failure.reason(), "answers are given up");
                }
                Err(stopped) => return Err(stopped),
            }
        }
        let waiting = self.house.tenant.line_counts(work.row.id).await?.waiting;
        if waiting > 0 && ending == Ending::Completed && work.state.tries < FETCHES {
            // A file may have broken off; those who were answered do not wait any more.
            return Err(Stopped::Missing);
        }
        let missing = || match ending {
            Ending::Completed => Came::Failure(UpstreamFailure::Garbage),
            Ending::Failed => Came::Failure(UpstreamFailure::Rejected(None)),
            Ending::Expired => Came::Failure(UpstreamFailure::TimedOut),
            Ending::Cancelled => Came::Unwanted,
        };
        self.end_waiting(work, &missing).await?;
        self.finish(work, ending).await
    }

    async fn collect_file(&self, work: &Work, file: &RemoteId) -> Result<(), Stopped> {
        let there = self.there(&work.state)?;
        let vendor = self.batches_of(&there)?;
        let mut lines = vendor.output(file).await?;
        loop {
            let mut some = Vec::new();
            while some.len() < LINES_AT_ONCE
                && let Some(line) = lines.next().await?
            {
                some.push(line);
            }
            if some.is_empty() {
                return Ok(());
            }
            let mut answered = Vec::new();
            for line in some {
                let Some(row) = self.house.tenant.line(line.exchange).await? else { continue };
                // Nobody waits for an answer of another batch, or for a second one.
                if row.batch == work.row.id && row.state == LineState::Waits {
                    let came = match line.body {
                        Ok(body) => Came::Answer(body, line.upstream_request),
                        Err(failure) => Came::Failure(failure),
                    };
                    answered.push((row, came));
                }
            }
            // The first of two that answer one line is its answer.
            answered.sort_by_key(|(row, _)| row.number);
            answered.dedup_by_key(|(row, _)| row.number);
            let each = answered.into_iter();
            let each =
                each.map(|(row, came)| Box::pin(self.house.end_line(&work.state, row, came)));
            stream::iter(each).buffer_unordered(LINES_AT_ONCE).try_collect::<()>().await?;
        }
    }

    /// Ends every line that still waits.
    async fn end_waiting(
        &self,
        work: &Work,
        came: &(dyn Fn() -> Came + Sync),
    ) -> Result<(), Stopped> {
        let mut after = 0;
        loop {
            let rows = self.house.tenant.lines(work.row.id, after, ROWS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.number;
            let waiting = rows.into_iter().filter(|row| row.state == LineState::Waits);
            let each = waiting.map(|row| Box::pin(self.house.end_line(&work.state, row, came())));
            stream::iter(each).buffer_unordered(LINES_AT_ONCE).try_collect::<()>().await?;
        }
    }

    /// The batch is over: its files are there for the caller, and those at the vendor are to go.
    async fn finish(&self, work: &mut Work, ending: Ending) -> Result<(), Stopped> {
        let now = self.house.clock.now();
        let batch = work.row.id;
        let counts = self.house.tenant.line_counts(batch).await?;
        let mut changes = Vec::new();
        let mut add = |kind, bytes| {
            let id = FileId::mint(now, &*self.house.entropy);
            changes.push(Change::AddOutput(FileRow {
                id,
                key: work.row.key,
                kind,
                batch: Some(batch),
                created: now,
                expires: work.row.created.plus_seconds(KEPT_DAYS * 86_400).max(now),
                bytes,
                unit: None,
                label: None,
            }));
            Some(id)
        };
        if counts.answered > 0 {
            work.state.output = add(FileKind::Output, counts.answered_bytes);
        }
        if counts.failed > 0 {
            work.state.errors = add(FileKind::Errors, counts.failed_bytes);
        }
        work.state.ending = Some(ending);
        work.state.ended = Some(now);
        work.state.stage = Stage::Tidying;
        work.state.tries = 0;
        let files = work.state.remote_input.iter().chain(&work.state.remote_outputs);
        work.state.leftovers =
            files.map(|file| Leftover { file: file.clone(), told: false }).collect();
        changes.push(self.set(work, Some(0)));
        self.house.tenant.change(changes).await?;
        work.row.state = work.state.to_bytes();
        tracing::info!(%batch, ?ending, "batch ended");
        self.house.batch_work.notify_one();
        Ok(())
    }

    /// Has the files at the vendor deleted, and records what it said (45 CFR 164.310(d)(2)(i)).
    async fn tidy(&self, work: &mut Work) -> Result<(), Stopped> {
        let mut failed = None;
        for at in (0..work.state.leftovers.len()).rev() {
            let Some(leftover) = work.state.leftovers.get(at).cloned() else { continue };
            let answer = match self.there(&work.state) {
                Ok(there) => match self.batches_of(&there) {
                    Ok(vendor) => vendor.delete(&leftover.file).await.map_err(Stopped::from),
                    Err(stopped) => Err(stopped),
                },
                Err(stopped) => Err(stopped),
            };
            let (outcome, reason) = match answer {
                Ok(Gone::Deleted) => ("deleted", None),
                Ok(Gone::Absent) => ("absent", None),
                Err(stopped) => {
                    let reason = if let Stopped::Upstream(failure) = &stopped {
                        failure.reason()
                    } else {
                        "no_destination"
                    };
                    failed = Some(stopped);
                    if leftover.told {
                        continue;
                    }
                    ("failing", Some(reason.to_owned()))
                }
            };
            match work.state.leftovers.get_mut(at) {
                Some(leftover) if reason.is_some() => leftover.told = true,
                Some(_) => drop(work.state.leftovers.remove(at)),
                None => {}
            }
            let event = Event::BatchFile {
                batch: work.row.id,
                destination: work.state.destination.clone().unwrap_or_default(),
                outcome: outcome.to_owned(),
                file: Some(leftover.file.as_str().to_owned()),
                reason,
                count: None,
                sha256: None,
            };
            let effects = vec![Effect::Batch(Box::new(self.set(work, Some(0))))];
            self.house
                .tenant
                .append_with(Entry::bare(self.house.clock.now(), event), effects)
                .await?;
            work.row.state = work.state.to_bytes();
        }
        if let Some(stopped) = failed {
            // It is tried again, for as long as it takes.
            return Err(stopped);
        }
        work.state.stage = Stage::Over;
        self.save(work, None).await
    }
}

fn takes_batches(rules: &Rules, destination: &str) -> bool {
    rules.destination(destination).is_some_and(Destination::takes_batches)
}
