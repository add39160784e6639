//! The path of a prompt: every party that it passes, and what covers each.
//!
//! A path begins with the hosting of this server itself, then come the destination's hops. Hosting
//! counts because a provider that stores encrypted health information without the key is still a
//! business associate (HHS guidance on HIPAA and cloud computing, 2016); only a party that sees
//! nothing but hashes is not.

use crate::agreement::{Agreement, Feature, Lapse, Registry, Scope, never_covered};
use crate::outcome::{Code, Refusal};
use crate::rules::name::{Fault, Name, Slug, Title, optional, word};
use crate::terms::{Capability, Shortfall, Terms, suffice};
use ledger::{Cover, CoverKind, Time};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use crate::rules::endpoint::{Authority, Endpoint, Host, is_private};

/// What a party does on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Ends the caller's connection in front of this server: a load balancer, a web firewall.
    ClientEdge,
    /// Runs the machine on which this server runs.
    Hosting,
    /// Passes prompts on to a model.
    Gateway,
    /// Carries traffic and can read it: a TLS-inspecting proxy, an edge network.
    Network,
    /// Runs the model.
    Inference,
    /// Runs tools that are called over MCP.
    Tools,
    /// Works for another hop.
    SubProcessor,
    /// Keeps data.
    Storage,
    /// Keeps backups.
    Backup,
    /// Carries mail.
    Mail,
    /// Collects events.
    Siem,
    /// Signs time stamps over hashes.
    Timestamp,
}

impl Role {
    /// The role, as the configuration file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientEdge => "client_edge",
            Self::Hosting => "hosting",
            Self::Gateway => "gateway",
            Self::Network => "network",
            Self::Inference => "inference",
            Self::Tools => "tools",
            Self::SubProcessor => "sub_processor",
            Self::Storage => "storage",
            Self::Backup => "backup",
            Self::Mail => "mail",
            Self::Siem => "siem",
            Self::Timestamp => "timestamp",
        }
    }

    /// Whether the party acts on what the request asks for, so that its agreement must name the
    /// API, model and modality as well as service, tier and region, and its terms of the data count.
    #[must_use]
    pub const fn serves_requests(self) -> bool {
        match self {
            Self::Gateway | Self::Inference | Self::Tools | Self::SubProcessor => true,
            Self::ClientEdge
            | Self::Hosting
            | Self::Network
            | Self::Storage
            | Self::Backup
            | Self::Mail
            | Self::Siem
            | Self::Timestamp => false,
        }
    }

    /// Whether a party in this role can do its work on hashes alone.
    const fn works_on_hashes(self) -> bool {
        matches!(self, Self::Mail | Self::Siem | Self::Timestamp)
    }

    /// Whether a party in this role can do its work on records of the log, without content.
    const fn works_on_metadata(self) -> bool {
        matches!(self, Self::Storage | Self::Backup | Self::Mail | Self::Siem)
    }

    /// Whether prompts are sent to a party in this role, so that connections may go to its hosts.
    pub(crate) const fn takes_prompts(self) -> bool {
        matches!(self, Self::Gateway | Self::Inference | Self::Tools | Self::Network)
    }
}

/// What a party sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// Readable content.
    Content,
    /// Encrypted content, without the key. Needs an agreement all the same.
    Ciphertext,
    /// Records of the log: who asked for what, when, and how it ended; never content. Needs an
    /// agreement all the same, because who was treated when can follow from it.
    Metadata,
    /// Hashes only, never content.
    Hashes,
}

impl Sees {
    /// The word, as the configuration file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Ciphertext => "ciphertext",
            Self::Metadata => "metadata",
            Self::Hashes => "hashes",
        }
    }
}

/// On which side of the organisation's own boundary a party lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Inside: run by the organisation itself, on hardware that it owns.
    Inside {
        /// Who owns the hardware. Proves the claim only when it is the organisation.
        owner: Option<Title>,
    },
    /// Outside.
    Outside,
}

/// What is said to cover a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// An agreement with the party itself.
    Agreement(Slug),
    /// Evidence that another party's agreement binds it.
    Evidence(Slug),
    /// Nothing.
    Nothing,
}

/// One party on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    id: Slug,
    entity: Title,
    role: Role,
    service: Option<Name>,
    tier: Option<Slug>,
    region: Option<Name>,
    sees: Sees,
    boundary: Boundary,
    cover: CoveredBy,
    hosts: Vec<Authority>,
}

