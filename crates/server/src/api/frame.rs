//! How the events of a streamed answer are framed, and how it ends, in each dialect.

use super::ask::family;
use super::error::{ApiError, Family};
use bytes::Bytes;
use gate::Outcome;
use gate::rules::Api;
use gate::shape::Word;
use gate::stream::{Frame, Window};
use phi::Text;
use providers::event_message;
use service::Ended;

/// The events of a response that was streamed before, as they were streamed.
pub(super) fn recorded(events: &[(Text, Text)]) -> Bytes {
    let mut out = Vec::with_capacity(events.iter().map(|(_, data)| data.len() + 64).sum());
    for (name, data) in events {
        // A name that is no word would end its line.
        let name = Word::parse(name.expose());
        let name = name.as_ref().map(Word::as_str);
        Framing::of(Api::Responses).event(&mut out, name, data.expose());
    }
    Bytes::from(out)
}

/// The framing of one dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing(Api);

impl Framing {
    pub(super) const fn of(api: Api) -> Self {
        Self(api)
    }

    pub(super) const fn content_type(self) -> &'static str {
        match family(self.0) {
            Family::Bedrock => "application/vnd.amazon.eventstream",
            Family::OpenAi | Family::Anthropic | Family::Google | Family::Mcp => {
                "text/event-stream"
            }
        }
    }

    pub(super) fn window(self, window: &Window) -> Bytes {
        let mut out = Vec::with_capacity(512);
        for frame in window.frames() {
            self.frame(&mut out, frame);
        }
        Bytes::from(out)
    }

    fn frame(self, out: &mut Vec<u8>, frame: &Frame) {
        let name = frame.name.as_ref().map(gate::shape::Word::as_str);
        self.event(out, name, frame.data.expose());
    }

    fn event(self, out: &mut Vec<u8>, name: Option<&str>, data: &str) {
        if family(self.0) == Family::Bedrock {
            out.extend_from_slice(&event_message(name.unwrap_or_default(), data));
            return;
        }
        if let Some(name) = name {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(name.as_bytes());
            out.push(b'\n');
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data.as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    /// The last window, and how the stream ends: as the dialect ends a whole one, or with an error and
    /// without that end.
    pub(super) fn last(self, ended: &Ended) -> Bytes {
        let mut out = Vec::new();
        let Some(released) = &ended.released else {
            self.error(&mut out, &ApiError::unrecorded().of_exchange(ended.exchange));
            return Bytes::from(out);
        };
        let (_, outcome, _) = &**released;
        if let Outcome::Streamed(window) | Outcome::UpstreamFailed(_, Some(window)) = outcome {
            out.extend_from_slice(&self.window(window));
        }
        match ApiError::of_outcome(outcome) {
            Some(error) => self.error(&mut out, &error.of_exchange(ended.exchange)),
            None => match self.0 {
                Api::ChatCompletions | Api::Completions => self.event(&mut out, None, "[DONE]"),
                // Their last event says that it is the last, or the connection's end does.
                Api::Embeddings
                | Api::Responses
                | Api::Messages
                | Api::CountTokens
                | Api::Converse
                | Api::GenerateContent
                | Api::Mcp => {}
            },
        }
        Bytes::from(out)
    }

    fn error(self, out: &mut Vec<u8>, error: &ApiError) {
        let document = error.document(family(self.0));
        match self.0 {
            Api::ChatCompletions
            | Api::Completions
            | Api::Embeddings
            | Api::GenerateContent
            | Api::Mcp => {
                self.event(out, None, &document);
            }
            Api::Responses => {
                let event = serde_json::json!({
                    "type": "error",
                    "code": error.code(),
                    "message": error.message(),
                    "param": null,
                    "sequence_number": 0,
                });
                self.event(out, Some("error"), &event.to_string());
            }
            Api::Messages | Api::CountTokens => self.event(out, Some("error"), &document),
            Api::Converse => {
                out.extend_from_slice(&providers::exception_message(error.exception(), &document));
            }
        }
    }
}
