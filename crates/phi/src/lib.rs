//! Finds and transforms identifiers in text.
//!
//! This crate is pure: no clock, no file, no environment, no randomness of its own, no async.

pub mod category;
mod class;
pub mod detect;
mod finding;
pub mod surrogate;
mod text;

pub use category::{Categories, Category, CategoryFinding};
pub use class::Class;
pub use detect::{Detector, Part, Unscannable};
pub use finding::{Confidence, Finding};
pub use text::Text;
