//! The table of routes is what the server does, and no more.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use bytes::Bytes;
use ledger::Event;
use serde_json::{Value, json};
use server::api::{Access, ROUTES};
use testkit::client::{Request, Response};
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn request(method: &str, path: &str) -> Request {
    // Of the tiles, the first hash; of the searches, one for nothing in particular.
    let named = [
        ("{*tile}", "0/000.p/1"),
        ("{*model}", "stand-in"),
        ("{deployment}/{*below}", "stand-in/chat/completions"),
        ("{model}/{how}", "stand-in/converse"),
        ("{call}", "stand-in:generateContent"),
        ("{response}", "resp_exc_0193567a00007000800000000000abcd"),
        ("{server}", "stand-in"),
    ];
    let generates = method == "POST" && path.starts_with("/v1/models/");
    let path = if generates { "/v1/models/stand-in:generateContent" } else { path };
    let mut path =
        named.iter().fold(path.to_owned(), |path, (hole, value)| path.replace(hole, value));
    if method == "POST" && path == "/v1/models/stand-in" {
        path.push_str(":generateContent");
    }
    let said = MARISOL.name;
    let body = match path.as_str() {
        "/log/search" => json!({}),
        "/mcp/stand-in" => json!({ "jsonrpc": "2.0", "id": said, "method": "initialize" }),
        it if it.ends_with("/responses") || it.ends_with("/embeddings") => {
            json!({ "model": "stand-in", "input": said })
        }
        it if it.ends_with("/completions") && !it.ends_with("/chat/completions") => {
            json!({ "model": "stand-in", "prompt": said })
        }
        it if it.ends_with("/converse") => {
            json!({ "messages": [{ "role": "user", "content": [{ "text": said }] }] })
        }
        it if it.ends_with(":generateContent") => {
            json!({ "contents": [{ "role": "user", "parts": [{ "text": said }] }] })
        }
        _ => user(said),
    };
    Request::new(method, &path, Bytes::from(body.to_string()))
}

/// What a caller gets who may use a route. The agreement names chat completions, and the destination
/// has them, so that everything that can be said in them is answered.
fn expected(method: &str, path: &str) -> (u16, &'static str) {
    match path {
        // What is said is no form and makes no batch.
        "/v1/files" | "/v1/batches" if method == "POST" => (400, "invalid_request"),
        it if it.contains("{file}") || it.contains("{batch}") => (404, "not_found"),
        // There is no such server, so there is no session either.
        "/mcp/{server}" if method == "DELETE" => (404, "session_not_found"),
        "/mcp/{server}" => (200, "tool_not_allowed"),
        it if it.ends_with("/chat/completions") => (200, ""),
        it if it.ends_with("/completions") || it.ends_with("/embeddings") => (403, "baa_scope"),
        it if it.contains("{response}") => (404, "response_not_found"),
        it if it.ends_with("/count_tokens") => (400, "unsupported_by_destination"),
        _ => (200, ""),
    }
}

/// Checks a refusal in whatever dialect's shape.
fn check_denial(response: &testkit::client::Response, status: u16, code: &str) {
    let text = response.text();
    assert_eq!(response.status(), status, "{text}");
    assert!(text.contains(code) && !text.contains(MARISOL.name), "{code} is not in {text}");
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
            // Who asks from this machine needs no key; one that is for something else does not do.
            Access::Monitor => {
                check_refusal(&caller, 403, "role_not_allowed", &[]);
                check_refusal(&reader, 403, "role_not_allowed", &[]);
                (&anonymous, None)
            }
        };
        let (status, code) = expected(route.method, route.path);
        assert_eq!(right.status(), status, "{name}: {}", right.text());
        assert!(right.text().contains(code), "{name}: {}", right.text());
        if let Some(wrong) = wrong {
            check_denial(&anonymous, 401, "invalid_api_key");
            check_denial(wrong, 403, "role_not_allowed");
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
    // Every route that asks a model was called once with a key that is for it.
    let asks = ROUTES.iter().filter(|it| it.method == "POST" && it.access == Access::Caller);
    let answered = asks.filter(|it| expected(it.method, it.path) == (200, "")).count();
    assert_eq!(upstream.captured().len(), answered);
    for sent in upstream.captured() {
        assert_eq!(sent.path, "/v1/chat/completions");
        assert!(!sent.text().contains(MARISOL.name), "{}", sent.text());
    }
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

/// An error in the form of those whose path it is, which says nothing of what was asked.
fn check_form(response: &Response, status: u16, code: &str) {
    let text = response.text();
    assert!(![MARISOL.name, "219-09-9999"].iter().any(|value| text.contains(value)), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    let codes =
        [&document["error"]["code"], &document["code"], &document["error"]["details"][0]["reason"]];
    assert!(codes.iter().any(|it| **it == code), "{text}");
    assert_eq!(response.status(), status, "{text}");
}

#[tokio::test]
async fn other_methods_and_other_routes_do_not_exist() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for route in ROUTES {
        for method in METHODS {
            // Two routes may share an address.
            let has = |it: &server::api::Route| it.path == route.path && it.method == method;
            if ROUTES.iter().any(has) {
                continue;
            }
            // A log route asks for the method before it asks for the key.
            let asked = request(method, route.path).bearer(&house.key);
            let response = serving.call(&asked).await;
            check_form(&response, 405, "method_not_allowed");
        }
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/uploads",
        "/v1beta/models",
        "/openai/v1",
        "/v1/../v1/models",
        "//v1/models",
        "/V1/models",
        "/v1/chat/completions%2f",
        "/admin?key=219-09-9999",
    ] {
        for method in ["GET", "POST"] {
            let response = serving.call(&request(method, path).bearer(&house.key)).await;
            check_form(&response, 404, "unknown_route");
        }
    }
    // A path that is no text is answered like any other that leads nowhere.
    for path in ["/model/%ff/converse", "/v1beta/models/%ff:generateContent", "/v1/models/%ff"] {
        for method in ["GET", "POST"] {
            let asked = Request::new(method, path, Bytes::from("{}")).bearer(&house.key);
            let response = serving.call(&asked).await;
            assert!([404, 405].contains(&response.status()), "{method} {path}");
            assert_eq!(response.header("content-type"), Some("application/json"), "{path}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
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
        "guards": "ready", "configuration": "version 1", "destinations": "in order"
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
