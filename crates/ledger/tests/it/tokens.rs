//! Tokens, good and bad, made with OpenSSL: what our check says of each, and what OpenSSL says.

use ledger::anchor::{Authority, NotAStamp, Request, Stamp, Ungranted, check, token_of};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A line of `cases.tsv`.
struct Case {
    name: String,
    token: String,
    request: Option<String>,
    roots: String,
    archive: Option<String>,
    policies: Option<String>,
    ours: String,
    openssl: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn cases() -> Vec<Case> {
    let text = String::from_utf8(bytes("cases.tsv")).unwrap();
    let given = |field: &str| (field != "-").then(|| field.to_owned());
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let fields: [&str; 8] = fields.try_into().expect("eight fields");
            let [name, token, request, roots, archive, policies, ours, openssl] = fields;
            Case {
                name: name.to_owned(),
                token: token.to_owned(),
                request: given(request),
                roots: roots.to_owned(),
                archive: given(archive),
                policies: given(policies),
                ours: ours.to_owned(),
                openssl: openssl.to_owned(),
            }
        })
        .collect()
}

impl Case {
    fn authority(&self) -> Authority {
        let mut authority = Authority::from_roots(&bytes(&self.roots)).unwrap();
        if let Some(archive) = &self.archive {
            authority = authority.with_archive(&bytes(archive)).unwrap();
        }
        let policies = self.policies.as_deref();
        authority.with_policies(policies).unwrap()
    }

    fn request(&self) -> Option<Request> {
        self.request.as_ref().map(|file| Request::from_bytes(&bytes(file)).unwrap())
    }

    fn check(&self, token: &[u8]) -> Result<Stamp, NotAStamp> {
        check(token, &bytes("message"), self.request().as_ref(), &self.authority())
    }

    /// What `openssl ts -verify` says, at the time of the test.
    fn openssl(&self) -> bool {
        let scratch = tempfile::tempdir().unwrap();
        let mut trusted = bytes(&self.roots);
        let mut command = Command::new("openssl");
        command.current_dir(folder()).args(["ts", "-verify", "-token_in", "-in", &self.token]);
        if let Some(request) = &self.request {
            command.args(["-queryfile", request]);
        } else {
            command.args(["-data", "message"]);
        }
        if let Some(archive) = &self.archive {
            if bytes(archive).starts_with(b"-----BEGIN X509 CRL") {
                trusted.extend(bytes(archive));
                command.arg("-crl_check");
            } else {
                command.args(["-untrusted", archive]);
            }
        }
        let file = scratch.path().join("trusted.pem");
        fs::write(&file, trusted).unwrap();
        command.arg("-CAfile").arg(file);
        command.output().unwrap().status.success()
    }
}

/// `NotAStamp::NoCertificate` as `no_certificate`.
fn snake(refusal: NotAStamp) -> String {
    let mut out = String::new();
    for c in format!("{refusal:?}").chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[test]
fn every_token_is_accepted_or_refused_for_its_reason() {
    let cases = cases();
    assert!(cases.len() >= 30, "{}", cases.len());
    for case in cases {
        let said = match case.check(&bytes(&case.token)) {
            Ok(_) => "good".to_owned(),
            Err(refusal) => snake(refusal),
        };
        assert_eq!(said, case.ours, "{}", case.name);
    }
}

#[test]
fn openssl_agrees_on_every_token() {
    for case in cases().iter().filter(|case| case.openssl != "-") {
        assert_eq!(case.openssl(), case.openssl == "good", "{}", case.name);
    }
}

/// Where the two differ, this says it, so that nobody meets it by surprise.
#[test]
fn we_differ_from_openssl_where_we_say_so() {
    let differing: Vec<String> = cases()
        .iter()
        .filter(|case| case.openssl != "-" && (case.ours == "good") != (case.openssl == "good"))
        .map(|case| case.name.clone())
        .collect();
    assert_eq!(differing, ["imprint_sha1", "signer_by_key_identifier", "replaced_after_the_stamp"]);
}

#[test]
fn a_stamp_says_when_by_whom_and_how_exactly() {
    let cases = cases();
    let stamp = |name: &str| {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        case.check(&bytes(&case.token)).unwrap()
    };
    let plain = stamp("plain");
    assert_eq!(plain.authority, "tsa_p256");
    assert_eq!(plain.policy, "1.3.6.1.4.1.99999.1");
    assert_eq!(plain.serial, "02");
    assert_eq!(plain.accuracy, None, "unknown, not zero");
    assert_eq!(plain.time.as_micros() % 1_000_000, 0);
    assert!(plain.certificate_ends > plain.time);
    let fraction = stamp("fraction_and_accuracy");
    assert_eq!(fraction.accuracy, Some(1_500_100));
    assert_eq!(stamp("accuracy_in_seconds").accuracy, Some(1_000_000));
}

/// Every byte of tokens of every shape changed in four ways: none is accepted with another meaning.
#[test]
fn no_changed_byte_gives_a_token_another_meaning() {
    let (mut mutants, mut accepted) = (0, 0);
    for name in ["plain", "rsa", "fraction_and_accuracy", "certificate_id_by_sha1", "by_cms"] {
        let cases = cases();
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let (message, request, authority) = (bytes("message"), case.request(), case.authority());
        let token = bytes(&case.token);
        let of = |token: &[u8]| check(token, &message, request.as_ref(), &authority);
        let good = of(&token).unwrap();
        let mut tried = token.clone();
        for at in 0..token.len() {
            let byte = token[at];
            for other in [byte ^ 0x01, byte ^ 0x80, byte ^ 0xff, byte.wrapping_add(1)] {
                tried[at] = other;
                mutants += 1;
                if let Ok(stamp) = of(&tried) {
                    accepted += 1;
                    assert_eq!(stamp, good, "byte {at} of {name} as {other:02x}");
                }
            }
            tried[at] = byte;
        }
        for cut in 0..token.len() {
            assert!(of(&token[..cut]).is_err(), "{name} cut at {cut}");
        }
        tried.push(0);
        assert!(of(&tried).is_err(), "{name} with one more byte");
    }
    assert!(mutants >= 10_000, "{mutants} mutants");
    // Accepted ones lie in copies of certificates that the path does not use, and nowhere else.
    assert!(accepted * 2 < mutants, "{accepted} of {mutants}");
}

#[test]
fn a_refusal_of_the_authority_is_told_from_nonsense() {
    // Status rejection (2), text "no", failure bit 25 (systemFailure), as OpenSSL writes them.
    let refused = [
        0x30, 0x11, 0x30, 0x0f, 0x02, 0x01, 0x02, 0x30, 0x04, 0x0c, 0x02, b'n', b'o', 0x03, 0x04,
        0x06, 0x00, 0x00, 0x40,
    ];
    assert_eq!(token_of(&refused), Err(Ungranted::Refused { status: 2, failure: 0x0000_4000 }));
    for bad in [&b""[..], b"<html>busy</html>", &[0x30, 0x00], &refused[..5]] {
        assert_eq!(token_of(bad), Err(Ungranted::Malformed));
    }
}
