//! The product from outside: the real programs, real sockets, real files, scripted models.
//!
//! Each module proves one promise. [`house`] makes a data directory and runs `bulla` on it,
//! [`rules`] writes its configuration, [`log`] exports its log, has `bulla-verify` check it, and reads
//! the records.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod house;
mod log;
mod rules;

mod agreements;
mod anchoring;
mod attacks;
mod bad_input;
mod batches;
mod broken_upstream;
mod callers;
mod clients;
mod command;
mod concurrent;
mod confined;
mod conformance;
mod content_modes;
mod conversation;
mod copies;
mod credentials;
mod deid;
mod dialects;
mod doctor;
mod documents;
mod eval;
mod explained;
mod failed_sync;
mod fault_matrix;
mod feeds;
mod forgotten;
mod full_disk;
mod hostile_upstream;
mod keys;
mod killed;
mod limits;
mod looking;
mod metrics;
mod minimum;
mod offline;
mod python;
mod quiet;
mod refused;
mod responses;
mod restart;
mod restore;
mod routes;
mod scan;
mod sessions;
mod splits;
mod stopping;
mod terms;
mod tls;
mod tools;
mod traces;
mod treatments;
mod vanishing;
#[cfg(test)]
mod vendors;
mod verifiers;
mod witness;
