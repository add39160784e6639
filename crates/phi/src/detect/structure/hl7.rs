//! HL7 v2 messages: what stands in which field of which segment.
//!
//! Delimiters are those that the header of the message declares (HL7 v2.9 section 2.5.4); a piece
//! of a message without its header is read with the usual ones.

use super::decode::Escape;
use super::hl7_fields::{self, Type};
use super::{Field, Value};
use crate::Class;

/// What separates fields, components, repetitions and sub-components.
#[derive(Clone, Copy)]
struct Marks {
    field: u8,
    component: u8,
    repetition: u8,
    part: u8,
}

const USUAL: Marks = Marks { field: b'|', component: b'^', repetition: b'~', part: b'&' };

/// Adds the values of the HL7 v2 segments in a text.
pub(crate) fn values(text: &str, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let mut marks = USUAL;
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let len = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        line(text, (start, start + len), &mut marks, out);
        start += len + 1;
    }
}

/// A line: one segment, or many when the line breaks are those of a JSON string.
fn line(text: &str, (start, end): (usize, usize), marks: &mut Marks, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let mut from = start;
    let mut at = start;
    while let Some(step) = bytes.get(at..end).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += step;
        let breaks = matches!(bytes.get(at + 1), Some(b'r' | b'n'));
        let quoted = matches!(bytes.get(at + 2), Some(b'"' | b'\'' | b'\\') | None);
        if breaks && (quoted || segment_name(text, at + 2, marks.field).is_some()) {
            segment(text, (from, at), marks, out);
            from = at + 2;
        }
        at += 1 + usize::from(breaks);
    }
    segment(text, (from, end), marks, out);
}

/// The name of the segment that begins here.
fn segment_name(text: &str, at: usize, mark: u8) -> Option<&str> {
    let b = text.as_bytes().get(at..at + 4)?;
    let named = b.first().is_some_and(u8::is_ascii_uppercase)
        && b.get(1..3)?.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let header = b.starts_with(b"MSH") || b.starts_with(b"FHS") || b.starts_with(b"BHS");
    let last = *b.last()?;
    let ends = last == mark || header && last.is_ascii_punctuation();
    if named && ends { text.get(at..at + 3) } else { None }
}

/// Where the segment begins: behind what a log, a quote or a transport wrote before it.
fn begin(text: &str, start: usize, end: usize, mark: u8) -> Option<(usize, &str)> {
    let bytes = text.as_bytes();
    let first = start
        + bytes
            .get(start..end)?
            .iter()
            .position(|b| b.is_ascii_uppercase() || b.is_ascii_lowercase())?;
    if let Some(name) = segment_name(text, first, mark) {
        return Some((first, name));
    }
    let header = memchr::memmem::find(bytes.get(start..end)?, b"MSH|^")?;
    segment_name(text, start + header, mark).map(|name| (start + header, name))
}

fn segment(text: &str, (start, end): (usize, usize), marks: &mut Marks, out: &mut Vec<Value>) {
    let Some((at, name)) = begin(text, start, end, marks.field) else { return };
    let header = matches!(name, "MSH" | "FHS" | "BHS");
    if header {
        let byte = |i: usize| text.as_bytes().get(at + i).copied();
        if let [Some(field), Some(component), Some(repetition)] = [byte(3), byte(4), byte(5)]
            && [field, component, repetition].iter().all(u8::is_ascii_punctuation)
        {
            // In a JSON string the escape character is written twice.
            let twice = byte(6) == Some(b'\\') && byte(7) == Some(b'\\');
            let part = byte(if twice { 8 } else { 7 }).filter(u8::is_ascii_punctuation);
            let part = part.filter(|b| *b != field).unwrap_or(USUAL.part);
            *marks = Marks { field, component, repetition, part };
        } else {
            return;
        }
    }
    let Some(line) = text.get(at..end) else { return };
    let fields = hl7_fields::of(name);
    if fields.is_none() && !name.starts_with('Z') {
        return;
    }
    let mut kind_of_value = "";
    let mut from = at;
    // In a header the separator itself is the first field.
    let first = usize::from(header);
    for (i, field) in line.split(char::from(marks.field)).enumerate() {
        let number = i + first;
        if number == 2 {
            kind_of_value = field;
        }
        let row = fields.unwrap_or_default().iter().find(|(n, _)| *n == number);
        let kind = match row {
            Some((_, Type::Varies)) => value_type(kind_of_value),
            Some((_, kind)) => Some(*kind),
            None => None,
        };
        match kind {
            Some(Type::Text) => push(field, from, Field::Text(Escape::Hl7), out),
            Some(kind) => repeats(field, from, kind, *marks, out),
            None if i > 0 && row.is_none() => untyped(field, from, fields.is_some(), *marks, out),
            None => {}
        }
        from += field.len() + 1;
    }
}

/// What OBX-2 says of OBX-5.
fn value_type(code: &str) -> Option<Type> {
    Some(match code.trim() {
        "TX" | "FT" | "ST" | "" => Type::Text,
        "XPN" | "PN" => Type::Person,
        "XCN" | "CN" | "PPN" | "CNN" => Type::Provider,
        "XAD" | "AD" => Type::Address,
        "XTN" | "TN" => Type::Phone,
        "DT" | "TS" | "DTM" => Type::Date,
        "DR" => Type::Range,
        "CX" | "EI" | "CK" => Type::Id(Class::OtherId),
        "XON" | "HD" => Type::Place,
        "PL" => Type::Location,
        "DLN" => Type::License,
        _ => return None,
    })
}

