//! The executed agreements themselves: filed, read, verified, and disposed of when their time is over.
//!
//! A document is sealed under a key of its own, which the organisation's key wraps in the key store, so
//! that one can be disposed of alone and a change of the organisation's key leaves it readable. Its record
//! names its SHA-256 and who signed it on which day, so the log's signature and stamps vouch for it
//! (45 CFR 164.308(b)(3), 164.316(b)(1)).
//!
//! It is kept for as long as its agreement is in effect, and then for the days of the schedule: six years
//! count from the last day in effect (45 CFR 164.316(b)(2)(i), 164.530(j)(2)).

use crate::export::{ReadError, parse};
use crate::house::{Error, House};
use crate::identity::is_name;
use crate::retention::{SCHEDULE, in_force, system};
use gate::agreement::Registry;
use gate::rules::Rules;
use ledger::checkpoint::VerifierKey;
use ledger::seal::ContentKey;
use ledger::{Actor, Day, Entry, Event, Hash, Receipt, Record, Time, proof, tree};
use std::collections::{BTreeMap, BTreeSet};
use store::{DocumentRow, Effect, Forgotten, NewDocument, Sought, Term};
use zeroize::Zeroizing;

/// The largest document that is filed: a contract with scanned pages, well inside what one entry may
/// weigh.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// People who sign one agreement, with room.
const MAX_SIGNATORIES: usize = 16;

/// An executed document that is to be filed.
#[derive(Debug)]
pub struct Filing {
    /// The agreement or evidence of the configuration in force.
    pub agreement: String,
    /// The document.
    pub document: Vec<u8>,
    /// Who signed it; they become part of the log.
    pub signatories: Vec<String>,
    /// The day on which the last of them signed.
    pub signed: Day,
}

/// A document that was filed.
#[derive(Clone, Copy, Debug)]
pub struct Filed {
    /// Where it is recorded.
    pub receipt: Receipt,
    /// SHA-256 of the document.
    pub sha256: Hash,
}

/// Nothing was filed, found or read.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// The house failed, or the document is not the one that was filed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No such agreement is in force.
    #[error(
        "the configuration in force has no agreement or evidence of that id; it has {}",
        listed(.known)
    )]
    Unknown {
        /// The ids that there are.
        known: Vec<String>,
    },
    /// Who signed cannot be shown.
    #[error("name 1 to 16 people who signed, each in 1 to 128 bytes without control characters")]
    Signatories,
    /// It was signed on a day that is still to come.
    #[error("the day on which it was signed is still to come")]
    NotYetSigned,
    /// The document has no bytes.
    #[error("the document is empty")]
    Empty,
    /// The document is too large.
    #[error("the document is larger than 16 MiB; file a smaller scan of it")]
    TooLarge,
    /// The configuration says that the executed document is another one.
    #[error(
        "the configuration says of that agreement document_sha256 = \"{expected}\", and the document has \
         {found}"
    )]
    OtherDocument {
        /// SHA-256 in the configuration.
        expected: Hash,
        /// SHA-256 of the document.
        found: Hash,
    },
    /// Nothing was filed.
    #[error("no document of that agreement was filed")]
    NotFiled,
    /// The document is gone.
    #[error("the document was disposed of; its record is {receipt}")]
    Disposed {
        /// Where its filing is recorded.
        receipt: Receipt,
    },
    /// The record is not part of the log.
    #[error("the record {receipt} is not under the last signed checkpoint: the log was changed")]
    Unproved {
        /// Where it should be.
        receipt: Receipt,
    },
}

impl From<Error> for AgreementError {
    fn from(error: Error) -> Self {
        Self::Read(error.into())
    }
}

