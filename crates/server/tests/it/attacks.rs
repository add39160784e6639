//! What somebody with every right on the database can do to the log, and what catches it each time.
//!
//! The attacker has the files, knows the formats, and writes the bundle too; the auditor has a key, a
//! checkpoint of last month, and a caller's receipt. `docs/attacks.md` is the list, with its limits.

use crate::house::{Done, House, bulla, bulla_verify, user};
use crate::rules::Rules;
use crate::witness;
use ledger::bundle::{Subject, Writer};
use ledger::{Event, Head, LogId, Record, Time};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::authority::Stamping;
use testkit::bucket::Bucket;
use testkit::upstream::{Reply, Upstream};
use tokio::time::Instant;

/// A house with some traffic, what its auditor holds, and a receipt that a caller was given.
struct Scene {
    house: House,
    trust: PathBuf,
    receipt: String,
}

/// The log as it lies in the database.
struct Theirs {
    database: Connection,
    log: LogId,
    records: Vec<Vec<u8>>,
}

async fn scene(house: House) -> Scene {
    let serving = house.serve();
    for _ in 0..3 {
        assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    }
    serving.stop();
    // The auditor came by, and keeps the key and the checkpoint.
    let bundle = house.fresh("earlier.tar");
    house.export(&bundle);
    let mut checkpoint = String::new();
    let file = fs::File::open(&bundle).unwrap();
    ledger::bundle::each_file(file, |name, content| {
        if name == "checkpoint" {
            content.read_to_string(&mut checkpoint)?;
        }
        Ok(())
    })
    .unwrap();
    let trust = house.fresh("trust.txt");
    fs::write(&trust, format!("{}\n{checkpoint}", house.verifier_key)).unwrap();
    let serving = house.serve();
    let answer = serving.ask(&user("hello")).await;
    let receipt = answer.header("x-bulla-receipt").unwrap().to_owned();
    serving.stop();
    Scene { house, trust, receipt }
}

async fn plain_scene() -> Scene {
    let upstream = Upstream::start(Reply::echo()).await;
    scene(House::with(&Rules::cloud(&upstream))).await
}

impl Scene {
    fn theirs(&self) -> Theirs {
        let database = Connection::open(self.house.data().join("bulla.db")).unwrap();
        let query = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
        let names: Vec<String> = database
            .prepare(query)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(names.len() > 8, "triggers are defence in depth: {names:?}");
        for name in names {
            database.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        let records: Vec<Vec<u8>> = database
            .prepare("SELECT bytes FROM records ORDER BY seq")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let log = Record::from_bytes(&records[0]).unwrap().log;
        Theirs { database, log, records }
    }

    /// What an auditor reads of a bundle, who has the key and the earlier checkpoint.
    fn verified(&self, bundle: &Path) -> Value {
        Self::read(bundle, &self.trust)
    }

    fn read(bundle: &Path, trust: &Path) -> Value {
        let mut verify = bulla_verify();
        verify.arg(bundle).arg("--trust").arg(trust).arg("--json");
        serde_json::from_str(&Done::of(&mut verify).out).unwrap()
    }

    /// Verifies records under the last signed checkpoint, in a bundle that the attacker wrote, by somebody
    /// who has the key alone.
    fn caught(&self, theirs: &Theirs, records: &[Vec<u8>], at: u64, kind: &str) {
        let query = "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1";
        let note: String = theirs.database.query_row(query, [], |row| row.get(0)).unwrap();
        let subject = Subject {
            log: theirs.log,
            organisation: "Lakeside Family Clinic (synthetic)".to_owned(),
            verifier_key: self.house.verifier_key.clone(),
            records: records.len() as u64,
            pruned: 0,
            record_bytes: records.iter().map(|record| record.len() as u64).sum(),
            created: Time::from_micros(0),
        };
        let bundle = self.house.fresh("theirs.tar");
        let file = fs::File::create_new(&bundle).unwrap();
        let mut writer = Writer::new(file, subject, &note).unwrap();
        for record in records {
            writer.record(record).unwrap();
        }
        writer.finish().unwrap();
        let key = self.house.fresh("key.txt");
        fs::write(&key, &self.house.verifier_key).unwrap();
        let verdict = Self::read(&bundle, &key);
        assert_eq!(verdict["good"], false, "{verdict}");
        let first = &verdict["problems"][0];
        assert_eq!(
            (first["at"].as_u64(), first["kind"].as_str()),
            (Some(at), Some(kind)),
            "{verdict}"
        );
    }
}

impl Theirs {
    /// The same events with one of them changed, chained anew from there on.
    fn rewritten(&self, at: usize, change: impl Fn(&mut Event)) -> (Vec<Vec<u8>>, Head) {
        let mut head = Head::new();
        let records = self.records.iter().enumerate().map(|(seq, bytes)| {
            let mut record = Record::from_bytes(bytes).unwrap();
            if seq == at {
                change(&mut record.event);
            }
            head.seal_next(self.log, record.time, record.event).unwrap().bytes
        });
        (records.collect(), head)
    }

