//! What stands in a field of a structure: the field says what it is, the form says how much of it.

use super::date;
use super::field::{is_place_value, whole};
use super::label::Field;
use super::lexicon::Lexicon;
use super::name::{self, Certainty};
use super::number::finding;
use super::shape::Bytes;
use super::structure::Value;
use super::token::{Block, Kind};
use super::{cue, place};
use crate::{Class, Finding};

/// Longer values of an identifier field are text.
const MAX_ID: usize = 64;
/// Longer values of a field of places are text.
const MAX_PLACE: usize = 120;
/// Values of a field of given names or surnames that say that there is none. `Will` is a name here.
const NO_NAME: &[&str] = &[
    "unknown",
    "none",
    "null",
    "nil",
    "na",
    "n/a",
    "unspecified",
    "anonymous",
    "redacted",
    "unavailable",
    "undefined",
    "true",
    "false",
    "not available",
    "not applicable",
    "not provided",
    "not on file",
    "same as above",
    "self",
    "tbd",
    "pending",
    "refused",
    "declined",
];

/// Finds what stands in a field.
pub(crate) fn find(block: &Block<'_>, lexicon: &Lexicon, value: Value, out: &mut Vec<Finding>) {
    let Some(read) = Read::of(block, value) else { return };
    match value.field {
        Field::Person if read.reads_as_name() => {
            read.push(Class::Name, 95, "name.field", "field of a name", out);
        }
        Field::Name | Field::Person | Field::NamePart | Field::NameOrPlace => {
            read.name(lexicon, value.field, out);
        }
        Field::Date => read.date(out),
        Field::Age if read.digits > 0 && read.text.len() <= 4 => {
            read.push(Class::Age, 93, "age.field", "field of an age", out);
        }
        Field::Id(class) => read.id(class, out),
        Field::Code(Class::Name) if read.text.len() <= MAX_ID && !read.is_nothing() => {
            read.push(Class::Name, 97, "name.field", "field of a name", out);
        }
        Field::Code(class) if read.text.len() <= MAX_ID && !read.is_nothing() => {
            read.push(class, 96, "id.field", "field of an identifier", out);
        }
        Field::Reference => read.reference(out),
        Field::Phone => read.phone(Class::Phone, out),
        Field::Fax => read.phone(Class::Fax, out),
        Field::Contact => read.contact(out),
        Field::Address if read.text.len() <= MAX_PLACE && !read.is_nothing() => {
            read.push(Class::Location, 95, "place.field", "field of a place", out);
        }
        Field::Place
            if read.text.len() <= MAX_PLACE
                && is_place_value(block, lexicon, read.first, read.end) =>
        {
            place::whole_value(block, read.first, read.end, 93, out);
        }
        Field::Zip if read.digits >= 3 && read.text.len() <= 12 => {
            read.push(Class::Location, 95, "zip.field", "field of a ZIP code", out);
        }
        Field::State if read.is_state() => {
            read.push(Class::Location, 60, "state.field", "field of a state", out);
        }
        Field::Region if read.text.len() <= MAX_ID && !read.is_nothing() => {
            read.push(Class::Location, 90, "state.field", "state or country of an address", out);
        }
        Field::Position if read.digits >= 3 && read.text.len() <= 24 => {
            read.push(Class::Location, 90, "place.position", "degrees of a place", out);
        }
        Field::File => read.file(lexicon, out),
        Field::Whole(class) => whole(block, read.first, read.end, class, out),
        Field::Age
        | Field::Code(_)
        | Field::Zip
        | Field::State
        | Field::Region
        | Field::Position
        | Field::Address
        | Field::Place
        | Field::Neutral
        | Field::Technical
        | Field::Text(_)
        | Field::Unknown => {}
    }
}

/// A value without the space around it.
struct Read<'b, 'a> {
    block: &'b Block<'a>,
    /// Its first token, and the token after its last.
    first: usize,
    end: usize,
    span: (usize, usize),
    text: &'a str,
    digits: usize,
}

impl<'b, 'a> Read<'b, 'a> {
    fn of(block: &'b Block<'a>, value: Value) -> Option<Self> {
        let whole = block.text.get(value.start..value.end)?;
        let left = whole.trim_start();
        let start = value.start + whole.len() - left.len();
        let text = left.trim_end();
        let (first, end) = (block.token_at(start), block.token_at(start + text.len()));
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let span = (start, start + text.len());
        (first < end).then_some(Self { block, first, end, span, text, digits })
    }

