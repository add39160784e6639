//! Writing a bundle as a tar stream, in one pass and with flat memory.

use super::{AnchorFile, CONTENT_CLAIM, FORMAT, Listed, ListedBlobs, Manifest, Part, blob_head};
use crate::proof::MAX_PROOF_HASHES;
use crate::{Blob, BlobPart, Event, ExchangeId, Hash, LogId, MAX_RECORD_BYTES, Time};
use aws_lc_rs::digest;
use data_encoding::BASE64;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

const BLOCK: usize = 512;

/// The page that checks a bundle in a browser, made of `crates/ledger/page` by its `build-page.mjs`.
const PAGE: &str = include_str!("verify.html");

/// The script that checks a bundle with Python's standard library and OpenSSL.
const SCRIPT: &str = include_str!("verify.py");

/// Which content the records of a log commit to.
///
/// Content without a record exists in an honest database: windows of an answer that is under way,
/// or that was cut off before its outcome. A verifier refuses it in a bundle, because nothing shows
/// whose it is, so an exporter asks here first.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    exchanges: BTreeMap<ExchangeId, Parts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    prompt: bool,
    windows: u64,
}

impl Committed {
    /// Takes note of what a record of the export commits to.
    pub fn add(&mut self, event: &Event) {
        let Some(about) = event.about() else { return };
        let windows = match event {
            Event::Outcome(outcome) => outcome.reply.as_ref().map_or(0, |reply| reply.windows),
            Event::Intent(_)
            | Event::LogOpened { .. }
            | Event::ConfigurationApplied { .. }
            | Event::ApiKeyCreated { .. }
            | Event::ApiKeyRevoked { .. }
            | Event::Exported { .. }
            | Event::Streamed { .. }
            | Event::ContentRead { .. }
            | Event::AnswerWithdrawn { .. }
            | Event::AccessRefused { .. }
            | Event::Started { .. }
            | Event::Stopped { .. }
            | Event::AgreementExpiring { .. }
            | Event::AgreementFiled { .. }
            | Event::AgreementRead { .. }
            | Event::AgreementDisposed { .. }
            | Event::Anchored { .. }
            | Event::AnchorFailing { .. }
            | Event::ClockSkewed { .. }
            | Event::FeedFailing { .. }
            | Event::CopyFailing { .. }
            | Event::BatchFile { .. }
            | Event::AccessDenied { .. }
            | Event::TilesRead { .. }
            | Event::Searched { .. }
            | Event::Reported { .. }
            | Event::Reviewed { .. }
            | Event::ReviewOverdue { .. }
            | Event::Disposed { .. }
            | Event::HoldPlaced { .. }
            | Event::HoldReleased { .. }
            | Event::KeyRotated { .. }
            | Event::Pruned { .. }
            | Event::Offboarded { .. }
            | Event::SelfTestPassed { .. }
            | Event::SelfTestFailed { .. }
            | Event::CacheMismatch { .. } => 0,
        };
        if about.prompt.is_some() || windows > 0 {
            let parts = self.exchanges.entry(about.exchange).or_default();
            parts.prompt |= about.prompt.is_some();
            parts.windows = parts.windows.max(windows);
        }
    }

    /// The exchanges with content, in the order in which a bundle has them.
    pub fn exchanges(&self) -> impl Iterator<Item = ExchangeId> {
        self.exchanges.keys().copied()
    }

    /// Whether a record commits to this part of this exchange.
    #[must_use]
    pub fn names(&self, exchange: ExchangeId, part: BlobPart) -> bool {
        self.exchanges.get(&exchange).is_some_and(|parts| match part {
            BlobPart::Prompt => parts.prompt,
            BlobPart::Window(window) => u64::from(window) < parts.windows,
        })
    }
}

/// What the manifest and the instructions say of the export.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The log.
    pub log: LogId,
    /// The organisation's name, as in the first record.
    pub organisation: String,
    /// The verifier key, as in the first record.
    pub verifier_key: String,
    /// Records of the log: the checkpoint's size.
    pub records: u64,
    /// Records that were pruned, record 0 counted (see [`Event::Pruned`]); 0 when all are there.
    pub pruned: u64,
    /// Bytes of the records that will be written together, without line feeds. A tar states the length of
    /// a file before it.
    pub record_bytes: u64,
    /// When the export was made.
    pub created: Time,
}

