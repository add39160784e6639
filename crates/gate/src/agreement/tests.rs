use super::{Agreement, Lapse, never_covered};
use crate::rules::tests::{at, clinic};
use std::fmt::Write as _;

fn agreement(edits: &[(&str, &str)]) -> Agreement {
    let rules = clinic(edits);
    rules.registry().agreement(&"baa-examplecloud".parse().unwrap()).unwrap().clone()
}

fn check(agreement: &Agreement, moments: &[(&str, &str)]) {
    for (moment, expected) in moments {
        let state = match agreement.in_force(at(moment)) {
            Ok(()) => "in force".to_owned(),
            Err(lapse) => lapse.to_string(),
        };
        assert_eq!(state, *expected, "{moment}");
    }
}

#[test]
fn an_agreement_is_in_force_from_its_first_moment_until_the_first_moment_of_its_end() {
    check(
        &agreement(&[]),
        &[
            ("2025-12-31T23:59:59.999999Z", "begins on 2026-01-01"),
            ("2026-01-01T00:00:00Z", "in force"),
            ("2028-12-31T23:59:59.999999Z", "in force"),
            ("2029-01-01T00:00:00Z", "expired on 2029-01-01"),
        ],
    );
}

#[test]
fn a_terminated_agreement_ends_on_the_day_of_termination() {
    let agreement =
        agreement(&[("no_training = true", "no_training = true\nterminated = 2027-03-04")]);
    check(
        &agreement,
        &[
            ("2027-03-03T23:59:59.999999Z", "in force"),
            ("2027-03-04T00:00:00Z", "was terminated on 2027-03-04"),
            ("2030-01-01T00:00:00Z", "was terminated on 2027-03-04"),
        ],
    );
    assert_eq!(agreement.ends(), at("2027-03-04T00:00:00Z"));
}

#[test]
fn evidence_lapses_like_an_agreement() {
    let rules = clinic(&[]);
    let evidence = rules.registry().evidence(&"chain-examplechips".parse().unwrap()).unwrap();
    assert_eq!(evidence.in_force(at("2028-01-14T23:59:59.999999Z")), Ok(()));
    assert!(matches!(evidence.in_force(at("2028-01-15T00:00:00Z")), Err(Lapse::Expired(_))));
    assert!(matches!(evidence.in_force(at("2026-01-14T23:59:59Z")), Err(Lapse::NotYet(_))));
}

#[test]
fn a_tier_of_consumers_or_no_tier_is_never_covered() {
    for tier in ["consumer", "free", "individual", "personal", "plus", "team", "trial", "free-2"] {
        assert!(never_covered(Some(&tier.parse().unwrap())), "{tier}");
    }
    assert!(never_covered(None));
    for tier in ["enterprise", "business", "teamwork", "freedom", "scale"] {
        assert!(!never_covered(Some(&tier.parse().unwrap())), "{tier}");
    }
}

#[test]
fn a_warning_names_the_tightest_threshold_that_was_crossed() {
    let rules = clinic(&[]);
    let check = |moment: &str, expected: &str| {
        let mut warnings = String::new();
        for warning in rules.registry().expiring(at(moment)) {
            write!(warnings, "{} {} {}; ", warning.id, warning.days, warning.expires).unwrap();
        }
        assert_eq!(warnings, expected, "{moment}");
    };
    // The evidence ends on 2028-01-15, the agreement on 2029-01-01.
    check("2027-10-16T23:59:59Z", "");
    check("2027-10-17T00:00:00Z", "chain-examplechips 90 2028-01-15T00:00:00.000000Z; ");
    check("2027-11-16T00:00:00Z", "chain-examplechips 60 2028-01-15T00:00:00.000000Z; ");
    check("2027-12-16T00:00:00Z", "chain-examplechips 30 2028-01-15T00:00:00.000000Z; ");
    check("2028-01-07T23:59:59Z", "chain-examplechips 30 2028-01-15T00:00:00.000000Z; ");
    check("2028-01-08T00:00:00Z", "chain-examplechips 7 2028-01-15T00:00:00.000000Z; ");
    check("2028-01-14T23:59:59Z", "chain-examplechips 7 2028-01-15T00:00:00.000000Z; ");
    check("2028-01-15T00:00:00Z", "");
    check("2028-12-31T00:00:00Z", "baa-examplecloud 7 2029-01-01T00:00:00.000000Z; ");
    check("2029-01-01T00:00:00Z", "");
}
