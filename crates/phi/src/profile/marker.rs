//! What makes a text look like a clinical document, whether or not it can be taken apart.
//!
//! Coarse on purpose: what looks like a document and was not taken apart is not sent.

use super::words;
use crate::detect::Folded;
use aho_corasick::AhoCorasick;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The name of the member by which a FHIR resource says what it is. Whoever reads a page does not see
/// whether its letters are large.
static RESOURCE_TYPE: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(["resourceType"]).ok()
});

/// The name spaces of FHIR in XML and of CDA, and the root of a CDA document.
const XML: [&str; 4] =
    ["\"http://hl7.org/fhir\"", "'http://hl7.org/fhir'", "urn:hl7-org:v3", "<ClinicalDocument"];

/// Whether a text holds something that begins, or goes on, like a document of a known standard.
///
/// Word processors write other quotes, and what is not seen can stand in a name: the plain form of the
/// text is looked at too. It joins lines, so it is not looked at alone.
pub(super) fn is_in(text: &str) -> bool {
    is_marked(text) || Folded::of(text).is_some_and(|plain| is_marked(&plain.text))
}

fn is_marked(text: &str) -> bool {
    let text = &*unescaped(text);
    // Fail closed: what cannot be looked for counts as there.
    RESOURCE_TYPE.is_none()
        || resource_types(text).next().is_some()
        || header(text).is_some()
        || XML.iter().any(|marker| text.contains(marker))
        || text.split(['\n', '\r']).any(is_segment)
}

/// The text with `\u0041` written out, because a name that is spelled so is the same name in JSON.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u00") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u00") {
        out.push_str(rest.get(..at).unwrap_or_default());
        let code = rest.get(at + 4..at + 6).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = code.filter(u8::is_ascii_alphanumeric) {
            out.push(char::from(byte));
            rest = rest.get(at + 6..).unwrap_or_default();
        } else {
            out.push_str("\\u00");
            rest = rest.get(at + 4..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What follows each `"resourceType":`, in whatever quotes and however often they are escaped.
fn resource_types(text: &str) -> impl Iterator<Item = &str> {
    let quotes = |c: char| matches!(c, '\\' | '"' | '\'' | '`') || c.is_whitespace();
    let names = RESOURCE_TYPE.iter().flat_map(move |name| name.find_iter(text));
    names.filter_map(move |name| {
        let after = text.get(name.end()..)?.trim_start_matches(quotes);
        let value = after.strip_prefix([':', '='])?.trim_start_matches(quotes);
        Some(value.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
    })
}

/// Where the header of an HL7 v2 message stands: `MSH` with its separators.
fn header(text: &str) -> Option<usize> {
    text.match_indices("MSH").map(|(at, _)| at).find(|at| {
        let after = text.as_bytes().get(at + 3..at + 7).unwrap_or_default();
        after.len() == 4 && after.iter().all(u8::is_ascii_punctuation)
    })
}

fn is_segment(line: &str) -> bool {
    let line = line.trim_start_matches(['\u{b}', ' ', '\t']);
    line.as_bytes().get(3) == Some(&b'|')
        && line.get(..3).is_some_and(|name| words::segment(name).is_some())
}

/// How much of a chart a prompt holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chart {
    resources: u64,
    types: BTreeSet<&'static str>,
}

impl Chart {
    /// Counts what a text holds: the resources of FHIR, the entries of CDA and the segments of HL7 v2.
    ///
    /// It counts by marks, not by parsing, so that a document which was cut off or quoted counts like
    /// any other.
    pub fn count(&mut self, text: &str) {
        let plain = Folded::of(text);
        let seen = plain.as_ref().map_or(text, |plain| &plain.text);
        for name in resource_types(&unescaped(seen)) {
            self.resource(name);
        }
        let text = &*unescaped(text);
        self.resources += text.split(['\n', '\r']).filter(|line| is_segment(line)).count() as u64;
        if XML.iter().any(|marker| text.contains(marker)) {
            self.resources += text.matches("<entry").count().max(1) as u64;
        }
    }

    /// Counts one resource.
    pub fn resource(&mut self, name: &str) {
        self.resources += 1;
        self.types.insert(words::resource(name).unwrap_or(words::OTHER));
    }

    /// Resources, entries and segments.
    #[must_use]
    pub const fn resources(&self) -> u64 {
        self.resources
    }

    /// Distinct types of FHIR resources; those that FHIR does not have count as one.
    #[must_use]
    pub fn types(&self) -> u64 {
        self.types.len() as u64
    }
}
