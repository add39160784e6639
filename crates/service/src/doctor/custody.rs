//! What everything rests on: the key at the top, the database, the log.

use super::{Checks, Group, causes, days, many};
use crate::house::{Error, House};
use ledger::Hash;
use ledger::checkpoint::VerifierKey;
use ledger::proof::TILE_WIDTH;
use ledger::tree::{Frontier, leaf_hash};
use ledger::{MalformedRecord, Record};
use zeroize::Zeroizing;

/// Records that are read at once.
const BATCH: usize = 1000;

/// What the trial of the key service is bound to.
const TRIAL: &str = "bulla-doctor-1|trial";

/// What it must not open as.
const OTHER: &str = "bulla-doctor-1|another place";

/// How far the checked log reaches.
struct Verified {
    records: u64,
    pruned: u64,
    signed: u64,
}

/// What is wrong with the log.
enum Broken {
    /// At this position, in these words.
    At(u64, &'static str),
    /// It could not be read.
    Unread(Error),
}

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Self::Unread(error.into())
    }
}

impl House {
    pub(super) async fn check_keys(&self) -> Checks {
        let mut checks = Checks::of(Group::Keys);
        let service = self.content_keys.service();
        let name = service.name();
        let mut key = Zeroizing::new([0; 32]);
        self.entropy.fill(key.as_mut());
        let wrapped = match service.wrap(&key, TRIAL, &*self.entropy).await {
            Ok(wrapped) => wrapped,
            Err(error) => {
                checks.no(
                    "key service",
                    causes(&error),
                    "Bring the key service back, or its rights (docs/keys.md). Soon nothing goes through.",
                );
                return checks;
            }
        };
        let opened = service.unwrap(&wrapped, TRIAL).await;
        let elsewhere = service.unwrap(&wrapped, OTHER).await;
        let mut altered = wrapped;
        if let Some(last) = altered.last_mut() {
            *last ^= 1;
        }
        let damaged = service.unwrap(&altered, TRIAL).await;
        match (opened, elsewhere, damaged) {
            (Ok(opened), Err(_), Err(_)) if opened == key => checks.good(
                "key service",
                format_args!(
                    "{name} opens its own key, and neither an altered one nor one of another place"
                ),
            ),
            (Err(error), ..) => checks.no(
                "key service",
                causes(&error),
                "Give this server the right to unwrap (docs/keys.md).",
            ),
            _ => checks.no(
                "key service",
                format_args!("{name} opens what it must not"),
                "Do not use this key service: it does not bind a key to its place.",
            ),
        }
        match self.content_keys.held().await {
            Ok(_) => checks.good("organisation's key", "opens"),
            Err(error) => checks.no(
                "organisation's key",
                causes(&error),
                "Without it no content is sealed or read. Check that the key store belongs to this database.",
            ),
        }
        checks
    }

    pub(super) async fn check_log(&self) -> Checks {
        let mut checks = Checks::of(Group::Log);
        match self.store.damage().await {
            Ok(None) => checks.good("database", "SQLite finds no damage"),
            // SQLite's own words name pages and tables, never values.
            Ok(Some(found)) => checks.no(
                "database",
                found,
                "Stop the server, keep this copy, and restore the newest whole one.",
            ),
            Err(error) => checks.unable("database", causes(&error), "Look at the disk."),
        }
        match self.store.writable().await {
            Ok(()) => checks.good("writing", "a small change became durable just now"),
            Err(error) => checks.no(
                "writing",
                error,
                "Give the disk room, or restart the server after its fault was mended.",
            ),
        }
        match self.verify_log().await {
            Ok(Verified { records, pruned, signed }) => {
                let all = usize::try_from(records).unwrap_or(usize::MAX);
                let pruned = if pruned > 0 { format!(", {pruned} of them pruned") } else { String::new() };
                let signed = if signed > 0 {
                    format!("the first {signed} are under a signed checkpoint")
                } else {
                    "no checkpoint is signed yet".to_owned()
                };
                checks.good(
                    "log",
                    format_args!(
                        "{}{pruned}: each follows the one before it, and {signed}",
                        many(all, "record", "records")
                    ),
                );
            }
            Err(Broken::At(seq, words)) => checks.no(
                "log",
                format_args!("at position {seq}: {words}"),
                "The log was altered. Keep everything as it is, and compare with a copy or a bundle.",
            ),
            Err(Broken::Unread(error)) => {
                checks.unable("log", causes(&error), "Look at the disk and the database.");
            }
        }
        // Opening the data directory compared both, and would have failed.
        checks.good("checkpoint and anchor", "the files beside the database are of this database");
        self.check_stamps(&mut checks).await;
        checks
    }

