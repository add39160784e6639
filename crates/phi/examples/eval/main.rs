//! Measures the detector, and others, on annotated documents. `cargo xtask eval` runs it and draws.
//!
//! It writes one JSON object a line: `{"begin","documents"}` and `{"done"}` while it works, then
//! `{"heading"}`, `{"note"}` and `{"table","name"}`.

mod corpus;
mod cpu;
mod judge;

use corpus::Corpus;
use judge::{Judge, Speed};
use phi::measure::{self, Detail, Labels, Policy, Report, Settings, Table};
use phi::{Class, Layers};
use serde_json::{Value, json};
use std::error::Error;
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// Draws of the bootstrap when the figures need only be rough.
const QUICK_RESAMPLES: usize = 200;

/// What was asked for.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Options {
    fixtures: PathBuf,
    corpora: Option<PathBuf>,
    quick: bool,
    wide: bool,
    floors: bool,
    mistakes: bool,
    only: Option<String>,
    export: Option<PathBuf>,
    peers: Vec<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    let mut corpora = vec![corpus::fixtures(&options.fixtures)?];
    if let Some(folder) = &options.corpora {
        corpora.extend(corpus::files(folder, options.quick)?);
    }
    if let Some(only) = &options.only {
        corpora.retain(|corpus| corpus.name.contains(only.as_str()));
    }
    if let Some(file) = &options.export {
        return Ok(corpus::export(&corpora, file)?);
    }
    let mut judge = Judge::with(Layers::ALL);
    let mut measured = Vec::new();
    for corpus in &corpora {
        say(&json!({ "begin": corpus.name, "documents": corpus.documents.len() }));
        let found = judge.scan(corpus, options.quick)?;
        measured.push(found);
    }
    if options.floors {
        return Ok(floors(&corpora, &measured)?);
    }
    if options.mistakes {
        return Ok(mistakes(&corpora, &measured)?);
    }
    let show = Show {
        settings: Settings {
            resamples: if options.quick { QUICK_RESAMPLES } else { Settings::default().resamples },
            ..Settings::default()
        },
        detail: if options.wide { Detail::Wide } else { Detail::Narrow },
    };
    for (corpus, found) in corpora.iter().zip(&measured) {
        show.corpus(corpus, found);
    }
    for corpus in corpora.iter().filter(|corpus| corpus.name == "fixtures") {
        show.layers(corpus)?;
    }
    let peers: Vec<judge::Peer> =
        options.peers.iter().map(|file| judge::peer(file)).collect::<Result<_, _>>()?;
    if !peers.is_empty() {
        show.peers(&corpora, &measured, &peers);
    }
    speed(&corpora, &measured, judge.built);
    Ok(())
}

impl Options {
    fn read() -> Result<Self, Box<dyn Error>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
        let mut options = Self { fixtures: folder.into(), ..Self::default() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--fixtures" => options.fixtures = value()?.into(),
                "--corpora" => options.corpora = Some(value()?.into()),
                "--only" => options.only = Some(value()?),
                "--export" => options.export = Some(value()?.into()),
                "--peer" => options.peers.push(value()?.into()),
                "--quick" => options.quick = true,
                "--wide" => options.wide = true,
                "--floors" => options.floors = true,
                "--mistakes" => options.mistakes = true,
                _ => return Err(format!("unknown option {argument}").into()),
            }
        }
        Ok(options)
    }
}

/// How reports are shown.
struct Show {
    settings: Settings,
    detail: Detail,
}

impl Show {
    fn report(&self, corpus: &Corpus, found: &judge::Found, policy: Policy) -> Report {
        Report::of(&judge::tallies(corpus, found, policy, |_| true), self.settings)
    }

    fn corpus(&self, corpus: &Corpus, found: &judge::Found) {
        heading(&format!("{}: {}", corpus.name, corpus.about()));
        if corpus.documents.iter().any(|document| document.labels == Labels::Partial) {
            note("labels are not exhaustive here: recall is measured, precision is not");
        }
        for policy in Policy::ALL {
            let report = self.report(corpus, found, policy);
            note(&format!("{}; {}", policy.name(), in_words(&report)));
            let name = format!("{}/{}/classes", corpus.name, key(policy));
            table(&name, &Table::classes(&report, self.detail));
        }
        let styles = corpus.styles();
        if styles.len() > 1 {
            for policy in Policy::ALL {
                let reports: Vec<(&str, Report)> = styles
                    .iter()
                    .map(|style| {
                        let of = |document: &phi::measure::Document| {
                            document.style.as_deref() == Some(*style)
                        };
                        let tallies = judge::tallies(corpus, found, policy, of);
                        (*style, Report::of(&tallies, self.settings))
                    })
                    .collect();
                let rows: Vec<(&str, &Report)> = reports.iter().map(|(s, r)| (*s, r)).collect();
                note(&format!("{}, by style", policy.name()));
                let name = format!("{}/{}/styles", corpus.name, key(policy));
                table(&name, &Table::summary("style", &rows, self.detail));
            }
        }
    }

