//! What a purpose needs of a clinical document, and nothing else (45 CFR 164.514(d)).
//!
//! A [`Profile`] names paths: elements of FHIR resources, fields of HL7 v2 segments. Where a text
//! holds such a document, [`Profile::cuts`] says which pieces of the text have to go so that only the
//! named paths are left. It works on places in the text: nothing is written anew, so nothing can be
//! added, and what stays is byte for byte what was there.

mod fhir;
mod hl7;
mod json;
mod marker;
mod words;

pub use marker::Chart;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Paths in one profile. A long one has some sixty; a person who answers for it reads them all.
pub const MAX_PATHS: usize = 512;

/// Distinct paths that are said to be taken away; the others are counted as one. A document can have
/// as many as it likes, and a record holds 64 KiB.
const MAX_SAID: usize = 200;

/// Elements in one path. FHIR reaches eight.
const MAX_STEPS: usize = 16;

/// The paths that a purpose needs.
#[derive(Clone, Debug)]
pub struct Profile {
    resources: BTreeMap<String, Element>,
    segments: BTreeMap<String, Fields>,
    /// Every name that the profile itself says.
    names: BTreeSet<String>,
}

/// An element of a resource.
#[derive(Clone, Debug, Default)]
struct Element {
    /// Everything below it is needed.
    whole: bool,
    /// Resources are needed here, each by its own type, and nothing else.
    only_resources: bool,
    members: BTreeMap<String, Self>,
}

/// The fields of a segment.
#[derive(Clone, Debug)]
enum Fields {
    Every,
    These(BTreeSet<u32>),
}

impl Fields {
    fn keeps(&self, number: u32) -> bool {
        match self {
            Self::Every => true,
            Self::These(numbers) => numbers.contains(&number),
        }
    }
}

/// A path is not one. Says the form, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It has neither form.
    #[error(
        "a path is a resource of FHIR and elements of it (\"Patient.birthDate\"), or a segment of HL7 v2 and a field of it (\"PID-8\")"
    )]
    Form,
    /// FHIR has no resource of this type.
    #[error("FHIR has no resource of this type")]
    Resource,
    /// There are too many.
    #[error("at most {MAX_PATHS} paths")]
    TooMany,
}

/// A text looks like a clinical document, and could not be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text looks like a clinical document and could not be taken apart")]
pub struct Unread;

/// What is to be cut out of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    ranges: Vec<Range<usize>>,
    removed: BTreeMap<String, u64>,
}

impl Cuts {
    /// Everything.
    #[must_use]
    pub fn everything(text: &str) -> Self {
        let mut cuts = Self::default();
        cuts.take(0..text.len(), "document");
        cuts
    }

    /// The places, in order and apart.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// What was at those places: path to how often. Never a value, and no name but those of the
    /// standards and of the profile.
    #[must_use]
    pub const fn removed(&self) -> &BTreeMap<String, u64> {
        &self.removed
    }

    fn cut(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.ranges.push(range);
        }
    }

    fn note(&mut self, path: &str) {
        let full = self.removed.len() >= MAX_SAID && !self.removed.contains_key(path);
        let path = if full { words::OTHER } else { path };
        *self.removed.entry(path.to_owned()).or_default() += 1;
    }

    fn take(&mut self, range: Range<usize>, path: &str) {
        self.cut(range);
        self.note(path);
    }

    /// Puts the ranges in order and joins those that touch.
    fn settle(&mut self) {
        self.ranges.sort_by_key(|range| (range.start, range.end));
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(self.ranges.len());
        for next in self.ranges.drain(..) {
            match apart.last_mut() {
                Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
                _ => apart.push(next),
            }
        }
        self.ranges = apart;
    }
}

