//! A synthetic log of 20 records, and bundles made of it.

use ledger::bundle::{FORMAT, Listed, ListedBlobs, Manifest, Subject, Writer};
use ledger::checkpoint::{Checkpoint, Signer};
use ledger::seal::{ContentKey, Place};
use ledger::tree::{Frontier, leaf_hash};
use ledger::verify::{Trust, Verdict, Verification};
use ledger::{
    About, Actor, ActorKind, Blob, BlobPart, Cover, CoverKind, Day, DeploymentId, Entropy, Event,
    ExchangeId, Hash, Head, Intent, LogId, Outcome, Record, ReplyContent, Surrogates, TenantId,
    Time, Usage,
};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that depend on a seed and a counter only.
pub(crate) struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
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

pub(crate) fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_424_400_000_000).plus_seconds(seconds)
}

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&log().to_string(), &[7; 32]).unwrap()
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
        verifier_key: signer().verifier_key(),
    }
}

pub(crate) fn started() -> Event {
    Event::Started { actor: actor(), version: "0.1.0".to_owned() }
}

pub(crate) fn exchange(n: u8) -> ExchangeId {
    ExchangeId::from_bytes([n; 16])
}

/// The sealed content of exchange `n`: a prompt and two windows.
pub(crate) fn blobs(n: u8) -> Vec<Blob> {
    let key = ContentKey::generate(time(0), &Seeded::new(1));
    let seal = |part| {
        let place = Place { log: log(), exchange: exchange(n), part };
        key.seal(&place, format!("synthetic {n} {part:?}").as_bytes(), &Seeded::new(n.into()))
    };
    [BlobPart::Prompt, BlobPart::Window(0), BlobPart::Window(1)].map(seal).to_vec()
}

/// The day of the keys of exchange `n`: each has another one, all of them long ago.
pub(crate) fn day(n: u8) -> Day {
    time(0).day().plus_days(i64::from(n) - 100)
}

fn about(n: u8) -> About {
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
        findings: [("name".to_owned(), 2)].into(),
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
        prompt: Some(blobs(n)[0].digest()),
        key_day: Some(day(n)),
        patient: None,
        decided: None,
        minimum: [].into(),
        removed: [].into(),
        alert: None,
        reduced_by: None,
        capabilities: [].into(),
        batch: None,
    }
}

pub(crate) fn intent(n: u8) -> Event {
    let surrogates = Surrogates { minted: 2, read: 0 };
    Event::Intent(Box::new(Intent { about: about(n), surrogates }))
}

pub(crate) fn outcome(n: u8, intent: u64) -> Event {
    let windows: Vec<_> = blobs(n)[1..].iter().map(Blob::digest).collect();
    Event::Outcome(Box::new(Outcome {
        about: about(n),
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: Some(intent),
        reply: Some(ReplyContent {
            windows: 2,
            digest: Hash::of_all(windows.iter().map(|digest| &digest.as_bytes()[..])),
            bytes: 120,
            restored: 2,
            unknown: 0,
            findings: [("name".to_owned(), 2)].into(),
        }),
        upstream_request: Some("req-example".to_owned()),
        usage: Some(Usage { prompt: 30, completion: 20 }),
    }))
}

/// log.opened, service.started, then nine exchanges: 20 records.
pub(crate) fn events() -> Vec<Event> {
    let mut events = vec![opened(), started()];
    for n in 1..=9 {
        let at = events.len() as u64;
        events.extend([intent(n), outcome(n, at)]);
    }
    events
}

/// Seals events as one log.
pub(crate) fn seal(events: Vec<Event>) -> Vec<Vec<u8>> {
    let mut head = Head::new();
    let seal = |(n, event)| head.seal_next(log(), time(n), event).unwrap().bytes;
    (0..).zip(events).map(seal).collect()
}

static RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seal(events()));

pub(crate) fn records() -> Vec<Vec<u8>> {
    RECORDS.clone()
}

/// The signed checkpoint of the first `size` records.
pub(crate) fn note(records: &[Vec<u8>], size: usize) -> String {
    let mut frontier = Frontier::default();
    for record in &records[..size] {
        frontier.push(leaf_hash(record));
    }
    let checkpoint =
        Checkpoint { origin: log().to_string(), size: size as u64, root: frontier.root() };
    signer().sign(&checkpoint)
}

pub(crate) fn lines(records: &[Vec<u8>]) -> Vec<u8> {
    records.iter().flat_map(|record| [record, &b"\n"[..]].concat()).collect()
}

/// A record of this log at any place, as a forger would make it.
pub(crate) fn forged(seq: u64, prev: Hash) -> Vec<u8> {
    Record { v: 1, log: log(), seq, prev, time: time(0), event: started() }.to_bytes()
}

/// Verifies records and a checkpoint under a manifest that an attacker has made to fit.
pub(crate) fn verify_lines(records: &[u8], note: &str, trust: Trust) -> Verdict {
    let listed = |name: &str, bytes: &[u8], sha256| Listed {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256,
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        log: log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: records.split_inclusive(|byte| *byte == b'\n').count() as u64,
        created: time(0),
        files: vec![
            listed("checkpoint", note.as_bytes(), Some(Hash::of(note.as_bytes()))),
            listed("records.jsonl", records, None),
        ],
        blobs: ListedBlobs { count: 0, size: 0, sha256: Hash::of(b"") },
    };
    let mut verification = Verification::new(trust);
    for (name, mut bytes) in [
        ("checkpoint", note.as_bytes()),
        ("records.jsonl", records),
        ("manifest.json", &manifest.to_bytes()),
    ] {
        verification.file(name, &mut bytes).unwrap();
    }
    verification.finish()
}

/// The writer of a bundle of these records.
pub(crate) fn writer(records: &[Vec<u8>]) -> Writer<Vec<u8>> {
    let subject = Subject {
        log: log(),
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer().verifier_key(),
        records: records.len() as u64,
        pruned: 0,
        record_bytes: records.iter().map(|record| record.len() as u64).sum(),
        created: time(100),
    };
    Writer::new(Vec::new(), subject, &note(records, records.len())).unwrap()
}

/// A whole bundle as the exporter writes it.
pub(crate) fn bundle(records: &[Vec<u8>], blobs: &[Blob], earlier: &[usize]) -> Vec<u8> {
    let mut writer = writer(records);
    for size in earlier {
        writer.earlier_checkpoint(*size as u64, &note(records, *size)).unwrap();
    }
    for blob in blobs {
        writer.blob(blob).unwrap();
    }
    for record in records {
        writer.record(record).unwrap();
    }
    writer.finish().unwrap()
}

/// Verifies a tar as the binary does.
pub(crate) fn verify_tar(tar: &[u8], trust: Trust) -> Verdict {
    let mut verification = Verification::new(trust);
    if let Err(error) =
        ledger::bundle::each_file(tar, |name, content| verification.file(name, content))
    {
        verification.damaged(&error.to_string());
    }
    verification.finish()
}
