//! `kill -9` at any moment: the log verifies, and no answered request lacks its record.

use crate::house::{House, Serving, streaming, user};
use crate::log::Log;
use crate::rules::Rules;
use ledger::{Entropy as _, Event};
use server::OsEntropy;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::client::{Client, Request, Transcript};
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Pieces, Reply, Upstream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Clients of each kind: whole answers, and streams.
const CLIENTS: usize = 3;

const ROUNDS: usize = 8;
const LONG_ROUNDS: usize = 100;

/// A kill comes after so many answers at most, and so many milliseconds later at most.
const MOST_ANSWERS: u8 = 40;
const MOST_MILLIS: u8 = 25;

/// A round without that many answers ends all the same.
const ROUND_LIMIT: Duration = Duration::from_secs(5);

/// What a client saw.
#[derive(Clone, Debug)]
struct Seen {
    exchange: String,
    receipt: String,
    stream: bool,
    /// Whether it saw the end.
    whole: bool,
    /// Bytes of events, each with a line feed, as windows count them.
    shown: u64,
}

fn text() -> String {
    format!("Patient: {}, SSN: {}; brother {}", MARISOL.name, MARISOL.ssn, DESMOND.name)
}

/// Asks until the server is gone.
async fn ask_on(address: SocketAddr, request: Request, count: Arc<AtomicUsize>) -> Vec<Seen> {
    let mut answered = Vec::new();
    let Ok(mut client) = Client::connect(address).await else { return answered };
    while let Ok(response) = client.call(&request).await {
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(response.answer().content(), text());
        let header = |name| response.header(name).unwrap().to_owned();
        answered.push(Seen {
            exchange: header("x-request-id"),
            receipt: header("x-bulla-receipt"),
            stream: false,
            whole: true,
            shown: 0,
        });
        count.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

async fn stream_on(address: SocketAddr, request: Request, count: Arc<AtomicUsize>) -> Vec<Seen> {
    let mut answered = Vec::new();
    while let Ok(events) = testkit::client::open(address, &request).await {
        assert_eq!(events.head.status, 200);
        let Transcript { head, events, end } = events.collect().await;
        let answer = testkit::client::Answer::from_events(&events);
        assert!(text().starts_with(answer.content()), "{}", answer.content());
        let whole = end.is_ok() && answer.done;
        assert!(!whole || answer.content() == text());
        let header = |name| head.header(name).unwrap().to_owned();
        let windows = events.iter().filter(|event| event.data != "[DONE]");
        answered.push(Seen {
            exchange: header("x-request-id"),
            receipt: header("x-bulla-receipt"),
            stream: true,
            whole,
            shown: windows.map(|event| event.data.len() as u64 + 1).sum(),
        });
        count.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

/// Loads the server and kills it at a random moment; returns what was answered.
async fn round(serving: Serving) -> Vec<Seen> {
    let body = user(&text());
    let count = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let named =
            |request: Request| request.header("x-bulla-conversation", &format!("visit {client}"));
        let streamed = serving.request(&streaming(&body));
        clients.spawn(ask_on(serving.address, serving.request(&body), Arc::clone(&count)));
        clients.spawn(ask_on(serving.address, named(serving.request(&body)), Arc::clone(&count)));
        clients.spawn(stream_on(serving.address, streamed, Arc::clone(&count)));
    }
    let mut random = [0; 2];
    OsEntropy.fill(&mut random);
    let answers = usize::from(random[0] % MOST_ANSWERS);
    let pause = Duration::from_millis((random[1] % MOST_MILLIS).into());
    eprintln!("killed after {answers} answers and {pause:?}");
    let begun = Instant::now();
    while count.load(Ordering::Relaxed) < answers && begun.elapsed() < ROUND_LIMIT {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(pause).await;
    serving.kill();
    clients.join_all().await.concat()
}

fn check_answered(log: &Log, answered: &[Seen]) {
    let (outcomes, intents) = (log.outcomes(), log.intents());
    for seen in answered {
        let outcome = &outcomes[&seen.exchange];
        // What was shown was durable before.
        let kept = outcome.reply.as_ref().map_or(0, |reply| reply.bytes);
        assert!(seen.shown <= kept, "{seen:?}: only {kept} bytes were kept");
        if seen.whole {
            assert_eq!(outcome.outcome, "answered", "{seen:?}");
            assert!(!seen.stream || seen.shown == kept, "{seen:?}: {kept}");
        }
        let record = log.at(&seen.receipt);
        // A whole answer comes with the receipt of its outcome, a stream begins with its intent's.
        let named = if let Event::Outcome(outcome) = &record.event {
            (false, outcome.about.exchange)
        } else if let Event::Intent(intent) = &record.event {
            (true, intent.about.exchange)
        } else {
            panic!("{seen:?} is {record:?}")
        };
        assert_eq!((named.0, named.1.to_string()), (seen.stream, seen.exchange.clone()));
    }
    for exchange in intents.keys() {
        let outcome = outcomes.get(exchange).unwrap_or_else(|| panic!("{exchange} has no end"));
        assert!(
            ["answered", "interrupted", "caller_gone"].contains(&outcome.outcome.as_str()),
            "{outcome:?}"
        );
    }
}

async fn kill_repeatedly(rounds: usize, more: &str) {
    let upstream = Upstream::start(Reply::echo().in_pieces(Pieces::Chars(16))).await;
    let house = House::with(&Rules::cloud(&upstream).and(more));
    let mut answered = Vec::new();
    let mut interrupted = 0;
    let mut earlier = String::new();
    for _ in 0..rounds {
        answered.extend(round(house.serve()).await);
        // The start after it ends what was open.
        let serving = house.serve();
        let bundle = house.fresh("bundle.tar");
        house.export(&bundle);
        let log = house.verified(&bundle, &earlier);
        check_answered(&log, &answered);
        // Nothing left before the record that it leaves was durable.
        let left = upstream.captured().len();
        assert!(
            log.intents().len() >= left,
            "{left} prompts left, {} recorded",
            log.intents().len()
        );
        interrupted = log.outcomes().values().filter(|it| it.outcome == "interrupted").count();
        // The next log must continue this one.
        earlier = fs::read_to_string(house.data().join("checkpoint")).unwrap();
        serving.kill();
    }
    let broken = answered.iter().filter(|seen| !seen.whole && seen.shown > 0).count();
    eprintln!("{} seen, {broken} in part, {interrupted} interrupted", answered.len());
    assert!(answered.len() > rounds, "too little load: {}", answered.len());
    assert!(answered.iter().any(|it| it.stream) && answered.iter().any(|it| !it.stream));
    for captured in upstream.captured() {
        assert!(!captured.holds(MARISOL.name) && !captured.holds(MARISOL.ssn));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_no_answered_request() {
    kill_repeatedly(ROUNDS, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_that_keeps_digests_only_loses_no_answered_request() {
    kill_repeatedly(ROUNDS / 2, "[content]\nkeep = \"digests\"\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; the short one runs always"]
async fn a_server_killed_a_hundred_times_loses_no_answered_request() {
    kill_repeatedly(LONG_ROUNDS, "").await;
}
