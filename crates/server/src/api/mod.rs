//! The programmatic API: OpenAI's dialect, the log for auditors, and the server's own health.

mod answer;
mod chat;
mod error;
mod health;
mod log;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use error::ApiError;
use gate::Code;
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
    handler: fn() -> MethodRouter<Arc<House>>,
}

/// Every route. What is not here does not exist: there is no pass-through.
pub const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/chat/completions",
        access: Access::Caller,
        handler: || post(chat::completions),
    },
    Route {
        method: "GET",
        path: "/v1/models",
        access: Access::Caller,
        handler: || get(health::models),
    },
    Route {
        method: "GET",
        path: "/log/checkpoint",
        access: Access::Auditor,
        handler: || get(log::checkpoint),
    },
    Route {
        method: "GET",
        path: "/log/tile/{*tile}",
        access: Access::Auditor,
        handler: || get(log::tile),
    },
    Route {
        method: "POST",
        path: "/log/search",
        access: Access::Auditor,
        handler: || post(log::search),
    },
    Route {
        method: "GET",
        path: "/healthz",
        access: Access::Public,
        handler: || get(health::alive),
    },
    Route {
        method: "GET",
        path: "/readyz",
        access: Access::Public,
        handler: || get(health::ready),
    },
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
        };
        if let Some(right) = right {
            let state = (Arc::clone(house), right);
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
    State((house, right)): State<(Arc<House>, Right)>,
    mut request: Request,
    next: Next,
) -> Response {
    // Who shows no key is refused, and counted, as who shows a wrong one.
    let secret = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, secret)| secret.trim());
    match house.authenticate(secret) {
        Ok(principal) => {
            if let Err(denied) = house.permit(&principal, right) {
                return ApiError::denied(denied.code, right).into_response();
            }
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(_) => ApiError::of(
            Code::InvalidApiKey,
            "The API key is missing, unknown, expired or revoked.",
        )
        .into_response(),
    }
}
