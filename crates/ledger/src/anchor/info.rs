//! What a time stamp says: the `TSTInfo` of RFC 3161 section 2.4.2.

use super::der::{
    self, GENERALIZED_TIME, Malformed, NULL, OCTET_STRING, OID, Reader, SEQUENCE, constructed,
    primitive,
};
use crate::Time;
use aws_lc_rs::digest;

/// SHA-2 as the structures around a token name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];

impl Digest {
    /// Reads an `AlgorithmIdentifier`; parameters are absent or NULL (RFC 5754 section 2).
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        let mut inside = reader.inside(SEQUENCE)?;
        let oid = inside.take(OID)?;
        if let Some(null) = inside.optional(NULL)?
            && !null.content.is_empty()
        {
            return Err(Malformed);
        }
        inside.end()?;
        Ok([(SHA256, Self::Sha256), (SHA384, Self::Sha384), (SHA512, Self::Sha512)]
            .into_iter()
            .find_map(|(known, digest)| (known == oid).then_some(digest)))
    }

    /// The digest of `bytes`.
    pub(super) fn of(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }

    /// The `AlgorithmIdentifier` of SHA-256, as requests carry it.
    pub(super) fn write_sha256() -> Vec<u8> {
        der::write(SEQUENCE, &[der::write(OID, SHA256), der::write(NULL, &[])].concat())
    }
}

/// What a time stamp says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info<'a> {
    pub(super) policy: &'a [u8],
    /// Absent for a digest that is not SHA-2.
    pub(super) digest: Option<Digest>,
    pub(super) imprint: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) time: Time,
    /// In microseconds. Absent means unknown, not zero.
    pub(super) accuracy: Option<u64>,
    pub(super) nonce: Option<&'a [u8]>,
    /// The name of the authority, a `GeneralName`.
    pub(super) name: Option<der::Element<'a>>,
    /// Whether an extension that we do not know must be understood.
    pub(super) unknown_critical: bool,
}

impl<'a> Info<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = der::only(bytes, SEQUENCE)?;
        if der::unsigned(reader.take(der::INTEGER)?)? != 1 {
            return Err(Malformed);
        }
        let policy = reader.take(OID)?;
        let mut of_message = reader.inside(SEQUENCE)?;
        let digest = Digest::read(&mut of_message)?;
        let imprint = of_message.take(OCTET_STRING)?;
        of_message.end()?;
        let serial = reader.integer()?;
        let time = moment(reader.take(GENERALIZED_TIME)?)?;
        let accuracy = reader.optional(SEQUENCE)?.map(|it| accuracy(it.reader())).transpose()?;
        der::truth(&mut reader)?;
        let nonce =
            reader.optional(der::INTEGER)?.map(|it| der::integer(it.content)).transpose()?;
        let name = match reader.optional(constructed(0))? {
            Some(explicit) => {
                let mut inside = explicit.reader();
                let name = inside.any()?;
                inside.end()?;
                Some(name)
            }
            None => None,
        };
        let unknown_critical = match reader.optional(constructed(1))? {
            Some(extensions) => has_critical(extensions.reader())?,
            None => false,
        };
        reader.end()?;
        Ok(Self { policy, digest, imprint, serial, time, accuracy, nonce, name, unknown_critical })
    }
}

/// Whether any extension is critical: none is known here, so none can be honoured.
fn has_critical(mut extensions: Reader<'_>) -> Result<bool, Malformed> {
    let mut critical = false;
    while !extensions.is_empty() {
        let mut extension = extensions.inside(SEQUENCE)?;
        extension.take(OID)?;
        critical |= der::truth(&mut extension)?;
        extension.take(OCTET_STRING)?;
        extension.end()?;
    }
    Ok(critical)
}

/// `Accuracy`: seconds, and 1 to 999 thousandths and millionths of one.
fn accuracy(mut reader: Reader<'_>) -> Result<u64, Malformed> {
    let seconds = reader.optional(der::INTEGER)?.map_or(Ok(0), |it| der::unsigned(it.content))?;
    let mut part = |n| match reader.optional(primitive(n))? {
        None => Ok(0),
        Some(it) => match der::unsigned(it.content)? {
            count @ 1..=999 => Ok(count),
            _ => Err(Malformed),
        },
    };
    let (millis, micros) = (part(0)?, part(1)?);
    reader.end()?;
    seconds
        .checked_mul(1_000_000)
        .and_then(|all| all.checked_add(millis * 1000 + micros))
        .ok_or(Malformed)
}

/// `YYYYMMDDhhmmss[.f...]Z`, as RFC 3161 section 2.4.2 has it; what is finer than a microsecond is
/// cut off.
pub(super) fn moment(text: &[u8]) -> Result<Time, Malformed> {
    let text = text.strip_suffix(b"Z").ok_or(Malformed)?;
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => {
            let (whole, fraction) = text.split_at_checked(at).ok_or(Malformed)?;
            let digits = fraction.get(1..).unwrap_or_default();
            if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
                return Err(Malformed);
            }
            (whole, digits)
        }
        None => (text, &[][..]),
    };
    let mut plain = *b"0000-00-00T00:00:00.000000Z";
    if whole.len() != 14 {
        return Err(Malformed);
    }
    let places = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];
    let pairs = places.into_iter().zip(whole).chain((20..26).zip(fraction));
    for (at, digit) in pairs {
        *plain.get_mut(at).ok_or(Malformed)? = *digit;
    }
    Time::from_plain_text(&plain).ok_or(Malformed)
}

/// `YYMMDDhhmmssZ`, of the years 1950 to 2049 (RFC 5280 section 4.1.2.5.1).
pub(super) fn short_moment(text: &[u8]) -> Result<Time, Malformed> {
    let century: &[u8] = match text.first() {
        Some(b'0'..=b'4') => b"20",
        Some(b'5'..=b'9') => b"19",
        _ => return Err(Malformed),
    };
    moment(&[century, text].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_whole_seconds_or_a_fraction() {
        for (text, micros) in [
            ("19700101000000Z", 0),
            ("19700101000001.5Z", 1_500_000),
            ("19700101000001.123456789Z", 1_123_456),
            ("20261126163311.401Z", 1_795_710_791_401_000),
        ] {
            assert_eq!(moment(text.as_bytes()).map(Time::as_micros), Ok(micros), "{text}");
        }
        for bad in [
            "",
            "Z",
            "19700101000000",
            "197001010000Z",
            "19701301000000Z",
            "19700101000060Z",
            "19700101000000.Z",
            "19700101000000.5",
            "19700101000000+0100",
            "1970010100000xZ",
            "19700101000000.1234567890123456789Z",
        ] {
            assert_eq!(moment(bad.as_bytes()), Err(Malformed), "{bad}");
        }
        assert_eq!(short_moment(b"700101000000Z").map(Time::as_micros), Ok(0));
        assert!(short_moment(b"").is_err());
    }

    #[test]
    fn accuracy_adds_its_parts_up() {
        let of = |bytes: &[u8]| accuracy(Reader::new(bytes));
        assert_eq!(of(&[2, 1, 1, 0x80, 1, 2, 0x81, 1, 3]), Ok(1_002_003));
        assert_eq!(of(&[]), Ok(0));
        assert_eq!(of(&[0x80, 1, 0]), Err(Malformed));
        assert_eq!(of(&[0x80, 2, 3, 0xe8]), Err(Malformed), "1000 thousandths are a second");
        assert_eq!(of(&[0x81, 1, 1, 0x80, 1, 1]), Err(Malformed), "out of order");
    }
}
