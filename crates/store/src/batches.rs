//! Files that callers bring, batches made of them, and their lines.

use crate::error::{Error, Fault};
use crate::number::Number;
use crate::sql;
use crate::statements::{add_unit, run, run_one};
use crate::tenant::{Tenant, all, one};
use crate::writer::{Done, Work};
use ledger::{
    ApiKeyId, BatchId, ContentKeyId, ExchangeId, FileId, TenantId, Time, Unrecorded, WrappedUnit,
};
use rusqlite::{Connection, Row, params};

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Requests that a caller brought.
    Input,
    /// The answers of a batch.
    Output,
    /// The lines of a batch that were not answered.
    Errors,
}

impl FileKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Errors => "errors",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Input, Self::Output, Self::Errors].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A file, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Its id.
    pub id: FileId,
    /// The API key whose it is.
    pub key: ApiKeyId,
    /// What kind it is.
    pub kind: FileKind,
    /// The batch that it came out of.
    pub batch: Option<BatchId>,
    /// When it came.
    pub created: Time,
    /// From then on it is gone.
    pub expires: Time,
    /// Its bytes.
    pub bytes: u64,
    /// The unit under whose keys it is sealed.
    pub unit: Option<ContentKeyId>,
    /// Its name, sealed.
    pub label: Option<Vec<u8>>,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Its id.
    pub id: BatchId,
    /// The API key whose it is.
    pub key: ApiKeyId,
    /// The unit under whose keys `sealed` is.
    pub unit: ContentKeyId,
    /// When it was made.
    pub created: Time,
    /// When its caller no longer wanted it.
    pub cancelled: Option<Time>,
    /// What is known of it, without content.
    pub state: Vec<u8>,
    /// What its caller says of it, sealed.
    pub sealed: Vec<u8>,
}

/// How a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineState {
    /// Its answer is awaited.
    Waits,
    /// It was answered.
    Answered,
    /// It was refused, or not answered.
    Failed {
        /// The stable code.
        code: String,
        /// A sentence for the caller, without content.
        message: String,
    },
}

/// A line of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// The exchange that it is.
    pub exchange: ExchangeId,
    /// The batch.
    pub batch: BatchId,
    /// Its number in the input, from 1.
    pub number: u64,
    /// The unit under whose keys it is sealed.
    pub unit: ContentKeyId,
    /// The caller's name of it, sealed.
    pub custom: Vec<u8>,
    /// How it stands.
    pub state: LineState,
    /// Bytes that it has in the file that the caller fetches.
    pub bytes: u64,
}

/// How many lines stand how, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Those that wait.
    pub waiting: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Bytes of the file of answers.
    pub answered_bytes: u64,
    /// Those that were not.
    pub failed: u64,
    /// Bytes of the file of errors.
    pub failed_bytes: u64,
}

/// A change of files and batches. Each is refused as a whole when it contradicts what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file came, with its bytes and the unit for them.
    AddInput {
        /// The file.
        row: FileRow,
        /// Its bytes.
        sealed: Vec<u8>,
        /// The unit.
        new_unit: WrappedUnit,
    },
    /// A file came out of a batch.
    AddOutput(FileRow),
    /// A file goes.
    DropFile {
        /// The file.
        id: FileId,
        /// Whose it must be.
        key: ApiKeyId,
    },
    /// A batch is made, to be worked on at once.
    AddBatch(BatchRow),
    /// What is known of a batch changes.
    SetBatch {
        /// The batch.
        id: BatchId,
        /// When to look at it again; absent when nothing is left to be done.
        due: Option<Time>,
        /// What is known of it.
        state: Vec<u8>,
    },
    /// A batch is no longer wanted.
    CancelBatch {
        /// The batch.
        id: BatchId,
        /// Whose it must be.
        key: ApiKeyId,
        /// When.
        at: Time,
    },
    /// A line has become an exchange.
    AddLine(LineRow),
    /// A line that waited is over.
    EndLine {
        /// The exchange that it is.
        exchange: ExchangeId,
        /// How it ended.
        state: LineState,
        /// Its bytes in the file that the caller fetches.
        bytes: u64,
    },
    /// The lines of a batch are forgotten, because it begins anew.
    DropLines(BatchId),
}

