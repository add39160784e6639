//! The executed agreements: what was filed is what is verified, it stays for as long as it must, and then
//! it is gone.

use crate::world::{World, operator};
use ledger::verify::{Trust, Verification};
use ledger::{Day, Event, Hash};
use service::{AgreementError, Document, Filing, FoundDocument, OffboardError, ReadError, Which};
use std::fs;

const DAY: i64 = 86_400;
const BAA: &str = "baa-example";
const DOCUMENT: &[u8] = b"%PDF-1.7 Business Associate Agreement (synthetic)";

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn filing(agreement: &str, document: &[u8]) -> Filing {
    Filing {
        agreement: agreement.to_owned(),
        document: document.to_vec(),
        signatories: ["Ada Example", "Blaise Sample"].map(str::to_owned).to_vec(),
        signed: day("2026-01-05"),
    }
}

/// The rules of the world, in which the agreement ends on another day, or is another one.
fn other(from: &'static str, to: &'static str) -> impl Fn(String) -> String {
    move |rules| {
        assert!(rules.contains(from), "{from}");
        rules.replace(from, to)
    }
}

impl World {
    async fn filed(&self, document: &[u8]) {
        self.house.file_agreement(filing(BAA, document), operator()).await.unwrap();
    }

    async fn compared(&self, document: Document<'_>) -> Result<FoundDocument, AgreementError> {
        let checked = self.house.verify_agreement(BAA, Which::Newest, document).await?;
        assert_eq!(checked.holds(), checked.found == FoundDocument::Digest(Hash::of(DOCUMENT)));
        Ok(checked.found)
    }

    async fn is_kept(&self) -> bool {
        let kept = self.house.filed_agreements().await.unwrap().last().unwrap().kept;
        let read = self.house.read_agreement(BAA, Which::Newest, operator()).await;
        assert_eq!(kept, read.is_ok(), "{read:?}");
        kept
    }

    /// Sweeps at the beginning of a day; says how many documents went.
    async fn swept_on(&self, when: &str) -> u64 {
        self.clock.set(day(when).start());
        let disposed = self.house.retire_agreements().await.unwrap();
        self.house.apply_retention().await.unwrap();
        disposed
    }

    async fn of_kind(&self, kind: &str) -> Vec<Event> {
        self.events().await.into_iter().filter(|event| event.kind() == kind).collect()
    }

    /// Whether an export of the log verifies.
    async fn is_good(&self) -> bool {
        let mut bundle = Vec::new();
        self.house.export(&mut bundle, true, operator(), &|_, _| {}).await.unwrap();
        let mut verification = Verification::new(Trust::none());
        let each = ledger::bundle::each_file(&*bundle, |name, file| verification.file(name, file));
        each.unwrap();
        verification.finish().good
    }
}

