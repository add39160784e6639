//! What a model said, put together from a `chat.completion` or from its chunks.

use super::Event;
use serde_json::Value;

/// One tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Its id.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments, as the text that they are.
    pub arguments: String,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The text.
    pub content: String,
    /// The refusal.
    pub refusal: String,
    /// What was thought aloud (`reasoning_content`).
    pub reasoning: String,
    /// The tool calls, by index.
    pub tool_calls: Vec<ToolCall>,
    /// The text of the log probabilities' tokens, joined.
    pub logprob_text: String,
    /// Why it ended; empty when it did not.
    pub finish_reason: String,
}

/// Everything that one answer said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The choices, by index.
    pub choices: Vec<Choice>,
    /// The usage object, if there was one.
    pub usage: Option<Value>,
    /// The error object, if there was one.
    pub error: Option<Value>,
    /// Whether it ended as it should: JSON without an error, or `[DONE]`.
    pub done: bool,
}

/// Indices beyond this are nonsense.
const INDEX_LIMIT: usize = 1024;

fn at<T: Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    let index = index.min(INDEX_LIMIT);
    while list.len() <= index {
        list.push(T::default());
    }
    // The list was just made long enough.
    #[expect(clippy::indexing_slicing, reason = "the loop above made the list long enough")]
    &mut list[index]
}

fn index(value: &Value) -> Option<usize> {
    value.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Answer {
    /// From a `chat.completion`, or from an error object.
    #[must_use]
    pub fn from_json(body: &Value) -> Self {
        let mut answer = Self::default();
        answer.add(body, "message");
        answer.done = answer.error.is_none() && !answer.choices.is_empty();
        answer
    }

    /// From the events of a stream.
    #[must_use]
    pub fn from_events(events: &[Event]) -> Self {
        let mut answer = Self::default();
        for event in events {
            answer.add(&event.json(), "delta");
            answer.done |= event.data == "[DONE]";
        }
        answer
    }

    /// The text of the first choice.
    #[must_use]
    pub fn content(&self) -> &str {
        self.choices.first().map(|choice| choice.content.as_str()).unwrap_or_default()
    }

    /// The arguments of the first choice's tool call with this index.
    #[must_use]
    pub fn arguments(&self, index: usize) -> &str {
        let call = self.choices.first().and_then(|choice| choice.tool_calls.get(index));
        call.map(|call| call.arguments.as_str()).unwrap_or_default()
    }

    fn add(&mut self, body: &Value, part: &str) {
        let known = |key: &str| body.get(key).filter(|value| !value.is_null()).cloned();
        self.usage = known("usage").or(self.usage.take());
        self.error = known("error").or(self.error.take());
        for choice in body.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let to = at(&mut self.choices, index(choice).unwrap_or(0));
            let said = choice.get(part).unwrap_or(&Value::Null);
            to.content.push_str(text(said, "/content"));
            to.refusal.push_str(text(said, "/refusal"));
            to.reasoning.push_str(text(said, "/reasoning_content"));
            to.finish_reason.push_str(text(choice, "/finish_reason"));
            let tokens = choice.pointer("/logprobs/content").and_then(Value::as_array);
            for token in tokens.into_iter().flatten() {
                to.logprob_text.push_str(text(token, "/token"));
            }
            let calls = said.get("tool_calls").and_then(Value::as_array);
            for (place, call) in calls.into_iter().flatten().enumerate() {
                let to = at(&mut to.tool_calls, index(call).unwrap_or(place));
                to.id.push_str(text(call, "/id"));
                to.name.push_str(text(call, "/function/name"));
                to.arguments.push_str(text(call, "/function/arguments"));
            }
        }
    }
}
