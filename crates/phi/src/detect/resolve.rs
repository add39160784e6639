//! One verdict for each byte, and the same verdict everywhere.

use std::collections::BTreeMap;

use super::cue;
use super::letters::Plain;
use super::lexicon::Lexicon;
use super::number::finding;
use super::token::{Block, Case, Gap, Kind};
use crate::{Class, Finding};

/// Findings below this are not reported: noise would hide what matters.
const FLOOR_PERCENT: u8 = 40;

/// How much a candidate weighs: sure ones before long ones.
fn weight(f: &Finding) -> usize {
    /// Length beyond this adds nothing.
    const MAX_LENGTH: usize = 40;
    usize::from(f.confidence.as_percent()) + (f.end - f.start).min(MAX_LENGTH)
}

/// Chooses among candidates that overlap, heaviest first; sorted and disjoint at the end.
///
/// What a lighter one covers beyond a heavier one stays found, so that nothing leaks at the seam.
pub(crate) fn choose(text: &str, mut candidates: Vec<Finding>) -> Vec<Finding> {
    candidates.retain(|f| f.start < f.end && f.confidence.as_percent() >= FLOOR_PERCENT);
    candidates.sort_by_key(|f| (std::cmp::Reverse(weight(f)), f.start));
    let mut chosen: BTreeMap<usize, Finding> = BTreeMap::new();
    for candidate in candidates {
        place(text, &candidate, &mut chosen);
    }
    let chosen: Vec<Finding> = chosen.into_values().collect();
    join_places(text, chosen)
}

fn place(text: &str, f: &Finding, chosen: &mut BTreeMap<usize, Finding>) {
    let full = f.end - f.start;
    let mut from = f.start;
    if let Some((_, before)) = chosen.range(..=from).next_back() {
        from = from.max(before.end);
    }
    // The parts between the heavier ones are looked at on their own.
    while from < f.end {
        let next = chosen.range(from..f.end).next().map(|(start, c)| (*start, c.end));
        let (end, beyond) = next.unwrap_or((f.end, f.end));
        let mut part = f.clone();
        (part.start, part.end) = (from, end);
        let whole = end - from == full;
        if from < end && (whole || trim(text, &mut part)) && part.start < part.end {
            chosen.insert(part.start, part);
        }
        from = beyond;
    }
}

/// Trims marks and spaces from the rest of a finding; `false` when nothing worth keeping is left.
fn trim(text: &str, f: &mut Finding) -> bool {
    let Some(part) = text.get(f.start..f.end) else { return false };
    let left = part.trim_start_matches(|c: char| !c.is_alphanumeric());
    let both = left.trim_end_matches(|c: char| !c.is_alphanumeric());
    f.start += part.len() - left.len();
    f.end = f.start + both.len();
    both.chars().filter(|c| c.is_alphanumeric()).count() >= 2
        && !matches!(both, "in" | "of" | "at" | "and" | "the")
        // `Kool, MD`: what is left of a town and its state when the town is a person.
        && !(f.class == Class::Location && both == "MD")
}

/// Cuts findings where the value of a field begins or ends: prose does not run on from one field of
/// a structure into the next. The ranges come in the order of their starts.
pub(crate) fn cut_at(
    text: &str,
    found: Vec<Finding>,
    ranges: &[(usize, usize)],
    out: &mut Vec<Finding>,
) {
    for mut f in found {
        // An address of the net may have values within it.
        if matches!(f.class, Class::Url | Class::Email | Class::Ip | Class::Photo) {
            out.push(f);
            continue;
        }
        let mut cut = false;
        let first = ranges.partition_point(|r| r.0 <= f.start).saturating_sub(1);
        for &(start, end) in ranges.get(first..).unwrap_or_default() {
            if start >= f.end {
                break;
            }
            if end <= f.start || (start <= f.start && f.end <= end) {
                continue;
            }
            cut = true;
            let mut head = f.clone();
            head.end = start.max(f.start);
            if head.start < head.end && trim(text, &mut head) {
                out.push(head);
            }
            f.start = end.min(f.end);
        }
        if f.start < f.end && (!cut || trim(text, &mut f)) {
            out.push(f);
        }
    }
}

/// `Elm Clinic` `, ` `Boston`: parts of one place.
fn join_places(text: &str, found: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::with_capacity(found.len());
    for f in found {
        if let Some(last) = out.last_mut()
            && last.class == Class::Location
            && last.recogniser != "zip"
            && !(is_field(last) && is_field(&f))
            && f.recogniser != "place.facility"
            && f.class == Class::Location
            && matches!(text.get(last.end..f.start), Some(", " | " " | ","))
        {
            last.end = f.end;
            last.confidence = last.confidence.max(f.confidence);
            continue;
        }
        out.push(f);
    }
    out
}

/// Whether a place fills a field of its own: columns beside each other stay apart.
fn is_field(f: &Finding) -> bool {
    matches!(f.recogniser, "place.field" | "state.field" | "zip.field")
}

/// What was found in one place and is looked for in all.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Words of names, in their plain form, and how sure the surest of their findings is.
    names: BTreeMap<String, u8>,
    /// Identifiers, as written.
    ids: BTreeMap<String, Class>,
}

/// A document with more distinct names than this is a directory, whose names stand in fields.
const MAX_KNOWN: usize = 20_000;

