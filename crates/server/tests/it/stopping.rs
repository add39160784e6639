//! Stopping and changing a server while exchanges are under way.

use crate::house::{House, Serving, streaming, user};
use crate::rules::Rules;
use std::time::Duration;
use testkit::client::{Client, Transcript};
use testkit::notes;
use testkit::upstream::{Captured, Fault, Reply, Script, Upstream};

/// Prompts that hold this get no answer.
const HANGS: &str = "think about it";

/// Streams slowly, and hangs when it is asked to.
fn slow(captured: &Captured) -> Reply {
    if captured.text().contains(HANGS) {
        Reply::fault(Fault::HangBeforeHeaders)
    } else {
        Reply::echo().pausing(Duration::from_millis(20))
    }
}

fn terminate(serving: &Serving) {
    let pid = i32::try_from(serving.pid()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_ends_every_exchange_with_its_record() {
    let note = notes::second_patient();
    let upstream = Upstream::start(Script::by_request(|_, captured| slow(captured))).await;
    // A model server that does not answer is given up after two seconds.
    let house = House::with(&Rules::cloud(&upstream).with("seconds = 20", "seconds = 2"));
    let serving = house.serve();
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(serving.open(&user(&note.text)).await);
    }
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(serving.address).await.unwrap();
        client.send(&serving.request(&user(HANGS))).await.unwrap();
        waiting.push(client);
    }
    let mut gone = Client::connect(serving.address).await.unwrap();
    gone.send(&serving.request(&streaming(&user(HANGS)))).await.unwrap();
    upstream.wait_for(9).await;
    gone.abort().unwrap();

    terminate(&serving);
    // The second one changes nothing, and neither does the third.
    tokio::time::sleep(Duration::from_millis(100)).await;
    terminate(&serving);
    let address = serving.address;
    let stopping = tokio::task::spawn_blocking(move || serving.stop());

    let mut seen = Vec::new();
    for events in streams {
        let Transcript { head, events, end } = events.collect().await;
        let answer = testkit::client::Answer::from_events(&events);
        assert!(end.is_ok() && answer.done && answer.content() == note.text);
        let shown: usize =
            events.iter().filter(|it| it.data != "[DONE]").map(|it| it.data.len() + 1).sum();
        seen.push((head.header("x-request-id").unwrap().to_owned(), "answered", shown as u64));
    }
    for mut client in waiting {
        let head = client.head().await.unwrap();
        assert_eq!(head.status, 504);
        seen.push((head.header("x-request-id").unwrap().to_owned(), "upstream_failed", 0));
    }
    stopping.await.unwrap();
    assert!(Client::connect(address).await.is_err(), "nobody listens any more");

    let log = house.log();
    let (intents, outcomes) = (log.intents(), log.outcomes());
    assert_eq!((intents.len(), outcomes.len()), (9, 9), "each has its two records");
    for (exchange, name, shown) in &seen {
        let outcome = &outcomes[exchange];
        assert_eq!(outcome.outcome, *name);
        let recorded = outcome.reply.as_ref().map_or(0, |reply| reply.bytes);
        assert!(*shown <= recorded, "{shown} bytes were shown, {recorded} are recorded");
    }
    let left: Vec<&str> = outcomes
        .iter()
        .filter(|(exchange, _)| !seen.iter().any(|(known, ..)| known == *exchange))
        .map(|(_, outcome)| outcome.outcome.as_str())
        .collect();
    assert_eq!(left, ["caller_gone"]);
    let last = log.events().last().unwrap();
    assert!(matches!(last, ledger::Event::Exported { .. }), "{last:?}");
    let stopped = log.events().filter(|it| matches!(it, ledger::Event::Stopped { .. })).count();
    assert_eq!(stopped, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_exchange_is_judged_to_its_end_by_the_rules_of_its_beginning() {
    let note = notes::second_patient();
    let upstream = Upstream::start(Script::by_request(|_, captured| slow(captured))).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let serving = house.serve();
    let mut events = serving.open(&user(&note.text)).await;
    assert!(events.next().await.unwrap().is_some());
    let exchange = events.head.header("x-request-id").unwrap().to_owned();

    // The path is taken away while the answer comes.
    let closed = rules.clone().with("agreement = \"baa-examplecloud\"\n", "").offering("closed");
    house.apply(&closed).ok();
    serving.offers("closed").await;
    let refused = serving.ask(&user(&note.text)).await;
    assert_eq!(
        (refused.status(), refused.json()["error"]["code"].as_str()),
        (403, Some("baa_uncovered_hop"))
    );
    let transcript = events.collect().await;
    assert!(transcript.answer().done, "the stream runs to its end");
    serving.stop();

    let log = house.log();
    let outcome = &log.outcomes()[&exchange];
    assert_eq!(outcome.outcome, "answered");
    let before = ledger::Hash::of(rules.text().as_bytes());
    assert_eq!(outcome.about.policy, Some(before));
    assert_eq!(log.intents()[&exchange].about.policy, Some(before));
    let refused = &log.outcomes()[refused.header("x-request-id").unwrap()];
    assert_eq!(refused.about.policy, Some(ledger::Hash::of(closed.text().as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_anywhere_changes_nothing() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let wrong = [
        "not a configuration".to_owned(),
        String::new(),
        rules
            .clone()
            .with("dialect = \"openai_compatible\"", "dialect = \"another\"")
            .text()
            .to_owned(),
        rules.clone().with("hops = [\"examplecloud\"]", "hops = [\"nobody\"]").text().to_owned(),
        rules.clone().and("[[policy]]\nid = \"identifiers\"\n").text().to_owned(),
        // Right up to its last line.
        rules.clone().and("hello = 1").text().to_owned(),
    ];
    for text in &wrong {
        house.apply_text(text).fails(2, "");
        let ready = serving.call(&testkit::client::Request::get("/readyz")).await.json();
        assert_eq!(ready["configuration"], "version 1");
        assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    }
    serving.stop();
    let log = house.log();
    let applied =
        log.events().filter(|it| matches!(it, ledger::Event::ConfigurationApplied { .. }));
    assert_eq!(applied.count(), 1);
    let policies = log.outcomes().into_values().map(|it| it.about.policy).collect::<Vec<_>>();
    assert_eq!(policies.len(), 1 + wrong.len());
    assert!(policies.iter().all(|it| *it == Some(ledger::Hash::of(rules.text().as_bytes()))));
}
