//! How people and programs reach Bulla: HTTP and the command line.
//!
//! This crate alone knows HTTP. It authenticates, hands the request to [`service::House`], and writes
//! what was released. It holds no control of its own: there is nothing here that a surface could
//! leave out.

pub mod api;
pub mod cli;
mod listen;
mod moment;
mod sidecar;
mod witness;
mod world;

pub use listen::{ListenError, Listener, Tls};
pub use world::{OsEntropy, SystemClock};
