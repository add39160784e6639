//! The index leaves nothing out, whatever happens to the log or to the clock; tiles rebuild the tree.

use crate::support::{DEPLOYMENT, House, TENANT, sql, time};
use ledger::proof::{TILE_WIDTH, Tiles, check_inclusion, inclusion, root};
use ledger::tree::{Frontier, leaf_hash};
use ledger::{Actor, ActorKind, Entry, Event, Hash, Journal as _, Record};
use std::convert::Infallible;
use store::{Sought, Store, Tenant, Term};
use tokio::task::JoinSet;

fn by(name: &str) -> Actor {
    Actor { kind: ActorKind::ApiKey, id: format!("key of {name}"), name: name.to_owned() }
}

fn entry(seconds: i64, name: &str) -> Entry {
    Entry::bare(time(seconds), Event::Started { actor: by(name), version: "0".to_owned() })
}

/// Appends `count` records of one actor, many at a time.
async fn fill(tenant: &Tenant, count: u64, seconds: i64, name: &str) {
    const WRITERS: u64 = 256;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        let share = count / WRITERS + u64::from(writer < count % WRITERS);
        tasks.spawn(async move {
            for _ in 0..share {
                tenant.append(entry(seconds, &name)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

/// Positions of the records that are by somebody, and of all records that were read for it.
async fn by_name(tenant: &Tenant, sought: &Sought, name: &str) -> (Vec<u64>, usize) {
    let size = tenant.head().await.unwrap().size();
    let (mut found, mut read, mut next) = (Vec::new(), 0, Some(0));
    while let Some(from) = next {
        let candidates = tenant.candidates(sought, from, size).await.unwrap();
        assert!(candidates.next.is_none_or(|next| next > from), "it goes on");
        read += candidates.records.len();
        for (seq, bytes) in candidates.records {
            let event = Record::from_bytes(&bytes).unwrap().event;
            if event.actor().is_some_and(|actor| actor.name == name) {
                found.push(seq);
            }
        }
        next = candidates.next;
    }
    (found, read)
}

fn terms(names: &[&str]) -> Sought {
    Sought { terms: names.iter().map(|name| Term::who(name)).collect(), ..Sought::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_few_records_is_found_without_reading_the_rest() {
    let house = House::new().await;
    let tenant = &house.tenant;
    fill(tenant, 3000, 0, "busy").await;
    let rare = tenant.append(entry(0, "rare")).await.unwrap().seq;
    fill(tenant, 3000, 600, "busy").await;
    let again = tenant.append(entry(1200, "rare")).await.unwrap().seq;

    let (found, read) = by_name(tenant, &terms(&["rare"]), "rare").await;
    assert_eq!(found, [rare, again]);
    assert!(read <= 512, "{read} records were read");
    let (found, read) = by_name(tenant, &terms(&["rare", "key of busy"]), "rare").await;
    assert!(found.len() <= 2 && read <= 512, "{found:?}, {read}");
    assert_eq!(by_name(tenant, &terms(&["nobody"]), "nobody").await, (vec![], 0));
    assert_eq!(by_name(tenant, &terms(&["nobody", "busy"]), "nobody").await, (vec![], 0));

    // Of a span of time, only its own blocks.
    let of = |since, until| Sought { since, until, ..Sought::default() };
    let (found, read) = by_name(tenant, &of(Some(time(1200)), None), "rare").await;
    assert_eq!(found, [again]);
    assert!(read <= 256, "{read} records were read");
    let (found, read) = by_name(tenant, &of(None, Some(time(0))), "rare").await;
    assert_eq!(found, [rare]);
    assert!(read < 3500, "{read} records were read");
    let (_, read) = by_name(tenant, &of(Some(time(90_000)), None), "rare").await;
    assert_eq!(read, 0);
    // Reading everything says the same.
    let scan = Sought { scan: true, ..terms(&["rare"]) };
    assert_eq!(by_name(tenant, &scan, "rare").await.0, [rare, again]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_hides_nothing() {
    let house = House::new().await;
    let tenant = &house.tenant;
    let mut written = Vec::new();
    for seconds in [0, 300, 301, -900, -899, 60, 3600, 0] {
        written.push((seconds, tenant.append(entry(seconds, "one")).await.unwrap().seq));
    }
    for (since, until) in [(-900, -899), (0, 1), (-1000, 61), (300, 4000), (61, 299), (0, 3601)] {
        let (from, to) = (time(since), time(until));
        let sought = Sought { since: Some(from), until: Some(to), ..Sought::default() };
        let (found, _) = by_name(tenant, &sought, "one").await;
        for (seconds, seq) in &written {
            if (since..until).contains(seconds) {
                assert!(found.contains(seq), "{seconds} between {since} and {until}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_and_a_failed_entry_leave_no_gap_in_the_index() {
    let house = House::new().await;
    let other = Store::open(house.path()).unwrap();
    let mut expected = Vec::new();
    for turn in 0..6 {
        let tenant = if turn % 2 == 0 { house.tenant.clone() } else { other.tenant(TENANT) };
        expected.push(tenant.append(entry(turn, "shared")).await.unwrap().seq);
        // What contradicts the log is rolled back, and with it what it would have indexed.
        let released = Event::HoldReleased {
            actor: by("shared"),
            hold: "none".to_owned(),
            authority: "none".to_owned(),
        };
        assert!(tenant.append(Entry::bare(time(turn), released)).await.is_err());
    }
    for store in [&house.store, &other] {
        assert_eq!(by_name(&store.tenant(TENANT), &terms(&["shared"]), "shared").await.0, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_from_before_the_index_are_found_too() {
    let house = House::new().await;
    fill(&house.tenant, 700, 0, "old").await;
    let old = house.tenant.append(entry(0, "rare")).await.unwrap().seq;
    let folder = house.close();
    // As a program of schema 5 left it.
    for text in [
        "DROP TABLE terms",
        "DROP TABLE minutes",
        "DROP TABLE unindexed",
        "DROP TABLE documents",
        "DROP TABLE spent",
        "DROP TABLE files",
        "DROP TABLE batches",
        "DROP TABLE batch_lines",
        "DROP TRIGGER records_are_not_deleted",
        "DROP TABLE prunings",
        "DROP TABLE pruned",
        "CREATE TRIGGER records_are_not_deleted BEFORE DELETE ON records
            BEGIN SELECT RAISE(ABORT, 'records are only appended'); END",
    ] {
        sql(folder.path(), text).unwrap();
    }
    sql(folder.path(), "ALTER TABLE api_keys DROP COLUMN role").unwrap();
    sql(folder.path(), "UPDATE meta SET schema_version = 5").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.deployment(), DEPLOYMENT);
    let tenant = store.tenant(TENANT);
    let new = tenant.append(entry(7200, "rare")).await.unwrap().seq;
    fill(&tenant, 700, 7200, "new").await;
    assert_eq!(by_name(&tenant, &terms(&["rare"]), "rare").await.0, [old, new]);
    let since = Sought { since: Some(time(7200)), ..terms(&["rare"]) };
    assert!(by_name(&tenant, &since, "rare").await.0.contains(&new));
    let until = Sought { until: Some(time(1)), ..terms(&["rare"]) };
    assert!(by_name(&tenant, &until, "rare").await.0.contains(&old));
}

/// A tree from tiles alone.
struct Rows(std::collections::BTreeMap<(u32, u64), Vec<Hash>>);

impl ledger::proof::Rows for &mut Rows {
    type Error = Infallible;
    fn row(&mut self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Infallible> {
        let row = &self.0[&(level, index)];
        assert_eq!(row.len() as u64, width);
        Ok(row.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_rebuild_the_root_of_every_size() {
    let house = House::new().await;
    let tenant = &house.tenant;
    for size in [1, 255, 256, 257, 65_535, 65_536, 65_537 + 300] {
        let head = tenant.head().await.unwrap();
        fill(tenant, size - head.size(), 0, "one").await;
        let head = tenant.head().await.unwrap();
        assert_eq!(head.size(), size);
        // Every tile that a client of this size would ask for, and no more hash than it has.
        let mut rows = std::collections::BTreeMap::new();
        for level in 0..3 {
            let all = size >> (8 * level);
            for index in 0..all.div_ceil(TILE_WIDTH) {
                let width = (all - index * TILE_WIDTH).min(TILE_WIDTH);
                rows.insert((level, index), tenant.tile(level, index, width).await.unwrap());
                if width < TILE_WIDTH {
                    assert!(tenant.tile(level, index, width + 1).await.is_err(), "{level} {index}");
                }
            }
            // Each level follows from the one below.
            if level > 0 {
                for (n, hash) in
                    rows.iter().filter(|((l, _), _)| *l == level).flat_map(|(_, r)| r).enumerate()
                {
                    let mut frontier = Frontier::default();
                    rows[&(level - 1, n as u64)].iter().for_each(|hash| frontier.push(*hash));
                    assert_eq!(*hash, frontier.root(), "{level} {n}");
                }
            }
        }
        let mut rows = Rows(rows);
        assert_eq!(root(&mut Tiles::new(&mut rows, size), size).unwrap(), head.root(), "{size}");
        for seq in [0, size / 2, size - 1] {
            let record = tenant.record(seq).await.unwrap().unwrap();
            let path = inclusion(&mut Tiles::new(&mut rows, size), seq, size).unwrap().unwrap();
            let leaf = leaf_hash(&record);
            assert_eq!(check_inclusion(&leaf, seq, size, &path, &head.root()), Ok(()));
        }
    }
}
