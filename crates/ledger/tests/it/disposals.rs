//! What is gone was disposed of by a record, by somebody's right, and under no hold.

use crate::sample::{actor, blobs, day, events, exchange, seal, time, verify_tar, writer};
use ledger::verify::{ProblemKind, Trust, Verdict};
use ledger::{BlobPart, ContentClass, ConversationId, Disposal, Event, Hash, Unit};

fn disposal(scope: Disposal, classes: &[ContentClass], authority: &str) -> Event {
    Event::Disposed {
        actor: actor(),
        scope,
        classes: classes.to_vec(),
        authority: authority.to_owned(),
        reason: "retention".to_owned(),
        count: 1,
        held: 0,
        sha256: None,
    }
}

fn hold(name: &str, unit: Option<Unit>) -> Event {
    let (hold, authority) = (name.to_owned(), "Example Court (synthetic)".to_owned());
    Event::HoldPlaced { actor: actor(), hold, unit, authority }
}

fn release(name: &str) -> Event {
    let (hold, authority) = (name.to_owned(), "Example Court (synthetic)".to_owned());
    Event::HoldReleased { actor: actor(), hold, authority }
}

/// A bundle that claims to hold all content: the nine exchanges of the sample without `absent`, and then
/// `more` records, the first of them at position 20.
fn check(absent: impl Fn(u8, BlobPart) -> bool, more: Vec<Event>) -> Verdict {
    let records = seal([events(), more].concat());
    let mut writer = writer(&records);
    writer.claim_content().unwrap();
    for n in 1..=9 {
        for blob in blobs(n).iter().filter(|blob| !absent(n, blob.part)) {
            writer.blob(blob).unwrap();
        }
    }
    for record in &records {
        writer.record(record).unwrap();
    }
    verify_tar(&writer.finish().unwrap(), Trust::none())
}

fn check_bad(verdict: &Verdict, at: Option<u64>, kind: ProblemKind, words: &str) {
    let problem = verdict.first_problem().expect("a problem");
    assert_eq!((problem.at, problem.kind), (at, kind), "{verdict:#?}");
    assert!(problem.words.contains(words), "{}", problem.words);
}

const PROMPTS: &[ContentClass] = &[ContentClass::Prompts];

#[test]
fn all_content_that_was_not_disposed_of_is_good() {
    let verdict = check(|_, _| false, vec![]);
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.disposed, []);
}

#[test]
fn a_payload_that_is_gone_without_a_record_is_selective_shredding() {
    let verdict = check(|n, part| n == 4 && part == BlobPart::Prompt, vec![]);
    check_bad(&verdict, None, ProblemKind::Content, "prompts of exc_04");
    let verdict = check(|n, part| n == 4 && part != BlobPart::Prompt, vec![]);
    check_bad(&verdict, None, ProblemKind::Content, "answers of exc_04");
    let verdict = check(|_, _| true, vec![]);
    check_bad(&verdict, None, ProblemKind::Content, "no record says that it was disposed of");
}

#[test]
fn a_disposal_says_where_and_by_which_right_a_payload_went() {
    let sweep = disposal(Disposal::Before(day(5)), PROMPTS, "schedule");
    let single = disposal(Disposal::Exchange(exchange(7)), &ContentClass::ALL, "request 12");
    let gone = |n, part| n == 7 || n < 5 && part == BlobPart::Prompt;
    let verdict = check(gone, vec![sweep, single]);
    assert!(verdict.good, "{verdict:#?}");
    let told: Vec<_> =
        verdict.disposed.iter().map(|d| (d.at, d.authority.as_str(), d.payloads)).collect();
    assert_eq!(told, [(20, "schedule", 4), (21, "request 12", 2)]);
}

