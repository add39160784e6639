//! Writes what is asked in the dialect of a caller.

use super::vector::{Ask, Tool, Turn, Way};
use crate::client::Request;
use crate::upstream::Dialect;
use serde_json::{Map, Value, json};

/// A request of a caller.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) path: String,
    pub(super) body: Value,
}

impl Asking {
    /// The request with the key in each of the forms that clients of the dialect use.
    pub(super) fn request(&self, dialect: Dialect, key: &str) -> Request {
        let request = Request::post(&self.path, &self.body).bearer(key);
        match dialect {
            Dialect::Messages | Dialect::CountTokens => {
                request.header("x-api-key", key).header("anthropic-version", "2023-06-01")
            }
            Dialect::Gemini => request.header("x-goog-api-key", key),
            Dialect::Chat
            | Dialect::Responses
            | Dialect::Completions
            | Dialect::Embeddings
            | Dialect::Converse => request,
        }
    }
}

/// Writes a request.
pub(super) fn asking(ask: &Ask, dialect: Dialect, way: Way, model: &str) -> Asking {
    let mut body = match dialect {
        Dialect::Chat => chat(ask, model, way),
        Dialect::Responses => responses(ask, model),
        Dialect::Completions => completions(ask, model, way),
        Dialect::Embeddings => json!({ "model": model, "input": texts(ask) }),
        Dialect::Messages => put(messages(ask, model), "max_tokens", json!(1024)),
        Dialect::CountTokens => messages(ask, model),
        Dialect::Converse => converse(ask),
        Dialect::Gemini => gemini(ask),
    };
    let flagged = !matches!(dialect, Dialect::Converse | Dialect::Gemini);
    if flagged && way == Way::Stream {
        body = put(body, "stream", json!(true));
    }
    if let Some(extra) = ask.extra.get(dialect.name()) {
        merge(&mut body, extra);
    }
    let path = match (dialect, way) {
        (Dialect::Chat, _) => "/v1/chat/completions".to_owned(),
        (Dialect::Responses, _) => "/v1/responses".to_owned(),
        (Dialect::Completions, _) => "/v1/completions".to_owned(),
        (Dialect::Embeddings, _) => "/v1/embeddings".to_owned(),
        (Dialect::Messages, _) => "/v1/messages".to_owned(),
        (Dialect::CountTokens, _) => "/v1/messages/count_tokens".to_owned(),
        (Dialect::Converse, Way::Whole) => format!("/model/{model}/converse"),
        (Dialect::Converse, Way::Stream) => format!("/model/{model}/converse-stream"),
        (Dialect::Gemini, Way::Whole) => format!("/v1beta/models/{model}:generateContent"),
        (Dialect::Gemini, Way::Stream) => {
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
        }
    };
    Asking { path, body }
}

fn put(mut body: Value, key: &str, value: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    body
}

/// Objects grow together, lists too; else the extra value takes the place.
fn merge(body: &mut Value, extra: &Value) {
    match (body, extra) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                merge(fields.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(more)) => items.extend(more.iter().cloned()),
        (body, extra) => body.clone_from(extra),
    }
}

/// The tools that are offered: those of the vector, and each that was called.
fn tools(ask: &Ask) -> Vec<Tool> {
    let mut tools = ask.tools.clone();
    for turn in &ask.turns {
        if let Turn::Call { call, .. } = turn
            && !tools.iter().any(|tool| tool.name == *call)
        {
            let tool = Tool { name: call.clone(), description: String::new(), parameters: None };
            tools.push(tool);
        }
    }
    tools
}

fn function(tool: &Tool, schema: &str) -> Value {
    let parameters = tool.parameters.clone();
    let parameters = parameters.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
    let mut function = json!({ "name": tool.name, schema: parameters });
    if !tool.description.is_empty() {
        function = put(function, "description", json!(tool.description));
    }
    function
}

/// Every text of the conversation, for dialects that know no turns.
fn texts(ask: &Ask) -> Vec<String> {
    let turns = ask.turns.iter().flat_map(|turn| match turn {
        Turn::User { user } => vec![user.clone()],
        Turn::Parts { parts } => parts.clone(),
        Turn::Assistant { assistant } => vec![assistant.clone()],
        Turn::Call { arguments, result, .. } => vec![arguments.to_string(), result.clone()],
    });
    ask.system.iter().cloned().chain(turns).collect()
}

