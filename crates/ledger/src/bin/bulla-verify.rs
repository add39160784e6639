//! The auditor's binary: checks an exported log with no server and no network.
//!
//! Exit codes: 0 the log is good, 1 it is not, 2 it could not be read or the call was wrong.

use clap::Parser;
use ledger::bundle::{self, Part};
use ledger::receipt::{RECORD, ReceiptCheck, ReceiptVerdict};
use ledger::verify::{KeySource, MAX_TRUST_BYTES, Trust, Verdict, Verification};
use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files of a folder that are looked at. Content has one or more files for each exchange.
const MAX_FOLDER_FILES: usize = 10_000_000;

/// Folders within folders: a bundle has `blobs/EXCHANGE/PART`.
const MAX_FOLDER_DEPTH: usize = 4;

/// Check an exported audit log, offline.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit code: 0 good, 1 bad (the first bad position is named), 2 not readable."
)]
struct Arguments {
    /// The export: a tar file, or a folder with the same files; or the proof of one record
    bundle: PathBuf,

    /// Keys and earlier checkpoints that you got elsewhere, in one text file
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// Print the findings as one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match check_receipt(&arguments) {
        Ok(None) => {}
        Ok(Some(verdict)) => {
            let shown = if arguments.json { show_json(&verdict) } else { show_receipt(&verdict) };
            return match (shown, verdict.good) {
                (Err(_), _) => ExitCode::from(2),
                (Ok(()), true) => ExitCode::SUCCESS,
                (Ok(()), false) => ExitCode::FAILURE,
            };
        }
        Err(words) => {
            drop(writeln!(io::stderr().lock(), "bulla-verify: {}", visible(&words)));
            return ExitCode::from(2);
        }
    }
    let verdict = match check(&arguments) {
        Ok(verdict) => verdict,
        Err(words) => {
            // Nothing is left to do when even standard error is closed.
            drop(writeln!(io::stderr().lock(), "bulla-verify: {}", visible(&words)));
            return ExitCode::from(2);
        }
    };
    let shown = if arguments.json { show_json(&verdict) } else { show(&verdict) };
    match (shown, verdict.good) {
        (Err(_), _) => ExitCode::from(2),
        (Ok(()), true) => ExitCode::SUCCESS,
        (Ok(()), false) => ExitCode::FAILURE,
    }
}

fn check(arguments: &Arguments) -> Result<Verdict, String> {
    let trust = match &arguments.trust {
        Some(path) => read_trust(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Trust::none(),
    };
    let path = &arguments.bundle;
    let unreadable = |error: io::Error| format!("{}: {error}", path.display());
    let mut verification = Verification::new(trust);
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        for (name, file) in folder(path).map_err(unreadable)? {
            let mut file = File::open(file).map_err(unreadable)?;
            verification.file(&name, &mut file).map_err(unreadable)?;
        }
    } else {
        let tar = BufReader::with_capacity(64 * 1024, File::open(path).map_err(unreadable)?);
        let result = bundle::each_file(tar, |name, content| verification.file(name, content));
        if let Err(error) = result {
            if !verification.saw_a_bundle() {
                return Err(unreadable(error));
            }
            verification.damaged(&format!("the archive is damaged or breaks off: {error}"));
        }
    }
    if !verification.saw_a_bundle() {
        return Err(format!("{}: this is no export of a log", path.display()));
    }
    Ok(verification.finish())
}

