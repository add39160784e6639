//! Named values in a tree of named objects: what JSON and XML have in common.
//!
//! The tree itself is never kept: only the path to the place that is read, and in each object on
//! it what its members said of each other so far. A member may come before the one that explains
//! it (`value` before `system`), so such a value is settled when its object ends.

use super::{Field, Value, dicom, fhir, sure};
use crate::Class;
use crate::detect::label::Labels;

/// Deeper levels are read as if they lay at this depth; their keys still count.
const MAX_DEPTH: usize = 64;
/// Values of one object that wait for another member of it. A real object has three at most.
const MAX_WAITING: usize = 8;

/// An object or array that is open.
#[derive(Default)]
struct Frame<'a> {
    key: Option<&'a str>,
    /// What `system` or `type.coding.code` said of the identifier in this object.
    hint: Option<Class>,
    /// What `system` said of the contact in this object.
    contact: Option<Field>,
    /// `resourceType`, or the name of the element.
    resource: Option<&'a str>,
    /// The end of `url`, which names the value of an extension.
    extension: Option<&'a str>,
    /// The target of `reference`.
    reference: Option<&'a str>,
    is_reference: bool,
    /// Some member is a street, a town or a postal code.
    is_address: bool,
    waiting: Vec<(Wait, usize)>,
}

/// Why a value waits for the end of its object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Identifier,
    Contact,
    State,
    Display,
    Name,
    ResourceId,
}

/// Where a tree is read.
pub(super) struct Path<'a> {
    beyond: usize,
    frames: Vec<Frame<'a>>,
}

/// Reads named values.
pub(super) struct Tree<'a, 'o> {
    pub(super) labels: &'o Labels,
    pub(super) out: &'o mut Vec<Value>,
    frames: Vec<Frame<'a>>,
    /// Objects that are open below the deepest frame.
    beyond: usize,
    next_extension: Option<&'a str>,
}

impl<'a, 'o> Tree<'a, 'o> {
    pub(super) fn new(labels: &'o Labels, out: &'o mut Vec<Value>) -> Self {
        Self { labels, out, frames: Vec::new(), beyond: 0, next_extension: None }
    }

    pub(super) fn open(&mut self, key: Option<&'a str>) {
        if self.frames.len() < MAX_DEPTH {
            let extension = self.next_extension.take();
            self.frames.push(Frame { key, extension, ..Frame::default() });
        } else {
            self.beyond += 1;
        }
    }

