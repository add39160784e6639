//! Quasi-identifiers: what is no identifier and still may single somebody out.
//!
//! A rare disease, an employer, a village, an unusual office, an event that was in the news: each is
//! allowed to stay, and together they may leave one person (45 CFR 164.514(b)(2)(ii)). They are
//! reported as a kind of their own, never among the identifiers, and nothing is changed because of
//! them: what they mean, somebody must judge. No scanner is perfect, and this one knows words only:
//! an empty report is no proof that nobody can be recognised.

mod measure;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use std::collections::BTreeSet;

const WORDS: &str = include_str!("../../data/quasi.txt");
const PLACES: &[u8] = include_bytes!("../../data/small_places.fst");

/// What may single somebody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuasiKind {
    /// A disease that few have.
    RareDisease,
    /// Who somebody works for.
    Employer,
    /// A town of at most five thousand people.
    SmallPlace,
    /// An office or profession that few hold.
    Role,
    /// Something that happened, of which many have heard.
    Event,
    /// The only one, the first, the oldest of some place or group.
    Sole,
    /// Twins and more.
    MultipleBirth,
    /// An age, weight, height or body mass index that few reach.
    Extreme,
}

impl QuasiKind {
    /// The label: `rare_disease`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RareDisease => "rare_disease",
            Self::Employer => "employer",
            Self::SmallPlace => "small_place",
            Self::Role => "role",
            Self::Event => "event",
            Self::Sole => "sole",
            Self::MultipleBirth => "multiple_birth",
            Self::Extreme => "extreme",
        }
    }
}

/// One quasi-identifier: its place and kind, never its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuasiFinding {
    /// First byte in the UTF-8 text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What it is.
    pub kind: QuasiKind,
}

/// All that was found in one text, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuasiReport {
    findings: Vec<QuasiFinding>,
}

impl QuasiReport {
    /// The findings, in order of their places.
    #[must_use]
    pub fn findings(&self) -> &[QuasiFinding] {
        &self.findings
    }

    /// The kinds that occur.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<QuasiKind> {
        self.findings.iter().map(|finding| finding.kind).collect()
    }

    /// Whether the text should be read by somebody: two kinds together, or one that is enough alone.
    #[must_use]
    pub fn may_single_out(&self) -> bool {
        let kinds = self.kinds();
        let alone = [QuasiKind::Role, QuasiKind::Event, QuasiKind::Sole];
        kinds.len() > 1 || alone.iter().any(|kind| kinds.contains(kind))
    }
}

/// The word lists, built once.
pub struct QuasiDetector {
    words: Option<AhoCorasick>,
    kinds: Vec<QuasiKind>,
    places: Option<fst::Set<&'static [u8]>>,
}

impl std::fmt::Debug for QuasiDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QuasiDetector({} phrases)", self.kinds.len())
    }
}

impl Default for QuasiDetector {
    fn default() -> Self {
        Self::new()
    }
}

/// Words after which a capitalised name is a place.
const BEFORE_PLACE: [&str; 7] = ["in", "from", "near", "of", "to", "outside", "at"];

/// Words after which a capitalised name is an employer.
const BEFORE_EMPLOYER: [&str; 11] = [
    "works at",
    "works for",
    "worked at",
    "worked for",
    "working at",
    "working for",
    "employed by",
    "employed at",
    "employee of",
    "employer:",
    "retired from",
];

/// Words after which a role is somebody's.
const BEFORE_ROLE: [&str; 14] = [
    "the",
    "a",
    "an",
    "our",
    "is",
    "as",
    "former",
    "current",
    "retired",
    "ex",
    "occupation",
    "profession",
    "elected",
    "local",
];

