//! Safe Harbor: what 45 CFR 164.514(b)(2) lets stay, and the claim that it holds.
//!
//! Dates become years, ages over 89 and years that imply one become `90+`, ZIP codes become three
//! digits by a dated table, states stay; all else that was found is removed. That the method was
//! applied is half of the rule. The other half is that the covered entity has no actual knowledge
//! that what is left could identify somebody (45 CFR 164.514(b)(2)(ii)), which no program can know.
//! So the label is a value, [`SafeHarborClaim`], which is made only from the words of somebody who
//! answers for it and from a detector of which no class is turned off.
//!
//! No scanner is perfect: the claim is that of the one who makes it.
//!
//! ```
//! use phi::transform::{Acknowledgement, Coverage, Day, Found, SafeHarbor};
//! use std::collections::BTreeSet;
//! let day = Day::new(2026, 11, 26).unwrap();
//! let words = "We have no actual knowledge that what is left could identify a patient.";
//! let acknowledgement = Acknowledgement::new("privacy officer", day, words).unwrap();
//! let coverage = Coverage::tested(&phi::Detector::new(), &BTreeSet::new()).unwrap();
//! let safe_harbor = SafeHarbor::new(acknowledgement, &coverage, day).unwrap();
//! let text = safe_harbor.apply(&Found::new("all is well", Vec::new()).unwrap());
//! assert!(text.label().deidentified());
//! ```
//!
//! A claim cannot be written down without them:
//! ```compile_fail
//! use phi::transform::{Acknowledgement, Day, Label, SafeHarborClaim};
//! let day = Day::new(2026, 11, 26).unwrap();
//! let words = "We have no actual knowledge that what is left could identify a patient.";
//! let acknowledgement = Acknowledgement::new("privacy officer", day, words).unwrap();
//! let label = Label::SafeHarbor(SafeHarborClaim { acknowledgement });
//! ```

use super::context;
use super::place::{self, Tail};
use super::shift::order;
use super::written::{Order, Written, weekdays};
use super::zip3::{BrokenPack, Zip3Table};
use super::{Day, Found, Kind, Label, Redactor, Transformed};
use crate::{Class, Detector, Finding, Unscannable};
use std::collections::BTreeSet;

/// Ages up to this one may stay (45 CFR 164.514(b)(2)(i)(C)).
const OLDEST_TOLD: i32 = 89;

/// The category of all older ages.
const OVER: &str = "90+";

/// Somebody's statement that there is no actual knowledge (45 CFR 164.514(b)(2)(ii)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    who: String,
    on: Day,
    text: String,
}

/// Why words are no acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// Nobody is named.
    #[error("an acknowledgement names the person who makes it")]
    Nobody,
    /// The words do not say it.
    #[error(
        "an acknowledgement says that there is \"no actual knowledge\" (45 CFR 164.514(b)(2)(ii))"
    )]
    NotSaid,
    /// Longer than a statement is.
    #[error("an acknowledgement has at most 2000 bytes")]
    TooLong,
}

/// A statement of this kind is a sentence or a paragraph.
const MAX_WORDS_BYTES: usize = 2_000;

impl Acknowledgement {
    /// Who says it, on which day, in which words.
    ///
    /// # Errors
    /// [`Incomplete`] when nobody is named, or the words do not say `no actual knowledge`.
    pub fn new(who: &str, on: Day, text: &str) -> Result<Self, Incomplete> {
        let (who, text) = (who.trim(), text.trim());
        if who.is_empty() {
            return Err(Incomplete::Nobody);
        }
        if !text.to_lowercase().contains("no actual knowledge") {
            return Err(Incomplete::NotSaid);
        }
        if who.len().max(text.len()) > MAX_WORDS_BYTES {
            return Err(Incomplete::TooLong);
        }
        Ok(Self { who: who.to_owned(), on, text: text.to_owned() })
    }

    /// Who says it.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// The day.
    #[must_use]
    pub const fn on(&self) -> Day {
        self.on
    }

    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Which classes a detector that passed its self-test looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    disabled: BTreeSet<Class>,
}

impl Coverage {
    /// Tests the detector, which must find every class, and notes what is turned off.
    ///
    /// # Errors
    /// [`Unscannable`] when the detector does not find what it must.
    pub fn tested(detector: &Detector, disabled: &BTreeSet<Class>) -> Result<Self, Unscannable> {
        detector.self_test()?;
        Ok(Self { disabled: disabled.clone() })
    }
}

