//! The proof that one record is in a log: a receipt, made to be checked by itself.
//!
//! It holds the record, the proof that it is under a signed checkpoint (C2SP tlog-proof), and who vouches
//! for that checkpoint; no other record, only hashes of others. It is a tar file with the anchors of a
//! bundle:
//!
//! | file | content |
//! |---|---|
//! | `record` | the exact bytes of the record |
//! | `record.tlog-proof` | its position, the proof, and the signed checkpoint, C2SP tlog-proof |
//! | `authorities/...`, `anchors/...` | as in a bundle, see `docs/bundle.md` |

use crate::bundle::{Anchor, AnchorFile, MAX_SMALL_FILE_BYTES, Part, write_file, write_tar_end};
use crate::checkpoint::{self, VerifierKey};
use crate::glance::Glance;
use crate::proof::{MAX_PROOF_HASHES, check_inclusion};
use crate::tree::leaf_hash;
use crate::verify::{Anchored, Anchors, Problem, ProblemKind, Trust, Witnessed};
use crate::{Hash, MAX_RECORD_BYTES, Time};
use data_encoding::BASE64;
use serde::Serialize;
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

/// The name of the record in the file. No bundle begins with it.
pub const RECORD: &str = "record";
const PROOF: &str = "record.tlog-proof";
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Where a leaf is under a signed checkpoint: the text of C2SP tlog-proof, without extra data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// The position of the leaf.
    pub index: u64,
    /// The proof, RFC 9162 section 2.1.3.
    pub path: Vec<Hash>,
    /// The signed note.
    pub note: String,
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// The text is not a proof of the form of C2SP tlog-proof without extra data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a proof of the form of C2SP tlog-proof")]
pub struct MalformedProof;

impl FromStr for TlogProof {
    type Err = MalformedProof;

    fn from_str(text: &str) -> Result<Self, MalformedProof> {
        let (head, note) = text.split_once("\n\n").ok_or(MalformedProof)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(MalformedProof);
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|index| index.parse().ok()).ok_or(MalformedProof)?;
        let hash = |line: &str| {
            let bytes = BASE64.decode(line.as_bytes()).ok()?;
            Some(Hash::from_bytes(bytes.try_into().ok()?))
        };
        let path = lines.map(hash).collect::<Option<Vec<_>>>().ok_or(MalformedProof)?;
        let this = Self { index, path, note: note.to_owned() };
        // One text for one meaning.
        let short = this.path.len() <= MAX_PROOF_HASHES;
        if short && this.to_string() == text { Ok(this) } else { Err(MalformedProof) }
    }
}

/// A record, and what shows that it is in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedRecord {
    /// The exact bytes of the record.
    pub record: Vec<u8>,
    /// Where it is under a signed checkpoint.
    pub proof: TlogProof,
    /// Certificates and revocation lists of the authorities, by their names, ascending.
    pub archives: Vec<(String, String)>,
    /// Who vouches for that checkpoint.
    pub anchors: Vec<Anchor>,
}

impl ProvedRecord {
    /// Writes the file. Equal values write equal bytes.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_file(out, RECORD, &self.record)?;
        write_file(out, PROOF, self.proof.to_string().as_bytes())?;
        for (authority, pem) in &self.archives {
            write_file(out, &format!("authorities/{authority}.pem"), pem.as_bytes())?;
        }
        for anchor in &self.anchors {
            for (name, bytes) in anchor.files() {
                write_file(out, &name, &bytes)?;
            }
        }
        write_tar_end(out)
    }
}

/// What the check of a proved record found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReceiptVerdict {
    /// Whether nothing is wrong.
    pub good: bool,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is worth knowing and is no fault.
    pub warnings: Vec<String>,
    /// The log's name.
    pub log: Option<String>,
    /// The record's position.
    pub seq: Option<u64>,
    /// The record's time, by the clock of the server that wrote it.
    pub time: Option<Time>,
    /// The leaf hash of the record, as its receipt names it.
    pub leaf: Option<Hash>,
    /// Records under the checkpoint.
    pub checkpoint_size: Option<u64>,
    /// Whether a trusted key signed the checkpoint.
    pub key_trusted: bool,
    /// Stamps of trusted authorities that hold.
    pub stamps: Vec<Anchored>,
    /// Cosignatures of trusted witnesses that hold.
    pub witnessed: Vec<Witnessed>,
}

impl ReceiptVerdict {
    fn fault(&mut self, kind: ProblemKind, words: &str) {
        self.problems.push(Problem { at: self.seq, kind, words: words.to_owned() });
    }
}

/// A check under way: the files are handed over in their order, then it is finished.
#[derive(Debug)]
pub struct ReceiptCheck {
    keys: Vec<VerifierKey>,
    trust_given: bool,
    anchors: Anchors,
    record: Option<Vec<u8>>,
    proof: Option<TlogProof>,
    last: Option<String>,
    verdict: ReceiptVerdict,
}

impl ReceiptCheck {
    /// Begins a check by someone who trusts `trust`.
    #[must_use]
    pub fn new(trust: &Trust) -> Self {
        Self {
            keys: trust.keys.clone(),
            trust_given: !trust.is_empty(),
            anchors: Anchors::new(trust),
            record: None,
            proof: None,
            last: None,
            verdict: ReceiptVerdict::default(),
        }
    }

