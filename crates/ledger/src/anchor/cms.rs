//! The envelope of a token: CMS `SignedData` (RFC 5652 section 5), as RFC 3161 section 2.4.2 narrows it.

use super::der::{
    self, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, primitive,
};
use super::info::Digest;

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const SIGNING_CERTIFICATE_V2: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];

/// A signed token, taken apart. Nothing in it is believed yet.
#[derive(Clone, Debug)]
pub(super) struct Signed<'a> {
    /// The `TSTInfo`, as it was signed.
    pub(super) content: &'a [u8],
    /// The certificates that the token carries, in its order.
    pub(super) certificates: Vec<&'a [u8]>,
    pub(super) signer: Signer<'a>,
}

/// Who signed, by what, and over what.
#[derive(Clone, Debug)]
pub(super) struct Signer<'a> {
    pub(super) sid: Sid<'a>,
    /// Absent for a digest that is not SHA-2.
    pub(super) digest: Option<Digest>,
    /// The signed attributes under the tag under which they were signed.
    pub(super) signed_bytes: Vec<u8>,
    pub(super) message_digest: &'a [u8],
    /// The certificates that the signer names, its own first.
    pub(super) named: Vec<CertificateId<'a>>,
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// Which certificate the envelope says is the signer's. It is not signed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sid<'a> {
    Issuer { issuer: &'a [u8], serial: &'a [u8] },
    Key(&'a [u8]),
}

/// A certificate by its digest: `ESSCertID` (RFC 2634 section 5.4.1, SHA-1) or `ESSCertIDv2` (RFC 5035
/// section 4).
#[derive(Clone, Copy, Debug)]
pub(super) struct CertificateId<'a> {
    /// Absent for SHA-1.
    pub(super) digest: Option<Digest>,
    pub(super) hash: &'a [u8],
    pub(super) issuer_serial: Option<(&'a [u8], &'a [u8])>,
}

/// Why an envelope is none of a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    NotATimeStamp,
    Signers,
    Attributes,
    NoCertificateId,
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl<'a> Signed<'a> {
    pub(super) fn read(token: &'a [u8]) -> Result<Self, Refusal> {
        let mut info = der::only(token, SEQUENCE)?;
        if info.take(OID)? != SIGNED_DATA {
            return Err(Refusal::NotATimeStamp);
        }
        let mut explicit = info.inside(constructed(0))?;
        info.end()?;
        let mut data = explicit.inside(SEQUENCE)?;
        explicit.end()?;
        let version = der::unsigned(data.take(INTEGER)?)?;
        let mut digests = data.inside(SET)?;
        while !digests.is_empty() {
            Digest::read(&mut digests)?;
        }
        let mut content = data.inside(SEQUENCE)?;
        if content.take(OID)? != TST_INFO {
            return Err(Refusal::NotATimeStamp);
        }
        // Content that is not plain data makes it version 3 (RFC 5652 section 5.1).
        if version != 3 {
            return Err(Refusal::Malformed);
        }
        let mut explicit = content.inside(constructed(0))?;
        let signed_content = explicit.take(OCTET_STRING)?;
        explicit.end()?;
        content.end()?;
        let mut certificates = Vec::new();
        if let Some(set) = data.optional(constructed(0))? {
            let mut set = set.reader();
            while !set.is_empty() {
                certificates.push(set.element(SEQUENCE)?.whole);
            }
        }
        // Revocation lists inside a token are not used: those that count are archived beside it.
        if let Some(lists) = data.optional(constructed(1))? {
            let mut lists = lists.reader();
            while !lists.is_empty() {
                lists.any()?;
            }
        }
        let mut signers = data.inside(SET)?;
        data.end()?;
        let one = signers.inside(SEQUENCE)?;
        // RFC 3161 section 2.4.2: exactly one signature, that of the authority.
        if !signers.is_empty() {
            return Err(Refusal::Signers);
        }
        Ok(Self { content: signed_content, certificates, signer: Signer::read(one)? })
    }
}

