//! Where lines go: a TLS connection to a syslog receiver, a webhook, a file.

use super::deliver::Stop;
use super::webhook::{self, SigningSecret};
use crate::house::House;
use futures_util::FutureExt as _;
use gate::UpstreamFailure;
use gate::path::{Endpoint, Host};
use gate::rules::{CoveredFeed, Credential, Feed, FeedTarget, LineFormat};
use ledger::{Hash, Time};
use providers::{Providers, Secret, Sender};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A receiver that does not take a connection in this time is down or gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A receiver that takes nothing for so long is hung.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What was sent and is not acknowledged by the other machine's TCP for so long breaks the connection.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// How long an orderly end waits for the receiver's own.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open way to the receiver.
pub(super) enum Sink {
    Syslog(Box<Connection>),
    Webhook(Box<Webhook>),
    File(PathBuf),
}

/// Lines that are sent together.
pub(super) struct Parcel {
    /// The lines, framed as the sink wants them.
    pub(super) bytes: Vec<u8>,
    /// The position of the first.
    pub(super) first: u64,
    /// The leaf hash of the last.
    pub(super) last: Hash,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    Open,
    /// The receiver said that it ends.
    Closed,
    /// It ended without a word.
    Broken,
}

impl Sink {
    /// Opens the way that the feed names.
    pub(super) async fn open(house: &House, covered: &CoveredFeed<'_>) -> Result<Self, Stop> {
        let feed = covered.feed();
        match covered.target() {
            FeedTarget::Syslog(endpoint) => {
                let config = tls(feed).ok_or(Stop::Failing("certificates_unreadable"))?;
                let opened = Connection::open(endpoint, config);
                let connection = timeout(CONNECT_TIMEOUT, opened)
                    .await
                    .map_err(|_| Stop::Failing("timed_out"))??;
                Ok(Self::Syslog(Box::new(connection)))
            }
            FeedTarget::Webhook(_) => Ok(Self::Webhook(Box::new(Webhook::new(house, feed)?))),
            FeedTarget::File(path) => Ok(Self::File(path.clone())),
        }
    }

    /// Sends a parcel. A webhook and a file have it then; a syslog receiver perhaps.
    pub(super) async fn send(
        &mut self,
        providers: &Providers,
        covered: &CoveredFeed<'_>,
        parcel: Parcel,
        now: Time,
    ) -> Result<(), Stop> {
        match self {
            Self::Syslog(connection) => connection.send(&parcel.bytes).await,
            Self::Webhook(webhook) => webhook.send(providers, covered, parcel, now).await,
            Self::File(path) => {
                let path = path.clone();
                let append = move || append(&path, &parcel.bytes);
                match tokio::task::spawn_blocking(append).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) | Err(_) => Err(Stop::Failing("file_unwritable")),
                }
            }
        }
    }
}

/// A connection to a syslog receiver, RFC 5425.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
}

impl Connection {
    async fn open(endpoint: &Endpoint, config: ClientConfig) -> Result<Self, Stop> {
        let unreachable = |_| Stop::Failing("unreachable");
        let authority = endpoint.authority();
        let (host, name) = match authority.host() {
            Host::Name(name) => {
                let server = ServerName::try_from(name.to_string());
                (name.to_string(), server.map_err(|_| Stop::Failing("unreachable"))?)
            }
            Host::Address(address) => (address.to_string(), ServerName::from(*address)),
        };
        let found = tokio::net::lookup_host((host.as_str(), authority.port())).await;
        let found: Vec<_> = found.map_err(unreachable)?.collect();
        if !may_go(endpoint, &found) {
            return Err(Stop::Failing("address_refused"));
        }
        let stream = TcpStream::connect(found.as_slice()).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        break_when_unacknowledged(&stream).map_err(unreachable)?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream =
            connector.connect(name, stream).await.map_err(|_| Stop::Failing("tls_refused"))?;
        Ok(Self { stream })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Cut),
            Err(_) => Err(Stop::Failing("timed_out")),
        }
    }

    /// Looks whether the receiver ended the connection. RFC 5425 gives it nothing else to say.
    pub(super) fn pulse(&mut self) -> Pulse {
        let mut said = [0; 256];
        loop {
            match self.stream.read(&mut said).now_or_never() {
                None => return Pulse::Open,
                Some(Ok(0)) => return Pulse::Closed,
                Some(Ok(_)) => {}
                Some(Err(_)) => return Pulse::Broken,
            }
        }
    }

    /// Ends the connection in order, as RFC 5425 section 4.4 says; says whether the receiver has read
    /// everything before.
    ///
    /// It has when it ends the connection too, in whichever way: a machine that closes a connection with
    /// something unread resets it (RFC 2525 section 2.17).
    pub(super) async fn close(mut self) -> bool {
        let closing = async {
            self.stream.shutdown().await?;
            let mut said = [0; 256];
            while self.stream.read(&mut said).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        match timeout(CLOSE_TIMEOUT, closing).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => error.kind() == std::io::ErrorKind::UnexpectedEof,
            Err(_) => false,
        }
    }
}

