//! What a request asks for, in whichever dialect it came.

use super::Captured;
use super::reply::{Arguments, Source};
use super::tokens::{self, Place, Tokens};
use serde_json::{Value, json};

/// Choices that one request may ask for; OpenAI's own limit.
const CHOICES_LIMIT: u64 = 128;

/// How a model server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// OpenAI completions, which came before chat.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// Anthropic Messages.
    Messages,
    /// The count of tokens of Anthropic Messages.
    CountTokens,
    /// Amazon Bedrock Converse and `ConverseStream`.
    Converse,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 8] = [
        Self::Chat,
        Self::Responses,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::Converse,
        Self::Gemini,
    ];

    /// Its short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Converse => "converse",
            Self::Gemini => "gemini",
        }
    }

    /// The dialect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Whether an answer may come as a stream.
    #[must_use]
    pub const fn streams(self) -> bool {
        !matches!(self, Self::Embeddings | Self::CountTokens)
    }
}

/// Whose words a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    /// What a tool found, or a document that was handed over.
    Tool,
}

/// One turn of a conversation: its own text, then what else it holds.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) role: Role,
    pub(crate) texts: Vec<String>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) dialect: Dialect,
    pub(crate) streamed: bool,
    /// Gemini streams a JSON array unless it is asked for events.
    pub(crate) events: bool,
    pub(crate) model: String,
}

impl Route {
    /// The route of a request; none when no model server has it.
    pub(crate) fn of(method: &str, path: &str, body: &Value) -> Option<Self> {
        if method != "POST" {
            return None;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let flag = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        let model = body.get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned();
        let plain =
            |dialect| Some(Self { dialect, streamed: flag, events: true, model: model.clone() });
        if let Some(rest) = path.strip_prefix("/model/") {
            let (model, verb) = rest.rsplit_once('/')?;
            let streamed = match verb {
                "converse" => false,
                "converse-stream" => true,
                _ => return None,
            };
            let model = unescaped(model);
            return Some(Self { dialect: Dialect::Converse, streamed, events: true, model });
        }
        if let Some((place, verb)) = path.rsplit_once(':') {
            return Self::of_verb(place, verb, query.split('&').any(|it| it == "alt=sse"));
        }
        let rest = ["/v1/", "/openai/v1/", "/anthropic/v1/"];
        let rest = rest.iter().find_map(|prefix| path.strip_prefix(prefix));
        let deployed = || path.strip_prefix("/openai/deployments/")?.split_once('/').map(|it| it.1);
        // Responses of Azure's older interface have no deployment in their path.
        let older = || path.strip_prefix("/openai/").filter(|rest| *rest == "responses");
        match rest.or_else(deployed).or_else(older)? {
            "chat/completions" => plain(Dialect::Chat),
            "responses" => plain(Dialect::Responses),
            "completions" => plain(Dialect::Completions),
            "embeddings" => plain(Dialect::Embeddings).map(|it| Self { streamed: false, ..it }),
            "messages" => plain(Dialect::Messages),
            "messages/count_tokens" => {
                plain(Dialect::CountTokens).map(|it| Self { streamed: false, ..it })
            }
            _ => None,
        }
    }

    /// `models/NAME:VERB`, of the Gemini API or of Vertex AI.
    fn of_verb(place: &str, verb: &str, events: bool) -> Option<Self> {
        let known = ["/v1beta/models/", "/v1/models/", "/v1/projects/", "/v1beta1/projects/"];
        known.iter().find(|prefix| place.starts_with(**prefix))?;
        let model = unescaped(place.rsplit('/').next().unwrap_or_default());
        let gemini = |streamed| {
            Some(Self { dialect: Dialect::Gemini, streamed, events, model: model.clone() })
        };
        let claude = |streamed| {
            Some(Self { dialect: Dialect::Messages, streamed, events: true, model: model.clone() })
        };
        match verb {
            "generateContent" => gemini(false),
            "streamGenerateContent" => gemini(true),
            "rawPredict" => claude(false),
            "streamRawPredict" => claude(true),
            _ => None,
        }
    }
}

/// Percent signs undone, as in the name of a model that holds a colon.
fn unescaped(text: &str) -> String {
    text.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/")
}

/// What a request asks for.
pub(super) struct Asked<'a> {
    pub(super) route: Route,
    pub(super) body: &'a Value,
    pub(super) tokens: Tokens,
    turns: Vec<Turn>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(route: Route, body: &'a Value, tokens: Tokens) -> Self {
        let turns = turns(route.dialect, body);
        Self { route, body, tokens, turns }
    }

