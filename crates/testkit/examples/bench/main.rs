//! What Bulla costs, everything on, against a direct call of its own stand-in upstream in the same
//! run.
//!
//! ```text
//! cargo build --release -p server -p ledger --bins
//! cargo build --release -p testkit --examples
//! target/release/examples/bench [--quick] [--pin] [--dir DIR] [--json FILE]
//! ```
//! The method: the floor of the disk is measured first and again in each round; each row is measured
//! direct and through Bulla, one after the other, in three rounds over all rows; what is reported is
//! the median over the rounds; a window in which any request failed is void. CPU time is that of the
//! process from `/proc`, so it means the same on a busy machine, where times do not.
//!
//! The table goes to standard output as Markdown, progress to standard error. docs/benchmarks.md says
//! how to read it. Exit codes: 0 measured, 1 a row or the check of the log failed, 2 usage, 3 the
//! bench could not run.

mod budget;
mod detector;
mod gateway;
mod house;
mod machine;
mod options;
mod peer;
mod process;
mod prompt;
mod report;
mod row;

use gateway::Place;
use house::{House, Memory};
use options::{Options, USAGE, Which};
use peer::Peer;
use process::Process;
use report::{Audit, Beside, Own, Report};
use row::{Arena, Measured, Row};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use testkit::{disk, load::Percentiles, proc};

/// Appends that one measurement of the disk's floor times.
const FLOOR_APPENDS: usize = 300;

/// Starts of which the median is the cold start.
const COLD_STARTS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = Options::parse(&arguments) else {
        tell(USAGE);
        return ExitCode::from(2);
    };
    match bench(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            tell(&format!("bench: {error}"));
            ExitCode::from(3)
        }
    }
}

/// One line of progress.
fn tell(line: &str) {
    // A reader that has gone needs no lines.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Measures everything and writes the report; false when a row or the log did not hold.
fn bench(options: &Options) -> io::Result<bool> {
    options.check_programs()?;
    if options.pin {
        process::pin_this_process()?;
    }
    let usage = machine::Usage::now()?;
    // First of all: what this process allocates before would hide the detector's tables.
    let detector = if options.which == Which::PeersAlone {
        detector::Figures::default()
    } else {
        detector::measure()?
    };
    let scratch = Scratch::make(options)?;
    // One thread for the load, so that it is the same on every machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = runtime.block_on(measure(options, scratch.path(), detector))?;
    report.others_share = usage.others_share(report.own_cpu_us)?;
    let mut out = io::stdout().lock();
    out.write_all(report.markdown().as_bytes())?;
    out.flush()?;
    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", report.json()))?;
    }
    Ok(report.holds())
}

async fn measure(options: &Options, dir: &Path, detector: detector::Figures) -> io::Result<Report> {
    let fast = process::upstream(options, dir, false).await?;
    let paced = process::upstream(options, dir, true).await?;
    let floor_cpu = machine::cpu_of_fdatasync(dir)?;
    let mut bulla = match options.which {
        Which::PeersAlone => None,
        Which::Bulla | Which::WithPeers => Some(Bulla::start(options, dir, &fast, &paced).await?),
    };
    let place = Place { options, dir, fast: fast.address, paced: paced.address };
    let (peers, left_out) = Peer::all(&place).await?;
    let rows = Row::all().into_iter().filter(|row| options.wants(row));
    let mut measured: Vec<Measured> = rows.map(Measured::new).collect();
    let mut floors = Vec::new();
    for round in 1..=options.rounds {
        floors.push(disk::fdatasync(dir, FLOOR_APPENDS)?);
        for row in &mut measured {
            tell(&format!("round {round} of {}: {}", options.rounds, row.row.name));
            let house = bulla.as_ref().map(|bulla| &bulla.house);
            let (fast, paced, peers) = (&fast, &paced, peers.as_slice());
            row.measure(&Arena { fast, paced, house, peers, window: options.window }).await;
            if let Some(bulla) = &mut bulla
                && row.row.connections == row::MANY
                && row.row.kind.is_short()
                && round == 1
            {
                // Before the long prompt, so that the peak is that of 64 clients.
                bulla.loaded = Some(bulla.house.memory()?);
            }
        }
        if let Some(bulla) = &mut bulla {
            bulla.rss_per_round.push(bulla.house.memory()?.resident);
        }
    }
    let mut pids = vec![fast.pid(), paced.pid()];
    pids.extend(bulla.as_ref().map(|bulla| bulla.house.pid()));
    pids.extend(peers.iter().flat_map(Peer::pids));
    let own_cpu_us = own_cpu(&pids)?;
    let beside = |peer: &Peer| {
        io::Result::Ok(Beside { name: peer.name, what: peer.what, resident: peer.resident()? })
    };
    let peers = peers.iter().map(beside).collect::<io::Result<Vec<_>>>()?;
    let exchanges = measured.iter().map(|row| row.exchanges).sum();
    let own = bulla.map(|bulla| bulla.end(options, dir, exchanges, detector)).transpose()?;
    Ok(Report {
        machine: machine::Machine::read(options, dir)?,
        settings: options.clone(),
        quiet_floor: floors.iter().map(|it| it.p50).min().unwrap_or_default(),
        floor: floor(&floors),
        floor_cpu,
        rows: measured,
        own,
        peers,
        left_out,
        own_cpu_us,
        others_share: 0.0,
    })
}

