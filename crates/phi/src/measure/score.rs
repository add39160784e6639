//! What one document says about a detector.

use super::{Document, Kind, Labels, Policy};
use crate::{Class, Finding};
use std::collections::BTreeSet;
use std::ops::{AddAssign, Range};

/// What was counted for one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gold spans.
    pub gold: usize,
    /// Gold spans of which every letter and digit was covered.
    pub full: usize,
    /// Gold spans of which any was covered.
    pub touched: usize,
    /// Gold spans that a finding of their own class touched.
    pub same: usize,
    /// Letters and digits of gold spans.
    pub characters: usize,
    /// Letters and digits of gold spans that nothing covered.
    pub leaked: usize,
    /// Findings of this class that can be judged.
    pub found: usize,
    /// Findings of this class that touched a gold span.
    pub right: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.gold += other.gold;
        self.full += other.full;
        self.touched += other.touched;
        self.same += other.same;
        self.characters += other.characters;
        self.leaked += other.leaked;
        self.found += other.found;
        self.right += other.right;
    }
}

/// What was counted in one document, or in several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// By class, in the order of [`Class::ALL`].
    pub classes: Vec<Counts>,
    /// Documents.
    pub documents: usize,
    /// Documents in which there was something to find.
    pub with_gold: usize,
    /// Documents in which any of it was not covered.
    pub leaking: usize,
    /// Words of documents with exhaustive labels.
    pub words: usize,
    /// Those that were covered and are in no gold span.
    pub over_redacted: usize,
    /// Look-alikes.
    pub negatives: usize,
    /// Look-alikes that a finding touched.
    pub negatives_touched: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            classes: vec![Counts::default(); Class::ALL.len()],
            documents: 0,
            with_gold: 0,
            leaking: 0,
            words: 0,
            over_redacted: 0,
            negatives: 0,
            negatives_touched: 0,
        }
    }
}

impl Tally {
    /// What was counted for one class.
    #[must_use]
    pub fn class(&self, class: Class) -> Counts {
        self.classes.get(class as usize).copied().unwrap_or_default()
    }

    /// What was counted for all classes together.
    #[must_use]
    pub fn all(&self) -> Counts {
        let mut all = Counts::default();
        for counts in &self.classes {
            all += *counts;
        }
        all
    }

    fn of(&mut self, class: Class) -> Option<&mut Counts> {
        self.classes.get_mut(class as usize)
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        for (counts, more) in self.classes.iter_mut().zip(&other.classes) {
            *counts += *more;
        }
        self.documents += other.documents;
        self.with_gold += other.with_gold;
        self.leaking += other.leaking;
        self.words += other.words;
        self.over_redacted += other.over_redacted;
        self.negatives += other.negatives;
        self.negatives_touched += other.negatives_touched;
    }
}

/// What a corpus labels at all. Where it labels no ages, a finding of an age says nothing about the
/// detector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    classes: BTreeSet<Class>,
    kinds: BTreeSet<Kind>,
}

impl Scope {
    /// What the documents label.
    #[must_use]
    pub fn of(documents: &[Document]) -> Self {
        let mut scope = Self::default();
        for document in documents {
            for span in &document.spans {
                let text = document.text.expose().get(span.place.clone()).unwrap_or_default();
                scope.classes.insert(span.class);
                scope.kinds.insert(Kind::of(span.class, span.sub.as_deref(), text));
            }
        }
        scope
    }

    /// Whether a finding of this class and kind outside all labels is wrong under a policy.
    fn judges(&self, class: Class, kind: Kind, policy: Policy) -> bool {
        // Corpora of names and places leave dates, ages and occupations unlabelled. Any other class
        // that is found where nothing is labelled is wrong.
        let loose = matches!(class, Class::Date | Class::Age | Class::Profession);
        policy.counts(kind)
            && (kind == Kind::Identifier || self.kinds.contains(&kind))
            && (!loose || self.classes.contains(&class))
    }
}

/// What each byte of a text is.
const GOLD: u8 = 1;
const NEUTRAL: u8 = 2;
const COVERED: u8 = 4;
/// Covered by a finding that is judged.
const JUDGED: u8 = 8;

/// Counts what `findings` say about one document.
#[must_use]
pub fn score(document: &Document, findings: &[Finding], policy: Policy, scope: &Scope) -> Tally {
    let (mut page, gold) = Page::lay(document, findings, policy);
    let mut tally = Tally { documents: 1, ..Tally::default() };
    for (span, class) in &gold {
        page.recall(span.clone(), *class, findings, &mut tally);
    }
    let all = tally.all();
    tally.with_gold = usize::from(all.gold > 0);
    tally.leaking = usize::from(all.leaked > 0);
    if document.labels == Labels::Exhaustive {
        page.precision(document, findings, policy, scope, &mut tally);
    }
    tally
}

