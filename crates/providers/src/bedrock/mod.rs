//! The dialect of Amazon Bedrock.

mod fields;

pub(crate) use fields::CONVERSE;
