//! What a record and a sealed prompt cost in CPU time on this machine:
//! `cargo run --release -p ledger --example write_cost`.
//!
//! Each line is the mean over one repetition after the other for about a second, by the CPU time of
//! this process, user and system, so that a busy machine does not spoil it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use ledger::seal::{ContentKey, Place};
use ledger::tree::leaf_hash;
use ledger::{
    About, Actor, ActorKind, BlobPart, ConversationId, Cover, CoverKind, DeploymentId, Entropy,
    Event, ExchangeId, Hash, Head, Intent, LogId, Outcome, RECORD_VERSION, Record, ReplyContent,
    Surrogates, TenantId, Time, Usage,
};
use std::hint::black_box;

/// Linux counts CPU time of a process in hundredths of a second.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;
const TICKS_PER_LINE: u64 = 100;
/// Repetitions between two looks at the counter.
const BATCH: u64 = 2000;
const LOG: LogId = LogId {
    deployment: DeploymentId::from_bytes([0x11; 16]),
    tenant: TenantId::from_bytes([0x22; 16]),
};

/// Randomness as the server draws it.
struct Library;

impl Entropy for Library {
    #[expect(clippy::disallowed_methods, reason = "the draw is a part of what is measured")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).unwrap();
    }
}

fn main() {
    for (name, event) in [("intent", intent()), ("outcome", outcome())] {
        let record = Record {
            v: RECORD_VERSION,
            log: LOG,
            seq: 1_234_567,
            prev: Hash::of(b"before"),
            time: time(),
            event: event.clone(),
        };
        let bytes = record.to_bytes();
        println!("{name}: {} bytes", bytes.len());
        each("  clone of the event", || event.clone());
        each("  bytes", || record.to_bytes());
        each("  leaf hash", || leaf_hash(&bytes));
        let mut head = Head::new();
        each("  clone, bytes, leaf hash, tree", || head.seal_next(LOG, time(), &event).unwrap());
        each("  read back and checked", || ledger::is_canonical(&bytes));
    }
    let key = ContentKey::generate(time(), &Library);
    let exchange = ExchangeId::mint(time(), &Library);
    let place = Place { log: LOG, exchange, part: BlobPart::Prompt };
    for length in [0, 1024, 16 * 1024] {
        let text = vec![b'x'; length];
        let blob = key.seal(&place, &text, &Library);
        println!("content of {length} bytes");
        each("  sealed", || key.seal(&place, &text, &Library));
        each("  opened", || key.open(&place, &blob).unwrap());
        each("  digest", || blob.digest());
    }
    println!("a key of a conversation");
    each("  made", || ContentKey::generate(time(), &Library));
    let child = ContentKey::generate(time(), &Library);
    let wrapped = key.wrap(&child, "prompts", &Library);
    each("  wrapped", || key.wrap(&child, "prompts", &Library));
    each("  unwrapped", || key.unwrap(child.id(), "prompts", &wrapped).unwrap());
    println!("one surrogate");
    each("  sealed", || key.seal_small("a binding of ordinary length", &[7; 40], &Library));
    each("  32 random bytes", || Library.fill(black_box(&mut [0; 32])));
}

/// Measures `once`, with what its result costs to drop.
fn each<T>(name: &str, mut once: impl FnMut() -> T) {
    let (begin, mut count) = (cpu_ticks(), 0);
    while cpu_ticks() < begin + TICKS_PER_LINE {
        for _ in 0..BATCH {
            black_box(once());
        }
        count += BATCH;
    }
    println!("{name:32} {:>7} ns", (cpu_ticks() - begin) * NANOSECONDS_PER_TICK / count);
}

/// User and system time of this process: fields 14 and 15 of proc(5) `stat`.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

fn time() -> Time {
    Time::from_micros(1_795_424_400_123_456)
}

fn about() -> About {
    About {
        purpose: Some("treatment".to_owned()),
        conversation: Some(ConversationId::from_bytes([0x44; 16])),
        route: Some("default".to_owned()),
        policy: Some(Hash::of(b"policy")),
        detector: Some("phi 0.1.0".to_owned()),
        findings: [("date", 1), ("name", 2), ("phone", 1), ("record_number", 1)]
            .map(|(class, count)| (class.to_owned(), count))
            .into(),
        treatments: ["date", "name", "phone", "record_number"]
            .map(|class| (class.to_owned(), "tokenized".to_owned()))
            .into(),
        decision: Some("tokenized".to_owned()),
        rules: vec!["treatment-to-cloud".to_owned()],
        destination: Some("example-cloud".to_owned()),
        path: vec![Cover {
            hop: "example-cloud-chat".to_owned(),
            by: CoverKind::Agreement,
            id: Some("baa-example-2026".to_owned()),
            region: Some("us-east".to_owned()),
        }],
        prompt: Some(Hash::of(b"prompt")),
        key_day: Some(time().day()),
        decided: Some(time()),
        ..About::of(
            ExchangeId::from_bytes([0x33; 16]),
            Actor {
                kind: ActorKind::ApiKey,
                id: "key_00000000000000000000000000000000".to_owned(),
                name: "Example Scheduling Bot".to_owned(),
            },
            "api",
            "chat.completions",
        )
    }
}

fn intent() -> Event {
    let surrogates = Surrogates { minted: 5, read: 0 };
    Event::Intent(Box::new(Intent { about: about(), surrogates }))
}

fn outcome() -> Event {
    Event::Outcome(Box::new(Outcome {
        about: about(),
        outcome: "answered".to_owned(),
        code: None,
        reason: None,
        intent: Some(1_234_566),
        reply: Some(ReplyContent {
            windows: 1,
            digest: Hash::of(b"reply"),
            bytes: 512,
            restored: 5,
            unknown: 0,
            findings: [("name".to_owned(), 2)].into(),
        }),
        upstream_request: Some("req-example-0123456789".to_owned()),
        usage: Some(Usage { prompt: 130, completion: 120 }),
    }))
}
