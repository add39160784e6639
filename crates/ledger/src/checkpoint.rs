//! Checkpoints: what a log signs about itself.
//!
//! A checkpoint (C2SP tlog-checkpoint v1.0.0) says "the log of this name has so many records and
//! this root". It travels as a signed note (C2SP signed-note): its text, an empty line, and one
//! line per signature. Tools of others read it.
//!
//! Extension lines are neither written nor accepted: newer cosignature types do not sign them, so
//! nothing that matters may stand there. Time stamps (RFC 3161) are made over the whole signed
//! note and lie beside it, in the bundle's `anchors/`.

use crate::Hash;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt;
use std::str::FromStr;

/// The longest signed note that is read: 64 KiB. A log's own signature takes a few hundred bytes;
/// the rest is room for cosignatures, about 20 of them post-quantum (2,420 bytes each).
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// Signatures read from one note. The reference implementation stops at the same number.
const MAX_SIGNATURES: usize = 100;

/// C2SP signed-note: the identifier of Ed25519 in keys and key hashes.
const ED25519_TYPE: u8 = 0x01;
/// C2SP tlog-cosignature: that of an Ed25519 cosignature with its time.
const COSIGNATURE_TYPE: u8 = 0x04;
/// The time before a cosignature: seconds since 1970, big-endian.
const TIME_BYTES: usize = 8;
const KEY_HASH_BYTES: usize = 4;
const PUBLIC_KEY_BYTES: usize = 32;

/// The size and root of a log, under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, see [`crate::LogId`].
    pub origin: String,
    /// Records in the log.
    pub size: u64,
    /// The root of the RFC 6962 tree over their bytes.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    /// The note text: three lines, each ended.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }
}

/// The text is not a checkpoint of exactly three lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint of three lines: origin, size, root")]
pub struct MalformedCheckpoint;

impl FromStr for Checkpoint {
    type Err = MalformedCheckpoint;

    fn from_str(text: &str) -> Result<Self, MalformedCheckpoint> {
        let body = text.strip_suffix('\n').ok_or(MalformedCheckpoint)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(MalformedCheckpoint);
        };
        let root = BASE64.decode(root.as_bytes()).map_err(|_| MalformedCheckpoint)?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| MalformedCheckpoint)?,
            root: Hash::from_bytes(root.try_into().map_err(|_| MalformedCheckpoint)?),
        };
        // One text for one meaning: no leading zero or plus sign, no other spelling of the root.
        if origin.is_empty() || checkpoint.to_string() != text {
            return Err(MalformedCheckpoint);
        }
        Ok(checkpoint)
    }
}

/// The name cannot stand in a note: empty, or with white space or a plus sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a key is empty or has white space or a plus sign")]
pub struct MalformedName;

/// The text is not an Ed25519 verifier key of the C2SP form, or its hash does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 verifier key of the form name+hash+key")]
pub struct MalformedKey;

fn check_name(name: &str) -> Result<(), MalformedName> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) { Err(MalformedName) } else { Ok(()) }
}

/// The first four bytes of SHA-256(name, line feed, type, public key).
fn key_hash(name: &str, kind: u8, public: &[u8]) -> [u8; KEY_HASH_BYTES] {
    let hash = Hash::of_all([name.as_bytes(), b"\n", &[kind], public]);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

/// A key pair under the name that stands in notes.
///
/// It keeps no copy of the seed; the cryptographic library holds the key pair and wipes it when
/// this is dropped.
struct NamedPair {
    name: String,
    pair: Ed25519KeyPair,
}

impl NamedPair {
    #[expect(clippy::expect_used, reason = "every 32 bytes are an Ed25519 seed")]
    fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MalformedName> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed");
        Ok(Self { name: name.to_owned(), pair })
    }
}

impl fmt::Debug for NamedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Signs the checkpoints of one log.
#[derive(Debug)]
pub struct Signer(NamedPair);

impl Signer {
    /// A signer from the 32-byte Ed25519 seed (RFC 8032 section 5.1.5), named as its log.
    ///
    /// # Errors
    /// [`MalformedName`] when the name cannot stand in a note. The text of a
    /// [`LogId`](crate::LogId) always can.
    ///
    /// # Panics
    /// Never: every 32 bytes are a seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MalformedName> {
        NamedPair::from_seed(name, seed).map(Self)
    }

    /// The name: the origin of the checkpoints that it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The public key in the C2SP form `name+hash+base64(0x01 || key)`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        encode_key(&self.0.name, ED25519_TYPE, self.0.pair.public_key().as_ref())
    }

    /// The signed note of `checkpoint`.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        self.sign_text(&checkpoint.to_string())
    }

    /// A note over any text that ends with a line feed.
    fn sign_text(&self, text: &str) -> String {
        let public = self.0.pair.public_key();
        let mut signature = key_hash(&self.0.name, ED25519_TYPE, public.as_ref()).to_vec();
        signature.extend_from_slice(self.0.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{}", signature_text(&self.0.name, &signature))
    }
}

