//! The words of the governed file, each parsed once: ids, names of things, titles and days.
//!
//! No error of this module holds the text that it refuses: somebody may have pasted a secret or a
//! patient's name into the wrong field, and the error goes to a terminal and to a log.

use ledger::Time;
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest id in bytes: as long as one label of a host name (RFC 1035 section 2.3.4).
const SLUG_BYTES: usize = 63;

/// Longest name of a model, service, tier, API, region or modality in bytes: the longest model ids
/// in use (cloud resource names) stay below it.
const NAME_BYTES: usize = 256;

/// Longest title or note in bytes: a paragraph. Longer text belongs into the agreement itself.
const TITLE_BYTES: usize = 1000;

/// The text is not of the form that the field asks for. Says the form, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{form}")]
pub struct Malformed {
    form: &'static str,
}

impl Malformed {
    pub(crate) const fn new(form: &'static str) -> Self {
        Self { form }
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $check:ident, $form:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                if $check(text) { Ok(Self(text.into())) } else { Err(Malformed::new($form)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }
    )*};
}

words! {
    /// The id of an object in the governed file.
    Slug, is_slug,
    "an id is 1 to 63 characters: lower-case letters, digits and hyphens, and does not begin with a hyphen";
    /// The name of a model, service, API, region or modality, as its vendor writes it.
    Name, is_name,
    "a name is 1 to 256 characters: letters, digits and . _ - : / @ +";
    /// A line of free text: a legal entity, a title, a note.
    Title, is_title,
    "a text is 1 to 1000 bytes, without line breaks or other control characters, and does not begin or end with a space";
}

fn is_slug(text: &str) -> bool {
    (1..=SLUG_BYTES).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/@+".contains(&b))
}

fn is_title(text: &str) -> bool {
    (1..=TITLE_BYTES).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// A calendar day, `YYYY-MM-DD`. It begins at 00:00 UTC, wherever the parties are: one rule for
/// everybody, and the same one in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    date: jiff::civil::Date,
    start: Time,
}

impl Day {
    /// Its first moment, midnight UTC.
    #[must_use]
    pub const fn start(self) -> Time {
        self.start
    }
}

impl FromStr for Day {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("a date is written YYYY-MM-DD");
        // jiff reads more forms than one (a time after the date, a sign before the year).
        if text.len() != "YYYY-MM-DD".len() {
            return Err(malformed);
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| malformed)?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| malformed)?;
        Ok(Self { date, start: Time::from_micros(midnight.timestamp().as_microsecond()) })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.date, f)
    }
}

/// What is wrong with one field of one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: &'static str,
    pub(crate) problem: String,
}

impl Fault {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Parses the text of `field`.
pub(crate) fn word<T: FromStr<Err = Malformed>>(
    field: &'static str,
    text: &str,
) -> Result<T, Fault> {
    text.parse().map_err(|malformed: Malformed| Fault::new(field, malformed.to_string()))
}

/// Parses the text of `field` when there is one.
pub(crate) fn optional<T: FromStr<Err = Malformed>>(
    field: &'static str,
    text: Option<&String>,
) -> Result<Option<T>, Fault> {
    text.map(|text| word(field, text)).transpose()
}

/// Parses the items of `field`, in order, and refuses one that stands there twice.
pub(crate) fn words<T: FromStr<Err = Malformed> + PartialEq>(
    field: &'static str,
    texts: &[String],
) -> Result<Vec<T>, Fault> {
    let mut parsed = Vec::with_capacity(texts.len());
    for text in texts {
        let item = word(field, text)?;
        if parsed.contains(&item) {
            return Err(Fault::new(field, "names the same item twice; remove one"));
        }
        parsed.push(item);
    }
    Ok(parsed)
}

/// Parses the date of `field`, written with or without quotes.
pub(crate) fn day(field: &'static str, value: &toml::Value) -> Result<Day, Fault> {
    match value {
        toml::Value::String(text) => word(field, text),
        toml::Value::Datetime(stamp) => word(field, &stamp.to_string()),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => Err(Fault::new(field, "a date is written YYYY-MM-DD")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Name, Slug, Title};
    use std::str::FromStr;

    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "refused: {text:?}");
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "accepted: {text:?}");
        }
    }

    #[test]
    fn only_the_written_forms_are_read() {
        check::<Slug>(
            &["a", "9", "baa-example-2026", "a-", &"a".repeat(63)],
            &["", "-a", "A", "a_b", "a.b", "a b", "ä", "a\n", &"a".repeat(64)],
        );
        check::<Name>(
            &["chat.completions", "meta-llama/Llama-3.1-8B:q4@1+x_y", &"a".repeat(256)],
            &["", "a b", "\"", "\\", "*", "`", "é", "a\0", &"a".repeat(257)],
        );
        check::<Title>(
            &["Lakeside Family Clinic (synthetic)", "é"],
            &["", " ", " a", "a ", "a\nb", "a\u{7f}", &"a".repeat(1001)],
        );
        check::<Day>(
            &["2026-10-01", "2028-02-29", "0000-01-01"],
            &["", "2026-13-01", "2026-02-29", "26-10-01", "2026-10-1", "20261001", "2026-10-01T00"],
        );
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        let day: Day = "2026-10-01".parse().unwrap();
        assert_eq!(day.start().to_string(), "2026-10-01T00:00:00.000000Z");
        assert_eq!(day.to_string(), "2026-10-01");
    }
}
