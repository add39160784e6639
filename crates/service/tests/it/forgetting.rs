//! What is disposed of is gone for good, everything else is not, and the log says so.

use crate::world::{World, ending, operator};
use ledger::verify::{Trust, Verdict, Verification};
use ledger::{ContentClass, ConversationId, Disposal, Event, ExchangeId, Hash, Unit};
use service::{DisposalReason, DisposalRequest, DisposeError, OffboardError, ReadError};
use std::fs;
use std::path::Path;
use testkit::upstream::Captured;

const DAY: i64 = 86_400;
const SSN: &str = "219-09-9999";

fn about(event: &Event) -> (ExchangeId, Option<ConversationId>) {
    let about = event.about().unwrap();
    (about.exchange, about.conversation)
}

impl World {
    /// One turn; says its exchange and conversation.
    async fn turn(&self, conversation: Option<&str>) -> (ExchangeId, Option<ConversationId>) {
        let (event, _) = self.ask(&format!("SSN {SSN}"), conversation).await;
        assert_eq!(ending(&event).0, "answered", "{event:?}");
        about(&event)
    }

    /// Which classes of an exchange can still be read.
    async fn readable(&self, exchange: ExchangeId) -> (bool, bool) {
        match self.house.read_content(exchange, operator(), "auditor").await {
            Ok(content) => {
                let written =
                    content.written.as_ref().is_some_and(|text| text.expose().contains(SSN));
                (written, !content.reply.is_empty())
            }
            Err(ReadError::Disposed) => (false, false),
            Err(error) => panic!("{error}"),
        }
    }

    async fn disposals(&self) -> Vec<Event> {
        let events = self.events().await;
        events.into_iter().filter(|event| matches!(event, Event::Disposed { .. })).collect()
    }

    pub(crate) async fn verified(&self) -> Verdict {
        let mut bundle = Vec::new();
        self.house.export(&mut bundle, true, operator(), &|_, _| {}).await.unwrap();
        let mut verification = Verification::new(Trust::none());
        let each = ledger::bundle::each_file(&*bundle, |name, file| verification.file(name, file));
        each.unwrap();
        verification.finish()
    }
}

