//! X12 interchanges: what stands in which element of which segment.
//!
//! Elements are those of the HIPAA guides 270/271, 276/277, 278, 820, 834, 835 and 837 (version
//! 5010). The header declares the separators; a piece without its header is read with the usual ones.

use super::decode::Escape;
use super::{Field, Value};
use crate::Class;

/// What separates elements, segments, components and repetitions.
#[derive(Clone, Copy)]
struct Marks {
    element: u8,
    segment: u8,
    component: u8,
    repetition: u8,
}

const USUAL: Marks = Marks { element: b'*', segment: b'~', component: b':', repetition: b'^' };
/// A segment with more elements is data of another kind.
const MAX_ELEMENTS: usize = 64;

/// Adds the values of the X12 segments in a text.
pub(super) fn values(text: &str, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let header = memchr::memmem::find_iter(bytes, b"ISA").find_map(|at| marks(bytes, at));
    let marks = match header {
        Some(marks) => marks,
        // Two segments of the usual form: a piece of an interchange.
        None if is_piece(bytes) => USUAL,
        None => return,
    };
    let mut start = 0;
    for end in memchr::memchr2_iter(marks.segment, b'\n', bytes).chain([bytes.len()]) {
        segment(text, start, end, marks, out);
        start = end + 1;
    }
}

/// The separators that an interchange header declares by their places (X12.5): its elements have
/// fixed widths.
fn marks(bytes: &[u8], at: usize) -> Option<Marks> {
    let byte = |i: usize| bytes.get(at + i).copied();
    let element = byte(3).filter(u8::is_ascii_punctuation)?;
    if byte(6) != Some(element) || byte(103) != Some(element) {
        // A header whose blanks were lost still shows its element separator.
        let line = bytes.get(at..(at + 160).min(bytes.len()))?;
        let usual =
            element == USUAL.element && memchr::memchr_iter(element, line).nth(14).is_some();
        return usual.then_some(USUAL);
    }
    let repetition = byte(82).filter(u8::is_ascii_punctuation).unwrap_or(USUAL.repetition);
    let component = byte(104).filter(u8::is_ascii_punctuation).unwrap_or(USUAL.component);
    // A line break may end segments.
    let segment = byte(105).filter(|b| !b.is_ascii_alphanumeric()).unwrap_or(USUAL.segment);
    Some(Marks { element, segment, component, repetition })
}

fn is_piece(bytes: &[u8]) -> bool {
    const SIGNS: &[&[u8]] = &[
        b"NM1*", b"DMG*", b"DTP*", b"REF*", b"CLM*", b"SBR*", b"INS*", b"N3*", b"N4*", b"BHT*",
        b"CLP*", b"PER*", b"HL*", b"N1*", b"GS*",
    ];
    memchr::memchr(b'*', bytes).is_some()
        && memchr::memchr(b'~', bytes).is_some()
        && SIGNS.iter().filter(|s| memchr::memmem::find(bytes, s).is_some()).count() >= 2
}

fn segment(text: &str, start: usize, end: usize, marks: Marks, out: &mut Vec<Value>) {
    let Some(raw) = text.get(start..end) else { return };
    let line = raw.trim_start_matches(|c: char| !c.is_ascii_uppercase());
    let name = line.split(char::from(marks.element)).next().unwrap_or_default();
    if SEGMENTS.binary_search(&name).is_err() {
        return;
    }
    let mut at = start + raw.len() - line.len();
    let mut elements = [""; MAX_ELEMENTS];
    let mut places = [0; MAX_ELEMENTS];
    let mut count = 0;
    for (element, (slot, place)) in
        line.split(char::from(marks.element)).zip(elements.iter_mut().zip(places.iter_mut()))
    {
        *slot = element;
        *place = at;
        at += element.len() + 1;
        count += 1;
    }
    let elements = elements.get(..count).unwrap_or_default();
    let element = |i: usize| elements.get(i).map_or("", |e| e.trim());
    // What the table does not list is a code, and separators do not join codes to numbers.
    let mut codes = places.first().copied().unwrap_or(start);
    for (i, (value, place)) in elements.iter().zip(places).enumerate().skip(1) {
        let Some(field) = field(name, i, &element) else { continue };
        if let Field::Text(_) = field {
            out.push(Value { start: codes, end: place, field: Field::Technical });
            codes = place + value.len();
        }
        push(value, place, field, marks, out);
    }
    out.push(Value { start: codes, end, field: Field::Technical });
}

