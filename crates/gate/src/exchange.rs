//! One prompt on its way through the house.
//!
//! The stage is a type, so the order of the controls is not a convention: text that was not scanned
//! cannot be cleared, text that was not cleared cannot be admitted, nothing can leave before the
//! record that it leaves is durable, and nothing can be shown before the record of the outcome is.
//! Every way out is [`Ended`], so one [`Exchange::commit`] records them all.

mod again;

use crate::content::{PromptContent, window_bytes, window_texts};
use crate::necessity::{Necessity, Remainder};
use crate::outcome::{Control, Outcome, Refusal, UpstreamFailure};
use crate::parcel::{Parcel, call};
use crate::path::{CoveredPath, Features};
use crate::policy::{BLOCKED, Decision, Denial, Unchosen};
use crate::prompt::{Answer, Prompt, StreamEvent, parts_of};
use crate::rules::{Api, Keep, Rules};
use crate::stream::{AnswerTooLarge, Frame, Restoration, Restored, Window, frame};
use crate::treat::{Treated, treat};
use ledger::seal::{KeySet, Place};
use ledger::{
    About, Actor, BatchId, Blob, BlobPart, Clock, ContentClass, ConversationId, Entropy, Entry,
    Event, ExchangeId, Hash, Intent, Journal, LogId, Receipt, ReplyContent, SealedSurrogate,
    Surrogates, Time, Unrecorded, Usage, WrappedUnit,
};
use phi::surrogate::SurrogateMap;
use phi::{Class, Detector, Finding, Text, Unscannable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long a conversation's surrogates keep their meaning: a month of follow-up questions.
const SURROGATE_DAYS: i64 = 30;

/// The world outside, as arguments: where records become durable, the time, randomness.
#[derive(Clone, Copy)]
pub struct World<'a, J> {
    /// Makes records durable.
    pub journal: &'a J,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
}

impl<J> std::fmt::Debug for World<'_, J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// Who asks, for what, and through what. Made from an authenticated request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The identity that every record of the exchange names.
    pub actor: Actor,
    /// The purpose of use, when one is known.
    pub purpose: Option<String>,
    /// The surface: `api`, `assistant`, `studio`.
    pub surface: &'static str,
}

/// The keys under which an exchange's content is sealed.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The log that the records go to.
    pub log: LogId,
    /// The conversation's keys, or some made for this exchange alone.
    pub keys: Arc<KeySet>,
    /// Those keys, wrapped, when they are new and must become durable with the first record.
    pub new_unit: Option<WrappedUnit>,
    /// Whether content is sealed under them, or no more than digests of it.
    pub keep: Keep,
}

/// What is asked, apart from the text.
#[derive(Clone, Debug)]
pub struct Question {
    /// The exchange.
    pub id: ExchangeId,
    /// The interface in which it is asked.
    pub api: Api,
    /// Whether the caller wants a stream.
    pub stream: bool,
    /// The route that the caller named, when the organisation configured it.
    pub route: Option<String>,
    /// The conversation, when the caller named one.
    pub conversation: Option<ConversationId>,
    /// The patient, when the caller named one: a keyed hash of the caller's reference.
    pub patient: Option<Hash>,
    /// The exchange that this one repeats, because the model server did not answer it.
    pub retry_of: Option<ExchangeId>,
    /// The exchange in which a model inside reduced the text of this one.
    pub reduced_by: Option<ExchangeId>,
    /// Why all of a chart is needed, in the caller's words.
    pub justification: Option<Text>,
    /// The exchange whose response this one goes on from.
    pub previous: Option<ExchangeId>,
    /// SHA-256 of the configuration in force, when there is one.
    pub policy: Option<Hash>,
    /// The batch of which it is a line; absent when it leaves alone.
    pub batch: Option<BatchId>,
}

/// One prompt on its way through the house. `S` is the stage, with the stage's data.
#[derive(Debug)]
#[must_use = "an exchange ends in a committed record, never by being dropped"]
pub struct Exchange<S> {
    matter: Box<Matter>,
    stage: S,
}

