//! HL7 v2 messages: what stands in which field of which segment.
//!
//! Positions are those of HL7 v2.9 chapters 2, 3, 4, 6, 7 and 10. Segments that are not in the
//! table are read as text by the other layers.

use super::label::Field;
use super::structure::Value;
use crate::Class;

/// The data type of a field, as far as identifiers need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    /// XPN, PN: components of a person's name.
    Person,
    /// XCN: an identifier, then the name.
    Provider,
    /// XAD: components of an address.
    Address,
    /// XTN: a telephone number or an e-mail address.
    Phone,
    /// TS, DTM, DT.
    Date,
    /// CX, EI, ST: an identifier of this class in the first component.
    Id(Class),
    /// PL: a place inside a facility; the facility is its fourth component.
    Location,
    /// XON, ST: the name of an organisation or a place.
    Place,
}

use Type::{Address, Date, Id, Location, Person, Phone, Place, Provider};

type Row = (&'static str, usize, Type);

/// Segment, field, type.
const FIELDS: &[Row] = &[
    ("MSH", 7, Date),
    ("MSH", 4, Place),
    ("MSH", 6, Place),
    ("EVN", 2, Date),
    ("EVN", 3, Date),
    ("EVN", 5, Provider),
    ("EVN", 6, Date),
    ("PID", 2, Id(Class::Mrn)),
    ("PID", 3, Id(Class::Mrn)),
    ("PID", 4, Id(Class::Mrn)),
    ("PID", 5, Person),
    ("PID", 6, Person),
    ("PID", 7, Date),
    ("PID", 9, Person),
    ("PID", 11, Address),
    ("PID", 12, Place),
    ("PID", 13, Phone),
    ("PID", 14, Phone),
    ("PID", 18, Id(Class::Account)),
    ("PID", 19, Id(Class::Ssn)),
    ("PID", 20, Id(Class::License)),
    ("PID", 21, Id(Class::OtherId)),
    ("PID", 23, Place),
    ("PID", 29, Date),
    ("PID", 33, Date),
    ("PD1", 3, Place),
    ("PD1", 4, Provider),
    ("NK1", 2, Person),
    ("NK1", 4, Address),
    ("NK1", 5, Phone),
    ("NK1", 6, Phone),
    ("NK1", 8, Date),
    ("NK1", 9, Date),
    ("NK1", 12, Id(Class::OtherId)),
    ("NK1", 13, Place),
    ("NK1", 16, Date),
    ("NK1", 30, Person),
    ("NK1", 31, Phone),
    ("NK1", 32, Address),
    ("NK1", 33, Id(Class::OtherId)),
    ("NK1", 37, Id(Class::Ssn)),
    ("PV1", 3, Location),
    ("PV1", 5, Id(Class::Account)),
    ("PV1", 6, Location),
    ("PV1", 7, Provider),
    ("PV1", 8, Provider),
    ("PV1", 9, Provider),
    ("PV1", 17, Provider),
    ("PV1", 19, Id(Class::Account)),
    ("PV1", 42, Location),
    ("PV1", 44, Date),
    ("PV1", 45, Date),
    ("PV1", 50, Id(Class::Account)),
    ("PV1", 52, Provider),
    ("PV2", 8, Date),
    ("PV2", 9, Date),
    ("PV2", 13, Provider),
    ("GT1", 2, Id(Class::Account)),
    ("GT1", 3, Person),
    ("GT1", 4, Person),
    ("GT1", 5, Address),
    ("GT1", 6, Phone),
    ("GT1", 7, Phone),
    ("GT1", 8, Date),
    ("GT1", 12, Id(Class::Ssn)),
    ("GT1", 13, Date),
    ("GT1", 14, Date),
    ("GT1", 16, Person),
    ("GT1", 17, Address),
    ("GT1", 18, Phone),
    ("GT1", 19, Id(Class::OtherId)),
    ("GT1", 21, Place),
    ("GT1", 45, Person),
    ("IN1", 2, Id(Class::HealthPlanId)),
    ("IN1", 5, Address),
    ("IN1", 6, Person),
    ("IN1", 7, Phone),
    ("IN1", 8, Id(Class::HealthPlanId)),
    ("IN1", 12, Date),
    ("IN1", 13, Date),
    ("IN1", 16, Person),
    ("IN1", 18, Date),
    ("IN1", 19, Address),
    ("IN1", 24, Date),
    ("IN1", 26, Date),
    ("IN1", 29, Date),
    ("IN1", 30, Provider),
    ("IN1", 36, Id(Class::HealthPlanId)),
    ("IN1", 44, Address),
    ("IN1", 49, Id(Class::HealthPlanId)),
    ("IN2", 1, Id(Class::OtherId)),
    ("IN2", 2, Id(Class::Ssn)),
    ("IN2", 3, Provider),
    ("IN2", 6, Id(Class::HealthPlanId)),
    ("IN2", 8, Id(Class::HealthPlanId)),
    ("IN2", 40, Person),
    ("IN2", 61, Id(Class::HealthPlanId)),
    ("IN2", 63, Phone),
    ("IN2", 64, Phone),
    ("ORC", 2, Id(Class::OtherId)),
    ("ORC", 3, Id(Class::OtherId)),
    ("ORC", 4, Id(Class::OtherId)),
    ("ORC", 9, Date),
    ("ORC", 10, Provider),
    ("ORC", 11, Provider),
    ("ORC", 12, Provider),
    ("ORC", 14, Phone),
    ("ORC", 15, Date),
    ("ORC", 19, Provider),
    ("ORC", 21, Place),
    ("ORC", 22, Address),
    ("ORC", 23, Phone),
    ("ORC", 24, Address),
    ("OBR", 2, Id(Class::OtherId)),
    ("OBR", 3, Id(Class::OtherId)),
    ("OBR", 6, Date),
    ("OBR", 7, Date),
    ("OBR", 8, Date),
    ("OBR", 10, Provider),
    ("OBR", 14, Date),
    ("OBR", 16, Provider),
    ("OBR", 17, Phone),
    ("OBR", 22, Date),
    ("OBR", 28, Provider),
    ("OBR", 32, Provider),
    ("OBR", 33, Provider),
    ("OBR", 34, Provider),
    ("OBR", 35, Provider),
    ("OBR", 36, Date),
    ("OBX", 12, Date),
    ("OBX", 14, Date),
    ("OBX", 16, Provider),
    ("OBX", 19, Date),
    ("OBX", 23, Place),
    ("OBX", 24, Address),
    ("OBX", 25, Provider),
    ("TXA", 4, Date),
    ("TXA", 5, Provider),
    ("TXA", 6, Date),
    ("TXA", 7, Date),
    ("TXA", 8, Date),
    ("TXA", 9, Provider),
    ("TXA", 10, Provider),
    ("TXA", 11, Provider),
    ("TXA", 12, Id(Class::OtherId)),
    ("TXA", 13, Id(Class::OtherId)),
    ("TXA", 22, Provider),
    ("TXA", 23, Provider),
    ("DG1", 5, Date),
    ("DG1", 16, Provider),
    ("DG1", 19, Date),
    ("PR1", 5, Date),
    ("PR1", 8, Provider),
    ("PR1", 11, Provider),
    ("PR1", 12, Provider),
    ("AL1", 6, Date),
    ("IAM", 11, Date),
    ("IAM", 13, Date),
    ("IAM", 14, Person),
    ("ROL", 4, Provider),
    ("ROL", 5, Date),
    ("ROL", 6, Date),
    ("ROL", 11, Address),
    ("ROL", 12, Phone),
    ("SPM", 2, Id(Class::OtherId)),
    ("SPM", 17, Date),
    ("SPM", 18, Date),
    ("SCH", 1, Id(Class::OtherId)),
    ("SCH", 2, Id(Class::OtherId)),
    ("SCH", 11, Date),
    ("SCH", 12, Provider),
    ("SCH", 13, Phone),
    ("SCH", 14, Address),
    ("SCH", 16, Provider),
    ("SCH", 17, Phone),
    ("SCH", 18, Address),
    ("SCH", 20, Provider),
    ("AIP", 3, Provider),
    ("AIP", 6, Date),
    ("AIS", 4, Date),
    ("AIL", 3, Location),
    ("AIL", 6, Date),
    ("AIG", 8, Date),
    ("RXA", 3, Date),
    ("RXA", 4, Date),
    ("RXA", 10, Provider),
    ("RXA", 15, Id(Class::DeviceId)),
    ("RXA", 16, Date),
    ("RXE", 13, Provider),
    ("RXE", 14, Provider),
    ("RXE", 15, Id(Class::OtherId)),
    ("MRG", 1, Id(Class::Mrn)),
    ("MRG", 2, Id(Class::Mrn)),
    ("MRG", 3, Id(Class::Account)),
    ("MRG", 4, Id(Class::Mrn)),
    ("MRG", 7, Person),
    ("ACC", 1, Date),
    ("ACC", 9, Provider),
    ("CTD", 2, Person),
    ("CTD", 3, Address),
    ("CTD", 5, Phone),
    ("PRT", 5, Provider),
    ("PRT", 9, Place),
    ("PRT", 14, Address),
    ("PRT", 15, Phone),
    ("FT1", 4, Date),
    ("FT1", 5, Date),
    ("FT1", 20, Provider),
    ("FT1", 21, Provider),
    ("PRD", 2, Person),
    ("PRD", 3, Address),
    ("PRD", 5, Phone),
    ("PRD", 7, Id(Class::License)),
    ("DB1", 3, Id(Class::OtherId)),
    ("QAK", 1, Id(Class::OtherId)),
];

/// Adds the values of the HL7 v2 segments in a text.
pub(crate) fn values(text: &str, out: &mut Vec<Value>) {
    if !text.contains("MSH|") && !text.contains("PID|") {
        return;
    }
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let len = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        // In JSON strings segments end with an escape.
        let len = memchr::memmem::find(rest.get(..len).unwrap_or_default(), b"\\r").unwrap_or(len);
        let len = memchr::memmem::find(rest.get(..len).unwrap_or_default(), b"\\n").unwrap_or(len);
        segment(text, start, start + len, out);
        start += len + if rest.get(len) == Some(&b'\\') { 2 } else { 1 };
    }
}

