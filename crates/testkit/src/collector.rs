//! A stand-in for a collector of OpenTelemetry's: takes traces over OTLP/HTTP in JSON, and reads them
//! strictly, as the protocol's own definition has them.

#![expect(clippy::expect_used, reason = "a trace that cannot be read must stop the test")]

use crate::upstream::{Captured, Fault, Reply, Upstream};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Traces that are not there by then will not come.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its trace, 32 hexadecimal digits.
    pub trace: String,
    /// Itself, 16 hexadecimal digits.
    pub id: String,
    /// The span that it is part of; empty when there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: u8,
    /// When it began, in nanoseconds since 1970.
    pub from: u64,
    /// When it ended.
    pub until: u64,
    /// Its attributes; numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that it failed.
    pub failed: bool,
}

/// The collector.
#[derive(Debug)]
pub struct Collector(Upstream);

impl Collector {
    /// Starts one on a free loopback port, which takes everything.
    pub async fn start() -> Self {
        Self(Upstream::start(status(200)).await)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers every request with this status from here on; 200 takes it.
    pub fn answers(&self, status: u16) {
        self.0.play(self::status(status));
    }

    /// Takes requests and says nothing from here on.
    pub fn hangs(&self) {
        self.0.play(Reply::fault(Fault::HangBeforeHeaders).anywhere());
    }

    /// The part of a configuration that names it.
    #[must_use]
    pub fn rules(&self, organisation: &str) -> String {
        let address = self.address();
        format!(
            r#"
[[hop]]
id = "collector"
entity = "{organisation}"
role = "siem"
sees = "metadata"
boundary = "inside"
owner = "{organisation}"
hosts = ["{address}"]

[traces]
hop = "collector"
url = "http://{address}/v1/traces"
"#
        )
    }

    /// The requests as they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Captured> {
        self.0.captured()
    }

    /// Every span that came, once, however often it was sent; in order of arrival.
    ///
    /// # Panics
    /// When something came that is not OTLP.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for request in self.0.captured() {
            assert_eq!(request.header("content-type"), Some("application/json"));
            for span in read(&request.body) {
                if !spans.iter().any(|known| known.id == span.id) {
                    spans.push(span);
                }
            }
        }
        spans
    }

    /// Waits until so many spans came, and returns them.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn wait_for(&self, count: usize) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let spans = self.spans();
            if spans.len() >= count {
                return spans;
            }
            assert!(begun.elapsed() < WAIT_LIMIT, "{} of {count} spans came", spans.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn status(status: u16) -> Reply {
    Reply::fault(Fault::Status { status, retry_after: None }).anywhere()
}

/// Reads one request: `ExportTraceServiceRequest` of opentelemetry-proto 1.x, in JSON.
fn read(body: &[u8]) -> Vec<Span> {
    let request: RawRequest = serde_json::from_slice(body).expect("OTLP in JSON");
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let about = attributes(resource.resource.attributes);
        assert_eq!(about.get("service.name").map(String::as_str), Some("bulla"));
        for scope in resource.scope_spans {
            assert!(!scope.scope.name.is_empty() && !scope.scope.version.is_empty());
            spans.extend(scope.spans.into_iter().map(span));
        }
    }
    spans
}

fn span(raw: RawSpan) -> Span {
    let digits = |text: &str, count: usize| {
        assert!(text.len() == count && text.bytes().all(|it| it.is_ascii_hexdigit()), "{text}");
    };
    digits(&raw.trace_id, 32);
    digits(&raw.span_id, 16);
    if !raw.parent_span_id.is_empty() {
        digits(&raw.parent_span_id, 16);
    }
    let nanos = |text: &str| text.parse::<u64>().expect("nanoseconds as text");
    let (from, until) = (nanos(&raw.start_time_unix_nano), nanos(&raw.end_time_unix_nano));
    assert!(from <= until, "{} ended before it began", raw.name);
    assert!(!raw.name.is_empty() && (1..=5).contains(&raw.kind));
    Span {
        trace: raw.trace_id,
        id: raw.span_id,
        parent: raw.parent_span_id,
        name: raw.name,
        kind: raw.kind,
        from,
        until,
        attributes: attributes(raw.attributes),
        failed: raw.status.code == 2,
    }
}

fn attributes(raw: Vec<RawAttribute>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for RawAttribute { key, value } in raw {
        let value = match value {
            RawValue::StringValue(text) => text,
            RawValue::IntValue(text) => {
                text.parse::<i64>().expect("an integer as text");
                text
            }
        };
        assert!(all.insert(key.clone(), value).is_none(), "{key} is named twice");
    }
    all
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawRequest {
    resource_spans: Vec<RawResourceSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawResourceSpans {
    resource: RawResource,
    scope_spans: Vec<RawScopeSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    attributes: Vec<RawAttribute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScopeSpans {
    scope: RawScope,
    spans: Vec<RawSpan>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScope {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawSpan {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<RawAttribute>,
    status: RawStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatus {
    #[serde(default)]
    code: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttribute {
    key: String,
    value: RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum RawValue {
    StringValue(String),
    IntValue(String),
}
