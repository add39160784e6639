//! One data directory, opened: the keys, the log, the rules in force.

use crate::anchoring::Told;
use crate::feed::Feeds;
use crate::identity::{KeyRing, is_name};
use crate::tasks::Tasks;
use arc_swap::{ArcSwap, ArcSwapOption};
use gate::rules::Rules;
use ledger::checkpoint::Signer;
use ledger::seal::{ContentKey, Unsealable};
use ledger::{
    Actor, Clock, ContentKeyId, ConversationId, DeploymentId, Entropy, Entry, Event, ExchangeId,
    LogId, TenantId, Unrecorded,
};
use phi::Detector;
use providers::{Providers, Wire};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{ServeLock, Store, Tenant};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};
use zeroize::{Zeroize as _, Zeroizing};

/// The operator's key file, unless another place is named.
const OPERATOR_KEY_FILE: &str = "operator.key";

/// The log's signing key, sealed under the operator's key.
const SIGNER_FILE: &str = "signer.sealed";

/// The signing key of the deployment's own log, sealed in the same way.
const DEPLOYMENT_SIGNER_FILE: &str = "deployment-signer.sealed";

/// A key file is one line; anything longer is not one.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// How long the end waits for exchanges, after their connections were given time to end. A model
/// server may hang for an hour; whoever stops this one does not wait for it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How old an answer about readiness may be.
const READINESS_AGE: Duration = Duration::from_secs(1);

/// Reads one variable of the environment.
pub type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What a house needs from the world.
#[derive(Clone)]
pub struct Setup {
    /// The data directory.
    pub dir: PathBuf,
    /// The operator's key file; in the data directory when absent. It belongs somewhere else than
    /// the data and its backups.
    pub key_file: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The environment, for credentials that are given there.
    pub environment: Arc<Environment>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({})", self.dir.display())
    }
}

impl Setup {
    fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.dir.join(OPERATOR_KEY_FILE))
    }
}

/// The house cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A record could not be made durable.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// A key file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    KeyFile {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A key file does not have its form, or anyone but its owner may read it.
    #[error("the key file {} is malformed, or others than its owner may read it", path.display())]
    KeyFileMalformed {
        /// The file.
        path: PathBuf,
    },
    /// The operator's key does not open this house.
    #[error("the operator's key does not open this data directory")]
    WrongKey(#[from] Unsealable),
    /// The data directory holds no organisation.
    #[error("the data directory holds no organisation")]
    Empty,
    /// The organisation's name cannot be shown.
    #[error("an organisation's name has 1 to 128 bytes and no control characters")]
    Name,
    /// The stored configuration does not parse: it was written by another version.
    #[error("the stored configuration, version {version}, does not parse")]
    Configuration {
        /// Its version.
        version: u64,
        /// Why.
        source: gate::rules::RulesError,
    },
}

/// The governed configuration in force, with what it needs from the world.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) rules: Rules,
    pub(crate) version: u64,
    pub(crate) wires: BTreeMap<String, Wire>,
}

/// Locks for conversations that begin: two first turns of one conversation must not make two keys.
/// A conversation's id picks its lock, so that few others wait.
#[derive(Debug)]
pub(crate) struct Births(Vec<Arc<tokio::sync::Mutex<()>>>);

/// Conversations that may begin at once; a power of two near the exchanges that run at once.
const BIRTH_LOCKS: usize = 256;

impl Default for Births {
    fn default() -> Self {
        Self((0..BIRTH_LOCKS).map(|_| Arc::default()).collect())
    }
}

impl Births {
    /// Waits until no other exchange begins this conversation.
    pub(crate) async fn lock(&self, id: ConversationId) -> Option<OwnedMutexGuard<()>> {
        let [first, ..] = id.as_bytes();
        let lock = self.0.get(usize::from(*first) % BIRTH_LOCKS)?;
        Some(Arc::clone(lock).lock_owned().await)
    }
}

/// Exchanges that are running, so that the sweep leaves them alone.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<BTreeSet<ExchangeId>>);

impl Live {
    pub(crate) fn enter(&self, exchange: ExchangeId) -> LiveGuard<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(exchange);
        LiveGuard { live: self, exchange }
    }

    pub(crate) fn holds(&self, exchange: ExchangeId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&exchange)
    }
}

