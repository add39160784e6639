//! The deployment's own log: its leaves are the signed checkpoints of the organisations' logs, and its
//! checkpoints, the anchors, are what authorities stamp and witnesses cosign.
//!
//! The last anchor is kept in a file beside the database too, so that an older copy of the database is
//! noticed: the same care, in the same order, as for the organisations' checkpoints.

use crate::error::Error;
use crate::folder::Folder;
use crate::number::Number;
use crate::sql;
use crate::store::Store;
use crate::writer::Work;
use ledger::checkpoint::{Checkpoint, Signer};
use ledger::proof::{self, Rows, TILE_LEVELS, TILE_WIDTH, Tiles};
use ledger::tree::{Complete, leaf_hash};
use ledger::{DeploymentId, Hash, Head, TenantId, Time};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// Whose subtrees they are, of the deployment's log.
pub(crate) const NO_TENANT: TenantId = TenantId::from_bytes([0; 16]);

/// A signed checkpoint of the deployment's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorRow {
    /// Leaves under it.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it was signed, by this machine's clock.
    pub made: Time,
}

/// A time stamp over an anchor, which was checked before it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampRow {
    /// The authority, as the configuration names it.
    pub authority: String,
    /// The time that it gave.
    pub stamped: Time,
    /// When its certificate ends.
    pub ends: Time,
    /// The token.
    pub token: Vec<u8>,
}

/// A leaf of the deployment's log: a checkpoint of an organisation's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// The organisation.
    pub tenant: TenantId,
    /// Records under its checkpoint.
    pub size: u64,
    /// SHA-256(0x00 || note).
    pub leaf: Hash,
}

/// What an anchoring adds, in one transaction.
#[derive(Clone, Debug)]
pub(crate) struct NewAnchor {
    /// Leaves of the log before; another number means that somebody else anchored meanwhile.
    pub(crate) before: u64,
    pub(crate) leaves: Vec<LeafRow>,
    pub(crate) complete: Vec<Complete>,
    pub(crate) head: Head,
    pub(crate) anchor: AnchorRow,
}

/// The handle on the deployment's log.
#[derive(Clone, Debug)]
pub struct Deployment {
    store: Store,
}

