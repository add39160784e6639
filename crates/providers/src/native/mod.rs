//! Answers that go to the caller in the dialect in which they came: everything stays where it is,
//! and only text changes.

mod converse;
mod generate;
mod messages;
mod responses;

pub(crate) use converse::TONGUE as CONVERSE;
pub(crate) use generate::TONGUE as GENERATE;
pub(crate) use messages::TONGUE as MESSAGES;
pub(crate) use responses::TONGUE as RESPONSES;

use crate::mcp;
use crate::openai;
use crate::reading::About;
use crate::taker::{Taker, Tongue, member, tokens, usage, word};
use gate::UpstreamFailure;
use gate::prompt::{AnswerPart, Lane, StreamEvent};
use gate::rules::Api;
use gate::shape::{Json, Shape, Word};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;
use std::collections::BTreeMap;

/// How an answer's members are read.
const fn tongue(api: Api) -> &'static Tongue {
    match api {
        Api::ChatCompletions => &openai::chat::TONGUE,
        Api::Completions => &openai::plain::COMPLETION_TONGUE,
        Api::Embeddings => &openai::plain::EMBEDDING_TONGUE,
        Api::Responses => &responses::TONGUE,
        Api::Messages | Api::CountTokens => &messages::TONGUE,
        Api::Converse => &converse::TONGUE,
        Api::GenerateContent => &generate::TONGUE,
        Api::Mcp => &mcp::TONGUE,
    }
}

/// Whether a document is an answer of this interface.
fn is_answer(api: Api, json: &Json) -> bool {
    let list = |name| matches!(json.member(name), Some(Json::List(_)));
    match api {
        Api::ChatCompletions | Api::Completions => list("choices"),
        Api::Embeddings => list("data"),
        Api::Responses => list("output"),
        Api::Messages => list("content"),
        Api::CountTokens => tokens(json, "input_tokens").is_some(),
        Api::Converse => matches!(json.member("output"), Some(Json::Map(_))),
        // It is taken apart where it comes in.
        Api::Mcp => false,
        // A prompt that was refused has no candidates.
        Api::GenerateContent => list("candidates") || json.member("promptFeedback").is_some(),
    }
}

/// Tokens, as an answer or an event counts them.
pub(crate) fn counted(api: Api, json: &Json) -> Option<Usage> {
    match api {
        Api::ChatCompletions | Api::Completions | Api::Embeddings => {
            usage(json, "prompt_tokens", "completion_tokens")
        }
        Api::Responses => usage(json, "input_tokens", "output_tokens"),
        Api::Messages => messages::counted(json),
        // Counting is no use of a model, nor is a tool.
        Api::CountTokens | Api::Mcp => None,
        Api::Converse => usage(json, "inputTokens", "outputTokens"),
        Api::GenerateContent => generate::counted(json),
    }
}

/// A whole answer.
pub(crate) fn whole(
    api: Api,
    json: Json,
    escape: Escape,
    about: &About,
) -> Result<(Shape, Vec<AnswerPart>), UpstreamFailure> {
    if !is_answer(api, &json) {
        return Err(UpstreamFailure::Garbage);
    }
    let mut taker = Taker::new(tongue(api), escape);
    let shape = taker.take(json, "");
    let shape = match api {
        Api::Responses => responses::renamed(shape, about),
        Api::ChatCompletions
        | Api::Completions
        | Api::Embeddings
        | Api::Messages
        | Api::CountTokens
        | Api::Converse
        | Api::GenerateContent
        | Api::Mcp => shape,
    };
    Ok((shape, taker.parts))
}

/// Reads the events of a stream.
#[derive(Debug)]
pub(crate) enum Events {
    Chat(openai::chat::StreamReader),
    Messages(messages::Reader),
    Responses(Box<responses::Reader>),
    Converse(converse::Reader),
    Generate(generate::Reader),
    /// An interface that has no streams.
    None,
}

impl Events {
    pub(crate) fn new(api: Api, escape: Escape, about: &About) -> Self {
        match api {
            Api::ChatCompletions | Api::Completions => {
                Self::Chat(openai::chat::StreamReader::new(tongue(api), escape))
            }
            Api::Messages => Self::Messages(messages::Reader::new(escape)),
            Api::Responses => Self::Responses(Box::new(responses::Reader::new(escape, about))),
            Api::Converse => Self::Converse(converse::Reader::new(escape)),
            Api::GenerateContent => Self::Generate(generate::Reader::new(escape)),
            Api::Embeddings | Api::CountTokens | Api::Mcp => Self::None,
        }
    }