#[test]
fn a_disposal_excuses_no_other_day_class_or_unit() {
    let sweep = || disposal(Disposal::Before(day(5)), PROMPTS, "schedule");
    let bad = ProblemKind::Content;
    check_bad(&check(|n, _| n == 5, vec![sweep()]), None, bad, "prompts of exc_05");
    check_bad(&check(|n, _| n == 4, vec![sweep()]), None, bad, "answers of exc_04");
    let single = disposal(Disposal::Exchange(exchange(7)), &ContentClass::ALL, "request 12");
    check_bad(&check(|n, _| n == 8, vec![single]), None, bad, "prompts of exc_08");
    let other = Disposal::Conversation(ConversationId::from_bytes([7; 16]));
    let other = disposal(other, &ContentClass::ALL, "request 12");
    check_bad(&check(|n, _| n == 7, vec![other]), None, bad, "prompts of exc_07");
}

#[test]
fn a_disposal_excuses_nothing_that_comes_after_it() {
    let single =
        |n: u8| disposal(Disposal::Exchange(exchange(n)), &ContentClass::ALL, "request 12");
    let sweep = disposal(Disposal::Before(time(0).day().plus_days(1)), PROMPTS, "schedule");
    let verdict = check(|_, _| false, vec![sweep]);
    check_bad(&verdict, Some(20), ProblemKind::Inconsistent, "still to come");
    // The disposal stands before the exchange that it names: 2 records, it, and then the exchanges.
    let mut events = events();
    let rest = events.split_off(2);
    let moved = rest.into_iter().map(|mut event| {
        if let Event::Outcome(outcome) = &mut event {
            outcome.intent = outcome.intent.map(|at| at + 1);
        }
        event
    });
    let records = seal(events.into_iter().chain([single(4)]).chain(moved).collect());
    let mut writer = writer(&records);
    writer.claim_content().unwrap();
    for n in (1..=9).filter(|n| *n != 4) {
        for blob in blobs(n) {
            writer.blob(&blob).unwrap();
        }
    }
    for record in &records {
        writer.record(record).unwrap();
    }
    let verdict = verify_tar(&writer.finish().unwrap(), Trust::none());
    check_bad(&verdict, None, ProblemKind::Content, "prompts of exc_04");
}

#[test]
fn an_organisation_that_left_left_nothing() {
    let left = Event::Offboarded {
        actor: actor(),
        authority: "end of agreement".to_owned(),
        sha256: Hash::of(b"archive"),
    };
    let verdict = check(|_, _| true, vec![left]);
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.disposed.iter().map(|d| d.payloads).collect::<Vec<_>>(), [18]);
}

#[test]
fn a_disposal_under_a_hold_is_found_at_its_record() {
    let (exchange, other) = (Unit::Exchange(exchange(7)), Unit::Exchange(exchange(8)));
    let single = || disposal(exchange.into(), PROMPTS, "request 12");
    let sweep = || disposal(Disposal::Before(day(5)), PROMPTS, "schedule");
    let words = "while the hold matter-7 covered it";
    for (unit, event) in [(Some(exchange), single()), (None, single()), (None, sweep())] {
        let verdict = check(|_, _| false, vec![hold("matter-7", unit), event]);
        check_bad(&verdict, Some(21), ProblemKind::Inconsistent, words);
    }
    // Another unit's hold, and one that was released, are none. A sweep leaves the held unit alone.
    for (unit, event) in [(Some(other), single()), (Some(exchange), sweep())] {
        let verdict = check(|_, _| false, vec![hold("matter-7", unit), event]);
        assert!(verdict.good, "{verdict:#?}");
    }
    let released = vec![hold("matter-7", None), release("matter-7"), sweep()];
    assert!(check(|_, _| false, released).good);
}

#[test]
fn a_hold_is_placed_and_released_once() {
    let twice = vec![hold("matter-7", None), hold("matter-7", None)];
    check_bad(&check(|_, _| false, twice), Some(21), ProblemKind::Inconsistent, "a second time");
    let never = vec![release("matter-7")];
    check_bad(&check(|_, _| false, never), Some(20), ProblemKind::Inconsistent, "not in force");
}

#[test]
fn a_bundle_without_the_claim_may_lack_content() {
    let records = seal(events());
    let mut writer = writer(&records);
    for record in &records {
        writer.record(record).unwrap();
    }
    assert!(verify_tar(&writer.finish().unwrap(), Trust::none()).good);
}
