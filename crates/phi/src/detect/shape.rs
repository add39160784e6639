//! Numbers and addresses that show what they are by their form.
//!
//! Each function reads from one byte on, in time bounded by the form it reads, and returns the end.

/// A look at bytes that answers `0` beyond either end.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    /// The byte at a place.
    pub(crate) fn at(self, i: usize) -> u8 {
        self.0.get(i).copied().unwrap_or(0)
    }

    /// The number of digits from a place on, at most `most`.
    pub(crate) fn digits(self, i: usize, most: usize) -> usize {
        (0..most).take_while(|k| self.at(i + k).is_ascii_digit()).count()
    }

    /// Exactly `count` digits, no more.
    pub(crate) fn exactly(self, i: usize, count: usize) -> bool {
        self.digits(i, count + 1) == count
    }

    /// The number in up to nine digits.
    pub(crate) fn number(self, i: usize, count: usize) -> u32 {
        (0..count.min(9)).fold(0, |n, k| n * 10 + u32::from(self.at(i + k).wrapping_sub(b'0') % 10))
    }

    /// Whether a run of letters and digits ends before this place.
    pub(crate) fn ends(self, i: usize) -> bool {
        let b = self.at(i);
        !b.is_ascii_alphanumeric()
            && b != b'_'
            && b < 0x80
            && !(matches!(b, b'-' | b'/') && self.at(i + 1).is_ascii_digit())
    }
}

/// An e-mail address around its `@`: first byte and the byte after the last.
pub(crate) fn email(b: Bytes<'_>, at: usize) -> Option<(usize, usize)> {
    /// RFC 5321 section 4.5.3.1.1.
    const MAX_LOCAL: usize = 64;
    /// RFC 5321 section 4.5.3.1.2.
    const MAX_DOMAIN: usize = 255;
    let local = |c: u8| c.is_ascii_alphanumeric() || b"._%+-'".contains(&c) || c >= 0x80;
    let mut start = at;
    while start > 0 && at - start < MAX_LOCAL && local(b.at(start - 1)) {
        start -= 1;
    }
    while start < at && (b.at(start) >= 0x80 || b".-'%+".contains(&b.at(start))) {
        start += 1;
    }
    let mut end = at + 1;
    let mut dot = 0;
    while end - at <= MAX_DOMAIN
        && (b.at(end).is_ascii_alphanumeric() || b".-".contains(&b.at(end)) || b.at(end) >= 0x80)
    {
        if b.at(end) == b'.' {
            dot = end;
        }
        end += 1;
        if b.at(end) == b'.' && !b.at(end + 1).is_ascii_alphanumeric() {
            break;
        }
    }
    while end > at && b".-".contains(&b.at(end - 1)) {
        end -= 1;
    }
    let tld = (dot + 1..end).all(|k| b.at(k).is_ascii_alphabetic());
    (start < at && dot > at + 1 && end > dot + 2 && tld).then_some((start, end))
}

/// The end of a web address that begins here.
pub(crate) fn url_end(b: Bytes<'_>, i: usize) -> usize {
    /// Browsers and servers accept about this much.
    const MAX: usize = 2048;
    let mut end = i;
    while end - i < MAX {
        match b.at(end) {
            c if c <= b' ' || c >= 0x7f || b"<>\"`{}|\\^".contains(&c) => break,
            _ => end += 1,
        }
    }
    while end > i && b".,;:!?'*_".contains(&b.at(end - 1)) {
        end -= 1;
    }
    // A closing bracket belongs to the text around it, unless the address opened one.
    if end > i
        && matches!(b.at(end - 1), b')' | b']')
        && !(i..end).any(|k| matches!(b.at(k), b'(' | b'['))
    {
        end -= 1;
    }
    end
}

/// A dotted IPv4 address, with a port or prefix length left outside.
pub(crate) fn ipv4(b: Bytes<'_>, i: usize) -> Option<usize> {
    let mut at = i;
    for part in 0..4 {
        let count = b.digits(at, 4);
        if count == 0 || count > 3 || b.number(at, count) > 255 {
            return None;
        }
        at += count;
        if part < 3 {
            if b.at(at) != b'.' {
                return None;
            }
            at += 1;
        }
    }
    // A fifth part makes it an OID or a version.
    let more = b.at(at) == b'.' && b.at(at + 1).is_ascii_digit();
    (!more && !b.at(at).is_ascii_alphanumeric()).then_some(at)
}

