//! Traces of exchanges, as a collector of OpenTelemetry's gets them from the real server.

use crate::house::{House, user};
use crate::rules::Rules;
use std::time::Duration;
use testkit::client::Request;
use testkit::collector::{Collector, Span};
use testkit::notes;
use testkit::upstream::{Fault, Reply, Upstream};
use tokio::time::Instant;

const CLINIC: &str = "Lakeside Family Clinic (synthetic)";

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Longer than a collector that hangs is waited for, and than the time between two tries.
const LIMIT: Duration = Duration::from_mins(1);

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_one_trace_of_its_phases_and_continues_its_callers() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let collector = Collector::start().await;
    let house = House::with(&Rules::cloud(&upstream).and(&collector.rules(CLINIC)));
    let serving = house.serve();
    let request = serving
        .request(&user(&note.text))
        .header("traceparent", PARENT)
        .header("tracestate", "vendor=1")
        .header("baggage", "patient=Marisol");
    let response = serving.call(&request).await;
    assert_eq!(response.status(), 200);
    let spans = collector.wait_for(5).await;
    assert_eq!(spans.len(), 5, "{spans:#?}");

    let root = named(&spans, "exchange stand-in");
    assert_eq!((root.kind, root.parent.as_str()), (2, "00f067aa0ba902b7"));
    assert!(spans.iter().all(|span| span.trace == "4bf92f3577b34da6a3ce929d0e0e4736"));
    let says = |span: &Span, key: &str| span.attributes.get(key).cloned().unwrap_or_default();
    assert_eq!(says(root, "bulla.exchange"), response.header("x-request-id").unwrap());
    assert_eq!(says(root, "bulla.receipt"), response.header("x-bulla-receipt").unwrap());
    assert_eq!(says(root, "bulla.decision"), "tokenized");
    assert_eq!(says(root, "bulla.outcome"), "answered");
    for child in spans.iter().filter(|span| span.id != root.id) {
        assert_eq!(child.parent, root.id);
        assert!(root.from <= child.from && child.until <= root.until, "{child:?} in {root:?}");
        assert!(!child.failed);
    }
    let order = ["scan", "record intent", "chat stand-in", "record outcome"];
    let order: Vec<&Span> = order.iter().map(|name| named(&spans, name)).collect();
    assert!(order.windows(2).all(|two| two[0].until <= two[1].from), "{order:#?}");
    let model = named(&spans, "chat stand-in");
    assert_eq!(model.kind, 3);
    assert_eq!(says(model, "gen_ai.operation.name"), "chat");
    assert_eq!(says(model, "gen_ai.request.model"), "stand-in");
    assert!(says(model, "gen_ai.usage.input_tokens").parse::<u64>().unwrap() > 0);

    // Nothing of the caller's trace goes on to the model, and no text of the caller's to the collector.
    let captured = upstream.captured();
    assert!(captured.iter().all(|it| {
        ["traceparent", "tracestate", "baggage"].iter().all(|name| it.header(name).is_none())
    }));
    let sent = format!("{:?}", collector.requests());
    for secret in ["Marisol", "vendor=1", "Example Bot", &house.key] {
        assert!(!sent.contains(secret), "{secret}");
    }

    // A caller that does not trace is not traced, and one that says nothing well formed begins anew.
    let quiet =
        serving.request(&user("hello")).header("traceparent", &PARENT.replace("-01", "-00"));
    assert_eq!(serving.call(&quiet).await.status(), 200);
    let odd = serving.request(&user("hello")).header("traceparent", "00-Marisol-Quintero-01");
    assert_eq!(serving.call(&odd).await.status(), 200);
    let spans = collector.wait_for(10).await;
    assert_eq!(spans.len(), 10);
    let fresh = spans.iter().filter(|span| !span.trace.starts_with("4bf92f")).collect::<Vec<_>>();
    assert!(fresh.len() == 5 && fresh.iter().any(|span| span.parent.is_empty()));
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_exchange_says_of_what() {
    let upstream =
        Upstream::start(Reply::fault(Fault::Status { status: 429, retry_after: None })).await;
    let collector = Collector::start().await;
    let house = House::with(&Rules::cloud(&upstream).and(&collector.rules(CLINIC)));
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 429);
    let refused = serving.request(&user("hello")).header("x-bulla-purpose", "payment");
    assert_eq!(serving.call(&refused).await.status(), 403);
    serving.stop();
    let spans = collector.wait_for(7).await;
    let error = |span: &Span| span.attributes.get("error.type").cloned().unwrap_or_default();
    let model = named(&spans, "chat stand-in");
    assert!(model.failed);
    assert_eq!(error(model), "rate_limited");
    let roots: Vec<&Span> = spans.iter().filter(|span| span.kind == 2).collect();
    let codes: Vec<String> = roots.iter().map(|span| error(span)).collect();
    assert_eq!(codes, ["upstream_rate_limited", "purpose_not_allowed"]);
    assert!(roots.iter().all(|span| span.failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_no_exchange_anything() {
    let upstream = Upstream::start(Reply::echo()).await;
    let collector = Collector::start().await;
    let house = House::with(&Rules::cloud(&upstream).and(&collector.rules(CLINIC)));
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    collector.wait_for(5).await;
    let mut slowest = Duration::ZERO;
    for mood in ["busy", "hangs"] {
        match mood {
            "busy" => collector.answers(503),
            _ => collector.hangs(),
        }
        for _ in 0..10 {
            let begun = Instant::now();
            assert_eq!(serving.ask(&user("hello")).await.status(), 200);
            slowest = slowest.max(begun.elapsed());
        }
        // The next mood finds a collector that was asked in this one.
        let asked = collector.requests().len();
        until(|| async { collector.requests().len() > asked }).await;
    }
    // Two seconds are far less than what the collector is waited for, and far more than an exchange takes.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    collector.answers(200);
    let page = || async { serving.call(&Request::get("/metrics")).await.text() };
    until(|| async { page().await.contains("bulla_traces_sent_total 21\n") }).await;
    assert!(page().await.contains("bulla_traces_dropped_total 0\n"));
    // What it does not want is dropped and counted.
    collector.answers(400);
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    until(|| async { page().await.contains("bulla_traces_dropped_total 1\n") }).await;
    serving.stop();
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < LIMIT, "it never was so");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_traces_who_is_not_covered_or_not_named() {
    let upstream = Upstream::start(Reply::echo()).await;
    let collector = Collector::start().await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let traced = rules.clone().and(&collector.rules(CLINIC));
    // Not ours, and under no agreement.
    let foreign = rules.clone().and(&collector.rules("Example Traces Inc. (synthetic)"));
    house.apply(&foreign).fails(2, "traces: hop \"collector\" claims to lie inside the boundary");
    let elsewhere = traced.clone().with("/v1/traces", ".example.net/v1/traces");
    assert_eq!(house.apply(&elsewhere).code, 2);
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    house.apply(&traced.clone().offering("traced")).ok();
    serving.offers("traced").await;
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    assert_eq!(collector.wait_for(5).await.len(), 5, "only what came after it was named");
    house.apply(&rules.clone().offering("untraced")).ok();
    serving.offers("untraced").await;
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    assert_eq!(collector.spans().len(), 5);
    // One in so many.
    let rare = traced.with("[traces]", "[traces]\none_in = 1000000");
    house.apply(&rare).ok();
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let asked = serving.request(&user("hello")).header("traceparent", PARENT);
    assert_eq!(serving.call(&asked).await.status(), 200);
    serving.stop();
    assert_eq!(collector.spans().len(), 10, "the caller asked for one of two");
}
