//! The dialect of Google's Gemini.

mod fields;

pub(crate) use fields::GENERATE;
