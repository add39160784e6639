//! A small house around the gate: rules, a detector, a journal in memory.

use gate::exchange::{
    Admitted, Cleared, Departed, Ended, Exchange, Question, Released, Scanned, Seal, World,
};
use gate::policy::{Ask, Decision, Denial};
use gate::prompt::{Call, Draft, Parts, Prompt, PromptPart};
use gate::rules::{Api, Destination, Keep, Rules};
use gate::shape::{Json, Key, Shape, Word};
use gate::{Caller, Outbound, Outcome, Refusal};
use ledger::seal::{KeySet, Place};
use ledger::{
    Actor, ActorKind, Blob, BlobPart, ContentClass, ConversationId, DeploymentId, Entry, Event,
    ExchangeId, Head, Intent, Journal, LogId, Receipt, Record, SealedSurrogate, TenantId,
    Unrecorded, WrappedUnit,
};
use phi::surrogate::SurrogateMap;
use phi::{Detector, Text};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex};
use testkit::clock::TestClock;
use testkit::entropy::Seeded;

/// What every detector finds, whatever stands around it.
pub(crate) const SSN: &str = "219-09-9999";
pub(crate) const EMAIL: &str = "pat.sample@mail.example";
pub(crate) const PHONE: &str = "202-555-0143";
pub(crate) const OTHER_SSN: &str = "078-05-1120";
pub(crate) const OTHER_EMAIL: &str = "bo.diaz@mail.example";

pub(crate) const LOG: LogId =
    LogId { deployment: DeploymentId::from_bytes([1; 16]), tenant: TenantId::from_bytes([2; 16]) };

/// One detector for all tests: its tables cost more than any of them.
pub(crate) static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

/// One local model under two names, and a cloud under an agreement until 2029.
pub(crate) const PATHS: &str = r#"
schema = 1
organisation = "Lakeside Family Clinic (synthetic)"
[hosting]
hop = "server"
[[purpose]]
id = "treatment"
title = "Treatment"
[[agreement]]
id = "baa"
kind = "baa"
counterparty = "Example Cloud Inc. (synthetic)"
effective = 2026-01-01
expires = 2029-01-01
[[agreement.scope]]
services = ["inference-api"]
tiers = ["enterprise"]
regions = ["us-east"]
apis = ["chat.completions"]
models = ["large"]
modalities = ["text"]
training = "none"
[[hop]]
id = "server"
entity = "Lakeside Family Clinic (synthetic)"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
[[hop]]
id = "machine"
entity = "Lakeside Family Clinic (synthetic)"
role = "inference"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["127.0.0.1:8089"]
[[hop]]
id = "cloud-machines"
entity = "Example Cloud Inc. (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa"
hosts = ["api.cloud.example"]
[[destination]]
id = "local"
title = "Here"
dialect = "openai_compatible"
url = "http://127.0.0.1:8089/v1"
credential = "none"
hops = ["machine"]
models = ["local"]
[[destination]]
id = "cloud"
title = "There"
dialect = "openai_compatible"
url = "https://api.cloud.example/v1"
credential = "none"
hops = ["cloud-machines"]
models = ["large"]
[[route]]
model = "local"
to = [{ destination = "local", model = "local" }]
[[route]]
model = "assistant"
to = [{ destination = "local", model = "local" }]
[[route]]
model = "cloud"
to = [{ destination = "cloud", model = "large" }]
"#;

pub(crate) const TOKENIZE: &[(&str, &str)] = &[("tokenize", "*")];
pub(crate) const DISCLOSE: &[(&str, &str)] = &[("allow", "*")];
pub(crate) const REDACT: &[(&str, &str)] = &[("redact", "*")];

/// Keeps what becomes durable, and fails where it is told to.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    head: Head,
    records: Vec<Vec<u8>>,
    blobs: Vec<Blob>,
    units: Vec<WrappedUnit>,
    surrogates: Vec<SealedSurrogate>,
    appends: usize,
    keeps: usize,
    fail_append: Option<usize>,
    fail_keep: Option<usize>,
}

