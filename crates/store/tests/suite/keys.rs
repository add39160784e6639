//! The key store: what is destroyed is gone, and two processes never overwrite each other's keys.

use crate::support::{DEPLOYMENT, House, TENANT, time, unit};
use ledger::seal::{KeySet, PerClass, WrappedKeys};
use ledger::{ContentClass, ContentKeyId, DeploymentId, TenantId};
use store::{Destruction, Error, KeyStore, MovedUnit, ShelfRow, Store, TenantKeyRow};

const FIRST: ContentKeyId = ContentKeyId::from_bytes([1; 16]);
const SECOND: ContentKeyId = ContentKeyId::from_bytes([2; 16]);

fn tenant_key(id: ContentKeyId) -> TenantKeyRow {
    TenantKeyRow {
        id,
        wrapped: b"wrapped organisation's key".to_vec(),
        service: "file:example".into(),
        names: b"wrapped names".to_vec(),
        created: time(0),
    }
}

/// A shelf whose bytes are easily found in a file.
fn shelf(number: u8) -> ShelfRow {
    let keys = PerClass::make(|class| {
        Some(format!("shelf {number} {class} {}", "x".repeat(40)).into_bytes())
    });
    let (id, day) =
        (ContentKeyId::from_bytes([number; 16]), time(0).day().plus_days(number.into()));
    ShelfRow { id, day, closed: false, keys }
}

async fn keys_of(house: &House) -> KeyStore {
    let keys = house.store.keys().clone();
    keys.add_tenant_key(TENANT, tenant_key(FIRST)).await.unwrap();
    for number in 10..13 {
        keys.add_shelf(TENANT, FIRST, shelf(number)).await.unwrap();
    }
    keys
}

fn file_holds(house: &House, what: &str) -> bool {
    let files = std::fs::read_dir(house.path().join("keys")).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(what.len()).any(|window| window == what.as_bytes()))
}

#[tokio::test]
async fn a_destroyed_key_is_overwritten_in_the_file() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let id = shelf(11).id;
    assert!(file_holds(&house, "shelf 11 answers"));
    let answers = PerClass { answers: true, ..PerClass::default() };
    let destruction = Destruction { shelves: vec![(id, answers)], ..Destruction::default() };
    keys.destroy(TENANT, FIRST, destruction).await.unwrap();
    assert!(!file_holds(&house, "shelf 11 answers"));
    assert!(file_holds(&house, "shelf 11 prompts") && file_holds(&house, "shelf 12 answers"));
    let row = keys.shelf(TENANT, id).await.unwrap().unwrap();
    assert!(row.closed && row.keys.answers.is_none() && row.keys.prompts.is_some());
    assert_eq!(keys.open_shelf(TENANT, row.day).await.unwrap(), None);

    keys.destroy_tenant_key(TENANT).await.unwrap();
    assert_eq!(keys.tenant_key(TENANT).await.unwrap(), None);
    assert!(!file_holds(&house, "shelf 1") && !file_holds(&house, "wrapped names"));
    assert!(!file_holds(&house, "wrapped organisation"));
}

#[tokio::test]
async fn units_are_saved_in_the_step_that_destroys_their_shelf() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let (day, wrapped) = (shelf(10).day, unit(&house.entropy).1);
    let prompts = PerClass { prompts: true, ..PerClass::default() };
    let saved = MovedUnit {
        id: wrapped.id,
        day,
        keys: WrappedKeys { prompts: wrapped.keys.prompts.clone(), ..WrappedKeys::default() },
    };
    let destruction = Destruction {
        shelves: vec![(shelf(10).id, prompts.clone())],
        saved: vec![saved.clone()],
        ..Destruction::default()
    };
    keys.destroy(TENANT, FIRST, destruction).await.unwrap();
    assert_eq!(keys.moved_unit(TENANT, wrapped.id).await.unwrap(), Some(saved.clone()));

    // A second class comes to the first, and the unit goes when its last key does.
    let answers = WrappedKeys { answers: wrapped.keys.answers.clone(), ..WrappedKeys::default() };
    let more = MovedUnit { keys: answers, ..saved.clone() };
    let save = Destruction { saved: vec![more.clone()], ..Destruction::default() };
    keys.destroy(TENANT, FIRST, save).await.unwrap();
    let both = WrappedKeys { prompts: saved.keys.prompts, ..more.keys };
    assert_eq!(keys.moved_unit(TENANT, wrapped.id).await.unwrap().unwrap().keys, both);
    let all = PerClass::make(|_| true);
    let destroy = Destruction { units: vec![(wrapped.id, all)], ..Destruction::default() };
    keys.destroy(TENANT, FIRST, destroy).await.unwrap();
    assert_eq!(keys.moved_units(TENANT).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_is_replaced_with_all_that_it_wraps_or_not_at_all() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let rewrapped = || -> Vec<(ContentKeyId, WrappedKeys)> {
        let again = |row: ShelfRow| (row.id, PerClass::make(|_| Some(b"anew".to_vec())));
        (10..13).map(shelf).map(again).collect()
    };
    let mut one_missing = rewrapped();
    one_missing.pop();
    let replace = |former, shelves| {
        keys.replace_tenant_key(TENANT, former, tenant_key(SECOND), shelves, Vec::new(), Vec::new())
    };
    assert!(matches!(replace(FIRST, one_missing).await, Err(Error::Conflict)));
    assert!(matches!(replace(SECOND, rewrapped()).await, Err(Error::Conflict)));
    assert_eq!(keys.shelf(TENANT, shelf(10).id).await.unwrap(), Some(shelf(10)));
    replace(FIRST, rewrapped()).await.unwrap();
    assert_eq!(keys.tenant_key(TENANT).await.unwrap().unwrap().id, SECOND);
    let row = keys.shelf(TENANT, shelf(10).id).await.unwrap().unwrap();
    assert_eq!(row.keys.prompts.as_deref(), Some(&b"anew"[..]));

    // Whoever still has the former key in hand cannot put anything under it.
    assert!(matches!(keys.add_shelf(TENANT, FIRST, shelf(20)).await, Err(Error::Conflict)));
    let destroyed = keys.destroy(TENANT, FIRST, Destruction::default()).await;
    assert!(matches!(destroyed, Err(Error::Conflict)));
}

