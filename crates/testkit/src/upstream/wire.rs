//! Turns an answer into timed pieces of bytes, with its fault.

use super::asked::{Asked, Dialect};
use super::eventstream::{self, crc32};
use super::reply::{Cut, Fault, Framing, Pieces, Reply, Source, Split};
use super::{Captured, chat, converse, gemini, legacy, messages, responses};
use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Bytes of an endless line in one write.
const ENDLESS_BLOCK_BYTES: usize = 64 * 1024;

/// Writes of an endless line: 1 GiB in all, more than any reader may keep.
const ENDLESS_BLOCKS: usize = 16 * 1024;

/// Before a connection is cut: what was written must have reached the reader.
const BEFORE_CUT: Duration = Duration::from_millis(5);

/// One thing to do with the body.
enum Step {
    Send(Bytes),
    Wait(Duration),
    Hang,
    Cut(Cut),
}

/// A body that sends its pieces one write at a time.
pub(super) struct Pieced {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// A piece was handed over and must be flushed before the next.
    unflushed: bool,
    reset: Arc<AtomicBool>,
}

impl Body for Pieced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if std::mem::take(&mut self.unflushed) {
            // hyper flushes when a body has nothing ready, so pending once parts the writes.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None | Some(Step::Cut(Cut::End)) => return Poll::Ready(None),
                Some(Step::Send(piece)) => {
                    self.unflushed = true;
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Some(Step::Wait(pause)) => {
                    self.waiting = Some(Box::pin(tokio::time::sleep(pause)));
                }
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(Step::Cut(how)) => {
                    self.reset.store(how == Cut::Reset, Ordering::SeqCst);
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
            }
        }
    }
}

/// A TCP stream that is reset instead of closed when its flag is set.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, reset: Arc<AtomicBool>) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // When it fails the caller sees an ordinary close, which its test will report.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The response to a request; none when it is never answered.
pub(super) fn answer(
    reply: &Reply,
    captured: &Captured,
    reset: &Arc<AtomicBool>,
) -> Option<Response<Pieced>> {
    let request = captured.json();
    let path = captured.path.split('?').next().unwrap_or_default();
    let page = match Asked::of(captured, &request, reply.tokens.clone()) {
        Some(asked) => answered(reply, &asked, captured.number)?,
        None if captured.method == "POST" && reply.anywhere => {
            let asked = Asked::plain(&request, reply.tokens.clone());
            answered(reply, &asked, captured.number)?
        }
        None if captured.method == "GET" && path == "/v1/models" => Page::json(200, &models()),
        None => Page::json(404, &error("no such route", "invalid_request_error", "not_found")),
    };
    let mut response = Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    let body =
        Pieced { steps: page.steps, waiting: None, unflushed: false, reset: Arc::clone(reset) };
    response.body(body).ok()
}

/// A short answer, in one piece.
pub(super) fn said(
    (status, content_type, body): super::batches::Said,
    reset: &Arc<AtomicBool>,
) -> Option<Response<Pieced>> {
    let page = Page::new(status, content_type, body);
    let mut response = Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    let body =
        Pieced { steps: page.steps, waiting: None, unflushed: false, reset: Arc::clone(reset) };
    response.body(body).ok()
}

struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    steps: VecDeque<Step>,
}

impl Page {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let length = ("content-length", body.len().to_string());
        let headers = vec![("content-type", content_type.to_owned()), length];
        Self { status, headers, steps: VecDeque::from([Step::Send(body.into())]) }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }
}

fn models() -> Value {
    json!({ "object": "list", "data": [
        { "id": "stand-in", "object": "model", "created": 1_790_000_000, "owned_by": "testkit" }
    ] })
}

