//! A streamed chat completion, event by event.

use crate::reading::reading_of;
use gate::UpstreamFailure;
use gate::prompt::{Lane, StreamEvent};
use gate::rules::Api;
use ledger::Usage;
use phi::surrogate::Escape;
use providers::StreamReader;
use serde_json::{Value, json};

/// Reads the data of one event and shows what it became, one line for each event: its parts as
/// `choice.field.call=text`, `$` behind the last piece of a lane, `~` before an event made for a tail.
fn read(reader: &mut StreamReader, data: &str) -> Result<Vec<String>, UpstreamFailure> {
    Ok(reader.read(None, data)?.iter().map(show).collect())
}

fn show(event: &StreamEvent) -> String {
    let parts = event.parts.iter().map(|part| {
        let text = part.text.expose();
        let end = if part.last { "$" } else { "" };
        match part.lane {
            Some(Lane { choice, field, call }) => format!("{choice}.{field}.{call}={text}{end}"),
            None => format!("={text}{end}"),
        }
    });
    // The order of an object's members is not promised.
    let mut parts: Vec<String> = parts.collect();
    parts.sort_unstable();
    let parts = parts.join(" ");
    if event.only_with_text { format!("~{parts}") } else { parts }
}

fn chunk(choices: &Value) -> String {
    json!({ "id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": choices })
    .to_string()
}

fn delta(choice: u64, delta: &Value, finish: &Value) -> String {
    chunk(&json!([{ "index": choice, "delta": delta, "finish_reason": finish }]))
}

/// Feeds the events in turn and checks the lines that each becomes.
fn check(events: &[(String, &[&str])]) -> StreamReader {
    let mut reader = reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
    for (data, expected) in events {
        assert_eq!(read(&mut reader, data).unwrap(), *expected, "{data}");
    }
    reader
}

#[test]
fn content_flows_in_one_lane_and_its_tail_comes_before_the_end() {
    let reader = check(&[
        (delta(0, &json!({ "role": "assistant", "content": "" }), &json!(null)), &["0.content.0="]),
        (delta(0, &json!({ "content": "a" }), &json!(null)), &["0.content.0=a"]),
        (delta(0, &json!({}), &json!("stop")), &["~0.content.0=$", ""]),
        (chunk(&json!([])), &[""]),
        ("[DONE]".into(), &[]),
    ]);
    assert!(reader.is_done());
}

#[test]
fn the_last_piece_of_a_choice_holds_nothing_back() {
    check(&[
        (delta(0, &json!({ "content": "a" }), &json!(null)), &["0.content.0=a"]),
        (delta(0, &json!({ "content": "b" }), &json!("stop")), &["0.content.0=b$"]),
        ("[DONE]".into(), &[]),
    ]);
    // One that comes in a single event never was open.
    check(&[
        (delta(0, &json!({ "content": "a" }), &json!("stop")), &["0.content.0=a$"]),
        ("[DONE]".into(), &[]),
    ]);
}

#[test]
fn a_reason_that_is_empty_or_null_ends_nothing() {
    check(&[
        (delta(0, &json!({ "content": "a" }), &json!("")), &["0.content.0=a"]),
        (delta(0, &json!({ "content": "b" }), &json!(null)), &["0.content.0=b"]),
        (delta(0, &json!({}), &json!("stop")), &["~0.content.0=$", ""]),
    ]);
}

#[test]
fn choices_and_tool_calls_are_lanes_of_their_own() {
    let call = |index: u64, arguments: &str| {
        json!({ "index": index, "id": "call_1", "type": "function",
                "function": { "name": "f", "arguments": arguments } })
    };
    let both = json!({ "tool_calls": [call(0, "{"), call(1, "[")] });
    check(&[
        (delta(0, &json!({ "content": "a" }), &json!(null)), &["0.content.0=a"]),
        (delta(1, &json!({ "content": "b" }), &json!(null)), &["1.content.0=b"]),
        (delta(1, &both, &json!(null)), &["1.arguments.0={ 1.arguments.1=[ =f$ =f$"]),
        (delta(0, &json!({}), &json!("stop")), &["~0.content.0=$", ""]),
        (
            delta(1, &json!({ "tool_calls": [call(1, "]")] }), &json!("tool_calls")),
            &["~1.arguments.0=$ 1.content.0=$", "1.arguments.1=]$ =f$"],
        ),
        ("[DONE]".into(), &[]),
    ]);
}

#[test]
fn without_numbers_lanes_are_told_apart_by_their_place() {
    let choices = json!([{ "delta": { "content": "a" } }, { "delta": { "content": "b" } }]);
    check(&[(chunk(&choices), &["0.content.0=a 1.content.0=b"])]);
    let calls = json!([{ "function": { "arguments": "x" } }, { "function": { "arguments": "y" } }]);
    check(&[(
        delta(0, &json!({ "tool_calls": calls }), &json!(null)),
        &["0.arguments.0=x 0.arguments.1=y"],
    )]);
}

