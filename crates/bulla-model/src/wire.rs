//! The dialect: what a request may say, and the shapes of the replies.
//!
//! What this server cannot do is refused by name instead of being ignored, so
//! that no caller takes an answer for more than it is. No error repeats
//! anything from the request but the names of parameters that are listed here.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::engine::{Finish, Message, Refusal, Role, Sampling};

/// The temperature when the caller names none: what the authors of small
/// instruction models advise; at OpenAI's `1.0` a model of this size rambles.
const DEFAULT_TEMPERATURE: f32 = 0.2;
/// The share of probability that is kept when the caller names none; same source.
const DEFAULT_TOP_P: f32 = 0.9;
/// OpenAI's own limit on stop sequences.
const STOP_LIMIT: usize = 4;
/// Longest stop sequence, in bytes: text of up to this length is held back.
const STOP_BYTES_LIMIT: usize = 256;
/// Messages in one conversation; more than this never fits a small context.
const MESSAGES_LIMIT: usize = 1024;

/// Parameters that say something about an answer which this server cannot do,
/// with the values that ask for nothing.
const REFUSED: [(&str, &str); 12] = [
    ("tools", "tool calling"),
    ("functions", "tool calling"),
    ("tool_choice", "tool calling"),
    ("function_call", "tool calling"),
    ("response_format", "structured output"),
    ("logprobs", "log probabilities"),
    ("top_logprobs", "log probabilities"),
    ("logit_bias", "logit bias"),
    ("audio", "audio"),
    ("modalities", "other modalities than text"),
    ("prediction", "predicted outputs"),
    ("web_search_options", "web search"),
];

/// Parameters that change nothing in the answer of one local model.
const IGNORED: [&str; 9] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "parallel_tool_calls",
    "safety_identifier",
    "prompt_cache_key",
    "reasoning_effort",
    "verbosity",
];

const READ: [&str; 13] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "n",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
];

/// A refusal in the shape of OpenAI's errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into() }
    }

    fn bad(code: &'static str, param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// The body of the reply, and of an error event in a stream.
    pub(crate) fn body(&self) -> Value {
        let kind = match self.status.as_u16() {
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({ "error": {
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        }})
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLong { words, limit } => Self::bad(
                "context_length_exceeded",
                "messages",
                format!(
                    "this model's context holds {limit} tokens, prompt and answer together; \
                     the messages alone have {words}"
                ),
            ),
            Refusal::Template => Self::bad(
                "unsupported_conversation",
                "messages",
                "the model's chat template cannot express this order of roles",
            ),
        }
    }
}

/// A request that this server can answer. Has no `Debug`, so that it cannot be logged.
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) sampling: Sampling,
    pub(crate) max_words: Option<u32>,
    pub(crate) stops: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl Ask {
    /// Reads the body of a chat completion request.
    ///
    /// # Errors
    /// A [`Problem`] with status 400 that names the parameter, never its value.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!(
                    "the body is not a JSON object (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            )
        })?;
        refuse_unsupported(&fields)?;
        let body = Fields(&fields);
        if body.integer("n", 1, i64::from(u32::MAX))?.is_some_and(|n| n != 1) {
            return Err(Problem::bad(
                "unsupported_parameter",
                "n",
                "this model server gives one answer (`n` is 1)",
            ));
        }
        let model = body.text("model")?.ok_or_else(|| missing("model"))?;
        let messages = messages(body.present("messages").ok_or_else(|| missing("messages"))?)?;
        let seed = body.integer("seed", i64::MIN, i64::MAX)?;
        let max_words = match body.integer("max_completion_tokens", 1, i64::from(u32::MAX))? {
            Some(words) => Some(words),
            None => body.integer("max_tokens", 1, i64::from(u32::MAX))?,
        };
        Ok(Self {
            model: model.to_owned(),
            messages,
            sampling: Sampling {
                temperature: body.number("temperature", 0.0, 2.0)?.unwrap_or(DEFAULT_TEMPERATURE),
                top_p: body.number("top_p", 0.0, 1.0)?.unwrap_or(DEFAULT_TOP_P),
                frequency_penalty: body.number("frequency_penalty", -2.0, 2.0)?.unwrap_or(0.0),
                presence_penalty: body.number("presence_penalty", -2.0, 2.0)?.unwrap_or(0.0),
                seed: seed.map(fold_seed),
            },
            max_words: max_words.and_then(|words| u32::try_from(words).ok()),
            stops: stops(body.present("stop"))?,
            stream: body.flag("stream")?,
            include_usage: include_usage(body.present("stream_options"))?,
        })
    }
}