/// A line of a note: the name and the signature with its key's hash.
fn signature_text(name: &str, signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", BASE64.encode(signature))
}

fn encode_key(name: &str, kind: u8, public: &[u8]) -> String {
    let mut typed = vec![kind];
    typed.extend_from_slice(public);
    format!("{name}+{}+{}", HEXLOWER.encode(&key_hash(name, kind, public)), BASE64.encode(&typed))
}

/// The name and the public key of a verifier key of this kind, whose hash fits.
fn decode_key(text: &str, kind: u8) -> Result<(String, [u8; PUBLIC_KEY_BYTES]), MalformedKey> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(MalformedKey);
    };
    check_name(name).map_err(|_| MalformedKey)?;
    let typed = BASE64.decode(key.as_bytes()).map_err(|_| MalformedKey)?;
    let public: [u8; PUBLIC_KEY_BYTES] = typed
        .strip_prefix(&[kind])
        .and_then(|public| public.try_into().ok())
        .ok_or(MalformedKey)?;
    if hash != HEXLOWER.encode(&key_hash(name, kind, &public)) {
        return Err(MalformedKey);
    }
    Ok((name.to_owned(), public))
}

/// A public key that checks signed notes, under the name of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; PUBLIC_KEY_BYTES],
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_key(&self.name, ED25519_TYPE, &self.public))
    }
}

/// Why a note is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the signed-note form.
    #[error("not a signed note")]
    Malformed,
    /// No signature line is by this key.
    #[error("the note is not signed by this key")]
    NotSigned,
    /// A line claims to be by this key and is not.
    #[error("the signature does not fit the text")]
    BadSignature,
    /// Well signed, but not a checkpoint.
    #[error("the signed text is not a checkpoint")]
    NotACheckpoint,
    /// A checkpoint of another log than the key's.
    #[error("the checkpoint is of another log than the key")]
    OtherLog,
}

impl VerifierKey {
    /// Reads a key in the C2SP form and checks its hash.
    ///
    /// # Errors
    /// [`MalformedKey`], also for a key of another type than Ed25519.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let (name, public) = decode_key(text, ED25519_TYPE)?;
        Ok(Self { name, public })
    }

    /// The name: the origin of the checkpoints that it checks.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks a signed note and reads the checkpoint in it.
    ///
    /// Signatures by other keys are ignored, as C2SP signed-note demands, so that cosignatures and
    /// a new key can be added. Every signature that claims to be by this key must hold.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let text = self.open_text(note)?;
        let checkpoint: Checkpoint = text.parse().map_err(|_| NoteError::NotACheckpoint)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::OtherLog);
        }
        Ok(checkpoint)
    }

    fn open_text<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let mut good = 0;
        let text =
            each_signature(note, &self.name, ED25519_TYPE, &self.public, |text, signature| {
                good += 1;
                check(&self.public, text.as_bytes(), signature)
            })?;
        if good == 0 { Err(NoteError::NotSigned) } else { Ok(text) }
    }
}

/// Hands over every signature of a note that claims to be by this key, and returns the text.
fn each_signature<'a>(
    note: &'a str,
    name: &str,
    kind: u8,
    public: &[u8],
    mut take: impl FnMut(&str, &[u8]) -> Result<(), NoteError>,
) -> Result<&'a str, NoteError> {
    let (text, signatures) = split_note(note).ok_or(NoteError::Malformed)?;
    let hash = key_hash(name, kind, public);
    for (count, line) in signatures.lines().enumerate() {
        let (signer, signature) = signature_line(line).ok_or(NoteError::Malformed)?;
        if count >= MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        if signer == name
            && let Some(signature) = signature.strip_prefix(&hash)
        {
            take(text, signature)?;
        }
    }
    Ok(text)
}

fn check(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
    ParsedPublicKey::new(&ED25519, public)
        .map_err(|_| NoteError::BadSignature)?
        .verify_sig(message, signature)
        .map_err(|_| NoteError::BadSignature)
}

/// Cosigns checkpoints of other logs: what a witness does (C2SP tlog-cosignature, Ed25519).
#[derive(Debug)]
pub struct Cosigner(NamedPair);

