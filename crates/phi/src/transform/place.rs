//! Places, taken apart: what is smaller than a state, the state, the ZIP code.

/// The states, the district and the territories, with their postal codes.
const STATES: [(&str, &str); 56] = [
    ("AL", "Alabama"),
    ("AK", "Alaska"),
    ("AZ", "Arizona"),
    ("AR", "Arkansas"),
    ("CA", "California"),
    ("CO", "Colorado"),
    ("CT", "Connecticut"),
    ("DE", "Delaware"),
    ("DC", "District of Columbia"),
    ("FL", "Florida"),
    ("GA", "Georgia"),
    ("HI", "Hawaii"),
    ("ID", "Idaho"),
    ("IL", "Illinois"),
    ("IN", "Indiana"),
    ("IA", "Iowa"),
    ("KS", "Kansas"),
    ("KY", "Kentucky"),
    ("LA", "Louisiana"),
    ("ME", "Maine"),
    ("MD", "Maryland"),
    ("MA", "Massachusetts"),
    ("MI", "Michigan"),
    ("MN", "Minnesota"),
    ("MS", "Mississippi"),
    ("MO", "Missouri"),
    ("MT", "Montana"),
    ("NE", "Nebraska"),
    ("NV", "Nevada"),
    ("NH", "New Hampshire"),
    ("NJ", "New Jersey"),
    ("NM", "New Mexico"),
    ("NY", "New York"),
    ("NC", "North Carolina"),
    ("ND", "North Dakota"),
    ("OH", "Ohio"),
    ("OK", "Oklahoma"),
    ("OR", "Oregon"),
    ("PA", "Pennsylvania"),
    ("RI", "Rhode Island"),
    ("SC", "South Carolina"),
    ("SD", "South Dakota"),
    ("TN", "Tennessee"),
    ("TX", "Texas"),
    ("UT", "Utah"),
    ("VT", "Vermont"),
    ("VA", "Virginia"),
    ("WA", "Washington"),
    ("WV", "West Virginia"),
    ("WI", "Wisconsin"),
    ("WY", "Wyoming"),
    ("AS", "American Samoa"),
    ("GU", "Guam"),
    ("MP", "Northern Mariana Islands"),
    ("PR", "Puerto Rico"),
    ("VI", "Virgin Islands"),
];

/// A place in three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail<'t> {
    /// What is smaller than a state; without the marks before the state.
    pub(crate) head: &'t str,
    /// A state, as written.
    pub(crate) state: Option<&'t str>,
    /// A ZIP code, of five or nine digits.
    pub(crate) zip: Option<&'t str>,
}

/// Takes a place apart. A state or a ZIP code is taken for one only where nothing else can be meant:
/// `Washington` alone is a city, `Route 62704` a road.
pub(crate) fn tail<'t>(value: &'t str, recogniser: &str) -> Tail<'t> {
    let whole = trimmed(value);
    let body = country(whole);
    let (before_zip, zip) = match last_word(body) {
        (rest, word) if is_zip(word) => (trimmed(rest), Some(word)),
        _ => (body, None),
    };
    let (head, state) = state(before_zip, zip.is_some());
    let certain = state.is_some() || head.is_empty() || recogniser.contains("zip");
    if zip.is_some() && !certain {
        return Tail { head: whole, state: None, zip: None };
    }
    Tail { head: trimmed(head), state, zip }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == ',' || c == ';')
}

/// The text without the country at its end.
fn country(text: &str) -> &str {
    let known = ["USA", "U.S.A.", "US", "United States of America", "United States"];
    let cut =
        known.iter().filter_map(|it| text.strip_suffix(it)).find(|it| it.ends_with([',', ' ']));
    cut.map_or(text, trimmed)
}

fn last_word(text: &str) -> (&str, &str) {
    let at = text.rfind(|c: char| c.is_whitespace() || c == ',').map_or(0, |at| at + 1);
    // The mark or space may take more than one byte.
    text.split_at_checked(at).unwrap_or_else(|| {
        let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
        text.split_at(text.len() - word.len())
    })
}

/// `62704` or `62704-1234`.
pub(crate) fn is_zip(word: &str) -> bool {
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    match word.split_once('-') {
        Some((five, four)) => digits(five, 5) && digits(four, 4),
        None => digits(word, 5),
    }
}

/// The state at the end of a place, and what stands before it.
fn state(text: &str, zip_follows: bool) -> (&str, Option<&str>) {
    for (code, name) in STATES {
        for (form, is_code) in [(code, true), (name, false)] {
            let Some(at) = text.len().checked_sub(form.len()) else { continue };
            let Some((head, tail)) = text.split_at_checked(at) else { continue };
            let same = if is_code { tail == form } else { tail.eq_ignore_ascii_case(form) };
            let longer = STATES.iter().any(|(_, other)| {
                other.len() > form.len()
                    && text.len() >= other.len()
                    && text
                        .get(text.len() - other.len()..)
                        .is_some_and(|it| it.eq_ignore_ascii_case(other))
            });
            if !same
                || longer
                || head.ends_with(char::is_alphanumeric)
                || head.ends_with(['-', '\''])
            {
                continue;
            }
            let marked = head.trim_end().ends_with(',');
            let alone = trimmed(head).is_empty();
            // New York and Washington are cities too, `LA` and `DC` as well.
            let city = is_code || matches!(code, "NY" | "WA" | "DC");
            let certain = marked || zip_follows || (alone && !city) || (is_code && !alone);
            if certain {
                return (trimmed(head), Some(tail));
            }
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, head: &str, state: Option<&str>, zip: Option<&str>) {
        assert_eq!(tail(value, "place"), Tail { head, state, zip }, "{value}");
    }

    #[test]
    fn a_place_is_taken_apart_where_it_is_certain() {
        check(
            "41 Alder Street, Springfield, IL 62704",
            "41 Alder Street, Springfield",
            Some("IL"),
            Some("62704"),
        );
        check("Springfield IL", "Springfield", Some("IL"), None);
        check("Albany, New York", "Albany", Some("New York"), None);
        check("Albany, New York, USA", "Albany", Some("New York"), None);
        check("New York, NY 10001-0001", "New York", Some("NY"), Some("10001-0001"));
        check("New York", "New York", None, None);
        check("Washington", "Washington", None, None);
        check("Ohio", "", Some("Ohio"), None);
        check("West Virginia", "", Some("West Virginia"), None);
        check("Virginia Beach", "Virginia Beach", None, None);
        check("Main Street Georgia", "Main Street Georgia", None, None);
        check("62704", "", None, Some("62704"));
        check("WA 98101", "", Some("WA"), Some("98101"));
        check("Route 62704", "Route 62704", None, None);
        check("LA", "LA", None, None);
        check("é 62704", "é 62704", None, None);
        check("", "", None, None);
    }
}
