//! Proofs over the tree: that a record is in it, and that it only grew (RFC 9162 section 2.1).
//!
//! A proof is a list of hashes of subtrees. Every subtree that is needed is complete, or the right edge
//! of the tree, which is put together from complete ones; so whoever makes proofs needs the hashes of
//! complete subtrees only, and those never change. [`Tiles`] gives them from rows of 256, as C2SP
//! tlog-tiles cuts a tree, so that a proof over any number of records reads two rows a level of 256.

use crate::Hash;
use crate::tree::{Frontier, empty_root, node_hash};
use std::collections::BTreeMap;

/// The longest proof: two hashes for each level of a tree of 2^63 records.
pub const MAX_PROOF_HASHES: usize = 128;

/// Levels of the tree in one tile, and leaves under a full one: 256.
pub const TILE_LEVELS: u32 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 1 << TILE_LEVELS;

/// Hashes of complete subtrees.
pub trait Subtrees {
    /// Why one cannot be read.
    type Error;

    /// The hash of the complete subtree of `2^level` leaves that is the `index`-th of its size.
    ///
    /// # Errors
    /// When it cannot be read.
    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The hash of the leaves from `start` to before `end`, where they are a subtree or the right edge of one.
fn range<S: Subtrees>(source: &mut S, start: u64, end: u64) -> Result<Hash, S::Error> {
    let mut roots = Vec::new();
    let mut at = start;
    while at < end {
        let room = (end - at).ilog2();
        let level = if at == 0 { room } else { room.min(at.trailing_zeros()) };
        roots.push(source.subtree(level, at >> level)?);
        at += 1 << level;
    }
    let mut roots = roots.into_iter().rev();
    let last = roots.next().unwrap_or_else(empty_root);
    Ok(roots.fold(last, |right, left| node_hash(&left, &right)))
}

/// The root of the first `size` leaves.
///
/// # Errors
/// When a subtree cannot be read.
pub fn root<S: Subtrees>(source: &mut S, size: u64) -> Result<Hash, S::Error> {
    range(source, 0, size)
}

/// Where a tree of two leaves or more is split: the largest power of two below its size.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The proof that the leaf at `index` is in the tree of `size` leaves: RFC 9162 section 2.1.3.1. Absent
/// when it is not.
///
/// # Errors
/// When a subtree cannot be read.
pub fn inclusion<S: Subtrees>(
    source: &mut S,
    index: u64,
    size: u64,
) -> Result<Option<Vec<Hash>>, S::Error> {
    if index >= size {
        return Ok(None);
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(source, middle, end)?);
            end = middle;
        } else {
            path.push(range(source, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The proof that the tree of `old` leaves is the beginning of the tree of `new` leaves: RFC 9162 section
/// 2.1.4.1. Absent when `old` is larger. That of an empty or of the same tree has no hashes.
///
/// # Errors
/// When a subtree cannot be read.
pub fn consistency<S: Subtrees>(
    source: &mut S,
    old: u64,
    new: u64,
) -> Result<Option<Vec<Hash>>, S::Error> {
    if old > new {
        return Ok(None);
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(Some(path));
    }
    let (mut start, mut end) = (0, new);
    // Down to the subtree that ends where the old tree ends.
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(source, middle, end)?);
            end = middle;
        } else {
            path.push(range(source, start, middle)?);
            start = middle;
        }
    }
    // The old root itself is known to who asks.
    if start > 0 {
        path.push(range(source, start, end)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// A proof does not show what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not lead from the one to the other")]
pub struct Unproved;

/// Checks that the leaf of this hash is at `index` of the tree of `size` leaves with this root: RFC 9162
/// section 2.1.3.2.
///
/// # Errors
/// [`Unproved`].
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), Unproved> {
    if index >= size {
        return Err(Unproved);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for next in path {
        if last == 0 {
            return Err(Unproved);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(next, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, next);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(Unproved) }
}

/// Checks that the tree of `old` leaves with one root is the beginning of that of `new` leaves with the
/// other: RFC 9162 section 2.1.4.2.
///
/// # Errors
/// [`Unproved`].
pub fn check_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> Result<(), Unproved> {
    if old > new {
        return Err(Unproved);
    }
    if old == new || old == 0 {
        let fits = if old == new { old_root == new_root } else { *old_root == empty_root() };
        return if fits && path.is_empty() { Ok(()) } else { Err(Unproved) };
    }
    // A complete old tree is the first hash of its proof, and is left out.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        path.split_first().ok_or(Unproved)?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    let shift = node.trailing_ones();
    node >>= shift;
    last >>= shift;
    let (mut of_old, mut of_new) = (*first, *first);
    for next in rest {
        if last == 0 {
            return Err(Unproved);
        }
        if node & 1 == 1 || node == last {
            of_old = node_hash(next, &of_old);
            of_new = node_hash(next, &of_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            of_new = node_hash(&of_new, next);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && of_old == *old_root && of_new == *new_root { Ok(()) } else { Err(Unproved) }
}

/// Rows of up to 256 hashes: those of the leaves, of subtrees of 256 leaves, of 65,536, and so on.
pub trait Rows {
    /// Why one cannot be read.
    type Error;

    /// The first `width` hashes of the row `index` of a level: those of subtrees of `256^level` leaves.
    ///
    /// # Errors
    /// When they cannot be read, or are fewer.
    fn row(&mut self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Self::Error>;
}

/// Complete subtrees from rows, each read once.
#[derive(Debug)]
pub struct Tiles<R> {
    rows: R,
    size: u64,
    read: BTreeMap<(u32, u64), Vec<Hash>>,
}

impl<R: Rows> Tiles<R> {
    /// The subtrees of the tree of `size` leaves.
    pub const fn new(rows: R, size: u64) -> Self {
        Self { rows, size, read: BTreeMap::new() }
    }
}

impl<R: Rows> Subtrees for Tiles<R> {
    type Error = R::Error;

    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, R::Error> {
        let (tile_level, inside) = (level / TILE_LEVELS, level % TILE_LEVELS);
        let first = index << inside;
        let row = first / TILE_WIDTH;
        let hashes = match self.read.entry((tile_level, row)) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let all = self.size >> (tile_level * TILE_LEVELS);
                let width = (all - (row * TILE_WIDTH).min(all)).min(TILE_WIDTH);
                place.insert(self.rows.row(tile_level, row, width)?)
            }
        };
        let from = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let mut frontier = Frontier::default();
        for hash in hashes.iter().skip(from).take(1 << inside) {
            frontier.push(*hash);
        }
        Ok(frontier.root())
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "trees that fit a test's memory")]
mod tests {
    use super::*;
    use crate::tree::leaf_hash;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// All leaves in memory.
    #[derive(Clone)]
    struct Leaves(Vec<Hash>);

    impl Leaves {
        fn of(count: u64) -> Self {
            Self((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
        }

        fn root(&self, size: u64) -> Hash {
            let mut frontier = Frontier::default();
            self.0.iter().take(size as usize).for_each(|leaf| frontier.push(*leaf));
            frontier.root()
        }
    }

    impl Subtrees for Leaves {
        type Error = Infallible;
        fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
            let mut frontier = Frontier::default();
            let (from, count) = ((index << level) as usize, 1_usize << level);
            assert!(from + count <= self.0.len(), "only complete subtrees are asked for");
            self.0[from..from + count].iter().for_each(|leaf| frontier.push(*leaf));
            Ok(frontier.root())
        }
    }

    /// Rows as a store keeps them, and a count of those read.
    struct Kept(Leaves, usize);

    impl Rows for &mut Kept {
        type Error = Infallible;
        fn row(&mut self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Infallible> {
            self.1 += 1;
            assert!((1..=TILE_WIDTH).contains(&width));
            let first = index * TILE_WIDTH;
            (first..first + width).map(|n| self.0.subtree(level * TILE_LEVELS, n)).collect()
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_no_other() {
        for size in 1..=40 {
            let mut leaves = Leaves::of(size);
            let root = leaves.root(size);
            for index in 0..size {
                let path = inclusion(&mut leaves, index, size).unwrap().unwrap();
                let leaf = leaves.0[index as usize];
                assert_eq!(check_inclusion(&leaf, index, size, &path, &root), Ok(()));
                for other in (0..size).filter(|other| *other != index) {
                    let wrong = leaves.0[other as usize];
                    assert!(check_inclusion(&wrong, index, size, &path, &root).is_err());
                    assert!(check_inclusion(&leaf, other, size, &path, &root).is_err());
                }
                assert!(check_inclusion(&leaf, index, size, &path, &Hash::ZERO).is_err());
                let mut longer = path.clone();
                longer.push(Hash::ZERO);
                assert!(check_inclusion(&leaf, index, size, &longer, &root).is_err());
                if let Some((_, shorter)) = path.split_last() {
                    assert!(check_inclusion(&leaf, index, size, shorter, &root).is_err());
                }
            }
            assert_eq!(inclusion(&mut leaves, size, size), Ok(None));
        }
    }

    #[test]
    fn every_growth_of_every_small_tree_is_proved_and_no_rewriting() {
        let mut leaves = Leaves::of(40);
        let mut rewritten = leaves.clone();
        rewritten.0[0] = Hash::ZERO;
        for new in 0..=40 {
            for old in 0..=new {
                let (old_root, new_root) = (leaves.root(old), leaves.root(new));
                let path = consistency(&mut leaves, old, new).unwrap().unwrap();
                let of =
                    |path: &[Hash]| check_consistency((old, &old_root), (new, &new_root), path);
                assert_eq!(of(&path), Ok(()), "{old} to {new}");
                if old > 0 {
                    let (old_other, new_other) = (rewritten.root(old), rewritten.root(new));
                    assert!(check_consistency((old, &old_other), (new, &new_root), &path).is_err());
                    assert!(check_consistency((old, &old_root), (new, &new_other), &path).is_err());
                }
                let mut longer = path.clone();
                longer.push(Hash::ZERO);
                assert!(of(&longer).is_err(), "{old} to {new}");
            }
            assert_eq!(consistency(&mut leaves, new + 1, new), Ok(None));
        }
    }

    proptest! {
        #[test]
        fn proofs_from_rows_are_those_from_leaves(size in 1_u64..3_000, at in 0_u64..3_000) {
            let index = at % size;
            let mut leaves = Leaves::of(size);
            let mut kept = Kept(leaves.clone(), 0);
            let mut tiles = Tiles::new(&mut kept, size);
            prop_assert_eq!(
                inclusion(&mut tiles, index, size),
                inclusion(&mut leaves, index, size)
            );
            prop_assert_eq!(
                consistency(&mut tiles, index, size),
                consistency(&mut leaves, index, size)
            );
            prop_assert_eq!(root(&mut tiles, size).unwrap(), leaves.root(size));
            prop_assert!(kept.1 <= 16, "{} rows", kept.1);
        }
    }

    #[test]
    fn a_proof_over_many_records_reads_few_rows() {
        let mut kept = Kept(Leaves::of(70_000), 0);
        let path = inclusion(&mut Tiles::new(&mut kept, 70_000), 12_345, 70_000).unwrap().unwrap();
        let (leaf, root) = (kept.0.0[12_345], kept.0.root(70_000));
        assert_eq!(check_inclusion(&leaf, 12_345, 70_000, &path, &root), Ok(()));
        assert!(path.len() <= 17, "{}", path.len());
        assert!(kept.1 <= 6, "{} rows", kept.1);
    }
}
