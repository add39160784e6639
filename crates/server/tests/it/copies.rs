//! The log, copied out of the real server into object storage, and read there without the server.

use crate::house::{Done, House, bulla, bulla_verify, user};
use crate::rules::Rules;
use crate::witness;
use ledger::bundle::Chunk;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::authority::Stamping;
use testkit::bucket::{Bucket, Mood};
use testkit::upstream::{Flaw, Reply, Upstream};

const CLINIC: &str = "Lakeside Family Clinic (synthetic)";

fn collect(folder: &Path, out: &Path) -> Done {
    let mut collect = bulla();
    collect.args(["audit", "collect"]).arg(folder).arg("--out").arg(out);
    Done::of(&mut collect)
}

/// The one folder that begins with this word.
fn below(folder: &Path, word: &str) -> PathBuf {
    let mut found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let one = found.next().unwrap();
    assert!(found.next().is_none() && one.file_name().unwrap().to_str().unwrap().starts_with(word));
    one
}

#[tokio::test]
async fn a_bundle_of_the_copy_is_good_with_its_stamps_and_cosignatures() {
    let upstream = Upstream::start(Reply::echo()).await;
    let (bucket, stamping) = (Bucket::start_tls(Flaw::None), Stamping::start());
    let mut house = House::bare();
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    let (folder, witness_key) = witness::made(&house.anchor_key);
    let witness = witness::serve(folder.path());
    let witnessed = crate::anchoring::witnessed(&witness);
    let rules = crate::anchoring::rules(&upstream, &stamping, &roots, &witnessed);
    house.apply(&rules.and(&bucket.rules(CLINIC, &house.path("tmp"), ""))).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    bucket
        .wait_for(|objects| {
            [".tst", ".cosignature"].iter().all(|end| objects.keys().any(|it| it.ends_with(end)))
        })
        .await;
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    assert_eq!(bucket.complaints(), Vec::<String>::new());
    let said = house.run(&["audit", "copies"]).ok();
    // The last stamp is told in the log after what it covers was copied.
    assert!(said.starts_with("worm\tnext "), "{said}");
    let trust = house.fresh("trust.txt");
    let (log, own) = (&house.verifier_key, &house.anchor_key);
    fs::write(&trust, format!("{log}\n{own}\n{witness_key}\n{}", stamping.root())).unwrap();

    // An auditor, with the objects alone.
    let (download, out) = (house.fresh("download"), house.fresh("copy.tar"));
    bucket.download(&download);
    let said = collect(&download, &out).ok();
    assert!(said.starts_with("Wrote ") && said.contains("offline: bulla-verify"), "{said}");
    let mut verify = bulla_verify();
    verify.arg(&out).arg("--trust").arg(&trust).arg("--json");
    let verdict: Value = serde_json::from_str(&Done::of(&mut verify).ok()).unwrap();
    assert_eq!(verdict["good"], true, "{verdict}");
    let records = verdict["records"].as_u64().unwrap();
    assert!(records >= 10, "{verdict}");
    for who in ["stamps", "witnessed"] {
        let newest = verdict[who].as_array().unwrap().last().unwrap()["size"].as_u64().unwrap();
        assert!(newest >= 5 && newest <= records, "{who}: {verdict}");
    }
    assert_eq!(verdict["warnings"], serde_json::json!([]), "{verdict}");
    // The folder of the log is enough, and a bundle that is there is not written over.
    let log_folder = below(&below(&download.join("clinic"), "dep_"), "ten_");
    let again = house.fresh("again.tar");
    collect(&log_folder, &again).ok();
    assert_eq!(fs::read(&again).unwrap(), fs::read(&out).unwrap());
    collect(&log_folder, &again).fails(2, "cannot write");

    // A copy with a hole, one of two logs, and none.
    let chunk = fs::read_dir(log_folder.join("records")).unwrap().next().unwrap().unwrap();
    let chunk_name = format!("records/{}", chunk.file_name().into_string().unwrap());
    let hole = Chunk::of(&chunk_name).unwrap();
    fs::remove_file(chunk.path()).unwrap();
    let bad = house.fresh("bad.tar");
    let words = format!("records {} to {} are missing", hole.first, hole.last);
    collect(&download, &bad).fails(1, &words);
    assert!(!bad.exists(), "half a bundle is none");
    let other = download.join("other/records");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("0000000000-0000000000.jsonl"), "{}\n").unwrap();
    collect(&download, &bad).fails(2, "copies of more than one log");
    collect(&house.path("tmp"), &bad).fails(2, "this is no copy of a log");
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_leaves_no_gap_and_nothing_twice() {
    let upstream = Upstream::start(Reply::echo()).await;
    let bucket = Bucket::start();
    bucket.pages_of(1);
    let mut house = House::bare();
    let rules = bucket.rules(CLINIC, &house.path("tmp"), "");
    house.apply(&Rules::cloud(&upstream).and(&rules)).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    for round in 0..4 {
        bucket.is(if round % 2 == 0 { Mood::Good } else { Mood::LosesAnswers });
        let serving = house.serve();
        let before = bucket.objects().len();
        assert_eq!(serving.ask(&user("hello")).await.status(), 200);
        bucket.wait_for(|objects| objects.len() > before).await;
        serving.kill();
    }
    bucket.is(Mood::Good);
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    let names: BTreeSet<String> = bucket.objects().into_keys().collect();
    let chunks = names.iter().filter_map(|name| Chunk::of(&name[name.find("records/")?..]));
    let mut next = 0;
    for chunk in chunks {
        assert_eq!(chunk.first, next, "{names:?}");
        next = chunk.last + 1;
    }
    assert!(next > 15, "{next}");
    let said = house.run(&["audit", "copies"]).ok();
    assert_eq!(said, format!("worm\tnext {next}\tbehind 0\n"));
    assert_eq!(bucket.complaints(), Vec::<String>::new());
}
