//! The processes that are measured: started, pinned, waited for, stopped.

use crate::options::Options;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// The core of Bulla, and of what is measured beside it, when pinned.
const CORE_OF_MEASURED: &str = "0";
/// The core of everything else, when pinned.
const CORE_OF_OTHERS: &str = "1";

/// A process that is not ready by then never will be.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Between two looks whether it is ready: also the error of the cold start.
const READY_LOOKS: Duration = Duration::from_millis(1);
/// Bulla lets running answers end for at most 30 seconds.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// What is shown of a log when a process fails.
const TAIL_LINES: usize = 5;

/// A running process. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts a program; what it says goes to `log`.
    pub(crate) fn spawn(
        mut command: Command,
        address: SocketAddr,
        log: PathBuf,
    ) -> io::Result<Self> {
        let out = File::create(&log)?;
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn();
        let child = child.map_err(|error| {
            let program = command.get_program().to_string_lossy();
            io::Error::other(format!("cannot run {program}: {error}"))
        })?;
        Ok(Self { child, log, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        // `taskset` becomes the program that it starts, so this is the program's own.
        self.child.id()
    }

    /// Looks until `ready` says yes; says how long that took since `begun`.
    pub(crate) async fn ready<F>(
        &mut self,
        begun: Instant,
        ready: impl Fn(SocketAddr) -> F,
    ) -> io::Result<Duration>
    where
        F: Future<Output = bool>,
    {
        loop {
            if ready(self.address).await {
                return Ok(begun.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failure(&format!("ended with {status} before it was ready")));
            }
            if begun.elapsed() > READY_LIMIT {
                return Err(self.failure("was not ready in time"));
            }
            sleep(READY_LOOKS).await;
        }
    }

    /// Waits until a process that chooses its own port has said where it listens: a line `address
    /// HOST:PORT` of its log.
    pub(crate) async fn ready_where_it_says(&mut self) -> io::Result<()> {
        let log = self.log.clone();
        let said = || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.lines().find_map(|line| line.strip_prefix("address ")?.trim().parse().ok())
        };
        self.ready(Instant::now(), |_| std::future::ready(said().is_some())).await?;
        self.address = said().ok_or_else(|| self.failure("does not say where it listens"))?;
        Ok(())
    }

    /// Asks it to stop and waits; says how long that took.
    pub(crate) fn stop(mut self) -> io::Result<Duration> {
        let begun = Instant::now();
        let pid = self.pid().to_string();
        run(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]))?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(begun.elapsed());
                }
                return Err(self.failure(&format!("stopped with {status}")));
            }
            if begun.elapsed() > STOP_LIMIT {
                return Err(self.failure("did not stop in time"));
            }
            std::thread::sleep(READY_LOOKS);
        }
    }

    fn failure(&self, what: &str) -> io::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        io::Error::other(format!("{} {what}:\n{}", self.log.display(), tail.join("\n")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command to its end; its standard output, or why it failed.
pub(crate) fn run(command: &mut Command) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::other(format!("cannot run {name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name}: {}: {}", output.status, said.trim())))
}

/// A program on the core of what is measured, if cores are pinned.
pub(crate) fn measured(options: &Options, program: &Path) -> Command {
    if !options.pin {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args([OsStr::new("-c"), OsStr::new(CORE_OF_MEASURED), program.as_os_str()]);
    command
}

/// Moves this process, and so what it starts from here on, to the core of the others.
pub(crate) fn pin_this_process() -> io::Result<()> {
    let pid = std::process::id().to_string();
    run(Command::new("taskset").args(["-a", "-c", "-p", CORE_OF_OTHERS, &pid])).map(drop)
}

/// A loopback port that was free just now.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The stand-in model server as a process of its own.
///
/// Paced, it waits 50 ms before the first event of a stream and 10 ms between two, as a fast model
/// does.
pub(crate) async fn upstream(options: &Options, dir: &Path, paced: bool) -> io::Result<Process> {
    let address = free_address()?;
    let mut command = Command::new(options.bin_dir.join("examples").join("upstream"));
    command.args(["--canned-surrogate", "--port", &address.port().to_string()]);
    if paced {
        command.args(["--first-ms", "50", "--gap-ms", "10"]);
    }
    let log = dir.join(if paced { "upstream-paced.log" } else { "upstream.log" });
    let mut process = Process::spawn(command, address, log)?;
    let connects = |address| async move { TcpStream::connect(address).await.is_ok() };
    process.ready(Instant::now(), connects).await?;
    Ok(process)
}
