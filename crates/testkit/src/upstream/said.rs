//! What is said, with every source read: the same for all dialects.

use super::asked::{Asked, Dialect};
use super::reply::{Block, Pieces, Reply, Source, Tools};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// When every answer was made: a fixed moment, so that the same request gives the same bytes.
pub(super) const CREATED: u64 = 1_790_000_000;

/// Where cited documents are said to lie.
pub(super) const DOCUMENT_URL: &str = "https://documents.example/chart";

/// A document that is cited.
pub(super) struct Cited {
    pub(super) title: String,
    pub(super) text: String,
}

/// One block of an answer.
pub(super) enum Part {
    Text(String, Option<Cited>),
    Thinking { text: String, signature: String },
    Redacted(String),
    Call(Call),
    Refusal(String),
}

/// One tool call.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Call {
    /// The arguments as an object; text that is no JSON stands under `text`.
    pub(super) fn input(&self) -> Value {
        let parsed = serde_json::from_str(&self.arguments).ok().filter(Value::is_object);
        parsed.unwrap_or_else(|| json!({ "text": self.arguments }))
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    Calls,
    Filtered,
}

/// One answer.
pub(super) struct Said {
    pub(super) parts: Vec<Part>,
    pub(super) order: Tools,
    pub(super) finish: Finish,
    /// The reason in the words of the script, where it is none of the four.
    pub(super) finish_word: Option<String>,
    pub(super) logprobs: bool,
    /// Rough counts (four bytes to a word piece); only their presence and sum matter.
    pub(super) input: u64,
    pub(super) output: u64,
}

/// Reads every source of a reply.
pub(super) fn said(reply: &Reply, asked: &Asked<'_>) -> Said {
    let mut calls = 0;
    let part = |block: &Block| match block {
        Block::Text(source) => Part::Text(asked.text(source), None),
        Block::Cited(source, citation) => {
            let (title, text) = (asked.text(&citation.title), asked.text(&citation.cited));
            Part::Text(asked.text(source), Some(Cited { title, text }))
        }
        Block::Thinking(source, signature) => {
            Part::Thinking { text: asked.text(source), signature: signature.clone() }
        }
        Block::Redacted(data) => Part::Redacted(data.clone()),
        Block::Call(call) => {
            let id = format!("{}standin{calls:012}", call_prefix(asked.route.dialect));
            calls += 1;
            let arguments = asked.arguments(&call.arguments);
            Part::Call(Call { id, name: call.name.clone(), arguments })
        }
        Block::Refusal(source) => Part::Refusal(asked.text(source)),
    };
    let parts: Vec<Part> = reply.blocks.iter().map(part).collect();
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let finish = match reply.finish.as_deref() {
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::Filtered,
        Some("tool_calls") => Finish::Calls,
        None if calls > 0 => Finish::Calls,
        None if refused && asked.route.dialect != Dialect::Chat => Finish::Filtered,
        Some(_) | None => Finish::Stop,
    };
    let output = parts.iter().map(bytes_of).sum::<usize>().div_ceil(4) as u64 * asked.choices();
    Said {
        finish,
        finish_word: reply.finish.clone(),
        order: reply.order,
        logprobs: reply.logprobs || asked.wants_logprobs(),
        input: asked.text(&Source::AllMessages).len().div_ceil(4) as u64,
        output,
        parts,
    }
}

fn call_prefix(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "toolu_",
        Dialect::Converse => "tooluse_",
        Dialect::Chat
        | Dialect::Responses
        | Dialect::Completions
        | Dialect::Embeddings
        | Dialect::CountTokens
        | Dialect::Gemini => "call_",
    }
}

fn bytes_of(part: &Part) -> usize {
    match part {
        Part::Text(text, _) | Part::Refusal(text) | Part::Thinking { text, .. } => text.len(),
        Part::Redacted(data) => data.len(),
        Part::Call(call) => call.arguments.len(),
    }
}

