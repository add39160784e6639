//! Reads the body of an answer, and takes a stream apart into its events.

use crate::client::{Client, Head, Request};
use crate::upstream::eventstream;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of an answer that are read: the longest vector says some thousands.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// The connection broke.
    Broken,
    /// Nothing more came for the given time.
    Silent,
}

/// What came over the wire.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) end: End,
}

/// Sends a request and reads until the body ends, or until nothing came for `patience`.
///
/// # Errors
/// When no answer begins.
pub(super) async fn call(
    address: SocketAddr,
    request: &Request,
    patience: Duration,
) -> io::Result<Came> {
    let mut client = Client::connect(address).await?;
    client.send(request).await?;
    let head = tokio::time::timeout(patience, client.head()).await??;
    let mut body = Vec::new();
    let end = loop {
        match tokio::time::timeout(patience, client.piece()).await {
            Err(_) => break End::Silent,
            Ok(Err(_)) => break End::Broken,
            Ok(Ok(None)) => break End::Whole,
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
        }
        if body.len() > BODY_LIMIT {
            break End::Broken;
        }
    };
    Ok(Came { head, body, end })
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
    /// Data that is no JSON, as it stands: `[DONE]`.
    pub(super) word: String,
}

/// Takes server-sent events apart (WHATWG HTML section 9.2). What is wrong with the form comes second.
pub(super) fn sse(body: &[u8]) -> (Vec<Event>, Vec<String>) {
    let Ok(text) = std::str::from_utf8(body) else {
        return (Vec::new(), vec!["the stream is not UTF-8".to_owned()]);
    };
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            if !data.is_empty() {
                let word = std::mem::take(&mut data).join("\n");
                let json = serde_json::from_str(&word);
                if json.is_err() && word != "[DONE]" {
                    faults.push("the data of an event is not JSON".to_owned());
                }
                let data = json.unwrap_or(Value::Null);
                events.push(Event { name: name.clone(), data, word });
            }
            name.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push(value.to_owned()),
            "event" => value.clone_into(&mut name),
            // Comments, ids and retry times say nothing here.
            "" | "id" | "retry" => {}
            _ => faults.push("a line of the stream is no field".to_owned()),
        }
    }
    (events, faults)
}

/// Takes messages of Amazon's framing apart, checksums included.
pub(super) fn messages(body: &[u8]) -> (Vec<Event>, Vec<String>) {
    let (mut events, mut rest) = (Vec::new(), body);
    loop {
        match eventstream::take(rest) {
            Ok(Some((message, length))) => {
                let exception = message.header(":exception-type");
                let name = exception.or(message.header(":event-type")).unwrap_or_default();
                let data = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                let word = message.header(":message-type").unwrap_or_default().to_owned();
                events.push(Event { name: name.to_owned(), data, word });
                rest = rest.get(length..).unwrap_or_default();
            }
            Ok(None) => return (events, Vec::new()),
            Err(fault) => return (events, vec![fault]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read_in_every_form_that_servers_write() {
        let body = b": hi\n\nevent: a\r\ndata: {\"x\":\r\ndata: 1}\r\n\r\ndata:[DONE]\n\ndata: cut";
        let (events, faults) = sse(body);
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].name.as_str(), &events[0].data), ("a", &json!({ "x": 1 })));
        assert_eq!(events[1].word, "[DONE]");
        assert_eq!(sse(b"data: {x\n\nodd\n\n").1.len(), 2);
        assert_eq!(sse(&[0xff]).1.len(), 1);
    }
}
