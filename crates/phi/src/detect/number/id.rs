//! Identifiers by their label, their check digit or their form.

use super::context::{Context, context};
use super::device::is_drug_lot;
use super::{code_form, finding, phone, ssn};
use crate::detect::checksum;
use crate::detect::cue;
use crate::detect::date;
use crate::detect::label::{Field, Labels, Need};
use crate::detect::shape::{self, Bytes};
use crate::detect::token::{Block, Gap, Kind};
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
    if let Some(end) = mbi(b, start) {
        let why = "grammar of a Medicare number";
        out.push(finding((start, end), Class::HealthPlanId, 92, "mbi", why));
        return true;
    }
    if let Some(end) = iban(b, start) {
        out.push(finding((start, end), Class::Account, 97, "iban", "valid check digits"));
        return true;
    }
    if count < 9 && b.digits(start, 2) == 1 && ssn::spaced_ssn(block, labels, i, out) {
        return true;
    }
    if count == 9 && end > start + 9 && b.ends(end) {
        let found = context(block, labels, i).and_then(Context::class);
        if found == Some(Class::Ssn) {
            out.push(finding((start, end), Class::Ssn, 90, "ssn", "label before it"));
            return true;
        }
        let threes = b.exactly(start, 3) && b.exactly(start + 4, 3) && b.exactly(start + 8, 3);
        if found.is_none() && threes && checksum::is_sin(text) && !phone::is_called(block, i) {
            let why = "valid check digit of a Canadian number";
            out.push(finding((start, end), Class::Ssn, 62, "sin", why));
            return true;
        }
    }
    let thirds = b.exactly(start, 3) && b.exactly(start + 4, 3) && b.exactly(start + 8, 4);
    if count == 10 && thirds && b.ends(end) && checksum::is_nhs(text) {
        let found = context(block, labels, i).and_then(Context::class);
        let telephone = b.at(start + 3) == b'-' || phone::is_called(block, i);
        if found.is_none() && !telephone {
            let why = "valid check digit of the National Health Service";
            out.push(finding((start, end), Class::HealthPlanId, 70, "nhs", why));
            return true;
        }
    }
    false
}

/// `1EG4-TE5-MK73`, `1EG4 TE5 MK73`, `1EG4TE5MK73`: the marks are decoration.
fn mbi(b: Bytes<'_>, start: usize) -> Option<usize> {
    let mark = b.at(start + 4);
    let marked = matches!(mark, b'-' | b' ') && b.at(start + 8) == mark;
    let mut bare = [0; 11];
    for (k, place) in bare.iter_mut().enumerate() {
        let skip = if marked { usize::from(k >= 4) + usize::from(k >= 7) } else { 0 };
        *place = b.at(start + k + skip);
    }
    let end = start + if marked { 13 } else { 11 };
    (checksum::is_mbi(&bare) && b.ends(end)).then_some(end)
}

