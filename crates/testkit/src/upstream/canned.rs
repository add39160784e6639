//! A model server with next to no cost of its own, for the bench.
//!
//! It keeps nothing and parses nothing: it reads the body, looks for `"stream":true`, and writes the
//! same bytes again. It runs on a thread and a runtime of its own; for CPU accounting, run it as a
//! process of its own (`cargo run -p testkit --example upstream -- --canned`).

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Sleep;

/// Events of the canned stream, `[DONE]` included.
pub const EVENTS: usize = 24;

/// Content events: all but the role chunk, the finish chunk and `[DONE]`.
const CONTENT_EVENTS: usize = EVENTS - 3;

/// A surrogate is no longer than this.
const SURROGATE_LIMIT: usize = 40;

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The same text always.
    Fixed,
    /// The same text around the first surrogate (`[NAME_AB12CD34]`) of the request, or one in the form
    /// of other gateways (`<PERSON_1>`), cut over three
    /// events, so that a gateway under test has something to restore; without one, as `Fixed`.
    FirstSurrogate,
}

/// How the canned server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What it answers.
    pub says: Says,
    /// Wait before the first event of a stream.
    pub first_after: Duration,
    /// Wait between two events of a stream; zero sends them as fast as they are taken.
    pub gap: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { says: Says::Fixed, first_after: Duration::ZERO, gap: Duration::ZERO }
    }
}

/// A canned server. It ends when it is dropped.
#[derive(Debug)]
pub struct Canned {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Canned {
    /// Starts on a loopback port; 0 takes a free one.
    ///
    /// # Panics
    /// When the port cannot be bound or the thread cannot start.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without its stand-in no bench can go on")]
    pub fn start(port: u16, settings: Settings) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a loopback port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("the address of the stand-in");
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the stand-in");
        let thread = std::thread::Builder::new()
            .name("canned-upstream".to_owned())
            .spawn(move || runtime.block_on(serve(listener, settings, stopped)))
            .expect("a thread for the stand-in");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The socket address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the stand-in has been printed already.
            drop(thread.join());
        }
    }
}

async fn serve(listener: TcpListener, settings: Settings, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        connections.spawn(async move {
            let service = service_fn(move |request| answer(settings, request));
            let served = hyper::server::conn::http1::Builder::new()
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            // Callers come and go.
            drop(served);
        });
    }
}

async fn answer(
    settings: Settings,
    request: Request<Incoming>,
) -> Result<Response<Events>, Infallible> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let surrogate = match settings.says {
        Says::Fixed => None,
        Says::FirstSurrogate => first_surrogate(&body),
    };
    let streamed = asks_for_stream(&body);
    let (content_type, pieces) = if streamed {
        ("text/event-stream; charset=utf-8", stream(surrogate))
    } else {
        ("application/json", vec![Bytes::from(json(surrogate))])
    };
    let timing = if streamed { settings } else { Settings::default() };
    let mut response = Response::new(Events {
        pieces: pieces.into_iter(),
        next_after: timing.first_after,
        gap: timing.gap,
        waiting: None,
        whole: !streamed,
    });
    let value = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    Ok(response)
}

/// Whether the body says `"stream":true`, blanks allowed.
fn asks_for_stream(body: &[u8]) -> bool {
    let key = b"\"stream\"";
    let Some(place) = body.windows(key.len()).position(|it| it == key) else { return false };
    let rest = body.get(place + key.len()..).unwrap_or_default().trim_ascii_start();
    let value = rest.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
    value.starts_with(b"true")
}

/// The first surrogate, in Bulla's form or that of other gateways (`<PERSON_1>`).
fn first_surrogate(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    text.match_indices(['[', '<']).find_map(|(start, opening)| {
        let closing = if opening == "[" { ']' } else { '>' };
        let rest = text.get(start..)?;
        let whole = rest.get(..=rest.find(closing)?)?;
        let fits = whole.len() <= SURROGATE_LIMIT && whole.contains('_');
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let name = whole.get(1..whole.len() - 1)?;
        (fits && name.bytes().all(plain)).then_some(whole)
    })
}

