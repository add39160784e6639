//! One synthetic exchange, through every guard that a real one passes, and what must be true of it.
//!
//! The stages are the gate's own, so nothing here can go another way than production does. Only the
//! ends are others: a stand-in answers instead of the network, and what is recorded goes to a journal
//! in memory, so that no synthetic exchange is ever taken for a disclosure.

use super::standin::{self, Way};
use gate::exchange::{
    Caller, Departed, Ended, Exchange, Question, Scanned, Seal, StreamEnd, World,
};
use gate::policy::{Ask, Availability, Decision, Treatment, Unchosen};
use gate::rules::{Api, Keep, Route, Rules};
use gate::shape::Json;
use gate::{Code, Outbound, Outcome};
use ledger::seal::KeySet;
use ledger::{
    Actor, ActorKind, Blob, Clock, Entropy, Entry, Event, ExchangeId, Head, Journal, LogId,
    Receipt, Time, Unrecorded,
};
use memchr::memmem;
use phi::category::Categories;
use phi::surrogate::{SurrogateMap, look_alikes};
use phi::{Class, Detector, Text};
use providers::{Addressed, Asked, Reading, Request, Unsupported};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What does its work on every exchange, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guard {
    /// Finds each identifier that was planted.
    Detector,
    /// Refuses what no rule permits.
    Policy,
    /// Lets nothing take a path that is not covered.
    Path,
    /// Replaces what the policy does not disclose.
    Treatment,
    /// Gives each surrogate its own value back.
    Restore,
    /// Records what leaves before it does, and how it ended, without a value.
    Record,
    /// The stages between them: a dialect that reads its own requests and answers.
    Pipeline,
}

impl Guard {
    /// The guard in one word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Policy => "policy",
            Self::Path => "path",
            Self::Treatment => "treatment",
            Self::Restore => "restore",
            Self::Record => "record",
            Self::Pipeline => "pipeline",
        }
    }
}

/// A synthetic identifier, and the words before it that make it one.
pub(super) struct Plant {
    pub(super) class: Class,
    pub(super) before: &'static str,
    pub(super) value: &'static str,
}

const fn plant(class: Class, before: &'static str, value: &'static str) -> Plant {
    Plant { class, before, value }
}

/// One of every class, of a person who does not exist. No value holds another.
pub(super) const PLANTS: &[Plant] = &[
    plant(Class::Name, "Patient: ", "Agnieszka Kowalczyk"),
    plant(Class::Location, "Address: ", "41 Alder Street, Springfield, IL 62704"),
    plant(Class::Date, "DOB: ", "03/14/1931"),
    plant(Class::Age, "Age: ", "92"),
    plant(Class::Phone, "Phone: ", "(617) 555-0142"),
    plant(Class::Fax, "Fax: ", "617-555-0143"),
    plant(Class::Email, "E-mail: ", "a.kowalczyk@mail.example"),
    plant(Class::Ssn, "SSN: ", "078-05-1120"),
    plant(Class::Mrn, "MRN: ", "4412907"),
    plant(Class::HealthPlanId, "Member ID: ", "XYZ884412"),
    plant(Class::Account, "Account number: ", "55-201-7781"),
    plant(Class::License, "Driver's license number: ", "S514-7789"),
    plant(Class::Vehicle, "License plate: ", "KLM-4471"),
    plant(Class::DeviceId, "Pacemaker serial number: ", "PM-88-21774"),
    plant(Class::Url, "Portal: ", "https://portal.example/p/7781"),
    plant(Class::Ip, "IP address: ", "203.0.113.77"),
    plant(Class::Biometric, "Fingerprint ID: ", "FP-55121"),
    plant(Class::Photo, "Photo: ", "face_0012.jpg"),
    plant(Class::Profession, "Occupation: ", "lighthouse keeper"),
    plant(Class::OtherId, "Accession number: ", "S24-11873"),
];

/// What every synthetic text begins with.
const MARK: &str = "Synthetic note of the self-test.";

/// A value of fewer bytes may stand in a model's name by chance, so it is looked for in the text alone.
const DISTINCT_BYTES: usize = 6;

/// What the self-test asks as.
const NAME: &str = "selftest";

/// A text with these identifiers, one in each line after the first.
fn note(plants: &[&Plant]) -> String {
    let mut note = MARK.to_owned();
    for Plant { before, value, .. } in plants {
        note.push('\n');
        note.push_str(before);
        note.push_str(value);
    }
    note
}

/// The text without what has the form of a surrogate, in which any short value may stand by chance.
fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut done = 0;
    for range in look_alikes(text) {
        bare.push_str(text.get(done..range.start).unwrap_or_default());
        done = range.end;
    }
    bare.push_str(text.get(done..).unwrap_or_default());
    bare
}