impl Profile {
    /// Reads paths as a profile lists them.
    ///
    /// `Patient` names all of a resource, `Patient.name.family` an element of it with what is below;
    /// `OBX` names all of a segment, `PID-8` one field of it. The frame of a Bundle is always needed.
    ///
    /// # Errors
    /// The number of the first path that is none, from 0, and why.
    pub fn parse<S: AsRef<str>>(paths: &[S]) -> Result<Self, (usize, BadPath)> {
        if paths.len() > MAX_PATHS {
            return Err((MAX_PATHS, BadPath::TooMany));
        }
        let mut profile =
            Self { resources: BTreeMap::new(), segments: BTreeMap::new(), names: BTreeSet::new() };
        for (index, path) in paths.iter().enumerate() {
            profile.add(path.as_ref()).map_err(|bad| (index, bad))?;
        }
        let bundle = profile.resources.entry("Bundle".to_owned()).or_default();
        bundle.members.entry("type".to_owned()).or_default().whole = true;
        let entry = bundle.members.entry("entry".to_owned()).or_default();
        entry.members.entry("resource".to_owned()).or_default().only_resources = true;
        Ok(profile)
    }

    fn add(&mut self, path: &str) -> Result<(), BadPath> {
        if is_segment_path(path) {
            let (name, number) = match path.split_once('-') {
                Some((name, number)) => (name, Some(number)),
                None => (path, None),
            };
            let number = match number {
                Some(number) => {
                    Some(number.parse::<u32>().ok().filter(|n| *n > 0).ok_or(BadPath::Form)?)
                }
                None => None,
            };
            self.names.insert(name.to_owned());
            let fields = self.segments.entry(name.to_owned());
            let fields = fields.or_insert_with(|| Fields::These(BTreeSet::new()));
            match (fields, number) {
                (Fields::These(numbers), Some(number)) => {
                    numbers.insert(number);
                }
                (fields, None) => *fields = Fields::Every,
                (Fields::Every, Some(_)) => {}
            }
            return Ok(());
        }
        let mut steps = path.split('.');
        let name = steps.next().filter(|name| is_name(name)).ok_or(BadPath::Form)?;
        if words::resource(name).is_none() {
            return Err(BadPath::Resource);
        }
        let mut element = self.resources.entry(name.to_owned()).or_default();
        for (depth, step) in steps.enumerate() {
            if depth >= MAX_STEPS || !is_name(step) {
                return Err(BadPath::Form);
            }
            self.names.insert(step.to_owned());
            element = element.members.entry(step.to_owned()).or_default();
        }
        element.whole = true;
        Ok(())
    }

    fn resource(&self, name: &str) -> Option<&Element> {
        self.resources.get(name)
    }

    fn segment(&self, name: &str) -> Option<&Fields> {
        self.segments.get(name)
    }

    /// The name, if it may be written down.
    fn said<'n>(&self, name: &'n str, known: fn(&str) -> Option<&'static str>) -> &'n str {
        if known(name).is_some() || self.names.contains(name) { name } else { words::OTHER }
    }

    /// What has to be cut out of a text so that of every document in it only the named paths are left.
    /// Prose around documents stays.
    ///
    /// # Errors
    /// [`Unread`] when the text looks like a document that could not be taken apart, whole or in part.
    pub fn cuts(&self, text: &str) -> Result<Cuts, Unread> {
        let mut cuts = Cuts::default();
        let mut taken: Vec<Range<usize>> = Vec::new();
        let documents = fhir::documents(text)?;
        for document in &documents {
            fhir::cut(self, document, &mut cuts)?;
            taken.push(document.start..document.end);
        }
        for message in hl7::messages(text)? {
            hl7::cut(self, text, &message, &mut cuts);
            taken.push(message.range);
        }
        taken.sort_by_key(|range| range.start);
        let mut done = 0;
        for range in taken {
            // Fail closed: what two readers claim was understood by neither.
            let between = text.get(done..range.start).ok_or(Unread)?;
            if marker::is_in(between) {
                return Err(Unread);
            }
            done = range.end;
        }
        if marker::is_in(text.get(done..).unwrap_or_default()) {
            return Err(Unread);
        }
        cuts.settle();
        Ok(cuts)
    }
}

/// Whether a text is a segment, or a field of one: `OBX`, `PID-8`.
fn is_segment_path(path: &str) -> bool {
    let name = path.split('-').next().unwrap_or_default();
    name.len() == 3 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// The longest names of FHIR have some forty letters.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
