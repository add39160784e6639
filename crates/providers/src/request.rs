//! A caller's request, whatever its dialect.

use crate::mcp::{self, Asking, McpSession};
use crate::reading::Keeping;
use crate::schema::{Rule, Unsupported, asked, in_camel_case, walk};
use crate::turns::{Conversation, NoWords, is_conversation};
use crate::{anthropic, bedrock, google, openai};
use gate::prompt::{Call, Draft, Parts, Prompt, PromptPart};
use gate::rules::{Api, Destination, Dialect, Keep};
use gate::shape::{Json, Key, Shape};
use gate::{Code, Refusal};
use ledger::ExchangeId;
use phi::Text;
use phi::surrogate::Escape;
use std::borrow::Cow;
use std::sync::Arc;

/// What is known of a request beside its body: what its address says of it, in dialects whose body does not,
/// and what it goes on from.
#[derive(Clone, Debug, Default)]
pub struct Addressed {
    /// The model.
    pub model: Option<Text>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The exchange whose turn the body begins with, because the request named its response. Without it
    /// that name is refused.
    pub previous: Option<ExchangeId>,
    /// Whether it runs on without its caller, because the request said so. Without it that is refused.
    pub background: bool,
    /// The session with a server of tools, whose name is the model then.
    pub session: Option<Arc<McpSession>>,
}

/// A request, taken apart: everything about it but its text.
#[derive(Debug)]
pub struct Request {
    api: Api,
    shape: Shape,
    model: Text,
    stream: bool,
    escape: Escape,
    counts: bool,
    answer_tokens: Option<u64>,
    said_again: Arc<[(Text, Json)]>,
    /// As the caller wants it.
    keeping: Keeping,
    tools: Option<Arc<Asking>>,
}

/// What a caller asked, and its text beside it.
#[derive(Debug)]
pub struct Asked {
    /// The request.
    pub request: Arc<Request>,
    /// The prompt, for the gate.
    pub prompt: Prompt,
}

impl Request {
    /// Takes a request apart.
    ///
    /// # Errors
    /// [`Unsupported`] when it is not in the dialect, or holds a field that is not scanned.
    pub fn read(
        api: Api,
        addressed: Addressed,
        json: Json,
        written: Text,
    ) -> Result<Asked, Unsupported> {
        if api == Api::Mcp {
            return Self::read_tools(addressed, json, written);
        }
        let (rule, needs) = table(api);
        let previous = addressed.previous;
        let background = addressed.background;
        // Both are done here, so no model server is told of them.
        let json = if background { without(json, "background") } else { json };
        let json = if previous.is_some() { without(json, "previous_response_id") } else { json };
        let json = if api == Api::GenerateContent { in_camel_case(json, rule) } else { json };
        let model = match addressed.model {
            Some(model) => model,
            None => json
                .member("model")
                .and_then(Json::as_text)
                .cloned()
                .ok_or(Unsupported::Missing { field: "model" })?,
        };
        for field in needs {
            let said = match json.member(field) {
                Some(Json::List(_)) => true,
                // What is asked of a model in one text has no turns.
                Some(Json::Text(_)) => matches!(*field, "prompt" | "input"),
                _ => false,
            };
            if !said {
                return Err(Unsupported::Missing { field });
            }
        }
        let stream = addressed.stream || matches!(json.member("stream"), Some(Json::Bool(true)));
        let escape = if answers_in_json(api, &json) { Escape::Json } else { Escape::Plain };
        let counts =
            json.member("stream_options").and_then(|options| options.member("include_usage"));
        let counts = matches!(counts, Some(Json::Bool(true)));
        let answer_tokens = answer_tokens(api, &json);
        let said_again = said_again(api, &json);
        let stored = !matches!(json.member("store"), Some(Json::Bool(false)));
        let keeping = Keeping { previous, background, stored };
        let mut parts = Parts::new();
        let shape = walk(json, rule, "the request", &mut parts)?;
        let request = Self {
            api,
            shape,
            model,
            stream,
            escape,
            counts,
            answer_tokens,
            said_again,
            keeping,
            tools: None,
        };
        Ok(request.with(parts, written))
    }

    /// Takes a message to a server of tools apart.
    fn read_tools(addressed: Addressed, json: Json, written: Text) -> Result<Asked, Unsupported> {
        let taken = mcp::read(addressed, json, &written)?;
        let request = Self {
            api: Api::Mcp,
            shape: taken.params,
            model: taken.route,
            stream: false,
            escape: Escape::Plain,
            counts: false,
            answer_tokens: Some(0),
            said_again: Arc::new([]),
            keeping: Keeping { previous: None, background: false, stored: false },
            tools: Some(taken.asking),
        };
        Ok(request.with(taken.parts, written))
    }

