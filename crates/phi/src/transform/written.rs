//! Dates as people write them: taken apart, moved, written again in the same form.
//!
//! A date's text is cut into pieces, and each piece gets a role. What has a role is written anew,
//! all else stays as it is. A text in which any piece has no role is no date that can be moved, and
//! whoever asks must remove it: nothing of it may stay behind unread.

use super::day::Day;
use std::fmt::Write as _;

/// The longest text that is taken for a date: two long dates with times.
const MAX_DATE_BYTES: usize = 96;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Words that say nothing about which day is meant.
const FILLERS: [&str; 11] =
    ["of", "the", "on", "in", "at", "early", "late", "mid", "last", "this", "next"];

/// Writes text in which every weekday is another: `turned` gives its name, from 0 for Monday.
///
/// Short forms are weekdays only directly before a date: `Sat` and `sun` are words too.
pub(crate) fn weekdays(
    text: &str,
    date_follows: bool,
    out: &mut String,
    turned: impl Fn(u32) -> String,
) {
    let mut done = 0;
    for (at, word) in words(text) {
        // `Mondays` is a weekday too.
        let stem = word.strip_suffix(['s', 'S']).unwrap_or(word);
        let full = |word| named(&WEEKDAYS, 9, word).filter(|(_, short)| !short);
        let end = at + word.len();
        let last = date_follows
            && text.get(end..).is_some_and(|it| it.chars().all(|c| matches!(c, ' ' | ',' | '.')));
        let (day, len) = match (full(word), full(stem), named(&WEEKDAYS, 3, word)) {
            (Some((day, _)), _, _) => (day, word.len()),
            (None, Some((day, _)), _) => (day, stem.len()),
            (None, None, Some((day, _))) if last => (day, word.len()),
            (None, None, _) => continue,
        };
        out.push_str(text.get(done..at).unwrap_or_default());
        let name = turned(day);
        let short = len < 6;
        let name = if short { name.get(..3).unwrap_or(&name) } else { &name };
        out.push_str(&cased(name, word));
        done = at + len;
    }
    out.push_str(text.get(done..).unwrap_or_default());
}

/// The weekday so many days after another, by name.
pub(crate) fn weekday_after(day: u32, days: i32) -> String {
    let turned = (i64::from(day) + i64::from(days)).rem_euclid(7);
    let name = usize::try_from(turned).ok().and_then(|it| WEEKDAYS.get(it));
    name.copied().unwrap_or_default().to_owned()
}

/// Runs of letters with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.find(char::is_alphabetic)?;
        let rest = text.get(start..)?;
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        at = start + end;
        Some((start, rest.get(..end)?))
    })
}

/// Which number stands first where both could be a month: `03/04/2024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As in the United States.
    MonthFirst,
    /// As in most other places.
    DayFirst,
}

impl Order {
    /// The order that the unambiguous dates of a document show; month first when none does.
    pub(crate) fn shown<'t>(dates: impl Iterator<Item = &'t str>) -> Self {
        let (mut day_first, mut month_first) = (0_u32, 0_u32);
        for date in dates {
            let mut numbers = date.split('/').map(|field| field.trim().parse::<u32>().ok());
            match (numbers.next().flatten(), numbers.next().flatten()) {
                (Some(13..=31), Some(1..=12)) => day_first += 1,
                (Some(1..=12), Some(13..=31)) => month_first += 1,
                _ => {}
            }
        }
        if day_first > month_first { Self::DayFirst } else { Self::MonthFirst }
    }
}

/// What a piece of a date's text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Literal,
    Day,
    /// The second day of `May 10-12`.
    LastDay,
    /// `st`, `nd`, `rd`, `th` after a day.
    Ordinal,
    MonthNumber,
    MonthName,
    /// `Mar`, `Sept`.
    MonthShort,
    Year,
    Weekday,
    /// `Tue`.
    WeekdayShort,
}

#[derive(Clone, Copy, Debug)]
struct Piece<'t> {
    text: &'t str,
    role: Role,
}

/// What the numbers and words of a date say.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    day: Option<u32>,
    last_day: Option<u32>,
    month: Option<u32>,
    year: Option<i32>,
    weekday: Option<u32>,
}

