//! Other gateways, installed so that `cargo xtask bench gateway --peers` can measure them.

use crate::process::{Stop, Trouble};
use crate::screen::Screen;
use crate::tools::{self, NodePackages, Packages};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where the packages come from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Python(Packages),
    Node(NodePackages),
}

/// Each folder of `target/peers`, and what is in it.
const FOLDERS: [(&str, Source); 4] = [
    ("portkey", Source::Node(tools::PORTKEY)),
    ("tensorzero", Source::Python(tools::TENSORZERO)),
    ("litellm", Source::Python(tools::LITELLM)),
    ("presidio", Source::Python(tools::PRESIDIO)),
];

/// Each gateway, as the measurement names it, and the folders that it needs.
const GATEWAYS: [(&str, &[&str]); 4] = [
    ("Portkey", &["portkey"]),
    ("TensorZero", &["tensorzero"]),
    ("LiteLLM", &["litellm"]),
    ("LiteLLM with Presidio", &["litellm", "presidio"]),
];

/// The folders that the gateways need which these options of the measurement ask for.
fn asked(options: &[String]) -> BTreeSet<&'static str> {
    if !options.iter().any(|option| option == "--peers" || option == "--peers-alone") {
        return BTreeSet::new();
    }
    let chosen: Vec<String> = options
        .windows(2)
        .filter_map(|pair| match pair {
            [option, text] if option == "--peer" => Some(text.to_lowercase()),
            _ => None,
        })
        .collect();
    let wanted = |name: &str| {
        chosen.is_empty() || chosen.iter().any(|text| name.to_lowercase().contains(text))
    };
    let gateways = GATEWAYS.iter().filter(|(name, _)| wanted(name));
    gateways.flat_map(|(_, folders)| folders.iter().copied()).collect()
}

/// Installs the gateways that are asked for, each once and at its pinned version. Says which cannot be
/// installed; the measurement leaves those out.
///
/// # Errors
/// When the stop is asked for, or `target/peers` cannot be written.
pub(super) fn install(options: &[String], screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    let asked = asked(options);
    if asked.is_empty() {
        return Ok(());
    }
    let peers = crate::target_folder("peers");
    fs::create_dir_all(&peers)?;
    for (name, source) in FOLDERS.into_iter().filter(|(name, _)| asked.contains(name)) {
        let link = peers.join(name);
        // Away first: an older version must not be measured where the pinned one cannot be had.
        remove(&link)?;
        let installed = match source {
            Source::Python(packages) => python_folder(packages, screen, stop),
            Source::Node(packages) => tools::node(packages, screen, stop),
        };
        match installed {
            Ok(folder) => symlink(folder, link)?,
            Err(trouble) if stop.asked() => return Err(trouble),
            Err(Trouble(why)) => println!("{name} cannot be installed, so it is left out: {why}"),
        }
    }
    Ok(())
}

fn python_folder(packages: Packages, screen: Screen, stop: &Stop) -> Result<PathBuf, Trouble> {
    let python = tools::python(packages, screen, stop)?;
    let folder = python.parent().and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| Trouble::new("a Python environment without a folder"))
}

/// Removes a link, or the folder that stood in its place.
fn remove(link: &Path) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(link),
        Ok(_) => fs::remove_file(link),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateways_that_are_asked_for_are_installed() {
        let check = |options: &str, expected: &[&str]| {
            let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
            assert_eq!(asked(&options).into_iter().collect::<Vec<_>>(), expected, "{options:?}");
        };
        check("--quick", &[]);
        check("--peers", &["litellm", "portkey", "presidio", "tensorzero"]);
        check("--peers-alone --peer Presidio", &["litellm", "presidio"]);
        check("--peer tensor --peers --peer portkey", &["portkey", "tensorzero"]);
        check("--peers --peer nothing", &[]);
    }
}
