//! What of a prompt its purpose needs.

use crate::house::{
    DISCLOSE, EMAIL, House, PHONE, REDACT, SSN, TOKENIZE, answer_text, said, says, surrogates,
};
use gate::{Code, Outcome};
use ledger::{About, BlobPart, Event};
use proptest::prelude::*;

const VISIT: &str = include_str!("../../../testkit/fixtures/minimum/visit.json");
const RESULT: &str = include_str!("../../../testkit/fixtures/minimum/result.hl7");
const PATHS: &str = include_str!("../../../testkit/fixtures/minimum/scribe.paths");

/// A profile of the purpose that the house's caller names.
fn profile(more: &str) -> String {
    let paths: Vec<&str> = PATHS.lines().collect();
    format!("[[profile]]\nid = \"scribe\"\npurposes = [\"treatment\"]\npaths = {paths:?}\n{more}\n")
}

/// What leaves of `text`, and what the record says of it.
async fn leaves(house: &House, text: &str) -> (String, About) {
    let (outbound, _) = house.depart(&says("local", text)).await;
    (said(&outbound), house.journal.intents().last().unwrap().about.clone())
}

/// How a text is refused, and what the record says of it.
async fn refused(house: &House, text: &str) -> (Code, Option<&'static str>, About) {
    let ended = house.admit(&says("local", text)).await.unwrap_err();
    let released = house.commit(ended).await;
    let (outcome, _) = released.outcome();
    (outcome.code().unwrap(), outcome.reason(), released.about().clone())
}

