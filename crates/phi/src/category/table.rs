//! Reads the list of terms and finds them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Category;
use super::code::{self, Form};
use super::word::{Run, Runs, Vocabulary, Word};

/// The list that the program carries.
const LIST: &str = include_str!("../../data/categories.txt");

/// The most words of one term.
pub(super) const MAX_TERM_WORDS: usize = 8;

/// Words that change what stands near them.
const CUES: &[&str] = &[
    "NEGATION",
    "AFTER",
    "RESET",
    "FAMILY",
    "DRUGS",
    "RECOVERY",
    "OVERDOSE",
    "PAIN",
    "WEIGHT",
    "TOPICAL",
    "ANALYSER",
    "EMPLOYER",
    "HIVWORDS",
    "DEVICE",
    "HEPB",
    "SURGERY",
    "OTHERVIRUS",
    "SEX",
    "TALK",
    "REHAB",
    "PSYCH",
    "NOTMOOD",
    "SEIZURE",
    "CTCHECK",
    "BABY",
    "GENEWORDS",
    "TUMOUR",
    "CODE",
    "SENSITIVITY",
    "GENDER",
    "SOCIAL",
    "TALKSURE",
];

/// "no", "denies": lowers what follows in the same clause.
pub(super) const NEGATION: u32 = 1;
/// "negative", "denied": lowers what stands shortly before.
pub(super) const AFTER: u32 = 1 << 1;
/// "but", "admits": ends the reach of a negation.
pub(super) const RESET: u32 = 1 << 2;
/// "mother": the term may be about a relative.
pub(super) const FAMILY: u32 = 1 << 3;

/// Terms of one category that weigh alike and are explained alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) category: Category,
    pub(super) name: &'static str,
    /// The score of one term alone, in percent.
    pub(super) percent: u8,
}

/// What a term says for one category, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Index of its group.
    pub(super) group: usize,
    /// Counts only within reach of one of these cues; 0 for always.
    pub(super) near: u32,
    /// Counts only within reach of a sure term of the category.
    pub(super) near_own: bool,
    /// Hardly counts within reach of one of these cues.
    pub(super) unless: u32,
}

impl Use {
    /// Whether it counts wherever it stands.
    pub(super) const fn is_sure(self) -> bool {
        self.near == 0 && !self.near_own
    }
}

/// One meaning of a phrase: with these capitals, or with any.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The phrase as listed.
    pub(super) term: Cow<'static, str>,
    pub(super) uses: Vec<Use>,
    /// Uses that ask for the capitals of their phrase as listed.
    written: Vec<(Use, Cow<'static, str>)>,
    pub(super) cues: u32,
    /// Whether it hides what is inside it.
    pub(super) is_idiom: bool,
}

/// A term or a cue in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) clause: u32,
    /// Index of the entry.
    pub(super) entry: usize,
    /// Whether it has the capitals that some of its uses ask for.
    pub(super) written: bool,
}

/// All terms, as an automaton over words.
#[derive(Debug, Default)]
pub(super) struct Table {
    vocabulary: Vocabulary,
    /// From a state and a word to the next state. State 0 is the beginning.
    steps: Vec<Vec<(u32, usize)>>,
    /// The first step, by word.
    first: Vec<Option<usize>>,
    /// The entry that ends in each state.
    ends: Vec<Option<usize>>,
    entries: Vec<Entry>,
    groups: Vec<Group>,
    /// The entries of ICD-10-CM codes.
    codes: BTreeMap<(Category, bool), usize>,
}