/// The mistakes of a detector in one document, by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// Gold spans of which not all is covered.
    pub missed: Vec<(Range<usize>, Class)>,
    /// Findings that touch no gold span, where labels are exhaustive.
    pub wrong: Vec<(Range<usize>, Class)>,
}

/// Lists what [`score`] counts as mistakes.
#[must_use]
pub fn mistakes(
    document: &Document,
    findings: &[Finding],
    policy: Policy,
    scope: &Scope,
) -> Mistakes {
    let (page, gold) = Page::lay(document, findings, policy);
    let leaks = |place: &Range<usize>| {
        page.signs(place.clone()).any(|sign| sign & GOLD != 0 && sign & COVERED == 0)
    };
    let missed = gold.into_iter().filter(|(place, _)| leaks(place)).collect();
    let mut wrong = Vec::new();
    if document.labels == Labels::Exhaustive {
        for finding in findings {
            if page.verdict(finding, policy, scope) == Verdict::Wrong {
                wrong.push((finding.start..finding.end, finding.class));
            }
        }
    }
    Mistakes { missed, wrong }
}

/// What a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Right,
    Neutral,
    Wrong,
}

struct Page<'a> {
    text: &'a str,
    bytes: Vec<u8>,
}

impl<'a> Page<'a> {
    /// Lays labels and findings out, and returns what must be found.
    fn lay(
        document: &'a Document,
        findings: &[Finding],
        policy: Policy,
    ) -> (Self, Vec<(Range<usize>, Class)>) {
        let text = document.text.expose();
        let mut page = Self { text, bytes: vec![0; text.len()] };
        let gold = page.label(document, policy);
        for finding in findings {
            page.mark(finding.start..finding.end, COVERED);
        }
        (page, gold)
    }

    fn mark(&mut self, place: Range<usize>, with: u8) {
        for byte in self.bytes.get_mut(place).unwrap_or_default() {
            *byte |= with;
        }
    }

    fn slice(&self, place: Range<usize>) -> &str {
        self.text.get(place).unwrap_or_default()
    }

    /// What the letters and digits of a place are.
    fn signs(&self, place: Range<usize>) -> impl Iterator<Item = u8> + '_ {
        let start = place.start;
        self.slice(place)
            .char_indices()
            .filter(|(_, c)| c.is_alphanumeric())
            .map(move |(at, _)| self.bytes.get(start + at).copied().unwrap_or_default())
    }

    fn label(&mut self, document: &Document, policy: Policy) -> Vec<(Range<usize>, Class)> {
        let mut gold = Vec::new();
        for place in &document.neutral {
            self.mark(place.clone(), NEUTRAL);
        }
        for (place, word) in words(self.text) {
            if TITLES.contains(&word.to_ascii_lowercase().as_str()) || CREDENTIALS.contains(&word) {
                self.mark(place, NEUTRAL);
            }
        }
        for span in &document.spans {
            let text = self.slice(span.place.clone());
            let kind = Kind::of(span.class, span.sub.as_deref(), text);
            let core = core(text, span.class);
            let core = span.place.start + core.start..span.place.start + core.end;
            self.mark(span.place.clone(), NEUTRAL);
            if policy.counts(kind) && self.signs(core.clone()).next().is_some() {
                for piece in pieces(self.text, &core, span.class, policy) {
                    self.mark(piece, GOLD);
                }
                gold.push((core, span.class));
            }
        }
        gold
    }

    fn recall(&self, place: Range<usize>, class: Class, findings: &[Finding], tally: &mut Tally) {
        let (mut characters, mut leaked) = (0, 0);
        for sign in self.signs(place.clone()).filter(|sign| sign & GOLD != 0) {
            characters += 1;
            leaked += usize::from(sign & COVERED == 0);
        }
        let touches = |f: &&Finding| f.start < place.end && f.end > place.start;
        let same = findings.iter().filter(touches).any(|f| f.class == class);
        if let Some(counts) = tally.of(class) {
            *counts += Counts {
                gold: 1,
                full: usize::from(leaked == 0),
                touched: usize::from(leaked < characters),
                same: usize::from(same),
                characters,
                leaked,
                found: 0,
                right: 0,
            };
        }
    }

    fn verdict(&self, finding: &Finding, policy: Policy, scope: &Scope) -> Verdict {
        let place = finding.start..finding.end;
        if self.signs(place.clone()).any(|sign| sign & GOLD != 0) {
            return Verdict::Right;
        }
        let kind = Kind::of_finding(finding.class, self.slice(place.clone()));
        let neutral = self.signs(place).all(|sign| sign & NEUTRAL != 0);
        if neutral || !scope.judges(finding.class, kind, policy) {
            return Verdict::Neutral;
        }
        Verdict::Wrong
    }

    fn precision(
        &mut self,
        document: &Document,
        findings: &[Finding],
        policy: Policy,
        scope: &Scope,
        tally: &mut Tally,
    ) {
        let mut wrong = 0;
        for finding in findings {
            let verdict = self.verdict(finding, policy, scope);
            if verdict == Verdict::Neutral {
                continue;
            }
            wrong += usize::from(verdict == Verdict::Wrong);
            self.mark(finding.start..finding.end, JUDGED);
            if let Some(counts) = tally.of(finding.class) {
                counts.found += 1;
                counts.right += usize::from(verdict == Verdict::Right);
            }
        }
        for (place, _) in words(self.text) {
            tally.words += 1;
            let mut signs = self.signs(place.clone());
            let outside = !self.signs(place).any(|sign| sign & (GOLD | NEUTRAL) != 0);
            tally.over_redacted += usize::from(outside && signs.any(|sign| sign & JUDGED != 0));
        }
        for place in &document.negatives {
            tally.negatives += 1;
            let touched = self.signs(place.clone()).any(|sign| sign & JUDGED != 0);
            tally.negatives_touched += usize::from(touched);
        }
        if document.decoy {
            tally.negatives += 1;
            tally.negatives_touched += usize::from(wrong > 0);
        }
    }
}

