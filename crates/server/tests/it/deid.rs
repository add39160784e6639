//! `bulla deid`: transformed copies, offline.

use crate::house::{Done, bulla};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;
use testkit::notes;
use testkit::people::MARISOL;

/// The statement of 45 CFR 164.514(b)(2)(ii), and who makes it.
const CLAIM: [&str; 4] = [
    "--by",
    "P. Officer",
    "--acknowledge",
    "I have no actual knowledge that what is left could identify a patient.",
];

/// A folder of two notes, one in a folder and under a name that tell the patient.
struct Chart {
    scratch: TempDir,
}

impl Chart {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let chart = Self { scratch };
        let folder = chart.path("chart/Quintero_Marisol");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Marisol_Quintero_MRN_00482913.txt"), notes::every_class().text)
            .unwrap();
        let plain = "Blood pressure 132/84 mmHg, é.\r\nSeen again.";
        fs::write(chart.path("chart/plain.txt"), plain).unwrap();
        chart
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn deid(&self, out: &str, arguments: &[&str]) -> Done {
        let mut command = bulla();
        command.arg("deid").arg(self.path("chart")).arg("--out").arg(self.path(out));
        Done::of(command.args(arguments))
    }

    fn manifest(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(out).join("manifest.json")).unwrap()).unwrap()
    }
}

/// Every file below a folder with its path below it, in order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push((below, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn piped(text: &str, arguments: &[&str]) -> Output {
    let mut command = bulla();
    command.arg("deid").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(text.as_bytes()));
    child.wait_with_output().unwrap()
}

#[test]
fn no_copy_name_or_manifest_holds_what_was_found() {
    let note = notes::every_class();
    for method in ["redact", "tokenize", "surrogate", "shift", "safe-harbor"] {
        let chart = Chart::new();
        let claim: &[&str] = if method == "safe-harbor" { &CLAIM } else { &[] };
        let done = chart.deid("out", &[&["--method", method], claim].concat());
        assert_eq!(done.code, 0, "{}", done.err);
        let files = files(&chart.path("out"));
        assert_eq!(files.len(), 3, "{files:?}");
        for (path, text) in &files {
            let leaks: Vec<_> = note
                .planted
                .iter()
                // An age up to 89 stays, and the state in a place.
                .filter(|it| text.contains(&it.value) || path.contains(&it.value))
                .collect();
            assert!(leaks.is_empty(), "{method}, {path}: {leaks:?}");
            for word in [MARISOL.given, MARISOL.family, "00482913"] {
                assert!(!path.contains(word), "{method}: {path}");
            }
        }
        let claimed = method == "safe-harbor";
        let manifest = chart.manifest("out");
        assert_eq!(manifest["deidentified"], claimed);
        assert_eq!(manifest["method"], method);
        for file in manifest["files"].as_array().unwrap() {
            assert_eq!(file["deidentified"], claimed);
            assert_eq!(file["label"] == "still PHI", !claimed);
            let path = chart.path("out").join(file["output"].as_str().unwrap());
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(file["input_sha256"].as_str().unwrap().len(), 64);
        }
        let words = if claimed { "The claim rests on" } else { "Still PHI" };
        assert!(done.err.contains(words), "{}", done.err);
        // What has no identifiers is copied as it is.
        let plain = &files.iter().find(|(path, _)| path == "plain.txt").unwrap().1;
        assert_eq!(plain, "Blood pressure 132/84 mmHg, é.\r\nSeen again.");
    }
}

#[test]
fn tokenized_copies_are_restored_byte_for_byte_with_their_names() {
    let chart = Chart::new();
    let done = chart.deid("out", &["--method", "tokenize"]);
    assert!(done.err.contains("The token map is PHI"), "{}", done.err);
    let map = chart.path("out.tokens.json");
    assert_eq!(map.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&map).unwrap().contains("This token map is PHI"));
    let mut command = bulla();
    command.args(["deid", "--restore"]).arg(chart.path("out"));
    command.arg("--map").arg(&map).arg("--out").arg(chart.path("back"));
    Done::of(&mut command).ok();
    assert_eq!(files(&chart.path("back")), files(&chart.path("chart")));
    let other = chart.deid("other", &["--method", "tokenize"]);
    assert_eq!(other.code, 0, "{}", other.err);
    let text = |out: &str| files(&chart.path(out)).concat_texts();
    assert_ne!(text("out"), text("other"), "two runs share no surrogate");
    // Without the map, or with another, nothing is guessed.
    let mut command = bulla();
    command.args(["deid", "--restore"]).arg(chart.path("out"));
    command.arg("--map").arg(chart.path("other.tokens.json")).arg("--out").arg(chart.path("wrong"));
    let wrong = Done::of(&mut command);
    assert!(wrong.err.contains("surrogates are not in this map"), "{}", wrong.err);
}

trait ConcatTexts {
    fn concat_texts(self) -> String;
}

impl ConcatTexts for Vec<(String, String)> {
    fn concat_texts(self) -> String {
        self.into_iter().filter(|(path, _)| path != "manifest.json").map(|(_, text)| text).collect()
    }
}

