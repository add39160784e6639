//! Asking outsiders to vouch for the log: time stamps (RFC 3161) and cosignatures (C2SP tlog-witness).
//!
//! What is stamped is a signed checkpoint of the deployment's log, under which the checkpoints of all
//! organisations are. An authority that does not answer is told once in the log and asked again at the
//! next turn, for the newest checkpoint, which covers what waited.

use crate::house::{Error, House, InForce};
use gate::rules::{TimeAuthority, Witness};
use ledger::anchor::{self, Authority, Request};
use ledger::bundle::{Anchor, Inclusion};
use ledger::receipt::{ProvedRecord, TlogProof};
use ledger::witness::AddCheckpoint;
use ledger::{Entry, Event, Hash, Time};
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};
use store::{AnchorRow, StampRow};

/// How far this machine's clock may be from an authority's, in seconds beyond the accuracy of the stamp,
/// before the log says that it is.
const MAX_SKEW_SECONDS: i64 = 5;

/// A log at rest is stamped again when the certificate behind its newest stamp ends within so many days:
/// the stamp of an authority whose certificate has ended stands only under a newer stamp.
const RENEW_DAYS: i64 = 30;

const DAY_SECONDS: i64 = 86_400;

/// A file of certificates and revocation lists.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// What was told of outsiders, so that it is told once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    failing: Mutex<BTreeSet<String>>,
    skewed: Mutex<BTreeSet<String>>,
    /// Records of the log when it was last anchored, its own record of that included.
    anchored: Mutex<Option<u64>>,
}

/// Whether `name` was added to, or taken from, a set of names.
pub(crate) fn turn(set: &Mutex<BTreeSet<String>>, name: &str, on: bool) -> bool {
    let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
    if on { set.insert(name.to_owned()) } else { set.remove(name) }
}

/// Why an outsider did not vouch, in a word for the log.
pub(crate) struct Failing(&'static str);

impl Failing {
    pub(crate) const fn reason(&self) -> &'static str {
        self.0
    }
}

impl House {
    /// Anchors the log where it grew: signs it, has it stamped and cosigned by whom the configuration
    /// names. Without any of them nothing happens.
    ///
    /// # Errors
    /// [`Error`] when the log itself cannot be read or written. What outsiders do is in the log.
    pub async fn anchor(&self) -> Result<(), Error> {
        let Some(in_force) = self.in_force.load_full() else { return Ok(()) };
        let rules = &in_force.rules;
        if rules.authorities().next().is_none() && rules.witnesses().next().is_none() {
            return Ok(());
        }
        let size = self.tenant.head().await?.size();
        let last = *self.told.anchored.lock().unwrap_or_else(PoisonError::into_inner);
        if last != Some(size) || self.renewal_is_due().await? {
            self.tenant.publish_checkpoint(&self.signer).await?;
            self.store.own_log().anchor(&self.deployment_signer, self.clock.now()).await?;
        }
        let outsiders = self.ask_outsiders(&in_force).await;
        let size = self.tenant.head().await?.size();
        *self.told.anchored.lock().unwrap_or_else(PoisonError::into_inner) = Some(size);
        outsiders
    }

    /// Whether a stamp over the newest anchor is by a certificate that ends soon. Once a day is enough.
    async fn renewal_is_due(&self) -> Result<bool, Error> {
        let own_log = self.store.own_log();
        let Some(newest) = own_log.last_stamped().await? else { return Ok(false) };
        let now = self.clock.now();
        Ok(own_log.stamps(newest.size).await?.iter().any(|stamp| {
            now.plus_seconds(RENEW_DAYS * DAY_SECONDS) > stamp.ends
                && now > stamp.stamped.plus_seconds(DAY_SECONDS)
        }))
    }

    async fn ask_outsiders(&self, in_force: &InForce) -> Result<(), Error> {
        for authority in in_force.rules.authorities() {
            let Some(anchor) = self.store.own_log().unstamped(authority.id()).await? else {
                continue;
            };
            match self.stamp(authority, anchor.note.as_bytes()).await {
                Ok(stamp) => self.keep_stamp(authority.id(), &anchor, stamp).await?,
                Err(failing) => self.tell_failing(authority.id(), failing).await?,
            }
        }
        for witness in in_force.rules.witnesses() {
            match self.cosign(witness).await? {
                Ok(()) => drop(turn(&self.told.failing, witness.id(), false)),
                Err(failing) => self.tell_failing(witness.id(), failing).await?,
            }
        }
        Ok(())
    }

