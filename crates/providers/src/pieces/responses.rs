//! Saying an answer as a response of OpenAI.

use super::{At, Choice, Form, Kind, Piece, Said, Saying, Why, call_id, event, nothing, tail};
use crate::reading::About;
use crate::taker::{Taker, member, word};
use gate::prompt::StreamEvent;
use gate::shape::{Json, Key, Shape};
use ledger::Usage;
use phi::Text;

/// The items of a stream so far, with all that was said in each: this dialect says it again at the
/// end of a block, of an item and of the response.
#[derive(Debug, Default)]
pub(super) struct Response {
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    at: At,
    kind: Kind,
    said: Text,
}

fn envelope(
    status: &str,
    output: Vec<Shape>,
    why: Option<Why>,
    usage: Option<Usage>,
    about: &About,
    taker: &mut Taker,
) -> Shape {
    let reason = why.map_or(Shape::Null, |why| {
        let reason = if why == Why::Filter { "content_filter" } else { "max_output_tokens" };
        Shape::Map(vec![member("reason", word(reason))])
    });
    let mut shape = vec![
        member("id", about.id("resp_")),
        member("object", word("response")),
        member("created_at", about.created()),
        member("status", word(status)),
        member("error", Shape::Null),
        member("incomplete_details", reason),
        member("model", about.model()),
        member("output", Shape::List(output)),
    ];
    let defaults = [
        ("instructions", Shape::Null),
        ("metadata", Shape::Map(Vec::new())),
        ("parallel_tool_calls", Shape::Bool(true)),
        ("temperature", Shape::Null),
        ("tool_choice", word("auto")),
        ("tools", Shape::List(Vec::new())),
        ("top_p", Shape::Null),
    ];
    let given = |name: &str| about.said_again.iter().any(|(key, _)| key.expose() == name);
    for (name, value) in defaults {
        if !given(name) {
            shape.push(member(name, value));
        }
    }
    shape.extend(about.kept().map(|(name, value)| member(name, value)));
    // The caller's own words: there is nothing in them to restore, and they were scanned.
    let again = taker.again(true);
    for (name, value) in about.said_again.iter() {
        shape.push(member(name.expose(), taker.tree(value.clone(), None)));
    }
    taker.again(again);
    shape.extend(usage.map(|usage| {
        let count = |count: u64| Shape::Number(count.into());
        let detail = |name, count| Shape::Map(vec![member(name, count)]);
        let counts = vec![
            member("input_tokens", count(usage.prompt)),
            member("input_tokens_details", detail("cached_tokens", count(0))),
            member("output_tokens", count(usage.completion)),
            member("output_tokens_details", detail("reasoning_tokens", count(0))),
            member("total_tokens", count(usage.prompt.saturating_add(usage.completion))),
        ];
        member("usage", Shape::Map(counts))
    }));
    Shape::Map(shape)
}

/// Whether the response is whole, and why it is not.
const fn ended(why: Why) -> (&'static str, Option<Why>) {
    match why {
        Why::Stop | Why::StopSequence | Why::Calls | Why::Refusal => ("completed", None),
        Why::Length | Why::Filter => ("incomplete", Some(why)),
    }
}

fn item_id(at: At, kind: &Kind, about: &About) -> Shape {
    let prefix = match kind {
        Kind::Text | Kind::Refusal => "msg",
        Kind::Reasoning => "rs",
        Kind::Call { .. } => "fc",
    };
    about.id(&format!("{prefix}_{}_", at.block))
}

/// The part of an item that holds its text.
fn part(kind: &Kind, text: Shape) -> Shape {
    let (name, field) = match kind {
        Kind::Refusal => ("refusal", "refusal"),
        Kind::Reasoning => ("summary_text", "text"),
        Kind::Text | Kind::Call { .. } => ("output_text", "text"),
    };
    let mut shape = vec![member("type", word(name)), member(field, text)];
    if matches!(kind, Kind::Text) {
        shape.push(member("annotations", Shape::List(Vec::new())));
        shape.push(member("logprobs", Shape::List(Vec::new())));
    }
    Shape::Map(shape)
}

