//! Converse of Amazon Bedrock.

use super::{Open, counted, document, event, index, member, number};
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
    free: &["input", "json"],
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
                let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
                self.delta(members, block, &mut taker)
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

    fn delta(&mut self, members: Vec<(Text, Json)>, block: u64, taker: &mut Taker) -> Shape {
        taker.each(members, |taker, name, value| match (name, value) {
            ("delta", Json::Map(delta)) => {
                taker.each(delta, |taker, name, value| match (name, value) {
                    ("text", Json::Text(text)) => {
                        let restore = Some(self.escape);
                        self.lane(taker, block, ("text", restore), text)
                    }
                    ("toolUse", Json::Map(call)) => {
                        taker.each(call, |taker, name, value| match (name, value) {
                            ("input", Json::Text(text)) => {
                                self.lane(taker, block, ("input", Some(Escape::Json)), text)
                            }
                            (name, value) => taker.take(value, name),
                        })
                    }
                    // What the model signed stays as it came.
                    ("reasoningContent", reasoning) => taker.tree(reasoning, None),
                    (name, value) => taker.take(value, name),
                })
            }
            (name, value) => taker.take(value, name),
        })
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
        self.open.tails((&TONGUE, self.escape), of, |lane, hole| {
            let said = if lane.field == "text" {
                member("text", hole)
            } else {
                member("toolUse", Shape::Map(vec![member("input", hole)]))
            };
            let delta = Shape::Map(vec![said]);
            let shape = vec![number("contentBlockIndex", lane.choice), member("delta", delta)];
            (Some("contentBlockDelta".to_owned()), Shape::Map(shape))
        })
    }

    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        self.tails(|_| true)
    }
}
