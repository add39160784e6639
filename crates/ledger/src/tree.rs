//! The RFC 6962 tree: leaf and node hashes, the frontier that grows, roots and proofs.

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// A SHA-256 value, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// All zeros: what stands before the first record.
    pub const ZERO: Self = Self([0; 32]);

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(&digest::digest(&digest::SHA256, bytes))
    }

    /// SHA-256 over several pieces, as if they were one.
    #[must_use]
    pub fn of_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for piece in pieces {
            context.update(piece);
        }
        Self::from_digest(&context.finish())
    }

    /// SHA-256 of all that is read, a piece at a time.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of_read(mut from: impl Read) -> io::Result<Self> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut piece)?;
            if count == 0 {
                return Ok(Self::from_digest(&context.finish()));
            }
            context.update(piece.get(..count).unwrap_or_default());
        }
    }

    pub(crate) fn from_digest(digest: &digest::Digest) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(data_encoding::HEXLOWER.encode_mut_str(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 lower-case hexadecimal digits")]
pub struct MalformedHash;

impl FromStr for Hash {
    type Err = MalformedHash;
    fn from_str(text: &str) -> Result<Self, MalformedHash> {
        let mut bytes = [0; 32];
        crate::id::decode_hex(text, &mut bytes).ok_or(MalformedHash)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The leaf hash of a record's bytes: SHA-256(0x00 || bytes), RFC 6962 section 2.1.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    Hash::of_all([&[0x00][..], record])
}

/// The hash of an inner node: SHA-256(0x01 || left || right), RFC 6962 section 2.1.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    // One call over one piece: a verifier does this once for every record.
    let mut bytes = [0x01; 65];
    let (_, hashes) = bytes.split_at_mut(1);
    let (to_left, to_right) = hashes.split_at_mut(32);
    to_left.copy_from_slice(left.as_bytes());
    to_right.copy_from_slice(right.as_bytes());
    Hash::of(&bytes)
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// A growing tree, kept as the roots of its complete subtrees, largest first: at most 64 hashes
/// however long the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

/// A complete subtree, which never changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// It has `2^level` leaves.
    pub level: u32,
    /// It is the `number`-th of its size, from 0.
    pub number: u64,
    /// Its root.
    pub hash: Hash,
}

impl Frontier {
    /// The frontier of a tree with `size` leaves; absent when `roots` has not one hash per set bit.
    #[must_use]
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_and_tell(leaf, |_| {});
    }

    /// Adds a leaf, and tells of each subtree that it completes, the smallest first.
    pub fn push_and_tell(&mut self, leaf: Hash, mut tell: impl FnMut(Complete)) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
                tell(Complete { level, number: self.size >> level, hash });
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return empty_root() };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    /// The leaves and roots of the reference tests of Certificate Transparency (RFC 6962).
    const REFERENCE: [(&str, &str); 8] = [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    /// RFC 6962 section 2.1, word for word.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(k);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn the_empty_tree_has_the_root_of_the_standard() {
        let root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Frontier::default().root().to_string(), root);
    }

    #[test]
    fn the_reference_tree_has_the_reference_roots_at_every_size() {
        let mut frontier = Frontier::default();
        for (leaf, root) in REFERENCE {
            frontier.push(leaf_hash(&HEXLOWER.decode(leaf.as_bytes()).unwrap()));
            assert_eq!(frontier.root().to_string(), root, "size {}", frontier.size());
        }
    }

    #[test]
    fn a_frontier_agrees_with_the_definition_at_every_size() {
        let leaves: Vec<Hash> = (0..300_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        for size in 0..=leaves.len() {
            assert_eq!(frontier.root(), root_by_definition(&leaves[..size]), "size {size}");
            let parts = Frontier::from_parts(frontier.size(), frontier.roots().to_vec());
            assert_eq!(parts.as_ref(), Some(&frontier));
            if let Some(leaf) = leaves.get(size) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn a_frontier_with_a_root_too_many_or_too_few_is_refused() {
        assert_eq!(Frontier::from_parts(5, vec![Hash::ZERO; 3]), None);
        assert_eq!(Frontier::from_parts(5, vec![Hash::ZERO; 1]), None);
        assert_eq!(Frontier::from_parts(0, vec![Hash::ZERO]), None);
    }

    #[test]
    fn a_hash_comes_back_from_its_text_and_only_from_that() {
        let hash = Hash::of(b"x");
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        for bad in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), String::new()] {
            assert_eq!(bad.parse::<Hash>(), Err(MalformedHash), "{bad}");
        }
    }
}
