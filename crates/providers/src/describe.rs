//! The tables of fields as JSON Schema, so that what is published about a request is what is checked.

use crate::request::table;
use crate::schema::{Field, MAX_RATIO, Rule};
use gate::rules::Api;
use serde_json::{Map, Value, json};

/// The objects of requests, each once, by a name made of where it stands.
#[derive(Debug)]
pub struct Schemas {
    /// Where the document has them: `#/components/schemas/`.
    prefix: &'static str,
    named: Map<String, Value>,
    /// What has a name already. A block may hold blocks, so it is named before it is described.
    seen: Vec<(*const (), &'static str, String)>,
}

impl Schemas {
    /// None yet; `prefix` is where the document has them.
    #[must_use]
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, named: Map::new(), seen: Vec::new() }
    }

    /// Every object that was named.
    #[must_use]
    pub fn into_named(self) -> Map<String, Value> {
        self.named
    }

    /// The schema of a request of this interface. With `addressed` the address names the model.
    pub fn request(&mut self, api: Api, addressed: bool) -> Value {
        let (rule, needs) = table(api);
        let Rule::Object(_, fields) = rule else { return self.rule(api, rule) };
        let mut properties = self.properties(api, fields);
        let mut required: Vec<&str> = needs.to_vec();
        if !addressed {
            required.push("model");
        }
        for name in &required {
            // Only what may be left out may be null.
            if let Some(schema) = properties.get_mut(*name) {
                *schema = present(schema.take());
            }
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn rule(&mut self, api: Api, rule: &'static Rule) -> Value {
        match rule {
            Rule::Tree => json!({}),
            Rule::OneOf(words) => {
                let words = words.iter().map(|word| json!(word)).chain([Value::Null]);
                json!({ "enum": words.collect::<Vec<_>>() })
            }
            Rule::Count(most) => {
                json!({ "type": ["integer", "null"], "minimum": -1, "maximum": most })
            }
            Rule::Ratio => ratio(),
            Rule::AnyNumber => json!({ "type": ["number", "null"] }),
            Rule::Bool => json!({ "type": ["boolean", "null"] }),
            Rule::False => json!({ "enum": [false, null] }),
            Rule::Model | Rule::Content | Rule::Signed | Rule::Arguments => {
                json!({ "type": ["string", "null"] })
            }
            Rule::Object(place, fields) => {
                let start = fields.as_ptr().cast();
                self.named(api, start, place, |it| it.object(api, fields, None))
            }
            Rule::List(item) => {
                json!({ "type": ["array", "null"], "items": self.rule(api, item) })
            }
            Rule::Either(rules) => {
                let rules: Vec<Value> = rules.iter().map(|rule| self.rule(api, rule)).collect();
                json!({ "anyOf": rules })
            }
            Rule::Tagged(place, variants, _) => {
                self.named(api, variants.as_ptr().cast(), place, |it| {
                    let variants =
                        variants.iter().map(|(tag, fields)| it.object(api, fields, Some(tag)));
                    let mut any: Vec<Value> = variants.collect();
                    any.push(json!({ "type": "null" }));
                    json!({ "anyOf": any })
                })
            }
            Rule::LogitBias => json!({
                "type": ["object", "null"],
                "patternProperties": { "^[0-9]{1,7}$": number() },
                "additionalProperties": false,
            }),
            Rule::Refused => json!({ "type": "null", "description": "Not carried." }),
        }
    }

    /// A reference to what `describe` makes, which is made once.
    fn named(
        &mut self,
        api: Api,
        start: *const (),
        place: &'static str,
        describe: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let known = self.seen.iter().find(|(at, where_, _)| *at == start && *where_ == place);
        if let Some((_, _, name)) = known {
            return json!({ "$ref": format!("{}{name}", self.prefix) });
        }
        let base: String = format!("{}.{place}", api.as_str())
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' })
            .collect();
        let mut name = base.clone();
        let mut number = 1_u32;
        while self.named.contains_key(&name) {
            number = number.saturating_add(1);
            name = format!("{base}-{number}");
        }
        self.seen.push((start, place, name.clone()));
        self.named.insert(name.clone(), Value::Null);
        let described = describe(self);
        let reference = json!({ "$ref": format!("{}{name}", self.prefix) });
        self.named.insert(name, described);
        reference
    }

    fn object(&mut self, api: Api, fields: &'static [Field], tag: Option<&str>) -> Value {
        let mut properties = self.properties(api, fields);
        let (kind, required) = match tag {
            None => (json!(["object", "null"]), json!([])),
            Some("") => {
                properties.remove("type");
                (json!("object"), json!([]))
            }
            Some(tag) => {
                properties.insert("type".to_owned(), json!({ "const": tag }));
                (json!("object"), json!(["type"]))
            }
        };
        json!({
            "type": kind,
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn properties(&mut self, api: Api, fields: &'static [Field]) -> Map<String, Value> {
        fields.iter().map(|field| (field.name.to_owned(), self.rule(api, &field.rule))).collect()
    }
}

fn ratio() -> Value {
    json!({ "type": ["number", "null"], "minimum": -MAX_RATIO, "maximum": MAX_RATIO })
}

fn number() -> Value {
    present(ratio())
}

/// The same without null.
fn present(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get_mut("type").filter(|kinds| kinds.is_array()) {
        *kinds = kinds.get(0).cloned().unwrap_or_default();
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        *any = any.drain(..).map(present).collect();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Addressed, Request};
    use gate::shape::Json;
    use phi::Text;

    const APIS: [Api; 8] = [
        Api::ChatCompletions,
        Api::Completions,
        Api::Embeddings,
        Api::Responses,
        Api::Messages,
        Api::CountTokens,
        Api::Converse,
        Api::GenerateContent,
    ];

    /// References followed, tried one after the other.
    fn resolve<'a>(named: &'a Map<String, Value>, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/")) {
            schema = &named[name];
        }
        schema
    }

    /// The least value that a schema permits, other than null.
    fn least(named: &Map<String, Value>, schema: &Value) -> Value {
        let schema = resolve(named, schema);
        if let Some(any) = schema["anyOf"].as_array() {
            return least(named, &any[0]);
        }
        if let Some(word) = schema.get("const").or_else(|| schema["enum"].get(0)) {
            return word.clone();
        }
        let kind = schema["type"].get(0).unwrap_or(&schema["type"]).as_str();
        match kind {
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(false),
            Some("null") => Value::Null,
            Some("array") => json!([least(named, &schema["items"])]),
            Some("object") => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let members = required.iter().filter_map(Value::as_str);
                members
                    .map(|name| (name.to_owned(), least(named, &schema["properties"][name])))
                    .collect::<Map<_, _>>()
                    .into()
            }
            _ => json!("text"),
        }
    }

    fn read(api: Api, body: &Value) -> Result<(), crate::Unsupported> {
        let addressed = Addressed { model: Some(Text::from("m")), ..Addressed::default() };
        let written = body.to_string();
        let json = Json::parse(written.as_bytes()).unwrap();
        Request::read(api, addressed, json, Text::new(written)).map(drop)
    }

    #[test]
    fn every_field_of_a_request_is_in_its_schema_and_each_is_taken_with_a_value_of_it() {
        for api in APIS {
            let mut schemas = Schemas::new("#/");
            let schema = schemas.request(api, true);
            let named = schemas.into_named();
            let Rule::Object(_, fields) = table(api).0 else { panic!("{api:?} is no object") };
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(properties.len(), fields.len(), "{api:?}");
            let body = least(&named, &schema);
            assert_eq!(read(api, &body), Ok(()), "{api:?}: {body}");
            for (name, property) in properties {
                let mut body = body.clone();
                body[name] = least(&named, property);
                assert_eq!(read(api, &body), Ok(()), "{api:?}: {body}");
            }
        }
    }

    #[test]
    fn the_names_that_protobuf_has_are_those_of_the_table_and_none_is_written_twice() {
        let turn = json!({ "role": "user", "parts": [{ "text": "x" }] });
        let budget = |config: Value| json!({ "contents": [turn], "generation_config": { "thinking_config": config } });
        let read = |body: &Value| read(Api::GenerateContent, body);
        assert_eq!(read(&budget(json!({ "thinking_budget": 1 }))), Ok(()));
        assert_eq!(read(&budget(json!({ "thinkingBudget": 1 }))), Ok(()));
        assert!(read(&budget(json!({ "thinking_budget": 1, "thinkingBudget": 1 }))).is_err());
        assert!(read(&budget(json!({ "thinking_Budget": 1 }))).is_err());
        // Another dialect has one name for each.
        let turn = json!({ "role": "user", "content": [{ "text": "x" }] });
        let converse = json!({ "messages": [turn], "inference_config": { "maxTokens": 1 } });
        assert!(super::tests::read(Api::Converse, &converse).is_err());
    }

    #[test]
    fn what_a_schema_forbids_is_refused() {
        let mut schemas = Schemas::new("#/");
        let schema = schemas.request(Api::ChatCompletions, false);
        assert_eq!(schema["required"], json!(["messages", "model"]));
        assert_eq!(schema["properties"]["messages"]["type"], "array");
        assert_eq!(schema["properties"]["audio"]["type"], "null");
        let user = json!({ "role": "user", "content": "x" });
        for (name, value) in [
            ("audio", json!({})),
            ("temperature", json!(1001)),
            ("n", json!(-2)),
            ("new", json!(1)),
        ] {
            let mut body = json!({ "messages": [user] });
            body[name] = value;
            assert!(read(Api::ChatCompletions, &body).is_err(), "{name}");
        }
        assert!(read(Api::ChatCompletions, &json!({ "messages": null })).is_err());
    }

    #[test]
    fn objects_that_hold_themselves_are_described_once() {
        let mut schemas = Schemas::new("#/");
        for api in APIS {
            schemas.request(api, true);
            schemas.request(api, true);
        }
        let named = schemas.into_named();
        assert!((40..400).contains(&named.len()), "{}", named.len());
        assert!(named.values().all(Value::is_object));
    }
}
