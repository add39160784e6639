use super::*;
use crate::sample;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

fn record(event: Event) -> Record {
    Record {
        v: RECORD_VERSION,
        log: sample::log(),
        seq: 7,
        prev: Hash::ZERO,
        time: sample::time(0),
        event,
    }
}

fn check(event: Event, expected: &Expect) {
    let record = record(event);
    let bytes = record.to_bytes();
    assert_eq!(Record::from_bytes(&bytes), Ok(record));
    assert!(is_canonical(&bytes));
    expected.assert_eq(std::str::from_utf8(&bytes).unwrap());
}

/// One event of each kind, with what is optional and without it.
#[expect(clippy::too_many_lines, reason = "one of each kind")]
fn every_kind() -> Vec<Event> {
    let actor = sample::actor;
    let operator = Actor { kind: ActorKind::Operator, ..actor() };
    let bare = |mut about: About| {
        about.purpose = None;
        about.findings.clear();
        about.treatments.clear();
        about.rules.clear();
        about.path.clear();
        about.prompt = None;
        about.key_day = None;
        about.patient = None;
        about.decided = None;
        about.capabilities.clear();
        about.conversation = Some(ConversationId::from_bytes([4; 16]));
        about
    };
    let mut outcomes = vec![sample::outcome(1, 5), sample::outcome(2, 0)];
    if let Some(Event::Outcome(outcome)) = outcomes.last_mut() {
        outcome.about = bare(outcome.about.clone());
        outcome.code = Some("baa_scope".to_owned());
        outcome.reason = Some("expired".to_owned());
        (outcome.intent, outcome.reply, outcome.usage, outcome.upstream_request) =
            (None, None, None, None);
    }
    let mut intents = vec![sample::intent(1), sample::intent(2)];
    if let Some(Event::Intent(intent)) = intents.last_mut() {
        intent.about = bare(intent.about.clone());
    }
    let key = ApiKeyId::from_bytes([5; 16]);
    let change = |change| Change { object: "agreement/example".to_owned(), change };
    let hop = |by| Cover {
        hop: "h\u{e9}\"\n\u{1}".to_owned(),
        by,
        id: Some("a".to_owned()),
        region: Some("us-east".to_owned()),
    };
    if let Some(Event::Intent(intent)) = intents.first_mut() {
        intent.about.path =
            [CoverKind::Agreement, CoverKind::Evidence, CoverKind::NoContent].map(hop).to_vec();
    }
    let reviewed = |reason| Event::Reviewed {
        actor: actor(),
        reviewer: "Ada Example".to_owned(),
        from: 2,
        size: 9,
        sha256: Hash::of(b"report"),
        reason,
    };
    let mut events = vec![
        sample::opened(),
        Event::ConfigurationApplied {
            actor: operator,
            version: 1,
            sha256: Hash::of(b"file"),
            changes: [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed]
                .map(change)
                .to_vec(),
        },
        Event::ConfigurationApplied {
            actor: Actor { kind: ActorKind::System, ..actor() },
            version: 2,
            sha256: Hash::of(b"file"),
            changes: vec![],
        },
        Event::ApiKeyCreated {
            actor: actor(),
            key,
            owner: "Example Bot".to_owned(),
            purpose: Some("treatment".to_owned()),
            expires: Some(sample::time(9)),
            role: Some("auditor".to_owned()),
        },
        Event::ApiKeyCreated {
            actor: actor(),
            key,
            owner: String::new(),
            purpose: None,
            expires: None,
            role: None,
        },
        Event::ApiKeyRevoked { actor: actor(), key },
        Event::Exported { actor: actor(), size: (1 << 53) - 1 },
        Event::Streamed { actor: actor(), from: 0, size: Some(9) },
        Event::Streamed { actor: actor(), from: 7, size: None },
        Event::ContentRead {
            actor: actor(),
            exchange: sample::exchange(1),
            reason: "auditor".to_owned(),
        },
        Event::AnswerWithdrawn { actor: actor(), exchange: sample::exchange(1) },
        Event::AccessRefused { count: 12 },
        sample::started(),
        Event::Stopped { actor: actor() },
        Event::AgreementExpiring {
            agreement: "baa-example".to_owned(),
            expires: Time::from_micros(-62_167_219_200_000_001),
            days: u32::MAX,
        },
        Event::AgreementFiled {
            actor: actor(),
            agreement: "baa-example".to_owned(),
            sha256: Hash::of(b"document"),
            size: 84_210,
            signatories: ["Ada Example", "B\u{e9}la \"Sample\""].map(str::to_owned).to_vec(),
            signed: sample::time(0).day(),
        },
        Event::AgreementRead {
            actor: actor(),
            agreement: "baa-example".to_owned(),
            sha256: Hash::of(b"document"),
        },
        Event::AgreementDisposed {
            actor: actor(),
            agreement: "baa-example".to_owned(),
            sha256: Hash::of(b"document"),
            authority: "retention schedule".to_owned(),
        },
        Event::Anchored {
            size: 20,
            authority: "example".to_owned(),
            stamped: Time::from_micros(1_401_000),
            sha256: Hash::of(b"token"),
        },
        Event::AnchorFailing { authority: "example".to_owned(), reason: "unreachable".to_owned() },
        Event::ClockSkewed { authority: "example".to_owned(), stamped: Time::from_micros(0) },
        Event::FeedFailing { feed: "siem".to_owned(), reason: "unreachable".to_owned() },
        Event::AccessDenied { actor: actor(), reason: "role_not_allowed".to_owned(), count: 3 },
        Event::TilesRead { actor: actor(), size: 9 },
        Event::Searched {
            actor: actor(),
            filters: ["patient", "since"].map(str::to_owned).to_vec(),
            count: 2,
        },
        Event::Searched { actor: actor(), filters: vec![], count: 0 },
        Event::Reported { actor: actor(), from: 2, size: 9, sha256: Hash::of(b"report") },
        reviewed(None),
        reviewed(Some("Two keys were ended.".to_owned())),
        Event::ReviewOverdue { expires: sample::time(0), days: 30 },
        Event::HoldPlaced {
            actor: actor(),
            hold: "matter-7".to_owned(),
            unit: Some(Unit::Exchange(sample::exchange(1))),
            authority: "Example Court (synthetic)".to_owned(),
        },
        Event::HoldPlaced {
            actor: actor(),
            hold: "matter-8".to_owned(),
            unit: None,
            authority: "incident 3".to_owned(),
        },
        Event::HoldReleased {
            actor: actor(),
            hold: "matter-7".to_owned(),
            authority: "Example Court (synthetic)".to_owned(),
        },
        Event::CopyFailing { copy: "worm".to_owned(), reason: "not_locked".to_owned() },
        Event::BatchFile {
            batch: crate::BatchId::from_bytes([9; 16]),
            destination: "cloud".to_owned(),
            outcome: "sent".to_owned(),
            file: None,
            reason: None,
            count: Some(3),
            sha256: None,
        },
        Event::Pruned {
            actor: actor(),
            size: 7,
            root: Hash::of(b"root"),
            authority: "retention schedule".to_owned(),
            sha256: Some(Hash::of(b"decision")),
        },
        Event::KeyRotated {
            actor: actor(),
            level: "organisation".to_owned(),
            former: "a".to_owned(),
            current: "b".to_owned(),
        },
        Event::Offboarded {
            actor: actor(),
            authority: "end of agreement".to_owned(),
            sha256: Hash::of(b"archive"),
        },
        Event::SelfTestPassed { count: 24, policy: None },
        Event::SelfTestPassed { count: 160, policy: Some(Hash::of(b"policy")) },
        Event::SelfTestFailed {
            reason: "detector".to_owned(),
            route: None,
            api: None,
            policy: None,
        },
        Event::SelfTestFailed {
            reason: "restore".to_owned(),
            route: Some("assistant".to_owned()),
            api: Some("messages".to_owned()),
            policy: Some(Hash::of(b"policy")),
        },
        Event::CacheMismatch { reason: "sealed".to_owned(), route: "assistant".to_owned() },
    ];
    let disposal = |scope, classes: &[ContentClass], sha256| Event::Disposed {
        actor: actor(),
        scope,
        classes: classes.to_vec(),
        authority: "schedule".to_owned(),
        reason: "retention".to_owned(),
        count: 3,
        held: 1,
        sha256,
    };
    events.extend([
        disposal(Disposal::Before(sample::time(0).day()), &ContentClass::ALL, None),
        disposal(
            Disposal::Exchange(sample::exchange(2)),
            &[ContentClass::Answers],
            Some(Hash::of(b"decision")),
        ),
        disposal(Disposal::Conversation(ConversationId::from_bytes([4; 16])), &[], None),
    ]);
    events.append(&mut intents);
    events.append(&mut outcomes);
    events
}