/// Why there is no Safe Harbor claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Some detectors are turned off.
    #[error(
        "Safe Harbor needs every detector, and these are turned off: {} (45 CFR 164.514(b)(2)(i))",
        labels(.0)
    )]
    Disabled(BTreeSet<Class>),
    /// The table of ZIP areas is broken.
    #[error(transparent)]
    Pack(#[from] BrokenPack),
}

fn labels(classes: &BTreeSet<Class>) -> String {
    classes.iter().map(|class| class.label()).collect::<Vec<_>>().join(", ")
}

/// The claim that a text was de-identified by Safe Harbor, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeHarborClaim {
    // INVARIANT: made by `SafeHarbor::new` alone, after both checks.
    acknowledgement: Acknowledgement,
    zip3_source: &'static str,
    zip3_caveat: &'static str,
    zip3_verified_on: Day,
}

impl SafeHarborClaim {
    /// The rule.
    pub const RULE: &'static str = "45 CFR 164.514(b)(2)";

    /// Whose claim it is, and in which words.
    #[must_use]
    pub const fn acknowledgement(&self) -> &Acknowledgement {
        &self.acknowledgement
    }

    /// The source of the table of ZIP areas, what is to be kept in mind, and when it was checked.
    #[must_use]
    pub const fn zip3(&self) -> (&'static str, &'static str, Day) {
        (self.zip3_source, self.zip3_caveat, self.zip3_verified_on)
    }
}

/// The transform, for as many texts as the claim is made for.
#[derive(Clone, Debug)]
pub struct SafeHarbor {
    claim: SafeHarborClaim,
    table: Zip3Table,
    today: Day,
}

impl SafeHarbor {
    /// Checks what a claim needs. `today` tells which years imply an age over 89.
    ///
    /// # Errors
    /// [`Refused`] when a class of the detector is turned off.
    pub fn new(
        acknowledgement: Acknowledgement,
        coverage: &Coverage,
        today: Day,
    ) -> Result<Self, Refused> {
        if !coverage.disabled.is_empty() {
            return Err(Refused::Disabled(coverage.disabled.clone()));
        }
        let table = Zip3Table::built_in()?;
        let claim = SafeHarborClaim {
            acknowledgement,
            zip3_source: table.source(),
            zip3_caveat: table.caveat(),
            zip3_verified_on: table.verified_on(),
        };
        Ok(Self { claim, table, today })
    }

    /// Leaves of every finding what the rule lets stay.
    pub fn apply(&self, found: &Found<'_>) -> Transformed {
        let mut redactor = Redactor::new();
        redactor.meet(found);
        let order = order(found);
        let put = |finding: &Finding, value: &str| {
            let mut remove = |value: &str| redactor.placeholder(finding.class, value);
            match Kind::of(finding.class) {
                Kind::Date => self
                    .year(value, order, context::is_birth(found.before(finding)))
                    .unwrap_or_else(|| remove(value)),
                Kind::Age => age(value).unwrap_or_else(|| remove(value)),
                Kind::Place => self.place(value, finding.recogniser, &mut remove),
                Kind::Other => remove(value),
            }
        };
        let mut done = found.rewrite(put, |between, next, out| {
            // A weekday is an element of a date, and the detector finds it only inside one.
            let mut dayless = String::with_capacity(between.len());
            let dated = next == Some(Class::Date);
            weekdays(between, dated, &mut dayless, |_| "[WEEKDAY]".to_owned());
            self.birth_years(&dayless, out);
        });
        done.label = Label::SafeHarbor(self.claim.clone());
        done
    }

    /// The year of a date; `90+` where it implies such an age; `None` when it cannot be told.
    fn year(&self, value: &str, order: Order, birth: bool) -> Option<String> {
        let years = match Written::read(value, order) {
            Some(date) if date.has_years() => date.years(),
            Some(date) => vec![self.short_year(date.short_year()?, birth)?],
            None => years(value),
        };
        let mut distinct: Vec<i32> = Vec::with_capacity(2);
        for year in years {
            if self.implies_over(year) {
                return Some(OVER.to_owned());
            }
            if !distinct.contains(&year) {
                distinct.push(year);
            }
        }
        let shown: Vec<String> = distinct.iter().map(i32::to_string).collect();
        (!shown.is_empty()).then(|| shown.join("-"))
    }

    /// A year of two digits in full, where only one is possible.
    fn short_year(&self, year: i32, birth: bool) -> Option<i32> {
        /// Appointments are made this far ahead.
        const AHEAD_YEARS: i32 = 10;
        let (century, this) = (self.today.year() / 100 * 100, self.today.year() % 100);
        if year > this + AHEAD_YEARS {
            Some(century - 100 + year)
        } else if year <= this && !birth {
            Some(century + year)
        } else {
            // Fail closed: a birth in '24 is that of a child or of somebody over 89.
            None
        }
    }

