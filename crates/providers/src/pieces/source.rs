//! Reading what model servers say into pieces.

use super::{At, Kind, Piece, Why};
use crate::native::counted;
use gate::UpstreamFailure;
use gate::rules::Api;
use gate::shape::Json;
use ledger::Usage;
use phi::Text;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks of one answer: what the gate holds lanes for at the most.
const MAX_BLOCKS: u64 = 4096;

/// Reads an answer of one interface.
#[derive(Debug)]
pub(crate) struct Source {
    api: Api,
    /// The number of the next block of each choice.
    next: BTreeMap<u64, u64>,
    /// The open block of each choice, by what the server calls it.
    open: BTreeMap<(u64, Name), At>,
    usage: Option<Usage>,
    finished: bool,
    done: bool,
    /// The choices that called a tool.
    called: BTreeSet<u64>,
    /// The choices in which the model refused.
    refused: BTreeSet<u64>,
}

/// What a model server calls a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Text,
    Refusal,
    Reasoning,
    Call(u64),
    Number(u64),
}

impl Source {
    pub(crate) const fn new(api: Api) -> Self {
        Self {
            api,
            next: BTreeMap::new(),
            open: BTreeMap::new(),
            usage: None,
            finished: false,
            done: false,
            called: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Whether the stream's last event was read.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the stream may end without an event that says so.
    pub(crate) const fn may_end(&self) -> bool {
        match self.api {
            Api::Converse | Api::GenerateContent => self.finished,
            Api::ChatCompletions
            | Api::Completions
            | Api::Embeddings
            | Api::Responses
            | Api::Messages
            | Api::CountTokens
            | Api::Mcp => false,
        }
    }

    /// Tokens, as far as they were counted.
    pub(crate) const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Reads a whole answer.
    pub(crate) fn whole(mut self, json: &Json) -> Result<Vec<Piece>, UpstreamFailure> {
        let mut pieces = Vec::new();
        match self.api {
            Api::ChatCompletions => self.chat(json, "message", &mut pieces)?,
            Api::Messages => {
                let Some(Json::List(blocks)) = json.member("content") else {
                    return Err(UpstreamFailure::Garbage);
                };
                for block in blocks {
                    self.message_block(block, &mut pieces)?;
                }
                let why = json.member("stop_reason").and_then(Json::as_text).map(Text::expose);
                pieces.push(Piece::Finish { choice: 0, why: stop_reason(why) });
            }
            Api::Converse => {
                let message = json.member("output").and_then(|output| output.member("message"));
                let Some(Json::List(blocks)) = message.and_then(|said| said.member("content"))
                else {
                    return Err(UpstreamFailure::Garbage);
                };
                for block in blocks {
                    self.converse_block(block, &mut pieces)?;
                }
                let why = json.member("stopReason").and_then(Json::as_text).map(Text::expose);
                pieces.push(Piece::Finish { choice: 0, why: stop_reason(why) });
            }
            Api::GenerateContent => {
                self.generate(json, &mut pieces)?;
                self.end_all(0, &mut pieces);
            }
            Api::Completions | Api::Embeddings | Api::Responses | Api::CountTokens | Api::Mcp => {
                return Err(UpstreamFailure::Garbage);
            }
        }
        Ok(pieces)
    }

    /// Reads one event of a stream.
    pub(crate) fn read(
        &mut self,
        name: Option<&str>,
        data: &str,
    ) -> Result<Vec<Piece>, UpstreamFailure> {
        let mut pieces = Vec::new();
        if self.api == Api::ChatCompletions && data.trim() == "[DONE]" {
            self.done = true;
            return Ok(pieces);
        }
        let json = Json::parse(data.as_bytes()).map_err(|_| UpstreamFailure::Garbage)?;
        if matches!(json.member("error"), Some(Json::Map(_) | Json::Text(_))) {
            return Err(UpstreamFailure::Reported);
        }
        match self.api {
            Api::ChatCompletions => {
                self.usage = counted(self.api, &json).or(self.usage);
                self.chat(&json, "delta", &mut pieces)?;
            }
            Api::Messages => self.message_event(&json, &mut pieces)?,
            Api::Converse => self.converse_event(name, &json, &mut pieces)?,
            Api::GenerateContent => {
                self.usage = counted(self.api, &json).or(self.usage);
                self.generate(&json, &mut pieces)?;
            }
            Api::Completions | Api::Embeddings | Api::Responses | Api::CountTokens | Api::Mcp => {
                return Err(UpstreamFailure::Garbage);
            }
        }
        Ok(pieces)
    }

    fn begin(
        &mut self,
        choice: u64,
        name: Name,
        kind: Kind,
        pieces: &mut Vec<Piece>,
    ) -> Result<At, UpstreamFailure> {
        let next = self.next.entry(choice).or_default();
        let at = At { choice, block: *next };
        *next += 1;
        if *next > MAX_BLOCKS {
            return Err(UpstreamFailure::TooLarge);
        }
        if matches!(kind, Kind::Refusal) {
            self.refused.insert(choice);
        }
        self.open.insert((choice, name), at);
        pieces.push(Piece::Begin(at, kind));
        Ok(at)
    }

    /// Ends the open blocks of a choice that this one is not.
    fn end_others(&mut self, choice: u64, name: &Name, pieces: &mut Vec<Piece>) {
        let ends: Vec<(u64, Name)> =
            self.open.keys().filter(|(c, n)| *c == choice && n != name).cloned().collect();
        for key in ends {
            pieces.extend(self.open.remove(&key).map(Piece::End));
        }
    }

    fn end_all(&mut self, choice: u64, pieces: &mut Vec<Piece>) {
        let mut ends: Vec<At> =
            self.open.iter().filter(|((c, _), _)| *c == choice).map(|(_, at)| *at).collect();
        self.open.retain(|(c, _), _| *c != choice);
        ends.sort_unstable();
        pieces.extend(ends.into_iter().map(Piece::End));
    }

    /// Text that continues the block of this name, or begins it.
    fn say(
        &mut self,
        choice: u64,
        (name, kind): (Name, Kind),
        text: &Text,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        self.end_others(choice, &name, pieces);
        let at = match self.open.get(&(choice, name.clone())) {
            Some(at) => *at,
            None => self.begin(choice, name, kind, pieces)?,
        };
        pieces.push(Piece::Say(at, text.clone()));
        Ok(())
    }

    fn chat(
        &mut self,
        json: &Json,
        inside: &str,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        let Some(Json::List(choices)) = json.member("choices") else {
            return Err(UpstreamFailure::Garbage);
        };
        for (place, choice) in choices.iter().enumerate() {
            let index = index(choice, place)?;
            if let Some(said) = choice.member(inside) {
                self.chat_delta(said, index, pieces)?;
            }
            let why = choice.member("finish_reason").and_then(Json::as_text).map(Text::expose);
            if let Some(why) = why.filter(|why| !why.is_empty()) {
                self.end_all(index, pieces);
                let refused = why == "stop" && self.refused.contains(&index);
                let why = if refused { Why::Refusal } else { finish_reason(why) };
                pieces.push(Piece::Finish { choice: index, why });
            }
        }
        Ok(())
    }

    fn chat_delta(
        &mut self,
        delta: &Json,
        choice: u64,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        let fields = [
            ("reasoning_content", Name::Reasoning, Kind::Reasoning),
            ("reasoning", Name::Reasoning, Kind::Reasoning),
            ("content", Name::Text, Kind::Text),
            ("refusal", Name::Refusal, Kind::Refusal),
        ];
        for (field, name, kind) in fields {
            if let Some(text) = delta.member(field).and_then(Json::as_text)
                && !text.is_empty()
            {
                self.say(choice, (name, kind), text, pieces)?;
            }
        }
        let Some(Json::List(calls)) = delta.member("tool_calls") else { return Ok(()) };
        for (place, call) in calls.iter().enumerate() {
            let name = Name::Call(index(call, place)?);
            let function = call.member("function");
            if !self.open.contains_key(&(choice, name.clone())) {
                let called = function.and_then(|f| f.member("name")).and_then(Json::as_text);
                let called = called.cloned().ok_or(UpstreamFailure::Garbage)?;
                let id = call.member("id").and_then(Json::as_text).cloned();
                // Calls of one choice may come interleaved, so only text ends with them.
                for other in [Name::Text, Name::Refusal, Name::Reasoning] {
                    pieces.extend(self.open.remove(&(choice, other)).map(Piece::End));
                }
                self.begin(choice, name.clone(), Kind::Call { id, name: called }, pieces)?;
            }
            let arguments = function.and_then(|f| f.member("arguments")).and_then(Json::as_text);
            if let (Some(at), Some(text)) = (self.open.get(&(choice, name)), arguments)
                && !text.is_empty()
            {
                pieces.push(Piece::Say(*at, text.clone()));
            }
        }
        Ok(())
    }

    fn message_block(
        &mut self,
        block: &Json,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        let text = |name: &str| block.member(name).and_then(Json::as_text).cloned();
        let kind = block.member("type").and_then(Json::as_text).map(Text::expose);
        let (kind, said) = match kind {
            Some("text") => (Kind::Text, text("text")),
            Some("thinking") => (Kind::Reasoning, text("thinking")),
            Some("tool_use") => {
                let name = text("name").ok_or(UpstreamFailure::Garbage)?;
                let input = block.member("input").map(Json::to_text);
                (Kind::Call { id: text("id"), name }, input)
            }
            _ => return Ok(()),
        };
        let at = self.begin(0, Name::Number(u64::MAX), kind, pieces)?;
        pieces.extend(said.map(|said| Piece::Say(at, said)));
        pieces.extend(text("signature").map(|signature| Piece::Sign(at, signature)));
        self.open.clear();
        pieces.push(Piece::End(at));
        Ok(())
    }

    fn message_event(
        &mut self,
        json: &Json,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        let kind = json.member("type").and_then(Json::as_text).map(Text::expose);
        match kind.ok_or(UpstreamFailure::Garbage)? {
            "error" => return Err(UpstreamFailure::Reported),
            "message_start" => {
                self.usage = json.member("message").and_then(|m| counted(self.api, m));
            }
            "content_block_start" => {
                let name = Name::Number(number(json, "index")?);
                let block = json.member("content_block").ok_or(UpstreamFailure::Garbage)?;
                let text = |name: &str| block.member(name).and_then(Json::as_text).cloned();
                let kind = match block.member("type").and_then(Json::as_text).map(Text::expose) {
                    Some("text") => Kind::Text,
                    Some("thinking") => Kind::Reasoning,
                    Some("tool_use") => {
                        let name = text("name").ok_or(UpstreamFailure::Garbage)?;
                        Kind::Call { id: text("id"), name }
                    }
                    _ => return Ok(()),
                };
                let at = self.begin(0, name, kind, pieces)?;
                let first = text("text").filter(|text| !text.is_empty());
                pieces.extend(first.map(|text| Piece::Say(at, text)));
            }
            "content_block_delta" => {
                let name = Name::Number(number(json, "index")?);
                let delta = json.member("delta").ok_or(UpstreamFailure::Garbage)?;
                let said = ["text", "partial_json", "thinking"]
                    .into_iter()
                    .find_map(|name| delta.member(name).and_then(Json::as_text));
                let signature = delta.member("signature").and_then(Json::as_text);
                if let Some(at) = self.open.get(&(0, name)) {
                    pieces.extend(said.map(|text| Piece::Say(*at, text.clone())));
                    pieces.extend(signature.map(|text| Piece::Sign(*at, text.clone())));
                }
            }
            "content_block_stop" => {
                let name = Name::Number(number(json, "index")?);
                pieces.extend(self.open.remove(&(0, name)).map(Piece::End));
            }
            "message_delta" => {
                let delta = json.member("delta");
                let why = delta.and_then(|d| d.member("stop_reason")).and_then(Json::as_text);
                let why = stop_reason(why.map(Text::expose));
                let prompt = self.usage.map_or(0, |usage| usage.prompt);
                let completion = json
                    .member("usage")
                    .and_then(|usage| crate::taker::tokens(usage, "output_tokens"));
                self.usage =
                    completion.map(|completion| Usage { prompt, completion }).or(self.usage);
                pieces.push(Piece::Finish { choice: 0, why });
            }
            "message_stop" => self.done = true,
            _ => {}
        }
        Ok(())
    }

    fn converse_block(
        &mut self,
        block: &Json,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        let text = |json: &Json, name: &str| json.member(name).and_then(Json::as_text).cloned();
        let mut signature = None;
        let (kind, said) = if let Some(said) = text(block, "text") {
            (Kind::Text, Some(said))
        } else if let Some(call) = block.member("toolUse") {
            let name = text(call, "name").ok_or(UpstreamFailure::Garbage)?;
            let input = call.member("input").map(Json::to_text);
            (Kind::Call { id: text(call, "toolUseId"), name }, input)
        } else if let Some(reasoning) = block.member("reasoningContent") {
            // What only its own vendor can read is of no use in another dialect.
            let Some(reasoning) = reasoning.member("reasoningText") else { return Ok(()) };
            signature = text(reasoning, "signature");
            (Kind::Reasoning, text(reasoning, "text"))
        } else if let Some(Json::List(cited)) =
            block.member("citationsContent").and_then(|cited| cited.member("content"))
        {
            let said: Vec<Text> = cited.iter().filter_map(|part| text(part, "text")).collect();
            let said: String = said.iter().map(Text::expose).collect();
            (Kind::Text, Some(Text::new(said)))
        } else {
            return Ok(());
        };
        let at = self.begin(0, Name::Number(u64::MAX), kind, pieces)?;
        pieces.extend(said.map(|said| Piece::Say(at, said)));
        pieces.extend(signature.map(|signature| Piece::Sign(at, signature)));
        self.open.clear();
        pieces.push(Piece::End(at));
        Ok(())
    }

    fn converse_event(
        &mut self,
        name: Option<&str>,
        json: &Json,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        match name.ok_or(UpstreamFailure::Garbage)? {
            "contentBlockStart" => {
                let block = Name::Number(number(json, "contentBlockIndex")?);
                let call = json.member("start").and_then(|start| start.member("toolUse"));
                if let Some(call) = call {
                    let text = |name: &str| call.member(name).and_then(Json::as_text).cloned();
                    let name = text("name").ok_or(UpstreamFailure::Garbage)?;
                    self.begin(0, block, Kind::Call { id: text("toolUseId"), name }, pieces)?;
                }
            }
            "contentBlockDelta" => {
                let block = Name::Number(number(json, "contentBlockIndex")?);
                let delta = json.member("delta").ok_or(UpstreamFailure::Garbage)?;
                let reasoning = delta.member("reasoningContent").and_then(|r| r.member("text"));
                let input = delta.member("toolUse").and_then(|call| call.member("input"));
                let (kind, said) = match (delta.member("text"), reasoning) {
                    (Some(text), _) => (Kind::Text, Some(text)),
                    (None, Some(text)) => (Kind::Reasoning, Some(text)),
                    (None, None) => (Kind::Text, input),
                };
                let reasoned = |name| {
                    let reasoning = delta.member("reasoningContent")?;
                    reasoning.member(name).and_then(Json::as_text).cloned()
                };
                if let (Some(signature), Some(at)) =
                    (reasoned("signature"), self.open.get(&(0, block.clone())))
                {
                    pieces.push(Piece::Sign(*at, signature));
                    return Ok(());
                }
                let Some(said) = said.and_then(Json::as_text) else { return Ok(()) };
                let at = match self.open.get(&(0, block.clone())) {
                    Some(at) => *at,
                    // Only calls have an event of their own that begins them.
                    None if input.is_none() => self.begin(0, block, kind, pieces)?,
                    None => return Err(UpstreamFailure::Garbage),
                };
                pieces.push(Piece::Say(at, said.clone()));
            }
            "contentBlockStop" => {
                let block = Name::Number(number(json, "contentBlockIndex")?);
                pieces.extend(self.open.remove(&(0, block)).map(Piece::End));
            }
            "messageStop" => {
                self.end_all(0, pieces);
                self.finished = true;
                let why = json.member("stopReason").and_then(Json::as_text).map(Text::expose);
                pieces.push(Piece::Finish { choice: 0, why: stop_reason(why) });
            }
            "metadata" => self.usage = counted(self.api, json).or(self.usage),
            _ => {}
        }
        Ok(())
    }

    fn generate(&mut self, json: &Json, pieces: &mut Vec<Piece>) -> Result<(), UpstreamFailure> {
        if json.member("promptFeedback").is_some_and(|told| told.member("blockReason").is_some()) {
            self.finished = true;
            pieces.push(Piece::Finish { choice: 0, why: Why::Filter });
            return Ok(());
        }
        let candidates = match json.member("candidates") {
            Some(Json::List(candidates)) => candidates.as_slice(),
            // An event may do no more than count.
            _ if json.member("usageMetadata").is_some() => &[],
            _ => return Err(UpstreamFailure::Garbage),
        };
        for candidate in candidates {
            let choice = candidate.member("index").and_then(Json::as_u64).unwrap_or(0);
            let parts = candidate.member("content").and_then(|content| content.member("parts"));
            let parts = if let Some(Json::List(parts)) = parts { parts.as_slice() } else { &[] };
            for part in parts {
                self.generate_part(part, choice, pieces)?;
            }
            let why = candidate.member("finishReason").and_then(Json::as_text).map(Text::expose);
            if let Some(why) = why {
                self.end_all(choice, pieces);
                self.finished = true;
                let why = match why {
                    "STOP" if self.called.contains(&choice) => Why::Calls,
                    "STOP" => Why::Stop,
                    "MAX_TOKENS" => Why::Length,
                    _ => Why::Filter,
                };
                pieces.push(Piece::Finish { choice, why });
            }
        }
        Ok(())
    }

    fn generate_part(
        &mut self,
        part: &Json,
        choice: u64,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), UpstreamFailure> {
        if let Some(text) = part.member("text").and_then(Json::as_text) {
            let thought = matches!(part.member("thought"), Some(Json::Bool(true)));
            let (name, kind) =
                if thought { (Name::Reasoning, Kind::Reasoning) } else { (Name::Text, Kind::Text) };
            if !text.is_empty() {
                self.say(choice, (name, kind), text, pieces)?;
            }
        }
        let Some(call) = part.member("functionCall") else { return Ok(()) };
        self.called.insert(choice);
        let text = |name: &str| call.member(name).and_then(Json::as_text).cloned();
        let name = text("name").ok_or(UpstreamFailure::Garbage)?;
        self.end_all(choice, pieces);
        let kind = Kind::Call { id: text("id"), name };
        let at = self.begin(choice, Name::Call(u64::MAX), kind, pieces)?;
        self.open.remove(&(choice, Name::Call(u64::MAX)));
        pieces.extend(call.member("args").map(|args| Piece::Say(at, args.to_text())));
        pieces.push(Piece::End(at));
        Ok(())
    }
}

/// The number of a choice or a call: the one that it has, or its place when it has none.
fn index(json: &Json, place: usize) -> Result<u64, UpstreamFailure> {
    match json.member("index") {
        None | Some(Json::Null) => Ok(place as u64),
        Some(index) => index.as_u64().ok_or(UpstreamFailure::Garbage),
    }
}

fn number(json: &Json, name: &str) -> Result<u64, UpstreamFailure> {
    json.member(name).and_then(Json::as_u64).ok_or(UpstreamFailure::Garbage)
}

fn finish_reason(why: &str) -> Why {
    match why {
        "length" => Why::Length,
        "tool_calls" | "function_call" => Why::Calls,
        "content_filter" => Why::Filter,
        _ => Why::Stop,
    }
}

/// Anthropic's words for why a model stopped, and Bedrock's, which are the same and some more.
fn stop_reason(why: Option<&str>) -> Why {
    match why {
        Some("max_tokens" | "model_context_window_exceeded") => Why::Length,
        Some("tool_use") => Why::Calls,
        Some("stop_sequence") => Why::StopSequence,
        Some("refusal" | "guardrail_intervened" | "content_filtered") => Why::Filter,
        _ => Why::Stop,
    }
}
