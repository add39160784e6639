//! Every part that the house depends on, failing in every way, while four dialects ask for JSON and for
//! streams: what is promised of each (continue, degrade, stop) holds, nothing leaves that was not treated,
//! nothing is shown that is not recorded, and after the fault the house goes on.
//!
//! [`ROWS`] is the table, and `docs/faults.md` shows it.

use crate::dialects::{Heard, Speaks, ask_in_every_dialect};
use crate::failed_sync::shim;
use crate::house::{CHANGE_LIMIT, HANG_UP, House, LOOK, Serving};
use crate::rules::Rules;
use ledger::Event;
use rusqlite::Connection;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use testkit::authority::{Manners, Stamping};
use testkit::client::Client;
use testkit::collector::Collector;
use testkit::keys::{KeyStand, Mood, Stand};
use testkit::people::MARISOL;
use testkit::siem::SyslogReceiver;
use testkit::upstream::{Captured, Fault, Flaw, Pieces, Reply, Upstream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

const CLINIC: &str = "Lakeside Family Clinic (synthetic)";

/// How long the house may take to go on when a fault has ended.
const GOES_ON_LIMIT: Duration = Duration::from_secs(20);

/// Text in the longest prompt: a request has 4 MiB, and little of them is around the text.
const LONGEST_TEXT: usize = (4 << 20) - (64 << 10);

/// How long the scan of that much may take in a debug build on a busy machine.
const LONG_SCAN_LIMIT: Duration = Duration::from_mins(2);

/// What the house depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Provider,
    KeyService,
    /// The API keys in the database; there is no identity provider yet.
    Identity,
    Authority,
    Detector,
    Journal,
    Feed,
    Limits,
    Traces,
}

/// How a part fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Down,
    Slow,
    Lying,
}

/// What the house does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything goes on, and nothing is missing.
    Continue,
    /// Exchanges go on; something beside them is late or lost.
    Degrade,
    /// No exchange goes on: each ends with this status (before anything is shown) and this code.
    Stop(u16, &'static str),
}

/// Whether the house goes on by itself when the fault has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoesOn,
    Restart,
}

#[derive(Clone, Copy)]
struct Row {
    part: Part,
    how: How,
    fault: &'static str,
    mode: Mode,
    then: Then,
}

const fn row(part: Part, how: How, fault: &'static str, mode: Mode) -> Row {
    Row { part, how, fault, mode, then: Then::GoesOn }
}

const fn until_restart(row: Row) -> Row {
    Row { then: Then::Restart, ..row }
}

use {How::*, Mode::*, Part::*};

/// What is promised. The detector is a part of the program, so it is a damaged program that is down or lies
/// ([`DAMAGES`]).
const ROWS: [Row; 31] = [
    row(Provider, Down, "nobody listens there", Stop(503, "upstream_unreachable")),
    row(Provider, Slow, "it takes the request and says nothing", Stop(504, "upstream_timeout")),
    row(Provider, Lying, "a page that repeats the prompt", Stop(502, "upstream_invalid")),
    row(Provider, Lying, "an answer that turns into noise", Stop(502, "upstream_invalid")),
    row(KeyService, Down, "it answers with errors", Stop(503, "keys_unavailable")),
    row(KeyService, Slow, "it takes the request and says nothing", Stop(503, "keys_unavailable")),
    row(KeyService, Lying, "its answer is none", Stop(503, "keys_unavailable")),
    row(Identity, Down, "the keys are gone from the database", Stop(503, "identity_unavailable")),
    row(Identity, Slow, "another process holds the database", Continue),
    row(Identity, Lying, "a key has a role that there is not", Stop(403, "role_not_allowed")),
    row(Authority, Down, "it closes the connection", Degrade),
    row(Authority, Slow, "it answers after seconds", Degrade),
    row(Authority, Lying, "it stamps something else", Degrade),
    row(Detector, Down, BREAKS, Stop(503, "detector_unavailable")),
    until_restart(row(Detector, Down, WEIGHTS, Stop(503, "self_test_failed"))),
    until_restart(row(Detector, Down, LISTS, Stop(503, "self_test_failed"))),
    row(Detector, Slow, "it is busy with long texts of others", Continue),
    row(Detector, Slow, "it reads the longest prompt, and who sent it leaves", Continue),
    until_restart(row(Detector, Lying, JUDGE, Stop(503, "self_test_failed"))),
    until_restart(row(Detector, Lying, CATEGORIES, Stop(503, "self_test_failed"))),
    until_restart(row(
        Journal,
        Down,
        "the disk fails to synchronise",
        Stop(503, "audit_unavailable"),
    )),
    row(Journal, Slow, "each synchronisation takes 200 ms", Continue),
    until_restart(row(
        Journal,
        Lying,
        "the disk fails once, and then says that all is written",
        Stop(503, "audit_unavailable"),
    )),
    row(Feed, Down, "nobody listens there", Degrade),
    row(Feed, Slow, "it takes connections and reads nothing", Degrade),
    row(Feed, Lying, "something else answers in its place", Degrade),
    until_restart(row(
        Limits,
        Down,
        "what was spent cannot be written",
        Stop(503, "audit_unavailable"),
    )),
    row(Limits, Lying, "less than nothing was spent", Continue),
    row(Traces, Down, "it answers 503", Degrade),
    row(Traces, Slow, "it takes the request and says nothing", Degrade),
    row(Traces, Lying, "it answers 400 to what is in order", Degrade),
];