/// Maps any 64-bit seed onto the 31 bits below llama.cpp's "draw one yourself".
fn fold_seed(seed: i64) -> u32 {
    u32::try_from(seed.rem_euclid(i64::from(i32::MAX))).unwrap_or(0)
}

fn missing(param: &'static str) -> Problem {
    Problem::bad("missing_required_parameter", param, format!("`{param}` is required"))
}

fn invalid(param: &'static str, rule: &str) -> Problem {
    Problem::bad("invalid_value", param, format!("`{param}` must be {rule}"))
}

fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), Problem> {
    for (param, what) in REFUSED {
        if fields.get(param).is_some_and(|value| asks_for_something(param, value)) {
            return Err(Problem::bad(
                "unsupported_parameter",
                param,
                format!("this model server has no {what} (`{param}`)"),
            ));
        }
    }
    let known = |name: &str| {
        READ.contains(&name)
            || IGNORED.contains(&name)
            || REFUSED.iter().any(|(param, _)| *param == name)
    };
    if fields.keys().all(|name| known(name)) {
        Ok(())
    } else {
        // The name is the caller's own text, so it is not repeated.
        Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "unknown_parameter",
            "the body has a parameter that this model server does not know",
        ))
    }
}

/// Whether a parameter of [`REFUSED`] has a value that would change the answer.
fn asks_for_something(param: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) if list.is_empty() => false,
        Value::Object(map) if map.is_empty() => false,
        Value::String(choice) if matches!(param, "tool_choice" | "function_call") => {
            choice != "none"
        }
        Value::Object(map) if param == "response_format" => {
            map.get("type").and_then(Value::as_str) != Some("text")
        }
        Value::Array(list) if param == "modalities" => list.iter().any(|kind| kind != "text"),
        Value::Number(count) if param == "top_logprobs" => count.as_u64() != Some(0),
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => true,
    }
}

/// Typed access to the parameters; `null` counts as absent, as with OpenAI.
struct Fields<'body>(&'body Map<String, Value>);

