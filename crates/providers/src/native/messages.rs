//! Anthropic's Messages.

use super::{Open, document, event, index, named, number};
use crate::taker::{Taker, Tongue, member, tokens};
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::shape::{Json, Shape};
use ledger::Usage;
use phi::Text;
use phi::surrogate::Escape;

/// How an answer's members are read. Thinking is signed, and is sent back to the model as it came.
pub(crate) static TONGUE: Tongue = Tongue {
    words: &["id", "type", "role", "model", "stop_reason", "service_tier", "tool_use_id"],
    json: &["partial_json"],
    content: &["text"],
    signed: &["thinking", "signature", "data", "encrypted_content", "encrypted_index"],
    free: &["input"],
};

/// Tokens, the cached ones among them: they were read too.
pub(super) fn counted(json: &Json) -> Option<Usage> {
    let usage = json.member("usage")?;
    let count = |name| tokens(usage, name).unwrap_or(0);
    let cached = count("cache_creation_input_tokens") + count("cache_read_input_tokens");
    let completion = count("output_tokens");
    let prompt = tokens(usage, "input_tokens").map(|prompt| prompt + cached);
    prompt.map(|prompt| Usage { prompt, completion })
}

#[derive(Debug)]
pub(crate) struct Reader {
    escape: Escape,
    open: Open,
    done: bool,
    prompt_tokens: u64,
}

impl Reader {
    pub(super) fn new(escape: Escape) -> Self {
        Self { escape, open: Open::default(), done: false, prompt_tokens: 0 }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn read(&mut self, data: &str) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        let json = document(data)?;
        let kind = json.member("type").and_then(Json::as_text).cloned();
        let kind = kind.ok_or(UpstreamFailure::Garbage)?;
        let mut events = Vec::new();
        let mut usage = None;
        let mut taker = Taker::new(&TONGUE, self.escape);
        let shape = match kind.expose() {
            "error" => return Err(UpstreamFailure::Reported),
            "message_start" => {
                usage = json.member("message").and_then(counted);
                self.prompt_tokens = usage.map_or(0, |usage| usage.prompt);
                taker.take(json, "")
            }
            "content_block_delta" => {
                let block = index(&json, "index")?;
                let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
                self.delta(members, block, &mut taker)
            }
            "content_block_stop" => {
                let block = index(&json, "index")?;
                events.extend(self.tails(|lane| lane.choice == block));
                taker.take(json, "")
            }
            "message_delta" => {
                let completion =
                    json.member("usage").and_then(|usage| tokens(usage, "output_tokens"));
                let prompt = self.prompt_tokens;
                usage = completion.map(|completion| Usage { prompt, completion });
                taker.take(json, "")
            }
            "message_stop" => {
                self.done = true;
                events.extend(self.finish());
                taker.take(json, "")
            }
            _ => taker.take(json, ""),
        };
        events.push(StreamEvent { usage, ..event(Some(kind.expose()), shape, taker, data) });
        Ok(events)
    }

    fn delta(&mut self, members: Vec<(Text, Json)>, block: u64, taker: &mut Taker) -> Shape {
        taker.each(members, |taker, name, value| match (name, value) {
            ("delta", Json::Map(delta)) => {
                taker.each(delta, |taker, name, value| match (name, value) {
                    ("text", Json::Text(text)) => self.lane(taker, block, "text", text),
                    ("partial_json", Json::Text(text)) => {
                        self.lane(taker, block, "partial_json", text)
                    }
                    (name, value) => taker.take(value, name),
                })
            }
            (name, value) => taker.take(value, name),
        })
    }

    fn lane(&mut self, taker: &mut Taker, block: u64, field: &'static str, text: Text) -> Shape {
        let restore = taker.restore(field);
        self.open.part(taker, Lane { choice: block, field, call: 0 }, restore, text)
    }

    fn tails(&mut self, of: impl Fn(&Lane) -> bool) -> Vec<StreamEvent> {
        self.open.tails((&TONGUE, self.escape), of, |lane, hole| {
            let kind = if lane.field == "text" { "text_delta" } else { "input_json_delta" };
            let delta = Shape::Map(vec![named("type", kind), member(lane.field, hole)]);
            let name = "content_block_delta";
            let shape =
                vec![named("type", name), number("index", lane.choice), member("delta", delta)];
            (Some(name.to_owned()), Shape::Map(shape))
        })
    }

    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        self.tails(|_| true)
    }
}
