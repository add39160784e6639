//! What a server of tools answers, taken apart.
//!
//! Only what is known is shown, because what is not text cannot be scanned: pictures, sounds and files are
//! left out with a word in their place. Text is restored; what the server says of its tools is not, so that
//! it is shown as it was approved.

use super::definition::Definition;
use super::session::Asking;
use super::{HANDSHAKES, Method};
use crate::taker::{Taker, Tongue, member, word};
use gate::UpstreamFailure;
use gate::prompt::AnswerPart;
use gate::rules::Tools;
use gate::shape::{Json, Key, Shape, Word};
use phi::Text;
use phi::surrogate::Escape;

/// Pieces of content in one result. More is no answer for a model.
const MAX_PIECES: usize = 4096;

/// The words are chosen here, member by member, so the table has none.
pub(crate) static TONGUE: Tongue =
    Tongue { words: &[], json: &[], content: &[], signed: &[], free: &[] };

/// Takes the result of a request apart, of which these tools may be shown.
pub(crate) fn taken_apart(
    asking: &Asking,
    result: Json,
    tools: &Tools,
) -> Result<(Shape, Vec<AnswerPart>), UpstreamFailure> {
    let mut taker = Taker::new(&TONGUE, Escape::Plain);
    let Json::Map(members) = result else { return Err(UpstreamFailure::Garbage) };
    // A server that wants something first would have it from the client behind our back.
    let complete = members.iter().find(|(name, _)| name.expose() == "resultType");
    let complete = complete.map(|(_, kind)| kind.as_text().map(Text::expose) == Some("complete"));
    if complete == Some(false) {
        return Err(UpstreamFailure::Rejected(Some("input_required")));
    }
    let mut shape = match asking.method {
        Method::Initialize => welcome(&members, asking.answered_in)?,
        Method::ListTools => listed(members, tools, &mut taker)?,
        Method::CallTool => called(members, &mut taker)?,
    };
    if complete == Some(true) {
        shape.push(member("resultType", word("complete")));
    }
    Ok((Shape::Map(shape), taker.parts))
}

type Members = Vec<(Text, Json)>;
type Shapes = Vec<(Key, Shape)>;

/// The client is welcomed by Bulla, which offers tools and nothing else. What the server says of itself, its
/// instructions among it, is shown to nobody: a model would read it, and no pin covers it.
fn welcome(members: &Members, version: &'static str) -> Result<Shapes, UpstreamFailure> {
    let capabilities = members.iter().find(|(name, _)| name.expose() == "capabilities");
    let (_, capabilities) = capabilities.ok_or(UpstreamFailure::Garbage)?;
    let has_tools = capabilities.member("tools").is_some();
    Ok(offer(version, has_tools))
}

/// What a client is told of a server of tools.
fn offer(version: &str, has_tools: bool) -> Shapes {
    let tools = has_tools.then(|| member("tools", Shape::Map(Vec::new())));
    let us =
        vec![member("name", word("bulla")), member("version", word(env!("CARGO_PKG_VERSION")))];
    let version = HANDSHAKES.into_iter().find(|known| *known == version).unwrap_or(HANDSHAKES[0]);
    vec![
        member("protocolVersion", word(version)),
        member("capabilities", Shape::Map(tools.into_iter().collect())),
        member("serverInfo", Shape::Map(us)),
    ]
}

/// The tools that may be called and whose definition is the approved one.
fn listed(members: Members, tools: &Tools, taker: &mut Taker) -> Result<Shapes, UpstreamFailure> {
    let mut shapes = Vec::new();
    let mut left_out: u64 = 0;
    let mut found = false;
    for (name, value) in members {
        match (name.expose(), value) {
            ("tools", Json::List(definitions)) => {
                found = true;
                let mut shown = Vec::new();
                for json in definitions {
                    let definition = Definition::read(json);
                    match definition.filter(|it| tools.shows(it.name(), &it.sha256)) {
                        Some(definition) => shown.push(defined(definition, taker)),
                        None => left_out = left_out.saturating_add(1),
                    }
                }
                shapes.push(member("tools", Shape::List(shown)));
            }
            ("nextCursor", Json::Text(cursor)) => {
                shapes.push(member("nextCursor", taker.part(cursor, None, None, true)));
            }
            ("ttlMs", Json::Number(number)) if number.as_u64().is_some() => {
                shapes.push(member("ttlMs", Shape::Number(number)));
            }
            // Which tools are shown depends on who asks.
            ("cacheScope", _) => shapes.push(member("cacheScope", word("private"))),
            _ => {}
        }
    }
    if !found {
        return Err(UpstreamFailure::Garbage);
    }
    let count = member("bulla/left_out", Shape::Number(left_out.into()));
    shapes.push(member("_meta", Shape::Map(vec![count])));
    Ok(shapes)
}

/// A definition as it is, with the hash by which it can be pinned.
fn defined(definition: Definition, taker: &mut Taker) -> Shape {
    let Definition { members, sha256 } = definition;
    let Shape::Map(mut shapes) = tree(Json::Map(members), None, taker) else {
        return Shape::Null;
    };
    let hash = member("bulla/sha256", word(&sha256.to_string()));
    shapes.push(member("_meta", Shape::Map(vec![hash])));
    Shape::Map(shapes)
}