impl Deployment {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The name of the log, which is that of its signer.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(self.store.deployment())
    }

    /// Adds the last checkpoint of every organisation whose last one is no leaf yet, signs the log, and
    /// keeps the note in the database and beside it. Absent when there is nothing new.
    ///
    /// # Errors
    /// [`Error::AnchorRolledBack`] when what was signed before is not in the database;
    /// [`Error::OtherLog`] when the signer is another log's.
    pub async fn anchor(&self, signer: &Signer, now: Time) -> Result<Option<AnchorRow>, Error> {
        if signer.name() != self.origin() {
            return Err(Error::OtherLog);
        }
        let folder = self.store.folder().clone();
        let lock = blocking(move || folder.lock_checkpoint()).await?;
        let (mut head, news) =
            self.store.read(|connection| Ok((head(connection)?, new_leaves(connection)?))).await?;
        if news.is_empty() {
            return Ok(None);
        }
        let before = head.size();
        let mut complete = Vec::new();
        for news in &news {
            complete.extend(head.push(news.leaf));
        }
        let (size, root) = (head.size(), head.root());
        let note = signer.sign(&Checkpoint { origin: signer.name().to_owned(), size, root });
        let anchor = AnchorRow { size, root, note, made: now };
        let (folder, text) = (self.store.folder().clone(), anchor.note.clone());
        blocking(move || folder.prepare_anchor(&text)).await?;
        let new = NewAnchor { before, leaves: news, complete, head, anchor: anchor.clone() };
        self.store.submit(Work::AddAnchor(Box::new(new))).await?;
        let folder = self.store.folder().clone();
        blocking(move || folder.put_anchor()).await?;
        drop(lock);
        Ok(Some(anchor))
    }

    /// The last anchor; absent when there is none.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn last_anchor(&self) -> Result<Option<AnchorRow>, Error> {
        self.store.read(|connection| one(connection, sql::LAST_ANCHOR, [], anchor)).await
    }

    /// The newest anchor that is newer than the last one that this authority stamped. Older ones need no
    /// stamp of their own: this one covers them.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn unstamped(&self, authority: &str) -> Result<Option<AnchorRow>, Error> {
        let authority = authority.to_owned();
        self.store
            .read(move |connection| one(connection, sql::UNSTAMPED, params![authority], anchor))
            .await
    }

    /// Keeps a stamp over an anchor.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is no such anchor, or this authority stamped it before.
    pub async fn add_stamp(&self, size: u64, stamp: StampRow) -> Result<(), Error> {
        self.store.submit(Work::AddStamp { size, stamp }).await?;
        Ok(())
    }

    /// Keeps a witness's signature line over an anchor.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is no such anchor, or this witness cosigned it before.
    pub async fn add_cosignature(&self, size: u64, witness: &str, line: &str) -> Result<(), Error> {
        let (witness, line) = (witness.to_owned(), line.to_owned());
        self.store.submit(Work::AddCosignature { size, witness, line }).await?;
        Ok(())
    }

    /// The size of the last anchor that a witness cosigned; 0 when there is none.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn last_cosigned(&self, witness: &str) -> Result<u64, Error> {
        let witness = witness.to_owned();
        self.store
            .read(move |connection| {
                let size = |row: &Row<'_>| Ok(row.get::<_, Number>(0)?.0);
                let found = one(connection, sql::LAST_COSIGNED, params![witness], size)?;
                Ok(found.unwrap_or(0))
            })
            .await
    }

    /// The newest anchor of each authority that stamped one, and of each witness, ascending.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn newest_anchors(&self) -> Result<Vec<AnchorRow>, Error> {
        self.store.read(|connection| all(connection, sql::NEWEST_ANCHORS, [], anchor)).await
    }

    /// The signature lines over an anchor, by witness.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn cosigned(&self, size: u64) -> Result<Vec<(String, String)>, Error> {
        self.store
            .read(move |connection| {
                let line = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
                all(connection, sql::COSIGNATURES_AT, params![Number(size)], line)
            })
            .await
    }

    /// The stamped or cosigned anchors that an export shows, ascending: the last of each day, and the
    /// newest hundred.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn shown_anchors(&self) -> Result<Vec<AnchorRow>, Error> {
        self.store.read(|connection| all(connection, sql::SHOWN_ANCHORS, [], anchor)).await
    }

    /// The first stamped or cosigned anchor over the record at a position of an organisation's log.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn first_anchor_over(
        &self,
        tenant: TenantId,
        seq: u64,
    ) -> Result<Option<AnchorRow>, Error> {
        self.store
            .read(move |connection| {
                let values = params![tenant.as_bytes(), Number(seq)];
                one(connection, sql::FIRST_ANCHOR_OVER, values, anchor)
            })
            .await
    }

    /// The newest anchor with a stamp.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn last_stamped(&self) -> Result<Option<AnchorRow>, Error> {
        self.store.read(|connection| one(connection, sql::LAST_STAMPED, [], anchor)).await
    }

    /// The stamps over an anchor, ascending by authority.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn stamps(&self, size: u64) -> Result<Vec<StampRow>, Error> {
        self.store
            .read(move |connection| {
                let stamp = |row: &Row<'_>| {
                    Ok(StampRow {
                        authority: row.get(0)?,
                        stamped: Time::from_micros(row.get(1)?),
                        ends: Time::from_micros(row.get(2)?),
                        token: row.get(3)?,
                    })
                };
                all(connection, sql::STAMPS_AT, params![Number(size)], stamp)
            })
            .await
    }

    /// The signature lines of witnesses over an anchor, one after another.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn cosignatures(&self, size: u64) -> Result<String, Error> {
        let lines = self.cosigned(size).await?;
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// The last checkpoint of an organisation under an anchor: its position and its size. Absent when
    /// none is under it.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn leaf_under(
        &self,
        tenant: TenantId,
        anchor: u64,
    ) -> Result<Option<(u64, u64)>, Error> {
        self.store
            .read(move |connection| {
                let pair =
                    |row: &Row<'_>| Ok((row.get::<_, Number>(0)?.0, row.get::<_, Number>(1)?.0));
                let values = params![tenant.as_bytes(), Number(anchor)];
                one(connection, sql::LEAF_UNDER, values, pair)
            })
            .await
    }

    /// The proof that the leaf at a position is under an anchor.
    ///
    /// # Errors
    /// [`Error::Database`] when a subtree cannot be read.
    pub async fn inclusion(&self, index: u64, anchor: u64) -> Result<Option<Vec<Hash>>, Error> {
        self.store
            .read(move |connection| {
                let rows = Leaves { connection, of: Of::Deployment };
                proof::inclusion(&mut Tiles::new(rows, anchor), index, anchor)
            })
            .await
    }

    /// The proof that one anchor grew from an earlier one.
    ///
    /// # Errors
    /// [`Error::Database`] when a subtree cannot be read.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, Error> {
        self.store
            .read(move |connection| {
                let rows = Leaves { connection, of: Of::Deployment };
                proof::consistency(&mut Tiles::new(rows, new), old, new)
            })
            .await
    }
}

fn origin(deployment: DeploymentId) -> String {
    format!("bulla/{deployment}")
}