/// What a run of hexadecimal digits and colons is.
pub(crate) enum Hex {
    /// An IPv6 address.
    Ip(usize),
    /// A hardware address.
    Mac(usize),
}

/// An IPv6 or a hardware address that begins here.
pub(crate) fn hex(b: Bytes<'_>, i: usize) -> Option<Hex> {
    const MAX: usize = 45;
    if let Some(end) = mac(b, i) {
        return Some(Hex::Mac(end));
    }
    let mut end = i;
    let (mut colons, mut double, mut group, mut letters) = (0, 0, 0, false);
    while end - i < MAX {
        match b.at(end) {
            b':' => {
                colons += 1;
                double += usize::from(b.at(end + 1) == b':');
                group = 0;
            }
            c if c.is_ascii_hexdigit() => {
                group += 1;
                letters |= c.is_ascii_alphabetic();
                if group > 4 {
                    return None;
                }
            }
            _ => break,
        }
        end += 1;
    }
    // `::ffff:192.0.2.128` ends in an address of version 4.
    if b.at(end) == b'.' && double == 1 && group > 0 {
        return ipv4(b, end - group).map(Hex::Ip);
    }
    let full = colons == 7 && double == 0;
    let short = double == 1 && (2..=7).contains(&colons) && (letters || colons > 2);
    let ends = !b.at(end).is_ascii_alphanumeric() && b.at(end.wrapping_sub(1)) != b':';
    // `fe80::1%eth0` names its zone, RFC 4007 section 11.
    let zone = (1..16).take_while(|k| b.at(end + k).is_ascii_alphanumeric()).count();
    let zone = if b.at(end) == b'%' && zone > 0 { zone + 1 } else { 0 };
    ((full || short) && ends).then_some(Hex::Ip(end + zone))
}

fn mac(b: Bytes<'_>, i: usize) -> Option<usize> {
    let sep = b.at(i + 2);
    let shape = matches!(sep, b':' | b'-')
        && (0..6).all(|k| {
            let at = i + 3 * k;
            b.at(at).is_ascii_hexdigit()
                && b.at(at + 1).is_ascii_hexdigit()
                && (k == 5 || b.at(at + 2) == sep)
        });
    if shape && b.ends(i + 17) {
        return Some(i + 17);
    }
    // `001b.4411.3ab7`; without a letter it would be three numbers.
    let dotted = (0..14).all(|k| {
        let c = b.at(i + k);
        if k % 5 == 4 { c == b'.' } else { c.is_ascii_hexdigit() }
    });
    let letter = (0..14).any(|k| b.at(i + k).is_ascii_alphabetic());
    (dotted && letter && b.ends(i + 14)).then_some(i + 14)
}

/// Digits in groups with single spaces or dashes: a card, an account. Returns end and digits.
pub(crate) fn grouped(b: Bytes<'_>, i: usize) -> (usize, usize) {
    let (mut at, mut end, mut count) = (i, i, 0);
    while count < 20 {
        match b.at(at) {
            c if c.is_ascii_digit() => {
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' if at == end && at > i => {}
            _ => break,
        }
        at += 1;
    }
    (end, count)
}

/// A run of letters and digits joined by `-`, `/`, `.`, `_` or `:`, as identifiers are written.
pub(crate) fn identifier(b: Bytes<'_>, i: usize) -> usize {
    /// Longer runs are data, not identifiers; the rest of them is read as the next run.
    const MAX: usize = 64;
    let mut end = i;
    while end - i < MAX {
        let c = b.at(end);
        if c.is_ascii_alphanumeric() || c == b'*' {
            end += 1;
        } else if b"-/._".contains(&c) && b.at(end + 1).is_ascii_alphanumeric() {
            end += 2;
        } else {
            break;
        }
    }
    end
}

/// Three letters and digits groups of a UUID, RFC 9562 section 4.
pub(crate) fn uuid(b: Bytes<'_>, i: usize) -> Option<usize> {
    let mut at = i;
    for (k, len) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if !(0..len).all(|d| b.at(at + d).is_ascii_hexdigit()) {
            return None;
        }
        at += len;
        if k < 4 {
            if b.at(at) != b'-' {
                return None;
            }
            at += 1;
        }
    }
    b.ends(at).then_some(at)
}
