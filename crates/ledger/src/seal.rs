//! Sealing content under keys that can be destroyed.
//!
//! Every blob has a fresh 256-bit data key, wrapped by a key of its **unit** (a conversation, or one
//! exchange that belongs to none), wrapped by a key of the **shelf** that all units of a day stand on,
//! wrapped by the tenant's key, which the operator's key wraps. A unit and a shelf have one key for
//! each [`ContentClass`], because each class may be forgotten at another time. Destroying a key on the
//! way makes everything below it unreadable, while the digests in the log stay verifiable.
//!
//! AES-256-GCM with random 96-bit nonces; no key seals more than a few thousand messages, far from
//! the 2^32 limit of NIST SP 800-38D section 8.3. GCM does not commit to its key, so each blob also
//! carries a commitment: HMAC-SHA256 over the plaintext under a random key that lies inside the
//! sealed part.

mod digests;

pub use digests::{Digested, Digests};

use crate::{ContentKeyId, ConversationId, Day, Entropy, ExchangeId, Hash, LogId, Time};
use aws_lc_rs::aead::{self, LessSafeKey};
use aws_lc_rs::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const COMMIT_KEY_BYTES: usize = 32;

/// A sealed thing did not open: wrong key, wrong place, or altered bytes. Which of them cannot be
/// told apart, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed content does not open with this key in this place")]
pub struct Unsealable;

/// A key that wraps other keys and seals blobs. Wiped from memory when dropped.
pub struct ContentKey {
    id: ContentKeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    /// The key as laid out for AES, because one key seals several things. The cryptographic library
    /// wipes what it frees.
    cipher: LessSafeKey,
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentKey({})", self.id)
    }
}

/// What a retention schedule tells apart in sealed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentClass {
    /// What was written, what left, and where identifiers were found in it.
    Prompts,
    /// What came back, and what was delivered of it.
    Answers,
    /// The map of a conversation's surrogates.
    Surrogates,
}

impl ContentClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prompts, Self::Answers, Self::Surrogates];

    /// The class that a part of an exchange belongs to.
    #[must_use]
    pub const fn of_part(part: BlobPart) -> Self {
        match part {
            BlobPart::Prompt => Self::Prompts,
            BlobPart::Window(_) => Self::Answers,
        }
    }
}

impl fmt::Display for ContentClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One value for each [`ContentClass`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T> {
    /// That of the prompts.
    pub prompts: T,
    /// That of the answers.
    pub answers: T,
    /// That of the surrogates.
    pub surrogates: T,
}

impl<T> PerClass<T> {
    /// Makes each value from its class.
    pub fn make(mut each: impl FnMut(ContentClass) -> T) -> Self {
        Self {
            prompts: each(ContentClass::Prompts),
            answers: each(ContentClass::Answers),
            surrogates: each(ContentClass::Surrogates),
        }
    }

    /// The value of one class.
    #[must_use]
    pub const fn get(&self, class: ContentClass) -> &T {
        match class {
            ContentClass::Prompts => &self.prompts,
            ContentClass::Answers => &self.answers,
            ContentClass::Surrogates => &self.surrogates,
        }
    }

    /// The value of one class, to be changed.
    pub const fn get_mut(&mut self, class: ContentClass) -> &mut T {
        match class {
            ContentClass::Prompts => &mut self.prompts,
            ContentClass::Answers => &mut self.answers,
            ContentClass::Surrogates => &mut self.surrogates,
        }
    }
}

/// Keys of one name, one for each class, under the keys of a parent. What is absent was destroyed.
pub type WrappedKeys = PerClass<Option<Vec<u8>>>;

/// Keys of one name, opened. What is absent was destroyed.
pub type OpenKeys = PerClass<Option<ContentKey>>;

/// The keys of a unit under those of its shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedUnit {
    /// The unit's name.
    pub id: ContentKeyId,
    /// The shelf that it stands on.
    pub shelf: ContentKeyId,
    /// The conversation that it is of; absent when it is one exchange alone.
    pub conversation: Option<ConversationId>,
    /// Its keys.
    pub keys: WrappedKeys,
}

