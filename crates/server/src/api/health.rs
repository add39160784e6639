//! Whether the server lives, whether it is ready, and which models it knows.

use super::answer::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use service::{House, Unready};
use std::sync::Arc;

/// The process answers. It says nothing about the controls.
pub(super) async fn alive() -> Response {
    json(StatusCode::OK, &json!({ "status": "alive" }))
}

/// Every control without which no prompt may pass was tried just now.
pub(super) async fn ready(State(house): State<Arc<House>>) -> Response {
    let readiness = house.readiness().await;
    let mut detector = "ready";
    let mut log = "ready";
    let mut keys = "ready";
    for unready in &readiness.unready {
        match unready {
            Unready::Detector => detector = "cannot run",
            Unready::Log(_) => log = "cannot be written",
            Unready::Keys(_) => keys = "do not open",
        }
    }
    let configuration = match readiness.configuration {
        Some(version) => format!("version {version}"),
        None => "none, so every prompt is blocked".to_owned(),
    };
    let (status, word) = if readiness.unready.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let document = json!({
        "status": word,
        "detector": detector,
        "log": log,
        "keys": keys,
        "configuration": configuration,
    });
    json(status, &document)
}

/// The models that callers may ask for, in OpenAI's shape.
pub(super) async fn models(State(house): State<Arc<House>>) -> Response {
    let models: Vec<_> = house
        .models()
        .into_iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "bulla" }))
        .collect();
    json(StatusCode::OK, &json!({ "object": "list", "data": models }))
}