impl Cosigner {
    /// A cosigner from the 32-byte Ed25519 seed, under a name such as `witness.example/w1`.
    ///
    /// # Errors
    /// [`MalformedName`] when the name cannot stand in a note.
    ///
    /// # Panics
    /// Never: every 32 bytes are a seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, MalformedName> {
        NamedPair::from_seed(name, seed).map(Self)
    }

    /// The public key in the C2SP form `name+hash+base64(0x04 || key)`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        encode_key(&self.0.name, COSIGNATURE_TYPE, self.0.pair.public_key().as_ref())
    }

    /// The signature line, with its line feed, over the text of a checkpoint at a time in seconds since
    /// 1970.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, seconds: u64) -> String {
        let public = self.0.pair.public_key();
        let mut signature = key_hash(&self.0.name, COSIGNATURE_TYPE, public.as_ref()).to_vec();
        signature.extend_from_slice(&seconds.to_be_bytes());
        let message = cosigned(&checkpoint.to_string(), seconds);
        signature.extend_from_slice(self.0.pair.sign(message.as_bytes()).as_ref());
        signature_text(&self.0.name, &signature)
    }
}

/// What a cosignature is over.
fn cosigned(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// The public key of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    public: [u8; PUBLIC_KEY_BYTES],
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_key(&self.name, COSIGNATURE_TYPE, &self.public))
    }
}

impl WitnessKey {
    /// Reads a key in the C2SP form and checks its hash.
    ///
    /// # Errors
    /// [`MalformedKey`], also for the key of a log.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let (name, public) = decode_key(text, COSIGNATURE_TYPE)?;
        Ok(Self { name, public })
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When this witness cosigned a note, in seconds since 1970: of several times the latest.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] when it did not; [`NoteError::BadSignature`] when a line claims so and
    /// does not hold.
    pub fn seconds_of(&self, note: &str) -> Result<u64, NoteError> {
        let mut latest = None;
        let (name, public) = (&self.name, &self.public);
        each_signature(note, name, COSIGNATURE_TYPE, public, |text, signature| {
            let (seconds, signature) =
                signature.split_first_chunk::<TIME_BYTES>().ok_or(NoteError::BadSignature)?;
            let seconds = u64::from_be_bytes(*seconds);
            // A time of zero makes no statement on what was seen last.
            if seconds == 0 || i64::try_from(seconds).is_err() {
                return Err(NoteError::BadSignature);
            }
            latest = latest.max(Some(seconds));
            check(public, cosigned(text, seconds).as_bytes(), signature)
        })?;
        latest.ok_or(NoteError::NotSigned)
    }
}

/// The checkpoint that a note claims, before any signature is checked.
///
/// Only good for saying what is wrong with a note: nothing in it may be believed.
pub(crate) fn claimed(note: &str) -> Option<Checkpoint> {
    split_note(note)?.0.parse().ok()
}

/// Splits a note into its text, with the last line feed, and its signature lines.
fn split_note(note: &str) -> Option<(&str, &str)> {
    let control = |c: char| c < ' ' && c != '\n';
    if note.len() > MAX_NOTE_BYTES || note.contains(control) || !note.ends_with('\n') {
        return None;
    }
    let (text, signatures) = note.rsplit_once("\n\n")?;
    let text = note.get(..=text.len())?;
    if signatures.is_empty() { None } else { Some((text, signatures)) }
}

