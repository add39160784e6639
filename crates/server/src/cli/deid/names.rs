//! Identifiers in the names of files and folders.

use super::{Read, Scanned};
use crate::cli::input::{Input, Unreadable};
use phi::{Detector, Finding, Part};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The parts of a path, from the first. A name that is no text cannot be scanned.
pub(super) fn parts(below: &Path) -> Result<Vec<&str>, Unreadable> {
    below.components().map(|it| it.as_os_str().to_str().ok_or(Unreadable::Name)).collect()
}

/// A name as it is read: marks between its words are spaces, byte for byte.
pub(super) fn spaced(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '_' | '-' | '.' | '+') { ' ' } else { c }).collect()
}

/// Scans a text with the parts of its path: what is found in the text is looked for in its names.
///
/// Returns the findings of the text, and those of each name.
pub(super) fn scan_together(
    detector: &Detector,
    text: &str,
    names: &[&str],
) -> Result<(Vec<Finding>, Vec<Vec<Finding>>), Unreadable> {
    let read: Vec<String> = names.iter().map(|name| spaced(name)).collect();
    let mut all = vec![Part { text, label: None }];
    for (name, spaced) in names.iter().zip(&read) {
        all.push(Part { text: name, label: None });
        all.push(Part { text: spaced, label: None });
    }
    let mut lists = detector.scan(&all)?.into_iter();
    let of_text = lists.next().unwrap_or_default();
    let mut of_names = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let both = lists.next().into_iter().chain(lists.next()).flatten().collect();
        let last = i + 1 == names.len();
        of_names.push(apart(both, if last { stem_len(name) } else { name.len() }));
    }
    Ok((of_text, of_names))
}

/// Bytes of a file's name without its ending.
fn stem_len(name: &str) -> usize {
    /// `.jsonl`, `.html`: longer is a part of the name.
    const MAX_ENDING_BYTES: usize = 5;
    match name.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && ending.len() <= MAX_ENDING_BYTES
                && ending.chars().all(char::is_alphanumeric)
                && ending.contains(char::is_alphabetic) =>
        {
            stem.len()
        }
        _ => name.len(),
    }
}

/// Findings of several scans of one name, in order and apart, up to `end`.
fn apart(mut findings: Vec<Finding>, end: usize) -> Vec<Finding> {
    findings.sort_by_key(|it| (it.start, std::cmp::Reverse(it.end)));
    let mut apart: Vec<Finding> = Vec::with_capacity(findings.len());
    for mut next in findings {
        next.start = next.start.max(apart.last().map_or(0, |it| it.end));
        next.end = next.end.min(end);
        if next.start < next.end {
            apart.push(next);
        }
    }
    apart
}

/// What any file below a folder knows of the folder's name, by the folder's path.
pub(super) fn folders(inputs: &[Input], read: &[Read]) -> BTreeMap<PathBuf, Vec<Finding>> {
    let mut known: BTreeMap<PathBuf, Vec<Finding>> = BTreeMap::new();
    for (input, read) in inputs.iter().zip(read) {
        let Ok(Scanned { names, .. }) = read else { continue };
        let mut at = PathBuf::new();
        let parent = input.below.parent().unwrap_or(Path::new(""));
        for (part, findings) in parent.components().zip(names) {
            at.push(part);
            known.entry(at.clone()).or_default().extend(findings.iter().cloned());
        }
    }
    known.into_iter().map(|(path, all)| (path, apart(all, usize::MAX))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_with_its_text() {
        let detector = Detector::new();
        let text = "Patient: Marisol Quintero, MRN 00482913";
        let names = ["visits", "quintero_marisol-00482913.txt"];
        let (_, of_names) = scan_together(&detector, text, &names).unwrap();
        let left: String = names[1]
            .char_indices()
            .filter(|(at, _)| !of_names[1].iter().any(|it| (it.start..it.end).contains(at)))
            .map(|(_, c)| c)
            .collect();
        assert!(!left.contains("00482913"), "{left}");
        assert_eq!(left.rsplit_once('.').unwrap().1, "txt");
        assert!(of_names[0].is_empty());
    }

    #[test]
    fn the_ending_of_a_file_is_no_part_of_its_name() {
        for (name, len) in [("a.txt", 1), (".txt", 4), ("a.2024", 6), ("a", 1), ("a.b.json", 3)] {
            assert_eq!(stem_len(name), len, "{name}");
        }
    }
}
