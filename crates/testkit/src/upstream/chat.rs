//! The shapes of OpenAI chat completions: `chat.completion` and `chat.completion.chunk`.

use super::asked::Asked;
use super::reply::{Pieces, Reply};
use super::said::{CREATED, Call, DOCUMENT_URL, Finish, Said, cut, ordered, said, with};
use super::tokens::Tokens;
use serde_json::{Value, json};

/// Each `[CLASS_XXXXXXXX]` in a text, once, in order of first appearance: an upper-case class, an
/// underscore, and eight upper-case letters or digits.
#[must_use]
pub fn surrogates_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for token in Tokens::bulla().in_text(text) {
        if !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

fn finish(said: &Said) -> &str {
    if let Some(word) = &said.finish_word {
        return word;
    }
    match said.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

pub(super) fn usage(said: &Said) -> Value {
    json!({
        "prompt_tokens": said.input,
        "completion_tokens": said.output,
        "total_tokens": said.input + said.output,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
        }
    })
}

fn logprobs(pieces: &[&str]) -> Value {
    let piece = |text: &&str| {
        json!({ "token": text, "logprob": -0.25, "bytes": text.as_bytes(), "top_logprobs": [
            { "token": text, "logprob": -0.25, "bytes": text.as_bytes() }
        ] })
    };
    json!({ "content": pieces.iter().map(piece).collect::<Vec<_>>(), "refusal": null })
}

fn head(object: &str, asked: &Asked<'_>, number: usize) -> Value {
    json!({
        "id": format!("chatcmpl-standin{number:010}"),
        "object": object,
        "created": CREATED,
        "model": asked.route.model,
        "service_tier": "default",
        "system_fingerprint": "fp_standin"
    })
}

fn annotations(said: &Said) -> Vec<Value> {
    let annotation = |(cited, begin, end): &(&super::said::Cited, usize, usize)| {
        json!({ "type": "url_citation", "url_citation": { "start_index": begin, "end_index": end,
                "title": cited.title, "url": DOCUMENT_URL } })
    };
    said.cited().iter().map(annotation).collect()
}

/// The answer as one `chat.completion` object.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let mut message = json!({
        "role": "assistant", "content": said.text(), "refusal": said.refusal(),
        "annotations": annotations(&said)
    });
    if let Some(thinking) = said.thinking() {
        message = with(message, json!({ "reasoning_content": thinking }));
    }
    let call = |call: &Call| {
        json!({ "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": call.arguments } })
    };
    let calls: Vec<Value> = said.calls().map(call).collect();
    if !calls.is_empty() {
        message = with(message, json!({ "tool_calls": calls }));
    }
    let text = said.text().unwrap_or_default();
    let probabilities =
        if said.logprobs { logprobs(&cut(&text, &reply.pieces)) } else { Value::Null };
    let choice = |index: u64| {
        json!({ "index": index, "message": message, "logprobs": probabilities,
                "finish_reason": finish(&said) })
    };
    let choices: Vec<Value> = (0..asked.choices()).map(choice).collect();
    with(
        head("chat.completion", asked, number),
        json!({ "choices": choices, "usage": usage(&said) }),
    )
}

/// The answer as `chat.completion.chunk` objects: role, deltas, finish, and usage where asked for.
pub(super) fn chunks(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Value> {
    let said = said(reply, asked);
    let with_usage = asked.flag("/stream_options/include_usage");
    let chunk = |choices: Value, usage: Value| {
        let chunk =
            with(head("chat.completion.chunk", asked, number), json!({ "choices": choices }));
        if with_usage { with(chunk, json!({ "usage": usage })) } else { chunk }
    };
    let mut chunks = Vec::new();
    for (delta, probabilities) in deltas(&said, &reply.pieces) {
        for index in 0..asked.choices() {
            let choice = json!({ "index": index, "delta": delta, "logprobs": probabilities,
                                 "finish_reason": null });
            chunks.push(chunk(json!([choice]), Value::Null));
        }
    }
    for index in 0..asked.choices() {
        let choice = json!({ "index": index, "delta": {}, "logprobs": null,
                             "finish_reason": finish(&said) });
        chunks.push(chunk(json!([choice]), Value::Null));
    }
    if with_usage {
        chunks.push(chunk(json!([]), usage(&said)));
    }
    chunks
}

/// The deltas of one choice, each with its log probabilities.
fn deltas(said: &Said, pieces: &Pieces) -> Vec<(Value, Value)> {
    let text = said.text();
    let role = match (&text, said.refusal()) {
        (Some(_), _) => json!({ "role": "assistant", "content": "", "refusal": null }),
        (None, Some(_)) => json!({ "role": "assistant", "content": null, "refusal": "" }),
        (None, None) => json!({ "role": "assistant", "content": null }),
    };
    let mut deltas = vec![(role, Value::Null)];
    for part in cut(said.thinking().unwrap_or_default(), pieces) {
        deltas.push((json!({ "reasoning_content": part }), Value::Null));
    }
    for part in cut(text.as_deref().unwrap_or_default(), pieces) {
        let probabilities = if said.logprobs { logprobs(&[part]) } else { Value::Null };
        deltas.push((json!({ "content": part }), probabilities));
    }
    let annotations = annotations(said);
    if !annotations.is_empty() {
        deltas.push((json!({ "annotations": annotations }), Value::Null));
    }
    for part in cut(said.refusal().unwrap_or_default(), pieces) {
        deltas.push((json!({ "refusal": part }), Value::Null));
    }
    deltas.extend(tool_deltas(said, pieces).into_iter().map(|delta| (delta, Value::Null)));
    deltas
}

fn tool_deltas(said: &Said, pieces: &Pieces) -> Vec<Value> {
    let lane = |(index, call): (usize, &Call)| {
        let begin = json!({ "index": index, "id": call.id, "type": "function",
                            "function": { "name": call.name, "arguments": "" } });
        let part = |part: &str| json!({ "index": index, "function": { "arguments": part } });
        let parts = cut(&call.arguments, pieces).into_iter().map(part);
        std::iter::once(begin).chain(parts).collect()
    };
    let lanes = said.calls().enumerate().map(lane).collect();
    ordered(lanes, said.order).into_iter().map(|call| json!({ "tool_calls": [call] })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_surrogates_are_found() {
        let text = "[NAME_AB12CD34] [name_AB12CD34] [HEALTH_PLAN_ID_00000000] [[DATE_ZZZZZZZZ]] \
                    [NAME_AB12CD34] [NAME_SHORT] [NAME_AB12CD34";
        assert_eq!(
            surrogates_in(text),
            ["[NAME_AB12CD34]", "[HEALTH_PLAN_ID_00000000]", "[DATE_ZZZZZZZZ]"]
        );
    }
}
