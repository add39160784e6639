//! Codes that show by their check digit or their form what they are, and those that are no
//! identifiers of people: drugs, procedures, studies, books.

use super::finding;
use crate::detect::checksum;
use crate::detect::cue;
use crate::detect::token::Block;
use crate::{Class, Finding};

/// What the check digit or the grammar of a code says.
pub(super) fn checked(
    block: &Block<'_>,
    i: usize,
    bytes: &[u8],
    span: (usize, usize),
) -> Option<Finding> {
    if checksum::is_vin(bytes) {
        return Some(finding(span, Class::Vehicle, 92, "vin", "valid check digit"));
    }
    if is_vin_form(bytes) {
        return Some(finding(span, Class::Vehicle, 72, "vin", "form of a vehicle's number"));
    }
    if checksum::is_dea(bytes) {
        return Some(finding(span, Class::License, 90, "dea", "valid check digit"));
    }
    if checksum::is_iban(bytes) {
        return Some(finding(span, Class::Account, 97, "iban", "valid check digits"));
    }
    if checksum::is_npi(bytes) {
        return Some(finding(span, Class::License, 75, "npi", "valid Luhn digit over 80840"));
    }
    if checksum::is_nino(bytes) {
        return Some(finding(span, Class::Ssn, 80, "nino", "form of a British number"));
    }
    if is_claim_number(bytes) {
        let why = "form of a Medicare claim number";
        return Some(finding(span, Class::HealthPlanId, 70, "hicn", why));
    }
    if is_wallet(bytes) || is_old_wallet(bytes) && near_wallet(block, i) {
        return Some(finding(span, Class::Account, 90, "wallet", "form of a wallet's address"));
    }
    let routing = checksum::is_routing(bytes) && bytes.len() == 9;
    if routing && (1..=6).any(|k| block.word_is(i.wrapping_sub(k), &["routing", "aba", "transit"]))
    {
        return Some(finding(span, Class::Account, 94, "routing", "valid check digit"));
    }
    None
}

/// A vehicle's number whose check digit is not kept, as outside North America: 17 characters
/// without I, O and Q, a known region (ISO 3780), four digits at the end.
fn is_vin_form(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_digit() || b.is_ascii_uppercase() && !b"IOQ".contains(b);
    let letters = text.iter().filter(|b| b.is_ascii_uppercase()).count();
    text.len() == 17
        && text.iter().all(allowed)
        && (4..=12).contains(&letters)
        && text.iter().skip(13).all(u8::is_ascii_digit)
        && text.get(1).is_some_and(u8::is_ascii_uppercase)
}

/// `123456789A`, `123456789C1`: nine digits that may have been assigned, and a suffix.
fn is_claim_number(text: &[u8]) -> bool {
    let Some((number, suffix)) = text.split_at_checked(9) else { return false };
    let known = match suffix {
        [b'A' | b'B' | b'C' | b'D' | b'E' | b'F' | b'M' | b'T' | b'W'] => true,
        [b'B' | b'C' | b'D' | b'E' | b'F' | b'H' | b'J' | b'K' | b'T' | b'W', d] => {
            d.is_ascii_digit()
        }
        _ => false,
    };
    known && number.iter().all(u8::is_ascii_digit) && checksum::is_ssn(number)
}

/// Addresses of Ethereum and of the newer form of Bitcoin (BIP 173).
fn is_wallet(text: &[u8]) -> bool {
    let hex = text
        .strip_prefix(b"0x")
        .is_some_and(|rest| rest.len() == 40 && rest.iter().all(u8::is_ascii_hexdigit));
    let bech = text.strip_prefix(b"bc1").is_some_and(|rest| {
        (11..=71).contains(&rest.len())
            && rest.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && rest.iter().any(u8::is_ascii_digit)
    });
    hex || bech
}

