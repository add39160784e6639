//! Writes a bundle of many synthetic records, to measure verification with:
//! `cargo run --release -p ledger --example long_log -- FILE COUNT`, then
//! `time bulla-verify FILE`.

use ledger::bundle::{Subject, Writer};
use ledger::checkpoint::{Checkpoint, Signer};
use ledger::{
    About, Actor, ActorKind, Appended, Cover, CoverKind, DeploymentId, Event, ExchangeId, Hash,
    Head, Intent, LogId, Outcome, ReplyContent, Surrogates, TenantId, Time, Usage,
};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("usage: long_log FILE COUNT".into());
    };
    let count: u64 = count.parse()?;
    let log = LogId {
        deployment: DeploymentId::from_bytes([0x11; 16]),
        tenant: TenantId::from_bytes([0x22; 16]),
    };
    let signer = Signer::from_seed(&log.to_string(), &[7; 32])?;
    // Two passes, because a tar states the length of a file before it.
    let mut record_bytes = 0;
    let head = each_record(log, &signer, count, |record| {
        record_bytes += record.bytes.len() as u64;
        Ok(())
    })?;
    let subject = Subject {
        log,
        organisation: "Example Clinic (synthetic)".to_owned(),
        verifier_key: signer.verifier_key(),
        records: count,
        pruned: 0,
        record_bytes,
        created: time(0),
    };
    let checkpoint = Checkpoint { origin: log.to_string(), size: head.size(), root: head.root() };
    let out = BufWriter::new(File::create(path)?);
    let mut writer = Writer::new(out, subject, &signer.sign(&checkpoint))?;
    each_record(log, &signer, count, |record| Ok(writer.record(&record.bytes)?))?;
    writer.finish()?;
    writeln!(std::io::stdout(), "{count} records of {} bytes", record_bytes / count.max(1))?;
    Ok(())
}

fn time(n: u64) -> Time {
    Time::from_micros(1_795_424_400_000_000 + i64::try_from(n).unwrap_or(0))
}

fn each_record(
    log: LogId,
    signer: &Signer,
    count: u64,
    mut visit: impl FnMut(&Appended) -> Result<(), Box<dyn Error>>,
) -> Result<Head, Box<dyn Error>> {
    let mut head = Head::new();
    for n in 0..count {
        let event = match n {
            0 => Event::LogOpened {
                deployment: log.deployment,
                tenant: log.tenant,
                organisation: "Example Clinic (synthetic)".to_owned(),
                verifier_key: signer.verifier_key(),
            },
            _ if n % 2 == 1 => Event::Intent(Box::new(Intent {
                about: about(n),
                surrogates: Surrogates { minted: 2, read: 0 },
            })),
            _ => outcome(n),
        };
        visit(&head.seal_next(log, time(n), event)?)?;
    }
    Ok(head)
}

fn about(n: u64) -> About {
    let mut exchange = [0; 16];
    exchange.iter_mut().zip(n.div_ceil(2).to_be_bytes()).for_each(|(to, from)| *to = from);
    About {
        exchange: ExchangeId::from_bytes(exchange),
        actor: Actor {
            kind: ActorKind::ApiKey,
            id: "key_00000000000000000000000000000000".to_owned(),
            name: "Example Bot".to_owned(),
        },
        surface: "api".to_owned(),
        purpose: Some("treatment".to_owned()),
        conversation: None,
        api: "chat.completions".to_owned(),
        stream: true,
        route: None,
        policy: Some(Hash::ZERO),
        detector: Some("phi 0.1.0".to_owned()),
        findings: [("name".to_owned(), 2)].into(),
        treatments: [("name".to_owned(), "tokenized".to_owned())].into(),
        categories: Vec::new(),
        decision: Some("tokenized".to_owned()),
        rules: vec![],
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
        prompt: Some(Hash::of(&n.div_ceil(2).to_be_bytes())),
        key_day: Some(Time::from_micros(0).day()),
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

fn outcome(n: u64) -> Event {
    Event::Outcome(Box::new(Outcome {
        about: about(n),
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: Some(n - 1),
        reply: Some(ReplyContent {
            windows: 1,
            digest: Hash::of(&n.to_be_bytes()),
            bytes: 120,
            restored: 2,
            unknown: 0,
            findings: std::collections::BTreeMap::new(),
        }),
        upstream_request: None,
        usage: Some(Usage { prompt: 30, completion: 20 }),
    }))
}
