//! Streamable HTTP: how a server of tools is spoken to.
//!
//! Every message is a request of its own. The server answers with one document, or with a stream of events
//! in which the answer comes last; what else it says there is not carried: notifications are dropped,
//! and what it asks is refused, because it was offered nothing.

use super::session::{Asking, Greeted, McpSession};
use super::{Method, STATELESS};
use crate::client::{Bounds, Providers, Wire, check_status, exchange, failure, trusting, within};
use crate::mcp::taken_apart;
use crate::sse;
use futures_util::StreamExt as _;
use gate::path::CoveredPath;
use gate::prompt::Answer;
use gate::rules::Tools;
use gate::shape::Json;
use gate::{Outbound, UpstreamFailure};
use phi::Text;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// The most that one answer may have, what comes before it included: twice what the gate takes.
const MAX_ANSWER_BYTES: usize = 2 * gate::stream::MAX_ANSWER_BYTES;

/// Requests that a server may make while it is asked. Each is refused in a request of our own, so that a
/// server must not be able to have many made.
const MAX_ASKED_BACK: usize = 16;

/// A word to the server beside a request: that the session begins or ends, that nobody waits any more.
const ASIDE: Bounds = Bounds { timeout: Duration::from_secs(5), bytes: 64 << 10 };

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// How a server is spoken to: where, and with which headers.
#[derive(Clone)]
pub(crate) struct Post {
    client: reqwest::Client,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    fn request(&self, method: reqwest::Method) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .request(method, &self.url)
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    fn message(&self, body: String) -> reqwest::RequestBuilder {
        self.request(reqwest::Method::POST).body(body)
    }

    fn with_session(&mut self, greeted: &Greeted) {
        self.headers.extend(greeted.id.clone().map(|id| (SESSION, id)));
        self.headers.push((VERSION, HeaderValue::from_static(greeted.version)));
    }
}

/// What a message of the server is.
enum Heard {
    /// The answer that is waited for.
    Answer(Result<Json, UpstreamFailure>),
    /// A request of its own, with its id as JSON.
    Asked { id: Text, ping: bool },
    /// Something that nobody waits for.
    Notified,
}

