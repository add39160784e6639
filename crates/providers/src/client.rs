//! The HTTP client under every dialect.
//!
//! It sends what the gate hands out and nothing else, to the endpoint of the covered path and to no
//! other: redirects and proxies are off, and a name inside the boundary must resolve to private
//! addresses at each connection. Nothing that a model server says of an error is kept, because it
//! may repeat the prompt.

use crate::address::Login;
use crate::eventstream;
use crate::reading::{Reading, StreamReader};
use crate::sse;
use futures_util::{Stream, StreamExt as _};
use gate::path::Endpoint;
use gate::prompt::{Answer, StreamEvent};
use gate::rules::{CoveredCollector, CoveredFeed, FeedTarget, Timeouts};
use gate::{Outbound, UpstreamFailure};
use ledger::Time;
use phi::Text;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A server of anything else than a model that does not accept a connection in this time is down or
/// gone. For model servers the file says it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Kept connections per destination. More only waits in the server's queue.
const MAX_IDLE_CONNECTIONS: usize = 256;

/// Destinations whose connections are kept. A configuration has some dozens; those of configurations
/// that are gone must not pile up.
const MAX_CLIENTS: usize = 256;

/// A whole answer larger than this is not one: twice the text that the gate takes, for escapes and
/// log probabilities.
pub(crate) const MAX_ANSWER_BYTES: usize = 2 * gate::stream::MAX_ANSWER_BYTES;

/// A stream larger than this is not an answer: some 60 bytes frame each byte of text, and a server
/// that sends comments for ever must end too.
const MAX_STREAM_BYTES: usize = 256 << 20;

/// A time stamp or a cosignature that takes longer is asked for again later; lines are sent again.
const OUTSIDE_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer of a time-stamping authority, a witness or a collector of lines is a few kilobytes.
const MAX_OUTSIDE_BYTES: usize = 128 << 10;

/// The longest request id of a model server that is kept.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// A secret that is sent to a model server. It has no `Debug` of its content and is wiped when
/// dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret; surrounding white space, as files end with it, is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }
}

impl Secret {
    /// What is signed with, or sent.
    pub(crate) fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a destination needs beyond its path.
#[derive(Clone, Debug)]
pub struct Wire {
    /// How the server is addressed and told who asks.
    pub login: Login,
    /// The only certificate authority that is trusted, in PEM; the system's when absent.
    pub authority_pem: Option<Vec<u8>>,
    /// How long each phase may take.
    pub patience: Patience,
}

/// How long each phase of asking a model server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the head of the answer is there, and then until the first piece of an answer that is not
    /// streamed: some servers send the head before they think.
    pub head: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// For all of it, from the sending to the last byte.
    pub total: Duration,
}

impl From<Timeouts> for Patience {
    fn from(timeouts: Timeouts) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Self {
            connect: seconds(timeouts.connect_seconds()),
            head: seconds(timeouts.head_seconds()),
            idle: seconds(timeouts.idle_seconds()),
            total: seconds(timeouts.total_seconds()),
        }
    }
}

/// Says at which addresses a name is, each time that a connection is made.
pub trait Names: fmt::Debug + Send + Sync {
    /// The addresses of the name at this moment.
    fn addresses<'a>(&'a self, name: &'a str) -> Answering<'a>;
}

/// Addresses, when they are there.
pub type Answering<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Asks the operating system.
#[derive(Clone, Copy, Debug)]
struct SystemNames;

impl Names for SystemNames {
    fn addresses<'a>(&'a self, name: &'a str) -> Answering<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Sends to models.
#[derive(Debug)]
pub struct Providers {
    clients: Mutex<BTreeMap<ClientKey, reqwest::Client>>,
    names: Arc<dyn Names>,
}

impl Default for Providers {
    fn default() -> Self {
        Self::asking(Arc::new(SystemNames))
    }
}

/// What makes two destinations share connections: nothing less than all of this.
type ClientKey = (String, bool, Duration, Sender);

/// Whom a connection trusts, and as whom it speaks.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender {
    /// The only certificate authority that is trusted, in PEM; the system's when absent.
    pub authority_pem: Option<Vec<u8>>,
    /// A certificate chain and its private key, in PEM, by which the other side knows us.
    pub identity_pem: Option<Vec<u8>>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// A whole answer.
    Whole(Answer),
    /// A stream of events.
    Stream(Box<AnswerStream>),
}