#[test]
fn a_record_is_canonical_json() {
    check(
        sample::started(),
        &expect![[
            r#"{"actor":{"id":"key_00000000000000000000000000000000","kind":"api_key","name":"Example Scheduling Bot"},"kind":"service.started","log":"bulla/dep_11111111111111111111111111111111/ten_22222222222222222222222222222222","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":7,"time":"2026-11-23T09:00:00.000000Z","v":1,"version":"0.1.0"}"#
        ]],
    );
}

#[test]
fn every_kind_comes_back_from_its_bytes() {
    for event in every_kind() {
        let record = record(event);
        let bytes = record.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.contains(&format!("\"kind\":\"{}\"", record.event.kind())), "{text}");
        let actor = text.contains("\"actor\":");
        assert_eq!(record.event.actor().is_some(), actor, "{text}");
        let unit = |name: &str| text.contains(&format!("\"{name}\":\""));
        assert_eq!(record.event.exchange().is_some(), unit("exchange"), "{text}");
        assert_eq!(record.event.conversation().is_some(), unit("conversation"), "{text}");
        assert_eq!(Record::from_bytes(&bytes).as_ref(), Ok(&record), "{text}");
        assert!(is_canonical(&bytes), "{text}");
    }
}

/// A kind without an example here would be tested by nothing.
#[test]
fn every_kind_has_an_example() {
    for kind in Kind::ALL {
        let tag = format!("\"kind\":\"{}\"", kind.text());
        let found = every_kind()
            .into_iter()
            .any(|event| String::from_utf8_lossy(&record(event).to_bytes()).contains(&tag));
        assert!(found, "{kind:?}");
    }
}

