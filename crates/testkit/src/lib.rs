//! For development only: synthetic people, scripted models, a test clock, seeded randomness.
//!
//! Everything here stands in for a part of the world that a test must hold still. The people are
//! invented; no value in this crate belongs to anyone. Nothing here is linked into a shipped binary.
//!
//! - [`clock`] and [`entropy`]: time and randomness that a test sets.
//! - [`people`] and [`notes`]: patients that do not exist, and clinical text about them with a list
//!   of what was planted.
//! - [`upstream`]: a model server that says what a script tells it, keeps what it was sent, and
//!   fails in the ways real ones fail.
//! - [`conformance`]: vectors for any gateway that takes identifiers out and puts them back.
//! - [`authority`]: a time-stamping authority made with OpenSSL, which proves nothing to anybody.
//! - [`keys`]: key services that encrypt with keys of their own, and can be told to fail.
//! - [`bucket`]: object storage that writes nothing over anything, and fails when told to.
//! - [`records`]: one record of every kind.
//! - [`siem`]: receivers of the log, over syslog with TLS and over HTTP, which fail when told to.
//! - [`collector`]: takes traces over OTLP, and reads them strictly.
//! - [`client`]: an HTTP/1.1 caller that sees each event as it arrives and can walk away.
//! - [`tools`]: a server of tools over the Model Context Protocol, honest or not.
//! - [`load`], [`proc`], [`disk`]: what the bench measures with.

pub mod authority;
pub mod bucket;
pub mod client;
pub mod clock;
pub mod collector;
pub mod conformance;
pub mod disk;
pub mod entropy;
pub mod keys;
pub mod load;
pub mod notes;
pub mod people;
pub mod proc;
pub mod records;
pub mod siem;
mod task;
pub mod tools;
pub mod upstream;
