//! Numbers that are said digit by digit: `six one seven, five five five, oh one four two`.

use super::context::{Context, context};
use super::{finding, phone};
use crate::detect::cue;
use crate::detect::date::{self, Size, numeral};
use crate::detect::label::{Field, Labels};
use crate::detect::token::{Block, Case, Gap, Kind};
use crate::{Class, Finding};

/// What was said: its last token and how many digits it has.
struct Run {
    last: usize,
    digits: usize,
    /// Whether it counts up: `one two three four five`.
    counts: bool,
    /// Whether each word is one digit.
    single: bool,
    /// Letters that are said between them: `Z Z Z zero zero four four`.
    letters: usize,
}

/// Reads words of digits from a token on.
fn run(block: &Block<'_>, i: usize) -> Run {
    /// No number that is said has more words.
    const MAX_TOKENS: usize = 60;
    let mut run = Run { last: i, digits: 0, counts: true, single: true, letters: 0 };
    let mut before = None;
    let mut k = i;
    let mut times = 1;
    while k < i + MAX_TOKENS {
        let token = block.at(k);
        if k > i && token.gap >= Gap::Wide && !block.wraps(k) {
            break;
        }
        if token.is(cue::NUMERAL) && block.word_is(k, &["double", "triple"]) {
            times = if block.word_is(k, &["double"]) { 2 } else { 3 };
            k += 1;
            continue;
        }
        if block.word_is(k, &["hundred"]) && run.digits > 0 {
            run.digits += 2;
            run.last = k;
            k += 1;
            continue;
        }
        let said = numeral(block, k).filter(|n| !n.ordinal);
        let single = token.kind == Kind::Digits && token.end - token.start == 1;
        if let Some(word) = said {
            let mut count = if word.size == Size::Digit { 1 } else { 2 };
            run.single &= word.size == Size::Digit;
            run.counts &= before.is_none_or(|b| word.value == b + 1);
            before = Some(word.value);
            run.last = k;
            // `forty two` is two digits.
            let dash =
                usize::from(block.at(k + 1).is_mark(b'-') && block.at(k + 1).gap == Gap::None);
            if word.size == Size::Ten
                && numeral(block, k + 1 + dash)
                    .is_some_and(|n| n.size == Size::Digit && n.value > 0 && !n.ordinal)
            {
                k += 1 + dash;
                run.last = k;
                count = 2;
            }
            run.digits += count * times;
            times = 1;
        } else if single {
            run.digits += times;
            run.last = k;
            run.counts = false;
            times = 1;
        } else if token.case == Case::Initial && is_said(block, k + 1) {
            run.letters += 1;
        } else if block.word_is(k, &["o"]) && run.digits > 0 {
            run.digits += times;
            run.last = k;
            times = 1;
        } else if !(token.is_any_mark(b",-.")
            || block.word_is(k, &["dash", "hyphen", "dot", "space", "um", "uh"]))
        {
            break;
        }
        k += 1;
    }
    run
}

/// A letter that is said as one: `Z`, and not the article or the pronoun.
fn is_letter(block: &Block<'_>, k: usize) -> bool {
    block.at(k).case == Case::Initial && !matches!(block.str(k), "A" | "I")
}

/// Whether a digit or another letter is said here, past a comma.
fn is_said(block: &Block<'_>, k: usize) -> bool {
    let k = k + usize::from(block.at(k).is_mark(b','));
    block.at(k).gap <= Gap::Space
        && (numeral(block, k).is_some_and(|n| n.size == Size::Digit && !n.ordinal)
            || is_letter(block, k))
}

/// The first of the letters that are said before a number.
fn letters_before(block: &Block<'_>, i: usize) -> usize {
    /// Codes that are spelled begin with no more.
    const MOST: usize = 4;
    let mut first = i;
    while first + MOST > i && block.at(first).gap <= Gap::Space {
        let Some(k) = first.checked_sub(1).filter(|k| is_letter(block, *k)) else { break };
        first = k;
    }
    first
}

/// Finds a number that is said digit by digit from this word on.
pub(super) fn spoken(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    /// Fewer digits under a label are a count.
    const LEAST: usize = 4;
    let run = run(block, i);
    let first = letters_before(block, i);
    let letters = run.letters + i - first;
    // A code that is spelled: letters and digits, one word each.
    let spelled = letters > 0 && run.single && run.digits >= 2 && run.digits + letters > LEAST;
    if run.digits < LEAST && !spelled {
        return false;
    }
    let from = if spelled { first } else { i };
    let span = (block.at(from).start, block.at(run.last).end);
    let found = context(block, labels, i);
    let why = "digits in words";
    let class = found.and_then(Context::class).filter(|_| {
        run.digits >= 5 || found.is_some_and(|c| c.marked) || !phone::is_called(block, i)
    });
    if let Some(class) = class {
        out.push(finding(span, class, 86, "spoken", why));
        return true;
    }
    if found.is_some_and(|c| c.label.field == Field::Zip) && run.digits == 5 {
        out.push(finding(span, Class::Location, 82, "spoken", why));
        return true;
    }
    let social = (1..=6).any(|back| block.word_is(i.wrapping_sub(back), &["social", "ssn"]));
    let (class, percent) = match run.digits {
        _ if run.counts || date::year(block, i).is_some() => return false,
        // Digits in a row, as teeth and grades of strength are listed.
        _ if block.at(i).kind == Kind::Digits && !phone::is_called(block, i) => return false,
        4 | 9 if social => (Class::Ssn, 84),
        7 | 10 | 11 if phone::is_called(block, i) => (Class::Phone, 85),
        10 | 11 => (Class::Phone, 76),
        9 => (Class::Ssn, 60),
        _ if spelled => (Class::OtherId, 54),
        5 | 6 if run.single => (Class::OtherId, 50),
        7..=20 => (Class::OtherId, 56),
        _ => return false,
    };
    out.push(finding(span, class, percent, "spoken", why));
    true
}
