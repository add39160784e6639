//! The product as its user sees it: the command line, and the running server.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::client;
use crate::process::{Running, Stop, Trouble, now, output, root};

/// How long the server may take until it is ready: it loads the model first.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// How often readiness is asked for.
const READY_POLL: Duration = Duration::from_millis(100);
/// Lines of the server's log that are shown when it fails.
const LOG_LINES: usize = 20;

/// What the auditor's program says about a log.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) good: bool,
    pub(crate) text: String,
}

/// The programs and the folder of one demo.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) bulla: PathBuf,
    pub(crate) verify: PathBuf,
    pub(crate) data: PathBuf,
    /// Whether each command is printed before it runs.
    pub(crate) shown: bool,
}

impl Product {
    /// Runs `bulla` with these arguments, after printing them, and returns its output.
    pub(crate) fn bulla<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, Trouble> {
        if self.shown {
            show("bulla", arguments);
        }
        output(Command::new(&self.bulla).args(arguments))
    }

    /// Runs `bulla-verify` on a bundle with what the auditor trusts.
    ///
    /// # Errors
    /// When the bundle cannot be checked at all.
    pub(crate) fn verify(&self, bundle: &Path, trust: &Path) -> Result<Verdict, Trouble> {
        let arguments = [bundle.as_os_str(), OsStr::new("--trust"), trust.as_os_str()];
        show("bulla-verify", &arguments);
        let ended = Command::new(&self.verify).args(arguments).stdin(Stdio::null()).output()?;
        let said = [ended.stdout, ended.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        match ended.status.code() {
            Some(0) => Ok(Verdict { good: true, text }),
            Some(1) => Ok(Verdict { good: false, text }),
            Some(_) | None => {
                Err(Trouble(format!("bulla-verify failed: {}\n{text}", ended.status)))
            }
        }
    }

    /// The data directory as an argument.
    pub(crate) fn data(&self) -> &OsStr {
        self.data.as_os_str()
    }
}

fn show<A: AsRef<OsStr>>(program: &str, arguments: &[A]) {
    let mut line = format!("$ {program}");
    for argument in arguments {
        // Paths are shown from the root of the repository, where they can be used as they are.
        let path = Path::new(argument.as_ref());
        let text = path.strip_prefix(root()).unwrap_or(path).to_string_lossy();
        let plain = text.chars().all(|c| c.is_alphanumeric() || "-_./:=".contains(c));
        let quote = if plain { "" } else { "'" };
        line.extend([" ", quote, &text, quote]);
    }
    println!("{line}");
}

/// A model file and the program that serves it.
#[derive(Debug)]
pub(crate) struct LocalModel {
    pub(crate) file: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) port: u16,
}

/// The running server; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    log: PathBuf,
    running: Running,
}

impl Server {
    /// Starts `bulla serve` and waits until it is ready.
    pub(crate) fn start(
        product: &Product,
        model: Option<&LocalModel>,
        log: PathBuf,
        stop: &Stop,
    ) -> Result<Self, Trouble> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut arguments: Vec<&OsStr> = vec!["serve".as_ref(), "--data".as_ref(), product.data()];
        let (listen, port);
        listen = address.to_string();
        arguments.extend([OsStr::new("--listen"), listen.as_ref()]);
        if let Some(model) = model {
            port = model.port.to_string();
            arguments.extend([OsStr::new("--local-model"), model.file.as_os_str()]);
            arguments.extend([OsStr::new("--local-model-bin"), model.program.as_os_str()]);
            arguments.extend([OsStr::new("--local-model-port"), port.as_ref()]);
        }
        if product.shown {
            show("bulla", &arguments);
        }
        let mut command = Command::new(&product.bulla);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let mut server = Self { address, log, running: Running::start(&mut command)? };
        server.wait_until_ready(address, "/readyz", stop)?;
        if let Some(model) = model {
            // Bulla is ready before its model is: it serves other routes meanwhile.
            let model = SocketAddr::from((Ipv4Addr::LOCALHOST, model.port));
            server.wait_until_ready(model, "/health", stop)?;
        }
        Ok(server)
    }

    fn wait_until_ready(
        &mut self,
        address: SocketAddr,
        path: &str,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        let until = now() + READY_LIMIT;
        while now() < until {
            self.still_runs()?;
            if client::get(address, path).is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            stop.sleep(READY_POLL)?;
        }
        let lines = self.last_lines();
        Err(Trouble(format!("http://{address}{path} is not ready after {READY_LIMIT:?}{lines}")))
    }

    /// # Errors
    /// When the server has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), Trouble> {
        match self.running.ended()? {
            None => Ok(()),
            Some(status) => {
                Err(Trouble(format!("the server ended by itself: {status}{}", self.last_lines())))
            }
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.iter().skip(from).fold(String::new(), |text, line| text + "\n  " + line)
    }

    /// Asks the server to end and waits for it.
    ///
    /// # Errors
    /// When it does not end in time or not in order.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        let status = self.running.end()?;
        if status.success() {
            Ok(())
        } else {
            Err(Trouble(format!("the server did not end in order: {status}")))
        }
    }
}

/// A free port of loopback. Another program may take it before it is used; the
/// demo then fails with that program's error.
pub(crate) fn free_port() -> Result<u16, Trouble> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
