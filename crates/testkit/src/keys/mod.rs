//! Key services on loopback: each really encrypts with keys of its own, looks closely at what it is
//! sent, and fails in the ways real ones fail.
//!
//! A request that the real service would not take is answered with 400 and becomes a
//! [`KeyStand::complaints`]; a test that passes with complaints passes for the wrong reason.

#![expect(clippy::expect_used, reason = "without its stand-in no test can go on")]

mod aws;
mod azure;
mod gcp;
mod vault;

use crate::entropy::Seeded;
use crate::upstream::{Authority, Flaw};
use aws_lc_rs::rsa;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ledger::seal::ContentKey;
use ledger::{ContentKeyId, Time};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Which service, and how it is logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Vault with a token of the environment.
    VaultToken,
    /// Vault with a role and its secret id.
    VaultAppRole,
    /// Vault with the token of a Kubernetes service account.
    VaultKubernetes,
    /// AWS with keys of the environment.
    AwsKeys,
    /// AWS with a web identity.
    AwsWebIdentity,
    /// AWS with the role of the machine.
    AwsInstance,
    /// Google Cloud with the key of a service account.
    GcpAccount,
    /// Google Cloud with the account of the machine.
    GcpInstance,
    /// Azure with a client secret.
    AzureSecret,
    /// Azure with a federated token.
    AzureFederated,
    /// Azure with the identity of the machine.
    AzureInstance,
}

impl Stand {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::VaultToken,
        Self::VaultAppRole,
        Self::VaultKubernetes,
        Self::AwsKeys,
        Self::AwsWebIdentity,
        Self::AwsInstance,
        Self::GcpAccount,
        Self::GcpInstance,
        Self::AzureSecret,
        Self::AzureFederated,
        Self::AzureInstance,
    ];
}

/// How a service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It does what it is asked to.
    Good,
    /// Its key is disabled.
    Disabled,
    /// Whoever asks may not.
    Denied,
    /// It lets nobody in.
    LetsNobodyIn,
    /// It takes the request and never answers.
    Hangs,
    /// It answers 500.
    Fails,
    /// It answers what is no answer.
    Garbage,
    /// Its answer does not end.
    Endless,
    /// It sends elsewhere.
    Redirects,
}

/// Longer than any caller waits.
const HANG: Duration = Duration::from_secs(30);

