//! A disk without room: nothing goes through, and nothing that was acknowledged is lost.

use crate::house::{Done, House, LOOK, Serving, check_refusal, error_code, streaming, user};
use crate::log::Log;
use crate::rules::Rules;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use testkit::client::Request;
use testkit::notes;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Script, Upstream};
use tokio::time::Instant;

/// Requests that the slack of a full disk may still record: room that the database had already.
const SLACK: usize = 2000;

/// An answer about readiness may be a second old, and a probe fits in longer than an exchange.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// A disk of 3 MiB that only the server's own mount namespace has, with a copy of the data on it.
const ON_A_TINY_DISK: &str = "cp -a \"$1\" \"$1.copy\" \
    && mount -t tmpfs -o size=3m,mode=0700 tmpfs \"$1\" \
    && cp -a \"$1.copy/.\" \"$1\" \
    && exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\"";

/// Whether this machine lets us have a mount namespace of our own.
fn may_mount(house: &House) -> bool {
    let dir = house.path("may-mount");
    fs::create_dir(&dir).unwrap();
    let mut try_it = Command::new("unshare");
    try_it.args(["-m", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&dir);
    try_it.output().is_ok_and(|output| output.status.success())
}

struct TinyDisk {
    house: House,
    serving: Serving,
}

impl TinyDisk {
    fn new(house: House) -> Self {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", ON_A_TINY_DISK, env!("CARGO_BIN_EXE_bulla")]);
        command.arg(house.data());
        let serving = house.start(command);
        Self { house, serving }
    }

    /// The data directory as the server sees it.
    fn data(&self) -> PathBuf {
        let inside = self.house.data();
        PathBuf::from(format!("/proc/{}/root{}", self.serving.pid(), inside.display()))
    }

    fn fill(&self) {
        let path = self.data().join("filler");
        let mut filler = OpenOptions::new().create(true).append(true).open(path).unwrap();
        // First in large pieces, then byte by byte.
        for size in [64 << 10, 4096, 1] {
            while filler.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.data().join("filler")).unwrap();
    }

    fn log(&self) -> Log {
        let bundle = self.house.fresh("bundle.tar");
        let mut export = Command::new("nsenter");
        export.args(["-t", &self.serving.pid().to_string(), "-m", env!("CARGO_BIN_EXE_bulla")]);
        export
            .args(["audit", "export", "--content", "--out"])
            .arg(&bundle)
            .arg("--data")
            .arg(self.house.data());
        Done::of(&mut export).ok();
        self.house.verified(&bundle, "")
    }

    /// Asks until the disk has no slack left; returns the exchanges that were answered.
    async fn until_full(&self, body: &Value) -> Vec<String> {
        let mut answered = Vec::new();
        for _ in 0..SLACK {
            let response = self.serving.ask(body).await;
            if response.status() != 200 {
                check_refusal(&response, 503, "audit_unavailable", &[MARISOL.name]);
                return answered;
            }
            answered.push(response.header("x-request-id").unwrap().to_owned());
        }
        panic!("the disk does not get full");
    }

    /// Asks for readiness until it is red: a probe is smaller than an exchange and fits in longer.
    async fn until_red(&self) {
        let begun = Instant::now();
        loop {
            let (status, ready) = self.ready().await;
            if status != 200 {
                assert_eq!((status, &ready["log"]), (503, &"cannot be written".into()), "{ready}");
                return;
            }
            assert!(begun.elapsed() < READY_LIMIT, "readiness does not see that the disk is full");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn ready(&self) -> (u16, Value) {
        let response = self.serving.call(&Request::get("/readyz")).await;
        (response.status(), response.json())
    }
}

#[tokio::test]
async fn a_full_disk_stops_everything_until_there_is_room_again() {
    let note = notes::second_patient();
    // A stream trickles, so that the disk is full before it ends.
    let trickle = Reply::echo().pausing(Duration::from_millis(25));
    let upstream = Upstream::start(Script::by_request(move |_, captured| {
        if captured.json()["stream"] == true { trickle.clone() } else { Reply::echo() }
    }))
    .await;
    let house = House::with(&Rules::cloud(&upstream));
    if !may_mount(&house) {
        eprintln!("SKIPPED: this machine allows no mount namespace, so no disk can be full");
        return;
    }
    let disk = TinyDisk::new(house);
    let body = user(&note.text);
    assert_eq!(disk.serving.ask(&body).await.status(), 200);
    assert_eq!(disk.ready().await.0, 200);

    let events = disk.serving.open(&body).await;
    let stream_id = events.head.header("x-request-id").unwrap().to_owned();
    disk.fill();
    let answered = disk.until_full(&body).await;
    disk.until_red().await;

    // The stream that ran is ended with an error, without its end and without what was not kept.
    let transcript = events.collect().await;
    transcript.end.as_ref().unwrap();
    let answer = transcript.answer();
    assert!(!answer.done && note.text.starts_with(answer.content()), "{}", answer.content());
    let last = &transcript.events.last().unwrap().data;
    assert_eq!(error_code(200, last, &[MARISOL.name]), "audit_unavailable");

    let (requests, connections) = (upstream.captured().len(), upstream.connections());
    for body in [body.clone(), streaming(&body), user("no identifier"), Value::Null] {
        let response = disk.serving.ask(&body).await;
        check_refusal(&response, 503, "audit_unavailable", &[MARISOL.name]);
    }
    assert_eq!(upstream.captured().len(), requests, "a prompt left without its record");
    assert_eq!(upstream.connections(), connections);
    assert_eq!(disk.serving.call(&Request::get("/healthz")).await.status(), 200);

    disk.make_room();
    let begun = Instant::now();
    while disk.ready().await.0 != 200 {
        assert!(begun.elapsed() < READY_LIMIT, "room does not help");
        tokio::time::sleep(LOOK).await;
    }
    let response = disk.serving.ask(&body).await;
    assert_eq!(response.answer().content(), note.text, "{}", response.text());
    let log = disk.log();
    let (outcomes, intents) = (log.outcomes(), log.intents());
    for exchange in &answered {
        assert_eq!(outcomes[exchange].outcome, "answered");
    }
    assert!(intents.contains_key(&stream_id));
    // Whatever left has its intent, whether or not its outcome could be recorded.
    assert_eq!(intents.len(), upstream.captured().len());
}
