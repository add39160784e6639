//! A copy of a log in object storage: the names of its objects, and the bundle that is made of them.
//!
//! Every object is written once and never again, so what grows is cut: records into chunks, the signature
//! lines of witnesses by witness, the certificates of an authority by what they were. [`collect`] puts it
//! together again, from the objects alone: no house, no key, no database.

use super::{
    Anchor, AnchorFile, Committed, Inclusion, Part, Subject, WriteError, Writer, blob_head,
    is_authority_name, read_blob_head,
};
use crate::{Blob, Event, Hash, MAX_RECORD_BYTES, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};

/// Anchors in a bundle: a reader takes 20,000 files, and each anchor is some of them.
const MAX_ANCHORS: usize = 1500;

/// Of these, the newest ones are all shown.
const NEWEST_ANCHORS: usize = 100;

/// The records of one object, both ends in it: `records/<first>-<last>.jsonl`, ten or more digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk {
    /// The position of its first record.
    pub first: u64,
    /// The position of its last record.
    pub last: u64,
}

impl Chunk {
    /// The folder of such objects.
    pub const FOLDER: &str = "records/";

    /// The chunk with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (first, last) =
            name.strip_prefix(Self::FOLDER)?.strip_suffix(".jsonl")?.split_once('-')?;
        let chunk = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        // One name for one thing.
        (chunk.first <= chunk.last && chunk.to_string() == name).then_some(chunk)
    }

    /// Stands before the names of all chunks from this position on, and before none of the others.
    #[must_use]
    pub fn before(first: u64) -> String {
        format!("{}{first:010}", Self::FOLDER)
    }

    /// Its records: as many lines as it has positions.
    fn records(self, bytes: &[u8]) -> Option<Vec<&[u8]>> {
        let lines: Vec<&[u8]> = bytes.strip_suffix(b"\n")?.split(|byte| *byte == b'\n').collect();
        let right = |line: &&[u8]| (1..=MAX_RECORD_BYTES).contains(&line.len());
        let whole = lines.len() as u64 == self.last - self.first + 1;
        (whole && lines.iter().all(right)).then_some(lines)
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:010}-{:010}.jsonl", Self::FOLDER, self.first, self.last)
    }
}

/// The name of the signature line of a witness over an anchor.
#[must_use]
pub fn cosignature_name(size: u64, witness: &str) -> String {
    format!("anchors/{size:010}.{witness}.cosignature")
}

/// The name of the certificates and revocation lists of an authority, which says what they are.
#[must_use]
pub fn archive_name(authority: &str, pem: &str) -> String {
    format!("authorities/{authority}-{}.pem", Hash::of(pem.as_bytes()))
}

/// Sealed content as the file of a bundle.
#[must_use]
pub fn blob_file(blob: &Blob) -> Vec<u8> {
    [blob_head(blob).as_bytes(), &blob.sealed].concat()
}

/// What a bundle was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Records in it.
    pub records: u64,
    /// Records that no checkpoint of the copy covers; the next turn of the copy would have written it.
    pub uncovered: u64,
    /// Anchors in it.
    pub anchors: usize,
    /// Anchors that are not in it: not whole, or more than a bundle shows.
    pub anchors_left_out: usize,
}

