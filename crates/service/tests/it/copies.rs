//! The log is copied into object storage whole, whatever becomes of the storage and of us, and the copy
//! tells when there is another past.

use crate::world::{World, ending, operator};
use ledger::Event;
use ledger::bundle::{self, Chunk};
use ledger::verify::{Trust, Verification};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use testkit::bucket::{Bucket, Mood};
use testkit::upstream::Flaw;
use tokio::time::Instant;

/// How long something that happens every second may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

const CLINIC: &str = "Example Clinic (synthetic)";

const PHI: &str = "Patient Zebediah Quuxley, MRN 44718293, was seen on 2026-03-04.";

impl World {
    fn copy_rules(&self, bucket: &Bucket, more: &str) -> String {
        bucket.rules(CLINIC, &self.data(), more)
    }

    async fn copied_to(&self, bucket: &Bucket, more: &str) {
        self.apply_with(&self.copy_rules(bucket, more)).await;
    }

    /// Why copies failed so far.
    async fn told(&self) -> Vec<String> {
        let reason = |event| match event {
            Event::CopyFailing { copy, reason } if copy == "worm" => Some(reason),
            _ => None,
        };
        self.events().await.into_iter().filter_map(reason).collect()
    }

    /// Waits until the log says this of a copy.
    async fn tells(&self, reason: &str) {
        let begun = Instant::now();
        while !self.told().await.iter().any(|told| told == reason) {
            assert!(begun.elapsed() < LIMIT, "{:?}, not {reason}", self.told().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the bucket has every record and a checkpoint over them.
    async fn is_copied(&self, bucket: &Bucket) {
        let begun = Instant::now();
        loop {
            let size = self.size().await;
            let objects = own(bucket);
            if objects.contains_key(&format!("checkpoints/{size:010}")) {
                return;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "{size}: {:?}, {:?}",
                self.told().await,
                bucket.complaints()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Checks that the copy is the log, without a gap and without anything twice, and that a bundle of it
    /// is good.
    async fn check_copy(&self, bucket: &Bucket) {
        let objects = own(bucket);
        let (records, chunks) = copied(&objects);
        let size = self.size().await;
        assert_eq!(records.len() as u64, size, "{chunks:?}");
        for (seq, bytes) in (0..).zip(&records) {
            assert_eq!(Some(bytes), self.house.record(seq).await.unwrap().as_ref(), "{seq}");
        }
        assert_eq!(verdict(&objects), Vec::<String>::new());
        assert_eq!(bucket.complaints(), Vec::<String>::new());
    }
}

/// The objects of the one log, by their names below its folder.
fn own(bucket: &Bucket) -> BTreeMap<String, Vec<u8>> {
    let below = |(name, bytes): (String, Vec<u8>)| {
        let mut parts = name.splitn(4, '/');
        assert_eq!(parts.next(), Some("clinic"), "{name}");
        assert!(
            parts.next().unwrap().starts_with("dep_") && parts.next().unwrap().starts_with("ten_")
        );
        (parts.next().unwrap().to_owned(), bytes)
    };
    bucket.objects().into_iter().map(below).collect()
}

/// Every record of the copy in order, and its chunks.
fn copied(objects: &BTreeMap<String, Vec<u8>>) -> (Vec<Vec<u8>>, Vec<Chunk>) {
    let chunks: Vec<Chunk> = objects.keys().filter_map(|name| Chunk::of(name)).collect();
    let mut records = Vec::new();
    for chunk in &chunks {
        assert_eq!(chunk.first, records.len() as u64, "a gap, or something twice: {chunks:?}");
        let text = String::from_utf8(objects[&chunk.to_string()].clone()).unwrap();
        records.extend(text.lines().map(|line| line.as_bytes().to_vec()));
        assert_eq!(chunk.last + 1, records.len() as u64);
    }
    (records, chunks)
}

/// What a verifier says of the bundle that is made of a copy.
fn verdict(objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: BTreeSet<String> = objects.keys().cloned().collect();
    let read = |name: &str| Ok(objects[name].clone());
    let mut bundle = Vec::new();
    bundle::collect(&names, &read, &mut bundle).unwrap();
    let mut verification = Verification::new(Trust::none());
    bundle::each_file(&*bundle, |name, content| verification.file(name, content)).unwrap();
    let verdict = verification.finish();
    verdict.problems.iter().map(|problem| format!("{}: {}", problem.kind, problem.words)).collect()
}

fn last_chunk(bucket: &Bucket) -> String {
    let records = |name: &String| name.contains("/records/");
    bucket.objects().into_keys().rfind(records).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_grows_with_the_log_and_goes_on_after_a_restart() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    bucket.pages_of(2);
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    for _ in 0..3 {
        world.grow(40).await;
        world.is_copied(&bucket).await;
    }
    kept.stop().await;
    // An orderly end copies the last records too.
    world.house.stopped(operator()).await.unwrap();
    world.check_copy(&bucket).await;
    assert!(copied(&own(&bucket)).1.len() >= 4);
    let positions = world.house.copies().await.unwrap();
    assert_eq!(positions[0].next, world.size().await);
    let before = bucket.objects();
    let world = world.reopened().await;
    let kept = world.keep_up();
    world.grow(1).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    world.check_copy(&bucket).await;
    let after = bucket.objects();
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert_eq!(world.told().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pruned_here_stays_in_the_copy_and_is_no_other_past() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    world.grow(40).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    world.clock.advance(2558 * 86_400);
    world.house.apply_retention().await.unwrap();
    // As far as a copy has them, so the last chunk is cut in two by it or gone from here.
    assert!(world.house.prune().await.unwrap() > 30);

    let world = world.reopened().await;
    let kept = world.keep_up();
    world.grow(5).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    assert_eq!(world.told().await, Vec::<String>::new());
    let objects = own(&bucket);
    assert_eq!(copied(&objects).0.len() as u64, world.size().await);
    assert_eq!(verdict(&objects), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_cannot_begin_with_what_was_pruned() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    world.clock.advance(2558 * 86_400);
    world.house.apply_retention().await.unwrap();
    assert!(world.house.prune().await.unwrap() > 1);
    let bucket = Bucket::start();
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    world.tells("log_pruned").await;
    kept.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_copied_though_the_storage_fails_in_every_way() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start_tls(Flaw::None);
    bucket.pages_of(1);
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    world.is_copied(&bucket).await;
    for (mood, reason) in [
        (Mood::Fails, "failed"),
        (Mood::SlowDown, "slow_down"),
        (Mood::LosesAnswers, "cut"),
        (Mood::Denied, "unauthorized"),
        (Mood::Garbage, "garbage"),
        (Mood::Redirects, "redirected"),
    ] {
        bucket.is(mood);
        world.grow(10).await;
        world.tells(reason).await;
        world.grow(10).await;
        bucket.is(Mood::Good);
        world.is_copied(&bucket).await;
    }
    kept.stop().await;
    world.check_copy(&bucket).await;
    assert_eq!(world.told().await.len(), 6, "each outage is told once: {:?}", world.told().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_hangs_holds_up_nobody() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    bucket.is(Mood::Hangs);
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    let begun = Instant::now();
    while bucket.requests() == 0 {
        assert!(begun.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    let (event, _) = world.ask("hello", None).await;
    assert_eq!(ending(&event).0, "answered");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    kept.stop().await;
    world.house.stopped(operator()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_was_lost_is_found_in_the_bucket() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    world.grow(20).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    let before = bucket.objects();
    let world = world
        .closed_and(|data| {
            let database = Connection::open(data.join("bulla.db")).unwrap();
            assert_eq!(database.execute("DELETE FROM copies", []).unwrap(), 1);
        })
        .await;
    let kept = world.keep_up();
    world.grow(5).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    world.check_copy(&bucket).await;
    assert!(bucket.objects().len() > before.len());
    assert_eq!(world.told().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_gone_are_told_and_written_again() {
    let mut world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    for _ in 0..3 {
        world.grow(10).await;
        world.is_copied(&bucket).await;
    }
    kept.stop().await;
    let is_records = |name: &String| name.contains("/records/");
    let names: Vec<String> = bucket.objects().into_keys().filter(is_records).collect();
    // The first, one in the middle, the last, and all of them.
    let mut told = 0;
    for gone in [&names[..1], &names[1..2], &names[names.len() - 1..], &names] {
        bucket.tamper(|objects| objects.retain(|name, _| !gone.contains(name)));
        world = world.reopened().await;
        let kept = world.keep_up();
        world.grow(1).await;
        world.is_copied(&bucket).await;
        kept.stop().await;
        world.check_copy(&bucket).await;
        told += 1;
        assert_eq!(world.told().await, vec!["objects_missing"; told], "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_past_is_told_and_nothing_more_is_copied() {
    for change in ["an edit", "another end", "more than there is", "twice"] {
        let world = World::at("2026-06-01T00:00:00Z", None).await;
        let bucket = Bucket::start();
        world.copied_to(&bucket, "").await;
        let kept = world.keep_up();
        world.grow(10).await;
        world.is_copied(&bucket).await;
        kept.stop().await;
        let last = last_chunk(&bucket);
        bucket.tamper(|objects| {
            let bytes = objects.get_mut(&last).unwrap();
            let at = bytes.iter().rposition(|byte| *byte == b'9').unwrap();
            match change {
                "an edit" => bytes[at] = b'8',
                "another end" => bytes.truncate(bytes.len() - 1),
                _ => {
                    let bytes = bytes.clone();
                    let name = last.rsplit_once('/').unwrap().0.to_owned();
                    let (first, until) = if change == "twice" { (1, 1) } else { (9000, 9001) };
                    objects.insert(format!("{name}/{first:010}-{until:010}.jsonl"), bytes);
                }
            }
        });
        let before = bucket.objects();
        let world = world.reopened().await;
        let kept = world.keep_up();
        world.grow(10).await;
        let reason = match change {
            "more than there is" => "holds_more",
            "twice" => "objects_overlap",
            _ => "log_rewritten",
        };
        world.tells(reason).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        kept.stop().await;
        assert_eq!(world.told().await, [reason], "{change}: told once");
        assert_eq!(bucket.objects(), before, "{change}: nothing more is copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_checkpoint_of_the_same_size_is_told() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    world.copied_to(&bucket, "").await;
    let kept = world.keep_up();
    world.grow(10).await;
    world.is_copied(&bucket).await;
    kept.stop().await;
    let size = world.size().await;
    bucket.tamper(|objects| {
        let name = objects.keys().find(|name| name.ends_with(&format!("checkpoints/{size:010}")));
        let name = name.unwrap().clone();
        objects.insert(name, b"another\n".to_vec());
    });
    let world = world.reopened().await;
    let kept = world.keep_up();
    world.tells("log_rewritten").await;
    kept.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_lock_what_it_holds_is_told_and_used() {
    let rule = |mode: &str, more: &str| {
        format!(
            "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>{mode}</Mode>{more}</DefaultRetention></Rule>"
        )
    };
    for (lock, reason) in [
        (None, "not_locked"),
        (Some("<ObjectLockEnabled>Enabled</ObjectLockEnabled>".to_owned()), "not_locked"),
        (Some(rule("GOVERNANCE", "<Years>7</Years>")), "not_locked"),
        (Some(rule("COMPLIANCE", "<Years>6</Years>")), "lock_too_short"),
        (Some(rule("COMPLIANCE", "<Days>2554</Days>")), "lock_too_short"),
    ] {
        let world = World::at("2026-06-01T00:00:00Z", None).await;
        let bucket = Bucket::start();
        bucket.locks(lock.as_deref());
        world.copied_to(&bucket, "").await;
        let kept = world.keep_up();
        world.tells(reason).await;
        world.is_copied(&bucket).await;
        kept.stop().await;
        assert_eq!(world.told().await, [reason], "{lock:?}");
        world.check_copy(&bucket).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_object_holds_what_a_prompt_holds_and_none_holds_a_key() {
    for content in [false, true] {
        let world = World::at("2026-06-01T00:00:00Z", None).await;
        let bucket = Bucket::start();
        let mut rules = world.copy_rules(&bucket, &format!("content = {content}"));
        if content {
            let [metadata, ciphertext] = ["metadata", "ciphertext"]
                .map(|sees| format!("role = \"storage\"\nsees = \"{sees}\""));
            rules = rules.replace(&metadata, &ciphertext);
        }
        world.apply_with(&rules).await;
        let kept = world.keep_up();
        let (event, _) = world.ask(PHI, Some("visit-zq-77")).await;
        assert_eq!(ending(&event).0, "answered");
        world.is_copied(&bucket).await;
        kept.stop().await;
        world.check_copy(&bucket).await;
        let objects = own(&bucket);
        let blobs = objects.keys().filter(|name| name.starts_with("blobs/")).count();
        assert_eq!(blobs, if content { 2 } else { 0 }, "{:?}", objects.keys());
        let mut secrets: Vec<Vec<u8>> =
            ["Quuxley", "44718293", "2026-03-04", "visit-zq-77"].map(Into::into).to_vec();
        for file in ["operator.key", "signer.sealed", "deployment-signer.sealed"] {
            let text = fs::read_to_string(world.data().join(file)).unwrap();
            let lines = text.lines().filter(|line| line.len() >= 32);
            secrets.extend(lines.map(|line| line.trim_matches('"').as_bytes().to_vec()));
        }
        secrets.extend(wrapped(&world.data().join("bulla.db"), "units"));
        secrets.extend(wrapped(&world.data().join("keys/keys.db"), "shelves"));
        assert!(secrets.len() > 10, "{}", secrets.len());
        for (name, bytes) in &objects {
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{name} holds {}", String::from_utf8_lossy(secret));
            }
        }
    }
}

/// The wrapped keys in a table.
fn wrapped(database: &std::path::Path, table: &str) -> Vec<Vec<u8>> {
    let database = Connection::open(database).unwrap();
    let query = format!("SELECT prompts, answers, surrogates FROM {table}");
    let mut statement = database.prepare(&query).unwrap();
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
    rows.flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_to_nobody_who_is_covered_is_not_applied_and_ends_with_its_agreement() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let bucket = Bucket::start();
    let rules = world.copy_rules(&bucket, "");
    let outside = rules.replace(
        &format!("boundary = \"inside\"\nowner = \"{CLINIC}\""),
        "boundary = \"outside\"\ntier = \"enterprise\"",
    );
    let refused = world.try_with(&outside).await.unwrap_err();
    let words = "copy \"worm\": hop \"worm\" has no agreement and no chain evidence";
    assert_eq!(refused.to_string(), words);
    let agreed = outside.replace(
        "tier = \"enterprise\"",
        "tier = \"enterprise\"\nservice = \"store\"\nagreement = \"baa-store\"",
    ) + &format!(
        "\n[[agreement]]\nid = \"baa-store\"\nkind = \"baa\"\ncounterparty = \"{CLINIC}\"\n\
             effective = 2026-01-01\nexpires = 2026-06-02\n[[agreement.scope]]\n\
             services = [\"store\"]\ntiers = [\"enterprise\"]\nregions = [\"*\"]\n"
    );
    world.apply_with(&agreed).await;
    let kept = world.keep_up();
    world.is_copied(&bucket).await;
    world.clock.advance(2 * 86_400);
    world.grow(5).await;
    world.tells("uncovered").await;
    let before = bucket.objects();
    world.grow(5).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    kept.stop().await;
    assert_eq!(bucket.objects(), before);
}
