//! `bulla agreement`: the executed documents of agreements, at the command line.

use crate::house::{Done, House};
use crate::rules::Rules;
use ledger::{Event, Hash};
use std::fs;
use std::path::Path;

const BAA: &str = "baa-examplecloud";
const DOCUMENT: &[u8] = b"%PDF-1.7 Business Associate Agreement (synthetic)";

/// A house with an agreement, and its document in a file.
fn house() -> (House, std::path::PathBuf) {
    let no_digest = format!("document_sha256 = \"{}\"\n", "0".repeat(64));
    let rules = Rules::of("http://127.0.0.1:9/v1", "127.0.0.1:9").with(&no_digest, "");
    let house = House::with(&rules);
    let document = house.path("agreement.pdf");
    fs::write(&document, DOCUMENT).unwrap();
    (house, document)
}

impl House {
    fn agreement(&self, arguments: &[&str]) -> Done {
        self.run(&[&["agreement"], arguments].concat())
    }

    pub(crate) fn file(&self, agreement: &str, document: &Path) -> Done {
        let document = document.to_str().unwrap();
        let signed = ["--signed-by", "Ada Example", "--signed-by", "Blaise Sample"];
        let day = ["--signed-on", "2026-01-05"];
        self.agreement(&[&["file", agreement, document][..], &signed, &day].concat())
    }
}

#[test]
fn a_document_is_filed_listed_verified_and_given_back() {
    let (house, document) = house();
    assert!(house.agreement(&["list"]).ok().contains("No document was filed."));
    house.agreement(&["verify", BAA]).fails(2, "no document of that agreement was filed");
    let said = house.file(BAA, &document).ok();
    let digest = Hash::of(DOCUMENT).to_string();
    assert!(said.contains(&digest) && said.contains("Recorded at bulla/"), "{said}");

    let list = house.agreement(&["list"]).ok();
    let words = [BAA, "signed 2026-01-05 by Ada Example, Blaise Sample", &digest, "kept"];
    assert!(words.iter().all(|word| list.contains(word)), "{list}");
    for arguments in [vec!["verify", BAA], vec!["verify", BAA, document.to_str().unwrap()]] {
        let said = house.agreement(&arguments).ok();
        assert!(said.starts_with("OK") && said.matches(&digest).count() == 2, "{said}");
    }
    let out = house.path("back.pdf");
    house.agreement(&["show", BAA, "--out", out.to_str().unwrap()]).ok();
    assert_eq!(fs::read(&out).unwrap(), DOCUMENT);
    house.agreement(&["show", BAA, "--out", out.to_str().unwrap()]).fails(2, "cannot write");

    let log = house.log();
    let kinds: Vec<_> = log.events().map(Event::kind).filter(|it| it.contains("ment.")).collect();
    assert_eq!(kinds, ["agreement.filed", "agreement.read"], "a reading is one record");
    let status = house.run(&["audit", "search", "--kind", "agreement.read"]).ok();
    assert_eq!(status.lines().count(), 1, "{status}");
}

#[test]
fn a_flipped_byte_is_reported_with_the_chained_hash() {
    let (house, document) = house();
    house.file(BAA, &document).ok();
    let (digest, mut altered) = (Hash::of(DOCUMENT).to_string(), DOCUMENT.to_vec());
    altered[20] ^= 1;
    let copy = house.path("copy.pdf");
    fs::write(&copy, &altered).unwrap();
    let done = house.agreement(&["verify", BAA, copy.to_str().unwrap()]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let found = Hash::of(&altered).to_string();
    let words = ["MISMATCH", &digest, &found, "  record    bulla/dep_"];
    assert!(words.iter().all(|word| done.out.contains(word)), "{}", done.out);
    house.agreement(&["verify", BAA]).ok();

    // The same in the stored, sealed bytes.
    let database = house.data().join("bulla.db");
    let sealed = {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .query_row("SELECT sealed FROM documents", [], |row| row.get::<_, Vec<u8>>(0))
            .unwrap()
    };
    let mut file = fs::read(&database).unwrap();
    let places: Vec<_> =
        (0..file.len()).filter(|at| file[*at..].starts_with(&sealed[..32])).collect();
    assert!(!places.is_empty(), "the sealed bytes lie in the database's file");
    for at in places {
        file[at + 40] ^= 1;
    }
    fs::write(&database, &file).unwrap();
    let done = house.agreement(&["verify", BAA]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let words = ["MISMATCH", digest.as_str(), "do not open", "  record    bulla/dep_"];
    assert!(words.iter().all(|word| done.out.contains(word)), "{}", done.out);
    let out = house.path("back.pdf");
    house.agreement(&["show", BAA, "--out", out.to_str().unwrap()]).fails(3, "is not the one");
    assert!(!out.exists(), "no empty file passes for the document");
}

#[test]
fn what_cannot_be_filed_is_refused_with_the_reason() {
    let (house, document) = house();
    house.file("baa-other", &document).fails(2, &format!("it has {BAA}"));
    house.file(BAA, &house.path("absent.pdf")).fails(2, "cannot read");
    let large = house.path("large.pdf");
    fs::File::create(&large).unwrap().set_len((16 << 20) + 1).unwrap();
    house.file(BAA, &large).fails(2, "larger than 16 MiB");
    let most = house.path("most.pdf");
    fs::File::create(&most).unwrap().set_len(16 << 20).unwrap();
    house.file(BAA, &most).ok();
    let document = document.to_str().unwrap();
    let day = ["--signed-on", "2026-01-05"];
    house.agreement(&[&["file", BAA, document][..], &day].concat()).fails(2, "--signed-by");
    let wrong = ["--signed-by", "Ada Example", "--signed-on", "05.01.2026"];
    house.agreement(&[&["file", BAA, document][..], &wrong].concat()).fails(2, "a day is");
}
