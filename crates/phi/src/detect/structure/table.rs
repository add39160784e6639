//! Tables in text: a line of column names, then lines of values.
//!
//! Columns are parted by `|`, tabs, `;` or commas, or stand below their names; cells may be quoted
//! and hold separators and line breaks (RFC 4180). A form of two columns, or of pairs of them, has
//! the name beside each value.

use super::{Field, Value, sure};
use crate::Class;
use crate::detect::label::Labels;

/// A line with more columns is data of another kind.
const MAX_COLUMNS: usize = 256;
/// The longest name of a column.
const MAX_NAME: usize = 40;
/// A quoted cell that is longer was never closed.
const MAX_QUOTED: usize = 1 << 14;

/// Adds the cells of the tables in a text.
pub(super) fn values(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut columns: Option<Columns> = None;
    let mut start = 0;
    while start < text.len() {
        let end = line_end(text, start);
        let line = text.get(start..end).unwrap_or_default();
        let mut next = end + 1;
        columns = match columns.take() {
            Some(Columns::Parted { mark, fields }) => {
                let (cells, after) = record(text, start, mark);
                if cells.len() == fields.len() {
                    for (cell, field) in cells.iter().zip(&fields) {
                        push(text, *cell, *field, out);
                    }
                    next = after;
                    Some(Columns::Parted { mark, fields })
                } else {
                    None
                }
            }
            Some(Columns::Spaced(heads)) if !line.trim().is_empty() => {
                row(text, start, line, &heads, out);
                Some(Columns::Spaced(heads))
            }
            Some(Columns::Spaced(_)) | None => None,
        };
        if columns.is_none() && next == end + 1 {
            columns = header(text, start, line, labels);
            if columns.is_none() {
                pairs(text, start, line, labels, out);
            }
        }
        start = next;
    }
}

/// What the lines below a header hold.
enum Columns {
    /// Parted by a mark.
    Parted { mark: u8, fields: Vec<Option<Field>> },
    /// Parted by spaces: where each column begins, in characters.
    Spaced(Vec<(usize, Option<Field>)>),
}

fn line_end(text: &str, start: usize) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    start + memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

fn push(text: &str, (from, to): (usize, usize), field: Option<Field>, out: &mut Vec<Value>) {
    let Some(cell) = text.get(from..to) else { return };
    let mark = |c: char| c.is_whitespace() || matches!(c, '"' | '*');
    let inner = cell.trim_matches(mark);
    let skipped = cell.len() - cell.trim_start_matches(mark).len();
    let rule = inner.bytes().all(|b| matches!(b, b'-' | b':' | b'=' | b'+'));
    if let Some(field) = field
        && !rule
    {
        let at = from + skipped;
        out.push(Value { start: at, end: at + inner.len(), field });
    }
}

/// The columns of a line that names them: two at least say what stands below.
fn header(text: &str, start: usize, line: &str, labels: &Labels) -> Option<Columns> {
    for mark in [b'|', b'\t', b',', b';'] {
        if memchr::memchr(mark, line.as_bytes()).is_none() {
            continue;
        }
        let (cells, after) = record(text, start, mark);
        let names: Option<Vec<&str>> =
            cells.iter().map(|(from, to)| name_of(text.get(*from..*to)?)).collect();
        let Some(names) = names.filter(|n| (2..=MAX_COLUMNS).contains(&n.len())) else { continue };
        let fields = fields(&names, labels);
        let known = fields.iter().flatten().count();
        // Of many columns a few are enough when the next line has as many cells.
        let regular = || fields.len() >= 4 && record(text, after, mark).0.len() == fields.len();
        if known >= 2 && (known * 2 >= fields.len() || regular()) {
            return Some(Columns::Parted { mark, fields });
        }
    }
    spaced_header(line, labels)
}

/// The name of a column, if it can be one.
fn name_of(cell: &str) -> Option<&str> {
    let name =
        cell.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '*' | '`' | '\''));
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let plain = name.len() <= MAX_NAME && digits <= 2 && !name.contains(':');
    let lettered = digits == 0 || name.starts_with(|c: char| c.is_alphabetic());
    (plain && lettered).then_some(name)
}

/// What the columns hold; a state is a part of an address where the table has one.
fn fields(names: &[&str], labels: &Labels) -> Vec<Option<Field>> {
    let mut fields: Vec<Option<Field>> = names.iter().map(|n| sure(labels, n)).collect();
    if fields.iter().flatten().any(|f| matches!(f, Field::Address | Field::Zip)) {
        for field in fields.iter_mut().flatten().filter(|f| **f == Field::State) {
            *field = Field::Region;
        }
    }
    // A number of what the table lists identifies when it lists people.
    if fields.iter().flatten().any(|f| matches!(f, Field::NamePart | Field::Name | Field::Person)) {
        for (field, name) in fields.iter_mut().zip(names) {
            if field.is_none() && matches!(*name, "id" | "ID" | "Id" | "pid" | "PID") {
                *field = Some(Field::Id(Class::OtherId));
            }
        }
    }
    fields
}