impl Change {
    /// Bytes that it writes, about.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::AddInput { sealed, .. } => sealed.len(),
            Self::AddBatch(row) => row.state.len() + row.sealed.len(),
            Self::SetBatch { state, .. } => state.len(),
            Self::AddLine(row) => row.custom.len(),
            Self::AddOutput(_)
            | Self::DropFile { .. }
            | Self::CancelBatch { .. }
            | Self::EndLine { .. }
            | Self::DropLines(_) => 0,
        }
    }
}

pub(crate) fn apply(
    connection: &Connection,
    tenant: TenantId,
    change: &Change,
) -> Result<(), Fault> {
    let of = tenant.as_bytes();
    match change {
        Change::AddInput { row, sealed, new_unit } => {
            add_unit(connection, tenant, new_unit)?;
            add_file(connection, tenant, row, Some(sealed))
        }
        Change::AddOutput(row) => add_file(connection, tenant, row, None),
        Change::DropFile { id, key } => {
            let values = params![of, id.as_bytes(), key.as_bytes()];
            run_one(connection, sql::DROP_FILE, values, "deleting a file")
        }
        Change::AddBatch(row) => {
            let values = params![
                of,
                row.id.as_bytes(),
                row.key.as_bytes(),
                row.unit.as_bytes(),
                row.created.as_micros(),
                row.state,
                row.sealed,
            ];
            run_one(connection, sql::ADD_BATCH, values, "adding a batch")
        }
        Change::SetBatch { id, due, state } => {
            let due_at = due.map_or(0, Time::as_micros);
            let values = params![due.is_some(), due_at, state, of, id.as_bytes()];
            run_one(connection, sql::SET_BATCH, values, "writing a batch")
        }
        Change::CancelBatch { id, key, at } => {
            let values = params![at.as_micros(), of, id.as_bytes(), key.as_bytes()];
            run_one(connection, sql::CANCEL_BATCH, values, "cancelling a batch")
        }
        Change::AddLine(row) => {
            let (state, code, message) = columns(&row.state);
            let values = params![
                of,
                row.exchange.as_bytes(),
                row.batch.as_bytes(),
                Number(row.number),
                row.unit.as_bytes(),
                row.custom,
                state,
                Number(row.bytes),
                code,
                message,
            ];
            run_one(connection, sql::ADD_LINE, values, "adding a line of a batch")
        }
        Change::EndLine { exchange, state, bytes } => {
            let (state, code, message) = columns(state);
            let values = params![state, Number(*bytes), code, message, of, exchange.as_bytes()];
            run_one(connection, sql::END_LINE, values, "ending a line of a batch")
        }
        Change::DropLines(batch) => {
            let values = params![of, batch.as_bytes()];
            run(connection, sql::DROP_LINES, values, "forgetting lines of a batch").map(drop)
        }
    }
}

fn add_file(
    connection: &Connection,
    tenant: TenantId,
    row: &FileRow,
    sealed: Option<&Vec<u8>>,
) -> Result<(), Fault> {
    let values = params![
        tenant.as_bytes(),
        row.id.as_bytes(),
        row.key.as_bytes(),
        row.kind.as_str(),
        row.batch.map(|id| *id.as_bytes()),
        row.created.as_micros(),
        row.expires.as_micros(),
        Number(row.bytes),
        row.unit.map(|id| *id.as_bytes()),
        row.label,
        sealed,
    ];
    run_one(connection, sql::ADD_FILE, values, "adding a file")
}

