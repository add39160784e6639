//! What an auditor takes away, and what a person who may look in sees.

use crate::house::{Error, House};
use crate::keys::KeysError;
use ledger::bundle::{Committed, Subject, WriteError, Writer};
use ledger::proof::TILE_WIDTH;
use ledger::seal::{Digests, PerClass, Place, Unsealable};
use ledger::{Actor, Blob, BlobPart, ContentClass, Entry, Event, ExchangeId, Record};
use phi::Text;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Records read at once.
const BATCH: usize = 1000;

/// Something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bundle could not be written.
    #[error(transparent)]
    Bundle(#[from] WriteError),
    /// The house failed.
    #[error(transparent)]
    House(#[from] Error),
    /// There is no such exchange, or it holds no content.
    #[error("no content of that exchange is kept")]
    NoContent,
    /// Opened content could not be written.
    #[error("what was read cannot be written")]
    Write(#[source] std::io::Error),
    /// The content was disposed of.
    #[error("the content of that exchange was disposed of")]
    Disposed,
    /// The content does not open.
    #[error("the content of that exchange does not open")]
    Unsealable(#[from] Unsealable),
    /// A record does not follow the one before it.
    #[error("the log is broken at position {seq}: the record does not follow the one before it")]
    Broken {
        /// Its position.
        seq: u64,
    },
    /// The document of an agreement does not open, or is another than its record says.
    #[error("the document of the agreement {agreement} is not the one that was filed")]
    Document {
        /// The agreement or evidence.
        agreement: String,
    },
    /// What stands there is not what the log says.
    #[error(
        "what is kept of that exchange is not what its record names, or no record names it yet"
    )]
    Unnamed,
    /// The content opens but does not have its form.
    #[error("the content of that exchange is malformed")]
    Malformed,
}

impl From<store::Error> for ReadError {
    fn from(error: store::Error) -> Self {
        Self::House(error.into())
    }
}

/// The content of an exchange, as far as it was kept and not disposed of.
#[derive(Debug, Default)]
pub struct ExchangeContent {
    /// What is known of it where no more than digests was kept; then there is no text.
    pub digests: Option<NotKept>,
    /// What the caller wrote; absent when the prompt was disposed of.
    pub written: Option<Text>,
    /// What left, when that differs.
    pub left: Option<Text>,
    /// Why all of a chart was needed, in the caller's words.
    pub justification: Option<Text>,
    /// The windows of the answer.
    pub reply: Vec<ReplyWindow>,
    /// What stood for what in what left, as a map of surrogates reads it.
    pub(crate) surrogates: Vec<Text>,
}

/// What is known of content that was not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotKept {
    /// Bytes that the caller wrote; absent when the digests of the prompt were disposed of.
    pub written: Option<u64>,
    /// Bytes of which digests were made durable for delivery; absent when there are none, or no more.
    pub delivered: Option<u64>,
}

impl NotKept {
    fn add(&mut self, digests: &Digests) {
        self.written = self.written.or(digests.bytes(WRITTEN));
        if let Some(bytes) = delivered_bytes(digests) {
            self.delivered = Some(self.delivered.unwrap_or_default().saturating_add(bytes));
        }
    }
}

/// One window of an answer.
#[derive(Debug)]
pub struct ReplyWindow {
    /// What came.
    pub received: Text,
    /// What was delivered, when that differs.
    pub delivered: Option<Text>,
}

impl ExchangeContent {
    /// Bytes made durable for delivery.
    pub(crate) fn delivered_bytes(&self) -> u64 {
        let kept: u64 = self.reply.iter().map(|window| window.shown().len() as u64).sum();
        kept + self.digests.and_then(|digests| digests.delivered).unwrap_or_default()
    }
}

impl ReplyWindow {
    /// What was delivered.
    pub(crate) fn shown(&self) -> &Text {
        self.delivered.as_ref().unwrap_or(&self.received)
    }
}

#[derive(Deserialize)]
struct SealedPrompt {
    written: String,
    left: Option<String>,
    justification: Option<String>,
    #[serde(default)]
    surrogates: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct SealedWindow {
    received: String,
    delivered: Option<String>,
}

impl House {
    /// Writes the whole log, and with `content` the sealed blobs beside it, as a bundle that verifies
    /// offline. The export itself is recorded, and is the bundle's last record.
    ///
    /// `progress` is told how many of how many records are written.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn export<W: Write>(
        &self,
        out: W,
        content: bool,
        actor: Actor,
        progress: &dyn Fn(u64, u64),
    ) -> Result<u64, ReadError> {
        let now = self.clock.now();
        let before = self.tenant.head().await?.size();
        let event = Event::Exported { actor, size: before };
        self.tenant.append_with(Entry::bare(now, event), Vec::new()).await.map_err(Error::from)?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        let checkpoint = self.tenant.last_checkpoint().await?.ok_or(Error::Empty)?;
        let (records, note) = (checkpoint.size, checkpoint.note);
        self.anchor().await?;

        let pruned = self.tenant.pruned().await?.size();
        // A tar states the length of a file before it, so the records are read twice.
        let mut record_bytes = 0;
        let mut committed = Committed::default();
        self.each_record(records, |_, bytes| {
            record_bytes += bytes.len() as u64;
            if content {
                committed.add(&parse(bytes)?.event);
            }
            Ok(())
        })
        .await?;
        let subject = Subject {
            log: self.log,
            organisation: self.organisation.clone(),
            verifier_key: self.signer.verifier_key(),
            records,
            pruned,
            record_bytes,
            created: now,
        };
        let mut writer = Writer::new(out, subject, &note)?;
        let anchors = self.anchors(records).await?;
        let earlier: BTreeSet<u64> = anchors.iter().map(|anchor| anchor.inclusion.of).collect();
        for size in earlier.into_iter().filter(|size| *size < records) {
            let row = self.tenant.checkpoint(size).await?.ok_or(Error::Empty)?;
            writer.earlier_checkpoint(size, &row.note)?;
        }
        if !anchors.is_empty() {
            for (authority, pem) in self.archives() {
                writer.archive(&authority, &pem)?;
            }
        }
        for anchor in &anchors {
            writer.anchor(anchor)?;
        }
        if content {
            writer.claim_content()?;
        }
        // Windows of an answer that is still running have no record yet that commits to them.
        for exchange in committed.exchanges() {
            let blobs = self.tenant.blobs(exchange).await?;
            let kept = self.kept_classes(&blobs).await?;
            for blob in blobs {
                let named = committed.names(blob.exchange, blob.part);
                if named && *kept.get(ContentClass::of_part(blob.part)) {
                    writer.blob(&blob)?;
                }
            }
        }
        for index in 0..pruned.div_ceil(TILE_WIDTH) {
            let width = (pruned - index * TILE_WIDTH).min(TILE_WIDTH);
            for leaf in self.tenant.tile(0, index, width).await? {
                writer.pruned(&leaf)?;
            }
        }
        self.each_record(records, |seq, bytes| {
            progress(seq + 1, records);
            Ok(writer.record(bytes)?)
        })
        .await?;
        writer.finish()?;
        Ok(records)
    }

