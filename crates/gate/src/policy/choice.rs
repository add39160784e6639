//! Which of a route's destinations a prompt goes to.
//!
//! The policy decides on the route's first destination, as if there were no other. Alternatives come
//! in only behind that decision: each is asked by the same policy and is given the stricter of both
//! treatments, class by class, so that none gets more than the first would have got. What was
//! re-routed has no alternative, because the policy chose where it goes.

use super::{Ask, Decision, Denial, Subject, Treatment, names};
use crate::exchange::{Exchange, Scanned};
use crate::path::Features;
use crate::rules::{Rules, Target};
use ledger::{Entropy, Time};
use phi::category::{Categories, Category};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of destinations beside the rules when one is chosen.
#[derive(Clone, Copy)]
pub struct Availability<'a> {
    /// Whether a destination is in order, by its id. It is asked last, about one that would be used.
    pub in_order: &'a dyn Fn(&str) -> bool,
    /// Where the request was sent before and not answered, once for each time.
    pub tried: &'a [String],
    /// Draws among those that share the load.
    pub entropy: &'a dyn Entropy,
}

impl std::fmt::Debug for Availability<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Availability")
    }
}

/// Why no destination was chosen.
#[derive(Debug)]
pub enum Unchosen {
    /// The policy permits none.
    Denied(Denial),
    /// The policy permits some, and none of them is in order: each, and why it was passed over.
    Unavailable(BTreeMap<String, String>),
}

/// Why a destination was passed over, in one word for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassedOver {
    /// The policy does not permit this text there.
    NotPermitted,
    /// A hop of the path to it is not covered now.
    NotCovered,
    /// Its dialect has no words for something that was asked.
    Unsupported,
    /// It failed too often just now.
    CircuitOpen,
    /// It did not answer this request.
    Failed,
}

impl PassedOver {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotPermitted => "not_permitted",
            Self::NotCovered => "not_covered",
            Self::Unsupported => "unsupported",
            Self::CircuitOpen => "circuit_open",
            Self::Failed => "failed",
        }
    }
}

/// A destination in the order in which they are tried.
enum Candidate<'a> {
    First,
    Alternative(&'a Target),
}

impl Exchange<Scanned> {
    /// Decides where the text goes by its classes and its special categories, among the destinations of its route that may have it and are in
    /// order.
    ///
    /// # Errors
    /// [`Unchosen`], with which the exchange is ended by [`Exchange::turn_away`].
    pub fn choose(
        &self,
        rules: &Rules,
        ask: &Ask<'_>,
        categories: &Categories,
        availability: &Availability<'_>,
        now: Time,
    ) -> Result<Decision, Unchosen> {
        let present = self.categories(rules, categories);
        let ask = &Ask { categories: &present, ..*ask };
        let first = rules.decide(&self.classes(), ask).map_err(Unchosen::Denied)?;
        let alone = first.rerouted || ask.route.alternatives().is_empty();
        // A route whose first destination is not covered is not used at all: alternatives are as
        // well covered as the first, so there is nothing to be as good as.
        if alone || self.fits(&first, rules, now).is_err() {
            return if (availability.in_order)(first.destination.id()) {
                Ok(first)
            } else {
                let why = PassedOver::CircuitOpen.as_str().to_owned();
                Err(Unchosen::Unavailable([(first.destination.id().to_owned(), why)].into()))
            };
        }
        let mut considered = BTreeMap::new();
        let tried = |id: &str| availability.tried.iter().filter(|tried| *tried == id).count();
        let mut order = order(ask, availability.entropy);
        // Nothing is asked again while there is one that was not asked.
        order.sort_by_key(|candidate| tried(candidate.id(ask)));
        let least = order.first().map_or(0, |candidate| tried(candidate.id(ask)));
        for id in availability.tried.iter().filter(|id| tried(id) > least) {
            considered.insert(id.clone(), PassedOver::Failed.as_str().to_owned());
        }
        for candidate in order {
            let mut pass_over = |why: PassedOver| {
                let id = candidate.id(ask).to_owned();
                considered.entry(id).or_insert_with(|| why.as_str().to_owned());
            };
            let decision = match candidate {
                Candidate::First => Ok(first.clone()),
                Candidate::Alternative(target) => {
                    rules.instead(&first, target, ask, &self.subjects())
                }
            };
            let fitting = decision.and_then(|decision| {
                self.fits(&decision, rules, now)?;
                Ok(decision)
            });
            match fitting {
                Err(why) => pass_over(why),
                Ok(decision) if !(availability.in_order)(decision.destination.id()) => {
                    pass_over(PassedOver::CircuitOpen);
                }
                Ok(mut decision) => {
                    considered.remove(decision.destination.id());
                    decision.considered = considered;
                    return Ok(decision);
                }
            }
        }
        Err(Unchosen::Unavailable(considered))
    }

