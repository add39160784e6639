//! Streamable HTTP of the Model Context Protocol, as it is served to clients.
//!
//! A message that a client sends is answered with one JSON document. Refusals and failures are errors of
//! JSON-RPC in an answer with status 200, because clients take another status for the end of the session.

use super::answer::{describe, no_store, put};
use super::ask::text;
use super::body;
use super::error::{ApiError, Family};
use super::limits::{OfRoute, retry_after};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gate::{Code, Outcome};
use phi::Text;
use providers::McpRequestId;
use serde_json::json;
use service::{Ended, House, Limited, Principal, ToolMessage, ToolReply, TraceParent};
use std::sync::Arc;

/// The header that names a session, in requests and in the answer that begins it.
const SESSION: &str = "mcp-session-id";

/// JSON-RPC's number for a method that is not there.
const METHOD_NOT_FOUND: i32 = -32601;

/// The protocol's number for a version that is not spoken.
const UNSUPPORTED_VERSION: i32 = -32022;

/// `POST /mcp/{server}`
pub(super) async fn message(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let server = match server(path, &parts) {
        Ok(server) => server,
        Err(error) => return error.respond(Family::Mcp),
    };
    let (body, place) = match body::read(&house, &principal, body).await {
        Ok(read) => read,
        Err(error) => return error.respond(Family::Mcp),
    };
    let header = |name| text(&parts.headers, name);
    let message = ToolMessage {
        principal,
        server,
        session: header(SESSION),
        version: header("mcp-protocol-version"),
        body,
        purpose: header("x-bulla-purpose"),
        conversation: header("x-bulla-conversation").map(Text::new),
        patient: header("x-bulla-patient").map(Text::new),
        justification: header("x-bulla-justification").map(Text::new),
        traceparent: header("traceparent").and_then(|text| TraceParent::parse(&text)),
    };
    replied(house.tell_tools(message, place).await)
}

/// `DELETE /mcp/{server}`
pub(super) async fn end(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let server = match server(path, &parts) {
        Ok(server) => server,
        Err(error) => return error.respond(Family::Mcp),
    };
    let session = text(&parts.headers, SESSION).unwrap_or_default();
    if house.end_tool_session(&principal, &server, &session) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        ApiError::no_session().respond(Family::Mcp)
    }
}

/// The server of tools that the address names, of a request that may be read.
fn server(path: Result<Path<String>, PathRejection>, parts: &Parts) -> Result<String, ApiError> {
    // A page that a person has open could otherwise reach a server on the same machine by a name that leads
    // here (DNS rebinding). No program sends this header.
    if parts.headers.contains_key(ORIGIN) {
        return Err(ApiError::wrong_origin());
    }
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::encoded());
    }
    path.map(|Path(server)| server).map_err(|_| ApiError::not_found())
}

fn replied(reply: ToolReply) -> Response {
    match reply {
        ToolReply::Accepted => StatusCode::ACCEPTED.into_response(),
        ToolReply::Here { id, result, session } => {
            let mut response = document(StatusCode::OK, answer(Some(&id), &result));
            begun(response.headers_mut(), session);
            response
        }
        ToolReply::NoSession => ApiError::no_session().respond(Family::Mcp),
        ToolReply::SessionRequired => {
            let message = "Begin a session, and name it in the header mcp-session-id.";
            ApiError::of(Code::InvalidRequest, message).respond(Family::Mcp)
        }
        ToolReply::OtherVersion { id, supported } => {
            let error = json!({
                "code": UNSUPPORTED_VERSION,
                "message": "Unsupported protocol version",
                "data": { "supported": supported },
            });
            let id = json_of(id.as_ref());
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
            document(StatusCode::BAD_REQUEST, body)
        }
        ToolReply::NoMethod(id) => {
            let error = ApiError::of(Code::UnsupportedContent, "The method is not carried here.");
            failed(Some(&id), &error, Some(METHOD_NOT_FOUND))
        }
        ToolReply::Ended { id, ended, session } => {
            let mut response = over(id.as_ref(), ended);
            begun(response.headers_mut(), session);
            response
        }
        ToolReply::Limited { id, limited } => limited_by(id.as_ref(), *limited),
    }
}

/// An exchange that is over.
fn over(id: Option<&McpRequestId>, ended: Ended) -> Response {
    let Ended { exchange, released } = ended;
    let Some(released) = released else {
        let mut response = failed(id, &ApiError::unrecorded().of_exchange(exchange), None);
        describe(response.headers_mut(), exchange, None);
        return response;
    };
    let (about, outcome, receipt) = *released;
    let number = outcome.reason().filter(|it| *it == "method_not_carried");
    let mut response = if let Outcome::Answered(result) = outcome {
        document(StatusCode::OK, answer(id, result.expose()))
    } else {
        let error = ApiError::of_outcome(&outcome).unwrap_or_else(ApiError::unrecorded);
        failed(id, &error.of_exchange(exchange), number.map(|_| METHOD_NOT_FOUND))
    };
    describe(response.headers_mut(), exchange, Some((&about, &receipt)));
    response.extensions_mut().insert(OfRoute(about.route));
    response
}

/// A request that a limit refused. Unless it was only counted, it is an exchange that is over.
fn limited_by(id: Option<&McpRequestId>, limited: Limited) -> Response {
    let Limited { over, route, ended } = limited;
    let refusal = over.refusal();
    let error = match &ended {
        Some(Ended { released: None, .. }) => ApiError::unrecorded(),
        Some(Ended { released: Some(_), .. }) | None => ApiError::of(refusal.code, refusal.message),
    };
    let mut response = failed(id, &error, None);
    retry_after(response.headers_mut(), &over);
    if let Some(Ended { exchange, released }) = ended {
        let recorded = released.as_ref().map(|it| (&it.0, &it.2));
        describe(response.headers_mut(), exchange, recorded);
    }
    response.extensions_mut().insert(OfRoute(route));
    response
}

fn failed(id: Option<&McpRequestId>, error: &ApiError, number: Option<i32>) -> Response {
    document(StatusCode::OK, error.rpc(json_of(id), number))
}

/// The answer to the request of this id, around a result that is JSON.
fn answer(id: Option<&McpRequestId>, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, json_of(id))
}

/// The id goes back to who gave it.
fn json_of(id: Option<&McpRequestId>) -> &str {
    id.map_or("null", |id| id.json().expose())
}

fn document(status: StatusCode, body: String) -> Response {
    let mut response = (status, body).into_response();
    no_store(response.headers_mut(), "application/json");
    response
}

fn begun(headers: &mut HeaderMap, session: Option<String>) {
    if let Some(session) = session {
        put(headers, SESSION, session);
    }
}
