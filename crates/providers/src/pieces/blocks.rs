//! Saying an answer as Bedrock's Converse and as Gemini's `generateContent`.

use super::{
    At, Choice, Form, Kind, Piece, Said, Saying, Why, arguments, as_signed, call_id, event, tail,
    whole_text,
};
use crate::reading::About;
use crate::taker::{Taker, member, word};
use gate::prompt::StreamEvent;
use gate::shape::{Json, Key, Shape};
use ledger::Usage;
use phi::Text;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Converse;

/// Gemini calls a tool in one piece, so the arguments of each open call are gathered.
#[derive(Debug, Default)]
pub(super) struct Generate {
    calls: BTreeMap<At, Text>,
}

fn number(count: u64) -> Shape {
    Shape::Number(count.into())
}

fn one(name: &str, value: Shape) -> Shape {
    Shape::Map(vec![member(name, value)])
}

impl Form for Converse {
    fn one_by_one(&self) -> bool {
        true
    }

    fn whole(
        &mut self,
        choices: Vec<Choice>,
        usage: Option<Usage>,
        about: &About,
        taker: &mut Taker,
    ) -> Option<Shape> {
        let choice = choices.into_iter().next()?;
        let blocks = (0..)
            .zip(choice.blocks)
            .map(|(block, Said { kind, text, signature })| {
                if let Kind::Call { id, name } = kind {
                    let id = call_id(taker, id, At { choice: choice.index, block }, about);
                    let name = taker.take(Json::Text(name), "name");
                    let input = arguments(taker, text);
                    return tool_use(id, name, Some(input));
                }
                let text = whole_text(taker, &kind, text);
                let signature = signature.map(|signature| as_signed(taker, signature));
                converse_text(&kind, text, signature)
            })
            .collect();
        let message = Shape::Map(vec![
            member("role", word("assistant")),
            member("content", Shape::List(blocks)),
        ]);
        Some(Shape::Map(vec![
            member("output", one("message", message)),
            member("stopReason", stop_reason(choice.why)),
            member("usage", converse_usage(usage)),
            member("metrics", one("latencyMs", number(0))),
        ]))
    }

    fn open(&mut self, saying: &Saying<'_>) -> Vec<StreamEvent> {
        vec![event(Some("messageStart"), one("role", word("assistant")), saying.taker())]
    }

    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        match (piece, kind) {
            (Piece::Begin(at, Kind::Call { id, name }), _) => {
                let id = call_id(&mut taker, id, at, saying.about);
                let name = taker.take(Json::Text(name), "name");
                let start = tool_use(id, name, None);
                let shape = Shape::Map(vec![block(at), member("start", start)]);
                vec![event(Some("contentBlockStart"), shape, taker)]
            }
            (Piece::Say(at, text), Some(kind)) => {
                let hole = saying.piece(&mut taker, at, kind, text);
                vec![event(Some("contentBlockDelta"), converse_delta(at, kind, hole), taker)]
            }
            (Piece::End(at), _) => {
                vec![event(Some("contentBlockStop"), Shape::Map(vec![block(at)]), taker)]
            }
            (Piece::Sign(at, signature), _) => {
                let signature = one("signature", as_signed(&mut taker, signature));
                let delta = one("reasoningContent", signature);
                let shape = Shape::Map(vec![block(at), member("delta", delta)]);
                vec![event(Some("contentBlockDelta"), shape, taker)]
            }
            (Piece::Begin(..) | Piece::Say(..) | Piece::Finish { .. }, _) => Vec::new(),
        }
    }

    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent {
        let mut taker = saying.taker();
        let hole = saying.rest(&mut taker, at, kind);
        tail(Some("contentBlockDelta"), converse_delta(at, kind, hole), taker)
    }

    fn close(&mut self, why: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let stop = one("stopReason", stop_reason(why));
        let counts = Shape::Map(vec![
            member("usage", converse_usage(usage)),
            member("metrics", one("latencyMs", number(0))),
        ]);
        vec![
            event(Some("messageStop"), stop, saying.taker()),
            event(Some("metadata"), counts, saying.taker()),
        ]
    }
}

