//! Business associate agreements and chain evidence, and whether they are in force.
//!
//! 45 CFR 164.502(e) and 164.308(b): protected health information goes to another party only under
//! a written contract. Here the contract is data with a scope and dates, and both are looked at for
//! every request.

use crate::rules::Constraints;
use crate::rules::name::{Day, Fault, Name, Slug, Title, day, optional, word, words};
use crate::terms::{Capability, HumanReview, RawTerms, RawTraining, Terms};
use ledger::{Hash, Time};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Words that mark a tier as one that no agreement covers, whatever the agreement says.
///
/// Vendors exclude these products from their agreements by their own terms, and an account of such
/// a tier belongs to a person rather than to the organisation.
const NEVER_COVERED_TIERS: &[&str] =
    &["consumer", "free", "individual", "personal", "plus", "team", "trial"];

/// Days before the end of an agreement at which a warning is due, largest first.
const WARNING_DAYS: [u32; 4] = [90, 60, 30, 7];

const SECONDS_PER_DAY: i64 = 86_400;

/// Whether no agreement can cover this tier: it is missing, or one of its words (between hyphens)
/// is in the list of consumer tiers.
pub(crate) fn never_covered(tier: Option<&Slug>) -> bool {
    tier.is_none_or(|tier| tier.as_str().split('-').any(|word| NEVER_COVERED_TIERS.contains(&word)))
}

/// Why an agreement or evidence is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// It begins on this day.
    NotYet(Day),
    /// It ended on this day.
    Expired(Day),
    /// It was terminated with effect from this day.
    Terminated(Day),
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet(day) => write!(f, "begins on {day}"),
            Self::Expired(day) => write!(f, "expired on {day}"),
            Self::Terminated(day) => write!(f, "was terminated on {day}"),
        }
    }
}

/// What kind of agreement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgreementKind {
    /// A business associate agreement, 45 CFR 164.504(e).
    Baa,
}

/// An executed agreement with one legal entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    id: Slug,
    kind: AgreementKind,
    counterparty: Title,
    effective: Day,
    expires: Day,
    terminated: Option<Day>,
    document_sha256: Option<Hash>,
    scopes: Vec<Scope>,
    retention: Option<Title>,
    abuse_review: Option<Title>,
}

impl Agreement {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &Slug {
        &self.id
    }

    /// What kind of agreement it is.
    #[must_use]
    pub const fn kind(&self) -> AgreementKind {
        self.kind
    }

    /// The legal entity that signed it.
    #[must_use]
    pub const fn counterparty(&self) -> &Title {
        &self.counterparty
    }

    /// SHA-256 of the executed document, when it was registered.
    #[must_use]
    pub const fn document_sha256(&self) -> Option<Hash> {
        self.document_sha256
    }

    /// What the vendor keeps and for how long, in the contract's words. [`Terms`] decide.
    #[must_use]
    pub const fn retention(&self) -> Option<&Title> {
        self.retention.as_ref()
    }

    /// Who at the vendor may read what is sent in order to find abuse, in the contract's words.
    #[must_use]
    pub const fn abuse_review(&self) -> Option<&Title> {
        self.abuse_review.as_ref()
    }

    /// The parts of the vendor's offer that it covers.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The first moment at which it no longer covers anything.
    #[must_use]
    pub fn ends(&self) -> Time {
        let end = self.terminated.map_or(self.expires, |day| day.min(self.expires));
        end.start()
    }

    /// Checks that it is in force: `effective <= now < expires`, and not terminated at `now`.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn in_force(&self, now: Time) -> Result<(), Lapse> {
        match self.terminated {
            Some(day) if day.start() <= now => Err(Lapse::Terminated(day)),
            _ => in_force(self.effective, self.expires, now),
        }
    }

    pub(crate) fn parse(raw: &RawAgreement) -> Result<Self, Fault> {
        let agreement = Self {
            id: word("id", &raw.id)?,
            kind: raw.kind,
            counterparty: word("counterparty", &raw.counterparty)?,
            effective: day("effective", &raw.effective)?,
            expires: day("expires", &raw.expires)?,
            terminated: raw.terminated.as_ref().map(|v| day("terminated", v)).transpose()?,
            document_sha256: parse_hash(raw.document_sha256.as_deref())?,
            scopes: raw
                .scope
                .iter()
                .map(|scope| Scope::parse(scope, raw.no_training))
                .collect::<Result<_, _>>()?,
            retention: optional("retention", raw.retention.as_ref())?,
            abuse_review: optional("abuse_review", raw.abuse_review.as_ref())?,
        };
        if agreement.expires <= agreement.effective {
            return Err(Fault::new("expires", "must be later than \"effective\""));
        }
        if agreement.scopes.is_empty() {
            return Err(Fault::new(
                "scope",
                "an agreement covers only what it names: add [[agreement.scope]]",
            ));
        }
        Ok(agreement)
    }
}