/// What a stand shows as proof of its caller's identity, and what it gives out; never to be seen in
/// a text.
pub(crate) const SECRET: &str = "synthetic-secret-5f3a";

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST`
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The fields of a form.
    fn form(&self) -> BTreeMap<String, String> {
        fields(&String::from_utf8_lossy(&self.body))
    }
}

fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), unescape(value))).collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = [rest.clone().next(), rest.clone().nth(1)];
        match (byte, escaped) {
            (b'%', [Some(high), Some(low)]) => {
                let hex = [high, low];
                bytes.extend(data_encoding::HEXUPPER.decode(&hex).unwrap_or_default());
                rest.nth(1);
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer.
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn of(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }

    fn good(body: &Value) -> Self {
        Self::of(200, body.to_string())
    }
}

/// Why a key is not used.
#[derive(Clone, Copy)]
enum Refusal {
    Disabled,
    Denied,
}

/// What is wrong with a request.
type Complaint = String;

struct State {
    mood: Mood,
    /// Versions of the key, the newest last.
    keys: Vec<ContentKey>,
    /// Logins that were given out and are good.
    logins: Vec<String>,
    /// How many were given out.
    given: usize,
    seen: Vec<Seen>,
    complaints: Vec<Complaint>,
}

struct Shared {
    stand: Stand,
    address: SocketAddr,
    state: Mutex<State>,
    entropy: Seeded,
    account: Option<rsa::KeyPair>,
    tls: Option<Tls>,
}

struct Tls {
    server: Arc<rustls::ServerConfig>,
    authority_pem: String,
}

/// A key service, until the process ends.
pub struct KeyStand {
    shared: Arc<Shared>,
    folder: TempDir,
}

impl std::fmt::Debug for KeyStand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStand({:?})", self.shared.stand)
    }
}

impl KeyStand {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(stand: Stand) -> Self {
        Self::begin(stand, None)
    }

    /// Starts one behind TLS, with a certificate in which this is wrong. Its key file trusts the
    /// authority.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start_tls(stand: Stand, authority: &Authority, flaw: Flaw) -> Self {
        let (server, authority_pem) = (authority.server_config(flaw), authority.pem());
        Self::begin(stand, Some(Tls { server, authority_pem }))
    }

    fn begin(stand: Stand, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("a port of loopback");
        let state = State {
            mood: Mood::Good,
            keys: Vec::new(),
            logins: Vec::new(),
            given: 0,
            seen: Vec::new(),
            complaints: Vec::new(),
        };
        let account = (stand == Stand::GcpAccount)
            .then(|| rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("an RSA key"));
        let shared = Arc::new(Shared {
            stand,
            address,
            state: Mutex::new(state),
            entropy: Seeded::new(0x6b65_7973 ^ u64::from(address.port())),
            account,
            tls,
        });
        let this = Self {
            shared: Arc::clone(&shared),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        this.rotate();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Whoever is gone is none of its business.
                    let _answered = accept(&shared, stream).is_ok();
                });
            }
        });
        this
    }

    /// Behaves so from here on.
    pub fn is(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// Adds a version of the key, which wraps from here on.
    pub fn rotate(&self) {
        let key = ContentKey::generate(Time::from_micros(0), &self.shared.entropy);
        self.shared.state().keys.push(key);
    }

    /// Lets nobody in any more who was let in before.
    pub fn forget_logins(&self) {
        self.shared.state().logins.clear();
    }

    /// How many logins were given out.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.shared.state().given
    }

    /// What it was sent.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// What was wrong with what it was sent.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.shared.state().complaints.clone()
    }

    /// What no text but a request may hold.
    #[must_use]
    pub const fn secret() -> &'static str {
        SECRET
    }

    /// Writes a key file that leads here, with the files that it names, and says where it is.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        let text = match self.shared.stand {
            Stand::VaultToken | Stand::VaultAppRole | Stand::VaultKubernetes => {
                vault::key_file(self)
            }
            Stand::AwsKeys | Stand::AwsWebIdentity | Stand::AwsInstance => aws::key_file(self),
            Stand::GcpAccount | Stand::GcpInstance => gcp::key_file(self),
            Stand::AzureSecret | Stand::AzureFederated | Stand::AzureInstance => {
                azure::key_file(self)
            }
        };
        self.write("operator.key", &text).into()
    }

    /// The environment that the key file needs.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        match (self.shared.stand, name) {
            (Stand::VaultToken, "BULLA_TEST_TOKEN") => Some(format!("{SECRET}-vault")),
            (Stand::AzureSecret, "BULLA_TEST_CLIENT_SECRET") => Some(format!("{SECRET}-azure")),
            (Stand::AwsKeys, "AWS_ACCESS_KEY_ID") => Some(aws::KEY_ID.to_owned()),
            (Stand::AwsKeys, "AWS_SECRET_ACCESS_KEY") => Some(format!("{SECRET}-aws")),
            (Stand::AwsWebIdentity, "AWS_ROLE_ARN") => Some(aws::ROLE.to_owned()),
            (Stand::AwsWebIdentity, "AWS_WEB_IDENTITY_TOKEN_FILE") => {
                Some(self.write("identity", &format!("{SECRET}-jwt\n")))
            }
            _ => None,
        }
    }

    fn address(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.shared.address)
    }

    /// The line of a key file that says which authority is trusted.
    fn ca_file(&self) -> String {
        self.shared.tls.as_ref().map_or_else(String::new, |tls| {
            format!("ca_file = \"{}\"\n", self.write("ca.pem", &tls.authority_pem))
        })
    }

    /// Writes a file, and says where it is.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .expect("a temporary file");
        file.write_all(text.as_bytes()).expect("a temporary file");
        path.display().to_string()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives out a login.
    fn let_in(&self) -> String {
        let mut state = self.state();
        state.given += 1;
        let login = format!("{SECRET}-login-{}", state.given);
        state.logins.push(login.clone());
        login
    }

    fn is_in(&self, login: &str) -> bool {
        self.state().logins.iter().any(|given| given == login)
    }

    fn mood(&self) -> Mood {
        self.state().mood
    }

    /// Why its key is not used at this moment.
    fn refusal(&self) -> Option<Refusal> {
        match self.mood() {
            Mood::Disabled => Some(Refusal::Disabled),
            Mood::Denied | Mood::LetsNobodyIn => Some(Refusal::Denied),
            Mood::Good
            | Mood::Hangs
            | Mood::Fails
            | Mood::Garbage
            | Mood::Endless
            | Mood::Redirects => None,
        }
    }

    /// Encrypts with the newest key, and says which version that is, from 1.
    fn encrypt(&self, bound: &str, plain: &[u8]) -> (usize, Vec<u8>) {
        let state = self.state();
        let key = state.keys.last().expect("there is always a key");
        (state.keys.len(), key.seal_small(bound, plain, &self.entropy))
    }

    fn decrypt(&self, version: usize, bound: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let state = self.state();
        let key = state.keys.get(version.checked_sub(1)?)?;
        key.open_small(bound, sealed).ok().map(|plain| plain.to_vec())
    }

    fn answer(&self, seen: &Seen) -> Result<Answer, Complaint> {
        let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(format!("a header is there twice: {twice:?}"));
        }
        match self.stand {
            Stand::VaultToken | Stand::VaultAppRole | Stand::VaultKubernetes => {
                vault::answer(self, seen)
            }
            Stand::AwsKeys | Stand::AwsWebIdentity | Stand::AwsInstance => aws::answer(self, seen),
            Stand::GcpAccount | Stand::GcpInstance => gcp::answer(self, seen),
            Stand::AzureSecret | Stand::AzureFederated | Stand::AzureInstance => {
                azure::answer(self, seen)
            }
        }
    }
}

fn accept(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let Some(tls) = &shared.tls else { return serve(shared, stream) };
    let connection =
        rustls::ServerConnection::new(Arc::clone(&tls.server)).map_err(io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, stream);
    serve(shared, &mut stream)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn serve(shared: &Shared, stream: impl Read + Write) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut seen =
        Seen { method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() };
    let length = seen.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body)?;
    shared.state().seen.push(seen.clone());
    let mut stream = reader.into_inner();
    let answer = match shared.mood() {
        Mood::Good | Mood::Disabled | Mood::Denied | Mood::LetsNobodyIn => {
            shared.answer(&seen).unwrap_or_else(|complaint| {
                shared.state().complaints.push(format!("{method} {path}: {complaint}"));
                Answer::of(400, "")
            })
        }
        Mood::Hangs => {
            std::thread::sleep(HANG);
            return Ok(());
        }
        Mood::Fails => Answer::of(500, "{}"),
        Mood::Garbage => Answer::of(200, "<html>synthetic</html>"),
        Mood::Redirects => {
            let head = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\n";
            write!(stream, "{head}content-length: 0\r\nconnection: close\r\n\r\n")?;
            return Ok(());
        }
        Mood::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
    };
    let Answer { status, body } = answer;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Complains unless both are the same.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly a reference itself")]
fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), Complaint> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:?}, not {expected:?}")) }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Complaint> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| format!("no {name}"))
}

/// The base64 text of a member.
fn bytes(value: &Value, name: &str) -> Result<Vec<u8>, Complaint> {
    BASE64.decode(text(value, name)?.as_bytes()).map_err(|_| format!("{name} is not base64"))
}

/// A member whose bytes are text: what something is bound to.
fn bound(value: &Value, name: &str) -> Result<String, Complaint> {
    String::from_utf8(bytes(value, name)?).map_err(|_| format!("{name} is no text"))
}

/// What a key wraps must be a key of 32 bytes.
fn a_key(plain: Vec<u8>) -> Result<Vec<u8>, Complaint> {
    expect("the length of the key", plain.len(), 32)?;
    Ok(plain)
}

fn base64url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The id of a version: 32 hexadecimal digits.
fn version_id(version: usize) -> String {
    let id = ContentKeyId::from_bytes([u8::try_from(version).unwrap_or(0); 16]).to_string();
    id.trim_start_matches("kek_").to_owned()
}
