use super::{Logged, syslog};
use expect_test::{Expect, expect, expect_file};
use gate::rules::LineFormat;
use ledger::tree::leaf_hash;
use ledger::{Event, Record};
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use testkit::records;

const FORMATS: [LineFormat; 4] =
    [LineFormat::Jsonl, LineFormat::Ocsf, LineFormat::Cef, LineFormat::Fhir];

fn logged(event: Event) -> Logged {
    Logged::parse(records::record(7, event).to_bytes()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn kind(event: &Event) -> String {
    let record = json(&String::from_utf8(records::record(7, event.clone()).to_bytes()).unwrap());
    record["kind"].as_str().unwrap().to_owned()
}

/// The fields of a CEF line, with their escapes undone.
fn cef(line: &str) -> BTreeMap<String, String> {
    let mut parts = line.splitn(8, '|');
    let header: Vec<&str> = parts.by_ref().take(7).collect();
    assert_eq!(header[..3], ["CEF:0", "Bulla", "Bulla"], "{line}");
    let mut fields = BTreeMap::new();
    fields.insert("(kind)".to_owned(), header[4].to_owned());
    let mut key = String::new();
    let mut word = String::new();
    let mut escaped = false;
    for character in parts.next().unwrap_or_default().chars() {
        let value = fields.entry(key.clone()).or_insert_with(String::new);
        match character {
            'n' if escaped => word.push('\n'),
            'r' if escaped => word.push('\r'),
            other if escaped => word.push(other),
            '\\' => {}
            '=' => {
                // The word before it was the next key.
                key = std::mem::take(&mut word);
            }
            ' ' => {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(&std::mem::take(&mut word));
            }
            other => word.push(other),
        }
        escaped = character == '\\' && !escaped;
    }
    let value = fields.entry(key).or_default();
    if !value.is_empty() {
        value.push(' ');
    }
    value.push_str(&word);
    fields.remove("");
    fields
}

/// Every string of a value, with the place where it stands; numbers of list items are left out.
fn strings(value: &Value, at: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => out.push((at.to_owned(), text.clone())),
        Value::Array(items) => {
            for item in items {
                strings(item, at, out);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                out.push((format!("{at}/(key)"), key.clone()));
                strings(value, &format!("{at}/{key}"), out);
            }
        }
    }
}

#[test]
fn every_kind_is_one_line_in_every_format_and_names_its_place() {
    for event in records::every_kind() {
        let logged = logged(event);
        let (log, leaf) = (records::LOG.to_string(), logged.leaf.to_string());
        for format in FORMATS {
            let line = logged.line(format);
            assert!(!line.contains(['\n', '\r']), "{line}");
            assert!(line.contains(&log) && line.contains(&leaf), "{line}");
            let seq = match format {
                LineFormat::Jsonl => json(&line)["seq"].clone(),
                LineFormat::Ocsf => json(&line)["metadata"]["sequence"].clone(),
                LineFormat::Cef => json(&cef(&line)["cn1"]),
                LineFormat::Fhir => {
                    let entities = json(&line)["entity"].as_array().unwrap().clone();
                    let details = entities.last().unwrap()["detail"].as_array().unwrap().clone();
                    json(details[1]["valueString"].as_str().unwrap())
                }
            };
            assert_eq!(seq, 7, "{line}");
            let message = syslog::message(&logged, &line);
            assert!(message.contains(&format!("seq=\"7\" leaf=\"{leaf}\"")), "{message}");
            let frame = syslog::frame(&message);
            assert_eq!(frame.split_once(' ').unwrap(), (&*message.len().to_string(), &*message));
        }
    }
}

#[test]
fn the_manual_shows_lines_as_they_are() {
    const MANUAL: &str = include_str!("../../../../docs/feeds.md");
    let logged = logged(Event::AccessRefused { count: 12 });
    for format in FORMATS {
        let shown: Vec<&str> = MANUAL.lines().filter(|line| *line == logged.line(format)).collect();
        assert_eq!(shown.len(), 1, "{}", logged.line(format));
    }
    assert!(MANUAL.contains(&syslog::message(&logged, "")));
}

#[test]
fn phi_where_there_must_be_none_is_an_alert_in_every_format() {
    let alerts: Vec<Event> = records::every_kind()
        .into_iter()
        .filter(|event| event.about().is_some_and(|about| about.alert.is_some()))
        .collect();
    assert_eq!(alerts.len(), 2, "an intent and an outcome");
    for event in alerts {
        let logged = logged(event);
        let ocsf = json(&logged.line(LineFormat::Ocsf));
        assert_eq!(
            (&ocsf["severity_id"], &ocsf["is_alert"]),
            (&Value::from(4), &Value::from(true))
        );
        let line = logged.line(LineFormat::Cef);
        assert!(line.contains("|8|") && line.contains(" cat=alert no-phi-flow "), "{line}");
        let fhir = json(&logged.line(LineFormat::Fhir));
        let codes = fhir["subtype"].as_array().unwrap().iter().map(|it| &it["code"]);
        assert!(codes.into_iter().any(|code| code == "110113"));
    }
}

#[test]
fn a_json_line_holds_the_record_to_the_byte() {
    for event in records::every_kind() {
        let bytes = records::record(7, event).to_bytes();
        let line = super::write_line(&bytes, LineFormat::Jsonl).unwrap();
        let (_, rest) = line.split_once("\"record\":").unwrap();
        let (record, _) = rest.rsplit_once(",\"seq\":").unwrap();
        assert_eq!(record.as_bytes(), bytes);
        assert_eq!(json(&line)["leaf"], leaf_hash(&bytes).to_string());
    }
    assert!(super::write_line(b"{}", LineFormat::Jsonl).is_err());
}

#[test]
fn a_syslog_message_has_a_header_and_structured_data() {
    let check = |event, expected: Expect| {
        expected.assert_eq(&syslog::message(&logged(event), "(line)"));
    };
    check(
        Event::AccessRefused { count: 12 },
        expect![[
            r#"<108>1 2026-11-23T09:00:00.000000Z dep_11111111111111111111111111111111 bulla - access.refused [meta sequenceId="8"][bulla@32473 log="bulla/dep_11111111111111111111111111111111/ten_22222222222222222222222222222222" seq="7" leaf="202d7e6a277b076b933ffa0f600a70c33cc207a7f6d0171955698584f4d7e183"] (line)"#
        ]],
    );
    check(
        records::every_kind().remove(6),
        expect![[
            r#"<109>1 2026-11-23T09:00:00.000000Z dep_11111111111111111111111111111111 bulla - audit.exported [meta sequenceId="8"][bulla@32473 log="bulla/dep_11111111111111111111111111111111/ten_22222222222222222222222222222222" seq="7" leaf="a7494f7aa94a407b287b725cf3828b7a6f2b3cac262030079934c90f946d1b99"] (line)"#
        ]],
    );
    let far = records::record(2_147_483_647, Event::AccessRefused { count: 1 });
    let message = syslog::message(&Logged::parse(far.to_bytes()).unwrap(), "");
    assert!(message.contains("sequenceId=\"1\""), "it counts from 1 again: {message}");
}

/// All kinds, one under the other.
fn all(write: impl Fn(&Logged) -> String) -> String {
    let lines = records::every_kind().into_iter().map(|event| write(&logged(event)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_record_in_cef() {
    let short = |logged: &Logged| {
        let line = logged.line(LineFormat::Cef);
        let leaf = logged.leaf.to_string();
        line.replace(&leaf, "LEAF").replace(&records::LOG.to_string(), "LOG")
    };
    expect_file!["expected/cef.txt"].assert_eq(&all(short));
}

/// Takes members out that every event has.
fn without(mut value: Value, common: &[&str]) -> Value {
    let members: &mut Map<String, Value> = value.as_object_mut().unwrap();
    for key in common {
        drop(members.remove(*key));
    }
    value
}

#[test]
fn a_record_in_ocsf() {
    let short = |logged: &Logged| {
        let event = json(&logged.line(LineFormat::Ocsf));
        assert_eq!(event["unmapped"]["record"], json(&String::from_utf8_lossy(&logged.bytes)));
        without(event, &["metadata", "unmapped", "time", "category_uid", "type_uid"]).to_string()
    };
    expect_file!["expected/ocsf.txt"].assert_eq(&all(short));
    let whole = logged(records::every_kind().remove(10)).line(LineFormat::Ocsf);
    expect_file!["expected/ocsf.json"].assert_eq(&format!("{:#}", json(&whole)));
}

/// The codes and values of an audit event, without the words around them.
fn digest(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let code = |coding: &Value| {
        let system = text(&coding["system"]);
        format!("{}#{}", system.rsplit(['/', ':']).next().unwrap(), text(&coding["code"]))
    };
    let subtypes: Vec<String> = items(&event["subtype"]).iter().map(code).collect();
    let identifier = |what: &Value| {
        let system = text(&what["identifier"]["system"]);
        format!(
            "{}={}",
            system.trim_start_matches("urn:x-bulla:"),
            text(&what["identifier"]["value"])
        )
    };
    let mut out = format!(
        "{} {} {} outcome {}: {}",
        code(&event["type"]),
        subtypes.join(" "),
        text(&event["action"]),
        text(&event["outcome"]),
        text(&event["outcomeDesc"])
    );
    for agent in items(&event["agent"]) {
        let of = code(&agent["type"]["coding"][0]);
        let (who, address) = (identifier(&agent["who"]), text(&agent["network"]["address"]));
        write!(out, "\n    agent {of} {who} at {address} {}", text(&agent["name"])).unwrap();
    }
    let mut entities = items(&event["entity"]);
    // Every event has the place of its record.
    entities.pop();
    for entity in entities {
        let details = items(&entity["detail"]);
        let details =
            details.iter().map(|it| format!(" {}={}", text(&it["type"]), text(&it["valueString"])));
        let (of, what) = (code(&entity["type"]), identifier(&entity["what"]));
        write!(out, "\n    entity {of} {what}{}", details.collect::<String>()).unwrap();
    }
    out
}

#[test]
fn a_record_in_fhir() {
    expect_file!["expected/fhir.txt"]
        .assert_eq(&all(|logged| digest(&json(&logged.line(LineFormat::Fhir)))));
    let whole = logged(records::every_kind().remove(18)).line(LineFormat::Fhir);
    expect_file!["expected/fhir.json"].assert_eq(&format!("{:#}", json(&whole)));
}

/// Every text of a record that is neither an id, a hash, a time nor a word of a list, by its place.
fn free_texts(record: &Value) -> Vec<String> {
    let mut places = vec![(String::new(), record.clone())];
    let mut free = Vec::new();
    while let Some((at, value)) = places.pop() {
        match value {
            Value::Object(members) => places
                .extend(members.into_iter().map(|(key, value)| (format!("{at}/{key}"), value))),
            Value::Array(items) => places
                .extend(items.into_iter().enumerate().map(|(n, it)| (format!("{at}/{n}"), it))),
            Value::String(_) => {
                let mut other = record.clone();
                *other.pointer_mut(&at).unwrap() = Value::from("some other text");
                if serde_json::from_value::<Record>(other).is_ok() {
                    free.push(at);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    free.sort();
    free
}

/// A record of each kind in which each free text is `text(its number)`.
fn with_texts(text: impl Fn(usize) -> String) -> Vec<(Record, Vec<(String, String)>)> {
    records::every_kind()
        .into_iter()
        .map(|event| {
            let mut value = serde_json::to_value(records::record(7, event)).unwrap();
            let mut planted = Vec::new();
            for (number, place) in free_texts(&value).into_iter().enumerate() {
                let text = text(number);
                *value.pointer_mut(&place).unwrap() = Value::from(text.clone());
                planted.push((place, text));
            }
            (serde_json::from_value(value).unwrap(), planted)
        })
        .collect()
}

/// Which text of a record shows where in a line.
fn shown(format: LineFormat) -> String {
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (record, planted) in with_texts(|number| format!("planted{number}x")) {
        let name = kind(&record.event);
        let logged = Logged::parse(record.to_bytes()).unwrap();
        let line = logged.line(format);
        let mut found = Vec::new();
        match format {
            LineFormat::Cef => found.extend(cef(&line)),
            LineFormat::Jsonl | LineFormat::Ocsf | LineFormat::Fhir => {
                strings(&json(&line), "", &mut found);
            }
        }
        for (place, text) in planted {
            let field: String = place.split(|it: char| it.is_ascii_digit() && it != '_').collect();
            let rows = table.entry(format!("{name} {field}")).or_default();
            let at = found.iter().filter(|(_, value)| value.contains(&text));
            let at = at.map(|(at, _)| at).filter(|at| !at.starts_with("/unmapped/record"));
            rows.extend(at.cloned());
        }
    }
    let rows = table.into_iter().map(|(field, places)| {
        let mut places: Vec<String> = places.into_iter().collect();
        if places.is_empty() {
            places.push("-".to_owned());
        }
        format!("{field}: {}", places.join(" "))
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_text_of_a_record_shows_in_these_fields_of_an_ocsf_event_and_in_no_other() {
    expect_file!["expected/ocsf-texts.txt"].assert_eq(&shown(LineFormat::Ocsf));
}

#[test]
fn a_text_of_a_record_shows_in_these_fields_of_a_cef_event_and_in_no_other() {
    expect_file!["expected/cef-texts.txt"].assert_eq(&shown(LineFormat::Cef));
}

#[test]
fn a_text_of_a_record_shows_in_these_fields_of_an_audit_event_and_in_no_other() {
    expect_file!["expected/fhir-texts.txt"].assert_eq(&shown(LineFormat::Fhir));
}

/// What readers of lines stumble over.
fn odd_text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "|",
        "=",
        "\\",
        "\"",
        "\n",
        "\r\n",
        "]",
        "[",
        "\u{2028}",
        "\u{85}",
        "\u{0}",
        "\u{1b}[2J",
        "CEF:0|",
        "<1>1 ",
        "\u{1f9ea}",
        "e\u{301}",
        " ",
        "a=b c=d",
        "{",
        "}",
        "\\n",
    ]);
    let piece = prop_oneof![odd.prop_map(str::to_owned), "[ -~]{0,8}", any::<String>()];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_a_record_says_its_line_is_one_line_and_well_formed(text in odd_text()) {
        for (record, _) in with_texts(|number| format!("{text}{number}")) {
            let logged = Logged::parse(record.to_bytes()).unwrap();
            for format in FORMATS {
                let line = logged.line(format);
                prop_assert!(!line.contains(['\n', '\r']), "{line}");
                if format == LineFormat::Cef {
                    prop_assert!(!line.contains(char::is_control), "{line:?}");
                    prop_assert_eq!(line.split('|').nth(4).unwrap(), kind(&record.event));
                    // Whatever a value holds, no key comes of it.
                    let plain = Logged::parse(with_plain_texts(&record).to_bytes()).unwrap();
                    let keys = |line: &str| cef(line).into_keys().collect::<Vec<_>>();
                    prop_assert_eq!(keys(&line), keys(&plain.line(format)), "{}", line);
                } else {
                    prop_assert!(json(&line).is_object());
                }
                let message = syslog::message(&logged, &line);
                let header = message.split_once("\"] ").unwrap().0;
                prop_assert!(header.is_ascii(), "{header}");
            }
        }
    }
}

/// The same record with plain texts.
fn with_plain_texts(record: &Record) -> Record {
    let mut value = serde_json::to_value(record).unwrap();
    for place in free_texts(&value) {
        *value.pointer_mut(&place).unwrap() = Value::from("plain");
    }
    serde_json::from_value(value).unwrap()
}
