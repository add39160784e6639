//! The policy: which treatment of which class may go to which destination for which purpose.
//!
//! Cedar is the one decision language. An officer's matrix compiles to Cedar, engineers may write
//! Cedar beside it, and one engine decides over both. What nothing permits is denied, so minimum
//! necessary (45 CFR 164.502(b)) is what happens when nobody writes a rule.

mod choice;
mod replay;

pub use choice::{Availability, Unavailable, Unchosen};
pub use replay::{Difference, Recorded, Replay, Ruled, Unreplayable, standing};

use crate::outcome::{Code, Control, Outcome, Refusal};
use crate::rules::name::{Fault, Slug, Title, word, words};
use crate::rules::{Destination, Route, Rules, Target};
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as Verdict, Entities, Entity, EntityId,
    EntityTypeName, EntityUid, Policy as CedarPolicy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use ledger::About;
use phi::Class;
use phi::category::Category;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

/// What policies may speak of. Printed in docs/configuration.md for those who write Cedar.
pub const SCHEMA: &str = r#"// Who asks: the id of an API key or account; `owner` answers for its use.
entity Caller = { owner: String };
// Where text may go; `inside` when every hop lies inside the organisation's boundary.
entity Destination = { inside: Bool };
// `categories` are the labels of the special categories to which the whole text belongs.
// `class` is the label of a class of identifiers, or "NONE" for text in which nothing was found.
// `purpose` is "" when the caller named none. `surface` is "api", "assistant" or "studio".
action disclose, disclose_tokenized, disclose_redacted appliesTo {
  principal: Caller,
  resource: Destination,
  context: { class: String, categories: Set<String>, purpose: String, surface: String },
};
// May text that `from` refuses because of `class` go to this destination instead?
action reroute appliesTo {
  principal: Caller,
  resource: Destination,
  context: {
    class: String,
    categories: Set<String>,
    purpose: String,
    surface: String,
    from: String,
  },
};
"#;

/// The label of "no identifier was found" in policies. Finding nothing is not de-identification
/// (45 CFR 164.514(b)), so such text needs a permission like any other.
const NOTHING_LABEL: &str = "NONE";

/// Askers whose rulings are kept: some 2 KB each with every class, so 2 MB at most. One asker is
/// one caller at one destination for one purpose; a thousand covers a hospital's programs. When
/// it is full it is emptied, and the rulings are asked again.
const CACHED_ASKERS: usize = 1024;

/// Rows and Cedar policies in one file. Cedar looks at each one, in about 0.6 us, so that the
/// first question of an asker, 21 classes times 3 treatments, stays below 40 ms.
pub(crate) const MAX_POLICIES: usize = 1000;

/// What happens to the identifiers of one class before the text leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Treatment {
    /// They leave as they are.
    Disclose,
    /// Each leaves as a surrogate that stands for it in this conversation only.
    Tokenize,
    /// Each leaves as a placeholder that cannot be turned back.
    Redact,
}

impl Treatment {
    /// The treatment as the record says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disclose => "disclosed",
            Self::Tokenize => "tokenized",
            Self::Redact => "redacted",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Disclose => DISCLOSE,
            Self::Tokenize => DISCLOSE_TOKENIZED,
            Self::Redact => DISCLOSE_REDACTED,
        }
    }
}

/// The treatments in order of fidelity: the first that is permitted is the one.
const BY_FIDELITY: [Treatment; 3] = [Treatment::Disclose, Treatment::Tokenize, Treatment::Redact];

/// The decision that nothing leaves.
pub(crate) const BLOCKED: &str = "blocked";

const DISCLOSE: &str = "disclose";
const DISCLOSE_TOKENIZED: &str = "disclose_tokenized";
const DISCLOSE_REDACTED: &str = "disclose_redacted";
const REROUTE: &str = "reroute";

/// What a question is about: a class that was found, or that nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Nothing,
    Found(Class),
}

impl Subject {
    const fn label(self) -> &'static str {
        match self {
            Self::Nothing => NOTHING_LABEL,
            Self::Found(class) => class.label(),
        }
    }

    fn of(classes: &BTreeSet<Class>) -> BTreeSet<Self> {
        if classes.is_empty() {
            BTreeSet::from([Self::Nothing])
        } else {
            classes.iter().copied().map(Self::Found).collect()
        }
    }
}

