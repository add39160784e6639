//! One fault for each guard. Each is a part that does less than it must, put in the place of the real
//! one; nothing that is shipped can be told to do so.

use super::bench::Desk;
use super::*;
use crate::{Converse, KeyRequest, KeyRole, Setup, Started};
use gate::prompt::{Call, Draft, Prompt, PromptPart};
use gate::rules::Destination;
use gate::shape::{Json, Key, Shape, Word};
use gate::{Outcome, Refusal};
use ledger::{Actor, ActorKind, Blob, Journal};
use phi::detect::Layers;
use phi::{Detector, Text};
use providers::{Addressed, Asked, Request, Unsupported};
use std::borrow::Cow;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;

const OWN: &str = include_str!("../../../../examples/minimal.toml");

fn operator() -> Actor {
    Actor { kind: ActorKind::Operator, id: "uid:0".to_owned(), name: "A. Tester".to_owned() }
}

/// A house with the smallest configuration in force, in which `fault` was made.
async fn house(fault: impl FnOnce(&mut House)) -> (tempfile::TempDir, Arc<House>) {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup {
        dir: dir.path().join("data"),
        key_file: None,
        keys_ttl: crate::KEYS_TTL,
        clock: Arc::new(TestClock::starting("2026-01-10T15:00:00Z")),
        entropy: Arc::new(Seeded::new(5)),
        environment: Arc::new(|_| None),
    };
    let mut house = House::create(setup, "Example Clinic (synthetic)").await.unwrap();
    house.apply(OWN, operator()).await.unwrap();
    house.reload().await.unwrap();
    fault(Arc::get_mut(&mut house).unwrap());
    (dir, house)
}

/// The kinds of the records since the configuration, and the guards and routes that they name.
async fn told(house: &House) -> Vec<(String, Option<String>, Option<String>)> {
    let mut told = Vec::new();
    for (_, bytes) in house.tenant.records_from(2, 1000).await.unwrap() {
        let event = Record::from_bytes(&bytes).unwrap().event;
        let kind = event.kind().to_owned();
        told.push(if let Event::SelfTestFailed { reason, route, .. } = event {
            (kind, Some(reason), route)
        } else {
            (kind, None, None)
        });
    }
    told
}

