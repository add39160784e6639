//! The listener: plain HTTP on this machine only, TLS 1.2 or 1.3 everywhere else. HTTP/1.1 is all that is
//! spoken, so each connection carries one request at a time and one limit holds for each.

mod front;

use crate::api::Peer;
use axum::Router;
use front::Fronted;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Connections at once. Each costs some tens of kilobytes; beyond this the machine is the limit.
const MAX_CONNECTIONS: usize = 4096;

/// Open files that are kept for the database, model servers at rest, feeds and commands.
const SPARE_FILES: usize = 192;

/// Open files that the server asks the system for: two for each connection, its own and one to a model server.
const WANTED_FILES: usize = 2 * MAX_CONNECTIONS + SPARE_FILES;

/// How long a caller may take over the TLS handshake, and over the head of a request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long shutdown waits for connections that still answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The listener cannot be opened as asked.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain HTTP was asked for where others can listen in.
    #[error(
        "{0} is reachable from other machines, so it needs TLS: give --tls-cert and --tls-key, or listen on 127.0.0.1"
    )]
    PlainOutside(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A PEM file cannot be read.
    #[error("cannot read {}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not go together.
    #[error("the certificate and the key cannot be used")]
    Certificate(#[from] rustls::Error),
}

/// A bound socket, and TLS if it has it.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Listener {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`ListenError`], among them plain HTTP outside of this machine (45 CFR 164.312(e)(1)).
    pub async fn bind(address: SocketAddr, tls: Option<&Tls>) -> Result<Self, ListenError> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ListenError::PlainOutside(address));
        }
        let tls = tls.map(acceptor).transpose()?;
        let socket = TcpListener::bind(address)
            .await
            .map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self { socket, tls })
    }

    /// The address that was bound, with its port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves `router` until `stop` resolves, then lets running answers end.
    pub async fn serve(
        self,
        router: Router,
        tasks: &service::Tasks,
        stop: impl Future<Output = ()>,
    ) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(connections()));
        tokio::pin!(stop);
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = async { (place.await, self.socket.accept().await) } => accepted,
            };
            let (Ok(place), Ok((stream, peer))) = accepted else {
                // Out of file descriptors: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // Without this, Nagle's algorithm holds the first bytes of an answer for 40 ms.
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let (tls, router, peer) = (self.tls.clone(), router.clone(), Peer(peer));
            let connection = serve_connection(stream, tls, router, peer, graceful.watcher());
            tasks.spawn(async move {
                connection.await;
                drop(place);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    peer: Peer,
    watcher: Watcher,
) {
    match tls {
        None => serve_stream(stream, router, peer, watcher).await,
        Some(acceptor) => {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => serve_stream(stream, router, peer, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

/// How many connections may be open: as many as the system gives files for. A flood of callers must not take
/// the last file from the database or from a connection to a model.
fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = WANTED_FILES as u64;
    let files = maximum.unwrap_or(wanted).min(wanted).max(current.unwrap_or(wanted));
    let limit = Rlimit { current: Some(files), maximum };
    let files = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => files,
        Err(_) => current.unwrap_or(files),
    };
    let files = usize::try_from(files).unwrap_or(WANTED_FILES);
    let connections = (files.saturating_sub(SPARE_FILES) / 2).clamp(1, MAX_CONNECTIONS);
    if connections < MAX_CONNECTIONS {
        tracing::warn!(connections, files, "few files may be open, so few connections are taken");
    }
    connections
}

async fn serve_stream<S>(stream: S, router: Router, peer: Peer, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        // A request may have had a length beside its chunks, which was overlooked. What follows it on the
        // connection could be a request to us and a body to a proxy before us (RFC 9112, section 6.1).
        let last = request.headers().contains_key(TRANSFER_ENCODING);
        let answered = router.call(request);
        async move {
            let mut response = answered.await?;
            if last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Fronted::new(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ListenError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| ListenError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed(&tls.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(failed(&tls.key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
