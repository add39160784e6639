//! Whether somebody is there: a connection is opened, its certificate checked, and it is closed again.
//! Nothing is sent on it.

use crate::feed::may_go;
use gate::path::{Endpoint, Host};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// As long as a real connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Somebody is there, and is who it should be.
#[derive(Debug)]
pub(super) struct Reached {
    address: SocketAddr,
    tls: Option<&'static str>,
    millis: u128,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, tls, millis } = self;
        match tls {
            Some(tls) => write!(f, "answers at {address} over {tls} in {millis} ms"),
            None => write!(f, "answers at {address} in {millis} ms"),
        }
    }
}

/// Why a connection was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreached {
    #[error("its name does not resolve")]
    Name,
    #[error("its name resolves to an address outside the boundary, so nothing is sent there")]
    Outside,
    #[error("nobody accepts a connection there")]
    Nobody,
    #[error("nobody accepts a connection there within 5 s")]
    Late,
    #[error("its certificate is not signed by whom we trust, or is for another name or day")]
    Certificate,
    #[error("it does not speak TLS 1.2 or 1.3")]
    Tls,
    #[error("the certificates that we are to trust cannot be read")]
    Trust,
}

impl Unreached {
    /// What to do about it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Name => "Check the name, and the resolver of this machine.",
            Self::Outside => {
                "Let the name resolve to private addresses only, or register the hop as outside with an agreement."
            }
            Self::Nobody | Self::Late => "Start it, or open the way to it in the firewall.",
            Self::Certificate => "Renew its certificate, or name the right \"ca_file\".",
            Self::Tls => "Have it serve TLS at that address.",
            Self::Trust => "Put the PEM file that \"ca_file\" names in its place.",
        }
    }
}

/// Opens a connection and closes it.
pub(super) async fn reach(
    endpoint: &Endpoint,
    ca_pem: Option<&[u8]>,
) -> Result<Reached, Unreached> {
    let began = Instant::now();
    let connected = timeout(CONNECT_TIMEOUT, connect(endpoint, ca_pem)).await;
    let (address, tls) = connected.map_err(|_| Unreached::Late)??;
    Ok(Reached { address, tls, millis: began.elapsed().as_millis() })
}

async fn connect(
    endpoint: &Endpoint,
    ca_pem: Option<&[u8]>,
) -> Result<(SocketAddr, Option<&'static str>), Unreached> {
    let authority = endpoint.authority();
    let (host, name) = match authority.host() {
        Host::Name(name) => {
            let server = ServerName::try_from(name.to_string());
            (name.to_string(), server.map_err(|_| Unreached::Name)?)
        }
        Host::Address(address) => (address.to_string(), ServerName::from(*address)),
    };
    let found = tokio::net::lookup_host((host.as_str(), authority.port())).await;
    let found: Vec<_> = found.map_err(|_| Unreached::Name)?.collect();
    if !may_go(endpoint, &found) {
        return Err(Unreached::Outside);
    }
    let config = endpoint.is_secure().then(|| trusting(ca_pem)).transpose()?;
    let stream = TcpStream::connect(found.as_slice()).await.map_err(|_| Unreached::Nobody)?;
    let address = stream.peer_addr().map_err(|_| Unreached::Nobody)?;
    let Some(config) = config else { return Ok((address, None)) };
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = shaken.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let certificate = matches!(cause, Some(rustls::Error::InvalidCertificate(_)));
        if certificate { Unreached::Certificate } else { Unreached::Tls }
    })?;
    let (_, session) = stream.get_ref();
    let new = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    Ok((address, Some(if new { "TLS 1.3" } else { "TLS 1.2" })))
}

/// TLS as the client to models has it: these certificates alone, or the system's.
fn trusting(ca_pem: Option<&[u8]>) -> Result<ClientConfig, Unreached> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Unreached::Trust)?;
    let Some(pem) = ca_pem else {
        let builder = builder.with_platform_verifier().map_err(|_| Unreached::Trust)?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| Unreached::Trust)?;
        roots.add(certificate).map_err(|_| Unreached::Trust)?;
    }
    if roots.is_empty() {
        return Err(Unreached::Trust);
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