impl<'body> Fields<'body> {
    fn present(&self, param: &str) -> Option<&'body Value> {
        self.0.get(param).filter(|value| !value.is_null())
    }

    fn text(&self, param: &'static str) -> Result<Option<&'body str>, Problem> {
        self.present(param)
            .map(|value| value.as_str().ok_or_else(|| invalid(param, "a string")))
            .transpose()
    }

    fn flag(&self, param: &'static str) -> Result<bool, Problem> {
        self.present(param)
            .map_or(Ok(false), |v| v.as_bool().ok_or_else(|| invalid(param, "true or false")))
    }

    fn integer(&self, param: &'static str, min: i64, max: i64) -> Result<Option<i64>, Problem> {
        self.present(param)
            .map(|value| {
                value
                    .as_i64()
                    .filter(|number| (min..=max).contains(number))
                    .ok_or_else(|| invalid(param, &format!("an integer from {min} to {max}")))
            })
            .transpose()
    }

    fn number(&self, param: &'static str, min: f64, max: f64) -> Result<Option<f32>, Problem> {
        self.present(param)
            .map(|value| {
                value
                    .as_f64()
                    .filter(|number| (min..=max).contains(number))
                    .map(to_f32)
                    .ok_or_else(|| invalid(param, &format!("a number from {min} to {max}")))
            })
            .transpose()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only numbers from -2 to 2 come here")]
fn to_f32(number: f64) -> f32 {
    number as f32
}

fn include_usage(options: Option<&Value>) -> Result<bool, Problem> {
    let Some(options) = options else { return Ok(false) };
    let options = options.as_object().ok_or_else(|| invalid("stream_options", "an object"))?;
    Fields(options)
        .flag("include_usage")
        .map_err(|_| invalid("stream_options", "an object whose `include_usage` is true or false"))
}

fn stops(stop: Option<&Value>) -> Result<Vec<String>, Problem> {
    let rule = || {
        let rule = format!("a string, or up to {STOP_LIMIT}, of up to {STOP_BYTES_LIMIT} bytes");
        invalid("stop", &rule)
    };
    let list = match stop {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(rule))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(rule()),
    };
    let fits = |one: &String| !one.is_empty() && one.len() <= STOP_BYTES_LIMIT;
    if list.len() <= STOP_LIMIT && list.iter().all(fits) { Ok(list) } else { Err(rule()) }
}

fn messages(value: &Value) -> Result<Vec<Message>, Problem> {
    let rule = || invalid("messages", "a list of messages, and not an empty one");
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(rule)?;
    if list.len() > MESSAGES_LIMIT {
        return Err(invalid("messages", &format!("at most {MESSAGES_LIMIT} messages")));
    }
    list.iter().map(|entry| message(entry.as_object().ok_or_else(rule)?)).collect()
}

fn message(entry: &Map<String, Value>) -> Result<Message, Problem> {
    let fields = Fields(entry);
    let role = match fields.present("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => return Err(no_tools()),
        Some(_) | None => {
            return Err(invalid("messages", "a list whose roles are system, user or assistant"));
        }
    };
    let calls = fields.present("tool_calls").is_some_and(|v| asks_for_something("", v));
    if calls || fields.present("function_call").is_some() {
        return Err(no_tools());
    }
    // What a message carries beside its text would be lost without a word, so it is refused.
    let extra = entry.iter().any(|(name, value)| {
        !matches!(name.as_str(), "role" | "content" | "name" | "tool_calls" | "function_call")
            && !value.is_null()
    });
    if extra {
        return Err(invalid("messages", "a list of messages with only `role`, `content`, `name`"));
    }
    let text = match fields.present("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().map(part).collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        None if role == Role::Assistant => String::new(),
        Some(_) | None => return Err(invalid("messages", "a list whose contents are text")),
    };
    Ok(Message { role, text })
}

fn no_tools() -> Problem {
    Problem::bad("unsupported_parameter", "messages", "this model server has no tool calling")
}

fn part(value: &Value) -> Result<&str, Problem> {
    let kind = value.get("type").and_then(Value::as_str);
    match (kind, value.get("text").and_then(Value::as_str)) {
        (Some("text"), Some(text)) => Ok(text),
        _ => Err(invalid("messages", "a list whose content parts are all of type `text`")),
    }
}

/// Counts of one exchange, in words of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) prompt: u32,
    pub(crate) answer: u32,
}

impl Usage {
    fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.answer,
            "total_tokens": u64::from(self.prompt) + u64::from(self.answer),
        })
    }
}

