//! The deployment's own log: what is a leaf of it, what is proved from it, and what it notices.

use crate::support::{DEPLOYMENT, House, TENANT, add_tenant, replay, signer, started, time};
use ledger::checkpoint::{Signer, VerifierKey};
use ledger::proof::{check_consistency, check_inclusion};
use ledger::tree::leaf_hash;
use ledger::{Journal, LogId, TenantId};
use std::fs;
use store::{Error, StampRow, Store};

const OTHER: TenantId = TenantId::from_bytes([8; 16]);

fn deployment() -> Signer {
    Signer::from_seed(&format!("bulla/{DEPLOYMENT}"), &[5; 32]).unwrap()
}

fn signer_of(tenant: TenantId) -> Signer {
    let log = LogId { deployment: DEPLOYMENT, tenant };
    Signer::from_seed(&log.to_string(), &[4; 32]).unwrap()
}

async fn grow(house: &House, records: usize) -> String {
    for _ in 0..records {
        house.tenant.append(started()).await.unwrap();
    }
    house.tenant.publish_checkpoint(&signer()).await.unwrap()
}

fn stamp(authority: &str) -> StampRow {
    StampRow {
        authority: authority.into(),
        stamped: time(60),
        ends: time(1_000_000),
        token: vec![1, 2, 3],
    }
}

#[tokio::test]
async fn the_last_checkpoint_of_every_organisation_is_under_an_anchor() {
    let house = House::new().await;
    add_tenant(&house.store, OTHER, &house.entropy).await;
    let log = house.store.own_log();
    assert_eq!(log.anchor(&deployment(), time(1)).await.unwrap(), None, "nothing is signed yet");
    let note = grow(&house, 3).await;
    let other = house.store.tenant(OTHER).publish_checkpoint(&signer_of(OTHER)).await.unwrap();
    let first = log.anchor(&deployment(), time(1)).await.unwrap().unwrap();
    assert_eq!(first.size, 2);
    assert_eq!(log.anchor(&deployment(), time(2)).await.unwrap(), None, "nothing is new");
    let key = VerifierKey::parse(&deployment().verifier_key()).unwrap();
    assert_eq!(key.open(&first.note).unwrap().root, first.root);
    assert_eq!(fs::read_to_string(house.path().join("anchor")).unwrap(), first.note);
    for (tenant, note, size) in [(TENANT, note, 4), (OTHER, other, 1)] {
        let (index, of) = log.leaf_under(tenant, first.size).await.unwrap().unwrap();
        assert_eq!(of, size);
        let path = log.inclusion(index, first.size).await.unwrap().unwrap();
        let leaf = leaf_hash(note.as_bytes());
        check_inclusion(&leaf, index, first.size, &path, &first.root).unwrap();
    }
    let stranger = TenantId::from_bytes([6; 16]);
    assert_eq!(log.leaf_under(stranger, first.size).await.unwrap(), None);
}

#[tokio::test]
async fn anchors_grow_from_each_other_and_records_are_proved_over_many_rows() {
    let house = House::new().await;
    let log = house.store.own_log();
    let mut anchors = Vec::new();
    for _ in 0..300 {
        grow(&house, 2).await;
        anchors.push(log.anchor(&deployment(), time(1)).await.unwrap().unwrap());
    }
    let last = anchors.last().unwrap();
    for old in [&anchors[0], &anchors[254], &anchors[255], &anchors[256], last] {
        let path = log.consistency(old.size, last.size).await.unwrap().unwrap();
        check_consistency((old.size, &old.root), (last.size, &last.root), &path).unwrap();
    }
    let leaves = replay(&house.tenant).await;
    let checkpoint = house.tenant.last_checkpoint().await.unwrap().unwrap();
    for seq in [0, 1, 255, 256, 511, 512, 599, 600] {
        let path = house.tenant.inclusion(seq, checkpoint.size).await.unwrap().unwrap();
        let leaf = &leaves[usize::try_from(seq).unwrap()];
        check_inclusion(leaf, seq, checkpoint.size, &path, &checkpoint.root).unwrap();
    }
    assert_eq!(house.tenant.inclusion(601, checkpoint.size).await.unwrap(), None);
    let old = house.tenant.checkpoint(257).await.unwrap().unwrap();
    let path = house.tenant.consistency(old.size, checkpoint.size).await.unwrap().unwrap();
    check_consistency((257, &old.root), (checkpoint.size, &checkpoint.root), &path).unwrap();
}

