//! Files, folders and standard input, as the commands on text take them.

use indicatif::{ProgressBar, ProgressStyle};
use phi::Unscannable;
use std::fs;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

/// Folders in folders. A deeper tree is a loop or an attack.
const MAX_DEPTH: usize = 64;

/// Work on fewer bytes is done before a bar is seen.
const LONG_BYTES: u64 = 4 << 20;

/// One input.
#[derive(Debug)]
pub(super) struct Input {
    /// The path that is opened; `-` is standard input.
    pub(super) path: PathBuf,
    /// The path below the file or folder that was named, for a copy's place.
    pub(super) below: PathBuf,
    /// Bytes, as far as they are known before it is read.
    pub(super) bytes: u64,
    /// Why it cannot be opened, if that is known.
    fault: Option<Unreadable>,
}

/// Why an input cannot be read as text. It is never taken for one in which nothing was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("folders are nested too deeply")]
    TooDeep,
    #[error("it has bytes that no text has (a binary file, or UTF-16)")]
    Binary,
    #[error("it is not UTF-8 text")]
    NotUtf8,
    #[error("it has more than {0} MiB")]
    TooLong(u64),
    #[error("its name is not UTF-8")]
    Name,
    #[error("it changed while it was read")]
    Changed,
    #[error("{0}")]
    Detector(#[from] Unscannable),
    #[error("a finding does not lie in its text")]
    Misplaced(#[from] phi::transform::Misplaced),
    #[error("{0}; fewer files at once fit into one map")]
    MapFull(#[from] phi::surrogate::MapFull),
}

/// Whether a path names standard input.
fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// All files below the paths that were named, in order. What cannot be listed is an input of its own,
/// with its fault.
pub(super) fn collect(named: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in named {
        if path.is_dir() {
            folder(path, Path::new(""), 0, &mut inputs);
        } else {
            let below = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            let bytes = fs::metadata(path).map_or(0, |about| about.len());
            inputs.push(Input { path: path.clone(), below, bytes, fault: None });
        }
    }
    inputs
}

fn folder(path: &Path, below: &Path, depth: usize, inputs: &mut Vec<Input>) {
    let faulty = |fault| Input {
        path: path.to_owned(),
        below: below.to_owned(),
        bytes: 0,
        fault: Some(fault),
    };
    if depth > MAX_DEPTH {
        inputs.push(faulty(Unreadable::TooDeep));
        return;
    }
    let listed = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            inputs.push(faulty(Unreadable::Io(error)));
            return;
        }
    };
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (path, below) = (entry.path(), below.join(entry.file_name()));
        match entry.file_type() {
            // A link could lead back up or out of the folder that was named.
            Ok(kind) if kind.is_symlink() => {}
            Ok(kind) if kind.is_dir() => folder(&path, &below, depth + 1, inputs),
            Ok(kind) if kind.is_file() => {
                let bytes = entry.metadata().map_or(0, |about| about.len());
                inputs.push(Input { path, below, bytes, fault: None });
            }
            // Reading a pipe or a device could wait for ever.
            Ok(_) => {
                let fault = Some(Unreadable::NotAFile);
                inputs.push(Input { path, below, bytes: 0, fault });
            }
            Err(error) => {
                let fault = Some(Unreadable::Io(error));
                inputs.push(Input { path, below, bytes: 0, fault });
            }
        }
    }
}

impl Input {
    /// Opens it.
    pub(super) fn open(&mut self) -> Result<Box<dyn Read>, Unreadable> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if is_standard_input(&self.path) {
            return Ok(Box::new(io::stdin().lock()));
        }
        Ok(Box::new(fs::File::open(&self.path)?))
    }

    /// How it is called in reports.
    pub(super) fn source(&self) -> String {
        self.path.display().to_string()
    }
}

/// A bar over bytes on standard error, where somebody sees it and the work is long.
pub(super) fn bar(inputs: &[Input], passes: u64) -> Option<ProgressBar> {
    let bytes = inputs.iter().map(|input| input.bytes).sum::<u64>() * passes;
    if bytes < LONG_BYTES || !io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}");
    Some(match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    })
}
