//! Text as its reader sees it: without the escapes of the structure that holds it.
//!
//! Each kind is decoded once. What comes out is never decoded again, so no input can grow.

use super::{Field, Value};

/// How marks are written inside a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// `\T\`, `\.br\`, and `~` between repetitions: HL7 v2.9 section 2.7.
    Hl7,
    /// Tags, `&amp;`, `&#39;`.
    Markup,
    /// `\"`, `\u00e9`.
    Json,
    /// `%20`, and `+` for a space.
    Percent,
}

/// A decoded text, and the way back to places in the text as it came.
pub(crate) struct Decoded {
    /// What its reader sees.
    pub(crate) text: String,
    /// For each byte of `text` where its source begins and ends.
    origin: Vec<(usize, usize)>,
}

impl Decoded {
    /// The decoded form, or `None` when nothing was escaped.
    pub(crate) fn of(text: &str, escape: Escape) -> Option<Self> {
        let decoded = Self::once(text, escape)?;
        if escape != Escape::Json || !decoded.text.contains("</") {
            return Some(decoded);
        }
        // The narrative of a resource is markup in a JSON string: two structures, each read once.
        let Some(mut inner) = Self::once(&decoded.text, Escape::Markup) else {
            return Some(decoded);
        };
        for origin in &mut inner.origin {
            *origin = decoded.place(origin.0, origin.1);
        }
        Some(inner)
    }

    fn once(text: &str, escape: Escape) -> Option<Self> {
        let marks: &[u8] = match escape {
            Escape::Hl7 => b"\\~^&",
            Escape::Markup => b"<&",
            Escape::Json => b"\\",
            Escape::Percent => b"%+",
        };
        if !text.bytes().any(|b| marks.contains(&b)) {
            return None;
        }
        let mut decoded = Self {
            text: String::with_capacity(text.len()),
            origin: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
            let seen = match escape {
                Escape::Hl7 => hl7(rest),
                Escape::Markup => markup(rest),
                Escape::Json => json(rest),
                Escape::Percent => percent(rest),
            };
            let (len, seen) = seen.unwrap_or_else(|| {
                let c = rest.chars().next();
                (c.map_or(1, char::len_utf8), c.map_or(Seen::Nothing, Seen::Char))
            });
            decoded.push(seen, at, at + len);
            at += len.max(1);
        }
        Some(decoded)
    }

    fn push(&mut self, seen: Seen, start: usize, end: usize) {
        if let Seen::Char(c) = seen {
            self.text.push(c);
            self.origin.extend(std::iter::repeat_n((start, end), c.len_utf8()));
        }
    }

    /// The place in the text as it came of `start..end` in the decoded text.
    pub(crate) fn place(&self, start: usize, end: usize) -> (usize, usize) {
        let from = self.origin.get(start).map_or(0, |o| o.0);
        let to = end.checked_sub(1).and_then(|k| self.origin.get(k)).map_or(from, |o| o.1);
        (from, to.max(from))
    }
}