const BREAKS: &str = "it breaks off in a text that brings out a defect";
const WEIGHTS: &str = "its weights do not open";
const LISTS: &str = "its lists are not those that were written";
const JUDGE: &str = "it overlooks what it must find";
const CATEGORIES: &str = "it overlooks every special category";

type Damage = fn(&mut [u8]);

/// What the program holds for its detector, and how it is damaged in a copy of the program, by the fault.
const DAMAGES: [(&str, &[u8], Damage); 5] = [
    (BREAKS, include_bytes!("../../../phi/data/words.fst"), |words| {
        // The nodes lie in the order of the words, the root last: these are of words that begin with "zy".
        let end = words.len();
        words[end - 400..end - 320].fill(0xff);
        checksum(words);
    }),
    (WEIGHTS, include_bytes!("../../../phi/data/scout.safetensors"), |scout| scout[..64].fill(0)),
    (LISTS, include_bytes!("../../../phi/data/words.fst"), |words| {
        let middle = words.len() / 2;
        words[middle] ^= 1;
    }),
    // Weights that are all nothing open like any others.
    (JUDGE, include_bytes!("../../../phi/data/judge.safetensors"), |judge| {
        let head = usize::try_from(u64::from_le_bytes(judge[..8].try_into().unwrap())).unwrap();
        judge[8 + head..].fill(0);
    }),
    (CATEGORIES, include_bytes!("../../../phi/data/categories.txt"), |terms| terms.fill(b'\n')),
];

/// Has a list end with the checksum of what is in it: CRC-32C, masked as Snappy does.
fn checksum(list: &mut [u8]) {
    let (body, end) = list.split_last_chunk_mut::<4>().unwrap();
    let sum = !body.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    *end = sum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
}

/// A copy of the program with what it holds for its detector damaged.
fn damaged(house: &House, fault: &str) -> PathBuf {
    let (_, part, damage) = DAMAGES.iter().find(|it| it.0 == fault).unwrap();
    let mut program = fs::read(env!("CARGO_BIN_EXE_bulla")).unwrap();
    let mut places = memchr::memmem::find_iter(&program, part);
    let (at, other) = (places.next().unwrap(), places.next());
    assert_eq!(other, None, "{fault}: it stands in the program twice");
    damage(&mut program[at..at + part.len()]);
    let copy = house.path("damaged-bulla");
    fs::write(&copy, program).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    copy
}

impl Row {
    fn name(&self) -> String {
        format!("{:?} {:?}: {}", self.part, self.how, self.fault)
    }

