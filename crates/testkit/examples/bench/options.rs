//! The arguments.

use crate::row::Row;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: bench [--quick | --seconds N] [--rounds N] [--pin] [--peers | --peers-alone]
             [--peer TEXT]... [--dir DIR] [--bin-dir DIR] [--json FILE] [--only TEXT]...
             [--no-verify] [--keep]
  --quick         windows of 1 second instead of 3
  --rounds N      rounds over all rows, 3 unless told
  --pin           Bulla and its peers on core 0, everything else on core 1 (needs taskset)
  --peers         other gateways, too, those that are installed in peers/ beside BIN-DIR
  --peers-alone   only other gateways, and the stand-in without one
  --peer TEXT     with one of those two: only gateways whose name holds this text, in any case
  --dir DIR       measure on the disk of this folder; target/ unless told
  --bin-dir DIR   where bulla, bulla-verify and examples/upstream were built
  --json FILE     write all figures as JSON, too
  --only TEXT     only rows whose name holds this text
  --no-verify     do not export and verify the log at the end
  --keep          leave the data directory";

/// Enough for any use, and far from an overflow.
const SECONDS_LIMIT: u64 = 600;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Bulla, also with its disk in memory.
    Bulla,
    /// Other gateways beside it, too.
    WithPeers,
    /// Other gateways alone.
    PeersAlone,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) window: Duration,
    pub(crate) rounds: usize,
    pub(crate) pin: bool,
    pub(crate) which: Which,
    pub(crate) only_peers: Vec<String>,
    pub(crate) peers_dir: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) bin_dir: PathBuf,
    pub(crate) json: Option<PathBuf>,
    pub(crate) only: Vec<String>,
    pub(crate) verify: bool,
    pub(crate) keep: bool,
}

impl Options {
    /// The arguments without the program's name; none when they make no sense.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        // This program is target/PROFILE/examples/bench.
        let this = std::env::current_exe().ok()?;
        let bin_dir = this.parent()?.parent()?.to_owned();
        let mut options = Self {
            window: Duration::from_secs(3),
            rounds: 3,
            pin: false,
            which: Which::Bulla,
            only_peers: Vec::new(),
            peers_dir: PathBuf::new(),
            dir: bin_dir.parent()?.to_owned(),
            bin_dir,
            json: None,
            only: Vec::new(),
            verify: true,
            keep: false,
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--quick" => options.window = Duration::from_secs(1),
                "--seconds" => options.window = Duration::from_secs(number(rest.next()?)?),
                "--rounds" => options.rounds = usize::try_from(number(rest.next()?)?).ok()?,
                "--pin" => options.pin = true,
                "--peers" => options.which = Which::WithPeers,
                "--peers-alone" => options.which = Which::PeersAlone,
                "--peer" => options.only_peers.push(rest.next()?.to_lowercase()),
                "--dir" => options.dir = rest.next()?.into(),
                "--bin-dir" => options.bin_dir = rest.next()?.into(),
                "--json" => options.json = Some(rest.next()?.into()),
                "--only" => options.only.push(rest.next()?.clone()),
                "--no-verify" => options.verify = false,
                "--keep" => options.keep = true,
                _ => return None,
            }
        }
        if options.which == Which::Bulla && !options.only_peers.is_empty() {
            return None;
        }
        options.peers_dir = options.bin_dir.parent()?.join("peers");
        Some(options)
    }

    /// Looks for the programs that are measured, so that a missing one ends the run at its beginning.
    pub(crate) fn check_programs(&self) -> io::Result<()> {
        let mut programs = vec!["examples/upstream"];
        if self.which != Which::PeersAlone {
            programs.push("bulla");
            programs.extend(self.verify.then_some("bulla-verify"));
        }
        for program in programs {
            let path = self.bin_dir.join(program);
            if !path.is_file() {
                let path = path.display();
                return Err(io::Error::other(format!("{path} is missing: build it first")));
            }
        }
        Ok(())
    }

    /// Whether the gateway of this name is asked for.
    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.only_peers.is_empty() || self.only_peers.iter().any(|text| name.contains(text))
    }

    /// Whether this row is asked for.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| row.name.contains(text.as_str()))
    }
}

/// From 1: a window under a second would not suit CPU time that is counted in steps of 10 ms.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| (1..=SECONDS_LIMIT).contains(number))
}
