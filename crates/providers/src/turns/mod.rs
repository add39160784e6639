//! A conversation in no dialect, between the one in which it is asked and the one in which it leaves.
//!
//! It is made of shapes, so it holds no text: a translation can neither read nor change what was
//! said, only where it stands. What the dialect of a destination has no words for is refused by its
//! name, never left out, unless nothing of the question is lost with it (a hint for a cache, a
//! grouping of tokens, the reasoning that another vendor's model signed).

mod read;
mod write;

use gate::prompt::PromptPart;
use gate::rules::{Api, Dialect};
use gate::shape::{PartId, Shape};
use std::borrow::Cow;

/// A dialect has no words for this member of another.
#[derive(Debug)]
pub(crate) struct NoWords(pub(crate) String);

impl NoWords {
    fn of(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// Whether requests of this interface are conversations, which can be said in other dialects.
pub(crate) const fn is_conversation(api: Api) -> bool {
    match api {
        Api::ChatCompletions
        | Api::Responses
        | Api::Messages
        | Api::Converse
        | Api::GenerateContent => true,
        Api::Completions | Api::Embeddings | Api::CountTokens | Api::Mcp => false,
    }
}

/// What is said and asked.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'s> {
    system: Vec<&'s Shape>,
    turns: Vec<Turn<'s>>,
    tools: Vec<Tool<'s>>,
    choice: Option<Choice<'s>>,
    /// Whether several tools may be called at once, if it was said.
    parallel: Option<bool>,
    max_tokens: Option<&'s Shape>,
    temperature: Option<&'s Shape>,
    top_p: Option<&'s Shape>,
    top_k: Option<&'s Shape>,
    stop: Vec<&'s Shape>,
    format: Option<Format<'s>>,
    /// How many answers are asked for, if it was said.
    choices: Option<&'s Shape>,
    stream: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

#[derive(Debug)]
struct Turn<'s> {
    role: Role,
    blocks: Vec<Block<'s>>,
}

#[derive(Debug)]
enum Block<'s> {
    Text(&'s Shape),
    /// Reasoning that the model signed. Only the dialects in which the same vendor's models are spoken
    /// to have words for it; elsewhere nothing is lost without it.
    Reasoning {
        text: &'s Shape,
        signature: &'s Shape,
    },
    Call {
        id: Cow<'s, Shape>,
        name: &'s Shape,
        arguments: &'s Shape,
    },
    Result {
        id: Cow<'s, Shape>,
        name: Option<&'s Shape>,
        content: Vec<&'s Shape>,
        failed: bool,
    },
}

#[derive(Debug)]
struct Tool<'s> {
    name: &'s Shape,
    description: Option<&'s Shape>,
    parameters: Option<&'s Shape>,
    strict: Option<&'s Shape>,
}

#[derive(Debug)]
enum Choice<'s> {
    Auto,
    None,
    Any,
    Named(&'s Shape),
}

#[derive(Debug)]
enum Format<'s> {
    Object,
    Schema { name: Option<&'s Shape>, schema: &'s Shape, strict: Option<&'s Shape> },
}

impl<'s> Conversation<'s> {
    /// Reads a request of one of the conversational interfaces.
    pub(crate) fn read(
        api: Api,
        stream: bool,
        shape: &'s Shape,
        parts: &[PromptPart],
    ) -> Result<Self, NoWords> {
        let mut conversation = match api {
            Api::ChatCompletions => read::chat(shape)?,
            Api::Responses => read::responses(shape)?,
            Api::Messages => read::messages(shape)?,
            Api::Converse => read::converse(shape)?,
            Api::GenerateContent => read::generate(shape, parts)?,
            Api::Completions | Api::Embeddings | Api::CountTokens | Api::Mcp => {
                return Err(NoWords::of(api.as_str()));
            }
        };
        conversation.stream = stream;
        conversation.name_results(parts);
        Ok(conversation)
    }

    /// Says it in the words of another interface.
    pub(crate) fn write(&self, api: Api, dialect: Dialect) -> Result<Shape, NoWords> {
        let single = matches!(api, Api::Messages | Api::Converse);
        if single && self.wants_several() {
            return Err(NoWords::of("n"));
        }
        match api {
            Api::ChatCompletions => self.to_chat(dialect),
            Api::Messages => self.to_messages(),
            Api::Converse => self.to_converse(),
            Api::GenerateContent => self.to_generate(),
            Api::Responses | Api::Completions | Api::Embeddings | Api::CountTokens | Api::Mcp => {
                Err(NoWords::of(api.as_str()))
            }
        }
    }

    /// The pieces of text of the one turn there is, when there is one alone, of the user, with nothing
    /// but text in it.
    pub(crate) fn only_turn(&self) -> Option<Vec<PartId>> {
        let [Turn { role: Role::User, blocks }] = &*self.turns else { return None };
        let part = |block: &Block<'_>| match block {
            Block::Text(shape) => shape.part(),
            Block::Reasoning { .. } | Block::Call { .. } | Block::Result { .. } => None,
        };
        blocks.iter().map(part).collect::<Option<Vec<PartId>>>().filter(|parts| !parts.is_empty())
    }

    /// Gives each result the name of the tool that was called: some dialects know results by it.
    fn name_results(&mut self, parts: &[PromptPart]) {
        let mut called: Vec<(Cow<'s, Shape>, &'s Shape)> = Vec::new();
        for block in self.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
            match block {
                Block::Text(_) | Block::Reasoning { .. } => {}
                Block::Call { id, name, .. } => called.push((id.clone(), *name)),
                Block::Result { id, name, .. } => {
                    let call = called.iter().rev().find(|(other, _)| same(other, id, parts));
                    *name = name.or(call.map(|(_, name)| *name));
                }
            }
        }
    }

    /// Whether more than one answer is asked for.
    fn wants_several(&self) -> bool {
        let one = |shape: &Shape| matches!(shape, Shape::Number(n) if n.as_u64() == Some(1));
        self.choices.is_some_and(|choices| !one(choices))
    }

    fn say(&mut self, role: Role, block: Block<'s>) {
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.blocks.push(block),
            Some(_) | None => self.turns.push(Turn { role, blocks: vec![block] }),
        }
    }
}

/// Whether two shapes are the same word or the same text.
fn same(one: &Shape, other: &Shape, parts: &[PromptPart]) -> bool {
    let text = |shape: &Shape| {
        shape.part().and_then(|part| parts.get(part)).map(|part| part.text.expose())
    };
    match (one.word(), other.word()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => text(one).is_some() && text(one) == text(other),
        _ => false,
    }
}
