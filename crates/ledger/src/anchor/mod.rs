//! Anchors: time stamps of RFC 3161 over signed checkpoints, and our own check of them.
//!
//! A time stamp says that some bytes existed at a time, by the word of an authority that has nothing
//! to do with us. Over a signed checkpoint it says that the log had this size and this root by then,
//! so that whoever rewrites the log later contradicts it.
//!
//! | step | module |
//! |---|---|
//! | strict DER | `der` |
//! | the envelope | `cms` |
//! | what is said | `info` |
//! | who says it | `certificate`, and webpki for the path |
//!
//! The check follows RFC 3161 section 2.4.2 and 2.3, RFC 5816 and RFC 5652 section 5, at the time of
//! the stamp and not at the time of the check: a token outlives the certificate that signed it. Where
//! `openssl ts -verify` is stricter about revocation, this follows RFC 3161 section 4; see
//! [`NotAStamp::Revoked`].

mod certificate;
mod cms;
mod der;
mod info;

pub use der::Malformed;

use crate::{Hash, Time};
use certificate::{Certificate, TIME_STAMPING};
use cms::{CertificateId, Refusal, Sid, Signed};
use der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};
use info::{Digest, Info};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime,
};
use std::time::Duration;
use webpki::aws_lc_rs as algorithms;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, RevocationReason, UnknownStatusPolicy,
};

/// The longest token that is read: 64 KiB. Those of public authorities take two to seven.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Bytes of a nonce: as many as RFC 3161 section 2.4.1 asks for at least.
pub const NONCE_BYTES: usize = 8;

/// A request for a time stamp (RFC 3161 section 2.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    nonce: Vec<u8>,
    der: Vec<u8>,
}

impl Request {
    /// A request over the SHA-256 of `message`, which asks for the certificate and carries a nonce.
    #[must_use]
    pub fn new(message: &[u8], nonce: [u8; NONCE_BYTES]) -> Self {
        // An INTEGER of one form: a first byte from 0x40 to 0x7f is positive and never superfluous.
        let mut nonce = nonce.to_vec();
        if let Some(first) = nonce.first_mut() {
            *first = *first & 0x3f | 0x40;
        }
        let imprint =
            [Digest::write_sha256(), der::write(OCTET_STRING, Hash::of(message).as_bytes())]
                .concat();
        let body = [
            der::write(INTEGER, &[1]),
            der::write(SEQUENCE, &imprint),
            der::write(INTEGER, &nonce),
            der::write(der::BOOLEAN, &[0xff]),
        ]
        .concat();
        Self { nonce, der: der::write(SEQUENCE, &body) }
    }

    /// Reads a request that was made with a nonce, over SHA-256, as this one writes them: an anchor that
    /// is still to come is kept so.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = der::only(bytes, SEQUENCE)?;
        if der::unsigned(reader.take(INTEGER)?)? != 1 {
            return Err(Malformed);
        }
        let mut imprint = reader.inside(SEQUENCE)?;
        Digest::read(&mut imprint)?;
        imprint.take(OCTET_STRING)?;
        imprint.end()?;
        let nonce = reader.integer()?.to_vec();
        der::truth(&mut reader)?;
        reader.end()?;
        Ok(Self { nonce, der: bytes.to_vec() })
    }

    /// The bytes to send, `application/timestamp-query`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.der
    }
}

/// An authority did not give a time stamp, or what it gave is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ungranted {
    /// The bytes are no `TimeStampResp`.
    #[error("the answer is not a time-stamp response")]
    Malformed,
    /// `PKIStatus` is neither `granted` nor `grantedWithMods`.
    #[error("the authority refused: status {status}, failure bits {failure:#x}")]
    Refused {
        /// `PKIStatus`, RFC 3161 section 2.4.2.
        status: u64,
        /// The first 32 bits of `PKIFailureInfo`, the first highest.
        failure: u32,
    },
}