/// The keys of a shelf or a unit, all of them: what new content is sealed under.
#[derive(Debug)]
pub struct KeySet {
    id: ContentKeyId,
    day: Day,
    keys: PerClass<ContentKey>,
}

impl KeySet {
    /// Fresh keys under one name.
    #[must_use]
    pub fn generate(now: Time, day: Day, entropy: &dyn Entropy) -> Self {
        let id = ContentKeyId::mint(now, entropy);
        let mut drawn = Zeroizing::new([0; KEY_BYTES * ContentClass::ALL.len()]);
        entropy.fill(drawn.as_mut());
        let mut pieces = drawn.chunks(KEY_BYTES);
        let keys = PerClass::make(|_| {
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            // INVARIANT: there is one piece for each class; anything else must not become a key.
            bytes.copy_from_slice(pieces.next().unwrap_or_default());
            ContentKey::from_bytes(id, bytes)
        });
        Self { id, day, keys }
    }

    /// Opened keys, when none was destroyed.
    #[must_use]
    pub fn complete(id: ContentKeyId, day: Day, keys: OpenKeys) -> Option<Self> {
        let keys = PerClass {
            prompts: keys.prompts?,
            answers: keys.answers?,
            surrogates: keys.surrogates?,
        };
        Some(Self { id, day, keys })
    }

    /// The name that they share.
    #[must_use]
    pub const fn id(&self) -> ContentKeyId {
        self.id
    }

    /// The day of the shelf, from which retention counts.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// The key of one class.
    #[must_use]
    pub const fn key(&self, class: ContentClass) -> &ContentKey {
        self.keys.get(class)
    }

    /// These keys, each under the parent's key of the same class.
    #[must_use]
    pub fn wrapped_by(&self, parent: &Self, entropy: &dyn Entropy) -> WrappedKeys {
        PerClass::make(|class| Some(parent.key(class).wrap(self.key(class), class.text(), entropy)))
    }

    /// Seals a part of an exchange under the key of its class.
    #[must_use]
    pub fn seal(&self, place: &Place, plaintext: &[u8], entropy: &dyn Entropy) -> Blob {
        self.key(ContentClass::of_part(place.part)).seal(place, plaintext, entropy)
    }

    /// Takes the digests of the texts of a part under the key of its class; the texts are not kept.
    #[must_use]
    pub fn digest(
        &self,
        place: &Place,
        texts: &[(&'static str, &[u8])],
        entropy: &dyn Entropy,
    ) -> Blob {
        self.key(ContentClass::of_part(place.part)).digest(place, texts, entropy)
    }
}

/// Which content of an exchange a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobPart {
    /// The prompt as written, what left, and the findings with their places.
    Prompt,
    /// One window of the answer, from 0: as it came, and as it was delivered.
    Window(u32),
}

impl BlobPart {
    /// A number for storage and for binding: 0 is the prompt, window `n` is `n + 1`.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Prompt => 0,
            Self::Window(n) => n as u64 + 1,
        }
    }

    /// The reverse of [`BlobPart::number`]; absent beyond the last possible window.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        match number.checked_sub(1) {
            None => Some(Self::Prompt),
            Some(n) => u32::try_from(n).ok().map(Self::Window),
        }
    }
}

/// Where a blob belongs. It is bound into the seal: a blob moved elsewhere does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: LogId,
    /// The exchange.
    pub exchange: ExchangeId,
    /// The part of the exchange.
    pub part: BlobPart,
}

impl Place {
    fn binding(&self) -> Vec<u8> {
        format!("bulla-blob-1|{}|{}|{}", self.log, self.exchange, self.part.number()).into_bytes()
    }
}

/// Sealed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The exchange that it belongs to.
    pub exchange: ExchangeId,
    /// The part of it.
    pub part: BlobPart,
    /// The key that opens it.
    pub key: ContentKeyId,
    /// Wrapped data key, nonce, ciphertext, tag; or [`Digests`], where no content is kept.
    pub sealed: Vec<u8>,
    /// HMAC-SHA256 of the plaintext, or of the digests, under the key inside.
    pub commitment: Hash,
}

