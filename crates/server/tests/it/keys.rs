//! Who may call, and for what.

use crate::house::{CHANGE_LIMIT, House, LOOK, Serving, check_refusal, user};
use crate::rules::Rules;
use std::time::Duration;
use testkit::client::Request;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};
use tokio::time::Instant;

fn asking(key: &str) -> Request {
    Request::chat(&user(MARISOL.name)).bearer(key)
}

/// How long it takes until the answer to `request` has this status.
async fn until(serving: &Serving, request: &Request, status: u16) -> Duration {
    let begun = Instant::now();
    while serving.call(request).await.status() != status {
        assert!(begun.elapsed() < CHANGE_LIMIT, "still not {status}");
        tokio::time::sleep(LOOK).await;
    }
    begun.elapsed()
}

#[tokio::test]
async fn only_a_key_in_force_opens_the_door() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let expired = house.create_key(&["--purpose", "treatment", "--days", "1"]);
    end_all_keys_with_a_last_day(&house);
    let serving = house.serve();
    let body = user(MARISOL.name);
    let wrong = [
        Request::chat(&body),
        asking(""),
        asking("bulla_"),
        asking(&format!("{}x", house.key)),
        asking(&house.key[..house.key.len() - 1]),
        asking(&house.key.to_lowercase()),
        asking(&expired.secret),
        asking(&expired.id),
        asking(MARISOL.ssn),
        Request::chat(&body).header("authorization", &house.key),
        Request::chat(&body).header("authorization", &format!("Basic {}", house.key)),
        Request::chat(&body).header("x-api-key", &expired.secret),
        Request::chat(&body).header("cookie", &house.key),
    ];
    let mut said = Vec::new();
    for request in &wrong {
        let response = serving.call(request).await;
        check_refusal(&response, 401, "invalid_api_key", &[MARISOL.name, MARISOL.ssn, &house.key]);
        said.push(response.text());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "the answer tells why: {said:?}");
    assert_eq!(upstream.connections(), 0);
    let lower = Request::chat(&body).header("authorization", &format!("bearer {}", house.key));
    assert_eq!(serving.call(&lower).await.status(), 200);
    // The clients of other dialects show their key in headers of their own.
    for header in ["x-api-key", "api-key", "x-goog-api-key"] {
        let shown = Request::chat(&body).header(header, &house.key);
        assert_eq!(serving.call(&shown).await.status(), 200, "{header}");
    }
    serving.stop();
    let log = house.log();
    let refused = log.events().filter_map(|event| {
        if let ledger::Event::AccessRefused { count } = event { Some(*count) } else { None }
    });
    assert_eq!(refused.sum::<u64>(), wrong.len() as u64, "every try is counted in the log");
    let listed = house.run(&["key", "list"]).ok();
    assert!(listed.contains(&expired.id) && !listed.contains(&house.key), "{listed}");
}

/// Moves the last moment of each key that has one into the past.
fn end_all_keys_with_a_last_day(house: &House) {
    let database = rusqlite::Connection::open(house.data().join("bulla.db")).unwrap();
    let changed = database
        .execute("UPDATE api_keys SET expires = created - 1 WHERE expires IS NOT NULL", [])
        .unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn keys_and_rules_that_change_count_within_a_second() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let serving = house.serve();
    for model in ["one", "two", "three"] {
        house.apply(&rules.clone().offering(model)).ok();
        let known = serving.offers(model).await;
        assert!(known < Duration::from_secs(1), "{known:?}");
    }
    for _ in 0..3 {
        let key = house.create_key(&["--purpose", "treatment"]);
        let known = until(&serving, &asking(&key.secret), 200).await;
        house.run(&["key", "revoke", &key.id]).ok();
        let refused = until(&serving, &asking(&key.secret), 401).await;
        assert!(known.max(refused) < Duration::from_secs(1), "{known:?}, {refused:?}");
    }
    let key = house.create_key(&[]).id;
    house.run(&["key", "revoke", &key]).ok();
    house.run(&["key", "revoke", &key]).fails(2, "no API key");
    house.run(&["key", "revoke", "219-09-9999"]).fails(2, "key_");
    house.run(&["key", "create", "--owner", "", "--purpose", "treatment"]).fails(2, "owner");
    house.run(&["key", "create", "--owner", "x", "--purpose", "research"]).fails(2, "purpose");
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    house.log();
}

#[tokio::test]
async fn every_prompt_has_one_known_purpose() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let open = house.create_key(&[]).secret;
    let serving = house.serve();
    let with = |key: &str, purpose: &str| asking(key).header("x-bulla-purpose", purpose);
    let planted = [MARISOL.name, MARISOL.ssn];

    let response = serving.call(&asking(&open)).await;
    check_refusal(&response, 400, "purpose_required", &planted);
    for request in [
        with(&open, "research"),
        with(&open, ""),
        with(&open, "TREATMENT"),
        with(&open, MARISOL.ssn),
        with(&open, "caf\u{e9}"),
        with(&house.key, "payment"),
        with(&house.key, "research"),
    ] {
        check_refusal(&serving.call(&request).await, 403, "purpose_not_allowed", &planted);
    }
    // Known, but the policy has no row for it.
    check_refusal(&serving.call(&with(&open, "payment")).await, 403, "phi_blocked", &planted);
    assert_eq!(upstream.connections(), 0);
    for request in [with(&open, "treatment"), with(&house.key, "treatment"), asking(&house.key)] {
        let response = serving.call(&request).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        assert_eq!(outcome.about.purpose.as_deref(), Some("treatment"));
    }
}