impl From<Malformed> for Ungranted {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Takes the token out of an answer, `application/timestamp-reply`.
///
/// # Errors
/// [`Ungranted`] when the authority refused or the answer is none.
pub fn token_of(response: &[u8]) -> Result<&[u8], Ungranted> {
    let mut reader = der::only(response, SEQUENCE)?;
    let mut said = reader.inside(SEQUENCE)?;
    let status = der::unsigned(said.take(INTEGER)?)?;
    said.optional(SEQUENCE)?;
    let bits = said.optional(der::BIT_STRING)?;
    said.end()?;
    // `granted` and `grantedWithMods`.
    if status > 1 {
        let bits = bits.map_or(&[][..], |it| it.content.get(1..).unwrap_or_default());
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(bits) {
            *to = *from;
        }
        return Err(Ungranted::Refused { status, failure: u32::from_be_bytes(word) });
    }
    let token = reader.element(SEQUENCE)?.whole;
    reader.end()?;
    Ok(token)
}

/// Whose time stamps are believed.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    roots: Vec<TrustAnchor<'static>>,
    /// The roots, and certificates between them and the authority's, that tokens may not carry.
    certificates: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    policies: Vec<Vec<u8>>,
}

/// What was given as an authority cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAuthority {
    /// No certificate of a root is there.
    #[error("there is no certificate in PEM")]
    NoRoot,
    /// A certificate or a revocation list cannot be read.
    #[error("a certificate or a revocation list cannot be read")]
    Unreadable,
    /// A policy is not an object identifier with dots.
    #[error("a policy is not an object identifier with dots")]
    Policy,
}

impl Authority {
    /// An authority by the root certificates in a PEM text.
    ///
    /// # Errors
    /// [`UnusableAuthority`] when there is none, or one cannot be read.
    pub fn from_roots(pem: &[u8]) -> Result<Self, UnusableAuthority> {
        let mut this = Self::default();
        for root in CertificateDer::pem_slice_iter(pem) {
            let root = root.map_err(|_| UnusableAuthority::Unreadable)?;
            let anchor = webpki::anchor_from_trusted_cert(&root)
                .map_err(|_| UnusableAuthority::Unreadable)?
                .to_owned();
            this.roots.push(anchor);
            this.certificates.push(root);
        }
        if this.roots.is_empty() { Err(UnusableAuthority::NoRoot) } else { Ok(this) }
    }

    /// Adds certificates that a token may not carry, and revocation lists, from PEM texts. None of
    /// them is believed for being here; a certificate that is none leads nowhere.
    ///
    /// # Errors
    /// [`UnusableAuthority::Unreadable`] when a block is not PEM, or a list is none.
    pub fn with_archive(mut self, pem: &[u8]) -> Result<Self, UnusableAuthority> {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| UnusableAuthority::Unreadable)?;
            self.certificates.push(certificate);
        }
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            let list = list.map_err(|_| UnusableAuthority::Unreadable)?;
            BorrowedCertRevocationList::from_der(&list)
                .map_err(|_| UnusableAuthority::Unreadable)?;
            self.lists.push(list);
        }
        Ok(self)
    }

    /// Believes only stamps under one of these policies, object identifiers with dots. Without any,
    /// every policy of the authority is good enough.
    ///
    /// # Errors
    /// [`UnusableAuthority::Policy`].
    pub fn with_policies<'a>(
        mut self,
        policies: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnusableAuthority> {
        for policy in policies {
            self.policies.push(der::from_dotted(policy).ok_or(UnusableAuthority::Policy)?);
        }
        Ok(self)
    }
}

