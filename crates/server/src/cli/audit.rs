//! `bulla audit`.

use super::look::{Review, SearchLog, ShowStatus, SignOff};
use super::{Data, Environment, Failure, operator, say};
use clap::{Args, Subcommand};
use gate::rules::LineFormat;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::bundle::{self, Chunk, CollectError, Collected};
use ledger::{ExchangeId, Receipt, Record};
use phi::Text;
use serde_json::json;
use service::{ExchangeContent, House, Likeness, NotKept, ReadError, Side, Until};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files of a copy that are looked at: with content, one or more for each exchange.
const MAX_FOLDER_FILES: usize = 10_000_000;

/// Folders within folders: a prefix of some, deployment, organisation, `blobs`, exchange.
const MAX_FOLDER_DEPTH: usize = 32;

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
    /// Show where each copy of the configuration is
    Copies(Copies),
    /// Make a bundle of a copy that was downloaded; needs no data directory and no key
    Collect(Collect),
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
    /// Say whether a text is what an exchange wrote or answered, also where the text was not kept; 0 when
    /// it is, 1 when it is not (recorded as a reading)
    Compare(Compare),
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
struct Compare {
    #[command(flatten)]
    data: Data,
    /// A receipt, as in the header x-bulla-receipt, or an exchange, as in x-request-id
    which: String,
    #[command(flatten)]
    text: Presented,
}

/// The text that somebody presents.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Presented {
    /// Compare this file with the prompt: the request's body as written, or as it left
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,
    /// Compare this file with the answer: the document, or the data of a stream's events, one a line
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
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

#[derive(Debug, Args)]
struct Copies {
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Collect {
    /// The folder with the objects of one log, as they lie in the bucket
    folder: PathBuf,
    /// The bundle to write: a tar file that does not exist yet
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
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
            AuditCommand::Copies(copies) => copies.run(environment).await,
            AuditCommand::Collect(collect) => collect.run(),
            AuditCommand::Search(search) => search.run(environment).await,
            AuditCommand::Review(review) => review.run(environment).await,
            AuditCommand::SignOff(sign_off) => sign_off.run(environment).await,
            AuditCommand::Status(status) => status.run(environment).await,
            AuditCommand::Show(show) => show.run(environment).await,
            AuditCommand::Compare(compare) => compare.run(environment).await,
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
        | ReadError::Document { .. }
        | ReadError::Malformed
        | ReadError::Unnamed
        | ReadError::Broken { .. } => Failure::control(&error),
    }
}

