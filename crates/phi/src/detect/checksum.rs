//! Check digits and grammars of issued numbers.

/// The decimal digits of a text, other characters left out.
fn digits(text: &[u8]) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'))
}

/// The Luhn sum of digits, ISO/IEC 7812-1 annex B, plus a constant for an implied prefix.
fn luhn_sum(text: &[u8]) -> u32 {
    digits(text)
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { d })
        .sum()
}

/// A payment card: the length and the first digits of an issuer (ISO/IEC 7812-1), and Luhn's check.
pub(crate) fn is_card(text: &[u8]) -> bool {
    let count = digits(text).count();
    let first = digits(text).next().unwrap_or(0);
    let same = digits(text).all(|d| d == first);
    let prefix = |n: usize| digits(text).take(n).fold(0, |n, d| n * 10 + d);
    let issued = match count {
        // Visa of old, Maestro.
        13 => first == 4 || matches!(prefix(2), 50 | 56..=69),
        // Diners Club.
        14 => matches!(prefix(2), 30 | 36 | 38 | 39) || matches!(prefix(3), 300..=305 | 309),
        // American Express, Maestro.
        15 => matches!(prefix(2), 34 | 37) || matches!(prefix(4), 1800 | 2131) || prefix(2) > 49,
        // Visa, Mastercard, Discover, JCB, UnionPay, Maestro, RuPay.
        16 => {
            matches!(first, 4..=6)
                || matches!(prefix(4), 2200..=2204 | 2221..=2720 | 3528..=3589)
                || matches!(prefix(2), 30 | 36 | 38 | 39 | 81 | 82)
        }
        17..=19 => matches!(first, 4..=6) || matches!(prefix(4), 3528..=3589),
        _ => false,
    };
    issued && !same && luhn_sum(text).is_multiple_of(10)
}

/// A National Provider Identifier: ten digits that begin with 1 or 2, Luhn over `80840` before
/// them (45 CFR 162.406).
pub(crate) fn is_npi(text: &[u8]) -> bool {
    // 24 is the Luhn sum of the prefix 80840.
    text.len() == 10
        && text.iter().all(u8::is_ascii_digit)
        && matches!(text.first(), Some(b'1' | b'2'))
        && (luhn_sum(text) + 24).is_multiple_of(10)
}

/// A DEA registration: two letters (or a letter and 9), seven digits, the last a check digit.
pub(crate) fn is_dea(text: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (text.get(..2), text.get(2..9)) else { return false };
    if text.len() != 9 || !tail.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let kind = head.first().is_some_and(|b| b"ABCDEFGHJKLMPRSTUX".contains(b));
    let name = head.last().is_some_and(|b| b.is_ascii_uppercase() || *b == b'9');
    let sum: u32 = digits(tail).zip([1, 2, 1, 2, 1, 2]).map(|(d, weight)| d * weight).sum();
    kind && name && digits(tail).nth(6) == Some(sum % 10)
}

/// A Medicare Beneficiary Identifier: 11 characters by the grammar of CMS, without dashes.
///
/// Letters S, L, O, I, B and Z are not used.
pub(crate) fn is_mbi(text: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_uppercase() && !b"SLOIBZ".contains(&b);
    text.len() == 11
        && text.iter().zip(*b"CANdANdAAdd").all(|(&b, kind)| match kind {
            b'C' => (b'1'..=b'9').contains(&b),
            b'A' => letter(b),
            b'N' => letter(b) || b.is_ascii_digit(),
            _ => b.is_ascii_digit(),
        })
}

/// A vehicle identification number of North America: 17 characters, check digit in the ninth
/// place (49 CFR 565.15).
pub(crate) fn is_vin(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if text.len() != 17 || text.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut sum = 0;
    for (&b, weight) in text.iter().zip(WEIGHTS) {
        let value = match b.to_ascii_uppercase() {
            d @ b'0'..=b'9' => u32::from(d - b'0'),
            l @ b'A'..=b'H' => u32::from(l - b'A') + 1,
            l @ b'J'..=b'N' => u32::from(l - b'J') + 1,
            b'P' => 7,
            b'R' => 9,
            l @ b'S'..=b'Z' => u32::from(l - b'S') + 2,
            _ => return false,
        };
        sum += value * weight;
    }
    let check = match sum % 11 {
        10 => b'X',
        d => b"0123456789".get(d as usize).copied().unwrap_or(0),
    };
    text.get(8).is_some_and(|b| b.to_ascii_uppercase() == check)
}

/// An IBAN without spaces: ISO 13616, remainder 1 modulo 97.
pub(crate) fn is_iban(text: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (text.get(..4), text.get(4..)) else { return false };
    let shape = head.iter().take(2).all(u8::is_ascii_uppercase)
        && head.iter().skip(2).all(u8::is_ascii_digit);
    if !(15..=34).contains(&text.len()) || !shape {
        return false;
    }
    let mut rest = 0_u32;
    for &b in tail.iter().chain(head) {
        rest = match b {
            b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
            b'A'..=b'Z' => (rest * 100 + u32::from(b - b'A') + 10) % 97,
            _ => return false,
        };
    }
    rest == 1
}