/// Who asks, for what, through what, and for which route.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The caller's id.
    pub caller: &'a str,
    /// The person or program that answers for the caller.
    pub owner: &'a str,
    /// The purpose of use. Without one, only rows for every purpose (`"*"`) apply.
    pub purpose: Option<&'a str>,
    /// The surface: `api`, `assistant`, `studio`.
    pub surface: &'a str,
    /// The special categories to which the text belongs. [`Exchange::choose`] looks for them itself.
    ///
    /// [`Exchange::choose`]: crate::exchange::Exchange::choose
    pub categories: &'a BTreeSet<Category>,
    /// The route that was asked for.
    pub route: &'a Route,
}

/// What the policy permits: one destination, and a treatment for every class that is present.
///
/// Only [`Rules::decide`] and [`Exchange::choose`](crate::exchange::Exchange::choose) make one.
#[derive(Clone, Debug)]
#[must_use = "a decision does nothing until an exchange is cleared with it"]
pub struct Decision {
    destination: Arc<Destination>,
    target: Target,
    treatments: BTreeMap<Subject, Treatment>,
    rerouted: bool,
    rules: Vec<String>,
    categories: Vec<&'static str>,
    considered: BTreeMap<String, String>,
    /// Whether something is taken away before the treatment.
    reduced: bool,
    capabilities: BTreeMap<String, String>,
}

impl Decision {
    /// Where the text goes.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The model to ask for, as the destination calls it.
    #[must_use]
    pub fn model(&self) -> &str {
        self.target.model().as_str()
    }

    /// The decision in one word: `rerouted`, else the strongest treatment of a class that is
    /// present (`redacted`, `tokenized`), else `allowed`. What was taken away counts as redacted.
    #[must_use]
    pub fn label(&self) -> &'static str {
        if self.rerouted {
            return "rerouted";
        }
        match self.found().map(|(_, treatment)| treatment).max() {
            _ if self.reduced => "redacted",
            Some(Treatment::Redact) => "redacted",
            Some(Treatment::Tokenize) => "tokenized",
            Some(Treatment::Disclose) | None => "allowed",
        }
    }

    /// How a class is treated. A class that was not asked about is redacted.
    #[must_use]
    pub fn treatment(&self, class: Class) -> Treatment {
        // Fail closed: this decision does not speak of the class.
        self.treatments.get(&Subject::Found(class)).copied().unwrap_or(Treatment::Redact)
    }

    /// Every class that is present, by its label, and its treatment.
    pub fn treatments(&self) -> impl Iterator<Item = (&'static str, Treatment)> {
        self.found().map(|(class, treatment)| (class.label(), treatment))
    }

    /// Whether a class that is present is tokenized.
    #[must_use]
    pub fn tokenizes(&self) -> bool {
        self.found().any(|(_, treatment)| treatment == Treatment::Tokenize)
    }

    /// The ids of the rules that decided, sorted.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// The special categories to which the text belongs, where the policy asks for them.
    #[must_use]
    pub fn categories(&self) -> &[&'static str] {
        &self.categories
    }

    /// The destinations that came before this one, and why each was passed over, in one word.
    #[must_use]
    pub const fn considered(&self) -> &BTreeMap<String, String> {
        &self.considered
    }

    /// Writes it into what the records of an exchange say.
    pub(crate) fn note(&self, about: &mut About) {
        about.decision = Some(self.label().to_owned());
        about.destination = Some(self.destination.id().to_owned());
        about.rules.clone_from(&self.rules);
        about.categories = owned(&self.categories);
        about.considered.clone_from(&self.considered);
        about.capabilities.clone_from(&self.capabilities);
        for (class, treatment) in self.treatments() {
            about.treatments.insert(class.to_owned(), treatment.as_str().to_owned());
        }
    }

    fn found(&self) -> impl Iterator<Item = (Class, Treatment)> {
        self.treatments.iter().filter_map(|(subject, treatment)| match subject {
            Subject::Nothing => None,
            Subject::Found(class) => Some((*class, *treatment)),
        })
    }
}

/// The policy permits no treatment, or could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    classes: Vec<Class>,
    destination: Slug,
    rules: Vec<String>,
    categories: Vec<&'static str>,
    failed: bool,
}

