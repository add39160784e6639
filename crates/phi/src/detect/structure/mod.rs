//! Values in structures, with the names or the places that say what they are.
//!
//! Nothing here is a parser that may refuse: broken input must still yield what can be seen. Each
//! reader passes over the text once, keeps a path of bounded depth, and reports places, not text.

mod decode;
mod dicom;
mod fhir;
mod hl7;
mod hl7_fields;
mod json;
mod mail;
mod markup;
mod pairs;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod x12;

pub(crate) use decode::{Decoded, Escape};

use super::label::{Field, Labels};
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

/// The fields of a text, in the order of their places.
pub(crate) fn values(text: &str, labels: &Labels) -> Vec<Value> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let has = |mark: u8| memchr::memchr(mark, bytes).is_some();
    if has(b'"') && has(b':') {
        json::values(text, labels, &mut out);
    }
    if memchr::memmem::find(bytes, b"</").is_some() || memchr::memmem::find(bytes, b"/>").is_some()
    {
        markup::values(text, labels, &mut out);
    }
    hl7::values(text, &mut out);
    if has(b'(') {
        dicom::values(text, &mut out);
    }
    if has(b'*') || memchr::memmem::find(bytes, b"ISA").is_some() {
        x12::values(text, &mut out);
    }
    table::values(text, labels, &mut out);
    mail::values(text, &mut out);
    pairs::values(text, labels, &mut out);
    if has(b'&') || has(b'%') {
        decode::loose(text, &mut out);
    }
    out.sort_by_key(|v| v.start);
    out
}

/// What a field holds whose name is nothing but a name for it, as over a column.
///
/// There `Attending` names a person, while in a sentence much else can follow it.
fn sure(labels: &Labels, key: &str) -> Option<Field> {
    /// Names of fields that hold names of things too.
    const VAGUE: &[&str] = &[
        "name",
        "names",
        "from",
        "to",
        "cc",
        "bcc",
        "re",
        "attn",
        "contact",
        "person",
        "staff",
        "child",
        "baby",
        "assistant",
        "reporter",
        "operator",
        "user",
        "label",
        "sender",
        "recipient",
    ];
    const HANDLES: &[&str] =
        &["username", "user_name", "userid", "user_id", "uid", "login", "loginid", "login_id"];
    if HANDLES.iter().any(|h| h.eq_ignore_ascii_case(key.trim())) {
        return Some(Field::Code(Class::OtherId));
    }
    let field = labels.of_key(key)?.field;
    let vague = VAGUE.iter().any(|v| v.eq_ignore_ascii_case(key.trim()));
    Some(if field == Field::Name && !vague { Field::Person } else { field })
}
