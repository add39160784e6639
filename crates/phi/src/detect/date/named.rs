//! Dates by the name of a season, a quarter or a holiday.

use super::numeric::is_year;
use super::written::Written;
use crate::detect::cue;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};

/// A year of four digits, or of two after an apostrophe, right after a token: its token.
fn year_after(block: &Block<'_>, i: usize) -> Option<usize> {
    let mut k = i + 1;
    if block.at(k).is_any_mark(b",-/") || block.word_is(k, &["of", "in"]) {
        k += 1;
    }
    let quoted = block.at(k).is_mark(b'\'');
    k += usize::from(quoted);
    let text = block.str(k).as_bytes();
    let year = text.len() == 4 && (1900..=2100).contains(&Bytes(text).number(0, 4))
        || quoted && text.len() == 2;
    let near = block.at(k).kind == Kind::Digits && block.at(k).gap <= Gap::Space;
    (year && near && !block.at(k + 1).is(cue::UNIT)).then_some(k)
}

/// `spring of 2019`, `Winter 2019-2020`.
pub(super) fn season(block: &Block<'_>, i: usize) -> Option<Written> {
    let year = year_after(block, i)?;
    let verb = block.word_is(i, &["fall"]) && block.word_is(i + 1, &["in"]);
    let text = block.str(year + 2).as_bytes();
    let more = block.at(year + 1).is_any_mark(b"-/")
        && block.at(year + 2).gap == Gap::None
        && block.at(year + 2).kind == Kind::Digits
        && matches!(text.len(), 2 | 4);
    let last = if more { year + 2 } else { year };
    (!verb).then_some(Written { first: i, last, percent: 85, year: Some(year) })
}

/// `Q3 2020`, `3Q20`, `2020Q3`: a quarter of a year in one or two tokens.
pub(super) fn quarter_code(block: &Block<'_>, i: usize) -> Option<Written> {
    let text = block.str(i).as_bytes();
    let is_q = |c: u8| matches!(c, b'Q' | b'q');
    let is_number = |c: u8| (b'1'..=b'4').contains(&c);
    let b = Bytes(text);
    let found = |last, year| Some(Written { first: i, last, percent: 80, year });
    match *text {
        [q, n] if is_q(q) && is_number(n) => {
            let year = year_after(block, i)?;
            found(year, Some(year))
        }
        [n, q] if is_q(q) && is_number(n) => {
            let year = year_after(block, i)?;
            found(year, Some(year))
        }
        [n, q, ..] if is_q(q) && is_number(n) && text.len() == 6 && is_year(b.number(2, 4)) => {
            b.exactly(2, 4).then_some(()).and_then(|()| found(i, None))
        }
        [_, _, _, _, q, n] if is_q(q) && is_number(n) && is_year(b.number(0, 4)) => {
            b.exactly(0, 4).then_some(()).and_then(|()| found(i, None))
        }
        _ => None,
    }
}

/// `third quarter of 2020`, the token of `quarter`.
pub(super) fn quarter(block: &Block<'_>, i: usize) -> Option<Written> {
    const WHICH: &[&str] =
        &["first", "second", "third", "fourth", "1st", "2nd", "3rd", "4th", "last"];
    let year = year_after(block, i)?;
    let first = i.checked_sub(1).filter(|k| block.word_is(*k, WHICH))?;
    Some(Written { first, last: year, percent: 85, year: Some(year) })
}

/// Holidays that end in `Day`, by the words before it.
const DAYS: &[&str] = &[
    "labor",
    "labour",
    "memorial",
    "veterans",
    "veteran",
    "presidents",
    "president",
    "mothers",
    "mother",
    "fathers",
    "father",
    "valentine",
    "valentines",
    "patrick",
    "patricks",
    "year",
    "years",
    "independence",
    "columbus",
    "boxing",
    "canada",
    "groundhog",
    "mlk",
    "bastille",
    "anzac",
    "christmas",
    "thanksgiving",
    "victoria",
    "remembrance",
    "election",
    "easter",
    "king",
    "earth",
];

