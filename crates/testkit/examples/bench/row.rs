//! The rows of the table: what is asked, by how many at once, and what that cost.

use crate::house::{FAST, House};
use crate::peer::Peer;
use crate::process::Process;
use crate::{prompt, tell};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use testkit::client::Request;
use testkit::load::{self, Mode, Plan, Until, Window};
use testkit::proc;

/// The most clients at once; the budget of memory is stated for this many.
pub(crate) const MANY: usize = 64;

/// Exchanges on each connection that are not timed.
const WARM_UP: usize = 3;

/// The same of a peer, which may take a second for one.
const PEER_WARM_UP: usize = 1;

/// A peer's warm-up, and the exchanges that are under way when a window ends, take no longer, judged by
/// one exchange alone: or a bench of slow peers would last for hours.
const PEER_LIMIT: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Half a kilobyte, answered whole.
    Json,
    /// Half a kilobyte, answered in 24 events that are ready at once.
    Stream,
    /// 32 KiB, answered whole.
    Long,
    /// 32 KiB, answered in 24 events that are ready at once.
    LongStream,
    /// Half a kilobyte, answered in 24 events at the pace of a model.
    Paced,
}

impl Kind {
    /// Whether half a kilobyte is asked: the budget of memory is stated for that.
    pub(crate) const fn is_short(self) -> bool {
        matches!(self, Self::Json | Self::Stream | Self::Paced)
    }
}

/// The name, beside peers alone, of the stand-in without anything before it.
pub(crate) const DIRECT: &str = "nothing between";

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
}

impl Row {
    /// Every row, in the order in which a round runs them: those of 64 clients before the long
    /// prompt, so that the peak of memory after them is theirs.
    pub(crate) fn all() -> Vec<Self> {
        let row = |name, kind, connections| Self { name, kind, connections };
        vec![
            row("JSON 0.5 KB, 1 client", Kind::Json, 1),
            row("JSON 0.5 KB, 16 clients", Kind::Json, 16),
            row("JSON 0.5 KB, 64 clients", Kind::Json, MANY),
            row("stream of 24, 1 client", Kind::Stream, 1),
            row("stream of 24, 16 clients", Kind::Stream, 16),
            row("stream of 24, 64 clients", Kind::Stream, MANY),
            row("JSON 32 KB, 1 client", Kind::Long, 1),
            row("JSON 32 KB, 16 clients", Kind::Long, 16),
            row("JSON 32 KB, 64 clients", Kind::Long, MANY),
            row("stream of 24 after 32 KB, 1 client", Kind::LongStream, 1),
            row("stream of 24 after 32 KB, 16 clients", Kind::LongStream, 16),
            row("stream of 24 after 32 KB, 64 clients", Kind::LongStream, MANY),
            row("paced stream of 24, 1 client", Kind::Paced, 1),
        ]
    }

    fn mode(self) -> Mode {
        match self.kind {
            Kind::Json | Kind::Long => Mode::Json,
            Kind::Stream | Kind::LongStream | Kind::Paced => Mode::Stream,
        }
    }

    fn request(self, target: &Target) -> Bytes {
        let text = if self.kind.is_short() { prompt::short() } else { prompt::long() };
        let request = target.ask.request(&text, self.mode() == Mode::Stream);
        request.bytes(&target.address.to_string())
    }
}

/// How something is asked over HTTP, apart from the text.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) path: &'static str,
    pub(crate) model: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Ask {
    /// Where OpenAI's interface is, without a credential.
    pub(crate) fn usual(model: &str) -> Self {
        Self { path: "/v1/chat/completions", model: model.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn request(&self, text: &str, stream: bool) -> Request {
        let request = Request::post(self.path, &prompt::chat(&self.model, text, stream));
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// Where a window's requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) ask: Ask,
    /// The processes whose CPU time counts.
    pub(crate) pids: Vec<u32>,
}

/// Everything that a window needs.
#[derive(Debug)]
pub(crate) struct Arena<'a> {
    pub(crate) fast: &'a Process,
    pub(crate) paced: &'a Process,
    /// None where peers are measured alone.
    pub(crate) house: Option<&'a House>,
    pub(crate) peers: &'a [Peer],
    pub(crate) window: Duration,
}

/// What one window measured; times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) first: f64,
    /// CPU time of what was asked, for one exchange; zero when it was not asked.
    pub(crate) bulla_cpu: f64,
    /// CPU time of the stand-in for one exchange.
    pub(crate) upstream_cpu: f64,
}

/// One round of one row: direct and through Bulla, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) direct: Sample,
    pub(crate) bulla: Sample,
}

