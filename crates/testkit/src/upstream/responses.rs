//! The shapes of OpenAI Responses: `response`, and the events that make one.
//!
//! The same text stands in `.delta`, `.done`, `output_item.done` and `response.completed`. Like the
//! real server, the stand-in repeats `instructions`, `tools`, `metadata` and more of the request.

use super::asked::Asked;
use super::reply::{Pieces, Reply, Tools};
use super::said::{
    CREATED, Call, Cited, DOCUMENT_URL, Finish, Part, Said, cut, ordered, said, with,
};
use super::wire::Event;
use serde_json::{Value, json};

/// Members of a request that the response repeats, with what stands there when the request has none.
fn repeated(asked: &Asked<'_>) -> Value {
    let defaults = json!({
        "instructions": null, "max_output_tokens": null, "metadata": {}, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": { "effort": null, "summary": null }, "store": true,
        "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "truncation": "disabled", "user": null
    });
    let Value::Object(mut members) = defaults else { return Value::Null };
    for (key, value) in &mut members {
        if let Some(given) = asked.body.get(key).filter(|it| !it.is_null()) {
            value.clone_from(given);
        }
    }
    Value::Object(members)
}

/// One item of the output.
enum Item<'s> {
    Message(Vec<&'s Part>),
    Reasoning(&'s Part),
    Call(&'s Call),
}

/// Text and refusals that follow each other are one message.
fn items(said: &Said) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for part in &said.parts {
        match part {
            Part::Text(..) | Part::Refusal(_) => match items.last_mut() {
                Some(Item::Message(parts)) => parts.push(part),
                Some(Item::Reasoning(_) | Item::Call(_)) | None => {
                    items.push(Item::Message(vec![part]));
                }
            },
            Part::Thinking { .. } | Part::Redacted(_) => items.push(Item::Reasoning(part)),
            Part::Call(call) => items.push(Item::Call(call)),
        }
    }
    items
}

fn annotation(cited: &Cited, text: &str) -> Value {
    json!({ "type": "url_citation", "start_index": 0, "end_index": text.chars().count(),
            "title": cited.title, "url": DOCUMENT_URL })
}

fn logprobs(said: &Said, pieces: &[&str]) -> Value {
    if !said.logprobs {
        return json!([]);
    }
    let piece = |text: &&str| {
        json!({ "token": text, "logprob": -0.25, "bytes": text.as_bytes(), "top_logprobs": [
            { "token": text, "logprob": -0.25, "bytes": text.as_bytes() }] })
    };
    pieces.iter().map(piece).collect()
}

fn content(said: &Said, part: &Part, pieces: &Pieces) -> Value {
    match part {
        Part::Refusal(text) => json!({ "type": "refusal", "refusal": text }),
        Part::Text(text, cited) => {
            let annotations: Vec<Value> = cited.iter().map(|it| annotation(it, text)).collect();
            json!({ "type": "output_text", "text": text, "annotations": annotations,
                    "logprobs": logprobs(said, &cut(text, pieces)) })
        }
        Part::Thinking { .. } | Part::Redacted(_) | Part::Call(_) => Value::Null,
    }
}

fn id(item: &Item<'_>, index: usize) -> String {
    let prefix = match item {
        Item::Message(_) => "msg",
        Item::Reasoning(_) => "rs",
        Item::Call(_) => "fc",
    };
    format!("{prefix}_standin{index:08}")
}

fn whole_item(said: &Said, item: &Item<'_>, index: usize, pieces: &Pieces) -> Value {
    let status = if said.finish == Finish::Length { "incomplete" } else { "completed" };
    let id = id(item, index);
    match item {
        Item::Message(parts) => {
            let content: Vec<Value> = parts.iter().map(|it| content(said, it, pieces)).collect();
            json!({ "id": id, "type": "message", "status": status, "role": "assistant",
                    "content": content })
        }
        Item::Call(call) => {
            json!({ "id": id, "type": "function_call", "status": status, "call_id": call.id,
                    "name": call.name, "arguments": call.arguments })
        }
        Item::Reasoning(part) => {
            let (summary, sealed) = match part {
                Part::Thinking { text, signature } => {
                    let sealed = Some(signature).filter(|it| !it.is_empty());
                    (json!([{ "type": "summary_text", "text": text }]), sealed)
                }
                Part::Redacted(data) => (json!([]), Some(data)),
                Part::Text(..) | Part::Call(_) | Part::Refusal(_) => (json!([]), None),
            };
            json!({ "id": id, "type": "reasoning", "summary": summary,
                    "encrypted_content": sealed })
        }
    }
}

fn response(
    asked: &Asked<'_>,
    number: usize,
    status: &str,
    output: &[Value],
    usage: &Value,
) -> Value {
    let response = json!({
        "id": format!("resp_standin{number:010}"), "object": "response", "created_at": CREATED,
        "status": status, "background": false, "error": null, "incomplete_details": null,
        "model": asked.route.model, "output": output, "service_tier": "default", "usage": usage
    });
    with(response, repeated(asked))
}

/// The answer as one `response` object.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let items = items(&said);
    let items = items.iter().enumerate();
    let output: Vec<Value> =
        items.map(|(index, item)| whole_item(&said, item, index, &reply.pieces)).collect();
    let usage = json!({
        "input_tokens": said.input, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": said.output, "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": said.input + said.output
    });
    let reason = match (said.finish, said.finish_word.as_deref()) {
        (Finish::Length, _) => Some("max_output_tokens"),
        (_, Some("content_filter")) => Some("content_filter"),
        (_, _) => None,
    };
    match reason {
        None => response(asked, number, "completed", &output, &usage),
        Some(reason) => {
            let details = json!({ "incomplete_details": { "reason": reason } });
            with(response(asked, number, "incomplete", &output, &usage), details)
        }
    }
}

