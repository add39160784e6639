//! Every way in which an exchange ends early is one record.

use crate::answers::answer;
use crate::house::{DISCLOSE, EMAIL, House, SSN, TOKENIZE, says};
use gate::exchange::{Ended, Exchange};
use gate::prompt::Answer;
use gate::stream::MAX_ANSWER_BYTES;
use gate::{Code, Control, Outcome, Refusal, UpstreamFailure};
use ledger::{BlobPart, Hash, Time, Unrecorded};
use phi::Text;
use phi::detect::MAX_SCAN_BYTES;
use phi::surrogate::{MAX_SURROGATES, SurrogateMap};
use std::collections::BTreeMap;

/// Commits `ended` and checks its one outcome record: how it ended, the code, the intent.
async fn check(
    house: &House,
    ended: Exchange<Ended>,
    name: &str,
    code: Option<&str>,
    intent: Option<u64>,
) -> ledger::Outcome {
    assert_eq!(ended.outcome_name(), name);
    let released = house.commit(ended).await;
    let mut outcomes = house.journal.outcomes();
    assert_eq!(outcomes.len(), 1);
    let record = outcomes.remove(0);
    assert_eq!((record.outcome.as_str(), record.code.as_deref()), (name, code));
    assert_eq!(record.intent, intent);
    assert_eq!(house.journal.intents().len(), usize::from(intent.is_some()));

    // Exactly one prompt is sealed, the record commits to it, and its key is durable.
    let blobs = house.journal.blobs();
    let prompts: Vec<_> = blobs.iter().filter(|it| it.part == BlobPart::Prompt).collect();
    assert_eq!(prompts.len(), 1);
    assert_eq!(record.about.prompt, Some(prompts[0].digest()));
    assert!(blobs.iter().all(|it| it.exchange == record.about.exchange));
    house.assert_keyed();
    assert!(house.content(BlobPart::Prompt)["written"].is_string());

    let (outcome, receipt) = released.outcome();
    assert_eq!(outcome.name(), name);
    let last = house.journal.bytes().pop().unwrap();
    assert_eq!(receipt.leaf, ledger::tree::leaf_hash(&last));
    assert_eq!(receipt.seq, house.journal.records().len() as u64 - 1);
    assert_eq!(*released.about(), record.about);
    let leaf = receipt.leaf;
    let (about, outcome, receipt) = released.into_parts();
    assert_eq!((about, outcome.name(), receipt.leaf), (record.about.clone(), name, leaf));
    record
}

fn map_of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_request_that_is_refused_unread_is_recorded() {
    let house = House::new(TOKENIZE);
    let refusal = Refusal::fixed(Code::InvalidRequest, "Not a request.");
    let (caller, question, seal) = (House::caller(), house.question("local"), house.seal());
    let written = Text::from("{not json");
    let ended = Exchange::refused(caller, question, seal, written, refusal);
    let record = check(&house, ended, "refused", Some("invalid_request"), None).await;
    assert_eq!(house.content(BlobPart::Prompt)["written"], "{not json");
    assert_eq!((record.about.detector, record.about.decision), (None, None));
}

#[tokio::test]
async fn an_exchange_that_could_not_begin_is_recorded() {
    let house = House::new(TOKENIZE);
    let (caller, question, seal) = (House::caller(), house.question("local"), house.seal());
    let ended = Exchange::failed(caller, question, seal, "{}".into(), Control::Surrogates);
    check(&house, ended, "failed_closed", Some("surrogates_unavailable"), None).await;
}

#[tokio::test]
async fn text_that_is_longer_than_one_scan_reads_fails_closed() {
    let house = House::new(DISCLOSE);
    let ended = house.scan(&says("local", &"a ".repeat(MAX_SCAN_BYTES / 2 + 1))).unwrap_err();
    let record = check(&house, ended, "failed_closed", Some("request_too_large"), None).await;
    assert!(record.about.detector.is_some());
    assert!(record.about.findings.is_empty());
}

