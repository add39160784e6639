//! A time-stamping authority of the test's own, made with OpenSSL. It proves nothing to anybody.

use std::fs;
use std::path::Path;
use std::process::Command;
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

pub(crate) struct LocalAuthority(TempDir);

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let done = command.current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(
        done.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

impl LocalAuthority {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        fs::write(folder.join("ca.cnf"), CONFIGURATION).unwrap();
        fs::write(folder.join("serial"), "01\n").unwrap();
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
            "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 7 -extfile ca.cnf -extensions tsa -days 36500 -out tsa.pem",
        );
        Self(scratch)
    }

    /// Its root certificate, PEM.
    pub(crate) fn root(&self) -> String {
        fs::read_to_string(self.0.path().join("root.pem")).unwrap()
    }

    /// The answer to a request, as it goes over the wire.
    pub(crate) fn answer(&self, query: &[u8]) -> Vec<u8> {
        let folder = self.0.path();
        fs::write(folder.join("query"), query).unwrap();
        openssl(folder, "ts -reply -queryfile query -config ca.cnf -section it -out answer");
        fs::read(folder.join("answer")).unwrap()
    }
}
