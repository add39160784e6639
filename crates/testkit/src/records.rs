//! One record of every kind, with what is optional and without it; everybody in them is invented.

use ledger::{
    About, Actor, ActorKind, ApiKeyId, BatchId, Change, ChangeKind, ContentClass, ConversationId,
    Cover, CoverKind, DeploymentId, Disposal, Event, ExchangeId, Hash, Intent, LogId, Outcome,
    Record, ReplyContent, Surrogates, TenantId, Time, Unit, Usage,
};

/// The log of the records.
pub const LOG: LogId = LogId {
    deployment: DeploymentId::from_bytes([0x11; 16]),
    tenant: TenantId::from_bytes([0x22; 16]),
};

/// The exchange of the records.
pub const EXCHANGE: ExchangeId = ExchangeId::from_bytes([3; 16]);

/// 2026-11-23T09:00:00Z and `seconds` later.
#[must_use]
pub fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_424_400_000_000).plus_seconds(seconds)
}

/// A record at a position, with zeros for the leaf hash of the one before it.
#[must_use]
pub fn record(seq: u64, event: Event) -> Record {
    Record { v: ledger::RECORD_VERSION, log: LOG, seq, prev: Hash::ZERO, time: time(0), event }
}

/// A program with an API key.
#[must_use]
pub fn program() -> Actor {
    Actor {
        kind: ActorKind::ApiKey,
        id: "key_00000000000000000000000000000000".to_owned(),
        name: "Example Scheduling Bot".to_owned(),
    }
}

/// An operator at the command line.
#[must_use]
pub fn operator() -> Actor {
    Actor { kind: ActorKind::Operator, id: "uid:1000".to_owned(), name: "example".to_owned() }
}

fn cover(hop: &str, by: CoverKind, id: Option<&str>) -> Cover {
    Cover {
        hop: hop.to_owned(),
        by,
        id: id.map(str::to_owned),
        region: id.map(|_| "us-east".to_owned()),
    }
}

/// An exchange with everything that can be said of one; its path leaves the boundary.
#[must_use]
pub fn about() -> About {
    About {
        exchange: EXCHANGE,
        actor: program(),
        surface: "api".to_owned(),
        purpose: Some("treatment".to_owned()),
        conversation: Some(ConversationId::from_bytes([4; 16])),
        api: "chat.completions".to_owned(),
        stream: true,
        route: Some("assistant".to_owned()),
        policy: Some(Hash::of(b"policy")),
        detector: Some("phi 0.1.0".to_owned()),
        findings: [("NAME".to_owned(), 2), ("DATE".to_owned(), 1)].into(),
        treatments: [("NAME".to_owned(), "tokenized".to_owned())].into(),
        categories: vec!["SUBSTANCE_USE".to_owned()],
        decision: Some("tokenized".to_owned()),
        rules: vec!["rule-7".to_owned()],
        destination: Some("examplecloud".to_owned()),
        path: vec![
            cover("clinic-server", CoverKind::Inside, None),
            cover("examplecloud-inference", CoverKind::Agreement, Some("baa-examplecloud")),
            cover("examplechips-machines", CoverKind::Evidence, Some("chain-examplechips")),
            cover("hashes", CoverKind::NoContent, None),
        ],
        considered: [("othercloud".to_owned(), "circuit_open".to_owned())].into(),
        retry_of: Some(ExchangeId::from_bytes([5; 16])),
        previous: Some(ExchangeId::from_bytes([6; 16])),
        prompt: Some(Hash::of(b"prompt")),
        key_day: Some(time(0).day()),
        patient: Some(Hash::of(b"patient")),
        decided: Some(time(0)),
        minimum: [("profile".to_owned(), "scribe".to_owned())].into(),
        removed: [("Patient.name".to_owned(), 1)].into(),
        alert: None,
        reduced_by: Some(ExchangeId::from_bytes([6; 16])),
        capabilities: [("examplecloud".to_owned(), "images prompt_caching".to_owned())].into(),
        batch: Some(BatchId::from_bytes([6; 16])),
    }
}