impl Hop {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &Slug {
        &self.id
    }

    /// The legal entity.
    #[must_use]
    pub const fn entity(&self) -> &Title {
        &self.entity
    }

    /// What it does on the path.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The vendor's product.
    #[must_use]
    pub const fn service(&self) -> Option<&Name> {
        self.service.as_ref()
    }

    /// The vendor's plan.
    #[must_use]
    pub const fn tier(&self) -> Option<&Slug> {
        self.tier.as_ref()
    }

    /// Where it runs.
    #[must_use]
    pub const fn region(&self) -> Option<&Name> {
        self.region.as_ref()
    }

    /// What it sees.
    #[must_use]
    pub const fn sees(&self) -> Sees {
        self.sees
    }

    /// On which side of the organisation's boundary it lies.
    #[must_use]
    pub const fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// What is said to cover it.
    #[must_use]
    pub const fn cover(&self) -> &CoveredBy {
        &self.cover
    }

    /// The hosts to which connections for this hop may go.
    #[must_use]
    pub fn hosts(&self) -> &[Authority] {
        &self.hosts
    }

    /// The terms of the data under which it gets requests: those of the scopes of its agreement that name
    /// its service, tier and region. None for a hop that answers no requests, or that no agreement of its
    /// own covers.
    #[must_use]
    pub fn terms<'r>(&self, registry: &'r Registry) -> Vec<&'r Terms> {
        let CoveredBy::Agreement(id) = &self.cover else { return Vec::new() };
        if self.is_inside() || !self.role.serves_requests() {
            return Vec::new();
        }
        let scopes = registry.agreement(id).map(Agreement::scopes).unwrap_or_default();
        let about = |scope: &&Scope| {
            scope.names(Feature::Service, self.service.as_ref().map(Name::as_str))
                && scope.names(Feature::Tier, self.tier.as_ref().map(Slug::as_str))
                && scope.names(Feature::Region, self.region.as_ref().map(Name::as_str))
        };
        scopes.iter().filter(about).map(Scope::terms).collect()
    }

    pub(crate) const fn is_inside(&self) -> bool {
        matches!(self.boundary, Boundary::Inside { .. })
    }

    pub(crate) fn parse(raw: &RawHop) -> Result<Self, Fault> {
        let enough = match raw.sees {
            Sees::Content | Sees::Ciphertext => true,
            Sees::Metadata => raw.role.works_on_metadata(),
            Sees::Hashes => raw.role.works_on_hashes(),
        };
        if !enough {
            return Err(Fault::new(
                "sees",
                "a party in this role handles content: write \"content\" or \"ciphertext\"",
            ));
        }
        let owner = optional("owner", raw.owner.as_ref())?;
        let boundary = match (raw.boundary, owner) {
            (RawBoundary::Inside, owner) => Boundary::Inside { owner },
            (RawBoundary::Outside, None) => Boundary::Outside,
            (RawBoundary::Outside, Some(_)) => {
                return Err(Fault::new("owner", "belongs to boundary = \"inside\" only"));
            }
        };
        let cover = match (&raw.agreement, &raw.evidence) {
            (Some(id), None) => CoveredBy::Agreement(word("agreement", id)?),
            (None, Some(id)) => CoveredBy::Evidence(word("evidence", id)?),
            (None, None) => CoveredBy::Nothing,
            (Some(_), Some(_)) => {
                return Err(Fault::new("evidence", "name an agreement or evidence, not both"));
            }
        };
        Ok(Self {
            id: word("id", &raw.id)?,
            entity: word("entity", &raw.entity)?,
            role: raw.role,
            service: optional("service", raw.service.as_ref())?,
            tier: optional("tier", raw.tier.as_ref())?,
            region: optional("region", raw.region.as_ref())?,
            sees: raw.sees,
            boundary,
            cover,
            hosts: raw.hosts.iter().map(|host| word("hosts", host)).collect::<Result<_, _>>()?,
        })
    }
}

/// What a request asks for, as far as agreements care.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// The interface: `chat.completions`.
    pub api: &'a str,
    /// The model, as the destination calls it.
    pub model: &'a str,
    /// What is sent: `text`.
    pub modality: &'a str,
    /// What the request makes use of beside a plain answer.
    pub capabilities: &'a BTreeSet<Capability>,
}