/// One date with its written form, or a range of two.
#[derive(Clone, Debug)]
pub(crate) struct Written<'t> {
    dates: Vec<Single<'t>>,
    /// The text between the two of a range.
    between: &'t str,
}

#[derive(Clone, Debug)]
struct Single<'t> {
    pieces: Vec<Piece<'t>>,
    said: Said,
}

impl<'t> Written<'t> {
    /// Reads a date; `None` when any part of it is not understood.
    pub(crate) fn read(text: &'t str, order: Order) -> Option<Self> {
        if text.len() > MAX_DATE_BYTES {
            return None;
        }
        if let Some(single) = Single::read(text, order) {
            return Some(Self { dates: vec![single], between: "" });
        }
        for between in [" - ", " – ", "–", " to ", " through ", " and ", "-", "/", " "] {
            for (at, _) in text.match_indices(between) {
                let (before, rest) = text.split_at_checked(at)?;
                let after = rest.get(between.len()..)?;
                if let (Some(first), Some(second)) =
                    (Single::read(before, order), Single::read(after, order))
                {
                    return Some(Self { dates: vec![first, second], between });
                }
            }
        }
        None
    }

    /// The years, as four digits where they are written so; a year of two digits is not told.
    pub(crate) fn years(&self) -> Vec<i32> {
        self.dates.iter().filter_map(Single::full_year).collect()
    }

    /// Whether each date has a year of four digits.
    pub(crate) fn has_years(&self) -> bool {
        self.dates.iter().all(|date| date.full_year().is_some())
    }

    /// The two digits of a year, when it is one date and no more are written.
    pub(crate) fn short_year(&self) -> Option<i32> {
        let [date] = self.dates.as_slice() else { return None };
        let year = date.pieces.iter().find(|piece| piece.role == Role::Year)?;
        year.text.parse().ok().filter(|_| year.text.len() == 2)
    }

    /// The same date so many days later, in the same form; `None` when the form cannot hold it.
    pub(crate) fn moved(&self, days: i32) -> Option<String> {
        let mut out = String::with_capacity(MAX_DATE_BYTES);
        for (i, date) in self.dates.iter().enumerate() {
            if i > 0 {
                out.push_str(self.between);
            }
            date.moved(days, &mut out)?;
        }
        Some(out)
    }

    /// The day that is meant, when it is one whole date.
    #[cfg(test)]
    pub(crate) fn day(&self) -> Option<Day> {
        let [Single { said, .. }] = self.dates.as_slice() else { return None };
        Day::new(said.year?, said.month?, said.day?)
    }
}

impl<'t> Single<'t> {
    fn read(text: &'t str, order: Order) -> Option<Self> {
        if let Some(compact) = compact(text) {
            return Some(compact);
        }
        let mut pieces = cut(text);
        let said = assign(&mut pieces, order)?;
        valid(said).then_some(Self { pieces, said })
    }

    /// The year, if it is written with four digits.
    fn full_year(&self) -> Option<i32> {
        let full =
            self.pieces.iter().any(|piece| piece.role == Role::Year && piece.text.len() == 4);
        self.said.year.filter(|_| full)
    }