/// A `chat.completion` of about 400 bytes.
fn json(surrogate: Option<&str>) -> String {
    let who = surrogate.unwrap_or("The patient");
    format!(
        "{{\"id\":\"chatcmpl-canned\",\"object\":\"chat.completion\",\"created\":1790000000,\
         \"model\":\"stand-in\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
         \"content\":\"{who} is stable and may go home on the present treatment today.\",\
         \"refusal\":null}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":\
         {{\"prompt_tokens\":120,\"completion_tokens\":21,\"total_tokens\":141}}}}"
    )
}

/// A stream of [`EVENTS`] events.
fn stream(surrogate: Option<&str>) -> Vec<Bytes> {
    let chunk = |delta: &str, finish: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-canned\",\"object\":\"chat.completion.chunk\",\
             \"created\":1790000000,\"model\":\"stand-in\",\"choices\":[{{\"index\":0,\
             \"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        ))
    };
    let mut events = vec![chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null")];
    let surrogate = surrogate.unwrap_or_default();
    let third = surrogate.len() / 3;
    for place in 0..CONTENT_EVENTS {
        // Three events in the middle carry the surrogate; it is ASCII, so any cut is a boundary.
        let part = match place {
            8 => surrogate.get(..third),
            9 => surrogate.get(third..third * 2),
            10 => surrogate.get(third * 2..),
            _ => None,
        };
        let word = part.filter(|part| !part.is_empty()).unwrap_or(" word");
        events.push(chunk(&format!("{{\"content\":\"{word}\"}}"), "null"));
    }
    events.push(chunk("{}", "\"stop\""));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// A body of ready pieces, with waits between them.
struct Events {
    pieces: std::vec::IntoIter<Bytes>,
    next_after: Duration,
    gap: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    whole: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.next_after.is_zero() {
            let pause = std::mem::take(&mut self.next_after);
            self.waiting = Some(Box::pin(tokio::time::sleep(pause)));
        }
        if let Some(waiting) = &mut self.waiting {
            std::task::ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        self.next_after = self.gap;
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        let left: usize = self.pieces.as_slice().iter().map(Bytes::len).sum();
        if self.whole {
            hyper::body::SizeHint::with_exact(left as u64)
        } else {
            hyper::body::SizeHint::default()
        }
    }

    fn is_end_stream(&self) -> bool {
        self.whole && self.pieces.as_slice().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_answers_are_well_formed_and_of_the_stated_size() {
        let parsed: serde_json::Value = serde_json::from_str(&json(None)).unwrap();
        assert_eq!(parsed["object"], "chat.completion");
        assert!((350..450).contains(&json(None).len()), "{}", json(None).len());
        assert_eq!(stream(None).len(), EVENTS);
        for event in stream(Some("[NAME_AB12CD34]")) {
            let text = std::str::from_utf8(&event).unwrap();
            let data = text.strip_prefix("data: ").unwrap().trim_end();
            assert!(data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok());
        }
    }

    #[test]
    fn a_request_for_a_stream_is_told_from_one_for_json() {
        assert!(asks_for_stream(br#"{"stream": true}"#));
        assert!(asks_for_stream(br#"{"stream":true,"n":1}"#));
        assert!(!asks_for_stream(br#"{"stream":false}"#));
        assert!(!asks_for_stream(br#"{"stream_options":{"x":true}}"#));
        assert_eq!(first_surrogate(b"a [x] [NAME_AB12CD34] b"), Some("[NAME_AB12CD34]"));
        assert_eq!(first_surrogate(b"a <b> <US_SSN_4> [NAME_AB12CD34]"), Some("<US_SSN_4>"));
        assert_eq!(first_surrogate(b"a <US_SSN_4] <NAME_1"), None);
    }
}
