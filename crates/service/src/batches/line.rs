//! One line of a batch: an exchange that leaves with others and is answered hours later.

use super::read::InputLine;
use super::work::Stopped;
use super::{Problem, State};
use crate::converse::{Continued, LONG_PROMPT_BYTES, Unreadable, aside, read};
use crate::export::ReadError;
use crate::house::{House, InForce};
use crate::identity::Principal;
use crate::limits::Hold;
use gate::exchange::{Caller, Ended, Exchange, Question, Seal, World};
use gate::policy::Ask;
use gate::rules::{Keep, Route};
use gate::{Code, Control, Parcel, Refusal, UpstreamFailure};
use ledger::{
    BatchId, ContentClass, ConversationId, Entry, Event, ExchangeId, Journal, Receipt, Record,
    Unrecorded,
};
use phi::Text;
use phi::surrogate::SurrogateMap;
use providers::{Addressed, Asked, Reading};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Change, Effect, LineRow, LineState};
use zeroize::Zeroizing;

/// How long a line waits before it asks again whether a limit lets it pass: seconds are near enough for
/// what may take a day.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// What all lines of a batch share.
pub(super) struct Plan {
    pub(super) batch: BatchId,
    pub(super) principal: Principal,
    pub(super) in_force: Arc<InForce>,
    pub(super) route: Route,
    pub(super) destination: String,
    pub(super) state: State,
}

/// What came for a line.
pub(super) enum Came {
    /// An answer's document, and the vendor's own id of the request.
    Answer(Zeroizing<String>, Option<String>),
    /// None, for this reason.
    Failure(UpstreamFailure),
    /// The caller no longer wants it.
    Unwanted,
}

/// Makes the records of a line durable together with the row that says how the line stands.
struct LineJournal<'a> {
    house: &'a House,
    row: LineRow,
    /// Bytes of the line in the file of answers, but for the answer.
    around_bytes: u64,
    custom: &'a Text,
    /// Whether the row is there, and what the line holds of its limits.
    held: Mutex<(bool, Hold)>,
}

impl Journal for LineJournal<'_> {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let held = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = held().1.turn(&entry.event);
        let mut effects = turn.effects();
        effects.extend(self.change(&entry.event, held().0).map(|it| Effect::Batch(Box::new(it))));
        let ends = matches!(entry.event, Event::Outcome(_));
        let watch = ends.then(|| self.house.watch(self.row.exchange, None));
        let noted = watch.as_ref().and_then(|watch| watch.note(&entry.event));
        let receipt = self.house.tenant.append_with(entry, effects).await;
        if let Some(watch) = watch {
            watch.recorded(noted, &receipt);
        }
        let receipt = receipt?;
        let mut held = held();
        held.1.recorded(&turn);
        held.0 = true;
        Ok(receipt)
    }

    async fn keep(&self, window: ledger::Blob) -> Result<(), Unrecorded> {
        self.house.tenant.keep(window).await
    }
}

impl LineJournal<'_> {
    fn change(&self, event: &Event, added: bool) -> Option<Change> {
        // No other record is of a line.
        let (state, bytes) = if let Event::Outcome(outcome) = event {
            if let ("answered", Some(reply)) = (outcome.outcome.as_str(), &outcome.reply) {
                (LineState::Answered, self.around_bytes + reply.bytes)
            } else {
                let state = failed(outcome);
                let line = error_line(self.row.exchange, self.custom, &state);
                (state, line.len() as u64)
            }
        } else if matches!(event, Event::Intent(_)) {
            (LineState::Waits, 0)
        } else {
            return None;
        };
        Some(if added {
            Change::EndLine { exchange: self.row.exchange, state, bytes }
        } else {
            Change::AddLine(LineRow { state, bytes, ..self.row.clone() })
        })
    }
}

/// How a line stands whose exchange ended so. The record has the words; none of them is content.
fn failed(outcome: &ledger::Outcome) -> LineState {
    let code = outcome.code.clone().unwrap_or_else(|| outcome.outcome.clone());
    let what = match outcome.intent {
        None => "The request was refused here, and did not leave",
        Some(_) => "The request left and was not answered",
    };
    let message = match &outcome.reason {
        Some(reason) => format!("{what}: {reason}."),
        None => format!("{what}."),
    };
    LineState::Failed { code, message }
}

