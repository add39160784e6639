//! Redaction: typed placeholders that are not restored.
//!
//! One value has one placeholder in a document and in a conversation, and a person has one for all
//! names under which the document speaks of them, as far as that is certain. Redacted text is still
//! PHI (45 CFR 164.514(a)): what was not found is in it, and so is what the words around tell.

use super::context::{self, Role};
use super::{Found, Transformed, keep, mention};
use crate::Class;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroize;

/// Placeholders of one document or conversation.
#[derive(Default)]
pub struct Redactor {
    people: Vec<Person>,
    values: BTreeMap<(Class, String), String>,
    counts: BTreeMap<&'static str, usize>,
    /// People by a word of their names.
    by_name: BTreeMap<String, Vec<usize>>,
    /// What stands in the texts in brackets, and must not be given as a placeholder.
    taken: BTreeSet<String>,
}

#[derive(Debug)]
struct Person {
    /// The words of the name, in lower case.
    names: BTreeSet<String>,
    role: Option<Role>,
    placeholder: Option<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} people, {} values)", self.people.len(), self.values.len())
    }
}

impl Drop for Redactor {
    fn drop(&mut self) {
        for (mut key, _) in std::mem::take(&mut self.values) {
            key.1.zeroize();
        }
        for (mut name, _) in std::mem::take(&mut self.by_name) {
            name.zeroize();
        }
        for person in &mut self.people {
            for mut name in std::mem::take(&mut person.names) {
                name.zeroize();
            }
        }
    }
}

/// More people than this are a directory, in which nobody is spoken of by half a name.
const MAX_LINKED: usize = 2_000;

impl Redactor {
    /// No placeholders yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces every finding by its placeholder.
    pub fn redact(&mut self, found: &Found<'_>) -> Transformed {
        self.meet(found);
        found.rewrite(|finding, value| self.placeholder(finding.class, value), keep)
    }

    /// Reads who is spoken of, whole names first, so that half a name finds its person.
    pub(crate) fn meet(&mut self, found: &Found<'_>) {
        self.taken.extend(bracketed(found.text()));
        let mut mentions: Vec<(Vec<String>, Option<Role>)> = found
            .values()
            .filter(|(finding, _)| finding.class == Class::Name)
            .map(|(finding, value)| (mention::key(value), context::role(found.before(finding))))
            .collect();
        mentions.sort_by_key(|(names, _)| std::cmp::Reverse(names.len()));
        for (names, role) in mentions {
            if names.is_empty() || self.people.len() >= MAX_LINKED {
                continue;
            }
            let names: BTreeSet<String> = names.into_iter().collect();
            if let Some(at) = self.person(&names) {
                if let Some(person) = self.people.get_mut(at) {
                    person.role = person.role.or(role);
                }
            } else {
                for name in &names {
                    self.by_name.entry(name.clone()).or_default().push(self.people.len());
                }
                self.people.push(Person { names, role, placeholder: None });
            }
        }
    }

    /// The one person whom these names fit.
    fn person(&self, names: &BTreeSet<String>) -> Option<usize> {
        let indices = names.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let known: BTreeSet<usize> = indices.copied().collect();
        let people = || known.iter().filter_map(|at| Some((*at, self.people.get(*at)?)));
        if let Some((same, _)) = people().find(|(_, it)| it.names == *names) {
            return Some(same);
        }
        let fits = |it: &Person| {
            names.is_subset(&it.names) || (it.names.len() > 1 && it.names.is_subset(names))
        };
        let mut fitting = people().filter(|(_, it)| fits(it));
        let (at, _) = fitting.next()?;
        fitting.next().is_none().then_some(at)
    }

