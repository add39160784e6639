//! The routes that callers name: where each leads, and what else may answer when that does not.

use super::destination::Destination;
use super::name::{Fault, Name, Slug, Title, optional, word};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Alternatives of one route. Each is asked about for a prompt that the ones before it cannot take.
const MAX_ALTERNATIVES: usize = 8;

/// The largest weight: a hundredth of the load is the least that anybody can see.
const MAX_WEIGHT: u32 = 100;

/// Times that one request may leave. Each costs what a request costs, and a caller waits for all.
const MAX_ATTEMPTS: u32 = 5;

/// The most retries for a hundred requests: more would double the load of a server that is failing.
const MAX_BUDGET_PERCENT: u32 = 100;

/// Retries for a hundred requests when the file does not say: what is lost in passing is made good,
/// and a server that is down gets a tenth more, not a multiple.
const DEFAULT_BUDGET_PERCENT: u32 = 10;

/// One place where a route can lead: a destination, and what the model is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    destination: Slug,
    model: Name,
}

impl Target {
    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &Slug {
        &self.destination
    }

    /// The model, as the destination calls it.
    #[must_use]
    pub const fn model(&self) -> &Name {
        &self.model
    }

    fn parse(field: &'static str, raw: &RawTarget) -> Result<Self, Fault> {
        Ok(Self { destination: word(field, &raw.destination)?, model: word(field, &raw.model)? })
    }
}

/// A target that may answer in the place of the route's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    target: Target,
    weight: Option<u32>,
}

impl Alternative {
    /// Where it leads.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Its share of the load, beside those of the others; absent when it stands by.
    #[must_use]
    pub const fn weight(&self) -> Option<u32> {
        self.weight
    }
}

/// How often a request may leave when no answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    budget_percent: u32,
}

impl Retry {
    /// Not again.
    const ONCE: Self = Self { attempts: 1, budget_percent: 0 };

    /// Times that one request may leave, the first counted.
    #[must_use]
    pub const fn attempts(self) -> u32 {
        self.attempts
    }

    /// Retries that a hundred requests of the route allow.
    #[must_use]
    pub const fn budget_percent(self) -> u32 {
        self.budget_percent
    }

    fn parse(raw: Option<&RawRetry>) -> Result<Self, Fault> {
        let Some(raw) = raw else { return Ok(Self::ONCE) };
        let budget_percent = raw.budget_percent.unwrap_or(DEFAULT_BUDGET_PERCENT);
        if !(2..=MAX_ATTEMPTS).contains(&raw.attempts) {
            return Err(Fault::new("retry", format!("attempts from 2 to {MAX_ATTEMPTS}")));
        }
        if !(1..=MAX_BUDGET_PERCENT).contains(&budget_percent) {
            let problem = format!("budget_percent from 1 to {MAX_BUDGET_PERCENT}");
            return Err(Fault::new("retry", problem));
        }
        Ok(Self { attempts: raw.attempts, budget_percent })
    }
}

/// The model name that callers use, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    model: Name,
    title: Option<Title>,
    primary: Target,
    weight: u32,
    others: Vec<Target>,
    alternatives: Vec<Alternative>,
    retry: Retry,
    reduce: Option<Name>,
}

