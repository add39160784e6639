//! Responses.

mod fields;

pub(crate) use fields::RESPONSES;
