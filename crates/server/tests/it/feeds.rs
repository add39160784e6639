//! The log, streamed out of the real server to a SIEM that dies, while the server dies too.

use crate::house::{House, user};
use crate::rules::Rules;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;
use testkit::notes;
use testkit::siem::SyslogReceiver;
use testkit::upstream::{Flaw, Reply, Upstream};

/// A feed to a receiver inside the boundary, and what follows the hop.
fn rules(upstream: &Upstream, house: &House, siem: &SyslogReceiver, hop: &str) -> Rules {
    let (address, ca) = (siem.address(), house.path("siem-ca.pem"));
    fs::write(&ca, siem.authority().pem()).unwrap();
    let ca = ca.display();
    Rules::cloud(upstream).and(&format!(
        r#"
[[hop]]
id = "siem"
role = "siem"
sees = "metadata"
hosts = ["{address}"]
{hop}

[[feed]]
id = "siem"
hop = "siem"
format = "ocsf"
syslog = "tls://{address}"
ca_file = "{ca}"
"#
    ))
}

const INSIDE: &str = r#"
entity = "Lakeside Family Clinic (synthetic)"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
"#;

const OUTSIDE: &str = r#"
entity = "Example SIEM Inc. (synthetic)"
boundary = "outside"
tier = "enterprise"
"#;

/// The event in a syslog message.
fn event(message: &str) -> Value {
    let (_, line) = message.split_once("\"] ").unwrap();
    serde_json::from_str(line).unwrap()
}

fn seq(message: &str) -> u64 {
    event(message)["metadata"]["sequence"].as_u64().unwrap()
}

