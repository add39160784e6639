//! Who calls: API keys, each bound to the person or program that answers for its use.
//!
//! A secret has 256 random bits, so that its SHA-256 is all that is kept: no dictionary reaches it
//! (45 CFR 164.312(a)(2)(i), (d)).

use crate::house::{Error, House};
use gate::Code;
use ledger::{Actor, ActorKind, ApiKeyId, Entry, Event, Hash, Receipt, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use store::{ApiKeyRow, Effect, KeyRole};
use zeroize::Zeroizing;

/// What every secret begins with, so that a scanner of repositories can find a lost one.
const SECRET_PREFIX: &str = "bulla_";

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The longest name of an owner or purpose.
const MAX_NAME_BYTES: usize = 128;

/// An API key's secret. It is shown once, when the key is made.
pub struct ApiKeySecret(Zeroizing<String>);

impl ApiKeySecret {
    /// The secret, to be shown to the person who made the key.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret")
    }
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// The person or program that answers for its use.
    pub owner: String,
    /// What it is for.
    pub role: KeyRole,
    /// The one purpose that it may be used for; absent when each request names one.
    pub purpose: Option<String>,
    /// Days until it is refused; never when absent.
    pub days: Option<u32>,
}

/// A key could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The owner is empty, too long, or holds control characters.
    #[error("an owner is a name of 1 to 128 bytes without control characters")]
    Owner,
    /// The purpose is not one of the configuration in force.
    #[error("the purpose is not one that the configuration in force defines; apply one that does")]
    Purpose,
    /// Only prompts have a purpose.
    #[error("a key of this role sends no prompts, so it has no purpose")]
    NoPurpose,
    /// No key of that name is in force.
    #[error("no API key of that name is in force")]
    Unknown,
    /// The house failed.
    #[error(transparent)]
    House(#[from] Error),
}

/// A caller whose key was checked.
#[derive(Clone, Debug)]
pub struct Principal {
    key: ApiKeyId,
    owner: Arc<str>,
    purpose: Option<String>,
    role: KeyRole,
}

/// What somebody with a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To send a prompt, and to see what models there are.
    Ask,
    /// To read the log.
    ReadLog,
    /// To read the figures of operation.
    ReadFigures,
}

/// The key is in force, and not for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this API key may not do that: {}", code.as_str())]
pub struct Denied {
    /// Why.
    pub code: Code,
}