impl Memory {
    /// The `n`-th append from here on fails, counted from 0.
    pub(crate) fn fail_append(&self, n: usize) {
        let mut kept = self.kept.lock().unwrap();
        kept.fail_append = Some(kept.appends + n);
    }

    /// The `n`-th window from here on is not kept, counted from 0.
    pub(crate) fn fail_keep(&self, n: usize) {
        let mut kept = self.kept.lock().unwrap();
        kept.fail_keep = Some(kept.keeps + n);
    }

    /// Every record's bytes.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().records.clone()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.bytes().iter().map(|bytes| Record::from_bytes(bytes).unwrap()).collect()
    }

    pub(crate) fn intents(&self) -> Vec<Intent> {
        let intent = |record: Record| {
            if let Event::Intent(intent) = record.event { Some(*intent) } else { None }
        };
        self.records().into_iter().filter_map(intent).collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<ledger::Outcome> {
        let outcome = |record: Record| {
            if let Event::Outcome(outcome) = record.event { Some(*outcome) } else { None }
        };
        self.records().into_iter().filter_map(outcome).collect()
    }

    pub(crate) fn blobs(&self) -> Vec<Blob> {
        self.kept.lock().unwrap().blobs.clone()
    }

    pub(crate) fn units(&self) -> Vec<WrappedUnit> {
        self.kept.lock().unwrap().units.clone()
    }

    pub(crate) fn surrogates(&self) -> Vec<SealedSurrogate> {
        self.kept.lock().unwrap().surrogates.clone()
    }
}

impl Journal for Memory {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let mut kept = self.kept.lock().unwrap();
        kept.appends += 1;
        if kept.fail_append == Some(kept.appends - 1) {
            return Err(Unrecorded::Full);
        }
        let sealed = kept.head.seal_next(LOG, entry.time, entry.event)?;
        kept.records.push(sealed.bytes);
        kept.blobs.extend(entry.blobs);
        kept.units.extend(entry.unit);
        kept.surrogates.extend(entry.surrogates);
        Ok(Receipt { log: LOG, seq: sealed.seq, leaf: sealed.leaf })
    }

    async fn keep(&self, window: Blob) -> Result<(), Unrecorded> {
        let mut kept = self.kept.lock().unwrap();
        kept.keeps += 1;
        if kept.fail_keep == Some(kept.keeps - 1) {
            return Err(Unrecorded::Full);
        }
        kept.blobs.push(window);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct House {
    pub(crate) rules: Rules,
    pub(crate) clock: TestClock,
    pub(crate) entropy: Seeded,
    pub(crate) journal: Memory,
    pub(crate) keys: Arc<KeySet>,
    pub(crate) new_unit: WrappedUnit,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) stream: bool,
    pub(crate) keep: Keep,
    pub(crate) justification: Option<&'static str>,
}

impl House {
    /// A house whose policy has these rows of effect and classes, for every destination.
    pub(crate) fn new(policy: &[(&str, &str)]) -> Self {
        Self::with(policy, "", &[])
    }

    /// The same with `more` in its file, and with edits of it.
    pub(crate) fn with(policy: &[(&str, &str)], more: &str, edits: &[(&str, &str)]) -> Self {
        let mut text = format!("{PATHS}\n{more}\n");
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        for (number, (effect, classes)) in policy.iter().enumerate() {
            let classes: Vec<&str> = classes.split(' ').collect();
            write!(
                text,
                "[[policy]]\nid = \"row-{number}\"\neffect = \"{effect}\"\nclasses = {classes:?}\n\
                 destinations = [\"local\", \"cloud\"]\npurposes = [\"*\"]\n"
            )
            .unwrap();
        }
        let clock = TestClock::starting("2026-11-23T09:00:00Z");
        let entropy = Seeded::new(11);
        let now = ledger::Clock::now(&clock);
        let shelf = KeySet::generate(now, now.day(), &entropy);
        let keys = KeySet::generate(now, now.day(), &entropy);
        let new_unit = WrappedUnit {
            id: keys.id(),
            shelf: shelf.id(),
            conversation: None,
            keys: keys.wrapped_by(&shelf, &entropy),
        };
        let rules = Rules::parse(&text).unwrap();
        let journal = Memory::default();
        let keys = Arc::new(keys);
        Self {
            rules,
            clock,
            entropy,
            journal,
            keys,
            new_unit,
            conversation: None,
            stream: false,
            keep: Keep::All,
            justification: None,
        }
    }

