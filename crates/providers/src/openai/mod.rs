//! The OpenAI dialect: chat completions.

mod answer;
mod fields;
mod stream;

pub use answer::answer;
pub use stream::StreamReader;

use crate::schema::{Unsupported, walk};
use gate::prompt::{Parts, Prompt};
use gate::shape::Json;
use phi::Text;
use phi::surrogate::Escape;

/// A chat completion request, taken apart.
#[derive(Debug)]
pub struct ChatRequest {
    /// The route that the caller names. It is the caller's text until it matches a configured one.
    pub model: Text,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The prompt.
    pub prompt: Prompt,
}

/// Takes a chat completion request apart.
///
/// # Errors
/// [`Unsupported`] when it is not in the dialect, or holds a field that is not scanned.
pub fn chat_request(json: Json, written: Text) -> Result<ChatRequest, Unsupported> {
    let model = json
        .member("model")
        .and_then(Json::as_text)
        .cloned()
        .ok_or(Unsupported::Missing { field: "model" })?;
    if !matches!(json.member("messages"), Some(Json::List(_))) {
        return Err(Unsupported::Missing { field: "messages" });
    }
    let stream = matches!(json.member("stream"), Some(Json::Bool(true)));
    let answers_in_json = json
        .member("response_format")
        .and_then(|format| format.member("type"))
        .and_then(Json::as_text)
        .is_some_and(|kind| kind.expose().starts_with("json"));
    let answer_escape = if answers_in_json { Escape::Json } else { Escape::Plain };
    let mut parts = Parts::new();
    let shape = walk(json, &fields::CHAT, "the request", &mut parts)?;
    let prompt = Prompt { shape, parts: parts.into_vec(), written, answer_escape };
    Ok(ChatRequest { model, stream, prompt })
}