#[tokio::test]
async fn what_no_policy_permits_is_refused() {
    for text in ["good morning".to_owned(), format!("SSN {SSN}")] {
        let house = House::new(&[]);
        let ended = house.admit(&says("local", &text)).await.unwrap_err();
        let record = check(&house, ended, "refused", Some("phi_blocked"), None).await;
        assert_eq!(record.about.decision.as_deref(), Some("blocked"));
    }
}

#[tokio::test]
async fn a_refusal_names_the_classes_and_the_rules_and_nothing_else() {
    let house = House::new(&[("tokenize", "EMAIL"), ("block", "SSN")]);
    let scanned = house.scan(&says("local", &format!("SSN {SSN}, e-mail {EMAIL}"))).unwrap();
    let denial = house.decide(&scanned).unwrap_err();
    let record = check(&house, scanned.refuse(&denial), "refused", Some("phi_blocked"), None).await;
    assert_eq!(record.about.treatments, map_of(&[("SSN", "blocked")]));
    assert_eq!(record.about.rules, ["row-1"]);
    assert_eq!(record.about.findings, BTreeMap::from([("EMAIL".into(), 1), ("SSN".into(), 1)]));
    assert!(record.about.destination.is_none());
}

#[tokio::test]
async fn a_control_that_cannot_run_ends_the_exchange() {
    let controls = [
        (Control::Detector, "detector_unavailable"),
        (Control::DetectorLimit, "request_too_large"),
        (Control::Policy, "policy_unavailable"),
        (Control::Surrogates, "surrogates_unavailable"),
        (Control::SurrogateLimit, "request_too_large"),
        (Control::Audit, "audit_unavailable"),
        (Control::SelfTest, "self_test_failed"),
    ];
    for (control, code) in controls {
        let house = House::new(TOKENIZE);
        let ended = house.scan(&says("local", "good morning")).unwrap().fail(control);
        check(&house, ended, "failed_closed", Some(code), None).await;
    }
}

#[tokio::test]
async fn nothing_is_admitted_on_a_path_that_is_not_covered() {
    let house = House::new(TOKENIZE);
    // The agreement ended with 2028.
    house.clock.set(Time::from_micros(1_861_920_000_000_000));
    let ended = house.admit(&says("cloud", &format!("SSN {SSN}"))).await.unwrap_err();
    let record = check(&house, ended, "refused", Some("baa_uncovered_hop"), None).await;
    assert_eq!(record.about.destination.as_deref(), Some("cloud"));
    assert!(record.about.path.is_empty());
    assert_eq!(record.about.decision.as_deref(), Some("blocked"));
    assert_eq!(record.reason.as_deref(), Some("agreement_not_in_force"));
    // Nothing was treated, so nothing left.
    assert!(house.content(BlobPart::Prompt)["left"].is_null());
}

#[tokio::test]
async fn a_refused_path_says_why_without_a_value() {
    let house = House::new(TOKENIZE);
    house.clock.set(Time::from_micros(1_861_920_000_000_000));
    let ended = house.admit(&says("cloud", &format!("SSN {SSN}"))).await.unwrap_err();
    let (_, outcome, _) = house.commit(ended).await.into_parts();
    let Outcome::Refused(refusal) = outcome else { panic!("not refused") };
    assert_eq!(refusal.code, Code::BaaUncoveredHop);
    assert!(refusal.message.contains("cloud-machines") && !refusal.message.contains(SSN));
    assert!(refusal.classes.is_empty());
}

#[tokio::test]
async fn a_conversation_with_no_room_for_surrogates_fails_closed() {
    let mut map = SurrogateMap::new();
    for number in 0..MAX_SURROGATES {
        map.remember(&format!("[SSN_{number:08}]\nSSN\n{number}")).unwrap();
    }
    assert_eq!(map.len(), MAX_SURROGATES);
    let house = House::new(TOKENIZE);
    let ended = house.clear(&says("local", &format!("SSN {SSN}")), map).unwrap_err();
    check(&house, ended, "failed_closed", Some("request_too_large"), None).await;
}

