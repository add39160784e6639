//! The dialect of Anthropic.

mod fields;

pub(crate) use fields::{COUNT_TOKENS, MESSAGES};
