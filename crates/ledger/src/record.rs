//! What a record says. No field holds PHI: classes, counts, hashes and names of things the
//! organisation configured.

use crate::{
    ApiKeyId, ContentClass, ConversationId, Day, DeploymentId, ExchangeId, Hash, LogId, TenantId,
    Time,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the record's form.
pub const RECORD_VERSION: u32 = 1;

/// The longest that a record's bytes may be: 65,535.
///
/// C2SP tlog-tiles writes the length of an entry in two bytes; a longer record could never be
/// served in an entry bundle. It also bounds what verification holds in memory.
pub const MAX_RECORD_BYTES: usize = u16::MAX as usize;

/// The bytes are not a record in its one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRecord {
    /// Longer than [`MAX_RECORD_BYTES`].
    #[error("the record is longer than 65535 bytes")]
    TooLong,
    /// Not JSON, an unknown kind, a missing field, a value of the wrong form.
    #[error("the bytes are not a record of a known kind")]
    Unreadable,
    /// A record, but not in the bytes that RFC 8785 gives it: white space, order of keys, a
    /// duplicate or unknown key, another spelling of a string or number.
    #[error("the record is not in its canonical form")]
    NotCanonical,
}

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form, [`RECORD_VERSION`].
    pub v: u32,
    /// The log that it belongs to.
    pub log: LogId,
    /// Its position, from 0, without gaps.
    pub seq: u64,
    /// The leaf hash of the record before it; all zeros at position 0.
    pub prev: Hash,
    /// When it happened, by the writer's clock.
    pub time: Time,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The record's bytes: RFC 8785 (JCS) JSON in UTF-8.
    ///
    /// JSON keeps integers exact up to 2^53 - 1 only, so a larger one does not survive;
    /// [`Head::seal_next`](crate::Head::seal_next) refuses it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::canon::write(self).0
    }

    /// Reads a record from its bytes, which must be exactly those of [`Record::to_bytes`].
    ///
    /// # Errors
    /// [`MalformedRecord`] for anything else: an unknown kind or key, a duplicate key, a value of
    /// the wrong form, another spelling of the same JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedRecord> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(MalformedRecord::TooLong);
        }
        let record: Self =
            serde_json::from_slice(bytes).map_err(|_| MalformedRecord::Unreadable)?;
        if record.v != RECORD_VERSION {
            return Err(MalformedRecord::Unreadable);
        }
        if record.to_bytes() != bytes || !is_canonical(bytes) {
            return Err(MalformedRecord::NotCanonical);
        }
        Ok(record)
    }
}

/// Whether the bytes are a record of a known kind in its one canonical form, without building it.
///
/// It accepts exactly what [`Record::from_bytes`] accepts, many times faster; verification reads
/// every record so.
#[must_use]
pub fn is_canonical(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_RECORD_BYTES && crate::glance::Glance::read(bytes, None).is_ok()
}

