//! Telephone and fax numbers.

use super::context::{Context, context};
use super::finding;
use crate::detect::label::Labels;
use crate::detect::shape::{self, Bytes};
use crate::detect::token::{Block, Kind};
use crate::{Class, Finding};

pub(super) fn push_phone(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    phone: &shape::Phone,
    out: &mut Vec<Finding>,
) -> bool {
    let start = block.at(i).start;
    let found = context(block, labels, i);
    let class = found.and_then(Context::class);
    let fax = block.word_is(block.token_at(phone.end) + 1, &["fax", "f"])
        && block.at(block.token_at(phone.end)).is_mark(b'(');
    let span = (start, phone.end);
    let new = match class {
        Some(Class::Fax) => finding(span, Class::Fax, 97, "fax", "form and label"),
        Some(Class::Phone) | None if fax => finding(span, Class::Fax, 95, "fax", "form and label"),
        Some(Class::Phone) => finding(span, Class::Phone, 97, "phone", "form and label"),
        Some(class) => {
            if !found.is_some_and(|c| c.marked || phone.certain) {
                return false;
            }
            finding(span, class, 90, "id.label", "label before it")
        }
        None if found.is_some_and(Context::is_neutral) && !phone.certain => return false,
        None if phone.certain => {
            finding(span, Class::Phone, 92, "phone", "form of a telephone number")
        }
        None if is_called(block, i) => {
            finding(span, Class::Phone, 80, "phone", "form and a word for calling")
        }
        None if phone.end - start >= 10 => {
            finding(span, Class::Phone, 55, "phone", "form of a telephone number")
        }
        None => return false,
    };
    out.push(new);
    true
}

/// Whether a word for telephoning stands a few words before.
pub(super) fn is_called(block: &Block<'_>, i: usize) -> bool {
    const WORDS: &[&str] = &[
        "call",
        "calling",
        "reach",
        "reached",
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
    let (end, count) = shape::loose(b, start);
    if !(7..=15).contains(&count) || !b.ends(end) {
        return false;
    }
    let found = context(block, labels, i).and_then(Context::class);
    let class = match found {
        Some(Class::Fax) => Class::Fax,
        Some(Class::Phone) => Class::Phone,
        None if is_called(block, i) => Class::Phone,
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