#[test]
fn other_spellings_of_a_record_are_refused() {
    let text = String::from_utf8(record(sample::intent(1)).to_bytes()).unwrap();
    for (from, to, error) in [
        ("\"seq\":7", "\"seq\": 7", MalformedRecord::NotCanonical),
        ("\"seq\":7", "\"seq\":7,\"seq\":7", MalformedRecord::Unreadable),
        (
            "\"surface\":\"api\"",
            "\"surface\":\"api\",\"surface\":\"api\"",
            MalformedRecord::Unreadable,
        ),
        ("\"v\":1", "\"v\":1,\"w\":0", MalformedRecord::NotCanonical),
        ("\"v\":1", "\"v\":2", MalformedRecord::Unreadable),
        ("\"seq\":7", "\"seq\":9007199254740992", MalformedRecord::NotCanonical),
        ("\"seq\":7", "\"seq\":7.0", MalformedRecord::Unreadable),
        ("exchange.intent", "exchange.other", MalformedRecord::Unreadable),
        ("\"api\"", "\"\\u0061pi\"", MalformedRecord::NotCanonical),
        ("09:00:00.000000Z", "09:00:00Z", MalformedRecord::NotCanonical),
        ("\"rules\":[\"rule-7\"]", "\"rules\":[]", MalformedRecord::NotCanonical),
    ] {
        let altered = text.replacen(from, to, 1);
        assert_ne!(altered, text, "{from}");
        assert_eq!(Record::from_bytes(altered.as_bytes()), Err(error), "{altered}");
        assert!(!is_canonical(altered.as_bytes()), "{altered}");
    }
    let long = vec![b' '; MAX_RECORD_BYTES + 1];
    assert_eq!(Record::from_bytes(&long), Err(MalformedRecord::TooLong));
}

