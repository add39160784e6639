//! Object storage on loopback that speaks S3: it checks each signature, lists in pages, writes nothing over
//! anything, takes nothing away, and fails in the ways real ones fail.
//!
//! A request that the real service would not take, or that no copy of a log should make, is answered with
//! 400 and becomes a [`Bucket::complaints`]; a test that passes with complaints passes for the wrong reason.

#![expect(clippy::expect_used, reason = "without its stand-in no test can go on")]

use crate::upstream::{Authority, Flaw};
use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, HEXLOWER};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The id of the access key that the bucket takes.
pub const ACCESS_KEY: &str = "AKIDSYNTHETIC";

/// Its secret.
pub const SECRET_KEY: &str = "synthetic-bucket-secret-77d1";

/// The name of the bucket.
pub const NAME: &str = "audit";

/// The region that it signs for.
const REGION: &str = "us-east-1";

/// Longer than any caller waits.
const HANG: Duration = Duration::from_secs(90);

/// How long [`Bucket::wait_for`] waits before it says that something never came.
const WAIT_LIMIT: Duration = Duration::from_secs(40);

/// The lock of a bucket that nobody can open for seven years.
pub const LOCKED: &str = "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>7</Years></DefaultRetention></Rule>";

/// How the bucket behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It does what it is asked to.
    Good,
    /// It takes the request and never answers.
    Hangs,
    /// It answers 500.
    Fails,
    /// It answers 503 and asks to be asked less often.
    SlowDown,
    /// Whoever asks may not.
    Denied,
    /// It answers what is no answer.
    Garbage,
    /// It writes what it is asked to, and loses the connection before it says so.
    LosesAnswers,
    /// It sends elsewhere.
    Redirects,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    objects: BTreeMap<String, Vec<u8>>,
    lock: Option<String>,
    page: usize,
    requests: usize,
    complaints: Vec<String>,
}

/// A bucket, until the process ends.
#[derive(Debug)]
pub struct Bucket {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    authority_pem: Option<String>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bucket {
    /// Starts an empty one that locks what is written for seven years.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start() -> Self {
        Self::begin(None, None)
    }