impl Providers {
    /// Asks a server of tools, once.
    pub(crate) async fn ask_tools(
        &self,
        outbound: Outbound,
        wire: &Wire,
        (asking, tools): (&Asking, &Tools),
    ) -> Result<Answer, UpstreamFailure> {
        let stateless = wire.login.is_stateless();
        let post = self.post(outbound.path(), wire, asking)?;
        *asking.posted.lock().unwrap_or_else(PoisonError::into_inner) = Some(post.clone());
        let request = post.message(outbound.body().expose().to_owned());
        let head = wire.patience.head;
        let over = Instant::now() + wire.patience.total;
        let response = within(head, over, UpstreamFailure::TimedOut, request.send())
            .await?
            .map_err(|error| failure(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            let kept = !stateless && asking.session.greeted().is_some_and(|it| it.id.is_some());
            if kept {
                asking.session.end();
            }
            let what = if kept { "session_not_found" } else { "method_not_found" };
            return Err(UpstreamFailure::Rejected(Some(what)));
        }
        check_status(&response)?;
        let session = response.headers().get(SESSION).cloned();
        // A server says where it is before its tool has begun, and then is silent until the tool is done.
        let hears = hear(response, &post, asking.id);
        let (result, received) = within(head, over, UpstreamFailure::Stalled, hears).await??;
        if asking.method == Method::Initialize {
            greet(asking, &result, session.as_ref(), post).await?;
        }
        let (shape, parts) = taken_apart(asking, result, tools)?;
        Ok(Answer { shape, parts, received, usage: None, upstream_request: None })
    }

    fn post(
        &self,
        path: &CoveredPath,
        wire: &Wire,
        asking: &Asking,
    ) -> Result<Post, UpstreamFailure> {
        let endpoint = path.endpoint();
        let connect = wire.patience.connect;
        let client =
            self.client_within(endpoint, &trusting(wire.authority_pem.clone()), connect)?;
        let headers = wire.login.of_tools()?;
        let mut post = Post { client, url: endpoint.to_string(), headers };
        if wire.login.is_stateless() {
            post.headers.push((VERSION, HeaderValue::from_static(STATELESS)));
            post.headers.push((METHOD, HeaderValue::from_static(asking.method.as_str())));
            if asking.method == Method::CallTool {
                // A tool that may be called has a name of plain letters, out of the governed file.
                let name = HeaderValue::from_str(path.model());
                post.headers.push((NAME, name.map_err(|_| UpstreamFailure::Garbage)?));
            }
        } else if asking.method != Method::Initialize {
            let greeted = asking.session.greeted();
            let gone = UpstreamFailure::Rejected(Some("session_not_found"));
            post.with_session(greeted.ok_or(gone)?);
        }
        Ok(post)
    }

    /// Tells the server that nobody waits for the answer any more. Where each request stands alone, its
    /// connection's end says so.
    pub(crate) async fn take_back(&self, asking: &Asking) {
        let posted = asking.posted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(post) = posted else { return };
        if asking.session.greeted().is_none() || asking.method == Method::Initialize {
            return;
        }
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{}}}}}"#,
            asking.id
        );
        // The exchange is over whether or not the server hears of it.
        drop(exchange(post.message(body), ASIDE).await);
    }

    /// Ends a session with a server whose path is covered at this moment.
    pub async fn end_tools(&self, path: &CoveredPath, wire: &Wire, session: &McpSession) {
        let Some(greeted) = session.greeted().filter(|it| it.id.is_some()) else { return };
        let connect = wire.patience.connect;
        let trusted = trusting(wire.authority_pem.clone());
        let client = self.client_within(path.endpoint(), &trusted, connect);
        let (Ok(client), Ok(headers)) = (client, wire.login.of_tools()) else { return };
        let mut post = Post { client, url: path.endpoint().to_string(), headers };
        post.with_session(greeted);
        session.end();
        // A server that does not end its sessions forgets them by itself.
        drop(exchange(post.request(reqwest::Method::DELETE), ASIDE).await);
    }
}

/// Notes what the server agreed to, and tells it that the session begins.
async fn greet(
    asking: &Asking,
    result: &Json,
    session: Option<&HeaderValue>,
    mut post: Post,
) -> Result<(), UpstreamFailure> {
    let version = result.member("protocolVersion").and_then(Json::as_text).map_or("", Text::expose);
    if !asking.session.greet(session, version) {
        return Err(UpstreamFailure::Garbage);
    }
    let greeted = asking.session.greeted().ok_or(UpstreamFailure::Garbage)?;
    post.with_session(greeted);
    let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let (status, _) = exchange(post.message(body.to_owned()), ASIDE).await?;
    if (200..300).contains(&status) { Ok(()) } else { Err(UpstreamFailure::Garbage) }
}

/// Waits for the answer to the request `id`, and returns its result and the whole message.
async fn hear(response: Response, post: &Post, id: u64) -> Result<(Json, Text), UpstreamFailure> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_owned();
    if kind.eq_ignore_ascii_case("text/event-stream") {
        return hear_stream(response, post, id).await;
    }
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(UpstreamFailure::Garbage);
    }
    let mut pieces = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| UpstreamFailure::Cut)?;
        if body.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(UpstreamFailure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    answer(Text::new(String::from_utf8(body).map_err(|_| UpstreamFailure::Garbage)?), id)
}

async fn hear_stream(
    response: Response,
    post: &Post,
    id: u64,
) -> Result<(Json, Text), UpstreamFailure> {
    let mut pieces = response.bytes_stream();
    let mut decoder = sse::Decoder::default();
    let (mut bytes, mut asked_back) = (0, 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| UpstreamFailure::Cut)?;
        bytes += piece.len();
        if bytes > MAX_ANSWER_BYTES {
            return Err(UpstreamFailure::TooLarge);
        }
        for data in decoder.feed(&piece).map_err(|_| UpstreamFailure::Garbage)? {
            // An event without data only says where a stream could be taken up again.
            if data.is_empty() {
                continue;
            }
            match heard(&data, id)? {
                Heard::Answer(answer) => return answer.map(|result| (result, data)),
                Heard::Asked { id, ping } => {
                    asked_back += 1;
                    if asked_back > MAX_ASKED_BACK {
                        return Err(UpstreamFailure::Garbage);
                    }
                    // A server that does not hear the refusal waits for its own time to be up.
                    drop(exchange(post.message(refusal(&id, ping)), ASIDE).await);
                }
                Heard::Notified => {}
            }
        }
    }
    Err(UpstreamFailure::Cut)
}

