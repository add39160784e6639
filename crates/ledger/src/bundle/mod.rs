//! The export of a log: one tar file, or the same files in a folder, that verifies offline.
//!
//! `docs/bundle.md` specifies the format well enough to write another verifier. This module names
//! the files and their order, writes the tar ([`Writer`]) and takes one apart ([`each_file`]); it
//! opens no files itself. [`crate::verify`] checks what is inside.
//!
//! The order of files is part of the format: the checkpoint and the content stand before the
//! records, so that one pass over the records checks everything with little memory.

mod collect;
mod write;

pub use collect::{
    Chunk, CollectError, Collected, ReadObject, archive_name, blob_file, collect, cosignature_name,
};
pub use write::{Anchor, Committed, Inclusion, MalformedInclusion, Subject, WriteError, Writer};
pub(crate) use write::{write_file, write_tar_end};

use crate::{Blob, BlobPart, ContentKeyId, ExchangeId, Hash, LogId, Time};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read};

/// The name of this format, in the manifest.
pub const FORMAT: &str = "bulla-bundle-1";

/// The longest a file other than records and content may be: 1 MiB. They are held in memory.
pub const MAX_SMALL_FILE_BYTES: u64 = 1 << 20;

/// What a file of a bundle is, by its name. The order is the order in the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `VERIFY.md`: how to check, in plain words.
    Instructions,
    /// `verify.html`: the page that checks a bundle in a browser, for whoever has nothing else.
    Page,
    /// `verify.py`: the script that checks a bundle with Python's standard library and OpenSSL.
    Script,
    /// `checkpoint`: the signed note over all records.
    Checkpoint,
    /// `checkpoints/<size>`: an earlier signed note, ten or more digits.
    EarlierCheckpoint(u64),
    /// `authorities/<authority>.pem`: certificates and revocation lists of an authority, as they were
    /// when it stamped. Nothing in them is believed for being here.
    Archive,
    /// `anchors/<size>.<kind>`: who outside of the deployment vouches for the checkpoint of that size of
    /// the deployment's log.
    Anchor(u64, AnchorFile),
    /// `content`: the claim that all content is here that was not disposed of.
    ContentClaim,
    /// `blobs/<exchange>/prompt` and `blobs/<exchange>/window-000000`: sealed content.
    Blob(ExchangeId, BlobPart),
    /// `pruned`: the leaf hashes of the log's first records, of which all but record 0 were pruned.
    Pruned,
    /// `records.jsonl`: the exact bytes of each record and a line feed.
    Records,
    /// `manifest.json`: sizes and digests of the files before it.
    Manifest,
    /// Anything else.
    Unknown,
}

/// The files of one anchor, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnchorFile {
    /// `checkpoint`: the signed note of the deployment's log, exactly as it was stamped.
    Checkpoint,
    /// `cosignatures`: signature lines of witnesses over that note.
    Cosignatures,
    /// `inclusion`: where a checkpoint of this log is in the deployment's log, and the proof.
    Inclusion,
    /// `<authority>.tst`: an RFC 3161 token over the note.
    Stamp,
}

/// Whether a text can name an authority in a file's name: 1 to 64 small letters, digits, `-` and `_`.
#[must_use]
pub fn is_authority_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

impl Part {
    /// What the file of this name is.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "VERIFY.md" => Self::Instructions,
            "verify.html" => Self::Page,
            "verify.py" => Self::Script,
            "checkpoint" => Self::Checkpoint,
            "content" => Self::ContentClaim,
            "pruned" => Self::Pruned,
            "records.jsonl" => Self::Records,
            "manifest.json" => Self::Manifest,
            _ => Self::in_folder(name).unwrap_or(Self::Unknown),
        }
    }

    fn in_folder(name: &str) -> Option<Self> {
        let (folder, rest) = name.split_once('/')?;
        let part = match folder {
            "authorities" => {
                let name = rest.strip_suffix(".pem")?;
                return is_authority_name(name).then_some(Self::Archive);
            }
            "anchors" => {
                let (size, kind) = rest.split_once('.')?;
                let kind = match kind {
                    "checkpoint" => AnchorFile::Checkpoint,
                    "cosignatures" => AnchorFile::Cosignatures,
                    "inclusion" => AnchorFile::Inclusion,
                    _ if is_authority_name(kind.strip_suffix(".tst")?) => AnchorFile::Stamp,
                    _ => return None,
                };
                let size: u64 = size.parse().ok()?;
                let fits = rest.starts_with(&format!("{size:010}."));
                return fits.then_some(Self::Anchor(size, kind));
            }
            "checkpoints" => Self::EarlierCheckpoint(rest.parse().ok()?),
            "blobs" => {
                let (exchange, part) = rest.split_once('/')?;
                let part = match part.strip_prefix("window-") {
                    Some(number) => BlobPart::Window(number.parse().ok()?),
                    None if part == "prompt" => BlobPart::Prompt,
                    None => return None,
                };
                Self::Blob(exchange.parse().ok()?, part)
            }
            _ => return None,
        };
        // One name for one thing: `window-0` is not another spelling of `window-000000`.
        (part.to_string() == name).then_some(part)
    }
}