    fn with(self, parts: Parts, written: Text) -> Asked {
        let request = Arc::new(self);
        let draft: Arc<dyn Draft> = Arc::<Self>::clone(&request);
        let prompt = Prompt { draft, parts: parts.into_vec(), written };
        Asked { request, prompt }
    }

    /// What is asked of a server of tools.
    pub(crate) const fn tools(&self) -> Option<&Arc<Asking>> {
        self.tools.as_ref()
    }

    /// The interface in which it is asked.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// The route that the caller names. It is the caller's text until it matches a configured one.
    #[must_use]
    pub const fn model(&self) -> &Text {
        &self.model
    }

    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether a stream is asked for.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.stream
    }

    /// The most tokens that all choices of the answer may have together, when the caller says so.
    #[must_use]
    pub const fn answer_tokens(&self) -> Option<u64> {
        self.answer_tokens
    }

    /// How values are written into the answer's own text: as into JSON when that was asked for.
    #[must_use]
    pub const fn escape(&self) -> Escape {
        self.escape
    }

    /// What a response says of where it is kept, where content is kept or is not.
    pub(crate) fn keeping(&self, keep: Keep) -> Keeping {
        Keeping { stored: self.keeping.stored && keep == Keep::All, ..self.keeping }
    }

    /// Whether it runs on without its caller.
    #[must_use]
    pub const fn background(&self) -> bool {
        self.keeping.background
    }

    /// What an answer says again of the request, in dialects whose answers do.
    pub(crate) fn said_again(&self) -> Arc<[(Text, Json)]> {
        Arc::clone(&self.said_again)
    }

    /// Whether the last event of a stream is to count tokens.
    pub(crate) const fn counts(&self) -> bool {
        self.counts
    }
}

/// The interface of the destination that is called for a request in the interface `api`; none when it
/// has none that says the same.
#[must_use]
pub fn called(api: Api, destination: &Destination) -> Option<Api> {
    if destination.has(api) {
        return Some(api);
    }
    let converses = is_conversation(api);
    let others = [Api::ChatCompletions, Api::Messages, Api::Converse, Api::GenerateContent];
    others.into_iter().find(|other| converses && destination.has(*other))
}

impl Draft for Request {
    fn write(&self, destination: &Destination, parts: &[PromptPart]) -> Result<Call<'_>, Refusal> {
        let Some(api) = called(self.api, destination) else {
            return Err(untranslatable(destination, self.api.as_str()));
        };
        if let Some(asking) = &self.tools {
            let stateless = destination.api_version().is_some();
            let shape = Cow::Owned(mcp::written(asking, &self.shape, stateless));
            return Ok(call(api, shape, false));
        }
        let flags = flags(api, destination);
        if api == self.api {
            // The bytes as written say the same only where the address says nothing beside them and no
            // flag is added.
            let as_written = flags.is_empty() && self.shape.member("model").is_some();
            let shape = if flags.is_empty() {
                Cow::Borrowed(&self.shape)
            } else {
                Cow::Owned(flagged(self.shape.clone(), flags))
            };
            return Ok(call(api, shape, as_written));
        }
        let conversation = Conversation::read(self.api, self.stream, &self.shape, parts);
        let shape = conversation
            .and_then(|conversation| conversation.write(api, destination.dialect()))
            .map_err(|NoWords(what)| untranslatable(destination, &what))?;
        Ok(call(api, Cow::Owned(flagged(shape, flags)), false))
    }
}

