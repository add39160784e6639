//! Annotated documents with marks in the text, for people who write them by hand.
//!
//! ```text
//! Lines before the first document are remarks.
//! === discharge-1
//! Seen by Dr. <NAME>Ann Lee</NAME> in <DATE:YEAR>2019</DATE>, <NOT>Foley</NOT> catheter out.
//! ```
//!
//! A mark is a label, with the annotator's finer label after a colon; `NOT` marks a look-alike, `MAY`
//! what no judgement is passed on. Marks do not nest. Any other `<` is text, so XML needs no escapes.

use super::{Document, Labels, Span};
use crate::{Class, Text};

/// Begins a document; its id follows, and ` (partial)` where labels are not exhaustive.
const HEAD: &str = "=== ";

/// What is wrong with a file of marked documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct MarkFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: MarkProblem,
}

/// What can be wrong with a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkProblem {
    /// A mark begins inside another.
    #[error("a mark begins inside another mark")]
    Nested,
    /// A mark ends that did not begin.
    #[error("a mark ends that did not begin")]
    NotOpen,
    /// A mark never ends.
    #[error("a mark does not end before its document does")]
    NotClosed,
    /// A mark holds nothing.
    #[error("a mark holds no text")]
    Empty,
    /// A document has no id.
    #[error("a document has no id")]
    NoId,
}

/// Reads all documents of a file; each is of the given style.
///
/// # Errors
/// [`MarkFault`] at the first mark that is wrong.
pub fn read(style: &str, file: &str) -> Result<Vec<Document>, MarkFault> {
    let mut documents = Vec::new();
    let mut open: Option<Parser> = None;
    for (at, line) in file.split_inclusive('\n').enumerate() {
        let line_number = at + 1;
        let fault = |problem| MarkFault { line: line_number, problem };
        if let Some(head) = line.strip_prefix(HEAD) {
            if let Some(parser) = open.take() {
                documents.push(parser.end().map_err(fault)?);
            }
            open = Some(Parser::new(head.trim(), style).map_err(fault)?);
        } else if let Some(parser) = &mut open {
            parser.line(line).map_err(fault)?;
        }
    }
    if let Some(parser) = open {
        let line = file.lines().count();
        documents.push(parser.end().map_err(|problem| MarkFault { line, problem })?);
    }
    Ok(documents)
}

/// What a mark says of the text inside it.
#[derive(Clone, PartialEq, Eq)]
enum Mark {
    Identifier(Class, Option<String>),
    Not,
    May,
}

struct Parser {
    document: Document,
    text: String,
    open: Option<(Mark, usize)>,
}

impl Parser {
    fn new(head: &str, style: &str) -> Result<Self, MarkProblem> {
        let (id, labels) = match head.strip_suffix("(partial)") {
            Some(id) => (id.trim(), Labels::Partial),
            None => (head, Labels::Exhaustive),
        };
        if id.is_empty() {
            return Err(MarkProblem::NoId);
        }
        let mut document = Document::new(id.to_owned(), Text::default());
        document.style = Some(style.to_owned());
        document.labels = labels;
        Ok(Self { document, text: String::new(), open: None })
    }

    fn line(&mut self, line: &str) -> Result<(), MarkProblem> {
        let mut rest = line;
        while let Some((before, from)) = rest.split_once('<') {
            self.text.push_str(before);
            match tag(from) {
                Some((Tag::Begin(mark), after)) => {
                    if self.open.is_some() {
                        return Err(MarkProblem::Nested);
                    }
                    self.open = Some((mark, self.text.len()));
                    rest = after;
                }
                Some((Tag::End(mark), after)) => {
                    self.close(&mark)?;
                    rest = after;
                }
                None => {
                    self.text.push('<');
                    rest = from;
                }
            }
        }
        self.text.push_str(rest);
        Ok(())
    }

    fn close(&mut self, end: &Mark) -> Result<(), MarkProblem> {
        let (mark, start) = self.open.take().ok_or(MarkProblem::NotOpen)?;
        let place = start..self.text.len();
        if place.is_empty() {
            return Err(MarkProblem::Empty);
        }
        match (mark, end) {
            (Mark::Identifier(class, sub), Mark::Identifier(same, _)) if class == *same => {
                self.document.spans.push(Span { place, class, sub });
            }
            (Mark::Not, Mark::Not) => self.document.negatives.push(place),
            (Mark::May, Mark::May) => self.document.neutral.push(place),
            (Mark::Identifier(..) | Mark::Not | Mark::May, _) => return Err(MarkProblem::NotOpen),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Document, MarkProblem> {
        if self.open.is_some() {
            return Err(MarkProblem::NotClosed);
        }
        // The empty line before the next head belongs to the file, not to the document.
        let kept = self.text.trim_end().len();
        self.text.truncate(kept);
        self.document.text = Text::new(self.text);
        Ok(self.document)
    }
}

enum Tag {
    Begin(Mark),
    End(Mark),
}

/// Reads a tag after its `<`; what is no mark of ours is none.
fn tag(from: &str) -> Option<(Tag, &str)> {
    let (inside, after) = from.split_once('>')?;
    let (ends, inside) = match inside.strip_prefix('/') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let (label, sub) = match inside.split_once(':') {
        Some((label, sub)) => (label, Some(sub.to_owned())),
        None => (inside, None),
    };
    let mark = match label {
        "NOT" => Mark::Not,
        "MAY" => Mark::May,
        label => Mark::Identifier(label.parse().ok()?, sub),
    };
    Some((if ends { Tag::End(mark) } else { Tag::Begin(mark) }, after))
}
