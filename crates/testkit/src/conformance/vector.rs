//! The vectors: data files that say what is asked, what the model says to it, and why it matters.

use crate::upstream::{
    Arguments, Block, Call, Citation, Cut, Dialect, Fault, Feature, Framing, Pieces, Reply, Source,
    Split, Tokens, carries,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The data files, in the order in which they are run.
const FILES: [(&str, &str); 5] = [
    ("restore", include_str!("../../data/conformance/restore.toml")),
    ("tokens", include_str!("../../data/conformance/tokens.toml")),
    ("blocks", include_str!("../../data/conformance/blocks.toml")),
    ("streams", include_str!("../../data/conformance/streams.toml")),
    ("places", include_str!("../../data/conformance/places.toml")),
];

/// A file of vectors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vector: Vec<Raw>,
}

/// What a gateway that changes nothing must get for a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unprotected {
    /// The vector is about protection, so it must fail.
    Fails,
    /// The vector is about fidelity, so it passes.
    Passes,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    /// What the model would have said, had it been asked in the clear.
    #[default]
    Answer,
    /// As far as it came, and a sign that it is not whole.
    Broken,
    /// The beginning, while the model server is still silent about the rest.
    Flowing,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    title: String,
    reason: String,
    seen: String,
    #[serde(default)]
    dialects: Vec<String>,
    #[serde(default)]
    ways: Vec<Way>,
    #[serde(default)]
    planted: Vec<String>,
    unprotected: Unprotected,
    #[serde(default)]
    expect: Expect,
    #[serde(default)]
    may_refuse: bool,
    #[serde(default)]
    sweep: bool,
    ask: Ask,
    #[serde(default)]
    answer: RawAnswer,
}

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// As one document.
    Whole,
    /// As a stream.
    Stream,
}

/// What is asked, in no dialect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) system: Option<String>,
    #[serde(default)]
    pub(super) turns: Vec<Turn>,
    #[serde(default)]
    pub(super) tools: Vec<Tool>,
    pub(super) choices: Option<u64>,
    #[serde(default)]
    pub(super) json: bool,
    #[serde(default)]
    pub(super) logprobs: bool,
    #[serde(default)]
    pub(super) usage: bool,
    /// Members that a dialect has beside these.
    #[serde(default)]
    pub(super) extra: BTreeMap<String, Value>,
}

/// One turn of the conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Turn {
    User { user: String },
    Parts { parts: Vec<String> },
    Assistant { assistant: String },
    Call { call: String, arguments: Value, result: String },
}

/// A tool that is offered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) parameters: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAnswer {
    #[serde(default)]
    blocks: Vec<RawBlock>,
    /// Characters in a delta; 0 says it whole.
    every: Option<usize>,
    /// Bytes in a write.
    bytes: Option<usize>,
    #[serde(default)]
    interleaved: bool,
    #[serde(default)]
    ascii: bool,
    finish: Option<String>,
    framing: Option<RawFraming>,
    fault: Option<RawFault>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum RawBlock {
    Cited { text: String, title: String, cited: String },
    Text { text: String },
    Thinking { thinking: String, signature: String },
    Redacted { redacted: String },
    Json { json: Value },
    Call { call: String, arguments: Value },
    Refusal { refusal: String },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFraming {
    Crlf,
    Tight,
    Comments,
}

/// A fault after so many events of the stream.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFault {
    /// The connection ends in the middle.
    Cut(usize),
    /// The body ends well, too early.
    End(usize),
    /// An error object that repeats the prompt.
    Error(usize),
    /// Nothing more comes.
    Silence(usize),
}

/// One vector.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Its name: `restore.two_people`.
    pub id: String,
    /// What must hold, as a sentence.
    pub title: String,
    /// Why it matters.
    pub reason: String,
    /// Where a gateway was seen to fail it.
    pub seen: String,
    /// What a gateway that changes nothing must get.
    pub unprotected: Unprotected,
    pub(super) planted: Vec<String>,
    pub(super) expect: Expect,
    pub(super) may_refuse: bool,
    pub(super) sweep: bool,
    pub(super) ask: Ask,
    pub(super) reply: Reply,
    dialects: Vec<Dialect>,
    ways: Vec<Way>,
    needs: Vec<Feature>,
}

impl Vector {
    /// Every vector, theme by theme.
    ///
    /// # Errors
    /// What is wrong with a data file.
    pub fn all() -> Result<Vec<Self>, String> {
        let mut vectors = Vec::new();
        for (theme, text) in FILES {
            let file: File = toml::from_str(text).map_err(|error| format!("{theme}: {error}"))?;
            for raw in file.vector {
                let id = raw.id.clone();
                vectors.push(Self::read(raw).map_err(|why| format!("{theme}: {id}: {why}"))?);
            }
        }
        Ok(vectors)
    }

    fn read(raw: Raw) -> Result<Self, String> {
        let dialects = raw
            .dialects
            .iter()
            .map(|name| Dialect::named(name).ok_or_else(|| format!("{name} is no dialect")));
        let dialects = dialects.collect::<Result<Vec<_>, _>>()?;
        let blocks: Vec<Block> = raw.answer.blocks.iter().map(RawBlock::block).collect();
        let needs = needs(&raw, &blocks);
        Ok(Self {
            needs,
            reply: raw.answer.reply(blocks),
            id: raw.id,
            title: raw.title,
            reason: raw.reason,
            seen: raw.seen,
            unprotected: raw.unprotected,
            planted: raw.planted,
            expect: raw.expect,
            may_refuse: raw.may_refuse,
            sweep: raw.sweep,
            ask: raw.ask,
            dialects,
            ways: raw.ways,
        })
    }

