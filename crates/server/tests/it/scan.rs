//! `bulla scan`: what is PHI in here, offline.

use crate::house::{Done, bulla};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use testkit::notes;
use testkit::people::SOLVEIG;

fn piped(text: &[u8], arguments: &[&str]) -> Output {
    let mut child = bulla()
        .arg("scan")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads another input may be gone by now.
    drop(child.stdin.take().unwrap().write_all(text));
    child.wait_with_output().unwrap()
}

#[test]
fn json_has_one_object_for_each_input_with_byte_offsets() {
    let note = notes::every_class();
    let scratch = tempfile::tempdir().unwrap();
    let sub = scratch.path().join("visits");
    fs::create_dir(&sub).unwrap();
    let text = format!("é✓ Patient: {} {}", SOLVEIG.name, SOLVEIG.email);
    fs::write(scratch.path().join("a.txt"), &note.text).unwrap();
    fs::write(sub.join("b.txt"), &text).unwrap();
    fs::write(sub.join("c.txt"), "blood pressure 132/84 mmHg").unwrap();
    std::os::unix::fs::symlink("/etc", sub.join("elsewhere")).unwrap();
    let out = Done::of(bulla().args(["scan", "--json"]).arg(scratch.path())).ok();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{out}");
    let names: Vec<_> = lines.iter().map(|line| line["source"].as_str().unwrap()).collect();
    assert!(names[0].ends_with("a.txt") && names[1].ends_with("visits/b.txt"), "{names:?}");
    for (line, text) in lines.iter().zip([&note.text, &text]) {
        for finding in line["findings"].as_array().unwrap() {
            let at = |name: &str| usize::try_from(finding[name].as_u64().unwrap()).unwrap();
            assert!(text.get(at("start")..at("end")).is_some_and(|it| !it.is_empty()), "{finding}");
            assert!((0.0..=1.0).contains(&finding["confidence"].as_f64().unwrap()), "{finding}");
            assert!(finding["recogniser"].is_string());
        }
    }
    let found = |line: &Value, text: &str, class: &str, value: &str| {
        line["findings"].as_array().unwrap().iter().any(|it| {
            let at = |name: &str| usize::try_from(it[name].as_u64().unwrap()).unwrap();
            let span = &text[at("start")..at("end")];
            it["class"] == class && (span.contains(value) || value.contains(span))
        })
    };
    for planted in &note.planted {
        assert!(found(&lines[0], &note.text, planted.class.label(), &planted.value), "{planted:?}");
    }
    assert!(found(&lines[1], &text, "NAME", SOLVEIG.name));
    assert!(found(&lines[1], &text, "EMAIL", SOLVEIG.email));
    assert_eq!(lines[2]["findings"], serde_json::json!([]));
}

