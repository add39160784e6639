//! Names with values beside them in lines of text: `Name ..... Ann Lee`, `?name=Ann&dob=…`,
//! `name: {first: Ann}` in YAML, `INSERT INTO t (name) VALUES ('Ann')`, names of files.

use super::decode::Escape;
use super::{Field, Value, sure};
use crate::Class;
use crate::detect::label::Labels;

/// Longer names are text.
const MAX_NAME: usize = 40;
/// Longer values are text.
const MAX_VALUE: usize = 128;

/// Adds the values that stand beside their names.
pub(super) fn values(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let has = |part: &[u8]| memchr::memmem::find(bytes, part).is_some();
    if has(b"...") || has(b"___") {
        leaders(text, labels, out);
    }
    if memchr::memchr(b'=', bytes).is_some() {
        // The attributes of elements are read with them.
        let markup = has(b"</") || has(b"/>");
        equals(text, labels, markup, out);
    }
    if has(b"VALUES") || has(b"values") || has(b"Values") {
        inserts(text, labels, out);
    }
    if has(b":\n") || has(b":\r\n") {
        yaml(text, labels, out);
    }
    files(text, out);
    homes(text, out);
}

/// `Date of birth ........ 03/14/1962`
fn leaders(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let run = line.find("...").or_else(|| line.find("___"));
        if let Some(at) = run
            && let Some(name) = line.get(..at).map(|n| n.trim().trim_end_matches(':'))
            && name.len() <= MAX_NAME
            && let Some(field) = sure(labels, name)
        {
            let rest = line.get(at..).unwrap_or_default();
            let inner = rest.trim_start_matches(['.', '_', ' ', ':']);
            let from = start + line.len() - inner.len();
            out.push(Value { start: from, end: from + inner.trim_end().len(), field });
        }
        start += line.len();
    }
}

/// `key=value` in a query, a log or a command; `key="a value"`, `key='a value'`.
fn equals(text: &str, labels: &Labels, markup: bool, out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'=', bytes) {
        let quote = bytes.get(at + 1).filter(|b| matches!(b, b'"' | b'\''));
        if markup && quote.is_some() {
            continue;
        }
        let head = bytes.get(at.saturating_sub(MAX_NAME)..at).unwrap_or_default();
        let len = head
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
            .count();
        let Some(field) =
            text.get(at - len..at).filter(|k| !k.is_empty()).and_then(|k| sure(labels, k))
        else {
            continue;
        };
        let from = at + 1 + usize::from(quote.is_some());
        let body = bytes.get(from..(from + MAX_VALUE).min(bytes.len())).unwrap_or_default();
        let end = body.iter().position(|b| match quote {
            Some(q) => b == q || *b == b'\n',
            None => b.is_ascii_whitespace() || b"&;,\"'<>)]}|#".contains(b),
        });
        let Some(len) = end.or((body.len() < MAX_VALUE).then_some(body.len())) else { continue };
        let value = text.get(from..from + len).unwrap_or_default();
        // A name in a query has its spaces escaped, so its words are no words.
        let escaped = value.contains(['%', '+']);
        let named = matches!(field, Field::Name | Field::Person);
        let field = if named && escaped { Field::NamePart } else { field };
        if quote.is_none() && matches!(field, Field::Neutral | Field::Place) {
            continue;
        }
        out.push(Value { start: from, end: from + len, field });
        if escaped && quote.is_some() {
            let field = Field::Text(Escape::Percent);
            out.push(Value { start: from, end: from + len, field });
        }
    }
}

/// `INSERT INTO patients (first_name, dob) VALUES ('Ann', '1962-03-14'), (…)`
fn inserts(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    /// A list of column names that is longer is none.
    const MAX_LIST: usize = 4096;
    let bytes = text.as_bytes();
    let lower =
        |at: usize| bytes.get(at..at + 6).is_some_and(|w| w.eq_ignore_ascii_case(b"values"));
    for at in memchr::memchr2_iter(b'V', b'v', bytes) {
        if !lower(at) {
            continue;
        }
        let before = text.get(..at).unwrap_or_default().trim_end();
        let Some(inner) = before.strip_suffix(')') else { continue };
        let floor = inner.len().saturating_sub(MAX_LIST);
        let Some(open) = inner.as_bytes().get(floor..).and_then(|l| memchr::memrchr(b'(', l))
        else {
            continue;
        };
        let names = inner.get(floor + open + 1..).unwrap_or_default();
        let fields: Vec<Option<Field>> = names
            .split(',')
            .map(|n| {
                sure(labels, n.trim_matches(|c: char| c.is_whitespace() || "\"'`[]".contains(c)))
            })
            .collect();
        if fields.iter().flatten().next().is_some() {
            rows(text, at + 6, &fields, out);
        }
    }
}

/// The rows of values after `VALUES`, to the semicolon.
fn rows(text: &str, start: usize, fields: &[Option<Field>], out: &mut Vec<Value>) {
    let bytes = text.as_bytes();
    let (mut column, mut inside, mut at) = (0, false, start);
    let mut from = start;
    while let Some(b) = bytes.get(at) {
        match b {
            b'\'' if inside => {
                let Some(end) = sql_string(bytes, at + 1) else { return };
                if let Some(field) = fields.get(column).copied().flatten() {
                    out.push(Value { start: at + 1, end, field });
                }
                at = end;
                from = end + 1;
            }
            b'(' if !inside => {
                (inside, column, from) = (true, 0, at + 1);
            }
            b',' | b')' if inside => {
                let bare = text.get(from..at).unwrap_or_default();
                if let Some(field) = fields.get(column).copied().flatten()
                    && bare.bytes().any(|b| b.is_ascii_digit())
                {
                    out.push(Value { start: from, end: at, field });
                }
                column += 1;
                from = at + 1;
                inside = *b == b',';
            }
            b',' | b' ' | b'\n' | b'\r' | b'\t' => {}
            _ if !inside => return,
            _ => {}
        }
        at += 1;
    }
}