impl House {
    /// Takes one line as far as it goes before it leaves, into the parcel or to its recorded end.
    pub(super) async fn board_line(
        &self,
        plan: &Plan,
        line: InputLine,
        parcel: &Mutex<Parcel>,
    ) -> Result<(), Stopped> {
        if self.selftest.failed() {
            // Fail closed: a guard that does not do its work lets nothing through. It is tried again.
            return Err(Stopped::Control(Control::SelfTest));
        }
        let exchange = ExchangeId::mint(self.clock.now(), &*self.entropy);
        let conversation = conversation_of(exchange);
        let InputLine { number, custom, body } = line;
        let (keys, unit) = self.content_keys.begin_unit(Some(conversation)).await?;
        let binding = binding(self, plan.batch, exchange);
        let key = keys.key(ContentClass::Prompts);
        let sealed = key.seal_small(&binding, custom.expose().as_bytes(), &*self.entropy);
        let row = LineRow {
            exchange,
            batch: plan.batch,
            number,
            unit: keys.id(),
            custom: sealed,
            state: LineState::Waits,
            bytes: 0,
        };
        let seal = Seal {
            log: self.log,
            keys: Arc::new(keys),
            new_unit: Some(unit),
            keep: plan.in_force.rules.keep(),
        };
        let journal = LineJournal {
            house: self,
            around_bytes: answer_line(exchange, &custom, "").len() as u64,
            row,
            custom: &custom,
            held: Mutex::new((false, Hold::none())),
        };
        let world = World { journal: &journal, clock: &*self.clock, entropy: &*self.entropy };
        let question = Question {
            id: exchange,
            api: plan.state.api.api(),
            stream: false,
            route: Some(plan.route.model().to_string()),
            conversation: Some(conversation),
            patient: None,
            retry_of: None,
            reduced_by: None,
            justification: None,
            previous: None,
            policy: Some(plan.in_force.rules.sha256()),
            batch: Some(plan.batch),
        };
        let caller = Caller {
            actor: plan.principal.actor(),
            purpose: plan.state.purpose.clone(),
            surface: "api",
        };
        let asked = read(question.api, Addressed::default(), &body).and_then(whole);
        let ended = match asked {
            Err(refusal) => Err(Exchange::refused(caller, question, seal, body, refusal)),
            Ok(asked) => match self.pass_limits(plan, &asked, body.len()).await? {
                Err(refusal) => Err(Exchange::refused(caller, question, seal, body, refusal)),
                Ok(hold) => {
                    journal.held.lock().unwrap_or_else(PoisonError::into_inner).1 = hold;
                    self.board(plan, (caller, question, seal), asked, &world, parcel).await
                }
            },
        };
        match ended {
            Ok(()) => Ok(()),
            Err(over) => end(over, &world).await,
        }
    }

    /// Waits until the limits let a line pass. What waiting does not help against is its refusal.
    async fn pass_limits(
        &self,
        plan: &Plan,
        asked: &Asked,
        bytes: usize,
    ) -> Result<Result<Hold, Refusal>, Stopped> {
        let size = (asked.request.answer_tokens(), bytes);
        loop {
            let passed = self.limit_line(&plan.principal, &plan.in_force, &plan.route, size);
            let over = match passed {
                Ok(hold) => return Ok(Ok(hold)),
                Err(over) => over,
            };
            let Some(wait) = over.wait() else { return Ok(Err(over.refusal())) };
            tokio::time::sleep(wait.max(LEAST_WAIT)).await;
            let row = self.tenant.batch(plan.batch).await?;
            if row.is_none_or(|row| row.cancelled.is_some()) {
                return Ok(Err(over.refusal()));
            }
        }
    }

