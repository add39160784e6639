//! The log from outside: a client of C2SP tlog-tiles that knows nothing of the house but a key, searches
//! over HTTP, and reviews at the command line.

use crate::house::{House, Serving, check_refusal, user};
use crate::rules::Rules;
use bytes::Bytes;
use ledger::checkpoint::VerifierKey;
use ledger::tree::{Frontier, leaf_hash, node_hash};
use ledger::{Hash, Record};
use serde_json::{Value, json};
use std::fs;
use testkit::client::Request;
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Reply, Upstream};

/// A reader of tiles: a key of the API, and the key that signs the log.
struct Reader<'a> {
    serving: &'a Serving,
    secret: &'a str,
    size: u64,
    root: Hash,
}

/// A tile's number as C2SP tlog-tiles writes it.
fn written(index: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

impl<'a> Reader<'a> {
    /// Absent before there is a checkpoint.
    async fn of(serving: &'a Serving, secret: &'a str, verifier_key: &str) -> Option<Self> {
        let answer = serving.call(&Request::get("/log/checkpoint").bearer(secret)).await;
        if answer.status() == 404 {
            return None;
        }
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let (size, root) = opened(&answer.text(), verifier_key);
        Some(Self { serving, secret, size, root })
    }

    async fn bytes(&self, path: &str) -> (u16, Vec<u8>) {
        let asked = Request::get(&format!("/log/tile/{path}")).bearer(self.secret);
        let answer = self.serving.call(&asked).await;
        if answer.status() == 200 {
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            let kept = Some("private, max-age=31536000, immutable");
            assert_eq!(answer.header("cache-control"), kept);
        }
        (answer.status(), answer.body.to_vec())
    }

    /// All entries, from bundles alone.
    async fn entries(&self) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        while (entries.len() as u64) < self.size {
            let index = entries.len() as u64 / 256;
            let width = (self.size - index * 256).min(256);
            let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
            let path = format!("entries/{}{partial}", written(index));
            let (status, bundle) = self.bytes(&path).await;
            assert_eq!(status, 200, "{path}");
            let mut rest = &bundle[..];
            for _ in 0..width {
                let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                entries.push(rest[2..2 + length].to_vec());
                rest = &rest[2 + length..];
            }
            assert!(rest.is_empty(), "{path} has more than its entries");
        }
        entries
    }

    async fn hashes(&self, level: u32, index: u64) -> Vec<Hash> {
        let all = self.size >> (8 * level);
        let width = (all - index * 256).min(256);
        let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
        let path = format!("{level}/{}{partial}", written(index));
        let (status, bytes) = self.bytes(&path).await;
        assert_eq!((status, bytes.len() as u64), (200, width * 32), "{path}");
        bytes.chunks(32).map(|hash| Hash::from_bytes(hash.try_into().unwrap())).collect()
    }
}

/// Checks a signed note with nothing but the verifier key.
fn opened(note: &str, verifier_key: &str) -> (u64, Hash) {
    let checkpoint = VerifierKey::parse(verifier_key).unwrap().open(note).unwrap();
    (checkpoint.size, checkpoint.root)
}

fn root(leaves: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::default();
    leaves.into_iter().for_each(|leaf| frontier.push(leaf));
    frontier.root()
}

/// The root of a tree of at most 65,535 leaves, as RFC 6962 defines it and not as the house computes it.
fn rfc_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => ledger::tree::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
            node_hash(&rfc_root(left), &rfc_root(right))
        }
    }
}

