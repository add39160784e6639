//! Surrogates: random stand-ins for values, and their exact way back.
//!
//! A surrogate looks like `[NAME_7K3QF9ZD]`: the class, then forty random bits. It is never derived
//! from the value (45 CFR 164.514(c)(1)), it is minted per conversation, and one value keeps one
//! surrogate there. Text with surrogates in it is still PHI.
//!
//! Restoring works on a stream. Only the longest suffix that could still become a live surrogate is
//! held back, so at most [`MAX_SURROGATE_BYTES`] of an answer wait for the next piece. A surrogate
//! that is not live here, or a mangled one, stays as it is and is counted; nothing is guessed.

use crate::{Class, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use zeroize::Zeroize;

/// Crockford's base 32: no I, L, O, U, so that a model or a person does not confuse characters.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Random characters in a surrogate: 8 of 5 bits each. A guess hits one of a thousand live
/// surrogates with a chance of one in a thousand million.
const RANDOM_CHARS: usize = 8;

/// The longest surrogate in bytes: brackets, the longest label, a line, the random part.
pub const MAX_SURROGATE_BYTES: usize = 2 + "HEALTH_PLAN_ID".len() + 1 + RANDOM_CHARS;

/// Surrogates that one conversation may hold: the longest charts have some thousands of
/// identifiers, and the whole map is read at each turn.
pub const MAX_SURROGATES: usize = 50_000;

/// The label of a stand-in for text that only looked like a surrogate.
const LITERAL: &str = "TEXT";

/// The conversation holds [`MAX_SURROGATES`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation holds as many surrogates as it may")]
pub struct MapFull;

/// The entry is not one, or the conversation holds [`MAX_SURROGATES`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry of a surrogate map cannot be read back")]
pub struct NotRemembered;

/// What a surrogate stands for.
#[derive(Clone, Debug)]
struct Meaning {
    /// The class; absent for text that only looked like a surrogate.
    class: Option<Class>,
    value: Text,
    /// Minted since the map was read.
    fresh: bool,
}

/// The surrogates of one conversation.
#[derive(Default)]
pub struct SurrogateMap {
    meanings: BTreeMap<Box<str>, Meaning>,
    by_value: BTreeMap<(Option<Class>, String), Box<str>>,
    minted: usize,
    read: u64,
}

impl std::fmt::Debug for SurrogateMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SurrogateMap({} surrogates)", self.meanings.len())
    }
}

impl Drop for SurrogateMap {
    fn drop(&mut self) {
        for (mut key, _) in std::mem::take(&mut self.by_value) {
            key.1.zeroize();
        }
    }
}