    /// Writes another log into the database, whole and consistent, and takes every signed checkpoint away.
    fn replace(&self, scene: &Scene, records: &[Vec<u8>], head: &Head) {
        for table in [
            "stamps",
            "cosignatures",
            "anchors",
            "leaves",
            "deployment_head",
            "subtrees",
            "checkpoints",
            "records",
        ] {
            self.database.execute_batch(&format!("DELETE FROM {table}")).unwrap();
        }
        for (seq, bytes) in (0_i64..).zip(records) {
            let leaf = ledger::tree::leaf_hash(bytes);
            let values = params![self.log.tenant.as_bytes(), seq, leaf.as_bytes(), bytes];
            self.database
                .execute(
                    "INSERT INTO records (tenant, seq, leaf, bytes) VALUES (?, ?, ?, ?)",
                    values,
                )
                .unwrap();
        }
        self.database.execute("UPDATE heads SET head = ?", params![head.to_bytes()]).unwrap();
        for name in ["checkpoint", "anchor"] {
            let path = scene.house.data().join(name);
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// What a forger wants: the exchange never went to anybody.
fn deny(event: &mut Event) {
    let Event::Outcome(outcome) = event else { panic!("position 5 is an outcome: {event:?}") };
    "refused".clone_into(&mut outcome.outcome);
}

/// Of the sample's traffic: the first outcome.
const OUTCOME: usize = 5;

#[tokio::test]
async fn an_edit_is_caught_by_the_next_records_link_and_by_the_signed_root() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let (rewritten, _) = theirs.rewritten(OUTCOME, deny);
    let mut records = theirs.records.clone();
    records[OUTCOME].clone_from(&rewritten[OUTCOME]);
    scene.caught(&theirs, &records, OUTCOME as u64, "edited");
    // The last record has no successor; there it is the root alone.
    let last = records.len() - 1;
    let mut records = theirs.records.clone();
    let text = String::from_utf8(records[last].clone()).unwrap();
    records[last] = text.replace("\"uid:", "\"uid:9").into_bytes();
    scene.caught(&theirs, &records, last as u64, "edited");
}

#[tokio::test]
async fn deleted_inserted_moved_and_repeated_records_are_caught_by_position_and_link() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let altered = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut records = theirs.records.clone();
        change(&mut records);
        records
    };
    let at = OUTCOME as u64;
    scene.caught(&theirs, &altered(&|it| drop(it.remove(OUTCOME))), at, "deleted");
    scene.caught(&theirs, &altered(&|it| it.swap(OUTCOME, OUTCOME + 1)), at, "reordered");
    let again = altered(&|it| it.insert(OUTCOME + 1, it[OUTCOME].clone()));
    scene.caught(&theirs, &again, at + 1, "duplicated");
    let mut forged = Record::from_bytes(&theirs.records[OUTCOME]).unwrap();
    deny(&mut forged.event);
    let inserted = altered(&|it| it.insert(OUTCOME, forged.to_bytes()));
    scene.caught(&theirs, &inserted, at, "inserted");
}

#[tokio::test]
async fn a_cut_off_end_is_caught_by_the_signed_size_and_the_house_does_not_open() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let kept = theirs.records.len() - 2;
    scene.caught(&theirs, &theirs.records[..kept], kept as u64, "truncated");
    let (_, head) = theirs.rewritten(usize::MAX, |_| ());
    let mut shorter = Head::new();
    for bytes in &theirs.records[..kept] {
        let record = Record::from_bytes(bytes).unwrap();
        shorter.seal_next(record.log, record.time, record.event).unwrap();
    }
    assert_ne!(head.size(), shorter.size());
    theirs
        .database
        .execute("DELETE FROM records WHERE seq >= ?", params![i64::try_from(kept).unwrap()])
        .unwrap();
    theirs.database.execute("UPDATE heads SET head = ?", params![shorter.to_bytes()]).unwrap();
    drop(theirs);
    scene.house.run(&["serve", "--listen", "127.0.0.1:0"]).fails(3, "was rolled back");
}