#[test]
fn other_fields_of_a_delta_are_lanes_too() {
    for field in ["refusal", "reasoning", "reasoning_content"] {
        let open = format!("0.{field}.0=a");
        let tail = format!("~0.{field}.0=$");
        check(&[
            (delta(0, &json!({ (field): "a" }), &json!(null)), &[open.as_str()]),
            (delta(0, &json!({}), &json!("stop")), &[tail.as_str(), ""]),
        ]);
    }
    let old = json!({ "function_call": { "name": "f", "arguments": "{" } });
    check(&[
        (delta(0, &old, &json!(null)), &["0.arguments.0={ =f$"]),
        (delta(0, &json!({}), &json!("function_call")), &["~0.arguments.0=$", ""]),
    ]);
    // What the dialect does not stream is whole in itself.
    check(&[(delta(0, &json!({ "note": "a b" }), &json!(null)), &["=a b$"])]);
}

#[test]
fn arguments_are_restored_as_json_and_content_as_was_asked() {
    for (content, expected) in [(Escape::Plain, Escape::Plain), (Escape::Json, Escape::Json)] {
        let mut reader = reading_of(Api::ChatCompletions, content).stream(Api::ChatCompletions);
        let both = json!({ "content": "a", "reasoning": "b",
                           "tool_calls": [{ "function": { "arguments": "c" } }] });
        let events = reader.read(None, &delta(0, &both, &json!(null))).unwrap();
        let escapes = |event: &StreamEvent| {
            let of = |field| event.parts.iter().find(|it| it.lane.unwrap().field == field).unwrap();
            ["content", "reasoning", "arguments"].map(|field| of(field).restore.unwrap())
        };
        assert_eq!(escapes(&events[0]), [expected, Escape::Plain, Escape::Json]);
        // The tail is written in the same way.
        assert_eq!(escapes(&reader.finish()[0]), [expected, Escape::Plain, Escape::Json]);
    }
}

#[test]
fn a_stream_that_breaks_off_gives_up_its_tails() {
    let mut reader = check(&[
        (delta(0, &json!({ "content": "a" }), &json!(null)), &["0.content.0=a"]),
        (delta(2, &json!({ "content": "b" }), &json!(null)), &["2.content.0=b"]),
    ]);
    assert!(!reader.is_done());
    let tails: Vec<_> = reader.finish().iter().map(show).collect();
    assert_eq!(tails, ["~0.content.0=$", "~2.content.0=$"]);
    assert!(reader.finish().is_empty());
}

#[test]
fn the_end_of_the_stream_gives_up_what_no_choice_ended() {
    check(&[
        (delta(0, &json!({ "content": "a" }), &json!(null)), &["0.content.0=a"]),
        (" [DONE] ".into(), &["~0.content.0=$"]),
    ]);
}

#[test]
fn an_event_for_a_tail_looks_like_the_others_and_receives_nothing() {
    let mut reader = reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
    let data = delta(0, &json!({ "content": "a" }), &json!(null));
    let first = reader.read(None, &data).unwrap();
    assert_eq!(first[0].received.expose(), data);
    let tail = reader.finish();
    assert!(tail[0].received.is_empty());
    let shape = format!("{:?}", tail[0].shape);
    for word in ["c-1", "chat.completion.chunk", "delta", "finish_reason"] {
        assert!(shape.contains(word), "{word} in {shape}");
    }
}

#[test]
fn the_count_of_tokens_comes_in_an_event_without_choices() {
    let mut reader = reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
    let event = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let usage = reader.read(None, event).unwrap()[0].usage;
    assert_eq!(usage, Some(Usage { prompt: 3, completion: 4 }));
    assert_eq!(reader.read(None, r#"{"choices":[],"usage":null}"#).unwrap()[0].usage, None);
}

#[test]
fn an_error_in_the_stream_is_reported_without_its_words() {
    for error in [json!({ "message": "SSN 219-09-9999" }), json!("SSN 219-09-9999"), json!({})] {
        let mut reader =
            reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
        let data = json!({ "error": error, "choices": [] }).to_string();
        assert_eq!(reader.read(None, &data).unwrap_err(), UpstreamFailure::Reported);
    }
    let mut reader = reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
    assert!(reader.read(None, r#"{"error":null,"choices":[]}"#).is_ok());
}

#[test]
fn what_is_not_of_the_dialect_is_garbage() {
    for data in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "[DONE",
        r#"{"choices":null}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":["a"]}"#,
        r#"{"choices":[null]}"#,
        r#"{"choices":[],"choices":[]}"#,
        r#"{"choices":[{"index":-1,"delta":{}}]}"#,
        r#"{"choices":[{"index":0.5,"delta":{}}]}"#,
        r#"{"choices":[{"index":"0","delta":{}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":"0"}]}}]}"#,
    ] {
        let mut reader =
            reading_of(Api::ChatCompletions, Escape::Plain).stream(Api::ChatCompletions);
        assert_eq!(reader.read(None, data).unwrap_err(), UpstreamFailure::Garbage, "{data}");
    }
}
