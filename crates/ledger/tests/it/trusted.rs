//! What a trust file adds: who signed, and that nothing signed before was changed.

use crate::sample::{self, lines, note, records, signer, verify_lines};
use ledger::checkpoint::Signer;
use ledger::verify::{KeySource, ProblemKind, Trust, Verdict};

fn check(records: &[Vec<u8>], trust: &str) -> Verdict {
    verify_lines(&lines(records), &note(records, records.len()), Trust::parse(trust).unwrap())
}

/// A log that differs from position 2 on, consistent and signed with the log's own key.
fn rewritten() -> Vec<Vec<u8>> {
    let mut events = sample::events();
    events.truncate(2);
    events.extend((0..20).map(|_| sample::started()));
    sample::seal(events)
}

#[test]
fn without_a_trust_file_only_the_bundle_names_its_key() {
    let verdict = check(&records(), "");
    assert!(verdict.good);
    assert_eq!(verdict.key_source, Some(KeySource::BundleOnly));
}

#[test]
fn the_trusted_key_makes_the_key_trusted() {
    let verdict = check(&records(), &signer().verifier_key());
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.key_source, Some(KeySource::Trusted));
}

#[test]
fn a_bundle_signed_by_another_key_than_the_trusted_one_is_bad() {
    for (name, seed) in [(sample::log().to_string(), 8), ("elsewhere".to_owned(), 7)] {
        let other = Signer::from_seed(&name, &[seed; 32]).unwrap().verifier_key();
        let verdict = check(&records(), &other);
        let problem = verdict.first_problem().unwrap();
        assert_eq!(problem.kind, ProblemKind::Signature, "{verdict:#?}");
        assert!(problem.words.contains("not the one that you trust"), "{problem:?}");
        assert_eq!(verdict.key_source, None);
    }
}

#[test]
fn every_earlier_checkpoint_of_the_log_fits() {
    for size in 0..=20 {
        let verdict = check(&records(), &note(&records(), size));
        assert!(verdict.good, "size {size}: {verdict:#?}");
        assert_eq!(verdict.earlier_trusted, [size as u64]);
        assert_eq!(verdict.key_source, Some(KeySource::EarlierCheckpoint));
    }
}

#[test]
fn a_log_written_anew_with_the_stolen_key_is_found_by_an_earlier_checkpoint() {
    let rewritten = rewritten();
    assert!(check(&rewritten, "").good, "it agrees with itself");
    for size in 3..=20 {
        let trust = note(&records(), size) + &note(&records(), 2);
        let verdict = check(&rewritten, &trust);
        let problem = verdict.first_problem().unwrap();
        assert_eq!(problem.kind, ProblemKind::Rewritten, "{verdict:#?}");
        assert_eq!(problem.at, Some(2), "the first record that is not vouched for");
    }
}

#[test]
fn a_rolled_back_log_is_found_by_a_later_checkpoint() {
    let short = &records()[..12];
    assert!(check(short, "").good);
    let verdict = check(short, &note(&records(), 13));
    let problem = verdict.first_problem().unwrap();
    assert_eq!((problem.kind, problem.at), (ProblemKind::Truncated, Some(12)), "{verdict:#?}");
}

#[test]
fn a_trusted_checkpoint_that_nobody_signed_is_not_good() {
    let own = note(&records(), 10);
    let signature = own.trim_end().rsplit(' ').next().unwrap();
    let other = note(&records(), 11);
    let other = other.trim_end().rsplit(' ').next().unwrap();
    for forged in [own.replace(signature, "AAAAAAAA"), own.replace(signature, other)] {
        let verdict = check(&records(), &forged);
        assert!(!verdict.good);
        assert!(verdict.problems[0].words.contains("not signed by this log's key"), "{verdict:#?}");
    }
}

#[test]
fn a_trust_file_of_another_log_does_not_let_this_one_pass() {
    let other = Signer::from_seed("elsewhere", &[7; 32]).unwrap();
    let checkpoint = ledger::checkpoint::Checkpoint {
        origin: "elsewhere".to_owned(),
        size: 3,
        root: ledger::Hash::ZERO,
    };
    let verdict = check(&records(), &other.sign(&checkpoint));
    assert!(!verdict.good);
    assert!(verdict.problems.iter().any(|p| p.words.contains("nothing in the trust file")));
}

#[test]
fn the_first_record_must_name_the_trusted_key() {
    let other = Signer::from_seed(&sample::log().to_string(), &[8; 32]).unwrap();
    let mut events = sample::events();
    if let ledger::Event::LogOpened { verifier_key, .. } = &mut events[0] {
        *verifier_key = other.verifier_key();
    }
    let verdict = check(&sample::seal(events), &signer().verifier_key());
    let problem = verdict.first_problem().unwrap();
    assert_eq!((problem.kind, problem.at), (ProblemKind::Signature, Some(0)), "{verdict:#?}");
}