/// Why no bundle can be made of these objects.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// There are no records.
    #[error("there are no records/ in it: this is no copy of a log")]
    Empty,
    /// Records are missing.
    #[error("the copy has a gap: records {first} to {last} are missing")]
    Gap {
        /// The position of the first.
        first: u64,
        /// The position of the last.
        last: u64,
    },
    /// Two objects hold the same position.
    #[error("two objects of the copy hold record {at}")]
    Overlap {
        /// The position.
        at: u64,
    },
    /// No signed checkpoint covers the first records.
    #[error("there is no signed checkpoint in it over the records that are there")]
    NoCheckpoint,
    /// An object is not what its name says.
    #[error("\"{name}\" is not what its name says")]
    Damaged {
        /// Its name.
        name: String,
    },
    /// An object could not be read.
    #[error("\"{name}\" could not be read")]
    Read {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Reads an object by its name.
pub type ReadObject<'a> = dyn Fn(&str) -> io::Result<Vec<u8>> + 'a;

/// Makes a bundle of the objects of a copy, which have these names below the folder of the log.
///
/// Nothing is believed and nothing repaired: what is wrong in the objects is wrong in the bundle, where
/// a verifier finds it. Objects with other names are passed over.
///
/// # Errors
/// [`CollectError`]; among them every gap in the records.
pub fn collect<W: Write>(
    names: &BTreeSet<String>,
    read: &ReadObject<'_>,
    out: W,
) -> Result<Collected, CollectError> {
    let objects = Objects { names, read };
    let chunks = objects.chunks()?;
    let all = chunks.last().map_or(0, |chunk| chunk.last + 1);
    let records = objects.newest_checkpoint(all)?;
    let anchors = objects.anchors(records)?;
    let content = objects.content();

    // A tar states the length of a file before it, so the records are read twice.
    let mut record_bytes = 0;
    let mut ends: [Option<Vec<u8>>; 2] = [None, None];
    let mut committed = Committed::default();
    objects.each_record(&chunks, records, |seq, bytes| {
        record_bytes += bytes.len() as u64;
        let [first, last] = &mut ends;
        if seq == 0 {
            *first = Some(bytes.to_vec());
        }
        if seq + 1 == records {
            *last = Some(bytes.to_vec());
        }
        if !content.is_empty()
            && let Ok(record) = Record::from_bytes(bytes)
        {
            committed.add(&record.event);
        }
        Ok(())
    })?;
    let subject = subject(&chunks, &ends, records, record_bytes)?;
    let note = objects.note(records)?;
    let mut writer = Writer::new(out, subject, &note)?;
    let earlier: BTreeSet<u64> = anchors.shown.iter().map(|anchor| anchor.inclusion.of).collect();
    for size in earlier.into_iter().filter(|size| *size < records) {
        writer.earlier_checkpoint(size, &objects.note(size)?)?;
    }
    if !anchors.shown.is_empty() {
        for (authority, pem) in objects.archives()? {
            writer.archive(&authority, &pem)?;
        }
    }
    for anchor in &anchors.shown {
        writer.anchor(anchor)?;
    }
    for (part, name) in content {
        let Part::Blob(exchange, part) = part else { continue };
        if committed.names(exchange, part) {
            let bytes = objects.read(name)?;
            let blob = blob(exchange, part, &bytes);
            writer.blob(&blob.ok_or_else(|| CollectError::Damaged { name: name.to_owned() })?)?;
        }
    }
    objects.each_record(&chunks, records, |_, bytes| Ok(writer.record(bytes)?))?;
    writer.finish()?;
    Ok(Collected {
        records,
        uncovered: all - records,
        anchors: anchors.shown.len(),
        anchors_left_out: anchors.left_out,
    })
}

/// What the first and the last record say of the log.
fn subject(
    chunks: &[Chunk],
    ends: &[Option<Vec<u8>>; 2],
    records: u64,
    record_bytes: u64,
) -> Result<Subject, CollectError> {
    let parse = |bytes: &Option<Vec<u8>>, chunk: Option<&Chunk>| {
        let record = bytes.as_deref().and_then(|bytes| Record::from_bytes(bytes).ok());
        let name = chunk.map_or_else(String::new, ToString::to_string);
        record.ok_or(CollectError::Damaged { name })
    };
    let [first, last] = ends;
    let opened = parse(first, chunks.first())?;
    let created = parse(last, chunks.last())?.time;
    let log = opened.log;
    let Event::LogOpened { organisation, verifier_key, .. } = opened.event else {
        let name = chunks.first().map_or_else(String::new, ToString::to_string);
        return Err(CollectError::Damaged { name });
    };
    Ok(Subject { log, organisation, verifier_key, records, pruned: 0, record_bytes, created })
}

fn blob(exchange: crate::ExchangeId, part: crate::BlobPart, bytes: &[u8]) -> Option<Blob> {
    let end = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let (head, sealed) = bytes.split_at_checked(end)?;
    let (key, commitment) = read_blob_head(head)?;
    Some(Blob { exchange, part, key, commitment, sealed: sealed.to_vec() })
}

/// The blocks of a PEM file, each from its first to its last line.
fn pem_blocks(pem: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block = String::new();
    for line in pem.lines() {
        if line.starts_with("-----BEGIN ") {
            block.clear();
        }
        block.push_str(line);
        block.push('\n');
        if line.starts_with("-----END ") {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

/// Of too many, the newest ones and an even choice of the others, ascending.
fn thinned(sizes: &[u64]) -> Vec<u64> {
    if sizes.len() <= MAX_ANCHORS {
        return sizes.to_vec();
    }
    let (older, newest) = sizes.split_at(sizes.len() - NEWEST_ANCHORS);
    let step = older.len().div_ceil(MAX_ANCHORS - NEWEST_ANCHORS);
    older.iter().step_by(step).chain(newest).copied().collect()
}

/// The anchors that a bundle shows.
struct Shown {
    shown: Vec<Anchor>,
    left_out: usize,
}

struct Objects<'a> {
    names: &'a BTreeSet<String>,
    read: &'a ReadObject<'a>,
}

impl<'a> Objects<'a> {
    fn read(&self, name: &str) -> Result<Vec<u8>, CollectError> {
        (self.read)(name).map_err(|source| CollectError::Read { name: name.to_owned(), source })
    }

    fn text(&self, name: &str) -> Result<String, CollectError> {
        String::from_utf8(self.read(name)?)
            .map_err(|_| CollectError::Damaged { name: name.to_owned() })
    }

    fn note(&self, size: u64) -> Result<String, CollectError> {
        self.text(&Part::EarlierCheckpoint(size).to_string())
    }

    /// The chunks in order, from position 0 on, without a gap.
    fn chunks(&self) -> Result<Vec<Chunk>, CollectError> {
        let mut chunks: Vec<Chunk> = self.names.iter().filter_map(|name| Chunk::of(name)).collect();
        chunks.sort_unstable();
        let mut next = 0;
        for chunk in &chunks {
            if chunk.first > next {
                return Err(CollectError::Gap { first: next, last: chunk.first - 1 });
            }
            if chunk.first < next {
                return Err(CollectError::Overlap { at: chunk.first });
            }
            next = chunk.last + 1;
        }
        if chunks.is_empty() { Err(CollectError::Empty) } else { Ok(chunks) }
    }

    /// The size of the newest checkpoint, which must be over records that are there.
    fn newest_checkpoint(&self, all: u64) -> Result<u64, CollectError> {
        let size = |name: &String| {
            if let Part::EarlierCheckpoint(size) = Part::of(name) { Some(size) } else { None }
        };
        let newest = self.names.iter().filter_map(size).max().filter(|size| *size > 0);
        match newest {
            None => Err(CollectError::NoCheckpoint),
            Some(newest) if newest > all => Err(CollectError::Gap { first: all, last: newest - 1 }),
            Some(newest) => Ok(newest),
        }
    }

    fn each_record(
        &self,
        chunks: &[Chunk],
        records: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), CollectError>,
    ) -> Result<(), CollectError> {
        for chunk in chunks.iter().filter(|chunk| chunk.first < records) {
            let name = chunk.to_string();
            let bytes = self.read(&name)?;
            let lines = chunk.records(&bytes).ok_or(CollectError::Damaged { name })?;
            for (seq, line) in (chunk.first..records).zip(lines) {
                visit(seq, line)?;
            }
        }
        Ok(())
    }

    fn anchors(&self, records: u64) -> Result<Shown, CollectError> {
        let has = |size, file| self.names.contains(&Part::Anchor(size, file).to_string());
        let sizes: BTreeSet<u64> = self
            .names
            .iter()
            .filter_map(|name| name.strip_prefix("anchors/")?.split_once('.')?.0.parse().ok())
            .collect();
        let whole: Vec<u64> = sizes
            .iter()
            .copied()
            .filter(|size| has(*size, AnchorFile::Checkpoint) && has(*size, AnchorFile::Inclusion))
            .collect();
        let mut shown = Vec::new();
        for size in thinned(&whole) {
            shown.extend(self.anchor(size, records)?);
        }
        let left_out = sizes.len() - shown.len();
        Ok(Shown { shown, left_out })
    }

    /// An anchor with all that vouches for it; absent where nobody does, or where the checkpoint that it is
    /// over is not there.
    fn anchor(&self, size: u64, records: u64) -> Result<Option<Anchor>, CollectError> {
        let name = Part::Anchor(size, AnchorFile::Inclusion).to_string();
        let inclusion: Inclusion =
            self.text(&name)?.parse().map_err(|_| CollectError::Damaged { name })?;
        let over = Part::EarlierCheckpoint(inclusion.of).to_string();
        if inclusion.of > records || !self.names.contains(&over) {
            return Ok(None);
        }
        let prefix = format!("anchors/{size:010}.");
        let (mut cosignatures, mut stamps) = (String::new(), BTreeMap::new());
        for name in self.names.range(prefix.clone()..) {
            let Some(rest) = name.strip_prefix(&prefix) else { break };
            let named = |ending| rest.strip_suffix(ending).filter(|it| is_authority_name(it));
            if named(".cosignature").is_some() {
                cosignatures.push_str(&self.text(name)?);
            } else if let Some(authority) = named(".tst") {
                stamps.insert(authority.to_owned(), self.read(name)?);
            }
        }
        if cosignatures.is_empty() && stamps.is_empty() {
            return Ok(None);
        }
        let note = self.text(&Part::Anchor(size, AnchorFile::Checkpoint).to_string())?;
        Ok(Some(Anchor { size, note, cosignatures, inclusion, stamps }))
    }

    /// The certificates and revocation lists of each authority, as they were over the years, each once.
    fn archives(&self) -> Result<BTreeMap<String, String>, CollectError> {
        let mut archives: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in self.names {
            let rest = name.strip_prefix("authorities/").and_then(|it| it.strip_suffix(".pem"));
            let Some((authority, _)) = rest.and_then(|rest| rest.rsplit_once('-')) else {
                continue;
            };
            let pem = self.text(name)?;
            if archive_name(authority, &pem) != *name || !is_authority_name(authority) {
                return Err(CollectError::Damaged { name: name.clone() });
            }
            let blocks = archives.entry(authority.to_owned()).or_default();
            blocks.extend(pem_blocks(&pem));
        }
        let joined = |(name, blocks): (String, BTreeSet<String>)| {
            (name, blocks.into_iter().collect::<String>())
        };
        Ok(archives.into_iter().map(joined).collect())
    }

    /// The files of content, in the order of a bundle.
    fn content(&self) -> BTreeMap<Part, &'a str> {
        let names = self.names.iter().map(|name| (Part::of(name), name.as_str()));
        names.filter(|(part, _)| matches!(part, Part::Blob(..))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_one_name() {
        let chunk = Chunk { first: 50, last: 99 };
        assert_eq!(chunk.to_string(), "records/0000000050-0000000099.jsonl");
        assert_eq!(Chunk::of("records/0000000050-0000000099.jsonl"), Some(chunk));
        assert_eq!(Chunk::of("records/0000000007-0000000007.jsonl").map(|it| it.last), Some(7));
        for name in [
            "records/50-99.jsonl",
            "records/0000000099-0000000050.jsonl",
            "records/0000000050-0000000099.json",
            "records/+000000050-0000000099.jsonl",
            "0000000050-0000000099.jsonl",
        ] {
            assert_eq!(Chunk::of(name), None, "{name}");
        }
        assert!(Chunk::before(50) < chunk.to_string());
        assert!(Chunk::before(50) > Chunk { first: 49, last: 49 }.to_string());
    }

    #[test]
    fn a_chunk_has_as_many_lines_as_positions() {
        let chunk = Chunk { first: 3, last: 4 };
        assert_eq!(chunk.records(b"a\nb\n"), Some(vec![&b"a"[..], b"b"]));
        for bytes in [&b"a\n"[..], b"a\nb", b"a\nb\nc\n", b"\nb\n", b"a\n\n", b""] {
            assert_eq!(chunk.records(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn of_too_many_anchors_the_newest_and_an_even_choice_are_shown() {
        let sizes: Vec<u64> = (0..1500).collect();
        assert_eq!(thinned(&sizes), sizes);
        let sizes: Vec<u64> = (0..100_000).collect();
        let shown = thinned(&sizes);
        assert!((1400..=MAX_ANCHORS).contains(&shown.len()), "{}", shown.len());
        assert!(shown.is_sorted() && shown.first() == Some(&0));
        assert_eq!(shown[shown.len() - NEWEST_ANCHORS..], sizes[100_000 - NEWEST_ANCHORS..]);
    }

    #[test]
    fn certificates_are_kept_once_however_often_they_were_copied() {
        let (a, b) =
            ("-----BEGIN X-----\nA\n-----END X-----\n", "-----BEGIN X-----\nB\n-----END X-----\n");
        let files: BTreeMap<String, String> = [a.to_owned(), format!("a comment\n{a}{b}")]
            .map(|pem| (archive_name("example-1", &pem), pem))
            .into();
        let names = files.keys().cloned().collect();
        let read = |name: &str| Ok(files[name].clone().into_bytes());
        let archives = Objects { names: &names, read: &read }.archives().unwrap();
        assert_eq!(archives, [("example-1".to_owned(), format!("{a}{b}"))].into());
        let other = |_: &str| Ok(b.as_bytes().to_vec());
        let refused = Objects { names: &names, read: &other }.archives().unwrap_err();
        assert!(matches!(refused, CollectError::Damaged { .. }), "{refused}");
    }
}
