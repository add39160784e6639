//! Who may look into the log, what they find, and what their looking leaves behind.

use crate::world::{World, operator};
use ledger::{Event, ExchangeId, Record};
use phi::Text;
use serde_json::Value;
use service::{DisposalReason, DisposalRequest, KeyError, KeyRequest, KeyRole, Level, ReviewError};
use service::{Right, Search, SearchError, Since, Tile};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const REFERENCE: &str = "MRN 4471-0093 of Marisol";
const OTHER: &str = "MRN 5582-1104 of Desmond";
const DAY: i64 = 86_400;

fn exchange(event: &Event) -> ExchangeId {
    event.about().unwrap().exchange
}

fn of(patient: &str) -> Search {
    Search { patient: Some(Text::from(patient)), limit: 1000, ..Search::default() }
}

fn everything() -> Search {
    Search { limit: 10_000, ..Search::default() }
}

impl World {
    /// The positions and kinds of what a search finds.
    async fn found(&self, search: &Search) -> Vec<(u64, String)> {
        let found = self.house.search(search, operator()).await.unwrap();
        assert_eq!(found.next, None);
        found.lines.iter().map(|line| place(line)).collect()
    }
}

fn place(line: &str) -> (u64, String) {
    let line: Value = serde_json::from_str(line).unwrap();
    let kind = line.pointer("/record/kind").and_then(Value::as_str).unwrap().to_owned();
    (line.get("seq").and_then(Value::as_u64).unwrap(), kind)
}

