//! The official `openai` package for Python, unchanged, against the real server; and public schemas, with
//! the packages that hold them, against what feeds send.

use crate::house::{House, bulla};
use crate::rules::Rules;
use gate::rules::LineFormat;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use testkit::upstream::{
    Arguments, Block, Call, Captured, Citation, Reply, Script, Source, Upstream,
};
use testkit::{notes, records};

/// Every kind of record in every format, as the Python script wants it.
fn lines() -> String {
    let formats = [
        (LineFormat::Jsonl, "jsonl"),
        (LineFormat::Ocsf, "ocsf"),
        (LineFormat::Cef, "cef"),
        (LineFormat::Fhir, "fhir"),
    ];
    let mut lines = Vec::new();
    for (seq, event) in (0..).zip(records::every_kind()) {
        let bytes = records::record(seq, event).to_bytes();
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        let leaf = ledger::tree::leaf_hash(&bytes).to_string();
        for (format, name) in formats {
            let line = service::write_line(&bytes, format).unwrap();
            let kind = &record["kind"];
            let case =
                json!({ "format": name, "kind": kind, "seq": seq, "leaf": leaf, "line": line });
            lines.push(case.to_string());
        }
    }
    lines.join("\n")
}

#[test]
#[ignore = "needs the Python packages; cargo xtask test runs it"]
fn every_line_of_a_feed_is_what_the_public_schemas_say() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("lines.jsonl");
    std::fs::write(&path, lines()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/feeds.py");
    let output = Command::new(python()).arg(script).arg("--lines").arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{wrong}");
    let checked = said.lines().filter(|line| line.contains("\"ok\": true")).count();
    assert_eq!(checked, 4 * records::every_kind().len(), "{said}");
}

/// What a program that uses the package would have to be told.
#[expect(clippy::disallowed_methods, reason = "the test's only word from its runner")]
pub(crate) fn python() -> PathBuf {
    let python = std::env::var("BULLA_TEST_PYTHON");
    python.expect("BULLA_TEST_PYTHON names the Python; `cargo xtask test` sets it").into()
}

/// Repeats the user; calls the tool that is offered; repeats a tool's result.
fn answer(captured: &Captured) -> Reply {
    let request = captured.json();
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    if let Some(last) = last.filter(|last| last["role"] == "tool") {
        return Reply::text(last["content"].as_str().unwrap_or_default());
    }
    match request["tools"][0]["function"]["name"].as_str() {
        Some(name) => {
            let note = ("note".to_owned(), Source::LastUser);
            Reply::calls(vec![Call::new(name, Arguments::Fields(vec![note]))])
        }
        None => Reply::echo(),
    }
}

fn expected() -> Value {
    let note = notes::every_class();
    let values: Vec<&str> = note.planted.iter().map(|it| it.value.as_str()).collect();
    let refused = |name: &str, expect: &str, status: u16, code: &str, more: Value| {
        let mut case = json!({ "name": name, "expect": expect, "status": status, "code": code });
        case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        case
    };
    let unknown = json!({ "extra_body": { "patient": note.text } });
    json!({
        "prompt": note.text,
        "values": values,
        "headers": [
            "x-request-id", "x-bulla-receipt", "x-bulla-decision", "x-bulla-phi", "x-bulla-path"
        ],
        "tool": {
            "name": "keep_note",
            "parameters": { "type": "object", "properties": { "note": { "type": "string" } } },
            "values": values
        },
        "errors": [
            refused("an unknown model", "NotFoundError", 404, "model_not_found",
                json!({ "model": "no-such-model" })),
            refused("an unknown model, streamed", "NotFoundError", 404, "model_not_found",
                json!({ "model": "no-such-model", "stream": true })),
            refused("an unknown field", "BadRequestError", 400, "unsupported_content",
                json!({ "arguments": unknown })),
            refused("a wrong key", "AuthenticationError", 401, "invalid_api_key",
                json!({ "api_key": "bulla_wrong" })),
            refused("another purpose", "PermissionDeniedError", 403, "purpose_not_allowed",
                json!({ "arguments": { "extra_headers": { "x-bulla-purpose": "payment" } } })),
        ]
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python client; cargo xtask test runs it"]
async fn the_official_openai_client_works_unchanged() {
    let python = python();
    let upstream = Upstream::start(Script::by_request(|_, captured| answer(captured))).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let expect = house.path("expected.json");
    std::fs::write(&expect, expected().to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/openai_client.py");
    let mut client = Command::new(python);
    client.arg(script).args(["--base-url", &format!("http://{}/v1", serving.address)]);
    client.args(["--api-key", &house.key, "--model", "stand-in"]).arg("--expect-file").arg(expect);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{wrong}");
    let checks = said.lines().filter(|line| line.contains("\"ok\": true")).count();
    assert!(checks >= 15 && !said.contains("\"ok\": false"), "{said}");

    let note = notes::every_class();
    for captured in upstream.captured() {
        let left: Vec<_> = note.planted.iter().filter(|it| captured.holds(&it.value)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(bulla().arg("--version").output().unwrap().status.success());
    house.log();
}

/// A block of every kind but a refusal.
fn everything() -> Reply {
    let fixed = |text: &str| Source::Fixed(text.to_owned());
    let citation = Citation { title: fixed("Chart"), cited: fixed("BP 132/84") };
    let note = Arguments::Fields(vec![("note".to_owned(), Source::LastUser)]);
    Reply::blocks(vec![
        Block::Thinking(Source::LastUser, "c2lnbmVkLWJ5LW1vZGVs".to_owned()),
        Block::Redacted("c2VhbGVkLWJ5LW1vZGVs".to_owned()),
        Block::Text(Source::LastUser),
        Block::Cited(fixed("The pressure is normal."), citation),
        Block::Call(Call::new("look_up", Arguments::Surrogates)),
        Block::Call(Call::new("save", note)),
    ])
}

/// The judge of the stand-in: the clients of OpenAI, Anthropic, Google and Amazon, unchanged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python clients; cargo xtask test runs it"]
async fn the_official_clients_read_what_the_stand_in_says_in_every_dialect() {
    let python = python();
    let upstream = Upstream::start(everything()).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/standin.py");
    let mut client = Command::new(python);
    client.arg(script).arg(format!("http://{}", upstream.address()));
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{wrong}");
    let checks = said.lines().filter(|line| line.contains("\"ok\": true")).count();
    assert!(checks >= 50 && !said.contains("\"ok\": false"), "{said}");
    // What each client shows for its credential.
    let sent = |path: &str, header: &str| {
        let captured = upstream.captured();
        let request = captured.iter().find(|it| it.path.contains(path)).unwrap();
        request.header(header).unwrap_or_else(|| panic!("{path} without {header}")).to_owned()
    };
    assert_eq!(sent("/v1/responses", "authorization"), "Bearer key-of-the-test");
    assert_eq!(sent("/v1/messages", "authorization"), "Bearer key-of-the-test");
    assert_eq!(sent("/v1/messages", "anthropic-version"), "2026-10-21");
    assert_eq!(sent(":generateContent", "x-goog-api-key"), "key-of-the-test");
    assert!(
        sent("/converse", "authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/")
    );
    assert!(!sent("/converse", "x-amz-date").is_empty());
}
