//! The key store: a small database of its own, beside the large one.
//!
//! Here lie the organisation's key (wrapped by the key service), the shelves' keys under it, and the
//! units that outlived their shelf. Content is readable only with what is here, so destroying a row here
//! is disposal, in every copy of the large database (45 CFR 164.310(d)(2)(i)). It changes a few times a
//! day, and is kept out of backups that live longer than content may.
//!
//! Rows are overwritten when they go (`secure_delete`), and there is no write-ahead log in which they
//! could stay behind. What the disk underneath keeps of overwritten blocks is beyond a program's reach,
//! and useless without the key service.

use crate::connection::BUSY_TIMEOUT;
use crate::error::Error;
use crate::folder::Folder;
use crate::rows::{MovedUnit, ShelfRow, TenantKeyRow};
use crate::sql::dialect;
use crate::sql::keys as sql;
use ledger::seal::{PerClass, WrappedKeys};
use ledger::{ContentKeyId, Day, DeploymentId, TenantId, Time};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The keys of a data directory. Clones share one connection.
#[derive(Clone, Debug)]
pub struct KeyStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// Changes by this process, which the database does not count.
    changes: u64,
}

/// What is destroyed in one step, and what is saved from it.
#[derive(Clone, Debug, Default)]
pub struct Destruction {
    /// Keys of shelves, by class.
    pub shelves: Vec<(ContentKeyId, PerClass<bool>)>,
    /// Keys of units that were moved before, by class.
    pub units: Vec<(ContentKeyId, PerClass<bool>)>,
    /// Units of these shelves that stay, with the keys of the classes that go.
    pub saved: Vec<MovedUnit>,
}

impl KeyStore {
    pub(crate) fn create(folder: &Folder, deployment: DeploymentId) -> Result<Self, Error> {
        folder.create_keys()?;
        let connection = open(folder)?;
        let failed = Error::database("creating the key store");
        let transaction = connection.unchecked_transaction().map_err(&failed)?;
        for step in sql::MIGRATIONS {
            transaction.execute_batch(step).map_err(&failed)?;
        }
        transaction
            .execute(sql::ADD_META, params![known_schema(), deployment.as_bytes()])
            .map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        folder.sync_keys()?;
        Ok(Self::new(connection))
    }

    pub(crate) fn open(folder: &Folder, deployment: DeploymentId) -> Result<Self, Error> {
        if !folder.keys().exists() {
            return Err(Error::KeysMissing);
        }
        let connection = open(folder)?;
        let known = known_schema();
        match meta(&connection)? {
            Some((found, _)) if found > known => Err(Error::NewerSchema { found, known }),
            Some((found, of)) if of == *deployment.as_bytes() => {
                if found < known {
                    migrate(&connection)?;
                }
                Ok(Self::new(connection))
            }
            Some(_) | None => Err(Error::KeysMissing),
        }
    }