    /// Reads one event into the events to hand on, in order.
    pub(crate) fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
    ) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        match self {
            Self::Chat(reader) => reader.read(data),
            Self::Messages(reader) => reader.read(data),
            Self::Responses(reader) => reader.read(data),
            Self::Converse(reader) => reader.read(name, data),
            Self::Generate(reader) => reader.read(data),
            Self::None => Err(UpstreamFailure::Garbage),
        }
    }

    /// Whether the stream's last event was read.
    pub(crate) const fn is_done(&self) -> bool {
        match self {
            Self::Chat(reader) => reader.is_done(),
            Self::Messages(reader) => reader.is_done(),
            Self::Responses(reader) => reader.is_done(),
            // They end when the connection does.
            Self::Converse(_) | Self::Generate(_) | Self::None => false,
        }
    }

    /// Whether the stream may end here without an event that says so.
    pub(crate) const fn may_end(&self) -> bool {
        match self {
            Self::Chat(_) | Self::Messages(_) | Self::Responses(_) | Self::None => false,
            Self::Converse(reader) => reader.may_end(),
            Self::Generate(reader) => reader.may_end(),
        }
    }

    /// The events that carry what is still held back when the stream is over.
    pub(crate) fn finish(&mut self) -> Vec<StreamEvent> {
        match self {
            Self::Chat(reader) => reader.finish(),
            Self::Messages(reader) => reader.finish(),
            Self::Responses(reader) => reader.finish(),
            Self::Converse(reader) => reader.finish(),
            Self::Generate(reader) => reader.finish(),
            Self::None => Vec::new(),
        }
    }
}

/// The lanes of a stream that have begun and not ended, with how values are written into each.
#[derive(Debug, Default)]
struct Open(BTreeMap<Lane, Option<Escape>>);

impl Open {
    /// The hole of a piece that continues its lane.
    fn part(
        &mut self,
        taker: &mut Taker,
        lane: Lane,
        restore: Option<Escape>,
        text: Text,
    ) -> Shape {
        self.0.insert(lane, restore);
        taker.part(text, restore, Some(lane), false)
    }

    /// The hole of a lane's end, if it had begun.
    fn end(&mut self, taker: &mut Taker, lane: Lane) -> Option<Shape> {
        let restore = self.0.remove(&lane)?;
        Some(taker.part(Text::default(), restore, Some(lane), true))
    }

    /// Ends the open lanes of which this is true: the events that carry what may be held back, each
    /// said by `say` around its hole.
    fn tails(
        &mut self,
        (tongue, escape): (&'static Tongue, Escape),
        of: impl Fn(&Lane) -> bool,
        mut say: impl FnMut(Lane, Shape) -> (Option<String>, Shape),
    ) -> Vec<StreamEvent> {
        let lanes: Vec<Lane> = self.0.keys().copied().filter(of).collect();
        let ends = lanes.into_iter().filter_map(|lane| {
            let mut taker = Taker::new(tongue, escape);
            let hole = self.end(&mut taker, lane)?;
            let (name, shape) = say(lane, hole);
            Some(tail(name.as_deref(), shape, taker))
        });
        ends.collect()
    }
}

/// An event as it came, restored.
fn event(name: Option<&str>, shape: Shape, taker: Taker, data: &str) -> StreamEvent {
    StreamEvent {
        name: name.and_then(Word::parse),
        shape,
        parts: taker.parts,
        received: Text::from(data),
        only_with_text: false,
        usage: None,
    }
}

/// An event of ours that carries a tail, and is dropped when there is none.
fn tail(name: Option<&str>, shape: Shape, taker: Taker) -> StreamEvent {
    StreamEvent { only_with_text: true, received: Text::default(), ..event(name, shape, taker, "") }
}

/// The document of an event, which is no error.
fn document(data: &str) -> Result<Json, UpstreamFailure> {
    let json = Json::parse(data.as_bytes()).map_err(|_| UpstreamFailure::Garbage)?;
    if matches!(json.member("error"), Some(Json::Map(_) | Json::Text(_))) {
        return Err(UpstreamFailure::Reported);
    }
    Ok(json)
}

fn number(name: &str, value: u64) -> (gate::shape::Key, Shape) {
    member(name, Shape::Number(value.into()))
}

fn named(name: &str, value: &str) -> (gate::shape::Key, Shape) {
    member(name, word(value))
}

/// The index of a block. Any other than its own would mix two streams of text into one.
fn index(json: &Json, name: &str) -> Result<u64, UpstreamFailure> {
    json.member(name).and_then(Json::as_u64).ok_or(UpstreamFailure::Garbage)
}