    fn moved(&self, days: i32, out: &mut String) -> Option<()> {
        let Said { day, last_day, month, year, weekday } = self.said;
        // What is not written is assumed: the middle of a month, a year that has that day.
        let leap = (month, day) == (Some(2), Some(29));
        let assumed = year.unwrap_or(if leap { 2024 } else { 2023 });
        let from = match month {
            Some(month) => Some(Day::new(assumed, month, day.unwrap_or(15))?),
            None => None,
        };
        let to = match from {
            Some(from) => Some(from.plus(days)?),
            None => None,
        };
        let last = match (last_day, month) {
            (Some(last), Some(month)) => Some(Day::new(assumed, month, last)?.plus(days)?),
            _ => None,
        };
        if let (Some(last), Some(to)) = (last, to)
            && (last.month(), last.year()) != (to.month(), to.year())
        {
            return None;
        }
        if to.is_none() && weekday.is_none() {
            // A year alone, which a shift of less than a year would not move evenly.
            return None;
        }
        let padded = self.is_padded();
        let mut written = 0;
        for piece in &self.pieces {
            let text = piece.text;
            match (piece.role, to) {
                (Role::Literal, _) => out.push_str(text),
                (Role::Day, Some(to)) => {
                    written = to.day();
                    number(out, written, text, padded)?;
                }
                (Role::LastDay, _) => {
                    written = last?.day();
                    number(out, written, text, padded)?;
                }
                (Role::Ordinal, _) => out.push_str(&cased(ordinal(written), text)),
                (Role::MonthNumber, Some(to)) => number(out, to.month(), text, padded)?,
                (Role::MonthName, Some(to)) => out.push_str(&cased(month_name(to)?, text)),
                (Role::MonthShort, Some(to)) => {
                    out.push_str(&cased(month_name(to)?.get(..3)?, text));
                }
                (Role::Year, Some(to)) if text.len() == 2 => {
                    write!(out, "{:02}", to.year() % 100).ok()?;
                }
                (Role::Year, Some(to)) => write!(out, "{:04}", to.year()).ok()?,
                (Role::Weekday | Role::WeekdayShort, _) => {
                    let dated = to.filter(|_| year.is_some() && day.is_some()).map(Day::weekday);
                    let turned = weekday
                        .map(|it| (i64::from(it) + i64::from(days)).rem_euclid(7).unsigned_abs());
                    let turned = turned.and_then(|it| u32::try_from(it).ok());
                    // A weekday that contradicts its date is written for the date.
                    let name = *WEEKDAYS.get(dated.or(turned)? as usize)?;
                    let name = if piece.role == Role::Weekday { name } else { name.get(..3)? };
                    out.push_str(&cased(name, text));
                }
                (
                    Role::Day | Role::MonthNumber | Role::MonthName | Role::MonthShort | Role::Year,
                    None,
                ) => return None,
            }
        }
        Some(())
    }

    /// Whether single digits are written with a zero before them.
    fn is_padded(&self) -> bool {
        let mut named = false;
        let (mut zero, mut bare) = (false, false);
        for piece in &self.pieces {
            match piece.role {
                Role::Day | Role::LastDay | Role::MonthNumber => {
                    zero |= piece.text.starts_with('0');
                    bare |= piece.text.len() == 1;
                }
                Role::MonthName | Role::MonthShort => named = true,
                Role::Literal | Role::Ordinal | Role::Year | Role::Weekday | Role::WeekdayShort => {
                }
            }
        }
        zero || (!bare && !named)
    }
}

fn month_name(day: Day) -> Option<&'static str> {
    MONTHS.get(day.month().checked_sub(1)? as usize).copied()
}

fn number(out: &mut String, value: u32, model: &str, padded: bool) -> Option<()> {
    let padded = padded || model.starts_with('0');
    if padded { write!(out, "{value:02}").ok() } else { write!(out, "{value}").ok() }
}

const fn ordinal(day: u32) -> &'static str {
    match day {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    }
}

/// `word` in the case of `model`.
pub(crate) fn cased(word: &str, model: &str) -> String {
    let letters = || model.chars().filter(|c| c.is_alphabetic());
    if letters().all(char::is_lowercase) {
        word.to_lowercase()
    } else if letters().count() > 1 && letters().all(char::is_uppercase) {
        word.to_uppercase()
    } else {
        word.to_owned()
    }
}

/// Runs of digits, runs of letters, and everything else character by character.
fn cut(text: &str) -> Vec<Piece<'_>> {
    let kind = |c: char| {
        if c.is_ascii_digit() {
            1
        } else if c.is_alphabetic() {
            2
        } else {
            0
        }
    };
    let mut pieces = Vec::with_capacity(8);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| kind(first) != 0 && kind(c) == kind(first);
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (piece, after) = rest.split_at(end);
        pieces.push(Piece { text: piece, role: Role::Literal });
        rest = after;
    }
    pieces
}

