//! Development commands: `cargo xtask demo`, `test`, `tidy`, `bench`, `eval`, `conformance`, `mutants`.
#![expect(clippy::print_stdout, reason = "a command line tool for developers talks on stdout")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::{Stop, Trouble};
use crate::screen::{Screen, Style};

mod bench;
mod conformance;
mod demo;
mod eval;
mod mutants;
mod process;
mod screen;
mod test;
mod tidy;
mod tools;

/// Exit code: a step could not run or failed.
const EXIT_FAILED: u8 = 1;

/// Development commands of Bulla.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build, start with a local model, walk one real prompt through, and stay up.
    Demo(demo::Options),
    /// Install what tests need and run everything that must pass.
    Test(test::Options),
    /// Check the house rules that no compiler knows.
    Tidy,
    /// Measure the release build beside a direct call of its own stand-in upstream.
    Bench(bench::Options),
    /// Measure what the detector finds, on the fixtures and on public corpora.
    Eval(eval::Options),
    /// Ask a gateway in every dialect, and see whether the right value comes back to the right place.
    Conformance(conformance::Options),
    /// Change the gate and the ledger line by line, and see whether a test notices (slow).
    Mutants(mutants::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen::detect();
    match Stop::listen().and_then(|stop| run(args.command, screen, &stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble(message)) => {
            eprintln!("{} {message}", screen.paint(Style::Bad, "error:"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(task: Task, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    match task {
        Task::Demo(options) => demo::run(&options, screen, stop),
        Task::Test(options) => test::run(options, screen, stop),
        Task::Tidy => tidy::run(screen),
        Task::Bench(options) => bench::run(&options, screen, stop),
        Task::Eval(options) => eval::run(&options, screen, stop),
        Task::Conformance(options) => conformance::run(&options, screen, stop),
        Task::Mutants(options) => mutants::run(&options, stop),
    }
}

/// `debug` or `release`, as a folder below `target`.
fn target_folder(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    // Cargo runs in the root, so a relative folder is relative to that.
    process::root().join(target).join(profile)
}
