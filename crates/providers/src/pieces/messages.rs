//! Saying an answer as a message of Anthropic.

use super::{
    At, Choice, Form, Kind, Piece, Said, Saying, Why, arguments, as_signed, call_id, event,
    nothing, tail, whole_text,
};
use crate::reading::About;
use crate::taker::{Taker, member, word};
use gate::prompt::StreamEvent;
use gate::shape::{Json, Key, Shape};
use ledger::Usage;

#[derive(Debug)]
pub(super) struct Message;

fn stop_reason(why: Why) -> Shape {
    word(match why {
        Why::Stop => "end_turn",
        Why::StopSequence => "stop_sequence",
        Why::Length => "max_tokens",
        Why::Calls => "tool_use",
        Why::Filter | Why::Refusal => "refusal",
    })
}

fn counts(usage: Option<Usage>) -> Shape {
    let usage = usage.unwrap_or(Usage { prompt: 0, completion: 0 });
    Shape::Map(vec![
        member("input_tokens", Shape::Number(usage.prompt.into())),
        member("output_tokens", Shape::Number(usage.completion.into())),
    ])
}

fn message(content: Vec<Shape>, stop: Shape, usage: Option<Usage>, about: &About) -> Shape {
    Shape::Map(vec![
        member("id", about.id("msg_")),
        member("type", word("message")),
        member("role", word("assistant")),
        member("model", about.model()),
        member("content", Shape::List(content)),
        member("stop_reason", stop),
        member("stop_sequence", Shape::Null),
        member("usage", counts(usage)),
    ])
}

fn typed(kind: &str, rest: Vec<(Key, Shape)>) -> Shape {
    let mut shape = vec![member("type", word(kind))];
    shape.extend(rest);
    Shape::Map(shape)
}

impl Form for Message {
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
        let mut content = Vec::new();
        for (block, Said { kind, text, signature }) in (0..).zip(choice.blocks) {
            let at = At { choice: 0, block };
            content.push(match kind {
                Kind::Text | Kind::Refusal => {
                    let text = whole_text(taker, &kind, text);
                    typed("text", vec![member("text", text)])
                }
                Kind::Reasoning => {
                    let text = whole_text(taker, &kind, text);
                    let signature = as_signed(taker, signature.unwrap_or_default());
                    typed(
                        "thinking",
                        vec![member("thinking", text), member("signature", signature)],
                    )
                }
                Kind::Call { id, name } => typed(
                    "tool_use",
                    vec![
                        member("id", call_id(taker, id, at, about)),
                        member("name", taker.take(Json::Text(name), "name")),
                        member("input", arguments(taker, text)),
                    ],
                ),
            });
        }
        Some(message(content, stop_reason(choice.why), usage, about))
    }

    fn open(&mut self, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let message = message(Vec::new(), Shape::Null, None, saying.about);
        let shape = typed("message_start", vec![member("message", message)]);
        vec![event(Some("message_start"), shape, saying.taker())]
    }

    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        match (piece, kind) {
            (Piece::Begin(at, kind), _) => {
                let empty = nothing(&mut taker);
                let block = match kind {
                    Kind::Text | Kind::Refusal => typed("text", vec![member("text", empty)]),
                    Kind::Reasoning => {
                        let signature = nothing(&mut taker);
                        let rest = vec![member("thinking", empty), member("signature", signature)];
                        typed("thinking", rest)
                    }
                    Kind::Call { id, name } => {
                        let id = call_id(&mut taker, id, at, saying.about);
                        let name = taker.take(Json::Text(name), "name");
                        let input = Shape::Map(Vec::new());
                        let rest =
                            vec![member("id", id), member("name", name), member("input", input)];
                        typed("tool_use", rest)
                    }
                };
                let rest = vec![index(at), member("content_block", block)];
                vec![event(Some("content_block_start"), typed("content_block_start", rest), taker)]
            }
            (Piece::Say(at, text), Some(kind)) => {
                let hole = saying.piece(&mut taker, at, kind, text);
                vec![event(Some("content_block_delta"), delta(at, kind, hole), taker)]
            }
            (Piece::Sign(at, signature), _) => {
                let signature = as_signed(&mut taker, signature);
                let delta = typed("signature_delta", vec![member("signature", signature)]);
                let rest = vec![index(at), member("delta", delta)];
                let shape = typed("content_block_delta", rest);
                vec![event(Some("content_block_delta"), shape, taker)]
            }
            (Piece::End(at), _) => {
                let shape = typed("content_block_stop", vec![index(at)]);
                vec![event(Some("content_block_stop"), shape, taker)]
            }
            (Piece::Say(..) | Piece::Finish { .. }, _) => Vec::new(),
        }
    }

    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent {
        let mut taker = saying.taker();
        let hole = saying.rest(&mut taker, at, kind);
        tail(Some("content_block_delta"), delta(at, kind, hole), taker)
    }

    fn close(&mut self, why: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let told = Shape::Map(vec![
            member("stop_reason", stop_reason(why)),
            member("stop_sequence", Shape::Null),
        ]);
        let rest = vec![member("delta", told), member("usage", counts(usage))];
        vec![
            event(Some("message_delta"), typed("message_delta", rest), saying.taker()),
            event(Some("message_stop"), typed("message_stop", Vec::new()), saying.taker()),
        ]
    }
}

fn index(at: At) -> (Key, Shape) {
    member("index", Shape::Number(at.block.into()))
}

fn delta(at: At, kind: &Kind, hole: Shape) -> Shape {
    let (name, field) = match kind {
        Kind::Text | Kind::Refusal => ("text_delta", "text"),
        Kind::Reasoning => ("thinking_delta", "thinking"),
        Kind::Call { .. } => ("input_json_delta", "partial_json"),
    };
    let delta = typed(name, vec![member(field, hole)]);
    typed("content_block_delta", vec![index(at), member("delta", delta)])
}