/// What happened. The variant's name in the record is its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    /// The log begins; always and only at position 0.
    #[serde(rename = "log.opened")]
    LogOpened {
        /// The installation.
        deployment: DeploymentId,
        /// The organisation.
        tenant: TenantId,
        /// The organisation's name, as given to `bulla init`.
        organisation: String,
        /// The C2SP verifier key (`name+hash+base64`) that signs this log's checkpoints.
        verifier_key: String,
    },
    /// A prompt is about to leave. Durable before it does.
    #[serde(rename = "exchange.intent")]
    Intent(Box<Intent>),
    /// How an exchange ended. Durable before anyone sees it.
    #[serde(rename = "exchange.outcome")]
    Outcome(Box<Outcome>),
    /// Governed configuration was replaced by a later version.
    #[serde(rename = "configuration.applied")]
    ConfigurationApplied {
        /// Who applied it.
        actor: Actor,
        /// The version, from 1, without gaps.
        version: u64,
        /// SHA-256 of the file as applied; every exchange names it as its `policy`.
        sha256: Hash,
        /// What differs from the version before.
        changes: Vec<Change>,
    },
    /// An API key was made.
    #[serde(rename = "api_key.created")]
    ApiKeyCreated {
        /// Who made it.
        actor: Actor,
        /// The key's public name.
        key: ApiKeyId,
        /// The person or program that answers for its use.
        owner: String,
        /// The one purpose that it may be used for; absent when each request names one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        purpose: Option<String>,
        /// From this moment on it is refused.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expires: Option<Time>,
    },
    /// An API key was ended.
    #[serde(rename = "api_key.revoked")]
    ApiKeyRevoked {
        /// Who ended it.
        actor: Actor,
        /// The key's public name.
        key: ApiKeyId,
    },
    /// The log was exported.
    #[serde(rename = "audit.exported")]
    Exported {
        /// Who exported it.
        actor: Actor,
        /// Records in the export: positions `0 <= i < size`.
        size: u64,
    },
    /// Records of the log were read, line by line, by somebody at the command line.
    #[serde(rename = "audit.streamed")]
    Streamed {
        /// Who read them.
        actor: Actor,
        /// From this position on.
        from: u64,
        /// Before this position; absent when the reading goes on as the log grows.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        size: Option<u64>,
    },
    /// Sealed content of an exchange was opened and read.
    #[serde(rename = "content.read")]
    ContentRead {
        /// Who read it.
        actor: Actor,
        /// The exchange.
        exchange: ExchangeId,
        /// Why, from a short list: `operator`, `auditor`, `patient_request`.
        reason: String,
    },
    /// Requests were refused because nobody could be authenticated. Counted over a while, so that a
    /// stranger cannot fill the log.
    #[serde(rename = "access.refused")]
    AccessRefused {
        /// How many, since the record of this kind before, or since the start.
        count: u64,
    },
    /// The server began to serve.
    #[serde(rename = "service.started")]
    Started {
        /// Who started it.
        actor: Actor,
        /// The version of the program.
        version: String,
    },
    /// The server ended in good order.
    #[serde(rename = "service.stopped")]
    Stopped {
        /// Who or what stopped it.
        actor: Actor,
    },
    /// An agreement or a chain evidence ends within so many days.
    #[serde(rename = "agreement.expiring")]
    AgreementExpiring {
        /// The agreement or evidence.
        agreement: String,
        /// When it ends.
        expires: Time,
        /// The warning threshold that was crossed: 90, 60, 30 or 7.
        days: u32,
    },
    /// An authority stamped a checkpoint of the deployment's log that holds this log's checkpoint.
    /// What stands after this record was written after the stamp, because the token was not known
    /// before.
    #[serde(rename = "log.anchored")]
    Anchored {
        /// Records of this log that the stamp covers: positions `0 <= i < size`.
        size: u64,
        /// The authority, as the configuration names it.
        authority: String,
        /// The time that the authority gave.
        stamped: Time,
        /// SHA-256 of the token.
        sha256: Hash,
    },
    /// An authority does not answer, or not with a time stamp that holds. Told once until it does
    /// again; what was to be stamped waits.
    #[serde(rename = "anchor.failing")]
    AnchorFailing {
        /// The authority, as the configuration names it.
        authority: String,
        /// What is wrong, from a short list.
        reason: String,
    },
    /// The clock of this machine and that of an authority are further apart than they may be.
    #[serde(rename = "clock.skewed")]
    ClockSkewed {
        /// The authority, as the configuration names it.
        authority: String,
        /// The time that the authority gave. The record's own is that of this machine.
        stamped: Time,
    },
    /// A feed of the log does not deliver. Told once until it does again; what was to be delivered
    /// waits in the log.
    #[serde(rename = "feed.failing")]
    FeedFailing {
        /// The feed, as the configuration names it.
        feed: String,
        /// What is wrong, from a short list.
        reason: String,
    },
    /// A copy of the log in object storage fails, is not kept from being rewritten there, or holds another
    /// past than the log. Told once until it is mended.
    #[serde(rename = "copy.failing")]
    CopyFailing {
        /// The copy, as the configuration names it.
        copy: String,
        /// What is wrong, from a short list.
        reason: String,
    },
    /// Sealed content is disposed of: its keys are destroyed, and nobody reads it again. What the records
    /// commit to stays (45 CFR 164.310(d)(2)(i)). Durable before the keys go, so that no content becomes
    /// unreadable without a record; a destruction that was cut off is finished by the next start.
    #[serde(rename = "content.disposed")]
    Disposed {
        /// Who disposed of it.
        actor: Actor,
        /// Of what.
        #[serde(flatten)]
        scope: Disposal,
        /// Which classes of content, each once.
        classes: Vec<ContentClass>,
        /// By which right: the retention schedule, a court's order, a person's request.
        authority: String,
        /// Why, in a word: `retention`, `request`, `error`, `order`.
        reason: String,
        /// Conversations, and exchanges outside of any, whose keys go.
        count: u64,
        /// Those that would go too, but are held.
        held: u64,
        /// SHA-256 of the signed decision that allows it before its time; absent when its time has come.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sha256: Option<Hash>,
    },
    /// What the hold covers is not disposed of until it is released.
    #[serde(rename = "hold.placed")]
    HoldPlaced {
        /// Who placed it.
        actor: Actor,
        /// The hold's name.
        hold: String,
        /// What it covers; everything when absent.
        #[serde(flatten)]
        unit: Option<Unit>,
        /// By which right: a matter, a court's order, an incident.
        authority: String,
    },
    /// A hold ended.
    #[serde(rename = "hold.released")]
    HoldReleased {
        /// Who released it.
        actor: Actor,
        /// The hold's name.
        hold: String,
        /// By which right.
        authority: String,
    },
    /// A key that wraps other keys was replaced; what it wrapped is wrapped by the new one.
    #[serde(rename = "key.rotated")]
    KeyRotated {
        /// Who replaced it.
        actor: Actor,
        /// Which: `operator`, `organisation`.
        level: String,
        /// The name of the key before.
        former: String,
        /// The name of the key from now on.
        current: String,
    },
    /// The log's first records are pruned: their bytes go, their leaf hashes stay, and with them every
    /// proof. Record 0 is never pruned. Durable before the bytes go.
    #[serde(rename = "records.pruned")]
    Pruned {
        /// Who did it: the schedule.
        actor: Actor,
        /// Records that are pruned, record 0 counted: positions `0 < i < size`.
        size: u64,
        /// The root of the tree over the records before `size`, RFC 6962 section 2.1.
        root: Hash,
        /// By which right.
        authority: String,
        /// SHA-256 of the signed decision, where records are kept for less than six years.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sha256: Option<Hash>,
    },
    /// The organisation left: it got its data back, and its keys are destroyed
    /// (45 CFR 164.504(e)(2)(ii)(J)).
    #[serde(rename = "tenant.offboarded")]
    Offboarded {
        /// Who did it.
        actor: Actor,
        /// By which right: the end of an agreement.
        authority: String,
        /// SHA-256 of the archive that it got.
        sha256: Hash,
    },
}

