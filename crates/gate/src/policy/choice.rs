//! Which of a route's destinations a prompt goes to.
//!
//! The policy decides on the route's first destination, as if there were no other. Alternatives come
//! in only behind that decision: each is asked by the same policy and is given the stricter of both
//! treatments, class by class, so that none gets more than the first would have got. What was
//! re-routed has no alternative, because the policy chose where it goes.

use super::{Ask, BLOCKED, Decision, Denial, Subject, Treatment, names, owned};
use crate::exchange::{Exchange, Scanned};
use crate::outcome::{Code, Outcome, Refusal};
use crate::parcel::call;
use crate::path::Features;
use crate::rules::{Api, Destination, Route, Rules, Target};
use crate::terms::Capability;
use ledger::{About, Entropy, Time};
use phi::Class;
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
    /// The policy permits some, and none of them is in order.
    Unavailable(Unavailable),
    /// The policy sends it elsewhere than what it would leave with.
    Apart(Box<Decision>),
}

/// The policy permits some destinations, and none of them is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    rules: Vec<String>,
    categories: Vec<&'static str>,
    considered: BTreeMap<String, String>,
    capabilities: BTreeMap<String, String>,
}

impl Unavailable {
    fn new(
        first: &Decision,
        considered: BTreeMap<String, String>,
        capabilities: BTreeMap<String, String>,
    ) -> Self {
        let (rules, categories) = (first.rules.clone(), first.categories.clone());
        Self { rules, categories, considered, capabilities }
    }

    /// Each destination, and why it was passed over, in one word.
    #[must_use]
    pub const fn considered(&self) -> &BTreeMap<String, String> {
        &self.considered
    }
}

impl Unchosen {
    /// Writes it into what the records of an exchange say, and says how the exchange ends.
    pub(crate) fn note(&self, about: &mut About) -> Outcome {
        match self {
            Self::Denied(denial) => denial.note(about),
            Self::Unavailable(Unavailable { rules, categories, considered, capabilities }) => {
                about.decision = Some(BLOCKED.to_owned());
                about.rules.clone_from(rules);
                about.categories = owned(categories);
                about.considered.clone_from(considered);
                about.capabilities.clone_from(capabilities);
                Outcome::Refused(Refusal {
                    reason: Some("circuit_open"),
                    ..Refusal::fixed(
                        Code::DestinationUnavailable,
                        "No model server of this route is in order, so nothing was sent.",
                    )
                })
            }
            Self::Apart(decision) => {
                decision.note(about);
                about.decision = Some(BLOCKED.to_owned());
                Outcome::Refused(Refusal {
                    reason: Some("rerouted"),
                    ..Refusal::fixed(
                        Code::UnsupportedByDestination,
                        "The policy sends this elsewhere than the other lines of the batch. Ask it alone.",
                    )
                })
            }
        }
    }
}

/// Why a destination was passed over, in one word for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassedOver {
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
    pub(super) const fn as_str(self) -> &'static str {
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

/// What a choice depends on beside the rules.
pub(super) struct Question<'a> {
    pub(super) classes: &'a BTreeSet<Class>,
    /// With the categories that are present.
    pub(super) ask: &'a Ask<'a>,
    /// The interface of a destination that is called for the request; none where there are no words
    /// for it.
    pub(super) called: &'a dyn Fn(&Destination) -> Option<Called>,
    pub(super) in_order: &'a dyn Fn(&str) -> bool,
    pub(super) tried: &'a [String],
    pub(super) draw: Draw<'a>,
    pub(super) now: Time,
}

/// What is called for a request.
pub(super) struct Called {
    pub(super) api: Api,
    pub(super) capabilities: BTreeSet<Capability>,
}

impl Called {
    /// Notes what the request makes use of at this destination.
    fn note(&self, destination: &str, uses: &mut BTreeMap<String, String>) {
        if !self.capabilities.is_empty() {
            let words: Vec<_> = self.capabilities.iter().map(|it| it.as_str()).collect();
            uses.insert(destination.to_owned(), words.join(" "));
        }
    }

