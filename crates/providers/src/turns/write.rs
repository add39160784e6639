//! Saying a conversation in the dialects in which it can leave.

use super::{Block, Choice, Conversation, Format, NoWords, Role, Tool};
use crate::taker::{member, word};
use gate::rules::Dialect;
use gate::shape::{Key, Shape};

type Written = Result<Shape, NoWords>;

/// Anthropic's models must be told how long an answer may be. The smallest limit among them, so that
/// none refuses it.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// The members of an object as they come together; those that say nothing are left out.
#[derive(Default)]
struct Object(Vec<(Key, Shape)>);

impl Object {
    fn with(mut self, name: &str, value: Shape) -> Self {
        self.0.push(member(name, value));
        self
    }

    fn maybe(self, name: &str, value: Option<&Shape>) -> Self {
        match value {
            Some(value) => self.with(name, value.clone()),
            None => self,
        }
    }

    fn list(self, name: &str, items: Vec<Shape>) -> Self {
        if items.is_empty() { self } else { self.with(name, Shape::List(items)) }
    }

    fn done(self) -> Shape {
        Shape::Map(self.0)
    }
}

fn object() -> Object {
    Object::default()
}

fn cloned(shapes: &[&Shape]) -> Vec<Shape> {
    shapes.iter().map(|shape| (*shape).clone()).collect()
}

/// A text part with its type.
fn typed(text: &Shape) -> Shape {
    object().with("type", word("text")).with("text", text.clone()).done()
}

/// A text where a dialect takes no JSON: a document of a tool's result becomes the string that holds
/// it.
fn as_text(shape: &Shape) -> Shape {
    let is_text = matches!(shape, Shape::Part(_) | Shape::Embedded(_));
    if is_text { shape.clone() } else { Shape::Embedded(Box::new(shape.clone())) }
}

/// The arguments of a call as an object, which is what most dialects want.
fn arguments(shape: &Shape) -> Written {
    let object = if let Shape::Embedded(inner) = shape { inner } else { shape };
    if object.is_map() {
        Ok(object.clone())
    } else {
        Err(NoWords::of("arguments that are no JSON object"))
    }
}

fn nothing_needed() -> Shape {
    object().with("type", word("object")).with("properties", Shape::Map(Vec::new())).done()
}