/// What can be disposed of, or held, alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One exchange that belongs to no conversation.
    Exchange(ExchangeId),
    /// All exchanges of a conversation.
    Conversation(ConversationId),
}

/// What is disposed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposal {
    /// One exchange that belongs to no conversation.
    Exchange(ExchangeId),
    /// All exchanges of a conversation.
    Conversation(ConversationId),
    /// Everything whose keys are of an earlier day.
    Before(Day),
}

impl From<Unit> for Disposal {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Exchange(exchange) => Self::Exchange(exchange),
            Unit::Conversation(conversation) => Self::Conversation(conversation),
        }
    }
}

impl Event {
    /// What the record says of an exchange, when it speaks of one.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        match self {
            Self::Intent(intent) => Some(&intent.about),
            Self::Outcome(outcome) => Some(&outcome.about),
            Self::LogOpened { .. }
            | Self::ConfigurationApplied { .. }
            | Self::ApiKeyCreated { .. }
            | Self::ApiKeyRevoked { .. }
            | Self::Exported { .. }
            | Self::Streamed { .. }
            | Self::ContentRead { .. }
            | Self::AccessRefused { .. }
            | Self::Started { .. }
            | Self::Stopped { .. }
            | Self::AgreementExpiring { .. }
            | Self::Anchored { .. }
            | Self::AnchorFailing { .. }
            | Self::ClockSkewed { .. }
            | Self::FeedFailing { .. }
            | Self::CopyFailing { .. }
            | Self::Disposed { .. }
            | Self::HoldPlaced { .. }
            | Self::HoldReleased { .. }
            | Self::KeyRotated { .. }
            | Self::Pruned { .. }
            | Self::Offboarded { .. } => None,
        }
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of identity this is.
    pub kind: ActorKind,
    /// Its identifier: an API key's id, an operating-system account.
    pub id: String,
    /// The person or program behind it, as registered.
    pub name: String,
}

/// What kind of identity acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A program with an API key; the name is the key's owner.
    ApiKey,
    /// An operator at the command line; the id is the operating-system account.
    Operator,
    /// Bulla itself: the start-up sweep, a timer.
    System,
}

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
    /// Treatment by class: `disclosed`, `tokenized`, `redacted`, `blocked`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub treatments: BTreeMap<String, String>,
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
    /// The sealed prompt: its digest (see [`crate::Blob`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prompt: Option<Hash>,
    /// The day of the keys under which the content is sealed: that of the exchange, or of the
    /// conversation's beginning. Retention counts from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_day: Option<Day>,
}

