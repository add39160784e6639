//! Every way to alter a log is found, and the first bad position is named.

use crate::sample::{self, forged, lines, note, records, verify_lines};
use ledger::verify::ProblemKind::{
    self, Deleted, Duplicated, Edited, Inconsistent, Inserted, Reordered, Truncated,
};
use ledger::verify::Trust;
use ledger::{Event, Hash, tree::leaf_hash};

/// Verifies lines under the checkpoint of the 20 records that they were made of.
fn check(lines: &[u8], at: usize, kinds: &[ProblemKind], what: &str) {
    let verdict = verify_lines(lines, &note(&records(), 20), Trust::none());
    assert!(!verdict.good, "{what}");
    let problem = verdict.first_problem().unwrap();
    assert_eq!(problem.at, Some(at as u64), "{what}: {verdict:#?}");
    assert!(kinds.contains(&problem.kind), "{what}: {problem:?}");
}

#[test]
fn an_unaltered_log_is_good() {
    let verdict = verify_lines(&lines(&records()), &note(&records(), 20), Trust::none());
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.warnings, Vec::<String>::new());
    assert_eq!((verdict.records, verdict.intents, verdict.outcomes), (20, 9, 9));
}

/// One flipped bit in every third byte, another bit each time; the step is not a divisor of
/// anything in a record, so that every kind of place is met.
#[test]
fn a_flipped_bit_in_any_record_is_found_where_it_is() {
    let good = lines(&records());
    let (mut line, mut flips) = (0, 0);
    for at in 0..good.len() {
        if at % 3 == 0 {
            let bit = (at / 3) % 8;
            let mut altered = good.clone();
            altered[at] ^= 1 << bit;
            check(
                &altered,
                line,
                &[Edited, Inconsistent, Truncated],
                &format!("bit {bit} of byte {at}"),
            );
            flips += 1;
        }
        line += usize::from(good[at] == b'\n');
    }
    assert!(flips > 4_000, "{flips}");
}