    pub(crate) fn streaming(self) -> Self {
        Self { stream: true, ..self }
    }

    /// The same, where digests are all that is kept of what was said.
    pub(crate) fn keeping_digests(self) -> Self {
        Self { keep: Keep::Digests, ..self }
    }

    pub(crate) fn world(&self) -> World<'_, Memory> {
        World { journal: &self.journal, clock: &self.clock, entropy: &self.entropy }
    }

    pub(crate) fn caller() -> Caller {
        let actor =
            Actor { kind: ActorKind::ApiKey, id: "key_1".into(), name: "nightly-coder".into() };
        Caller { actor, purpose: Some("treatment".into()), surface: "api" }
    }

    pub(crate) fn question(&self, route: &str) -> Question {
        Question {
            id: ExchangeId::mint(ledger::Clock::now(&self.clock), &self.entropy),
            api: Api::ChatCompletions,
            stream: self.stream,
            route: Some(route.to_owned()),
            conversation: self.conversation,
            patient: None,
            retry_of: None,
            reduced_by: None,
            justification: self.justification.map(Text::from),
            previous: None,
            policy: Some(self.rules.sha256()),
            batch: None,
        }
    }

    pub(crate) fn seal(&self) -> Seal {
        let new_unit = self.journal.units().is_empty().then(|| self.new_unit.clone());
        Seal { log: LOG, keys: Arc::clone(&self.keys), new_unit, keep: self.keep }
    }

    pub(crate) fn scan(&self, body: &str) -> Result<Exchange<Scanned>, Exchange<Ended>> {
        let (route, prompt) = prompt(body);
        let question = self.question(&route);
        Exchange::open(Self::caller(), question, self.seal(), prompt, &DETECTOR, &self.rules)
    }

    pub(crate) fn decide(&self, scanned: &Exchange<Scanned>) -> Result<Decision, Denial> {
        let caller = Self::caller();
        let ask = Ask {
            caller: &caller.actor.id,
            owner: &caller.actor.name,
            purpose: caller.purpose.as_deref(),
            surface: caller.surface,
            categories: &std::collections::BTreeSet::new(),
            route: self.rules.route(scanned.about().route.as_deref().unwrap()).unwrap(),
        };
        self.rules.decide(&scanned.classes(), &ask)
    }

    pub(crate) fn clear(
        &self,
        body: &str,
        map: SurrogateMap,
    ) -> Result<Exchange<Cleared>, Exchange<Ended>> {
        let scanned = self.scan(body)?;
        let decision = match self.decide(&scanned) {
            Ok(decision) => decision,
            Err(denial) => return Err(scanned.refuse(&denial)),
        };
        let now = ledger::Clock::now(&self.clock);
        scanned.clear(&decision, &self.rules, map, now, &self.entropy)
    }

    pub(crate) async fn admit(&self, body: &str) -> Result<Exchange<Admitted>, Exchange<Ended>> {
        self.clear(body, self.map())?.admit(&self.world()).await
    }

    /// Sends `body` and awaits the answer.
    pub(crate) async fn depart(&self, body: &str) -> (Outbound, Exchange<Departed>) {
        self.admit(body).await.unwrap().depart()
    }

    pub(crate) async fn commit(&self, ended: Exchange<Ended>) -> Exchange<Released> {
        ended.commit(&self.world()).await.unwrap()
    }

    /// Commits, for tests that look at the records only.
    pub(crate) async fn record(&self, ended: Exchange<Ended>) {
        drop(self.commit(ended).await);
    }

    /// The new key is durable, once.
    pub(crate) fn assert_keyed(&self) {
        assert_eq!(self.journal.units(), std::slice::from_ref(&self.new_unit));
    }

    /// What the conversation's earlier turns minted.
    pub(crate) fn map(&self) -> SurrogateMap {
        let mut map = SurrogateMap::new();
        let Some(conversation) = self.conversation else { return map };
        let binding = gate::exchange::surrogate_binding(LOG, conversation);
        for sealed in self.journal.surrogates() {
            if sealed.conversation == conversation {
                let entry = self
                    .keys
                    .key(ContentClass::Surrogates)
                    .open_small(&binding, &sealed.sealed)
                    .unwrap();
                map.remember(std::str::from_utf8(&entry).unwrap()).unwrap();
            }
        }
        map
    }

    /// The sealed content of a part, opened.
    pub(crate) fn content(&self, part: BlobPart) -> Value {
        let blobs = self.journal.blobs();
        let blob = blobs.iter().find(|blob| blob.part == part).unwrap();
        let place = Place { log: LOG, exchange: blob.exchange, part };
        serde_json::from_slice(
            &self.keys.key(ContentClass::of_part(place.part)).open(&place, blob).unwrap(),
        )
        .unwrap()
    }
}

