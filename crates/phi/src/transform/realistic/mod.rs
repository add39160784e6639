//! Realistic surrogates: invented values of the same shape.
//!
//! Inside one document they are consistent: whole name, surname, first name and initials of one
//! person go together, one value has one surrogate, and dates keep their intervals. A surrogate is
//! never the original, and never another original of the document, whatever the case. Numbers carry
//! no valid check digit, telephones are 555-0100 to 555-0199, addresses on the net are those that
//! are kept for documents (RFC 2606, RFC 3849, RFC 5737), social security numbers begin with 000.
//!
//! One value with one surrogate through a whole collection would tell much to whoever knows a few
//! originals, so each document starts anew. The text is still PHI: what the detector missed stands
//! beside the inventions, and nobody can tell them apart by looking.

mod names;
mod numbers;
mod places;

use super::safe_harbor::age;
use super::shift::{DayShift, order};
use super::written::{Order, Written};
use super::{Found, Kind, Redactor, Transformed};
use crate::{Class, Finding};
use names::Names;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroize;

/// How often a value is drawn anew before a placeholder stands in for it.
const MAX_DRAWS: usize = 64;

/// Unpredictable choices.
#[derive(Clone, Copy)]
struct Dice<'a> {
    fill: &'a dyn Fn(&mut [u8]),
}

impl Dice<'_> {
    /// A number in `0..bound`, or 0 when `bound` is 0. The bias is below `bound / 2^64`.
    fn below(self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        (self.fill)(&mut bytes);
        let wide = u128::from(u64::from_le_bytes(bytes)) * (bound as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    fn pick<T: Copy>(self, list: &[T]) -> Option<T> {
        list.get(self.below(list.len())).copied()
    }

    fn digit(self) -> char {
        self.pick(b"0123456789").map_or('0', char::from)
    }

    fn upper(self) -> char {
        // Letters that no digit is taken for.
        self.pick(b"ABCDEFGHJKLMNPRTUVWXYZ").map_or('X', char::from)
    }
}

/// The inventions of one document.
pub struct Realistic {
    /// Drawn when the dates of the document are known.
    shift: Option<DayShift>,
    names: Names,
    /// The surrogate of a value: class and value in plain form.
    values: BTreeMap<(Class, String), String>,
    seen: Seen,
    redactor: Redactor,
}

/// What a surrogate must not be: an original of the document, or the surrogate of another.
#[derive(Default)]
struct Seen {
    /// Words of the document, in lower case.
    words: BTreeSet<String>,
    /// Values found in it, and surrogates given, in plain form.
    values: BTreeSet<String>,
}

impl Seen {
    /// Whether a value is free, and takes it if so.
    fn take(&mut self, value: &str) -> bool {
        let plain = plain(value);
        !plain.is_empty() && self.values.insert(plain)
    }

    /// Whether a word is free, and takes it if so.
    fn take_word(&mut self, word: &str) -> bool {
        self.words.insert(word.to_lowercase())
    }
}

/// An offset by which no date of the document becomes another, if one of a few draws is such.
fn offset(found: &Found<'_>, order: Order, fill: &dyn Fn(&mut [u8])) -> DayShift {
    /// In a document of many dates no offset may be free of it, and reading them all costs time.
    const MAX_OFFSETS: usize = 16;
    let values =
        || found.values().filter(|(it, _)| it.class == Class::Date).map(|(_, value)| value);
    let originals: BTreeSet<String> = values().map(plain).collect();
    let meets = |by: DayShift| {
        let moved = |value| Written::read(value, order)?.moved(by.days());
        values().filter_map(moved).any(|moved| originals.contains(&plain(&moved)))
    };
    let mut by = DayShift::random(fill);
    for _ in 1..MAX_OFFSETS {
        if !meets(by) {
            return by;
        }
        by = DayShift::random(fill);
    }
    by
}

/// Letters and digits in lower case.
fn plain(value: &str) -> String {
    value.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl std::fmt::Debug for Realistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Realistic({} values)", self.values.len())
    }
}

impl Drop for Realistic {
    fn drop(&mut self) {
        for (mut key, _) in std::mem::take(&mut self.values) {
            key.1.zeroize();
        }
        let seen = std::mem::take(&mut self.seen);
        for mut value in seen.words.into_iter().chain(seen.values) {
            value.zeroize();
        }
    }
}

impl Default for Realistic {
    fn default() -> Self {
        Self::new()
    }
}

