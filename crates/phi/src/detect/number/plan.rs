//! Forms of telephone numbers: the North American plan, other national plans, E.164.
//!
//! Each function reads from one byte on, in time bounded by the form it reads.

use crate::detect::shape::Bytes;

/// A telephone number and whether its form alone is proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    /// The byte after it, extension included.
    pub(super) end: usize,
    /// Whether no context is needed.
    pub(super) certain: bool,
}

/// A telephone number that begins here.
pub(super) fn phone(b: Bytes<'_>, i: usize) -> Option<Phone> {
    let domestic = b.at(i + 1) == b'1' && !b.at(i + 2).is_ascii_digit();
    if b.at(i) == b'+' && !domestic {
        return international(b, i);
    }
    north_american(b, i).or_else(|| national(b, i))
}

/// Marks and spaces between two groups of digits: at most three bytes, at most one mark.
///
/// Returns the place of the next group and the mark, a space if there is none.
fn between(b: Bytes<'_>, at: usize) -> Option<(usize, u8)> {
    let (mut k, mut mark, mut line) = (at, b' ', false);
    while k < at + 3 {
        match b.at(k) {
            b' ' | b'\r' => {}
            b'\n' if !line => line = true,
            c @ (b'-' | b'.' | b'/') if mark == b' ' => mark = c,
            _ => break,
        }
        k += 1;
    }
    (k > at && b.at(k).is_ascii_digit()).then_some((k, mark))
}

/// `(617) 555-0142`, `617.555.0142`, `+1 617 555 0142`, `1-800-FLOWERS`, `555-0142`.
fn north_american(b: Bytes<'_>, i: usize) -> Option<Phone> {
    let mut at = i;
    let plus = b.at(at) == b'+';
    at += usize::from(plus);
    let one = b.at(at) == b'1' && !b.at(at + 1).is_ascii_digit();
    if one {
        at += 1;
        at += usize::from(matches!(b.at(at), b'-' | b'.' | b' ' | b'/'));
    }
    let bracket = matches!(b.at(at), b'(' | b'[');
    if bracket {
        let inner = at + 1;
        let closed = b.exactly(inner, 3) && matches!(b.at(inner + 3), b')' | b']');
        if !closed {
            return None;
        }
        let rest = inner + 4;
        let next = between(b, rest).map_or(rest, |(k, _)| k);
        return subscriber(b, next, plus || one, b'-');
    }
    match b.digits(at, 11) {
        3 => {}
        10 => return plain(b, at, plus),
        _ => return None,
    }
    if let Some(end) = vanity(b, at) {
        return Some(Phone { end, certain: true });
    }
    let (next, first) = between(b, at + 3)?;
    subscriber(b, next, plus || one, first).or_else(|| {
        // `555-0142` needs a context.
        let local = !one && !plus && next == at + 4 && first == b'-' && b.exactly(next, 4);
        let end = extension(b, next + 4);
        (local && b.ends(end)).then_some(Phone { end, certain: false })
    })
}

/// The seven digits after the area code.
fn subscriber(b: Bytes<'_>, at: usize, sure: bool, first: u8) -> Option<Phone> {
    let (last, second) = if b.exactly(at, 3) {
        between(b, at + 3)?
    } else if b.exactly(at, 7) && first != b' ' {
        (at + 3, first)
    } else {
        return None;
    };
    let digits = b.exactly(last, 4);
    let end = extension(b, last + 4);
    let spaces = first == b' ' && second == b' ';
    (digits && b.ends(end)).then_some(Phone { end, certain: sure || !spaces })
}

/// `6175550142`: the plan forbids 0 and 1 where an area or an exchange begins.
fn plain(b: Bytes<'_>, at: usize, certain: bool) -> Option<Phone> {
    let plan = matches!(b.at(at), b'2'..=b'9') && matches!(b.at(at + 3), b'2'..=b'9');
    let end = extension(b, at + 10);
    (plan && b.ends(end)).then_some(Phone { end, certain })
}

/// `800-FLOWERS`, `888-555-HELP`: toll-free numbers in letters.
fn vanity(b: Bytes<'_>, at: usize) -> Option<usize> {
    let toll_free = matches!(b.number(at, 3), 800 | 888 | 877 | 866 | 855 | 844 | 833 | 822 | 900);
    if !toll_free || b.at(at + 3) != b'-' {
        return None;
    }
    let (mut k, mut count, mut letters) = (at + 4, 0, 0);
    while count < 12 {
        match b.at(k) {
            c if c.is_ascii_uppercase() => letters += 1,
            c if c.is_ascii_digit() => {}
            b'-' if b.at(k + 1).is_ascii_alphanumeric() => {
                k += 1;
                continue;
            }
            _ => break,
        }
        count += 1;
        k += 1;
    }
    (letters >= 3 && count >= 7 && b.ends(k)).then_some(k)
}