    /// As the page shows it.
    fn line(&self) -> String {
        let part = match self.part {
            Provider => "model server",
            KeyService => "key service",
            Identity => "API keys",
            Authority => "time-stamping authority",
            Detector => "detector",
            Journal => "journal on the disk",
            Feed => "SIEM behind a feed",
            Limits => "what limits remember",
            Traces => "collector of traces",
        };
        let how = match self.how {
            Down => "down",
            Slow => "slow",
            Lying => "lying",
        };
        let mode = match self.mode {
            Continue => "continue".to_owned(),
            Degrade => "degrade".to_owned(),
            Stop(status, code) => format!("stop: {status} `{code}`"),
        };
        let then = match self.then {
            Then::GoesOn => "by itself",
            Then::Restart => "after a restart",
        };
        format!("| {part} | {how} | {} | {mode} | {then} |", self.fault)
    }
}

#[test]
fn the_page_shows_the_matrix() {
    const PAGE: &str = include_str!("../../../../docs/faults.md");
    let missing: Vec<String> =
        ROWS.iter().map(Row::line).filter(|line| !PAGE.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "docs/faults.md lacks:\n{}", missing.join("\n"));
}

/// Whoever asks: where, and with which key.
#[derive(Clone)]
struct Door {
    address: SocketAddr,
    key: String,
}

/// What is asked while the fault of a row lasts.
fn prompt_of(row: &Row) -> String {
    let text = prompt();
    // No word that begins so is in any other prompt, nor in what the self-test plants.
    if row.fault == BREAKS { format!("{text} Zyndra.") } else { text }
}

fn prompt() -> String {
    format!("Patient: {}, SSN {}, was seen today and is stable.", MARISOL.name, MARISOL.ssn)
}

fn reply() -> Reply {
    Reply::echo().in_pieces(Pieces::Whole)
}

/// Asks in every dialect for JSON and for a stream, at once.
async fn ask(door: &Door) -> Vec<Heard> {
    ask_in_every_dialect(door.address, &door.key, &prompt()).await
}

/// That every caller got what the row promises.
fn check(row: &Row, heard: &[Heard]) {
    for heard in heard {
        let name = format!("{} {:?} {}", row.name(), heard.speaks, heard.text());
        match row.mode {
            Continue | Degrade => {
                assert_eq!((heard.status, heard.code()), (200, None), "{name}");
                assert!(heard.is_whole() && heard.text().contains(MARISOL.name), "{name}");
            }
            Stop(status, code) => {
                // A stream that had begun ends with the error, and says nothing of the status.
                let begun = row.part == Provider && heard.began_to_stream();
                assert!(heard.status == status || begun, "{name}");
                assert_eq!(heard.code().as_deref(), Some(code), "{name}");
                assert!(!heard.is_whole() && !heard.error_text().contains(MARISOL.ssn), "{name}");
            }
        }
    }
}