    /// Takes the path away while something else is read.
    pub(super) fn set_aside(&mut self) -> Path<'a> {
        Path { beyond: std::mem::take(&mut self.beyond), frames: std::mem::take(&mut self.frames) }
    }

    /// Goes back to the path that was set aside.
    pub(super) fn put_back(&mut self, path: Path<'a>) {
        self.finish();
        self.beyond = path.beyond;
        self.frames = path.frames;
    }

    pub(super) fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        let Some(closed) = self.frames.pop() else { return };
        self.settle(&closed);
        let Some(parent) = self.frames.last_mut() else { return };
        let is_type = matches!(closed.key, Some("type" | "coding"))
            || closed.key.is_none() && parent.key == Some("coding");
        if is_type {
            parent.hint = parent.hint.or(closed.hint);
        }
    }

    /// Ends what is still open, as at the end of a text that was cut off.
    pub(super) fn finish(&mut self) {
        self.beyond = 0;
        while !self.frames.is_empty() {
            self.close();
        }
    }

    /// Notes the attribute that names the value of an extension in XML; the element is the next
    /// that is opened.
    pub(super) fn note_url(&mut self, url: &'a str) {
        self.next_extension = url.rsplit(['/', '#']).next();
    }

    fn settle(&mut self, closed: &Frame<'a>) {
        let path = |skip: usize| self.frames.iter().rev().filter_map(|f| f.key).nth(skip);
        let parent = closed.key.or_else(|| path(0));
        let resource = closed.resource.or_else(|| self.resource());
        for &(wait, at) in &closed.waiting {
            let field = match wait {
                Wait::Identifier => Some(Field::Id(
                    closed.hint.or_else(|| resource.and_then(fhir::of_resource)).unwrap_or(
                        if path(usize::from(closed.key.is_none())) == Some("qualification") {
                            Class::License
                        } else {
                            Class::OtherId
                        },
                    ),
                )),
                Wait::Contact => Some(closed.contact.unwrap_or(Field::Contact)),
                Wait::State if closed.is_address || parent.is_some_and(is_address) => {
                    Some(Field::Region)
                }
                Wait::State => None,
                Wait::Display if closed.is_reference => {
                    let target = closed.reference.and_then(fhir::target);
                    let contained = closed.reference.is_some_and(|r| r.starts_with('#'));
                    let unknown = if contained { Field::Neutral } else { Field::NameOrPlace };
                    Some(match target {
                        Some(target) => fhir::display_of(target).unwrap_or(Field::Neutral),
                        None => parent.and_then(fhir::reference).unwrap_or(unknown),
                    })
                }
                Wait::Display => parent.and_then(fhir::reference),
                Wait::Name => closed.resource.and_then(fhir::name_of),
                Wait::ResourceId => closed.resource.map(|_| Field::Id(Class::OtherId)),
            };
            if let (Some(field), Some(value)) = (field, self.out.get_mut(at)) {
                value.field = field;
            }
        }
    }

    fn resource(&self) -> Option<&'a str> {
        self.frames.iter().rev().find_map(|f| f.resource)
    }

    /// Reads `key: text`, where the text lies at `start..end`.
    pub(super) fn scalar(&mut self, key: Option<&'a str>, text: &'a str, start: usize, end: usize) {
        self.note(key, text);
        let (name, parent, grand) = {
            let mut above = self.frames.iter().rev().filter_map(|f| f.key);
            let Some(name) = key.or_else(|| above.next()) else { return };
            let parent = above.find(|k| *k != name);
            (name, parent, above.next())
        };
        let wait = self.wait(name, parent, key.is_some());
        let field = match wait {
            Some(Wait::Identifier) => Some(Field::Id(Class::OtherId)),
            Some(Wait::Contact) => Some(Field::Contact),
            Some(Wait::State) => Some(Field::State),
            Some(Wait::Display) => Some(Field::Neutral),
            Some(Wait::ResourceId | Wait::Name) => {
                Some(self.field(name, parent, grand, text).unwrap_or(Field::Unknown))
            }
            None => self.field(name, parent, grand, text),
        };
        let Some(field) = field.filter(|_| start < end) else { return };
        if let Some(frame) = self.frames.last_mut() {
            frame.is_address |= matches!(field, Field::Address | Field::Zip);
            if let Some(wait) = wait
                && frame.waiting.len() < MAX_WAITING
            {
                frame.waiting.push((wait, self.out.len()));
            }
        }
        self.out.push(Value { start, end, field });
    }

    /// Notes what a member says of the others.
    fn note(&mut self, key: Option<&'a str>, text: &'a str) {
        let Some(frame) = self.frames.last_mut() else { return };
        match key {
            Some("system" | "code") => {
                frame.hint = frame
                    .hint
                    .or_else(|| fhir::type_code(text))
                    .or_else(|| if key == Some("system") { fhir::system(text) } else { None });
                frame.contact = match text {
                    "phone" | "sms" | "pager" => Some(Field::Phone),
                    "fax" => Some(Field::Fax),
                    _ => frame.contact,
                };
            }
            Some("resourceType") => frame.resource = Some(text),
            Some("url") => frame.extension = text.rsplit(['/', '#']).next(),
            Some("reference") => {
                frame.reference = Some(text);
                frame.is_reference = true;
            }
            _ => {}
        }
    }

    /// Notes the name of an element as the type of a resource.
    pub(super) fn is_resource(&mut self, name: &'a str) {
        if let Some(frame) = self.frames.last_mut() {
            frame.resource = Some(name);
        }
    }

    fn wait(&self, name: &str, parent: Option<&str>, own: bool) -> Option<Wait> {
        let ends = |parent: &str, word: &str| {
            parent.len() >= word.len()
                && parent
                    .get(parent.len() - word.len()..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(word))
        };
        match (name, parent) {
            ("value", Some(p)) if ends(p, "identifier") => Some(Wait::Identifier),
            ("value", Some(p)) if ends(p, "telecom") || ends(p, "contactPoint") => {
                Some(Wait::Contact)
            }
            ("display", _) => Some(Wait::Display),
            ("id", _) if own => Some(Wait::ResourceId),
            ("name", _) if own => Some(Wait::Name),
            _ => {
                let state = self.labels.of_key(name).is_some_and(|l| l.field == Field::State);
                state.then_some(Wait::State)
            }
        }
    }

    fn of(&self, key: &str) -> Option<Field> {
        self.labels.of_key(key).map(|l| l.field)
    }

    fn field(
        &self,
        name: &str,
        parent: Option<&str>,
        grand: Option<&str>,
        text: &str,
    ) -> Option<Field> {
        if matches!(name, "Value" | "Alphabetic" | "Ideographic" | "Phonetic")
            && let Some(tag) =
                self.frames.iter().rev().filter_map(|f| f.key).find_map(dicom::tag_of_key)
        {
            return dicom::field(tag, "");
        }
        if fhir::is_prose(name, parent) {
            return None;
        }
        if let Some(field) = fhir::member(name, parent, text).or_else(|| self.part(name, parent?)) {
            return Some(field);
        }
        if name.starts_with("value")
            && name != "value"
            && let Some(extension) = self.frames.last().and_then(|f| f.extension)
        {
            let field = self.of(extension);
            return if field == Some(Field::Name) { Some(Field::NamePart) } else { field };
        }
        self.held(name, parent, grand).or_else(|| match sure(self.labels, name) {
            None if is_time_key(name) => Some(Field::Date),
            field => field,
        })
    }

    /// A part of a name or of an address: `{"name": {"first": …}}`.
    fn part(&self, name: &str, parent: &str) -> Option<Field> {
        let person = || {
            matches!(self.of(parent), Some(Field::Name | Field::NamePart))
                || parent.ends_with("Name")
        };
        match name {
            "first" | "last" | "middle" | "given" | "family" | "full" | "surname" | "maiden"
            | "formatted" | "legal" | "preferred" | "nick"
                if person() =>
            {
                Some(Field::NamePart)
            }
            "line" | "text" | "full" | "formatted" | "street" | "street1" | "street2" | "line1"
            | "line2" | "town" | "village" | "suburb" | "unit" | "apt" | "district"
                if is_address(parent) =>
            {
                Some(Field::Address)
            }
            _ => None,
        }
    }

    /// A member whose name means something only together with its holder's:
    /// `{"phone": {"number": …}}`, `{"patient": {"id": …}}`, `{"drug": {"name": …}}`.
    fn held(&self, name: &str, parent: Option<&str>, grand: Option<&str>) -> Option<Field> {
        /// Longer keys are text.
        const MAX_KEY: usize = 40;
        let parent = parent.filter(|p| p.len() < MAX_KEY)?;
        let holder = parent.strip_suffix('s').unwrap_or(parent);
        match name {
            "value" | "text" | "content" | "#text" | "_text" | "$" => {
                Some(self.of(parent).filter(|f| *f != Field::Neutral).unwrap_or(Field::Unknown))
            }
            "name" => {
                let found = self.of(&format!("{holder} name"));
                let neutral = grand.is_some_and(|g| self.of(g) == Some(Field::Neutral));
                match (self.of(holder), found) {
                    (Some(Field::Place | Field::Address | Field::State), _) => Some(Field::Address),
                    (_, Some(Field::Name)) if neutral => Some(Field::Neutral),
                    (_, found) => found,
                }
            }
            "id" | "number" | "no" | "date" | "address" | "title" | "start" | "end" => {
                self.of(&format!("{holder} {name}"))
            }
            _ => None,
        }
    }
}

fn is_address(key: &str) -> bool {
    let key = key.trim_end_matches(|c: char| c.is_ascii_digit());
    ["address", "addr", "addresses", "residence"].iter().any(|word| {
        key.len() >= word.len()
            && key.get(key.len() - word.len()..).is_some_and(|e| e.eq_ignore_ascii_case(word))
    })
}

/// `collectedDateTime`, `sampled_at`, `reviewedOn`.
fn is_time_key(name: &str) -> bool {
    [
        "Date",
        "DateTime",
        "_date",
        "_at",
        "_on",
        "Instant",
        "_dt",
        "_time",
        "Timestamp",
        "_ts",
        "Period",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}
