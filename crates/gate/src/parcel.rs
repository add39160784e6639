//! What leaves together: the lines of a batch.
//!
//! A batch is one file of many requests. Each of its lines is an exchange of its own, and only what an
//! admitted exchange may send gets into the file ([`Exchange::board`]):
//!
//! ```
//! use gate::exchange::{Admitted, Ended, Exchange};
//! fn board(exchange: Exchange<Admitted>, parcel: &mut gate::Parcel) -> Result<(), Exchange<Ended>> {
//!     exchange.board(parcel)
//! }
//! ```
//!
//! A line cannot be put in before its record is durable, nor be made of text:
//!
//! ```compile_fail,E0599
//! use gate::exchange::{Cleared, Exchange};
//! fn board(exchange: Exchange<Cleared>, parcel: &mut gate::Parcel) {
//!     drop(exchange.board(parcel));
//! }
//! ```
//!
//! ```compile_fail,E0624
//! fn forge(id: ledger::ExchangeId, outbound: gate::Outbound, parcel: &mut gate::Parcel) {
//!     parcel.add(id, outbound);
//! }
//! ```
//!
//! and what was put in leaves once:
//!
//! ```compile_fail,E0599
//! fn twice(parcel: gate::Parcel) -> (gate::Parcel, gate::Parcel) {
//!     (parcel.clone(), parcel)
//! }
//! ```
//!
//! [`Exchange::board`]: crate::exchange::Exchange::board

use crate::exchange::Outbound;
use crate::outcome::Refusal;
use crate::path::{CoveredPath, Features, Gap};
use crate::prompt::{Call, Prompt};
use crate::rules::{Api, Destination, Rules};
use crate::terms::Capability;
use ledger::{About, BatchId, ExchangeId, Time};
use phi::Text;

/// What an agreement calls the interface of batches, beside that which each line asks for.
pub const BATCHES: &str = "batches";

/// The lines of a batch that may leave together, once, over one path.
#[derive(Debug)]
pub struct Parcel {
    batch: BatchId,
    lines: Vec<(ExchangeId, Outbound)>,
}

impl Parcel {
    /// Nothing yet.
    #[must_use]
    pub const fn new(batch: BatchId) -> Self {
        Self { batch, lines: Vec::new() }
    }

    /// The batch.
    #[must_use]
    pub const fn batch(&self) -> BatchId {
        self.batch
    }

    /// The path that all lines take; absent while there are none.
    #[must_use]
    pub fn path(&self) -> Option<&CoveredPath> {
        self.lines.first().map(|(_, outbound)| outbound.path())
    }

    /// The destination's interface that every line calls; absent while there are none.
    #[must_use]
    pub fn api(&self) -> Option<Api> {
        self.lines.first().map(|(_, outbound)| outbound.api())
    }

    /// The lines, each with the exchange that it is.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = (ExchangeId, &Text)> {
        self.lines.iter().map(|(exchange, outbound)| (*exchange, outbound.body()))
    }

    /// Whether this may leave with the others: the same call of the same model at the same place.
    pub(crate) fn takes(&self, outbound: &Outbound) -> bool {
        let same = |other: &Outbound| {
            let (ours, theirs) = (other.path(), outbound.path());
            other.api() == outbound.api()
                && ours.destination() == theirs.destination()
                && ours.endpoint() == theirs.endpoint()
                && ours.model() == theirs.model()
        };
        !outbound.stream() && self.lines.first().is_none_or(|(_, first)| same(first))
    }

    pub(crate) fn add(&mut self, exchange: ExchangeId, outbound: Outbound) {
        self.lines.push((exchange, outbound));
    }
}

/// What is called at a destination for a prompt. A line of a batch makes use of batches besides, which a
/// vendor's terms may except: no field of the line says so.
pub(crate) fn call<'a>(
    about: &About,
    prompt: &'a Prompt,
    destination: &Destination,
) -> Result<Call<'a>, Refusal> {
    let mut call = prompt.draft.write(destination, &prompt.parts)?;
    if about.batch.is_some() {
        call.capabilities.insert(Capability::Batches);
    }
    Ok(call)
}

impl Rules {
    /// The path to a destination, if it is covered for what is called there and, for a line of a batch,
    /// for batches too: a vendor keeps the file, which its agreement must name beside what each line asks
    /// for.
    pub(crate) fn cover_for(
        &self,
        about: &About,
        destination: &Destination,
        features: &Features<'_>,
        now: Time,
    ) -> Result<CoveredPath, Gap> {
        let path = self.cover(destination, features, now)?;
        if about.batch.is_some() {
            let batches = Features { api: BATCHES, ..*features };
            self.cover(destination, &batches, now).map(drop)?;
        }
        Ok(path)
    }
}
