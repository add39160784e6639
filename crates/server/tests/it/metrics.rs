//! `GET /metrics`: who may read it, and that it says what happened.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use service::METRICS;
use std::collections::{BTreeMap, BTreeSet};
use testkit::client::Request;
use testkit::notes;
use testkit::upstream::{Fault, Reply, Upstream};

/// The samples of a page by name and labels; the page must be well formed.
fn read(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    for line in page.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|it| types.contains_key(*it)))
            .unwrap_or(name);
        assert!(types.contains_key(family), "{line} has no type");
        if let Some(labels) = series.strip_prefix(name).filter(|it| !it.is_empty()) {
            assert!(labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value >= 0.0, "{line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
    }
    let declared: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for (name, kind) in &types {
        assert!(declared.contains(name.as_str()), "{name} is not declared");
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
        assert_eq!(kind, metric.kind.as_str(), "{name}");
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_say_what_happened() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    assert_eq!(serving.ask(&user(&note.text)).await.status(), 200);
    assert!(serving.stream(&user(&note.text)).await.answer().done);
    let other = serving.request(&user(&note.text)).header("x-bulla-purpose", "payment");
    assert_eq!(serving.call(&other).await.status(), 403);
    upstream.play(Reply::fault(Fault::Status { status: 500, retry_after: None }));
    assert_eq!(serving.ask(&user(&note.text)).await.status(), 502);
    assert_eq!(serving.call(&Request::chat(&user("hello")).bearer("bulla_x")).await.status(), 401);

    let response = serving.call(&Request::get("/metrics")).await;
    assert_eq!(response.status(), 200);
    let content_type = response.header("content-type");
    assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = response.text();
    let samples = read(&page);
    let is = |series: &str, value: f64| {
        assert_eq!(samples.get(series), Some(&value), "{series} in:\n{page}");
    };
    let at = |destination: &str, outcome: &str, code: &str| {
        format!(
            "bulla_exchanges_total{{route=\"stand-in\",destination=\"{destination}\",outcome=\"{outcome}\",code=\"{code}\"}}"
        )
    };
    is(&at("cloud", "answered", "none"), 2.0);
    is(&at("cloud", "upstream_failed", "upstream_failed"), 1.0);
    is("bulla_upstream_failures_total{destination=\"cloud\",reason=\"failed\"}", 1.0);
    is("bulla_requests_refused_total{reason=\"invalid_api_key\"}", 1.0);
    is("bulla_decisions_total{decision=\"tokenized\"}", 3.0);
    is("bulla_treatments_total{class=\"SSN\",treatment=\"tokenized\"}", 3.0);
    is("bulla_exchanges_live", 0.0);
    is("bulla_control_ready{control=\"log\"}", 1.0);
    is("bulla_configuration_version", 1.0);
    is("bulla_phase_seconds_count{phase=\"scan\"}", 3.0);
    is("bulla_phase_seconds_count{phase=\"intent\"}", 3.0);
    is("bulla_phase_seconds_count{phase=\"outcome\"}", 4.0);
    is("bulla_phase_seconds_count{phase=\"whole\"}", 4.0);
    for (series, least) in [
        ("bulla_findings_total{class=\"NAME\",in=\"prompt\"}", 3.0),
        ("bulla_findings_total{class=\"NAME\",in=\"answer\"}", 2.0),
        ("bulla_surrogates_restored_total", 10.0),
        ("bulla_windows_total", 1.0),
        ("bulla_tokens_total{route=\"stand-in\",destination=\"cloud\",type=\"input\"}", 1.0),
        ("bulla_records", 8.0),
        ("bulla_store_batch_jobs_sum", 8.0),
        ("bulla_store_commit_seconds_count", 1.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_start_time_seconds", 1.7e9),
        ("bulla_agreement_ends_timestamp_seconds{agreement=\"baa-examplecloud\"}", 4e9),
    ] {
        let value = samples.get(series).unwrap_or_else(|| panic!("{series} in:\n{page}"));
        assert!(*value >= least, "{series} is {value}");
    }
    // Neither who asked nor what for, nor anything of what was asked.
    for secret in ["Example Bot", "treatment\"", "Lakeside", &house.key] {
        assert!(!page.contains(secret), "{secret}");
    }
    assert!(!note.planted.iter().any(|it| it.value.len() > 3 && page.contains(&it.value)));
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_metrics_is_for_this_machine_and_for_a_monitors_key() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let monitor = house.create_key(&["--role", "monitor"]).secret;
    serving.knows(&monitor).await;
    let page = || Request::get("/metrics");
    assert_eq!(serving.call(&page()).await.status(), 200);
    for header in ["forwarded", "via", "x-forwarded-for", "x-real-ip"] {
        let passed_on = || page().header(header, "203.0.113.7");
        check_refusal(&serving.call(&passed_on()).await, 401, "invalid_api_key", &[]);
        let with_caller = passed_on().bearer(&house.key);
        check_refusal(&serving.call(&with_caller).await, 403, "role_not_allowed", &[]);
        assert_eq!(serving.call(&passed_on().bearer(&monitor)).await.status(), 200);
    }
    // A wrong key is not better than none.
    check_refusal(&serving.call(&page().bearer("bulla_x")).await, 401, "invalid_api_key", &[]);
    // A monitor reads the metrics and nothing else.
    for path in ["/v1/models", "/log/checkpoint"] {
        let response = serving.call(&Request::get(path).bearer(&monitor)).await;
        check_refusal(&response, 403, "role_not_allowed", &[]);
    }
    let prompt = Request::chat(&user("hello")).bearer(&monitor);
    check_refusal(&serving.call(&prompt).await, 403, "role_not_allowed", &[]);
    let refused = house.run(&[
        "key",
        "create",
        "--owner",
        "X",
        "--role",
        "monitor",
        "--purpose",
        "treatment",
    ]);
    refused.fails(2, "no purpose");
    assert!(house.run(&["key", "list"]).ok().contains("monitor"));
    serving.stop();
    let log = house.log();
    let made = log.events().any(
        |it| matches!(it, ledger::Event::ApiKeyCreated { role: Some(role), .. } if role == "monitor"),
    );
    assert!(made);
}
