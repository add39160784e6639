//! The shapes of the OpenAI chat API: `chat.completion` and `chat.completion.chunk`.

use super::reply::{Arguments, Call, Pieces, Reply, Say, Source, Tools};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// When every answer was made: a fixed moment, so that the same request gives the same bytes.
const CREATED: u64 = 1_790_000_000;

/// Choices that one request may ask for; OpenAI's own limit.
const CHOICES_LIMIT: u64 = 128;

/// A surrogate's name is no longer than this.
const SURROGATE_LIMIT: usize = 64;

/// Each `[CLASS_XXXXXXXX]` in a text, once, in order of first appearance: an upper-case class, an
/// underscore, and eight upper-case letters or digits.
#[must_use]
pub fn surrogates_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (start, _) in text.match_indices('[') {
        let rest = text.get(start + 1..).unwrap_or_default();
        let Some((name, _)) = rest.split_once(']') else { break };
        if is_surrogate(name) {
            let whole = format!("[{name}]");
            if !found.contains(&whole) {
                found.push(whole);
            }
        }
    }
    found
}

fn is_surrogate(name: &str) -> bool {
    let Some((class, tail)) = name.rsplit_once('_') else { return false };
    let upper = |byte: u8| byte.is_ascii_uppercase();
    name.len() <= SURROGATE_LIMIT
        && !class.is_empty()
        && class.bytes().all(|byte| upper(byte) || byte == b'_')
        && tail.len() == 8
        && tail.bytes().all(|byte| upper(byte) || byte.is_ascii_digit())
}

/// What a request asks for.
pub(super) struct Asked<'a> {
    body: &'a Value,
}

impl<'a> Asked<'a> {
    pub(super) fn new(body: &'a Value) -> Self {
        Self { body }
    }

    pub(super) fn body(&self) -> &'a Value {
        self.body
    }

    pub(super) fn streamed(&self) -> bool {
        self.flag("/stream")
    }

    fn flag(&self, pointer: &str) -> bool {
        self.body.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    fn choices(&self) -> u64 {
        self.body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, CHOICES_LIMIT)
    }

    fn model(&self) -> &str {
        self.body.get("model").and_then(Value::as_str).unwrap_or("stand-in")
    }

    fn messages(&self) -> &'a [Value] {
        self.body.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The text that the prompt holds, whatever `source` makes of it.
    pub(super) fn text(&self, source: &Source) -> String {
        match source {
            Source::Fixed(text) => text.clone(),
            Source::LastUser => {
                let role = |it: &&Value| it.get("role").and_then(Value::as_str) == Some("user");
                self.messages().iter().rev().find(role).map(content_of).unwrap_or_default()
            }
            Source::AllMessages => {
                self.messages().iter().flat_map(texts_of).collect::<Vec<_>>().join(" | ")
            }
            Source::Surrogates => self.surrogates().join(" "),
        }
    }

    fn surrogates(&self) -> Vec<String> {
        surrogates_in(&self.text(&Source::AllMessages))
    }

    fn arguments(&self, arguments: &Arguments) -> String {
        match arguments {
            Arguments::Raw(source) => self.text(source),
            Arguments::Surrogates => json!({ "found": self.surrogates() }).to_string(),
            Arguments::Fields(fields) => {
                let text = |(key, source): &(String, Source)| {
                    (key.clone(), Value::String(self.text(source)))
                };
                Value::Object(fields.iter().map(text).collect()).to_string()
            }
        }
    }
}

fn content_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            String::new()
        }
    }
}

