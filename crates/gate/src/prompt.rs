//! A prompt and an answer, as the gate sees them: text parts and the shape around them.

use crate::outcome::Refusal;
use crate::rules::{Api, Destination};
use crate::shape::{Json, PartId, Shape, Word};
use crate::terms::Capability;
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A prompt, taken apart by its dialect.
///
/// Every piece of text in it is a part; the draft holds none. The bytes as written are kept for the
/// record, and for sending unchanged when nothing has to change.
#[derive(Debug)]
pub struct Prompt {
    /// What was asked, without its text.
    pub draft: Arc<dyn Draft>,
    /// The pieces of text, numbered by their place in this list.
    pub parts: Vec<PromptPart>,
    /// The bytes that the caller wrote.
    pub written: Text,
}

/// The pieces of text as they are searched: each with the name of the member that holds it.
pub(crate) fn parts_of(prompt: &Prompt) -> Vec<phi::Part<'_>> {
    let parts = prompt.parts.iter();
    parts
        .map(|part| phi::Part {
            text: part.text.expose(),
            label: part.label.as_ref().map(Text::expose),
        })
        .collect()
}

/// A request without its text, which writes itself in the dialect of whichever destination the
/// policy decides on.
///
/// It is the one seam between the gate and the dialects. What it hands out is a [`Shape`], which
/// can hold no text: whatever a dialect makes of a request, nothing leaves that was not scanned.
pub trait Draft: fmt::Debug + Send + Sync {
    /// The call of the destination's interface that says the same. `parts` are there to be compared,
    /// as the ids of tool calls are.
    ///
    /// # Errors
    /// The refusal, when the destination's dialect has no words for something that was asked.
    fn write(&self, destination: &Destination, parts: &[PromptPart]) -> Result<Call<'_>, Refusal>;
}

/// One call of a destination's interface.
#[derive(Debug)]
pub struct Call<'a> {
    /// The interface.
    pub api: Api,
    /// The body.
    pub shape: Cow<'a, Shape>,
    /// Whether the bytes as written are this body already, so that they can be sent unchanged if
    /// neither a text nor the model's name has to change.
    pub as_written: bool,
    /// What the call makes use of beside a plain answer, as far as the vendor's terms may differ for it.
    pub capabilities: BTreeSet<Capability>,
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
    /// Whether a model signed it, as it signs its reasoning. What looks like a surrogate in it stays
    /// as it is, because the signature would not verify otherwise; identifiers in it are treated all
    /// the same.
    pub signed: bool,
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
        self.push(PromptPart { place, label: label.cloned(), text, signed: false })
    }

    /// Takes a piece of text out that a model signed.
    pub fn take_signed(&mut self, place: &'static str, text: Text) -> PartId {
        self.push(PromptPart { place, label: None, text, signed: true })
    }

    fn push(&mut self, part: PromptPart) -> PartId {
        self.0.push(part);
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
    /// How values are written into it; absent when it stays as it came, because the model signed it.
    pub restore: Option<Escape>,
    /// Whether the stream ends with this piece, so that nothing may be held back after it.
    pub last: bool,
    /// Whether the piece only says again what others said, as some dialects do at the end of a
    /// stream: then it is not counted twice.
    pub again: bool,
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
    pub name: Option<Word>,
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
