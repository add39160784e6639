//! Chat completions.

mod fields;
mod stream;

pub(crate) use fields::CHAT;
pub(crate) use stream::StreamReader;

use crate::taker::Tongue;

/// How an answer's members are read.
pub(crate) static TONGUE: Tongue = Tongue {
    words: &[
        "id",
        "object",
        "model",
        "role",
        "type",
        "finish_reason",
        "system_fingerprint",
        "service_tier",
    ],
    json: &["arguments"],
    // `text` is the content of an answer whose content is a list of parts.
    content: &["content", "text"],
    signed: &[],
    free: &[],
};