/// A request whose every text is scanned, and the model that it names.
pub(crate) fn prompt(body: &str) -> (String, Prompt) {
    let Ok(Json::Map(members)) = Json::parse(body.as_bytes()) else { panic!("not an object") };
    let mut parts = Parts::new();
    let mut route = String::new();
    let shape = members
        .into_iter()
        .map(|(name, value)| {
            let word = Key::Word(Word::parse(name.expose()).unwrap());
            if name.expose() == "model" {
                value.as_text().unwrap().expose().clone_into(&mut route);
                return (word, Shape::Model);
            }
            (word, parts.take_all("request", Some(&name), value))
        })
        .collect();
    let written = Text::from(body);
    let shape = Shape::Map(shape);
    (route, Prompt { draft: Arc::new(Plain(shape)), parts: parts.into_vec(), written })
}

/// A request that says `text` to `model`.
pub(crate) fn says(model: &str, text: &str) -> String {
    serde_json::json!({ "model": model, "say": text }).to_string()
}

/// What an outbound request says, after the model's name.
pub(crate) fn said(outbound: &Outbound) -> String {
    let body: Value = serde_json::from_str(outbound.body().expose()).unwrap();
    body["say"].as_str().unwrap().to_owned()
}

/// The surrogates in `text`, in order.
pub(crate) fn surrogates(text: &str) -> Vec<String> {
    phi::surrogate::look_alikes(text).into_iter().map(|range| text[range].to_owned()).collect()
}

pub(crate) fn answer_text(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Answered(text) | Outcome::Cached(text) => text.expose(),
        other @ (Outcome::Streamed(_)
        | Outcome::Refused(_)
        | Outcome::FailedClosed(_)
        | Outcome::UpstreamFailed(..)
        | Outcome::CallerGone) => panic!("not answered: {}", other.name()),
    }
}

/// A request that leaves in the dialect in which it came.
#[derive(Debug)]
struct Plain(Shape);

impl Draft for Plain {
    fn write(&self, _: &Destination, _: &[PromptPart]) -> Result<Call<'_>, Refusal> {
        let shape = Cow::Borrowed(&self.0);
        Ok(Call {
            api: Api::ChatCompletions,
            shape,
            as_written: true,
            capabilities: BTreeSet::new(),
        })
    }
}
