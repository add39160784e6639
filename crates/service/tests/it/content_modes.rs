//! Where an organisation keeps digests only, nothing of what is said is in the data directory, and what
//! somebody presents can still be compared with it.

use crate::world::{World, ending, operator};
use ledger::{ContentClass, Disposal, Event, ExchangeId, Hash, Unit};
use service::{DisposalReason, DisposalRequest, Likeness, NotKept, ReadError, Side};
use std::fs;
use std::path::Path;

const DIGESTS: &str = "[content]\nkeep = \"digests\"\n";
const SSN: &str = "219-09-9999";

fn exchange(event: &Event) -> ExchangeId {
    event.about().unwrap().exchange
}

/// The body of a request that [`World::ask`] sends.
fn body(text: &str) -> String {
    serde_json::json!({
        "model": "example",
        "messages": [{ "role": "user", "content": text }],
    })
    .to_string()
}

/// Rows that stand for content, and the bytes of the largest.
fn rows(data: &Path) -> (i64, i64) {
    let database = rusqlite::Connection::open(data.join("bulla.db")).unwrap();
    let sql = "SELECT count(*), coalesce(max(length(sealed)), 0) FROM blobs";
    database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let bytes = |entry: fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { size(&entry.path()) } else { metadata.len() }
    };
    entries.map(bytes).sum()
}

