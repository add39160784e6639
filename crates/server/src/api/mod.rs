//! The programmatic API: the dialects in which models are asked, the log for auditors, and the server's
//! own health.

mod answer;
mod ask;
mod body;
mod error;
mod frame;
mod health;
mod limits;
mod log;
mod metrics;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use error::ApiError;
pub use error::Family;
use gate::Code;
pub(crate) use metrics::Peer;
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

/// One route: declared once, so that the router and the test of access read the same table.
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
    handler: fn() -> MethodRouter<Arc<House>>,
}

/// Every route. What is not here does not exist: there is no pass-through.
pub const ROUTES: &[Route] = &[
    Route::asks("/v1/chat/completions", Family::OpenAi, || post(ask::chat_completions)),
    Route::asks("/v1/completions", Family::OpenAi, || post(ask::completions)),
    Route::asks("/v1/embeddings", Family::OpenAi, || post(ask::embeddings)),
    Route::asks("/v1/responses", Family::OpenAi, || post(ask::responses)),
    Route::asks("/v1/messages", Family::Anthropic, || post(ask::messages)),
    Route::asks("/v1/messages/count_tokens", Family::Anthropic, || post(ask::count_tokens)),
    Route::asks("/openai/v1/chat/completions", Family::OpenAi, || post(ask::chat_completions)),
    Route::asks("/openai/v1/completions", Family::OpenAi, || post(ask::completions)),
    Route::asks("/openai/v1/embeddings", Family::OpenAi, || post(ask::embeddings)),
    Route::asks("/openai/v1/responses", Family::OpenAi, || post(ask::responses)),
    Route::asks("/openai/deployments/{deployment}/{*below}", Family::OpenAi, || {
        post(ask::deployment)
    }),
    Route::asks("/model/{model}/{how}", Family::Bedrock, || post(ask::converse)),
    Route::asks("/v1beta/models/{call}", Family::Google, || post(ask::generate)),
    Route::asks("/v1/models/{*model}", Family::Google, || post(ask::generate)),
    Route::reads("/v1/models", Access::Caller, || get(health::models)),
    Route::reads("/v1/models/{*model}", Access::Caller, || get(health::model)),
    Route::reads("/log/checkpoint", Access::Auditor, || get(log::checkpoint)),
    Route::reads("/log/tile/{*tile}", Access::Auditor, || get(log::tile)),
    Route {
        method: "POST",
        path: "/log/search",
        access: Access::Auditor,
        family: Family::OpenAi,
        handler: || post(log::search),
    },
    Route::reads("/healthz", Access::Public, || get(health::alive)),
    Route::reads("/readyz", Access::Public, || get(health::ready)),
    Route::reads("/metrics", Access::Monitor, || get(metrics::metrics)),
];

impl Route {
    /// A route that asks a model.
    const fn asks(
        path: &'static str,
        family: Family,
        handler: fn() -> MethodRouter<Arc<House>>,
    ) -> Self {
        Self { method: "POST", path, access: Access::Caller, family, handler }
    }

    /// A route that reads.
    const fn reads(
        path: &'static str,
        access: Access,
        handler: fn() -> MethodRouter<Arc<House>>,
    ) -> Self {
        Self { method: "GET", path, access, family: Family::OpenAi, handler }
    }
}

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

async fn unknown_route() -> Response {
    ApiError::not_found().into_response()
}

async fn unknown_method() -> Response {
    ApiError::wrong_method().into_response()
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
                limits::describe(&house, &principal, &mut response);
            }
            response
        }
        Err(_) => ApiError::of(
            Code::InvalidApiKey,
            "The API key is missing, unknown, expired or revoked.",
        )
        .respond(family),
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