#[tokio::test]
async fn another_process_sees_a_change_by_the_counter() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let other = Store::open(house.path()).unwrap();
    let (ours, theirs) =
        (keys.change_counter().await.unwrap(), other.keys().change_counter().await.unwrap());
    assert_eq!(keys.change_counter().await.unwrap(), ours, "reading changes nothing");
    keys.close_shelf(TENANT, shelf(10).id).await.unwrap();
    assert_ne!(keys.change_counter().await.unwrap(), ours);
    assert_ne!(other.keys().change_counter().await.unwrap(), theirs);
    assert_eq!(other.keys().open_shelf(TENANT, shelf(10).day).await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_or_foreign_key_store_does_not_open() {
    let house = House::new().await;
    let folder = house.close();
    let keys = folder.path().join("keys").join("keys.db");
    let moved = folder.path().join("moved.db");
    std::fs::rename(&keys, &moved).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::KeysMissing)));

    let foreign = tempfile::tempdir().unwrap();
    assert_ne!(DEPLOYMENT, DeploymentId::from_bytes([5; 16]));
    drop(Store::create(foreign.path(), DeploymentId::from_bytes([5; 16])).unwrap());
    std::fs::copy(foreign.path().join("keys").join("keys.db"), &keys).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::KeysMissing)));
    std::fs::rename(&moved, &keys).unwrap();
    drop(Store::open(folder.path()).unwrap());
}

#[tokio::test]
async fn a_shelf_of_wrapped_keys_opens_as_it_was_closed() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let set = KeySet::generate(time(0), time(0).day(), &house.entropy);
    let row = ShelfRow {
        id: set.id(),
        day: set.day(),
        closed: false,
        keys: set.wrapped_by(&house.keys, &house.entropy),
    };
    keys.add_shelf(TENANT, FIRST, row.clone()).await.unwrap();
    assert_eq!(keys.open_shelf(TENANT, set.day()).await.unwrap(), Some(row.clone()));
    assert_eq!(keys.shelves(TENANT).await.unwrap().len(), 4);
    assert_eq!(ContentClass::ALL.len(), 3);
}

#[tokio::test]
async fn the_key_of_one_document_is_destroyed_alone_and_overwritten_in_the_file() {
    let house = House::new().await;
    let keys = keys_of(&house).await;
    let id = |number| ContentKeyId::from_bytes([number; 16]);
    let wrapped = |number| format!("document {number} {}", "x".repeat(40)).into_bytes();
    for number in [20, 21] {
        keys.add_document_key(TENANT, FIRST, id(number), wrapped(number)).await.unwrap();
    }
    let under_another = keys.add_document_key(TENANT, SECOND, id(22), wrapped(22)).await;
    assert!(matches!(under_another, Err(Error::Conflict)), "the key was replaced meanwhile");
    let other = TenantId::from_bytes([8; 16]);
    assert_eq!(keys.document_key(other, id(20)).await.unwrap(), None);
    keys.destroy_document_keys(other, vec![id(20)]).await.unwrap();
    assert!(file_holds(&house, "document 20"));

    keys.destroy_document_keys(TENANT, vec![id(20)]).await.unwrap();
    assert!(!file_holds(&house, "document 20") && file_holds(&house, "document 21"));
    assert_eq!(keys.document_keys(TENANT).await.unwrap(), [(id(21), wrapped(21))]);

    // A replacement that forgets the other one would make its document unreadable.
    let shelves: Vec<_> = (10..13).map(|number| (shelf(number).id, shelf(number).keys)).collect();
    let replace = |documents| {
        let (row, shelves) = (tenant_key(SECOND), shelves.clone());
        keys.replace_tenant_key(TENANT, FIRST, row, shelves, Vec::new(), documents)
    };
    for documents in [vec![], vec![(id(20), wrapped(20))]] {
        assert!(matches!(replace(documents).await, Err(Error::Conflict)));
    }
    replace(vec![(id(21), b"anew".to_vec())]).await.unwrap();
    assert_eq!(keys.document_key(TENANT, id(21)).await.unwrap(), Some(b"anew".to_vec()));
    keys.destroy_tenant_key(TENANT).await.unwrap();
    assert_eq!(keys.document_key(TENANT, id(21)).await.unwrap(), None);
}
