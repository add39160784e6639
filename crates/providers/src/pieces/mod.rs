//! An answer in no dialect, between the one in which it comes and the one in which it was asked.
//!
//! A source reads what a model server says into pieces, a sink says them again in the caller's
//! dialect. Both see text only as something to hand on.

mod blocks;
mod chat;
mod messages;
mod responses;
mod source;

pub(crate) use source::Source;

use crate::native;
use crate::openai;
use crate::reading::About;
use crate::taker::{Taker, Tongue};
use gate::UpstreamFailure;
use gate::prompt::{AnswerPart, Lane, StreamEvent};
use gate::rules::Api;
use gate::shape::{Json, Shape, Word};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;
use std::collections::VecDeque;

/// One thing that a model says or does.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A block begins: the next thing in this choice.
    Begin(At, Kind),
    /// Text of a block, or of the arguments of a call.
    Say(At, Text),
    /// The model's signature under a block.
    Sign(At, Text),
    /// The block is whole.
    End(At),
    /// The choice is whole.
    Finish { choice: u64, why: Why },
}

/// Which block of which choice. Blocks are numbered in the order in which they begin, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    choice: u64,
    block: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text,
    Refusal,
    Reasoning,
    Call { id: Option<Text>, name: Text },
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Stop,
    StopSequence,
    Length,
    Calls,
    Filter,
    /// The model itself refused.
    Refusal,
}

/// Says pieces in the dialect of whoever asked.
#[derive(Debug)]
pub(crate) struct Sink {
    tongue: &'static Tongue,
    escape: Escape,
    about: About,
    begun: bool,
    why: Why,
    open: Vec<(At, Kind)>,
    /// Pieces of later blocks, in dialects whose blocks come one after the other.
    waiting: Vec<Piece>,
    waiting_bytes: usize,
    form: Box<dyn Form>,
}

/// How one dialect says pieces.
trait Form: std::fmt::Debug + Send {
    /// A whole answer; absent when there is nothing to say it of.
    fn whole(
        &mut self,
        choices: Vec<Choice>,
        usage: Option<Usage>,
        about: &About,
        taker: &mut Taker,
    ) -> Option<Shape>;

    /// Whether a block must end before the next one begins.
    fn one_by_one(&self) -> bool {
        false
    }

    /// The events before the first piece.
    fn open(&mut self, _: &Saying<'_>) -> Vec<StreamEvent> {
        Vec::new()
    }

    /// The events of one piece; `kind` is that of the block whose text it is.
    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent>;

    /// The event that carries what was held back of a block.
    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent;

    /// The events after the last piece.
    fn close(&mut self, why: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent>;
}

impl Sink {
    pub(crate) fn new(asked: Api, escape: Escape, about: &About) -> Self {
        let (tongue, form): (_, Box<dyn Form>) = match asked {
            Api::Messages => (&native::MESSAGES, Box::new(messages::Message)),
            Api::Responses => (&native::RESPONSES, Box::new(responses::Response::default())),
            Api::Converse => (&native::CONVERSE, Box::new(blocks::Converse)),
            Api::GenerateContent => (&native::GENERATE, Box::new(blocks::Generate::default())),
            // Nothing else is translated into the last four.
            Api::ChatCompletions
            | Api::Completions
            | Api::Embeddings
            | Api::CountTokens
            | Api::Mcp => (&openai::chat::TONGUE, Box::new(chat::Completion::default())),
        };
        let about = about.clone();
        Self {
            tongue,
            escape,
            about,
            begun: false,
            why: Why::Stop,
            open: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            form,
        }
    }

    /// A whole answer of these pieces.
    pub(crate) fn whole(
        mut self,
        pieces: Vec<Piece>,
        usage: Option<Usage>,
    ) -> Result<(Shape, Vec<AnswerPart>), UpstreamFailure> {
        let mut taker = self.taker();
        let choices = gathered(pieces);
        let shape = self.form.whole(choices, usage, &self.about, &mut taker);
        Ok((shape.ok_or(UpstreamFailure::Garbage)?, taker.parts))
    }

