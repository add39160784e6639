//! Callers that go away: the exchange still ends in a record of what was delivered.

use crate::house::{House, user};
use crate::rules::Rules;
use std::time::Duration;
use testkit::client::Client;
use testkit::notes;
use testkit::upstream::{Fault, Reply, Upstream};

#[tokio::test]
async fn a_caller_that_leaves_a_stream_is_recorded_with_what_it_got() {
    let note = notes::every_class();
    let slow = Reply::echo().pausing(Duration::from_millis(15));
    let upstream = Upstream::start(slow.clone()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for (turn, reply) in [slow, Reply::fault(Fault::Hang { after: 30 })].into_iter().enumerate() {
        upstream.play(reply);
        let mut events = serving.open(&user(&note.text)).await;
        let exchange = events.head.header("x-request-id").unwrap().to_owned();
        let mut got = String::new();
        while got.len() < 30 {
            let event = events.next().await.unwrap().unwrap();
            got.push_str(event.json()["choices"][0]["delta"]["content"].as_str().unwrap_or(""));
        }
        assert!(note.text.starts_with(&got), "{got}");
        if turn == 0 {
            events.abort().unwrap();
        } else {
            drop(events);
        }
        // The model is let go, too: nobody pays for words that nobody reads.
        upstream.wait_until_closed().await;
        let outcome = house.outcome(&exchange).await;
        assert_eq!(outcome.outcome, "caller_gone");
        assert!(outcome.intent.is_some());
        let reply = outcome.reply.unwrap();
        assert!(reply.windows > 0 && reply.bytes >= got.len() as u64, "{reply:?}");
        let shown = house.run(&["audit", "show", &exchange]).ok();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let delivered = testkit::client::Answer::from_events(&events_of(&shown["delivered"]));
        assert!(delivered.content().starts_with(&got), "{}", delivered.content());
        assert!(note.text.starts_with(delivered.content()));
    }
    assert!(house.run(&["audit", "show", "exc_00000000000000000000000000000000"]).code == 2);
}

/// The events of delivered windows, one JSON document a line.
fn events_of(delivered: &serde_json::Value) -> Vec<testkit::client::Event> {
    let event = |line: &str| testkit::client::Event {
        name: None,
        data: line.to_owned(),
        after: Duration::ZERO,
    };
    delivered.as_str().unwrap().lines().map(event).collect()
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_waits_is_recorded() {
    let note = notes::every_class();
    for fault in [Fault::HangBeforeHeaders, Fault::Hang { after: 0 }] {
        let upstream = Upstream::start(Reply::fault(fault)).await;
        let house = House::with(&Rules::cloud(&upstream));
        let serving = house.serve();
        let mut client = Client::connect(serving.address).await.unwrap();
        client.send(&serving.request(&user(&note.text))).await.unwrap();
        upstream.wait_for(1).await;
        client.abort().unwrap();
        upstream.wait_until_closed().await;
        let log = house.log();
        let exchange = log.intents().into_keys().next().unwrap();
        let outcome = house.outcome(&exchange).await;
        assert_eq!(outcome.outcome, "caller_gone");
        assert!(outcome.reply.is_none());
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_ends_what_runs_first() {
    let note = notes::second_patient();
    let upstream = Upstream::start(Reply::echo().pausing(Duration::from_millis(10))).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let events = serving.open(&user(&note.text)).await;
    let stopping = tokio::task::spawn_blocking(move || serving.stop());
    let transcript = events.collect().await;
    stopping.await.unwrap();
    assert!(transcript.answer().done && transcript.answer().content() == note.text);
    let log = house.log();
    assert_eq!(log.outcomes().into_values().next().unwrap().outcome, "answered");
    assert!(log.events().any(|event| matches!(event, ledger::Event::Stopped { .. })));
}

#[tokio::test]
#[ignore = "connections are given half a minute to end"]
async fn a_server_that_is_asked_to_stop_does_not_wait_for_a_model_that_hangs() {
    let upstream = Upstream::start(Reply::fault(Fault::HangBeforeHeaders)).await;
    let house = House::with(&Rules::cloud(&upstream).with("seconds = 20", "seconds = 3600"));
    let serving = house.serve();
    let mut client = Client::connect(serving.address).await.unwrap();
    client.send(&serving.request(&user("hello"))).await.unwrap();
    upstream.wait_for(1).await;
    let stopping = tokio::task::spawn_blocking(move || serving.stop());
    stopping.await.unwrap();
    assert!(client.head().await.is_err());
    house.serve().stop();
    let outcome = house.log().outcomes().into_values().next().unwrap();
    assert_eq!(outcome.outcome, "interrupted");
}
