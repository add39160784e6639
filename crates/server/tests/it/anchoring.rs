//! The log, stamped by a local authority and cosigned by a witness, through the real programs. The
//! authority is OpenSSL's, made by the test; it proves nothing to anybody outside of it.

use crate::house::{Done, House, bulla_verify, user};
use crate::rules::Rules;
use crate::witness;
use ledger::Event;
use std::fs;
use std::path::Path;
use std::time::Duration;
use testkit::authority::{Manners, Stamping};
use testkit::upstream::{Reply, Upstream};
use tokio::time::Instant;

/// How long something that happens every second may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn rules(
    upstream: &Upstream,
    stamping: &Stamping,
    roots: &Path,
    witnessed: &str,
) -> Rules {
    Rules::cloud(upstream).and(&stamping.rules(roots)).and(witnessed)
}

pub(crate) fn witnessed(serving: &witness::Serving) -> String {
    let address = serving.address.trim_start_matches("http://");
    format!(
        r#"
[[hop]]
id = "auditor"
entity = "Example Auditor (synthetic)"
role = "timestamp"
sees = "hashes"
boundary = "outside"
hosts = ["{address}"]

[[witness]]
id = "auditor"
hop = "auditor"
url = "http://{address}"
key = "{}"
"#,
        serving.key
    )
}

