//! Ages in their written forms.

use super::words::{below_hundred, numeral};
use crate::detect::cue;
use crate::detect::number::finding;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};
use crate::{Class, Finding};

/// Ages from here on are identifiers by law, 45 CFR 164.514(b)(2)(i)(C).
const OLD: u32 = 90;
/// The oldest person on record became 122.
const MAX_YEARS: u32 = 125;

/// A finding of an age; over 89 it says so.
pub(crate) fn age_finding(span: (usize, usize), years: Option<u32>, percent: u8) -> Finding {
    if years.is_some_and(|y| (OLD..=MAX_YEARS).contains(&y)) {
        finding(span, Class::Age, percent, "age.over89", "age over 89")
    } else {
        finding(span, Class::Age, percent, "age", "number with a word of age")
    }
}

/// An age that begins with this token of digits.
pub(crate) fn age(block: &Block<'_>, i: usize) -> Option<Finding> {
    let token = block.at(i);
    let text = block.str(i);
    let b = Bytes(text.as_bytes());
    let count = b.digits(0, 4);
    if count == 0 || count > 3 || b.number(0, count) > MAX_YEARS {
        return None;
    }
    let number = b.number(0, count);
    let end = token.start + count;
    let glued = text.get(count..).unwrap_or_default();
    if !glued.is_empty() {
        let percent = in_one_word(block, i, glued, count)?;
        let years = (!matches!(glued.as_bytes(), [b'm' | b'w' | b'd', b'o', ..])).then_some(number);
        return Some(age_finding((token.start, end), years, percent));
    }
    if token.kind != Kind::Digits || block.before(i, 1).is_mark(b'.') && token.gap == Gap::None {
        return None;
    }
    let (last, percent, years) = of_digits(block, i, number)?;
    Some(age_finding((token.start, block.at(last).end), years.then_some(number), percent))
}

/// `46yo`, `46yF`, `46M`: what is written to the digits.
fn in_one_word(block: &Block<'_>, i: usize, glued: &str, count: usize) -> Option<u8> {
    const AGE: &[&str] = &[
        "yo",
        "yof",
        "yom",
        "yrold",
        "yearold",
        "yrs",
        "yr",
        "mo",
        "y",
        "yf",
        "ym",
        "wo",
        "do",
        "yrsold",
        "years",
        "year",
        "yow",
        "yoaaf",
        "yoaam",
        "yowm",
        "yowf",
        "jährige",
        "jähriger",
        "jährigen",
        "jähriges",
        "jähr",
    ];
    const SEX: &[&str] = &["f", "m", "wf", "wm", "bf", "bm", "aaf", "aam", "hf", "hm"];
    let one_of = |list: &[&str]| list.iter().any(|w| w.eq_ignore_ascii_case(glued));
    let next = block.at(i + 1);
    if one_of(AGE) {
        let old = is_old(block, i + 1) || next.is_mark(b'/') && block.word_is(i + 2, &["o"]);
        let person = next.is(cue::PERSON) && next.gap <= Gap::Space;
        let dotted = next.is_mark(b'.') && block.word_is(i + 2, &["o"]);
        let old = old || next.is_mark(b'/') && sex_glued(block.str(i + 2));
        return match glued.to_ascii_lowercase().as_str() {
            "y" => (old || person || dotted).then_some(85),
            "mo" | "wo" | "do" => (old || person).then_some(75),
            "yr" | "yrs" | "years" | "year" => (old || person).then_some(90),
            _ => Some(90),
        };
    }
    if one_of(SEX) && count >= 2 {
        let letter = glued.len() == 1;
        let long = !letter && glued.bytes().all(|b| b.is_ascii_uppercase());
        // `38 am` is a time of day only in lower case.
        let shown = block.before(i, 1).is_mark(b'(')
            || next.is_any_mark(b",;).")
            || block.starts_sentence(i)
            || block.word_is(i + 1, &["with", "who", "presents", "presenting", "here", "s", "c"])
            || block.word_is(i.wrapping_sub(1), ARTICLES);
        return (shown && (letter || long)).then_some(if letter { 60 } else { 70 });
    }
    None
}

