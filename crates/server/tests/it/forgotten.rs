//! `kill -9` while keys are destroyed or replaced: nothing is lost that was not disposed of, and what the
//! log says was disposed of is gone after the next start.

use crate::house::{House, user};
use crate::rules::Rules;
use ledger::Event;
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

/// Moments at which a command is killed, in milliseconds: a disposal takes a little more than a second.
const MOMENTS: [u64; 12] = [5, 30, 60, 90, 150, 400, 900, 1010, 1030, 1060, 1100, 1200];

impl House {
    /// Starts a command and kills it.
    fn killed(&self, arguments: &[&str], after: u64) {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        // It may have ended by itself.
        let _killed = child.kill().is_ok();
        child.wait().unwrap();
    }

    /// Whether the prompt of an exchange can be read.
    fn readable(&self, exchange: &str) -> bool {
        let done = self.run(&["audit", "show", exchange]);
        if done.code != 0 {
            assert!(done.err.contains("was disposed of"), "{}{}", done.out, done.err);
            return false;
        }
        assert!(done.out.contains(MARISOL.name), "{}", done.out);
        true
    }

    fn disposed(&self) -> Vec<String> {
        let of = |event: &Event| {
            let Event::Disposed { scope: ledger::Disposal::Exchange(exchange), .. } = event else {
                return None;
            };
            Some(exchange.to_string())
        };
        self.log().events().filter_map(of).collect()
    }
}

async fn asked(house: &House, count: usize) -> Vec<String> {
    let serving = house.serve();
    let mut exchanges = Vec::new();
    for _ in 0..count {
        let answer = serving.ask(&user(MARISOL.name)).await;
        assert_eq!(answer.status(), 200);
        exchanges.push(answer.header("x-request-id").unwrap().to_owned());
    }
    serving.stop();
    exchanges
}

#[tokio::test]
async fn a_disposal_that_is_killed_at_any_moment_destroys_that_and_nothing_else() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let exchanges = asked(&house, MOMENTS.len() + 1).await;
    let decision = house.path("decision");
    fs::write(&decision, "signed").unwrap();
    let (kept, going) = exchanges.split_last().unwrap();
    for (exchange, after) in going.iter().zip(MOMENTS) {
        let decision = decision.to_str().unwrap();
        let dispose = [
            "dispose",
            "--exchange",
            exchange,
            "--authority",
            "request 12",
            "--reason",
            "request",
            "--decision",
            decision,
        ];
        house.killed(&dispose, after);
        assert!(house.readable(kept), "killed after {after} ms");
        // The next start finishes what the record says, before it serves.
        house.serve().stop();
        let disposed = house.disposed();
        for exchange in going {
            assert_eq!(
                house.readable(exchange),
                !disposed.contains(exchange),
                "{exchange}, killed after {after} ms"
            );
        }
    }
    let disposed = house.disposed().len();
    assert!((2..MOMENTS.len()).contains(&disposed), "{disposed}: the moments are not spread");
}

#[tokio::test]
async fn a_rotation_that_is_killed_at_any_moment_closes_nothing() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let exchanges = asked(&house, 2).await;
    for after in [2, 5, 8, 12, 16, 20, 25, 30, 40, 60, 90, 150, 600] {
        for level in ["organisation", "operator"] {
            house.killed(&["rotate", level], after);
            for exchange in &exchanges {
                assert!(house.readable(exchange), "{level}, killed after {after} ms");
            }
        }
        // What a killed rotation left beside the key file is a person's to look after.
        let _left = fs::remove_file(house.data().join("operator.key.new")).is_ok();
    }
    house.run(&["rotate", "operator"]).ok();
    house.run(&["rotate", "organisation"]).ok();
    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    let rotated =
        house.log().events().filter(|event| matches!(event, Event::KeyRotated { .. })).count();
    assert!(rotated > 2, "{rotated}");
}