    /// The events that say these pieces.
    pub(crate) fn take(&mut self, pieces: Vec<Piece>) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        let mut events = Vec::new();
        let mut next = VecDeque::from(pieces);
        while let Some(piece) = next.pop_front() {
            if self.must_wait(&piece) {
                self.wait(piece)?;
                continue;
            }
            let ends = matches!(piece, Piece::End(_));
            self.say(piece, &mut events)?;
            if ends && !self.waiting.is_empty() {
                // What waited comes before what is left.
                let waited = std::mem::take(&mut self.waiting);
                self.waiting_bytes = 0;
                waited.into_iter().rev().for_each(|piece| next.push_front(piece));
            }
        }
        Ok(events)
    }

    /// Whether a piece is of a block that may not begin yet.
    fn must_wait(&self, piece: &Piece) -> bool {
        let at = match piece {
            Piece::Begin(at, _) | Piece::Say(at, _) | Piece::Sign(at, _) | Piece::End(at) => at,
            Piece::Finish { .. } => return false,
        };
        self.form.one_by_one() && self.open.first().is_some_and(|(open, _)| open != at)
    }

    fn wait(&mut self, piece: Piece) -> Result<(), UpstreamFailure> {
        if let Piece::Say(_, text) | Piece::Sign(_, text) = &piece {
            self.waiting_bytes += text.len();
            // The gate has not seen it yet, so its limit is held here.
            if self.waiting_bytes > gate::stream::MAX_ANSWER_BYTES {
                return Err(UpstreamFailure::TooLarge);
            }
        }
        self.waiting.push(piece);
        Ok(())
    }

    fn say(&mut self, piece: Piece, events: &mut Vec<StreamEvent>) -> Result<(), UpstreamFailure> {
        let saying = Saying::new(self.tongue, self.escape, &self.about);
        if !std::mem::replace(&mut self.begun, true) {
            events.extend(self.form.open(&saying));
        }
        match &piece {
            Piece::Begin(at, kind) => self.open.push((*at, kind.clone())),
            Piece::End(at) => {
                let open = self.open.iter().position(|(open, _)| open == at);
                if let Some((at, kind)) = open.map(|open| self.open.remove(open)) {
                    events.push(self.form.tail(at, &kind, &saying));
                }
            }
            Piece::Finish { why, .. } => self.why = *why,
            Piece::Say(..) | Piece::Sign(..) => {}
        }
        let kind = match &piece {
            Piece::Say(at, _) | Piece::Sign(at, _) => {
                let open = self.open.iter().find(|(open, _)| open == at);
                Some(open.map(|(_, kind)| kind).ok_or(UpstreamFailure::Garbage)?)
            }
            Piece::Begin(..) | Piece::End(_) | Piece::Finish { .. } => None,
        };
        events.extend(self.form.say(piece, kind, &saying));
        Ok(())
    }

    /// The events after the last piece.
    pub(crate) fn close(&mut self, usage: Option<Usage>) -> Vec<StreamEvent> {
        let saying = Saying::new(self.tongue, self.escape, &self.about);
        let mut events = Vec::new();
        for (at, kind) in std::mem::take(&mut self.open) {
            events.push(self.form.tail(at, &kind, &saying));
            events.extend(self.form.say(Piece::End(at), None, &saying));
        }
        events.extend(self.form.close(self.why, usage, &saying));
        events
    }

    /// The events that carry what may be held back when the stream broke off.
    pub(crate) fn tails(&mut self) -> Vec<StreamEvent> {
        let saying = Saying::new(self.tongue, self.escape, &self.about);
        let open = std::mem::take(&mut self.open);
        open.into_iter().map(|(at, kind)| self.form.tail(at, &kind, &saying)).collect()
    }

    fn taker(&self) -> Taker {
        Taker::new(self.tongue, self.escape)
    }
}

/// What every form needs to say something.
struct Saying<'a> {
    tongue: &'static Tongue,
    escape: Escape,
    about: &'a About,
}

impl<'a> Saying<'a> {
    const fn new(tongue: &'static Tongue, escape: Escape, about: &'a About) -> Self {
        Self { tongue, escape, about }
    }

    fn taker(&self) -> Taker {
        Taker::new(self.tongue, self.escape)
    }

    /// How values are written into the text of a block. Reasoning stays as it came where its signature
    /// goes with it.
    fn restore(&self, kind: &Kind) -> Option<Escape> {
        restore(kind, self.escape, self.tongue)
    }

    /// The hole of the next piece of a block's text.
    fn piece(&self, taker: &mut Taker, at: At, kind: &Kind, text: Text) -> Shape {
        taker.part(text, self.restore(kind), Some(lane(at)), false)
    }

