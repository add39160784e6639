//! `POST /v1/chat/completions`.

use super::answer::{describe, no_store};
use super::error::ApiError;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use gate::stream::Window;
use gate::{Code, Outcome};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use phi::Text;
use service::{Converse, Ended, House, Principal, Started, Step, Streamed};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The largest request. A context of a million model tokens is about 4 MiB of English.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// How long a caller may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) async fn completions(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return ApiError::of(Code::InvalidRequest, "Send the request's body without an encoding.")
            .into_response();
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let header = |name| text(&parts.headers, name);
    let converse = Converse {
        principal,
        body,
        purpose: header("x-bulla-purpose"),
        conversation: header("x-bulla-conversation").map(Text::new),
        patient: header("x-bulla-patient").map(Text::new),
    };
    match house.converse(converse).await {
        Started::Ended(ended) => whole(ended),
        Started::Streamed(streamed) => streaming(streamed),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // A value that is not text names nothing that is configured, so it is refused as such.
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

pub(super) async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let collected = timeout(REQUEST_TIMEOUT, Limited::new(body, MAX_REQUEST_BYTES).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::of(Code::TooLarge, "A request has at most 4 MiB."))
        }
        Ok(Err(_)) | Err(_) => {
            Err(ApiError::of(Code::InvalidRequest, "The request did not arrive whole."))
        }
    }
}

/// An exchange that is over before anything was shown.
fn whole(ended: Ended) -> Response {
    let Ended { exchange, released } = ended;
    let Some(released) = released else {
        let mut response = ApiError::unrecorded().into_response();
        describe(response.headers_mut(), exchange, None);
        return response;
    };
    let (about, outcome, receipt) = *released;
    let mut response = if let Outcome::Answered(answer) = outcome {
        let mut response = (StatusCode::OK, answer.into_exposed()).into_response();
        no_store(response.headers_mut(), "application/json");
        response
    } else {
        // A stream's end is only told to those who got its beginning.
        ApiError::of_outcome(&outcome).unwrap_or_else(ApiError::unrecorded).into_response()
    };
    describe(response.headers_mut(), exchange, Some((&about, &receipt)));
    response
}

/// An answer that streams in.
fn streaming(streamed: Streamed) -> Response {
    let Streamed { about, receipt, steps } = streamed;
    let events = stream::unfold(Some(steps), |steps| async {
        let mut steps = steps?;
        match steps.recv().await {
            Some(Step::Window(window)) => Some((Ok::<_, Infallible>(frames(&window)), Some(steps))),
            Some(Step::Ended(ended)) => Some((Ok(last(&ended)), None)),
            // The task ended without a word. The stream breaks off without its end, which tells
            // the caller that it is not whole.
            None => None,
        }
    });
    let mut response = Response::new(Body::from_stream(events));
    no_store(response.headers_mut(), "text/event-stream");
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    describe(response.headers_mut(), about.exchange, Some((&about, &receipt)));
    response
}

fn frames(window: &Window) -> Bytes {
    let mut out = Vec::with_capacity(512);
    for frame in window.frames() {
        event(&mut out, frame.data.expose());
    }
    Bytes::from(out)
}

fn event(out: &mut Vec<u8>, data: &str) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// The last window, and how the stream ends: with `[DONE]` if it is whole, with an error and without
/// `[DONE]` if it is not.
fn last(ended: &Ended) -> Bytes {
    let Some(released) = &ended.released else {
        let mut out = Vec::new();
        event(&mut out, &ApiError::unrecorded().document());
        return Bytes::from(out);
    };
    let (_, outcome, _) = &**released;
    let mut out = Vec::new();
    if let Outcome::Streamed(window) | Outcome::UpstreamFailed(_, Some(window)) = outcome {
        out.extend_from_slice(&frames(window));
    }
    match ApiError::of_outcome(outcome) {
        None => event(&mut out, "[DONE]"),
        Some(error) => event(&mut out, &error.document()),
    }
    Bytes::from(out)
}