/// One item of the output; without text it only begins.
fn item(at: At, kind: &Kind, text: Option<Shape>, about: &About, taker: &mut Taker) -> Shape {
    let status = if text.is_some() { "completed" } else { "in_progress" };
    let id = member("id", item_id(at, kind, about));
    let status = member("status", word(status));
    Shape::Map(match kind {
        Kind::Text | Kind::Refusal => vec![
            member("type", word("message")),
            id,
            status,
            member("role", word("assistant")),
            member("content", Shape::List(text.map(|text| part(kind, text)).into_iter().collect())),
        ],
        Kind::Reasoning => vec![
            member("type", word("reasoning")),
            id,
            member("summary", Shape::List(text.map(|text| part(kind, text)).into_iter().collect())),
        ],
        Kind::Call { id: call, name } => {
            let arguments = text.unwrap_or_else(|| nothing(taker));
            vec![
                member("type", word("function_call")),
                id,
                status,
                member("call_id", call_id(taker, call.clone(), at, about)),
                member("name", taker.take(Json::Text(name.clone()), "name")),
                member("arguments", arguments),
            ]
        }
    })
}

impl Response {
    fn end(&self, at: At, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let Some(Item { kind, said, .. }) = self.items.iter().find(|item| item.at == at) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let again = || {
            let mut taker = saying.taker();
            taker.again(true);
            taker
        };
        let whole = |taker: &mut Taker| taker.part(said.clone(), saying.restore(kind), None, true);
        let field = match kind {
            Kind::Refusal => "refusal",
            Kind::Call { .. } => "arguments",
            Kind::Text | Kind::Reasoning => "text",
        };
        let mut taker = again();
        let mut rest = place(at, kind, saying.about);
        rest.push(member(field, whole(&mut taker)));
        events.push(numbered(&format!("{}.done", stem(kind)), rest, taker));
        if !matches!(kind, Kind::Call { .. }) {
            let mut taker = again();
            let mut rest = place(at, kind, saying.about);
            rest.push(member("part", part(kind, whole(&mut taker))));
            events.push(numbered(&format!("{}.done", part_stem(kind)), rest, taker));
        }
        let mut taker = again();
        let text = whole(&mut taker);
        let done = item(at, kind, Some(text), saying.about, &mut taker);
        let rest = vec![index(at), member("item", done)];
        events.push(numbered("response.output_item.done", rest, taker));
        events
    }
}

impl Form for Response {
    fn whole(
        &mut self,
        choices: Vec<Choice>,
        usage: Option<Usage>,
        about: &About,
        taker: &mut Taker,
    ) -> Option<Shape> {
        let choice = choices.into_iter().next()?;
        let mut output = Vec::new();
        for (block, Said { kind, text, .. }) in (0..).zip(choice.blocks) {
            let text = super::whole_text(taker, &kind, text);
            output.push(item(At { choice: 0, block }, &kind, Some(text), about, taker));
        }
        let (status, why) = ended(choice.why);
        Some(envelope(status, output, why, usage, about, taker))
    }

    fn open(&mut self, saying: &Saying<'_>) -> Vec<StreamEvent> {
        ["response.created", "response.in_progress"]
            .into_iter()
            .map(|name| {
                let mut taker = saying.taker();
                let response =
                    envelope("in_progress", Vec::new(), None, None, saying.about, &mut taker);
                numbered(name, vec![member("response", response)], taker)
            })
            .collect()
    }

