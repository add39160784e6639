//! The command line.
//!
//! Exit codes: 0 done; 1 the answer is no; 2 usage or configuration; 3 a control could not run.

mod agreement;
mod apply;
mod audit;
mod deid;
mod dispose;
mod doctor;
mod draw;
mod eval;
mod explain;
mod init;
mod input;
mod key;
mod look;
mod mark;
mod offboard;
mod path;
mod receipt;
mod rotate;
mod scan;
mod screen;
mod serve;
mod window;
mod witness;

use crate::world::{OsEntropy, SystemClock};
use clap::{Args, Parser, Subcommand};
use ledger::{Actor, ActorKind};
use service::{House, Setup};
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A compliance layer for AI in regulated work: one server between an organisation and every language
/// model that it uses.
#[derive(Debug, Parser)]
#[command(name = "bulla", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: keys, database, first organisation
    Init(init::Init),
    /// Run the server
    Serve(serve::Serve),
    /// Put a governed configuration in force (TOML); the change is recorded
    Apply(apply::Apply),
    /// The executed documents of agreements: file, list, verify, give back
    Agreement(agreement::Agreement),
    /// API keys of programs
    Key(key::Key),
    /// Show the path of every route: each hop, and what covers it
    Path(path::ShowPath),
    /// Print the description of the programmatic interface (openapi.json)
    Openapi,
    /// Find identifiers in files, offline
    Scan(scan::Scan),
    /// Measure the detector on your own annotated notes, offline
    Eval(eval::Eval),
    /// Write transformed copies of text, offline; only safe-harbor makes a claim
    Deid(deid::Deid),
    /// The audit log
    Audit(audit::Audit),
    Receipt(receipt::WriteReceipt),
    Explain(explain::Explain),
    Dispose(dispose::Dispose),
    /// Legal holds: what they cover is not disposed of
    Hold(dispose::Hold),
    Rotate(rotate::Rotate),
    Offboard(offboard::Offboard),
    Witness(witness::WitnessCommand),
    Doctor(doctor::Doctor),
}

