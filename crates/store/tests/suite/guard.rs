//! What the store refuses: rolled-back databases, newer schemas, changed records, open folders.

use crate::support::{DEPLOYMENT, House, LOG, replay, signer, sql, started};
use ledger::checkpoint::VerifierKey;
use ledger::{Entry, Head, Journal};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use store::{Error, Store};

/// The database as it lies on the disk.
fn copy(from: &Path, to: &Path) {
    for name in ["bulla.db", "bulla.db-wal"] {
        if let Err(error) = fs::remove_file(to.join(name)) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    // A backup leaves the key store out; a copy that is to be opened elsewhere needs one.
    if !to.join("keys").exists() {
        fs::create_dir(to.join("keys")).unwrap();
        fs::copy(from.join("keys/keys.db"), to.join("keys/keys.db")).unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_is_a_signed_note_in_the_database_and_beside_it() {
    let house = House::new().await;
    house.tenant.append(started()).await.unwrap();
    let note = house.tenant.publish_checkpoint(&signer()).await.unwrap();
    assert_eq!(fs::read_to_string(house.path().join("checkpoint")).unwrap(), note);
    let key = VerifierKey::parse(&signer().verifier_key()).unwrap();
    let checkpoint = key.open(&note).unwrap();
    let head = house.tenant.head().await.unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (head.size(), head.root()));
    assert_eq!(house.tenant.last_checkpoint().await.unwrap().unwrap().note, note);
    assert_eq!(house.tenant.publish_checkpoint(&signer()).await.unwrap(), note, "nothing new");
}

#[tokio::test]
async fn the_signer_of_another_log_is_refused() {
    let house = House::new().await;
    let other = ledger::checkpoint::Signer::from_seed("another", &[3; 32]).unwrap();
    assert!(matches!(house.tenant.publish_checkpoint(&other).await, Err(Error::OtherLog)));
}

#[tokio::test]
async fn a_database_that_was_rolled_back_is_refused() {
    let house = House::new().await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let tenant = house.tenant.clone();
    let folder = house.close();
    drop(tenant);
    let older = tempfile::tempdir().unwrap();
    copy(folder.path(), older.path());

    let store = Store::open(folder.path()).unwrap();
    let tenant = store.tenant(LOG.tenant);
    tenant.append(started()).await.unwrap();
    tenant.publish_checkpoint(&signer()).await.unwrap();
    drop((store, tenant));
    drop(Store::open(folder.path()).unwrap());

    copy(older.path(), folder.path());
    match Store::open(folder.path()) {
        Err(Error::RolledBack { log, checkpoint: 2, database: 1 }) => assert_eq!(log, LOG),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rolled_back_database_that_grew_again_is_refused() {
    let house = House::new().await;
    let older = tempfile::tempdir().unwrap();
    let path = house.path().to_path_buf();
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let folder = house.close();
    copy(&path, older.path());
    let store = Store::open(&path).unwrap();
    let tenant = store.tenant(LOG.tenant);
    tenant.append(started()).await.unwrap();
    tenant.publish_checkpoint(&signer()).await.unwrap();
    drop((store, tenant));

    // The older copy grows beyond the size of the checkpoint, with other records, elsewhere.
    let store = Store::open(older.path()).unwrap();
    for _ in 0..5 {
        store.tenant(LOG.tenant).append(started()).await.unwrap();
    }
    drop(store);
    copy(older.path(), &path);
    let opened = Store::open(folder.path());
    assert!(
        matches!(opened, Err(Error::RolledBack { checkpoint: 2, database: 6, .. })),
        "{opened:?}"
    );
}

#[tokio::test]
async fn a_head_that_is_shorter_or_other_than_the_last_checkpoint_is_refused() {
    let house = House::new().await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let folder = house.close();
    let shorter = Head::new();
    let mut other = Head::new();
    let Entry { time, event, .. } = started();
    other.seal_next(LOG, time, event).unwrap();
    for head in [shorter, other] {
        let database = rusqlite::Connection::open(folder.path().join("bulla.db")).unwrap();
        database.execute("UPDATE heads SET head = $1", [head.to_bytes()]).unwrap();
        drop(database);
        let opened = Store::open(folder.path());
        assert!(matches!(opened, Err(Error::RolledBack { checkpoint: 1, .. })), "{opened:?}");
    }
}

#[tokio::test]
async fn a_changed_or_missing_checkpoint_file_is_refused() {
    let house = House::new().await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    house.tenant.append(started()).await.unwrap();
    let note = house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let folder = house.close();
    let file = folder.path().join("checkpoint");

    fs::write(&file, note.replace("\n2\n", "\n3\n")).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::RolledBack { checkpoint: 3, .. })));
    fs::write(&file, "not a note").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::CheckpointMalformed)));
    fs::remove_file(&file).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::CheckpointMissing { .. })));
    fs::write(&file, note).unwrap();
    drop(Store::open(folder.path()).unwrap());
}

