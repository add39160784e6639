//! Responses that run on without their caller.
//!
//! An exchange runs in a task that no connection owns, so that all it needs to run in the background is that
//! its caller is answered once its prompt left. Whoever cancels it takes the place of a caller that goes
//! away.

use super::items::{member, word};
use crate::house::House;
use crate::identity::Principal;
use gate::shape::Json;
use ledger::{About, ExchangeId, Outcome, Time};
use phi::Text;
use providers::response_id;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// The exchanges that run in the background. Each has a place there, so there are no more than there are
/// places for them.
#[derive(Debug)]
pub(crate) struct Background<T>(Mutex<BTreeMap<ExchangeId, Running<T>>>);

#[derive(Debug)]
struct Running<T> {
    /// The key that asked.
    key: String,
    response: Text,
    /// Where the exchange looks for its caller. It is gone when somebody cancelled it.
    caller: Option<oneshot::Receiver<T>>,
    /// Closed when the exchange reached its recorded end.
    over: watch::Sender<()>,
}

/// Takes an exchange out again when it reached its end, however it did.
#[derive(Debug)]
pub(crate) struct Ran<'a> {
    house: &'a House,
    exchange: ExchangeId,
}

impl Drop for Ran<'_> {
    fn drop(&mut self) {
        self.house.background.with(|running| running.remove(&self.exchange));
    }
}

impl<T> Default for Background<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Background<T> {
    fn with<R>(&self, of: impl FnOnce(&mut BTreeMap<ExchangeId, Running<T>>) -> R) -> R {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the exchange runs on. What comes back is the caller that it has from then on.
    pub(crate) fn begin(&self, about: &About, response: &Text) -> oneshot::Sender<T> {
        let (caller, told) = oneshot::channel();
        let running = Running {
            key: about.actor.id.clone(),
            response: response.clone(),
            caller: Some(told),
            over: watch::channel(()).0,
        };
        self.with(|all| all.insert(about.exchange, running));
        caller
    }

    /// The response of one that still runs, when it is this caller's.
    pub(super) fn response(&self, principal: &Principal, exchange: ExchangeId) -> Option<Text> {
        let key = principal.actor().id;
        self.with(|all| {
            let running = all.get(&exchange).filter(|running| running.key == key);
            running.map(|running| running.response.clone())
        })
    }

    /// Sends the caller of one that still runs away; false when none of this caller's does. Returns when its
    /// end is recorded.
    pub(super) async fn cancel(&self, principal: &Principal, exchange: ExchangeId) -> bool {
        let key = principal.actor().id;
        let over = self.with(|all| {
            let running = all.get_mut(&exchange).filter(|running| running.key == key)?;
            drop(running.caller.take());
            Some(running.over.subscribe())
        });
        let Some(mut over) = over else { return false };
        // Nothing is ever sent: it ends when the sender is gone.
        while over.changed().await.is_ok() {}
        true
    }
}

impl House {
    /// Until this is dropped the exchange may run in the background.
    pub(crate) const fn ran(&self, exchange: ExchangeId) -> Ran<'_> {
        Ran { house: self, exchange }
    }
}

/// What is said of a response that has no answer yet. Nothing that its caller wrote is in it, but the name of
/// the model.
pub(crate) fn in_progress(about: &About, now: Time) -> Text {
    without_answer(about, now, "in_progress", Json::Null)
}

/// What is said of a response that got none.
pub(super) fn unanswered(outcome: &Outcome, ended: Time) -> Text {
    if outcome.outcome == "caller_gone" {
        return without_answer(&outcome.about, ended, "cancelled", Json::Null);
    }
    let why = outcome.code.as_deref().unwrap_or(&outcome.outcome);
    let error = Json::Map(vec![
        word("code", "server_error"),
        word("message", &format!("The exchange was not answered: {why}.")),
    ]);
    without_answer(&outcome.about, ended, "failed", error)
}

fn without_answer(about: &About, at: Time, status: &str, error: Json) -> Text {
    let previous = about.previous.map_or(Json::Null, |it| Json::Text(response_id(it).into()));
    let empty = || Json::List(Vec::new());
    Json::Map(vec![
        word("id", &response_id(about.exchange)),
        word("object", "response"),
        member("created_at", Json::Number((at.as_micros() / 1_000_000).into())),
        word("status", status),
        member("background", Json::Bool(true)),
        member("error", error),
        member("incomplete_details", Json::Null),
        member("instructions", Json::Null),
        member("metadata", Json::Map(Vec::new())),
        word("model", about.route.as_deref().unwrap_or_default()),
        member("output", empty()),
        member("parallel_tool_calls", Json::Bool(true)),
        member("previous_response_id", previous),
        member("store", Json::Bool(true)),
        member("temperature", Json::Null),
        word("tool_choice", "auto"),
        member("tools", empty()),
        member("top_p", Json::Null),
    ])
    .to_text()
}