/// Nine digits that the Social Security Administration may have assigned: area not 000, 666 or
/// 900 to 999, group not 00, serial not 0000 (20 CFR 422.103; POMS RM 10201.035).
pub(crate) fn is_ssn(text: &[u8]) -> bool {
    let mut number = 0_u32;
    for d in digits(text) {
        number = number.saturating_mul(10).saturating_add(d);
    }
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    digits(text).count() == 9 && !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

/// Nine digits of an Individual Taxpayer Identification Number: area 900 to 999, group in the ranges
/// that the IRS assigns (Internal Revenue Manual 3.21.263).
pub(crate) fn is_itin(text: &[u8]) -> bool {
    let number = digits(text).fold(0_u32, |n, d| n.saturating_mul(10).saturating_add(d));
    let (area, group) = (number / 1_000_000, number / 10_000 % 100);
    digits(text).count() == 9
        && matches!(area, 900..=999)
        && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// A routing number of the American Bankers Association: nine digits of a Federal Reserve district,
/// weights 3, 7 and 1.
pub(crate) fn is_routing(text: &[u8]) -> bool {
    let sum: u32 = digits(text).zip([3, 7, 1].into_iter().cycle()).map(|(d, w)| d * w).sum();
    let district = digits(text).take(2).fold(0, |n, d| n * 10 + d);
    digits(text).count() == 9
        && matches!(district, 1..=12 | 21..=32 | 61..=72 | 80)
        && sum.is_multiple_of(10)
}

/// A number of the National Health Service of the United Kingdom: ten digits, the last a check
/// digit modulo 11.
pub(crate) fn is_nhs(text: &[u8]) -> bool {
    let sum: u32 = digits(text).take(9).zip((2..=10).rev()).map(|(d, w)| d * w).sum();
    let check = (11 - sum % 11) % 11;
    let first = digits(text).next();
    digits(text).count() == 10
        && check < 10
        && digits(text).nth(9) == Some(check)
        && !digits(text).all(|d| Some(d) == first)
}

/// A Canadian Social Insurance Number: nine digits, not beginning with 0 or 8, Luhn.
pub(crate) fn is_sin(text: &[u8]) -> bool {
    digits(text).count() == 9
        && !matches!(digits(text).next(), Some(0 | 8))
        && luhn_sum(text).is_multiple_of(10)
}

/// A British National Insurance number: two letters, six digits, a letter A to D.
pub(crate) fn is_nino(text: &[u8]) -> bool {
    let [a, b, middle @ .., last] = text else { return false };
    let letters = a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && !b"DFIQUV".contains(a)
        && !b"DFIQUVO".contains(b);
    letters
        && middle.len() == 6
        && middle.iter().all(u8::is_ascii_digit)
        && (b'A'..=b'D').contains(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(valid: fn(&[u8]) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(valid(text.as_bytes()), "{text} is valid");
        }
        for text in bad {
            assert!(!valid(text.as_bytes()), "{text} is not valid");
        }
    }

    #[test]
    fn a_wrong_check_digit_is_seen() {
        check(is_card, &["4111 1111 1111 1111", "5500005555555559"], &["4111111111111112"]);
        check(is_npi, &["1234567893"], &["1234567890", "3234567893"]);
        check(is_dea, &["AB1234563", "F91234563"], &["AB1234567", "AB123456"]);
        check(is_vin, &["1HGCM82633A004352", "1M8GDM9AXKP042788"], &["1HGCM82633A004353"]);
        check(is_iban, &["GB82WEST12345698765432"], &["GB82WEST12345698765433", "GB82"]);
    }

    #[test]
    fn check_digits_of_other_countries_and_of_banks_are_seen() {
        check(is_routing, &["021000021", "011401533", "121000248"], &["021000022", "991000021"]);
        check(is_nhs, &["943 476 5919", "4505577104"], &["943 476 5918", "1111111111"]);
        check(is_sin, &["130 692 544"], &["046 454 286", "130 692 545", "123"]);
        check(is_nino, &["AB123456C"], &["QQ123456C", "AB123456E", "AB12345C", ""]);
        check(is_itin, &["912-70-1234", "999-88-1234"], &["912-69-1234", "812-70-1234"]);
    }

    #[test]
    fn numbers_that_are_never_assigned_are_refused() {
        check(
            is_ssn,
            &["123-45-6789", "078051120"],
            &[
                "000-12-3456",
                "666-12-3456",
                "900-12-3456",
                "123-00-4567",
                "123-45-0000",
                "12345678",
            ],
        );
        check(is_mbi, &["1EG4TE5MK73"], &["0EG4TE5MK73", "1SG4TE5MK73", "1EG4TE5MK7"]);
    }
}
