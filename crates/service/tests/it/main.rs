//! The house without HTTP: time is an argument here, so that agreements, keys and surrogates end
//! when a test says so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at the one kind of event that it is about"
)]

mod agreements;
mod batches;
mod calendar;
mod content_modes;
mod copies;
mod decisions;
mod feeds;
mod forgetting;
mod keys;
mod limits;
mod looking;
mod pruning;
mod routes;
mod sessions;
mod time;
mod world;
