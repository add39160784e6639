//! The shapes of Anthropic Messages: `message`, and the events that make one.

use super::asked::Asked;
use super::reply::{Pieces, Reply};
use super::said::{Cited, Finish, Part, Said, cut, said};
use super::wire::Event;
use serde_json::{Value, json};

fn stop_reason(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
        Finish::Filtered => "refusal",
    }
}

fn citation(cited: &Cited) -> Value {
    json!({ "type": "char_location", "cited_text": cited.text, "document_index": 0,
            "document_title": cited.title, "file_id": null, "start_char_index": 0,
            "end_char_index": cited.text.chars().count() })
}

fn block(part: &Part) -> Value {
    match part {
        // A refusal is text; the reason of the stop says what it is.
        Part::Text(text, None) | Part::Refusal(text) => {
            json!({ "type": "text", "text": text, "citations": null })
        }
        Part::Text(text, Some(cited)) => {
            json!({ "type": "text", "text": text, "citations": [citation(cited)] })
        }
        Part::Thinking { text, signature } => {
            json!({ "type": "thinking", "thinking": text, "signature": signature })
        }
        Part::Redacted(data) => json!({ "type": "redacted_thinking", "data": data }),
        Part::Call(call) => {
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.input() })
        }
    }
}

fn message(
    asked: &Asked<'_>,
    number: usize,
    content: &[Value],
    stop: Option<&str>,
    usage: &Value,
) -> Value {
    json!({ "id": format!("msg_standin{number:010}"), "type": "message", "role": "assistant",
            "model": asked.route.model, "content": content, "stop_reason": stop,
            "stop_sequence": null, "usage": usage })
}

fn usage(said: &Said, output: u64) -> Value {
    json!({ "input_tokens": said.input, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output, "service_tier": "standard" })
}

/// The answer as one `message` object.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let content: Vec<Value> = said.parts.iter().map(block).collect();
    message(asked, number, &content, Some(stop_reason(&said)), &usage(&said, said.output))
}

/// The answer as events. The blocks come one after the other, as they do from the real server.
pub(super) fn events(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Event> {
    let said = said(reply, asked);
    let begun = message(asked, number, &[], None, &usage(&said, 1));
    let mut events = vec![json!({ "type": "message_start", "message": begun })];
    for (index, part) in said.parts.iter().enumerate() {
        events.push(json!({ "type": "content_block_start", "index": index,
                            "content_block": empty(part) }));
        if index == 0 {
            events.push(json!({ "type": "ping" }));
        }
        for delta in deltas(part, &reply.pieces) {
            events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        }
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    let delta = json!({ "stop_reason": stop_reason(&said), "stop_sequence": null });
    events.push(json!({ "type": "message_delta", "delta": delta,
                        "usage": { "output_tokens": said.output } }));
    events.push(json!({ "type": "message_stop" }));
    events.into_iter().map(Event::typed).collect()
}

fn empty(part: &Part) -> Value {
    match part {
        Part::Text(..) | Part::Refusal(_) => json!({ "type": "text", "text": "" }),
        Part::Thinking { .. } => json!({ "type": "thinking", "thinking": "", "signature": "" }),
        // It has no deltas: all of it comes at once.
        Part::Redacted(data) => json!({ "type": "redacted_thinking", "data": data }),
        Part::Call(call) => {
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} })
        }
    }
}

fn deltas(part: &Part, pieces: &Pieces) -> Vec<Value> {
    let text = |piece: &str| json!({ "type": "text_delta", "text": piece });
    match part {
        Part::Refusal(said) => cut(said, pieces).into_iter().map(text).collect(),
        Part::Text(said, cited) => {
            let citations = cited
                .iter()
                .map(|cited| json!({ "type": "citations_delta", "citation": citation(cited) }));
            citations.chain(cut(said, pieces).into_iter().map(text)).collect()
        }
        Part::Thinking { text, signature } => {
            let piece = |piece: &str| json!({ "type": "thinking_delta", "thinking": piece });
            let mut deltas: Vec<Value> = cut(text, pieces).into_iter().map(piece).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": signature }));
            deltas
        }
        Part::Redacted(_) => Vec::new(),
        Part::Call(call) => {
            let piece = |piece: &str| json!({ "type": "input_json_delta", "partial_json": piece });
            // The real server begins with an empty piece.
            let pieces = cut(&call.arguments, pieces).into_iter().map(piece);
            std::iter::once(piece("")).chain(pieces).collect()
        }
    }
}

/// The answer to `count_tokens`.
pub(super) fn count(reply: &Reply, asked: &Asked<'_>) -> Value {
    json!({ "input_tokens": said(reply, asked).input })
}