impl Known {
    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.ids.is_empty()
    }

    /// Notes the values of findings.
    pub(crate) fn note(&mut self, text: &str, found: &[Finding], lexicon: &Lexicon) {
        for f in found {
            let Some(value) = text.get(f.start..f.end) else { continue };
            match f.class {
                Class::Name if f.confidence.as_percent() >= 60 => {
                    self.note_name(value, f.confidence.as_percent(), lexicon);
                }
                Class::Mrn
                | Class::Ssn
                | Class::HealthPlanId
                | Class::Account
                | Class::License
                | Class::Vehicle
                | Class::DeviceId
                | Class::OtherId
                | Class::Biometric
                    if self.ids.len() < MAX_KNOWN && f.confidence.as_percent() >= 60 =>
                {
                    let value = value.trim_start_matches('#');
                    let digits = value.bytes().filter(u8::is_ascii_digit).count();
                    if digits >= 4 && value.len() >= 5 {
                        self.ids.entry(value.to_owned()).or_insert(f.class);
                    }
                }
                Class::Name
                | Class::Location
                | Class::Date
                | Class::Age
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
                | Class::OtherId => {}
            }
        }
    }

    fn note_name(&mut self, value: &str, percent: u8, lexicon: &Lexicon) {
        for word in value.split(|c: char| !(c.is_alphabetic() || c == '\'')) {
            let Some(plain) = Plain::of(word).filter(|p| p.as_bytes().len() >= 3) else { continue };
            // `XXXX` stands for a name that was taken out.
            if plain.as_bytes().iter().all(|b| *b == b'x') {
                continue;
            }
            let entry = lexicon.word(word);
            // `J. Swann RNC`: an unknown abbreviation beside a name.
            let short = word.len() <= 4
                && word.chars().all(char::is_uppercase)
                && entry.given() < 2
                && entry.surname() < 3;
            if short {
                continue;
            }
            let common = entry.word() > 0 && entry.given_odds().max(entry.surname_odds()) < 5;
            if !common && !entry.is_medical() && self.names.len() < MAX_KNOWN {
                let sure = self.names.entry(plain.as_str().to_owned()).or_default();
                *sure = (*sure).max(percent);
            }
        }
    }

    /// Finds what is known in a block; `doubts` is what the tagger thinks of each token, if it ran.
    pub(crate) fn find(&self, block: &Block<'_>, doubts: &[u8], out: &mut Vec<Finding>) {
        let mut i = 0;
        while i < block.len() {
            i = self.at_token(block, doubts, i, out).max(i + 1);
        }
    }

    fn at_token(
        &self,
        block: &Block<'_>,
        doubts: &[u8],
        i: usize,
        out: &mut Vec<Finding>,
    ) -> usize {
        let token = block.at(i);
        let name =
            token.kind == Kind::Word && token.case != Case::Lower && token.end - token.start >= 3;
        if name && self.is_name(block, i) && self.is_plausible(block, doubts, i) {
            let mut end = i + 1;
            while block.at(end).gap == Gap::Space
                && block.at(end).is_capital()
                && self.is_name(block, end)
            {
                end += 1;
            }
            let possessive = usize::from(block.at(end).kind == Kind::Possessive);
            let next = block.at(end + possessive);
            let product = next.is_mark(b'-')
                && next.gap == Gap::None
                && matches!(block.at(end + 1).kind, Kind::Digits | Kind::Mixed);
            let region =
                end == i + 1 && token.is(cue::STATE | cue::NATION | cue::MONTH | cue::WEEKDAY);
            let eponym = next.is(cue::EPONYM_TAIL) && next.is_lower();
            if !eponym && !product && !region {
                let span = (token.start, block.before(end, 1).end);
                out.push(finding(
                    span,
                    Class::Name,
                    66,
                    "name.again",
                    "found elsewhere in the document",
                ));
            }
            return end;
        }
        if !self.ids.is_empty() && matches!(token.kind, Kind::Digits | Kind::Mixed | Kind::Word) {
            let b = super::shape::Bytes(block.text.as_bytes());
            let before = if token.start > 0 { b.at(token.start - 1) } else { b' ' };
            if before.is_ascii_alphanumeric() || matches!(before, b'-' | b'.' | b'/') {
                return i + 1;
            }
            let end = super::shape::identifier(b, token.start);
            if end > token.start + 4
                && let Some(class) = block.text.get(token.start..end).and_then(|v| self.ids.get(v))
            {
                out.push(finding(
                    (token.start, end),
                    *class,
                    72,
                    "id.again",
                    "found elsewhere in the document",
                ));
                return block.token_at(end);
            }
        }
        i + 1
    }

    fn is_name(&self, block: &Block<'_>, i: usize) -> bool {
        Plain::of(block.str(i)).is_some_and(|p| self.names.contains_key(p.as_str()))
    }

    /// Whether a word that is a name elsewhere can be one here: the tagger must not exclude it.
    fn is_plausible(&self, block: &Block<'_>, doubts: &[u8], i: usize) -> bool {
        /// A name in a field or after a title stays one; 95 percent are given to nothing less.
        const FIRM_PERCENT: u8 = 95;
        /// Below this the tagger excludes it: two percent.
        const EXCLUDED: u8 = 5;
        let sure = Plain::of(block.str(i)).and_then(|p| self.names.get(p.as_str()).copied());
        let doubt = doubts.get(i).copied().unwrap_or(u8::MAX);
        doubt >= EXCLUDED || sure.is_some_and(|s| s >= FIRM_PERCENT)
    }
}