impl Export {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let file = new_file(&self.out)?;
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

/// A file that does not exist yet, for its owner alone.
fn new_file(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| Failure {
        code: 2,
        message: format!("cannot write {}: {error}", path.display()),
    })
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

impl Copies {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        for copy in house.copies().await.map_err(|error| Failure::of_house(&error))? {
            let behind = copy.size.saturating_sub(copy.next);
            say(format_args!("{}\tnext {}\tbehind {behind}", copy.id, copy.next))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Collect {
    fn run(self) -> Result<ExitCode, Failure> {
        let files = files(&self.folder).map_err(|error| Failure {
            code: 2,
            message: format!("cannot read {}: {error}", self.folder.display()),
        })?;
        let below = log_folder(&files)?;
        let names: BTreeSet<String> =
            files.iter().filter_map(|name| name.strip_prefix(below)).map(str::to_owned).collect();
        let folder = self.folder.join(below);
        let read = |name: &str| fs::read(folder.join(name));
        let out = BufWriter::new(new_file(&self.out)?);
        let collected = bundle::collect(&names, &read, out).map_err(|error| {
            // Half a bundle is none.
            drop(fs::remove_file(&self.out));
            not_collected(&error)
        })?;
        let path = self.out.display();
        let Collected { records, uncovered, anchors, anchors_left_out } = collected;
        say(format_args!("Wrote {records} records and {anchors} anchors to {path}"))?;
        if uncovered > 0 {
            say(format_args!(
                "Left out {uncovered} newer records: no checkpoint is over them yet"
            ))?;
        }
        if anchors_left_out > 0 {
            say(format_args!("Left out {anchors_left_out} anchors: not whole, or too many"))?;
        }
        say(format_args!("Check it anywhere, offline: bulla-verify {path} --trust KEYS"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn not_collected(error: &CollectError) -> Failure {
    let code = match error {
        CollectError::Gap { .. }
        | CollectError::Overlap { .. }
        | CollectError::NoCheckpoint
        | CollectError::Damaged { .. } => 1,
        CollectError::Empty => 2,
        CollectError::Read { .. } | CollectError::Write(_) => 3,
    };
    Failure { code, message: super::chain(error) }
}

/// The names of the files below a folder. Links are passed over.
fn files(root: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![(String::new(), root.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < MAX_FOLDER_DEPTH {
                folders.push((format!("{name}/"), entry.path(), depth + 1));
            } else if kind.is_file() {
                files.insert(name);
            }
            if files.len() > MAX_FOLDER_FILES {
                return Err(std::io::Error::other("there are more files than a copy has"));
            }
        }
    }
    Ok(files)
}

/// What stands before the names of the objects of the one log that is there.
fn log_folder(files: &BTreeSet<String>) -> Result<&str, Failure> {
    let folder = |name: &'_ str| {
        let at = name.rfind(Chunk::FOLDER)?;
        let (_, rest) = name.split_at_checked(at)?;
        Chunk::of(rest).map(|_| at)
    };
    let folders: BTreeSet<&str> =
        files.iter().filter_map(|name| name.get(..folder(name)?)).collect();
    let mut folders = folders.into_iter();
    match (folders.next(), folders.next()) {
        (None, _) => Err(not_collected(&CollectError::Empty)),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure {
            code: 2,
            message: "there are copies of more than one log in it; name the folder of one".into(),
        }),
    }
}

impl Show {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let exchange = exchange(&self.which, &house).await?;
        let content = house
            .read_content(exchange, operator(environment), "operator")
            .await
            .map_err(failure)?;
        say(document(exchange, &content))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Compare {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let (side, path) = match (&self.text.prompt, &self.text.answer) {
            (Some(path), _) => (Side::Prompt, path),
            (None, Some(path)) => (Side::Answer, path),
            (None, None) => return Ok(ExitCode::from(2)),
        };
        let bytes = fs::read(path).map_err(|error| Failure {
            code: 2,
            message: format!("cannot read {}: {error}", path.display()),
        })?;
        let house = self.data.open(environment).await?;
        let exchange = exchange(&self.which, &house).await?;
        let actor = operator(environment);
        let likeness = house.compare_content(exchange, side, &bytes, actor).await;
        let words = match likeness.map_err(failure)? {
            Likeness::Written => "same: it is what was written",
            Likeness::Left => "same: it is what left",
            Likeness::Delivered => "same: it is what was delivered",
            Likeness::Received => "same: it is what came from the model",
            Likeness::Other => {
                say(format_args!("not the same"))?;
                return Ok(ExitCode::from(1));
            }
        };
        say(format_args!("{words}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The exchange that a receipt or its own name stands for.
async fn exchange(which: &str, house: &House) -> Result<ExchangeId, Failure> {
    if let Ok(exchange) = which.parse() {
        return Ok(exchange);
    }
    let malformed = || Failure {
        code: 2,
        message: "give a receipt (bulla/...#12@...) or an exchange (exc_...)".into(),
    };
    let seq = which.split_once('#').and_then(|(_, rest)| rest.split_once('@'));
    let seq = seq.and_then(|(seq, _)| seq.parse().ok()).ok_or_else(malformed)?;
    let bytes = house.record(seq).await.map_err(failure)?;
    let record = bytes.and_then(|bytes| {
        let receipt = Receipt { log: house.log(), seq, leaf: ledger::tree::leaf_hash(&bytes) };
        // The receipt names its record's hash, so one of another log or another record is told
        // apart here.
        if receipt.to_string() == which { Record::from_bytes(&bytes).ok() } else { None }
    });
    let exchange = record.and_then(|record| Some(record.event.about()?.exchange));
    exchange.ok_or_else(|| Failure {
        code: 2,
        message: "this log has no exchange with that receipt".into(),
    })
}

fn document(exchange: ExchangeId, content: &ExchangeContent) -> serde_json::Value {
    if let Some(NotKept { written, delivered }) = content.digests {
        return json!({
            "exchange": exchange.to_string(),
            "not_kept": "no content of this exchange was kept, only digests: the configuration in force \
                         said so; `bulla audit compare` says whether a text is the same",
            "written_bytes": written,
            "delivered_bytes": delivered,
            "still_phi": false,
        });
    }
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
        "justification": content.justification.as_ref().map(Text::expose),
        "received": received.concat(),
        "delivered": delivered.concat(),
        "still_phi": content.written.as_ref().is_some_and(|written| !written.is_empty()),
    })
}
