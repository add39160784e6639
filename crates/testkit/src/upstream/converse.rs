//! The shapes of Amazon Bedrock Converse and `ConverseStream`.

use super::asked::Asked;
use super::reply::{Pieces, Reply};
use super::said::{Cited, Finish, Part, Said, cut, said};
use super::wire::Event;
use data_encoding::BASE64;
use serde_json::{Value, json};

fn stop_reason(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
        Finish::Filtered => "content_filtered",
    }
}

fn citation(cited: &Cited) -> Value {
    json!({ "title": cited.title, "sourceContent": [{ "text": cited.text }], "location": { "documentChar": {
        "documentIndex": 0, "start": 0, "end": cited.text.chars().count() } } })
}

fn block(part: &Part) -> Value {
    match part {
        Part::Text(text, None) | Part::Refusal(text) => json!({ "text": text }),
        Part::Text(text, Some(cited)) => {
            json!({ "citationsContent": { "content": [{ "text": text }],
                                          "citations": [citation(cited)] } })
        }
        Part::Thinking { text, signature } => {
            json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": signature } } })
        }
        Part::Redacted(data) => {
            json!({ "reasoningContent": { "redactedContent": BASE64.encode(data.as_bytes()) } })
        }
        Part::Call(call) => {
            json!({ "toolUse": { "toolUseId": call.id, "name": call.name, "input": call.input() } })
        }
    }
}

fn usage(said: &Said) -> Value {
    json!({ "inputTokens": said.input, "outputTokens": said.output,
            "totalTokens": said.input + said.output })
}

/// The answer as one document.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>) -> Value {
    let said = said(reply, asked);
    let content: Vec<Value> = said.parts.iter().map(block).collect();
    json!({ "output": { "message": { "role": "assistant", "content": content } },
            "stopReason": stop_reason(&said), "usage": usage(&said), "metrics": { "latencyMs": 1 } })
}

/// The answer as events. The real server fills each up with a member `p` of some letters.
pub(super) fn events(reply: &Reply, asked: &Asked<'_>) -> Vec<Event> {
    let said = said(reply, asked);
    let event = |kind: &str, data: Value| Event::named(kind, data);
    let mut events =
        vec![event("messageStart", json!({ "role": "assistant", "p": "abcdefghijkl" }))];
    for (index, part) in said.parts.iter().enumerate() {
        if let Part::Call(call) = part {
            let start = json!({ "toolUse": { "toolUseId": call.id, "name": call.name } });
            let data = json!({ "contentBlockIndex": index, "start": start, "p": "abcdef" });
            events.push(event("contentBlockStart", data));
        }
        for delta in deltas(part, &reply.pieces) {
            let data = json!({ "contentBlockIndex": index, "delta": delta, "p": "abcd" });
            events.push(event("contentBlockDelta", data));
        }
        events.push(event("contentBlockStop", json!({ "contentBlockIndex": index, "p": "ab" })));
    }
    events.push(event("messageStop", json!({ "stopReason": stop_reason(&said), "p": "abc" })));
    let metadata = json!({ "usage": usage(&said), "metrics": { "latencyMs": 1 }, "p": "a" });
    events.push(event("metadata", metadata));
    events
}

fn deltas(part: &Part, pieces: &Pieces) -> Vec<Value> {
    match part {
        Part::Refusal(text) => {
            cut(text, pieces).into_iter().map(|it| json!({ "text": it })).collect()
        }
        Part::Text(text, cited) => {
            let texts = cut(text, pieces).into_iter().map(|it| json!({ "text": it }));
            let citations = cited.iter().map(|cited| json!({ "citation": citation(cited) }));
            texts.chain(citations).collect()
        }
        Part::Thinking { text, signature } => {
            let texts = cut(text, pieces)
                .into_iter()
                .map(|it| json!({ "reasoningContent": { "text": it } }));
            texts.chain([json!({ "reasoningContent": { "signature": signature } })]).collect()
        }
        Part::Redacted(data) => {
            let sealed = BASE64.encode(data.as_bytes());
            vec![json!({ "reasoningContent": { "redactedContent": sealed } })]
        }
        Part::Call(call) => {
            let piece = |it: &str| json!({ "toolUse": { "input": it } });
            cut(&call.arguments, pieces).into_iter().map(piece).collect()
        }
    }
}