/// `GB82 WEST 1234 5698 7654 32`: an account number in groups of four.
fn iban(b: Bytes<'_>, start: usize) -> Option<usize> {
    /// ISO 13616: at most 34 characters, so nine groups.
    const MAX_GROUPS: usize = 9;
    let head = b.at(start).is_ascii_uppercase()
        && b.at(start + 1).is_ascii_uppercase()
        && b.at(start + 2).is_ascii_digit()
        && b.at(start + 3).is_ascii_digit()
        && b.at(start + 4) == b' ';
    if !head {
        return None;
    }
    let mut bare = Vec::with_capacity(34);
    let (mut at, mut last) = (start, None);
    for _ in 0..MAX_GROUPS {
        let count = (0..5).take_while(|k| b.at(at + k).is_ascii_alphanumeric()).count();
        if count == 0 || count > 4 {
            break;
        }
        bare.extend((0..count).map(|k| b.at(at + k)));
        at += count;
        if bare.len() >= 15 && checksum::is_iban(&bare) && b.ends(at) {
            last = Some(at);
        }
        if b.at(at) != b' ' || count < 4 {
            break;
        }
        at += 1;
    }
    last
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
    if let Some(new) = code_form::checked(block, i, bytes, (start, end)) {
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
    let (first, found) = labelled_from(block, labels, i);
    if let Some(found) = found
        && !measured
    {
        if found.is_neutral() {
            return;
        }
        if let Some(class) = found.class() {
            if class != Class::DeviceId || !is_drug_lot(block, i) {
                let end = more_groups(block, class, (start, end));
                let from = block.at(first).start;
                labelled(block, first, (from, end), digits, class, found, out);
            }
            return;
        }
        if found.label.field == Field::Zip && matches!(digits, 5 | 9) {
            out.push(finding((start, end), Class::Location, 92, "zip", "label before it"));
            return;
        }
        if found.label.field == Field::Age && digits <= 3 && bytes.len() <= 3 && found.marked {
            out.push(date::age_finding((start, end), text.parse().ok(), 85));
            return;
        }
    }
    if measured {
        return;
    }
    prefixed(labels, text, (start, end), digits, out);
    code_form::unlabelled(block, i, (start, end), digits, out);
}

/// The label of a number, and the token where its value begins: `KLM` of `license plate KLM 4471`.
fn labelled_from(block: &Block<'_>, labels: &Labels, i: usize) -> (usize, Option<Context>) {
    let found = context(block, labels, i);
    let before = block.before(i, 1);
    let letters = before.kind == Kind::Word
        && !before.is_lower()
        && before.end - before.start <= 4
        && before.case != crate::detect::token::Case::Capital
        && block.at(i).gap == Gap::Space
        && !before.is(cue::CONNECT | cue::NUMBER);
    if found.is_some() || !letters || before.start == 0 {
        return (i, found);
    }
    let own = context(block, labels, i - 1).filter(|c| {
        // `ID: W 2231 09874`.
        let plain = c.marked && c.class() == Some(Class::OtherId);
        plain
            || matches!(
                c.class(),
                Some(
                    Class::Vehicle
                        | Class::License
                        | Class::HealthPlanId
                        | Class::Mrn
                        | Class::Account
                        | Class::DeviceId
                )
            )
    });
    if own.is_some() { (i - 1, own) } else { (i, None) }
}

/// Groups after the first that belong to a number with a label: `00 12 34`, `943 476 5919`,
/// `AB12 CDE`.
fn more_groups(block: &Block<'_>, class: Class, (start, end): (usize, usize)) -> usize {
    const MAX_GROUPS: usize = 5;
    /// A first group that is longer is the whole number.
    const MAX_FIRST: usize = 4;
    let b = Bytes(block.text.as_bytes());
    // `U4471 88210 02`: after letters and digits a long group goes on, if it is no year.
    let next = block.at(block.token_at(end));
    let goes_on = block.at(block.token_at(start)).kind == Kind::Mixed
        && end - start <= 6
        && next.kind == Kind::Digits
        && (4..=6).contains(&(next.end - next.start))
        && !(next.end - next.start == 4 && (1900..=2100).contains(&b.number(next.start, 4)));
    if end - start > MAX_FIRST && !goes_on
        || !matches!(
            class,
            Class::Mrn
                | Class::Ssn
                | Class::HealthPlanId
                | Class::Account
                | Class::License
                | Class::Vehicle
                | Class::OtherId
        )
    {
        return end;
    }
    let mut end = end;
    for _ in 0..MAX_GROUPS {
        let k = block.token_at(end);
        let token = block.at(k);
        let size = token.end - token.start;
        let upper = token.is_upper() || token.case == crate::detect::token::Case::Initial;
        let part = matches!(token.kind, Kind::Digits | Kind::Mixed)
            || upper
                && size <= 3
                && matches!(class, Class::Vehicle | Class::License | Class::HealthPlanId);
        let next = block.at(k + 1);
        let other = next.is(cue::UNIT | cue::AGE)
            || next.is_any_mark(b"/%:")
            || next.is_mark(b'-') && next.gap == Gap::None
            || next.is_mark(b'.') && next.gap == Gap::None && block.at(k + 2).gap == Gap::None;
        let long = size > 10 || token.kind == Kind::Mixed && size > 4;
        if b.at(end) != b' ' || token.gap != Gap::Space || !part || other || long {
            break;
        }
        end = token.end;
    }
    end
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
    // The extension of a knee is `0-30`, that of a telephone has digits alone.
    let short = matches!(class, Class::Phone | Class::Fax)
        && end - start == digits
        && phone::is_short(block, i);
    let coded = short && digits >= 3 || found.numbered && digits >= 2 && end - start >= 5;
    if digits < least && end - start < 6 && !coded {
        return;
    }
    // A telephone number has at least seven digits, save for a pager or an extension.
    if matches!(class, Class::Phone | Class::Fax) && digits < 7 && !(digits >= 3 && short) {
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
