//! A small HTTP/1.1 caller that shows what a library hides: when each event arrived, how a body
//! ended, and what a server sees when a caller walks away.
//!
//! - `mod`: requests, responses, connections.
//! - [`Events`]: a stream, read event by event.
//! - [`Answer`]: what a model said, put together from JSON or from a stream.

mod answer;
mod events;
pub(crate) mod wire;

pub use answer::{Answer, Choice, ToolCall};
pub use events::{Event, Events, Transcript};

use bytes::{Bytes, BytesMut};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wire::{Reader, Socket};

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status: 200.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
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

    /// What the model said.
    #[must_use]
    pub fn answer(&self) -> Answer {
        Answer::from_json(&self.json())
    }
}

/// A chat request with `(role, text)` messages, for the model `stand-in`.
#[must_use]
pub fn chat(messages: &[(&str, &str)]) -> Value {
    let message = |(role, text): &(&str, &str)| json!({ "role": role, "content": text });
    json!({ "model": "stand-in", "messages": messages.iter().map(message).collect::<Vec<_>>() })
}

/// The same request, streamed, with the usage at the end.
#[must_use]
pub fn streamed(mut request: Value) -> Value {
    if let Some(fields) = request.as_object_mut() {
        fields.insert("stream".to_owned(), json!(true));
        fields.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    request
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path, Bytes::new())
    }

    /// A request with a JSON body.
    #[must_use]
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path, body.to_string().into()).header("content-type", "application/json")
    }

    /// `POST /v1/chat/completions` with this body.
    #[must_use]
    pub fn chat(body: &Value) -> Self {
        Self::post("/v1/chat/completions", body)
    }

    /// Any method, any body, no header but what the client must add.
    #[must_use]
    pub fn new(method: &str, path: &str, body: Bytes) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, headers: Vec::new(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `authorization: Bearer KEY`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// The bytes on the wire, for a keep-alive connection to `host`.
    ///
    /// `host` and `content-length` are added unless they were given, so that a test can lie.
    #[must_use]
    pub fn bytes(&self, host: &str) -> Bytes {
        let has = |name: &str| self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.path)];
        if !has("host") {
            lines.push(format!("host: {host}"));
        }
        let announced = has("content-length") || has("transfer-encoding");
        if !announced && (!self.body.is_empty() || self.method == "POST") {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let head = format!("{}\r\n\r\n", lines.join("\r\n"));
        let mut bytes = BytesMut::from(head.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes.freeze()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    reader: Reader<Socket>,
    host: String,
}

impl Client {
    /// Connects over plain TCP, without Nagle's delay.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::Plain(tcp(address).await?);
        Ok(Self { reader: Reader::new(socket), host: address.to_string() })
    }

    /// Connects over TLS 1.2 or 1.3 and trusts only the authority in `ca_pem`.
    ///
    /// # Errors
    /// When nobody listens or the certificate does not hold for `name`.
    pub async fn connect_tls(address: SocketAddr, name: &str, ca_pem: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(trusting(ca_pem)?));
        let stream = connector.connect(name, tcp(address).await?).await?;
        let socket = Socket::Tls(Box::new(stream));
        Ok(Self { reader: Reader::new(socket), host: address.to_string() })
    }

    /// Writes a request.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, request: &Request) -> io::Result<()> {
        let bytes = request.bytes(&self.host);
        self.write(&bytes).await
    }

    /// Writes bytes, whatever they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.write(bytes).await
    }

    /// Reads the head of the next response.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP/1.1.
    pub async fn head(&mut self) -> io::Result<Head> {
        self.reader.head().await
    }

    /// Reads the next piece of the body; none at its proper end.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        self.reader.piece().await
    }

    /// Sends a request and reads the whole response. The connection can be used again.
    ///
    /// # Errors
    /// When the connection ends too early, or what comes is not HTTP/1.1.
    pub async fn call(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request).await?;
        let head = self.head().await?;
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Response { head, body: body.freeze() })
    }

    /// Sends a request and reads the head; the events of the body follow.
    ///
    /// # Errors
    /// When the connection ends too early, or what comes is not HTTP/1.1.
    pub async fn open(self, request: &Request) -> io::Result<Events> {
        Events::open(self, request).await
    }

    /// Walks away with a TCP reset, as a killed program does. Dropping the client closes politely.
    ///
    /// # Errors
    /// When the socket refuses the option.
    pub fn abort(self) -> io::Result<()> {
        self.reader.reset()
    }
}

/// Sends one request over a connection of its own and reads the whole response.
///
/// # Errors
/// As [`Client::connect`] and [`Client::call`].
pub async fn call(address: SocketAddr, request: &Request) -> io::Result<Response> {
    Client::connect(address).await?.call(request).await
}

/// Sends one request over a connection of its own; the events of the body follow.
///
/// # Errors
/// As [`Client::connect`] and [`Client::open`].
pub async fn open(address: SocketAddr, request: &Request) -> io::Result<Events> {
    Client::connect(address).await?.open(request).await
}

pub(crate) async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn trusting(ca_pem: &str) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
