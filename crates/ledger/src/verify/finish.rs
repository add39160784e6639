//! The end of a verification: what can be said only when everything was seen.

use super::{KeySource, ProblemKind, Verdict, Verification};
use crate::bundle::{Listed, Part};
use crate::checkpoint::{NoteError, VerifierKey};

impl Verification {
    /// Ends the verification.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        let settled = self.bounds.settle(self.bounds.skew());
        self.settle(settled);
        self.finish_chain();
        self.finish_signature();
        self.finish_marks();
        self.finish_anchors();
        self.finish_files();
        if self.broken.is_none()
            && self.verdict.records > 0
            && let Some(stray) = self.content.unnamed()
        {
            let words = format!("content of {stray}: no record commits to it");
            self.fault(ProblemKind::Content, &words);
        }
        let (disposed, checked) = self.disposals.finish();
        self.verdict.disposed = disposed;
        if let Err(words) = checked
            && self.broken.is_none()
        {
            self.fault(ProblemKind::Content, &words);
        }
        match self.pruned.finish() {
            Ok(pruned) => self.verdict.pruned = pruned,
            Err(words) if self.broken.is_none() => self.fault(ProblemKind::Deleted, &words),
            Err(_) => {}
        }
        if let Some(at) = self.pruned.too_early() {
            self.warn(format!(
                "records were pruned at {at}, less than six years after the log began, and no decision is named"
            ));
        }
        self.verdict.open_intents = self.open.len() as u64;
        self.verdict.blobs = self.content.count();
        if self.broken.is_none()
            && let Some((at, _)) = self.open.first_key_value()
        {
            let words = format!("{} intent(s) have no outcome; the first is {at}", self.open.len());
            self.warn(words);
        }
        match self.strangers {
            0 => {}
            1 => self.warn(format!("{}: no part of a bundle; not looked at", self.first_stranger)),
            more => self.warn(format!(
                "{} and {} other files: no part of a bundle; not looked at",
                self.first_stranger,
                more - 1
            )),
        }
        if self.steps_back > 1 {
            self.warn(format!("the clock stepped back {} times", self.steps_back));
        }
        self.verdict.problems.sort_by_key(|problem| (problem.at.unwrap_or(u64::MAX), problem.kind));
        self.verdict.good = self.verdict.problems.is_empty();
        self.verdict
    }

    fn finish_chain(&mut self) {
        self.verdict.checkpoint_size = self.claimed.as_ref().map(|claimed| claimed.size);
        self.verdict.checkpoint_root = self.claimed.as_ref().map(|claimed| claimed.root);
        if !self.seen.iter().any(|file| file.name == Part::Records.to_string()) {
            self.fault(ProblemKind::Format, "records.jsonl is missing");
            return;
        }
        if let Some(broken) = &self.broken {
            self.verdict.records = broken.lines();
            let problem = broken.conclude(self.claimed.as_ref());
            self.problem(problem);
            return;
        }
        self.push_pending();
        if self.pruned.lacks_opening() {
            self.fault_at(0, ProblemKind::Deleted, "record 0 is missing");
        }
        let Some(claimed) = &self.claimed else { return };
        let (size, count) = (claimed.size, self.verdict.records);
        if count < size {
            let words = format!("the checkpoint signs {size} records; {count} are here");
            self.fault_at(count, ProblemKind::Truncated, &words);
        } else if count > size {
            let words = format!("the checkpoint signs {size} records; {count} are here");
            self.fault_at(size, ProblemKind::Inserted, &words);
        } else if claimed.root != self.frontier.root() {
            self.fault_at(
                size.saturating_sub(1),
                ProblemKind::Edited,
                "the chain is whole and the signed root differs: the last record was edited, or all \
                 records from some earlier position on were written anew",
            );
        }
    }

    fn finish_signature(&mut self) {
        let Some(note) = self.note.take() else {
            self.fault(ProblemKind::Format, "the checkpoint is missing");
            return;
        };
        let own = self.verdict.verifier_key.as_deref().and_then(|key| VerifierKey::parse(key).ok());
        if self.keys.is_empty() {
            match own.map(|key| key.open(&note)) {
                Some(Ok(_)) => self.verdict.key_source = Some(KeySource::BundleOnly),
                Some(Err(error)) => self.bad_note("the checkpoint", error),
                None => self.fault(ProblemKind::Signature, "the key of the checkpoint is unknown"),
            }
            return;
        }
        let name = self.claimed.as_ref().map_or("", |claimed| &claimed.origin);
        let mut keys = self.keys.iter().filter(|key| key.name() == name);
        let first_error = keys.clone().next().map(|key| key.open(&note));
        if let Some(key) = keys.find(|key| key.open(&note).is_ok()) {
            let named = self.verdict.verifier_key.as_ref() == Some(&key.to_string());
            self.verdict.key_source = Some(KeySource::Trusted);
            if !named && self.broken.is_none() {
                let words = "the first record names another key than the trusted one";
                self.fault_at(0, ProblemKind::Signature, words);
            }
        } else if own.is_some_and(|own| own.open(&note).is_ok()) {
            let words = "the checkpoint is signed by the key that the bundle carries, which is not \
                         the one that you trust";
            self.fault(ProblemKind::Signature, words);
        } else if let Some(Err(error)) = first_error {
            self.bad_note("the checkpoint", error);
        } else {
            self.fault(ProblemKind::Signature, "no trusted key is of the checkpoint's log");
        }
    }

    fn bad_note(&mut self, which: &str, error: NoteError) {
        self.fault(ProblemKind::Signature, &format!("{which}: {error}"));
    }

    fn finish_marks(&mut self) {
        if let Some(claimed) = &self.claimed
            && let Some(log) = &self.verdict.log
            && claimed.origin != *log
        {
            self.fault(ProblemKind::Signature, "the checkpoint is of another log than the records");
        }
        let keys = match self.verdict.key_source {
            Some(KeySource::Trusted) => self.keys.clone(),
            _ => self
                .verdict
                .verifier_key
                .iter()
                .filter_map(|key| VerifierKey::parse(key).ok())
                .collect(),
        };
        let mut vouched = 0;
        let mut foreign = 0_u64;
        for mark in std::mem::take(&mut self.marks) {
            let claimed = &mark.note.claimed;
            if claimed.origin != self.log_text {
                foreign += 1;
                continue;
            }
            let which = format!("the earlier checkpoint of {} records", claimed.size);
            if !keys.iter().any(|key| key.open(&mark.note.text).is_ok()) {
                self.fault(
                    ProblemKind::Signature,
                    &format!("{which} is not signed by this log's key"),
                );
                continue;
            }
            match mark.fits {
                Some(true) => {
                    vouched = claimed.size;
                    if mark.trusted {
                        self.verdict.earlier_trusted.push(claimed.size);
                    } else {
                        self.verdict.earlier_inside += 1;
                    }
                }
                Some(false) => {
                    let words = format!(
                        "{which} has another root: the log was written anew from some position \
                         before {}",
                        claimed.size
                    );
                    self.fault_at(vouched, ProblemKind::Rewritten, &words);
                }
                None if self.broken.is_none() => {
                    let words = format!("{which} exists; {} are here", self.verdict.records);
                    self.fault_at(self.verdict.records, ProblemKind::Truncated, &words);
                }
                None => {}
            }
        }
        if foreign > 0 {
            self.warn(format!("{foreign} earlier checkpoint(s) of another log; not looked at"));
        }
        self.finish_trust();
    }

    fn finish_anchors(&mut self) {
        let deployment = self.log.map(|log| format!("bulla/{}", log.deployment));
        let strange =
            self.anchors.origins().iter().any(|origin| Some(origin) != deployment.as_ref());
        if strange && self.broken.is_none() {
            self.fault(ProblemKind::Anchor, "an anchor is of another deployment than the log");
        }
        self.verdict.stamps = std::mem::take(&mut self.anchors.stamps);
        self.verdict.stamps.sort_by_key(|stamp| (stamp.size, stamp.time));
        self.verdict.exposure = self.bounds.longest();
        self.verdict.witnessed = std::mem::take(&mut self.anchors.witnessed);
        if self.anchors.unchecked > 0 {
            let words = format!(
                "{} time stamps were not checked: no authority is in the trust file",
                self.anchors.unchecked
            );
            self.warn(words);
        }
        if self.anchors.untrusted > 0 {
            let words = format!(
                "{} time stamps are by authorities that are not in the trust file",
                self.anchors.untrusted
            );
            self.warn(words);
        }
        if self.misdated > 1 {
            self.warn(format!("{} records are dated against a time stamp", self.misdated));
        }
    }

    fn finish_trust(&mut self) {
        let by_checkpoint = !self.verdict.earlier_trusted.is_empty();
        if self.verdict.key_source == Some(KeySource::BundleOnly) && by_checkpoint {
            self.verdict.key_source = Some(KeySource::EarlierCheckpoint);
        }
        // Fail closed: someone who gave a trust file must not read "good" when none of it applied.
        if self.trust_given
            && self.verdict.key_source == Some(KeySource::BundleOnly)
            && self.broken.is_none()
        {
            self.fault(ProblemKind::Signature, "nothing in the trust file vouches for this log");
        }
    }

    fn finish_files(&mut self) {
        let Some(manifest) = self.manifest.take() else {
            if self.last_part != Some(Part::Manifest) {
                self.fault(
                    ProblemKind::Format,
                    "manifest.json is missing: the bundle is not whole",
                );
            }
            return;
        };
        for listed in &manifest.files {
            match self.seen.iter().find(|seen| seen.name == listed.name) {
                None => self
                    .fault(ProblemKind::Format, &format!("{} is listed and missing", listed.name)),
                Some(seen) if seen != listed => {
                    let words = format!("{} is not the file that the manifest lists", listed.name);
                    self.fault(ProblemKind::Format, &words);
                }
                Some(_) => {}
            }
        }
        let extra = |seen: &&Listed| {
            Part::of(&seen.name) != Part::Manifest
                && !manifest.files.iter().any(|listed| listed.name == seen.name)
        };
        if let Some(extra) = self.seen.iter().find(extra) {
            let words = format!("{} is not listed in the manifest", extra.name);
            self.fault(ProblemKind::Format, &words);
        }
        let listed = manifest.files.iter().map(|listed| &listed.name);
        if !listed.eq(seen_names(&self.seen)) {
            self.fault(ProblemKind::Format, "the manifest does not list the files in their order");
        }
        let says_the_same = Some(manifest.log) == self.log
            && Some(&manifest.organisation) == self.verdict.organisation.as_ref()
            && Some(&manifest.verifier_key) == self.verdict.verifier_key.as_ref()
            && manifest.records == self.verdict.records
            && manifest.blobs == self.content.listed();
        if !says_the_same {
            self.fault(ProblemKind::Format, "the manifest says something else than the log");
        }
    }
}

/// The names of the files that a manifest lists.
fn seen_names(seen: &[Listed]) -> impl Iterator<Item = &String> {
    let listed = |file: &&Listed| Part::of(&file.name) != Part::Manifest;
    seen.iter().filter(listed).map(|file| &file.name)
}