    /// What a captured request asks for.
    pub(super) fn of(captured: &Captured, body: &'a Value, tokens: Tokens) -> Option<Self> {
        let route = Route::of(&captured.method, &captured.path, body)?;
        Some(Self::new(route, body, tokens))
    }

    /// What a request asks for at a path that no model server has: a chat completion.
    pub(super) fn plain(body: &'a Value, tokens: Tokens) -> Self {
        let model = "stand-in".to_owned();
        let route = Route { dialect: Dialect::Chat, streamed: false, events: true, model };
        Self::new(route, body, tokens)
    }

    pub(super) fn streamed(&self) -> bool {
        self.route.streamed
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.body.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn choices(&self) -> u64 {
        let count = match self.route.dialect {
            Dialect::Chat | Dialect::Completions => self.body.get("n"),
            Dialect::Gemini => self.body.pointer("/generationConfig/candidateCount"),
            Dialect::Responses
            | Dialect::Embeddings
            | Dialect::Messages
            | Dialect::CountTokens
            | Dialect::Converse => None,
        };
        count.and_then(Value::as_u64).unwrap_or(1).clamp(1, CHOICES_LIMIT)
    }

    pub(super) fn wants_logprobs(&self) -> bool {
        match self.route.dialect {
            Dialect::Chat => self.flag("/logprobs"),
            Dialect::Completions => self.body.get("logprobs").is_some_and(Value::is_u64),
            Dialect::Gemini => self.flag("/generationConfig/responseLogprobs"),
            Dialect::Responses => {
                let include = self.body.get("include").and_then(Value::as_array);
                include.into_iter().flatten().any(|it| it == "message.output_text.logprobs")
            }
            Dialect::Embeddings | Dialect::Messages | Dialect::CountTokens | Dialect::Converse => {
                false
            }
        }
    }

    /// What the prompt holds, whatever `source` makes of it.
    pub(super) fn text(&self, source: &Source) -> String {
        match source {
            Source::Fixed(text) => text.clone(),
            Source::LastUser => {
                let user = self.turns.iter().rev().find(|turn| turn.role == Role::User);
                user.and_then(|turn| turn.texts.first()).cloned().unwrap_or_default()
            }
            Source::AllMessages => {
                let texts = self.turns.iter().flat_map(|turn| turn.texts.iter());
                let texts = texts.filter(|text| !text.is_empty()).map(String::as_str);
                texts.collect::<Vec<_>>().join(" | ")
            }
            Source::Surrogates => self.tokens().join(" "),
            Source::Template(template) => self.filled(template),
            Source::Json(document) => self.filled_json(document).to_string(),
        }
    }

    fn filled(&self, template: &str) -> String {
        let tokens = self.tokens();
        let token = |number: usize, form: &dyn Fn(&str) -> String| match tokens.get(number) {
            Some(token) => form(token),
            // A prompt that does not hold it: the place stays visible, so that no test passes by chance.
            None => format!("{{{number}}}"),
        };
        let mut filled = String::new();
        for place in tokens::places(template) {
            filled.push_str(&match place {
                Place::Text(text) => text.to_owned(),
                Place::Token(number) => token(number, &str::to_owned),
                Place::Cut(number) => token(number, &tokens::cut_short),
                Place::Lower(number) => token(number, &str::to_lowercase),
                Place::Changed(number) => token(number, &tokens::changed),
                Place::User => self.text(&Source::LastUser),
                Place::All => self.text(&Source::AllMessages),
            });
        }
        filled
    }

    /// The template with the mangled forms of tokens written out.
    pub(super) fn settled(&self, template: &str) -> String {
        let settle = |place: &Place<'_>| match place {
            Place::Text(text) => (*text).to_owned(),
            Place::Token(number) => format!("{{{number}}}"),
            Place::Cut(number) => self.filled(&format!("{{{number} cut}}")),
            Place::Lower(number) => self.filled(&format!("{{{number} lower}}")),
            Place::Changed(number) => self.filled(&format!("{{{number} changed}}")),
            Place::User => "{user}".to_owned(),
            Place::All => "{all}".to_owned(),
        };
        tokens::places(template).iter().map(settle).collect()
    }