/// What stays with an exchange from stage to stage.
#[derive(Debug)]
struct Matter {
    about: About,
    /// Absent when no key could be had: then nothing is kept of the text, and it goes nowhere.
    seal: Option<Seal>,
    conversation: Option<ConversationId>,
    content: PromptContent,
}

/// 1. Searched for identifiers.
#[derive(Debug)]
pub struct Scanned {
    prompt: Prompt,
    findings: Vec<Vec<Finding>>,
    necessity: Necessity,
}

/// 2. Treated as the policy says, for a path that is covered.
#[derive(Debug)]
pub struct Cleared {
    outbound: Outbound,
    map: SurrogateMap,
}

/// 3. The record that it leaves is durable.
#[derive(Debug)]
pub struct Admitted {
    outbound: Outbound,
    map: SurrogateMap,
    intent: Receipt,
}

/// 4. It left, once; an answer is awaited.
#[derive(Debug)]
pub struct Departed {
    map: SurrogateMap,
    intent: Receipt,
}

/// 5. A streamed answer is coming in.
#[derive(Debug)]
pub struct Streaming {
    map: SurrogateMap,
    intent: Receipt,
    restoration: Restoration,
    pending: Pending,
    kept: Kept,
    recorded: Recorded,
    usage: Option<Usage>,
    upstream_request: Option<String>,
    /// Events handed on so far.
    handed: u64,
}

/// Whether everything that left a stream is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    Whole,
    /// A window was taken out and is not known to be durable, so it was dropped.
    Broken,
}

/// 6. Over, well or badly, but nobody has been told.
#[derive(Debug)]
pub struct Ended(Box<Ending>);

/// Boxed, because every stage returns one when it ends early.
#[derive(Debug)]
struct Ending {
    outcome: Outcome,
    intent: Option<Receipt>,
    reply: Option<Reply>,
}

/// 7. The record of the outcome is durable.
#[derive(Debug)]
pub struct Released {
    outcome: Outcome,
    receipt: Receipt,
}

/// The one thing that may be sent, once, over the one path that it may take.
#[derive(Debug)]
pub struct Outbound {
    api: Api,
    body: Text,
    stream: bool,
    path: CoveredPath,
}

impl Outbound {
    /// The destination's interface that is called.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// The bytes to send, in the destination's dialect.
    #[must_use]
    pub const fn body(&self) -> &Text {
        &self.body
    }

    /// Whether a stream is asked for.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.stream
    }

    /// The path.
    #[must_use]
    pub const fn path(&self) -> &CoveredPath {
        &self.path
    }
}

/// Events without text that wait for the next window. A model server begins with one or two; one that sends
/// nothing else would have them pile up in memory.
const MAX_WAITING_EVENTS: usize = 1024;

/// What of a stream waits to become durable.
#[derive(Debug, Default)]
struct Pending {
    frames: Vec<Frame>,
    received: Vec<Text>,
    has_text: bool,
}

/// What of an answer is durable already.
#[derive(Debug, Default)]
struct Kept {
    digests: Vec<u8>,
    windows: u32,
    bytes: u64,
}

/// What the outcome's record says of the answer, and its last window, not yet durable.
#[derive(Debug)]
struct Reply {
    kept: Kept,
    last: Option<WindowContent>,
    restored: u64,
    unknown: u64,
    findings: BTreeMap<String, u64>,
    usage: Option<Usage>,
    upstream_request: Option<String>,
}

/// A window's content for the record: what came, what is delivered.
#[derive(Debug)]
struct WindowContent {
    received: Text,
    delivered: Text,
}

impl<S> Exchange<S> {
    /// What the exchange is about, as its records say it.
    pub fn about(&self) -> &About {
        &self.matter.about
    }

    fn to<T>(matter: Box<Matter>, stage: T) -> Exchange<T> {
        Exchange { matter, stage }
    }

    fn ended(matter: Box<Matter>, outcome: Outcome, intent: Option<Receipt>) -> Exchange<Ended> {
        let ending = Ending { outcome, intent, reply: None };
        Exchange { matter, stage: Ended(Box::new(ending)) }
    }
}