/// Compares the file beside the database with the database, as the store opens.
pub(crate) fn verify(folder: &Folder, connection: &Connection) -> Result<(), Error> {
    let _lock = folder.lock_checkpoint()?;
    let last = one(connection, sql::LAST_ANCHOR, [], anchor)?;
    let published = folder.read_anchor()?;
    let count = one(connection, sql::ANCHORS_UP_TO_TWO, [], |row| Ok(row.get::<_, Number>(0)?.0))?;
    match (&published, &last) {
        (Some(note), _) => {
            let size = note.lines().nth(1).and_then(|line| line.parse().ok());
            let size: u64 = size.ok_or(Error::CheckpointMalformed)?;
            let known = match i64::try_from(size) {
                Ok(column) => one(connection, sql::ANCHOR_AT, params![column], anchor)?,
                Err(_) => None,
            };
            if known.is_none_or(|known| known.note != *note) {
                return Err(Error::AnchorRolledBack { anchor: size });
            }
        }
        // One anchor may have been added before its file was put in place.
        (None, Some(_)) if count > Some(1) => return Err(Error::AnchorMissing),
        (None, _) => {}
    }
    let Some(last) = last else { return Ok(()) };
    let head = head(connection)?;
    if head.size() != last.size || head.root() != last.root {
        return Err(Error::AnchorRolledBack { anchor: last.size });
    }
    if published.as_ref() != Some(&last.note) {
        folder.prepare_anchor(&last.note)?;
        folder.put_anchor()?;
    }
    Ok(())
}

/// Keeps a complete subtree of 256, 65,536, ... leaves.
pub(crate) fn add_subtree(
    connection: &Connection,
    log: TenantId,
    subtree: &Complete,
) -> rusqlite::Result<usize> {
    let level = subtree.level / TILE_LEVELS;
    let values = params![log.as_bytes(), level, Number(subtree.number), subtree.hash.as_bytes()];
    connection.prepare_cached(sql::ADD_SUBTREE)?.execute(values)
}

/// The end of the deployment's log.
pub(crate) fn head(connection: &Connection) -> Result<Head, Error> {
    let bytes: Option<Vec<u8>> = one(connection, sql::DEPLOYMENT_HEAD, [], |row| row.get(0))?;
    match bytes {
        None => Ok(Head::new()),
        Some(bytes) => {
            Head::from_bytes(&bytes).ok_or(Error::Malformed { table: "deployment_head" })
        }
    }
}

/// The last checkpoint of each organisation, where it is no leaf yet.
fn new_leaves(connection: &Connection) -> Result<Vec<LeafRow>, Error> {
    all(connection, sql::NEW_LEAVES, [], |row| {
        let note: String = row.get(2)?;
        Ok(LeafRow {
            tenant: TenantId::from_bytes(row.get(0)?),
            size: row.get::<_, Number>(1)?.0,
            leaf: leaf_hash(note.as_bytes()),
        })
    })
}

/// Whose leaves they are.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Deployment,
    Tenant(TenantId),
}

/// Rows of hashes, from the database.
pub(crate) struct Leaves<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) of: Of,
}

impl Rows for Leaves<'_> {
    type Error = Error;

    fn row(&mut self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Error> {
        let hash = |row: &Row<'_>| Ok(Hash::from_bytes(row.get(0)?));
        let (first, count) = (Number(index * TILE_WIDTH), Number(width));
        let connection = self.connection;
        let hashes = match (level, self.of) {
            (0, Of::Deployment) => all(connection, sql::LEAF_HASHES, params![first, count], hash),
            (0, Of::Tenant(tenant)) => {
                let values = params![tenant.as_bytes(), first, count];
                all(connection, sql::RECORD_LEAVES, values, hash)
            }
            (level, of) => {
                let log = match of {
                    Of::Deployment => NO_TENANT,
                    Of::Tenant(tenant) => tenant,
                };
                let values = params![log.as_bytes(), level, first, count];
                all(connection, sql::SUBTREES, values, hash)
            }
        }?;
        // Fewer would give another root without a word.
        if hashes.len() as u64 == width {
            Ok(hashes)
        } else {
            Err(Error::Malformed { table: "subtrees" })
        }
    }
}

fn anchor(row: &Row<'_>) -> rusqlite::Result<AnchorRow> {
    Ok(AnchorRow {
        size: row.get::<_, Number>(0)?.0,
        root: Hash::from_bytes(row.get(1)?),
        note: row.get(2)?,
        made: Time::from_micros(row.get(3)?),
    })
}

const DURING: &str = "reading the deployment's log";

fn one<T>(
    connection: &Connection,
    text: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Error> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.query_row(values, read).optional())
        .map_err(Error::database(DURING))
}

fn all<T>(
    connection: &Connection,
    text: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let failed = Error::database(DURING);
    let mut statement = connection.prepare_cached(text).map_err(&failed)?;
    let rows = statement.query_map(values, read).map_err(&failed)?;
    rows.collect::<Result<Vec<_>, _>>().map_err(&failed)
}

async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::ThreadGone)?
}
