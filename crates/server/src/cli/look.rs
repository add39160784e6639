//! `bulla audit search`, `review`, `sign-off` and `status`.

use super::{Data, Environment, Failure, audit, operator, say};
use clap::Args;
use ledger::{ConversationId, ExchangeId, Time};
use phi::Text;
use serde_json::Value;
use service::{MAX_FOUND, ReviewError, Search, SearchError, Since};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest reference of a patient on standard input, with its line feed.
const MAX_REFERENCE_BYTES: u64 = 1024;

/// The largest report that is read back: some thousand lists of a thousand items.
const MAX_REPORT_BYTES: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct SearchLog {
    #[command(flatten)]
    data: Data,
    /// Records of the API keys of this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Records of whoever has this name or id: an owner, an operator
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// Not before: 2026-11-23 or 2026-11-23T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Time>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// Records of this surface
    #[arg(long)]
    surface: Option<String>,
    /// Records of this decision: allowed, tokenized, redacted, rerouted, blocked
    #[arg(long)]
    decision: Option<String>,
    /// Records of this outcome: answered, refused, ...
    #[arg(long)]
    outcome: Option<String>,
    /// Records of this kind: exchange.outcome, content.read, ...
    #[arg(long)]
    kind: Option<String>,
    /// Records of this destination
    #[arg(long)]
    destination: Option<String>,
    /// Records of this conversation
    #[arg(long, value_name = "CNV")]
    conversation: Option<ConversationId>,
    /// Records of this exchange
    #[arg(long, value_name = "EXC")]
    exchange: Option<ExchangeId>,
    /// Everything about this patient, by the reference that callers name; `-` reads it from standard
    /// input, so that it stands in no list of commands
    #[arg(long, value_name = "REF")]
    patient: Option<String>,
    /// From this position on
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// At most so many records
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
    /// Read every record instead of believing the index
    #[arg(long)]
    scan: bool,
    /// Print the records themselves, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Review {
    #[command(flatten)]
    data: Data,
    /// From this position on, instead of the end of the last review
    #[arg(long, value_name = "SEQ", conflicts_with = "since")]
    from: Option<u64>,
    /// From this time on, instead of the end of the last review
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Time>,
    /// The page to write; the document for programs is put beside it, with the ending .json
    #[arg(long, value_name = "REPORT")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct SignOff {
    #[command(flatten)]
    data: Data,
    /// The page of a report, with its document beside it
    report: PathBuf,
    /// Who reviewed it
    #[arg(long, value_name = "NAME")]
    reviewer: String,
    /// What the reviewer remarks, in one line; it becomes part of the log, so it names no patient
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    #[command(flatten)]
    data: Data,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<Time, String> {
    crate::moment::read(text)
        .ok_or_else(|| "a time is 2026-11-23 or 2026-11-23T09:00:00Z".to_owned())
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { code: 2, message: message.into() }
}

impl SearchLog {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        if self.limit > MAX_FOUND {
            return Err(usage(format!("one search gives out at most {MAX_FOUND} records")));
        }
        let patient = match self.patient.as_deref() {
            Some("-") => Some(reference_from_input()?),
            Some(reference) => Some(Text::new(reference.to_owned())),
            None => None,
        };
        let house = self.data.open(environment).await?;
        let search = Search {
            owner: self.owner,
            person: self.person,
            since: self.since,
            until: self.until,
            surface: self.surface,
            decision: self.decision,
            outcome: self.outcome,
            kind: self.kind,
            destination: self.destination,
            conversation: self.conversation,
            exchange: self.exchange,
            patient,
            from: self.from,
            limit: self.limit,
            scan: self.scan,
        };
        let found = house.search(&search, operator(environment)).await.map_err(search_failure)?;
        for line in &found.lines {
            if self.json {
                say(line)?;
            } else {
                say(summary(line))?;
            }
        }
        if let Some(next) = found.next {
            let more = format!("There is more: go on with --from {next}");
            writeln!(std::io::stderr(), "{more}").map_err(Failure::from)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn reference_from_input() -> Result<Text, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_REFERENCE_BYTES).read_to_string(&mut text)?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        Err(usage("standard input names no patient"))
    } else {
        Ok(Text::new(text))
    }
}

fn search_failure(error: SearchError) -> Failure {
    match error {
        SearchError::House(error) => Failure::of_house(&error),
        SearchError::Unanswerable | SearchError::TooMany => Failure::usage(&error),
        SearchError::Malformed { .. } => Failure::control(&error),
    }
}

