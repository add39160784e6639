//! The log as a SIEM reads it: one record, one line.
//!
//! Writing a line is pure: a record and its leaf hash go in, text comes out ([`jsonl`], [`ocsf`],
//! [`cef`], [`fhir`], and [`syslog`] for the message around it). [`deliver`] carries the lines.
//!
//! A line says what the record says and nothing more, so it holds no PHI: no prompt, no answer, no value
//! that was found. Every line names the log, the position and the leaf hash, so a missing record
//! shows at the receiver, and the receiver's copy is a witness of the log.

mod cef;
mod deliver;
mod fhir;
mod jsonl;
mod ocsf;
mod read;
mod sink;
mod syslog;
#[cfg(test)]
mod tests;
mod webhook;

pub use deliver::PositionView;
pub(crate) use deliver::{Feeds, wait};
pub use read::Until;
pub(crate) use sink::may_go;

use gate::rules::LineFormat;
use ledger::tree::leaf_hash;
use ledger::{
    About, Actor, Disposal, Event, Hash, MalformedRecord, Outcome, Receipt, Record, Unit,
};

/// The version of the program, which lines name as their product's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A record as it stands in the log.
pub(crate) struct Logged {
    record: Record,
    bytes: Vec<u8>,
    leaf: Hash,
}

impl Logged {
    /// Reads a record's bytes.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, MalformedRecord> {
        let record = Record::from_bytes(&bytes)?;
        let leaf = leaf_hash(&bytes);
        Ok(Self { record, bytes, leaf })
    }

    /// The record.
    pub(crate) const fn record(&self) -> &Record {
        &self.record
    }

    /// Where it stands, in one word: log, position and leaf hash.
    fn receipt(&self) -> Receipt {
        Receipt { log: self.record.log, seq: self.record.seq, leaf: self.leaf }
    }

    /// Writes it as one line, without the line feed.
    pub(crate) fn line(&self, format: LineFormat) -> String {
        match format {
            LineFormat::Jsonl => jsonl::line(self),
            LineFormat::Ocsf => ocsf::line(self),
            LineFormat::Cef => cef::line(self),
            LineFormat::Fhir => fhir::line(self),
        }
    }
}

/// Writes the bytes of a record as one line, without the line feed.
///
/// # Errors
/// [`MalformedRecord`] when the bytes are no record.
pub fn write_line(bytes: &[u8], format: LineFormat) -> Result<String, MalformedRecord> {
    Ok(Logged::parse(bytes.to_vec())?.line(format))
}

/// How much a record matters to whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Ordinary work.
    Info,
    /// A change that somebody made, or a reading.
    Notice,
    /// Somebody should look.
    Warning,
    /// A control does not work.
    Error,
}

/// What every format says of a record.
struct Summary<'a> {
    /// The record's own word for it.
    kind: &'static str,
    /// The same for people.
    title: &'static str,
    level: Level,
    /// Who did it, when somebody did.
    actor: Option<&'a Actor>,
}

impl<'a> Summary<'a> {
    fn of(event: &'a Event) -> Self {
        let (title, level) = title_of(event);
        Self { kind: event.kind(), title, level, actor: event.actor() }
    }
}

