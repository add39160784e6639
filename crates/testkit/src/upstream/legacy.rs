//! The shapes of OpenAI's older APIs: completions and embeddings.

use super::asked::Asked;
use super::chat;
use super::reply::Reply;
use super::said::{CREATED, Finish, Said, cut, said, with};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Numbers in a vector where the request names no other count.
const DIMENSIONS: u64 = 8;

/// Numbers in the longest vector; OpenAI's largest model has 3072.
const DIMENSIONS_LIMIT: u64 = 4096;

fn finish(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop | Finish::Calls => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

fn head(asked: &Asked<'_>, number: usize) -> Value {
    json!({ "id": format!("cmpl-standin{number:010}"), "object": "text_completion",
            "created": CREATED, "model": asked.route.model })
}

fn logprobs(said: &Said, pieces: &[&str], before: usize) -> Value {
    if !said.logprobs || pieces.is_empty() {
        return Value::Null;
    }
    let mut offset = before;
    let mut offsets = Vec::new();
    for piece in pieces {
        offsets.push(offset);
        offset += piece.chars().count();
    }
    let top: Vec<Value> = pieces.iter().map(|piece| json!({ *piece: -0.25 })).collect();
    json!({ "tokens": pieces, "token_logprobs": vec![-0.25; pieces.len()], "top_logprobs": top,
            "text_offset": offsets })
}

/// Each prompt gets its choices: `n` for each.
fn choices(asked: &Asked<'_>) -> u64 {
    let prompts = asked.body.get("prompt").and_then(Value::as_array);
    let prompts = prompts.filter(|list| list.iter().any(Value::is_string)).map_or(1, Vec::len);
    asked.choices() * u64::try_from(prompts).unwrap_or(1).max(1)
}

/// The answer as one `text_completion` object.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let text = said.text().unwrap_or_default();
    let probabilities = logprobs(&said, &cut(&text, &reply.pieces), 0);
    let choice = |index: u64| {
        json!({ "text": text, "index": index, "logprobs": probabilities,
                "finish_reason": finish(&said) })
    };
    let choices: Vec<Value> = (0..choices(asked)).map(choice).collect();
    with(head(asked, number), json!({ "choices": choices, "usage": chat::usage(&said) }))
}

/// The answer as a stream of such objects.
pub(super) fn chunks(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Value> {
    let said = said(reply, asked);
    let with_usage = asked.flag("/stream_options/include_usage");
    let chunk = |choices: Value, usage: Value| {
        let chunk = with(head(asked, number), json!({ "choices": choices }));
        if with_usage { with(chunk, json!({ "usage": usage })) } else { chunk }
    };
    let mut chunks = Vec::new();
    let text = said.text().unwrap_or_default();
    let mut before = 0;
    for piece in cut(&text, &reply.pieces) {
        for index in 0..choices(asked) {
            let choice = json!({ "text": piece, "index": index, "finish_reason": null,
                                 "logprobs": logprobs(&said, &[piece], before) });
            chunks.push(chunk(json!([choice]), Value::Null));
        }
        before += piece.chars().count();
    }
    for index in 0..choices(asked) {
        let choice = json!({ "text": "", "index": index, "logprobs": null,
                             "finish_reason": finish(&said) });
        chunks.push(chunk(json!([choice]), Value::Null));
    }
    if with_usage {
        chunks.push(chunk(json!([]), chat::usage(&said)));
    }
    chunks
}

/// A vector for each input, as numbers or in base64, as asked for.
pub(super) fn embeddings(asked: &Asked<'_>) -> Value {
    let inputs: Vec<String> = match asked.body.get("input") {
        Some(Value::Array(items)) if items.iter().all(Value::is_number) => {
            vec![Value::Array(items.clone()).to_string()]
        }
        Some(Value::Array(items)) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(text).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        Some(_) | None => Vec::new(),
    };
    let count = asked.body.get("dimensions").and_then(Value::as_u64).unwrap_or(DIMENSIONS);
    let count = count.min(DIMENSIONS_LIMIT);
    let base64 = asked.body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let vector = |(index, text): (usize, &String)| {
        let numbers = vector(text, count);
        let embedding = if base64 {
            let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
            json!(BASE64.encode(&bytes))
        } else {
            json!(numbers)
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(vector).collect();
    let read: usize = inputs.iter().map(|text| text.len().div_ceil(4)).sum();
    json!({ "object": "list", "data": data, "model": asked.route.model,
            "usage": { "prompt_tokens": read, "total_tokens": read } })
}

/// Numbers between -1 and 1 that depend on the text alone.
fn vector(text: &str, count: u64) -> Vec<f32> {
    // FNV-1a: any mixing will do, the vector means nothing.
    let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    let number = |_| {
        state = mix(state, 0x5a);
        let high = u16::try_from(state >> 48).unwrap_or(0);
        f32::from(high) / 32_768.0 - 1.0
    };
    (0..count).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_vector() {
        assert_eq!(vector("a", 8), vector("a", 8));
        assert_ne!(vector("a", 8), vector("b", 8));
        assert!(vector("a", 64).iter().all(|it| (-1.0..=1.0).contains(it)));
    }
}