/// A call, with what it asks for: told by the table of the interface that is called, because that is
/// what the vendor sees.
fn call(api: Api, shape: Cow<'_, Shape>, as_written: bool) -> Call<'_> {
    let capabilities = asked(&shape, table(api).0);
    Call { api, shape, as_written, capabilities }
}

/// The members that keep a vendor from keeping what it is sent: the vendor's own promise is in the
/// agreement, and this holds it to it. 45 CFR 164.504(e)(2)(i).
fn flags(api: Api, destination: &Destination) -> Vec<(Key, Shape)> {
    let stores = match api {
        // It is kept unless the request says otherwise, by whoever serves this interface, and no disposal
        // of ours would reach it.
        Api::Responses => true,
        // A server that only speaks alike may not know the member.
        Api::ChatCompletions => match destination.dialect() {
            Dialect::OpenAi | Dialect::AzureOpenAi => !destination.is_inside(),
            Dialect::OpenAiCompatible
            | Dialect::Anthropic
            | Dialect::Bedrock
            | Dialect::Vertex
            | Dialect::Mcp => false,
        },
        // They have no such member: what is kept is a matter of the account, and of the terms.
        Api::Completions
        | Api::Embeddings
        | Api::Messages
        | Api::CountTokens
        | Api::Converse
        | Api::GenerateContent
        | Api::Mcp => false,
    };
    if stores { vec![crate::taker::member("store", Shape::Bool(false))] } else { Vec::new() }
}

/// The request with members of ours in place of the caller's of the same name.
fn flagged(shape: Shape, flags: Vec<(Key, Shape)>) -> Shape {
    let Shape::Map(members) = shape else { return shape };
    let ours = |key: &Key| match key {
        Key::Word(word) => {
            flags.iter().any(|(flag, _)| matches!(flag, Key::Word(flag) if flag == word))
        }
        Key::Part(_) => false,
    };
    let mut members: Vec<(Key, Shape)> =
        members.into_iter().filter(|(key, _)| !ours(key)).collect();
    members.extend(flags);
    Shape::Map(members)
}

fn untranslatable(destination: &Destination, what: &str) -> Refusal {
    Refusal {
        code: Code::UnsupportedByDestination,
        message: format!(
            "The destination \"{}\" has no words for \"{what}\", so the request cannot be carried there.",
            destination.id()
        )
        .into(),
        classes: Vec::new(),
        reason: None,
    }
}

/// What a request may hold, and which of its members must be text or a list.
pub(crate) fn table(api: Api) -> (&'static Rule, &'static [&'static str]) {
    match api {
        Api::ChatCompletions => (&openai::chat::CHAT, &["messages"]),
        Api::Completions => (&openai::plain::COMPLETIONS, &["prompt"]),
        Api::Embeddings => (&openai::plain::EMBEDDINGS, &["input"]),
        Api::Responses => (&openai::responses::RESPONSES, &["input"]),
        Api::Messages => (&anthropic::MESSAGES, &["messages"]),
        Api::CountTokens => (&anthropic::COUNT_TOKENS, &["messages"]),
        Api::Converse => (&bedrock::CONVERSE, &["messages"]),
        Api::GenerateContent => (&google::GENERATE, &["contents"]),
        Api::Mcp => (&mcp::MESSAGE, &["method"]),
    }
}

/// An object without the member of this name.
fn without(json: Json, name: &str) -> Json {
    match json {
        Json::Map(mut members) => {
            members.retain(|(key, _)| key.expose() != name);
            Json::Map(members)
        }
        json @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_)) => {
            json
        }
    }
}

/// The members of a request for a response that the response says again.
fn said_again(api: Api, json: &Json) -> Arc<[(Text, Json)]> {
    const MEMBERS: [&str; 14] = [
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "reasoning",
        "safety_identifier",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "truncation",
        "user",
    ];
    if api != Api::Responses {
        return Arc::new([]);
    }
    MEMBERS
        .into_iter()
        .filter_map(|name| json.member(name).map(|value| (Text::from(name), value.clone())))
        .collect()
}

/// The most tokens that an answer may have, as the caller says.
fn answer_tokens(api: Api, json: &Json) -> Option<u64> {
    let number = |json: &Json, name| json.member(name).and_then(Json::as_u64);
    let most = match api {
        Api::ChatCompletions | Api::Completions => {
            number(json, "max_completion_tokens").or_else(|| number(json, "max_tokens"))
        }
        Api::Responses => number(json, "max_output_tokens"),
        Api::Messages => number(json, "max_tokens"),
        Api::Converse => json.member("inferenceConfig").and_then(|it| number(it, "maxTokens")),
        Api::GenerateContent => {
            json.member("generationConfig").and_then(|it| number(it, "maxOutputTokens"))
        }
        // They are answered with numbers, or by no model.
        Api::Embeddings | Api::CountTokens | Api::Mcp => return Some(0),
    };
    most.map(|most| most.saturating_mul(number(json, "n").unwrap_or(1)))
}

/// Whether the answer's own text is to be a JSON document.
fn answers_in_json(api: Api, json: &Json) -> bool {
    let path: &[&str] = match api {
        Api::ChatCompletions => &["response_format", "type"],
        Api::Responses => &["text", "format", "type"],
        Api::Messages => {
            return json.member("output_format").is_some()
                || json
                    .member("output_config")
                    .is_some_and(|config| config.member("format").is_some());
        }
        Api::Converse => return json.member("outputConfig").is_some(),
        Api::GenerateContent => &["generationConfig", "responseMimeType"],
        Api::Completions | Api::Embeddings | Api::CountTokens | Api::Mcp => return false,
    };
    let found = path.iter().try_fold(json, |json, name| json.member(name));
    found.and_then(Json::as_text).is_some_and(|kind| {
        kind.expose().starts_with("json") || kind.expose() == "application/json"
    })
}
