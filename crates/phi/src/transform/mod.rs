//! Transforms text whose identifiers were found.
//!
//! | method | what stands in | comes back | label |
//! |---|---|---|---|
//! | [`Redactor`] | `[PATIENT]`, `[NAME_1]`, `[DATE_2]` | no | still PHI |
//! | [`tokenize`] | random surrogates | exactly, by [`restore`] | still PHI |
//! | [`Realistic`] | invented values of the same shape | no | still PHI |
//! | `shift` | dates of one subject, moved alike | by who knows the offset | still PHI |
//! | [`SafeHarbor`] | years, three digits of ZIP codes, states, `90+` | no | a claim |
//!
//! Every method reads a [`Found`]: a text with findings that are in order, apart and inside it. What
//! a method cannot take apart it removes; nothing is left because it was not understood.
//! No method makes text de-identified by itself (45 CFR 164.514(a)); the label is a value, and only
//! [`SafeHarbor`] holds what another label needs.

mod context;
mod day;
mod mention;
mod place;
mod realistic;
mod redact;
mod safe_harbor;
mod shift;
mod tokens;
mod written;
mod zip3;

pub use day::{Day, NotADay};
pub use realistic::Realistic;
pub use redact::Redactor;
pub use safe_harbor::{
    Acknowledgement, Coverage, Incomplete, Refused, SafeHarbor, SafeHarborClaim,
};
pub use shift::{DayShift, shift};
pub use tokens::{restore, tokenize};
pub use zip3::{BrokenPack, Zip3Table};

use crate::{Class, Finding, Text};
use std::collections::BTreeMap;

/// A way to transform text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Typed placeholders: `[NAME_1]`.
    Redact,
    /// Random surrogates that are restored exactly.
    Tokenize,
    /// Invented values of the same shape.
    Surrogate,
    /// Dates moved by one secret offset, all else redacted.
    Shift,
    /// What 45 CFR 164.514(b)(2) lets stay, and nothing else.
    SafeHarbor,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] =
        [Self::Redact, Self::Tokenize, Self::Surrogate, Self::Shift, Self::SafeHarbor];

    /// The name, as on the command line.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Tokenize => "tokenize",
            Self::Surrogate => "surrogate",
            Self::Shift => "shift",
            Self::SafeHarbor => "safe-harbor",
        }
    }
}

/// A finding that overlaps another, or that does not lie in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a finding overlaps another or does not lie in its text")]
pub struct Misplaced;

/// A text with its findings: in order, apart, each on character boundaries inside the text.
#[derive(Clone)]
pub struct Found<'a> {
    text: &'a str,
    findings: Vec<Finding>,
}

impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Found({} findings in {} bytes)", self.findings.len(), self.text.len())
    }
}

impl<'a> Found<'a> {
    /// Checks that the findings can be cut out of the text.
    ///
    /// # Errors
    /// [`Misplaced`]: what cannot be cut out cannot be transformed.
    pub fn new(text: &'a str, mut findings: Vec<Finding>) -> Result<Self, Misplaced> {
        findings.sort_by_key(|finding| (finding.start, finding.end));
        let mut done = 0;
        for finding in &findings {
            let inside = text.get(finding.start..finding.end).is_some_and(|it| !it.is_empty());
            if finding.start < done || !inside {
                return Err(Misplaced);
            }
            done = finding.end;
        }
        Ok(Self { text, findings })
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The findings, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Each finding with its value.
    fn values(&self) -> impl Iterator<Item = (&Finding, &'a str)> + '_ {
        self.findings.iter().map(|finding| (finding, self.value(finding)))
    }

    fn value(&self, finding: &Finding) -> &'a str {
        self.text.get(finding.start..finding.end).unwrap_or_default()
    }

    /// The text close before a finding, on its line.
    fn before(&self, finding: &Finding) -> &'a str {
        /// A label and the words around it fit into this.
        const REACH_BYTES: usize = 96;
        let from = finding.start.saturating_sub(REACH_BYTES);
        let from = (from..=finding.start).find(|at| self.text.is_char_boundary(*at));
        let before = self.text.get(from.unwrap_or(finding.start)..finding.start);
        before.unwrap_or_default().rsplit('\n').next().unwrap_or_default()
    }