/// Segments whose elements are all known.
const SEGMENTS: &[&str] = &[
    "AAA", "ACT", "AMT", "BGN", "BHT", "BPR", "CAS", "CLM", "CLP", "CN1", "COB", "CR1", "CR2",
    "CR6", "CRC", "CTP", "DMG", "DTM", "DTP", "EB", "EC", "ENT", "EQ", "GE", "GS", "HCR", "HD",
    "HI", "HL", "HLH", "HSD", "ICM", "IDC", "IEA", "III", "INS", "ISA", "K3", "LE", "LIN", "LQ",
    "LS", "LUI", "LX", "MIA", "MOA", "MSG", "N1", "N2", "N3", "N4", "NM1", "NTE", "OI", "PAT",
    "PER", "PLB", "PRV", "PS1", "PWK", "QTY", "REF", "RMR", "SBR", "SE", "ST", "STC", "SV1", "SV2",
    "SV3", "SV5", "SVC", "SVD", "TOO", "TRN", "TS3", "UM",
];

/// Adds an element, component by component.
fn push(value: &str, start: usize, field: Field, marks: Marks, out: &mut Vec<Value>) {
    let whole = matches!(field, Field::Text(_) | Field::Address | Field::Code(Class::Name));
    let mut at = start;
    for part in value.split(|c: char| {
        !whole && u8::try_from(c).is_ok_and(|b| b == marks.component || b == marks.repetition)
    }) {
        if field == Field::Date {
            dates(part, at, out);
        } else if !part.trim().is_empty() {
            out.push(Value { start: at, end: at + part.len(), field });
        }
        at += part.len() + 1;
    }
}

/// `20240314`, `20240314-20240316`, `240314`, `202403140830`.
fn dates(part: &str, start: usize, out: &mut Vec<Value>) {
    let mut at = start;
    for date in part.split('-') {
        let bare = date.trim();
        if matches!(bare.len(), 6 | 8 | 12 | 14) && bare.bytes().all(|b| b.is_ascii_digit()) {
            out.push(Value { start: at, end: at + date.len(), field: Field::Code(Class::Date) });
        }
        at += date.len() + 1;
    }
}

/// What an element holds; `e` gives the other elements of its segment.
#[expect(clippy::match_same_arms, reason = "a line for each segment is easier to check")]
#[expect(clippy::unnested_or_patterns, reason = "segment and element belong together")]
fn field<'a>(segment: &str, i: usize, e: &dyn Fn(usize) -> &'a str) -> Option<Field> {
    let code = |class| Some(Field::Code(class));
    match (segment, i) {
        ("NM1", 3..=5 | 12) | ("N1", 2) | ("N2", 1 | 2) => Some(party(segment, i, e)),
        ("NM1", 9) => code(id_of(e(8))),
        ("N1", 4) => code(id_of(e(3))),
        ("N3", 1 | 2) | ("N4", 1) => Some(Field::Address),
        ("N4", 2..=4 | 6 | 7) => Some(Field::Region),
        ("ISA", 9) | ("GS", 4) | ("BHT", 4) | ("BGN", 3) => Some(Field::Date),
        ("DMG", 2) | ("DTP", 3) | ("DTM", 2 | 6) | ("INS", 12) | ("PAT", 6) => Some(Field::Date),
        ("BPR", 16) | ("TS3", 3) | ("PLB", 2) | ("HCR", 3) => Some(Field::Date),
        ("CR6", 2 | 4 | 7 | 9 | 15) => Some(Field::Date),
        // A procedure or an occurrence with its date: `BR:8154:D8:20240314`.
        ("HI", _) => e(i).contains("D8").then_some(Field::Date),
        ("REF", 2) => code(reference(e(1))),
        ("REF", 3) => Some(Field::Text(Escape::Hl7)),
        ("PER", 2) => (!is_desk(e(2))).then_some(Field::Code(Class::Name)),
        ("PER", 4 | 6 | 8) => Some(match e(i - 1) {
            "FX" => Field::Code(Class::Fax),
            "EM" | "UR" => Field::Contact,
            _ => Field::Code(Class::Phone),
        }),
        ("CLM", 1) | ("CLP", 1) | ("ACT", 1) => code(Class::Account),
        ("BPR", 7 | 9 | 13 | 15) => code(Class::Account),
        ("CLP", 7) | ("TRN", 2) | ("BHT", 3) | ("BGN", 2) => code(Class::OtherId),
        ("SBR", 3) | ("COB", 2) | ("IDC", 3) => code(Class::HealthPlanId),
        ("SBR", 4) => Some(Field::Address),
        ("TS3", 1) | ("PLB", 1) | ("PS1", 1) => Some(Field::Id(Class::License)),
        ("PWK", 6) | ("HCR", 2) | ("BPR", 10) | ("TRN", 3) => Some(Field::Id(Class::OtherId)),
        ("ISA", 6 | 8) | ("GS", 2 | 3) => Some(Field::Id(Class::OtherId)),
        ("NTE", 2) | ("K3", 1) | ("MSG", 1) => Some(Field::Text(Escape::Hl7)),
        _ => None,
    }
}