/// Reads `— name base64`, with at least one byte after the key's hash.
fn signature_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    check_name(name).ok()?;
    let signature = BASE64.decode(signature.as_bytes()).ok()?;
    (signature.len() > KEY_HASH_BYTES).then_some((name, signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const SEED: [u8; 32] = [7; 32];
    const LOG: &str = "bulla/dep_1/ten_1";

    fn signer() -> Signer {
        Signer::from_seed(LOG, &SEED).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: LOG.to_owned(), size: 20, root: Hash::of(b"root") }
    }

    fn check(note: &str, expected: &Result<Checkpoint, NoteError>) {
        let key = VerifierKey::parse(&signer().verifier_key()).unwrap();
        assert_eq!(&key.open(note), expected, "{note}");
    }

    /// The example of Go's `golang.org/x/mod/sumdb/note`, which C2SP signed-note grew out of.
    #[test]
    fn the_published_example_note_is_made_and_accepted() {
        const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        const PRIVATE: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                            then you don't know what your problem is.\n";
        const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg\
            KvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let typed = BASE64.decode(PRIVATE.as_bytes()).unwrap();
        let seed: [u8; 32] = typed[1..].try_into().unwrap();
        let signer = Signer::from_seed("PeterNeumann", &seed).unwrap();
        assert_eq!(signer.verifier_key(), KEY);
        assert_eq!(signer.sign_text(TEXT), NOTE);
        let key = VerifierKey::parse(KEY).unwrap();
        assert_eq!(key.open_text(NOTE), Ok(TEXT));
        assert_eq!(key.open(NOTE), Err(NoteError::NotACheckpoint));
    }

    #[test]
    fn a_checkpoint_has_three_lines_and_a_signature() {
        expect![[r"
            bulla/dep_1/ten_1
            20
            SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=

            — bulla/dep_1/ten_1 2wivBiqmGGHrMh1jCauWCP9U/9BVccBj/eJxAjLR+z/9dA3YBx9qo6T0k1nUyUd4QDaA56aDV/9nvrSxdQbaypiucQ0=
        "]].assert_eq(&signer().sign(&checkpoint()));
        check(&signer().sign(&checkpoint()), &Ok(checkpoint()));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_signed_note_is_never_accepted() {
        let note = signer().sign(&checkpoint());
        let key = VerifierKey::parse(&signer().verifier_key()).unwrap();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(altered) = String::from_utf8(bytes) {
                    assert!(key.open(&altered).is_err(), "bit {bit} of byte {at}: {altered}");
                }
            }
        }
    }

    #[test]
    fn signatures_by_other_keys_are_ignored() {
        let note = signer().sign(&checkpoint());
        let other = Signer::from_seed("witness", &[9; 32]).unwrap().sign(&checkpoint());
        let line = other.lines().last().unwrap();
        let (text, own) = note.split_once("\n\n").unwrap();
        check(&format!("{note}{line}\n"), &Ok(checkpoint()));
        check(&format!("{text}\n\n{line}\n{own}"), &Ok(checkpoint()));
        check(&other, &Err(NoteError::NotSigned));
    }

    #[test]
    fn one_bad_signature_by_the_key_spoils_the_note() {
        let note = signer().sign(&checkpoint());
        let mut later = checkpoint();
        later.size += 1;
        let wrong = signer().sign(&later);
        let line = wrong.lines().last().unwrap();
        check(&format!("{note}{line}\n"), &Err(NoteError::BadSignature));
    }

    #[test]
    fn a_note_of_another_form_is_refused() {
        let note = signer().sign(&checkpoint());
        for bad in [
            String::new(),
            note.trim_end().to_owned(),
            note.replacen("\n\n", "\n", 1),
            note.replace('\n', "\r\n"),
            note.replace('\u{2014}', "-"),
            format!("{note}\n"),
            note.replacen("\u{2014} ", "\u{2014}  ", 1),
            format!("{note}{}", "x".repeat(MAX_NOTE_BYTES)),
        ] {
            check(&bad, &Err(NoteError::Malformed));
        }
    }

    #[test]
    fn a_well_signed_text_that_is_no_checkpoint_of_this_log_is_refused() {
        let good = checkpoint().to_string();
        for bad in [
            format!("{good}extension\n"),
            good.replace("\n20\n", "\n020\n"),
            good.replace("\n20\n", "\n+20\n"),
            good.replace("\n20\n", "\n18446744073709551616\n"),
            good.replace("=\n", "\n"),
            good.lines().take(2).fold(String::new(), |text, line| text + line + "\n"),
        ] {
            check(&signer().sign_text(&bad), &Err(NoteError::NotACheckpoint));
        }
        let mut other = checkpoint();
        other.origin = "bulla/dep_1/ten_2".to_owned();
        check(&signer().sign(&other), &Err(NoteError::OtherLog));
    }

    #[test]
    fn keys_are_read_only_in_their_one_form() {
        let good = signer().verifier_key();
        assert_eq!(VerifierKey::parse(&good).unwrap().to_string(), good);
        for bad in [
            good.replace("bulla", "bullb"),
            good.replacen('+', "", 1),
            format!("{good}="),
            good.replace("+A", "+B"),
            String::new(),
            good.to_uppercase(),
        ] {
            assert_eq!(VerifierKey::parse(&bad), Err(MalformedKey), "{bad}");
        }
        for name in ["", "a b", "a+b", "a\nb"] {
            assert_eq!(Signer::from_seed(name, &SEED).unwrap_err(), MalformedName);
        }
    }

    #[test]
    fn the_debug_form_of_a_signer_is_its_name() {
        assert_eq!(format!("{:?}", signer()), "Signer(bulla/dep_1/ten_1)");
    }
}
