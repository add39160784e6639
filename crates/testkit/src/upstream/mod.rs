//! A stand-in for a model server of any dialect, on loopback.
//!
//! A [`Script`] says what it answers; a [`Reply`] is one answer, with the way its bytes are cut and
//! the fault it shows. It is written once, as [`Block`]s, and played in the dialect of whichever
//! request comes. Every request is kept as it arrived, so that a test can read what left.
//!
//! - `mod`: the server and what it captured.
//! - [`reply`](Reply): what to say, how to cut it, how to fail.
//! - [`tokens`](Tokens): what stands for a value in a prompt, and places for it in a script.
//! - `asked`: what a request asks for, whatever its [`Dialect`].
//! - `said`: what a reply says to it.
//! - `chat`, `responses`, `legacy`, `messages`, `converse`, `gemini`: the shapes of the dialects.
//! - `batches`: files, and requests that come in them.
//! - `eventstream`: Amazon's binary framing.
//! - `wire`: turns an answer into timed pieces of bytes.
//! - [`tls`]: certificates, right and wrong ones.
//! - [`canned`]: a server with next to no cost of its own, for the bench.

pub(crate) mod asked;
mod batches;
pub mod canned;
mod chat;
mod converse;
pub(crate) mod eventstream;
mod gemini;
mod legacy;
mod messages;
mod reply;
mod responses;
mod said;
pub mod tls;
mod tokens;
mod wire;

pub use asked::Dialect;
pub use batches::{Batching, KeptFile};
pub use canned::Canned;
pub use chat::surrogates_in;
pub use reply::{
    Arguments, Block, Call, Citation, Cut, Fault, Framing, Pieces, Reply, Script, Source, Split,
    Tools,
};
pub use said::{Feature, carries};
pub use tls::{Authority, Flaw};
pub use tokens::Tokens;

use crate::task;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use wire::{Pieced, Wire};

/// Requests that one server keeps. A test that sends more has lost its way.
const CAPTURE_LIMIT: usize = 100_000;

/// Bytes of one request that are kept. The product's own limit lies far below.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// How long [`Upstream::wait_for`] waits before it says that the request never came.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Its place in the order of arrival, from 0.
    pub number: usize,
    /// Which connection carried it, from 0.
    pub connection: usize,
    /// `POST`.
    pub method: String,
    /// Path and query: `/v1/chat/completions`.
    pub path: String,
    /// Header names in lower case, and values; bytes outside UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Whether the body ended as it should; false when the caller broke off.
    pub complete: bool,
}

impl Captured {
    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text; bytes outside UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether `value` left with this request, anywhere: in the path, a header, the raw body, or in
    /// a string or key of its JSON once escapes are undone, also in JSON inside strings.
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        self.path.contains(value)
            || self.headers.iter().any(|(key, text)| key.contains(value) || text.contains(value))
            || self.text().contains(value)
            || holds(&self.json(), value)
    }
}

fn holds(json: &Value, value: &str) -> bool {
    match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => {
            text.contains(value)
                || serde_json::from_str::<Value>(text)
                    .is_ok_and(|inner| !inner.is_string() && holds(&inner, value))
        }
        Value::Array(items) => items.iter().any(|item| holds(item, value)),
        Value::Object(fields) => {
            fields.iter().any(|(key, item)| key.contains(value) || holds(item, value))
        }
    }
}