    /// The special categories to which the text belongs, when the policy speaks of any.
    fn categories(&self, rules: &Rules, categories: &Categories) -> BTreeSet<Category> {
        if !rules.policy().asks_categories() {
            return BTreeSet::new();
        }
        let found = categories.of(&crate::prompt::parts_of(self.prompt()));
        found.into_iter().map(|finding| finding.category).collect()
    }

    fn subjects(&self) -> BTreeSet<Subject> {
        Subject::of(&self.classes())
    }

    /// Whether the destination has words for the request, and the path to it is covered now. The
    /// same is asked again when the exchange is cleared.
    fn fits(&self, decision: &Decision, rules: &Rules, now: Time) -> Result<(), PassedOver> {
        let prompt = self.prompt();
        let call = prompt.draft.write(&decision.destination, &prompt.parts);
        let call = call.map_err(|_| PassedOver::Unsupported)?;
        let features = Features {
            api: call.api.as_str(),
            model: decision.model(),
            modality: "text",
            capabilities: &call.capabilities,
        };
        let covered = rules.cover(&decision.destination, &features, now);
        covered.map(drop).map_err(|_| PassedOver::NotCovered)
    }
}

impl Rules {
    /// The decision for an alternative of what was decided: the policy's own for that destination,
    /// with the stricter of both treatments for every class.
    fn instead(
        &self,
        first: &Decision,
        target: &Target,
        ask: &Ask<'_>,
        subjects: &BTreeSet<Subject>,
    ) -> Result<Decision, PassedOver> {
        // Fail closed: a policy that fails permits nothing.
        let judged = self.judge(subjects, ask, target, None);
        let judged = judged.map_err(|_| PassedOver::NotPermitted)?;
        if !judged.refused.is_empty() {
            return Err(PassedOver::NotPermitted);
        }
        let destination = self.destination_arc(target.destination());
        let treatments = judged.permitted.iter().map(|(subject, there)| {
            // A subject that the first decision does not speak of is redacted.
            let here = first.treatments.get(subject).copied().unwrap_or(Treatment::Redact);
            (*subject, here.max(*there))
        });
        let mut rules = names(&judged.permitting);
        rules.extend(first.rules.iter().cloned());
        rules.sort_unstable();
        rules.dedup();
        Ok(Decision {
            destination: destination.ok_or(PassedOver::NotPermitted)?,
            target: target.clone(),
            treatments: treatments.collect(),
            rerouted: false,
            rules,
            categories: first.categories.clone(),
            considered: BTreeMap::new(),
        })
    }
}

impl Candidate<'_> {
    fn id<'b>(&'b self, ask: &'b Ask<'_>) -> &'b str {
        match self {
            Self::First => ask.route.targets().0.destination().as_str(),
            Self::Alternative(target) => target.destination().as_str(),
        }
    }
}

/// Those that share the load in an order that is drawn by their weights, then those that stand by.
fn order<'a>(ask: &Ask<'a>, entropy: &dyn Entropy) -> Vec<Candidate<'a>> {
    let mut sharing = vec![(Candidate::First, ask.route.weight())];
    let mut standing_by = Vec::new();
    for alternative in ask.route.alternatives() {
        let candidate = Candidate::Alternative(alternative.target());
        match alternative.weight() {
            Some(weight) => sharing.push((candidate, weight)),
            None => standing_by.push(candidate),
        }
    }
    let mut order = Vec::new();
    while !sharing.is_empty() {
        let total: u32 = sharing.iter().map(|(_, weight)| weight).sum();
        let mut drawn = below(total, entropy);
        let place = sharing.iter().position(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        order.push(sharing.remove(place.unwrap_or_default()).0);
    }
    order.extend(standing_by);
    order
}

/// A number below `bound`, or 0. The bias is below `bound / 2^32`.
fn below(bound: u32, entropy: &dyn Entropy) -> u32 {
    if bound <= 1 {
        return 0;
    }
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    let wide = u64::from(u32::from_le_bytes(bytes)) * u64::from(bound);
    u32::try_from(wide >> 32).unwrap_or_default()
}
