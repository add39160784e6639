//! What a client may ask of a server of tools, as tables, and what is said to the server.

use super::message::{McpMessage, McpSaid};
use super::session::Asking;
use super::{Method, STATELESS};
use crate::request::Addressed;
use crate::schema::{Field, Rule, Unsupported, field, walk};
use crate::taker::{member, word};
use gate::prompt::Parts;
use gate::shape::{Json, Key, Shape};
use phi::Text;
use std::sync::Arc;

/// A message, as it is described to whoever writes clients.
pub(crate) static MESSAGE: Rule = Rule::Object("the request", MESSAGE_FIELDS);

static MESSAGE_FIELDS: &[Field] = &[
    field("jsonrpc", "jsonrpc", Rule::OneOf(&["2.0"])),
    field("id", "id", Rule::Tree),
    field("method", "method", Rule::Content),
    field("params", "params", Rule::Tree),
];

/// `tools/call`. Whatever stands in `_meta` is the client's word to its server about the message, not
/// about what is asked, and is left out.
static CALL: &[Field] = &[
    field("name", "params.name", Rule::Model),
    field("arguments", "params.arguments", Rule::Tree),
    field("task", "params.task", Rule::Refused),
    field("inputResponses", "params.inputResponses", Rule::Refused),
    field("requestState", "params.requestState", Rule::Refused),
];

static LIST: &[Field] = &[field("cursor", "params.cursor", Rule::Content)];

/// Methods that the protocol has and that are not carried: prompts and resources, because only tools are
/// registered; what a server would ask of a client; and what has no answer to restore.
const REFUSED: [&str; 14] = [
    "completion/complete",
    "logging/setLevel",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
];

/// A request, taken apart.
pub(crate) struct Taken {
    /// The params, without their text.
    pub(crate) params: Shape,
    /// The name of the route: the server's, or that and the tool's.
    pub(crate) route: Text,
    pub(crate) asking: Arc<Asking>,
    pub(crate) parts: Parts,
}

/// Takes a request apart.
pub(crate) fn read(addressed: Addressed, json: Json, written: &Text) -> Result<Taken, Unsupported> {
    const PLACE: &str = "the request";
    let wrong = Unsupported::WrongValue { place: PLACE };
    let (Some(server), Some(session)) = (addressed.model, addressed.session) else {
        return Err(Unsupported::Missing { field: "server" });
    };
    let message = McpMessage::read(written.expose().as_bytes());
    let (method, answered_in) = match message.said {
        McpSaid::Initialize(version) => (Method::Initialize, version),
        McpSaid::Ask => (method(&json)?, STATELESS),
        McpSaid::Discover
        | McpSaid::Ping
        | McpSaid::Cancelled(_)
        | McpSaid::Nothing
        | McpSaid::Malformed => return Err(wrong),
    };
    let Json::Map(members) = json else { return Err(wrong) };
    let mut params = Vec::new();
    for (name, value) in members {
        match (name.expose(), value) {
            ("jsonrpc" | "id" | "method", _) | ("params", Json::Null) => {}
            ("params", Json::Map(members)) => params = members,
            ("params", _) => return Err(Unsupported::WrongValue { place: "params" }),
            _ => return Err(Unsupported::UnknownField { place: PLACE }),
        }
    }
    params.retain(|(name, _)| name.expose() != "_meta");
    let mut parts = Parts::new();
    let mut route = server;
    let params = match method {
        // What a client says of itself stays here; the server is greeted by Bulla.
        Method::Initialize => Shape::Map(Vec::new()),
        Method::ListTools => {
            walk(Json::Map(params), &Rule::Object("params", LIST), "params", &mut parts)?
        }
        Method::CallTool => {
            let json = Json::Map(params);
            let tool = json.member("name").and_then(Json::as_text);
            let tool = tool.ok_or(Unsupported::Missing { field: "params.name" })?;
            route = Text::new(format!("{}/{}", route.expose(), tool.expose()));
            if !matches!(json.member("arguments"), None | Some(Json::Null | Json::Map(_))) {
                return Err(Unsupported::WrongValue { place: "params.arguments" });
            }
            walk(json, &Rule::Object("params", CALL), "params", &mut parts)?
        }
    };
    let asking = Arc::new(Asking::new(session, method, answered_in));
    Ok(Taken { params, route, asking, parts })
}

fn method(json: &Json) -> Result<Method, Unsupported> {
    let asked = json.member("method").and_then(Json::as_text).map_or("", Text::expose);
    match asked {
        "tools/list" => Ok(Method::ListTools),
        "tools/call" => Ok(Method::CallTool),
        _ => Err(match REFUSED.into_iter().find(|refused| *refused == asked) {
            Some(method) => Unsupported::KnownMethod { method },
            None => Unsupported::UnknownMethod,
        }),
    }
}

/// The message that is sent to the server.
pub(crate) fn written(asking: &Asking, params: &Shape, stateless: bool) -> Shape {
    let text = |name, value| member(name, word(value));
    let us = || Shape::Map(vec![text("name", "bulla"), text("version", env!("CARGO_PKG_VERSION"))]);
    // Nothing is offered to the server: it may not ask for a model, for files, or for the person.
    let nothing = || Shape::Map(Vec::new());
    let mut members: Vec<(Key, Shape)> = params.members().to_vec();
    if asking.method == Method::Initialize {
        members.push(text("protocolVersion", super::HANDSHAKES[0]));
        members.push(member("capabilities", nothing()));
        members.push(member("clientInfo", us()));
    } else if stateless {
        let meta = vec![
            text("io.modelcontextprotocol/protocolVersion", STATELESS),
            member("io.modelcontextprotocol/clientInfo", us()),
            member("io.modelcontextprotocol/clientCapabilities", nothing()),
        ];
        members.push(member("_meta", Shape::Map(meta)));
    }
    Shape::Map(vec![
        text("jsonrpc", "2.0"),
        member("id", Shape::Number(asking.id.into())),
        text("method", asking.method.as_str()),
        member("params", Shape::Map(members)),
    ])
}