pub(crate) struct LiveGuard<'a> {
    live: &'a Live,
    exchange: ExchangeId,
}

impl Drop for LiveGuard<'_> {
    fn drop(&mut self) {
        self.live.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.exchange);
    }
}

/// One data directory, opened.
pub struct House {
    pub(crate) store: Store,
    pub(crate) tenant: Tenant,
    pub(crate) log: LogId,
    pub(crate) organisation: String,
    pub(crate) tenant_key: ContentKey,
    pub(crate) signer: Signer,
    pub(crate) deployment_signer: Signer,
    pub(crate) told: Told,
    pub(crate) feeds: Feeds,
    pub(crate) detector: Detector,
    pub(crate) providers: Providers,
    pub(crate) in_force: ArcSwapOption<InForce>,
    pub(crate) keys: ArcSwap<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) tasks: Tasks,
    pub(crate) live: Live,
    pub(crate) births: Births,
    /// Requests that nobody could be authenticated for, since they were last recorded.
    pub(crate) refused: AtomicU64,
    tried: tokio::sync::Mutex<Option<(Instant, Readiness)>>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "House({})", self.log)
    }
}

/// Why the house cannot take prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The detector does not find what it must find.
    Detector,
    /// The log cannot be written, for this reason.
    Log(String),
}

/// What the house is ready for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Why it takes no prompts; empty when it does.
    pub unready: Vec<Unready>,
    /// The version of the configuration in force; absent when there is none, so that every prompt
    /// is blocked.
    pub configuration: Option<u64>,
}

impl House {
    /// Makes a data directory: keys, database, first organisation, first record.
    ///
    /// # Errors
    /// [`Error`]; an existing data directory is left alone.
    pub async fn create(setup: Setup, organisation: &str) -> Result<Arc<Self>, Error> {
        if !is_name(organisation) {
            return Err(Error::Name);
        }
        check_key_place(&setup)?;
        let now = setup.clock.now();
        let entropy = &*setup.entropy;
        let log = LogId {
            deployment: DeploymentId::mint(now, entropy),
            tenant: TenantId::mint(now, entropy),
        };
        let store = Store::create(&setup.dir, log.deployment)?;
        let operator = write_operator_key(&setup.key_path(), &setup)?;
        let signer = make_signer(&setup, SIGNER_FILE, &operator, &log.to_string())?;

        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        let tenant_key = ContentKey::from_bytes(root_key_id(log.tenant), bytes);
        let wrapped = operator.wrap(&tenant_key, now, entropy);
        let event = Event::LogOpened {
            deployment: log.deployment,
            tenant: log.tenant,
            organisation: organisation.to_owned(),
            verifier_key: signer.verifier_key(),
        };
        store.add_tenant(log.tenant, organisation, wrapped, Entry::bare(now, event)).await?;
        Self::assemble(setup, store, operator, log, organisation.to_owned()).await
    }

    /// Opens a data directory.
    ///
    /// # Errors
    /// [`Error`], among them a database that was rolled back and a key that does not open it.
    pub async fn open(setup: Setup) -> Result<Arc<Self>, Error> {
        let store = Store::open(&setup.dir)?;
        let operator = read_operator_key(&setup.key_path())?;
        let tenants = store.tenants().await?;
        let first = tenants.into_iter().next().ok_or(Error::Empty)?;
        let log = LogId { deployment: store.deployment(), tenant: first.id };
        Self::assemble(setup, store, operator, log, first.name).await
    }

    async fn assemble(
        setup: Setup,
        store: Store,
        operator: ContentKey,
        log: LogId,
        organisation: String,
    ) -> Result<Arc<Self>, Error> {
        let tenant = store.tenant(log.tenant);
        let wrapped = tenant.content_key(root_key_id(log.tenant)).await?.ok_or(Error::Empty)?;
        let tenant_key = operator.unwrap(&wrapped)?;
        let signer = read_signer(&setup.dir.join(SIGNER_FILE), &operator, &log.to_string())?;
        let deployment_signer = deployment_signer(&setup, &operator, log)?;
        let house = Self {
            store,
            tenant,
            log,
            organisation,
            tenant_key,
            signer,
            deployment_signer,
            told: Told::default(),
            feeds: Feeds::default(),
            detector: Detector::new(),
            providers: Providers::new(),
            in_force: ArcSwapOption::empty(),
            keys: ArcSwap::default(),
            clock: setup.clock,
            entropy: setup.entropy,
            environment: setup.environment,
            tasks: Tasks::new(),
            live: Live::default(),
            births: Births::default(),
            refused: AtomicU64::new(0),
            tried: tokio::sync::Mutex::default(),
        };
        house.reload().await?;
        Ok(Arc::new(house))
    }

