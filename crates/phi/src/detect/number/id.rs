//! Identifiers by their label, their check digit or their form.

use super::context::{Context, context};
use super::{finding, ssn};
use crate::detect::checksum;
use crate::detect::cue;
use crate::detect::label::{Field, Labels, Need};
use crate::detect::shape::{self, Bytes};
use crate::detect::token::{Block, Gap};
use crate::{Class, Finding};

/// Numbers in groups: payment cards, health numbers with spaces.
pub(super) fn grouped(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    out: &mut Vec<Finding>,
) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (end, count) = shape::grouped(b, start);
    let text = block.text.as_bytes().get(start..end).unwrap_or_default();
    if count >= 13 && b.ends(end) && checksum::is_card(text) {
        out.push(finding((start, end), Class::Account, 93, "card", "valid Luhn digit"));
        return true;
    }
    // `1EG4-TE5-MK73`: the dashes are decoration.
    let run = shape::identifier(b, start);
    let bare: Vec<u8> = block
        .text
        .as_bytes()
        .get(start..run)
        .unwrap_or_default()
        .iter()
        .filter(|c| **c != b'-')
        .copied()
        .collect();
    if bare.len() == 11 && checksum::is_mbi(&bare) {
        out.push(finding(
            (start, run),
            Class::HealthPlanId,
            92,
            "mbi",
            "grammar of a Medicare number",
        ));
        return true;
    }
    if count < 9 && b.digits(start, 2) == 1 && ssn::spaced_ssn(block, labels, i, out) {
        return true;
    }
    if count == 9 && end > start + 9 {
        let found = context(block, labels, i).and_then(Context::class);
        if found == Some(Class::Ssn) && b.ends(end) {
            out.push(finding((start, end), Class::Ssn, 90, "ssn", "label before it"));
            return true;
        }
    }
    false
}

/// A run of letters and digits: an identifier by its label, its check digit, or its form.
pub(super) fn code(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    end: usize,
    out: &mut Vec<Finding>,
) {
    let start = block.at(i).start;
    let text = block.text.get(start..end).unwrap_or_default();
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 && !bytes.contains(&b'*') {
        return;
    }
    if let Some(new) = checked(bytes, (start, end)) {
        let found = context(block, labels, i);
        out.push(match found.and_then(Context::class) {
            Some(class) if class != new.class => {
                finding((start, end), class, 90, "id.label", "label before it")
            }
            _ => new,
        });
        return;
    }
    let after = block.at(block.token_at(end));
    // No measure has seven digits; `c/o` is no unit.
    let unit = after.is(cue::UNIT) && after.gap <= Gap::Space && digits < 7;
    let measured = unit || after.is_mark(b'%');
    if let Some(found) = context(block, labels, i)
        && !measured
    {
        if found.is_neutral() {
            return;
        }
        if let Some(class) = found.class() {
            labelled(block, i, (start, end), digits, class, found, out);
            return;
        }
        if found.label.field == Field::Zip && matches!(digits, 5 | 9) {
            out.push(finding((start, end), Class::Location, 92, "zip", "label before it"));
            return;
        }
        if found.label.field == Field::Age && digits <= 3 && bytes.len() <= 3 && found.marked {
            out.push(crate::detect::date::age_finding((start, end), text.parse().ok(), 85));
            return;
        }
    }
    if measured {
        return;
    }
    prefixed(labels, text, (start, end), digits, out);
    unlabelled(block, i, (start, end), digits, out);
}

fn checked(bytes: &[u8], span: (usize, usize)) -> Option<Finding> {
    if checksum::is_vin(bytes) {
        return Some(finding(span, Class::Vehicle, 92, "vin", "valid check digit"));
    }
    if checksum::is_dea(bytes) {
        return Some(finding(span, Class::License, 90, "dea", "valid check digit"));
    }
    if checksum::is_iban(bytes) {
        return Some(finding(span, Class::Account, 97, "iban", "valid check digits"));
    }
    if checksum::is_npi(bytes) {
        return Some(finding(span, Class::License, 75, "npi", "valid Luhn digit over 80840"));
    }
    None
}

fn labelled(
    block: &Block<'_>,
    i: usize,
    (start, end): (usize, usize),
    digits: usize,
    class: Class,
    found: Context,
    out: &mut Vec<Finding>,
) {
    let specific = matches!(
        class,
        Class::Mrn | Class::Ssn | Class::License | Class::Vehicle | Class::Biometric
    );
    let (least, percent) = match (found.marked, specific) {
        (true, true) => (2, 95),
        (true, false) => (3, 90),
        (false, true) => (3, 85),
        (false, false) => (5, 65),
    };
    if digits < least && end - start < 6 {
        return;
    }
    // A telephone number has at least seven digits, save for a pager or an extension.
    if matches!(class, Class::Phone | Class::Fax) && digits < 7 {
        return;
    }
    // `case 12/14` and years are no identifiers.
    let text = block.text.get(start..end).unwrap_or_default();
    let year = digits == 4
        && text.len() == 4
        && matches!(text.as_bytes(), [b'1', b'9', ..] | [b'2', b'0', ..]);
    if year && !found.marked {
        return;
    }
    let b = Bytes(block.text.as_bytes());
    // A number sign that belongs to the number is covered with it.
    let hash = start > 0 && b.at(start - 1) == b'#' && block.before(i, 1).gap > Gap::None;
    out.push(finding(
        (start - usize::from(hash), end),
        class,
        percent,
        "id.label",
        "label before it",
    ));
}

/// `MRN133202`, `ACCT41599-7`: the label is the beginning of the number.
fn prefixed(
    labels: &Labels,
    text: &str,
    span: (usize, usize),
    digits: usize,
    out: &mut Vec<Finding>,
) {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let prefix = text.get(..letters).unwrap_or_default();
    if letters < 3 && !matches!(prefix, "MR" | "DL" | "SN") || digits < 3 {
        return;
    }
    if let Some(label) = labels.of_key(prefix)
        && label.need == Need::Nothing
        && let Field::Id(class) = label.field
    {
        out.push(finding(span, class, 82, "id.prefix", "begins with its label"));
    }
}

/// Long numbers and letter-number codes are unlikely to be anything but identifiers.
fn unlabelled(
    block: &Block<'_>,
    i: usize,
    span: (usize, usize),
    digits: usize,
    out: &mut Vec<Finding>,
) {
    let text = block.text.get(span.0..span.1).unwrap_or_default();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let upper = text.bytes().filter(u8::is_ascii_uppercase).count();
    let dots = text.bytes().filter(|b| *b == b'.').count();
    if text.len() == 10 && digits == 9 && text.as_bytes().get(5) == Some(&b'-') {
        if block.before(i, 1).is(cue::STATE) {
            out.push(finding(span, Class::Location, 85, "zip", "state before it"));
        }
        return;
    }
    let long = letters == 0 && dots == 0 && digits >= 8 && text.len() <= 20;
    let code = (1..=6).contains(&letters)
        && upper == letters
        && dots == 0
        && digits >= 5
        && text.len() <= 20;
    // `1995-1996`, `3150-4500`: ranges; `142/71`: a pair of measures.
    let range = text.len() == 9 && text.as_bytes().get(4) == Some(&b'-') || text.contains('/');
    if range {
        return;
    }
    if long {
        out.push(finding(span, Class::OtherId, 50, "id.form", "long number"));
    } else if code {
        out.push(finding(span, Class::OtherId, 55, "id.form", "letters and digits of a code"));
    }
}