/// A time stamp that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time that the authority gave, down to the microsecond.
    pub time: Time,
    /// How far from it the true time may lie, in microseconds. Absent when the authority did not say,
    /// which means unknown and not zero.
    pub accuracy: Option<u64>,
    /// The number of the stamp with its authority, hexadecimal.
    pub serial: String,
    /// The policy, with dots.
    pub policy: String,
    /// The common name of the authority's certificate.
    pub authority: String,
    /// When the authority's certificate ends: before that, the token is to be stamped anew.
    pub certificate_ends: Time,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAStamp {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not DER of the form of a token.
    #[error("not a time-stamp token")]
    Malformed,
    /// A signed message of another kind.
    #[error("the signed content is not a time stamp")]
    NotATimeStamp,
    /// Not exactly one signature.
    #[error("the token has not exactly one signature")]
    Signers,
    /// A signed attribute is missing, stands twice or has another value.
    #[error("the signed attributes are not those of a time stamp")]
    Attributes,
    /// The signer does not name its certificate, so that another could take its place.
    #[error("the signature does not name its certificate (RFC 5816)")]
    NoCertificateId,
    /// The certificate that the signer names is neither in the token nor known.
    #[error("the certificate that the signature names is not here")]
    NoCertificate,
    /// The envelope names another certificate than the signer.
    #[error("the token names two different certificates as its signer's")]
    OtherCertificate,
    /// A digest or signature that is not supported or no longer good enough.
    #[error("the token uses an algorithm that is not accepted")]
    Algorithm,
    /// The token is over something else.
    #[error("the time stamp is over other bytes")]
    OtherMessage,
    /// The answer is to another request.
    #[error("the nonce is not that of the request")]
    OtherNonce,
    /// The policy is not among those that are believed.
    #[error("the policy of the time stamp is not one that is accepted")]
    Policy,
    /// An extension must be understood and is not known.
    #[error("the time stamp has a critical extension that is not known")]
    Extension,
    /// The content is not the one that was signed, or the signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// The authority's certificate is not for time stamps alone, or does not say so critically.
    #[error("the certificate is not for time stamps alone (RFC 3161 section 2.3)")]
    Purpose,
    /// The name in the stamp is not that of the certificate.
    #[error("the name in the time stamp is not that of the certificate")]
    Name,
    /// The certificate had ended, or had not begun, at the time of the stamp.
    #[error("a certificate was not valid at the time of the time stamp")]
    Expired,
    /// A certificate of the path is revoked. Not meant: one that was revoked after the stamp for a
    /// reason that leaves earlier stamps valid (RFC 3161 section 4, item 1).
    #[error("a certificate is revoked")]
    Revoked,
    /// A revocation list for the path is not signed by its issuer, or cannot be followed.
    #[error("a revocation list among the archived ones is not signed by its issuer")]
    List,
    /// No path leads to a root that is believed.
    #[error("no path leads from the certificate to a trusted root")]
    Path,
}

impl From<Malformed> for NotAStamp {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Refusal> for NotAStamp {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed => Self::Malformed,
            Refusal::NotATimeStamp => Self::NotATimeStamp,
            Refusal::Signers => Self::Signers,
            Refusal::Attributes => Self::Attributes,
            Refusal::NoCertificateId => Self::NoCertificateId,
        }
    }
}

/// Checks a token over `message`, at the time that it states.
///
/// With `request`, it must be the answer to that: the nonce is compared.
///
/// # Errors
/// [`NotAStamp`], the first of its reasons that applies.
pub fn check(
    token: &[u8],
    message: &[u8],
    request: Option<&Request>,
    authority: &Authority,
) -> Result<Stamp, NotAStamp> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(NotAStamp::TooLong);
    }
    let parts = Signed::read(token)?;
    let info = Info::read(parts.content)?;
    check_content(&info, message, request, authority)?;
    let signer = &parts.signer;
    let digest = signer.digest.ok_or(NotAStamp::Algorithm)?;
    if digest.of(parts.content).as_ref() != signer.message_digest {
        return Err(NotAStamp::Signature);
    }
    let mut others: Vec<&[u8]> = parts.certificates.clone();
    others.extend(authority.certificates.iter().map(AsRef::as_ref));
    let leaf = leaf(&signer.named, &others)?;
    if !fits(&leaf, signer.sid) {
        return Err(NotAStamp::OtherCertificate);
    }
    if !leaf.is_for_time_stamps_only() {
        return Err(NotAStamp::Purpose);
    }
    if info.name.is_some_and(|name| !leaf.is_named(name)) {
        return Err(NotAStamp::Name);
    }
    let der = CertificateDer::from(leaf.whole);
    let certificate = EndEntityCert::try_from(&der).map_err(|_| NotAStamp::Path)?;
    let holds = candidates(signer.algorithm, digest)?.iter().any(|algorithm| {
        certificate.verify_signature(*algorithm, &signer.signed_bytes, signer.signature).is_ok()
    });
    if !holds {
        return Err(NotAStamp::Signature);
    }
    check_path(&certificate, &leaf, &others, info.time, authority)?;
    Ok(Stamp {
        time: info.time,
        accuracy: info.accuracy,
        serial: data_encoding::HEXLOWER.encode(info.serial),
        policy: der::dotted(info.policy)?,
        authority: leaf.called(),
        certificate_ends: leaf.not_after,
    })
}

