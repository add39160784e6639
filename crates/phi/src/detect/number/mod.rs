//! Everything that begins with a number, a mark or a code: dates, telephones, identifiers.

mod code_form;
mod context;
mod device;
mod id;
mod phone;
mod plan;
mod spoken;
mod ssn;
#[cfg(test)]
mod tests;
mod web;
mod words;

use super::cue;
use super::date;
use super::label::Labels;
use super::shape::{self, Bytes, Hex};
use super::token::{Block, Case, Gap, Kind};
use crate::{Class, Confidence, Finding};

pub(crate) use context::phrase_label;
pub(super) use context::{Context, context};
pub(super) use words::{CUES, NUMBERED, STRONG, WEAK};

/// A finding, shorter to write.
pub(crate) fn finding(
    (start, end): (usize, usize),
    class: Class,
    percent: u8,
    recogniser: &'static str,
    why: &'static str,
) -> Finding {
    Finding { start, end, class, confidence: Confidence::percent(percent), recogniser, why }
}

/// Finds what the numbers and codes of a block identify.
pub(crate) fn find(block: &Block<'_>, labels: &Labels, out: &mut Vec<Finding>) {
    let mut i = 0;
    while i < block.len() {
        let from = out.len();
        at_token(block, labels, i, out);
        // What was found is passed over, so that no byte is read often.
        let end = out.get(from..).unwrap_or_default().iter().map(|f| f.end).max().unwrap_or(0);
        i += 1;
        while i < block.len() && block.at(i).start < end {
            i += 1;
        }
    }
}

fn at_token(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    match token.kind {
        Kind::Mark(b'@') => web::at_sign(block, i, out),
        Kind::Mark(b':') => {
            if b.at(token.end) == b'/' && b.at(token.end + 1) == b'/' {
                web::url(block, i, out);
            } else if b.at(token.end) == b':'
                && let Some(Hex::Ip(end)) = shape::hex(b, token.start)
            {
                out.push(finding(
                    (token.start, end),
                    Class::Ip,
                    90,
                    "ip",
                    "form of an IPv6 address",
                ));
            }
        }
        Kind::Mark(b'(' | b'+' | b'[') => {
            let next = b.at(token.end);
            let udi = token.is_mark(b'(') && device::gs1(block, i, out)
                || next.is_ascii_uppercase() && device::of_mark(block, i, out);
            if !udi && (next.is_ascii_digit() || next == b' ') {
                let found = phone::phone(block, labels, i, out);
                if !found && next.is_ascii_digit() {
                    phone::loose_phone(block, labels, i, out);
                }
            }
        }
        Kind::Mark(b'=') => {
            if b.at(token.end) == b'/' || b.at(token.end).is_ascii_uppercase() {
                device::of_mark(block, i, out);
            }
        }
        Kind::Digits | Kind::Mixed => number(block, labels, i, out),
        Kind::Word => word(block, labels, i, out),
        Kind::Mark(_) | Kind::Possessive | Kind::Edge => {}
    }
}

/// Words at which dates are looked for.
const DATED: u64 =
    cue::MONTH | cue::MONTH_ABROAD | cue::SEASON | cue::HOLIDAY | cue::NUMERAL | cue::QUARTER;

/// Words at which anything but a code is looked for.
const RARE: u64 = DATED | cue::WEEKDAY | cue::SINCE | cue::DOT | cue::LOGIN | cue::DECADE;

