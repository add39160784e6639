//! Records that are not here were pruned by a record, and everything else still verifies.

use crate::sample::{actor, events, note, seal, signer, time, verify_tar};
use ledger::bundle::{Subject, WriteError, Writer};
use ledger::tree::{Frontier, leaf_hash};
use ledger::verify::{ProblemKind, Trust, Verdict};
use ledger::{Event, Hash, Unit};

fn root(records: &[Vec<u8>]) -> Hash {
    let mut tree = Frontier::default();
    for record in records {
        tree.push(leaf_hash(record));
    }
    tree.root()
}

/// The log of the sample with the record that prunes all before `size`, at position 20.
fn pruning(size: usize) -> Vec<Vec<u8>> {
    let event = Event::Pruned {
        actor: actor(),
        size: size as u64,
        root: root(&seal(events())[..size]),
        authority: "retention schedule".to_owned(),
        sha256: None,
    };
    seal([events(), vec![event]].concat())
}

/// How a bundle is altered on its way.
#[derive(Default)]
struct Altered {
    hashes: Option<Vec<Hash>>,
    lines: Option<Vec<Vec<u8>>>,
    earlier: Vec<usize>,
}

/// A bundle of a log whose records before `size` but record 0 are not here.
fn bundle(records: &[Vec<u8>], size: usize, altered: Altered) -> Vec<u8> {
    let hashes =
        altered.hashes.unwrap_or_else(|| records[..size].iter().map(|it| leaf_hash(it)).collect());
    let kept = [&records[..1], &records[size..]].concat();
    let lines = altered.lines.unwrap_or(kept);
    let subject = Subject {
        log: crate::sample::log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: (lines.len() + hashes.len() - 1) as u64,
        pruned: hashes.len() as u64,
        record_bytes: lines.iter().map(|record| record.len() as u64).sum(),
        created: time(100),
    };
    let note_of = |size| note(records, size);
    let mut writer = Writer::new(Vec::new(), subject, &note_of(records.len())).unwrap();
    for size in altered.earlier {
        writer.earlier_checkpoint(size as u64, &note_of(size)).unwrap();
    }
    for hash in &hashes {
        writer.pruned(hash).unwrap();
    }
    for line in &lines {
        writer.record(line).unwrap();
    }
    writer.finish().unwrap()
}

fn check(size: usize, altered: Altered) -> Verdict {
    verify_tar(&bundle(&pruning(size), size, altered), Trust::none())
}

#[track_caller]
fn check_bad(verdict: &Verdict, at: Option<u64>, kind: ProblemKind, words: &str) {
    let problem = verdict.first_problem().expect("a problem");
    assert_eq!((problem.at, problem.kind), (at, kind), "{verdict:#?}");
    assert!(problem.words.contains(words), "{}", problem.words);
}

/// Exchanges of the sample stand at 2 and on, intent and outcome by turns: these sizes cut none in two.
const SIZES: [usize; 4] = [2, 4, 12, 20];

#[test]
fn a_log_without_its_pruned_records_is_as_good_as_before() {
    for size in SIZES {
        // Checkpoints from before, within and after what was pruned still fit.
        let altered = Altered { earlier: vec![1, 2, 11, 20], ..Altered::default() };
        let verdict = check(size, altered);
        assert!(verdict.good, "{verdict:#?}");
        assert_eq!((verdict.records, verdict.earlier_inside), (21, 4));
        let pruned = verdict.pruned.unwrap();
        assert_eq!((pruned.records, pruned.at), (size as u64 - 1, 20));
        assert_eq!(pruned.authority, "retention schedule");
        assert!(pruned.kept_from.is_some());
    }
}

#[test]
fn pruning_before_six_years_without_a_decision_is_told() {
    let told = |decision: Option<Hash>, size: usize| {
        let event = Event::Pruned {
            actor: actor(),
            size: 4,
            root: root(&seal(events())[..4]),
            authority: "retention schedule".to_owned(),
            sha256: decision,
        };
        let records = seal([events(), vec![event]].concat());
        let verdict = verify_tar(&bundle(&records, size, Altered::default()), Trust::none());
        assert!(verdict.good, "{verdict:#?}");
        verdict.warnings.iter().filter(|words| words.contains("less than six years")).count()
    };
    assert_eq!(told(None, 4), 1);
    assert_eq!(told(Some(Hash::of(b"decision")), 4), 0);
    assert_eq!(told(None, 2), 1);
}