impl Blob {
    /// What a record names: SHA-256 of the sealed bytes' SHA-256 and the commitment.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let sealed = digest::digest(&digest::SHA256, &self.sealed);
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(sealed.as_ref());
        context.update(self.commitment.as_bytes());
        Hash::from_digest(&context.finish())
    }
}

impl ContentKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(now: Time, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(bytes.as_mut());
        Self::from_bytes(ContentKeyId::mint(now, entropy), bytes)
    }

    /// A key from bytes kept elsewhere: the operator's key file.
    #[must_use]
    pub fn from_bytes(id: ContentKeyId, bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let cipher = cipher(bytes.as_slice());
        Self { id, bytes, cipher }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ContentKeyId {
        self.id
    }

    /// The key itself, for the key service that wraps the topmost one.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Wraps `child` under this key: nonce, ciphertext and tag. `role` keeps keys of one name apart; it
    /// and both names are bound into the seal.
    #[must_use]
    pub fn wrap(&self, child: &Self, role: &str, entropy: &dyn Entropy) -> Vec<u8> {
        let binding = Self::wrap_binding(child.id, role, self.id);
        seal_bytes(&self.cipher, &binding, child.bytes.as_slice(), entropy)
    }

    /// Opens a key that [`ContentKey::wrap`] closed.
    ///
    /// # Errors
    /// [`Unsealable`] when this is not its parent, name or role differ, or a byte was altered.
    pub fn unwrap(&self, id: ContentKeyId, role: &str, sealed: &[u8]) -> Result<Self, Unsealable> {
        let binding = Self::wrap_binding(id, role, self.id);
        Ok(Self::from_bytes(id, open_key(&self.cipher, &binding, sealed)?))
    }

    /// Wraps a key of one class under this key.
    #[must_use]
    pub fn wrap_class(&self, child: &Self, class: ContentClass, entropy: &dyn Entropy) -> Vec<u8> {
        self.wrap(child, class.text(), entropy)
    }

    /// Wraps a key whose name nobody else keeps: the name goes before it.
    #[must_use]
    pub fn wrap_named(&self, child: &Self, role: &str, entropy: &dyn Entropy) -> Vec<u8> {
        let mut named = child.id.as_bytes().to_vec();
        named.extend_from_slice(&self.wrap(child, role, entropy));
        named
    }

    /// Opens a key that [`ContentKey::wrap_named`] closed.
    ///
    /// # Errors
    /// [`Unsealable`] as [`ContentKey::unwrap`].
    pub fn unwrap_named(&self, named: &[u8], role: &str) -> Result<Self, Unsealable> {
        let (id, sealed) = named.split_first_chunk().ok_or(Unsealable)?;
        self.unwrap(ContentKeyId::from_bytes(*id), role, sealed)
    }

    /// Opens the keys of one name, each of which this key wraps.
    ///
    /// # Errors
    /// [`Unsealable`] as [`ContentKey::unwrap`].
    pub fn unwrap_all(
        &self,
        id: ContentKeyId,
        sealed: &WrappedKeys,
    ) -> Result<OpenKeys, Unsealable> {
        unwrap_each(id, sealed, |_| Some(self))
    }

    fn wrap_binding(child: ContentKeyId, role: &str, parent: ContentKeyId) -> Vec<u8> {
        format!("bulla-key-2|{child}|{role}|{parent}").into_bytes()
    }

    /// Seals `plaintext` for `place` under a fresh data key.
    #[must_use]
    pub fn seal(&self, place: &Place, plaintext: &[u8], entropy: &dyn Entropy) -> Blob {
        let binding = place.binding();
        // All randomness in one draw, because each costs more than the encryption of a short text.
        let mut drawn = Zeroizing::new([0; KEY_BYTES + COMMIT_KEY_BYTES + 2 * NONCE_BYTES]);
        entropy.fill(drawn.as_mut());
        let (data_key, rest) = drawn.split_at(KEY_BYTES);
        let (commit_key, nonces) = rest.split_at(COMMIT_KEY_BYTES);
        let (wrap_nonce, nonce) = nonces.split_at(NONCE_BYTES);

        // Room for all of it, so that no copy of the plaintext stays behind in a buffer that grew.
        let body_bytes = NONCE_BYTES + COMMIT_KEY_BYTES + plaintext.len() + TAG_BYTES;
        let mut sealed = Vec::with_capacity(WRAPPED_BYTES + body_bytes);
        seal_onto(&mut sealed, &self.cipher, wrap_nonce, &binding, &[data_key]);
        seal_onto(&mut sealed, &cipher(data_key), nonce, &binding, &[commit_key, plaintext]);
        Blob {
            exchange: place.exchange,
            part: place.part,
            key: self.id,
            sealed,
            commitment: commitment(commit_key, plaintext),
        }
    }

    /// Opens a blob in the place that it was sealed for.
    ///
    /// # Errors
    /// [`Unsealable`] when the key, the place, or a byte differs, or the commitment does not hold.
    pub fn open(&self, place: &Place, blob: &Blob) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let binding = place.binding();
        let (wrapped, body) = blob.sealed.split_at_checked(WRAPPED_BYTES).ok_or(Unsealable)?;
        let data_key = open_key(&self.cipher, &binding, wrapped)?;
        let mut inner = open_bytes(&cipher(data_key.as_slice()), &binding, body)?;
        let (commit_key, plaintext) = inner.split_at_checked(COMMIT_KEY_BYTES).ok_or(Unsealable)?;
        if commitment(commit_key, plaintext) != blob.commitment {
            return Err(Unsealable);
        }
        inner.drain(..COMMIT_KEY_BYTES);
        Ok(inner)
    }

    /// A name for something that must not be guessable from outside: HMAC-SHA256 of the pieces under
    /// this key. `purpose` keeps names for different things apart.
    #[must_use]
    pub fn keyed_hash(&self, purpose: &str, pieces: &[&[u8]]) -> Hash {
        let mut context =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.bytes[..]));
        context.update(purpose.as_bytes());
        for piece in pieces {
            context.update(&(piece.len() as u64).to_be_bytes());
            context.update(piece);
        }
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        Hash::from_bytes(bytes)
    }

    /// Seals a short text under this key itself, bound to `binding` (surrogates use it).
    #[must_use]
    pub fn seal_small(&self, binding: &str, plaintext: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        seal_bytes(&self.cipher, binding.as_bytes(), plaintext, entropy)
    }

    /// Opens what [`ContentKey::seal_small`] sealed.
    ///
    /// # Errors
    /// [`Unsealable`] when key, binding or a byte differs.
    pub fn open_small(
        &self,
        binding: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        open_bytes(&self.cipher, binding.as_bytes(), sealed)
    }
}

