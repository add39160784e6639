//! `cargo xtask mutants`: mutation tests of the crates whose tests must notice every change.
//!
//! It needs `cargo-mutants` and takes the better part of an hour, so it is not part of
//! `cargo xtask test`. docs/mutants.md keeps the last result.

use crate::process::{self, Stop, Trouble, cargo};
use crate::tools;

/// Options of `cargo xtask mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files to change, relative to the root; by default the typestate, the stream and the surrogates.
    files: Vec<String>,
}

/// What a surviving mutant would hurt most.
const FILES: [&str; 5] = [
    "crates/gate/src/exchange.rs",
    "crates/gate/src/stream.rs",
    "crates/gate/src/treat.rs",
    "crates/gate/src/shape.rs",
    "crates/phi/src/surrogate.rs",
];

/// Changes the files and runs the tests of their packages on each change.
///
/// # Errors
/// When a mutant survives, or `cargo-mutants` is not installed.
pub(crate) fn run(options: &Options, stop: &Stop) -> Result<(), Trouble> {
    if tools::on_path("cargo-mutants").is_none() {
        return Err(Trouble::new(
            "cargo-mutants is not installed; `cargo install --locked cargo-mutants` installs it",
        ));
    }
    let mut command = cargo();
    command.args(["mutants", "--test-tool", "nextest", "--no-shuffle", "--baseline", "skip"]);
    command.args(["--timeout", "60", "--test-package", "gate,phi"]);
    let files: Vec<&str> = if options.files.is_empty() {
        FILES.to_vec()
    } else {
        options.files.iter().map(String::as_str).collect()
    };
    for file in files {
        command.args(["--file", file]);
    }
    process::run(&mut command, stop)
}