    /// Whether somebody of that year may be older than the law lets one tell.
    fn implies_over(&self, year: i32) -> bool {
        self.today.year() - year > OLDEST_TOLD
    }

    /// State and three digits of the ZIP code; the rest is removed.
    fn place(
        &self,
        value: &str,
        recogniser: &str,
        remove: &mut dyn FnMut(&str) -> String,
    ) -> String {
        let Tail { head, state, zip } = place::tail(value, recogniser);
        let mut kept: Vec<String> = Vec::with_capacity(3);
        if head.chars().any(char::is_alphanumeric) {
            kept.push(remove(head));
        }
        let area = zip.map(|zip| self.table.area(zip));
        let coarse: Vec<&str> = state.into_iter().chain(area).collect();
        if !coarse.is_empty() {
            kept.push(coarse.join(" "));
        }
        if kept.is_empty() { remove(value) } else { kept.join(", ") }
    }

    /// A year alone is no finding, but `born in 1931` implies an age over 89.
    fn birth_years(&self, between: &str, out: &mut String) {
        let mut done = 0;
        for (at, year) in lone_years(between) {
            let line = between.get(..at).unwrap_or_default();
            let line = line.rsplit('\n').next().unwrap_or_default();
            if self.implies_over(year) && context::is_birth(line) {
                out.push_str(between.get(done..at).unwrap_or_default());
                out.push_str(OVER);
                done = at + YEAR_DIGITS;
            }
        }
        out.push_str(between.get(done..).unwrap_or_default());
    }
}

const YEAR_DIGITS: usize = 4;

/// The years of four digits that stand alone, with their places.
fn lone_years(text: &str) -> impl Iterator<Item = (usize, i32)> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let start = at + rest.find(|c: char| c.is_ascii_digit())?;
            let run = text.get(start..)?;
            let len = run.bytes().take_while(u8::is_ascii_digit).count();
            at = start + len;
            let before = text.get(..start)?.chars().next_back();
            let after = text.get(at..)?.chars().next();
            let alone = !before.is_some_and(part) && !after.is_some_and(part);
            let year = run.get(..len)?.parse().ok().filter(|it| (1850..=2150).contains(it));
            if let Some(year) = year.filter(|_| alone && len == YEAR_DIGITS) {
                return Some((start, year));
            }
        }
    })
}

/// The years in a date that is not understood as a whole: `Easter 2019`.
fn years(text: &str) -> Vec<i32> {
    lone_years(text).map(|(_, year)| year).collect()
}

/// Words of ages that tell nothing but an age.
const AGE_WORDS: [&str; 58] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "year",
    "years",
    "yr",
    "yrs",
    "month",
    "months",
    "mo",
    "mos",
    "week",
    "weeks",
    "wk",
    "wks",
    "day",
    "days",
    "old",
    "of",
    "age",
    "aged",
    "yo",
    "y",
    "o",
    "m",
    "f",
    "s",
    "yof",
    "yom",
    "and",
    "a",
    "half",
    "mid",
    "early",
    "late",
];