/// Opens the keys of one name, each under the parent's key of its class. Where the parent's key or the
/// key itself was destroyed, there is none.
///
/// # Errors
/// [`Unsealable`] when a key that is there does not open.
pub fn unwrap_under(
    parent: &OpenKeys,
    id: ContentKeyId,
    sealed: &WrappedKeys,
) -> Result<OpenKeys, Unsealable> {
    unwrap_each(id, sealed, |class| parent.get(class).as_ref())
}

fn unwrap_each<'k>(
    id: ContentKeyId,
    sealed: &WrappedKeys,
    parent: impl Fn(ContentClass) -> Option<&'k ContentKey>,
) -> Result<OpenKeys, Unsealable> {
    let open = |class: ContentClass| match (parent(class), sealed.get(class)) {
        (Some(parent), Some(sealed)) => parent.unwrap(id, class.text(), sealed).map(Some),
        _ => Ok(None),
    };
    Ok(PerClass {
        prompts: open(ContentClass::Prompts)?,
        answers: open(ContentClass::Answers)?,
        surrogates: open(ContentClass::Surrogates)?,
    })
}

fn commitment(key: &[u8], plaintext: &[u8]) -> Hash {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), plaintext);
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    Hash::from_bytes(bytes)
}

/// Lays out a key of [`KEY_BYTES`] for AES.
#[expect(clippy::expect_used, reason = "every caller holds a key of the right length")]
fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(
        aead::UnboundKey::new(&aead::AES_256_GCM, key).expect("a 256-bit key fits AES-256-GCM"),
    )
}

