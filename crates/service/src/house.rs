//! One data directory, opened: the keys, the log, the rules in force.

use crate::anchoring::Told;
use crate::cache::Cache;
use crate::converse::Started;
use crate::copying::Copies;
use crate::feed::Feeds;
use crate::identity::{Denials, KeyRing, is_name};
use crate::keys::{Keys, KeysError};
use crate::limits::{Limits, Room};
use crate::mcp::ToolSessions;
use crate::responses::Background;
use crate::review::Reviews;
use crate::routing::Routing;
use crate::selftest::{Failure, SelfTest};
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::tiles::Readings;
use arc_swap::{ArcSwap, ArcSwapOption};
use gate::rules::Rules;
use ledger::checkpoint::Signer;
use ledger::{
    Actor, Clock, ConversationId, DeploymentId, Entropy, Entry, Event, ExchangeId, LogId, TenantId,
    Unrecorded,
};
use phi::Detector;
use phi::category::{Categories, Category, Settings, USUAL_THRESHOLD};
use providers::keys::{self, KeyService, KeyServiceError};
use providers::{Providers, Wire};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{ServeLock, Store, Tenant};
use tokio::sync::{Notify, OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// The log's signing key, wrapped by the key service.
const SIGNER_FILE: &str = "signer.sealed";

/// The signing key of the deployment's own log, wrapped in the same way.
const DEPLOYMENT_SIGNER_FILE: &str = "deployment-signer.sealed";

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
    /// The operator's key file, or the description of the key service; when absent, a credential of
    /// systemd, or a file in the data directory. It belongs somewhere else than the data and its backups.
    pub key_file: Option<PathBuf>,
    /// How long keys stay open after the key service last opened them.
    pub keys_ttl: Duration,
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
    /// Where the key file is.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        let environment = |name: &str| (self.environment)(name);
        self.key_file.clone().unwrap_or_else(|| keys::default_path(&self.dir, &environment))
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
    /// The key service does not do what it must.
    #[error(transparent)]
    KeyService(#[from] KeyServiceError),
    /// The organisation's keys cannot be used.
    #[error(transparent)]
    Keys(KeysError),
    /// A signing key does not have its form.
    #[error("the signing key {} is malformed", path.display())]
    Signer {
        /// Its file.
        path: PathBuf,
    },
    /// The tables of special categories cannot be built.
    #[error("the tables of special categories cannot be built")]
    Categories(#[source] phi::category::UnusableTerm),
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

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
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
    pub(crate) content_keys: Keys,
    pub(crate) key_path: PathBuf,
    dir: PathBuf,
    pub(crate) signer: Signer,
    pub(crate) deployment_signer: Signer,
    pub(crate) told: Told,
    pub(crate) feeds: Feeds,
    pub(crate) copies: Copies,
    pub(crate) detector: Detector,
    pub(crate) categories: Categories,
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
    /// Requests whose key was not for that, since they were last recorded.
    pub(crate) denied: Denials,
    pub(crate) limits: Arc<Limits>,
    pub(crate) room: Room,
    pub(crate) routing: Routing,
    pub(crate) tool_sessions: ToolSessions,
    pub(crate) readings: Readings,
    pub(crate) background: Background<Started>,
    /// Held while a response that was kept is opened.
    pub(crate) openings: Semaphore,
    /// Held while somebody searches the log.
    pub(crate) searching: tokio::sync::Mutex<()>,
    pub(crate) reviews: Reviews,
    pub(crate) telemetry: Telemetry,
    pub(crate) selftest: SelfTest,
    pub(crate) cache: Cache,
    /// As many long texts are scanned at once as there are processors: more would wait for each other,
    /// each on a thread and with the memory of its own.
    pub(crate) long_scans: Semaphore,
    /// Told when there is something to be done at a batch.
    pub(crate) batch_work: Notify,
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
    /// The keys do not open, for this reason.
    Keys(String),
    /// The log cannot be written, for this reason.
    Log(String),
    /// A guard does not do its work on synthetic identifiers.
    Guard(Failure),
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
        let now = setup.clock.now();
        let entropy = &*setup.entropy;
        let log = LogId {
            deployment: DeploymentId::mint(now, entropy),
            tenant: TenantId::mint(now, entropy),
        };
        check_key_place(&setup)?;
        let store = Store::create(&setup.dir, log.deployment)?;
        let key_path = setup.key_path();
        if key_path.symlink_metadata().is_err() {
            keys::create(&key_path, &|name| (setup.environment)(name), entropy, now)?;
        }
        let content_keys = content_keys(&setup, &store, log)?;
        let service = content_keys.service();
        let signer = make_signer(&setup, SIGNER_FILE, &service, &log.to_string()).await?;
        content_keys.found().await?;
        let event = Event::LogOpened {
            deployment: log.deployment,
            tenant: log.tenant,
            organisation: organisation.to_owned(),
            verifier_key: signer.verifier_key(),
        };
        store.add_tenant(log.tenant, organisation, Entry::bare(now, event)).await?;
        Self::assemble(setup, store, content_keys, log, organisation.to_owned()).await
    }

    /// Opens a data directory.
    ///
    /// # Errors
    /// [`Error`], among them a database that was rolled back and a key that does not open it.
    pub async fn open(setup: Setup) -> Result<Arc<Self>, Error> {
        let store = Store::open(&setup.dir)?;
        let tenants = store.tenants().await?;
        let first = tenants.into_iter().next().ok_or(Error::Empty)?;
        let log = LogId { deployment: store.deployment(), tenant: first.id };
        let content_keys = content_keys(&setup, &store, log)?;
        Self::assemble(setup, store, content_keys, log, first.name).await
    }

    async fn assemble(
        setup: Setup,
        store: Store,
        content_keys: Keys,
        log: LogId,
        organisation: String,
    ) -> Result<Arc<Self>, Error> {
        let tenant = store.tenant(log.tenant);
        // A key that does not open the data is told here, before anybody relies on it. Who left has none.
        match content_keys.held().await {
            Ok(_) | Err(KeysError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        let service = content_keys.service();
        let signer = read_signer(&setup.dir.join(SIGNER_FILE), &service, &log.to_string()).await?;
        let deployment_signer = deployment_signer(&setup, &service, log).await?;
        let limits = Arc::new(Limits::load(&tenant, Arc::clone(&setup.clock)).await?);
        let telemetry = Telemetry::new(setup.clock.now());
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Any may be named by a policy, so all are looked for.
        let all = Category::ALL.iter().fold(Settings::default(), |settings, category| {
            settings.look_for(*category, USUAL_THRESHOLD)
        });
        let categories = Categories::new(&all).map_err(Error::Categories)?;
        let routing = Routing::new(Arc::clone(&setup.clock), Arc::clone(&setup.entropy));
        let house = Self {
            key_path: setup.key_path(),
            dir: setup.dir,
            store,
            tenant,
            log,
            organisation,
            content_keys,
            signer,
            deployment_signer,
            told: Told::default(),
            feeds: Feeds::default(),
            copies: Copies::default(),
            detector: Detector::new(),
            categories,
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
            denied: Denials::default(),
            limits,
            room: Room::default(),
            routing,
            tool_sessions: ToolSessions::default(),
            readings: Readings::default(),
            background: Background::default(),
            openings: Semaphore::new(crate::responses::MAX_OPENINGS),
            searching: tokio::sync::Mutex::default(),
            reviews: Reviews::default(),
            telemetry,
            selftest: SelfTest::default(),
            cache: Cache::default(),
            long_scans: Semaphore::new(processors),
            batch_work: Notify::new(),
            tried: tokio::sync::Mutex::default(),
        };
        house.reload().await?;
        house.record_lost_rotation().await?;
        Ok(Arc::new(house))
    }

    /// The files of the signing keys, and the names of their logs.
    pub(crate) fn signer_files(&self) -> [(PathBuf, String); 2] {
        let file = |name| self.dir.join(name);
        [
            (file(SIGNER_FILE), self.signer.name().to_owned()),
            (file(DEPLOYMENT_SIGNER_FILE), self.deployment_signer.name().to_owned()),
        ]
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

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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
        if self.detector.self_test().is_err() || self.categories.self_test().is_err() {
            unready.push(Unready::Detector);
        }
        if let Err(error) = self.content_keys.held().await {
            unready.push(Unready::Keys(error.to_string()));
        }
        if let Err(reason) = self.store.health() {
            unready.push(Unready::Log(reason.to_string()));
        } else if let Err(error) = self.store.writable().await {
            unready.push(Unready::Log(error.to_string()));
        }
        unready.extend(self.selftest.failures().into_iter().map(Unready::Guard));
        let configuration = self.in_force.load().as_ref().map(|in_force| in_force.version);
        Readiness { unready, configuration }
    }

    /// The names of the models that callers may ask for, sorted.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        let in_force = self.in_force.load();
        let Some(in_force) = in_force.as_ref() else { return Vec::new() };
        let rules = &in_force.rules;
        let models = rules.routes().filter(|route| !crate::mcp::leads_to_tools(rules, route));
        models.map(|route| route.model().to_string()).collect()
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
        self.record_denied().await?;
        let event = Event::Stopped { actor };
        self.tenant.append_with(Entry::bare(self.clock.now(), event), Vec::new()).await?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        // The last word is vouched for and delivered too; who does not answer must not hold up the end.
        let anchor_and_copy = async {
            let anchored = timeout(STOP_TIMEOUT, self.anchor()).await;
            (anchored, timeout(STOP_TIMEOUT, Box::pin(self.finish_copies())).await)
        };
        let ((anchored, copied), delivered, traced) = tokio::join!(
            Box::pin(anchor_and_copy),
            timeout(STOP_TIMEOUT, Box::pin(self.finish_feeds())),
            timeout(STOP_TIMEOUT, Box::pin(self.send_traces())),
        );
        if !matches!(traced, Ok(Ok(()))) {
            tracing::warn!("the last traces are lost: the collector does not take them");
        }
        if copied.is_err() {
            tracing::warn!("the last records are not copied; the next start copies them");
        }
        if anchored.is_err() {
            tracing::warn!("the last records are not anchored; the next start has them anchored");
        }
        if delivered.is_err() {
            tracing::warn!("the last records are not delivered; the next start delivers them");
        }
        Ok(())
    }
}

fn content_keys(setup: &Setup, store: &Store, log: LogId) -> Result<Keys, KeyServiceError> {
    let (environment, clock) = (Arc::clone(&setup.environment), Arc::clone(&setup.clock));
    let entropy = Arc::clone(&setup.entropy);
    let (store, path, ttl) = (store.keys().clone(), setup.key_path(), setup.keys_ttl);
    Keys::new(store, path, environment, ttl, log, clock, entropy)
}

fn signer_context(name: &str) -> String {
    format!("bulla-signer-1|{name}")
}

/// Makes a signing key and has the key service wrap it.
async fn make_signer(
    setup: &Setup,
    file: &str,
    service: &KeyService,
    name: &str,
) -> Result<Signer, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    setup.entropy.fill(seed.as_mut());
    let signer = Signer::from_seed(name, &seed).map_err(|_| Error::Empty)?;
    let sealed = service.wrap(&seed, &signer_context(name), &*setup.entropy).await?;
    let text = data_encoding::HEXLOWER.encode(&sealed);
    keys::write_new(&setup.dir.join(file), text.as_bytes())?;
    Ok(signer)
}

/// The key of the deployment's own log, which is made when it is first needed.
async fn deployment_signer(
    setup: &Setup,
    service: &KeyService,
    log: LogId,
) -> Result<Signer, Error> {
    let name = format!("bulla/{}", log.deployment);
    let path = setup.dir.join(DEPLOYMENT_SIGNER_FILE);
    if path.exists() {
        return read_signer(&path, service, &name).await;
    }
    match make_signer(setup, DEPLOYMENT_SIGNER_FILE, service, &name).await {
        // Another process made it a moment ago.
        Err(Error::KeyService(KeyServiceError::File { .. })) if path.exists() => {
            read_signer(&path, service, &name).await
        }
        made => made,
    }
}

async fn read_signer(path: &Path, service: &KeyService, name: &str) -> Result<Signer, Error> {
    let malformed = || Error::Signer { path: path.to_owned() };
    let text = keys::read_private(path)?;
    let sealed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| malformed())?;
    let seed = service.unwrap(&sealed, &signer_context(name)).await?;
    Signer::from_seed(name, &seed).map_err(|_| malformed())
}

