//! A closed-loop load generator: each connection sends its next request when it has the whole
//! answer to the last.
//!
//! A window in which any request failed is void: [`Window::valid`] says so, and its figures must
//! not be reported.

use crate::client::tcp;
use crate::client::wire::Reader;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Samples that one connection keeps; a longer run ends there.
const SAMPLES_LIMIT: usize = 10_000_000;

/// No single answer may take longer, so that a hang ends the window as a failure.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// How an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One JSON body. The first byte of it counts as first.
    Json,
    /// A stream that must end in `[DONE]`. The first event with content counts as first.
    Stream,
}

/// When a window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After this many answers on each connection.
    Count(usize),
    /// After this time; requests under way are finished and counted.
    Elapsed(Duration),
}

/// What to send, where, how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub address: SocketAddr,
    /// The whole request on the wire ([`crate::client::Request::bytes`]).
    pub request: Bytes,
    /// How the answer is read.
    pub mode: Mode,
    /// Keep-alive connections.
    pub connections: usize,
    /// Answers on each connection that are not counted.
    pub warm_up: usize,
    /// When it ends.
    pub until: Until,
}

/// Order statistics of a set of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50: Duration,
    /// 95 of 100 are no longer.
    pub p95: Duration,
    /// 99 of 100 are no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Percentiles {
    /// By nearest rank. Zero of an empty set.
    #[must_use]
    pub fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let rank = |percent: usize| {
            let place = (samples.len() * percent).div_ceil(100).saturating_sub(1);
            samples.get(place).copied().unwrap_or_default()
        };
        Self { p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) }
    }
}

/// What one window measured.
#[derive(Clone, Debug)]
pub struct Window {
    /// From the sending of a request to the last byte of its answer.
    pub latency: Percentiles,
    /// From the sending of a request to the first byte, or to the first event with content.
    pub first: Percentiles,
    /// Answers that were whole and of status 200.
    pub completed: usize,
    /// Everything else. A connection ends at its first failure.
    pub failed: usize,
    /// What the first failure was; holds no content.
    pub first_failure: Option<String>,
    /// From the end of the warm-up to the end of the window.
    pub elapsed: Duration,
}

impl Window {
    /// Whether every request was answered. If not, the window is void.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.failed == 0 && self.completed > 0
    }

    /// Answers in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

#[derive(Default)]
struct Lane {
    latency: Vec<Duration>,
    first: Vec<Duration>,
    failure: Option<String>,
}

/// Warms up, runs one window, and says what it measured.
pub async fn run(plan: &Plan) -> Window {
    let mut warm = JoinSet::new();
    for _ in 0..plan.connections {
        let plan = plan.clone();
        warm.spawn(async move { warmed(&plan).await });
    }
    // Every lane is warm before the first is timed, so that the window holds only full load.
    let ready = warm.join_all().await;
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for connection in ready {
        let plan = plan.clone();
        lanes.spawn(async move {
            match connection {
                Ok(reader) => lane(&plan, reader, begun).await,
                Err(failure) => Lane { failure: Some(failure.to_string()), ..Lane::default() },
            }
        });
    }
    let lanes = lanes.join_all().await;
    summed(lanes, begun.elapsed())
}

fn summed(lanes: Vec<Lane>, elapsed: Duration) -> Window {
    let (mut latency, mut first, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for lane in lanes {
        latency.extend(lane.latency);
        first.extend(lane.first);
        failures.extend(lane.failure);
    }
    Window {
        completed: latency.len(),
        failed: failures.len(),
        first_failure: failures.into_iter().next(),
        latency: Percentiles::of(latency),
        first: Percentiles::of(first),
        elapsed,
    }
}

async fn warmed(plan: &Plan) -> io::Result<Reader<TcpStream>> {
    let mut reader = Reader::new(tcp(plan.address).await?);
    for _ in 0..plan.warm_up {
        exchange(plan, &mut reader).await?;
    }
    Ok(reader)
}

async fn lane(plan: &Plan, mut reader: Reader<TcpStream>, begun: Instant) -> Lane {
    let mut lane = Lane::default();
    let goes_on = |done: usize| match plan.until {
        Until::Count(count) => done < count.min(SAMPLES_LIMIT),
        Until::Elapsed(time) => done < SAMPLES_LIMIT && begun.elapsed() < time,
    };
    while goes_on(lane.latency.len()) {
        match exchange(plan, &mut reader).await {
            Ok((first, whole)) => {
                lane.first.push(first);
                lane.latency.push(whole);
            }
            Err(failure) => {
                lane.failure = Some(failure.to_string());
                break;
            }
        }
    }
    lane
}

async fn exchange(plan: &Plan, reader: &mut Reader<TcpStream>) -> io::Result<(Duration, Duration)> {
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(ANSWER_LIMIT, once(plan, reader)).await.map_err(|_| late())?
}

async fn once(plan: &Plan, reader: &mut Reader<TcpStream>) -> io::Result<(Duration, Duration)> {
    let sent = Instant::now();
    reader.write(&plan.request).await?;
    let head = reader.head().await?;
    if head.status != 200 {
        return Err(io::Error::other(format!("status {}", head.status)));
    }
    let mut first = None;
    // What was read until the first content, and then the last bytes, for `[DONE]`.
    let mut seen: Vec<u8> = Vec::new();
    while let Some(piece) = reader.piece().await? {
        match plan.mode {
            Mode::Json => first = first.or_else(|| Some(sent.elapsed())),
            Mode::Stream => {
                seen.extend_from_slice(&piece);
                if first.is_none() && has_content(&seen) {
                    first = Some(sent.elapsed());
                }
                if first.is_some() && seen.len() > TAIL_BYTES {
                    seen.drain(..seen.len() - TAIL_BYTES);
                }
            }
        }
    }
    let whole = sent.elapsed();
    if plan.mode == Mode::Stream && !holds(&seen, b"data: [DONE]") {
        return Err(io::Error::other("a stream without its end"));
    }
    first.map(|first| (first, whole)).ok_or_else(|| io::Error::other("an answer without content"))
}

/// Enough for the line that ends a stream.
const TAIL_BYTES: usize = 32;

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|it| it == needle)
}

/// Whether a delta with text was read: `"content":"` and then not the closing quote.
fn has_content(bytes: &[u8]) -> bool {
    let key = b"\"content\":\"";
    bytes.windows(key.len() + 1).any(|it| it.starts_with(key) && !it.ends_with(b"\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let samples = (1..=100).rev().map(Duration::from_micros).collect();
        let of = Percentiles::of(samples);
        let micros = [of.p50, of.p95, of.p99, of.max].map(|it| it.as_micros());
        assert_eq!(micros, [50, 95, 99, 100]);
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }

    #[test]
    fn an_empty_delta_is_no_first_token() {
        assert!(!has_content(br#"{"delta":{"role":"assistant","content":""}}"#));
        assert!(has_content(br#"{"content":""} {"delta":{"content":"a"}}"#));
    }
}