/// A word with a meaning: its number from 0, and whether it is written short.
fn named(list: &[&str], shortest: usize, word: &str) -> Option<(u32, bool)> {
    // `Sept`, `Tues` and `Thurs` are short forms too.
    let short = (shortest..=5).contains(&word.len());
    for (number, name) in (0..).zip(list) {
        if name.eq_ignore_ascii_case(word) {
            return Some((number, false));
        }
        let begins = name.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word));
        if short && begins {
            return Some((number, true));
        }
    }
    None
}

/// A number among the pieces.
#[derive(Clone, Copy)]
struct Number {
    at: usize,
    value: u32,
    digits: usize,
}

/// Gives every piece its role, or `None` when one has none.
fn assign(pieces: &mut [Piece<'_>], order: Order) -> Option<Said> {
    let dated = time_begins(pieces)?;
    let (pieces, _time) = pieces.split_at_mut_checked(dated)?;
    let mut said = Said::default();
    let mut month_at = None;
    let mut numbers: Vec<Number> = Vec::with_capacity(3);
    for i in 0..pieces.len() {
        let (before, rest) = pieces.split_at_mut_checked(i)?;
        let (piece, after) = rest.split_first_mut()?;
        let word = piece.text;
        let first = word.chars().next()?;
        if first.is_ascii_digit() {
            let value = word.parse().ok().filter(|_| word.len() <= 4)?;
            numbers.push(Number { at: i, value, digits: word.len() });
        } else if first.is_alphabetic() {
            let follows =
                before.last().is_some_and(|it| it.text.ends_with(|c: char| c.is_ascii_digit()));
            if follows && ["st", "nd", "rd", "th"].iter().any(|it| it.eq_ignore_ascii_case(word)) {
                piece.role = Role::Ordinal;
            } else if let Some((month, short)) = named(&MONTHS, 3, word) {
                if said.month.replace(month + 1).is_some() {
                    return None;
                }
                month_at = Some(i);
                // `May` is both: the mark after it decides.
                let marked = after.first().is_some_and(|it| matches!(it.text, "." | "-" | "/"));
                let short = short || (word.len() == 3 && marked);
                piece.role = if short { Role::MonthShort } else { Role::MonthName };
            } else if let Some((weekday, short)) = named(&WEEKDAYS, 3, word) {
                if said.weekday.replace(weekday).is_some() {
                    return None;
                }
                piece.role = if short { Role::WeekdayShort } else { Role::Weekday };
            } else if !FILLERS.iter().any(|it| it.eq_ignore_ascii_case(word)) {
                return None;
            }
        } else if !matches!(first, ' ' | '\u{a0}' | '\t' | ',' | '.' | '/' | '-' | '\'' | '’' | '–')
        {
            return None;
        }
    }
    match month_at {
        Some(at) => beside_name(pieces, &numbers, at, &mut said)?,
        None => all_digits(pieces, &numbers, order, &mut said)?,
    }
    Some(said)
}

/// Where a time of day begins, or the number of pieces; `None` when what follows is no time.
fn time_begins(pieces: &[Piece<'_>]) -> Option<usize> {
    let Some(colon) = pieces.iter().position(|piece| piece.text == ":") else {
        return Some(pieces.len());
    };
    let mut at = colon.checked_sub(1)?;
    let is_time = |piece: &Piece<'_>| {
        piece.text.bytes().all(|b| b.is_ascii_digit() || b":.+- ".contains(&b))
            || ["z", "am", "pm", "a", "p", "m", "utc"]
                .iter()
                .any(|it| it.eq_ignore_ascii_case(piece.text))
    };
    if !pieces.get(at..)?.iter().all(is_time) {
        return None;
    }
    let separates = |piece: &Piece<'_>| matches!(piece.text, "T" | "t" | " " | "," | "at");
    while at.checked_sub(1).and_then(|before| pieces.get(before)).is_some_and(separates) {
        at -= 1;
    }
    (at > 0).then_some(at)
}

fn set(pieces: &mut [Piece<'_>], at: usize, role: Role) -> Option<()> {
    pieces.get_mut(at)?.role = role;
    Some(())
}

/// A year of two digits lies in the hundred years up to this one.
fn full(year: Number) -> Option<i32> {
    const PIVOT: u32 = 40;
    let value = match year.digits {
        4 => year.value,
        2 if year.value <= PIVOT => 2000 + year.value,
        2 => 1900 + year.value,
        _ => return None,
    };
    i32::try_from(value).ok()
}

/// The numbers beside a month's name: day, days, year.
fn beside_name(
    pieces: &mut [Piece<'_>],
    numbers: &[Number],
    month: usize,
    said: &mut Said,
) -> Option<()> {
    let quoted = |number: &Number| {
        let before = number.at.checked_sub(1).and_then(|at| pieces.get(at));
        before.is_some_and(|it| matches!(it.text, "'" | "’"))
    };
    let ordinal =
        |number: &Number| pieces.get(number.at + 1).is_some_and(|it| it.role == Role::Ordinal);
    let joined = |a: &Number, b: &Number| {
        let between = pieces.get(a.at + 1..b.at).unwrap_or_default();
        let marks = between.iter().filter(|it| it.role != Role::Ordinal);
        let mut marks = marks.map(|it| it.text.trim()).filter(|it| !it.is_empty());
        matches!(marks.next(), Some("-" | "–")) && marks.next().is_none()
    };
    let year_like =
        |number: &Number| number.digits == 4 || (number.digits == 2 && !ordinal(number));
    let (day, last, year) = match numbers {
        [] => (None, None, None),
        [one] if one.digits == 4 || quoted(one) => (None, None, Some(*one)),
        // `Mar-62` has a year, `14-Mar` a day.
        [one] if one.at == month + 2 && one.digits == 2 && one.value > 31 => {
            (None, None, Some(*one))
        }
        [one] => (Some(*one), None, None),
        [a, b]
            if a.digits <= 2
                && b.digits <= 2
                && joined(a, b)
                && a.value < b.value
                && b.value <= 31 =>
        {
            (Some(*a), Some(*b), None)
        }
        [a, b] if a.digits == 4 => (Some(*b), None, Some(*a)),
        [a, b] if year_like(b) => (Some(*a), None, Some(*b)),
        [a, b, c] if joined(a, b) && year_like(c) => (Some(*a), Some(*b), Some(*c)),
        _ => return None,
    };
    for (number, role) in [(day, Role::Day), (last, Role::LastDay), (year, Role::Year)] {
        if let Some(number) = number {
            set(pieces, number.at, role)?;
        }
    }
    said.day = day.map(|it| it.value);
    said.last_day = last.map(|it| it.value);
    said.year = match year {
        Some(year) => Some(full(year)?),
        None => None,
    };
    Some(())
}

/// A date of digits: `03/14/1962`, `1962-03-14`, `03/1962`, `3/14`; or a weekday alone.
fn all_digits(
    pieces: &mut [Piece<'_>],
    numbers: &[Number],
    order: Order,
    said: &mut Said,
) -> Option<()> {
    let mark = |a: &Number, b: &Number| -> Option<String> {
        let between = pieces.get(a.at + 1..b.at)?;
        let joined: String = between.iter().map(|it| it.text).collect();
        Some(joined.trim().to_owned()).filter(|it| matches!(it.as_str(), "/" | "-" | "."))
    };
    let (year, month, day) = match numbers {
        [] => return said.weekday.is_some().then_some(()),
        [year] if year.digits == 4 => (Some(*year), None, None),
        [a, b] => {
            let mark = mark(a, b)?;
            match (a.digits, b.digits) {
                (4, 1..=2) => (Some(*a), Some(*b), None),
                (1..=2, 4) => (Some(*b), Some(*a), None),
                (1..=2, 1..=2) => {
                    let (month, day) = arranged(*a, *b, &mark, order);
                    (None, Some(month), Some(day))
                }
                _ => return None,
            }
        }
        [a, b, c] => {
            let (first, second) = (mark(a, b)?, mark(b, c)?);
            if first != second {
                return None;
            }
            match (a.digits, c.digits) {
                (4, 1..=2) => (Some(*a), Some(*b), Some(*c)),
                (1..=2, 2 | 4) => {
                    let (month, day) = arranged(*a, *b, &first, order);
                    (Some(*c), Some(month), Some(day))
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    for (number, role) in [(year, Role::Year), (month, Role::MonthNumber), (day, Role::Day)] {
        if let Some(number) = number {
            set(pieces, number.at, role)?;
        }
    }
    said.year = match year {
        Some(year) => Some(full(year)?),
        None => None,
    };
    (said.month, said.day) = (month.map(|it| it.value), day.map(|it| it.value));
    Some(())
}

/// Month and day out of two numbers.
fn arranged(a: Number, b: Number, mark: &str, order: Order) -> (Number, Number) {
    let order = if mark == "." { Order::DayFirst } else { order };
    match (a.value > 12, b.value > 12, order) {
        (true, _, _) | (false, false, Order::DayFirst) => (b, a),
        (false, _, _) => (a, b),
    }
}

/// Whether the numbers say a date that there is.
fn valid(said: Said) -> bool {
    let month = said.month.is_none_or(|month| (1..=12).contains(&month));
    let year = said.year.is_none_or(|year| (1000..=2999).contains(&year));
    let real = |day: Option<u32>| match (day, said.month) {
        (Some(day), Some(month)) => Day::new(said.year.unwrap_or(2024), month, day).is_some(),
        (Some(_), None) => false,
        (None, _) => true,
    };
    month && year && real(said.day) && real(said.last_day)
}

/// `19620314`, `196203140830`, `03141962`, `196203`, with fraction and zone.
fn compact(text: &str) -> Option<Single<'_>> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count)?;
    let tail = rest.bytes().all(|b| b.is_ascii_digit() || b".+-".contains(&b));
    let zoned = rest.is_empty() || (count > 8 && rest.starts_with(['.', '+', '-']));
    if !tail || !zoned || !matches!(count, 6 | 8 | 10 | 12 | 14 | 17) {
        return None;
    }
    let year_first = [(Role::Year, 4), (Role::MonthNumber, 2), (Role::Day, 2)];
    let year_last = [(Role::MonthNumber, 2), (Role::Day, 2), (Role::Year, 4)];
    let by = |parts: &[(Role, usize)]| {
        let mut said = Said::default();
        let mut pieces = Vec::with_capacity(4);
        let mut at = 0;
        for (role, len) in parts {
            let text = digits.get(at..at + len)?;
            let value: u32 = text.parse().ok()?;
            match role {
                Role::Year => said.year = i32::try_from(value).ok(),
                Role::MonthNumber => said.month = Some(value),
                Role::Day => said.day = Some(value),
                Role::Literal
                | Role::LastDay
                | Role::Ordinal
                | Role::MonthName
                | Role::MonthShort
                | Role::Weekday
                | Role::WeekdayShort => {}
            }
            pieces.push(Piece { text, role: *role });
            at += len;
        }
        pieces.push(Piece { text: text.get(at..)?, role: Role::Literal });
        let recent = said.year.is_some_and(|year| (1850..=2150).contains(&year));
        (recent && valid(said)).then_some(Single { pieces, said })
    };
    match count {
        6 => by(year_first.get(..2)?),
        8 => by(&year_first).or_else(|| by(&year_last)),
        _ => by(&year_first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Moves a date by `days`; what cannot be moved comes back as `removed`.
    fn check(text: &str, days: i32, expected: &str) {
        let moved = Written::read(text, Order::MonthFirst).and_then(|it| it.moved(days));
        assert_eq!(moved.as_deref().unwrap_or("removed"), expected, "{text} by {days}");
    }

    #[test]
    fn a_date_keeps_its_written_form() {
        for (text, expected) in [
            ("03/14/1962", "04/23/1962"),
            ("3/14/62", "4/23/62"),
            ("3/4/62", "4/13/62"),
            ("12/30/2023", "02/08/2024"),
            ("1962-03-14", "1962-04-23"),
            ("14.03.1962", "23.04.1962"),
            ("14-Mar-1962", "23-Apr-1962"),
            ("March 14, 1962", "April 23, 1962"),
            ("MARCH 14, 1962", "APRIL 23, 1962"),
            ("march 14 1962", "april 23 1962"),
            ("14 March 1962", "23 April 1962"),
            ("14th of March, 1962", "23rd of April, 1962"),
            ("Dec. 31st, 1999", "Feb. 9th, 2000"),
            ("Sept 3", "Oct 13"),
            ("Mar 2020", "Apr 2020"),
            ("03/1962", "04/1962"),
            ("1962-03", "1962-04"),
            ("3/14", "4/23"),
            ("2/29", "4/9"),
            ("May 10-12, 2024", "June 19-21, 2024"),
            ("Monday, March 3, 2025", "Saturday, April 12, 2025"),
            ("Mon 3/3/2025", "Sat 4/12/2025"),
            ("Tuesday", "Sunday"),
            ("19620314", "19620423"),
            ("196203140830", "196204230830"),
            ("19620314083000.123-0500", "19620423083000.123-0500"),
            ("03141962", "04231962"),
            ("1962-03-14T08:30:00Z", "1962-04-23T08:30:00Z"),
            ("03/14/1962 08:30 PM", "04/23/1962 08:30 PM"),
            ("March '62", "April '62"),
            ("03/14/2024-03/16/2024", "04/23/2024-04/25/2024"),
            ("03/14/2024 to 03/16/2024", "04/23/2024 to 04/25/2024"),
        ] {
            check(text, 40, expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_removed() {
        for text in [
            "",
            "Easter",
            "Christmas 2023",
            "02/30/2024",
            "13/13/2024",
            "3/14/62/1",
            "99",
            "2019",
            "spring of 2020",
            "3:14",
            "03-14/1962",
            "March 14, 1962 in Rome",
            "éé",
            "May 31-32, 2024",
            "1234567",
            "20241301",
        ] {
            check(text, 40, "removed");
        }
        check("May 25-29, 2024", 5, "removed");
        check("January 1, 9999", 400, "removed");
    }

    #[test]
    fn the_order_of_day_and_month_is_taken_from_the_document() {
        let dates = ["04/03/2024", "25/12/2024"];
        let order = Order::shown(dates.into_iter());
        assert_eq!(order, Order::DayFirst);
        let moved = |text, order| Written::read(text, order).unwrap().moved(1).unwrap();
        assert_eq!(moved("04/03/2024", order), "05/03/2024");
        assert_eq!(moved("25/12/2024", Order::MonthFirst), "26/12/2024");
        assert_eq!(moved("04/03/2024", Order::MonthFirst), "04/04/2024");
    }

    fn forms(day: Day) -> Vec<String> {
        let (y, m, d) = (day.year(), day.month(), day.day());
        let name = MONTHS[m as usize - 1];
        vec![
            format!("{m:02}/{d:02}/{y}"),
            format!("{m}/{d}/{y}"),
            format!("{y}-{m:02}-{d:02}"),
            format!("{y}{m:02}{d:02}"),
            format!("{name} {d}, {y}"),
            format!("{d} {} {y}", &name[..3]),
            format!("{}, {name} {d}, {y}", WEEKDAYS[day.weekday() as usize]),
        ]
    }

    proptest! {
        #[test]
        fn intervals_are_kept_in_every_form(from in -40_000_i32..40_000, days in -400_i32..400) {
            let epoch = Day::new(1970, 1, 1).unwrap();
            let (first, second) = (epoch.plus(from).unwrap(), epoch.plus(from + 17).unwrap());
            for (a, b) in forms(first).iter().zip(forms(second)) {
                let moved = |text: &str| {
                    let text = Written::read(text, Order::MonthFirst).unwrap().moved(days).unwrap();
                    Written::read(&text, Order::MonthFirst).unwrap().day().unwrap()
                };
                prop_assert_eq!(moved(&b).days_since(moved(a)), 17);
                prop_assert_eq!(moved(a).days_since(first), days);
            }
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[0-9MTar /.,:'-]{0,24}|\\PC{0,24}", days in -400_i32..400) {
            if let Some(written) = Written::read(&text, Order::DayFirst) {
                let _moved = written.moved(days);
            }
        }
    }
}
