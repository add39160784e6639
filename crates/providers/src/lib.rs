//! Speaks to models, to key services and to object storage: the wire dialects, and the HTTP client under them.
//!
//! A dialect takes requests and answers apart into the gate's shapes and parts. Which fields a request
//! may have, which of them carry text, and which are refused is a table (`schema`, and `fields` of each
//! dialect), not a habit. [`Request`] is what a caller asked, in whatever dialect; it writes itself in
//! the dialect of the destination, by `turns` where that is another one. [`Reading`] is the way back:
//! `native` where the dialects are the same, `pieces` where they are not. The client sends an
//! [`gate::Outbound`], which only the gate can make, and only over its path. The key at the top of the
//! chain is what [`keys`] is about.

mod address;
mod anthropic;
mod batches;
mod bedrock;
mod bucket;
mod client;
mod describe;
mod eventstream;
mod google;
pub mod keys;
mod mcp;
mod native;
mod openai;
mod pieces;
mod reading;
mod reduce;
mod request;
mod schema;
mod sigv4;
mod sse;
mod taker;
mod turns;

pub use address::Login;
pub use batches::{
    Batches, Gone, InputFile, OutputLine, OutputLines, RemoteBatch, RemoteId, RemoteStatus,
    raw_member, url as batch_url,
};
pub use bucket::{BucketFailure, BucketLogin, Lock, Page, Put};
pub use client::{
    AnswerStream, Answering, Names, Patience, Providers, Reply, Secret, Sender, Wire,
};
pub use describe::Schemas;
pub use eventstream::{exception_message, message as event_message};
pub use mcp::{
    HANDSHAKES as MCP_HANDSHAKES, McpMessage, McpSaid, McpSession, RequestId as McpRequestId,
    STATELESS as MCP_STATELESS, discovered as mcp_discovered, welcome as mcp_welcome,
};
pub use reading::{Reading, StreamReader, exchange_of, response_id};
pub use request::{Addressed, Asked, Request, called};
pub use schema::Unsupported;
