//! Whatever goes right or wrong, no identifier stands in the clear on the disk, in the log lines or
//! in temporary files.

use crate::house::{Done, House, Serving, streaming, user};
use crate::refused::{bodies, post};
use crate::rules::Rules;
use std::fs;
use std::path::Path;
use std::process::Command;
use testkit::client::{Client, Request};
use testkit::collector::Collector;
use testkit::notes;
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Arguments, Call, Cut, Fault, Reply, Source, Upstream};

/// Values shorter than this, made of digits only, turn up by chance among random hexadecimal digits.
const SHORT: usize = 8;

/// The trace of a caller.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Everything planted anywhere below.
fn planted() -> Vec<String> {
    let notes = [notes::every_class(), notes::second_patient()];
    let values = notes.iter().flat_map(|note| note.planted.iter().map(|it| it.value.clone()));
    let mut values: Vec<String> = values.collect();
    values.extend(["metoprolol", "visit 17 of", MARISOL.given, DESMOND.given].map(str::to_owned));
    values.retain(|value| {
        value.len() >= SHORT || !value.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    assert!(values.len() > 30, "{values:?}");
    values
}

/// The files below `dir` in which one of `values` stands, as `grep` sees it.
fn holding(dir: &Path, values: &[String]) -> String {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--text", "--fixed-strings", "--files-with-matches"]);
    for value in values {
        grep.arg("-e").arg(value);
    }
    let done = Done::of(grep.arg("--").arg(dir));
    // 1 says that nothing was found, 2 that something could not be read.
    assert!(done.code == 0 || done.code == 1, "{}", done.err);
    done.out
}

fn bytes(dir: &Path) -> u64 {
    let sizes = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { bytes(&entry.path()) } else { metadata.len() }
    });
    sizes.sum()
}

fn check_quiet(house: &House) {
    let all = house.path("");
    assert_eq!(holding(&all, &planted()), "");
    assert!(bytes(&all) > 1 << 20, "too little was looked at");
    // The same look finds what is there.
    assert!(holding(&house.data(), &["exchange.intent".to_owned()]).contains("bulla.db"));
    let left: Vec<_> = fs::read_dir(house.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "temporary files were left: {left:?}");
}

async fn good_and_strange_requests(serving: &Serving, house: &House) {
    let note = notes::every_class();
    let other = notes::second_patient();
    for text in [&note.text, &other.text] {
        assert_eq!(serving.ask(&user(text)).await.status(), 200);
        assert!(serving.stream(&user(text)).await.answer().done);
        let named = serving
            .request(&user(text))
            .header("x-bulla-conversation", "visit 17 of Marisol Quintero");
        assert_eq!(serving.call(&named).await.status(), 200);
        let of_patient = serving.request(&user(text)).header("x-bulla-patient", MARISOL.name);
        assert_eq!(serving.call(&of_patient).await.status(), 200);
    }
    for bad in bodies() {
        serving.call(&post(&bad.body).bearer(&house.key)).await;
    }
    let strange = [
        Request::get(&format!("/v1/models?patient={}", MARISOL.ssn)),
        Request::get(&format!("/{}", MARISOL.ssn)),
        Request::get("/healthz").header(MARISOL.given, MARISOL.name),
        Request::chat(&user(&note.text)).bearer(MARISOL.ssn),
        Request::chat(&user(&note.text)).bearer(MARISOL.name),
        serving.request(&user(&note.text)).header("x-bulla-purpose", MARISOL.ssn),
        serving.request(&user(&note.text)).header("x-request-id", MARISOL.ssn),
        serving.request(&user(&note.text)).header("traceparent", MARISOL.name),
        serving.request(&user(&note.text)).header("user-agent", DESMOND.email),
        serving.request(&user(&note.text)).header("x-bulla-conversation", &MARISOL.name.repeat(40)),
        serving.request(&user(&note.text)).header("x-bulla-patient", &MARISOL.name.repeat(40)),
        Request::new(MARISOL.given, "/v1/models", note.text.clone().into()),
    ];
    for request in strange {
        drop(testkit::client::call(serving.address, &request).await);
    }
    let mut client = Client::connect(serving.address).await.unwrap();
    client.write(format!("{}\r\n{}\r\n\r\n", MARISOL.name, MARISOL.ssn).as_bytes()).await.unwrap();
    drop(client.head().await);
}

