//! A whole answer: restored, scanned, sealed, recorded.

use crate::house::{
    DETECTOR, EMAIL, House, OTHER_EMAIL, OTHER_SSN, SSN, TOKENIZE, answer_text, said, says,
    surrogates,
};
use gate::prompt::{Answer, AnswerPart};
use gate::shape::{Json, Key, Shape};
use ledger::{BlobPart, Hash, ReplyContent, Usage};
use phi::Text;
use phi::surrogate::{Escape, SurrogateMap};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Takes an answer apart: every string and every name is a part; under `arguments` values are
/// written with JSON escaping.
pub(crate) fn answer(document: &str) -> Answer {
    let mut parts = Vec::new();
    let shape = take(Json::parse(document.as_bytes()).unwrap(), Escape::Plain, &mut parts);
    Answer {
        shape,
        parts,
        received: Text::from(document),
        usage: Some(Usage { prompt: 5, completion: 7 }),
        upstream_request: Some("req_9".into()),
    }
}

fn take(json: Json, escape: Escape, parts: &mut Vec<AnswerPart>) -> Shape {
    let mut part = |text: Text| {
        parts.push(AnswerPart {
            lane: None,
            restore: Some(escape),
            last: true,
            again: false,
            text,
        });
        parts.len() - 1
    };
    match json {
        Json::Null => Shape::Null,
        Json::Bool(value) => Shape::Bool(value),
        Json::Number(number) => Shape::Number(number),
        Json::Text(text) => Shape::Part(part(text)),
        Json::List(items) => {
            Shape::List(items.into_iter().map(|item| take(item, escape, parts)).collect())
        }
        Json::Map(members) => {
            let mut shape = Vec::new();
            for (name, value) in members {
                let inner = if name.expose() == "arguments" { Escape::Json } else { escape };
                let value = take(value, inner, parts);
                parts.push(AnswerPart {
                    lane: None,
                    restore: Some(escape),
                    last: true,
                    again: false,
                    text: name,
                });
                shape.push((Key::Part(parts.len() - 1), value));
            }
            Shape::Map(shape)
        }
    }
}

/// Sends `text`, answers with what `reply` makes of the surrogates that left, and returns what the
/// caller gets with the record.
async fn exchange(
    text: &str,
    reply: impl Fn(&[String]) -> String,
) -> (House, Value, ledger::Outcome) {
    let house = House::new(TOKENIZE);
    let (outbound, departed) = house.depart(&says("local", text)).await;
    let document = reply(&surrogates(&said(&outbound)));
    let released = house.commit(departed.end(Ok(answer(&document)), &DETECTOR)).await;
    let delivered = serde_json::from_str(answer_text(released.outcome().0)).unwrap();
    let record = house.journal.outcomes().remove(0);
    (house, delivered, record)
}

#[tokio::test]
async fn every_value_comes_back_in_its_own_place() {
    let text = format!("SSN {SSN} e-mail {EMAIL}; SSN {OTHER_SSN} e-mail {OTHER_EMAIL}");
    let reply = |t: &[String]| {
        json!({ "b": [format!("{}/{}", t[3], t[2])], "a": { "x": t[1], (t[0].clone()): 1 } })
            .to_string()
    };
    let (_, delivered, record) = exchange(&text, reply).await;
    let expected =
        json!({ "b": [format!("{OTHER_EMAIL}/{OTHER_SSN}")], "a": { "x": EMAIL, SSN: 1 } });
    assert_eq!(delivered, expected);
    assert_eq!((record.outcome.as_str(), record.code, record.intent), ("answered", None, Some(0)));
}

#[tokio::test]
async fn the_record_says_what_was_restored_and_found() {
    let reply = |t: &[String]| json!({ "content": format!("{} {}", t[0], t[0]) }).to_string();
    let (house, delivered, record) = exchange(&format!("SSN {SSN}"), reply).await;
    assert_eq!(delivered, json!({ "content": format!("{SSN} {SSN}") }));
    let blobs = house.journal.blobs();
    let window = blobs.iter().find(|it| it.part == BlobPart::Window(0)).unwrap();
    let expected = ReplyContent {
        windows: 1,
        digest: Hash::of(window.digest().as_bytes()),
        bytes: delivered.to_string().len() as u64,
        restored: 2,
        unknown: 0,
        findings: BTreeMap::from([("SSN".into(), 2)]),
    };
    assert_eq!(record.reply, Some(expected));
    assert_eq!(record.usage, Some(Usage { prompt: 5, completion: 7 }));
    assert_eq!(record.upstream_request.as_deref(), Some("req_9"));
    let content = house.content(BlobPart::Window(0));
    assert_eq!(content["delivered"], delivered.to_string());
    assert!(content["received"].as_str().unwrap().contains("[SSN_"));
}