impl Matter {
    fn new(caller: Caller, question: Question, seal: Option<Seal>, written: Text) -> Box<Self> {
        let about = About {
            purpose: caller.purpose,
            conversation: question.conversation,
            stream: question.stream,
            route: question.route,
            policy: question.policy,
            retry_of: question.retry_of,
            patient: question.patient,
            reduced_by: question.reduced_by,
            previous: question.previous,
            batch: question.batch,
            ..About::of(question.id, caller.actor, caller.surface, question.api.as_str())
        };
        let content = PromptContent::new(written, question.justification);
        Box::new(Self { about, seal, conversation: question.conversation, content })
    }

    /// Seals the prompt and notes its digest. A new unit goes with it: should the first record not
    /// become durable, the next one brings prompt and keys again.
    fn seal_prompt(&mut self, entropy: &dyn Entropy) -> (Vec<Blob>, Option<WrappedUnit>) {
        let Some(seal) = &self.seal else { return (Vec::new(), None) };
        let place = seal.place(self.about.exchange, BlobPart::Prompt);
        let blob = match seal.keep {
            Keep::All => seal.keys.seal(&place, &self.content.to_bytes(), entropy),
            Keep::Digests => seal.keys.digest(&place, &self.content.texts(), entropy),
        };
        self.about.prompt = Some(blob.digest());
        self.about.key_day = Some(seal.keys.day());
        (vec![blob], seal.new_unit.clone())
    }

    /// Absent when no key could be had, which ends an exchange before there is an answer.
    fn seal_window(
        &self,
        number: u32,
        window: &WindowContent,
        entropy: &dyn Entropy,
    ) -> Option<Blob> {
        let seal = self.seal.as_ref()?;
        let place = seal.place(self.about.exchange, BlobPart::Window(number));
        let WindowContent { received, delivered } = window;
        Some(match seal.keep {
            Keep::All => seal.keys.seal(&place, &window_bytes(received, delivered), entropy),
            Keep::Digests => seal.keys.digest(&place, &window_texts(received, delivered), entropy),
        })
    }
}

impl Seal {
    const fn place(&self, exchange: ExchangeId, part: BlobPart) -> Place {
        Place { log: self.log, exchange, part }
    }
}

impl Exchange<Ended> {
    /// An exchange that ended before it began, because there are no keys to seal its content under.
    /// Nothing of what was written is kept.
    pub fn unsealed(caller: Caller, question: Question) -> Self {
        let matter = Matter::new(caller, question, None, Text::default());
        Self::ended(matter, Outcome::FailedClosed(Control::Keys), None)
    }

    /// An exchange that ended before it began, because a control could not run.
    pub fn failed(
        caller: Caller,
        question: Question,
        seal: Seal,
        written: Text,
        control: Control,
    ) -> Self {
        let matter = Matter::new(caller, question, Some(seal), written);
        Self::ended(matter, Outcome::FailedClosed(control), None)
    }

    /// An exchange that ended before it began: the request was refused unread.
    pub fn refused(
        caller: Caller,
        question: Question,
        seal: Seal,
        written: Text,
        refusal: Refusal,
    ) -> Self {
        let matter = Matter::new(caller, question, Some(seal), written);
        Self::ended(matter, Outcome::Refused(refusal), None)
    }
}

impl Exchange<Scanned> {
    /// Opens an exchange by scanning every part of the prompt, and takes away what its purpose does not
    /// need.
    ///
    /// # Errors
    /// The exchange, ended, if the detector cannot vouch for the whole text, or if more is asked than
    /// is necessary.
    pub fn open(
        caller: Caller,
        question: Question,
        seal: Seal,
        prompt: Prompt,
        detector: &Detector,
        rules: &Rules,
    ) -> Result<Self, Exchange<Ended>> {
        let mut matter = Matter::new(caller, question, Some(seal), prompt.written.clone());
        matter.about.detector = Some(Detector::NAME.to_owned());
        let justification = matter.content.justification().cloned();
        let mut parts = parts_of(&prompt);
        parts.extend(justification.iter().map(|it| phi::Part { text: it.expose(), label: None }));
        let mut findings = match detector.scan(&parts) {
            Ok(findings) if findings.len() == parts.len() => findings,
            // Fail closed: a part without a verdict is a part that was not scanned.
            Ok(_) | Err(Unscannable::SelfTest | Unscannable::BrokeOff) => {
                return Err(Self::ended(matter, Outcome::FailedClosed(Control::Detector), None));
            }
            Err(Unscannable::TooLong { .. }) => {
                return Err(Self::ended(
                    matter,
                    Outcome::FailedClosed(Control::DetectorLimit),
                    None,
                ));
            }
        };
        for finding in findings.iter().flatten() {
            *matter.about.findings.entry(finding.class.label().to_owned()).or_default() += 1;
        }
        matter.content.note_findings(&prompt.parts, &findings);
        // What justifies a prompt is kept with it, and leaves with none.
        findings.truncate(prompt.parts.len());
        let (about, justified) = (&mut matter.about, justification.as_ref());
        match Necessity::weigh(about, rules.minimum(), &prompt, &findings, justified) {
            Ok(necessity) => Ok(Self::to(matter, Scanned { prompt, findings, necessity })),
            Err(refusal) => Err(Self::blocked(matter, refusal)),
        }
    }

