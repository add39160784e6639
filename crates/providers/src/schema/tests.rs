use super::*;
use crate::request::{Addressed, Request, table};
use expect_test::expect_file;
use gate::rules::Api;
use serde_json::{Value, json};
use std::fmt::Write as _;

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

/// A place in a table: a document that has no more than it takes to get there.
#[derive(Debug)]
struct Spot {
    document: Value,
    name: &'static str,
    place: &'static str,
    asks: Option<Asks>,
    /// Whether what stands there is refused.
    refused: bool,
}

/// Every field and every kind below a rule, each with the least document around it.
fn spots(rule: &'static Rule, seen: &[*const Rule]) -> Vec<Spot> {
    // A block may hold blocks.
    if seen.contains(&std::ptr::from_ref(rule)) {
        return Vec::new();
    }
    let mut seen = seen.to_vec();
    seen.push(rule);
    match rule {
        Rule::Object(_, fields) => of_fields(fields, &seen),
        Rule::List(item) => around(spots(item, &seen), |document| json!([document])),
        Rule::Either(rules) => rules.iter().flat_map(|rule| spots(rule, &seen)).collect(),
        Rule::Tagged(place, variants, kinds) => {
            let mut found = Vec::new();
            for (tag, fields) in *variants {
                found.extend(around(of_fields(fields, &seen), |mut document| {
                    if document.get("type").is_none() && !tag.is_empty() {
                        document["type"] = json!(tag);
                    }
                    document
                }));
            }
            for kind in *kinds {
                for name in [kind.name.to_owned(), format!("{}_20990101", kind.name)] {
                    found.push(Spot {
                        document: json!({ "type": name }),
                        name: kind.name,
                        place,
                        asks: Some(Asks { capability: kind.asks, unless: &[] }),
                        refused: true,
                    });
                }
            }
            found
        }
        Rule::OneOf(_)
        | Rule::Count(_)
        | Rule::Ratio
        | Rule::AnyNumber
        | Rule::Bool
        | Rule::False
        | Rule::Model
        | Rule::Content
        | Rule::Signed
        | Rule::Tree
        | Rule::Arguments
        | Rule::LogitBias
        | Rule::Refused => Vec::new(),
    }
}

fn around(spots: Vec<Spot>, wrap: impl Fn(Value) -> Value) -> Vec<Spot> {
    spots.into_iter().map(|spot| Spot { document: wrap(spot.document), ..spot }).collect()
}

fn of_fields(fields: &'static [Field], seen: &[*const Rule]) -> Vec<Spot> {
    let mut found = Vec::new();
    for field in fields {
        let unless = field.asks.map(|asks| asks.unless).unwrap_or_default();
        found.push(Spot {
            document: json!({ (field.name): value(&field.rule, unless) }),
            name: field.name,
            place: field.place,
            asks: field.asks,
            refused: matches!(field.rule, Rule::Refused | Rule::False),
        });
        let inside = spots(&field.rule, seen);
        found.extend(around(inside, |document| json!({ (field.name): document })));
    }
    found
}

/// A value that says something, though none of `unless`.
fn value(rule: &'static Rule, unless: &[&str]) -> Value {
    match rule {
        Rule::OneOf(words) => json!(words.iter().find(|word| !unless.contains(word)).unwrap()),
        Rule::Count(_) | Rule::Ratio | Rule::AnyNumber => json!(1),
        Rule::Bool | Rule::False => json!(true),
        Rule::Model | Rule::Content | Rule::Signed | Rule::Arguments => json!("x"),
        Rule::Tree | Rule::Refused => json!({ "a": "x" }),
        Rule::Object(_, fields) => match fields.iter().find(|it| !refuses(&it.rule)) {
            Some(field) => json!({ (field.name): value(&field.rule, &[]) }),
            None => json!({}),
        },
        Rule::List(item) => json!([value(item, &[])]),
        Rule::Either(rules) => value(&rules[0], &[]),
        Rule::Tagged(_, variants, _) => json!({ "type": variants.last().unwrap().0 }),
        Rule::LogitBias => json!({ "7": 1 }),
    }
}

fn refuses(rule: &Rule) -> bool {
    matches!(rule, Rule::Refused | Rule::False)
}

fn read(api: Api, document: &Value) -> Result<BTreeSet<Capability>, Unsupported> {
    let (rule, needs) = table(api);
    let mut body = document.clone();
    for name in needs {
        if body.get(name).is_none() {
            body[name] = json!([]);
        }
    }
    let written = body.to_string();
    let json = Json::parse(written.as_bytes()).unwrap();
    let addressed = Addressed { model: Some(Text::from("m")), ..Addressed::default() };
    Request::read(api, addressed, json.clone(), Text::new(written))?;
    // The shape that leaves when the destination speaks as the caller does.
    Ok(asked(&walk(json, rule, "the request", &mut Parts::new())?, rule))
}

#[test]
fn what_no_destination_is_sent_is_refused_by_its_name_in_every_dialect() {
    for api in APIS {
        for spot in spots(table(api).0, &[]).iter().filter(|spot| spot.refused) {
            let Spot { document, name, asks, .. } = spot;
            let refusal = read(api, document).expect_err(name);
            assert!(refusal.is_content(), "{api:?} {document}: {refusal}");
            assert!(refusal.to_string().contains(&format!("\"{name}\"")), "{document}: {refusal}");
            let reason = asks.map(|asks| asks.capability.as_str());
            assert!(reason.is_some(), "{api:?} {name} asks for something that has no word");
            assert_eq!(refusal.reason(), reason, "{api:?} {document}");
        }
    }
}

