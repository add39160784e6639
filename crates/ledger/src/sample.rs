//! Synthetic ids, times and records for this crate's tests.

use crate::{
    About, Actor, ActorKind, Cover, CoverKind, DeploymentId, Entropy, Event, ExchangeId, Hash,
    Intent, LogId, Outcome, ReplyContent, Surrogates, TenantId, Time, Usage,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that depend on a seed and a counter only.
pub(crate) struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.drawn.fetch_add(1, Ordering::Relaxed);
            let block = Hash::of_all([&self.seed.to_be_bytes()[..], &count.to_be_bytes()]);
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) fn log() -> LogId {
    LogId {
        deployment: DeploymentId::from_bytes([0x11; 16]),
        tenant: TenantId::from_bytes([0x22; 16]),
    }
}

/// 2026-11-23T09:00:00Z and `seconds` later.
pub(crate) fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_424_400_000_000).plus_seconds(seconds)
}

pub(crate) fn actor() -> Actor {
    Actor {
        kind: ActorKind::ApiKey,
        id: "key_00000000000000000000000000000000".to_owned(),
        name: "Example Scheduling Bot".to_owned(),
    }
}

pub(crate) fn opened() -> Event {
    Event::LogOpened {
        deployment: log().deployment,
        tenant: log().tenant,
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: "example+00000000+AA==".to_owned(),
    }
}

pub(crate) fn started() -> Event {
    Event::Started { actor: actor(), version: "0.1.0".to_owned() }
}

pub(crate) fn exchange(n: u8) -> ExchangeId {
    ExchangeId::from_bytes([n; 16])
}

pub(crate) fn about(n: u8) -> About {
    About {
        exchange: exchange(n),
        actor: actor(),
        surface: "api".to_owned(),
        purpose: Some("treatment".to_owned()),
        conversation: None,
        api: "chat.completions".to_owned(),
        stream: true,
        route: Some("default".to_owned()),
        policy: Some(Hash::of(b"policy")),
        detector: Some("phi 0.1.0".to_owned()),
        findings: [("name".to_owned(), 2), ("date".to_owned(), 1)].into(),
        treatments: [("name".to_owned(), "tokenized".to_owned())].into(),
        categories: Vec::new(),
        decision: Some("tokenized".to_owned()),
        rules: vec!["rule-7".to_owned()],
        destination: Some("local".to_owned()),
        path: vec![Cover {
            hop: "local".to_owned(),
            by: CoverKind::Inside,
            id: None,
            region: None,
        }],
        considered: [].into(),
        retry_of: None,
        previous: None,
        prompt: Some(Hash::of(&[n])),
        key_day: Some(time(0).day()),
        patient: Some(Hash::of(b"patient")),
        decided: Some(time(0)),
        minimum: [].into(),
        removed: [].into(),
        alert: None,
        reduced_by: None,
        capabilities: [("local".to_owned(), "images".to_owned())].into(),
        batch: None,
    }
}

pub(crate) fn intent(n: u8) -> Event {
    Event::Intent(Box::new(Intent {
        about: about(n),
        surrogates: Surrogates { minted: 2, read: 0 },
    }))
}

pub(crate) fn outcome(n: u8, intent: u64) -> Event {
    Event::Outcome(Box::new(Outcome {
        about: about(n),
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: Some(intent),
        reply: Some(ReplyContent {
            windows: 1,
            digest: Hash::of(&[n, 1]),
            bytes: 120,
            restored: 2,
            unknown: 0,
            findings: [("name".to_owned(), 2)].into(),
        }),
        upstream_request: Some("req-example".to_owned()),
        usage: Some(Usage { prompt: 30, completion: 20 }),
    }))
}