/// `x123`, `ext. 123`, `#123`.
fn extension(b: Bytes<'_>, end: usize) -> usize {
    let mut at = end;
    while at < end + 2 && matches!(b.at(at), b' ' | b',' | b';') {
        at += 1;
    }
    let word = [b"extension".as_slice(), b"extn", b"ext", b"x"]
        .into_iter()
        .find(|w| w.iter().enumerate().all(|(k, c)| b.at(at + k).eq_ignore_ascii_case(c)));
    let Some(word) = word else { return end };
    at += word.len();
    let from = at;
    while at < from + 2 && matches!(b.at(at), b'.' | b' ' | b':' | b'=' | b'#') {
        at += 1;
    }
    match b.digits(at, 7) {
        0 | 7 => end,
        n => at + n,
    }
}

/// `+44 20 7946 0958`, `+49 (0)30/901820`: E.164 allows 15 digits; fewer than 8 reach no one.
fn international(b: Bytes<'_>, i: usize) -> Option<Phone> {
    let from = i + 1 + usize::from(b.at(i + 1) == b' ');
    let (mut at, mut count, mut end, mut zero) = (from, 0, from, 0);
    while count <= 16 {
        match b.at(at) {
            d if d.is_ascii_digit() => {
                zero |= usize::from(d == b'0' && b.at(at - 1) == b'(' && b.at(at + 1) == b')');
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' | b'\n' if at > from && at - end < 3 => {}
            b'(' if at == from => {}
            _ => break,
        }
        at += 1;
    }
    let end = extension(b, end);
    ((8..=15 + zero).contains(&count) && b.ends(end)).then_some(Phone { end, certain: true })
}

/// How the groups of a number with a trunk zero are sized: France, the United Kingdom and Ireland,
/// Australia, India.
const GROUPINGS: &[&[usize]] = &[
    &[2, 2, 2, 2, 2],
    &[3, 4, 4],
    &[4, 3, 4],
    &[4, 4, 3],
    &[5, 6],
    &[6, 5],
    &[5, 3, 3],
    &[5, 5],
    &[4, 7],
    &[2, 3, 4],
    &[3, 3, 4],
    &[3, 7],
    &[2, 4, 4],
    &[4, 3, 3],
    &[3, 8],
    &[4, 3, 2, 2],
];

/// The most groups of digits in a number.
const MAX_GROUPS: usize = 6;

/// Numbers that begin with the trunk zero of most of the world: `020 7946 0958`,
/// `01 23 45 67 89`, `030/901820`, `0049 30 901820`.
fn national(b: Bytes<'_>, i: usize) -> Option<Phone> {
    let bracket = b.at(i) == b'(';
    let from = i + usize::from(bracket);
    if b.at(from) != b'0' {
        return None;
    }
    let mut sizes = [0_usize; MAX_GROUPS];
    let (mut groups, mut at, mut end, mut total) = (0, from, from, 0);
    let (mut mark, mut same) = (0, true);
    for size in &mut sizes {
        let count = b.digits(at, 12);
        if count == 0 || count > 11 {
            break;
        }
        *size = count;
        groups += 1;
        total += count;
        end = at + count;
        at = end;
        if bracket && groups == 1 {
            if b.at(at) != b')' {
                return None;
            }
            at += 1;
            at = between(b, at).map_or(at, |(k, _)| k);
            continue;
        }
        let Some((next, c)) = between(b, at) else { break };
        same &= mark == 0 || mark == c;
        mark = c;
        at = next;
    }
    let shape = sizes.get(..groups).unwrap_or_default();
    let abroad = b.at(from + 1) == b'0' && (11..=15).contains(&total) && groups >= 3;
    let known = (9..=11).contains(&total) && GROUPINGS.contains(&shape);
    // Germany and Austria write what they like behind the area code.
    let area = matches!(shape.first(), Some(3..=5));
    let german = area && groups >= 2 && (8..=13).contains(&total) && (mark == b'/' || bracket);
    let end = extension(b, end);
    ((abroad || known && same || german) && b.ends(end)).then_some(Phone { end, certain: true })
}

/// Digits with brackets, spaces, dots, dashes and slashes between, as telephones are written.
pub(super) fn loose(b: Bytes<'_>, i: usize) -> (usize, usize) {
    let (mut at, mut end, mut count) = (i, i, 0);
    while count < 16 {
        match b.at(at) {
            c if c.is_ascii_digit() => {
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+' if at < end.max(i + 1) + 3 => {}
            _ => break,
        }
        at += 1;
    }
    (extension(b, end), count)
}
