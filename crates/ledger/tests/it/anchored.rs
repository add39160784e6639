//! Bundles with anchors: what stamps and witnesses show, and who they give away.

use crate::sample::{self, log, note, signer};
use ledger::anchor::{NONCE_BYTES, Request, token_of};
use ledger::bundle::{Anchor, Inclusion};
use ledger::checkpoint::{Checkpoint, Cosigner, Signer};
use ledger::proof::{Subtrees, inclusion};
use ledger::tree::{Frontier, leaf_hash};
use ledger::verify::{ProblemKind, Trust, Verdict};
use ledger::{Event, Hash, Head, Time};
use std::convert::Infallible;
use std::sync::LazyLock;
use testkit::authority::LocalAuthority;

static AUTHORITY: LazyLock<LocalAuthority> = LazyLock::new(LocalAuthority::new);

/// A token over a message, at the time of the test.
fn stamp(message: &[u8]) -> Vec<u8> {
    let request = Request::new(message, [1; NONCE_BYTES]);
    token_of(&AUTHORITY.answer(request.as_bytes())).unwrap().to_vec()
}

/// The time of the test, as the stamps have it.
#[expect(clippy::disallowed_methods, reason = "the authority's clock is the real one")]
fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap())
}

fn origin() -> String {
    format!("bulla/{}", log().deployment)
}

fn deployment() -> Signer {
    Signer::from_seed(&origin(), &[8; 32]).unwrap()
}

fn witness() -> Cosigner {
    Cosigner::from_seed("witness.example/w1", &[9; 32]).unwrap()
}

/// Leaves of the deployment's log.
struct Leaves(Vec<Hash>);

impl Subtrees for &Leaves {
    type Error = Infallible;
    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let mut frontier = Frontier::default();
        let first = usize::try_from(index << level).unwrap();
        self.0[first..first + (1 << level)].iter().for_each(|leaf| frontier.push(*leaf));
        Ok(frontier.root())
    }
}

/// An anchor over the checkpoint of the first `of` records, in a deployment's log of three leaves.
pub(crate) fn anchor(records: &[Vec<u8>], of: usize) -> Anchor {
    let ours = leaf_hash(note(records, of).as_bytes());
    let leaves = Leaves(vec![Hash::of(b"another tenant"), ours, Hash::of(b"a third")]);
    let mut frontier = Frontier::default();
    leaves.0.iter().for_each(|leaf| frontier.push(*leaf));
    let checkpoint = Checkpoint { origin: origin(), size: 3, root: frontier.root() };
    let note = deployment().sign(&checkpoint);
    let path = inclusion(&mut &leaves, 1, 3).unwrap().unwrap();
    let seconds = u64::try_from(now().as_micros() / 1_000_000).unwrap();
    Anchor {
        size: 3,
        cosignatures: witness().cosign(&checkpoint, seconds),
        inclusion: Inclusion { of: of as u64, index: 1, path },
        stamps: [("example".to_owned(), stamp(note.as_bytes()))].into(),
        note,
    }
}

fn bundle(records: &[Vec<u8>], earlier: &[usize], anchors: &[Anchor]) -> Vec<u8> {
    let mut writer = sample::writer(records);
    for size in earlier {
        writer.earlier_checkpoint(*size as u64, &note(records, *size)).unwrap();
    }
    writer.archive("example", &AUTHORITY.root()).unwrap();
    for anchor in anchors {
        writer.anchor(anchor).unwrap();
    }
    for record in records {
        writer.record(record).unwrap();
    }
    writer.finish().unwrap()
}

/// The root certificate of the authority that stamps.
pub(crate) fn root() -> String {
    AUTHORITY.root()
}

pub(crate) fn trust() -> Trust {
    let (log, deployment, witness) =
        (signer().verifier_key(), deployment().verifier_key(), witness().verifier_key());
    let root = AUTHORITY.root();
    Trust::parse(&format!("{log}\n{deployment}\n{witness}\n{root}policy 1.3.6.1.4.1.99999.1\n"))
        .unwrap()
}

fn verified(records: &[Vec<u8>], earlier: &[usize], anchor: &Anchor) -> Verdict {
    let tar = bundle(records, earlier, std::slice::from_ref(anchor));
    sample::verify_tar(&tar, trust())
}

/// Seals events, each at its time.
fn seal(events: Vec<(Time, Event)>) -> Vec<Vec<u8>> {
    let mut head = Head::new();
    let seal = |(time, event)| head.seal_next(log(), time, event).unwrap().bytes;
    events.into_iter().map(seal).collect()
}

