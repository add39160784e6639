//! Batches of callers, as OpenAI's clients speak of them.

use super::answer::json;
use super::body;
use super::error::ApiError;
use super::files::{id, listed, page, refused, seconds, wrong_page};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use gate::Code;
use gate::shape::Json;
use phi::Text;
use providers::raw_member;
use serde_json::{Value, json};
use service::{BatchView, House, NewBatch, Principal};
use std::sync::Arc;

/// What a batch is made of.
struct Wanted {
    input: String,
    endpoint: String,
    metadata: Option<Text>,
}

/// `POST /v1/batches`
pub(super) async fn add(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        let message = "Send the request's body without an encoding.";
        return ApiError::of(Code::InvalidRequest, message).into_response();
    }
    let (body, _place) = match body::read(&house, &principal, body).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let wanted = match read(&body) {
        Ok(wanted) => wanted,
        Err(message) => return ApiError::of(Code::InvalidRequest, message).into_response(),
    };
    // What is no id names nothing.
    let Ok(input) = wanted.input.parse() else {
        let message = "This API key has no file of that id.";
        return ApiError::of(Code::NotFound, message).into_response();
    };
    let purpose = parts.headers.get("x-bulla-purpose");
    let new = NewBatch {
        principal,
        input,
        endpoint: wanted.endpoint,
        purpose: purpose.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
        metadata: wanted.metadata,
    };
    match house.add_batch(new).await {
        Ok(view) => json(StatusCode::OK, &document(&view)),
        Err(unserved) => refused(unserved),
    }
}

/// `GET /v1/batches`
pub(super) async fn list(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    uri: Uri,
) -> Response {
    let Some((after, limit)) = page(&uri) else { return wrong_page() };
    match house.list_batches(&principal, after, limit).await {
        Ok((views, more)) => listed(&views.iter().map(document).collect::<Vec<_>>(), more),
        Err(unserved) => refused(unserved),
    }
}

/// `GET /v1/batches/{batch}`
pub(super) async fn one(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id(path) else { return no_batch() };
    match house.read_batch(&principal, id).await {
        Ok(view) => json(StatusCode::OK, &document(&view)),
        Err(unserved) => refused(unserved),
    }
}

/// `POST /v1/batches/{batch}/cancel`
pub(super) async fn cancel(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id(path) else { return no_batch() };
    match house.cancel_batch(&principal, id).await {
        Ok(view) => json(StatusCode::OK, &document(&view)),
        Err(unserved) => refused(unserved),
    }
}

fn no_batch() -> Response {
    ApiError::of(Code::NotFound, "This API key has no batch of that id.").into_response()
}

fn read(body: &[u8]) -> Result<Wanted, &'static str> {
    const FORM: &str = "A batch is made of input_file_id, endpoint, completion_window \"24h\" and, if it is wanted, metadata of texts.";
    let Ok(json) = Json::parse(body) else { return Err(FORM) };
    let Json::Map(members) = &json else { return Err(FORM) };
    let known = ["input_file_id", "endpoint", "completion_window", "metadata"];
    if members.iter().any(|(name, _)| !known.contains(&name.expose())) {
        return Err(FORM);
    }
    let text = |name| json.member(name).and_then(Json::as_text).map(Text::expose);
    let (Some(input), Some(endpoint), Some("24h")) =
        (text("input_file_id"), text("endpoint"), text("completion_window"))
    else {
        return Err(FORM);
    };
    let metadata = match json.member("metadata") {
        None | Some(Json::Null) => None,
        Some(Json::Map(said)) if said.iter().all(|(_, it)| it.as_text().is_some()) => {
            let whole = std::str::from_utf8(body).map_err(|_| FORM)?;
            Some(Text::from(raw_member(whole, "metadata").ok_or(FORM)?))
        }
        Some(_) => return Err(FORM),
    };
    Ok(Wanted { input: input.to_owned(), endpoint: endpoint.to_owned(), metadata })
}

fn document(view: &BatchView) -> Value {
    let ended_as = |status: &str| {
        let is = view.status == status;
        view.ended.filter(|_| is).map(seconds)
    };
    let (total, completed, failed) = view.lines;
    let problems: Vec<Value> = view
        .problems
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code,
                "message": problem.message,
                "line": problem.line,
                "param": null,
            })
        })
        .collect();
    let errors = if problems.is_empty() {
        Value::Null
    } else {
        json!({ "object": "list", "data": problems })
    };
    let metadata = view.metadata.as_ref().and_then(|it| serde_json::from_str(it.expose()).ok());
    json!({
        "id": view.id.to_string(),
        "object": "batch",
        "endpoint": view.endpoint,
        "errors": errors,
        "input_file_id": view.input.to_string(),
        "completion_window": "24h",
        "status": view.status,
        "output_file_id": view.output.map(|id| id.to_string()),
        "error_file_id": view.errors.map(|id| id.to_string()),
        "created_at": seconds(view.created),
        "in_progress_at": view.begun.map(seconds),
        "expires_at": seconds(view.created.plus_seconds(86_400)),
        "finalizing_at": view.finalizing.map(seconds),
        "completed_at": ended_as("completed"),
        "failed_at": ended_as("failed"),
        "expired_at": ended_as("expired"),
        "cancelling_at": view.cancelled.map(seconds),
        "cancelled_at": ended_as("cancelled"),
        "request_counts": { "total": total, "completed": completed, "failed": failed },
        "metadata": metadata.unwrap_or(Value::Null),
    })
}