/// A request that makes use of nothing beside a plain answer.
pub const PLAIN: &BTreeSet<Capability> = &BTreeSet::new();

impl<'a> Features<'a> {
    fn value(&self, feature: Feature, hop: &'a Hop) -> Option<&'a str> {
        match feature {
            Feature::Service => hop.service.as_ref().map(Name::as_str),
            Feature::Tier => hop.tier.as_ref().map(Slug::as_str),
            Feature::Region => hop.region.as_ref().map(Name::as_str),
            Feature::Api => Some(self.api),
            Feature::Model => Some(self.model),
            Feature::Modality => Some(self.modality),
        }
    }
}

/// The features that an agreement with any party must name.
const FEATURES_OF_A_HOP: &[Feature] = &[Feature::Service, Feature::Tier, Feature::Region];

/// The features that an agreement with a party which serves requests must name.
const FEATURES_OF_A_REQUEST: &[Feature] = &[
    Feature::Service,
    Feature::Tier,
    Feature::Region,
    Feature::Api,
    Feature::Model,
    Feature::Modality,
];

/// Parties behind one another, as far as it matters what covers them: the hosting of this server, and
/// then the hops of a path or of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    organisation: Option<Title>,
    hosting: Option<Arc<Hop>>,
    hops: Vec<Arc<Hop>>,
}

impl Chain {
    pub(crate) const fn new(
        organisation: Option<Title>,
        hosting: Option<Arc<Hop>>,
        hops: Vec<Arc<Hop>>,
    ) -> Self {
        Self { organisation, hosting, hops }
    }

    /// The hops in order, hosting first.
    fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.hosting.iter().chain(&self.hops).map(Arc::as_ref)
    }

    /// What covers each hop, in order, at the moment `now`.
    ///
    /// # Errors
    /// The first hop, in order, that nothing covers.
    pub(crate) fn covers(
        &self,
        features: &Features<'_>,
        registry: &Registry,
        now: Time,
    ) -> Result<Vec<Cover>, Gap> {
        // Fail closed: without a hosting hop nobody has said where this server runs.
        if self.hosting.is_none() {
            return Err(Gap::NoHosting);
        }
        self.hops().map(|hop| self.cover_hop(hop, features, registry, now)).collect()
    }

    /// Whether the hop lies inside. Self-hosted needs no agreement only where the organisation itself
    /// runs hardware that it owns: whoever runs it for somebody else is a business associate.
    fn owns(&self, hop: &Hop) -> bool {
        let Boundary::Inside { owner } = &hop.boundary else { return false };
        let ours = Some(&hop.entity);
        self.organisation.as_ref() == ours && owner.as_ref() == ours
    }

    fn cover_hop(
        &self,
        hop: &Hop,
        features: &Features<'_>,
        registry: &Registry,
        now: Time,
    ) -> Result<Cover, Gap> {
        let cover = |by, id: Option<&Slug>| Cover {
            hop: hop.id.to_string(),
            by,
            id: id.map(ToString::to_string),
            region: hop.region.as_ref().map(ToString::to_string),
        };
        // Where the organisation's own machines stand it knows itself; where it says so, it counts.
        let says_where = hop.region.is_some() || !hop.is_inside();
        if says_where
            && hop.sees != Sees::Hashes
            && !registry.constraints().regions().allow(hop.region.as_ref())
        {
            return Err(Gap::RegionNotAllowed { hop: hop.id.clone(), region: hop.region.clone() });
        }
        if hop.is_inside() {
            return if self.owns(hop) {
                Ok(cover(CoverKind::Inside, None))
            } else {
                Err(Gap::BoundaryUnproved { hop: hop.id.clone() })
            };
        }
        if hop.sees == Sees::Hashes {
            return Ok(cover(CoverKind::NoContent, None));
        }
        if never_covered(hop.tier.as_ref()) {
            return Err(Gap::ConsumerTier { hop: hop.id.clone(), tier: hop.tier.clone() });
        }
        match &hop.cover {
            CoveredBy::Agreement(id) => {
                check_agreement(hop, id, features, registry, now)?;
                Ok(cover(CoverKind::Agreement, Some(id)))
            }
            CoveredBy::Evidence(id) => {
                self.check_evidence(hop, id, registry, now)?;
                Ok(cover(CoverKind::Evidence, Some(id)))
            }
            CoveredBy::Nothing => Err(Gap::Nothing { hop: hop.id.clone() }),
        }
    }

    fn check_evidence(
        &self,
        hop: &Hop,
        id: &Slug,
        registry: &Registry,
        now: Time,
    ) -> Result<(), Gap> {
        let hop_id = || hop.id.clone();
        let evidence = registry.evidence(id).ok_or_else(|| Gap::Nothing { hop: hop_id() })?;
        evidence.in_force(now).map_err(|lapse| Gap::EvidenceLapsed {
            hop: hop_id(),
            evidence: id.clone(),
            lapse,
        })?;
        if *evidence.entity() != hop.entity {
            return Err(Gap::OtherEntity { hop: hop_id(), cover: id.clone() });
        }
        // The chain hangs on a hop of this very path that the agreement covers; that hop's own
        // check, in the same pass, shows that the agreement is in force.
        let link = CoveredBy::Agreement(evidence.under().clone());
        if !self.hops().any(|other| !other.is_inside() && other.cover == link) {
            return Err(Gap::ChainBroken {
                hop: hop_id(),
                evidence: id.clone(),
                agreement: evidence.under().clone(),
            });
        }
        Ok(())
    }
}