    /// Which classes of an exchange's content were not disposed of.
    pub(crate) async fn kept_classes(&self, blobs: &[Blob]) -> Result<PerClass<bool>, ReadError> {
        let Some(first) = blobs.first() else { return Ok(PerClass::default()) };
        let Some(unit) = self.tenant.unit(first.key).await? else { return Ok(PerClass::default()) };
        match self.content_keys.open_unit(&unit).await {
            Ok((_, keys)) => Ok(PerClass::make(|class| keys.get(class).is_some())),
            Err(KeysError::Gone) => Ok(PerClass::default()),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    pub(crate) async fn each_record(
        &self,
        size: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut next = 0;
        while next < size {
            let batch = self.tenant.records_from(next, BATCH).await?;
            if batch.is_empty() {
                break;
            }
            for (seq, bytes) in batch.into_iter().filter(|(seq, _)| *seq < size) {
                visit(seq, &bytes)?;
                next = seq + 1;
            }
        }
        Ok(())
    }

    /// The exact bytes of one record.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.tenant.record(seq).await?)
    }

    /// Opens the content of an exchange. That it was read, and by whom, is recorded before.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_content(
        &self,
        exchange: ExchangeId,
        actor: Actor,
        reason: &str,
    ) -> Result<ExchangeContent, ReadError> {
        let blobs = self.tenant.blobs(exchange).await?;
        if blobs.is_empty() {
            return Err(ReadError::NoContent);
        }
        let event = Event::ContentRead { actor, exchange, reason: reason.to_owned() };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        self.open_content(exchange, &blobs).await
    }

    pub(crate) async fn open_content(
        &self,
        exchange: ExchangeId,
        blobs: &[Blob],
    ) -> Result<ExchangeContent, ReadError> {
        let first = blobs.first().ok_or(ReadError::NoContent)?;
        let unit = self.tenant.unit(first.key).await?.ok_or(ReadError::NoContent)?;
        let (_, keys) = self.content_keys.open_unit(&unit).await.map_err(Error::from)?;
        let mut content = ExchangeContent::default();
        let mut disposed = true;
        for blob in blobs {
            let place = Place { log: self.log, exchange, part: blob.part };
            let Some(key) = keys.get(ContentClass::of_part(blob.part)) else { continue };
            disposed = false;
            if let Some(digests) = key.open_digests(&place, blob)? {
                content.digests.get_or_insert_default().add(&digests);
                continue;
            }
            let opened = key.open(&place, blob)?;
            match blob.part {
                BlobPart::Prompt => {
                    let prompt: SealedPrompt =
                        serde_json::from_slice(&opened).map_err(|_| ReadError::Malformed)?;
                    content.written = Some(Text::new(prompt.written));
                    content.left = prompt.left.map(Text::new);
                    content.justification = prompt.justification.map(Text::new);
                    content.surrogates = prompt.surrogates.into_iter().map(entry).collect();
                }
                BlobPart::Window(_) => {
                    let window: SealedWindow =
                        serde_json::from_slice(&opened).map_err(|_| ReadError::Malformed)?;
                    content.reply.push(ReplyWindow {
                        received: Text::new(window.received),
                        delivered: window.delivered.map(Text::new),
                    });
                }
            }
        }
        if disposed { Err(ReadError::Disposed) } else { Ok(content) }
    }
}

const WRITTEN: &str = "written";
const RECEIVED: &str = "received";
const DELIVERED: &str = "delivered";

/// Bytes of a window that were made durable for delivery. What was delivered as it came has no digest of
/// its own.
fn delivered_bytes(digests: &Digests) -> Option<u64> {
    digests.bytes(DELIVERED).or_else(|| digests.bytes(RECEIVED))
}

/// A surrogate and what it stands for, as a map of surrogates reads it: its class is in it.
fn entry((surrogate, value): (String, String)) -> Text {
    let inner = surrogate.trim_matches(['[', ']']);
    let class = inner.rsplit_once('_').map_or("", |(class, _)| class);
    let value = Text::new(value);
    Text::new(format!("{surrogate}\n{class}\n{}", value.expose()))
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Record, ReadError> {
    Record::from_bytes(bytes).map_err(|_| ReadError::Malformed)
}