/// An exchange of which next to nothing is known.
#[must_use]
pub fn bare_about() -> About {
    About::of(EXCHANGE, program(), "api", "chat.completions")
}

fn intent(about: About) -> Event {
    Event::Intent(Box::new(Intent { about, surrogates: Surrogates { minted: 2, read: 1 } }))
}

fn of_batches() -> [Event; 2] {
    let batch = BatchId::from_bytes([6; 16]);
    let destination = "examplecloud".to_owned();
    let sent = Event::BatchFile {
        batch,
        destination: destination.clone(),
        outcome: "sent".to_owned(),
        file: None,
        reason: None,
        count: Some(40),
        sha256: Some(Hash::of(b"lines")),
    };
    let failing = Event::BatchFile {
        batch,
        destination,
        outcome: "failing".to_owned(),
        file: Some("file-abc123".to_owned()),
        reason: Some("unreachable".to_owned()),
        count: None,
        sha256: None,
    };
    [sent, failing]
}

fn answered() -> Event {
    Event::Outcome(Box::new(Outcome {
        about: about(),
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: Some(7),
        reply: Some(ReplyContent {
            windows: 1,
            digest: Hash::of(b"reply"),
            bytes: 120,
            restored: 2,
            unknown: 0,
            findings: [("NAME".to_owned(), 2)].into(),
        }),
        upstream_request: Some("req-example".to_owned()),
        usage: Some(Usage { prompt: 30, completion: 20 }),
    }))
}

fn ended(outcome: &str, code: Option<&str>, reason: Option<&str>) -> Event {
    Event::Outcome(Box::new(Outcome {
        about: bare_about(),
        outcome: outcome.to_owned(),
        code: code.map(str::to_owned),
        reason: reason.map(str::to_owned),
        intent: None,
        reply: None,
        upstream_request: None,
        usage: None,
    }))
}

/// PHI in a flow that must hold none, so that nothing left.
fn without_phi() -> Event {
    Event::Outcome(Box::new(Outcome {
        about: About { alert: Some("no-phi-flow".to_owned()), ..bare_about() },
        outcome: "refused".to_owned(),
        code: Some("phi_blocked".to_owned()),
        reason: Some("no_phi".to_owned()),
        intent: None,
        reply: None,
        upstream_request: None,
        usage: None,
    }))
}

fn exchanges() -> Vec<Event> {
    let inside = cover("clinic-server", CoverKind::Inside, None);
    vec![
        intent(about()),
        intent(About { path: vec![inside], decision: Some("allowed".to_owned()), ..about() }),
        intent(About { decision: Some("redacted".to_owned()), ..bare_about() }),
        answered(),
        ended("refused", Some("phi_blocked"), None),
        ended("refused", Some("baa_uncovered_hop"), Some("consumer_tier_attempt")),
        ended("failed_closed", Some("policy_unavailable"), None),
        ended("upstream_failed", None, Some("unreachable")),
        ended("caller_gone", None, None),
        ended("interrupted", None, None),
        intent(About { alert: Some("no-phi-flow".to_owned()), ..about() }),
        without_phi(),
    ]
}

/// Disposals, holds, and changes of keys.
fn of_guards() -> Vec<Event> {
    let policy = || Some(Hash::of(b"policy"));
    vec![
        Event::SelfTestPassed { count: 24, policy: policy() },
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
            policy: policy(),
        },
        Event::CacheMismatch { reason: "sealed".to_owned(), route: "assistant".to_owned() },
    ]
}