/// Bulla, and what is found out about its process meanwhile.
struct Bulla {
    house: House,
    cold_starts: Vec<Duration>,
    idle: Memory,
    loaded: Option<Memory>,
    rss_per_round: Vec<u64>,
}

impl Bulla {
    /// Starts it, and looks whether the controls have work to do.
    async fn start(
        options: &Options,
        dir: &Path,
        fast: &Process,
        paced: &Process,
    ) -> io::Result<Self> {
        let mut house = House::make(options, dir, fast.address, paced.address)?;
        let mut cold_starts = Vec::new();
        for start in 1..=COLD_STARTS {
            cold_starts.push(house.start().await?);
            if start < COLD_STARTS {
                house.stop()?;
            }
        }
        let idle = house.memory()?;
        prompt::check(house.address(), house.key()).await?;
        Ok(Self { house, cold_starts, idle, loaded: None, rss_per_round: Vec::new() })
    }

    /// Stops it and looks at its log.
    fn end(
        mut self,
        options: &Options,
        dir: &Path,
        exchanges: usize,
        detector: detector::Figures,
    ) -> io::Result<Own> {
        let last = self.house.memory()?;
        let stopped_after = self.house.stop()?;
        let audit = audit(options, &self.house, dir, exchanges)?;
        let Self { cold_starts, idle, loaded, rss_per_round, .. } = self;
        Ok(Own { detector, cold_starts, stopped_after, idle, loaded, rss_per_round, last, audit })
    }
}

fn own_cpu(pids: &[u32]) -> io::Result<u64> {
    let this = proc::cpu_micros(std::process::id())?;
    pids.iter().try_fold(this, |sum, &pid| Ok(sum + proc::cpu_micros(pid)?))
}

/// The median over the rounds of each order statistic.
fn floor(rounds: &[Percentiles]) -> Percentiles {
    let middle =
        |of: fn(&Percentiles) -> Duration| Percentiles::of(rounds.iter().map(of).collect()).p50;
    Percentiles {
        p50: middle(|it| it.p50),
        p95: middle(|it| it.p95),
        p99: middle(|it| it.p99),
        max: rounds.iter().map(|it| it.max).max().unwrap_or_default(),
    }
}

/// Exports the log and verifies it: what was measured was recorded, too.
fn audit(options: &Options, house: &House, dir: &Path, exchanges: usize) -> io::Result<Audit> {
    let stored_bytes = machine::bytes_under(&house.data)?;
    let mut audit = Audit { exchanges, stored_bytes, ..Audit::default() };
    if options.verify {
        tell("exporting and verifying the log");
        let bundle = dir.join("bundle.tar");
        audit.records = Some(house.export(&bundle)?);
        audit.verified = Some(house.verify(&bundle)?);
    }
    Ok(audit)
}

/// A folder for the data, removed at the end.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    fn make(options: &Options) -> io::Result<Self> {
        let path = options.dir.join(format!("bulla-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path, keep: options.keep })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            tell(&format!("kept {}", self.path.display()));
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            tell(&format!("could not remove {}: {error}", self.path.display()));
        }
    }
}