struct State {
    script: Mutex<Script>,
    shelf: batches::Shelf,
    captured: Mutex<Vec<Captured>>,
    arrived: watch::Sender<usize>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    open: watch::Sender<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A scripted model server. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    scheme: &'static str,
    ca_pem: Option<String>,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("connections", &self.connections).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::on_port(0, script).await
    }

    /// Starts a server on a loopback port of choice; 0 takes a free one.
    ///
    /// # Panics
    /// When the port cannot be bound.
    pub async fn on_port(port: u16, script: impl Into<Script>) -> Self {
        Self::begin(port, script.into(), Speak::Plain, None).await
    }

    /// Starts a server that speaks TLS with a certificate that has `flaw`.
    ///
    /// [`Upstream::ca_pem`] is the authority that a caller should trust. Only with [`Flaw::None`]
    /// may a careful caller go on.
    ///
    /// # Panics
    /// When no port can be bound or no certificate can be made.
    pub async fn start_tls(script: impl Into<Script>, flaw: Flaw) -> Self {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(authority.server_config(flaw));
        Self::begin(0, script.into(), Speak::Tls(acceptor), Some(authority.pem())).await
    }

    /// Starts a server that answers each connection's first request with exactly these bytes and
    /// closes: broken status lines, double lengths, anything but HTTP.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    pub async fn start_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::begin(0, Script::from(Reply::echo()), Speak::Bytes(bytes.into()), None).await
    }

    #[expect(clippy::expect_used, reason = "without its stand-in no test can go on")]
    async fn begin(port: u16, script: Script, speak: Speak, ca_pem: Option<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("a loopback port for the stand-in");
        let address = listener.local_addr().expect("the address of the stand-in");
        let state = Arc::new(State {
            script: Mutex::new(script),
            shelf: batches::Shelf::default(),
            captured: Mutex::new(Vec::new()),
            arrived: watch::Sender::new(0),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: watch::Sender::new(0),
        });
        let scheme = if ca_pem.is_some() { "https" } else { "http" };
        let accepting = task::spawn(accept(listener, Arc::clone(&state), speak));
        Self { address, scheme, ca_pem, state, accepting }
    }

    /// The base address that a client is configured with: `http://127.0.0.1:40123/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// The socket address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority to trust, PEM; empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca_pem.as_deref().unwrap_or_default()
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn captured(&self) -> Vec<Captured> {
        let mut captured = lock(&self.state.captured).clone();
        captured.sort_by_key(|it| it.number);
        captured
    }

    /// How many connections were accepted so far, whether or not a request came over them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open at this moment.
    #[must_use]
    pub fn open(&self) -> usize {
        *self.state.open.borrow()
    }

    /// Waits until no connection is open: the caller has let go of every one.
    ///
    /// # Panics
    /// When one is still open after 20 seconds.
    pub async fn wait_until_closed(&self) {
        let mut open = self.state.open.subscribe();
        let closed = tokio::time::timeout(WAIT_LIMIT, open.wait_for(|&open| open == 0)).await;
        assert!(closed.is_ok(), "a connection to the stand-in is still open after {WAIT_LIMIT:?}");
    }

    /// Answers by another script from the next request on.
    pub fn play(&self, script: impl Into<Script>) {
        *lock(&self.state.script) = script.into();
    }

    /// Deals with files and batches so from the next request on.
    pub fn batching(&self, settings: Batching) {
        self.state.shelf.set(settings);
    }

    /// The files that lie here.
    #[must_use]
    pub fn files(&self) -> Vec<KeptFile> {
        self.state.shelf.files()
    }

    /// Takes the captured requests away, in order of arrival. The numbering goes on.
    #[must_use]
    pub fn take(&self) -> Vec<Captured> {
        let mut captured = std::mem::take(&mut *lock(&self.state.captured));
        captured.sort_by_key(|it| it.number);
        captured
    }

    /// Waits until `count` requests have arrived since the start.
    ///
    /// # Panics
    /// When they have not arrived after 20 seconds.
    pub async fn wait_for(&self, count: usize) {
        let arrived = tokio::time::timeout(WAIT_LIMIT, self.reaches(count)).await;
        assert!(arrived.is_ok(), "the stand-in got fewer than {count} requests in {WAIT_LIMIT:?}");
    }

    /// Resolves when `count` requests have arrived since the start, however long that takes.
    pub async fn reaches(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        // The sender lives in `self.state`, so the channel cannot close while this waits.
        drop(arrived.wait_for(|&so_far| so_far >= count).await);
    }

    /// Closes the listener and every connection, and returns when they are closed.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // A task that was aborted ends with an error that says so.
        drop((&mut self.accepting).await);
        // Their tasks are told to end, which takes its moment.
        self.wait_until_closed().await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // The accepting task owns the connections, so they end with it.
        self.accepting.abort();
    }
}

