//! What stands to the left and to the right of a name.

use crate::detect::cue;
use crate::detect::token::{Block, Case, Gap, Kind};

/// What stands to the left of a name.
#[derive(Clone, Copy)]
pub(super) struct Left {
    /// `0` nothing, `1` hardly anything, `2` a person, `3` very likely a name, `4` a title.
    pub(super) strength: u8,
    pub(super) why: &'static str,
}

impl Left {
    /// A list of names: `Monjeau, Graves and Reed`; `last_end` is the token after the last name.
    pub(super) fn or_beside(self, block: &Block<'_>, i: usize, last_end: usize) -> Self {
        let comma = usize::from(block.at(last_end).is_mark(b','));
        let and = usize::from(block.word_is(last_end.wrapping_add(comma), &["and", "&", "or"]));
        let beside = last_end < i && comma + and > 0 && last_end + comma + and == i;
        if beside && self.strength < 2 { Self { strength: 2, why: "beside a name" } } else { self }
    }
}

pub(super) fn left_cue(block: &Block<'_>, i: usize) -> Left {
    let none = Left { strength: 0, why: "name and word lists" };
    if block.at(i).gap >= Gap::Line && !block.before(i, 1).is_mark(b':') {
        return none;
    }
    let mut k = i.wrapping_sub(1);
    let mut mark = 0;
    for _ in 0..3 {
        match block.at(k).kind {
            Kind::Mark(m @ (b'.' | b',' | b':' | b'(' | b'"' | b'*' | b'-' | b'\'')) => {
                if mark == 0 || mark == b'"' || mark == b'*' {
                    mark = m;
                }
                k = k.wrapping_sub(1);
            }
            Kind::Word
            | Kind::Possessive
            | Kind::Digits
            | Kind::Mixed
            | Kind::Mark(_)
            | Kind::Edge => break,
        }
    }
    let word = block.at(k);
    if word.kind != Kind::Word {
        return none;
    }
    if word.is(cue::TITLE) && matches!(mark, 0 | b'.' | b'"' | b'*') {
        let short =
            word.case != Case::Lower || !block.word_is(k, &["miss", "judge", "officer", "capt"]);
        let common = block.word_is(
            k,
            &[
                "nurse",
                "doctor",
                "officer",
                "judge",
                "miss",
                "madam",
                "sir",
                "deputy",
                "detective",
                "attorney",
                "pastor",
            ],
        );
        let ends = mark == b'.' && common;
        if short && !ends {
            let strength = if common { 3 } else { 4 };
            return Left { strength, why: "title before it" };
        }
    }
    if mark == b'.' {
        return none;
    }
    let strong = word.is(cue::BY) && matches!(mark, 0 | b':' | b',' | b'"' | b'*' | b'(');
    if strong && !(mark == b',' && block.word_is(k, &["by", "per"])) {
        return Left { strength: 3, why: "word before it that calls for a name" };
    }
    let named = block.word_is(k, &["is", "am", "was", "i'm", "im"]) && mark == 0;
    if named
        && (block.word_is(k.wrapping_sub(1), &["name", "this", "i", "named"])
            || block.word_is(k, &["i'm", "im"]))
    {
        return Left { strength: 3, why: "introduction before it" };
    }
    if word.is(cue::PERSON) && matches!(mark, 0 | b',' | b':' | b'(' | b'"' | b'*' | b'-') {
        let close = matches!(mark, 0 | b':');
        return Left { strength: if close { 3 } else { 2 }, why: "word for a person before it" };
    }
    if word.is(cue::CALL) && mark == 0 {
        return Left { strength: 2, why: "word before it that calls for a person" };
    }
    if word.is(cue::WITH) && mark == 0 {
        return Left { strength: 1, why: "name and word lists" };
    }
    none
}

/// What stands to the right of a name: `0` nothing, to `3`, a credential.
pub(super) fn right_cue(block: &Block<'_>, end: usize) -> u8 {
    let next = block.at(end);
    let near = next.gap <= Gap::Space;
    if next.is(cue::CREDENTIAL) && next.is_upper() && near && next.kind == Kind::Word {
        return 3;
    }
    if next.is_mark(b',') {
        let after = block.at(end + 1);
        let credential = after.is(cue::CREDENTIAL)
            && (after.is_upper()
                || block.word_is(end + 1, &["phd", "pharmd", "psyd", "dpt", "pa"]))
            && !(after.is(cue::STATE)
                && block.word_is(end + 1, &["ma", "pa", "md"])
                && block.at(end + 2).kind == Kind::Digits);
        if credential || block.at(end + 1).is_mark(b'M') {
            return 3;
        }
        if after.kind == Kind::Digits && after.end - after.start <= 3
            || block.word_is(end + 1, &["a", "an", "age", "aged", "dob", "who", "mrn", "born"])
        {
            return 2;
        }
        return u8::from(after.is(cue::PERSON));
    }
    if next.is_mark(b'(') {
        let inside = block.word_is(
            end + 1,
            &[
                "mrn", "dob", "id", "ssn", "age", "pt", "patient", "he", "she", "they", "mr",
                "born", "aka", "phone", "her", "his", "pcp", "daughter", "son", "wife", "husband",
                "mother", "father",
            ],
        ) || matches!(block.at(end + 1).kind, Kind::Digits | Kind::Mixed);
        return if inside { 2 } else { 0 };
    }
    if next.is(cue::ACT) && near && next.is_lower() {
        return 2;
    }
    if next.is(cue::VERB) && near && next.is_lower() {
        // `was seen` and `is a` speak of a person, `was negative` of anything.
        let k = end + 1 + usize::from(block.word_is(end + 1, &["been", "also", "then"]));
        return if block.at(k).is(cue::DONE) { 2 } else { 1 };
    }
    0
}

/// Whether what follows makes the name that of a disease, a sign or a device.
pub(super) fn is_eponym_use(block: &Block<'_>, end: usize) -> bool {
    let possessive = block.at(end).kind == Kind::Possessive;
    let k = end + usize::from(possessive);
    let next = block.at(k);
    let next = if next.is_mark(b'-') { block.at(k + 1) } else { next };
    next.is(cue::EPONYM_TAIL) && next.gap <= Gap::Space && next.is_lower()
        || (next.is(cue::EPONYM_TAIL) && !possessive && next.is_capital() && next.gap == Gap::Space)
}

/// Whether the words around are in capitals too, so that capitals say nothing.
pub(super) fn is_shouted(block: &Block<'_>, i: usize) -> bool {
    let shouts = |k: usize| {
        let token = block.at(k);
        token.is_upper() && token.end - token.start >= 3
    };
    shouts(i.wrapping_sub(1)) || shouts(i + 1)
}