/// The place of the quote that ends a string; two quotes are one in the text.
fn sql_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr(b'\'', bytes.get(at..)?)?;
        if bytes.get(at + 1) != Some(&b'\'') {
            return Some(at);
        }
        at += 2;
    }
}

/// Values in YAML that only their holders name: `name:` above `first: Ann`, `patients:` above `- Ann`.
fn yaml(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    /// Deeper levels are not looked at.
    const MAX_DEPTH: usize = 32;
    let mut holders: Vec<(usize, &str)> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let body = line.trim_start_matches([' ', '-']);
        let indent = line.len() - body.len();
        let body = body.trim_end();
        if body.is_empty() || body.len() > 256 {
            continue;
        }
        while holders.last().is_some_and(|h| h.0 >= indent) {
            holders.pop();
        }
        let holder = holders.last().map(|h| h.1);
        let (key, value) = body.split_once(':').map_or(("", body), |(k, v)| (k.trim(), v.trim()));
        if value.is_empty() && key.len() <= MAX_NAME {
            if holders.len() < MAX_DEPTH {
                holders.push((indent, key));
            }
            continue;
        }
        let Some(holder) = holder.filter(|_| key.len() <= MAX_NAME) else { continue };
        let held = sure(labels, holder);
        let field = match (key, held) {
            ("", Some(field)) if line.trim_start().starts_with('-') => Some(field),
            (
                "first" | "last" | "middle" | "given" | "family" | "full" | "surname",
                Some(Field::Name | Field::Person | Field::NamePart),
            ) => Some(Field::NamePart),
            ("line" | "street" | "line1" | "line2" | "city" | "town", Some(Field::Address)) => {
                Some(Field::Address)
            }
            ("state" | "country" | "region" | "province", Some(Field::Address)) => {
                Some(Field::Region)
            }
            ("id" | "number" | "name" | "no", _) => {
                labels.of_key(&format!("{holder} {key}")).map(|l| l.field)
            }
            ("value", held) => held,
            _ => None,
        };
        let Some(field) = field else { continue };
        let inner = value.trim_matches(['"', '\'']);
        let Some(offset) = line.rfind(inner) else { continue };
        out.push(Value { start: at + offset, end: at + offset + inner.len(), field });
    }
}

/// Names of files: what identifies in them is for the word lists to say.
fn files(text: &str, out: &mut Vec<Value>) {
    const ENDINGS: &[&str] = &[
        "pdf", "dcm", "doc", "docx", "txt", "rtf", "jpg", "jpeg", "png", "tif", "tiff", "csv",
        "xls", "xlsx", "xml", "json", "hl7", "zip", "mp4", "wav", "mp3", "heic", "gif", "bmp",
        "eml", "msg", "htm", "html", "nii", "dicom", "odt", "md", "log",
    ];
    /// The longest name of a file on common systems.
    const MAX_FILE: usize = 255;
    let bytes = text.as_bytes();
    let mut after = 0;
    for dot in memchr::memchr_iter(b'.', bytes) {
        let tail = bytes.get(dot + 1..).unwrap_or_default();
        let len = tail.iter().take(6).take_while(|b| b.is_ascii_alphanumeric()).count();
        let end = dot + 1 + len;
        let known = text
            .get(dot + 1..end)
            .is_some_and(|e| ENDINGS.iter().any(|k| k.eq_ignore_ascii_case(e)));
        if !known || dot <= after {
            continue;
        }
        let floor = after.max(dot.saturating_sub(MAX_FILE));
        let head = bytes.get(floor..dot).unwrap_or_default();
        let stop = |b: &u8| b.is_ascii_whitespace() || b"\"'<>()[]{}|,;=:@/\\".contains(b);
        let start = head.iter().rposition(stop).map_or(floor, |n| floor + n + 1);
        if text.is_char_boundary(start) && start < dot {
            out.push(Value { start, end: dot, field: Field::File });
        }
        after = end;
    }
}

/// Folders that bear the name of an account: `C:\\Users\\alee`, `/home/alee`.
fn homes(text: &str, out: &mut Vec<Value>) {
    const HOLDERS: &[&[u8]] = &[b"\\Users\\", b"/Users/", b"/home/"];
    const SHARED: &[&str] =
        &["public", "shared", "default", "all users", "runner", "ubuntu", "user"];
    let bytes = text.as_bytes();
    for holder in HOLDERS {
        for at in memchr::memmem::find_iter(bytes, holder) {
            let from = at + holder.len();
            let rest = bytes.get(from..(from + MAX_NAME).min(bytes.len())).unwrap_or_default();
            let len = rest
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
                .count();
            let name = text.get(from..from + len).unwrap_or_default();
            if len > 1 && !SHARED.iter().any(|s| s.eq_ignore_ascii_case(name)) {
                let field = Field::Code(Class::OtherId);
                out.push(Value { start: from, end: from + len, field });
            }
        }
    }
}