    /// Writes the text anew: `put` says what stands for a finding, `gap` writes the text between,
    /// knowing the class of what follows.
    fn rewrite(
        &self,
        mut put: impl FnMut(&Finding, &'a str) -> String,
        mut gap: impl FnMut(&'a str, Option<Class>, &mut String),
    ) -> Transformed {
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut counts = BTreeMap::new();
        let mut done = 0;
        for (finding, value) in self.values() {
            let between = self.text.get(done..finding.start).unwrap_or_default();
            gap(between, Some(finding.class), &mut out);
            out.push_str(&put(finding, value));
            *counts.entry(finding.class).or_default() += 1;
            done = finding.end;
        }
        gap(self.text.get(done..).unwrap_or_default(), None, &mut out);
        Transformed { text: Text::new(out), counts, label: Label::StillPhi }
    }
}

/// Classes of which something coarser than the value may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Date,
    Age,
    Place,
    Other,
}

impl Kind {
    const fn of(class: Class) -> Self {
        match class {
            Class::Date => Self::Date,
            Class::Age => Self::Age,
            Class::Location => Self::Place,
            Class::Name
            | Class::Phone
            | Class::Fax
            | Class::Email
            | Class::Ssn
            | Class::Mrn
            | Class::HealthPlanId
            | Class::Account
            | Class::License
            | Class::Vehicle
            | Class::DeviceId
            | Class::Url
            | Class::Ip
            | Class::Biometric
            | Class::Photo
            | Class::Profession
            | Class::OtherId => Self::Other,
        }
    }
}

/// Text between findings stays as it is.
fn keep(between: &str, _next: Option<Class>, out: &mut String) {
    out.push_str(between);
}

/// What may be said of a transformed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// Protected health information, whatever was replaced in it.
    StillPhi,
    /// Somebody claims Safe Harbor for it, and answers for that.
    SafeHarbor(SafeHarborClaim),
}

impl Label {
    /// The words for people and manifests.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::StillPhi => "still PHI",
            Self::SafeHarbor(_) => "Safe Harbor claimed (45 CFR 164.514(b)(2))",
        }
    }

    /// The field `deidentified` of every interface: whether a claim exists.
    #[must_use]
    pub const fn deidentified(&self) -> bool {
        matches!(self, Self::SafeHarbor(_))
    }
}

/// A transformed text, with what was replaced in it and what may be said of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Transformed {
    text: Text,
    counts: BTreeMap<Class, u64>,
    label: Label,
}

impl Transformed {
    /// The text.
    #[must_use]
    pub const fn text(&self) -> &Text {
        &self.text
    }

    /// How many findings of each class were treated.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<Class, u64> {
        &self.counts
    }

    /// What may be said of it.
    #[must_use]
    pub const fn label(&self) -> &Label {
        &self.label
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::Confidence;
    use std::cell::Cell;

    /// A text written with its findings in braces, `{NAME:Ann Lee} has ...`, and the findings.
    pub(crate) fn marked(marked: &str) -> (String, Vec<Finding>) {
        let mut text = String::new();
        let mut findings = Vec::new();
        let mut rest = marked;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (inside, after) = after.split_once('}').unwrap();
            let (class, value) = inside.split_once(':').unwrap();
            let start = text.len();
            text.push_str(value);
            findings.push(finding(class.parse().unwrap(), start, text.len()));
            rest = after;
        }
        text.push_str(rest);
        (text, findings)
    }

    pub(crate) fn finding(class: Class, start: usize, end: usize) -> Finding {
        let confidence = Confidence::percent(99);
        Finding { start, end, class, confidence, recogniser: "test", why: "test" }
    }

    /// Counts up through a fixed permutation, so that tests are repeatable.
    pub(crate) fn seeded(seed: u64) -> impl Fn(&mut [u8]) {
        let state = Cell::new(seed);
        move |bytes: &mut [u8]| {
            for byte in bytes {
                let next = state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.set(next);
                *byte = (next >> 33).to_le_bytes()[0];
            }
        }
    }

    /// Disjoint findings of any classes at any places of a text.
    pub(crate) fn scattered(text: &str, picks: &[(usize, usize, usize)]) -> Vec<Finding> {
        let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        bounds.push(text.len());
        let mut findings = Vec::new();
        let mut at = 0;
        for (skip, len, class) in picks {
            let (Some(start), Some(end)) = (bounds.get(at + skip), bounds.get(at + skip + len + 1))
            else {
                break;
            };
            findings.push(finding(Class::ALL[class % Class::ALL.len()], *start, *end));
            at += skip + len + 1;
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{finding, marked};
    use super::*;

    #[test]
    fn findings_that_overlap_or_lie_outside_are_refused() {
        for findings in [
            vec![finding(Class::Name, 0, 3), finding(Class::Date, 2, 4)],
            vec![finding(Class::Name, 2, 2)],
            vec![finding(Class::Name, 3, 9)],
            vec![finding(Class::Name, 1, 4)],
        ] {
            assert_eq!(Found::new("éabcd", findings).err(), Some(Misplaced));
        }
        let apart = vec![finding(Class::Date, 2, 4), finding(Class::Name, 0, 2)];
        assert_eq!(Found::new("éabcd", apart).unwrap().findings()[0].class, Class::Name);
    }

    #[test]
    fn debug_tells_no_value() {
        let (text, findings) = marked("{NAME:Ann Lee} is here");
        let found = Found::new(&text, findings).unwrap();
        assert_eq!(format!("{found:?}"), "Found(1 findings in 15 bytes)");
    }
}
