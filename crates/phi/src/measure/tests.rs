use super::*;
use crate::{Confidence, Finding};

fn finding(text: &str, value: &str, class: Class) -> Finding {
    let start = text.find(value).unwrap();
    Finding {
        start,
        end: start + value.len(),
        class,
        confidence: Confidence::percent(90),
        recogniser: "test",
        why: "test",
    }
}

/// Scores one marked document against what a detector says it found.
fn check(marked: &str, found: &[(&str, Class)], policy: Policy) -> Tally {
    let documents = read_marked("test", &format!("=== one\n{marked}")).unwrap();
    let [document] = documents.as_slice() else { panic!("one document") };
    let text = document.text.expose();
    let found: Vec<Finding> = found.iter().map(|(v, c)| finding(text, v, *c)).collect();
    score(document, &found, policy, &Scope::of(&documents))
}

const STRICT: Policy = Policy::SafeHarbor;

#[test]
fn a_span_is_found_in_full_when_each_letter_and_digit_is_covered() {
    let text = "Seen: <NAME>Ann Lee-Roy</NAME>";
    let whole = check(text, &[("Ann", Class::Name), ("Lee-Roy", Class::Name)], STRICT).all();
    assert_eq!((whole.gold, whole.full, whole.touched, whole.leaked), (1, 1, 1, 0));
    let part = check(text, &[("Ann Lee", Class::Location)], STRICT).all();
    assert_eq!((part.full, part.touched, part.same, part.leaked), (0, 1, 0, 3));
    assert_eq!(part.characters, 9);
    let none = check(text, &[], STRICT);
    assert_eq!((none.all().touched, none.leaking, none.with_gold), (0, 1, 1));
}

#[test]
fn a_title_at_the_edge_is_neither_right_nor_wrong() {
    let text = "by <NAME>Dr. Ann Lee, MD</NAME> and Mr. <NAME>Do</NAME> today";
    let tally = check(text, &[("Ann Lee", Class::Name), ("Mr. Do", Class::Name)], STRICT);
    assert_eq!((tally.all().full, tally.all().right, tally.all().found), (2, 2, 2));
    assert_eq!(tally.over_redacted, 0);
    let only = check(text, &[("Dr", Class::Name), ("MD", Class::Name)], STRICT);
    assert_eq!(only.all().found, 0);
}

#[test]
fn what_safe_harbor_leaves_out_is_neutral_there_and_gold_in_the_other_reading() {
    let text = "<AGE>34</AGE> in <DATE>2019</DATE>, <LOCATION>Ohio</LOCATION>, \
                <PROFESSION>farmer</PROFESSION>, <AGE>93</AGE>";
    let found = [("34", Class::Age), ("2019", Class::Date), ("Ohio", Class::Location)];
    let strict = check(text, &found, STRICT);
    assert_eq!((strict.all().gold, strict.all().found), (1, 0));
    let broad = check(text, &found, Policy::I2b2);
    assert_eq!((broad.all().gold, broad.all().full, broad.all().right), (5, 3, 3));
}

#[test]
fn an_unlabelled_age_or_year_counts_against_nobody_under_safe_harbor() {
    let text = "a 34-year-old, since 2019, in Ohio; <DATE>1/2/19</DATE>";
    let found = [("34-year-old", Class::Date), ("2019", Class::Date), ("Ohio", Class::Location)];
    assert_eq!(check(text, &found, STRICT).all().found, 0);
    // A corpus that labels no years says nothing about years.
    assert_eq!(check(text, &found, Policy::I2b2).all().found, 0);
}

#[test]
fn the_year_of_a_date_may_stay_under_safe_harbor_alone() {
    let text = "on <DATE>April 12, 2023</DATE>";
    let found = [("April 12", Class::Date)];
    assert_eq!(check(text, &found, STRICT).all().full, 1);
    assert_eq!(check(text, &found, Policy::I2b2).all().leaked, 4);
    let day = "<DATE>Thu, March 13</DATE>";
    assert_eq!(check(day, &[("March 13", Class::Date)], STRICT).all().full, 1);
    let year = check(text, &[("2023", Class::Date)], STRICT).all();
    assert_eq!((year.touched, year.found, year.leaked), (0, 0, 7));
}

#[test]
fn what_is_found_where_nothing_stands_is_wrong_and_counted_by_words() {
    let text = "<NOT>Foley catheter</NOT> for <NAME>Ann</NAME>, <NOT>Bovie</NOT>";
    let tally = check(text, &[("Foley catheter", Class::Name)], STRICT);
    assert_eq!((tally.all().found, tally.all().right), (1, 0));
    assert_eq!((tally.words, tally.over_redacted), (5, 2));
    assert_eq!((tally.negatives, tally.negatives_touched), (2, 1));
}

