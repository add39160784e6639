//! What changes because time passes.

use crate::world::{World, ending};
use ledger::Event;

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_ends_at_its_midnight_and_nothing_leaves_after_it() {
    let world = World::at("2026-12-31T23:59:59Z", None).await;
    let (event, answer) = world.ask("SSN 219-09-9999", None).await;
    assert_eq!(ending(&event).0, "answered");
    assert!(answer.contains("219-09-9999"));
    let connections = world.upstream.connections();

    world.clock.advance(1);
    let (event, answer) = world.ask("SSN 219-09-9999", None).await;
    let expected = ("refused", Some("baa_uncovered_hop"), Some("agreement_not_in_force"));
    assert_eq!(ending(&event), expected);
    assert!(answer.is_empty());
    assert_eq!(world.upstream.connections(), connections, "nothing was opened");
    assert_eq!(world.upstream.captured().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_that_ends_is_warned_of_at_90_60_30_and_7_days_once_each() {
    let world = World::at("2026-09-01T00:00:00Z", None).await;
    for _day in 0..130 {
        world.house.warn_of_expiry().await.unwrap();
        world.house.warn_of_expiry().await.unwrap();
        world.clock.advance(DAY);
    }
    let days: Vec<u32> = world
        .events()
        .await
        .iter()
        .filter_map(|event| match event {
            Event::AgreementExpiring { days, agreement, .. } => {
                assert_eq!(agreement, "baa-example");
                Some(*days)
            }
            _ => None,
        })
        .collect();
    assert_eq!(days, [90, 60, 30, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_refused_from_its_last_moment_on() {
    let world = World::at("2026-06-01T00:00:00Z", Some(1)).await;
    world.clock.advance(DAY - 1);
    assert!(world.house.authenticate(&world.secret).is_ok());
    world.clock.advance(1);
    assert!(world.house.authenticate(&world.secret).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn surrogates_are_stable_in_a_conversation_and_gone_after_their_time() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let mut left = Vec::new();
    for (conversation, days) in [("a", 0), ("a", 29), ("a", 31), ("b", 0)] {
        world.clock.advance(days * DAY);
        let (event, answer) = world.ask("SSN 219-09-9999", Some(conversation)).await;
        assert_eq!(ending(&event).0, "answered");
        assert!(answer.contains("219-09-9999"));
        left.push(world.upstream.captured().last().unwrap().text());
    }
    let [first, later, expired, other] = left.as_slice() else { panic!("four turns") };
    assert_eq!(first, later, "one value keeps one surrogate");
    assert_ne!(first, expired, "after thirty days the map is gone");
    assert_ne!(expired, other, "another conversation has its own");
    assert!(left.iter().all(|text| !text.contains("219-09-9999")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_turn_records_that_the_map_was_read() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    for _turn in 0..2 {
        world.ask("SSN 219-09-9999", Some("a")).await;
    }
    let used: Vec<(u64, u64)> = world
        .events()
        .await
        .iter()
        .filter_map(|event| match event {
            Event::Intent(intent) => Some((intent.surrogates.minted, intent.surrogates.read)),
            _ => None,
        })
        .collect();
    assert_eq!(used, [(1, 0), (0, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_no_value_of_a_prompt() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    world.ask("SSN 219-09-9999, mail quintero@lakeside.example", Some("a")).await;
    for entry in std::fs::read_dir(world.data()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for value in ["219-09-9999", "quintero@lakeside.example"] {
            let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!found, "{value}");
        }
    }
}
