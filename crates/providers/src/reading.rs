//! Reading an answer: from the dialect in which it comes to the one in which it was asked.

use crate::mcp::{self, Asking};
use crate::native;
use crate::pieces::{Sink, Source};
use crate::request::Request;
use crate::taker::word;
use gate::UpstreamFailure;
use gate::prompt::{Answer, StreamEvent};
use gate::rules::{Api, Destination, Keep, Tools};
use gate::shape::{Json, Shape};
use ledger::{ExchangeId, Time};
use phi::Text;
use phi::surrogate::Escape;
use std::sync::Arc;

/// What an answer says of itself where the dialect in which it came does not.
#[derive(Clone, Debug)]
pub(crate) struct About {
    exchange: ExchangeId,
    model: Shape,
    created: i64,
    /// Whether the last event of a stream counts tokens.
    pub(crate) counts: bool,
    /// What the answer says again of the request.
    pub(crate) said_again: Arc<[(Text, Json)]>,
    /// Where it is kept.
    keeping: Keeping,
}

/// What a response says of the one before it, of how it ran and of where it is kept. The model server knows nothing of
/// either: it gets no id, and is told to keep nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// The exchange of the response that it goes on from.
    pub(crate) previous: Option<ExchangeId>,
    /// Whether it ran without its caller.
    pub(crate) background: bool,
    /// Whether it can be had here again.
    pub(crate) stored: bool,
}

impl About {
    /// An id of the caller's dialect: the exchange's own, so that it leads to its records.
    pub(crate) fn id(&self, prefix: &str) -> Shape {
        word(&format!("{prefix}{}", self.exchange))
    }

    /// The members of a response that are about where it is kept.
    pub(crate) fn kept(&self) -> [(&'static str, Shape); 3] {
        let previous = self.keeping.previous;
        let previous = previous.map_or(Shape::Null, |previous| word(&response_id(previous)));
        let Keeping { background, stored, .. } = self.keeping;
        [
            ("previous_response_id", previous),
            ("background", Shape::Bool(background)),
            ("store", Shape::Bool(stored)),
        ]
    }

    /// The model, as the caller named it.
    pub(crate) fn model(&self) -> Shape {
        self.model.clone()
    }

    /// Seconds since 1970.
    pub(crate) fn created(&self) -> Shape {
        Shape::Number(self.created.into())
    }
}

/// What begins the id of a response.
const RESPONSE: &str = "resp_";

/// The id of the response that an exchange gave.
#[must_use]
pub fn response_id(exchange: ExchangeId) -> String {
    format!("{RESPONSE}{exchange}")
}

/// The exchange whose response has this id; absent when the id is not one of ours.
#[must_use]
pub fn exchange_of(response: &str) -> Option<ExchangeId> {
    response.strip_prefix(RESPONSE)?.parse().ok()
}

/// How the answer to one request is read.
#[derive(Clone, Debug)]
pub struct Reading {
    asked: Api,
    escape: Escape,
    about: About,
    asking: Option<Arc<Asking>>,
    tools: Arc<Tools>,
}

impl Reading {
    /// Of the answer to `request`, which is this exchange's, where content is kept or is not.
    #[must_use]
    pub fn new(request: &Request, exchange: ExchangeId, now: Time, keep: Keep) -> Self {
        let about = About {
            exchange,
            // A model that is answered is a configured one, whose name is a word.
            model: word(request.model().expose()),
            created: now.as_micros() / 1_000_000,
            counts: request.counts(),
            said_again: request.said_again(),
            keeping: request.keeping(keep),
        };
        let asking = request.tools().map(Arc::clone);
        let tools = Arc::default();
        Self { asked: request.api(), escape: request.escape(), about, asking, tools }
    }

    /// The same of an answer that comes from there: of a server of tools, those are shown that the
    /// organisation registered.
    #[must_use]
    pub fn from(self, destination: &Destination) -> Self {
        Self { tools: destination.tools().map(Arc::clone).unwrap_or_default(), ..self }
    }

    /// What is asked of a server of tools, and which of them may be shown.
    pub(crate) fn of_tools(&self) -> Option<(&Asking, &Tools)> {
        self.asking.as_deref().map(|asking| (asking, &*self.tools))
    }

