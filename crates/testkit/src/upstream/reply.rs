//! What a scripted model says, how its bytes are cut, and how it fails.

use super::Captured;
use super::tokens::Tokens;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Choose = dyn Fn(usize, &Captured) -> Reply + Send + Sync;

/// Which reply answers which request.
#[derive(Clone)]
pub struct Script(Arc<Choose>);

impl Script {
    /// The first request gets the first reply, and so on; the last reply answers all that follow.
    /// An empty list echoes.
    #[must_use]
    pub fn in_turn(replies: Vec<Reply>) -> Self {
        Self::by_request(move |number, _| {
            replies.get(number).or(replies.last()).cloned().unwrap_or_default()
        })
    }

    /// Chooses by the number of the request (from 0) and by what it says.
    #[must_use]
    pub fn by_request(choose: impl Fn(usize, &Captured) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(crate) fn reply(&self, number: usize, captured: &Captured) -> Reply {
        (self.0)(number, captured)
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::by_request(move |_, _| reply.clone())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// Where a text of the model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The text of the last user message; text parts joined by a line feed.
    LastUser,
    /// The texts of all messages, tool arguments included, joined by ` | `.
    AllMessages,
    /// The surrogates (`[CLASS_XXXXXXXX]`) in the prompt, each once, joined by a blank.
    Surrogates,
    /// This text.
    Fixed(String),
    /// This text with places that are filled from the prompt: `{0}` is its first token, `{1}` its
    /// second, `{0 cut}`, `{0 lower}` and `{0 changed}` mangled forms of it, `{user}` what the user
    /// said last, `{all}` everything that was said.
    Template(String),
    /// This document as text; its keys and texts are templates.
    Json(serde_json::Value),
}

/// The arguments of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// An object of strings.
    Fields(Vec<(String, Source)>),
    /// `{"found": [...]}` with each surrogate in the prompt once.
    Surrogates,
    /// This text, whether or not it is JSON.
    Raw(Source),
    /// This document; its keys and texts are templates.
    Json(serde_json::Value),
}

/// One tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's name.
    pub name: String,
    /// Its arguments.
    pub arguments: Arguments,
}

impl Call {
    /// A call of `name`.
    #[must_use]
    pub fn new(name: &str, arguments: Arguments) -> Self {
        Self { name: name.to_owned(), arguments }
    }
}

/// In which order the pieces of several tool calls are streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// One call after the other.
    InTurn,
    /// A piece of each in turn.
    Interleaved,
}

/// Where a text comes from, as models that read documents say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The title of the document.
    pub title: Source,
    /// What stands there.
    pub cited: Source,
}

/// One block of an answer, in the order in which it is said. Each dialect writes it in its own form;
/// what a dialect has no form for is left out there ([`super::carries`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Text(Source),
    /// Text that cites a document.
    Cited(Source, Citation),
    /// What was thought, with the signature of the model server over it (empty: none).
    Thinking(Source, String),
    /// What was thought and is shown to nobody: text of the model server's own.
    Redacted(String),
    /// A tool call.
    Call(Call),
    /// A refusal, in the field or with the reason that the dialect has for it.
    Refusal(Source),
}

/// How content is cut into deltas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// One delta.
    Whole,
    /// Deltas of this many characters; 0 counts as 1.
    Chars(usize),
    /// Cuts at these bytes of the text, moved down to a character boundary.
    At(Vec<usize>),
}

/// How the bytes of the body are cut into writes, whatever stands in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// One write for each event; a JSON body in one.
    Events,
    /// Everything in one write.
    Whole,
    /// Writes of this many bytes; 0 counts as 1.
    Bytes(usize),
    /// Cuts at these bytes of the body.
    At(Vec<usize>),
}

/// Liberties that servers take with the form of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Lines end in LF, `data: ` with a blank.
    Plain,
    /// Lines end in CRLF.
    Crlf,
    /// `data:` without the blank after it.
    Tight,
    /// A comment line (`: keep-alive`) before each event.
    Comments,
}

/// How a connection ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// TCP reset.
    Reset,
    /// TCP FIN in the middle of the HTTP body.
    Fin,
    /// A well-formed end of the HTTP body, without `[DONE]`.
    End,
}