impl<'a> Signer<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, Refusal> {
        let version = der::unsigned(reader.take(INTEGER)?)?;
        let sid = if let Some(key) = reader.optional(primitive(0))? {
            Sid::Key(key.content)
        } else {
            let mut inside = reader.inside(SEQUENCE)?;
            let issuer = inside.element(SEQUENCE)?.whole;
            let serial = inside.integer()?;
            inside.end()?;
            Sid::Issuer { issuer, serial }
        };
        let fits = match sid {
            Sid::Issuer { .. } => version == 1,
            Sid::Key(_) => version == 3,
        };
        if !fits {
            return Err(Refusal::Malformed);
        }
        let digest = Digest::read(&mut reader)?;
        let attributes = reader.optional(constructed(0))?.ok_or(Refusal::Attributes)?;
        let algorithm = reader.element(SEQUENCE)?.content;
        let signature = reader.take(OCTET_STRING)?;
        // Unsigned attributes say nothing that could be believed.
        if let Some(unsigned) = reader.optional(constructed(1))? {
            let mut unsigned = unsigned.reader();
            while !unsigned.is_empty() {
                unsigned.element(SEQUENCE)?;
            }
        }
        reader.end()?;
        let (message_digest, named) = self::attributes(attributes.reader())?;
        // The signature is over the attributes as a SET, and they stand as `[0]` (RFC 5652 section
        // 5.4). Nothing is sorted anew: what was received is what is checked.
        let mut signed_bytes = attributes.whole.to_vec();
        if let Some(tag) = signed_bytes.first_mut() {
            *tag = SET;
        }
        Ok(Self { sid, digest, signed_bytes, message_digest, named, algorithm, signature })
    }
}

/// The digest of the content, and the certificates that the signer names.
fn attributes(mut reader: Reader<'_>) -> Result<(&[u8], Vec<CertificateId<'_>>), Refusal> {
    let (mut kind, mut digest, mut first, mut second) = (None, None, None, None);
    while !reader.is_empty() {
        let mut attribute = reader.inside(SEQUENCE)?;
        let oid = attribute.take(OID)?;
        let mut values = attribute.inside(SET)?;
        attribute.end()?;
        let place = match oid {
            CONTENT_TYPE => &mut kind,
            MESSAGE_DIGEST => &mut digest,
            SIGNING_CERTIFICATE => &mut first,
            SIGNING_CERTIFICATE_V2 => &mut second,
            _ => continue,
        };
        let value = values.any()?;
        // Each of these stands once and has one value (RFC 5652 section 11).
        if !values.is_empty() || place.replace(value).is_some() {
            return Err(Refusal::Attributes);
        }
    }
    let is_info = kind.is_some_and(|it| it.tag == OID && it.content == TST_INFO);
    let digest = digest.filter(|it| it.tag == OCTET_STRING).ok_or(Refusal::Attributes)?;
    if !is_info {
        return Err(Refusal::Attributes);
    }
    // Where both stand, the newer decides.
    let named = match (first, second) {
        (_, Some(newer)) => named(newer, true)?,
        (Some(older), None) => named(older, false)?,
        (None, None) => return Err(Refusal::NoCertificateId),
    };
    Ok((digest.content, named))
}

/// `SigningCertificate` or `SigningCertificateV2`.
fn named(value: der::Element<'_>, newer: bool) -> Result<Vec<CertificateId<'_>>, Refusal> {
    if value.tag != SEQUENCE {
        return Err(Refusal::Malformed);
    }
    let mut reader = value.reader();
    let mut list = reader.inside(SEQUENCE)?;
    // The policies that may follow restrict how the certificate is used, not who signed.
    reader.optional(SEQUENCE)?;
    reader.end()?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut id = list.inside(SEQUENCE)?;
        // An octet string comes first where the digest is the default, SHA-256.
        let mut probe = id;
        let stated = newer && probe.any()?.tag == SEQUENCE;
        let digest = match (newer, stated) {
            (false, _) => None,
            (true, false) => Some(Digest::Sha256),
            (true, true) => Some(Digest::read(&mut id)?.ok_or(Refusal::NoCertificateId)?),
        };
        let hash = id.take(OCTET_STRING)?;
        let issuer_serial = match id.optional(SEQUENCE)? {
            Some(both) => {
                let mut both = both.reader();
                let mut names = both.inside(SEQUENCE)?;
                let mut directory = names.inside(constructed(4))?;
                let issuer = directory.element(SEQUENCE)?.whole;
                directory.end()?;
                names.end()?;
                let serial = both.integer()?;
                both.end()?;
                Some((issuer, serial))
            }
            None => None,
        };
        id.end()?;
        out.push(CertificateId { digest, hash, issuer_serial });
    }
    if out.is_empty() { Err(Refusal::NoCertificateId) } else { Ok(out) }
}
