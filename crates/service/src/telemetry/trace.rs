//! Traces of exchanges, without content: OpenTelemetry's, as OTLP over HTTP carries them in JSON.
//!
//! A trace is one span of the exchange and one for each of its phases. Its attributes are those of the
//! semantic conventions for generative AI that hold no content, and `bulla.*`.

use super::watch::{Ending, Seen, Span};
use gate::rules::Dialect;
use ledger::{Entropy, ExchangeId, Time};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Traces that wait for the collector. Beyond it new ones are dropped and counted: some seconds of a busy
/// machine, and a few megabytes.
const MAX_WAITING: usize = 4096;

/// Spans of one trace at most: the exchange, and four phases.
const SPANS: usize = 5;

/// Whose trace an exchange continues: the header `traceparent`, W3C Trace Context section 3.2.
///
/// Of what a caller may send along with a trace, this is all that is taken: sixteen and eight bytes, and
/// one bit. `tracestate` and `baggage` are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceParent {
    /// Reads the header. What is not well formed is not there (section 4.3).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A later version may go on after the flags, with a hyphen.
        let (version, rest) = text.split_once('-')?;
        let known = version == "00";
        let (fields, more) = rest.split_at_checked(52)?;
        let [_] = lower_hex::<1>(version)?;
        if version == "ff" || !(more.is_empty() || (!known && more.starts_with('-'))) {
            return None;
        }
        let mut fields = fields.split('-');
        let (trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?);
        let parent = Self {
            trace: lower_hex(trace)?,
            span: lower_hex(span)?,
            sampled: lower_hex::<1>(flags)?.first()? & 1 == 1,
        };
        let zero = parent.trace == [0; 16] || parent.span == [0; 8];
        (!zero && fields.next().is_none()).then_some(parent)
    }
}

/// Exactly `N` bytes in lower-case hexadecimal digits.
fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The names of a trace and of its spans.
#[derive(Debug)]
pub(super) struct Traced {
    trace: [u8; 16],
    parent: Option<[u8; 8]>,
    spans: [[u8; 8]; SPANS],
}

impl Traced {
    /// Whether to trace, and under which names: as the caller says, else one exchange in so many.
    pub(super) fn decide(
        parent: Option<TraceParent>,
        one_in: u32,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        let mut drawn = [0; 4];
        if parent.is_none() && one_in > 1 {
            entropy.fill(&mut drawn);
            if u32::from_be_bytes(drawn) % one_in != 0 {
                return None;
            }
        }
        let mut random = [0; 16 + 8 * SPANS];
        entropy.fill(&mut random);
        let (first, rest) = random.split_at(16);
        let mut trace = [0; 16];
        trace.copy_from_slice(first);
        let mut spans = [[0; 8]; SPANS];
        for (span, bytes) in spans.iter_mut().zip(rest.chunks_exact(8)) {
            span.copy_from_slice(bytes);
        }
        Some(Self {
            trace: parent.map_or(trace, |parent| parent.trace),
            parent: parent.map(|parent| parent.span),
            spans,
        })
    }
}

/// An exchange that ended and is traced.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) traced: Traced,
    pub(super) exchange: ExchangeId,
    pub(super) began: Time,
    pub(super) whole: Span,
    pub(super) seen: Seen,
}

/// What a span is.
#[derive(Clone, Copy)]
enum Kind {
    Internal,
    Server,
    Client,
}

impl Kind {
    /// In OTLP's numbers.
    const fn number(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
        }
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    // OTLP's JSON writes 64-bit integers as text.
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

impl Trace {
    /// The spans as OTLP's JSON, the exchange first.
    fn spans(&self) -> Vec<Value> {
        let ids = self.traced.spans.map(|id| data_encoding::HEXLOWER.encode(&id));
        let [root, scan, intent, upstream, outcome] = &ids;
        let seen = &self.seen;
        let mut spans = vec![self.root(root)];
        let children = [
            (scan, "scan", seen.scan),
            (intent, "record intent", seen.intent),
            (outcome, "record outcome", seen.outcome),
        ];
        for (id, name, span) in children {
            if let Some(span) = span {
                spans.push(self.span(id, Some(root), name, Kind::Internal, span, &[]));
            }
        }
        if let Some(from) = seen.left {
            let until = seen.outcome.map_or(self.whole.until, |outcome| outcome.from);
            spans.push(self.upstream(upstream, root, Span { from, until }));
        }
        spans
    }

