//! Numbers, addresses on the net, professions: other ones of the same shape.

use super::Dice;
use crate::Class;
use crate::transform::written::cased;

/// Professions that many have.
const PROFESSIONS: [&str; 20] = [
    "teacher",
    "accountant",
    "electrician",
    "carpenter",
    "cashier",
    "clerk",
    "cook",
    "driver",
    "engineer",
    "farmer",
    "gardener",
    "janitor",
    "mechanic",
    "painter",
    "plumber",
    "receptionist",
    "salesperson",
    "secretary",
    "waiter",
    "welder",
];

/// Another value of a class; `None` when there is nothing to change.
pub(super) fn invent(class: Class, value: &str, dice: Dice<'_>) -> Option<String> {
    let made = match class {
        Class::Phone | Class::Fax => phone(value, dice)?,
        Class::Ssn => ssn(value, dice)?,
        Class::Url => url(value, dice)?,
        Class::Ip => ip(value, dice)?,
        Class::Photo => match value.rsplit_once('.') {
            Some((stem, ending)) if ending.len() <= 4 => {
                format!("{}.{ending}", shaped(stem, dice)?)
            }
            _ => shaped(value, dice)?,
        },
        Class::Profession => cased(dice.pick(&PROFESSIONS)?, value),
        Class::HealthPlanId => plan(&shaped(value, dice)?),
        // A name here has no letters.
        Class::Name
        | Class::Mrn
        | Class::Account
        | Class::License
        | Class::Vehicle
        | Class::DeviceId
        | Class::Biometric
        | Class::OtherId => shaped(value, dice)?,
        // These have their own ways.
        Class::Location | Class::Date | Class::Age | Class::Email => return None,
    };
    Some(made)
}

/// A letter for a letter, a digit for a digit, all else as it is.
fn shaped(value: &str, dice: Dice<'_>) -> Option<String> {
    let draw = || -> String {
        let one = |c: char| match c {
            _ if c.is_numeric() => dice.digit(),
            _ if c.is_lowercase() => dice.upper().to_ascii_lowercase(),
            _ if c.is_alphabetic() => dice.upper(),
            _ => c,
        };
        value.chars().map(one).collect()
    };
    if !value.chars().any(char::is_alphanumeric) {
        return None;
    }
    // A check digit is right by chance once in ten draws.
    (0..super::MAX_DRAWS).map(|_| draw()).find(|made| !has_check_digit(made))
}

/// Replaces the digits of a value, given in order; `None` when their number differs.
fn with_digits(value: &str, digits: &str) -> Option<String> {
    let mut digits = digits.chars();
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        out.push(if c.is_ascii_digit() { digits.next()? } else { c });
    }
    digits.next().is_none().then_some(out)
}

/// The last seven digits become 555-0100 to 555-0199, which are kept for fiction.
fn phone(value: &str, dice: Dice<'_>) -> Option<String> {
    // `tel:` and the like stay.
    let begins = value.find(|c: char| c.is_ascii_digit() || matches!(c, '+' | '('))?;
    let (scheme, value) = value.split_at_checked(begins)?;
    let lower = value.to_ascii_lowercase();
    let extension = lower.find(['x', 'e']).unwrap_or(value.len());
    let (main, extension) = value.split_at_checked(extension)?;
    if main.chars().any(char::is_alphabetic) {
        return None;
    }
    let old: String = main.chars().filter(char::is_ascii_digit).collect();
    let digit = || dice.digit();
    let new: String = match old.len() {
        0 => return None,
        1..=6 => old.chars().map(|_| digit()).collect(),
        len => {
            let area = len - 7;
            let country = area.saturating_sub(3);
            let mut new = old
                .get(..country)
                .filter(|it| *it == "1")
                .map_or_else(|| (0..country).map(|_| digit()).collect::<String>(), str::to_owned);
            for i in country..area {
                // Area codes begin with 2 to 9.
                new.push(if i == country {
                    dice.pick(b"23456789").map_or('2', char::from)
                } else {
                    digit()
                });
            }
            new.push_str("55501");
            new.push(digit());
            new.push(digit());
            new
        }
    };
    let mut out = format!("{scheme}{}", with_digits(main, &new)?);
    out.extend(extension.chars().map(|c| if c.is_ascii_digit() { digit() } else { c }));
    Some(out)
}