/// What takes part in every synthetic exchange of one run.
pub(super) struct Bench<'a> {
    pub(super) detector: &'a Detector,
    pub(super) categories: &'a Categories,
    pub(super) clock: &'a dyn Clock,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) log: LogId,
    pub(super) keys: Arc<KeySet>,
    pub(super) read: Read,
    /// What the stand-in makes of the text that it was told.
    pub(super) model: fn(&str) -> String,
}

/// Takes a caller's request apart.
pub(super) type Read = fn(Api, Addressed, Json, Text) -> Result<Asked, Unsupported>;

/// What is asked, of whom, and what is planted in it.
pub(super) struct Trial<'a> {
    pub(super) rules: &'a Rules,
    pub(super) route: &'a Route,
    /// The destination that is in order, when one of several is meant.
    pub(super) target: Option<&'a str>,
    pub(super) purpose: Option<&'a str>,
    pub(super) api: Api,
    pub(super) way: Way,
    pub(super) plants: &'a [&'a Plant],
}

/// How a synthetic exchange ended with every guard at its work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It left as it may, and came back as it must.
    Back,
    /// A rule refused it, and nothing left.
    Refused(Code),
}

/// Keeps in memory what a synthetic exchange records.
pub(super) struct Desk {
    log: LogId,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    head: Head,
    records: Vec<Vec<u8>>,
    events: Vec<Event>,
    blobs: Vec<Blob>,
}

impl Desk {
    pub(super) fn of(log: LogId) -> Self {
        Self { log, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Desk {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let mut kept = self.kept();
        let sealed = kept.head.seal_next(self.log, entry.time, &entry.event)?;
        kept.records.push(sealed.bytes);
        kept.events.push(entry.event);
        kept.blobs.extend(entry.blobs);
        Ok(Receipt { log: self.log, seq: sealed.seq, leaf: sealed.leaf })
    }

    async fn keep(&self, window: Blob) -> Result<(), Unrecorded> {
        self.kept().blobs.push(window);
        Ok(())
    }
}

/// One trial under way.
struct Run<'a, J> {
    bench: &'a Bench<'a>,
    trial: &'a Trial<'a>,
    world: World<'a, J>,
    desk: &'a Desk,
    id: ExchangeId,
    request: Arc<Request>,
}

impl Bench<'_> {
    /// Takes one synthetic exchange through, from the caller's bytes to the recorded end.
    ///
    /// # Errors
    /// The first guard that did not do its work.
    pub(super) async fn try_out(&self, trial: &Trial<'_>) -> Result<Came, Guard> {
        let desk = Desk::of(self.log);
        self.try_with(trial, &desk, &desk).await
    }

    /// The same, where what is recorded goes to `journal` and what is kept is looked for on `desk`.
    pub(super) async fn try_with<J: Journal>(
        &self,
        trial: &Trial<'_>,
        desk: &Desk,
        journal: &J,
    ) -> Result<Came, Guard> {
        let text = note(trial.plants);
        let model = trial.route.model().as_str();
        let (addressed, body) = standin::ask(trial.api, trial.way, model, &text);
        let body = body.to_string();
        let json = Json::parse(body.as_bytes()).map_err(|_| Guard::Pipeline)?;
        let asked = (self.read)(trial.api, addressed, json, Text::new(body));
        let Asked { request, prompt } = asked.map_err(|_| Guard::Pipeline)?;
        let id = ExchangeId::mint(self.clock.now(), self.entropy);
        let world = World { journal, clock: self.clock, entropy: self.entropy };
        let question = Question {
            id,
            api: trial.api,
            stream: request.stream(),
            route: Some(model.to_owned()),
            conversation: None,
            patient: None,
            retry_of: None,
            reduced_by: None,
            previous: None,
            justification: None,
            policy: Some(trial.rules.sha256()),
            batch: None,
        };
        let seal =
            Seal { log: self.log, keys: Arc::clone(&self.keys), new_unit: None, keep: Keep::All };
        let caller = caller(trial.purpose);
        let run = Run { bench: self, trial, world, desk, id, request };
        let rules = trial.rules;
        match Exchange::open(caller, question, seal, prompt, self.detector, rules) {
            Ok(scanned) => run.scanned(scanned).await,
            // Where no PHI may be, the synthetic is refused too, and that is right.
            Err(over) if over.about().alert.is_some() => run.refused(over).await,
            Err(_) => Err(Guard::Detector),
        }
    }
}

fn caller(purpose: Option<&str>) -> Caller {
    let actor = Actor { kind: ActorKind::System, id: NAME.to_owned(), name: NAME.to_owned() };
    Caller { actor, purpose: purpose.map(str::to_owned), surface: "api" }
}

