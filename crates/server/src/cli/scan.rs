//! `bulla scan`.

use super::input::{self, Input, Unreadable};
use super::mark::{Marker, Style};
use super::window::{Cut, Window, Windows};
use super::{Environment, Failure};
use clap::Args;
use indicatif::ProgressBar;
use phi::category::{Categories, Category, Settings};
use phi::quasi::{QuasiDetector, QuasiFinding};
use phi::{Class, Confidence, Detector, Finding, Part, Roster, Text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Scan {
    /// Files and folders; `-` is standard input
    #[arg(value_name = "FILE|DIR|-", default_value = "-")]
    inputs: Vec<PathBuf>,
    /// One JSON object per input, on a line of its own
    #[arg(long, conflicts_with = "marked")]
    json: bool,
    /// The text itself, with each identifier between marks
    #[arg(long)]
    marked: bool,
    /// What is known already, to be found wherever it stands: lines of a class, a tab and a value,
    /// `NAME<tab>Ann Lee`. The file is PHI
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Exit with 1 when an identifier was found
    #[arg(long)]
    fail_on_phi: bool,
}

/// What was found in all inputs together.
#[derive(Default)]
struct Totals {
    inputs: u64,
    unreadable: u64,
    bytes: u64,
    classes: BTreeMap<&'static str, u64>,
    quasi: BTreeMap<&'static str, u64>,
    /// In how many inputs each special category is present.
    categories: BTreeMap<Category, u64>,
}

/// What a run needs for each input.
struct Scanning<'a> {
    scan: &'a Scan,
    detector: Detector,
    roster: Roster,
    quasi: QuasiDetector,
    categories: Categories,
    style: Style,
    bar: Option<ProgressBar>,
    totals: Totals,
    out: BufWriter<io::Stdout>,
}

impl Scan {
    pub(super) fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let mut inputs = input::collect(&self.inputs);
        let detector = Detector::new();
        detector.self_test().map_err(|error| Failure::control(&error))?;
        let categories = Categories::new(&Settings::default()).map_err(|e| Failure::control(&e))?;
        categories.self_test().map_err(|error| Failure::control(&error))?;
        let terminal = io::stdout().is_terminal();
        let style = Style {
            colour: environment.get("NO_COLOR").is_none() && terminal,
            columns: terminal.then(|| columns(environment)),
        };
        let mut scanning = Scanning {
            scan: &self,
            detector,
            roster: self.known.as_deref().map_or_else(|| Ok(Roster::default()), roster)?,
            quasi: QuasiDetector::new(),
            categories,
            style,
            bar: input::bar(&inputs, 1),
            totals: Totals::default(),
            out: BufWriter::new(io::stdout()),
        };
        let many = inputs.len() > 1;
        for input in &mut inputs {
            scanning.input(input, many)?;
        }
        if let Some(bar) = scanning.bar.take() {
            bar.finish_and_clear();
        }
        if !self.json && !self.marked {
            scanning.totals.write(&mut scanning.out)?;
        }
        scanning.out.flush()?;
        let totals = &scanning.totals;
        if (self.json || self.marked) && io::stderr().is_terminal() {
            totals.write(&mut io::stderr())?;
        }
        Ok(if totals.unreadable > 0 {
            ExitCode::from(3)
        } else if self.fail_on_phi && !totals.classes.is_empty() {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The width of the terminal, as it says itself, else as the environment says.
fn columns(environment: &Environment) -> usize {
    /// What terminals have been as wide as for longest.
    const USUAL_COLUMNS: usize = 80;
    let told =
        rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col)).ok();
    let set = || environment.get("COLUMNS").and_then(|it| it.parse().ok());
    told.filter(|it| *it > 0).or_else(set).unwrap_or(USUAL_COLUMNS)
}

/// What is written of one input as it is scanned.
struct Page {
    source: String,
    marker: Marker,
    /// Lines before the window, from 1.
    line: usize,
    /// JSON: whether the object is begun, and whether it has a finding.
    begun: bool,
    has_finding: bool,
    quasi: Vec<QuasiFinding>,
    categories: BTreeMap<Category, Special>,
}

/// A special category of an input: of each window what it says most surely.
struct Special {
    score: Confidence,
    mentions: usize,
    groups: BTreeSet<&'static str>,
}

impl Scanning<'_> {
    fn input(&mut self, input: &mut Input, many: bool) -> Result<(), Failure> {
        self.totals.inputs += 1;
        let mut page = Page {
            source: input.source(),
            marker: Marker::new(self.style),
            line: 1,
            begun: false,
            has_finding: false,
            quasi: Vec::new(),
            categories: BTreeMap::new(),
        };
        if self.scan.marked && many {
            writeln!(self.out, "==> {} <==", page.source)?;
        }
        let fault = match input.open() {
            Ok(reader) => self.windows(&mut Windows::new(reader, Cut::WHOLE), &mut page)?,
            Err(fault) => Some(fault),
        };
        self.finish(&page, fault)?;
        Ok(self.out.flush()?)
    }

