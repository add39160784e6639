//! Files that callers bring, and batches of requests made of them.
//!
//! A batch is what its lines would be if each were asked alone: every line is an exchange of its own, with
//! its own surrogates, decision, path and records (`line`). What is done when, at whose request, and again
//! after a restart is in `work`; all of it can be killed at any moment, because what is known of a batch is
//! durable before the next thing is done.

mod files;
mod line;
mod output;
mod read;
mod work;

pub use files::{FileView, NewFile};
pub use output::Output;

use crate::converse::purpose_of;
use crate::house::House;
use crate::identity::Principal;
use crate::keys::KeysError;
use gate::rules::{Api, Keep};
use gate::{Code, Control, Outcome, Refusal};
use ledger::{ApiKeyId, BatchId, ContentClass, ContentKeyId, FileId, Time};
use phi::Text;
use providers::{RemoteId, batch_url};
use serde::{Deserialize, Serialize};
use store::{BatchRow, Change};

/// The largest file: four of the largest requests. All of it is held while its lines are looked at.
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// The most lines of a batch: each is two records, and a batch of them is looked at in some minutes.
const MAX_LINES: usize = 10_000;

/// The most files of one API key, so that they fill no disk.
const MAX_FILES: u32 = 100;

/// The most batches of one API key that are not over, and of all keys.
const MAX_OPEN: (u64, u64) = (10, 100);

/// How long files and batches are kept: as long as the surrogates that their answers are restored with.
const KEPT_DAYS: i64 = 30;

/// The most problems that are told of one input.
const MAX_PROBLEMS: usize = 50;

/// The longest that a caller may say of a batch.
const MAX_METADATA_BYTES: usize = 16 << 10;

/// Entries of one page of a list.
const MAX_PAGE: u32 = 100;

/// Why nothing was done.
#[derive(Debug)]
pub enum Unserved {
    /// A rule says no.
    Refused(Refusal),
    /// A control cannot run.
    Failed(Control),
}

impl Unserved {
    /// As an exchange would end by it.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Failed(control) => Outcome::FailedClosed(control),
        }
    }

    const fn fixed(code: Code, message: &'static str) -> Self {
        Self::Refused(Refusal::fixed(code, message))
    }

    /// Also of what is somebody else's: that it is there is not said.
    const fn no_file() -> Self {
        Self::fixed(Code::NotFound, "This API key has no file of that id.")
    }

    const fn no_batch() -> Self {
        Self::fixed(Code::NotFound, "This API key has no batch of that id.")
    }
}

impl From<store::Error> for Unserved {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "files and batches");
        Self::Failed(Control::Audit)
    }
}

impl From<KeysError> for Unserved {
    fn from(error: KeysError) -> Self {
        tracing::error!(%error, "files and batches");
        Self::Failed(Control::Keys)
    }
}

/// What a caller asks to be made of a file.
pub struct NewBatch {
    /// The caller.
    pub principal: Principal,
    /// The file.
    pub input: FileId,
    /// The interface of every line, as batches write it: `/v1/chat/completions`.
    pub endpoint: String,
    /// The purpose that the request names.
    pub purpose: Option<String>,
    /// What the caller says of the batch, a JSON object. It stays here.
    pub metadata: Option<Text>,
}

impl std::fmt::Debug for NewBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewBatch({})", self.input)
    }
}

/// How a batch stands, for its caller.
#[derive(Debug)]
pub struct BatchView {
    /// The batch.
    pub id: BatchId,
    /// The interface of its lines, as batches write it.
    pub endpoint: &'static str,
    /// The file that it was made of.
    pub input: FileId,
    /// In one word, as `OpenAI` has it.
    pub status: &'static str,
    /// The file of answers, once there is one.
    pub output: Option<FileId>,
    /// The file of lines that were not answered, once there is one.
    pub errors: Option<FileId>,
    /// When it was made.
    pub created: Time,
    /// When it left.
    pub begun: Option<Time>,
    /// When the vendor was done.
    pub finalizing: Option<Time>,
    /// When its caller no longer wanted it.
    pub cancelled: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
    /// Lines: all, answered, not answered.
    pub lines: (u64, u64, u64),
    /// What is wrong with the input.
    pub problems: Vec<Problem>,
    /// What the caller said of it, a JSON object.
    pub metadata: Option<Text>,
}

