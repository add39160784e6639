//! Records whose time is over go; every root and proof stays.

use crate::support::{House, LOG, actor, intent, outcome, replay, signer, started, time};
use ledger::proof::{check_consistency, check_inclusion};
use ledger::{BlobPart, Entry, Event, Hash, Journal as _, Unrecorded};
use store::{Sought, Store, Term};

fn pruning(size: u64, root: Hash) -> Entry {
    let authority = "retention schedule".to_owned();
    Entry::bare(time(9), Event::Pruned { actor: actor(), size, root, authority, sha256: None })
}

/// A log of `count` records with an exchange at 1 and 2 that has content.
async fn house_with(count: u64) -> House {
    let house = House::new().await;
    let exchange = house.exchange();
    let entry = Entry { blobs: vec![house.blob(exchange, BlobPart::Prompt)], ..intent(exchange) };
    let begun = house.tenant.append(entry).await.unwrap();
    house.tenant.append(outcome(exchange, Some(begun.seq))).await.unwrap();
    while house.tenant.head().await.unwrap().size() < count {
        house.tenant.append(started()).await.unwrap();
    }
    assert_eq!(house.tenant.blobs(exchange).await.unwrap().len(), 1);
    house
}

async fn proofs_hold(house: &House, leaves: &[Hash]) {
    let tenant = &house.tenant;
    let size = leaves.len() as u64;
    let root = tenant.root(size).await.unwrap();
    for (seq, leaf) in (0..).zip(leaves) {
        let path = tenant.inclusion(seq, size).await.unwrap().unwrap();
        check_inclusion(leaf, seq, size, &path, &root).unwrap();
    }
    for old in [1, 2, 255, 256, 257, 300, size] {
        let proof = tenant.consistency(old, size).await.unwrap().unwrap();
        let former = tenant.root(old).await.unwrap();
        check_consistency((old, &former), (size, &root), &proof).unwrap();
    }
}

