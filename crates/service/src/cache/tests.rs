use super::*;

/// How a test weakens the cache, as a build with a fault in it would be weak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Weak {
    /// Not at all.
    #[default]
    Not,
    /// Everything is found under one name, as if the keyed hash were constant.
    Name,
    /// And sealed under one key and one binding, as if the scope were not in them.
    NameAndKey,
}

impl Weak {
    pub(super) fn weakened(self, place: Place) -> Place {
        let name = Hash::of(b"the same for everybody");
        match self {
            Self::Not => place,
            Self::Name => Place { name, ..place },
            Self::NameAndKey => {
                let key = Zeroizing::new([7; 32]);
                let key = ContentKey::from_bytes(ContentKeyId::from_bytes([0; 16]), key);
                Place { name, key, bound: name, ..place }
            }
        }
    }
}

use crate::{
    Converse, DisposalReason, DisposalRequest, KeyRequest, KeyRole, Principal, Setup, Started,
};
use gate::Outcome;
use ledger::{Actor, ActorKind, Record, Unit};
use proptest::prelude::*;
use providers::Addressed;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;
use testkit::upstream::{Block, Reply, Script, Source, Upstream};

const CACHE: &str = "[cache]\nttl_seconds = 600\nroutes = [\"local\"]\n";
const NOTE: &str = "Patient: Agnieszka Kowalczyk, SSN 078-05-1120. Summarise.";

fn operator() -> Actor {
    Actor { kind: ActorKind::Operator, id: "uid:0".to_owned(), name: "A. Tester".to_owned() }
}

/// A house with a model that says what it was told and the number of the request.
struct World {
    house: Arc<House>,
    upstream: Upstream,
    first: Principal,
    _dir: tempfile::TempDir,
}

/// One question.
#[derive(Clone)]
struct Asked {
    who: Principal,
    body: Value,
    conversation: Option<&'static str>,
    patient: Option<&'static str>,
}

impl World {
    async fn with(more: &str, weak: Weak) -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let dir = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(Script::by_request(|number, _| {
            let said = format!("{{user}} Number {number}.");
            Reply::blocks(vec![Block::Text(Source::Template(said))])
        }))
        .await;
        let setup = Setup {
            dir: dir.path().join("data"),
            key_file: None,
            keys_ttl: crate::KEYS_TTL,
            clock: Arc::new(TestClock::starting("2026-01-10T15:00:00Z")),
            entropy: Arc::new(Seeded::new(11)),
            environment: Arc::new(|_| None),
        };
        let mut house = House::create(setup, "Example Clinic (synthetic)").await.unwrap();
        Arc::get_mut(&mut house).unwrap().cache.weak = weak;
        let first = key(&house, "Example Bot").await;
        let world = Self { house, upstream, first, _dir: dir };
        world.apply(more).await;
        world
    }

    async fn apply(&self, more: &str) {
        let file = include_str!("../../../../examples/minimal.toml")
            .replace("127.0.0.1:8089", &self.upstream.address().to_string());
        self.house.apply(&format!("{file}\n{more}"), operator()).await.unwrap();
        self.house.reload().await.unwrap();
    }

    fn question(&self) -> Asked {
        let body = json!({ "model": "local", "messages": [{ "role": "user", "content": NOTE }] });
        Asked { who: self.first.clone(), body, conversation: None, patient: None }
    }

    async fn ask(&self, asked: Asked) -> (ExchangeId, String, String) {
        let text = asked.body.to_string();
        self.ask_in(asked, &text).await
    }

    /// The exchange, how it ended, and what the caller reads.
    async fn ask_in(&self, asked: Asked, written: &str) -> (ExchangeId, String, String) {
        let request = Converse {
            principal: asked.who,
            api: Api::ChatCompletions,
            addressed: Addressed::default(),
            body: written.as_bytes().to_vec(),
            purpose: Some("treatment".to_owned()),
            conversation: asked.conversation.map(Text::from),
            patient: asked.patient.map(Text::from),
            justification: None,
            earlier: crate::Earlier::default(),
            traceparent: None,
        };
        let place = self.house.enter(&request.principal).await.unwrap();
        let Started::Ended(ended) = self.house.converse(request, place).await else {
            panic!("no stream was asked for")
        };
        let (_, outcome, _) = *ended.released.expect("recorded");
        let name = outcome.name().to_owned();
        let (Outcome::Answered(document) | Outcome::Cached(document)) = outcome else {
            return (ended.exchange, name, String::new());
        };
        let document: Value = serde_json::from_str(document.expose()).unwrap();
        let said = document["choices"][0]["message"]["content"].as_str().unwrap();
        (ended.exchange, name, said.to_owned())
    }

    async fn events(&self) -> Vec<Event> {
        let records = self.house.tenant.records_from(0, 1000).await.unwrap();
        records.iter().map(|(_, bytes)| Record::from_bytes(bytes).unwrap().event).collect()
    }

    fn left(&self) -> usize {
        self.upstream.captured().len()
    }
}

