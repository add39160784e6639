//! What a durable append costs on this machine: `cargo run --release -p store --example append_cost
//! [WRITERS]...`
//!
//! Appends records of an ordinary size, each with a sealed prompt of 1 KiB, from 1 and from 64 tasks
//! into a scratch folder under the current one, and sets them against bare `fdatasync` there. CPU is
//! that of the whole process, user and system.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use ledger::seal::{KeySet, Place};
use ledger::{
    About, Actor, ActorKind, BlobPart, ConversationId, Cover, CoverKind, DeploymentId, Entropy,
    Entry, Event, ExchangeId, Hash, Intent, Journal, LogId, Outcome, Surrogates, TenantId, Time,
    WrappedUnit,
};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Store;
use tokio::task::JoinSet;
use tokio::time::Instant;

const SECONDS: u64 = 3;
/// Linux counts CPU time of a process in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([9; 16]);
const TENANT: TenantId = TenantId::from_bytes([7; 16]);

/// Distinct, not unpredictable.
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for (to, from) in chunk.iter_mut().zip(number.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    measure_disk(folder.path());
    let asked: Vec<u32> =
        std::env::args().skip(1).map(|writers| writers.parse().unwrap()).collect();
    for writers in if asked.is_empty() { vec![1, 64] } else { asked } {
        measure(&folder.path().join(writers.to_string()), writers).await;
    }
}

fn measure_disk(folder: &Path) {
    let path = folder.join("fdatasync");
    let mut file = OpenOptions::new().create_new(true).write(true).open(path).unwrap();
    file.write_all(&vec![0; 4 << 20]).unwrap();
    file.sync_all().unwrap();
    let (begin, cpu, mut count) = (Instant::now(), cpu_seconds(), 0_u32);
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        file.seek(SeekFrom::Start(u64::from(count % 1024) * 4096)).unwrap();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    let (count, cpu) = (f64::from(count), cpu_seconds() - cpu);
    println!(
        "bare fdatasync of 4 KiB: {:.0}/s, CPU {:.1} us each",
        count / begin.elapsed().as_secs_f64(),
        cpu * 1e6 / count,
    );
}

async fn measure(folder: &Path, writers: u32) {
    let entropy = Arc::new(Counter(AtomicU64::new(1)));
    let store = Store::create(folder, DEPLOYMENT).unwrap();
    let shelf = KeySet::generate(now(), now().day(), &*entropy);
    let key = KeySet::generate(now(), now().day(), &*entropy);
    let unit = WrappedUnit {
        id: key.id(),
        shelf: shelf.id(),
        conversation: None,
        keys: key.wrapped_by(&shelf, &*entropy),
    };
    let opened = Event::Started { actor: actor(), version: "0".into() };
    let opened = Entry { unit: Some(unit), ..Entry::bare(now(), opened) };
    store.add_tenant(TENANT, "Example", opened).await.unwrap();

    let key = Arc::new(key);
    let (begin, cpu, commits) = (Instant::now(), cpu_seconds(), store.commits());
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (tenant, key, entropy) = (store.tenant(TENANT), Arc::clone(&key), Arc::clone(&entropy));
        tasks.spawn(async move {
            let mut appends = 0_u32;
            while begin.elapsed() < Duration::from_secs(SECONDS) {
                // Ids are ordered by time, which keeps their indexes compact.
                let micros = i64::try_from(begin.elapsed().as_micros()).unwrap();
                let minted = Time::from_micros(now().as_micros() + micros);
                let (intent, exchange) = intent(minted, &key, &*entropy);
                let receipt = tenant.append(intent).await.unwrap();
                tenant.append(outcome(exchange, receipt.seq)).await.unwrap();
                appends += 2;
            }
            appends
        });
    }
    let appends = f64::from(tasks.join_all().await.iter().sum::<u32>());
    let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let commits = f64::from(u32::try_from(store.commits() - commits).unwrap());
    println!(
        "{writers:>2} writers: {:.0} appends/s, {:.0} commits/s, {:.1} appends per commit, CPU {:.1} us per append",
        appends / elapsed,
        commits / elapsed,
        appends / commits,
        cpu * 1e6 / appends,
    );
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_PER_SECOND
}

const fn now() -> Time {
    Time::from_micros(1_795_000_000_000_000)
}

fn actor() -> Actor {
    Actor {
        kind: ActorKind::ApiKey,
        id: "key_0193567a0193567a0193567a0193567a".into(),
        name: "program-a".into(),
    }
}

fn intent(minted: Time, key: &KeySet, entropy: &dyn Entropy) -> (Entry, ExchangeId) {
    let exchange = ExchangeId::mint(minted, entropy);
    let log = LogId { deployment: DEPLOYMENT, tenant: TENANT };
    let blob = key.seal(&Place { log, exchange, part: BlobPart::Prompt }, &[b'x'; 1024], entropy);
    let mut about = about(exchange);
    about.prompt = Some(blob.digest());
    let intent = Intent { about, surrogates: Surrogates { minted: 5, read: 0 } };
    let mut entry = Entry::bare(now(), Event::Intent(Box::new(intent)));
    entry.blobs.push(blob);
    (entry, exchange)
}

fn outcome(exchange: ExchangeId, intent: u64) -> Entry {
    let outcome = Outcome {
        about: about(exchange),
        outcome: "answered".into(),
        code: None,
        reason: None,
        intent: Some(intent),
        reply: None,
        upstream_request: Some("chatcmpl-0123456789".into()),
        usage: None,
    };
    Entry::bare(now(), Event::Outcome(Box::new(outcome)))
}

fn about(exchange: ExchangeId) -> About {
    let classes = ["date", "mrn", "name", "phone"];
    About {
        exchange,
        actor: actor(),
        surface: "api".into(),
        purpose: Some("treatment".into()),
        conversation: Some(ConversationId::from_bytes([4; 16])),
        api: "chat.completions".into(),
        stream: true,
        route: Some("clinical".into()),
        policy: Some(Hash::of(b"policy")),
        detector: Some("bulla-phi 0.1.0".into()),
        findings: classes.map(|class| (class.into(), 2)).into(),
        treatments: classes.map(|class| (class.into(), "tokenized".into())).into(),
        categories: Vec::new(),
        decision: Some("tokenized".into()),
        rules: vec!["tokenize-for-treatment".into()],
        destination: Some("example-cloud".into()),
        path: ["hosting", "gateway", "model"]
            .map(|hop| Cover {
                hop: hop.into(),
                by: CoverKind::Agreement,
                id: Some("baa-example-2026".into()),
                region: Some("us-east".into()),
            })
            .into(),
        considered: [].into(),
        retry_of: None,
        previous: None,
        prompt: None,
        key_day: None,
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