fn request(unit: Unit, classes: &[ContentClass]) -> DisposalRequest {
    DisposalRequest {
        unit,
        classes: classes.to_vec(),
        authority: "request 12".to_owned(),
        reason: DisposalReason::Request,
        decision: Some(Hash::of(b"signed decision")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_goes_after_seven_years_and_not_a_day_before() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (exchange, _) = world.turn(None).await;
    world.clock.advance((7 * 365 + 2) * DAY);
    // The 1st of June 2033: the day is not over, and only the map of surrogates goes.
    assert_eq!(world.house.apply_retention().await.unwrap(), 1);
    assert_eq!(world.readable(exchange).await, (true, true));
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.disposed.iter().map(|d| d.payloads).collect::<Vec<_>>(), [0]);

    world.clock.advance(DAY);
    assert_eq!(world.house.apply_retention().await.unwrap(), 1);
    assert_eq!(world.readable(exchange).await, (false, false));
    assert_eq!(world.house.apply_retention().await.unwrap(), 0, "once");
    let [_, disposed] = &world.disposals().await[..] else { panic!() };
    let Event::Disposed { scope, classes, authority, reason, count, held, sha256, actor } =
        disposed
    else {
        panic!("{disposed:?}")
    };
    assert_eq!(*scope, Disposal::Before("2026-06-02".parse().unwrap()));
    assert_eq!(classes, &[ContentClass::Prompts, ContentClass::Answers]);
    assert_eq!((authority.as_str(), reason.as_str()), ("retention schedule", "retention"));
    assert_eq!((*count, *held, *sha256, actor.id.as_str()), (1, 0, None, "bulla"));

    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
    let told: Vec<_> =
        verdict.disposed.iter().map(|d| (d.authority.as_str(), d.payloads)).collect();
    assert_eq!(told, [("retention schedule", 0), ("retention schedule", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_goes_at_its_own_time() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world
        .apply_with(&format!(
            "[retention]\nprompts_days = 30\nanswers_days = 90\nsurrogates_days = 10\n\
             decision = \"Short retention, signed by Ada Example (synthetic)\"\n\
             decision_sha256 = \"{}\"\n",
            Hash::of(b"decision")
        ))
        .await;
    let (old, _) = world.turn(Some("a")).await;
    world.clock.advance(20 * DAY);
    let (new, _) = world.turn(None).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        world.house.apply_retention().await.unwrap();
        seen.push((world.readable(old).await, world.readable(new).await));
        world.clock.advance(20 * DAY);
    }
    let (all, answer, none) = ((true, true), (false, true), (false, false));
    // On the days 20, 40, 60, 80 and 100.
    let expected = [(all, all), (answer, all), (answer, answer), (answer, answer), (none, answer)];
    assert_eq!(seen, expected);
    let decided = |event: &Event| matches!(event, Event::Disposed { sha256: Some(_), .. });
    assert!(world.disposals().await.iter().all(decided));
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_early_without_a_signed_decision() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (exchange, _) = world.turn(None).await;
    let early = DisposalRequest {
        decision: None,
        ..request(Unit::Exchange(exchange), &[ContentClass::Answers])
    };
    let refused = world.house.dispose(early.clone(), operator()).await.unwrap_err();
    let DisposeError::Early { class: ContentClass::Answers, due } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(due.to_string(), "2033-06-02");
    assert_eq!(world.readable(exchange).await, (true, true));
    assert_eq!(world.disposals().await, []);
    world.clock.set(due.start());
    world.house.dispose(early, operator()).await.unwrap();
    assert_eq!(world.readable(exchange).await, (true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_alone_and_its_neighbours_go_on() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (gone, conversation) = world.turn(Some("gone")).await;
    let (stays, other) = world.turn(Some("stays")).await;
    let (alone, _) = world.turn(None).await;
    let unit = Unit::Conversation(conversation.unwrap());

    let part = DisposalRequest { unit: Unit::Exchange(gone), ..request(unit, &ContentClass::ALL) };
    let refused = world.house.dispose(part, operator()).await.unwrap_err();
    assert!(matches!(refused, DisposeError::InConversation(of) if Some(of) == conversation));
    let disposed =
        world.house.dispose(request(unit, &ContentClass::ALL), operator()).await.unwrap();
    assert_eq!(disposed.units, 1);
    assert_eq!(world.readable(gone).await, (false, false));
    for exchange in [stays, alone] {
        assert_eq!(world.readable(exchange).await, (true, true));
    }
    // Both conversations go on: the one under its keys and with its surrogates, the other under new ones.
    world.ask(&format!("SSN {SSN}"), Some("stays")).await;
    let texts: Vec<_> = world.upstream.captured().iter().map(Captured::text).collect();
    assert_eq!(texts.last(), texts.get(1), "the surrogates of the neighbour live on");
    let (again, same) = world.turn(Some("gone")).await;
    assert_eq!(same, conversation);
    assert_eq!(world.readable(again).await, (true, true));
    let texts: Vec<_> = world.upstream.captured().iter().map(Captured::text).collect();
    assert_ne!(texts.last(), texts.first(), "the surrogates went with the conversation");
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(verdict.disposed.iter().map(|d| d.payloads).collect::<Vec<_>>(), [2]);
    assert_ne!(other, conversation);

    let unknown = Unit::Exchange(ExchangeId::from_bytes([9; 16]));
    let refused = world.house.dispose(request(unknown, &ContentClass::ALL), operator()).await;
    assert!(matches!(refused, Err(DisposeError::Unknown)));
}

/// Copies the files of a data directory, as a backup does: without the key store.
fn back_up(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_database_cannot_read_what_was_disposed_of() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (gone, _) = world.turn(None).await;
    let (stays, _) = world.turn(None).await;
    world.house.stopped(operator()).await.unwrap();
    let backup = tempfile::tempdir().unwrap();
    back_up(&world.data(), backup.path());
    let unit = Unit::Exchange(gone);
    world.house.dispose(request(unit, &ContentClass::ALL), operator()).await.unwrap();

    let world = world.closed_and(|data| back_up(backup.path(), data)).await;
    assert_eq!(world.disposals().await, [], "the copy knows nothing of it");
    let found = world.house.read_content(gone, operator(), "auditor").await;
    assert!(matches!(found, Err(ReadError::Disposed)), "{found:?}");
    assert_eq!(world.readable(stays).await, (true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_what_it_covers_until_it_is_released() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (held, _) = world.turn(None).await;
    let (talk, conversation) = world.turn(Some("a")).await;
    let (free, _) = world.turn(None).await;
    let (house, court) = (&world.house, "Example Court (synthetic)");
    let (exchange, talk_unit) = (Unit::Exchange(held), Unit::Conversation(conversation.unwrap()));
    house.place_hold("matter-1", Some(exchange), court, operator()).await.unwrap();
    house.place_hold("matter-2", Some(talk_unit), court, operator()).await.unwrap();
    let again = house.place_hold("matter-1", None, court, operator()).await;
    assert!(matches!(again, Err(DisposeError::Hold)));
    let refused = house.dispose(request(exchange, &ContentClass::ALL), operator()).await;
    assert!(matches!(refused, Err(DisposeError::Held { hold }) if hold == "matter-1"));

    world.clock.advance(3000 * DAY);
    assert_eq!(house.apply_retention().await.unwrap(), 2, "the surrogates, then the rest");
    assert_eq!(world.readable(free).await, (false, false));
    for exchange in [held, talk] {
        assert_eq!(world.readable(exchange).await, (true, true));
    }
    let counts = |event: &Event| match event {
        Event::Disposed { count, held, .. } => (*count, *held),
        _ => panic!(),
    };
    assert_eq!(world.disposals().await.iter().map(counts).collect::<Vec<_>>(), [(1, 2), (1, 2)]);
    assert_eq!(house.apply_retention().await.unwrap(), 0);
    assert!(world.verified().await.good);

    house.place_hold("incident", None, court, operator()).await.unwrap();
    house.release_hold("matter-1", court, operator()).await.unwrap();
    assert_eq!(house.apply_retention().await.unwrap(), 0, "everything is held");
    house.release_hold("incident", court, operator()).await.unwrap();
    assert_eq!(house.apply_retention().await.unwrap(), 2);
    assert_eq!(world.readable(held).await, (false, false));
    assert_eq!(world.readable(talk).await, (true, true));
    house.release_hold("matter-2", court, operator()).await.unwrap();
    assert_eq!(house.apply_retention().await.unwrap(), 2);
    assert_eq!(world.readable(talk).await, (false, false));
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
    assert_eq!(house.holds().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destruction_that_was_cut_off_is_finished() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (gone, _) = world.turn(None).await;
    let (stays, _) = world.turn(None).await;
    // The program ended between the record and the destruction.
    let event = Event::Disposed {
        actor: operator(),
        scope: Disposal::Exchange(gone),
        classes: ContentClass::ALL.to_vec(),
        authority: "request 12".to_owned(),
        reason: "request".to_owned(),
        count: 1,
        held: 0,
        sha256: Some(Hash::of(b"decision")),
    };
    let store = store::Store::open(&world.data()).unwrap();
    let entry = ledger::Entry::bare(ledger::Clock::now(&world.clock), event);
    store.tenant(world.house.log().tenant).append_with(entry, Vec::new()).await.unwrap();
    drop(store);

    let world = world.closed_and(|_| ()).await;
    let shelves = || async {
        let store = store::Store::open(&world.data()).unwrap();
        store.keys().shelves(world.house.log().tenant).await.unwrap()
    };
    assert!(shelves().await.iter().all(|shelf| shelf.keys.prompts.is_some()));
    world.house.finish_disposals().await.unwrap();
    assert!(shelves().await.iter().all(|shelf| shelf.keys.prompts.is_none()));
    assert_eq!(world.readable(gone).await, (false, false));
    assert_eq!(world.readable(stays).await, (true, true));
    assert_eq!(world.disposals().await.len(), 1);
    assert!(world.verified().await.good);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_gets_everything_back_and_leaves_nothing() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let (first, _) = world.turn(Some("a")).await;
    let (disposed, _) = world.turn(None).await;
    let unit = Unit::Exchange(disposed);
    world.house.dispose(request(unit, &ContentClass::ALL), operator()).await.unwrap();
    let out = world.data().join("archive");
    let (house, court) = (&world.house, "Example Court (synthetic)");
    house.place_hold("matter-1", Some(Unit::Exchange(first)), court, operator()).await.unwrap();
    let held = house.offboard(&out, "end of agreement", operator(), &|_, _| {}).await;
    assert!(matches!(held, Err(OffboardError::Held)));
    house.release_hold("matter-1", court, operator()).await.unwrap();
    let left = house.offboard(&out, "end of agreement", operator(), &|_, _| {}).await.unwrap();
    assert_eq!(left.exchanges, 1);

    let read = |name: &str| fs::read(out.join(name)).unwrap();
    let content = String::from_utf8(read("content.jsonl")).unwrap();
    assert_eq!(content.lines().count(), 1);
    assert!(content.contains(&first.to_string()) && content.contains(SSN));
    assert_eq!(Hash::of(&read("SHA256SUMS")), left.sha256);
    let sums = String::from_utf8(read("SHA256SUMS")).unwrap();
    assert!(sums.contains(&Hash::of(&read("bundle.tar")).to_string()));
    assert!(sums.contains(&Hash::of(content.as_bytes()).to_string()));
    let trust = Trust::parse(&house.verifier_key()).unwrap();
    let mut proof = ledger::receipt::ReceiptCheck::new(&trust);
    let each =
        ledger::bundle::each_file(&*read("certificate.tar"), |name, file| proof.file(name, file));
    each.unwrap();
    assert!(proof.finish().good);

    let found = house.read_content(first, operator(), "auditor").await;
    assert!(matches!(found, Err(ReadError::House(_))), "{found:?}");
    let (event, _) = world.ask("hello", None).await;
    assert_eq!(ending(&event), ("failed_closed", Some("keys_unavailable"), None));
    let keys = fs::read(world.data().join("keys").join("keys.db")).unwrap();
    let world = world.closed_and(|_| ()).await;
    assert!(!keys.is_empty());
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
    let told: Vec<_> =
        verdict.disposed.iter().map(|d| (d.authority.as_str(), d.payloads)).collect();
    assert_eq!(told, [("request 12", 2), ("end of agreement", 2)]);
}
