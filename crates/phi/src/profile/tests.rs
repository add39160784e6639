use super::*;
use proptest::prelude::*;
use serde_json::Value;

const VISIT: &str = include_str!("../../../testkit/fixtures/minimum/visit.json");
const RESULT: &str = include_str!("../../../testkit/fixtures/minimum/result.hl7");
const PATHS: &str = include_str!("../../../testkit/fixtures/minimum/scribe.paths");

fn scribe() -> Profile {
    Profile::parse(&PATHS.lines().collect::<Vec<_>>()).unwrap()
}

fn left(text: &str, cuts: &Cuts) -> String {
    let mut out = String::new();
    let mut done = 0;
    for range in cuts.ranges() {
        out.push_str(&text[done..range.start]);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// What the profile leaves of a text, without the spaces, or that it is refused.
fn check(paths: &[&str], text: &str, expected: &str) {
    let left = match Profile::parse(paths).unwrap().cuts(text) {
        Ok(cuts) => left(text, &cuts),
        Err(Unread) => "unread".to_owned(),
    };
    assert_eq!(left, expected, "{text}");
}

/// Every path in a document, as profiles write them, each under the resource nearest above it.
fn paths(value: &Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let own = members.get("resourceType").and_then(Value::as_str);
            let path = own.unwrap_or(path);
            for (name, value) in members.iter().filter(|(name, _)| *name != "resourceType") {
                paths(value, &format!("{path}.{name}"), all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            all.insert(path.to_owned());
        }
    }
}

#[test]
fn a_scribe_gets_the_visit_and_not_the_person() {
    let cuts = scribe().cuts(VISIT).unwrap();
    let left: Value = serde_json::from_str(&left(VISIT, &cuts)).unwrap();
    let expected = serde_json::json!({
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            { "resource": { "resourceType": "Patient", "gender": "female" } },
            { "resource": {
                "resourceType": "Encounter",
                "status": "finished",
                "reasonCode": [{ "text": "shortness of breath on exertion" }],
            } },
            { "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": { "text": "Blood pressure" },
                "component": [
                    { "code": { "text": "systolic" },
                      "valueQuantity": { "value": 152, "unit": "mmHg" } },
                    { "code": { "text": "diastolic" },
                      "valueQuantity": { "value": 91, "unit": "mmHg" } },
                ],
            } },
        ],
    });
    assert_eq!(left, expected);
    let removed: Vec<String> =
        cuts.removed().iter().map(|(path, count)| format!("{path} {count}")).collect();
    assert_eq!(
        removed,
        [
            "Bundle.entry.fullUrl 2",
            "Bundle.id 1",
            "Coverage 1",
            "Encounter.class 1",
            "Encounter.id 1",
            "Encounter.subject 1",
            "Observation.effectiveDateTime 1",
            "Observation.id 1",
            "Observation.subject 1",
            "Patient.address 1",
            "Patient.birthDate 1",
            "Patient.id 1",
            "Patient.identifier 1",
            "Patient.name 1",
            "Patient.telecom 1",
        ]
    );
}

#[test]
fn of_a_message_the_named_fields_stay_under_their_numbers() {
    let cuts = scribe().cuts(RESULT).unwrap();
    assert_eq!(
        left(RESULT, &cuts),
        "MSH|^~\\&|||||||ORU^R01|||2.5.1\rPID||||||||F|||||||||||\r\
         OBR||||BMP^Basic metabolic panel|||\r\
         OBX|||K^Potassium||5.9|mmol/L|3.5-5.1|H||||||||\r"
    );
    assert_eq!(cuts.removed().get("PID-5"), Some(&1));
    assert_eq!(cuts.removed().get("NK1"), Some(&1));
    assert_eq!(cuts.removed().get("OBX-16"), Some(&1));
}

