//! Nobody listens in: plain HTTP on this machine only, TLS 1.2 or later everywhere else.

use crate::house::{Done, House, Serving, user};
use crate::rules::Rules;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use testkit::client::Client;
use testkit::people::MARISOL;
use testkit::upstream::{Authority, Flaw, Reply, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The alert of TLS by which a server says that it speaks no such version (RFC 8446 section 6).
const PROTOCOL_VERSION_ALERT: u8 = 70;

struct Secured {
    house: House,
    serving: Serving,
    ca_pem: String,
    ca: PathBuf,
}

fn secured(rules: &Rules, listen: &str) -> Secured {
    let house = House::with(rules);
    let authority = Authority::new();
    let (certificate, key) = authority.issue_pem(Flaw::None);
    let paths = [("cert.pem", &certificate), ("key.pem", &key), ("ca.pem", &authority.pem())].map(
        |(name, pem)| {
            std::fs::write(house.path(name), pem).unwrap();
            house.path(name)
        },
    );
    let [certificate, key, ca] = paths;
    let serving = house.serve_with(&[
        "--listen",
        listen,
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    Secured { house, serving, ca_pem: authority.pem(), ca }
}

#[test]
fn a_listener_that_others_reach_needs_tls() {
    let house = House::bare();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        house.run(&["serve", "--listen", address]).fails(2, "needs TLS");
    }
    let half = house.run(&["serve", "--listen", "0.0.0.0:0", "--tls-cert", "x.pem"]);
    half.fails(2, "--tls-key");
    let missing = ["serve", "--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"];
    house.run(&missing).fails(2, "/nowhere/c.pem");
    house.run(&["serve", "--listen", "nonsense"]).fails(2, "--listen");
}

#[tokio::test]
async fn a_prompt_comes_over_tls_1_2_and_1_3() {
    let upstream = Upstream::start(Reply::echo()).await;
    // The house is held on to: its data directory goes with it.
    let Secured { serving, ca_pem, house: _house, .. } =
        secured(&Rules::cloud(&upstream), "0.0.0.0:0");
    let address = SocketAddr::from(([127, 0, 0, 1], serving.address.port()));
    let mut client = Client::connect_tls(address, "localhost", &ca_pem).await.unwrap();
    for _ in 0..2 {
        let response = client.call(&serving.request(&user(MARISOL.name))).await.unwrap();
        assert_eq!(response.answer().content(), MARISOL.name);
    }
    for (version, spoken) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        assert_eq!(health_over(address, &ca_pem, version).await, spoken);
    }
    // Whoever speaks plainly to it gets nothing, and others are not disturbed.
    let mut plain = Client::connect(address).await.unwrap();
    plain.send(&serving.request(&user(MARISOL.name))).await.unwrap();
    assert!(plain.head().await.is_err());
    let response = client.call(&serving.request(&user(MARISOL.name))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(upstream.captured().len(), 3);
}

/// Asks for `/healthz` over exactly this version and says which was spoken.
async fn health_over(
    address: SocketAddr,
    ca_pem: &str,
    version: &'static SupportedProtocolVersion,
) -> ProtocolVersion {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 200");
    stream.get_ref().1.protocol_version().unwrap()
}

/// A `ClientHello` that offers TLS 1.0 or 1.1 and nothing later.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.push(0);
    // ECDHE with AES in CBC mode, and the same with RSA: what such clients offer.
    hello.extend([0, 8, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35]);
    hello.extend([1, 0]);
    // Extensions: groups (x25519, P-256), point formats, and signatures (ECDSA with SHA-256), so
    // that nothing but the version is amiss.
    let extensions = [0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend([0, length(&extensions)]);
    hello.extend(extensions);
    let mut message = vec![1, 0, 0, length(&hello)];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, length(&message)];
    record.extend(message);
    record
}

fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).unwrap()
}

#[tokio::test]
async fn tls_1_1_and_older_are_refused() {
    let upstream = Upstream::start(Reply::echo()).await;
    let Secured { house, serving, ca, .. } = secured(&Rules::cloud(&upstream), "127.0.0.1:0");
    for minor in [1, 2] {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(&old_hello(minor)).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        // One fatal alert, and nothing else.
        assert_eq!((answer.len(), answer[0], answer[5]), (7, 21, 2), "{answer:?}");
        assert_eq!(answer[6], PROTOCOL_VERSION_ALERT);
    }
    with_openssl(&serving, &ca);
    drop(house);
}

/// The same with a client that others wrote, where there is one.
fn with_openssl(serving: &Serving, ca: &std::path::Path) {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: there is no openssl on this machine");
        return;
    }
    for (version, works) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-brief", "-verify_return_error", "-servername", "localhost"]);
        client.arg("-connect").arg(serving.address.to_string()).arg("-CAfile").arg(ca).arg(version);
        // Level 0: the client itself would still offer TLS 1.1.
        client.args(["-cipher", "DEFAULT@SECLEVEL=0"]);
        let done = Done::of(&mut client);
        let said = format!("{}{}", done.out, done.err);
        assert_eq!(done.code == 0, works, "{version}: {said}");
        assert!(works || said.contains("alert"), "{version}: {said}");
    }
}