impl About {
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
    /// `answered`, `refused`, `failed_closed`, `upstream_failed`, `caller_gone`, `interrupted`.
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

/// One difference between two versions of the governed configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Kind and id of the object: `agreement/baa-example-2026`.
    pub object: String,
    /// How it differs.
    pub change: ChangeKind,
}

/// How an object of the configuration differs from the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is there in both, with other content.
    Changed,
    /// It is gone.
    Removed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Kind;
    use crate::sample;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::Value;

    fn record(event: Event) -> Record {
        Record {
            v: RECORD_VERSION,
            log: sample::log(),
            seq: 7,
            prev: Hash::ZERO,
            time: sample::time(0),
            event,
        }
    }

    fn check(event: Event, expected: &Expect) {
        let record = record(event);
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&bytes), Ok(record));
        assert!(is_canonical(&bytes));
        expected.assert_eq(std::str::from_utf8(&bytes).unwrap());
    }

    /// One event of each kind, with what is optional and without it.
    #[expect(clippy::too_many_lines, reason = "one of each kind")]
    fn every_kind() -> Vec<Event> {
        let actor = sample::actor;
        let operator = Actor { kind: ActorKind::Operator, ..actor() };
        let bare = |mut about: About| {
            about.purpose = None;
            about.findings.clear();
            about.treatments.clear();
            about.rules.clear();
            about.path.clear();
            about.prompt = None;
            about.key_day = None;
            about.conversation = Some(ConversationId::from_bytes([4; 16]));
            about
        };
        let mut outcomes = vec![sample::outcome(1, 5), sample::outcome(2, 0)];
        if let Some(Event::Outcome(outcome)) = outcomes.last_mut() {
            outcome.about = bare(outcome.about.clone());
            outcome.code = Some("baa_scope".to_owned());
            outcome.reason = Some("expired".to_owned());
            (outcome.intent, outcome.reply, outcome.usage, outcome.upstream_request) =
                (None, None, None, None);
        }
        let mut intents = vec![sample::intent(1), sample::intent(2)];
        if let Some(Event::Intent(intent)) = intents.last_mut() {
            intent.about = bare(intent.about.clone());
        }
        let key = ApiKeyId::from_bytes([5; 16]);
        let change = |change| Change { object: "agreement/example".to_owned(), change };
        let hop = |by| Cover { hop: "h\u{e9}\"\n\u{1}".to_owned(), by, id: Some("a".to_owned()) };
        if let Some(Event::Intent(intent)) = intents.first_mut() {
            intent.about.path =
                [CoverKind::Agreement, CoverKind::Evidence, CoverKind::NoContent].map(hop).to_vec();
        }
        let mut events = vec![
            sample::opened(),
            Event::ConfigurationApplied {
                actor: operator,
                version: 1,
                sha256: Hash::of(b"file"),
                changes: [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed]
                    .map(change)
                    .to_vec(),
            },
            Event::ConfigurationApplied {
                actor: Actor { kind: ActorKind::System, ..actor() },
                version: 2,
                sha256: Hash::of(b"file"),
                changes: vec![],
            },
            Event::ApiKeyCreated {
                actor: actor(),
                key,
                owner: "Example Bot".to_owned(),
                purpose: Some("treatment".to_owned()),
                expires: Some(sample::time(9)),
            },
            Event::ApiKeyCreated {
                actor: actor(),
                key,
                owner: String::new(),
                purpose: None,
                expires: None,
            },
            Event::ApiKeyRevoked { actor: actor(), key },
            Event::Exported { actor: actor(), size: (1 << 53) - 1 },
            Event::Streamed { actor: actor(), from: 0, size: Some(9) },
            Event::Streamed { actor: actor(), from: 7, size: None },
            Event::ContentRead {
                actor: actor(),
                exchange: sample::exchange(1),
                reason: "auditor".to_owned(),
            },
            Event::AccessRefused { count: 12 },
            sample::started(),
            Event::Stopped { actor: actor() },
            Event::AgreementExpiring {
                agreement: "baa-example".to_owned(),
                expires: Time::from_micros(-62_167_219_200_000_001),
                days: u32::MAX,
            },
            Event::Anchored {
                size: 20,
                authority: "example".to_owned(),
                stamped: Time::from_micros(1_401_000),
                sha256: Hash::of(b"token"),
            },
            Event::AnchorFailing {
                authority: "example".to_owned(),
                reason: "unreachable".to_owned(),
            },
            Event::ClockSkewed { authority: "example".to_owned(), stamped: Time::from_micros(0) },
            Event::FeedFailing { feed: "siem".to_owned(), reason: "unreachable".to_owned() },
            Event::CopyFailing { copy: "worm".to_owned(), reason: "not_locked".to_owned() },
            Event::HoldPlaced {
                actor: actor(),
                hold: "matter-7".to_owned(),
                unit: Some(Unit::Exchange(sample::exchange(1))),
                authority: "Example Court (synthetic)".to_owned(),
            },
            Event::HoldPlaced {
                actor: actor(),
                hold: "matter-8".to_owned(),
                unit: None,
                authority: "incident 3".to_owned(),
            },
            Event::HoldReleased {
                actor: actor(),
                hold: "matter-7".to_owned(),
                authority: "Example Court (synthetic)".to_owned(),
            },
            Event::KeyRotated {
                actor: actor(),
                level: "organisation".to_owned(),
                former: "a".to_owned(),
                current: "b".to_owned(),
            },
            Event::Pruned {
                actor: actor(),
                size: 7,
                root: Hash::of(b"root"),
                authority: "retention schedule".to_owned(),
                sha256: Some(Hash::of(b"decision")),
            },
            Event::Offboarded {
                actor: actor(),
                authority: "end of agreement".to_owned(),
                sha256: Hash::of(b"archive"),
            },
        ];
        let disposal = |scope, classes: &[ContentClass], sha256| Event::Disposed {
            actor: actor(),
            scope,
            classes: classes.to_vec(),
            authority: "schedule".to_owned(),
            reason: "retention".to_owned(),
            count: 3,
            held: 1,
            sha256,
        };
        events.extend([
            disposal(Disposal::Before(sample::time(0).day()), &ContentClass::ALL, None),
            disposal(
                Disposal::Exchange(sample::exchange(2)),
                &[ContentClass::Answers],
                Some(Hash::of(b"decision")),
            ),
            disposal(Disposal::Conversation(ConversationId::from_bytes([4; 16])), &[], None),
        ]);
        events.append(&mut intents);
        events.append(&mut outcomes);
        events
    }

    #[test]
    fn a_record_is_canonical_json() {
        check(
            sample::started(),
            &expect![[
                r#"{"actor":{"id":"key_00000000000000000000000000000000","kind":"api_key","name":"Example Scheduling Bot"},"kind":"service.started","log":"bulla/dep_11111111111111111111111111111111/ten_22222222222222222222222222222222","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":7,"time":"2026-11-23T09:00:00.000000Z","v":1,"version":"0.1.0"}"#
            ]],
        );
    }

    #[test]
    fn every_kind_comes_back_from_its_bytes() {
        for event in every_kind() {
            let record = record(event);
            let bytes = record.to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(Record::from_bytes(&bytes).as_ref(), Ok(&record), "{text}");
            assert!(is_canonical(&bytes), "{text}");
        }
    }

    /// A kind without an example here would be tested by nothing.
    #[test]
    fn every_kind_has_an_example() {
        for kind in Kind::ALL {
            let tag = format!("\"kind\":\"{}\"", kind.text());
            let found = every_kind()
                .into_iter()
                .any(|event| String::from_utf8_lossy(&record(event).to_bytes()).contains(&tag));
            assert!(found, "{kind:?}");
        }
    }

    #[test]
    fn other_spellings_of_a_record_are_refused() {
        let text = String::from_utf8(record(sample::intent(1)).to_bytes()).unwrap();
        for (from, to, error) in [
            ("\"seq\":7", "\"seq\": 7", MalformedRecord::NotCanonical),
            ("\"seq\":7", "\"seq\":7,\"seq\":7", MalformedRecord::Unreadable),
            (
                "\"surface\":\"api\"",
                "\"surface\":\"api\",\"surface\":\"api\"",
                MalformedRecord::Unreadable,
            ),
            ("\"v\":1", "\"v\":1,\"w\":0", MalformedRecord::NotCanonical),
            ("\"v\":1", "\"v\":2", MalformedRecord::Unreadable),
            ("\"seq\":7", "\"seq\":9007199254740992", MalformedRecord::NotCanonical),
            ("\"seq\":7", "\"seq\":7.0", MalformedRecord::Unreadable),
            ("exchange.intent", "exchange.other", MalformedRecord::Unreadable),
            ("\"api\"", "\"\\u0061pi\"", MalformedRecord::NotCanonical),
            ("09:00:00.000000Z", "09:00:00Z", MalformedRecord::NotCanonical),
            ("\"rules\":[\"rule-7\"]", "\"rules\":[]", MalformedRecord::NotCanonical),
        ] {
            let altered = text.replacen(from, to, 1);
            assert_ne!(altered, text, "{from}");
            assert_eq!(Record::from_bytes(altered.as_bytes()), Err(error), "{altered}");
            assert!(!is_canonical(altered.as_bytes()), "{altered}");
        }
        let long = vec![b' '; MAX_RECORD_BYTES + 1];
        assert_eq!(Record::from_bytes(&long), Err(MalformedRecord::TooLong));
    }

    /// Values that stand, or nearly stand, somewhere in a record.
    fn odd_value() -> impl Strategy<Value = Value> {
        prop::sample::select(vec![
            Value::Null,
            true.into(),
            0.into(),
            1.into(),
            (-1).into(),
            1.5.into(),
            u64::from(u32::MAX).saturating_add(1).into(),
            "".into(),
            "x".into(),
            "operator".into(),
            "agreement".into(),
            "exchange.outcome".into(),
            "service.started".into(),
            Hash::ZERO.to_string().into(),
            sample::exchange(1).to_string().into(),
            sample::log().to_string().into(),
            "2026-02-28T23:59:59.999999Z".into(),
            "2026-02-29T00:00:00.000000Z".into(),
            "2024-02-29T00:00:00.000000Z".into(),
            "2026-11-23T24:00:00.000000Z".into(),
            "2026-11-23T09:00:60.000000Z".into(),
            "2026-11-23T09:00:00.000000+00:00".into(),
            "0000-01-01T00:00:00.000000Z".into(),
            "-000001-01-01T00:00:00.000000Z".into(),
            "9999-12-31T23:59:59.999999Z".into(),
            "9999-12-30T22:00:00.999999Z".into(),
            serde_json::json!([]),
            serde_json::json!(["x"]),
            serde_json::json!({}),
            serde_json::json!({"a": 1}),
            serde_json::json!({"a": "b"}),
            serde_json::json!({"minted": 1, "read": 2}),
        ])
    }

    /// All places of a value, outermost first.
    fn places(value: &Value, at: String, out: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
            Value::Array(list) => {
                list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
        };
        for (key, child) in children {
            places(child, format!("{at}/{key}"), out);
        }
        out.push(at);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_fast_reading_accepts_exactly_what_the_full_one_accepts(
            kind in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            (value, action) in (odd_value(), 0..3_u8),
            name in prop::sample::select(vec!["id", "purpose", "version", "findings", "zzz", "intent"]),
        ) {
            let events = every_kind();
            let bytes = record(events[kind.index(events.len())].clone()).to_bytes();
            let mut json: Value = serde_json::from_slice(&bytes).unwrap();
            let mut all = vec![];
            places(&json, String::new(), &mut all);
            let place = &all[place.index(all.len())];
            let target = json.pointer_mut(place).unwrap();
            match (action, target) {
                (0, target) => *target = value,
                (1, Value::Object(map)) => { map.insert(name.to_owned(), value); }
                (_, Value::Object(map)) => {
                    let key = map.keys().nth(action as usize % map.len().max(1)).cloned();
                    key.map(|key| map.remove(&key));
                }
                (_, target) => *target = value,
            }
            let altered = serde_json_canonicalizer::to_vec(&json).unwrap();
            prop_assert_eq!(
                is_canonical(&altered),
                Record::from_bytes(&altered).is_ok(),
                "{}", String::from_utf8_lossy(&altered)
            );
        }

        #[test]
        fn a_flipped_bit_is_read_alike_by_both(
            kind in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u8
        ) {
            let events = every_kind();
            let mut bytes = record(events[kind.index(events.len())].clone()).to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(
                is_canonical(&bytes),
                Record::from_bytes(&bytes).is_ok(),
                "{}", String::from_utf8_lossy(&bytes)
            );
        }

        #[test]
        fn a_time_is_read_alike_by_both(micros in -377_705_116_800_000_000..253_402_207_200_000_000_i64) {
            let mut record = record(sample::started());
            record.time = Time::from_micros(micros);
            let bytes = record.to_bytes();
            prop_assert_eq!(Record::from_bytes(&bytes), Ok(record));
        }
    }
}