/// Waits until the log has an event, and returns how many of them it has.
async fn wait_for(house: &House, what: &str, is: impl Fn(&Event) -> bool) -> usize {
    let begun = Instant::now();
    loop {
        let found = house.log().events().filter(|event| is(event)).count();
        if found > 0 {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "no {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is_anchored(event: &Event) -> bool {
    matches!(event, Event::Anchored { .. })
}

fn is_failing(event: &Event) -> bool {
    matches!(event, Event::AnchorFailing { .. })
}

#[tokio::test]
async fn the_log_is_stamped_and_cosigned_and_an_auditor_sees_it() {
    let upstream = Upstream::start(Reply::echo()).await;
    let stamping = Stamping::start();
    let mut house = House::bare();
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    let (folder, witness_key) = witness::made(&house.anchor_key);
    let witness = witness::serve(folder.path());
    let rules = rules(&upstream, &stamping, &roots, &witnessed(&witness));
    house.apply(&rules).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    let answer = serving.ask(&user("hello")).await;
    assert_eq!(answer.status(), 200);
    let receipt = answer.header("x-bulla-receipt").unwrap().to_owned();
    wait_for(&house, "stamp", is_anchored).await;
    // A log that has nothing new but its own stamps is not stamped again and again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = house.log().len();
    serving.stop();

    let bundle = house.fresh("bundle.tar");
    house.export(&bundle);
    let trust = house.fresh("trust.txt");
    let root = stamping.root();
    let (log, own) = (&house.verifier_key, &house.anchor_key);
    fs::write(&trust, format!("{log}\n{own}\n{witness_key}\n{root}")).unwrap();
    let mut verify = bulla_verify();
    verify.arg(&bundle).arg("--trust").arg(&trust).arg("--json");
    let verdict: serde_json::Value = serde_json::from_str(&Done::of(&mut verify).ok()).unwrap();
    let records = verdict["records"].as_u64().unwrap();
    let last = verdict["stamps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["size"], records, "the export itself is stamped: {verdict}");
    assert_eq!(last["authority"], "example-authority");
    let witnessed = verdict["witnessed"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&witnessed["size"], &witnessed["witness"]),
        (&records.into(), &"witness.example/w1".into())
    );
    assert!(verdict["exposure"]["seconds"].as_u64().unwrap() < 60, "{verdict}");
    assert_eq!(verdict["warnings"], serde_json::json!([]), "{verdict}");
    // Each look at the log exports it, which is a record that is stamped; idle seconds add nothing.
    assert!(records - u64::try_from(before).unwrap() < 12, "{before} records, then {records}");
    // The receipt of the answer, as a file that shows this one record.
    let proof = house.fresh("proof.tar");
    house.run(&["receipt", &receipt, "--out", proof.to_str().unwrap()]).ok();
    let mut verify = bulla_verify();
    verify.arg(&proof).arg("--trust").arg(&trust).arg("--json");
    let verdict: serde_json::Value = serde_json::from_str(&Done::of(&mut verify).ok()).unwrap();
    assert!(verdict["good"] == true && verdict["key_trusted"] == true, "{verdict}");
    assert!(receipt.ends_with(verdict["leaf"].as_str().unwrap()), "{receipt}: {verdict}");
    assert_eq!(verdict["stamps"].as_array().unwrap().len(), 1, "{verdict}");
    assert_eq!(verdict["witnessed"].as_array().unwrap().len(), 1, "{verdict}");
    let bytes = fs::read(&proof).unwrap();
    let records = bytes.windows(9).filter(|at| at == b"\"kind\":\"e").count();
    assert_eq!(records, 1, "no other record is in it");
    let wrong = receipt.replace('#', "#1");
    let other = house.fresh("other.tar");
    house
        .run(&["receipt", &wrong, "--out", other.to_str().unwrap()])
        .fails(2, "no record with that");
    // OpenSSL reads the same files.
    let unpacked = house.fresh("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar =
        std::process::Command::new("tar").arg("xf").arg(&bundle).arg("-C").arg(&unpacked).status();
    assert!(tar.unwrap().success());
    let token = fs::read_dir(unpacked.join("anchors"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|it| it == "tst"))
        .unwrap();
    let note = token.with_file_name(format!(
        "{}.checkpoint",
        token.file_name().unwrap().to_str().unwrap().split('.').next().unwrap()
    ));
    let openssl = std::process::Command::new("openssl")
        .args(["ts", "-verify", "-token_in", "-data"])
        .arg(note)
        .arg("-in")
        .arg(token)
        .arg("-CAfile")
        .arg(&roots)
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");
}

#[tokio::test]
async fn an_authority_that_fails_is_told_once_and_the_stamp_comes_late() {
    let upstream = Upstream::start(Reply::echo()).await;
    let stamping = Stamping::start();
    stamping.is(Manners::Gone);
    let mut house = House::bare();
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    house.apply(&rules(&upstream, &stamping, &roots, "")).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    wait_for(&house, "alert", is_failing).await;
    // Prompts go on: the log is whole, and what is not anchored yet is told.
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    stamping.is(Manners::OverSomethingElse);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = house.log();
    assert!(!log.events().any(is_anchored), "a stamp over something else is none");
    stamping.is(Manners::Good);
    wait_for(&house, "late stamp", is_anchored).await;
    let log = house.log();
    // Once for each command and server that met it, and not once a second.
    let told = log.events().filter(|event| is_failing(event)).count();
    assert!(told < log.len() / 2, "{told} of {}", log.len());
    let covered = log.events().find_map(|event| {
        if let Event::Anchored { size, .. } = event { Some(*size) } else { None }
    });
    assert!(covered.unwrap() > 5, "the late stamp covers what waited: {covered:?}");
    serving.stop();
}

#[tokio::test]
async fn a_witness_that_is_gone_is_told_once_and_holds_up_nobody() {
    let upstream = Upstream::start(Reply::echo()).await;
    let mut house = House::bare();
    let (folder, _) = witness::made(&house.anchor_key);
    let witness = witness::serve(folder.path());
    let rules = Rules::cloud(&upstream).and("[anchoring]\nevery_seconds = 1\n");
    house.apply(&rules.and(&witnessed(&witness))).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    drop(witness);
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(serving.ask(&user("hello")).await.status(), 200);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert!(begun.elapsed() < LIMIT, "the witness holds up prompts");
    wait_for(&house, "alert", is_failing).await;
    let named = |event: &Event| matches!(event, Event::AnchorFailing { authority, .. } if authority == "auditor");
    serving.stop();
    let log = house.log();
    // Once by the server, which asked again every second, and once by the command that exports.
    let told = log.events().filter(|event| named(event)).count();
    assert!((1..=2).contains(&told), "{told} of {}", log.len());
}
