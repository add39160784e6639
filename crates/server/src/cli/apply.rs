//! `bulla apply`.

use super::{Data, Environment, Failure, operator, say};
use clap::Args;
use ledger::ChangeKind;
use service::ApplyError;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The configuration
    file: PathBuf,
    #[command(flatten)]
    data: Data,
}

impl Apply {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| Failure {
            code: 2,
            message: format!("cannot read {}: {error}", self.file.display()),
        })?;
        let house = self.data.open(environment).await?;
        let applied =
            house.apply(&text, operator(environment)).await.map_err(|error| match error {
                ApplyError::Rules(error) => Failure {
                    code: 2,
                    message: format!("{}: {error}. Nothing was changed.", self.file.display()),
                },
                error @ (ApplyError::Feed { .. }
                | ApplyError::Copy { .. }
                | ApplyError::Traces(_)) => Failure {
                    code: 2,
                    message: format!("{}: {error}. Nothing was changed.", self.file.display()),
                },
                ApplyError::House(error) => Failure::of_house(&error),
            })?;
        let Some(receipt) = applied.receipt else {
            say(format_args!("Version {} is in force already; nothing changed.", applied.version))?;
            return Ok(ExitCode::SUCCESS);
        };
        say(format_args!("Version {} is in force.", applied.version))?;
        for change in &applied.changes {
            let word = match change.change {
                ChangeKind::Added => "added",
                ChangeKind::Changed => "changed",
                ChangeKind::Removed => "removed",
            };
            say(format_args!("  {word:8} {}", change.object))?;
        }
        say(format_args!("Recorded at {receipt}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
