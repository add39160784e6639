//! The `OpenAPI` document: made of the table of routes and of the tables of fields, so that it says what
//! the server does.

use super::answer::no_store;
use super::{Access, Family, Gives, ROUTES, Route, Shown, Takes};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use providers::Schemas;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where the document has its schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// The headers that show a key beside `authorization`; [`super::shown`] reads each of them.
const KEYS: [(&str, &str); 3] =
    [("anthropic", "x-api-key"), ("azure", "api-key"), ("google", "x-goog-api-key")];

/// What an exchange is answered with when it is not answered by a model.
const REFUSALS: [(u16, &str); 9] = [
    (400, "The request is not in the dialect, or holds what is not carried."),
    (401, "The API key is missing, unknown, expired or revoked."),
    (403, "The policy, an agreement, a purpose, a role or a budget does not permit it."),
    (404, "No such model, or no such address."),
    (413, "The request is too large."),
    (429, "A limit is reached, here or at the model server."),
    (502, "The model server failed, or what it says is not of its dialect."),
    (503, "A control cannot run, or no model server can be reached, so nothing left."),
    (504, "The model server did not answer in time."),
];

/// The document as JSON.
pub static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`
pub(super) async fn openapi() -> Response {
    let mut response = (StatusCode::OK, DOCUMENT.as_str()).into_response();
    no_store(response.headers_mut(), "application/json");
    response
}

fn document() -> Value {
    let mut schemas = Schemas::new(SCHEMAS);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        for shown in route.shows {
            let operation = operation(route, shown, &mut schemas);
            let method = route.method.to_ascii_lowercase();
            paths.entry(shown.path).or_default().insert(method, operation);
        }
    }
    let mut named = schemas.into_named();
    named.extend(errors());
    let bearer = ("bearer", json!({ "type": "http", "scheme": "bearer" }));
    let others = KEYS
        .iter()
        .map(|(name, header)| (*name, json!({ "type": "apiKey", "in": "header", "name": header })));
    let keys: BTreeMap<&str, Value> = std::iter::once(bearer).chain(others).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bulla",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A compliance layer between a healthcare organisation and its language models. What is not here does not exist.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": named, "securitySchemes": keys },
    })
}

fn operation(route: &Route, shown: &Shown, schemas: &mut Schemas) -> Value {
    let bearer = json!({ "bearer": [] });
    let security = match route.access {
        Access::Public => Vec::new(),
        Access::Auditor | Access::Monitor => vec![bearer],
        Access::Caller => {
            let others = KEYS.iter().map(|(name, _)| json!({ *name: [] }));
            std::iter::once(bearer).chain(others).collect()
        }
    };
    let mut operation = BTreeMap::from([
        ("operationId", json!(id(route.method, shown.path))),
        ("summary", json!(shown.summary)),
        ("parameters", json!(parameters(shown))),
        ("security", json!(security)),
        ("responses", json!(responses(route, shown))),
    ]);
    operation.extend(body(shown, schemas).map(|body| ("requestBody", body)));
    json!(operation)
}

/// What stands in the address and the headers.
fn parameters(shown: &Shown) -> Vec<Value> {
    let holes = shown.path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let mut parameters: Vec<Value> = holes
        .map(|(name, _)| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" },
            })
        })
        .collect();
    if let Takes::Message = shown.takes {
        parameters.push(header("mcp-session-id", "The session, as its beginning was answered."));
    }
    if let Takes::Request(_) | Takes::Message = shown.takes {
        parameters.extend([
            header("x-bulla-purpose", "The purpose, where the key is not bound to one."),
            header("x-bulla-conversation", "Your name of the conversation."),
            header("x-bulla-patient", "Your reference of the patient whom it is about."),
            header("x-bulla-justification", "Why all of a chart is needed."),
        ]);
    }
    if shown.path.ends_with(":streamGenerateContent") {
        parameters.push(json!({
            "name": "alt", "in": "query", "required": true, "schema": { "const": "sse" },
        }));
    }
    parameters
}

fn body(shown: &Shown, schemas: &mut Schemas) -> Option<Value> {
    let schema = match shown.takes {
        Takes::Nothing => return None,
        Takes::Request(api) => schemas.request(api, shown.path.contains('{')),
        Takes::Search => search(),
        Takes::Batch => batch(),
        Takes::File => {
            let content = json!({ "multipart/form-data": { "schema": file() } });
            return Some(json!({ "required": true, "content": content }));
        }
        Takes::Message => message(),
    };
    let content = json!({ "application/json": { "schema": schema } });
    Some(json!({ "required": true, "content": content }))
}

/// A file, as `files::add` reads it.
fn file() -> Value {
    let properties = json!({
        "purpose": { "const": "batch" },
        "file": { "type": "string", "contentMediaType": "application/octet-stream" },
    });
    let required = ["purpose", "file"];
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// What a batch is made of, as `batches::add` reads it.
fn batch() -> Value {
    let urls = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"];
    let properties = json!({
        "input_file_id": { "type": "string" },
        "endpoint": { "enum": urls },
        "completion_window": { "const": "24h" },
        "metadata": {
            "type": ["object", "null"], "additionalProperties": { "type": "string" },
        },
    });
    let required = ["input_file_id", "endpoint", "completion_window"];
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// A name of its own for an operation.
fn id(method: &str, path: &str) -> String {
    let mut id = method.to_ascii_lowercase();
    for word in path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn header(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string" },
    })
}

/// A message to a server of tools. What its params may hold depends on its method, and is in docs/mcp.md.
fn message() -> Value {
    json!({
        "type": "object",
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "type": ["string", "integer"] },
            "method": { "type": "string" },
            "params": { "type": "object" },
        },
        "required": ["jsonrpc", "method"],
    })
}

/// What is sought, as `log::Body` reads it.
fn search() -> Value {
    let words = [
        "owner",
        "person",
        "since",
        "until",
        "surface",
        "decision",
        "outcome",
        "kind",
        "destination",
        "conversation",
        "exchange",
        "patient",
    ];
    let mut properties: Map<String, Value> = words
        .iter()
        .map(|word| ((*word).to_owned(), json!({ "type": ["string", "null"] })))
        .collect();
    for number in ["from", "limit"] {
        properties.insert(number.to_owned(), json!({ "type": ["integer", "null"], "minimum": 0 }));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn responses(route: &Route, shown: &Shown) -> BTreeMap<String, Value> {
    let object = json!({ "schema": { "type": "object" } });
    let content = match shown.gives {
        Gives::Document | Gives::Ready => json!({ "application/json": object }),
        Gives::Answer => json!({ "application/json": object, "text/event-stream": {} }),
        Gives::Events(kind) => json!({ kind: {} }),
        Gives::Note | Gives::Metrics => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Gives::Tile | Gives::Bytes => json!({ "application/octet-stream": {} }),
        Gives::Nothing => json!({}),
    };
    let headers = if matches!(shown.takes, Takes::Request(_)) {
        json!({ "x-bulla-receipt": {
            "description": "The record of the exchange: log, position, leaf hash.",
            "required": true,
            "schema": { "type": "string" },
        } })
    } else {
        json!({})
    };
    let done =
        json!({ "description": "What was asked for.", "content": content, "headers": headers });
    let status = if matches!(shown.gives, Gives::Nothing) { "204" } else { "200" };
    let mut responses = BTreeMap::from([(status.to_owned(), done)]);
    if matches!(shown.takes, Takes::Message) {
        let heard = json!({ "description": "The message asks for no answer." });
        responses.insert("202".to_owned(), heard);
    }
    for (status, description) in REFUSALS {
        let possible = match (shown.takes, route.access) {
            (Takes::Request(_), _) => true,
            (Takes::Nothing, Access::Public) => false,
            (_, Access::Public | Access::Caller | Access::Auditor | Access::Monitor) => {
                matches!(status, 400 | 401 | 403 | 404 | 413 | 503)
            }
        };
        if possible {
            let reference = format!("{SCHEMAS}{}", error(route.family));
            let content = json!({ "application/json": { "schema": { "$ref": reference } } });
            let refusal = json!({ "description": description, "content": content });
            responses.insert(status.to_string(), refusal);
        }
    }
    if matches!(shown.gives, Gives::Ready) {
        let content = json!({ "application/json": object });
        let unready = json!({ "description": "A control cannot run.", "content": content });
        responses.insert("503".to_owned(), unready);
    }
    responses
}

/// The name of the schema of errors.
const fn error(family: Family) -> &'static str {
    match family {
        Family::OpenAi => "Error",
        Family::Anthropic => "AnthropicError",
        Family::Bedrock => "BedrockError",
        Family::Google => "GoogleError",
        Family::Mcp => "McpError",
    }
}

/// Errors, as `ApiError` writes them.
fn errors() -> [(String, Value); 5] {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let object = |properties: Value, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required });
    let plain = json!({
        "message": text, "type": text, "code": text, "param": { "type": ["string", "null"] }, "classes": texts,
    });
    let plain = object(plain, &["message", "type", "code"]);
    let detail = object(json!({ "@type": text, "reason": text }), &["@type", "reason"]);
    let google = json!({
        "code": { "type": "integer" }, "message": text, "status": text,
        "details": { "type": "array", "items": detail },
    });
    let google = object(google, &["code", "message", "status", "details"]);
    let anthropic = json!({ "type": { "const": "error" }, "error": plain });
    let data = object(json!({ "code": text, "exchange": text, "classes": texts }), &["code"]);
    let mcp = json!({ "code": { "type": "integer" }, "message": text, "data": data });
    let mcp = object(mcp, &["code", "message"]);
    let mcp = json!({ "jsonrpc": { "const": "2.0" }, "error": mcp });
    let bedrock = json!({ "message": text, "code": text });
    [
        (Family::OpenAi, object(json!({ "error": plain }), &["error"])),
        (Family::Anthropic, object(anthropic, &["type", "error"])),
        (Family::Bedrock, object(bedrock, &["message", "code"])),
        (Family::Google, object(json!({ "error": google }), &["error"])),
        (Family::Mcp, object(mcp, &["jsonrpc", "error"])),
    ]
    .map(|(family, schema)| (error(family).to_owned(), schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::rules::Api;

    #[test]
    fn every_route_is_in_the_document_and_every_path_of_it_is_one_of_its_route() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        let mut operations = 0;
        for route in ROUTES {
            assert!(!route.shows.is_empty(), "{} is not shown", route.path);
            for shown in route.shows {
                let method = route.method.to_ascii_lowercase();
                let operation = &document["paths"][shown.path][method];
                assert_eq!(operation["summary"], shown.summary, "{}", shown.path);
                let open = route.access == Access::Public;
                assert_eq!(operation["security"] == json!([]), open, "{}", shown.path);
                // What stands before the first hole of the route stands in the document too.
                let fixed = route.path.split('{').next().unwrap_or_default();
                assert!(shown.path.starts_with(fixed), "{}", shown.path);
                operations += 1;
            }
        }
        let shown: usize = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|it| it.as_object().unwrap().len())
            .sum();
        assert_eq!(shown, operations, "two routes show the same operation");
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere_and_every_api_is_asked() {
        let document: Value = serde_json::from_str(&DOCUMENT).unwrap();
        let text = DOCUMENT.as_str();
        let mut references = 0;
        for rest in text.split("\"$ref\":\"#").skip(1) {
            let pointer = rest.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{pointer}");
            references += 1;
        }
        assert!(references > 100, "{references}");
        for api in [Api::ChatCompletions, Api::Converse, Api::GenerateContent, Api::CountTokens] {
            let asked = ROUTES.iter().flat_map(|it| it.shows);
            assert!(
                asked.into_iter().any(|it| matches!(it.takes, Takes::Request(one) if one == api))
            );
        }
    }
}