    /// The way of every prompt, up to where it waits for the others.
    async fn board(
        &self,
        plan: &Plan,
        (caller, question, seal): (Caller, Question, Seal),
        asked: Asked,
        world: &World<'_, LineJournal<'_>>,
        parcel: &Mutex<Parcel>,
    ) -> Result<(), Exchange<Ended>> {
        let by = caller.clone();
        let prompt = asked.prompt;
        let long = prompt.written.len() > LONG_PROMPT_BYTES;
        // It is given back when the scan is over, and is never closed.
        let turn = if long { self.long_scans.acquire().await.ok() } else { None };
        let rules = &plan.in_force.rules;
        let open = || Exchange::open(caller, question, seal, prompt, &self.detector, rules);
        let scanned = aside(long, open)?;
        let ask = Ask {
            caller: &by.actor.id,
            owner: &by.actor.name,
            purpose: by.purpose.as_deref(),
            surface: by.surface,
            categories: &BTreeSet::new(),
            route: &plan.route,
        };
        let now = self.clock.now();
        let decided = aside(long, || scanned.decide(rules, &ask, &self.categories));
        drop(turn);
        let decision = match decided {
            Ok(decision) => decision,
            Err(unchosen) => return Err(scanned.turn_away(&unchosen, now)),
        };
        let cleared = scanned.clear(&decision, rules, SurrogateMap::new(), now, &*self.entropy)?;
        let admitted = cleared.admit(world).await?;
        let mut parcel = parcel.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.board(&mut parcel)
    }

    /// Ends a line that left, with what came for it.
    pub(super) async fn end_line(
        &self,
        state: &State,
        row: LineRow,
        came: Came,
    ) -> Result<(), Stopped> {
        let exchange = row.exchange;
        let Some(intent) = self.tenant.open_intent(exchange).await? else {
            // Its outcome is in the log without us: the sweep of another version.
            let ended = LineState::Failed {
                code: "interrupted".to_owned(),
                message: "The request left, and what became of it is not known.".to_owned(),
            };
            let change = Change::EndLine { exchange, state: ended, bytes: 0 };
            return Ok(self.tenant.change(vec![change]).await?);
        };
        let Ok(Record { event: Event::Intent(recorded), .. }) = Record::from_bytes(&intent.record)
        else {
            return Err(Stopped::Unreadable);
        };
        let leaf = ledger::tree::leaf_hash(&intent.record);
        let receipt = Receipt { log: self.log, seq: intent.seq, leaf };
        let keep = self.in_force.load().as_ref().map(|it| it.rules.keep()).unwrap_or_default();
        let (seal, map) = match self.kept_of(exchange, keep).await? {
            (seal, Some(map)) => (seal, Ok(map)),
            (seal, None) => (seal, Err(Control::Surrogates)),
        };
        let custom = self.custom_of(&row).await?.unwrap_or_default();
        let journal = LineJournal {
            house: self,
            around_bytes: answer_line(exchange, &custom, "").len() as u64,
            row,
            custom: &custom,
            held: Mutex::new((true, Hold::none())),
        };
        let world = World { journal: &journal, clock: &*self.clock, entropy: &*self.entropy };
        let (map, lost) = match map {
            Ok(map) => (map, None),
            Err(control) => (SurrogateMap::new(), Some(control)),
        };
        let departed = Exchange::resumed(*recorded, receipt, seal, map);
        let over = match (lost, came) {
            // Without its surrogates an answer says nothing that may be shown.
            (Some(control), _) => departed.fail(control),
            (None, Came::Unwanted) => departed.abandon(),
            (None, Came::Failure(failure)) => departed.end(Err(failure), &self.detector),
            (None, Came::Answer(body, upstream_request)) => {
                let reading = self.reading(state, exchange, keep).await?;
                let answer = match reading {
                    Some(reading) => {
                        reading.whole(state.called.api(), body.as_bytes(), upstream_request)
                    }
                    None => Err(UpstreamFailure::Garbage),
                };
                let long = body.len() > LONG_PROMPT_BYTES;
                aside(long, || departed.end(answer, &self.detector))
            }
        };
        end(over, &world).await
    }