/// Takes the message apart in which a server answers at once.
pub(crate) fn whole(
    asking: &Asking,
    tools: &Tools,
    received: Text,
) -> Result<Answer, UpstreamFailure> {
    let (result, received) = answer(received, asking.id)?;
    let (shape, parts) = taken_apart(asking, result, tools)?;
    Ok(Answer { shape, parts, received, usage: None, upstream_request: None })
}

/// The result in a message that must be the answer to the request `id`, and the whole message.
fn answer(received: Text, id: u64) -> Result<(Json, Text), UpstreamFailure> {
    match heard(&received, id)? {
        Heard::Answer(answer) => answer.map(|result| (result, received)),
        Heard::Asked { .. } | Heard::Notified => Err(UpstreamFailure::Garbage),
    }
}

/// What a server is told that asks something. It gets its own id back, and nothing of anybody's.
fn refusal(id: &Text, ping: bool) -> String {
    let said = if ping {
        r#""result":{}"#
    } else {
        r#""error":{"code":-32601,"message":"This client offers nothing of the kind."}"#
    };
    format!(r#"{{"jsonrpc":"2.0","id":{},{said}}}"#, id.expose())
}

/// Says what a message is. An answer to another request than ours is none that we could believe.
fn heard(message: &Text, id: u64) -> Result<Heard, UpstreamFailure> {
    /// The longest id that a server may give its request.
    const MAX_ID_BYTES: usize = 128;
    let garbage = UpstreamFailure::Garbage;
    let json = Json::parse(message.expose().as_bytes()).map_err(|_| garbage)?;
    if json.member("jsonrpc").and_then(Json::as_text).map(Text::expose) != Some("2.0") {
        return Err(garbage);
    }
    let theirs = json.member("id");
    if let Some(method) = json.member("method") {
        let ping = method.as_text().map(Text::expose) == Some("ping");
        return match theirs {
            None => Ok(Heard::Notified),
            Some(Json::Text(_) | Json::Number(_)) => {
                let id = theirs.map(Json::to_text).filter(|id| id.len() <= MAX_ID_BYTES);
                Ok(Heard::Asked { id: id.ok_or(garbage)?, ping })
            }
            Some(Json::Null | Json::Bool(_) | Json::List(_) | Json::Map(_)) => Err(garbage),
        };
    }
    let ours = theirs.and_then(Json::as_u64) == Some(id);
    if let Some(error) = json.member("error") {
        // A server that could not read the id says that there is none.
        let ours = ours || matches!(theirs, None | Some(Json::Null));
        return if ours { Ok(Heard::Answer(Err(reported(error)))) } else { Err(garbage) };
    }
    if !ours {
        return Err(garbage);
    }
    let Json::Map(members) = json else { return Err(garbage) };
    let result = members.into_iter().find(|(name, _)| name.expose() == "result");
    result.map(|(_, result)| Heard::Answer(Ok(result))).ok_or(garbage)
}

/// What of an error is kept: its number, when it is one of JSON-RPC's own. Its words may repeat what was
/// asked.
fn reported(error: &Json) -> UpstreamFailure {
    let code = match error.member("code") {
        Some(Json::Number(number)) => number.as_i64(),
        Some(Json::Null | Json::Bool(_) | Json::Text(_) | Json::List(_) | Json::Map(_)) | None => {
            None
        }
    };
    match code {
        Some(-32602) => UpstreamFailure::Rejected(Some("invalid_params")),
        Some(-32601) => UpstreamFailure::Rejected(Some("method_not_found")),
        Some(-32600) => UpstreamFailure::Rejected(None),
        Some(_) | None => UpstreamFailure::Reported,
    }
}
