//! What the tables hold, as values.

use crate::batches::Change;
use ledger::seal::{PerClass, WrappedKeys};
use ledger::{ApiKeyId, ContentKeyId, ConversationId, Day, Hash, TenantId, Time, Unit};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Its name, as given at its creation.
    pub name: String,
    /// When it was added.
    pub created: Time,
}

/// What an API key is for. One key is never for two things: whoever sends prompts does not read what the log
/// says of others (45 CFR 164.308(a)(4)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    /// It sends prompts.
    #[default]
    Caller,
    /// It reads the log.
    Auditor,
    /// It reads the figures of operation, and nothing else.
    Monitor,
}

impl KeyRole {
    /// The role in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Auditor => "auditor",
            Self::Monitor => "monitor",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Caller, Self::Auditor, Self::Monitor].into_iter().find(|role| role.as_str() == word)
    }
}

/// An API key. Its secret is not here, only a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The public name.
    pub id: ApiKeyId,
    /// SHA-256 of the secret, which is random and long, so that no slow hash is needed.
    pub secret_hash: Hash,
    /// The person or program that answers for its use.
    pub owner: String,
    /// The one purpose that it may be used for; absent when each request names one.
    pub purpose: Option<String>,
    /// What it is for.
    pub role: KeyRole,
    /// When it was made.
    pub created: Time,
    /// From this moment on it is refused.
    pub expires: Option<Time>,
    /// When it was ended. Not read by [`Effect::AddApiKey`].
    pub revoked_at: Option<Time>,
}

/// One version of the governed configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationRow {
    /// The version, from 1, without gaps.
    pub version: u64,
    /// SHA-256 of `bytes`.
    pub sha256: Hash,
    /// When it was applied.
    pub applied_at: Time,
    /// The file as applied.
    pub bytes: Vec<u8>,
}

/// A version of the governed configuration, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationVersion {
    /// The version, from 1, without gaps.
    pub version: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// When it was applied.
    pub applied_at: Time,
}

/// A published checkpoint of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Records under it.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The signed note.
    pub note: String,
}

/// How far a feed of the log was delivered, or the log copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The position of the first record that is not there yet.
    pub next: u64,
    /// The leaf hash of the record before it; all zeros when there is none.
    pub before: Hash,
}

/// An intent without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// The exchange.
    pub exchange: ledger::ExchangeId,
    /// The position of its intent.
    pub seq: u64,
    /// The bytes of the intent's record.
    pub record: Vec<u8>,
}

/// The executed document of an agreement, as it was filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// The position of its record.
    pub seq: u64,
    /// The agreement or evidence.
    pub agreement: String,
    /// The name of its key.
    pub key: ContentKeyId,
    /// SHA-256 of the document.
    pub sha256: Hash,
    /// The bytes of its record.
    pub record: Vec<u8>,
    /// Whether its sealed bytes are there; they go with its disposal.
    pub kept: bool,
}

/// A document that is filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDocument {
    /// The agreement or evidence.
    pub agreement: String,
    /// The name of its key.
    pub key: ContentKeyId,
    /// SHA-256 of the document.
    pub sha256: Hash,
    /// The document, sealed.
    pub sealed: Vec<u8>,
}

/// What is not disposed of until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// Its name.
    pub name: String,
    /// What it covers; everything when absent.
    pub unit: Option<Unit>,
    /// By which right it was placed.
    pub authority: String,
    /// When it was placed.
    pub placed: Time,
    /// When it ended; absent while it is in force.
    pub released: Option<Time>,
}

/// A disposal whose record is durable and that is to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDisposal {
    /// The position of its record.
    pub seq: u64,
    /// The bytes of its record.
    pub record: Vec<u8>,
}

/// What a disposal takes out of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Keys of a unit, by class.
    Unit(ContentKeyId, PerClass<bool>),
    /// Keys of all units that stand on a shelf, by class.
    Shelf(ContentKeyId, PerClass<bool>),
    /// A conversation's sealed surrogates.
    Conversation(ConversationId),
    /// The sealed bytes of the document under this key.
    Document(ContentKeyId),
}

/// The organisation's own key, wrapped by the key service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeyRow {
    /// The key's name.
    pub id: ContentKeyId,
    /// The key, as the service wrapped it.
    pub wrapped: Vec<u8>,
    /// The service's own name of the key that wraps it.
    pub service: String,
    /// The key that names are made with, under this key. It stays when this key is replaced.
    pub names: Vec<u8>,
    /// When it was made.
    pub created: Time,
}

/// A shelf: the keys of a day, under the organisation's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShelfRow {
    /// Its name.
    pub id: ContentKeyId,
    /// The day.
    pub day: Day,
    /// Whether units may no longer be put on it.
    pub closed: bool,
    /// Its keys.
    pub keys: WrappedKeys,
}

/// A unit that was moved from a shelf that is gone: its keys, under the organisation's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedUnit {
    /// Its name.
    pub id: ContentKeyId,
    /// The day of the shelf that it stood on.
    pub day: Day,
    /// Its keys.
    pub keys: WrappedKeys,
}

/// What one API key spent on one day over one route, or a difference of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentRow {
    /// The day on which the exchanges began, in UTC.
    pub day: Day,
    /// The API key.
    pub key: ApiKeyId,
    /// The route.
    pub route: String,
    /// The currency of `micros`; empty when nothing has a price.
    pub currency: String,
    /// Tokens.
    pub tokens: i64,
    /// Millionths of a unit of the currency.
    pub micros: i64,
}

/// A change of the tables that is made in the same transaction as the record that speaks of it.
///
/// Each is refused as a whole, with its entry, when it contradicts what is stored: a name taken, a
/// version skipped, a key unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A new API key.
    AddApiKey(ApiKeyRow),
    /// Ends an API key that is in force.
    RevokeApiKey {
        /// The key.
        id: ApiKeyId,
        /// When.
        at: Time,
    },
    /// The next version of the governed configuration.
    AddConfiguration(ConfigurationRow),
    /// The document that the record speaks of.
    AddDocument(NewDocument),
    /// Adds to what was spent.
    Spend(SpentRow),
    /// Something that is said once only: a second notice of the same name is refused.
    Notice(String),
    /// A change of files and batches.
    Batch(Box<Change>),
}

impl Effect {
    /// Whether [`crate::Store::change_counter`] counts it.
    pub(crate) const fn is_governed(&self) -> bool {
        match self {
            Self::AddApiKey(_) | Self::RevokeApiKey { .. } | Self::AddConfiguration(_) => true,
            Self::AddDocument(_) | Self::Notice(_) | Self::Spend(_) | Self::Batch(_) => false,
        }
    }
}
