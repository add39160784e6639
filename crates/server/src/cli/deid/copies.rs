//! The folder of the copies, and its manifest, which holds no values.

use super::{map, usage};
use crate::cli::Failure;
use crate::cli::input::Unreadable;
use phi::transform::{Label, SafeHarborClaim};
use phi::{Class, Text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(super) const MANIFEST: &str = "manifest.json";

/// One transformed input.
pub(super) struct Copy {
    /// The name of the file, transformed.
    pub(super) name: String,
    pub(super) input_sha256: String,
    pub(super) output_sha256: String,
    pub(super) classes: BTreeMap<Class, u64>,
    pub(super) label: Label,
    /// Whether what is left may single somebody out.
    pub(super) quasi: bool,
    pub(super) quasi_findings: usize,
}

/// The copies of one run.
pub(super) struct Copies {
    out: PathBuf,
    used: BTreeSet<PathBuf>,
    files: Vec<Value>,
    faults: Vec<String>,
    classes: BTreeMap<Class, u64>,
    label: Option<Label>,
}

impl Copies {
    /// In a folder that is new or empty: nothing is written over.
    pub(super) fn begin(out: &Path) -> Result<Self, Failure> {
        let named = |error: std::io::Error| usage(format!("{}: {error}", out.display()));
        fs::create_dir_all(out).map_err(named)?;
        if fs::read_dir(out).map_err(named)?.next().is_some() {
            return Err(usage(format!("{}: the folder is not empty", out.display())));
        }
        Ok(Self {
            out: out.to_owned(),
            used: BTreeSet::from([PathBuf::from(MANIFEST)]),
            files: Vec::new(),
            faults: Vec::new(),
            classes: BTreeMap::new(),
            label: None,
        })
    }

    /// Writes one copy, under its name or one with a number.
    pub(super) fn write(&mut self, folder: &Path, copy: Copy, text: &Text) -> Result<(), Failure> {
        let place = self.free(folder, &safe_name(&copy.name));
        let path = self.out.join(&place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        map::create(&path)?.write_all(text.expose().as_bytes())?;
        let classes: BTreeMap<&str, u64> =
            copy.classes.iter().map(|(class, count)| (class.label(), *count)).collect();
        self.files.push(json!({
            "output": place.to_string_lossy(),
            "input_sha256": copy.input_sha256,
            "output_sha256": copy.output_sha256,
            "classes": classes,
            "label": copy.label.words(),
            "deidentified": copy.label.deidentified(),
            "quasi_identifiers": copy.quasi_findings,
            "may_single_out": copy.quasi,
        }));
        for (class, count) in copy.classes {
            *self.classes.entry(class).or_default() += count;
        }
        self.label = Some(copy.label);
        Ok(())
    }

    fn free(&mut self, folder: &Path, name: &str) -> PathBuf {
        let (stem, ending) = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
            _ => (name, String::new()),
        };
        let mut place = folder.join(name);
        let mut number = 1;
        while !self.used.insert(place.clone()) {
            number += 1;
            place = folder.join(format!("{stem}-{number}{ending}"));
        }
        place
    }

    /// Notes an input of which there is no copy.
    pub(super) fn fault(&mut self, fault: &Unreadable) {
        self.faults.push(fault.to_string());
    }

    /// Writes the manifest: `about` says what was run.
    pub(super) fn finish(&self, mut about: Value) -> Result<(), Failure> {
        let label = self.label.as_ref().unwrap_or(&Label::StillPhi);
        let more = json!({
            "label": label.words(),
            "deidentified": label.deidentified(),
            "claim": match label {
                Label::StillPhi => Value::Null,
                Label::SafeHarbor(claim) => claim_object(claim),
            },
            "notice": "No detector finds everything. What was not found is in the copies.",
            "files": self.files,
            "not_transformed": self.faults,
        });
        if let (Value::Object(about), Value::Object(more)) = (&mut about, more) {
            about.extend(more);
        }
        let mut file = map::create(&self.out.join(MANIFEST))?;
        writeln!(file, "{about:#}")?;
        Ok(file.sync_all()?)
    }

    pub(super) fn summary(&self) -> String {
        let found: u64 = self.classes.values().sum();
        let label = self.label.as_ref().unwrap_or(&Label::StillPhi).words();
        let mut lines = vec![format!(
            "{} copies with {found} identifiers treated; {} inputs could not be transformed; {label}",
            self.files.len(),
            self.faults.len()
        )];
        lines.extend(
            self.classes
                .iter()
                .map(|(class, count)| format!("  {class:14} {count}", class = class.label())),
        );
        lines.join("\n")
    }
}

fn claim_object(claim: &SafeHarborClaim) -> Value {
    let (source, caveat, verified_on) = claim.zip3();
    let said = claim.acknowledgement();
    json!({
        "rule": SafeHarborClaim::RULE,
        "acknowledged_by": said.who(),
        "acknowledged_on": said.on().to_string(),
        "acknowledgement": said.text(),
        "zip3_table": {
            "source": source,
            "caveat": caveat,
            "verified_on": verified_on.to_string(),
        },
    })
}

/// A name that stays in its folder and steers no terminal.
pub(super) fn safe_name(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    if matches!(name.as_str(), "" | "." | "..") { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for (name, safe) in
            [("..", "file"), ("", "file"), ("a/../b", "a_.._b"), ("a\n.txt", "a_.txt")]
        {
            assert_eq!(safe_name(name), safe);
        }
    }
}
