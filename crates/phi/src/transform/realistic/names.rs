//! Names for names: of the same culture, gender and shape, as far as lists tell them.

use super::{Dice, MAX_DRAWS, Seen};
use crate::transform::context::ends_with_word;
use crate::transform::mention::{self, NameWord, Part};
use crate::transform::written::cased;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroize;

const LISTS: &str = include_str!("../../../data/surrogate_names.txt");

/// The group of a list: its culture and what the names in it are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Female,
    Male,
    Surname,
}

/// Which of a person's names a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Given,
    Surname,
}

/// Where a name without an entry most likely belongs, by its end.
const ENDINGS: [(&str, &str); 33] = [
    ("ski", "slavic"),
    ("ska", "slavic"),
    ("sky", "slavic"),
    ("wicz", "slavic"),
    ("czyk", "slavic"),
    ("enko", "slavic"),
    ("ova", "slavic"),
    ("vic", "slavic"),
    ("chuk", "slavic"),
    ("ez", "spanish"),
    ("ñez", "spanish"),
    ("ñoz", "spanish"),
    ("ndo", "spanish"),
    ("ado", "spanish"),
    ("illo", "spanish"),
    ("elli", "italian"),
    ("etti", "italian"),
    ("ucci", "italian"),
    ("ini", "italian"),
    ("acci", "italian"),
    ("sen", "scandinavian"),
    ("sson", "scandinavian"),
    ("strom", "scandinavian"),
    ("gaard", "scandinavian"),
    ("mann", "german"),
    ("berg", "german"),
    ("hauser", "german"),
    ("schmidt", "german"),
    ("eau", "french"),
    ("eaux", "french"),
    ("moto", "japanese"),
    ("wala", "south_asian"),
    ("jee", "south_asian"),
];