/// An age as it may stay: itself up to 89, else `90+`; `None` when it cannot be told.
pub(crate) fn age(value: &str) -> Option<String> {
    let lower = value.to_lowercase();
    let numbers = lower.split(|c: char| !c.is_ascii_digit()).filter(|it| !it.is_empty());
    let mut largest = None;
    for number in numbers {
        largest = largest.max(Some(number.parse::<i32>().ok()?));
    }
    let over = ["ninety", "ninet", "hundred", "nonagenarian", "centenarian"];
    if largest.is_some_and(|it| it > OLDEST_TOLD) || over.iter().any(|it| lower.contains(it)) {
        return Some(OVER.to_owned());
    }
    let mut words =
        lower.split(|c: char| !c.is_alphabetic()).filter(|it| !it.is_empty()).peekable();
    if largest.is_none() && words.peek().is_none() {
        return None;
    }
    if words.all(|word| AGE_WORDS.contains(&word)) {
        return Some(value.to_owned());
    }
    largest.map(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::marked;
    use super::*;

    const WORDS: &str = "I have no actual knowledge that what is left could identify anybody.";

    fn today() -> Day {
        Day::new(2026, 11, 26).unwrap()
    }

    fn safe_harbor() -> SafeHarbor {
        let acknowledgement = Acknowledgement::new("P. Officer", today(), WORDS).unwrap();
        let coverage = Coverage::tested(&Detector::new(), &BTreeSet::new()).unwrap();
        SafeHarbor::new(acknowledgement, &coverage, today()).unwrap()
    }

    fn check(text: &str, expected: &str) {
        let (text, findings) = marked(text);
        let done = safe_harbor().apply(&Found::new(&text, findings).unwrap());
        assert_eq!(done.text().expose(), expected, "{text}");
        assert!(done.label().deidentified());
    }

    #[test]
    fn dates_become_years_and_years_over_89_ago_become_a_category() {
        check("seen {DATE:03/14/2024}", "seen 2024");
        check("DOB: {DATE:3/14/62}", "DOB: 1962");
        check("DOB: {DATE:March 14, 1931}", "DOB: 90+");
        check("DOB: {DATE:3/14/1937}", "DOB: 1937");
        check("DOB: {DATE:3/14/1936}", "DOB: 90+");
        check("seen {DATE:3/14/24}", "seen 2024");
        check("DOB: {DATE:3/14/24}", "DOB: [DATE_1]");
        check("on {DATE:3/14} and {DATE:Monday}", "on [DATE_1] and [DATE_2]");
        check("from {DATE:12/30/2023-01/02/2024}", "from 2023-2024");
        check("at {DATE:Easter 2019}, {DATE:20240314}", "at 2019, 2024");
        check("at {DATE:Easter}", "at [DATE_1]");
        check("born in 1931, in Ohio since 1955", "born in 90+, in Ohio since 1955");
        check("Monday {DATE:3/18/2024}, on Tuesdays", "[WEEKDAY] 2024, on [WEEKDAY]s");
        check("surgery in 1931 and again 2019", "surgery in 1931 and again 2019");
    }

    #[test]
    fn ages_over_89_become_a_category() {
        check("{AGE:92}-year-old", "90+-year-old");
        check("{AGE:90} and {AGE:89} and {AGE:101}", "90+ and 89 and 90+");
        check("{AGE:ninety-two}, {AGE:62yo}, {AGE:eighty-five}", "90+, 62yo, eighty-five");
        check("in her {AGE:90s}, {AGE:18 months}", "in her 90+, 18 months");
        check("{AGE:as old as Methuselah}", "[AGE_1]");
        check("{AGE:44 like Ann}", "44");
    }

    #[test]
    fn of_a_place_the_state_and_three_digits_stay() {
        check("{LOCATION:41 Alder Street, Springfield, IL 62704}", "[LOCATION_1], IL 627");
        check("ZIP {LOCATION:03601}", "ZIP 000");
        check("ZIP {LOCATION:62704-1234}", "ZIP 627");
        check(
            "{LOCATION:Boston, Massachusetts} {LOCATION:Elm Clinic}",
            "[LOCATION_1], Massachusetts [LOCATION_2]",
        );
        check(
            "in {LOCATION:Washington}, {LOCATION:Virginia Beach}",
            "in [LOCATION_1], [LOCATION_2]",
        );
        check("{LOCATION:Route 62704}", "[LOCATION_1]");
    }

    #[test]
    fn every_other_class_is_removed() {
        for class in Class::ALL {
            if matches!(class, Class::Date | Class::Age | Class::Location) {
                continue;
            }
            check(&format!("x {{{class}:Secret 4471}} y"), &format!("x [{class}_1] y"));
        }
    }

    #[test]
    fn a_claim_is_refused_when_any_class_is_turned_off() {
        for class in Class::ALL {
            let coverage = Coverage::tested(&Detector::new(), &BTreeSet::from([*class])).unwrap();
            let acknowledgement = Acknowledgement::new("P. Officer", today(), WORDS).unwrap();
            let refused = SafeHarbor::new(acknowledgement, &coverage, today()).unwrap_err();
            assert!(refused.to_string().contains(class.label()), "{refused}");
        }
    }

    #[test]
    fn a_claim_needs_somebody_who_says_it() {
        let new = |who, words| Acknowledgement::new(who, today(), words).map(|_| ());
        assert_eq!(new(" ", WORDS), Err(Incomplete::Nobody));
        assert_eq!(new("P. Officer", "yes"), Err(Incomplete::NotSaid));
        assert_eq!(new("P. Officer", &WORDS.repeat(60)), Err(Incomplete::TooLong));
        let claim = safe_harbor().claim;
        assert_eq!(
            (claim.acknowledgement().who(), claim.acknowledgement().text()),
            ("P. Officer", WORDS)
        );
        assert!(claim.zip3().0.contains("Census") && claim.zip3().1.contains("refresh"));
    }
}