/// All rounds of one row.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) pairs: Vec<Pair>,
    /// What each peer took, round by round, or why the window is void.
    pub(crate) peers: Vec<(&'static str, Result<Sample, String>)>,
    /// Why windows are void.
    pub(crate) voids: Vec<String>,
    /// Exchanges that Bulla answered, warm-up included.
    pub(crate) exchanges: usize,
}

impl Measured {
    pub(crate) fn new(row: Row) -> Self {
        Self { row, pairs: Vec::new(), peers: Vec::new(), voids: Vec::new(), exchanges: 0 }
    }

    /// One more round. A window with a failure is void, and with it the pair.
    pub(crate) async fn measure(&mut self, arena: &Arena<'_>) {
        let model = self.model(arena);
        let nothing = Target { address: model.address, ask: Ask::usual(FAST), pids: Vec::new() };
        let direct = self.window(arena, &nothing, WARM_UP).await;
        if let Some(house) = arena.house {
            let bulla = self.window(arena, &house.target(self.row.kind), WARM_UP).await;
            match (direct, bulla) {
                (Ok((direct, _)), Ok((bulla, answered))) => {
                    self.exchanges += answered;
                    self.pairs.push(Pair { direct, bulla });
                }
                (Err(error), _) => self.void(&format!("direct: {error}")),
                (_, Err(error)) => self.void(&format!("through Bulla: {error}")),
            }
        } else {
            self.beside(DIRECT, direct.map(|(sample, _)| sample));
        }
        for peer in arena.peers {
            let sample = self.peer_window(arena, &peer.target(self.row.kind)).await;
            self.beside(peer.name, sample);
        }
    }

    fn beside(&mut self, name: &'static str, sample: io::Result<Sample>) {
        if let Err(error) = &sample {
            tell(&format!("  void: {name}: {error}"));
        }
        self.peers.push((name, sample.map_err(|error| error.to_string())));
    }

    /// One window of a peer, unless one exchange alone says that it would take too long.
    async fn peer_window(&self, arena: &Arena<'_>, target: &Target) -> io::Result<Sample> {
        let plan = Plan {
            connections: 1,
            warm_up: PEER_WARM_UP,
            until: Until::Count(1),
            ..self.plan(arena, target, PEER_WARM_UP)
        };
        let alone = load::run(&plan).await;
        failed(&alone)?;
        let rounds = u32::try_from(self.row.connections * (PEER_WARM_UP + 1)).unwrap_or(u32::MAX);
        if alone.latency.p50.saturating_mul(rounds) > PEER_LIMIT {
            let (one, limit) = (alone.latency.p50.as_secs_f64(), PEER_LIMIT.as_secs());
            let why = format!(
                "one exchange alone takes {one:.1} s, so a window would take over {limit} s"
            );
            return Err(io::Error::other(why));
        }
        Ok(self.window(arena, target, PEER_WARM_UP).await?.0)
    }