    /// Takes a whole answer of the interface `called` apart.
    ///
    /// # Errors
    /// [`UpstreamFailure::Garbage`] when it is not one, [`UpstreamFailure::Reported`] when it is an
    /// error.
    pub fn whole(
        &self,
        called: Api,
        bytes: &[u8],
        upstream_request: Option<String>,
    ) -> Result<Answer, UpstreamFailure> {
        let garbage = UpstreamFailure::Garbage;
        let received = std::str::from_utf8(bytes).map_err(|_| garbage)?;
        if let Some((asking, tools)) = self.of_tools() {
            return mcp::whole(asking, tools, Text::from(received));
        }
        let json = Json::parse(bytes).map_err(|_| garbage)?;
        if matches!(json.member("error"), Some(Json::Map(_))) {
            return Err(UpstreamFailure::Reported);
        }
        let usage = native::counted(called, &json);
        let (shape, parts) = if called == self.asked {
            native::whole(called, json, self.escape, &self.about)?
        } else {
            let pieces = Source::new(called).whole(&json)?;
            Sink::new(self.asked, self.escape, &self.about).whole(pieces, usage)?
        };
        Ok(Answer { shape, parts, received: Text::from(received), usage, upstream_request })
    }

    /// Begins to read a stream of the interface `called`.
    #[must_use]
    pub fn stream(&self, called: Api) -> StreamReader {
        let kind = if called == self.asked {
            Kind::Native(native::Events::new(called, self.escape, &self.about))
        } else {
            let sink = Sink::new(self.asked, self.escape, &self.about);
            Kind::Translated { source: Source::new(called), sink: Box::new(sink), done: false }
        };
        StreamReader(kind)
    }
}

/// Reads the events of one streamed answer.
///
/// It knows which lanes have begun, so that when one ends, an event can carry the tail that the gate
/// may hold back.
#[derive(Debug)]
pub struct StreamReader(Kind);

#[derive(Debug)]
enum Kind {
    Native(native::Events),
    Translated { source: Source, sink: Box<Sink>, done: bool },
}

impl StreamReader {
    /// Whether the stream's last event was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Kind::Native(events) => events.is_done(),
            Kind::Translated { done, .. } => *done,
        }
    }

    /// Reads one event, by its name and its data, into the events to hand on, in order.
    ///
    /// # Errors
    /// [`UpstreamFailure::Garbage`] when it is not of the dialect, [`UpstreamFailure::Reported`] when
    /// it is an error.
    pub fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
    ) -> Result<Vec<StreamEvent>, UpstreamFailure> {
        match &mut self.0 {
            Kind::Native(events) => events.read(name, data),
            Kind::Translated { source, sink, done } => {
                let pieces = source.read(name, data)?;
                let mut events = sink.take(pieces)?;
                if source.is_done() {
                    *done = true;
                    events.extend(sink.close(source.usage()));
                }
                Ok(with_received(events, data, source.usage()))
            }
        }
    }

    /// The connection ended: the events that are left to say, or nothing when the stream broke off.
    #[must_use]
    pub fn end(&mut self) -> Option<Vec<StreamEvent>> {
        match &mut self.0 {
            Kind::Native(events) => events.may_end().then(|| events.finish()),
            Kind::Translated { source, sink, done } => source.may_end().then(|| {
                *done = true;
                sink.close(source.usage())
            }),
        }
    }

    /// The events that carry what is still held back when the stream broke off.
    #[must_use]
    pub fn finish(&mut self) -> Vec<StreamEvent> {
        match &mut self.0 {
            Kind::Native(events) => events.finish(),
            Kind::Translated { sink, .. } => sink.tails(),
        }
    }
}

/// Notes what came with the first of the events that it became; if it became none, with one that is
/// not handed on.
fn with_received(
    mut events: Vec<StreamEvent>,
    data: &str,
    usage: Option<ledger::Usage>,
) -> Vec<StreamEvent> {
    let nothing = || StreamEvent {
        name: None,
        shape: Shape::Null,
        parts: Vec::new(),
        received: Text::default(),
        only_with_text: true,
        usage: None,
    };
    if events.is_empty() {
        events.push(nothing());
    }
    if let Some(first) = events.first_mut() {
        first.received = Text::from(data);
        first.usage = usage;
    }
    events
}