impl Denial {
    /// The classes that have no permitted treatment. Empty when nothing was found and even that
    /// is not permitted.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The ids of the rules that forbid it, sorted; empty when nothing permits it. When the policy
    /// could not be evaluated, the ids of those that failed.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// The special categories to which the text belongs, where the policy asks for them.
    #[must_use]
    pub fn categories(&self) -> &[&'static str] {
        &self.categories
    }

    /// Whether a policy failed instead of deciding. Cedar skips such a policy; a forbid that is
    /// skipped would permit, so the whole question is refused.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.failed
    }

    /// How an exchange ends with it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.failed {
            return Outcome::FailedClosed(Control::Policy);
        }
        let what = if self.classes.is_empty() {
            "text in which nothing was found".to_owned()
        } else {
            self.classes.iter().map(|class| class.label()).collect::<Vec<_>>().join(", ")
        };
        let message = format!(
            "The policy permits no treatment of {what} at destination \"{}\" for this purpose.",
            self.destination
        );
        let classes = self.classes.clone();
        let code = Code::PhiBlocked;
        Outcome::Refused(Refusal { code, message: message.into(), classes, reason: None })
    }

    /// Writes it into what the records of an exchange say, and says how the exchange ends.
    pub(crate) fn note(&self, about: &mut About) -> Outcome {
        about.decision = Some(BLOCKED.to_owned());
        about.rules.clone_from(&self.rules);
        about.categories = owned(&self.categories);
        let outcome = self.outcome();
        if let Outcome::Refused(refusal) = &outcome {
            for class in &refusal.classes {
                about.treatments.insert(class.label().to_owned(), BLOCKED.to_owned());
            }
        }
        outcome
    }
}