    fn model<'a>(&self, arena: &Arena<'a>) -> &'a Process {
        if self.row.kind == Kind::Paced { arena.paced } else { arena.fast }
    }

    /// The median over the rounds of what one peer took.
    pub(crate) fn peer(&self, name: &str, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let its = self.peers.iter().filter(|(peer, _)| *peer == name);
        median(its.filter_map(|(_, sample)| sample.as_ref().ok()).map(of).collect())
    }

    /// Why windows of one peer are void.
    pub(crate) fn peer_voids(&self, name: &str) -> Vec<&str> {
        let its = self.peers.iter().filter(|(peer, _)| *peer == name);
        its.filter_map(|(_, sample)| sample.as_ref().err()).map(String::as_str).collect()
    }

    fn void(&mut self, why: &str) {
        tell(&format!("  void: {why}"));
        self.voids.push(why.to_owned());
    }

    fn plan(&self, arena: &Arena<'_>, target: &Target, warm_up: usize) -> Plan {
        Plan {
            address: target.address,
            request: self.row.request(target),
            mode: self.row.mode(),
            connections: self.row.connections,
            warm_up,
            until: Until::Elapsed(arena.window),
        }
    }

    /// One window; says how many were answered, too, warm-up included.
    async fn window(
        &self,
        arena: &Arena<'_>,
        target: &Target,
        warm_up: usize,
    ) -> io::Result<(Sample, usize)> {
        let model = self.model(arena);
        let plan = self.plan(arena, target, warm_up);
        let cpu = || -> io::Result<(u64, u64)> {
            let sum = |sum, &pid: &u32| io::Result::Ok(sum + proc::cpu_micros(pid)?);
            Ok((target.pids.iter().try_fold(0, sum)?, proc::cpu_micros(model.pid())?))
        };
        let before = cpu()?;
        let window = load::run(&plan).await;
        let after = cpu()?;
        failed(&window)?;
        let answered = window.completed + warm_up * self.row.connections;
        let own = each(after.0 - before.0, answered);
        Ok((sample(&window, own, each(after.1 - before.1, answered)), answered))
    }

    /// The median over the rounds; none when all are void.
    pub(crate) fn median(&self, of: impl Fn(&Pair) -> f64) -> Option<f64> {
        median(self.pairs.iter().map(of).collect())
    }

    /// What Bulla added to the median latency, in microseconds.
    pub(crate) fn added(&self) -> Option<f64> {
        self.median(|pair| pair.bulla.p50 - pair.direct.p50)
    }

    /// What Bulla added to the median time to the first token, in microseconds.
    pub(crate) fn added_first(&self) -> Option<f64> {
        self.median(|pair| pair.bulla.first - pair.direct.first)
    }
}

/// An error where a window is void.
fn failed(window: &Window) -> io::Result<()> {
    if window.valid() {
        return Ok(());
    }
    let why = window.first_failure.clone().unwrap_or_else(|| "no answer".to_owned());
    Err(io::Error::other(why))
}

fn sample(window: &Window, bulla_cpu: f64, upstream_cpu: f64) -> Sample {
    Sample {
        rate: window.rate(),
        p50: micros(window.latency.p50),
        p99: micros(window.latency.p99),
        first: micros(window.first.p50),
        bulla_cpu,
        upstream_cpu,
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and counts lie far below 2^52")]
fn each(cpu_us: u64, answered: usize) -> f64 {
    cpu_us as f64 / answered as f64
}

/// A duration in microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The middle value; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_void_window_is_in_no_median() {
        let row = Row { name: "x", kind: Kind::Json, connections: 1 };
        let mut measured = Measured::new(row);
        measured.voids.push("status 500".to_owned());
        assert_eq!(measured.added(), None);
    }

    #[test]
    fn a_void_window_of_a_peer_is_told_and_in_no_median() {
        let row = Row { name: "x", kind: Kind::Json, connections: 1 };
        let mut measured = Measured::new(row);
        let sample =
            Sample { rate: 2.0, p50: 1.0, p99: 1.0, first: 1.0, bulla_cpu: 1.0, upstream_cpu: 1.0 };
        measured.beside("one", Ok(sample));
        measured.beside("one", Err(io::Error::other("status 500")));
        measured.beside("other", Err(io::Error::other("status 429")));
        assert_eq!(measured.peer("one", |it| it.rate), Some(2.0));
        assert_eq!(measured.peer_voids("one"), ["status 500"]);
        assert_eq!(measured.peer("other", |it| it.rate), None);
    }
}