fn in_force(from: Day, until: Day, now: Time) -> Result<(), Lapse> {
    if now < from.start() {
        Err(Lapse::NotYet(from))
    } else if now >= until.start() {
        Err(Lapse::Expired(until))
    } else {
        Ok(())
    }
}

fn parse_hash(text: Option<&str>) -> Result<Option<Hash>, Fault> {
    let malformed =
        || Fault::new("document_sha256", "a SHA-256 is 64 lower-case hexadecimal digits");
    text.map(|text| text.parse().map_err(|_| malformed())).transpose()
}

/// Names that a scope lists, or any name at all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Any,
    Only(BTreeSet<Name>),
}

impl Named {
    fn parse(field: &'static str, texts: &[String]) -> Result<Self, Fault> {
        match texts {
            [star] if star == "*" => Ok(Self::Any),
            _ => Self::only(field, texts),
        }
    }

    fn only(field: &'static str, texts: &[String]) -> Result<Self, Fault> {
        Ok(Self::Only(words(field, texts)?.into_iter().collect()))
    }

    fn has(&self, name: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => name.is_some_and(|name| names.contains(name)),
        }
    }
}

/// One part of an agreement's scope: a request is covered when one scope names all its features.
///
/// Services, tiers, APIs and modalities must be named one by one, so that a beta or a chat product
/// is never covered by accident; regions and models may be `"*"`, because many agreements name
/// none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    services: Named,
    tiers: Named,
    regions: Named,
    apis: Named,
    models: Named,
    modalities: Named,
    terms: Terms,
}

impl Scope {
    fn parse(raw: &RawScope, no_training: bool) -> Result<Self, Fault> {
        for (field, texts) in
            [("services", &raw.services), ("tiers", &raw.tiers), ("regions", &raw.regions)]
        {
            if texts.is_empty() {
                return Err(Fault::new(field, "names nothing, so the scope covers nothing"));
            }
        }
        Ok(Self {
            services: Named::only("services", &raw.services)?,
            tiers: Named::only("tiers", &raw.tiers)?,
            regions: Named::parse("regions", &raw.regions)?,
            apis: Named::only("apis", &raw.apis)?,
            models: Named::parse("models", &raw.models)?,
            modalities: Named::only("modalities", &raw.modalities)?,
            terms: Terms::parse(&raw.terms(), no_training)?,
        })
    }

    /// What holds for the data that is sent to this part.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether this scope names `value` as the feature.
    #[must_use]
    pub fn names(&self, feature: Feature, value: Option<&str>) -> bool {
        let named = match feature {
            Feature::Service => &self.services,
            Feature::Tier => &self.tiers,
            Feature::Region => &self.regions,
            Feature::Api => &self.apis,
            Feature::Model => &self.models,
            Feature::Modality => &self.modalities,
        };
        named.has(value)
    }
}

/// A feature of a request that a scope must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// The vendor's product.
    Service,
    /// The vendor's plan.
    Tier,
    /// Where it runs.
    Region,
    /// The interface: `chat.completions`.
    Api,
    /// The model.
    Model,
    /// What is sent: `text`.
    Modality,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Tier => "tier",
            Self::Region => "region",
            Self::Api => "API",
            Self::Model => "model",
            Self::Modality => "modality",
        })
    }
}

/// Written evidence that a vendor's agreement also binds a party further down the chain:
/// 45 CFR 164.308(b)(2) and 164.502(e)(1)(ii).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    id: Slug,
    entity: Title,
    basis: Title,
    under: Slug,
    dated: Day,
    expires: Day,
}

impl Evidence {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &Slug {
        &self.id
    }

    /// The legal entity that it names.
    #[must_use]
    pub const fn entity(&self) -> &Title {
        &self.entity
    }

    /// What was seen: a vendor's list, an attestation.
    #[must_use]
    pub const fn basis(&self) -> &Title {
        &self.basis
    }

    /// The agreement whose chain it extends.
    #[must_use]
    pub const fn under(&self) -> &Slug {
        &self.under
    }

    /// Checks that it has not lapsed: `dated <= now < expires`.
    ///
    /// # Errors
    /// The reason why it has.
    pub fn in_force(&self, now: Time) -> Result<(), Lapse> {
        in_force(self.dated, self.expires, now)
    }

    pub(crate) fn parse(raw: &RawEvidence) -> Result<Self, Fault> {
        let evidence = Self {
            id: word("id", &raw.id)?,
            entity: word("entity", &raw.entity)?,
            basis: word("basis", &raw.basis)?,
            under: word("under", &raw.under)?,
            dated: day("dated", &raw.dated)?,
            expires: day("expires", &raw.expires)?,
        };
        if evidence.expires <= evidence.dated {
            return Err(Fault::new("expires", "must be later than \"dated\""));
        }
        Ok(evidence)
    }
}

