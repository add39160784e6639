//! What a synthetic caller asks and a stand-in for a model answers, in each dialect.
//!
//! The stand-in is a model that says again what it was told, so that what was replaced on the way out
//! must come back on the way in.

use gate::rules::Api;
use phi::Text;
use providers::{Addressed, McpSession};
use serde_json::{Value, json};
use std::sync::Arc;

/// Every interface in which a model is asked.
pub(super) const APIS: [Api; 8] = [
    Api::ChatCompletions,
    Api::Completions,
    Api::Embeddings,
    Api::Responses,
    Api::Messages,
    Api::CountTokens,
    Api::Converse,
    Api::GenerateContent,
];

/// Whether an answer comes whole or in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Whole,
    Stream,
}

impl Way {
    /// The ways in which an interface answers.
    pub(super) const fn of(api: Api) -> &'static [Self] {
        match api {
            Api::ChatCompletions
            | Api::Completions
            | Api::Responses
            | Api::Messages
            | Api::Converse
            | Api::GenerateContent => &[Self::Whole, Self::Stream],
            Api::Embeddings | Api::CountTokens | Api::Mcp => &[Self::Whole],
        }
    }
}

/// How many characters each piece of a stream has: fewer than the shortest surrogate, so that each is cut.
const PIECE_CHARS: usize = 7;

