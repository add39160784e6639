//! Bundles that are made of the objects of a copy, and what is told when some are missing.

use crate::sample::{self, note, records};
use ledger::bundle::{
    Anchor, AnchorFile, Chunk, CollectError, Collected, Part, archive_name, blob_file, collect,
    cosignature_name,
};
use ledger::verify::Trust;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

type Objects = BTreeMap<String, Vec<u8>>;

/// A copy of the first `until` records in chunks that begin at `firsts`, with checkpoints of `sizes`.
fn copy(firsts: &[u64], until: u64, sizes: &[usize]) -> Objects {
    let all = records();
    let mut objects = Objects::new();
    let ends = firsts.iter().skip(1).chain([&until]);
    for (first, end) in firsts.iter().zip(ends) {
        let range = usize::try_from(*first).unwrap()..usize::try_from(*end).unwrap();
        let chunk = Chunk { first: *first, last: end - 1 };
        objects.insert(chunk.to_string(), sample::lines(&all[range]));
    }
    for size in sizes {
        let name = Part::EarlierCheckpoint(*size as u64).to_string();
        objects.insert(name, note(&all, *size).into_bytes());
    }
    objects
}

/// The objects of an anchor, as a copy writes them.
fn anchored(objects: &mut Objects, anchor: &Anchor, root: &str) {
    let file = |file| Part::Anchor(anchor.size, file).to_string();
    objects.insert(file(AnchorFile::Checkpoint), anchor.note.clone().into_bytes());
    objects.insert(file(AnchorFile::Inclusion), anchor.inclusion.to_string().into_bytes());
    objects.insert(cosignature_name(anchor.size, "auditor"), anchor.cosignatures.clone().into());
    for (authority, token) in &anchor.stamps {
        let name = format!("{}{authority}.tst", file(AnchorFile::Stamp));
        objects.insert(name, token.clone());
        objects.insert(archive_name(authority, root), root.as_bytes().to_vec());
    }
}

fn made(objects: &Objects) -> Result<(Collected, Vec<u8>), CollectError> {
    let names: BTreeSet<String> = objects.keys().cloned().collect();
    let read =
        |name: &str| objects.get(name).cloned().ok_or(io::Error::from(io::ErrorKind::NotFound));
    let mut bundle = Vec::new();
    let collected = collect(&names, &read, &mut bundle)?;
    Ok((collected, bundle))
}

fn check_refused(objects: &Objects, words: &str) {
    assert_eq!(made(objects).unwrap_err().to_string(), words);
}

#[test]
fn a_bundle_of_a_copy_is_that_of_the_log() {
    let objects = copy(&[0, 7, 8], 20, &[7, 8, 20]);
    let (collected, bundle) = made(&objects).unwrap();
    let expected = Collected { records: 20, uncovered: 0, anchors: 0, anchors_left_out: 0 };
    assert_eq!(collected, expected);
    let verdict = sample::verify_tar(&bundle, Trust::parse(&note(&records(), 20)).unwrap());
    assert!(verdict.good, "{verdict:?}");
    assert_eq!(verdict.records, 20);
    // The same again, whatever else lies there.
    let mut more = objects.clone();
    more.insert("records/readme.txt".to_owned(), b"x".to_vec());
    more.insert("else".to_owned(), b"x".to_vec());
    assert_eq!(made(&more).unwrap().1, bundle);
}

#[test]
fn the_newest_checkpoint_says_how_far_a_bundle_goes() {
    let (collected, bundle) = made(&copy(&[0, 7], 20, &[5, 11])).unwrap();
    assert_eq!((collected.records, collected.uncovered), (11, 9));
    let verdict = sample::verify_tar(&bundle, Trust::none());
    assert!(verdict.good && verdict.records == 11, "{verdict:?}");
    check_refused(
        &copy(&[0, 7], 20, &[]),
        "there is no signed checkpoint in it over the records that are there",
    );
}

#[test]
fn a_gap_is_told_and_nothing_is_made_up() {
    let mut objects = copy(&[0, 7, 12], 20, &[20]);
    let middle = objects.remove("records/0000000007-0000000011.jsonl").unwrap();
    check_refused(&objects, "the copy has a gap: records 7 to 11 are missing");
    objects.insert("records/0000000007-0000000011.jsonl".to_owned(), middle.clone());
    assert!(made(&objects).is_ok());
    objects.remove("records/0000000000-0000000006.jsonl");
    check_refused(&objects, "the copy has a gap: records 0 to 6 are missing");
    check_refused(&copy(&[0, 7], 12, &[20]), "the copy has a gap: records 12 to 19 are missing");
    let mut objects = copy(&[0, 7, 12], 20, &[20]);
    objects.insert("records/0000000006-0000000011.jsonl".to_owned(), middle);
    check_refused(&objects, "two objects of the copy hold record 6");
    check_refused(&Objects::new(), "there are no records/ in it: this is no copy of a log");
}