    /// Each token of the prompt once: first in what was said, in order, then in the rest of the request.
    pub(super) fn tokens(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |text: &str| {
            for token in self.tokens.in_text(text) {
                if !found.contains(&token) {
                    found.push(token);
                }
            }
        };
        self.turns.iter().flat_map(|turn| &turn.texts).for_each(|text| look(text));
        each_text(self.body, &mut look);
        found
    }

    pub(super) fn arguments(&self, arguments: &Arguments) -> String {
        match arguments {
            Arguments::Raw(source) => self.text(source),
            Arguments::Surrogates => json!({ "found": self.tokens() }).to_string(),
            Arguments::Fields(fields) => {
                let text = |(key, source): &(String, Source)| {
                    (key.clone(), Value::String(self.text(source)))
                };
                Value::Object(fields.iter().map(text).collect()).to_string()
            }
            Arguments::Json(value) => self.filled_json(value).to_string(),
        }
    }

    fn filled_json(&self, value: &Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => Value::String(self.filled(text)),
            Value::Array(items) => items.iter().map(|item| self.filled_json(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                fields.map(|(key, item)| (self.filled(key), self.filled_json(item))).collect()
            }
        }
    }
}

/// Every key and text of a document.
fn each_text(value: &Value, look: &mut dyn FnMut(&str)) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => look(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, look)),
        Value::Object(fields) => {
            for (key, item) in fields {
                look(key);
                each_text(item, look);
            }
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn role(value: &Value) -> Role {
    match value.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("assistant" | "model") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        Some(_) | None => Role::User,
    }
}

/// A text, or the texts of a list of parts joined by a line feed.
fn joined(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()));
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            String::new()
        }
    }
}

/// What was said, turn by turn, in the order in which a model reads it.
pub(crate) fn turns(dialect: Dialect, body: &Value) -> Vec<Turn> {
    let mut turns = match dialect {
        Dialect::Chat => list(body, "messages").iter().map(chat_turn).collect(),
        Dialect::Completions => several(body.get("prompt")),
        Dialect::Embeddings => several(body.get("input")),
        Dialect::Responses => responses_turns(body),
        Dialect::Messages | Dialect::CountTokens => {
            let system = one(Role::System, joined(body.get("system")));
            system
                .into_iter()
                .chain(list(body, "messages").iter().flat_map(messages_turn))
                .collect()
        }
        Dialect::Converse => {
            let system = one(Role::System, joined(body.get("system")));
            system
                .into_iter()
                .chain(list(body, "messages").iter().flat_map(converse_turn))
                .collect()
        }
        Dialect::Gemini => {
            let system = body.get("systemInstruction").or(body.get("system_instruction"));
            let system = one(Role::System, joined(system.and_then(|it| it.get("parts"))));
            system.into_iter().chain(list(body, "contents").iter().flat_map(gemini_turn)).collect()
        }
    };
    for turn in &mut turns {
        turn.texts.retain(|text| !text.is_empty());
    }
    turns.retain(|turn| !turn.texts.is_empty());
    turns
}

fn one(role: Role, text: String) -> Vec<Turn> {
    vec![Turn { role, texts: vec![text] }]
}

fn several(texts: Option<&Value>) -> Vec<Turn> {
    match texts {
        Some(Value::Array(texts)) => {
            let texts = texts.iter().filter_map(Value::as_str);
            texts.flat_map(|text| one(Role::User, text.to_owned())).collect()
        }
        text => one(Role::User, joined(text)),
    }
}