fn segment(text: &str, start: usize, end: usize, out: &mut Vec<Value>) {
    let Some(line) = text.get(start..end) else { return };
    let skipped = line.len() - line.trim_start_matches(|c: char| !c.is_ascii_uppercase()).len();
    let Some(line) = line.get(skipped..).filter(|l| l.as_bytes().get(3) == Some(&b'|')) else {
        return;
    };
    let Some(name) = line.get(..3) else { return };
    let mut at = start + skipped;
    // In MSH the separator itself is the first field.
    let first = usize::from(name == "MSH");
    for (i, field) in line.split('|').enumerate() {
        let number = i + first;
        let row = FIELDS.iter().find(|(segment, n, _)| *segment == name && *n == number);
        if let Some((_, _, kind)) = row {
            repeats(field, at, *kind, out);
        }
        at += field.len() + 1;
    }
}

fn repeats(field: &str, start: usize, kind: Type, out: &mut Vec<Value>) {
    let mut at = start;
    for repeat in field.split('~') {
        components(repeat, at, kind, out);
        at += repeat.len() + 1;
    }
}

fn components(repeat: &str, start: usize, kind: Type, out: &mut Vec<Value>) {
    let mut at = start;
    // CX-5: the type code says of which kind the identifier is.
    let code = repeat.split('^').nth(4).unwrap_or_default();
    for (i, component) in repeat.split('^').enumerate() {
        let field = match (kind, i) {
            (Person, 0..=2) | (Provider, 1..=3) => Some(Field::NamePart),
            (Provider, 0) => Some(Field::Id(Class::License)),
            (Address, 0..=2 | 7) | (Location, 3) | (Place, 0) => Some(Field::Address),
            (Address, 3) => Some(Field::State),
            (Address, 4) => Some(Field::Zip),
            (Phone, 0 | 6 | 11) => Some(Field::Phone),
            (Phone, 3) => Some(Field::Whole(Class::Email)),
            (Date, 0) => Some(Field::Date),
            (Id(class), 0) => Some(Field::Id(match code {
                "SS" => Class::Ssn,
                "DL" | "LN" => Class::License,
                _ => class,
            })),
            _ => None,
        };
        if let Some(field) = field {
            sub_components(component, at, field, out);
        }
        at += component.len() + 1;
    }
}

fn sub_components(component: &str, start: usize, field: Field, out: &mut Vec<Value>) {
    let mut at = start;
    for part in component.split('&') {
        if !part.trim().is_empty() && part != "\"\"" {
            out.push(Value { start: at, end: at + part.len(), field });
        }
        at += part.len() + 1;
    }
}
