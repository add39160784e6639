//! What a request may hold, as a table, and the walk that takes its text out.
//!
//! A field that is not in the table is refused, because a field that nobody scans is a way out
//! (peers lose identifiers through tool arguments and pass-through fields exactly so).

use gate::prompt::Parts;
use gate::shape::{Json, Key, Shape, Word};
use gate::terms::Capability;
use phi::Text;
use serde_json::Number;
use std::collections::BTreeSet;

/// The largest weight: temperatures, penalties and biases lie within 100.
pub(crate) const MAX_RATIO: f64 = 1000.0;

/// The request is not in the dialect, or holds a field that is not scanned.
///
/// It names the place in the dialect's own words and never repeats what the caller sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A field that this dialect defines but Bulla does not carry.
    #[error("the field \"{field}\" in {place} is not supported")]
    KnownField {
        /// Where.
        place: &'static str,
        /// The field, in the dialect's words.
        field: &'static str,
        /// What it asks of the vendor.
        asks: Option<Capability>,
    },
    /// A field that is in no table. Its name is the caller's text, so it is not repeated.
    #[error("{place} has a field that Bulla does not know and therefore does not pass on")]
    UnknownField {
        /// Where.
        place: &'static str,
    },
    /// A value of the wrong kind.
    #[error("the value at {place} is not what the dialect allows there")]
    WrongValue {
        /// Where.
        place: &'static str,
    },
    /// A method that the protocol defines but Bulla does not carry.
    #[error("the method \"{method}\" is not carried")]
    KnownMethod {
        /// The method.
        method: &'static str,
    },
    /// A method that is in no list. Its name is the caller's text, so it is not repeated.
    #[error("the method is not one that Bulla knows, and is not passed on")]
    UnknownMethod,
    /// A required field is absent.
    #[error("the field \"{field}\" is required")]
    Missing {
        /// The field.
        field: &'static str,
    },
}

impl Unsupported {
    /// Whether this is about content that cannot be carried, rather than about a malformed request.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        matches!(
            self,
            Self::KnownField { .. }
                | Self::UnknownField { .. }
                | Self::KnownMethod { .. }
                | Self::UnknownMethod
        )
    }

    /// What was asked and is not carried, in one word for the record.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::KnownField { asks, .. } => asks.map(Capability::as_str),
            Self::KnownMethod { .. } | Self::UnknownMethod => Some("method_not_carried"),
            Self::UnknownField { .. } | Self::WrongValue { .. } | Self::Missing { .. } => None,
        }
    }
}

/// What one value may be.
#[derive(Debug)]
pub(crate) enum Rule {
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number from -1 (which stands for "no limit") to this. It is not scanned, so it has at
    /// most seven digits, fewer than a number that identifies a person.
    Count(u64),
    /// A number between -1000 and 1000: a temperature, a penalty. It is not scanned.
    Ratio,
    /// Any number: scanned as text.
    AnyNumber,
    /// `true` or `false`.
    Bool,
    /// `false`. What `true` would ask for is not carried by Bulla.
    False,
    /// The model's name.
    Model,
    /// Text: scanned.
    Content,
    /// Text that a model signed, or its signature: scanned, and otherwise left as it is.
    Signed,
    /// Any JSON, of the caller's own form: everything in it is scanned.
    Tree,
    /// A string that holds a JSON document: everything in it is scanned. If it is not JSON, it is
    /// scanned as text.
    Arguments,
    /// An object with these fields.
    Object(&'static str, &'static [Field]),
    /// A list of these.
    List(&'static Rule),
    /// The first of these whose kind of JSON value fits.
    Either(&'static [Rule]),
    /// An object whose fields depend on its member `type`; the variant without a name is for objects
    /// that have none. Then the kinds that the dialect defines and Bulla does not carry.
    Tagged(&'static str, &'static [(&'static str, &'static [Field])], &'static [Kind]),
    /// Vocabulary numbers to biases.
    LogitBias,
    /// Defined by the dialect, not carried by Bulla.
    Refused,
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Where it stands, in the dialect's words, for records and errors.
    pub(crate) place: &'static str,
    pub(crate) rule: Rule,
    pub(crate) asks: Option<Asks>,
}

/// What a field asks of a vendor beside a plain answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    pub(crate) capability: Capability,
    /// The words with which it asks for nothing.
    unless: &'static [&'static str],
}

pub(crate) const fn field(name: &'static str, place: &'static str, rule: Rule) -> Field {
    Field { name, place, rule, asks: None }
}

impl Field {
    /// The same, and it asks for this, unless it is null, `false`, 0 or empty.
    pub(crate) const fn asks(self, capability: Capability) -> Self {
        self.asks_unless(capability, &[])
    }

    /// The same, and with these words it asks for nothing either.
    pub(crate) const fn asks_unless(
        self,
        capability: Capability,
        unless: &'static [&'static str],
    ) -> Self {
        Self { asks: Some(Asks { capability, unless }), ..self }
    }
}

