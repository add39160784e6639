//! Randomness for transforms: the operating system's, or one that a seed repeats.

use crate::world::OsEntropy;
use aws_lc_rs::hmac;
use ledger::Entropy as _;
use std::cell::Cell;

/// Where the unpredictable bytes of one purpose come from.
pub(super) enum Draw {
    System,
    /// HMAC-SHA256 of a counter under a key that only this purpose has.
    Seeded {
        key: Box<hmac::Key>,
        counter: Cell<u64>,
    },
}

/// A seed with fewer bytes could be guessed.
pub(super) const MIN_SEED_BYTES: usize = 32;

impl Draw {
    /// For one purpose: the same seed and purpose give the same bytes. `None` draws from the system.
    pub(super) fn of(seed: Option<&[u8]>, purpose: &str) -> Self {
        let Some(seed) = seed else { return Self::System };
        let master = hmac::Key::new(hmac::HMAC_SHA256, seed);
        let derived = hmac::sign(&master, format!("bulla deid\n{purpose}").as_bytes());
        let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()));
        Self::Seeded { key, counter: Cell::new(0) }
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        match self {
            Self::System => OsEntropy.fill(bytes),
            Self::Seeded { key, counter } => {
                for chunk in bytes.chunks_mut(32) {
                    let block = hmac::sign(key, &counter.get().to_be_bytes());
                    counter.set(counter.get() + 1);
                    for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                        *to = *from;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_for_one_purpose_and_no_other() {
        let drawn = |seed: Option<&[u8]>, purpose| {
            let mut bytes = [0; 40];
            Draw::of(seed, purpose).fill(&mut bytes);
            bytes
        };
        let seed: Option<&[u8]> = Some(&[7; 32]);
        assert_eq!(drawn(seed, "a"), drawn(seed, "a"));
        assert_ne!(drawn(seed, "a"), drawn(seed, "b"));
        assert_ne!(drawn(seed, "a"), drawn(Some(&[8; 32]), "a"));
        assert_ne!(drawn(None, "a"), drawn(None, "a"));
    }
}
