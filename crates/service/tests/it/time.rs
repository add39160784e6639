//! What changes because time passes.

use crate::world::{World, ending, operator};
use ledger::verify::{Trust, Verification};
use ledger::{Event, Time, bundle};
use std::fs;
use testkit::authority::{LocalAuthority, Stamping};

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
    let keys = world.data().join("keys");
    let entries = [world.data(), keys.clone()].map(|folder| std::fs::read_dir(folder).unwrap());
    for path in entries.into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path == keys {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        for value in ["219-09-9999", "quintero@lakeside.example"] {
            let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!found, "{value}");
        }
    }
}

/// The world with an authority, stamped once; the time is the authority's.
async fn stamped_by(stamping: &Stamping) -> (World, Time) {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let roots = world.data().join("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    world.apply_with(&stamping.rules(&roots)).await;
    world.house.anchor().await.unwrap();
    let is = |event: &Event| match event {
        Event::Anchored { stamped, .. } => Some(*stamped),
        _ => None,
    };
    let now = world.events().await.iter().find_map(is).unwrap();
    world.clock.set(now);
    (world, now)
}

fn stamps(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Anchored { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_at_rest_is_stamped_again_before_the_certificate_behind_its_stamp_ends() {
    for (certificate_days, again) in [(45, [1, 1, 2]), (400, [1, 1, 1])] {
        let stamping = Stamping::serve(LocalAuthority::lasting(certificate_days));
        let (world, _) = stamped_by(&stamping).await;
        let mut seen = Vec::new();
        for days in [0, 10, 10] {
            world.clock.advance(days * DAY);
            world.house.anchor().await.unwrap();
            seen.push(stamps(&world.events().await));
        }
        assert_eq!(seen, again, "a certificate of {certificate_days} days");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_not_that_of_the_authority_is_told_once_for_each_time_it_jumps() {
    let stamping = Stamping::start();
    let (world, now) = stamped_by(&stamping).await;
    let skewed = async || -> Vec<Time> {
        world.house.anchor().await.unwrap();
        let events = world.events().await;
        let at = |event: &Event| match event {
            Event::ClockSkewed { authority, stamped } => {
                assert_eq!(authority, "example");
                Some(*stamped)
            }
            _ => None,
        };
        events.iter().filter_map(at).collect()
    };
    // Whatever today is: it was not the clock's first of June.
    assert_eq!(skewed().await, [now]);
    world.ask("hello", None).await;
    assert_eq!(skewed().await.len(), 1, "the clock is right");
    for jump in [3_600, -7_200] {
        world.clock.set(now);
        world.clock.advance(jump);
        world.ask("hello", None).await;
        skewed().await;
    }
    assert_eq!(skewed().await.len(), 2, "from ahead to behind is one stretch of a wrong clock");
    assert_eq!(stamps(&world.events().await), 4, "it stamps whatever the clock says");
    // The auditor reads of it in a warning: the log says itself that its clock was wrong.
    let mut tar = Vec::new();
    world.house.export(&mut tar, false, operator(), &|_, _| {}).await.unwrap();
    let (log, own) = (world.house.verifier_key(), world.house.deployment_key());
    let trust = Trust::parse(&format!("{log}\n{own}\n{}", stamping.root())).unwrap();
    let mut verification = Verification::new(trust);
    bundle::each_file(&tar[..], |name, content| verification.file(name, content)).unwrap();
    let verdict = verification.finish();
    assert!(verdict.good, "{:?}", verdict.problems);
    let told = verdict.warnings.iter().any(|words| words.contains("dated against a time stamp"));
    assert!(told, "{:?}", verdict.warnings);
}