    /// Whether it says something about this dialect, asked in this way.
    #[must_use]
    pub fn applies(&self, dialect: Dialect, way: Way) -> bool {
        let fits = if !self.dialects.is_empty() {
            self.dialects.contains(&dialect)
        } else if !self.ask.extra.is_empty() {
            self.ask.extra.contains_key(dialect.name())
        } else {
            // A count and a vector of numbers answer with no text.
            dialect.streams() && self.carried_by(dialect)
        };
        let this_way = self.ways.is_empty() || self.ways.contains(&way);
        fits && this_way && (way == Way::Whole || dialect.streams())
    }

    /// Whether a dialect has forms for all that is asked and answered.
    pub(super) fn carried_by(&self, dialect: Dialect) -> bool {
        self.needs.iter().all(|feature| carries(dialect, *feature))
    }

    /// The replies that are played, one after the other: one, or one for each place of a cut.
    pub(super) fn replies(&self, tokens: &Tokens) -> Vec<Reply> {
        /// Places at which an answer is cut: more than the longest token has bytes.
        const PLACES: usize = 26;
        let reply = self.reply.clone().seeing(tokens.clone());
        if !self.sweep {
            return vec![reply];
        }
        (1..PLACES).map(|place| reply.clone().in_pieces(Pieces::At(vec![place]))).collect()
    }
}

/// What a dialect must have a form for.
fn needs(raw: &Raw, blocks: &[Block]) -> Vec<Feature> {
    let mut needs = Vec::new();
    for block in blocks {
        match block {
            Block::Text(_) => {}
            Block::Cited(..) => needs.push(Feature::Title),
            Block::Thinking(_, signature) => {
                needs.push(Feature::Thinking);
                if !signature.is_empty() {
                    needs.push(Feature::Signature);
                }
            }
            Block::Redacted(_) => needs.push(Feature::Redacted),
            Block::Call(_) => needs.push(Feature::Calls),
            Block::Refusal(_) => needs.push(Feature::Refusal),
        }
    }
    let called = raw.ask.turns.iter().any(|turn| matches!(turn, Turn::Call { .. }));
    if called || !raw.ask.tools.is_empty() {
        needs.push(Feature::Calls);
    }
    if raw.ask.logprobs {
        needs.push(Feature::Logprobs);
    }
    if raw.ask.choices.is_some() {
        needs.push(Feature::Choices);
    }
    needs
}

impl RawBlock {
    fn block(&self) -> Block {
        let text = |text: &String| Source::Template(text.clone());
        match self {
            Self::Text { text: it } => Block::Text(text(it)),
            Self::Cited { text: it, title, cited } => {
                Block::Cited(text(it), Citation { title: text(title), cited: text(cited) })
            }
            Self::Thinking { thinking, signature } => {
                Block::Thinking(text(thinking), signature.clone())
            }
            Self::Redacted { redacted } => Block::Redacted(redacted.clone()),
            Self::Json { json } => Block::Text(Source::Json(json.clone())),
            Self::Call { call, arguments } => {
                Block::Call(Call::new(call, Arguments::Json(arguments.clone())))
            }
            Self::Refusal { refusal } => Block::Refusal(text(refusal)),
        }
    }
}

impl RawAnswer {
    fn reply(self, blocks: Vec<Block>) -> Reply {
        let echo = vec![Block::Text(Source::Template("{user}".to_owned()))];
        let mut reply = Reply::blocks(if blocks.is_empty() { echo } else { blocks });
        match self.every {
            Some(0) => reply = reply.in_pieces(Pieces::Whole),
            Some(count) => reply = reply.in_pieces(Pieces::Chars(count)),
            None => {}
        }
        if let Some(count) = self.bytes {
            reply = reply.split(Split::Bytes(count));
        }
        if self.interleaved {
            reply = reply.interleaved();
        }
        if self.ascii {
            reply = reply.in_ascii();
        }
        if let Some(finish) = &self.finish {
            reply = reply.with_finish(finish);
        }
        reply = match self.framing {
            Some(RawFraming::Crlf) => reply.framed(Framing::Crlf),
            Some(RawFraming::Tight) => reply.framed(Framing::Tight),
            Some(RawFraming::Comments) => reply.framed(Framing::Comments),
            None => reply,
        };
        match self.fault {
            Some(RawFault::Cut(after)) => reply.with_fault(Fault::Cut { after, how: Cut::Fin }),
            Some(RawFault::End(after)) => reply.with_fault(Fault::Cut { after, how: Cut::End }),
            Some(RawFault::Error(after)) => reply.with_fault(Fault::Error { after }),
            Some(RawFault::Silence(after)) => reply.with_fault(Fault::Hang { after }),
            None => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_vector_can_be_read_and_has_a_name_of_its_own() {
        let vectors = Vector::all().unwrap();
        let names: BTreeSet<&str> = vectors.iter().map(|vector| vector.id.as_str()).collect();
        assert_eq!(names.len(), vectors.len());
        for vector in &vectors {
            assert!(vector.title.ends_with('.') && vector.reason.ends_with('.'), "{}", vector.id);
            assert!(!vector.seen.is_empty(), "{}", vector.id);
            let pairs = Dialect::ALL.iter().flat_map(|it| [(*it, Way::Whole), (*it, Way::Stream)]);
            let pairs = pairs.filter(|(dialect, way)| vector.applies(*dialect, *way));
            assert!(pairs.count() > 0, "{} applies nowhere", vector.id);
        }
    }
}