#[test]
fn an_object_that_is_not_what_its_name_says_is_told() {
    let name = "records/0000000007-0000000011.jsonl";
    let good = copy(&[0, 7, 12], 20, &[20]);
    let damaged = format!("\"{name}\" is not what its name says");
    for change in [
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
        |bytes: &mut Vec<u8>| bytes.extend_from_slice(b"{}\n"),
        |bytes: &mut Vec<u8>| bytes.clear(),
    ] {
        let mut objects = good.clone();
        change(objects.get_mut(name).unwrap());
        check_refused(&objects, &damaged);
    }
    // What is wrong inside is for a verifier to find.
    let mut objects = good.clone();
    let bytes = objects.get_mut(name).unwrap();
    let at = bytes.iter().position(|byte| *byte == b'2').unwrap();
    bytes[at] = b'3';
    let verdict = sample::verify_tar(&made(&objects).unwrap().1, Trust::none());
    assert_eq!(verdict.problems[0].at, Some(7), "{verdict:?}");
    let mut objects = good;
    let first = objects.get_mut("records/0000000000-0000000006.jsonl").unwrap();
    *first = sample::lines(&records()[1..8]);
    let damaged = "\"records/0000000000-0000000006.jsonl\" is not what its name says";
    check_refused(&objects, damaged);
}

#[test]
fn a_copy_with_anchors_shows_who_vouches_for_it() {
    let all = records();
    let mut objects = copy(&[0, 7], 20, &[12, 20]);
    let anchor = crate::anchored::anchor(&all, 12);
    anchored(&mut objects, &anchor, &crate::anchored::root());
    let (collected, bundle) = made(&objects).unwrap();
    assert_eq!((collected.anchors, collected.anchors_left_out), (1, 0));
    let verdict = sample::verify_tar(&bundle, crate::anchored::trust());
    assert!(verdict.good, "{verdict:?}");
    assert_eq!((verdict.stamps.len(), verdict.witnessed.len()), (1, 1), "{verdict:?}");
    // Without the checkpoint that it is over, without what it proves, or without anybody, it shows nothing.
    let file = |file| Part::Anchor(anchor.size, file).to_string();
    let stamp = format!("{}example.tst", file(AnchorFile::Stamp));
    let checkpoint = Part::EarlierCheckpoint(12).to_string();
    for gone in [
        vec![checkpoint],
        vec![file(AnchorFile::Checkpoint)],
        vec![file(AnchorFile::Inclusion)],
        vec![stamp, cosignature_name(anchor.size, "auditor")],
    ] {
        let mut less = objects.clone();
        less.retain(|name, _| !gone.contains(name));
        let (collected, bundle) = made(&less).unwrap();
        assert_eq!((collected.anchors, collected.anchors_left_out), (0, 1), "{gone:?}");
        assert!(sample::verify_tar(&bundle, Trust::none()).good, "{gone:?}");
    }
    let mut other = objects;
    let inclusion = other.get_mut(&file(AnchorFile::Inclusion)).unwrap();
    inclusion.push(b'x');
    let words = format!("\"{}\" is not what its name says", file(AnchorFile::Inclusion));
    check_refused(&other, &words);
}

#[test]
fn content_is_in_a_bundle_where_its_record_is() {
    let mut objects = copy(&[0, 7], 20, &[6, 20]);
    for n in 1..=9 {
        for blob in sample::blobs(n) {
            objects.insert(Part::Blob(blob.exchange, blob.part).to_string(), blob_file(&blob));
        }
    }
    let verdict = sample::verify_tar(&made(&objects).unwrap().1, Trust::none());
    assert!(verdict.good, "{verdict:?}");
    assert_eq!(verdict.blobs, 27, "{verdict:?}");
    // Exchanges 1 and 2 are in the first six records, and nothing of the others is in a bundle of them.
    objects.remove("checkpoints/0000000020");
    let verdict = sample::verify_tar(&made(&objects).unwrap().1, Trust::none());
    assert!(verdict.good, "{verdict:?}");
    assert_eq!(verdict.blobs, 6, "{verdict:?}");
    let blob = &sample::blobs(1)[0];
    let name = Part::Blob(blob.exchange, blob.part).to_string();
    objects.insert(name.clone(), b"no head".to_vec());
    check_refused(&objects, &format!("\"{name}\" is not what its name says"));
}