/// Written before or after a name without being part of it, in any case.
const TITLES: &[&str] = &[
    "dr",
    "drs",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "prof",
    "professor",
    "doctor",
    "sir",
    "madam",
    "don",
    "dra",
    "sra",
    "herr",
    "frau",
];

/// The same, in capitals only: `do` and `pa` are words.
const CREDENTIALS: &[&str] = &[
    "MD", "DO", "RN", "LPN", "LVN", "CNA", "NP", "FNP", "PA", "CRNA", "CNM", "PhD", "PHD",
    "PharmD", "DDS", "DMD", "DPM", "OD", "DPT", "PT", "OT", "OTR", "RD", "RT", "RRT", "MSW",
    "LCSW", "BSN", "MSN", "DNP", "APRN", "ARNP", "FACP", "FACC", "FACS", "MPH", "MBBS", "FRCP",
    "FRCS", "PsyD", "EdD", "Esq",
];

/// Words at the edge of a place or date that some annotators include and some do not.
const EDGES: &[&str] = &["the", "in", "of", "at", "on", "from", "near", "since", "until", "by"];

/// A span without the words at its edges that are neither right nor wrong.
fn core(text: &str, class: Class) -> Range<usize> {
    let is_edge = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let title = TITLES.contains(&lower.as_str()) || CREDENTIALS.contains(&word);
        let around = matches!(class, Class::Location | Class::Date);
        (class == Class::Name && title) || (around && EDGES.contains(&lower.as_str()))
    };
    let all: Vec<(Range<usize>, &str)> = words(text).collect();
    let first = all.iter().find(|(_, word)| !is_edge(word));
    let last = all.iter().rev().find(|(_, word)| !is_edge(word));
    match (first, last) {
        (Some((first, _)), Some((last, _))) => first.start..last.end,
        // Nothing but edges: `Miss` may be all that there is.
        _ => 0..text.len(),
    }
}

/// What must be covered of a span: all of it, but for the year of a date and the name of its day where
/// years and days alone may stay (45 CFR 164.514(b)(2)(i)(C)).
fn pieces(text: &str, core: &Range<usize>, class: Class, policy: Policy) -> Vec<Range<usize>> {
    let inside = text.get(core.clone()).unwrap_or_default();
    let years_stay = class == Class::Date && !policy.counts(Kind::Year);
    let mut pieces: Vec<Range<usize>> = Vec::new();
    if years_stay {
        let rest = words(inside).filter(|(_, word)| !is_year(word) && !is_weekday(word));
        pieces = rest.map(|(at, _)| core.start + at.start..core.start + at.end).collect();
    }
    if pieces.is_empty() {
        pieces.push(core.clone());
    }
    pieces
}

fn is_weekday(word: &str) -> bool {
    const BEGIN: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let lower = word.to_ascii_lowercase();
    BEGIN.contains(&lower.as_str())
        || (lower.ends_with("day") && BEGIN.iter().any(|begin| lower.starts_with(begin)))
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse().is_ok_and(|year: u16| (1800..2100).contains(&year))
}

/// The runs of letters and digits of a text.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = 0;
    text.split_inclusive(|c: char| !c.is_alphanumeric()).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        (!word.is_empty()).then(|| (start..start + word.len(), word))
    })
}