    /// Writes window after window; returns why the text could not be read to its end, if so.
    fn windows<R: io::Read>(
        &mut self,
        windows: &mut Windows<R>,
        page: &mut Page,
    ) -> Result<Option<Unreadable>, Failure> {
        loop {
            let window = match windows.next(&self.detector, &self.roster) {
                Ok(Some(window)) => window,
                Ok(None) => return Ok(None),
                Err(fault) => return Ok(Some(fault)),
            };
            let report = self.quasi.report(&window.text);
            for quasi in report.findings() {
                let (start, end) = (quasi.start + window.start, quasi.end + window.start);
                page.quasi.push(QuasiFinding { start, end, ..*quasi });
                *self.totals.quasi.entry(quasi.kind.label()).or_default() += 1;
            }
            page.note(&self.categories, &window.text);
            for finding in &window.findings {
                *self.totals.classes.entry(finding.class.label()).or_default() += 1;
            }
            self.totals.bytes += window.text.len() as u64;
            self.write(&window, page)?;
            if let Some(bar) = &self.bar {
                bar.inc(window.text.len() as u64);
            }
        }
    }

    fn write(&mut self, window: &Window, page: &mut Page) -> Result<(), Failure> {
        if self.scan.json {
            page.begin(&mut self.out)?;
            for finding in &window.findings {
                if std::mem::replace(&mut page.has_finding, true) {
                    write!(self.out, ",")?;
                }
                write!(self.out, "{}", object(finding))?;
            }
        } else if self.scan.marked {
            let marked = page.marker.window(window.start, &window.text, &window.findings);
            write!(self.out, "{marked}")?;
        } else {
            report(window, page, &mut self.out)?;
        }
        Ok(())
    }

    fn finish(&mut self, page: &Page, fault: Option<Unreadable>) -> Result<(), Failure> {
        for category in page.categories.keys() {
            *self.totals.categories.entry(*category).or_default() += 1;
        }
        let (source, out) = (&page.source, &mut self.out);
        // What cannot be read is an error, never "nothing found".
        if let Some(fault) = fault {
            self.totals.unreadable += 1;
            let error = fault.to_string();
            match (self.scan.json, page.begun) {
                (true, false) => writeln!(out, "{}", json!({ "source": source, "error": error }))?,
                (true, true) => writeln!(out, "],\"error\":{}}}", Value::from(error))?,
                (false, _) => writeln!(out, "{source}: cannot be scanned: {error}")?,
            }
            return Ok(());
        }
        if self.scan.json {
            let begin = if page.begun { String::new() } else { begin(source) };
            let quasi: Vec<Value> = page
                .quasi
                .iter()
                .map(|it| json!({ "start": it.start, "end": it.end, "kind": it.kind.label() }))
                .collect();
            let special: Vec<Value> = page.categories.iter().map(special).collect();
            let (quasi, special) = (Value::from(quasi), Value::from(special));
            writeln!(
                out,
                "{begin}],\"quasi_identifiers\":{quasi},\"special_categories\":{special}}}"
            )?;
        } else if self.scan.marked {
            writeln!(out)?;
        }
        Ok(())
    }
}

