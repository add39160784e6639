//! Finds and transforms identifiers in text.
//!
//! This crate is pure: no clock, no file, no environment, no randomness of its own, no async.

pub mod category;
mod class;
pub mod detect;
mod finding;
pub mod measure;
pub mod profile;
pub mod quasi;
pub mod surrogate;
mod text;
pub mod transform;

pub use category::{Categories, Category, CategoryFinding};
pub use class::Class;
pub use detect::tagger::Tag;
pub use detect::{
    Detector, Layers, MAX_ROSTER_VALUES, Part, Roster, Seen, Unscannable, UnusableRoster,
};
pub use finding::{Confidence, Finding};
pub use text::Text;
