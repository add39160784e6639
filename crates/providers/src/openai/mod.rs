//! The dialects of OpenAI.

pub(crate) mod chat;
pub(crate) mod plain;
pub(crate) mod responses;