#[test]
fn a_report_names_places_and_no_values() {
    let note = notes::every_class();
    let output = piped(note.text.as_bytes(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let leaks: Vec<_> = note.leaks_into(&said);
    assert!(leaks.is_empty(), "{leaks:?}");
    assert!(said.contains("-:2: NAME"), "{said}");
    assert!(said.contains("could not be scanned") && said.contains("164.514(b)"), "{said}");
}

#[test]
fn marked_text_shows_each_finding_in_its_place() {
    let output = piped(b"Patient: Marisol Quintero, SSN: 219-09-9999\n", &["--marked", "-"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "Patient: <NAME>Marisol Quintero</NAME>, SSN: <SSN>219-09-9999</SSN>\n\n");
}

#[test]
fn the_exit_code_tells_what_was_found_and_what_could_not_be_read() {
    let code = |output: Output| output.status.code().unwrap();
    assert_eq!(code(piped(b"SSN: 219-09-9999", &["--fail-on-phi"])), 1);
    assert_eq!(code(piped(b"SSN: 219-09-9999", &[])), 0);
    assert_eq!(code(piped(b"blood pressure 132/84 mmHg", &["--fail-on-phi"])), 0);
    assert_eq!(code(piped(b"", &["--fail-on-phi"])), 0);
    assert_eq!(code(piped(b"SSN: 219-09-9999 \xff", &["--fail-on-phi"])), 3);
    assert_eq!(code(piped(b"x", &["--json", "--marked"])), 2);
    assert_eq!(code(piped(b"x", &["/nowhere/note.txt"])), 3);

    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("a.txt"), "SSN: 219-09-9999").unwrap();
    fs::write(scratch.path().join("b.bin"), [0xff, 0xfe, 0x00]).unwrap();
    let done = Done::of(bulla().args(["scan", "--json", "--fail-on-phi"]).arg(scratch.path()));
    assert_eq!(done.code, 3, "what cannot be read is never nothing: {}", done.out);
    let lines: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["findings"].as_array().is_some_and(|it| !it.is_empty()));
    assert!(lines[1]["error"].is_string() && lines[1]["findings"].is_null());
}

#[test]
fn a_reader_that_goes_away_gets_no_complaint() {
    let mut scan = bulla()
        .arg("scan")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(scan.stdout.take());
    let mut input = scan.stdin.take().unwrap();
    input.write_all(b"SSN 219-09-9999").unwrap();
    drop(input);
    let output = scan.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty());
}

#[test]
fn what_is_no_text_stops_nothing_but_itself() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(scratch.path().join(name), bytes).unwrap();
    file("a.bin", b"SSN: 219-09-9999\0");
    file("b.txt", b"SSN: 219-09-9999 \xff");
    file("c.txt", "S\0S\0N\0".as_bytes());
    file("d.txt", b"SSN: 219-09-9999");
    // Nobody writes into this pipe, so whoever opens it waits for ever.
    let made = Command::new("mkfifo").arg(scratch.path().join("e.pipe")).status().unwrap();
    assert!(made.success());
    let done = Done::of(bulla().args(["scan", "--json"]).arg(scratch.path()));
    assert_eq!(done.code, 3, "{}", done.out);
    let lines: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let faulty: Vec<bool> = lines.iter().map(|line| line["error"].is_string()).collect();
    assert_eq!(faulty, [true, true, true, false, true], "{}", done.out);
    assert_eq!(lines[3]["findings"][0]["class"], "SSN");
    let done = Done::of(bulla().arg("scan").arg(scratch.path()));
    assert!(done.out.contains("5 inputs") && done.out.contains("4 could not be"), "{}", done.out);
}

#[test]
fn quasi_identifiers_are_reported_apart_from_identifiers() {
    let note = "He has Fabry disease and is the mayor.\n";
    let output = piped(note.as_bytes(), &["--json", "--fail-on-phi"]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: Vec<&str> = line["quasi_identifiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["rare_disease", "role"], "{line}");
    let said = String::from_utf8(piped(note.as_bytes(), &[]).stdout).unwrap();
    assert!(said.contains("may single somebody out"), "{said}");
}

#[test]
fn special_categories_of_the_whole_are_reported_without_its_words() {
    let note = "Opioid use disorder, on buprenorphine since spring.\n";
    let output = piped(note.as_bytes(), &["--json", "--fail-on-phi"]);
    assert!(output.status.success(), "a category alone is no identifier");
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let special = &line["special_categories"][0];
    assert_eq!(special["category"], "SUBSTANCE_USE", "{line}");
    assert_eq!(special["law"], "42 CFR Part 2", "{line}");
    assert!(special["score"].as_f64().unwrap() >= 0.5, "{line}");
    assert!(!line.to_string().contains("buprenorphine"), "{line}");
    let said = String::from_utf8(piped(note.as_bytes(), &[]).stdout).unwrap();
    assert!(said.contains("SUBSTANCE_USE") && said.contains("42 CFR Part 2"), "{said}");
    let plain = piped(b"Blood pressure is fine.\n", &["--json"]);
    let line: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(line["special_categories"], serde_json::json!([]));
}