    /// The classes that were found and are still there, for the policy to decide on.
    #[must_use]
    pub fn classes(&self) -> BTreeSet<Class> {
        self.remainder().left().clone()
    }

    /// Ends the exchange because the policy permits no treatment.
    pub fn refuse(self, denial: &Denial) -> Exchange<Ended> {
        let mut matter = self.matter;
        let outcome = denial.note(&mut matter.about);
        Self::ended(matter, outcome, None)
    }

    /// Ends the exchange because there is nowhere to go, which was found at the moment `now`.
    pub fn turn_away(self, unchosen: &Unchosen, now: Time) -> Exchange<Ended> {
        let mut matter = self.matter;
        matter.about.decided = Some(now);
        let outcome = unchosen.note(&mut matter.about);
        Self::ended(matter, outcome, None)
    }

    pub(crate) const fn prompt(&self) -> &Prompt {
        &self.stage.prompt
    }

    pub(crate) const fn remainder(&self) -> &Remainder {
        self.stage.necessity.remainder()
    }

    /// Ends the exchange because a control could not run.
    pub fn fail(self, control: Control) -> Exchange<Ended> {
        Self::ended(self.matter, Outcome::FailedClosed(control), None)
    }

    /// Asks whether the decided path is covered now, and treats the text as decided.
    ///
    /// `map` holds what earlier turns of the conversation minted.
    ///
    /// # Errors
    /// The exchange, ended, if a hop is covered by nothing or a surrogate cannot be minted.
    pub fn clear(
        self,
        decision: &Decision,
        rules: &Rules,
        mut map: SurrogateMap,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Result<Exchange<Cleared>, Exchange<Ended>> {
        let Self { mut matter, stage: Scanned { prompt, findings, necessity } } = self;
        matter.about.decided = Some(now);
        let decision = &necessity.remainder().lessen(decision);
        decision.note(&mut matter.about);
        let call = match call(&matter.about, &prompt, decision.destination()) {
            Ok(call) => call,
            Err(refusal) => return Err(Self::blocked(matter, refusal)),
        };
        let features = Features {
            api: call.api.as_str(),
            model: decision.model(),
            modality: "text",
            capabilities: &call.capabilities,
        };
        let path = match rules.cover_for(&matter.about, decision.destination(), &features, now) {
            Ok(path) => path,
            Err(gap) => {
                return Err(Self::blocked(matter, gap.refusal()));
            }
        };
        matter.about.path = path.covers().to_vec();

        let treated =
            match treat(&prompt.parts, &findings, necessity.cuts(), decision, &mut map, entropy) {
                Ok(treated) => treated,
                Err(control) => {
                    return Err(Self::ended(matter, Outcome::FailedClosed(control), None));
                }
            };
        let unchanged = call.as_written
            && treated.iter().all(|part| !part.1)
            && matter.about.route.as_deref() == Some(decision.model());
        let body = if unchanged {
            // Byte for byte what was written, because nothing had to change.
            prompt.written.clone()
        } else {
            let fill = Treated { model: decision.model(), parts: &treated };
            // Everything in it was a `str` or ASCII.
            Text::new(String::from_utf8_lossy(&call.shape.write(&fill)).into_owned())
        };
        if !unchanged {
            matter.content.note_left(body.clone(), &map);
        }
        let outbound = Outbound { api: call.api, body, stream: matter.about.stream, path };
        Ok(Self::to(matter, Cleared { outbound, map }))
    }

    /// Whatever the policy permitted, nothing leaves.
    fn blocked(mut matter: Box<Matter>, refusal: Refusal) -> Exchange<Ended> {
        matter.about.decision = Some(BLOCKED.to_owned());
        Self::ended(matter, Outcome::Refused(refusal), None)
    }
}

impl Exchange<Cleared> {
    /// Records that this text is about to leave, before it does.
    ///
    /// # Errors
    /// The exchange, ended, if the record is not durable.
    pub async fn admit<J: Journal>(
        self,
        world: &World<'_, J>,
    ) -> Result<Exchange<Admitted>, Exchange<Ended>> {
        let Self { mut matter, stage: Cleared { outbound, map } } = self;
        let now = world.clock.now();
        let (blobs, unit) = matter.seal_prompt(world.entropy);
        let surrogates = matter.seal_surrogates(&map, now, world.entropy);
        let intent = Intent {
            about: matter.about.clone(),
            surrogates: Surrogates { minted: map.minted() as u64, read: map.read() },
        };
        let event = Event::Intent(Box::new(intent));
        match world.journal.append(Entry { time: now, event, blobs, unit, surrogates }).await {
            Ok(receipt) => Ok(Self::to(matter, Admitted { outbound, map, intent: receipt })),
            Err(_) => Err(Self::ended(matter, Outcome::FailedClosed(Control::Audit), None)),
        }
    }
}

impl Matter {
    /// Seals the fresh surrogates for later turns. Without a conversation there is no later turn.
    fn seal_surrogates(
        &self,
        map: &SurrogateMap,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Vec<SealedSurrogate> {
        let (Some(conversation), Some(seal)) = (self.conversation, &self.seal) else {
            return Vec::new();
        };
        let binding = surrogate_binding(seal.log, conversation);
        let key = seal.keys.key(ContentClass::Surrogates);
        let expires = now.plus_seconds(SURROGATE_DAYS * 86_400);
        map.fresh_entries()
            .map(|entry| SealedSurrogate {
                conversation,
                unit: seal.keys.id(),
                sealed: key.seal_small(&binding, entry.expose().as_bytes(), entropy),
                expires,
            })
            .collect()
    }
}

/// What a sealed surrogate is bound to.
#[must_use]
pub fn surrogate_binding(log: LogId, conversation: ConversationId) -> String {
    format!("bulla-surrogate-1|{log}|{conversation}")
}

impl Exchange<Admitted> {
    /// Hands out the one thing that may be sent. It exists only now, and only once.
    pub fn depart(self) -> (Outbound, Exchange<Departed>) {
        let Self { matter, stage: Admitted { outbound, map, intent } } = self;
        (outbound, Self::to(matter, Departed { map, intent }))
    }

