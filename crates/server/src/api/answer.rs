//! What is said of an exchange beside its answer: the headers.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ledger::{About, CoverKind, ExchangeId, Receipt};

/// A JSON document that no cache keeps.
pub(super) fn json(status: StatusCode, document: &serde_json::Value) -> Response {
    let mut response = (status, document.to_string()).into_response();
    no_store(response.headers_mut(), "application/json");
    response
}

/// Says of what type the body is, and that nobody may keep it.
pub(super) fn no_store(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Adds the headers that every exchange has, and those that its records allow to say.
pub(super) fn describe(
    headers: &mut HeaderMap,
    exchange: ExchangeId,
    recorded: Option<(&About, &Receipt)>,
) {
    // OpenAI's clients read the first, Anthropic's the second, Amazon's the third.
    for name in ["x-request-id", "request-id", "x-amzn-requestid"] {
        put(headers, name, exchange.to_string());
    }
    let Some((about, receipt)) = recorded else { return };
    put(headers, "x-bulla-receipt", receipt.to_string());
    if let Some(decision) = &about.decision {
        put(headers, "x-bulla-decision", decision.clone());
    }
    if about.detector.is_some() {
        put(headers, "x-bulla-phi", findings(about));
        // Redacted and tokenized text is still PHI: 45 CFR 164.514(b) asks for more.
        put(headers, "x-bulla-deidentified", "false".to_owned());
    }
    if let Some(destination) = &about.destination {
        put(headers, "x-bulla-path", path(destination, about));
    }
}

fn findings(about: &About) -> String {
    if about.findings.is_empty() {
        return "none".to_owned();
    }
    let counts: Vec<String> =
        about.findings.iter().map(|(class, count)| format!("{class}={count}")).collect();
    counts.join(", ")
}

fn path(destination: &str, about: &About) -> String {
    let hops: Vec<String> = about
        .path
        .iter()
        .map(|cover| {
            let by = match (cover.by, cover.id.as_deref()) {
                (CoverKind::Inside, _) => "inside",
                (CoverKind::NoContent, _) => "no-content",
                (CoverKind::Agreement | CoverKind::Evidence, Some(id)) => id,
                (CoverKind::Agreement, None) => "agreement",
                (CoverKind::Evidence, None) => "evidence",
            };
            format!("{}={by}", cover.hop)
        })
        .collect();
    if hops.is_empty() {
        destination.to_owned()
    } else {
        format!("{destination}; {}", hops.join(", "))
    }
}

/// Adds a header.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: String) {
    // Ids, labels and numbers are plain ASCII; a value that is not is left out.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
