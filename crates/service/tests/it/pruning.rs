//! Records whose time is over are pruned by the schedule, and everything that is left still verifies.

use crate::world::{World, operator};
use gate::rules::LineFormat;
use ledger::verify::{Trust, Verdict, Verification};
use ledger::{Event, Hash};
use service::{Search, Since, Until};
use std::io::Read;
use std::sync::Mutex;

const DAY: i64 = 86_400;
const SEVEN_YEARS: i64 = 7 * 365 + 2;

impl World {
    async fn sweep_all(&self) -> u64 {
        self.house.apply_retention().await.unwrap();
        self.house.prune().await.unwrap()
    }

    async fn bundle(&self) -> Vec<u8> {
        let mut bundle = Vec::new();
        self.house.export(&mut bundle, true, operator(), &|_, _| {}).await.unwrap();
        bundle
    }

    /// The signed checkpoint of a bundle that is made now.
    async fn note(&self) -> String {
        let mut note = String::new();
        let each = |name: &str, file: &mut dyn Read| match name {
            "checkpoint" => file.read_to_string(&mut note).map(drop),
            _ => Ok(()),
        };
        ledger::bundle::each_file(&*self.bundle().await, each).unwrap();
        note
    }

    async fn exported(&self, trust: &str) -> Verdict {
        let bundle = self.bundle().await;
        let trust = if trust.is_empty() { Trust::none() } else { Trust::parse(trust).unwrap() };
        let mut verification = Verification::new(trust);
        let each = ledger::bundle::each_file(&*bundle, |name, file| verification.file(name, file));
        each.unwrap();
        verification.finish()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_after_seven_years_and_not_a_day_before() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.ask("SSN 219-09-9999", None).await;
    world.ask("SSN 219-09-9999", Some("visit-1")).await;
    let note = world.note().await;
    let old = world.records().await.len() as u64;
    world.clock.advance(SEVEN_YEARS * DAY);
    assert_eq!(world.sweep_all().await, 0, "the day is not over");
    world.clock.advance(DAY);
    assert_eq!(world.sweep_all().await, old);
    assert_eq!(world.sweep_all().await, old, "once");

    let kept = world.records().await;
    let seqs: Vec<u64> = kept.iter().map(|record| record.seq).collect();
    assert_eq!(seqs[..2], [0, old]);
    let told = kept.iter().filter_map(|record| {
        let Event::Pruned { actor, size, authority, sha256, .. } = &record.event else {
            return None;
        };
        Some((actor.id.as_str(), *size, authority.as_str(), *sha256))
    });
    assert_eq!(told.collect::<Vec<_>>(), [("bulla", old, "retention schedule", None)]);

    // Whoever kept a checkpoint of before still sees that the log continues it.
    let verdict = world.exported(&note).await;
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.earlier_trusted, [old]);
    let pruned = verdict.pruned.unwrap();
    assert_eq!((pruned.records, pruned.authority.as_str()), (old - 1, "retention schedule"));
    assert_eq!((verdict.intents, verdict.blobs), (0, 0));
    assert!(world.house.prove(1).await.unwrap().is_none(), "a pruned record has no proof");
    assert!(world.house.prove(old).await.unwrap().is_some());

    // Reading the log line by line goes on behind what was pruned.
    let lines = Mutex::new(Vec::new());
    let each = |line: &str| {
        lines.lock().unwrap().push(line.to_owned());
        Ok(())
    };
    world.house.read_lines(LineFormat::Jsonl, 0, Until::Now, operator(), &each).await.unwrap();
    let lines = lines.into_inner().unwrap();
    let seq = |line: &String| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
    };
    assert_eq!(lines.iter().take(3).map(seq).collect::<Vec<_>>(), [0, old, old + 1]);
    let status = world.house.status().await.unwrap();
    assert_eq!((status.pruned, status.records), (old, kept.len() as u64 + old + 1));

    // So do a search and a review.
    let search = Search { kind: Some("exchange.outcome".to_owned()), ..Search::default() };
    assert_eq!(world.house.search(&search, operator()).await.unwrap().lines.len(), 0);
    world.house.report(Since::Position(0), operator()).await.unwrap();
    let world = world.reopened().await;
    let verdict = world.exported(&note).await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_under_a_hold_nor_out_of_the_middle_of_one() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let before = world.records().await.len() as u64;
    let court = "Example Court (synthetic)";
    world.house.place_hold("matter-7", None, court, operator()).await.unwrap();
    world.ask("hello", None).await;
    world.clock.advance((SEVEN_YEARS + 1) * DAY);
    assert_eq!(world.sweep_all().await, 0, "it is held");
    world.house.release_hold("matter-7", court, operator()).await.unwrap();
    assert_eq!(world.sweep_all().await, before, "the hold is in the log from begin to end");
    world.clock.advance((SEVEN_YEARS + 1) * DAY);
    assert!(world.sweep_all().await > before + 3);
    let verdict = world.exported("").await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_did_not_deliver_stays() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let file = world.data().join("siem.jsonl");
    world
        .apply_with(&format!(
            r#"
[[hop]]
id = "siem"
entity = "Example Clinic (synthetic)"
role = "siem"
sees = "metadata"
boundary = "inside"
owner = "Example Clinic (synthetic)"
hosts = ["127.0.0.1:1"]
[[feed]]
id = "siem"
hop = "siem"
format = "jsonl"
file = "{}"
"#,
            file.display()
        ))
        .await;
    world.clock.advance((SEVEN_YEARS + 1) * DAY);
    assert_eq!(world.sweep_all().await, 0);
    world.apply_with("").await;
    assert!(world.sweep_all().await > 0, "nobody waits for them any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_time_needs_a_signed_decision_and_the_record_names_it() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let days = "[retention]\nprompts_days = 30\nanswers_days = 30\nrecords_days = 60\n";
    world.try_with(days).await.unwrap_err();
    let decision = Hash::of(b"decision");
    world
        .apply_with(&format!(
            "{days}decision = \"Short retention, signed by Ada Example (synthetic)\"\n\
             decision_sha256 = \"{decision}\"\n"
        ))
        .await;
    world.ask("hello", None).await;
    world.clock.advance(61 * DAY);
    let size = world.sweep_all().await;
    assert!(size > 3);
    let pruned = world.records().await.into_iter().find_map(|record| {
        let Event::Pruned { sha256, .. } = record.event else { return None };
        sha256
    });
    assert_eq!(pruned, Some(decision));
    let verdict = world.exported("").await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_the_database_that_no_record_backs_prunes_nothing() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.ask("hello", None).await;
    let world = world
        .closed_and(|data| {
            let database = rusqlite::Connection::open(data.join("bulla.db")).unwrap();
            let row = "INSERT INTO prunings SELECT id, 3, 1 FROM tenants";
            database.execute_batch(row).unwrap();
        })
        .await;
    world.house.finish_pruning().await.unwrap();
    let database = rusqlite::Connection::open(world.data().join("bulla.db")).unwrap();
    let there = "SELECT count(*) FROM records WHERE seq < 3";
    let there: i64 = database.query_row(there, [], |row| row.get(0)).unwrap();
    assert_eq!(there, 3, "they are all there");
    assert!(!world.exported("").await.good, "and nobody takes the row for a right");
}
