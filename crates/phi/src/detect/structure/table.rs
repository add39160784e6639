//! Tables in text: a line of column names, then lines of values, with `|`, tabs, `;` or commas.

use super::{Field, Value};
use crate::detect::label::Labels;

/// A line with more columns is data of another kind.
const MAX_COLUMNS: usize = 64;
/// The longest name of a column.
const MAX_NAME: usize = 40;

/// Adds the cells of the tables in a text.
pub(crate) fn values(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut columns: Option<(u8, Vec<Option<Field>>)> = None;
    let mut start = 0;
    for line in text.split('\n') {
        if let Some((mark, fields)) = &columns {
            let cells = cells(line, *mark);
            if cells.len() == fields.len() {
                for ((from, to), field) in cells.iter().zip(fields) {
                    push(line, start, (*from, *to), *field, out);
                }
            } else {
                columns = None;
            }
        }
        if columns.is_none() {
            columns = header(line, labels);
        }
        start += line.len() + 1;
    }
}

fn push(
    line: &str,
    start: usize,
    (from, to): (usize, usize),
    field: Option<Field>,
    out: &mut Vec<Value>,
) {
    let Some(cell) = line.get(from..to) else { return };
    let inner = cell.trim_matches(|c: char| c.is_whitespace() || c == '"');
    let skipped =
        cell.len() - cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"').len();
    let rule = inner.bytes().all(|b| matches!(b, b'-' | b':' | b'='));
    if let Some(field) = field
        && !rule
    {
        let at = start + from + skipped;
        out.push(Value { start: at, end: at + inner.len(), field });
    }
}

/// The separator and the columns of a line that names them: two at least say what stands below.
fn header(line: &str, labels: &Labels) -> Option<(u8, Vec<Option<Field>>)> {
    for mark in [b'|', b'\t', b',', b';'] {
        if memchr::memchr(mark, line.as_bytes()).is_none() {
            continue;
        }
        let cells = cells(line, mark);
        if !(2..=MAX_COLUMNS).contains(&cells.len()) {
            continue;
        }
        let names: Vec<&str> = cells
            .iter()
            .map(|(from, to)| line.get(*from..*to).unwrap_or_default())
            .map(|cell| cell.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '*')))
            .collect();
        let plain = |name: &&str| {
            name.len() <= MAX_NAME && !name.bytes().any(|b| b.is_ascii_digit() || b == b':')
        };
        if !names.iter().all(plain) {
            continue;
        }
        let fields: Vec<Option<Field>> =
            names.iter().map(|n| labels.of_key(n).map(|l| l.field)).collect();
        if fields.iter().flatten().count() >= 2
            && fields.iter().flatten().count() * 2 >= fields.len()
        {
            return Some((mark, fields));
        }
    }
    None
}

/// The ends of the cells of a line; a separator in double quotes is text.
fn cells(line: &str, mark: u8) -> Vec<(usize, usize)> {
    let mut cells = Vec::new();
    let (mut from, mut quoted) = (0, false);
    for (i, b) in line.bytes().enumerate() {
        if b == b'"' {
            quoted = !quoted;
        } else if b == mark && !quoted && cells.len() <= MAX_COLUMNS {
            cells.push((from, i));
            from = i + 1;
        }
    }
    cells.push((from, line.len()));
    cells
}