#[test]
fn safe_harbor_is_refused_without_a_statement_or_with_a_detector_turned_off() {
    let chart = Chart::new();
    let method = ["--method", "safe-harbor"];
    chart.deid("out", &method).fails(2, "somebody must make it");
    let yes = ["--by", "P. Officer", "--acknowledge", "yes"];
    chart.deid("out", &[&method[..], &yes].concat()).fails(2, "no actual knowledge");
    let off = ["--disable", "PROFESSION"];
    chart.deid("out", &[&method[..], &CLAIM, &off].concat()).fails(2, "turned off: PROFESSION");
    chart
        .deid("out", &[&["--method", "redact"][..], &["--disable", "NOPE"]].concat())
        .fails(2, "NOPE");
    assert!(!chart.path("out").exists(), "a refusal leaves nothing behind");
}

#[test]
fn safe_harbor_leaves_years_three_digits_and_one_category_of_age() {
    let text = "Patient: Marisol Quintero, DOB: 03/02/1929, a 97-year-old, seen 03/14/2024.\n\
                Address: 418 Alder Creek Road, Asheville, NC 28801\nZIP: 03601\n";
    let output = piped(text, &[&["--method", "safe-harbor"][..], &CLAIM].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for kept in ["DOB: 90+", "a 90+-year-old", "seen 2024", "NC 288", "ZIP: 000"] {
        assert!(said.contains(kept), "{kept}: {said}");
    }
    for gone in ["Marisol", "1929", "97", "03/14", "Asheville", "28801", "03601"] {
        assert!(!said.contains(gone), "{gone}: {said}");
    }
    let manifest_words = String::from_utf8(output.stderr).unwrap();
    assert!(manifest_words.contains("Safe Harbor claimed"), "{manifest_words}");
}

#[test]
fn the_manifest_of_a_claim_says_who_made_it_and_by_which_table() {
    let chart = Chart::new();
    chart.deid("out", &[&["--method", "safe-harbor"][..], &CLAIM].concat()).ok();
    let claim = &chart.manifest("out")["claim"];
    assert_eq!(claim["acknowledged_by"], "P. Officer");
    assert!(claim["zip3_table"]["source"].as_str().unwrap().contains("2020 Census"));
    assert_eq!(claim["rule"], "45 CFR 164.514(b)(2)");
}

#[test]
fn a_seed_repeats_a_run_and_a_shift_keeps_the_intervals_of_a_subject() {
    let chart = Chart::new();
    let folder = chart.path("chart/ann");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "Admitted 03/14/2024.").unwrap();
    fs::write(folder.join("b.txt"), "Discharged 03/20/2024.").unwrap();
    fs::write(chart.path("seed"), [7; 32]).unwrap();
    let seed = chart.path("seed");
    let seed = seed.to_str().unwrap();
    let run = |out: &str, method: &str| {
        let arguments = ["--method", method, "--subject", "folder", "--seed-file", seed];
        chart.deid(out, &arguments).ok();
        files(&chart.path(out))
    };
    for method in ["shift", "surrogate"] {
        let (one, two) = (run(&format!("{method}1"), method), run(&format!("{method}2"), method));
        assert_eq!(one, two);
    }
    let texts = files(&chart.path("shift1"));
    let date = |name: &str| {
        let text = &texts.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        let date = text.split_whitespace().last().unwrap().trim_end_matches('.').to_owned();
        let mut fields = date.split('/').map(|it| it.parse::<i32>().unwrap());
        let (month, day, year) =
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        phi::transform::Day::new(year, month.unsigned_abs(), day.unsigned_abs()).unwrap()
    };
    assert_eq!(date("b.txt").days_since(date("a.txt")), 6);
    assert!(!texts.iter().any(|(_, text)| text.contains("03/14/2024")));
    chart.deid("x", &["--method", "redact", "--seed-file", seed]).fails(2, "--seed-file");
    fs::write(chart.path("seed"), [7; 31]).unwrap();
    chart.deid("x", &["--method", "shift", "--seed-file", seed]).fails(2, "32 bytes");
}

#[test]
fn nothing_is_written_over_and_what_is_no_text_is_an_error_of_its_own() {
    let chart = Chart::new();
    fs::write(chart.path("chart/scan.bin"), [0xff, 0x00]).unwrap();
    let done = chart.deid("out", &["--method", "redact"]);
    done.fails(3, "scan.bin: cannot be transformed");
    assert_eq!(chart.manifest("out")["not_transformed"].as_array().unwrap().len(), 1);
    assert_eq!(files(&chart.path("out")).len(), 3);
    chart.deid("out", &["--method", "redact"]).fails(2, "not empty");
    chart.deid("out2", &[]).fails(2, "--method");
    let two = Done::of(bulla().args(["deid", "--method", "redact"]).arg(chart.path("chart")));
    two.fails(2, "--out DIR");
    let nowhere = Done::of(bulla().args(["deid", "--method", "redact", "/nowhere/note.txt"]));
    nowhere.fails(3, "/nowhere/note.txt");
}

#[test]
fn standard_input_goes_to_standard_output_and_nothing_else_does() {
    let output = piped("Patient: Marisol Quintero, SSN: 219-09-9999\n", &["--method", "redact"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Patient: [PATIENT], SSN: [SSN_1]\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("still PHI"));
    let output = piped("SSN: 219-09-9999", &["--method", "tokenize"]);
    assert_eq!(output.status.code(), Some(2));
    let output = piped("He has Fabry disease and is the mayor.", &["--method", "redact"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("single somebody out"));
}
