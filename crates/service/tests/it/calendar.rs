//! What is due is done by itself while the house serves, and nobody has to ask for it.

#![expect(clippy::disallowed_methods, reason = "the task of a test ends with its runtime")]

use crate::world::{World, operator};
use ledger::Day;
use service::Filing;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_done_by_itself_while_the_house_serves() {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let folder = tempfile::tempdir().unwrap();
    world.apply_with(&format!("[review]\nfolder = \"{}\"\n", folder.path().display())).await;
    world.ask("SSN 219-09-9999", None).await;
    let filing = Filing {
        agreement: "baa-example".to_owned(),
        document: b"%PDF-1.7 Business Associate Agreement (synthetic)".to_vec(),
        signatories: vec!["Ada Example".to_owned()],
        signed: "2026-01-05".parse::<Day>().unwrap(),
    };
    world.house.file_agreement(filing, operator()).await.unwrap();
    // Everything is over: content and records after seven years, the document seven years after the
    // agreement ended.
    world.clock.set("2035-01-01".parse::<Day>().unwrap().start());
    let keeping = tokio::spawn(Arc::clone(&world.house).keep_up(std::future::pending()));
    let wanted = BTreeSet::from([
        "activity.reported",
        "agreement.disposed",
        "content.disposed",
        "records.pruned",
        "review.overdue",
    ]);
    let begun = Instant::now();
    loop {
        let events = world.events().await;
        let kinds: BTreeSet<&str> = events.iter().map(ledger::Event::kind).collect();
        if wanted.is_subset(&kinds) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{kinds:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    keeping.abort();
    assert!(world.house.record(1).await.unwrap().is_none(), "pruned");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a page and its document");
}