impl QuasiDetector {
    /// Builds the lists.
    #[must_use]
    pub fn new() -> Self {
        let mut phrases = Vec::new();
        let mut kinds = Vec::new();
        let lines = WORDS.lines().filter(|line| !line.starts_with('#'));
        for (head, list) in lines.filter_map(|line| line.split_once(':')) {
            let kind = match head {
                "rare" => QuasiKind::RareDisease,
                "role" => QuasiKind::Role,
                "event" => QuasiKind::Event,
                "birth" => QuasiKind::MultipleBirth,
                _ => QuasiKind::Sole,
            };
            for phrase in list.split(';').map(str::trim).filter(|phrase| !phrase.is_empty()) {
                phrases.push(phrase);
                kinds.push(kind);
            }
        }
        let words = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&phrases)
            .ok();
        Self { words, kinds, places: fst::Set::new(PLACES).ok() }
    }

    /// Finds what may single somebody out in a text, for instance in one that was transformed.
    #[must_use]
    pub fn report(&self, text: &str) -> QuasiReport {
        let mut findings = Vec::new();
        self.phrases(text, &mut findings);
        self.after_cues(text, &mut findings);
        measure::find(text, &mut findings);
        findings.sort_unstable();
        findings.dedup();
        QuasiReport { findings }
    }

    fn phrases(&self, text: &str, out: &mut Vec<QuasiFinding>) {
        let Some(words) = &self.words else { return };
        for found in words.find_iter(text) {
            let (start, end) = (found.start(), found.end());
            let Some(kind) = self.kinds.get(found.pattern().as_usize()).copied() else { continue };
            let (before, after) = (text.get(..start), text.get(end..));
            let (Some(before), Some(after)) = (before, after) else { continue };
            let whole = !before.ends_with(char::is_alphanumeric)
                && !after.starts_with(char::is_alphanumeric);
            let counts = match kind {
                QuasiKind::Role => BEFORE_ROLE.contains(&last_word(before).to_lowercase().as_str()),
                // `The first dose`: a place or a group must follow.
                QuasiKind::Sole => of_a_group(after),
                QuasiKind::RareDisease
                | QuasiKind::Employer
                | QuasiKind::SmallPlace
                | QuasiKind::Event
                | QuasiKind::MultipleBirth
                | QuasiKind::Extreme => true,
            };
            if whole && counts {
                out.push(QuasiFinding { start, end, kind });
            }
        }
    }

    /// Names after words that announce an employer or a place.
    fn after_cues(&self, text: &str, out: &mut Vec<QuasiFinding>) {
        for (start, word) in words(text) {
            let starts_name = word.starts_with(char::is_uppercase);
            let Some(before) = text.get(..start).filter(|_| starts_name) else { continue };
            let trimmed = before.trim_end();
            if BEFORE_EMPLOYER.iter().any(|cue| ends_with(trimmed, cue)) {
                let end = start + name_len(text.get(start..).unwrap_or_default());
                out.push(QuasiFinding { start, end, kind: QuasiKind::Employer });
            } else if BEFORE_PLACE.iter().any(|cue| ends_with(trimmed, cue))
                && let Some(len) = self.small_place(text.get(start..).unwrap_or_default())
            {
                out.push(QuasiFinding { start, end: start + len, kind: QuasiKind::SmallPlace });
            }
        }
    }

    /// The length of the longest small town's name at the beginning of `text`.
    fn small_place(&self, text: &str) -> Option<usize> {
        /// No list has a name of more words.
        const MAX_WORDS: usize = 3;
        let places = self.places.as_ref()?;
        let mut longest = None;
        for (start, word) in words(text).take(MAX_WORDS) {
            let end = start + word.len();
            let name = text.get(..end)?;
            if name.contains(|c: char| !(c.is_alphabetic() || c == ' ' || c == '\'')) {
                break;
            }
            if places.contains(name.to_lowercase()) {
                longest = Some(end);
            }
        }
        longest
    }
}

/// Runs of letters and digits with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’' | '&');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.find(is_part)?;
        let rest = text.get(start..)?;
        let word = rest.get(..rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()))?;
        at = start + word.len();
        Some((start, word))
    })
}