/// Reads one variable of the environment.
#[derive(Clone)]
pub struct Environment(Arc<service::Environment>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// From the function that reads the real one.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variable))
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

/// Where the data lies.
#[derive(Clone, Debug, Args)]
struct Data {
    /// The data directory, made by `bulla init`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The operator's key file, when it is not in the data directory
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Data {
    fn setup(&self, environment: &Environment) -> Setup {
        Setup {
            dir: self.data.clone(),
            key_file: self.key_file.clone(),
            keys_ttl: service::KEYS_TTL,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            environment: Arc::clone(&environment.0),
        }
    }

    async fn open(&self, environment: &Environment) -> Result<Arc<House>, Failure> {
        House::open(self.setup(environment)).await.map_err(|error| Failure::of_house(&error))
    }
}

/// The exit code of a program whose reader went away: 128 and the number of SIGPIPE, as shells say it.
const READER_GONE: u8 = 141;

/// Why a command did not do what was asked.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Usage or configuration.
    fn usage(error: &dyn std::error::Error) -> Self {
        Self { code: 2, message: chain(error) }
    }

    /// A control could not run.
    fn control(error: &dyn std::error::Error) -> Self {
        Self { code: 3, message: chain(error) }
    }

    /// What was asked for cannot be, or a control could not run.
    fn of_house(error: &service::Error) -> Self {
        use store::Error::{Absent, Exists};
        if matches!(error, service::Error::Name | service::Error::Store(Absent | Exists)) {
            Self::usage(error)
        } else {
            Self::control(error)
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { code: READER_GONE, message: String::new() };
        }
        Self::control(&error)
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

impl Cli {
    /// Reads the arguments, runs the command, and says how it went.
    #[must_use]
    pub fn run(environment: &Environment) -> ExitCode {
        let cli = match Self::try_parse() {
            Ok(cli) => cli,
            Err(error) => {
                // Help and version go to standard output and are no failure.
                let code = if error.use_stderr() { 2 } else { 0 };
                return if error.print().is_ok() {
                    ExitCode::from(code)
                } else {
                    ExitCode::from(3)
                };
            }
        };
        protect_memory();
        std::panic::set_hook(Box::new(|broken| tell_defect(broken.location())));
        match cli.dispatch(environment) {
            Ok(code) => code,
            // Whoever read the output has seen enough: `bulla scan ... | head`.
            Err(failure) if failure.code == READER_GONE => ExitCode::from(READER_GONE),
            Err(failure) => {
                // Nobody is left to tell when standard error is closed.
                let _told = writeln!(std::io::stderr(), "bulla: {}", failure.message).is_ok();
                ExitCode::from(failure.code)
            }
        }
    }

    fn dispatch(self, environment: &Environment) -> Result<ExitCode, Failure> {
        if let Command::Eval(eval) = self.command {
            return eval.run(environment);
        }
        // Scanning, measuring and transforming need neither keys nor a runtime.
        if let Command::Scan(scan) = self.command {
            return scan.run(environment);
        }
        if let Command::Deid(deid) = self.command {
            return deid.run();
        }
        if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
            return Err(Failure {
                code: 3,
                message: "the cryptographic library is set twice".into(),
            });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            match self.command {
                Command::Init(init) => Box::pin(init.run(environment)).await,
                Command::Serve(serve) => Box::pin(serve.run(environment)).await,
                Command::Apply(apply) => Box::pin(apply.run(environment)).await,
                Command::Agreement(agreement) => Box::pin(agreement.run(environment)).await,
                Command::Key(key) => Box::pin(key.run(environment)).await,
                Command::Path(path) => Box::pin(path.run(environment)).await,
                Command::Audit(audit) => Box::pin(audit.run(environment)).await,
                Command::Receipt(receipt) => Box::pin(receipt.run(environment)).await,
                Command::Explain(explain) => Box::pin(explain.run(environment)).await,
                Command::Dispose(dispose) => Box::pin(dispose.run(environment)).await,
                Command::Hold(hold) => Box::pin(hold.run(environment)).await,
                Command::Rotate(rotate) => Box::pin(rotate.run(environment)).await,
                Command::Offboard(offboard) => Box::pin(offboard.run(environment)).await,
                Command::Witness(witness) => Box::pin(witness.run(environment)).await,
                Command::Doctor(doctor) => Box::pin(doctor.run(environment)).await,
                // Scanning, measuring and transforming need neither keys nor a runtime.
                Command::Scan(scan) => scan.run(environment),
                Command::Eval(eval) => eval.run(environment),
                Command::Deid(deid) => deid.run(),
                Command::Openapi => say(crate::api::DOCUMENT.as_str()).map(|()| ExitCode::SUCCESS),
            }
        })
    }
}

/// Says where the program broke off, and not with which words: Rust's own repeat the text that could not be cut
/// at a place, or the value that was not expected, and either may be a caller's.
fn tell_defect(place: Option<&std::panic::Location<'_>>) {
    let (file, line) = place.map_or(("an unknown place", 0), |at| (at.file(), at.line()));
    if tracing::dispatcher::has_been_set() {
        tracing::error!(file, line, "a part of the program broke off, which is a defect");
    } else {
        // Nobody is left to tell when standard error is closed.
        let told = writeln!(std::io::stderr(), "bulla broke off at {file}:{line}: a defect");
        drop(told);
    }
}

/// Keeps keys and prompts out of core dumps. New files are for their owner only.
fn protect_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() {
        tracing::warn!("core dumps could not be turned off");
    }
    let _before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// The person at the command line, by the operating system's account.
fn operator(environment: &Environment) -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| environment.get(name));
    Actor {
        kind: ActorKind::Operator,
        id: format!("uid:{uid}"),
        name: name.unwrap_or_else(|| format!("uid {uid}")),
    }
}

/// Writes one line for the person at the command line.
fn say(line: impl fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(Failure::from)
}
