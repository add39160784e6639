//! Telephone and fax numbers.

use super::context::{Context, context};
use super::finding;
use super::plan::{self, Phone};
use crate::detect::cue;
use crate::detect::label::Labels;
use crate::detect::shape::Bytes;
use crate::detect::token::{Block, Gap, Kind};
use crate::{Class, Finding};

/// Finds a telephone number that begins at this digit, bracket or plus sign.
pub(super) fn phone(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    const CODES: &[&str] = &["ndc", "loinc", "snomed", "upc", "isbn", "cpt", "hcpcs"];
    let b = Bytes(block.text.as_bytes());
    let marked = usize::from(block.before(i, 1).is_any_mark(b":#"));
    if block.word_is(i.wrapping_sub(1 + marked), CODES) {
        return false;
    }
    plan::phone(b, block.at(i).start).is_some_and(|found| push(block, labels, i, found, out))
}

fn push(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    phone: Phone,
    out: &mut Vec<Finding>,
) -> bool {
    let start = block.at(i).start;
    let found = context(block, labels, i);
    let class = found.and_then(Context::class);
    let beside = beside(block, i, phone.end);
    let span = (start, phone.end);
    let new = match (class, beside) {
        (Some(Class::Fax), _) => finding(span, Class::Fax, 97, "fax", "form and label"),
        (Some(Class::Phone) | None, Some(Class::Fax)) => {
            finding(span, Class::Fax, 95, "fax", "form and label")
        }
        (Some(Class::Phone), _) | (None, Some(_)) => {
            finding(span, Class::Phone, 97, "phone", "form and label")
        }
        (Some(class), _) => {
            if !found.is_some_and(|c| c.marked || phone.certain) {
                return false;
            }
            finding(span, class, 90, "id.label", "label before it")
        }
        (None, None) if found.is_some_and(Context::is_neutral) && !phone.certain => return false,
        (None, None) if phone.certain => {
            finding(span, Class::Phone, 92, "phone", "form of a telephone number")
        }
        (None, None) if is_called(block, i) => {
            finding(span, Class::Phone, 80, "phone", "form and a word for calling")
        }
        (None, None) if phone.end - start >= 10 && !is_measured(block, phone.end) => {
            finding(span, Class::Phone, 55, "phone", "form of a telephone number")
        }
        (None, None) => return false,
    };
    out.push(new);
    true
}

/// Whether a unit follows: `250 500 1000 mg`.
fn is_measured(block: &Block<'_>, end: usize) -> bool {
    let next = block.at(block.token_at(end));
    next.is(cue::UNIT) && next.gap <= Gap::Space || next.is_mark(b'%')
}

/// What a word right after a number, or a letter right before it, says of it: `(fax)`, `-Office`,
/// `F: `.
fn beside(block: &Block<'_>, i: usize, end: usize) -> Option<Class> {
    const PHONES: &[&str] = &[
        "office",
        "mobile",
        "cell",
        "home",
        "work",
        "main",
        "direct",
        "tel",
        "telephone",
        "phone",
        "pager",
        "beeper",
        "landline",
        "desk",
        "voice",
        "mob",
        "cellular",
        "residence",
        "business",
    ];
    let mut k = block.token_at(end);
    let bracket = block.at(k).is_any_mark(b"([");
    if bracket || block.at(k).is_mark(b'-') {
        k += 1;
    }
    // A word before a colon or another number is the label of that.
    let next = block.at(k + 1);
    let other =
        !bracket && (next.is_any_mark(b":#=(+") || matches!(next.kind, Kind::Digits | Kind::Mixed));
    let letter = |k: usize, letters: &[u8]| matches!(*block.str(k).as_bytes(), [c] if letters.contains(&c.to_ascii_lowercase()));
    if block.at(k).gap <= Gap::Space && !other {
        if block.word_is(k, &["fax", "facsimile", "telefax"]) || bracket && letter(k, b"f") {
            return Some(Class::Fax);
        }
        if block.word_is(k, PHONES) || bracket && letter(k, b"pcohmwt") {
            return Some(Class::Phone);
        }
    }
    let before = block.before(i, 1);
    if before.is_any_mark(b":).") && block.at(i).gap <= Gap::Space {
        let k = i.wrapping_sub(2);
        let alone = block.at(k).gap > Gap::None || block.before(k, 1).is_any_mark(b"(|/,");
        if alone && letter(k, b"f") {
            return Some(Class::Fax);
        }
        if alone && letter(k, b"tpcohmw") {
            return Some(Class::Phone);
        }
    }
    None
}

/// Whether a word for telephoning stands a few words before.
pub(super) fn is_called(block: &Block<'_>, i: usize) -> bool {
    const WORDS: &[&str] = &[
        "call",
        "calling",
        "calls",
        "called",
        "reach",
        "reached",
        "reachable",
        "dial",
        "text",
        "phone",
        "cell",
        "mobile",
        "contact",
        "answering",
        "messages",
        "telephone",
        "voicemail",
        "callback",
        "registered",
        "whatsapp",
        "tel",
        "office",
        "desk",
        "direct",
        "pager",
        "page",
        "hotline",
        "landline",
        "ring",
        "sms",
        "telephoned",
        "tfno",
        "telf",
        "handy",
        "rückruf",
        "nummer",
        "telefon",
        "teléfono",
        "móvil",
        "phoned",
        "dialed",
        "texted",
        "cellphone",
    ];
    (1..=5).any(|back| {
        block.before(i, back).kind == Kind::Word && block.word_is(i.wrapping_sub(back), WORDS)
    })
}

/// Digits in any grouping, where a label or a verb says that they are telephoned.
pub(super) fn loose_phone(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (end, count) = plan::loose(b, start);
    if !(7..=15).contains(&count) || !b.ends(end) {
        return false;
    }
    let found = context(block, labels, i).and_then(Context::class);
    let class = match (found, beside(block, i, end)) {
        (Some(Class::Fax), _) | (None | Some(Class::Phone), Some(Class::Fax)) => Class::Fax,
        (Some(Class::Phone), _) | (None, Some(_)) => Class::Phone,
        (None, None) if is_called(block, i) => Class::Phone,
        _ => return false,
    };
    out.push(finding(
        (start, end),
        class,
        84,
        "phone.loose",
        "digits after a word for a telephone",
    ));
    true
}

/// Whether digits too few for a telephone follow a word for a pager or an extension.
pub(super) fn is_short(block: &Block<'_>, i: usize) -> bool {
    const WORDS: &[&str] =
        &["pager", "beeper", "pgr", "ext", "extn", "extension", "page", "voicemail", "spectralink"];
    (1..=3).any(|back| block.word_is(i.wrapping_sub(back), WORDS))
}

/// `x4471` after a word for calling, and `extension 6620`.
pub(super) fn extension(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let text = block.str(i).as_bytes();
    let digits = text.iter().skip(1).all(u8::is_ascii_digit) && (4..=6).contains(&text.len());
    let found = matches!(text.first(), Some(b'x' | b'X'))
        && digits
        && (is_called(block, i)
            || is_short(block, i)
            || block.word_is(i.wrapping_sub(1), &["at", "or"]) && text.len() >= 5);
    // The extension of a knee has at most three digits.
    let mark = usize::from(block.before(i, 1).is_any_mark(b".:"));
    let named = (4..=6).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && block.word_is(i.wrapping_sub(1 + mark), &["extension", "extn", "ext"]);
    if found || named {
        let span = (block.at(i).start, block.at(i).end);
        out.push(finding(
            span,
            Class::Phone,
            66,
            "phone.extension",
            "extension after a word for calling",
        ));
    }
    found || named
}
