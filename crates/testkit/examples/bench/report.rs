//! The report: a Markdown page for people, a JSON document for programs.

use crate::budget::{self, Budget, bytes};
use crate::detector::Figures;
use crate::house::Memory;
use crate::machine::Machine;
use crate::options::Options;
use crate::peer::LeftOut;
use crate::row::{DIRECT, Measured, Pair, Sample, micros};
use serde_json::{Value, json};
use std::fmt::{self, Write};
use std::time::Duration;
use testkit::load::Percentiles;

/// What the log holds after the run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Audit {
    /// Exchanges that were measured through Bulla.
    pub(crate) exchanges: usize,
    /// Bytes of the data directory.
    pub(crate) stored_bytes: u64,
    /// Records in the exported bundle.
    pub(crate) records: Option<usize>,
    /// How long `bulla-verify` took to accept it.
    pub(crate) verified: Option<Duration>,
}

/// What was found out about Bulla's own process and log.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) detector: Figures,
    pub(crate) cold_starts: Vec<Duration>,
    pub(crate) stopped_after: Duration,
    pub(crate) idle: Memory,
    pub(crate) loaded: Option<Memory>,
    pub(crate) rss_per_round: Vec<u64>,
    pub(crate) last: Memory,
    pub(crate) audit: Audit,
}

/// One thing that was measured beside Bulla.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Bytes, after the last round.
    pub(crate) resident: u64,
}

/// Everything that one run found out.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Options,
    pub(crate) floor: Percentiles,
    /// The lowest median of a round: a busy disk must not make a budget easier to meet.
    pub(crate) quiet_floor: Duration,
    /// CPU time of one fdatasync, in microseconds.
    pub(crate) floor_cpu: Option<f64>,
    pub(crate) rows: Vec<Measured>,
    /// None where peers were measured alone.
    pub(crate) own: Option<Own>,
    pub(crate) peers: Vec<Beside>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) own_cpu_us: u64,
    pub(crate) others_share: f64,
}

impl Report {
    /// Whether each row has a round that counts, and the log has two records of each exchange; without
    /// Bulla, whether any peer was measured.
    pub(crate) fn holds(&self) -> bool {
        let Some(Own { audit, .. }) = &self.own else {
            let counts = |row: &Measured, it: &Beside| row.peer(it.name, |it| it.rate).is_some();
            return self.rows.iter().any(|row| self.peers.iter().any(|it| counts(row, it)));
        };
        let recorded = audit.records.is_none_or(|records| records >= 2 * audit.exchanges);
        recorded && self.rows.iter().all(|row| !row.pairs.is_empty())
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _written = self.write(&mut page).is_ok();
        page
    }

    fn write(&self, page: &mut String) -> fmt::Result {
        self.facts(page)?;
        if let Some(own) = &self.own {
            self.table(page)?;
            self.beside(page)?;
            own.processes(page)?;
            return self.budgets(own, page);
        }
        self.beside(page)
    }

    fn facts(&self, page: &mut String) -> fmt::Result {
        let Machine { cpu, cores, memory, kernel, disk, load, commit, profile } = &self.machine;
        let Options { window, rounds, pin, .. } = &self.settings;
        let pinned =
            if *pin { "Bulla and its peers on core 0, the rest on core 1" } else { "not pinned" };
        writeln!(page, "- machine: {cores} cores of {cpu}, {memory}, Linux {kernel}, {disk}")?;
        writeln!(page, "- build: {profile}, commit {commit}")?;
        writeln!(
            page,
            "- windows of {} s, {rounds} interleaved rounds, {pinned}; load average at the end {load}; \
             others used {:.0} % of the machine meanwhile",
            window.as_secs(),
            self.others_share * 100.0
        )?;
        writeln!(
            page,
            "- floor: fdatasync of 1 KiB on this disk: median {:.2} ms (best round {:.2}), p99 {:.2} ms, \
             CPU {} us",
            ms(micros(self.floor.p50)),
            ms(micros(self.quiet_floor)),
            ms(micros(self.floor.p99)),
            self.floor_cpu.map_or("unknown".to_owned(), figure)
        )?;
        writeln!(page)
    }

    fn table(&self, page: &mut String) -> fmt::Result {
        writeln!(
            page,
            "| row | req/s direct | req/s | p50 ms direct | p50 ms | p99 ms | added p50 ms | added / fdatasync \
             | first token ms direct | first token ms | added ms | CPU us Bulla | CPU us upstream |"
        )?;
        writeln!(page, "|{}", "---|".repeat(13))?;
        for row in &self.rows {
            writeln!(page, "{}", self.line(row))?;
        }
        writeln!(page)
    }

