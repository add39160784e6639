//! Deciding again, on what the records of an exchange say.
//!
//! Nothing of the text is needed: the records hold every fact that decides, and name the file by its
//! hash. What was drawn by weights and which servers were in order at that moment are facts, taken from
//! the record; everything else is worked out anew, by the code that decided.

use super::choice::{Called, Draw, PassedOver, Question};
use super::{Ask, Asker, BLOCKED, REROUTE, Subject, Treatment};
use crate::necessity::{NO_PHI, Remainder};
use crate::outcome::Code;
use crate::rules::{Api, Destination, Route, Rules, Slug, Target};
use crate::terms::Capability;
use ledger::{About, Time};
use phi::Class;
use phi::category::Category;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the records of an exchange say, as far as its decision depends on it or follows from it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// What they say of the exchange.
    pub about: &'a About,
    /// The code with which it was refused; absent when it was not.
    pub code: Option<&'a str>,
    /// Why, more exactly than the code says.
    pub reason: Option<&'a str>,
    /// When it was decided.
    pub time: Time,
    /// Where the request was sent before and not answered, once for each time.
    pub tried: &'a [String],
}

/// A decision that was made again.
#[derive(Debug)]
pub struct Replay {
    /// Where it is not what was recorded; empty when it is the same.
    pub differences: Vec<Difference>,
    /// What the policy says of each class, at the route's first destination and at the one decided on.
    pub rulings: Vec<Ruled>,
    /// What is not covered, in a sentence; absent when the path was covered or none was decided on.
    pub gap: Option<String>,
}

/// Where two decisions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field of the record.
    pub field: &'static str,
    /// What is recorded, in JSON.
    pub recorded: String,
    /// What was decided again, in JSON.
    pub replayed: String,
}

/// What the policy says of one class at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The class, or `NONE`.
    pub class: &'static str,
    /// The destination.
    pub destination: String,
    /// From where it would be re-routed there; absent when it is asked whether it may be disclosed.
    pub from: Option<String>,
    /// The most faithful treatment that is permitted; absent when none is.
    pub treatment: Option<Treatment>,
    /// The rules that decided it.
    pub rules: Vec<String>,
}

/// A decision cannot be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreplayable {
    /// There was none.
    #[error("the exchange ended before the policy was asked")]
    Undecided,
    /// The record has a word that this program does not know: it is of another version.
    #[error("the record names a {0} that this program does not know")]
    Unknown(&'static str),
}

impl Rules {
    /// Decides again. `called` says which interface of a destination is called for a request in
    /// another, where it has words for it.
    ///
    /// # Errors
    /// [`Unreplayable`].
    pub fn replay(
        &self,
        recorded: &Recorded<'_>,
        called: &dyn Fn(Api, &Destination) -> Option<Api>,
    ) -> Result<Replay, Unreplayable> {
        let about = recorded.about;
        if about.decision.is_none() || refused_before(recorded) {
            return Err(Unreplayable::Undecided);
        }
        let classes = known::<Class>(about.findings.keys(), "class")?;
        let categories = known::<Category>(about.categories.iter(), "category")?;
        let api = Api::named(&about.api).ok_or(Unreplayable::Unknown("interface"))?;
        let Some(route) = about.route.as_deref().and_then(|route| self.route(route)) else {
            // Without a route nothing is decided.
            return Ok(Replay {
                differences: vec![difference("route", &about.route, &None::<String>)],
                rulings: Vec::new(),
                gap: None,
            });
        };
        let ask = Ask {
            caller: &about.actor.id,
            owner: &about.actor.name,
            purpose: about.purpose.as_deref(),
            surface: &about.surface,
            categories: &categories,
            route,
        };
        let remainder = Remainder::recorded(about, self.minimum(), &classes);
        let facts = Facts { recorded, api, called, remainder, uses: uses(about)? };
        let (again, refused, gap) = self.decide_again(&facts, &ask);
        let rulings = self.rulings_of(&again, facts.remainder.left(), &ask);
        Ok(Replay { differences: differences(recorded, &again, refused), rulings, gap })
    }