impl Realistic {
    /// For one document.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shift: None,
            names: Names::new(),
            values: BTreeMap::new(),
            seen: Seen::default(),
            redactor: Redactor::new(),
        }
    }

    /// Replaces every finding by an invention; `fill` writes unpredictable bytes.
    ///
    /// What cannot be invented, such as a date in words that are not understood, gets a placeholder.
    pub fn replace(&mut self, found: &Found<'_>, fill: &dyn Fn(&mut [u8])) -> Transformed {
        let dice = Dice { fill };
        self.meet(found);
        let order = order(found);
        let by = *self.shift.get_or_insert_with(|| offset(found, order, fill));
        let put = |finding: &Finding, value: &str| {
            self.invent(found, finding, value, (order, by), dice)
                .unwrap_or_else(|| self.redactor.placeholder(finding.class, value))
        };
        found.rewrite(put, |between, next, out| by.weekdays(between, next, out))
    }

    /// Reads what stands in the document before anything is invented.
    fn meet(&mut self, found: &Found<'_>) {
        let words = found.text().split(|c: char| !(c.is_alphabetic() || matches!(c, '\'' | '’')));
        for word in words.filter(|word| !word.is_empty()) {
            self.seen.words.insert(word.to_lowercase());
        }
        self.redactor.meet(found);
        for (finding, value) in found.values() {
            self.seen.values.insert(plain(value));
            if finding.class == Class::Name {
                self.names.meet(value, found.before(finding));
            }
        }
    }

    fn invent(
        &mut self,
        found: &Found<'_>,
        finding: &Finding,
        value: &str,
        (order, by): (Order, DayShift),
        dice: Dice<'_>,
    ) -> Option<String> {
        match Kind::of(finding.class) {
            Kind::Date => return Written::read(value, order)?.moved(by.days()),
            Kind::Age => return age(value),
            Kind::Place => {
                return places::place(
                    value,
                    finding.recogniser,
                    &mut self.values,
                    &mut self.seen,
                    dice,
                );
            }
            Kind::Other
                if finding.class == Class::Name && value.chars().any(char::is_alphabetic) =>
            {
                return self.name(value, found.before(finding), dice);
            }
            Kind::Other => {}
        }
        let key = (finding.class, plain(value));
        if key.1.is_empty() {
            return None;
        }
        if let Some(made) = self.values.get(&key) {
            return Some(made.clone());
        }
        for _ in 0..MAX_DRAWS {
            let made = if finding.class == Class::Email {
                numbers::email(value, dice, |word, dice| self.names.known(word, dice))
            } else {
                numbers::invent(finding.class, value, dice)
            }?;
            if plain(&made) != key.1 && self.seen.take(&made) {
                self.values.insert(key, made.clone());
                return Some(made);
            }
        }
        None
    }
}

