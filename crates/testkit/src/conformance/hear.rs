//! What a caller heard, in no dialect: put together from a document or from events.

use super::wire::{self, Event};
use crate::upstream::Dialect;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One tool call. Its arguments are JSON, or the text that is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// One answer to the question.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) refusal: String,
    /// Text and signature.
    pub(super) thinking: Vec<(String, String)>,
    pub(super) redacted: Vec<String>,
    pub(super) calls: Vec<Call>,
    /// Title and cited text.
    pub(super) citations: Vec<(String, String)>,
    /// The texts of the log probabilities, joined.
    pub(super) logprobs: String,
    pub(super) finish: String,
}

/// Everything that came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) choices: Vec<Choice>,
    pub(super) usage: bool,
    /// What the server repeated of the request.
    pub(super) repeated: Value,
    /// Whether it ended as the dialect ends an answer.
    pub(super) complete: bool,
    /// The error that came in its place or after its beginning.
    pub(super) error: Option<Value>,
    /// What is wrong with the form.
    pub(super) faults: Vec<String>,
}

/// Choices beyond this are nonsense.
const CHOICES_LIMIT: usize = 128;

/// Hears a whole document.
pub(super) fn document(dialect: Dialect, body: &[u8]) -> Heard {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Heard { faults: vec!["the answer is not JSON".to_owned()], ..Heard::default() };
    };
    let mut heard = Heard { error: member(&body, "/error").cloned(), ..Heard::default() };
    match dialect {
        Dialect::Chat => heard.chat(&body, "message"),
        Dialect::Completions => heard.completions(&body),
        Dialect::Responses => heard.response(&body),
        Dialect::Embeddings => heard.embeddings(&body),
        Dialect::CountTokens => {
            heard.complete = body.get("input_tokens").is_some_and(Value::is_u64);
        }
        Dialect::Messages => heard.message(&body),
        Dialect::Converse => heard.converse(&body),
        Dialect::Gemini => heard.gemini(&body),
    }
    heard.settle();
    match dialect {
        Dialect::Chat | Dialect::Completions | Dialect::Gemini => heard.all_finished(),
        Dialect::Responses
        | Dialect::Embeddings
        | Dialect::CountTokens
        | Dialect::Messages
        | Dialect::Converse => {}
    }
    heard
}

/// Hears a stream.
pub(super) fn stream(dialect: Dialect, body: &[u8]) -> Heard {
    let (events, faults) = match dialect {
        Dialect::Converse => wire::messages(body),
        Dialect::Chat
        | Dialect::Responses
        | Dialect::Completions
        | Dialect::Embeddings
        | Dialect::Messages
        | Dialect::CountTokens
        | Dialect::Gemini => wire::sse(body),
    };
    let mut heard = Heard { faults, ..Heard::default() };
    match dialect {
        Dialect::Chat | Dialect::Completions => heard.openai_events(dialect, &events),
        Dialect::Responses => heard.response_events(&events),
        Dialect::Messages => heard.message_events(&events),
        Dialect::Converse => heard.converse_events(&events),
        Dialect::Gemini => {
            for event in &events {
                heard.error = member(&event.data, "/error").cloned().or(heard.error.take());
                heard.gemini(&event.data);
            }
            heard.all_finished();
        }
        Dialect::Embeddings | Dialect::CountTokens => {}
    }
    heard.settle();
    heard
}

fn member<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    value.pointer(pointer).filter(|it| !it.is_null())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn index(value: &Value, pointer: &str) -> usize {
    let index = value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    usize::try_from(index).unwrap_or(CHOICES_LIMIT).min(CHOICES_LIMIT)
}

/// The element of a list that grows as needed.
fn at<T: Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    while list.len() <= index {
        list.push(T::default());
    }
    #[expect(clippy::indexing_slicing, reason = "the loop above made the list long enough")]
    &mut list[index]
}

/// Adds a piece to a text of JSON that is still open.
fn extend(arguments: &mut Value, piece: &str) {
    match arguments {
        Value::String(text) => text.push_str(piece),
        Value::Null => *arguments = json!(piece),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
    }
}

impl Choice {
    /// Goes on with what was thought, unless that was signed already.
    fn think(&mut self, piece: &str, signature: &str) {
        match self.thinking.last_mut() {
            Some((text, signed)) if signed.is_empty() => {
                text.push_str(piece);
                signed.push_str(signature);
            }
            Some(_) | None => self.thinking.push((piece.to_owned(), signature.to_owned())),
        }
    }

