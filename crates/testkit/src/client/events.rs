//! A stream of server-sent events, with the time at which each arrived.

use super::{Answer, Client, Head, Request};
use bytes::BytesMut;
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of one event that are kept before giving up.
const EVENT_LIMIT: usize = 256 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The value of its `event` field, if it has one.
    pub name: Option<String>,
    /// Its data.
    pub data: String,
    /// When its last byte arrived, counted from the sending of the request.
    pub after: Duration,
}

impl Event {
    /// The data as JSON; `Null` when it is none (`[DONE]`).
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Whether it carries text of the first choice.
    #[must_use]
    pub fn has_content(&self) -> bool {
        let json = self.json();
        json.pointer("/choices/0/delta/content")
            .and_then(Value::as_str)
            .is_some_and(|it| !it.is_empty())
    }
}

/// A stream that is being read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Events {
    /// Status and headers.
    pub head: Head,
    client: Client,
    sent: Instant,
    unread: BytesMut,
    ready: VecDeque<Event>,
    name: Option<String>,
    data: Vec<String>,
}

impl Events {
    pub(super) async fn open(mut client: Client, request: &Request) -> io::Result<Self> {
        let sent = Instant::now();
        client.send(request).await?;
        let head = client.head().await?;
        let (unread, ready) = (BytesMut::new(), VecDeque::new());
        Ok(Self { head, client, sent, unread, ready, name: None, data: Vec::new() })
    }

    /// The next event; none at the proper end of the body.
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(piece) = self.client.piece().await? else { return Ok(None) };
            self.unread.extend_from_slice(&piece);
            if self.unread.len() > EVENT_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an event without an end"));
            }
            self.parse();
        }
    }

    /// Reads to the end.
    pub async fn collect(mut self) -> Transcript {
        let mut events = Vec::new();
        let end = loop {
            match self.next().await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        Transcript { head: self.head, events, end }
    }

    /// The rest of the body as it stands, for a response that is no stream (an error).
    ///
    /// # Errors
    /// When the connection ends before the body does.
    pub async fn text(mut self) -> io::Result<String> {
        while let Some(piece) = self.client.piece().await? {
            self.unread.extend_from_slice(&piece);
        }
        Ok(String::from_utf8_lossy(&self.unread).into_owned())
    }

    /// Walks away with a TCP reset, as a killed program does.
    ///
    /// # Errors
    /// When the socket refuses the option.
    pub fn abort(self) -> io::Result<()> {
        self.client.abort()
    }

    /// Takes whole lines; an empty one ends an event (WHATWG HTML section 9.2.6).
    fn parse(&mut self) {
        while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line = self.unread.split_to(end + 1);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => self.finish(),
                "data" => self.data.push(value.to_owned()),
                "event" => self.name = Some(value.to_owned()),
                // Comments, ids and retry times say nothing here.
                _ => {}
            }
        }
    }

    fn finish(&mut self) {
        let name = self.name.take();
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data).join("\n");
            self.ready.push_back(Event { name, data, after: self.sent.elapsed() });
        }
    }
}

/// A stream that has ended.
#[derive(Debug)]
pub struct Transcript {
    /// Status and headers.
    pub head: Head,
    /// Every event.
    pub events: Vec<Event>,
    /// How it ended: an error when the connection broke before the body's end.
    pub end: io::Result<()>,
}

impl Transcript {
    /// What the model said.
    #[must_use]
    pub fn answer(&self) -> Answer {
        Answer::from_events(&self.events)
    }

    /// Time to the first event that carries text of the first choice.
    #[must_use]
    pub fn first_token(&self) -> Option<Duration> {
        self.events.iter().find(|event| event.has_content()).map(|event| event.after)
    }
}