fn owned(labels: &[&'static str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

impl Rules {
    /// Decides where this text may go and how each class that is present is treated.
    ///
    /// The route's first destination is asked; when it refuses a class, the others in order, each
    /// only when the policy permits to re-route every refused class to it. A text of a special
    /// category is never re-routed from inside the boundary to outside.
    ///
    /// # Errors
    /// The denial, when no destination may have the text, when the purpose is none of the
    /// organisation's, or when a policy fails.
    pub fn decide(&self, classes: &BTreeSet<Class>, ask: &Ask<'_>) -> Result<Decision, Denial> {
        let subjects = Subject::of(classes);
        let (primary, others) = ask.route.targets();
        let deny = |subjects: BTreeSet<Subject>, rules: BTreeSet<Arc<str>>, failed: bool| Denial {
            classes: subjects.iter().filter_map(|subject| subject.class()).collect(),
            destination: primary.destination().clone(),
            rules: names(&rules),
            categories: labels(ask.categories),
            failed,
        };
        // Fail closed: a purpose that nobody registered must not match a row for every purpose.
        if ask.purpose.is_some_and(|purpose| self.purpose(purpose).is_none()) {
            return Err(deny(subjects, BTreeSet::new(), false));
        }
        let failure = |rules: BTreeSet<Arc<str>>| deny(subjects.clone(), rules, true);

        let first = self.judge(&subjects, ask, primary, None).map_err(failure)?;
        if first.refused.is_empty() {
            return self.settle(ask, primary, first, false).ok_or_else(|| failure(BTreeSet::new()));
        }
        for target in others {
            let from = Some(primary.destination());
            // No rule sends out what the law protects beyond the rest and the inside refused.
            let leaves = self.leaves(primary.destination(), target.destination());
            if leaves && !ask.categories.is_empty() {
                continue;
            }
            let leave = self.judge(&first.refused, ask, target, from).map_err(failure)?;
            if !leave.refused.is_empty() {
                continue;
            }
            let mut there = self.judge(&subjects, ask, target, None).map_err(failure)?;
            if there.refused.is_empty() {
                there.permitting.extend(leave.permitting);
                there.permitting.extend(first.forbidding);
                return self
                    .settle(ask, target, there, true)
                    .ok_or_else(|| failure(BTreeSet::new()));
            }
        }
        Err(deny(first.refused, first.forbidding, false))
    }

    /// Whether a re-route from one destination to another leaves the organisation's boundary.
    fn leaves(&self, from: &Slug, to: &Slug) -> bool {
        let inside = |id: &Slug| self.destination(id.as_str()).is_some_and(Destination::is_inside);
        inside(from) && !inside(to)
    }

    fn settle(
        &self,
        ask: &Ask<'_>,
        target: &Target,
        judged: Judgement,
        rerouted: bool,
    ) -> Option<Decision> {
        Some(Decision {
            destination: self.destination_arc(target.destination())?,
            target: target.clone(),
            treatments: judged.permitted,
            rerouted,
            rules: names(&judged.permitting),
            categories: labels(ask.categories),
            considered: BTreeMap::new(),
            reduced: false,
            capabilities: BTreeMap::new(),
        })
    }

    /// Asks about every subject: whether it may be disclosed at the target, or with `from`, whether
    /// it may be re-routed there.
    fn judge(
        &self,
        subjects: &BTreeSet<Subject>,
        ask: &Ask<'_>,
        target: &Target,
        from: Option<&Slug>,
    ) -> Result<Judgement, BTreeSet<Arc<str>>> {
        let asker = Asker::new(ask, target, from);
        let mut judged = Judgement::default();
        for (subject, ruling) in self.policy().rulings(&asker, subjects) {
            if !ruling.errors.is_empty() {
                return Err(ruling.errors.iter().cloned().collect());
            }
            let rules = if let Some(treatment) = ruling.permitted {
                judged.permitted.insert(subject, treatment);
                &mut judged.permitting
            } else {
                judged.refused.insert(subject);
                &mut judged.forbidding
            };
            rules.extend(ruling.rules.iter().cloned());
        }
        Ok(judged)
    }
}

impl Subject {
    const fn class(self) -> Option<Class> {
        match self {
            Self::Nothing => None,
            Self::Found(class) => Some(class),
        }
    }
}

fn labels(categories: &BTreeSet<Category>) -> Vec<&'static str> {
    categories.iter().map(|category| category.label()).collect()
}

fn names(rules: &BTreeSet<Arc<str>>) -> Vec<String> {
    rules.iter().map(|id| String::from(&**id)).collect()
}

#[derive(Default)]
struct Judgement {
    permitted: BTreeMap<Subject, Treatment>,
    refused: BTreeSet<Subject>,
    permitting: BTreeSet<Arc<str>>,
    forbidding: BTreeSet<Arc<str>>,
}

/// Everything that a ruling depends on, apart from the class and the rules themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asker {
    caller: Box<str>,
    owner: Box<str>,
    purpose: Box<str>,
    surface: Box<str>,
    destination: Slug,
    from: Option<Slug>,
    categories: BTreeSet<Category>,
}

impl Asker {
    fn new(ask: &Ask<'_>, target: &Target, from: Option<&Slug>) -> Self {
        Self {
            caller: ask.caller.into(),
            owner: ask.owner.into(),
            purpose: ask.purpose.unwrap_or_default().into(),
            surface: ask.surface.into(),
            destination: target.destination().clone(),
            from: from.cloned(),
            categories: ask.categories.clone(),
        }
    }
}

/// The answer to one question. For a re-route, any treatment means yes.
#[derive(Clone, Debug)]
struct Ruling {
    permitted: Option<Treatment>,
    rules: Arc<[Arc<str>]>,
    errors: Arc<[Arc<str>]>,
}

/// The compiled policies of one governed file.
#[derive(Debug)]
pub(crate) struct Policy {
    schema: Schema,
    /// Policies by action, because Cedar looks at every policy that it is given.
    sets: BTreeMap<&'static str, PolicySet>,
    destinations: Entities,
    authorizer: Authorizer,
    /// Whether a policy speaks of categories, so that texts are searched for them.
    asks_categories: bool,
    /// Rulings are a function of the asker, the class and the rules, and the rules never change,
    /// so a kept ruling never grows old.
    cache: RwLock<BTreeMap<Asker, BTreeMap<Subject, Ruling>>>,
}

impl Policy {
    pub(crate) const fn asks_categories(&self) -> bool {
        self.asks_categories
    }

