//! Special categories: content that law protects beyond the rest of a record.
//!
//! A category is a class of the whole text, found by terms that add up, not by places that could
//! be masked: a text about methadone stays one when the word is gone.
//!
//! | step | module | what |
//! |---|---|---|
//! | words | `word` | the text is cut into words, each looked up once |
//! | terms | `table`, `code` | the longest listed phrase from each word; codes by their form |
//! | weight | `context` | what stands near lowers a term or lets it count |
//! | score | here | terms of a category add up; none takes away |
//!
//! INVARIANT: more text of other kinds never lowers a score. Doubt goes towards sensitive: in a
//! study of such classifiers almost all disagreements with clinicians were misses.
//!
//! Every step reads each word a bounded number of times, so the cost is linear in the text.

mod code;
mod context;
mod kind;
mod table;
#[cfg(test)]
mod tests;
mod word;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::detect::Folded;
use crate::{Confidence, Part, Unscannable};
use context::Around;
pub use context::Circumstance;
pub use kind::{Category, UnknownCategory};
use table::{Hit, Table};

/// The most terms that a site adds.
///
/// Each takes about a hundred bytes, and a list that is longer is a data set, not a policy.
pub const MAX_SITE_TERMS: usize = 10_000;

/// The longest term that a site adds, in bytes.
pub const MAX_SITE_TERM_BYTES: usize = 120;

/// The most places that a finding names. It counts the rest.
pub const MAX_EVIDENCE: usize = 64;

/// The score from which a category counts as present, unless a site says otherwise: one sure term,
/// or two that are only likely.
pub const USUAL_THRESHOLD: Confidence = Confidence::percent(50);

/// From this score on, a finding is [`Level::Sure`].
const SURE_PERCENT: u8 = 85;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Settings {
    thresholds: BTreeMap<Category, Confidence>,
    terms: Vec<(Category, String)>,
}

impl Default for Settings {
    /// Every category but [`Category::GenderAffirming`], from [`USUAL_THRESHOLD`] on.
    fn default() -> Self {
        let usual = Category::ALL.iter().filter(|c| **c != Category::GenderAffirming);
        Self { thresholds: usual.map(|c| (*c, USUAL_THRESHOLD)).collect(), terms: Vec::new() }
    }
}

impl Settings {
    /// Looks for a category, which is present from this score on.
    #[must_use]
    pub fn look_for(mut self, category: Category, threshold: Confidence) -> Self {
        self.thresholds.insert(category, threshold);
        self
    }

    /// Does not look for a category.
    #[must_use]
    pub fn leave_out(mut self, category: Category) -> Self {
        self.thresholds.remove(&category);
        self
    }

    /// Adds a term of the site's own, such as the name of its programme. It is found in any case,
    /// and one mention is enough at the usual threshold.
    #[must_use]
    pub fn term(mut self, category: Category, term: &str) -> Self {
        self.terms.push((category, term.to_owned()));
        self
    }
}

/// A term of a site cannot be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTerm {
    /// There are too many.
    #[error("{count} terms, more than {MAX_SITE_TERMS}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is too long, has no word, too many words, or marks that no term reaches over.
    #[error("term {number}: {reason}")]
    Malformed {
        /// Its place among the site's terms, from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was seen, but less than the threshold asks for.
    Trace,
    /// The threshold is reached.
    Likely,
    /// More than one sure term, or one that stands for nothing else.
    Sure,
}

/// A category of a text, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryFinding {
    /// Which.
    pub category: Category,
    /// The score: `0..=99`. It orders texts; it is not a probability.
    pub score: Confidence,
    /// What the score means at the threshold that is set.
    pub level: Level,
    /// How many terms were seen, each mention counted.
    pub mentions: usize,
    /// The places, in order; at most [`MAX_EVIDENCE`].
    pub evidence: Vec<Evidence>,
}

impl CategoryFinding {
    /// Whether the threshold is reached.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.level > Level::Trace
    }
}

