//! Killed processes and failing disks. The test binary starts itself as the process that dies.

use crate::support::{House, LOG, replay, started};
use ledger::Journal;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use store::Store;
use tokio::task::JoinSet;

/// Kills per run; each leaves two processes' traces.
const KILLS: u64 = 10;
/// Acknowledged appends to wait for before a kill. Differs by round, so that the kill falls
/// anywhere.
const ACKS: u64 = 37;
/// What lies in the folder of a child, so that `cargo test -- --ignored` alone does nothing.
const MARK: &str = "a-child-may-write-here";

/// The process that dies: appends from 16 tasks and prints each receipt after it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by the other tests of this module"]
async fn child() {
    if !Path::new(MARK).exists() {
        return;
    }
    let store = Store::open(Path::new(".")).unwrap();
    let tenant = store.tenant(LOG.tenant);
    println!();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let tenant = tenant.clone();
        tasks.spawn(async move {
            loop {
                match tenant.append(started()).await {
                    Ok(receipt) => println!("ack {} {}", receipt.seq, receipt.leaf),
                    Err(error) => return error,
                }
            }
        });
    }
    let errors = tasks.join_all().await;
    println!("failed {errors:?} {:?}", store.health());
}

fn start_child(folder: &Path, shell: &str) -> std::process::Child {
    std::fs::write(folder.join(MARK), "").unwrap();
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let house = House::new().await;
    let folder = house.close();
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        let mut children = [start_child(folder.path(), ""), start_child(folder.path(), "")];
        let (sender, lines) = mpsc::channel();
        let readers = children.each_mut().map(|child| {
            let (out, sender) = (child.stdout.take().unwrap(), sender.clone());
            thread::spawn(move || {
                for line in BufReader::new(out).lines() {
                    let line = line.unwrap();
                    assert!(!line.to_lowercase().contains("failed"), "{line}");
                    sender.send(line).unwrap();
                }
            })
        });
        drop(sender);
        let acks = lines.iter().filter(|line| line.starts_with("ack "));
        acknowledged.extend(acks.take(usize::try_from(ACKS * (round + 1)).unwrap()));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
        acknowledged.extend(lines.iter().filter(|line| line.starts_with("ack ")));
        let store = Store::open(folder.path()).unwrap();
        check_acknowledged(&store, &acknowledged).await;
    }
}

async fn check_acknowledged(store: &Store, acknowledged: &[String]) {
    let leaves = replay(&store.tenant(LOG.tenant)).await;
    assert!(!acknowledged.is_empty());
    for line in acknowledged {
        let mut words = line.split(' ').skip(1);
        // The last line of a killed process may be cut short.
        let (Some(seq), Some(leaf)) = (words.next(), words.next()) else { continue };
        let seq: usize = seq.parse().unwrap();
        assert!(leaves[seq].to_string().starts_with(leaf), "record {seq}");
    }
}

#[tokio::test]
async fn a_failed_write_stops_the_log_for_ever_and_a_restart_goes_on() {
    let house = House::new().await;
    let folder = house.close();
    // Beyond the limit a write fails with EFBIG, which is neither a full disk nor any error that the
    // database expects. 512-byte blocks.
    let child = start_child(folder.path(), "trap '' XFSZ; ulimit -f 400;");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let acknowledged: Vec<_> =
        text.lines().filter(|line| line.starts_with("ack ")).map(str::to_owned).collect();
    let failed = text.lines().find(|line| line.starts_with("failed ")).expect("the child fails");
    assert_eq!(failed.matches("Stopped").count(), 16, "{failed}");
    assert!(failed.contains("Err(StopReason"), "{failed}");

    let store = Store::open(folder.path()).unwrap();
    check_acknowledged(&store, &acknowledged).await;
    store.tenant(LOG.tenant).append(started()).await.unwrap();
    check_acknowledged(&store, &acknowledged).await;
}