/// No social security number begins with 000.
fn ssn(value: &str, dice: Dice<'_>) -> Option<String> {
    let count = value.chars().filter(char::is_ascii_digit).count();
    if count != 9 {
        return shaped(value, dice);
    }
    let mut digits = String::from("000");
    digits.extend((0..6).map(|_| dice.digit()));
    with_digits(value, &digits)
}

/// Names and numbers before the `@`, a domain of RFC 2606 after it.
pub(super) fn email(
    value: &str,
    dice: Dice<'_>,
    mut name: impl FnMut(&str, Dice<'_>) -> String,
) -> Option<String> {
    let Some((local, domain)) = value.rsplit_once('@') else { return shaped(value, dice) };
    let mut out = String::with_capacity(value.len() + 8);
    let mut word = String::new();
    for c in local.chars().chain(std::iter::once('@')) {
        if c.is_alphabetic() {
            word.push(c);
            continue;
        }
        match word.chars().count() {
            0 => {}
            1 => out.push(dice.upper().to_ascii_lowercase()),
            _ => out.push_str(&name(&word, dice)),
        }
        word.clear();
        out.push(if c.is_numeric() { dice.digit() } else { c });
    }
    out.push_str(reserved(domain));
    Some(out)
}

/// A domain of RFC 2606.
fn reserved(domain: &str) -> &'static str {
    match domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "org" => "example.org",
        "net" => "example.net",
        "example" => "mail.example",
        _ => "example.com",
    }
}

fn url(value: &str, dice: Dice<'_>) -> Option<String> {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), value),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let path =
        if path.chars().any(char::is_alphanumeric) { shaped(path, dice)? } else { path.to_owned() };
    let label =
        if path.len() > 4 { "www".to_owned() } else { format!("www{}", dice.below(10_000)) };
    Some(format!("{scheme}{label}.{}{path}", reserved(host)))
}

/// The blocks for documents of RFC 5737 and RFC 3849; a hardware address keeps its form.
fn ip(value: &str, dice: Dice<'_>) -> Option<String> {
    if value.contains("::") || value.matches(':').count() > 5 {
        return Some(format!("2001:db8::{:x}:{:x}", dice.below(0xffff), 1 + dice.below(0xfffe)));
    }
    if value.matches('.').count() == 3 && value.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let block = dice.pick(&["192.0.2", "198.51.100", "203.0.113"])?;
        return Some(format!("{block}.{}", 1 + dice.below(254)));
    }
    shaped(value, dice)
}

/// A Medicare number has none of these letters in its second place, so this is none.
fn plan(value: &str) -> String {
    const NEVER: [char; 6] = ['S', 'L', 'O', 'I', 'B', 'Z'];
    let characters = value.chars().filter(char::is_ascii_alphanumeric).count();
    let mut at = 0;
    let mut shape = value.chars().filter(char::is_ascii_alphanumeric);
    let medicare = characters == 11
        && shape.next().is_some_and(|c| c.is_ascii_digit())
        && shape.next().is_some_and(|c| c.is_ascii_alphabetic());
    value
        .chars()
        .map(|c| {
            at += usize::from(c.is_ascii_alphanumeric());
            let second = medicare && at == 2 && c.is_ascii_alphabetic();
            let letter = usize::from(u8::try_from(c).unwrap_or(0)) % NEVER.len();
            if second { NEVER.get(letter).copied().unwrap_or('S') } else { c }
        })
        .collect()
}

/// Whether a value has a check digit that fits: of cards, providers, prescribers, vehicles, accounts.
fn has_check_digit(value: &str) -> bool {
    let plain: Vec<u8> = value.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let digits: Vec<u32> =
        plain.iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0')).collect();
    let all = digits.len() == plain.len();
    // ISO/IEC 7812-1 annex B, and 45 CFR 162.406 for providers, with its prefix 80840.
    let luhn = all && digits.len() >= 12 && luhn(&digits).is_multiple_of(10);
    let npi = all && digits.len() == 10 && luhn_with_prefix(&digits).is_multiple_of(10);
    let dea = plain.len() == 9 && digits.len() == 7 && dea(&digits);
    luhn || npi || dea || vin(&plain) || iban(&plain)
}