    fn cite(&mut self, title: &str, cited: &str) {
        self.citations.push((title.to_owned(), cited.to_owned()));
    }
}

impl Heard {
    /// Arguments that came in pieces become JSON, now that they are whole.
    fn settle(&mut self) {
        for call in self.choices.iter_mut().flat_map(|choice| &mut choice.calls) {
            if let Value::String(text) = &call.arguments {
                match serde_json::from_str(text) {
                    Ok(json) => call.arguments = json,
                    Err(_) if self.complete => {
                        self.faults.push("the arguments of a tool call are not JSON".to_owned());
                    }
                    Err(_) => {}
                }
            }
        }
    }

    fn all_finished(&mut self) {
        let finished = self.choices.iter().all(|choice| !choice.finish.is_empty());
        self.complete = !self.choices.is_empty() && finished && self.error.is_none();
    }

    fn chat(&mut self, body: &Value, part: &str) {
        self.usage |= member(body, "/usage").is_some();
        for choice in list(body, "/choices") {
            let to = at(&mut self.choices, index(choice, "/index"));
            let said = choice.get(part).unwrap_or(&Value::Null);
            to.text.push_str(text(said, "/content"));
            to.refusal.push_str(text(said, "/refusal"));
            to.finish.push_str(text(choice, "/finish_reason"));
            let thought = text(said, "/reasoning_content");
            if !thought.is_empty() {
                to.think(thought, "");
            }
            for token in list(choice, "/logprobs/content") {
                to.logprobs.push_str(text(token, "/token"));
            }
            for annotation in list(said, "/annotations") {
                to.cite(text(annotation, "/url_citation/title"), "");
            }
            for (place, call) in list(said, "/tool_calls").iter().enumerate() {
                let place = if call.get("index").is_some() { index(call, "/index") } else { place };
                let to = at(&mut to.calls, place);
                to.name.push_str(text(call, "/function/name"));
                extend(&mut to.arguments, text(call, "/function/arguments"));
            }
        }
    }

    fn completions(&mut self, body: &Value) {
        self.usage |= member(body, "/usage").is_some();
        for choice in list(body, "/choices") {
            let to = at(&mut self.choices, index(choice, "/index"));
            to.text.push_str(text(choice, "/text"));
            to.finish.push_str(text(choice, "/finish_reason"));
            for token in list(choice, "/logprobs/tokens") {
                to.logprobs.push_str(token.as_str().unwrap_or_default());
            }
        }
    }

    fn openai_events(&mut self, dialect: Dialect, events: &[Event]) {
        let mut done = false;
        for event in events {
            if done {
                self.faults.push("the stream goes on after [DONE]".to_owned());
                break;
            }
            done = event.word == "[DONE]";
            self.error = member(&event.data, "/error").cloned().or(self.error.take());
            match dialect {
                Dialect::Completions => self.completions(&event.data),
                Dialect::Chat
                | Dialect::Responses
                | Dialect::Embeddings
                | Dialect::Messages
                | Dialect::CountTokens
                | Dialect::Converse
                | Dialect::Gemini => self.chat(&event.data, "delta"),
            }
        }
        self.all_finished();
        self.complete &= done;
    }

    fn embeddings(&mut self, body: &Value) {
        let vectors = list(body, "/data");
        for vector in vectors {
            let numbers = list(vector, "/embedding");
            let good = !numbers.is_empty() && numbers.iter().all(Value::is_number);
            if !good && text(vector, "/embedding").is_empty() {
                self.faults.push("an embedding is no vector".to_owned());
            }
        }
        self.choices = vectors.iter().map(|_| Choice::default()).collect();
        self.complete = !vectors.is_empty();
    }

    fn response(&mut self, body: &Value) {
        self.usage |= member(body, "/usage").is_some();
        self.repeated = json!({ "instructions": body.get("instructions"), "user": body.get("user"),
                                "metadata": body.get("metadata"), "tools": body.get("tools") });
        let to = at(&mut self.choices, 0);
        for item in list(body, "/output") {
            item_of(item, to);
        }
        let status = text(body, "/status");
        let reason = text(body, "/incomplete_details/reason");
        to.finish = format!("{status}{}{reason}", if reason.is_empty() { "" } else { ": " });
        self.complete = matches!(status, "completed" | "incomplete");
    }