/// Words before `46F`.
const ARTICLES: &[&str] = &["a", "an", "is", "patient", "pt", "with", "for", "this", "pleasant"];

/// An age whose number stands alone: its last token, how sure, and whether it counts years.
fn of_digits(block: &Block<'_>, i: usize, number: u32) -> Option<(usize, u8, bool)> {
    let (last, k) = past_fraction(block, i);
    let dashed = block.at(k).is_mark(b'-');
    let k = k + usize::from(dashed);
    let unit = block.at(k);
    let near = unit.gap <= Gap::Space || block.wraps(k);
    let years = block.word_is(k, &["year", "years", "yr", "yrs", "yo", "y"]);
    if unit.is(cue::AGE) && near {
        if is_old(block, k + 1) {
            return Some((last, 92, years));
        }
        if block.word_is(k, &["yo"]) {
            return Some((last, 90, true));
        }
        if block.word_is(k, &["y"]) {
            let slash = block.at(k + 1).is_mark(b'/') && block.word_is(k + 2, &["o"]);
            let person = block.at(k + 1).is(cue::PERSON) && block.at(k + 1).gap == Gap::Space;
            if slash || person {
                return Some((last, 90, true));
            }
        }
        // `3 years 4 months old` and `a 46 year male`.
        if block.word_is(k, &["year", "years", "yr", "yrs"]) {
            let m = k
                + 1
                + usize::from(block.at(k + 1).is_mark(b',') || block.word_is(k + 1, &["and"]));
            let more = block.at(m).kind == Kind::Digits
                && block.at(m + 1).is(cue::AGE)
                && is_old(block, m + 2);
            let person = block.at(k + 1).is(cue::PERSON)
                && block.at(k + 1).gap == Gap::Space
                && block.word_is(i.wrapping_sub(1), &["a", "an", "this", "is"]);
            if more || person {
                return Some((last, 85, true));
            }
        }
    }
    if near && abroad(block, i, k) {
        return Some((last, 88, true));
    }
    if number >= 16 && turned(block, i) {
        return Some((last, 70, true));
    }
    if number >= 12 && by_sex(block, i) {
        return Some((last, 62, true));
    }
    if let Some(percent) = after_age(block, i) {
        return Some((last, percent, true));
    }
    // `ages 5, 7 and 9`, `a 46 and 48 year old`: the numbers of one list.
    if listed(block, i) {
        return Some((last, 80, true));
    }
    aside(block, i, number).then_some((last, 60, true))
}

/// Passes `+`, `1/2` and `.5` after the whole number: the last token of the number and the next.
fn past_fraction(block: &Block<'_>, i: usize) -> (usize, usize) {
    let glued = |k: usize| block.at(k).gap == Gap::None;
    if block.at(i + 1).is_mark(b'+') && glued(i + 1) {
        return (i + 1, i + 2);
    }
    if block.at(i + 1).is_mark(b'.')
        && glued(i + 1)
        && block.at(i + 2).kind == Kind::Digits
        && glued(i + 2)
    {
        return (i + 2, i + 3);
    }
    // `2 1/2`, `7-1/2`.
    let k = i + 1 + usize::from(block.at(i + 1).is_mark(b'-') && glued(i + 1));
    let half = block.str(k).len() == 1
        && block.at(k).kind == Kind::Digits
        && block.at(k).gap <= Gap::Space
        && block.at(k + 1).is_mark(b'/')
        && block.at(k + 2).kind == Kind::Digits
        && block.str(k + 2).len() == 1;
    if half { (k + 2, k + 3) } else { (i, i + 1) }
}

