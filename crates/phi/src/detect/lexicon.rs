//! The compiled lists of names, places and words.

mod frequent;

use super::entry::Entry;
use super::letters::Plain;
use super::token::{Block, Phrase};
use frequent::Frequent;

/// Names, words and towns of one word.
static WORDS: &[u8] = include_bytes!("../../data/words.fst");
/// Towns and facilities of several words.
static PHRASES: &[u8] = include_bytes!("../../data/phrases.fst");

/// The most words in a phrase of the list.
const MAX_PHRASE_WORDS: usize = 4;

/// The lists. They are automata inside the program, so that opening them parses nothing.
#[derive(Debug)]
pub(crate) struct Lexicon {
    words: Option<fst::Map<&'static [u8]>>,
    phrases: Option<fst::Map<&'static [u8]>>,
    frequent: Frequent,
}

impl Lexicon {
    /// Opens the lists. One that does not open, or is not what was written, leaves a hole that the
    /// self-test finds.
    pub(crate) fn new() -> Self {
        Self { words: open(WORDS), phrases: open(PHRASES), frequent: Frequent::new() }
    }

    /// Whether no list is missing. The other layers find much without them, so a text with identifiers in
    /// it does not tell. Frequent words have no say in it: what is missing there is asked of these.
    pub(crate) const fn is_whole(&self) -> bool {
        self.words.is_some() && self.phrases.is_some()
    }

    /// What is known of the word at a place of a block.
    pub(crate) fn word_at(&self, block: &Block<'_>, i: usize) -> Entry {
        block.entry(i, |word| self.word(word))
    }

    /// What is known of a word.
    pub(crate) fn word(&self, word: &str) -> Entry {
        let Some(plain) = Plain::of(word) else { return Entry::default() };
        if let Some(known) = self.frequent.get(&plain) {
            return known.entry();
        }
        self.words
            .as_ref()
            .and_then(|map| map.get(plain.as_bytes()))
            .map_or_else(Entry::default, Entry::from_packed)
    }

    /// The longest phrase of the list that begins at a token: the token after it, and what it is.
    pub(crate) fn phrase(&self, block: &Block<'_>, first: usize) -> Option<(usize, Entry)> {
        let map = self.phrases.as_ref()?;
        if !self.begins(map, &Plain::of(block.str(first))?) {
            return None;
        }
        let mut phrase = Phrase::new();
        let mut found = None;
        let mut i = first;
        let mut words = 0;
        while words < MAX_PHRASE_WORDS {
            let Some(plain) = Plain::of(block.str(i)) else { break };
            if !phrase.push(plain.as_bytes()) {
                break;
            }
            i += 1;
            words += 1;
            if words > 1
                && let Some(packed) = map.get(phrase.as_bytes())
            {
                found = Some((i, Entry::from_packed(packed)));
            }
            // A full stop after `St`, a hyphen and a possessive lie inside a phrase.
            if block.at(i).is_mark(b'-') || (block.at(i).is_mark(b'.') && words == 1) {
                i += 1;
            } else if block.at(i).kind == super::token::Kind::Possessive {
                let mut joined = phrase;
                if joined.push_joined(b"s")
                    && let Some(packed) = map.get(joined.as_bytes())
                    && words > 1
                {
                    found = Some((i + 1, Entry::from_packed(packed)));
                }
                if !phrase.push_joined(b"s") {
                    break;
                }
                i += 1;
            }
            if block.at(i).gap > super::token::Gap::Space {
                break;
            }
        }
        found
    }

    /// Whether anything in the list of phrases begins with a word: most words begin none, and that
    /// shows after a few letters.
    fn begins(&self, phrases: &fst::Map<&'static [u8]>, plain: &Plain) -> bool {
        if let Some(known) = self.frequent.get(plain) {
            return known.begins_phrase();
        }
        let automaton = phrases.as_fst();
        let mut node = automaton.root();
        for byte in plain.as_bytes() {
            let Some(at) = node.find_input(*byte) else { return false };
            node = automaton.node(node.transition_addr(at));
        }
        true
    }
}

/// A list, if it is the one that was written: it ends with a checksum of its own.
fn open(list: &'static [u8]) -> Option<fst::Map<&'static [u8]>> {
    fst::Map::new(list).ok().filter(|map| map.as_fst().verify().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_not_what_was_written_does_not_open() {
        assert!(Lexicon::new().is_whole());
        let check = |change: fn(&mut Vec<u8>)| {
            let mut list = PHRASES.to_vec();
            change(&mut list);
            assert!(open(list.leak()).is_none());
        };
        check(|list| list[0] ^= 1);
        check(|list| list[100_000] ^= 1);
        check(|list| list.truncate(100_000));
        check(Vec::clear);
        let lost = Lexicon { phrases: None, ..Lexicon::new() };
        assert!(!lost.is_whole() && !Lexicon { words: None, ..Lexicon::new() }.is_whole());
    }

    #[test]
    fn what_is_said_of_a_frequent_word_is_what_the_lists_say() {
        let lexicon = Lexicon::new();
        let plainly = Lexicon { frequent: Frequent::default(), ..Lexicon::new() };
        let phrases = lexicon.phrases.as_ref().unwrap();
        let mut words = 0;
        for line in frequent::LIST.lines() {
            let plain = Plain::of(line.split(' ').next().unwrap()).unwrap();
            assert!(lexicon.frequent.get(&plain).is_some(), "{line}");
            assert_eq!(lexicon.word(plain.as_str()), plainly.word(plain.as_str()), "{line}");
            let begins = plainly.begins(phrases, &plain);
            assert_eq!(lexicon.begins(phrases, &plain), begins, "{line}");
            words += 1;
        }
        assert!(words > 5_000);
        for other in ["zyxwv", "okafor", "pneumonoultramicroscopicsilico"] {
            assert!(lexicon.frequent.get(&Plain::of(other).unwrap()).is_none());
        }
    }
}
