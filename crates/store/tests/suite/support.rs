//! A data directory with one organisation, and events to append.

use ledger::checkpoint::Signer;
use ledger::seal::{KeySet, Place};
use ledger::tree::{Frontier, leaf_hash};
use ledger::{
    About, Actor, ActorKind, Blob, BlobPart, DeploymentId, Entropy, Entry, Event, ExchangeId, Hash,
    Intent, LogId, Outcome, Record, Surrogates, TenantId, Time, WrappedUnit,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use store::{Store, Tenant};
use tempfile::TempDir;

/// Randomness from a seed (splitmix64): the same ids and keys in every run.
pub(crate) struct Seeded(Mutex<u64>);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            for (to, from) in chunk.iter_mut().zip(mixed.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

pub(crate) const TENANT: TenantId = TenantId::from_bytes([7; 16]);
pub(crate) const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([9; 16]);
pub(crate) const LOG: LogId = LogId { deployment: DEPLOYMENT, tenant: TENANT };

pub(crate) fn time(seconds: i64) -> Time {
    Time::from_micros(1_795_000_000_000_000).plus_seconds(seconds)
}

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&LOG.to_string(), &[3; 32]).unwrap()
}

/// A data directory with one organisation whose log holds one record.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) tenant: Tenant,
    pub(crate) keys: KeySet,
    pub(crate) entropy: Seeded,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy = Seeded::new(1);
        let store = Store::create(folder.path(), DEPLOYMENT).unwrap();
        let keys = add_tenant(&store, TENANT, &entropy).await;
        let tenant = store.tenant(TENANT);
        Self { folder, store, tenant, keys, entropy }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store; the files stay until the folder is dropped.
    pub(crate) fn close(self) -> TempDir {
        self.folder
    }

    pub(crate) fn exchange(&self) -> ExchangeId {
        ExchangeId::mint(time(0), &self.entropy)
    }

    pub(crate) fn blob(&self, exchange: ExchangeId, part: BlobPart) -> Blob {
        self.keys.seal(&Place { log: LOG, exchange, part }, b"synthetic content", &self.entropy)
    }

    /// A statement of someone who has the file but not this crate.
    pub(crate) fn sql(&self, text: &str) -> rusqlite::Result<usize> {
        sql(self.path(), text)
    }
}

pub(crate) fn sql(folder: &Path, text: &str) -> rusqlite::Result<usize> {
    rusqlite::Connection::open(folder.join("bulla.db")).unwrap().execute(text, [])
}

/// A unit on a shelf that nobody keeps.
pub(crate) fn unit(entropy: &Seeded) -> (KeySet, WrappedUnit) {
    let shelf = KeySet::generate(time(0), time(0).day(), entropy);
    let keys = KeySet::generate(time(0), time(0).day(), entropy);
    let (id, wrapped) = (keys.id(), keys.wrapped_by(&shelf, entropy));
    (keys, WrappedUnit { id, shelf: shelf.id(), conversation: None, keys: wrapped })
}

/// Adds an organisation, with one unit.
pub(crate) async fn add_tenant(store: &Store, id: TenantId, entropy: &Seeded) -> KeySet {
    let (keys, unit) = unit(entropy);
    let opened = Event::LogOpened {
        deployment: store.deployment(),
        tenant: id,
        organisation: "Example Clinic (synthetic)".into(),
        verifier_key: signer().verifier_key(),
    };
    let entry = Entry { unit: Some(unit), ..Entry::bare(time(0), opened) };
    let receipt = store.add_tenant(id, "Example Clinic", entry).await.unwrap();
    assert_eq!(receipt.seq, 0);
    keys
}

pub(crate) fn actor() -> Actor {
    Actor { kind: ActorKind::System, id: "test".into(), name: "test".into() }
}

pub(crate) fn started() -> Entry {
    Entry::bare(time(1), Event::Started { actor: actor(), version: "0".into() })
}

pub(crate) fn intent(exchange: ExchangeId) -> Entry {
    let intent = Intent { about: about(exchange), surrogates: Surrogates::default() };
    Entry::bare(time(2), Event::Intent(Box::new(intent)))
}

pub(crate) fn outcome(exchange: ExchangeId, intent: Option<u64>) -> Entry {
    let outcome = Outcome {
        about: about(exchange),
        outcome: "answered".into(),
        code: None,
        reason: None,
        intent,
        reply: None,
        upstream_request: None,
        usage: None,
    };
    Entry::bare(time(3), Event::Outcome(Box::new(outcome)))
}

fn about(exchange: ExchangeId) -> About {
    About {
        exchange,
        actor: actor(),
        surface: "api".into(),
        purpose: None,
        conversation: None,
        api: "chat.completions".into(),
        stream: false,
        route: None,
        policy: None,
        detector: None,
        findings: BTreeMap::new(),
        treatments: BTreeMap::new(),
        categories: Vec::new(),
        decision: None,
        rules: Vec::new(),
        destination: None,
        path: Vec::new(),
        considered: [].into(),
        retry_of: None,
        previous: None,
        prompt: None,
        key_day: None,
        patient: None,
        decided: None,
        minimum: [].into(),
        removed: [].into(),
        alert: None,
        reduced_by: None,
        capabilities: [].into(),
        batch: None,
    }
}

/// Reads the whole log back, checks every position, chain link and leaf, and the head against the
/// tree. Returns the leaf hashes.
pub(crate) async fn replay(tenant: &Tenant) -> Vec<Hash> {
    let (mut frontier, mut last, mut leaves) = (Frontier::default(), Hash::ZERO, Vec::new());
    loop {
        let records = tenant.records_from(leaves.len() as u64, 1000).await.unwrap();
        if records.is_empty() {
            break;
        }
        for (seq, bytes) in records {
            let record = Record::from_bytes(&bytes).unwrap();
            assert_eq!((record.seq, record.log), (seq, tenant.log()));
            assert_eq!(seq, leaves.len() as u64, "a gap");
            assert_eq!(record.prev, last, "the chain breaks at {seq}");
            last = leaf_hash(&bytes);
            frontier.push(last);
            leaves.push(last);
        }
    }
    let head = tenant.head().await.unwrap();
    assert_eq!((head.size(), head.root()), (frontier.size(), frontier.root()));
    leaves
}