async fn search(serving: &Serving, secret: &str, body: &Value) -> Value {
    let body = Bytes::from(body.to_string());
    let answer = serving.call(&Request::new("POST", "/log/search", body).bearer(secret)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

/// Waits until a checkpoint covers a position.
async fn covered<'a>(serving: &'a Serving, secret: &'a str, house: &House, seq: u64) -> Reader<'a> {
    loop {
        let reader = Reader::of(serving, secret, &house.verifier_key).await;
        if let Some(reader) = reader.filter(|reader| reader.size > seq) {
            return reader;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_client_of_tiles_rebuilds_the_log() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    let serving = house.serve();
    for size in [3, 256, 300] {
        let mut seq = 0;
        while seq + 1 < size {
            // Each search is a record.
            let newer = json!({ "kind": "audit.searched", "from": seq });
            let found = search(&serving, &auditor, &newer).await;
            seq = found["data"]
                .as_array()
                .unwrap()
                .last()
                .map_or(seq, |it| it["seq"].as_u64().unwrap());
        }
        let reader = covered(&serving, &auditor, &house, size - 1).await;
        let entries = reader.entries().await;
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        assert_eq!(rfc_root(&leaves), reader.root);
        for (index, tile) in leaves.chunks(256).enumerate() {
            assert_eq!(reader.hashes(0, index as u64).await, tile);
        }
        if reader.size >= 256 {
            assert_eq!(reader.hashes(1, 0).await, [root(leaves[..256].iter().copied())]);
        }
        for (seq, entry) in entries.iter().enumerate() {
            assert_eq!(Record::from_bytes(entry).unwrap().seq, seq as u64);
        }
        // Beyond the checkpoint there is nothing, and other spellings lead nowhere.
        let beyond = (reader.size % 256) + 50;
        let last = written(reader.size / 256);
        for path in [
            format!("0/{last}.p/{}", beyond.min(255)),
            format!("entries/{}", written(reader.size / 256 + 1)),
            "1/001".to_owned(),
            "2/000.p/1".to_owned(),
            "63/000".to_owned(),
        ] {
            let asked = Request::get(&format!("/log/tile/{path}")).bearer(&auditor);
            check_refusal(&serving.call(&asked).await, 404, "beyond_checkpoint", &[]);
        }
        for path in ["0/0", "00/000", "64/000", "0/000.p/256", "0/x000/000", "entries/", ""] {
            let asked = Request::get(&format!("/log/tile/{path}")).bearer(&auditor);
            check_refusal(&serving.call(&asked).await, 404, "unknown_route", &[]);
        }
    }
}

#[tokio::test]
async fn a_search_over_http_finds_the_patient_and_is_recorded() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    let serving = house.serve();
    let mut planted = Vec::new();
    for (n, patient) in [MARISOL.mrn, DESMOND.mrn, MARISOL.mrn].into_iter().enumerate() {
        let asked = serving
            .request(&user("Plan the visit."))
            .header("x-bulla-patient", patient)
            .header("x-bulla-conversation", &format!("visit {n}"));
        let answer = serving.call(&asked).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        if patient == MARISOL.mrn {
            planted.push(answer.header("x-request-id").unwrap().to_owned());
        }
    }
    let found = search(&serving, &auditor, &json!({ "patient": MARISOL.mrn })).await;
    let exchanges: Vec<&str> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["record"]["exchange"].as_str().unwrap())
        .collect();
    assert_eq!(exchanges, [&planted[0], &planted[0], &planted[1], &planted[1]]);
    assert_eq!(found["next"], Value::Null);
    assert!(!found.to_string().contains(MARISOL.mrn));
    // At the command line it is the same.
    let lines = house.run(&["audit", "search", "--patient", MARISOL.mrn, "--json"]).ok();
    assert_eq!(lines.lines().count(), 4);
    let table = house.run(&["audit", "search", "--patient", MARISOL.mrn]).ok();
    assert!(table.lines().all(|line| line.contains("Example Bot")), "{table}");
    // Half of what there is, and where to go on.
    let half = search(&serving, &auditor, &json!({ "owner": "Example Bot", "limit": 2 })).await;
    assert_eq!(half["data"].as_array().unwrap().len(), 2);
    assert!(half["next"].as_u64().is_some());
    for body in [
        "",
        "[]",
        "{\"patient\":1}",
        "{\"patients\":\"x\"}",
        "{\"since\":\"yesterday\"}",
        "{\"exchange\":\"exc_1\"}",
        "{\"limit\":-1}",
    ] {
        let asked = Request::new("POST", "/log/search", Bytes::from(body)).bearer(&auditor);
        check_refusal(&serving.call(&asked).await, 400, "invalid_request", &["yesterday"]);
    }
    house.run(&["audit", "search", "--limit", "10001"]).fails(2, "at most 10000");
    house.run(&["audit", "search", "--since", "yesterday"]).fails(2, "a time is");
    serving.stop();
    let searches: Vec<String> = house
        .log()
        .events()
        .filter(|event| event.kind() == "audit.searched")
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    assert_eq!(searches.len(), 4);
    assert!(searches[0].contains(r#""filters":["patient"]"#), "{}", searches[0]);
}

#[tokio::test]
async fn who_is_no_named_reader_reads_nothing() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).and("[log]\nreaders = [\"Ada Example\"]\n"));
    let other = house.create_key(&["--role", "auditor"]).secret;
    let serving = house.serve();
    for (method, path) in
        [("GET", "/log/checkpoint"), ("GET", "/log/tile/0/000.p/1"), ("POST", "/log/search")]
    {
        let asked = Request::new(method, path, Bytes::from("{}")).bearer(&other);
        check_refusal(&serving.call(&asked).await, 403, "reader_not_allowed", &[]);
    }
    house
        .run(&["key", "create", "--owner", "A", "--role", "auditor", "--purpose", "treatment"])
        .fails(2, "has no purpose");
    let listed = house.run(&["key", "list"]).ok();
    assert!(listed.contains("auditor") && listed.contains("caller"), "{listed}");
}

#[tokio::test]
async fn activity_is_reported_reviewed_and_signed_for() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    assert_eq!(serving.ask(&user(MARISOL.name)).await.status(), 200);
    let page = house.path("review.html");
    let page = page.to_str().unwrap();
    let said = house.run(&["audit", "review", "--out", page]).ok();
    assert!(said.contains("review.json"), "{said}");
    house.run(&["audit", "review", "--out", page]).fails(2, "is there already");
    house.run(&["audit", "review", "--out", "review.json"]).fails(2, "has the ending .json");
    let status = house.run(&["audit", "status"]).ok();
    assert!(status.contains("last review     none"), "{status}");

    let html = fs::read_to_string(page).unwrap();
    fs::write(page, html.replace("answered", "refused")).unwrap();
    house.run(&["audit", "sign-off", page, "--reviewer", "Ada Example"]).fails(1, "did not make");
    fs::write(page, html).unwrap();
    house.run(&["audit", "sign-off", page, "--reviewer", "Ada Example", "--note", "Seen"]).ok();
    let status: Value =
        serde_json::from_str(&house.run(&["audit", "status", "--json"]).ok()).unwrap();
    assert_eq!(status["review"]["last"]["reviewer"], "Ada Example");
    assert_eq!(status["review"]["overdue"], false);
    assert_eq!(status["open_intents"], 0);
    serving.stop();
    let kinds: Vec<&str> = house
        .log()
        .events()
        .map(ledger::Event::kind)
        .filter(|kind| kind.starts_with("activity"))
        .map(|kind| if kind == "activity.reported" { "reported" } else { "reviewed" })
        .collect();
    assert_eq!(kinds, ["reported", "reviewed"]);
}