#[tokio::test]
async fn a_whole_rewrite_with_database_rights_is_caught_by_the_signed_root() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let (records, _) = theirs.rewritten(OUTCOME, deny);
    scene.caught(&theirs, &records, records.len() as u64 - 1, "edited");
}

/// The attacker takes all signed checkpoints away, and the server signs the forgery in good faith: as good
/// as a stolen key.
#[tokio::test]
async fn a_whole_rewrite_that_is_signed_is_caught_by_the_auditors_checkpoint_and_a_callers_receipt()
{
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let (records, head) = theirs.rewritten(OUTCOME, deny);
    theirs.replace(&scene, &records, &head);
    drop(theirs);
    let bundle = scene.house.fresh("bundle.tar");
    scene.house.export(&bundle);
    let alone = Done::of(bulla_verify().arg(&bundle));
    assert_eq!(alone.code, 0, "by itself it agrees with itself: {}", alone.out);
    let verdict = scene.verified(&bundle);
    assert_eq!(verdict["problems"][0]["kind"], "rewritten", "{verdict}");
    let out = scene.house.fresh("proof.tar");
    let receipt = ["receipt", &scene.receipt, "--out", out.to_str().unwrap()];
    scene.house.run(&receipt).fails(2, "no record with that receipt");
}

#[tokio::test]
async fn a_signed_rewrite_is_caught_by_the_witness_and_has_no_stamp_that_is_older() {
    let upstream = Upstream::start(Reply::echo()).await;
    let stamping = Stamping::start();
    let mut house = House::bare();
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    let (folder, witness_key) = witness::made(&house.anchor_key);
    let witness = witness::serve(folder.path());
    let rules = crate::anchoring::rules(
        &upstream,
        &stamping,
        &roots,
        &crate::anchoring::witnessed(&witness),
    );
    house.apply(&rules).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let scene = scene(house).await;
    let theirs = scene.theirs();
    let outcome = theirs
        .records
        .iter()
        .position(|bytes| matches!(Record::from_bytes(bytes).unwrap().event, Event::Outcome(_)));
    let (records, head) = theirs.rewritten(outcome.unwrap(), deny);
    theirs.replace(&scene, &records, &head);
    drop(theirs);
    // The forged log is served on, and asks for cosignatures as ever.
    let begun = Instant::now();
    let serving = scene.house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let refused = |event: &Event| {
        matches!(event, Event::AnchorFailing { authority, reason } if authority == "auditor"
            && ["sees_another_past", "has_seen_more"].contains(&&**reason))
    };
    while !scene.house.log().events().any(refused) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the witness cosigned");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    serving.stop();
    // Its own stamps are all of today: what they cover was not vouched for before the forgery.
    let bundle = scene.house.fresh("bundle.tar");
    scene.house.export(&bundle);
    let trust = scene.house.fresh("trust.txt");
    let (log, own) = (&scene.house.verifier_key, &scene.house.anchor_key);
    fs::write(&trust, format!("{log}\n{own}\n{witness_key}\n{}", stamping.root())).unwrap();
    let verdict = Scene::read(&bundle, &trust);
    assert_eq!(verdict["witnessed"], serde_json::json!([]), "{verdict}");
    // The records name the tokens of the true log, which the bundle has not.
    let sizes: Vec<_> =
        verdict["stamps"].as_array().unwrap().iter().map(|it| &it["size"]).collect();
    assert!(sizes.iter().all(|size| size.as_u64().unwrap() >= records.len() as u64), "{verdict}");
}

