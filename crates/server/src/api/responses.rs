//! Responses by their ids: what was answered before, for the key that asked.

use super::answer::{json, no_store, put};
use super::error::ApiError;
use super::frame::recorded;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use gate::Code;
use serde_json::json;
use service::{House, NoResponse, Order, Page, Principal, Retrieved};
use std::sync::Arc;

type Named = Result<Path<String>, PathRejection>;

/// `GET /v1/responses/{response}`
pub(super) async fn retrieve(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Named,
    uri: Uri,
) -> Response {
    let id = id(path);
    let after = match parameter(&uri, "starting_after").map(str::parse) {
        None => None,
        Some(Ok(after)) => Some(after),
        Some(Err(_)) => return invalid("The number after which a stream goes on is a number."),
    };
    // Room for what is opened is taken like that of a request.
    let Ok(_place) = house.enter(&principal).await else {
        return ApiError::overloaded().into_response();
    };
    match parameter(&uri, "stream") {
        Some("true") => match house.response_events(&principal, &id, after).await {
            Ok(Retrieved { exchange, receipt, what }) => {
                let mut response = (StatusCode::OK, recorded(&what)).into_response();
                no_store(response.headers_mut(), "text/event-stream");
                named(&mut response, exchange, receipt.as_ref());
                response
            }
            Err(error) => refused(&error),
        },
        None | Some("false") => document(house.response(&principal, &id).await),
        Some(_) => invalid("Whether a stream is wanted is true or false."),
    }
}

/// `GET /v1/responses/{response}/input_items`
pub(super) async fn input_items(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Named,
    uri: Uri,
) -> Response {
    let order = match parameter(&uri, "order") {
        Some("asc") => Order::Ascending,
        None | Some("desc") => Order::Descending,
        Some(_) => return invalid("The order of a list is asc or desc."),
    };
    let limit = match parameter(&uri, "limit").map(str::parse) {
        None => None,
        Some(Ok(limit)) => Some(limit),
        Some(Err(_)) => return invalid(LIMIT),
    };
    if parameter(&uri, "before").is_some() {
        return invalid("A page of a list begins after an item; before is not carried.");
    }
    let after = parameter(&uri, "after").map(str::to_owned);
    let Some(page) = Page::new(order, limit, after) else { return invalid(LIMIT) };
    let Ok(_place) = house.enter(&principal).await else {
        return ApiError::overloaded().into_response();
    };
    document(house.response_input_items(&principal, &id(path), &page).await)
}

/// `DELETE /v1/responses/{response}`
pub(super) async fn withdraw(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Named,
) -> Response {
    match house.withdraw_response(&principal, &id(path)).await {
        Ok(Retrieved { exchange, receipt, what }) => {
            let document = json!({ "id": what, "object": "response", "deleted": true });
            let mut response = json(StatusCode::OK, &document);
            named(&mut response, exchange, receipt.as_ref());
            response
        }
        Err(error) => refused(&error),
    }
}

/// `POST /v1/responses/{response}/cancel`
pub(super) async fn cancel(
    State(house): State<Arc<House>>,
    Extension(principal): Extension<Principal>,
    path: Named,
) -> Response {
    document(house.cancel_response(&principal, &id(path)).await)
}

/// How many items a page has.
const LIMIT: &str = "A page of a list has 1 to 100 items.";

/// An id that is no text names nothing.
fn id(path: Named) -> String {
    path.map(|Path(id)| id).unwrap_or_default()
}

/// The value of a parameter of the address. Ids, words and numbers have no characters that an address
/// writes in another way.
fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

fn document(retrieved: Result<Retrieved<phi::Text>, NoResponse>) -> Response {
    match retrieved {
        Ok(Retrieved { exchange, receipt, what }) => {
            let mut response = (StatusCode::OK, what.into_exposed()).into_response();
            no_store(response.headers_mut(), "application/json");
            named(&mut response, exchange, receipt.as_ref());
            response
        }
        Err(error) => refused(&error),
    }
}

/// Says of which exchange it is, and where it is recorded that it was had.
fn named(response: &mut Response, exchange: ledger::ExchangeId, receipt: Option<&ledger::Receipt>) {
    put(response.headers_mut(), "x-request-id", exchange.to_string());
    if let Some(receipt) = receipt {
        put(response.headers_mut(), "x-bulla-receipt", receipt.to_string());
    }
}

fn invalid(message: &'static str) -> Response {
    ApiError::of(Code::InvalidRequest, message).into_response()
}

fn refused(error: &NoResponse) -> Response {
    let refusal = match error {
        NoResponse::Unknown => ApiError::no_response(),
        NoResponse::NotKept => ApiError::of(
            Code::ContentNotKept,
            "The organisation keeps digests of content and no content, so no response can be had again.",
        ),
        NoResponse::NoRules => {
            ApiError::of(Code::PhiBlocked, "No configuration is in force, so nothing is given out.")
        }
        NoResponse::NotRunning => ApiError::of(
            Code::InvalidRequest,
            "That response does not run in the background, so it cannot be cancelled.",
        ),
        NoResponse::NoStream => ApiError::of(
            Code::InvalidRequest,
            "That response was not answered as a stream, so it cannot be had as one.",
        ),
        NoResponse::UnknownItem(_) => {
            ApiError::of(Code::InvalidRequest, "The list has no item of the id in after.")
        }
        NoResponse::Keys(_) => ApiError::of(
            Code::KeysUnavailable,
            "The key service does not open the keys, so nothing is given out.",
        ),
        NoResponse::Read(error) => {
            tracing::error!(%error, "a response cannot be read");
            ApiError::of(
                Code::AuditUnavailable,
                "The log or what is kept beside it cannot be read, so nothing is given out.",
            )
        }
    };
    refusal.into_response()
}
