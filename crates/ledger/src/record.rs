//! What a record says. No field holds PHI: classes, counts, hashes and names of things the
//! organisation configured.

mod exchange;

use crate::canon::Frame;
use crate::form::Kind;
use crate::{
    ApiKeyId, BatchId, ContentClass, ConversationId, Day, DeploymentId, ExchangeId, Hash, LogId,
    TenantId, Time,
};
use serde::{Deserialize, Serialize};

pub use exchange::{About, Cover, CoverKind, Intent, Outcome, ReplyContent, Surrogates, Usage};

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
        crate::canon::write(&self.frame(), &self.event).0
    }

    /// All but the event.
    pub(crate) const fn frame(&self) -> Frame {
        let Self { v, log, seq, prev, time, event: _ } = *self;
        Frame { v, log, seq, prev, time }
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
        /// What it is for: `auditor`, who reads the log; `monitor`, who reads the metrics. Absent for a
        /// caller, who sends prompts.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        role: Option<String>,
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
    /// Whoever asked wants an answer given out no more. Its content is kept as long as before.
    #[serde(rename = "answer.withdrawn")]
    AnswerWithdrawn {
        /// Who withdrew it.
        actor: Actor,
        /// The exchange.
        exchange: ExchangeId,
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
    /// The executed document of an agreement or evidence was put into the house, sealed (45 CFR
    /// 164.308(b)(3), 164.316(b)(1)). What it says is not here, only what it is known by.
    #[serde(rename = "agreement.filed")]
    AgreementFiled {
        /// Who filed it.
        actor: Actor,
        /// The agreement or evidence.
        agreement: String,
        /// SHA-256 of the document.
        sha256: Hash,
        /// Its bytes.
        size: u64,
        /// Who signed it; at least one.
        signatories: Vec<String>,
        /// The day on which the last of them signed.
        signed: Day,
    },
    /// The executed document of an agreement was opened and given out. Durable before it is.
    #[serde(rename = "agreement.read")]
    AgreementRead {
        /// Who read it.
        actor: Actor,
        /// The agreement or evidence.
        agreement: String,
        /// SHA-256 of the document.
        sha256: Hash,
    },
    /// The executed document of an agreement is disposed of: its key is destroyed, and nobody reads it
    /// again. Durable before the key goes, as [`Event::Disposed`].
    #[serde(rename = "agreement.disposed")]
    AgreementDisposed {
        /// Who disposed of it.
        actor: Actor,
        /// The agreement or evidence.
        agreement: String,
        /// SHA-256 of the document.
        sha256: Hash,
        /// By which right: the retention schedule.
        authority: String,
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
    /// What became of a batch's file at a destination. `sent` is durable before the file leaves; each of
    /// its lines has an intent of its own before that.
    #[serde(rename = "batch.file")]
    BatchFile {
        /// The batch.
        batch: BatchId,
        /// The destination.
        destination: String,
        /// `sent`, `deleted`, `absent` (it was gone there already), or `failing`: the destination does
        /// not delete it, told once while it is asked again.
        outcome: String,
        /// The destination's own id of the file; absent before it has one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        file: Option<String>,
        /// What is wrong, from a short list.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
        /// How many lines the file has, when it is sent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        count: Option<u64>,
        /// SHA-256 of the file, when it is sent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sha256: Option<Hash>,
    },
    /// Somebody with a key in force asked for what the key may not have. Counted over a while, as
    /// [`Event::AccessRefused`].
    #[serde(rename = "access.denied")]
    AccessDenied {
        /// Whose key it is.
        actor: Actor,
        /// Why, from a short list: `role_not_allowed`, `reader_not_allowed`, `rate_limited`,
        /// `budget_exceeded`, `overloaded`.
        reason: String,
        /// How many requests, since the record of this kind before.
        count: u64,
    },
    /// Somebody reads the log as tiles. Durable before the first of them is given out; those of the
    /// next minute have no record of their own.
    #[serde(rename = "audit.tiles")]
    TilesRead {
        /// Who reads.
        actor: Actor,
        /// Records that could be read when the minute began: positions `0 <= i < size`.
        size: u64,
    },
    /// The log was searched. Durable before the results are given out.
    #[serde(rename = "audit.searched")]
    Searched {
        /// Who searched.
        actor: Actor,
        /// By what, each once and sorted: the names of the filters, never what was sought.
        filters: Vec<String>,
        /// Records that were found and given out.
        count: u64,
    },
    /// A report of the log's activity was made, for somebody to review
    /// (45 CFR 164.308(a)(1)(ii)(D)).
    #[serde(rename = "activity.reported")]
    Reported {
        /// Who made it.
        actor: Actor,
        /// From this position on.
        from: u64,
        /// Before this position.
        size: u64,
        /// SHA-256 of the report's document.
        sha256: Hash,
    },
    /// Somebody reviewed a report of activity and signs for it.
    #[serde(rename = "activity.reviewed")]
    Reviewed {
        /// Who recorded it.
        actor: Actor,
        /// Who reviewed it.
        reviewer: String,
        /// The report is of the activity from this position on.
        from: u64,
        /// Before this position.
        size: u64,
        /// SHA-256 of the report's document.
        sha256: Hash,
        /// What the reviewer remarks.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// Nobody reviewed the activity in time. Told once for each review that is missing.
    #[serde(rename = "review.overdue")]
    ReviewOverdue {
        /// Since when.
        expires: Time,
        /// How many days may lie between two reviews.
        days: u32,
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
    /// The house tried its own guards with synthetic identifiers, and each did its work. No exchange of
    /// anybody's: nothing of it left, and no review counts it.
    #[serde(rename = "selftest.passed")]
    SelfTestPassed {
        /// Synthetic exchanges that were made.
        count: u64,
        /// SHA-256 of the governed configuration whose routes were tried; absent when there was none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        policy: Option<Hash>,
    },
    /// A guard did not do its work on synthetic identifiers, so nothing goes through until it does.
    #[serde(rename = "selftest.failed")]
    SelfTestFailed {
        /// The guard, from a short list: `detector`, `policy`, `path`, `treatment`, `restore`, `record`,
        /// `pipeline`.
        reason: String,
        /// The route on which it failed; absent when that was one of the house's own.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        route: Option<String>,
        /// The interface in which it was asked; absent when it has nothing to do with one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        api: Option<String>,
        /// SHA-256 of the governed configuration in force; absent when there was none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        policy: Option<Hash>,
    },
    /// An answer that was kept for one owner was found where another asked. It did not open, nothing of
    /// it was shown, and nothing is kept from then on.
    #[serde(rename = "cache.mismatch")]
    CacheMismatch {
        /// How it was noticed, from a short list: `sealed`, `owner`.
        reason: String,
        /// The route that was asked for.
        route: String,
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
    /// The record's word for what happened.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        let kind = match self {
            Self::LogOpened { .. } => Kind::LogOpened,
            Self::Intent(_) => Kind::Intent,
            Self::Outcome(_) => Kind::Outcome,
            Self::ConfigurationApplied { .. } => Kind::ConfigurationApplied,
            Self::ApiKeyCreated { .. } => Kind::ApiKeyCreated,
            Self::ApiKeyRevoked { .. } => Kind::ApiKeyRevoked,
            Self::Exported { .. } => Kind::Exported,
            Self::Streamed { .. } => Kind::Streamed,
            Self::ContentRead { .. } => Kind::ContentRead,
            Self::AnswerWithdrawn { .. } => Kind::AnswerWithdrawn,
            Self::AccessRefused { .. } => Kind::AccessRefused,
            Self::Started { .. } => Kind::Started,
            Self::Stopped { .. } => Kind::Stopped,
            Self::AgreementExpiring { .. } => Kind::AgreementExpiring,
            Self::AgreementFiled { .. } => Kind::AgreementFiled,
            Self::AgreementRead { .. } => Kind::AgreementRead,
            Self::AgreementDisposed { .. } => Kind::AgreementDisposed,
            Self::Anchored { .. } => Kind::Anchored,
            Self::AnchorFailing { .. } => Kind::AnchorFailing,
            Self::ClockSkewed { .. } => Kind::ClockSkewed,
            Self::FeedFailing { .. } => Kind::FeedFailing,
            Self::CopyFailing { .. } => Kind::CopyFailing,
            Self::BatchFile { .. } => Kind::BatchFile,
            Self::AccessDenied { .. } => Kind::AccessDenied,
            Self::TilesRead { .. } => Kind::TilesRead,
            Self::Searched { .. } => Kind::Searched,
            Self::Reported { .. } => Kind::Reported,
            Self::Reviewed { .. } => Kind::Reviewed,
            Self::ReviewOverdue { .. } => Kind::ReviewOverdue,
            Self::Disposed { .. } => Kind::Disposed,
            Self::HoldPlaced { .. } => Kind::HoldPlaced,
            Self::HoldReleased { .. } => Kind::HoldReleased,
            Self::KeyRotated { .. } => Kind::KeyRotated,
            Self::Pruned { .. } => Kind::Pruned,
            Self::Offboarded { .. } => Kind::Offboarded,
            Self::SelfTestPassed { .. } => Kind::SelfTestPassed,
            Self::SelfTestFailed { .. } => Kind::SelfTestFailed,
            Self::CacheMismatch { .. } => Kind::CacheMismatch,
        };
        kind.text()
    }

    /// Who did it, when somebody did.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Intent(intent) => Some(&intent.about.actor),
            Self::Outcome(outcome) => Some(&outcome.about.actor),
            Self::ConfigurationApplied { actor, .. }
            | Self::ApiKeyCreated { actor, .. }
            | Self::ApiKeyRevoked { actor, .. }
            | Self::Exported { actor, .. }
            | Self::Streamed { actor, .. }
            | Self::ContentRead { actor, .. }
            | Self::AnswerWithdrawn { actor, .. }
            | Self::Started { actor, .. }
            | Self::Stopped { actor }
            | Self::AgreementFiled { actor, .. }
            | Self::AgreementRead { actor, .. }
            | Self::AgreementDisposed { actor, .. }
            | Self::AccessDenied { actor, .. }
            | Self::TilesRead { actor, .. }
            | Self::Searched { actor, .. }
            | Self::Reported { actor, .. }
            | Self::Reviewed { actor, .. }
            | Self::Disposed { actor, .. }
            | Self::HoldPlaced { actor, .. }
            | Self::HoldReleased { actor, .. }
            | Self::KeyRotated { actor, .. }
            | Self::Pruned { actor, .. }
            | Self::Offboarded { actor, .. } => Some(actor),
            Self::LogOpened { .. }
            | Self::AccessRefused { .. }
            | Self::AgreementExpiring { .. }
            | Self::Anchored { .. }
            | Self::AnchorFailing { .. }
            | Self::ClockSkewed { .. }
            | Self::FeedFailing { .. }
            | Self::CopyFailing { .. }
            | Self::ReviewOverdue { .. }
            | Self::SelfTestPassed { .. }
            | Self::SelfTestFailed { .. }
            | Self::CacheMismatch { .. }
            | Self::BatchFile { .. } => None,
        }
    }

    /// What is disposed of or held alone.
    fn unit(&self) -> Option<Unit> {
        if let Self::HoldPlaced { unit, .. } = self {
            return *unit;
        }
        let Self::Disposed { scope, .. } = self else { return None };
        match scope {
            Disposal::Exchange(exchange) => Some(Unit::Exchange(*exchange)),
            Disposal::Conversation(conversation) => Some(Unit::Conversation(*conversation)),
            Disposal::Before(_) => None,
        }
    }

    /// The exchange that the record names, whatever it says of it.
    #[must_use]
    pub fn exchange(&self) -> Option<ExchangeId> {
        if let Self::ContentRead { exchange, .. } | Self::AnswerWithdrawn { exchange, .. } = self {
            return Some(*exchange);
        }
        match self.unit() {
            Some(Unit::Exchange(exchange)) => Some(exchange),
            Some(Unit::Conversation(_)) => None,
            None => self.about().map(|about| about.exchange),
        }
    }

    /// The conversation that the record names, whatever it says of it.
    #[must_use]
    pub fn conversation(&self) -> Option<ConversationId> {
        match self.unit() {
            Some(Unit::Conversation(conversation)) => Some(conversation),
            Some(Unit::Exchange(_)) => None,
            None => self.about().and_then(|about| about.conversation),
        }
    }

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
            | Self::AnswerWithdrawn { .. }
            | Self::AccessRefused { .. }
            | Self::Started { .. }
            | Self::Stopped { .. }
            | Self::AgreementExpiring { .. }
            | Self::AgreementFiled { .. }
            | Self::AgreementRead { .. }
            | Self::AgreementDisposed { .. }
            | Self::Anchored { .. }
            | Self::AnchorFailing { .. }
            | Self::ClockSkewed { .. }
            | Self::FeedFailing { .. }
            | Self::CopyFailing { .. }
            | Self::BatchFile { .. }
            | Self::AccessDenied { .. }
            | Self::TilesRead { .. }
            | Self::Searched { .. }
            | Self::Reported { .. }
            | Self::Reviewed { .. }
            | Self::ReviewOverdue { .. }
            | Self::Disposed { .. }
            | Self::HoldPlaced { .. }
            | Self::HoldReleased { .. }
            | Self::KeyRotated { .. }
            | Self::Pruned { .. }
            | Self::Offboarded { .. }
            | Self::SelfTestPassed { .. }
            | Self::SelfTestFailed { .. }
            | Self::CacheMismatch { .. } => None,
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
mod tests;