    fn push(
        &self,
        class: Class,
        percent: u8,
        recogniser: &'static str,
        why: &'static str,
        out: &mut Vec<Finding>,
    ) {
        out.push(finding(self.span, class, percent, recogniser, why));
    }

    /// Whether the value says that there is none, or is made of marks alone.
    fn is_nothing(&self) -> bool {
        NO_NAME.iter().any(|n| n.eq_ignore_ascii_case(self.text))
            || !self.text.chars().any(char::is_alphanumeric)
    }

    fn name(&self, lexicon: &Lexicon, field: Field, out: &mut Vec<Finding>) {
        let letters = self.text.chars().any(char::is_alphabetic);
        let short = letters && !self.is_nothing();
        if field == Field::NamePart {
            if short && self.text.len() <= MAX_ID {
                self.push(Class::Name, 97, "name.field", "field of a name", out);
            }
            return;
        }
        let certain = if matches!(field, Field::Name | Field::Person) {
            Certainty::Field
        } else {
            Certainty::Header
        };
        let before = out.len();
        name::in_field(self.block, lexicon, self.first, self.end, certain, out);
        let named = out.get(before).is_some_and(|f| f.end + 2 >= self.span.1);
        if field == Field::NameOrPlace && !named && short && self.text.len() <= MAX_PLACE {
            self.push(Class::Location, 80, "place.field", "field of a place", out);
        }
    }

    /// `Lee, Ann M.`, `de la Cruz`: a few words, each written as a name is.
    fn reads_as_name(&self) -> bool {
        const MAX_WORDS: usize = 5;
        let mut words = 0;
        let written = (self.first..self.end).all(|k| {
            let token = self.block.at(k);
            words += usize::from(token.kind == Kind::Word);
            match token.kind {
                Kind::Word => !token.is_lower() || token.is(cue::PARTICLE | cue::SUFFIX),
                Kind::Mark(m) => matches!(m, b'.' | b',' | b'-' | b'\'' | b'^'),
                Kind::Possessive | Kind::Digits | Kind::Mixed | Kind::Edge => false,
            }
        });
        let nothing = self.block.word_is(self.first, name::NO_VALUE) && words < 2;
        written && (1..=MAX_WORDS).contains(&words) && !nothing && !self.is_nothing()
    }

    fn date(&self, out: &mut Vec<Finding>) {
        let b = Bytes(self.block.text.as_bytes());
        let start = self.span.0;
        let stop = date::numeric(b, start).map(|n| n.end).or_else(|| date::compact(b, start));
        // A year alone is no identifier by law, but what a source keeps in a field of a date is
        // a birth as often as not, and the year of a birth tells an age over 89.
        let year = || (self.text.len() == 4 && self.digits == 4).then_some(self.span.1);
        // `20240314T083000Z`: the time of day belongs to the date.
        let timed = |stop: usize| {
            let rest = self.block.text.get(stop..self.span.1).unwrap_or_default();
            let clock = rest.bytes().all(|b| b.is_ascii_digit() || b"T:+-.Z".contains(&b));
            if rest.starts_with('T') && clock { self.span.1 } else { stop }
        };
        if let Some(stop) = stop.map(timed).or_else(year).filter(|s| *s <= self.span.1) {
            out.push(finding((start, stop), Class::Date, 96, "date.field", "field of a date"));
        }
    }

    fn id(&self, class: Class, out: &mut Vec<Finding>) {
        if self.text.len() > MAX_ID {
            return;
        }
        if self.digits > 0 && !self.text.contains(' ') {
            self.push(class, 96, "id.field", "field of an identifier", out);
        } else if self.digits >= 4 && self.text.split(' ').count() <= 4 {
            self.push(class, 75, "id.field", "field of an identifier", out);
        }
    }

    /// `Patient/8812`, `urn:uuid:…`, `https://a.example/fhir/Patient/8812/_history/1`.
    fn reference(&self, out: &mut Vec<Finding>) {
        if self.text.starts_with('#') || self.text.len() > 256 {
            return;
        }
        let path = self.text.split("/_history").next().unwrap_or_default();
        let from = path.rfind(['/', ':']).map_or(0, |at| at + 1);
        let id = path.get(from..).unwrap_or_default();
        if id.len() <= MAX_ID && id.bytes().any(|b| b.is_ascii_digit()) {
            let span = (self.span.0 + from, self.span.0 + path.len());
            out.push(finding(span, Class::OtherId, 90, "id.field", "reference to a resource"));
        }
    }

