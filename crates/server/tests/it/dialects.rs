//! One prompt in each dialect, for JSON and for a stream, and how its answers and errors are told apart.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::client::{Client, Head, Request};
use tokio::task::JoinSet;

/// Longer than any timeout of a test's configuration.
const HEAR_LIMIT: Duration = Duration::from_mins(1);

/// A dialect, and whether a stream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Chat { stream: bool },
    Messages { stream: bool },
    Converse { stream: bool },
    Gemini { stream: bool },
}

impl Speaks {
    pub(crate) const ALL: [Self; 8] = [
        Self::Chat { stream: false },
        Self::Chat { stream: true },
        Self::Messages { stream: false },
        Self::Messages { stream: true },
        Self::Converse { stream: false },
        Self::Converse { stream: true },
        Self::Gemini { stream: false },
        Self::Gemini { stream: true },
    ];

    const fn stream(self) -> bool {
        match self {
            Self::Chat { stream }
            | Self::Messages { stream }
            | Self::Converse { stream }
            | Self::Gemini { stream } => stream,
        }
    }

    /// This text, asked with this key.
    pub(crate) fn request(self, text: &str, key: &str) -> Request {
        let message = json!([{ "role": "user", "content": text }]);
        let (path, body) = match self {
            Self::Chat { stream } => (
                "/v1/chat/completions",
                json!({ "model": "stand-in", "messages": message, "stream": stream }),
            ),
            Self::Messages { stream } => (
                "/v1/messages",
                json!({ "model": "stand-in", "max_tokens": 4096, "messages": message,
                        "stream": stream }),
            ),
            Self::Converse { stream } => (
                if stream { "/model/stand-in/converse-stream" } else { "/model/stand-in/converse" },
                json!({ "messages": [{ "role": "user", "content": [{ "text": text }] }] }),
            ),
            Self::Gemini { stream } => (
                if stream {
                    "/v1beta/models/stand-in:streamGenerateContent?alt=sse"
                } else {
                    "/v1beta/models/stand-in:generateContent"
                },
                json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
            ),
        };
        Request::post(path, &body).bearer(key)
    }

    /// The stable code of an error in this dialect's own form.
    pub(crate) fn code_in(self, error: &Value) -> Option<String> {
        let is_text = |pointer: &str| error.pointer(pointer).is_some_and(Value::is_string);
        let (code, whole) = match self {
            Self::Chat { .. } => {
                ("/error/code", is_text("/error/type") && is_text("/error/message"))
            }
            Self::Messages { .. } => {
                let typed = error.pointer("/type") == Some(&json!("error"));
                ("/error/code", typed && is_text("/error/type") && is_text("/error/message"))
            }
            Self::Converse { .. } => ("/code", is_text("/message")),
            Self::Gemini { .. } => (
                "/error/details/0/reason",
                is_text("/error/status")
                    && is_text("/error/message")
                    && error.pointer("/error/code").is_some_and(Value::is_u64),
            ),
        };
        let code = error.pointer(code).and_then(Value::as_str)?;
        assert!(whole, "{self:?}: not the form of an error: {error}");
        Some(code.to_owned())
    }

    /// With what a stream ends that is whole.
    const fn end(self) -> &'static str {
        match self {
            Self::Chat { .. } => "data: [DONE]",
            Self::Messages { .. } => "message_stop",
            Self::Converse { .. } => "\"usage\":",
            Self::Gemini { .. } => "finishReason",
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) speaks: Speaks,
    pub(crate) head: Head,
    pub(crate) status: u16,
    body: String,
}

impl Heard {
    /// The exchange, when it was one.
    pub(crate) fn exchange(&self) -> Option<&str> {
        self.head.header("x-request-id")
    }

    pub(crate) fn text(&self) -> &str {
        &self.body
    }

    pub(crate) fn began_to_stream(&self) -> bool {
        self.status == 200 && self.speaks.stream()
    }

    /// Whether it is a whole answer.
    pub(crate) fn is_whole(&self) -> bool {
        let ended = !self.speaks.stream() || self.body.contains(self.speaks.end());
        self.status == 200 && ended && self.error().is_none()
    }

    /// The code of the error that it is, or that its stream ended with.
    pub(crate) fn code(&self) -> Option<String> {
        self.error().and_then(|error| self.speaks.code_in(&error))
    }

    /// The text of the error; empty when there is none.
    pub(crate) fn error_text(&self) -> String {
        self.error().map(|error| error.to_string()).unwrap_or_default()
    }

    fn error(&self) -> Option<Value> {
        if self.status != 200 {
            if matches!(self.speaks, Speaks::Converse { .. }) {
                assert!(self.head.header("x-amzn-errortype").is_some(), "{self:?}");
            }
            let error = serde_json::from_str(&self.body);
            return Some(error.unwrap_or_else(|_| panic!("no error document: {self:?}")));
        }
        if !self.speaks.stream() {
            return None;
        }
        if let Speaks::Converse { .. } = self.speaks {
            // The payload of a frame stands between its headers and its checksum.
            let at = self.body.rfind("{\"message\":")?;
            let mut documents = serde_json::Deserializer::from_str(&self.body[at..]).into_iter();
            return documents.next()?.ok();
        }
        let datas = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        let documents = datas.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        documents.rev().find(|it| it.get("error").is_some_and(|it| !it.is_null()))
    }
}

/// Asks once and reads all that comes.
pub(crate) async fn hear(address: SocketAddr, speaks: Speaks, request: &Request) -> Heard {
    let hearing = async {
        let mut client = Client::connect(address).await.unwrap();
        client.send(request).await.unwrap();
        let head = client.head().await.unwrap();
        let mut body = Vec::new();
        while let Some(piece) = client.piece().await.unwrap() {
            body.extend_from_slice(&piece);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Heard { speaks, status: head.status, head, body }
    };
    tokio::time::timeout(HEAR_LIMIT, hearing).await.unwrap()
}

/// Asks the same in every dialect, for JSON and for a stream, all at once.
pub(crate) async fn ask_in_every_dialect(address: SocketAddr, key: &str, text: &str) -> Vec<Heard> {
    let mut asking = JoinSet::new();
    for speaks in Speaks::ALL {
        let request = speaks.request(text, key);
        asking.spawn(async move { hear(address, speaks, &request).await });
    }
    asking.join_all().await
}
