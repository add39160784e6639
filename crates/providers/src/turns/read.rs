//! Reading a conversation out of the dialects in which it can be asked.

use super::{Block, Choice, Conversation, Format, NoWords, Role, Tool, same};
use gate::prompt::PromptPart;
use gate::shape::{Key, Shape};
use std::borrow::Cow;

type Read<T> = Result<T, NoWords>;

/// The members of an object that say something, by their names.
fn members(shape: &Shape) -> impl Iterator<Item = (&str, &Shape)> {
    shape.members().iter().filter_map(|(key, value)| match (key, value) {
        (_, Shape::Null) | (Key::Part(_), _) => None,
        (Key::Word(word), value) => Some((word.as_str(), value)),
    })
}

fn get<'s>(shape: &'s Shape, name: &str) -> Option<&'s Shape> {
    shape.member(name).filter(|value| !matches!(value, Shape::Null))
}

fn need<'s>(shape: &'s Shape, name: &str) -> Read<&'s Shape> {
    get(shape, name).ok_or_else(|| NoWords::of(name))
}

fn is_true(shape: Option<&Shape>) -> bool {
    matches!(shape, Some(Shape::Bool(true)))
}

/// Whether a setting says nothing: off, or a penalty of nothing.
fn is_off(shape: &Shape) -> bool {
    let nothing = matches!(shape, Shape::Number(number) if number.as_f64() == Some(0.0));
    nothing || matches!(shape, Shape::Bool(false))
}

/// One text, or a list of them.
fn texts(shape: &Shape) -> Vec<&Shape> {
    if shape.is_list() { shape.items().iter().collect() } else { vec![shape] }
}

/// Content that is a text or a list of typed parts, of which only text can be carried over.
fn content(shape: Option<&Shape>) -> Read<Vec<&Shape>> {
    let Some(shape) = shape else { return Ok(Vec::new()) };
    let Shape::List(items) = shape else { return Ok(vec![shape]) };
    items
        .iter()
        .map(|item| match get(item, "type").and_then(Shape::word) {
            None | Some("text" | "input_text" | "output_text") => need(item, "text"),
            Some("refusal") => need(item, "refusal"),
            Some(other) => Err(NoWords::of(other)),
        })
        .collect()
}

pub(super) fn chat(shape: &Shape) -> Read<Conversation<'_>> {
    let mut conversation = Conversation::default();
    for (name, value) in members(shape) {
        match name {
            "messages" => {
                for message in value.items() {
                    chat_message(&mut conversation, message)?;
                }
            }
            "max_tokens" | "max_completion_tokens" => conversation.max_tokens = Some(value),
            "temperature" => conversation.temperature = Some(value),
            "top_p" => conversation.top_p = Some(value),
            "top_k" => conversation.top_k = Some(value),
            "stop" => conversation.stop = texts(value),
            "parallel_tool_calls" => conversation.parallel = Some(is_true(Some(value))),
            "response_format" => conversation.format = format(value, "json_schema")?,
            "tools" => {
                for tool in value.items() {
                    conversation.tools.push(function(need(tool, "function")?, "parameters")?);
                }
            }
            "tool_choice" => conversation.choice = Some(choice(value, get(value, "function"))?),
            "n" => conversation.choices = Some(value),
            "model" | "stream" | "stream_options" | "user" | "metadata" | "store"
            | "safety_identifier" | "prompt_cache_key" | "service_tier" => {}
            _ if is_off(value) => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(conversation)
}

fn chat_message<'s>(conversation: &mut Conversation<'s>, message: &'s Shape) -> Read<()> {
    let said = content(get(message, "content"))?;
    match get(message, "role").and_then(Shape::word) {
        Some("system" | "developer") => conversation.system.extend(said),
        Some("user") => {
            for text in said {
                conversation.say(Role::User, Block::Text(text));
            }
        }
        Some("assistant") => {
            let refusal = get(message, "refusal");
            for text in said.into_iter().chain(refusal) {
                conversation.say(Role::Assistant, Block::Text(text));
            }
            for call in get(message, "tool_calls").map(Shape::items).unwrap_or_default() {
                let function = need(call, "function")?;
                let id = Cow::Borrowed(need(call, "id")?);
                let (name, arguments) = (need(function, "name")?, need(function, "arguments")?);
                conversation.say(Role::Assistant, Block::Call { id, name, arguments });
            }
            if get(message, "function_call").is_some() {
                return Err(NoWords::of("function_call"));
            }
        }
        Some("tool") => {
            let id = Cow::Borrowed(need(message, "tool_call_id")?);
            let result = Block::Result { id, name: None, content: said, failed: false };
            conversation.say(Role::User, result);
        }
        other => return Err(NoWords::of(other.unwrap_or("role"))),
    }
    Ok(())
}

