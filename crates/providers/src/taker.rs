//! Takes the text out of what a model server answers.
//!
//! Requests are read by strict tables, because a field that nobody scans is a way out. Answers are
//! read leniently, because they come in: every string is a piece of text that is restored and
//! scanned, whatever its name, except the words of the dialect and what the model signed.

use gate::prompt::{AnswerPart, Lane};
use gate::shape::{Json, Key, Shape, Word};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;

/// A thousand times what the largest models read. A record holds exact numbers only up to 2^53, and a
/// model server must not be able to make a record impossible.
const MAX_TOKENS: u64 = 1 << 32;

/// How one dialect's answers are read, by the names of their members.
#[derive(Debug)]
pub(crate) struct Tongue {
    /// Members whose values are words of the dialect. They are left alone, because a model's name or
    /// a finish reason is not a place for text.
    pub(crate) words: &'static [&'static str],
    /// Members that hold a JSON document in a string.
    pub(crate) json: &'static [&'static str],
    /// Members that hold the answer's own text, which is JSON when the caller asked for JSON.
    pub(crate) content: &'static [&'static str],
    /// Members that hold what the model signed, or the signature: left as they came.
    pub(crate) signed: &'static [&'static str],
    /// Members whose value has a form of the caller's or the model's own, as the arguments of a call:
    /// inside them a name means nothing.
    pub(crate) free: &'static [&'static str],
}

/// Takes text out of an answer.
#[derive(Debug)]
pub(crate) struct Taker {
    tongue: &'static Tongue,
    content_escape: Escape,
    again: bool,
    pub(crate) parts: Vec<AnswerPart>,
}

impl Taker {
    /// `content_escape` says how values are written into the answer's own text.
    pub(crate) const fn new(tongue: &'static Tongue, content_escape: Escape) -> Self {
        Self { tongue, content_escape, again: false, parts: Vec::new() }
    }

    /// How values are written into the answer's own text.
    pub(crate) const fn content_escape(&self) -> Escape {
        self.content_escape
    }

    /// How members are read.
    pub(crate) const fn tongue(&self) -> &'static Tongue {
        self.tongue
    }

    /// Whether what follows only says again what was said before; returns whether that was so.
    pub(crate) const fn again(&mut self, again: bool) -> bool {
        std::mem::replace(&mut self.again, again)
    }

    /// Takes out everything under the member `name`, each piece whole in itself.
    pub(crate) fn take(&mut self, json: Json, name: &str) -> Shape {
        if self.tongue.free.contains(&name) {
            return self.tree(json, Some(Escape::Plain));
        }
        match json {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(value),
            Json::Number(number) => Shape::Number(number),
            Json::Text(text) => self.take_text(text, name),
            Json::List(items) => {
                Shape::List(items.into_iter().map(|item| self.take(item, name)).collect())
            }
            Json::Map(members) => self.each(members, |taker, name, value| taker.take(value, name)),
        }
    }

    /// Takes out everything of a form that the dialect does not know. A string inside a tree is written
    /// anew, so that values need no escape of their own in it.
    pub(crate) fn tree(&mut self, json: Json, restore: Option<Escape>) -> Shape {
        match json {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(value),
            Json::Number(number) => Shape::Number(number),
            Json::Text(text) => self.part(text, restore, None, true),
            Json::List(items) => {
                Shape::List(items.into_iter().map(|item| self.tree(item, restore)).collect())
            }
            Json::Map(members) => self.each(members, |taker, _, value| taker.tree(value, restore)),
        }
    }

    /// Takes an object apart, where `of` says what becomes of the value of each member.
    pub(crate) fn each(
        &mut self,
        members: Vec<(Text, Json)>,
        mut of: impl FnMut(&mut Self, &str, Json) -> Shape,
    ) -> Shape {
        let taken = members.into_iter().map(|(key, value)| {
            let value = of(self, key.expose(), value);
            (self.key(key), value)
        });
        Shape::Map(taken.collect())
    }

    fn take_text(&mut self, text: Text, name: &str) -> Shape {
        let word =
            if self.tongue.words.contains(&name) { Word::parse(text.expose()) } else { None };
        match word {
            Some(word) => Shape::Word(word),
            None => self.part(text, self.restore(name), None, true),
        }
    }

    /// How values are written into the text of the member `name`.
    pub(crate) fn restore(&self, name: &str) -> Option<Escape> {
        if self.tongue.signed.contains(&name) {
            None
        } else if self.tongue.json.contains(&name) {
            Some(Escape::Json)
        } else if self.tongue.content.contains(&name) {
            Some(self.content_escape)
        } else {
            Some(Escape::Plain)
        }
    }

    pub(crate) fn key(&mut self, key: Text) -> Key {
        if let Some(word) = Word::parse(key.expose()) {
            return Key::Word(word);
        }
        let restore = Some(Escape::Plain);
        let again = self.again;
        self.parts.push(AnswerPart { lane: None, restore, last: true, again, text: key });
        Key::Part(self.parts.len() - 1)
    }

    pub(crate) fn part(
        &mut self,
        text: Text,
        restore: Option<Escape>,
        lane: Option<Lane>,
        last: bool,
    ) -> Shape {
        self.parts.push(AnswerPart { lane, restore, last, again: self.again, text });
        Shape::Part(self.parts.len() - 1)
    }
}

/// A member with a name of the dialect.
pub(crate) fn member(name: &str, value: Shape) -> (Key, Shape) {
    // The names given here are short and of plain letters.
    let key = Word::parse(name).map_or(Key::Part(usize::MAX), Key::Word);
    (key, value)
}

/// A word of the dialect as a value.
pub(crate) fn word(text: &str) -> Shape {
    Word::parse(text).map_or(Shape::Null, Shape::Word)
}

/// A count of tokens. Counts that no model can have are not counts.
pub(crate) fn tokens(json: &Json, name: &str) -> Option<u64> {
    json.member(name)?.as_u64().filter(|count| *count <= MAX_TOKENS)
}

/// The token counts under these two names.
pub(crate) fn usage(json: &Json, prompt: &str, completion: &str) -> Option<Usage> {
    let usage = json.member("usage")?;
    Some(Usage {
        prompt: tokens(usage, prompt)?,
        completion: tokens(usage, completion).unwrap_or(0),
    })
}
