//! `bulla eval`: what the detector finds on a site's own annotated notes.

use super::audit::progress;
use super::{Environment, Failure, say};
use clap::Args;
use phi::measure::{
    Detail, Document, Labels, Mistakes, Policy, Report, Scope, Settings, Table, Tally, mistakes,
    read_jsonl_line, score,
};
use phi::{Class, Detector, Finding, Part};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest line: a document with its labels. What one scan reads is shorter.
const MAX_LINE_BYTES: usize = 64 << 20;

/// The most documents that are held at once.
const MAX_DOCUMENTS: usize = 1_000_000;

/// Columns from which on tables show more intervals.
const WIDE_COLUMNS: usize = 110;

/// Below this many documents an interval says more about the sample than about the detector.
const FEW_DOCUMENTS: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Eval {
    /// Annotated documents, one JSON object on each line (docs/annotation.md)
    #[arg(value_name = "FILE.jsonl", required = true)]
    files: Vec<PathBuf>,
    /// List each mistake by number of document and place, without its text
    #[arg(long)]
    mistakes: bool,
    /// Measure only the documents of this "split"
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
}

impl Eval {
    pub(super) fn run(&self, environment: &Environment) -> Result<ExitCode, Failure> {
        let mut documents = Vec::new();
        for file in &self.files {
            read(file, &mut documents)?;
        }
        documents.retain(|document: &Document| {
            self.split.is_none() || self.split.as_deref() == document.split.as_deref()
        });
        if documents.is_empty() {
            let message = "there is no document to measure".to_owned();
            return Err(Failure { code: 2, message });
        }
        let detector = Detector::new();
        detector.self_test().map_err(|error| Failure::control(&error))?;
        let findings = scan(&detector, &documents)?;
        let wide = columns(environment) >= WIDE_COLUMNS;
        let detail = if wide { Detail::Wide } else { Detail::Narrow };
        let scope = Scope::of(&documents);
        for policy in Policy::ALL {
            let tallies: Vec<Tally> = documents
                .iter()
                .zip(&findings)
                .map(|(document, found)| score(document, found, policy, &scope))
                .collect();
            show(policy, &documents, &tallies, detail)?;
        }
        if self.mistakes {
            list(&documents, &findings, &scope)?;
        }
        meaning(&documents)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// How wide the output may be; where nobody says, tables stay narrow.
fn columns(environment: &Environment) -> usize {
    let told = environment.get("COLUMNS").and_then(|columns| columns.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    told.or_else(|| size().map(|size| usize::from(size.ws_col))).unwrap_or(0)
}

/// Reads a file line by line. Messages name lines, never what is in them.
fn read(file: &Path, documents: &mut Vec<Document>) -> Result<(), Failure> {
    let failure =
        |code, what: String| Failure { code, message: format!("{}: {what}", file.display()) };
    let opened = fs::File::open(file).map_err(|error| failure(2, error.to_string()))?;
    let mut reader = BufReader::new(opened);
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        number += 1;
        let limit = MAX_LINE_BYTES as u64 + 1;
        let mut line = std::io::Read::take(&mut reader, limit);
        let size = line.read_until(b'\n', &mut bytes).map_err(|e| failure(3, e.to_string()))?;
        if size == 0 {
            return Ok(());
        }
        if size > MAX_LINE_BYTES {
            return Err(failure(2, format!("line {number} has more than 64 MiB")));
        }
        let line = str::from_utf8(&bytes)
            .map_err(|_| failure(2, format!("line {number} is not UTF-8 text")))?;
        if line.trim().is_empty() {
            continue;
        }
        if documents.len() == MAX_DOCUMENTS {
            return Err(failure(2, format!("more than {MAX_DOCUMENTS} documents")));
        }
        documents
            .push(read_jsonl_line(line, number).map_err(|fault| failure(2, fault.to_string()))?);
    }
}

fn scan(detector: &Detector, documents: &[Document]) -> Result<Vec<Vec<Finding>>, Failure> {
    let bar = std::io::stderr().is_terminal().then(progress);
    if let Some(bar) = &bar {
        bar.set_length(documents.len() as u64);
    }
    let mut all = Vec::with_capacity(documents.len());
    for document in documents {
        // The text goes to the detector, which keeps nothing of it.
        let part = Part { text: document.text.expose(), label: None };
        let found = detector.scan(&[part]).map_err(|error| Failure::control(&error))?;
        all.push(found.into_iter().next().unwrap_or_default());
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(all)
}

fn show(
    policy: Policy,
    documents: &[Document],
    tallies: &[Tally],
    detail: Detail,
) -> Result<(), Failure> {
    let settings = Settings::default();
    let report = Report::of(tallies, settings);
    say(format_args!("{}, {} documents", policy.name(), documents.len()))?;
    lines(&Table::classes(&report, detail))?;
    let styles: BTreeSet<&str> = documents.iter().filter_map(|d| d.style.as_deref()).collect();
    if styles.len() > 1 {
        let reports: Vec<(&str, Report)> = styles
            .iter()
            .map(|style| {
                let of = documents.iter().zip(tallies);
                let of = of.filter(|(document, _)| document.style.as_deref() == Some(*style));
                let tallies: Vec<Tally> = of.map(|(_, tally)| tally.clone()).collect();
                (*style, Report::of(&tallies, settings))
            })
            .collect();
        let rows: Vec<(&str, &Report)> = reports.iter().map(|(s, r)| (*s, r)).collect();
        say("")?;
        lines(&Table::summary("style", &rows, detail))?;
    }
    say("")?;
    if let Some(leaking) = report.leaking {
        say(format_args!(
            "In {} of {} documents with identifiers a part of one was not covered.",
            report.total.leaking, report.total.with_gold
        ))?;
        say(format_args!(
            "For documents drawn like these, that share lies between {:.1} and {:.1} % (95 % interval).",
            leaking.low * 100.0,
            leaking.high * 100.0
        ))?;
    }
    if let Some(over) = report.over_redaction {
        say(format_args!("Of 1,000 words, {:.1} were covered without need.", over.value))?;
    }
    say("")
}

fn lines(table: &Table) -> Result<(), Failure> {
    for line in table.plain() {
        say(line)?;
    }
    Ok(())
}

/// Places and classes, not values: a list may be kept where its notes may not.
fn list(documents: &[Document], findings: &[Vec<Finding>], scope: &Scope) -> Result<(), Failure> {
    say("Mistakes under Safe Harbor, by the number of the document and its characters:")?;
    for (number, (document, found)) in documents.iter().zip(findings).enumerate() {
        let Mistakes { missed, wrong } = mistakes(document, found, Policy::SafeHarbor, scope);
        let text = document.text.expose();
        let say_all = |what: &str, places: Vec<(Range<usize>, Class)>| -> Result<(), Failure> {
            for (place, class) in places {
                let characters = |end| text.get(..end).unwrap_or_default().chars().count();
                let (start, end) = (characters(place.start), characters(place.end));
                let number = number + 1;
                say(format_args!("  document {number}: {what} {class} at {start}..{end}"))?;
            }
            Ok(())
        };
        say_all("missed", missed)?;
        say_all("wrongly found", wrong)?;
    }
    say("")
}

fn meaning(documents: &[Document]) -> Result<(), Failure> {
    if documents.len() < FEW_DOCUMENTS {
        say(format_args!(
            "{} documents are few: read the intervals, not the figures before them.",
            documents.len()
        ))?;
    }
    if documents.iter().any(|document| document.labels == Labels::Partial) {
        say("Some documents are not labelled exhaustively; they count for recall alone.")?;
    }
    for line in [
        "full: spans of which each letter and digit was covered. leaked: the share of their letters and",
        "digits that was not. precision: findings that touch a span. The intervals are over documents.",
        "The figures hold for notes like these, labelled as these are, and for nothing else.",
        "Redacted text is still PHI unless Safe Harbor or an expert's determination is shown for it",
        "(45 CFR 164.514(a)-(b)).",
    ] {
        say(line)?;
    }
    Ok(())
}
