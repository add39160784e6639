//! What is counted, for whoever watches the machine: the metrics, as Prometheus reads them.
//!
//! Everything here comes out of records and clocks. A record holds no PHI, and of what it holds only words
//! from short lists and names that the organisation configured become labels: never who asked, never
//! anything that a caller sent.

use super::watch::{Ending, Phase};
use gate::Code;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use store::{Distribution, Histogram};

/// Pairs of route and destination that are told apart. A configuration has some dozens; those of
/// configurations that are gone stay until the next start.
const MAX_PATHS: usize = 1024;

/// Words of one list that are told apart. The longest, the codes, has some thirty.
const MAX_WORDS: usize = 64;

/// What stands for a name or word beyond that.
const OTHER: &str = "other";

/// What stands where there is none.
const NONE: &str = "none";

/// Bounds of durations, in microseconds: from a fast scan to a slow answer.
const MICROS: [u64; 20] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, from 0 at each start.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often what was measured lay within which bound.
    Histogram,
}

impl MetricKind {
    /// The word for it in Prometheus's format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric: declared once, so that the page and its manual read the same table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with the unit last.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Metric = Metric {
            name: $name,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every metric, in the order of the page.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD = Gauge "bulla_build_info" ["version"] "The version of the program; always 1.";
    EXCHANGES = Counter "bulla_exchanges_total" ["route", "destination", "outcome", "code"]
        "Exchanges that ended, by how. `unrecorded` ended without a record, so nothing of them was shown.";
    LIVE = Gauge "bulla_exchanges_live" [] "Exchanges that are under way.";
    DECISIONS = Counter "bulla_decisions_total" ["decision"] "Decisions on prompts as a whole.";
    FINDINGS = Counter "bulla_findings_total" ["class", "in"]
        "Identifiers that were found, by class, in prompts and in answers.";
    TREATMENTS = Counter "bulla_treatments_total" ["class", "treatment"]
        "Exchanges in which a class got this treatment.";
    RESTORED = Counter "bulla_surrogates_restored_total" [] "Surrogates that were restored in answers.";
    UNKNOWN = Counter "bulla_surrogates_unknown_total" []
        "Surrogates in answers that stand for nothing; they stay visible.";
    TOKENS = Counter "bulla_tokens_total" ["route", "destination", "type"]
        "Tokens, as model servers counted them: `input`, `output`.";
    FAILURES = Counter "bulla_upstream_failures_total" ["destination", "reason"]
        "Failures of model servers, by reason.";
    PHASES = Histogram "bulla_phase_seconds" ["phase"]
        "Time that exchanges spent: `scan`; `intent`, until the record that a prompt leaves was durable; `upstream`, until the model server began to answer (an answer in one piece: until it was whole); `outcome`, until the last record was durable; `whole`.";
    WINDOWS = Counter "bulla_windows_total" [] "Windows of streamed answers that became durable.";
    REFUSED = Counter "bulla_requests_refused_total" ["reason"]
        "Requests that were refused before they were exchanges: no key in force, or one that is for something else.";
    BATCHES = Histogram "bulla_store_batch_jobs" []
        "Appends and other writes that became durable in one transaction.";
    COMMITS = Histogram "bulla_store_commit_seconds" []
        "Time of one transaction, with its synchronisation of the disk.";
    WAITING = Gauge "bulla_store_queue_jobs" [] "Writes that wait for the writer; at most 1024.";
    READY = Gauge "bulla_control_ready" ["control"]
        "Whether a control works, without which no prompt passes: `detector`, `keys`, `log`; `guards`, as the self-test found them.";
    SELF_TESTED = Gauge "bulla_self_test_timestamp_seconds" []
        "When the guards were tried last; absent before the first time.";
    CACHE = Gauge "bulla_cache_bytes" [] "Memory that kept answers take.";
    CONFIGURATION = Gauge "bulla_configuration_version" []
        "The version of the configuration in force; 0 when there is none, so that every prompt is blocked.";
    AGREEMENTS = Gauge "bulla_agreement_ends_timestamp_seconds" ["agreement"]
        "When an agreement or chain evidence ends.";
    RECORDS = Gauge "bulla_records" [] "Records of the log, those included that were pruned.";
    SIGNED = Gauge "bulla_checkpoint_records" [] "Records under the last signed checkpoint.";
    STAMPED = Gauge "bulla_stamp_timestamp_seconds" []
        "The time of the last time stamp over the log; absent when there is none.";
    FEEDS = Gauge "bulla_feed_behind_records" ["feed"] "Records that a feed has still to deliver.";
    COPIES = Gauge "bulla_copy_behind_records" ["copy"] "Records that are still to be copied.";
    TRACES_SENT = Counter "bulla_traces_sent_total" [] "Traces that the collector took.";
    TRACES_DROPPED = Counter "bulla_traces_dropped_total" []
        "Traces that nobody got: the collector was away for too long, or did not want them.";
    MEMORY = Gauge "process_resident_memory_bytes" [] "Memory of the process.";
    FILES = Gauge "process_open_fds" [] "Files and sockets that the process has open.";
    STARTED = Gauge "process_start_time_seconds" [] "When the data directory was opened.";
}