    fn say(&mut self, piece: Piece, kind: Option<&Kind>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        match (piece, kind) {
            (Piece::Begin(at, kind), _) => {
                let begun = item(at, &kind, None, saying.about, &mut taker);
                let added = vec![index(at), member("item", begun)];
                let mut events = vec![numbered("response.output_item.added", added, taker)];
                if !matches!(kind, Kind::Call { .. }) {
                    let mut taker = saying.taker();
                    let empty = part(&kind, nothing(&mut taker));
                    let mut rest = place(at, &kind, saying.about);
                    rest.push(member("part", empty));
                    events.push(numbered(&format!("{}.added", part_stem(&kind)), rest, taker));
                }
                self.items.push(Item { at, kind, said: Text::default() });
                events
            }
            (Piece::Say(at, text), Some(kind)) => {
                if let Some(item) = self.items.iter_mut().find(|item| item.at == at) {
                    let mut said = std::mem::take(&mut item.said).into_exposed();
                    said.push_str(text.expose());
                    item.said = Text::new(said);
                }
                let hole = saying.piece(&mut taker, at, kind, text);
                let mut rest = place(at, kind, saying.about);
                rest.push(member("delta", hole));
                vec![numbered(&format!("{}.delta", stem(kind)), rest, taker)]
            }
            (Piece::End(at), _) => self.end(at, saying),
            (Piece::Say(..) | Piece::Sign(..) | Piece::Finish { .. }, _) => Vec::new(),
        }
    }

    fn tail(&mut self, at: At, kind: &Kind, saying: &Saying<'_>) -> StreamEvent {
        let mut taker = saying.taker();
        let hole = saying.rest(&mut taker, at, kind);
        let name = format!("{}.delta", stem(kind));
        let mut rest = place(at, kind, saying.about);
        rest.push(member("delta", hole));
        tail(Some(&name), shape(&name, rest), taker)
    }

    fn close(&mut self, why: Why, usage: Option<Usage>, saying: &Saying<'_>) -> Vec<StreamEvent> {
        let mut taker = saying.taker();
        taker.again(true);
        let output = self
            .items
            .iter()
            .map(|Item { at, kind, said }| {
                let text = taker.part(said.clone(), saying.restore(kind), None, true);
                item(*at, kind, Some(text), saying.about, &mut taker)
            })
            .collect();
        let (status, why) = ended(why);
        let response = envelope(status, output, why, usage, saying.about, &mut taker);
        let name = format!("response.{status}");
        vec![numbered(&name, vec![member("response", response)], taker)]
    }
}

fn index(at: At) -> (Key, Shape) {
    member("output_index", Shape::Number(at.block.into()))
}

/// Where in the response a piece of text stands.
fn place(at: At, kind: &Kind, about: &About) -> Vec<(Key, Shape)> {
    let mut place = vec![member("item_id", item_id(at, kind, about)), index(at)];
    if !matches!(kind, Kind::Call { .. }) {
        let index = if matches!(kind, Kind::Reasoning) { "summary_index" } else { "content_index" };
        place.push(member(index, Shape::Number(0_u64.into())));
    }
    if matches!(kind, Kind::Text) {
        place.push(member("logprobs", Shape::List(Vec::new())));
    }
    place
}

const fn part_stem(kind: &Kind) -> &'static str {
    match kind {
        Kind::Reasoning => "response.reasoning_summary_part",
        Kind::Text | Kind::Refusal | Kind::Call { .. } => "response.content_part",
    }
}

const fn stem(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "response.output_text",
        Kind::Refusal => "response.refusal",
        Kind::Reasoning => "response.reasoning_summary_text",
        Kind::Call { .. } => "response.function_call_arguments",
    }
}

fn shape(name: &str, rest: Vec<(Key, Shape)>) -> Shape {
    let mut shape = vec![member("type", word(name)), member("sequence_number", Shape::Ordinal)];
    shape.extend(rest);
    Shape::Map(shape)
}

fn numbered(name: &str, rest: Vec<(Key, Shape)>, taker: Taker) -> StreamEvent {
    event(Some(name), shape(name, rest), taker)
}
