//! A chat completion request, taken apart: every field of the table, and no other.

use gate::rules::Api;
use gate::shape::Json;
use phi::Text;
use phi::surrogate::Escape;
use providers::Unsupported;
use providers::{Addressed, Asked, Request};
use serde_json::{Value, json};

fn read(body: &Value) -> Result<Asked, Unsupported> {
    let written = body.to_string();
    let json = Json::parse(written.as_bytes()).unwrap();
    Request::read(Api::ChatCompletions, Addressed::default(), json, Text::new(written))
}

/// A request with one message and these further fields.
fn with(fields: &Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// A request with one message.
fn message(message: &Value) -> Value {
    json!({ "model": "m", "messages": [message] })
}

/// The parts of a request, sorted: where they stand, under which name, and what they say.
fn parts(body: &Value) -> Vec<String> {
    let request = read(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let parts = request.prompt.parts.iter().map(|part| match &part.label {
        Some(label) => format!("{}[{}]={}", part.place, label.expose(), part.text.expose()),
        None => format!("{}={}", part.place, part.text.expose()),
    });
    let mut parts: Vec<String> = parts.collect();
    parts.sort_unstable();
    parts
}

/// Checks that beside the message of [`with`] exactly these parts are scanned.
fn check(fields: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.push("messages.content=hi");
    expected.sort_unstable();
    assert_eq!(parts(&with(fields)), expected, "{fields}");
}

fn check_message(body: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(parts(&message(body)), expected, "{body}");
}

/// Checks that a request is refused with these words, and that they hold nothing of it.
fn check_refused(body: &Value, expected: &str) {
    let error = read(body).map(|_| "accepted").unwrap_err();
    assert_eq!(error.to_string(), expected, "{body}");
    assert!(!format!("{error} {error:?}").contains("219"), "{error:?}");
}

fn wrong(place: &str) -> String {
    format!("the value at {place} is not what the dialect allows there")
}

fn unknown(place: &str) -> String {
    format!("{place} has a field that Bulla does not know and therefore does not pass on")
}

fn unsupported(place: &str, field: &str) -> String {
    format!("the field \"{field}\" in {place} is not supported")
}

#[test]
fn a_request_names_its_model_and_whether_it_wants_a_stream() {
    for (stream, expected) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        let request = read(&with(&json!({ "stream": stream }))).unwrap();
        assert_eq!((request.request.model().expose(), request.request.stream()), ("m", expected));
    }
    assert!(!read(&with(&json!({}))).unwrap().request.stream());
    let required = |field: &str| format!("the field \"{field}\" is required");
    check_refused(&json!({ "messages": [] }), &required("model"));
    check_refused(&json!({ "model": null, "messages": [] }), &required("model"));
    check_refused(&json!({ "model": 219, "messages": [] }), &required("model"));
    check_refused(&json!({ "model": "m" }), &required("messages"));
    check_refused(&json!({ "model": "m", "messages": "219" }), &required("messages"));
    check_refused(&json!([]), &required("model"));
    check_refused(&with(&json!({ "stream": "219" })), &wrong("stream"));
}

#[test]
fn the_models_name_is_no_part_and_is_not_kept_in_the_shape() {
    let request = read(&with(&json!({}))).unwrap();
    assert!(!format!("{:?}", request.prompt.draft).contains("\"m\""));
    assert_eq!(request.prompt.written.expose(), with(&json!({})).to_string());
}

#[test]
fn an_answer_is_restored_as_json_when_json_was_asked_for() {
    let escape = |format: Value| {
        read(&with(&json!({ "response_format": format }))).unwrap().request.escape()
    };
    assert_eq!(escape(json!(null)), Escape::Plain);
    assert_eq!(escape(json!({ "type": "text" })), Escape::Plain);
    assert_eq!(escape(json!({ "type": "json_object" })), Escape::Json);
    let schema = json!({ "name": "a", "schema": {} });
    assert_eq!(escape(json!({ "type": "json_schema", "json_schema": schema })), Escape::Json);
}

#[test]
fn every_turn_is_content() {
    for role in ["system", "developer", "user", "assistant", "tool", "function"] {
        let body = json!({ "role": role, "content": "c", "name": "n", "tool_call_id": "t" });
        let expected = ["messages.content=c", "messages.name=n", "messages.tool_call_id=t"];
        check_message(&body, &expected);
    }
    let body = json!({ "role": "assistant", "content": null, "refusal": "r", "reasoning": "a",
                       "reasoning_content": "b" });
    check_message(
        &body,
        &["messages.reasoning=a", "messages.reasoning_content=b", "messages.refusal=r"],
    );
    check_refused(&message(&json!({ "role": "219" })), &wrong("messages.role"));
    check_refused(&message(&json!({ "role": "user", "content": 219 })), &wrong("messages.content"));
    check_refused(&message(&json!("219")), &wrong("messages"));
}

#[test]
fn text_in_a_list_of_parts_is_content_and_other_media_are_refused() {
    let parts = |part: Value| json!({ "role": "user", "content": [part] });
    check_message(&parts(json!({ "type": "text", "text": "x" })), &["messages.content.text=x"]);
    check_message(
        &parts(json!({ "type": "refusal", "refusal": "x" })),
        &["messages.content.refusal=x"],
    );
    for (kind, field) in
        [("image_url", "image_url"), ("input_audio", "input_audio"), ("file", "file")]
    {
        let body = message(&parts(json!({ "type": kind, (field): { "219": "219" } })));
        check_refused(&body, &unsupported("messages.content", field));
        // The field that would carry the picture belongs to no other kind of part.
        let body = message(&parts(json!({ "type": "text", (field): { "219": "219" } })));
        check_refused(&body, &unknown("messages.content"));
    }
    for part in [json!({ "type": "219" }), json!({ "text": "219" }), json!({ "type": 219 })] {
        check_refused(&message(&parts(part)), &wrong("messages.content"));
    }
    check_refused(&message(&parts(json!("219"))), &wrong("messages.content"));
    let typed = parts(json!({ "type": "text", "text": { "219": "219" } }));
    check_refused(&message(&typed), &wrong("messages.content.text"));
}

#[test]
fn arguments_of_tool_calls_are_taken_apart_as_json() {
    let call = |arguments: &str| {
        json!({ "role": "assistant", "content": null, "tool_calls": [{
            "id": "i", "type": "function", "index": 0,
            "function": { "name": "f", "arguments": arguments },
        }] })
    };
    let place = "messages.tool_calls.function";
    check_message(
        &call(r#"{"mrn":["a",7],"b":null}"#),
        &[
            &format!("{place}.arguments[mrn]=a"),
            &format!("{place}.arguments[mrn]=7"),
            &format!("{place}.arguments=mrn"),
            &format!("{place}.arguments=b"),
            &format!("{place}.name=f"),
            "messages.tool_calls.id=i",
        ],
    );
    // What is no JSON document is text.
    for text in ["", "{", "two words", r#"{"a":1,"a":2}"#, "89014103211118510720"] {
        check_message(
            &call(text),
            &[
                &format!("{place}.arguments={text}"),
                &format!("{place}.name=f"),
                "messages.tool_calls.id=i",
            ],
        );
    }
    let old = json!({ "role": "assistant", "function_call": { "name": "f", "arguments": "[1]" } });
    check_message(&old, &[&format!("{place}.arguments=1"), &format!("{place}.name=f")]);
    let parsed = json!({ "role": "assistant",
                         "function_call": { "parsed_arguments": { "mrn": 7 } } });
    let parsed_place = format!("{place}.parsed_arguments");
    check_message(&parsed, &[&format!("{parsed_place}[mrn]=7"), &format!("{parsed_place}=mrn")]);
}

#[test]
fn tool_calls_of_other_kinds_and_forms_are_refused() {
    let call = |call: Value| message(&json!({ "role": "assistant", "tool_calls": [call] }));
    check_refused(
        &call(json!({ "type": "custom", "custom": { "input": "219" } })),
        &unsupported("messages.tool_calls", "custom"),
    );
    check_refused(&call(json!({ "type": "219" })), &wrong("messages.tool_calls"));
    check_refused(&call(json!({ "id": "219" })), &wrong("messages.tool_calls"));
    check_refused(
        &call(json!({ "type": "function", "index": 219_099_999 })),
        &wrong("messages.tool_calls.index"),
    );
    check_refused(
        &call(json!({ "type": "function", "function": { "arguments": { "219": 1 } } })),
        &wrong("messages.tool_calls.function.arguments"),
    );
    check_refused(
        &message(&json!({ "role": "assistant", "audio": { "id": "219" } })),
        &unsupported("messages", "audio"),
    );
}

#[test]
fn definitions_of_tools_are_content() {
    let function = json!({ "name": "f", "description": "d", "strict": true,
                           "parameters": { "type": "object", "enum": ["e"], "minimum": 1 } });
    let place = |base: &str| {
        [
            format!("{base}.description=d"),
            format!("{base}.name=f"),
            format!("{base}.parameters[enum]=e"),
            format!("{base}.parameters=enum"),
            format!("{base}.parameters[minimum]=1"),
            format!("{base}.parameters=minimum"),
            format!("{base}.parameters[type]=object"),
            format!("{base}.parameters=type"),
        ]
    };
    let expected = place("tools.function");
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&json!({ "tools": [{ "type": "function", "function": function }] }), &expected);
    check(&json!({ "functions": [function] }), &expected);
    check_refused(
        &with(&json!({ "tools": [{ "type": "custom", "custom": { "name": "219" } }] })),
        &unsupported("tools", "custom"),
    );
    check_refused(&with(&json!({ "tools": [{ "type": "web_search" }] })), &wrong("tools"));
    check_refused(&with(&json!({ "tools": { "219": 1 } })), &wrong("tools"));
}

#[test]
fn the_choice_of_a_tool_names_it() {
    for word in ["none", "auto", "required"] {
        check(&json!({ "tool_choice": word, "function_call": word }), &[]);
    }
    check(
        &json!({ "tool_choice": { "type": "function", "function": { "name": "f" } } }),
        &["tool_choice.function.name=f"],
    );
    check(&json!({ "function_call": { "name": "f" } }), &["tool_choice.name=f"]);
    check_refused(&with(&json!({ "tool_choice": "219" })), &wrong("tool_choice"));
    check_refused(
        &with(&json!({ "tool_choice": { "type": "allowed_tools" } })),
        &wrong("tool_choice.type"),
    );
}

#[test]
fn free_text_beside_the_messages_is_content() {
    check(
        &json!({ "metadata": { "mrn": "7", "219": "x" } }),
        &["metadata[219]=x", "metadata=219", "metadata[mrn]=7", "metadata=mrn"],
    );
    check(&json!({ "metadata": "x" }), &["metadata=x"]);
    check(&json!({ "stop": "x" }), &["stop=x"]);
    check(&json!({ "stop": ["x", "y"] }), &["stop=x", "stop=y"]);
    check(&json!({ "user": "x" }), &["user=x"]);
    check(&json!({ "safety_identifier": "x" }), &["safety_identifier=x"]);
    check(&json!({ "prompt_cache_key": "x" }), &["prompt_cache_key=x"]);
    check(
        &json!({ "prediction": { "type": "content", "content": "x" } }),
        &["prediction.content=x"],
    );
    check(
        &json!({ "prediction": { "type": "content", "content": [{ "type": "text", "text": "x" }] } }),
        &["messages.content.text=x"],
    );
    check(
        &json!({ "response_format": { "type": "json_schema", "json_schema": {
            "name": "n", "description": "d", "strict": true, "schema": { "title": "t" } } } }),
        &[
            "response_format.json_schema.description=d",
            "response_format.json_schema.name=n",
            "response_format.json_schema.schema[title]=t",
            "response_format.json_schema.schema=title",
        ],
    );
    check_message(
        &json!({ "role": "assistant", "annotations": [{ "url": "u" }] }),
        &["messages.annotations[url]=u", "messages.annotations=url"],
    );
    check_refused(&with(&json!({ "stop": 219 })), &wrong("stop"));
    check_refused(&with(&json!({ "stop": [219] })), &wrong("stop"));
    check_refused(&with(&json!({ "user": { "219": 1 } })), &wrong("user"));
    check_refused(
        &with(&json!({ "response_format": { "type": "219" } })),
        &wrong("response_format"),
    );
    check_refused(&with(&json!({ "prediction": { "type": "219" } })), &wrong("prediction"));
}

#[test]
fn words_of_the_dialect_are_no_content_and_no_other_words_pass() {
    check(
        &json!({ "reasoning_effort": "xhigh", "service_tier": "flex", "verbosity": "low",
                 "modalities": ["text"], "logprobs": true, "parallel_tool_calls": false,
                 "store": false, "prompt_cache_retention": "in_memory",
                 "stream_options": { "include_usage": true, "include_obfuscation": false } }),
        &[],
    );
    for field in ["prompt_cache_retention", "reasoning_effort", "service_tier", "verbosity"] {
        check_refused(&with(&json!({ (field): "219" })), &wrong(field));
        check_refused(&with(&json!({ (field): 219 })), &wrong(field));
    }
    check_refused(&with(&json!({ "modalities": ["text", "audio"] })), &wrong("modalities"));
    for field in ["logprobs", "parallel_tool_calls", "store"] {
        check_refused(&with(&json!({ (field): "219" })), &wrong(field));
    }
    check_refused(&with(&json!({ "stream_options": [] })), &wrong("stream_options"));
}

#[test]
fn a_number_that_is_not_scanned_is_too_short_to_identify_anyone() {
    for field in ["max_tokens", "max_completion_tokens", "top_k"] {
        for number in [json!(0), json!(-1), json!(9_999_999)] {
            check(&json!({ (field): number }), &[]);
        }
        for number in [json!(10_000_000), json!(219_099_999), json!(-2), json!(1.5), json!("219")] {
            check_refused(&with(&json!({ (field): number })), &wrong(field));
        }
    }
    for (field, most) in [("n", 128), ("top_logprobs", 128)] {
        check(&json!({ (field): most }), &[]);
        check_refused(&with(&json!({ (field): most + 1 })), &wrong(field));
    }
    let ratios = ["frequency_penalty", "min_p", "presence_penalty", "repetition_penalty"];
    for field in ratios.into_iter().chain(["temperature", "top_p"]) {
        for number in [json!(0), json!(0.7), json!(-2), json!(1000)] {
            check(&json!({ (field): number }), &[]);
        }
        for number in [json!(219_099_999), json!(-1000.5), json!(1e300), json!("219")] {
            check_refused(&with(&json!({ (field): number })), &wrong(field));
        }
    }
    // A seed may be any number, so it is scanned.
    check(&json!({ "seed": 219_099_999 }), &["seed=219099999"]);
    check(&json!({ "seed": -7 }), &["seed=-7"]);
    check_refused(&with(&json!({ "seed": "219" })), &wrong("seed"));
}

#[test]
fn a_bias_is_of_a_number_of_the_vocabulary() {
    check(&json!({ "logit_bias": { "50256": -100, "7": 0.5 } }), &[]);
    for (name, value) in [
        ("219099999", json!(1)),
        ("ann", json!(1)),
        ("-1", json!(1)),
        ("7", json!("219")),
        ("7", json!(219_099_999)),
        ("7", json!(null)),
    ] {
        check_refused(&with(&json!({ "logit_bias": { (name): value } })), &wrong("logit_bias"));
    }
    check(&json!({ "logit_bias": null }), &[]);
}

#[test]
fn fields_that_are_known_and_not_carried_are_named() {
    for field in ["audio", "web_search_options"] {
        let body = with(&json!({ (field): { "219": "219" } }));
        check_refused(&body, &unsupported("the request", field));
        assert!(read(&body).unwrap_err().is_content());
        // SDKs send back what they got.
        check(&json!({ (field): null }), &[]);
    }
    check_refused(&with(&json!({ "store": true })), &unsupported("the request", "store"));
    check_message(&json!({ "role": "assistant", "audio": null }), &[]);
}

#[test]
fn fields_that_nobody_knows_are_refused_at_every_level_and_not_repeated() {
    let x = ("219-09-9999", json!("219-09-9999"));
    let put = |mut body: Value, pointer: &str| {
        let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.insert(x.0.to_owned(), x.1.clone());
        body
    };
    let full = with(&json!({
        "messages": [{
            "role": "assistant",
            "content": [{ "type": "text", "text": "a" }],
            "tool_calls": [{ "type": "function", "id": "i",
                             "function": { "name": "f", "arguments": "{}" } }],
            "function_call": { "name": "f", "arguments": "{}" },
        }],
        "tools": [{ "type": "function", "function": { "name": "f" } }],
        "functions": [{ "name": "f" }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
        "stream_options": { "include_usage": true },
        "prediction": { "type": "content", "content": "x" },
        "response_format": { "type": "json_schema", "json_schema": { "name": "n" } },
    }));
    assert!(read(&full).is_ok());
    for (pointer, place) in [
        ("", "the request"),
        ("/messages/0", "messages"),
        ("/messages/0/content/0", "messages.content"),
        ("/messages/0/tool_calls/0", "messages.tool_calls"),
        ("/messages/0/tool_calls/0/function", "messages.tool_calls.function"),
        ("/messages/0/function_call", "messages.tool_calls.function"),
        ("/tools/0", "tools"),
        ("/tools/0/function", "tools.function"),
        ("/functions/0", "functions"),
        ("/tool_choice", "tool_choice"),
        ("/tool_choice/function", "tool_choice.function"),
        ("/stream_options", "stream_options"),
        ("/prediction", "prediction"),
        ("/response_format", "response_format"),
        ("/response_format/json_schema", "response_format.json_schema"),
    ] {
        let body = put(full.clone(), pointer);
        check_refused(&body, &unknown(place));
        assert!(read(&body).unwrap_err().is_content());
    }
}

#[test]
fn null_stands_for_absent_everywhere() {
    for field in [
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "min_p",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ] {
        check(&json!({ (field): null }), &[]);
    }
    let body = json!({ "role": "assistant", "content": null, "name": null, "refusal": null,
                       "tool_calls": null, "function_call": null, "annotations": null });
    check_message(&body, &[]);
}

#[test]
fn a_malformed_request_is_no_matter_of_content() {
    assert!(!read(&with(&json!({ "n": "219" }))).unwrap_err().is_content());
    assert!(!read(&json!({})).unwrap_err().is_content());
}
