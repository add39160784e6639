//! The keys above content: replaced under load, and closed when the key service says so.

#![expect(clippy::disallowed_methods, reason = "the tasks of a test end with its runtime")]

use crate::world::{Environment, World, ending, operator};
use ledger::Event;
use service::{House, ReadError};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::keys::{KeyStand, Mood, Stand};
use testkit::upstream::Captured;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_replaced_under_load_without_a_failed_request() {
    let world = Arc::new(World::at("2026-06-01T15:00:00Z", None).await);
    let (event, _) = world.ask("SSN 219-09-9999", Some("before")).await;
    let before = event.about().unwrap().exchange;
    let keeping = tokio::spawn(Arc::clone(&world.house).keep_up(std::future::pending()));
    let stop = Arc::new(AtomicBool::new(false));
    let load = (0..4).map(|number| {
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                let conversation = format!("{number}");
                for conversation in [None, Some(conversation.as_str())] {
                    let (event, _) = world.ask("SSN 219-09-9999", conversation).await;
                    assert_eq!(ending(&event).0, "answered", "{event:?}");
                    asked += 1;
                }
            }
            asked
        })
    });
    let load: Vec<_> = load.collect();
    // Another process replaces them, as the command does beside a server.
    let other = House::open(world.setup_again()).await.unwrap();
    for _ in 0..3 {
        other.rotate_organisation(operator()).await.unwrap();
        other.rotate_operator(None, operator()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for task in load {
        asked += task.await.unwrap();
    }
    assert!(asked > 20, "{asked}");
    keeping.abort();
    let levels: Vec<_> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::KeyRotated { level, former, current, .. } => {
                assert_ne!(former, current);
                Some(level)
            }
            _ => None,
        })
        .collect();
    assert_eq!(levels, ["organisation", "operator"].repeat(3));

    let content = world.house.read_content(before, operator(), "auditor").await.unwrap();
    assert!(content.written.unwrap().expose().contains("219-09-9999"));
    let again = House::open(world.setup_again()).await.unwrap();
    assert!(again.read_content(before, operator(), "auditor").await.is_ok());
    let key_file = fs::read_to_string(world.data().join("operator.key")).unwrap();
    assert_eq!(key_file.lines().count(), 1, "the former keys are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_keeps_its_name_when_the_organisations_key_is_replaced() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (before, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    world.house.rotate_organisation(operator()).await.unwrap();
    let (after, answer) = world.ask("SSN 219-09-9999", Some("a")).await;
    assert_eq!(before.about().unwrap().conversation, after.about().unwrap().conversation);
    assert!(answer.contains("219-09-9999"));
    let texts: Vec<_> = world.upstream.captured().iter().map(Captured::text).collect();
    assert_eq!(texts.first(), texts.last(), "its surrogates are the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_operators_key_opens_nothing() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let path = world.data().join("operator.key");
    let former = fs::read(&path).unwrap();
    world.house.rotate_operator(None, operator()).await.unwrap();
    let current = fs::read(&path).unwrap();
    assert_ne!(former, current);
    fs::write(&path, former).unwrap();
    let error = House::open(world.setup_again()).await.unwrap_err().to_string();
    assert!(error.contains("does not open"), "{error}");
    fs::write(&path, current).unwrap();
    House::open(world.setup_again()).await.unwrap();
}

/// The time for which keys stay open in these tests is a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_closes_everything_within_its_time_and_opens_again() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let keeping = tokio::spawn(Arc::clone(&world.house).keep_up(std::future::pending()));
    let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    let exchange = event.about().unwrap().exchange;
    let (path, away) = (world.data().join("operator.key"), world.data().join("revoked"));
    fs::rename(&path, &away).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;

    let sent = world.upstream.captured().len();
    for conversation in [None, Some("a")] {
        let (event, answer) = world.ask("SSN 219-09-9999", conversation).await;
        assert_eq!(ending(&event), ("failed_closed", Some("keys_unavailable"), None));
        assert_eq!((answer, event.about().unwrap().prompt), (String::new(), None));
    }
    assert_eq!(world.upstream.captured().len(), sent, "nothing left");
    let read = world.house.read_content(exchange, operator(), "auditor").await;
    assert!(matches!(read, Err(ReadError::House(_))), "{read:?}");
    let readiness = world.house.readiness().await;
    assert!(matches!(readiness.unready.as_slice(), [service::Unready::Keys(_)]), "{readiness:?}");

    fs::rename(&away, &path).unwrap();
    let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    assert_eq!(ending(&event).0, "answered");
    assert!(world.house.read_content(exchange, operator(), "auditor").await.is_ok());
    keeping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_move_to_a_key_service_which_can_then_take_them_back() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let keeping = tokio::spawn(Arc::clone(&world.house).keep_up(std::future::pending()));
    let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    let exchange = event.about().unwrap().exchange;
    let vault = Arc::new(KeyStand::start(Stand::VaultAppRole));
    let of_vault = Arc::clone(&vault);
    world.environment.set(move |name| of_vault.variable(name));
    let former = fs::read_to_string(world.data().join("operator.key")).unwrap();
    // Beside the server, as the command does.
    let other = House::open(world.setup_again()).await.unwrap();
    let rotated = other.rotate_operator(Some(&vault.key_file()), operator()).await.unwrap();
    assert!(rotated.from.starts_with("file:") && rotated.to.starts_with("vault:"), "{rotated:?}");
    let key_file = fs::read_to_string(world.data().join("operator.key")).unwrap();
    assert!(key_file.contains("[key_service]") && !key_file.contains(former.trim()));
    for _ in 0..8 {
        let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
        assert_eq!(ending(&event).0, "answered");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(world.house.read_content(exchange, operator(), "auditor").await.is_ok());
    assert_eq!(vault.complaints(), Vec::<String>::new());

    vault.is(Mood::Disabled);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    assert_eq!(ending(&event), ("failed_closed", Some("keys_unavailable"), None));
    let read = world.house.read_content(exchange, operator(), "auditor").await;
    assert!(matches!(read, Err(ReadError::House(_))), "{read:?}");
    assert!(House::open(world.setup_again()).await.is_err());
    vault.is(Mood::Good);
    let (event, _) = world.ask("SSN 219-09-9999", Some("a")).await;
    assert_eq!(ending(&event).0, "answered");
    keeping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_under_a_passphrase_opens_with_it_and_is_replaced_under_it() {
    let variables = |passphrase: &'static str| {
        move |name: &str| (name == "BULLA_KEY_PASSPHRASE").then(|| passphrase.to_owned())
    };
    let environment = Environment::default();
    environment.set(variables("a goose and four synthetic geese"));
    let world = World::with("2026-06-01T15:00:00Z", None, environment).await;
    let (event, _) = world.ask("SSN 219-09-9999", None).await;
    let exchange = event.about().unwrap().exchange;
    let path = world.data().join("operator.key");
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.starts_with("bulla-passphrase-1 "), "{before}");
    world.house.rotate_operator(None, operator()).await.unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with("bulla-passphrase-1 ") && after != before);
    assert!(!world.data().join("operator.next").exists());

    let world = world.closed_and(|_| ()).await;
    assert!(world.house.read_content(exchange, operator(), "auditor").await.is_ok());
    world.environment.set(variables("a goose and five synthetic geese"));
    assert!(House::open(world.setup_again()).await.is_err());
}
