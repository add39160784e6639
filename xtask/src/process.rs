//! Other programs: run to their end, or kept running and ended by their pid.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How often a running program and the stop flag are looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a program that was asked to end may take before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Lines between the readers and the printer; more than this only waits.
const LINES_LIMIT: usize = 256;

/// Why a command of this tool did not do its work. The message says what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble(pub(crate) String);

impl Trouble {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Set once the user or the system asks this tool to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for SIGINT and SIGTERM from here on.
    pub(crate) fn listen() -> Result<Self, Trouble> {
        let flag = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&flag);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let (Ok(mut interrupt), Ok(mut terminate)) =
                    (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                raised.store(true, Ordering::SeqCst);
            });
        })?;
        Ok(Self(flag))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits, unless the stop is asked for first.
    ///
    /// # Errors
    /// When the stop is asked for.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Trouble> {
        let until = now() + time;
        while now() < until {
            if self.asked() {
                return Err(interrupted());
            }
            std::thread::sleep(POLL.min(time));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }
}

fn interrupted() -> Trouble {
    Trouble::new("interrupted")
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this development tool measures itself")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo, as the one that runs this tool.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A program that runs until this is dropped, on whatever path that happens.
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Trouble> {
        let name = name(command);
        let child =
            command.spawn().map_err(|error| Trouble(format!("{name} does not start: {error}")))?;
        Ok(Self { name, child })
    }

    /// The exit status, once it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Trouble> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end; ends it when the stop is asked for.
    pub(crate) fn wait(mut self, stop: &Stop) -> Result<ExitStatus, Trouble> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if stop.asked() {
                return Err(interrupted());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks it to end, waits, and returns its exit status.
    pub(crate) fn end(mut self) -> Result<ExitStatus, Trouble> {
        self.ask_to_end();
        self.ended()?.ok_or_else(|| Trouble(format!("{} did not end in time", self.name)))
    }

    fn ask_to_end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err() {
            // It has ended meanwhile.
            return;
        }
        let until = now() + END_PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && now() < until {
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_end();
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// Runs a program to its end with its output on ours.
///
/// # Errors
/// When it does not start, does not succeed, or the stop is asked for.
pub(crate) fn run(command: &mut Command, stop: &Stop) -> Result<(), Trouble> {
    let name = name(command);
    succeeded(&name, Running::start(command)?.wait(stop)?)
}

fn succeeded(name: &str, status: ExitStatus) -> Result<(), Trouble> {
    if status.success() { Ok(()) } else { Err(Trouble(format!("{name} failed: {status}"))) }
}

/// Runs a program to its end, prints its lines, and shows each to `see`.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_seen(
    command: &mut Command,
    stop: &Stop,
    mut see: impl FnMut(&str),
) -> Result<(), Trouble> {
    run_read(command, stop, |line| {
        println!("{line}");
        see(&without_escapes(line));
    })
}

/// Runs a program to its end and hands over each line of its output, errors included.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_read(
    command: &mut Command,
    stop: &Stop,
    mut read: impl FnMut(&str),
) -> Result<(), Trouble> {
    let name = name(command);
    let mut running =
        Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (sender, lines) = sync_channel(LINES_LIMIT);
    forward(running.child.stdout.take(), &sender)?;
    forward(running.child.stderr.take(), &sender)?;
    drop(sender);
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => read(&line),
            Err(RecvTimeoutError::Timeout) if stop.asked() => return Err(interrupted()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    succeeded(&name, running.wait(stop)?)
}

fn forward(
    from: Option<impl Read + Send + 'static>,
    to: &SyncSender<String>,
) -> Result<(), Trouble> {
    let Some(from) = from else { return Ok(()) };
    let to = to.clone();
    std::thread::Builder::new().name("lines".into()).spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if to.send(text).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// As [`run`]; the message holds its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String, Trouble> {
    let name = name(command);
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Trouble(format!("{name} does not start: {error}")))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(Trouble(format!("{name} failed: {}\n{}", ended.status, said.trim_end())))
}

/// Runs a program to its end and returns its standard output and its exit code; its errors go to ours.
///
/// # Errors
/// When it does not start, a signal ended it, or the stop is asked for.
pub(crate) fn output_and_code(
    command: &mut Command,
    stop: &Stop,
) -> Result<(String, i32), Trouble> {
    let name = name(command);
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let out = running.child.stdout.take();
    let reader = std::thread::Builder::new().name("output".into()).spawn(move || {
        let mut text = String::new();
        // What is no text is not shown; the exit code says whether it went well.
        out.map_or(Ok(0), |mut out| out.read_to_string(&mut text)).map(|_| text)
    })?;
    let status = running.wait(stop)?;
    let text = reader.join().map_err(|_| Trouble(format!("{name} could not be read")))??;
    let code = status.code().ok_or_else(|| Trouble(format!("{name} failed: {status}")))?;
    Ok((text, code))
}

/// Drops terminal escapes of the form `ESC [ ... letter`.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            let inside = |c: &char| !c.is_ascii_alphabetic();
            while characters.next().as_ref().is_some_and(inside) {}
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_not_text() {
        assert_eq!(without_escapes("\x1b[32;1m12\x1b[0m passed"), "12 passed");
    }

    #[test]
    fn a_program_that_fails_is_trouble_and_its_lines_are_seen() {
        let mut seen = Vec::new();
        let script = "echo out; echo err >&2; exit 3";
        let result = run_seen(Command::new("sh").args(["-c", script]), &Stop::never(), |line| {
            seen.push(line.to_owned());
        });
        seen.sort();
        assert_eq!(seen, ["err", "out"]);
        assert!(result.is_err_and(|trouble| trouble.0.contains("sh failed")));
    }

    #[test]
    fn a_running_program_ends_when_its_guard_is_dropped() {
        let running = Running::start(Command::new("sleep").arg("600")).unwrap();
        let pid = rustix::process::Pid::from_child(&running.child);
        drop(running);
        assert!(rustix::process::test_kill_process(pid).is_err(), "the pid must be gone");
    }

    #[test]
    fn a_stop_ends_the_program_that_is_waited_for() {
        let stop = Stop::never();
        stop.0.store(true, Ordering::SeqCst);
        let result = run(Command::new("sleep").arg("600"), &stop);
        assert_eq!(result, Err(Trouble::new("interrupted")));
    }
}
