//! Whether the server lives, whether it is ready, and which models it knows.

use super::answer::json;
use super::error::ApiError;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gate::Code;
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
    let mut guards = Vec::new();
    for unready in &readiness.unready {
        match unready {
            Unready::Detector => detector = "cannot run",
            Unready::Log(_) => log = "cannot be written",
            Unready::Keys(_) => keys = "do not open",
            Unready::Guard(failure) => guards.push(failure.to_string()),
        }
    }
    let configuration = match readiness.configuration {
        Some(version) => format!("version {version}"),
        None => "none, so every prompt is blocked".to_owned(),
    };
    // It does not make the server unready: what stays inside, or goes elsewhere, still passes.
    let destinations = match house.failing_destinations() {
        0 => "in order".to_owned(),
        failing => format!("{failing} failing"),
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
        "guards": if guards.is_empty() { "ready".to_owned() } else { guards.join("; ") },
        "configuration": configuration,
        "destinations": destinations,
    });
    json(status, &document)
}

/// The models that callers may ask for. The document is in OpenAI's shape and in Anthropic's at once:
/// their clients use the same address, and neither minds the other's members.
pub(super) async fn models(State(house): State<Arc<House>>) -> Response {
    let ids = house.models();
    let (first, last) = (ids.first().cloned(), ids.last().cloned());
    let models: Vec<_> = ids.into_iter().map(|id| described(&id)).collect();
    let document = json!({
        "object": "list",
        "data": models,
        "has_more": false,
        "first_id": first,
        "last_id": last,
    });
    json(StatusCode::OK, &document)
}

/// One of them.
pub(super) async fn model(
    State(house): State<Arc<House>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    // A name that is no text names nothing.
    let asked = path.map(|Path(asked)| asked).unwrap_or_default();
    match house.models().into_iter().find(|id| *id == asked) {
        Some(id) => json(StatusCode::OK, &described(&id)),
        None => ApiError::of(Code::ModelNotFound, "No model of that name is configured here.")
            .into_response(),
    }
}

fn described(id: &str) -> serde_json::Value {
    json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": "bulla",
        "type": "model",
        "display_name": id,
        "created_at": "1970-01-01T00:00:00Z",
    })
}