    fn root(&self, id: &str) -> Value {
        let mut attributes = vec![text("bulla.exchange", &self.exchange.to_string())];
        let seen = &self.seen;
        let Some(ending) = seen.ending.as_deref() else {
            attributes.push(text("bulla.outcome", "unrecorded"));
            attributes.push(text("error.type", "audit_unavailable"));
            return self.span(id, None, "chat", Kind::Server, self.whole, &attributes);
        };
        if let Some(receipt) = &seen.receipt {
            attributes.push(text("bulla.receipt", &receipt.to_string()));
        }
        attributes.push(text("bulla.outcome", &ending.outcome));
        if let Some(decision) = &ending.decision {
            attributes.push(text("bulla.decision", decision));
        }
        if let Some(destination) = &ending.destination {
            attributes.push(text("bulla.destination", destination));
        }
        if let Some(route) = &ending.route {
            attributes.push(text("bulla.route", route));
        }
        if seen.windows > 0 {
            attributes.push(number("bulla.windows", seen.windows));
        }
        if let Some(error) = error_type(ending) {
            attributes.push(text("error.type", error));
        }
        let name = named("exchange", ending.route.as_deref());
        self.span(id, None, &name, Kind::Server, self.whole, &attributes)
    }

    /// The call of the model server, as the conventions for generative AI name its attributes.
    fn upstream(&self, id: &str, root: &str, span: Span) -> Value {
        let mut attributes = vec![text("gen_ai.operation.name", "chat")];
        attributes.extend(self.seen.dialect.map(|it| text("gen_ai.provider.name", provider(it))));
        let ending = self.seen.ending.as_deref();
        let route = ending.and_then(|ending| ending.route.as_deref());
        if let Some(route) = route {
            attributes.push(text("gen_ai.request.model", route));
        }
        if let Some(usage) = ending.and_then(|ending| ending.usage) {
            attributes.push(number("gen_ai.usage.input_tokens", usage.prompt));
            attributes.push(number("gen_ai.usage.output_tokens", usage.completion));
        }
        if let Some(answered) = self.seen.answered {
            let millis = answered.saturating_sub(span.from) / 1000;
            attributes.push(number("bulla.upstream.first_answer_ms", millis));
        }
        let failed = ending.filter(|ending| ending.outcome == "upstream_failed");
        if let Some(reason) = failed.and_then(|ending| ending.reason.as_deref()) {
            attributes.push(text("error.type", reason));
        }
        self.span(id, Some(root), &named("chat", route), Kind::Client, span, &attributes)
    }

    fn span(
        &self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        kind: Kind,
        span: Span,
        attributes: &[Value],
    ) -> Value {
        let nanos = |micros: u64| {
            let began = u64::try_from(self.began.as_micros()).unwrap_or(0);
            (u128::from(began) + u128::from(micros)).saturating_mul(1000).to_string()
        };
        let failed = attributes.iter().any(|attribute| attribute["key"] == "error.type");
        let mut document = json!({
            "traceId": data_encoding::HEXLOWER.encode(&self.traced.trace),
            "spanId": id,
            "name": name,
            "kind": kind.number(),
            "startTimeUnixNano": nanos(span.from),
            "endTimeUnixNano": nanos(span.until),
            "attributes": attributes,
            // Unset, or error: what went well is not ours to say.
            "status": if failed { json!({ "code": 2 }) } else { json!({}) },
        });
        let caller = self.traced.parent.map(|parent| data_encoding::HEXLOWER.encode(&parent));
        let parent = parent.or(caller.as_deref());
        if let (Some(parent), Some(members)) = (parent, document.as_object_mut()) {
            members.insert("parentSpanId".to_owned(), parent.into());
        }
        document
    }
}

/// A name of few values, as the conventions ask: what is done, and on which route.
fn named(what: &str, route: Option<&str>) -> String {
    route.map_or_else(|| what.to_owned(), |route| format!("{what} {route}"))
}

/// What the exchange failed of; absent when it was answered.
fn error_type(ending: &Ending) -> Option<&str> {
    let failed = !matches!(ending.outcome.as_str(), "answered" | "cached");
    failed.then(|| ending.code.as_deref().unwrap_or(&ending.outcome))
}

/// Writes traces as one request of OTLP (`ExportTraceServiceRequest`).
pub(super) fn write(traces: &[Arc<Trace>]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let spans: Vec<Value> = traces.iter().flat_map(|trace| trace.spans()).collect();
    let resource = [text("service.name", "bulla"), text("service.version", version)];
    let document = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "bulla", "version": version }, "spans": spans }],
    }]});
    document.to_string().into_bytes()
}