/// Counts by word.
#[derive(Debug, Default)]
struct Words(BTreeMap<String, u64>);

impl Words {
    fn add(&mut self, word: &str, count: u64) {
        if let Some(counted) = self.0.get_mut(word) {
            *counted += count;
            return;
        }
        let word = if self.0.len() < MAX_WORDS { word } else { OTHER };
        *self.0.entry(word.to_owned()).or_default() += count;
    }
}

/// Exchanges of one route with one destination.
#[derive(Debug, Default)]
struct PathCounts {
    /// By outcome, then code.
    endings: BTreeMap<String, Words>,
    input: u64,
    output: u64,
    failures: Words,
}

#[derive(Debug, Default)]
struct Counts {
    /// By route, then destination.
    paths: BTreeMap<String, BTreeMap<String, PathCounts>>,
    decisions: Words,
    in_prompts: Words,
    in_answers: Words,
    /// By class, then treatment.
    treatments: BTreeMap<String, Words>,
    refused: Words,
}

impl Counts {
    fn path(&mut self, route: &str, destination: &str) -> &mut PathCounts {
        let known = self.paths.get(route).is_some_and(|it| it.contains_key(destination));
        let full = self.paths.values().map(BTreeMap::len).sum::<usize>() >= MAX_PATHS;
        let (route, destination) =
            if full && !known { (OTHER, OTHER) } else { (route, destination) };
        let destinations = self.paths.entry(route.to_owned()).or_default();
        destinations.entry(destination.to_owned()).or_default()
    }
}

/// Adds to the words of one name.
fn add_word(names: &mut BTreeMap<String, Words>, name: &str, word: &str) {
    if let Some(words) = names.get_mut(name) {
        words.add(word, 1);
        return;
    }
    let name = if names.len() < MAX_WORDS { name } else { OTHER };
    names.entry(name.to_owned()).or_default().add(word, 1);
}

/// The counters of a house.
#[derive(Debug)]
pub(crate) struct Meter {
    counts: Mutex<Counts>,
    phases: [Histogram<20>; Phase::ALL.len()],
    windows: AtomicU64,
    restored: AtomicU64,
    unknown: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            phases: [const { Histogram::new(MICROS) }; Phase::ALL.len()],
            windows: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        }
    }
}

impl Meter {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that is no exchange.
    pub(crate) fn request_refused(&self, code: Code) {
        self.counts().refused.add(code.as_str(), 1);
    }

    pub(super) fn phase(&self, phase: Phase, micros: u64) {
        let found = Phase::ALL.iter().zip(&self.phases).find(|(other, _)| **other == phase);
        if let Some((_, histogram)) = found {
            histogram.add(micros);
        }
    }

