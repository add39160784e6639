//! What stands where content would, when an organisation keeps none.
//!
//! A text that somebody presents later can be compared with what was written or delivered, and that is
//! all: the text itself is nowhere. A plain digest of a short prompt could be guessed by trying prompts,
//! so each is HMAC-SHA256 under a random key, which is wrapped by the key of the unit and the class.
//! Destroying that key is disposal here as it is of content: nobody compares or guesses any more.
//!
//! The form takes the place of the sealed bytes in a [`Blob`], so a record commits to it as to content,
//! and whoever puts it in the place of content that was kept contradicts the record.

use super::{
    COMMIT_KEY_BYTES, ContentKey, NONCE_BYTES, Place, Unsealable, WRAPPED_BYTES, commitment,
    open_key, seal_onto,
};
use crate::{Blob, Entropy, Hash};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What the form begins with. Sealed content begins with a random nonce of 12 bytes and goes on with
/// ciphertext, so it begins so once in 2^128.
const MAGIC: &[u8] = b"bulla-digests-1\n";

/// A text that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digested {
    /// How long it is.
    pub bytes: u64,
    /// HMAC-SHA256 over its name, a zero byte, and the text.
    pub hmac: Hash,
}

/// What is known of the texts of one part without any key, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digests {
    texts: BTreeMap<String, Digested>,
}

impl Digests {
    /// How long the text of this name is; absent when the part has none.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.texts.get(name).map(|text| text.bytes)
    }
}

impl Blob {
    /// What it holds instead of content; absent when it holds content.
    ///
    /// # Errors
    /// [`Unsealable`] when it begins as digests do and does not go on so.
    pub fn digests(&self) -> Result<Option<Digests>, Unsealable> {
        let Some(rest) = self.sealed.strip_prefix(MAGIC) else { return Ok(None) };
        let (_, document) = rest.split_at_checked(WRAPPED_BYTES).ok_or(Unsealable)?;
        serde_json::from_slice(document).map(Some).map_err(|_| Unsealable)
    }
}