    fn new(connection: Connection) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { connection, changes: 0 })) }
    }

    /// Two numbers of which one differs after each change, by whichever process.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn change_counter(&self) -> Result<(i64, u64), Error> {
        self.run(|inner| {
            let version = inner
                .connection
                .query_row(dialect::DATA_VERSION, [], |row| row.get(0))
                .map_err(Error::database("looking for changes of keys"))?;
            Ok((version, inner.changes))
        })
        .await
    }

    /// The organisation's key; absent when there is none, or no longer.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn tenant_key(&self, tenant: TenantId) -> Result<Option<TenantKeyRow>, Error> {
        self.read("reading the organisation's key", move |connection| {
            let values = params![tenant.as_bytes()];
            connection.query_row(sql::TENANT_KEY, values, tenant_key).optional()
        })
        .await
    }

    /// Adds the key of a new organisation.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has one.
    pub async fn add_tenant_key(&self, tenant: TenantId, row: TenantKeyRow) -> Result<(), Error> {
        self.write("adding the organisation's key", move |transaction| {
            let (id, created) = (row.id.as_bytes(), row.created.as_micros());
            let values =
                params![tenant.as_bytes(), id, row.wrapped, row.service, row.names, created];
            Ok(transaction.execute(sql::ADD_TENANT_KEY, values)? == 1)
        })
        .await
    }

    /// Puts the organisation's key under another key of the service.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was replaced or destroyed meanwhile.
    pub async fn rewrap_tenant_key(
        &self,
        tenant: TenantId,
        row: TenantKeyRow,
    ) -> Result<(), Error> {
        self.write("wrapping the organisation's key", move |transaction| {
            let values = params![row.wrapped, row.service, tenant.as_bytes(), row.id.as_bytes()];
            Ok(transaction.execute(sql::REWRAP_TENANT_KEY, values)? == 1)
        })
        .await
    }

    /// Replaces the organisation's key, and with it how all keys below are wrapped, in one step.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the key is not `former` any more, or a key below is missing among
    /// `shelves`, `units` and `documents`: another process was at it. Nothing is changed then.
    pub async fn replace_tenant_key(
        &self,
        tenant: TenantId,
        former: ContentKeyId,
        row: TenantKeyRow,
        shelves: Vec<(ContentKeyId, WrappedKeys)>,
        units: Vec<(ContentKeyId, WrappedKeys)>,
        documents: Vec<(ContentKeyId, Vec<u8>)>,
    ) -> Result<(), Error> {
        self.write("replacing the organisation's key", move |transaction| {
            let of = tenant.as_bytes();
            let count = |text| transaction.query_row(text, params![of], |row| row.get::<_, i64>(0));
            let all = |count, rows: usize| i64::try_from(rows).is_ok_and(|rows| rows == count);
            if !all(count(sql::SHELF_COUNT)?, shelves.len())
                || !all(count(sql::MOVED_UNIT_COUNT)?, units.len())
                || !all(count(sql::DOCUMENT_KEY_COUNT)?, documents.len())
            {
                return Ok(false);
            }
            let (id, created) = (row.id.as_bytes(), row.created.as_micros());
            let values =
                params![id, row.wrapped, row.service, row.names, created, of, former.as_bytes()];
            let mut done = transaction.execute(sql::REPLACE_TENANT_KEY, values)? == 1;
            for (texts, rows) in [(sql::SET_SHELF, shelves), (sql::SET_MOVED_UNIT, units)] {
                for (id, keys) in rows {
                    let WrappedKeys { prompts, answers, surrogates } = keys;
                    let values = params![prompts, answers, surrogates, of, id.as_bytes()];
                    done &= transaction.execute(texts, values)? == 1;
                }
            }
            for (id, wrapped) in documents {
                let values = params![wrapped, of, id.as_bytes()];
                done &= transaction.execute(sql::SET_DOCUMENT_KEY, values)? == 1;
            }
            Ok(done)
        })
        .await
    }

    /// Destroys the organisation's key and every key below it.
    ///
    /// # Errors
    /// [`Error::Database`] when it is not durable.
    pub async fn destroy_tenant_key(&self, tenant: TenantId) -> Result<(), Error> {
        self.write("destroying the organisation's key", move |transaction| {
            let of = params![tenant.as_bytes()];
            transaction.execute(sql::DELETE_SHELVES, of)?;
            transaction.execute(sql::DELETE_MOVED_UNITS, of)?;
            transaction.execute(sql::DELETE_DOCUMENT_KEYS, of)?;
            transaction.execute(sql::DESTROY_TENANT_KEY, of)?;
            Ok(true)
        })
        .await
    }

    /// The shelf of a day on which units may be put; absent when there is none yet.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn open_shelf(&self, tenant: TenantId, day: Day) -> Result<Option<ShelfRow>, Error> {
        self.read("reading the shelf of a day", move |connection| {
            let values = params![tenant.as_bytes(), day.number()];
            connection.query_row(sql::OPEN_SHELF, values, shelf).optional()
        })
        .await
    }

    /// Adds a shelf whose keys are wrapped by the organisation's key `under`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when that is not the organisation's key any more.
    pub async fn add_shelf(
        &self,
        tenant: TenantId,
        under: ContentKeyId,
        row: ShelfRow,
    ) -> Result<(), Error> {
        self.write("adding a shelf", move |transaction| {
            let WrappedKeys { prompts, answers, surrogates } = row.keys;
            let (of, id, day) = (tenant.as_bytes(), row.id.as_bytes(), row.day.number());
            let values = params![of, id, day, prompts, answers, surrogates, under.as_bytes()];
            Ok(transaction.execute(sql::ADD_SHELF, values)? == 1)
        })
        .await
    }

    /// A shelf; absent when it is unknown. Of its keys, those that were destroyed are absent.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn shelf(
        &self,
        tenant: TenantId,
        id: ContentKeyId,
    ) -> Result<Option<ShelfRow>, Error> {
        self.read("reading a shelf", move |connection| {
            let values = params![tenant.as_bytes(), id.as_bytes()];
            connection.query_row(sql::SHELF, values, shelf).optional()
        })
        .await
    }

    /// All shelves, oldest first: about one a day.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn shelves(&self, tenant: TenantId) -> Result<Vec<ShelfRow>, Error> {
        self.read("reading the shelves", move |connection| {
            let mut statement = connection.prepare(sql::SHELVES)?;
            statement.query_map(params![tenant.as_bytes()], shelf)?.collect()
        })
        .await
    }

    /// From now on no unit is put on the shelf, once its keepers have noticed.
    ///
    /// # Errors
    /// [`Error::Database`] when it is not durable.
    pub async fn close_shelf(&self, tenant: TenantId, id: ContentKeyId) -> Result<(), Error> {
        self.write("closing a shelf", move |transaction| {
            let values = params![tenant.as_bytes(), id.as_bytes()];
            transaction.execute(sql::CLOSE_SHELF, values)?;
            Ok(true)
        })
        .await
    }

    /// A unit that was moved; absent when it was not.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn moved_unit(
        &self,
        tenant: TenantId,
        id: ContentKeyId,
    ) -> Result<Option<MovedUnit>, Error> {
        self.read("reading a unit", move |connection| {
            let values = params![tenant.as_bytes(), id.as_bytes()];
            connection.query_row(sql::MOVED_UNIT, values, moved_unit).optional()
        })
        .await
    }

    /// All units that were moved.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn moved_units(&self, tenant: TenantId) -> Result<Vec<MovedUnit>, Error> {
        self.read("reading the units", move |connection| {
            let mut statement = connection.prepare(sql::MOVED_UNITS)?;
            statement.query_map(params![tenant.as_bytes()], moved_unit)?.collect()
        })
        .await
    }

    /// Adds the key of a document, wrapped by the organisation's key `under`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when that is not the organisation's key any more.
    pub async fn add_document_key(
        &self,
        tenant: TenantId,
        under: ContentKeyId,
        id: ContentKeyId,
        wrapped: Vec<u8>,
    ) -> Result<(), Error> {
        self.write("adding the key of a document", move |transaction| {
            let values = params![tenant.as_bytes(), id.as_bytes(), wrapped, under.as_bytes()];
            Ok(transaction.execute(sql::ADD_DOCUMENT_KEY, values)? == 1)
        })
        .await
    }

    /// The key of a document; absent when it was destroyed.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn document_key(
        &self,
        tenant: TenantId,
        id: ContentKeyId,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.read("reading the key of a document", move |connection| {
            let values = params![tenant.as_bytes(), id.as_bytes()];
            connection.query_row(sql::DOCUMENT_KEY, values, |row| row.get(0)).optional()
        })
        .await
    }

    /// The keys of all documents: some for each agreement.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn document_keys(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<(ContentKeyId, Vec<u8>)>, Error> {
        self.read("reading the keys of documents", move |connection| {
            let mut statement = connection.prepare(sql::DOCUMENT_KEYS)?;
            let key = |row: &Row<'_>| Ok((ContentKeyId::from_bytes(row.get(0)?), row.get(1)?));
            statement.query_map(params![tenant.as_bytes()], key)?.collect()
        })
        .await
    }

    /// Destroys the keys of documents, as far as they are there.
    ///
    /// # Errors
    /// [`Error::Database`] when it is not durable.
    pub async fn destroy_document_keys(
        &self,
        tenant: TenantId,
        ids: Vec<ContentKeyId>,
    ) -> Result<(), Error> {
        self.write("destroying the key of a document", move |transaction| {
            for id in ids {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                transaction.execute(sql::DESTROY_DOCUMENT_KEY, values)?;
            }
            Ok(true)
        })
        .await
    }

    /// Destroys keys, and saves units whose shelf goes under the organisation's key `under`; in one step.
    ///
    /// # Errors
    /// [`Error::Conflict`] when that is not the organisation's key any more.
    pub async fn destroy(
        &self,
        tenant: TenantId,
        under: ContentKeyId,
        destruction: Destruction,
    ) -> Result<(), Error> {
        self.write("destroying keys", move |transaction| {
            let of = tenant.as_bytes();
            let current: Option<[u8; 16]> = transaction
                .query_row(sql::TENANT_KEY_ID, params![of], |row| row.get(0))
                .optional()?;
            if current != Some(*under.as_bytes()) {
                return Ok(false);
            }
            for unit in &destruction.saved {
                let WrappedKeys { prompts, answers, surrogates } = &unit.keys;
                let (id, day) = (unit.id.as_bytes(), unit.day.number());
                let values = params![of, id, day, prompts, answers, surrogates];
                transaction.execute(sql::SAVE_UNIT, values)?;
            }
            for (text, rows) in [
                (sql::DESTROY_SHELF_KEYS, &destruction.shelves),
                (sql::DESTROY_UNIT_KEYS, &destruction.units),
            ] {
                for (id, gone) in rows {
                    let values =
                        params![gone.prompts, gone.answers, gone.surrogates, of, id.as_bytes()];
                    transaction.execute(text, values)?;
                }
            }
            transaction.execute(sql::DELETE_EMPTY_UNITS, params![of])?;
            Ok(true)
        })
        .await
    }

    async fn read<T, F>(&self, during: &'static str, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run(move |inner| read(&inner.connection).map_err(Error::database(during))).await
    }

    /// Runs `write` in a transaction, which is kept when it says so.
    async fn write<F>(&self, during: &'static str, write: F) -> Result<(), Error>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<bool> + Send + 'static,
    {
        self.run(move |inner| {
            let failed = Error::database(during);
            let behavior = TransactionBehavior::Immediate;
            let transaction =
                Transaction::new_unchecked(&inner.connection, behavior).map_err(&failed)?;
            if !write(&transaction).map_err(&failed)? {
                return Err(Error::Conflict);
            }
            transaction.commit().map_err(&failed)?;
            inner.changes += 1;
            Ok(())
        })
        .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Inner) -> Result<T, Error> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            work(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|_| Error::ThreadGone)?
    }
}

