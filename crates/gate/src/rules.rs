//! The governed configuration: one TOML file, read whole or refused whole.
//!
//! References are checked here, when the file is read; whether a path is *covered* is checked for
//! every request, because it depends on the day.

mod cache;
mod constraint;
mod content;
mod copy;
pub(crate) mod destination;
pub(crate) mod endpoint;
mod feed;
mod limit;
mod minimum;
pub(crate) mod name;
mod outside;
mod oversight;
mod region;
mod retention;
mod route;
mod timeout;
mod tools;
mod traces;

use crate::agreement::{Agreement, Evidence, RawAgreement, RawEvidence, Registry};
use crate::path::{CoveredBy, CoveredPath, Features, Gap, Hop, Path, RawHop, Role};
use crate::policy::{Compiler, Policy, RawCedar, RawRow, Row};
use crate::terms::Training;
use ledger::{Change, ChangeKind, Hash, Time};
use name::{Fault, optional, word};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

pub use cache::Caching;
pub(crate) use constraint::Constraints;
pub use content::Keep;
pub use copy::{CoveredCopy, LogCopy, MAX_COPIES, Place};
pub use destination::{Api, Credential, Destination, Dialect};
pub use feed::{CoveredFeed, Feed, FeedTarget, LineFormat, MAX_FEEDS};
pub use limit::{Amount, Currency, Limit, Limits, MAX_LIMITS, Measure, Per, Price};
pub use minimum::{Exemption, Flow, Minimum, OnPhi, Profile, WhenUnread};
pub use name::{Day, Malformed, Name, Slug, Title};
pub use outside::{TimeAuthority, Witness};
pub use oversight::{Oversight, Reviews};
pub use retention::{Decision, Retention};
pub use route::{Alternative, Retry, Route, Target};
pub use timeout::Timeouts;
pub use tools::Tools;
pub use traces::{CoveredCollector, Traces};

use cache::RawCache;
use constraint::RawConstraints;
use content::RawContent;
use copy::RawCopy;
use destination::RawDestination;
use feed::RawFeed;
use limit::{RawLimit, RawPrice};
use minimum::{RawChart, RawFlow, RawMinimum, RawProfile};
use outside::{RawAnchoring, RawAuthority, RawWitness};
use oversight::{RawLog, RawReview};
use retention::RawRetention;
use route::RawRoute;
use traces::RawTraces;

/// Largest governed file in bytes: some thousand objects. Larger ones are generated, and a person
/// who answers for the file could not read them.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The version of the file's form.
const SCHEMA_VERSION: i64 = 1;

