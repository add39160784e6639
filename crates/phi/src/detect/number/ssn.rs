//! Social security numbers.

use super::context::{Context, context};
use super::finding;
use crate::detect::checksum;
use crate::detect::label::Labels;
use crate::detect::shape::Bytes;
use crate::detect::token::Block;
use crate::{Class, Finding};

pub(super) fn ssn(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    end: usize,
    out: &mut Vec<Finding>,
) {
    let start = block.at(i).start;
    let text = block.text.as_bytes().get(start..end).unwrap_or_default();
    let found = context(block, labels, i);
    out.push(match found.and_then(Context::class) {
        Some(Class::Ssn) => finding((start, end), Class::Ssn, 99, "ssn", "form and label"),
        Some(class) => finding((start, end), class, 92, "id.label", "label before it"),
        None if checksum::is_ssn(text) => {
            finding((start, end), Class::Ssn, 95, "ssn", "form and assigned ranges")
        }
        None => finding((start, end), Class::OtherId, 80, "ssn", "form, outside assigned ranges"),
    });
}

/// `5 5 5 - 1 2 - 3 4 5 6` after a label.
pub(super) fn spaced_ssn(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    const MAX: usize = 24;
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (mut at, mut end, mut count) = (start, start, 0);
    while at - start < MAX && count < 10 {
        match b.at(at) {
            c if c.is_ascii_digit() => {
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' => {}
            _ => break,
        }
        at += 1;
    }
    let labelled = || context(block, labels, i).and_then(Context::class) == Some(Class::Ssn);
    let found = count == 9 && b.ends(end) && labelled();
    if found {
        out.push(finding((start, end), Class::Ssn, 88, "ssn", "nine digits and label"));
    }
    found
}
