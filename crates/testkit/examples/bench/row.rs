//! The rows of the table: what is asked, by how many at once, and what that cost.

use crate::house::{FAST, House, PACED};
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

    fn request(self, address: SocketAddr, key: Option<&str>) -> Bytes {
        let text = if self.kind.is_short() { prompt::short() } else { prompt::long() };
        let model = if self.kind == Kind::Paced { PACED } else { FAST };
        let request = Request::chat(&prompt::chat(model, &text, self.mode() == Mode::Stream));
        let request = if let Some(key) = key { request.bearer(key) } else { request };
        request.bytes(&address.to_string())
    }
}

/// Where a window's requests go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) key: Option<&'a str>,
    /// The process whose CPU time counts.
    pub(crate) pid: Option<u32>,
}

/// Everything that a window needs.
#[derive(Debug)]
pub(crate) struct Arena<'a> {
    pub(crate) fast: &'a Process,
    pub(crate) paced: &'a Process,
    pub(crate) house: &'a House,
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
    /// What each peer took, round by round.
    pub(crate) peers: Vec<(&'static str, Sample)>,
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
        let nothing = Target { address: model.address, key: None, pid: None };
        let direct = self.window(arena, nothing).await;
        let bulla = self.window(arena, arena.house.target()).await;
        match (direct, bulla) {
            (Ok((direct, _)), Ok((bulla, answered))) => {
                self.exchanges += answered;
                self.pairs.push(Pair { direct, bulla });
            }
            (Err(error), _) => self.void(&format!("direct: {error}")),
            (_, Err(error)) => self.void(&format!("through Bulla: {error}")),
        }
        for peer in arena.peers {
            if self.row.kind == Kind::Paced && !peer.knows_paced() {
                continue;
            }
            match self.window(arena, peer.target()).await {
                Ok((sample, _)) => self.peers.push((peer.name, sample)),
                Err(error) => tell(&format!("  void: {}: {error}", peer.name)),
            }
        }
    }

    fn model<'a>(&self, arena: &Arena<'a>) -> &'a Process {
        if self.row.kind == Kind::Paced { arena.paced } else { arena.fast }
    }

    /// The median over the rounds of what one peer took.
    pub(crate) fn peer(&self, name: &str, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let its = self.peers.iter().filter(|(peer, _)| *peer == name);
        median(its.map(|(_, sample)| of(sample)).collect())
    }

    fn void(&mut self, why: &str) {
        tell(&format!("  void: {why}"));
        self.voids.push(why.to_owned());
    }

    /// One window; says how many were answered, too, warm-up included.
    async fn window(&self, arena: &Arena<'_>, target: Target<'_>) -> io::Result<(Sample, usize)> {
        let model = self.model(arena);
        let plan = Plan {
            address: target.address,
            request: self.row.request(target.address, target.key),
            mode: self.row.mode(),
            connections: self.row.connections,
            warm_up: WARM_UP,
            until: Until::Elapsed(arena.window),
        };
        let cpu = || -> io::Result<(u64, u64)> {
            let own = target.pid.map_or(Ok(0), proc::cpu_micros)?;
            Ok((own, proc::cpu_micros(model.pid())?))
        };
        let before = cpu()?;
        let window = load::run(&plan).await;
        let after = cpu()?;
        if !window.valid() {
            let why = window.first_failure.unwrap_or_else(|| "no answer".to_owned());
            return Err(io::Error::other(why));
        }
        let answered = window.completed + WARM_UP * self.row.connections;
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
}