    fn beside(&self, page: &mut String) -> fmt::Result {
        let direct = self.own.is_none().then_some(DIRECT);
        let names = direct.into_iter().chain(self.peers.iter().map(|peer| peer.name));
        writeln!(
            page,
            "| beside Bulla | row | req/s | p50 ms | p99 ms | first token ms | CPU us |"
        )?;
        writeln!(page, "|{}", "---|".repeat(7))?;
        for name in names {
            for row in &self.rows {
                writeln!(page, "{}", beside(name, row))?;
            }
        }
        writeln!(page)?;
        for Beside { name, what, resident } in &self.peers {
            writeln!(page, "- {name}: {what}; memory after the run {:.0} MB", bytes(*resident))?;
        }
        for (name, why) in &self.left_out {
            writeln!(page, "- {name} is not measured: {}", why.trim().replace('\n', " "))?;
        }
        writeln!(page)
    }

    fn line(&self, row: &Measured) -> String {
        let Some(added) = row.added() else {
            let why = row.voids.first().map_or("not run", String::as_str);
            return format!("| {} | void: {why} |{}", row.row.name, " |".repeat(11));
        };
        let of = |of: fn(&Pair) -> f64| row.median(of).unwrap_or_default();
        let void = match row.voids.len() {
            0 => String::new(),
            count => format!(" ({count} void)"),
        };
        format!(
            "| {}{void} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            row.row.name,
            of(|it| it.direct.rate),
            of(|it| it.bulla.rate),
            ms(of(|it| it.direct.p50)),
            ms(of(|it| it.bulla.p50)),
            ms(of(|it| it.bulla.p99)),
            ms(added),
            added / micros(self.quiet_floor).max(1.0),
            ms(of(|it| it.direct.first)),
            ms(of(|it| it.bulla.first)),
            ms(row.added_first().unwrap_or_default()),
            of(|it| it.bulla.bulla_cpu),
            of(|it| it.bulla.upstream_cpu),
        )
    }

    fn budgets(&self, own: &Own, page: &mut String) -> fmt::Result {
        writeln!(page, "| budget | allowed | measured | |\n|---|---|---|---|")?;
        for budget in budget::all(self, own) {
            let Budget { what, unit, at_least, .. } = budget;
            let sign = if at_least { ">=" } else { "<=" };
            let allowed = figure(budget.limit);
            let measured = budget.measured.map_or("-".to_owned(), figure);
            let verdict = budget.verdict();
            writeln!(page, "| {what} | {sign} {allowed} {unit} | {measured} {unit} | {verdict} |")?;
        }
        Ok(())
    }

    /// Every figure of every round, times in microseconds, memory in bytes.
    pub(crate) fn json(&self) -> Value {
        let Machine { cpu, cores, memory, kernel, disk, load, commit, profile } = &self.machine;
        let rows = self.rows.iter().map(|row| {
            let pairs = row.pairs.iter().map(
                |pair| json!({ "direct": sample(&pair.direct), "bulla": sample(&pair.bulla) }),
            );
            let peers = row.peers.iter().map(|(name, it)| match it {
                Ok(it) => json!({ "peer": name, "sample": sample(it) }),
                Err(why) => json!({ "peer": name, "void": why }),
            });
            json!({
                "row": row.row.name, "clients": row.row.connections, "void": row.voids,
                "peers": peers.collect::<Vec<_>>(),
                "rounds": pairs.collect::<Vec<_>>(),
            })
        });
        let peers = self
            .peers
            .iter()
            .map(|it| json!({ "peer": it.name, "what": it.what, "memory_bytes": it.resident }));
        let left_out = self.left_out.iter().map(|(name, why)| json!({ "peer": name, "why": why }));
        let mut all = json!({
            "machine": {
                "cpu": cpu, "cores": cores, "memory": memory, "kernel": kernel, "disk": disk,
                "load": load, "commit": commit, "profile": profile,
                "pinned": self.settings.pin, "others_share": self.others_share,
            },
            "window_seconds": self.settings.window.as_secs(),
            "fdatasync_us": {
                "p50": micros(self.floor.p50), "quiet": micros(self.quiet_floor), "p99": micros(self.floor.p99), "cpu": self.floor_cpu,
            },
            "rows": rows.collect::<Vec<_>>(),
            "peers": peers.collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        });
        if let (Some(own), Some(all)) = (&self.own, all.as_object_mut())
            && let Value::Object(own) = own.json(budget::all(self, own))
        {
            all.extend(own);
        }
        all
    }
}