    /// Asks for a stamp over a message, mostly an anchor, and checks it as an auditor will.
    pub(crate) async fn stamp(
        &self,
        authority: &TimeAuthority,
        message: &[u8],
    ) -> Result<StampRow, Failing> {
        let roots = read_pem(authority.roots_file()).ok_or(Failing("roots_unreadable"))?;
        let mut trusted = Authority::from_roots(&roots).map_err(|_| Failing("roots_unreadable"))?;
        if let Some(file) = authority.archive_file() {
            let archive = read_pem(file).ok_or(Failing("archive_unreadable"))?;
            trusted = trusted.with_archive(&archive).map_err(|_| Failing("archive_unreadable"))?;
        }
        let trusted = trusted
            .with_policies(authority.policies())
            .map_err(|_| Failing("policies_malformed"))?;
        let mut nonce = [0; anchor::NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let request = Request::new(message, nonce);
        let body = request.as_bytes().to_vec();
        let kind = "application/timestamp-query";
        let (status, answer) = self
            .providers
            .post_hashes(authority.endpoint(), "", kind, body)
            .await
            .map_err(|_| Failing("unreachable"))?;
        if status != 200 {
            return Err(Failing("refused"));
        }
        let token = anchor::token_of(&answer).map_err(|error| {
            tracing::warn!(authority = authority.id(), %error, "no time stamp");
            Failing("refused")
        })?;
        let stamp = anchor::check(token, message, Some(&request), &trusted).map_err(|error| {
            tracing::warn!(authority = authority.id(), %error, "a time stamp does not hold");
            Failing("does_not_hold")
        })?;
        Ok(StampRow {
            authority: authority.id().to_owned(),
            stamped: stamp.time,
            ends: stamp.certificate_ends,
            token: token.to_vec(),
        })
    }

    async fn keep_stamp(
        &self,
        authority: &str,
        anchor: &AnchorRow,
        stamp: StampRow,
    ) -> Result<(), Error> {
        let own_log = self.store.own_log();
        let (stamped, sha256) = (stamp.stamped, Hash::of(&stamp.token));
        match own_log.add_stamp(anchor.size, stamp).await {
            Ok(()) => {}
            // A command beside the server asked at the same time, and was first.
            Err(store::Error::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if turn(&self.told.failing, authority, false) {
            tracing::info!(authority, "stamps the log again");
        }
        let now = self.clock.now();
        let apart = now.as_micros().saturating_sub(stamped.as_micros()).saturating_abs();
        let skewed = apart > MAX_SKEW_SECONDS * 1_000_000;
        if turn(&self.told.skewed, authority, skewed) && skewed {
            tracing::error!(authority, "this machine's clock is not that of the authority");
            let event = Event::ClockSkewed { authority: authority.to_owned(), stamped };
            self.tenant.append_with(Entry::bare(now, event), Vec::new()).await?;
        }
        let Some((_, size)) = own_log.leaf_under(self.tenant.id(), anchor.size).await? else {
            return Ok(());
        };
        let event = Event::Anchored { size, authority: authority.to_owned(), stamped, sha256 };
        self.tenant.append_with(Entry::bare(now, event), Vec::new()).await?;
        Ok(())
    }

    async fn tell_failing(&self, outsider: &str, Failing(reason): Failing) -> Result<(), Error> {
        if turn(&self.told.failing, outsider, true) {
            tracing::error!(outsider, reason, "the log is not anchored there; it is tried again");
            let event =
                Event::AnchorFailing { authority: outsider.to_owned(), reason: reason.to_owned() };
            let entry = Entry::bare(self.clock.now(), event);
            self.tenant.append_with(entry, Vec::new()).await?;
        }
        Ok(())
    }

    /// Has a witness cosign the last anchor, with the proof that it grew from the one before.
    async fn cosign(&self, witness: &Witness) -> Result<Result<(), Failing>, Error> {
        let own_log = self.store.own_log();
        let Some(anchor) = own_log.last_anchor().await? else { return Ok(Ok(())) };
        let mut old = own_log.last_cosigned(witness.id()).await?;
        if old == anchor.size {
            return Ok(Ok(()));
        }
        // A witness that knows another size says so, and is asked once more from there.
        for _ in 0..2 {
            let Some(proof) = own_log.consistency(old, anchor.size).await? else {
                tracing::error!(witness = witness.id(), "has seen more of the log than there is");
                return Ok(Err(Failing("has_seen_more")));
            };
            let request = AddCheckpoint { old, proof, note: anchor.note.clone() };
            let body = request.to_string().into_bytes();
            let answer = self
                .providers
                .post_hashes(witness.endpoint(), "/add-checkpoint", "text/plain", body)
                .await;
            let Ok((status, body)) = answer else { return Ok(Err(Failing("unreachable"))) };
            let text = String::from_utf8(body).unwrap_or_default();
            match (status, text.trim().parse::<u64>()) {
                (200, _) => return self.keep_cosignature(witness, &anchor, &text).await,
                (409, Ok(size)) if size != old => old = size,
                (422, _) => return Ok(Err(Failing("sees_another_past"))),
                _ => return Ok(Err(Failing("refused"))),
            }
        }
        Ok(Err(Failing("refused")))
    }

    async fn keep_cosignature(
        &self,
        witness: &Witness,
        anchor: &AnchorRow,
        lines: &str,
    ) -> Result<Result<(), Failing>, Error> {
        // Lines of other keys are not kept: nobody here could say whose they are.
        let held = lines
            .lines()
            .map(|line| format!("{line}\n"))
            .find(|line| witness.key().seconds_of(&format!("{}{line}", anchor.note)).is_ok());
        let Some(line) = held else { return Ok(Err(Failing("does_not_hold"))) };
        match self.store.own_log().add_cosignature(anchor.size, witness.id(), &line).await {
            Ok(()) | Err(store::Error::Conflict) => Ok(Ok(())),
            Err(error) => Err(error.into()),
        }
    }

    /// The anchors that a bundle of the first `records` records shows: the last of each day, and the
    /// newest hundred.
    pub(crate) async fn anchors(&self, records: u64) -> Result<Vec<Anchor>, Error> {
        let mut anchors = Vec::new();
        for row in self.store.own_log().shown_anchors().await? {
            anchors.extend(self.shown(row, records).await?);
        }
        Ok(anchors)
    }

    /// An anchor with all that vouches for it; absent when it is over more than `records` records.
    pub(crate) async fn shown(
        &self,
        row: AnchorRow,
        records: u64,
    ) -> Result<Option<Anchor>, Error> {
        let own_log = self.store.own_log();
        let under = own_log.leaf_under(self.tenant.id(), row.size).await?;
        let Some((index, of)) = under.filter(|(_, of)| *of <= records) else { return Ok(None) };
        let Some(path) = own_log.inclusion(index, row.size).await? else { return Ok(None) };
        let stamps = own_log.stamps(row.size).await?;
        Ok(Some(Anchor {
            size: row.size,
            note: row.note,
            cosignatures: own_log.cosignatures(row.size).await?,
            inclusion: Inclusion { of, index, path },
            stamps: stamps.into_iter().map(|stamp| (stamp.authority, stamp.token)).collect(),
        }))
    }

    /// The record at a position, with the proof that it is in the log and the first anchor over it.
    /// Without an anchor yet, the newest checkpoint has to do.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read. Absent when there is no such record.
    pub async fn prove(&self, seq: u64) -> Result<Option<ProvedRecord>, Error> {
        let Some(record) = self.tenant.record(seq).await? else { return Ok(None) };
        if self.tenant.last_checkpoint().await?.is_none_or(|last| last.size <= seq) {
            self.tenant.publish_checkpoint(&self.signer).await?;
        }
        let over = self.store.own_log().first_anchor_over(self.tenant.id(), seq).await?;
        let anchor = match over {
            Some(row) => self.shown(row, u64::MAX).await?,
            None => None,
        };
        let checkpoint = match &anchor {
            Some(anchor) => self.tenant.checkpoint(anchor.inclusion.of).await?,
            None => self.tenant.last_checkpoint().await?,
        };
        let checkpoint = checkpoint.ok_or(Error::Empty)?;
        let path = self.tenant.inclusion(seq, checkpoint.size).await?.ok_or(Error::Empty)?;
        let archives = if anchor.is_some() { self.archives() } else { Vec::new() };
        Ok(Some(ProvedRecord {
            record,
            proof: TlogProof { index: seq, path, note: checkpoint.note },
            archives,
            anchors: anchor.into_iter().collect(),
        }))
    }

    /// The certificates and revocation lists of the authorities in force, in order of id.
    pub(crate) fn archives(&self) -> Vec<(String, String)> {
        let Some(in_force) = self.in_force.load_full() else { return Vec::new() };
        let archive = |authority: &TimeAuthority| {
            let mut pem = read_pem(authority.roots_file())?;
            if let Some(file) = authority.archive_file() {
                pem.extend(read_pem(file)?);
            }
            Some((authority.id().to_owned(), String::from_utf8(pem).ok()?))
        };
        in_force.rules.authorities().filter_map(archive).collect()
    }

    /// When the log was last stamped, by which authority; absent when it never was.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn last_stamp(&self) -> Result<Option<(String, Time)>, Error> {
        let own_log = self.store.own_log();
        let Some(last) = own_log.last_stamped().await? else { return Ok(None) };
        let stamps = own_log.stamps(last.size).await?;
        Ok(stamps.into_iter().map(|stamp| (stamp.authority, stamp.stamped)).next())
    }
}

fn read_pem(path: &std::path::Path) -> Option<Vec<u8>> {
    let readable = fs::metadata(path).is_ok_and(|file| file.len() <= MAX_PEM_BYTES);
    if readable { fs::read(path).ok() } else { None }
}