impl Realistic {
    /// One spelling of a name has one surrogate, its digits included.
    fn name(&mut self, value: &str, before: &str, dice: Dice<'_>) -> Option<String> {
        let key = (Class::Name, value.to_owned());
        if let Some(made) = self.values.get(&key) {
            return Some(made.clone());
        }
        let made = self.names.name(value, before, &mut self.seen, dice)?;
        // Initials are few, so another original of the document may come out.
        if self.seen.values.contains(&plain(&made)) {
            return None;
        }
        self.values.insert(key, made.clone());
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Day;
    use super::super::testing::{marked, scattered, seeded};
    use super::*;
    use proptest::prelude::*;

    fn replaced(marked_text: &str, seed: u64) -> (String, Vec<String>) {
        let (text, findings) = marked(marked_text);
        let found = Found::new(&text, findings.clone()).unwrap();
        let fill = seeded(seed);
        let made = Realistic::new().replace(&found, &fill);
        assert_eq!(made.label().words(), "still PHI");
        let originals = findings.iter().map(|it| text[it.start..it.end].to_owned()).collect();
        (made.text().expose().to_owned(), originals)
    }

    /// The pieces of a text that stand where `*` stands in a pattern.
    fn slots(text: &str, pattern: &str) -> Vec<String> {
        let mut rest = text;
        let mut slots = Vec::new();
        let mut fixed = pattern.split('*');
        rest = rest.strip_prefix(fixed.next().unwrap()).unwrap_or_else(|| panic!("{text}"));
        for piece in fixed {
            let at = if piece.is_empty() {
                rest.len()
            } else {
                rest.find(piece).unwrap_or_else(|| panic!("{text} without {piece}"))
            };
            slots.push(rest[..at].to_owned());
            rest = &rest[at + piece.len()..];
        }
        slots
    }

    #[test]
    fn the_mentions_of_one_person_go_together() {
        for seed in 0..50 {
            let (text, _) = replaced(
                "Patient: {NAME:Quintero, Marisol E.} is here. {NAME:MARISOL QUINTERO}; Ms. {NAME:Quintero}; \
                 {NAME:Marisol}; {NAME:M. Quintero}; {NAME:Quintero's}; {NAME:MQ}.",
                seed,
            );
            let it = slots(&text, "Patient: *, * *. is here. * *; Ms. *; *; *. *; *'s; *.");
            let (last, first) = (&it[0], &it[1]);
            let initials: String = [first, last].iter().map(|it| &it[..1]).collect();
            assert_eq!([&it[3], &it[4]], [&first.to_uppercase(), &last.to_uppercase()], "{text}");
            assert_eq!([&it[5], &it[6], &it[8], &it[9]], [last, first, last, last], "{text}");
            assert_eq!((&it[7], &it[10]), (&first[..1].to_owned(), &initials), "{text}");
            assert!(last != "Quintero" && first != "Marisol", "{text}");
        }
    }

    #[test]
    fn a_name_keeps_its_culture_gender_and_shape() {
        let list = include_str!("../../../data/surrogate_names.txt");
        let group = |kind: &str| -> Vec<&str> {
            let lines = list.lines().filter_map(|it| it.strip_prefix(kind));
            lines.flat_map(|it| it.trim_start_matches(':').split_whitespace()).collect()
        };
        for (name, given, surname) in [
            ("Marisol Quintero", "spanish female", "spanish surname"),
            ("Javier Ortiz", "spanish male", "spanish surname"),
            ("Linh Nguyen", "vietnamese female", "vietnamese surname"),
            ("Rajesh Patel", "south_asian male", "south_asian surname"),
            ("Agnieszka Kowalczyk", "slavic female", "slavic surname"),
            ("Zdzislawa Brzezinski", "", "slavic surname"),
            ("Robert Thompson", "english male", "english surname"),
        ] {
            for seed in 0..20 {
                let (text, _) = replaced(&format!("Dr. {{NAME:{name}}}."), seed);
                let it = slots(&text, "Dr. * *.");
                assert!(
                    given.is_empty() || group(given).contains(&it[0].as_str()),
                    "{name}: {text}"
                );
                assert!(group(surname).contains(&it[1].as_str()), "{name}: {text}");
            }
        }
        let (text, _) = replaced("{NAME:Fionnuala O'Hanlon-Reyes}, {NAME:John Smith Jr., M.D.}", 4);
        let it = slots(&text, "* *-*, * * Jr., M.D.");
        assert!(it.iter().all(|it| it.starts_with(char::is_uppercase)), "{text}");
        let (text, _) = replaced("{NAME:ann lee} {NAME:Vincent van Gogh}", 4);
        let it = slots(&text, "* * * van *");
        assert_eq!(it[0], it[0].to_lowercase(), "{text}");
    }

    #[test]
    fn numbers_keep_their_shape_in_ranges_of_nobody() {
        for seed in 0..30 {
            let (text, originals) = replaced(
                "{PHONE:(828) 555-0142} {PHONE:+1 617.867.5309} {FAX:867-5309} {SSN:219-09-9999} \
                 {EMAIL:m.quintero7@clinic.com} {URL:https://portal.health.com/p/7781} \
                 {IP:10.0.0.7} {IP:fe80::1} {HEALTH_PLAN_ID:1EG4-TE5-MK73} {MRN:00482913} \
                 {ACCOUNT:4539 1488 0343 6467} {VEHICLE:1HGCM82633A004352} {PHOTO:face_0012.jpg}",
                seed,
            );
            let it = slots(&text, "(*) * +* * * * * * * * * * * * * * *");
            assert!(it[1].starts_with("555-01") && it[3].contains(".555.01"), "{text}");
            assert_eq!(it[2], "1");
            assert!(it[4].starts_with("555-01") && it[5].starts_with("000-"), "{text}");
            assert!(it[6].ends_with("@example.com") && it[6].contains('.'), "{text}");
            assert!(it[7].starts_with("https://www.example.com/"), "{text}");
            assert!(
                it[8].starts_with("198.51.100.")
                    || it[8].starts_with("192.0.2.")
                    || it[8].starts_with("203.0.113."),
                "{text}"
            );
            assert!(it[9].starts_with("2001:db8::"), "{text}");
            assert!("SLOIBZ".contains(&it[10][1..2]), "{text}");
            assert_eq!(it[11].len(), 8);
            assert_eq!(it[16].rsplit('.').next(), Some("jpg"), "{text}");
            for original in originals {
                assert!(!text.contains(&original), "{original} in {text}");
            }
        }
    }

    #[test]
    fn places_keep_their_parts_and_their_state() {
        for seed in 0..30 {
            let (text, _) = replaced(
                "{LOCATION:418 Alder Creek Road, Apt 4B, Asheville, NC 28801}; {LOCATION:Asheville}; \
                 {LOCATION:Mercy General Hospital}; {LOCATION:Buncombe County}; {LOCATION:OHIO}",
                seed,
            );
            let it =
                slots(&text, "* * Road, Apt *, *, NC *; *; * General Hospital; * County; OHIO");
            assert!(it[0].len() == 3 && it[0] != "418", "{text}");
            assert_eq!((it[4].len(), &it[4][..3], &it[3]), (5, "000", &it[5]), "{text}");
            for original in ["Alder", "Asheville", "Mercy", "Buncombe", "28801"] {
                assert!(!text.contains(original), "{text}");
            }
        }
    }

    #[test]
    fn dates_move_together_and_ages_over_89_become_a_category() {
        let (text, _) =
            replaced("{DATE:03/14/2024} to {DATE:March 16, 2024}, {AGE:92}, {DATE:Easter}", 3);
        let it = slots(&text, "* to *, 90+, [DATE_1]");
        let day = |text: &str| Written::read(text, Order::MonthFirst).unwrap().day().unwrap();
        assert_eq!(day(&it[1]).days_since(day(&it[0])), 2, "{text}");
    }

    #[test]
    fn no_date_of_a_document_becomes_another() {
        let month = |day: i32| Day::new(2024, 1, 1).unwrap().plus(day * 9).unwrap().to_string();
        let dates: Vec<String> = (0..12).map(month).collect();
        for seed in 0..50 {
            let text: Vec<String> = dates.iter().map(|it| format!("{{DATE:{it}}}")).collect();
            let (text, _) = replaced(&text.join(" "), seed);
            assert!(!dates.iter().any(|it| text.contains(it)), "{text}");
        }
    }

    #[test]
    fn a_directory_of_many_names_has_as_many_surrogates() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for i in 0..250_u8 {
            let (a, b) = (char::from(b'a' + i % 26), char::from(b'a' + i / 26));
            writeln!(text, "{{NAME:Xq{a}{b}zu Wq{b}{a}zo}}").unwrap();
        }
        let (text, _) = replaced(&text, 1);
        let lines: BTreeSet<&str> = text.lines().collect();
        assert_eq!(lines.len(), 250);
    }