fn word(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    let len = token.end - token.start;
    if token.is(RARE) && at_cue(block, labels, i, out) {
        return;
    }
    if len == 2
        && block.before(i, 1).is_any_mark(b"([{<")
        && block.word_is(i, &["at"])
        && web::bracketed_at(block, i, out)
    {
        return;
    }
    if len == 3 && block.word_is(i, &["www"]) && b.at(token.end) == b'.' {
        let end = shape::url_end(b, token.start);
        out.push(finding((token.start, end), Class::Url, 95, "url", "begins with www"));
        return;
    }
    if len <= 4
        && b.at(token.end) == b':'
        && let Some(hex) = shape::hex(b, token.start)
    {
        web::push_hex(token.start, &hex, out);
        return;
    }
    if (len == 2
        && matches!(b.at(token.end), b':' | b'-')
        && b.at(token.end + 3) == b.at(token.end))
        && let Some(hex) = shape::hex(b, token.start)
    {
        web::push_hex(token.start, &hex, out);
        return;
    }
    // `AB-12345`, `HOC67890` begin with letters; the whole run must hold a digit.
    let joined = matches!(b.at(token.end), b'-' | b'/' | b'.' | b'_');
    if joined
        && (token.is_upper() || len == 1 || token.case == Case::Initial || b.at(token.end) == b'_')
    {
        let end = shape::identifier(b, token.start);
        id::code(block, labels, i, end, out);
    } else if joined && b.at(token.end) == b'.' {
        web::domain(block, i, out);
    }
}

/// Looks for what begins at, or turns on, a word that is a cue of this layer.
fn at_cue(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let token = block.at(i);
    if token.is(DATED) && date::at_word(block, labels, i, out) {
        return true;
    }
    if token.is(cue::WEEKDAY | cue::SINCE) && date::weekday(block, i, out) {
        return true;
    }
    if token.is(cue::NUMERAL)
        && let Some(found) = date::age_in_words(block, i)
    {
        out.push(found);
        return true;
    }
    if token.is(cue::NUMERAL) && spoken::spoken(block, labels, i, out) {
        return true;
    }
    if token.is(cue::DOT) && web::spelled_email(block, i, out) {
        return true;
    }
    if token.is(cue::LOGIN) {
        web::login(block, i, out);
    }
    if token.is(cue::DECADE)
        && let Some(found) = date::decade(block, i)
    {
        out.push(found);
        return true;
    }
    false
}

fn number(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    let start = token.start;
    // Inside a run that began earlier nothing starts. After a line it does, because names of files
    // and of callers are joined so: `Ann_Lee_219-09-9999`.
    let before = if start > 0 { b.at(start - 1) } else { b' ' };
    if token.gap == Gap::None
        && before == b'.'
        && start > 1
        && b.at(start - 2).is_ascii_alphanumeric()
    {
        return;
    }
    if before == b'@' {
        return;
    }
    if let Some(found) = date::age(block, i).or_else(|| date::decade(block, i)) {
        out.push(found);
        return;
    }
    if date::starts_written(block, labels, i, out) {
        return;
    }
    if let Some(end) = shape::uuid(b, start) {
        let known = context(block, labels, i).and_then(Context::class);
        if let Some(class) = known {
            out.push(finding((start, end), class, 80, "id.uuid", "UUID under a label"));
            return;
        }
    }
    if let Some(end) = shape::ipv4(b, start) {
        let version = block.word_is(i.wrapping_sub(1), &["version", "v", "section", "oid", "ver"]);
        if !version {
            out.push(finding((start, end), Class::Ip, 88, "ip", "form of an IPv4 address"));
        }
        return;
    }
    if let Some(hex) = shape::hex(b, start).filter(|_| token.end - start <= 4) {
        web::push_hex(start, &hex, out);
        return;
    }
    if token.kind == Kind::Digits
        && (ssn::ssn(block, labels, i, out)
            || ssn::masked(block, i, out)
            || ssn::last_four(block, i, out))
    {
        return;
    }
    if date::dates(block, labels, i, out) {
        return;
    }
    if id::grouped(block, labels, i, out)
        || phone::phone(block, labels, i, out)
        || phone::loose_phone(block, labels, i, out)
        || phone::extension(block, i, out)
        || token.end - start == 1 && spoken::spoken(block, labels, i, out)
    {
        return;
    }
    let end = shape::identifier(b, start);
    id::code(block, labels, i, end, out);
}
