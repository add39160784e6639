//! What a search costs: `cargo run --release -p store --example search_cost [RECORDS]`.
//!
//! Fills a scratch folder under the current one with records of twenty busy programs, ten a second, and
//! one of a rare program in every ten thousand. Then it searches by the rare one, by a busy one, by an
//! hour, and by all of it, with the index and without, and says how many records were read for it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use ledger::{
    Actor, ActorKind, DeploymentId, Entry, Event, ExchangeId, Journal, Record, TenantId, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Sought, Store, Tenant, Term};
use tokio::task::JoinSet;
use tokio::time::Instant;

const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([9; 16]);
const TENANT: TenantId = TenantId::from_bytes([7; 16]);
/// Appends that wait for one commit.
const WRITERS: u64 = 2000;
/// Programs that write most of the records.
const BUSY: u64 = 20;
/// Every so many records one is of the rare program.
const RARE: u64 = 10_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let records: u64 = std::env::args().nth(1).map_or(100_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = folder.path().join("data");
    let store = Store::create(&path, DEPLOYMENT).unwrap();
    store.add_tenant(TENANT, "Example", entry(0)).await.unwrap();
    let tenant = store.tenant(TENANT);
    let begun = Instant::now();
    fill(&tenant, records).await;
    let seconds = begun.elapsed().as_secs_f64();
    let size = std::fs::metadata(path.join("bulla.db")).unwrap().len();
    println!("{records} records, {seconds:.0} s, {} MB", size >> 20);
    println!("| search | found | read | ms |");
    println!("|---|---:|---:|---:|");
    let who = |name: &str| vec![Term::who(name)];
    let hour = Some((at(records / 2), at(records / 2 + 36_000)));
    search(&tenant, "a rare owner", who("rare"), None, false).await;
    search(&tenant, "a rare owner in an hour", who("rare"), hour, false).await;
    search(&tenant, "a busy owner in an hour", who("busy 3"), hour, false).await;
    search(&tenant, "an hour", Vec::new(), hour, false).await;
    search(&tenant, "one exchange", vec![Term::exchange(exchange(records / 3))], None, false).await;
    search(&tenant, "a busy owner", who("busy 3"), None, false).await;
    search(&tenant, "a rare owner, no index", who("rare"), None, true).await;
}

async fn fill(tenant: &Tenant, records: u64) {
    let next = Arc::new(AtomicU64::new(1));
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (tenant, next) = (tenant.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > records {
                    break;
                }
                tenant.append(entry(number)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

async fn search(
    tenant: &Tenant,
    what: &str,
    terms: Vec<Term>,
    hours: Option<(Time, Time)>,
    scan: bool,
) {
    let wanted = terms.clone();
    let (since, until) = (hours.map(|hours| hours.0), hours.map(|hours| hours.1));
    let sought = Sought { terms, since, until, scan };
    let size = tenant.head().await.unwrap().size();
    let begun = Instant::now();
    let (mut found, mut read, mut next) = (0_u64, 0, Some(0));
    while let Some(from) = next {
        let candidates = tenant.candidates(&sought, from, size).await.unwrap();
        read += candidates.records.len();
        for (_, bytes) in candidates.records {
            let record = Record::from_bytes(&bytes).unwrap();
            let inside = hours.is_none_or(|(from, to)| (from..to).contains(&record.time));
            let is = |term: &Term| {
                record.event.actor().is_some_and(|actor| Term::who(&actor.name) == *term)
                    || record.event.exchange().is_some_and(|it| Term::exchange(it) == *term)
            };
            found += u64::from(inside && wanted.iter().all(is));
        }
        next = candidates.next;
    }
    println!("| {what} | {found} | {read} | {:.1} |", begun.elapsed().as_secs_f64() * 1e3);
}

/// Ten records a second.
fn at(number: u64) -> Time {
    let tenths = i64::try_from(number).unwrap();
    Time::from_micros(1_795_000_000_000_000 + tenths * 100_000)
}

fn exchange(number: u64) -> ExchangeId {
    ExchangeId::from_bytes((u128::from(number) << 64).to_be_bytes())
}

fn entry(number: u64) -> Entry {
    let name = if number.is_multiple_of(RARE) {
        "rare".to_owned()
    } else {
        format!("busy {}", number % BUSY)
    };
    let actor = Actor { kind: ActorKind::ApiKey, id: format!("key of {name}"), name };
    let (exchange, reason) = (exchange(number), "auditor".to_owned());
    Entry::bare(at(number), Event::ContentRead { actor, exchange, reason })
}
