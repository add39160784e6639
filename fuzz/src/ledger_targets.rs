//! What each target of the log's readers does with any bytes. The workspace runs the same functions over
//! generated inputs (`crates/ledger/tests/it/hostile.rs`), so that they stay true where there is no
//! fuzzer.

use ledger::anchor::{Authority, Request, Stamp, check, token_of};
use ledger::bundle::each_file;
use ledger::checkpoint::{VerifierKey, WitnessKey};
use ledger::receipt::ReceiptCheck;
use ledger::verify::{Trust, Verdict, Verification};
use ledger::{Record, is_canonical};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A target and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their binaries.
pub(crate) const TARGETS: &[Target] =
    &[("token", token), ("bundle", bundle), ("record", record), ("note", note)];

const ROOT: &[u8] = include_bytes!("../../crates/ledger/tests/tokens/root.pem");
const MESSAGE: &[u8] = include_bytes!("../../crates/ledger/tests/tokens/message");

/// Tokens that hold under [`ROOT`], each made in another way.
pub(crate) const TOKENS: &[&[u8]] = &[
    include_bytes!("../../crates/ledger/tests/tokens/p256.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/p384.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/rsa.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/direct.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/fraction.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/ordered.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/ess_chain.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/cades.tst"),
    include_bytes!("../../crates/ledger/tests/tokens/key_id.tst"),
];

static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::from_roots(ROOT).expect("the root of the test's tokens"));

/// What the good tokens say: serial number, time, policy.
static SAID: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let said = TOKENS.iter().map(|token| check(token, MESSAGE, None, &AUTHORITY));
    said.map(|stamp| words(&stamp.expect("a token that holds"))).collect()
});

fn words(stamp: &Stamp) -> String {
    format!("{} {} {}", stamp.serial, stamp.time, stamp.policy)
}

/// A time-stamping authority's token, its whole response, and a request. Whatever was done to a token,
/// one that is believed says what its authority signed.
fn token(bytes: &[u8]) {
    if let Ok(stamp) = check(bytes, MESSAGE, None, &AUTHORITY) {
        assert!(SAID.contains(&words(&stamp)), "nobody signed that");
    }
    let _other = check(bytes, b"another message", None, &AUTHORITY).is_ok();
    if let Ok(token) = token_of(bytes) {
        assert!(token.len() <= bytes.len(), "a token is a piece of the response");
        let _checked = check(token, MESSAGE, None, &AUTHORITY).is_ok();
    }
    if let Ok(request) = Request::from_bytes(bytes) {
        for token in TOKENS {
            let _checked = check(token, MESSAGE, Some(&request), &AUTHORITY).is_ok();
        }
    }
    if let Ok(authority) = Authority::from_roots(bytes) {
        let _archived = authority.with_archive(bytes).is_ok();
    }
}

/// A bundle or the proof of one record, as a tar. Two readings agree, and a good verdict has no fault.
fn bundle(bytes: &[u8]) {
    let first = verdict(bytes);
    assert!(
        format!("{first:?}") == format!("{:?}", verdict(bytes)),
        "two readings of one bundle differ"
    );
    assert!(first.good == first.problems.is_empty(), "good is what has no fault");
    let mut proof = ReceiptCheck::new(&Trust::none());
    if each_file(bytes, |name, file| proof.file(name, file)).is_err() {
        proof.damaged("the archive");
    }
    drop(proof.finish());
}

fn verdict(bytes: &[u8]) -> Verdict {
    let mut verification = Verification::new(Trust::none());
    if each_file(bytes, |name, file| verification.file(name, file)).is_err() {
        verification.damaged("the archive");
    }
    verification.finish()
}

/// A record. The fast reader accepts exactly what the strict one does, which accepts exactly the bytes
/// that it writes.
fn record(bytes: &[u8]) {
    let read = Record::from_bytes(bytes);
    assert!(is_canonical(bytes) == read.is_ok(), "two readers of one record differ: {read:?}");
    if let Ok(record) = read {
        assert!(record.to_bytes() == bytes, "a record is written as it was read");
    }
}

/// A trust file, and with the keys in it a note.
fn note(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _trust = Trust::parse(&text).is_ok();
    for line in text.lines() {
        if let Ok(key) = VerifierKey::parse(line) {
            assert!(line.starts_with(key.name()), "a key begins with its name");
            let _opened = key.open(&text).is_ok();
        }
        if let Ok(key) = WitnessKey::parse(line) {
            assert!(line.starts_with(key.name()), "a key begins with its name");
            let _seconds = key.seconds_of(&text).is_ok();
        }
    }
}
