//! Values in XML and HTML: FHIR in XML, C-CDA, and the narrative of both.
//!
//! No entity is ever expanded into another, no declaration is read, and nothing is kept but the
//! path to the place that is read.

use super::decode::{self, Escape};
use super::tree::Tree;
use super::{Field, Value, fhir, sure};
use crate::Class;
use crate::detect::label::Labels;

/// Longer tags are text with a stray `<`.
const MAX_TAG: usize = 4096;
/// Deeper elements are read as if they lay at this depth.
const MAX_DEPTH: usize = 128;
/// Cells of one row; a wider table is data of another kind.
const MAX_CELLS: usize = 64;
/// Pieces of text in one cell whose column says what they are.
const MAX_RUNS: usize = 4;

/// Adds the values of the elements and attributes in a text.
pub(super) fn values(text: &str, labels: &Labels, out: &mut Vec<Value>) {
    let mut markup = Markup {
        text,
        labels,
        names: Vec::new(),
        beyond: 0,
        rows: Rows::default(),
        flow: Flow::default(),
        extra: Vec::new(),
        tree: Tree::new(labels, out),
    };
    markup.walk();
    markup.tree.finish();
    let extra = markup.extra;
    out.extend(extra);
}

struct Markup<'a, 'o> {
    text: &'a str,
    labels: &'o Labels,
    names: Vec<&'a str>,
    /// Elements that are open below the deepest name.
    beyond: usize,
    rows: Rows,
    flow: Flow,
    extra: Vec<Value>,
    tree: Tree<'a, 'o>,
}

/// A line of text with tags inside it.
#[derive(Default)]
struct Flow {
    start: usize,
    has_text: bool,
    has_marks: bool,
}

/// The row of a table that is read, and what the columns hold.
#[derive(Default)]
struct Rows {
    columns: Vec<Option<Field>>,
    cells: Vec<Cell>,
    open: bool,
}

#[derive(Default)]
struct Cell {
    head: bool,
    runs: Vec<(usize, usize)>,
}

/// A tag: its ends, its name without the prefix, what it does.
struct Tag<'a> {
    end: usize,
    name: &'a str,
    body: &'a str,
    kind: TagKind,
}

#[derive(PartialEq, Eq)]
enum TagKind {
    Open,
    Close,
    Empty,
}