/// The names of one document.
pub(super) struct Names {
    lists: BTreeMap<(&'static str, Sort), Vec<&'static str>>,
    /// Which lists hold a name, in lower case.
    groups: BTreeMap<String, Vec<(&'static str, Sort)>>,
    /// First names that stand with a surname in the document.
    firsts: BTreeMap<String, BTreeSet<String>>,
    /// Whether a word stands as a given name, as a surname.
    roles: BTreeMap<String, BTreeSet<Place>>,
    made: BTreeMap<(Place, String), String>,
    letters: BTreeMap<(String, char), char>,
}

impl Drop for Names {
    fn drop(&mut self) {
        for (mut key, _) in std::mem::take(&mut self.made) {
            key.1.zeroize();
        }
        for (mut name, firsts) in std::mem::take(&mut self.firsts) {
            name.zeroize();
            for mut first in firsts {
                first.zeroize();
            }
        }
        for (mut name, _) in std::mem::take(&mut self.roles) {
            name.zeroize();
        }
    }
}

impl Names {
    pub(super) fn new() -> Self {
        let mut lists: BTreeMap<_, Vec<&'static str>> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let lines = LISTS.lines().filter(|line| !line.starts_with('#'));
        for (head, names) in lines.filter_map(|line| line.split_once(':')) {
            let Some((culture, sort)) = head.split_once(' ') else { continue };
            let sort = match sort {
                "female" => Sort::Female,
                "male" => Sort::Male,
                _ => Sort::Surname,
            };
            for name in names.split_whitespace() {
                lists.entry((culture, sort)).or_default().push(name);
                groups.entry(name.to_lowercase()).or_default().push((culture, sort));
            }
        }
        Self {
            lists,
            groups,
            firsts: BTreeMap::new(),
            roles: BTreeMap::new(),
            made: BTreeMap::new(),
            letters: BTreeMap::new(),
        }
    }

    /// Reads a mention: which names stand together.
    pub(super) fn meet(&mut self, mention: &str, before: &str) {
        let words = mention::words(mention);
        let of = |part: Part| words.iter().filter(move |it| it.part == part);
        let mut surnames: Vec<String> =
            of(Part::Surname).map(|it| it.text.to_lowercase()).collect();
        if surnames.is_empty() && titled(before) {
            surnames.extend(of(Part::Single).map(|it| it.text.to_lowercase()));
        }
        for given in of(Part::Given).map(|it| it.text.to_lowercase()) {
            for surname in &surnames {
                self.firsts.entry(surname.clone()).or_default().insert(given.clone());
            }
            self.roles.entry(given).or_default().insert(Place::Given);
        }
        for surname in surnames {
            self.roles.entry(surname).or_default().insert(Place::Surname);
        }
    }

    /// The surrogate of a mention; `None` when there is no letter or digit in it.
    pub(super) fn name(
        &mut self,
        mention: &str,
        before: &str,
        seen: &mut Seen,
        dice: Dice<'_>,
    ) -> Option<String> {
        if !mention.chars().any(char::is_alphanumeric) {
            return None;
        }
        let words = mention::words(mention);
        if let [word] = words.as_slice()
            && word.part == Part::Single
            && self.is_initials(word.text)
        {
            let made = self.initials(word.text, dice);
            return Some(around(mention, word, &made, dice));
        }
        let mut out = String::with_capacity(mention.len() + 8);
        let mut done = 0;
        for word in &words {
            push_plain(&mut out, mention.get(done..word.start)?, dice);
            let place = match word.part {
                Part::Given => Some(Place::Given),
                Part::Surname => Some(Place::Surname),
                Part::Single => Some(self.place(word.text, before)),
                Part::Title | Part::Particle | Part::Suffix | Part::Initial => None,
            };
            if let Some(place) = place {
                out.push_str(&self.word(place, word.text, &words, before, seen, dice));
            } else if word.part == Part::Initial {
                out.push(self.initial(word, &words, dice));
            } else {
                out.push_str(word.text);
            }
            done = word.end();
        }
        push_plain(&mut out, mention.get(done..)?, dice);
        // A title or a particle alone, or a letter that came out as itself.
        (out.to_lowercase() != mention.to_lowercase()).then_some(out)
    }

    /// The surrogate, in lower case, of a word that is a name in this document; or another name.
    pub(super) fn known(&mut self, word: &str, dice: Dice<'_>) -> String {
        let lower = word.to_lowercase();
        for place in [Place::Surname, Place::Given] {
            if let Some(made) = self.made.get(&(place, lower.clone())) {
                return made.to_lowercase();
            }
        }
        let list = self.lists.get(&("english", Sort::Surname)).map_or(&[][..], Vec::as_slice);
        dice.pick(list).unwrap_or("name").to_lowercase()
    }

    /// Which name a lone word is: as the document uses it elsewhere, else as the lists know it.
    fn place(&self, word: &str, before: &str) -> Place {
        let lower = word.to_lowercase();
        let roles = self.roles.get(&lower);
        let only = |place| roles.is_some_and(|it| it.len() == 1 && it.contains(&place));
        if only(Place::Surname) || titled(before) {
            return Place::Surname;
        }
        if only(Place::Given) {
            return Place::Given;
        }
        let groups = self.groups.get(&lower).map_or(&[][..], Vec::as_slice);
        let given = groups.iter().any(|(_, sort)| *sort != Sort::Surname);
        if given { Place::Given } else { Place::Surname }
    }

    fn word(
        &mut self,
        place: Place,
        word: &str,
        words: &[NameWord<'_>],
        before: &str,
        seen: &mut Seen,
        dice: Dice<'_>,
    ) -> String {
        let key = (place, word.to_lowercase());
        if let Some(made) = self.made.get(&key) {
            return cased(made, word);
        }
        let (culture, sort) = self.group(place, word, words, before, dice);
        let made = self.draw(culture, sort, word, seen, dice);
        self.made.insert(key, made.clone());
        cased(&made, word)
    }

    /// The list from which a word's surrogate comes.
    fn group(
        &self,
        place: Place,
        word: &str,
        words: &[NameWord<'_>],
        before: &str,
        dice: Dice<'_>,
    ) -> (&'static str, Sort) {
        let lower = word.to_lowercase();
        let fits = |sort: Sort| (sort == Sort::Surname) == (place == Place::Surname);
        let own =
            |lower: &str| self.groups.get(lower)?.iter().find(|(_, sort)| fits(*sort)).copied();
        if let Some(group) = own(&lower) {
            return group;
        }
        let ending =
            ENDINGS.iter().find(|(end, _)| lower.ends_with(end) && lower.len() > end.len() + 1);
        let other = || {
            let mut others = words.iter().filter(|it| it.text != word);
            others.find_map(|it| self.groups.get(&it.text.to_lowercase())?.first())
        };
        let culture = ending
            .filter(|_| place == Place::Surname)
            .map(|(_, culture)| *culture)
            .or_else(|| other().map(|(culture, _)| *culture))
            .unwrap_or("english");
        if place == Place::Surname {
            return (culture, Sort::Surname);
        }
        let title = words.iter().find(|it| it.part == Part::Title).map_or("", |it| it.text);
        let says = |list: &[&str]| {
            list.iter().any(|it| it.eq_ignore_ascii_case(title) || ends_with_word(before, it))
        };
        let sort = if says(&["mrs", "ms", "miss", "mother", "wife", "daughter", "sister"]) {
            Sort::Female
        } else if says(&["mr", "father", "husband", "son", "brother"]) {
            Sort::Male
        } else if lower.ends_with('a') || dice.below(2) == 0 {
            Sort::Female
        } else {
            Sort::Male
        };
        (culture, sort)
    }

    /// A free name of the list, which begins with another letter; else one that is made up.
    fn draw(
        &self,
        culture: &'static str,
        sort: Sort,
        word: &str,
        seen: &mut Seen,
        dice: Dice<'_>,
    ) -> String {
        let begins = |name: &str| name.chars().next().map(|c| c.to_lowercase().to_string());
        let fits = |name: &str| begins(name) != begins(word);
        for culture in [culture, "english"] {
            let list = self.lists.get(&(culture, sort)).map_or(&[][..], Vec::as_slice);
            for _ in 0..MAX_DRAWS {
                if let Some(name) = dice.pick(list).filter(|name| fits(name))
                    && seen.take_word(name)
                {
                    return name.to_owned();
                }
            }
        }
        made_up(dice, |name| fits(name) && seen.take_word(name))
    }

    /// `MQ`: two or three capitals that are no name.
    fn is_initials(&self, word: &str) -> bool {
        (2..=3).contains(&word.chars().count())
            && word.chars().all(char::is_uppercase)
            && !self.groups.contains_key(&word.to_lowercase())
            && !self.roles.contains_key(&word.to_lowercase())
    }

    /// Initials of the surrogate, where the document has a person with these letters.
    fn initials(&mut self, word: &str, dice: Dice<'_>) -> String {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        let begins = |name: &str, letter: Option<char>| {
            name.chars().next().map(|c| c.to_uppercase().to_string())
                == letter.map(|c| c.to_string())
        };
        let made = |place, name: &str| {
            let made = self.made.get(&(place, name.to_owned()))?;
            made.chars().next()
        };
        let person = self.firsts.iter().filter(|(surname, _)| begins(surname, last)).find_map(
            |(surname, firsts)| {
                let first = firsts.iter().find(|it| begins(it, first))?;
                Some((made(Place::Given, first)?, made(Place::Surname, surname)?))
            },
        );
        let middle = word.chars().skip(1).take(word.chars().count().saturating_sub(2));
        let mut out = String::with_capacity(word.len());
        let (first, last) = (first.unwrap_or('X'), last.unwrap_or('X'));
        let person = person.unwrap_or_else(|| {
            (self.letter(String::new(), first, dice), self.letter("surname".to_owned(), last, dice))
        });
        out.push(person.0);
        for letter in middle {
            out.push(self.letter("middle".to_owned(), letter, dice));
        }
        out.push(person.1);
        out
    }

    /// One letter for a name: of the first name's surrogate where the document tells it.
    fn initial(&mut self, word: &NameWord<'_>, words: &[NameWord<'_>], dice: Dice<'_>) -> char {
        let letter = word.text.chars().next().unwrap_or('X');
        let surname = words.iter().find(|it| it.part == Part::Surname);
        let surname = surname.map(|it| it.text.to_lowercase()).unwrap_or_default();
        let is_first = !words.iter().any(|it| it.part == Part::Given);
        let same = |name: &&String| {
            name.chars().next().is_some_and(|c| c.to_lowercase().eq(letter.to_lowercase()))
        };
        let first = self.firsts.get(&surname).and_then(|it| it.iter().find(same)).cloned();
        let made = first
            .filter(|_| is_first)
            .and_then(|first| self.made.get(&(Place::Given, first))?.chars().next());
        let made = made.unwrap_or_else(|| self.letter(surname, letter, dice));
        if letter.is_lowercase() { made.to_ascii_lowercase() } else { made }
    }

    /// Another letter, the same each time for one name.
    fn letter(&mut self, of: String, letter: char, dice: Dice<'_>) -> char {
        let letter = letter.to_ascii_uppercase();
        *self.letters.entry((of, letter)).or_insert_with(|| {
            loop {
                let made = dice.upper();
                if made != letter {
                    return made;
                }
            }
        })
    }
}

/// Whether a title stands before a name, so that it is a surname.
fn titled(before: &str) -> bool {
    ["dr", "mr", "mrs", "ms", "miss", "mx", "prof"].iter().any(|it| ends_with_word(before, it))
}

/// A mention of one word with another in its place.
fn around(mention: &str, word: &NameWord<'_>, made: &str, dice: Dice<'_>) -> String {
    let mut out = String::with_capacity(mention.len());
    push_plain(&mut out, mention.get(..word.start).unwrap_or_default(), dice);
    out.push_str(made);
    push_plain(&mut out, mention.get(word.end()..).unwrap_or_default(), dice);
    out
}

/// Marks and spaces as they are, digits anew.
fn push_plain(out: &mut String, between: &str, dice: Dice<'_>) {
    for c in between.chars() {
        out.push(if c.is_numeric() { dice.digit() } else { c });
    }
}

/// A name that nobody has, of two to four syllables.
fn made_up(dice: Dice<'_>, mut accept: impl FnMut(&str) -> bool) -> String {
    let mut name = String::new();
    loop {
        name.clear();
        let syllables = 2 + dice.below(3);
        for i in 0..syllables {
            let consonant = dice.pick(b"bdfgklmnprstvz").map_or('k', char::from);
            let consonant = if i == 0 { consonant.to_ascii_uppercase() } else { consonant };
            name.push(consonant);
            name.push(dice.pick(b"aeiou").map_or('a', char::from));
        }
        if accept(&name) {
            return name;
        }
    }
}
