//! The form of a bundle.

use crate::sample::{self, blobs, bundle, records, signer, verify_tar};
use ledger::bundle::{Part, Subject, WriteError, Writer, each_file};
use ledger::verify::{Trust, Verification};

fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
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

/// Every third byte of the tar, headers and padding included. Nothing may panic, and what is still
/// accepted must say the same.
#[test]
fn a_flipped_bit_anywhere_in_the_tar_never_changes_what_is_accepted() {
    let tar = bundle(&records(), &blobs(3), &[7]);
    let good = verify_tar(&tar, Trust::none());
    let (mut accepted, mut tried) = (0, 0);
    for at in (0..tar.len()).step_by(3) {
        let mut altered = tar.clone();
        altered[at] ^= 1 << (at % 8);
        let verdict = verify_tar(&altered, Trust::none());
        tried += 1;
        if verdict.good {
            accepted += 1;
            assert_eq!(verdict.records, good.records, "byte {at}");
            assert_eq!(verdict.checkpoint_root, good.checkpoint_root, "byte {at}");
            assert_eq!(verdict.organisation, good.organisation, "byte {at}");
            assert_eq!(verdict.blobs, good.blobs, "byte {at}");
        }
    }
    // Padding and the empty blocks at the end carry nothing; the time of the manifest is unsigned.
    assert!(accepted * 4 < tried, "{accepted} of {tried}");
}

#[test]
fn a_tar_that_breaks_off_anywhere_is_found() {
    let tar = bundle(&records(), &blobs(3), &[]);
    for cut in (0..tar.len() - 1024).step_by(41) {
        assert!(!verify_tar(&tar[..cut], Trust::none()).good, "cut at {cut}");
    }
}

fn writer() -> Writer<Vec<u8>> {
    let subject = Subject {
        log: sample::log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: 1,
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
