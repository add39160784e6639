//! Without any network, everything works with a local model.

use crate::house::{House, user};
use crate::rules::Rules;
use std::process::Command;
use testkit::notes;
use testkit::upstream::{Reply, Upstream};

/// The test that runs inside the namespace, by the name that the runner of tests gives it.
const INSIDE: &str = "offline::a_whole_exchange_on_this_machine_alone";

#[tokio::test]
#[ignore = "run by the test below, where there is no network"]
async fn a_whole_exchange_on_this_machine_alone() {
    let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap();
    let names: Vec<&str> = interfaces
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()))
        .collect();
    println!("interfaces: {}", names.join(" "));
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    assert_eq!(serving.ask(&user(&note.text)).await.answer().content(), note.text);
    assert_eq!(serving.stream(&user(&note.text)).await.answer().content(), note.text);
    assert_eq!(serving.get("/readyz").await.status(), 200);
    serving.stop();
    house.log();
    println!("done without a network");
}

#[test]
fn everything_works_without_a_network() {
    let mut inside = Command::new("unshare");
    inside.args(["-n", "sh", "-c"]);
    inside.arg("ip link set lo up && exec \"$0\" --exact \"$1\" --ignored --nocapture");
    inside.arg(std::env::current_exe().unwrap()).arg(INSIDE);
    let output = inside.output();
    let may = Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this machine allows no network namespace");
        return;
    }
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{wrong}");
    assert!(said.lines().any(|line| line.ends_with("interfaces: lo")), "{said}");
    assert!(said.contains("done without a network"), "{said}");
}
