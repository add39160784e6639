//! The proof of one record: what it shows, and every way in which it does not.

use crate::anchored::{anchor, trust};
use crate::sample;
use ledger::Hash;
use ledger::proof::{Subtrees, inclusion};
use ledger::receipt::{ProvedRecord, ReceiptCheck, ReceiptVerdict, TlogProof};
use ledger::tree::{Frontier, leaf_hash};
use ledger::verify::{ProblemKind, Trust};
use std::convert::Infallible;

struct Leaves<'a>(&'a [Vec<u8>]);

impl Subtrees for Leaves<'_> {
    type Error = Infallible;
    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let mut frontier = Frontier::default();
        let first = usize::try_from(index << level).unwrap();
        self.0[first..first + (1 << level)].iter().for_each(|it| frontier.push(leaf_hash(it)));
        Ok(frontier.root())
    }
}

pub(crate) fn proved(seq: usize, of: usize) -> ProvedRecord {
    let records = sample::records();
    let path = inclusion(&mut Leaves(&records), seq as u64, of as u64).unwrap().unwrap();
    ProvedRecord {
        record: records[seq].clone(),
        proof: TlogProof { index: seq as u64, path, note: sample::note(&records, of) },
        archives: Vec::new(),
        anchors: vec![anchor(&records, of)],
    }
}

pub(crate) fn tar(proved: &ProvedRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    proved.write(&mut bytes).unwrap();
    bytes
}

fn check(tar: &[u8], trust: &Trust) -> ReceiptVerdict {
    let mut check = ReceiptCheck::new(trust);
    if let Err(error) = ledger::bundle::each_file(tar, |name, content| check.file(name, content)) {
        check.damaged(&error.to_string());
    }
    check.finish()
}

#[test]
fn every_record_is_proved_by_itself_with_who_vouches_for_it() {
    for (seq, of) in [(0, 20), (7, 12), (19, 20), (11, 12)] {
        let verdict = check(&tar(&proved(seq, of)), &trust());
        assert!(verdict.good && verdict.key_trusted, "{verdict:#?}");
        assert_eq!((verdict.seq, verdict.checkpoint_size), (Some(seq as u64), Some(of as u64)));
        assert_eq!((verdict.stamps.len(), verdict.witnessed.len()), (1, 1), "{verdict:#?}");
    }
}

#[test]
fn a_proof_of_something_else_is_found() {
    let good = proved(7, 12);
    let mut other_record = good.clone();
    other_record.record = sample::records()[8].clone();
    let mut altered = good.clone();
    let at = altered.record.len() / 2;
    altered.record[at] ^= 1;
    let mut other_place = good.clone();
    other_place.proof.index = 6;
    let mut other_path = good.clone();
    other_path.proof.path[0] = Hash::ZERO;
    let mut other_checkpoint = good.clone();
    other_checkpoint.proof.note = sample::note(&sample::records(), 20);
    for (what, proved) in [
        ("another record", other_record),
        ("an altered record", altered),
        ("another place", other_place),
        ("another path", other_path),
        ("a checkpoint that the anchor is not over", other_checkpoint),
    ] {
        let verdict = check(&tar(&proved), &trust());
        assert!(!verdict.good, "{what}: {verdict:#?}");
    }
    let stranger = ledger::checkpoint::Signer::from_seed(&sample::log().to_string(), &[99; 32]);
    let key = Trust::parse(&stranger.unwrap().verifier_key()).unwrap();
    let verdict = check(&tar(&good), &key);
    assert_eq!(verdict.problems[0].kind, ProblemKind::Signature, "{verdict:#?}");
    let verdict = check(&tar(&good), &Trust::none());
    assert!(verdict.good && !verdict.key_trusted && !verdict.warnings.is_empty(), "{verdict:#?}");
}

#[test]
fn no_changed_byte_of_the_file_gives_it_another_meaning() {
    let good = tar(&proved(7, 12));
    let trust = trust();
    let expected = check(&good, &trust);
    let mut tried = good.clone();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            tried[at] = good[at] ^ bit;
            let verdict = check(&tried, &trust);
            if verdict.good {
                assert_eq!(verdict.leaf, expected.leaf, "byte {at}");
                assert_eq!(verdict.seq, expected.seq, "byte {at}");
                // What vouches may be lost, and is then told as less; it is never more.
                assert!(
                    verdict.stamps.iter().all(|stamp| expected.stamps.contains(stamp)),
                    "byte {at}"
                );
                assert!(
                    verdict.witnessed.iter().all(|it| expected.witnessed.contains(it)),
                    "byte {at}"
                );
            }
        }
        tried[at] = good[at];
    }
}

#[test]
fn a_proof_has_one_text() {
    let proof = proved(7, 12).proof;
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 7\n"), "{text}");
    assert_eq!(text.parse(), Ok(proof));
    for bad in [
        text.replacen("@v1", "@v2", 1),
        text.replacen("index 7", "index 07", 1),
        text.replacen("\n\n", "\n", 1),
        String::new(),
    ] {
        assert!(bad.parse::<TlogProof>().is_err(), "{bad}");
    }
}
