//! Builds `data/words.fst`, `data/phrases.fst` and `data/frequent.txt` from public lists.
//!
//! `cargo run --release -p phi --example build_gazetteers -- LISTS DICTIONARY OUT`
//!
//! `LISTS` is a folder with the lists that `data/README.md` names, `DICTIONARY` a file of English
//! words with their case (one a line), `OUT` the folder to write to. The output depends on the
//! input alone.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

#[path = "../src/detect/letters.rs"]
mod letters;

use letters::Plain;

type Table = BTreeMap<String, Facts>;

/// Names with fewer bearers than this are left out of the tables, to keep them small.
const MIN_GIVEN: u64 = 40;
/// A name this common is a name even when some drug or code list also holds the string.
const COMMON_NAME: u64 = 3_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [lists, dictionary, out] = arguments.as_slice() else {
        return Err("usage: build_gazetteers LISTS DICTIONARY OUT".into());
    };
    let lists = Path::new(lists);
    let mut words = Table::new();
    let mut phrases = Table::new();
    names(lists, &mut words)?;
    dictionary_words(lists, Path::new(dictionary), &mut words)?;
    places(lists, &mut words, &mut phrases)?;
    medical_words(lists, &mut words)?;
    eponyms(lists, &mut words)?;
    facilities(lists, &words, &mut phrases)?;
    write_table(&words, &Path::new(out).join("words.fst"))?;
    write_table(&phrases, &Path::new(out).join("phrases.fst"))?;
    write_frequent(&words, &phrases, &Path::new(out).join("frequent.txt"))?;
    Ok(())
}

fn read(lists: &Path, name: &str) -> Result<String, Box<dyn Error>> {
    let bytes = fs::read(lists.join(name)).map_err(|e| format!("{name}: {e}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn plain(word: &str) -> Option<String> {
    Plain::of(word).map(|p| p.as_str().to_owned())
}

fn names(lists: &Path, words: &mut Table) -> Result<(), Box<dyn Error>> {
    for file in ["us_census_surnames_2010.tsv", "us_census_surnames_2020.tsv"] {
        for line in read(lists, file)?.lines().skip(1) {
            let mut cells = line.split('\t');
            let (Some(name), Some(count)) = (cells.next().and_then(plain), cells.next()) else {
                continue;
            };
            let facts = words.entry(name).or_default();
            facts.surname = facts.surname.max(count.parse().unwrap_or(0));
        }
    }
    for line in read(lists, "us_census_first_names_2020.tsv")?.lines().skip(1) {
        let mut cells = line.split('\t');
        let (Some(name), Some(count)) = (cells.next().and_then(plain), cells.next()) else {
            continue;
        };
        given(words, name, count.parse().unwrap_or(0));
    }
    for line in read(lists, "us_ssa_first_names.tsv")?.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, female, male, ..] = cells.as_slice() else { continue };
        let count = female.parse::<u64>().unwrap_or(0) + male.parse::<u64>().unwrap_or(0);
        if let Some(name) = plain(name) {
            given(words, name, count);
        }
    }
    Ok(())
}

fn given(words: &mut Table, name: String, count: u64) {
    if count >= MIN_GIVEN && name.len() > 1 {
        let facts = words.entry(name).or_default();
        facts.given = facts.given.max(count);
    }
}

fn dictionary_words(lists: &Path, file: &Path, words: &mut Table) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let mut zipf = BTreeMap::new();
    for line in read(lists, "wordfreq_en_large.tsv")?.lines() {
        if let Some((word, value)) = line.split_once('\t') {
            let value: f64 = value.parse()?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=8")]
            zipf.insert(word.to_owned(), (value * 100.0) as u64);
        }
    }
    for word in text.lines() {
        let ordinary = word.len() > 1 && word.chars().all(char::is_lowercase);
        if let Some(key) = plain(word).filter(|_| ordinary) {
            words.entry(key).or_default().is_word = true;
        }
    }
    for (word, facts) in words.iter_mut() {
        facts.zipf = zipf.get(word).copied().unwrap_or(0);
    }
    Ok(())
}

