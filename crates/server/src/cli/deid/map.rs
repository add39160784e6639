//! The token map as a file. It holds every value, so it is PHI and for its owner only.

use super::usage;
use crate::cli::Failure;
use phi::surrogate::SurrogateMap;
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What the file says of itself.
const NOTICE: &str = "This token map is PHI: with it, tokenized text is restored. Keep it apart from \
                      the copies.";

/// The place of a map that was not named: beside the folder of the copies, never in it.
pub(super) fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".tokens.json");
    out.with_file_name(name)
}

/// Makes a file that did not exist, for its owner only.
pub(super) fn create(path: &Path) -> Result<fs::File, Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| usage(format!("{}: {error}", path.display())))
}

pub(super) fn write(path: &Path, map: &SurrogateMap) -> Result<(), Failure> {
    let entries: Vec<_> = map
        .entries()
        .map(|(surrogate, class, value)| {
            json!({ "surrogate": surrogate, "class": class, "value": value.expose() })
        })
        .collect();
    let mut file = create(path)?;
    writeln!(file, "{}", json!({ "notice": NOTICE, "version": 1, "entries": entries }))?;
    Ok(file.sync_all()?)
}

#[derive(Deserialize)]
struct Stored {
    version: u64,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    surrogate: String,
    class: String,
    value: String,
}

pub(super) fn read(path: &Path) -> Result<SurrogateMap, Failure> {
    // Nothing of a faulty map is repeated: it may be PHI.
    let faulty = || usage(format!("{}: it is no token map of this version", path.display()));
    let bytes = fs::read(path).map_err(|error| usage(format!("{}: {error}", path.display())))?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| faulty())?;
    if stored.version != 1 {
        return Err(faulty());
    }
    let mut map = SurrogateMap::new();
    for Entry { surrogate, class, value } in stored.entries {
        map.remember(&format!("{surrogate}\n{class}\n{value}")).map_err(|_| faulty())?;
    }
    Ok(map)
}