/// The content, if there is one, and the arguments of each tool call.
fn chat_turn(message: &Value) -> Turn {
    let mut texts = vec![joined(message.get("content"))];
    let calls = list(message, "tool_calls").iter();
    let arguments = calls.filter_map(|call| call.pointer("/function/arguments")?.as_str());
    texts.extend(arguments.map(str::to_owned));
    Turn { role: role(message), texts }
}

fn responses_turns(body: &Value) -> Vec<Turn> {
    let mut turns = one(Role::System, joined(body.get("instructions")));
    match body.get("input") {
        Some(Value::Array(items)) => turns.extend(items.iter().flat_map(responses_turn)),
        text => turns.extend(one(Role::User, joined(text))),
    }
    turns
}

fn responses_turn(item: &Value) -> Vec<Turn> {
    match item.get("type").and_then(Value::as_str) {
        Some("function_call") => one(Role::Assistant, joined(item.get("arguments"))),
        Some("function_call_output") => one(Role::Tool, joined(item.get("output"))),
        Some("reasoning") => one(Role::Assistant, joined(item.get("summary"))),
        Some(_) | None => one(role(item), joined(item.get("content"))),
    }
}

/// Results of tools and documents first, because the text of the turn is about them.
fn messages_turn(message: &Value) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut texts = vec![joined(message.get("content"))];
    for block in list(message, "content") {
        match block.get("type").and_then(Value::as_str) {
            Some("tool_result") => turns.extend(one(Role::Tool, joined(block.get("content")))),
            Some("document") => {
                turns.extend(one(Role::Tool, joined(block.pointer("/source/data"))));
            }
            Some("tool_use") => texts.extend(block.get("input").map(Value::to_string)),
            Some(_) | None => {}
        }
    }
    turns.push(Turn { role: role(message), texts });
    turns
}

fn converse_turn(message: &Value) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut texts = vec![joined(message.get("content"))];
    for block in list(message, "content") {
        for result in block.get("toolResult").map_or(&[][..], |result| list(result, "content")) {
            let json = result.get("json").map(Value::to_string).unwrap_or_default();
            let text = result.get("text").and_then(Value::as_str).unwrap_or_default();
            turns.push(Turn { role: Role::Tool, texts: vec![text.to_owned(), json] });
        }
        turns.extend(one(Role::Tool, joined(block.pointer("/document/source/text"))));
        texts.extend(block.pointer("/toolUse/input").map(Value::to_string));
    }
    turns.push(Turn { role: role(message), texts });
    turns
}

