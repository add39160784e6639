//! The form of a bundle.

use crate::sample::{self, blobs, bundle, records, signer, verify_tar};
use ledger::bundle::{Listed, Manifest, Part, Subject, WriteError, Writer, each_file};
use ledger::verify::{Trust, Verdict, Verification};
use std::thread;

pub(crate) fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![];
    each_file(tar, |name, content| {
        let mut bytes = vec![];
        content.read_to_end(&mut bytes)?;
        files.push((name.to_owned(), bytes));
        Ok(())
    })
    .unwrap();
    files
}

/// Verifies files and says the first problem's words.
fn problem(files: &[(String, Vec<u8>)]) -> Option<String> {
    let mut verification = Verification::new(Trust::none());
    for (name, bytes) in files {
        verification.file(name, &mut &bytes[..]).unwrap();
    }
    verification.finish().first_problem().map(|problem| problem.words.clone())
}

fn sample_files() -> Vec<(String, Vec<u8>)> {
    files(&bundle(&records(), &blobs(3), &[7, 12]))
}

#[test]
fn a_bundle_has_its_files_in_this_order() {
    let names: Vec<_> = sample_files().into_iter().map(|(name, _)| name).collect();
    let exchange = sample::exchange(3);
    assert_eq!(
        names,
        [
            "VERIFY.md".to_owned(),
            "verify.html".to_owned(),
            "verify.py".to_owned(),
            "checkpoint".to_owned(),
            "checkpoints/0000000007".to_owned(),
            "checkpoints/0000000012".to_owned(),
            format!("blobs/{exchange}/prompt"),
            format!("blobs/{exchange}/window-000000"),
            format!("blobs/{exchange}/window-000001"),
            "records.jsonl".to_owned(),
            "manifest.json".to_owned(),
        ]
    );
    for name in &names {
        assert_eq!(Part::of(name).to_string(), *name);
    }
    let verdict = verify_tar(&bundle(&records(), &blobs(3), &[7, 12]), Trust::none());
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!((verdict.blobs, verdict.earlier_inside), (3, 2));
}

#[test]
fn equal_exports_are_equal_bytes() {
    let write = || bundle(&records(), &blobs(3), &[7]);
    assert_eq!(write(), write());
}

#[test]
fn only_one_spelling_of_a_name_is_known() {
    let exchange = sample::exchange(3);
    for name in [
        "Checkpoint",
        "checkpoints/7",
        "checkpoints/+000000007",
        "../records.jsonl",
        "/records.jsonl",
        &format!("blobs/{exchange}/window-0"),
        &format!("blobs/{exchange}/window-+00001"),
        &format!("blobs/{exchange}/prompt/x"),
        "blobs/exc_1/prompt",
    ] {
        assert_eq!(Part::of(name), Part::Unknown, "{name}");
    }
}

#[test]
fn a_missing_doubled_or_altered_file_is_found() {
    let good = sample_files();
    assert_eq!(problem(&good), None);
    for at in 0..good.len() {
        let name = &good[at].0;
        let mut without = good.clone();
        without.remove(at);
        assert!(problem(&without).is_some(), "without {name}");
        let mut doubled = good.clone();
        doubled.insert(at, good[at].clone());
        assert!(problem(&doubled).is_some(), "{name} twice");
        let mut altered = good.clone();
        let middle = altered[at].1.len() / 2;
        altered[at].1[middle] ^= 1;
        assert!(problem(&altered).is_some(), "{name} altered");
        let mut longer = good.clone();
        longer[at].1.push(b'x');
        assert!(problem(&longer).is_some(), "{name} longer");
        let mut empty = good.clone();
        empty[at].1.clear();
        assert!(problem(&empty).is_some(), "{name} empty");
    }
}

#[test]
fn files_out_of_order_are_found() {
    let good = sample_files();
    for at in 1..good.len() {
        let mut swapped = good.clone();
        swapped.swap(at - 1, at);
        assert!(problem(&swapped).is_some(), "{} and {}", good[at - 1].0, good[at].0);
    }
}

#[test]
fn a_file_that_is_no_part_of_a_bundle_is_told_and_no_fault() {
    let mut verification = Verification::new(Trust::none());
    for (name, bytes) in sample_files() {
        verification.file(&name, &mut &bytes[..]).unwrap();
    }
    verification.file("notes.txt", &mut &b"mine"[..]).unwrap();
    let verdict = verification.finish();
    assert!(verdict.good);
    assert!(verdict.warnings[0].contains("notes.txt"), "{verdict:#?}");
}