/// Adds the lines with entities and the words with percent escapes, in whatever text they stand.
pub(super) fn loose(text: &str, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let mut after = 0;
    for at in memchr::memchr2_iter(b'&', b'%', bytes) {
        if at < after {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let (escape, found, ends): (Escape, bool, fn(&u8) -> bool) = if bytes.get(at) == Some(&b'&')
        {
            (Escape::Markup, entity(rest).is_some(), |b| {
                matches!(b, b'\n' | b'\r' | b'"' | b'<' | b'>')
            })
        } else {
            (Escape::Percent, percent(rest).is_some(), |b| {
                b.is_ascii_whitespace() || b"\"'<>()[]{}".contains(b)
            })
        };
        if !found {
            continue;
        }
        let head = bytes.get(after..at).unwrap_or_default();
        let start = head.iter().rposition(ends).map_or(after, |n| after + n + 1);
        let tail = bytes.get(at..).unwrap_or_default();
        let end = tail.iter().position(ends).map_or(bytes.len(), |n| at + n);
        out.push(Value { start, end, field: Field::Text(escape) });
        after = end;
    }
}

/// What its reader sees of an escape.
#[derive(Clone, Copy)]
enum Seen {
    Char(char),
    Nothing,
}

fn hl7(rest: &str) -> Option<(usize, Seen)> {
    /// `\.sp+12\` is long for an escape.
    const MAX: usize = 12;
    let bytes = rest.as_bytes();
    match bytes.first()? {
        b'~' => return Some((1, Seen::Char('\n'))),
        b'^' | b'&' => return Some((1, Seen::Char(' '))),
        b'\\' => {}
        _ => return None,
    }
    let body = bytes.get(1..bytes.len().min(MAX))?;
    let close = memchr::memchr(b'\\', body)?;
    let len = close + 2;
    let seen = match body.get(..close)? {
        b"F" => Seen::Char('|'),
        b"S" => Seen::Char('^'),
        b"T" => Seen::Char('&'),
        b"R" => Seen::Char('~'),
        b"E" => Seen::Char('\\'),
        b"H" | b"N" => Seen::Nothing,
        [b'.', ..] => Seen::Char('\n'),
        [b'X', hex @ ..] => Seen::Char(char::from(byte_of(hex)?)),
        _ => return None,
    };
    Some((len, seen))
}

fn byte_of(hex: &[u8]) -> Option<u8> {
    let pair = hex.get(..2).filter(|_| hex.len() == 2)?;
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

fn markup(rest: &str) -> Option<(usize, Seen)> {
    match rest.as_bytes().first()? {
        b'<' => tag(rest),
        b'&' => entity(rest),
        _ => None,
    }
}

/// A tag inside a line of text is not seen; one between blocks is a line break.
fn tag(rest: &str) -> Option<(usize, Seen)> {
    const MAX: usize = 512;
    let bytes = rest.as_bytes();
    let body = bytes.get(1..bytes.len().min(MAX))?;
    let close = memchr::memchr2(b'>', b'<', body).filter(|k| body.get(*k) == Some(&b'>'))?;
    let inner = rest.get(1..=close)?.trim_start_matches('/');
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    let name = inner.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    Some((close + 2, if is_inline(name) { Seen::Nothing } else { Seen::Char('\n') }))
}

/// Whether an element lies inside a line of text.
pub(super) fn is_inline(name: &str) -> bool {
    const INLINE: &[&str] = &[
        "b",
        "i",
        "em",
        "strong",
        "span",
        "a",
        "u",
        "font",
        "sub",
        "sup",
        "small",
        "big",
        "code",
        "content",
        "tt",
        "mark",
        "ins",
        "del",
        "s",
        "abbr",
        "cite",
        "q",
        "linkhtml",
        "footnoteref",
    ];
    INLINE.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// The predefined entities, those of HTML that stand in names, and numbers.
fn entity(rest: &str) -> Option<(usize, Seen)> {
    const MAX: usize = 12;
    const NAMED: &[(&str, char)] = &[
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("rsquo", '\''),
        ("lsquo", '\''),
        ("ndash", '-'),
        ("mdash", '-'),
        ("hyphen", '-'),
        ("aacute", 'á'),
        ("eacute", 'é'),
        ("iacute", 'í'),
        ("oacute", 'ó'),
        ("uacute", 'ú'),
        ("Aacute", 'Á'),
        ("Eacute", 'É'),
        ("Iacute", 'Í'),
        ("Oacute", 'Ó'),
        ("Uacute", 'Ú'),
        ("agrave", 'à'),
        ("egrave", 'è'),
        ("igrave", 'ì'),
        ("ograve", 'ò'),
        ("ugrave", 'ù'),
        ("auml", 'ä'),
        ("euml", 'ë'),
        ("iuml", 'ï'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("Auml", 'Ä'),
        ("Euml", 'Ë'),
        ("Iuml", 'Ï'),
        ("Ouml", 'Ö'),
        ("Uuml", 'Ü'),
        ("acirc", 'â'),
        ("ecirc", 'ê'),
        ("icirc", 'î'),
        ("ocirc", 'ô'),
        ("ucirc", 'û'),
        ("ntilde", 'ñ'),
        ("Ntilde", 'Ñ'),
        ("atilde", 'ã'),
        ("otilde", 'õ'),
        ("ccedil", 'ç'),
        ("Ccedil", 'Ç'),
        ("szlig", 'ß'),
        ("aring", 'å'),
        ("Aring", 'Å'),
        ("oslash", 'ø'),
        ("Oslash", 'Ø'),
        ("aelig", 'æ'),
        ("AElig", 'Æ'),
        ("yacute", 'ý'),
        ("scaron", 'š'),
        ("Scaron", 'Š'),
        ("zcaron", 'ž'),
        ("Zcaron", 'Ž'),
        ("lstrok", 'ł'),
        ("Lstrok", 'Ł'),
    ];
    let bytes = rest.as_bytes();
    let semicolon = memchr::memchr(b';', bytes.get(..bytes.len().min(MAX))?)?;
    let name = rest.get(1..semicolon)?;
    let c = if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = match hex {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        char::from_u32(code.ok()?)?
    } else {
        NAMED.iter().find(|(n, _)| *n == name)?.1
    };
    Some((semicolon + 1, Seen::Char(if c == '\u{a0}' { ' ' } else { c })))
}

fn json(rest: &str) -> Option<(usize, Seen)> {
    if !rest.starts_with('\\') {
        return None;
    }
    let bytes = rest.as_bytes();
    // In JSON inside a JSON string each backslash is written twice.
    let slashes = bytes.iter().take(8).take_while(|b| **b == b'\\').count();
    let c = match bytes.get(slashes)? {
        b'n' | b'r' => '\n',
        b't' => '\t',
        b'"' => '"',
        b'/' => '/',
        b'b' | b'f' => ' ',
        b'u' => {
            let hex = |from: usize| {
                let digits = rest.get(from..from + 4)?;
                u32::from_str_radix(digits, 16).ok()
            };
            let high = hex(slashes + 1)?;
            if (0xd800..0xdc00).contains(&high) {
                let low = hex(slashes + 7).filter(|l| (0xdc00..0xe000).contains(l))?;
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Some((slashes + 11, Seen::Char(char::from_u32(code)?)));
            }
            return Some((slashes + 5, Seen::Char(char::from_u32(high)?)));
        }
        _ => return None,
    };
    Some((slashes + 1, Seen::Char(c)))
}

fn percent(rest: &str) -> Option<(usize, Seen)> {
    let bytes = rest.as_bytes();
    if bytes.first()? == &b'+' {
        return Some((1, Seen::Char(' ')));
    }
    // A character beyond ASCII takes two to four escaped bytes.
    let mut raw = Vec::with_capacity(4);
    for escape in bytes.chunks(3).take(4) {
        let [b'%', hex @ ..] = escape else { return None };
        raw.push(byte_of(hex)?);
        match std::str::from_utf8(&raw) {
            Ok(text) => return Some((3 * raw.len(), Seen::Char(text.chars().next()?))),
            Err(e) if e.error_len().is_some() => return None,
            Err(_) => {}
        }
    }
    None
}
