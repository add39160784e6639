//! The log is streamed to a SIEM without a gap, whatever becomes of the SIEM and of us.

use crate::world::{World, operator};
use ledger::tree::leaf_hash;
use ledger::{Actor, Event, Record};
use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::siem::SyslogReceiver;
use testkit::upstream::{Captured, Fault, Flaw, Reply, Script, Upstream};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long something that happens every second may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(40);

/// The hop of a receiver on this machine.
fn hop(address: &str) -> String {
    format!(
        r#"
[[hop]]
id = "siem"
entity = "Example Clinic (synthetic)"
role = "siem"
sees = "metadata"
boundary = "inside"
owner = "Example Clinic (synthetic)"
hosts = ["{address}"]
"#
    )
}

fn feed(id: &str, more: &str) -> String {
    format!("\n[[feed]]\nid = \"{id}\"\nhop = \"siem\"\n{more}\n")
}

/// A running upkeep; it ends when it is told or dropped.
pub(crate) struct Kept(Option<oneshot::Sender<()>>, tokio::task::JoinHandle<()>);

impl Kept {
    pub(crate) async fn stop(mut self) {
        drop(self.0.take());
        (&mut self.1).await.unwrap();
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the test ends the task by itself")]
    pub(crate) fn keep_up(&self) -> Kept {
        let (stop, stopped) = oneshot::channel::<()>();
        let upkeep = Arc::clone(&self.house).keep_up(async { drop(stopped.await) });
        Kept(Some(stop), tokio::spawn(upkeep))
    }

    /// Makes some records.
    pub(crate) async fn grow(&self, records: usize) {
        for _ in 0..records {
            self.house.started(operator()).await.unwrap();
        }
    }

    pub(crate) async fn size(&self) -> u64 {
        self.house.status().await.unwrap().records
    }

    /// A file in the data directory.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    async fn syslog_feed(&self, siem: &SyslogReceiver, more: &str) -> String {
        let ca = self.file("siem-ca.pem", &siem.authority().pem());
        let address = siem.address();
        let syslog =
            format!("format = \"jsonl\"\nsyslog = \"tls://{address}\"\nca_file = \"{ca}\"\n{more}");
        let rules = format!("{}{}", hop(&address.to_string()), feed("siem", &syslog));
        self.apply_with(&rules).await;
        rules
    }

