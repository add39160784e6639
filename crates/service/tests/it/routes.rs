//! What happens to a prompt when a model server does not answer.

use crate::world::{World, ending};
use ledger::{Event, Outcome};
use testkit::upstream::{Fault, Reply, Upstream};

const SSN: &str = "219-09-9999";

/// The house's vendor, and a second server under the same agreement.
async fn world(retry: &str) -> (World, Upstream) {
    let second = Upstream::start(Reply::echo()).await;
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let more = format!(
        r#"
[[hop]]
id = "second"
entity = "Example Vendor (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa-example"
hosts = ["{authority}"]
[[destination]]
id = "second"
title = "Second"
dialect = "openai_compatible"
url = "{url}"
credential = "none"
hops = ["second"]
models = ["example"]
"#,
        authority = second.address(),
        url = second.url(),
    );
    let to = "to = [{ destination = \"vendor\", model = \"example\" }]";
    world
        .apply_changed(|rules| {
            let alternatives = "alternatives = [{ destination = \"second\", model = \"example\" }]";
            let rules = rules.replace(to, &format!("{to}\n{alternatives}\n{retry}"));
            rules.replace("destinations = [\"vendor\"]", "destinations = [\"vendor\", \"second\"]")
                + &more
        })
        .await;
    (world, second)
}

fn failing() -> Reply {
    Reply::fault(Fault::Status { status: 500, retry_after: None })
}

/// Every outcome of the log, in order.
async fn outcomes(world: &World) -> Vec<Outcome> {
    let outcome = |event| if let Event::Outcome(outcome) = event { Some(*outcome) } else { None };
    world.events().await.into_iter().filter_map(outcome).collect()
}

async fn intents(world: &World) -> usize {
    world.events().await.iter().filter(|event| matches!(event, Event::Intent(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_was_not_answered_leaves_again_with_records_of_its_own() {
    let (world, second) = world("retry = { attempts = 2 }").await;
    world.upstream.play(failing());
    let (event, answer) = world.ask(&format!("SSN {SSN}"), Some("visit")).await;
    assert_eq!(ending(&event), ("answered", None, None));
    assert!(answer.contains(SSN), "restored");
    let outcomes = outcomes(&world).await;
    let [failed, answered] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(failed.outcome, "upstream_failed");
    assert_eq!(failed.about.destination.as_deref(), Some("vendor"));
    assert_eq!(answered.about.destination.as_deref(), Some("second"));
    assert_eq!(answered.about.retry_of, Some(failed.about.exchange));
    assert_ne!(answered.about.exchange, failed.about.exchange);
    assert_eq!(answered.about.considered["vendor"], "failed");
    assert_eq!(answered.about.conversation, failed.about.conversation);
    // Each left behind an intent of its own, which its outcome ends.
    assert_eq!(intents(&world).await, 2);
    assert!(failed.intent.is_some() && answered.intent > failed.intent);
    let asked = (world.upstream.captured(), second.captured());
    assert_eq!((asked.0.len(), asked.1.len()), (1, 1));
    assert!(!asked.0[0].holds(SSN) && !asked.1[0].holds(SSN));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_retry_nothing_leaves_twice() {
    let (world, second) = world("").await;
    world.upstream.play(failing());
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event), ("upstream_failed", Some("upstream_failed"), Some("failed")));
    assert_eq!((intents(&world).await, second.captured().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_began_is_not_asked_for_again() {
    let (world, second) = world("retry = { attempts = 3 }").await;
    for fault in [Fault::Html, Fault::Status { status: 400, retry_after: None }] {
        world.upstream.play(Reply::fault(fault));
        let (event, _) = world.ask("good morning", None).await;
        assert_eq!(ending(&event).0, "upstream_failed");
    }
    assert_eq!((intents(&world).await, second.captured().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_again_and_again_is_left_alone_and_the_alternative_answers() {
    let (world, second) = world("").await;
    world.upstream.play(failing());
    for _ in 0..10 {
        assert_eq!(ending(&world.ask("good morning", None).await.0).0, "upstream_failed");
    }
    assert_eq!(world.house.failing_destinations(), 1);
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event).0, "answered");
    assert_eq!(event.about().unwrap().considered["vendor"], "circuit_open");
    assert_eq!((world.upstream.captured().len(), second.captured().len()), (10, 1));

    second.play(failing());
    for _ in 0..10 {
        assert_eq!(ending(&world.ask("good morning", None).await.0).0, "upstream_failed");
    }
    let (event, _) = world.ask("good morning", None).await;
    let expected = ("refused", Some("destination_unavailable"), Some("circuit_open"));
    assert_eq!(ending(&event), expected);
    assert_eq!((world.upstream.captured().len(), second.captured().len()), (10, 11));

    // After a while one is let through to see.
    world.upstream.play(Reply::echo());
    world.clock.advance(30);
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event).0, "answered");
    assert_eq!(event.about().unwrap().destination.as_deref(), Some("vendor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_bounded_by_its_route_and_each_try_is_in_the_log() {
    let (world, second) = world("retry = { attempts = 3 }").await;
    world.upstream.play(failing());
    second.play(failing());
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event), ("upstream_failed", Some("upstream_failed"), Some("failed")));
    assert_eq!((world.upstream.captured().len(), second.captured().len()), (2, 1));
    let outcomes = outcomes(&world).await;
    assert_eq!((intents(&world).await, outcomes.len()), (3, 3));
    for pair in outcomes.windows(2) {
        let [before, after] = pair else { panic!("two") };
        assert_eq!(after.about.retry_of, Some(before.about.exchange));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_a_special_category_that_may_not_leave_does_not() {
    let (world, second) = world("retry = { attempts = 3 }").await;
    let row = r#"
[[policy]]
id = "part-2"
effect = "block"
classes = ["*"]
categories = ["SUBSTANCE_USE"]
destinations = ["*"]
purposes = ["*"]
"#;
    world.apply_with(row).await;
    let special = "Started on methadone at the opioid treatment program for heroin use disorder.";
    let (event, _) = world.ask(special, None).await;
    assert_eq!(ending(&event), ("refused", Some("phi_blocked"), None));
    assert_eq!(event.about().unwrap().categories, ["SUBSTANCE_USE"]);
    assert_eq!((world.upstream.captured().len(), second.captured().len()), (0, 0));
    assert_eq!(ending(&world.ask("good morning", None).await.0).0, "answered");
}
