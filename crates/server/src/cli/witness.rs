//! `bulla witness`.

use super::serve::{Termination, start_log};
use super::{Environment, Failure, say};
use crate::listen::{Listener, Tls};
use crate::witness::{Witness, WitnessError, router};
use crate::world::{OsEntropy, SystemClock};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Remember the checkpoints of somebody else's log, and cosign only what grew
#[derive(Debug, Args)]
pub(super) struct WitnessCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a witness: its key, and a folder for what it sees
    Init {
        /// The folder to make
        folder: PathBuf,
        /// The name under which it cosigns, like an address: witness.example/w1
        #[arg(long)]
        name: String,
    },
    /// Add a log to those that it knows
    Trust {
        /// The folder of the witness
        folder: PathBuf,
        /// The log's verifier key, as its operator publishes it
        key: String,
    },
    /// Answer logs
    Serve {
        /// The folder of the witness
        folder: PathBuf,
        /// The address to listen on; anything but this machine itself needs TLS
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8453")]
        listen: SocketAddr,
        /// The certificate chain, PEM
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// The certificate's private key, PEM
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
    },
}

impl Failure {
    fn of_witness(error: &WitnessError) -> Self {
        match error {
            WitnessError::Name(_) | WitnessError::Key(_) | WitnessError::InUse => {
                Self::usage(error)
            }
            WitnessError::File { .. } | WitnessError::Malformed(_) => Self::control(error),
        }
    }
}

impl WitnessCommand {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Init { folder, name } => {
                let key = Witness::create(&folder, &name, &OsEntropy)
                    .map_err(|error| Failure::of_witness(&error))?;
                say(format_args!("{key}"))?;
                say(format_args!(
                    "Give this key to the log's operator and to whoever verifies. Next: \
                     bulla witness trust {} <the log's verifier key>",
                    folder.display()
                ))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Trust { folder, key } => {
                let key =
                    Witness::add_log(&folder, &key).map_err(|error| Failure::of_witness(&error))?;
                say(format_args!("{} is known from the next start on", key.name()))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Serve { folder, listen, tls_cert, tls_key } => {
                start_log(environment, false);
                let witness = Witness::open(&folder, Arc::new(SystemClock))
                    .map_err(|error| Failure::of_witness(&error))?;
                let tls = tls_cert.zip(tls_key).map(|(certificate, key)| Tls { certificate, key });
                let listener = Listener::bind(listen, tls.as_ref())
                    .await
                    .map_err(|error| Failure::usage(&error))?;
                let mut termination = Termination::listen()?;
                let scheme = if listener.is_secure() { "https" } else { "http" };
                if let Some(address) = listener.address() {
                    say(format_args!(
                        "{} witnesses {} log(s) at {scheme}://{address}",
                        witness.verifier_key(),
                        witness.logs().len(),
                    ))?;
                }
                let tasks = service::Tasks::new();
                let stop = async {
                    let signal = termination.wait().await;
                    tracing::info!(signal, "stopping");
                };
                listener.serve(router(&Arc::new(witness)), &tasks, stop).await;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