/// Every party that a prompt passes on its way to one destination, in order.
#[derive(Clone, Debug)]
pub struct Path {
    destination: Slug,
    endpoint: Arc<Endpoint>,
    chain: Chain,
}

impl Path {
    pub(crate) const fn new(
        destination: Slug,
        endpoint: Arc<Endpoint>,
        organisation: Option<Title>,
        hosting: Option<Arc<Hop>>,
        hops: Vec<Arc<Hop>>,
    ) -> Self {
        Self { destination, endpoint, chain: Chain::new(organisation, hosting, hops) }
    }

    /// The hops in order, hosting first.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.chain.hops()
    }

    /// Whether every hop lies inside the organisation's boundary, as far as the file can show it. That
    /// the address is one inside is shown at each connection.
    pub(crate) fn is_inside(&self) -> bool {
        self.hops().all(|hop| self.chain.owns(hop))
    }

    /// Where connections go.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Checks every hop against the features of the request, at the moment `now`.
    ///
    /// # Errors
    /// The first hop, in order, that nothing covers.
    pub fn cover(
        &self,
        features: &Features<'_>,
        registry: &Registry,
        now: Time,
    ) -> Result<CoveredPath, Gap> {
        Ok(CoveredPath {
            destination: self.destination.clone(),
            endpoint: Arc::clone(&self.endpoint),
            model: features.model.into(),
            covers: self.chain.covers(features, registry, now)?,
        })
    }
}

fn check_agreement(
    hop: &Hop,
    id: &Slug,
    features: &Features<'_>,
    registry: &Registry,
    now: Time,
) -> Result<(), Gap> {
    let hop_id = || hop.id.clone();
    let agreement = registry.agreement(id).ok_or_else(|| Gap::Nothing { hop: hop_id() })?;
    agreement.in_force(now).map_err(|lapse| Gap::NotInForce {
        hop: hop_id(),
        agreement: id.clone(),
        lapse,
    })?;
    if *agreement.counterparty() != hop.entity {
        return Err(Gap::OtherEntity { hop: hop_id(), cover: id.clone() });
    }
    let needed = if hop.role.serves_requests() { FEATURES_OF_A_REQUEST } else { FEATURES_OF_A_HOP };
    // One scope must name every feature; the first feature that rules out the last scope is the
    // one to report.
    let mut scopes: Vec<_> = agreement.scopes().iter().collect();
    for &feature in needed {
        let value = features.value(feature, hop);
        scopes.retain(|scope| scope.names(feature, value));
        if scopes.is_empty() {
            return Err(Gap::OutOfScope {
                hop: hop_id(),
                agreement: id.clone(),
                feature,
                value: value.map(str::to_owned),
            });
        }
    }
    if !hop.role.serves_requests() {
        return Ok(());
    }
    suffice(scopes, features.capabilities, registry, now).map_err(|shortfall| Gap::Terms {
        hop: hop_id(),
        agreement: id.clone(),
        shortfall,
    })
}

