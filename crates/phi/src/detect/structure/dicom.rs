//! DICOM attributes: as text that a dump wrote, as keys of DICOM JSON.
//!
//! What an attribute holds follows its value representation and, for texts, the table of
//! attributes to de-identify (DICOM PS3.15 table E.1-1).

use super::{Field, Value};
use crate::Class;

/// What a dump writes of one attribute is shorter: it cuts long values itself.
const MAX_LINE: usize = 1024;

/// Adds the values of the lines of a dump: `(0010,0010) PN [Lee^Ann]`, `(0010, 0010) … PN: 'Lee^Ann'`.
pub(super) fn values(text: &str, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    for comma in memchr::memchr_iter(b',', bytes) {
        let Some(open) = comma.checked_sub(5) else { continue };
        let space = usize::from(bytes.get(comma + 1) == Some(&b' '));
        let from = comma + 1 + space;
        let shaped = bytes.get(open) == Some(&b'(')
            && bytes.get(from + 4) == Some(&b')')
            && is_hex(bytes.get(open + 1..comma))
            && is_hex(bytes.get(from..from + 4));
        if !shaped {
            continue;
        }
        let (Some(group), Some(element)) = (text.get(open + 1..comma), text.get(from..from + 4))
        else {
            continue;
        };
        let Some(tag) = number(group, element) else { continue };
        let start = from + 5;
        let rest = bytes.get(start..(start + MAX_LINE).min(bytes.len())).unwrap_or_default();
        let end = start + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        attribute(text, tag, (start, end), out);
    }
}

/// The rest of a line after its tag.
fn attribute(text: &str, tag: u32, (start, end): (usize, usize), out: &mut Vec<Value>) {
    let Some(line) = text.get(start..end) else { return };
    let mark = |c: char| matches!(c, '[' | '\'' | '"' | '<');
    let Some(open) = line.find(mark) else { return };
    // `Patient's Name  PN: 'Lee^Ann'`: the apostrophe of the name is no quote.
    let open = if line.get(open..).is_some_and(|l| l.starts_with("'s ")) {
        match line.get(open + 1..).and_then(|l| l.find(mark)) {
            Some(next) => open + 1 + next,
            None => return,
        }
    } else {
        open
    };
    let close = match line.as_bytes().get(open) {
        Some(b'[') => ']',
        Some(b'<') => '>',
        Some(b'"') => '"',
        _ => '\'',
    };
    let head = line.get(..open).unwrap_or_default();
    let vr = head
        .split(|c: char| !c.is_ascii_alphanumeric())
        .rfind(|w| w.len() == 2 && w.bytes().all(|b| b.is_ascii_uppercase()))
        .unwrap_or_default();
    let inner = line.get(open + 1..).unwrap_or_default();
    let Some(len) = inner.rfind(close) else { return };
    if let Some(field) = field(tag, vr) {
        let from = start + open + 1;
        out.push(Value { start: from, end: from + len, field });
    }
}

fn is_hex(part: Option<&[u8]>) -> bool {
    part.is_some_and(|p| p.len() == 4 && p.iter().all(u8::is_ascii_hexdigit))
}

fn number(group: &str, element: &str) -> Option<u32> {
    let high = u32::from_str_radix(group, 16).ok()?;
    let low = u32::from_str_radix(element, 16).ok()?;
    Some(high << 16 | low)
}

/// The tag in a key of DICOM JSON: `00100010`.
pub(super) fn tag_of_key(key: &str) -> Option<u32> {
    let shaped = key.len() == 8 && key.bytes().all(|b| b.is_ascii_hexdigit());
    if shaped { u32::from_str_radix(key, 16).ok() } else { None }
}

/// What an attribute holds, by its tag, else by its value representation.
pub(super) fn field(tag: u32, vr: &str) -> Option<Field> {
    Some(match tag {
        // Referring, performing, reading and requesting persons; the patient's names.
        0x0008_0090 | 0x0008_1048 | 0x0008_1050 | 0x0008_1060 | 0x0008_1070 | 0x0010_0010
        | 0x0010_1001 | 0x0010_1005 | 0x0010_1060 | 0x0010_2297 | 0x0032_1032 | 0x0040_0006
        | 0x0040_A123 | 0x0040_A075 | 0x0040_1010 | 0x0040_2008 | 0x0008_009C => Field::NamePart,
        0x0010_0020 | 0x0010_1000 => Field::Code(Class::Mrn),
        0x0008_0050 | 0x0020_0010 | 0x0040_1001 | 0x0040_2016 | 0x0040_2017 | 0x0040_0253
        | 0x0040_0009 | 0x0010_1090 | 0x0012_0040 | 0x0012_0042 => Field::Code(Class::OtherId),
        0x0038_0010 => Field::Code(Class::Account),
        0x0008_0080 | 0x0008_0081 | 0x0008_0092 | 0x0008_1040 | 0x0010_1040 | 0x0038_0300
        | 0x0038_0400 | 0x0012_0030 | 0x0040_0011 | 0x0040_0243 => Field::Address,
        0x0010_2150 | 0x0010_2152 => Field::Region,
        0x0008_0094 | 0x0010_2154 | 0x0040_2010 => Field::Phone,
        0x0008_1010 | 0x0018_1000 | 0x0018_1002 | 0x0018_1004 | 0x0018_1007 | 0x0040_0241
        | 0x0018_1008 => Field::Code(Class::DeviceId),
        0x0010_2180 => Field::Whole(Class::Profession),
        0x0010_1010 => Field::Code(Class::Age),
        0x0008_0020 | 0x0008_0021 | 0x0008_0022 | 0x0008_0023 | 0x0008_002A | 0x0008_0012
        | 0x0010_0030 | 0x0038_0020 | 0x0038_0030 | 0x0040_0002 | 0x0040_0244 | 0x0040_0250
        | 0x0010_21D0 | 0x0018_1200 | 0x0018_1012 | 0x0032_0032 | 0x0040_A121 | 0x0040_A120 => {
            Field::Date
        }
        // Classes and transfer syntaxes are the standard's own.
        0x0008_0016 | 0x0002_0002 | 0x0002_0010 | 0x0002_0012 | 0x0008_1150 => Field::Technical,
        0x0008_0018 | 0x0002_0003 | 0x0020_000D | 0x0020_000E | 0x0020_0052 | 0x0008_1155
        | 0x0008_0014 | 0x0020_0200 | 0x0040_A124 | 0x0088_0140 | 0x3006_0024 => {
            Field::Code(Class::OtherId)
        }
        _ => match vr {
            "PN" => Field::NamePart,
            "DA" | "DT" => Field::Date,
            "AS" => Field::Code(Class::Age),
            "UI" => Field::Code(Class::OtherId),
            _ => return None,
        },
    })
}