/// Whether the bytes stand in a file below `dir`.
fn stands_in(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands_in(&path, bytes);
        }
        fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_a_patient_is_found_exactly_across_conversations() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let about = |patient| world.ask_about("Plan the visit.", None, patient);
    let mut planted = vec![
        exchange(&about(Some(REFERENCE)).await.0),
        exchange(&world.ask_about("First turn.", Some("visit"), Some(REFERENCE)).await.0),
        exchange(&world.ask_about("Second turn.", Some("visit"), Some(REFERENCE)).await.0),
    ];
    // Another patient, nobody, another spelling, and another patient in the same conversation.
    for (conversation, patient) in [
        (None, Some(OTHER)),
        (Some("visit"), None),
        (None, Some("mrn 4471-0093 of marisol")),
        (Some("visit"), Some(OTHER)),
    ] {
        world.ask_about("Something else.", conversation, patient).await;
    }
    // Spaces around a reference do not make another patient.
    planted.push(exchange(&about(Some(&format!("  {REFERENCE} "))).await.0));
    // Two exchanges of an API that names no conversation are sealed apart; one is looked into.
    let (first, second) = (planted[0], planted[1]);
    world.house.read_content(first, operator(), "patient_request").await.unwrap();

    let found = world.found(&of(REFERENCE)).await;
    let records = world.records().await;
    let expected: Vec<(u64, String)> = records
        .iter()
        .filter(|record| match &record.event {
            Event::ContentRead { exchange, .. } => planted.contains(exchange),
            event => event.about().is_some_and(|about| planted.contains(&about.exchange)),
        })
        .map(|record| (record.seq, record.event.kind().to_owned()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 9, "four intents, four outcomes, one reading");

    // Other filters narrow it, and the index says what reading everything says.
    let outcomes = Search { kind: Some("exchange.outcome".to_owned()), ..of(REFERENCE) };
    assert_eq!(world.found(&outcomes).await.len(), 4);
    let readings = Search { kind: Some("content.read".to_owned()), ..of(REFERENCE) };
    assert_eq!(world.found(&readings).await.len(), 1);
    assert_eq!(world.found(&Search { scan: true, ..of(REFERENCE) }).await, found);
    assert!(world.found(&of("MRN 4471-0093")).await.is_empty());

    // What is done later to a conversation of the patient is found too.
    let conversation = records
        .iter()
        .filter_map(|record| record.event.about())
        .find(|about| about.exchange == second)
        .and_then(|about| about.conversation)
        .unwrap();
    let request = DisposalRequest {
        unit: ledger::Unit::Conversation(conversation),
        classes: ledger::ContentClass::ALL.to_vec(),
        authority: "request 12".to_owned(),
        reason: DisposalReason::Request,
        decision: Some(ledger::Hash::of(b"signed decision")),
    };
    world.house.dispose(request, operator()).await.unwrap();
    let disposed = Search { kind: Some("content.disposed".to_owned()), ..of(REFERENCE) };
    assert_eq!(world.found(&disposed).await.len(), 1);

    // The log has a name for the patient, and the reference is nowhere.
    for reference in [REFERENCE, OTHER, "4471-0093"] {
        assert!(!stands_in(&world.data(), reference.as_bytes()), "{reference}");
    }
    assert!(stands_in(&world.data(), b"exchange.intent"), "the look finds what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_keeps_the_name_when_keys_are_replaced_and_loses_it_with_them() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    world.ask_about("Before.", None, Some(REFERENCE)).await;
    world.house.rotate_organisation(operator()).await.unwrap();
    let world = world.reopened().await;
    world.ask_about("After.", None, Some(REFERENCE)).await;
    assert_eq!(world.found(&of(REFERENCE)).await.len(), 4);
    // Another organisation has another name for the same patient.
    let other = World::at("2026-06-01T12:00:00Z", None).await;
    other.ask_about("Elsewhere.", None, Some(REFERENCE)).await;
    let name = |records: Vec<Record>| {
        records.iter().find_map(|record| record.event.about().and_then(|about| about.patient))
    };
    assert_ne!(name(world.records().await).unwrap(), name(other.records().await).unwrap());

    let out = world.data().with_extension("archive");
    world.house.offboard(&out, "end of agreement", operator(), &|_, _| {}).await.unwrap();
    let answer = world.house.search(&of(REFERENCE), operator()).await;
    assert!(matches!(answer, Err(SearchError::Unanswerable)), "{answer:?}");
    // What is no patient is found as before.
    assert!(!world.found(&everything()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_could_be_two_patients_is_refused() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let long = "x".repeat(257);
    for patient in ["MRN \u{fffd}1", long.as_str()] {
        let (event, _) = world.ask_about("Plan the visit.", None, Some(patient)).await;
        assert_eq!(crate::world::ending(&event), ("refused", Some("invalid_request"), None));
        assert_eq!(event.about().unwrap().patient, None);
    }
    let (event, _) = world.ask_about("Plan the visit.", None, Some(&long[1..])).await;
    assert_eq!(crate::world::ending(&event).0, "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_reading_everything_finds_and_each_search_is_recorded() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    for (n, conversation) in [None, Some("a"), Some("b"), None].into_iter().enumerate() {
        world.ask(&format!("Turn {n}, SSN 219-09-9999."), conversation).await;
        world.clock.advance(90);
        // A clock that is set back makes no record disappear.
        if n == 2 {
            world.clock.advance(-200);
        }
    }
    let records = world.records().await;
    let about = |n: usize| records.iter().filter_map(|it| it.event.about()).nth(n).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let searches = [
        everything(),
        Search { owner: text("Example Scheduling Bot"), ..everything() },
        Search { owner: text("A. Tester"), ..everything() },
        Search { person: text("A. Tester"), ..everything() },
        Search { person: text("uid:0"), ..everything() },
        Search { surface: text("api"), ..everything() },
        Search { decision: text("tokenized"), ..everything() },
        Search { outcome: text("answered"), ..everything() },
        Search { outcome: text("refused"), ..everything() },
        Search { kind: text("api_key.created"), ..everything() },
        Search { destination: text("vendor"), kind: text("exchange.intent"), ..everything() },
        Search { conversation: about(2).conversation, ..everything() },
        Search { exchange: Some(about(2).exchange), ..everything() },
        Search { since: Some(records[5].time), until: Some(records[7].time), ..everything() },
        Search { since: Some(records[8].time.plus_seconds(9999)), ..everything() },
        Search { from: 4, until: Some(records[7].time), ..everything() },
    ];
    let mut sizes = Vec::new();
    for search in &searches {
        let found = world.found(search).await;
        let read = world.found(&Search { scan: true, ..search.clone() }).await;
        assert_eq!(
            found.iter().filter(|(seq, _)| *seq < records.len() as u64).collect::<Vec<_>>(),
            read.iter().filter(|(seq, _)| *seq < records.len() as u64).collect::<Vec<_>>(),
            "{search:?}"
        );
        sizes.push(found.len());
        let last = world.records().await.pop().unwrap();
        let Event::Searched { filters, count, .. } = &last.event else { panic!("{last:?}") };
        assert!(*count >= found.len() as u64);
        assert!(filters.is_sorted());
        let said = String::from_utf8(last.to_bytes()).unwrap();
        for value in ["Scheduling", "tokenized", "vendor", "cnv_", "exc_"] {
            assert!(!said.contains(value), "{said}");
        }
    }
    assert_eq!(sizes[1], 8, "two records of each exchange");
    assert_eq!((sizes[2], sizes[8], sizes[14]), (0, 0, 0));
    assert_eq!(sizes[10], 4);
    assert_eq!((sizes[11], sizes[12]), (2, 2));
    // What one search does not give out, the next does.
    let mut all = Vec::new();
    let mut search = Search { limit: 3, until: Some(records[6].time), ..Search::default() };
    loop {
        let found = world.house.search(&search, operator()).await.unwrap();
        assert!(found.lines.len() <= 3);
        all.extend(found.lines.iter().map(|line| place(line).0));
        let Some(next) = found.next else { break };
        search.from = next;
    }
    let until = records[6].time;
    let expected: Vec<u64> =
        records.iter().filter(|record| record.time < until).map(|record| record.seq).collect();
    assert_eq!(all, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_apart_and_the_configuration_names_the_readers() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let (caller, ada, ben) =
        (world.principal(), world.auditor("Ada Example").await, world.auditor("Ben Example").await);
    let may = |principal, right| {
        world.house.permit(principal, right).map_err(|denied| denied.code.as_str())
    };
    let role = Err("role_not_allowed");
    assert_eq!((may(&caller, Right::Ask), may(&caller, Right::ReadLog)), (Ok(()), role));
    assert_eq!((may(&ada, Right::Ask), may(&ada, Right::ReadLog)), (role, Ok(())));
    assert_eq!(may(&ben, Right::ReadLog), Ok(()));

    world.apply_with("[log]\nreaders = [\"Ada Example\"]\n").await;
    let changes = world.events().await.into_iter().rev().find_map(|event| match event {
        Event::ConfigurationApplied { changes, .. } => Some(changes),
        _ => None,
    });
    assert_eq!(changes.unwrap().iter().map(|it| it.object.as_str()).collect::<Vec<_>>(), ["log"]);
    assert_eq!(may(&ada, Right::ReadLog), Ok(()));
    assert_eq!(may(&ben, Right::ReadLog), Err("reader_not_allowed"));
    // To be named makes no auditor.
    world.apply_with("[log]\nreaders = [\"Example Scheduling Bot\"]\n").await;
    assert_eq!(may(&caller, Right::ReadLog), role);
    assert_eq!(may(&ada, Right::ReadLog), Err("reader_not_allowed"));

    // All of it is recorded, one record for each key and reason.
    world.house.stopped(operator()).await.unwrap();
    let mut denied = BTreeMap::new();
    for event in world.events().await {
        if let Event::AccessDenied { actor, reason, count } = event {
            assert_eq!(denied.insert((actor.name, reason), count), None);
        }
    }
    let expected = [
        (("Ada Example", "reader_not_allowed"), 1),
        (("Ada Example", "role_not_allowed"), 1),
        (("Ben Example", "reader_not_allowed"), 1),
        (("Example Scheduling Bot", "role_not_allowed"), 2),
    ];
    let expected = expected.map(|((who, why), n)| ((who.to_owned(), why.to_owned()), n));
    assert_eq!(denied, expected.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditors_key_has_a_role_and_no_purpose() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let request = KeyRequest {
        owner: "Ada Example".to_owned(),
        role: KeyRole::Auditor,
        purpose: Some("treatment".to_owned()),
        days: None,
    };
    let refused = world.house.create_key(request, operator()).await;
    assert!(matches!(refused, Err(KeyError::NoPurpose)));
    world.auditor("Ada Example").await;
    let made: Vec<_> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::ApiKeyCreated { role, .. } => Some(role),
            _ => None,
        })
        .collect();
    assert_eq!(made, [None, Some("auditor".to_owned())]);
    let world = world.reopened().await;
    let roles = world.house.list_keys().await.unwrap().into_iter().map(|row| row.role);
    assert_eq!(roles.collect::<Vec<_>>(), [KeyRole::Caller, KeyRole::Auditor]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_makes_one_record_however_many_tiles_are_read() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let (ada, ben) = (world.auditor("Ada Example").await, world.auditor("Ben Example").await);
    let tile = |level| Tile { level, index: 0, width: 1 };
    // Nothing is signed yet, so nothing is served and nothing was read.
    assert_eq!(world.house.read_checkpoint(&ada).await.unwrap(), None);
    assert_eq!(world.house.read_tile(&ada, tile(Level::Entries)).await.unwrap(), None);
    world.house.report(Since::Position(0), operator()).await.unwrap();
    for reader in [&ada, &ben, &ada] {
        for level in [Level::Entries, Level::Hashes(0)] {
            assert!(world.house.read_tile(reader, tile(level)).await.unwrap().is_some());
        }
        assert!(world.house.read_checkpoint(reader).await.unwrap().is_some());
    }
    let readers: Vec<String> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::TilesRead { actor, .. } => Some(actor.name),
            _ => None,
        })
        .collect();
    assert_eq!(readers, ["Ada Example", "Ben Example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_report_are_those_of_the_records() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    for patient in [Some(REFERENCE), None, Some(OTHER)] {
        let (event, _) = world.ask_about("Plan, SSN 219-09-9999.", None, patient).await;
        world.house.read_content(exchange(&event), operator(), "auditor").await.unwrap();
    }
    world.ask_about("Refused.", None, Some("\u{fffd}")).await;
    world.house.search(&everything(), operator()).await.unwrap();
    let report = world.house.report(Since::LastReview, operator()).await.unwrap();
    let records = world.records().await;
    let (last, within) = records.split_last().unwrap();
    assert_eq!((report.from, report.size), (0, within.len() as u64));
    let Event::Reported { from, size, sha256, .. } = &last.event else { panic!("{last:?}") };
    assert_eq!((*from, *size, *sha256), (report.from, report.size, report.sha256));
    let said: Value = serde_json::from_str(&report.json).unwrap();
    let count = |what: &dyn Fn(&Event) -> bool| {
        within.iter().filter(|record| what(&record.event)).count() as u64
    };
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for record in within {
        *kinds.entry(record.event.kind()).or_default() += 1;
    }
    assert_eq!(said["records"], serde_json::to_value(&kinds).unwrap());
    assert_eq!(said["exchanges"]["ended"], count(&|event| matches!(event, Event::Outcome(_))));
    assert_eq!(said["exchanges"]["outcomes"], serde_json::json!({ "answered": 3, "refused": 1 }));
    assert_eq!(said["exchanges"]["owners"]["Example Scheduling Bot"], 4);
    assert_eq!(said["exchanges"]["decisions"], serde_json::json!({ "none": 1, "tokenized": 3 }));
    assert_eq!(said["exchanges"]["destinations"], serde_json::json!({ "none": 1, "vendor": 3 }));
    assert_eq!(said["exchanges"]["codes"], serde_json::json!({ "invalid_request": 1 }));
    assert_eq!(
        (&said["exchanges"]["of_patients"], &said["exchanges"]["open"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        said["content_read"],
        serde_json::json!({ "auditor: A. Tester (operator, uid:0)": 3 })
    );
    assert_eq!(said["log_read"]["searched: A. Tester (operator, uid:0)"], 1);
    let changes = count(&|event| {
        matches!(
            event,
            Event::LogOpened { .. }
                | Event::ConfigurationApplied { .. }
                | Event::ApiKeyCreated { .. }
        )
    });
    assert_eq!(said["changes"]["items"].as_array().unwrap().len() as u64, changes);
    for text in [&report.json, &report.html] {
        assert!(!text.contains("219-09-9999") && !text.contains(REFERENCE), "{text}");
    }
    assert!(report.html.contains("Example Scheduling Bot") && !report.html.contains("<script"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_signed_for_as_it_was_made_or_not_at_all() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    world.ask("Plan the visit.", None).await;
    let report = world.house.report(Since::LastReview, operator()).await.unwrap();
    let sign = async |json: &str, html: &str, reviewer: &str, note: Option<&str>| {
        world.house.sign_off((json, html), reviewer, note, operator()).await
    };
    let (json, html) = (report.json.as_str(), report.html.as_str());
    let altered = json.replace("\"answered\": 1", "\"answered\": 2");
    let of_another = json.replace("\"from\": 0", "\"from\": 1");
    assert!(altered != json && of_another != json);
    for (json, html) in [
        (altered.as_str(), html),
        (of_another.as_str(), html),
        (&*format!("{json} "), html),
        (json, &*html.replace("Activity review", "Activity")),
        ("{}", html),
        ("", ""),
    ] {
        let refused = sign(json, html, "Ada Example", None).await;
        assert!(
            matches!(refused, Err(ReviewError::Altered(_) | ReviewError::NoReport)),
            "{refused:?}"
        );
    }
    assert!(matches!(sign(json, html, " ", None).await, Err(ReviewError::Reviewer)));
    assert!(matches!(sign(json, html, "Ada", Some("a\nb")).await, Err(ReviewError::Note)));
    // The log of another organisation did not make it.
    let other = World::at("2026-06-01T12:00:00Z", None).await;
    other.house.report(Since::LastReview, operator()).await.unwrap();
    let refused = other.house.sign_off((json, html), "Ada Example", None, operator()).await;
    assert!(matches!(refused, Err(ReviewError::Altered(_))), "{refused:?}");

    // The log goes on meanwhile, and the report stays what it is.
    world.ask("Another visit.", None).await;
    let receipt = sign(json, html, "Ada Example", Some("Seen.")).await.unwrap();
    let signed = &world.records().await[usize::try_from(receipt.seq).unwrap()].event;
    let Event::Reviewed { reviewer, from, size, sha256, reason, .. } = signed else {
        panic!("{signed:?}")
    };
    assert_eq!((reviewer.as_str(), reason.as_deref()), ("Ada Example", Some("Seen.")));
    assert_eq!((*from, *size, *sha256), (report.from, report.size, report.sha256));
    // The next report goes on where this one ended, and says so.
    let next = world.house.report(Since::LastReview, operator()).await.unwrap();
    assert_eq!(next.from, report.size);
    assert!(next.json.contains("\"reviewer\": \"Ada Example\""), "{}", next.json);
    let skipped = world.house.report(Since::Position(next.size), operator()).await.unwrap();
    assert!(skipped.html.contains("were never reviewed"), "{}", skipped.html);
    let nothing = world.house.report(Since::Position(1 << 40), operator()).await;
    assert!(matches!(nothing, Err(ReviewError::Nothing)), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_review_is_told_once_in_each_period() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let told = async || {
        world.house.tell_of_overdue_review().await.unwrap();
        let events = world.events().await;
        events.iter().filter(|event| matches!(event, Event::ReviewOverdue { .. })).count()
    };
    assert_eq!(told().await, 0);
    world.clock.advance(30 * DAY - 1);
    assert_eq!(told().await, 0);
    assert!(!world.house.status().await.unwrap().review.overdue);
    world.clock.advance(1);
    assert_eq!((told().await, told().await), (1, 1));
    assert!(world.house.status().await.unwrap().review.overdue);
    world.clock.advance(29 * DAY);
    assert_eq!(told().await, 1);
    world.clock.advance(DAY);
    assert_eq!((told().await, told().await), (2, 2));

    let report = world.house.report(Since::LastReview, operator()).await.unwrap();
    let (json, html) = (report.json.as_str(), report.html.as_str());
    world.house.sign_off((json, html), "Ada Example", None, operator()).await.unwrap();
    let state = world.house.status().await.unwrap().review;
    assert!(!state.overdue && state.last.is_some());
    world.clock.advance(29 * DAY);
    assert_eq!(told().await, 2);
    // The configuration says how often.
    world.apply_with("[review]\nevery_days = 7\n").await;
    assert_eq!(told().await, 3);
    assert_eq!(world.house.status().await.unwrap().review.every_days, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_written_a_week_before_its_review_is_due_and_once_in_each_period() {
    let world = World::at("2026-06-01T12:00:00Z", None).await;
    let folder = tempfile::tempdir().unwrap();
    let files = || {
        let names = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let due = || world.house.write_due_report();
    world.clock.advance(29 * DAY);
    assert_eq!(due().await.unwrap(), None, "no folder is named");
    // The folder is away: an error, no record, and nothing is lost.
    let away = folder.path().join("away");
    world.apply_with(&format!("[review]\nfolder = \"{}\"\n", away.display())).await;
    assert!(matches!(due().await, Err(ReviewError::Folder(_))));
    world.apply_with(&format!("[review]\nfolder = \"{}\"\n", folder.path().display())).await;
    let reported = async || {
        let events = world.events().await;
        events.iter().filter(|event| matches!(event, Event::Reported { .. })).count()
    };
    assert_eq!(reported().await, 0);
    let page = due().await.unwrap().unwrap();
    assert_eq!((due().await.unwrap(), reported().await, files().len()), (None, 1, 2));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let (json, html) = (read(&page.with_extension("json")), read(&page));
    // Another file in its place is not written over, and not taken away.
    world.clock.advance(30 * DAY);
    let blocked = folder.path().join("blocked");
    std::fs::create_dir(&blocked).unwrap();
    world.apply_with(&format!("[review]\nfolder = \"{}\"\n", blocked.display())).await;
    let size = world.records().await.len();
    let taken = blocked.join(format!("activity-0-to-{}.html", size - 1));
    std::fs::write(&taken, "mine").unwrap();
    let refused = due().await;
    assert!(matches!(refused, Err(ReviewError::Folder(_))), "{refused:?}");
    assert_eq!((read(&taken).as_str(), std::fs::read_dir(&blocked).unwrap().count()), ("mine", 1));
    std::fs::remove_file(&taken).unwrap();
    assert!(
        due().await.unwrap().is_some(),
        "the review is overdue, and the next period has its own"
    );
    // Whoever reads the first one signs for it; then the next waits for its time.
    world.house.sign_off((&json, &html), "Ada Example", None, operator()).await.unwrap();
    assert_eq!(due().await.unwrap(), None);
    world.clock.advance(23 * DAY - 1);
    assert_eq!(due().await.unwrap(), None);
    world.clock.advance(1);
    let next = due().await.unwrap().unwrap();
    assert!(read(&next.with_extension("json")).contains("\"reviewer\": \"Ada Example\""));
}