impl Conversation<'_> {
    pub(super) fn to_chat(&self, dialect: Dialect) -> Written {
        let mut messages: Vec<Shape> = self
            .system
            .iter()
            .map(|text| {
                object().with("role", word("system")).with("content", (*text).clone()).done()
            })
            .collect();
        for turn in &self.turns {
            match turn.role {
                Role::User => chat_user(&turn.blocks, &mut messages)?,
                Role::Assistant => messages.push(chat_assistant(&turn.blocks)?),
            }
        }
        // OpenAI's newer models know only the newer name, and other servers only the older one.
        let max_tokens = match dialect {
            Dialect::OpenAi | Dialect::AzureOpenAi => "max_completion_tokens",
            Dialect::OpenAiCompatible
            | Dialect::Anthropic
            | Dialect::Bedrock
            | Dialect::Vertex
            | Dialect::Mcp => "max_tokens",
        };
        let mut request = object()
            .with("model", Shape::Model)
            .with("messages", Shape::List(messages))
            .maybe(max_tokens, self.max_tokens)
            .maybe("temperature", self.temperature)
            .maybe("top_p", self.top_p)
            .maybe("top_k", self.top_k)
            .maybe("n", self.choices)
            .list("stop", cloned(&self.stop))
            .list("tools", self.tools.iter().map(chat_tool).collect());
        if let Some(choice) = &self.choice {
            request = request.with(
                "tool_choice",
                match choice {
                    Choice::Auto => word("auto"),
                    Choice::None => word("none"),
                    Choice::Any => word("required"),
                    Choice::Named(name) => {
                        let function = object().with("name", (*name).clone()).done();
                        object().with("type", word("function")).with("function", function).done()
                    }
                },
            );
        }
        if let Some(parallel) = self.parallel.filter(|_| !self.tools.is_empty()) {
            request = request.with("parallel_tool_calls", Shape::Bool(parallel));
        }
        if let Some(format) = &self.format {
            request = request.with("response_format", chat_format(format));
        }
        if self.stream {
            let options = object().with("include_usage", Shape::Bool(true)).done();
            request = request.with("stream", Shape::Bool(true)).with("stream_options", options);
        }
        Ok(request.done())
    }

    pub(super) fn to_messages(&self) -> Written {
        let messages = self
            .turns
            .iter()
            .map(|turn| {
                let blocks: Vec<Shape> =
                    turn.blocks.iter().map(message_block).collect::<Result<_, _>>()?;
                Ok(object()
                    .with("role", role(turn.role))
                    .with("content", Shape::List(blocks))
                    .done())
            })
            .collect::<Result<_, _>>()?;
        let max_tokens = self.max_tokens.cloned();
        let mut request = object()
            .with("model", Shape::Model)
            .with("max_tokens", max_tokens.unwrap_or(Shape::Number(DEFAULT_MAX_TOKENS.into())))
            .list("system", self.system.iter().map(|text| typed(text)).collect())
            .with("messages", Shape::List(messages))
            .maybe("temperature", self.temperature)
            .maybe("top_p", self.top_p)
            .maybe("top_k", self.top_k)
            .list("stop_sequences", cloned(&self.stop))
            .list("tools", self.tools.iter().map(message_tool).collect());
        if let Some(choice) = self.message_choice() {
            request = request.with("tool_choice", choice);
        }
        match &self.format {
            None => {}
            Some(Format::Object) => return Err(NoWords::of("json_object")),
            Some(Format::Schema { schema, .. }) => {
                let format = object()
                    .with("type", word("json_schema"))
                    .with("schema", (*schema).clone())
                    .done();
                request = request.with("output_config", object().with("format", format).done());
            }
        }
        if self.stream {
            request = request.with("stream", Shape::Bool(true));
        }
        Ok(request.done())
    }

    fn message_choice(&self) -> Option<Shape> {
        let single = self.parallel == Some(false) && !self.tools.is_empty();
        let choice = match (&self.choice, single) {
            (None, false) => return None,
            (None | Some(Choice::Auto), _) => object().with("type", word("auto")),
            (Some(Choice::None), _) => return Some(object().with("type", word("none")).done()),
            (Some(Choice::Any), _) => object().with("type", word("any")),
            (Some(Choice::Named(name)), _) => {
                object().with("type", word("tool")).with("name", (*name).clone())
            }
        };
        let choice = if single {
            choice.with("disable_parallel_tool_use", Shape::Bool(true))
        } else {
            choice
        };
        Some(choice.done())
    }

    pub(super) fn to_converse(&self) -> Written {
        let messages = self
            .turns
            .iter()
            .map(|turn| {
                let blocks: Vec<Shape> =
                    turn.blocks.iter().map(converse_block).collect::<Result<_, _>>()?;
                Ok(object()
                    .with("role", role(turn.role))
                    .with("content", Shape::List(blocks))
                    .done())
            })
            .collect::<Result<_, _>>()?;
        let inference = object()
            .maybe("maxTokens", self.max_tokens)
            .maybe("temperature", self.temperature)
            .maybe("topP", self.top_p)
            .list("stopSequences", cloned(&self.stop))
            .done();
        let text = |text: &&Shape| object().with("text", (*text).clone()).done();
        let mut request = object()
            .with("messages", Shape::List(messages))
            .list("system", self.system.iter().map(text).collect());
        if !inference.members().is_empty() {
            request = request.with("inferenceConfig", inference);
        }
        if self.top_k.is_some() {
            return Err(NoWords::of("top_k"));
        }
        if self.format.is_some() {
            return Err(NoWords::of("response_format"));
        }
        // Tools that must not be called are not named at all: this dialect has no "none".
        if !self.tools.is_empty() && !matches!(self.choice, Some(Choice::None)) {
            let mut config =
                object().with("tools", Shape::List(self.tools.iter().map(converse_tool).collect()));
            let empty = || Shape::Map(Vec::new());
            config = match &self.choice {
                None | Some(Choice::None) => config,
                Some(Choice::Auto) => {
                    config.with("toolChoice", object().with("auto", empty()).done())
                }
                Some(Choice::Any) => {
                    config.with("toolChoice", object().with("any", empty()).done())
                }
                Some(Choice::Named(name)) => {
                    let tool = object().with("name", (*name).clone()).done();
                    config.with("toolChoice", object().with("tool", tool).done())
                }
            };
            request = request.with("toolConfig", config.done());
        }
        Ok(request.done())
    }

    pub(super) fn to_generate(&self) -> Written {
        let contents = self
            .turns
            .iter()
            .map(|turn| {
                let said = |block: &&Block<'_>| !matches!(block, Block::Reasoning { .. });
                let parts: Vec<Shape> =
                    turn.blocks.iter().filter(said).map(generate_part).collect::<Result<_, _>>()?;
                let role = match turn.role {
                    Role::User => word("user"),
                    Role::Assistant => word("model"),
                };
                Ok(object().with("role", role).with("parts", Shape::List(parts)).done())
            })
            .collect::<Result<_, _>>()?;
        let text = |text: &&Shape| object().with("text", (*text).clone()).done();
        let mut request = object().with("contents", Shape::List(contents));
        if !self.system.is_empty() {
            let parts = Shape::List(self.system.iter().map(text).collect());
            request = request.with("systemInstruction", object().with("parts", parts).done());
        }
        let mut generation = object()
            .maybe("maxOutputTokens", self.max_tokens)
            .maybe("temperature", self.temperature)
            .maybe("topP", self.top_p)
            .maybe("topK", self.top_k)
            .maybe("candidateCount", self.choices)
            .list("stopSequences", cloned(&self.stop));
        if let Some(format) = &self.format {
            generation = generation.with("responseMimeType", word("application/json"));
            if let Format::Schema { schema, .. } = format {
                generation = generation.with("responseJsonSchema", (*schema).clone());
            }
        }
        let generation = generation.done();
        if !generation.members().is_empty() {
            request = request.with("generationConfig", generation);
        }
        if !self.tools.is_empty() {
            let declared = Shape::List(self.tools.iter().map(generate_tool).collect());
            let tool = object().with("functionDeclarations", declared).done();
            request = request.with("tools", Shape::List(vec![tool]));
        }
        if let Some(choice) = &self.choice {
            let (mode, name) = match choice {
                Choice::Auto => ("AUTO", None),
                Choice::None => ("NONE", None),
                Choice::Any => ("ANY", None),
                Choice::Named(name) => ("ANY", Some((*name).clone())),
            };
            let calling = object()
                .with("mode", word(mode))
                .list("allowedFunctionNames", name.into_iter().collect())
                .done();
            let config = object().with("functionCallingConfig", calling).done();
            request = request.with("toolConfig", config);
        }
        Ok(request.done())
    }
}

