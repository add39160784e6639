//! Converse of Amazon Bedrock.

use super::{Open, counted, document, event, index, member, number, tail};
use crate::taker::{Taker, Tongue};
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::rules::Api;
use gate::shape::{Json, Shape};
use phi::Text;
use phi::surrogate::Escape;

/// How an answer's members are read. `input` is an object in a whole answer and pieces of its JSON
/// in a stream, where the reader sees to it.
pub(crate) static TONGUE: Tongue = Tongue {
    words: &["role", "stopReason", "toolUseId", "latency", "p"],
    json: &[],
    content: &["text"],
    signed: &["signature", "redactedContent", "reasoning"],
};

#[derive(Debug)]
pub(crate) struct Reader {
    escape: Escape,
    open: Open,
    stopped: bool,
}

impl Reader {
    pub(super) fn new(escape: Escape) -> Self {
        Self { escape, open: Open::default(), stopped: false }
    }

    /// After the event that says why the model stopped, only counts may follow.
    pub(super) const fn may_end(&self) -> bool {
        self.stopped
    }

    pub(super) fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
    ) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        let name = name.ok_or(UpstreamFailure::Garbage)?;
        let json = document(data)?;
        let mut events = Vec::new();
        let mut taker = Taker::new(&TONGUE, self.escape);
        let usage = counted(Api::Converse, &json);
        let shape = match name {
            "contentBlockDelta" => {
                let block = index(&json, "contentBlockIndex")?;
                self.delta(json, block, &mut taker)?
            }
            "contentBlockStop" => {
                let block = index(&json, "contentBlockIndex")?;
                events.extend(self.tails(|lane| lane.choice == block));
                taker.take(json, "")
            }
            "messageStop" => {
                self.stopped = true;
                events.extend(self.finish());
                taker.take(json, "")
            }
            _ => taker.take(json, ""),
        };
        events.push(StreamEvent { usage, ..event(Some(name), shape, taker, data) });
        Ok(events)
    }

    fn delta(
        &mut self,
        json: Json,
        block: u64,
        taker: &mut Taker,
    ) -> Result<Shape, UpstreamFailure> {
        let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("delta", Json::Map(delta)) => {
                    let mut inner = Vec::with_capacity(delta.len());
                    for (key, value) in delta {
                        let value = match (key.expose(), value) {
                            ("text", Json::Text(text)) => {
                                let restore = Some(self.escape);
                                self.lane(taker, block, ("text", restore), text)
                            }
                            ("toolUse", Json::Map(call)) => self.call(taker, block, call),
                            ("reasoningContent", Json::Map(reasoning)) => signed(taker, reasoning),
                            (name, value) => taker.take(value, name),
                        };
                        inner.push((taker.key(key), value));
                    }
                    Shape::Map(inner)
                }
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Ok(Shape::Map(shape))
    }

    fn call(&mut self, taker: &mut Taker, block: u64, call: Vec<(Text, Json)>) -> Shape {
        let mut shape = Vec::with_capacity(call.len());
        for (key, value) in call {
            let value = match (key.expose(), value) {
                ("input", Json::Text(text)) => {
                    self.lane(taker, block, ("input", Some(Escape::Json)), text)
                }
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Shape::Map(shape)
    }

    fn lane(
        &mut self,
        taker: &mut Taker,
        block: u64,
        (field, restore): (&'static str, Option<Escape>),
        text: Text,
    ) -> Shape {
        self.open.part(taker, Lane { choice: block, field, call: 0 }, restore, text)
    }

    fn tails(&mut self, of: impl Fn(&Lane) -> bool) -> Vec<StreamEvent> {
        let lanes = self.open.lanes(of);
        lanes.into_iter().filter_map(|lane| self.tail(lane)).collect()
    }

    fn tail(&mut self, lane: Lane) -> Option<StreamEvent> {
        let mut taker = Taker::new(&TONGUE, self.escape);
        let hole = self.open.end(&mut taker, lane)?;
        let said = if lane.field == "text" {
            member("text", hole)
        } else {
            member("toolUse", Shape::Map(vec![member("input", hole)]))
        };
        let shape = Shape::Map(vec![
            number("contentBlockIndex", lane.choice),
            member("delta", Shape::Map(vec![said])),
        ]);
        Some(tail(Some("contentBlockDelta"), shape, taker))
    }

    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        self.tails(|_| true)
    }
}

/// What the model signed stays as it came.
fn signed(taker: &mut Taker, members: Vec<(Text, Json)>) -> Shape {
    let shape = members.into_iter().map(|(key, value)| {
        let value = match value {
            Json::Text(text) => taker.part(text, None, None, true),
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::List(_)
            | Json::Map(_)) => taker.take(other, "reasoning"),
        };
        (taker.key(key), value)
    });
    Shape::Map(shape.collect())
}