/// Forgets the files whose time is over, and batches that were over by then.
pub(crate) fn purge(
    connection: &Connection,
    tenant: TenantId,
    now: Time,
    made_before: Time,
) -> Result<u64, Fault> {
    let during = "purging files and batches";
    let files = params![tenant.as_bytes(), now.as_micros()];
    let rows = run(connection, sql::PURGE_FILES, files, during)?;
    let batches = params![tenant.as_bytes(), made_before.as_micros()];
    let lines = run(connection, sql::PURGE_LINES, batches, during)?;
    let batches = params![tenant.as_bytes(), made_before.as_micros()];
    Ok(rows + lines + run(connection, sql::PURGE_BATCHES, batches, during)?)
}

fn columns(state: &LineState) -> (&'static str, Option<&str>, Option<&str>) {
    match state {
        LineState::Waits => ("waits", None, None),
        LineState::Answered => ("answered", None, None),
        LineState::Failed { code, message } => ("failed", Some(code), Some(message)),
    }
}

impl Tenant {
    /// Makes changes of files and batches that no record speaks of, all or none.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when they are not durable, or contradict what is stored.
    pub async fn change(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.store().submit(Work::Change { tenant: self.id(), changes }).await?;
        Ok(())
    }

    /// Forgets the files whose time is over, and the batches that were made before a moment and are over;
    /// says how many rows that were.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when it is not durable.
    pub async fn purge_batches(&self, now: Time, made_before: Time) -> Result<u64, Error> {
        let work = Work::PurgeBatches { tenant: self.id(), now, made_before };
        match self.store().submit(work).await? {
            Done::Rows(rows) => Ok(rows),
            // INVARIANT: the writer answers a deletion with a count.
            Done::Appended(_) => Err(Error::Unrecorded(Unrecorded::Stopped)),
        }
    }

    /// A file.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn file(&self, id: FileId) -> Result<Option<FileRow>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                one(connection, sql::FILE, values, file, "reading a file")
            })
            .await
    }

    /// The sealed bytes of a file; absent when it is gone, or came out of a batch.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn file_bytes(&self, id: FileId) -> Result<Option<Vec<u8>>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                let sealed = |row: &Row<'_>| row.get::<_, Option<Vec<u8>>>(0);
                Ok(one(connection, sql::FILE_BYTES, values, sealed, "reading a file")?.flatten())
            })
            .await
    }

    /// The files of an API key, the newest first, from the one before `before` on.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn files(
        &self,
        key: ApiKeyId,
        before: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<FileRow>, Error> {
        let tenant = self.id();
        let before = before.map_or([0xff; 16], |id| *id.as_bytes());
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), key.as_bytes(), before, limit];
                all(connection, sql::FILES, values, file, "reading files")
            })
            .await
    }

    /// A batch.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn batch(&self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), id.as_bytes()];
                one(connection, sql::BATCH, values, batch, "reading a batch")
            })
            .await
    }

    /// The batches of an API key, the newest first, from the one before `before` on.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn batches(
        &self,
        key: ApiKeyId,
        before: Option<BatchId>,
        limit: u32,
    ) -> Result<Vec<BatchRow>, Error> {
        let tenant = self.id();
        let before = before.map_or([0xff; 16], |id| *id.as_bytes());
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), key.as_bytes(), before, limit];
                all(connection, sql::BATCHES, values, batch, "reading batches")
            })
            .await
    }

    /// The batches at which something is to be done by now, those first that wait longest.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn batches_due(&self, now: Time, limit: u32) -> Result<Vec<BatchRow>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), now.as_micros(), limit];
                all(connection, sql::BATCHES_DUE, values, batch, "reading batches")
            })
            .await
    }

    /// How many batches are not over: of an API key, and of all.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be counted.
    pub async fn open_batches(&self, key: ApiKeyId) -> Result<(u64, u64), Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![key.as_bytes(), tenant.as_bytes()];
                let counts =
                    |row: &Row<'_>| Ok((row.get::<_, Number>(0)?.0, row.get::<_, Number>(1)?.0));
                let found = one(connection, sql::OPEN_BATCHES, values, counts, "counting batches")?;
                Ok(found.unwrap_or_default())
            })
            .await
    }

    /// The lines of a batch by their numbers, after `after`.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be read.
    pub async fn lines(
        &self,
        batch: BatchId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LineRow>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), batch.as_bytes(), Number(after), limit];
                all(connection, sql::LINES, values, line, "reading lines of a batch")
            })
            .await
    }

    /// The line of a batch that is this exchange.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn line(&self, exchange: ExchangeId) -> Result<Option<LineRow>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), exchange.as_bytes()];
                one(connection, sql::LINE, values, line, "reading a line of a batch")
            })
            .await
    }

    /// How many lines of a batch stand how.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be counted.
    pub async fn line_counts(&self, batch: BatchId) -> Result<LineCounts, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), batch.as_bytes()];
                let counted = |row: &Row<'_>| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, Number>(1)?.0,
                        row.get::<_, Number>(2)?.0,
                    ))
                };
                let rows = all(connection, sql::LINE_COUNTS, values, counted, "counting lines")?;
                let mut counts = LineCounts::default();
                for (state, number, bytes) in rows {
                    match state.as_str() {
                        "waits" => counts.waiting = number,
                        "answered" => (counts.answered, counts.answered_bytes) = (number, bytes),
                        _ => (counts.failed, counts.failed_bytes) = (number, bytes),
                    }
                }
                Ok(counts)
            })
            .await
    }

    /// The position and the bytes of the intent of an exchange that has no outcome yet.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read.
    pub async fn open_intent(
        &self,
        exchange: ExchangeId,
    ) -> Result<Option<crate::OpenIntent>, Error> {
        let tenant = self.id();
        self.store()
            .read(move |connection| {
                let values = params![tenant.as_bytes(), exchange.as_bytes()];
                let intent = |row: &Row<'_>| {
                    Ok(crate::OpenIntent {
                        exchange,
                        seq: row.get::<_, Number>(0)?.0,
                        record: row.get(1)?,
                    })
                };
                one(connection, sql::OPEN_INTENT, values, intent, "reading an open intent")
            })
            .await
    }
}

