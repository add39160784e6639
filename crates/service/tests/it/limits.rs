//! How much passes, for whom, and what is recorded of what does not.

#![expect(clippy::disallowed_methods, reason = "the task of a test ends with its runtime")]

use crate::world::{World, ending, operator};
use gate::Code;
use ledger::{Event, Usage};
use serde_json::{Value, json};
use service::{Converse, KeyRequest, KeyRole, Limited, Numbers, Principal, Standing, Started};
use std::time::Duration;
use testkit::upstream::{Cut, Fault, Pieces, Reply};

const PRICE: &str = r#"
[[price]]
id = "example"
destination = "vendor"
model = "example"
prompt = "1000"
completion = "2000"
"#;

async fn world(limits: &str) -> World {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    apply(&world, limits).await;
    world
}

async fn apply(world: &World, limits: &str) {
    world.apply_changed(|rules| format!("currency = \"USD\"\n{rules}{PRICE}{limits}")).await;
}

fn limit(id: &str, more: &str) -> String {
    format!("\n[[limit]]\nid = \"{id}\"\n{more}\n")
}

async fn another_key(world: &World, owner: &str) -> Principal {
    let request = KeyRequest {
        owner: owner.to_owned(),
        role: KeyRole::Caller,
        purpose: Some("treatment".to_owned()),
        days: None,
    };
    let (_, secret, _) = world.house.create_key(request, operator()).await.unwrap();
    world.house.reload().await.unwrap();
    world.house.authenticate(secret.reveal()).unwrap()
}

fn body(text: &str) -> Value {
    json!({ "model": "example", "messages": [{ "role": "user", "content": text }] })
}

async fn start(world: &World, principal: &Principal, body: &Value) -> Started {
    let request = Converse {
        api: gate::rules::Api::ChatCompletions,
        addressed: providers::Addressed::default(),
        justification: None,
        traceparent: None,
        earlier: service::Earlier::default(),
        principal: principal.clone(),
        body: body.to_string().into_bytes(),
        purpose: None,
        conversation: None,
        patient: None,
    };
    let place = world.house.enter(principal).await.unwrap();
    world.house.converse(request, place).await
}

/// Asks, and must get an answer.
async fn passes(world: &World, principal: &Principal) -> Usage {
    let Started::Ended(ended) = start(world, principal, &body("SSN 219-09-9999")).await else {
        panic!("a limit refused it");
    };
    let (_, _, receipt) = *ended.released.unwrap();
    let record = world.house.record(receipt.seq).await.unwrap().unwrap();
    let Event::Outcome(outcome) = ledger::Record::from_bytes(&record).unwrap().event else {
        panic!("no outcome");
    };
    assert_eq!(outcome.outcome, "answered");
    outcome.usage.unwrap()
}

/// Asks, and must be refused by a limit.
async fn refused(world: &World, principal: &Principal) -> Limited {
    match start(world, principal, &body("SSN 219-09-9999")).await {
        Started::Limited(limited) => *limited,
        other => panic!("it passed: {other:?}"),
    }
}

/// Whether it is an exchange of its own, and why it was refused.
fn why(limited: &Limited) -> (bool, Code, Option<&'static str>) {
    let refusal = limited.over.refusal();
    (limited.ended.is_some(), refusal.code, refusal.reason)
}

fn standing(world: &World, principal: &Principal) -> Standing {
    world.house.standing(principal, Some("example"))
}