/// Why a governed file is refused. Never holds a value of the file, except ids and what an
/// engineer wrote in Cedar.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("the file has {bytes} bytes; at most {MAX_FILE_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not TOML, or a key is unknown, missing or of the wrong kind.
    #[error("line {line}: {problem}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A field says something that cannot be.
    #[error("{object}, field \"{field}\": {problem}")]
    Object {
        /// Kind and id of the object, or its number among those of its kind, from 1.
        object: String,
        /// The field.
        field: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl RulesError {
    fn text(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self::Text { line, problem: without_values(error.message()) }
    }

    fn object(object: impl Into<String>, fault: Fault) -> Self {
        Self::Object { object: object.into(), field: fault.field, problem: fault.problem }
    }
}

/// A message of the deserializer, without the file's values, of which one may be a secret in the
/// wrong place. Keys stay: without them the message helps nobody.
fn without_values(message: &str) -> String {
    let message = message.trim_end();
    let about_keys = ["unknown field", "missing field", "duplicate field"];
    if about_keys.iter().any(|prefix| message.starts_with(prefix)) {
        return message.to_owned();
    }
    let about_values = ["invalid type", "invalid value", "invalid length", "unknown variant"];
    if about_values.iter().any(|prefix| message.starts_with(prefix)) {
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        return match expected {
            Some(expected) => format!("not a value that this key takes; expected {expected}"),
            None => "not a value that this key takes".to_owned(),
        };
    }
    // The rest are the parser's fixed sentences, of which a few go on to quote a key.
    message.lines().next().unwrap_or_default().to_owned()
}

/// A governed file, read and checked. It never changes; a new file makes a new one.
#[derive(Debug)]
pub struct Rules {
    sha256: Hash,
    organisation: Option<Title>,
    purposes: BTreeMap<Slug, Title>,
    registry: Registry,
    destinations: BTreeMap<Slug, Arc<Destination>>,
    routes: BTreeMap<Name, Route>,
    policy: Policy,
    authorities: BTreeMap<Slug, TimeAuthority>,
    witnesses: BTreeMap<Slug, Witness>,
    anchor_seconds: u32,
    keep: Keep,
    retention: Retention,
    oversight: Oversight,
    feeds: BTreeMap<Slug, Feed>,
    copies: BTreeMap<Slug, LogCopy>,
    limits: Limits,
    traces: Option<Traces>,
    minimum: Minimum,
    cache: Option<Caching>,
    /// Every object as written, for [`Rules::diff`].
    objects: BTreeMap<String, toml::Value>,
}

impl Rules {
    /// Reads a governed file.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place and what to do.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(RulesError::TooLarge { bytes: text.len() });
        }
        let raw: RawRules = toml::from_str(text).map_err(|e| RulesError::text(text, &e))?;
        let table: toml::Table = toml::from_str(text).map_err(|e| RulesError::text(text, &e))?;
        let file = |fault| RulesError::object("the file", fault);
        if raw.schema != SCHEMA_VERSION {
            return Err(file(Fault::new("schema", "this program reads schema = 1")));
        }
        let organisation: Option<Title> =
            optional("organisation", raw.organisation.as_ref()).map_err(file)?;
        let purposes = purposes(&raw.purpose)?;
        let registry = registry(&raw)?;
        let hops = hops(&raw.hop, &registry)?;
        let hosting = hosting(raw.hosting.as_ref(), &hops)?;
        let (authorities, witnesses) = outsiders(&raw, &hops)?;
        let anchor_seconds = outside::interval(raw.anchoring.as_ref())
            .map_err(|fault| RulesError::object("anchoring", fault))?;
        let retention = Retention::parse(raw.retention.as_ref())
            .map_err(|fault| RulesError::object("retention", fault))?;
        let readers =
            Oversight::log(raw.log.as_ref()).map_err(|fault| RulesError::object("log", fault))?;
        let reviews = Oversight::review(raw.review.as_ref())
            .map_err(|fault| RulesError::object("review", fault))?;
        let assembly = Assembly { organisation: organisation.as_ref(), hosting, hops };
        let feeds = assembly.feeds(&raw.feed)?;
        let copies = assembly.copies(&raw.copy)?;
        let traces = assembly.traces(raw.traces.as_ref())?;
        let destinations = assembly.destinations(&raw.destination)?;
        let mut routes = routes(&raw.route, &destinations)?;
        for (name, route) in tools::routes(&destinations).map_err(file)? {
            if routes.insert(name, route).is_some() {
                return Err(file(Fault::new(
                    "route",
                    "has the name of a server of tools, or of one of its tools",
                )));
            }
        }
        let limits =
            Limits::parse(raw.currency.as_ref(), &raw.limit, &raw.price, &routes, &destinations)?;
        let policy = policy(&raw, &destinations, &purposes)?;
        let minimum = Minimum::parse(&raw.minimum(), &purposes, &routes)?;
        let keep = raw.content.as_ref().map(|content| content.keep).unwrap_or_default();
        let cache = Caching::parse(raw.cache.as_ref(), keep, &routes, &destinations)
            .map_err(|fault| RulesError::object("cache", fault))?;
        Ok(Self {
            sha256: Hash::of(text.as_bytes()),
            organisation,
            purposes,
            registry,
            destinations,
            routes,
            policy,
            authorities,
            witnesses,
            anchor_seconds,
            keep,
            retention,
            oversight: Oversight::new(readers, reviews),
            feeds,
            copies,
            limits,
            traces,
            minimum,
            cache,
            objects: objects(table),
        })
    }

    /// SHA-256 of the file's bytes. Every record names it as its `policy`.
    #[must_use]
    pub const fn sha256(&self) -> Hash {
        self.sha256
    }

    /// The organisation whose boundary it is.
    #[must_use]
    pub const fn organisation(&self) -> Option<&Title> {
        self.organisation.as_ref()
    }

    /// What is kept of prompts and answers.
    #[must_use]
    pub const fn keep(&self) -> Keep {
        self.keep
    }

    /// How long content is kept.
    #[must_use]
    pub const fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Who may read the log, and how often its activity is reviewed.
    #[must_use]
    pub const fn oversight(&self) -> &Oversight {
        &self.oversight
    }

    /// The title of a purpose of use; none if it is not one of the organisation's.
    #[must_use]
    pub fn purpose(&self, id: &str) -> Option<&Title> {
        self.purposes.get(id)
    }

    /// Every purpose of use and its title, in order of id.
    pub fn purposes(&self) -> impl Iterator<Item = (&Slug, &Title)> {
        self.purposes.iter()
    }

    /// The agreements and evidence.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The destination with this id.
    #[must_use]
    pub fn destination(&self, id: &str) -> Option<&Destination> {
        self.destinations.get(id).map(Arc::as_ref)
    }

    pub(crate) fn destination_arc(&self, id: &Slug) -> Option<Arc<Destination>> {
        self.destinations.get(id).map(Arc::clone)
    }

    /// Every destination, in order of id.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values().map(Arc::as_ref)
    }

    /// The route of the model name that callers use.
    #[must_use]
    pub fn route(&self, model: &str) -> Option<&Route> {
        self.routes.get(model)
    }

    /// Every route, in order of its model name.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// Every authority that stamps the log, in order of id.
    pub fn authorities(&self) -> impl Iterator<Item = &TimeAuthority> {
        self.authorities.values()
    }

    /// Every witness that cosigns the log, in order of id.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.witnesses.values()
    }

    /// Seconds between two anchors of the log, from 1 to 900.
    #[must_use]
    pub const fn anchor_seconds(&self) -> u32 {
        self.anchor_seconds
    }

    /// Every feed of the log, in order of id.
    pub fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.values()
    }

    /// The feed with this id.
    #[must_use]
    pub fn feed(&self, id: &str) -> Option<&Feed> {
        self.feeds.get(id)
    }

    /// Every copy of the log, in order of id.
    pub fn copies(&self) -> impl Iterator<Item = &LogCopy> {
        self.copies.values()
    }

    /// The copy with this id.
    #[must_use]
    pub fn copy(&self, id: &str) -> Option<&LogCopy> {
        self.copies.get(id)
    }

    /// How much may pass, and what it costs.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where traces of exchanges go; absent when nobody gets any.
    #[must_use]
    pub const fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// How the organisation keeps to the minimum necessary.
    #[must_use]
    pub const fn minimum(&self) -> &Minimum {
        &self.minimum
    }

    /// Which answers are kept to be given again; absent when none is.
    #[must_use]
    pub const fn cache(&self) -> Option<&Caching> {
        self.cache.as_ref()
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Checks the path to `destination` for the features of a request, at the moment `now`.
    ///
    /// # Errors
    /// The first hop that nothing covers.
    pub fn cover(
        &self,
        destination: &Destination,
        features: &Features<'_>,
        now: Time,
    ) -> Result<CoveredPath, Gap> {
        destination.path().cover(features, &self.registry, now)
    }

    /// What differs from the file before, object by object, in order; everything is new when there
    /// was none. The order of objects in the file does not matter.
    #[must_use]
    pub fn diff(old: Option<&Self>, new: &Self) -> Vec<Change> {
        let nothing = BTreeMap::new();
        let before = old.map_or(&nothing, |old| &old.objects);
        let names: BTreeSet<&String> = before.keys().chain(new.objects.keys()).collect();
        let change = |name: &String| match (before.get(name), new.objects.get(name)) {
            (None, Some(_)) => Some(ChangeKind::Added),
            (Some(_), None) => Some(ChangeKind::Removed),
            (Some(before), Some(after)) if before != after => Some(ChangeKind::Changed),
            _ => None,
        };
        names
            .into_iter()
            .filter_map(|name| Some(Change { object: name.clone(), change: change(name)? }))
            .collect()
    }
}