impl World {
    async fn likeness(&self, exchange: ExchangeId, side: Side, text: &str) -> Likeness {
        self.house.compare_content(exchange, side, text.as_bytes(), operator()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_prompt_is_stored_not_even_sealed() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.apply_with(DIGESTS).await;
    let (_, before) = (world.ask("good morning", None).await, size(&world.data()));
    // Four large texts: sealed, each would take as much room as it has bytes.
    let long = "the patient said so and so. ".repeat(60_000);
    for text in [format!("{long} SSN {SSN}"), "x".repeat(2 << 20)] {
        let (event, _) = world.ask(&text, None).await;
        let outcome = ending(&event).0;
        assert!(outcome == "answered" || outcome == "failed_closed", "{event:?}");
        assert!(event.about().unwrap().prompt.is_some());
    }
    let grown = size(&world.data()) - before;
    assert!(grown < 300_000, "{grown} bytes for prompts of megabytes");
    let (count, largest) = rows(&world.data());
    assert!(count >= 4 && largest < 400, "{count} rows, the largest of {largest} bytes");
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_presents_is_compared_alike_in_both_modes() {
    for more in ["", DIGESTS] {
        let world = World::at("2026-06-01T15:00:00Z", None).await;
        world.apply_with(more).await;
        let text = format!("SSN {SSN}");
        let (event, answer) = world.ask(&text, None).await;
        assert_eq!(ending(&event).0, "answered");
        assert!(answer.contains(SSN));
        let exchange = exchange(&event);
        let left = world.upstream.captured().pop().unwrap().text();
        assert!(!left.contains(SSN));
        let (prompt, reply) = (Side::Prompt, Side::Answer);
        for (side, presented, expected) in [
            (prompt, body(&text).as_str(), Likeness::Written),
            (prompt, &left, Likeness::Left),
            (prompt, &body("SSN 219-09-9998"), Likeness::Other),
            (prompt, &format!("{} ", body(&text)), Likeness::Other),
            (prompt, "", Likeness::Other),
            (prompt, &answer, Likeness::Other),
            (reply, &answer, Likeness::Delivered),
            (reply, &answer.replace(SSN, "219-09-9998"), Likeness::Other),
            (reply, &answer[1..], Likeness::Other),
            (reply, "", Likeness::Other),
        ] {
            assert_eq!(world.likeness(exchange, side, presented).await, expected, "{presented}");
        }
        let read = |event: &Event| matches!(event, Event::ContentRead { reason, .. } if reason == "comparison");
        assert_eq!(world.events().await.iter().filter(|it| read(it)).count(), 10, "each recorded");
        let unknown = ExchangeId::from_bytes([9; 16]);
        let none = world.house.compare_content(unknown, prompt, b"", operator()).await;
        assert!(matches!(none, Err(ReadError::NoContent)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_prompt_leaves_a_digest_and_no_answer() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let blocking = "[[policy]]\nid = \"no\"\neffect = \"block\"\nclasses = [\"SSN\"]\n\
                    destinations = [\"vendor\"]\npurposes = [\"*\"]\n";
    world.apply_with(&format!("{DIGESTS}{blocking}")).await;
    let (event, _) = world.ask(&format!("SSN {SSN}"), None).await;
    assert_eq!(ending(&event).0, "refused", "{event:?}");
    let exchange = exchange(&event);
    let written = body(&format!("SSN {SSN}"));
    assert_eq!(world.likeness(exchange, Side::Prompt, &written).await, Likeness::Written);
    let none = world.house.compare_content(exchange, Side::Answer, b"", operator()).await;
    assert!(matches!(none, Err(ReadError::NoContent)));
    assert!(rows(&world.data()).1 < 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_mode_is_of_later_exchanges_only_and_the_log_verifies() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    let mut exchanges = Vec::new();
    for more in ["", DIGESTS, "[content]\nkeep = \"all\"\n", DIGESTS] {
        world.apply_with(more).await;
        for conversation in [None, Some("visit")] {
            let (event, _) = world.ask(&format!("SSN {SSN}"), conversation).await;
            assert_eq!(ending(&event).0, "answered");
            assert!(event.about().unwrap().key_day.is_some());
            exchanges.push((more == DIGESTS, exchange(&event)));
        }
    }
    let written = body(&format!("SSN {SSN}"));
    for (digests, exchange) in exchanges {
        let content = world.house.read_content(exchange, operator(), "auditor").await.unwrap();
        assert_eq!(content.written.is_none() && content.reply.is_empty(), digests);
        let known = content.digests.map(|it: NotKept| (it.written, it.delivered > Some(0)));
        assert_eq!(known, digests.then_some((Some(written.len() as u64), true)));
        assert_eq!(world.likeness(exchange, Side::Prompt, &written).await, Likeness::Written);
    }
    let changed = |event: &Event| match event {
        Event::ConfigurationApplied { changes, .. } => {
            changes.iter().any(|change| change.object == "content")
        }
        _ => false,
    };
    assert_eq!(world.events().await.iter().filter(|it| changed(it)).count(), 3);
    assert_eq!(world.house.status().await.unwrap().content, "digests");
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_content_or_digests_away_is_caught() {
    // Deletes a row; puts digests where content was; cuts what stands there.
    let other = "(SELECT sealed FROM blobs WHERE length(sealed) < 400 LIMIT 1)";
    for sql in [
        "DELETE FROM blobs WHERE part = 0 AND length(sealed) >= 400".to_owned(),
        "DELETE FROM blobs WHERE part = 0 AND length(sealed) < 400".to_owned(),
        "DELETE FROM blobs WHERE part = 1 AND length(sealed) < 400".to_owned(),
        format!("UPDATE blobs SET sealed = {other} WHERE length(sealed) >= 400 AND part = 0"),
        "UPDATE blobs SET sealed = x'' WHERE length(sealed) >= 400 AND part = 0".to_owned(),
    ] {
        let world = World::at("2026-06-01T15:00:00Z", None).await;
        let long = "good morning ".repeat(40);
        world.ask(&long, None).await;
        world.apply_with(DIGESTS).await;
        world.ask(&long, None).await;
        assert!(world.verified().await.good);
        let database = rusqlite::Connection::open(world.data().join("bulla.db")).unwrap();
        assert_eq!(database.execute(&sql, []).unwrap(), 1, "{sql}");
        assert!(!world.verified().await.good, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_name_compares_with_nothing() {
    for more in ["", DIGESTS] {
        let world = World::at("2026-06-01T15:00:00Z", None).await;
        world.apply_with(more).await;
        // Two exchanges of one conversation, so that one key opens the rows of both.
        let (first, shown) = world.ask("good morning", Some("visit")).await;
        let (second, _) = world.ask("good evening", Some("visit")).await;
        let (one, other) = (exchange(&first), exchange(&second));
        let written = body("good morning");
        assert_eq!(world.likeness(one, Side::Prompt, &written).await, Likeness::Written);
        assert_eq!(world.likeness(one, Side::Answer, &shown).await, Likeness::Delivered);
        let database = rusqlite::Connection::open(world.data().join("bulla.db")).unwrap();
        let change = |sql: &str| {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(database.execute(sql, [one, other]).unwrap(), 1, "{sql}");
        };
        // The prompt of another exchange in the place of this one; one window more than were delivered.
        change(
            "UPDATE blobs SET (sealed, commitment) = (SELECT sealed, commitment FROM blobs \
             WHERE exchange = ?2 AND part = 0) WHERE exchange = ?1 AND part = 0",
        );
        change(
            "INSERT INTO blobs SELECT tenant, ?1, 9, key, commitment, sealed FROM blobs \
             WHERE exchange = ?2 AND part = 1",
        );
        for (side, text) in [(Side::Prompt, written.as_str()), (Side::Answer, shown.as_str())] {
            let presented = text.as_bytes();
            let compared = world.house.compare_content(one, side, presented, operator()).await;
            assert!(matches!(compared, Err(ReadError::Unnamed)), "{compared:?}");
        }
        // Lengths that nobody took are not shown, and not summed.
        let forged = "UPDATE blobs SET sealed = CAST(replace(CAST(sealed AS TEXT), '\"bytes\":', \
                      '\"bytes\":9') AS BLOB) WHERE exchange = ?1 AND part = 0 AND ?2 <> ''";
        if more == DIGESTS {
            change(forged);
            let read = world.house.read_content(one, operator(), "auditor").await;
            assert!(matches!(read, Err(ReadError::Unsealable(_))), "{read:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_disposed_of_as_content_is() {
    let world = World::at("2026-06-01T15:00:00Z", None).await;
    world.apply_with(DIGESTS).await;
    let (event, answer) = world.ask(&format!("SSN {SSN}"), None).await;
    let exchange = exchange(&event);
    let request = DisposalRequest {
        unit: Unit::Exchange(exchange),
        classes: vec![ContentClass::Prompts],
        authority: "request 12".to_owned(),
        reason: DisposalReason::Request,
        decision: Some(Hash::of(b"signed decision")),
    };
    world.house.dispose(request, operator()).await.unwrap();
    let written = body(&format!("SSN {SSN}"));
    let gone =
        world.house.compare_content(exchange, Side::Prompt, written.as_bytes(), operator()).await;
    assert!(matches!(gone, Err(ReadError::Disposed)), "{gone:?}");
    assert_eq!(world.likeness(exchange, Side::Answer, &answer).await, Likeness::Delivered);
    // The schedule takes the rest.
    world.clock.advance(3000 * 86_400);
    world.house.apply_retention().await.unwrap();
    let gone = world.house.compare_content(exchange, Side::Answer, answer.as_bytes(), operator());
    assert!(matches!(gone.await, Err(ReadError::Disposed)));
    let before =
        |event: &Event| matches!(event, Event::Disposed { scope: Disposal::Before(_), .. });
    assert!(world.events().await.iter().any(before));
    let verdict = world.verified().await;
    assert!(verdict.good, "{verdict:#?}");
}