fn last_word(text: &str) -> &str {
    let trimmed = text.trim_end_matches([' ', ':', '-']);
    trimmed.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// Whether text ends with whole words, in any case.
fn ends_with(text: &str, cue: &str) -> bool {
    let Some(at) = text.len().checked_sub(cue.len()) else { return false };
    let Some((head, tail)) = text.split_at_checked(at) else { return false };
    tail.eq_ignore_ascii_case(cue) && !head.ends_with(char::is_alphanumeric)
}

/// The length of a capitalised name: `Riverside Paper Mill`.
fn name_len(text: &str) -> usize {
    let (mut end, mut read) = (0, 0);
    for (start, word) in words(text) {
        let near = read == 0 || text.get(read..start) == Some(" ");
        let named = word.starts_with(char::is_uppercase);
        if !near || !(named || matches!(word, "of" | "and" | "&" | "the")) {
            break;
        }
        read = start + word.len();
        if named {
            end = read;
        }
    }
    end
}

/// Whether the words after `the only` name a place or a group: `the only surgeon in the county`.
fn of_a_group(after: &str) -> bool {
    /// The group is named in the same breath.
    const REACH_WORDS: usize = 7;
    const GROUPS: [&str; 18] = [
        "county",
        "state",
        "country",
        "nation",
        "world",
        "village",
        "town",
        "city",
        "region",
        "island",
        "parish",
        "district",
        "reservation",
        "community",
        "tribe",
        "valley",
        "hospital",
        "family",
    ];
    let sentence = after.split(['.', ';', '\n']).next().unwrap_or_default();
    let near: Vec<String> =
        words(sentence).take(REACH_WORDS).map(|(_, it)| it.to_lowercase()).collect();
    let group = near.iter().position(|word| GROUPS.contains(&word.as_str()));
    let placed = near.iter().position(|word| matches!(word.as_str(), "in" | "of" | "on"));
    matches!((placed, group), (Some(placed), Some(group)) if placed < group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(QuasiKind, &str)]) -> QuasiReport {
        let report = QuasiDetector::new().report(text);
        let found: Vec<_> =
            report.findings().iter().map(|it| (it.kind, &text[it.start..it.end])).collect();
        assert_eq!(found, expected, "{text}");
        report
    }

    #[test]
    fn a_rare_disease_an_employer_and_a_village_single_somebody_out_together() {
        let report = check(
            "He has Fabry disease, works for Riverside Paper Mill and lives in Monowi.",
            &[(QuasiKind::RareDisease, "Fabry"), (QuasiKind::Employer, "Riverside Paper Mill")],
        );
        assert!(report.may_single_out());
        let report =
            check("She has Huntington disease.", &[(QuasiKind::RareDisease, "Huntington")]);
        assert!(!report.may_single_out());
        let report = check(
            "She moved from Zwolle with Huntington disease.",
            &[(QuasiKind::RareDisease, "Huntington")],
        );
        assert!(!report.may_single_out());
        check("He lives in Yanceyville.", &[(QuasiKind::SmallPlace, "Yanceyville")]);
        check("He lives in Boston and works in Chicago.", &[]);
    }

    #[test]
    fn an_office_an_event_and_the_only_one_are_enough_alone() {
        for (text, kind, words) in [
            ("The patient is the mayor.", QuasiKind::Role, "mayor"),
            ("Occupation: lighthouse keeper", QuasiKind::Role, "lighthouse keeper"),
            ("hurt in a plane crash", QuasiKind::Event, "plane crash"),
            ("survivor of the fire", QuasiKind::Event, "survivor of the"),
            ("he is the only surgeon in the county", QuasiKind::Sole, "the only"),
        ] {
            assert!(check(text, &[(kind, words)]).may_single_out());
        }
    }

    #[test]
    fn ordinary_words_are_no_quasi_identifiers() {
        check("The first dose was given in the morning. He judges his pain as mild.", &[]);
        check("the last visit; the only complaint is pain. Twinrix was given", &[]);
        check("Mayor of nothing. éé", &[]);
        check("", &[]);
    }

    #[test]
    fn births_and_measures_that_few_reach_are_found() {
        check("one of triplets", &[(QuasiKind::MultipleBirth, "triplets")]);
        check("BMI 62.4 today, BMI of 31", &[(QuasiKind::Extreme, "62.4")]);
        check("a 104-year-old and an 89-year-old", &[(QuasiKind::Extreme, "104")]);
        check("weighs 612 lb, weight 80 kg", &[(QuasiKind::Extreme, "612")]);
        check("Weight: 240 kg", &[(QuasiKind::Extreme, "240")]);
        check("BP 120/80, HR 104", &[]);
    }

    #[test]
    fn the_lists_are_complete_and_have_their_sources() {
        let detector = QuasiDetector::new();
        assert!(detector.words.is_some() && detector.places.is_some());
        assert!(detector.kinds.len() > 200);
        assert!(WORDS.contains("ICD-10-CM 2024"));
    }
}