#[tokio::test]
async fn a_log_of_before_gets_its_subtrees_when_it_is_opened() {
    let house = House::new().await;
    grow(&house, 600).await;
    let folder = house.close();
    let database = rusqlite::Connection::open(folder.path().join("bulla.db")).unwrap();
    // As the schema before had it.
    database
        .execute_batch(
            "DROP TABLE subtrees; DROP TABLE stamps; DROP TABLE cosignatures; DROP TABLE leaves;
             DROP TABLE anchors; DROP TABLE deployment_head; DROP TABLE feeds;
             UPDATE meta SET schema_version = 1;",
        )
        .unwrap();
    drop(database);
    let store = Store::open(folder.path()).unwrap();
    let tenant = store.tenant(TENANT);
    let leaves = replay(&tenant).await;
    let checkpoint = tenant.last_checkpoint().await.unwrap().unwrap();
    let path = tenant.inclusion(300, checkpoint.size).await.unwrap().unwrap();
    check_inclusion(&leaves[300], 300, checkpoint.size, &path, &checkpoint.root).unwrap();
}

#[tokio::test]
async fn a_stamp_covers_the_anchors_before_it() {
    let house = House::new().await;
    let log = house.store.own_log();
    assert_eq!(log.unstamped("a").await.unwrap(), None);
    for size in 1..=3 {
        grow(&house, 1).await;
        assert_eq!(log.anchor(&deployment(), time(1)).await.unwrap().unwrap().size, size);
    }
    assert_eq!(log.unstamped("a").await.unwrap().unwrap().size, 3, "the newest");
    log.add_stamp(2, stamp("a")).await.unwrap();
    assert_eq!(log.unstamped("a").await.unwrap().unwrap().size, 3);
    log.add_stamp(3, stamp("a")).await.unwrap();
    assert_eq!(log.unstamped("a").await.unwrap(), None);
    assert_eq!(log.unstamped("b").await.unwrap().unwrap().size, 3, "each authority for itself");
    assert!(matches!(log.add_stamp(3, stamp("a")).await, Err(Error::Conflict)));
    assert!(matches!(log.add_stamp(4, stamp("a")).await, Err(Error::Conflict)));
    log.add_cosignature(3, "w", "line\n").await.unwrap();
    assert_eq!(log.last_cosigned("w").await.unwrap(), 3);
    assert_eq!(log.cosignatures(3).await.unwrap(), "line\n");
    assert_eq!(log.stamps(3).await.unwrap(), [stamp("a")]);
    let stamped: Vec<u64> =
        log.shown_anchors().await.unwrap().iter().map(|anchor| anchor.size).collect();
    assert_eq!(stamped, [2, 3]);
}

#[tokio::test]
async fn a_deployments_log_that_was_rolled_back_is_refused() {
    let house = House::new().await;
    let log = house.store.own_log();
    grow(&house, 1).await;
    log.anchor(&deployment(), time(1)).await.unwrap();
    grow(&house, 1).await;
    let note = log.anchor(&deployment(), time(1)).await.unwrap().unwrap().note;
    drop(log);
    let folder = house.close();
    drop(Store::open(folder.path()).unwrap());
    let file = folder.path().join("anchor");
    fs::write(&file, note.replacen("\n2\n", "\n9\n", 1)).unwrap();
    let opened = Store::open(folder.path());
    assert!(matches!(opened, Err(Error::AnchorRolledBack { anchor: 9 })), "{opened:?}");
    fs::remove_file(&file).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::AnchorMissing)));
    fs::write(&file, &note).unwrap();
    drop(Store::open(folder.path()).unwrap());
    // Somebody with the file of the database takes the last anchor away, triggers and all.
    let database = rusqlite::Connection::open(folder.path().join("bulla.db")).unwrap();
    assert!(database.execute("DELETE FROM anchors WHERE size = 2", []).is_err());
    database
        .execute_batch("DROP TRIGGER anchors_are_not_deleted; DELETE FROM anchors WHERE size = 2;")
        .unwrap();
    drop(database);
    let opened = Store::open(folder.path());
    assert!(matches!(opened, Err(Error::AnchorRolledBack { anchor: 2 })), "{opened:?}");
}

#[tokio::test]
async fn only_the_deployments_own_signer_anchors() {
    let house = House::new().await;
    grow(&house, 1).await;
    let refused = house.store.own_log().anchor(&signer(), time(1)).await;
    assert!(matches!(refused, Err(Error::OtherLog)));
}