/// The objects of a file by kind and id.
fn objects(table: toml::Table) -> BTreeMap<String, toml::Value> {
    let mut objects = BTreeMap::new();
    for (kind, value) in table {
        if let toml::Value::Array(items) = value {
            for item in items {
                let id = item.get("id").or_else(|| item.get("model"));
                let id = id.and_then(toml::Value::as_str).unwrap_or_default();
                objects.insert(format!("{kind}/{id}"), item);
            }
        } else {
            objects.insert(kind, value);
        }
    }
    objects
}

/// Reads the objects of one kind, each with an id of its own.
fn each<R, K: Ord + FromStr + Display, T>(
    kind: &str,
    raws: &[R],
    raw_id: impl Fn(&R) -> &str,
    mut parse: impl FnMut(&R) -> Result<(K, T), Fault>,
) -> Result<BTreeMap<K, T>, RulesError> {
    let mut objects = BTreeMap::new();
    for (index, raw) in raws.iter().enumerate() {
        // An id that is not an id is not repeated.
        let name = || match raw_id(raw).parse::<K>() {
            Ok(id) => format!("{kind} \"{id}\""),
            Err(_) => format!("{kind} number {}", index + 1),
        };
        let (id, object) = parse(raw).map_err(|fault| RulesError::object(name(), fault))?;
        if objects.insert(id, object).is_some() {
            // Callers name a route by its model.
            let field = if kind == "route" { "model" } else { "id" };
            let fault = Fault::new(field, format!("another {kind} has the same; rename one"));
            return Err(RulesError::object(name(), fault));
        }
    }
    Ok(objects)
}