    /// The keys and surrogates that a line left with; no map when it can no longer be read.
    async fn kept_of(
        &self,
        exchange: ExchangeId,
        keep: Keep,
    ) -> Result<(Seal, Option<SurrogateMap>), Stopped> {
        match self.continue_conversation(conversation_of(exchange), keep).await {
            Ok(Continued { seal, map, .. }) => {
                // A new unit is one that begins without what was there.
                let is_new = seal.new_unit.is_some();
                Ok((seal, (!is_new).then_some(map)))
            }
            Err(Unreadable::Keys(error)) => Err(error.into()),
            Err(Unreadable::Surrogates) => {
                let (keys, unit) = self.content_keys.begin_unit(None).await?;
                let seal = Seal { log: self.log, keys: Arc::new(keys), new_unit: Some(unit), keep };
                Ok((seal, None))
            }
        }
    }

    /// How the answer to a line is read: by the request that it was.
    async fn reading(
        &self,
        state: &State,
        exchange: ExchangeId,
        keep: Keep,
    ) -> Result<Option<Reading>, Stopped> {
        let blobs = self.tenant.blobs(exchange).await?;
        let written = match self.open_content(exchange, &blobs).await {
            Ok(content) => content.written,
            Err(ReadError::NoContent | ReadError::Disposed) => None,
            Err(error) => return Err(Stopped::Content(Box::new(error))),
        };
        let asked = written.and_then(|it| read(state.api.api(), Addressed::default(), &it).ok());
        Ok(asked.map(|asked| Reading::new(&asked.request, exchange, self.clock.now(), keep)))
    }

    /// The caller's own name of a line; absent when it was disposed of.
    pub(super) async fn custom_of(&self, row: &LineRow) -> Result<Option<Text>, Stopped> {
        let binding = binding(self, row.batch, row.exchange);
        match self.opened_under(row.unit, &binding, &row.custom).await {
            Ok(custom) => Ok(custom),
            Err(_) => Err(Stopped::Unreadable),
        }
    }
}

/// A line's answer comes whole.
fn whole(asked: Asked) -> Result<Asked, Refusal> {
    if asked.request.stream() {
        return Err(Refusal::fixed(Code::InvalidRequest, "A line of a batch is not streamed."));
    }
    Ok(asked)
}

async fn end(over: Exchange<Ended>, world: &World<'_, LineJournal<'_>>) -> Result<(), Stopped> {
    let name = over.outcome_name();
    let exchange = over.about().exchange;
    let (_, _, receipt) = over.commit(world).await?.into_parts();
    tracing::info!(%exchange, outcome = name, seq = receipt.seq, "line of a batch ended");
    Ok(())
}

/// Each line is a conversation of its own, so that its surrogates are no other line's.
const fn conversation_of(exchange: ExchangeId) -> ConversationId {
    ConversationId::from_bytes(*exchange.as_bytes())
}

fn binding(house: &House, batch: BatchId, exchange: ExchangeId) -> String {
    format!("bulla-line-1|{}|{batch}|{exchange}", house.log)
}

/// A line of the file of answers.
pub(super) fn answer_line(exchange: ExchangeId, custom: &Text, body: &str) -> String {
    let custom = json!(custom.expose());
    // Its body is a JSON document of one line already.
    format!(
        "{{\"id\":\"batch_req_{exchange}\",\"custom_id\":{custom},\"response\":{{\"status_code\":200,\"request_id\":\"{exchange}\",\"body\":{body}}},\"error\":null}}\n"
    )
}

/// A line of the file of what was not answered.
pub(super) fn error_line(exchange: ExchangeId, custom: &Text, state: &LineState) -> String {
    let (code, message) = match state {
        LineState::Failed { code, message } => (code.as_str(), message.as_str()),
        LineState::Waits | LineState::Answered => ("interrupted", "It is not known."),
    };
    let line = json!({
        "id": format!("batch_req_{exchange}"),
        "custom_id": custom.expose(),
        "response": null,
        "error": { "code": code, "message": message },
    });
    format!("{line}\n")
}

/// What is wrong with a batch whose lines cannot be asked.
pub(super) fn refused(refusal: &Refusal) -> Vec<Problem> {
    vec![Problem::of(None, refusal.code.as_str(), &refusal.message)]
}
