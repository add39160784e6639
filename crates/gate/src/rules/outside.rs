//! Who outside of the deployment vouches for its log: authorities that stamp it, and witnesses.
//!
//! Both see hashes alone, so they need no agreement; they are hops all the same, so that the file names
//! everybody who gets anything.

use super::endpoint::Endpoint;
use super::name::{Fault, Name, Slug, word, words};
use crate::path::{Hop, Role, Sees};
use ledger::checkpoint::WitnessKey;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How often the log is anchored when the file does not say, in seconds.
pub(super) const DEFAULT_ANCHOR_SECONDS: u32 = 60;

/// The longest time between two anchors that a file may ask for: a quarter of an hour. Until it is over,
/// what was written could be written anew.
const MAX_ANCHOR_SECONDS: u32 = 900;

/// An authority that stamps the log (RFC 3161).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeAuthority {
    id: Slug,
    endpoint: Endpoint,
    roots_file: PathBuf,
    archive_file: Option<PathBuf>,
    policies: Vec<Name>,
}

impl TimeAuthority {
    /// Its id, which names its stamps.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Where it is asked.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A file of its root certificates, PEM.
    #[must_use]
    pub const fn roots_file(&self) -> &PathBuf {
        &self.roots_file
    }

    /// A file of certificates and revocation lists, PEM, that are kept beside its stamps.
    #[must_use]
    pub const fn archive_file(&self) -> Option<&PathBuf> {
        self.archive_file.as_ref()
    }

    /// The policies under which its stamps are taken, object identifiers with dots; every one when there
    /// is none.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(Name::as_str)
    }

    pub(super) fn parse(
        raw: &RawAuthority,
        hops: &BTreeMap<Slug, Arc<Hop>>,
    ) -> Result<Self, Fault> {
        let archive = raw.archive_file.as_ref().map(|text| absolute("archive_file", text));
        Ok(Self {
            id: word("id", &raw.id)?,
            endpoint: endpoint(&raw.url, &raw.hop, hops)?,
            roots_file: absolute("roots_file", &raw.roots_file)?,
            archive_file: archive.transpose()?,
            policies: words("policies", &raw.policies)?,
        })
    }
}

/// A witness that cosigns the log (C2SP tlog-witness).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    id: Slug,
    endpoint: Endpoint,
    key: WitnessKey,
}

impl Witness {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Where it is asked: `add-checkpoint` is under it.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its public key.
    #[must_use]
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    pub(super) fn parse(raw: &RawWitness, hops: &BTreeMap<Slug, Arc<Hop>>) -> Result<Self, Fault> {
        let problem = "the key of a witness, as `bulla witness init` prints it";
        Ok(Self {
            id: word("id", &raw.id)?,
            endpoint: endpoint(&raw.url, &raw.hop, hops)?,
            key: WitnessKey::parse(&raw.key).map_err(|_| Fault::new("key", problem))?,
        })
    }
}

fn absolute(field: &'static str, text: &str) -> Result<PathBuf, Fault> {
    super::destination::absolute(text).ok_or_else(|| Fault::new(field, "write an absolute path"))
}

/// Reads an address, which must be a registered host of a hop that sees hashes alone.
fn endpoint(url: &str, hop: &str, hops: &BTreeMap<Slug, Arc<Hop>>) -> Result<Endpoint, Fault> {
    // What is signed needs no TLS to be believed, and many authorities offer none.
    let endpoint =
        Endpoint::of_hashes(url).map_err(|malformed| Fault::new("url", malformed.to_string()))?;
    let hop = hops.get(hop).ok_or_else(|| Fault::new("hop", "there is no [[hop]] with this id"))?;
    if hop.role() != Role::Timestamp || hop.sees() != Sees::Hashes {
        let problem = "the hop has role = \"timestamp\" and sees = \"hashes\"";
        return Err(Fault::new("hop", problem));
    }
    if !hop.hosts().contains(endpoint.authority()) {
        return Err(Fault::new("url", "its host is not among the \"hosts\" of the hop"));
    }
    Ok(endpoint)
}

/// Seconds between two anchors.
pub(super) fn interval(raw: Option<&RawAnchoring>) -> Result<u32, Fault> {
    let seconds = raw.map_or(DEFAULT_ANCHOR_SECONDS, |raw| raw.every_seconds);
    if (1..=MAX_ANCHOR_SECONDS).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(Fault::new("every_seconds", format!("seconds from 1 to {MAX_ANCHOR_SECONDS}")))
    }
}

/// An authority as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthority {
    pub(super) id: String,
    hop: String,
    url: String,
    roots_file: String,
    archive_file: Option<String>,
    #[serde(default)]
    policies: Vec<String>,
}

/// A witness as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitness {
    pub(super) id: String,
    hop: String,
    url: String,
    key: String,
}

/// How often, as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnchoring {
    every_seconds: u32,
}
