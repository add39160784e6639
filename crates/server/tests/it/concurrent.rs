//! Many at once: one chain, no gap, nobody gets another's answer.

use crate::house::{Done, House, user};
use crate::log::Log;
use crate::rules::Rules;
use ledger::Event;
use std::sync::Arc;
use testkit::client::{Client, Request};
use testkit::people;
use testkit::upstream::{Reply, Upstream};
use tokio::task::JoinSet;

const LANES: usize = 16;
const REQUESTS_PER_LANE: usize = 13;

/// Each lane asks about its own patient and must get exactly that one back.
async fn load(address: std::net::SocketAddr, key: &str) {
    let key: Arc<str> = key.into();
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let key = Arc::clone(&key);
        lanes.spawn(async move {
            let mut client = Client::connect(address).await.unwrap();
            let person = people::ALL[lane % people::ALL.len()];
            for turn in 0..REQUESTS_PER_LANE {
                let text = format!(
                    "Patient: {} SSN: {} visit {lane}/{turn} of the lane",
                    person.name, person.ssn
                );
                let request = Request::chat(&user(&text)).bearer(&key);
                let answer = client.call(&request).await.unwrap().answer();
                assert_eq!(answer.content(), text);
            }
        });
    }
    lanes.join_all().await;
}

fn check_counts(log: &Log) {
    let answered = log.outcomes().into_values().filter(|it| it.outcome == "answered").count();
    assert_eq!(
        (answered, log.intents().len()),
        (LANES * REQUESTS_PER_LANE, LANES * REQUESTS_PER_LANE)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_at_once_make_one_chain_without_a_gap() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    load(serving.address, &house.key).await;
    check_counts(&house.log());
    for captured in upstream.captured() {
        assert!(people::ALL.iter().all(|it| !captured.holds(it.ssn) && !captured.holds(it.name)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_beside_a_busy_server_never_forks_the_chain() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = Arc::new(House::with(&rules));
    let serving = house.serve();
    let other = rules.clone().with("Treatment of a patient", "Treatment");
    let beside = Arc::clone(&house);
    let commands = tokio::task::spawn_blocking(move || {
        for turn in 0..5 {
            beside.apply(if turn % 2 == 0 { &other } else { &rules }).ok();
            let key = beside.create_key(&["--purpose", "treatment"]);
            beside.run(&["key", "revoke", &key.id]).ok();
            beside.log();
        }
    });
    load(serving.address, &house.key).await;
    commands.await.unwrap();
    let log = house.log();
    check_counts(&log);
    let count = |wanted: fn(&Event) -> bool| log.events().filter(|event| wanted(event)).count();
    assert_eq!(count(|it| matches!(it, Event::ConfigurationApplied { .. })), 6);
    assert_eq!(count(|it| matches!(it, Event::ApiKeyCreated { .. })), 6);
    assert_eq!(count(|it| matches!(it, Event::ApiKeyRevoked { .. })), 5);
    serving.follows(6).await;
}

#[tokio::test]
async fn a_second_server_on_one_data_directory_is_refused() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for _ in 0..2 {
        let second = house.run(&["serve", "--listen", "127.0.0.1:0"]);
        second.fails(3, "another process serves from this data directory");
        assert!(!second.out.contains("serves http"), "{}", second.out);
    }
    // A port that is taken is another matter.
    let third = House::bare();
    let taken = serving.address.to_string();
    third.run(&["serve", "--listen", &taken]).fails(2, "cannot listen on");
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let before = house.log();
    let starts = before.events().filter(|it| matches!(it, Event::Started { .. }));
    assert_eq!(starts.count(), 1);
    // A killed server leaves no lock behind.
    serving.kill();
    assert_eq!(house.serve().ask(&user("hello")).await.status(), 200);
}

#[test]
fn two_first_commands_at_once_are_both_recorded() {
    let house = House::bare();
    let mut children: Vec<_> = (0..6)
        .map(|number| {
            let owner = format!("Bot {number}");
            let mut command = house.command(&["key", "create", "--owner", &owner]);
            std::thread::spawn(move || Done::of(&mut command).ok())
        })
        .collect();
    children.drain(..).for_each(|child| assert!(child.join().unwrap().contains("bulla_")));
    let log = house.log();
    assert_eq!(log.len(), 8, "opened, six keys, exported");
}
