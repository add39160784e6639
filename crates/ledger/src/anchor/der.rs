//! A reader of DER (ITU-T X.690), strict in the form of lengths, integers and truth values.
//!
//! It takes one element after another and never looks into one unasked, so its cost is linear and its
//! depth is that of the code that calls it. A SET may be in any order: OpenSSL writes the certificates
//! of a token unsorted, and everybody accepts them.

/// Bytes that are not DER of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not DER of the expected form")]
pub struct Malformed;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `[n]` around or instead of something primitive.
pub(super) const fn primitive(n: u8) -> u8 {
    0x80 | n
}

/// `[n]` around or instead of something constructed.
pub(super) const fn constructed(n: u8) -> u8 {
    0xa0 | n
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader of what is inside.
    pub(super) const fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is.
    pub(super) fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let whole = self.rest;
        let (&tag, rest) = whole.split_first().ok_or(Malformed)?;
        // Tags of more than one byte stand in none of the structures that are read here.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (&first, rest) = rest.split_first().ok_or(Malformed)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
                let length = bytes.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
                // One length has one form: no leading zero, no long form for what is short.
                if bytes.first() == Some(&0) || length < 0x80 {
                    return Err(Malformed);
                }
                (length, rest)
            }
            // The indefinite form is BER, and more than four gigabytes are no token.
            _ => return Err(Malformed),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        let whole = whole.get(..whole.len() - rest.len()).ok_or(Malformed)?;
        Ok(Element { tag, content, whole })
    }

    /// The next element, of this tag.
    pub(super) fn element(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.any()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed) }
    }

    /// The content of the next element, of this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        Ok(self.element(tag)?.content)
    }

    /// The next element when it is of this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.element(tag).map(Some) } else { Ok(None) }
    }

    /// A reader of what is inside the next element, of this tag.
    pub(super) fn inside(&mut self, tag: u8) -> Result<Self, Malformed> {
        Ok(Self::new(self.take(tag)?))
    }

    /// The bytes of the next INTEGER, in their one form.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Malformed> {
        integer(self.take(INTEGER)?)
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Whether the content of an INTEGER is in its one form (X.690 section 8.3.2).
pub(super) const fn integer(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(Malformed),
        _ => Ok(content),
    }
}

/// A number that is not negative, from the content of an INTEGER.
pub(super) fn unsigned(content: &[u8]) -> Result<u64, Malformed> {
    let content = integer(content)?;
    if content.first().is_some_and(|byte| *byte > 0x7f) || content.len() > 8 {
        return Err(Malformed);
    }
    Ok(content.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// Reads exactly one element of a tag.
pub(super) fn only(bytes: &[u8], tag: u8) -> Result<Reader<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let inside = reader.inside(tag)?;
    reader.end()?;
    Ok(inside)
}

/// A DEFAULT FALSE truth value; DER writes no default, and truth as `ff`.
pub(super) fn truth(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.optional(BOOLEAN)?.map(|it| it.content) {
        None => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(Malformed),
    }
}

/// An object identifier with dots: `1.2.840.113549`.
pub(super) fn dotted(oid: &[u8]) -> Result<String, Malformed> {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0_u64;
    let mut begun = false;
    for byte in oid {
        if !begun && *byte == 0x80 || arc > u64::MAX >> 7 {
            return Err(Malformed);
        }
        arc = arc << 7 | u64::from(byte & 0x7f);
        begun = byte & 0x80 != 0;
        if !begun {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - 40 * first]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    if begun || arcs.is_empty() {
        return Err(Malformed);
    }
    Ok(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// The content of an object identifier that is written with dots.
pub(super) fn from_dotted(text: &str) -> Option<Vec<u8>> {
    let arcs = text.split('.').map(|arc| arc.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let [first, second, rest @ ..] = arcs.as_slice() else { return None };
    if *first > 2 || *first < 2 && *second > 39 {
        return None;
    }
    let mut out = Vec::new();
    for arc in [first.checked_mul(40)?.checked_add(*second)?].iter().chain(rest) {
        let bits = u64::BITS - arc.leading_zeros();
        for group in (0..bits.div_ceil(7).max(1)).rev() {
            let bits = u8::try_from(arc >> (7 * group) & 0x7f).ok()?;
            out.push(if group > 0 { bits | 0x80 } else { bits });
        }
    }
    (dotted(&out).ok().as_deref() == Some(text)).then_some(out)
}

/// Writes an element around content.
pub(super) fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let bytes = length.to_be_bytes();
    let mut out = vec![tag];
    if length < 0x80 {
        out.extend(bytes.last());
    } else {
        let skipped = bytes.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | u8::try_from(bytes.len() - skipped).unwrap_or(8));
        out.extend(bytes.iter().skip(skipped));
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back_as_they_were_written() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let bytes = write(OCTET_STRING, &content);
            let mut reader = Reader::new(&bytes);
            let element = reader.any().unwrap();
            assert_eq!((element.tag, element.content), (OCTET_STRING, content.as_slice()));
            assert_eq!(element.whole, bytes);
            reader.end().unwrap();
        }
    }

    #[test]
    fn other_forms_of_a_length_are_refused() {
        for bytes in [
            &[0x04, 0x80, 0x00, 0x00][..],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x02, 0x00],
            &[0x04],
            &[],
            &[0x1f, 0x01, 0x00],
            &[0x04, 0x85, 0, 0, 0, 0, 1, 0],
        ] {
            assert!(Reader::new(bytes).any().is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn integers_and_truth_have_one_form() {
        assert_eq!(unsigned(&[0]), Ok(0));
        assert_eq!(unsigned(&[0, 0x80]), Ok(128));
        assert_eq!(unsigned(&[0x7f, 0xff]), Ok(32_767));
        for bad in [&[][..], &[0, 1], &[0xff, 0xff], &[0x80], &[1; 9]] {
            assert!(unsigned(bad).is_err(), "{bad:02x?}");
        }
        assert_eq!(truth(&mut Reader::new(&[])), Ok(false));
        assert_eq!(truth(&mut Reader::new(&[1, 1, 0xff])), Ok(true));
        for bad in [&[1, 1, 0][..], &[1, 1, 1], &[1, 2, 0xff, 0xff]] {
            assert!(truth(&mut Reader::new(bad)).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn object_identifiers_are_written_with_dots() {
        for (text, bytes) in [
            ("1.2.840.113549.1.7.2", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2][..]),
            ("2.16.840.1.101.3.4.2.1", &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]),
            ("2.999.3", &[0x88, 0x37, 3]),
            ("0.9", &[9]),
        ] {
            assert_eq!(dotted(bytes).as_deref(), Ok(text));
            assert_eq!(from_dotted(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in [&[][..], &[0x80, 1], &[0x86]] {
            assert!(dotted(bad).is_err(), "{bad:02x?}");
        }
        for bad in ["", "1", "1.40", "3.1", "1.2.", "01.2", "1.x"] {
            assert_eq!(from_dotted(bad), None, "{bad}");
        }
    }
}