    proptest! {
        #[test]
        fn no_surrogate_is_an_original_of_the_document(
            pieces in prop::collection::vec(
                "[A-Z][a-z]{1,8} [A-Z][a-z]{1,8}|[0-9-]{1,12}|[A-Z0-9]{4,12}|[a-z.]{1,8}@[a-z]{2,6}\\.com|\\PC{1,8}",
                1..8,
            ),
            classes in prop::collection::vec(0_usize..20, 8),
            seed in 0_u64..10_000,
        ) {
            let mut text = String::new();
            let mut findings = Vec::new();
            for (piece, class) in pieces.iter().zip(&classes) {
                let class = Class::ALL[*class];
                let start = text.len();
                text.push_str(piece);
                // Ages up to 89 and states stay by design; dates move by their own proof.
                if !matches!(class, Class::Age | Class::Location | Class::Date) {
                    findings.push(super::super::testing::finding(class, start, text.len()));
                }
                text.push('|');
            }
            let found = Found::new(&text, findings.clone()).unwrap();
            let fill = seeded(seed);
            let made = Realistic::new().replace(&found, &fill);
            let originals: BTreeSet<String> = findings
                .iter()
                .map(|it| text[it.start..it.end].to_lowercase())
                .collect();
            let parts: Vec<&str> = text.split('|').collect();
            let made_parts: Vec<&str> = made.text().expose().split('|').collect();
            // A piece may hold the mark itself.
            if parts.len() == made_parts.len() {
                for finding in &findings {
                    let at = text[..finding.start].matches('|').count();
                    prop_assert!(!originals.contains(&made_parts[at].to_lowercase()), "{:?}", made_parts[at]);
                }
            }
        }

        #[test]
        fn any_findings_in_any_text_are_replaced_without_harm(
            text in "\\PC{0,40}|[A-Z]{1,3}\\. [a-z,' -]{0,20}[0-9/]{0,10}",
            picks in prop::collection::vec((0_usize..6, 0_usize..9, 0_usize..20), 0..8),
            seed in 0_u64..1000,
        ) {
            let found = Found::new(&text, scattered(&text, &picks)).unwrap();
            let fill = seeded(seed);
            let made = Realistic::new().replace(&found, &fill);
            prop_assert_eq!(made.counts().values().sum::<u64>(), found.findings().len() as u64);
        }
    }
}
