//! `cargo xtask tidy`: the house rules that no compiler knows.
//!
//! Every check is a function from texts to faults, so that its tests can hand
//! it bad input; `the_repository_is_tidy` runs them all on the real files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::process::{Trouble, output, root};
use crate::screen::{Screen, Style};

mod citation;
mod layers;
mod manifest;
mod source;
mod wording;

/// Larger files are data, which these checks are not about.
const TEXT_BYTES_LIMIT: u64 = 1024 * 1024;

/// Something that must be put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    path: String,
    /// From 1; 0 when the fault is not on one line.
    line: usize,
    message: String,
}

impl Fault {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// The text files of the repository by their path from its root.
#[derive(Debug)]
struct Tree(BTreeMap<String, String>);

impl Tree {
    /// What git tracks or would track; every file where there is no git.
    fn read(root: &Path) -> Result<Self, Trouble> {
        let mut git = Command::new("git");
        git.current_dir(root);
        git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let paths: Vec<String> = match output(&mut git) {
            Ok(list) => list.split_terminator('\0').map(str::to_owned).collect(),
            Err(_) => walk(root)?,
        };
        let mut texts = BTreeMap::new();
        for path in paths {
            let file = root.join(&path);
            // A tracked file may be deleted in the working tree.
            let Ok(about) = std::fs::symlink_metadata(&file) else { continue };
            if about.is_file()
                && about.len() <= TEXT_BYTES_LIMIT
                && let Ok(text) = String::from_utf8(std::fs::read(&file)?)
            {
                texts.insert(path, text);
            }
        }
        Ok(Self(texts))
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn with_ending(&self, ending: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(path, _)| path.ends_with(ending))
    }
}

/// All files below `root` but build output, for copies without git.
fn walk(root: &Path) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink() || matches!(name.as_str(), "target" | ".git" | "__pycache__") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(root) {
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// What the checks found.
struct Findings {
    faults: Vec<Fault>,
    /// Signs to look at that fail nothing.
    signs: Vec<Fault>,
    /// Call sites of `.expose()` by crate: where PHI leaves its type.
    exposures: BTreeMap<String, usize>,
}

fn inspect(tree: &Tree) -> Findings {
    let mut faults = Vec::new();
    let manifests = manifest::parse(tree.with_ending("Cargo.toml"), &mut faults);
    faults.extend(layers::check(&manifests));
    faults.extend(manifest::check(&manifests));
    if let Some(text) = tree.0.get("Cargo.toml") {
        faults.extend(manifest::uncommented_dependencies("Cargo.toml", text));
    }
    if let Some(text) = tree.0.get("Cargo.lock") {
        faults.extend(manifest::foreign_sources("Cargo.lock", text));
    }
    for (path, text) in tree.iter() {
        faults.extend(wording::check(path, text));
        faults.extend(citation::check(path, text));
        faults.extend(source::places(path, text));
    }
    let mut signs = Vec::new();
    for (path, text) in tree.with_ending(".rs") {
        faults.extend(source::name(path));
        match source::size(path, text) {
            Some(source::Size::TooLong(fault)) => faults.push(fault),
            Some(source::Size::Long(sign)) => signs.push(sign),
            None => {}
        }
    }
    faults.sort();
    faults.dedup();
    Findings { faults, signs, exposures: source::exposures(tree.with_ending(".rs")) }
}

/// Checks the repository and prints what it finds.
///
/// # Errors
/// When a rule is broken.
pub(crate) fn run(screen: Screen) -> Result<(), Trouble> {
    let tree = Tree::read(&root())?;
    let findings = inspect(&tree);
    for sign in &findings.signs {
        println!("look at {sign}");
    }
    let sites: Vec<String> =
        findings.exposures.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("call sites of `.expose()` outside tests: {}", sites.join(", "));
    for fault in &findings.faults {
        println!("{} {fault}", screen.paint(Style::Bad, "fault:"));
    }
    match findings.faults.len() {
        0 => {
            println!("tidy: {} files, no faults", tree.0.len());
            Ok(())
        }
        count => Err(Trouble(format!("tidy found {count} faults"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = inspect(&Tree::read(&root()).unwrap());
        let shown: Vec<String> = findings.faults.iter().map(Fault::to_string).collect();
        assert!(shown.is_empty(), "{}", shown.join("\n"));
    }

    #[test]
    fn the_repository_is_read() {
        let tree = Tree::read(&root()).unwrap();
        for path in ["Cargo.toml", "Cargo.lock", "xtask/src/tidy/mod.rs", "crates/gate/Cargo.toml"]
        {
            assert!(tree.0.contains_key(path), "{path} must be among the files");
        }
        assert!(tree.iter().all(|(path, _)| !path.starts_with("target/")));
    }

    #[test]
    fn a_copy_without_git_is_read_too() {
        let paths = walk(&root()).unwrap();
        assert!(paths.iter().any(|path| path == "xtask/src/tidy/mod.rs"));
        assert!(paths.iter().all(|path| !path.starts_with("target/") && !path.contains(".git/")));
    }

    #[test]
    fn a_fault_in_any_file_is_found() {
        let files = [
            ("docs/page.md", "Bulla is guaranteed \u{63}ompliant."),
            ("crates/gate/src/utils.rs", ""),
            ("docs/law.md", "see 45 C.F.\u{52}. 164.312"),
        ];
        let tree = Tree(files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect());
        let faults = inspect(&tree).faults;
        for (path, _) in files {
            assert!(faults.iter().any(|fault| fault.path == path), "{path} is not found");
        }
    }
}
