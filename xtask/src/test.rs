//! `cargo xtask test`: everything that must pass, in one command.
//!
//! A failed step does not hide the ones after it, and the exit code tells.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::{Stop, Trouble, cargo, now, root, run_seen};
use crate::screen::{Screen, Style, duration};
use crate::{process, tidy, tools};

/// Tells the tests where the Python with the official clients is.
const PYTHON_VARIABLE: &str = "BULLA_TEST_PYTHON";

/// Tells the tests where the official clients for Node are.
const NODE_VARIABLE: &str = "BULLA_TEST_NODE";

/// Options of `cargo xtask test`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Leave out doctests and documentation.
    #[arg(long)]
    fast: bool,
}

/// Tests and checks of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// What a step needs to run.
struct Bench {
    screen: Screen,
    stop: Stop,
    python: Option<PathBuf>,
    node: Option<PathBuf>,
}

/// How a step ended.
struct Ended {
    name: &'static str,
    time: Duration,
    tally: Tally,
    trouble: Option<Trouble>,
}

type Work = fn(&mut Bench, &mut Tally) -> Result<(), Trouble>;

/// Name, whether `--fast` leaves it out, and what to do.
const STEPS: [(&str, bool, Work); 12] = [
    ("tools of this machine", false, tools_step),
    ("format", false, format_step),
    ("clippy", false, clippy_step),
    ("tidy", false, |bench, _| tidy::run(bench.screen)),
    ("python environment", false, python_step),
    ("node packages", false, node_step),
    ("programs", false, programs_step),
    ("tests", false, tests_step),
    ("official clients", false, clients_step),
    ("doctests", true, doctests_step),
    ("documentation", true, documentation_step),
    ("client tests in python", false, python_tests_step),
];

/// Runs the steps and prints the table.
///
/// # Errors
/// When any step failed.
pub(crate) fn run(options: Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    let begun = now();
    let mut bench = Bench { screen, stop: stop.clone(), python: None, node: None };
    let mut all = Vec::new();
    for (name, slow, work) in STEPS {
        if options.fast && slow {
            continue;
        }
        all.push(step(name, work, &mut bench));
        if stop.asked() {
            break;
        }
    }
    report(&all, screen, now() - begun)
}

fn step(name: &'static str, work: Work, bench: &mut Bench) -> Ended {
    bench.screen.heading(name);
    let begun = now();
    let mut tally = Tally::default();
    let trouble = work(bench, &mut tally).err();
    // A step that is not a test run counts as one check, and a test run that
    // breaks without a failed test as one failure.
    match (&trouble, tally.failed, tally.passed) {
        (Some(_), 0, _) => tally.failed = 1,
        (None, 0, 0) => tally.passed = 1,
        _ => {}
    }
    let time = now() - begun;
    let (style, verdict) =
        if trouble.is_some() { (Style::Bad, "failed") } else { (Style::Good, "ok") };
    println!("-- {name}: {} in {}", bench.screen.paint(style, verdict), duration(time));
    if let Some(Trouble(message)) = &trouble {
        println!("   {message}");
    }
    Ended { name, time, tally, trouble }
}

fn report(all: &[Ended], screen: Screen, total: Duration) -> Result<(), Trouble> {
    screen.heading("summary");
    println!("{:<26} {:>8} {:>8}  {:>12}", "step", "passed", "failed", "time");
    for ended in all {
        let line = format!(
            "{:<26} {:>8} {:>8}  {:>12}",
            ended.name,
            ended.tally.passed,
            ended.tally.failed,
            duration(ended.time)
        );
        let style = if ended.trouble.is_some() { Style::Bad } else { Style::Good };
        println!("{}", screen.paint(style, &line));
    }
    println!("{:<44}  {:>12}\n", "all", duration(total));
    let passed: u64 = all.iter().map(|ended| ended.tally.passed).sum();
    let failed: u64 = all.iter().map(|ended| ended.tally.failed).sum();
    println!("xtask test: {passed} passed, {failed} failed");
    let names: Vec<&str> =
        all.iter().filter(|ended| ended.trouble.is_some()).map(|ended| ended.name).collect();
    if names.is_empty() && failed == 0 {
        Ok(())
    } else {
        Err(Trouble(format!("these steps failed: {}", names.join(", "))))
    }
}

fn tools_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    let needs = [
        tools::C_COMPILER,
        tools::PYTHON,
        tools::OPENSSL,
        tools::SOFTHSM,
        tools::NODE,
        tools::CHROMIUM,
    ];
    tools::provide(&needs, bench.screen, &bench.stop)
}

fn format_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    run_cargo(bench, &["fmt", "--all", "--check"])
}

fn clippy_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    run_cargo(bench, &["clippy", "--locked", "--all-targets", "--", "-D", "warnings"])
}

fn python_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    bench.python = Some(tools::python(tools::CLIENTS, bench.screen, &bench.stop)?);
    Ok(())
}

fn node_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    if tools::on_path("npm").is_none() {
        println!("skipped: this machine has no npm, so the clients for Node are not tested");
        return Ok(());
    }
    bench.node = Some(tools::node(tools::NODE_CLIENTS, bench.screen, &bench.stop)?);
    Ok(())
}