/// The answer as events, each with its number.
pub(super) fn events(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Event> {
    let said = said(reply, asked);
    let begun = response(asked, number, "in_progress", &[], &Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
    ];
    let mut calls: Vec<Vec<Value>> = Vec::new();
    for (index, item) in items(&said).iter().enumerate() {
        let lane = lane(&said, item, index, &reply.pieces);
        if matches!(item, Item::Call(_)) && said.order == Tools::Interleaved {
            calls.push(lane);
        } else {
            events.extend(ordered(std::mem::take(&mut calls), said.order));
            events.extend(lane);
        }
    }
    events.extend(ordered(calls, said.order));
    let whole = whole(reply, asked, number);
    let kind = match whole.get("status").and_then(Value::as_str) {
        Some("incomplete") => "response.incomplete",
        Some(_) | None => "response.completed",
    };
    events.push(json!({ "type": kind, "response": whole }));
    let numbered = |(number, data): (usize, Value)| {
        Event::typed(with(data, json!({ "sequence_number": number })))
    };
    events.into_iter().enumerate().map(numbered).collect()
}

/// The events of one item.
fn lane(said: &Said, item: &Item<'_>, index: usize, pieces: &Pieces) -> Vec<Value> {
    let done = whole_item(said, item, index, pieces);
    let empty = match item {
        Item::Message(_) => json!({ "status": "in_progress", "content": [] }),
        Item::Call(_) => json!({ "status": "in_progress", "arguments": "" }),
        Item::Reasoning(_) => json!({ "summary": [], "encrypted_content": null }),
    };
    let added = with(done.clone(), empty);
    let of_item = |kind: &str, more: Value| {
        let id = id(item, index);
        with(json!({ "type": kind, "item_id": id, "output_index": index }), more)
    };
    let mut events = vec![json!({ "type": "response.output_item.added", "output_index": index,
                                  "item": added })];
    match item {
        Item::Message(parts) => {
            for (place, part) in parts.iter().enumerate() {
                events.extend(part_events(said, part, place, pieces, &of_item));
            }
        }
        Item::Call(call) => {
            for piece in cut(&call.arguments, pieces) {
                let delta = json!({ "delta": piece, "obfuscation": "standin" });
                events.push(of_item("response.function_call_arguments.delta", delta));
            }
            let done = json!({ "name": call.name, "arguments": call.arguments });
            events.push(of_item("response.function_call_arguments.done", done));
        }
        Item::Reasoning(part) => {
            if let Part::Thinking { text, .. } = part {
                events.extend(summary_events(text, pieces, &of_item));
            }
        }
    }
    events
        .push(json!({ "type": "response.output_item.done", "output_index": index, "item": done }));
    events
}

fn part_events(
    said: &Said,
    part: &Part,
    place: usize,
    pieces: &Pieces,
    of_item: &dyn Fn(&str, Value) -> Value,
) -> Vec<Value> {
    let at = |kind: &str, more: Value| of_item(kind, with(json!({ "content_index": place }), more));
    let done = content(said, part, pieces);
    let mut events = Vec::new();
    match part {
        Part::Refusal(text) => {
            let empty = json!({ "type": "refusal", "refusal": "" });
            events.push(at("response.content_part.added", json!({ "part": empty })));
            for piece in cut(text, pieces) {
                events.push(at("response.refusal.delta", json!({ "delta": piece })));
            }
            events.push(at("response.refusal.done", json!({ "refusal": text })));
        }
        Part::Text(text, cited) => {
            let empty =
                json!({ "type": "output_text", "text": "", "annotations": [], "logprobs": [] });
            events.push(at("response.content_part.added", json!({ "part": empty })));
            for piece in cut(text, pieces) {
                let delta = json!({ "delta": piece, "logprobs": logprobs(said, &[piece]),
                                    "obfuscation": "standin" });
                events.push(at("response.output_text.delta", delta));
            }
            if let Some(cited) = cited {
                let added = json!({ "annotation_index": 0, "annotation": annotation(cited, text) });
                events.push(at("response.output_text.annotation.added", added));
            }
            let all = json!({ "text": text, "logprobs": logprobs(said, &cut(text, pieces)) });
            events.push(at("response.output_text.done", all));
        }
        Part::Thinking { .. } | Part::Redacted(_) | Part::Call(_) => {}
    }
    events.push(at("response.content_part.done", json!({ "part": done })));
    events
}

fn summary_events(
    text: &str,
    pieces: &Pieces,
    of_item: &dyn Fn(&str, Value) -> Value,
) -> Vec<Value> {
    let at = |kind: &str, more: Value| of_item(kind, with(json!({ "summary_index": 0 }), more));
    let part = |text: &str| json!({ "part": { "type": "summary_text", "text": text } });
    let mut events = vec![at("response.reasoning_summary_part.added", part(""))];
    for piece in cut(text, pieces) {
        events.push(at("response.reasoning_summary_text.delta", json!({ "delta": piece })));
    }
    events.push(at("response.reasoning_summary_text.done", json!({ "text": text })));
    events.push(at("response.reasoning_summary_part.done", part(text)));
    events
}