fn spaced_header(line: &str, labels: &Labels) -> Option<Columns> {
    /// A longer line of column names is none.
    const MAX_LINE: usize = 400;
    if line.len() > MAX_LINE || !line.contains("  ") {
        return None;
    }
    let cells = spaced(line);
    let names: Option<Vec<&str>> =
        cells.iter().map(|(_, from, to)| name_of(line.get(*from..*to)?)).collect();
    let names = names.filter(|n| n.len() >= 2)?;
    let fields = fields(&names, labels);
    let known = fields.iter().flatten().count();
    (known >= 2 && known * 2 >= fields.len())
        .then(|| Columns::Spaced(cells.iter().map(|c| c.0).zip(fields).collect()))
}

/// The cells of a line that two spaces part: column in characters, and the ends in bytes.
fn spaced(line: &str) -> Vec<(usize, usize, usize)> {
    let mut cells: Vec<(usize, usize, usize)> = Vec::new();
    let mut spaces = 2;
    for (column, (at, c)) in line.char_indices().enumerate() {
        if c == ' ' || c == '\r' {
            spaces += 1;
            continue;
        }
        let end = at + c.len_utf8();
        if let Some(cell) = cells.last_mut().filter(|_| spaces < 2) {
            cell.2 = end;
        } else if cells.len() < MAX_COLUMNS {
            cells.push((column, at, end));
        } else {
            break;
        }
        spaces = 0;
    }
    cells
}

/// A line below names that stand in columns.
fn row(
    text: &str,
    start: usize,
    line: &str,
    heads: &[(usize, Option<Field>)],
    out: &mut Vec<Value>,
) {
    let cells = spaced(line);
    let same = cells.len() == heads.len();
    for (k, (column, from, to)) in cells.iter().enumerate() {
        // A cell belongs to the last column that begins no later; numbers may stand a little left.
        let under = heads.iter().rposition(|h| h.0 <= column + 1).unwrap_or(0);
        let head = heads.get(if same { k } else { under });
        push(text, (start + from, start + to), head.and_then(|h| h.1), out);
    }
}

/// A form: the name beside each value.
fn pairs(text: &str, start: usize, line: &str, labels: &Labels, out: &mut Vec<Value>) {
    let bytes = line.as_bytes();
    let Some(mark) = [b'|', b'\t'].into_iter().find(|m| memchr::memchr(*m, bytes).is_some()) else {
        return;
    };
    let (cells, _) = record(text, start, mark);
    let cells: Vec<(usize, usize)> = cells
        .into_iter()
        .filter(|(from, to)| text.get(*from..*to).is_some_and(|c| !c.trim().is_empty()))
        .collect();
    if cells.len() % 2 == 1 || cells.len() > 8 {
        return;
    }
    for pair in cells.chunks(2) {
        let [(from, to), value] = pair else { return };
        let name = text.get(*from..*to).and_then(|c| name_of(c.trim().trim_end_matches(':')));
        let field = name.and_then(|n| sure(labels, n));
        let is_name = text
            .get(value.0..value.1)
            .and_then(name_of)
            .is_some_and(|n| labels.of_key(n).is_some());
        if !is_name {
            push(text, *value, field, out);
        }
    }
}

/// The ends of the cells of the record that begins at `start`, and where the next one begins.
fn record(text: &str, start: usize, mark: u8) -> (Vec<(usize, usize)>, usize) {
    let bytes = text.as_bytes();
    let mut cells = Vec::new();
    let mut from = start;
    let mut at = start;
    loop {
        let blank = |b: Option<&u8>| b.is_some_and(|b| *b == b' ');
        if at == from {
            while blank(bytes.get(at)) {
                at += 1;
            }
            if bytes.get(at) == Some(&b'"')
                && let Some(close) = quoted(bytes, at + 1)
            {
                at = close;
            }
        }
        let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(mark, b'\n', rest)) else {
            cells.push((from, bytes.len()));
            return (cells, bytes.len());
        };
        at += step;
        cells.push((from, at));
        at += 1;
        if bytes.get(at - 1) == Some(&b'\n') || cells.len() > MAX_COLUMNS {
            return (
                cells,
                if bytes.get(at - 1) == Some(&b'\n') { at } else { line_end(text, at) + 1 },
            );
        }
        from = at;
    }
}

/// The byte after the quote that closes a cell; two quotes are one in the text.
fn quoted(bytes: &[u8], start: usize) -> Option<usize> {
    let body = bytes.get(start..(start + MAX_QUOTED).min(bytes.len()))?;
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', body.get(at..)?)? + 1;
        if body.get(at) != Some(&b'"') {
            return Some(start + at);
        }
        at += 1;
    }
}
