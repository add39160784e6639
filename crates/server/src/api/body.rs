//! How the body of a request is read: with a limit of its own, in a bounded time, and into room that all
//! requests share.

use super::error::ApiError;
use axum::body::Body;
use gate::Code;
use http_body_util::BodyExt as _;
use service::{House, Overloaded, Place, Principal};
use std::time::Duration;
use tokio::time::timeout;

/// The largest request. A context of a million model tokens is about 4 MiB of English.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// How long a caller may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Why there is no body.
enum Unread {
    TooLarge,
    Cut,
    Overloaded,
}

impl From<Overloaded> for Unread {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

/// Reads a body, into the place that it has for as long as it is held.
pub(super) async fn read(
    house: &House,
    principal: &Principal,
    body: Body,
) -> Result<(Vec<u8>, Place), ApiError> {
    read_within(MAX_REQUEST_BYTES, "A request has at most 4 MiB.", (house, principal), body).await
}

/// The same with another limit, and what is said of it.
pub(super) async fn read_within(
    most: usize,
    too_large: &'static str,
    (house, principal): (&House, &Principal),
    body: Body,
) -> Result<(Vec<u8>, Place), ApiError> {
    let read = timeout(REQUEST_TIMEOUT, collect(most, house, principal, body)).await;
    read.unwrap_or(Err(Unread::Cut)).map_err(|unread| match unread {
        Unread::TooLarge => ApiError::of(Code::TooLarge, too_large),
        Unread::Cut => ApiError::of(Code::InvalidRequest, "The request did not arrive whole."),
        Unread::Overloaded => ApiError::overloaded(),
    })
}

async fn collect(
    most: usize,
    house: &House,
    principal: &Principal,
    mut body: Body,
) -> Result<(Vec<u8>, Place), Unread> {
    let mut place = house.enter(principal).await?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        // Trailers say nothing to us.
        let Ok(data) = frame.map_err(|_| Unread::Cut)?.into_data() else { continue };
        if data.len() > most - bytes.len() {
            return Err(Unread::TooLarge);
        }
        house.make_room(principal, &mut place, data.len()).await?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, place))
}