/// What is wrong with an input, or a batch as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line, from 1; absent when it is of no single one.
    pub line: Option<u64>,
    /// The stable code.
    pub code: String,
    /// A sentence, without content.
    pub message: String,
}

impl Problem {
    fn of(line: Option<u64>, code: &str, message: &str) -> Self {
        Self { line, code: code.to_owned(), message: message.to_owned() }
    }
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Its lines become exchanges. Nothing has left.
    Preparing,
    /// Its file is about to leave, or did: after a restart the vendor is asked.
    Sending,
    /// The vendor works on it.
    Running,
    /// Its answers are fetched.
    Collecting,
    /// It is over, and files at the vendor are to go.
    Tidying,
    /// Nothing is left to be done.
    Over,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Completed,
    Failed,
    Expired,
    Cancelled,
}

/// A file at a vendor that is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Leftover {
    file: RemoteId,
    /// Whether it was told that it does not go.
    told: bool,
}

/// What is known of a batch, without content.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    input: FileId,
    /// The interface in which the lines ask, and the one that is called.
    api: BatchApi,
    called: BatchApi,
    purpose: Option<String>,
    stage: Stage,
    /// How the vendor ended it.
    verdict: Option<Ending>,
    /// How it ended for its caller: when every line is recorded.
    ending: Option<Ending>,
    /// The destination, once it is known.
    destination: Option<String>,
    remote_input: Option<RemoteId>,
    remote_batch: Option<RemoteId>,
    remote_outputs: Vec<RemoteId>,
    leftovers: Vec<Leftover>,
    /// Whether the vendor was told to stop.
    stopping: bool,
    /// How often the present thing was tried without success.
    tries: u32,
    /// How often the vendor was asked how it stands.
    looks: u32,
    /// How often the batch began anew, because nothing of it had arrived.
    beginnings: u32,
    total: u64,
    problems: Vec<Problem>,
    output: Option<FileId>,
    errors: Option<FileId>,
    begun: Option<Time>,
    finalizing: Option<Time>,
    ended: Option<Time>,
}

/// An interface that batches have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum BatchApi {
    #[serde(rename = "chat.completions")]
    ChatCompletions,
    #[serde(rename = "completions")]
    Completions,
    #[serde(rename = "embeddings")]
    Embeddings,
    #[serde(rename = "responses")]
    Responses,
}

impl BatchApi {
    const ALL: [Self; 4] =
        [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Responses];

    const fn api(self) -> Api {
        match self {
            Self::ChatCompletions => Api::ChatCompletions,
            Self::Completions => Api::Completions,
            Self::Embeddings => Api::Embeddings,
            Self::Responses => Api::Responses,
        }
    }

    fn url(self) -> &'static str {
        // INVARIANT: each of these has one.
        batch_url(self.api()).unwrap_or_default()
    }

    fn at(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.url() == url)
    }

    fn of(api: Api) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.api() == api)
    }
}

impl State {
    fn new(input: FileId, api: BatchApi, purpose: Option<String>) -> Self {
        Self {
            input,
            api,
            called: api,
            purpose,
            stage: Stage::Preparing,
            verdict: None,
            ending: None,
            destination: None,
            remote_input: None,
            remote_batch: None,
            remote_outputs: Vec::new(),
            leftovers: Vec::new(),
            stopping: false,
            tries: 0,
            looks: 0,
            beginnings: 0,
            total: 0,
            problems: Vec::new(),
            output: None,
            errors: None,
            begun: None,
            finalizing: None,
            ended: None,
        }
    }

