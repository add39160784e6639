//! The log for auditors: C2SP tlog-tiles, and search.
//!
//! Nothing that is sought stands in an address: addresses end in other people's logs, and a reference of
//! a patient is PHI.

use super::answer::no_store;
use super::body;
use super::error::ApiError;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use gate::Code;
use ledger::proof::TILE_WIDTH;
use phi::Text;
use serde::Deserialize;
use service::{House, Level, MAX_FOUND, Principal, Search, SearchError, Tile};
use std::sync::Arc;

/// Records that a search gives out when it does not say how many.
const FOUND: usize = 100;

/// Where tiles begin.
const TILES: &str = "/log/tile/";

/// The highest level of a tile, of which there is none in any tree that was ever built.
const MAX_LEVEL: u32 = 63;

pub(super) async fn checkpoint(
    State(house): State<Arc<House>>,
    Extension(reader): Extension<Principal>,
) -> Response {
    match house.read_checkpoint(&reader).await {
        Ok(Some(note)) => {
            let mut response = (StatusCode::OK, note).into_response();
            no_store(response.headers_mut(), "text/plain; charset=utf-8");
            response
        }
        Ok(None) => ApiError::no_tile().into_response(),
        Err(error) => failed(&error).into_response(),
    }
}

pub(super) async fn tile(
    State(house): State<Arc<House>>,
    Extension(reader): Extension<Principal>,
    uri: Uri,
) -> Response {
    let Some(tile) = uri.path().strip_prefix(TILES).and_then(parse) else {
        return ApiError::not_found().into_response();
    };
    match house.read_tile(&reader, tile).await {
        Ok(Some(bytes)) => {
            let mut response = (StatusCode::OK, bytes).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            // A tile never changes. A cache between us and the auditor does not keep it all the same.
            let kept = HeaderValue::from_static("private, max-age=31536000, immutable");
            headers.insert(CACHE_CONTROL, kept);
            response
        }
        Ok(None) => ApiError::no_tile().into_response(),
        Err(error) => failed(&error).into_response(),
    }
}

fn failed(error: &service::Error) -> ApiError {
    tracing::error!(%error, "the log cannot be read");
    ApiError::unrecorded()
}

/// A tile by its path: `<L>/<N>[.p/<W>]`, where `<N>` is written in elements of three digits.
fn parse(path: &str) -> Option<Tile> {
    let (level, rest) = path.split_once('/')?;
    let level = match level {
        "entries" => Level::Entries,
        digits => {
            let level = number(digits).and_then(|level| u32::try_from(level).ok())?;
            if level > MAX_LEVEL {
                return None;
            }
            Level::Hashes(level)
        }
    };
    let (index, width) = match rest.split_once(".p/") {
        None => (rest, TILE_WIDTH),
        Some((index, width)) => {
            (index, number(width).filter(|width| (1..TILE_WIDTH).contains(width))?)
        }
    };
    let mut number: u64 = 0;
    let mut elements = index.split('/').peekable();
    let mut first = true;
    while let Some(element) = elements.next() {
        let digits = match elements.peek() {
            Some(_) => element.strip_prefix('x')?,
            None => element,
        };
        // No element more than the number needs.
        let padded = first && elements.peek().is_some() && digits == "000";
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) || padded {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        first = false;
    }
    Some(Tile { level, index: number, width })
}

/// A decimal number without more zeros than it needs.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    if plain && !padded { digits.parse().ok() } else { None }
}

/// What is sought, as the body says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    owner: Option<String>,
    person: Option<String>,
    since: Option<String>,
    until: Option<String>,
    surface: Option<String>,
    decision: Option<String>,
    outcome: Option<String>,
    kind: Option<String>,
    destination: Option<String>,
    conversation: Option<String>,
    exchange: Option<String>,
    patient: Option<String>,
    from: Option<u64>,
    limit: Option<usize>,
}

/// A value does not have its form. Which one is not said: it would be repeated.
struct Unread;