    async fn check_stamps(&self, checks: &mut Checks) {
        const REMEDY: &str = "Name an [[authority]] in the configuration (docs/anchors.md).";
        match self.last_stamp().await {
            Ok(Some((authority, stamped))) => {
                let old = -days(self.clock.now(), stamped) - 1;
                let found = format!("the last is of {stamped}, by {authority}");
                if old > 1 {
                    checks.advice("time stamps", found, "Find out why no newer one was given.");
                } else {
                    checks.good("time stamps", found);
                }
            }
            Ok(None) => checks.advice("time stamps", "no authority vouches for the log", REMEDY),
            Err(error) => checks.unable("time stamps", causes(&error), "Look at the database."),
        }
    }

    /// Reads every record and every checkpoint that matters: the chain, the tree, the signature.
    async fn verify_log(&self) -> Result<Verified, Broken> {
        let head = self.tenant.head().await?;
        let pruned = self.tenant.pruned().await?;
        let checkpoint = self.tenant.last_checkpoint().await?;
        let mut tree = Frontier::default();
        let (mut last, mut signed) = (Hash::ZERO, 0);
        while tree.size() < head.size() {
            let seq = tree.size();
            let leaves = if pruned.go_on_from(seq) == seq {
                self.record_leaves(seq, last, head.size()).await?
            } else {
                // The bytes are gone, their leaf hashes are not.
                let (tile, first) = (seq / TILE_WIDTH, seq % TILE_WIDTH);
                let width = (pruned.size() - tile * TILE_WIDTH).min(TILE_WIDTH);
                let hashes = self.tenant.tile(0, tile, width).await?;
                hashes.into_iter().skip(usize::try_from(first).unwrap_or(usize::MAX)).collect()
            };
            if leaves.is_empty() {
                return Err(Broken::At(seq, "the record is not there"));
            }
            for leaf in leaves {
                last = leaf;
                tree.push(leaf);
                if let Some(checkpoint) = checkpoint.as_ref().filter(|it| it.size == tree.size()) {
                    self.verify_checkpoint(&checkpoint.note, tree.size(), tree.root())?;
                    signed = checkpoint.size;
                }
            }
        }
        if tree.root() != head.root() {
            return Err(Broken::At(head.size(), "the tree is not that of the records"));
        }
        Ok(Verified { records: head.size(), pruned: pruned.size(), signed })
    }

    /// The leaf hashes of some records from `seq` on, each of which names the one before it.
    async fn record_leaves(&self, seq: u64, before: Hash, size: u64) -> Result<Vec<Hash>, Broken> {
        let (mut before, mut leaves) = (before, Vec::with_capacity(BATCH));
        // Those that came since are for the next time.
        let rows = self.tenant.records_from(seq, BATCH).await?;
        let rows = rows.into_iter().take_while(|(at, _)| *at < size);
        for (expected, (at, bytes)) in (seq..).zip(rows) {
            if at != expected {
                // After record 0 a pruned log goes on later.
                break;
            }
            let record: Result<Record, MalformedRecord> = Record::from_bytes(&bytes);
            let record = record.map_err(|_| Broken::At(at, "the bytes are no record"))?;
            if record.seq != at || record.log != self.log || record.prev != before {
                return Err(Broken::At(at, "the record does not follow the one before it"));
            }
            before = leaf_hash(&bytes);
            leaves.push(before);
        }
        Ok(leaves)
    }

    fn verify_checkpoint(&self, note: &str, size: u64, root: Hash) -> Result<(), Broken> {
        let key = VerifierKey::parse(&self.signer.verifier_key());
        let key = key.map_err(|_| Broken::At(size, "the signing key has no verifier key"))?;
        let opened = key.open(note);
        let opened = opened.map_err(|_| Broken::At(size, "the checkpoint's signature is wrong"))?;
        if (opened.size, opened.root) == (size, root) {
            Ok(())
        } else {
            Err(Broken::At(size, "the checkpoint is of another log or another past"))
        }
    }
}
