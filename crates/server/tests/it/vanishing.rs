//! Callers that vanish at every stage, a thousand times: nothing of them stays, and every exchange that was
//! admitted has its end.

use crate::house::{House, Serving, user};
use crate::rules::Rules;
use std::fs;
use std::time::Duration;
use testkit::client::{Client, Request};
use testkit::people::MARISOL;
use testkit::proc::rss_bytes;
use testkit::upstream::{Fault, Reply, Script, Upstream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Callers in all, and how many of them at once.
const CALLERS: usize = 1000;
const AT_ONCE: usize = 40;

/// How long what they left may take to go.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// Where a caller vanishes.
const STAGES: usize = 7;

fn open_files(serving: &Serving) -> usize {
    fs::read_dir(format!("/proc/{}/fd", serving.pid())).unwrap().count()
}

async fn vanish(serving_at: std::net::SocketAddr, request: Request, stage: usize, politely: bool) {
    let whole = request.bytes("127.0.0.1");
    let head = whole.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let written = match stage {
        0 => 0,
        1 => head / 2,
        2 => head,
        3 => head + (whole.len() - head) / 2,
        _ => whole.len(),
    };
    let mut client = Client::connect(serving_at).await.unwrap();
    client.write(&whole[..written]).await.unwrap();
    match stage {
        // As soon as it is sent; while the model is asked; in the stream.
        5 => tokio::time::sleep(Duration::from_millis(60)).await,
        6 => {
            assert_eq!(client.head().await.unwrap().status, 200);
            drop(client.piece().await.unwrap());
        }
        _ => {}
    }
    if politely {
        drop(client);
    } else {
        client.abort().unwrap();
    }
}

async fn round(serving: &Serving, callers: usize) {
    let mut vanishing = JoinSet::new();
    for number in 0..callers {
        if vanishing.len() >= AT_ONCE {
            vanishing.join_next().await.unwrap().unwrap();
        }
        let stage = number % STAGES;
        let mut body = user(&format!("Patient: {}, turn {number}", MARISOL.name));
        body["stream"] = (stage == 6).into();
        let (request, politely) = (serving.request(&body), number % 2 == 0);
        vanishing.spawn(vanish(serving.address, request, stage, politely));
    }
    while let Some(vanished) = vanishing.join_next().await {
        vanished.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_that_vanish_at_every_stage_leave_nothing_behind() {
    // Whoever wants JSON waits for a model that hangs; a stream hangs after it began.
    let upstream = Upstream::start(Script::by_request(|_, captured| {
        let streams = captured.json()["stream"] == true;
        Reply::fault(if streams { Fault::Hang { after: 8 } } else { Fault::HangBeforeHeaders })
    }))
    .await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    // The first ones warm up what is kept for all.
    round(&serving, 2 * AT_ONCE).await;
    upstream.wait_until_closed().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (files, memory) = (open_files(&serving), rss_bytes(serving.pid()).unwrap());
    let begun = Instant::now();
    round(&serving, CALLERS).await;
    let took = begun.elapsed();
    upstream.wait_until_closed().await;
    let begun = Instant::now();
    while open_files(&serving) > files {
        assert!(begun.elapsed() < GONE_LIMIT, "{} files, {files} before", open_files(&serving));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown = rss_bytes(serving.pid()).unwrap().saturating_sub(memory);
    println!("{CALLERS} callers vanished in {took:?}; the server has {} KiB more", grown >> 10);
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    // Nothing runs that a stop would have to wait for.
    upstream.play(Reply::echo());
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let begun = Instant::now();
    serving.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "something still ran: {:?}",
        begun.elapsed()
    );
    let log = house.log();
    let (intents, outcomes) = (log.intents(), log.outcomes());
    assert!(intents.len() > CALLERS / STAGES, "{} admitted", intents.len());
    for exchange in intents.keys() {
        assert!(
            ["caller_gone", "answered"].contains(&outcomes[exchange].outcome.as_str()),
            "{exchange}"
        );
    }
}
