//! Asking a model, in every dialect.

use super::answer::{describe, no_store};
use super::body;
use super::error::{ApiError, Family};
use super::frame::Framing;
use super::limits::{self, OfRoute};
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use gate::rules::Api;
use gate::{Code, Outcome};
use phi::Text;
use providers::Addressed;
use service::{
    Begun, Converse, Earlier, Ended, House, Limited, Principal, Started, Step, Streamed,
    TraceParent,
};
use std::convert::Infallible;
use std::sync::Arc;

type Asked = (State<Arc<House>>, Extension<Principal>, Request);

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident = $api:ident;)*) => {
        $($(#[$doc])*
        pub(super) async fn $name(
            State(house): State<Arc<House>>,
            Extension(principal): Extension<Principal>,
            request: Request,
        ) -> Response {
            let asked = (State(house), Extension(principal), request);
            ask(Api::$api, Addressed::default(), asked).await
        })*
    };
}

handlers! {
    /// `POST /v1/chat/completions`
    chat_completions = ChatCompletions;
    /// `POST /v1/completions`
    completions = Completions;
    /// `POST /v1/embeddings`
    embeddings = Embeddings;
    /// `POST /v1/responses`
    responses = Responses;
    /// `POST /v1/messages`
    messages = Messages;
    /// `POST /v1/messages/count_tokens`
    count_tokens = CountTokens;
}

/// `POST /openai/deployments/{deployment}/...`: the deployment is the model, whatever the body says.
pub(super) async fn deployment(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path((deployment, below))) = path else { return ApiError::not_found().into_response() };
    let api = match below.as_str() {
        "chat/completions" => Api::ChatCompletions,
        "completions" => Api::Completions,
        "embeddings" => Api::Embeddings,
        _ => return ApiError::not_found().into_response(),
    };
    let addressed = Addressed { model: Some(Text::new(deployment)), ..Addressed::default() };
    ask(api, addressed, (State(house), Extension(principal), request)).await
}

/// `POST /model/{model}/converse` and `/converse-stream`.
pub(super) async fn converse(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path((model, how))) = path else {
        return ApiError::not_found().respond(Family::Bedrock);
    };
    let stream = match how.as_str() {
        "converse" => false,
        "converse-stream" => true,
        _ => return ApiError::not_found().respond(Family::Bedrock),
    };
    let addressed = Addressed { model: Some(Text::new(model)), stream, ..Addressed::default() };
    ask(Api::Converse, addressed, (State(house), Extension(principal), request)).await
}

/// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
pub(super) async fn generate(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path(call)) = path else { return ApiError::not_found().respond(Family::Google) };
    let (model, stream) = match call.rsplit_once(':') {
        Some((model, "generateContent")) => (model, false),
        // Only as server-sent events: the other form is one JSON array that no client streams from.
        Some((model, "streamGenerateContent")) => {
            let asked = request.uri().query().unwrap_or_default();
            if !asked.split('&').any(|pair| pair == "alt=sse") {
                let message =
                    "Ask for a stream as server-sent events: add ?alt=sse to the address.";
                return ApiError::of(Code::InvalidRequest, message).respond(Family::Google);
            }
            (model, true)
        }
        _ => return ApiError::not_found().respond(Family::Google),
    };
    let addressed = Addressed { model: Some(Text::from(model)), stream, ..Addressed::default() };
    ask(Api::GenerateContent, addressed, (State(house), Extension(principal), request)).await
}

/// Whose clients read errors of this interface.
pub(super) const fn family(api: Api) -> Family {
    match api {
        Api::ChatCompletions | Api::Completions | Api::Embeddings | Api::Responses => {
            Family::OpenAi
        }
        Api::Messages | Api::CountTokens => Family::Anthropic,
        Api::Converse => Family::Bedrock,
        Api::GenerateContent => Family::Google,
        Api::Mcp => Family::Mcp,
    }
}