/// Whether a host that resolves to these addresses is one to which a connection may be made.
pub(crate) fn may_go(endpoint: &Endpoint, found: &[SocketAddr]) -> bool {
    // Fail closed: one public address among private ones is enough to refuse.
    !endpoint.must_resolve_private()
        || found.iter().all(|address| gate::path::is_private(address.ip()))
}

/// Without this the kernel would go on for a quarter of an hour when the other machine is gone.
#[cfg(target_os = "linux")]
fn break_when_unacknowledged(stream: &TcpStream) -> std::io::Result<()> {
    let millis = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?)
}

#[cfg(not(target_os = "linux"))]
fn break_when_unacknowledged(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// TLS 1.2 and 1.3, with the trust anchors and the client certificate of the feed.
fn tls(feed: &Feed) -> Option<ClientConfig> {
    let read = |path: &Path| crate::configuration::read_small(path).map(String::into_bytes);
    let certificates =
        |pem: &[u8]| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read(feed.ca_file()?)?)? {
        roots.add(certificate).ok()?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots);
    match feed.client() {
        None => Some(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).ok()?;
            builder.with_client_auth_cert(certificates(&read(chain)?)?, key).ok()
        }
    }
}

/// What is sent to a webhook besides the lines.
pub(super) struct Webhook {
    sender: Sender,
    feed: String,
    content_type: &'static str,
    secret: Option<SigningSecret>,
    authorization: Option<Secret>,
}

impl Webhook {
    fn new(house: &House, feed: &Feed) -> Result<Self, Stop> {
        let read = crate::configuration::read_small;
        let kept = |credential: &Credential| {
            let found = match credential {
                Credential::None => return Ok(None),
                Credential::Env(name) => (house.environment)(name),
                Credential::File(path) => read(path),
            };
            found.map(Some).ok_or(Stop::Failing("secret_unreadable"))
        };
        let pem = |path: &Path| {
            let text = read(path).ok_or(Stop::Failing("certificates_unreadable"))?;
            Ok::<Vec<u8>, Stop>(text.into_bytes())
        };
        let secret = kept(feed.secret())?
            .map(|text| SigningSecret::parse(&text).ok_or(Stop::Failing("secret_too_short")))
            .transpose()?;
        let identity_pem = match feed.client() {
            None => None,
            Some((chain, key)) => Some([pem(chain)?, pem(key)?].concat()),
        };
        let authority_pem = feed.ca_file().map(pem).transpose()?;
        Ok(Self {
            sender: Sender { authority_pem, identity_pem },
            feed: feed.id().to_owned(),
            content_type: match feed.format() {
                LineFormat::Jsonl | LineFormat::Ocsf => "application/x-ndjson",
                LineFormat::Fhir => "application/fhir+ndjson",
                LineFormat::Cef => "text/plain; charset=utf-8",
            },
            secret,
            authorization: kept(feed.authorization())?.map(|text| Secret::new(&text)),
        })
    }

    async fn send(
        &self,
        providers: &Providers,
        covered: &CoveredFeed<'_>,
        parcel: Parcel,
        now: Time,
    ) -> Result<(), Stop> {
        let id = webhook::id(&self.feed, parcel.first, parcel.last);
        let timestamp = webhook::timestamp(now);
        let mut headers = Vec::new();
        if let Some(secret) = &self.secret {
            headers.push(("webhook-signature", secret.sign(&id, &timestamp, &parcel.bytes)));
        }
        headers.push(("webhook-id", id));
        headers.push(("webhook-timestamp", timestamp));
        headers.push(("content-type", self.content_type.to_owned()));
        let sent = providers
            .post_lines(covered, &self.sender, self.authorization.as_ref(), &headers, parcel.bytes)
            .await;
        match sent {
            Ok(200..300) => Ok(()),
            Ok(413) => Err(Stop::TooLarge),
            Ok(401 | 403) => Err(Stop::Failing("unauthorized")),
            Ok(_) => Err(Stop::Failing("refused")),
            // A kept connection that the receiver had ended meanwhile looks like this.
            Err(UpstreamFailure::Cut) => Err(Stop::Cut),
            Err(failure) => Err(Stop::Failing(failure.reason())),
        }
    }
}

/// Appends lines and waits for the disk. What a crash left of a line before is ended first.
fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // The group may read: the agent that follows the file runs under an account of its own.
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o640).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::{append, may_go};

    #[test]
    fn a_name_that_must_stay_inside_does_not_resolve_outside() {
        let check = |host: &str, found: &[&str], may: bool| {
            let endpoint = format!("https://{host}").parse().unwrap();
            let found: Vec<_> = found.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(may_go(&endpoint, &found), may, "{host} {found:?}");
        };
        check("localhost", &["127.0.0.1:6514", "[::1]:6514"], true);
        check("localhost", &["192.0.2.1:6514"], false);
        check("localhost", &["127.0.0.1:6514", "192.0.2.1:6514"], false);
        check("siem.example", &["192.0.2.1:6514"], true);
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        append(&path, b"{\"a\":1}\n").unwrap();
        append(&path, b"{\"b\":").unwrap();
        append(&path, b"{\"b\":2}\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\":\n{\"b\":2}\n");
        assert!(append(&folder.path().join("no/such/folder"), b"x").is_err());
    }
}