impl Form for Generate {
    fn whole(
        &mut self,
        choices: Vec<Choice>,
        usage: Option<Usage>,
        about: &About,
        taker: &mut Taker,
    ) -> Option<Shape> {
        let candidates = choices
            .into_iter()
            .map(|choice| {
                let said = choice.blocks.into_iter().map(|Said { kind, text, .. }| {
                    if let Kind::Call { name, .. } = kind {
                        let name = taker.take(Json::Text(name), "name");
                        return function_call(name, arguments(taker, text));
                    }
                    let text = whole_text(taker, &kind, text);
                    part(&kind, text)
                });
                candidate(choice.index, said.collect(), Some(finish_reason(choice.why)))
            })
            .collect();
        Some(Shape::Map(generate_envelope(candidates, usage, about)))
    }

    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        match (piece, kind) {
            (Piece::Say(at, text), Some(Kind::Call { .. })) => {
                let said = self.calls.entry(at).or_default();
                let mut joined = std::mem::take(said).into_exposed();
                joined.push_str(text.expose());
                *said = Text::new(joined);
                Vec::new()
            }
            (Piece::Say(at, text), Some(kind)) => {
                let hole = saying.piece(&mut taker, at, kind, text);
                vec![event(None, chunk(at.choice, vec![part(kind, hole)], saying), taker)]
            }
            (Piece::Finish { choice, why }, _) => {
                let last = candidate(choice, Vec::new(), Some(finish_reason(why)));
                let shape = generate_envelope(vec![last], None, saying.about);
                vec![event(None, Shape::Map(shape), taker)]
            }
            (Piece::Begin(..) | Piece::Say(..) | Piece::Sign(..) | Piece::End(_), _) => Vec::new(),
        }
    }

    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent {
        let mut taker = saying.taker();
        if let Kind::Call { name, .. } = kind {
            let text = self.calls.remove(&at).unwrap_or_default();
            let name = taker.take(Json::Text(name.clone()), "name");
            let parts = vec![function_call(name, arguments(&mut taker, text))];
            return event(None, chunk(at.choice, parts, saying), taker);
        }
        let hole = saying.rest(&mut taker, at, kind);
        tail(None, chunk(at.choice, vec![part(kind, hole)], saying), taker)
    }

    fn close(&mut self, _: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let Some(usage) = usage else { return Vec::new() };
        let shape = generate_envelope(Vec::new(), Some(usage), saying.about);
        vec![event(None, Shape::Map(shape), saying.taker())]
    }
}

fn stop_reason(why: Why) -> Shape {
    word(match why {
        Why::Stop => "end_turn",
        Why::StopSequence => "stop_sequence",
        Why::Length => "max_tokens",
        Why::Calls => "tool_use",
        Why::Filter | Why::Refusal => "content_filtered",
    })
}

fn converse_usage(usage: Option<Usage>) -> Shape {
    let usage = usage.unwrap_or(Usage { prompt: 0, completion: 0 });
    Shape::Map(vec![
        member("inputTokens", number(usage.prompt)),
        member("outputTokens", number(usage.completion)),
        member("totalTokens", number(usage.prompt.saturating_add(usage.completion))),
    ])
}

fn tool_use(id: Shape, name: Shape, input: Option<Shape>) -> Shape {
    let mut call = vec![member("toolUseId", id), member("name", name)];
    call.extend(input.map(|input| member("input", input)));
    one("toolUse", Shape::Map(call))
}

fn converse_text(kind: &Kind, text: Shape, signature: Option<Shape>) -> Shape {
    if matches!(kind, Kind::Reasoning) {
        let mut said = vec![member("text", text)];
        said.extend(signature.map(|signature| member("signature", signature)));
        one("reasoningContent", one("reasoningText", Shape::Map(said)))
    } else {
        one("text", text)
    }
}

fn block(at: At) -> (Key, Shape) {
    member("contentBlockIndex", number(at.block))
}

fn converse_delta(at: At, kind: &Kind, hole: Shape) -> Shape {
    let delta = match kind {
        Kind::Text | Kind::Refusal => one("text", hole),
        Kind::Reasoning => one("reasoningContent", one("text", hole)),
        Kind::Call { .. } => one("toolUse", one("input", hole)),
    };
    Shape::Map(vec![block(at), member("delta", delta)])
}

fn finish_reason(why: Why) -> Shape {
    word(match why {
        Why::Stop | Why::StopSequence | Why::Calls => "STOP",
        Why::Length => "MAX_TOKENS",
        Why::Filter | Why::Refusal => "SAFETY",
    })
}

fn part(kind: &Kind, text: Shape) -> Shape {
    let mut part = vec![member("text", text)];
    if matches!(kind, Kind::Reasoning) {
        part.push(member("thought", Shape::Bool(true)));
    }
    Shape::Map(part)
}

fn function_call(name: Shape, args: Shape) -> Shape {
    one("functionCall", Shape::Map(vec![member("name", name), member("args", args)]))
}

fn candidate(index: u64, parts: Vec<Shape>, finish_reason: Option<Shape>) -> Shape {
    let content =
        Shape::Map(vec![member("parts", Shape::List(parts)), member("role", word("model"))]);
    let mut shape = vec![member("content", content), member("index", number(index))];
    shape.extend(finish_reason.map(|reason| member("finishReason", reason)));
    Shape::Map(shape)
}

fn generate_envelope(
    candidates: Vec<Shape>,
    usage: Option<Usage>,
    about: &About,
) -> Vec<(Key, Shape)> {
    let mut shape = vec![
        member("candidates", Shape::List(candidates)),
        member("modelVersion", about.model()),
        member("responseId", about.id("")),
    ];
    shape.extend(usage.map(|usage| {
        let counts = vec![
            member("promptTokenCount", number(usage.prompt)),
            member("candidatesTokenCount", number(usage.completion)),
            member("totalTokenCount", number(usage.prompt.saturating_add(usage.completion))),
        ];
        member("usageMetadata", Shape::Map(counts))
    }));
    shape
}

fn chunk(choice: u64, parts: Vec<Shape>, saying: &Saying<'_>) -> Shape {
    let said = candidate(choice, parts, None);
    Shape::Map(generate_envelope(vec![said], None, saying.about))
}