fn gemini_turn(content: &Value) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut texts = vec![joined(content.get("parts"))];
    for part in list(content, "parts") {
        let result = part.pointer("/functionResponse/response");
        turns.extend(one(Role::Tool, result.map(Value::to_string).unwrap_or_default()));
        texts.extend(part.pointer("/functionCall/args").map(Value::to_string));
    }
    turns.push(Turn { role: role(content), texts });
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, body: &Value, expected: Option<(Dialect, bool, &str)>) {
        let route = Route::of("POST", path, body);
        let found = route.as_ref().map(|it| (it.dialect, it.streamed, it.model.as_str()));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_path_names_its_dialect() {
        use Dialect::{Chat, Converse, CountTokens, Embeddings, Gemini, Messages, Responses};
        let body = json!({ "model": "m", "stream": true });
        check("/v1/chat/completions", &body, Some((Chat, true, "m")));
        check(
            "/openai/deployments/d/chat/completions?api-version=1",
            &body,
            Some((Chat, true, "m")),
        );
        check("/openai/v1/responses", &body, Some((Responses, true, "m")));
        check("/v1/embeddings", &body, Some((Embeddings, false, "m")));
        check("/anthropic/v1/messages", &body, Some((Messages, true, "m")));
        check("/v1/messages/count_tokens", &body, Some((CountTokens, false, "m")));
        check("/model/x%3A0/converse-stream", &json!({}), Some((Converse, true, "x:0")));
        check("/model/x/converse", &json!({}), Some((Converse, false, "x")));
        check("/v1beta/models/g:generateContent", &json!({}), Some((Gemini, false, "g")));
        let vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict";
        check(vertex, &json!({}), Some((Messages, true, "c")));
        for path in
            ["/v1/v1/chat/completions", "/chat/completions", "/model/x", "/x:generateContent"]
        {
            check(path, &body, None);
        }
        assert_eq!(Route::of("GET", "/v1/responses", &body), None);
    }

    /// The same conversation in each dialect is read alike.
    #[test]
    fn what_was_said_is_read_in_every_dialect() {
        let chat = json!({ "messages": [
            { "role": "system", "content": "S" }, { "role": "user", "content": "Q" },
            { "role": "assistant", "content": null, "tool_calls": [
                { "function": { "name": "f", "arguments": "{\"a\":\"A\"}" } }] },
            { "role": "tool", "content": "R" }, { "role": "user", "content": "U" }] });
        let responses = json!({ "instructions": "S", "input": [
            { "role": "user", "content": "Q" },
            { "type": "function_call", "arguments": "{\"a\":\"A\"}" },
            { "type": "function_call_output", "output": "R" },
            { "role": "user", "content": [{ "type": "input_text", "text": "U" }] }] });
        let messages = json!({ "system": "S", "messages": [
            { "role": "user", "content": "Q" },
            { "role": "assistant", "content": [{ "type": "tool_use", "input": { "a": "A" } }] },
            { "role": "user", "content": [{ "type": "tool_result", "content": "R" },
                { "type": "text", "text": "U" }] }] });
        let converse = json!({ "system": [{ "text": "S" }], "messages": [
            { "role": "user", "content": [{ "text": "Q" }] },
            { "role": "assistant", "content": [{ "toolUse": { "input": { "a": "A" } } }] },
            { "role": "user", "content": [{ "toolResult": { "content": [{ "text": "R" }] } },
                { "text": "U" }] }] });
        let gemini = json!({ "systemInstruction": { "parts": [{ "text": "S" }] }, "contents": [
            { "role": "user", "parts": [{ "text": "Q" }] },
            { "role": "model", "parts": [{ "functionCall": { "args": { "a": "A" } } }] },
            { "role": "user", "parts": [{ "functionResponse": { "response": "R" } },
                { "text": "U" }] }] });
        for (dialect, body) in [
            (Dialect::Chat, chat),
            (Dialect::Responses, responses),
            (Dialect::Messages, messages),
            (Dialect::Converse, converse),
            (Dialect::Gemini, gemini),
        ] {
            let route = Route { dialect, streamed: false, events: true, model: String::new() };
            let asked = Asked::new(route, &body, Tokens::bulla());
            let all = asked.text(&Source::AllMessages).replace("\"R\"", "R");
            assert_eq!(all, "S | Q | {\"a\":\"A\"} | R | U", "{dialect:?}");
            assert_eq!(asked.text(&Source::LastUser), "U");
        }
    }

    #[test]
    fn a_script_is_filled_from_the_prompt() {
        let body = json!({ "messages": [{ "role": "user", "content":
            "[NAME_AB12CD34] and [SSN_00000000] and [NAME_AB12CD34]" }], "user": "[EMAIL_11111111]" });
        let route =
            Route { dialect: Dialect::Chat, streamed: false, events: true, model: String::new() };
        let asked = Asked::new(route, &body, Tokens::bulla());
        let filled = |text: &str| asked.text(&Source::Template(text.to_owned()));
        assert_eq!(
            filled("Dear {0}, {1}; {2}; {3}"),
            "Dear [NAME_AB12CD34], [SSN_00000000]; [EMAIL_11111111]; {3}"
        );
        assert_eq!(
            filled("{0 lower} {1 cut} {0 changed}"),
            "[name_ab12cd34] [SSN_000000 [NAME_AB12CD37]"
        );
        let arguments = Arguments::Json(json!({ "{0}": ["{1}", 7, null] }));
        assert_eq!(asked.arguments(&arguments), r#"{"[NAME_AB12CD34]":["[SSN_00000000]",7,null]}"#);
    }
}