/// Schema of the key store that this program knows.
fn known_schema() -> i64 {
    i64::try_from(sql::MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn meta(connection: &Connection) -> Result<Option<(i64, [u8; 16])>, Error> {
    connection
        .query_row(sql::META, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(Error::database("reading the key store"))
}

/// Brings an older schema up to date.
fn migrate(connection: &Connection) -> Result<(), Error> {
    let failed = Error::database("bringing the key store up to date");
    let behavior = TransactionBehavior::Immediate;
    let transaction = Transaction::new_unchecked(connection, behavior).map_err(&failed)?;
    // Under the lock, because another process may have migrated in the meantime.
    let (version, _) = meta(&transaction)?.ok_or(Error::KeysMissing)?;
    let done = usize::try_from(version).map_err(|_| Error::Malformed { table: "meta" })?;
    for step in sql::MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step).map_err(&failed)?;
    }
    transaction.execute(sql::SET_SCHEMA_VERSION, params![known_schema()]).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

fn open(folder: &Folder) -> Result<Connection, Error> {
    let failed = Error::database("opening the key store");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.keys(), flags).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    let set = |name: &str, value: &str| {
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).map_err(&failed)
    };
    // A rollback journal holds what was before only until the commit, and is cut back then.
    set("journal_mode", "TRUNCATE")?;
    set("secure_delete", "ON")?;
    connection.pragma_update(None, "synchronous", "EXTRA").map_err(&failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(&failed)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(&failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(&failed)?;
    Ok(connection)
}

fn keys(row: &Row<'_>, first: usize) -> rusqlite::Result<WrappedKeys> {
    Ok(PerClass {
        prompts: row.get(first)?,
        answers: row.get(first + 1)?,
        surrogates: row.get(first + 2)?,
    })
}

fn day(row: &Row<'_>, at: usize) -> rusqlite::Result<Day> {
    let number = row.get(at)?;
    Day::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(at, number))
}

fn tenant_key(row: &Row<'_>) -> rusqlite::Result<TenantKeyRow> {
    Ok(TenantKeyRow {
        id: ContentKeyId::from_bytes(row.get(0)?),
        wrapped: row.get(1)?,
        service: row.get(2)?,
        names: row.get(3)?,
        created: Time::from_micros(row.get(4)?),
    })
}

fn shelf(row: &Row<'_>) -> rusqlite::Result<ShelfRow> {
    let id = ContentKeyId::from_bytes(row.get(0)?);
    Ok(ShelfRow { id, day: day(row, 1)?, closed: row.get(2)?, keys: keys(row, 3)? })
}

fn moved_unit(row: &Row<'_>) -> rusqlite::Result<MovedUnit> {
    let id = ContentKeyId::from_bytes(row.get(0)?);
    Ok(MovedUnit { id, day: day(row, 1)?, keys: keys(row, 2)? })
}