    /// What each layer finds alone, and what the layers find together, one after the other.
    fn layers(&self, corpus: &Corpus) -> Result<(), Box<dyn Error>> {
        let rules = Layers::STRUCTURE | Layers::NUMBERS | Layers::LISTS;
        let scout = rules | Layers::SCOUT;
        let judged = scout | Layers::JUDGE;
        let sets = [
            ("structure alone", Layers::STRUCTURE),
            ("numbers alone", Layers::NUMBERS),
            ("lists alone", Layers::LISTS),
            ("scout alone", Layers::SCOUT),
            ("scout and judge", Layers::SCOUT | Layers::JUDGE),
            ("structure, numbers, lists", rules),
            ("and scout", scout),
            ("and judge", judged),
            ("and document: all", Layers::ALL),
        ];
        let mut reports = Vec::with_capacity(sets.len());
        for (name, layers) in sets {
            let found = judge::Judge::with(layers).scan(corpus, true)?;
            reports.push((name, self.report(corpus, &found, Policy::SafeHarbor)));
        }
        let rows: Vec<(&str, &Report)> = reports.iter().map(|(n, r)| (*n, r)).collect();
        note(&format!("{}, by layer", Policy::SafeHarbor.name()));
        table("fixtures/layers", &Table::summary("layers", &rows, self.detail));
        Ok(())
    }

    /// Every detector on the very same texts, under the very same scorer.
    fn peers(&self, corpora: &[Corpus], measured: &[judge::Found], peers: &[judge::Peer]) {
        heading("beside other detectors, on the same texts with the same scorer");
        for (corpus, found) in corpora.iter().zip(measured) {
            let others: Vec<(&str, judge::Found)> = peers
                .iter()
                .filter_map(|peer| Some((peer.name.as_str(), peer.on(corpus)?)))
                .collect();
            if others.is_empty() {
                continue;
            }
            for policy in Policy::ALL {
                let mut reports = vec![("Bulla", self.report(corpus, found, policy))];
                for (name, found) in &others {
                    reports.push((*name, self.report(corpus, found, policy)));
                }
                let rows: Vec<(&str, &Report)> = reports.iter().map(|(n, r)| (*n, r)).collect();
                note(&format!("{}, {}", corpus.name, policy.name()));
                let name = format!("{}/{}/peers", corpus.name, key(policy));
                table(&name, &Table::summary("detector", &rows, self.detail));
                if policy == Policy::SafeHarbor {
                    let name = format!("{}/{}/peer-classes", corpus.name, key(policy));
                    table(&name, &by_class(&reports));
                }
            }
        }
        let mut rows = Vec::new();
        for peer in peers {
            rows.push(vec![
                peer.name.clone(),
                format!("{:.4}", peer.speed.megabytes_per_second()),
                format!("{:.1}", peer.speed.built_seconds),
                format!("{:.0}", peer.speed.peak_megabytes),
            ]);
        }
        // On the texts that the others read, and no other.
        let both = corpora.iter().zip(measured);
        let both = both.filter(|(corpus, _)| peers.iter().any(|peer| peer.on(corpus).is_some()));
        let whole = both.fold(Speed::default(), |sum, (_, found)| sum.and(&found.speed));
        rows.insert(
            0,
            vec![
                "Bulla".to_owned(),
                format!("{:.4}", whole.megabytes_per_second()),
                format!("{:.1}", whole.built_seconds),
                format!("{:.0}", cpu::peak_megabytes()),
            ],
        );
        note("speed: MB of text for each second of CPU time, one core; peak memory of the process");
        let head = ["detector", "MB/s", "start, CPU s", "peak MB"];
        table("peers/speed", &Table { head: head.map(str::to_owned).to_vec(), rows });
    }
}

/// Recall in full and precision of several detectors, class by class.
fn by_class(reports: &[(&str, Report)]) -> Table {
    let mut head = vec!["class".to_owned(), "gold".to_owned()];
    head.extend(reports.iter().map(|(name, _)| format!("{name}: full / precision")));
    let share = |e: Option<phi::measure::Estimate>| {
        e.map_or_else(|| "-".to_owned(), |e| format!("{:.3}", e.value))
    };
    let mut rows = Vec::new();
    for class in Class::ALL {
        let gold = reports.first().map_or(0, |(_, r)| r.total.class(*class).gold);
        if gold == 0 {
            continue;
        }
        let mut row = vec![class.label().to_owned(), gold.to_string()];
        for (_, report) in reports {
            let line = report.class(*class);
            let full = share(line.and_then(|line| line.full));
            let precision = share(line.and_then(|line| line.precision));
            row.push(format!("{full} / {precision}"));
        }
        rows.push(row);
    }
    Table { head, rows }
}