fn of_keys() -> Vec<Event> {
    let court = || "Example Court (synthetic)".to_owned();
    let conversation = ConversationId::from_bytes([4; 16]);
    let disposed = |scope, sha256| Event::Disposed {
        actor: operator(),
        scope,
        classes: ContentClass::ALL.to_vec(),
        authority: court(),
        reason: "order".to_owned(),
        count: 3,
        held: 1,
        sha256,
    };
    let placed = |unit| Event::HoldPlaced {
        actor: operator(),
        hold: "matter-7".to_owned(),
        unit,
        authority: court(),
    };
    vec![
        disposed(Disposal::Before(time(0).day()), None),
        disposed(Disposal::Exchange(EXCHANGE), Some(Hash::of(b"decision"))),
        disposed(Disposal::Conversation(conversation), None),
        placed(None),
        placed(Some(Unit::Exchange(EXCHANGE))),
        placed(Some(Unit::Conversation(conversation))),
        Event::HoldReleased { actor: operator(), hold: "matter-7".to_owned(), authority: court() },
        Event::KeyRotated {
            actor: operator(),
            level: "operator".to_owned(),
            former: "file:kek_1".to_owned(),
            current: "vault:transit/bulla".to_owned(),
        },
        Event::Pruned {
            actor: operator(),
            size: 7,
            root: Hash::of(b"root"),
            authority: "retention schedule".to_owned(),
            sha256: Some(Hash::of(b"decision")),
        },
        Event::Pruned {
            actor: operator(),
            size: 9,
            root: Hash::of(b"root"),
            authority: "retention schedule".to_owned(),
            sha256: None,
        },
        Event::Offboarded {
            actor: operator(),
            authority: "end of agreement".to_owned(),
            sha256: Hash::of(b"archive"),
        },
    ]
}

/// Readings of the log, and reviews of it.
fn of_looking_in() -> Vec<Event> {
    let reader = || Actor { name: "Example Auditor".to_owned(), ..program() };
    let sha256 = Hash::of(b"report");
    let reviewed = |reason: Option<&str>| Event::Reviewed {
        actor: operator(),
        reviewer: "Ada Example".to_owned(),
        from: 2,
        size: 9,
        sha256,
        reason: reason.map(str::to_owned),
    };
    vec![
        Event::ApiKeyCreated {
            actor: operator(),
            key: ApiKeyId::from_bytes([6; 16]),
            owner: "Example Auditor".to_owned(),
            purpose: None,
            expires: None,
            role: Some("auditor".to_owned()),
        },
        Event::AccessDenied { actor: program(), reason: "role_not_allowed".to_owned(), count: 3 },
        Event::TilesRead { actor: reader(), size: 9 },
        Event::Searched {
            actor: reader(),
            filters: ["patient", "since"].map(str::to_owned).to_vec(),
            count: 2,
        },
        Event::Searched { actor: operator(), filters: Vec::new(), count: 0 },
        Event::Reported { actor: operator(), from: 2, size: 9, sha256 },
        reviewed(None),
        reviewed(Some("Two keys were ended.")),
        Event::ReviewOverdue { expires: time(86_400), days: 30 },
    ]
}

/// Executed documents of agreements.
fn of_documents() -> Vec<Event> {
    let agreement = || "baa-example".to_owned();
    let sha256 = Hash::of(b"document");
    let signed_by = |names: &[&str]| Event::AgreementFiled {
        actor: operator(),
        agreement: agreement(),
        sha256,
        size: 84_210,
        signatories: names.iter().map(|name| (*name).to_owned()).collect(),
        signed: time(0).day(),
    };
    vec![
        signed_by(&["Ada Example", "Blaise Sample"]),
        signed_by(&["Ada Example"]),
        Event::AgreementRead { actor: operator(), agreement: agreement(), sha256 },
        Event::AgreementDisposed {
            actor: operator(),
            agreement: agreement(),
            sha256,
            authority: "retention schedule".to_owned(),
        },
    ]
}