fn in_database(data: &std::path::Path, statements: &[&str]) {
    let database = rusqlite::Connection::open(data.join("bulla.db")).unwrap();
    for statement in statements {
        database.execute_batch(statement).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_filed_is_recorded_sealed_and_verifies() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let filed = world.house.file_agreement(filing(BAA, DOCUMENT), operator()).await.unwrap();
    let [event] = &world.of_kind("agreement.filed").await[..] else { panic!() };
    let expected = Event::AgreementFiled {
        actor: operator(),
        agreement: BAA.to_owned(),
        sha256: Hash::of(DOCUMENT),
        size: DOCUMENT.len() as u64,
        signatories: ["Ada Example", "Blaise Sample"].map(str::to_owned).to_vec(),
        signed: day("2026-01-05"),
    };
    assert_eq!(*event, expected);
    let same = FoundDocument::Digest(Hash::of(DOCUMENT));
    assert_eq!(world.compared(Document::Stored).await.unwrap(), same);
    assert_eq!(world.compared(Document::Given(DOCUMENT)).await.unwrap(), same);
    let altered = FoundDocument::Digest(Hash::of(b"another"));
    assert_eq!(world.compared(Document::Given(b"another")).await.unwrap(), altered);

    assert!(world.of_kind("agreement.read").await.is_empty());
    let read = world.house.read_agreement(BAA, Which::Newest, operator()).await.unwrap();
    assert_eq!(*read, DOCUMENT);
    let [Event::AgreementRead { actor, sha256, .. }] = &world.of_kind("agreement.read").await[..]
    else {
        panic!()
    };
    assert_eq!((actor, *sha256), (&operator(), filed.sha256));
    assert!(world.is_good().await);

    // An amendment under the same id: the newest is meant, and the one before is still there.
    world.filed(b"amendment").await;
    let newest = world.house.verify_agreement(BAA, Which::Newest, Document::Stored).await.unwrap();
    assert!(newest.holds() && newest.recorded.sha256 == Hash::of(b"amendment"));
    let which = Which::At(filed.receipt.seq);
    assert_eq!(*world.house.read_agreement(BAA, which, operator()).await.unwrap(), DOCUMENT);
    let nowhere = world.house.read_agreement(BAA, Which::At(0), operator()).await;
    assert!(matches!(nowhere, Err(AgreementError::NotFiled)));

    world.house.stopped(operator()).await.unwrap();
    let part = &DOCUMENT[9..40];
    for file in ["bulla.db", "bulla.db-wal", "keys/keys.db"] {
        let Ok(bytes) = fs::read(world.data().join(file)) else { continue };
        assert!(!bytes.windows(part.len()).any(|window| window == part), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filed_leaves_no_record() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let with = |change: fn(&mut Filing)| {
        let mut filing = filing(BAA, DOCUMENT);
        change(&mut filing);
        world.house.file_agreement(filing, operator())
    };
    let unknown = with(|filing| filing.agreement = "baa-other".to_owned()).await.unwrap_err();
    assert!(unknown.to_string().ends_with("it has baa-example"), "{unknown}");
    assert!(matches!(with(|it| it.document.clear()).await, Err(AgreementError::Empty)));
    let large = with(|filing| filing.document = vec![0; service::MAX_DOCUMENT_BYTES + 1]).await;
    assert!(matches!(large, Err(AgreementError::TooLarge)));
    for names in [&[][..], &["Ada\nExample"], &[" "], &["Ada Example"; 17]] {
        let mut filing = filing(BAA, DOCUMENT);
        filing.signatories = names.iter().map(|name| (*name).to_owned()).collect();
        let refused = world.house.file_agreement(filing, operator()).await;
        assert!(matches!(refused, Err(AgreementError::Signatories)), "{names:?}");
    }
    let early = with(|filing| filing.signed = day("2026-06-02")).await;
    assert!(matches!(early, Err(AgreementError::NotYetSigned)));
    assert!(world.of_kind("agreement.filed").await.is_empty());
    let none = world.compared(Document::Given(DOCUMENT)).await;
    assert!(matches!(none, Err(AgreementError::NotFiled)));

    // The configuration says which document is the executed one.
    let digest = format!("expires = 2027-01-01\ndocument_sha256 = \"{}\"", Hash::of(b"executed"));
    world.apply_changed(|rules| rules.replace("expires = 2027-01-01", &digest)).await;
    let another = with(|_| ()).await;
    assert!(matches!(another, Err(AgreementError::OtherDocument { .. })), "{another:?}");
    with(|filing| filing.document = b"executed".to_vec()).await.unwrap();

    let most = with(|filing| {
        filing.agreement = BAA.to_owned();
        filing.document = b"executed".to_vec();
        filing.signed = day("2026-06-01");
    });
    most.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_the_stored_document_is_a_mismatch() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    let world = world
        .closed_and(|data| {
            let flip = "UPDATE documents SET sealed = CAST(substr(sealed, 1, 20) || \
                 CASE WHEN substr(sealed, 21, 1) = X'00' THEN X'01' ELSE X'00' END || \
                 substr(sealed, 22) AS BLOB)";
            in_database(data, &["DROP TRIGGER documents_are_only_forgotten", flip]);
        })
        .await;
    let checked = world.house.verify_agreement(BAA, Which::Newest, Document::Stored).await.unwrap();
    assert_eq!(checked.found, FoundDocument::Unopened);
    assert!(!checked.holds());
    assert_eq!(checked.recorded.sha256, Hash::of(DOCUMENT), "the chained hash");
    let refused = world.house.read_agreement(BAA, Which::Newest, operator()).await;
    assert!(matches!(refused, Err(AgreementError::Read(ReadError::Document { .. }))));
    // Whoever has a copy can still show that it is the one.
    let given = world.compared(Document::Given(DOCUMENT)).await.unwrap();
    assert_eq!(given, FoundDocument::Digest(Hash::of(DOCUMENT)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_put_in_the_place_of_another_does_not_pass_for_it() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    let second = "baa-next";
    world.apply_changed(other(BAA, second)).await;
    world.house.file_agreement(filing(second, b"another"), operator()).await.unwrap();
    let world = world
        .closed_and(|data| {
            let moves =
                "UPDATE documents SET agreement = 'baa-example' WHERE agreement = 'baa-next'";
            in_database(data, &["DROP TRIGGER documents_are_only_forgotten", moves]);
        })
        .await;
    // The record says of which agreement a document is, not the row.
    let given = world.house.verify_agreement(BAA, Which::Newest, Document::Given(b"another")).await;
    let checked = given.unwrap();
    assert!(!checked.holds() && checked.recorded.agreement == BAA);
    let read = world.house.read_agreement(BAA, Which::Newest, operator()).await.unwrap();
    assert_eq!(*read, DOCUMENT);

    // Nor do the sealed bytes and the key of the other one open as this one.
    let world = world
        .closed_and(|data| {
            let swap = "UPDATE documents SET (key, sealed) = \
                 (SELECT key, sealed FROM documents ORDER BY seq DESC LIMIT 1)";
            in_database(data, &[swap]);
        })
        .await;
    let checked = world.house.verify_agreement(BAA, Which::Newest, Document::Stored).await.unwrap();
    assert_eq!(checked.found, FoundDocument::Unopened);
    let refused = world.house.read_agreement(BAA, Which::Newest, operator()).await;
    assert!(matches!(refused, Err(AgreementError::Read(ReadError::Document { .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_proves_no_document() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    let (old, new) = (Hash::of(DOCUMENT).to_string(), Hash::of(b"another").to_string());
    let world = world
        .closed_and(|data| {
            let change = format!(
                "UPDATE records SET bytes = CAST(replace(CAST(bytes AS TEXT), '{old}', '{new}') AS BLOB)"
            );
            in_database(data, &["DROP TRIGGER records_are_not_updated", &change]);
        })
        .await;
    let changed = world.house.verify_agreement(BAA, Which::Newest, Document::Given(b"another"));
    let changed = changed.await;
    assert!(matches!(changed, Err(AgreementError::Unproved { .. })), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filing_whose_document_was_taken_away_is_still_known() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.filed(b"amendment").await;
    let world = world
        .closed_and(|data| {
            let newest = "DELETE FROM documents WHERE seq = (SELECT max(seq) FROM documents)";
            in_database(data, &["DROP TRIGGER documents_are_not_deleted", newest]);
        })
        .await;
    // The one before must not pass for the newest.
    let stored = world.house.verify_agreement(BAA, Which::Newest, Document::Stored).await;
    assert!(matches!(stored, Err(AgreementError::Disposed { .. })), "{stored:?}");
    let given = world.house.verify_agreement(BAA, Which::Newest, Document::Given(b"amendment"));
    assert!(given.await.unwrap().holds());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_in_effect_is_kept_however_old_its_document_is() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.apply_changed(other("expires = 2027-01-01", "expires = 2060-01-01")).await;
    world.filed(DOCUMENT).await;
    assert_eq!(world.swept_on("2059-12-31").await, 0);
    assert!(world.is_kept().await);
    // It ends on the 1st of January 2060; 2557 days after that day it goes, and not before.
    assert_eq!(world.swept_on("2067-01-01").await, 0);
    assert!(world.is_kept().await);
    assert_eq!(world.swept_on("2067-01-02").await, 1);
    assert!(!world.is_kept().await);
    assert_eq!(world.swept_on("2067-01-03").await, 0, "once");
    assert!(world.is_good().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_outlives_its_record_and_verifies_until_its_own_time_is_over() {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    let receipt = world.house.filed_agreements().await.unwrap()[0].receipt;
    // The records of January 2026 go in January 2033; the agreement ended in January 2027.
    world.clock.set(day("2033-01-20").start());
    assert_eq!(world.house.retire_agreements().await.unwrap(), 0);
    assert!(world.house.prune().await.unwrap() > receipt.seq);
    assert!(world.house.record(receipt.seq).await.unwrap().is_none(), "the record is gone");
    let stored = world.compared(Document::Stored).await.unwrap();
    assert_eq!(stored, FoundDocument::Digest(Hash::of(DOCUMENT)));
    let given = world.compared(Document::Given(b"another")).await.unwrap();
    assert_eq!(given, FoundDocument::Digest(Hash::of(b"another")));
    assert_eq!(world.house.filed_agreements().await.unwrap()[0].receipt, receipt);
    assert!(world.is_kept().await && world.is_good().await);
    assert_eq!(world.swept_on("2034-01-03").await, 1);
    assert!(!world.is_kept().await && world.is_good().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_agreement_is_kept_until_it_was_last_in_effect_and_six_years_more() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.apply_changed(other("expires = 2027-01-01", "expires = 2060-01-01")).await;
    world.filed(DOCUMENT).await;
    // Another agreement takes its place on the 1st of March 2030, and later files do not name it either.
    world.clock.set(day("2030-03-01").start());
    world
        .apply_changed(|rules| {
            let rules = rules.replace("expires = 2027-01-01", "expires = 2060-01-01");
            rules.replace(BAA, "baa-next")
        })
        .await;
    world.clock.advance(30 * DAY);
    world.apply_changed(other(BAA, "baa-third")).await;
    // 2557 days after the day on which it left.
    assert_eq!(world.swept_on("2037-03-01").await, 0);
    assert!(world.is_kept().await);
    assert_eq!(world.swept_on("2037-03-02").await, 1);
    assert!(!world.is_kept().await);

    let gone = world.compared(Document::Stored).await;
    assert!(matches!(gone, Err(AgreementError::Disposed { .. })), "{gone:?}");
    let given = world.compared(Document::Given(DOCUMENT)).await.unwrap();
    assert_eq!(given, FoundDocument::Digest(Hash::of(DOCUMENT)), "the record stays");
    let [Event::AgreementDisposed { actor, agreement, sha256, authority }] =
        &world.of_kind("agreement.disposed").await[..]
    else {
        panic!()
    };
    assert_eq!((actor.id.as_str(), agreement.as_str()), ("bulla", BAA));
    assert_eq!((*sha256, authority.as_str()), (Hash::of(DOCUMENT), "retention schedule"));
    // Policies are kept for as long as the log: every version of the configuration is there.
    let applied = world.of_kind("configuration.applied").await.len();
    assert_eq!(applied, 4);
    assert!(world.is_good().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_filed_late_is_kept_from_its_filing_on() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(b"early").await;
    // The agreement ended with the year 2026.
    world.clock.set(day("2030-01-01").start());
    world.filed(DOCUMENT).await;
    assert_eq!(world.swept_on("2034-01-02").await, 1, "the early one");
    assert!(world.is_kept().await);
    assert_eq!(world.swept_on("2037-01-01").await, 0);
    assert_eq!(world.swept_on("2037-01-02").await, 1);
    assert!(!world.is_kept().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_filed_twice_goes_with_the_later_filing() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.clock.set(day("2030-01-01").start());
    world.filed(DOCUMENT).await;
    assert_eq!(world.swept_on("2034-01-02").await, 0);
    assert_eq!(world.swept_on("2037-01-02").await, 1);
    let filed = world.house.filed_agreements().await.unwrap();
    assert_eq!(filed.iter().map(|document| document.kept).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_parse_keeps_every_document() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.clock.advance(DAY);
    world.apply_with("# the same\n").await;
    world.clock.advance(DAY);
    world.apply_changed(other(BAA, "baa-next")).await;
    let world = world
        .closed_and(|data| {
            let change = "UPDATE configurations SET bytes = X'00' WHERE version = 2";
            in_database(data, &["DROP TRIGGER configurations_are_not_updated", change]);
        })
        .await;
    // The agreement may have been in version 2, which was in force until the 3rd of June.
    assert_eq!(world.swept_on("2033-06-03").await, 0);
    assert_eq!(world.swept_on("2033-06-04").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_over_everything_suspends_the_disposal_of_documents() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    let (house, court) = (&world.house, "Example Court (synthetic)");
    house.place_hold("matter-7", None, court, operator()).await.unwrap();
    assert_eq!(world.swept_on("2040-01-01").await, 0);
    assert!(world.is_kept().await);
    // Nor is a record of it taken by the database.
    let event = Event::AgreementDisposed {
        actor: operator(),
        agreement: BAA.to_owned(),
        sha256: Hash::of(DOCUMENT),
        authority: "order".to_owned(),
    };
    let store = store::Store::open(&world.data()).unwrap();
    let entry = ledger::Entry::bare(ledger::Clock::now(&world.clock), event);
    let refused = store.tenant(world.house.log().tenant).append_with(entry, Vec::new()).await;
    assert_eq!(refused.unwrap_err(), ledger::Unrecorded::Conflict);
    drop(store);

    house.release_hold("matter-7", court, operator()).await.unwrap();
    assert_eq!(world.swept_on("2040-01-02").await, 1);
    assert!(!world.is_kept().await);
    assert!(world.is_good().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disposal_of_a_document_that_was_cut_off_is_finished() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.filed(b"amendment").await;
    let event = Event::AgreementDisposed {
        actor: operator(),
        agreement: BAA.to_owned(),
        sha256: Hash::of(DOCUMENT),
        authority: "retention schedule".to_owned(),
    };
    let store = store::Store::open(&world.data()).unwrap();
    let entry = ledger::Entry::bare(ledger::Clock::now(&world.clock), event);
    store.tenant(world.house.log().tenant).append_with(entry, Vec::new()).await.unwrap();
    drop(store);
    let world = world.closed_and(|_| ()).await;
    world.house.finish_disposals().await.unwrap();
    let filed = world.house.filed_agreements().await.unwrap();
    assert_eq!(filed.iter().map(|document| document.kept).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_keeps_documents_readable() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.house.rotate_organisation(operator()).await.unwrap();
    assert!(world.is_kept().await);
    world.house.rotate_operator(None, operator()).await.unwrap();
    let world = world.reopened().await;
    assert!(world.is_kept().await);
    world.filed(b"amendment").await;
    world.house.rotate_organisation(operator()).await.unwrap();
    assert!(world.is_kept().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_database_cannot_open_a_document_that_was_disposed_of() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.house.stopped(operator()).await.unwrap();
    let backup = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    };
    copy(&world.data(), backup.path());
    assert_eq!(world.swept_on("2040-01-01").await, 1);
    let world = world.closed_and(|data| copy(backup.path(), data)).await;
    assert!(world.of_kind("agreement.disposed").await.is_empty(), "the copy knows nothing of it");
    assert!(!world.is_kept().await);
    let gone = world.compared(Document::Stored).await;
    assert!(matches!(gone, Err(AgreementError::Disposed { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_store_from_before_documents_is_brought_up_to_date() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let world = world
        .closed_and(|data| {
            let keys = rusqlite::Connection::open(data.join("keys").join("keys.db")).unwrap();
            keys.execute_batch("DROP TABLE document_keys; UPDATE meta SET schema_version = 1;")
                .unwrap();
        })
        .await;
    world.filed(DOCUMENT).await;
    assert!(world.is_kept().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_gets_the_documents_back_and_leaves_none() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.filed(DOCUMENT).await;
    world.filed(b"amendment").await;
    let out = world.data().join("archive");
    let left = world.house.offboard(&out, "end of agreement", operator(), &|_, _| {}).await;
    let left: Result<_, OffboardError> = left;
    let sums = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    assert_eq!(Hash::of(sums.as_bytes()), left.unwrap().sha256);
    let mut given: Vec<_> = fs::read_dir(out.join("agreements"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    given.sort();
    let [first, second] = &given[..] else { panic!("{given:?}") };
    let ending = |name: &str| name.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    assert!(
        first.starts_with("baa-example-") && ending(first).as_deref() == Some("pdf"),
        "{first}"
    );
    assert_eq!(ending(second).as_deref(), Some("bin"), "{second}");
    assert_eq!(fs::read(out.join("agreements").join(first)).unwrap(), DOCUMENT);
    for (name, document) in [(first, DOCUMENT), (second, &b"amendment"[..])] {
        assert!(sums.contains(&format!("{}  agreements/{name}\n", Hash::of(document))), "{sums}");
    }
    let world = world.closed_and(|_| ()).await;
    assert!(!world.is_kept().await);
    world.clock.set(day("2040-01-01").start());
    assert_eq!(world.house.retire_agreements().await.unwrap(), 0, "nothing is left to go");
}
