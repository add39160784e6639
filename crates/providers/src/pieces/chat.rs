//! Saying an answer as a chat completion of OpenAI.

use super::{
    At, Choice, Form, Kind, Piece, Said, Saying, Why, call_id, event, nothing, tail, whole_text,
};
use crate::reading::About;
use crate::taker::{Taker, member, word};
use gate::prompt::StreamEvent;
use gate::shape::{Key, Shape};
use ledger::Usage;
use phi::Text;
use std::collections::{BTreeMap, BTreeSet};

/// What of a stream has been said.
#[derive(Debug, Default)]
pub(super) struct Completion {
    begun: BTreeSet<u64>,
    /// The number of each call among those of its choice.
    calls: BTreeMap<At, u64>,
}

fn envelope(object: &str, about: &About) -> Vec<(Key, Shape)> {
    vec![
        member("id", about.id("chatcmpl-")),
        member("object", word(object)),
        member("created", about.created()),
        member("model", about.model()),
    ]
}

fn finish_reason(why: Why) -> Shape {
    word(match why {
        Why::Stop | Why::StopSequence | Why::Refusal => "stop",
        Why::Length => "length",
        Why::Calls => "tool_calls",
        Why::Filter => "content_filter",
    })
}

fn counted(usage: Usage) -> (Key, Shape) {
    let count = |count: u64| Shape::Number(count.into());
    let counts = Shape::Map(vec![
        member("prompt_tokens", count(usage.prompt)),
        member("completion_tokens", count(usage.completion)),
        member("total_tokens", count(usage.prompt.saturating_add(usage.completion))),
    ]);
    member("usage", counts)
}

/// The member of a message in which text of this kind stands.
const fn field(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "content",
        Kind::Refusal => "refusal",
        Kind::Reasoning => "reasoning_content",
        Kind::Call { .. } => "arguments",
    }
}

impl Completion {
    /// The event that begins a choice, once.
    fn first(&mut self, choice: u64, saying: &Saying<'_>) -> Vec<StreamEvent> {
        if !self.begun.insert(choice) {
            return Vec::new();
        }
        let mut taker = saying.taker();
        let content = nothing(&mut taker);
        let delta = vec![member("role", word("assistant")), member("content", content)];
        vec![chunk(choice, delta, Shape::Null, taker, saying)]
    }

    fn delta(&self, at: At, kind: &Kind, hole: Shape) -> Vec<(Key, Shape)> {
        if !matches!(kind, Kind::Call { .. }) {
            return vec![member(field(kind), hole)];
        }
        let number = self.calls.get(&at).copied().unwrap_or_default();
        let called = Shape::Map(vec![member("arguments", hole)]);
        let call = Shape::Map(vec![
            member("index", Shape::Number(number.into())),
            member("function", called),
        ]);
        vec![member("tool_calls", Shape::List(vec![call]))]
    }
}

