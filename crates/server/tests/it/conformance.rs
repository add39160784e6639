//! The conformance suite of the testkit, against the real server in every dialect that it serves.

use crate::house::House;
use crate::rules::Rules;
use testkit::conformance::{self, Row, Target, Vector, Verdict, Way};
use testkit::upstream::{Dialect, Reply, Tokens, Upstream};

/// What is known to fail, each with its reason in docs/conformance.md. A vector that holds by now does
/// not belong here.
const KNOWN: &[(&str, Dialect, Way)] = &[
    ("blocks.logprobs", Dialect::Chat, Way::Whole),
    ("blocks.logprobs", Dialect::Chat, Way::Stream),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_of_the_conformance_suite_holds_in_every_dialect_that_is_served() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let target = Target {
        address: serving.address,
        prefix: String::new(),
        key: house.key.clone(),
        model: "stand-in".to_owned(),
        tokens: Tokens::bulla(),
        dialects: Dialect::ALL.to_vec(),
    };
    let vectors = Vector::all().unwrap();
    let rows = conformance::run(&target, &upstream, &vectors, |_| ()).await.unwrap();
    let known = |row: &&Row| KNOWN.contains(&(row.vector.as_str(), row.dialect, row.way));
    let failed = rows.iter().filter(|row| matches!(row.verdict, Verdict::Fail(_)));
    let failed: Vec<&Row> = failed.filter(|row| !known(row)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let healed: Vec<&Row> =
        rows.iter().filter(known).filter(|row| row.verdict == Verdict::Pass).collect();
    assert!(healed.is_empty(), "these hold by now: {healed:#?}");
    // Chat completions are served, so each of their vectors was judged, and few were refused.
    let chat = |verdict: &Verdict| {
        rows.iter().filter(|row| row.dialect == Dialect::Chat && row.verdict == *verdict).count()
    };
    assert!(chat(&Verdict::Pass) >= 60, "{} vectors hold", chat(&Verdict::Pass));
    assert!(chat(&Verdict::Refused) <= 2, "{} are refused", chat(&Verdict::Refused));
    house.log();
}