/// A record in one line: position, time, kind, who, and what came of it.
fn summary(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap_or_default();
    let record = record.get("record").unwrap_or(&record);
    let word = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or("-");
    let who = record.pointer("/actor/name").and_then(Value::as_str).unwrap_or("-");
    let seq = record.get("seq").and_then(Value::as_u64).unwrap_or_default();
    format!(
        "{seq}\t{}\t{}\t{who}\t{}\t{}\t{}\t{}",
        word("time"),
        word("kind"),
        word("outcome"),
        word("decision"),
        word("destination"),
        word("exchange"),
    )
}

fn review_failure(error: ReviewError) -> Failure {
    match error {
        ReviewError::Read(error) => audit::failure(error),
        ReviewError::Altered(_) => Failure { code: 1, message: error.to_string() },
        ReviewError::Nothing
        | ReviewError::Folder(_)
        | ReviewError::NoReport
        | ReviewError::Reviewer
        | ReviewError::Note => Failure::usage(&error),
    }
}

/// The document of a report lies beside its page.
fn document_of(page: &Path) -> Result<PathBuf, Failure> {
    let document = page.with_extension("json");
    if document == page {
        return Err(usage("name the page of the report; its document has the ending .json"));
    }
    Ok(document)
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| usage(format!("cannot write {}: {error}", path.display())))
}

fn read_back(path: &Path) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| usage(format!("cannot read {}: {error}", path.display()));
    if fs::metadata(path).map_err(cannot)?.len() > MAX_REPORT_BYTES {
        return Err(usage(format!("{} is too large for a report", path.display())));
    }
    fs::read_to_string(path).map_err(cannot)
}

impl Review {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let document = document_of(&self.out)?;
        for path in [&self.out, &document] {
            if path.symlink_metadata().is_ok() {
                return Err(usage(format!("{} is there already", path.display())));
            }
        }
        let house = self.data.open(environment).await?;
        let since = match (self.from, self.since) {
            (Some(from), _) => Since::Position(from),
            (None, Some(time)) => Since::Time(time),
            (None, None) => Since::LastReview,
        };
        let report = house.report(since, operator(environment)).await.map_err(review_failure)?;
        write_new(&document, &report.json)?;
        write_new(&self.out, &report.html)?;
        let (from, last) = (report.from, report.size - 1);
        say(format_args!(
            "Wrote the activity of records {from} to {last} to {}",
            self.out.display()
        ))?;
        say(format_args!("The same for programs: {}", document.display()))?;
        let page = self.out.display();
        say(format_args!("When it is reviewed: bulla audit sign-off {page} --reviewer NAME"))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SignOff {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let document = document_of(&self.report)?;
        let (json, html) = (read_back(&document)?, read_back(&self.report)?);
        let house = self.data.open(environment).await?;
        let actor = operator(environment);
        let receipt = house
            .sign_off((&json, &html), &self.reviewer, self.note.as_deref(), actor)
            .await
            .map_err(review_failure)?;
        say(format_args!("{} reviewed it. Recorded at {receipt}", self.reviewer))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ShowStatus {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let status = house.status().await.map_err(review_failure)?;
        if self.json {
            let document = serde_json::to_string(&status).map_err(std::io::Error::from)?;
            say(document)?;
            return Ok(ExitCode::SUCCESS);
        }
        let none = || "none".to_owned();
        say(format_args!("log             {}", status.log))?;
        let pruned = match status.pruned {
            0 => String::new(),
            size => format!(", those before {size} pruned but for record 0"),
        };
        say(format_args!("records         {}{pruned}", status.records))?;
        let checkpoint = status.checkpoint.map_or_else(none, |size| format!("{size} records"));
        say(format_args!("checkpoint      {checkpoint}"))?;
        let stamp = status.stamp.map_or_else(none, |it| {
            format!("{} by {}, over {} records", it.stamped, it.authority, it.size)
        });
        say(format_args!("last stamp      {stamp}"))?;
        let exposure = status.exposure_seconds.map_or_else(none, |seconds| format!("{seconds} s"));
        say(format_args!("exposure        {exposure}"))?;
        let review = status.review;
        let last = review.last.map_or_else(none, |it| {
            format!("{} by {}, records before {}", it.reviewed, it.reviewer, it.size)
        });
        say(format_args!("last review     {last}"))?;
        let overdue = if review.overdue { ", OVERDUE" } else { "" };
        let (due, days) = (review.due, review.every_days);
        say(format_args!("next review     {due}, every {days} days{overdue}"))?;
        say(format_args!("open intents    {}", status.open_intents))?;
        for feed in &status.feeds {
            say(format_args!("feed            {}, behind {}", feed.id, feed.behind))?;
        }
        let holds = if status.holds.is_empty() { none() } else { status.holds.join(", ") };
        say(format_args!("holds           {holds}"))?;
        say(format_args!("content kept    {}", status.content))?;
        let due = status.retention_due.map_or_else(none, |day| day.to_string());
        say(format_args!("retention due   {due}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