#[tokio::test]
async fn nothing_is_admitted_when_its_record_is_not_durable() {
    let house = House::new(TOKENIZE);
    house.journal.fail_append(0);
    let ended = house.admit(&says("local", &format!("SSN {SSN}"))).await.unwrap_err();
    assert!(house.journal.bytes().is_empty() && house.journal.blobs().is_empty());
    // When the disk has room again, the outcome brings prompt and key with it.
    check(&house, ended, "failed_closed", Some("audit_unavailable"), None).await;
}

#[tokio::test]
async fn nothing_is_released_when_its_record_is_not_durable() {
    let house = House::new(TOKENIZE);
    let (outbound, departed) = house.depart(&says("local", &format!("SSN {SSN}"))).await;
    house.journal.fail_append(0);
    let ended = departed.end(Ok(answer(outbound.body().expose())), &crate::house::DETECTOR);
    assert_eq!(ended.commit(&house.world()).await.unwrap_err(), Unrecorded::Full);
    // The intent stays open in the log; of the answer nothing is kept.
    assert_eq!((house.journal.intents().len(), house.journal.outcomes().len()), (1, 0));
    assert_eq!(house.journal.blobs().len(), 1);
}

#[tokio::test]
async fn a_failed_model_server_is_recorded_with_its_kind_of_failure() {
    use UpstreamFailure as Failure;
    let failures = [
        (Failure::Unreachable, "upstream_unreachable", "unreachable"),
        (Failure::AddressRefused, "upstream_unreachable", "address_refused"),
        (Failure::NoCredential, "upstream_unauthorized", "no_credential"),
        (Failure::Unauthorized, "upstream_unauthorized", "unauthorized"),
        (Failure::ConnectTimedOut, "upstream_unreachable", "connect_timed_out"),
        (Failure::TimedOut, "upstream_timeout", "timed_out"),
        (Failure::Stalled, "upstream_timeout", "stalled"),
        (Failure::TotalTimedOut, "upstream_timeout", "total_timed_out"),
        (Failure::Redirected, "upstream_invalid", "redirected"),
        (Failure::Garbage, "upstream_invalid", "garbage"),
        (Failure::TooLarge, "upstream_invalid", "too_large"),
        (Failure::Cut, "upstream_invalid", "cut"),
        (Failure::Reported, "upstream_failed", "reported_error"),
        (Failure::Failed, "upstream_failed", "failed"),
        (Failure::Rejected(Some("model_not_found")), "upstream_rejected", "rejected"),
        (Failure::RateLimited(Some(3)), "upstream_rate_limited", "rate_limited"),
    ];
    for (failure, code, reason) in failures {
        let house = House::new(TOKENIZE);
        let (_, departed) = house.depart(&says("local", &format!("SSN {SSN}"))).await;
        let ended = departed.end(Err(failure), &crate::house::DETECTOR);
        let record = check(&house, ended, "upstream_failed", Some(code), Some(0)).await;
        assert_eq!(record.reason.as_deref(), Some(reason));
        assert!(record.reply.is_none());
        assert!(failure.message().ends_with('.'));
    }
}

#[tokio::test]
async fn a_caller_that_left_before_the_answer_is_recorded() {
    let house = House::new(TOKENIZE);
    let (_, departed) = house.depart(&says("local", &format!("SSN {SSN}"))).await;
    let record = check(&house, departed.abandon(), "caller_gone", None, Some(0)).await;
    assert!(record.reply.is_none());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_delivered() {
    let house = House::new(TOKENIZE);
    let (_, departed) = house.depart(&says("local", "good morning")).await;
    let text = "a".repeat(MAX_ANSWER_BYTES + 1);
    let huge: Answer = answer(&serde_json::json!({ "content": text }).to_string());
    let ended = departed.end(Ok(huge), &crate::house::DETECTOR);
    let record = check(&house, ended, "upstream_failed", Some("upstream_invalid"), Some(0)).await;
    assert!(record.reply.is_none());
    assert_eq!(record.about.policy, Some(house.rules.sha256()));
    assert_ne!(record.about.prompt, Some(Hash::ZERO));
}