/// Traces on their way to the collector.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    waiting: Mutex<VecDeque<Arc<Trace>>>,
    dropped: AtomicU64,
    sent: AtomicU64,
}

impl Traces {
    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Trace>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a trace in line. Never waits: when the line is full the trace is dropped and counted.
    pub(super) fn add(&self, trace: Trace) {
        let mut waiting = self.waiting();
        if waiting.len() < MAX_WAITING {
            waiting.push_back(Arc::new(trace));
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first in line, who stay there until it is known what became of them.
    pub(super) fn first(&self, count: usize) -> Vec<Arc<Trace>> {
        self.waiting().iter().take(count).map(Arc::clone).collect()
    }

    /// Takes out the first in line, which the collector has.
    pub(super) fn have_gone(&self, count: usize) {
        self.take_out(count, &self.sent);
    }

    /// Takes out the first in line, which nobody gets.
    pub(super) fn drop_first(&self, count: usize) {
        self.take_out(count, &self.dropped);
    }

    fn take_out(&self, count: usize, counter: &AtomicU64) {
        let mut waiting = self.waiting();
        let count = count.min(waiting.len());
        drop(waiting.drain(..count));
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What the conventions call whoever speaks a dialect; they have no name for all the others.
const fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::OpenAiCompatible => "openai_compatible",
        Dialect::AzureOpenAi => "azure.ai.openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Bedrock => "aws.bedrock",
        Dialect::Vertex => "gcp.vertex_ai",
        Dialect::Mcp => "mcp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::entropy::Seeded;

    fn entropy() -> Seeded {
        Seeded::new(7)
    }

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_that_is_well_formed_is_read() {
        let parent = TraceParent::parse(GOOD).unwrap();
        assert!(parent.sampled);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&parent.trace),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(data_encoding::HEXLOWER.encode(&parent.span), "00f067aa0ba902b7");
        assert!(!TraceParent::parse(&GOOD.replace("-01", "-00")).unwrap().sampled);
        // W3C Trace Context section 4.3: a later version is read as far as it is known.
        assert!(TraceParent::parse(&GOOD.replace("00-4", "cc-4")).is_some());
        assert!(TraceParent::parse(&(GOOD.replace("00-4", "cc-4") + "-more")).is_some());
    }

    #[test]
    fn a_parent_that_is_not_well_formed_is_not_there() {
        for text in [
            "",
            "00",
            "Marisol Quintero",
            &GOOD.to_uppercase(),
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.replace("00-4", "0-4"),
            &(GOOD.to_owned() + "-more"),
            &(GOOD.to_owned() + "0"),
            &GOOD.replace("00-4", "cc-4").replace("-01", "-01more"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("4bf9", "4bf-"),
            &GOOD.replace("4bf9", "4bfé"),
            &GOOD[1..],
            &GOOD[..GOOD.len() - 1],
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_caller_decides_for_its_own_trace_and_else_one_in_so_many_is_traced() {
        let sampled = TraceParent::parse(GOOD);
        let not = TraceParent::parse(&GOOD.replace("-01", "-00"));
        let traced = Traced::decide(sampled, 1_000_000, &entropy()).unwrap();
        assert_eq!(traced.trace, sampled.unwrap().trace);
        assert_eq!(traced.parent, Some(sampled.unwrap().span));
        assert!(Traced::decide(not, 1, &entropy()).is_none());
        let own = Traced::decide(None, 1, &entropy()).unwrap();
        assert!(own.parent.is_none() && own.trace != [0; 16]);
        let entropy = entropy();
        let kept = (0..6400).filter(|_| Traced::decide(None, 64, &entropy).is_some()).count();
        assert!((60..150).contains(&kept), "{kept}");
    }

    #[test]
    fn a_line_that_is_full_drops_what_comes_and_counts_it() {
        let traces = Traces::default();
        let entropy = entropy();
        let trace = || Trace {
            traced: Traced::decide(None, 1, &entropy).unwrap(),
            exchange: ExchangeId::mint(Time::from_micros(0), &entropy),
            began: Time::from_micros(0),
            whole: Span { from: 0, until: 1 },
            seen: Seen::default(),
        };
        for _ in 0..MAX_WAITING + 3 {
            traces.add(trace());
        }
        assert_eq!((traces.dropped(), traces.first(usize::MAX).len()), (3, MAX_WAITING));
        traces.have_gone(10);
        traces.drop_first(5);
        assert_eq!((traces.sent(), traces.dropped()), (10, 8));
        traces.have_gone(usize::MAX);
        assert_eq!(traces.sent(), MAX_WAITING as u64 - 5);
    }
}
