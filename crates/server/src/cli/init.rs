//! `bulla init`.

use super::{Environment, Failure, say};
use crate::world::{OsEntropy, SystemClock};
use clap::Args;
use service::{House, Setup};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The data directory to make
    dir: PathBuf,
    /// The organisation's name
    #[arg(long, value_name = "NAME", default_value = "My organisation")]
    org: String,
    /// Where to write the operator's key; best on another disk than the data and its backups
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Init {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let setup = Setup {
            dir: self.dir.clone(),
            key_file: self.key_file.clone(),
            keys_ttl: service::KEYS_TTL,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            environment: Arc::clone(&environment.0),
        };
        let key_path = setup.key_path();
        let house =
            House::create(setup, &self.org).await.map_err(|error| Failure::of_house(&error))?;
        let dir = self.dir.display();
        say(format_args!("Made {dir} for {}.", house.organisation()))?;
        say("")?;
        say(format_args!("  operator's key   {}", key_path.display()))?;
        say(
            "                   Without this file nothing in the directory can be read. Keep a copy",
        )?;
        say("                   apart from the data and its backups.")?;
        say(format_args!("  key store        {}", self.dir.join("keys").display()))?;
        say(
            "                   Leave this folder out of backups that live longer than content may.",
        )?;
        say("  verifier key     for auditors, so that they need not trust this server:")?;
        say(format_args!("                   {}", house.verifier_key()))?;
        say("  anchor key       for witnesses and auditors, of this deployment's own log:")?;
        say(format_args!("                   {}", house.deployment_key()))?;
        say("")?;
        say("Next: say what may go where, then run it.")?;
        say(format_args!("  bulla apply examples/minimal.toml --data {dir}"))?;
        say(format_args!(
            "  bulla key create --data {dir} --owner \"Your Name\" --purpose treatment"
        ))?;
        say(format_args!("  bulla serve --data {dir}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