fn purposes(raws: &[RawPurpose]) -> Result<BTreeMap<Slug, Title>, RulesError> {
    each(
        "purpose",
        raws,
        |raw| &raw.id,
        |raw| Ok((word("id", &raw.id)?, word("title", &raw.title)?)),
    )
}

fn registry(raw: &RawRules) -> Result<Registry, RulesError> {
    let agreements = each(
        "agreement",
        &raw.agreement,
        |raw| &raw.id,
        |raw| {
            let agreement = Agreement::parse(raw)?;
            Ok((agreement.id().clone(), agreement))
        },
    )?;
    let evidence = each(
        "evidence",
        &raw.evidence,
        |raw| &raw.id,
        |raw| {
            let evidence = Evidence::parse(raw)?;
            if !agreements.contains_key(evidence.under()) {
                return Err(Fault::new("under", "there is no [[agreement]] with this id"));
            }
            // Warnings name an agreement or evidence by its id alone.
            if agreements.contains_key(evidence.id()) {
                return Err(Fault::new("id", "an agreement has the same id; rename one"));
            }
            Ok((evidence.id().clone(), evidence))
        },
    )?;
    for agreement in agreements.values() {
        opt_outs(agreement, &evidence).map_err(|fault| {
            RulesError::object(format!("agreement \"{}\"", agreement.id()), fault)
        })?;
    }
    let constraints = Constraints::parse(raw.constraints.as_ref())
        .map_err(|fault| RulesError::object("constraints", fault))?;
    Ok(Registry::new(agreements, evidence, constraints))
}

/// Whether the evidence for each opt-out of an agreement's scopes is about that agreement.
fn opt_outs(agreement: &Agreement, evidence: &BTreeMap<Slug, Evidence>) -> Result<(), Fault> {
    let fault = |problem| Fault::new("opt_out_evidence", problem);
    for scope in agreement.scopes() {
        let Training::OptOut(id) = scope.terms().training() else { continue };
        let Some(evidence) = evidence.get(id) else {
            return Err(fault("there is no [[evidence]] with this id"));
        };
        if evidence.under() != agreement.id() || evidence.entity() != agreement.counterparty() {
            return Err(fault("the evidence is not \"under\" this agreement, of its counterparty"));
        }
    }
    Ok(())
}

fn hops(raws: &[RawHop], registry: &Registry) -> Result<BTreeMap<Slug, Arc<Hop>>, RulesError> {
    each(
        "hop",
        raws,
        |raw| &raw.id,
        |raw| {
            let hop = Hop::parse(raw)?;
            match hop.cover() {
                CoveredBy::Agreement(id) if registry.agreement(id).is_none() => {
                    return Err(Fault::new("agreement", "there is no [[agreement]] with this id"));
                }
                CoveredBy::Evidence(id) if registry.evidence(id).is_none() => {
                    return Err(Fault::new("evidence", "there is no [[evidence]] with this id"));
                }
                CoveredBy::Agreement(_) | CoveredBy::Evidence(_) | CoveredBy::Nothing => {}
            }
            Ok((hop.id().clone(), Arc::new(hop)))
        },
    )
}

fn hosting(
    raw: Option<&RawHosting>,
    hops: &BTreeMap<Slug, Arc<Hop>>,
) -> Result<Option<Arc<Hop>>, RulesError> {
    let Some(raw) = raw else { return Ok(None) };
    match hops.get(raw.hop.as_str()) {
        Some(hop) if hop.role() == Role::Hosting => Ok(Some(Arc::clone(hop))),
        Some(_) => Err("the hop that hosts this server has role = \"hosting\""),
        None => Err("there is no [[hop]] with this id"),
    }
    .map_err(|problem| RulesError::object("hosting", Fault::new("hop", problem)))
}