/// The older form of Bitcoin addresses, in base 58.
fn is_old_wallet(text: &[u8]) -> bool {
    (26..=35).contains(&text.len())
        && matches!(text.first(), Some(b'1' | b'3'))
        && text.iter().all(|b| b.is_ascii_alphanumeric() && !b"0OIl".contains(b))
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_lowercase)
}

fn near_wallet(block: &Block<'_>, i: usize) -> bool {
    (1..=8).any(|back| {
        block.word_is(i.wrapping_sub(back), &["wallet", "bitcoin", "btc", "crypto", "address"])
    })
}

/// How the groups of a National Drug Code are sized, 21 CFR 207.33.
const DRUG_FORMS: [[usize; 3]; 4] = [[4, 4, 2], [5, 3, 2], [5, 4, 1], [5, 4, 2]];

/// Codes that identify a drug, a laboratory, a book or a study, not a person.
fn is_public(text: &[u8], digits: usize) -> bool {
    let groups: Vec<usize> = text.split(|b| *b == b'-').map(<[u8]>::len).collect();
    let plain = digits + groups.len() - 1 == text.len();
    let drug = plain && DRUG_FORMS.iter().any(|form| groups == form);
    // Laboratories under CLIA: two digits, a D, seven digits.
    let laboratory = matches!(text, [_, _, b'D', ..]) && text.len() == 10 && digits == 9;
    let book = plain && digits == 13 && (text.starts_with(b"978") || text.starts_with(b"979"));
    let prefix = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let study = matches!(
        text.get(..prefix),
        Some(
            b"NCT"
                | b"PMC"
                | b"PMID"
                | b"ISRCTN"
                | b"RBC"
                | b"WBC"
                | b"PLT"
                | b"HGB"
                | b"USD"
                | b"EUR"
                | b"GBP"
                | b"CHEBI"
                | b"ENSG"
                | b"CVX"
                | b"ORPHA"
                | b"OMIM"
                | b"LOINC"
                | b"SNOMED"
                | b"NDC"
                | b"CPT"
                | b"ISBN"
                | b"ISSN"
                | b"RXCUI"
        )
    );
    // Concepts of the UMLS: a C and seven digits.
    let concept = prefix == 1 && text.first() == Some(&b'C') && text.len() == 8 && digits == 7;
    drug || laboratory || book || study || concept
}

/// Long numbers and letter-number codes are unlikely to be anything but identifiers.
pub(super) fn unlabelled(
    block: &Block<'_>,
    i: usize,
    span: (usize, usize),
    digits: usize,
    out: &mut Vec<Finding>,
) {
    let text = block.text.get(span.0..span.1).unwrap_or_default();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let upper = text.bytes().filter(u8::is_ascii_uppercase).count();
    let dots = text.bytes().filter(|b| *b == b'.').count();
    if text.len() == 10 && digits == 9 && text.as_bytes().get(5) == Some(&b'-') {
        if block.before(i, 1).is(cue::STATE) {
            out.push(finding(span, Class::Location, 85, "zip", "state before it"));
        }
        return;
    }
    let long = letters == 0 && dots == 0 && digits >= 8 && text.len() <= 20;
    let code = (1..=6).contains(&letters)
        && upper == letters
        && dots == 0
        && digits >= 5
        && text.len() <= 20;
    // `1995-1996`, `3150-4500`: ranges; `142/71`: a pair of measures.
    let range = text.len() == 9 && text.as_bytes().get(4) == Some(&b'-') || text.contains('/');
    // The end of a run that was looked at from its beginning.
    let before = block.text.as_bytes().get(..span.0).unwrap_or_default();
    let joined = matches!(before, [.., d, b'-' | b'/'] if d.is_ascii_digit());
    if range || joined || is_public(text.as_bytes(), digits) {
        return;
    }
    if long {
        out.push(finding(span, Class::OtherId, 50, "id.form", "long number"));
    } else if code {
        out.push(finding(span, Class::OtherId, 55, "id.form", "letters and digits of a code"));
    }
}