    /// What the records would say, with which code and reason, and what is not covered.
    fn decide_again(
        &self,
        facts: &Facts<'_>,
        ask: &Ask<'_>,
    ) -> (About, Option<Refused>, Option<String>) {
        let question = Question {
            classes: facts.remainder.left(),
            ask,
            called: &|destination| facts.called(destination),
            in_order: &|id| facts.goes_to(id),
            tried: facts.recorded.tried,
            draw: Draw::Recorded(&|id| facts.place(id)),
            now: facts.recorded.time,
        };
        let mut again = undecided(facts.recorded.about);
        facts.remainder.note(&mut again);
        // Like an exchange of its own, but that all lines of a batch go to one place.
        let chosen = match facts.recorded.about.batch {
            Some(_) => self.choose_alone(question.classes, ask, question.called),
            None => self.choose(&question),
        };
        let decision = match chosen {
            Ok(decision) => decision,
            Err(unchosen) => {
                let outcome = unchosen.note(&mut again);
                let refused = outcome.code().map(|code| (code, outcome.reason()));
                return (again, refused, None);
            }
        };
        let decision = facts.remainder.lessen(&decision);
        decision.note(&mut again);
        let Some(called) = facts.called(decision.destination()) else {
            again.decision = Some(BLOCKED.to_owned());
            return (again, Some((Code::UnsupportedByDestination, None)), None);
        };
        let features = called.features(&decision);
        let (destination, about) = (decision.destination(), facts.recorded.about);
        match self.cover_for(about, destination, &features, facts.recorded.time) {
            Ok(path) => {
                again.path = path.covers().to_vec();
                (again, None, None)
            }
            Err(gap) => {
                again.decision = Some(BLOCKED.to_owned());
                (again, Some((gap.code(), Some(gap.reason()))), Some(gap.to_string()))
            }
        }
    }

    /// What the policy says of each class, where it was asked.
    fn rulings_of(&self, about: &About, classes: &BTreeSet<Class>, ask: &Ask<'_>) -> Vec<Ruled> {
        let subjects = Subject::of(classes);
        let (primary, _) = ask.route.targets();
        let mut ruled = self.ruled(&subjects, ask, primary, None);
        let used = about.destination.as_deref();
        let used = ask.route.every_target().find(|it| Some(it.destination().as_str()) == used);
        let Some(used) = used.filter(|used| used.destination() != primary.destination()) else {
            return ruled;
        };
        let refused = ruled.iter().filter(|it| it.treatment.is_none()).map(|it| it.class);
        let refused: BTreeSet<&str> = refused.collect();
        if !refused.is_empty() {
            let refused = |subject: &Subject| refused.contains(subject.label());
            let subjects = subjects.iter().copied().filter(refused).collect();
            ruled.extend(self.ruled(&subjects, ask, used, Some(primary.destination())));
        }
        ruled.extend(self.ruled(&subjects, ask, used, None));
        ruled
    }

    fn ruled(
        &self,
        subjects: &BTreeSet<Subject>,
        ask: &Ask<'_>,
        target: &Target,
        from: Option<&Slug>,
    ) -> Vec<Ruled> {
        let asker = Asker::new(ask, target, from);
        let rulings = self.policy().rulings(&asker, subjects);
        let rulings = rulings.into_iter().map(|(subject, ruling)| {
            // A policy that failed permits nothing, and is what decided.
            let rules = if ruling.errors.is_empty() { &ruling.rules } else { &ruling.errors };
            Ruled {
                class: subject.label(),
                destination: target.destination().to_string(),
                from: from.map(ToString::to_string),
                treatment: ruling.permitted,
                rules: rules.iter().map(|rule| String::from(&**rule)).collect(),
            }
        });
        rulings.collect()
    }
}

impl Ruled {
    /// What was asked, in Cedar's word.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match (&self.from, self.treatment) {
            (Some(_), _) => REROUTE,
            (None, Some(treatment)) => treatment.action(),
            (None, None) => "none",
        }
    }
}

/// A code and a reason.
type Refused = (Code, Option<&'static str>);

/// What is taken from the record and not decided again.
struct Facts<'a> {
    recorded: &'a Recorded<'a>,
    api: Api,
    called: &'a dyn Fn(Api, &Destination) -> Option<Api>,
    remainder: Remainder,
    /// What the request makes use of, by destination.
    uses: BTreeMap<&'a str, BTreeSet<Capability>>,
}