fn function<'s>(function: &'s Shape, parameters: &str) -> Read<Tool<'s>> {
    Ok(Tool {
        name: need(function, "name")?,
        description: get(function, "description"),
        parameters: get(function, parameters),
        strict: get(function, "strict"),
    })
}

fn choice<'s>(value: &'s Shape, named: Option<&'s Shape>) -> Read<Choice<'s>> {
    match (value.word(), named) {
        (Some("auto"), _) => Ok(Choice::Auto),
        (Some("none"), _) => Ok(Choice::None),
        (Some("required"), _) => Ok(Choice::Any),
        (None, Some(named)) => Ok(Choice::Named(need(named, "name")?)),
        _ => Err(NoWords::of("tool_choice")),
    }
}

/// A format whose schema stands in a member of its own, or beside its type when `inside` is empty.
fn format<'s>(value: &'s Shape, inside: &str) -> Read<Option<Format<'s>>> {
    match get(value, "type").and_then(Shape::word) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Object)),
        Some("json_schema") => {
            let described = if inside.is_empty() { value } else { need(value, inside)? };
            Ok(Some(Format::Schema {
                name: get(described, "name"),
                schema: need(described, "schema")?,
                strict: get(described, "strict"),
            }))
        }
        _ => Err(NoWords::of("format")),
    }
}

pub(super) fn responses(shape: &Shape) -> Read<Conversation<'_>> {
    let mut conversation = Conversation::default();
    for (name, value) in members(shape) {
        match name {
            "instructions" => conversation.system.insert(0, value),
            "input" if value.is_list() => {
                for item in value.items() {
                    response_item(&mut conversation, item)?;
                }
            }
            "input" => conversation.say(Role::User, Block::Text(value)),
            "max_output_tokens" => conversation.max_tokens = Some(value),
            "temperature" => conversation.temperature = Some(value),
            "top_p" => conversation.top_p = Some(value),
            "parallel_tool_calls" => conversation.parallel = Some(is_true(Some(value))),
            "text" => {
                if let Some(described) = get(value, "format") {
                    conversation.format = format(described, "")?;
                }
            }
            "tools" => {
                for tool in value.items() {
                    conversation.tools.push(function(tool, "parameters")?);
                }
            }
            "tool_choice" => conversation.choice = Some(choice(value, Some(value))?),
            "include" => {
                let asked = value.items().iter().filter_map(Shape::word);
                if let Some(other) =
                    asked.into_iter().find(|it| *it != "reasoning.encrypted_content")
                {
                    return Err(NoWords::of(other));
                }
            }
            "model" | "stream" | "stream_options" | "user" | "metadata" | "store"
            | "safety_identifier" | "prompt_cache_key" | "service_tier" | "truncation"
            | "reasoning" => {}
            _ if is_off(value) => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(conversation)
}

fn response_item<'s>(conversation: &mut Conversation<'s>, item: &'s Shape) -> Read<()> {
    match get(item, "type").and_then(Shape::word) {
        None | Some("message") => {
            let said = content(get(item, "content"))?;
            match get(item, "role").and_then(Shape::word) {
                Some("system" | "developer") => conversation.system.extend(said),
                Some("assistant") => said
                    .into_iter()
                    .for_each(|text| conversation.say(Role::Assistant, Block::Text(text))),
                _ => said
                    .into_iter()
                    .for_each(|text| conversation.say(Role::User, Block::Text(text))),
            }
        }
        Some("function_call") => {
            let id = Cow::Borrowed(need(item, "call_id")?);
            let (name, arguments) = (need(item, "name")?, need(item, "arguments")?);
            conversation.say(Role::Assistant, Block::Call { id, name, arguments });
        }
        Some("function_call_output") => {
            let id = Cow::Borrowed(need(item, "call_id")?);
            let content = content(get(item, "output"))?;
            let result = Block::Result { id, name: None, content, failed: false };
            conversation.say(Role::User, result);
        }
        // What another vendor's model thought is of no use to this one.
        Some("reasoning") => {}
        Some(other) => return Err(NoWords::of(other)),
    }
    Ok(())
}

