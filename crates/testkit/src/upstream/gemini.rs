//! The shapes of Gemini `generateContent` and `streamGenerateContent`.

use super::asked::Asked;
use super::reply::{Pieces, Reply};
use super::said::{DOCUMENT_URL, Finish, Part, Said, cut, said, with};
use data_encoding::BASE64;
use serde_json::{Value, json};

fn finish_reason(said: &Said) -> &'static str {
    match said.finish {
        // A call ends a turn like any other.
        Finish::Stop | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
    }
}

fn parts(part: &Part, pieces: &Pieces) -> Vec<Value> {
    match part {
        Part::Text(text, _) | Part::Refusal(text) => {
            cut(text, pieces).into_iter().map(|it| json!({ "text": it })).collect()
        }
        Part::Thinking { text, signature } => {
            let pieces = cut(text, pieces).into_iter();
            let mut parts: Vec<Value> =
                pieces.map(|it| json!({ "text": it, "thought": true })).collect();
            if let (Some(last), false) = (parts.last_mut(), signature.is_empty()) {
                let sealed = json!({ "thoughtSignature": BASE64.encode(signature.as_bytes()) });
                *last = with(last.take(), sealed);
            }
            parts
        }
        // There is no form for it.
        Part::Redacted(_) => Vec::new(),
        Part::Call(call) => {
            vec![json!({ "functionCall": { "name": call.name, "args": call.input() } })]
        }
    }
}

/// The documents that were cited, as grounding.
fn grounding(said: &Said) -> Value {
    let cited = said.cited();
    if cited.is_empty() {
        return json!({});
    }
    let chunk =
        |it: &super::said::Cited| json!({ "web": { "uri": DOCUMENT_URL, "title": it.title } });
    let chunks: Vec<Value> = cited.iter().map(|(it, _, _)| chunk(it)).collect();
    let support = |(at, (cited, begin, end)): (usize, &(&super::said::Cited, usize, usize))| {
        json!({ "segment": { "startIndex": begin, "endIndex": end, "text": cited.text },
                "groundingChunkIndices": [at] })
    };
    let supports: Vec<Value> = cited.iter().enumerate().map(support).collect();
    json!({ "groundingMetadata": { "groundingChunks": chunks, "groundingSupports": supports } })
}

fn logprobs(said: &Said, pieces: &[&str]) -> Value {
    if !said.logprobs || pieces.is_empty() {
        return json!({});
    }
    let chosen = |it: &&str| json!({ "token": it, "tokenId": 1, "logProbability": -0.25 });
    let chosen: Vec<Value> = pieces.iter().map(chosen).collect();
    let top: Vec<Value> = chosen.iter().map(|it| json!({ "candidates": [it] })).collect();
    json!({ "logprobsResult": { "chosenCandidates": chosen, "topCandidates": top } })
}

fn response(asked: &Asked<'_>, number: usize, candidates: &[Value]) -> Value {
    json!({ "candidates": candidates, "modelVersion": asked.route.model,
            "responseId": format!("standin{number:010}") })
}

fn usage(said: &Said) -> Value {
    json!({ "usageMetadata": { "promptTokenCount": said.input, "candidatesTokenCount": said.output,
                               "totalTokenCount": said.input + said.output } })
}

fn candidate(index: u64, parts: &[Value]) -> Value {
    json!({ "content": { "parts": parts, "role": "model" }, "index": index })
}

/// The answer as one document.
pub(super) fn whole(reply: &Reply, asked: &Asked<'_>, number: usize) -> Value {
    let said = said(reply, asked);
    let all: Vec<Value> = said.parts.iter().flat_map(|it| parts(it, &Pieces::Whole)).collect();
    let text = said.text().unwrap_or_default();
    let candidate = |index| {
        let ended = with(candidate(index, &all), json!({ "finishReason": finish_reason(&said) }));
        with(with(ended, grounding(&said)), logprobs(&said, &cut(&text, &reply.pieces)))
    };
    let candidates: Vec<Value> = (0..asked.choices()).map(candidate).collect();
    with(response(asked, number, &candidates), usage(&said))
}

/// The answer as documents, each with a piece of it; the last has the reason and the counts.
pub(super) fn chunks(reply: &Reply, asked: &Asked<'_>, number: usize) -> Vec<Value> {
    let said = said(reply, asked);
    let mut chunks = Vec::new();
    for part in &said.parts {
        for piece in parts(part, &reply.pieces) {
            let text = piece.get("text").and_then(Value::as_str);
            let said_aloud = text.filter(|_| matches!(part, Part::Text(..)));
            let probabilities = logprobs(&said, said_aloud.as_slice());
            for index in 0..asked.choices() {
                let candidate = candidate(index, std::slice::from_ref(&piece));
                chunks.push(response(asked, number, &[with(candidate, probabilities.clone())]));
            }
        }
    }
    for index in 0..asked.choices() {
        let last = candidate(index, &[json!({ "text": "" })]);
        let last = with(last, json!({ "finishReason": finish_reason(&said) }));
        let last = response(asked, number, &[with(last, grounding(&said))]);
        chunks.push(with(last, usage(&said)));
    }
    chunks
}