fn removed(about: &About) -> String {
    let each = about.removed.iter().map(|(path, count)| format!("{path} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

/// A bundle of so many observations.
fn chart(resources: usize) -> String {
    let one = r#"{"resource":{"resourceType":"Observation","status":"final"}}"#;
    let entries = vec![one; resources].join(",");
    format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#)
}

#[tokio::test]
async fn only_what_the_profile_names_leaves_and_the_record_says_what_did_not() {
    let house = House::with(DISCLOSE, &profile(""), &[]);
    let (left, about) =
        leaves(&house, &format!("Write the note.\n{VISIT}\nShe says she sleeps badly.")).await;
    for gone in ["Exampleton", "000-12-3456", "1958", "555-0100", "Sample Lane", "SUB-0042"] {
        assert!(!left.contains(gone), "{gone}: {left}");
    }
    for stays in ["Write the note.", "152", "on exertion", "She says she sleeps badly.", "female"] {
        assert!(left.contains(stays), "{stays}: {left}");
    }
    assert_eq!(about.minimum["profile"], "scribe");
    assert_eq!(about.removed["Patient.name"], 1);
    assert_eq!(about.removed["Coverage"], 1);
    assert_eq!(about.decision.as_deref(), Some("redacted"));
    assert_eq!(about.treatments["SSN"], "removed");
    // What was found is counted, whether or not it left.
    assert!(about.findings["SSN"] >= 1);
    // What was written is kept as it was.
    let content = house.content(BlobPart::Prompt);
    assert!(content["written"].as_str().unwrap().contains("000-12-3456"));
    assert!(!content["left"].as_str().unwrap().contains("000-12-3456"));
}

#[tokio::test]
async fn of_a_message_only_the_named_fields_leave() {
    let house = House::with(DISCLOSE, &profile(""), &[]);
    let (left, about) = leaves(&house, RESULT).await;
    assert!(left.contains("K^Potassium||5.9|mmol/L") && left.contains("PID||||||||F|"), "{left}");
    assert!(!left.contains("EXAMPLETON") && !left.contains("00998877"), "{left}");
    assert!(removed(&about).contains("PID-5 1"), "{}", removed(&about));
}

#[tokio::test]
async fn a_class_that_only_stood_in_what_was_taken_away_is_not_decided_on() {
    // The policy permits nothing of it, so the prompt would be refused with it.
    let policy = &[("allow", "NONE")];
    let text = format!(r#"{{"resourceType":"Patient","gender":"female","x":"SSN {SSN}"}}"#);
    let bare = House::new(policy);
    assert_eq!(refused(&bare, &text).await.0, Code::PhiBlocked);
    let house = House::with(policy, &profile(""), &[]);
    let (left, about) = leaves(&house, &text).await;
    assert_eq!(left, r#"{"resourceType":"Patient","gender":"female"}"#);
    assert_eq!(about.treatments["SSN"], "removed");
    // Outside of what was taken away it is decided on as ever.
    let both = format!("{text} and SSN {SSN}");
    assert_eq!(refused(&house, &both).await.0, Code::PhiBlocked);
}

#[tokio::test]
async fn a_class_of_the_profile_is_redacted_whatever_the_policy_permits() {
    let note = format!("SSN {SSN}, e-mail {EMAIL}, phone {PHONE}");
    for policy in [DISCLOSE, TOKENIZE] {
        let house = House::with(policy, &profile("redact = [\"SSN\", \"EMAIL\"]"), &[]);
        let (left, about) = leaves(&house, &note).await;
        assert!(left.starts_with("SSN [SSN_1], e-mail [EMAIL_1], phone "), "{left}");
        assert_eq!(about.treatments["SSN"], "redacted");
        assert_eq!(about.decision.as_deref(), Some("redacted"));
        assert_ne!(about.treatments["PHONE"], "redacted");
    }
    // It permits nothing that the policy does not.
    let house = House::with(&[("allow", "EMAIL PHONE")], &profile("redact = [\"SSN\"]"), &[]);
    assert_eq!(refused(&house, &note).await.0, Code::PhiBlocked);
}

#[tokio::test]
async fn a_purpose_without_a_profile_and_an_exempt_one_are_left_alone() {
    let house = House::new(DISCLOSE);
    let (left, about) = leaves(&house, VISIT).await;
    assert_eq!(left, VISIT);
    assert!(about.minimum.is_empty() && about.removed.is_empty());
    let exempt = &[("id = \"treatment\"", "id = \"treatment\"\nexempt = \"treatment\"")];
    let house = House::with(DISCLOSE, "", exempt);
    let (left, about) = leaves(&house, &chart(150)).await;
    assert_eq!(left, chart(150));
    // The exemption is a fact of the record, and so is how much went.
    assert_eq!(about.minimum["exempt"], "treatment");
    assert_eq!(about.minimum["chart"], "151 resources of 2 types");
}

#[tokio::test]
async fn a_document_that_cannot_be_taken_apart_goes_nowhere() {
    let house = House::with(DISCLOSE, &profile(""), &[]);
    let cut_off = format!("Read this: {}", &VISIT[..VISIT.len() - 40]);
    let (code, reason, about) = refused(&house, &cut_off).await;
    assert_eq!((code, reason), (Code::MinimumNecessary, Some("unread_document")));
    assert_eq!(about.decision.as_deref(), Some("blocked"));
    assert!(house.journal.intents().is_empty());
    // Where the file says so, the piece of text that holds it is left out whole.
    let house = House::with(DISCLOSE, &profile("when_unread = \"remove\""), &[]);
    let (left, about) = leaves(&house, &cut_off).await;
    assert_eq!(left, "");
    assert_eq!(removed(&about), "document 1");
    // A resource that is JSON of the request's own was taken into pieces, which no profile can read.
    let body = format!(r#"{{"model":"local","say":{VISIT}}}"#);
    let ended = house.admit(&body).await.unwrap_err();
    let released = house.commit(ended).await;
    assert_eq!(released.outcome().0.reason(), Some("structured_document"));
}

#[tokio::test]
async fn an_entire_record_needs_a_justification_and_the_record_says_who_gave_one() {
    let mut house = House::new(DISCLOSE);
    let (left, about) = leaves(&house, &chart(99)).await;
    assert_eq!(left, chart(99));
    assert!(about.minimum.is_empty());
    for whole in [chart(100), format!("{} {}", chart(60), chart(60))] {
        let (code, _, about) = refused(&house, &whole).await;
        assert_eq!(code, Code::EntireRecord);
        assert!(about.minimum["chart"].ends_with("of 2 types"));
    }
    // So does one that is JSON of the request's own, and one of many types.
    let own = format!(r#"{{"model":"local","say":{}}}"#, chart(100));
    let ended = house.admit(&own).await.unwrap_err();
    assert_eq!(house.commit(ended).await.outcome().0.code(), Some(Code::EntireRecord));
    let types = ["Patient", "Encounter", "Condition", "Observation", "Procedure", "Device", "Goal"];
    let more = ["Coverage", "Claim", "Immunization", "CarePlan", "Consent", "Location"];
    let many = types.iter().chain(&more).map(|name| format!(r#"{{"resourceType":"{name}"}}"#));
    let many = many.collect::<Vec<_>>().join("\n");
    assert_eq!(refused(&house, &many).await.0, Code::EntireRecord);

    house.justification = Some("The appeal must cite every visit of pat.sample@mail.example.");
    let (left, about) = leaves(&house, &chart(100)).await;
    assert_eq!(left, chart(100));
    assert_eq!(about.minimum["justification"], "given");
    assert_eq!(about.minimum["chart"], "101 resources of 2 types");
    assert_eq!(about.actor.name, "nightly-coder");
    // It is free text: searched like any other, sealed with the content, and nowhere else.
    assert_eq!(about.findings["EMAIL"], 1);
    assert!(!about.treatments.contains_key("EMAIL"));
    let blobs = house.journal.blobs();
    let last = blobs.iter().rfind(|blob| blob.part == BlobPart::Prompt).unwrap();
    let place = ledger::seal::Place {
        log: crate::house::LOG,
        exchange: last.exchange,
        part: BlobPart::Prompt,
    };
    let key = house.keys.key(ledger::ContentClass::Prompts);
    let content: serde_json::Value =
        serde_json::from_slice(&key.open(&place, last).unwrap()).unwrap();
    assert!(content["justification"].as_str().unwrap().contains(EMAIL));
    assert_eq!(content["findings"][0]["place"], "justification");
}

#[tokio::test]
async fn a_chart_that_the_profile_makes_small_is_no_chart() {
    let house = House::with(DISCLOSE, &profile(""), &[("Observation.status", "Observation.note")]);
    let house_without = House::with(
        DISCLOSE,
        "[[profile]]\nid = \"p\"\npurposes = [\"treatment\"]\npaths = [\"Patient.gender\"]\n",
        &[],
    );
    assert_eq!(refused(&house, &chart(150)).await.0, Code::EntireRecord);
    let (left, about) = leaves(&house_without, &chart(150)).await;
    assert_eq!(left, r#"{"resourceType":"Bundle","type":"collection"}"#);
    assert_eq!(removed(&about), "Observation 150");
}

#[tokio::test]
async fn phi_where_there_must_be_none_raises_an_alert_and_is_acted_on() {
    let flow = |on_phi: &str, more: &str| {
        format!(
            "[[no_phi]]\nid = \"coder\"\nowners = [\"nightly-coder\"]\non_phi = \"{on_phi}\"\n{more}\n"
        )
    };
    let text = format!("mail {EMAIL}");
    let house = House::with(DISCLOSE, &flow("block", ""), &[]);
    let (code, reason, about) = refused(&house, &text).await;
    assert_eq!((code, reason), (Code::PhiBlocked, Some("no_phi")));
    assert_eq!(about.alert.as_deref(), Some("coder"));
    assert_eq!(about.treatments["EMAIL"], "blocked");
    // Text without any passes, and says nothing.
    let (left, about) = leaves(&house, "good morning").await;
    assert_eq!((left.as_str(), about.alert), ("good morning", None));

    let house = House::with(DISCLOSE, &flow("redact", ""), &[]);
    let (left, about) = leaves(&house, &text).await;
    assert_eq!((left.as_str(), about.alert.as_deref()), ("mail [EMAIL_1]", Some("coder")));

    let house = House::with(DISCLOSE, &flow("alert", ""), &[]);
    let (left, about) = leaves(&house, &text).await;
    assert_eq!((left, about.alert.as_deref()), (text.clone(), Some("coder")));

    // Only the classes that it names, and only those whom it names.
    let house = House::with(DISCLOSE, &flow("block", "classes = [\"SSN\"]"), &[]);
    assert_eq!(leaves(&house, &text).await.1.alert, None);
    let other = [("owners = [\"nightly-coder\"]", "owners = [\"somebody\"]")];
    let house = House::with(DISCLOSE, &flow("block", ""), &other);
    assert_eq!(leaves(&house, &text).await.1.alert, None);
    let route = [("owners = [\"nightly-coder\"]", "routes = [\"cloud\"]")];
    let house = House::with(DISCLOSE, &flow("block", ""), &route);
    assert_eq!(leaves(&house, &text).await.1.alert, None);

    // Of two flows the stricter acts, and names the alert.
    let both = flow("block", "").replace("\"coder\"", "\"z\"") + &flow("alert", "");
    let house = House::with(DISCLOSE, &both, &[]);
    assert_eq!(refused(&house, &text).await.2.alert.as_deref(), Some("z"));

    // That a profile takes it away does not make the flow one without PHI.
    let both = flow("alert", "") + &profile("");
    let house = House::with(DISCLOSE, &both, &[]);
    let told = format!(r#"{{"resourceType":"Patient","telecom":"{EMAIL}"}}"#);
    let (left, about) = leaves(&house, &told).await;
    assert_eq!(left, r#"{"resourceType":"Patient"}"#);
    assert_eq!(about.alert.as_deref(), Some("coder"));
}

#[tokio::test]
async fn what_was_taken_away_does_not_come_back_in_the_answer() {
    let house = House::with(TOKENIZE, &profile("redact = [\"SSN\"]"), &[]);
    let (outbound, departed) = house.depart(&says("local", &format!("SSN {SSN}"))).await;
    assert!(surrogates(&said(&outbound)).is_empty());
    let answer = crate::answers::answer(r#"{"content":"The number is [SSN_1]."}"#);
    let ended = departed.end(Ok(answer), &crate::house::DETECTOR);
    let released = house.commit(ended).await;
    assert!(!answer_text(released.outcome().0).contains(SSN));
    let Outcome::Answered(_) = released.outcome().0 else { panic!("not answered") };
}

#[tokio::test]
async fn no_record_holds_what_was_taken_away() {
    let house = House::with(REDACT, &profile(""), &[]);
    let (_, about) = leaves(&house, VISIT).await;
    let event = Event::Outcome(Box::new(ledger::Outcome {
        about,
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: None,
        reply: None,
        upstream_request: None,
        usage: None,
    }));
    let told = format!("{event:?}");
    for value in ["Exampleton", "Marisol", "000-12-3456", "555-0100", "Testville", "SUB-0042"] {
        assert!(!told.contains(value), "{value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_leaves_is_what_was_written_with_pieces_taken_out(
        (before, between, after) in ("[a-z ]{0,12}", "[a-z ]{0,12}", "[a-z ]{0,12}"),
        gender in "[a-z]{0,8}",
        other in "[a-z0-9 ]{0,12}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let document =
            format!(r#"{{"resourceType":"Patient","other":"{other}","gender":"{gender}"}}"#);
        let text = format!("{before}{document}{between}{document}{after}");
        let house = House::with(DISCLOSE, &profile(""), &[]);
        let (left, about) = runtime.block_on(leaves(&house, &text));
        let kept = format!(r#"{{"resourceType":"Patient","gender":"{gender}"}}"#);
        prop_assert_eq!(left, format!("{before}{kept}{between}{kept}{after}"));
        prop_assert_eq!(about.removed["Patient.other"], 2);
    }
}