#[tokio::test]
async fn a_crash_between_table_and_file_is_repaired_at_the_next_opening() {
    let house = House::new().await;
    let first = house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let file = house.path().join("checkpoint");
    fs::remove_file(&file).unwrap();
    drop(Store::open(house.path()).unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), first, "the first checkpoint");

    house.tenant.append(started()).await.unwrap();
    let second = house.tenant.publish_checkpoint(&signer()).await.unwrap();
    fs::write(&file, first).unwrap();
    drop(Store::open(house.path()).unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), second);
}

#[tokio::test]
async fn records_checkpoints_and_configurations_cannot_be_changed_by_sql() {
    let house = House::new().await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    for statement in [
        "UPDATE records SET bytes = x'00'",
        "DELETE FROM records",
        "INSERT OR REPLACE INTO records SELECT tenant, seq, leaf, x'00' FROM records",
        "UPDATE checkpoints SET note = ''",
        "DELETE FROM checkpoints",
    ] {
        let error = house.sql(statement).unwrap_err();
        assert!(error.to_string().contains("are only appended"), "{statement}: {error}");
    }
    assert_eq!(replay(&house.tenant).await.len(), 1);
}

#[tokio::test]
async fn a_newer_or_unreleased_schema_is_refused() {
    let house = House::new().await;
    let folder = house.close();
    sql(folder.path(), "UPDATE meta SET schema_version = 99").unwrap();
    let opened = Store::open(folder.path());
    assert!(matches!(opened, Err(Error::NewerSchema { found: 99, .. })), "{opened:?}");
    sql(folder.path(), "UPDATE meta SET schema_version = 2").unwrap();
    let opened = Store::open(folder.path());
    assert!(matches!(opened, Err(Error::UnreleasedSchema { found: 2 })), "{opened:?}");
}

#[test]
fn a_folder_without_a_complete_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::Absent)));
    fs::write(folder.path().join("bulla.db"), "").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::Absent)), "creation was cut short");
    assert!(matches!(Store::create(folder.path(), DEPLOYMENT), Err(Error::Exists)));
    fs::write(folder.path().join("bulla.db"), "x".repeat(5000)).unwrap();
    assert!(Store::open(folder.path()).is_err(), "not a database");
}

#[tokio::test]
async fn all_files_are_closed_to_other_accounts() {
    let house = House::new().await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    let _lock = house.store.lock_for_serving().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(house.path()), 0o700);
    let paths = |folder: &Path| -> Vec<_> {
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
    };
    let keys = house.path().join("keys");
    assert_eq!(mode(&keys), 0o700);
    let files = paths(house.path()).into_iter().filter(|path| *path != keys).chain(paths(&keys));
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 8, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_closed_store_opens_again_with_everything() {
    let house = House::new().await;
    for _ in 0..10 {
        house.tenant.append(started()).await.unwrap();
    }
    let folder = house.close();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.deployment(), DEPLOYMENT);
    assert_eq!(replay(&store.tenant(LOG.tenant)).await.len(), 11);
}