/// One place that speaks for a category. It names the listed term, never the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Index of the part.
    pub part: usize,
    /// First byte in the text of the part; 0 with `end` 0 when it is in the part's label.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The term as listed. It says what the text is about: for who may read the text.
    pub term: Cow<'static, str>,
    /// The group of the term: `treatment-drug`, `icd-10-cm`. Fit for a record.
    pub group: &'static str,
    /// What stands around it.
    pub circumstance: Circumstance,
    /// What it would score alone, after what stands around it.
    pub weight: Confidence,
}

/// Finds special categories. Built once, shared by all threads.
#[derive(Debug)]
pub struct Categories {
    table: Table,
    thresholds: BTreeMap<Category, Confidence>,
}

impl Categories {
    /// Builds the tables.
    ///
    /// # Errors
    /// [`UnusableTerm`] when a term of the site cannot be looked for.
    pub fn new(settings: &Settings) -> Result<Self, UnusableTerm> {
        let count = settings.terms.len();
        if count > MAX_SITE_TERMS {
            return Err(UnusableTerm::TooMany { count });
        }
        let mut table = Table::built_in();
        for (k, (category, term)) in settings.terms.iter().enumerate() {
            let malformed = |reason| UnusableTerm::Malformed { number: k + 1, reason };
            if term.len() > MAX_SITE_TERM_BYTES {
                return Err(malformed("it is too long"));
            }
            table.add(*category, term).map_err(malformed)?;
        }
        Ok(Self { table, thresholds: settings.thresholds.clone() })
    }

