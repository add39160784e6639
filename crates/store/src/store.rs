//! The handle on a data directory.

use crate::checkpoints;
use crate::connection::{self, Readers};
use crate::deployment::{self, Deployment};
use crate::error::{Error, StopReason};
use crate::figures::WriterFigures;
use crate::folder::{Folder, ServeLock};
use crate::keys::KeyStore;
use crate::rows::TenantRow;
use crate::sql::{self, dialect};
use crate::tenant::Tenant;
use crate::writer::{Done, Queue, Refusal, Work};
use ledger::{DeploymentId, Entry, Receipt, TenantId, Time, Unrecorded};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A data directory, opened. Clones share one writer thread; the last one to go ends it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    deployment: DeploymentId,
    folder: Folder,
    readers: Arc<Readers>,
    watch: Arc<Mutex<Option<Watch>>>,
    keys: KeyStore,
    /// Last, so that the writer is the last to close the database and leaves one tidy file.
    queue: Queue,
}

/// A connection that looks for changes, and what it saw last.
#[derive(Debug)]
struct Watch {
    connection: Connection,
    data_version: i64,
    governed: u64,
}

impl Store {
    /// Makes a data directory: the folder where it is missing, closed to other accounts, and an
    /// empty database in it.
    ///
    /// # Errors
    /// [`Error::Exists`] when it holds a database already.
    pub fn create(dir: &Path, deployment: DeploymentId) -> Result<Self, Error> {
        let folder = Folder::create(dir)?;
        let connection = connection::open_writer(&folder)?;
        let keys = KeyStore::create(&folder, deployment)?;
        connection::found(&connection, deployment)?;
        Self::start(folder, connection, deployment, keys)
    }

