//! `bulla scan`.

use super::audit::progress;
use super::{Environment, Failure, say};
use clap::Args;
use phi::{Detector, Finding, Part};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Folders in folders. A deeper tree is a loop or an attack.
const MAX_DEPTH: usize = 64;

/// The largest input. One scan reads less than this; what is longer is an error, never "nothing".
const MAX_INPUT_BYTES: u64 = 256 << 20;

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
}

impl Scan {
    pub(super) fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let mut inputs = Vec::new();
        for input in &self.inputs {
            collect(input, 0, &mut inputs)?;
        }
        let detector = Detector::new();
        detector.self_test().map_err(|error| Failure::control(&error))?;
        let bar = (inputs.len() > 1 && std::io::stderr().is_terminal()).then(progress);
        if let Some(bar) = &bar {
            bar.set_length(inputs.len() as u64);
        }
        let colour = environment.get("NO_COLOR").is_none() && std::io::stdout().is_terminal();
        let mut totals = Totals::default();
        for input in &inputs {
            self.scan(input, &detector, colour, &mut totals)?;
            if let Some(bar) = &bar {
                bar.inc(1);
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if !self.json && !self.marked {
            summary(&totals)?;
        }
        Ok(if totals.unreadable > 0 {
            ExitCode::from(3)
        } else if self.fail_on_phi && !totals.classes.is_empty() {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn scan(
        &self,
        input: &Path,
        detector: &Detector,
        colour: bool,
        totals: &mut Totals,
    ) -> Result<(), Failure> {
        let source = input.display().to_string();
        let scanned = read(input).and_then(|text| {
            let found = detector.scan(&[Part { text: &text, label: None }]);
            let findings = found.map_err(|error| error.to_string())?.pop().unwrap_or_default();
            Ok((text, findings))
        });
        totals.inputs += 1;
        let (text, findings) = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                // What cannot be read is an error, never "nothing found".
                totals.unreadable += 1;
                return if self.json {
                    say(json!({ "source": source, "error": error }))
                } else {
                    say(format_args!("{source}: cannot be scanned: {error}"))
                };
            }
        };
        totals.bytes += text.len() as u64;
        for finding in &findings {
            *totals.classes.entry(finding.class.label()).or_default() += 1;
        }
        if self.json {
            say(document(&source, &findings))
        } else if self.marked {
            say(marked(&text, &findings, colour))
        } else {
            report(&source, &text, &findings)
        }
    }
}

fn collect(input: &Path, depth: usize, inputs: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        return Err(Failure { code: 2, message: "folders are nested too deeply".to_owned() });
    }
    if !input.is_dir() {
        inputs.push(input.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(input)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        // A link could lead back up or out of the folder that was named.
        if !entry.file_type()?.is_symlink() {
            collect(&entry.path(), depth + 1, inputs)?;
        }
    }
    Ok(())
}

fn read(input: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if input == Path::new("-") {
        std::io::stdin().lock().take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(input)
            .and_then(|file| file.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err("it has more than 256 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn document(source: &str, findings: &[Finding]) -> serde_json::Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "start": finding.start,
                "end": finding.end,
                "class": finding.class.label(),
                "confidence": f64::from(finding.confidence.as_percent()) / 100.0,
                "recogniser": finding.recogniser,
                "why": finding.why,
            })
        })
        .collect();
    json!({ "source": source, "findings": findings })
}

fn marked(text: &str, findings: &[Finding], colour: bool) -> String {
    let mut out = String::with_capacity(text.len() + findings.len() * 24);
    let mut done = 0;
    for finding in findings {
        let label = finding.class.label();
        out.push_str(text.get(done..finding.start).unwrap_or_default());
        let value = text.get(finding.start..finding.end).unwrap_or_default();
        // Writing to a String cannot fail.
        let written = if colour {
            write!(out, "\u{1b}[1;33m{value}\u{1b}[0m\u{1b}[2m[{label}]\u{1b}[0m")
        } else {
            write!(out, "<{label}>{value}</{label}>")
        };
        if written.is_err() {
            out.push_str(value);
        }
        done = finding.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Places and reasons, not values: a scan's report may be kept where its text may not.
fn report(source: &str, text: &str, findings: &[Finding]) -> Result<(), Failure> {
    let mut line = 1;
    let mut done = 0;
    for finding in findings {
        let before = text.get(done..finding.start).unwrap_or_default();
        line += before.bytes().filter(|byte| *byte == b'\n').count();
        done = finding.start;
        say(format_args!(
            "{source}:{line}: {:14} bytes {}..{}  {}% {} ({})",
            finding.class.label(),
            finding.start,
            finding.end,
            finding.confidence.as_percent(),
            finding.recogniser,
            finding.why,
        ))?;
    }
    Ok(())
}

fn summary(totals: &Totals) -> Result<(), Failure> {
    let found: u64 = totals.classes.values().sum();
    let inputs = if totals.inputs == 1 { "input" } else { "inputs" };
    say(format_args!(
        "{found} findings in {} {inputs}, {} bytes; {} could not be scanned",
        totals.inputs, totals.bytes, totals.unreadable
    ))?;
    for (class, count) in &totals.classes {
        say(format_args!("  {class:14} {count}"))?;
    }
    say(
        "No detector finds everything: an empty report is not de-identification (45 CFR 164.514(b)).",
    )
}
