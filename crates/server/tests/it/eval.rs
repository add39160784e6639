//! `bulla eval`: what the detector finds on a site's own annotated notes.

use crate::house::{Done, bulla};
use serde_json::json;
use std::fs;
use testkit::people::SOLVEIG;

/// One annotated note about a synthetic person; `label` is the label of her name.
fn note(label: &str, complete: bool) -> String {
    let before = "Seen today: ";
    let text = format!("{before}{}, e-mail {}.", SOLVEIG.name, SOLVEIG.email);
    let start = before.chars().count();
    let end = start + SOLVEIG.name.chars().count();
    let at = text.chars().count() - 1 - SOLVEIG.email.chars().count();
    json!({
        "text": text,
        "style": "note",
        "complete": complete,
        "spans": [
            { "start": start, "end": end, "label": label, "text": SOLVEIG.name },
            { "start": at, "end": at + SOLVEIG.email.chars().count(), "label": "EMAIL" },
        ],
    })
    .to_string()
}

/// Runs the command on a file with these lines.
fn eval(lines: &[String], arguments: &[&str]) -> Done {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("notes.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    Done::of(bulla().arg("eval").arg(&file).args(arguments))
}

#[test]
fn notes_are_measured_offline_and_the_figures_are_explained() {
    let missed = json!({
        "text": "Wrote to qqzx about it.",
        "style": "letter",
        "spans": [{ "start": 9, "end": 13, "label": "OTHER_ID" }],
    });
    let lines = [note("NAME", true), note("NAME", false), missed.to_string()];
    let out = eval(&lines, &["--mistakes"]).ok();
    for part in [
        "Safe Harbor, strict, 3 documents",
        "i2b2-like",
        "In 1 of 3 documents",
        "document 3: missed OTHER_ID at 9..13",
        "3 documents are few",
        "not labelled exhaustively",
        "still PHI",
        "style",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let line = out.lines().find(|line| line.starts_with("EMAIL")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..3], ["2", "1.000"], "{line}");
    assert!(!out.contains(SOLVEIG.email) && !out.contains("qqzx"), "{out}");
}

#[test]
fn a_line_that_is_no_annotation_is_named_and_never_quoted() {
    let family = SOLVEIG.name.split(' ').next_back().unwrap();
    for (line, why) in [
        (note(family, true), "line 2: spans 1: \"label\""),
        (note("NAME", true).replace("\"start\":12", "\"start\":13"), "is not what stands"),
        (format!("{{\"text\": \"{family}"), "line 2: it is not JSON"),
        (json!({ "text": 1 }).to_string(), "line 2"),
    ] {
        let done = eval(&[note("NAME", true), line], &[]);
        done.fails(2, why);
        assert!(!done.err.contains(family) && !done.out.contains(family), "{}", done.err);
    }
}

#[test]
fn nothing_to_measure_is_no_success() {
    eval(&[], &[]).fails(2, "no document");
    eval(&[note("NAME", true)], &["--split", "test"]).fails(2, "no document");
    Done::of(bulla().args(["eval", "/nonexistent/notes.jsonl"])).fails(2, "notes.jsonl");
}