/// A kind of object that is refused by its name: also with a version or a suffix behind it, apart by
/// an underscore, as vendors name their tools (`web_search_20250305`).
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) asks: Capability,
}

pub(crate) const fn kind(name: &'static str, asks: Capability) -> Kind {
    Kind { name, asks }
}

impl Kind {
    fn is(&self, tag: &str) -> bool {
        tag.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

/// No model reads or writes more tokens at once; seven digits.
pub(crate) const MAX_TOKENS: u64 = 9_999_999;

/// Walks `json` by `rule`, moving its text into `parts`.
pub(crate) fn walk(
    json: Json,
    rule: &Rule,
    place: &'static str,
    parts: &mut Parts,
) -> Result<Shape, Unsupported> {
    let wrong = Unsupported::WrongValue { place };
    match (rule, json) {
        (Rule::Tree, json) => Ok(parts.take_all(place, None, json)),
        (_, Json::Null) => Ok(Shape::Null),
        (Rule::OneOf(words), Json::Text(text)) => words
            .iter()
            .find(|word| **word == text.expose())
            .and_then(|word| Word::parse(word))
            .map(Shape::Word)
            .ok_or(wrong),
        (Rule::Count(most), Json::Number(number)) => {
            let fits = number.as_i64() == Some(-1) || number.as_u64().is_some_and(|n| n <= *most);
            if fits { Ok(Shape::Number(number)) } else { Err(wrong) }
        }
        (Rule::Ratio, Json::Number(number)) if is_ratio(&number) => Ok(Shape::Number(number)),
        (Rule::AnyNumber, Json::Number(number)) => {
            Ok(parts.take_all(place, None, Json::Number(number)))
        }
        (Rule::Bool, Json::Bool(value)) => Ok(Shape::Bool(value)),
        (Rule::False, Json::Bool(false)) => Ok(Shape::Bool(false)),
        (Rule::Model, Json::Text(_)) => Ok(Shape::Model),
        (Rule::Content, Json::Text(text)) => Ok(Shape::Part(parts.take(place, None, text))),
        (Rule::Signed, Json::Text(text)) => Ok(Shape::Part(parts.take_signed(place, text))),
        (Rule::Arguments, Json::Text(text)) => Ok(arguments(text, place, parts)),
        (Rule::Object(place, fields), Json::Map(members)) => object(members, fields, place, parts),
        (Rule::List(item), Json::List(items)) => items
            .into_iter()
            .map(|json| walk(json, item, place, parts))
            .collect::<Result<_, _>>()
            .map(Shape::List),
        (Rule::Either(rules), json) => match rules.iter().find(|rule| fits(rule, &json)) {
            Some(rule) => walk(json, rule, place, parts),
            None => Err(wrong),
        },
        (Rule::Tagged(place, variants, others), Json::Map(members)) => {
            let tag = members.iter().find(|(name, _)| name.expose() == "type");
            let tag = tag.and_then(|(_, value)| value.as_text()).map(Text::expose);
            let tag = tag.unwrap_or_default();
            match variants.iter().find(|(name, _)| *name == tag) {
                Some((_, fields)) => object(members, fields, place, parts),
                None => Err(match others.iter().find(|kind| kind.is(tag)) {
                    Some(kind) => {
                        let asks = Some(kind.asks);
                        Unsupported::KnownField { place, field: kind.name, asks }
                    }
                    None => Unsupported::WrongValue { place },
                }),
            }
        }
        (Rule::LogitBias, Json::Map(members)) => logit_bias(members, place),
        _ => Err(wrong),
    }
}

/// What a request of this shape asks for beside a plain answer, by the table of its interface.
pub(crate) fn asked(shape: &Shape, rule: &Rule) -> BTreeSet<Capability> {
    let mut capabilities = BTreeSet::new();
    collect(shape, rule, &mut capabilities);
    capabilities
}

fn collect(shape: &Shape, rule: &Rule, into: &mut BTreeSet<Capability>) {
    match (rule, shape) {
        (Rule::Object(_, fields), Shape::Map(_)) => collect_members(shape, fields, into),
        (Rule::Tagged(_, variants, _), Shape::Map(_)) => {
            let tag = shape.member("type").and_then(Shape::word).unwrap_or_default();
            if let Some((_, fields)) = variants.iter().find(|(name, _)| *name == tag) {
                collect_members(shape, fields, into);
            }
        }
        (Rule::List(item), Shape::List(shapes)) => {
            for shape in shapes {
                collect(shape, item, into);
            }
        }
        (Rule::Either(rules), Shape::Map(_) | Shape::List(_)) => {
            let fits = |rule: &&Rule| {
                let of_lists = matches!(rule, Rule::List(_)) && shape.is_list();
                of_lists || matches!(rule, Rule::Object(..) | Rule::Tagged(..)) && shape.is_map()
            };
            if let Some(rule) = rules.iter().find(fits) {
                collect(shape, rule, into);
            }
        }
        _ => {}
    }
}

fn collect_members(shape: &Shape, fields: &[Field], into: &mut BTreeSet<Capability>) {
    for (key, value) in shape.members() {
        let Key::Word(name) = key else { continue };
        let Some(field) = fields.iter().find(|field| field.name == name.as_str()) else { continue };
        if let Some(asks) = field.asks.filter(|asks| says(value, asks.unless)) {
            into.insert(asks.capability);
        }
        collect(value, &field.rule, into);
    }
}

/// Whether a value asks for what its field stands for.
fn says(value: &Shape, unless: &[&str]) -> bool {
    match value {
        Shape::Null => false,
        Shape::Bool(value) => *value,
        Shape::Number(number) => number.as_f64() != Some(0.0),
        Shape::Word(word) => !unless.contains(&word.as_str()),
        Shape::List(items) => !items.is_empty(),
        Shape::Map(members) => !members.is_empty(),
        Shape::Model
        | Shape::Part(_)
        | Shape::NumberPart(_)
        | Shape::Ordinal
        | Shape::Embedded(_) => true,
    }
}

/// The same with the members that protobuf's own names stand for under the names of the table:
/// `thinking_budget` for `thinkingBudget`. Google's servers take both, and its clients write both.
pub(crate) fn in_camel_case(json: Json, rule: &Rule) -> Json {
    match (rule, json) {
        (Rule::Object(_, fields), Json::Map(members)) => {
            let mut renamed: Vec<(Text, Json)> = Vec::with_capacity(members.len());
            let written: Vec<String> =
                members.iter().map(|(name, _)| name.expose().to_owned()).collect();
            for (name, value) in members {
                let named = |field: &&Field| {
                    field.name == name.expose()
                        // Who writes both names is refused, because one of them stays unknown.
                        || (snake_case(field.name) == name.expose()
                            && !written.iter().any(|other| other == field.name))
                };
                match fields.iter().find(named) {
                    Some(field) => {
                        renamed.push((Text::from(field.name), in_camel_case(value, &field.rule)));
                    }
                    None => renamed.push((name, value)),
                }
            }
            Json::Map(renamed)
        }
        (Rule::List(item), Json::List(items)) => {
            Json::List(items.into_iter().map(|json| in_camel_case(json, item)).collect())
        }
        (Rule::Either(rules), json) => match rules.iter().find(|rule| fits(rule, &json)) {
            Some(rule) => in_camel_case(json, rule),
            None => json,
        },
        (_, json) => json,
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Whether a number is one that weighs and cannot identify. Four digits before the point are too few
/// for an identifier; its fraction is whatever a computation left there.
fn is_ratio(number: &Number) -> bool {
    number.as_f64().is_some_and(|value| value.abs() <= MAX_RATIO)
}

/// Whether `rule` is meant for this kind of JSON value.
const fn fits(rule: &Rule, json: &Json) -> bool {
    matches!(
        (rule, json),
        (Rule::Content | Rule::Signed | Rule::OneOf(_) | Rule::Arguments, Json::Text(_))
            | (Rule::List(_), Json::List(_))
            | (Rule::Object(..) | Rule::Tagged(..), Json::Map(_))
    )
}

fn object(
    members: Vec<(Text, Json)>,
    fields: &'static [Field],
    place: &'static str,
    parts: &mut Parts,
) -> Result<Shape, Unsupported> {
    let mut shape = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Some(field) = fields.iter().find(|field| field.name == name.expose()) else {
            return Err(Unsupported::UnknownField { place });
        };
        let asks = field.asks.map(|asks| asks.capability);
        match (&field.rule, &value) {
            // Present but empty carries nothing: SDKs send back what they got.
            (Rule::Refused, Json::Null) => continue,
            (Rule::Refused, _) | (Rule::False, Json::Bool(true)) => {
                return Err(Unsupported::KnownField { place, field: field.name, asks });
            }
            _ => {}
        }
        let Some(key) = Word::parse(field.name) else {
            return Err(Unsupported::UnknownField { place });
        };
        shape.push((Key::Word(key), walk(value, &field.rule, field.place, parts)?));
    }
    Ok(Shape::Map(shape))
}

fn arguments(text: Text, place: &'static str, parts: &mut Parts) -> Shape {
    match Json::parse(text.expose().as_bytes()) {
        Ok(json) => Shape::Embedded(Box::new(parts.take_all(place, None, json))),
        Err(_) => Shape::Part(parts.take(place, None, text)),
    }
}

fn logit_bias(members: Vec<(Text, Json)>, place: &'static str) -> Result<Shape, Unsupported> {
    /// Vocabularies have less than ten million entries; longer digits could be an identifier.
    const MAX_DIGITS: usize = 7;
    members
        .into_iter()
        .map(|(name, value)| {
            let digits = name.expose();
            let short = digits.len() <= MAX_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
            match (Word::parse(digits), value) {
                (Some(word), Json::Number(number)) if short && is_ratio(&number) => {
                    Ok((Key::Word(word), Shape::Number(number)))
                }
                _ => Err(Unsupported::WrongValue { place }),
            }
        })
        .collect::<Result<_, _>>()
        .map(Shape::Map)
}

#[cfg(test)]
mod tests;