fn luhn(digits: &[u32]) -> u32 {
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| if i % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum()
}

fn luhn_with_prefix(digits: &[u32]) -> u32 {
    /// What the digits 80840 add.
    const PREFIX: u32 = 24;
    luhn(digits) + PREFIX
}

fn dea(digits: &[u32]) -> bool {
    let Some((check, numbers)) = digits.split_last() else { return false };
    let weighed = numbers.iter().zip([1, 2].into_iter().cycle());
    weighed.map(|(digit, weight)| digit * weight).sum::<u32>() % 10 == *check
}

/// 49 CFR 565.15: a weighted sum modulo 11 in the ninth place.
fn vin(plain: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if plain.len() != WEIGHTS.len() {
        return false;
    }
    let value = |b: u8| match b.to_ascii_uppercase() {
        c @ b'0'..=b'9' => u32::from(c - b'0'),
        c @ b'A'..=b'H' => u32::from(c - b'A') + 1,
        c @ b'J'..=b'R' => u32::from(c - b'J') + 1,
        c @ b'S'..=b'Z' => u32::from(c - b'S') + 2,
        _ => 0,
    };
    let sum: u32 = plain.iter().zip(WEIGHTS).map(|(b, weight)| value(*b) * weight).sum();
    match (sum % 11, plain.get(8)) {
        (10, Some(check)) => check.eq_ignore_ascii_case(&b'X'),
        (rest, Some(check)) => u32::from(check.wrapping_sub(b'0')) == rest,
        (_, None) => false,
    }
}

/// ISO 13616: modulo 97 of the number with its first four characters last.
fn iban(plain: &[u8]) -> bool {
    let starts = plain.len() >= 15
        && plain.iter().take(2).all(u8::is_ascii_alphabetic)
        && plain.iter().skip(2).take(2).all(u8::is_ascii_digit);
    let turned = plain.iter().skip(4).chain(plain.iter().take(4));
    let rest = turned.fold(0_u32, |rest, b| {
        let value = char::from(*b).to_digit(36).unwrap_or(0);
        if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 }
    });
    starts && rest == 1
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::seeded;
    use super::*;

    #[test]
    fn check_digits_are_recognised() {
        for valid in [
            "4539 1488 0343 6467",
            "1234567893",
            "AB1234563",
            "1HGCM82633A004352",
            "GB82WEST12345698765432",
        ] {
            assert!(has_check_digit(valid), "{valid}");
        }
        for other in [
            "4539 1488 0343 6468",
            "1234567894",
            "AB1234564",
            "1HGCM82633A004353",
            "GB83WEST12345698765432",
            "",
        ] {
            assert!(!has_check_digit(other), "{other}");
        }
    }

    #[test]
    fn no_invention_has_a_check_digit_that_fits() {
        let fill = seeded(9);
        let dice = Dice { fill: &fill };
        for value in ["4539 1488 0343 6467", "1234567893", "AB1234563", "1HGCM82633A004352"] {
            for class in [Class::Account, Class::License, Class::Vehicle, Class::HealthPlanId] {
                for _ in 0..200 {
                    let made = invent(class, value, dice).unwrap();
                    assert!(!has_check_digit(&made), "{made}");
                    assert_eq!(made.len(), value.len());
                }
            }
        }
    }

    #[test]
    fn telephones_of_every_length_keep_their_marks() {
        let fill = seeded(2);
        let dice = Dice { fill: &fill };
        for (value, part) in [
            ("(828) 867-5309", ") 555-01"),
            ("1-800-867-5309 x 44", "-555-01"),
            ("+49 30 9018 20", "5 5501 "),
            ("867.5309", "555.01"),
            ("8285550142", "55501"),
            ("tel:(313)432-8158", ")555-01"),
        ] {
            let made = phone(value, dice).unwrap();
            assert!(made.contains(part) && made.len() == value.len(), "{value}: {made}");
        }
        assert_eq!(phone("4-1234", dice).unwrap().len(), 6);
        assert_eq!(phone("1-800-FLOWERS", dice), None);
    }
}
