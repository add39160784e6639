//! What a start must refuse: another's key, a key that others may read, an older database.

use crate::house::{Done, House, bulla, user};
use crate::rules::Rules;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use testkit::upstream::{Reply, Upstream};

const DATABASE: [&str; 3] = ["bulla.db", "bulla.db-wal", "bulla.db-shm"];

/// Puts the database of `from` in the place of that of `to`.
fn copy_database(from: &Path, to: &Path) {
    for name in DATABASE {
        if to.join(name).exists() {
            fs::remove_file(to.join(name)).unwrap();
        }
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_that_was_rolled_back_is_not_served() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    house.serve().stop();
    let older = house.fresh("older");
    fs::create_dir(&older).unwrap();
    copy_database(&house.data(), &older);

    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    let newer = house.fresh("newer");
    fs::create_dir(&newer).unwrap();
    copy_database(&house.data(), &newer);

    copy_database(&older, &house.data());
    let out = house.fresh("bundle.tar");
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["audit", "export", "--out", out.to_str().unwrap()],
        &["key", "create", "--owner", "Example Bot"],
    ] {
        house.run(arguments).fails(3, "was rolled back");
    }
    // The true one is served again.
    copy_database(&newer, &house.data());
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    house.log();

    // Without the checkpoint beside it, the database alone proves nothing.
    fs::remove_file(house.data().join("checkpoint")).unwrap();
    house.run(&["serve", "--listen", "127.0.0.1:0"]).fails(3, "checkpoint");
}

#[test]
fn only_the_operators_own_key_opens_the_data() {
    let (house, other) = (House::bare(), House::bare());
    let key = house.data().join("operator.key");
    let kept = fs::read(&key).unwrap();
    let foreign = other.data().join("operator.key");
    house.run(&["key", "list", "--key-file", foreign.to_str().unwrap()]).fails(3, "does not open");

    for (bytes, words) in [
        (&b"kek_0 00"[..], "a key file"),
        (b"", "missing field"),
        (&[b'x'; 5000], "line 1"),
        (&b"x".repeat(20_000), "too long"),
        (&kept[..kept.len() - 3], "a key file"),
    ] {
        fs::write(&key, bytes).unwrap();
        house.run(&["key", "list"]).fails(3, words);
    }
    fs::write(&key, &kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    house.run(&["key", "list"]).fails(3, "others than its owner");
    fs::remove_file(&key).unwrap();
    house.run(&["key", "list"]).fails(3, "operator.key");
    fs::write(&key, &kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    house.run(&["key", "list"]).ok();
    house.log();
}

#[test]
fn init_leaves_what_is_there_alone() {
    let house = House::bare();
    let before = house.log().len();
    let again = Done::of(bulla().arg("init").arg(house.data()));
    again.fails(2, "holds a database already");
    assert_eq!(house.log().len(), before + 1, "one more export");

    // A key file that is there is nobody's to replace, and nothing is left half-made.
    let key = house.path("kept.key");
    fs::write(&key, "mine").unwrap();
    let dir = house.path("second");
    let refused = Done::of(bulla().arg("init").arg(&dir).arg("--key-file").arg(&key));
    refused.fails(3, "kept.key");
    assert_eq!(fs::read(&key).unwrap(), b"mine");
    let nowhere = Done::of(bulla().arg("init").arg(&dir).args(["--key-file", "/nowhere/key"]));
    nowhere.fails(3, "/nowhere/key");
    assert!(!dir.exists());
    let key = house.path("second.key");
    Done::of(bulla().arg("init").arg(&dir).arg("--key-file").arg(&key)).ok();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!dir.join("operator.key").exists());
    let list = ["key", "list", "--data", dir.to_str().unwrap()];
    Done::of(bulla().args(list)).fails(3, "operator.key");
    Done::of(bulla().args(list).arg("--key-file").arg(&key)).ok();

    let nameless = house.path("third");
    Done::of(bulla().arg("init").arg(&nameless).args(["--org", " "])).fails(2, "name");
    assert!(!nameless.exists());
}

#[test]
fn every_file_is_for_its_owner_only() {
    let house = House::bare();
    house.serve().stop();
    house.log();
    let data = fs::metadata(house.data()).unwrap();
    assert_eq!(data.permissions().mode() & 0o077, 0);
    for entry in fs::read_dir(house.data()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
    let bundle = house.path("0-bundle.tar");
    let bundle = fs::read_dir(house.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("bundle.tar"))
        .unwrap_or(bundle);
    assert_eq!(fs::metadata(bundle).unwrap().permissions().mode() & 0o077, 0);
}
