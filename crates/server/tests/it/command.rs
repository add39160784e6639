//! The command line: exit codes and words that scripts and people rely on.

use crate::house::{Done, House, bulla, bulla_verify};
use crate::rules::Rules;
use std::fs;
use testkit::upstream::{Reply, Upstream};

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["help", "audit"]] {
        assert_eq!(Done::of(bulla().args(arguments)).code, 0, "{arguments:?}");
    }
    for arguments in
        [&[][..], &["nonsense"], &["serve"], &["apply"], &["init"], &["key"], &["scan", "--what"]]
    {
        let done = Done::of(bulla().args(arguments));
        assert_eq!(done.code, 2, "{arguments:?}");
        assert!(done.err.contains("Usage"), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn a_directory_without_a_database_is_a_usage_error() {
    let house = House::bare();
    let empty = house.path("empty");
    fs::create_dir(&empty).unwrap();
    for dir in [empty, house.path("missing")] {
        let dir = dir.to_str().unwrap();
        for command in [&["serve"][..], &["path"], &["key", "list"], &["audit", "show", "exc_1"]] {
            let done = Done::of(bulla().args(command).args(["--data", dir]));
            done.fails(2, "holds no complete Bulla database");
        }
    }
}

#[tokio::test]
async fn a_bad_file_of_rules_changes_nothing_and_names_the_place() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let serving = house.serve();
    let with = |from: &str, to: &str| rules.clone().with(from, to).text().to_owned();
    for (text, words) in [
        (with("effect = \"tokenize\"", "effect = \"tokenise\""), "line 7"),
        (with("title = \"Payment for care\"", "titel = \"Payment for care\""), "titel"),
        (with("hops = [\"examplecloud\"]", "hops = [\"nowhere\"]"), "hops"),
        (with("agreement = \"baa-examplecloud\"", "agreement = \"baa-2\""), "agreement"),
        (with("schema = 1", "schema = 2"), "schema"),
        (with("credential = \"none\"", "credential = \"sk-secret-219-09-9999\""), "credential"),
        (with("[[route]]", "[[route]"), "line 6"),
        (with("timeout_seconds = 20", "timeout_seconds = 0"), "timeout_seconds"),
        (String::new(), "schema"),
    ] {
        let done = house.apply_text(&text);
        done.fails(2, "Nothing was changed");
        assert!(done.err.contains(words), "{words}: {}", done.err);
        assert!(!done.err.contains("219-09-9999"), "{}", done.err);
        assert_eq!(
            done.err.lines().next().unwrap().matches("rules.toml").count(),
            1,
            "{}",
            done.err
        );
    }
    house.run(&["apply", "/nowhere/rules.toml"]).fails(2, "/nowhere/rules.toml");
    fs::write(house.path("binary.toml"), [0xff, 0xfe]).unwrap();
    house.run(&["apply", house.path("binary.toml").to_str().unwrap()]).fails(2, "binary.toml");
    let same = house.apply(&rules).ok();
    assert!(same.contains("in force already"), "{same}");
    let ready = serving.get("/readyz").await.json();
    assert_eq!(ready["configuration"], "version 1");
    let changes = house.log();
    let applied = changes
        .events()
        .filter(|event| matches!(event, ledger::Event::ConfigurationApplied { .. }));
    assert_eq!(applied.count(), 1);
}

#[test]
fn the_examples_are_accepted() {
    let house = House::bare();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    for name in ["minimal.toml", "texas.toml", "clinic.toml"] {
        let said = house.run(&["apply", &format!("{root}/{name}")]).ok();
        assert!(said.contains("is in force.") && said.contains("Recorded at bulla/"), "{said}");
    }
    let path = house.run(&["path"]);
    assert!(path.out.contains("assistant -> examplecloud (example-large)"), "{}", path.out);
    let nothing = house.run(&["path", "no-such-route"]);
    assert_eq!(nothing.code, 1);
}

#[test]
fn an_export_is_never_written_over_a_file_and_an_altered_one_is_found() {
    let house = House::bare();
    let bundle = house.path("log.tar");
    let out = bundle.to_str().unwrap();
    let said = house.run(&["audit", "export", "--content", "--out", out]).ok();
    assert!(said.contains("Wrote 2 records"), "{said}");
    let bytes = fs::read(&bundle).unwrap();
    house.run(&["audit", "export", "--out", out]).fails(2, "log.tar");
    assert_eq!(fs::read(&bundle).unwrap(), bytes);
    house.run(&["audit", "export", "--out", "/nowhere/log.tar"]).fails(2, "/nowhere/log.tar");
    house.run(&["audit", "show", "nonsense"]).fails(2, "receipt");

    house.verified(&bundle, "");
    let organisation = b"Lakeside Family Clinic";
    let at = bytes.windows(organisation.len()).rposition(|it| it == organisation).unwrap();
    let mut altered = bytes.clone();
    altered[at] = b'B';
    fs::write(&bundle, &altered).unwrap();
    let verdict = Done::of(bulla_verify().arg(&bundle));
    assert_eq!(verdict.code, 1, "{}{}", verdict.out, verdict.err);
    fs::write(&bundle, &bytes[..bytes.len() / 2]).unwrap();
    assert_ne!(Done::of(bulla_verify().arg(&bundle)).code, 0);
    fs::write(&bundle, b"no bundle").unwrap();
    assert_eq!(Done::of(bulla_verify().arg(&bundle)).code, 2);
}

#[test]
fn a_receipt_of_another_log_shows_nothing() {
    let (house, other) = (House::bare(), House::bare());
    let said = other.run(&["key", "create", "--owner", "Example Bot"]).ok();
    let receipt = said.split_whitespace().find(|word| word.contains('#')).unwrap();
    house.run(&["audit", "show", receipt]).fails(2, "no exchange with that receipt");
    let shown = other.run(&["audit", "show", receipt]);
    shown.fails(2, "no exchange with that receipt");
}