    /// The log's name.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.log
    }

    /// The organisation's name.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// The C2SP verifier key of the deployment's own log, to be given to witnesses and auditors.
    #[must_use]
    pub fn deployment_key(&self) -> String {
        self.deployment_signer.verifier_key()
    }

    /// The C2SP verifier key of the log, to be given to auditors.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.signer.verifier_key()
    }

    /// The tasks that shutdown waits for.
    #[must_use]
    pub const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Tries every control without which no prompt may pass.
    ///
    /// The answer may be a second old: anyone who reaches the port may ask, and each trial writes
    /// to the disk.
    pub async fn readiness(&self) -> Readiness {
        let mut tried = self.tried.lock().await;
        if let Some((when, readiness)) = &*tried
            && when.elapsed() < READINESS_AGE
        {
            return readiness.clone();
        }
        let readiness = self.try_controls().await;
        *tried = Some((Instant::now(), readiness.clone()));
        readiness
    }

    async fn try_controls(&self) -> Readiness {
        let mut unready = Vec::new();
        if self.detector.self_test().is_err() {
            unready.push(Unready::Detector);
        }
        if let Err(reason) = self.store.health() {
            unready.push(Unready::Log(reason.to_string()));
        } else if let Err(error) = self.store.writable().await {
            unready.push(Unready::Log(error.to_string()));
        }
        let configuration = self.in_force.load().as_ref().map(|in_force| in_force.version);
        Readiness { unready, configuration }
    }

    /// The names of the models that callers may ask for, sorted.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        let in_force = self.in_force.load();
        let Some(in_force) = in_force.as_ref() else { return Vec::new() };
        in_force.rules.routes().map(|route| route.model().to_string()).collect()
    }

    /// Keeps a second server out of this data directory for as long as the lock lives.
    ///
    /// # Errors
    /// [`Error`] when another process serves from it.
    pub fn lock_for_serving(&self) -> Result<ServeLock, Error> {
        Ok(self.store.lock_for_serving()?)
    }

    /// Records that the server began to serve.
    ///
    /// # Errors
    /// [`Error`] when the record is not durable.
    pub async fn started(&self, actor: Actor) -> Result<(), Error> {
        let event = Event::Started { actor, version: env!("CARGO_PKG_VERSION").to_owned() };
        self.tenant.append_with(Entry::bare(self.clock.now(), event), Vec::new()).await?;
        Ok(())
    }

    /// Waits a while for the running exchanges, records that the server stopped, and signs a
    /// checkpoint. What still runs then is ended by the next start's sweep.
    ///
    /// # Errors
    /// [`Error`] when the record is not durable.
    pub async fn stopped(&self, actor: Actor) -> Result<(), Error> {
        if timeout(STOP_TIMEOUT, self.tasks.drained()).await.is_err() {
            tracing::warn!("some exchanges do not end; the next start records them as interrupted");
        }
        self.record_refused().await?;
        let event = Event::Stopped { actor };
        self.tenant.append_with(Entry::bare(self.clock.now(), event), Vec::new()).await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        // The last word is vouched for and delivered too; who does not answer must not hold up the end.
        let (anchored, delivered) = tokio::join!(
            timeout(STOP_TIMEOUT, self.anchor()),
            timeout(STOP_TIMEOUT, Box::pin(self.finish_feeds())),
        );
        if anchored.is_err() {
            tracing::warn!("the last records are not anchored; the next start has them anchored");
        }
        if delivered.is_err() {
            tracing::warn!("the last records are not delivered; the next start delivers them");
        }
        Ok(())
    }
}

/// The organisation's own key carries the organisation's id.
const fn root_key_id(tenant: TenantId) -> ContentKeyId {
    ContentKeyId::from_bytes(*tenant.as_bytes())
}