/// `62 años`, `62 ans`, `62 Jahre alt`, `62-jährige`: ages in other languages.
fn abroad(block: &Block<'_>, i: usize, k: usize) -> bool {
    if block.at(k).kind != Kind::Word {
        return false;
    }
    let text = block.str(k);
    if text.starts_with("jähr") || text.starts_with("jaehr") {
        return true;
    }
    let before = i.wrapping_sub(1);
    let of_age = |k: usize| block.word_is(k, &["de"]) && block.word_is(k + 1, &["edad", "idade"]);
    match text {
        "j" => {
            block.at(k).gap == Gap::None
                && block.at(k + 1).is_mark(b'.')
                && !block.at(k + 2).is_lower()
        }
        "años" | "anos" | "AÑOS" | "meses" => {
            of_age(k + 1)
                || block.word_is(before, &["de", "edad"])
                    && (block.at(before.wrapping_sub(1)).is(cue::PERSON)
                        || block.word_is(before.wrapping_sub(1), HUMANS))
                || block.word_is(before.wrapping_sub(1), &["edad"])
                || block.at(before).is_mark(b':')
        }
        "ans" => {
            block.word_is(before, &["de"])
                && block.word_is(
                    before.wrapping_sub(1),
                    &[
                        "âgé", "âgée", "agé", "agée", "homme", "femme", "patient", "patiente",
                        "fille", "garçon",
                    ],
                )
        }
        "Jahre" | "Jahren" => {
            block.word_is(k + 1, &["alt", "alte", "alter", "altes"])
                || block.word_is(before, &["von"])
                    && block.word_is(before.wrapping_sub(1), &["alter"])
        }
        _ => false,
    }
}

/// Spanish words before `de 62 años`.
const HUMANS: &[&str] = &[
    "paciente",
    "varón",
    "varon",
    "mujer",
    "hombre",
    "niño",
    "niña",
    "anciano",
    "anciana",
    "adolescente",
    "joven",
    "señora",
    "señor",
    "edad",
    "lactante",
    "masculino",
    "femenino",
    "sexo",
    "caucásico",
    "raza",
    "hermano",
    "hermana",
    "madre",
    "padre",
    "hijo",
    "hija",
    "paciente,",
];

/// `turned 60`, `when she was 64.`, `died at 61`.
fn turned(block: &Block<'_>, i: usize) -> bool {
    let k = i.wrapping_sub(1);
    let next = block.at(i + 1);
    let counted = next.is(cue::UNIT) && next.gap <= Gap::Space || next.is_any_mark(b"%/");
    if counted || next.is_mark(b'-') && next.gap == Gap::None || next.is_mark(b':') {
        return false;
    }
    if block.word_is(k, &["turn", "turned", "turning", "turns"]) {
        return true;
    }
    let at = block.word_is(k, &["at"]);
    let died = at
        && (block.word_is(k.wrapping_sub(1), &["died", "deceased", "dead", "passed", "death"])
            || block.word_is(k.wrapping_sub(1), &["away"])
            || block.word_is(k.wrapping_sub(1), &["menarche", "menopause"]));
    died && !matches!(next.kind, Kind::Word | Kind::Digits | Kind::Mixed)
        || at
            && died
            && next.gap > Gap::None
            && block.word_is(i + 1, &["of", "from", "with", "due"])
        || block.word_is(k, &["was", "is"])
            && block.word_is(k.wrapping_sub(1), &["he", "she", "i", "they"])
            && block.word_is(k.wrapping_sub(2), &["when", "since", "until"])
            && !matches!(next.kind, Kind::Word)
}

/// `46 M`, `46/F`, `F/46`, `46 WM`: a number beside a letter of sex, as in the head of a note.
fn by_sex(block: &Block<'_>, i: usize) -> bool {
    const SEX: &[&str] = &["M", "F", "WM", "WF", "BM", "BF", "AAM", "AAF", "HM", "HF"];
    const HEAD: &[&str] = &["a", "an", "patient", "pt", "is", "this"];
    let sex = |k: usize| SEX.contains(&block.str(k));
    let slash = usize::from(block.at(i + 1).is_any_mark(b"/-") && block.at(i + 1).gap == Gap::None);
    let k = i + 1 + slash;
    let after = sex(k)
        && block.at(k).gap <= Gap::Space
        && !(block.at(k + 1).is_mark(b'/') && slash == 0)
        && !(block.at(k + 1).is_mark(b'.')
            && block.at(k + 1).gap == Gap::None
            && matches!(block.at(k + 2).kind, Kind::Word)
            && block.at(k + 2).gap == Gap::None);
    let plain = block.before(i, 1);
    let begins = block.starts_sentence(i)
        || block.word_is(i.wrapping_sub(1), HEAD)
        || plain.is_any_mark(b",(|");
    // `98.6 F` and `20 F sheath` are no ages.
    let free = !plain.is_mark(b'.') && !block.at(k + 1).is(cue::EPONYM_TAIL);
    let size =
        block.word_is(k + 1, &["sheath", "catheter", "stent", "foley", "tube", "introducer"]);
    if after && free && !size && (begins || slash == 1 && !plain.is_any_mark(b"/")) {
        return true;
    }
    let before = plain.is_mark(b'/')
        && block.at(i).gap == Gap::None
        && matches!(block.str(i.wrapping_sub(2)), "M" | "F")
        && block.before(i, 1).gap == Gap::None;
    before && !block.at(i + 1).is_any_mark(b"/%")
}