#[tokio::test]
async fn an_answer_that_did_not_change_is_sealed_once() {
    let (house, _, record) = exchange("good morning", |_| r#"{"content":"hello"}"#.into()).await;
    assert_eq!(house.content(BlobPart::Window(0)), json!({ "received": r#"{"content":"hello"}"# }));
    let reply = record.reply.unwrap();
    assert_eq!((reply.restored, reply.unknown, reply.findings.len()), (0, 0, 0));
}

#[tokio::test]
async fn unknown_and_mangled_surrogates_stay_visible_and_are_counted() {
    let mangled = |t: &[String]| format!("{} {} x{}", t[0].to_lowercase(), &t[0][..9], &t[0][1..]);
    let reply = |t: &[String]| {
        json!({ "content": format!("[SSN_00000000] {} {}", mangled(t), t[0]) }).to_string()
    };
    let (house, delivered, record) = exchange(&format!("SSN {SSN}"), reply).await;
    let token =
        house.content(BlobPart::Prompt)["surrogates"].as_object().unwrap().keys().next().cloned();
    let left = mangled(&[token.unwrap()]);
    assert_eq!(delivered, json!({ "content": format!("[SSN_00000000] {left} {SSN}") }));
    let reply = record.reply.unwrap();
    assert_eq!((reply.restored, reply.unknown), (1, 1));
}

#[tokio::test]
async fn a_look_alike_comes_back_exactly() {
    let text = format!("[NAME_7K3QF9ZD] is no [SSN_00000000] but SSN {SSN}");
    let house = House::new(TOKENIZE);
    let (outbound, departed) = house.depart(&says("local", &text)).await;
    let sent = said(&outbound);
    assert!(!sent.contains("[NAME_7K3QF9ZD]") && !sent.contains("[SSN_00000000]"), "{sent}");
    let document = json!({ "content": sent }).to_string();
    let released = house.commit(departed.end(Ok(answer(&document)), &DETECTOR)).await;
    assert_eq!(answer_text(released.outcome().0), json!({ "content": text }).to_string());
}

/// A value with everything that JSON escapes, from an earlier turn of the conversation.
const AWKWARD: &str = "Bo \"Red\"\n\\Diaz\\\t\u{1}\u{7f} é\u{2028}😀 / {}";

#[tokio::test]
async fn arguments_stay_json_whatever_the_value_holds() {
    let house = House::new(TOKENIZE);
    let mut map = SurrogateMap::new();
    map.remember(&format!("[NAME_00000001]\nNAME\n{AWKWARD}")).unwrap();
    let cleared = house.clear(&says("local", "good morning"), map).unwrap();
    let (_, departed) = cleared.admit(&house.world()).await.unwrap().depart();
    let arguments = r#"{"name":"[NAME_00000001]","list":["x [NAME_00000001] y"],"n":1.50}"#;
    let document = json!({ "call": { "arguments": arguments }, "content": "[NAME_00000001]" });
    let released = house.commit(departed.end(Ok(answer(&document.to_string())), &DETECTOR)).await;
    let delivered: Value = serde_json::from_str(answer_text(released.outcome().0)).unwrap();
    assert_eq!(delivered["content"], AWKWARD);
    let arguments = delivered["call"]["arguments"].as_str().unwrap();
    assert!(arguments.ends_with(r#""n":1.50}"#), "{arguments}");
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments["name"], AWKWARD);
    assert_eq!(arguments["list"][0], format!("x {AWKWARD} y"));
    assert_eq!(house.journal.outcomes()[0].reply.as_ref().unwrap().restored, 3);
}

#[tokio::test]
async fn an_answer_that_was_kept_is_restored_and_recorded_and_nothing_left() {
    let body = says("local", &format!("SSN {SSN}, e-mail {EMAIL}"));
    let house = House::new(TOKENIZE);
    let (outbound, departed) = house.depart(&body).await;
    let document = json!({ "say": said(&outbound) }).to_string();
    let entries = departed.surrogates_in(&Text::from(&*document));
    assert_eq!(entries.len(), 2);
    assert!(departed.surrogates_in(&Text::from("nothing")).is_empty());
    house.record(departed.end(Ok(answer(&document)), &DETECTOR)).await;

    let house = House::new(TOKENIZE);
    let cleared = house.clear(&body, house.map()).unwrap();
    assert_eq!(cleared.called(), gate::rules::Api::ChatCompletions);
    let mut map = SurrogateMap::new();
    for entry in &entries {
        map.remember(entry.expose()).unwrap();
    }
    let again = Answer { usage: None, upstream_request: None, ..answer(&document) };
    let released = house.commit(cleared.answer_again(again, &map, &DETECTOR)).await;
    assert_eq!(released.outcome().0.name(), "cached");
    let said: Value = serde_json::from_str(answer_text(released.outcome().0)).unwrap();
    assert_eq!(said["say"], format!("SSN {SSN}, e-mail {EMAIL}"));
    assert!(house.journal.intents().is_empty());
    let [outcome] = &house.journal.outcomes()[..] else { panic!("one outcome") };
    assert_eq!((outcome.outcome.as_str(), outcome.intent, outcome.usage), ("cached", None, None));
    let reply = outcome.reply.as_ref().unwrap();
    assert_eq!((reply.windows, reply.restored, reply.findings.len()), (1, 2, 2));
    assert_eq!(outcome.about.decision.as_deref(), Some("tokenized"));
    // What would have left is no part of what is kept, because it did not.
    let content = house.content(BlobPart::Prompt);
    assert_eq!((&content["left"], &content["surrogates"]), (&Value::Null, &json!({})));
    house.assert_keyed();
}