    pub(super) fn window(&self) {
        self.windows.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an exchange that ended; `None` when its end is in no record.
    pub(super) fn ended(&self, ending: Option<&Ending>) {
        let mut counts = self.counts();
        let Some(ending) = ending else {
            let path = counts.path(NONE, NONE);
            return add_code(path, "unrecorded", NONE);
        };
        let route = ending.route.as_deref().unwrap_or(NONE);
        let destination = ending.destination.as_deref().unwrap_or(NONE);
        let path = counts.path(route, destination);
        add_code(path, &ending.outcome, ending.code.as_deref().unwrap_or(NONE));
        if let Some(usage) = ending.usage {
            path.input += usage.prompt;
            path.output += usage.completion;
        }
        if ending.outcome == "upstream_failed" {
            path.failures.add(ending.reason.as_deref().unwrap_or(NONE), 1);
        }
        counts.decisions.add(ending.decision.as_deref().unwrap_or(NONE), 1);
        for (class, count) in &ending.in_prompt {
            counts.in_prompts.add(class, *count);
        }
        for (class, count) in &ending.in_answer {
            counts.in_answers.add(class, *count);
        }
        for (class, treatment) in &ending.treatments {
            add_word(&mut counts.treatments, class, treatment);
        }
        drop(counts);
        self.restored.fetch_add(ending.restored, Ordering::Relaxed);
        self.unknown.fetch_add(ending.unknown, Ordering::Relaxed);
    }

    /// Writes what was counted of exchanges.
    pub(super) fn write(&self, page: &mut Page) {
        let counts = self.counts();
        let paths = || {
            counts.paths.iter().flat_map(|(route, destinations)| {
                destinations.iter().map(move |(destination, path)| (route, destination, path))
            })
        };
        page.family(&EXCHANGES);
        for (route, destination, path) in paths() {
            for (outcome, codes) in &path.endings {
                for (code, count) in &codes.0 {
                    page.sample(&EXCHANGES, &[route, destination, outcome, code], *count);
                }
            }
        }
        page.family(&DECISIONS);
        for (decision, count) in &counts.decisions.0 {
            page.sample(&DECISIONS, &[decision], *count);
        }
        page.family(&FINDINGS);
        for (words, place) in [(&counts.in_prompts, "prompt"), (&counts.in_answers, "answer")] {
            for (class, count) in &words.0 {
                page.sample(&FINDINGS, &[class, place], *count);
            }
        }
        page.family(&TREATMENTS);
        for (class, words) in &counts.treatments {
            for (treatment, count) in &words.0 {
                page.sample(&TREATMENTS, &[class, treatment], *count);
            }
        }
        page.family(&TOKENS);
        for (route, destination, path) in paths() {
            page.sample(&TOKENS, &[route, destination, "input"], path.input);
            page.sample(&TOKENS, &[route, destination, "output"], path.output);
        }
        page.family(&FAILURES);
        let mut failures: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (_, destination, path) in paths() {
            for (reason, count) in &path.failures.0 {
                *failures.entry((destination, reason)).or_default() += count;
            }
        }
        for ((destination, reason), count) in failures {
            page.sample(&FAILURES, &[destination, reason], count);
        }
        page.family(&REFUSED);
        for (reason, count) in &counts.refused.0 {
            page.sample(&REFUSED, &[reason], *count);
        }
        drop(counts);
        page.family(&PHASES);
        for (phase, histogram) in Phase::ALL.iter().zip(&self.phases) {
            page.seconds(&PHASES, &[phase.as_str()], &histogram.read());
        }
        page.one(&WINDOWS, self.windows.load(Ordering::Relaxed));
        page.one(&RESTORED, self.restored.load(Ordering::Relaxed));
        page.one(&UNKNOWN, self.unknown.load(Ordering::Relaxed));
    }
}

fn add_code(path: &mut PathCounts, outcome: &str, code: &str) {
    if let Some(codes) = path.endings.get_mut(outcome) {
        codes.add(code, 1);
        return;
    }
    let outcome = if path.endings.len() < MAX_WORDS { outcome } else { OTHER };
    path.endings.entry(outcome.to_owned()).or_default().add(code, 1);
}

/// A page in Prometheus's text format, version 0.0.4.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a metric. Its samples follow.
    pub(super) fn family(&mut self, metric: &Metric) {
        let help = metric.help.replace('\\', "\\\\");
        self.line(format_args!("# HELP {} {help}", metric.name));
        self.line(format_args!("# TYPE {} {}", metric.name, metric.kind.as_str()));
    }

    /// A metric that has one sample and no labels.
    pub(super) fn one(&mut self, metric: &Metric, value: u64) {
        self.family(metric);
        self.sample(metric, &[], value);
    }

    /// One sample, with the values of the metric's labels.
    pub(super) fn sample(&mut self, metric: &Metric, values: &[&str], value: u64) {
        let labels = labels(metric, values, None);
        self.line(format_args!("{}{labels} {value}", metric.name));
    }

    /// A distribution of microseconds, written in seconds.
    pub(super) fn seconds(&mut self, metric: &Metric, values: &[&str], read: &Distribution) {
        self.distribution(metric, values, read, seconds);
    }

    /// A distribution of what has no unit.
    pub(super) fn plain(&mut self, metric: &Metric, read: &Distribution) {
        self.distribution(metric, &[], read, |value| value.to_string());
    }