impl SurrogateMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing stands for anything here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meanings.is_empty()
    }

    /// How many surrogates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meanings.len()
    }

    /// How many were made since the map was read or made.
    #[must_use]
    pub const fn minted(&self) -> usize {
        self.minted
    }

    /// How many times a surrogate from an earlier turn was used again.
    #[must_use]
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// The surrogate for `value`: the one it has, or a fresh one that is not among `taken`.
    ///
    /// `fill` writes unpredictable bytes.
    ///
    /// # Errors
    /// [`MapFull`].
    pub fn surrogate(
        &mut self,
        class: Option<Class>,
        value: &str,
        taken: &BTreeSet<String>,
        fill: &dyn Fn(&mut [u8]),
    ) -> Result<&str, MapFull> {
        // The borrow checker wants the look-up and the insertion apart.
        let key = (class, value.to_owned());
        if !self.by_value.contains_key(&key) {
            if self.meanings.len() >= MAX_SURROGATES {
                return Err(MapFull);
            }
            let surrogate = self.mint(class, taken, fill);
            self.insert(surrogate, class, key.1.clone(), true);
        }
        let surrogate = self.by_value.get(&key).map_or("", |surrogate| &**surrogate);
        if self.meanings.get(surrogate).is_some_and(|meaning| !meaning.fresh) {
            self.read += 1;
        }
        Ok(surrogate)
    }

    fn mint(
        &self,
        class: Option<Class>,
        taken: &BTreeSet<String>,
        fill: &dyn Fn(&mut [u8]),
    ) -> Box<str> {
        loop {
            let mut random = [0_u8; RANDOM_CHARS];
            fill(&mut random);
            let mut surrogate = String::with_capacity(MAX_SURROGATE_BYTES);
            surrogate.push('[');
            surrogate.push_str(class.map_or(LITERAL, Class::label));
            surrogate.push('_');
            for byte in random {
                surrogate
                    .push(ALPHABET.get(usize::from(byte & 31)).map_or('0', |c| char::from(*c)));
            }
            surrogate.push(']');
            // Small models drop a letter from a run of three, and a mangled surrogate is never
            // restored.
            let runs =
                random.map(|byte| byte & 31).array_windows().any(|[a, b, c]| a == b && b == c);
            if !runs
                && !taken.contains(&surrogate)
                && !self.meanings.contains_key(surrogate.as_str())
            {
                return surrogate.into_boxed_str();
            }
        }
    }

    fn insert(&mut self, surrogate: Box<str>, class: Option<Class>, value: String, fresh: bool) {
        self.minted += usize::from(fresh);
        self.by_value.insert((class, value.clone()), surrogate.clone());
        self.meanings.insert(surrogate, Meaning { class, value: Text::new(value), fresh });
    }

    /// Puts back an entry that an earlier turn minted (see [`SurrogateMap::fresh_entries`]).
    ///
    /// # Errors
    /// [`NotRemembered`]: the map would have a hole, and must not be used.
    pub fn remember(&mut self, entry: &str) -> Result<(), NotRemembered> {
        let mut fields = entry.splitn(3, '\n');
        let (Some(surrogate), Some(class), Some(value)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(NotRemembered);
        };
        let class = match class {
            LITERAL => None,
            label => Some(label.parse().map_err(|_| NotRemembered)?),
        };
        if !is_surrogate(surrogate) || self.meanings.len() >= MAX_SURROGATES {
            return Err(NotRemembered);
        }
        self.insert(surrogate.into(), class, value.to_owned(), false);
        Ok(())
    }

    /// The entries made since the map was read, each as `surrogate LF class LF value`, for sealed
    /// storage.
    pub fn fresh_entries(&self) -> impl Iterator<Item = Text> + '_ {
        self.meanings.iter().filter(|(_, meaning)| meaning.fresh).filter_map(
            |(surrogate, meaning)| {
                let class = meaning.class.map_or(LITERAL, Class::label);
                let mut entry = String::with_capacity(64);
                write!(entry, "{surrogate}\n{class}\n{}", meaning.value.expose()).ok()?;
                Some(Text::new(entry))
            },
        )
    }

    /// Every surrogate with the label of its class and its value, in the order of the surrogates.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &'static str, &Text)> {
        self.meanings.iter().map(|(surrogate, meaning)| {
            (&**surrogate, meaning.class.map_or(LITERAL, Class::label), &meaning.value)
        })
    }

    fn value(&self, surrogate: &str) -> Option<&Text> {
        self.meanings.get(surrogate).map(|meaning| &meaning.value)
    }

    /// Whether a live surrogate begins with `text`.
    fn begins_one(&self, text: &str) -> bool {
        self.meanings
            .range::<str, _>((std::ops::Bound::Included(text), std::ops::Bound::Unbounded))
            .next()
            .is_some_and(|(surrogate, _)| surrogate.starts_with(text))
    }
}

/// Whether `text` has the form of a surrogate.
#[must_use]
pub fn is_surrogate(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return false;
    };
    let Some((label, random)) = inner.rsplit_once('_') else { return false };
    random.len() == RANDOM_CHARS
        && random.bytes().all(|byte| ALPHABET.contains(&byte))
        && (label == LITERAL || label.parse::<Class>().is_ok())
}

/// Where `text` holds something of a surrogate's form. Such text is escaped before it leaves, by
/// giving it a surrogate of its own, so that an answer cannot be restored into it by mistake.
#[must_use]
pub fn look_alikes(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for open in memchr::memchr_iter(b'[', text.as_bytes()) {
        if let Some(end) = closing(text, open)
            && text.get(open..end).is_some_and(is_surrogate)
        {
            found.push(open..end);
        }
    }
    found
}

/// The end of the bracketed text that opens at `open`, if it closes within a surrogate's length.
fn closing(text: &str, open: usize) -> Option<usize> {
    let window = text.as_bytes().get(open..)?;
    let window = window.get(..MAX_SURROGATE_BYTES).unwrap_or(window);
    memchr::memchr(b']', window).map(|at| open + at + 1)
}

/// How a restored value is written into its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As it is.
    Plain,
    /// As the inside of a JSON string (RFC 8259 section 7): tool arguments, JSON answers.
    Json,
}

/// Restores one stream of text: one choice's content, or one tool call's arguments.
#[derive(Debug)]
pub struct Restorer {
    escape: Escape,
    held: Text,
    restored: u64,
    unknown: u64,
}

impl Restorer {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new(escape: Escape) -> Self {
        Self { escape, held: Text::default(), restored: 0, unknown: 0 }
    }

    /// Surrogates replaced so far.
    #[must_use]
    pub const fn restored(&self) -> u64 {
        self.restored
    }

    /// Texts of a surrogate's form that stand for nothing here, so far.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Bytes held back.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Takes the next piece and returns what is certain.
    #[must_use]
    pub fn feed(&mut self, map: &SurrogateMap, piece: &str) -> Text {
        if self.held.is_empty() && memchr::memchr(b'[', piece.as_bytes()).is_none() {
            return Text::from(piece);
        }
        let mut text = std::mem::take(&mut self.held).into_exposed();
        text.push_str(piece);
        let (out, rest) = self.restore(map, &text, true);
        self.held = Text::from(rest);
        text.zeroize();
        Text::new(out)
    }

