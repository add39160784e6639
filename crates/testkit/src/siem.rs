//! A receiver of syslog over TLS (RFC 5425), on loopback, that a test kills and starts again.
//!
//! It keeps every message that arrived whole. For webhooks there is
//! [`Upstream`](crate::upstream::Upstream), which takes any POST.

#![expect(clippy::expect_used, reason = "without its stand-in no test can go on")]

use crate::task;
use crate::upstream::{Authority, Flaw};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// How long [`SyslogReceiver::wait_for`] waits before it says that the messages never came.
const WAIT_LIMIT: Duration = Duration::from_secs(40);

/// The longest message that the receiver takes: a record with room around it.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct State {
    messages: Mutex<Vec<String>>,
    connections: AtomicUsize,
    broken: AtomicUsize,
    stalls: AtomicBool,
}

impl State {
    fn messages(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiver. What it got outlives its deaths.
#[derive(Debug)]
pub struct SyslogReceiver {
    authority: Authority,
    address: SocketAddr,
    config: Arc<ServerConfig>,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl SyslogReceiver {
    /// Starts one on a free loopback port, with a certificate that has `flaw`.
    ///
    /// # Panics
    /// When no port can be bound or no certificate can be made.
    #[must_use]
    pub fn start(flaw: Flaw) -> Self {
        let authority = Authority::new();
        let config = authority.server_config(flaw);
        Self::begin(authority, config)
    }

    /// Starts one that talks to those alone whom its own authority knows.
    ///
    /// # Panics
    /// When no port can be bound or no certificate can be made.
    #[must_use]
    pub fn start_mutual() -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.issue_pem(Flaw::None);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("made");
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("made");
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("made");
        roots.add(own).expect("a test authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("a verifier of clients");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .expect("a test certificate with its key");
        Self::begin(authority, Arc::new(config))
    }

    fn begin(authority: Authority, config: Arc<ServerConfig>) -> Self {
        let state = Arc::new(State::default());
        let (listener, address) = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let accepting = Some(accept_on(listener, &config, &state));
        Self { authority, address, config, state, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority that signs its certificate.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Takes connections and reads nothing from here on, or reads again.
    pub fn stalls(&self, stalls: bool) {
        self.state.stalls.store(stalls, Ordering::SeqCst);
    }

    /// Ends the listener and every connection at once, whatever lies unread in them.
    pub async fn kill(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // A task that was aborted ends with an error that says so.
            drop(accepting.await);
        }
    }

    /// Listens again at the same address.
    ///
    /// # Panics
    /// When somebody took the port.
    pub fn revive(&mut self) {
        let (listener, _) = listen(self.address);
        self.accepting = Some(accept_on(listener, &self.config, &self.state));
    }

    /// Every message so far, in order of arrival, as often as it arrived.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.state.messages().clone()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many connections ended within a message, or sent what is none.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.state.broken.load(Ordering::SeqCst)
    }

    /// Waits until `enough` holds for what arrived.
    ///
    /// # Panics
    /// When it does not after a long while.
    pub async fn wait_for(&self, enough: impl Fn(&[String]) -> bool) {
        let begun = Instant::now();
        while !enough(&self.state.messages()) {
            let count = self.state.messages().len();
            assert!(begun.elapsed() < WAIT_LIMIT, "only {count} messages in {WAIT_LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for SyslogReceiver {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

fn listen(address: SocketAddr) -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an address that was used before");
    // Small, so that a receiver that reads nothing is noticed.
    socket.set_recv_buffer_size(32 << 10).expect("a small buffer");
    socket.bind(address).expect("a loopback port for the stand-in");
    let listener = socket.listen(64).expect("a listener");
    let address = listener.local_addr().expect("the address of the stand-in");
    (listener, address)
}

fn accept_on(
    listener: TcpListener,
    config: &Arc<ServerConfig>,
    state: &Arc<State>,
) -> JoinHandle<()> {
    let (acceptor, state) = (TlsAcceptor::from(Arc::clone(config)), Arc::clone(state));
    task::spawn(async move {
        // The connections end with the task that accepted them.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
            state.connections.fetch_add(1, Ordering::SeqCst);
            connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await
                    && !receive(stream, &state).await
                {
                    state.broken.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    })
}

/// Reads messages until the connection ends; says whether it ended between two of them.
async fn receive(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) -> bool {
    let mut pending = Vec::new();
    loop {
        while state.stalls.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match stream.read_buf(&mut pending).await {
            Ok(0) => {
                // RFC 5425 section 4.4: the other end answers an orderly end with its own.
                drop(stream.shutdown().await);
                return pending.is_empty();
            }
            Err(_) => return pending.is_empty(),
            Ok(_) => {}
        }
        loop {
            match take_message(&mut pending) {
                Ok(Some(message)) => state.messages().push(message),
                Ok(None) => break,
                Err(()) => return false,
            }
        }
    }
}

/// Takes a whole message off the front: octet counting, RFC 5425 section 4.3.
fn take_message(pending: &mut Vec<u8>) -> Result<Option<String>, ()> {
    let Some(space) = pending.iter().position(|byte| *byte == b' ') else {
        return if pending.len() > 10 { Err(()) } else { Ok(None) };
    };
    let (length, rest) = pending.split_at(space);
    let length: usize = std::str::from_utf8(length).map_err(drop)?.parse().map_err(drop)?;
    if length > MAX_MESSAGE_BYTES {
        return Err(());
    }
    let Some(message) = rest.get(1..=length) else { return Ok(None) };
    let message = String::from_utf8(message.to_vec()).map_err(drop)?;
    pending.drain(..=space + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::take_message;

    #[test]
    fn messages_are_taken_by_their_length() {
        let mut pending = b"3 a b2 cd4 ef".to_vec();
        assert_eq!(take_message(&mut pending), Ok(Some("a b".to_owned())));
        assert_eq!(take_message(&mut pending), Ok(Some("cd".to_owned())));
        assert_eq!(take_message(&mut pending), Ok(None));
        assert_eq!(pending, b"4 ef");
        assert_eq!(take_message(&mut b"x y".to_vec()), Err(()));
    }
}