    /// Takes the next file.
    ///
    /// # Errors
    /// Those of reading. What is wrong with the file is in the verdict.
    pub fn file(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        content.take(MAX_SMALL_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SMALL_FILE_BYTES {
            self.verdict.fault(ProblemKind::Format, &format!("{name} is too long"));
            return Ok(());
        }
        let before = |last: &str| (Part::of(last), last) >= (Part::of(name), name);
        let late = match (name, self.last.as_deref()) {
            (RECORD | PROOF, _) => false,
            (_, Some(last)) => before(last),
            (_, None) => self.proof.is_none(),
        };
        if late {
            self.verdict
                .fault(ProblemKind::Format, &format!("{name} stands twice or out of order"));
            return Ok(());
        }
        let result = match (name, Part::of(name)) {
            (RECORD, _) if self.record.is_none() => {
                self.record = Some(bytes);
                return Ok(());
            }
            (PROOF, _) if self.proof.is_none() => {
                let text = String::from_utf8(bytes).unwrap_or_default();
                self.proof = text.parse().ok();
                if self.proof.is_none() {
                    self.verdict.fault(ProblemKind::Format, &format!("{name} is not a proof"));
                }
                return Ok(());
            }
            (_, Part::Archive) => self.anchors.archive(&bytes),
            (_, Part::Anchor(size, file)) => self.anchor(size, file, &bytes),
            _ => {
                self.verdict.fault(ProblemKind::Format, &format!("{name} is no part of a receipt"));
                return Ok(());
            }
        };
        self.last = Some(name.to_owned());
        if let Err(problem) = result {
            self.verdict.problems.push(problem);
        }
        Ok(())
    }

    fn anchor(&mut self, size: u64, file: AnchorFile, bytes: &[u8]) -> Result<(), Problem> {
        let note = self.proof.as_ref().map(|proof| proof.note.clone()).unwrap_or_default();
        let claimed = checkpoint::claimed(&note).map(|claimed| claimed.size);
        self.anchors.file(size, file, bytes, |of| (Some(of) == claimed).then(|| note.clone()))
    }

    /// Notes that the file is damaged as a whole.
    pub fn damaged(&mut self, words: &str) {
        self.verdict.fault(ProblemKind::Format, words);
    }

    /// Ends the check.
    #[must_use]
    pub fn finish(mut self) -> ReceiptVerdict {
        self.check_record();
        let mut verdict = self.verdict;
        // The bounds are those of the stamps, so they are asked for before the stamps are handed over.
        let mut bounds = self.anchors.bounds();
        verdict.stamps = std::mem::take(&mut self.anchors.stamps);
        verdict.witnessed = std::mem::take(&mut self.anchors.witnessed);
        if self.anchors.unchecked > 0 {
            verdict.warnings.push("time stamps were not checked: trust no authority".to_owned());
        }
        if self.anchors.untrusted > 0 {
            verdict
                .warnings
                .push("time stamps are by authorities that you do not trust".to_owned());
        }
        let deployment = verdict.log.as_deref().and_then(|log| log.rsplit_once('/')).map(|it| it.0);
        if self.anchors.origins().iter().any(|origin| Some(origin.as_str()) != deployment) {
            verdict.fault(ProblemKind::Anchor, "an anchor is of another deployment than the log");
        }
        if let Some(time) = verdict.time
            && let Some(misdated) = bounds.contradicted(0, time)
        {
            verdict.fault(ProblemKind::Misdated, &misdated.words);
        }
        verdict.good = verdict.problems.is_empty();
        verdict
    }

    fn check_record(&mut self) {
        let (Some(record), Some(proof)) = (&self.record, &self.proof) else {
            self.verdict.fault(ProblemKind::Format, "the record or its proof is missing");
            return;
        };
        let glance = Glance::read(record, None).ok().filter(|_| record.len() <= MAX_RECORD_BYTES);
        let Some(glance) = glance else {
            self.verdict.fault(ProblemKind::Edited, "the bytes are not a record");
            return;
        };
        let leaf = leaf_hash(record);
        let (log, seq) = (glance.log.to_string(), glance.seq);
        self.verdict.time = Some(glance.time);
        self.verdict.leaf = Some(leaf);
        self.verdict.seq = Some(seq);
        let claimed = checkpoint::claimed(&proof.note);
        let size = claimed.as_ref().map(|claimed| claimed.size);
        let fits = claimed.is_some_and(|claimed| {
            claimed.origin == log
                && proof.index == seq
                && check_inclusion(&leaf, seq, claimed.size, &proof.path, &claimed.root).is_ok()
        });
        let own: Vec<&VerifierKey> = self.keys.iter().filter(|key| key.name() == log).collect();
        self.verdict.key_trusted = own.iter().any(|key| key.open(&proof.note).is_ok());
        self.verdict.checkpoint_size = size;
        self.verdict.log = Some(log);
        if !fits {
            self.verdict.fault(ProblemKind::Edited, "the record is not under the checkpoint");
        }
        if !self.verdict.key_trusted {
            let words = "no trusted key signed the checkpoint";
            if self.trust_given {
                self.verdict.fault(ProblemKind::Signature, words);
            } else {
                self.verdict.warnings.push(format!("{words}: give the log's key by --trust"));
            }
        }
    }
}