/// Every byte of the tar, headers and padding included, except that the programs which it carries are
/// sampled: a digest is all that a verifier takes of them, so every byte of them means the same to it.
/// Nothing may panic, and what is still accepted must say the same.
#[test]
fn no_changed_byte_of_the_tar_gives_a_bundle_another_meaning() {
    let tar = bundle(&records(), &blobs(3), &[7]);
    let good = verify_tar(&tar, Trust::none());
    let after = tar.windows(11).position(|name| name == b"checkpoint\0").unwrap();
    let places: Vec<usize> = (0..after).step_by(499).chain(after..tar.len()).collect();
    // What a verdict may lose without a fault is a warning more.
    let meaning =
        |verdict: &Verdict| format!("{:?}", Verdict { warnings: Vec::new(), ..verdict.clone() });
    let accepted_of = |places: &[usize]| {
        let (mut accepted, mut altered) = (0, tar.clone());
        for at in places {
            altered[*at] ^= 1 << (at % 8);
            let verdict = verify_tar(&altered, Trust::none());
            altered[*at] = tar[*at];
            if verdict.good {
                accepted += 1;
                assert_eq!(meaning(&verdict), meaning(&good), "byte {at}");
            }
        }
        accepted
    };
    let (one, other) = places.split_at(places.len() / 2);
    let accepted = thread::scope(|scope| {
        let other = scope.spawn(|| accepted_of(other));
        accepted_of(one) + other.join().unwrap()
    });
    assert!(places.len() >= 10_000, "{} mutants", places.len());
    // Padding and the empty blocks at the end carry nothing; the time of the manifest is unsigned.
    assert!(accepted * 4 < places.len(), "{accepted} of {}", places.len());
}

#[test]
fn a_tar_that_breaks_off_anywhere_is_found() {
    let tar = bundle(&records(), &blobs(3), &[]);
    let after = tar.windows(11).position(|name| name == b"checkpoint\0").unwrap();
    for cut in (0..after).step_by(4999).chain((after..tar.len() - 1024).step_by(41)) {
        assert!(!verify_tar(&tar[..cut], Trust::none()).good, "cut at {cut}");
    }
}

fn writer() -> Writer<Vec<u8>> {
    let subject = Subject {
        log: sample::log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: 1,
        pruned: 0,
        record_bytes: records()[0].len() as u64,
        created: sample::time(0),
    };
    Writer::new(Vec::new(), subject, &sample::note(&records(), 1)).unwrap()
}

#[test]
fn a_writer_refuses_what_would_not_be_a_bundle() {
    let records = records();
    assert!(matches!(writer().finish(), Err(WriteError::OtherRecords)));

    let mut two = writer();
    two.record(&records[0]).unwrap();
    two.record(&records[1]).unwrap();
    assert!(matches!(two.finish(), Err(WriteError::OtherRecords)));

    assert!(matches!(writer().record(b"{\n}"), Err(WriteError::NotARecord)));
    assert!(matches!(writer().record(&vec![b'x'; 65_536]), Err(WriteError::NotARecord)));

    let mut late = writer();
    late.record(&records[0]).unwrap();
    assert!(matches!(late.blob(&blobs(1)[0]), Err(WriteError::OutOfOrder)));

    let mut unsorted = writer();
    unsorted.blob(&blobs(1)[1]).unwrap();
    assert!(matches!(unsorted.blob(&blobs(1)[0]), Err(WriteError::OutOfOrder)));
    assert!(matches!(unsorted.earlier_checkpoint(1, "x"), Err(WriteError::OutOfOrder)));
}

/// The files of the sample bundle with a manifest that lists them as `change` says.
fn listed(change: impl FnOnce(&mut Vec<Listed>)) -> Vec<(String, Vec<u8>)> {
    let mut files = sample_files();
    let (_, bytes) = files.last_mut().unwrap();
    let mut manifest = Manifest::from_bytes(bytes).unwrap();
    change(&mut manifest.files);
    *bytes = manifest.to_bytes();
    files
}

#[test]
fn a_manifest_lists_the_files_in_their_order_and_once() {
    assert_eq!(problem(&listed(|_| ())), None);
    let words = Some("the manifest does not list the files in their order".to_owned());
    assert_eq!(problem(&listed(|files| files.swap(0, 1))), words);
    assert_eq!(problem(&listed(|files| files.insert(1, files[0].clone()))), words);
}

#[test]
fn strange_files_are_counted_and_hide_no_other_warning() {
    let mut files: Vec<_> = (0..50).map(|n| (format!("junk-{n}"), vec![])).collect();
    let mut records = records();
    // The last outcome is missing.
    records.pop();
    files.extend(self::files(&bundle(&records, &[], &[])));
    let mut verification = Verification::new(Trust::none());
    for (name, bytes) in &files {
        verification.file(name, &mut &bytes[..]).unwrap();
    }
    let verdict = verification.finish();
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(
        verdict.warnings,
        [
            "1 intent(s) have no outcome; the first is 18",
            "junk-0 and 49 other files: no part of a bundle; not looked at"
        ]
    );
}

#[test]
fn faults_without_a_position_do_not_hide_the_first_bad_position() {
    let mut files = sample_files();
    for n in 0..30 {
        let at = files.iter().position(|(name, _)| name == "records.jsonl").unwrap();
        let exchange = sample::exchange(100 + n);
        files.insert(at, (format!("blobs/{exchange}/prompt"), b"not sealed".to_vec()));
    }
    let (_, bytes) = files.iter_mut().find(|(name, _)| name == "records.jsonl").unwrap();
    let third = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    bytes[third + 20] ^= 1;
    let mut verification = Verification::new(Trust::none());
    for (name, bytes) in &files {
        verification.file(name, &mut &bytes[..]).unwrap();
    }
    let verdict = verification.finish();
    assert_eq!(verdict.first_problem().unwrap().at, Some(3), "{verdict:#?}");
    assert!(verdict.more_problems > 0);
}
