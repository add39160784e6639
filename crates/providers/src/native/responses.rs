//! OpenAI's Responses.
//!
//! The same text comes up to four times: piece by piece, whole in the event that ends it, again in
//! that of its item, and again in that of the response. All four are restored alike.

use super::{Open, counted, document, event, named, number};
use crate::reading::About;
use crate::taker::{Taker, Tongue, member};
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::rules::Api;
use gate::shape::{Json, Key, Shape};
use phi::Text;
use phi::surrogate::Escape;
use std::collections::BTreeMap;

/// How an answer's members are read.
pub(crate) static TONGUE: Tongue = Tongue {
    words: &[
        "id",
        "object",
        "type",
        "role",
        "status",
        "model",
        "item_id",
        "call_id",
        "service_tier",
        "effort",
        "summary_type",
        "truncation",
        "verbosity",
        "reason",
        "obfuscation",
        "previous_response_id",
        "phase",
    ],
    json: &["arguments"],
    content: &["text"],
    signed: &["encrypted_content"],
    free: &["metadata", "parameters", "schema"],
};

/// The response under the id by which it is found here again, with what is said here of where it is kept:
/// the model server is told to forget it.
pub(super) fn renamed(shape: Shape, about: &About) -> Shape {
    let Shape::Map(mut members) = shape else { return shape };
    for (name, ours) in std::iter::once(("id", about.id("resp_"))).chain(about.kept()) {
        let is = |key: &Key| matches!(key, Key::Word(word) if word.as_str() == name);
        match members.iter_mut().find(|(key, _)| is(key)) {
            Some((_, value)) => *value = ours,
            None => members.push(member(name, ours)),
        }
    }
    Shape::Map(members)
}

/// The member in which an event of this kind has its piece of text, and what that text is.
fn lane_of(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "response.output_text.delta" => ("output_text", "text"),
        "response.refusal.delta" => ("refusal", "refusal"),
        "response.function_call_arguments.delta" => ("function_call_arguments", "arguments"),
        "response.reasoning_text.delta" => ("reasoning_text", "reasoning"),
        "response.reasoning_summary_text.delta" => ("reasoning_summary_text", "reasoning"),
        "response.custom_tool_call_input.delta" => ("custom_tool_call_input", "input"),
        _ => return None,
    })
}

#[derive(Debug)]
pub(crate) struct Reader {
    escape: Escape,
    about: About,
    open: Open,
    /// What stands beside the text in the last event of each lane, for an event of our own.
    beside: BTreeMap<Lane, Vec<(Key, Shape)>>,
    done: bool,
}

impl Reader {
    pub(super) fn new(escape: Escape, about: &About) -> Self {
        let about = about.clone();
        Self { escape, about, open: Open::default(), beside: BTreeMap::new(), done: false }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn read(&mut self, data: &str) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        let json = document(data)?;
        let kind = json.member("type").and_then(Json::as_text).cloned();
        let kind = kind.ok_or(UpstreamFailure::Garbage)?;
        let kind = kind.expose();
        let failed = json.member("response").and_then(|response| response.member("error"));
        if kind == "error" || kind == "response.failed" || matches!(failed, Some(Json::Map(_))) {
            return Err(UpstreamFailure::Reported);
        }
        let place = |name: &str| json.member(name).and_then(Json::as_u64);
        let part = place("content_index").or_else(|| place("summary_index")).unwrap_or(0);
        let (item, usage) = (
            place("output_index"),
            json.member("response").and_then(|response| counted(Api::Responses, response)),
        );
        let mut taker = Taker::new(&TONGUE, self.escape);
        let mut events = Vec::new();
        let lane = match (lane_of(kind), item) {
            (Some((field, _)), Some(choice)) => Some(Lane { choice, field, call: part }),
            (Some(_), None) => return Err(UpstreamFailure::Garbage),
            (None, _) => None,
        };
        if let Some(stem) =
            kind.strip_suffix(".done").and_then(|kind| kind.strip_prefix("response."))
        {
            let whole_item = matches!(stem, "output_item");
            let whole_part = matches!(stem, "content_part" | "reasoning_summary_part");
            events.extend(self.tails(|lane| {
                Some(lane.choice) == item
                    && (whole_item || (lane.call == part && (whole_part || lane.field == stem)))
            }));
            taker.again(true);
        }
        if matches!(kind, "response.completed" | "response.incomplete") {
            events.extend(self.finish());
            taker.again(true);
            self.done = true;
        }
        let shape = self.event(json, kind, lane, &mut taker)?;
        events.push(StreamEvent { usage, ..event(Some(kind), shape, taker, data) });
        Ok(events)
    }

    fn event(
        &mut self,
        json: Json,
        kind: &str,
        lane: Option<Lane>,
        taker: &mut Taker,
    ) -> Result<Shape, UpstreamFailure> {
        let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
        let mut shape = Vec::with_capacity(members.len());
        let mut beside = Vec::new();
        for (key, value) in members {
            let value = match (key.expose(), value, lane) {
                ("sequence_number", Json::Number(_), _) => Shape::Ordinal,
                ("response", value @ Json::Map(_), _) => {
                    renamed(taker.take(value, "response"), &self.about)
                }
                ("delta", Json::Text(text), Some(lane)) => self.lane(taker, lane, kind, text),
                (name, value, _) => taker.take(value, name),
            };
            let key = taker.key(key);
            let plain =
                matches!(value, Shape::Word(_) | Shape::Number(_) | Shape::Ordinal | Shape::Null);
            if lane.is_some() && plain {
                beside.push((key.clone(), value.clone()));
            }
            shape.push((key, value));
        }
        if let Some(lane) = lane {
            self.beside.insert(lane, beside);
        }
        Ok(Shape::Map(shape))
    }

    fn lane(&mut self, taker: &mut Taker, lane: Lane, kind: &str, text: Text) -> Shape {
        let restore = taker.restore(lane_of(kind).map_or("", |(_, member)| member));
        self.open.part(taker, lane, restore, text)
    }

    fn tails(&mut self, of: impl Fn(&Lane) -> bool) -> Vec<StreamEvent> {
        let beside = &mut self.beside;
        self.open.tails((&TONGUE, self.escape), of, |lane, hole| {
            let kind = format!("response.{}.delta", lane.field);
            let mut shape = beside.remove(&lane).unwrap_or_else(|| {
                vec![
                    named("type", &kind),
                    number("output_index", lane.choice),
                    member("sequence_number", Shape::Ordinal),
                ]
            });
            shape.push(member("delta", hole));
            (Some(kind), Shape::Map(shape))
        })
    }

    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        self.tails(|_| true)
    }
}