    fn message(&mut self, body: &Value) {
        self.usage = member(body, "/usage").is_some();
        let to = at(&mut self.choices, 0);
        for block in list(body, "/content") {
            block_of(block, to);
        }
        text(body, "/stop_reason").clone_into(&mut to.finish);
        self.complete = text(body, "/type") == "message" && !to.finish.is_empty();
    }

    fn message_events(&mut self, events: &[Event]) {
        let mut open: Option<usize> = None;
        for Event { name, data, .. } in events {
            let kind = text(data, "/type");
            if kind != name {
                self.faults.push("an event is not named as its type says".to_owned());
            }
            let to = at(&mut self.choices, 0);
            match kind {
                "message_start" => self.usage = member(data, "/message/usage").is_some(),
                "content_block_start" => {
                    if open.replace(index(data, "/index")).is_some() {
                        self.faults.push("a block begins inside another".to_owned());
                    }
                    block_of(data.get("content_block").unwrap_or(&Value::Null), to);
                    if let Some(call) = to.calls.last_mut()
                        && text(data, "/content_block/type") == "tool_use"
                    {
                        call.arguments = Value::Null;
                    }
                }
                "content_block_delta" => {
                    if open != Some(index(data, "/index")) {
                        self.faults.push("a delta is of a block that is not open".to_owned());
                    }
                    delta_of(data.get("delta").unwrap_or(&Value::Null), to);
                }
                "content_block_stop" => {
                    if open.take() != Some(index(data, "/index")) {
                        self.faults.push("a block ends that is not open".to_owned());
                    }
                }
                "message_delta" => text(data, "/delta/stop_reason").clone_into(&mut to.finish),
                "message_stop" => self.complete = true,
                "error" => self.error = data.get("error").cloned(),
                "ping" => {}
                other => self.faults.push(format!("an event of the unknown type {other:?}")),
            }
        }
        self.complete &= self.error.is_none();
    }

    fn converse(&mut self, body: &Value) {
        self.usage = member(body, "/usage").is_some();
        let to = at(&mut self.choices, 0);
        for block in list(body, "/output/message/content") {
            to.text.push_str(text(block, "/text"));
            if let Some(reasoning) = member(block, "/reasoningContent/reasoningText") {
                let (thought, signature) =
                    (text(reasoning, "/text"), text(reasoning, "/signature"));
                to.thinking.push((thought.to_owned(), signature.to_owned()));
            }
            let sealed = text(block, "/reasoningContent/redactedContent");
            to.redacted.extend(Some(sealed.to_owned()).filter(|it| !it.is_empty()));
            if let Some(call) = member(block, "/toolUse") {
                let arguments = call.get("input").cloned().unwrap_or_default();
                to.calls.push(Call { name: text(call, "/name").to_owned(), arguments });
            }
            for piece in list(block, "/citationsContent/content") {
                to.text.push_str(text(piece, "/text"));
            }
            for citation in list(block, "/citationsContent/citations") {
                to.cite(text(citation, "/title"), text(citation, "/sourceContent/0/text"));
            }
        }
        text(body, "/stopReason").clone_into(&mut to.finish);
        self.complete = !to.finish.is_empty();
    }

    fn converse_events(&mut self, events: &[Event]) {
        for Event { name, data, word } in events {
            let to = at(&mut self.choices, 0);
            match name.as_str() {
                "messageStart" | "contentBlockStop" => {}
                "contentBlockStart" => {
                    let name = text(data, "/start/toolUse/name").to_owned();
                    to.calls.push(Call { name, arguments: Value::Null });
                }
                "contentBlockDelta" => {
                    to.text.push_str(text(data, "/delta/text"));
                    if let Some(reasoning) = member(data, "/delta/reasoningContent") {
                        match text(reasoning, "/redactedContent") {
                            "" => to.think(text(reasoning, "/text"), text(reasoning, "/signature")),
                            sealed => to.redacted.push(sealed.to_owned()),
                        }
                    }
                    if let (Some(call), Some(_)) =
                        (to.calls.last_mut(), member(data, "/delta/toolUse"))
                    {
                        extend(&mut call.arguments, text(data, "/delta/toolUse/input"));
                    }
                    if let Some(citation) = member(data, "/delta/citation") {
                        to.cite(text(citation, "/title"), text(citation, "/sourceContent/0/text"));
                    }
                }
                "messageStop" => {
                    text(data, "/stopReason").clone_into(&mut to.finish);
                    self.complete = true;
                }
                "metadata" => self.usage = member(data, "/usage").is_some(),
                _ if word == "exception" || word == "error" => self.error = Some(data.clone()),
                other => self.faults.push(format!("an event of the unknown type {other:?}")),
            }
        }
        self.complete &= self.error.is_none();
    }