/// Who asks, for the policy.
pub(super) fn ask<'a>(
    route: &'a Route,
    purpose: Option<&'a str>,
    categories: &'a BTreeSet<phi::category::Category>,
) -> Ask<'a> {
    Ask { caller: NAME, owner: NAME, purpose, surface: "api", categories, route }
}

impl<J: Journal> Run<'_, J> {
    async fn scanned(&self, scanned: Exchange<Scanned>) -> Result<Came, Guard> {
        let found = scanned.classes();
        if self.trial.plants.iter().any(|plant| !found.contains(&plant.class)) {
            return Err(Guard::Detector);
        }
        let now = self.world.clock.now();
        let decision = match self.choose(&scanned, now) {
            Ok(decision) => decision,
            Err(unchosen) => return self.refused(scanned.turn_away(&unchosen, now)).await,
        };
        let (rules, map) = (self.trial.rules, SurrogateMap::new());
        let cleared = match scanned.clear(&decision, rules, map, now, self.world.entropy) {
            Ok(cleared) => cleared,
            Err(over) => return self.refused(over).await,
        };
        let admitted = cleared.admit(&self.world).await.map_err(|_| Guard::Record)?;
        self.intended()?;
        let (outbound, departed) = admitted.depart();
        self.left(&outbound, &decision)?;
        self.answered(&outbound, departed, &decision).await
    }

    fn choose(&self, scanned: &Exchange<Scanned>, now: Time) -> Result<Decision, Unchosen> {
        let Trial { rules, route, target, purpose, .. } = *self.trial;
        let nothing = BTreeSet::new();
        let ask = ask(route, purpose, &nothing);
        let in_order = |id: &str| target.is_none_or(|target| target == id);
        let entropy = self.world.entropy;
        let availability = Availability { in_order: &in_order, tried: &[], entropy };
        scanned.choose(rules, &ask, self.bench.categories, &availability, now)
    }

    /// Records the refusal; nothing may have left.
    async fn refused(&self, over: Exchange<Ended>) -> Result<Came, Guard> {
        let released = over.commit(&self.world).await.map_err(|_| Guard::Record)?;
        let (_, outcome, receipt) = released.into_parts();
        self.kept(&receipt, None)?;
        match outcome {
            Outcome::Refused(refusal) => Ok(Came::Refused(refusal.code)),
            Outcome::FailedClosed(_)
            | Outcome::Answered(_)
            | Outcome::Cached(_)
            | Outcome::Streamed(_)
            | Outcome::UpstreamFailed(..)
            | Outcome::CallerGone => Err(Guard::Pipeline),
        }
    }

    /// The record that it leaves is there before it does.
    fn intended(&self) -> Result<(), Guard> {
        let kept = self.desk.kept();
        let [Event::Intent(intent)] = kept.events.as_slice() else { return Err(Guard::Record) };
        if intent.about.exchange == self.id { Ok(()) } else { Err(Guard::Record) }
    }

    /// Nothing leaves that the policy does not disclose, and it goes where the policy says.
    fn left(&self, outbound: &Outbound, decision: &Decision) -> Result<(), Guard> {
        let body = outbound.body().expose();
        let (whole, told) = (bare(body), bare(&standin::told(body, MARK).unwrap_or_default()));
        for Plant { class, value, .. } in self.trial.plants {
            let disclosed = decision.treatment(*class) == Treatment::Disclose;
            let there =
                told.contains(value) || (value.len() >= DISTINCT_BYTES && whole.contains(value));
            if there && !disclosed {
                return Err(Guard::Treatment);
            }
        }
        let path = outbound.path();
        let there = path.destination().as_str() == decision.destination().id();
        if there && !path.covers().is_empty() { Ok(()) } else { Err(Guard::Path) }
    }

    /// The stand-in says again what it was told, and the caller reads it.
    async fn answered(
        &self,
        outbound: &Outbound,
        departed: Exchange<Departed>,
        decision: &Decision,
    ) -> Result<Came, Guard> {
        let (api, way) = (self.trial.api, self.trial.way);
        let called = outbound.api();
        let told = standin::told(outbound.body().expose(), MARK).ok_or(Guard::Pipeline)?;
        let said = (self.bench.model)(&told);
        let told = told.as_str();
        let reading = Reading::new(&self.request, self.id, self.world.clock.now(), Keep::All);
        let mut read = Vec::new();
        let over = match way {
            Way::Whole => {
                let document = standin::whole(called, &said).to_string();
                let answer = reading.whole(called, document.as_bytes(), None);
                departed.end(Ok(answer.map_err(|_| Guard::Pipeline)?), self.bench.detector)
            }
            Way::Stream => self.streamed(&reading, called, &said, departed, &mut read).await?,
        };
        let released = over.commit(&self.world).await.map_err(|_| Guard::Record)?;
        let (_, outcome, receipt) = released.into_parts();
        match outcome {
            Outcome::Answered(document) => {
                read.extend(standin::read(api, way, document.expose()));
            }
            Outcome::Streamed(window) => read.extend(heard(api, &window)),
            Outcome::Cached(_)
            | Outcome::Refused(_)
            | Outcome::FailedClosed(_)
            | Outcome::UpstreamFailed(..)
            | Outcome::CallerGone => return Err(Guard::Pipeline),
        }
        self.kept(&receipt, Some(0))?;
        self.restored(told, &read.concat(), decision)?;
        Ok(Came::Back)
    }

    async fn streamed(
        &self,
        reading: &Reading,
        called: Api,
        said: &str,
        departed: Exchange<Departed>,
        read: &mut Vec<String>,
    ) -> Result<Exchange<Ended>, Guard> {
        let mut streaming = departed.stream(None);
        let mut reader = reading.stream(called);
        let take = |events: Vec<gate::prompt::StreamEvent>, to: &mut Exchange<_>| {
            events.iter().try_for_each(|event| to.take(event)).map_err(|_| Guard::Pipeline)
        };
        for (name, data) in standin::stream(called, said) {
            let done = data == "[DONE]" && reader.is_done();
            if !done {
                let events = reader.read(name, &data).map_err(|_| Guard::Pipeline)?;
                take(events, &mut streaming)?;
            }
            if streaming.has_text() {
                let window = streaming.release(&self.world).await.map_err(|_| Guard::Record)?;
                read.extend(heard(self.trial.api, &window));
            }
        }
        if !reader.is_done() {
            take(reader.end().ok_or(Guard::Pipeline)?, &mut streaming)?;
        }
        Ok(streaming.end(StreamEnd::Complete, self.bench.detector))
    }

    /// Every value comes back in its own line; what was redacted does not.
    fn restored(&self, told: &str, read: &str, decision: &Decision) -> Result<(), Guard> {
        if !standin::answers_in_words(self.trial.api) {
            return Ok(());
        }
        let (told, read): (Vec<&str>, Vec<&str>) = (told.lines().collect(), read.lines().collect());
        if read.len() != told.len() {
            return Err(Guard::Restore);
        }
        let right = self.trial.plants.iter().all(|Plant { class, before, value }| {
            // What a purpose does not need may have been cut out, and then nobody says it again.
            let place = told.iter().position(|line| line.starts_with(before));
            let Some(line) = place.and_then(|place| read.get(place)) else { return true };
            match decision.treatment(*class) {
                Treatment::Disclose | Treatment::Tokenize => {
                    line.strip_prefix(before) == Some(value)
                }
                Treatment::Redact => !bare(line).contains(value),
            }
        });
        if right { Ok(()) } else { Err(Guard::Restore) }
    }

    /// What was recorded is what was said to be, and holds no value.
    fn kept(&self, receipt: &Receipt, intent: Option<u64>) -> Result<(), Guard> {
        let kept = self.desk.kept();
        let ended = |event: &Event| {
            let Event::Outcome(it) = event else { return false };
            it.about.exchange == self.id && it.intent == intent
        };
        let there = usize::try_from(receipt.seq).ok().and_then(|seq| kept.records.get(seq));
        let there = there.is_some_and(|bytes| ledger::tree::leaf_hash(bytes) == receipt.leaf);
        let count = if intent.is_some() { 2 } else { 1 };
        let whole = kept.events.len() == count && kept.events.last().is_some_and(ended);
        let blobs = kept.blobs.iter().map(|blob| blob.sealed.as_slice());
        let written = kept.records.iter().map(Vec::as_slice).chain(blobs);
        let told = written.into_iter().any(|bytes| self.holds_a_value(bytes));
        if there && whole && !told { Ok(()) } else { Err(Guard::Record) }
    }

    fn holds_a_value(&self, bytes: &[u8]) -> bool {
        let distinct = self.trial.plants.iter().filter(|it| it.value.len() >= DISTINCT_BYTES);
        let mut values = distinct.map(|plant| plant.value.as_bytes());
        values.any(|value| memmem::find(bytes, value).is_some())
    }
}

/// The pieces of text that a caller reads in a window.
fn heard(api: Api, window: &gate::stream::Window) -> Vec<String> {
    let frames = window.frames().iter();
    frames.filter_map(|frame| standin::read(api, Way::Stream, frame.data.expose())).collect()
}
