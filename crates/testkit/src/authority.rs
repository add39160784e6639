//! A time-stamping authority of the test's own, made with OpenSSL. It proves nothing to anybody.

#![expect(clippy::expect_used, reason = "without its stand-in no test can go on")]

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

const CONFIGURATION: &str = "
[req]
distinguished_name = none
prompt = no
[none]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[tsa]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = critical, timeStamping
[it]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
";

/// A root, a signing certificate under it, and `openssl ts`.
#[derive(Debug)]
pub struct LocalAuthority(TempDir);

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let done =
        command.current_dir(folder).args(arguments.split(' ')).output().expect("openssl runs");
    assert!(
        done.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

impl Default for LocalAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalAuthority {
    /// Makes one, with keys of its own and certificates for a hundred years.
    ///
    /// # Panics
    /// As [`LocalAuthority::lasting`].
    #[must_use]
    pub fn new() -> Self {
        Self::lasting(36_500)
    }

    /// Makes one whose signing certificate ends after so many days.
    ///
    /// # Panics
    /// When there is no `openssl`, or no room for its files.
    #[must_use]
    pub fn lasting(days: u32) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let folder = scratch.path();
        fs::write(folder.join("ca.cnf"), CONFIGURATION).expect("a file");
        fs::write(folder.join("serial"), "01\n").expect("a file");
        for name in ["root", "tsa"] {
            openssl(
                folder,
                &format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"),
            );
        }
        openssl(
            folder,
            "req -x509 -new -key root.key -subj /CN=example-root -days 36500 -config ca.cnf -extensions root -out root.pem",
        );
        openssl(
            folder,
            "req -new -key tsa.key -subj /CN=example-authority -config ca.cnf -out tsa.csr",
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 7 -extfile ca.cnf -extensions tsa -days {days} -out tsa.pem"
            ),
        );
        Self(scratch)
    }

    /// Its root certificate, PEM.
    ///
    /// # Panics
    /// When its files are gone.
    #[must_use]
    pub fn root(&self) -> String {
        fs::read_to_string(self.0.path().join("root.pem")).expect("a file")
    }

    /// The answer to a request, as it goes over the wire.
    ///
    /// # Panics
    /// When OpenSSL does not take the request.
    #[must_use]
    pub fn answer(&self, query: &[u8]) -> Vec<u8> {
        // One at a time: query, answer and serial number are files of one name, and tests of one process
        // share an authority.
        static ASKED: Mutex<()> = Mutex::new(());
        let _turn = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.path();
        fs::write(folder.join("query"), query).expect("a file");
        openssl(folder, "ts -reply -queryfile query -config ca.cnf -section it -out answer");
        fs::read(folder.join("answer")).expect("a file")
    }
}

/// How long one that is late takes.
const LATE: std::time::Duration = std::time::Duration::from_secs(2);

/// How an authority behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Manners {
    /// It stamps what it is asked to.
    Good,
    /// It takes the request and closes the connection.
    Gone,
    /// It stamps another hash than the one it was asked to.
    OverSomethingElse,
    /// It stamps what it is asked to, after two seconds.
    Late,
}

/// An authority behind HTTP on loopback, until the process ends.
#[derive(Debug)]
pub struct Stamping {
    authority: Arc<LocalAuthority>,
    manners: Arc<AtomicU8>,
    address: SocketAddr,
}

impl Stamping {
    /// Starts one with good manners.
    ///
    /// # Panics
    /// When there is no `openssl`, or no port is free.
    #[must_use]
    pub fn start() -> Self {
        Self::serve(LocalAuthority::new())
    }

    /// Puts an authority behind HTTP.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn serve(authority: LocalAuthority) -> Self {
        let authority = Arc::new(authority);
        let manners = Arc::new(AtomicU8::new(Manners::Good as u8));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("a port of loopback");
        let this = Self { authority, manners, address };
        let (authority, manners) = (Arc::clone(&this.authority), Arc::clone(&this.manners));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever is gone is none of its business.
                let _answered = answer(&authority, manners.load(Ordering::SeqCst), stream).is_ok();
            }
        });
        this
    }

    /// Behaves so from here on.
    pub fn is(&self, manners: Manners) {
        self.manners.store(manners as u8, Ordering::SeqCst);
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root certificate, PEM.
    #[must_use]
    pub fn root(&self) -> String {
        self.authority.root()
    }

    /// The part of a governed file that names it, as the authority `example` that is asked every second.
    #[must_use]
    pub fn rules(&self, roots_file: &Path) -> String {
        format!(
            r#"
[anchoring]
every_seconds = 1

[[hop]]
id = "authority"
entity = "Example Authority (synthetic)"
role = "timestamp"
sees = "hashes"
boundary = "outside"
hosts = ["{address}"]

[[authority]]
id = "example"
hop = "authority"
url = "http://{address}/stamp"
roots_file = "{roots}"
policies = ["1.3.6.1.4.1.99999.1"]
"#,
            address = self.address,
            roots = roots_file.display(),
        )
    }
}

fn answer(authority: &LocalAuthority, manners: u8, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut query = vec![0; length];
    reader.read_exact(&mut query)?;
    if manners == Manners::Gone as u8 || query.is_empty() {
        return Ok(());
    }
    if manners == Manners::OverSomethingElse as u8 {
        // Some byte of the imprint.
        let at = query.len() / 2;
        query.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
    }
    if manners == Manners::Late as u8 {
        std::thread::sleep(LATE);
    }
    let body = authority.answer(&query);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}
