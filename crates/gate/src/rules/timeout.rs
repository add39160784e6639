//! How long a model server may take, phase by phase.

use super::name::Fault;
use std::ops::RangeInclusive;

/// How long each phase of asking a model server may take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    connect: u32,
    head: u32,
    idle: u32,
    total: u32,
}

/// One phase: its key in the file, what may be written, and what holds when nothing is.
struct Phase {
    key: &'static str,
    bounds: RangeInclusive<u32>,
    usual: u32,
}

/// A server that does not accept a connection in some seconds is down or gone. More than half a minute
/// would keep a caller waiting for nobody.
const CONNECT: Phase = Phase { key: "connect_timeout_seconds", bounds: 1..=30, usual: 5 };

/// As long as the official `OpenAI` clients wait by default. A connection that is silent for an hour is
/// dead, and it holds memory and a slot.
const HEAD: Phase = Phase { key: "timeout_seconds", bounds: 1..=3600, usual: 600 };

/// Reasoning models pause; a longer pause is a hang.
const IDLE: Phase = Phase { key: "idle_timeout_seconds", bounds: 1..=600, usual: 60 };

/// A server that says a word a minute would hold a slot for days. Two hours are more than any answer of
/// 8 MiB takes.
const TOTAL: Phase = Phase { key: "total_timeout_seconds", bounds: 1..=7200, usual: 3600 };

impl Phase {
    fn seconds(&self, raw: Option<u32>) -> Result<u32, Fault> {
        let seconds = raw.unwrap_or(self.usual);
        if self.bounds.contains(&seconds) {
            return Ok(seconds);
        }
        let (least, most) = (self.bounds.start(), self.bounds.end());
        Err(Fault::new(self.key, format!("seconds from {least} to {most}")))
    }
}

/// The same as the file writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawTimeouts {
    pub(super) connect: Option<u32>,
    pub(super) head: Option<u32>,
    pub(super) idle: Option<u32>,
    pub(super) total: Option<u32>,
}

impl Timeouts {
    /// Until there is a connection, with TLS.
    #[must_use]
    pub const fn connect_seconds(self) -> u32 {
        self.connect
    }

    /// Until the answer's head is there, the connection counted.
    #[must_use]
    pub const fn head_seconds(self) -> u32 {
        self.head
    }

    /// Between two pieces of an answer.
    #[must_use]
    pub const fn idle_seconds(self) -> u32 {
        self.idle
    }

    /// From the sending to the answer's last byte.
    #[must_use]
    pub const fn total_seconds(self) -> u32 {
        self.total
    }

    pub(super) fn parse(raw: RawTimeouts) -> Result<Self, Fault> {
        let this = Self {
            connect: CONNECT.seconds(raw.connect)?,
            head: HEAD.seconds(raw.head)?,
            idle: IDLE.seconds(raw.idle)?,
            total: TOTAL.seconds(raw.total)?,
        };
        // A longer phase would never end by its own limit, so the record would name another.
        let within = |phase: &Phase, raw: Option<u32>, seconds: u32| {
            if raw.is_none() || seconds <= this.total {
                return Ok(());
            }
            let problem = format!("longer than {} allows for everything", TOTAL.key);
            Err(Fault::new(phase.key, problem))
        };
        within(&CONNECT, raw.connect, this.connect)?;
        within(&HEAD, raw.head, this.head)?;
        within(&IDLE, raw.idle, this.idle)?;
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: [Option<u32>; 4], expected: Result<[u32; 4], &str>) {
        let [connect, head, idle, total] = seconds;
        let read = Timeouts::parse(RawTimeouts { connect, head, idle, total });
        let read = read.map(|it| [it.connect, it.head, it.idle, it.total]);
        let read = read.map_err(|fault| format!("{}: {}", fault.field, fault.problem));
        assert_eq!(read, expected.map_err(str::to_owned), "{seconds:?}");
    }

    #[test]
    fn each_phase_has_its_bounds_and_none_is_longer_than_all() {
        check([None; 4], Ok([5, 600, 60, 3600]));
        check([Some(1), Some(1), Some(1), Some(1)], Ok([1, 1, 1, 1]));
        check([Some(30), Some(3600), Some(600), Some(7200)], Ok([30, 3600, 600, 7200]));
        for (at, expected) in [
            (0, "connect_timeout_seconds: seconds from 1 to 30"),
            (1, "timeout_seconds: seconds from 1 to 3600"),
            (2, "idle_timeout_seconds: seconds from 1 to 600"),
            (3, "total_timeout_seconds: seconds from 1 to 7200"),
        ] {
            for seconds in [0, 7201, u32::MAX] {
                let mut all = [None; 4];
                all[at] = Some(seconds);
                check(all, Err(expected));
            }
        }
        let longer = "timeout_seconds: longer than total_timeout_seconds allows for everything";
        check([None, Some(61), None, Some(60)], Err(longer));
        // What nobody wrote is cut by the total.
        check([None, None, None, Some(60)], Ok([5, 600, 60, 60]));
    }
}