/// The leaf hash of each record that arrived, in order; checks that there is no gap, and that what came
/// twice came alike.
fn leaves(messages: &[String]) -> Vec<String> {
    let mut leaves: Vec<String> = Vec::new();
    for message in messages {
        let event = event(message);
        let leaf = event["unmapped"]["leaf"].as_str().unwrap().to_owned();
        let at = usize::try_from(seq(message)).unwrap();
        if let Some(before) = leaves.get(at) {
            assert_eq!(*before, leaf, "a duplicate differs");
        } else {
            assert_eq!(at, leaves.len(), "a gap");
            leaves.push(leaf);
        }
    }
    leaves
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_reaches_the_siem_though_both_ends_are_killed() {
    let upstream = Upstream::start(Reply::echo()).await;
    let mut siem = SyslogReceiver::start(Flaw::None);
    let mut house = House::bare();
    house.apply(&rules(&upstream, &house, &siem, INSIDE)).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let note = notes::every_class();
    let serving = house.serve();
    for round in 0..3 {
        for _ in 0..10 {
            assert_eq!(serving.ask(&user(&note.text)).await.status(), 200);
        }
        let some = 20 * (round + 1);
        siem.wait_for(|messages| messages.len() >= some).await;
        siem.kill().await;
        assert_eq!(serving.ask(&user(&note.text)).await.status(), 200, "nobody waits for the SIEM");
        siem.revive();
    }
    serving.kill();
    let serving = house.serve();
    assert_eq!(serving.ask(&user(&note.text)).await.status(), 200);
    // The reading is a record too, and the last one.
    let stored = house.run(&["audit", "stream"]).ok();
    let last = stored.lines().count() as u64 - 1;
    siem.wait_for(|messages| messages.iter().any(|message| seq(message) >= last)).await;
    serving.stop();
    let messages = siem.messages();
    let arrived = leaves(&messages);
    for (line, leaf) in stored.lines().zip(&arrived) {
        assert!(line.contains(&format!("\"leaf\":\"{leaf}\"")), "{leaf}: {line}");
    }
    let exchanges = messages.iter().filter(|it| it.contains(" exchange.outcome [")).count();
    assert!(exchanges >= 34, "{exchanges}");
    // What was planted in prompts stands in no line.
    for planted in &note.planted {
        let chance =
            planted.value.len() < 8 && planted.value.bytes().all(|it| it.is_ascii_hexdigit());
        let holds = |text: &String| text.contains(&planted.value);
        assert!(chance || !messages.iter().any(holds), "{}", planted.value);
    }
    let feeds = house.run(&["audit", "feeds"]).ok();
    assert!(feeds.starts_with("siem\tnext ") && feeds.contains("\tbehind "), "{feeds}");
}

#[tokio::test]
async fn a_feed_to_a_siem_that_nothing_covers_is_not_applied() {
    let upstream = Upstream::start(Reply::echo()).await;
    let siem = SyslogReceiver::start(Flaw::None);
    let house = House::bare();
    let refused = house.apply(&rules(&upstream, &house, &siem, OUTSIDE));
    refused.fails(2, "feed \"siem\": hop \"siem\" has no agreement and no chain evidence");
    refused.fails(2, "Nothing was changed");
}

#[test]
fn the_log_is_printed_in_every_format() {
    let house = House::bare();
    for (format, begins) in [
        ("jsonl", "{\"leaf\":\""),
        ("ocsf", "{"),
        ("cef", "CEF:0|Bulla|Bulla|"),
        ("fhir", "{\"resourceType\":\"AuditEvent\""),
    ] {
        let printed = house.run(&["audit", "stream", "--format", format]).ok();
        assert!(printed.lines().all(|line| line.starts_with(begins)), "{printed}");
        assert!(printed.lines().last().unwrap().contains("audit.streamed"), "{printed}");
    }
    let printed = house.run(&["audit", "stream", "--from", "3"]).ok();
    assert_eq!(printed.lines().count(), 3);
    assert!(printed.starts_with("{\"leaf\":") && printed.contains("\"seq\":3}\n"), "{printed}");
    house.run(&["audit", "stream", "--format", "xml"]).fails(2, "--format");
}

/// The check of the manual, over lines.
fn check(lines: &[&str]) -> String {
    const MANUAL: &str = include_str!("../../../../docs/feeds.md");
    let script = MANUAL.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let mut python = std::process::Command::new("python3");
    python.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_check_of_the_manual_sees_what_is_missing_and_what_was_altered() {
    let house = House::bare();
    for _ in 0..5 {
        house.create_key(&[]);
    }
    let printed = house.run(&["audit", "stream"]).ok();
    let lines: Vec<&str> = printed.lines().collect();
    let (first, second, third, rest) = (lines[0], lines[1], lines[2], &lines[3..]);
    let whole = check(&[&[third, first, third, second][..], rest].concat());
    assert!(whole.contains(" 7 records, missing: [] broken: []"), "{whole}");
    let missing = check(&[&[first, third][..], rest].concat());
    assert!(missing.contains(" 6 records, missing: [1] broken: []"), "{missing}");
    let forged = second.replacen("Example Bot", "Example Bat", 1);
    assert_ne!(forged, second);
    let altered = check(&[&[first, &forged, third][..], rest].concat());
    assert!(altered.starts_with("altered: bulla/"), "{altered}");
    // With its leaf hash computed again, the record after it no longer follows.
    let record = forged.split_once("\"record\":").unwrap().1.rsplit_once(",\"seq\":").unwrap().0;
    let leaf = ledger::tree::leaf_hash(record.as_bytes()).to_string();
    let rehashed = format!("{{\"leaf\":\"{leaf}{}", forged.split_at("{\"leaf\":\"".len() + 64).1);
    let broken = check(&[&[first, &rehashed, third][..], rest].concat());
    assert!(broken.contains("missing: [] broken: [2]"), "{broken}");
}

#[test]
fn the_log_is_followed_as_it_grows() {
    let house = House::bare();
    let mut command = house.command(&["audit", "stream", "--follow"]);
    let mut following = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let out = BufReader::new(following.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        for line in out.lines() {
            tell.send(line.unwrap()).unwrap();
        }
    });
    let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(next().contains("log.opened"));
    let own = next();
    assert!(own.contains("audit.streamed") && !own.contains("\"size\""), "{own}");
    house.create_key(&[]);
    assert!(next().contains("api_key.created"));
    following.kill().unwrap();
    following.wait().unwrap();
    reading.join().unwrap();
}