fn error(message: &str, kind: &str, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

/// An error whose message repeats the prompt, as careless servers do, in the shape of the dialect.
fn telling_error(asked: &Asked<'_>, status: u16) -> Value {
    let prompt = asked.text(&Source::AllMessages);
    let message = format!("failed while answering: {prompt}");
    match asked.route.dialect {
        Dialect::Messages | Dialect::CountTokens => {
            let kind = match status {
                401 => "authentication_error",
                429 => "rate_limit_error",
                400..=499 => "invalid_request_error",
                _ => "api_error",
            };
            json!({ "type": "error", "error": { "type": kind, "message": message },
                    "request_id": "req_standin" })
        }
        Dialect::Converse => json!({ "message": message }),
        Dialect::Gemini => {
            let word = match status {
                401 => "UNAUTHENTICATED",
                429 => "RESOURCE_EXHAUSTED",
                400..=499 => "INVALID_ARGUMENT",
                _ => "INTERNAL",
            };
            json!({ "error": { "code": status, "message": message, "status": word } })
        }
        Dialect::Chat | Dialect::Responses | Dialect::Completions | Dialect::Embeddings => {
            let (kind, code) = match status {
                401 => ("invalid_request_error", "invalid_api_key"),
                429 => ("rate_limit_error", "rate_limit_exceeded"),
                400..=499 => ("invalid_request_error", "bad_request"),
                _ => ("server_error", "internal_error"),
            };
            error(&message, kind, code)
        }
    }
}

/// The same error as an event of a stream.
fn error_event(asked: &Asked<'_>, sent: usize) -> Event {
    let error = telling_error(asked, 500);
    let message = error.pointer("/error/message").cloned().unwrap_or_default();
    match asked.route.dialect {
        Dialect::Responses => Event::typed(json!({ "type": "error", "code": "server_error",
            "message": message, "param": null, "sequence_number": sent })),
        Dialect::Messages | Dialect::CountTokens => Event::typed(error),
        Dialect::Converse => {
            Event { name: Some("internalServerException".to_owned()), exception: true, data: error }
        }
        Dialect::Chat | Dialect::Completions | Dialect::Embeddings | Dialect::Gemini => {
            Event::unnamed(error)
        }
    }
}

/// One event of a stream.
pub(super) struct Event {
    name: Option<String>,
    /// Bedrock sends an exception in place of an event.
    exception: bool,
    data: Value,
}

impl Event {
    /// An event that has no name.
    pub(super) fn unnamed(data: Value) -> Self {
        Self { name: None, exception: false, data }
    }

    /// An event with a name of its own.
    pub(super) fn named(name: &str, data: Value) -> Self {
        Self { name: Some(name.to_owned()), exception: false, data }
    }

    /// An event that is named as its member `type` says.
    pub(super) fn typed(data: Value) -> Self {
        let name = data.get("type").and_then(Value::as_str).map(str::to_owned);
        Self { name, exception: false, data }
    }
}

fn answered(reply: &Reply, asked: &Asked<'_>, number: usize) -> Option<Page> {
    match &reply.fault {
        Fault::HangBeforeHeaders => return None,
        Fault::Status { status, retry_after } => {
            let mut page = Page::json(*status, &telling_error(asked, *status));
            page.headers.extend(retry_after.map(|it| ("retry-after", it.to_string())));
            return Some(page);
        }
        Fault::Redirect { status, location } => {
            let mut page = Page::new(*status, "text/plain", Vec::new());
            page.headers.push(("location", location.clone()));
            return Some(page);
        }
        Fault::Html => {
            let prompt = asked.text(&Source::AllMessages);
            let body = format!("<!doctype html><title>Sign in</title><p>{prompt}</p>");
            return Some(Page::new(200, "text/html; charset=utf-8", body.into_bytes()));
        }
        Fault::None
        | Fault::Hang { .. }
        | Fault::Cut { .. }
        | Fault::Garbage { .. }
        | Fault::BrokenJson { .. }
        | Fault::Error { .. }
        | Fault::Huge { .. }
        | Fault::Endless { .. }
        | Fault::ContentType(_)
        | Fault::Gzip
        | Fault::TalkAfterDone => {}
    }
    Some(spoken(reply, asked, number))
}

fn spoken(reply: &Reply, asked: &Asked<'_>, number: usize) -> Page {
    let mut content_type = content_type(asked);
    let id = match asked.route.dialect {
        Dialect::Messages | Dialect::CountTokens => "request-id",
        Dialect::Converse => "x-amzn-requestid",
        Dialect::Chat
        | Dialect::Responses
        | Dialect::Completions
        | Dialect::Embeddings
        | Dialect::Gemini => "x-request-id",
    };
    let mut headers = vec![(id, format!("req_standin{number:010}"))];
    if asked.streamed() {
        headers.push(("cache-control", "no-cache".to_owned()));
    }
    let (mut events, ending) = faulty(reply, asked, number);
    if let Fault::ContentType(other) = &reply.fault {
        content_type = other;
    }
    if reply.fault == Fault::Gzip {
        events = vec![gzip(&events.concat())];
        headers.push(("content-encoding", "gzip".to_owned()));
    }
    headers.push(("content-type", content_type.to_owned()));
    if let (false, Some(length)) = (asked.streamed(), announced(reply, &events, ending.as_slice()))
    {
        headers.push(("content-length", length.to_string()));
    }
    Page { status: 200, headers, steps: steps(reply, events, ending) }
}

/// The `content-length` of a JSON body: what it would be if nothing stopped it.
fn announced(reply: &Reply, events: &[Vec<u8>], ending: &[Step]) -> Option<usize> {
    let sent: usize = events.iter().map(Vec::len).sum();
    match (&reply.fault, ending) {
        (Fault::Endless { .. }, _) => None,
        (_, [] | [Step::Cut(Cut::End)]) => Some(sent),
        // More is announced than will come.
        (_, _) => Some(sent * 2),
    }
}

fn content_type(asked: &Asked<'_>) -> &'static str {
    match asked.route.dialect {
        _ if !asked.streamed() => "application/json",
        Dialect::Converse => "application/vnd.amazon.eventstream",
        Dialect::Gemini if !asked.route.events => "application/json",
        Dialect::Chat
        | Dialect::Responses
        | Dialect::Completions
        | Dialect::Embeddings
        | Dialect::Messages
        | Dialect::CountTokens
        | Dialect::Gemini => "text/event-stream; charset=utf-8",
    }
}

/// The framed events of an answer without its fault; a JSON body is one event.
pub(super) fn events(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Vec<u8>> {
    if !asked.streamed() {
        return vec![written(reply, &whole(reply, asked, number)).into_bytes()];
    }
    let events = streamed(reply, asked, number);
    if asked.route.dialect == Dialect::Gemini && !asked.route.events {
        return listed(reply, &events);
    }
    let mut framed: Vec<Vec<u8>> = events.iter().map(|it| self::framed(reply, asked, it)).collect();
    if matches!(asked.route.dialect, Dialect::Chat | Dialect::Completions) {
        framed.push(line(reply, None, "[DONE]"));
    }
    framed
}

fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    match asked.route.dialect {
        Dialect::Chat => chat::whole(reply, asked, number),
        Dialect::Responses => responses::whole(reply, asked, number),
        Dialect::Completions => legacy::whole(reply, asked, number),
        Dialect::Embeddings => legacy::embeddings(asked),
        Dialect::Messages => messages::whole(reply, asked, number),
        Dialect::CountTokens => messages::count(reply, asked),
        Dialect::Converse => converse::whole(reply, asked),
        Dialect::Gemini => gemini::whole(reply, asked, number),
    }
}

fn streamed(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Event> {
    let unnamed = |chunks: Vec<Value>| chunks.into_iter().map(Event::unnamed).collect();
    match asked.route.dialect {
        Dialect::Chat => unnamed(chat::chunks(reply, asked, number)),
        Dialect::Completions => unnamed(legacy::chunks(reply, asked, number)),
        Dialect::Gemini => unnamed(gemini::chunks(reply, asked, number)),
        Dialect::Responses => responses::events(reply, asked, number),
        Dialect::Messages => messages::events(reply, asked, number),
        Dialect::Converse => converse::events(reply, asked),
        Dialect::Embeddings | Dialect::CountTokens => Vec::new(),
    }
}

/// Gemini's stream without `alt=sse`: a JSON array that comes in pieces.
fn listed(reply: &Reply, events: &[Event]) -> Vec<Vec<u8>> {
    let piece = |(at, event): (usize, &Event)| {
        let before = if at == 0 { "[" } else { ",\r\n" };
        format!("{before}{}", written(reply, &event.data)).into_bytes()
    };
    events.iter().enumerate().map(piece).chain([b"]".to_vec()]).collect()
}

fn written(reply: &Reply, value: &Value) -> String {
    let text = value.to_string();
    if !reply.ascii {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units);
            escaped.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}

/// An event as it stands on the wire of its dialect.
fn framed(reply: &Reply, asked: &Asked<'_>, event: &Event) -> Vec<u8> {
    let data = written(reply, &event.data);
    let name = event.name.as_deref();
    if asked.route.dialect != Dialect::Converse {
        return line(reply, name, &data);
    }
    let kind = if event.exception { "exception" } else { "event" };
    let naming = if event.exception { ":exception-type" } else { ":event-type" };
    let headers = [
        (naming, name.unwrap_or_default()),
        (":content-type", "application/json"),
        (":message-type", kind),
    ];
    eventstream::message(&headers, data.as_bytes())
}

/// A server-sent event (WHATWG HTML section 9.2).
fn line(reply: &Reply, name: Option<&str>, data: &str) -> Vec<u8> {
    let (blank, end) = match reply.framing {
        Framing::Plain | Framing::Comments => (" ", "\n"),
        Framing::Crlf => (" ", "\r\n"),
        Framing::Tight => ("", "\n"),
    };
    let comment = match reply.framing {
        Framing::Comments => ": keep-alive\n\n",
        Framing::Plain | Framing::Crlf | Framing::Tight => "",
    };
    let name = name.map(|name| format!("event:{blank}{name}{end}")).unwrap_or_default();
    format!("{comment}{name}data:{blank}{data}{end}{end}").into_bytes()
}

/// The events with the fault worked in, and what happens after the last of them.
fn faulty(reply: &Reply, asked: &Asked<'_>, number: usize) -> (Vec<Vec<u8>>, Vec<Step>) {
    let mut events = events(reply, asked, number);
    let frame = |text: &str| {
        if asked.streamed() { line(reply, None, text) } else { text.as_bytes().to_vec() }
    };
    // What was said before the fault: whole events of a stream, half of a JSON body.
    let before = |after: usize| -> Vec<Vec<u8>> {
        if asked.streamed() {
            return events.iter().take(after).cloned().collect();
        }
        events.iter().map(|body| body.iter().take(body.len() / 2).copied().collect()).collect()
    };
    match &reply.fault {
        Fault::Hang { after } => (before(*after), vec![Step::Hang]),
        Fault::Cut { after, how } => {
            (before(*after), vec![Step::Wait(BEFORE_CUT), Step::Cut(*how)])
        }
        Fault::Garbage { after } => {
            let mut events = before(*after);
            events.push(vec![0xff, 0xfe, 0x00, b'd', 0xc3, 0x28, b'\n', b'\n', 0x80, b'\n']);
            (events, vec![Step::Cut(Cut::End)])
        }
        Fault::Error { after } => {
            let mut sent = if asked.streamed() { before(*after) } else { Vec::new() };
            sent.push(if asked.streamed() {
                framed(reply, asked, &error_event(asked, sent.len()))
            } else {
                telling_error(asked, 500).to_string().into_bytes()
            });
            (sent, vec![Step::Cut(Cut::End)])
        }
        Fault::Endless { after } => {
            let mut sent = before(*after);
            sent.push(b"data: {\"x\":\"".to_vec());
            let block = Bytes::from(vec![b'a'; ENDLESS_BLOCK_BYTES]);
            let blocks = (0..ENDLESS_BLOCKS).map(|_| Step::Send(block.clone()));
            (sent, blocks.chain([Step::Cut(Cut::Fin)]).collect())
        }
        Fault::BrokenJson { .. } if !asked.streamed() => (before(0), vec![Step::Cut(Cut::End)]),
        Fault::BrokenJson { after } => {
            let broken = frame("{\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion.chu");
            events.insert((*after).min(events.len()), broken);
            (events, Vec::new())
        }
        Fault::Huge { after, bytes } => {
            let huge = Reply::text(&"a".repeat(*bytes)).in_pieces(Pieces::Whole);
            let mut inflated = self::events(&huge, asked, number);
            if !asked.streamed() {
                return (inflated, Vec::new());
            }
            // The longest event of a stream is the first that has it all.
            let longest = inflated.iter().map(Vec::len).max().unwrap_or(0);
            inflated.retain(|event| event.len() == longest);
            events.insert((*after).min(events.len()), inflated.swap_remove(0));
            (events, Vec::new())
        }
        Fault::TalkAfterDone if asked.streamed() => {
            let again = reply.clone().in_pieces(Pieces::Whole);
            events.extend(self::events(&again, asked, number).into_iter().nth(1));
            (events, Vec::new())
        }
        Fault::None
        | Fault::HangBeforeHeaders
        | Fault::Status { .. }
        | Fault::Redirect { .. }
        | Fault::ContentType(_)
        | Fault::Html
        | Fault::Gzip
        | Fault::TalkAfterDone => (events, Vec::new()),
    }
}

/// Cuts the events into writes, with the pauses between them.
fn steps(reply: &Reply, events: Vec<Vec<u8>>, ending: Vec<Step>) -> VecDeque<Step> {
    let pieces = match &reply.split {
        Split::Events => events,
        Split::Whole => vec![events.concat()],
        Split::Bytes(count) => {
            events.concat().chunks((*count).max(1)).map(<[u8]>::to_vec).collect()
        }
        Split::At(places) => cut(&events.concat(), places),
    };
    let mut steps = VecDeque::new();
    if !reply.first_after.is_zero() {
        steps.push_back(Step::Wait(reply.first_after));
    }
    let mut first = true;
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        if !std::mem::take(&mut first) && !reply.pause.is_zero() {
            steps.push_back(Step::Wait(reply.pause));
        }
        steps.push_back(Step::Send(piece.into()));
    }
    steps.extend(ending);
    steps
}

fn cut(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places.iter().map(|&place| place.min(bytes.len())).collect();
    places.push(bytes.len());
    places.sort_unstable();
    let mut begin = 0;
    let mut pieces = Vec::new();
    for end in places {
        pieces.push(bytes.get(begin..end).unwrap_or_default().to_vec());
        begin = end;
    }
    pieces
}

/// A gzip member (RFC 1952) of stored blocks (RFC 1951 section 3.2.4): valid, and not smaller.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_where_asked_and_nothing_is_lost() {
        for place in 0..8 {
            assert_eq!(cut(b"abcdef", &[place, place, 2]).concat(), b"abcdef");
        }
        assert_eq!(cut(b"abcdef", &[2, 4]), [b"ab", b"cd", b"ef"]);
    }

    #[test]
    fn escapes_outside_ascii_read_back_as_the_same_text() {
        let value = json!({ "name": "Sólveig ✓ 🩺" });
        let text = written(&Reply::echo().in_ascii(), &value);
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
