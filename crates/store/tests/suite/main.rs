//! What the store promises, proved on real files.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions, and a failed test panics"
)]

mod anchors;
mod append;
mod content;
mod crash;
mod feeds;
mod guard;
mod keys;
mod pruning;
mod search;
mod spent;
mod support;
