//! The programmatic API: the dialects in which models are asked, the log for auditors, and the server's
//! own health.

mod answer;
mod ask;
mod batches;
mod body;
mod error;
mod files;
mod form;
mod frame;
mod health;
mod limits;
mod log;
mod mcp;
mod metrics;
mod openapi;
mod responses;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};
use error::ApiError;
pub use error::Family;
use gate::rules::Api;
pub(crate) use metrics::Peer;
pub use openapi::DOCUMENT;
use service::{House, Right};
use std::sync::Arc;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone who reaches the port. Such a route shows nothing about the organisation.
    Public,
    /// Whoever has a caller's API key in force.
    Caller,
    /// Whoever has an auditor's API key in force, and is one of the readers that the configuration names.
    Auditor,
    /// Whoever asks from this machine itself, and whoever has a monitor's API key in force.
    Monitor,
}

/// What an operation takes as its body.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// No body.
    Nothing,
    /// A request of this interface.
    Request(Api),
    /// What is sought in the log.
    Search,
    /// A form with a file.
    File,
    /// What a batch is made of.
    Batch,
    /// A message to a server of tools.
    Message,
}

/// What an operation answers with when it does what was asked.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// A JSON document.
    Document,
    /// A JSON document, or server-sent events when the request asks for a stream.
    Answer,
    /// A stream of this type.
    Events(&'static str),
    /// A signed note.
    Note,
    /// Metrics as text.
    Metrics,
    /// A tile of the log.
    Tile,
    /// The bytes of a file.
    Bytes,
    /// A JSON document, with another status when a control cannot run.
    Ready,
    /// No body.
    Nothing,
}

/// One operation of a route, as the `OpenAPI` document shows it. A route with a hole that the document
/// cannot write shows one for each thing that may stand there.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// The path, with holes as `OpenAPI` writes them.
    pub path: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its body.
    pub takes: Takes,
    /// Its answer.
    pub gives: Gives,
}

/// One route: declared once, so that the router, the `OpenAPI` document and the test of access read the
/// same table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Whose clients read its errors.
    pub family: Family,
    /// What the `OpenAPI` document shows of it.
    pub shows: &'static [Shown],
    handler: fn() -> MethodRouter<Arc<House>>,
}

/// What asks a model.
const fn asks(path: &'static str, summary: &'static str, api: Api, gives: Gives) -> Shown {
    Shown { path, summary, takes: Takes::Request(api), gives }
}

/// What reads.
const fn reads(path: &'static str, summary: &'static str, gives: Gives) -> Shown {
    Shown { path, summary, takes: Takes::Nothing, gives }
}

/// The content type of a stream of Bedrock.
const EVENTSTREAM: &str = "application/vnd.amazon.eventstream";

macro_rules! route {
    ($method:ident $path:literal, $access:ident, $family:ident, $handler:path, $($shown:expr),+ $(,)?) => {
        Route {
            method: route!(@name $method),
            path: $path,
            access: Access::$access,
            family: Family::$family,
            shows: &[$($shown),+],
            handler: || $method($handler),
        }
    };
    (@name get) => { "GET" };
    (@name post) => { "POST" };
    (@name delete) => { "DELETE" };
    // The document shows the path as it is.
    (asks $path:literal, $family:ident, $handler:path, $summary:literal, $api:ident, $gives:ident) => {
        route!(post $path, Caller, $family, $handler,
            asks($path, $summary, Api::$api, Gives::$gives))
    };
    (reads $path:literal, $access:ident, $handler:path, $summary:literal, $gives:ident) => {
        route!(get $path, $access, OpenAi, $handler, reads($path, $summary, Gives::$gives))
    };
}