    /// Starts one behind TLS, with a certificate in which this is wrong.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start_tls(flaw: Flaw) -> Self {
        let authority = Authority::new();
        Self::begin(Some(authority.server_config(flaw)), Some(authority.pem()))
    }

    fn begin(tls: Option<Arc<rustls::ServerConfig>>, authority_pem: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("a port of loopback");
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Good,
            objects: BTreeMap::new(),
            lock: Some(LOCKED.to_owned()),
            page: 1000,
            requests: 0,
            complaints: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || {
                    // Whoever is gone is none of its business.
                    let _answered = accept(address, &state, tls, stream).is_ok();
                });
            }
        });
        Self { address, state, authority_pem }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that its own one is under, PEM; empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority_pem.as_deref().unwrap_or_default()
    }

    /// Behaves so from here on.
    pub fn is(&self, mood: Mood) {
        locked(&self.state).mood = mood;
    }

    /// What it answers when it is asked for its lock; 404 when there is nothing.
    pub fn locks(&self, lock: Option<&str>) {
        locked(&self.state).lock = lock.map(str::to_owned);
    }

    /// Lists so many objects at once.
    pub fn pages_of(&self, names: usize) {
        locked(&self.state).page = names;
    }

    /// Every object by its name.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        locked(&self.state).objects.clone()
    }

    /// Changes the objects, as nobody could do to a bucket that is locked.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut locked(&self.state).objects);
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        locked(&self.state).requests
    }

    /// What was wrong with what it was sent.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        locked(&self.state).complaints.clone()
    }

    /// Writes its objects into a folder, as an auditor downloads them.
    ///
    /// # Panics
    /// When there is no room.
    pub fn download(&self, folder: &Path) {
        for (name, bytes) in self.objects() {
            let path = folder.join(name);
            let parent = path.parent().expect("a file in a folder");
            std::fs::create_dir_all(parent).expect("a folder");
            std::fs::write(path, bytes).expect("a file");
        }
    }

    /// Waits until `enough` holds for what is there.
    ///
    /// # Panics
    /// When it does not after a long while.
    pub async fn wait_for(&self, enough: impl Fn(&BTreeMap<String, Vec<u8>>) -> bool) {
        let begun = Instant::now();
        while !enough(&locked(&self.state).objects) {
            let names: BTreeSet<String> = self.objects().into_keys().collect();
            assert!(begun.elapsed() < WAIT_LIMIT, "only {names:?}, {:?}", self.complaints());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The part of a configuration that copies the log here, under hop and copy `worm`, with the access
    /// key in files in a folder.
    ///
    /// # Panics
    /// When there is no room for them.
    #[must_use]
    pub fn rules(&self, entity: &str, keys: &Path, more: &str) -> String {
        let Self { address, authority_pem, .. } = self;
        let scheme = if authority_pem.is_some() { "https" } else { "http" };
        let write = |name: &str, text: &str| {
            let path = keys.join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let (access, secret) = (write("worm.id", ACCESS_KEY), write("worm.secret", SECRET_KEY));
        let ca = authority_pem.as_ref().map_or_else(String::new, |pem| {
            format!("ca_file = \"{}\"\n", write("worm-ca.pem", pem))
        });
        format!(
            r#"
[[hop]]
id = "worm"
entity = "{entity}"
role = "storage"
sees = "metadata"
boundary = "inside"
owner = "{entity}"
hosts = ["{address}"]

[[copy]]
id = "worm"
hop = "worm"
url = "s3://{NAME}/clinic"
endpoint = "{scheme}://{address}"
region = "{REGION}"
path_style = true
access_key = "file:{access}"
secret_key = "file:{secret}"
every_seconds = 1
{ca}{more}
"#
        )
    }
}

/// One request as it arrived.
struct Seen {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::of(status, format!("<Error><Code>{code}</Code><Message>synthetic</Message></Error>"))
    }
}

fn accept(
    address: SocketAddr,
    state: &Mutex<State>,
    tls: Option<Arc<rustls::ServerConfig>>,
    stream: TcpStream,
) -> io::Result<()> {
    let Some(tls) = tls else { return serve(address, state, stream) };
    let connection = rustls::ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, stream);
    serve(address, state, &mut stream)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn serve(address: SocketAddr, state: &Mutex<State>, stream: impl Read + Write) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            // A client that was killed before its request was whole asked for nothing.
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut seen = Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: vec![0; length],
    };
    reader.read_exact(&mut seen.body)?;
    let mut stream = reader.into_inner();
    let mood = {
        let mut state = locked(state);
        state.requests += 1;
        state.mood
    };
    let good = || {
        let mut state = locked(state);
        check_signature(address, &seen).and_then(|()| answer(&mut state, &seen)).unwrap_or_else(
            |complaint| {
                state.complaints.push(format!("{} {target}: {complaint}", seen.method));
                Answer::error(400, "InvalidRequest")
            },
        )
    };
    let Answer { status, body } = match mood {
        Mood::Good => good(),
        Mood::LosesAnswers if seen.method != "PUT" => good(),
        Mood::Hangs => {
            std::thread::sleep(HANG);
            return Ok(());
        }
        Mood::Fails => Answer::error(500, "InternalError"),
        Mood::SlowDown => Answer::error(503, "SlowDown"),
        Mood::Denied => Answer::error(403, "AccessDenied"),
        Mood::Garbage => Answer::of(200, "<html>synthetic</html>"),
        Mood::LosesAnswers => {
            good();
            return Ok(());
        }
        Mood::Redirects => {
            let head = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\n";
            write!(stream, "{head}content-length: 0\r\nconnection: close\r\n\r\n")?;
            return Ok(());
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

fn answer(state: &mut State, seen: &Seen) -> Result<Answer, String> {
    let base = format!("/{NAME}/");
    let name = seen.path.strip_prefix(&base).ok_or("another bucket")?.to_owned();
    match (seen.method.as_str(), name.as_str(), seen.query.as_str()) {
        ("GET", "", "object-lock=") => Ok(match &state.lock {
            Some(lock) => Answer::of(
                200,
                format!(
                    "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{lock}</ObjectLockConfiguration>"
                ),
            ),
            None => Answer::error(404, "ObjectLockConfigurationNotFoundError"),
        }),
        ("GET", "", query) => list(state, query),
        ("GET", name, "") => Ok(match state.objects.get(name) {
            Some(bytes) => Answer::of(200, bytes.clone()),
            None => Answer::error(404, "NoSuchKey"),
        }),
        ("PUT", name, "") if !name.is_empty() => put(state, name, seen),
        ("DELETE", ..) => Err("something is to be taken away".to_owned()),
        _ => Err("not a request of a copy".to_owned()),
    }
}

fn put(state: &mut State, name: &str, seen: &Seen) -> Result<Answer, String> {
    if seen.headers.get("if-none-match").map(String::as_str) != Some("*") {
        return Err("it would be written over what is there".to_owned());
    }
    let sum = BASE64.encode(digest::digest(&digest::SHA256, &seen.body).as_ref());
    let algorithm = seen.headers.get("x-amz-sdk-checksum-algorithm").map(String::as_str);
    if seen.headers.get("x-amz-checksum-sha256") != Some(&sum) || algorithm != Some("SHA256") {
        return Err("a bucket that locks objects wants a sum of the bytes".to_owned());
    }
    if state.objects.contains_key(name) {
        return Ok(Answer::error(412, "PreconditionFailed"));
    }
    state.objects.insert(name.to_owned(), seen.body.clone());
    Ok(Answer::of(200, ""))
}

fn list(state: &State, query: &str) -> Result<Answer, String> {
    let fields: BTreeMap<&str, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, value.replace("%2F", "/")))
        .collect();
    if fields.get("list-type").map(String::as_str) != Some("2") {
        return Err("not a listing".to_owned());
    }
    let prefix = fields.get("prefix").cloned().unwrap_or_default();
    let after = fields.get("start-after").cloned().unwrap_or_default();
    let names = state.objects.keys().filter(|name| name.starts_with(&prefix) && **name > after);
    let mut names: Vec<&String> = names.take(state.page + 1).collect();
    let more = names.len() > state.page;
    names.truncate(state.page);
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{NAME}</Name><KeyCount>{}</KeyCount><IsTruncated>{more}</IsTruncated>",
        names.len()
    );
    for name in names {
        write!(body, "<Contents><Key>{name}</Key><ETag>&quot;0&quot;</ETag></Contents>")
            .map_err(|_| "no room")?;
    }
    body.push_str("</ListBucketResult>");
    Ok(Answer::of(200, body))
}

