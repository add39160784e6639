//! Bundles, good and altered, through the public interface and the binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod anchored;
mod binary;
mod collected;
mod content;
mod disposals;
mod forgery;
mod format;
mod hostile;
mod pruned;
mod receipt;
mod sample;
mod tokens;
mod trusted;
