//! One message of a client: JSON-RPC 2.0, alone in its body.

use super::HANDSHAKES;
use gate::shape::Json;
use phi::Text;
use std::cmp::Ordering;

/// The longest id of a request. Clients count, or draw a UUID.
const MAX_ID_BYTES: usize = 128;

/// The id that a client gave its request, as JSON. It is the client's own text: it goes back to it, and
/// nowhere else.
#[derive(Clone, Debug)]
pub struct RequestId(Text);

impl RequestId {
    /// The id as JSON, to be written into the answer to the same client.
    #[must_use]
    pub const fn json(&self) -> &Text {
        &self.0
    }

    fn of(json: &Json) -> Option<Self> {
        let fits = match json {
            Json::Text(text) => text.len() <= MAX_ID_BYTES,
            Json::Number(_) => true,
            Json::Null | Json::Bool(_) | Json::List(_) | Json::Map(_) => false,
        };
        fits.then(|| Self(json.to_text()))
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RequestId {}

impl PartialOrd for RequestId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RequestId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.expose().cmp(other.0.expose())
    }
}

/// A message, as far as it must be understood to know what to do with it. What it holds is read again,
/// field by field, when it becomes an exchange.
#[derive(Debug)]
pub struct McpMessage {
    /// The id, when it is a request.
    pub id: Option<RequestId>,
    /// What it says.
    pub said: McpSaid,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpSaid {
    /// It wants a session, in which this version of the protocol is spoken.
    Initialize(&'static str),
    /// It asks what the server is, without a session.
    Discover,
    /// It asks whether anybody is there.
    Ping,
    /// It asks for tools, or for something that is refused.
    Ask,
    /// It no longer wants the answer to this request.
    Cancelled(RequestId),
    /// A notification, or an answer to a request that was never made: nothing follows from it.
    Nothing,
    /// It is not a message.
    Malformed,
}

impl McpMessage {
    /// Reads a body.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let json = Json::parse(body).unwrap_or(Json::Null);
        let id = json.member("id").and_then(RequestId::of);
        let said = said(&json, id.is_some());
        Self { id, said }
    }
}

fn said(json: &Json, asks: bool) -> McpSaid {
    let text = |name| json.member(name).and_then(Json::as_text).map(Text::expose);
    if text("jsonrpc") != Some("2.0") {
        return McpSaid::Malformed;
    }
    let params = json.member("params");
    match text("method") {
        Some("initialize") if asks => {
            let asked = params.and_then(|it| it.member("protocolVersion")).and_then(Json::as_text);
            let known = HANDSHAKES.into_iter().find(|it| asked.map(Text::expose) == Some(it));
            // Who asks for another version is offered the newest, and goes if it does not know that.
            McpSaid::Initialize(known.unwrap_or(HANDSHAKES[0]))
        }
        Some("server/discover") if asks => McpSaid::Discover,
        Some("ping") if asks => McpSaid::Ping,
        Some(_) if asks => McpSaid::Ask,
        // A request whose id cannot be given back cannot be answered.
        Some(_) if json.member("id").is_some() => McpSaid::Malformed,
        Some("notifications/cancelled") => {
            let which = params.and_then(|it| it.member("requestId")).and_then(RequestId::of);
            which.map_or(McpSaid::Nothing, McpSaid::Cancelled)
        }
        Some(_) => McpSaid::Nothing,
        None if json.member("result").is_some() || json.member("error").is_some() => {
            McpSaid::Nothing
        }
        None => McpSaid::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let message = McpMessage::read(body.as_bytes());
        let id = message.id.as_ref().map(|id| id.json().expose().to_owned());
        let said = if let McpSaid::Cancelled(id) = &message.said {
            format!("cancelled {}", id.json().expose())
        } else {
            format!("{:?}", message.said).to_lowercase()
        };
        assert_eq!(format!("{} {said}", id.unwrap_or_default()).trim(), expected, "{body}");
    }

    #[test]
    fn a_message_is_known_by_its_method_and_whether_it_has_an_id() {
        check(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#, "7 ask");
        check(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, "\"a\" ping");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, "1 discover");
        check(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "nothing");
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "1 nothing");
        check(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#,
            "cancelled 3",
        );
        check(r#"{"jsonrpc":"2.0","method":"tools/call"}"#, "nothing");
    }

    #[test]
    fn a_session_speaks_the_version_that_is_asked_for_or_the_newest() {
        for (asked, spoken) in
            [("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25"), ("", "2025-11-25")]
        {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{asked}"}}}}"#
            );
            check(&body, &format!("0 initialize(\"{spoken}\")"));
        }
    }

    #[test]
    fn what_is_no_message_is_known_as_such() {
        for body in [
            "",
            "[]",
            "7",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        ] {
            assert_eq!(McpMessage::read(body.as_bytes()).said, McpSaid::Malformed, "{body}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(129));
        assert_eq!(McpMessage::read(long.as_bytes()).said, McpSaid::Malformed);
    }

    #[test]
    fn an_id_does_not_show_in_debug() {
        let message = McpMessage::read(br#"{"jsonrpc":"2.0","id":"Ann Lee","method":"ping"}"#);
        assert!(!format!("{message:?}").contains("Ann"));
    }
}
