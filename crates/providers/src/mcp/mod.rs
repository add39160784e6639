//! Tools over the Model Context Protocol: what a client says, what is said to the server, and what comes
//! back.
//!
//! A call of a tool is a request like any other: a table takes its text out, the gate decides and treats
//! it, and the answer is taken apart before anybody sees it. Bulla stands between: to the client it is the
//! server, to the server it is the client. So nothing of the client's handshake leaves, the server's
//! sessions are known to Bulla alone, and what neither side was offered is not carried.

mod answer;
mod definition;
mod message;
mod request;
mod session;
mod wire;

pub use message::{McpMessage, McpSaid, RequestId};
pub use session::McpSession;

pub(crate) use answer::{TONGUE, taken_apart};
pub(crate) use request::{MESSAGE, read, written};
pub(crate) use session::Asking;
pub(crate) use wire::whole;

/// The versions of the protocol that begin with a handshake, the newest first. They differ in nothing that
/// is carried here.
pub const HANDSHAKES: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// The version in which each request stands alone.
pub const STATELESS: &str = "2026-07-28";

/// What a client is told that wants a session, by us alone: in JSON.
#[must_use]
pub fn welcome(version: &str) -> String {
    serde_json::json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": us(),
    })
    .to_string()
}

/// What a client is told that asks without a session what there is, in JSON. Nobody keeps it long, because
/// the organisation may change it.
#[must_use]
pub fn discovered() -> String {
    serde_json::json!({
        "resultType": "complete",
        "supportedVersions": [STATELESS],
        "capabilities": { "tools": {} },
        "_meta": { "io.modelcontextprotocol/serverInfo": us() },
        "ttlMs": 0,
        "cacheScope": "private",
    })
    .to_string()
}

fn us() -> serde_json::Value {
    serde_json::json!({ "name": "bulla", "version": env!("CARGO_PKG_VERSION") })
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A session with the server.
    Initialize,
    /// What tools there are.
    ListTools,
    /// That a tool does its work.
    CallTool,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::ListTools => "tools/list",
            Self::CallTool => "tools/call",
        }
    }
}
