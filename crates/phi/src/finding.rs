//! What a scan returns.

use crate::Class;

/// How sure a recogniser is, in percent: `0..=100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u8);

impl Confidence {
    /// From a percentage; more than 100 counts as 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// The percentage.
    #[must_use]
    pub const fn as_percent(self) -> u8 {
        self.0
    }
}

/// One identifier in a text. It holds places and reasons, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// First byte of the identifier in the UTF-8 text.
    pub start: usize,
    /// The byte after its last; `start < end`, both on character boundaries.
    pub end: usize,
    /// What it is.
    pub class: Class,
    /// How sure the recogniser is.
    pub confidence: Confidence,
    /// Which recogniser found it: `ssn`, `name.gazetteer`.
    pub recogniser: &'static str,
    /// Why, in a few fixed words: `label "MRN" before it`, `valid Luhn digit`.
    pub why: &'static str,
}
