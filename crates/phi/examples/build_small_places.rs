//! Builds `data/small_places.fst`: small towns whose names mean nothing else.
//!
//! `cargo run --release -p phi --example build_small_places -- LISTS crates/phi/data`
//!
//! `LISTS` is a folder with `geonames_cities1000.tsv` and `wordfreq_en_large.tsv` of `data/README.md`.
//! The output depends on the input alone.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

/// A town with more people than this does not make anybody few.
const SMALL_PEOPLE: u64 = 5_000;

/// How common an ordinary word may be (Zipf scale) that is also a town's name.
const COMMON_WORD: f64 = 4.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [lists, out] = arguments.as_slice() else {
        return Err("usage: build_small_places LISTS OUT".into());
    };
    let lists = Path::new(lists);
    let mut words = BTreeSet::new();
    for line in fs::read_to_string(lists.join("wordfreq_en_large.tsv"))?.lines() {
        if let Some((word, zipf)) = line.split_once('\t')
            && zipf.parse::<f64>()? >= COMMON_WORD
        {
            words.insert(word.to_owned());
        }
    }
    // The largest place anywhere that has the name.
    let mut largest: BTreeMap<String, u64> = BTreeMap::new();
    let mut american = BTreeSet::new();
    for line in fs::read_to_string(lists.join("geonames_cities1000.tsv"))?.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, country, _, people, ..] = cells.as_slice() else { continue };
        let name = name.to_lowercase();
        let people: u64 = people.parse()?;
        if *country == "US" {
            american.insert(name.clone());
        }
        let known = largest.entry(name).or_default();
        *known = people.max(*known);
    }
    let small = |name: &String| largest.get(name).is_some_and(|people| *people <= SMALL_PEOPLE);
    let plain = |name: &String| {
        name.len() > 3 && name.is_ascii() && name.split(' ').count() <= 3 && !words.contains(name)
    };
    let names: Vec<&String> = american.iter().filter(|name| small(name) && plain(name)).collect();
    let set = fst::Set::from_iter(&names)?;
    fs::write(Path::new(out).join("small_places.fst"), set.as_fst().as_bytes())?;
    Ok(())
}
