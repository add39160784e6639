//! What the records of an exchange say: who asked, what was found, what was decided, where it went and
//! how it ended.

use super::{Actor, Unit};
use crate::{BatchId, ConversationId, Day, ExchangeId, Hash, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every record of an exchange says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who asked.
    pub actor: Actor,
    /// Through which surface: `api`, `assistant`, `studio`.
    pub surface: String,
    /// The purpose of use, when one is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// The conversation that the exchange belongs to, when the caller named one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conversation: Option<ConversationId>,
    /// The interface: `chat.completions`.
    pub api: String,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// The route that the caller named, when it is one that the organisation configured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub route: Option<String>,
    /// SHA-256 of the governed configuration in force; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<Hash>,
    /// The detector's name and version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detector: Option<String>,
    /// Identifiers found in the prompt: class to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub findings: BTreeMap<String, u64>,
    /// Treatment by class: `disclosed`, `tokenized`, `redacted`, `blocked`, or `removed` when a
    /// profile took away every place where it was found.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub treatments: BTreeMap<String, String>,
    /// The special categories to which the prompt belongs, by their labels, where the policy asks.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub categories: Vec<String>,
    /// The decision as a whole: `allowed`, `tokenized`, `redacted`, `rerouted`, `blocked`; absent
    /// when the exchange ended before there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<String>,
    /// The rules that decided, by their ids.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rules: Vec<String>,
    /// Where it was to go, when that was decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub destination: Option<String>,
    /// Every hop of the path and what covers it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub path: Vec<Cover>,
    /// Other destinations of the route that came before this one, and why each was not used, in one
    /// word.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub considered: BTreeMap<String, String>,
    /// The exchange that this one repeats, because the model server did not answer it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_of: Option<ExchangeId>,
    /// The sealed prompt: its digest (see [`crate::Blob`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt: Option<Hash>,
    /// The day of the keys under which the content is sealed: that of the exchange, or of the
    /// conversation's beginning. Retention counts from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_day: Option<Day>,
    /// The patient whom the caller says it is about: a keyed hash of the caller's own reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patient: Option<Hash>,
    /// The moment at which it was asked what may be sent and what covers the path; absent when the
    /// exchange ended before. The record's own time is later.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<Time>,
    /// How the minimum necessary was seen to: `profile`, `exempt`, `chart`, `justification`, each
    /// with one word or figure.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub minimum: BTreeMap<String, String>,
    /// What the profile took away before anything left: path to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub removed: BTreeMap<String, u64>,
    /// The flow without PHI in which PHI was found, by its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alert: Option<String>,
    /// The exchange in which a model inside reduced the text of this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reduced_by: Option<ExchangeId>,
    /// The exchange whose response this one goes on from: what was said in it is in this prompt too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<ExchangeId>,
    /// What the request makes use of at a destination beside a plain answer, as far as a vendor's terms
    /// may differ for it: words with a space between them, by destination.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub capabilities: BTreeMap<String, String>,
    /// The batch of which it is a line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<BatchId>,
}

impl About {
    /// An exchange of which nothing is known but who asks, through which surface and in which interface.
    #[must_use]
    pub fn of(exchange: ExchangeId, actor: Actor, surface: &str, api: &str) -> Self {
        Self {
            exchange,
            actor,
            surface: surface.to_owned(),
            purpose: None,
            conversation: None,
            api: api.to_owned(),
            stream: false,
            route: None,
            policy: None,
            detector: None,
            findings: BTreeMap::new(),
            treatments: BTreeMap::new(),
            categories: Vec::new(),
            decision: None,
            rules: Vec::new(),
            destination: None,
            path: Vec::new(),
            considered: BTreeMap::new(),
            retry_of: None,
            prompt: None,
            key_day: None,
            patient: None,
            decided: None,
            minimum: BTreeMap::new(),
            removed: BTreeMap::new(),
            alert: None,
            reduced_by: None,
            previous: None,
            capabilities: BTreeMap::new(),
            batch: None,
        }
    }

    /// What the exchange's content is disposed of with.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self.conversation {
            Some(conversation) => Unit::Conversation(conversation),
            None => Unit::Exchange(self.exchange),
        }
    }
}

/// One hop and what covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The hop.
    pub hop: String,
    /// Why it is covered.
    pub by: CoverKind,
    /// The agreement or evidence; absent inside the boundary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Where the hop lies; absent when the configuration does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
}

/// Why a hop is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverKind {
    /// It lies inside the organisation's own boundary.
    Inside,
    /// An agreement in force names it.
    Agreement,
    /// Written chain evidence names it.
    Evidence,
    /// It sees no content (a time stamp authority sees hashes only).
    NoContent,
}

/// A prompt is about to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The exchange.
    #[serde(flatten)]
    pub about: About,
    /// Surrogates used.
    pub surrogates: Surrogates,
}

/// Surrogates used in an exchange. Reading the map is recorded here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surrogates {
    /// Made in this exchange.
    pub minted: u64,
    /// Read from the conversation's map.
    pub read: u64,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exchange.
    #[serde(flatten)]
    pub about: About,
    /// `answered`, `cached`, `refused`, `failed_closed`, `upstream_failed`, `caller_gone`, `interrupted`.
    pub outcome: String,
    /// The stable error code that the caller got, when it got one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// Why, more exactly than the code says: `consumer_tier_attempt`, `expired`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The position of this exchange's intent; absent when nothing left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intent: Option<u64>,
    /// The sealed answer; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply: Option<ReplyContent>,
    /// The model server's own id for the request, for reconciliation with its invoices.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upstream_request: Option<String>,
    /// Tokens, as the model server counted them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<Usage>,
}

/// The sealed answer, and what was found and restored in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyContent {
    /// Sealed windows, in order.
    pub windows: u64,
    /// SHA-256 over the digests of the windows, in order.
    pub digest: Hash,
    /// Bytes made durable for delivery.
    pub bytes: u64,
    /// Surrogates replaced by their values.
    pub restored: u64,
    /// Texts of a surrogate's form that stand for nothing here; left visible.
    pub unknown: u64,
    /// Identifiers found in the restored answer: class to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub findings: BTreeMap<String, u64>,
}

/// Tokens of the model's vocabulary, as the model server counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the prompt.
    pub prompt: u64,
    /// Of the answer.
    pub completion: u64,
}