impl ContentKey {
    /// Takes the digests of texts that are not kept, each under its name.
    #[must_use]
    pub fn digest(
        &self,
        place: &Place,
        texts: &[(&'static str, &[u8])],
        entropy: &dyn Entropy,
    ) -> Blob {
        let mut drawn = Zeroizing::new([0; COMMIT_KEY_BYTES + NONCE_BYTES]);
        entropy.fill(drawn.as_mut());
        let (key, nonce) = drawn.split_at(COMMIT_KEY_BYTES);
        let texts = texts.iter().map(|(name, text)| {
            let digested = Digested { bytes: text.len() as u64, hmac: tag(key, name, text) };
            ((*name).to_owned(), digested)
        });
        let digests = Digests { texts: texts.collect() };
        // A map of texts to numbers and digests always has a JSON form.
        let document = serde_json::to_vec(&digests).unwrap_or_default();
        let mut sealed = Vec::with_capacity(MAGIC.len() + WRAPPED_BYTES + document.len());
        sealed.extend_from_slice(MAGIC);
        seal_onto(&mut sealed, &self.cipher, nonce, &binding(place), &[key]);
        sealed.extend_from_slice(&document);
        Blob {
            exchange: place.exchange,
            part: place.part,
            key: self.id,
            sealed,
            commitment: commitment(key, &document),
        }
    }

    /// What a part holds instead of content, as it was when the digests were taken; absent when it holds
    /// content.
    ///
    /// # Errors
    /// [`Unsealable`] when the key, the place or a byte differs.
    pub fn open_digests(&self, place: &Place, blob: &Blob) -> Result<Option<Digests>, Unsealable> {
        if !blob.sealed.starts_with(MAGIC) {
            return Ok(None);
        }
        self.opened(place, blob).map(|(digests, _)| Some(digests))
    }

    /// Whether `text` is the one of this name whose digest was taken; no text is when there is none of
    /// that name.
    ///
    /// # Errors
    /// [`Unsealable`] when these are not digests, or the key, the place or a byte differs.
    pub fn compare(
        &self,
        place: &Place,
        blob: &Blob,
        name: &str,
        text: &[u8],
    ) -> Result<bool, Unsealable> {
        let (digests, key) = self.opened(place, blob)?;
        let of_text = Digested { bytes: text.len() as u64, hmac: tag(key.as_slice(), name, text) };
        Ok(digests.texts.get(name) == Some(&of_text))
    }

    /// The digests, and the key that they are under.
    fn opened(
        &self,
        place: &Place,
        blob: &Blob,
    ) -> Result<(Digests, Zeroizing<DigestKey>), Unsealable> {
        let rest = blob.sealed.strip_prefix(MAGIC).ok_or(Unsealable)?;
        let (wrapped, document) = rest.split_at_checked(WRAPPED_BYTES).ok_or(Unsealable)?;
        let key = open_key(&self.cipher, &binding(place), wrapped)?;
        if commitment(key.as_slice(), document) != blob.commitment {
            return Err(Unsealable);
        }
        Ok((serde_json::from_slice(document).map_err(|_| Unsealable)?, key))
    }
}

type DigestKey = [u8; COMMIT_KEY_BYTES];

/// Another one than that of sealed content, so that no key of the one opens as a key of the other.
fn binding(place: &Place) -> Vec<u8> {
    let mut binding = MAGIC.to_vec();
    binding.extend_from_slice(&place.binding());
    binding
}

fn tag(key: &[u8], name: &str, text: &[u8]) -> Hash {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(name.as_bytes());
    context.update(&[0]);
    context.update(text);
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    Hash::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Seeded};
    use crate::{BlobPart, Time};

    const TEXT: &[u8] = b"Pat Example, synthetic";

    fn key(seed: u64) -> ContentKey {
        ContentKey::generate(Time::from_micros(0), &Seeded::new(seed))
    }

    fn place(part: BlobPart) -> Place {
        Place { log: sample::log(), exchange: sample::exchange(1), part }
    }

    #[test]
    fn only_the_same_text_in_the_same_place_compares() {
        let (key, place) = (key(1), place(BlobPart::Window(3)));
        let texts: &[(_, &[u8])] = &[("received", b"one"), ("delivered", TEXT)];
        let blob = key.digest(&place, texts, &Seeded::new(2));
        assert_eq!(key.compare(&place, &blob, "delivered", TEXT), Ok(true));
        assert_eq!(key.compare(&place, &blob, "received", b"one"), Ok(true));
        assert_eq!(key.compare(&place, &blob, "received", TEXT), Ok(false));
        assert_eq!(key.compare(&place, &blob, "written", TEXT), Ok(false));
        for end in 0..TEXT.len() {
            assert_eq!(key.compare(&place, &blob, "delivered", &TEXT[..end]), Ok(false));
        }
        let digests = blob.digests().unwrap().unwrap();
        assert_eq!(digests.bytes("delivered"), Some(TEXT.len() as u64));
        assert_eq!(digests.bytes("written"), None);
        assert_eq!(key.open_digests(&place, &blob), Ok(Some(digests)));
        // Elsewhere, under another key, or altered in any byte, it says nothing.
        let elsewhere = Place { part: BlobPart::Window(4), ..place };
        assert_eq!(key.compare(&elsewhere, &blob, "delivered", TEXT), Err(Unsealable));
        assert_eq!(self::key(9).compare(&place, &blob, "delivered", TEXT), Err(Unsealable));
        for at in 0..blob.sealed.len() {
            let mut altered = blob.clone();
            altered.sealed[at] ^= 1;
            assert_eq!(key.compare(&place, &altered, "delivered", TEXT), Err(Unsealable), "{at}");
            // In the first bytes it is no longer of this form, and content of that form does not open.
            let opened = key.open_digests(&place, &altered);
            let expected = if at < MAGIC.len() { Ok(None) } else { Err(Unsealable) };
            assert_eq!(opened, expected, "{at}");
            assert!(key.open(&place, &altered).is_err(), "{at}");
        }
    }

    #[test]
    fn nothing_of_the_text_is_in_it_and_two_of_one_text_differ() {
        let (key, place) = (key(1), place(BlobPart::Prompt));
        let one = key.digest(&place, &[("written", TEXT)], &Seeded::new(2));
        let two = key.digest(&place, &[("written", TEXT)], &Seeded::new(3));
        assert!(one.sealed != two.sealed && one.commitment != two.commitment);
        let long = vec![b'x'; 100_000];
        let long = key.digest(&place, &[("written", &long)], &Seeded::new(2));
        assert!(long.sealed.len() < 200, "{} bytes whatever the text", long.sealed.len());
        let plain = Hash::of(TEXT).to_string();
        for blob in [&one, &two] {
            let text = String::from_utf8_lossy(&blob.sealed).into_owned();
            assert!(!text.contains("Example") && !text.contains(&plain));
        }
    }

    #[test]
    fn content_and_digests_are_never_taken_for_one_another() {
        let (key, place) = (key(1), place(BlobPart::Prompt));
        let content = key.seal(&place, TEXT, &Seeded::new(2));
        assert_eq!(content.digests(), Ok(None));
        assert_eq!(key.compare(&place, &content, "written", TEXT), Err(Unsealable));
        let digests = key.digest(&place, &[("written", TEXT)], &Seeded::new(2));
        assert!(key.open(&place, &digests).is_err());
        // Who shreds content and puts digests there contradicts the record.
        assert_ne!(content.digest(), digests.digest());
        let cut = Blob { sealed: MAGIC.to_vec(), ..digests };
        assert_eq!(cut.digests(), Err(Unsealable));
    }
}
