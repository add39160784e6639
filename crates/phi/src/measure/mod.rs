//! How well identifiers are found: gold spans against findings.
//!
//! It knows nothing of how findings come about, so the same scorer judges this detector and any other.
//! What it counts:
//!
//! | word | meaning |
//! |---|---|
//! | full | every letter and digit of a gold span is covered by findings, of whatever class |
//! | touched | at least one is |
//! | same class | at least one is, by a finding of the span's own class |
//! | leaked | the share of the letters and digits of gold spans that is not covered |
//! | precision | the share of findings that touch a gold span |
//! | over-redaction | words outside gold spans that findings cover, for each 1,000 words |
//! | negatives touched | the share of marked look-alikes (an eponym, a device) that findings touch |
//!
//! What is *neutral* is neither: a title beside a name, and whatever a [`Policy`] leaves out. A finding
//! on neutral text is neither right nor wrong.
//!
//! Recall and leaks are measured on every document, the rest only where labels are exhaustive.

mod annotated;
mod kind;
mod marked;
mod report;
mod score;
mod table;
#[cfg(test)]
mod tests;

pub use annotated::{Fault, Problem, read as read_jsonl, read_line as read_jsonl_line};
pub use kind::{Kind, Policy};
pub use marked::{MarkFault, MarkProblem, read as read_marked};
pub use report::{Estimate, Line, Report, Settings};
pub use score::{Counts, Mistakes, Scope, Tally, mistakes, score};
pub use table::{Detail, Table};

use crate::{Class, Text};
use std::ops::Range;

/// One labelled identifier, by its place in the UTF-8 text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it stands, in bytes, on character boundaries; never empty.
    pub place: Range<usize>,
    /// What it is.
    pub class: Class,
    /// The annotator's finer label, where there is one: `AGE_GE90`, `YEAR`, `PID-5.1`.
    pub sub: Option<String>,
}

/// Whether every identifier of a document is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// What is not labelled is no identifier.
    Exhaustive,
    /// The labels are right, but there may be more identifiers: recall can be measured, not precision.
    Partial,
}

/// One annotated document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name in reports; by default the number of its line.
    pub id: String,
    /// The style under which it is reported: `dialogue`, `hl7`.
    pub style: Option<String>,
    /// The half of its corpus, where the corpus has halves: `test`.
    pub split: Option<String>,
    /// The text.
    pub text: Text,
    /// The identifiers in it.
    pub spans: Vec<Span>,
    /// Look-alikes that are no identifiers, each by its place in bytes.
    pub negatives: Vec<Range<usize>>,
    /// What no judgement is passed on, by its place in bytes.
    pub neutral: Vec<Range<usize>>,
    /// The whole document is a look-alike: its author put nothing in that should be found.
    pub decoy: bool,
    /// Whether all identifiers are labelled.
    pub labels: Labels,
}

impl Document {
    /// A document without labels.
    #[must_use]
    pub fn new(id: String, text: Text) -> Self {
        Self {
            id,
            style: None,
            split: None,
            text,
            spans: Vec::new(),
            negatives: Vec::new(),
            neutral: Vec::new(),
            decoy: false,
            labels: Labels::Exhaustive,
        }
    }
}
