//! Files and batches over HTTP: the official client, unchanged, and `kill -9` at any moment.

use crate::house::{House, Serving};
use crate::log::Log;
use crate::python::python;
use crate::rules::Rules;
use ledger::{Entropy as _, Event};
use serde_json::{Value, json};
use server::OsEntropy;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use testkit::client::{Request, Response};
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Batching, Reply, Upstream};
use tokio::time::{Instant, sleep};

/// A batch that is not over by then never will be.
const LIMIT: Duration = Duration::from_mins(1);

const KILLS: usize = 12;

fn rules(upstream: &Upstream) -> Rules {
    Rules::cloud(upstream)
        .with("apis = [\"chat.completions\"]", "apis = [\"chat.completions\", \"batches\"]")
        .with("eligible = [", "eligible = [\"batches\", ")
        .with("timeout_seconds = 20", "timeout_seconds = 20\nbatches = true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python client; cargo xtask test runs it"]
async fn the_official_openai_client_makes_batches_unchanged() {
    let upstream = Upstream::start(Reply::echo_all()).await;
    let house = House::with(&rules(&upstream));
    let other = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    serving.knows(&other).await;
    let texts = [
        format!("Patient {}, SSN {}", MARISOL.name, MARISOL.ssn),
        format!("Patient {}, SSN {}", DESMOND.name, DESMOND.ssn),
        "good morning".to_owned(),
    ];
    let values = house.path("values.json");
    std::fs::write(&values, json!(texts).to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/batches.py");
    let mut client = Command::new(python());
    client.arg(script).args(["--base-url", &format!("http://{}/v1", serving.address)]);
    client.args(["--api-key", &house.key, "--other-key", &other, "--model", "stand-in"]);
    client.arg("--values").arg(values);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{wrong}");
    let checks = said.lines().filter(|line| line.contains("\"ok\": true")).count();
    assert!(checks >= 22 && !said.contains("\"ok\": false"), "{said}");
    for captured in upstream.captured() {
        for value in [
            MARISOL.name,
            MARISOL.ssn,
            DESMOND.name,
            DESMOND.ssn,
            "visit-",
            "patients.jsonl",
            "ward",
        ] {
            assert!(!captured.holds(value), "{value}");
        }
    }
    serving.stop();
    house.log();
}

fn upload(key: &str, content: &str) -> Request {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let request = Request::new("POST", "/v1/files", body.into());
    request.header("content-type", "multipart/form-data; boundary=b").bearer(key)
}

fn id(response: &Response) -> String {
    assert_eq!(response.status(), 200, "{}", response.text());
    let document: Value = serde_json::from_str(&response.text()).unwrap();
    document["id"].as_str().unwrap().to_owned()
}

async fn look(serving: &Serving, batch: &str) -> Value {
    let response = serving.get(&format!("/v1/batches/{batch}")).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    serde_json::from_str(&response.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_survives_kill_9_at_any_moment() {
    let upstream = Upstream::start(Reply::echo()).await;
    upstream.batching(Batching { looks: 2, ..Batching::default() });
    let house = House::with(&rules(&upstream));
    let lines = 60;
    let text = |at: usize| format!("line {at}, SSN 219-09-{:04}", 1000 + at);
    let content: String = (0..lines)
        .flat_map(|at| {
            let line = json!({
                "custom_id": format!("visit {at}"), "method": "POST", "url": "/v1/chat/completions",
                "body": { "model": "stand-in", "messages": [{ "role": "user", "content": text(at) }] },
            });
            [line.to_string(), "\n".to_owned()]
        })
        .collect();
    let mut serving = house.serve();
    let file = id(&serving.call(&upload(&house.key, &content)).await);
    let asked = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    let batch = id(&serving.call(&Request::post("/v1/batches", &asked).bearer(&house.key)).await);
    let mut wait = [0; KILLS];
    OsEntropy.fill(&mut wait);
    println!("killed after {wait:?} times 6 ms");
    for wait in wait {
        sleep(Duration::from_millis(u64::from(wait) * 6)).await;
        serving.kill();
        serving = house.serve();
    }
    let end = Instant::now() + LIMIT;
    let over = loop {
        let seen = look(&serving, &batch).await;
        if !["validating", "in_progress", "finalizing"].contains(&seen["status"].as_str().unwrap())
        {
            break seen;
        }
        assert!(Instant::now() < end, "{seen}");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(over["status"], "completed", "{over}");
    assert_eq!(over["request_counts"], json!({ "total": lines, "completed": lines, "failed": 0 }));
    let output = over["output_file_id"].as_str().unwrap();
    let output = serving.get(&format!("/v1/files/{output}/content")).await;
    let mut answers = BTreeMap::new();
    for line in output.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let said = line["response"]["body"]["choices"][0]["message"]["content"].as_str().unwrap();
        answers.insert(line["custom_id"].as_str().unwrap().to_owned(), said.to_owned());
    }
    let expected: BTreeMap<_, _> = (0..lines).map(|at| (format!("visit {at}"), text(at))).collect();
    assert_eq!(answers, expected);
    let end = Instant::now() + LIMIT;
    while !upstream.files().is_empty() {
        assert!(Instant::now() < end, "files are left at the vendor");
        sleep(Duration::from_millis(100)).await;
    }
    serving.stop();
    // The log verifies, each line was answered once, and nothing of a caller's left.
    let log: Log = house.log();
    let answered = log
        .events()
        .filter(|event| matches!(event, Event::Outcome(outcome) if outcome.outcome == "answered"));
    assert_eq!(answered.count(), lines);
    for captured in upstream.captured() {
        assert!(!captured.text().contains("219-09-"), "{}", captured.path);
    }
}
