//! The HTTP side: three routes, the queue's door, and server-sent events.
//!
//! **Invariant:** this file logs nothing. Requests and replies hold PHI.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, Receiver};

use crate::engine::{Card, Event, Job};
use crate::wire::{Ask, Envelope, Problem, Usage};

/// Largest request body. The longest context that the command line accepts is
/// 131,072 tokens, at most about 8 bytes of escaped JSON each, with room to spare.
const BODY_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// How long the body of a request may take to arrive over loopback.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Events of a job besides its text: started, two rests held back, done.
const EVENTS_BESIDE_TEXT: u32 = 4;

/// What the routes share.
pub(crate) struct App {
    name: String,
    jobs: SyncSender<Job>,
    ready: Arc<OnceLock<Card>>,
    started: u64,
    counter: AtomicU64,
}

impl App {
    /// `started` is the time of start in seconds since 1970.
    pub(crate) fn new(
        name: String,
        jobs: SyncSender<Job>,
        ready: Arc<OnceLock<Card>>,
        started: u64,
    ) -> Arc<Self> {
        Arc::new(Self { name, jobs, ready, started, counter: AtomicU64::new(0) })
    }

    fn envelope(&self, include_usage: bool) -> Envelope {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        Envelope {
            id: format!("chatcmpl-{:x}-{n:x}", self.started),
            created: self.started,
            model: self.name.clone(),
            include_usage,
        }
    }
}

/// Serves until the listener fails, which in practice is until the process ends.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) -> std::io::Result<()> {
    // With Nagle's algorithm on, the second small event of a stream waits 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router(app)).await
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(complete))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "unknown_url", "no such route") })
        .method_not_allowed_fallback(|| async {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "no such method here")
        })
        .layer(middleware::from_fn(only_local_programs))
        .with_state(app)
}

/// Refuses web pages: a page in this machine's browser could otherwise reach
/// the model, directly or by rebinding a name of its own to loopback.
async fn only_local_programs(request: Request, next: Next) -> Response {
    if is_web_page(request.headers()) {
        return refuse(StatusCode::FORBIDDEN, "not_local", "only programs on this machine may ask");
    }
    next.run(request).await
}

fn is_web_page(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = literal.eq_ignore_ascii_case("localhost")
        || literal.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !loopback || headers.contains_key(ORIGIN)
}

async fn health(State(app): State<Arc<App>>) -> Response {
    match app.ready.get() {
        Some(_) => reply(StatusCode::OK, &json!({ "status": "ok" })),
        None => reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "loading" })),
    }
}

async fn models(State(app): State<Arc<App>>) -> Response {
    let mut model = json!({
        "id": app.name, "object": "model", "created": app.started, "owned_by": "local",
    });
    if let (Some(card), Some(fields)) = (app.ready.get(), model.as_object_mut()) {
        fields.insert("context_window".into(), json!(card.context));
    }
    reply(StatusCode::OK, &json!({ "object": "list", "data": [model] }))
}

async fn complete(State(app): State<Arc<App>>, request: Request) -> Response {
    match accept(&app, request).await {
        Ok((answer, true)) => answer.stream(),
        Ok((answer, false)) => answer.collect().await,
        Err(problem) => problem.into_response(),
    }
}