/// A house with this fault tells of these guards, each by readiness and by a record, and of no other.
async fn check(guards: &[Guard], fault: impl FnOnce(&mut House)) {
    let (_dir, house) = house(fault).await;
    house.self_test().await;
    let expected: BTreeSet<&str> = guards.iter().map(|guard| guard.as_str()).collect();
    let unready = house.readiness().await.unready;
    let red: BTreeSet<&str> = unready
        .iter()
        .filter_map(|unready| {
            let crate::Unready::Guard(failure) = unready else { return None };
            Some(failure.guard.as_str())
        })
        .collect();
    assert_eq!(red, expected, "{unready:?}");
    let told = told(&house).await;
    let named: BTreeSet<&str> = told.iter().filter_map(|(_, guard, _)| guard.as_deref()).collect();
    assert_eq!(named, expected);
    assert!(told.len() <= MAX_TOLD && told.iter().all(|(kind, ..)| kind == "selftest.failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guard_does_its_work_in_every_dialect_and_one_record_says_so() {
    let (_dir, house) = house(|_| ()).await;
    assert!(house.selftest.last().is_none() && house.readiness().await.unready.is_empty());
    house.self_test().await;
    assert_eq!(house.selftest.failures(), []);
    assert!(house.readiness().await.unready.is_empty());
    let records = house.tenant.records_from(2, 1000).await.unwrap();
    let [(_, record)] = records.as_slice() else { panic!("{} records", records.len()) };
    let Event::SelfTestPassed { count, policy } = Record::from_bytes(record).unwrap().event else {
        panic!("another kind")
    };
    // Of the one route: six dialects that stream, two that do not.
    let known: usize = KNOWN.iter().flat_map(|it| it.apis).map(|api| Way::of(*api).len()).sum();
    assert_eq!(count, known as u64 + 14);
    assert_eq!(policy, house.in_force.load().as_ref().map(|it| it.rules.sha256()));
}

const TOOLS: &str = r#"
[[hop]]
id = "chart-tools"
entity = "Lakeside Family Clinic (synthetic)"
role = "tools"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["127.0.0.1:9000"]

[[destination]]
id = "charts"
title = "Charts"
dialect = "mcp"
url = "http://127.0.0.1:9000/mcp"
credential = "none"
hops = ["chart-tools"]
tools = [{ name = "find" }, { name = "keep/note" }]

[[policy]]
id = "tokenize-for-tools"
effect = "tokenize"
classes = ["*"]
destinations = ["charts"]
purposes = ["*"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_tool_is_tried_by_a_call_of_it_and_as_no_model() {
    let rules = Rules::parse(&format!("{OWN}{TOOLS}")).unwrap();
    let asked = |route: &str| asked_in(&rules, rules.route(route).unwrap()).to_vec();
    assert_eq!(asked("local"), APIS);
    assert_eq!(asked("charts"), []);
    assert_eq!(asked("charts/keep/note"), [Api::Mcp]);

    let (_dir, mut house) = house(|_| ()).await;
    house.apply(&format!("{OWN}{TOOLS}"), operator()).await.unwrap();
    house.reload().await.unwrap();
    house.self_test().await;
    assert_eq!(house.selftest.failures(), []);
    while Arc::strong_count(&house) > 1 {
        tokio::task::yield_now().await;
    }
    // Restored on the wrong places, it is told of each tool.
    Arc::get_mut(&mut house).unwrap().selftest.model = swapped;
    house.self_test().await;
    let failures = house.selftest.failures();
    let of_tools = failures.iter().filter(|it| it.api == Some(Api::Mcp) && it.route.is_some());
    let told: Vec<_> = of_tools.map(|it| (it.guard, it.route.as_deref().unwrap())).collect();
    let restore = Guard::Restore;
    assert_eq!(told, [(restore, "charts/find"), (restore, "charts/keep/note")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_purpose_does_not_need_is_no_broken_guard() {
    let profile = |redact: &str| {
        format!(
            "[[profile]]\nid = \"scribe\"\npurposes = [\"treatment\"]\npaths = [\"Patient.id\"]\nredact = [\"{redact}\"]\n"
        )
    };
    let flow = |on_phi: &str| {
        format!("[[no_phi]]\nid = \"bare\"\nroutes = [\"local\"]\non_phi = \"{on_phi}\"\n")
    };
    let all = [profile("SSN"), profile("*"), flow("block"), flow("redact"), flow("alert")];
    for more in all {
        let (_dir, house) = house(|_| ()).await;
        house.apply(&format!("{OWN}\n{more}"), operator()).await.unwrap();
        house.reload().await.unwrap();
        house.self_test().await;
        assert_eq!(house.selftest.failures(), [], "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_records_what_fails_and_nothing_else() {
    let (_dir, house) = house(|_| ()).await;
    house.self_test_at_start().await;
    assert!(told(&house).await.is_empty() && house.selftest.last().is_some());
    assert!(prove_last(&house.tenant).await);
    let (_dir, broken) = self::house(|house| house.selftest.model = swapped).await;
    broken.self_test_at_start().await;
    assert!(broken.selftest.failed() && !told(&broken).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_that_finds_less_is_told() {
    check(&[Guard::Detector], |house| {
        house.detector = Detector::with(Layers::ALL - Layers::NUMBERS);
    })
    .await;
    check(&[Guard::Detector], |house| {
        house.detector = Detector::with(Layers::DOCUMENT);
    })
    .await;
}

/// A draft that writes an identifier where no part of the text stands.
#[derive(Debug)]
struct Leaky(Arc<dyn Draft>);

impl Draft for Leaky {
    fn write(&self, to: &Destination, parts: &[PromptPart]) -> Result<Call<'_>, Refusal> {
        let call = self.0.write(to, parts)?;
        let Shape::Map(mut members) = call.shape.clone().into_owned() else {
            panic!("a request is a map")
        };
        let word = |text: &str| Word::parse(text).unwrap();
        members.push((Key::Word(word("user")), Shape::Word(word("078-05-1120"))));
        let shape = Cow::Owned(Shape::Map(members));
        Ok(Call { shape, as_written: false, ..call })
    }
}

fn leaky(a: Api, of: Addressed, json: Json, text: Text) -> Result<Asked, Unsupported> {
    let Asked { request, prompt } = Request::read(a, of, json, text)?;
    let draft = Arc::new(Leaky(prompt.draft));
    Ok(Asked { request, prompt: Prompt { draft, ..prompt } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_treatment_that_leaves_a_value_is_told() {
    check(&[Guard::Treatment], |house| house.selftest.read = leaky).await;
}

/// Changes the places of the first two surrogates.
fn swapped(told: &str) -> String {
    let places = phi::surrogate::look_alikes(told);
    let [first, second, ..] = places.as_slice() else { return told.to_owned() };
    let (one, two) = (&told[first.clone()], &told[second.clone()]);
    [&told[..first.start], two, &told[first.end..second.start], one, &told[second.end..]].concat()
}

/// Takes the last bracket of a surrogate away.
fn torn(told: &str) -> String {
    let last = phi::surrogate::look_alikes(told).last().map(|range| range.end - 1);
    last.map_or(told.to_owned(), |at| [&told[..at], &told[at + 1..]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_comes_back_in_anothers_place_or_not_at_all_is_told() {
    check(&[Guard::Restore], |house| house.selftest.model = swapped).await;
    check(&[Guard::Restore], |house| house.selftest.model = torn).await;
}

/// The control routes, changed. A text that is not there would be a test of nothing.
fn changed(from: &str, to: &str) -> &'static str {
    assert!(CONTROL.contains(from));
    Box::leak(CONTROL.replacen(from, to, 1).into_boxed_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_covered_and_is_taken_is_told() {
    let lapsed = changed("expires = 2002-01-01", "expires = 2102-01-01");
    check(&[Guard::Path], |house| house.selftest.text = lapsed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_permits_what_it_must_refuse_is_told() {
    let block = changed("effect = \"block\"", "effect = \"tokenize\"");
    check(&[Guard::Policy], |house| house.selftest.text = block).await;
    let default = changed("destinations = [\"redacting\"]", "destinations = [\"*\"]");
    check(&[Guard::Policy], |house| house.selftest.text = default).await;
    check(&[Guard::Policy], |house| house.selftest.text = "schema = 1\n[nonsense]").await;
}

/// A journal that gives receipts for what it does not keep, or keeps something else.
struct Liar<'a>(&'a Desk, fn(Event) -> Option<Event>);

impl Journal for Liar<'_> {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let honest = Desk::of(entry_log());
        let mut receipt = honest.append(Entry::bare(entry.time, entry.event.clone())).await?;
        if let Some(event) = (self.1)(entry.event) {
            receipt.seq = self.0.append(Entry { event, ..entry }).await?.seq;
        }
        Ok(receipt)
    }

    async fn keep(&self, _window: Blob) -> Result<(), Unrecorded> {
        Ok(())
    }
}

fn entry_log() -> ledger::LogId {
    ledger::LogId {
        deployment: ledger::DeploymentId::from_bytes([1; 16]),
        tenant: ledger::TenantId::from_bytes([2; 16]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_lies_about_an_exchange_is_told() {
    let (_dir, house) = house(|_| ()).await;
    let now = house.clock.now();
    let keys = KeySet::generate(now, now.day(), &*house.entropy);
    let bench = Bench {
        detector: &house.detector,
        categories: &house.categories,
        clock: &*house.clock,
        entropy: &*house.entropy,
        log: entry_log(),
        keys: Arc::new(keys),
        read: Request::read,
        model: str::to_owned,
    };
    let rules = house.selftest.control().unwrap();
    let plants: Vec<&Plant> = PLANTS.iter().collect();
    let lies: [fn(Event) -> Option<Event>; 3] = [
        |_| None,
        |event| if matches!(event, Event::Outcome(_)) { None } else { Some(event) },
        |mut event| {
            if let Event::Outcome(outcome) = &mut event {
                "078-05-1120".clone_into(&mut outcome.outcome);
            }
            Some(event)
        },
    ];
    for lie in lies {
        for (route, way) in [("chat", Way::Whole), ("chat", Way::Stream), ("lapsed", Way::Whole)] {
            let (route, api) = (rules.route(route).unwrap(), Api::ChatCompletions);
            let (target, purpose, plants) = (None, None, &plants);
            let trial = Trial { rules, route, target, purpose, api, way, plants };
            let desk = Desk::of(entry_log());
            let came = bench.try_with(&trial, &desk, &Liar(&desk, lie)).await;
            assert_eq!(came, Err(Guard::Record));
        }
    }
}

/// A log that has another record, or none, than the one that it gave a receipt for.
struct Forgetful<'a>(&'a store::Tenant, fn(Vec<u8>) -> Option<Vec<u8>>);

impl Log for Forgetful<'_> {
    async fn append(&self, event: Event, time: Time) -> Result<Receipt, Unrecorded> {
        Log::append(self.0, event, time).await
    }

    async fn read(&self, seq: u64) -> Option<Vec<u8>> {
        (self.1)(Log::read(self.0, seq).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_have_what_it_gave_a_receipt_for_is_told() {
    let (_dir, house) = house(|_| ()).await;
    let event = || Event::SelfTestPassed { count: 1, policy: None };
    let now = house.clock.now();
    let whole = |bytes| Some(bytes);
    assert_eq!(prove(&house.tenant, event(), now).await, Ok(true));
    assert_eq!(prove(&Forgetful(&house.tenant, whole), event(), now).await, Ok(true));
    assert_eq!(prove(&Forgetful(&house.tenant, |_| None), event(), now).await, Ok(false));
    let other = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace("\"count\":1", "\"count\":2").into_bytes())
    };
    assert_eq!(prove(&Forgetful(&house.tenant, other), event(), now).await, Ok(false));
    let moved = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace("\"seq\":", "\"seq\":1").into_bytes())
    };
    assert_eq!(prove(&Forgetful(&house.tenant, moved), event(), now).await, Ok(false));
}

async fn asked(house: &Arc<House>) -> Outcome {
    let request = KeyRequest {
        owner: "Example Bot".to_owned(),
        role: KeyRole::Caller,
        purpose: Some("treatment".to_owned()),
        days: None,
    };
    let (_, secret, _) = house.create_key(request, operator()).await.unwrap();
    house.reload().await.unwrap();
    let principal = house.authenticate(secret.reveal()).unwrap();
    let place = house.enter(&principal).await.unwrap();
    let body = r#"{"model":"local","messages":[{"role":"user","content":"Hello."}]}"#;
    let request = Converse {
        principal,
        api: Api::ChatCompletions,
        addressed: Addressed::default(),
        body: body.as_bytes().to_vec(),
        purpose: None,
        conversation: None,
        patient: None,
        justification: None,
        earlier: crate::Earlier::default(),
        traceparent: None,
    };
    let Started::Ended(ended) = house.converse(request, place).await else { panic!("no stream") };
    ended.released.expect("recorded").1
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_guard_does_not_do_its_work_nothing_goes_through() {
    let (_dir, mut house) = house(|house| house.selftest.model = swapped).await;
    house.self_test().await;
    let refused = asked(&house).await;
    assert!(matches!(refused, Outcome::FailedClosed(gate::Control::SelfTest)), "{refused:?}");
    assert_eq!(refused.code(), Some(Code::SelfTestFailed));
    while Arc::strong_count(&house) > 1 {
        tokio::task::yield_now().await;
    }
    Arc::get_mut(&mut house).unwrap().selftest.model = str::to_owned;
    house.self_test().await;
    // Nobody serves at the address; the prompt came so far.
    assert!(matches!(asked(&house).await, Outcome::UpstreamFailed(..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_in_force_are_tried_and_one_that_fails_is_named() {
    // The house's own routes are not read by this reader, so that only the route in force fails.
    fn own(a: Api, of: Addressed, json: Json, text: Text) -> Result<Asked, Unsupported> {
        let route = json.member("model").and_then(Json::as_text).map(|it| it.expose().to_owned());
        let route = route.or_else(|| of.model.as_ref().map(|it| it.expose().to_owned()));
        if route.as_deref() == Some("local") {
            leaky(a, of, json, text)
        } else {
            Request::read(a, of, json, text)
        }
    }
    let (_dir, house) = house(|house| house.selftest.read = own).await;
    house.self_test().await;
    let failures = house.selftest.failures();
    assert!(failures.iter().all(|it| it.guard == Guard::Treatment), "{failures:?}");
    assert!(failures.iter().all(|it| it.route.as_deref() == Some("local")), "{failures:?}");
    let shown = failures[0].to_string();
    assert_eq!(shown, "treatment, on the route \"local\", asked as chat.completions");
    assert!(!told(&house).await.is_empty());
}

#[test]
fn the_control_routes_are_a_configuration() {
    let rules = Rules::parse(CONTROL).unwrap();
    assert!(KNOWN.iter().all(|known| rules.route(known.route).is_some()));
}

#[test]
fn each_identifier_is_found_alone_and_beside_every_other() {
    let detector = Detector::new();
    for one in PLANTS {
        for other in PLANTS {
            let text = format!("{}{}\n{}{}", one.before, one.value, other.before, other.value);
            let lists = detector.scan(&[phi::Part { text: &text, label: None }]).unwrap();
            let found = |class| lists[0].iter().any(|finding| finding.class == class);
            assert!(found(one.class) && found(other.class), "{text}");
        }
    }
    let classes: BTreeSet<Class> = PLANTS.iter().map(|plant| plant.class).collect();
    assert_eq!(classes.len(), Class::ALL.len());
    let held = |one: &Plant| PLANTS.iter().filter(|it| it.value.contains(one.value)).count();
    assert!(PLANTS.iter().all(|plant| held(plant) == 1), "no value holds another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_come_to_all_routes_goes_on_with_the_next() {
    let (_dir, house) = house(|_| ()).await;
    let more = |name: &str| {
        format!(
            "[[route]]\nmodel = \"{name}\"\nto = [{{ destination = \"local\", model = \"local\" }}]\n"
        )
    };
    house.apply(&format!("{OWN}\n{}{}", more("a"), more("b")), operator()).await.unwrap();
    house.reload().await.unwrap();
    let in_force = house.in_force.load_full();
    let mut begin = 0;
    // A route takes 14: one run comes to one route, two to two, and the third is at the beginning again.
    for (most, left_out, next) in [(1, 2, 1), (14, 2, 2), (15, 1, 4), (100, 0, 1)] {
        let tally = house.try_guards(in_force.as_deref(), &mut begin, most).await;
        assert_eq!((tally.left_out, begin, tally.failures.len()), (left_out, next, 0), "{most}");
    }
}
