//! The log as an auditor gets it: exported, verified by `bulla-verify`, read record by record.

use crate::house::{Done, House, bulla_verify};
use ledger::bundle::{Part, each_file};
use ledger::{Event, Hash, Intent, Outcome, Record};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// A record that is not there by then will not come.
const RECORD_LIMIT: Duration = Duration::from_secs(10);

/// Every record of a log, in order.
#[derive(Debug)]
pub(crate) struct Log {
    records: Vec<(Record, Hash)>,
}

impl House {
    /// Exports the log, has it verified against the key that `init` printed, and reads it.
    pub(crate) fn log(&self) -> Log {
        let bundle = self.fresh("bundle.tar");
        self.export(&bundle);
        self.verified(&bundle, "")
    }

    /// Exports the log with its sealed content.
    pub(crate) fn export(&self, bundle: &Path) {
        self.run(&["audit", "export", "--content", "--out", bundle.to_str().unwrap()]).ok();
    }

    /// Has a bundle verified against the log's key and `earlier` checkpoints, and reads it.
    pub(crate) fn verified(&self, bundle: &Path, earlier: &str) -> Log {
        let trust = self.fresh("trust.txt");
        fs::write(&trust, format!("{}\n{earlier}", self.verifier_key)).unwrap();
        let mut verify = bulla_verify();
        verify.arg(bundle).arg("--trust").arg(&trust);
        Done::of(&mut verify).ok();
        Log::read(bundle)
    }

    /// Waits until the exchange with this `x-request-id` has a recorded outcome.
    pub(crate) async fn outcome(&self, exchange: &str) -> Outcome {
        let begun = Instant::now();
        loop {
            if let Some(outcome) = self.log().outcomes().remove(exchange) {
                return outcome;
            }
            assert!(begun.elapsed() < RECORD_LIMIT, "{exchange} has no outcome");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Log {
    fn read(bundle: &Path) -> Self {
        let mut records = Vec::new();
        each_file(File::open(bundle).unwrap(), |name, content| {
            if Part::of(name) == Part::Records {
                let mut text = String::new();
                content.read_to_string(&mut text)?;
                records.extend(text.lines().map(|line| {
                    let record = Record::from_bytes(line.as_bytes()).unwrap();
                    (record, ledger::tree::leaf_hash(line.as_bytes()))
                }));
            }
            Ok(())
        })
        .unwrap();
        Self { records }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.records.iter().map(|(record, _)| &record.event)
    }

    /// The outcome of each exchange; no exchange may have two.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, Outcome> {
        let mut outcomes = BTreeMap::new();
        for event in self.events() {
            if let Event::Outcome(outcome) = event {
                let name = outcome.about.exchange.to_string();
                let before = outcomes.insert(name, (**outcome).clone());
                assert!(before.is_none(), "{} ended twice", outcome.about.exchange);
            }
        }
        outcomes
    }

    /// The intent of each exchange; no exchange may have two.
    pub(crate) fn intents(&self) -> BTreeMap<String, Intent> {
        let mut intents = BTreeMap::new();
        for event in self.events() {
            if let Event::Intent(intent) = event {
                let before = intents.insert(intent.about.exchange.to_string(), (**intent).clone());
                assert!(before.is_none(), "{} left twice", intent.about.exchange);
            }
        }
        intents
    }

    /// The record that a receipt (`LOG#POSITION@LEAF`) names, with exactly these bytes.
    pub(crate) fn at(&self, receipt: &str) -> &Record {
        let (log, place) = receipt.split_once('#').unwrap();
        let (seq, leaf) = place.split_once('@').unwrap();
        let seq: usize = seq.parse().unwrap();
        let (record, hash) = self
            .records
            .get(seq)
            .unwrap_or_else(|| panic!("{receipt} is not among {}", self.len()));
        assert_eq!(record.log.to_string(), log);
        assert_eq!(hash.to_string(), leaf, "another record stands at {seq}");
        record
    }
}
