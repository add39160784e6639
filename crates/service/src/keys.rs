//! The keys under which content is sealed, while the house runs.
//!
//! The key service wraps the organisation's key, which wraps the keys of each day's shelf, which wrap
//! those of each unit. What the service opened stays open for a while ([`KEYS_TTL`]) and no longer: once it
//! refuses, or is away for that long, nothing is sealed and nothing is read (45 CFR
//! 164.312(a)(2)(iv)).

#![expect(clippy::similar_names, reason = "no other word for a shelf says so much")]

use crate::house::Error;
use arc_swap::{ArcSwap, ArcSwapOption};
use ledger::seal::{self, ContentKey, KeySet, OpenKeys, PerClass, Unsealable};
use ledger::{
    Clock, ContentClass, ContentKeyId, ConversationId, Day, Entropy, Hash, LogId, TenantId,
    WrappedUnit,
};
use providers::keys::{KeyService, KeyServiceError};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{KeyStore, MovedUnit, ShelfRow, TenantKeyRow};
use tokio::time::Instant;

/// How long keys stay open after the key service last opened them, when nothing else is said: the longest
/// time in which a key that was revoked is still used.
pub const KEYS_TTL: Duration = Duration::from_mins(1);

/// How often in that time the key service is asked again, so that a short failure closes nothing.
const RENEWALS: u32 = 4;

/// Shelves of former days that are kept open, for conversations that go on and for reading.
const SHELVES_OPEN: usize = 64;

/// Tries against another process that changes the same keys.
const TRIES: usize = 4;

/// The role of the key that names are made with.
const NAMES: &str = "names";

/// The role of the keys of documents, which is their class of retention.
const CONTRACTS: &str = "contracts";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The key service did not open them.
    #[error(transparent)]
    Service(Arc<KeyServiceError>),
    /// They could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// They do not open.
    #[error("the keys of the data directory do not open")]
    Unsealable(#[from] Unsealable),
    /// The organisation has left, and they are destroyed.
    #[error("the organisation has left: its keys are destroyed")]
    Gone,
}

impl From<KeyServiceError> for KeysError {
    fn from(error: KeyServiceError) -> Self {
        Self::Service(Arc::new(error))
    }
}

impl KeysError {
    /// Whether another process may have replaced the organisation's key meanwhile.
    const fn is_stale(&self) -> bool {
        matches!(self, Self::Unsealable(_) | Self::Store(store::Error::Conflict))
    }
}

/// The organisation's keys.
pub(crate) struct Keys {
    store: KeyStore,
    service: ArcSwap<KeyService>,
    reopen: Box<Reopen>,
    ttl: Duration,
    log: LogId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    held: ArcSwapOption<Held>,
    /// Whoever asks the key service, one at a time, and how it failed last: when that was known, and why.
    renewing: tokio::sync::Mutex<Option<(Instant, Arc<KeyServiceError>)>>,
}

/// Reads the key file again, which may name another service by now.
type Reopen = dyn Fn() -> Result<KeyService, KeyServiceError> + Send + Sync;

/// What is open for a while.
pub(crate) struct Held {
    opened: Instant,
    seen: (i64, u64),
    organisation: ContentKey,
    names: ContentKey,
    today: Mutex<Option<Arc<KeySet>>>,
    shelves: Mutex<BTreeMap<ContentKeyId, Arc<Shelf>>>,
}

/// A shelf, opened.
pub(crate) struct Shelf {
    pub(crate) day: Day,
    pub(crate) keys: OpenKeys,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.log)
    }
}

impl Held {
    /// The organisation's key.
    pub(crate) const fn organisation(&self) -> &ContentKey {
        &self.organisation
    }

    /// A name for something that must not be guessable from outside. It outlives a change of the
    /// organisation's key.
    pub(crate) fn name(&self, purpose: &str, pieces: &[&[u8]]) -> Hash {
        self.names.keyed_hash(purpose, pieces)
    }
}

/// What the organisation's key is bound to at the key service.
fn tenant_context(log: LogId) -> String {
    format!("bulla-organisation-1|{log}")
}

/// The organisation's first key carries the organisation's id.
pub(crate) const fn first_key_id(tenant: TenantId) -> ContentKeyId {
    ContentKeyId::from_bytes(*tenant.as_bytes())
}

/// The shelf's keys under the organisation's.
fn shelf_row(shelf: &KeySet, under: &ContentKey, entropy: &dyn Entropy) -> ShelfRow {
    ShelfRow {
        id: shelf.id(),
        day: shelf.day(),
        closed: false,
        keys: PerClass::make(|class| Some(under.wrap_class(shelf.key(class), class, entropy))),
    }
}