/// Whether a contact is a desk, not a person.
fn is_desk(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "SERVICE",
        "SERVICES",
        "DEPT",
        "DEPARTMENT",
        "CENTER",
        "BILLING",
        "CUSTOMER",
        "SUPPORT",
        "OFFICE",
        "HELP",
        "DESK",
        "CLAIMS",
        "PROVIDER",
        "RELATIONS",
        "EDI",
        "MEMBER",
        "TECHNICAL",
    ];
    name.split(' ').any(|word| WORDS.iter().any(|w| w.eq_ignore_ascii_case(word)))
}

/// Whose name stands in NM1, N1 and N2.
fn party<'a>(segment: &str, i: usize, e: &dyn Fn(usize) -> &'a str) -> Field {
    match (segment, e(2)) {
        // NM102 tells people from the rest.
        ("NM1", "1") => Field::Code(Class::Name),
        ("NM1", _) if i == 3 || i == 12 => Field::Address,
        ("NM1", _) => Field::Code(Class::Name),
        ("N1", _) if matches!(e(1), "IL" | "QC" | "74" | "S3" | "GD") => Field::Code(Class::Name),
        _ => Field::Address,
    }
}

/// The class of NM109 and N104 by the code before it (X12 element 66).
fn id_of(code: &str) -> Class {
    match code {
        "34" | "SY" => Class::Ssn,
        "MI" | "HN" | "II" | "N" | "C1" | "MC" | "MR" => Class::HealthPlanId,
        "XX" | "SV" | "FA" | "BD" | "BS" => Class::License,
        _ => Class::OtherId,
    }
}

/// The class of REF02 by the code before it (X12 element 128).
fn reference(code: &str) -> Class {
    match code {
        "SY" => Class::Ssn,
        "EA" => Class::Mrn,
        "EJ" => Class::Account,
        "0F" | "1L" | "1W" | "IG" | "6P" | "23" | "NQ" | "F6" | "HJ" | "17" | "3H" | "CE"
        | "18" | "49" | "Q4" | "CT" | "MRC" | "6O" => Class::HealthPlanId,
        "0B" | "1A" | "1B" | "1C" | "1D" | "1G" | "1H" | "1J" | "G2" | "LU" | "HPI" | "XX"
        | "X4" | "N5" | "N7" | "PXC" | "D3" | "B3" | "ZZ" => Class::License,
        "XM" | "SE" | "LT" => Class::DeviceId,
        _ => Class::OtherId,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stand_in_the_order_in_which_they_are_searched() {
        assert!(SEGMENTS.is_sorted());
    }
}
