//! Values in JSON and XML, whole, cut or inside other text, with the names of their fields.
//!
//! This is no parser: broken input must still yield the fields that can be seen. One pass, a stack
//! of bounded depth, no recursion beyond strings that hold JSON themselves.

use super::label::{Field, Label, Labels};
use crate::Class;

/// A value and what its field says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// First byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
    /// What stands here.
    pub(crate) field: Field,
}

/// Deeper levels are read as if they lay at this depth; their keys still count.
const MAX_DEPTH: usize = 64;
/// JSON in a string in a string: tool arguments inside a message inside a log.
const MAX_NESTED: u8 = 3;

/// The fields of a text.
pub(crate) fn values(text: &str, labels: &Labels) -> Vec<Value> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    if memchr::memchr(b'"', bytes).is_some() && memchr::memchr(b':', bytes).is_some() {
        Json { text, labels, out: &mut out, frames: Vec::new() }.walk(0, text.len(), 0);
    }
    if memchr::memmem::find(bytes, b"</").is_some() || memchr::memmem::find(bytes, b"/>").is_some()
    {
        markup(text, labels, &mut out);
    }
    super::hl7::values(text, &mut out);
    super::table::values(text, labels, &mut out);
    out.sort_by_key(|v| v.start);
    out
}

/// An object or array that is open.
#[derive(Clone, Copy, Default)]
struct Frame<'a> {
    key: Option<&'a str>,
    /// What `system` or `type.coding.code` said of the identifier in this object.
    hint: Option<Class>,
}

struct Json<'a, 'o> {
    text: &'a str,
    labels: &'o Labels,
    out: &'o mut Vec<Value>,
    frames: Vec<Frame<'a>>,
}