impl fmt::Display for Part {
    /// The file's name; of those that are named by an authority, without that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instructions => f.write_str("VERIFY.md"),
            Self::Page => f.write_str("verify.html"),
            Self::Script => f.write_str("verify.py"),
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::EarlierCheckpoint(size) => write!(f, "checkpoints/{size:010}"),
            Self::Archive => f.write_str("authorities/"),
            Self::Anchor(size, AnchorFile::Checkpoint) => {
                write!(f, "anchors/{size:010}.checkpoint")
            }
            Self::Anchor(size, AnchorFile::Cosignatures) => {
                write!(f, "anchors/{size:010}.cosignatures")
            }
            Self::Anchor(size, AnchorFile::Inclusion) => write!(f, "anchors/{size:010}.inclusion"),
            Self::Anchor(size, AnchorFile::Stamp) => write!(f, "anchors/{size:010}."),
            Self::ContentClaim => f.write_str("content"),
            Self::Blob(exchange, BlobPart::Prompt) => write!(f, "blobs/{exchange}/prompt"),
            Self::Blob(exchange, BlobPart::Window(window)) => {
                write!(f, "blobs/{exchange}/window-{window:06}")
            }
            Self::Pruned => f.write_str("pruned"),
            Self::Records => f.write_str("records.jsonl"),
            Self::Manifest => f.write_str("manifest.json"),
            Self::Unknown => Ok(()),
        }
    }
}

/// `manifest.json`. Nothing in it is signed; whatever it says, the log must say too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The log.
    pub log: LogId,
    /// The organisation's name, as in the first record.
    pub organisation: String,
    /// The verifier key, as in the first record.
    pub verifier_key: String,
    /// Records of the log, the pruned ones included: the checkpoint's size.
    pub records: u64,
    /// When the bundle was written, by the writer's clock.
    pub created: Time,
    /// Every file but content and the manifest, in the order of the tar.
    pub files: Vec<Listed>,
    /// All files of content together.
    pub blobs: ListedBlobs,
}

/// One file in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes; absent for the records, every byte of which the signed root covers. A
    /// second pass of hashing over them would cost a quarter of the verification.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Hash>,
}

/// The files of content in the manifest. They are not listed one by one, because the records
/// commit to each of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedBlobs {
    /// How many.
    pub count: u64,
    /// Their length in bytes, together.
    pub size: u64,
    /// SHA-256 of their bytes, one after the other in the order of the tar.
    pub sha256: Hash,
}

impl Manifest {
    /// The file's bytes.
    ///
    /// # Panics
    /// Never: texts, numbers and lists are always JSON.
    #[must_use]
    #[expect(clippy::expect_used, reason = "texts, numbers and lists are always JSON")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest; absent when the bytes are not exactly what [`Manifest::to_bytes`] makes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        (manifest.format == FORMAT && manifest.to_bytes() == bytes).then_some(manifest)
    }
}

/// What the file `content` says.
pub(crate) const CONTENT_CLAIM: &str = "all that was not disposed of\n";

/// The first word of a file of content.
const BLOB_TAG: &str = "bulla-blob-1";

/// The longest first line of a file of content, with its line feed.
pub(crate) const MAX_BLOB_HEAD_BYTES: u64 = 160;

/// The first line of a file of content: form, key, commitment. The sealed bytes follow.
fn blob_head(blob: &Blob) -> String {
    format!("{BLOB_TAG} {} {}\n", blob.key, blob.commitment)
}

/// Reads the first line of a file of content.
pub(crate) fn read_blob_head(line: &[u8]) -> Option<(ContentKeyId, Hash)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (key, commitment) = line.strip_prefix(BLOB_TAG)?.strip_prefix(' ')?.split_once(' ')?;
    Some((key.parse().ok()?, commitment.parse().ok()?))
}

/// Hands each file of a tar to `visit`, in the order of the tar.
///
/// Folders and extension headers are passed over; a leading `./` of a name is cut, because that is
/// how `tar cf x .` writes it. Links, devices and names that are not UTF-8 are handed on under a
/// name that no bundle has.
///
/// # Errors
/// Those of reading, those of `visit`, and `InvalidData` when a header is damaged.
pub fn each_file<R: Read>(
    tar: R,
    mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    // Raw: long-name and PAX headers are not interpreted, so a hostile one cannot grow memory. No
    // name of a bundle needs them.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            continue;
        }
        let bytes = entry.path_bytes().into_owned();
        let name = match std::str::from_utf8(&bytes) {
            Ok(name) if kind.is_file() => name.strip_prefix("./").unwrap_or(name),
            _ => "(not a plain file)",
        };
        let size = entry.header().entry_size()?;
        let mut counted = Counted { from: &mut entry, read: 0 };
        visit(name, &mut counted)?;
        io::copy(&mut counted, &mut io::sink())?;
        if counted.read != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive breaks off"));
        }
    }
    Ok(())
}

struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}