/// What goes wrong. `after` counts events of a stream; of a JSON body the first half is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The request is read and never answered.
    HangBeforeHeaders,
    /// The body stops and the connection stays open.
    Hang {
        /// Events sent before.
        after: usize,
    },
    /// The body stops and the connection ends.
    Cut {
        /// Events sent before.
        after: usize,
        /// How it ends.
        how: Cut,
    },
    /// Bytes that are neither UTF-8 nor an event, then a clean end.
    Garbage {
        /// Events sent before.
        after: usize,
    },
    /// An event whose JSON breaks off, then the rest of the stream.
    BrokenJson {
        /// Events sent before.
        after: usize,
    },
    /// An `error` object whose message repeats the prompt, then a clean end without `[DONE]`.
    Error {
        /// Events sent before.
        after: usize,
    },
    /// An event with this many bytes of content, then the rest of the stream.
    Huge {
        /// Events sent before.
        after: usize,
        /// Bytes of content in it.
        bytes: usize,
    },
    /// A line that never ends (1 GiB, then the connection is cut).
    Endless {
        /// Events sent before.
        after: usize,
    },
    /// An error status with an error object whose message repeats the prompt.
    Status {
        /// The status: 401, 429, 500.
        status: u16,
        /// The value of `retry-after`, if it is sent.
        retry_after: Option<u32>,
    },
    /// A redirect to `location`, with the answer's text nowhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// An absolute address.
        location: String,
    },
    /// The right body under this content type.
    ContentType(&'static str),
    /// Status 200 with a page of HTML that repeats the prompt.
    Html,
    /// The right body under `content-encoding: gzip`, and compressed so, whether or not the caller
    /// said that it accepts that.
    Gzip,
    /// After `[DONE]`, one more event with the answer's text.
    TalkAfterDone,
}

/// One answer of the model.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) blocks: Vec<Block>,
    pub(crate) order: Tools,
    pub(crate) tokens: Tokens,
    pub(crate) logprobs: bool,
    pub(crate) finish: Option<String>,
    pub(crate) pieces: Pieces,
    pub(crate) split: Split,
    pub(crate) framing: Framing,
    pub(crate) ascii: bool,
    pub(crate) pause: Duration,
    pub(crate) first_after: Duration,
    pub(crate) fault: Fault,
    pub(crate) anywhere: bool,
}

impl Default for Reply {
    fn default() -> Self {
        Self::echo()
    }
}

impl Reply {
    /// Says these blocks, in deltas of four characters (so that a surrogate spans several), each event
    /// in one write, without a fault.
    #[must_use]
    pub fn blocks(blocks: Vec<Block>) -> Self {
        Self {
            blocks,
            order: Tools::InTurn,
            tokens: Tokens::bulla(),
            logprobs: false,
            finish: None,
            pieces: Pieces::Chars(4),
            split: Split::Events,
            framing: Framing::Plain,
            ascii: false,
            pause: Duration::ZERO,
            first_after: Duration::ZERO,
            fault: Fault::None,
            anywhere: false,
        }
    }

    /// The text of the last user message.
    #[must_use]
    pub fn echo() -> Self {
        Self::blocks(vec![Block::Text(Source::LastUser)])
    }

    /// The texts of all messages, joined by ` | `.
    #[must_use]
    pub fn echo_all() -> Self {
        Self::blocks(vec![Block::Text(Source::AllMessages)])
    }

