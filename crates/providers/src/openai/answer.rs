//! A whole chat completion, taken apart.

use gate::UpstreamFailure;
use gate::prompt::{Answer, AnswerPart, Lane};
use gate::shape::{Json, Key, Shape, Word};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;

/// Members whose values are words of the dialect. They are left alone, because a model's name or a
/// finish reason is not a place for text.
const WORDS: &[&str] = &[
    "id",
    "object",
    "model",
    "role",
    "type",
    "finish_reason",
    "system_fingerprint",
    "service_tier",
];

/// A thousand times what the largest models read. A record holds exact numbers only up to 2^53, and a
/// model server must not be able to make a record impossible.
const MAX_TOKENS: u64 = 1 << 32;

/// Takes a chat completion apart. `content_escape` says how values are written into the answer's
/// own text.
///
/// # Errors
/// [`UpstreamFailure::Garbage`] when it is not one, [`UpstreamFailure::Reported`] when it is an error.
pub fn answer(
    bytes: &[u8],
    content_escape: Escape,
    upstream_request: Option<String>,
) -> Result<Answer, UpstreamFailure> {
    let garbage = UpstreamFailure::Garbage;
    let received = std::str::from_utf8(bytes).map_err(|_| garbage)?;
    let json = Json::parse(bytes).map_err(|_| garbage)?;
    if matches!(json.member("error"), Some(Json::Map(_))) {
        return Err(UpstreamFailure::Reported);
    }
    if !matches!(json.member("choices"), Some(Json::List(_))) {
        return Err(garbage);
    }
    let usage = usage(&json);
    let mut taker = Taker { content_escape, parts: Vec::new() };
    let shape = taker.take(json, "");
    Ok(Answer {
        shape,
        parts: taker.parts,
        received: Text::from(received),
        usage,
        upstream_request,
    })
}

/// The token counts of an answer or an event. Counts that no model can have are not counts.
pub(super) fn usage(json: &Json) -> Option<Usage> {
    let usage = json.member("usage")?;
    let count = |name| usage.member(name)?.as_u64().filter(|count| *count <= MAX_TOKENS);
    Some(Usage {
        prompt: count("prompt_tokens")?,
        completion: count("completion_tokens").unwrap_or(0),
    })
}

/// Takes text out of an answer.
pub(super) struct Taker {
    pub(super) content_escape: Escape,
    pub(super) parts: Vec<AnswerPart>,
}

impl Taker {
    /// Takes out everything under the member `name`, each piece whole in itself.
    pub(super) fn take(&mut self, json: Json, name: &str) -> Shape {
        match json {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(value),
            Json::Number(number) => Shape::Number(number),
            Json::Text(text) => self.take_text(text, name),
            Json::List(items) => {
                Shape::List(items.into_iter().map(|item| self.take(item, name)).collect())
            }
            Json::Map(members) => Shape::Map(
                members
                    .into_iter()
                    .map(|(key, value)| {
                        let value = self.take(value, key.expose());
                        (self.key(key), value)
                    })
                    .collect(),
            ),
        }
    }

    fn take_text(&mut self, text: Text, name: &str) -> Shape {
        let word = if WORDS.contains(&name) { Word::parse(text.expose()) } else { None };
        match word {
            Some(word) => Shape::Word(word),
            None => self.part(text, self.escape(name), None, true),
        }
    }

    /// How values are written into the text of the member `name`.
    pub(super) fn escape(&self, name: &str) -> Escape {
        match name {
            "arguments" => Escape::Json,
            // `text` is the content of an answer whose content is a list of parts.
            "content" | "text" => self.content_escape,
            _ => Escape::Plain,
        }
    }

    pub(super) fn key(&mut self, key: Text) -> Key {
        if let Some(word) = Word::parse(key.expose()) {
            return Key::Word(word);
        }
        self.parts.push(AnswerPart { lane: None, escape: Escape::Plain, last: true, text: key });
        Key::Part(self.parts.len() - 1)
    }

    pub(super) fn part(
        &mut self,
        text: Text,
        escape: Escape,
        lane: Option<Lane>,
        last: bool,
    ) -> Shape {
        self.parts.push(AnswerPart { lane, escape, last, text });
        Shape::Part(self.parts.len() - 1)
    }
}