#[test]
fn a_flipped_bit_in_the_checkpoint_is_found() {
    let (lines, good) = (lines(&records()), note(&records(), 20));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut altered = good.clone().into_bytes();
            altered[at] ^= 1 << bit;
            if let Ok(altered) = String::from_utf8(altered) {
                let verdict = verify_lines(&lines, &altered, Trust::none());
                assert!(!verdict.good, "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn a_deleted_record_is_found_at_every_position() {
    for at in 0..20 {
        let mut altered = records();
        altered.remove(at);
        let kind = if at == 19 { Truncated } else { Deleted };
        check(&lines(&altered), at, &[kind], &format!("without {at}"));
    }
}

#[test]
fn several_deleted_records_are_found_at_the_first() {
    let mut altered = records();
    altered.drain(5..9);
    check(&lines(&altered), 5, &[Deleted], "without 5 to 8");
}

#[test]
fn two_swapped_records_are_found_at_the_first() {
    for first in 0..20 {
        for second in first + 1..20 {
            let mut altered = records();
            altered.swap(first, second);
            check(&lines(&altered), first, &[Reordered], &format!("{first} and {second}"));
        }
    }
}

#[test]
fn a_moved_record_is_found_at_every_position() {
    for from in 0..20 {
        for to in 0..20 {
            if from == to {
                continue;
            }
            let mut altered = records();
            let record = altered.remove(from);
            altered.insert(to, record);
            check(&lines(&altered), from.min(to), &[Reordered], &format!("{from} to {to}"));
        }
    }
}

#[test]
fn a_repeated_record_is_found_at_every_position() {
    for of in 0..20 {
        for to in of + 1..=20 {
            let mut altered = records();
            altered.insert(to, altered[of].clone());
            check(&lines(&altered), to, &[Duplicated], &format!("{of} once more at {to}"));
        }
    }
}

#[test]
fn a_record_in_the_place_of_another_is_found() {
    for of in 0..20 {
        for to in 0..20 {
            if of != to {
                let mut altered = records();
                altered[to] = altered[of].clone();
                check(&lines(&altered), to, &[Edited], &format!("{of} in the place of {to}"));
            }
        }
    }
}

#[test]
fn an_inserted_line_is_found_at_every_position() {
    let good = records();
    for at in 0..=20 {
        let prev = usize::checked_sub(at, 1).map_or(Hash::ZERO, |before| leaf_hash(&good[before]));
        let position = at as u64;
        for (what, line) in [
            ("garbage", b"{}".to_vec()),
            ("an empty line", vec![]),
            ("a record that fits", forged(position, prev)),
            ("a record with another past", forged(position, Hash::of(b"x"))),
            ("a record of a later position", forged(position + 3, prev)),
            ("a line that is too long", vec![b'x'; 200_000]),
        ] {
            let mut altered = good.clone();
            altered.insert(at, line);
            let kinds = [Inserted, Inconsistent];
            // A forged first record is no log.opened, which is as good a name for it.
            check(
                &lines(&altered),
                at,
                &kinds[..=usize::from(at == 0)],
                &format!("{what} at {at}"),
            );
        }
    }
}

#[test]
fn a_log_that_is_cut_off_is_found_at_every_byte() {
    let good = lines(&records());
    let mut line = 0;
    for cut in 0..good.len() {
        if cut % 7 == 0 || good[cut] == b'\n' || cut > 0 && good[cut - 1] == b'\n' {
            check(&good[..cut], line, &[Truncated], &format!("cut at byte {cut}"));
        }
        line += usize::from(good[cut] == b'\n');
    }
}

#[test]
fn a_rewritten_tail_is_found_by_the_signed_root() {
    for from in 2..20 {
        let mut events = sample::events();
        events[from] = sample::started();
        let altered = sample::seal(events);
        let verdict = verify_lines(&lines(&altered), &note(&records(), 20), Trust::none());
        let found = |words: &str| verdict.problems.iter().any(|p| p.words.contains(words));
        assert!(found("the signed root differs"), "from {from}: {verdict:#?}");
    }
}

/// Seals events into a log with its own good checkpoint: only what the records say can be wrong.
fn check_events(events: Vec<Event>, at: u64, words: &str) {
    let records = sample::seal(events);
    let verdict = verify_lines(&lines(&records), &note(&records, records.len()), Trust::none());
    let problem = verdict.first_problem().expect(words);
    assert_eq!((problem.at, problem.kind), (Some(at), Inconsistent), "{verdict:#?}");
    assert!(problem.words.contains(words), "{problem:?}");
}

#[test]
fn records_that_contradict_each_other_are_found() {
    let start = || vec![sample::opened(), sample::intent(1)];
    let with = |more: Vec<Event>| [start(), more].concat();
    let (intent, outcome) = (sample::intent, sample::outcome);
    check_events(with(vec![outcome(1, 1), outcome(1, 1)]), 3, "has ended before");
    check_events(with(vec![outcome(2, 1)]), 2, "another exchange");
    check_events(with(vec![outcome(1, 0)]), 2, "no intent");
    check_events(with(vec![outcome(1, 2)]), 2, "comes after");
    check_events(with(vec![outcome(1, 3), intent(1)]), 2, "comes after");
    check_events(with(vec![sample::opened()]), 2, "a second time");
    check_events(vec![sample::started()], 0, "does not begin");
}

#[test]
fn an_open_intent_and_a_clock_that_steps_back_are_told_and_no_fault() {
    let mut head = ledger::Head::new();
    let mut seal =
        |seconds, event| head.seal_next(sample::log(), sample::time(seconds), event).unwrap().bytes;
    let records = vec![
        seal(100, sample::opened()),
        seal(95, sample::started()),
        seal(94, sample::started()),
        seal(101, sample::intent(1)),
    ];
    let verdict = verify_lines(&lines(&records), &note(&records, 4), Trust::none());
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.open_intents, 1);
    assert_eq!(verdict.warnings.len(), 2, "{verdict:#?}");
    assert!(verdict.warnings[0].contains("position 2"), "{verdict:#?}");
    assert!(verdict.warnings[1].contains("the first is 3"), "{verdict:#?}");
}

#[test]
fn records_of_another_log_do_not_pass_as_this_one() {
    let mut other = sample::log();
    other.tenant = ledger::TenantId::from_bytes([9; 16]);
    let mut head = ledger::Head::new();
    let first = head.seal_next(sample::log(), sample::time(0), sample::opened()).unwrap();
    let second = head.seal_next(other, sample::time(0), sample::started()).unwrap();
    let records = vec![first.bytes, second.bytes];
    let verdict = verify_lines(&lines(&records), &note(&records, 2), Trust::none());
    assert_eq!(verdict.first_problem().unwrap().at, Some(1), "{verdict:#?}");
}