pub(super) fn messages(shape: &Shape) -> Read<Conversation<'_>> {
    let mut conversation = Conversation::default();
    for (name, value) in members(shape) {
        match name {
            "system" => conversation.system = content(Some(value))?,
            "messages" => {
                for message in value.items() {
                    message_blocks(&mut conversation, message)?;
                }
            }
            "max_tokens" => conversation.max_tokens = Some(value),
            "temperature" => conversation.temperature = Some(value),
            "top_p" => conversation.top_p = Some(value),
            "top_k" => conversation.top_k = Some(value),
            "stop_sequences" => conversation.stop = texts(value),
            "tools" => {
                for tool in value.items() {
                    conversation.tools.push(function(tool, "input_schema")?);
                }
            }
            "tool_choice" => {
                conversation.parallel =
                    is_true(get(value, "disable_parallel_tool_use")).then_some(false);
                conversation.choice = Some(match get(value, "type").and_then(Shape::word) {
                    Some("none") => Choice::None,
                    Some("any") => Choice::Any,
                    Some("tool") => Choice::Named(need(value, "name")?),
                    _ => Choice::Auto,
                });
            }
            "output_format" => conversation.format = format(value, "")?,
            "output_config" => {
                if let Some(described) = get(value, "format") {
                    conversation.format = format(described, "")?;
                }
            }
            "model" | "stream" | "metadata" | "cache_control" | "service_tier" | "thinking" => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(conversation)
}

fn message_blocks<'s>(conversation: &mut Conversation<'s>, message: &'s Shape) -> Read<()> {
    let role = match get(message, "role").and_then(Shape::word) {
        Some("assistant") => Role::Assistant,
        Some("system") => {
            conversation.system.extend(content(get(message, "content"))?);
            return Ok(());
        }
        _ => Role::User,
    };
    let said = need(message, "content")?;
    let Shape::List(blocks) = said else {
        conversation.say(role, Block::Text(said));
        return Ok(());
    };
    for block in blocks {
        match get(block, "type").and_then(Shape::word) {
            Some("text") => conversation.say(role, Block::Text(need(block, "text")?)),
            Some("thinking") => {
                if let (Some(text), Some(signature)) =
                    (get(block, "thinking"), get(block, "signature"))
                {
                    conversation.say(role, Block::Reasoning { text, signature });
                }
            }
            Some("redacted_thinking") => {}
            Some("tool_use") => {
                let id = Cow::Borrowed(need(block, "id")?);
                let (name, arguments) = (need(block, "name")?, need(block, "input")?);
                conversation.say(role, Block::Call { id, name, arguments });
            }
            Some("tool_result") => {
                let id = Cow::Borrowed(need(block, "tool_use_id")?);
                let content = content(get(block, "content"))?;
                let failed = is_true(get(block, "is_error"));
                conversation.say(role, Block::Result { id, name: None, content, failed });
            }
            Some("document") => {
                let source = need(block, "source")?;
                let texts = match get(source, "data") {
                    Some(data) => vec![data],
                    None => content(get(source, "content"))?,
                };
                let about = [get(block, "title"), get(block, "context")];
                for text in about.into_iter().flatten().chain(texts) {
                    conversation.say(role, Block::Text(text));
                }
            }
            other => return Err(NoWords::of(other.unwrap_or("content"))),
        }
    }
    Ok(())
}

