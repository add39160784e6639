//! Words of dates: numbers as they are spoken, months of other languages, seasons and holidays.

use crate::detect::cue;
use crate::detect::token::{Block, Gap};

/// Cues of this layer, beside those of [`cue`].
pub(crate) const CUES: &[(u64, &str)] = &[
    (
        cue::MONTH_ABROAD,
        "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre \
         diciembre janvier février fevrier mars avril mai juin juillet août aout septembre octobre \
         novembre décembre decembre januar jänner jaenner februar feber märz maerz juni juli oktober \
         dezember gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre janeiro \
         fevereiro março marco maio junho julho setembro outubro novembro dezembro",
    ),
    (cue::SEASON, "spring summer fall autumn winter"),
    (
        cue::HOLIDAY,
        "thanksgiving christmas xmas easter halloween hanukkah chanukah ramadan diwali passover \
         juneteenth kwanzaa purim eid day eve kippur hashanah friday wednesday gras mayo \
         year lent advent pesach sukkot shavuot nowruz tabaski vaisakhi holi onam songkran tet michaelmas \
         epiphany pentecost ascension rakhi navratri",
    ),
    (cue::QUARTER, "quarter"),
    (
        cue::NUMERAL,
        "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen \
         fifteen sixteen seventeen eighteen nineteen twenty thirty forty fourty fifty sixty seventy \
         eighty ninety double triple first second third fourth fifth sixth seventh eighth ninth nineth \
         tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth \
         nineteenth twentieth thirtieth niner hundred",
    ),
];

/// How a word of a number joins others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Zero to nine.
    Digit,
    /// Ten to nineteen.
    Teen,
    /// Twenty, thirty, to ninety.
    Ten,
}

/// A word of a number.
#[derive(Clone, Copy)]
pub(crate) struct Numeral {
    /// What it counts.
    pub(crate) value: u32,
    /// How it joins others.
    pub(crate) size: Size,
    /// `third`, not `three`.
    pub(crate) ordinal: bool,
}

const CARDINALS: [&str; 28] = [
    "zero",
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
    "ninety",
];
const ORDINALS: [&str; 22] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "thirtieth",
];

/// The number that a word says.
pub(crate) fn numeral(block: &Block<'_>, i: usize) -> Option<Numeral> {
    if !block.at(i).is(cue::NUMERAL) {
        return None;
    }
    let word = match block.str(i) {
        "oh" | "Oh" | "OH" => "zero",
        "fourty" => "forty",
        "niner" => "nine",
        "nineth" => "ninth",
        other => other,
    };
    let place = |list: &[&str]| list.iter().position(|w| w.eq_ignore_ascii_case(word));
    let (at, ordinal) = place(&CARDINALS)
        .map(|at| (at, false))
        .or_else(|| place(&ORDINALS).map(|at| (at, true)))?;
    let at = u32::try_from(at).ok()?;
    let (value, size) = match at {
        0..=9 => (at, Size::Digit),
        10..=19 => (at, Size::Teen),
        _ => ((at - 18) * 10, Size::Ten),
    };
    Some(Numeral { value, size, ordinal })
}

/// Whether a word is one of `one` to `nine`.
pub(super) fn is_unit(block: &Block<'_>, i: usize) -> bool {
    numeral(block, i).is_some_and(|n| n.size == Size::Digit && n.value > 0 && !n.ordinal)
}

/// Whether a token follows the one before it on the same line or the next, as words of one phrase.
fn follows(block: &Block<'_>, i: usize) -> bool {
    block.at(i).gap != Gap::Wide && block.at(i).gap != Gap::None
}

/// A spoken number below a hundred from a token on: `twenty first`, `eighty-two`, `nine`.
///
/// Returns the number, the last token and whether it is an ordinal.
pub(crate) fn below_hundred(block: &Block<'_>, i: usize) -> Option<(u32, usize, bool)> {
    let first = numeral(block, i)?;
    if first.size == Size::Ten && !first.ordinal {
        let dash = block.at(i + 1).is_mark(b'-') && block.at(i + 1).gap == Gap::None;
        let k = i + 1 + usize::from(dash);
        if let Some(unit) = numeral(block, k).filter(|u| u.size == Size::Digit && u.value > 0)
            && (dash && block.at(k).gap == Gap::None || !dash && follows(block, k))
        {
            return Some((first.value + unit.value, k, unit.ordinal));
        }
    }
    Some((first.value, i, first.ordinal))
}

/// The first token of a spoken number below a hundred whose last token this is.
pub(crate) fn below_hundred_before(block: &Block<'_>, i: usize) -> Option<(u32, usize, bool)> {
    let last = numeral(block, i)?;
    let mut k = i.wrapping_sub(1);
    if block.at(k).is_mark(b'-') && block.at(i).gap == Gap::None {
        k = k.wrapping_sub(1);
    }
    if last.size == Size::Digit
        && last.value > 0
        && let Some(ten) = numeral(block, k).filter(|t| t.size == Size::Ten && !t.ordinal)
    {
        return Some((ten.value + last.value, k, last.ordinal));
    }
    Some((last.value, i, last.ordinal))
}

/// A spoken year from a token on, and its last token: `nineteen eighty two`, `two thousand and five`,
/// `twenty twenty one`, `nineteen oh five`.
pub(crate) fn year(block: &Block<'_>, i: usize) -> Option<(u32, usize)> {
    let first = numeral(block, i).filter(|n| !n.ordinal)?;
    if first.value == 2 && block.word_is(i + 1, &["thousand"]) {
        let k = i + 2 + usize::from(block.word_is(i + 2, &["and"]));
        return Some(match below_hundred(block, k) {
            Some((rest, last, false)) if follows(block, k) => (2000 + rest, last),
            _ => (2000, i + 1),
        });
    }
    if !matches!(first.value, 18..=20) || !follows(block, i + 1) {
        return None;
    }
    if block.word_is(i + 1, &["hundred"]) {
        return Some((first.value * 100, i + 1));
    }
    let second = numeral(block, i + 1)?;
    if second.value == 0 {
        let (unit, last, ordinal) = below_hundred(block, i + 2)?;
        return (unit < 10 && !ordinal).then_some((first.value * 100 + unit, last));
    }
    let (rest, last, ordinal) = below_hundred(block, i + 1)?;
    // `twenty one` is twenty-one, not the year 2001.
    (rest >= 10 && !ordinal).then_some((first.value * 100 + rest, last))
}