impl Providers {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with somebody else than the operating system to say where names are.
    #[must_use]
    pub fn asking(names: Arc<dyn Names>) -> Self {
        Self { clients: Mutex::default(), names }
    }

    /// Sends, once.
    ///
    /// # Errors
    /// [`UpstreamFailure`], which never holds the server's words.
    pub async fn send(
        &self,
        outbound: Outbound,
        wire: &Wire,
        reading: &Reading,
        now: Time,
    ) -> Result<Reply, UpstreamFailure> {
        if let Some(asked) = reading.of_tools() {
            return self.ask_tools(outbound, wire, asked).await.map(Reply::Whole);
        }
        let endpoint = outbound.path().endpoint();
        let Patience { connect, head, idle, total } = wire.patience;
        let over = Instant::now() + total;
        let client =
            self.client_within(endpoint, &trusting(wire.authority_pem.clone()), connect)?;
        let called = outbound.api();
        let expected = wire.login.stream_type(outbound.stream());
        let mut request = client
            .post(format!("{endpoint}{}", wire.login.below(&outbound)))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, expected)
            .body(outbound.body().expose().to_owned());
        for (name, value) in wire.login.headers(&outbound, now).await? {
            request = request.header(name, value);
        }
        let response = within(head, over, UpstreamFailure::TimedOut, request.send())
            .await?
            .map_err(|error| failure(&error))?;
        check_status(&response)?;
        let upstream_request = request_id(&response);
        expect_type(&response, expected)?;
        if outbound.stream() {
            Ok(Reply::Stream(Box::new(AnswerStream {
                pieces: Box::pin(response.bytes_stream()),
                decoder: Decoder::of(expected),
                reader: reading.stream(called),
                ready: VecDeque::new(),
                received_bytes: 0,
                ended: false,
                idle,
                over,
                upstream_request,
            })))
        } else {
            let body = read_whole(response, head, idle, over).await?;
            reading.whole(called, &body, upstream_request).map(Reply::Whole)
        }
    }

    /// Says that nobody waits for an answer any more, to a server that wants to hear it.
    pub async fn give_up(&self, reading: &Reading) {
        if let Some((asking, _)) = reading.of_tools() {
            self.take_back(asking).await;
        }
    }

    /// Posts bytes that hold hashes only, to a party outside that signs what it says; returns the status
    /// and the body.
    ///
    /// # Errors
    /// [`UpstreamFailure`]. Every status is an answer.
    pub async fn post_hashes(
        &self,
        endpoint: &Endpoint,
        below: &str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), UpstreamFailure> {
        let client = self.client(endpoint, &Sender::default())?;
        let request = client.post(format!("{endpoint}{below}")).header(CONTENT_TYPE, content_type);
        exchange(request.body(body), OUTSIDE).await
    }

    /// Posts lines of the log to a receiver that is covered at this moment; returns the status.
    ///
    /// # Errors
    /// [`UpstreamFailure`]. Every status is an answer.
    pub async fn post_lines(
        &self,
        covered: &CoveredFeed<'_>,
        sender: &Sender,
        authorization: Option<&Secret>,
        headers: &[(&'static str, String)],
        lines: Vec<u8>,
    ) -> Result<u16, UpstreamFailure> {
        let FeedTarget::Webhook(endpoint) = covered.target() else {
            return Err(UpstreamFailure::Unreachable);
        };
        let client = self.client(endpoint, sender)?;
        let mut request = client.post(endpoint.to_string()).body(lines);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Ok(exchange(with_authorization(request, authorization)?, OUTSIDE).await?.0)
    }

    /// Posts traces, in JSON, to a collector that is covered at this moment; returns the status.
    ///
    /// # Errors
    /// [`UpstreamFailure`]. Every status is an answer.
    pub async fn post_traces(
        &self,
        covered: &CoveredCollector<'_>,
        sender: &Sender,
        authorization: Option<&Secret>,
        traces: Vec<u8>,
    ) -> Result<u16, UpstreamFailure> {
        let endpoint = covered.endpoint();
        let client = self.client(endpoint, sender)?;
        let request = client.post(endpoint.to_string()).header(CONTENT_TYPE, "application/json");
        let request = with_authorization(request.body(traces), authorization)?;
        Ok(exchange(request, OUTSIDE).await?.0)
    }

    /// The connections to a destination.
    pub(crate) fn client_of(
        &self,
        endpoint: &Endpoint,
        wire: &Wire,
    ) -> Result<reqwest::Client, UpstreamFailure> {
        self.client_within(endpoint, &trusting(wire.authority_pem.clone()), wire.patience.connect)
    }

    pub(crate) fn client(
        &self,
        endpoint: &Endpoint,
        sender: &Sender,
    ) -> Result<reqwest::Client, UpstreamFailure> {
        self.client_within(endpoint, sender, CONNECT_TIMEOUT)
    }

    pub(crate) fn client_within(
        &self,
        endpoint: &Endpoint,
        sender: &Sender,
        connect: Duration,
    ) -> Result<reqwest::Client, UpstreamFailure> {
        let private = endpoint.must_resolve_private();
        let key = (endpoint.to_string(), private, connect, sender.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let resolver = Resolver { private, names: Arc::clone(&self.names) };
        let client = build(endpoint, resolver, sender, connect);
        let client = client.map_err(|_| UpstreamFailure::Unreachable)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Adds a header `authorization` whose whole value is the secret.
fn with_authorization(
    request: reqwest::RequestBuilder,
    authorization: Option<&Secret>,
) -> Result<reqwest::RequestBuilder, UpstreamFailure> {
    let Some(Secret(secret)) = authorization else { return Ok(request) };
    let value = HeaderValue::from_str(secret.as_str());
    let mut value = value.map_err(|_| UpstreamFailure::NoCredential)?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

pub(crate) fn trusting(authority_pem: Option<Vec<u8>>) -> Sender {
    Sender { authority_pem, identity_pem: None }
}

/// What is waited for and read at the most.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) bytes: usize,
}

/// Of time stamps, cosignatures and collectors of lines.
const OUTSIDE: Bounds = Bounds { timeout: OUTSIDE_TIMEOUT, bytes: MAX_OUTSIDE_BYTES };

/// Sends a request to a party outside that is no model, and reads its short answer.
pub(crate) async fn exchange(
    request: reqwest::RequestBuilder,
    bounds: Bounds,
) -> Result<(u16, Vec<u8>), UpstreamFailure> {
    let exchange = async {
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let mut pieces = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| failure(&error))?);
            if bytes.len() > bounds.bytes {
                return Err(UpstreamFailure::TooLarge);
            }
        }
        Ok((status, bytes))
    };
    tokio::time::timeout(bounds.timeout, exchange).await.map_err(|_| UpstreamFailure::TimedOut)?
}

fn build(
    endpoint: &Endpoint,
    resolver: Resolver,
    sender: &Sender,
    connect: Duration,
) -> Result<reqwest::Client, reqwest::Error> {
    let authority_pem = sender.authority_pem.as_deref();
    let builder = plain_builder(endpoint.is_secure(), resolver, authority_pem)?;
    let mut builder = builder.connect_timeout(connect);
    if let Some(pem) = &sender.identity_pem {
        builder = builder.identity(reqwest::Identity::from_pem(pem)?);
    }
    builder.build()
}

/// A client that does nothing of its own mind, for one server.
pub(crate) fn plain_client(
    secure: bool,
    private: bool,
    authority_pem: Option<&[u8]>,
) -> Result<reqwest::Client, reqwest::Error> {
    let resolver = Resolver { private, names: Arc::new(SystemNames) };
    plain_builder(secure, resolver, authority_pem)?.build()
}

fn plain_builder(
    secure: bool,
    resolver: Resolver,
    authority_pem: Option<&[u8]>,
) -> Result<reqwest::ClientBuilder, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("bulla/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .https_only(secure)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .dns_resolver(Arc::new(resolver));
    if let Some(pem) = authority_pem {
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    Ok(builder)
}

/// Resolves names, and refuses those that leave the boundary. What it returns is what is connected to.
struct Resolver {
    private: bool,
    names: Arc<dyn Names>,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name resolves to an address outside the boundary")]
struct OutsideBoundary;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (private, names) = (self.private, Arc::clone(&self.names));
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await?;
            // Fail closed: one public address among private ones is enough to refuse.
            if private && !found.iter().copied().all(gate::path::is_private) {
                return Err(OutsideBoundary.into());
            }
            // The port is that of the address, whatever stands here.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// What a failed request means, found along the chain of its causes.
pub(crate) fn failure(error: &reqwest::Error) -> UpstreamFailure {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = cause {
        if current.is::<OutsideBoundary>() {
            return UpstreamFailure::AddressRefused;
        }
        cause = current.source();
    }
    if error.is_timeout() && error.is_connect() {
        UpstreamFailure::ConnectTimedOut
    } else if error.is_timeout() {
        UpstreamFailure::TimedOut
    } else if error.is_connect() {
        UpstreamFailure::Unreachable
    } else {
        // Connected, and the prompt may have arrived: it is not for a caller to think otherwise.
        UpstreamFailure::Cut
    }
}

pub(crate) fn check_status(response: &Response) -> Result<(), UpstreamFailure> {
    let status = response.status();
    if status == StatusCode::OK {
        return if response.headers().contains_key(CONTENT_ENCODING) {
            Err(UpstreamFailure::Garbage)
        } else {
            Ok(())
        };
    }
    Err(match status.as_u16() {
        300..400 => UpstreamFailure::Redirected,
        401 | 403 => UpstreamFailure::Unauthorized,
        429 => {
            let after = response.headers().get("retry-after");
            let seconds = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            UpstreamFailure::RateLimited(seconds)
        }
        408 | 504 => UpstreamFailure::TimedOut,
        413 => UpstreamFailure::Rejected(Some("request_too_large")),
        404 => UpstreamFailure::Rejected(Some("model_not_found")),
        400..500 => UpstreamFailure::Rejected(None),
        500.. => UpstreamFailure::Failed,
        _ => UpstreamFailure::Garbage,
    })
}

fn expect_type(response: &Response, expected: &str) -> Result<(), UpstreamFailure> {
    let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let found = found.and_then(|value| value.split(';').next()).unwrap_or_default();
    if found.trim().eq_ignore_ascii_case(expected) { Ok(()) } else { Err(UpstreamFailure::Garbage) }
}

/// The server's own id of the request, when it is short and plain enough to be nothing else.
fn request_id(response: &Response) -> Option<String> {
    let id = response.headers().get("x-request-id")?.to_str().ok()?;
    let plain = id.len() <= MAX_REQUEST_ID_BYTES
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    plain.then(|| id.to_owned())
}

/// Waits for a phase: at most so long, and never beyond the end of all of it.
pub(crate) async fn within<T>(
    phase: Duration,
    over: Instant,
    failure: UpstreamFailure,
    wait: impl Future<Output = T>,
) -> Result<T, UpstreamFailure> {
    let until = Instant::now() + phase;
    let (until, failure) =
        if until <= over { (until, failure) } else { (over, UpstreamFailure::TotalTimedOut) };
    tokio::time::timeout_at(until, wait).await.map_err(|_| failure)
}

async fn read_whole(
    response: Response,
    head: Duration,
    idle: Duration,
    over: Instant,
) -> Result<Zeroizing<Vec<u8>>, UpstreamFailure> {
    let mut pieces = response.bytes_stream();
    let mut body = Zeroizing::new(Vec::new());
    let mut pause = head;
    while let Some(piece) = within(pause, over, UpstreamFailure::Stalled, pieces.next()).await? {
        let piece = piece.map_err(|_| UpstreamFailure::Cut)?;
        pause = idle;
        if body.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(UpstreamFailure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

/// A streamed answer.
pub struct AnswerStream {
    pieces: Pieces,
    decoder: Decoder,
    reader: StreamReader,
    ready: VecDeque<Event>,
    received_bytes: usize,
    ended: bool,
    idle: Duration,
    over: Instant,
    upstream_request: Option<String>,
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerStream")
    }
}

/// One event of a stream, out of its frame.
pub(crate) struct Event {
    /// Its name, in frames that have it beside the data.
    pub(crate) name: Option<String>,
    pub(crate) data: Text,
}

/// Cuts a stream of bytes into events.
enum Decoder {
    Lines(sse::Decoder),
    Messages(eventstream::Decoder),
}

impl Decoder {
    fn of(content_type: &str) -> Self {
        if content_type == eventstream::CONTENT_TYPE {
            Self::Messages(eventstream::Decoder::default())
        } else {
            Self::Lines(sse::Decoder::default())
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, UpstreamFailure> {
        match self {
            Self::Lines(decoder) => {
                let texts = decoder.feed(bytes).map_err(|_| UpstreamFailure::Garbage)?;
                Ok(texts.into_iter().map(|data| Event { name: None, data }).collect())
            }
            Self::Messages(decoder) => decoder.feed(bytes),
        }
    }
}

impl AnswerStream {
    /// The server's own id of the request.
    #[must_use]
    pub fn upstream_request(&self) -> Option<&str> {
        self.upstream_request.as_deref()
    }

    /// Waits for what comes next: some events, or nothing when the stream ended as it should.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`UpstreamFailure`]: the stream is over. [`AnswerStream::tail`] still gives what is held back.
    pub async fn next(&mut self) -> Result<Option<Vec<StreamEvent>>, UpstreamFailure> {
        loop {
            if self.reader.is_done() || self.ended {
                return Ok(None);
            }
            if let Some(event) = self.ready.pop_front() {
                return self.reader.read(event.name.as_deref(), event.data.expose()).map(Some);
            }
            let piece = self.pieces.next();
            match within(self.idle, self.over, UpstreamFailure::Stalled, piece).await? {
                Some(Ok(bytes)) => {
                    self.received_bytes += bytes.len();
                    if self.received_bytes > MAX_STREAM_BYTES {
                        return Err(UpstreamFailure::TooLarge);
                    }
                    let events = self.decoder.feed(&bytes)?;
                    self.ready.extend(events);
                }
                Some(Err(_)) => return Err(UpstreamFailure::Cut),
                // Most dialects end a stream with an event of its own; without it, it broke off.
                None => {
                    self.ended = true;
                    return self.reader.end().map(Some).ok_or(UpstreamFailure::Cut);
                }
            }
        }
    }

    /// Whether [`AnswerStream::next`] would give something without waiting for the network.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The events that carry what is held back when the stream broke off.
    #[must_use]
    pub fn tail(&mut self) -> Vec<StreamEvent> {
        self.reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(name: &str, private: bool, resolves: bool) {
        let system = Resolver { private, names: Arc::new(SystemNames) };
        let found = system.resolve(name.parse().unwrap()).await;
        assert_eq!(found.is_ok(), resolves, "{name}");
    }

    #[tokio::test]
    async fn a_name_that_must_stay_inside_does_not_resolve_outside() {
        check("127.0.0.1", true, true).await;
        check("10.1.2.3", true, true).await;
        check("192.0.2.1", true, false).await;
        check("169.254.169.254", true, false).await;
        check("192.0.2.1", false, true).await;
    }

    #[derive(Debug)]
    struct Outside;

    impl Resolve for Outside {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Err(OutsideBoundary.into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_leaves_the_boundary_is_told_apart_from_one_that_is_not_there() {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client =
            reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(Outside)).build().unwrap();
        let error = client.post("http://model.clinic.example/v1").send().await.unwrap_err();
        assert_eq!(failure(&error), UpstreamFailure::AddressRefused);
    }

    #[test]
    fn a_secret_is_trimmed_and_does_not_show() {
        let secret = Secret::new(" sk-synthetic \n");
        assert_eq!(secret.0.as_str(), "sk-synthetic");
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
