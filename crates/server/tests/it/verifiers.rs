//! Three verifiers, written apart from each other, say the same of every bundle: `bulla-verify`, the script
//! `verify.py`, and the page `verify.html` in a real browser.

use crate::house::{Done, House, bulla_verify, user};
use crate::rules::Rules;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::upstream::{Reply, Upstream};

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn said(command: &mut Command) -> String {
    let done = Done::of(command);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    done.out
}

#[test]
fn the_page_is_made_of_its_parts() {
    said(Command::new("node").arg(file("crates/ledger/page/build-page.mjs")).arg("--check"));
}

#[test]
fn three_verifiers_agree_on_every_bundle_of_the_corpus() {
    let verify = bulla_verify();
    let out = said(
        Command::new("python3")
            .arg(file("tests/verifiers/corpus_test.py"))
            .arg("--rust")
            .arg(verify.get_program())
            .arg("--bulla")
            .arg(env!("CARGO_BIN_EXE_bulla"))
            .arg("--tokens")
            .arg(file("crates/ledger/tests/tokens"))
            .args(["--node", "node"]),
    );
    let last = out.lines().last().unwrap();
    let bundles: u32 = last.split(' ').next().unwrap().parse().unwrap();
    assert!(bundles >= 500 && last.contains("0 with a difference"), "{out}");
}

#[tokio::test]
async fn a_browser_that_opens_the_page_of_a_bundle_reads_the_verdict() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    let bundle = house.fresh("bundle.tar");
    house.export(&bundle);
    let trust = house.fresh("trust.txt");
    fs::write(&trust, &house.verifier_key).unwrap();
    // The page as the bundle carries it.
    let folder = house.fresh("unpacked");
    fs::create_dir(&folder).unwrap();
    said(Command::new("tar").arg("xf").arg(&bundle).arg("-C").arg(&folder));
    let page = folder.join("verify.html");

    let altered = house.fresh("altered.tar");
    let mut bytes = fs::read(&bundle).unwrap();
    let word = b"\"outcome\":\"answered\"";
    let at = bytes.windows(word.len()).position(|window| window == word).unwrap();
    bytes[at + 12] ^= 1;
    fs::write(&altered, &bytes).unwrap();
    let short = house.fresh("short.tar");
    fs::write(&short, &bytes[..bytes.len() / 2]).unwrap();
    let verdict =
        Done::of(bulla_verify().arg(&altered).args(["--json", "--trust"]).arg(&trust)).out;
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let first = &verdict["problems"][0];
    let expected = format!("bad:{}:{}", first["at"], first["kind"].as_str().unwrap());
    assert_ne!(first["at"], serde_json::Value::Null, "{verdict}");

    let mut command = Command::new("node");
    command.arg(file("tests/verifiers/browser_test.mjs")).arg(&page);
    command.arg(&bundle).arg(&trust).arg("good");
    command.arg(&bundle).args(["-", "itself"]);
    command.arg(&folder).arg(&trust).arg("good");
    command.arg(&altered).arg(&trust).arg(expected);
    command.arg(&short).arg(&trust).arg("bad");
    said(&mut command);
}