/// Values that stand, or nearly stand, somewhere in a record.
fn odd_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        true.into(),
        0.into(),
        1.into(),
        (-1).into(),
        1.5.into(),
        u64::from(u32::MAX).saturating_add(1).into(),
        "".into(),
        "x".into(),
        "operator".into(),
        "agreement".into(),
        "exchange.outcome".into(),
        "service.started".into(),
        Hash::ZERO.to_string().into(),
        sample::exchange(1).to_string().into(),
        sample::log().to_string().into(),
        "2026-02-28T23:59:59.999999Z".into(),
        "2026-02-29T00:00:00.000000Z".into(),
        "2024-02-29T00:00:00.000000Z".into(),
        "2026-11-23T24:00:00.000000Z".into(),
        "2026-11-23T09:00:60.000000Z".into(),
        "2026-11-23T09:00:00.000000+00:00".into(),
        "0000-01-01T00:00:00.000000Z".into(),
        "-000001-01-01T00:00:00.000000Z".into(),
        "9999-12-31T23:59:59.999999Z".into(),
        "9999-12-30T22:00:00.999999Z".into(),
        serde_json::json!([]),
        serde_json::json!(["x"]),
        serde_json::json!({}),
        serde_json::json!({"a": 1}),
        serde_json::json!({"a": "b"}),
        serde_json::json!({"minted": 1, "read": 2}),
    ])
}

/// All places of a value, outermost first.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    for (key, child) in children {
        places(child, format!("{at}/{key}"), out);
    }
    out.push(at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_fast_reading_accepts_exactly_what_the_full_one_accepts(
        kind in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        (value, action) in (odd_value(), 0..3_u8),
        name in prop::sample::select(vec!["id", "purpose", "version", "findings", "zzz", "intent"]),
    ) {
        let events = every_kind();
        let bytes = record(events[kind.index(events.len())].clone()).to_bytes();
        let mut json: Value = serde_json::from_slice(&bytes).unwrap();
        let mut all = vec![];
        places(&json, String::new(), &mut all);
        let place = &all[place.index(all.len())];
        let target = json.pointer_mut(place).unwrap();
        match (action, target) {
            (0, target) => *target = value,
            (1, Value::Object(map)) => { map.insert(name.to_owned(), value); }
            (_, Value::Object(map)) => {
                let key = map.keys().nth(action as usize % map.len().max(1)).cloned();
                key.map(|key| map.remove(&key));
            }
            (_, target) => *target = value,
        }
        let altered = serde_json_canonicalizer::to_vec(&json).unwrap();
        prop_assert_eq!(
            is_canonical(&altered),
            Record::from_bytes(&altered).is_ok(),
            "{}", String::from_utf8_lossy(&altered)
        );
    }

    #[test]
    fn a_flipped_bit_is_read_alike_by_both(
        kind in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u8
    ) {
        let events = every_kind();
        let mut bytes = record(events[kind.index(events.len())].clone()).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(
            is_canonical(&bytes),
            Record::from_bytes(&bytes).is_ok(),
            "{}", String::from_utf8_lossy(&bytes)
        );
    }

    #[test]
    fn a_time_is_read_alike_by_both(micros in -377_705_116_800_000_000..253_402_207_200_000_000_i64) {
        let mut record = record(sample::started());
        record.time = Time::from_micros(micros);
        let bytes = record.to_bytes();
        prop_assert_eq!(Record::from_bytes(&bytes), Ok(record));
    }
}