impl Keys {
    pub(crate) fn new(
        store: KeyStore,
        key_file: PathBuf,
        environment: Arc<crate::Environment>,
        ttl: Duration,
        log: LogId,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyServiceError> {
        let at = Arc::clone(&clock);
        let reopen = Box::new(move || {
            KeyService::open(&key_file, &|name| environment(name), Arc::clone(&at))
        });
        let service = ArcSwap::from_pointee(reopen()?);
        let (held, renewing) = (ArcSwapOption::empty(), tokio::sync::Mutex::default());
        Ok(Self { store, service, reopen, ttl, log, clock, entropy, held, renewing })
    }

    /// Makes the organisation's first key.
    pub(crate) async fn found(&self) -> Result<(), KeysError> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        self.entropy.fill(bytes.as_mut());
        let key = ContentKey::from_bytes(first_key_id(self.log.tenant), bytes);
        let names = ContentKey::generate(self.clock.now(), &*self.entropy);
        let row = self.tenant_row(&self.service(), &key, &names).await?;
        Ok(self.store.add_tenant_key(self.log.tenant, row).await?)
    }

    async fn tenant_row(
        &self,
        service: &KeyService,
        key: &ContentKey,
        names: &ContentKey,
    ) -> Result<TenantKeyRow, KeysError> {
        let context = tenant_context(self.log);
        Ok(TenantKeyRow {
            id: key.id(),
            wrapped: service.wrap(key.expose(), &context, &*self.entropy).await?,
            service: service.name().to_owned(),
            names: key.wrap_named(names, NAMES, &*self.entropy),
            created: self.clock.now(),
        })
    }

    /// The key service.
    pub(crate) fn service(&self) -> Arc<KeyService> {
        self.service.load_full()
    }

    /// What is open, after asking the key service when that is due.
    pub(crate) async fn held(&self) -> Result<Arc<Held>, KeysError> {
        if let Some(held) = self.held.load_full()
            && held.opened.elapsed() < self.ttl
        {
            return Ok(held);
        }
        self.renew(Instant::now()).await
    }

    /// Asks the key service again when it is time or another process changed something, and closes what
    /// has been open for too long.
    pub(crate) async fn keep(&self) -> Result<(), KeysError> {
        let seen = self.store.change_counter().await?;
        let fresh =
            self.held.load().as_ref().is_some_and(|held| {
                held.seen == seen && held.opened.elapsed() < self.ttl / RENEWALS
            });
        if fresh {
            return Ok(());
        }
        let renewed = self.renew(Instant::now()).await.map(drop);
        let stale = |held: &Arc<Held>| held.opened.elapsed() >= self.ttl;
        if renewed.is_err() && self.held.load().as_ref().is_some_and(stale) {
            self.held.store(None);
        }
        renewed
    }

    /// Opens the organisation's key anew, unless somebody did since `asked`, or could not: a service that
    /// hangs is waited for once, and not by one request after the other.
    async fn renew(&self, asked: Instant) -> Result<Arc<Held>, KeysError> {
        let mut turn = self.renewing.lock().await;
        if let Some(held) = self.held.load_full()
            && held.opened >= asked
        {
            return Ok(held);
        }
        if let Some((known, error)) = &*turn
            && *known >= asked
        {
            return Err(KeysError::Service(Arc::clone(error)));
        }
        let renewed = self.open_anew().await;
        if let Err(KeysError::Service(error)) = &renewed {
            *turn = Some((Instant::now(), Arc::clone(error)));
        }
        renewed
    }

    async fn open_anew(&self) -> Result<Arc<Held>, KeysError> {
        // Before the rest: a change between the two is then seen again, never missed.
        let seen = self.store.change_counter().await?;
        let opened = Instant::now();
        let row = self.store.tenant_key(self.log.tenant).await?.ok_or(KeysError::Gone)?;
        let organisation = self.open(&row).await?;
        let names = organisation.unwrap_named(&row.names, NAMES)?;
        let held = Arc::new(Held {
            opened,
            seen,
            organisation,
            names,
            today: Mutex::default(),
            shelves: Mutex::default(),
        });
        self.held.store(Some(Arc::clone(&held)));
        Ok(held)
    }

    async fn open(&self, row: &TenantKeyRow) -> Result<ContentKey, KeysError> {
        let context = tenant_context(self.log);
        let bytes = if let Ok(bytes) = self.service().unwrap(&row.wrapped, &context).await {
            bytes
        } else {
            // The key file may hold another key or name another service since it was read.
            let service = Arc::new((self.reopen)()?);
            let bytes = service.unwrap(&row.wrapped, &context).await?;
            self.service.store(service);
            bytes
        };
        Ok(ContentKey::from_bytes(row.id, bytes))
    }