#[test]
fn mistakes_are_listed_by_place() {
    let documents = read_marked("test", "=== one\n<NAME>Ann Lee</NAME>, <NOT>Bovie</NOT>").unwrap();
    let text = documents[0].text.expose();
    let found = [finding(text, "Ann", Class::Name), finding(text, "Bovie", Class::Name)];
    let mistakes = mistakes(&documents[0], &found, STRICT, &Scope::of(&documents));
    assert_eq!(mistakes.missed, [(0..7, Class::Name)]);
    assert_eq!(mistakes.wrong, [(9..14, Class::Name)]);
}

#[test]
fn what_nobody_judges_counts_for_nothing() {
    let text = "<MAY>Mercy</MAY> for <NAME>Ann</NAME>";
    assert_eq!(check(text, &[("Mercy", Class::Location)], STRICT).all().found, 0);
}

#[test]
fn partial_labels_measure_recall_alone() {
    let documents = read_marked("test", "=== one (partial)\n<NAME>Ann</NAME> and Bob").unwrap();
    let text = documents[0].text.expose();
    let found = [finding(text, "Bob", Class::Name)];
    let tally = score(&documents[0], &found, STRICT, &Scope::of(&documents));
    assert_eq!((tally.all().gold, tally.all().found, tally.words), (1, 0, 0));
}

#[test]
fn kinds_are_told_by_class_label_and_text() {
    use Kind::{AgeUnderNinety, Identifier, Organisation, Profession, RelativeDay, State, Year};
    for (class, sub, text, kind) in [
        (Class::Age, "", "34-year-old", AgeUnderNinety),
        (Class::Age, "", "92 y/o", Identifier),
        (Class::Age, "", "101 days", AgeUnderNinety),
        (Class::Age, "", "ninety-four", Identifier),
        (Class::Age, "AGE_GE90", "xx", Identifier),
        (Class::Date, "", "2019", Year),
        (Class::Date, "", "'98", Year),
        (Class::Date, "", "1990s", Year),
        (Class::Date, "", "May 2019", Identifier),
        (Class::Date, "", "06", Identifier),
        (Class::Date, "", "last Friday", RelativeDay),
        (Class::Date, "", "last July", Identifier),
        (Class::Location, "", "Ohio", State),
        (Class::Location, "", "the U.S.A.", State),
        (Class::Location, "", "in", Identifier),
        (Class::Location, "PID-11.4", "XX", State),
        (Class::Location, "PV1-3.4", "WARD", Identifier),
        (Class::Location, "Patient.address.state", "Mass", State),
        (Class::Location, "ORGANIZATION", "Chase", Organisation),
        (Class::Location, "ORGANIZATION", "Mercy Hospital", Identifier),
        (Class::Profession, "", "farmer", Profession),
        (Class::Name, "", "Ann", Identifier),
    ] {
        assert_eq!(Kind::of(class, Some(sub), text), kind, "{class} {sub} {text}");
    }
}

#[test]
fn annotated_lines_are_read_by_code_points() {
    let line = r#"{"id":"a","text":"né Ann","spans":[{"start":3,"end":6,"label":"NAME","text":"Ann"}],"complete":false,"style":"note","split":"test","meta":{"hard_negative":true},"negatives":[{"start":0,"end":2}]}"#;
    let documents = read_jsonl(&format!("{line}\n\n")).unwrap();
    let document = &documents[0];
    assert_eq!(document.spans[0].place, 4..7);
    assert_eq!(document.negatives[0], 0..3);
    assert_eq!((document.labels, document.decoy), (Labels::Partial, true));
    assert_eq!(document.style.as_deref(), Some("note"));
}

