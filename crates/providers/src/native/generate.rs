//! `generateContent` of Google's Gemini.

use super::{Open, document, event, member, number};
use crate::taker::{Taker, Tongue, tokens};
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::shape::{Json, Shape};
use ledger::Usage;
use phi::surrogate::Escape;

/// How an answer's members are read.
pub(crate) static TONGUE: Tongue = Tongue {
    words: &[
        "role",
        "finishReason",
        "blockReason",
        "category",
        "probability",
        "severity",
        "modelVersion",
        "responseId",
        "createTime",
        "trafficType",
        "modality",
        "id",
    ],
    json: &[],
    content: &["text"],
    signed: &["thoughtSignature"],
    free: &["args"],
};

/// Tokens; thoughts were written by the model too.
pub(super) fn counted(json: &Json) -> Option<Usage> {
    let usage = json.member("usageMetadata")?;
    let count = |name| tokens(usage, name).unwrap_or(0);
    let completion = count("candidatesTokenCount") + count("thoughtsTokenCount");
    tokens(usage, "promptTokenCount").map(|prompt| Usage { prompt, completion })
}

#[derive(Debug)]
pub(crate) struct Reader {
    escape: Escape,
    open: Open,
    finished: bool,
}

impl Reader {
    pub(super) fn new(escape: Escape) -> Self {
        Self { escape, open: Open::default(), finished: false }
    }

    /// After a candidate's reason to finish nothing more has to come.
    pub(super) const fn may_end(&self) -> bool {
        self.finished
    }

    pub(super) fn read(&mut self, data: &str) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        let json = document(data)?;
        let usage = counted(&json);
        if json.member("promptFeedback").is_some_and(|told| told.member("blockReason").is_some()) {
            self.finished = true;
        }
        let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
        let mut events = Vec::new();
        let mut taker = Taker::new(&TONGUE, self.escape);
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("candidates", Json::List(candidates)) => Shape::List(
                    candidates
                        .into_iter()
                        .map(|candidate| self.candidate(candidate, &mut taker, &mut events))
                        .collect::<Result<_, _>>()?,
                ),
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        events.push(StreamEvent { usage, ..event(None, Shape::Map(shape), taker, data) });
        Ok(events)
    }

    fn candidate(
        &mut self,
        candidate: Json,
        taker: &mut Taker,
        before: &mut Vec<StreamEvent>,
    ) -> Result<Shape, UpstreamFailure> {
        let choice = candidate.member("index").and_then(Json::as_u64).unwrap_or(0);
        let parts = candidate.member("content").and_then(|content| content.member("parts"));
        let goes_on = matches!(parts, Some(Json::List(parts)) if parts.iter().any(has_text));
        let finishes = candidate.member("finishReason").is_some();
        if !goes_on && (finishes || parts.is_some()) {
            before.extend(self.tails(|lane| lane.choice == choice));
        }
        self.finished |= finishes;
        let Json::Map(members) = candidate else { return Err(UpstreamFailure::Garbage) };
        Ok(taker.each(members, |taker, name, value| match (name, value) {
            ("content", Json::Map(content)) => {
                taker.each(content, |taker, name, value| match (name, value) {
                    ("parts", Json::List(parts)) => Shape::List(
                        parts
                            .into_iter()
                            .map(|part| self.part(part, choice, finishes, taker))
                            .collect(),
                    ),
                    (name, value) => taker.take(value, name),
                })
            }
            (name, value) => taker.take(value, name),
        }))
    }

    fn part(&mut self, part: Json, choice: u64, finishes: bool, taker: &mut Taker) -> Shape {
        let thought = matches!(part.member("thought"), Some(Json::Bool(true)));
        let Json::Map(members) = part else { return taker.take(part, "") };
        let field = if thought { "thought" } else { "text" };
        let restore = Some(if thought { Escape::Plain } else { self.escape });
        let lane = Lane { choice, field, call: 0 };
        taker.each(members, |taker, name, value| match (name, value) {
            ("text", Json::Text(text)) if finishes => {
                self.open.0.remove(&lane);
                taker.part(text, restore, Some(lane), true)
            }
            ("text", Json::Text(text)) => self.open.part(taker, lane, restore, text),
            (name, value) => taker.take(value, name),
        })
    }

    fn tails(&mut self, of: impl Fn(&Lane) -> bool) -> Vec<StreamEvent> {
        self.open.tails((&TONGUE, self.escape), of, |lane, hole| {
            let mut part = vec![member("text", hole)];
            if lane.field == "thought" {
                part.push(member("thought", Shape::Bool(true)));
            }
            let content = Shape::Map(vec![
                member("parts", Shape::List(vec![Shape::Map(part)])),
                super::named("role", "model"),
            ]);
            let candidate =
                Shape::Map(vec![member("content", content), number("index", lane.choice)]);
            let candidates = Shape::List(vec![candidate]);
            (None, Shape::Map(vec![member("candidates", candidates)]))
        })
    }

    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        self.tails(|_| true)
    }
}

fn has_text(part: &Json) -> bool {
    matches!(part.member("text"), Some(Json::Text(_)))
}
