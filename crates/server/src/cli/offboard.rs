//! `bulla offboard`.

use super::{Data, Environment, Failure, audit, operator, say};
use clap::Args;
use service::OffboardError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Give the organisation its data back, and then destroy its keys, for good
#[derive(Debug, Args)]
pub(super) struct Offboard {
    #[command(flatten)]
    data: Data,
    /// The folder to write the archive into, which does not exist yet. It will hold PHI in the clear
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// By which right: the end of which agreement; recorded
    #[arg(long, value_name = "TEXT")]
    authority: String,
    /// The organisation's name as a sign that it is meant: nothing brings the content back
    #[arg(long, value_name = "NAME")]
    organisation: String,
}

fn failure(error: OffboardError) -> Failure {
    match error {
        OffboardError::Read(error) => audit::failure(error),
        // The answer is no.
        OffboardError::Held => Failure { code: 1, message: error.to_string() },
        OffboardError::File { .. } | OffboardError::Name => Failure::usage(&error),
    }
}

impl Offboard {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        if self.organisation != house.organisation() {
            return Err(Failure {
                code: 2,
                message: "that is not the name of the organisation in this data directory".into(),
            });
        }
        let bar = audit::progress();
        let tell = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let done = house.offboard(&self.out, &self.authority, operator(environment), &tell).await;
        bar.finish_and_clear();
        let done = done.map_err(failure)?;
        let path = self.out.display();
        say(format_args!(
            "Wrote the log and the content of {} exchanges to {path}",
            done.exchanges
        ))?;
        say("It holds PHI in the clear: hand it over, and keep no copy.")?;
        say("The organisation's keys are destroyed: nobody reads its content here again.")?;
        say(format_args!("Recorded at {}", done.receipt))?;
        say(format_args!("SHA-256 of SHA256SUMS in that record: {}", done.sha256))?;
        Ok(ExitCode::SUCCESS)
    }
}
