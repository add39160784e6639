//! Annotated documents as JSON, one on a line (docs/annotation.md).
//!
//! Offsets count Unicode code points, as Python does. An error names a line, a span and what is wrong
//! with it, and never holds a word of the text.

use super::{Document, Labels, Span};
use crate::{Class, Text};
use serde_json::Value;
use std::ops::Range;

/// What is wrong with a line of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a line. Spans are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It does not parse.
    #[error("it is not JSON from column {column} on; each line holds one whole object")]
    NotJson {
        /// The column, from 1.
        column: usize,
    },
    /// It parses, to something else.
    #[error("it is not an object with a member \"text\" that is a string")]
    NoText,
    /// A list that is no list.
    #[error("\"{member}\" is not a list of objects")]
    NoList {
        /// The member.
        member: &'static str,
    },
    /// An offset is missing or no number.
    #[error("{member} {number}: \"start\" and \"end\" must be whole numbers from 0")]
    NoOffsets {
        /// The list it is in.
        member: &'static str,
        /// Its number in the list, from 1.
        number: usize,
    },
    /// The span is empty or turned round.
    #[error("{member} {number}: start {start} is not before end {end}")]
    Empty {
        /// The list it is in.
        member: &'static str,
        /// Its number in the list, from 1.
        number: usize,
        /// The first offset.
        start: u64,
        /// The second offset.
        end: u64,
    },
    /// The span ends after the text.
    #[error("{member} {number}: end {end} lies behind the text, which has {characters} characters")]
    Outside {
        /// The list it is in.
        member: &'static str,
        /// Its number in the list, from 1.
        number: usize,
        /// The second offset.
        end: u64,
        /// Code points of the text.
        characters: usize,
    },
    /// The label is none of ours.
    #[error("spans {number}: \"label\" is none of the labels of docs/annotation.md")]
    UnknownLabel {
        /// Its number in the list, from 1.
        number: usize,
    },
    /// The span repeats its text, and something else stands at its place.
    #[error("spans {number}: its \"text\" is not what stands at its offsets{hint}")]
    OtherText {
        /// Its number in the list, from 1.
        number: usize,
        /// What the offsets count instead of code points, if that can be told.
        hint: &'static str,
    },
}

/// Reads all lines; empty ones are skipped.
///
/// # Errors
/// [`Fault`] at the first line that is not an annotated document.
pub fn read(text: &str) -> Result<Vec<Document>, Fault> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| read_line(line, at + 1))
        .collect()
}

/// Reads one line, whose number is for messages and for documents without an `id`.
///
/// # Errors
/// [`Fault`] when the line is not an annotated document.
pub fn read_line(line: &str, number: usize) -> Result<Document, Fault> {
    document(line, number).map_err(|problem| Fault { line: number, problem })
}

fn document(line: &str, number: usize) -> Result<Document, Problem> {
    let row: Value = serde_json::from_str(line)
        .map_err(|error| Problem::NotJson { column: error.column().max(1) })?;
    let text = row.get("text").and_then(Value::as_str).ok_or(Problem::NoText)?;
    let word = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let id = word("id").unwrap_or_else(|| format!("line {number}"));
    let mut document = Document::new(id, Text::from(text));
    document.style = word("style");
    document.split = word("split");
    if row.get("complete").and_then(Value::as_bool) == Some(false) {
        document.labels = Labels::Partial;
    }
    let meta = row.get("meta").and_then(|meta| meta.get("hard_negative"));
    document.decoy = meta.and_then(Value::as_bool) == Some(true);
    let places = Places::of(text);
    for (at, span) in list(&row, "spans")?.iter().enumerate() {
        document.spans.push(labelled(span, at + 1, text, &places)?);
    }
    for (member, to) in [("negatives", true), ("neutral", false)] {
        for (at, span) in list(&row, member)?.iter().enumerate() {
            let place = places.range(span, member, at + 1)?;
            if to { &mut document.negatives } else { &mut document.neutral }.push(place);
        }
    }
    Ok(document)
}

fn list<'a>(row: &'a Value, member: &'static str) -> Result<&'a [Value], Problem> {
    match row.get(member) {
        // A line without identifiers may leave its list out.
        None | Some(Value::Null) => Ok(&[]),
        Some(value) => value.as_array().map(Vec::as_slice).ok_or(Problem::NoList { member }),
    }
}

fn labelled(span: &Value, number: usize, text: &str, places: &Places) -> Result<Span, Problem> {
    let place = places.range(span, "spans", number)?;
    let class: Class = span
        .get("label")
        .and_then(Value::as_str)
        .and_then(|label| label.parse().ok())
        .ok_or(Problem::UnknownLabel { number })?;
    if let Some(said) = span.get("text").and_then(Value::as_str)
        && text.get(place.clone()) != Some(said)
    {
        return Err(Problem::OtherText { number, hint: hint(span, text, said) });
    }
    let sub = span.get("sub").and_then(Value::as_str).map(str::to_owned);
    Ok(Span { place, class, sub })
}

/// Tells the two usual mistakes of whoever writes offsets.
fn hint(span: &Value, text: &str, said: &str) -> &'static str {
    let offset = |key: &str| {
        span.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    };
    let (start, end) = (offset("start"), offset("end"));
    if text.get(start..end) == Some(said) {
        return "; they count bytes, and must count code points";
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let there = units.get(start..end).map(String::from_utf16);
    if there.is_some_and(|there| there.is_ok_and(|there| there == said)) {
        return "; they count UTF-16 units, and must count code points";
    }
    ""
}

/// The byte at which each code point begins, and the end.
struct Places(Vec<usize>);

impl Places {
    fn of(text: &str) -> Self {
        Self(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    fn range(
        &self,
        span: &Value,
        member: &'static str,
        number: usize,
    ) -> Result<Range<usize>, Problem> {
        let offset = |key: &str| {
            span.get(key).and_then(Value::as_u64).ok_or(Problem::NoOffsets { member, number })
        };
        let (start, end) = (offset("start")?, offset("end")?);
        if start >= end {
            return Err(Problem::Empty { member, number, start, end });
        }
        let at = |n: u64| usize::try_from(n).ok().and_then(|n| self.0.get(n).copied());
        let (Some(from), Some(to)) = (at(start), at(end)) else {
            let characters = self.0.len() - 1;
            return Err(Problem::Outside { member, number, end, characters });
        };
        Ok(from..to)
    }
}