/// What a tool found.
fn called(members: Members, taker: &mut Taker) -> Result<Shapes, UpstreamFailure> {
    let mut shapes = Vec::new();
    let mut found = false;
    for (name, value) in members {
        match (name.expose(), value) {
            ("content", Json::List(pieces)) => {
                if pieces.len() > MAX_PIECES {
                    return Err(UpstreamFailure::TooLarge);
                }
                found = true;
                let pieces = pieces.into_iter().map(|piece| content(piece, taker));
                shapes.push(member("content", Shape::List(pieces.collect())));
            }
            ("structuredContent", Json::Null) => {}
            ("structuredContent", json) => {
                let json = tree(json, Some(Escape::Plain), taker);
                shapes.push(member("structuredContent", json));
            }
            ("isError", Json::Bool(is_error)) => {
                shapes.push(member("isError", Shape::Bool(is_error)));
            }
            _ => {}
        }
    }
    if found { Ok(shapes) } else { Err(UpstreamFailure::Garbage) }
}

/// One piece of content.
fn content(piece: Json, taker: &mut Taker) -> Shape {
    let kind = piece.member("type").and_then(Json::as_text).map_or("", Text::expose);
    match kind {
        "text" => {
            let text = texts(piece, &["text"], taker);
            kept("text", text).unwrap_or_else(|| left_out("text without text", taker))
        }
        "resource_link" => {
            let fields = ["uri", "name", "title", "description", "mimeType"];
            let link = texts(piece, &fields, taker);
            kept("resource_link", link).unwrap_or_else(|| left_out("a link", taker))
        }
        "resource" => resource(piece, taker),
        "image" => left_out("an image", taker),
        "audio" => left_out("a recording", taker),
        _ => left_out("content of an unknown kind", taker),
    }
}

/// A resource inside a result: its text, or a word in the place of its bytes.
fn resource(piece: Json, taker: &mut Taker) -> Shape {
    let Json::Map(members) = piece else { return Shape::Null };
    let resource = members.into_iter().find(|(name, _)| name.expose() == "resource");
    let has_text = |json: &Json| json.member("text").and_then(Json::as_text).is_some();
    match resource {
        Some((_, resource)) if has_text(&resource) => {
            let inner = texts(resource, &["uri", "mimeType", "text"], taker);
            Shape::Map(vec![
                member("type", word("resource")),
                member("resource", Shape::Map(inner)),
            ])
        }
        Some(_) | None => left_out("a file", taker),
    }
}

/// These members, as far as they are text, restored.
fn texts(json: Json, names: &[&'static str], taker: &mut Taker) -> Shapes {
    let Json::Map(members) = json else { return Vec::new() };
    let mut shapes = Vec::new();
    for (name, value) in members {
        let known = names.iter().find(|known| **known == name.expose());
        if let (Some(name), Json::Text(text)) = (known, value) {
            let escape = escape(&text);
            shapes.push(member(name, taker.part(text, Some(escape), None, true)));
        }
    }
    shapes
}

/// Tools often say JSON in a text, and what is restored inside it must leave it JSON.
fn escape(text: &Text) -> Escape {
    let begins = text.expose().trim_start().starts_with(['{', '[']);
    let is_json = begins && Json::parse(text.expose().as_bytes()).is_ok();
    if is_json { Escape::Json } else { Escape::Plain }
}

fn kept(kind: &'static str, mut members: Shapes) -> Option<Shape> {
    if members.is_empty() {
        return None;
    }
    members.insert(0, member("type", word(kind)));
    Some(Shape::Map(members))
}

/// The word in the place of what is not shown.
fn left_out(what: &str, taker: &mut Taker) -> Shape {
    let text = Text::new(format!("[{what} was left out here, because Bulla reads text only]"));
    let text = taker.part(text, None, None, true);
    Shape::Map(vec![member("type", word("text")), member("text", text)])
}

/// Everything of a form that the server chose: strings, numbers and the names of members are scanned.
fn tree(json: Json, restore: Option<Escape>, taker: &mut Taker) -> Shape {
    match json {
        Json::Null => Shape::Null,
        Json::Bool(value) => Shape::Bool(value),
        Json::Number(number) => {
            let digits = taker.part(Text::new(number.to_string()), None, None, true);
            digits.part().map_or(Shape::Null, Shape::NumberPart)
        }
        Json::Text(text) => taker.part(text, restore, None, true),
        Json::List(items) => {
            Shape::List(items.into_iter().map(|item| tree(item, restore, taker)).collect())
        }
        Json::Map(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = tree(value, restore, taker);
                (key(name, restore, taker), value)
            });
            Shape::Map(members.collect())
        }
    }
}

/// The name of a member. In a definition it is a word of a schema; in a result it may be anything.
fn key(name: Text, restore: Option<Escape>, taker: &mut Taker) -> Key {
    match (restore, Word::parse(name.expose())) {
        (None, Some(word)) => Key::Word(word),
        (_, _) => match taker.part(name, restore, None, true) {
            Shape::Part(part) => Key::Part(part),
            Shape::Null
            | Shape::Bool(_)
            | Shape::Number(_)
            | Shape::Word(_)
            | Shape::Model
            | Shape::NumberPart(_)
            | Shape::Ordinal
            | Shape::Embedded(_)
            | Shape::List(_)
            | Shape::Map(_) => Key::Part(usize::MAX),
        },
    }
}