impl Page {
    /// Adds the special categories of a window.
    fn note(&mut self, categories: &Categories, text: &str) {
        for found in categories.of(&[Part { text, label: None }]) {
            let special = self.categories.entry(found.category).or_insert_with(|| Special {
                score: found.score,
                mentions: 0,
                groups: BTreeSet::new(),
            });
            special.score = special.score.max(found.score);
            special.mentions += found.mentions;
            special.groups.extend(found.evidence.iter().map(|evidence| evidence.group));
        }
    }

    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            write!(out, "{}", begin(&self.source))?;
        }
        Ok(())
    }
}

/// The beginning of an input's object, up to its first finding.
fn begin(source: &str) -> String {
    format!("{{\"source\":{},\"findings\":[", Value::from(source))
}

fn object(finding: &Finding) -> Value {
    json!({
        "start": finding.start,
        "end": finding.end,
        "class": finding.class.label(),
        "confidence": f64::from(finding.confidence.as_percent()) / 100.0,
        "recogniser": finding.recogniser,
        "why": finding.why,
    })
}

/// Groups of terms, not terms: a scan's report may be kept where its text may not.
fn special((category, special): (&Category, &Special)) -> Value {
    json!({
        "category": category.label(),
        "law": category.citation(),
        "score": f64::from(special.score.as_percent()) / 100.0,
        "mentions": special.mentions,
        "groups": special.groups,
    })
}

/// Places and reasons, not values: a scan's report may be kept where its text may not.
fn report(window: &Window, page: &mut Page, out: &mut dyn Write) -> Result<(), Failure> {
    let mut done = 0;
    for finding in &window.findings {
        let from = finding.start.saturating_sub(window.start);
        let before = window.text.get(done..from).unwrap_or_default();
        page.line += before.bytes().filter(|byte| *byte == b'\n').count();
        done = from;
        writeln!(
            out,
            "{}:{}: {:14} bytes {}..{}  {}% {} ({})",
            page.source,
            page.line,
            finding.class.label(),
            finding.start,
            finding.end,
            finding.confidence.as_percent(),
            finding.recogniser,
            finding.why,
        )?;
    }
    let rest = window.text.get(done..).unwrap_or_default();
    page.line += rest.bytes().filter(|byte| *byte == b'\n').count();
    Ok(())
}

impl Totals {
    fn write(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let found: u64 = self.classes.values().sum();
        let findings = if found == 1 { "finding" } else { "findings" };
        let inputs = if self.inputs == 1 { "input" } else { "inputs" };
        writeln!(
            out,
            "{found} {findings} in {} {inputs}, {} bytes; {} could not be scanned",
            self.inputs, self.bytes, self.unreadable
        )?;
        for (class, count) in &self.classes {
            writeln!(out, "  {class:14} {count}")?;
        }
        if !self.quasi.is_empty() {
            writeln!(
                out,
                "Beside them, what may single somebody out without being an identifier:"
            )?;
            for (kind, count) in &self.quasi {
                writeln!(out, "  {kind:14} {count}")?;
            }
        }
        if !self.categories.is_empty() {
            writeln!(out, "Inputs of a category that law protects beyond the rest of a record:")?;
            for (category, count) in &self.categories {
                writeln!(out, "  {:18} {count} ({})", category.label(), category.citation())?;
            }
        }
        writeln!(
            out,
            "No detector finds everything: an empty report is not de-identification (45 CFR 164.514(b))."
        )?;
        Ok(())
    }
}

/// Reads the list of what is known. A message names the line and never what stands on it.
fn roster(file: &Path) -> Result<Roster, Failure> {
    let usage = |message: String| Failure { code: 2, message };
    let bytes = std::fs::read(file).map_err(|e| usage(format!("{}: {e}", file.display())))?;
    let text = Text::from(
        String::from_utf8(bytes).map_err(|_| usage(format!("{}: not UTF-8", file.display())))?,
    );
    let mut values = Vec::new();
    for (number, line) in text.expose().lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let value = line.split_once('\t').and_then(|(class, value)| {
            Some((class.trim().parse::<Class>().ok()?, Text::from(value)))
        });
        let wrong =
            || usage(format!("{}:{}: not a class, a tab and a value", file.display(), number + 1));
        values.push(value.ok_or_else(wrong)?);
    }
    Roster::new(values).map_err(|e| usage(format!("{}: {e}", file.display())))
}
