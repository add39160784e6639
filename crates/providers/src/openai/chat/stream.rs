//! A streamed chat completion or completion, event by event.

use crate::taker::{Taker, Tongue, member, usage};
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::shape::{Json, Key, Shape};
use phi::Text;
use phi::surrogate::Escape;
use std::collections::BTreeMap;

/// The data of the event that ends a stream.
const DONE: &str = "[DONE]";

/// Reads the events of one streamed chat completion, or of a completion as before there was chat.
///
/// It knows which lanes have begun, so that when a choice ends, an event can carry the tail that the
/// gate may hold back.
#[derive(Debug)]
pub(crate) struct StreamReader {
    tongue: &'static Tongue,
    content_escape: Escape,
    open: BTreeMap<Lane, Option<Escape>>,
    envelope: Vec<(Key, Shape)>,
    done: bool,
}

impl StreamReader {
    /// At the beginning of a stream. `content_escape` says how values are written into the answer's
    /// own text.
    pub(crate) const fn new(tongue: &'static Tongue, content_escape: Escape) -> Self {
        Self { tongue, content_escape, open: BTreeMap::new(), envelope: Vec::new(), done: false }
    }

    /// Whether the stream's last event was read.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// Reads the data of one event into the events to hand on, in order.
    ///
    /// # Errors
    /// [`UpstreamFailure::Garbage`] when it is not of the dialect, [`UpstreamFailure::Reported`] when
    /// it is an error.
    pub(crate) fn read(&mut self, data: &str) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        if data.trim() == DONE {
            self.done = true;
            return Ok(self.finish());
        }
        let json = Json::parse(data.as_bytes()).map_err(|_| UpstreamFailure::Garbage)?;
        if matches!(json.member("error"), Some(Json::Map(_) | Json::Text(_))) {
            return Err(UpstreamFailure::Reported);
        }
        let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };
        let json = Json::Map(members);
        if !matches!(json.member("choices"), Some(Json::List(_))) {
            return Err(UpstreamFailure::Garbage);
        }
        let usage = usage(&json, "prompt_tokens", "completion_tokens");
        let Json::Map(members) = json else { return Err(UpstreamFailure::Garbage) };

        let mut taker = Taker::new(self.tongue, self.content_escape);
        let mut ended = Vec::new();
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("choices", Json::List(choices)) => Shape::List(
                    choices
                        .into_iter()
                        .enumerate()
                        .map(|(place, choice)| self.choice(choice, place, &mut taker, &mut ended))
                        .collect::<Result<_, _>>()?,
                ),
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        self.keep_envelope(&shape);
        let mut events: Vec<StreamEvent> =
            ended.into_iter().filter_map(|choice| self.tail(choice, &taker)).collect();
        events.push(StreamEvent {
            name: None,
            shape: Shape::Map(shape),
            parts: taker.parts,
            received: Text::from(data),
            only_with_text: false,
            usage,
        });
        Ok(events)
    }

    /// The events that carry what is still held back when the stream is over.
    pub(crate) fn finish(&mut self) -> Vec<StreamEvent> {
        let nothing = Taker::new(self.tongue, self.content_escape);
        let mut choices: Vec<u64> = self.open.keys().map(|lane| lane.choice).collect();
        choices.dedup();
        choices.into_iter().filter_map(|choice| self.tail(choice, &nothing)).collect()
    }

    fn choice(
        &mut self,
        choice: Json,
        place: usize,
        taker: &mut Taker,
        ended: &mut Vec<u64>,
    ) -> Result<Shape, UpstreamFailure> {
        let index = index(&choice, place)?;
        // Some servers write an empty reason into every event that ends nothing.
        let reason = choice.member("finish_reason").and_then(Json::as_text);
        let ends = reason.is_some_and(|reason| !reason.is_empty());
        if ends {
            ended.push(index);
        }
        let Json::Map(members) = choice else { return Err(UpstreamFailure::Garbage) };
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("delta", Json::Map(delta)) => self.delta(delta, index, ends, taker)?,
                // Where a completion has its text.
                ("text", Json::Text(text)) => {
                    self.lane(text, Lane { choice: index, field: "text", call: 0 }, ends, taker)
                }
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Ok(Shape::Map(shape))
    }

    fn delta(
        &mut self,
        members: Vec<(Text, Json)>,
        choice: u64,
        ends: bool,
        taker: &mut Taker,
    ) -> Result<Shape, UpstreamFailure> {
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("tool_calls", Json::List(calls)) => Shape::List(
                    calls
                        .into_iter()
                        .enumerate()
                        .map(|(place, call)| {
                            let lane = (choice, index(&call, place)?);
                            Ok(self.call(call, lane, ends, taker))
                        })
                        .collect::<Result<_, _>>()?,
                ),
                ("function_call", Json::Map(called)) => {
                    self.called(called, (choice, 0), ends, taker)
                }
                (name, Json::Text(text)) => match lane_field(name) {
                    Some(field) => self.lane(text, Lane { choice, field, call: 0 }, ends, taker),
                    None => taker.take(Json::Text(text), name),
                },
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Ok(Shape::Map(shape))
    }

    fn call(&mut self, call: Json, lane: (u64, u64), ends: bool, taker: &mut Taker) -> Shape {
        let Json::Map(members) = call else { return taker.take(call, "") };
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("function", Json::Map(called)) => self.called(called, lane, ends, taker),
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Shape::Map(shape)
    }

    fn called(
        &mut self,
        members: Vec<(Text, Json)>,
        (choice, call): (u64, u64),
        ends: bool,
        taker: &mut Taker,
    ) -> Shape {
        let mut shape = Vec::with_capacity(members.len());
        for (key, value) in members {
            let value = match (key.expose(), value) {
                ("arguments", Json::Text(text)) => {
                    self.lane(text, Lane { choice, field: "arguments", call }, ends, taker)
                }
                (name, value) => taker.take(value, name),
            };
            shape.push((taker.key(key), value));
        }
        Shape::Map(shape)
    }

    fn lane(&mut self, text: Text, lane: Lane, ends: bool, taker: &mut Taker) -> Shape {
        let escape = taker.restore(lane.field);
        if ends {
            self.open.remove(&lane);
        } else {
            self.open.insert(lane, escape);
        }
        taker.part(text, escape, Some(lane), ends)
    }

    /// Remembers what stands around the choices, for events of our own.
    fn keep_envelope(&mut self, shape: &[(Key, Shape)]) {
        if !self.envelope.is_empty() {
            return;
        }
        let kept = ["id", "object", "created", "model", "system_fingerprint"];
        self.envelope = shape
            .iter()
            .filter(|(key, value)| {
                let named = matches!(key, Key::Word(word) if kept.contains(&word.as_str()));
                named && matches!(value, Shape::Word(_) | Shape::Number(_) | Shape::Null)
            })
            .cloned()
            .collect();
    }

    /// An event that ends the choice's open lanes, except those that `current` goes on with.
    fn tail(&mut self, choice: u64, current: &Taker) -> Option<StreamEvent> {
        let goes_on = |lane: &Lane| current.parts.iter().any(|part| part.lane == Some(*lane));
        let lanes: Vec<(Lane, Option<Escape>)> = self
            .open
            .iter()
            .filter(|(lane, _)| lane.choice == choice && !goes_on(lane))
            .map(|(lane, escape)| (*lane, *escape))
            .collect();
        if lanes.is_empty() {
            return None;
        }
        let mut taker = Taker::new(self.tongue, self.content_escape);
        let mut delta = Vec::new();
        let mut calls = Vec::new();
        let mut text = None;
        for (lane, escape) in lanes {
            self.open.remove(&lane);
            let hole = taker.part(Text::default(), escape, Some(lane), true);
            if lane.field == "arguments" {
                let function = Shape::Map(vec![member("arguments", hole)]);
                let call = vec![
                    member("index", Shape::Number(lane.call.into())),
                    member("function", function),
                ];
                calls.push(Shape::Map(call));
            } else if lane.field == "text" {
                text = Some(hole);
            } else {
                delta.push(member(lane.field, hole));
            }
        }
        if !calls.is_empty() {
            delta.push(member("tool_calls", Shape::List(calls)));
        }
        let said = match text {
            Some(text) => member("text", text),
            None => member("delta", Shape::Map(delta)),
        };
        let choice = Shape::Map(vec![
            member("index", Shape::Number(choice.into())),
            said,
            member("finish_reason", Shape::Null),
        ]);
        let mut shape = self.envelope.clone();
        shape.push(member("choices", Shape::List(vec![choice])));
        Some(StreamEvent {
            name: None,
            shape: Shape::Map(shape),
            parts: taker.parts,
            received: Text::default(),
            only_with_text: true,
            usage: None,
        })
    }
}

/// The number of a choice or a tool call: the one that it has, or its place when it has none. Any
/// other would mix two streams of text into one, and their values with them.
fn index(json: &Json, place: usize) -> Result<u64, UpstreamFailure> {
    match json.member("index") {
        None | Some(Json::Null) => Ok(place as u64),
        Some(index) => index.as_u64().ok_or(UpstreamFailure::Garbage),
    }
}

/// The fields of a delta whose text continues from event to event.
fn lane_field(name: &str) -> Option<&'static str> {
    ["content", "refusal", "reasoning_content", "reasoning"]
        .into_iter()
        .find(|field| *field == name)
}