    /// The rulings on all `subjects`, kept ones or fresh.
    fn rulings(&self, asker: &Asker, subjects: &BTreeSet<Subject>) -> Vec<(Subject, Ruling)> {
        let mut rulings = Vec::with_capacity(subjects.len());
        let mut unknown = Vec::new();
        {
            // A panic elsewhere cannot leave a half-written ruling behind.
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            let kept = cache.get(asker);
            for &subject in subjects {
                match kept.and_then(|kept| kept.get(&subject)) {
                    Some(ruling) => rulings.push((subject, ruling.clone())),
                    None => unknown.push(subject),
                }
            }
        }
        if unknown.is_empty() {
            return rulings;
        }
        let fresh: Vec<_> =
            unknown.into_iter().map(|subject| (subject, self.rule(asker, subject))).collect();
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_ASKERS && !cache.contains_key(asker) {
            cache.clear();
        }
        cache.entry(asker.clone()).or_default().extend(fresh.iter().cloned());
        drop(cache);
        rulings.extend(fresh);
        rulings
    }

    fn rule(&self, asker: &Asker, subject: Subject) -> Ruling {
        let questions = match asker.from {
            Some(_) => vec![(REROUTE, Treatment::Disclose)],
            None => BY_FIDELITY.map(|treatment| (treatment.action(), treatment)).to_vec(),
        };
        let mut rules = BTreeSet::new();
        let mut errors = BTreeSet::new();
        let mut permitted = None;
        for (action, treatment) in questions {
            let Some(answer) = self.answer(asker, subject, action) else {
                // Fail closed: the question itself could not be put.
                errors.insert(Arc::from(action));
                break;
            };
            let ids = |id: &PolicyId| Arc::<str>::from(id.as_ref());
            let diagnostics = answer.diagnostics();
            errors.extend(diagnostics.errors().map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => ids(error.policy_id()),
            }));
            if !errors.is_empty() {
                break;
            }
            // What forbids a more faithful treatment decides as much as what permits this one.
            rules.extend(diagnostics.reason().map(ids));
            if answer.decision() == Verdict::Allow {
                permitted = Some(treatment);
                break;
            }
        }
        Ruling {
            permitted,
            rules: rules.into_iter().collect(),
            errors: errors.into_iter().collect(),
        }
    }

    fn answer(
        &self,
        asker: &Asker,
        subject: Subject,
        action: &'static str,
    ) -> Option<cedar_policy::Response> {
        let caller = entity_uid("Caller", &asker.caller)?;
        let owner = RestrictedExpression::new_string((*asker.owner).to_owned());
        let principal = Entity::new(
            caller.clone(),
            [("owner".to_owned(), owner)].into_iter().collect(),
            [].into_iter().collect(),
        )
        .ok()?;
        let entities = self.destinations.clone().add_entities([principal], None).ok()?;
        let mut context = vec![
            ("class", subject.label()),
            ("purpose", &asker.purpose),
            ("surface", &asker.surface),
        ];
        context.extend(asker.from.as_ref().map(|from| ("from", from.as_str())));
        let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let categories = asker.categories.iter().map(|category| string(category.label()));
        let categories = RestrictedExpression::new_set(categories);
        let context = context.into_iter().map(|(key, value)| (key.to_owned(), string(value)));
        let context = context.chain([("categories".to_owned(), categories)]);
        let context = Context::from_pairs(context).ok()?;
        let request = Request::new(
            caller,
            entity_uid("Action", action)?,
            entity_uid("Destination", asker.destination.as_str())?,
            context,
            Some(&self.schema),
        )
        .ok()?;
        Some(self.authorizer.is_authorized(&request, self.sets.get(action)?, &entities))
    }
}

fn entity_uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// Collects policies and compiles them.
pub(crate) struct Compiler {
    schema: Schema,
    all: PolicySet,
    sets: BTreeMap<&'static str, PolicySet>,
    asks_categories: bool,
}