fn medical_words(lists: &Path, words: &mut Table) -> Result<(), Box<dyn Error>> {
    let mut lower = BTreeSet::new();
    let mut upper = BTreeSet::new();
    for line in read(lists, "icd10cm-codes-2024.txt")?.lines() {
        let text = line.get(8..).unwrap_or_default();
        for (i, word) in text.split(|c: char| !c.is_alphabetic() && c != '\'').enumerate() {
            let word = word.strip_suffix("'s").unwrap_or(word);
            if word.len() < 3 {
                continue;
            }
            let Some(key) = plain(word) else { continue };
            if word.chars().all(char::is_lowercase) {
                lower.insert(key);
            } else if i > 0 {
                upper.insert(key);
            }
        }
    }
    for key in &lower {
        words.entry(key.clone()).or_default().medical = true;
    }
    for key in upper.difference(&lower) {
        words.entry(key.clone()).or_default().eponym = true;
    }
    for line in read(lists, "drug_names_variants.tsv")?.lines() {
        for word in line.split(|c: char| !c.is_alphabetic()).filter(|w| w.len() > 3) {
            let Some(key) = plain(word) else { continue };
            let facts = words.entry(key).or_default();
            // Names of drugs hold ordinary words, towns and people; those stay what they are.
            let is_name = facts.given >= COMMON_NAME || facts.surname >= COMMON_NAME;
            facts.medical |= !is_name && !facts.is_word && facts.place == 0;
        }
    }
    let mut short = BTreeSet::new();
    for line in read(lists, "medical_abbreviations_imantsm.csv")?.lines().skip(1) {
        short.extend(line.split(',').next().map(str::to_owned));
    }
    for line in read(lists, "pathology_abbreviations_berman_12000.txt")?.lines() {
        short.extend(line.split('=').next().map(|s| s.trim().to_owned()));
    }
    for word in short {
        if (2..=6).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic()) {
            words.entry(word.to_ascii_lowercase()).or_default().abbreviation = true;
        }
    }
    Ok(())
}

fn eponyms(lists: &Path, words: &mut Table) -> Result<(), Box<dyn Error>> {
    for line in read(lists, "medical_eponyms_allofus.csv")?.lines().skip(1) {
        let Some(cell) = line.split(',').nth(1) else { continue };
        for word in cell.split(['|', ' ', '-']) {
            let word = word.strip_suffix("'s").unwrap_or(word);
            if word.len() > 2
                && let Some(key) = plain(word)
            {
                words.entry(key).or_default().eponym = true;
            }
        }
    }
    Ok(())
}

fn place(words: &mut Table, phrases: &mut Table, name: &str, level: u64) {
    let parts: Vec<String> =
        name.split([' ', '-']).filter(|p| !p.is_empty()).filter_map(plain).collect();
    match parts.as_slice() {
        [one] if one.len() > 2 => {
            let facts = words.entry(one.clone()).or_default();
            facts.place = facts.place.max(level);
        }
        [_, _, ..] => {
            let facts = phrases.entry(parts.join(" ")).or_default();
            facts.place = facts.place.max(level);
        }
        _ => {}
    }
}

fn places(lists: &Path, words: &mut Table, phrases: &mut Table) -> Result<(), Box<dyn Error>> {
    for line in read(lists, "geonames_cities1000.tsv")?.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, country, _, population] = cells.as_slice() else { continue };
        let population: u64 = population.parse().unwrap_or(0);
        let home = *country == "US";
        let level = match population {
            250_000.. => 3,
            25_000.. if home => 2,
            100_000.. => 2,
            1_000.. if home => 1,
            25_000.. => 1,
            _ => continue,
        };
        place(words, phrases, name, level);
    }
    for line in read(lists, "us_counties.tsv")?.lines().skip(1) {
        if let Some(name) = line.split('\t').next() {
            place(words, phrases, name, 1);
        }
    }
    for line in read(lists, "us_cities_states_counties.csv")?.lines().skip(1) {
        let cells: Vec<&str> = line.split('|').collect();
        // A state is no place smaller than a state, but its name is neither a drug nor a person.
        if let [city, _, state, ..] = cells.as_slice() {
            place(words, phrases, city, 1);
            place(words, phrases, state, 1);
        }
    }
    Ok(())
}

/// Facilities that people call by a name without a word for a facility in it.
const CALLED: &[&str] = &[
    "cedars sinai",
    "cedar sinai",
    "mass general",
    "sloan kettering",
    "memorial sloan kettering",
    "ny presbyterian",
    "new york presbyterian",
    "johns hopkins",
    "john hopkins",
    "mayo clinic",
    "md anderson",
    "mount sinai",
    "mt sinai",
    "beth israel",
    "dana farber",
    "brigham and womens",
    "cleveland clinic",
    "kaiser permanente",
    "nyu langone",
    "mass eye and ear",
    "beth israel deaconess",
    "hopkins bayview",
    "barnes jewish",
    "ucla med center",
    "rush university",
    "north shore",
    "good samaritan",
    "sacred heart",
    "holy cross",
    "our lady",
    "john muir",
    "jfk medical",
    "intermountain health",
    "sutter health",
    "penn medicine",
    "ascension health",
    "johns hopkins bayview",
    "st judes",
    "st jude",
    "mayo rochester",
    "boston childrens",
    "national jewish",
    "jewish general",
];

