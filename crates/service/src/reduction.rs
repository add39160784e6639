//! Two models, one after the other: one inside reduces what is asked, the other gets what is left.
//!
//! The first is asked in an exchange of its own, over a route that never leads outside. What it answers
//! is not trusted: it takes the place of the turn in the caller's request, which then goes the way of
//! every request, is searched, decided on and recorded. The second exchange names the first.

use crate::converse::{Converse, Ended, Started};
use crate::house::{House, InForce};
use crate::responses::Earlier;
use gate::rules::Api;
use gate::shape::{Json, PartId};
use gate::{Code, Outcome, Refusal};
use ledger::ExchangeId;
use phi::Text;
use providers::{Addressed, Asked, Request};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// What the model inside is told to do. It is not relied on: whatever comes back is searched.
const TASK: &str = "Rewrite the user's text for a reader who must not learn whom it is about. \
Keep every clinical fact, figure, and question. \
Leave out names, dates, ages above 89, addresses, telephone numbers, e-mail addresses, and all numbers that identify a person; \
say \"the patient\", \"a relative\", \"the clinician\", \"the facility\" instead. \
Do not answer the question, and do not add anything. Write the rewritten text alone.";

/// What is known of a request beside its bytes, from the stage before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reduction {
    /// The exchange in which its text was reduced.
    pub(crate) by: Option<ExchangeId>,
    /// Why it goes no further.
    pub(crate) refusal: Option<Refusal>,
}

/// What is to be done first with a request.
enum First {
    /// Nothing: it goes as it is.
    Nothing,
    /// It is refused, because it cannot be reduced.
    Refuse(Refusal),
    /// The model inside is asked this, for the sake of that.
    Ask(Box<Converse>, Box<ToReduce>),
}

/// A request whose turn is to be reduced.
struct ToReduce {
    asked: Asked,
    turn: Vec<PartId>,
}

impl House {
    /// Takes a request through, after the model inside when its route wants it reduced.
    pub(crate) async fn run(
        &self,
        exchange: ExchangeId,
        request: Converse,
        mut tell: oneshot::Sender<Started>,
    ) {
        let none = Reduction::default();
        let started = match self.first(&request) {
            First::Nothing => self.tries(exchange, request, none, &mut tell).await,
            First::Refuse(refusal) => {
                let reduction = Reduction { by: None, refusal: Some(refusal) };
                self.tries(exchange, request, reduction, &mut tell).await
            }
            First::Ask(first, rest) => match self.tries(exchange, *first, none, &mut tell).await {
                Some(started) => self.second(*rest, started, request, &mut tell).await,
                None => None,
            },
        };
        if let Some(started) = started {
            // Whoever asked may be gone; the record is there.
            let _gone = tell.send(started).is_err();
        }
    }

    /// Goes on with what the first exchange came to, if it came to anything.
    async fn second(
        &self,
        rest: ToReduce,
        first: Started,
        request: Converse,
        tell: &mut oneshot::Sender<Started>,
    ) -> Option<Started> {
        let Started::Ended(Ended { exchange, released: Some(released) }) = first else {
            return Some(first);
        };
        let (Outcome::Answered(answer) | Outcome::Cached(answer)) = &released.1 else {
            return Some(Started::Ended(Ended { exchange, released: Some(released) }));
        };
        let (request, refusal) = match said(answer) {
            Some(text) => (Converse { body: rest.reduced(&text), ..request }, None),
            None => (request, Some(not_reduced())),
        };
        let next = ExchangeId::mint(self.clock.now(), &*self.entropy);
        self.tries(next, request, Reduction { by: Some(exchange), refusal }, tell).await
    }

    /// Looks whether the route of a request wants it reduced. A request that cannot be read is none of
    /// this: it is refused on its own way.
    fn first(&self, request: &Converse) -> First {
        let in_force = self.in_force.load_full();
        let Some(in_force) = in_force.filter(|it| reduces(it)) else { return First::Nothing };
        let Ok(text) = std::str::from_utf8(&request.body) else { return First::Nothing };
        let Ok(json) = Json::parse(text.as_bytes()) else { return First::Nothing };
        let addressed = request.addressed.clone();
        let Ok(asked) = Request::read(request.api, addressed, json, Text::from(text)) else {
            return First::Nothing;
        };
        let route = in_force.rules.route(asked.request.model().expose());
        let Some(by) = route.and_then(|route| route.reduce()) else { return First::Nothing };
        let Some(turn) = asked.request.only_turn(&asked.prompt.parts) else {
            return First::Refuse(Refusal {
                reason: Some("not_one_turn"),
                ..Refusal::fixed(
                    Code::InvalidRequest,
                    "This route reduces what it is asked, and takes one turn of text: no earlier turns, and no results of tools.",
                )
            });
        };
        let texts = turn.iter().filter_map(|part| asked.prompt.parts.get(*part));
        let texts: Vec<&str> = texts.map(|part| part.text.expose()).collect();
        let body = json!({
            "model": by.as_str(),
            "temperature": 0,
            "messages": [
                { "role": "system", "content": TASK },
                { "role": "user", "content": texts.join("\n\n") },
            ],
        });
        let first = Converse {
            principal: request.principal.clone(),
            api: Api::ChatCompletions,
            addressed: Addressed::default(),
            body: body.to_string().into_bytes(),
            purpose: request.purpose.clone(),
            conversation: None,
            patient: request.patient.clone(),
            justification: request.justification.clone(),
            traceparent: request.traceparent,
            // The turns before are in the text of the request already.
            earlier: Earlier::default(),
        };
        First::Ask(Box::new(first), Box::new(ToReduce { asked, turn }))
    }
}

impl ToReduce {
    /// The body of the request with the answer of the model inside in the place of its turn.
    fn reduced(self, text: &Text) -> Vec<u8> {
        let body = self.asked.request.with_turn(&self.asked.prompt.parts, &self.turn, text);
        body.into_exposed().into_bytes()
    }
}

fn not_reduced() -> Refusal {
    Refusal {
        reason: Some("not_reduced"),
        ..Refusal::fixed(
            Code::UpstreamInvalid,
            "The model that reduces what this route is asked gave no text, so nothing was sent.",
        )
    }
}

/// Whether any route of the configuration reduces; if none does, no request is read twice.
fn reduces(in_force: &InForce) -> bool {
    in_force.rules.routes().any(|route| route.reduce().is_some())
}

/// What a chat completion says.
fn said(answer: &Text) -> Option<Text> {
    let answer: Value = serde_json::from_str(answer.expose()).ok()?;
    let text = answer.pointer("/choices/0/message/content")?.as_str()?.trim();
    (!text.is_empty()).then(|| Text::from(text))
}