async fn key(house: &House, owner: &str) -> Principal {
    let role = KeyRole::Caller;
    let request = KeyRequest { owner: owner.to_owned(), role, purpose: None, days: None };
    let (_, secret, _) = house.create_key(request, operator()).await.unwrap();
    house.reload().await.unwrap();
    house.authenticate(secret.reveal()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_same_owner_asked_before_is_answered_again_recorded_and_nothing_leaves() {
    let world = World::with(CACHE, Weak::Not).await;
    let (_, how, first) = world.ask(world.question()).await;
    assert_eq!((how.as_str(), first.as_str()), ("answered", &*format!("{NOTE} Number 0.")));
    assert!(!world.upstream.captured()[0].holds("078-05-1120"));
    // The order of members and the way in which a string is written say nothing.
    let content = NOTE.replace('P', "\\u0050");
    let written = format!(
        "{{ \"messages\": [ {{\"content\":\"{content}\", \"role\":\"user\"}} ],\n \"model\":\"local\"}}"
    );
    for written in [world.question().body.to_string(), written] {
        let (exchange, how, again) = world.ask_in(world.question(), &written).await;
        assert_eq!((how.as_str(), &again), ("cached", &first));
        let events = world.events().await;
        let Some(Event::Outcome(outcome)) = events.last() else { panic!("an outcome") };
        assert_eq!((outcome.about.exchange, outcome.outcome.as_str()), (exchange, "cached"));
        assert_eq!((outcome.intent, outcome.usage), (None, None));
        assert_eq!(outcome.about.findings.get("SSN"), Some(&1));
        assert_eq!(outcome.about.decision.as_deref(), Some("tokenized"));
        let reply = outcome.reply.as_ref().unwrap();
        assert!(reply.windows == 1 && reply.restored >= 2 && reply.findings.contains_key("SSN"));
    }
    assert_eq!(world.left(), 1);
    let intents = world.events().await;
    assert_eq!(intents.iter().filter(|event| matches!(event, Event::Intent(_))).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_differs_is_asked_of_the_model() {
    let world = World::with(CACHE, Weak::Not).await;
    let question = world.question();
    let with = |name: &str, value: Value| {
        let mut asked = world.question();
        asked.body[name] = value;
        asked
    };
    let other = key(&world.house, "Another Bot").await;
    // Another key of the same owner is another principal.
    let same_owner = key(&world.house, "Example Bot").await;
    let asked = [
        question.clone(),
        Asked { who: other, ..question.clone() },
        Asked { who: same_owner, ..question.clone() },
        Asked { conversation: Some("a"), ..question.clone() },
        Asked { conversation: Some("b"), ..question.clone() },
        Asked { patient: Some("1"), ..question.clone() },
        Asked { patient: Some("2"), ..question.clone() },
        with("temperature", json!(0)),
        with("temperature", json!(0.0)),
        with("tools", json!([{ "type": "function", "function": { "name": "look_up" } }])),
        with("messages", json!([{ "role": "user", "content": format!("{NOTE} ") }])),
        with("messages", json!([{ "role": "system", "content": NOTE }])),
    ];
    for (number, asked) in asked.iter().enumerate() {
        let (_, how, said) = world.ask(asked.clone()).await;
        assert_eq!(how, "answered", "{number}");
        assert!(said.ends_with(&format!("Number {number}.")), "{said}");
    }
    for asked in &asked {
        assert_eq!(world.ask(asked.clone()).await.1, "cached");
    }
    assert_eq!(world.left(), asked.len());
    // Other rules, were they the same in all that matters.
    world.apply(&format!("# Another version.\n{CACHE}")).await;
    assert_eq!(world.house.cache.bytes(), 0);
    assert_eq!(world.ask(question).await.1, "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_where_the_file_does_not_say_so() {
    let world = World::with("", Weak::Not).await;
    for _ in 0..2 {
        assert_eq!(world.ask(world.question()).await.1, "answered");
    }
    assert_eq!((world.left(), world.house.cache.bytes()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_disposed_of_is_not_given_again() {
    let world = World::with(CACHE, Weak::Not).await;
    let (exchange, ..) = world.ask(world.question()).await;
    assert_eq!(world.ask(world.question()).await.1, "cached");
    let request = DisposalRequest {
        unit: Unit::Exchange(exchange),
        classes: vec![ContentClass::Answers],
        authority: "request 12".to_owned(),
        reason: DisposalReason::Request,
        decision: Some(Hash::of(b"signed decision")),
    };
    world.house.dispose(request, operator()).await.unwrap();
    assert_eq!(world.ask(world.question()).await.1, "answered");
    assert_eq!(world.left(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_given_again_uses_nothing_of_a_budget() {
    let limit = "[[limit]]\nid = \"all\"\nper = \"tenant\"\ntokens_per_day = 3000\n";
    let world = World::with(&format!("{CACHE}{limit}"), Weak::Not).await;
    let mut question = world.question();
    // Two of these are more than a day has, were they held and never given back.
    question.body["max_tokens"] = json!(2000);
    for number in 0..8 {
        let how = world.ask(question.clone()).await.1;
        assert_eq!(how, if number == 0 { "answered" } else { "cached" });
    }
}

/// A build in which two owners meet: the first time that one finds the other's answer it is noticed, and
/// nothing of it is shown.
async fn check_weak(weak: Weak, reason: &str) {
    let world = World::with(CACHE, weak).await;
    let other = key(&world.house, "Another Bot").await;
    let (_, _, first) = world.ask(world.question()).await;
    assert!(first.ends_with("Number 0."));
    let foreign = Asked { who: other, ..world.question() };
    let (_, how, second) = world.ask(foreign.clone()).await;
    assert_eq!((how.as_str(), second.ends_with("Number 1.")), ("answered", true), "{second}");
    let told: Vec<Event> = world.events().await;
    let told = told.iter().filter_map(|event| {
        let Event::CacheMismatch { reason, route } = event else { return None };
        Some((reason.as_str(), route.as_str()))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(reason, "local")]);
    // From then on nothing is kept, for nobody.
    assert_eq!(world.house.cache.bytes(), 0);
    for asked in [world.question(), world.question(), foreign] {
        assert_eq!(world.ask(asked).await.1, "answered");
    }
    assert_eq!(world.left(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_name_is_noticed_on_the_first_hit_of_another_and_nothing_is_shown() {
    check_weak(Weak::Name, "sealed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_name_and_a_weak_key_are_noticed_too() {
    check_weak(Weak::NameAndKey, "owner").await;
}

fn sealed(name: u8, bytes: usize, ttl: u64, limit: usize) -> Sealed {
    let (name, bytes) = (Hash::from_bytes([name; 32]), vec![0; bytes]);
    Sealed { name, bytes, ttl: Duration::from_secs(ttl), limit }
}

#[tokio::test]
async fn what_is_over_goes_and_what_is_too_much_pushes_the_oldest_out() {
    let (mut answers, now) = (Answers::default(), Instant::now());
    let limit = 3 * (1000 + OVERHEAD_BYTES);
    for name in 0..4 {
        answers.add(sealed(name, 1000, 60, limit), now);
    }
    let names =
        |answers: &Answers| answers.kept.keys().map(|it| it.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!((names(&answers), answers.bytes), (vec![1, 2, 3], limit));
    // What is put in the place of another counts once.
    answers.add(sealed(2, 500, 120, limit), now);
    assert_eq!(answers.bytes, limit - 500);
    answers.add(sealed(9, limit, 60, limit), now);
    answers.add(sealed(8, MAX_KEPT_BYTES + 1, 60, usize::MAX), now);
    assert_eq!(names(&answers), [1, 2, 3]);
    answers.sweep(now + Duration::from_secs(59));
    assert_eq!(names(&answers), [1, 2, 3]);
    answers.sweep(now + Duration::from_mins(1));
    assert_eq!((names(&answers), answers.bytes), (vec![2], 500 + OVERHEAD_BYTES));
    answers.sweep(now + Duration::from_mins(2));
    assert_eq!((answers.kept.len(), answers.by_age.len(), answers.bytes), (0, 0, 0));
    let cache = Cache::default();
    cache.answers().add(sealed(1, 10, 0, limit), Instant::now());
    assert_eq!(cache.find(Hash::from_bytes([1; 32])), None, "over, and not swept yet");
}

#[test]
fn content_is_read_as_it_was_written_and_nothing_else_is() {
    let content = Content {
        owner: Hash::of(b"owner"),
        of: ExchangeId::from_bytes([3; 16]),
        received: "what came".into(),
        surrogates: vec!["[SSN_AB12CD34]\nSSN\n078-05-1120".into()],
    };
    let bytes = content.to_bytes();
    let read = Content::read(&bytes).unwrap();
    assert_eq!(read.to_bytes().as_slice(), bytes.as_slice());
    assert_eq!((read.owner, read.of), (content.owner, content.of));
    for cut in [0, 31, 32, 47, 48, bytes.len() - 1] {
        assert!(Content::read(&bytes[..cut]).is_none(), "{cut}");
    }
}

/// One part of a scope after the other, each of which may be one of two.
#[derive(Clone, Debug, PartialEq)]
struct Parts {
    bits: u16,
    text: String,
}

/// Two versions of the same rules.
static RULES: LazyLock<[Rules; 2]> = LazyLock::new(|| {
    let file = include_str!("../../../../examples/minimal.toml");
    ["", "# Another.\n"].map(|more| Rules::parse(&format!("{file}\n{more}{CACHE}")).unwrap())
});

fn parts() -> impl Strategy<Value = Parts> {
    (0_u16..1024, "[ab]{0,3}").prop_map(|(bits, text)| Parts { bits, text })
}

impl Parts {
    fn asking(&self, rules: &[Rules; 2]) -> Asking {
        let one = |bit: u16| usize::from(self.bits >> bit & 1 == 1);
        let id = ["key_a", "key_b"][one(0)];
        let actor = Actor {
            kind: ActorKind::ApiKey,
            id: id.to_owned(),
            name: ["Owner", "owner"][one(1)].to_owned(),
        };
        let purpose = [None, Some("treatment".to_owned())][one(2)].clone();
        let caller = Caller { actor, purpose, surface: ["api", "assistant"][one(3)] };
        let role = ["user", "system"][one(8)];
        let body = json!({ "model": "local", "temperature": one(7), "messages": [
            { "role": role, "content": self.text }] });
        let written = Text::new(body.to_string());
        let json = gate::shape::Json::parse(written.expose().as_bytes()).unwrap();
        let of = Request::read(Api::ChatCompletions, Addressed::default(), json, written.clone());
        let question = Question {
            id: ExchangeId::from_bytes([1; 16]),
            api: Api::ChatCompletions,
            stream: false,
            route: Some("local".to_owned()),
            conversation: [None, Some(ledger::ConversationId::from_bytes([0; 16]))][one(4)],
            patient: [None, Some(Hash::of(b"patient"))][one(5)],
            retry_of: None,
            reduced_by: None,
            previous: None,
            justification: [None, Some(Text::from("why"))][one(9)].clone(),
            policy: None,
            batch: None,
        };
        let rules = &rules[one(6)];
        Asking::of(rules, "local", &caller, &question, &of.unwrap().request, &written).unwrap()
    }
}

fn names(asking: &Asking) -> (Hash, ContentKey) {
    let names = ContentKey::from_bytes(ContentKeyId::from_bytes([0; 16]), Zeroizing::new([5; 32]));
    let pieces = [asking.scope.as_slice(), asking.request.as_bytes()];
    let key = Zeroizing::new(*names.keyed_hash(KEY, &pieces).as_bytes());
    (
        names.keyed_hash(NAME, &pieces),
        ContentKey::from_bytes(ContentKeyId::from_bytes([0; 16]), key),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_scope_or_request_that_differs_in_any_part_neither_finds_nor_opens(
        one in parts(),
        other in parts(),
    ) {
        let (mine, theirs) = (names(&one.asking(&RULES)), names(&other.asking(&RULES)));
        let entropy = Seeded::new(1);
        let sealed = mine.1.seal_small("b", b"answer", &entropy);
        prop_assert_eq!(mine.0 == theirs.0, one == other);
        prop_assert_eq!(theirs.1.open_small("b", &sealed).is_ok(), one == other);
    }

    #[test]
    fn two_documents_have_one_canonical_form_exactly_when_they_say_the_same(seed in 0_u64..400) {
        /// Small enough that two of them are often the same.
        fn document(of: &mut u64, deep: u32) -> Value {
            let drawn = *of % 7;
            *of /= 7;
            match drawn {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(1),
                3 => json!("a"),
                4 | 5 if deep > 0 => json!([document(of, deep - 1), document(of, deep - 1)]),
                6 if deep > 0 => json!({ "a": document(of, deep - 1), "b": document(of, deep - 1) }),
                _ => json!(["a", ""]),
            }
        }
        let digest = |value: &Value| canonical::digest(&Text::new(value.to_string())).unwrap();
        let all: Vec<Value> = (0..40).map(|k| document(&mut (seed * 40 + k), 2)).collect();
        let forms: BTreeSet<Hash> = all.iter().map(digest).collect();
        let said: BTreeSet<String> = all.iter().map(Value::to_string).collect();
        prop_assert_eq!(forms.len(), said.len());
    }
}