impl Facts<'_> {
    /// Which interface is called. Whether there are words for what was asked is known by whoever saw
    /// the request.
    fn called(&self, destination: &Destination) -> Option<Called> {
        let id = destination.id();
        let why = self.recorded.about.considered.get(id);
        let passed_over = why.is_some_and(|why| why == PassedOver::Unsupported.as_str());
        let unsupported = Code::UnsupportedByDestination.as_str();
        let refused = self.goes_to(id) && self.recorded.code == Some(unsupported);
        if passed_over || refused {
            return None;
        }
        let api = (self.called)(self.api, destination)?;
        let capabilities = self.uses.get(destination.id()).cloned().unwrap_or_default();
        Some(Called { api, capabilities })
    }

    /// Whoever was decided on was in order; whoever came before was not, or could not have it.
    fn goes_to(&self, id: &str) -> bool {
        self.recorded.about.destination.as_deref() == Some(id)
    }

    /// Who was passed over came first in the draw, then who was decided on.
    fn place(&self, id: &str) -> u8 {
        if self.recorded.about.considered.contains_key(id) {
            0
        } else if self.goes_to(id) {
            1
        } else {
            2
        }
    }
}

/// Whether the text was refused before the policy was asked.
fn refused_before(recorded: &Recorded<'_>) -> bool {
    let codes = [Code::MinimumNecessary, Code::EntireRecord];
    recorded.reason == Some(NO_PHI)
        || recorded.code.is_some_and(|code| codes.iter().any(|it| it.as_str() == code))
}

/// The same exchange before anything was decided.
fn undecided(about: &About) -> About {
    About {
        decision: None,
        treatments: [].into(),
        categories: Vec::new(),
        rules: Vec::new(),
        destination: None,
        path: Vec::new(),
        considered: [].into(),
        capabilities: [].into(),
        ..about.clone()
    }
}

fn known<'a, T: std::str::FromStr + Ord>(
    labels: impl Iterator<Item = &'a String>,
    what: &'static str,
) -> Result<BTreeSet<T>, Unreplayable> {
    labels.map(|label| label.parse().map_err(|_| Unreplayable::Unknown(what))).collect()
}

fn uses(about: &About) -> Result<BTreeMap<&str, BTreeSet<Capability>>, Unreplayable> {
    let named = |word: &str| Capability::ALL.iter().copied().find(|it| it.as_str() == word);
    let uses = about.capabilities.iter().map(|(destination, words)| {
        let words = words.split(' ').map(named).collect::<Option<_>>();
        Ok((destination.as_str(), words.ok_or(Unreplayable::Unknown("capability"))?))
    });
    uses.collect()
}

fn differences(
    recorded: &Recorded<'_>,
    again: &About,
    refused: Option<Refused>,
) -> Vec<Difference> {
    let about = recorded.about;
    let mut found = vec![
        difference("decision", &about.decision, &again.decision),
        difference("destination", &about.destination, &again.destination),
        difference("treatments", &about.treatments, &again.treatments),
        difference("categories", &about.categories, &again.categories),
        difference("rules", &about.rules, &again.rules),
        difference("considered", &about.considered, &again.considered),
        difference("capabilities", &about.capabilities, &again.capabilities),
        difference("path", &about.path, &again.path),
    ];
    // What became of a prompt that was let pass is no decision.
    if about.decision.as_deref() == Some(BLOCKED) {
        let (code, reason) = refused.map_or((None, None), |(code, why)| (Some(code.as_str()), why));
        found.push(difference("code", &recorded.code, &code));
        found.push(difference("reason", &recorded.reason, &reason));
    }
    found.retain(|it| it.recorded != it.replayed);
    found
}

fn difference<T: Serialize>(field: &'static str, recorded: &T, replayed: &T) -> Difference {
    // Texts, lists and maps of texts can always be written.
    let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
    Difference { field, recorded: text(recorded), replayed: text(replayed) }
}

/// How a destination was part of a route, for whoever reads a decision.
#[must_use]
pub fn standing(route: &Route, destination: &str) -> &'static str {
    let (primary, others) = route.targets();
    let is = |target: &Target| target.destination().as_str() == destination;
    let mut alternatives = route.alternatives().iter();
    match alternatives.find(|it| is(it.target())) {
        _ if is(primary) => "first",
        Some(alternative) if alternative.weight().is_some() => "shares the load",
        Some(_) => "stands by",
        None if others.iter().any(is) => "for re-routing",
        None => "not of the route",
    }
}