pub(super) fn converse(shape: &Shape) -> Read<Conversation<'_>> {
    let mut conversation = Conversation::default();
    for (name, value) in members(shape) {
        match name {
            "system" => {
                for block in value.items() {
                    conversation.system.extend(get(block, "text"));
                }
            }
            "messages" => {
                for message in value.items() {
                    let assistant = get(message, "role").and_then(Shape::word) == Some("assistant");
                    let role = if assistant { Role::Assistant } else { Role::User };
                    for block in get(message, "content").map(Shape::items).unwrap_or_default() {
                        converse_block(&mut conversation, role, block)?;
                    }
                }
            }
            "inferenceConfig" => {
                conversation.max_tokens = get(value, "maxTokens");
                conversation.temperature = get(value, "temperature");
                conversation.top_p = get(value, "topP");
                conversation.stop = get(value, "stopSequences").map(texts).unwrap_or_default();
            }
            "toolConfig" => {
                for tool in get(value, "tools").map(Shape::items).unwrap_or_default() {
                    let Some(spec) = get(tool, "toolSpec") else { continue };
                    let mut tool = function(spec, "inputSchema")?;
                    tool.parameters = tool.parameters.and_then(|schema| get(schema, "json"));
                    conversation.tools.push(tool);
                }
                if let Some(chosen) = get(value, "toolChoice") {
                    conversation.choice = Some(match (get(chosen, "any"), get(chosen, "tool")) {
                        (Some(_), _) => Choice::Any,
                        (None, Some(tool)) => Choice::Named(need(tool, "name")?),
                        (None, None) => Choice::Auto,
                    });
                }
            }
            "performanceConfig" | "requestMetadata" => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(conversation)
}

fn converse_block<'s>(
    conversation: &mut Conversation<'s>,
    role: Role,
    block: &'s Shape,
) -> Read<()> {
    for (name, value) in members(block) {
        match name {
            "text" => conversation.say(role, Block::Text(value)),
            "toolUse" => {
                let id = Cow::Borrowed(need(value, "toolUseId")?);
                let (name, arguments) = (need(value, "name")?, need(value, "input")?);
                conversation.say(role, Block::Call { id, name, arguments });
            }
            "toolResult" => {
                let id = Cow::Borrowed(need(value, "toolUseId")?);
                let items = get(value, "content").map(Shape::items).unwrap_or_default();
                let content = items
                    .iter()
                    .map(|item| get(item, "text").or_else(|| get(item, "json")))
                    .map(|found| found.ok_or_else(|| NoWords::of("toolResult")))
                    .collect::<Read<_>>()?;
                let failed = get(value, "status").and_then(Shape::word) == Some("error");
                conversation.say(role, Block::Result { id, name: None, content, failed });
            }
            "reasoningContent" => {
                if let Some(said) = get(value, "reasoningText")
                    && let (Some(text), Some(signature)) =
                        (get(said, "text"), get(said, "signature"))
                {
                    conversation.say(role, Block::Reasoning { text, signature });
                }
            }
            "cachePoint" => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(())
}

pub(super) fn generate<'s>(shape: &'s Shape, parts: &[PromptPart]) -> Read<Conversation<'s>> {
    let mut conversation = Conversation::default();
    let mut unanswered: Vec<(Cow<'s, Shape>, &'s Shape)> = Vec::new();
    for (name, value) in members(shape) {
        match name {
            "systemInstruction" => {
                for part in get(value, "parts").map(Shape::items).unwrap_or_default() {
                    conversation.system.push(need(part, "text")?);
                }
            }
            "contents" => {
                for content in value.items() {
                    let model = get(content, "role").and_then(Shape::word) == Some("model");
                    let role = if model { Role::Assistant } else { Role::User };
                    for part in get(content, "parts").map(Shape::items).unwrap_or_default() {
                        generate_part(&mut conversation, role, part, parts, &mut unanswered)?;
                    }
                }
            }
            "tools" => {
                for tool in value.items() {
                    let declared = get(tool, "functionDeclarations").map(Shape::items);
                    for declared in declared.unwrap_or_default() {
                        let json = get(declared, "parametersJsonSchema").is_some();
                        let parameters = if json { "parametersJsonSchema" } else { "parameters" };
                        conversation.tools.push(function(declared, parameters)?);
                    }
                }
            }
            "toolConfig" => {
                let calling = get(value, "functionCallingConfig");
                let allowed = calling.and_then(|calling| get(calling, "allowedFunctionNames"));
                let mode = calling.and_then(|calling| get(calling, "mode")).and_then(Shape::word);
                conversation.choice = match (mode, allowed.map(Shape::items).unwrap_or_default()) {
                    (Some("ANY"), [name]) => Some(Choice::Named(name)),
                    (Some("ANY"), []) => Some(Choice::Any),
                    (Some("NONE"), _) => Some(Choice::None),
                    (Some("AUTO") | None, []) => None,
                    _ => return Err(NoWords::of("allowedFunctionNames")),
                };
            }
            "generationConfig" => generation(&mut conversation, value)?,
            "safetySettings" | "labels" => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(conversation)
}

fn generation<'s>(conversation: &mut Conversation<'s>, value: &'s Shape) -> Read<()> {
    for (name, value) in members(value) {
        match name {
            "maxOutputTokens" => conversation.max_tokens = Some(value),
            "temperature" => conversation.temperature = Some(value),
            "topP" => conversation.top_p = Some(value),
            "topK" => conversation.top_k = Some(value),
            "stopSequences" => conversation.stop = texts(value),
            "responseMimeType" => {
                if value.word() == Some("application/json") && conversation.format.is_none() {
                    conversation.format = Some(Format::Object);
                }
            }
            "responseJsonSchema" => {
                conversation.format =
                    Some(Format::Schema { name: None, schema: value, strict: None });
            }
            "candidateCount" => conversation.choices = Some(value),
            "thinkingConfig" | "responseModalities" => {}
            _ if is_off(value) => {}
            other => return Err(NoWords::of(other)),
        }
    }
    Ok(())
}

fn generate_part<'s>(
    conversation: &mut Conversation<'s>,
    role: Role,
    part: &'s Shape,
    parts: &[PromptPart],
    unanswered: &mut Vec<(Cow<'s, Shape>, &'s Shape)>,
) -> Read<()> {
    if is_true(get(part, "thought")) {
        return Ok(());
    }
    if let Some(text) = get(part, "text") {
        conversation.say(role, Block::Text(text));
    }
    if let Some(call) = get(part, "functionCall") {
        let name = need(call, "name")?;
        // In this dialect a call may have no id; its result is then known by its name and its turn.
        let id = get(call, "id").map_or_else(
            || {
                Cow::Owned(crate::taker::word(&format!(
                    "call_{}",
                    conversation.turns.len() * 1000 + unanswered.len()
                )))
            },
            Cow::Borrowed,
        );
        unanswered.push((id.clone(), name));
        conversation.say(role, Block::Call { id, name, arguments: need(call, "args")? });
    }
    if let Some(response) = get(part, "functionResponse") {
        let name = need(response, "name")?;
        let given = get(response, "id").map(Cow::Borrowed);
        let at = unanswered.iter().position(|(id, called)| match &given {
            Some(given) => same(id, given, parts),
            None => same(called, name, parts),
        });
        let call = at.map(|at| unanswered.remove(at).0);
        let id = given.or(call).ok_or_else(|| NoWords::of("functionResponse"))?;
        let content = vec![need(response, "response")?];
        let result = Block::Result { id, name: Some(name), content, failed: false };
        conversation.say(Role::User, result);
    }
    Ok(())
}
