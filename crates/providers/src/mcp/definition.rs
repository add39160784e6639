//! What a server says of a tool: which members are shown, and what an approval of them is worth.
//!
//! A model reads the definition of a tool as it reads an instruction. A server can change it after
//! somebody approved the tool; a pin in the governed file says which definition was approved.

use gate::shape::Json;
use ledger::Hash;
use phi::Text;

/// The members of a definition that are shown. Icons are addresses that a client would fetch, and the rest
/// is between the server and its client.
const SHOWN: [&str; 6] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// A definition with more text than this is none that a model should read.
const MAX_DEFINITION_BYTES: usize = 64 << 10;

/// A tool, as its server defines it.
pub(super) struct Definition {
    pub(super) members: Vec<(Text, Json)>,
    pub(super) sha256: Hash,
}

impl Definition {
    /// Reads a definition; absent when it is none, or too large.
    pub(super) fn read(json: Json) -> Option<Self> {
        let Json::Map(mut members) = json else { return None };
        members.retain(|(name, _)| SHOWN.contains(&name.expose()));
        let shown = Json::Map(members);
        let mut canonical = String::new();
        write(&shown, &mut canonical);
        let fits =
            canonical.len() <= MAX_DEFINITION_BYTES && shown.member("name")?.as_text().is_some();
        let Json::Map(members) = shown else { return None };
        fits.then(|| Self { members, sha256: Hash::of(canonical.as_bytes()) })
    }

    /// The tool's name.
    pub(super) fn name(&self) -> &str {
        let name = self.members.iter().find(|(name, _)| name.expose() == "name");
        name.and_then(|(_, value)| value.as_text()).map_or("", Text::expose)
    }
}

/// Writes compact JSON whose members are sorted by name, so that a server may write them in any order.
fn write(json: &Json, out: &mut String) {
    match json {
        Json::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Json::Map(members) => {
            let mut sorted: Vec<&(Text, Json)> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.expose().cmp(b.0.expose()));
            out.push('{');
            for (i, (name, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(Json::Text(name.clone()).to_text().expose());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
            out.push_str(json.to_text().expose());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(definition: &str) -> Option<String> {
        let json = Json::parse(definition.as_bytes()).unwrap();
        Definition::read(json).map(|it| it.sha256.to_string())
    }

    #[test]
    fn a_definition_is_hashed_as_sorted_compact_json() {
        // printf '%s' '{"description":"Reads \"charts\".","name":"read","x":1}' without "x" | sha256sum
        let expected = Hash::of(br#"{"description":"Reads \"charts\".","name":"read"}"#);
        let written = r#"{ "name": "read", "description": "Reads \"charts\"." }"#;
        assert_eq!(sha256(written), Some(expected.to_string()));
    }

    #[test]
    fn any_change_of_what_is_shown_changes_the_hash_and_nothing_else_does() {
        let first =
            sha256(r#"{"name":"a","description":"b","inputSchema":{"type":"object","x":1}}"#);
        let same =
            r#"{"inputSchema":{"x":1,"type":"object"},"_meta":{},"description":"b","name":"a"}"#;
        assert_eq!(first, sha256(same));
        for changed in [
            r#"{"name":"a","description":"b.","inputSchema":{"type":"object","x":1}}"#,
            r#"{"name":"a","description":"b","inputSchema":{"type":"object","x":2}}"#,
            r#"{"name":"a","description":"b","inputSchema":{"type":"object","x":1},"title":""}"#,
        ] {
            assert_ne!(first, sha256(changed), "{changed}");
        }
    }

    #[test]
    fn what_has_no_name_or_too_much_text_is_no_definition() {
        assert!(sha256(r#"{"description":"b"}"#).is_none());
        assert!(sha256(r#"{"name":7}"#).is_none());
        assert!(sha256("[]").is_none());
        let long =
            format!(r#"{{"name":"a","description":"{}"}}"#, "b".repeat(MAX_DEFINITION_BYTES));
        assert!(sha256(&long).is_none());
    }
}
