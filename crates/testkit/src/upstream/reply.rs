//! What a scripted model says, how its bytes are cut, and how it fails.

use super::Captured;
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

/// What the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Text.
    Text(Source),
    /// A refusal, in the field of that name.
    Refusal(Source),
    /// Tool calls, after a text if there is one.
    Calls(Option<Source>, Vec<Call>, Tools),
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
    pub(crate) say: Say,
    pub(crate) reasoning: Option<Source>,
    pub(crate) logprobs: bool,
    pub(crate) finish: Option<String>,
    pub(crate) pieces: Pieces,
    pub(crate) split: Split,
    pub(crate) framing: Framing,
    pub(crate) ascii: bool,
    pub(crate) pause: Duration,
    pub(crate) first_after: Duration,
    pub(crate) fault: Fault,
}

impl Default for Reply {
    fn default() -> Self {
        Self::echo()
    }
}

impl Reply {
    /// Says this, in deltas of four characters (so that a surrogate spans several), each event in
    /// one write, without a fault.
    #[must_use]
    pub fn say(say: Say) -> Self {
        Self {
            say,
            reasoning: None,
            logprobs: false,
            finish: None,
            pieces: Pieces::Chars(4),
            split: Split::Events,
            framing: Framing::Plain,
            ascii: false,
            pause: Duration::ZERO,
            first_after: Duration::ZERO,
            fault: Fault::None,
        }
    }

    /// The text of the last user message.
    #[must_use]
    pub fn echo() -> Self {
        Self::say(Say::Text(Source::LastUser))
    }

    /// The texts of all messages, joined by ` | `.
    #[must_use]
    pub fn echo_all() -> Self {
        Self::say(Say::Text(Source::AllMessages))
    }

    /// This text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::say(Say::Text(Source::Fixed(text.to_owned())))
    }

    /// This refusal.
    #[must_use]
    pub fn refusal(text: &str) -> Self {
        Self::say(Say::Refusal(Source::Fixed(text.to_owned())))
    }

    /// These tool calls, one after the other.
    #[must_use]
    pub fn calls(calls: Vec<Call>) -> Self {
        Self::say(Say::Calls(None, calls, Tools::InTurn))
    }

    /// These tool calls, their pieces interleaved.
    #[must_use]
    pub fn interleaved_calls(calls: Vec<Call>) -> Self {
        Self::say(Say::Calls(None, calls, Tools::Interleaved))
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

    /// Thinks aloud first, in `reasoning_content`.
    #[must_use]
    pub fn with_reasoning(self, source: Source) -> Self {
        Self { reasoning: Some(source), ..self }
    }

    /// Sends log probabilities although the request may not ask for them.
    #[must_use]
    pub fn with_logprobs(self) -> Self {
        Self { logprobs: true, ..self }
    }

    /// Ends for this reason: `length`, `content_filter`.
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

    /// The bytes of the body that a request with this JSON body would get, faults left out.
    ///
    /// Its length tells how many places there are at which the stream can be cut.
    #[must_use]
    pub fn body(&self, request: &serde_json::Value) -> Vec<u8> {
        super::wire::events(self, request, 0).concat()
    }
}
