//! What stands for a value in a prompt, and texts with places for it.

use regex_automata::meta::Regex;
use std::fmt;

/// What stands for a value in a request: a gateway's own form, set by a regular expression.
#[derive(Clone)]
pub struct Tokens {
    expression: Regex,
    /// The values, where they stand for themselves.
    values: Vec<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::bulla()
    }
}

impl Tokens {
    /// Surrogates as Bulla writes them: `[NAME_7K3QF9ZD]`.
    ///
    /// # Panics
    /// Never: the expression is a constant.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a constant that a test compiles")]
    pub fn bulla() -> Self {
        Self::matching(r"\[[A-Z]+(?:_[A-Z]+)*_[0-9A-Z]{8}\]").expect("a valid expression")
    }

    /// Whatever this expression matches: `<[A-Z_]+>` for Presidio's.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn matching(expression: &str) -> Result<Self, String> {
        let expression = Regex::new(expression).map_err(|error| error.to_string())?;
        Ok(Self { expression, values: Vec::new() })
    }

    /// These values themselves: what a server sees that is asked in the clear.
    ///
    /// # Panics
    /// When there are more values than one expression can hold.
    #[must_use]
    #[expect(clippy::expect_used, reason = "quoted literals are a valid expression")]
    pub fn values(values: &[String]) -> Self {
        // Arguments of tool calls are JSON inside a text, so a value may stand there escaped.
        let escaped = values.iter().map(|value| inside_json(value));
        let mut forms: Vec<String> = values.iter().cloned().chain(escaped).collect();
        // An expression takes the first alternative that matches, so longer ones come first.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let quoted: Vec<String> = forms.iter().map(|form| quote(form)).collect();
        // An expression of no alternatives would match the empty text everywhere.
        let either = if quoted.is_empty() { r"\z\A.".to_owned() } else { quoted.join("|") };
        let tokens = Self::matching(&either).expect("a valid expression");
        Self { values: values.to_vec(), ..tokens }
    }

    /// Each token of a text, in order; one that comes twice is there twice.
    #[must_use]
    pub fn in_text(&self, text: &str) -> Vec<String> {
        let found = self.expression.find_iter(text).filter_map(|found| text.get(found.range()));
        found.filter(|token| !token.is_empty()).map(|token| self.plain(token)).collect()
    }

    /// A value as it is, where it was found escaped.
    fn plain(&self, token: &str) -> String {
        let value = self.values.iter().find(|value| inside_json(value) == token);
        value.map_or(token, String::as_str).to_owned()
    }
}

/// A text as it stands inside a text of JSON.
fn inside_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        if !character.is_alphanumeric() && character.is_ascii() {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// What a place in a script asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// `{0}`: the first token of the prompt; `{1}` the second.
    Token(usize),
    /// `{0 cut}`: that token without its last three characters, as a limit of length leaves it.
    Cut(usize),
    /// `{0 lower}`: that token in small letters, as a careless model writes it.
    Lower(usize),
    /// `{0 changed}`: that token with its last letter or digit replaced, as a model invents one.
    Changed(usize),
    /// `{user}`: the last thing that the user said.
    User,
    /// `{all}`: everything that was said, joined by ` | `.
    All,
    /// Text.
    Text(&'t str),
}

/// Takes a text apart. Braces that are no place are text.
pub(super) fn places(template: &str) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    let mut rest = template;
    let mut searched = 0;
    while let Some(open) = rest.get(searched..).and_then(|it| it.find('{')).map(|it| it + searched)
    {
        let place = rest.get(open + 1..).and_then(|it| it.split_once('}'));
        let Some((place, after)) = place.and_then(|(it, after)| Some((named(it)?, after))) else {
            searched = open + 1;
            continue;
        };
        places.extend(rest.get(..open).filter(|text| !text.is_empty()).map(Place::Text));
        places.push(place);
        rest = after;
        searched = 0;
    }
    places.extend(Some(rest).filter(|text| !text.is_empty()).map(Place::Text));
    places
}

fn named(name: &str) -> Option<Place<'static>> {
    match name {
        "user" => return Some(Place::User),
        "all" => return Some(Place::All),
        _ => {}
    }
    let (number, form) = name.split_once(' ').unwrap_or((name, ""));
    let number = number.parse().ok()?;
    match form {
        "" => Some(Place::Token(number)),
        "cut" => Some(Place::Cut(number)),
        "lower" => Some(Place::Lower(number)),
        "changed" => Some(Place::Changed(number)),
        _ => None,
    }
}

/// A token as a limit of length leaves it.
pub(super) fn cut_short(token: &str) -> String {
    let kept = token.chars().count().saturating_sub(3);
    token.chars().take(kept).collect()
}

/// A token that was never minted, though it looks like one.
pub(super) fn changed(token: &str) -> String {
    let last = token.rfind(|it: char| it.is_ascii_alphanumeric());
    let other = |it: char| if it == '7' { '3' } else { '7' };
    let characters = token.char_indices();
    characters.map(|(at, it)| if Some(at) == last { other(it) } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_any_form_are_found_in_order() {
        let text = "[NAME_AB12CD34] <PERSON_1> [HEALTH_PLAN_ID_00000000] [NAME_AB12CD34] [NAME_1]";
        assert_eq!(
            Tokens::bulla().in_text(text),
            ["[NAME_AB12CD34]", "[HEALTH_PLAN_ID_00000000]", "[NAME_AB12CD34]"]
        );
        let presidio = Tokens::matching("<[A-Z_]+(?:_[0-9]+)?>").unwrap();
        assert_eq!(presidio.in_text(text), ["<PERSON_1>"]);
        let values = Tokens::values(&["Ann".to_owned(), "Ann (B.)".to_owned()]);
        assert_eq!(values.in_text("Ann (B.), Ann"), ["Ann (B.)", "Ann"]);
        let quoting = Tokens::values(&["\"A\"".to_owned()]);
        assert_eq!(quoting.in_text(r#"{"a":"\"A\""} "A""#), ["\"A\"", "\"A\""]);
        assert!(Tokens::values(&[]).in_text(text).is_empty());
        assert!(Tokens::matching("(").is_err());
    }

    #[test]
    fn only_places_are_taken_out_of_a_text() {
        let expected = [
            Place::Text("{\"a\": \""),
            Place::Token(0),
            Place::Text("\", \"b\": {x} "),
            Place::Cut(12),
            Place::User,
            Place::Text("}"),
        ];
        assert_eq!(places("{\"a\": \"{0}\", \"b\": {x} {12 cut}{user}}"), expected);
        assert_eq!(places(""), []);
        assert_eq!(places("{"), [Place::Text("{")]);
    }

    #[test]
    fn mangled_tokens_are_no_tokens_of_the_prompt() {
        assert_eq!(cut_short("[NAME_AB12CD34]"), "[NAME_AB12CD");
        assert_eq!(changed("[NAME_AB12CD34]"), "[NAME_AB12CD37]");
        assert_eq!(changed("<PERSON_7>"), "<PERSON_3>");
    }
}
