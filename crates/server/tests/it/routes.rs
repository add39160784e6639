//! The table of routes is what the server does, and no more.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use bytes::Bytes;
use server::api::{Access, ROUTES};
use testkit::client::Request;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn request(method: &str, path: &str) -> Request {
    Request::new(method, path, Bytes::from(user(MARISOL.name).to_string()))
}

#[tokio::test]
async fn every_route_that_is_not_public_refuses_anonymous_callers() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    assert!(ROUTES.iter().any(|route| route.access == Access::ApiKey));
    for route in ROUTES {
        let anonymous = serving.call(&request(route.method, route.path)).await;
        let known = serving.call(&request(route.method, route.path).bearer(&house.key)).await;
        assert_eq!(known.status(), 200, "{} {}: {}", route.method, route.path, known.text());
        match route.access {
            Access::Public => assert_eq!(anonymous.status(), 200, "{}", route.path),
            Access::ApiKey => check_refusal(&anonymous, 401, "invalid_api_key", &[MARISOL.name]),
        }
        for answer in [&anonymous, &known] {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", route.path);
        }
    }
    // The chat route was called once with a key.
    assert_eq!(upstream.captured().len(), 1);
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
