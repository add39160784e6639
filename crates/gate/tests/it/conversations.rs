//! Surrogates over the turns of a conversation, and the sealed prompt.

use crate::house::{EMAIL, House, LOG, SSN, TOKENIZE, said, says, surrogates};
use gate::exchange::surrogate_binding;
use ledger::{BlobPart, Clock, ContentClass, ConversationId};
use serde_json::json;

const FIRST: ConversationId = ConversationId::from_bytes([7; 16]);
const SECOND: ConversationId = ConversationId::from_bytes([8; 16]);

/// Sends `text` in a conversation and returns the surrogates that left.
async fn sent(house: &House, text: &str) -> Vec<String> {
    let (outbound, departed) = house.depart(&says("local", text)).await;
    house.record(departed.abandon()).await;
    surrogates(&said(&outbound))
}

#[tokio::test]
async fn a_value_keeps_its_surrogate_over_the_turns_of_a_conversation() {
    let mut house = House::new(TOKENIZE);
    house.conversation = Some(FIRST);
    let first = sent(&house, &format!("SSN {SSN}")).await;
    let second = sent(&house, &format!("e-mail {EMAIL}, SSN {SSN}, SSN {SSN}")).await;
    assert_eq!(second[1..], [first[0].clone(), first[0].clone()]);

    let used: Vec<_> = house
        .journal
        .intents()
        .iter()
        .map(|it| (it.surrogates.minted, it.surrogates.read))
        .collect();
    assert_eq!(used, [(1, 0), (1, 2)]);
    // What an earlier turn minted is not stored again.
    assert_eq!(house.journal.surrogates().len(), 2);
}

#[tokio::test]
async fn surrogates_of_two_conversations_have_nothing_in_common() {
    let mut house = House::new(TOKENIZE);
    house.conversation = Some(FIRST);
    let first = sent(&house, &format!("SSN {SSN}")).await;
    house.conversation = Some(SECOND);
    let second = sent(&house, &format!("SSN {SSN}")).await;
    assert_ne!(first, second);
    let stored = house.journal.surrogates();
    assert_eq!(stored.iter().map(|it| it.conversation).collect::<Vec<_>>(), [FIRST, SECOND]);
}

#[tokio::test]
async fn a_surrogate_is_sealed_for_its_conversation_and_expires_after_30_days() {
    let mut house = House::new(TOKENIZE);
    house.conversation = Some(FIRST);
    let tokens = sent(&house, &format!("SSN {SSN}")).await;
    let stored = &house.journal.surrogates()[0];
    assert_eq!(stored.expires, house.clock.now().plus_seconds(30 * 86_400));
    let entry = house
        .keys
        .key(ContentClass::Surrogates)
        .open_small(&surrogate_binding(LOG, FIRST), &stored.sealed)
        .unwrap();
    assert_eq!(*entry, format!("{}\nSSN\n{SSN}", tokens[0]).into_bytes());
    assert!(
        house
            .keys
            .key(ContentClass::Surrogates)
            .open_small(&surrogate_binding(LOG, SECOND), &stored.sealed)
            .is_err()
    );
    assert!(!stored.sealed.windows(SSN.len()).any(|bytes| bytes == SSN.as_bytes()));
}

#[tokio::test]
async fn without_a_conversation_no_surrogate_is_kept() {
    let house = House::new(TOKENIZE);
    sent(&house, &format!("SSN {SSN}")).await;
    assert_eq!(house.journal.intents()[0].surrogates.minted, 1);
    assert!(house.journal.surrogates().is_empty());
}

#[tokio::test]
async fn the_sealed_prompt_says_what_was_written_what_left_and_what_was_found() {
    let house = House::new(TOKENIZE);
    let body = says("local", &format!("SSN {SSN}"));
    let (outbound, _) = house.depart(&body).await;
    let token = surrogates(&said(&outbound)).remove(0);
    assert_eq!(
        house.content(BlobPart::Prompt),
        json!({
            "written": body,
            "left": outbound.body().expose(),
            "findings": [{
                "part": 0, "place": "request", "start": 4, "end": 15, "class": "SSN",
                "confidence": 99, "recogniser": "ssn",
            }],
            "surrogates": { token: SSN },
        })
    );
}

#[tokio::test]
async fn a_finding_names_the_part_in_which_it_lies() {
    let house = House::new(TOKENIZE);
    let body = json!({ "model": "local", "a": "hello", "b": format!("{EMAIL} and {EMAIL}") });
    drop(house.depart(&body.to_string()).await);
    let findings = house.content(BlobPart::Prompt)["findings"].clone();
    let places: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["part"].clone(), it["start"].clone()))
        .collect();
    assert_eq!(places, [(json!(1), json!(0)), (json!(1), json!(EMAIL.len() + 5))]);
}

#[tokio::test]
async fn the_sealed_prompt_holds_only_the_surrogates_that_left() {
    let mut house = House::new(TOKENIZE);
    house.conversation = Some(FIRST);
    sent(&house, &format!("SSN {SSN}")).await;
    let (outbound, _) = house.depart(&says("local", &format!("e-mail {EMAIL} and {EMAIL}"))).await;
    let token = surrogates(&said(&outbound)).remove(0);
    let blob = house.journal.blobs().pop().unwrap();
    let place = ledger::seal::Place { log: LOG, exchange: blob.exchange, part: blob.part };
    let content: serde_json::Value = serde_json::from_slice(
        &house.keys.key(ContentClass::of_part(place.part)).open(&place, &blob).unwrap(),
    )
    .unwrap();
    assert_eq!(content["surrogates"], json!({ token: EMAIL }));
    assert_eq!(content["findings"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_prompt_that_left_unchanged_is_sealed_once() {
    let house = House::new(TOKENIZE);
    let body = says("local", "good morning");
    let (outbound, _) = house.depart(&body).await;
    assert_eq!(outbound.body().expose(), body);
    assert_eq!(
        house.content(BlobPart::Prompt),
        json!({ "written": body, "findings": [], "surrogates": {} })
    );
}

#[tokio::test]
async fn a_new_key_becomes_durable_with_the_first_record_only() {
    let house = House::new(TOKENIZE);
    let (_, departed) = house.depart(&says("local", "good morning")).await;
    house.assert_keyed();
    house.record(departed.abandon()).await;
    house.assert_keyed();
}