impl Body {
    fn search(self) -> Result<Search, Unread> {
        fn form<T>(
            text: Option<&String>,
            read: impl FnOnce(&str) -> Option<T>,
        ) -> Result<Option<T>, Unread> {
            text.map(|text| read(text).ok_or(Unread)).transpose()
        }
        Ok(Search {
            since: form(self.since.as_ref(), crate::moment::read)?,
            until: form(self.until.as_ref(), crate::moment::read)?,
            conversation: form(self.conversation.as_ref(), |text| text.parse().ok())?,
            exchange: form(self.exchange.as_ref(), |text| text.parse().ok())?,
            owner: self.owner,
            person: self.person,
            surface: self.surface,
            decision: self.decision,
            outcome: self.outcome,
            kind: self.kind,
            destination: self.destination,
            patient: self.patient.map(Text::new),
            from: self.from.unwrap_or(0),
            limit: self.limit.unwrap_or(FOUND).min(MAX_FOUND),
            scan: false,
        })
    }
}

pub(super) async fn search(
    State(house): State<Arc<House>>,
    Extension(reader): Extension<Principal>,
    request: Request,
) -> Response {
    let (body, _place) = match body::read(&house, &reader, request.into_body()).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    // What the parser says of a body would repeat it.
    let search = serde_json::from_slice::<Body>(&body).map_err(|_| Unread).and_then(Body::search);
    let Ok(search) = search else {
        let message = "The body of a search is a JSON object of the members in docs/search.md.";
        return ApiError::of(Code::InvalidRequest, message).into_response();
    };
    match house.search(&search, reader.actor()).await {
        Ok(found) => {
            let next = found.next.map_or_else(|| "null".to_owned(), |next| next.to_string());
            // Lines are JSON already.
            let lines = found.lines.join(",");
            let document = format!("{{\"object\":\"list\",\"data\":[{lines}],\"next\":{next}}}");
            let mut response = (StatusCode::OK, document).into_response();
            no_store(response.headers_mut(), "application/json");
            response
        }
        Err(error) => refused(&error).into_response(),
    }
}

fn refused(error: &SearchError) -> ApiError {
    match error {
        SearchError::Unanswerable => ApiError::of(
            Code::InvalidRequest,
            "A search for a patient cannot be answered: the organisation has left, and the key that \
             patients are named with is destroyed.",
        ),
        SearchError::TooMany => ApiError::of(
            Code::InvalidRequest,
            "More is about this patient than one search gives out. Say since when, and until when.",
        ),
        SearchError::House(service::Error::Keys(_)) => ApiError::of(
            Code::KeysUnavailable,
            "The key service does not open the keys, so patients have no names.",
        ),
        SearchError::Malformed { .. } | SearchError::House(_) => {
            tracing::error!(%error, "the log cannot be searched");
            ApiError::unrecorded()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(Level, u64, u64)>) {
        let tile = parse(path).map(|tile| (tile.level, tile.index, tile.width));
        assert_eq!(tile, expected, "{path}");
    }

    #[test]
    fn a_tile_has_one_path() {
        check("0/000", Some((Level::Hashes(0), 0, 256)));
        check("0/255.p/1", Some((Level::Hashes(0), 255, 1)));
        check("63/x001/x234/067.p/255", Some((Level::Hashes(63), 1_234_067, 255)));
        check("entries/x001/000", Some((Level::Entries, 1000, 256)));
        for wrong in [
            "",
            "0",
            "0/",
            "00/000",
            "01/000",
            "64/000",
            "-1/000",
            "+1/000",
            "entry/000",
            "0/0",
            "0/00",
            "0/0000",
            "0/x000",
            "0/001/000",
            "0/x000/001",
            "0/x01/000",
            "0/X001/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "0/000.P/1",
            "0/000/",
            "/0/000",
            "0/x001/x000",
            "0/000.p/1/",
            "0/%30%30%30",
            "0/x018/x446/x744/x073/x709/x551/616",
        ] {
            check(wrong, None);
        }
    }
}