impl Own {
    fn processes(&self, page: &mut String) -> fmt::Result {
        let starts: Vec<String> =
            self.cold_starts.iter().map(|it| format!("{:.0}", ms(micros(*it)))).collect();
        writeln!(page, "- cold start to `/readyz` 200: {} ms", starts.join(", "))?;
        writeln!(page, "- stop: {:.0} ms", ms(micros(self.stopped_after)))?;
        let rounds: Vec<String> =
            self.rss_per_round.iter().map(|&it| format!("{:.0}", bytes(it))).collect();
        writeln!(
            page,
            "- memory, MB: idle {:.0} (peak {:.0}); after each round {}; peak with 64 clients {}; peak of the \
             run {:.0}; the detector's tables {:.0}",
            bytes(self.idle.resident),
            bytes(self.idle.peak),
            rounds.join(", "),
            self.loaded.map_or("not measured".to_owned(), |it| format!("{:.0}", bytes(it.peak))),
            bytes(self.last.peak),
            bytes(self.detector.table_bytes),
        )?;
        writeln!(
            page,
            "- detector alone, one core: {:.2} MB/s on the 0.5 KB note, {:.2} MB/s on 32 KB; with the rules \
             alone {:.2} and {:.2}",
            self.detector.short_bytes_per_second / 1e6,
            self.detector.long_bytes_per_second / 1e6,
            self.detector.short_by_rules / 1e6,
            self.detector.long_by_rules / 1e6
        )?;
        self.audit(page)?;
        writeln!(page)
    }

    fn audit(&self, page: &mut String) -> fmt::Result {
        let Audit { exchanges, stored_bytes, records, verified } = self.audit;
        write!(
            page,
            "- log: {exchanges} exchanges measured, {:.1} KB stored for each",
            bytes(stored_bytes) * 1000.0 / real(exchanges).max(1.0)
        )?;
        if let (Some(records), Some(time)) = (records, verified) {
            write!(
                page,
                "; {records} records, accepted by bulla-verify in {:.1} s",
                time.as_secs_f64()
            )?;
        }
        writeln!(page)
    }

    fn json(&self, budgets: Vec<Budget>) -> Value {
        let budgets = budgets.into_iter().map(|it| {
            json!({
                "what": it.what, "unit": it.unit, "budget": it.limit, "measured": it.measured,
                "at_least": it.at_least, "met": it.factor().map(|factor| factor >= 1.0),
            })
        });
        json!({
            "cold_start_us": self.cold_starts.iter().map(|it| micros(*it)).collect::<Vec<_>>(),
            "stop_us": micros(self.stopped_after),
            "memory_bytes": {
                "idle": self.idle.resident, "after_each_round": self.rss_per_round,
                "peak_64_clients": self.loaded.map(|it| it.peak), "peak": self.last.peak,
                "detector_tables": self.detector.table_bytes,
            },
            "detector_bytes_per_second": {
                "short": self.detector.short_bytes_per_second,
                "long": self.detector.long_bytes_per_second,
                "short_by_rules": self.detector.short_by_rules,
                "long_by_rules": self.detector.long_by_rules,
            },
            "log": {
                "exchanges": self.audit.exchanges, "stored_bytes": self.audit.stored_bytes,
                "records": self.audit.records,
                "verified_us": self.audit.verified.map(micros),
            },
            "budgets": budgets.collect::<Vec<_>>(),
        })
    }
}

/// One peer's line of one row.
fn beside(name: &str, row: &Measured) -> String {
    let of = |of: fn(&Sample) -> f64| row.peer(name, of);
    let voids = row.peer_voids(name);
    let figures = of(|it| it.rate).zip(of(|it| it.p50)).zip(of(|it| it.p99));
    let Some((((rate, p50), p99), (first, cpu))) =
        figures.zip(of(|it| it.first).zip(of(|it| it.bulla_cpu)))
    else {
        let why = voids.first().copied().unwrap_or("not run");
        return format!("| {name} | {} | void: {why} |{}", row.row.name, " |".repeat(4));
    };
    let void = match voids.len() {
        0 => String::new(),
        count => format!(" ({count} void)"),
    };
    let (rate, p50, p99, first) = (figure(rate), ms(p50), ms(p99), ms(first));
    let row = row.row.name;
    format!("| {name} | {row}{void} | {rate} | {p50:.2} | {p99:.2} | {first:.2} | {cpu:.0} |")
}

fn sample(it: &Sample) -> Value {
    json!({
        "requests_per_second": it.rate, "p50_us": it.p50, "p99_us": it.p99,
        "first_p50_us": it.first, "bulla_cpu_us": it.bulla_cpu,
        "upstream_cpu_us": it.upstream_cpu,
    })
}

fn ms(us: f64) -> f64 {
    us / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
fn real(count: usize) -> f64 {
    count as f64
}

/// Enough digits to read, no more.
fn figure(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