#[test]
fn a_stamp_shows_that_the_records_were_there() {
    let records = sample::records();
    for (of, earlier) in [(12, &[12][..]), (20, &[])] {
        let verdict = verified(&records, earlier, &anchor(&records, of));
        assert!(verdict.good, "{verdict:#?}");
        let [stamp] = verdict.stamps.as_slice() else { panic!("{verdict:#?}") };
        assert_eq!((stamp.size, stamp.authority.as_str()), (of as u64, "example-authority"));
        assert!((now().as_micros() - stamp.time.as_micros()).abs() < 60_000_000);
        let [witnessed] = verdict.witnessed.as_slice() else { panic!("{verdict:#?}") };
        assert_eq!((witnessed.size, witnessed.witness.as_str()), (of as u64, "witness.example/w1"));
        assert!(verdict.exposure.unwrap().seconds > 0);
        assert!(verdict.warnings.is_empty(), "{verdict:#?}");
    }
}

#[test]
fn without_trust_in_an_authority_its_stamps_are_told_and_not_counted() {
    // Made before the stamp, so that at the stamp's second its certificate was valid.
    let other = LocalAuthority::new().root();
    let records = sample::records();
    let tar = bundle(&records, &[], &[anchor(&records, 20)]);
    let verdict = sample::verify_tar(&tar, Trust::none());
    assert!(verdict.good && verdict.stamps.is_empty() && verdict.witnessed.is_empty());
    assert!(verdict.warnings.iter().any(|it| it.contains("no authority is in the trust file")));
    let trust = format!("{}\n{other}", signer().verifier_key());
    let verdict = sample::verify_tar(&tar, Trust::parse(&trust).unwrap());
    assert!(verdict.good && verdict.stamps.is_empty(), "{verdict:#?}");
    assert!(verdict.warnings.iter().any(|it| it.contains("not in the trust file")));
}

#[test]
fn an_anchor_that_does_not_hold_is_a_fault() {
    let records = sample::records();
    let good = anchor(&records, 20);
    let mut altered = vec![("another index", good.clone()), ("another path", good.clone())];
    altered[0].1.inclusion.index = 0;
    altered[1].1.inclusion.path[0] = Hash::ZERO;
    let mut other_note = good.clone();
    let checkpoint = Checkpoint { origin: origin(), size: 3, root: Hash::ZERO };
    other_note.note = deployment().sign(&checkpoint);
    altered.push(("a checkpoint of another root", other_note));
    let mut stolen = good.clone();
    stolen.stamps = [("example".to_owned(), stamp(b"something else"))].into();
    altered.push(("a stamp over something else", stolen));
    let mut unsigned = good.clone();
    let forger = Signer::from_seed(&origin(), &[7; 32]).unwrap();
    unsigned.note = forger
        .sign(&good.note.split("\n\n").next().map(|t| format!("{t}\n")).unwrap().parse().unwrap());
    altered.push(("a forged signature", unsigned));
    let mut cosigned = good.clone();
    cosigned.cosignatures = witness().cosign(&checkpoint, 1_795_000_000);
    altered.push(("a cosignature over something else", cosigned));
    let mut absent = good.clone();
    absent.inclusion.of = 11;
    altered.push(("a checkpoint that is not here", absent));
    let mut of_others = good;
    of_others.note = Signer::from_seed("bulla/dep_other", &[8; 32])
        .unwrap()
        .sign(&Checkpoint { origin: "bulla/dep_other".to_owned(), ..checkpoint });
    altered.push(("another deployment", of_others));
    for (what, anchor) in altered {
        let verdict = verified(&records, &[], &anchor);
        let anchors = verdict.problems.iter().any(|it| it.kind == ProblemKind::Anchor);
        assert!(!verdict.good && anchors, "{what}: {verdict:#?}");
    }
}

#[test]
fn a_record_that_is_dated_after_the_stamp_over_it_is_found() {
    let tomorrow = now().plus_seconds(86_400);
    let records = seal(vec![
        (now(), sample::opened()),
        (tomorrow, sample::started()),
        (tomorrow, sample::started()),
    ]);
    let verdict = verified(&records, &[2], &anchor(&records, 2));
    let problem = verdict.first_problem().unwrap();
    assert_eq!((problem.kind, problem.at), (ProblemKind::Misdated, Some(1)), "{verdict:#?}");
    assert_eq!(verdict.problems.len(), 1, "the third record is under no stamp");
}