#[test]
fn a_wrong_line_is_told_by_number_and_never_by_value() {
    let check = |line: &str, expected: &str| {
        let message = read_jsonl(&format!("{{\"text\":\"\"}}\n{line}")).unwrap_err().to_string();
        assert!(message.starts_with("line 2: ") && message.contains(expected), "{message}");
        assert!(!message.contains("Zoltan"), "{message}");
    };
    let spans = |spans: &str| format!(r#"{{"text":"n\u00e9 Zoltan","spans":[{spans}]}}"#);
    check("{\"text\":\"Zoltan\"", "not JSON from column 16");
    check("[\"Zoltan\"]", "\"text\"");
    check(r#"{"text":7}"#, "\"text\"");
    check(r#"{"text":"x","spans":"Zoltan"}"#, "\"spans\" is not a list");
    check(&spans(r#"{"start":"Zoltan"}"#), "spans 1: \"start\" and \"end\"");
    check(&spans(r#"{"start":-1,"end":2}"#), "whole numbers");
    check(&spans(r#"{"start":3,"end":3}"#), "start 3 is not before end 3");
    check(&spans(r#"{"start":3,"end":10}"#), "end 10 lies behind the text, which has 9");
    check(&spans(r#"{"start":3,"end":9,"label":"Zoltan"}"#), "none of the labels");
    let early = r#"{"start":2,"end":8,"label":"NAME","text":"Zoltan"}"#;
    check(&spans(early), "is not what stands");
    let line =
        r#"{"text":"né Zoltan x","spans":[{"start":4,"end":10,"label":"NAME","text":"Zoltan"}]}"#;
    check(line, "they count bytes");
    let line =
        r#"{"text":"😀 Zoltan x","spans":[{"start":3,"end":9,"label":"NAME","text":"Zoltan"}]}"#;
    check(line, "they count UTF-16 units");
}

#[test]
fn marks_are_taken_out_and_other_angles_stay() {
    let file = "a remark\n=== one\nBP <120, <given><NAME:given>Ann</NAME></given>\n\n=== two\nx <NOT>y</NOT>\n";
    let documents = read_marked("notes", file).unwrap();
    assert_eq!(documents[0].text.expose(), "BP <120, <given>Ann</given>");
    assert_eq!(documents[0].spans[0].place, 16..19);
    assert_eq!(documents[1].negatives[0], 2..3);
    assert_eq!((documents[1].id.as_str(), documents[1].style.as_deref()), ("two", Some("notes")));
}

#[test]
fn a_wrong_mark_is_told_by_its_line() {
    let check = |text: &str, problem: MarkProblem, line: usize| {
        let fault = read_marked("x", text).unwrap_err();
        assert_eq!((fault.problem, fault.line), (problem, line), "{text}");
    };
    check("=== a\n<NAME>x <SSN>y</SSN></NAME>", MarkProblem::Nested, 2);
    check("=== a\nx</NAME>", MarkProblem::NotOpen, 2);
    check("=== a\n<NAME>x</SSN>", MarkProblem::NotOpen, 2);
    check("=== a\n<NAME>x\n=== b\n", MarkProblem::NotClosed, 3);
    check("=== a\n<NAME></NAME>", MarkProblem::Empty, 2);
    check("=== \nx", MarkProblem::NoId, 1);
}

#[test]
fn one_seed_gives_one_report_whose_intervals_hold_the_value() {
    let hit = check("<NAME>Ann</NAME>", &[("Ann", Class::Name)], STRICT);
    let miss = check("<NAME>Ann</NAME>", &[], STRICT);
    let tallies: Vec<Tally> =
        (0..50).map(|n| if n % 5 == 0 { miss.clone() } else { hit.clone() }).collect();
    let settings = Settings { resamples: 400, seed: 1 };
    let report = Report::of(&tallies, settings);
    assert_eq!(report, Report::of(&tallies, settings));
    let full = report.all.full.unwrap();
    assert!((full.value - 0.8).abs() < 1e-9);
    assert!(full.low > 0.6 && full.low < 0.75 && full.high > 0.85 && full.high < 0.95, "{full:?}");
    assert_eq!(report.classes.len(), 1);
}

#[test]
fn a_score_without_failures_still_has_an_interval() {
    let hit = check("<NAME>Ann</NAME>", &[("Ann", Class::Name)], STRICT);
    let full = Report::of(&vec![hit; 10], Settings::default()).all.full.unwrap();
    // Ten documents without a failure leave room for about three in ten.
    assert!(full.low > 0.69 && full.low < 0.70, "{full:?}");
}

#[test]
fn tables_line_up() {
    let hit = check("<NAME>Ann</NAME>", &[("Ann", Class::Name)], STRICT);
    let plan = check("<HEALTH_PLAN_ID>A1</HEALTH_PLAN_ID>", &[("A1", Class::HealthPlanId)], STRICT);
    let report = Report::of(&[hit.clone(), plan], Settings::default());
    let table = Table::classes(&report, Detail::Narrow);
    let lines = table.plain();
    assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    let report = Report::of(&[hit], Settings::default());
    let summary = Table::summary("corpus", &[("a", &report)], Detail::Wide);
    assert_eq!(summary.rows[0][..4], ["a", "1", "1", "1.000 (.025-1.000)"]);
}
