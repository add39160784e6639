//! The binary over real files.

use crate::sample::{self, blobs, bundle, note, records, signer};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn verifier() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-verify"));
    command.env_clear();
    command
}

fn written(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Unpacks a bundle with the system's tar, as an auditor would.
fn unpacked(tar: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let status = Command::new("tar").arg("xf").arg(tar).arg("-C").arg(folder).status().unwrap();
    assert!(status.success());
}

fn check(mut command: Command, code: i32, words: &[&str]) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour without a terminal");
    text
}

fn of(path: &Path) -> Command {
    let mut command = verifier();
    command.arg(path);
    command
}

#[test]
fn a_good_bundle_is_good_as_a_tar_and_as_a_folder() {
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &blobs(3), &[7]));
    let words =
        ["GOOD  20 records", "Example Clinic", "only the one that this bundle itself carries"];
    check(of(&tar), 0, &words);
    let files = folder.path().join("files");
    unpacked(&tar, &files);
    check(of(&files), 0, &words);
}

#[test]
fn an_altered_bundle_is_bad_and_the_first_bad_position_is_named() {
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &[], &[]));
    let files = folder.path().join("files");
    unpacked(&tar, &files);
    let path = files.join("records.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let altered: Vec<_> = text
        .lines()
        .enumerate()
        .map(
            |(n, line)| {
                if n == 6 { line.replace("treatment", "marketing") } else { line.to_owned() }
            },
        )
        .collect();
    fs::write(&path, altered.join("\n") + "\n").unwrap();
    check(of(&files), 1, &["BAD  the first bad position is 6", "edited at position 6"]);

    let mut json = of(&files);
    json.arg("--json");
    let found: serde_json::Value = serde_json::from_str(&check(json, 1, &[])).unwrap();
    assert_eq!(found["good"], false);
    assert_eq!(found["problems"][0]["at"], 6);
    assert_eq!(found["problems"][0]["kind"], "edited");
}

#[test]
fn a_trust_file_is_used() {
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &[], &[]));
    let run = |trust: &str| {
        let mut command = of(&tar);
        command.arg("--trust").arg(written(&folder, "trust", trust.as_bytes()));
        command
    };
    let key = signer().verifier_key();
    let earlier = note(&records(), 8);
    let text = check(
        run(&format!("# from the contract\n{key}\n\n{earlier}")),
        0,
        &["your trust file", "8 records"],
    );
    assert!(!text.contains("bundle itself carries"), "{text}");
    let longer = sample::seal([sample::events(), vec![sample::started()]].concat());
    check(run(&note(&longer, 21)), 1, &["BAD", "truncated at position 20"]);
    check(run("nonsense"), 2, &["line 1"]);
    check(run("# nothing\n"), 2, &["nothing to trust"]);
}

#[test]
fn what_cannot_be_read_is_neither_good_nor_bad() {
    let folder = TempDir::new().unwrap();
    check(of(&folder.path().join("absent")), 2, &[]);
    check(of(&written(&folder, "empty", b"")), 2, &["no export"]);
    check(of(&written(&folder, "noise", &[b'x'; 5000])), 2, &[]);
    check(of(folder.path()), 2, &["no export"]);
    check(verifier(), 2, &["Usage"]);
}

#[test]
fn a_broken_off_archive_is_bad() {
    let folder = TempDir::new().unwrap();
    let tar = bundle(&records(), &[], &[]);
    check(of(&written(&folder, "cut", &tar[..tar.len() / 2])), 1, &["BAD", "breaks off"]);
}

#[test]
fn text_of_a_bundle_cannot_steer_the_terminal() {
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &[], &[]));
    let files = folder.path().join("files");
    unpacked(&tar, &files);
    fs::write(files.join("\u{1b}[2Jx"), "").unwrap();
    check(of(&files), 0, &["no part of a bundle"]);
}

#[test]
fn it_works_where_there_is_no_network() {
    let probe = |arguments: &[&str]| {
        Command::new("unshare").args(arguments).arg("true").status().is_ok_and(|s| s.success())
    };
    let Some(flags) = [&["-n"][..], &["-r", "-n"]].into_iter().find(|flags| probe(flags)) else {
        eprintln!("SKIPPED: unshare -n is not there or not permitted");
        return;
    };
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &blobs(3), &[]));
    let mut command = Command::new("unshare");
    command.args(flags).arg(env!("CARGO_BIN_EXE_bulla-verify")).arg(tar);
    check(command, 0, &["GOOD"]);
}

#[test]
fn the_recipe_by_hand_in_the_bundle_works() {
    let has = |program: &str| Command::new(program).arg("--help").output().is_ok();
    if !has("python3") || !has("openssl") {
        eprintln!("SKIPPED: python3 and openssl are not both there");
        return;
    }
    let folder = TempDir::new().unwrap();
    let tar = written(&folder, "log.tar", &bundle(&records(), &[], &[]));
    let files = folder.path().join("files");
    unpacked(&tar, &files);
    let text = fs::read_to_string(files.join("VERIFY.md")).unwrap();
    let recipe = text.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let run = || {
        let mut command = Command::new("python3");
        command.arg("-c").arg(recipe).current_dir(&files);
        command
    };
    check(run(), 0, &["signature agree: 20", "Verified Successfully"]);

    let records = files.join("records.jsonl");
    let altered = fs::read_to_string(&records).unwrap().replacen("treatment", "marketing", 1);
    fs::write(&records, altered).unwrap();
    check(run(), 1, &["record 3"]);
}