impl Compiler {
    pub(crate) fn new() -> Result<Self, Fault> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)
            .map_err(|_| Fault::new("schema", "the built-in Cedar schema does not parse"))?;
        let actions = BY_FIDELITY.map(Treatment::action).into_iter().chain([REROUTE]);
        let sets = actions.map(|action| (action, PolicySet::new())).collect();
        Ok(Self { schema, all: PolicySet::new(), sets, asks_categories: false })
    }

    /// Adds one row of the matrix.
    pub(crate) fn row(&mut self, row: &Row) -> Result<(), Fault> {
        self.asks_categories |= row.categories.is_some();
        for &action in row.effect.actions() {
            // A block is one rule to the officer and one policy for each action to Cedar. They go
            // into different sets, so that all of them may have the row's id.
            let text = row.cedar(action);
            let policy = CedarPolicy::parse(Some(PolicyId::new(row.id.as_str())), &text)
                .map_err(|error| Fault::new("classes", format!("does not compile: {error}")))?;
            let unique = policy.new_id(PolicyId::new(format!("{}/{action}", row.id)));
            add(&mut self.all, unique)?;
            if let Some(set) = self.sets.get_mut(action) {
                add(set, policy)?;
            }
        }
        Ok(())
    }

    /// Adds an engineer's Cedar. Its policies are named `id/@id`, or `id/policy0`.
    pub(crate) fn cedar(&mut self, id: &Slug, text: &str) -> Result<(), Fault> {
        // A policy that reads the context as a whole, or spells the name in another way, is refused by
        // the schema; a comment that has the word costs a search and nothing else.
        self.asks_categories |= text.contains("categories") || text.contains('\\');
        let parsed: PolicySet = text
            .parse()
            .map_err(|error| Fault::new("policy", format!("does not parse: {error}")))?;
        if parsed.num_of_templates() > 0 {
            return Err(Fault::new("policy", "templates are not supported; write each policy out"));
        }
        for policy in parsed.policies() {
            let own =
                policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned);
            let policy = policy.new_id(PolicyId::new(format!("{id}/{own}")));
            add(&mut self.all, policy.clone())?;
            for set in self.sets.values_mut() {
                add(set, policy.clone())?;
            }
        }
        Ok(())
    }

    /// Validates everything against the schema.
    pub(crate) fn finish<'a>(
        self,
        destinations: impl Iterator<Item = &'a Destination>,
    ) -> Result<Policy, Fault> {
        if self.all.num_of_policies() > MAX_POLICIES {
            let problem = format!("the file has more than {MAX_POLICIES} policies");
            return Err(Fault::new("policy", problem));
        }
        let result =
            Validator::new(self.schema.clone()).validate(&self.all, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            return Err(Fault::new("policy", format!("does not fit the schema: {error}")));
        }
        let failed = || Fault::new("id", "cannot be written as a Cedar entity");
        let entities = destinations
            .map(|destination| {
                let inside = RestrictedExpression::new_bool(destination.is_inside());
                let uid = entity_uid("Destination", destination.id()).ok_or_else(failed)?;
                let attributes = [("inside".to_owned(), inside)].into_iter().collect();
                Entity::new(uid, attributes, [].into_iter().collect()).map_err(|_| failed())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let destinations = Entities::from_entities(entities, None).map_err(|_| failed())?;
        Ok(Policy {
            schema: self.schema,
            sets: self.sets,
            destinations,
            authorizer: Authorizer::new(),
            asks_categories: self.asks_categories,
            cache: RwLock::default(),
        })
    }
}

fn add(set: &mut PolicySet, policy: CedarPolicy) -> Result<(), Fault> {
    set.add(policy).map_err(|_| Fault::new("policy", "two policies have the same id; rename one"))
}

/// What a row of the matrix does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    Allow,
    Tokenize,
    Redact,
    Reroute,
    Block,
}

impl Effect {
    const fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Allow => &[DISCLOSE],
            Self::Tokenize => &[DISCLOSE_TOKENIZED],
            Self::Redact => &[DISCLOSE_REDACTED],
            Self::Reroute => &[REROUTE],
            Self::Block => &[DISCLOSE, DISCLOSE_TOKENIZED, DISCLOSE_REDACTED],
        }
    }
}

/// Items that a row lists, or every one.
#[derive(Debug)]
pub(crate) enum Which<T> {
    Every,
    These(Vec<T>),
}

impl<T> Which<T> {
    pub(crate) fn listed(&self) -> &[T] {
        match self {
            Self::Every => &[],
            Self::These(items) => items,
        }
    }
}

/// A row of the officer's matrix.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: Slug,
    effect: Effect,
    classes: Which<&'static str>,
    /// A text must belong to one of these for the row to apply; absent when it need not.
    categories: Option<Vec<Category>>,
    pub(crate) destinations: Which<Slug>,
    pub(crate) purposes: Which<Slug>,
}

