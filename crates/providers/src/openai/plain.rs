//! Completions, as before there was chat, and embeddings: requests of one flat object.

use crate::schema::{Field, MAX_TOKENS, Rule, field};
use crate::taker::Tongue;

/// Choices of one answer: the dialect's own limit is 128.
const MAX_CHOICES: u64 = 128;

/// Numbers of one embedding; the largest models have some thousand.
const MAX_DIMENSIONS: u64 = 99_999;

/// Text, or a list of it. Lists of numbers stand for text that nobody here can read, so they are
/// refused.
const TEXTS: Rule = Rule::Either(&[Rule::Content, Rule::List(&Rule::Content)]);

pub(crate) static COMPLETIONS: Rule = Rule::Object("the request", COMPLETION_FIELDS);

static COMPLETION_FIELDS: &[Field] = &[
    field("model", "model", Rule::Model),
    field("prompt", "prompt", TEXTS),
    field("best_of", "best_of", Rule::Count(MAX_CHOICES)),
    field("echo", "echo", Rule::Bool),
    field("frequency_penalty", "frequency_penalty", Rule::Ratio),
    field("logit_bias", "logit_bias", Rule::LogitBias),
    field("logprobs", "logprobs", Rule::Count(MAX_CHOICES)),
    field("max_tokens", "max_tokens", Rule::Count(MAX_TOKENS)),
    field("min_p", "min_p", Rule::Ratio),
    field("n", "n", Rule::Count(MAX_CHOICES)),
    field("presence_penalty", "presence_penalty", Rule::Ratio),
    field("repetition_penalty", "repetition_penalty", Rule::Ratio),
    field("seed", "seed", Rule::AnyNumber),
    field("stop", "stop", TEXTS),
    field("stream", "stream", Rule::Bool),
    field("stream_options", "stream_options", Rule::Object("stream_options", STREAM_OPTIONS)),
    field("suffix", "suffix", Rule::Content),
    field("temperature", "temperature", Rule::Ratio),
    field("top_k", "top_k", Rule::Count(MAX_TOKENS)),
    field("top_p", "top_p", Rule::Ratio),
    field("user", "user", Rule::Content),
];

static STREAM_OPTIONS: &[Field] = &[
    field("include_usage", "stream_options.include_usage", Rule::Bool),
    field("include_obfuscation", "stream_options.include_obfuscation", Rule::Bool),
];

pub(crate) static EMBEDDINGS: Rule = Rule::Object("the request", EMBEDDING_FIELDS);

static EMBEDDING_FIELDS: &[Field] = &[
    field("model", "model", Rule::Model),
    field("input", "input", TEXTS),
    field("dimensions", "dimensions", Rule::Count(MAX_DIMENSIONS)),
    field("encoding_format", "encoding_format", Rule::OneOf(&["float", "base64"])),
    field("user", "user", Rule::Content),
];

/// How a completion's members are read.
pub(crate) static COMPLETION_TONGUE: Tongue = Tongue {
    words: &["id", "object", "model", "finish_reason", "system_fingerprint"],
    json: &[],
    content: &[],
    signed: &[],
    free: &[],
};

/// How the members of an embedding's answer are read. A vector in base64 is no text.
pub(crate) static EMBEDDING_TONGUE: Tongue = Tongue {
    words: &["object", "model"],
    json: &[],
    content: &[],
    signed: &["embedding"],
    free: &[],
};