fn seal_bytes(
    cipher: &LessSafeKey,
    binding: &[u8],
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    let mut out = Vec::with_capacity(NONCE_BYTES + plaintext.len() + TAG_BYTES);
    seal_onto(&mut out, cipher, &nonce, binding, &[plaintext]);
    out
}

/// Appends nonce, ciphertext of the pieces, tag. The nonce has [`NONCE_BYTES`] and was never used
/// with this key.
#[expect(clippy::expect_used, reason = "sealing fails only beyond 64 GiB of plaintext")]
fn seal_onto(
    out: &mut Vec<u8>,
    cipher: &LessSafeKey,
    nonce: &[u8],
    binding: &[u8],
    pieces: &[&[u8]],
) {
    out.extend_from_slice(nonce);
    let start = out.len();
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).expect("a nonce has 12 bytes");
    let (_, body) = out.split_at_mut(start);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, aead::Aad::from(binding), body)
        .expect("the plaintext is shorter than AES-GCM's limit");
    out.extend_from_slice(tag.as_ref());
}

fn open_bytes(
    cipher: &LessSafeKey,
    binding: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unsealable)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = cipher
        .open_in_place(nonce, aead::Aad::from(binding), &mut body)
        .map_err(|_| Unsealable)?
        .len();
    body.truncate(length);
    Ok(body)
}