/// Has another key service wrap a signing key, unless it does already.
pub(crate) async fn rewrap_signer(
    path: &Path,
    before: &KeyService,
    after: &KeyService,
    name: &str,
    entropy: &dyn Entropy,
) -> Result<(), Error> {
    let malformed = || Error::Signer { path: path.to_owned() };
    let text = keys::read_private(path)?;
    let sealed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).map_err(|_| malformed())?;
    let context = signer_context(name);
    let seed = match before.unwrap(&sealed, &context).await {
        Ok(seed) => seed,
        // A try before this one came so far.
        Err(error) => after.unwrap(&sealed, &context).await.map_err(|_| error)?,
    };
    let sealed = after.wrap(&seed, &context, entropy).await?;
    // What a try that was cut off left behind is of no use to anybody.
    let _left = std::fs::remove_file(path.with_extension("sealed.new")).is_ok();
    Ok(keys::replace(path, data_encoding::HEXLOWER.encode(&sealed).as_bytes())?)
}

/// Refuses a place where the operator's key cannot be written, or a file there that is no key, before
/// anything else is made: a data directory without its key would only stand in the way of the next try.
fn check_key_place(setup: &Setup) -> Result<(), Error> {
    let path = setup.key_path();
    if path.symlink_metadata().is_ok() {
        let environment = |name: &str| (setup.environment)(name);
        KeyService::open(&path, &environment, Arc::clone(&setup.clock))?;
        return Ok(());
    }
    match path.parent() {
        Some(parent) if parent == setup.dir || parent.as_os_str().is_empty() || parent.is_dir() => {
            Ok(())
        }
        Some(_) | None => Err(KeyServiceError::File {
            doing: "write",
            path: path.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        }
        .into()),
    }
}