fn in_words(report: &Report) -> String {
    let share = |e: Option<phi::measure::Estimate>| {
        e.map_or_else(
            || "-".to_owned(),
            |e| format!("{:.1} % ({:.1}-{:.1})", e.value * 100.0, e.low * 100.0, e.high * 100.0),
        )
    };
    let rate = report
        .over_redaction
        .map_or_else(|| "-".to_owned(), |e| format!("{:.1} ({:.1}-{:.1})", e.value, e.low, e.high));
    let mut words = vec![
        format!("characters leaked {}", share(report.all.leaked)),
        format!("documents leaking {}", share(report.leaking)),
    ];
    if report.total.words > 0 {
        words.push(format!("words over-redacted in 1,000: {rate}"));
    }
    if report.total.negatives > 0 {
        let of = report.total.negatives;
        words.push(format!("of {of} look-alikes touched {}", share(report.negatives)));
    }
    words.join(", ")
}

fn speed(corpora: &[Corpus], measured: &[judge::Found], built_seconds: f64) {
    heading("speed");
    let mut rows = Vec::new();
    for (corpus, found) in corpora.iter().zip(measured) {
        rows.push(vec![
            corpus.name.clone(),
            (found.speed.bytes / 1000).to_string(),
            format!("{:.3}", found.speed.seconds),
            format!("{:.2}", found.speed.megabytes_per_second()),
        ]);
    }
    let head = ["corpus", "KB read", "CPU s", "MB/s"];
    table("speed", &Table { head: head.map(str::to_owned).to_vec(), rows });
    note(&format!(
        "CPU time of one core; the detector was built in {built_seconds:.2} s; peak memory of this \
         process, corpora included: {:.0} MB",
        cpu::peak_megabytes()
    ));
}

/// The values of today, in the form of `fixtures/floors.toml`.
fn floors(corpora: &[Corpus], measured: &[judge::Found]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (corpus, found) in corpora.iter().zip(measured) {
        let tallies = judge::tallies(corpus, found, Policy::SafeHarbor, |_| true);
        let report = Report::of(&tallies, Settings { resamples: 0, ..Settings::default() });
        let of = |e: Option<phi::measure::Estimate>| e.map_or(0.0, |e| e.value);
        writeln!(out, "[ceilings]")?;
        writeln!(out, "negatives = {:.3}", of(report.negatives))?;
        writeln!(out, "over_redaction = {:.1}", of(report.over_redaction))?;
        writeln!(out, "leaked = {:.3}", of(report.all.leaked))?;
        writeln!(out, "\n[floors]")?;
        for line in report.classes.iter().chain([&report.all]) {
            let name = line.class.map_or("ALL", Class::label);
            let (full, precision) = (of(line.full), of(line.precision));
            writeln!(out, "{name} = {{ full = {full:.3}, precision = {precision:.3} }}")?;
        }
    }
    Ok(())
}

/// Each mistake with the text around it. The corpora are public and synthetic, so it may be shown.
fn mistakes(corpora: &[Corpus], measured: &[judge::Found]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (corpus, found) in corpora.iter().zip(measured) {
        for (document, findings) in corpus.documents.iter().zip(&found.findings) {
            let all = measure::mistakes(document, findings, Policy::SafeHarbor, &corpus.scope);
            let text = document.text.expose();
            let mut line = |what: &str, place: &Range<usize>, class: Class| {
                let cut = |part: &str, from: usize| part.chars().skip(from).collect::<String>();
                let before = text.get(..place.start).unwrap_or_default();
                let before = cut(before, before.chars().count().saturating_sub(40));
                let value = text.get(place.clone()).unwrap_or_default();
                let after: String =
                    text.get(place.end..).unwrap_or_default().chars().take(30).collect();
                let shown = format!("{before}[[{value}]]{after}").replace('\n', "\\n");
                writeln!(out, "{what} {class} {} {}: {shown}", corpus.name, document.id)
            };
            for (place, class) in &all.missed {
                line("MISS", place, *class)?;
            }
            for (place, class) in &all.wrong {
                line("EXTRA", place, *class)?;
            }
        }
    }
    Ok(())
}

fn key(policy: Policy) -> &'static str {
    match policy {
        Policy::SafeHarbor => "safe-harbor",
        Policy::I2b2 => "i2b2",
    }
}

fn heading(text: &str) {
    say(&json!({ "heading": text }));
}

fn note(text: &str) {
    say(&json!({ "note": text }));
}

fn table(name: &str, table: &Table) {
    say(&json!({ "table": { "head": table.head, "rows": table.rows }, "name": name }));
}

fn say(line: &Value) {
    // Nobody is left to tell when standard output is closed.
    let _told = writeln!(std::io::stdout(), "{line}").is_ok();
}

/// Progress, at most once for each hundredth of a corpus.
fn done(at: usize, of: usize) {
    if at == of || at.is_multiple_of(of.div_ceil(100).max(1)) {
        say(&json!({ "done": at }));
    }
}