/// Authorities and witnesses.
type Outsiders = (BTreeMap<Slug, TimeAuthority>, BTreeMap<Slug, Witness>);

fn outsiders(raw: &RawRules, hops: &BTreeMap<Slug, Arc<Hop>>) -> Result<Outsiders, RulesError> {
    let authorities = each(
        "authority",
        &raw.authority,
        |raw| &raw.id,
        |raw| Ok((word("id", &raw.id)?, TimeAuthority::parse(raw, hops)?)),
    )?;
    let witnesses = each(
        "witness",
        &raw.witness,
        |raw| &raw.id,
        |raw| Ok((word("id", &raw.id)?, Witness::parse(raw, hops)?)),
    )?;
    Ok((authorities, witnesses))
}

/// What destinations are put together from.
struct Assembly<'a> {
    organisation: Option<&'a Title>,
    hosting: Option<Arc<Hop>>,
    hops: BTreeMap<Slug, Arc<Hop>>,
}

impl Assembly<'_> {
    fn feeds(&self, raws: &[RawFeed]) -> Result<BTreeMap<Slug, Feed>, RulesError> {
        if raws.len() > MAX_FEEDS {
            let fault = Fault::new("feed", format!("at most {MAX_FEEDS} feeds"));
            return Err(RulesError::object("the file", fault));
        }
        each(
            "feed",
            raws,
            |raw| &raw.id,
            |raw| {
                let hop = self.hop(&raw.hop)?;
                let feed = Feed::parse(raw, hop, self.organisation.cloned(), self.hosting.clone())?;
                Ok((word("id", &raw.id)?, feed))
            },
        )
    }

    fn copies(&self, raws: &[RawCopy]) -> Result<BTreeMap<Slug, LogCopy>, RulesError> {
        if raws.len() > MAX_COPIES {
            let fault = Fault::new("copy", format!("at most {MAX_COPIES} copies"));
            return Err(RulesError::object("the file", fault));
        }
        each(
            "copy",
            raws,
            |raw| &raw.id,
            |raw| {
                let hop = self.hop(&raw.hop)?;
                let (organisation, hosting) = (self.organisation.cloned(), self.hosting.clone());
                Ok((word("id", &raw.id)?, LogCopy::parse(raw, hop, organisation, hosting)?))
            },
        )
    }

    fn traces(&self, raw: Option<&RawTraces>) -> Result<Option<Traces>, RulesError> {
        let Some(raw) = raw else { return Ok(None) };
        let (organisation, hosting) = (self.organisation.cloned(), self.hosting.clone());
        let read =
            self.hop(&raw.hop).and_then(|hop| Traces::parse(raw, hop, organisation, hosting));
        read.map(Some).map_err(|fault| RulesError::object("traces", fault))
    }

    fn hop(&self, id: &str) -> Result<Arc<Hop>, Fault> {
        let hop = self.hops.get(id).map(Arc::clone);
        hop.ok_or_else(|| Fault::new("hop", "there is no [[hop]] with this id"))
    }

    fn destinations(
        &self,
        raws: &[RawDestination],
    ) -> Result<BTreeMap<Slug, Arc<Destination>>, RulesError> {
        each(
            "destination",
            raws,
            |raw| &raw.id,
            |raw| {
                let id: Slug = word("id", &raw.id)?;
                let hops = self.hops_of(raw)?;
                let endpoint = Arc::new(destination::endpoint(&raw.url, &hops)?);
                let path = Path::new(
                    id.clone(),
                    endpoint,
                    self.organisation.cloned(),
                    self.hosting.clone(),
                    hops,
                );
                Ok((id, Arc::new(Destination::parse(raw, path)?)))
            },
        )
    }

    fn hops_of(&self, raw: &RawDestination) -> Result<Vec<Arc<Hop>>, Fault> {
        let ids: Vec<Slug> = name::words("hops", &raw.hops)?;
        let mut hops = Vec::with_capacity(ids.len());
        for id in &ids {
            let hop = self.hops.get(id).ok_or_else(|| {
                Fault::new("hops", format!("there is no [[hop]] with the id \"{id}\""))
            })?;
            if hop.role() == Role::Hosting {
                let problem = "hosting is part of every path already; name it in [hosting] only";
                return Err(Fault::new("hops", problem));
            }
            hops.push(Arc::clone(hop));
        }
        let (end, problem) = if raw.dialect == Dialect::Mcp {
            (Role::Tools, "a path to tools ends at them: name a hop with role = \"tools\"")
        } else {
            (Role::Inference, "a path ends at a model: name a hop with role = \"inference\"")
        };
        if !hops.iter().any(|hop| hop.role() == end) {
            return Err(Fault::new("hops", problem));
        }
        Ok(hops)
    }
}