impl<'a> Json<'a, '_> {
    fn byte(&self, i: usize) -> u8 {
        self.text.as_bytes().get(i).copied().unwrap_or(0)
    }

    fn space(&self, mut i: usize, end: usize) -> usize {
        while i < end {
            match self.byte(i) {
                b' ' | b'\t' | b'\n' | b'\r' => i += 1,
                b'\\' if matches!(self.byte(i + 1), b'n' | b't' | b'r') => i += 2,
                _ => break,
            }
        }
        i
    }

    /// The content of the string whose quote lies at `i`: its ends and the byte after the quote.
    ///
    /// `escapes` backslashes stand before each quote of this level.
    fn string(&self, i: usize, end: usize, escapes: u8) -> Option<(usize, usize, usize)> {
        let start = i + 1;
        let mut at = start;
        while at < end {
            let step = memchr::memchr3(b'"', b'\n', b'\\', self.text.as_bytes().get(at..end)?)?;
            at += step;
            if self.byte(at) == b'\n' {
                return None;
            }
            let mut slashes = 0;
            while self.byte(at + slashes) == b'\\' {
                slashes += 1;
            }
            if self.byte(at + slashes) != b'"' {
                at += slashes.max(1);
                continue;
            }
            if slashes <= usize::from(escapes) {
                return Some((start, at, at + slashes + 1));
            }
            at += slashes + 1;
        }
        None
    }

    fn walk(&mut self, from: usize, end: usize, nested: u8) {
        let escapes = if nested == 0 { 0 } else { (1_u8 << nested.min(4)) - 1 };
        let mut key: Option<&'a str> = None;
        let mut i = from;
        while i < end {
            let rest = self.text.as_bytes().get(i..end).unwrap_or_default();
            // Outside a structure only a quote or an opening bracket can begin something.
            match self.byte(i) {
                b'"' => {
                    let Some((start, stop, after)) = self.string(i, end, escapes) else {
                        i += memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
                        key = None;
                        continue;
                    };
                    let next = self.space(after, end);
                    if self.byte(next) == b':' {
                        key = self.text.get(start..stop);
                        i = next + 1;
                        continue;
                    }
                    self.string_value(key, start, stop, nested);
                    key = None;
                    i = after;
                }
                b'{' | b'[' => {
                    if self.frames.len() < MAX_DEPTH {
                        self.frames.push(Frame { key, hint: None });
                    }
                    key = None;
                    i += 1;
                }
                b'}' | b']' => {
                    self.close();
                    key = None;
                    i += 1;
                }
                b'0'..=b'9' | b'-' | b'+' if key.is_some() => {
                    let stop = i + rest
                        .iter()
                        .take_while(|b| b.is_ascii_alphanumeric() || b"-+.".contains(b))
                        .count();
                    self.value(key, i, stop);
                    key = None;
                    i = stop.max(i + 1);
                }
                b' ' | b'\t' | b'\n' | b'\r' | b'\\' => i += 1,
                _ => {
                    // Prose, a literal, or a comma.
                    key = None;
                    // One search for all marks: a search for each would look far ahead each time.
                    i += rest
                        .iter()
                        .skip(1)
                        .position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']'))
                        .map_or(rest.len(), |n| n + 1);
                }
            }
        }
    }

    fn close(&mut self) {
        let Some(closed) = self.frames.pop() else { return };
        if matches!(closed.key, Some("type" | "coding") | None)
            && let (Some(hint), Some(parent)) = (closed.hint, self.frames.last_mut())
        {
            parent.hint = parent.hint.or(Some(hint));
        }
    }

    fn string_value(&mut self, key: Option<&'a str>, start: usize, stop: usize, nested: u8) {
        let inner = self.space(start, stop);
        if matches!(self.byte(inner), b'{' | b'[') && nested < MAX_NESTED {
            let held = std::mem::take(&mut self.frames);
            self.walk(start, stop, nested + 1);
            self.frames = held;
            return;
        }
        if let (Some("system" | "code"), Some(text), Some(frame)) =
            (key, self.text.get(start..stop), self.frames.last_mut())
        {
            frame.hint = frame.hint.or_else(|| hint(text));
        }
        self.value(key, start, stop);
    }

    fn value(&mut self, key: Option<&'a str>, start: usize, end: usize) {
        let mut above = self.frames.iter().rev().filter_map(|f| f.key);
        let Some(name) = key.or_else(|| above.next()) else { return };
        let parent = above.find(|k| *k != name);
        let hint = self.frames.iter().rev().take(2).find_map(|f| f.hint);
        let field = match (name, parent) {
            ("value", Some("identifier")) => Some(Field::Id(hint.unwrap_or(Class::OtherId))),
            ("value" | "text" | "content", Some(parent)) => {
                self.labels.of_key(parent).map(|l| l.field).filter(|f| *f != Field::Neutral)
            }
            ("display", Some(parent)) => reference(parent),
            ("role" | "type" | "model" | "object", _) => Some(Field::Neutral),
            _ => self.labels.of_key(name).map(|l| l.field),
        };
        if let Some(field) = field
            && start < end
        {
            self.out.push(Value { start, end, field });
        }
    }
}

/// What the system or type code of a FHIR identifier says.
fn hint(text: &str) -> Option<Class> {
    const HINTS: &[(&str, Class)] = &[
        ("us-ssn", Class::Ssn),
        ("2.16.840.1.113883.4.1", Class::Ssn),
        ("us-npi", Class::License),
        ("us-mbi", Class::HealthPlanId),
        ("us-medicare", Class::HealthPlanId),
        ("driver", Class::License),
        ("passport", Class::License),
    ];
    match text {
        "MR" | "MRT" => Some(Class::Mrn),
        "SS" | "SB" => Some(Class::Ssn),
        "DL" | "PPN" | "NPI" | "DEA" | "LN" | "MD" => Some(Class::License),
        "MB" | "MC" | "MA" | "HC" | "SN" => Some(Class::HealthPlanId),
        "AN" | "ANC" => Some(Class::Account),
        "SNO" | "UDI" => Some(Class::DeviceId),
        _ => HINTS.iter().find(|(part, _)| text.contains(part)).map(|(_, class)| *class),
    }
}