/// What the stamp says must be what was asked.
fn check_content(
    info: &Info<'_>,
    message: &[u8],
    request: Option<&Request>,
    authority: &Authority,
) -> Result<(), NotAStamp> {
    let imprint = info.digest.ok_or(NotAStamp::Algorithm)?.of(message);
    if imprint.as_ref() != info.imprint {
        return Err(NotAStamp::OtherMessage);
    }
    if request.is_some_and(|request| info.nonce != Some(request.nonce.as_slice())) {
        return Err(NotAStamp::OtherNonce);
    }
    let policies = &authority.policies;
    if !policies.is_empty() && !policies.iter().any(|policy| policy == info.policy) {
        return Err(NotAStamp::Policy);
    }
    if info.unknown_critical { Err(NotAStamp::Extension) } else { Ok(()) }
}

/// The certificate that the signer names first; each other that it names must be here too.
fn leaf<'a>(named: &[CertificateId<'_>], all: &[&'a [u8]]) -> Result<Certificate<'a>, NotAStamp> {
    let find = |id: &CertificateId<'_>| {
        all.iter()
            .find(|der| match id.digest {
                Some(digest) => digest.of(der).as_ref() == id.hash,
                None => sha1(der).as_ref() == id.hash,
            })
            .copied()
            .ok_or(NotAStamp::NoCertificate)
    };
    let mut first = None;
    for id in named {
        let certificate = Certificate::read(find(id)?)?;
        if let Some((issuer, serial)) = id.issuer_serial
            && (issuer, serial) != (certificate.issuer, certificate.serial)
        {
            return Err(NotAStamp::OtherCertificate);
        }
        first.get_or_insert(certificate);
    }
    first.ok_or(NotAStamp::NoCertificateId)
}

/// SHA-1 picks a certificate of an older token here. The signature and the path are what is believed,
/// so that somebody who finds a second certificate of the same SHA-1 gains nothing without the key.
fn sha1(bytes: &[u8]) -> aws_lc_rs::digest::Digest {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

fn fits(leaf: &Certificate<'_>, sid: Sid<'_>) -> bool {
    match sid {
        Sid::Issuer { issuer, serial } => (issuer, serial) == (leaf.issuer, leaf.serial),
        Sid::Key(identifier) => leaf.key_identifier == Some(identifier),
    }
}

/// The algorithms that a signature of this kind may be of. That of elliptic curves does not say which
/// curve; the key does.
fn candidates(
    identifier: &[u8],
    digest: Digest,
) -> Result<Vec<&'static dyn SignatureVerificationAlgorithm>, NotAStamp> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let mut reader = Reader::new(identifier);
    let oid = reader.take(OID)?;
    let null = reader.optional(der::NULL)?;
    if null.is_some_and(|it| !it.content.is_empty()) {
        return Err(NotAStamp::Malformed);
    }
    reader.end()?;
    let (kind, last) = match oid.split_last() {
        Some((last, kind)) if oid != ED25519 => (kind, *last),
        _ => (oid, 0),
    };
    // `rsaEncryption` takes its digest from the signer; the others state it and must say the same.
    let stated = match (kind, last) {
        (RSA, 11) | (ECDSA, 2) => Digest::Sha256,
        (RSA, 12) | (ECDSA, 3) => Digest::Sha384,
        (RSA, 13) | (ECDSA, 4) => Digest::Sha512,
        // Ed25519 is over the attributes themselves; RFC 8419 asks for SHA-512 of the content.
        (RSA, 1) | (ED25519, _) => digest,
        _ => return Err(NotAStamp::Algorithm),
    };
    if stated != digest {
        return Err(NotAStamp::Algorithm);
    }
    Ok(match (kind, stated) {
        (RSA, Digest::Sha256) => vec![algorithms::RSA_PKCS1_2048_8192_SHA256],
        (RSA, Digest::Sha384) => vec![algorithms::RSA_PKCS1_2048_8192_SHA384],
        (RSA, Digest::Sha512) => vec![algorithms::RSA_PKCS1_2048_8192_SHA512],
        (ED25519, _) => vec![algorithms::ED25519],
        (_, Digest::Sha256) => vec![
            algorithms::ECDSA_P256_SHA256,
            algorithms::ECDSA_P384_SHA256,
            algorithms::ECDSA_P521_SHA256,
        ],
        (_, Digest::Sha384) => vec![
            algorithms::ECDSA_P256_SHA384,
            algorithms::ECDSA_P384_SHA384,
            algorithms::ECDSA_P521_SHA384,
        ],
        (_, Digest::Sha512) => vec![
            algorithms::ECDSA_P256_SHA512,
            algorithms::ECDSA_P384_SHA512,
            algorithms::ECDSA_P521_SHA512,
        ],
    })
}