/// Proof that every hop of a path was covered, for one request at one moment.
///
/// Only [`Path::cover`] makes one:
/// ```
/// let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/minimal.toml"));
/// let rules = gate::rules::Rules::parse(text)?;
/// let path = rules.destination("local").ok_or("no destination")?.path();
/// let features = gate::path::Features {
///     api: "chat.completions",
///     model: "local",
///     modality: "text",
///     capabilities: gate::path::PLAIN,
/// };
/// let now = ledger::Time::from_micros(1_790_000_000_000_000);
/// let covered: gate::path::CoveredPath = path.cover(&features, rules.registry(), now)?;
/// assert_eq!(covered.destination().as_str(), "local");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// and nobody can forge or copy one:
/// ```compile_fail,E0451
/// fn forge(
///     destination: gate::rules::Slug,
///     endpoint: std::sync::Arc<gate::path::Endpoint>,
/// ) -> gate::path::CoveredPath {
///     gate::path::CoveredPath { destination, endpoint, model: "m".into(), covers: Vec::new() }
/// }
/// ```
/// ```compile_fail,E0308
/// fn copy(covered: &gate::path::CoveredPath) -> gate::path::CoveredPath {
///     covered.clone()
/// }
/// ```
#[derive(Debug)]
pub struct CoveredPath {
    destination: Slug,
    endpoint: Arc<Endpoint>,
    model: Box<str>,
    covers: Vec<Cover>,
}

impl CoveredPath {
    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &Slug {
        &self.destination
    }

    /// The only place to which the connection may go.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The only model that may be asked for, as the destination calls it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Every hop, hosting first, and what covers it.
    #[must_use]
    pub fn covers(&self) -> &[Cover] {
        &self.covers
    }
}

/// Why a path is not covered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// The configuration does not say who hosts this server.
    #[error("the configuration names no hosting hop, so no path is complete")]
    NoHosting,
    /// No agreement and no evidence is named for the hop.
    #[error("hop \"{hop}\" has no agreement and no chain evidence")]
    Nothing {
        /// The hop.
        hop: Slug,
    },
    /// The hop claims to lie inside, but is not the organisation on hardware of its own.
    #[error(
        "hop \"{hop}\" claims to lie inside the boundary, but its entity and its owner are not the organisation"
    )]
    BoundaryUnproved {
        /// The hop.
        hop: Slug,
    },
    /// It lies in a region that the organisation does not allow, or does not say where it lies.
    #[error("hop \"{hop}\" lies in {}, and [constraints] does not allow that", region_words(.region.as_ref()))]
    RegionNotAllowed {
        /// The hop.
        hop: Slug,
        /// Its region.
        region: Option<Name>,
    },
    /// A consumer tier, or none named.
    #[error("hop \"{hop}\" {}", tier_sentence(.tier.as_ref()))]
    ConsumerTier {
        /// The hop.
        hop: Slug,
        /// Its tier.
        tier: Option<Slug>,
    },
    /// The agreement is not in force.
    #[error("hop \"{hop}\" has no agreement in force: \"{agreement}\" {lapse}")]
    NotInForce {
        /// The hop.
        hop: Slug,
        /// The agreement.
        agreement: Slug,
        /// Why not.
        lapse: Lapse,
    },
    /// The evidence is not in force.
    #[error("hop \"{hop}\" has no chain evidence in force: \"{evidence}\" {lapse}")]
    EvidenceLapsed {
        /// The hop.
        hop: Slug,
        /// The evidence.
        evidence: Slug,
        /// Why not.
        lapse: Lapse,
    },
    /// The agreement or evidence names another legal entity than the hop.
    #[error("hop \"{hop}\" is another legal entity than the one that \"{cover}\" names")]
    OtherEntity {
        /// The hop.
        hop: Slug,
        /// The agreement or evidence.
        cover: Slug,
    },
    /// The evidence stands under an agreement that covers no hop of this path.
    #[error(
        "hop \"{hop}\" is outside the chain: \"{evidence}\" stands under \"{agreement}\", which covers no hop of this path"
    )]
    ChainBroken {
        /// The hop.
        hop: Slug,
        /// The evidence.
        evidence: Slug,
        /// The agreement.
        agreement: Slug,
    },
    /// The agreement is in force but does not name what the request asks for.
    #[error(
        "hop \"{hop}\" is not covered for this: \"{agreement}\" does not name {}",
        feature_sentence(*.feature, .value.as_deref())
    )]
    OutOfScope {
        /// The hop.
        hop: Slug,
        /// The agreement.
        agreement: Slug,
        /// The feature that it does not name.
        feature: Feature,
        /// Its value, when the hop or the request has one.
        value: Option<String>,
    },
    /// The agreement is in force and names what the request asks for, and its terms of the data are not
    /// good enough.
    #[error("hop \"{hop}\" is not covered for this: \"{agreement}\" {shortfall}")]
    Terms {
        /// The hop.
        hop: Slug,
        /// The agreement.
        agreement: Slug,
        /// What is lacking.
        shortfall: Shortfall,
    },
}