fn signer_binding(name: &str) -> String {
    format!("bulla-signer-1|{name}")
}

/// Makes a signing key and seals it under the operator's.
fn make_signer(
    setup: &Setup,
    file: &str,
    operator: &ContentKey,
    name: &str,
) -> Result<Signer, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    setup.entropy.fill(seed.as_mut());
    let signer = Signer::from_seed(name, &seed).map_err(|_| Error::Empty)?;
    let sealed = operator.seal_small(&signer_binding(name), seed.as_ref(), &*setup.entropy);
    write_new(&setup.dir.join(file), data_encoding::HEXLOWER.encode(&sealed).as_bytes())?;
    Ok(signer)
}

/// The key of the deployment's own log, which is made when it is first needed.
fn deployment_signer(setup: &Setup, operator: &ContentKey, log: LogId) -> Result<Signer, Error> {
    let name = format!("bulla/{}", log.deployment);
    let path = setup.dir.join(DEPLOYMENT_SIGNER_FILE);
    if path.exists() {
        return read_signer(&path, operator, &name);
    }
    match make_signer(setup, DEPLOYMENT_SIGNER_FILE, operator, &name) {
        // Another process made it a moment ago.
        Err(Error::KeyFile { .. }) if path.exists() => read_signer(&path, operator, &name),
        made => made,
    }
}

/// Refuses a place where the operator's key cannot be written before anything else is made: a data
/// directory without its key would only stand in the way of the next try.
fn check_key_place(setup: &Setup) -> Result<(), Error> {
    let Some(path) = &setup.key_file else { return Ok(()) };
    let refused = |kind: std::io::ErrorKind| {
        Err(Error::KeyFile { doing: "write", path: path.clone(), source: kind.into() })
    };
    if path.symlink_metadata().is_ok() {
        return refused(std::io::ErrorKind::AlreadyExists);
    }
    match path.parent() {
        Some(parent) if parent == setup.dir || parent.as_os_str().is_empty() || parent.is_dir() => {
            Ok(())
        }
        Some(_) | None => refused(std::io::ErrorKind::NotFound),
    }
}

fn write_operator_key(path: &Path, setup: &Setup) -> Result<ContentKey, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    setup.entropy.fill(bytes.as_mut());
    let id = ContentKeyId::mint(setup.clock.now(), &*setup.entropy);
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(bytes.as_ref()));
    let line = Zeroizing::new(format!("{id} {}\n", hex.as_str()));
    write_new(path, line.as_bytes())?;
    Ok(ContentKey::from_bytes(id, bytes))
}

fn read_operator_key(path: &Path) -> Result<ContentKey, Error> {
    let malformed = || Error::KeyFileMalformed { path: path.to_owned() };
    let text = read_private(path)?;
    let (id, hex) = text.trim().split_once(' ').ok_or_else(malformed)?;
    let id = id.parse().map_err(|_| malformed())?;
    let mut decoded =
        Zeroizing::new(data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| malformed())?);
    let bytes: [u8; 32] = decoded.as_slice().try_into().map_err(|_| malformed())?;
    decoded.zeroize();
    Ok(ContentKey::from_bytes(id, Zeroizing::new(bytes)))
}

fn read_signer(path: &Path, operator: &ContentKey, name: &str) -> Result<Signer, Error> {
    let malformed = || Error::KeyFileMalformed { path: path.to_owned() };
    let text = read_private(path)?;
    let sealed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| malformed())?;
    let opened = operator.open_small(&signer_binding(name), &sealed)?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(opened.as_slice().try_into().map_err(|_| malformed())?);
    Signer::from_seed(name, &seed).map_err(|_| malformed())
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |source| Error::KeyFile { doing: "read", path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    // Fail closed: a key that others may read is not a secret.
    if metadata.mode() & 0o077 != 0 || metadata.len() > MAX_KEY_FILE_BYTES {
        return Err(Error::KeyFileMalformed { path: path.to_owned() });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

/// Writes a file that must not exist yet, readable by its owner only, and waits for the disk.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::KeyFile { doing: "write", path: path.to_owned(), source };
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)
        }
        _ => Ok(()),
    }
}