/// A request that says `text` as the caller's words, and the end of it as the application's own.
pub(super) fn ask(api: Api, way: Way, model: &str, text: &str) -> (Addressed, Value) {
    let own = text.lines().next_back().unwrap_or_default();
    let user = json!([{ "role": "user", "content": text }]);
    let mut body = match api {
        Api::ChatCompletions => json!({ "model": model, "messages": [
            { "role": "system", "content": own }, { "role": "user", "content": text }] }),
        Api::Completions => json!({ "model": model, "prompt": text }),
        Api::Embeddings => json!({ "model": model, "input": text }),
        Api::Responses => {
            json!({ "model": model, "instructions": own, "input": user, "store": false })
        }
        Api::Messages => {
            json!({ "model": model, "max_tokens": 1024, "system": own, "messages": user })
        }
        Api::CountTokens => json!({ "model": model, "system": own, "messages": user }),
        Api::Converse => json!({ "system": [{ "text": own }], "messages": [
            { "role": "user", "content": [{ "text": text }] }] }),
        Api::GenerateContent => json!({ "systemInstruction": { "parts": [{ "text": own }] },
            "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
        Api::Mcp => return call(model, text),
    };
    let in_address = matches!(api, Api::Converse | Api::GenerateContent);
    let streams = way == Way::Stream;
    if let Value::Object(members) = &mut body
        && streams
        && !in_address
    {
        members.insert("stream".to_owned(), json!(true));
    }
    let addressed = if in_address {
        Addressed { model: Some(Text::from(model)), stream: streams, ..Addressed::default() }
    } else {
        Addressed::default()
    };
    (addressed, body)
}

/// A call of a tool, of which the route's name is the server's and its own.
fn call(route: &str, text: &str) -> (Addressed, Value) {
    let (server, tool) = route.split_once('/').unwrap_or((route, ""));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": { "text": text } } });
    let (model, session) = (Some(Text::from(server)), Some(Arc::new(McpSession::new())));
    (Addressed { model, session, ..Addressed::default() }, body)
}

/// The whole answer of an interface.
pub(super) fn whole(api: Api, text: &str) -> Value {
    let counted = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    match api {
        Api::ChatCompletions => json!({ "id": "chatcmpl-selftest", "object": "chat.completion",
            "created": 0, "model": "selftest", "usage": counted, "choices": [{ "index": 0,
            "finish_reason": "stop", "message": { "role": "assistant", "content": text } }] }),
        Api::Completions => json!({ "id": "cmpl-selftest", "object": "text_completion",
            "created": 0, "model": "selftest", "usage": counted,
            "choices": [{ "index": 0, "finish_reason": "stop", "text": text }] }),
        Api::Embeddings => json!({ "object": "list", "model": "selftest", "usage": counted,
            "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }] }),
        Api::Responses => response("completed", &json!([message(text)])),
        Api::Messages => json!({ "id": "msg_selftest", "type": "message", "role": "assistant",
            "model": "selftest", "stop_reason": "end_turn", "stop_sequence": null,
            "content": [{ "type": "text", "text": text }],
            "usage": { "input_tokens": 1, "output_tokens": 1 } }),
        Api::CountTokens => json!({ "input_tokens": 1 }),
        Api::Converse => json!({ "stopReason": "end_turn",
            "output": { "message": { "role": "assistant", "content": [{ "text": text }] } },
            "usage": { "inputTokens": 1, "outputTokens": 1, "totalTokens": 2 } }),
        Api::GenerateContent => candidate(text, Some("STOP")),
        // It is the first request of its session, and Bulla counts them.
        Api::Mcp => json!({ "jsonrpc": "2.0", "id": 1,
            "result": { "content": [{ "type": "text", "text": text }] } }),
    }
}

fn message(text: &str) -> Value {
    json!({ "id": "msg_selftest", "type": "message", "status": "completed", "role": "assistant",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }] })
}

fn response(status: &str, output: &Value) -> Value {
    json!({ "id": "resp_selftest", "object": "response", "created_at": 0, "status": status,
            "error": null, "model": "selftest", "output": output,
            "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 } })
}

fn candidate(text: &str, reason: Option<&str>) -> Value {
    let content = json!({ "role": "model", "parts": [{ "text": text }] });
    let mut candidate = json!({ "index": 0, "content": content });
    if let (Value::Object(members), Some(reason)) = (&mut candidate, reason) {
        members.insert("finishReason".to_owned(), json!(reason));
    }
    json!({ "candidates": [candidate], "modelVersion": "selftest" })
}

/// One event of a stream: its name, where the frame has it beside the data, and its data.
pub(super) type Event = (Option<&'static str>, String);

/// The streamed answer of an interface, cut so that no surrogate comes in one piece.
pub(super) fn stream(api: Api, text: &str) -> Vec<Event> {
    let pieces = pieces(text);
    let plain = |data: Value| (None, data.to_string());
    match api {
        Api::ChatCompletions => chunks(
            &pieces,
            |piece, reason| json!({ "index": 0, "delta": { "content": piece }, "finish_reason": reason }),
        ),
        Api::Completions => chunks(
            &pieces,
            |piece, reason| json!({ "index": 0, "text": piece, "finish_reason": reason }),
        ),
        Api::Responses => responses(text, &pieces).into_iter().map(plain).collect(),
        Api::Messages => messages(&pieces).into_iter().map(plain).collect(),
        Api::Converse => converse(&pieces),
        Api::GenerateContent => {
            let mut events: Vec<Event> =
                pieces.iter().map(|piece| plain(candidate(piece, None))).collect();
            events.push(plain(candidate("", Some("STOP"))));
            events
        }
        Api::Embeddings | Api::CountTokens | Api::Mcp => Vec::new(),
    }
}

fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PIECE_CHARS).map(|piece| piece.iter().collect()).collect()
}

fn chunks(pieces: &[String], choice: impl Fn(&str, Option<&str>) -> Value) -> Vec<Event> {
    let chunk = |choice: Value| {
        let chunk = json!({ "id": "chatcmpl-selftest", "object": "chat.completion.chunk",
                            "created": 0, "model": "selftest", "choices": [choice] });
        (None, chunk.to_string())
    };
    let mut events: Vec<Event> = pieces.iter().map(|piece| chunk(choice(piece, None))).collect();
    events.push(chunk(choice("", Some("stop"))));
    events.push((None, "[DONE]".to_owned()));
    events
}

fn responses(text: &str, pieces: &[String]) -> Vec<Value> {
    let place = json!({ "item_id": "msg_selftest", "output_index": 0, "content_index": 0 });
    let at = |kind: &str, member: &str, value: Value| {
        let mut event = place.clone();
        if let Value::Object(members) = &mut event {
            members.insert("type".to_owned(), json!(kind));
            members.insert(member.to_owned(), value);
            members.insert("sequence_number".to_owned(), json!(0));
        }
        event
    };
    let mut events = vec![
        json!({ "type": "response.created", "sequence_number": 0,
                "response": response("in_progress", &json!([])) }),
        at("response.output_item.added", "item", message("")),
    ];
    let delta = |piece: &String| at("response.output_text.delta", "delta", json!(piece));
    events.extend(pieces.iter().map(delta));
    events.push(at("response.output_text.done", "text", json!(text)));
    events.push(at("response.output_item.done", "item", message(text)));
    events.push(json!({ "type": "response.completed", "sequence_number": 0,
                        "response": response("completed", &json!([message(text)])) }));
    events
}

fn messages(pieces: &[String]) -> Vec<Value> {
    let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
    let mut events = vec![
        json!({ "type": "message_start", "message": { "id": "msg_selftest", "type": "message",
                "role": "assistant", "model": "selftest", "content": [], "stop_reason": null,
                "stop_sequence": null, "usage": usage } }),
        json!({ "type": "content_block_start", "index": 0,
                "content_block": { "type": "text", "text": "" } }),
    ];
    events.extend(pieces.iter().map(|piece| {
        json!({ "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": piece } })
    }));
    events.push(json!({ "type": "content_block_stop", "index": 0 }));
    events.push(json!({ "type": "message_delta", "usage": usage,
                        "delta": { "stop_reason": "end_turn", "stop_sequence": null } }));
    events.push(json!({ "type": "message_stop" }));
    events
}

fn converse(pieces: &[String]) -> Vec<Event> {
    let event = |kind: &'static str, data: Value| (Some(kind), data.to_string());
    let mut events = vec![event("messageStart", json!({ "role": "assistant" }))];
    events.extend(pieces.iter().map(|piece| {
        let delta = json!({ "contentBlockIndex": 0, "delta": { "text": piece } });
        event("contentBlockDelta", delta)
    }));
    events.push(event("contentBlockStop", json!({ "contentBlockIndex": 0 })));
    events.push(event("messageStop", json!({ "stopReason": "end_turn" })));
    let usage = json!({ "inputTokens": 1, "outputTokens": 1, "totalTokens": 2 });
    events.push(event("metadata", json!({ "usage": usage })));
    events
}

/// Where the text of a whole answer stands; absent where an interface answers with numbers.
const fn place(api: Api, way: Way) -> Option<&'static str> {
    Some(match (api, way) {
        (Api::ChatCompletions, Way::Whole) => "/choices/0/message/content",
        (Api::ChatCompletions, Way::Stream) => "/choices/0/delta/content",
        (Api::Completions, _) => "/choices/0/text",
        (Api::Responses, Way::Whole) => "/output/0/content/0/text",
        // It is a text there, and the events that say it again have it elsewhere.
        (Api::Responses, Way::Stream) => "/delta",
        (Api::Messages | Api::Mcp, Way::Whole) => "/content/0/text",
        (Api::Messages | Api::Converse, Way::Stream) => "/delta/text",
        (Api::Converse, Way::Whole) => "/output/message/content/0/text",
        (Api::GenerateContent, _) => "/candidates/0/content/parts/0/text",
        (Api::Embeddings | Api::CountTokens, _) | (Api::Mcp, Way::Stream) => return None,
    })
}

/// What a caller reads of an answer, or of an event of one.
pub(super) fn read(api: Api, way: Way, document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    document.pointer(place(api, way)?)?.as_str().map(str::to_owned)
}

/// Whether an interface answers with text.
pub(super) const fn answers_in_words(api: Api) -> bool {
    place(api, Way::Whole).is_some()
}

/// The text that the stand-in says again: the last string of the request that begins with `mark`.
pub(super) fn told(body: &str, mark: &str) -> Option<String> {
    fn last(value: &Value, mark: &str, found: &mut Option<String>) {
        match value {
            Value::String(text) if text.starts_with(mark) => *found = Some(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| last(item, mark, found)),
            Value::Object(members) => members.values().for_each(|it| last(it, mark, found)),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let body: Value = serde_json::from_str(body).ok()?;
    let mut found = None;
    last(&body, mark, &mut found);
    found
}