/// The content, if there is one, and the arguments of each tool call.
fn texts_of(message: &Value) -> Vec<String> {
    let mut texts = vec![content_of(message)];
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        texts
            .extend(call.pointer("/function/arguments").and_then(Value::as_str).map(str::to_owned));
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// What is said, with every source read.
struct Said {
    reasoning: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    calls: Vec<(String, String, String)>,
    order: Tools,
    finish: String,
    logprobs: bool,
}

fn said(reply: &Reply, asked: &Asked<'_>) -> Said {
    let mut said = Said {
        reasoning: reply.reasoning.as_ref().map(|source| asked.text(source)),
        text: None,
        refusal: None,
        calls: Vec::new(),
        order: Tools::InTurn,
        finish: "stop".to_owned(),
        logprobs: reply.logprobs || asked.flag("/logprobs"),
    };
    match &reply.say {
        Say::Text(source) => said.text = Some(asked.text(source)),
        Say::Refusal(source) => said.refusal = Some(asked.text(source)),
        Say::Calls(before, calls, order) => {
            said.text = before.as_ref().map(|source| asked.text(source));
            let call = |(place, call): (usize, &Call)| {
                (
                    format!("call_standin{place:012}"),
                    call.name.clone(),
                    asked.arguments(&call.arguments),
                )
            };
            said.calls = calls.iter().enumerate().map(call).collect();
            said.order = *order;
            "tool_calls".clone_into(&mut said.finish);
        }
    }
    if let Some(finish) = &reply.finish {
        said.finish.clone_from(finish);
    }
    said
}

/// Rough counts (four bytes to a word piece); only their presence and sum matter.
fn usage(asked: &Asked<'_>, said: &Said) -> Value {
    let prompt = asked.text(&Source::AllMessages).len().div_ceil(4) as u64;
    let texts = [&said.reasoning, &said.text, &said.refusal].into_iter().flatten();
    let bytes: usize = texts.map(String::len).sum();
    let arguments: usize = said.calls.iter().map(|(_, _, arguments)| arguments.len()).sum();
    let completion = ((bytes + arguments).div_ceil(4) as u64) * asked.choices();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
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

fn head(object: &str, asked: &Asked<'_>, number: usize) -> Map<String, Value> {
    let head = json!({
        "id": format!("chatcmpl-standin{number:010}"),
        "object": object,
        "created": CREATED,
        "model": asked.model(),
        "service_tier": "default",
        "system_fingerprint": "fp_standin"
    });
    match head {
        Value::Object(head) => head,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

/// The answer as one `chat.completion` object.
pub(super) fn completion(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let mut message = json!({
        "role": "assistant", "content": said.text, "refusal": said.refusal, "annotations": []
    });
    let mut set = |key: &str, value: Value| {
        message.as_object_mut().map(|fields| fields.insert(key.to_owned(), value))
    };
    if let Some(reasoning) = &said.reasoning {
        set("reasoning_content", json!(reasoning));
    }
    if !said.calls.is_empty() {
        let call = |(id, name, arguments): &(String, String, String)| {
            json!({ "id": id, "type": "function",
                    "function": { "name": name, "arguments": arguments } })
        };
        set("tool_calls", said.calls.iter().map(call).collect());
    }
    let text = said.text.as_deref().unwrap_or_default();
    let probabilities =
        if said.logprobs { logprobs(&cut(text, &reply.pieces)) } else { Value::Null };
    let choice = |index: u64| {
        json!({ "index": index, "message": message, "logprobs": probabilities,
                "finish_reason": said.finish })
    };
    let mut body = head("chat.completion", asked, number);
    body.insert("choices".to_owned(), (0..asked.choices()).map(choice).collect());
    body.insert("usage".to_owned(), usage(asked, &said));
    Value::Object(body)
}

/// The answer as `chat.completion.chunk` objects: role, deltas, finish, and usage where asked for.
pub(super) fn chunks(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Value> {
    let said = said(reply, asked);
    let with_usage = asked.flag("/stream_options/include_usage");
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut body = head("chat.completion.chunk", asked, number);
        body.insert("choices".to_owned(), choices);
        if with_usage {
            body.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        Value::Object(body)
    };
    let deltas = deltas(&said, &reply.pieces);
    let mut chunks = Vec::new();
    for (delta, probabilities) in deltas {
        for index in 0..asked.choices() {
            let choice = json!({ "index": index, "delta": delta, "logprobs": probabilities,
                                 "finish_reason": null });
            chunks.push(chunk(json!([choice]), None));
        }
    }
    for index in 0..asked.choices() {
        let choice = json!({ "index": index, "delta": {}, "logprobs": null,
                             "finish_reason": said.finish });
        chunks.push(chunk(json!([choice]), None));
    }
    if with_usage {
        chunks.push(chunk(json!([]), Some(usage(asked, &said))));
    }
    chunks
}

/// The deltas of one choice, each with its log probabilities.
fn deltas(said: &Said, pieces: &Pieces) -> Vec<(Value, Value)> {
    let role = match (&said.text, &said.refusal) {
        (Some(_), _) => json!({ "role": "assistant", "content": "", "refusal": null }),
        (None, Some(_)) => json!({ "role": "assistant", "content": null, "refusal": "" }),
        (None, None) => json!({ "role": "assistant", "content": null }),
    };
    let mut deltas = vec![(role, Value::Null)];
    let parts = |text: &Option<String>| -> Vec<String> {
        let text = text.as_deref().unwrap_or_default();
        cut(text, pieces).into_iter().map(str::to_owned).collect()
    };
    for part in parts(&said.reasoning) {
        deltas.push((json!({ "reasoning_content": part }), Value::Null));
    }
    for part in parts(&said.text) {
        let probabilities = if said.logprobs { logprobs(&[&part]) } else { Value::Null };
        deltas.push((json!({ "content": part }), probabilities));
    }
    for part in parts(&said.refusal) {
        deltas.push((json!({ "refusal": part }), Value::Null));
    }
    deltas.extend(tool_deltas(said, pieces).into_iter().map(|delta| (delta, Value::Null)));
    deltas
}

fn tool_deltas(said: &Said, pieces: &Pieces) -> Vec<Value> {
    let mut lanes: Vec<VecDeque<Value>> = Vec::new();
    for (index, (id, name, arguments)) in said.calls.iter().enumerate() {
        let begin = json!({ "index": index, "id": id, "type": "function",
                            "function": { "name": name, "arguments": "" } });
        let part = |part: &str| json!({ "index": index, "function": { "arguments": part } });
        let parts = cut(arguments, pieces).into_iter().map(part);
        lanes.push(std::iter::once(begin).chain(parts).collect());
    }
    let whole = |call: Value| json!({ "tool_calls": [call] });
    match said.order {
        Tools::InTurn => lanes.into_iter().flatten().map(whole).collect(),
        Tools::Interleaved => {
            let mut deltas = Vec::new();
            while lanes.iter().any(|lane| !lane.is_empty()) {
                deltas.extend(lanes.iter_mut().filter_map(VecDeque::pop_front).map(whole));
            }
            deltas
        }
    }
}

/// Cuts a text into pieces that join to it; none of them is empty.
fn cut<'t>(text: &'t str, pieces: &Pieces) -> Vec<&'t str> {
    let mut places: Vec<usize> = match pieces {
        Pieces::Whole => Vec::new(),
        Pieces::Chars(count) => {
            text.char_indices().step_by((*count).max(1)).map(|(place, _)| place).collect()
        }
        Pieces::At(places) => places.iter().map(|&place| text.floor_char_boundary(place)).collect(),
    };
    places.push(text.len());
    places.sort_unstable();
    let mut rest = 0;
    let mut parts = Vec::new();
    for place in places {
        parts.extend(text.get(rest..place).filter(|part| !part.is_empty()));
        rest = rest.max(place);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text_wherever_it_is_cut() {
        let text = "né [NAME_AB12CD34] ✓";
        for place in 0..text.len() + 3 {
            assert_eq!(cut(text, &Pieces::At(vec![place, 3, place])).concat(), text);
            assert_eq!(cut(text, &Pieces::Chars(place)).concat(), text);
        }
        assert_eq!(cut("", &Pieces::Chars(1)), Vec::<&str>::new());
        assert_eq!(cut("abcdefg", &Pieces::Chars(3)), ["abc", "def", "g"]);
    }

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