    pub(super) fn features<'a>(&'a self, decision: &'a Decision) -> Features<'a> {
        Features {
            api: self.api.as_str(),
            model: decision.model(),
            modality: "text",
            capabilities: &self.capabilities,
        }
    }
}

/// Among those that share the load, who is asked first.
#[derive(Clone, Copy)]
pub(super) enum Draw<'a> {
    /// Drawn now, by their weights.
    Random(&'a dyn Entropy),
    /// As it was drawn: who came first has the smallest number.
    Recorded(&'a dyn Fn(&str) -> u8),
}

impl Exchange<Scanned> {
    /// Decides where the text goes by its classes and its special categories, among the destinations
    /// of its route that may have it and are in order.
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
        let present = self.categories(rules, ask.route, categories);
        let ask = &Ask { categories: &present, ..*ask };
        let chosen = rules.choose(&Question {
            classes: &self.classes(),
            ask,
            called: &|destination| self.called(destination),
            in_order: availability.in_order,
            tried: availability.tried,
            draw: Draw::Random(availability.entropy),
            now,
        });
        chosen.map(|decision| self.remainder().lessen(&decision))
    }

    /// Decides on the route's first destination alone, for a line of a batch: all lines go to one place,
    /// and none has an alternative.
    ///
    /// # Errors
    /// [`Unchosen`], with which the exchange is ended by [`Exchange::turn_away`].
    pub fn decide(
        &self,
        rules: &Rules,
        ask: &Ask<'_>,
        categories: &Categories,
    ) -> Result<Decision, Unchosen> {
        let present = self.categories(rules, ask.route, categories);
        let ask = &Ask { categories: &present, ..*ask };
        let called = |destination: &Destination| self.called(destination);
        let chosen = rules.choose_alone(&self.classes(), ask, &called);
        chosen.map(|decision| self.remainder().lessen(&decision))
    }

    fn called(&self, destination: &Destination) -> Option<Called> {
        let call = call(self.about(), self.prompt(), destination).ok()?;
        Some(Called { api: call.api, capabilities: call.capabilities })
    }

    /// The special categories to which the text belongs, where something is decided by them.
    fn categories(
        &self,
        rules: &Rules,
        route: &Route,
        categories: &Categories,
    ) -> BTreeSet<Category> {
        if !rules.asks_categories(route) {
            return BTreeSet::new();
        }
        let found = categories.of(&crate::prompt::parts_of(self.prompt()));
        found.into_iter().map(|finding| finding.category).collect()
    }
}

impl Rules {
    /// Whether it matters to which special categories a text of the route belongs.
    fn asks_categories(&self, route: &Route) -> bool {
        let (primary, others) = route.targets();
        let leaves = |target: &Target| self.leaves(primary.destination(), target.destination());
        self.policy().asks_categories() || others.iter().any(leaves)
    }

    /// Decides where the text goes.
    pub(super) fn choose(&self, question: &Question<'_>) -> Result<Decision, Unchosen> {
        let &Question { classes, ask, in_order, tried, .. } = question;
        let mut first = self.decide(classes, ask).map_err(Unchosen::Denied)?;
        let mut uses = BTreeMap::new();
        // A route whose first destination is not covered is not used at all: alternatives are as
        // well covered as the first, so there is nothing to be as good as. The clearance says why.
        let fits = self.fits(&first, question, &mut uses);
        first.capabilities.clone_from(&uses);
        if fits.is_err() {
            return Ok(first);
        }
        if first.rerouted || ask.route.alternatives().is_empty() {
            return if in_order(first.destination.id()) {
                Ok(first)
            } else {
                let why = PassedOver::CircuitOpen.as_str().to_owned();
                let considered = [(first.destination.id().to_owned(), why)].into();
                Err(Unchosen::Unavailable(Unavailable::new(&first, considered, uses)))
            };
        }
        let mut considered = BTreeMap::new();
        let times = |id: &str| tried.iter().filter(|tried| *tried == id).count();
        let mut order = order(ask, question.draw);
        // Nothing is asked again while there is one that was not asked.
        order.sort_by_key(|candidate| times(candidate.id(ask)));
        let least = order.first().map_or(0, |candidate| times(candidate.id(ask)));
        for id in tried.iter().filter(|id| times(id) > least) {
            considered.insert(id.clone(), PassedOver::Failed.as_str().to_owned());
        }
        let subjects = Subject::of(classes);
        for candidate in order {
            let mut pass_over = |why: PassedOver| {
                let id = candidate.id(ask).to_owned();
                considered.entry(id).or_insert_with(|| why.as_str().to_owned());
            };
            let decision = match candidate {
                Candidate::First => Ok(first.clone()),
                Candidate::Alternative(target) => self.instead(&first, target, ask, &subjects),
            };
            let fitting = decision.and_then(|decision| {
                self.fits(&decision, question, &mut uses)?;
                Ok(decision)
            });
            match fitting {
                Err(why) => pass_over(why),
                Ok(decision) if !in_order(decision.destination.id()) => {
                    pass_over(PassedOver::CircuitOpen);
                }
                Ok(mut decision) => {
                    considered.remove(decision.destination.id());
                    decision.considered = considered;
                    decision.capabilities = uses;
                    return Ok(decision);
                }
            }
        }
        Err(Unchosen::Unavailable(Unavailable::new(&first, considered, uses)))
    }