/// Signs the request once more from what arrived, as the documentation tells it.
fn check_signature(address: SocketAddr, seen: &Seen) -> Result<(), String> {
    let header = |name: &str| seen.headers.get(name).ok_or_else(|| format!("no {name}"));
    let authorization = header("authorization")?;
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).ok_or_else(|| format!("no {name}"))?;
        Ok::<_, String>(rest.split(',').next().unwrap_or(rest).to_owned())
    };
    let names = part("SignedHeaders=")?;
    let signed: Vec<&str> = names.split(';').collect();
    for name in seen.headers.keys() {
        let needed = name == "host" || name == "if-none-match" || name.starts_with("x-amz-");
        if needed && !signed.contains(&name.as_str()) {
            return Err(format!("{name} is not signed"));
        }
    }
    let hash = |bytes: &[u8]| HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
    let same = |what: &str, found: &str, expected: &str| {
        if found == expected { Ok(()) } else { Err(format!("{what} is {found}, not {expected}")) }
    };
    same("host", header("host")?, &address.to_string())?;
    same("the digest", header("x-amz-content-sha256")?, &hash(&seen.body))?;
    let date = header("x-amz-date")?;
    let day = date.get(..8).ok_or("a date without a day")?;
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    same("the credential", &part("Credential=")?, &format!("{ACCESS_KEY}/{scope}"))?;
    let mut lines = String::new();
    for name in &signed {
        writeln!(lines, "{name}:{}", header(name)?).map_err(|_| "no room")?;
    }
    let mut query: Vec<&str> = seen.query.split('&').collect();
    query.sort_unstable();
    let request = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        seen.method,
        seen.path,
        query.join("&"),
        hash(&seen.body)
    );
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(request.as_bytes()));
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for step in [day, REGION, "s3", "aws4_request"] {
        key = sign(&key, step);
    }
    same("the signature", &part("Signature=")?, &HEXLOWER.encode(&sign(&key, &to_sign)))
}
