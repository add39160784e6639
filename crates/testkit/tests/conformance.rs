//! The conformance suite, pointed at gateways that are known to be bad.

use std::collections::BTreeMap;
use testkit::conformance::{self, Target, Unprotected, Vector, Verdict, Way};
use testkit::upstream::{Dialect, Reply, Tokens, Upstream};

fn target(upstream: &Upstream) -> Target {
    Target {
        address: upstream.address(),
        prefix: String::new(),
        key: "key-of-the-caller".to_owned(),
        model: "stand-in".to_owned(),
        tokens: Tokens::bulla(),
        dialects: Dialect::ALL.to_vec(),
    }
}

/// The model server itself is the gateway that does nothing: all reaches it, all comes back.
#[tokio::test]
async fn a_gateway_that_does_nothing_fails_every_vector_that_protects_and_no_other() {
    let upstream = Upstream::start(Reply::echo()).await;
    let vectors = Vector::all().unwrap();
    let rows = conformance::run(&target(&upstream), &upstream, &vectors, |_| ()).await.unwrap();
    let unprotected: BTreeMap<&str, Unprotected> =
        vectors.iter().map(|vector| (vector.id.as_str(), vector.unprotected)).collect();
    for row in &rows {
        match unprotected[row.vector.as_str()] {
            Unprotected::Fails => assert!(matches!(row.verdict, Verdict::Fail(_)), "{row:?}"),
            Unprotected::Passes => assert_eq!(row.verdict, Verdict::Pass, "{row:?}"),
        }
    }
    let run =
        |dialect, way| rows.iter().filter(|row| row.dialect == dialect && row.way == way).count();
    for dialect in Dialect::ALL {
        assert!(run(dialect, Way::Whole) > 0, "{dialect:?}");
        assert_eq!(run(dialect, Way::Stream) > 0, dialect.streams(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_gateway_that_serves_no_dialect_or_is_not_there_is_no_pass() {
    let nothing =
        Upstream::start_bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let vectors = Vector::all().unwrap();
    let ran = conformance::run(&target(&nothing), &nothing, &vectors, |_| ()).await;
    assert_eq!(ran.unwrap_err(), "the gateway serves none of the dialects");
    let target = target(&nothing);
    nothing.stop().await;
    let other = Upstream::start(Reply::echo()).await;
    let ran = conformance::run(&target, &other, &vectors, |_| ()).await;
    assert!(ran.unwrap_err().contains("does not answer"));
}
