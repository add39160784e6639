//! Restoring a streamed answer, window by window.
//!
//! A window is what became certain since the last one. It leaves the gate only after its bytes are
//! durable. While one window is being made durable the next one gathers, so a slow disk makes
//! windows larger, not streams slower.

use crate::prompt::{AnswerPart, Lane, StreamEvent};
use crate::shape::{Fill, PartId, Word};
use phi::surrogate::{Restorer, SurrogateMap};
use phi::{Detector, Part, Text, Unscannable};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An answer with more text than this ends with an error: the whole of it is scanned at its end,
/// and this is what one scan reads. No model writes 8 MiB in one answer.
pub const MAX_ANSWER_BYTES: usize = phi::detect::MAX_SCAN_BYTES;

/// Streams of text in one answer: choices and tool calls. More is not an honest answer.
const MAX_LANES: usize = 4096;

/// Events that were made durable together. Only the gate makes one.
#[derive(Debug, Default)]
pub struct Window {
    frames: Vec<Frame>,
}

impl Window {
    /// The events, in order.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub(crate) const fn new(frames: Vec<Frame>) -> Self {
        Self { frames }
    }
}

/// One restored event.
#[derive(Debug)]
pub struct Frame {
    /// The event's name, in dialects that name them.
    pub name: Option<Word>,
    /// The event's data: one JSON document.
    pub data: Text,
}

/// The answer exceeds what an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is larger than an answer may be")]
pub struct AnswerTooLarge;

/// One lane: its restorer, and what it said so far.
struct LaneState {
    restorer: Restorer,
    said: String,
}

impl fmt::Debug for LaneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneState({} bytes)", self.said.len())
    }
}

impl Drop for LaneState {
    fn drop(&mut self) {
        drop(Text::new(std::mem::take(&mut self.said)));
    }
}

/// Restores the pieces of an answer and remembers what was said, for the scan at the end.
#[derive(Debug, Default)]
pub(crate) struct Restoration {
    lanes: BTreeMap<Lane, LaneState>,
    whole: Vec<Text>,
    /// What was said again, and is scanned only if nobody said it before.
    again: Vec<Text>,
    restored: u64,
    unknown: u64,
    bytes: usize,
}

/// What a restored document's holes are filled with.
pub(crate) struct Restored<'a> {
    pub(crate) texts: &'a [Text],
    pub(crate) ordinal: u64,
}

impl Fill for Restored<'_> {
    fn model(&self) -> &'static str {
        ""
    }
    fn part(&self, part: PartId) -> (&str, bool) {
        (self.texts.get(part).map_or("", Text::expose), false)
    }
    fn ordinal(&self) -> u64 {
        self.ordinal
    }
}

impl Restoration {
    /// Bytes of text that were said so far, identifiers restored.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Restores one piece after the other; the lists correspond.
    pub(crate) fn restore(
        &mut self,
        map: &SurrogateMap,
        parts: &[AnswerPart],
    ) -> Result<Vec<Text>, AnswerTooLarge> {
        parts.iter().map(|part| self.restore_part(map, part)).collect()
    }

    fn restore_part(
        &mut self,
        map: &SurrogateMap,
        part: &AnswerPart,
    ) -> Result<Text, AnswerTooLarge> {
        // Before restoring, so that no work is done for what is refused anyway.
        if self.bytes + part.text.len() > MAX_ANSWER_BYTES {
            return Err(AnswerTooLarge);
        }
        let text = self.restored_part(map, part)?;
        // What is scanned is what was restored, and a value may be longer than its surrogate.
        self.bytes += text.len();
        if self.bytes > MAX_ANSWER_BYTES { Err(AnswerTooLarge) } else { Ok(text) }
    }

    fn restored_part(
        &mut self,
        map: &SurrogateMap,
        part: &AnswerPart,
    ) -> Result<Text, AnswerTooLarge> {
        let Some(escape) = part.restore else {
            self.keep(part.text.clone(), part.again);
            return Ok(part.text.clone());
        };
        let Some(lane) = part.lane else {
            let mut restorer = Restorer::new(escape);
            let mut text = restorer.feed(map, part.text.expose()).into_exposed();
            text.push_str(restorer.finish(map).expose());
            if !part.again {
                self.restored += restorer.restored();
                self.unknown += restorer.unknown();
            }
            let text = Text::new(text);
            self.keep(text.clone(), part.again);
            return Ok(text);
        };
        if self.lanes.len() >= MAX_LANES && !self.lanes.contains_key(&lane) {
            return Err(AnswerTooLarge);
        }
        let state = self
            .lanes
            .entry(lane)
            .or_insert_with(|| LaneState { restorer: Restorer::new(escape), said: String::new() });
        let mut text = state.restorer.feed(map, part.text.expose());
        if part.last {
            let mut ended = text.into_exposed();
            ended.push_str(state.restorer.finish(map).expose());
            text = Text::new(ended);
        }
        state.said.push_str(text.expose());
        Ok(text)
    }

    fn keep(&mut self, text: Text, again: bool) {
        if again { self.again.push(text) } else { self.whole.push(text) }
    }

    /// Surrogates replaced so far.
    pub(crate) fn restored(&self) -> u64 {
        self.restored + self.lanes.values().map(|lane| lane.restorer.restored()).sum::<u64>()
    }

    /// Texts of a surrogate's form that stand for nothing, so far.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown + self.lanes.values().map(|lane| lane.restorer.unknown()).sum::<u64>()
    }

    /// Scans everything that was said: the answer is a regulated document of its own.
    pub(crate) fn scan(&self, detector: &Detector) -> Result<BTreeMap<String, u64>, Unscannable> {
        let said = || {
            let lanes = self.lanes.values().map(|lane| lane.said.as_str());
            lanes.chain(self.whole.iter().map(Text::expose))
        };
        let known: BTreeSet<&str> =
            if self.again.is_empty() { BTreeSet::new() } else { said().collect() };
        // A server may say at the end what it did not say before.
        let news: BTreeSet<&str> =
            self.again.iter().map(Text::expose).filter(|text| !known.contains(text)).collect();
        let parts: Vec<Part<'_>> = said()
            .chain(news)
            .filter(|text| !text.is_empty())
            .map(|text| Part { text, label: None })
            .collect();
        let mut counts = BTreeMap::new();
        for finding in detector.scan(&parts)?.iter().flatten() {
            *counts.entry(finding.class.label().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }
}

/// Writes a restored event, or nothing when it only was to carry a tail and there is none. `ordinal`
/// is its number among those that are handed on.
pub(crate) fn frame(event: &StreamEvent, texts: &[Text], ordinal: u64) -> Option<Frame> {
    if event.only_with_text && texts.iter().all(Text::is_empty) {
        return None;
    }
    let data = event.shape.write(&Restored { texts, ordinal });
    // Everything in it was a `str` or ASCII.
    let data = Text::new(String::from_utf8_lossy(&data).into_owned());
    Some(Frame { name: event.name.clone(), data })
}
