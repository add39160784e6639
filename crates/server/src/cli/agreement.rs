//! `bulla agreement`.

use super::{Data, Environment, Failure, audit, operator, say};
use clap::{Args, Subcommand};
use ledger::Day;
use service::{AgreementError, Document, Filing, FoundDocument, MAX_DOCUMENT_BYTES, Which};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The document is another than the log says.
const MISMATCH: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct Agreement {
    #[command(subcommand)]
    command: AgreementCommand,
}

#[derive(Debug, Subcommand)]
enum AgreementCommand {
    /// Keep an executed document, sealed; its SHA-256, signatories and day become part of the log
    File(FileDocument),
    /// List the documents that were filed, those too that were disposed of
    List(List),
    /// Compare a document with what the log says was filed: exit code 0 the same, 1 another, 2 none
    Verify(Verify),
    /// Write a document into a file; that it was read is recorded before
    Show(Show),
}

#[derive(Debug, Args)]
struct FileDocument {
    #[command(flatten)]
    data: Data,
    /// The id of an [[agreement]] or [[evidence]] of the configuration in force
    #[arg(value_name = "ID")]
    agreement: String,
    /// The executed document, of at most 16 MiB
    document: PathBuf,
    /// Who signed it; once for each. It becomes part of the log, in the clear
    #[arg(long, value_name = "NAME", required = true)]
    signed_by: Vec<String>,
    /// The day on which the last of them signed: 2026-01-05
    #[arg(long, value_name = "DAY", value_parser = day)]
    signed_on: Day,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    data: Data,
    /// The id of the agreement or evidence
    #[arg(value_name = "ID")]
    agreement: String,
    /// Somebody's copy of the document, instead of the one that is stored
    file: Option<PathBuf>,
    /// The document whose record is at this position, instead of the one that was filed last
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    data: Data,
    /// The id of the agreement or evidence
    #[arg(value_name = "ID")]
    agreement: String,
    /// The file to write, which does not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The document whose record is at this position, instead of the one that was filed last
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
}

fn day(text: &str) -> Result<Day, String> {
    text.parse().map_err(|_| "a day is 2026-01-05".to_owned())
}

fn which(at: Option<u64>) -> Which {
    at.map_or(Which::Newest, Which::At)
}

fn failure(error: AgreementError) -> Failure {
    match error {
        AgreementError::Read(error) => audit::failure(error),
        // The answer is no.
        AgreementError::Unproved { .. } => Failure { code: MISMATCH, message: error.to_string() },
        AgreementError::Unknown { .. }
        | AgreementError::Signatories
        | AgreementError::NotYetSigned
        | AgreementError::Empty
        | AgreementError::TooLarge
        | AgreementError::OtherDocument { .. }
        | AgreementError::NotFiled
        | AgreementError::Disposed { .. } => Failure::usage(&error),
    }
}

/// A document of at most the size that is filed.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure {
        code: 2,
        message: format!("cannot read {}: {error}", path.display()),
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let limit = MAX_DOCUMENT_BYTES as u64;
    if length > limit {
        return Err(failure(AgreementError::TooLarge));
    }
    // One byte more than may be shows a file that grew.
    let mut document = Vec::new();
    file.take(limit + 1).read_to_end(&mut document).map_err(failed)?;
    Ok(document)
}

impl Agreement {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        match self.command {
            AgreementCommand::File(file) => file.run(environment).await,
            AgreementCommand::List(list) => list.run(environment).await,
            AgreementCommand::Verify(verify) => verify.run(environment).await,
            AgreementCommand::Show(show) => show.run(environment).await,
        }
    }
}

impl FileDocument {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let document = read(&self.document)?;
        let house = self.data.open(environment).await?;
        let filing = Filing {
            agreement: self.agreement,
            document,
            signatories: self.signed_by,
            signed: self.signed_on,
        };
        let filed = house.file_agreement(filing, operator(environment)).await.map_err(failure)?;
        say("Filed, sealed under a key of its own.")?;
        say(format_args!("SHA-256 {}", filed.sha256))?;
        say(format_args!("Recorded at {}", filed.receipt))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let filed = house.filed_agreements().await.map_err(failure)?;
        if filed.is_empty() {
            say("No document was filed.")?;
        }
        for document in filed {
            let state = if document.kept { "kept" } else { "disposed of" };
            say(format_args!(
                "{}\t#{}\tsigned {} by {}\t{} bytes\t{}\t{state}",
                document.agreement,
                document.receipt.seq,
                document.signed,
                document.signatories.join(", "),
                document.size,
                document.sha256,
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let given = self.file.as_deref().map(read).transpose()?;
        let document = given.as_ref().map_or(Document::Stored, |bytes| Document::Given(bytes));
        let house = self.data.open(environment).await?;
        let checked = house.verify_agreement(&self.agreement, which(self.at), document).await;
        let checked = checked.map_err(failure)?;
        let recorded = &checked.recorded;
        let (word, code) = if checked.holds() {
            ("OK", ExitCode::SUCCESS)
        } else {
            ("MISMATCH", ExitCode::from(MISMATCH))
        };
        say(format_args!("{word}  {}", recorded.agreement))?;
        say(format_args!("  recorded  {}", recorded.sha256))?;
        match checked.found {
            FoundDocument::Digest(found) => say(format_args!("  found     {found}"))?,
            FoundDocument::Unopened => say(
                "  found     no document: the sealed bytes do not open, so they are not those that were filed",
            )?,
        }
        say(format_args!(
            "  signed    {} by {}",
            recorded.signed,
            recorded.signatories.join(", ")
        ))?;
        say(format_args!("  record    {}", recorded.receipt))?;
        say("  The record is under the last checkpoint that the log's key signed.")?;
        Ok(code)
    }
}

impl Show {
    async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let failed = |error: std::io::Error| Failure {
            code: 2,
            message: format!("cannot write {}: {error}", self.out.display()),
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let mut file = file.map_err(failed)?;
        let actor = operator(environment);
        let read = house.read_agreement(&self.agreement, which(self.at), actor).await;
        let written = match read.map_err(failure) {
            Ok(document) => file.write_all(&document).map_err(failed),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = written {
            // An empty file must not pass for the document.
            let _removed = std::fs::remove_file(&self.out).is_ok();
            return Err(failure);
        }
        say(format_args!("Wrote the document to {}", self.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