/// `age 46`, `aged: 46`, `Edad: 46`, `at the age of 46`.
fn after_age(block: &Block<'_>, i: usize) -> Option<u8> {
    let (_, k) = past_fraction(block, i);
    let next = block.at(k);
    let counted = next.is(cue::UNIT) && !next.is(cue::AGE) && !block.word_is(k, &["in"]);
    if next.is_mark(b'%')
        || counted && next.is_lower()
        || next.is_mark(b'/') && block.at(k + 1).kind == Kind::Digits
    {
        return None;
    }
    let mut back = i;
    for _ in 0..3 {
        back = back.wrapping_sub(1);
        if block.word_is(back, &["age", "aged", "ages", "edad", "alter", "âge", "idade"]) {
            let labelled = block.at(back).gap != Gap::None
                || back == 0
                || block.before(back, 1).is_any_mark(b"(\"/|");
            return labelled.then_some(88);
        }
        if !(block.at(back).is_any_mark(b":=(\"-|>~")
            || block.word_is(back, &["of", "is", "was", "at", "about", "approximately", "over"]))
        {
            break;
        }
    }
    None
}

/// A member of a list that begins with `ages` or ends with `years old`.
fn listed(block: &Block<'_>, i: usize) -> bool {
    /// No family is longer.
    const MAX: usize = 12;
    let joins =
        |k: usize| block.at(k).is_any_mark(b",&-/") || block.word_is(k, &["and", "to", "or"]);
    let small = |k: usize| block.at(k).kind == Kind::Digits && block.str(k).len() <= 3;
    if !joins(i.wrapping_sub(1)) && !joins(i + 1) {
        return false;
    }
    let mut k = i;
    while i - k < MAX && k > 1 && (joins(k - 1) || small(k - 1)) {
        k -= 1;
    }
    if k < i && block.word_is(k.wrapping_sub(1), &["ages", "aged"]) {
        return true;
    }
    let mut k = i;
    while k - i < MAX && joins(k + 1) && small(k + 2) {
        k += 2;
    }
    let dash = usize::from(block.at(k + 1).is_mark(b'-'));
    let unit = k + 1 + dash;
    // `1/2-year-old` is a fraction; it belongs to the number before it.
    k > i
        && !block.at(i + 1).is_mark(b'/')
        && block.at(unit).is(cue::AGE)
        && is_old(block, unit + 1)
}

/// `his mother, 72, has`, `Mr. Smith, 46, of`.
fn aside(block: &Block<'_>, i: usize, number: u32) -> bool {
    let name = block.before(i, 2);
    let titled = name.is_capital() && block.before(i, 3).is(cue::TITLE)
        || name.is_capital()
            && block.before(i, 3).is_mark(b'.')
            && block.before(i, 4).is(cue::TITLE);
    (16..=110).contains(&number)
        && block.before(i, 1).is_mark(b',')
        && block.at(i + 1).is_mark(b',')
        && block.at(i + 1).gap == Gap::None
        && block.at(i).gap == Gap::Space
        && block.at(i + 2).kind == Kind::Word
        && (titled || name.is(cue::PERSON) && name.is_lower())
}