fn role(role: Role) -> Shape {
    match role {
        Role::User => word("user"),
        Role::Assistant => word("assistant"),
    }
}

/// One text as it is, several as a list of parts.
fn chat_content(texts: &[&Shape]) -> Shape {
    match texts {
        [] => Shape::Null,
        [text] => as_text(text),
        texts => Shape::List(texts.iter().map(|text| typed(&as_text(text))).collect()),
    }
}

fn chat_user(blocks: &[Block<'_>], messages: &mut Vec<Shape>) -> Result<(), NoWords> {
    let mut texts = Vec::new();
    for block in blocks {
        match block {
            Block::Text(text) => texts.push(*text),
            Block::Result { id, content, .. } => messages.push(
                object()
                    .with("role", word("tool"))
                    .with("tool_call_id", id.clone().into_owned())
                    .with("content", chat_content(content))
                    .done(),
            ),
            Block::Reasoning { .. } => {}
            Block::Call { .. } => return Err(NoWords::of("a call by the user")),
        }
    }
    if !texts.is_empty() {
        let message = object().with("role", word("user")).with("content", chat_content(&texts));
        messages.push(message.done());
    }
    Ok(())
}

fn chat_assistant(blocks: &[Block<'_>]) -> Written {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for block in blocks {
        match block {
            Block::Text(text) => texts.push(*text),
            Block::Call { id, name, arguments } => {
                let arguments = as_text(arguments);
                let function =
                    object().with("name", (*name).clone()).with("arguments", arguments).done();
                let call = object()
                    .with("id", id.clone().into_owned())
                    .with("type", word("function"))
                    .with("function", function);
                calls.push(call.done());
            }
            Block::Reasoning { .. } => {}
            Block::Result { .. } => return Err(NoWords::of("a result by the model")),
        }
    }
    Ok(object()
        .with("role", word("assistant"))
        .with("content", chat_content(&texts))
        .list("tool_calls", calls)
        .done())
}

fn chat_tool(tool: &Tool<'_>) -> Shape {
    let function = object()
        .with("name", tool.name.clone())
        .maybe("description", tool.description)
        .maybe("parameters", tool.parameters)
        .maybe("strict", tool.strict)
        .done();
    object().with("type", word("function")).with("function", function).done()
}

fn chat_format(format: &Format<'_>) -> Shape {
    match format {
        Format::Object => object().with("type", word("json_object")).done(),
        Format::Schema { name, schema, strict } => {
            let name = name.map_or_else(|| word("answer"), Clone::clone);
            let described = object()
                .with("name", name)
                .with("schema", (*schema).clone())
                .maybe("strict", *strict)
                .done();
            object().with("type", word("json_schema")).with("json_schema", described).done()
        }
    }
}

fn message_block(block: &Block<'_>) -> Written {
    Ok(match block {
        Block::Text(text) => typed(&as_text(text)),
        Block::Reasoning { text, signature } => object()
            .with("type", word("thinking"))
            .with("thinking", (*text).clone())
            .with("signature", (*signature).clone())
            .done(),
        Block::Call { id, name, arguments: given } => object()
            .with("type", word("tool_use"))
            .with("id", id.clone().into_owned())
            .with("name", (*name).clone())
            .with("input", arguments(given)?)
            .done(),
        Block::Result { id, content, failed, .. } => {
            let content = content.iter().map(|text| typed(&as_text(text))).collect();
            let result = object()
                .with("type", word("tool_result"))
                .with("tool_use_id", id.clone().into_owned())
                .with("content", Shape::List(content));
            if *failed { result.with("is_error", Shape::Bool(true)) } else { result }.done()
        }
    })
}

fn message_tool(tool: &Tool<'_>) -> Shape {
    object()
        .with("name", tool.name.clone())
        .maybe("description", tool.description)
        .with("input_schema", tool.parameters.map_or_else(nothing_needed, Clone::clone))
        .done()
}

fn converse_block(block: &Block<'_>) -> Written {
    Ok(match block {
        Block::Text(text) => object().with("text", as_text(text)).done(),
        Block::Reasoning { text, signature } => {
            let said = object()
                .with("text", (*text).clone())
                .with("signature", (*signature).clone())
                .done();
            let said = object().with("reasoningText", said).done();
            object().with("reasoningContent", said).done()
        }
        Block::Call { id, name, arguments: given } => {
            let call = object()
                .with("toolUseId", id.clone().into_owned())
                .with("name", (*name).clone())
                .with("input", arguments(given)?)
                .done();
            object().with("toolUse", call).done()
        }
        Block::Result { id, content, failed, .. } => {
            let content = content
                .iter()
                .map(|item| {
                    if item.is_map() {
                        object().with("json", (*item).clone()).done()
                    } else {
                        object().with("text", as_text(item)).done()
                    }
                })
                .collect();
            let result = object()
                .with("toolUseId", id.clone().into_owned())
                .with("content", Shape::List(content))
                .with("status", word(if *failed { "error" } else { "success" }))
                .done();
            object().with("toolResult", result).done()
        }
    })
}

fn converse_tool(tool: &Tool<'_>) -> Shape {
    let schema = tool.parameters.map_or_else(nothing_needed, Clone::clone);
    let spec = object()
        .with("name", tool.name.clone())
        .maybe("description", tool.description)
        .with("inputSchema", object().with("json", schema).done())
        .done();
    object().with("toolSpec", spec).done()
}

fn generate_part(block: &Block<'_>) -> Written {
    Ok(match block {
        Block::Reasoning { .. } => return Err(NoWords::of("thinking")),
        Block::Text(text) => object().with("text", as_text(text)).done(),
        Block::Call { name, arguments: given, .. } => {
            let call = object().with("name", (*name).clone()).with("args", arguments(given)?);
            object().with("functionCall", call.done()).done()
        }
        Block::Result { name, content, failed, .. } => {
            let name = name.ok_or_else(|| NoWords::of("a result without its call"))?;
            let response = match (content.as_slice(), failed) {
                ([Shape::Map(members)], false) => Shape::Map(members.clone()),
                (texts, failed) => {
                    let said = match texts {
                        [text] => (*text).clone(),
                        texts => Shape::List(cloned(texts)),
                    };
                    object().with(if *failed { "error" } else { "result" }, said).done()
                }
            };
            let response = object().with("name", name.clone()).with("response", response);
            object().with("functionResponse", response.done()).done()
        }
    })
}

fn generate_tool(tool: &Tool<'_>) -> Shape {
    object()
        .with("name", tool.name.clone())
        .maybe("description", tool.description)
        .maybe("parametersJsonSchema", tool.parameters)
        .done()
}