/// Holidays of two words: the last and what may stand before it.
const PAIRS: &[(&str, &[&str])] = &[
    ("kippur", &["yom"]),
    ("hashanah", &["rosh"]),
    ("friday", &["good", "black"]),
    ("wednesday", &["ash"]),
    ("gras", &["mardi"]),
    ("mayo", &["de"]),
];

/// Holidays that are dates only by the year after them.
const YEARED: &[&str] = &[
    "eid",
    "lent",
    "advent",
    "tet",
    "holi",
    "onam",
    "epiphany",
    "ascension",
    "rakhi",
    "pentecost",
    "michaelmas",
    "navratri",
    "nowruz",
    "tabaski",
    "vaisakhi",
    "songkran",
    "pesach",
    "sukkot",
    "shavuot",
];

/// The first token of a holiday whose last word, or only word, this is.
fn holiday_name(block: &Block<'_>, i: usize) -> Option<usize> {
    let token = block.at(i);
    let back = i.wrapping_sub(1);
    if block.word_is(i, &["day", "eve"]) {
        let quote = block.before(i, 1);
        let apostrophe = quote.kind == Kind::Possessive || quote.is_mark(b'\'');
        let back = i.wrapping_sub(1 + usize::from(apostrophe));
        // `mother day` and `king day` are no holidays without the apostrophe.
        let bare = !apostrophe
            && (token.is_lower()
                || block.word_is(
                    back,
                    &["election", "earth", "mother", "father", "king", "president"],
                ));
        if block.at(back).is_lower() || bare || !block.word_is(back, DAYS) {
            return None;
        }
        return if block.word_is(back, &["year", "years"]) {
            back.checked_sub(1).filter(|k| block.word_is(*k, &["new"]))
        } else {
            let two = block.word_is(back, &["patrick", "patricks", "king"]);
            Some(back.saturating_sub(usize::from(two)))
        };
    }
    if let Some((_, before)) = PAIRS.iter().find(|(last, _)| block.word_is(i, &[last])) {
        let named = token.is_capital() && block.word_is(back, before);
        return named.then_some(back);
    }
    if block.word_is(i, &["year"]) {
        return i.checked_sub(2).filter(|k| block.word_is(*k, &["lunar", "chinese"]));
    }
    Some(i)
}

/// `Thanksgiving`, `Christmas 2020`, `New Year's Eve`; the token is a holiday or its last word.
pub(super) fn holiday(block: &Block<'_>, i: usize) -> Option<Written> {
    let first = holiday_name(block, i)?;
    let day = block.word_is(i + 1, &["day", "eve"]) && block.at(i + 1).gap == Gap::Space;
    let last = i + usize::from(day);
    let days = usize::from(block.word_is(last + 1, &["weekend", "week"]));
    if let Some(year) = year_after(block, last + days) {
        return Some(Written { first, last: year, percent: 92, year: Some(year) });
    }
    // These need a year to be dates: in lower case, or as words of every day.
    if block.at(i).is_lower() || first == i && block.word_is(i, YEARED) {
        return None;
    }
    if last > i || first < i {
        return Some(Written { first, last, percent: 92, year: None });
    }
    let said = block.before(first, 1).is(cue::WHEN)
        || block.word_is(
            first.wrapping_sub(1),
            &["last", "this", "next", "past", "during", "over", "for", "the", "every", "near"],
        );
    let thing = block.at(last + 1);
    // `Christmas disease`, `Christmas tree rash`, `Halloween candy` are no dates.
    let part = thing.kind == Kind::Word
        && thing.gap == Gap::Space
        && (thing.is(cue::EPONYM_TAIL)
            || block.word_is(
                last + 1,
                &["tree", "candy", "dinner", "party", "island", "seal", "seals", "cards"],
            ));
    (said && !part).then_some(Written { first, last, percent: 62, year: None })
}