    /// `Lee_Ann_19620314_MRI`: names beside each other, dates, long numbers.
    fn file(&self, lexicon: &Lexicon, out: &mut Vec<Finding>) {
        let bytes = Bytes(self.block.text.as_bytes());
        let bears = |k: usize| {
            let entry = lexicon.word_at(self.block, k);
            let name = entry.given() >= 3 || entry.surname() >= 3;
            self.block.at(k).kind == Kind::Word && name && !entry.is_medical()
        };
        // Two ordinary words are a name only with capitals: `Bell_Rose`, not `may_day`.
        let pair = |k: usize| {
            let capital = self.block.at(k).is_capital() && self.block.at(k + 2).is_capital();
            let rare = |k: usize| lexicon.word_at(self.block, k).word() < 5;
            bears(k) && bears(k + 2) && (capital || rare(k) || rare(k + 2))
        };
        let mut k = self.first;
        while k < self.end {
            let token = self.block.at(k);
            let beside = k + 2 < self.end && self.block.at(k + 1).is_any_mark(b"_-^. ");
            if beside && pair(k) {
                let span = (token.start, self.block.at(k + 2).end);
                out.push(finding(
                    span,
                    Class::Name,
                    80,
                    "name.file",
                    "names in the name of a file",
                ));
                k += 2;
            } else if token.kind == Kind::Digits {
                let len = token.end - token.start;
                if len == 8 && date::compact(bytes, token.start) == Some(token.end) {
                    let span = (token.start, token.end);
                    out.push(finding(
                        span,
                        Class::Date,
                        80,
                        "date.file",
                        "date in the name of a file",
                    ));
                } else if len >= 6 {
                    let span = (token.start, token.end);
                    out.push(finding(
                        span,
                        Class::OtherId,
                        62,
                        "id.file",
                        "number in the name of a file",
                    ));
                }
            }
            k += 1;
        }
    }

    fn phone(&self, class: Class, out: &mut Vec<Finding>) {
        if self.text.contains('@') {
            self.contact(out);
        } else if (4..=20).contains(&self.digits) && is_telephone(self.text) {
            self.push(class, 95, "phone.field", "field of a telephone number", out);
        }
    }

    fn contact(&self, out: &mut Vec<Finding>) {
        let class = if self.text.contains('@') {
            Class::Email
        } else if self.text.contains("://") || self.text.starts_with("www.") {
            Class::Url
        } else if self.text.starts_with("fax:") {
            Class::Fax
        } else {
            Class::Phone
        };
        let bare = self.digits == 0 && matches!(class, Class::Phone | Class::Fax);
        if self.text.len() <= 256 && !self.text.contains(char::is_whitespace) && !bare {
            self.push(class, 96, "contact.field", "field of a contact", out);
        } else if class == Class::Phone {
            self.phone(class, out);
        }
    }

    /// A state by name or code, or a country: `CA`, `New York`, `Canada`, `USA`.
    fn is_state(&self) -> bool {
        if self.text.len() > 30 || self.digits > 0 {
            return false;
        }
        let mut words = 0;
        let known = (self.first..self.end).all(|k| {
            words += 1;
            let token = self.block.at(k);
            token.is(cue::STATE | cue::NATION | cue::JOINER)
                || token.is_mark(b'.')
                || self.block.word_is(k, STATE_WORDS)
        });
        known && words <= 6
            || (self.text.len() == 2 && self.text.bytes().all(|b| b.is_ascii_uppercase()))
    }
}

/// Words of the names of states and countries that mean something else alone.
const STATE_WORDS: &[&str] = &[
    "new",
    "north",
    "south",
    "west",
    "york",
    "hampshire",
    "jersey",
    "mexico",
    "carolina",
    "dakota",
    "rhode",
    "island",
    "district",
    "columbia",
    "puerto",
    "rico",
    "zealand",
    "united",
    "states",
    "kingdom",
    "republic",
    "guam",
    "virgin",
    "islands",
    "samoa",
    "american",
    "arabia",
    "saudi",
    "ontario",
    "quebec",
    "alberta",
    "manitoba",
    "nova",
    "scotia",
    "british",
];

/// Digits and the marks between them, at most an extension beside: not `BP 120/80, HR 72`.
fn is_telephone(text: &str) -> bool {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let marks = text.chars().all(|c| c.is_alphanumeric() || " ()+-./:#,".contains(c));
    text.len() <= MAX_ID && marks && (letters <= 3 || text.starts_with("tel:"))
}