/// `old`, `-old`, `/o`, `.o.`, `of age` after a unit of time.
fn is_old(block: &Block<'_>, i: usize) -> bool {
    let dot = block.at(i).is_any_mark(b"-.");
    let k = if dot { i + 1 } else { i };
    let near = block.at(k).gap <= Gap::Space || block.wraps(k);
    near && (block.word_is(k, &["old", "olds"])
        || block.word_is(k, &["o"])
            && (dot || block.at(k + 1).is_mark(b'.') || block.at(k).is_lower())
        || (block.at(k).is_mark(b'/')
            && (block.word_is(k + 1, &["o", "old"]) || sex_glued(block.str(k + 1))))
        || (block.word_is(k, &["of"]) && block.word_is(k + 1, &["age"])))
}

/// The `oRHF` of `26 y/oRHF`.
fn sex_glued(text: &str) -> bool {
    let sex = text.strip_prefix('o').unwrap_or_default();
    (1..=4).contains(&sex.len()) && sex.bytes().all(|b| b.is_ascii_uppercase())
}

/// `forty-six-year-old`, `aged forty-six`, `ninety two years of age`: an age that begins with this
/// word.
pub(crate) fn age_in_words(block: &Block<'_>, i: usize) -> Option<Finding> {
    if numeral(block, i.wrapping_sub(1)).is_some() && block.at(i).gap <= Gap::Space {
        return None;
    }
    let (mut number, mut last, ordinal) = below_hundred(block, i)?;
    if number == 1 && block.word_is(last + 1, &["hundred"]) {
        number = 100;
        last += 1;
        let k = last + 1 + usize::from(block.word_is(last + 1, &["and"]));
        if let Some((more, end, false)) = below_hundred(block, k) {
            number += more;
            last = end;
        }
    }
    if ordinal {
        return None;
    }
    let k = last + 1 + usize::from(block.at(last + 1).is_mark(b'-'));
    let years = block.word_is(k, &["year", "years", "yr", "yrs"]);
    let old = block.at(k).is(cue::AGE)
        && block.at(k).gap <= Gap::Space
        && is_old(block, k + 1)
        && !block.word_is(k, &["y"]);
    let labelled = block.word_is(i.wrapping_sub(1), &["age", "aged", "turned"])
        || block.word_is(i.wrapping_sub(1), &["of"]) && block.word_is(i.wrapping_sub(2), &["age"]);
    let counted = block.at(last + 1).is(cue::UNIT | cue::PERSON);
    let span = (block.at(i).start, block.at(last).end);
    (old || labelled && !counted)
        .then(|| age_finding(span, (years || labelled).then_some(number), 88))
}

/// `in his nineties`, `in her mid-80s`, `octogenarian`: an age by its decade.
pub(crate) fn decade(block: &Block<'_>, i: usize) -> Option<Finding> {
    const DECADES: &[&str] = &[
        "twenties",
        "thirties",
        "forties",
        "fifties",
        "sixties",
        "seventies",
        "eighties",
        "nineties",
    ];
    const LATIN: &[&str] =
        &["sexagenarian", "septuagenarian", "octogenarian", "nonagenarian", "centenarian"];
    let text = block.str(i);
    let span = (block.at(i).start, block.at(i).end);
    if let Some(at) = LATIN.iter().position(|w| w.eq_ignore_ascii_case(text)) {
        return Some(age_finding(span, Some(60 + 10 * u32::try_from(at).ok()?), 75));
    }
    let decade = if let [d @ b'2'..=b'9', b'0', b's' | b'S'] = text.as_bytes() {
        u32::from(d - b'0') * 10
    } else {
        let at = DECADES.iter().position(|w| w.eq_ignore_ascii_case(text))?;
        20 + 10 * u32::try_from(at).ok()?
    };
    let mut k = i.wrapping_sub(1);
    for _ in 0..4 {
        if block.at(k).is_any_mark(b"-'")
            || block.word_is(k, &["mid", "early", "late", "middle", "to"])
        {
            k = k.wrapping_sub(1);
        }
    }
    // `in the nineties` is a time, `in his nineties` an age; a pressure is `in the 90s`.
    let whose = block.word_is(k, &["his", "her", "their", "my", "hers", "your", "our"]);
    (whose
        && block.word_is(
            k.wrapping_sub(1),
            &["in", "into", "reached", "entering", "until", "of", "to", "is"],
        ))
    .then(|| age_finding(span, Some(decade), 72))
}
