//! `bulla witness`, asked over HTTP by a log that grows, forks and goes back.

use crate::house::bulla;
use ledger::Hash;
use ledger::checkpoint::{Checkpoint, Signer, WitnessKey};
use ledger::proof::{Subtrees, consistency};
use ledger::tree::{Frontier, leaf_hash};
use ledger::witness::AddCheckpoint;
use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

const ORIGIN: &str = "bulla/dep_example";

/// A log in memory; two of another number share their first five records and part then.
struct Log(u8);

impl Log {
    fn leaf(&self, at: u64) -> Hash {
        let number = if at < 5 { 0 } else { self.0 };
        leaf_hash(&[number, u8::try_from(at).unwrap()])
    }

    fn request(&mut self, old: u64, new: u64) -> AddCheckpoint {
        let proof = consistency(self, old, new).unwrap().unwrap_or_default();
        let mut frontier = Frontier::default();
        (0..new).for_each(|at| frontier.push(self.leaf(at)));
        let origin = ORIGIN.to_owned();
        let checkpoint = Checkpoint { origin, size: new, root: frontier.root() };
        AddCheckpoint { old, proof, note: signer().sign(&checkpoint) }
    }
}

impl Subtrees for Log {
    type Error = Infallible;
    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let mut frontier = Frontier::default();
        let first = index << level;
        (first..first + (1 << level)).for_each(|at| frontier.push(self.leaf(at)));
        Ok(frontier.root())
    }
}

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn http() -> reqwest::Client {
    // Another test of the process may have set it already.
    let _set = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
    reqwest::Client::new()
}

/// The program, serving; it ends with this.
pub(crate) struct Serving {
    child: Child,
    pub(crate) key: WitnessKey,
    pub(crate) address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill().is_ok();
        let _waited = self.child.wait().is_ok();
    }
}

pub(crate) fn made(log: &str) -> (TempDir, WitnessKey) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("witness");
    let made = bulla().args(["witness", "init", "--name", "witness.example/w1"]).arg(&at).output();
    let said = String::from_utf8(made.unwrap().stdout).unwrap();
    let key = WitnessKey::parse(said.lines().next().unwrap()).unwrap();
    let trust = bulla().args(["witness", "trust"]).arg(&at).arg(log).output().unwrap();
    assert!(trust.status.success(), "{trust:?}");
    (folder, key)
}

pub(crate) fn serve(folder: &Path) -> Serving {
    let mut child = bulla()
        .args(["witness", "serve", "--listen", "127.0.0.1:0"])
        .arg(folder.join("witness"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let key = WitnessKey::parse(line.split(' ').next().unwrap()).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    Serving { child, key, address }
}

impl Serving {
    async fn ask(&self, request: &AddCheckpoint) -> (u16, String) {
        let url = format!("{}/add-checkpoint", self.address);
        let answer = http().post(url).body(request.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn cosigned(&self, request: &AddCheckpoint) {
        let (status, line) = self.ask(request).await;
        assert_eq!(status, 200, "{line}");
        assert!(self.key.seconds_of(&format!("{}{line}", request.note)).unwrap() > 1_700_000_000);
    }
}

#[tokio::test]
async fn a_log_that_grows_is_cosigned_and_one_that_forks_leaves_evidence() {
    let (folder, key) = made(&signer().verifier_key());
    let serving = serve(folder.path());
    assert_eq!(serving.key, key);
    let (mut log, mut fork) = (Log(1), Log(2));
    serving.cosigned(&log.request(0, 3)).await;
    serving.cosigned(&log.request(3, 9)).await;
    serving.cosigned(&log.request(9, 9)).await;
    // Back, from the beginning, and to another past.
    assert_eq!(serving.ask(&log.request(3, 5)).await, (409, "9\n".to_owned()));
    assert_eq!(serving.ask(&log.request(0, 20)).await, (409, "9\n".to_owned()));
    let forked = fork.request(9, 12);
    assert_eq!(serving.ask(&forked).await.0, 422);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("witness/evidence"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let [evidence] = files.as_slice() else { panic!("{files:?}") };
    assert!(evidence.contains(&log.request(9, 9).note) && evidence.contains(&forked.note));
    // The honest log goes on.
    serving.cosigned(&log.request(9, 12)).await;
    let hash = Hash::of(ORIGIN.as_bytes());
    let url = format!("{}/{hash}/checkpoint", serving.address);
    let note = http().get(url).send().await.unwrap().text().await.unwrap();
    assert!(note.starts_with(&log.request(0, 12).note) && key.seconds_of(&note).is_ok(), "{note}");
    let unknown = format!("{}/{}/checkpoint", serving.address, Hash::ZERO);
    assert_eq!(http().get(unknown).send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn what_was_seen_is_remembered_through_a_kill_and_never_forgotten_silently() {
    let (folder, _) = made(&signer().verifier_key());
    let mut log = Log(1);
    for size in 1..=12 {
        // Dropping kills at once, right after the answer.
        let serving = serve(folder.path());
        serving.cosigned(&log.request(size - 1, size)).await;
    }
    let serving = serve(folder.path());
    assert_eq!(serving.ask(&log.request(0, 3)).await, (409, "12\n".to_owned()));
    let seen = folder.path().join("witness/seen").join(Hash::of(ORIGIN.as_bytes()).to_string());
    let good = std::fs::read_to_string(&seen).unwrap();
    std::fs::write(&seen, good.replacen("12", "13", 1)).unwrap();
    assert_eq!(serving.ask(&log.request(0, 3)).await.0, 500, "damaged is not absent");
}

#[tokio::test]
async fn a_stranger_and_nonsense_are_refused() {
    let (folder, _) = made(&signer().verifier_key());
    let serving = serve(folder.path());
    let mut request = Log(1).request(0, 3);
    request.note = Signer::from_seed(ORIGIN, &[2; 32]).unwrap().sign(&Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 3,
        root: Hash::ZERO,
    });
    assert_eq!(serving.ask(&request).await.0, 403);
    let post = |body: Vec<u8>| {
        http().post(format!("{}/add-checkpoint", serving.address)).body(body).send()
    };
    assert_eq!(post(b"nonsense".to_vec()).await.unwrap().status().as_u16(), 400);
    assert_eq!(post(vec![0xff; 100]).await.unwrap().status().as_u16(), 400);
    assert_eq!(post(vec![b'x'; 1 << 20]).await.unwrap().status().as_u16(), 413);
    let second = bulla()
        .args(["witness", "serve", "--listen", "127.0.0.1:0"])
        .arg(folder.path().join("witness"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2), "one process at a time");
}