/// A field that no table lists.
fn untyped(field: &str, start: usize, known: bool, marks: Marks, out: &mut Vec<Value>) {
    let mut at = start;
    let mark = |c: char| {
        u8::try_from(c)
            .is_ok_and(|b| b == marks.component || b == marks.repetition || b == marks.part)
    };
    for part in field.split(mark) {
        if let Some(field) = of_form(part).filter(|f| known || *f == Field::Date) {
            push(part, at, field, out);
        }
        at += part.len() + 1;
    }
}

/// What a value is of which nothing is known but its form: a time, or the name of a code.
fn of_form(part: &str) -> Option<Field> {
    /// `2106-3`, `HL70005`, `125097000`.
    const MAX_CODE: usize = 20;
    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
    let rest = part.get(digits..).unwrap_or_default();
    let zone = rest.is_empty() || rest.starts_with(['+', '-', '.']) && part.len() <= 24;
    let year = part.get(..4).and_then(|y| y.parse::<u32>().ok()).unwrap_or(0);
    if zone && matches!(digits, 8 | 12 | 14) && (1880..2100).contains(&year) {
        return Some(Field::Date);
    }
    let coded = part.len() <= MAX_CODE
        && part.bytes().any(|b| b.is_ascii_digit())
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    coded.then_some(Field::Neutral)
}

fn repeats(field: &str, start: usize, kind: Type, marks: Marks, out: &mut Vec<Value>) {
    let mut at = start;
    for repeat in field.split(char::from(marks.repetition)) {
        components(repeat, at, kind, marks, out);
        at += repeat.len() + 1;
    }
}

fn components(repeat: &str, start: usize, kind: Type, marks: Marks, out: &mut Vec<Value>) {
    let mark = char::from(marks.component);
    let mut at = start;
    // CX-5: the type code says of which kind the identifier is.
    let code = repeat.split(mark).nth(4).unwrap_or_default();
    // An old field of a name with its parts as sub-components, or a newer one.
    let nested = kind == Type::Staff
        && repeat.split(mark).next().is_some_and(|c| c.contains(char::from(marks.part)));
    let kind = if kind == Type::Staff && !nested { Type::Provider } else { kind };
    for (i, component) in repeat.split(mark).enumerate() {
        for (k, (from, part)) in parts(component, at, marks).enumerate() {
            if let Some(field) = field(kind, (i, k), code).or_else(|| of_form(part)) {
                push(part, from, field, out);
            }
        }
        at += component.len() + 1;
    }
}

fn parts(component: &str, start: usize, marks: Marks) -> impl Iterator<Item = (usize, &str)> {
    let mut at = start;
    component.split(char::from(marks.part)).map(move |part| {
        let from = at;
        at += part.len() + 1;
        (from, part)
    })
}

/// What stands in a component and sub-component, both counted from zero.
#[expect(clippy::match_same_arms, reason = "a line for each data type is easier to check")]
fn field(kind: Type, (component, part): (usize, usize), code: &str) -> Option<Field> {
    Some(match (kind, component) {
        (Type::Person, 0..=2 | 14) | (Type::Provider, 1..=3) => Field::Code(Class::Name),
        (Type::Person, 11 | 12) | (Type::Provider, 18..=21) | (Type::Address, 12 | 13) => {
            Field::Date
        }
        (Type::Provider, 0) => Field::Id(Class::License),
        (Type::Provider, 13) | (Type::Id(_) | Type::Key(_), 5) if part == 0 => Field::Place,
        (Type::Staff, 0) if part == 0 => Field::Id(Class::License),
        (Type::Staff, 0) if part <= 3 => Field::Code(Class::Name),
        (Type::Staff, 1 | 2) => Field::Date,
        (Type::Address, 0..=2 | 7..=9) | (Type::Place, 0) => Field::Address,
        // Senders shift the parts of an address, so none is held against its form.
        (Type::Address, 3..=5) | (Type::Delivery, 11..=13) => Field::Region,
        (Type::Address, 18) => Field::NamePart,
        (Type::Address, 19) | (Type::Phone, 8) => Field::Text(Escape::Hl7),
        (Type::Location | Type::Delivery | Type::Staff, 3 | 6) if part == 0 => match component {
            3 => Field::Address,
            _ => Field::Place,
        },
        (Type::Location, 8) => Field::Place,
        (Type::Delivery, 8..=10) => Field::Address,
        (Type::Phone, 0 | 6 | 11) => Field::Phone,
        (Type::Phone, 3) => Field::Code(Class::Email),
        (Type::Phone, 4 | 5 | 7) => Field::Code(Class::Phone),
        (Type::Date, 0) | (Type::Range, 0 | 1) | (Type::Timing, 3 | 4) => Field::Date,
        (Type::Id(class), 0) => Field::Id(of_code(code, class)),
        (Type::Key(class), 0) => Field::Code(of_code(code, class)),
        (Type::License, 0) => Field::Id(Class::License),
        (Type::License, 2 | 3) => Field::Date,
        (Type::Job, 0) => Field::Whole(Class::Profession),
        _ => return None,
    })
}

/// HL7 table 0203, in fields whose position leaves the kind open.
fn of_code(code: &str, class: Class) -> Class {
    if matches!(class, Class::Mrn | Class::OtherId) {
        super::fhir::type_code(code).unwrap_or(class)
    } else {
        class
    }
}

fn push(value: &str, start: usize, field: Field, out: &mut Vec<Value>) {
    // Two quotes say that a value is to be deleted.
    if !value.trim().is_empty() && value != "\"\"" {
        out.push(Value { start, end: start + value.len(), field });
    }
}