    /// Puts the one thing that may be sent among those that leave together. What is left of the exchange
    /// is in the log: [`Exchange::resumed`] goes on with it when the answer is there.
    ///
    /// # Errors
    /// The exchange, ended: it is no line of this batch, or would go another way than its other lines.
    pub fn board(self, parcel: &mut Parcel) -> Result<(), Exchange<Ended>> {
        let Self { matter, stage: Admitted { outbound, map: _, intent } } = self;
        let ours = matter.about.batch == Some(parcel.batch());
        if ours && parcel.takes(&outbound) {
            parcel.add(matter.about.exchange, outbound);
            return Ok(());
        }
        // Fail closed: nothing leaves under a clearance that was given for something else.
        Err(Self::ended(matter, Outcome::FailedClosed(Control::Policy), Some(intent)))
    }
}

impl Exchange<Departed> {
    /// Where the intent is recorded: the receipt that a caller gets who does not wait for the answer.
    #[must_use]
    pub const fn intent(&self) -> &Receipt {
        &self.stage.intent
    }

    /// A line of a batch that left, as its intent says, maybe before this program was started. Nothing
    /// can leave from here.
    ///
    /// `map` holds the surrogates that the line left with, and `intent` is where that is recorded.
    pub fn resumed(recorded: Intent, intent: Receipt, seal: Seal, map: SurrogateMap) -> Self {
        let Intent { about, surrogates: _ } = recorded;
        let conversation = about.conversation;
        // The prompt became durable with the intent.
        let content = PromptContent::new(Text::default(), None);
        let matter = Matter { about, seal: Some(seal), conversation, content };
        Self::to(Box::new(matter), Departed { map, intent })
    }

