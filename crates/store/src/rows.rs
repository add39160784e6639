//! What the tables hold, as values.

use ledger::{ApiKeyId, ContentKeyId, ConversationId, Hash, TenantId, Time};

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

/// How far a feed of the log was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPosition {
    /// The position of the first record that was not delivered yet.
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
    /// A new conversation, with the key that its content is sealed under.
    AddConversation {
        /// The conversation.
        id: ConversationId,
        /// Its key, in this entry or stored before.
        key: ContentKeyId,
    },
    /// Something that is said once only: a second notice of the same name is refused.
    Notice(String),
}

impl Effect {
    /// Whether [`crate::Store::change_counter`] counts it.
    pub(crate) const fn is_governed(&self) -> bool {
        match self {
            Self::AddApiKey(_) | Self::RevokeApiKey { .. } | Self::AddConfiguration(_) => true,
            Self::AddConversation { .. } | Self::Notice(_) => false,
        }
    }
}