    /// Decides on the route's first destination alone, for what leaves together with others: all of it
    /// goes to one place, and none of it has an alternative. Whether the path is covered is asked by the
    /// clearance, which says why not.
    pub(super) fn choose_alone(
        &self,
        classes: &BTreeSet<Class>,
        ask: &Ask<'_>,
        called: &dyn Fn(&Destination) -> Option<Called>,
    ) -> Result<Decision, Unchosen> {
        let mut decision = self.decide(classes, ask).map_err(Unchosen::Denied)?;
        if decision.rerouted {
            return Err(Unchosen::Apart(Box::new(decision)));
        }
        if let Some(called) = called(&decision.destination) {
            called.note(decision.destination.id(), &mut decision.capabilities);
        }
        Ok(decision)
    }

    /// Whether the destination has words for the request, and the path to it is covered now. The
    /// same is asked again when the exchange is cleared. Notes what the request makes use of there.
    fn fits(
        &self,
        decision: &Decision,
        question: &Question<'_>,
        uses: &mut BTreeMap<String, String>,
    ) -> Result<(), PassedOver> {
        let called = (question.called)(&decision.destination).ok_or(PassedOver::Unsupported)?;
        called.note(decision.destination.id(), uses);
        let covered = self.cover(&decision.destination, &called.features(decision), question.now);
        covered.map(drop).map_err(|_| PassedOver::NotCovered)
    }

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
            reduced: false,
            capabilities: BTreeMap::new(),
        })
    }
}

impl Decision {
    /// The same with these classes redacted, and with something taken away: never more faithful.
    pub(crate) fn lessened(&self, redacted: &BTreeSet<Class>, reduced: bool) -> Self {
        let mut decision = self.clone();
        for (subject, treatment) in &mut decision.treatments {
            if subject.class().is_some_and(|class| redacted.contains(&class)) {
                *treatment = Treatment::Redact;
            }
        }
        decision.reduced = reduced;
        decision
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

/// Those that share the load as they were drawn, then those that stand by.
fn order<'a>(ask: &Ask<'a>, draw: Draw<'_>) -> Vec<Candidate<'a>> {
    let mut sharing = vec![(Candidate::First, ask.route.weight())];
    let mut standing_by = Vec::new();
    for alternative in ask.route.alternatives() {
        let candidate = Candidate::Alternative(alternative.target());
        match alternative.weight() {
            Some(weight) => sharing.push((candidate, weight)),
            None => standing_by.push(candidate),
        }
    }
    let mut order = match draw {
        Draw::Random(entropy) => drawn(sharing, entropy),
        Draw::Recorded(place) => {
            sharing.sort_by_key(|(candidate, _)| place(candidate.id(ask)));
            sharing.into_iter().map(|(candidate, _)| candidate).collect()
        }
    };
    order.extend(standing_by);
    order
}

/// Draws one after the other, by their weights.
fn drawn<'a>(mut sharing: Vec<(Candidate<'a>, u32)>, entropy: &dyn Entropy) -> Vec<Candidate<'a>> {
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
