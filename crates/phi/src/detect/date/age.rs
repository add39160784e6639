//! Ages in their written forms.

use crate::detect::cue;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};

/// An age whose number is this token: the token after the number's last, and how sure.
pub(crate) fn age(block: &Block<'_>, i: usize) -> Option<(usize, u8)> {
    let token = block.at(i);
    let b = Bytes(block.str(i).as_bytes());
    let count = b.digits(0, 4);
    if count == 0 || count > 3 || b.number(0, count) > 125 {
        return None;
    }
    let end = token.start + count;
    let glued = block.str(i).get(count..).unwrap_or_default().to_ascii_lowercase();
    if matches!(glued.as_str(), "yo" | "yof" | "yom" | "yrold" | "yearold" | "yrs") {
        return Some((end, 90));
    }
    if glued == "y" {
        let old = block.at(i + 1).is_mark(b'/') || block.at(i + 1).is(cue::PERSON);
        return old.then_some((end, 85));
    }
    if matches!(glued.as_str(), "f" | "m") {
        let shown = count == 2
            && (block.before(i, 1).is_mark(b'(')
                || block.at(i + 1).is_any_mark(b",;).")
                || block.starts_sentence(i)
                || block.word_is(
                    i.wrapping_sub(1),
                    &["a", "an", "is", "patient", "pt", "with", "for"],
                ));
        return shown.then_some((end, 60));
    }
    if token.kind != Kind::Digits || block.before(i, 1).is_mark(b'.') && token.gap == Gap::None {
        return None;
    }
    let plus = usize::from(block.at(i + 1).is_mark(b'+') && block.at(i + 1).gap == Gap::None);
    let end = end + plus;
    let k = i + 1 + plus;
    let k = if block.at(k).is_mark(b'-') { k + 1 } else { k };
    let unit = block.at(k).is(cue::AGE) && block.at(k).gap <= Gap::Space;
    if unit && is_old(block, k + 1) {
        return Some((end, 92));
    }
    if unit
        && block.word_is(k, &["yo", "y"])
        && (block.word_is(k, &["yo"]) || block.at(k + 1).is_mark(b'/'))
    {
        return Some((end, 90));
    }
    if b.number(0, count) >= 16 && turned(block, i) {
        return Some((end, 70));
    }
    let mut back = i;
    for _ in 0..3 {
        back = back.wrapping_sub(1);
        if block.word_is(back, &["age", "aged", "ages"]) {
            let labelled = block.at(back).gap != Gap::None
                || back == 0
                || block.before(back, 1).is_any_mark(b"(\"");
            return labelled.then_some((end, 88));
        }
        if !(block.at(back).is_any_mark(b":=(\"-")
            || block.word_is(back, &["of", "is", "was", "at"]))
        {
            break;
        }
    }
    None
}

/// `turned 60`, `when she was 64.`
fn turned(block: &Block<'_>, i: usize) -> bool {
    let k = i.wrapping_sub(1);
    if block.word_is(k, &["turn", "turned", "turning", "turns"]) {
        return !block.at(i + 1).is_mark(b'%') && !block.at(i + 1).is(cue::UNIT);
    }
    block.word_is(k, &["was", "is"])
        && block.word_is(k.wrapping_sub(1), &["he", "she", "i", "they"])
        && block.word_is(k.wrapping_sub(2), &["when", "since", "until"])
        && !matches!(block.at(i + 1).kind, Kind::Word)
}

/// `old`, `-old`, `/o`, `of age` after a unit of time.
fn is_old(block: &Block<'_>, i: usize) -> bool {
    let k = if block.at(i).is_any_mark(b"-.") { i + 1 } else { i };
    block.word_is(k, &["old", "o", "olds"])
        || (block.at(k).is_mark(b'/') && block.word_is(k + 1, &["o", "old"]))
        || (block.word_is(k, &["of"]) && block.word_is(k + 1, &["age"]))
}
