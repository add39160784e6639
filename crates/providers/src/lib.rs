//! Speaks to models, to key services and to object storage: the wire dialects, and the HTTP client under them.
//!
//! A dialect takes requests and answers apart into the gate's shapes and parts. Which fields there
//! are, which of them carry text, and which are refused is a table (`schema`, `openai::fields`), not a habit. The
//! client sends an [`gate::Outbound`], which only the gate can make, and only over its path. The key
//! at the top of the chain is what [`keys`] is about.

mod bucket;
mod client;
pub mod keys;
pub mod openai;
mod schema;
mod sigv4;
mod sse;

pub use bucket::{BucketFailure, BucketLogin, Lock, Page, Put};
pub use client::{AnswerStream, Providers, Reply, Secret, Sender, Wire};
pub use schema::Unsupported;