    /// The keys of a new unit, open and wrapped.
    pub(crate) async fn begin_unit(
        &self,
        conversation: Option<ConversationId>,
    ) -> Result<(KeySet, WrappedUnit), KeysError> {
        let now = self.clock.now();
        let held = self.held().await?;
        let shelf = match self.shelf_of(&held, now.day()).await {
            Err(error) if error.is_stale() => {
                let held = self.renew(Instant::now()).await?;
                self.shelf_of(&held, now.day()).await?
            }
            shelf => shelf?,
        };
        let keys = KeySet::generate(now, shelf.day(), &*self.entropy);
        let wrapped = keys.wrapped_by(&shelf, &*self.entropy);
        let unit = WrappedUnit { id: keys.id(), shelf: shelf.id(), conversation, keys: wrapped };
        Ok((keys, unit))
    }

    /// The shelf of a day on which units may be put.
    async fn shelf_of(&self, held: &Held, day: Day) -> Result<Arc<KeySet>, KeysError> {
        let today = || held.today.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = today().as_ref().filter(|shelf| shelf.day() == day) {
            return Ok(Arc::clone(shelf));
        }
        let tenant = self.log.tenant;
        for _ in 0..TRIES {
            if let Some(row) = self.store.open_shelf(tenant, day).await? {
                let opened = held.organisation.unwrap_all(row.id, &row.keys)?;
                let shelf = KeySet::complete(row.id, row.day, opened).ok_or(Unsealable)?;
                let shelf = Arc::new(shelf);
                *today() = Some(Arc::clone(&shelf));
                return Ok(shelf);
            }
            let shelf = KeySet::generate(self.clock.now(), day, &*self.entropy);
            let row = shelf_row(&shelf, &held.organisation, &*self.entropy);
            self.store.add_shelf(tenant, held.organisation.id(), row).await?;
        }
        Err(store::Error::Conflict.into())
    }

    /// The keys of a unit, as far as they were not destroyed, and the day that retention counts from.
    pub(crate) async fn open_unit(&self, unit: &WrappedUnit) -> Result<(Day, OpenKeys), KeysError> {
        match self.open_unit_with(&*self.held().await?, unit).await {
            Err(error) if error.is_stale() => {
                self.open_unit_with(&*self.renew(Instant::now()).await?, unit).await
            }
            opened => opened,
        }
    }

    async fn open_unit_with(
        &self,
        held: &Held,
        unit: &WrappedUnit,
    ) -> Result<(Day, OpenKeys), KeysError> {
        let shelf = self.open_shelf(held, unit.shelf).await?;
        let mut keys = seal::unwrap_under(&shelf.keys, unit.id, &unit.keys)?;
        if ContentClass::ALL.iter().any(|class| keys.get(*class).is_none())
            && let Some(moved) = self.store.moved_unit(self.log.tenant, unit.id).await?
        {
            let mut moved = held.organisation.unwrap_all(moved.id, &moved.keys)?;
            for class in ContentClass::ALL {
                let key = keys.get_mut(class);
                *key = key.take().or_else(|| moved.get_mut(class).take());
            }
        }
        Ok((shelf.day, keys))
    }

    /// A shelf's keys, as far as they were not destroyed.
    pub(crate) async fn open_shelf(
        &self,
        held: &Held,
        id: ContentKeyId,
    ) -> Result<Arc<Shelf>, KeysError> {
        let shelves = || held.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves().get(&id) {
            return Ok(Arc::clone(shelf));
        }
        let row = self.store.shelf(self.log.tenant, id).await?.ok_or(Unsealable)?;
        let keys = held.organisation.unwrap_all(id, &row.keys)?;
        let shelf = Arc::new(Shelf { day: row.day, keys });
        let mut shelves = shelves();
        if shelves.len() >= SHELVES_OPEN {
            shelves.pop_first();
        }
        shelves.insert(id, Arc::clone(&shelf));
        Ok(shelf)
    }

    /// A unit's keys under the organisation's key, for a unit whose shelf goes.
    pub(crate) fn moved(
        &self,
        held: &Held,
        id: ContentKeyId,
        day: Day,
        keys: &OpenKeys,
    ) -> MovedUnit {
        let wrap = |class: ContentClass| {
            let key = keys.get(class).as_ref()?;
            Some(held.organisation.wrap_class(key, class, &*self.entropy))
        };
        MovedUnit { id, day, keys: PerClass::make(wrap) }
    }