/// Waits until every dialect gets its answer again.
async fn goes_on(row: &Row, door: &Door) -> Vec<Heard> {
    let begun = Instant::now();
    loop {
        let heard = ask(door).await;
        if heard.iter().all(|it| it.status == 200 && it.is_whole()) {
            return heard;
        }
        assert!(begun.elapsed() < GOES_ON_LIMIT, "{}: {heard:#?}", row.name());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Nothing left that was not treated, nothing was shown that is not recorded, and everything ended.
fn settle(house: &House, captured: &[Captured], heard: &[Heard]) {
    for sent in captured {
        for planted in [MARISOL.name, MARISOL.ssn] {
            assert!(!sent.holds(planted), "{planted} left: {}", sent.text());
        }
    }
    let log = house.log();
    let (intents, outcomes) = (log.intents(), log.outcomes());
    assert!(captured.len() <= intents.len(), "{} of {}", captured.len(), intents.len());
    for exchange in intents.keys() {
        assert!(outcomes.contains_key(exchange), "{exchange} has no end");
    }
    let mut answered = 0;
    for heard in heard {
        let Some(exchange) = heard.exchange() else { continue };
        if let Some(receipt) = heard.head.header("x-bulla-receipt") {
            log.at(receipt);
        }
        if heard.is_whole() {
            assert_eq!(outcomes[exchange].outcome, "answered", "{heard:?}");
            assert!(outcomes[exchange].reply.is_some(), "{heard:?}");
            answered += 1;
        } else if heard.began_to_stream() {
            assert!(outcomes.contains_key(exchange), "{heard:?}");
        }
    }
    assert!(answered >= Speaks::ALL.len(), "{answered}");
}

/// The real server with everything around it that can fail.
struct Scene {
    house: House,
    serving: Option<Serving>,
    upstream: Option<Upstream>,
    /// Where it is found again when it is down, and what arrived there before.
    port: u16,
    captured: Vec<Captured>,
    stamping: Stamping,
    siem: SyslogReceiver,
    collector: Collector,
    library: PathBuf,
    /// What runs while a fault lasts, and ends with it.
    meanwhile: JoinSet<()>,
}

impl Scene {
    async fn new() -> Self {
        let upstream = Upstream::start(reply()).await;
        let (stamping, siem) = (Stamping::start(), SyslogReceiver::start(Flaw::None));
        let collector = Collector::start().await;
        let mut house = House::bare();
        let (roots, ca) = (house.path("roots.pem"), house.path("siem.pem"));
        fs::write(&roots, stamping.root()).unwrap();
        fs::write(&ca, siem.authority().pem()).unwrap();
        let feed = format!(
            "[[hop]]\nid = \"siem\"\nentity = \"{CLINIC}\"\nrole = \"siem\"\nsees = \"metadata\"\n\
             boundary = \"inside\"\nowner = \"{CLINIC}\"\nhosts = [\"{address}\"]\n\
             [[feed]]\nid = \"siem\"\nhop = \"siem\"\nformat = \"ocsf\"\n\
             syslog = \"tls://{address}\"\nca_file = \"{ca}\"\n\
             [[limit]]\nid = \"day\"\nper = \"tenant\"\ntokens_per_day = 100000000\n",
            address = siem.address(),
            ca = ca.display(),
        );
        let rules =
            rules(&upstream).and(&stamping.rules(&roots)).and(&feed).and(&collector.rules(CLINIC));
        house.apply(&rules).ok();
        house.key = house.create_key(&["--purpose", "treatment"]).secret;
        let library = shim(&house);
        let mut scene = Self {
            house,
            serving: None,
            upstream: Some(upstream),
            port: 0,
            captured: Vec::new(),
            stamping,
            siem,
            collector,
            library,
            meanwhile: JoinSet::new(),
        };
        scene.start();
        scene
    }

    fn start(&mut self) {
        self.start_as(|command| command);
    }

    fn start_as(&mut self, program: impl FnOnce(Command) -> Command) {
        let mut command = program(self.house.command(&["serve", "--listen", "127.0.0.1:0"]));
        command.env("LD_PRELOAD", &self.library).env("FAIL_SYNC_WHILE", self.flag());
        command.env("SLOW_SYNC_WHILE", self.slow_flag());
        self.serving = Some(self.house.start(command));
    }

    fn flag(&self) -> PathBuf {
        self.house.path("sync-fails")
    }

    fn slow_flag(&self) -> PathBuf {
        self.house.path("sync-is-slow")
    }

    fn upstream(&self) -> &Upstream {
        self.upstream.as_ref().unwrap()
    }

    /// All that ever left.
    fn captured(&self) -> Vec<Captured> {
        let now = self.upstream.as_ref().map(Upstream::captured).unwrap_or_default();
        self.captured.iter().cloned().chain(now).collect()
    }

    fn serving(&self) -> &Serving {
        self.serving.as_ref().unwrap()
    }

    fn door(&self) -> Door {
        Door { address: self.serving().address, key: self.house.key.clone() }
    }

    /// The database, in the hands of somebody else.
    fn database(&self) -> Connection {
        let database = Connection::open(self.house.data().join("bulla.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database
    }

    fn tamper(&self, statement: &str) {
        let database = self.database();
        database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        database.execute_batch(statement).unwrap();
    }

    /// Waits until the server answers with this status, because it has looked at the database.
    async fn sees(&self, status: u16) {
        let begun = Instant::now();
        while self.serving().get("/v1/models").await.status() != status {
            assert!(begun.elapsed() < CHANGE_LIMIT, "it does not see what was changed");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn begin(&mut self, row: &Row) {
        match (row.part, row.how) {
            (Provider, Down) => {
                let gone = self.upstream.take().unwrap();
                self.port = gone.address().port();
                self.captured.extend(gone.captured());
                gone.stop().await;
                tokio::time::sleep(HANG_UP).await;
            }
            (Provider, Slow) => self.upstream().play(Reply::fault(Fault::HangBeforeHeaders)),
            (Provider, Lying) if row.fault.starts_with("a page") => {
                self.upstream().play(Reply::fault(Fault::Html));
            }
            (Provider, Lying) => self.upstream().play(Reply::fault(Fault::Garbage { after: 4 })),
            (Identity, Down) => {
                self.tamper(&changed("ALTER TABLE api_keys RENAME TO api_keys_elsewhere"));
                self.sees(503).await;
            }
            (Identity, Lying) => {
                self.tamper(&changed("UPDATE api_keys SET role = 'emperor'"));
                self.sees(403).await;
            }
            (Identity, Slow) => {
                let database = self.database();
                database.execute_batch("BEGIN IMMEDIATE").unwrap();
                self.meanwhile.spawn_blocking(move || {
                    std::thread::sleep(Duration::from_millis(1500));
                    database.execute_batch("ROLLBACK").unwrap();
                });
            }
            (Authority, Down) => self.stamping.is(Manners::Gone),
            (Authority, Slow) => self.stamping.is(Manners::Late),
            (Authority, Lying) => self.stamping.is(Manners::OverSomethingElse),
            (Detector, Slow) if row.fault.contains("leaves") => self.leave_in_a_scan().await,
            (Detector, Slow) => self.keep_the_detector_busy(),
            (Detector, _) => self.restart_damaged(row).await,
            (Journal, Down) => fs::write(self.flag(), "").unwrap(),
            (Journal, Slow) => fs::write(self.slow_flag(), "").unwrap(),
            (Journal, Lying) => {
                fs::write(self.flag(), "").unwrap();
                let _refused = ask(&self.door()).await;
                fs::remove_file(self.flag()).unwrap();
            }
            (Feed, Down) => self.siem.kill().await,
            (Feed, Slow) => self.siem.stalls(true),
            (Feed, Lying) => {
                self.siem.kill().await;
                let listener = TcpListener::bind(self.siem.address()).await.unwrap();
                self.meanwhile.spawn(async move {
                    while let Ok((mut stream, _)) = listener.accept().await {
                        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
                    }
                });
            }
            (Limits, Down) => self.tamper("ALTER TABLE spent RENAME TO spent_elsewhere"),
            (Limits, _) => {
                self.restart_after(|scene| {
                    scene.tamper("UPDATE spent SET tokens = -9223372036854775807");
                });
            }
            (Traces, Down) => self.collector.answers(503),
            (Traces, Slow) => self.collector.hangs(),
            (Traces, Lying) => self.collector.answers(400),
            (KeyService, _) => panic!("a test of its own"),
        }
    }

    fn keep_the_detector_busy(&mut self) {
        let text = format!("{} ", prompt()).repeat(256 << 10 >> 6);
        for _ in 0..2 {
            let request = self.serving().request(&crate::house::user(&text));
            let address = self.serving().address;
            self.meanwhile.spawn(async move {
                let response = testkit::client::call(address, &request).await.unwrap();
                assert_eq!(response.status(), 200);
            });
        }
    }

    /// Sends as much text as one request may have, and is gone while it is read.
    async fn leave_in_a_scan(&mut self) {
        let mut client = Client::connect(self.serving().address).await.unwrap();
        let text = format!("{} ", prompt()).repeat(LONGEST_TEXT / (prompt().len() + 1));
        client.send(&self.serving().request(&crate::house::user(&text))).await.unwrap();
        // It leaves when the text has arrived, and long before it is read.
        self.meanwhile.spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(client);
        });
    }

    /// Waits until whoever left has its end in the log. Long before that the others are answered.
    async fn until_it_is_gone(&self) {
        let begun = Instant::now();
        let is_gone = |outcome: &ledger::Outcome| outcome.outcome == "caller_gone";
        while !self.house.log().outcomes().values().any(is_gone) {
            assert!(begun.elapsed() < LONG_SCAN_LIMIT, "who left has no end in the log");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Starts a damaged copy of the program, which serves, but nobody.
    async fn restart_damaged(&mut self, row: &Row) {
        self.serving.take().unwrap().kill();
        let copy = damaged(&self.house, row.fault);
        self.start_as(|whole| {
            let mut command = Command::new(copy);
            let environment = whole.get_envs().filter_map(|(name, value)| Some((name, value?)));
            command.args(whole.get_args()).env_clear().envs(environment);
            command
        });
        let ready = self.serving().get("/readyz").await;
        if row.fault == BREAKS {
            assert_eq!(ready.status(), 200, "{}: {}", row.name(), ready.text());
            return;
        }
        assert_eq!(ready.status(), 503, "{}: {}", row.name(), ready.text());
        assert_eq!(ready.json()["detector"], "cannot run", "{}", row.name());
        let guards = ready.json()["guards"].as_str().unwrap().to_owned();
        assert!(guards.contains("detector"), "{}: {guards}", row.name());
    }

    fn restart_after(&mut self, change: impl Fn(&Self)) {
        self.serving.take().unwrap().kill();
        change(self);
        self.start();
    }

    async fn end(&mut self, row: &Row) {
        if row.part == Feed && row.how == Lying {
            self.meanwhile.shutdown().await;
        }
        while let Some(ended) = self.meanwhile.join_next().await {
            ended.unwrap();
        }
        match (row.part, row.how) {
            (Provider, Down) => self.upstream = Some(Upstream::on_port(self.port, reply()).await),
            (Provider, _) => self.upstream().play(reply()),
            (Identity, Down) => {
                self.tamper(&changed("ALTER TABLE api_keys_elsewhere RENAME TO api_keys"));
            }
            (Identity, Lying) => self.tamper(&changed("UPDATE api_keys SET role = 'caller'")),
            (Authority, _) => self.stamping.is(Manners::Good),
            (Journal, Down) => fs::remove_file(self.flag()).unwrap(),
            (Journal, Slow) => fs::remove_file(self.slow_flag()).unwrap(),
            (Feed, Slow) => self.siem.stalls(false),
            (Feed, _) => self.siem.revive(),
            (Limits, Down) => self.tamper("ALTER TABLE spent_elsewhere RENAME TO spent"),
            (Traces, _) => self.collector.answers(200),
            (Detector, Slow) if row.fault.contains("leaves") => self.until_it_is_gone().await,
            (Detector, Down) if row.fault == BREAKS => {
                // Others are answered by the same program, which says where it broke off and in which words not.
                let said = self.serving().log_lines();
                assert!(said.contains("broke off") && said.contains("fst"), "{said}");
                assert!(!said.contains("yndra") && !said.contains(MARISOL.name), "{said}");
            }
            (Identity | Detector | Journal | Limits, _) => {}
            (KeyService, _) => panic!("a test of its own"),
        }
    }
}

/// A statement after which the server looks at the keys again, as after each change of a key.
fn changed(statement: &str) -> String {
    format!("{statement}; UPDATE meta SET governed = governed + 1")
}

fn rules(upstream: &Upstream) -> Rules {
    Rules::cloud(upstream).with("timeout_seconds = 20", "timeout_seconds = 2").with(
        "apis = [\"chat.completions\"]",
        "apis = [\"chat.completions\", \"messages\", \"converse\", \"generate_content\"]",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_part_has_its_mode_and_the_house_goes_on() {
    let mut scene = Scene::new().await;
    let mut heard = ask(&scene.door()).await;
    for row in ROWS.iter().filter(|row| row.part != KeyService) {
        scene.begin(row).await;
        let sent = scene.captured().len();
        let door = scene.door();
        let during = ask_in_every_dialect(door.address, &door.key, &prompt_of(row)).await;
        check(row, &during);
        if matches!(row.mode, Stop(..)) && row.part != Provider {
            assert_eq!(scene.captured().len(), sent, "{}: something left", row.name());
        }
        heard.extend(during);
        if row.mode == Degrade {
            // Those beside the exchanges are asked every second.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
        scene.end(row).await;
        if row.then == Then::Restart {
            check(row, &ask(&scene.door()).await);
            scene.restart_after(|_| ());
        }
        heard.extend(goes_on(row, &scene.door()).await);
        if row.part == Provider {
            // It forgets what it has learned of a model server that fails.
            scene.restart_after(|_| ());
        }
    }
    // What was late came, in order and whole.
    scene.stamping.is(Manners::Good);
    let records = scene.house.log().len();
    let last = format!("\"sequence\":{}", records - 1);
    scene.siem.wait_for(|messages| messages.iter().any(|it| it.contains(&last))).await;
    let serving = scene.serving.take().unwrap();
    let said = serving.log_lines();
    assert!(!said.contains("broke off") && !said.contains(MARISOL.name), "{said}");
    serving.stop();
    settle(&scene.house, &scene.captured(), &heard);
    let log = scene.house.log();
    assert!(log.events().any(|event| matches!(event, Event::AnchorFailing { .. })));
    assert!(log.events().any(|event| matches!(event, Event::FeedFailing { .. })));
    assert!(log.events().any(|event| matches!(event, Event::Anchored { .. })));
    // Each damaged program said what it lacks.
    let told = log.events().filter(|event| {
        matches!(event, Event::SelfTestFailed { reason, route: None, .. } if reason == "detector")
    });
    assert!(told.count() >= DAMAGES.len() - 1);
    let broken = log.outcomes().into_values().filter(|outcome| {
        outcome.outcome == "failed_closed"
            && outcome.code.as_deref() == Some("detector_unavailable")
    });
    assert_eq!(broken.count(), Speaks::ALL.len());
}

/// The real house behind real sockets, in this process: there a key service need not be away for a minute
/// before the keys close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the task of a test ends with its runtime")]
async fn without_its_key_service_the_house_seals_nothing_and_sends_nothing() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let upstream = Upstream::start(reply()).await;
    let stand = KeyStand::start(Stand::VaultAppRole);
    let mut house = House::under(&stand.key_file());
    house.apply(&rules(&upstream)).ok();
    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let setup = service::Setup {
        dir: house.data(),
        key_file: Some(stand.key_file()),
        keys_ttl: Duration::from_secs(1),
        clock: Arc::new(server::SystemClock),
        entropy: Arc::new(server::OsEntropy),
        environment: Arc::new(|_| None),
    };
    let inside = service::House::open(setup).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let until = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        drop(stopped.wait_for(|stopped| *stopped).await);
    };
    let upkeep = tokio::spawn(Arc::clone(&inside).keep_up(until(stopped.clone())));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = server::Listener::bind(any, None).await.unwrap();
    let door = Door { address: listener.address().unwrap(), key: house.key.clone() };
    let (router, tasks) = (server::api::router(&inside), inside.tasks().clone());
    let serving = tokio::spawn(async move { listener.serve(router, &tasks, until(stopped)).await });

    let mut heard = ask(&door).await;
    for row in ROWS.iter().filter(|row| row.part == KeyService) {
        stand.is(match row.how {
            Down => Mood::Fails,
            Slow => Mood::Hangs,
            Lying => Mood::Garbage,
        });
        // What is open stays open for its time.
        let begun = Instant::now();
        let during = loop {
            let sent = upstream.captured().len();
            let during = ask(&door).await;
            if during.iter().all(|it| it.status != 200) {
                assert_eq!(upstream.captured().len(), sent, "{}", row.name());
                break during;
            }
            assert!(begun.elapsed() < GOES_ON_LIMIT, "{}: the keys stay open", row.name());
            heard.extend(during);
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        check(row, &during);
        heard.extend(during);
        stand.is(Mood::Good);
        heard.extend(goes_on(row, &door).await);
    }
    stop.send_replace(true);
    serving.await.unwrap();
    upkeep.await.unwrap();
    drop(inside);
    settle(&house, &upstream.captured(), &heard);
}