#[test]
fn prose_around_a_document_stays() {
    let gender = &["Patient.gender"];
    let patient = r#"{"resourceType":"Patient","id":"a","gender":"female"}"#;
    let told = r#"{"resourceType":"Patient","gender":"female"}"#;
    check(gender, "", "");
    check(gender, "no document { at all [", "no document { at all [");
    check(
        gender,
        &format!("Before {{}} it.\n```json\n{patient}\n```\nAfter, and again: {patient}!"),
        &format!("Before {{}} it.\n```json\n{told}\n```\nAfter, and again: {told}!"),
    );
    check(gender, &format!("[{patient},\n{patient}]"), &format!("[{told},\n{told}]"));
    check(
        gender,
        &format!(r#"{{"prefetch": {{"who": {patient}}}, "hook": "order"}}"#),
        &format!(r#"{{"prefetch": {{"who": {told}}}, "hook": "order"}}"#),
    );
    check(
        &["PID-8"],
        "Look:\nMSH|^~\\&|A\nPID|1||7||X^Y|||F\nNTE|1||said\n\nWhat is it?",
        "Look:\nMSH|^~\\&|\nPID||||||||F\n\nWhat is it?",
    );
}

#[test]
fn what_is_left_of_a_document_is_well_formed() {
    let two = &["Condition.code", "Condition.note"];
    check(two, r#"{"resourceType":"Condition"}"#, r#"{"resourceType":"Condition"}"#);
    check(two, r#"{"id":1,"resourceType":"Condition"}"#, r#"{"resourceType":"Condition"}"#);
    check(
        two,
        r#"{"id":1, "x":2, "code":{}, "y":[], "note":[3], "z":4, "resourceType":"Condition","w":0}"#,
        r#"{"code":{}, "note":[3], "resourceType":"Condition"}"#,
    );
    check(
        &["Patient.name.given"],
        r#"{"resourceType":"Patient","name":[{"family":"A"},{"given":["B"],"family":"C"},{"family":"D"}]}"#,
        r#"{"resourceType":"Patient","name":[{"given":["B"]}]}"#,
    );
    // What is not of the form that the path expects is not what the path names.
    check(
        &["Patient.name.given"],
        r#"{"resourceType":"Patient","name":"B","gender":"x"}"#,
        r#"{"resourceType":"Patient"}"#,
    );
    // A resource that the profile does not name leaves its place behind, so that no words around it
    // come together.
    check(two, r#"a{"resourceType":"Patient","id":"x"}b"#, "a{}b");
}

#[test]
fn a_resource_is_judged_by_its_own_type_wherever_it_stands() {
    check(
        &["Observation.contained", "Patient.gender"],
        r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","gender":"x"},{"resourceType":"Device","id":"d"}]}"#,
        r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient","gender":"x"}]}"#,
    );
    // In an entry there is a resource or nothing.
    check(
        &["Patient.gender"],
        r#"{"resourceType":"Bundle","entry":[{"resource":{"name":"A"}},{"resource":"B"},{"resource":[1]}]}"#,
        r#"{"resourceType":"Bundle"}"#,
    );
    check(
        &["Patient.gender"],
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","gender":"x","id":"y"}}]}}]}"#,
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","gender":"x"}}]}}]}"#,
    );
}

#[test]
fn what_looks_like_a_document_and_cannot_be_taken_apart_is_not_let_by() {
    let profile = &["Patient.gender", "Observation.note", "PID-8"];
    for text in [
        // Cut off, quoted once more, in the notation of another language, with a comment.
        r#"{"resourceType":"Patient","id":"a","#,
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a"}}"#,
        r#"{"arguments":"{\"resourceType\":\"Patient\",\"id\":\"a\"}"}"#,
        r#"["{\"resourceType\":\"Patient\"}", {"resourceType":"Patient"}]"#,
        "{'resourceType': 'Patient', 'id': 'a'}",
        "resourceType: Patient\nid: a",
        r#"{"resourceType":"Patient", /* why */ "id":"a"}"#,
        r#"{"resourceType":"Patient","id":"a",}"#,
        r#"{"\u0072esourceType":"Patient","id":"a","#,
        // As a word processor writes it, in other letters, with what is not seen.
        "{\u{201c}resourceType\u{201d}: \u{201c}Patient\u{201d}, \u{201c}id\u{201d}: \u{201c}a\u{201d}}",
        r#"{"ResourceType":"Patient","id":"a"}"#,
        "{\"resource\u{200b}Type\":\"Patient\",\"id\":\"a\"}",
        "P\u{2060}ID|1||7||X^Y",
        // Of two types, of none.
        r#"{"resourceType":"Patient","resourceType":"Observation","gender":"a"}"#,
        r#"{"resourceType":7,"id":"a"}"#,
        // A document inside a text that the profile lets by.
        r#"{"resourceType":"Observation","note":"{\"resourceType\":\"Patient\",\"id\":\"a\"}"}"#,
        r#"{"resourceType":"Observation","note":"MSH|^~\\&|A\rPID|1||7"}"#,
        // XML, and CDA.
        r#"<Patient xmlns="http://hl7.org/fhir"><id value="a"/></Patient>"#,
        r#"<ClinicalDocument xmlns="urn:hl7-org:v3"><title>A</title></ClinicalDocument>"#,
        // Messages without a beginning, in the middle of a line, with a field that goes on.
        "PID|1||7||X^Y",
        "It says MSH|^~\\&|A|B|C",
        "MSH|^~\\&|A\rPID|1||7||X^Y\rNTE|1||the first line\nand the second",
        "MSH|^~\\&|A\n\nPID|1||7",
    ] {
        check(profile, text, "unread");
    }
    let many = format!("{}\"resourceType\":1", "[1,".repeat(20_000));
    check(profile, &many, "unread");
    let deep = format!(r#"{}{{"resourceType":"Patient"}}{}"#, "[".repeat(80), "]".repeat(80));
    check(profile, &deep, &deep);
    let inside =
        format!(r#"{{"resourceType":"Observation","note":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
    check(profile, &inside, "unread");
}

#[test]
fn a_name_that_is_spelled_with_escapes_is_the_same_name() {
    check(
        &["Patient.gender"],
        r#"{"\u0072esourceType":"Pati\u0065nt","id":"a","gend\u0065r":"x"}"#,
        r#"{"\u0072esourceType":"Pati\u0065nt","gend\u0065r":"x"}"#,
    );
}

#[test]
fn no_name_that_a_caller_invented_is_written_down() {
    let text = r#"[{"resourceType":"JohnSample","a":1},{"resourceType":"Patient","johnSample":1,"gender":2}]"#;
    let cuts = Profile::parse(&["Patient.gender"]).unwrap().cuts(text).unwrap();
    let removed: Vec<_> = cuts.removed().keys().map(String::as_str).collect();
    assert_eq!(removed, ["Patient.other", "other"]);
    let message = "MSH|^~\\&|A\rBOB|1|2\r";
    let cuts = Profile::parse(&["PID"]).unwrap().cuts(message).unwrap();
    assert_eq!(cuts.removed().keys().collect::<Vec<_>>(), ["MSH-3", "other"]);
    // However many paths there are, a bounded number is said.
    let many = (0..500).map(|n| format!("|{n}")).collect::<Vec<_>>().concat();
    let message = format!("MSH|^~\\&|A\rPID{many}");
    let cuts = Profile::parse(&["PID-8"]).unwrap().cuts(&message).unwrap();
    assert!(cuts.removed().len() <= MAX_SAID + 1);
    assert_eq!(cuts.removed().values().sum::<u64>(), 500);
}

#[test]
fn a_path_is_one_of_two_forms_and_names_what_there_is() {
    let fails = |path: &str| Profile::parse(&[path]).err().map(|(_, bad)| bad);
    for path in ["Patient", "Patient.name.family", "Observation._value", "PID", "PID-8", "ZAB-1"] {
        assert_eq!(fails(path), None, "{path}");
    }
    for path in
        ["", "patient.name", "Patient.", "Patient..x", "Patient.na me", "PID-0", "PID-x", "PID-"]
    {
        assert!(fails(path).is_some(), "{path}");
    }
    assert_eq!(fails("Patiant.name"), Some(BadPath::Resource));
    let many = vec!["Patient"; MAX_PATHS + 1];
    assert_eq!(Profile::parse(&many).err().map(|(_, bad)| bad), Some(BadPath::TooMany));
}

#[test]
fn a_chart_is_counted_whole_or_broken() {
    let count = |text: &str| {
        let mut chart = Chart::default();
        chart.count(text);
        (chart.resources(), chart.types())
    };
    assert_eq!(count(VISIT), (5, 5));
    assert_eq!(count(&VISIT[..VISIT.len() / 2]), (3, 3));
    assert_eq!(count(&serde_json::to_string(VISIT).unwrap()), (5, 5));
    assert_eq!(count(RESULT), (5, 0));
    assert_eq!(count("The element resourceType says which type it is."), (0, 0));
    assert_eq!(count(r#"{"resourceType":"Abc"},{"resourceType":"Abd"}"#), (2, 1));
    assert_eq!(count("<ClinicalDocument xmlns='urn:hl7-org:v3'><entry>1</entry><entry/>"), (2, 0));
}

/// A value of JSON that has resources in it here and there.
fn documents() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zA-Z é\"\\\\,{}\\[\\]:|\\n]{0,12}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "id",
        "name",
        "gender",
        "entry",
        "resource",
        "note",
        "type",
        "contained",
        "given",
        "é\"",
    ]);
    let types = prop::sample::select(vec!["Patient", "Observation", "Bundle", "Device", "Nothing"]);
    scalar.prop_recursive(5, 48, 5, move |inner| {
        let members = prop::collection::btree_map(names.clone(), inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            (members, prop::option::of(types.clone())).prop_map(|(members, name)| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                let own = name.map(|name| ("resourceType".to_owned(), Value::from(name)));
                Value::Object(members.chain(own).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_profile_only_takes_away_and_leaves_nothing_that_it_does_not_name(
        document in documents(),
        pretty in any::<bool>(),
        (before, after) in ("[a-z ]{0,9}", "[a-z ]{0,9}"),
    ) {
        // Around resources everything is prose, so the document is one.
        let bundle = serde_json::json!({
            "resourceType": "Bundle", "entry": [{ "resource": document }], "total": 1,
        });
        let written = if pretty {
            serde_json::to_string_pretty(&bundle).unwrap()
        } else {
            bundle.to_string()
        };
        let listed = ["Patient.gender", "Patient.name.given", "Observation.note", "Observation.contained"];
        let profile = Profile::parse(&listed).unwrap();
        let text = format!("{before}{written}{after}");
        let cuts = profile.cuts(&text).unwrap();
        prop_assert!(cuts.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
        let left = left(&text, &cuts);
        prop_assert!(left.starts_with(&before) && left.ends_with(&after));
        let inner = &left[before.len()..left.len() - after.len()];
        let inner: Value = serde_json::from_str(inner).unwrap();
        let mut there = BTreeSet::new();
        paths(&inner, "", &mut there);
        for path in there {
            let named = listed.iter().any(|listed| {
                path == *listed || path.starts_with(&format!("{listed}."))
            });
            prop_assert!(named || path == "Bundle.type" || path.starts_with("Bundle.type."), "{path}");
        }
        // Once more takes nothing more.
        prop_assert!(profile.cuts(&left).unwrap().ranges().is_empty());
    }

    #[test]
    fn no_text_makes_a_profile_panic_or_cut_outside_of_it(
        text in "(\\{|\\}|\\[|\\]|\"|:|,|resourceType|Patient|gender|MSH\\|\\^~\\\\&|PID|\\||\\r|\\n|é|1| ){0,60}",
    ) {
        if let Ok(cuts) = scribe().cuts(&text) {
            let mut done = 0;
            for range in cuts.ranges() {
                prop_assert!(range.start >= done && range.start < range.end);
                prop_assert!(text.get(range.clone()).is_some());
                done = range.end;
            }
            prop_assert!(done <= text.len());
        }
    }
}