fn tests_step(bench: &mut Bench, tally: &mut Tally) -> Result<(), Trouble> {
    let nextest = tools::on_path("cargo-nextest").is_some();
    let mut command = cargo();
    if nextest {
        command.args(["nextest", "run", "--locked", "--no-fail-fast"]);
    } else {
        command.args(["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    }
    colour(&mut command, bench.screen);
    run_seen(&mut command, &bench.stop, |line| tally.read(line))
}

/// The tests run the programs of other packages, which their own builds do not bring up to date.
fn programs_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    run_cargo(bench, &["build", "--locked", "--bins"])
}

/// The tests that need the packages for Python and Node. They are ignored elsewhere, so that `cargo test` works
/// without it.
fn clients_step(bench: &mut Bench, tally: &mut Tally) -> Result<(), Trouble> {
    let python = bench.python.as_ref().ok_or_else(|| Trouble::new("no Python environment"))?;
    let mut command = cargo();
    command.args([
        "test",
        "--locked",
        "-p",
        "server",
        "--test",
        "it",
        "--",
        "--ignored",
        "python::",
        "clients::",
    ]);
    command.env(PYTHON_VARIABLE, python);
    if let Some(node) = &bench.node {
        command.env(NODE_VARIABLE, node);
    }
    colour(&mut command, bench.screen);
    run_seen(&mut command, &bench.stop, |line| tally.read(line))?;
    if tally.passed == 0 && tally.failed == 0 {
        return Err(Trouble::new("no test of the official clients ran"));
    }
    Ok(())
}

fn doctests_step(bench: &mut Bench, tally: &mut Tally) -> Result<(), Trouble> {
    let mut command = cargo();
    command.args(["test", "--locked", "--no-fail-fast", "--doc"]);
    colour(&mut command, bench.screen);
    run_seen(&mut command, &bench.stop, |line| tally.read(line))
}

fn documentation_step(bench: &mut Bench, _: &mut Tally) -> Result<(), Trouble> {
    let mut command = cargo();
    command.args(["doc", "--locked", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    process::run(&mut command, &bench.stop)
}

fn python_tests_step(bench: &mut Bench, tally: &mut Tally) -> Result<(), Trouble> {
    let python = bench.python.as_ref().ok_or_else(|| Trouble::new("no Python environment"))?;
    let mut command = Command::new(python);
    command.current_dir(root()).env("PYTHONDONTWRITEBYTECODE", "1").args([
        "-m",
        "unittest",
        "discover",
        "--start-directory",
        "tests/python",
    ]);
    run_seen(&mut command, &bench.stop, |line| tally.read(line))
}

fn run_cargo(bench: &Bench, arguments: &[&str]) -> Result<(), Trouble> {
    process::run(cargo().args(arguments), &bench.stop)
}

/// Its output goes through this tool, so it cannot see the terminal by itself.
fn colour(command: &mut Command, screen: Screen) {
    if screen.is_live() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
}

impl Tally {
    /// Adds the counts of a summary line of nextest, libtest or unittest.
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("test result: ")
            || (line.starts_with("Summary [") && line.contains(" run: "))
        {
            self.passed += count_before(line, " passed");
            self.failed += count_before(line, " failed")
                + count_before(line, " timed out")
                + count_before(line, " exec failed");
        } else if let Some(ran) = line.strip_prefix("Ran ").filter(|rest| rest.contains(" test")) {
            self.passed += leading_number(ran);
        } else if let Some(rest) = line.strip_prefix("FAILED (") {
            let failed = ["failures=", "errors="]
                .iter()
                .filter_map(|key| rest.split_once(key))
                .map(|(_, number)| leading_number(number))
                .sum();
            self.passed = self.passed.saturating_sub(failed);
            self.failed += failed;
        }
    }
}

fn count_before(line: &str, word: &str) -> u64 {
    line.split_once(word)
        .and_then(|(before, _)| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

fn leading_number(text: &str) -> u64 {
    text.split(|c: char| !c.is_ascii_digit()).next().and_then(|d| d.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what lines of output add up to.
    fn check(lines: &[&str], passed: u64, failed: u64) {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line);
        }
        assert_eq!(tally, Tally { passed, failed }, "{lines:?}");
    }

    #[test]
    fn the_counts_of_all_test_runners_are_read() {
        let line = "     Summary [   1.2s] 21 tests run: 18 passed (2 slow), 2 failed, 1 timed out, \
                    3 skipped";
        check(&[line], 18, 3);
        check(&["     Summary [   0.015s] 21 tests run: 21 passed, 0 skipped"], 21, 0);
        let doctests = [
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        check(&doctests, 5, 2);
        check(&["Ran 12 tests in 0.4s", "OK"], 12, 0);
        check(&["Ran 12 tests in 0.4s", "FAILED (failures=1, errors=2)"], 9, 3);
        check(&["a line about 3 passed exams", "Ran away"], 0, 0);
    }

    #[test]
    fn a_step_that_breaks_counts_as_a_failure() {
        let screen = Screen::detect();
        let mut bench = Bench { screen, stop: Stop::never(), python: None, node: None };
        let broken = step("broken", |_, _| Err(Trouble::new("no")), &mut bench);
        assert_eq!(broken.tally, Tally { passed: 0, failed: 1 });
        let whole = step("whole", |_, _| Ok(()), &mut bench);
        assert_eq!(whole.tally, Tally { passed: 1, failed: 0 });
        assert!(report(&[whole], screen, Duration::ZERO).is_ok());
        assert!(report(&[broken], screen, Duration::ZERO).is_err());
    }
}
