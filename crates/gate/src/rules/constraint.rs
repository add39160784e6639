//! What every path must keep to, whatever an agreement permits.

use super::name::Fault;
use super::region::Regions;
use serde::Deserialize;

/// What every path must keep to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    regions: Regions,
    zdr_required: bool,
}

impl Constraints {
    /// The regions in which a hop may lie.
    pub(crate) const fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Whether a party outside that answers requests must keep nothing of them (zero data retention).
    pub(crate) const fn zdr_required(&self) -> bool {
        self.zdr_required
    }

    pub(crate) fn parse(raw: Option<&RawConstraints>) -> Result<Self, Fault> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        Ok(Self {
            regions: Regions::parse(raw.regions.as_deref())?,
            zdr_required: raw.zdr_required,
        })
    }
}

/// The same, as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConstraints {
    regions: Option<Vec<String>>,
    #[serde(default)]
    zdr_required: bool,
}