impl<'a> Markup<'a, '_> {
    fn walk(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
            let open = at + step;
            self.text_run(at, open);
            at = match self.skip(open) {
                Some(end) => {
                    self.end_flow(open, end);
                    end
                }
                None => match self.tag(open) {
                    Some(tag) => self.at_tag(open, &tag),
                    None => open + 1,
                },
            };
        }
        self.text_run(at, bytes.len());
        self.end_flow(bytes.len(), bytes.len());
        self.end_row();
    }

    /// The end of a comment, a declaration or an instruction that begins here.
    fn skip(&self, open: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(open..)?;
        let (from, close): (usize, &[u8]) = if rest.starts_with(b"<!--") {
            (4, b"-->")
        } else if rest.starts_with(b"<?") {
            (2, b"?>")
        } else {
            return None;
        };
        // A comment that never ends ends here: what follows is read as elements.
        let body = rest.get(from..)?;
        let body = body.get(..body.len().min(1 << 16))?;
        Some(
            memchr::memmem::find(body, close)
                .map_or(open + from, |n| open + from + n + close.len()),
        )
    }

    fn tag(&self, open: usize) -> Option<Tag<'a>> {
        let bytes = self.text.as_bytes();
        let rest = bytes.get(open + 1..(open + MAX_TAG).min(bytes.len()))?;
        let closing = rest.first() == Some(&b'/');
        let from = usize::from(closing);
        if !rest.get(from).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') {
            return None;
        }
        let mut quote = 0;
        let close = rest.iter().position(|&b| {
            if quote != 0 {
                if b == quote {
                    quote = 0;
                }
                return false;
            }
            if matches!(b, b'"' | b'\'') {
                quote = b;
            }
            matches!(b, b'>' | b'<')
        })?;
        if rest.get(close) != Some(&b'>') {
            return None;
        }
        let body = self.text.get(open + 1 + from..open + 1 + close)?;
        let name = body
            .split(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '\\'))
            .next()
            .unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default();
        let kind = if closing {
            TagKind::Close
        } else if body.ends_with('/') || is_void(name) {
            TagKind::Empty
        } else {
            TagKind::Open
        };
        Some(Tag { end: open + 2 + close, name, body, kind })
    }

    /// Reads a tag; returns where the text after it begins.
    fn at_tag(&mut self, open: usize, tag: &Tag<'a>) -> usize {
        let end = tag.end;
        if decode::is_inline(tag.name) {
            self.flow.has_marks = true;
        } else {
            self.end_flow(open, end);
        }
        if tag.kind == TagKind::Close {
            self.close(tag.name);
            return end;
        }
        self.row_tag(tag.name);
        self.attributes(tag, open + 1);
        if tag.kind == TagKind::Empty {
            return end;
        }
        let bytes = self.text.as_bytes();
        let next = memchr::memchr(b'<', bytes.get(end..).unwrap_or_default())
            .map_or(bytes.len(), |n| end + n);
        let is_leaf = bytes.get(next + 1).is_none_or(|b| *b == b'/') && !is_prose(tag.name);
        if is_leaf {
            self.element_text(tag.name, end, next);
            // The closing tag is passed with it.
            return match self.tag(next) {
                Some(close) if close.name == tag.name => close.end,
                _ => next,
            };
        }
        self.open(tag.name);
        if is_prose(tag.name) {
            return end;
        }
        self.element_text("", end, next);
        next
    }

    fn open(&mut self, name: &'a str) {
        if self.names.len() >= MAX_DEPTH {
            self.beyond += 1;
            return;
        }
        self.names.push(name);
        self.tree.open(Some(name));
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            self.tree.is_resource(name);
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "tr" | "table" | "thead" => self.end_row(),
            "td" | "th" => self.rows.open = false,
            _ => {}
        }
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        // Elements that were never closed end with the one around them.
        let Some(at) = self.names.iter().rposition(|n| *n == name) else { return };
        while self.names.len() > at {
            self.names.pop();
            self.tree.close();
        }
    }

    /// The text of an element, under its name or under the one that is open.
    fn element_text(&mut self, name: &'a str, start: usize, end: usize) {
        let Some(text) = self.text.get(start..end) else { return };
        let bare = text.trim();
        if bare.is_empty() || name.starts_with('!') {
            return;
        }
        let from = start + (text.len() - text.trim_start().len());
        let to = from + bare.len();
        let own =
            if name.is_empty() { self.names.last().copied().unwrap_or_default() } else { name };
        let above = self.names.len().saturating_sub(usize::from(name.is_empty()));
        let parent = above.checked_sub(1).and_then(|k| self.names.get(k)).copied();
        let field = match own {
            "name" => Some(self.name_of(parent)),
            "addr" => Some(Field::Address),
            "prefix" | "suffix" | "delimiter" => Some(Field::Neutral),
            _ => None,
        };
        match field {
            Some(field) => self.extra.push(Value { start: from, end: to, field }),
            None => {
                self.tree.scalar(Some(own).filter(|_| !name.is_empty()), bare, from, to);
            }
        }
        self.text_run(start, end);
    }

    /// Whose name stands in `<name>`: the element around it tells.
    fn name_of(&self, parent: Option<&str>) -> Field {
        let Some(parent) = parent else { return Field::NameOrPlace };
        let has = |words: &[&str]| {
            let lower = parent.to_ascii_lowercase();
            words.iter().any(|w| lower.contains(w))
        };
        if has(&[
            "organization",
            "custodian",
            "facility",
            "location",
            "place",
            "payer",
            "payor",
            "hospital",
            "clinic",
            "company",
            "employer",
            "pharmacy",
            "site",
        ]) {
            Field::Address
        } else if has(&[
            "person",
            "patient",
            "guardian",
            "subject",
            "contact",
            "practitioner",
            "physician",
            "doctor",
            "nurse",
            "member",
            "subscriber",
            "employee",
            "relative",
        ]) {
            Field::NamePart
        } else if parent == "playingEntity" || parent == "scopingEntity" {
            Field::Place
        } else if has(&["device", "material", "drug", "medication", "product", "code", "test"]) {
            Field::Neutral
        } else {
            let holder = self.labels.of_key(&format!("{parent} name")).map(|l| l.field);
            holder.filter(|f| *f == Field::Neutral).unwrap_or(Field::NameOrPlace)
        }
    }

    #[expect(clippy::match_same_arms, reason = "a line for each attribute is easier to check")]
    fn attributes(&mut self, tag: &Tag<'a>, at: usize) {
        let mut root = "";
        let mut measured = false;
        let mut timed = false;
        for (name, from, to) in Attributes::of(tag.body) {
            let value = tag.body.get(from..to).unwrap_or_default();
            root = if name == "root" { value } else { root };
            measured |= name == "unit";
            timed |= name == "type" && value.ends_with("TS");
        }
        for (name, from, to) in Attributes::of(tag.body) {
            let Some(value) = tag.body.get(from..to).filter(|v| !v.is_empty()) else { continue };
            let (start, end) = (at + from, at + to);
            let field = match (name, tag.name) {
                ("extension", "id" | "setId") => Some(self.id_of(root)),
                ("extension" | "root", "templateId" | "typeId") => Some(Field::Technical),
                ("value", "telecom") => Some(Field::Contact),
                ("value", "reference") if value.starts_with('#') => Some(Field::Technical),
                ("value", name) if measured && !name.is_empty() => Some(Field::Neutral),
                ("value", "value") if timed => Some(Field::Date),
                (
                    "value",
                    "birthTime" | "time" | "low" | "high" | "effectiveTime" | "center"
                    | "deceasedTime" | "signatureTime",
                ) => Some(Field::Date),
                ("value", name) => {
                    self.tree.scalar(Some(name), value, start, end);
                    None
                }
                ("url" | "href" | "src", _) => {
                    if name == "url" {
                        self.tree.note_url(value);
                    }
                    fhir::is_canonical(value).then_some(Field::Technical)
                }
                ("displayName" | "codeSystemName", _) => Some(Field::Neutral),
                (
                    "code" | "codeSystem" | "ID" | "IDREF" | "styleCode" | "classCode" | "moodCode"
                    | "typeCode" | "use" | "nullFlavor" | "mediaType" | "unit" | "class" | "style"
                    | "encoding" | "schemaLocation" | "language" | "lang",
                    _,
                ) => Some(Field::Technical),
                ("root" | "id", _) => None,
                (name, _) if name.starts_with("xmlns") => Some(Field::Technical),
                (name, _) => {
                    // `<patient name="…" dob="…">`
                    let field = self.labels.of_key(name).map(|l| l.field);
                    field.filter(|f| *f != Field::Neutral)
                }
            };
            if let Some(field) = field {
                self.extra.push(Value { start, end, field });
            }
        }
    }

    /// What the extension of a C-CDA `id` is: its root says who assigned it.
    fn id_of(&self, root: &str) -> Field {
        match (fhir::oid_class(root), self.names.last()) {
            (Some(class), _) => Field::Code(class),
            (None, Some(&"patientRole")) => Field::Code(Class::Mrn),
            (None, _) => Field::Id(Class::OtherId),
        }
    }

    /// Notes a piece of text in the row and in the line to which it belongs.
    fn text_run(&mut self, start: usize, end: usize) {
        let Some(text) = self.text.get(start..end).filter(|t| !t.trim().is_empty()) else { return };
        self.flow.has_text = true;
        self.flow.has_marks |= text.contains('&');
        if let Some(cell) = self.rows.cells.last_mut().filter(|_| self.rows.open)
            && cell.runs.len() < MAX_RUNS
        {
            cell.runs.push((start, end));
        }
    }

    /// Ends a line of text at a tag between blocks.
    fn end_flow(&mut self, end: usize, next: usize) {
        let flow = std::mem::replace(&mut self.flow, Flow { start: next, ..Flow::default() });
        if flow.has_text && flow.has_marks && flow.start < end {
            let field = Field::Text(Escape::Markup);
            self.extra.push(Value { start: flow.start, end, field });
        }
    }

    fn row_tag(&mut self, name: &str) {
        match name {
            "table" => {
                self.end_row();
                self.rows.columns.clear();
            }
            "tr" => self.end_row(),
            "td" | "th" | "dt" | "dd" if self.rows.cells.len() < MAX_CELLS => {
                let head = matches!(name, "th" | "dt");
                self.rows.cells.push(Cell { head, runs: Vec::new() });
                self.rows.open = true;
            }
            _ => {}
        }
    }

    /// Reads a row: names of columns, values under them, or a name beside each value.
    fn end_row(&mut self) {
        self.rows.open = false;
        let cells = std::mem::take(&mut self.rows.cells);
        if cells.is_empty() {
            return;
        }
        let label = |cell: &Cell| {
            let (start, end) = *cell.runs.first()?;
            let text = self.text.get(start..end)?.trim().trim_end_matches(':');
            sure(self.labels, text)
        };
        let fields: Vec<Option<Field>> = cells.iter().map(label).collect();
        let known = fields.iter().flatten().count();
        let heads = cells.iter().filter(|c| c.head).count();
        let beside = cells.len() == 2 && heads < 2;
        if heads == cells.len() && !beside
            || self.rows.columns.is_empty()
                && heads == 0
                && known >= 2
                && known * 2 > cells.len()
                && !beside
        {
            self.rows.columns = fields;
            return;
        }
        let under = self.rows.columns.len() == cells.len();
        for (k, cell) in cells.iter().enumerate() {
            let field = if under {
                self.rows.columns.get(k).copied().flatten()
            } else if k % 2 == 1 || heads == 1 && k == 1 {
                fields.get(k - 1).copied().flatten()
            } else {
                None
            };
            let Some(field) = field else { continue };
            for &(start, end) in &cell.runs {
                self.extra.push(Value { start, end, field });
            }
        }
    }
}