    /// This text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::blocks(vec![Block::Text(Source::Fixed(text.to_owned()))])
    }

    /// This refusal.
    #[must_use]
    pub fn refusal(text: &str) -> Self {
        Self::blocks(vec![Block::Refusal(Source::Fixed(text.to_owned()))])
    }

    /// These tool calls, one after the other.
    #[must_use]
    pub fn calls(calls: Vec<Call>) -> Self {
        Self::blocks(calls.into_iter().map(Block::Call).collect())
    }

    /// These tool calls, their pieces interleaved.
    #[must_use]
    pub fn interleaved_calls(calls: Vec<Call>) -> Self {
        Self::calls(calls).interleaved()
    }

    /// An echo with this fault.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self::echo().with_fault(fault)
    }

    /// Fails so.
    #[must_use]
    pub fn with_fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Answers so at every path, not only where a model server does.
    #[must_use]
    pub fn anywhere(self) -> Self {
        Self { anywhere: true, ..self }
    }

    /// Thinks aloud first, in `reasoning_content` of chat completions.
    #[must_use]
    pub fn with_reasoning(mut self, source: Source) -> Self {
        self.blocks.insert(0, Block::Thinking(source, String::new()));
        self
    }

    /// Streams a piece of each tool call in turn, where the dialect can.
    #[must_use]
    pub fn interleaved(self) -> Self {
        Self { order: Tools::Interleaved, ..self }
    }

    /// Takes this for what stands for a value in a prompt.
    #[must_use]
    pub fn seeing(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    /// Sends log probabilities although the request may not ask for them.
    #[must_use]
    pub fn with_logprobs(self) -> Self {
        Self { logprobs: true, ..self }
    }

    /// Ends for this reason, in the words of chat completions: `length`, `content_filter`. The other
    /// dialects say it in theirs.
    #[must_use]
    pub fn with_finish(self, reason: &str) -> Self {
        Self { finish: Some(reason.to_owned()), ..self }
    }

    /// Cuts the content so.
    #[must_use]
    pub fn in_pieces(self, pieces: Pieces) -> Self {
        Self { pieces, ..self }
    }

    /// Cuts the bytes so.
    #[must_use]
    pub fn split(self, split: Split) -> Self {
        Self { split, ..self }
    }

    /// Frames the stream so.
    #[must_use]
    pub fn framed(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// Writes characters outside ASCII as `\u` escapes, as Python's `json` does.
    #[must_use]
    pub fn in_ascii(self) -> Self {
        Self { ascii: true, ..self }
    }

    /// Waits so long between two writes.
    #[must_use]
    pub fn pausing(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Waits so long between the headers and the first write of the body.
    #[must_use]
    pub fn starting_after(self, first_after: Duration) -> Self {
        Self { first_after, ..self }
    }

    /// The bytes of the body that a chat request with this JSON body would get, faults left out.
    ///
    /// Its length tells how many places there are at which the stream can be cut.
    #[must_use]
    pub fn body(&self, request: &serde_json::Value) -> Vec<u8> {
        self.body_at("/v1/chat/completions", request).unwrap_or_default()
    }

    /// The bytes of the body that a request to this path would get, faults left out; none when no
    /// model server has that path.
    #[must_use]
    pub fn body_at(&self, path: &str, request: &serde_json::Value) -> Option<Vec<u8>> {
        let route = super::asked::Route::of("POST", path, request)?;
        let asked = super::asked::Asked::new(route, request, self.tokens.clone());
        Some(super::wire::events(self, &asked, 0).concat())
    }

    /// The same with the mangled forms of tokens (`{0 cut}`) written out, as a captured request gives
    /// them: they stand for nothing, so they are the same in whatever is delivered.
    pub(crate) fn settled(&self, captured: &Captured) -> Self {
        let request = captured.json();
        let Some(asked) = super::asked::Asked::of(captured, &request, self.tokens.clone()) else {
            return self.clone();
        };
        let text = |source: &Source| match source {
            Source::Template(template) => Source::Template(asked.settled(template)),
            Source::LastUser
            | Source::AllMessages
            | Source::Surrogates
            | Source::Fixed(_)
            | Source::Json(_) => source.clone(),
        };
        let block = |block: &Block| match block {
            Block::Text(source) => Block::Text(text(source)),
            Block::Cited(source, citation) => {
                let (title, cited) = (text(&citation.title), text(&citation.cited));
                Block::Cited(text(source), Citation { title, cited })
            }
            Block::Thinking(source, signature) => Block::Thinking(text(source), signature.clone()),
            Block::Refusal(source) => Block::Refusal(text(source)),
            Block::Redacted(_) | Block::Call(_) => block.clone(),
        };
        Self { blocks: self.blocks.iter().map(block).collect(), ..self.clone() }
    }
}
