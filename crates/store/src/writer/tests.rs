use super::*;
use crate::Store;
use ledger::{Actor, ActorKind, Event, Journal};
use tempfile::TempDir;

const TENANT: TenantId = TenantId::from_bytes([7; 16]);

fn event(version: &str) -> Entry {
    let actor = Actor { kind: ActorKind::System, id: "test".into(), name: "test".into() };
    Entry::bare(Time::from_micros(1), Event::Started { actor, version: version.into() })
}

async fn house() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path(), DeploymentId::from_bytes([9; 16])).unwrap();
    store.add_tenant(TENANT, "Example", event("0")).await.unwrap();
    (folder, store)
}

async fn poke(store: &Store, poke: fn(&Connection)) {
    store.submit(Work::Poke(poke)).await.unwrap();
}

/// Appends large records until one is refused; says how many were kept and why it ended.
async fn fill(store: &Store) -> (u64, Unrecorded) {
    let entry = || event(&"x".repeat(60_000));
    for kept in 0..1000 {
        if let Err(error) = store.tenant(TENANT).append(entry()).await {
            return (kept, error);
        }
    }
    panic!("the disk never got full");
}

#[tokio::test]
async fn a_full_disk_refuses_appends_until_there_is_room() {
    let (_folder, store) = house().await;
    poke(&store, |connection| {
        connection.pragma_update_and_check(None, "max_page_count", 100, |_| Ok(())).unwrap();
    })
    .await;
    let (kept, error) = fill(&store).await;
    assert_eq!(error, Unrecorded::Full);
    assert!(kept > 0);
    store.health().unwrap();
    assert_eq!(
        store.tenant(TENANT).append(event(&"x".repeat(60_000))).await,
        Err(Unrecorded::Full)
    );
    assert_eq!(store.tenant(TENANT).head().await.unwrap().size(), 1 + kept);

    poke(&store, |connection| {
        connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    })
    .await;
    let receipt = store.tenant(TENANT).append(event(&"x".repeat(60_000))).await.unwrap();
    assert_eq!(receipt.seq, 1 + kept, "the refused entries took no position");
    store.writable().await.unwrap();
}

#[tokio::test]
async fn a_head_that_disagrees_with_the_records_stops_the_log() {
    let (folder, store) = house().await;
    let other = Connection::open(folder.path().join("bulla.db")).unwrap();
    other.execute(sql::SET_HEAD, params![Head::new().to_bytes(), TENANT.as_bytes()]).unwrap();
    for _ in 0..2 {
        let refused = store.tenant(TENANT).append(event("1")).await;
        assert_eq!(refused, Err(Unrecorded::Stopped));
    }
    let reason = store.health().unwrap_err();
    assert_eq!(reason.to_string(), "the log stopped while comparing a head with the records");
    assert_eq!(store.writable().await, Err(Unrecorded::Stopped));
}

#[tokio::test]
async fn a_taken_position_stops_the_log_instead_of_forking_it() {
    let (_folder, store) = house().await;
    poke(&store, |connection| {
        let values = params![TENANT.as_bytes(), 1, [0_u8; 32], [0_u8; 1]];
        connection.execute(sql::ADD_RECORD, values).unwrap();
    })
    .await;
    assert_eq!(store.tenant(TENANT).append(event("1")).await, Err(Unrecorded::Stopped));
    assert!(store.health().is_err());
}

#[tokio::test]
async fn a_panic_of_the_writer_stops_the_log() {
    let (_folder, store) = house().await;
    let answer = store.submit(Work::Poke(|_| panic!("by the test"))).await;
    assert_eq!(answer, Err(Refusal::Unrecorded(Unrecorded::Stopped)));
    assert_eq!(store.tenant(TENANT).append(event("1")).await, Err(Unrecorded::Stopped));
    assert!(store.health().is_err());
}

#[tokio::test]
async fn another_holder_of_the_write_lock_delays_but_does_not_stop_the_log() {
    let (folder, store) = house().await;
    poke(&store, |connection| {
        connection.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
    })
    .await;
    let other = Connection::open(folder.path().join("bulla.db")).unwrap();
    other.execute_batch(dialect::BEGIN).unwrap();
    assert_eq!(store.tenant(TENANT).append(event("1")).await, Err(Unrecorded::Busy));
    other.execute_batch(sql::ROLLBACK).unwrap();
    assert_eq!(store.tenant(TENANT).append(event("1")).await.unwrap().seq, 1);
}

#[tokio::test]
async fn a_log_of_many_pages_is_copied_back_and_the_write_ahead_log_stays_small() {
    let (folder, store) = house().await;
    for _ in 0..1500 {
        store.tenant(TENANT).append(event(&"x".repeat(40_000))).await.unwrap();
    }
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("bulla.db") > 30 << 20, "{}", size("bulla.db"));
    assert!(size("bulla.db-wal") < 64 << 20, "{}", size("bulla.db-wal"));
    store.health().unwrap();
}

#[tokio::test]
async fn the_writer_synchronises_every_commit_and_checkpoints_by_itself() {
    let (_folder, store) = house().await;
    poke(&store, |connection| {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        let found: [i64; 4] =
            ["synchronous", "foreign_keys", "secure_delete", "wal_autocheckpoint"].map(pragma);
        // 2 is FULL.
        assert_eq!(found, [2, 1, 1, 0]);
    })
    .await;
}