impl Gap {
    /// The stable code for the caller: `region_not_allowed` when it is the region, `baa_scope` when an
    /// agreement is in force but does not name what was asked for, one of its own for each thing that
    /// the terms of the data lack, `baa_uncovered_hop` in every other case.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::OutOfScope { .. } => Code::BaaScope,
            Self::RegionNotAllowed { .. } => Code::RegionNotAllowed,
            Self::Terms { shortfall, .. } => shortfall.code(),
            Self::NoHosting
            | Self::Nothing { .. }
            | Self::BoundaryUnproved { .. }
            | Self::ConsumerTier { .. }
            | Self::NotInForce { .. }
            | Self::EvidenceLapsed { .. }
            | Self::OtherEntity { .. }
            | Self::ChainBroken { .. } => Code::BaaUncoveredHop,
        }
    }

    /// The gap in one word, for the record.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoHosting => "no_hosting_hop",
            Self::Nothing { .. } => "no_agreement",
            Self::BoundaryUnproved { .. } => "boundary_unproved",
            Self::ConsumerTier { .. } => "consumer_tier_attempt",
            Self::RegionNotAllowed { .. } => "region_not_allowed",
            Self::NotInForce { .. } => "agreement_not_in_force",
            Self::EvidenceLapsed { .. } => "evidence_lapsed",
            Self::OtherEntity { .. } => "other_entity",
            Self::ChainBroken { .. } => "chain_broken",
            Self::OutOfScope { .. } => "out_of_scope",
            Self::Terms { shortfall, .. } => shortfall.reason(),
        }
    }

    /// How an exchange is refused with it.
    pub(crate) fn refusal(&self) -> Refusal {
        let (code, reason) = (self.code(), Some(self.reason()));
        Refusal { code, message: self.to_string().into(), classes: Vec::new(), reason }
    }

    /// The hop; absent when there is no hosting hop.
    #[must_use]
    pub const fn hop(&self) -> Option<&Slug> {
        match self {
            Self::NoHosting => None,
            Self::Nothing { hop }
            | Self::BoundaryUnproved { hop }
            | Self::ConsumerTier { hop, .. }
            | Self::RegionNotAllowed { hop, .. }
            | Self::NotInForce { hop, .. }
            | Self::EvidenceLapsed { hop, .. }
            | Self::OtherEntity { hop, .. }
            | Self::ChainBroken { hop, .. }
            | Self::OutOfScope { hop, .. }
            | Self::Terms { hop, .. } => Some(hop),
        }
    }
}

fn region_words(region: Option<&Name>) -> String {
    match region {
        Some(region) => format!("the region \"{region}\""),
        None => "a region that it does not name".to_owned(),
    }
}

fn tier_sentence(tier: Option<&Slug>) -> String {
    match tier {
        Some(tier) => format!("is on the tier \"{tier}\", which no agreement covers"),
        None => "names no tier, so it counts as a consumer tier, which no agreement covers".into(),
    }
}

fn feature_sentence(feature: Feature, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("the {feature} \"{value}\""),
        None => format!("a missing {feature}"),
    }
}

/// A hop as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHop {
    pub(crate) id: String,
    entity: String,
    role: Role,
    service: Option<String>,
    tier: Option<String>,
    region: Option<String>,
    sees: Sees,
    boundary: RawBoundary,
    owner: Option<String>,
    agreement: Option<String>,
    evidence: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawBoundary {
    Inside,
    Outside,
}

#[cfg(test)]
mod tests;