impl Said {
    /// All text, joined, for a dialect that has one text; none when none was said.
    pub(super) fn text(&self) -> Option<String> {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text, _) => Some(text.as_str()),
            Part::Thinking { .. } | Part::Redacted(_) | Part::Call(_) | Part::Refusal(_) => None,
        });
        let texts: Vec<&str> = texts.collect();
        if texts.is_empty() { None } else { Some(texts.concat()) }
    }

    pub(super) fn refusal(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Refusal(text) => Some(text.as_str()),
            Part::Text(..) | Part::Thinking { .. } | Part::Redacted(_) | Part::Call(_) => None,
        })
    }

    pub(super) fn thinking(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Thinking { text, .. } => Some(text.as_str()),
            Part::Text(..) | Part::Refusal(_) | Part::Redacted(_) | Part::Call(_) => None,
        })
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            Part::Text(..) | Part::Thinking { .. } | Part::Redacted(_) | Part::Refusal(_) => None,
        })
    }

    /// Each citation, with the place of its text in the whole text.
    pub(super) fn cited(&self) -> Vec<(&Cited, usize, usize)> {
        let mut begin = 0;
        let mut found = Vec::new();
        for part in &self.parts {
            if let Part::Text(text, cited) = part {
                let end = begin + text.chars().count();
                found.extend(cited.as_ref().map(|cited| (cited, begin, end)));
                begin = end;
            }
        }
        found
    }
}

/// What of an answer a dialect has a form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Text that is thought.
    Thinking,
    /// A signature over what was thought.
    Signature,
    /// What was thought and is shown to nobody.
    Redacted,
    /// Tool calls.
    Calls,
    /// A refusal in a field or with a reason of its own.
    Refusal,
    /// The title of a cited document.
    Title,
    /// What a cited document says.
    CitedText,
    /// Log probabilities.
    Logprobs,
    /// More than one answer to a request.
    Choices,
}

/// Whether a dialect has a form for `feature`.
#[must_use]
pub const fn carries(dialect: Dialect, feature: Feature) -> bool {
    use Feature::{
        Calls, Choices, CitedText, Logprobs, Redacted, Refusal, Signature, Thinking, Title,
    };
    match dialect {
        Dialect::Chat => {
            matches!(feature, Thinking | Calls | Refusal | Title | Logprobs | Choices)
        }
        Dialect::Responses => {
            matches!(feature, Thinking | Signature | Redacted | Calls | Refusal | Title | Logprobs)
        }
        Dialect::Completions => matches!(feature, Logprobs | Choices),
        Dialect::Embeddings | Dialect::CountTokens => false,
        Dialect::Messages | Dialect::Converse => {
            matches!(feature, Thinking | Signature | Redacted | Calls | Refusal | Title | CitedText)
        }
        Dialect::Gemini => matches!(
            feature,
            Thinking | Signature | Calls | Refusal | Title | CitedText | Logprobs | Choices
        ),
    }
}

/// Cuts a text into pieces that join to it; none of them is empty.
pub(super) fn cut<'t>(text: &'t str, pieces: &Pieces) -> Vec<&'t str> {
    let mut places: Vec<usize> = match pieces {
        Pieces::Whole => Vec::new(),
        Pieces::Chars(count) => {
            text.char_indices().step_by((*count).max(1)).map(|(place, _)| place).collect()
        }
        Pieces::At(places) => places.iter().map(|&place| text.floor_char_boundary(place)).collect(),
    };
    places.push(text.len());
    places.sort_unstable();
    let mut rest = 0;
    let mut parts = Vec::new();
    for place in places {
        parts.extend(text.get(rest..place).filter(|part| !part.is_empty()));
        rest = rest.max(place);
    }
    parts
}

/// Several streams of events as one: one after the other, or an event of each in turn.
pub(super) fn ordered<T>(lanes: Vec<Vec<T>>, order: Tools) -> Vec<T> {
    match order {
        Tools::InTurn => lanes.into_iter().flatten().collect(),
        Tools::Interleaved => {
            let mut lanes: Vec<VecDeque<T>> = lanes.into_iter().map(VecDeque::from).collect();
            let mut events = Vec::new();
            while lanes.iter().any(|lane| !lane.is_empty()) {
                events.extend(lanes.iter_mut().filter_map(VecDeque::pop_front));
            }
            events
        }
    }
}

/// Puts members into an object.
pub(super) fn with(mut object: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text_wherever_it_is_cut() {
        let text = "né [NAME_AB12CD34] ✓";
        for place in 0..text.len() + 3 {
            assert_eq!(cut(text, &Pieces::At(vec![place, 3, place])).concat(), text);
            assert_eq!(cut(text, &Pieces::Chars(place)).concat(), text);
        }
        assert_eq!(cut("", &Pieces::Chars(1)), Vec::<&str>::new());
        assert_eq!(cut("abcdefg", &Pieces::Chars(3)), ["abc", "def", "g"]);
    }

    #[test]
    fn lanes_are_streamed_in_turn_or_interleaved() {
        let lanes = || vec![vec![1, 2, 3], vec![4]];
        assert_eq!(ordered(lanes(), Tools::InTurn), [1, 2, 3, 4]);
        assert_eq!(ordered(lanes(), Tools::Interleaved), [1, 4, 2, 3]);
    }
}
