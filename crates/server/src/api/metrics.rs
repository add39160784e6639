//! `GET /metrics`, and who may read it.
//!
//! The page shows nothing of patients, but how much the organisation asks of whom. So it is for this
//! machine and for whoever has a monitor's key, and for nobody else.

use super::answer::no_store;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use service::House;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a proxy adds to a request that it passes on (RFC 7239, RFC 9110 section 7.6.3, and their elders).
const FORWARDED: [HeaderName; 5] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("via"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Whether a request began on this machine. One that a proxy on this machine passed on did not.
pub(super) fn is_local(peer: Option<&Peer>, headers: &HeaderMap) -> bool {
    // Fail closed: who is not known is not here.
    peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback())
        && !FORWARDED.iter().any(|name| headers.contains_key(name))
}

/// The page of metrics.
pub(super) async fn metrics(State(house): State<Arc<House>>) -> Response {
    let page = house.metrics().await;
    let mut response = (StatusCode::OK, page.to_string()).into_response();
    no_store(response.headers_mut(), "text/plain; version=0.0.4; charset=utf-8");
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_who_connects_from_this_machine_without_a_proxy_is_local() {
        let check = |peer: Option<&str>, header: Option<HeaderName>, local: bool| {
            let peer = peer.map(|text| Peer(text.parse().unwrap()));
            let value = HeaderValue::from_static("203.0.113.7");
            let headers: HeaderMap =
                header.iter().map(|name| (name.clone(), value.clone())).collect();
            assert_eq!(is_local(peer.as_ref(), &headers), local, "{peer:?} {header:?}");
        };
        check(Some("127.0.0.1:5000"), None, true);
        check(Some("[::1]:5000"), None, true);
        check(Some("[::ffff:127.0.0.1]:5000"), None, true);
        check(Some("10.1.2.3:5000"), None, false);
        check(Some("203.0.113.7:5000"), None, false);
        check(None, None, false);
        for name in FORWARDED {
            check(Some("127.0.0.1:5000"), Some(name), false);
        }
    }
}