async fn ask(api: Api, addressed: Addressed, asked: Asked) -> Response {
    let (State(house), Extension(principal), request) = asked;
    let family = family(api);
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return ApiError::encoded().respond(family);
    }
    let (body, place) = match body::read(&house, &principal, body).await {
        Ok(read) => read,
        Err(error) => return error.respond(family),
    };
    let header = |name| text(&parts.headers, name);
    let converse = Converse {
        principal,
        api,
        addressed,
        body,
        purpose: header("x-bulla-purpose"),
        conversation: header("x-bulla-conversation").map(Text::new),
        patient: header("x-bulla-patient").map(Text::new),
        justification: header("x-bulla-justification").map(Text::new),
        traceparent: header("traceparent").and_then(|text| TraceParent::parse(&text)),
        earlier: Earlier::default(),
    };
    match house.converse(converse, place).await {
        Started::Ended(ended) => whole(ended, family),
        Started::Streamed(streamed) => streaming(streamed, Framing::of(api)),
        Started::Begun(begun) => running(*begun),
        Started::Limited(limited) => limited_by(*limited, family),
    }
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // A value that is not text names nothing that is configured, so it is refused as such.
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A request that a limit refused. Unless it was only counted, it is an exchange that is over.
fn limited_by(limited: Limited, family: Family) -> Response {
    let Limited { over, route, ended } = limited;
    let mut response = match &ended {
        Some(Ended { released: None, .. }) => ApiError::unrecorded().respond(family),
        Some(Ended { released: Some(_), .. }) | None => limits::refused(&over, family),
    };
    if let Some(Ended { exchange, released }) = ended {
        let recorded = released.as_ref().map(|it| (&it.0, &it.2));
        describe(response.headers_mut(), exchange, recorded);
    }
    response.extensions_mut().insert(OfRoute(route));
    response
}

/// An exchange that is over before anything was shown.
fn whole(ended: Ended, family: Family) -> Response {
    let Ended { exchange, released } = ended;
    let Some(released) = released else {
        let mut response = ApiError::unrecorded().of_exchange(exchange).respond(family);
        describe(response.headers_mut(), exchange, None);
        return response;
    };
    let (about, outcome, receipt) = *released;
    let mut response = if let Outcome::Answered(answer) | Outcome::Cached(answer) = outcome {
        let mut response = (StatusCode::OK, answer.into_exposed()).into_response();
        no_store(response.headers_mut(), "application/json");
        response
    } else {
        // A stream's end is only told to those who got its beginning.
        let error = ApiError::of_outcome(&outcome).unwrap_or_else(ApiError::unrecorded);
        error.of_exchange(exchange).respond(family)
    };
    describe(response.headers_mut(), exchange, Some((&about, &receipt)));
    response.extensions_mut().insert(OfRoute(about.route));
    response
}

/// A response that runs in the background.
fn running(begun: Begun) -> Response {
    let Begun { about, receipt, response } = begun;
    let mut response = (StatusCode::OK, response.into_exposed()).into_response();
    no_store(response.headers_mut(), "application/json");
    describe(response.headers_mut(), about.exchange, Some((&about, &receipt)));
    response.extensions_mut().insert(OfRoute(about.route));
    response
}

/// An answer that streams in.
fn streaming(streamed: Streamed, framing: Framing) -> Response {
    let Streamed { about, receipt, steps } = streamed;
    let events = stream::unfold(Some(steps), move |steps| async move {
        let mut steps = steps?;
        match steps.recv().await {
            Some(Step::Window(window)) => {
                Some((Ok::<_, Infallible>(framing.window(&window)), Some(steps)))
            }
            Some(Step::Ended(ended)) => Some((Ok(framing.last(&ended)), None)),
            // The task ended without a word. The stream breaks off without its end, which tells
            // the caller that it is not whole.
            None => None,
        }
    });
    let mut response = Response::new(Body::from_stream(events));
    no_store(response.headers_mut(), framing.content_type());
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    describe(response.headers_mut(), about.exchange, Some((&about, &receipt)));
    response.extensions_mut().insert(OfRoute(about.route));
    response
}
