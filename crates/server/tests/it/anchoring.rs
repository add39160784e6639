//! The log, stamped by a local authority and cosigned by a witness, through the real programs. The
//! authority is OpenSSL's, made by the test; it proves nothing to anybody outside of it.

use crate::authority::LocalAuthority;
use crate::house::{Done, House, bulla_verify, user};
use crate::rules::Rules;
use crate::witness;
use ledger::Event;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use testkit::upstream::{Reply, Upstream};
use tokio::time::Instant;

/// How long something that happens every second may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

const GOOD: u8 = 0;
const GONE: u8 = 1;
const OVER_SOMETHING_ELSE: u8 = 2;

/// An authority behind HTTP, whose manners can be changed.
struct Stamping {
    authority: Arc<LocalAuthority>,
    manners: Arc<AtomicU8>,
    address: SocketAddr,
}

impl Stamping {
    fn start() -> Self {
        let authority = Arc::new(LocalAuthority::new());
        let manners = Arc::new(AtomicU8::new(GOOD));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self { authority, manners, address };
        let (authority, manners) = (Arc::clone(&this.authority), Arc::clone(&this.manners));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever is gone is none of its business.
                let _answered = answer(&authority, manners.load(Ordering::SeqCst), stream).is_ok();
            }
        });
        this
    }

    fn is(&self, manners: u8) {
        self.manners.store(manners, Ordering::SeqCst);
    }
}

fn answer(authority: &LocalAuthority, manners: u8, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut query = vec![0; length];
    reader.read_exact(&mut query)?;
    if manners == GONE || query.is_empty() {
        return Ok(());
    }
    if manners == OVER_SOMETHING_ELSE {
        // Some byte of the imprint.
        let at = query.len() / 2;
        query[at] ^= 1;
    }
    let body = authority.answer(&query);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn rules(upstream: &Upstream, stamping: &Stamping, roots: &str, witnessed: &str) -> Rules {
    let address = stamping.address;
    Rules::cloud(upstream).and(&format!(
        r#"
[anchoring]
every_seconds = 1

[[hop]]
id = "authority"
entity = "Example Authority (synthetic)"
role = "timestamp"
sees = "hashes"
boundary = "outside"
hosts = ["{address}"]

[[authority]]
id = "example"
hop = "authority"
url = "http://{address}/stamp"
roots_file = "{roots}"
policies = ["1.3.6.1.4.1.99999.1"]
{witnessed}"#
    ))
}

fn witnessed(serving: &witness::Serving) -> String {
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
    fs::write(&roots, stamping.authority.root()).unwrap();
    let (folder, witness_key) = witness::made(&house.anchor_key);
    let witness = witness::serve(folder.path());
    let rules = rules(&upstream, &stamping, roots.to_str().unwrap(), &witnessed(&witness));
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
    let root = stamping.authority.root();
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
    stamping.is(GONE);
    let mut house = House::bare();
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.authority.root()).unwrap();
    house.apply(&rules(&upstream, &stamping, roots.to_str().unwrap(), "")).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    wait_for(&house, "alert", is_failing).await;
    // Prompts go on: the log is whole, and what is not anchored yet is told.
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    stamping.is(OVER_SOMETHING_ELSE);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = house.log();
    assert!(!log.events().any(is_anchored), "a stamp over something else is none");
    stamping.is(GOOD);
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
