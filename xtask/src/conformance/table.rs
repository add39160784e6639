//! The table of what became of each vector: vectors down, dialects across.

use crate::screen::{Screen, Style};
use serde_json::Value;

/// How the columns are headed: short, so that all dialects fit on 80 columns.
const HEADS: [(&str, &str); 8] = [
    ("chat", "chat"),
    ("responses", "resp"),
    ("completions", "cmpl"),
    ("embeddings", "embd"),
    ("messages", "msgs"),
    ("count_tokens", "cnt"),
    ("converse", "conv"),
    ("gemini", "gem"),
];

/// Columns that a dialect takes, with the blanks before it.
const CELL: usize = 6;

/// Faults that are told below the table; the JSON has all.
const TOLD: usize = 40;

/// What became of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Fail,
    Refused,
    Unsupported,
}

impl Verdict {
    fn of(word: &str) -> Option<Self> {
        match word {
            "pass" => Some(Self::Pass),
            "fail" => Some(Self::Fail),
            "refused" => Some(Self::Refused),
            "not supported" => Some(Self::Unsupported),
            _ => None,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Pass => '+',
            Self::Fail => 'X',
            Self::Refused => 'r',
            Self::Unsupported => '.',
        }
    }
}

/// One vector in one dialect.
#[derive(Debug, Clone)]
pub(super) struct Row {
    vector: String,
    dialect: String,
    streamed: bool,
    pub(super) verdict: Verdict,
    why: Vec<String>,
}

impl Row {
    /// Reads a line of the program that runs the vectors.
    pub(super) fn of(line: &Value) -> Option<Self> {
        let text = |name: &str| line.get(name)?.as_str();
        let why = line.get("why")?.as_array()?.iter();
        Some(Self {
            vector: text("vector")?.to_owned(),
            dialect: text("dialect")?.to_owned(),
            streamed: line.get("streamed")?.as_bool()?,
            verdict: Verdict::of(text("verdict")?)?,
            why: why.filter_map(|why| why.as_str().map(str::to_owned)).collect(),
        })
    }
}

/// Prints the table, then why what failed did.
pub(super) fn print(screen: Screen, vectors: &[&str], rows: &[Row]) {
    let names = vectors.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let room = (screen.width().saturating_sub(names) / CELL).max(1);
    let asked: Vec<(&str, &str)> = HEADS
        .into_iter()
        .filter(|(dialect, _)| rows.iter().any(|row| row.dialect == *dialect))
        .collect();
    // What does not fit beside each other comes below each other.
    for heads in asked.chunks(room) {
        println!();
        let head = heads
            .iter()
            .fold(" ".repeat(names), |line, (_, head)| line + &format!("{head:>CELL$}"));
        println!("{}", screen.paint(Style::Heading, &head));
        for vector in vectors {
            let cells: String =
                heads.iter().map(|(dialect, _)| cell(screen, rows, vector, dialect)).collect();
            println!("{}", format!("{vector:<names$}{cells}").trim_end());
        }
    }
    println!();
    screen.say(
        "In each cell the document, then the stream: + holds, X fails, r refused, . not supported",
    );
    for row in rows.iter().filter(|row| row.verdict == Verdict::Fail).take(TOLD) {
        let way = if row.streamed { "streamed" } else { "whole" };
        let title = format!("\n{} {} {way}", row.vector, row.dialect);
        println!("{}", screen.paint(Style::Bad, &title));
        row.why.iter().for_each(|why| screen.say(&format!("  {why}")));
    }
    println!("\n{}", counts(rows));
}

fn cell(screen: Screen, rows: &[Row], vector: &str, dialect: &str) -> String {
    let found = |streamed| {
        rows.iter()
            .find(|row| row.vector == vector && row.dialect == dialect && row.streamed == streamed)
    };
    let mark = |row: Option<&Row>| match row.map(|row| row.verdict) {
        None => " ".to_owned(),
        Some(verdict) => {
            let text = verdict.mark().to_string();
            match verdict {
                Verdict::Pass => screen.paint(Style::Good, &text),
                Verdict::Fail => screen.paint(Style::Bad, &text),
                Verdict::Refused | Verdict::Unsupported => text,
            }
        }
    };
    format!("{}{}{}", " ".repeat(CELL - 2), mark(found(false)), mark(found(true)))
}

fn counts(rows: &[Row]) -> String {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    format!(
        "{} hold, {} fail, {} refused, {} not supported",
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::Refused),
        count(Verdict::Unsupported)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(verdict: &str, streamed: bool) -> Row {
        let line = json!({ "vector": "restore.one", "dialect": "chat", "streamed": streamed,
                           "verdict": verdict, "why": ["because"] });
        Row::of(&line).unwrap()
    }

    #[test]
    fn a_cell_shows_the_document_and_then_the_stream() {
        let rows = [row("pass", false), row("fail", true)];
        let screen = Screen::plain();
        assert_eq!(cell(screen, &rows, "restore.one", "chat"), "    +X");
        assert_eq!(cell(screen, &rows, "restore.one", "gemini"), "      ");
        assert_eq!(counts(&rows), "1 hold, 1 fail, 0 refused, 0 not supported");
    }

    #[test]
    fn what_is_no_row_is_not_read_as_one() {
        assert!(Row::of(&json!({ "id": "restore.one", "title": "One." })).is_none());
        let line = json!({ "vector": "a", "dialect": "chat", "streamed": true, "verdict": "good",
                           "why": [] });
        assert!(Row::of(&line).is_none());
    }
}
