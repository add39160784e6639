//! Files of callers, as OpenAI's clients speak of them.

use super::answer::{json, no_store};
use super::body;
use super::error::ApiError;
use super::form;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use gate::Code;
use ledger::{FileId, Time};
use phi::Text;
use serde_json::{Value, json};
use service::{FileView, House, MAX_FILE_BYTES, NewFile, Output, Principal, Unserved};
use std::io;
use std::str::FromStr;
use std::sync::Arc;

/// What a form has beside the file in it.
const FORM_BYTES: usize = 16 << 10;

/// Entries of a page of a list, when nothing else is asked for.
const PAGE: u32 = 20;

/// `POST /v1/files`
pub(super) async fn add(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        let message = "Send the request's body without an encoding.";
        return ApiError::of(Code::InvalidRequest, message).into_response();
    }
    let most = MAX_FILE_BYTES + FORM_BYTES;
    let who = (&*house, &principal);
    let read = body::read_within(most, "A file has at most 16 MiB.", who, body).await;
    let (body, _place) = match read {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let wrong = || {
        let message =
            "A file comes as multipart/form-data with the fields purpose and file, and no other.";
        ApiError::of(Code::InvalidRequest, message).into_response()
    };
    let Some(fields) = form::read(kind, &body) else { return wrong() };
    let (mut purpose, mut file) = (None, None);
    for field in fields {
        let place = match field.name {
            "purpose" => &mut purpose,
            "file" => &mut file,
            _ => return wrong(),
        };
        if place.replace(field).is_some() {
            return wrong();
        }
    }
    let (Some(purpose), Some(file)) = (purpose, file) else { return wrong() };
    let new = NewFile {
        principal,
        purpose: Text::new(String::from_utf8_lossy(purpose.bytes).into_owned()),
        name: file.file.unwrap_or_default(),
        bytes: file.bytes.to_vec(),
    };
    match house.add_file(new).await {
        Ok(view) => json(StatusCode::OK, &document(&view)),
        Err(unserved) => refused(unserved),
    }
}

/// `GET /v1/files`
pub(super) async fn list(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    uri: Uri,
) -> Response {
    let Some((after, limit)) = page(&uri) else { return wrong_page() };
    match house.list_files(&principal, after, limit).await {
        Ok((views, more)) => listed(&views.iter().map(document).collect::<Vec<_>>(), more),
        Err(unserved) => refused(unserved),
    }
}

/// `GET /v1/files/{file}`
pub(super) async fn one(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id(path) else { return no_file() };
    match house.read_file(&principal, id).await {
        Ok(view) => json(StatusCode::OK, &document(&view)),
        Err(unserved) => refused(unserved),
    }
}

/// `DELETE /v1/files/{file}`
pub(super) async fn remove(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id::<FileId>(path) else { return no_file() };
    match house.delete_file(&principal, id).await {
        Ok(()) => {
            let document = json!({ "id": id.to_string(), "object": "file", "deleted": true });
            json(StatusCode::OK, &document)
        }
        Err(unserved) => refused(unserved),
    }
}

/// `GET /v1/files/{file}/content`
pub(super) async fn content(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(id) = id(path) else { return no_file() };
    let mut output = match house.file_content(&principal, id).await {
        Ok(output) => output,
        Err(unserved) => return refused(unserved),
    };
    // An error can only be said while nothing else was.
    let first = match output.next().await {
        Ok(first) => first,
        Err(unserved) => return refused(unserved),
    };
    let pieces = stream::unfold((first, Some(output)), |(ready, output)| async move {
        if let Some(text) = ready {
            return Some((Ok(Bytes::from(text.into_exposed())), (None, output)));
        }
        let mut output: Output = output?;
        match output.next().await {
            Ok(Some(text)) => Some((Ok(Bytes::from(text.into_exposed())), (None, Some(output)))),
            Ok(None) => None,
            // The connection breaks off, which tells the caller that it is not whole.
            Err(_) => Some((Err(io::Error::other("the rest cannot be read")), (None, None))),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    no_store(response.headers_mut(), "application/octet-stream");
    response
}

fn document(view: &FileView) -> Value {
    json!({
        "id": view.id.to_string(),
        "object": "file",
        "bytes": view.bytes,
        "created_at": seconds(view.created),
        "expires_at": seconds(view.expires),
        "filename": view.name.expose(),
        "purpose": view.purpose,
        "status": "processed",
        "status_details": null,
    })
}

fn no_file() -> Response {
    ApiError::of(Code::NotFound, "This API key has no file of that id.").into_response()
}

/// An id in an address; what is none names nothing.
pub(super) fn id<T: FromStr>(path: Result<Path<String>, PathRejection>) -> Option<T> {
    path.ok()?.0.parse().ok()
}

/// Why nothing was done.
pub(super) fn refused(unserved: Unserved) -> Response {
    ApiError::of_outcome(&unserved.outcome()).unwrap_or_else(ApiError::unrecorded).into_response()
}

/// Seconds since 1970.
pub(super) const fn seconds(time: Time) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}

/// Which page of a list is asked for: what comes after this id, and how much.
pub(super) fn page<T: FromStr>(uri: &Uri) -> Option<(Option<T>, u32)> {
    let (mut after, mut limit) = (None, PAGE);
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (name, value) = pair.split_once('=')?;
        match name {
            "after" => after = Some(value.parse().ok()?),
            "limit" => limit = value.parse().ok()?,
            // There is one purpose and one order.
            "purpose" if value == "batch" => {}
            "order" if value == "desc" => {}
            _ => return None,
        }
    }
    Some((after, limit))
}

pub(super) fn wrong_page() -> Response {
    let message = "A list is asked for with limit and after, an id of it, newest first.";
    ApiError::of(Code::InvalidRequest, message).into_response()
}

pub(super) fn listed(data: &[Value], more: bool) -> Response {
    let end = |entry: Option<&Value>| entry.and_then(|it| it.get("id")).cloned();
    let (first, last) = (end(data.first()), end(data.last()));
    let document = json!({
        "object": "list", "data": data, "has_more": more, "first_id": first, "last_id": last,
    });
    json(StatusCode::OK, &document)
}