/// A line of the list that cannot be read.
pub(super) type Fault = (usize, &'static str);

/// Under which heading a line stands.
#[derive(Clone, Copy)]
enum Under {
    Nothing,
    Group(usize),
    Cue(u32),
    Idiom,
}

impl Table {
    /// The program's own list. What cannot be read is left out, and a test holds that nothing is.
    pub(super) fn built_in() -> Self {
        Self::read(LIST).0
    }

    /// Reads a list.
    fn read(list: &'static str) -> (Self, Vec<Fault>) {
        let mut table = Self { steps: vec![Vec::new()], ends: vec![None], ..Self::default() };
        let mut faults = Vec::new();
        let mut under = Under::Nothing;
        for (number, line) in list.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let outcome = if let Some(head) = line.strip_prefix('[') {
                table.head(head).map(|u| under = u)
            } else {
                table.line(under, line)
            };
            if let Err(fault) = outcome {
                faults.push((number + 1, fault));
            }
        }
        table.add_codes();
        (table, faults)
    }

    fn head(&mut self, head: &'static str) -> Result<Under, &'static str> {
        let head = head.strip_suffix(']').ok_or("a heading ends with ]")?;
        let mut words = head.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("idiom"), None, ..) => Ok(Under::Idiom),
            (Some("cue"), Some(name), None, None) => cue(name).map(Under::Cue),
            (Some(label), Some(name), Some(percent), None) => {
                let category = label.parse().map_err(|_| "no such category")?;
                let percent = percent.parse().ok().filter(|p| (1..100).contains(p));
                let percent = percent.ok_or("a weight is 1 to 99 percent")?;
                Ok(Under::Group(self.group(Group { category, name, percent })))
            }
            _ => Err("a heading is `cue NAME`, `idiom` or `CATEGORY group percent`"),
        }
    }

    fn group(&mut self, group: Group) -> usize {
        self.groups.push(group);
        self.groups.len() - 1
    }

    fn line(&mut self, under: Under, line: &'static str) -> Result<(), &'static str> {
        let (terms, conditions) = line.split_once('|').unwrap_or((line, ""));
        let mut one = Use { group: 0, near: 0, near_own: false, unless: 0 };
        let mut case = false;
        for condition in conditions.split_ascii_whitespace() {
            match condition.split_once(':') {
                None if condition == "case" => case = true,
                Some(("near", "own")) => one.near_own = true,
                Some(("near", name)) => one.near |= cue(name)?,
                Some(("unless", name)) => one.unless |= cue(name)?,
                _ => return Err("no such condition"),
            }
        }
        for term in terms.split(',').map(str::trim) {
            let entry = self.entry(Cow::Borrowed(term))?;
            let Some(entry) = self.entries.get_mut(entry) else { continue };
            match under {
                Under::Nothing => return Err("a term stands under no heading"),
                Under::Idiom => entry.is_idiom = true,
                Under::Cue(cue) => entry.cues |= cue,
                Under::Group(group) if case => {
                    entry.written.push((Use { group, ..one }, Cow::Borrowed(term)));
                }
                Under::Group(group) => entry.uses.push(Use { group, ..one }),
            }
        }
        Ok(())
    }

    /// Adds a term of a site, which is sure wherever it stands.
    pub(super) fn add(&mut self, category: Category, term: &str) -> Result<(), &'static str> {
        const PERCENT: u8 = 85;
        let name = "site's own terms";
        let known = self.groups.iter().position(|g| g.category == category && g.name == name);
        let group = known.unwrap_or_else(|| self.group(Group { category, name, percent: PERCENT }));
        let entry = self.entry(Cow::Owned(term.to_owned()))?;
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.uses.push(Use { group, near: 0, near_own: false, unless: 0 });
        }
        Ok(())
    }

    /// The entry of a phrase, which is added when it is not there.
    fn entry(&mut self, term: Cow<'static, str>) -> Result<usize, &'static str> {
        let runs: Vec<Run> = Runs::of(&term).collect();
        if runs.is_empty() || runs.len() > MAX_TERM_WORDS {
            return Err("a term has one to eight words");
        }
        if runs.iter().skip(1).any(|run| !run.joined) {
            return Err("a term is not divided by marks");
        }
        let mut state = 0;
        for (k, run) in runs.iter().enumerate() {
            let word = term.as_bytes().get(run.start..run.end).unwrap_or_default();
            let id = self.vocabulary.add(word);
            state = self.step(state, id, k == 0);
        }
        if let Some(entry) = self.ends.get(state).copied().flatten() {
            return Ok(entry);
        }
        let entry = self.entries.len();
        self.entries.push(Entry { term, ..Entry::default() });
        if let Some(end) = self.ends.get_mut(state) {
            *end = Some(entry);
        }
        Ok(entry)
    }

    /// The state after a word, which is added when it is not there.
    fn step(&mut self, state: usize, word: u32, is_first: bool) -> usize {
        let next = self.ends.len();
        let known = if is_first { self.first_step(word) } else { self.next_step(state, word) };
        if let Some(known) = known {
            return known;
        }
        if is_first {
            let at = usize::try_from(word).unwrap_or(0);
            if self.first.len() <= at {
                self.first.resize(at + 1, None);
            }
            if let Some(first) = self.first.get_mut(at) {
                *first = Some(next);
            }
        } else if let Some(steps) = self.steps.get_mut(state) {
            steps.push((word, next));
            steps.sort_unstable();
        }
        self.steps.push(Vec::new());
        self.ends.push(None);
        next
    }

    fn first_step(&self, word: u32) -> Option<usize> {
        self.first.get(usize::try_from(word).ok()?).copied().flatten()
    }

    fn next_step(&self, state: usize, word: u32) -> Option<usize> {
        let steps = self.steps.get(state)?;
        let at = steps.binary_search_by_key(&word, |(w, _)| *w).ok()?;
        steps.get(at).map(|(_, next)| *next)
    }

    fn add_codes(&mut self) {
        /// As sure as the name of what it codes.
        const PERCENT: u8 = 85;
        let code_cue = cue("CODE").unwrap_or(0);
        for category in Category::ALL.iter().copied() {
            let group = self.group(Group { category, name: "icd-10-cm", percent: PERCENT });
            for pointed in [true, false] {
                let near = if pointed { 0 } else { code_cue };
                let one = Use { group, near, near_own: false, unless: 0 };
                self.codes.insert((category, pointed), self.entries.len());
                self.entries.push(Entry {
                    term: Cow::Borrowed("a code of ICD-10-CM"),
                    uses: vec![one],
                    ..Entry::default()
                });
            }
        }
    }

    /// Everything of the list in a text, by where it starts, the longer first.
    pub(super) fn hits(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        let mut after_unknown = true;
        for run in Runs::of(text) {
            let bytes = text.as_bytes().get(run.start..run.end).unwrap_or_default();
            if let Some(id) = self.vocabulary.id(bytes) {
                let joined = run.joined && !after_unknown;
                if !joined {
                    self.settle(text, &mut words, &mut hits);
                }
                words.push(Word { start: run.start, end: run.end, id, clause: run.clause });
                after_unknown = false;
                if self.first_step(id).is_some() {
                    continue;
                }
            } else {
                after_unknown = true;
            }
            if let Some(hit) = self.code(text, run) {
                hits.push(hit);
            }
        }
        self.settle(text, &mut words, &mut hits);
        hits.sort_unstable_by_key(|h| (h.start, Reverse(h.end)));
        hits
    }

    fn code(&self, text: &str, run: Run) -> Option<Hit> {
        let code = code::at(text, run.start, run.end)?;
        let sure = code.form != Form::Plain;
        let entry = *self.codes.get(&(code.category, sure))?;
        let (start, end) = (run.start, code.end);
        Some(Hit { start, end, clause: run.clause, entry, written: false })
    }

    /// Finds every term in words that stand together, the shorter ones inside longer ones too.
    fn settle(&self, text: &str, words: &mut Vec<Word>, hits: &mut Vec<Hit>) {
        for (from, first) in words.iter().enumerate() {
            let mut state = self.first_step(first.id);
            // INVARIANT: no path of states is longer than `MAX_TERM_WORDS`.
            for (k, word) in words.iter().enumerate().skip(from) {
                if k > from {
                    state = state.and_then(|s| self.next_step(s, word.id));
                }
                let Some(state) = state else { break };
                if let Some(entry) = self.ends.get(state).copied().flatten() {
                    let (start, end, clause) = (first.start, word.end, first.clause);
                    let written = self.is_written(entry, text.get(start..end));
                    hits.push(Hit { start, end, clause, entry, written });
                }
            }
        }
        words.clear();
    }

    fn is_written(&self, entry: usize, text: Option<&str>) -> bool {
        let Some(entry) = self.entries.get(entry).filter(|e| !e.written.is_empty()) else {
            return false;
        };
        entry.written.iter().any(|(_, term)| text.is_some_and(|t| is_written_as(t, term)))
    }

    /// The uses of what was hit.
    pub(super) fn uses(&self, hit: &Hit) -> impl Iterator<Item = Use> {
        let entry = self.entries.get(hit.entry);
        let written = entry.map(|e| e.written.as_slice()).filter(|_| hit.written);
        entry
            .map(|e| e.uses.as_slice())
            .unwrap_or_default()
            .iter()
            .copied()
            .chain(written.unwrap_or_default().iter().map(|(u, _)| *u))
    }

    /// The phrase of an entry, as listed.
    pub(super) fn term(&self, entry: usize) -> Cow<'static, str> {
        self.entries.get(entry).map_or(Cow::Borrowed(""), |e| e.term.clone())
    }

    /// The cues of an entry.
    pub(super) fn cues(&self, entry: usize) -> u32 {
        self.entries.get(entry).map_or(0, |e| e.cues)
    }

    /// Whether an entry hides what is inside it.
    pub(super) fn is_idiom(&self, entry: usize) -> bool {
        self.entries.get(entry).is_some_and(|e| e.is_idiom)
    }

    /// A group.
    pub(super) fn group_of(&self, index: usize) -> Option<&Group> {
        self.groups.get(index)
    }
}

