//! The `bulla` program.

use server::cli::{Cli, Environment};
use std::process::ExitCode;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    let variable = |name: &str| std::env::var(name).ok();
    Cli::run(&Environment::new(variable))
}
