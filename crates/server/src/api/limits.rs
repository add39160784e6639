//! What a caller is told of its limits, in the headers that its clients know.

use super::answer::put;
use super::error::{ApiError, Family};
use axum::http::HeaderMap;
use axum::response::Response;
use service::{House, LimitReached, Numbers, Principal};
use std::time::Duration;

/// The route of an exchange, so that its limits are shown too. An answer carries it on its way out.
#[derive(Clone, Debug)]
pub(super) struct OfRoute(pub(super) Option<String>);

/// Says where the caller stands.
pub(super) fn describe(
    house: &House,
    principal: &Principal,
    family: Family,
    response: &mut Response,
) {
    let route = response.extensions_mut().remove::<OfRoute>().and_then(|route| route.0);
    let standing = house.standing(principal, route.as_deref());
    let headers = response.headers_mut();
    let (requests, tokens) = match family {
        Family::Anthropic => (ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS),
        // The others' services have no headers of their own for it, and some of their clients read these.
        Family::OpenAi | Family::Bedrock | Family::Google | Family::Mcp => (REQUESTS, TOKENS),
    };
    if let Some(numbers) = standing.requests {
        show(headers, requests, numbers, family);
    }
    if let Some(numbers) = standing.tokens {
        show(headers, tokens, numbers, family);
    }
}

/// The headers for the limit, what remains of it, and until when.
type Names = [&'static str; 3];

const REQUESTS: Names =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];

const TOKENS: Names =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

const ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];

const ANTHROPIC_TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

fn show(
    headers: &mut HeaderMap,
    [limit, remaining, reset]: Names,
    numbers: Numbers,
    family: Family,
) {
    put(headers, limit, numbers.limit.to_string());
    put(headers, remaining, numbers.remaining.to_string());
    // Anthropic's name a moment (RFC 3339), the others a span.
    let when = match family {
        Family::Anthropic => numbers.again.to_string(),
        Family::OpenAi | Family::Bedrock | Family::Google | Family::Mcp => span(numbers.reset),
    };
    put(headers, reset, when);
}

/// The answer to a request that a limit refused.
pub(super) fn refused(reached: &LimitReached, family: Family) -> Response {
    let refusal = reached.refusal();
    let mut response = ApiError::of(refusal.code, refusal.message).respond(family);
    retry_after(response.headers_mut(), reached);
    response
}

/// Says when the same request may pass, where waiting helps.
pub(super) fn retry_after(headers: &mut HeaderMap, reached: &LimitReached) {
    let Some(wait) = reached.wait() else { return };
    // OpenAI's clients read the milliseconds first; both are rounded up, so that nobody is early.
    let millis = wait.as_micros().div_ceil(1000).max(1);
    put(headers, "retry-after-ms", millis.to_string());
    put(headers, "retry-after", millis.div_ceil(1000).to_string());
}

/// A span of time as OpenAI writes it, rounded up: `17ms`, `1s`, `6m0s`, `2h0m5s`.
fn span(span: Duration) -> String {
    let millis = span.as_micros().div_ceil(1000);
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let seconds = millis.div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_openai_writes_it() {
        for (micros, text) in [
            (0, "0ms"),
            (1, "1ms"),
            (17_000, "17ms"),
            (999_001, "1s"),
            (1_000_000, "1s"),
            (1_000_001, "2s"),
            (60_000_000, "1m0s"),
            (360_000_000, "6m0s"),
            (3_599_000_000, "59m59s"),
            (7_205_000_000, "2h0m5s"),
            (86_400_000_000, "24h0m0s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), text);
        }
    }
}