    /// Waits until the log says that a feed fails, and why.
    async fn failing(&self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let found: Vec<String> = self
                .events()
                .await
                .into_iter()
                .filter_map(|event| match event {
                    Event::FeedFailing { reason, .. } => Some(reason),
                    _ => None,
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
            assert!(begun.elapsed() < LIMIT, "no feed fails");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a feed is stored to be at least that far.
    async fn delivered(&self, next: u64) {
        let begun = Instant::now();
        loop {
            let feeds = self.house.feeds().await.unwrap();
            if feeds.iter().all(|feed| feed.next >= next) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{feeds:?} but not {next}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Position and line of a syslog message in JSON Lines.
fn line(message: &str) -> (u64, &str) {
    let (_, line) = message.split_once("\"] ").unwrap();
    let value: Value = serde_json::from_str(line).unwrap();
    (value.get("seq").and_then(Value::as_u64).unwrap(), line)
}

/// Checks that the lines are the log from its beginning: in order, chained, without a gap; what came
/// twice came alike. Says how many records there are.
fn check_whole<'a>(lines: impl IntoIterator<Item = (u64, &'a str)>) -> u64 {
    let mut seen: Vec<&str> = Vec::new();
    let mut before = "0".repeat(64);
    for (seq, line) in lines {
        let at = usize::try_from(seq).unwrap();
        if let Some(first) = seen.get(at) {
            assert_eq!(*first, line, "a duplicate differs");
            continue;
        }
        assert_eq!(at, seen.len(), "a gap");
        let (_, rest) = line.split_once("\"record\":").unwrap();
        let (bytes, _) = rest.rsplit_once(",\"seq\":").unwrap();
        let record = Record::from_bytes(bytes.as_bytes()).unwrap();
        assert_eq!((record.seq, record.prev.to_string()), (seq, before));
        before = leaf_hash(bytes.as_bytes()).to_string();
        assert!(line.contains(&format!("\"leaf\":\"{before}\"")), "{line}");
        seen.push(line);
    }
    seen.len() as u64
}

fn check_messages(siem: &SyslogReceiver) -> u64 {
    check_whole(siem.messages().iter().map(|message| line(message)))
}

fn reaches(records: u64) -> impl Fn(&[String]) -> bool {
    move |messages| messages.iter().any(|message| line(message).0 + 1 >= records)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_arrives_though_the_receiver_dies_again_and_again() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let mut siem = SyslogReceiver::start(Flaw::None);
    world.syslog_feed(&siem, "").await;
    let kept = world.keep_up();
    for round in 0..3 {
        world.grow(300).await;
        let size = world.size().await;
        if round == 1 {
            // Killed in the middle of reading, and what lies in its buffers with it.
            siem.wait_for(reaches(400)).await;
        } else {
            siem.wait_for(reaches(size)).await;
        }
        siem.kill().await;
        world.grow(20).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        siem.revive();
    }
    world.grow(10).await;
    let size = world.size().await;
    siem.wait_for(reaches(size)).await;
    kept.stop().await;
    assert!(check_messages(&siem) >= size);
    assert!(size > 960 && siem.connections() >= 4, "{size}, {}", siem.connections());
    // Each outage was told, once.
    let outages = world.failing().await;
    assert!((1..=6).contains(&outages.len()), "{outages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_receiver_was() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let siem = SyslogReceiver::start(Flaw::None);
    world.syslog_feed(&siem, "").await;
    let kept = world.keep_up();
    world.grow(50).await;
    siem.wait_for(reaches(world.size().await)).await;
    kept.stop().await;
    // An orderly end: the last record arrives too, and the position is known at once.
    world.house.stopped(operator()).await.unwrap();
    let size = world.size().await;
    assert_eq!(check_messages(&siem), size);
    world.delivered(size).await;
    let before = siem.messages().len();
    assert_eq!(before as u64, size, "nothing came twice");
    let kept = world.keep_up();
    world.grow(1).await;
    siem.wait_for(reaches(size + 1)).await;
    kept.stop().await;
    assert_eq!(siem.messages().len(), before + 1, "nothing came twice");
    assert_eq!(siem.broken(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_on_a_living_connection_settles() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let siem = SyslogReceiver::start(Flaw::None);
    world.syslog_feed(&siem, "").await;
    let kept = world.keep_up();
    let size = world.size().await;
    siem.wait_for(reaches(size)).await;
    assert!(world.house.feeds().await.unwrap()[0].next == 0, "sent is not yet arrived");
    world.delivered(size).await;
    kept.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    for flaw in [Flaw::SelfSigned, Flaw::UnknownAuthority, Flaw::WrongName, Flaw::Expired] {
        let world = World::at("2026-06-01T00:00:00Z", None).await;
        let siem = SyslogReceiver::start(flaw);
        world.syslog_feed(&siem, "").await;
        let kept = world.keep_up();
        assert_eq!(world.failing().await, ["tls_refused"], "{flaw:?}");
        kept.stop().await;
        assert_eq!(siem.messages(), Vec::<String>::new(), "{flaw:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_our_certificate_gets_it() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let siem = SyslogReceiver::start_mutual();
    let (certificate, key) = siem.authority().issue_pem(Flaw::None);
    let certificate = world.file("client.pem", &certificate);
    let key = world.file("client.key", &key);
    world
        .syslog_feed(&siem, &format!("cert_file = \"{certificate}\"\nkey_file = \"{key}\"\n"))
        .await;
    let kept = world.keep_up();
    let size = world.size().await;
    siem.wait_for(reaches(size)).await;
    kept.stop().await;
    check_messages(&siem);

    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let siem = SyslogReceiver::start_mutual();
    world.syslog_feed(&siem, "").await;
    let kept = world.keep_up();
    world.failing().await;
    kept.stop().await;
    assert_eq!(siem.messages(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_hung_receiver_holds_up_nobody() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let (good, hung) = (SyslogReceiver::start(Flaw::None), SyslogReceiver::start(Flaw::None));
    hung.stalls(true);
    let mut dead = SyslogReceiver::start(Flaw::None);
    dead.kill().await;
    let mut rules = String::new();
    for (id, siem) in [("a-dead", &dead), ("b-hung", &hung), ("c-good", &good)] {
        let ca = world.file(&format!("{id}.pem"), &siem.authority().pem());
        let address = siem.address();
        let own =
            hop(&address.to_string()).replace("\"siem\"\nentity", &format!("\"{id}\"\nentity"));
        let syslog = format!("format = \"ocsf\"\nsyslog = \"tls://{address}\"\nca_file = \"{ca}\"");
        let own_feed = feed(id, &syslog).replace("hop = \"siem\"", &format!("hop = \"{id}\""));
        rules = format!("{rules}{own}{own_feed}");
    }
    world.apply_with(&rules).await;
    let kept = world.keep_up();
    world.grow(1500).await;
    let begun = Instant::now();
    let (event, _) = world.ask("hello", None).await;
    assert_eq!(crate::world::ending(&event).0, "answered");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let size = usize::try_from(world.size().await).unwrap();
    good.wait_for(|messages| messages.len() >= size).await;
    let begun = Instant::now();
    kept.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    world.house.stopped(operator()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// The lines in the bodies of requests.
fn bodies(captured: &[Captured]) -> Vec<String> {
    captured
        .iter()
        .flat_map(|it| it.text().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn webhook(upstream: &Upstream, world: &World, more: &str) -> String {
    // The stand-in knows one path to post to.
    let url = format!("{}/chat/completions", upstream.url());
    let mut ca = String::new();
    if !upstream.ca_pem().is_empty() {
        ca = format!("ca_file = \"{}\"", world.file("hook-ca.pem", upstream.ca_pem()));
    }
    let webhook = format!("format = \"jsonl\"\nwebhook = \"{url}\"\n{ca}\n{more}");
    format!("{}{}", hop(&upstream.address().to_string()), feed("hook", &webhook))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_and_hangs_gets_every_line_in_the_end() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let answer = move |_: usize, _: &Captured| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::fault(Fault::Status { status: 500, retry_after: None }),
        1 => Reply::fault(Fault::Status { status: 413, retry_after: None }),
        2 => Reply::fault(Fault::HangBeforeHeaders),
        _ => Reply::text("ok"),
    };
    let hook = Upstream::start_tls(Script::by_request(answer), Flaw::None).await;
    let secret = "secret = \"file:SECRET\"\nauthorization = \"file:TOKEN\"\n"
        .replace("SECRET", &world.file("hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
        .replace("TOKEN", &world.file("hook.token", "Splunk 0123-example\n"));
    world.apply_with(&webhook(&hook, &world, &secret)).await;
    world.grow(600).await;
    let kept = world.keep_up();
    let size = world.size().await;
    world.delivered(size).await;
    kept.stop().await;
    assert_eq!(world.failing().await, ["refused"], "an outage is told once");
    let captured = hook.captured();
    let lines = bodies(&captured[3..]);
    let numbered = lines.iter().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["seq"].as_u64().unwrap(), line.as_str())
    });
    assert!(check_whole(numbered) >= size);
    // The first two tries were of the same lines, so they have the same id; a smaller one has another.
    let id = |n: usize| captured[n].header("webhook-id").unwrap().to_owned();
    assert_eq!(id(0), id(1));
    assert_ne!(id(1), id(2));
    assert_eq!(id(2), id(3), "what hung is sent again as it was");
    for request in &captured {
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(request.header("authorization"), Some("Splunk 0123-example"));
        assert!(request.header("webhook-signature").unwrap().starts_with("v1,"));
        assert_eq!(request.header("webhook-timestamp"), Some("1780272000"));
        assert!(request.text().lines().count() <= 256);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_secret_cannot_be_read_gets_nothing() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let hook = Upstream::start(Reply::text("ok")).await;
    let check = async |secret: &str, reason: &str| {
        let world = World::at("2026-06-01T00:00:00Z", None).await;
        let kept = world.keep_up();
        world.apply_with(&webhook(&hook, &world, secret)).await;
        assert_eq!(world.failing().await, [reason]);
        kept.stop().await;
        assert_eq!(hook.captured().len(), 0);
    };
    check("secret = \"env:NOT_SET\"", "secret_unreadable").await;
    let short = world.file("short", "hunter2");
    check(&format!("secret = \"file:{short}\""), "secret_too_short").await;
    check("authorization = \"file:/nowhere/at/all\"", "secret_unreadable").await;
    // A certificate of somebody else's.
    let hook = Upstream::start_tls(Reply::text("ok"), Flaw::UnknownAuthority).await;
    world.apply_with(&webhook(&hook, &world, "")).await;
    let kept = world.keep_up();
    assert_eq!(world.failing().await, ["unreachable"]);
    kept.stop().await;
    assert_eq!(hook.captured().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_grows_by_the_lines_of_the_log() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let path = world.data().join("siem.jsonl");
    let file = format!("format = \"jsonl\"\nfile = \"{}\"", path.display());
    world.apply_with(&format!("{}{}", hop("127.0.0.1:1"), feed("file", &file))).await;
    let kept = world.keep_up();
    world.grow(300).await;
    let size = world.size().await;
    world.delivered(size).await;
    kept.stop().await;
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["seq"].as_u64().unwrap(), line)
    });
    assert_eq!(check_whole(lines), size);
    assert_eq!(text.lines().count() as u64, size, "nothing came twice");
    // The agent moved the file away: a new one begins where the old one ended.
    fs::rename(&path, path.with_extension("1")).unwrap();
    let kept = world.keep_up();
    world.grow(3).await;
    world.delivered(size + 3).await;
    kept.stop().await;
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\"leaf\"") && text.lines().count() == 3, "{text}");
    assert!(text.contains(&format!("\"seq\":{size}}}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rewritten_behind_its_back_stops_the_feed() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let path = world.data().join("siem.jsonl");
    let file = format!("format = \"jsonl\"\nfile = \"{}\"", path.display());
    let rules = format!("{}{}", hop("127.0.0.1:1"), feed("file", &file));
    world.apply_with(&rules).await;
    let kept = world.keep_up();
    world.grow(3).await;
    world.delivered(world.size().await).await;
    kept.stop().await;
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    // Somebody with the database and without scruples changes the hash of the last record delivered.
    let database = rusqlite::Connection::open(world.data().join("bulla.db")).unwrap();
    let forged = "DROP TRIGGER feeds_do_not_go_back; UPDATE feeds SET leaf = zeroblob(32)";
    database.execute_batch(forged).unwrap();
    drop(database);
    let world = world.reopened().await;
    let kept = world.keep_up();
    assert_eq!(world.failing().await, ["log_rewritten"]);
    world.grow(3).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    kept.stop().await;
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), lines, "nothing more was delivered");
    assert_eq!(world.failing().await.len(), 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_nothing_covers_is_refused_and_a_lapse_ends_the_feed() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let siem = SyslogReceiver::start(Flaw::None);
    let outside = |agreement: &str| {
        let owner = "owner = \"Example Clinic (synthetic)\"\n";
        let id = "\"siem\"\nentity = \"Example Clinic (synthetic)\"";
        hop(&siem.address().to_string())
            .replace(owner, agreement)
            .replace("inside", "outside")
            .replace(id, "\"siem\"\nentity = \"Example SIEM (synthetic)\"")
    };
    let ca = world.file("siem-ca.pem", &siem.authority().pem());
    let address = siem.address();
    let syslog = format!("format = \"cef\"\nsyslog = \"tls://{address}\"\nca_file = \"{ca}\"");
    let scope = "service = \"logs\"\ntier = \"enterprise\"\nregion = \"us\"\n";
    let uncovered = format!("{}{}", outside(scope), feed("siem", &syslog));
    let refused = world.try_with(&uncovered).await.unwrap_err().to_string();
    assert_eq!(refused, "feed \"siem\": hop \"siem\" has no agreement and no chain evidence");

    let agreement = r#"
[[agreement]]
id = "baa-siem"
kind = "baa"
counterparty = "Example SIEM (synthetic)"
effective = 2026-01-01
expires = 2026-06-02
[[agreement.scope]]
services = ["logs"]
tiers = ["enterprise"]
regions = ["us"]
"#;
    let hop = outside(&format!("{scope}agreement = \"baa-siem\"\n"));
    world.apply_with(&format!("{agreement}{hop}{}", feed("siem", &syslog))).await;
    let kept = world.keep_up();
    siem.wait_for(|messages| !messages.is_empty()).await;
    world.clock.advance(86_400);
    assert_eq!(world.failing().await, ["uncovered"]);
    let before = siem.messages().len();
    world.grow(5).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    kept.stop().await;
    assert!(siem.messages().len() <= before + 1, "nothing leaves to whom nothing covers");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_any_format_holds_what_a_prompt_holds() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let mut rules = hop("127.0.0.1:1");
    for format in ["jsonl", "ocsf", "cef", "fhir"] {
        let path = world.data().join(format!("{format}.log"));
        let file = format!("format = \"{format}\"\nfile = \"{}\"", path.display());
        rules += &feed(format, &file);
    }
    world.apply_with(&rules).await;
    let kept = world.keep_up();
    let notes = [testkit::notes::every_class(), testkit::notes::second_patient()];
    for note in &notes {
        world.ask(&note.text, Some(&note.planted[0].value)).await;
    }
    let size = world.size().await;
    world.delivered(size).await;
    kept.stop().await;
    for format in ["jsonl", "ocsf", "cef", "fhir"] {
        let text = fs::read_to_string(world.data().join(format!("{format}.log"))).unwrap();
        assert_eq!(text.lines().count() as u64, size, "{format}");
        assert!(text.contains("exchange.outcome"), "{format}");
        for planted in notes.iter().flat_map(|note| &note.planted) {
            // Short numbers turn up by chance among hashes and times.
            let chance =
                planted.value.len() < 8 && planted.value.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(chance || !text.contains(&planted.value), "{format}: {}", planted.value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_of_another_name_begins_at_the_first_record_and_an_old_name_goes_on() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let file = |id: &str| {
        let path = world.data().join(format!("{id}.jsonl"));
        feed(id, &format!("format = \"jsonl\"\nfile = \"{}\"", path.display()))
    };
    let lines = |id: &str| {
        let text = fs::read_to_string(world.data().join(format!("{id}.jsonl"))).unwrap_or_default();
        text.lines().count() as u64
    };
    let hop = hop("127.0.0.1:1");
    let kept = world.keep_up();
    for ids in [vec!["a"], vec!["b"], vec!["a", "b"]] {
        let feeds: String = ids.iter().map(|id| file(id)).collect();
        world.apply_with(&format!("{hop}{feeds}")).await;
        world.delivered(world.size().await).await;
    }
    kept.stop().await;
    let size = world.size().await;
    assert_eq!((lines("a"), lines("b")), (size, size));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_log_line_by_line_is_recorded_and_ends_with_that_record() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let read = async |from, actor: Actor| {
        let lines = std::sync::Mutex::new(Vec::new());
        let each = |line: &str| {
            lines.lock().unwrap().push(line.to_owned());
            Ok(())
        };
        let format = gate::rules::LineFormat::Jsonl;
        world.house.read_lines(format, from, service::Until::Now, actor, &each).await.unwrap();
        lines.into_inner().unwrap()
    };
    let before = world.size().await;
    let lines = read(0, operator()).await;
    let numbered = lines.iter().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["seq"].as_u64().unwrap(), line.as_str())
    });
    assert_eq!(check_whole(numbered), before + 1);
    let last = world.events().await.pop().unwrap();
    let expected = Event::Streamed { actor: operator(), from: 0, size: Some(before + 1) };
    assert_eq!(last, expected);
    assert_eq!(read(before, operator()).await.len(), 2);
    assert_eq!(read(1_000_000, operator()).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_a_receiver_that_hangs_up_is_told_once() {
    let world = World::at("2026-06-01T00:00:00Z", None).await;
    let mut siem = SyslogReceiver::start(Flaw::None);
    world.syslog_feed(&siem, "").await;
    let kept = world.keep_up();
    // Every connection is taken, and ends as soon as something came.
    let mut before = 0;
    for _ in 0..6 {
        siem.wait_for(|messages| messages.len() > before).await;
        siem.kill().await;
        before = siem.messages().len();
        siem.revive();
    }
    assert_eq!(world.failing().await.len(), 1, "told once");
    let size = world.size().await;
    world.delivered(size).await;
    kept.stop().await;
    assert!(check_messages(&siem) >= size);
}