/// Checks the proof of one record, when the file is one: it begins with the record.
fn check_receipt(arguments: &Arguments) -> Result<Option<ReceiptVerdict>, String> {
    let path = &arguments.bundle;
    let unreadable = |error: io::Error| format!("{}: {error}", path.display());
    let mut head = [0; RECORD.len() + 1];
    let begins = fs::metadata(path).is_ok_and(|file| file.is_file())
        && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head.strip_suffix(b"\0") == Some(RECORD.as_bytes());
    if !begins {
        return Ok(None);
    }
    let trust = match &arguments.trust {
        Some(path) => read_trust(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Trust::none(),
    };
    let mut check = ReceiptCheck::new(&trust);
    let tar = BufReader::new(File::open(path).map_err(unreadable)?);
    if let Err(error) = bundle::each_file(tar, |name, content| check.file(name, content)) {
        check.damaged(&format!("the file is damaged or breaks off: {error}"));
    }
    Ok(Some(check.finish()))
}

fn show_receipt(verdict: &ReceiptVerdict) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let paint = painter(&out);
    let unknown = || "unknown".to_owned();
    let mut row = |name: &str, value: String| {
        writeln!(out, "  {} {}", paint.with("2", &format!("{name:<14}")), visible(&value))
    };
    row("log", verdict.log.clone().unwrap_or_else(unknown))?;
    row("record", verdict.seq.map_or_else(unknown, |seq| seq.to_string()))?;
    row("says", verdict.time.map_or_else(unknown, |time| time.to_string()))?;
    row("leaf", verdict.leaf.map_or_else(unknown, |leaf| leaf.to_string()))?;
    row(
        "under",
        verdict
            .checkpoint_size
            .map_or_else(unknown, |size| format!("a checkpoint of {size} records")),
    )?;
    for stamp in &verdict.stamps {
        row("stamped", format!("by {}, says {}", stamp.time, stamp.authority))?;
    }
    for witnessed in &verdict.witnessed {
        row("witnessed", format!("by {}, saw {}", witnessed.time, witnessed.witness))?;
    }
    for warning in &verdict.warnings {
        row("note", warning.clone())?;
    }
    writeln!(out)?;
    for problem in &verdict.problems {
        writeln!(
            out,
            "{} {}",
            paint.with("31", &format!("  {}:", problem.kind)),
            visible(&problem.words)
        )?;
    }
    if verdict.good {
        writeln!(out, "{}  the record is in the log", paint.with("1;32", "GOOD"))?;
    } else {
        writeln!(
            out,
            "{}  this does not show that the record is in the log",
            paint.with("1;31", "BAD")
        )?;
    }
    out.flush()
}

fn read_trust(path: &Path) -> Result<Trust, Box<dyn std::error::Error>> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TRUST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TRUST_BYTES {
        return Err("the file is longer than a trust file may be".into());
    }
    let trust = Trust::parse(&text)?;
    if trust.is_empty() { Err("there is nothing to trust in it".into()) } else { Ok(trust) }
}

/// The files of a folder, in the order of a bundle.
fn folder(root: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), root.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                if depth < MAX_FOLDER_DEPTH {
                    folders.push((format!("{name}/"), entry.path(), depth + 1));
                }
            } else if entry.file_type()?.is_file() {
                files.push((name, entry.path()));
            }
            if files.len() > MAX_FOLDER_FILES {
                return Err(io::Error::other("there are more files than a bundle has"));
            }
        }
    }
    files.sort_by_cached_key(|(name, _)| (Part::of(name), name.clone()));
    Ok(files)
}

fn show_json(verdict: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, verdict)?;
    writeln!(out)?;
    out.flush()
}

/// Colours, when a person looks on.
#[derive(Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn painter(out: &impl IsTerminal) -> Paint {
    // https://no-color.org: any value that is not empty turns colour off.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Paint { on: out.is_terminal() && !no_color }
}

fn show(verdict: &Verdict) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let paint = painter(&out);
    for (name, value) in facts(verdict) {
        writeln!(out, "  {} {}", paint.with("2", &format!("{name:<14}")), visible(&value))?;
    }
    for warning in &verdict.warnings {
        writeln!(out, "  {} {}", paint.with("33", &format!("{:<14}", "note")), visible(warning))?;
    }
    writeln!(out)?;
    for problem in &verdict.problems {
        let at = problem.at.map_or(String::new(), |at| format!(" at position {at}"));
        let head = format!("  {}{at}:", problem.kind);
        writeln!(out, "{} {}", paint.with("31", &head), visible(&problem.words))?;
    }
    if verdict.more_problems > 0 {
        writeln!(out, "  and {} more", verdict.more_problems)?;
    }
    conclude(verdict, paint, &mut out)?;
    out.flush()
}

