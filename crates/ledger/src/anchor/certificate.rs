//! What webpki does not tell of a certificate (RFC 5280 section 4.1).

use super::der::{
    self, BIT_STRING, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE,
    SET, UTC_TIME, constructed,
};
use super::info;
use crate::Time;

const KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const OTHER_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// `id-kp-timeStamping`, 1.3.6.1.5.5.7.3.8.
pub(super) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// A certificate, taken apart as far as the check of a token needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'a> {
    pub(super) whole: &'a [u8],
    pub(super) serial: &'a [u8],
    /// A `Name` with its tag.
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_after: Time,
    pub(super) key_identifier: Option<&'a [u8]>,
    /// The `GeneralNames` of the subject beside its name.
    other_names: Option<&'a [u8]>,
    /// Whether the extended key usage is critical, and its purposes.
    usage: Option<(bool, &'a [u8])>,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(whole: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = der::only(whole, SEQUENCE)?;
        let mut reader = outer.inside(SEQUENCE)?;
        outer.element(SEQUENCE)?;
        outer.take(BIT_STRING)?;
        outer.end()?;
        // Version 3, which alone has extensions.
        let mut version = reader.inside(constructed(0))?;
        if der::unsigned(version.take(INTEGER)?)? != 2 {
            return Err(Malformed);
        }
        let serial = reader.integer()?;
        reader.element(SEQUENCE)?;
        let issuer = reader.element(SEQUENCE)?.whole;
        let mut validity = reader.inside(SEQUENCE)?;
        moment(&mut validity)?;
        let not_after = moment(&mut validity)?;
        validity.end()?;
        let subject = reader.element(SEQUENCE)?.whole;
        reader.element(SEQUENCE)?;
        let mut this = Self {
            whole,
            serial,
            issuer,
            subject,
            not_after,
            key_identifier: None,
            other_names: None,
            usage: None,
        };
        while let Some(tag) = reader.any().ok().map(|it| (it.tag, it)) {
            if tag.0 == constructed(3) {
                let mut explicit = tag.1.reader();
                this.extensions(explicit.inside(SEQUENCE)?)?;
                explicit.end()?;
            }
        }
        Ok(this)
    }

    fn extensions(&mut self, mut list: Reader<'a>) -> Result<(), Malformed> {
        while !list.is_empty() {
            let mut extension = list.inside(SEQUENCE)?;
            let oid = extension.take(OID)?;
            let critical = der::truth(&mut extension)?;
            let value = extension.take(OCTET_STRING)?;
            extension.end()?;
            match oid {
                KEY_IDENTIFIER => {
                    let mut reader = Reader::new(value);
                    self.key_identifier = Some(reader.take(OCTET_STRING)?);
                    reader.end()?;
                }
                OTHER_NAMES => self.other_names = Some(value),
                EXTENDED_KEY_USAGE => self.usage = Some((critical, value)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the certificate is for time stamps and nothing else, and says so critically (RFC 3161
    /// section 2.3).
    pub(super) fn is_for_time_stamps_only(&self) -> bool {
        let only = |value| {
            let mut purposes = der::only(value, SEQUENCE)?;
            let first = purposes.take(OID)?;
            purposes.end()?;
            Ok::<_, Malformed>(first == TIME_STAMPING)
        };
        self.usage.is_some_and(|(critical, value)| critical && only(value) == Ok(true))
    }

    /// Whether the subject has this `GeneralName`.
    pub(super) fn is_named(&self, name: der::Element<'_>) -> bool {
        let directory = name.tag == constructed(4) && name.content == self.subject;
        let other = self.other_names.and_then(|names| der::only(names, SEQUENCE).ok());
        let beside = other.is_some_and(|mut names| {
            std::iter::from_fn(|| names.any().ok()).any(|it| it.whole == name.whole)
        });
        directory || beside
    }

    /// The common name of the subject, else its organisation, for people.
    pub(super) fn called(&self) -> String {
        const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
        const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
        let of = |kind| {
            let mut name = der::only(self.subject, SEQUENCE).ok()?;
            std::iter::from_fn(|| name.inside(SET).ok()).find_map(|mut set| {
                let mut pair = set.inside(SEQUENCE).ok()?;
                let is = pair.take(OID).ok()? == kind;
                let value = pair.any().ok()?.content;
                is.then(|| String::from_utf8_lossy(value).into_owned())
            })
        };
        let name = of(COMMON_NAME).or_else(|| of(ORGANISATION)).unwrap_or_default();
        name.chars().filter(|c| !c.is_control()).collect()
    }
}

fn moment(reader: &mut Reader<'_>) -> Result<Time, Malformed> {
    let element = reader.any()?;
    match element.tag {
        UTC_TIME => info::short_moment(element.content),
        GENERALIZED_TIME => info::moment(element.content),
        _ => Err(Malformed),
    }
}
