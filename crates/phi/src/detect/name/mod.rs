//! Names of people: word lists weighed against ordinary and medical words, and cues around them.
//!
//! A *chain* of words that could be a name (`unit`) is judged (`judge`) by what the lists say of
//! each word and by what stands around it (`around`).

mod around;
mod in_field;
mod judge;
mod unit;

pub(crate) use in_field::{Certainty, NO_VALUE, in_field};
pub(crate) use unit::looks_medical;

use super::cue;
use super::lexicon::Lexicon;
use super::number::finding;
use super::token::{Block, Case, Gap, Kind};
use crate::{Class, Finding};
use around::{left_cue, right_cue};
use judge::{comma_form, judge, judge_lower};
use unit::chain;

/// Finds names of people.
pub(crate) fn find(block: &Block<'_>, lexicon: &Lexicon, out: &mut Vec<Finding>) {
    let style = Style::of(block);
    let mut i = 0;
    let mut last_end = usize::MAX;
    while i < block.len() {
        let before = out.len();
        i = at_token(block, lexicon, style, last_end, i, out).max(i + 1);
        if out.len() > before {
            last_end = i;
        }
    }
}

/// How the writer of a text uses capitals.
#[derive(Clone, Copy)]
struct Style {
    /// Hardly any: names are in lower case too.
    lower: bool,
}

impl Style {
    fn of(block: &Block<'_>) -> Self {
        let (mut words, mut capitals) = (0, 0);
        for i in 0..block.len() {
            let token = block.at(i);
            if token.kind == Kind::Word {
                words += 1;
                capitals += usize::from(token.case == Case::Capital);
            }
        }
        Self { lower: words >= 3 && capitals * 50 < words }
    }
}

/// Tries the name that begins at a token; returns the token after what was found.
fn at_token(
    block: &Block<'_>,
    lexicon: &Lexicon,
    style: Style,
    last_end: usize,
    i: usize,
    out: &mut Vec<Finding>,
) -> usize {
    let token = block.at(i);
    if token.kind != Kind::Word || token.is(cue::TITLE) && token.case != Case::Initial {
        return i + 1;
    }
    let left = left_cue(block, i).or_beside(block, i, last_end);
    let lower = token.case == Case::Lower;
    if lower && !(style.lower || left.strength >= 2) {
        return i + 1;
    }
    if !lower && before_is_part(block, i) {
        return i + 1;
    }
    if left.strength >= 4
        && token.case == Case::Initial
        && block.at(i + 1).is_mark(b'.')
        && !block.at(i + 2).is_capital()
    {
        let span = (token.start, block.at(i + 1).end);
        out.push(finding(span, Class::Name, 70, "name.title", "title before an initial"));
        return i + 2;
    }
    let units = chain(block, lexicon, i, left, lower);
    let Some(last) = units.last().copied() else { return i + 1 };
    let right = right_cue(block, last.end);
    let verdict = if lower {
        judge_lower(&units, left, right, style)
    } else {
        judge(block, &units, left, right)
    };
    let verdict = verdict.or_else(|| comma_form(block, lexicon, &units, left));
    let Some(verdict) = verdict else {
        // The rest of a chain that is no name may still begin one.
        return units.first().map_or(i, |u| u.end);
    };
    let first = units.get(verdict.skip).map_or(i, |u| u.first);
    let end = verdict.end.unwrap_or(last.end);
    let end = with_suffix(block, end);
    let span = (block.at(first).start, block.before(end, 1).end);
    out.push(finding(span, Class::Name, verdict.percent, verdict.recogniser, verdict.why));
    end
}

/// `St. Mary` and the second half of a compound are not the beginning of a name.
fn before_is_part(block: &Block<'_>, i: usize) -> bool {
    let token = block.at(i);
    let before = block.before(i, 1);
    if token.gap == Gap::None && before.is_any_mark(b"-'/_@\\") && before.gap == Gap::None {
        return true;
    }
    let saint = if before.is_mark(b'.') { block.before(i, 2) } else { before };
    saint.is_capital() && saint.is(cue::SAINT) && saint.kind == Kind::Word
}

/// `Jr.`, `III` after a name belong to it.
fn with_suffix(block: &Block<'_>, end: usize) -> usize {
    let k = if block.at(end).is_mark(b',') { end + 1 } else { end };
    let token = block.at(k);
    if token.is(cue::SUFFIX)
        && token.is_capital()
        && token.gap <= Gap::Space
        && !block.word_is(k, &["esq"])
    {
        let dot = block.at(k + 1).is_mark(b'.') && block.word_is(k, &["jr", "sr"]);
        return k + 1 + usize::from(dot);
    }
    end
}
