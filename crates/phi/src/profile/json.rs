//! JSON with the places of its values, so that pieces can be cut out of the text as it stands.
//!
//! Strict (RFC 8259): what a lenient reader would take for something else than we do must not be
//! taken apart.

use std::borrow::Cow;

/// Deeper values are not taken apart. FHIR resources in a Bundle reach some 15.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
pub(super) struct Node<'t> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind<'t>,
}

pub(super) enum Kind<'t> {
    /// A number, `true`, `false` or `null`.
    Word,
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Map(Vec<Member<'t>>),
}

/// A member of an object; `start` is that of its name.
pub(super) struct Member<'t> {
    pub(super) start: usize,
    pub(super) name: Cow<'t, str>,
    pub(super) value: Node<'t>,
}

/// Why a value was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is no JSON here.
    NotJson,
    /// The budget of bytes is spent.
    Spent,
}

/// Reads values out of a text, each byte a bounded number of times.
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Bytes that may still be looked at, over all tries.
    budget: usize,
}

impl<'t> Reader<'t> {
    /// A value that is tried in vain is begun again at each bracket inside it, so tries can overlap.
    /// Ordinary text never spends twice its length.
    const TRIES: usize = 8;

    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, budget: text.len().saturating_mul(Self::TRIES).saturating_add(1024) }
    }

    /// Reads the value that begins at `at`.
    pub(super) fn value_at(&mut self, at: usize) -> Result<Node<'t>, Stop> {
        self.at = at;
        self.value(0)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'t>, Stop> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') if depth < MAX_DEPTH => self.map(depth)?,
            Some(b'[') if depth < MAX_DEPTH => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(_) => self.word()?,
            None => return Err(Stop::NotJson),
        };
        Ok(Node { start, end: self.at, kind })
    }

    fn map(&mut self, depth: usize) -> Result<Kind<'t>, Stop> {
        self.step()?;
        let mut members = Vec::new();
        self.space()?;
        if self.peek() == Some(b'}') {
            self.step()?;
            return Ok(Kind::Map(members));
        }
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(Stop::NotJson);
            }
            let name = self.string()?;
            self.space()?;
            self.expect(b':')?;
            self.space()?;
            let value = self.value(depth + 1)?;
            members.push(Member { start, name, value });
            self.space()?;
            match self.step()? {
                b',' => self.space()?,
                b'}' => return Ok(Kind::Map(members)),
                _ => return Err(Stop::NotJson),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind<'t>, Stop> {
        self.step()?;
        let mut items = Vec::new();
        self.space()?;
        if self.peek() == Some(b']') {
            self.step()?;
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space()?;
            match self.step()? {
                b',' => self.space()?,
                b']' => return Ok(Kind::List(items)),
                _ => return Err(Stop::NotJson),
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'t, str>, Stop> {
        self.step()?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.step()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.step()?;
                }
                0..=0x1f => return Err(Stop::NotJson),
                _ => {}
            }
        }
        let inside = self.text.get(start..self.at - 1).ok_or(Stop::NotJson)?;
        if !escaped {
            return Ok(Cow::Borrowed(inside));
        }
        let whole = self.text.get(start - 1..self.at).ok_or(Stop::NotJson)?;
        serde_json::from_str::<String>(whole).map(Cow::Owned).map_err(|_| Stop::NotJson)
    }

    fn word(&mut self) -> Result<Kind<'t>, Stop> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            self.step()?;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        let known = matches!(word, "true" | "false" | "null") || is_number(word);
        if known { Ok(Kind::Word) } else { Err(Stop::NotJson) }
    }

    fn space(&mut self) -> Result<(), Stop> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step()?;
        }
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.step()? == byte { Ok(()) } else { Err(Stop::NotJson) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) -> Result<u8, Stop> {
        let byte = self.peek().ok_or(Stop::NotJson)?;
        self.budget = self.budget.checked_sub(1).ok_or(Stop::Spent)?;
        self.at += 1;
        Ok(byte)
    }
}

/// RFC 8259 section 6.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let rest = word.strip_prefix('-').unwrap_or(word);
    let (rest, exponent) = match rest.split_once(['e', 'E']) {
        Some((rest, exponent)) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            (rest, Some(exponent))
        }
        None => (rest, None),
    };
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