#[derive(Clone)]
enum Speak {
    Plain,
    Tls(TlsAcceptor),
    Bytes(Bytes),
}

async fn accept(listener: TcpListener, state: Arc<State>, speak: Speak) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = state.connections.fetch_add(1, Ordering::SeqCst);
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        state.open.send_modify(|open| *open += 1);
        let line = Line { number, state: Arc::clone(&state), reset: Arc::default() };
        let wire = Wire::new(stream, Arc::clone(&line.reset));
        let speak = speak.clone();
        connections.spawn(async move {
            match speak {
                Speak::Plain => line.serve(wire).await,
                Speak::Tls(acceptor) => {
                    if let Ok(stream) = acceptor.accept(wire).await {
                        line.serve(stream).await;
                    }
                }
                // A caller that has gone is no concern of the stand-in.
                Speak::Bytes(bytes) => drop(line.answer_with(wire, &bytes).await),
            }
        });
    }
}

/// One accepted connection.
struct Line {
    number: usize,
    state: Arc<State>,
    reset: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Line {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S) {
        let line = &self;
        let service = service_fn(|request| line.answer(request));
        let served = hyper::server::conn::http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        // A connection that breaks is what many scripts ask for.
        drop(served);
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Pieced>, Infallible> {
        let captured = self.capture(request).await;
        let number = captured.number;
        let script = lock(&self.state.script).clone();
        if let Some(said) = self.state.shelf.answer(&captured, &script) {
            let answer = wire::said(said, &self.reset);
            self.keep(captured);
            return match answer {
                Some(response) => Ok(response),
                None => std::future::pending().await,
            };
        }
        let reply = script.reply(number, &captured);
        let answer = wire::answer(&reply, &captured, &self.reset);
        self.keep(captured);
        match answer {
            Some(response) => Ok(response),
            None => std::future::pending().await,
        }
    }

    async fn capture(&self, request: Request<Incoming>) -> Captured {
        let (head, mut incoming) = request.into_parts();
        let mut body = BytesMut::new();
        let mut complete = true;
        while !incoming.is_end_stream() {
            match incoming.frame().await {
                Some(Ok(frame)) => body.extend(frame.into_data().ok()),
                Some(Err(_)) => complete = false,
                None => break,
            }
            complete &= body.len() <= BODY_LIMIT;
            if !complete {
                break;
            }
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter();
        Captured {
            number: self.next_number(),
            connection: self.number,
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: headers.map(|(key, it)| (key.to_string(), text(it.as_bytes()))).collect(),
            body: body.freeze(),
            complete,
        }
    }

    async fn answer_with<S>(self, mut stream: S, bytes: &[u8]) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut request = BytesMut::new();
        while !is_whole(&request) && request.len() < BODY_LIMIT {
            if stream.read_buf(&mut request).await? == 0 {
                break;
            }
        }
        self.keep(Captured {
            number: self.next_number(),
            connection: self.number,
            method: String::new(),
            path: String::new(),
            headers: Vec::new(),
            body: request.freeze(),
            complete: true,
        });
        stream.write_all(bytes).await?;
        stream.shutdown().await
    }

    fn next_number(&self) -> usize {
        self.state.requests.fetch_add(1, Ordering::SeqCst)
    }

    fn keep(&self, captured: Captured) {
        let mut kept = lock(&self.state.captured);
        if kept.len() < CAPTURE_LIMIT {
            kept.push(captured);
        }
        drop(kept);
        self.state.arrived.send_modify(|count| *count += 1);
    }
}

/// Whether the bytes are one HTTP/1 request with all of the body that `content-length` announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|it| it.trim().parse::<usize>().ok()).unwrap_or(0);
    let head_bytes = request.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(0) + 4;
    request.len() >= head_bytes + length
}
