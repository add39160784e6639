//! A pull reader for canonical JSON.
//!
//! It accepts exactly the RFC 8785 form of what a record may hold: objects whose keys are sorted
//! by UTF-16 code units and unique, arrays, strings with the shortest escapes, `true`, `false`, and
//! integers from 0 to 2^53 - 1. White space, fractions, signs and `null` never occur in a record
//! and are refused. It builds no tree, so that verification stays fast and its memory flat.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The largest integer that every JSON reader holds exactly (RFC 8785 section 3.2.2.3).
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The text is not canonical, or not what was asked for at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The end of the text, and nothing after the value.
    pub(crate) const fn end(&self) -> Result<(), Refused> {
        if self.rest.is_empty() { Ok(()) } else { Err(Refused) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let hit = self.rest.as_bytes().first() == Some(&byte);
        if hit {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        hit
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refused> {
        if self.take(byte) { Ok(()) } else { Err(Refused) }
    }

    /// Reads an object; `member` reads the value of each key.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut before: Option<Cow<'a, str>> = None;
        loop {
            let key = self.string()?;
            if before.as_ref().is_some_and(|before| cmp_utf16(before, &key).is_ge()) {
                return Err(Refused);
            }
            self.expect(b':')?;
            member(self, &key)?;
            before = Some(key);
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads an array; `item` reads each of its values.
    pub(crate) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Reads a string. It is borrowed unless it holds an escape.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Refused> {
        self.expect(b'"')?;
        let plain = plain_length(self.rest.as_bytes());
        let (text, rest) = self.rest.split_at_checked(plain).ok_or(Refused)?;
        self.rest = rest;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(text));
        }
        let mut owned = String::from(text);
        while !self.take(b'"') {
            owned.push(self.escape()?);
            let plain = plain_length(self.rest.as_bytes());
            let (text, rest) = self.rest.split_at_checked(plain).ok_or(Refused)?;
            owned.push_str(text);
            self.rest = rest;
        }
        Ok(Cow::Owned(owned))
    }

    /// Reads one escape in its only canonical spelling (RFC 8785 section 3.2.2.2).
    fn escape(&mut self) -> Result<char, Refused> {
        self.expect(b'\\')?;
        let (letter, rest) = self.rest.split_at_checked(1).ok_or(Refused)?;
        self.rest = rest;
        Ok(match letter {
            "\"" => '"',
            "\\" => '\\',
            "b" => '\u{8}',
            "t" => '\t',
            "n" => '\n',
            "f" => '\u{c}',
            "r" => '\r',
            "u" => {
                let (digits, rest) = self.rest.split_at_checked(4).ok_or(Refused)?;
                self.rest = rest;
                let code = u32::from_str_radix(digits, 16).map_err(|_| Refused)?;
                // Only control characters without a short escape are written by number, and with
                // lower-case digits.
                if code >= 0x20
                    || matches!(code, 0x08 | 0x09 | 0x0a | 0x0c | 0x0d)
                    || digits
                        .bytes()
                        .any(|digit| !digit.is_ascii_digit() && !digit.is_ascii_lowercase())
                {
                    return Err(Refused);
                }
                char::from_u32(code).ok_or(Refused)?
            }
            _ => return Err(Refused),
        })
    }

    /// Reads an integer.
    pub(crate) fn integer(&mut self) -> Result<u64, Refused> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.rest.split_at_checked(digits).ok_or(Refused)?;
        if digits > 1 && text.starts_with('0') {
            return Err(Refused);
        }
        let number = text.parse().map_err(|_| Refused)?;
        if number > MAX_INTEGER {
            return Err(Refused);
        }
        self.rest = rest;
        Ok(number)
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool, Refused> {
        for (word, value) in [("true", true), ("false", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(Refused)
    }
}

/// Bytes before the first quote, backslash or control character.
///
/// Eight bytes at a time, because most of a record's bytes are inside strings: a byte `b` of the
/// word has its high bit in `(word - n) & !word` when it is below `n`, and a carry can only set
/// bits above a true hit.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word & (ONES * 0x80);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let equal = |n: u8| below(word ^ (ONES * u64::from(n)), 1);
        let hits = below(word, 0x20) | equal(b'"') | equal(b'\\');
        if hits != 0 {
            return length + hits.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
    length + rest.iter().position(special).unwrap_or(rest.len())
}

/// The order of `a` and `b` by UTF-16 code units (RFC 8785 section 3.2.3).
pub(crate) fn cmp_utf16(a: &str, b: &str) -> Ordering {
    match a.bytes().zip(b.bytes()).find(|(a, b)| a != b) {
        None => a.len().cmp(&b.len()),
        Some((a, b)) if a.is_ascii() && b.is_ascii() => a.cmp(&b),
        // UTF-8 and UTF-16 order differ where surrogate pairs are concerned.
        Some(_) => a.encode_utf16().cmp(b.encode_utf16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skip(scanner: &mut Scanner<'_>, next: u8) -> Result<(), Refused> {
        match next {
            b'{' => scanner.object(|scanner, _| value(scanner)),
            b'[' => scanner.array(value),
            b'"' => scanner.string().map(drop),
            b't' | b'f' => scanner.boolean().map(drop),
            _ => scanner.integer().map(drop),
        }
    }

    fn value(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
        let next = scanner.rest.bytes().next().ok_or(Refused)?;
        skip(scanner, next)
    }

    fn check(text: &str, accepted: bool) {
        let mut scanner = Scanner::new(text);
        let result = value(&mut scanner).and_then(|()| scanner.end());
        assert_eq!(result.is_ok(), accepted, "{text}");
    }

    #[test]
    fn only_the_canonical_spelling_is_accepted() {
        for good in [
            "{}",
            "[]",
            "0",
            "9007199254740991",
            "true",
            r#"{"a":1,"b":[{"c":"x"}]}"#,
            r#""\u0001\n\"\\""#,
            "\"\u{7f}/é\u{2028}\"",
            "{\"\u{1f600}\":0,\"\u{ff5e}\":0}",
        ] {
            check(good, true);
        }
        for bad in [
            "",
            " 0",
            "0 ",
            "00",
            "01",
            "-1",
            "1.0",
            "1e3",
            "9007199254740992",
            "null",
            "{",
            "[1,]",
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\u0041""#,
            r#""\/""#,
            "\"\n\"",
            r#""\u00"#,
            r#""\u+001""#,
            r#"{"a":1,}"#,
            "{\"\u{ff5e}\":0,\"\u{1f600}\":0}",
            "\"x",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn the_end_of_plain_text_is_found_at_every_place() {
        for special in ['"', '\\', '\n', '\0', '\u{1f}'] {
            for before in 0..40 {
                for other in ["x", "\u{7f}", "\u{e9}", "\u{20}", "!", "#", "[", "]"] {
                    let plain = other.repeat(before);
                    let text = format!("{plain}{special}\"x");
                    assert_eq!(plain_length(text.as_bytes()), plain.len(), "{text:?}");
                    assert_eq!(plain_length(plain.as_bytes()), plain.len(), "{text:?}");
                }
            }
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(serde_json::Value::from),
            (0..=MAX_INTEGER).prop_map(serde_json::Value::from),
            ".*".prop_map(serde_json::Value::from),
            "[\\x00-\\x7f]{0,8}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::btree_map(".{0,3}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_implementation_writes_is_accepted(value in json()) {
            check(&serde_json_canonicalizer::to_string(&value).unwrap(), true);
        }

        #[test]
        fn what_is_accepted_is_what_another_implementation_writes(
            json in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = serde_json_canonicalizer::to_vec(&json).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
            let mut scanner = Scanner::new(text);
            if value(&mut scanner).and_then(|()| scanner.end()).is_ok() {
                let value: serde_json::Value = serde_json::from_str(text).unwrap();
                prop_assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), text);
            }
        }
    }
}