    /// Ends the stream and returns what was held back. The restorer can be fed again.
    #[must_use]
    pub fn finish(&mut self, map: &SurrogateMap) -> Text {
        let held = std::mem::take(&mut self.held);
        Text::new(self.restore(map, held.expose(), false).0)
    }

    /// Restores `text`; with `more` to come, also returns the suffix that must wait.
    fn restore<'t>(&mut self, map: &SurrogateMap, text: &'t str, more: bool) -> (String, &'t str) {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for open in memchr::memchr_iter(b'[', text.as_bytes()) {
            if open < done {
                continue;
            }
            let candidate = text.get(open..).unwrap_or_default();
            if let Some(end) = closing(text, open) {
                let bracketed = text.get(open..end).unwrap_or_default();
                if let Some(value) = map.value(bracketed) {
                    out.push_str(text.get(done..open).unwrap_or_default());
                    self.write(&mut out, value);
                    self.restored += 1;
                    done = end;
                } else if is_surrogate(bracketed) {
                    self.unknown += 1;
                }
            } else if more && candidate.len() < MAX_SURROGATE_BYTES && map.begins_one(candidate) {
                out.push_str(text.get(done..open).unwrap_or_default());
                return (out, candidate);
            }
        }
        out.push_str(text.get(done..).unwrap_or_default());
        (out, "")
    }

    fn write(&self, out: &mut String, value: &Text) {
        match self.escape {
            Escape::Plain => out.push_str(value.expose()),
            Escape::Json => escape_json(out, value.expose()),
        }
    }
}

/// Writes `value` as the inside of a JSON string.
fn escape_json(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                if write!(out, "\\u{:04x}", u32::from(control)).is_err() {
                    out.push(' ');
                }
            }
            other => out.push(other),
        }
    }
}

/// Placeholders for redaction: `[NAME_1]`, `[DATE_2]`, numbered by first appearance in a document,
/// so that the same history always gives the same placeholders. They are not restored.
#[derive(Debug, Default)]
pub struct Placeholders {
    numbers: BTreeMap<(Class, String), usize>,
    counts: BTreeMap<Class, usize>,
}