/// Every route. What is not here does not exist: there is no pass-through.
pub const ROUTES: &[Route] = &[
    route!(asks "/v1/chat/completions", OpenAi, ask::chat_completions,
        "Chat completions, as OpenAI has them", ChatCompletions, Answer),
    route!(asks "/v1/completions", OpenAi, ask::completions,
        "Completions of one text, as OpenAI has them", Completions, Answer),
    route!(asks "/v1/embeddings", OpenAi, ask::embeddings,
        "Embeddings, as OpenAI has them", Embeddings, Document),
    route!(asks "/v1/responses", OpenAi, ask::responses,
        "Responses, as OpenAI has them", Responses, Answer),
    route!(asks "/v1/messages", Anthropic, ask::messages,
        "Messages, as Anthropic has them", Messages, Answer),
    route!(asks "/v1/messages/count_tokens", Anthropic, ask::count_tokens,
        "The count of a prompt's tokens, as Anthropic has it", CountTokens, Document),
    route!(asks "/openai/v1/chat/completions", OpenAi, ask::chat_completions,
        "Chat completions at Azure's address", ChatCompletions, Answer),
    route!(asks "/openai/v1/completions", OpenAi, ask::completions,
        "Completions of one text at Azure's address", Completions, Answer),
    route!(asks "/openai/v1/embeddings", OpenAi, ask::embeddings,
        "Embeddings at Azure's address", Embeddings, Document),
    route!(asks "/openai/v1/responses", OpenAi, ask::responses,
        "Responses at Azure's address", Responses, Answer),
    // Azure's older address has the deployment in the path, but for responses.
    route!(asks "/openai/responses", OpenAi, ask::responses,
        "Responses at Azure's older address", Responses, Answer),
    route!(get "/v1/responses/{response}", Caller, OpenAi, responses::retrieve,
        reads("/v1/responses/{response}", "A response that was answered before", Gives::Answer)),
    route!(delete "/v1/responses/{response}", Caller, OpenAi, responses::withdraw,
        reads("/v1/responses/{response}", "Withdraws a response", Gives::Document)),
    route!(get "/v1/responses/{response}/input_items", Caller, OpenAi, responses::input_items,
        reads("/v1/responses/{response}/input_items", "What a response is the answer to",
            Gives::Document)),
    route!(post "/v1/responses/{response}/cancel", Caller, OpenAi, responses::cancel,
        reads("/v1/responses/{response}/cancel", "Ends a response that runs in the background",
            Gives::Document)),
    route!(get "/openai/v1/responses/{response}", Caller, OpenAi, responses::retrieve,
        reads("/openai/v1/responses/{response}", "A response that was answered before at Azure's address", Gives::Answer)),
    route!(delete "/openai/v1/responses/{response}", Caller, OpenAi, responses::withdraw,
        reads("/openai/v1/responses/{response}", "Withdraws a response at Azure's address", Gives::Document)),
    route!(get "/openai/v1/responses/{response}/input_items", Caller, OpenAi, responses::input_items,
        reads("/openai/v1/responses/{response}/input_items", "What a response is the answer to at Azure's address",
            Gives::Document)),
    route!(post "/openai/v1/responses/{response}/cancel", Caller, OpenAi, responses::cancel,
        reads("/openai/v1/responses/{response}/cancel", "Ends a response that runs in the background at Azure's address",
            Gives::Document)),
    route!(get "/openai/responses/{response}", Caller, OpenAi, responses::retrieve,
        reads("/openai/responses/{response}", "A response that was answered before at Azure's older address", Gives::Answer)),
    route!(delete "/openai/responses/{response}", Caller, OpenAi, responses::withdraw,
        reads("/openai/responses/{response}", "Withdraws a response at Azure's older address", Gives::Document)),
    route!(get "/openai/responses/{response}/input_items", Caller, OpenAi, responses::input_items,
        reads("/openai/responses/{response}/input_items", "What a response is the answer to at Azure's older address",
            Gives::Document)),
    route!(post "/openai/responses/{response}/cancel", Caller, OpenAi, responses::cancel,
        reads("/openai/responses/{response}/cancel", "Ends a response that runs in the background at Azure's older address",
            Gives::Document)),
    route!(post "/openai/deployments/{deployment}/{*below}", Caller, OpenAi, ask::deployment,
        asks("/openai/deployments/{deployment}/chat/completions",
            "Chat completions of a deployment of Azure's", Api::ChatCompletions, Gives::Answer),
        asks("/openai/deployments/{deployment}/completions",
            "Completions of a deployment of Azure's", Api::Completions, Gives::Answer),
        asks("/openai/deployments/{deployment}/embeddings",
            "Embeddings of a deployment of Azure's", Api::Embeddings, Gives::Document)),
    route!(post "/model/{model}/{how}", Caller, Bedrock, ask::converse,
        asks("/model/{model}/converse", "Converse, as Amazon Bedrock has it",
            Api::Converse, Gives::Document),
        asks("/model/{model}/converse-stream", "ConverseStream, as Amazon Bedrock has it",
            Api::Converse, Gives::Events(EVENTSTREAM))),
    route!(post "/v1beta/models/{call}", Caller, Google, ask::generate,
        asks("/v1beta/models/{model}:generateContent", "generateContent, as Gemini has it",
            Api::GenerateContent, Gives::Document),
        asks("/v1beta/models/{model}:streamGenerateContent",
            "streamGenerateContent, as Gemini has it", Api::GenerateContent,
            Gives::Events("text/event-stream"))),
    // The address of a model of OpenAI's and Anthropic's is that of a call of Gemini's.
    route!(post "/v1/models/{*model}", Caller, Google, ask::generate,
        asks("/v1/models/{model}:generateContent", "generateContent, as Gemini has it",
            Api::GenerateContent, Gives::Document),
        asks("/v1/models/{model}:streamGenerateContent",
            "streamGenerateContent, as Gemini has it", Api::GenerateContent,
            Gives::Events("text/event-stream"))),
    route!(post "/v1/files", Caller, OpenAi, files::add, Shown {
        path: "/v1/files",
        summary: "Brings a file of requests for a batch, as OpenAI has it",
        takes: Takes::File,
        gives: Gives::Document,
    }),
    route!(reads "/v1/files", Caller, files::list, "The caller's files", Document),
    route!(reads "/v1/files/{file}", Caller, files::one, "One of the caller's files", Document),
    route!(delete "/v1/files/{file}", Caller, OpenAi, files::remove,
        reads("/v1/files/{file}", "Deletes a file", Gives::Document)),
    route!(reads "/v1/files/{file}/content", Caller, files::content,
        "What is in a file: requests, or the answers of a batch", Bytes),
    route!(post "/v1/batches", Caller, OpenAi, batches::add, Shown {
        path: "/v1/batches",
        summary: "Makes a batch of a file, as OpenAI has it",
        takes: Takes::Batch,
        gives: Gives::Document,
    }),
    route!(reads "/v1/batches", Caller, batches::list, "The caller's batches", Document),
    route!(reads "/v1/batches/{batch}", Caller, batches::one, "One of the caller's batches", Document),
    route!(post "/v1/batches/{batch}/cancel", Caller, OpenAi, batches::cancel,
        reads("/v1/batches/{batch}/cancel", "Stops a batch", Gives::Document)),
    route!(reads "/v1/models", Caller, health::models,
        "The models that may be asked", Document),
    route!(get "/v1/models/{*model}", Caller, OpenAi, health::model,
        reads("/v1/models/{model}", "One of the models", Gives::Document)),
    // There is no GET: a server of tools says nothing that nobody asked for.
    route!(post "/mcp/{server}", Caller, Mcp, mcp::message, Shown {
        path: "/mcp/{server}",
        summary: "A message to a server of tools, as the Model Context Protocol has it",
        takes: Takes::Message,
        gives: Gives::Document,
    }),
    route!(delete "/mcp/{server}", Caller, Mcp, mcp::end,
        reads("/mcp/{server}", "Ends a session with a server of tools", Gives::Nothing)),
    route!(reads "/log/checkpoint", Auditor, log::checkpoint,
        "The last checkpoint of the log, a signed note", Note),
    route!(get "/log/tile/{*tile}", Auditor, OpenAi, log::tile,
        reads("/log/tile/{level}/{number}", "A tile of the log, as C2SP tlog-tiles has it",
            Gives::Tile)),
    route!(post "/log/search", Auditor, OpenAi, log::search, Shown {
        path: "/log/search",
        summary: "The records of the log that fit",
        takes: Takes::Search,
        gives: Gives::Document,
    }),
    route!(reads "/healthz", Public, health::alive, "Whether the process answers", Document),
    route!(reads "/readyz", Public, health::ready, "Whether every control runs", Ready),
    route!(reads "/metrics", Monitor, metrics::metrics, "What is counted here, for Prometheus", Metrics),
    route!(reads "/openapi.json", Public, openapi::openapi, "This document", Document),
];

