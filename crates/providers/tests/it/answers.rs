//! A whole chat completion, taken apart.

use crate::reading::{reading, reading_of};
use gate::UpstreamFailure;
use gate::prompt::Answer;
use gate::rules::Api;
use ledger::Usage;
use phi::surrogate::Escape;
use serde_json::json;

fn read(document: &str) -> Result<Answer, UpstreamFailure> {
    reading().whole(Api::ChatCompletions, document.as_bytes(), Some("req_1".into()))
}

/// Checks what of `document` is text, and how values are written into it.
fn check(document: &serde_json::Value, escape: Escape, expected: &[(&str, Escape)]) {
    let document = document.to_string();
    let reading = reading_of(Api::ChatCompletions, escape);
    let answer = reading.whole(Api::ChatCompletions, document.as_bytes(), None).unwrap();
    let sorted = |mut parts: Vec<(&str, Escape)>| {
        parts.sort_by_key(|(text, _)| (*text).to_owned());
        format!("{parts:?}")
    };
    let parts =
        answer.parts.iter().map(|part| (part.text.expose(), part.restore.unwrap())).collect();
    assert_eq!(sorted(parts), sorted(expected.to_vec()), "{document}");
    assert!(answer.parts.iter().all(|part| part.lane.is_none() && part.last));
    assert_eq!(answer.received.expose(), document);
}

fn check_refused(document: &str, expected: UpstreamFailure) {
    assert_eq!(read(document).unwrap_err(), expected, "{document}");
}

#[test]
fn every_text_of_an_answer_is_a_part_and_arguments_are_json() {
    let document = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "org/m:8b",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "c", "refusal": null, "annotations": [{ "url": "u" }],
            "tool_calls": [{ "id": "call_1", "type": "function",
                             "function": { "name": "f", "arguments": "{}" } }],
        }, "logprobs": { "content": [{ "token": "t", "logprob": -0.5 }] } }],
        "system_fingerprint": "fp_1", "service_tier": "default",
    });
    let plain = |text| (text, Escape::Plain);
    let parts =
        |content| [plain("t"), plain("u"), ("c", content), ("{}", Escape::Json), plain("f")];
    check(&document, Escape::Plain, &parts(Escape::Plain));
    check(&document, Escape::Json, &parts(Escape::Json));
}

#[test]
fn content_in_parts_is_restored_like_content() {
    let document =
        json!({ "choices": [{ "message": { "content": [{ "type": "text", "text": "c" }] } }] });
    check(&document, Escape::Json, &[("c", Escape::Json)]);
}

#[test]
fn what_is_no_word_is_text_wherever_it_stands() {
    let document = json!({ "choices": [], "id": "Ann Lee", "model": "a b", "Ann Lee": 1 });
    let plain = |text| (text, Escape::Plain);
    check(&document, Escape::Plain, &[plain("Ann Lee"), plain("Ann Lee"), plain("a b")]);
}

#[test]
fn an_error_in_an_answer_is_reported_without_its_words() {
    check_refused(r#"{"error":{"message":"SSN 219-09-9999"}}"#, UpstreamFailure::Reported);
    check_refused(r#"{"error":{},"choices":[]}"#, UpstreamFailure::Reported);
    assert!(read(r#"{"error":null,"choices":[]}"#).is_ok());
}

#[test]
fn what_is_not_of_the_dialect_is_garbage() {
    for document in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        r#"{"choices":null}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[]}{"#,
        r#"{"choices":[],"choices":[]}"#,
        r#"{"choices":[{"message":{"content":"a","content":"b"}}]}"#,
        r#"{"choices":[],"created":89014103211118510720}"#,
    ] {
        check_refused(document, UpstreamFailure::Garbage);
    }
    let not_utf8 = reading().whole(Api::ChatCompletions, b"{\"choices\":[\"\xff\"]}", None);
    assert_eq!(not_utf8.unwrap_err(), UpstreamFailure::Garbage);
}

#[test]
fn tokens_are_counted_as_the_server_says_within_reason() {
    let usage = |usage: &str| read(&format!(r#"{{"choices":[],"usage":{usage}}}"#)).unwrap().usage;
    let count = |prompt, completion| Some(Usage { prompt, completion });
    assert_eq!(usage(r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#), count(3, 4));
    assert_eq!(usage(r#"{"prompt_tokens":3}"#), count(3, 0));
    assert_eq!(usage(r#"{"completion_tokens":3}"#), None);
    assert_eq!(usage("null"), None);
    assert_eq!(usage(r#"{"prompt_tokens":4294967296}"#), count(4_294_967_296, 0));
    // A record cannot hold such a number, so the server must not be able to put one there.
    assert_eq!(usage(r#"{"prompt_tokens":18446744073709551615}"#), None);
    let huge = r#"{"prompt_tokens":3,"completion_tokens":18446744073709551615}"#;
    assert_eq!(usage(huge), count(3, 0));
    assert_eq!(read(r#"{"choices":[]}"#).unwrap().upstream_request.as_deref(), Some("req_1"));
}
