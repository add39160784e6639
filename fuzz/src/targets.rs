//! What each target does with any bytes. The workspace runs the same functions over generated inputs
//! (`crates/phi/tests/it/hostile.rs`), so that they stay true where there is no fuzzer.
//!
//! The parsers of structure and dates are reached through the detector, behind what leads into them:
//! they have no other door.

use phi::measure::{Labels, Policy, Scope, mistakes, read_jsonl, read_marked, score};
use phi::{Class, Confidence, Detector, Finding, Part};
use std::sync::LazyLock;

/// A target and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their binaries.
pub(crate) const TARGETS: &[Target] = &[
    ("detector", detector),
    ("json", json),
    ("xml", xml),
    ("hl7", hl7),
    ("x12", x12),
    ("table", table),
    ("form", form),
    ("date", date),
    ("parts", parts),
    ("annotated", annotated),
    ("marked", marked),
];

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

/// Any text.
fn detector(bytes: &[u8]) {
    scan(&text(bytes), None);
}

/// Inside JSON, as it is and as the value of a field.
fn json(bytes: &[u8]) {
    let text = text(bytes);
    scan(&format!("{{\"name\":[{{\"family\":\"{text}\",\"given\":[\"{text}"), None);
    scan(&format!("[[{{{text}}}]]"), None);
}

/// Inside XML, as content and as an attribute.
fn xml(bytes: &[u8]) {
    let text = text(bytes);
    scan(&format!("<Patient><name><family>{text}</family><birthTime value=\"{text}\"/>"), None);
}

/// After the header of an HL7 v2 message, whose separators are the input's first bytes.
fn hl7(bytes: &[u8]) {
    let text = text(bytes);
    scan(&format!("MSH|^~\\&|{text}\rPID|1||{text}\rOBX|1|TX|||{text}"), None);
    scan(&format!("MSH{text}"), None);
}

/// Inside an X12 interchange.
fn x12(bytes: &[u8]) {
    scan(&format!("ISA*00*~NM1*IL*1*{}~N3*1 LANE~", text(bytes)), None);
}

/// Below the head of a table, with several separators.
fn table(bytes: &[u8]) {
    let text = text(bytes);
    for separator in [',', ';', '\t', '|'] {
        let head = ["name", "dob", "mrn", "phone"].join(&separator.to_string());
        scan(&format!("{head}\n{text}\n{text}"), None);
    }
}

/// As a form with labels, and as the value of each kind of field.
fn form(bytes: &[u8]) {
    let text = text(bytes);
    scan(&format!("Patient Name: {text}\nDOB: {text}  MRN: {text}"), None);
    for label in ["name", "family", "address", "note", "value", "id"] {
        scan(&text, Some(label));
    }
}

/// Where a date is expected.
fn date(bytes: &[u8]) {
    let text = text(bytes);
    scan(&format!("DOB: {text}"), None);
    scan(&format!("seen on {text} and on {text}, {text}"), None);
    scan(&text, Some("birthDate"));
}

/// Cut into parts that are scanned together: none is lost, and an empty one changes nothing.
fn parts(bytes: &[u8]) {
    let text = text(bytes);
    let pieces: Vec<&str> = text.split('\n').collect();
    let parts: Vec<Part<'_>> = pieces.iter().map(|text| Part { text, label: None }).collect();
    let Ok(lists) = DETECTOR.scan(&parts) else { return };
    assert_eq!(lists.len(), parts.len());
    for (list, piece) in lists.iter().zip(&pieces) {
        sound(piece, list);
    }
    let mut more = vec![Part { text: "", label: None }];
    more.extend(parts);
    let again = DETECTOR.scan(&more).unwrap_or_default();
    assert!(again.iter().skip(1).eq(lists.iter()), "an empty part changes what is found");
}

/// The reader of annotated lines, and the scorer on what it read.
fn annotated(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(documents) = read_jsonl(&text) else { return };
    scores(&documents);
}

/// The reader of marked documents, and the scorer on what it read.
fn marked(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(documents) = read_marked("fuzz", &format!("=== one\n{text}")) else { return };
    scores(&documents);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scan(text: &str, label: Option<&str>) {
    let part = Part { text, label };
    let Ok(lists) = DETECTOR.scan(&[part]) else { return };
    let [found] = lists.as_slice() else { panic!("one list for one part") };
    sound(text, found);
    let again = DETECTOR.scan(&[part]).unwrap_or_default();
    assert!(again.first() == Some(found), "two scans of one text differ");
}

/// Findings are sorted, disjoint, not empty, and cut no character.
fn sound(text: &str, found: &[Finding]) {
    let mut end = 0;
    for finding in found {
        assert!(end <= finding.start && finding.start < finding.end, "sorted and disjoint");
        let value = text.get(finding.start..finding.end);
        assert!(value.is_some(), "on character boundaries, within the text");
        end = finding.end;
    }
}

/// No score says more than there is, and a detector that finds just what is labelled misses nothing.
fn scores(documents: &[phi::measure::Document]) {
    let scope = Scope::of(documents);
    for document in documents {
        let gold: Vec<Finding> = document
            .spans
            .iter()
            .map(|span| finding(span.place.start, span.place.end, span.class))
            .collect();
        let whole = [finding(0, document.text.len(), Class::OtherId)];
        for policy in Policy::ALL {
            let tally = score(document, &gold, policy, &scope);
            let all = tally.all();
            assert!(all.full == all.gold && all.leaked == 0, "what is labelled is found");
            assert!(mistakes(document, &gold, policy, &scope).missed.is_empty());
            assert!(all.right <= all.found && all.found <= gold.len());
            assert!(tally.over_redacted <= tally.words);
            assert!(tally.negatives_touched <= tally.negatives);
            if document.labels == Labels::Partial {
                assert_eq!(all.found, 0, "precision is not measured on partial labels");
            }
            let all = score(document, &[], policy, &scope).all();
            assert!(all.leaked == all.characters && all.touched == 0);
            if !document.text.is_empty() {
                let all = score(document, &whole, policy, &scope).all();
                assert_eq!(all.leaked, 0, "who covers everything leaks nothing");
            }
        }
    }
}

fn finding(start: usize, end: usize, class: Class) -> Finding {
    let confidence = Confidence::percent(50);
    Finding { start, end, class, confidence, recogniser: "fuzz", why: "fuzz" }
}