impl From<store::Error> for AgreementError {
    fn from(error: store::Error) -> Self {
        Error::from(error).into()
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Which of the documents that were filed for an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that was filed last.
    Newest,
    /// The one whose record is at this position.
    At(u64),
}

/// A document to be compared with the log.
#[derive(Clone, Copy, Debug)]
pub enum Document<'a> {
    /// The one that is stored.
    Stored,
    /// Somebody's copy.
    Given(&'a [u8]),
}

/// A document as the log says that it was filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledDocument {
    /// The agreement or evidence.
    pub agreement: String,
    /// Where it is recorded.
    pub receipt: Receipt,
    /// When it was filed.
    pub filed: Time,
    /// SHA-256 of the document.
    pub sha256: Hash,
    /// Its bytes.
    pub size: u64,
    /// Who signed it.
    pub signatories: Vec<String>,
    /// The day on which the last of them signed.
    pub signed: Day,
    /// Whether the document is kept; it goes with its disposal.
    pub kept: bool,
}

/// What a document is that was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has this SHA-256.
    Digest(Hash),
    /// Its sealed bytes do not open: they are not those that were stored.
    Unopened,
}

/// A document, compared with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the record says, which is proved to be under a signed checkpoint.
    pub recorded: FiledDocument,
    /// What the document is.
    pub found: Found,
}

impl Checked {
    /// Whether it is the document of the record.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found == Found::Digest(self.recorded.sha256)
    }
}

/// A record of a filing, and its row where there is one.
struct Recorded {
    document: FiledDocument,
    row: Option<DocumentRow>,
    leaf: Hash,
}

