//! Finds and transforms identifiers in text.
//!
//! This crate is pure: no clock, no file, no environment, no randomness of its own, no async.

mod class;
pub mod detect;
mod finding;
pub mod quasi;
pub mod surrogate;
mod text;
pub mod transform;

pub use class::Class;
pub use detect::{Detector, Part, Unscannable};
pub use finding::{Confidence, Finding};
pub use text::Text;