    /// A fresh key for one document. It is durable before the document is, and seals nothing when the
    /// document then is not filed.
    pub(crate) async fn begin_document(&self) -> Result<ContentKey, KeysError> {
        let key = ContentKey::generate(self.clock.now(), &*self.entropy);
        for _ in 0..TRIES {
            let held = self.held().await?;
            let wrapped = held.organisation.wrap(&key, CONTRACTS, &*self.entropy);
            let (tenant, under) = (self.log.tenant, held.organisation.id());
            match self.store.add_document_key(tenant, under, key.id(), wrapped).await {
                Ok(()) => return Ok(key),
                // The organisation's key was replaced meanwhile.
                Err(store::Error::Conflict) => self.forget(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(store::Error::Conflict.into())
    }

    /// The key of a document; absent when it was destroyed.
    pub(crate) async fn document_key(
        &self,
        id: ContentKeyId,
    ) -> Result<Option<ContentKey>, KeysError> {
        match self.document_key_with(&*self.held().await?, id).await {
            Err(error) if error.is_stale() => {
                self.document_key_with(&*self.renew(Instant::now()).await?, id).await
            }
            opened => opened,
        }
    }

    async fn document_key_with(
        &self,
        held: &Held,
        id: ContentKeyId,
    ) -> Result<Option<ContentKey>, KeysError> {
        let wrapped = self.store.document_key(self.log.tenant, id).await?;
        let open = |wrapped: Vec<u8>| held.organisation.unwrap(id, CONTRACTS, &wrapped);
        Ok(wrapped.map(open).transpose()?)
    }

    /// Replaces the organisation's key, without closing anything: what it wrapped is wrapped by the new
    /// one. Says the names of the former key and of the new one.
    pub(crate) async fn rotate(&self) -> Result<(ContentKeyId, ContentKeyId), KeysError> {
        let tenant = self.log.tenant;
        for _ in 0..TRIES {
            let row = self.store.tenant_key(tenant).await?.ok_or(KeysError::Gone)?;
            let former = self.open(&row).await?;
            let new = ContentKey::generate(self.clock.now(), &*self.entropy);
            let names = former.unwrap_named(&row.names, NAMES)?;
            let new_row = self.tenant_row(&self.service(), &new, &names).await?;
            let rewrap = |id, keys| -> Result<_, Unsealable> {
                let open = former.unwrap_all(id, keys)?;
                let wrap = |class: ContentClass| {
                    let key = open.get(class).as_ref()?;
                    Some(new.wrap_class(key, class, &*self.entropy))
                };
                Ok((id, PerClass::make(wrap)))
            };
            let shelves = self.store.shelves(tenant).await?;
            let shelves = shelves.iter().map(|row| rewrap(row.id, &row.keys));
            let units = self.store.moved_units(tenant).await?;
            let units = units.iter().map(|row| rewrap(row.id, &row.keys));
            let (shelves, units) =
                (shelves.collect::<Result<_, _>>()?, units.collect::<Result<_, _>>()?);
            let rewrap = |(id, key): (_, Vec<u8>)| -> Result<_, Unsealable> {
                let key = former.unwrap(id, CONTRACTS, &key)?;
                Ok((id, new.wrap(&key, CONTRACTS, &*self.entropy)))
            };
            let documents = self.store.document_keys(tenant).await?.into_iter().map(rewrap);
            let documents = documents.collect::<Result<_, _>>()?;
            let (from, to) = (row.id, new_row.id);
            let done =
                self.store.replace_tenant_key(tenant, from, new_row, shelves, units, documents);
            match done.await {
                Ok(()) => return Ok((from, to)),
                Err(store::Error::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(store::Error::Conflict.into())
    }

    /// Puts the organisation's key under another key of the service, or another service's.
    pub(crate) async fn rewrap(&self, service: &KeyService) -> Result<(), KeysError> {
        let tenant = self.log.tenant;
        let mut row = self.store.tenant_key(tenant).await?.ok_or(KeysError::Gone)?;
        let key = self.open(&row).await?;
        let context = tenant_context(self.log);
        row.wrapped = service.wrap(key.expose(), &context, &*self.entropy).await?;
        service.name().clone_into(&mut row.service);
        Ok(self.store.rewrap_tenant_key(tenant, row).await?)
    }

    /// Closes what is open.
    pub(crate) fn forget(&self) {
        self.held.store(None);
    }

    /// The name of the organisation's key; absent when it is destroyed.
    pub(crate) async fn current(&self) -> Result<Option<ContentKeyId>, KeysError> {
        Ok(self.store.tenant_key(self.log.tenant).await?.map(|row| row.id))
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::Service(_) | KeysError::Unsealable(_) | KeysError::Gone => Self::Keys(error),
        }
    }
}