impl Form for Completion {
    fn whole(
        &mut self,
        choices: Vec<Choice>,
        usage: Option<Usage>,
        about: &About,
        taker: &mut Taker,
    ) -> Option<Shape> {
        let choices = choices
            .into_iter()
            .map(|choice| {
                let mut texts: BTreeMap<&str, (Kind, String)> = BTreeMap::new();
                let mut calls = Vec::new();
                for (block, Said { kind, text, .. }) in (0..).zip(choice.blocks) {
                    match kind {
                        Kind::Call { id, name } => {
                            let at = At { choice: choice.index, block };
                            let id = call_id(taker, id, at, about);
                            let name = taker.take(gate::shape::Json::Text(name), "name");
                            let kind = Kind::Call { id: None, name: Text::default() };
                            let arguments = whole_text(taker, &kind, text);
                            calls.push(call(id, name, arguments));
                        }
                        kind @ (Kind::Text | Kind::Refusal | Kind::Reasoning) => {
                            let said = texts
                                .entry(field(&kind))
                                .or_insert_with(|| (kind.clone(), String::new()));
                            said.1.push_str(text.expose());
                        }
                    }
                }
                let mut message = vec![member("role", word("assistant"))];
                if !texts.contains_key("content") {
                    message.push(member("content", Shape::Null));
                }
                for (name, (kind, text)) in texts {
                    message.push(member(name, whole_text(taker, &kind, Text::new(text))));
                }
                if !calls.is_empty() {
                    message.push(member("tool_calls", Shape::List(calls)));
                }
                Shape::Map(vec![
                    member("index", Shape::Number(choice.index.into())),
                    member("message", Shape::Map(message)),
                    member("logprobs", Shape::Null),
                    member("finish_reason", finish_reason(choice.why)),
                ])
            })
            .collect();
        let mut answer = envelope("chat.completion", about);
        answer.push(member("choices", Shape::List(choices)));
        answer.extend(usage.map(counted));
        Some(Shape::Map(answer))
    }

    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        match (piece, kind) {
            (Piece::Begin(at, kind), _) => {
                let mut events = self.first(at.choice, saying);
                if let Kind::Call { id, name } = kind {
                    let number = self.calls.keys().filter(|call| call.choice == at.choice).count();
                    let number = number as u64;
                    self.calls.insert(at, number);
                    let id = call_id(&mut taker, id, at, saying.about);
                    let name = taker.take(gate::shape::Json::Text(name), "name");
                    let Shape::Map(mut begun) = call(id, name, nothing(&mut taker)) else {
                        return events;
                    };
                    begun.insert(0, member("index", Shape::Number(number.into())));
                    let calls = Shape::List(vec![Shape::Map(begun)]);
                    let delta = vec![member("tool_calls", calls)];
                    events.push(chunk(at.choice, delta, Shape::Null, taker, saying));
                }
                events
            }
            (Piece::Say(at, text), Some(kind)) => {
                let hole = saying.piece(&mut taker, at, kind, text);
                let delta = self.delta(at, kind, hole);
                vec![chunk(at.choice, delta, Shape::Null, taker, saying)]
            }
            (Piece::Finish { choice, why }, _) => {
                let mut events = self.first(choice, saying);
                events.push(chunk(choice, Vec::new(), finish_reason(why), taker, saying));
                events
            }
            (Piece::Say(..) | Piece::Sign(..) | Piece::End(_), _) => Vec::new(),
        }
    }

    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent {
        let mut taker = saying.taker();
        let hole = saying.rest(&mut taker, at, kind);
        let shape = body(at.choice, self.delta(at, kind, hole), Shape::Null, saying);
        tail(None, shape, taker)
    }

    fn close(&mut self, _: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let Some(usage) = usage.filter(|_| saying.about.counts) else { return Vec::new() };
        let mut shape = envelope("chat.completion.chunk", saying.about);
        shape.push(member("choices", Shape::List(Vec::new())));
        shape.push(counted(usage));
        vec![event(None, Shape::Map(shape), saying.taker())]
    }
}

fn call(id: Shape, name: Shape, arguments: Shape) -> Shape {
    let function = Shape::Map(vec![member("name", name), member("arguments", arguments)]);
    Shape::Map(vec![
        member("id", id),
        member("type", word("function")),
        member("function", function),
    ])
}

fn body(choice: u64, delta: Vec<(Key, Shape)>, finish_reason: Shape, saying: &Saying<'_>) -> Shape {
    let choice = Shape::Map(vec![
        member("index", Shape::Number(choice.into())),
        member("delta", Shape::Map(delta)),
        member("logprobs", Shape::Null),
        member("finish_reason", finish_reason),
    ]);
    let mut shape = envelope("chat.completion.chunk", saying.about);
    shape.push(member("choices", Shape::List(vec![choice])));
    Shape::Map(shape)
}

fn chunk(
    choice: u64,
    delta: Vec<(Key, Shape)>,
    finish_reason: Shape,
    taker: Taker,
    saying: &Saying<'_>,
) -> StreamEvent {
    event(None, body(choice, delta, finish_reason, saying), taker)
}