/// Reads the request, queues it, and waits until the model has read the prompt.
async fn accept(app: &App, request: Request) -> Result<(Answer, bool), Problem> {
    let Some(card) = app.ready.get() else {
        let message = "the model is still loading; ask again soon";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "model_loading", message));
    };
    let body = to_bytes(request.into_body(), BODY_BYTES_LIMIT);
    let body = match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let message = format!("the body is cut off or larger than {BODY_BYTES_LIMIT} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
        }
        Err(_) => {
            let message = "the body did not arrive in time";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message));
        }
    };
    let ask = Ask::parse(&body)?;
    if ask.model != app.name {
        let message = format!("this server has only the model `{}`", app.name);
        let problem = Problem::new(StatusCode::NOT_FOUND, "model_not_found", message);
        return Err(Problem { param: Some("model"), ..problem });
    }
    // One event a word at most, so the engine never waits for a slow reader.
    let words = ask.max_words.map_or(card.context, |words| words.min(card.context));
    let room = words.saturating_add(EVENTS_BESIDE_TEXT);
    let (sender, events) = mpsc::channel(usize::try_from(room).unwrap_or(usize::MAX));
    let job = Job {
        messages: ask.messages,
        sampling: ask.sampling,
        max_words: ask.max_words,
        stops: ask.stops,
        events: sender,
    };
    app.jobs.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => {
            let message = "the queue of this model server is full; ask again later";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
        }
        TrySendError::Disconnected(_) => failed(),
    })?;
    let answer = Answer::begin(app.envelope(ask.include_usage), events).await?;
    Ok((answer, ask.stream))
}

/// An answer whose prompt the model has accepted.
struct Answer {
    envelope: Envelope,
    events: Receiver<Event>,
    prompt_words: u32,
}

impl Answer {
    async fn begin(envelope: Envelope, mut events: Receiver<Event>) -> Result<Self, Problem> {
        match events.recv().await {
            Some(Event::Started { prompt_words }) => Ok(Self { envelope, events, prompt_words }),
            Some(Event::Refused(refusal)) => Err(refusal.into()),
            Some(Event::Text(_) | Event::Done { .. } | Event::Failed) | None => Err(failed()),
        }
    }

    async fn collect(mut self) -> Response {
        let mut text = String::new();
        loop {
            match self.events.recv().await {
                Some(Event::Text(piece)) => text.push_str(&piece),
                Some(Event::Done { finish, answer_words }) => {
                    let usage = self.usage(answer_words);
                    return reply(StatusCode::OK, &self.envelope.completion(&text, finish, usage));
                }
                Some(Event::Refused(_) | Event::Started { .. } | Event::Failed) | None => {
                    return failed().into_response();
                }
            }
        }
    }

    fn usage(&self, answer: u32) -> Usage {
        Usage { prompt: self.prompt_words, answer }
    }

    fn stream(self) -> Response {
        let opening = event(&self.envelope.opening());
        let state = Flow { answer: self, ready: VecDeque::from([opening]), open: true };
        let events = stream::unfold(state, |mut flow| async move {
            let next = flow.next().await?;
            Some((Ok::<_, std::convert::Infallible>(next), flow))
        });
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
        (headers, Body::from_stream(events)).into_response()
    }
}

/// An answer on its way as server-sent events. Dropping it tells the engine
/// that the client has gone.
struct Flow {
    answer: Answer,
    ready: VecDeque<String>,
    open: bool,
}

impl Flow {
    async fn next(&mut self) -> Option<String> {
        if let Some(next) = self.ready.pop_front() {
            return Some(next);
        }
        if !self.open {
            return None;
        }
        match self.answer.events.recv().await {
            Some(Event::Text(piece)) => Some(event(&self.answer.envelope.piece(&piece))),
            Some(Event::Done { finish, answer_words }) => {
                self.open = false;
                if self.answer.envelope.include_usage {
                    let usage = self.answer.usage(answer_words);
                    self.ready.push_back(event(&self.answer.envelope.counts(usage)));
                }
                self.ready.push_back("data: [DONE]\n\n".into());
                Some(event(&self.answer.envelope.ending(finish)))
            }
            // No `[DONE]` follows, so that nobody takes the part for the whole.
            Some(Event::Refused(_) | Event::Started { .. } | Event::Failed) | None => {
                self.open = false;
                Some(event(&failed().body()))
            }
        }
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn failed() -> Problem {
    let message = "the model failed on this request";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "inference_failed", message)
}

fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    Problem::new(status, code, message).into_response()
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        reply(self.status, &self.body())
    }
}

#[cfg(test)]
mod tests;