/// Elements of HTML that have no end tag.
fn is_void(name: &str) -> bool {
    matches!(name, "br" | "hr" | "img" | "input" | "meta" | "link" | "col" | "wbr")
}

/// Elements of text, whose names say nothing of what stands in them.
fn is_prose(name: &str) -> bool {
    matches!(
        name,
        "td" | "th"
            | "tr"
            | "table"
            | "thead"
            | "tbody"
            | "p"
            | "div"
            | "title"
            | "text"
            | "li"
            | "ul"
            | "ol"
            | "list"
            | "item"
            | "paragraph"
            | "caption"
            | "content"
            | "section"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "pre"
            | "blockquote"
            | "html"
            | "body"
            | "head"
            | "dt"
            | "dd"
            | "dl"
            | "label"
            | "footnote"
            | "component"
            | "structuredBody"
    ) || decode::is_inline(name)
}

/// The attributes of a tag: name, and the ends of the value.
struct Attributes<'a> {
    body: &'a str,
    at: usize,
}

impl<'a> Attributes<'a> {
    fn of(body: &'a str) -> Self {
        Self { body, at: 0 }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.body.get(self.at..)?;
        let equals = self.at + memchr::memchr(b'=', rest.as_bytes())?;
        let name = self.body.get(self.at..equals)?.trim_end();
        let name = name.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let local = if name.starts_with("xmlns") { name } else { name.rsplit(':').next()? };
        let bytes = self.body.as_bytes();
        let mut from = equals + 1;
        while bytes.get(from).is_some_and(|b| b.is_ascii_whitespace() || *b == b'\\') {
            from += 1;
        }
        let quote = *bytes.get(from)?;
        if !matches!(quote, b'"' | b'\'') {
            self.at = from;
            return Some((local, from, from));
        }
        from += 1;
        let close = from + memchr::memchr(quote, bytes.get(from..)?)?;
        self.at = close + 1;
        // In a JSON string the quote is escaped.
        let to =
            close - usize::from(bytes.get(close.wrapping_sub(1)) == Some(&b'\\') && close > from);
        Some((local, from, to))
    }
}