    fn distribution(
        &mut self,
        metric: &Metric,
        values: &[&str],
        read: &Distribution,
        write: impl Fn(u64) -> String,
    ) {
        let name = metric.name;
        for (bound, count) in &read.up_to {
            let labels = labels(metric, values, Some(&write(*bound)));
            self.line(format_args!("{name}_bucket{labels} {count}"));
        }
        let beyond = labels(metric, values, Some("+Inf"));
        self.line(format_args!("{name}_bucket{beyond} {}", read.count));
        let labels = labels(metric, values, None);
        self.line(format_args!("{name}_sum{labels} {}", write(read.sum)));
        self.line(format_args!("{name}_count{labels} {}", read.count));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _written = writeln!(self.0, "{line}").is_ok();
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Microseconds as seconds, without zeros at the end.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn labels(metric: &Metric, values: &[&str], bound: Option<&str>) -> String {
    let named = metric.labels.iter().copied().zip(values.iter().copied());
    let all: Vec<String> = named
        .chain(bound.map(|bound| ("le", bound)))
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Usage;

    fn ending(route: &str) -> Ending {
        Ending {
            route: Some(route.to_owned()),
            destination: Some("cloud".to_owned()),
            decision: Some("tokenized".to_owned()),
            outcome: "answered".to_owned(),
            code: None,
            reason: None,
            in_prompt: [("NAME".to_owned(), 2), ("MRN".to_owned(), 1)].into(),
            in_answer: [("NAME".to_owned(), 1)].into(),
            treatments: [("NAME".to_owned(), "tokenized".to_owned())].into(),
            restored: 3,
            unknown: 1,
            usage: Some(Usage { prompt: 20, completion: 5 }),
        }
    }

    fn page(meter: &Meter) -> String {
        let mut page = Page::default();
        meter.write(&mut page);
        page.into_text()
    }

    #[test]
    fn an_ended_exchange_stands_in_every_figure_that_it_touches() {
        let meter = Meter::default();
        meter.ended(Some(&ending("assistant")));
        meter.ended(Some(&ending("assistant")));
        meter.ended(None);
        meter.phase(Phase::Scan, 700);
        let text = page(&meter);
        for line in [
            r#"bulla_exchanges_total{route="assistant",destination="cloud",outcome="answered",code="none"} 2"#,
            r#"bulla_exchanges_total{route="none",destination="none",outcome="unrecorded",code="none"} 1"#,
            r#"bulla_decisions_total{decision="tokenized"} 2"#,
            r#"bulla_findings_total{class="NAME",in="prompt"} 4"#,
            r#"bulla_findings_total{class="NAME",in="answer"} 2"#,
            r#"bulla_treatments_total{class="NAME",treatment="tokenized"} 2"#,
            r#"bulla_tokens_total{route="assistant",destination="cloud",type="input"} 40"#,
            "bulla_surrogates_restored_total 6",
            r#"bulla_phase_seconds_bucket{phase="scan",le="0.0005"} 0"#,
            r#"bulla_phase_seconds_bucket{phase="scan",le="0.001"} 1"#,
            r#"bulla_phase_seconds_bucket{phase="scan",le="+Inf"} 1"#,
            r#"bulla_phase_seconds_sum{phase="scan"} 0.0007"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn the_manual_shows_every_metric_and_no_other() {
        const MANUAL: &str = include_str!("../../../../docs/operations.md");
        let row = |metric: &Metric| {
            let labels: Vec<String> = metric.labels.iter().map(|it| format!("`{it}`")).collect();
            let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
            let Metric { name, kind, help, .. } = metric;
            format!("| `{name}` | {} | {labels} | {help} |", kind.as_str())
        };
        let rows: Vec<String> = METRICS.iter().map(row).collect();
        let table = MANUAL.lines().skip_while(|line| !line.starts_with("| metric | kind |"));
        let shown: Vec<&str> = table.skip(2).take_while(|line| line.starts_with('|')).collect();
        assert_eq!(shown, rows, "the table must be:\n{}", rows.join("\n"));
    }

    #[test]
    fn the_number_of_series_has_a_limit_and_nothing_is_lost_beyond_it() {
        let meter = Meter::default();
        for number in 0..MAX_PATHS + 50 {
            meter.ended(Some(&ending(&format!("route-{number}"))));
        }
        let text = page(&meter);
        let series = text.lines().filter(|it| it.starts_with("bulla_exchanges_total{"));
        assert_eq!(series.clone().count(), MAX_PATHS + 1);
        let total: u64 =
            series.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(total, MAX_PATHS as u64 + 50);
        for number in 0..MAX_WORDS + 9 {
            meter.counts().refused.add(&format!("reason-{number}"), 1);
        }
        assert!(page(&meter).contains("bulla_requests_refused_total{reason=\"other\"} 9\n"));
    }

    #[test]
    fn a_label_cannot_end_its_own_quotes() {
        let text = labels(&EXCHANGES, &["a\"} 1\nb", "c\\", "d", "e"], None);
        assert_eq!(text, r#"{route="a\"} 1\nb",destination="c\\",outcome="d",code="e"}"#);
    }

    /// Prints what it costs to count one exchange; fails only when that is out of all proportion.
    #[test]
    fn counting_one_exchange_costs_about_a_microsecond() {
        let meter = Meter::default();
        let ending = ending("assistant");
        let rounds = 20_000;
        let began = tokio::time::Instant::now();
        for _ in 0..rounds {
            meter.ended(Some(&ending));
            for phase in Phase::ALL {
                meter.phase(*phase, 700);
            }
        }
        let each = began.elapsed() / rounds;
        println!("counting one exchange: {each:?}");
        assert!(each < std::time::Duration::from_micros(50), "{each:?}");
    }
}
