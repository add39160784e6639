//! The page of metrics: what was counted, and how the house stands at this moment.

use super::meter::{self, Page};
use crate::house::{House, Unready};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How old a page may be: some of it is read from the database, and whoever may read it may ask often.
const PAGE_AGE: Duration = Duration::from_secs(1);

/// How long the controls may take to show that they work: less than who reads the page waits for it.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(2);

/// The page that was made last.
#[derive(Debug, Default)]
pub(super) struct Made(tokio::sync::Mutex<Option<(Instant, Arc<str>)>>);

impl House {
    /// The metrics, in Prometheus's text format, version 0.0.4. They may be a second old.
    ///
    /// What cannot be read is left out: a page with holes is more use than none.
    pub async fn metrics(&self) -> Arc<str> {
        let mut made = self.telemetry.page.0.lock().await;
        if let Some((when, page)) = &*made
            && when.elapsed() < PAGE_AGE
        {
            return Arc::clone(page);
        }
        let page: Arc<str> = self.make_page().await.into();
        *made = Some((Instant::now(), Arc::clone(&page)));
        page
    }

    async fn make_page(&self) -> String {
        let mut page = Page::default();
        page.family(&meter::BUILD);
        page.sample(&meter::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        self.telemetry.meter.write(&mut page);
        page.one(&meter::LIVE, self.live.count());
        let written = self.store.figures();
        page.family(&meter::BATCHES);
        page.plain(&meter::BATCHES, &written.batches);
        page.family(&meter::COMMITS);
        page.seconds(&meter::COMMITS, &[], &written.commits);
        page.one(&meter::WAITING, written.waiting);
        self.write_controls(&mut page).await;
        page.one(&meter::CACHE, self.cache.bytes());
        self.write_rules(&mut page);
        self.write_log(&mut page).await;
        page.one(&meter::TRACES_SENT, self.telemetry.traces.sent());
        page.one(&meter::TRACES_DROPPED, self.telemetry.traces.dropped());
        write_process(&mut page);
        page.one(&meter::STARTED, unix_seconds(self.telemetry.started.as_micros()));
        page.into_text()
    }

    async fn write_controls(&self, page: &mut Page) {
        page.family(&meter::READY);
        let works = |control: &str, works: bool, page: &mut Page| {
            page.sample(&meter::READY, &[control], u64::from(works));
        };
        let Ok(readiness) = timeout(CONTROL_TIMEOUT, self.readiness()).await else {
            // Fail closed: a disk or a key service that hangs is not ready, and which of them it is
            // cannot be waited for.
            works("detector", self.detector.self_test().is_ok(), page);
            works("keys", false, page);
            works("guards", !self.selftest.failed(), page);
            return works("log", false, page);
        };
        let is = |control: fn(&Unready) -> bool| !readiness.unready.iter().any(control);
        works("detector", is(|it| matches!(it, Unready::Detector)), page);
        works("keys", is(|it| matches!(it, Unready::Keys(_))), page);
        works("log", is(|it| matches!(it, Unready::Log(_))), page);
        works("guards", is(|it| matches!(it, Unready::Guard(_))), page);
        if let Some(last) = self.selftest.last() {
            page.one(&meter::SELF_TESTED, unix_seconds(last.as_micros()));
        }
    }

    fn write_rules(&self, page: &mut Page) {
        let in_force = self.in_force.load();
        page.one(&meter::CONFIGURATION, in_force.as_ref().map_or(0, |in_force| in_force.version));
        page.family(&meter::AGREEMENTS);
        let Some(in_force) = in_force.as_ref() else { return };
        let registry = in_force.rules.registry();
        for id in registry.ids() {
            if let Some(ends) = registry.ends(id.as_str()) {
                page.sample(&meter::AGREEMENTS, &[id.as_str()], unix_seconds(ends.as_micros()));
            }
        }
    }

    async fn write_log(&self, page: &mut Page) {
        if let Ok(head) = self.tenant.head().await {
            page.one(&meter::RECORDS, head.size());
        }
        if let Ok(Some(last)) = self.tenant.last_checkpoint().await {
            page.one(&meter::SIGNED, last.size);
        }
        if let Ok(Some((_, stamped))) = self.last_stamp().await {
            page.one(&meter::STAMPED, unix_seconds(stamped.as_micros()));
        }
        if let Ok(feeds) = self.feeds().await {
            page.family(&meter::FEEDS);
            for feed in feeds {
                page.sample(&meter::FEEDS, &[&feed.id], feed.size.saturating_sub(feed.next));
            }
        }
        if let Ok(copies) = self.copies().await {
            page.family(&meter::COPIES);
            for copy in copies {
                page.sample(&meter::COPIES, &[&copy.id], copy.size.saturating_sub(copy.next));
            }
        }
    }
}

fn unix_seconds(micros: i64) -> u64 {
    u64::try_from(micros.div_euclid(1_000_000)).unwrap_or(0)
}

/// What the kernel says of this process; Linux alone says it here.
fn write_process(page: &mut Page) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    if let Some(kib) = kib {
        page.one(&meter::MEMORY, kib.saturating_mul(1024));
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        page.one(&meter::FILES, files.count() as u64);
    }
}
