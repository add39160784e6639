//! `bulla explain`, by every name that an exchange has, with each of its exit codes.

use crate::house::{House, user};
use crate::rules::Rules;
use rusqlite::Connection;
use serde_json::Value;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

#[tokio::test]
async fn an_exchange_is_explained_by_any_of_its_names_and_decided_again() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let answer = serving.ask(&user(MARISOL.name)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let receipt = answer.header("x-bulla-receipt").unwrap().to_owned();
    serving.stop();

    let page = house.run(&["explain", &receipt]).ok();
    assert!(page.contains("the same, on the recorded facts"), "{page}");
    assert!(page.contains("agreement baa-examplecloud") && page.contains("in us-east"), "{page}");
    assert!(page.contains("tokenized at cloud, by identifiers"), "{page}");
    assert!(!page.contains(MARISOL.name), "{page}");
    let proof = house.fresh("receipt.tar");
    house.run(&["receipt", &receipt, "--out", proof.to_str().unwrap()]).ok();
    let document = house.run(&["explain", proof.to_str().unwrap(), "--json"]).ok();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["replay"]["same"], true);
    assert_eq!(document["decision"]["word"], "tokenized");
    let exchange = document["exchange"].as_str().unwrap();
    let (log, rest) = receipt.split_once('#').unwrap();
    let seq = rest.split_once('@').unwrap().0;
    for name in [exchange, &format!("{log}:{seq}"), seq] {
        assert_eq!(house.run(&["explain", name]).ok(), page, "{name}");
    }
    // What names nothing, something else, or another log.
    let other = receipt.replace("bulla/dep_", "bulla/dep_f");
    let altered = format!("{log}#{seq}@{}", "0".repeat(64));
    for (name, words) in [
        ("0", "no exchange"),
        ("99999", "no such record"),
        (other.as_str(), "another log"),
        (altered.as_str(), "no such record"),
        ("/nowhere/receipt.tar", "write a receipt"),
    ] {
        house.run(&["explain", name]).fails(2, words);
    }

    // Somebody writes into the record that it went elsewhere, and then puts another file there.
    let database = Connection::open(house.data().join("bulla.db")).unwrap();
    let triggers: Vec<String> = database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for name in triggers {
        database.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let forge = "UPDATE records SET bytes = CAST(replace(CAST(bytes AS TEXT), ?, ?) AS BLOB)";
    database.execute(forge, ["\"NAME\":\"tokenized\"", "\"NAME\":\"disclosed\""]).unwrap();
    let differs = house.run(&["explain", exchange]);
    assert_eq!(differs.code, 1, "{}{}", differs.out, differs.err);
    assert!(differs.out.contains("NOT what was recorded"), "{}", differs.out);
    assert!(differs.out.contains("treatments: recorded"), "{}", differs.out);
    database
        .execute(
            "UPDATE configurations SET bytes = CAST(CAST(bytes AS TEXT) || char(10) AS BLOB)",
            [],
        )
        .unwrap();
    drop(database);
    let cannot = house.run(&["explain", exchange, "--json"]);
    let document: Value = serde_json::from_str(&cannot.out).unwrap_or_default();
    assert_eq!((cannot.code, &document["replay"]["same"]), (3, &Value::Null), "{}", cannot.err);
    let words = document["replay"]["cannot"].as_str().unwrap();
    assert!(words.contains("another hash"), "{words}");
}
