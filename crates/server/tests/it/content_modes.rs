//! An organisation that keeps digests only: its content is nowhere, not even after a power cut.

use crate::house::{House, streaming, user};
use crate::rules::Rules;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use testkit::notes;
use testkit::upstream::{Fault, Reply, Upstream};

const DIGESTS: &str = "[content]\nkeep = \"digests\"\n";

/// Every row that stands for content, in the database as it lies.
fn rows(house: &House) -> Vec<Vec<u8>> {
    let database = rusqlite::Connection::open(house.data().join("bulla.db")).unwrap();
    let mut rows = database.prepare("SELECT sealed FROM blobs").unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn write(house: &House, text: &str) -> String {
    let path = house.fresh("presented");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn holds(dir: &Path, value: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, value);
        }
        fs::read(path).unwrap().windows(value.len()).any(|piece| piece == value)
    })
}

#[tokio::test]
async fn no_content_is_stored_whatever_happens_and_a_presented_text_compares() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).and(DIGESTS));
    let serving = house.serve();

    let whole = serving.ask(&user(&note.text)).await;
    assert_eq!(whole.status(), 200);
    let streamed = serving.stream(&user(&note.text)).await;
    assert!(streamed.answer().done);
    let refused = serving.ask(&serde_json::json!({ "model": "none", "note": note.text })).await;
    assert_ne!(refused.status(), 200);

    // Killed in the middle of a stream.
    upstream.play(Reply::echo().with_fault(Fault::Hang { after: 30 }));
    let mut cut = serving.open(&user(&note.text)).await;
    let interrupted = cut.head.header("x-request-id").unwrap().to_owned();
    let mut shown = String::new();
    while shown.len() < 400 {
        match tokio::time::timeout(Duration::from_secs(2), cut.next()).await {
            Ok(event) => {
                shown.push_str(&event.unwrap().unwrap().data);
                shown.push('\n');
            }
            Err(_) => break,
        }
    }
    serving.kill();

    let rows = rows(&house);
    assert!(rows.len() >= 6, "{}", rows.len());
    for row in &rows {
        assert!(row.starts_with(b"bulla-digests-1\n") && row.len() < 400, "{} bytes", row.len());
    }
    for planted in &note.planted {
        let hexadecimal = planted.value.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Short values made of digits turn up by chance among digests.
        if planted.value.len() >= 8 || !hexadecimal {
            assert!(!holds(&house.data(), planted.value.as_bytes()), "{}", planted.value);
        }
    }

    // What was delivered before the kill is known, and can be compared.
    let serving = house.serve();
    let outcome = house.outcome(&interrupted).await;
    assert_eq!(outcome.outcome, "interrupted");
    assert!(!shown.is_empty() && outcome.reply.unwrap().bytes >= shown.len() as u64);
    serving.kill();

    let compare = |which: &str, side: &str, text: &str| {
        house.run(&["audit", "compare", which, side, &write(&house, text)])
    };
    let whole_id = whole.header("x-request-id").unwrap();
    let receipt = whole.header("x-bulla-receipt").unwrap();
    let prompt = user(&note.text).to_string();
    assert_eq!(compare(whole_id, "--prompt", &prompt).ok(), "same: it is what was written\n");
    let answer = whole.text();
    assert_eq!(compare(receipt, "--answer", &answer).ok(), "same: it is what was delivered\n");
    let other = compare(whole_id, "--prompt", &prompt.replace("Patient", "patient"));
    assert_eq!((other.code, other.out.as_str()), (1, "not the same\n"), "{}", other.err);
    let stream_id = streamed.head.header("x-request-id").unwrap();
    let data = streamed.events.iter().filter(|event| event.data != "[DONE]");
    let data: String = data.flat_map(|event| [event.data.as_str(), "\n"]).collect();
    assert_eq!(compare(stream_id, "--answer", &data).ok(), "same: it is what was delivered\n");
    let asked = streaming(&user(&note.text)).to_string();
    compare(stream_id, "--prompt", &asked).ok();
    assert_eq!(house.run(&["audit", "compare", whole_id]).code, 2);
    compare(whole_id, "--answer", "").fails(1, "");

    let shown = house.run(&["audit", "show", whole_id]).ok();
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert!(document["not_kept"].as_str().unwrap().contains("only digests"), "{shown}");
    assert_eq!(document["written_bytes"], prompt.len());
    assert!(house.run(&["audit", "status"]).ok().contains("content kept    digests"));
    assert!(house.log().len() > 10, "and the log verifies with what it has");
}