#[tokio::test]
async fn every_proof_holds_when_the_records_are_gone() {
    let house = house_with(600).await;
    let leaves = replay(&house.tenant).await;
    house.tenant.publish_checkpoint(&signer()).await.unwrap();
    for size in [2, 300, 512, 600] {
        let root = house.tenant.root(size).await.unwrap();
        house.tenant.append(pruning(size, root)).await.unwrap();
        let pruned = house.tenant.pruned().await.unwrap();
        assert!(pruned.size() == size && pruned.is_under_way());
        // What is recorded as pruned is not read any more, though its bytes are still there.
        assert_eq!(house.tenant.record(1).await.unwrap(), None);
        while house.tenant.prune().await.unwrap() > 0 {}
        assert!(!house.tenant.pruned().await.unwrap().is_under_way());

        proofs_hold(&house, &leaves).await;
        let mut seen = Vec::new();
        let mut next = 0;
        loop {
            let records = house.tenant.records_from(next, 1000).await.unwrap();
            let Some((last, _)) = records.last() else { break };
            next = last + 1;
            seen.extend(records.iter().map(|(seq, _)| *seq));
        }
        let end = house.tenant.head().await.unwrap().size();
        assert_eq!(seen, [0].into_iter().chain(size..end).collect::<Vec<_>>());
    }
    let tables = rusqlite::Connection::open(house.path().join("bulla.db")).unwrap();
    let count = |text: &str| tables.query_row(text, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM records WHERE seq BETWEEN 1 AND 599"), 0);
    assert_eq!(count("SELECT count(*) FROM blobs"), 0, "their content goes too");
    assert_eq!(count("SELECT count(*) FROM terms WHERE block < 2"), 0, "and their index");
    assert_eq!(count("SELECT count(*) FROM pruned"), 599);
    drop(tables);
    let folder = house.close();
    let store = Store::open(folder.path()).unwrap();
    store.tenant(LOG.tenant).publish_checkpoint(&signer()).await.unwrap();
}

#[tokio::test]
async fn a_pruning_that_was_cut_off_goes_on_after_a_restart() {
    let house = house_with(2500).await;
    let leaves = replay(&house.tenant).await;
    let root = house.tenant.root(2400).await.unwrap();
    house.tenant.append(pruning(2400, root)).await.unwrap();
    assert!((1..2399).contains(&house.tenant.prune().await.unwrap()));
    let folder = house.close();
    let store = Store::open(folder.path()).unwrap();
    let tenant = store.tenant(LOG.tenant);
    assert!(tenant.pruned().await.unwrap().is_under_way());
    assert_eq!(tenant.record(2399).await.unwrap(), None);
    while tenant.prune().await.unwrap() > 0 {}
    assert!(!tenant.pruned().await.unwrap().is_under_way());
    let mut kept = Vec::new();
    for index in 0..10 {
        kept.extend(tenant.tile(0, index, if index < 9 { 256 } else { 196 }).await.unwrap());
    }
    assert_eq!(kept, leaves);
}

#[tokio::test]
async fn a_search_passes_over_what_is_pruned() {
    let house = house_with(600).await;
    let root = house.tenant.root(300).await.unwrap();
    house.tenant.append(pruning(300, root)).await.unwrap();
    for under_way in [true, false] {
        for sought in [
            Sought { terms: vec![Term::kind("service.started")], ..Sought::default() },
            Sought { scan: true, ..Sought::default() },
            Sought { since: Some(time(0)), ..Sought::default() },
        ] {
            let (mut next, mut found) = (Some(0), Vec::new());
            while let Some(from) = next {
                let candidates = house.tenant.candidates(&sought, from, 601).await.unwrap();
                found.extend(candidates.records.iter().map(|(seq, _)| *seq));
                next = candidates.next;
            }
            let kept: Vec<u64> = found.iter().copied().filter(|seq| *seq > 0).collect();
            assert_eq!(kept, (300..601).collect::<Vec<_>>(), "{sought:?}, under way: {under_way}");
        }
        while house.tenant.prune().await.unwrap() > 0 {}
    }
}

#[tokio::test]
async fn nothing_is_pruned_backwards_ahead_or_under_a_hold() {
    let house = house_with(20).await;
    let root = house.tenant.root(4).await.unwrap();
    for size in [0, 1, 21, u64::MAX >> 12] {
        let refused = house.tenant.append(pruning(size, root)).await;
        assert_eq!(refused, Err(Unrecorded::Conflict), "{size}");
    }
    let hold = "matter-7".to_owned();
    let authority = "Example Court (synthetic)".to_owned();
    let placed = Event::HoldPlaced {
        actor: actor(),
        hold: hold.clone(),
        unit: None,
        authority: authority.clone(),
    };
    house.tenant.append(Entry::bare(time(5), placed)).await.unwrap();
    assert_eq!(house.tenant.append(pruning(4, root)).await, Err(Unrecorded::Conflict));
    let released = Event::HoldReleased { actor: actor(), hold, authority };
    house.tenant.append(Entry::bare(time(6), released)).await.unwrap();
    house.tenant.append(pruning(4, root)).await.unwrap();
    for size in [3, 4] {
        assert_eq!(house.tenant.append(pruning(size, root)).await, Err(Unrecorded::Conflict));
    }
}

#[tokio::test]
async fn what_is_not_recorded_as_pruned_is_not_taken_away_by_sql() {
    let house = house_with(20).await;
    let root = house.tenant.root(4).await.unwrap();
    house.tenant.append(pruning(4, root)).await.unwrap();
    while house.tenant.prune().await.unwrap() > 0 {}
    for statement in [
        "DELETE FROM records WHERE seq = 0",
        "DELETE FROM records WHERE seq = 4",
        "DELETE FROM pruned",
        "UPDATE pruned SET leaf = zeroblob(32)",
        "DELETE FROM prunings",
        "UPDATE prunings SET done = 1",
    ] {
        let error = house.sql(statement).unwrap_err().to_string();
        assert!(error.contains("only appended") || error.contains("stays pruned"), "{error}");
    }
}