impl Placeholders {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The placeholder of a value.
    pub fn placeholder(&mut self, class: Class, value: &str) -> String {
        let count = self.counts.entry(class).or_default();
        let number = *self.numbers.entry((class, value.to_owned())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("[{}_{number}]", class.label())
    }
}

impl Drop for Placeholders {
    fn drop(&mut self) {
        for (mut key, _) in std::mem::take(&mut self.numbers) {
            key.1.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    /// Counts up through a fixed permutation, so that tests are repeatable.
    fn seeded() -> impl Fn(&mut [u8]) {
        let state = Cell::new(7_u64);
        move |bytes: &mut [u8]| {
            for byte in bytes {
                let next = state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.set(next);
                *byte = (next >> 33).to_le_bytes()[0];
            }
        }
    }

    fn map_of(values: &[(Class, &str)]) -> (SurrogateMap, Vec<String>) {
        let mut map = SurrogateMap::new();
        let fill = seeded();
        let surrogates = values
            .iter()
            .map(|(class, value)| {
                map.surrogate(Some(*class), value, &BTreeSet::new(), &fill).unwrap().to_owned()
            })
            .collect();
        (map, surrogates)
    }

    #[test]
    fn two_patients_split_at_every_byte_come_back_unswapped() {
        let (map, tokens) = map_of(&[
            (Class::Name, "Ann Lee"),
            (Class::Name, "Bo \"Red\" Diaz"),
            (Class::Mrn, "44"),
        ]);
        let sent = format!("A [x] {} then {}{} ] [NAME_ end", tokens[0], tokens[1], tokens[2]);
        let expected = "A [x] Ann Lee then Bo \"Red\" Diaz44 ] [NAME_ end";
        for first in 0..=sent.len() {
            for second in first..=sent.len() {
                let mut restorer = Restorer::new(Escape::Plain);
                let mut out = String::new();
                for piece in [&sent[..first], &sent[first..second], &sent[second..]] {
                    out.push_str(restorer.feed(&map, piece).expose());
                    assert!(restorer.held_bytes() < MAX_SURROGATE_BYTES);
                }
                out.push_str(restorer.finish(&map).expose());
                assert_eq!(out, expected, "split at {first} and {second}");
                assert_eq!((restorer.restored(), restorer.unknown()), (3, 0));
            }
        }
    }

    #[test]
    fn arguments_are_restored_with_json_escaping() {
        let (map, tokens) = map_of(&[(Class::Name, "Bo \"Red\"\n\\Diaz\u{1}")]);
        let mut restorer = Restorer::new(Escape::Json);
        let out = restorer.feed(&map, &format!(r#"{{"name":"{}"}}"#, tokens[0]));
        assert_eq!(out.expose(), r#"{"name":"Bo \"Red\"\n\\Diaz\u0001"}"#);
    }

    #[test]
    fn unknown_and_mangled_surrogates_stay_and_are_counted() {
        let (map, tokens) = map_of(&[(Class::Name, "Ann Lee")]);
        let lower = tokens[0].to_lowercase();
        let text = format!("[NAME_00000000] {lower} [NAME_1] {}", &tokens[0][..10]);
        let mut restorer = Restorer::new(Escape::Plain);
        let mut out = restorer.feed(&map, &text).into_exposed();
        out.push_str(restorer.finish(&map).expose());
        assert_eq!(out, text);
        assert_eq!((restorer.restored(), restorer.unknown()), (0, 1));
    }

    #[test]
    fn one_value_keeps_one_surrogate_and_a_later_turn_reads_it() {
        let (map, tokens) = map_of(&[(Class::Ssn, "078-05-1120"), (Class::Ssn, "078-05-1120")]);
        assert_eq!(tokens[0], tokens[1]);
        assert_eq!((map.len(), map.minted(), map.read()), (1, 1, 0));
        let mut later = SurrogateMap::new();
        for entry in map.fresh_entries() {
            later.remember(entry.expose()).unwrap();
        }
        let again = later
            .surrogate(Some(Class::Ssn), "078-05-1120", &BTreeSet::new(), &seeded())
            .unwrap()
            .to_owned();
        assert_eq!(again, tokens[0]);
        assert_eq!((later.minted(), later.read()), (0, 1));
    }

    #[test]
    fn a_surrogate_is_not_derived_from_its_value() {
        let mut seen = BTreeSet::new();
        let fill = seeded();
        for _ in 0..100 {
            let mut map = SurrogateMap::new();
            let token = map.surrogate(Some(Class::Ssn), "078-05-1120", &BTreeSet::new(), &fill);
            assert!(
                seen.insert(token.unwrap().to_owned()),
                "the same surrogate in two conversations"
            );
        }
    }

    #[test]
    fn look_alikes_are_found_and_never_minted() {
        assert_eq!(look_alikes("x [NAME_7K3QF9ZD] [name_7K3QF9ZD] [SSN_7K3QF9Z]"), vec![2..17]);
        assert!(look_alikes("[NAME_7K3QF9ZI] [NOPE_7K3QF9ZD]").is_empty());
        let (_, tokens) = map_of(&[(Class::Name, "a")]);
        let taken = BTreeSet::from([tokens[0].clone()]);
        let mut map = SurrogateMap::new();
        let minted = map.surrogate(Some(Class::Name), "a", &taken, &seeded()).unwrap();
        assert_ne!(minted, tokens[0]);
    }

    #[test]
    fn placeholders_number_values_by_first_appearance() {
        let mut placeholders = Placeholders::new();
        let mut next = |class, value| placeholders.placeholder(class, value);
        assert_eq!(next(Class::Name, "Ann"), "[NAME_1]");
        assert_eq!(next(Class::Name, "Bo"), "[NAME_2]");
        assert_eq!(next(Class::Date, "Ann"), "[DATE_1]");
        assert_eq!(next(Class::Name, "Ann"), "[NAME_1]");
    }

    proptest! {
        #[test]
        fn any_split_of_any_text_restores_as_the_whole(
            pieces in prop::collection::vec("[\\[\\]A-Z_ é0-9]{0,12}", 0..8),
            picks in prop::collection::vec(0_usize..3, 0..8),
            cut in 1_usize..7,
        ) {
            let (map, tokens) = map_of(&[(Class::Name, "Ann"), (Class::Date, "[1]"), (Class::Mrn, "é")]);
            let mut sent = String::new();
            for (i, piece) in pieces.iter().enumerate() {
                sent.push_str(piece);
                if let Some(pick) = picks.get(i) {
                    sent.push_str(&tokens[*pick]);
                }
            }
            let mut whole = Restorer::new(Escape::Plain);
            let mut expected = whole.feed(&map, &sent).into_exposed();
            expected.push_str(whole.finish(&map).expose());

            let mut split = Restorer::new(Escape::Plain);
            let mut got = String::new();
            let chars: Vec<char> = sent.chars().collect();
            for piece in chars.chunks(cut) {
                got.push_str(split.feed(&map, &piece.iter().collect::<String>()).expose());
            }
            got.push_str(split.finish(&map).expose());
            prop_assert_eq!(got, expected);
            prop_assert_eq!(split.restored(), whole.restored());
        }
    }
}
