//! Heads of mail (RFC 5322), vCards (RFC 6350) and calendars (RFC 5545).

use super::decode::Escape;
use super::{Field, Value};
use crate::Class;

/// Adds the values of the lines of mail heads, vCards and calendars in a text.
pub(super) fn values(text: &str, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let begins = |what: &[u8]| memchr::memmem::find(bytes, what).is_some();
    let card = begins(b"BEGIN:VC") || begins(b"BEGIN:VEVENT") || begins(b"BEGIN:VTODO");
    let mail = memchr::memchr(b'@', bytes).is_some() || begins(b"=?");
    if !card && !mail {
        return;
    }
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = text.get(start..end).unwrap_or_default();
        if let Some(colon) = line.find(':').filter(|_| line.len() <= MAX_LINE) {
            let (name, value) = line.split_at(colon);
            let at = start + colon + 1;
            let value = value.get(1..).unwrap_or_default();
            if card {
                content_line(name, start, value, at, out);
            }
            if mail && is_people(name.trim()) {
                addresses(value, at, out);
            }
        }
        start = end + 1;
    }
}

/// RFC 5322 allows 998 characters in a line; a longer one is none of a head.
const MAX_LINE: usize = 4096;

/// Whether a head names people.
fn is_people(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "from",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "sender",
        "resent-from",
        "resent-to",
        "resent-cc",
        "delivered-to",
        "return-path",
        "x-original-to",
        "x-forwarded-to",
        "mail-followup-to",
        "disposition-notification-to",
        "errors-to",
        "> from",
        "> to",
        "> cc",
    ];
    NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// `"Lee, Ann" <ann@lee.example>, Bob Ng <b@ng.example>`: the names before the addresses.
fn addresses(value: &str, start: usize, out: &mut Vec<Value>) {
    if !value.contains('@') && !value.contains("=?") {
        return;
    }
    let mut from = 0;
    let mut quoted = false;
    for (i, b) in value.bytes().enumerate() {
        match b {
            b'"' => quoted = !quoted,
            b'<' if !quoted => {
                name(value, (from, i), start, out);
                from = i;
            }
            b',' | b';' | b'>' if !quoted => from = i + 1,
            _ => {}
        }
    }
}

fn name(value: &str, (from, to): (usize, usize), start: usize, out: &mut Vec<Value>) {
    let Some(text) = value.get(from..to) else { return };
    let mark = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let inner = text.trim_matches(mark);
    let at = start + from + text.len() - text.trim_start_matches(mark).len();
    if !inner.is_empty() && !inner.contains('@') {
        out.push(Value { start: at, end: at + inner.len(), field: Field::Code(Class::Name) });
    }
}

/// `TEL;TYPE=cell:+1 617…`, `ATTENDEE;CN="Ann Lee":mailto:…`.
fn content_line(head: &str, start: usize, value: &str, at: usize, out: &mut Vec<Value>) {
    let name = head.split(';').next().unwrap_or_default();
    // `item1.TEL`: a group before the name.
    let name = name.rsplit('.').next().unwrap_or_default().trim().to_ascii_uppercase();
    // A quoted parameter may hold the colon at which the line was cut, as a name never does.
    if let Some(cn) = head.find("CN=") {
        let from = cn + 3;
        let rest = head.get(from..).unwrap_or_default();
        let close = rest.strip_prefix('"').map_or_else(
            || rest.find([';', ':']).unwrap_or(rest.len()),
            |inner| inner.find('"').map_or(rest.len(), |n| n + 2),
        );
        self::name(head, (from, from + close), start, out);
    }
    let value = value.trim_end();
    let mut push = |from: usize, part: &str, field: Field| {
        if !part.trim().is_empty() {
            out.push(Value { start: at + from, end: at + from + part.len(), field });
        }
    };
    let whole = match name.as_str() {
        "FN"
        | "NICKNAME"
        | "X-PHONETIC-FIRST-NAME"
        | "X-PHONETIC-LAST-NAME"
        | "SORT-STRING"
        | "AGENT" => Some(Field::Code(Class::Name)),
        "N" => {
            for (from, part) in parts(value).take(3) {
                push(from, part, Field::Code(Class::Name));
            }
            None
        }
        "ADR" => {
            for (i, (from, part)) in parts(value).enumerate() {
                push(from, part, if i < 4 { Field::Address } else { Field::Region });
            }
            None
        }
        "ORG" => {
            for (from, part) in parts(value) {
                push(from, part, Field::Address);
            }
            None
        }
        "TEL" | "EMAIL" | "IMPP" | "ATTENDEE" | "ORGANIZER" => Some(Field::Contact),
        "BDAY" | "ANNIVERSARY" | "DEATHDATE" | "REV" | "DTSTART" | "DTEND" | "DTSTAMP" | "DUE"
        | "CREATED" | "LAST-MODIFIED" | "COMPLETED" | "RECURRENCE-ID" | "EXDATE" | "RDATE" => {
            Some(Field::Date)
        }
        "UID" => Some(Field::Code(Class::OtherId)),
        "GEO" => Some(Field::Position),
        "TITLE" | "ROLE" => Some(Field::Whole(Class::Profession)),
        "LOCATION" | "LABEL" => Some(Field::Address),
        "NOTE" | "DESCRIPTION" | "SUMMARY" | "COMMENT" | "CONTACT" => {
            Some(Field::Text(Escape::Json))
        }
        _ => None,
    };
    if let Some(field) = whole {
        push(0, value, field);
    }
}

/// The parts of a structured value, which semicolons separate.
fn parts(value: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    value.split(';').map(move |part| {
        let from = at;
        at += part.len() + 1;
        (from, part)
    })
}
