//! `bulla rotate`.

use super::{Data, Environment, Failure, operator, say};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Replace a key that wraps other keys; a running server follows, and nothing is sealed anew
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(subcommand)]
    command: RotateCommand,
}

#[derive(Debug, Subcommand)]
enum RotateCommand {
    /// The organisation's key
    Organisation(Organisation),
    /// The operator's key, or the key service
    Operator(Operator),
}

#[derive(Debug, Args)]
struct Organisation {
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Operator {
    #[command(flatten)]
    data: Data,
    /// Another key file, or the description of another key service, instead of a fresh key in the file
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Rotate {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let actor = operator(environment);
        let of_operator = matches!(self.command, RotateCommand::Operator(_));
        let rotated = match self.command {
            RotateCommand::Organisation(rotate) => {
                rotate.data.open(environment).await?.rotate_organisation(actor).await
            }
            RotateCommand::Operator(rotate) => {
                let house = rotate.data.open(environment).await?;
                house.rotate_operator(rotate.to.as_deref(), actor).await
            }
        };
        let rotated = rotated.map_err(|error| Failure::of_house(&error))?;
        say(format_args!("From {} to {}", rotated.from, rotated.to))?;
        say(format_args!("Recorded at {}", rotated.receipt))?;
        if of_operator {
            say("Copies of the key store that were made before open with the former key only.")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
