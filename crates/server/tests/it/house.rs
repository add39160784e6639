//! One data directory in a scratch folder, and the real programs run on it.

use crate::rules::Rules;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use testkit::client::{self, Events, Request, Response, Transcript, chat};
use tokio::time::Instant;

/// A server that has not said its address by then never will.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Longer than what a server that is asked to stop gives to connections and exchanges.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// What is promised of changes by another process, and as much again for a busy machine.
pub(crate) const CHANGE_LIMIT: Duration = Duration::from_secs(2);

/// How soon a server knows of a connection that it keeps for later that the other end has closed it. A prompt
/// that is sent before that may have arrived, as far as anybody knows, which is another failure.
pub(crate) const HANG_UP: Duration = Duration::from_millis(300);

/// How often something is looked at that changes soon.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// `bulla`, in an environment that holds nothing of the runner's.
pub(crate) fn bulla() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla"));
    bare_environment(&mut command);
    command
}

fn bare_environment(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("USER", "test-operator");
}

/// `bulla-verify`, which lies beside `bulla`.
pub(crate) fn bulla_verify() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_bulla")).with_file_name("bulla-verify");
    assert!(
        program.exists(),
        "there is no {}: run `cargo build -p ledger --bins` first",
        program.display()
    );
    let mut command = Command::new(program);
    bare_environment(&mut command);
    command
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        Self {
            // A command that a signal ended has no exit code.
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed; it must have done what was asked.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Checks that it ended with `code` and said `words` on standard error.
    pub(crate) fn fails(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(words), "\"{words}\" is not in: {}", self.err);
    }
}

/// A data directory in a scratch folder.
#[derive(Debug)]
pub(crate) struct House {
    scratch: TempDir,
    /// The key under which the log's checkpoints are signed, as `init` printed it.
    pub(crate) verifier_key: String,
    /// That of the deployment's own log.
    pub(crate) anchor_key: String,
    /// The secret of an API key for treatment; empty before there is one.
    pub(crate) key: String,
    level: &'static str,
    key_file: Option<PathBuf>,
    numbers: AtomicUsize,
}

impl House {
    /// Right after `bulla init`.
    pub(crate) fn bare() -> Self {
        Self::made(None)
    }

    /// The same under the key that this file leads to.
    pub(crate) fn under(key_file: &Path) -> Self {
        Self::made(Some(key_file.to_owned()))
    }

    fn made(key_file: Option<PathBuf>) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("tmp")).unwrap();
        let mut house = Self {
            scratch,
            verifier_key: String::new(),
            anchor_key: String::new(),
            key: String::new(),
            level: "info",
            key_file,
            numbers: AtomicUsize::new(0),
        };
        let said = Done::of(
            bulla()
                .arg("init")
                .arg(house.data())
                .args(["--org", "Lakeside Family Clinic (synthetic)"])
                .args(
                    house
                        .key_file
                        .iter()
                        .flat_map(|file| [OsStr::new("--key-file"), file.as_os_str()]),
                ),
        )
        .ok();
        house.verifier_key = verifier_key(&said);
        let mut keys = said.split_whitespace().filter(|word| word.starts_with("bulla/dep_"));
        keys.nth(1).expect("init prints the anchor key").clone_into(&mut house.anchor_key);
        house
    }

    /// With these rules in force and a key for treatment.
    pub(crate) fn with(rules: &Rules) -> Self {
        let mut house = Self::bare();
        house.apply(rules).ok();
        house.key = house.create_key(&["--purpose", "treatment"]).secret;
        house
    }

    /// The server logs from this level on.
    pub(crate) fn logging(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A path in the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A path in the scratch folder that nobody has used.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        self.path(&format!("{}-{name}", self.numbers.fetch_add(1, Ordering::Relaxed)))
    }

    /// `bulla ARGUMENTS --data DIR`, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bulla();
        command.args(arguments).arg("--data").arg(self.data());
        if let Some(file) = &self.key_file {
            command.arg("--key-file").arg(file);
        }
        command.env("BULLA_LOG", self.level).env("TMPDIR", self.path("tmp"));
        command
    }

    /// Runs `bulla ARGUMENTS --data DIR`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.command(arguments))
    }

    pub(crate) fn apply(&self, rules: &Rules) -> Done {
        self.apply_text(rules.text())
    }

    pub(crate) fn apply_text(&self, text: &str) -> Done {
        let file = self.fresh("rules.toml");
        fs::write(&file, text).unwrap();
        self.run(&["apply", file.to_str().unwrap()])
    }

    pub(crate) fn create_key(&self, more: &[&str]) -> Key {
        let arguments = [&["key", "create", "--owner", "Example Bot"], more].concat();
        Key::parse(&self.run(&arguments).ok())
    }

    /// `bulla serve` on a free loopback port.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&["--listen", "127.0.0.1:0"])
    }

    pub(crate) fn serve_with(&self, more: &[&str]) -> Serving {
        self.start(self.command(&[&["serve"], more].concat()))
    }

    /// Runs a command that becomes a server.
    pub(crate) fn start(&self, command: Command) -> Serving {
        let out = self.fresh("stdout.txt");
        let err = self.fresh("stderr.txt");
        Serving::start(command, &out, err, self.key.clone())
    }
}