/// The bundle could not be written, or would not have been one.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Writing failed.
    #[error("the bundle could not be written")]
    Io(#[from] io::Error),
    /// A part came after a later one, or content was not in ascending order of exchange and part.
    #[error("a part of the bundle was handed over out of order")]
    OutOfOrder,
    /// The records or the hashes of pruned ones are not as many, or not as long, as was announced.
    #[error("the records are not those that were announced")]
    OtherRecords,
    /// A record is too long or holds a line feed.
    #[error("the bytes are not a record")]
    NotARecord,
    /// An earlier checkpoint or other small file is longer than any reader accepts.
    #[error("a file of the bundle is longer than a reader accepts")]
    TooLong,
}

/// Who outside of the deployment vouches for a checkpoint of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Records of the deployment's log.
    pub size: u64,
    /// Its signed note, as it was stamped.
    pub note: String,
    /// Signature lines of witnesses, each ended.
    pub cosignatures: String,
    /// Where a checkpoint of this log is in it.
    pub inclusion: Inclusion,
    /// Tokens by the names of their authorities.
    pub stamps: BTreeMap<String, Vec<u8>>,
}

impl Anchor {
    /// Its files in their order, by name.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let name = |file| Part::Anchor(self.size, file).to_string();
        let mut files = vec![(name(AnchorFile::Checkpoint), self.note.clone().into_bytes())];
        if !self.cosignatures.is_empty() {
            let lines = self.cosignatures.clone().into_bytes();
            files.push((name(AnchorFile::Cosignatures), lines));
        }
        files.push((name(AnchorFile::Inclusion), self.inclusion.to_string().into_bytes()));
        let stamp = name(AnchorFile::Stamp);
        let token = |(authority, token): (&String, &Vec<u8>)| {
            (format!("{stamp}{authority}.tst"), token.clone())
        };
        files.extend(self.stamps.iter().map(token));
        files
    }
}

/// Where a checkpoint of one log is in the deployment's log, whose leaves are signed notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Records that the checkpoint is over; its note is in the bundle.
    pub of: u64,
    /// Its position in the deployment's log.
    pub index: u64,
    /// The proof, RFC 9162 section 2.1.3.
    pub path: Vec<Hash>,
}

impl fmt::Display for Inclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "checkpoint {}\nindex {}", self.of, self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash.as_bytes())))
    }
}

/// The text is not that of an inclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an inclusion of the form: checkpoint, index, hashes")]
pub struct MalformedInclusion;

impl FromStr for Inclusion {
    type Err = MalformedInclusion;

    fn from_str(text: &str) -> Result<Self, MalformedInclusion> {
        let mut lines = text.lines();
        let mut number = |word| {
            let line = lines.next().and_then(|line| line.strip_prefix(word));
            line.and_then(|number| number.parse().ok()).ok_or(MalformedInclusion)
        };
        let (of, index) = (number("checkpoint ")?, number("index ")?);
        let hash = |line: &str| {
            let bytes = BASE64.decode(line.as_bytes()).ok()?;
            Some(Hash::from_bytes(bytes.try_into().ok()?))
        };
        let path = lines.map(hash).collect::<Option<Vec<_>>>().ok_or(MalformedInclusion)?;
        let this = Self { of, index, path };
        // One text for one meaning.
        let short = this.path.len() <= MAX_PROOF_HASHES;
        if short && this.to_string() == text { Ok(this) } else { Err(MalformedInclusion) }
    }
}

/// Writes a bundle: first what [`Writer::new`] takes, then earlier checkpoints, content, records.
///
/// Equal calls write equal bytes: times in the tar are zero, owners are nobody. Only content to
/// which a record commits may be written (see [`Committed`]); a verifier refuses other content.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    subject: Subject,
    last: Part,
    files: Vec<Listed>,
    blobs: ListedBlobs,
    blob_digest: Digest,
    pruned: u64,
    pruned_digest: Digest,
    records: u64,
    record_bytes: u64,
}

struct Digest(digest::Context);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