impl Finish {
    fn reason(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// What all parts of one reply have in common.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    /// Whether every chunk of a stream has a `usage` field.
    pub(crate) include_usage: bool,
}

impl Envelope {
    /// The reply to a request that does not stream.
    pub(crate) fn completion(&self, text: &str, finish: Finish, usage: Usage) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": text, "refusal": null },
                "logprobs": null,
                "finish_reason": finish.reason(),
            }],
            "usage": usage.json(),
        })
    }

    /// The first chunk of a stream, which names the role.
    pub(crate) fn opening(&self) -> Value {
        self.chunk(&json!({ "role": "assistant", "content": "" }), None)
    }

    /// A chunk of text.
    pub(crate) fn piece(&self, text: &str) -> Value {
        self.chunk(&json!({ "content": text }), None)
    }

    /// The chunk that says why the answer ended.
    pub(crate) fn ending(&self, finish: Finish) -> Value {
        self.chunk(&json!({}), Some(finish.reason()))
    }

    /// The last chunk, when the caller asked for counts.
    pub(crate) fn counts(&self, usage: Usage) -> Value {
        let mut chunk = self.chunk(&json!({}), None);
        if let Some(fields) = chunk.as_object_mut() {
            fields.insert("choices".into(), json!([]));
            fields.insert("usage".into(), usage.json());
        }
        chunk
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
            }],
        });
        if let (true, Some(fields)) = (self.include_usage, chunk.as_object_mut()) {
            fields.insert("usage".into(), Value::Null);
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extra: &str) -> Vec<u8> {
        let comma = if extra.is_empty() { "" } else { "," };
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{comma}{extra}}}"#)
            .into_bytes()
    }

    /// Checks the code and the parameter of the refusal of `body`.
    fn check(body: &[u8], code: &str, param: Option<&str>) {
        let problem = Ask::parse(body).err().expect("this body must be refused");
        assert_eq!((problem.code, problem.param), (code, param), "{}", problem.message);
        assert_eq!(problem.status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_is_said_in_the_request_is_read() {
        let body = with(
            r#""stream":true,"stream_options":{"include_usage":true},"temperature":0,
               "top_p":0.5,"max_tokens":7,"stop":["a","b"],"seed":-3,"n":1,"tools":[],"user":"u""#,
        );
        let ask = Ask::parse(&body).unwrap_or_else(|problem| panic!("{}", problem.message));
        assert!(ask.stream && ask.include_usage);
        assert_eq!(ask.max_words, Some(7));
        assert_eq!(ask.stops, ["a", "b"]);
        assert!(ask.sampling.temperature == 0.0 && (ask.sampling.top_p - 0.5).abs() < 1e-6);
        assert_eq!(ask.sampling.seed, Some(fold_seed(-3)));
    }

    #[test]
    fn text_parts_and_developer_messages_are_read() {
        let body = br#"{"model":"m","messages":[{"role":"developer","content":"be short"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null}]}"#;
        let ask = Ask::parse(body).unwrap_or_else(|problem| panic!("{}", problem.message));
        let read: Vec<_> = ask.messages.iter().map(|m| (m.role, m.text.as_str())).collect();
        let expected = [(Role::System, "be short"), (Role::User, "a\nb"), (Role::Assistant, "")];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_this_server_cannot_do_is_refused_by_name() {
        check(&with(r#""n":2"#), "unsupported_parameter", Some("n"));
        check(&with(r#""tools":[{"type":"function"}]"#), "unsupported_parameter", Some("tools"));
        check(&with(r#""tool_choice":"auto""#), "unsupported_parameter", Some("tool_choice"));
        let format = r#""response_format":{"type":"json_object"}"#;
        check(&with(format), "unsupported_parameter", Some("response_format"));
        check(&with(r#""logprobs":true"#), "unsupported_parameter", Some("logprobs"));
        check(&with(r#""frobnicate":1"#), "unknown_parameter", None);
    }

    #[test]
    fn malformed_parameters_are_refused() {
        check(b"{", "invalid_json", None);
        check(b"[]", "invalid_json", None);
        check(b"\xff", "invalid_json", None);
        check(br#"{"messages":[]}"#, "missing_required_parameter", Some("model"));
        check(br#"{"model":"m"}"#, "missing_required_parameter", Some("messages"));
        check(br#"{"model":"m","messages":[]}"#, "invalid_value", Some("messages"));
        check(&with(r#""temperature":3"#), "invalid_value", Some("temperature"));
        check(&with(r#""max_tokens":0"#), "invalid_value", Some("max_tokens"));
        check(&with(r#""stop":["1","2","3","4","5"]"#), "invalid_value", Some("stop"));
        check(&with(r#""stop":7"#), "invalid_value", Some("stop"));
        check(&with(r#""stream":"yes""#), "invalid_value", Some("stream"));
        check(&with(r#""stream_options":1"#), "invalid_value", Some("stream_options"));
    }

    #[test]
    fn a_message_with_more_than_text_is_refused() {
        let message = |inner: &str| format!(r#"{{"model":"m","messages":[{inner}]}}"#).into_bytes();
        let tool = message(r#"{"role":"tool","content":"x","tool_call_id":"1"}"#);
        check(&tool, "unsupported_parameter", Some("messages"));
        let image = message(r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#);
        check(&image, "invalid_value", Some("messages"));
        let extra = message(r#"{"role":"user","content":"x","attachments":["y"]}"#);
        check(&extra, "invalid_value", Some("messages"));
        check(&message(r#"{"role":"user"}"#), "invalid_value", Some("messages"));
    }

    #[test]
    fn no_refusal_repeats_a_value_of_the_request() {
        let planted = "Zebulon Quartermaine";
        let bodies = [
            format!(r#"{{"{planted}":1}}"#),
            format!(r#"{{"model":"m","messages":"{planted}"}}"#),
            format!(r#"{{"model":["{planted}"],"messages":[]}}"#),
            format!(r#"{{"model":"m","messages":[{{"role":"{planted}","content":""}}]}}"#),
            format!(r#"{{"model":"m","messages":[{{"{planted}"#),
        ];
        for body in bodies {
            let problem = Ask::parse(body.as_bytes()).err().expect("this body must be refused");
            assert!(!problem.body().to_string().contains("Zebulon"), "{}", problem.message);
        }
    }
}