/// The key in what `bulla init` prints.
pub(crate) fn verifier_key(said: &str) -> String {
    let key = said.split_whitespace().find(|word| word.starts_with("bulla/dep_"));
    key.expect("init prints the verifier key").to_owned()
}

/// An API key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) id: String,
    /// What a caller shows.
    pub(crate) secret: String,
}

impl Key {
    pub(crate) fn parse(said: &str) -> Self {
        let id = said.split_whitespace().find(|word| word.starts_with("key_"));
        let secret = said.lines().last().filter(|line| line.starts_with("bulla_"));
        Self {
            id: id.expect("the key's name is printed").to_owned(),
            secret: secret.expect("the key's secret is printed").to_owned(),
        }
    }
}

/// A running server. Dropping it kills it, as a power cut would.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: SocketAddr,
    key: String,
    err: PathBuf,
}

impl Serving {
    fn start(mut command: Command, out: &Path, err: PathBuf, key: String) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(File::create(out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(out).unwrap();
            if let Some(address) = address(&said) {
                return Self { child, address, key, err };
            }
            let ended = child.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                drop(child.kill());
                panic!("no server ({ended:?}): {said}{}", fs::read_to_string(&err).unwrap());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The house's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its log so far.
    pub(crate) fn log_lines(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Kills it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log_lines());
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("the server does not stop: {}", self.log_lines());
    }

    /// One request over a connection of its own.
    pub(crate) async fn call(&self, request: &Request) -> Response {
        client::call(self.address, request).await.unwrap()
    }

    /// A chat request with the house's key.
    pub(crate) fn request(&self, body: &Value) -> Request {
        Request::chat(body).bearer(&self.key)
    }

    /// Asks for a whole answer with the house's key.
    pub(crate) async fn ask(&self, body: &Value) -> Response {
        self.call(&self.request(body)).await
    }

    /// Opens a stream with the house's key.
    pub(crate) async fn open(&self, body: &Value) -> Events {
        client::open(self.address, &self.request(&streaming(body))).await.unwrap()
    }

    /// Reads a whole stream.
    pub(crate) async fn stream(&self, body: &Value) -> Transcript {
        self.open(body).await.collect().await
    }

    /// `GET PATH` with the house's key.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.call(&Request::get(path).bearer(&self.key)).await
    }

    /// Waits until the rules that offer `model` are in force here, and says how long that took.
    pub(crate) async fn offers(&self, model: &str) -> Duration {
        let begun = Instant::now();
        while !self.get("/v1/models").await.text().contains(&format!("\"{model}\"")) {
            assert!(begun.elapsed() < CHANGE_LIMIT, "{model} is not offered");
            tokio::time::sleep(LOOK).await;
        }
        begun.elapsed()
    }

    /// Waits until a key that was just made is known here.
    pub(crate) async fn knows(&self, secret: &str) {
        let begun = Instant::now();
        while self.call(&Request::get("/v1/models").bearer(secret)).await.status() == 401 {
            assert!(begun.elapsed() < CHANGE_LIMIT, "the key is not known");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until version `version` of the configuration is in force here.
    pub(crate) async fn follows(&self, version: u64) {
        let expected = format!("version {version}");
        let begun = Instant::now();
        loop {
            let ready = self.call(&Request::get("/readyz")).await.json();
            if ready["configuration"] == expected.as_str() {
                return;
            }
            assert!(begun.elapsed() < CHANGE_LIMIT, "{expected} is not in force: {ready}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have been stopped already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn address(said: &str) -> Option<SocketAddr> {
    let line = said.lines().find(|line| line.starts_with("bulla ") && line.ends_with("/v1"))?;
    line.strip_suffix("/v1")?.rsplit_once("//")?.1.parse().ok()
}

/// The same request, streamed.
pub(crate) fn streaming(body: &Value) -> Value {
    let mut body = body.clone();
    body["stream"] = true.into();
    body
}

/// One user message.
pub(crate) fn user(text: &str) -> Value {
    chat(&[("user", text)])
}

/// An error's code; the error must have `OpenAI`'s shape and hold none of `values`.
pub(crate) fn error_code(status: u16, text: &str, values: &[&str]) -> String {
    for value in values {
        assert!(!text.contains(value), "{status}: {value} is in {text}");
    }
    let document: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{status}: {text}"));
    let error = document["error"].as_object().unwrap_or_else(|| panic!("{status}: {text}"));
    assert_eq!(document.as_object().unwrap().len(), 1, "{text}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{text}");
    assert!(error["type"].is_string(), "{text}");
    assert!(error["param"].is_null(), "{text}");
    error["code"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// Checks that a response is this refusal and repeats none of `values`, in its body or its headers.
pub(crate) fn check_refusal(response: &Response, status: u16, code: &str, values: &[&str]) {
    let text = response.text();
    assert_eq!(
        (response.status(), error_code(status, &text, values).as_str()),
        (status, code),
        "{text}"
    );
    for (name, header) in &response.head.headers {
        assert!(!values.iter().any(|value| header.contains(value)), "{name}: {header}");
    }
}
