//! The table of routes is what the server does, and no more.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use bytes::Bytes;
use ledger::Event;
use server::api::{Access, ROUTES};
use testkit::client::Request;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn request(method: &str, path: &str) -> Request {
    // Of the tiles, the first hash; of the searches, one for nothing in particular.
    let path = path.replace("{*tile}", "0/000.p/1");
    let body = if path == "/log/search" { "{}".to_owned() } else { user(MARISOL.name).to_string() };
    Request::new(method, &path, Bytes::from(body))
}

#[tokio::test]
async fn every_route_that_is_not_public_refuses_anonymous_callers() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    serving.knows(&auditor).await;
    let mut denied = 0;
    for route in ROUTES {
        let asked = || request(route.method, route.path);
        let anonymous = serving.call(&asked()).await;
        let caller = serving.call(&asked().bearer(&house.key)).await;
        let reader = serving.call(&asked().bearer(&auditor)).await;
        let name = format!("{} {}", route.method, route.path);
        let (right, wrong) = match route.access {
            Access::Public => {
                assert_eq!(anonymous.status(), 200, "{name}");
                assert_eq!(reader.status(), 200, "{name}");
                (&caller, None)
            }
            Access::Caller => (&caller, Some(&reader)),
            Access::Auditor => (&reader, Some(&caller)),
        };
        assert_eq!(right.status(), 200, "{name}: {}", right.text());
        if let Some(wrong) = wrong {
            check_refusal(&anonymous, 401, "invalid_api_key", &[MARISOL.name]);
            check_refusal(wrong, 403, "role_not_allowed", &[MARISOL.name]);
            denied += 1;
        }
        let tile = route.path.starts_with("/log/tile");
        let kept = if tile { "private, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(right.header("cache-control"), Some(kept), "{name}");
        for answer in [Some(&anonymous), wrong].into_iter().flatten() {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        }
    }
    assert!(denied >= 5);
    // The chat route was called once with a key that is for it.
    assert_eq!(upstream.captured().len(), 1);
    serving.stop();
    // What was refused is in the log, and each reading is: the tiles once, however many.
    let log = house.log();
    let count = |what: fn(&Event) -> bool| log.events().filter(|event| what(event)).count();
    let denials: u64 = log
        .events()
        .map(|event| if let Event::AccessDenied { count, .. } = event { *count } else { 0 })
        .sum();
    assert!(denials >= denied, "{denials}");
    assert_eq!(
        count(|it| matches!(it, Event::TilesRead { actor, .. } if actor.name == "Example Bot")),
        1
    );
    assert_eq!(count(|it| matches!(it, Event::Searched { filters, .. } if filters.is_empty())), 1);
}

#[tokio::test]
async fn other_methods_and_other_routes_do_not_exist() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for route in ROUTES {
        for method in METHODS {
            if method == route.method {
                continue;
            }
            // A log route asks for the method before it asks for the key.
            let asked = request(method, route.path).bearer(&house.key);
            let response = serving.call(&asked).await;
            check_refusal(&response, 405, "method_not_allowed", &[MARISOL.name]);
        }
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/responses",
        "/v1/files",
        "/v1/models/stand-in",
        "/v1/../v1/models",
        "//v1/models",
        "/V1/models",
        "/metrics",
        "/v1/chat/completions%2f",
        "/admin?key=219-09-9999",
    ] {
        for method in ["GET", "POST"] {
            let response = serving.call(&request(method, path).bearer(&house.key)).await;
            check_refusal(&response, 404, "unknown_route", &[MARISOL.name, "219-09-9999"]);
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn health_and_models_say_what_is_so() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let alive = serving.call(&Request::get("/healthz")).await;
    assert_eq!((alive.status(), alive.json()["status"].as_str()), (200, Some("alive")));
    let ready = serving.call(&Request::get("/readyz")).await;
    let document = serde_json::json!({
        "status": "ready", "detector": "ready", "log": "ready", "keys": "ready",
        "configuration": "version 1"
    });
    assert_eq!((ready.status(), ready.json()), (200, document));

    let models = serving.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    assert_eq!(models["data"][0]["id"], "stand-in");
    assert_eq!(models["data"][0]["object"], "model");
    assert!(models["data"][0]["created"].is_u64() && models["data"][0]["owned_by"].is_string());
    assert_eq!(upstream.connections(), 0);
    // The path that each model takes is there for whoever runs the server.
    let path = house.run(&["path", "stand-in"]).ok();
    assert!(path.contains("covered") && path.contains("agreement baa-examplecloud"), "{path}");
    let json: serde_json::Value =
        serde_json::from_str(&house.run(&["path", "--json"]).ok()).unwrap();
    assert_eq!(json[0]["state"], "covered");
}