/// An agreement or evidence that ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The agreement or evidence.
    pub id: Slug,
    /// When it ends.
    pub expires: Time,
    /// The threshold that was crossed last: 90, 60, 30 or 7 days.
    pub days: u32,
}

/// Every agreement and every evidence of a governed file.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    agreements: BTreeMap<Slug, Agreement>,
    evidence: BTreeMap<Slug, Evidence>,
    constraints: Constraints,
}

impl Registry {
    pub(crate) const fn new(
        agreements: BTreeMap<Slug, Agreement>,
        evidence: BTreeMap<Slug, Evidence>,
        constraints: Constraints,
    ) -> Self {
        Self { agreements, evidence, constraints }
    }

    /// What every path must keep to.
    pub(crate) const fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// The agreement with this id.
    #[must_use]
    pub fn agreement(&self, id: &Slug) -> Option<&Agreement> {
        self.agreements.get(id)
    }

    /// The evidence with this id.
    #[must_use]
    pub fn evidence(&self, id: &Slug) -> Option<&Evidence> {
        self.evidence.get(id)
    }

    /// The ids of all agreements, then of all evidence.
    pub fn ids(&self) -> impl Iterator<Item = &Slug> {
        self.agreements.keys().chain(self.evidence.keys())
    }

    /// The first moment at which the agreement and the evidence with this id cover nothing any more;
    /// absent when the file has neither.
    #[must_use]
    pub fn ends(&self, id: &str) -> Option<Time> {
        let agreement = self.agreements.get(id).map(Agreement::ends);
        agreement.max(self.evidence.get(id).map(|evidence| evidence.expires.start()))
    }

    /// SHA-256 of the executed document of the agreement with this id, where the file says it.
    #[must_use]
    pub fn document_sha256(&self, id: &str) -> Option<Hash> {
        self.agreements.get(id).and_then(Agreement::document_sha256)
    }

    /// What ends within 90, 60, 30 or 7 days, each with the tightest threshold that it has
    /// crossed; what has already ended is not in the list. In order of kind and id.
    ///
    /// Whoever calls this remembers what was warned of: the same answer comes on every call
    /// between two thresholds.
    #[must_use]
    pub fn expiring(&self, now: Time) -> Vec<Expiring> {
        let agreements = self.agreements.values().map(|a| (&a.id, a.ends()));
        let evidence = self.evidence.values().map(|e| (&e.id, e.expires.start()));
        agreements
            .chain(evidence)
            .filter_map(|(id, expires)| {
                let days = crossed(now, expires)?;
                Some(Expiring { id: id.clone(), expires, days })
            })
            .collect()
    }
}

fn crossed(now: Time, expires: Time) -> Option<u32> {
    if now >= expires {
        return None;
    }
    let within = |days: &u32| expires <= now.plus_seconds(i64::from(*days) * SECONDS_PER_DAY);
    WARNING_DAYS.into_iter().rev().find(within)
}

/// An agreement as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAgreement {
    pub(crate) id: String,
    kind: AgreementKind,
    counterparty: String,
    effective: toml::Value,
    expires: toml::Value,
    terminated: Option<toml::Value>,
    document_sha256: Option<String>,
    retention: Option<String>,
    #[serde(default)]
    no_training: bool,
    abuse_review: Option<String>,
    #[serde(default)]
    scope: Vec<RawScope>,
}

/// A scope as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScope {
    services: Vec<String>,
    tiers: Vec<String>,
    regions: Vec<String>,
    #[serde(default)]
    apis: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    modalities: Vec<String>,
    training: Option<RawTraining>,
    opt_out_evidence: Option<String>,
    retention_days: Option<u32>,
    abuse_monitoring_days: Option<u32>,
    human_review: Option<HumanReview>,
    #[serde(default)]
    eligible: Vec<Capability>,
}

impl RawScope {
    /// Written beside the rest, because a flattened table could not refuse a key that nobody knows.
    fn terms(&self) -> RawTerms {
        RawTerms {
            training: self.training,
            opt_out_evidence: self.opt_out_evidence.clone(),
            retention_days: self.retention_days,
            abuse_monitoring_days: self.abuse_monitoring_days,
            human_review: self.human_review,
            eligible: self.eligible.clone(),
        }
    }
}

/// Evidence as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEvidence {
    pub(crate) id: String,
    entity: String,
    basis: String,
    under: String,
    dated: toml::Value,
    expires: toml::Value,
}

#[cfg(test)]
mod tests;