/// The attacker has the database and the keys of the house; but nobody can take away what lies in the
/// bucket.
#[tokio::test]
async fn a_signed_rewrite_is_caught_by_the_copy_that_nobody_can_rewrite() {
    let upstream = Upstream::start(Reply::echo()).await;
    let bucket = Bucket::start();
    let mut house = House::bare();
    let rules = bucket.rules("Lakeside Family Clinic (synthetic)", &house.path("tmp"), "");
    house.apply(&Rules::cloud(&upstream).and(&rules)).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let scene = scene(house).await;
    let copied = bucket.objects();
    let theirs = scene.theirs();
    let (records, head) = theirs.rewritten(OUTCOME, deny);
    theirs.replace(&scene, &records, &head);
    // Where the copy was is forged too, or forgotten.
    assert_eq!(theirs.database.execute("DELETE FROM copies", []).unwrap(), 1);
    drop(theirs);
    let begun = Instant::now();
    let serving = scene.house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    while !serving.log_lines().contains("log_rewritten") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", serving.log_lines());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    serving.stop();
    let told = |event: &&Event| {
        matches!(event, Event::CopyFailing { copy, reason }
            if copy == "worm" && reason == "log_rewritten")
    };
    assert_eq!(scene.house.log().events().filter(told).count(), 1);
    assert_eq!(bucket.objects(), copied, "nothing is written over, and nothing more is written");
    // The auditor reads the true past out of the bucket, without the house.
    let (folder, out) = (scene.house.fresh("download"), scene.house.fresh("copy.tar"));
    bucket.download(&folder);
    let mut collect = bulla();
    collect.args(["audit", "collect"]).arg(&folder).arg("--out").arg(&out);
    Done::of(&mut collect).ok();
    let verdict = scene.verified(&out);
    assert_eq!(verdict["good"], true, "{verdict}");
    // And its checkpoint convicts what the house hands over, signed though that is.
    let mut checkpoint = String::new();
    ledger::bundle::each_file(fs::File::open(&out).unwrap(), |name, content| {
        if name == "checkpoint" {
            content.read_to_string(&mut checkpoint)?;
        }
        Ok(())
    })
    .unwrap();
    let trust = scene.house.fresh("trust.txt");
    fs::write(&trust, format!("{}\n{checkpoint}", scene.house.verifier_key)).unwrap();
    let bundle = scene.house.fresh("bundle.tar");
    scene.house.export(&bundle);
    let verdict = Scene::read(&bundle, &trust);
    assert_eq!(verdict["problems"][0]["kind"], "rewritten", "{verdict}");
}

#[tokio::test]
async fn selective_shredding_is_caught_by_the_claim_to_hold_all_that_was_not_disposed_of() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    let shredded = theirs
        .database
        .execute(
            "UPDATE units SET prompts = NULL WHERE id = (SELECT key FROM blobs ORDER BY exchange LIMIT 1)",
            [],
        )
        .unwrap();
    assert_eq!(shredded, 1);
    drop(theirs);
    let bundle = scene.house.fresh("bundle.tar");
    scene.house.run(&["audit", "export", "--content", "--out", bundle.to_str().unwrap()]).ok();
    let verdict = scene.verified(&bundle);
    let first = &verdict["problems"][0];
    assert_eq!(first["kind"], "content", "{verdict}");
    assert!(first["words"].as_str().unwrap().contains("no record says that it was disposed of"));
}

#[tokio::test]
async fn a_legacy_bridge_is_caught_because_the_log_begins_once_and_every_record_has_one_form() {
    let scene = plain_scene().await;
    let theirs = scene.theirs();
    // Records of some older system in front, without a chain.
    let mut records = theirs.records.clone();
    records.insert(0, br#"{"legacy":true,"time":"2019-01-01T00:00:00.000000Z"}"#.to_vec());
    scene.caught(&theirs, &records, 0, "inserted");
    // A second beginning, to bridge a gap.
    let first = Record::from_bytes(&theirs.records[0]).unwrap().event;
    let (records, _) = theirs.rewritten(OUTCOME, move |event| event.clone_from(&first));
    scene.caught(&theirs, &records, OUTCOME as u64, "inconsistent");
    // Another version of the form.
    let mut records = theirs.records.clone();
    let text = String::from_utf8(records[OUTCOME].clone()).unwrap();
    records[OUTCOME] = text.replace("\"v\":1", "\"v\":0").into_bytes();
    scene.caught(&theirs, &records, OUTCOME as u64, "edited");
}