/// How often a key was denied something, and whose it is, by key and reason.
type Counted = BTreeMap<(ApiKeyId, &'static str), (Actor, u64)>;

/// Requests that were denied since they were last recorded.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<Counted>);

impl Denials {
    pub(crate) fn add(&self, (key, reason): (ApiKeyId, &'static str), actor: Actor, count: u64) {
        let mut denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        denials.entry((key, reason)).or_insert((actor, 0)).1 += count;
    }

    fn take(&self) -> Counted {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Principal {
    /// A caller for a test of something else.
    #[cfg(test)]
    pub(crate) fn caller(key: ApiKeyId, owner: &str) -> Self {
        Self { key, owner: owner.into(), purpose: None, role: KeyRole::Caller }
    }

    /// The API key.
    #[must_use]
    pub const fn key(&self) -> ApiKeyId {
        self.key
    }

    /// Whoever answers for its use.
    pub(crate) fn owner(&self) -> Arc<str> {
        Arc::clone(&self.owner)
    }

    /// The one purpose that the key may be used for.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// What the key is for.
    #[must_use]
    pub const fn role(&self) -> KeyRole {
        self.role
    }

    /// The identity that records name.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { kind: ActorKind::ApiKey, id: self.key.to_string(), name: self.owner.to_string() }
    }
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// Which of them it is is not said.
    #[error("the API key is missing, unknown, expired or revoked")]
    Unknown,
    /// Whose key was revoked meanwhile cannot be told.
    #[error("the API keys cannot be read")]
    Unreadable,
}

impl Unauthenticated {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Unknown => Code::InvalidApiKey,
            Self::Unreadable => Code::IdentityUnavailable,
        }
    }
}

/// The keys in force, by the hash of their secrets; none while they cannot be read.
#[derive(Debug, Default)]
pub(crate) struct KeyRing(Option<BTreeMap<Hash, ApiKeyRow>>);

impl KeyRing {
    pub(crate) fn new(rows: Vec<ApiKeyRow>) -> Self {
        let in_force = rows.into_iter().filter(|row| row.revoked_at.is_none());
        Self(Some(in_force.map(|row| (row.secret_hash, row)).collect()))
    }

    fn of(&self, key: ApiKeyId, now: Time) -> Option<&ApiKeyRow> {
        let row = self.0.as_ref()?.values().find(|row| row.id == key)?;
        row.expires.is_none_or(|expires| now < expires).then_some(row)
    }

    fn find(&self, secret: &str, now: Time) -> Result<&ApiKeyRow, Unauthenticated> {
        let keys = self.0.as_ref().ok_or(Unauthenticated::Unreadable)?;
        let row = keys.get(&Hash::of(secret.as_bytes())).ok_or(Unauthenticated::Unknown)?;
        let lasts = row.expires.is_none_or(|expires| now < expires);
        lasts.then_some(row).ok_or(Unauthenticated::Unknown)
    }
}

impl House {
    /// Checks an API key.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    pub fn authenticate(&self, secret: &str) -> Result<Principal, Unauthenticated> {
        let keys = self.keys.load();
        let row = keys.find(secret, self.clock.now()).inspect_err(|refused| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.telemetry.meter().request_refused(refused.code());
        })?;
        let (owner, purpose) = (row.owner.as_str().into(), row.purpose.clone());
        Ok(Principal { key: row.id, owner, purpose, role: row.role })
    }

    /// A caller whose key is in force, for what was asked with it before.
    pub(crate) fn principal(&self, key: ApiKeyId) -> Option<Principal> {
        let keys = self.keys.load();
        let row = keys.of(key, self.clock.now())?;
        let (owner, purpose) = (row.owner.as_str().into(), row.purpose.clone());
        Some(Principal { key, owner, purpose, role: row.role })
    }

    /// Checks that a key is for what is asked. A refusal is counted, and the count is recorded.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn permit(&self, principal: &Principal, right: Right) -> Result<(), Denied> {
        let code = match (right, principal.role) {
            (Right::Ask, KeyRole::Caller) | (Right::ReadFigures, KeyRole::Monitor) => {
                return Ok(());
            }
            (Right::ReadLog, KeyRole::Auditor) => {
                // Fail closed: rules that cannot be read name no readers.
                let in_force = self.in_force.load();
                let oversight = in_force.as_ref().map(|in_force| in_force.rules.oversight());
                if oversight.is_some_and(|oversight| oversight.may_read(&principal.owner)) {
                    return Ok(());
                }
                Code::ReaderNotAllowed
            }
            (Right::Ask, KeyRole::Auditor | KeyRole::Monitor)
            | (Right::ReadLog, KeyRole::Caller | KeyRole::Monitor)
            | (Right::ReadFigures, KeyRole::Caller | KeyRole::Auditor) => Code::RoleNotAllowed,
        };
        self.telemetry.meter().request_refused(code);
        self.denied.add((principal.key, code.as_str()), principal.actor(), 1);
        Err(Denied { code })
    }

    /// Records how many requests were denied, one record for each key and reason.
    pub(crate) async fn record_denied(&self) -> Result<(), Error> {
        let mut result = Ok(());
        for ((key, reason), (actor, count)) in self.denied.take() {
            let event =
                Event::AccessDenied { actor: actor.clone(), reason: reason.to_owned(), count };
            let entry = Entry::bare(self.clock.now(), event);
            if let Err(error) = self.tenant.append_with(entry, Vec::new()).await {
                // They are counted again with the next ones.
                self.denied.add((key, reason), actor, count);
                result = Err(error.into());
            }
        }
        result
    }

    /// Makes an API key. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn create_key(
        &self,
        request: KeyRequest,
        actor: Actor,
    ) -> Result<(ApiKeyId, ApiKeySecret, Receipt), KeyError> {
        let KeyRequest { owner, role, purpose, days } = request;
        if !is_name(&owner) {
            return Err(KeyError::Owner);
        }
        if role != KeyRole::Caller && purpose.is_some() {
            return Err(KeyError::NoPurpose);
        }
        if let Some(purpose) = &purpose {
            let known = self
                .in_force
                .load()
                .as_ref()
                .is_some_and(|in_force| in_force.rules.purpose(purpose).is_some());
            if !known {
                return Err(KeyError::Purpose);
            }
        }
        let now = self.clock.now();
        let mut random = Zeroizing::new([0; SECRET_BYTES]);
        self.entropy.fill(random.as_mut());
        let encoded = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(random.as_ref()));
        let secret = Zeroizing::new(format!("{SECRET_PREFIX}{}", encoded.as_str()));
        let id = ApiKeyId::mint(now, &*self.entropy);
        let expires = days.map(|days| now.plus_seconds(i64::from(days) * 86_400));
        let row = ApiKeyRow {
            id,
            secret_hash: Hash::of(secret.as_bytes()),
            owner: owner.clone(),
            purpose: purpose.clone(),
            role,
            created: now,
            expires,
            revoked_at: None,
        };
        // Absent for a caller, as in the records that were written before there were roles.
        let role = (role != KeyRole::Caller).then(|| role.as_str().to_owned());
        let event = Event::ApiKeyCreated { actor, key: id, owner, purpose, expires, role };
        let receipt = self
            .tenant
            .append_with(Entry::bare(now, event), vec![Effect::AddApiKey(row)])
            .await
            .map_err(Error::from)?;
        Ok((id, ApiKeySecret(secret), receipt))
    }

    /// Ends an API key. A running server refuses it within a second.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn revoke_key(&self, key: ApiKeyId, actor: Actor) -> Result<Receipt, KeyError> {
        let rows = self.list_keys().await?;
        if !rows.iter().any(|row| row.id == key && row.revoked_at.is_none()) {
            return Err(KeyError::Unknown);
        }
        let now = self.clock.now();
        let entry = Entry::bare(now, Event::ApiKeyRevoked { actor, key });
        let effect = Effect::RevokeApiKey { id: key, at: now };
        Ok(self.tenant.append_with(entry, vec![effect]).await.map_err(Error::from)?)
    }

    /// Every API key that was ever made. Their secrets are not stored.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn list_keys(&self) -> Result<Vec<ApiKeyRow>, Error> {
        Ok(self.tenant.api_keys().await?)
    }
}

/// Whether `text` can be shown as somebody's name.
pub(crate) fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}
