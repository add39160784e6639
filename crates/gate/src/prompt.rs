//! A prompt and an answer, as the gate sees them: text parts and the shape around them.

use crate::shape::{Json, PartId, Shape};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;

/// A prompt, taken apart by its dialect.
///
/// Every piece of text in it is a part; the shape holds none. The bytes as written are kept for the
/// record, and for sending unchanged when nothing has to change.
#[derive(Debug)]
pub struct Prompt {
    /// The tree around the parts.
    pub shape: Shape,
    /// The pieces of text, numbered by their place in this list.
    pub parts: Vec<PromptPart>,
    /// The bytes that the caller wrote.
    pub written: Text,
    /// How an answer's own text is to be restored: as JSON when the caller asked for a JSON answer.
    pub answer_escape: Escape,
}

/// One piece of a prompt's text.
#[derive(Debug)]
pub struct PromptPart {
    /// Where in the request it stands, in the dialect's words: `messages.content`.
    pub place: &'static str,
    /// The name of the JSON member that holds it, when a caller chose that name.
    pub label: Option<Text>,
    /// The text.
    pub text: Text,
}

/// Collects the parts of a prompt while a dialect walks it.
#[derive(Debug, Default)]
pub struct Parts(Vec<PromptPart>);

impl Parts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a piece of text out and returns its number.
    pub fn take(&mut self, place: &'static str, label: Option<&Text>, text: Text) -> PartId {
        self.0.push(PromptPart { place, label: label.cloned(), text });
        self.0.len() - 1
    }

    /// Takes everything out of a JSON value whose form the dialect leaves to the caller: strings,
    /// numbers and the names of members.
    pub fn take_all(&mut self, place: &'static str, label: Option<&Text>, json: Json) -> Shape {
        match json {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(value),
            Json::Number(number) => {
                Shape::NumberPart(self.take(place, label, Text::new(number.to_string())))
            }
            Json::Text(text) => Shape::Part(self.take(place, label, text)),
            Json::List(items) => Shape::List(
                items.into_iter().map(|item| self.take_all(place, label, item)).collect(),
            ),
            Json::Map(members) => Shape::Map(
                members
                    .into_iter()
                    .map(|(name, value)| {
                        let value = self.take_all(place, Some(&name), value);
                        (crate::shape::Key::Part(self.take(place, None, name)), value)
                    })
                    .collect(),
            ),
        }
    }

    /// The parts.
    #[must_use]
    pub fn into_vec(self) -> Vec<PromptPart> {
        self.0
    }
}

/// A model's whole answer, taken apart by its dialect.
#[derive(Debug)]
pub struct Answer {
    /// The tree around the parts.
    pub shape: Shape,
    /// The pieces of text.
    pub parts: Vec<AnswerPart>,
    /// The bytes that came.
    pub received: Text,
    /// Tokens, as the model server counted them.
    pub usage: Option<Usage>,
    /// The model server's own id of the request.
    pub upstream_request: Option<String>,
}

/// One piece of an answer's text.
#[derive(Debug)]
pub struct AnswerPart {
    /// The stream that the piece continues; absent when the piece is whole in itself.
    pub lane: Option<Lane>,
    /// How values are written into it.
    pub escape: Escape,
    /// Whether the stream ends with this piece, so that nothing may be held back after it.
    pub last: bool,
    /// The text.
    pub text: Text,
}

/// One stream of text inside an answer: the content of a choice, the arguments of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The choice, or the content block.
    pub choice: u64,
    /// The field, in the dialect's words: `content`, `arguments`.
    pub field: &'static str,
    /// The tool call among those of the choice; 0 elsewhere.
    pub call: u64,
}

/// One event of a streamed answer, taken apart by its dialect.
#[derive(Debug)]
pub struct StreamEvent {
    /// The event's name, in dialects that name them.
    pub name: Option<&'static str>,
    /// The tree around the parts.
    pub shape: Shape,
    /// The pieces of text.
    pub parts: Vec<AnswerPart>,
    /// The event's data as it came; empty for an event that the dialect made to carry a tail.
    pub received: Text,
    /// Whether the event is dropped when all of its parts are empty after restoring: it was made to
    /// carry a tail, and there was none.
    pub only_with_text: bool,
    /// Tokens, when this event counts them.
    pub usage: Option<Usage>,
}