impl Row {
    pub(crate) fn parse(raw: &RawRow) -> Result<Self, Fault> {
        if let Some(title) = &raw.title {
            word::<Title>("title", title)?;
        }
        let row = Self {
            id: word("id", &raw.id)?,
            effect: raw.effect,
            classes: which("classes", &raw.classes, |texts| {
                texts.iter().map(|text| class_label(text)).collect()
            })?,
            categories: raw.categories.as_deref().map(categories).transpose()?,
            destinations: which("destinations", &raw.destinations, |texts| {
                words("destinations", texts)
            })?,
            purposes: which("purposes", &raw.purposes, |texts| words("purposes", texts))?,
        };
        // A permission for every destination would include those that are registered later, by
        // somebody who does not think of this row.
        if matches!(row.destinations, Which::Every) && row.effect != Effect::Block {
            return Err(Fault::new(
                "destinations",
                "only a row that blocks may name every destination; list them",
            ));
        }
        Ok(row)
    }

    /// The row as one Cedar policy for one action.
    fn cedar(&self, action: &str) -> String {
        let effect = if self.effect == Effect::Block { "forbid" } else { "permit" };
        let mut conditions = Vec::new();
        if let Which::These(labels) = &self.classes {
            conditions.push(format!("[{}].contains(context.class)", quoted("", labels)));
        }
        if let Some(categories) = &self.categories {
            conditions
                .push(format!("context.categories.containsAny([{}])", quoted("", categories)));
        }
        if let Which::These(ids) = &self.purposes {
            conditions.push(format!("[{}].contains(context.purpose)", quoted("", ids)));
        }
        if let Which::These(ids) = &self.destinations {
            conditions.push(format!("[{}].contains(resource)", quoted("Destination::", ids)));
        }
        let mut text = format!(
            "@id(\"{}\")\n{effect} (principal, action == Action::\"{action}\", resource)",
            self.id
        );
        if !conditions.is_empty() {
            text.push_str("\nwhen { ");
            text.push_str(&conditions.join(" && "));
            text.push_str(" }");
        }
        text.push(';');
        text
    }
}

/// Items between quotes. Labels and slugs hold nothing that would need escaping.
fn quoted<T: std::fmt::Display>(prefix: &str, items: &[T]) -> String {
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        if write!(out, "{comma}{prefix}\"{item}\"").is_err() {
            break;
        }
    }
    out
}

fn which<T>(
    field: &'static str,
    texts: &[String],
    parse: impl FnOnce(&[String]) -> Result<Vec<T>, Fault>,
) -> Result<Which<T>, Fault> {
    match texts {
        [] => Err(Fault::new(field, "names nothing, so the row does nothing; name some or \"*\"")),
        [star] if star == "*" => Ok(Which::Every),
        _ => Ok(Which::These(parse(texts)?)),
    }
}

fn categories(texts: &[String]) -> Result<Vec<Category>, Fault> {
    if texts.is_empty() {
        let problem = "names nothing, so the row does nothing; name some, or leave it out";
        return Err(Fault::new("categories", problem));
    }
    let category = |text: &String| {
        text.parse().map_err(|_| {
            let labels: Vec<_> = Category::ALL.iter().map(|category| category.label()).collect();
            Fault::new("categories", format!("a category is one of {}", labels.join(", ")))
        })
    };
    texts.iter().map(category).collect()
}

fn class_label(text: &str) -> Result<&'static str, Fault> {
    if text == NOTHING_LABEL {
        return Ok(NOTHING_LABEL);
    }
    text.parse().map(Class::label).map_err(|_| {
        let labels: Vec<_> = Class::ALL.iter().map(|class| class.label()).collect();
        Fault::new("classes", format!("a class is \"*\", NONE or one of {}", labels.join(", ")))
    })
}

/// A row as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRow {
    pub(crate) id: String,
    title: Option<String>,
    effect: Effect,
    classes: Vec<String>,
    categories: Option<Vec<String>>,
    destinations: Vec<String>,
    purposes: Vec<String>,
}

/// An engineer's Cedar as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCedar {
    pub(crate) id: String,
    pub(crate) policy: String,
}

#[cfg(test)]
mod tests;