/// Who or what the `display` of a FHIR reference names.
fn reference(parent: &str) -> Option<Field> {
    match parent {
        "subject"
        | "patient"
        | "individual"
        | "actor"
        | "performer"
        | "author"
        | "practitioner"
        | "requester"
        | "recorder"
        | "asserter"
        | "generalPractitioner"
        | "provider"
        | "agent"
        | "attester"
        | "party"
        | "beneficiary"
        | "subscriber"
        | "source"
        | "sender"
        | "recipient"
        | "operator"
        | "participant"
        | "who"
        | "enterer"
        | "participatingPractitioner" => Some(Field::Name),
        "serviceProvider"
        | "managingOrganization"
        | "location"
        | "organization"
        | "custodian"
        | "facility"
        | "insurer"
        | "payor" => Some(Field::Place),
        _ => None,
    }
}

/// Elements of XML and HTML: the text of each under its name, and the attributes that hold values.
fn markup(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    /// Longer tags are text with a stray `<`.
    const MAX_TAG: usize = 2048;
    let bytes = text.as_bytes();
    for open in memchr::memchr_iter(b'<', bytes) {
        let Some(rest) = bytes.get(open + 1..(open + MAX_TAG).min(bytes.len())) else { continue };
        if !rest.first().is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let Some(close) = rest.iter().position(|b| matches!(b, b'>' | b'<')) else { continue };
        if rest.get(close) != Some(&b'>') {
            continue;
        }
        let tag_end = open + 1 + close;
        let Some(tag) = text.get(open + 1..tag_end) else { continue };
        let name = tag.split([' ', '\n', '\t', '/']).next().unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default();
        attributes(tag, open + 1, name, labels, out);
        if tag.ends_with('/') {
            continue;
        }
        let inner = tag_end + 1;
        let stop = memchr::memchr(b'<', bytes.get(inner..).unwrap_or_default())
            .map_or(text.len(), |n| inner + n);
        if let Some(field) = element(name, labels)
            && text.get(inner..stop).is_some_and(|t| !t.trim().is_empty())
        {
            out.push(Value { start: inner, end: stop, field });
        }
    }
}

fn element(name: &str, labels: &Labels) -> Option<Field> {
    match name {
        "name" => Some(Field::NameOrPlace),
        "td" | "th" | "p" | "b" | "i" | "span" | "div" | "title" | "text" | "br" | "value" => None,
        _ => labels.of_key(name).map(|Label { field, .. }| field),
    }
}

fn attributes(tag: &str, at: usize, element_name: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut rest = tag;
    let mut offset = at;
    let class = if tag.contains("2.16.840.1.113883.4.1\"") {
        Class::Ssn
    } else if tag.contains("2.16.840.1.113883.4.6\"") {
        Class::License
    } else {
        Class::OtherId
    };
    while let Some(equals) = rest.find("=\"") {
        let name = rest.get(..equals).unwrap_or_default();
        let name = name.rsplit([' ', '\n', '\t']).next().unwrap_or_default();
        let from = equals + 2;
        let Some(len) = rest.get(from..).and_then(|r| r.find('"')) else { break };
        let field = match (name, element_name) {
            ("value", "birthTime" | "time" | "low" | "high" | "effectiveTime" | "center") => {
                Some(Field::Date)
            }
            ("value", _) => {
                labels.of_key(element_name).map(|l| l.field).filter(|f| *f != Field::Neutral)
            }
            ("extension", "id" | "setId") => Some(Field::Id(class)),
            (
                "code" | "codeSystem" | "root" | "codeSystemName" | "displayName" | "xmlns"
                | "href",
                _,
            ) => Some(Field::Neutral),
            _ => None,
        };
        if let Some(field) = field
            && len > 0
        {
            out.push(Value { start: offset + from, end: offset + from + len, field });
        }
        let step = from + len + 1;
        offset += step;
        rest = rest.get(step..).unwrap_or_default();
    }
}
