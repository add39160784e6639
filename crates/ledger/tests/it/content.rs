//! Sealed content in a bundle is what the records commit to.

use crate::sample::{blobs, bundle, exchange, intent, outcome, records, started, verify_tar};
use ledger::bundle::Committed;
use ledger::verify::{ProblemKind, Trust};
use ledger::{Blob, BlobPart, Hash};

/// Exchange 1 has its intent at position 2 and its outcome at 3, exchange 2 at 4 and 5.
enum Found {
    Nothing,
    At(u64),
    Nowhere,
}
use Found::{At, Nothing, Nowhere};

fn check(blobs: &[Blob], expected: &Found) {
    let verdict = verify_tar(&bundle(&records(), blobs, &[]), Trust::none());
    let places: Vec<_> = verdict.problems.iter().map(|problem| problem.at).collect();
    match expected {
        Nothing => assert!(verdict.good, "{verdict:#?}"),
        At(at) => assert_eq!(places.first(), Some(&Some(*at)), "{verdict:#?}"),
        Nowhere => assert_eq!(places, [None], "{verdict:#?}"),
    }
    assert!(verdict.problems.iter().all(|problem| problem.kind == ProblemKind::Content));
}

fn two() -> Vec<Blob> {
    [blobs(1), blobs(2)].concat()
}

#[test]
fn content_that_the_records_name_is_good() {
    check(&two(), &Nothing);
    check(&(1..=9).flat_map(blobs).collect::<Vec<_>>(), &Nothing);
    check(&blobs(7), &Nothing);
    check(&blobs(7)[..1], &Nothing);
    check(&blobs(7)[1..], &Nothing);
}

#[test]
fn altered_content_is_found_at_the_record_that_names_it() {
    for (blob, at) in [(0, 2), (1, 3), (2, 3), (3, 4), (4, 5), (5, 5)] {
        let mut altered = two();
        altered[blob].sealed[20] ^= 1;
        check(&altered, &At(at));
        let mut altered = two();
        altered[blob].commitment = Hash::of(b"other");
        check(&altered, &At(at));
    }
}

#[test]
fn content_that_changed_places_is_found() {
    let mut altered = two();
    let (one, two) = (altered[0].clone(), altered[3].clone());
    altered[0] = Blob { exchange: one.exchange, ..two.clone() };
    altered[3] = Blob { exchange: two.exchange, ..one };
    check(&altered, &At(2));
}

#[test]
fn a_missing_window_is_found() {
    let mut altered = two();
    altered.remove(2);
    check(&altered, &At(3));
    let mut altered = two();
    altered.remove(1);
    check(&altered, &At(3));
}

#[test]
fn a_window_too_many_is_found() {
    let mut altered = blobs(1);
    altered.push(Blob { part: BlobPart::Window(2), ..altered[2].clone() });
    check(&altered, &At(3));
}

#[test]
fn content_that_no_record_names_is_found() {
    check(&blobs(77), &Nowhere);
}

#[test]
fn an_exporter_learns_which_content_the_records_name() {
    let mut committed = Committed::default();
    for event in [started(), intent(2), intent(1), outcome(1, 2)] {
        committed.add(&event);
    }
    assert_eq!(committed.exchanges().collect::<Vec<_>>(), [exchange(1), exchange(2)]);
    for (of, part, named) in [
        (1, BlobPart::Prompt, true),
        (1, BlobPart::Window(1), true),
        (1, BlobPart::Window(2), false),
        (2, BlobPart::Prompt, true),
        (2, BlobPart::Window(0), false),
        (3, BlobPart::Prompt, false),
    ] {
        assert_eq!(committed.names(exchange(of), part), named, "{of} {part:?}");
    }
}
