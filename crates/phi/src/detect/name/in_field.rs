//! Names that stand in a field or after a label.

use super::unit::is_contraction;
use crate::detect::cue;
use crate::detect::lexicon::Lexicon;
use crate::detect::number::finding;
use crate::detect::token::{Block, Case, Gap, Kind};
use crate::{Class, Finding};

/// Values that say that there is none.
pub(crate) const NO_VALUE: &[&str] = &[
    "unknown",
    "none",
    "null",
    "na",
    "n",
    "not",
    "no",
    "see",
    "same",
    "self",
    "yes",
    "true",
    "false",
    "patient",
    "refused",
    "declined",
    "denies",
    "reports",
    "is",
    "the",
    "a",
    "an",
    "xxx",
    "tbd",
    "nil",
    "unspecified",
    "pending",
    "other",
    "male",
    "female",
    "various",
    "as",
    "will",
    "has",
    "had",
    "was",
    "ok",
    "okay",
    "okey",
    "uhm",
    "um",
    "uh",
    "yeah",
    "nah",
    "nope",
    "yep",
    "hmm",
    "yessir",
    "ma'am",
    "anonymous",
    "left",
    "blank",
    "here",
    "patients",
    "both",
    "deferred",
    "noncontributory",
    "deidentified",
    "redacted",
    "unavailable",
];

/// Reads the name at the beginning of the value of a field: `first..end` are its tokens.
pub(crate) fn in_field(
    block: &Block<'_>,
    lexicon: &Lexicon,
    first: usize,
    end: usize,
    certain: Certainty,
    out: &mut Vec<Finding>,
) {
    let mut i = first;
    while i < end
        && (block.at(i).is(cue::TITLE) && block.at(i).kind == Kind::Word
            || block.at(i).is_any_mark(b".\"'*[("))
    {
        i += 1;
    }
    let start = i;
    let (mut evidence, mut doubt, mut words) = (0_u32, 0_u32, 0_u32);
    let (mut whole_words, mut borne) = (0_u32, 0_u32);
    let mut last = None;
    while i < end && words < 8 {
        let token = block.at(i);
        if i > start && token.gap > Gap::Space {
            break;
        }
        match token.kind {
            Kind::Word => {
                if i > start && token.is(cue::CREDENTIAL) && token.is_upper()
                    || is_field_word(block, i) && i > start
                {
                    break;
                }
                let entry = lexicon.word_at(block, i);
                let best = entry.given_odds().max(entry.surname_odds());
                let written = token.case != Case::Lower || token.is(cue::PARTICLE);
                // `Patient: Yeah, I can't`: who speaks, and what he says.
                let full = entry.given() >= 4 && block.at(i + 1).is_capital();
                let said = !full && entry.word() >= 5 && best < -4 || is_contraction(block.str(i));
                if said && certain == Certainty::Header {
                    if i > start {
                        break;
                    }
                    return;
                }
                if !written && certain == Certainty::Header && best < 0 {
                    break;
                }
                words += 1;
                whole_words += u32::from(token.case != Case::Initial);
                evidence += u32::from(
                    best >= 0
                        || (!entry.is_known() && written)
                        || (token.case == Case::Initial && i > start),
                );
                doubt += u32::from(best < -2 && entry.is_known());
                borne += u32::from(entry.given() >= 3 || entry.surname() >= 3);
                last = Some(i);
            }
            // `Antonia30`: synthetic records number their people.
            Kind::Mixed if certain == Certainty::Field => {
                words += 1;
                whole_words += 1;
                evidence += 1;
                last = Some(i);
            }
            Kind::Mark(b'.' | b'-' | b'\'' | b'^' | b'"') => {}
            Kind::Mark(b',') if words <= 2 && block.at(i + 1).gap <= Gap::Space => {}
            Kind::Possessive | Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => break,
        }
        i += 1;
    }
    let Some(last) = last else { return };
    let enough = match certain {
        Certainty::Field => evidence > 0 || doubt < words || (borne == words && words > 1),
        Certainty::Header => evidence > 0 && evidence >= doubt && whole_words > 0,
    };
    let next = block.at(last + 1);
    let sentence = next.is_lower() && next.gap == Gap::Space && last + 1 < end;
    if sentence && certain == Certainty::Header {
        return;
    }
    let pronoun = words == 1 && block.word_is(start, &["i"]);
    if !enough || pronoun || block.word_is(start, NO_VALUE) {
        return;
    }
    let dot =
        block.at(last).case == Case::Initial && block.at(last + 1).is_mark(b'.') && last + 1 < end;
    let span = (block.at(start).start, block.at(last + usize::from(dot)).end);
    let percent = if certain == Certainty::Field { 95 } else { 90 };
    out.push(finding(span, Class::Name, percent, "name.field", "label of a name before it"));
}

/// How sure the field is that holds a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// A field of a structure.
    Field,
    /// `Label: value` in running text.
    Header,
}

/// Words that begin the next field on the same line.
pub(super) fn is_field_word(block: &Block<'_>, i: usize) -> bool {
    block.word_is(
        i,
        &[
            "dob", "mrn", "age", "sex", "gender", "date", "ssn", "phone", "address", "room", "id",
            "acct",
        ],
    )
}