    /// Takes a whole answer: restores it and scans it. Cannot fail.
    pub fn end(
        self,
        answer: Result<Answer, UpstreamFailure>,
        detector: &Detector,
    ) -> Exchange<Ended> {
        let Self { matter, stage: Departed { map, intent } } = self;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                return Self::ended(matter, Outcome::UpstreamFailed(failure, None), Some(intent));
            }
        };
        Self::settle(matter, answer, &map, Some(intent), detector, Outcome::Answered)
    }

    /// Restores a whole answer and scans it.
    fn settle(
        matter: Box<Matter>,
        answer: Answer,
        map: &SurrogateMap,
        intent: Option<Receipt>,
        detector: &Detector,
        as_what: fn(Text) -> Outcome,
    ) -> Exchange<Ended> {
        let mut restoration = Restoration::default();
        let Ok(texts) = restoration.restore(map, &answer.parts) else {
            let failure = UpstreamFailure::TooLarge;
            return Self::ended(matter, Outcome::UpstreamFailed(failure, None), intent);
        };
        let Ok(findings) = restoration.scan(detector) else {
            return Self::ended(matter, Outcome::FailedClosed(Control::Detector), intent);
        };
        let document = answer.shape.write(&Restored { texts: &texts, ordinal: 0 });
        // Everything in it was a `str` or ASCII.
        let delivered = Text::new(String::from_utf8_lossy(&document).into_owned());
        let reply = Reply {
            kept: Kept::default(),
            last: Some(WindowContent { received: answer.received, delivered: delivered.clone() }),
            restored: restoration.restored(),
            unknown: restoration.unknown(),
            findings,
            usage: answer.usage,
            upstream_request: answer.upstream_request,
        };
        let ending = Ending { outcome: as_what(delivered), intent, reply: Some(reply) };
        Self::to(matter, Ended(Box::new(ending)))
    }

    /// Ends the exchange because a control could not run, without which its answer is not taken.
    pub fn fail(self, control: Control) -> Exchange<Ended> {
        let Self { matter, stage: Departed { intent, .. } } = self;
        Self::ended(matter, Outcome::FailedClosed(control), Some(intent))
    }

    /// Ends the exchange because its caller is gone and there is nobody to answer.
    pub fn abandon(self) -> Exchange<Ended> {
        let Self { matter, stage: Departed { intent, .. } } = self;
        Self::ended(matter, Outcome::CallerGone, Some(intent))
    }

    /// Begins to take a streamed answer.
    pub fn stream(self, upstream_request: Option<String>) -> Exchange<Streaming> {
        let Self { matter, stage: Departed { map, intent } } = self;
        let stage = Streaming {
            map,
            intent,
            restoration: Restoration::default(),
            pending: Pending::default(),
            kept: Kept::default(),
            recorded: Recorded::Whole,
            usage: None,
            upstream_request,
            handed: 0,
        };
        Self::to(matter, stage)
    }
}

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The model finished.
    Complete,
    /// The model failed.
    Failed(UpstreamFailure),
    /// A window could not be made durable.
    Unrecorded,
    /// The caller went away.
    CallerGone,
}

impl Exchange<Streaming> {
    /// Takes the next event: restores what is certain, holds back what is not.
    ///
    /// # Errors
    /// [`AnswerTooLarge`]: the stream must end.
    pub fn take(&mut self, event: &StreamEvent) -> Result<(), AnswerTooLarge> {
        let stage = &mut self.stage;
        let texts = stage.restoration.restore(&stage.map, &event.parts)?;
        stage.usage = event.usage.or(stage.usage);
        if !event.received.is_empty() {
            stage.pending.received.push(event.received.clone());
        }
        stage.pending.has_text |= texts.iter().any(|text| !text.is_empty());
        if let Some(frame) = frame(event, &texts, stage.handed) {
            stage.handed += 1;
            stage.pending.frames.push(frame);
        }
        Ok(())
    }

