//! The fuzz targets without a fuzzer: generated and mutated inputs from a fixed seed.

#[path = "../../../../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use targets::TARGETS;

/// Inputs for each target. All targets together take a few seconds.
const ROUNDS: u64 = 250;
/// The longest input.
const MAX_BYTES: usize = 1500;
/// Where the generator begins; the message of a failure names the input by its round.
const SEED: u64 = 0x5EED;

/// Pieces that lead parsers astray.
const PIECES: &[&str] = &[
    "\"",
    "\\\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "<![CDATA[",
    "&#x",
    "&amp;",
    ":",
    "::",
    ",",
    ";",
    "\t",
    "|",
    "^",
    "~",
    "*",
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "\u{301}",
    "\u{1F468}\u{200D}\u{1F469}",
    "\u{fb03}",
    "\u{130}",
    "\u{df}",
    "MSH|^~\\&|",
    "PID|",
    "ISA*",
    "NM1*",
    "<NAME>",
    "</NAME>",
    "<NOT>",
    "=== x\n",
    "{\"text\":\"",
    "\"spans\":[{\"start\":0,\"end\":1,\"label\":\"NAME\"}]",
    "\u{ff11}\u{ff12}",
    "1/2/",
    "99/99/9999",
    "00000000",
    "20240230",
    "1-1-1-1-1-1",
    "Dr. ",
    "MRN ",
    "O'",
    "-",
    "van der ",
    "Hospital ",
    "Street ",
    "@",
    "a@b.",
    "http://",
    "::1",
    "9999999999999999999999",
    "e\u{301}",
];

#[test]
fn any_bytes_are_taken_by_every_target() {
    let seeds = seeds();
    let mut random = Random(SEED);
    for (name, target) in TARGETS {
        for round in 0..ROUNDS {
            let input = input(&seeds, &mut random);
            let taken = catch_unwind(|| target(&input));
            assert!(
                taken.is_ok(),
                "target {name}, round {round}: {:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }
}

/// Documents with their marks, and one annotated line.
fn seeds() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        seeds.extend(text.split("\n=== ").map(|document| document.as_bytes().to_vec()));
    }
    let line = r#"{"text":"Seen by Ann Lee","spans":[{"start":8,"end":15,"label":"NAME","text":"Ann Lee"}]}"#;
    seeds.push(line.as_bytes().to_vec());
    seeds
}

/// One input: a seed with mutations, or nothing but pieces.
fn input(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(4) {
        0 => Vec::new(),
        1 => seeds.last().unwrap().clone(),
        _ => seeds[random.below(seeds.len())].clone(),
    };
    for _ in 0..=random.below(8) {
        mutate(&mut bytes, seeds, random);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(40)).min(bytes.len());
    match random.below(7) {
        // One bit of one byte, which may break a character.
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = PIECES[random.below(PIECES.len())].repeat(random.below(20) + 1);
            bytes.splice(at..at, piece.into_bytes());
        }
        3 => {
            let again = bytes[at..end].repeat(random.below(4) + 1);
            bytes.splice(at..at, again);
        }
        4 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        5 => bytes[at..end].make_ascii_lowercase(),
        _ => bytes[at..end].make_ascii_uppercase(),
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((u128::from(z ^ (z >> 31)) * (bound as u128)) >> 64).unwrap()
    }
}
