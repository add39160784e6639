//! `bulla audit`.

use super::look::{Review, SearchLog, ShowStatus, SignOff};
use super::{Data, Environment, Failure, operator, say};
use clap::{Args, Subcommand};
use gate::rules::LineFormat;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::{ExchangeId, Receipt, Record};
use phi::Text;
use serde_json::json;
use service::{ExchangeContent, House, ReadError, Until};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Write the log as a bundle that `bulla-verify` checks offline
    Export(Export),
    /// Print the records, one line each, as a SIEM gets them (recorded as a reading)
    Stream(Stream),
    /// Show where each feed of the configuration is
    Feeds(Feeds),
    /// Find records by who acted, when, what came of it, or whom it was about (recorded as a reading)
    Search(Box<SearchLog>),
    /// Write a report of the activity since the last review (recorded as a reading)
    Review(Review),
    /// Record that somebody reviewed a report
    SignOff(SignOff),
    /// Show how the log and its upkeep stand
    Status(ShowStatus),
    /// Show one exchange: what was written, what left, what came back (recorded as a reading)
    Show(Show),
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    data: Data,
    /// The bundle to write: a tar file that does not exist yet
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Put the sealed content beside the records; it stays sealed
    #[arg(long)]
    content: bool,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    data: Data,
    /// A receipt, as in the header x-bulla-receipt, or an exchange, as in x-request-id
    which: String,
}

#[derive(Debug, Args)]
struct Stream {
    #[command(flatten)]
    data: Data,
    /// How a record is written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The position of the first record
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// Go on as the log grows, until stopped
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Args)]
struct Feeds {
    #[command(flatten)]
    data: Data,
}

/// How a record is written as a line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// The record itself, with its leaf hash
    Jsonl,
    /// OCSF 1.8.0
    Ocsf,
    /// Common Event Format
    Cef,
    /// FHIR R4 `AuditEvent`
    Fhir,
}

impl Audit {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        match self.command {
            AuditCommand::Export(export) => export.run(environment).await,
            AuditCommand::Stream(stream) => stream.run(environment).await,
            AuditCommand::Feeds(feeds) => feeds.run(environment).await,
            AuditCommand::Search(search) => search.run(environment).await,
            AuditCommand::Review(review) => review.run(environment).await,
            AuditCommand::SignOff(sign_off) => sign_off.run(environment).await,
            AuditCommand::Status(status) => status.run(environment).await,
            AuditCommand::Show(show) => show.run(environment).await,
        }
    }
}

pub(super) fn failure(error: ReadError) -> Failure {
    match error {
        ReadError::House(error) => Failure::of_house(&error),
        ReadError::NoContent | ReadError::Disposed => Failure::usage(&error),
        ReadError::Write(error) => error.into(),
        ReadError::Bundle(_)
        | ReadError::Unsealable(_)
        | ReadError::Malformed
        | ReadError::Broken { .. } => Failure::control(&error),
    }
}

impl Export {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let file = file.map_err(|error| Failure {
            code: 2,
            message: format!("cannot write {}: {error}", self.out.display()),
        })?;
        let bar = progress();
        let tell = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let actor = operator(environment);
        let exported = house.export(BufWriter::new(file), self.content, actor, &tell).await;
        bar.finish_and_clear();
        let records = exported.map_err(failure)?;
        say(format_args!("Wrote {records} records to {}", self.out.display()))?;
        say(format_args!("Check it anywhere, offline: bulla-verify {}", self.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Stream {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let format = match self.format {
            Format::Jsonl => LineFormat::Jsonl,
            Format::Ocsf => LineFormat::Ocsf,
            Format::Cef => LineFormat::Cef,
            Format::Fhir => LineFormat::Fhir,
        };
        let until = if self.follow { Until::Dropped } else { Until::Now };
        let actor = operator(environment);
        let each = |line: &str| writeln!(std::io::stdout().lock(), "{line}");
        house.read_lines(format, self.from, until, actor, &each).await.map_err(failure)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Feeds {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        for feed in house.feeds().await.map_err(|error| Failure::of_house(&error))? {
            let behind = feed.size.saturating_sub(feed.next);
            say(format_args!("{}\tnext {}\tbehind {behind}", feed.id, feed.next))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let exchange = self.exchange(&house).await?;
        let content = house
            .read_content(exchange, operator(environment), "operator")
            .await
            .map_err(failure)?;
        say(document(exchange, &content))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn exchange(&self, house: &House) -> Result<ExchangeId, Failure> {
        if let Ok(exchange) = self.which.parse() {
            return Ok(exchange);
        }
        let malformed = || Failure {
            code: 2,
            message: "give a receipt (bulla/...#12@...) or an exchange (exc_...)".into(),
        };
        let seq = self.which.split_once('#').and_then(|(_, rest)| rest.split_once('@'));
        let seq = seq.and_then(|(seq, _)| seq.parse().ok()).ok_or_else(malformed)?;
        let bytes = house.record(seq).await.map_err(failure)?;
        let record = bytes.and_then(|bytes| {
            let receipt = Receipt { log: house.log(), seq, leaf: ledger::tree::leaf_hash(&bytes) };
            // The receipt names its record's hash, so one of another log or another record is told
            // apart here.
            if receipt.to_string() == self.which { Record::from_bytes(&bytes).ok() } else { None }
        });
        let exchange = record.and_then(|record| Some(record.event.about()?.exchange));
        exchange.ok_or_else(|| Failure {
            code: 2,
            message: "this log has no exchange with that receipt".into(),
        })
    }
}

fn document(exchange: ExchangeId, content: &ExchangeContent) -> serde_json::Value {
    let received: Vec<&str> = content.reply.iter().map(|window| window.received.expose()).collect();
    let delivered: Vec<&str> = content
        .reply
        .iter()
        .map(|window| window.delivered.as_ref().unwrap_or(&window.received).expose())
        .collect();
    json!({
        "exchange": exchange.to_string(),
        "written": content.written.as_ref().map(Text::expose),
        "left": content.left.as_ref().or(content.written.as_ref()).map(Text::expose),
        "received": received.concat(),
        "delivered": delivered.concat(),
        "still_phi": content.written.as_ref().is_some_and(|written| !written.is_empty()),
    })
}
