//! `cargo xtask bench`: builds what is measured in release, and runs the measurement.

mod peers;
mod postgres;

use crate::process::{self, Stop, Trouble, cargo};
use crate::screen::Screen;
use crate::target_folder;
use std::process::Command;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// `detector` alone: what a text of 1, 2, 4 and 8 times the size costs. `ledger [RECORDS]`: durable
    /// appends beside bare fdatasync and a hash chain in PostgreSQL, verification, and what the length of a
    /// log costs. `postgres`: that hash chain alone. `gateway`, or nothing: exchanges through the whole
    /// server; what follows is passed on to the measurement: `--quick`, `--pin`, `--dir DIR`,
    /// `--json FILE`, and `--peers`, which installs other gateways under `target/peers` and measures them
    /// too, or `--peers-alone`, which measures nothing else; `--peer TEXT` chooses some of them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds, measures, prints a Markdown table.
///
/// # Errors
/// When a build or a window of the measurement failed.
pub(crate) fn run(options: &Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    match options.rest.first().map(String::as_str) {
        Some("detector") => return detector(stop),
        Some("ledger") => {
            return ledger(options.rest.get(1).map_or("100000", String::as_str), stop);
        }
        Some("postgres") => return postgres::measure(stop),
        Some(_) | None => {}
    }
    let rest = options.rest.strip_prefix(&["gateway".to_owned()]).unwrap_or(&options.rest);
    peers::install(rest, screen, stop)?;
    if !rest.iter().any(|option| option == "--peers-alone") {
        let programs = ["-p", "server", "-p", "ledger", "--bins"];
        process::run(cargo().args(["build", "--locked", "--release"]).args(programs), stop)?;
    }
    process::run(
        cargo().args(["build", "--locked", "--release", "-p", "testkit", "--examples"]),
        stop,
    )?;
    let folder = target_folder("release");
    let mut bench = Command::new(folder.join("examples").join("bench"));
    bench.arg("--bin-dir").arg(&folder).args(rest);
    process::run(&mut bench, stop)
}

/// Measures whether the detector's cost grows as the text does.
fn detector(stop: &Stop) -> Result<(), Trouble> {
    process::run(
        cargo().args(["build", "--locked", "--release", "-p", "phi", "--example", "linear"]),
        stop,
    )?;
    let example = target_folder("release").join("examples").join("linear");
    process::run(&mut Command::new(example), stop)
}

/// Measures appends, verification, and what the length of a log costs.
#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn ledger(records: &str, stop: &Stop) -> Result<(), Trouble> {
    let build = ["build", "--locked", "--release", "-p", "store", "-p", "ledger"];
    process::run(cargo().args(build).args(["--examples", "--bins"]), stop)?;
    let folder = target_folder("release");
    let example = |name: &str| Command::new(folder.join("examples").join(name));
    process::run(example("append_cost").args(["1", "64", "2000"]), stop)?;
    let bundle = folder.join("long_log.tar");
    process::run(example("long_log").arg(&bundle).arg("500000"), stop)?;
    let begun = std::time::Instant::now();
    let mut verify = Command::new(folder.join("bulla-verify"));
    process::run(verify.arg(&bundle).arg("--json").stdout(std::process::Stdio::null()), stop)?;
    println!(
        "bulla-verify: {:.0} records/s on one core",
        500_000.0 / begun.elapsed().as_secs_f64()
    );
    std::fs::remove_file(&bundle)?;
    postgres::measure(stop)?;
    process::run(example("long_store").arg(records), stop)
}
