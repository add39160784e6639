//! Which layers of the detector are at work.

use std::ops::{BitOr, Sub};

/// A set of layers. All are at work in use; fewer, to measure what each is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// Names of fields, positions and columns, in formats that have them.
    pub const STRUCTURE: Self = Self(1);
    /// Forms and check digits of numbers, dates and addresses of the net, and the labels before them.
    pub const NUMBERS: Self = Self(1 << 1);
    /// Lists of names, places and words, weighed against each other.
    pub const LISTS: Self = Self(1 << 2);
    /// The small trained network, on every word.
    pub const SCOUT: Self = Self(1 << 3);
    /// The larger trained network, where the others are unsure or do not agree.
    pub const JUDGE: Self = Self(1 << 4);
    /// What was found once is found everywhere in the document.
    pub const DOCUMENT: Self = Self(1 << 5);
    /// Every layer.
    pub const ALL: Self = Self(0b11_1111);

    /// The layers and their names, for tables.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        ("structure", Self::STRUCTURE),
        ("numbers", Self::NUMBERS),
        ("lists", Self::LISTS),
        ("scout", Self::SCOUT),
        ("judge", Self::JUDGE),
        ("document", Self::DOCUMENT),
    ];

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Layers {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for Layers {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