/// The router over [`ROUTES`].
pub fn router(house: &Arc<House>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let mut handler = (route.handler)();
        let right = match route.access {
            Access::Public => None,
            Access::Caller => Some(Right::Ask),
            Access::Auditor => Some(Right::ReadLog),
            Access::Monitor => Some(Right::ReadFigures),
        };
        if let Some(right) = right {
            let state = (Arc::clone(house), right, route.family);
            handler = handler.route_layer(from_fn_with_state(state, authenticate));
        }
        router = router.route(route.path, handler);
    }
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .with_state(Arc::clone(house))
}

async fn unknown_route(uri: Uri) -> Response {
    ApiError::not_found().respond(Family::of_path(uri.path()))
}

async fn unknown_method(uri: Uri) -> Response {
    ApiError::wrong_method().respond(Family::of_path(uri.path()))
}

/// Lets a request with an API key in force that is for this through, with its principal.
async fn authenticate(
    State((house, right, family)): State<(Arc<House>, Right, Family)>,
    mut request: Request,
    next: Next,
) -> Response {
    let monitor = right == Right::ReadFigures;
    if monitor
        && shown(request.headers()).is_none()
        && metrics::is_local(request.extensions().get(), request.headers())
    {
        return next.run(request).await;
    }
    // Who shows no key is refused, and counted, as who shows a wrong one.
    let authenticated = house.authenticate(shown(request.headers()).unwrap_or_default());
    match authenticated {
        Ok(principal) => {
            if let Err(denied) = house.permit(&principal, right) {
                return ApiError::denied(denied.code, right).respond(family);
            }
            request.extensions_mut().insert(principal.clone());
            let mut response = next.run(request).await;
            if right == Right::Ask {
                limits::describe(&house, &principal, family, &mut response);
            }
            response
        }
        Err(refused) => ApiError::unauthenticated(refused).respond(family),
    }
}

/// The headers in which the clients of some dialects show a key, where others use `authorization`:
/// Anthropic's, Azure's and Google's.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// The API key that a request shows.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret);
    // A header of another form shows a key too, if a wrong one.
    let other = headers.contains_key(AUTHORIZATION).then_some("");
    bearer.or_else(|| KEY_HEADERS.into_iter().find_map(text)).or(other).map(str::trim)
}