impl House {
    /// Keeps the executed document of an agreement of the configuration in force, sealed, and records its
    /// SHA-256, who signed it and when.
    ///
    /// # Errors
    /// [`AgreementError`]: nothing was filed.
    pub async fn file_agreement(
        &self,
        filing: Filing,
        actor: Actor,
    ) -> Result<Filed, AgreementError> {
        let Filing { agreement, document, signatories, signed } = filing;
        let sha256 = Hash::of(&document);
        self.may_be_filed(&agreement, sha256)?;
        if document.is_empty() {
            return Err(AgreementError::Empty);
        }
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(AgreementError::TooLarge);
        }
        let named = signatories.iter().all(|name| is_name(name));
        if !named || signatories.is_empty() || signatories.len() > MAX_SIGNATORIES {
            return Err(AgreementError::Signatories);
        }
        let now = self.clock.now();
        if signed > now.day() {
            return Err(AgreementError::NotYetSigned);
        }
        let key = self.content_keys.begin_document().await.map_err(Error::from)?;
        let binding = self.document_binding(&agreement, sha256);
        let sealed = key.seal_small(&binding, &document, &*self.entropy);
        let size = document.len() as u64;
        drop(document);
        let effect = Effect::AddDocument(NewDocument {
            agreement: agreement.clone(),
            key: key.id(),
            sha256,
            sealed,
        });
        let event = Event::AgreementFiled { actor, agreement, sha256, size, signatories, signed };
        let entry = Entry::bare(now, event);
        let receipt = self.tenant.append_with(entry, vec![effect]).await.map_err(Error::from)?;
        self.tenant.publish_checkpoint(&self.signer).await?;
        Ok(Filed { receipt, sha256 })
    }

    /// Whether the configuration in force has the agreement, and nothing against this document.
    fn may_be_filed(&self, agreement: &str, found: Hash) -> Result<(), AgreementError> {
        let in_force = self.in_force.load();
        let registry = in_force.as_ref().map(|it| it.rules.registry());
        if registry.and_then(|registry| registry.ends(agreement)).is_none() {
            let ids = registry.into_iter().flat_map(Registry::ids);
            return Err(AgreementError::Unknown { known: ids.map(ToString::to_string).collect() });
        }
        match registry.and_then(|registry| registry.document_sha256(agreement)) {
            Some(expected) if expected != found => {
                Err(AgreementError::OtherDocument { expected, found })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The documents that were filed, those too that were disposed of, oldest first.
    ///
    /// # Errors
    /// [`AgreementError`] when they cannot be read.
    pub async fn filed_agreements(&self) -> Result<Vec<FiledDocument>, AgreementError> {
        let rows = self.documents().await?;
        let filed = rows.into_iter().map(|row| {
            let record = row.record.clone();
            Ok(self.recorded(&record, Some(row))?.ok_or(ReadError::Malformed)?.document)
        });
        filed.collect()
    }

    /// Compares a document with the record of its filing, whose proof is checked.
    ///
    /// # Errors
    /// [`AgreementError`]: there is nothing to compare, or the record is not part of the log.
    pub async fn verify_agreement(
        &self,
        agreement: &str,
        which: Which,
        document: Document<'_>,
    ) -> Result<Checked, AgreementError> {
        let Recorded { document: recorded, row, leaf } = self.filing(agreement, which).await?;
        self.check_proof(&recorded.receipt, leaf).await?;
        let found = match document {
            Document::Given(bytes) => Found::Digest(Hash::of(bytes)),
            Document::Stored => {
                let gone = || AgreementError::Disposed { receipt: recorded.receipt };
                let row = row.filter(|row| row.kept).ok_or_else(gone)?;
                let sealed = self.tenant.document(row.seq).await?.ok_or_else(gone)?;
                let key = self.content_keys.document_key(row.key).await.map_err(Error::from)?;
                let key = key.ok_or_else(gone)?;
                match self.unseal(&key, &recorded.agreement, recorded.sha256, &sealed) {
                    Some(bytes) => Found::Digest(Hash::of(&bytes)),
                    None => Found::Unopened,
                }
            }
        };
        Ok(Checked { recorded, found })
    }

    /// Opens the document of an agreement. That it was read, and by whom, is recorded before it is given
    /// out.
    ///
    /// # Errors
    /// [`AgreementError`]; a document that is not the one that was filed is not given out.
    pub async fn read_agreement(
        &self,
        agreement: &str,
        which: Which,
        actor: Actor,
    ) -> Result<Zeroizing<Vec<u8>>, AgreementError> {
        let Recorded { document: recorded, row, leaf } = self.filing(agreement, which).await?;
        self.check_proof(&recorded.receipt, leaf).await?;
        let gone = || AgreementError::Disposed { receipt: recorded.receipt };
        let row = row.filter(|row| row.kept).ok_or_else(gone)?;
        let document = self.open_document(&row).await?.ok_or_else(gone)?;
        if Hash::of(&document) != recorded.sha256 {
            return Err(ReadError::Document { agreement: recorded.agreement }.into());
        }
        let (agreement, sha256) = (recorded.agreement, recorded.sha256);
        let event = Event::AgreementRead { actor, agreement, sha256 };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        Ok(document)
    }

    /// A document as it was filed; absent when its key was destroyed.
    pub(crate) async fn open_document(
        &self,
        row: &DocumentRow,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let Some(sealed) = self.tenant.document(row.seq).await? else { return Ok(None) };
        let key = self.content_keys.document_key(row.key).await.map_err(Error::from)?;
        let Some(key) = key else { return Ok(None) };
        let opened = self.unseal(&key, &row.agreement, row.sha256, &sealed);
        let opened = opened.filter(|document| Hash::of(document) == row.sha256);
        let agreement = row.agreement.clone();
        opened.map(Some).ok_or(ReadError::Document { agreement })
    }

    fn unseal(
        &self,
        key: &ContentKey,
        agreement: &str,
        sha256: Hash,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        key.open_small(&self.document_binding(agreement, sha256), sealed).ok()
    }

    /// The documents; one whose key was destroyed is not kept.
    async fn documents(&self) -> Result<Vec<DocumentRow>, Error> {
        let keys = self.store.keys().document_keys(self.log.tenant).await?;
        let keys: BTreeSet<_> = keys.into_iter().map(|(id, _)| id).collect();
        let mut rows = self.tenant.documents().await?;
        for row in &mut rows {
            row.kept &= keys.contains(&row.key);
        }
        Ok(rows)
    }

    /// What a document is bound to: moved to another agreement it does not open.
    fn document_binding(&self, agreement: &str, sha256: Hash) -> String {
        format!("bulla-document-1|{}|{agreement}|{sha256}", self.log)
    }

    /// The record of a filing of this agreement: of the log, or kept with the document where the log no
    /// longer has it.
    async fn filing(&self, agreement: &str, which: Which) -> Result<Recorded, AgreementError> {
        let wanted = |seq: u64| match which {
            Which::Newest => true,
            Which::At(at) => at == seq,
        };
        // The record decides what a row is of: whoever can write the database can move a row to another
        // agreement or position.
        let of_it = |seq: u64, it: &Recorded| {
            it.document.agreement == agreement && it.document.receipt.seq == seq && wanted(seq)
        };
        let mut found = None;
        for row in self.documents().await? {
            if row.agreement == agreement && wanted(row.seq) {
                let (seq, kept) = (row.seq, row.record.clone());
                let record = self.tenant.record(seq).await?.unwrap_or(kept);
                found = self.recorded(&record, Some(row))?.filter(|it| of_it(seq, it)).or(found);
            }
        }
        // A filing whose row is missing is one all the same.
        let mut next = found.as_ref().map(|found: &Recorded| found.document.receipt.seq + 1);
        let size = self.tenant.head().await?.size();
        let sought = Sought {
            terms: vec![Term::kind("agreement.filed")],
            since: None,
            until: None,
            scan: false,
        };
        next = next.or(Some(0));
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, size).await?;
            for (seq, bytes) in candidates.records {
                let recorded = self.recorded(&bytes, None)?;
                found = recorded.filter(|it| of_it(seq, it)).or(found);
            }
            next = candidates.next;
        }
        found.ok_or(AgreementError::NotFiled)
    }

    /// What the record of a filing says; absent when it is of another kind.
    fn recorded(
        &self,
        bytes: &[u8],
        row: Option<DocumentRow>,
    ) -> Result<Option<Recorded>, ReadError> {
        let Record { seq, time: filed, event, .. } = parse(bytes)?;
        let Event::AgreementFiled { agreement, sha256, size, signatories, signed, .. } = event
        else {
            return Ok(None);
        };
        let leaf = tree::leaf_hash(bytes);
        let receipt = Receipt { log: self.log, seq, leaf };
        let kept = row.as_ref().is_some_and(|row| row.kept);
        let document =
            FiledDocument { agreement, receipt, filed, sha256, size, signatories, signed, kept };
        Ok(Some(Recorded { document, row, leaf }))
    }

    /// Checks that a record is under the last checkpoint that this log's key signed.
    async fn check_proof(&self, receipt: &Receipt, leaf: Hash) -> Result<(), AgreementError> {
        let unproved = || AgreementError::Unproved { receipt: *receipt };
        let seq = receipt.seq;
        if self.tenant.last_checkpoint().await?.is_none_or(|last| last.size <= seq) {
            self.tenant.publish_checkpoint(&self.signer).await?;
        }
        let last = self.tenant.last_checkpoint().await?.ok_or_else(unproved)?;
        let key = VerifierKey::parse(&self.signer.verifier_key()).map_err(|_| unproved())?;
        let signed = key.open(&last.note).map_err(|_| unproved())?;
        let path = self.tenant.inclusion(seq, signed.size).await?.ok_or_else(unproved)?;
        proof::check_inclusion(&leaf, seq, signed.size, &path, &signed.root).map_err(|_| unproved())
    }

    /// Disposes of the documents whose time is over. Says how many that were.
    ///
    /// # Errors
    /// [`Error`] when keys or log cannot be read or written. What is recorded by then is carried out by
    /// the next sweep.
    pub async fn retire_agreements(&self) -> Result<u64, Error> {
        self.finish_disposals().await?;
        let mut disposed = 0;
        // A document that was filed twice goes once, when the later filing's time is over.
        let mut documents = BTreeMap::new();
        for row in self.documents().await?.into_iter().filter(|row| row.kept) {
            documents.insert((row.agreement.clone(), *row.sha256.as_bytes()), row);
        }
        for row in documents.into_values() {
            // A hold over everything covers documents too; one over an exchange covers none.
            let holds = self.tenant.holds().await?;
            if in_force(&holds).any(|hold| hold.unit.is_none()) {
                break;
            }
            if !self.is_due(&row).await? {
                continue;
            }
            tracing::info!(agreement = %row.agreement, "the schedule disposes of a document");
            let DocumentRow { agreement, sha256, .. } = row;
            let authority = SCHEDULE.to_owned();
            let event = Event::AgreementDisposed { actor: system(), agreement, sha256, authority };
            self.record_disposal(event).await?;
            disposed += 1;
        }
        Ok(disposed)
    }

    /// Whether the time of a document is over: the days of the schedule, from its filing and from the day
    /// on which its agreement was last in effect, whichever is later.
    async fn is_due(&self, row: &DocumentRow) -> Result<bool, Error> {
        let retention = self.retention();
        let now = self.clock.now();
        let Ok(Record { time: filed, .. }) = Record::from_bytes(&row.record) else {
            tracing::error!(seq = row.seq, "the record of a document does not parse");
            return Ok(false);
        };
        if retention.contract_due(filed.day()) > now.day() {
            return Ok(false);
        }
        let InEffect::Until(last) = self.in_effect(&row.agreement, now).await? else {
            return Ok(false);
        };
        let last = last.map_or(filed, |last| last.max(filed));
        Ok(retention.contract_due(last.day()) <= now.day())
    }

    /// Until when an agreement was in effect, from every version of the configuration that ever was. In
    /// one version it is in effect until it ends or the next version takes its place.
    async fn in_effect(&self, agreement: &str, now: Time) -> Result<InEffect, Error> {
        let mut replaced = None;
        for version in self.tenant.configurations().await?.iter().rev() {
            let until = replaced.unwrap_or(now).max(version.applied_at);
            let ends = match self.tenant.configuration_version(version.version).await? {
                Some(row) => ends(&row.bytes, agreement),
                None => Ends::Unknown,
            };
            match ends {
                // Fail closed: what cannot be read may have had it.
                Ends::Unknown if replaced.is_none() => return Ok(InEffect::Today),
                Ends::At(ends) if replaced.is_none() && ends > now => return Ok(InEffect::Today),
                Ends::Unknown => return Ok(InEffect::Until(Some(until))),
                Ends::At(ends) if ends > version.applied_at => {
                    return Ok(InEffect::Until(Some(ends.min(until))));
                }
                Ends::At(_) | Ends::Absent => {}
            }
            replaced = Some(version.applied_at);
        }
        Ok(InEffect::Until(None))
    }

    /// Destroys the keys of the documents that the disposal at position `seq` speaks of: those that were
    /// filed before it.
    pub(crate) async fn destroy_documents(
        &self,
        seq: u64,
        agreement: &str,
        sha256: Hash,
    ) -> Result<(), Error> {
        // A hold may have come between the record and this moment: then it waits.
        let holds = self.tenant.holds().await?;
        if in_force(&holds).any(|hold| hold.unit.is_none()) {
            return Ok(());
        }
        let rows = self.tenant.documents().await?.into_iter();
        let going = rows.filter(|row| {
            row.seq < seq && row.kept && row.agreement == agreement && row.sha256 == sha256
        });
        let keys: Vec<_> = going.map(|row| row.key).collect();
        self.store.keys().destroy_document_keys(self.log.tenant, keys.clone()).await?;
        let forgotten = keys.into_iter().map(Forgotten::Document).collect();
        Ok(self.tenant.forget(seq, forgotten).await?)
    }
}

/// Until when an agreement was in effect.
enum InEffect {
    /// It is.
    Today,
    /// Until this moment; never, as far as the configuration says, when absent.
    Until(Option<Time>),
}

/// When an agreement ends, as one version of the configuration says.
enum Ends {
    At(Time),
    Absent,
    /// The version does not parse: it was written by another version of the program.
    Unknown,
}

fn ends(file: &[u8], agreement: &str) -> Ends {
    let rules = std::str::from_utf8(file).ok().and_then(|text| Rules::parse(text).ok());
    match rules {
        Some(rules) => rules.registry().ends(agreement).map_or(Ends::Absent, Ends::At),
        None => Ends::Unknown,
    }
}