impl Digest {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn finish(self) -> Hash {
        Hash::from_digest(&self.0.finish())
    }
}

impl<W: Write> Writer<W> {
    /// Begins a bundle with its instructions and the signed checkpoint over all its records.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn new(out: W, subject: Subject, checkpoint: &str) -> Result<Self, WriteError> {
        let instructions = instructions(&subject);
        let mut writer = Self {
            out,
            subject,
            last: Part::Instructions,
            files: Vec::new(),
            blobs: ListedBlobs { count: 0, size: 0, sha256: Hash::ZERO },
            blob_digest: Digest::new(),
            pruned: 0,
            pruned_digest: Digest::new(),
            records: 0,
            record_bytes: 0,
        };
        writer.small(Part::Instructions, instructions.as_bytes())?;
        writer.small(Part::Page, PAGE.as_bytes())?;
        writer.small(Part::Script, SCRIPT.as_bytes())?;
        writer.small(Part::Checkpoint, checkpoint.as_bytes())?;
        Ok(writer)
    }

    /// Adds an earlier signed checkpoint, in ascending order of size.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn earlier_checkpoint(&mut self, size: u64, note: &str) -> Result<(), WriteError> {
        self.advance(Part::EarlierCheckpoint(size))?;
        self.small(Part::EarlierCheckpoint(size), note.as_bytes())
    }

    /// Adds the certificates and revocation lists of an authority, in ascending order of name.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn archive(&mut self, authority: &str, pem: &str) -> Result<(), WriteError> {
        let name = format!("authorities/{authority}.pem");
        self.named(Part::Archive, name, pem.as_bytes())
    }

    /// Claims that all content follows that records name and that was not disposed of. A verifier then
    /// takes each absence for a fault.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn claim_content(&mut self) -> Result<(), WriteError> {
        self.advance(Part::ContentClaim)?;
        self.small(Part::ContentClaim, CONTENT_CLAIM.as_bytes())
    }

    /// Adds an anchor, in ascending order of the size of the deployment's log. Of its stamps, each is
    /// under the name of its authority, in ascending order.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn anchor(&mut self, anchor: &Anchor) -> Result<(), WriteError> {
        for (name, bytes) in anchor.files() {
            self.named(Part::of(&name), name, &bytes)?;
        }
        Ok(())
    }

    /// A file whose name its part does not say alone.
    fn named(&mut self, part: Part, name: String, bytes: &[u8]) -> Result<(), WriteError> {
        let last = self.files.last().map(|file| file.name.as_str());
        let after = part > self.last || part == self.last && last < Some(name.as_str());
        if !after || Part::of(&name) != part {
            return Err(WriteError::OutOfOrder);
        }
        self.last = part;
        self.small_file(name, bytes)
    }

    /// Adds sealed content, in ascending order of exchange and part.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn blob(&mut self, blob: &Blob) -> Result<(), WriteError> {
        let part = Part::Blob(blob.exchange, blob.part);
        self.advance(part)?;
        let head = blob_head(blob);
        let size = (head.len() + blob.sealed.len()) as u64;
        self.header(&part.to_string(), size)?;
        for piece in [head.as_bytes(), &blob.sealed] {
            self.out.write_all(piece)?;
            self.blob_digest.0.update(piece);
        }
        self.pad(size)?;
        self.blobs.count += 1;
        self.blobs.size += size;
        Ok(())
    }

    /// Adds the leaf hash of the next of the log's first records, of which all but record 0 were pruned.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn pruned(&mut self, leaf: &Hash) -> Result<(), WriteError> {
        if self.last != Part::Pruned {
            self.advance(Part::Pruned)?;
            self.header(&Part::Pruned.to_string(), self.pruned_size())?;
        }
        self.out.write_all(leaf.as_bytes())?;
        self.pruned_digest.0.update(leaf.as_bytes());
        self.pruned += 1;
        Ok(())
    }

    /// Adds the next record's exact bytes. After record 0 comes the first that was not pruned.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn record(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if bytes.len() > MAX_RECORD_BYTES || bytes.contains(&b'\n') {
            return Err(WriteError::NotARecord);
        }
        self.begin_records()?;
        self.out.write_all(bytes)?;
        self.out.write_all(b"\n")?;
        self.records += 1;
        self.record_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the bundle with its manifest and gives the stream back, flushed.
    ///
    /// # Errors
    /// [`WriteError::OtherRecords`] when the records were not those that were announced.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.begin_records()?;
        let announced = (self.lines(), self.subject.record_bytes);
        if (self.records, self.record_bytes) != announced {
            return Err(WriteError::OtherRecords);
        }
        let size = self.records_size();
        self.pad(size)?;
        self.files.push(Listed { name: Part::Records.to_string(), size, sha256: None });
        self.blobs.sha256 = std::mem::replace(&mut self.blob_digest, Digest::new()).finish();
        let manifest = self.manifest().to_bytes();
        self.small(Part::Manifest, &manifest)?;
        write_tar_end(&mut self.out)?;
        Ok(self.out)
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            format: FORMAT.to_owned(),
            log: self.subject.log,
            organisation: self.subject.organisation.clone(),
            verifier_key: self.subject.verifier_key.clone(),
            records: self.subject.records,
            created: self.subject.created,
            files: self.files.clone(),
            blobs: self.blobs.clone(),
        }
    }

    fn begin_records(&mut self) -> Result<(), WriteError> {
        if self.last == Part::Records {
            return Ok(());
        }
        if self.pruned != self.subject.pruned {
            return Err(WriteError::OtherRecords);
        }
        if self.last == Part::Pruned {
            let size = self.pruned_size();
            self.pad(size)?;
            let digest = std::mem::replace(&mut self.pruned_digest, Digest::new()).finish();
            let name = Part::Pruned.to_string();
            self.files.push(Listed { name, size, sha256: Some(digest) });
        }
        self.advance(Part::Records)?;
        self.header(&Part::Records.to_string(), self.records_size())
    }

    const fn pruned_size(&self) -> u64 {
        self.subject.pruned * 32
    }

    /// Records that are written: record 0, and those that were not pruned.
    const fn lines(&self) -> u64 {
        self.subject.records.saturating_sub(self.subject.pruned.saturating_sub(1))
    }

    const fn records_size(&self) -> u64 {
        self.subject.record_bytes + self.lines()
    }

    fn advance(&mut self, part: Part) -> Result<(), WriteError> {
        if part <= self.last {
            return Err(WriteError::OutOfOrder);
        }
        self.last = part;
        Ok(())
    }

    fn small(&mut self, part: Part, bytes: &[u8]) -> Result<(), WriteError> {
        self.small_file(part.to_string(), bytes)
    }

    fn small_file(&mut self, name: String, bytes: &[u8]) -> Result<(), WriteError> {
        let size = bytes.len() as u64;
        if size > super::MAX_SMALL_FILE_BYTES {
            return Err(WriteError::TooLong);
        }
        self.header(&name, size)?;
        self.out.write_all(bytes)?;
        self.pad(size)?;
        self.files.push(Listed { name, size, sha256: Some(Hash::of(bytes)) });
        Ok(())
    }

    fn header(&mut self, name: &str, size: u64) -> Result<(), WriteError> {
        Ok(write_header(&mut self.out, name, size)?)
    }

    fn pad(&mut self, size: u64) -> Result<(), WriteError> {
        Ok(write_padding(&mut self.out, size)?)
    }
}

/// The header of a plain file of nobody's, at no time.
fn write_header(out: &mut dyn Write, name: &str, size: u64) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

fn write_padding(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.write_all([0; BLOCK].get(over..).unwrap_or_default())?;
    }
    Ok(())
}

/// Writes a whole file into a tar.
pub(crate) fn write_file(out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_header(out, name, bytes.len() as u64)?;
    out.write_all(bytes)?;
    write_padding(out, bytes.len() as u64)
}

/// A tar ends with two empty blocks.
pub(crate) fn write_tar_end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()
}

fn instructions(subject: &Subject) -> String {
    // The organisation's name comes last, so that nothing in it is taken for a place to fill.
    include_str!("VERIFY.md")
        .replace("{created}", &subject.created.to_string())
        .replace("{records}", &subject.records.to_string())
        .replace("{log}", &subject.log.to_string())
        .replace("{organisation}", &subject.organisation.replace(['\n', '\r'], " "))
}