    /// The placeholder of a value of a text that was met.
    pub(crate) fn placeholder(&mut self, class: Class, value: &str) -> String {
        if class == Class::Name {
            let names: BTreeSet<String> = mention::key(value).into_iter().collect();
            if let Some(at) = self.person(&names).filter(|_| !names.is_empty()) {
                let known = self.people.get(at).map(|it| (it.placeholder.clone(), it.role));
                let (made, role) = known.unwrap_or_default();
                if let Some(made) = made {
                    return made;
                }
                let made = self.number(role.map_or(class.label(), Role::label));
                if let Some(person) = self.people.get_mut(at) {
                    person.placeholder = Some(made.clone());
                }
                return made;
            }
        }
        let plain: Vec<&str> = value.split_whitespace().collect();
        let key = (class, plain.join(" ").to_lowercase());
        if let Some(made) = self.values.get(&key) {
            return made.clone();
        }
        let made = self.number(class.label());
        self.values.insert(key, made.clone());
        made
    }

    /// The next placeholder of a label that does not stand in a text already. The first patient
    /// needs no number.
    fn number(&mut self, label: &'static str) -> String {
        let count = self.counts.entry(label).or_default();
        loop {
            *count += 1;
            let made = if *count == 1 && label == Role::Patient.label() {
                format!("[{label}]")
            } else {
                format!("[{label}_{count}]")
            };
            if !self.taken.contains(&made) {
                return made;
            }
        }
    }
}

/// What stands in brackets and could be a placeholder.
fn bracketed(text: &str) -> impl Iterator<Item = String> + '_ {
    /// Brackets, the longest label, a line, and more digits than there are values.
    const MAX_BYTES: usize = 40;
    memchr::memchr_iter(b'[', text.as_bytes()).filter_map(|open| {
        let window = text.as_bytes().get(open..)?;
        let close = memchr::memchr(b']', window.get(..MAX_BYTES).unwrap_or(window))?;
        text.get(open..=open + close).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::marked;
    use super::*;

    /// Redacts texts with their findings in braces, one after the other in one conversation.
    fn check(turns: &[(&str, &str)]) {
        let mut redactor = Redactor::new();
        for (turn, expected) in turns {
            let (text, findings) = marked(turn);
            let redacted = redactor.redact(&Found::new(&text, findings).unwrap());
            assert_eq!(redacted.text().expose(), *expected, "{turn}");
            assert!(!redacted.label().deidentified());
            assert_eq!(redacted.label().words(), "still PHI");
        }
    }

    #[test]
    fn the_same_value_has_the_same_placeholder_in_a_conversation() {
        check(&[
            (
                "{NAME:Ann Lee} on {DATE:3/14} and {DATE:3/15}.",
                "[NAME_1] on [DATE_1] and [DATE_2].",
            ),
            ("{DATE:3/15}: {NAME:Bo Diaz}, {NAME:ANN  LEE}", "[DATE_2]: [NAME_2], [NAME_1]"),
        ]);
    }

    #[test]
    fn a_patient_is_called_so_only_where_the_text_says_it() {
        check(&[(
            "Patient: {NAME:Marisol Quintero}. Ms. {NAME:Quintero} saw Dr. {NAME:Chen} with {NAME:Ann}.",
            "Patient: [PATIENT]. Ms. [PATIENT] saw Dr. [CLINICIAN_1] with [NAME_1].",
        )]);
        check(&[("Name: {NAME:Marisol Quintero}", "Name: [NAME_1]")]);
        check(&[(
            "Patient: {NAME:Ann Lee}\nPatient: {NAME:Bo Diaz}",
            "Patient: [PATIENT]\nPatient: [PATIENT_2]",
        )]);
    }

    #[test]
    fn half_a_name_that_fits_two_people_is_nobody_of_both() {
        check(&[(
            "{NAME:Lee} called. {NAME:Ann Lee}, {NAME:Lee, Bo}",
            "[NAME_1] called. [NAME_2], [NAME_3]",
        )]);
    }

    #[test]
    fn a_number_that_stands_in_the_text_is_not_given_again() {
        check(&[("[NAME_1] and {NAME:Ann} and [SSN_1]", "[NAME_1] and [NAME_2] and [SSN_1]")]);
    }
}
