//! What the caller knows already: the patients of a practice, the staff of a ward.

use aho_corasick::{AhoCorasick, MatchKind};

use super::number::finding;
use crate::{Class, Finding, Text};

/// The most values in one roster: the patients of a large practice, each with a dozen values.
pub const MAX_ROSTER_VALUES: usize = 500_000;
/// A shorter value would be found in every text: `Ed`, `Li`, `44`.
const MIN_BYTES: usize = 3;

/// Values that identify known people, to be found wherever they stand, in any case of their letters.
///
/// It holds PHI, so it has no `Debug` of its values and lives as briefly as the scans need it.
#[derive(Default)]
pub struct Roster {
    automaton: Option<AhoCorasick>,
    classes: Vec<Class>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roster({} values)", self.classes.len())
    }
}

/// The roster cannot be used, and so the scan that it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRoster {
    /// More values than are taken.
    #[error("a roster has more than {MAX_ROSTER_VALUES} values")]
    TooMany,
    /// The values do not fit into an automaton.
    #[error("the values of a roster could not be compiled")]
    TooLarge,
}

impl Roster {
    /// Compiles values with their classes. Of a name the whole is looked for; whoever wants its
    /// parts found alone gives them too. Values of fewer than three bytes are left out.
    ///
    /// # Errors
    /// [`UnusableRoster`] when there are too many values.
    pub fn new(values: impl IntoIterator<Item = (Class, Text)>) -> Result<Self, UnusableRoster> {
        let (mut patterns, mut classes) = (Vec::new(), Vec::new());
        for (class, value) in values {
            if classes.len() == MAX_ROSTER_VALUES {
                return Err(UnusableRoster::TooMany);
            }
            let trimmed = value.expose().trim();
            if trimmed.len() >= MIN_BYTES {
                patterns.push(Text::from(trimmed));
                classes.push(class);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(Text::expose))
            .map_err(|_| UnusableRoster::TooLarge)?;
        Ok(Self { automaton: Some(automaton), classes })
    }

    /// Finds the values in a text, as whole words.
    pub(crate) fn find(&self, text: &str, out: &mut Vec<Finding>) {
        let Some(automaton) = &self.automaton else { return };
        for found in automaton.find_iter(text) {
            let (start, end) = (found.start(), found.end());
            let part_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let before = text.get(..start).and_then(|t| t.chars().next_back());
            let after = text.get(end..).and_then(|t| t.chars().next());
            let inside = text.get(start..end).unwrap_or_default();
            let joined = part_of_word(before) && part_of_word(inside.chars().next())
                || part_of_word(after) && part_of_word(inside.chars().next_back());
            if let Some(class) = self.classes.get(found.pattern().as_usize()).filter(|_| !joined) {
                out.push(finding((start, end), *class, 99, "roster", "on the caller's list"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detector, Part};

    fn roster() -> Roster {
        Roster::new([
            (Class::Name, Text::from("Bud Mo")),
            (Class::Name, Text::from("Deuce")),
            (Class::OtherId, Text::from("K-7")),
            (Class::Name, Text::from("Al")),
        ])
        .unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Class)]) {
        let lists = Detector::new().scan_with(&[Part { text, label: None }], &roster()).unwrap();
        let found: Vec<(&str, Class)> = lists[0]
            .iter()
            .filter(|f| f.recogniser == "roster")
            .map(|f| (&text[f.start..f.end], f.class))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_caller_knows_is_found_in_any_case_and_place() {
        check(
            "told bud mo , and my buddy deuce . box k-7.",
            &[("bud mo", Class::Name), ("deuce", Class::Name), ("k-7", Class::OtherId)],
        );
    }

    #[test]
    fn a_part_of_a_word_is_not_on_the_list() {
        check("deuces, produceuce, K-77, al", &[]);
    }

    #[test]
    fn a_roster_shows_no_value() {
        assert_eq!(format!("{:?}", roster()), "Roster(3 values)");
    }
}
