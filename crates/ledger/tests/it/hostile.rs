//! The fuzz targets of the log's readers without a fuzzer: generated and mutated inputs from a fixed
//! seed.

#[path = "../../../../fuzz/src/ledger_targets.rs"]
mod targets;

use crate::format::files;
use crate::receipt::{proved, tar};
use crate::sample::{blobs, bundle, note, records, signer, verify_tar};
use ledger::Blob;
use ledger::bundle::Manifest;
use ledger::verify::Trust;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use targets::{TARGETS, TOKENS};

/// Inputs for each target. All targets together take a few seconds.
const ROUNDS: u64 = 4000;
/// The longest input: a bundle of twenty records with content.
const MAX_BYTES: usize = 100_000;
/// Where the generator begins; the message of a failure names the input by its round.
const SEED: u64 = 0x5EED;

/// Pieces that lead parsers astray.
const PIECES: &[&[u8]] = &[
    b"\x30\x80",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x82\xff\xff",
    b"\x30\x81\x00",
    b"\x02\x00",
    b"\x02\x01\x00",
    b"\x06\x00",
    b"\x06\x01\x80",
    b"\x00\x00",
    b"\x04\x84\x7f\xff\xff\xff",
    b"\xa0\x00",
    b"\x17\x0d000000000000Z",
    b"\x18\x0f99991231235959Z",
    b"\"",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"9007199254740992",
    b"-0",
    b"1e9",
    b"\n",
    b"\r\n",
    b"\0",
    b"ustar\0",
    b"77777777777\0",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN X509 CRL-----\n",
    b"\xe2\x80\x94 ",
    b"\xff",
];

#[test]
fn any_bytes_are_taken_by_every_target() {
    let seeds = seeds();
    let mut random = Random(SEED);
    for (name, target) in TARGETS {
        for round in 0..ROUNDS {
            let input = input(&seeds[*name], &mut random);
            assert!(catch_unwind(|| target(&input)).is_ok(), "target {name}, round {round}");
        }
    }
}

#[test]
fn every_seed_is_taken_whole() {
    let seeds = seeds();
    for (name, target) in TARGETS {
        for seed in &seeds[*name] {
            assert!(seed.len() <= MAX_BYTES, "no input reaches the end of a seed of {name}");
            target(seed);
        }
    }
}

type Seeds = std::collections::BTreeMap<&'static str, Vec<Vec<u8>>>;

/// What is good, for each target.
fn seeds() -> Seeds {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens");
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    let mut tokens: Vec<Vec<u8>> = TOKENS.iter().map(|token| token.to_vec()).collect();
    tokens.extend(["asked.tsq", "root.pem", "lists.crl"].map(file));
    // A response: that it is granted, and the token.
    for token in TOKENS {
        let mut response = b"\x30\x03\x02\x01\x00".to_vec();
        response.extend_from_slice(token);
        let length = u16::try_from(response.len()).unwrap().to_be_bytes();
        tokens.push([&[0x30, 0x82][..], &length, &response].concat());
    }
    let log = records();
    let trust = format!("{}\n{}", signer().verifier_key(), note(&log, 12));
    Seeds::from([
        ("token", tokens),
        (
            "bundle",
            vec![short(&log, &[], &[7]), short(&log, &blobs(3), &[7, 12]), tar(&proved(7, 12))],
        ),
        ("record", log),
        ("note", vec![trust.into_bytes()]),
    ])
}

/// A bundle without the programs that it carries: they are most of it, and no reader looks into them.
fn short(log: &[Vec<u8>], blobs: &[Blob], earlier: &[usize]) -> Vec<u8> {
    let mut files = files(&bundle(log, blobs, earlier));
    files.drain(..files.iter().position(|(name, _)| name == "checkpoint").unwrap());
    let (_, manifest) = files.iter_mut().find(|(name, _)| name == "manifest.json").unwrap();
    let mut fewer = Manifest::from_bytes(manifest).unwrap();
    fewer.files.drain(..fewer.files.iter().position(|it| it.name == "checkpoint").unwrap());
    *manifest = fewer.to_bytes();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    let bytes = archive.into_inner().unwrap();
    let verdict = verify_tar(&bytes, Trust::none());
    assert!(verdict.good, "{verdict:#?}");
    bytes
}

/// One input: a seed with mutations, or nothing but pieces.
fn input(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(8) {
        0 => Vec::new(),
        _ => seeds[random.below(seeds.len())].clone(),
    };
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, seeds, random);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(40)).min(bytes.len());
    match random.below(7) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
        4 => {
            let piece = PIECES[random.below(PIECES.len())];
            let end = (at + piece.len()).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
        5 => {
            let again = bytes[at..end].repeat(random.below(4) + 1);
            bytes.splice(at..at, again);
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
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
