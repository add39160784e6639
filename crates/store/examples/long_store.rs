//! What the length of a log costs: `cargo run --release -p store --example long_store [RECORDS]`.
//!
//! Fills a scratch folder under the current one with small records, and at each tenfold says how long
//! the store takes to open, how much memory the process holds, and how long proofs take and how many
//! hashes they have. None of it may grow with the log but the proofs, by one hash for each doubling.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use ledger::checkpoint::Signer;
use ledger::proof::check_inclusion;
use ledger::tree::leaf_hash;
use ledger::{Actor, ActorKind, DeploymentId, Entry, Event, Journal, LogId, TenantId, Time};
use std::path::Path;
use std::time::Duration;
use store::Store;
use tokio::task::JoinSet;
use tokio::time::Instant;

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([9; 16]);
const TENANT: TenantId = TenantId::from_bytes([7; 16]);
/// Appends that wait for one commit: as many as it takes.
const WRITERS: u64 = 2000;
/// Proofs of records all over the log.
const PROOFS: u64 = 1000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let most: u64 = std::env::args().nth(1).map_or(100_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("data");
    let store = Store::create(&path, DEPLOYMENT).unwrap();
    store.add_tenant(TENANT, "Example", entry()).await.unwrap();
    drop(store);
    println!("| records | appends/s | open ms | memory MB | database MB | proof us | hashes |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let mut size = 1000;
    while size <= most {
        row(&path, size).await;
        size *= 10;
    }
}

async fn row(path: &Path, size: u64) {
    let begun = Instant::now();
    let store = Store::open(path).unwrap();
    let open = begun.elapsed();
    let tenant = store.tenant(TENANT);
    let missing = size - tenant.head().await.unwrap().size();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let tenant = tenant.clone();
        let share = missing / WRITERS + u64::from(writer < missing % WRITERS);
        tasks.spawn(async move {
            for _ in 0..share {
                tenant.append(entry()).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let appends = per_second(missing, begun.elapsed());
    let log = LogId { deployment: DEPLOYMENT, tenant: TENANT };
    let signer = Signer::from_seed(&log.to_string(), &[3; 32]).unwrap();
    tenant.publish_checkpoint(&signer).await.unwrap();
    let root = tenant.last_checkpoint().await.unwrap().unwrap().root;
    let (mut spent, mut hashes) = (Duration::ZERO, 0);
    for n in 0..PROOFS {
        let seq = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let begun = Instant::now();
        let path = tenant.inclusion(seq, size).await.unwrap().unwrap();
        spent += begun.elapsed();
        hashes = path.len();
        if n % 100 == 0 {
            let leaf = leaf_hash(&tenant.record(seq).await.unwrap().unwrap());
            check_inclusion(&leaf, seq, size, &path, &root).unwrap();
        }
    }
    println!(
        "| {size} | {appends:.0} | {:.1} | {:.0} | {:.0} | {:.0} | {hashes} |",
        open.as_secs_f64() * 1e3,
        resident_megabytes(),
        megabytes(std::fs::metadata(path.join("bulla.db")).unwrap().len()),
        spent.as_secs_f64() * 1e6 / per_second(PROOFS, Duration::from_secs(1)),
    );
}

#[expect(clippy::cast_precision_loss, reason = "shown to three digits")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn megabytes(bytes: u64) -> f64 {
    per_second(bytes, Duration::from_secs(1_000_000))
}

fn resident_megabytes() -> f64 {
    const PAGE_BYTES: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    megabytes(text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE_BYTES)
}

const fn time() -> Time {
    Time::from_micros(1_795_000_000_000_000)
}

fn entry() -> Entry {
    let actor = Actor { kind: ActorKind::System, id: "bench".into(), name: "bench".into() };
    Entry::bare(time(), Event::Started { actor, version: "0".into() })
}