#[test]
fn threads_memory_files_and_stores_of_a_vendor_are_refused_whatever_an_agreement_says() {
    // `previous_response_id` is left to whoever answers it from what is kept here.
    for (api, document, name) in [
        (Api::Responses, json!({ "conversation": "conv_1" }), "conversation"),
        (Api::Responses, json!({ "conversation": { "id": "conv_1" } }), "conversation"),
        (Api::Responses, json!({ "prompt": { "id": "pmpt_1" } }), "prompt"),
        (Api::Responses, json!({ "background": true }), "background"),
        (
            Api::Responses,
            json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }),
            "item_reference",
        ),
        (
            Api::Responses,
            json!({ "tools": [{ "type": "file_search", "vector_store_ids": ["vs_1"] }] }),
            "file_search",
        ),
        (
            Api::Responses,
            json!({ "tools": [{ "type": "code_interpreter", "container": "cntr_1" }] }),
            "code_interpreter",
        ),
        (
            Api::Responses,
            json!({ "input": [{ "role": "user", "content": [
                { "type": "input_file", "file_id": "file-1" }] }] }),
            "file_id",
        ),
        (
            Api::ChatCompletions,
            json!({ "messages": [{ "role": "user", "content": [
                { "type": "file", "file": { "file_id": "file-1" } }] }] }),
            "file",
        ),
        (
            Api::ChatCompletions,
            json!({ "messages": [{ "role": "assistant", "audio": { "id": "audio_1" } }] }),
            "audio",
        ),
        (Api::ChatCompletions, json!({ "store": true }), "store"),
        (Api::Messages, json!({ "container": "container_1" }), "container"),
        (Api::Messages, json!({ "tools": [{ "type": "memory_20250818", "name": "m" }] }), "memory"),
        (Api::Messages, json!({ "context_management": { "edits": [] } }), "context_management"),
        (
            Api::Messages,
            json!({ "messages": [{ "role": "user", "content": [
                { "type": "document", "source": { "type": "file", "file_id": "f" } }] }] }),
            "file_id",
        ),
        (
            Api::Messages,
            json!({ "messages": [{ "role": "user", "content": [
                { "type": "container_upload", "file_id": "f" }] }] }),
            "container_upload",
        ),
        (Api::CountTokens, json!({ "container": "container_1" }), "container"),
        (Api::Converse, json!({ "promptVariables": { "a": { "text": "x" } } }), "promptVariables"),
        (Api::GenerateContent, json!({ "cachedContent": "cachedContents/1" }), "cachedContent"),
        (Api::GenerateContent, json!({ "cached_content": "cachedContents/1" }), "cachedContent"),
        (
            Api::GenerateContent,
            json!({ "contents": [{ "parts": [{ "fileData": { "fileUri": "u" } }] }] }),
            "fileData",
        ),
        (
            Api::GenerateContent,
            json!({ "tools": [{ "fileSearch": { "fileSearchStoreNames": ["s"] } }] }),
            "fileSearch",
        ),
    ] {
        let refusal = read(api, &document).expect_err(name);
        assert!(refusal.is_content(), "{document}: {refusal}");
        assert!(refusal.to_string().contains(&format!("\"{name}\"")), "{document}: {refusal}");
    }
}

#[test]
fn every_field_that_asks_for_something_is_seen_in_a_request_that_has_it() {
    for api in APIS {
        for spot in spots(table(api).0, &[]).iter().filter(|spot| !spot.refused) {
            let (Spot { document, name, .. }, Some(asks)) = (spot, spot.asks) else { continue };
            let seen = read(api, document).unwrap_or_else(|error| panic!("{document}: {error}"));
            assert!(seen.contains(&asks.capability), "{api:?} {name} in {document}: {seen:?}");
        }
    }
}

#[test]
fn a_field_that_says_nothing_asks_for_nothing() {
    let nothing = BTreeSet::new();
    for (api, document) in [
        (Api::ChatCompletions, json!({ "reasoning_effort": "none", "prompt_cache_key": null })),
        (Api::ChatCompletions, json!({ "prompt_cache_retention": "in_memory", "store": false })),
        (Api::ChatCompletions, json!({ "response_format": { "type": "json_object" } })),
        (
            Api::ChatCompletions,
            json!({ "tools": [{ "type": "function",
                                "function": { "name": "f", "strict": false } }] }),
        ),
        (Api::Responses, json!({ "reasoning": {}, "background": false, "store": false })),
        (Api::Messages, json!({ "thinking": { "type": "disabled" }, "cache_control": null })),
        (Api::Converse, json!({ "additionalModelRequestFields": {} })),
        (
            Api::GenerateContent,
            json!({ "generationConfig": { "thinkingConfig": { "thinkingBudget": 0 } } }),
        ),
    ] {
        assert_eq!(read(api, &document).unwrap(), nothing, "{document}");
    }
}

#[test]
fn every_capability_is_asked_for_by_some_table() {
    let mut found = BTreeSet::new();
    for api in APIS {
        for spot in spots(table(api).0, &[]) {
            found.extend(spot.asks.map(|asks| asks.capability));
        }
    }
    // A batch is an address of its own and no field of a request.
    found.insert(Capability::Batches);
    assert_eq!(found, Capability::ALL.iter().copied().collect());
}

/// Whoever adds a field either says what it asks for, or adds it to the file and so says that it asks for
/// nothing that a vendor's terms could except.
#[test]
fn a_field_that_is_said_to_ask_for_nothing_is_on_a_list() {
    let mut list = String::new();
    for api in APIS {
        let spots = spots(table(api).0, &[]);
        let plain = spots.iter().filter(|spot| spot.asks.is_none());
        let places: BTreeSet<&str> = plain.map(|spot| spot.place).collect();
        for place in places {
            writeln!(list, "{} {place}", api.as_str()).unwrap();
        }
    }
    expect_file!["plain.txt"].assert_eq(&list);
}