    fn read(row: &BatchRow) -> Option<Self> {
        serde_json::from_slice(&row.state).ok()
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Words, ids and numbers always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    const fn status(&self, cancelled: bool) -> &'static str {
        match (self.stage, self.ending) {
            (_, Some(Ending::Completed)) => "completed",
            (_, Some(Ending::Failed)) => "failed",
            (_, Some(Ending::Expired)) => "expired",
            (_, Some(Ending::Cancelled)) => "cancelled",
            (_, None) if cancelled => "cancelling",
            (Stage::Preparing | Stage::Sending, None) => "validating",
            (Stage::Running, None) => "in_progress",
            (Stage::Collecting | Stage::Tidying | Stage::Over, None) => "finalizing",
        }
    }
}

impl House {
    /// Makes a batch of a file. Its lines are looked at afterwards.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn add_batch(&self, asked: NewBatch) -> Result<BatchView, Unserved> {
        let NewBatch { principal, input, endpoint, purpose, metadata } = asked;
        self.keeps_content()?;
        let api = BatchApi::at(&endpoint).ok_or(Unserved::fixed(
            Code::InvalidRequest,
            "A batch's endpoint is /v1/chat/completions, /v1/completions, /v1/embeddings or /v1/responses.",
        ))?;
        if metadata.as_ref().is_some_and(|it| it.len() > MAX_METADATA_BYTES) {
            let message = "The metadata of a batch has at most 16 KiB.";
            return Err(Unserved::fixed(Code::TooLarge, message));
        }
        let file = self.own_file(&principal, input).await?;
        let Some(unit) = file.unit else {
            let message = "A batch is made of a file that was uploaded for it.";
            return Err(Unserved::fixed(Code::InvalidRequest, message));
        };
        let in_force = self.in_force.load_full();
        let purpose =
            purpose_of(&principal, purpose, in_force.as_deref()).map_err(Unserved::Refused)?;
        let (own, all) = self.tenant.open_batches(principal.key()).await?;
        if own >= MAX_OPEN.0 || all >= MAX_OPEN.1 {
            let message = "Too many batches are not over yet. Wait for one to end.";
            return Err(Unserved::fixed(Code::RateLimited, message));
        }
        let now = self.clock.now();
        let id = BatchId::mint(now, &*self.entropy);
        let said = metadata.as_ref().map_or("", Text::expose);
        let sealed = self.sealed_under(unit, &batch_binding(self, id), said.as_bytes()).await?;
        let state = State::new(input, api, purpose);
        let row = BatchRow {
            id,
            key: principal.key(),
            unit,
            created: now,
            cancelled: None,
            state: state.to_bytes(),
            sealed,
        };
        self.tenant.change(vec![Change::AddBatch(row.clone())]).await?;
        self.batch_work.notify_one();
        self.batch_view(&row).await
    }

    /// How a batch stands.
    ///
    /// # Errors
    /// [`Unserved`]; one of another key is not there.
    pub async fn read_batch(
        &self,
        principal: &Principal,
        id: BatchId,
    ) -> Result<BatchView, Unserved> {
        self.batch_view(&self.own_batch(principal.key(), id).await?).await
    }

    /// The batches of a key, the newest first, and whether there are more.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn list_batches(
        &self,
        principal: &Principal,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<(Vec<BatchView>, bool), Unserved> {
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = self.tenant.batches(principal.key(), after, limit + 1).await?;
        let more = rows.len() > limit as usize;
        let mut views = Vec::new();
        for row in rows.iter().take(limit as usize) {
            views.push(self.batch_view(row).await?);
        }
        Ok((views, more))
    }

    /// Stops a batch; what was answered by then is delivered.
    ///
    /// # Errors
    /// [`Unserved`].
    pub async fn cancel_batch(
        &self,
        principal: &Principal,
        id: BatchId,
    ) -> Result<BatchView, Unserved> {
        let row = self.own_batch(principal.key(), id).await?;
        let over = State::read(&row).is_none_or(|state| state.ending.is_some());
        if over {
            let message = "The batch is over, so it cannot be cancelled.";
            return Err(Unserved::fixed(Code::InvalidRequest, message));
        }
        let at = self.clock.now();
        let change = Change::CancelBatch { id, key: principal.key(), at };
        self.tenant.change(vec![change]).await?;
        self.batch_work.notify_one();
        self.read_batch(principal, id).await
    }

    async fn own_batch(&self, key: ApiKeyId, id: BatchId) -> Result<BatchRow, Unserved> {
        let row = self.tenant.batch(id).await?;
        row.filter(|row| row.key == key).ok_or(Unserved::no_batch())
    }

    async fn batch_view(&self, row: &BatchRow) -> Result<BatchView, Unserved> {
        let state = State::read(row).ok_or(Unserved::Failed(Control::Audit))?;
        let counts = self.tenant.line_counts(row.id).await?;
        let opened = self.opened_under(row.unit, &batch_binding(self, row.id), &row.sealed).await;
        // What was disposed of is no longer said.
        let metadata = opened.unwrap_or_default().filter(|said| !said.is_empty());
        Ok(BatchView {
            id: row.id,
            endpoint: state.api.url(),
            input: state.input,
            status: state.status(row.cancelled.is_some()),
            output: state.output,
            errors: state.errors,
            created: row.created,
            begun: state.begun,
            finalizing: state.finalizing,
            cancelled: row.cancelled,
            ended: state.ended,
            lines: (state.total, counts.answered, counts.failed),
            problems: state.problems,
            metadata,
        })
    }

    /// Where no more than digests is kept, no file can be.
    fn keeps_content(&self) -> Result<(), Unserved> {
        let in_force = self.in_force.load();
        match in_force.as_ref().map(|it| it.rules.keep()) {
            Some(Keep::All) => Ok(()),
            Some(Keep::Digests) => Err(Unserved::fixed(
                Code::UnsupportedContent,
                "The configuration in force keeps digests only, so no file is kept and no batch is made.",
            )),
            None => Err(Unserved::fixed(
                Code::PhiBlocked,
                "No configuration is in force, so nothing may leave.",
            )),
        }
    }

    /// Seals a text under the prompts' key of a unit.
    async fn sealed_under(
        &self,
        unit: ContentKeyId,
        binding: &str,
        text: &[u8],
    ) -> Result<Vec<u8>, Unserved> {
        let unit = self.tenant.unit(unit).await?.ok_or(Unserved::no_file())?;
        let (_, keys) = self.content_keys.open_unit(&unit).await?;
        let key = keys.get(ContentClass::Prompts).as_ref().ok_or(Unserved::no_file())?;
        Ok(key.seal_small(binding, text, &*self.entropy))
    }

    /// Opens it; `None` when it was disposed of.
    async fn opened_under(
        &self,
        unit: ContentKeyId,
        binding: &str,
        sealed: &[u8],
    ) -> Result<Option<Text>, Unserved> {
        let Some(unit) = self.tenant.unit(unit).await? else { return Ok(None) };
        let (_, keys) = self.content_keys.open_unit(&unit).await?;
        let Some(key) = keys.get(ContentClass::Prompts) else { return Ok(None) };
        let opened = key.open_small(binding, sealed).map_err(KeysError::from)?;
        // It was text when it was sealed.
        Ok(Some(Text::new(String::from_utf8_lossy(&opened).into_owned())))
    }

    /// Forgets files and batches whose time is over.
    pub(crate) async fn purge_batches(&self) -> Result<u64, store::Error> {
        let now = self.clock.now();
        let made_before = now.plus_seconds(-KEPT_DAYS * 86_400);
        self.tenant.purge_batches(now, made_before).await
    }
}

fn batch_binding(house: &House, batch: BatchId) -> String {
    format!("bulla-batch-1|{}|{batch}", house.log)
}