    /// Where the intent is recorded: the receipt that a caller gets before the first window.
    #[must_use]
    pub const fn intent(&self) -> &Receipt {
        &self.stage.intent
    }

    /// Bytes of text that the model said so far.
    #[must_use]
    pub const fn said_bytes(&self) -> usize {
        self.stage.restoration.bytes()
    }

    /// Whether text waits for its release. Events without text, as the one that names a role, can
    /// wait for the next window: alone they tell the caller nothing, and cost a write to the disk. So
    /// many of them do not wait.
    #[must_use]
    pub const fn has_text(&self) -> bool {
        let Pending { frames, received, has_text } = &self.stage.pending;
        *has_text || frames.len() >= MAX_WAITING_EVENTS || received.len() >= MAX_WAITING_EVENTS
    }

    /// Makes everything that was taken since the last release durable, and only then hands it out.
    ///
    /// # Errors
    /// [`Unrecorded`]: the window stays inside and is dropped, and however the stream ends, it ends
    /// as [`Control::Audit`]. The same holds when the future is dropped before it is ready.
    pub async fn release<J: Journal>(
        &mut self,
        world: &World<'_, J>,
    ) -> Result<Window, Unrecorded> {
        if self.stage.recorded == Recorded::Broken {
            return Err(Unrecorded::Stopped);
        }
        let (frames, content) = self.stage.pending.take();
        let number = self.stage.kept.windows;
        // Fail closed: until the journal says otherwise, the window is lost.
        self.stage.recorded = Recorded::Broken;
        let sealed = self.matter.seal_window(number, &content, world.entropy);
        let blob = sealed.ok_or(Unrecorded::Stopped)?;
        let digest = blob.digest();
        world.journal.keep(blob).await?;
        self.stage.recorded = Recorded::Whole;
        self.stage.kept.add(&digest, content.delivered.len());
        Ok(Window::new(frames))
    }

    /// Ends the stream: scans what was said. Cannot fail.
    ///
    /// What was taken but not released goes out with the outcome's record, unless nobody is there to
    /// get it.
    pub fn end(self, end: StreamEnd, detector: &Detector) -> Exchange<Ended> {
        let Self { matter, stage } = self;
        let Streaming { intent, restoration, mut pending, kept, recorded, .. } = stage;
        let (usage, upstream_request) = (stage.usage, stage.upstream_request);
        let (frames, content) = pending.take();
        let (findings, scanned) = match restoration.scan(detector) {
            Ok(findings) => (findings, true),
            Err(_) => (BTreeMap::new(), false),
        };
        let outcome = match end {
            _ if recorded == Recorded::Broken => Outcome::FailedClosed(Control::Audit),
            _ if !scanned => Outcome::FailedClosed(Control::Detector),
            StreamEnd::Complete => Outcome::Streamed(Window::new(frames)),
            StreamEnd::Failed(failure) => {
                Outcome::UpstreamFailed(failure, Some(Window::new(frames)))
            }
            StreamEnd::Unrecorded => Outcome::FailedClosed(Control::Audit),
            StreamEnd::CallerGone => Outcome::CallerGone,
        };
        let delivers = matches!(outcome, Outcome::Streamed(_) | Outcome::UpstreamFailed(..));
        let reply = Reply {
            kept,
            last: (delivers && !content.is_empty()).then_some(content),
            restored: restoration.restored(),
            unknown: restoration.unknown(),
            findings,
            usage,
            upstream_request,
        };
        let ending = Ending { outcome, intent: Some(intent), reply: Some(reply) };
        Self::to(matter, Ended(Box::new(ending)))
    }
}

impl Pending {
    fn take(&mut self) -> (Vec<Frame>, WindowContent) {
        self.has_text = false;
        let frames = std::mem::take(&mut self.frames);
        let received = lines(std::mem::take(&mut self.received).iter());
        let delivered = lines(frames.iter().map(|frame| &frame.data));
        (frames, WindowContent { received, delivered })
    }
}