async fn failing_upstreams(serving: &Serving, upstream: &Upstream) {
    let body = user(&notes::every_class().text);
    let call = Call::new("keep", Arguments::Fields(vec![("n".to_owned(), Source::LastUser)]));
    for reply in [
        Reply::calls(vec![call]),
        Reply::refusal(MARISOL.name),
        Reply::text(&notes::second_patient().text),
        Reply::echo().with_reasoning(Source::LastUser).with_logprobs(),
        Reply::fault(Fault::Status { status: 400, retry_after: None }),
        Reply::fault(Fault::Status { status: 500, retry_after: None }),
        Reply::fault(Fault::Redirect { status: 307, location: upstream.url() + MARISOL.ssn }),
        Reply::fault(Fault::Html),
        Reply::fault(Fault::Garbage { after: 30 }),
        Reply::fault(Fault::BrokenJson { after: 30 }),
        Reply::fault(Fault::Error { after: 30 }),
        Reply::fault(Fault::Cut { after: 30, how: Cut::Reset }),
        Reply::fault(Fault::HangBeforeHeaders),
    ] {
        upstream.play(reply);
        serving.ask(&body).await;
        drop(testkit::client::open(serving.address, &serving.request(&streaming(&body))).await);
        serving.stream(&body).await;
    }
}

/// Searches by everything that a person is known by, well formed and not.
async fn searches(serving: &Serving, house: &House) {
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    serving.knows(&auditor).await;
    for (body, status) in [
        (serde_json::json!({ "patient": MARISOL.name }), 200),
        (serde_json::json!({ "person": DESMOND.name, "owner": MARISOL.ssn }), 200),
        (serde_json::json!({ "patient": MARISOL.name, MARISOL.given: 1 }), 400),
        (serde_json::json!({ "since": MARISOL.ssn }), 400),
    ] {
        let body = bytes::Bytes::from(body.to_string());
        let search = Request::new("POST", "/log/search", body).bearer(&auditor);
        assert_eq!(serving.call(&search).await.status(), status);
    }
    let found = house.run(&["audit", "search", "--patient", MARISOL.name]).ok();
    assert!(found.contains("exchange.outcome"), "{found}");
    let mut from_input = house.command(&["audit", "search", "--patient", "-"]);
    let input = house.fresh("reference");
    fs::write(&input, MARISOL.name).unwrap();
    let output = from_input.stdin(fs::File::open(&input).unwrap()).output().unwrap();
    fs::remove_file(input).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), found);
}

#[tokio::test]
async fn no_identifier_stands_in_the_clear_in_any_file() {
    let upstream = Upstream::start(Reply::echo()).await;
    let collector = Collector::start().await;
    let rules = Rules::cloud(&upstream).with("seconds = 20", "seconds = 1");
    let house = House::with(&rules.and(&collector.rules("Lakeside Family Clinic (synthetic)")));
    let house = house.logging("trace");
    let serving = house.serve();
    good_and_strange_requests(&serving, &house).await;
    failing_upstreams(&serving, &upstream).await;
    searches(&serving, &house).await;

    // What goes to who watches the machine is looked at as the files are.
    upstream.play(Reply::echo());
    let traced = serving.request(&user(&notes::every_class().text)).header("baggage", MARISOL.name);
    let traced = traced.header("traceparent", PARENT).header("tracestate", MARISOL.given);
    assert_eq!(serving.call(&traced).await.status(), 200);
    let spans = collector.wait_for(60).await;
    assert!(spans.iter().any(|span| span.name == "chat stand-in"), "{spans:?}");
    let bodies: Vec<String> = collector.requests().iter().map(|it| format!("{it:?}")).collect();
    fs::write(house.path("traces.txt"), bodies.join("\n")).unwrap();
    let metrics = serving.call(&Request::get("/metrics")).await.text();
    assert!(metrics.contains("bulla_findings_total{class=\"NAME\",in=\"prompt\"}"), "{metrics}");
    fs::write(house.path("metrics.txt"), metrics).unwrap();
    let doctor = house.run(&["doctor", "--json", "--listen", &serving.address.to_string()]);
    assert!(doctor.out.contains("\"verdict\""), "{}", doctor.err);
    fs::write(house.path("doctor.txt"), doctor.out).unwrap();

    let bundle = house.fresh("bundle.tar");
    house.export(&bundle);
    house.verified(&bundle, "");
    let lines = serving.log_lines();
    assert!(lines.contains("TRACE"), "the log is not at its loudest");
    assert!(!lines.contains(&house.key) && !lines.contains("Bearer bulla_"), "a key is logged");
    // Once as it lies while the server runs, once after a power cut, once after an orderly stop.
    check_quiet(&house);
    serving.kill();
    check_quiet(&house);
    house.serve().stop();
    check_quiet(&house);

    // The values are there, sealed: whoever may look, and is recorded, sees them.
    let exchange = house.log().intents().into_keys().next().unwrap();
    let shown = house.run(&["audit", "show", &exchange]).ok();
    assert!(shown.contains(MARISOL.name), "{shown}");
}