/// At least one event of every kind.
///
/// A new kind has to be added here; the match below makes the compiler ask for it.
#[must_use]
pub fn every_kind() -> Vec<Event> {
    let key = ApiKeyId::from_bytes([5; 16]);
    let change = |change| Change { object: "agreement/example".to_owned(), change };
    let changes = [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed].map(change);
    let applied = |version, changes| Event::ConfigurationApplied {
        actor: operator(),
        version,
        sha256: Hash::of(b"file"),
        changes,
    };
    let system =
        Actor { kind: ActorKind::System, id: "system".to_owned(), name: "timer".to_owned() };
    let made = |owner: &str, purpose: Option<&str>, expires| Event::ApiKeyCreated {
        actor: operator(),
        key,
        owner: owner.to_owned(),
        purpose: purpose.map(str::to_owned),
        expires,
        role: None,
    };
    let authority = || "example-authority".to_owned();
    let mut events = vec![
        Event::LogOpened {
            deployment: LOG.deployment,
            tenant: LOG.tenant,
            organisation: "Example Clinic (synthetic)".to_owned(),
            verifier_key: "example+00000000+AA==".to_owned(),
        },
        applied(1, changes.to_vec()),
        applied(2, Vec::new()),
        made("Example Bot", Some("treatment"), Some(time(9))),
        made("", None, None),
        Event::ApiKeyRevoked { actor: operator(), key },
        Event::Exported { actor: operator(), size: 9 },
        Event::Streamed { actor: operator(), from: 0, size: Some(9) },
        Event::Streamed { actor: operator(), from: 7, size: None },
        Event::ContentRead { actor: operator(), exchange: EXCHANGE, reason: "auditor".to_owned() },
        Event::AccessRefused { count: 12 },
        Event::Started { actor: operator(), version: "0.1.0".to_owned() },
        Event::Stopped { actor: system },
        Event::AgreementExpiring {
            agreement: "baa-example".to_owned(),
            expires: time(86_400),
            days: 7,
        },
        Event::Anchored {
            size: 20,
            authority: authority(),
            stamped: time(1),
            sha256: Hash::of(b"token"),
        },
        Event::AnchorFailing { authority: authority(), reason: "unreachable".to_owned() },
        Event::ClockSkewed { authority: authority(), stamped: time(60) },
        Event::FeedFailing { feed: "siem".to_owned(), reason: "unreachable".to_owned() },
    ];
    events.extend(exchanges());
    events.extend(of_keys());
    events.push(Event::CopyFailing { copy: "worm".to_owned(), reason: "not_locked".to_owned() });
    events.extend(of_batches());
    events.extend(of_guards());
    events.extend(of_looking_in());
    events.extend(of_documents());
    events.push(Event::AnswerWithdrawn { actor: operator(), exchange: EXCHANGE });
    events.iter().for_each(is_listed);
    events
}

/// A kind that is added does not compile until somebody comes here, and then adds it above.
const fn is_listed(event: &Event) {
    match event {
        Event::LogOpened { .. }
        | Event::Intent(_)
        | Event::Outcome(_)
        | Event::ConfigurationApplied { .. }
        | Event::ApiKeyCreated { .. }
        | Event::ApiKeyRevoked { .. }
        | Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::ContentRead { .. }
        | Event::AnswerWithdrawn { .. }
        | Event::AccessRefused { .. }
        | Event::Started { .. }
        | Event::Stopped { .. }
        | Event::AgreementExpiring { .. }
        | Event::AgreementFiled { .. }
        | Event::AgreementRead { .. }
        | Event::AgreementDisposed { .. }
        | Event::Anchored { .. }
        | Event::AnchorFailing { .. }
        | Event::ClockSkewed { .. }
        | Event::FeedFailing { .. }
        | Event::CopyFailing { .. }
        | Event::BatchFile { .. }
        | Event::AccessDenied { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. }
        | Event::Reviewed { .. }
        | Event::ReviewOverdue { .. }
        | Event::Disposed { .. }
        | Event::HoldPlaced { .. }
        | Event::HoldReleased { .. }
        | Event::KeyRotated { .. }
        | Event::Pruned { .. }
        | Event::Offboarded { .. }
        | Event::SelfTestPassed { .. }
        | Event::SelfTestFailed { .. }
        | Event::CacheMismatch { .. } => {}
    }
}