impl Route {
    /// The model name that callers use.
    #[must_use]
    pub const fn model(&self) -> &Name {
        &self.model
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(&self) -> Option<&Title> {
        self.title.as_ref()
    }

    /// Where it leads, and where it may be re-routed to, in order.
    #[must_use]
    pub fn targets(&self) -> (&Target, &[Target]) {
        (&self.primary, &self.others)
    }

    /// The share of the load that the first target has, beside those of the alternatives.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// What may answer in the place of the first target, in order.
    #[must_use]
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// Every target: the first, those of re-routes, the alternatives.
    pub fn every_target(&self) -> impl Iterator<Item = &Target> {
        let alternatives = self.alternatives.iter().map(Alternative::target);
        std::iter::once(&self.primary).chain(&self.others).chain(alternatives)
    }

    /// How often a request may leave when no answer comes.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// The route whose model reduces what is asked of this one before it goes on.
    #[must_use]
    pub const fn reduce(&self) -> Option<&Name> {
        self.reduce.as_ref()
    }

    /// To a tool, or to the server of tools itself.
    pub(super) const fn to_tools(model: Name, destination: Slug, target: Name) -> Self {
        Self {
            model,
            title: None,
            primary: Target { destination, model: target },
            weight: 1,
            others: Vec::new(),
            alternatives: Vec::new(),
            // A tool may have done what it was called for though no answer came.
            retry: Retry::ONCE,
            reduce: None,
        }
    }

    pub(super) fn parse(
        raw: &RawRoute,
        destinations: &BTreeMap<Slug, Arc<Destination>>,
    ) -> Result<Self, Fault> {
        let Some((primary, others)) = raw.to.split_first() else {
            return Err(Fault::new("to", "leads nowhere; name a destination and a model"));
        };
        if others.iter().any(|target| target.weight.is_some()) {
            let problem = "only the first has a weight; the others are for re-routing. Write what shares the load into \"alternatives\"";
            return Err(Fault::new("to", problem));
        }
        if raw.alternatives.len() > MAX_ALTERNATIVES {
            return Err(Fault::new("alternatives", format!("at most {MAX_ALTERNATIVES}")));
        }
        let alternatives = raw.alternatives.iter().map(|raw| {
            let weight = raw.weight.map(|weight| in_bounds("alternatives", weight)).transpose()?;
            Ok(Alternative { target: Target::parse("alternatives", raw)?, weight })
        });
        let route = Self {
            model: word("model", &raw.model)?,
            title: optional("title", raw.title.as_ref())?,
            primary: Target::parse("to", primary)?,
            weight: in_bounds("to", primary.weight.unwrap_or(1))?,
            others: others.iter().map(|raw| Target::parse("to", raw)).collect::<Result<_, _>>()?,
            alternatives: alternatives.collect::<Result<_, Fault>>()?,
            retry: Retry::parse(raw.retry.as_ref())?,
            reduce: optional("reduce", raw.reduce.as_ref())?,
        };
        route.check(destinations)?;
        Ok(route)
    }

    /// Every target is there, and no alternative leads further out than the first.
    fn check(&self, destinations: &BTreeMap<Slug, Arc<Destination>>) -> Result<(), Fault> {
        let known = |field, target: &Target| {
            let id = target.destination();
            let destination = destinations.get(id).ok_or_else(|| {
                Fault::new(field, format!("there is no [[destination]] with the id \"{id}\""))
            })?;
            if destination.tools().is_some() {
                let problem = format!(
                    "destination \"{id}\" is a server of tools, which is called at /mcp/{id} and needs no route"
                );
                return Err(Fault::new(field, problem));
            }
            if !destination.models().contains(target.model()) {
                let problem = format!(
                    "destination \"{id}\" does not allow this model; add it to its \"models\""
                );
                return Err(Fault::new(field, problem));
            }
            Ok(destination)
        };
        let primary = known("to", &self.primary)?;
        for target in &self.others {
            known("to", target)?;
        }
        let mut seen = BTreeSet::from([self.primary.destination()]);
        for alternative in &self.alternatives {
            let destination = known("alternatives", &alternative.target)?;
            // A server that is down is known by its destination, so that a second model there is no
            // alternative.
            if !seen.insert(alternative.target.destination()) {
                let problem = "each leads to another destination than the first and the others";
                return Err(Fault::new("alternatives", problem));
            }
            // What is meant to stay inside does not leave because a machine is down.
            if primary.is_inside() && !destination.is_inside() {
                let problem = format!(
                    "the route leads to \"{}\" inside the boundary, and \"{}\" lies outside: a route that stays inside never falls over to one that does not",
                    primary.id(),
                    destination.id()
                );
                return Err(Fault::new("alternatives", problem));
            }
        }
        Ok(())
    }
}

/// What reduces a route's prompts is a route that never leads outside, and reduces by itself.
///
/// # Errors
/// The first route whose `reduce` is not one, and what is wrong with it.
pub(super) fn check_reductions(
    routes: &BTreeMap<Name, Route>,
    destinations: &BTreeMap<Slug, Arc<Destination>>,
) -> Result<(), (Name, Fault)> {
    for route in routes.values() {
        let Some(by) = &route.reduce else { continue };
        let fault = |problem: &str| Err((route.model.clone(), Fault::new("reduce", problem)));
        let Some(reducer) = routes.get(by) else {
            return fault("there is no [[route]] with this model");
        };
        if reducer.reduce.is_some() {
            return fault("the route that reduces is reduced itself; name one that is not");
        }
        for target in reducer.every_target() {
            let destination = destinations.get(target.destination());
            if destination.is_none_or(|destination| !destination.is_inside()) {
                return fault(
                    "the route that reduces gets everything, so it stays inside; this one leads outside",
                );
            }
        }
    }
    Ok(())
}

fn in_bounds(field: &'static str, weight: u32) -> Result<u32, Fault> {
    if (1..=MAX_WEIGHT).contains(&weight) {
        Ok(weight)
    } else {
        Err(Fault::new(field, format!("weight from 1 to {MAX_WEIGHT}")))
    }
}

/// A route as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub(super) model: String,
    title: Option<String>,
    to: Vec<RawTarget>,
    #[serde(default)]
    alternatives: Vec<RawTarget>,
    retry: Option<RawRetry>,
    reduce: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    destination: String,
    model: String,
    weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetry {
    attempts: u32,
    budget_percent: Option<u32>,
}