fn routes(
    raws: &[RawRoute],
    destinations: &BTreeMap<Slug, Arc<Destination>>,
) -> Result<BTreeMap<Name, Route>, RulesError> {
    let routes = each(
        "route",
        raws,
        |raw| &raw.model,
        |raw| {
            let route = Route::parse(raw, destinations)?;
            Ok((route.model().clone(), route))
        },
    )?;
    route::check_reductions(&routes, destinations)
        .map_err(|(model, fault)| RulesError::object(format!("route \"{model}\""), fault))?;
    Ok(routes)
}

fn policy(
    raw: &RawRules,
    destinations: &BTreeMap<Slug, Arc<Destination>>,
    purposes: &BTreeMap<Slug, Title>,
) -> Result<Policy, RulesError> {
    let mut compiler = Compiler::new().map_err(|fault| RulesError::object("policy", fault))?;
    let rows = each(
        "policy",
        &raw.policy,
        |raw| &raw.id,
        |raw| {
            let row = Row::parse(raw)?;
            for id in row.destinations.listed() {
                if !destinations.contains_key(id) {
                    let problem = format!("there is no [[destination]] with the id \"{id}\"");
                    return Err(Fault::new("destinations", problem));
                }
            }
            for id in row.purposes.listed() {
                if !purposes.contains_key(id) {
                    let problem = format!("there is no [[purpose]] with the id \"{id}\"");
                    return Err(Fault::new("purposes", problem));
                }
            }
            compiler.row(&row)?;
            Ok((row.id, ()))
        },
    )?;
    each(
        "cedar",
        &raw.cedar,
        |raw| &raw.id,
        |raw| {
            let id: Slug = word("id", &raw.id)?;
            // Records name deciding rules by id, whoever wrote them.
            if rows.contains_key(&id) {
                return Err(Fault::new("id", "a [[policy]] has the same id; rename one"));
            }
            compiler.cedar(&id, &raw.policy)?;
            Ok((id, ()))
        },
    )?;
    compiler
        .finish(destinations.values().map(Arc::as_ref))
        .map_err(|fault| RulesError::object("the policies together", fault))
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    schema: i64,
    organisation: Option<String>,
    hosting: Option<RawHosting>,
    #[serde(default)]
    purpose: Vec<RawPurpose>,
    #[serde(default)]
    agreement: Vec<RawAgreement>,
    #[serde(default)]
    evidence: Vec<RawEvidence>,
    #[serde(default)]
    hop: Vec<RawHop>,
    #[serde(default)]
    destination: Vec<RawDestination>,
    #[serde(default)]
    route: Vec<RawRoute>,
    #[serde(default)]
    policy: Vec<RawRow>,
    #[serde(default)]
    cedar: Vec<RawCedar>,
    anchoring: Option<RawAnchoring>,
    content: Option<RawContent>,
    retention: Option<RawRetention>,
    log: Option<RawLog>,
    review: Option<RawReview>,
    #[serde(default)]
    authority: Vec<RawAuthority>,
    #[serde(default)]
    witness: Vec<RawWitness>,
    #[serde(default)]
    feed: Vec<RawFeed>,
    #[serde(default)]
    copy: Vec<RawCopy>,
    constraints: Option<RawConstraints>,
    currency: Option<String>,
    #[serde(default)]
    limit: Vec<RawLimit>,
    #[serde(default)]
    price: Vec<RawPrice>,
    traces: Option<RawTraces>,
    #[serde(default)]
    profile: Vec<RawProfile>,
    chart: Option<RawChart>,
    #[serde(default)]
    no_phi: Vec<RawFlow>,
    cache: Option<RawCache>,
}

impl RawRules {
    fn minimum(&self) -> RawMinimum<'_> {
        RawMinimum {
            profiles: &self.profile,
            exempt: self.purpose.iter().map(|raw| (&*raw.id, raw.exempt)).collect(),
            chart: self.chart.as_ref(),
            flows: &self.no_phi,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHosting {
    hop: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPurpose {
    id: String,
    title: String,
    exempt: Option<Exemption>,
}

#[cfg(test)]
pub(crate) mod tests;