fn chat(ask: &Ask, model: &str, way: Way) -> Value {
    let mut messages = Vec::new();
    messages.extend(ask.system.iter().map(|it| json!({ "role": "system", "content": it })));
    for (place, turn) in ask.turns.iter().enumerate() {
        let id = format!("call_{place}");
        match turn {
            Turn::User { user } => messages.push(json!({ "role": "user", "content": user })),
            Turn::Parts { parts } => {
                let parts: Vec<Value> =
                    parts.iter().map(|it| json!({ "type": "text", "text": it })).collect();
                messages.push(json!({ "role": "user", "content": parts }));
            }
            Turn::Assistant { assistant } => {
                messages.push(json!({ "role": "assistant", "content": assistant }));
            }
            Turn::Call { call, arguments, result } => {
                let function = json!({ "name": call, "arguments": arguments.to_string() });
                messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [
                    { "id": id, "type": "function", "function": function }] }));
                messages.push(json!({ "role": "tool", "tool_call_id": id, "content": result }));
            }
        }
    }
    let mut body = json!({ "model": model, "messages": messages });
    let tool = |it: &Tool| json!({ "type": "function", "function": function(it, "parameters") });
    let tools: Vec<Value> = tools(ask).iter().map(tool).collect();
    if !tools.is_empty() {
        body = put(body, "tools", json!(tools));
    }
    if let Some(count) = ask.choices {
        body = put(body, "n", json!(count));
    }
    if ask.json {
        body = put(body, "response_format", json!({ "type": "json_object" }));
    }
    if ask.logprobs {
        body = put(body, "logprobs", json!(true));
    }
    if ask.usage && way == Way::Stream {
        body = put(body, "stream_options", json!({ "include_usage": true }));
    }
    body
}

fn responses(ask: &Ask, model: &str) -> Value {
    let mut input = Vec::new();
    for (place, turn) in ask.turns.iter().enumerate() {
        let id = format!("call_{place}");
        match turn {
            Turn::User { user } => input.push(json!({ "role": "user", "content": user })),
            Turn::Parts { parts } => {
                let parts: Vec<Value> =
                    parts.iter().map(|it| json!({ "type": "input_text", "text": it })).collect();
                input.push(json!({ "role": "user", "content": parts }));
            }
            Turn::Assistant { assistant } => {
                input.push(json!({ "role": "assistant", "content": assistant }));
            }
            Turn::Call { call, arguments, result } => {
                input.push(json!({ "type": "function_call", "call_id": id, "name": call,
                                   "arguments": arguments.to_string() }));
                input.push(
                    json!({ "type": "function_call_output", "call_id": id, "output": result }),
                );
            }
        }
    }
    let mut body = json!({ "model": model, "input": input, "store": false });
    if let Some(system) = &ask.system {
        body = put(body, "instructions", json!(system));
    }
    let tool = |it: &Tool| put(function(it, "parameters"), "type", json!("function"));
    let tools: Vec<Value> = tools(ask).iter().map(tool).collect();
    if !tools.is_empty() {
        body = put(body, "tools", json!(tools));
    }
    if ask.json {
        body = put(body, "text", json!({ "format": { "type": "json_object" } }));
    }
    if ask.logprobs {
        body = put(body, "include", json!(["message.output_text.logprobs"]));
    }
    body
}

fn completions(ask: &Ask, model: &str, way: Way) -> Value {
    let mut body = json!({ "model": model, "prompt": texts(ask).join("\n") });
    if let Some(count) = ask.choices {
        body = put(body, "n", json!(count));
    }
    if ask.logprobs {
        body = put(body, "logprobs", json!(1));
    }
    if ask.usage && way == Way::Stream {
        body = put(body, "stream_options", json!({ "include_usage": true }));
    }
    body
}

