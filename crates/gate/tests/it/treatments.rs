//! What leaves, under each treatment.

use crate::house::{
    DISCLOSE, EMAIL, House, OTHER_SSN, PHONE, REDACT, SSN, TOKENIZE, said, says, surrogates,
};
use phi::surrogate::SurrogateMap;
use phi::{Class, Text};
use std::collections::BTreeSet;

/// A note with three identifiers.
fn note() -> String {
    format!("SSN {SSN}, e-mail {EMAIL}, phone {PHONE}.")
}

/// What of `text` leaves under `policy`; each surrogate is written as its class.
async fn check(policy: &[(&str, &str)], text: &str, expected: &str) {
    let house = House::new(policy);
    let (outbound, _) = house.depart(&says("local", text)).await;
    let mut left = said(&outbound);
    for surrogate in surrogates(&left) {
        let (class, _) = surrogate[1..].rsplit_once('_').unwrap();
        left = left.replace(&surrogate, &format!("<{class}>"));
    }
    assert_eq!(left, expected);
}

#[tokio::test]
async fn what_is_disclosed_leaves_byte_for_byte_as_it_was_written() {
    let body = format!(
        "{{ \"model\" :\"local\",\r\n \"say\":\"SSN {SSN} \\u00e9\\/\", \"temperature\": 1e0 }}\n"
    );
    let house = House::new(DISCLOSE);
    let (outbound, _) = house.depart(&body).await;
    assert_eq!(outbound.body().expose(), body);
    assert_eq!(house.journal.intents()[0].about.decision.as_deref(), Some("allowed"));
}

#[tokio::test]
async fn what_has_nothing_to_hide_leaves_as_it_was_written_under_every_treatment() {
    for policy in [DISCLOSE, TOKENIZE, REDACT] {
        let body = "{ \"model\": \"local\", \"say\": \"good morning\" }";
        let (outbound, _) = House::new(policy).depart(body).await;
        assert_eq!(outbound.body().expose(), body);
    }
}

#[tokio::test]
async fn the_destinations_own_name_of_the_model_is_what_leaves() {
    let (outbound, _) = House::new(DISCLOSE).depart(&says("assistant", "good morning")).await;
    assert_eq!(outbound.body().expose(), r#"{"model":"local","say":"good morning"}"#);
    let (outbound, _) = House::new(DISCLOSE).depart(&says("cloud", "good morning")).await;
    assert_eq!(outbound.body().expose(), r#"{"model":"large","say":"good morning"}"#);
}

#[tokio::test]
async fn what_leaves_carries_its_path_and_whether_a_stream_is_asked_for() {
    let (outbound, _) = House::new(DISCLOSE).depart(&says("cloud", "good morning")).await;
    assert!(!outbound.stream());
    assert_eq!(outbound.path().destination().as_str(), "cloud");
    assert_eq!(outbound.path().endpoint().to_string(), "https://api.cloud.example:443/v1");
    let (outbound, _) = House::new(DISCLOSE).streaming().depart(&says("local", "hello")).await;
    assert!(outbound.stream());
}

#[tokio::test]
async fn each_class_leaves_as_the_policy_treats_it() {
    check(TOKENIZE, &note(), "SSN <SSN>, e-mail <EMAIL>, phone <PHONE>.").await;
    check(REDACT, &note(), "SSN [SSN_1], e-mail [EMAIL_1], phone [PHONE_1].").await;
    let mixed = &[("redact", "SSN"), ("tokenize", "EMAIL"), ("allow", "PHONE")];
    check(mixed, &note(), "SSN [SSN_1], e-mail <EMAIL>, phone 202-555-0143.").await;
}

#[tokio::test]
async fn one_value_keeps_one_surrogate_and_two_values_have_two() {
    let text = format!("SSN {SSN}, SSN {OTHER_SSN}, again SSN {SSN}");
    let (outbound, _) = House::new(TOKENIZE).depart(&says("local", &text)).await;
    let tokens = surrogates(&said(&outbound));
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], tokens[2]);
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn placeholders_are_numbered_by_first_appearance_over_the_whole_request() {
    let body = |first: &str, second: &str| {
        format!(r#"{{"model":"local","a":"SSN {first}","b":["SSN {second}","SSN {first}"]}}"#)
    };
    for (first, second) in [(SSN, OTHER_SSN), (OTHER_SSN, SSN)] {
        let (outbound, _) = House::new(REDACT).depart(&body(first, second)).await;
        assert_eq!(
            outbound.body().expose(),
            r#"{"model":"local","a":"SSN [SSN_1]","b":["SSN [SSN_2]","SSN [SSN_1]"]}"#
        );
    }
}

#[tokio::test]
async fn names_of_members_and_numbers_are_treated_like_text() {
    let body = format!(r#"{{"model":"local","x":{{"{EMAIL}":1,"ssn":219099999}}}}"#);
    let (outbound, _) = House::new(REDACT).depart(&body).await;
    assert_eq!(
        outbound.body().expose(),
        r#"{"model":"local","x":{"[EMAIL_1]":1,"ssn":"[SSN_1]"}}"#
    );
}

#[tokio::test]
async fn a_look_alike_is_escaped_where_surrogates_are_in_use() {
    let text = format!("say [NAME_7K3QF9ZD] for SSN {SSN}");
    check(TOKENIZE, &text, "say <TEXT> for SSN <SSN>").await;
    // Nothing is restored here, so nothing has to be escaped.
    check(REDACT, &text, "say <NAME> for SSN [SSN_1]").await;
    check(DISCLOSE, &text, &format!("say <NAME> for SSN {SSN}")).await;
}

#[tokio::test]
async fn a_look_alike_is_escaped_where_an_earlier_turn_left_surrogates() {
    let house = House::new(DISCLOSE);
    let mut map = SurrogateMap::new();
    map.remember("[NAME_7K3QF9ZD]\nNAME\nAnn Lee").unwrap();
    let cleared = house.clear(&says("local", "say [NAME_7K3QF9ZD]"), map).unwrap();
    let (outbound, _) = cleared.admit(&house.world()).await.unwrap().depart();
    let tokens = surrogates(&said(&outbound));
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0].starts_with("[TEXT_"), "{tokens:?}");
}

#[tokio::test]
async fn a_surrogate_is_never_one_that_stands_in_the_prompt() {
    // The same entropy mints the same surrogate, unless the prompt holds it already.
    let (outbound, _) = House::new(TOKENIZE).depart(&says("local", &format!("SSN {SSN}"))).await;
    let minted = surrogates(&said(&outbound)).remove(0);
    let text = format!("SSN {SSN} {minted}");
    let (outbound, _) = House::new(TOKENIZE).depart(&says("local", &text)).await;
    let tokens = surrogates(&said(&outbound));
    assert_eq!(tokens.len(), 2);
    assert!(!tokens.contains(&minted));
}

#[test]
fn the_classes_are_those_that_were_found() {
    let scanned = House::new(TOKENIZE).scan(&says("local", &note())).unwrap();
    assert_eq!(scanned.classes(), BTreeSet::from([Class::Phone, Class::Email, Class::Ssn]));
    assert_eq!(Text::new(note()).len(), note().len());
}