/// A path to a root, valid at the time of the stamp.
fn check_path(
    certificate: &EndEntityCert<'_>,
    leaf: &Certificate<'_>,
    others: &[&[u8]],
    time: Time,
    authority: &Authority,
) -> Result<(), NotAStamp> {
    let seconds = u64::try_from(time.as_micros() / 1_000_000).map_err(|_| NotAStamp::Expired)?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let between: Vec<CertificateDer<'_>> =
        others.iter().map(|der| CertificateDer::from(*der)).collect();
    let lists = authority
        .lists
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).map(CertRevocationList::Borrowed))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| NotAStamp::Path)?;
    let path = |list: Option<&CertRevocationList<'_>>| {
        let lists: Vec<_> = list.into_iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                // A list that is not archived cannot be asked; the verdict says which were.
                .with_status_policy(UnknownStatusPolicy::Allow)
                // An archived list has ended by the time of the check.
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &authority.roots,
                &between,
                at,
                KeyUsage::required_if_present(TIME_STAMPING),
                revocation,
                None,
            )
            .map(|_| ())
    };
    path(None).map_err(|error| {
        let ended = matches!(
            error,
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }
        );
        if ended { NotAStamp::Expired } else { NotAStamp::Path }
    })?;
    // One at a time: an archive gathers lists over the years, and the library asks only the first that
    // speaks for a certificate.
    for list in &lists {
        match path(Some(list)) {
            Ok(()) => {}
            Err(webpki::Error::CertRevoked) if is_revoked_later(leaf, at, list) => {}
            Err(webpki::Error::CertRevoked) => return Err(NotAStamp::Revoked),
            Err(_) => return Err(NotAStamp::List),
        }
    }
    Ok(())
}

/// The issuer as webpki gives it: without tag and length.
fn name_of<'a>(leaf: &Certificate<'a>) -> &'a [u8] {
    Reader::new(leaf.issuer).take(SEQUENCE).unwrap_or_default()
}

/// Whether the certificate was revoked after the stamp, for reasons that leave earlier stamps valid:
/// RFC 3161 section 4, item 1. A list that gives no reason makes all of them invalid.
fn is_revoked_later(leaf: &Certificate<'_>, at: UnixTime, list: &CertRevocationList<'_>) -> bool {
    if list.issuer() != name_of(leaf) {
        return false;
    }
    let entry = list.find_serial(leaf.serial).ok().flatten();
    entry.is_some_and(|entry| {
        let later =
            entry.revocation_date > at && entry.invalidity_date.is_none_or(|invalid| invalid > at);
        let harmless = matches!(
            entry.reason_code,
            Some(
                RevocationReason::Unspecified
                    | RevocationReason::AffiliationChanged
                    | RevocationReason::Superseded
                    | RevocationReason::CessationOfOperation
            )
        );
        later && harmless
    })
}
