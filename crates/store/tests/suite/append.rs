//! Appends: order, group commit, several writers, entries that are refused.

use crate::support::{House, LOG, TENANT, intent, outcome, replay, started, time};
use ledger::{BlobPart, Entry, Event, Journal, MAX_RECORD_BYTES, Unrecorded};
use store::{Effect, Store, Tenant};
use tokio::task::JoinSet;

const TASKS: usize = 64;

/// Appends from [`TASKS`] tasks at once; returns the receipts in no particular order.
async fn append_in_parallel(tenant: &Tenant, each: usize) -> Vec<ledger::Receipt> {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let tenant = tenant.clone();
        tasks.spawn(async move {
            let mut receipts = Vec::new();
            for _ in 0..each {
                receipts.push(tenant.append(started()).await.unwrap());
            }
            assert!(receipts.is_sorted_by_key(|receipt| receipt.seq));
            receipts
        });
    }
    tasks.join_all().await.concat()
}

#[tokio::test]
async fn receipts_count_up_and_name_the_stored_record() {
    let house = House::new().await;
    for expected in 1..=20 {
        let receipt = house.tenant.append(started()).await.unwrap();
        assert_eq!((receipt.log, receipt.seq), (LOG, expected));
        let bytes = house.tenant.record(expected).await.unwrap().unwrap();
        assert_eq!(receipt.leaf, ledger::tree::leaf_hash(&bytes));
    }
    assert_eq!(replay(&house.tenant).await.len(), 21);
    assert_eq!(house.tenant.record(21).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_parallel_appends_make_one_chain_in_far_fewer_commits() {
    let house = House::new().await;
    let before = house.store.commits();
    let each = 10_000_usize.div_ceil(TASKS);
    let receipts = append_in_parallel(&house.tenant, each).await;
    let commits = house.store.commits() - before;
    let leaves = replay(&house.tenant).await;
    assert_eq!(leaves.len(), 1 + TASKS * each);
    for receipt in &receipts {
        assert_eq!(leaves[usize::try_from(receipt.seq).unwrap()], receipt.leaf);
    }
    assert!(commits * 4 < receipts.len() as u64, "{commits} commits of {}", receipts.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_that_append_at_once_do_not_fork_the_chain() {
    let house = House::new().await;
    let other = Store::open(house.path()).unwrap();
    let (ours, theirs) = (house.tenant.clone(), other.tenant(TENANT));
    let (mut receipts, more) =
        tokio::join!(append_in_parallel(&ours, 20), append_in_parallel(&theirs, 20));
    receipts.extend(more);
    let leaves = replay(&house.tenant).await;
    assert_eq!(leaves.len(), 1 + 2 * TASKS * 20);
    receipts.sort_by_key(|receipt| receipt.seq);
    let from_receipts: Vec<_> = receipts.iter().map(|receipt| receipt.leaf).collect();
    assert_eq!(from_receipts, leaves[1..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_server_does_not_keep_a_command_from_writing() {
    let house = House::new().await;
    let other = Store::open(house.path()).unwrap();
    let mut busy = JoinSet::new();
    for _ in 0..TASKS {
        let tenant = house.tenant.clone();
        busy.spawn(async move {
            loop {
                tenant.append(started()).await.unwrap();
            }
        });
    }
    // The command gets in at every try after a few batches, while the server commits without a pause.
    let theirs = other.tenant(TENANT);
    let mut between = Vec::new();
    for _ in 0..10 {
        between.push(theirs.append(started()).await.unwrap().seq);
    }
    busy.shutdown().await;
    assert!(between.windows(2).all(|pair| pair[1] - pair[0] < 2000), "{between:?}");
    assert!(between[9] - between[0] > 20, "the server was not busy: {between:?}");
    replay(&house.tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_entry_that_is_too_large_fails() {
    let house = House::new().await;
    let version = "x".repeat(MAX_RECORD_BYTES);
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let tenant = house.tenant.clone();
        let mut entry = started();
        if n % 10 == 3 {
            let actor = crate::support::actor();
            entry = Entry::bare(time(1), Event::Started { actor, version: version.clone() });
        }
        tasks.spawn(async move { (n, tenant.append(entry).await) });
    }
    for (n, result) in tasks.join_all().await {
        match result {
            Ok(_) => assert_ne!(n % 10, 3),
            Err(error) => assert_eq!((n % 10, error), (3, Unrecorded::TooLarge)),
        }
    }
    assert_eq!(replay(&house.tenant).await.len(), 91);
    house.store.health().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_entry_that_contradicts_what_is_stored_fails() {
    let house = House::new().await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let tenant = house.tenant.clone();
        let effects = vec![Effect::Notice("said once".into())];
        tasks.spawn(async move { tenant.append_with(started(), effects).await });
        let tenant = house.tenant.clone();
        tasks.spawn(async move { tenant.append(started()).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 101);
    assert_eq!(replay(&house.tenant).await.len(), 102);
    assert!(house.tenant.notice_given("said once").await.unwrap());
    assert!(!house.tenant.notice_given("never said").await.unwrap());
    house.store.health().unwrap();
}

#[tokio::test]
async fn an_entry_larger_than_the_limit_is_refused_before_it_is_queued() {
    let house = House::new().await;
    let mut window = house.blob(house.exchange(), BlobPart::Window(0));
    window.sealed = vec![0; (64 << 20) + 1];
    assert_eq!(house.tenant.keep(window).await, Err(Unrecorded::TooLarge));
}

#[tokio::test]
async fn a_record_and_its_content_are_kept_together_or_not_at_all() {
    let house = House::new().await;
    let exchange = house.exchange();
    let mut entry = intent(exchange);
    entry.blobs.push(house.blob(exchange, BlobPart::Prompt));
    let receipt = house.tenant.append(entry).await.unwrap();
    house.tenant.keep(house.blob(exchange, BlobPart::Window(1))).await.unwrap();
    house.tenant.keep(house.blob(exchange, BlobPart::Window(0))).await.unwrap();
    let parts: Vec<_> =
        house.tenant.blobs(exchange).await.unwrap().iter().map(|blob| blob.part).collect();
    assert_eq!(parts, [BlobPart::Prompt, BlobPart::Window(0), BlobPart::Window(1)]);

    // The same window again, and a blob under a key that nobody has.
    let again = house.blob(exchange, BlobPart::Window(1));
    assert!(house.tenant.keep(again).await.is_err());
    let mut entry = outcome(exchange, Some(receipt.seq));
    let mut blob = house.blob(exchange, BlobPart::Window(2));
    blob.key = ledger::ContentKeyId::from_bytes([1; 16]);
    entry.blobs.push(blob);
    assert!(house.tenant.append(entry).await.is_err());
    assert_eq!(house.tenant.blobs(exchange).await.unwrap().len(), 3);
    assert_eq!(house.tenant.head().await.unwrap().size(), 2);
    assert_eq!(house.tenant.open_intents().await.unwrap().len(), 1);
    house.store.health().unwrap();
}

#[tokio::test]
async fn an_intent_is_ended_exactly_once() {
    let house = House::new().await;
    let (one, two) = (house.exchange(), house.exchange());
    let first = house.tenant.append(intent(one)).await.unwrap();
    let second = house.tenant.append(intent(two)).await.unwrap();
    let open = house.tenant.open_intents().await.unwrap();
    let found: Vec<_> = open.iter().map(|intent| (intent.exchange, intent.seq)).collect();
    assert_eq!(found, [(one, first.seq), (two, second.seq)]);
    assert_eq!(open[0].record, house.tenant.record(first.seq).await.unwrap().unwrap());

    house.tenant.append(outcome(one, Some(first.seq))).await.unwrap();
    assert!(house.tenant.append(outcome(one, Some(first.seq))).await.is_err(), "a second outcome");
    assert!(house.tenant.append(outcome(two, Some(first.seq))).await.is_err(), "another's intent");
    assert!(house.tenant.append(intent(two)).await.is_err(), "a second intent");
    // An exchange that ended before its intent has an outcome only.
    house.tenant.append(outcome(house.exchange(), None)).await.unwrap();
    let open = house.tenant.open_intents().await.unwrap();
    assert_eq!(open.iter().map(|intent| intent.seq).collect::<Vec<_>>(), [second.seq]);
    assert_eq!(replay(&house.tenant).await.len(), 5);
}

#[tokio::test]
async fn nothing_is_appended_for_an_organisation_that_does_not_exist() {
    let house = House::new().await;
    let nobody = house.store.tenant(ledger::TenantId::from_bytes([8; 16]));
    assert!(nobody.append(started()).await.is_err());
    assert!(nobody.keep(house.blob(house.exchange(), BlobPart::Window(0))).await.is_err());
    assert!(matches!(nobody.head().await, Err(store::Error::UnknownTenant(_))));
    house.store.health().unwrap();
}

#[tokio::test]
async fn the_probe_is_a_commit() {
    let house = House::new().await;
    let before = house.store.commits();
    house.store.writable().await.unwrap();
    assert_eq!(house.store.commits(), before + 1);
}
