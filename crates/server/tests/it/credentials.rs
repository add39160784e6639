//! The model server's own key: read from where it is kept, sent to that server only, written nowhere.

use crate::house::{House, Serving, check_refusal, user};
use crate::rules::Rules;
use std::fs;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const SECRET: &str = "sk-example-4c1d9f0a7b";

async fn check_sent(serving: &Serving, upstream: &Upstream) {
    let response = serving.ask(&user(MARISOL.name)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let captured = upstream.captured();
    let sent = captured.last().unwrap();
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {SECRET}")));
    assert!(!response.text().contains(SECRET) && !serving.log_lines().contains(SECRET));
}

#[tokio::test]
async fn a_credential_comes_from_its_file_or_from_the_environment() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules).logging("trace");
    let file = house.path("credential");
    fs::write(&file, format!("  {SECRET}\n")).unwrap();
    let named = |credential: &str| {
        let written = format!("credential = \"{credential}\"");
        rules.clone().with("credential = \"none\"", &written)
    };

    let from_file = named(&format!("file:{}", file.display()));
    house.apply(&from_file).ok();
    check_sent(&house.serve(), &upstream).await;

    house.apply(&named("env:EXAMPLE_CLOUD_KEY")).ok();
    let mut command = house.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("EXAMPLE_CLOUD_KEY", SECRET);
    check_sent(&house.start(command), &upstream).await;
    for name in ["bulla.db", "bulla.db-wal"] {
        let bytes = fs::read(house.data().join(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{name}");
    }

    // What cannot be read is not left out: nothing goes without it.
    let connections = upstream.connections();
    let unset = house.serve();
    let response = unset.ask(&user(MARISOL.name)).await;
    check_refusal(&response, 502, "upstream_unauthorized", &[MARISOL.name, "EXAMPLE_CLOUD_KEY"]);
    unset.kill();
    fs::remove_file(&file).unwrap();
    house.apply(&from_file).ok();
    let gone = house.serve();
    let response = gone.ask(&user(MARISOL.name)).await;
    check_refusal(&response, 502, "upstream_unauthorized", &[MARISOL.name, file.to_str().unwrap()]);
    assert_eq!(upstream.connections(), connections);
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.outcome, "upstream_failed");
}