fn title_of(event: &Event) -> (&'static str, Level) {
    use Level::{Error, Info, Notice, Warning};
    match event {
        Event::LogOpened { .. } => ("The log begins", Notice),
        Event::Intent(intent) if intent.about.alert.is_some() => {
            ("PHI is about to leave where there must be none", Error)
        }
        Event::Intent(_) => ("A prompt is about to leave", Info),
        Event::Outcome(outcome) if outcome.about.alert.is_some() => {
            ("PHI was found where there must be none", Error)
        }
        Event::Outcome(outcome) => ending(outcome),
        Event::ConfigurationApplied { .. } => ("Governed configuration was replaced", Notice),
        Event::ApiKeyCreated { .. } => ("An API key was made", Notice),
        Event::ApiKeyRevoked { .. } => ("An API key was ended", Notice),
        Event::Exported { .. } => ("The log was exported", Notice),
        Event::Streamed { .. } => ("Records were read", Notice),
        Event::ContentRead { .. } => ("Content of an exchange was opened and read", Notice),
        Event::AnswerWithdrawn { .. } => ("An answer is given out no more", Notice),
        Event::AccessRefused { .. } => ("Requests were refused: nobody authenticated", Warning),
        Event::Started { .. } => ("The server began to serve", Notice),
        Event::Stopped { .. } => ("The server ended in good order", Notice),
        Event::AgreementExpiring { .. } => ("An agreement or evidence ends soon", Warning),
        Event::AgreementFiled { .. } => ("The document of an agreement was filed", Notice),
        Event::AgreementRead { .. } => ("The document of an agreement was opened and read", Notice),
        Event::AgreementDisposed { .. } => {
            ("The document of an agreement was disposed of: its key is destroyed", Notice)
        }
        Event::Anchored { .. } => ("An authority stamped the log", Info),
        Event::AnchorFailing { .. } => ("Nobody vouches for the log there", Error),
        Event::ClockSkewed { .. } => {
            ("The clock of this machine is not that of an authority", Error)
        }
        Event::FeedFailing { .. } => ("A feed of the log does not deliver", Error),
        Event::CopyFailing { .. } => ("A copy of the log is not what it must be", Error),
        Event::BatchFile { outcome, .. } => match outcome.as_str() {
            "sent" => ("The file of a batch is about to leave", Info),
            "failing" => ("A destination does not delete the file of a batch", Error),
            _ => ("The file of a batch was deleted at its destination", Notice),
        },
        Event::AccessDenied { .. } => ("Requests were refused: the key is not for that", Warning),
        Event::TilesRead { .. } => ("The log was read as tiles", Notice),
        Event::Searched { .. } => ("The log was searched", Notice),
        Event::Reported { .. } => ("A report of activity was made", Notice),
        Event::Reviewed { .. } => ("A report of activity was reviewed", Notice),
        Event::ReviewOverdue { .. } => ("Nobody reviewed the activity in time", Warning),
        Event::Disposed { .. } => ("Content was disposed of: its keys are destroyed", Notice),
        Event::HoldPlaced { .. } => ("A hold suspends disposal", Notice),
        Event::HoldReleased { .. } => ("A hold ended", Notice),
        Event::KeyRotated { .. } => ("A key that wraps other keys was replaced", Notice),
        Event::Pruned { .. } => {
            ("Records whose time is over were pruned; their hashes stay", Notice)
        }
        Event::Offboarded { .. } => ("The organisation left: its keys are destroyed", Warning),
        Event::SelfTestPassed { .. } => ("Every guard did its work on synthetic identifiers", Info),
        Event::SelfTestFailed { .. } => {
            ("A guard does not do its work; nothing goes through", Error)
        }
        Event::CacheMismatch { .. } => {
            ("A kept answer was found by another than its owner; it was not shown", Error)
        }
    }
}

fn ending(outcome: &Outcome) -> (&'static str, Level) {
    match outcome.outcome.as_str() {
        "answered" => ("An exchange was answered", Level::Info),
        "cached" => ("An exchange was answered with what was kept; nothing left", Level::Info),
        "refused" => ("An exchange was refused by a rule", Level::Warning),
        "failed_closed" => ("An exchange ended because a control failed", Level::Error),
        "upstream_failed" => ("An exchange ended because the model server failed", Level::Warning),
        "caller_gone" => ("An exchange ended because its caller was gone", Level::Info),
        _ => ("An exchange was interrupted", Level::Warning),
    }
}

/// What is disposed of, in the words of the record.
pub(crate) fn scope_of(scope: &Disposal) -> String {
    match scope {
        Disposal::Exchange(exchange) => exchange.to_string(),
        Disposal::Conversation(conversation) => conversation.to_string(),
        Disposal::Before(day) => format!("before {day}"),
    }
}

/// What a hold covers, in the words of the record.
pub(crate) fn held(unit: Option<&Unit>) -> String {
    match unit {
        Some(Unit::Exchange(exchange)) => exchange.to_string(),
        Some(Unit::Conversation(conversation)) => conversation.to_string(),
        None => "everything".to_owned(),
    }
}

/// Whether some hop of the path lies outside the boundary.
fn leaves_the_boundary(about: &About) -> bool {
    about.path.iter().any(|cover| cover.by != ledger::CoverKind::Inside)
}

/// Why a hop is covered, in the record's own word.
const fn covered_by(by: ledger::CoverKind) -> &'static str {
    match by {
        ledger::CoverKind::Inside => "inside",
        ledger::CoverKind::Agreement => "agreement",
        ledger::CoverKind::Evidence => "evidence",
        ledger::CoverKind::NoContent => "no_content",
    }
}