fn left(numbers: Option<Numbers>) -> (u64, u64) {
    numbers.map(|it| (it.limit, it.remaining)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_one_refusal_a_minute_is_an_exchange_and_the_rest_are_counted() {
    let world = world(&limit("each", "per = \"key\"\nrequests_per_minute = 2")).await;
    let caller = world.principal();
    assert_eq!(left(standing(&world, &caller).requests), (2, 2));
    passes(&world, &caller).await;
    world.clock.advance(10);
    passes(&world, &caller).await;
    assert_eq!(left(standing(&world, &caller).requests), (2, 0));
    let first = refused(&world, &caller).await;
    let (_, code, reason) = why(&first);
    assert_eq!((code, reason), (Code::RateLimited, Some("requests_per_minute")));
    assert_eq!(first.over.wait(), Some(Duration::from_secs(51)));
    let (about, outcome, receipt) = *first.ended.unwrap().released.unwrap();
    assert_eq!((outcome.name(), about.route.as_deref()), ("refused", Some("example")));
    let record = world.house.record(receipt.seq).await.unwrap().unwrap();
    let event = ledger::Record::from_bytes(&record).unwrap().event;
    assert_eq!(ending(&event), ("refused", Some("rate_limited"), Some("requests_per_minute")));
    let before = world.records().await.len();
    for _ in 0..50 {
        assert!(!why(&refused(&world, &caller).await).0);
    }
    assert_eq!(world.records().await.len(), before, "they are only counted");
    // Another key has a limit of its own.
    passes(&world, &another_key(&world, "Other Bot").await).await;

    // When the answer says so, it passes.
    world.clock.advance(51);
    passes(&world, &caller).await;
    assert!(!why(&refused(&world, &caller).await).0, "a minute is not over");
    world.clock.advance(9);
    assert!(why(&refused(&world, &caller).await).0, "the next minute's first");
    world.house.stopped(operator()).await.unwrap();
    let mut denied = world.events().await;
    denied.retain(|event| matches!(event, Event::AccessDenied { .. }));
    let [Event::AccessDenied { reason, count, actor }] = &denied[..] else { panic!("{denied:?}") };
    assert_eq!((reason.as_str(), *count), ("rate_limited", 51));
    assert_eq!(actor.id, caller.key().to_string());
}

/// Reads a stream to its recorded end.
async fn streams(world: &World, principal: &Principal, body: &Value) {
    let Started::Streamed(mut streamed) = start(world, principal, body).await else {
        panic!("no stream");
    };
    while streamed.steps.recv().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_which_nothing_is_counted_counts_as_much_as_it_said() {
    let world = world(&limit("minute", "per = \"key\"\ntokens_per_minute = 1000000")).await;
    let caller = world.principal();
    let mut asked = body("hello");
    asked["stream"] = json!(true);
    let prompt = asked.to_string().len().div_ceil(4) as u64;
    let mut expected = 1_000_000;
    // What is held, 1,024 tokens of an answer, is the least that counts.
    for (bytes, counts) in [(9, 1024), (3072, 1024), (3073, 1025), (30_000, 10_000)] {
        let said = Reply::text(&"x ".repeat(bytes)[..bytes]);
        world.upstream.play(said.in_pieces(Pieces::Chars(1000)));
        streams(&world, &caller, &asked).await;
        expected -= prompt + counts;
        assert_eq!(left(standing(&world, &caller).tokens), (1_000_000, expected), "{bytes}");
    }
    // A stream that breaks counts what came of it.
    let broken = Reply::text(&"x ".repeat(10_000)).in_pieces(Pieces::Chars(1000));
    world.upstream.play(broken.with_fault(Fault::Cut { after: 16, how: Cut::Reset }));
    streams(&world, &caller, &asked).await;
    let after = left(standing(&world, &caller).tokens).1;
    assert!((expected - prompt - 6000..expected - prompt - 4000).contains(&after), "{after}");
    // Where the model server counts, that is what counts.
    world.upstream.play(Reply::text("hello"));
    asked["stream_options"] = json!({ "include_usage": true });
    streams(&world, &caller, &asked).await;
    assert!(after - left(standing(&world, &caller).tokens).1 < 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_neither_opens_nor_shuts_a_limit() {
    let world = world(&limit("each", "per = \"tenant\"\nrequests_per_minute = 2")).await;
    let caller = world.principal();
    passes(&world, &caller).await;
    passes(&world, &caller).await;
    for hours in [-1, -24] {
        world.clock.advance(hours * 3600);
        refused(&world, &caller).await;
    }
    // A minute after, and not an hour after, it passes.
    world.clock.advance(61);
    passes(&world, &caller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_takes_the_place_of_what_was_held_also_after_a_restart() {
    let limits = limit("day", "per = \"owner\"\ntokens_per_day = 100000")
        + &limit("minute", "per = \"route\"\ntokens_per_minute = 90000");
    let mut world = world(&limits).await;
    let caller = world.principal();
    let mut sum = 0;
    for _ in 0..5 {
        let usage = passes(&world, &caller).await;
        sum += usage.prompt + usage.completion;
        assert_eq!(left(standing(&world, &caller).tokens), (90_000, 90_000 - sum));
    }
    assert!(sum > 0);
    // A text that never left used nothing.
    let unknown = json!({ "model": "nowhere", "messages": [] });
    let unsupported = json!({ "model": "example", "messages": [], "audio": {} });
    for body in [unknown, unsupported] {
        assert!(matches!(start(&world, &caller, &body).await, Started::Ended(_)));
    }
    assert_eq!(left(standing(&world, &caller).tokens), (90_000, 90_000 - sum));
    for _ in 0..2 {
        world = world.reopened().await;
        let caller = world.principal();
        // The minute is forgotten, the day is not.
        let minute = left(world.house.standing(&caller, None).tokens);
        assert_eq!(minute, (100_000, 100_000 - sum));
    }
    // The owner's other key shares the day, another owner's does not.
    let same = another_key(&world, "Example Scheduling Bot").await;
    assert_eq!(left(world.house.standing(&same, None).tokens), (100_000, 100_000 - sum));
    let other = another_key(&world, "Other Bot").await;
    assert_eq!(left(world.house.standing(&other, None).tokens), (100_000, 100_000));
    // At midnight it begins anew.
    let reset = world.house.standing(&same, None).tokens.unwrap().reset;
    assert_eq!(reset, Duration::from_hours(9));
    world.clock.advance(9 * 3600);
    assert_eq!(left(world.house.standing(&same, None).tokens), (100_000, 100_000));
    // Back over midnight, yesterday still counts.
    world.clock.advance(-3600);
    assert_eq!(left(world.house.standing(&same, None).tokens), (100_000, 100_000 - sum));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_server_does_not_count_counts_as_what_was_held() {
    let world = world(&limit("day", "per = \"key\"\ntokens_per_day = 100000")).await;
    let caller = world.principal();
    world.upstream.play(Reply::fault(Fault::Status { status: 500, retry_after: None }));
    let mut body = body("hello");
    body["max_tokens"] = 500.into();
    let held = body.to_string().len().div_ceil(4) as u64 + 500;
    start(&world, &caller, &body).await;
    assert_eq!(left(standing(&world, &caller).tokens), (100_000, 100_000 - held));
    let world = world.reopened().await;
    assert_eq!(left(standing(&world, &world.principal()).tokens), (100_000, 100_000 - held));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_exact_and_outlives_a_restart() {
    // A thousand for a million tokens of the prompt: a thousandth for each.
    let one = world(&limit("none", "per = \"tenant\"\nmoney_per_day = \"900000\"")).await;
    let usage = passes(&one, &one.principal()).await;
    let micros = usage.prompt * 1000 + usage.completion * 2000;
    // What is left is what one more exchange may cost at most, and a millionth less.
    let body = body("SSN 219-09-9999");
    let held = (body.to_string().len().div_ceil(4) as u64) * 1000 + 1024 * 2000;
    for (spare, twice) in [(0, true), (1, false)] {
        let amount = micros + held - spare;
        let amount = format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000);
        let limits = limit("month", &format!("per = \"tenant\"\nmoney_per_month = \"{amount}\""));
        let world = world(&limits).await;
        passes(&world, &world.principal()).await;
        let world = world.reopened().await;
        if twice {
            passes(&world, &world.principal()).await;
        }
        let limited = refused(&world, &world.principal()).await;
        assert_eq!(why(&limited), (true, Code::BudgetExceeded, Some("money_per_month")));
        assert_eq!(limited.over.wait(), None, "waiting is no remedy");
        assert!(!why(&refused(&world, &world.principal()).await).0);
        // The next month has its own.
        world.clock.set("2026-02-01".parse::<ledger::Day>().unwrap().start());
        passes(&world, &world.principal()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_among_those_at_once_is_free_when_the_exchange_ended_however_it_did() {
    let world = world(&limit("few", "per = \"key\"\nconcurrent = 2")).await;
    let caller = world.principal();
    world.upstream.play(Reply::echo().starting_after(Duration::from_hours(1)));
    let ask = |caller: Principal, house: std::sync::Arc<service::House>| async move {
        let place = house.enter(&caller).await.unwrap();
        let body = body("hello").to_string().into_bytes();
        let (purpose, conversation, patient) = (None, None, None);
        let (api, addressed) = (gate::rules::Api::ChatCompletions, providers::Addressed::default());
        let request = Converse {
            principal: caller,
            api,
            addressed,
            body,
            purpose,
            conversation,
            patient,
            justification: None,
            traceparent: None,
            earlier: service::Earlier::default(),
        };
        house.converse(request, place).await
    };
    let mut callers = Vec::new();
    for _ in 0..2 {
        let house = std::sync::Arc::clone(&world.house);
        callers.push(tokio::spawn(ask(caller.clone(), house)));
    }
    world.upstream.wait_for(2).await;
    let limited = refused(&world, &caller).await;
    assert_eq!(why(&limited), (true, Code::RateLimited, Some("concurrent")));
    assert_eq!(limited.over.wait(), Some(Duration::from_secs(1)));
    // Callers that hang up leave their places.
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    world.house.tasks().drained().await;
    world.upstream.play(Reply::echo());
    // One after another, as many as one likes, also when they end badly.
    for _ in 0..5 {
        passes(&world, &caller).await;
        let broken = json!({ "model": "example" });
        assert!(matches!(start(&world, &caller, &broken).await, Started::Ended(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_no_more_pass_than_the_limit_says() {
    const MOST: usize = 20;
    let world =
        world(&limit("all", &format!("per = \"tenant\"\nrequests_per_minute = {MOST}"))).await;
    let world = std::sync::Arc::new(world);
    let callers: Vec<_> = (0..60)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let caller = world.principal();
                matches!(start(&world, &caller, &body("hello")).await, Started::Ended(_))
            })
        })
        .collect();
    let mut passed = 0;
    for caller in callers {
        passed += usize::from(caller.await.unwrap());
    }
    assert_eq!(passed, MOST);
    assert_eq!(world.upstream.captured().len(), MOST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_for_one_is_no_limit_for_others() {
    let world = world("").await;
    let (one, other) = (world.principal(), another_key(&world, "Other Bot").await);
    let key = format!("per = \"key\"\nof = \"{}\"\nrequests_per_minute = 0", one.key());
    let owner = "per = \"owner\"\nof = \"Example Scheduling Bot\"\nrequests_per_minute = 0";
    for more in [key.as_str(), owner] {
        apply(&world, &limit("one", more)).await;
        refused(&world, &one).await;
        passes(&world, &other).await;
        assert_eq!(left(standing(&world, &one).requests), (0, 0));
        assert_eq!(standing(&world, &other), Standing::default());
    }
    let route = "per = \"route\"\nof = \"example\"\ntokens_per_minute = 0";
    apply(&world, &limit("one", route)).await;
    for caller in [&one, &other] {
        refused(&world, caller).await;
        assert_eq!(world.house.standing(caller, None), Standing::default());
    }
    // Without limits everything passes again.
    apply(&world, "").await;
    passes(&world, &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tightest_limit_is_the_one_shown() {
    let limits = limit("a", "per = \"key\"\nrequests_per_minute = 9\ntokens_per_day = 50000")
        + &limit("b", "per = \"tenant\"\nrequests_per_minute = 10\ntokens_per_minute = 60000");
    let world = world(&limits).await;
    let (one, other) = (world.principal(), another_key(&world, "Other Bot").await);
    for _ in 0..3 {
        passes(&world, &one).await;
    }
    assert_eq!(left(standing(&world, &one).requests), (9, 6));
    assert_eq!(left(standing(&world, &other).requests), (10, 7));
    assert_eq!(left(standing(&world, &other).tokens).0, 50_000);
    assert_eq!(standing(&world, &one).requests.unwrap().reset, Duration::from_secs(61));
    assert!(standing(&world, &other).tokens.unwrap().reset < Duration::from_hours(9));
}