#[test]
fn records_that_no_record_pruned_are_missing() {
    let records = seal(events());
    let verdict = verify_tar(&bundle(&records, 4, Altered::default()), Trust::none());
    check_bad(&verdict, None, ProblemKind::Deleted, "no record says that they were pruned");
    // One that pruned less does not excuse it.
    let verdict = verify_tar(&bundle(&pruning(4), 12, Altered::default()), Trust::none());
    check_bad(&verdict, None, ProblemKind::Deleted, "records 1 to 11 are not here");
}

#[test]
fn a_pruning_states_the_root_of_what_it_takes() {
    for (size, named, words) in [
        (4, Hash::ZERO, "not that of the pruned records"),
        (1, Hash::ZERO, "it prunes nothing"),
        (21, Hash::ZERO, "what was still to come"),
    ] {
        let event = Event::Pruned {
            actor: actor(),
            size,
            root: named,
            authority: "retention schedule".to_owned(),
            sha256: None,
        };
        let records = seal([events(), vec![event]].concat());
        let verdict = verify_tar(&bundle(&records, 4, Altered::default()), Trust::none());
        check_bad(&verdict, Some(20), ProblemKind::Inconsistent, words);
    }
}

#[test]
fn an_altered_hash_of_a_pruned_record_is_found() {
    let records = pruning(12);
    let hashes: Vec<Hash> = records[..12].iter().map(|record| leaf_hash(record)).collect();
    for at in 0..12 {
        let mut other = hashes.clone();
        other[at] = Hash::of(b"other");
        let verdict = check(12, Altered { hashes: Some(other), ..Altered::default() });
        let problem = verdict.first_problem().expect("a problem");
        // The first is held to record 0, the last to the record after it, and each to the signed root.
        let first = match at {
            0 => 0,
            11 => 11,
            _ => 20,
        };
        assert_eq!((problem.at, problem.kind), (Some(first), ProblemKind::Edited), "{verdict:#?}");
    }
    for hashes in [hashes[..11].to_vec(), [hashes.clone(), vec![Hash::ZERO]].concat()] {
        let verdict = check(12, Altered { hashes: Some(hashes), ..Altered::default() });
        assert!(!verdict.good, "{verdict:#?}");
    }
}

#[test]
fn record_0_is_never_pruned() {
    let records = pruning(4);
    let lines = Altered { lines: Some(records[4..].to_vec()), ..Altered::default() };
    check_bad(&check(4, lines), Some(0), ProblemKind::Edited, "the first line");
    let none = Altered { lines: Some(vec![]), ..Altered::default() };
    check_bad(&check(4, none), Some(0), ProblemKind::Deleted, "record 0 is missing");
}

#[test]
fn nothing_is_pruned_under_a_hold() {
    let hold = Event::HoldPlaced {
        actor: actor(),
        hold: "matter-7".to_owned(),
        unit: Some(Unit::Exchange(crate::sample::exchange(9))),
        authority: "Example Court (synthetic)".to_owned(),
    };
    let event = Event::Pruned {
        actor: actor(),
        size: 4,
        root: root(&seal(events())[..4]),
        authority: "retention schedule".to_owned(),
        sha256: None,
    };
    let records = seal([events(), vec![hold, event]].concat());
    let verdict = verify_tar(&bundle(&records, 4, Altered::default()), Trust::none());
    check_bad(&verdict, Some(21), ProblemKind::Inconsistent, "under the hold matter-7");
}

#[test]
fn a_writer_takes_as_many_hashes_as_it_announced() {
    let records = pruning(4);
    let subject = Subject {
        log: crate::sample::log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: 21,
        pruned: 4,
        record_bytes: 0,
        created: time(100),
    };
    let mut writer = Writer::new(Vec::new(), subject, &note(&records, 21)).unwrap();
    writer.pruned(&leaf_hash(&records[0])).unwrap();
    assert!(matches!(writer.record(&records[0]), Err(WriteError::OtherRecords)));
}
