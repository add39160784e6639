//! Certificates for loopback servers, right and wrong ones.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;

/// Names that a loopback server is called by.
const LOOPBACK_NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing: the authority signed it for loopback, and it is in force.
    None,
    /// It signed itself.
    SelfSigned,
    /// An authority that nobody trusts signed it.
    UnknownAuthority,
    /// It is for another name.
    WrongName,
    /// It expired in 2020.
    Expired,
}

/// A certificate authority that exists for one test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A fresh authority with a fresh key.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "fixed parameters: rcgen takes them or is broken")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Bulla test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key for the test authority");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a test authority");
        Self { issuer }
    }

    /// The authority's own certificate, PEM: what a caller trusts.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a loopback server and its private key, both PEM, for a server that reads
    /// them from files.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "fixed parameters: rcgen takes them or is broken")]
    pub fn issue_pem(&self, flaw: Flaw) -> (String, String) {
        let key = KeyPair::generate().expect("a key for a test server");
        let names = match flaw {
            Flaw::WrongName => vec!["elsewhere.example".to_owned()],
            Flaw::None | Flaw::SelfSigned | Flaw::UnknownAuthority | Flaw::Expired => {
                LOOPBACK_NAMES.map(str::to_owned).to_vec()
            }
        };
        let mut params = CertificateParams::new(names).expect("names of a test server");
        params.distinguished_name.push(DnType::CommonName, "Bulla test server");
        if flaw == Flaw::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            Flaw::UnknownAuthority => params.signed_by(&key, &Self::new().issuer),
            Flaw::None | Flaw::WrongName | Flaw::Expired => params.signed_by(&key, &self.issuer),
        };
        (certificate.expect("a test certificate").pem(), key.serialize_pem())
    }

    /// A TLS configuration for a loopback server, TLS 1.2 and 1.3.
    ///
    /// # Panics
    /// When no certificate can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "fixed parameters: rustls takes them or is broken")]
    pub fn server_config(&self, flaw: Flaw) -> Arc<ServerConfig> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let (certificate, key) = self.issue_pem(flaw);
        let certificate =
            CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a test certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a test key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a test certificate with its key");
        Arc::new(config)
    }
}