fn conclude(verdict: &Verdict, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    if !verdict.good {
        let place = match verdict.problems.iter().find_map(|problem| problem.at) {
            Some(at) => format!("the first bad position is {at}"),
            None => "no single record is at fault".to_owned(),
        };
        return writeln!(out, "{}  {place}", paint.with("1;31", "BAD"));
    }
    let unaltered = "unaltered since the checkpoint was signed";
    writeln!(out, "{}  {} records, {unaltered}", paint.with("1;32", "GOOD"), verdict.records)?;
    if verdict.key_source == Some(KeySource::BundleOnly) {
        writeln!(
            out,
            "      Without --trust the key is only the one that this bundle itself carries, so\n      \
             this shows that the bundle agrees with itself, not who made it. Get the log's\n      \
             key, or an earlier checkpoint, from somewhere else."
        )?;
    }
    Ok(())
}

/// Disposals that are shown to a person, the newest; the JSON has all.
const MAX_DISPOSALS_SHOWN: usize = 10;

/// What was looked at, as rows.
fn facts(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let unknown = || "unknown".to_owned();
    rows.push(("log", verdict.log.clone().unwrap_or_else(unknown)));
    rows.push(("organisation", verdict.organisation.clone().unwrap_or_else(unknown)));
    let span = match (verdict.first, verdict.last) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    rows.push(("records", format!("{}{span}", verdict.records)));
    rows.push((
        "exchanges",
        format!(
            "{} intents, {} outcomes, {} open",
            verdict.intents, verdict.outcomes, verdict.open_intents
        ),
    ));
    rows.push((
        "content",
        match verdict.blobs {
            0 => "not in this bundle; the records hold digests of it".to_owned(),
            count => format!("{count} sealed files, as the records name them"),
        },
    ));
    if let Some(pruned) = &verdict.pruned {
        let kept = pruned
            .kept_from
            .map_or_else(String::new, |time| format!("; the oldest that was kept is of {time}"));
        rows.push((
            "pruned",
            format!(
                "records 1 to {} pruned at {} under authority \"{}\", hashes intact{kept}",
                pruned.records, pruned.at, pruned.authority
            ),
        ));
    }
    for disposed in verdict.disposed.iter().rev().take(MAX_DISPOSALS_SHOWN).rev() {
        let what = match disposed.payloads {
            0 => "payloads".to_owned(),
            count => format!("{count} payload(s)"),
        };
        rows.push((
            "disposed",
            format!(
                "{what} disposed at {} under authority \"{}\", commitment intact",
                disposed.at, disposed.authority
            ),
        ));
    }
    let root = verdict.checkpoint_root.map_or_else(unknown, |root| root.to_string());
    rows.push(("signed root", root));
    rows.push(("key", verdict.verifier_key.clone().unwrap_or_else(unknown)));
    rows.push((
        "key known by",
        match verdict.key_source {
            Some(KeySource::Trusted) => "your trust file",
            Some(KeySource::EarlierCheckpoint) => "your earlier checkpoint",
            Some(KeySource::BundleOnly) => "this bundle only",
            None => "nothing: the signature does not hold",
        }
        .to_owned(),
    ));
    if !verdict.earlier_trusted.is_empty() {
        let sizes: Vec<_> = verdict.earlier_trusted.iter().map(u64::to_string).collect();
        rows.push(("continues", format!("your checkpoint of {} records", sizes.join(", "))));
    }
    if verdict.earlier_inside > 0 {
        rows.push(("checkpoints", format!("{} earlier ones fit", verdict.earlier_inside)));
    }
    if let Some(last) = verdict.stamps.last() {
        let count = verdict.stamps.len();
        let rest = verdict.records.saturating_sub(last.size);
        rows.push((
            "stamped",
            format!(
                "{} records by {}, says {}; {count} stamp(s) hold, {rest} newer record(s) have none",
                last.size, last.time, last.authority
            ),
        ));
        // A date is enough for people; the JSON has the second.
        let ends: String = last.certificate_ends.to_string().chars().take(10).collect();
        rows.push(("", format!("the newest stamp's certificate ends on {ends}")));
    }
    if let Some(exposure) = verdict.exposure {
        rows.push((
            "exposure",
            format!(
                "{} s at the longest between a record (position {}) and the first stamp over it",
                exposure.seconds, exposure.at
            ),
        ));
    }
    if let Some(last) = verdict.witnessed.last() {
        rows.push((
            "witnessed",
            format!("{} records by {}, saw {}", last.size, last.time, last.witness),
        ));
    }
    rows
}

/// Text of a bundle for a terminal: nothing in it may move the cursor or turn the reading order.
fn visible(text: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