    /// The hole of what is left of a block's text.
    fn rest(&self, taker: &mut Taker, at: At, kind: &Kind) -> Shape {
        taker.part(Text::default(), self.restore(kind), Some(lane(at)), true)
    }
}

const fn lane(at: At) -> Lane {
    Lane { choice: at.choice, field: "block", call: at.block }
}

fn event(name: Option<&str>, shape: Shape, taker: Taker) -> StreamEvent {
    StreamEvent {
        name: name.and_then(Word::parse),
        shape,
        parts: taker.parts,
        received: Text::default(),
        only_with_text: false,
        usage: None,
    }
}

fn tail(name: Option<&str>, shape: Shape, taker: Taker) -> StreamEvent {
    StreamEvent { only_with_text: true, ..event(name, shape, taker) }
}

/// A choice whose pieces are together.
struct Choice {
    index: u64,
    blocks: Vec<Said>,
    why: Why,
}

/// A whole block.
struct Said {
    kind: Kind,
    text: Text,
    signature: Option<Text>,
}

fn gathered(pieces: Vec<Piece>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    let mut open: Vec<(At, Said)> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Begin(at, kind) => {
                if !choices.iter().any(|choice| choice.index == at.choice) {
                    choices.push(Choice { index: at.choice, blocks: Vec::new(), why: Why::Stop });
                }
                open.push((at, Said { kind, text: Text::default(), signature: None }));
            }
            Piece::Say(at, text) => {
                if let Some((_, said)) = open.iter_mut().find(|(open, _)| *open == at) {
                    let mut joined = std::mem::take(&mut said.text).into_exposed();
                    joined.push_str(text.expose());
                    said.text = Text::new(joined);
                }
            }
            Piece::Sign(at, signature) => {
                if let Some((_, said)) = open.iter_mut().find(|(open, _)| *open == at) {
                    said.signature = Some(signature);
                }
            }
            Piece::End(at) => {
                if let Some(found) = open.iter().position(|(open, _)| *open == at) {
                    let (_, said) = open.remove(found);
                    if let Some(choice) =
                        choices.iter_mut().find(|choice| choice.index == at.choice)
                    {
                        choice.blocks.push(said);
                    }
                }
            }
            Piece::Finish { choice: index, why } => {
                match choices.iter_mut().find(|choice| choice.index == index) {
                    Some(choice) => choice.why = why,
                    None => choices.push(Choice { index, blocks: Vec::new(), why }),
                }
            }
        }
    }
    choices
}

/// The arguments of a call as an object. What is no object, because the model was cut short, stays as
/// text.
fn arguments(taker: &mut Taker, text: Text) -> Shape {
    match Json::parse(text.expose().as_bytes()) {
        Ok(json @ Json::Map(_)) => taker.tree(json, Some(Escape::Plain)),
        Ok(_) | Err(_) if text.expose().trim().is_empty() => Shape::Map(Vec::new()),
        Ok(_) | Err(_) => {
            let text = taker.part(text, Some(Escape::Plain), None, true);
            Shape::Map(vec![crate::taker::member("arguments", text)])
        }
    }
}

/// The id of a call: the model's own, or one of ours.
fn call_id(taker: &mut Taker, id: Option<Text>, at: At, about: &About) -> Shape {
    match id {
        Some(id) => taker.take(Json::Text(id), "id"),
        None => about.id(&format!("call_{}_{}_", at.choice, at.block)),
    }
}

/// What a model signed or sealed, or its signature.
fn as_signed(taker: &mut Taker, text: Text) -> Shape {
    taker.part(text, None, None, true)
}

/// An empty text, as a block begins with.
fn nothing(taker: &mut Taker) -> Shape {
    taker.part(Text::default(), None, None, true)
}

/// A text that is whole in itself.
fn whole_text(taker: &mut Taker, kind: &Kind, text: Text) -> Shape {
    let restore = restore(kind, taker.content_escape(), taker.tongue());
    taker.part(text, restore, None, true)
}

/// How values are written into the text of a block.
fn restore(kind: &Kind, escape: Escape, tongue: &Tongue) -> Option<Escape> {
    match kind {
        Kind::Text => Some(escape),
        Kind::Call { .. } => Some(Escape::Json),
        Kind::Refusal => Some(Escape::Plain),
        Kind::Reasoning => (!tongue.signed.contains(&"signature")).then_some(Escape::Plain),
    }
}