/// Words at the end of a facility's name that say what it is. What stands before them names it.
const HEADS: &[&str] = &[
    "hospital",
    "hospitals",
    "center",
    "centre",
    "ctr",
    "clinic",
    "medical",
    "health",
    "healthcare",
    "system",
    "inc",
    "llc",
    "regional",
    "memorial",
    "community",
    "general",
    "campus",
    "services",
    "of",
    "and",
    "the",
    "care",
    "university",
    "rehabilitation",
    "district",
    "county",
    "at",
];

fn facilities(lists: &Path, words: &Table, phrases: &mut Table) -> Result<(), Box<dyn Error>> {
    let mut names = Vec::new();
    for file in ["us_facilities_hospitals.tsv", "us_facilities_va_facilities.tsv"] {
        for line in read(lists, file)?.lines().skip(1) {
            names.extend(line.split('\t').next().map(str::to_owned));
        }
    }
    for line in read(lists, "us_hospital_names_alvearie.csv")?.lines() {
        names.extend(line.split(',').next().map(str::to_owned));
    }
    for name in names {
        let mut parts: Vec<String> = name
            .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '.')
            .filter(|p| !p.is_empty())
            .filter_map(plain)
            .collect();
        while parts.last().is_some_and(|p| HEADS.contains(&p.as_str())) {
            parts.pop();
        }
        let [first, rest @ ..] = parts.as_slice() else { continue };
        // A person's name or one word would fire on people; ordinary words on ordinary text.
        let is_person = words.get(first).is_some_and(|f| f.given >= COMMON_NAME);
        let is_common = |p: &String| words.get(p).is_some_and(|f| f.zipf >= 480 || f.medical);
        if rest.is_empty() || parts.len() > 4 || is_person || parts.iter().all(is_common) {
            continue;
        }
        phrases.entry(parts.join(" ")).or_default().facility = true;
    }
    for name in CALLED {
        phrases.entry((*name).to_owned()).or_default().facility = true;
    }
    Ok(())
}

/// The words that most of a text consists of: ordinary ones from level 4 of their frequency on, medical
/// ones from level 2, and whether a phrase of the list begins with their letters (bit 15).
fn write_frequent(words: &Table, phrases: &Table, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut out = String::new();
    for (word, facts) in words.iter().filter(|(word, _)| word.len() <= 16) {
        let packed = facts.packed();
        let (level, medical) = (packed >> 6 & 7, packed >> 11 & 1 == 1);
        if level < if medical { 2 } else { 4 } {
            continue;
        }
        let mut after = phrases.range(word.clone()..).filter(|(_, facts)| facts.packed() != 0);
        let begins = after.next().is_some_and(|(phrase, _)| phrase.starts_with(word.as_str()));
        writeln!(out, "{word} {}", packed | u64::from(begins) << 15)?;
    }
    fs::write(path, out)?;
    Ok(())
}

fn write_table(table: &Table, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut builder = fst::MapBuilder::memory();
    let mut count = 0_usize;
    for (key, facts) in table {
        let packed = facts.packed();
        if packed != 0 {
            builder.insert(key, packed)?;
            count += 1;
        }
    }
    let bytes = builder.into_inner()?;
    fs::write(path, &bytes)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {count} keys, {} bytes", path.display(), bytes.len())?;
    Ok(())
}

/// The lower bounds of the levels 1 to 7 of a count of bearers of a name.
const COUNT_FLOORS: [u64; 7] = [1, 300, 1_000, 5_000, 25_000, 100_000, 500_000];
/// The lower bounds, in hundredths of Zipf, of the levels 2 to 7 of a word's frequency.
const ZIPF_FLOORS: [u64; 6] = [250, 320, 380, 430, 480, 540];

/// Collects what the sources say of one word.
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the packed entry")]
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// Bearers of the given name.
    given: u64,
    /// Bearers of the surname.
    surname: u64,
    /// Whether it is an ordinary word.
    is_word: bool,
    /// Hundredths of Zipf.
    zipf: u64,
    /// `0..=3`.
    place: u64,
    /// A medical term or a drug.
    medical: bool,
    /// Stands for a disease, sign or device.
    eponym: bool,
    /// A medical abbreviation.
    abbreviation: bool,
    /// A known facility.
    facility: bool,
}

impl Facts {
    /// Packs the facts.
    fn packed(self) -> u64 {
        let count = |n: u64| COUNT_FLOORS.iter().filter(|&&floor| n >= floor).count() as u64;
        let word = if self.is_word {
            1 + ZIPF_FLOORS.iter().filter(|&&floor| self.zipf >= floor).count() as u64
        } else {
            0
        };
        count(self.given)
            | count(self.surname) << 3
            | word << 6
            | self.place.min(3) << 9
            | u64::from(self.medical) << 11
            | u64::from(self.eponym) << 12
            | u64::from(self.abbreviation) << 13
            | u64::from(self.facility) << 14
    }
}