/// Whether the words of a text that have capitals in the term are written as there.
fn is_written_as(text: &str, term: &str) -> bool {
    Runs::of(term).zip(Runs::of(text)).all(|(listed, found)| {
        let listed = term.as_bytes().get(listed.start..listed.end).unwrap_or_default();
        let found = text.as_bytes().get(found.start..found.end).unwrap_or_default();
        !listed.iter().any(u8::is_ascii_uppercase) || found.starts_with(listed)
    })
}

fn cue(name: &str) -> Result<u32, &'static str> {
    let index = CUES.iter().position(|c| *c == name).ok_or("no such cue")?;
    u32::try_from(index).ok().and_then(|i| 1_u32.checked_shl(i)).ok_or("too many cues")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        assert_eq!(Table::read(LIST).1, []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_fault() {
        for list in [
            "term",
            "[HIV drug 0]",
            "[HIV drug]",
            "[HIV drug 50",
            "[NOTHING drug 50]",
            "[cue NOWHERE]",
            "[HIV drug 50]\nterm | sometimes",
            "[HIV drug 50]\nterm | near:NOWHERE",
            "[HIV drug 50]\none two three four five six seven eight nine",
            "[HIV drug 50]\none. two",
        ] {
            assert_eq!(Table::read(list).1.len(), 1, "{list}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let table = Table::built_in();
        let hits = table.hits(text);
        let found: Vec<_> = hits
            .iter()
            .filter(|h| table.uses(h).next().is_some())
            .map(|h| table.term(h.entry).into_owned())
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_term_is_found_over_spaces_hyphens_and_folded_lines() {
        check("Opioid-use  disorder", &["opioid use disorder", "opioid use", "opioid"]);
        check("opioid\nuse disorders", &["opioid use disorder", "opioid use", "opioid"]);
        check("opioid use\\ndisorder", &["opioid use disorder", "opioid use", "opioid"]);
    }

    #[test]
    fn a_term_is_not_found_over_the_end_of_a_sentence_or_inside_a_word() {
        check("He takes opioid. Use disorder of the hip.", &["opioid"]);
        check("antihivish", &[]);
    }

    #[test]
    fn capitals_decide_where_the_list_says_so() {
        check("living rooms and AIDS", &["AIDS"]);
        check("the PrEP visit", &["PrEP"]);
    }
}