    /// Opens a data directory and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Absent`] without a database; [`Error::NewerSchema`]; [`Error::RolledBack`] and
    /// [`Error::CheckpointMissing`] when the database does not contain the last checkpoint that was
    /// published from it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let folder = Folder::existing(dir)?;
        let connection = connection::open_writer(&folder)?;
        let deployment = connection::migrate(&connection)?;
        checkpoints::verify(&folder, &connection, deployment)?;
        deployment::verify(&folder, &connection)?;
        let keys = KeyStore::open(&folder, deployment)?;
        Self::start(folder, connection, deployment, keys)
    }

    fn start(
        folder: Folder,
        connection: Connection,
        deployment: DeploymentId,
        keys: KeyStore,
    ) -> Result<Self, Error> {
        let inner = Inner {
            deployment,
            keys,
            readers: Arc::new(Readers::new(folder.clone())),
            watch: Arc::new(Mutex::new(None)),
            queue: Queue::start(connection, folder.turn()?, deployment)?,
            folder,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The installation that this data directory belongs to.
    #[must_use]
    pub fn deployment(&self) -> DeploymentId {
        self.inner.deployment
    }

    /// Claims the data directory for the one process that serves. Commands may run beside it.
    ///
    /// # Errors
    /// [`Error::AlreadyServing`] while another process, or another lock of this one, holds it.
    pub fn lock_for_serving(&self) -> Result<ServeLock, Error> {
        self.inner.folder.lock_for_serving()
    }

    /// Whether the writer works. Once it stopped, it stays stopped until a restart.
    ///
    /// # Errors
    /// Why it stopped.
    pub fn health(&self) -> Result<(), StopReason> {
        self.inner.queue.shared.health()
    }

    /// Makes a small change durable: as much as a small exchange leaves behind, so that a full disk
    /// shows before the next prompt does. It costs one synchronisation of the disk.
    ///
    /// # Errors
    /// [`Unrecorded`], as an append would get it now.
    pub async fn writable(&self) -> Result<(), Unrecorded> {
        self.submit(Work::Probe).await?;
        Ok(())
    }

    /// Transactions that this handle's writer committed. Fewer than appends: many share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.queue.shared.commits()
    }

    /// What the writer did since it was opened, and what waits for it.
    #[must_use]
    pub fn figures(&self) -> WriterFigures {
        self.inner.queue.figures()
    }

    /// Has SQLite look through the whole database for damage; its first complaint, when it has one.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read at all.
    pub async fn damage(&self) -> Result<Option<String>, Error> {
        self.read(|connection| {
            let found: String = connection
                .query_row(dialect::QUICK_CHECK, [], |row| row.get(0))
                .map_err(Error::database("looking for damage"))?;
            Ok((found != "ok").then_some(found))
        })
        .await
    }

    /// A number that grows with each change of tenants, API keys or configuration, by whichever
    /// process. Cheap enough to be asked four times a second: appends alone cost it one small read.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn change_counter(&self) -> Result<u64, Error> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            let mut watch = inner.watch.lock().unwrap_or_else(PoisonError::into_inner);
            look(&inner.folder, &mut watch)
        })
        .await
        .map_err(|_| Error::ThreadGone)?
    }

    /// The organisations, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn tenants(&self) -> Result<Vec<TenantRow>, Error> {
        self.read(|connection| {
            let failed = Error::database("reading the tenants");
            let mut statement = connection.prepare_cached(sql::TENANTS).map_err(&failed)?;
            let rows = statement.query_map([], |row| {
                Ok(TenantRow {
                    id: TenantId::from_bytes(row.get(0)?),
                    name: row.get(1)?,
                    created: Time::from_micros(row.get(2)?),
                })
            });
            rows.and_then(Iterator::collect).map_err(&failed)
        })
        .await
    }

    /// Adds an organisation and the first record of its log, in one step.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken; [`Error::Unrecorded`] when it is not durable.
    pub async fn add_tenant(
        &self,
        id: TenantId,
        name: &str,
        opened: Entry,
    ) -> Result<Receipt, Error> {
        let row = TenantRow { id, name: name.to_owned(), created: opened.time };
        receipt(self.submit(Work::AddTenant { row, entry: opened }).await).map_err(Error::from)
    }

    /// A handle on one organisation's log, content and rules. Whether there is such an organisation
    /// shows at the first use.
    #[must_use]
    pub fn tenant(&self, id: TenantId) -> Tenant {
        Tenant::new(self.clone(), id)
    }

    /// The handle on the deployment's own log.
    #[must_use]
    pub fn own_log(&self) -> Deployment {
        Deployment::new(self.clone())
    }

    /// The keys of the data directory.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.inner.keys
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.inner.folder
    }

    pub(crate) async fn submit(&self, work: Work) -> Result<Done, Refusal> {
        self.inner.queue.submit(work).await
    }

    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.inner.readers.run(read).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.readers.close();
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The receipt of a job that appends.
pub(crate) fn receipt(answer: Result<Done, Refusal>) -> Result<Receipt, Refusal> {
    match answer? {
        Done::Appended(receipt) => Ok(receipt),
        // INVARIANT: the writer answers a job that appends with a receipt.
        Done::Rows(_) => Err(Refusal::Unrecorded(Unrecorded::Stopped)),
    }
}

fn look(folder: &Folder, watch: &mut Option<Watch>) -> Result<u64, Error> {
    let failed = Error::database("looking for changes");
    let number = |connection: &Connection, text: &str| {
        connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
            .map_err(&failed)
    };
    let governed = |connection: &Connection| {
        u64::try_from(number(connection, sql::GOVERNED)?)
            .map_err(|_| Error::Malformed { table: "meta" })
    };
    if let Some(watch) = watch {
        let data_version = number(&watch.connection, dialect::DATA_VERSION)?;
        if data_version != watch.data_version {
            watch.governed = governed(&watch.connection)?;
            watch.data_version = data_version;
        }
        return Ok(watch.governed);
    }
    let connection = connection::open_reader(folder)?;
    // The version first: a commit between the two reads is then seen again, never missed.
    let data_version = number(&connection, dialect::DATA_VERSION)?;
    let governed = governed(&connection)?;
    *watch = Some(Watch { connection, data_version, governed });
    Ok(governed)
}