#[test]
fn a_record_that_is_dated_before_the_stamp_it_stands_after_is_found() {
    let before = vec![(now(), sample::opened()), (now(), sample::started())];
    let anchor = anchor(&seal(before.clone()), 2);
    let sha256 = Hash::of(&anchor.stamps["example"]);
    let named =
        Event::Anchored { size: 2, authority: "example".to_owned(), stamped: now(), sha256 };
    let last_week = now().plus_seconds(-7 * 86_400);
    let with = |more: Vec<(Time, Event)>| {
        let mut events = before.clone();
        events.push((now(), named.clone()));
        events.extend(more);
        verified(&seal(events), &[2], &anchor)
    };
    assert!(with(vec![(now(), sample::started())]).good);
    let verdict = with(vec![(now(), sample::started()), (last_week, sample::started())]);
    let problem = verdict.first_problem().unwrap();
    assert_eq!((problem.kind, problem.at), (ProblemKind::Misdated, Some(4)), "{verdict:#?}");
    // A clock that is wrong, and a log that says so.
    let stamped = with(Vec::new()).stamps[0].time;
    let skewed = Event::ClockSkewed { authority: "example".to_owned(), stamped };
    let after = vec![(last_week, skewed.clone()), (last_week, sample::started())];
    let before = vec![(last_week, sample::started()), (last_week, skewed.clone())];
    for explained in [after, before] {
        let verdict = with(explained);
        assert!(verdict.good, "{verdict:#?}");
        assert!(verdict.warnings.iter().any(|it| it.contains("as the log says itself")));
    }
    // Words that explain something else: a right clock, one that is off by less, a stamp that never was.
    let yesterday = now().plus_seconds(-86_400);
    let next_week = stamped.plus_seconds(7 * 86_400);
    let unheard = Event::ClockSkewed { authority: "example".to_owned(), stamped: next_week };
    for (time, excuse) in [(now(), &skewed), (yesterday, &skewed), (now(), &unheard)] {
        let verdict = with(vec![(last_week, sample::started()), (time, excuse.clone())]);
        assert_eq!(verdict.first_problem().map(|it| it.at), Some(Some(3)), "{verdict:#?}");
    }
    // An anchor in between means that the log went on without a word.
    let verdict =
        with(vec![(last_week, sample::started()), (now(), named.clone()), (now(), skewed)]);
    assert_eq!(verdict.first_problem().map(|it| it.at), Some(Some(3)), "{verdict:#?}");
}

/// Who has the keys and the database can sign another past, but not stamp it yesterday.
#[test]
fn a_past_that_was_written_anew_was_first_stamped_long_after_its_times() {
    let last_year = now().plus_seconds(-365 * 86_400);
    let records = seal(vec![(last_year, sample::opened()), (last_year, sample::started())]);
    let verdict = verified(&records, &[], &anchor(&records, 2));
    assert!(verdict.good, "it agrees with itself");
    assert!(verdict.exposure.unwrap().seconds > 364 * 86_400, "{verdict:#?}");
}

/// Python's standard library and OpenSSL, as `VERIFY.md` has it: the same verdict without our program.
#[test]
fn the_recipe_by_hand_checks_stamps_too() {
    let records = sample::records();
    let scratch = tempfile::tempdir().unwrap();
    let tar = bundle(&records, &[12], &[anchor(&records, 12)]);
    let unpack = |name: &str, content: &mut dyn std::io::Read| {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap())?;
        std::io::copy(content, &mut std::fs::File::create(path)?).map(|_| ())
    };
    ledger::bundle::each_file(&tar[..], unpack).unwrap();
    std::fs::write(scratch.path().join("roots.pem"), AUTHORITY.root()).unwrap();
    let text = std::fs::read_to_string(scratch.path().join("VERIFY.md")).unwrap();
    let recipe = text.split("```python\n").nth(2).unwrap().split("```").next().unwrap().to_owned();
    let run = || {
        let mut python = std::process::Command::new("python3");
        let done = python.arg("-c").arg(&recipe).current_dir(scratch.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.success(), said + &String::from_utf8_lossy(&done.stderr))
    };
    let (good, said) = run();
    assert!(good && said.contains("12 records, anchors/0000000003.example.tst holds"), "{said}");
    std::fs::write(scratch.path().join("roots.pem"), LocalAuthority::new().root()).unwrap();
    let (_, said) = run();
    assert!(said.contains("DOES NOT HOLD"), "{said}");
    let inclusion = scratch.path().join("anchors/0000000003.inclusion");
    let other = std::fs::read_to_string(&inclusion).unwrap().replacen("index 1", "index 0", 1);
    std::fs::write(inclusion, other).unwrap();
    assert!(!run().0, "another place in the deployment's log");
}
