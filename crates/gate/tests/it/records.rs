//! What the records say of an exchange, and that they never hold a value.

use crate::answers::answer;
use crate::house::{DETECTOR, DISCLOSE, EMAIL, House, PHONE, REDACT, SSN, TOKENIZE, says};
use gate::exchange::StreamEnd;
use gate::prompt::{AnswerPart, Lane, StreamEvent};
use gate::shape::Shape;
use gate::{Code, Refusal};
use ledger::{Clock, CoverKind};
use phi::Text;
use phi::surrogate::Escape;
use std::collections::BTreeMap;

/// The treatment-independent part of the note: everything in it is planted.
fn note() -> String {
    format!("Contact SSN {SSN}, e-mail {EMAIL}, phone {PHONE}.")
}

const PLANTED: [&str; 3] = [SSN, EMAIL, PHONE];

fn assert_clean(shown: &str) {
    for value in PLANTED {
        assert!(!shown.contains(value), "{value} in {shown}");
    }
}

fn event(text: &str) -> StreamEvent {
    let lane = Lane { choice: 0, field: "content", call: 0 };
    StreamEvent {
        name: None,
        shape: Shape::Part(0),
        parts: vec![AnswerPart {
            lane: Some(lane),
            restore: Some(Escape::Plain),
            again: false,
            last: false,
            text: text.into(),
        }],
        received: Text::from(text),
        only_with_text: false,
        usage: None,
    }
}

#[tokio::test]
async fn no_record_and_no_debug_of_any_stage_holds_a_value() {
    for policy in [TOKENIZE, REDACT, DISCLOSE] {
        let house = House::new(policy);
        let body = says("local", &note());
        let scanned = house.scan(&body).unwrap();
        assert_clean(&format!("{scanned:?}"));
        let decision = house.decide(&scanned).unwrap();
        let cleared = scanned
            .clear(&decision, &house.rules, house.map(), house.clock.now(), &house.entropy)
            .unwrap();
        assert_clean(&format!("{cleared:?}"));
        let admitted = cleared.admit(&house.world()).await.unwrap();
        assert_clean(&format!("{admitted:?} {:?}", house.world()));
        let (outbound, departed) = admitted.depart();
        assert_clean(&format!("{outbound:?} {departed:?}"));
        let mut streaming = departed.stream(None);
        streaming.take(&event(&note())).unwrap();
        streaming.take(&event(outbound.body().expose())).unwrap();
        streaming.take(&event("[SSN_")).unwrap();
        assert_clean(&format!("{streaming:?}"));
        let window = streaming.release(&house.world()).await.unwrap();
        assert_clean(&format!("{window:?}"));
        streaming.take(&event(&note())).unwrap();
        let ended = streaming.end(StreamEnd::Complete, &DETECTOR);
        assert_clean(&format!("{ended:?}"));
        let released = house.commit(ended).await;
        assert_clean(&format!("{released:?} {:?}", released.outcome()));

        let answered = house.depart(&body).await.1.end(Ok(answer(&body)), &DETECTOR);
        assert_clean(&format!("{answered:?}"));
        house.record(answered).await;
        house.record(house.depart(&body).await.1.abandon()).await;
        let refusal = Refusal::fixed(Code::InvalidRequest, "No.");
        let refused = gate::exchange::Exchange::refused(
            House::caller(),
            house.question("local"),
            house.seal(),
            Text::from(body.as_str()),
            refusal,
        );
        assert_clean(&format!("{refused:?}"));
        house.record(refused).await;

        let records = house.journal.bytes();
        assert_eq!(records.len(), 7);
        for record in &records {
            assert_clean(std::str::from_utf8(record).unwrap());
        }
        for blob in house.journal.blobs() {
            assert_clean(&String::from_utf8_lossy(&blob.sealed));
        }
    }
}

#[tokio::test]
async fn the_intent_says_all_that_is_known_before_the_prompt_leaves() {
    let mut house = House::new(&[("redact", "SSN"), ("tokenize", "EMAIL"), ("allow", "PHONE")]);
    house.conversation = Some(ledger::ConversationId::from_bytes([3; 16]));
    let house = house.streaming();
    let (_, departed) = house.depart(&says("cloud", &format!("{} SSN {SSN}", note()))).await;
    let about = house.journal.intents().remove(0).about;
    assert_eq!(*departed.about(), about);
    assert_eq!(about.actor, House::caller().actor);
    assert_eq!(about.purpose.as_deref(), Some("treatment"));
    assert_eq!((about.surface.as_str(), about.api.as_str()), ("api", "chat.completions"));
    assert_eq!((about.stream, about.route.as_deref()), (true, Some("cloud")));
    assert_eq!(about.conversation, house.conversation);
    assert_eq!(about.policy, Some(house.rules.sha256()));
    assert_eq!(about.detector.as_deref(), Some(phi::Detector::NAME));
    let findings = [("EMAIL", 1), ("PHONE", 1), ("SSN", 2)];
    assert_eq!(about.findings, findings.map(|(class, n)| (class.to_owned(), n)).into());
    let treatments = [("EMAIL", "tokenized"), ("PHONE", "disclosed"), ("SSN", "redacted")];
    let treatments: BTreeMap<String, String> =
        treatments.map(|(class, it)| (class.to_owned(), it.to_owned())).into();
    assert_eq!(about.treatments, treatments);
    assert_eq!(about.decision.as_deref(), Some("redacted"));
    assert_eq!(about.rules, ["row-0", "row-1", "row-2"]);
    assert_eq!(about.destination.as_deref(), Some("cloud"));
    let path: Vec<_> =
        about.path.iter().map(|it| (it.hop.as_str(), it.by, it.id.as_deref())).collect();
    assert_eq!(
        path,
        [
            ("server", CoverKind::Inside, None),
            ("cloud-machines", CoverKind::Agreement, Some("baa"))
        ]
    );
    assert_eq!(about.prompt, Some(house.journal.blobs()[0].digest()));
}

#[tokio::test]
async fn the_outcome_repeats_what_the_intent_said() {
    let house = House::new(TOKENIZE);
    let (_, departed) = house.depart(&says("local", &note())).await;
    house.clock.advance(5);
    house.record(departed.end(Ok(answer(r#"{"content":"hello"}"#)), &DETECTOR)).await;
    assert_eq!(house.journal.outcomes()[0].about, house.journal.intents()[0].about);
    let times: Vec<_> = house.journal.records().iter().map(|it| it.time).collect();
    assert_eq!(times, [house.clock.now().plus_seconds(-5), house.clock.now()]);
}

#[tokio::test]
async fn each_exchange_has_its_own_name_and_points_to_its_own_intent() {
    let house = House::new(TOKENIZE);
    for _ in 0..2 {
        let (_, departed) = house.depart(&says("local", "good morning")).await;
        house.record(departed.abandon()).await;
    }
    let intents = house.journal.intents();
    assert_ne!(intents[0].about.exchange, intents[1].about.exchange);
    let pointers: Vec<_> = house.journal.outcomes().iter().map(|it| it.intent).collect();
    assert_eq!(pointers, [Some(0), Some(2)]);
    let sealed: Vec<_> = house.journal.blobs().iter().map(|it| it.exchange).collect();
    assert_eq!(sealed, [intents[0].about.exchange, intents[1].about.exchange]);
}