/// Turns of dialects in which the results of tools are the user's, turns of one role joined.
fn joined(ask: &Ask, write: &dyn Fn(Said<'_>) -> Value) -> Vec<(&'static str, Vec<Value>)> {
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    let mut add = |role, block| match turns.last_mut() {
        Some((last, blocks)) if *last == role => blocks.push(block),
        Some(_) | None => turns.push((role, vec![block])),
    };
    for (place, turn) in ask.turns.iter().enumerate() {
        let id = format!("call_{place}");
        match turn {
            Turn::User { user } => add("user", write(Said::Text(user))),
            Turn::Parts { parts } => {
                for part in parts {
                    add("user", write(Said::Text(part)));
                }
            }
            Turn::Assistant { assistant } => add("assistant", write(Said::Text(assistant))),
            Turn::Call { call, arguments, result } => {
                add("assistant", write(Said::Call { id: &id, call, arguments }));
                add("user", write(Said::Result { id: &id, call, result }));
            }
        }
    }
    turns
}

/// One block of such a turn.
enum Said<'a> {
    Text(&'a str),
    Call { id: &'a str, call: &'a str, arguments: &'a Value },
    Result { id: &'a str, call: &'a str, result: &'a str },
}

fn messages(ask: &Ask, model: &str) -> Value {
    let block = |said: Said<'_>| match said {
        Said::Text(text) => json!({ "type": "text", "text": text }),
        Said::Call { id, call, arguments } => {
            json!({ "type": "tool_use", "id": id, "name": call, "input": arguments })
        }
        Said::Result { id, result, .. } => {
            json!({ "type": "tool_result", "tool_use_id": id, "content": result })
        }
    };
    let turns = joined(ask, &block).into_iter();
    let turns: Vec<Value> =
        turns.map(|(role, blocks)| json!({ "role": role, "content": blocks })).collect();
    let mut body = json!({ "model": model, "messages": turns });
    if let Some(system) = &ask.system {
        body = put(body, "system", json!(system));
    }
    let tools: Vec<Value> = tools(ask).iter().map(|it| function(it, "input_schema")).collect();
    if tools.is_empty() { body } else { put(body, "tools", json!(tools)) }
}

fn converse(ask: &Ask) -> Value {
    let block = |said: Said<'_>| match said {
        Said::Text(text) => json!({ "text": text }),
        Said::Call { id, call, arguments } => {
            json!({ "toolUse": { "toolUseId": id, "name": call, "input": arguments } })
        }
        Said::Result { id, result, .. } => {
            json!({ "toolResult": { "toolUseId": id, "content": [{ "text": result }] } })
        }
    };
    let turns = joined(ask, &block).into_iter();
    let turns: Vec<Value> =
        turns.map(|(role, blocks)| json!({ "role": role, "content": blocks })).collect();
    let mut body = json!({ "messages": turns, "inferenceConfig": { "maxTokens": 1024 } });
    if let Some(system) = &ask.system {
        body = put(body, "system", json!([{ "text": system }]));
    }
    let tool = |it: &Tool| {
        let mut tool = function(it, "inputSchema");
        if let Some(schema) = tool.get_mut("inputSchema") {
            *schema = json!({ "json": schema.take() });
        }
        json!({ "toolSpec": tool })
    };
    let tools: Vec<Value> = tools(ask).iter().map(tool).collect();
    if tools.is_empty() { body } else { put(body, "toolConfig", json!({ "tools": tools })) }
}

fn gemini(ask: &Ask) -> Value {
    let part = |said: Said<'_>| match said {
        Said::Text(text) => json!({ "text": text }),
        Said::Call { call, arguments, .. } => {
            json!({ "functionCall": { "name": call, "args": arguments } })
        }
        Said::Result { call, result, .. } => {
            json!({ "functionResponse": { "name": call, "response": { "result": result } } })
        }
    };
    let role = |role| if role == "assistant" { "model" } else { role };
    let turns = joined(ask, &part).into_iter();
    let turns: Vec<Value> =
        turns.map(|(it, parts)| json!({ "role": role(it), "parts": parts })).collect();
    let mut body = json!({ "contents": turns });
    if let Some(system) = &ask.system {
        body = put(body, "systemInstruction", json!({ "parts": [{ "text": system }] }));
    }
    let tools: Vec<Value> = tools(ask).iter().map(|it| function(it, "parameters")).collect();
    if !tools.is_empty() {
        body = put(body, "tools", json!([{ "functionDeclarations": tools }]));
    }
    let mut config = Map::new();
    if let Some(count) = ask.choices {
        config.insert("candidateCount".to_owned(), json!(count));
    }
    if ask.json {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
    }
    if ask.logprobs {
        config.insert("responseLogprobs".to_owned(), json!(true));
    }
    if config.is_empty() { body } else { put(body, "generationConfig", json!(config)) }
}