/// Joins texts, each ended by a line feed.
fn lines<'t>(texts: impl Iterator<Item = &'t Text> + Clone) -> Text {
    let bytes = texts.clone().map(|text| text.len() + 1).sum();
    let mut joined = String::with_capacity(bytes);
    for text in texts {
        joined.push_str(text.expose());
        joined.push('\n');
    }
    Text::new(joined)
}

impl WindowContent {
    fn is_empty(&self) -> bool {
        self.received.is_empty() && self.delivered.is_empty()
    }
}

impl Kept {
    fn add(&mut self, digest: &Hash, bytes: usize) {
        self.digests.extend_from_slice(digest.as_bytes());
        self.windows += 1;
        self.bytes += bytes as u64;
    }
}

impl Exchange<Ended> {
    /// How it ended. Readable for the log line; nothing of it may be shown before it is released.
    #[must_use]
    pub fn outcome_name(&self) -> &'static str {
        self.stage.0.outcome.name()
    }

    /// How the model server failed a prompt that left, so that it may be asked once more.
    #[must_use]
    pub const fn failure(&self) -> Option<UpstreamFailure> {
        match (&self.stage.0.outcome, &self.stage.0.intent, &self.stage.0.reply) {
            (Outcome::UpstreamFailed(failure, None), Some(_), None) => Some(*failure),
            _ => None,
        }
    }

    /// Records the outcome; only then may anyone see it.
    ///
    /// # Errors
    /// [`Unrecorded`]: the outcome stays inside and is dropped. If a prompt had left, its intent is
    /// open in the log, and the sweep ends it as `interrupted`.
    pub async fn commit<J: Journal>(
        self,
        world: &World<'_, J>,
    ) -> Result<Exchange<Released>, Unrecorded> {
        let Self { mut matter, stage: Ended(ending) } = self;
        let Ending { outcome, intent, reply } = *ending;
        let (mut blobs, unit) = match intent {
            // The prompt became durable with the intent.
            Some(_) => (Vec::new(), None),
            None => matter.seal_prompt(world.entropy),
        };
        let mut usage = None;
        let mut upstream_request = None;
        let mut content = None;
        if let Some(reply) = reply {
            usage = reply.usage;
            upstream_request.clone_from(&reply.upstream_request);
            content = matter.seal_reply(reply, &mut blobs, world.entropy);
        }
        let record = ledger::Outcome {
            about: matter.about.clone(),
            outcome: outcome.name().to_owned(),
            code: outcome.code().map(|code| code.as_str().to_owned()),
            reason: outcome.reason().map(str::to_owned),
            intent: intent.map(|receipt| receipt.seq),
            reply: content,
            upstream_request,
            usage,
        };
        let event = Event::Outcome(Box::new(record));
        let entry = Entry { time: world.clock.now(), event, blobs, unit, surrogates: Vec::new() };
        let receipt = world.journal.append(entry).await?;
        Ok(Self::to(matter, Released { outcome, receipt }))
    }
}

impl Matter {
    fn seal_reply(
        &self,
        reply: Reply,
        blobs: &mut Vec<Blob>,
        entropy: &dyn Entropy,
    ) -> Option<ReplyContent> {
        let mut kept = reply.kept;
        if let Some(last) = reply.last
            && let Some(blob) = self.seal_window(kept.windows, &last, entropy)
        {
            kept.add(&blob.digest(), last.delivered.len());
            blobs.push(blob);
        }
        (kept.windows > 0).then(|| ReplyContent {
            windows: u64::from(kept.windows),
            digest: Hash::of(&kept.digests),
            bytes: kept.bytes,
            restored: reply.restored,
            unknown: reply.unknown,
            findings: reply.findings,
        })
    }
}

impl Exchange<Released> {
    /// The outcome, and the receipt by which an auditor finds its record.
    #[must_use]
    pub fn outcome(&self) -> (&Outcome, &Receipt) {
        (&self.stage.outcome, &self.stage.receipt)
    }

    /// The same, taken out.
    #[must_use]
    pub fn into_parts(self) -> (About, Outcome, Receipt) {
        (self.matter.about, self.stage.outcome, self.stage.receipt)
    }
}
