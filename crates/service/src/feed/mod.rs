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

pub use deliver::FeedView;
pub(crate) use deliver::Feeds;
pub use read::Until;

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
    const fn new(kind: &'static str, title: &'static str, level: Level) -> Self {
        Self { kind, title, level, actor: None }
    }

    const fn by(self, actor: &'a Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }

    fn of(event: &'a Event) -> Self {
        use Level::{Error, Info, Notice, Warning};
        match event {
            Event::LogOpened { .. } => Self::new("log.opened", "The log begins", Notice),
            Event::Intent(intent) => {
                Self::new("exchange.intent", "A prompt is about to leave", Info)
                    .by(&intent.about.actor)
            }
            Event::Outcome(outcome) => {
                let (title, level) = ending(outcome);
                Self::new("exchange.outcome", title, level).by(&outcome.about.actor)
            }
            Event::ConfigurationApplied { actor, .. } => {
                let title = "Governed configuration was replaced";
                Self::new("configuration.applied", title, Notice).by(actor)
            }
            Event::ApiKeyCreated { actor, .. } => {
                Self::new("api_key.created", "An API key was made", Notice).by(actor)
            }
            Event::ApiKeyRevoked { actor, .. } => {
                Self::new("api_key.revoked", "An API key was ended", Notice).by(actor)
            }
            Event::Exported { actor, .. } => {
                Self::new("audit.exported", "The log was exported", Notice).by(actor)
            }
            Event::Streamed { actor, .. } => {
                Self::new("audit.streamed", "Records were read", Notice).by(actor)
            }
            Event::ContentRead { actor, .. } => {
                let title = "Content of an exchange was opened and read";
                Self::new("content.read", title, Notice).by(actor)
            }
            Event::AccessRefused { .. } => {
                Self::new("access.refused", "Requests were refused: nobody authenticated", Warning)
            }
            Event::Started { actor, .. } => {
                Self::new("service.started", "The server began to serve", Notice).by(actor)
            }
            Event::Stopped { actor } => {
                Self::new("service.stopped", "The server ended in good order", Notice).by(actor)
            }
            Event::AgreementExpiring { .. } => {
                Self::new("agreement.expiring", "An agreement or evidence ends soon", Warning)
            }
            Event::Anchored { .. } => {
                Self::new("log.anchored", "An authority stamped the log", Info)
            }
            Event::AnchorFailing { .. } => {
                Self::new("anchor.failing", "Nobody vouches for the log there", Error)
            }
            Event::ClockSkewed { .. } => {
                let title = "The clock of this machine is not that of an authority";
                Self::new("clock.skewed", title, Error)
            }
            Event::FeedFailing { .. } => {
                Self::new("feed.failing", "A feed of the log does not deliver", Error)
            }
            Event::AccessDenied { actor, .. } => {
                let title = "Requests were refused: the key is not for that";
                Self::new("access.denied", title, Warning).by(actor)
            }
            Event::TilesRead { actor, .. } => {
                Self::new("audit.tiles", "The log was read as tiles", Notice).by(actor)
            }
            Event::Searched { actor, .. } => {
                Self::new("audit.searched", "The log was searched", Notice).by(actor)
            }
            Event::Reported { actor, .. } => {
                let title = "A report of activity was made";
                Self::new("activity.reported", title, Notice).by(actor)
            }
            Event::Reviewed { actor, .. } => {
                let title = "A report of activity was reviewed";
                Self::new("activity.reviewed", title, Notice).by(actor)
            }
            Event::ReviewOverdue { .. } => {
                Self::new("review.overdue", "Nobody reviewed the activity in time", Warning)
            }
            Event::Disposed { actor, .. } => {
                let title = "Content was disposed of: its keys are destroyed";
                Self::new("content.disposed", title, Notice).by(actor)
            }
            Event::HoldPlaced { actor, .. } => {
                Self::new("hold.placed", "A hold suspends disposal", Notice).by(actor)
            }
            Event::HoldReleased { actor, .. } => {
                Self::new("hold.released", "A hold ended", Notice).by(actor)
            }
            Event::KeyRotated { actor, .. } => {
                Self::new("key.rotated", "A key that wraps other keys was replaced", Notice)
                    .by(actor)
            }
            Event::Offboarded { actor, .. } => {
                let title = "The organisation left: its keys are destroyed";
                Self::new("tenant.offboarded", title, Warning).by(actor)
            }
        }
    }
}

fn ending(outcome: &Outcome) -> (&'static str, Level) {
    match outcome.outcome.as_str() {
        "answered" => ("An exchange was answered", Level::Info),
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