fn file(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: FileId::from_bytes(row.get(0)?),
        key: ApiKeyId::from_bytes(row.get(1)?),
        // INVARIANT: the schema knows no other word; errors hold least.
        kind: FileKind::of(&row.get::<_, String>(2)?).unwrap_or(FileKind::Errors),
        batch: row.get::<_, Option<[u8; 16]>>(3)?.map(BatchId::from_bytes),
        created: Time::from_micros(row.get(4)?),
        expires: Time::from_micros(row.get(5)?),
        bytes: row.get::<_, Number>(6)?.0,
        unit: row.get::<_, Option<[u8; 16]>>(7)?.map(ContentKeyId::from_bytes),
        label: row.get(8)?,
    })
}

fn batch(row: &Row<'_>) -> rusqlite::Result<BatchRow> {
    Ok(BatchRow {
        id: BatchId::from_bytes(row.get(0)?),
        key: ApiKeyId::from_bytes(row.get(1)?),
        unit: ContentKeyId::from_bytes(row.get(2)?),
        created: Time::from_micros(row.get(3)?),
        cancelled: row.get::<_, Option<i64>>(4)?.map(Time::from_micros),
        state: row.get(5)?,
        sealed: row.get(6)?,
    })
}

fn line(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    let state = match row.get::<_, String>(5)?.as_str() {
        "waits" => LineState::Waits,
        "answered" => LineState::Answered,
        _ => LineState::Failed {
            code: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            message: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        },
    };
    Ok(LineRow {
        exchange: ExchangeId::from_bytes(row.get(0)?),
        batch: BatchId::from_bytes(row.get(1)?),
        number: row.get::<_, Number>(2)?.0,
        unit: ContentKeyId::from_bytes(row.get(3)?),
        custom: row.get(4)?,
        state,
        bytes: row.get::<_, Number>(6)?.0,
    })
}