    fn gemini(&mut self, body: &Value) {
        self.usage |= member(body, "/usageMetadata").is_some();
        for candidate in list(body, "/candidates") {
            let to = at(&mut self.choices, index(candidate, "/index"));
            for part in list(candidate, "/content/parts") {
                if part.get("thought") == Some(&json!(true)) {
                    to.think(text(part, "/text"), text(part, "/thoughtSignature"));
                } else {
                    to.text.push_str(text(part, "/text"));
                }
                if let Some(call) = member(part, "/functionCall") {
                    let arguments = call.get("args").cloned().unwrap_or_default();
                    to.calls.push(Call { name: text(call, "/name").to_owned(), arguments });
                }
            }
            for token in list(candidate, "/logprobsResult/chosenCandidates") {
                to.logprobs.push_str(text(token, "/token"));
            }
            let supports = list(candidate, "/groundingMetadata/groundingSupports").iter();
            for (chunk, support) in
                list(candidate, "/groundingMetadata/groundingChunks").iter().zip(supports)
            {
                to.cite(text(chunk, "/web/title"), text(support, "/segment/text"));
            }
            to.finish.push_str(text(candidate, "/finishReason"));
        }
    }
}

/// One item of the output of a response.
fn item_of(item: &Value, to: &mut Choice) {
    match text(item, "/type") {
        "message" => {
            for part in list(item, "/content") {
                part_of(part, to);
            }
        }
        "function_call" => {
            let arguments = item.get("arguments").cloned().unwrap_or_default();
            to.calls.push(Call { name: text(item, "/name").to_owned(), arguments });
        }
        "reasoning" => {
            let sealed = text(item, "/encrypted_content");
            let thought: String =
                list(item, "/summary").iter().map(|part| text(part, "/text")).collect();
            if thought.is_empty() && !sealed.is_empty() {
                to.redacted.push(sealed.to_owned());
            } else {
                to.thinking.push((thought, sealed.to_owned()));
            }
        }
        _ => {}
    }
}

/// One part of a message of a response.
fn part_of(part: &Value, to: &mut Choice) {
    to.text.push_str(text(part, "/text"));
    to.refusal.push_str(text(part, "/refusal"));
    for annotation in list(part, "/annotations") {
        to.cite(text(annotation, "/title"), "");
    }
    for token in list(part, "/logprobs") {
        to.logprobs.push_str(text(token, "/token"));
    }
}

/// One block of a message.
fn block_of(block: &Value, to: &mut Choice) {
    match text(block, "/type") {
        "text" => {
            to.text.push_str(text(block, "/text"));
            for citation in list(block, "/citations") {
                to.cite(text(citation, "/document_title"), text(citation, "/cited_text"));
            }
        }
        "thinking" => {
            let (thought, signature) = (text(block, "/thinking"), text(block, "/signature"));
            to.thinking.push((thought.to_owned(), signature.to_owned()));
        }
        "redacted_thinking" => to.redacted.push(text(block, "/data").to_owned()),
        "tool_use" => {
            let arguments = block.get("input").cloned().unwrap_or_default();
            to.calls.push(Call { name: text(block, "/name").to_owned(), arguments });
        }
        _ => {}
    }
}

/// One delta of a block of a message.
fn delta_of(delta: &Value, to: &mut Choice) {
    match text(delta, "/type") {
        "text_delta" => to.text.push_str(text(delta, "/text")),
        "thinking_delta" => to.think(text(delta, "/thinking"), ""),
        "signature_delta" => to.think("", text(delta, "/signature")),
        "input_json_delta" => {
            if let Some(call) = to.calls.last_mut() {
                extend(&mut call.arguments, text(delta, "/partial_json"));
            }
        }
        "citations_delta" => {
            let (title, cited) = ("/citation/document_title", "/citation/cited_text");
            to.cite(text(delta, title), text(delta, cited));
        }
        _ => {}
    }
}

