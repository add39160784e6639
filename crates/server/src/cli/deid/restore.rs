//! `bulla deid --restore`: the values back in their places.

use super::copies::{MANIFEST, safe_name};
use super::{Deid, map, read_text, tell, usage};
use crate::cli::Failure;
use crate::cli::input::{self, Input, Unreadable};
use phi::surrogate::{Escape, Restorer, SurrogateMap};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn run(deid: &Deid) -> Result<ExitCode, Failure> {
    let Some(path) = &deid.map else { return Err(usage("--restore needs --map FILE")) };
    let map = map::read(path)?;
    let inputs = input::collect(&deid.inputs);
    if deid.out.is_none() && inputs.len() != 1 {
        return Err(usage("several inputs need a folder for their copies: --out DIR"));
    }
    let mut unknown = 0;
    let mut faulty = 0_u64;
    for mut input in inputs {
        if input.below == Path::new(MANIFEST) && deid.out.is_some() {
            continue;
        }
        let text = match read_text(&mut input) {
            Ok(text) => text,
            Err(fault) => {
                faulty += 1;
                tell(&format!("{}: cannot be restored: {fault}", input.source()))?;
                continue;
            }
        };
        let mut restorer = Restorer::new(Escape::Plain);
        let first = restorer.feed(&map, text.expose());
        let last = restorer.finish(&map);
        unknown += restorer.unknown();
        let pieces = [first.expose().as_bytes(), last.expose().as_bytes()];
        match &deid.out {
            None => {
                let mut out = io::stdout().lock();
                for piece in pieces {
                    out.write_all(piece)?;
                }
                out.flush()?;
            }
            Some(out) => {
                let place =
                    out.join(place(&input, &map).map_err(|fault| Failure::control(&fault))?);
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mut file = map::create(&place)?;
                for piece in pieces {
                    file.write_all(piece)?;
                }
            }
        }
    }
    if unknown > 0 {
        tell(&format!("{unknown} surrogates are not in this map and stay as they are"))?;
    }
    Ok(if faulty > 0 { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

/// The path of a file with the values in its names restored.
fn place(input: &Input, map: &SurrogateMap) -> Result<PathBuf, Unreadable> {
    let parts = super::names::parts(&input.below)?;
    let restored = |part: &&str| safe_name(phi::transform::restore(part, map).expose());
    Ok(parts.iter().map(restored).collect())
}