fn open_key(
    cipher: &LessSafeKey,
    binding: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<[u8; KEY_BYTES]>, Unsealable> {
    let opened = open_bytes(cipher, binding, sealed)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if opened.len() != key.len() {
        return Err(Unsealable);
    }
    key.copy_from_slice(&opened);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Seeded};

    const TEXT: &[u8] = b"Pat Example, synthetic";

    fn place() -> Place {
        Place { log: sample::log(), exchange: sample::exchange(1), part: BlobPart::Window(3) }
    }

    fn key(seed: u64) -> ContentKey {
        ContentKey::generate(sample::time(0), &Seeded::new(seed))
    }

    fn check_refused(key: &ContentKey, place: &Place, blob: &Blob) {
        assert_eq!(key.open(place, blob).unwrap_err(), Unsealable);
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_in_its_place() {
        for text in [&b""[..], TEXT, &vec![0xff; 100_000]] {
            let blob = key(1).seal(&place(), text, &Seeded::new(2));
            assert_eq!(*key(1).open(&place(), &blob).unwrap(), text);
            assert!(!blob.sealed.windows(8).any(|part| TEXT.windows(8).any(|text| text == part)));
        }
    }

    #[test]
    fn a_moved_blob_does_not_open() {
        let blob = key(1).seal(&place(), TEXT, &Seeded::new(2));
        let mut other_log = place();
        other_log.log.tenant = crate::TenantId::from_bytes([9; 16]);
        for other in [
            other_log,
            Place { exchange: sample::exchange(2), ..place() },
            Place { part: BlobPart::Window(4), ..place() },
            Place { part: BlobPart::Prompt, ..place() },
        ] {
            check_refused(&key(1), &other, &blob);
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        let blob = key(1).seal(&place(), TEXT, &Seeded::new(2));
        check_refused(&key(3), &place(), &blob);
    }

    #[test]
    fn a_flipped_or_missing_byte_does_not_open() {
        let blob = key(1).seal(&place(), TEXT, &Seeded::new(2));
        for at in 0..blob.sealed.len() {
            let mut altered = blob.clone();
            altered.sealed[at] ^= 1;
            check_refused(&key(1), &place(), &altered);
            altered.sealed.truncate(at);
            check_refused(&key(1), &place(), &altered);
        }
    }

    #[test]
    fn the_commitment_is_checked() {
        let blob = key(1).seal(&place(), TEXT, &Seeded::new(2));
        for at in 0..32 {
            let mut bytes = *blob.commitment.as_bytes();
            bytes[at] ^= 0x80;
            let altered = Blob { commitment: Hash::from_bytes(bytes), ..blob.clone() };
            check_refused(&key(1), &place(), &altered);
            assert_ne!(altered.digest(), blob.digest());
        }
    }

    #[test]
    fn equal_texts_are_sealed_to_different_bytes() {
        let entropy = Seeded::new(2);
        let (one, two) =
            (key(1).seal(&place(), TEXT, &entropy), key(1).seal(&place(), TEXT, &entropy));
        assert_ne!(one.sealed, two.sealed);
        assert_ne!(one.commitment, two.commitment);
    }

    #[test]
    fn a_wrapped_key_opens_under_its_parent_in_its_role_only() {
        let (parent, child, other) = (key(1), key(2), key(3));
        let wrapped = parent.wrap(&child, "prompts", &Seeded::new(4));
        let opened = parent.unwrap(child.id(), "prompts", &wrapped).unwrap();
        assert_eq!(opened.id(), child.id());
        let blob = child.seal(&place(), TEXT, &Seeded::new(5));
        assert_eq!(*opened.open(&place(), &blob).unwrap(), TEXT);

        for (parent, id, role) in [
            (&other, child.id(), "prompts"),
            (&parent, other.id(), "prompts"),
            (&parent, child.id(), "answers"),
        ] {
            assert_eq!(parent.unwrap(id, role, &wrapped).unwrap_err(), Unsealable);
        }
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            let opened = parent.unwrap(child.id(), "prompts", &altered);
            assert_eq!(opened.unwrap_err(), Unsealable, "byte {at}");
        }
    }

    #[test]
    fn a_destroyed_key_takes_its_class_along_and_no_other() {
        let day = sample::time(0).day();
        let (tenant, entropy) = (key(1), Seeded::new(2));
        let shelf = KeySet::generate(sample::time(0), day, &entropy);
        let unit = KeySet::generate(sample::time(1), day, &entropy);
        let blob = unit.seal(&place(), TEXT, &entropy);
        let of_shelf =
            PerClass::make(|class| Some(tenant.wrap(shelf.key(class), class.text(), &entropy)));
        let of_unit = unit.wrapped_by(&shelf, &entropy);

        for destroyed in ContentClass::ALL {
            for of_the_shelf in [true, false] {
                let (mut of_shelf, mut of_unit) = (of_shelf.clone(), of_unit.clone());
                let keys = if of_the_shelf { &mut of_shelf } else { &mut of_unit };
                *keys.get_mut(destroyed) = None;
                let shelf = tenant.unwrap_all(shelf.id(), &of_shelf).unwrap();
                let opened = unwrap_under(&shelf, unit.id(), &of_unit).unwrap();
                for class in ContentClass::ALL {
                    assert_eq!(opened.get(class).is_some(), class != destroyed);
                }
                let answers = opened.answers.as_ref().map(|key| key.open(&place(), &blob));
                assert_eq!(
                    answers.is_some_and(|text| *text.unwrap() == TEXT),
                    opened.answers.is_some()
                );
                assert!(KeySet::complete(unit.id(), day, opened).is_none());
            }
        }
    }

    #[test]
    fn a_small_text_is_bound_to_its_binding() {
        let sealed = key(1).seal_small("here", TEXT, &Seeded::new(2));
        assert_eq!(*key(1).open_small("here", &sealed).unwrap(), TEXT);
        assert_eq!(key(1).open_small("there", &sealed).unwrap_err(), Unsealable);
        assert_eq!(key(2).open_small("here", &sealed).unwrap_err(), Unsealable);
    }

    #[test]
    fn the_debug_form_of_a_key_is_its_name() {
        let key = key(1);
        assert_eq!(format!("{key:?}"), format!("ContentKey({})", key.id()));
    }

    #[test]
    fn a_part_comes_back_from_its_number() {
        for part in [BlobPart::Prompt, BlobPart::Window(0), BlobPart::Window(u32::MAX)] {
            assert_eq!(BlobPart::from_number(part.number()), Some(part));
        }
        assert_eq!(BlobPart::from_number(u64::from(u32::MAX) + 2), None);
    }
}