/// The pieces of one text of a response, by where it stands.
type Lanes = BTreeMap<(usize, usize, &'static str), String>;

impl Heard {
    /// The text that a client shows is that of the deltas. Each later copy of it must be the same.
    fn response_events(&mut self, events: &[Event]) {
        let mut lanes = Lanes::new();
        // Items may be done in another order than they stand in the output.
        let mut items: BTreeMap<usize, &Value> = BTreeMap::new();
        let mut last = None;
        for Event { name, data, .. } in events {
            let kind = text(data, "/type");
            if kind != name {
                self.faults.push("an event is not named as its type says".to_owned());
            }
            let number = data.get("sequence_number").and_then(Value::as_u64);
            if number.is_none() || number <= last {
                self.faults.push("the numbers of the events do not grow".to_owned());
            }
            last = number;
            match kind {
                "response.output_item.done" => {
                    let item = data.get("item").unwrap_or(&Value::Null);
                    items.insert(index(data, "/output_index"), item);
                }
                "response.completed" | "response.incomplete" => {
                    self.response(data.get("response").unwrap_or(&Value::Null));
                }
                "response.failed" => self.error = member(data, "/response/error").cloned(),
                "error" => self.error = Some(data.clone()),
                _ => self.response_lane(kind, data, &mut lanes),
            }
        }
        let mut done = Choice::default();
        for item in items.into_values() {
            item_of(item, &mut done);
        }
        self.same_as_deltas(&lanes, &done);
    }

    /// A delta goes on with its lane; what repeats a lane must repeat it exactly.
    fn response_lane(&mut self, kind: &str, data: &Value, lanes: &mut Lanes) {
        let Some((of, step)) = kind.rsplit_once('.') else { return };
        let lane = match of {
            "response.output_text" => "text",
            "response.refusal" => "refusal",
            "response.reasoning_summary_text" => "summary",
            "response.function_call_arguments" => "arguments",
            "response.content_part" if step == "done" => return self.response_part(data, lanes),
            _ => return,
        };
        let part = index(data, "/content_index").max(index(data, "/summary_index"));
        let said = lanes.entry((index(data, "/output_index"), part, lane)).or_default();
        if step == "delta" {
            said.push_str(text(data, "/delta"));
            return;
        }
        let member = match lane {
            "refusal" => "/refusal",
            "arguments" => "/arguments",
            _ => "/text",
        };
        if text(data, member) != said {
            self.faults.push(format!("{kind} says other than the deltas"));
        }
    }

    fn response_part(&mut self, data: &Value, lanes: &Lanes) {
        let place = (index(data, "/output_index"), index(data, "/content_index"));
        let said = |lane| lanes.get(&(place.0, place.1, lane)).map_or("", String::as_str);
        let same = text(data, "/part/text") == said("text")
            && text(data, "/part/refusal") == said("refusal");
        if !same {
            self.faults.push("content_part.done says other than the deltas".to_owned());
        }
    }

    /// What the deltas, the finished items and the finished response say must be one and the same.
    fn same_as_deltas(&mut self, lanes: &Lanes, items: &Choice) {
        let of = |lane| {
            let texts = lanes.iter().filter(move |((_, _, it), _)| *it == lane);
            texts.map(|(_, text)| text.as_str()).collect::<String>()
        };
        let complete = self.complete;
        let said = at(&mut self.choices, 0);
        if !complete {
            // It broke off: what was shown is all there is.
            said.text = of("text");
            said.refusal = of("refusal");
            return;
        }
        let thought = |choice: &Choice| -> String {
            choice.thinking.iter().map(|(text, _)| text.as_str()).collect()
        };
        let arguments = |choice: &Choice| -> String {
            choice.calls.iter().filter_map(|call| call.arguments.as_str()).collect()
        };
        let mut differ = Vec::new();
        for (place, choice) in [("output_item.done", items), ("response.completed", &*said)] {
            for (lane, text) in [
                ("text", choice.text.clone()),
                ("refusal", choice.refusal.clone()),
                ("summary", thought(choice)),
                ("arguments", arguments(choice)),
            ] {
                if of(lane) != text {
                    differ.push(format!("{place} says another {lane} than the deltas"));
                }
            }
        }
        if items.citations != said.citations || items.redacted != said.redacted {
            differ.push("output_item.done and response.completed differ".to_owned());
        }
        self.faults.extend(differ);
    }
}