    /// The categories that are present in a document: those whose threshold is reached, in the
    /// order of [`Category::ALL`]. Its parts add up.
    ///
    /// It reads text of any length; [`crate::detect::MAX_SCAN_BYTES`] is the detector's.
    #[must_use]
    pub fn of(&self, parts: &[Part<'_>]) -> Vec<CategoryFinding> {
        let mut found = self.weigh(parts);
        found.retain(CategoryFinding::is_present);
        found
    }

    /// Every category that is looked for and of which anything was seen, traces too, so that a
    /// site can try a threshold.
    #[must_use]
    pub fn weigh(&self, parts: &[Part<'_>]) -> Vec<CategoryFinding> {
        let mut tallies = BTreeMap::new();
        for (index, part) in parts.iter().enumerate() {
            if let Some(label) = part.label {
                self.read(&spaced(label), &mut tallies, |_| (index, 0, 0));
            }
            let folded = Folded::of(part.text);
            let text = folded.as_ref().map_or(part.text, |f| f.text.as_str());
            self.read(text, &mut tallies, |hit| match &folded {
                Some(f) => (index, f.start(hit.start), f.end(hit.end, part.text)),
                None => (index, hit.start, hit.end),
            });
        }
        tallies.into_iter().map(|(category, tally)| self.finding(category, tally)).collect()
    }

    /// Checks that one planted sentence of each category that is looked for is found.
    ///
    /// # Errors
    /// [`Unscannable::SelfTest`] when one is missed.
    pub fn self_test(&self) -> Result<(), Unscannable> {
        let whole = self.thresholds.keys().all(|category| {
            let text = planted(*category);
            // Weighed, because a site may ask for more than one sentence scores.
            let found = self.weigh(&[Part { text, label: None }]);
            found.iter().any(|f| f.category == *category && f.score >= USUAL_THRESHOLD)
        });
        // Fail closed: a category that is not found is a broken detector.
        if whole { Ok(()) } else { Err(Unscannable::SelfTest) }
    }

    /// Adds what one text says to the tallies.
    fn read(
        &self,
        text: &str,
        tallies: &mut BTreeMap<Category, Tally>,
        place: impl Fn(&Hit) -> (usize, usize, usize),
    ) {
        let hits = self.table.hits(text);
        let mut idiom_end = 0;
        let mut covered = BTreeMap::new();
        for (k, hit) in hits.iter().enumerate() {
            if self.table.is_idiom(hit.entry) {
                idiom_end = idiom_end.max(hit.end);
            }
            if hit.end <= idiom_end {
                continue;
            }
            let mut around = None;
            for one in self.table.uses(hit) {
                let Some(group) = self.table.group_of(one.group) else { continue };
                if !self.thresholds.contains_key(&group.category) {
                    continue;
                }
                let around = around.get_or_insert_with(|| Around::of(&self.table, &hits, k));
                let Some(circumstance) = around.judge(one, group.category) else { continue };
                // A term inside a longer one of its category says nothing more.
                let covered = covered.entry(group.category).or_insert((0, 0));
                if hit.end <= covered.1 && (hit.start, hit.end) != *covered {
                    continue;
                }
                if hit.end > covered.1 {
                    *covered = (hit.start, hit.end);
                }
                let weight = circumstance.lowered(group.percent, group.category);
                let (part, start, end) = place(hit);
                let evidence = Evidence {
                    part,
                    start,
                    end,
                    term: self.table.term(hit.entry),
                    group: group.name,
                    circumstance,
                    weight: Confidence::percent(weight),
                };
                tallies.entry(group.category).or_default().add(hit.entry, group.percent, evidence);
            }
        }
    }

    fn finding(&self, category: Category, tally: Tally) -> CategoryFinding {
        let score = tally.score();
        let threshold = self.thresholds.get(&category).copied().unwrap_or(USUAL_THRESHOLD);
        let level = match score {
            _ if score < threshold => Level::Trace,
            _ if score.as_percent() < SURE_PERCENT => Level::Likely,
            _ => Level::Sure,
        };
        let Tally { mentions, evidence, .. } = tally;
        CategoryFinding { category, score, level, mentions, evidence }
    }
}

/// What speaks for one category.
#[derive(Debug, Default)]
struct Tally {
    /// The best weight of each entry: to say a word often makes it no surer.
    weights: BTreeMap<usize, u8>,
    /// The best weight of what was denied. A list of denials is one statement, as in a review of
    /// systems.
    denied: u8,
    mentions: usize,
    evidence: Vec<Evidence>,
}

impl Tally {
    fn add(&mut self, entry: usize, full_percent: u8, evidence: Evidence) {
        let percent = evidence.weight.as_percent();
        if evidence.circumstance == Circumstance::Negated && percent < full_percent {
            self.denied = self.denied.max(percent);
        } else {
            let weight = self.weights.entry(entry).or_default();
            *weight = (*weight).max(percent);
        }
        self.mentions += 1;
        if self.evidence.len() < MAX_EVIDENCE {
            self.evidence.push(evidence);
        }
    }

    /// One minus the product of what each term leaves open, in whole numbers, so that every
    /// machine says the same.
    fn score(&self) -> Confidence {
        const WHOLE: u64 = 1_000_000_000;
        let weights = self.weights.values().chain([&self.denied]);
        let open =
            weights.fold(WHOLE, |open, weight| open * u64::from(100 - (*weight).min(99)) / 100);
        let percent = (WHOLE - open) / (WHOLE / 100);
        Confidence::percent(u8::try_from(percent.min(99)).unwrap_or(99))
    }
}

/// The name of a field as words: `hivStatus`, `hiv_status`.
fn spaced(label: &str) -> String {
    let mut out = String::with_capacity(label.len() + 8);
    let mut after_small = false;
    for c in label.chars() {
        if after_small && c.is_uppercase() {
            out.push(' ');
        }
        after_small = c.is_lowercase();
        out.push(c);
    }
    out
}

/// A sentence about nobody that is of the category.
const fn planted(category: Category) -> &'static str {
    match category {
        Category::SubstanceUse => "Opioid use disorder, on buprenorphine.",
        Category::Hiv => "HIV antibody nonreactive.",
        Category::PsychotherapyNote => "Psychotherapy note: we looked at the transference.",
        Category::MentalHealth => "Bipolar disorder, on quetiapine.",
        Category::Reproductive => "Pregnant, asks about an abortion.",
        Category::Genetic => "BRCA1 pathogenic variant, genetic counseling offered.",
        Category::GenderAffirming => "Gender dysphoria, asks about top surgery.",
    }
}
