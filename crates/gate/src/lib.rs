//! Decides whether this text may take this path, and holds the proof.
//!
//! A prompt goes through [`exchange::Exchange`], whose stage is a type: scanned, cleared, admitted,
//! departed, ended, released. Only this crate can make a clearance ([`path::CoveredPath`],
//! [`Outbound`]), a [`stream::Window`] or a released outcome, so the rest of the product cannot leave
//! a control out. What may happen is decided by [`rules::Rules`]: the organisation's policy,
//! agreements and paths.
//!
//! The crate is pure: no clock, no file, no environment, no randomness and no runtime of its own.
//!
//! Text that was not cleared cannot be sent:
//!
//! ```compile_fail,E0599
//! use gate::exchange::{Exchange, Scanned};
//! fn send(exchange: Exchange<Scanned>) {
//!     let _ = exchange.depart();
//! }
//! ```
//!
//! Nothing leaves before the record that it leaves is durable:
//!
//! ```compile_fail,E0599
//! use gate::exchange::{Cleared, Exchange};
//! fn send(exchange: Exchange<Cleared>) {
//!     let _ = exchange.depart();
//! }
//! ```
//!
//! What may be sent cannot be made of text and a path either, and no exchange can be made but by
//! opening one:
//!
//! ```compile_fail,E0451
//! fn forge(body: phi::Text, path: gate::path::CoveredPath) -> gate::Outbound {
//!     gate::Outbound { body, stream: false, path }
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use gate::exchange::{Admitted, Exchange};
//! fn forge(one: Exchange<Admitted>, stage: Admitted) -> Exchange<Admitted> {
//!     Exchange { stage, ..one }
//! }
//! ```
//!
//! The twin that compiles: an admitted exchange departs.
//!
//! ```
//! use gate::exchange::{Admitted, Departed, Exchange};
//! fn send(exchange: Exchange<Admitted>) -> (gate::Outbound, Exchange<Departed>) {
//!     exchange.depart()
//! }
//! ```
//!
//! One clearance cannot be used twice:
//!
//! ```compile_fail,E0382
//! use gate::exchange::{Admitted, Exchange};
//! fn send(exchange: Exchange<Admitted>) {
//!     let first = exchange.depart();
//!     let second = exchange.depart();
//!     drop((first, second));
//! }
//! ```
//!
//! ```compile_fail,E0599
//! fn send(outbound: gate::Outbound) -> (gate::Outbound, gate::Outbound) {
//!     (outbound.clone(), outbound)
//! }
//! ```
//!
//! nor can an exchange that departed depart again, whatever became of it: a retry is a new exchange.
//!
//! ```compile_fail,E0599
//! use gate::exchange::{Departed, Exchange};
//! fn again(exchange: Exchange<Departed>) {
//!     let _ = exchange.depart();
//! }
//! ```
//!
//! Nothing is shown before the record of the outcome is durable:
//!
//! ```compile_fail,E0599
//! use gate::exchange::{Ended, Exchange};
//! fn show(exchange: &Exchange<Ended>) {
//!     let _ = exchange.outcome();
//! }
//! ```
//!
//! and an outcome is recorded once:
//!
//! ```compile_fail,E0382
//! use gate::exchange::{Ended, Exchange, World};
//! async fn twice<J: ledger::Journal>(ended: Exchange<Ended>, world: &World<'_, J>) {
//!     drop((ended.commit(world).await, ended.commit(world).await));
//! }
//! ```
//!
//! The twin that compiles: a released one is shown.
//!
//! ```
//! use gate::exchange::{Exchange, Released};
//! fn show(exchange: &Exchange<Released>) -> &ledger::Receipt {
//!     exchange.outcome().1
//! }
//! ```
//!
//! A window of a stream cannot be made of text that is not durable:
//!
//! ```compile_fail,E0451
//! fn forge() -> gate::stream::Window {
//!     gate::stream::Window { frames: Vec::new() }
//! }
//! ```
//!
//! The twin that compiles: a running stream releases one.
//!
//! ```
//! use gate::exchange::{Exchange, Streaming, World};
//! async fn window<J: ledger::Journal>(
//!     stream: &mut Exchange<Streaming>,
//!     world: &World<'_, J>,
//! ) -> Result<gate::stream::Window, ledger::Unrecorded> {
//!     stream.release(world).await
//! }
//! ```

pub mod agreement;
mod content;
pub mod exchange;
mod necessity;
mod outcome;
mod parcel;
pub mod path;
pub mod policy;
pub mod prompt;
pub mod rules;
pub mod shape;
pub mod stream;
pub mod terms;
mod treat;

pub use exchange::{Caller, Outbound};
pub use outcome::{Code, Control, Outcome, Refusal, UpstreamFailure};
pub use parcel::{BATCHES, Parcel};
