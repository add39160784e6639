//! What each purpose needs, how much of a chart may go, and where PHI must not occur at all.

use super::name::{Fault, Name, Slug, Title, optional, word, words};
use super::{Route, RulesError, each};
use phi::Class;
use phi::profile;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Profiles, and flows without PHI, of one file: more than anybody has purposes or applications, and
/// the flows are looked at one by one for every prompt.
const MAX_EACH: usize = 64;

/// Resources above which a prompt counts as a whole chart, unless the file says otherwise. A FHIR
/// server hands out a page of some tens to a hundred; an International Patient Summary has some
/// thirty; a chart of a few years has several hundred.
const RESOURCES: u64 = 100;

/// Distinct types of resources above which it does. An International Patient Summary, which is made
/// to be a summary, uses twelve.
const TYPES: u64 = 12;

/// The highest threshold: as many resources as the largest request could hold at all.
const MAX_RESOURCES: u64 = 100_000;

/// Why the minimum necessary need not be kept to (45 CFR 164.502(b)(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// A disclosure to, or a request by, a provider for treatment: (b)(2)(i).
    Treatment,
    /// The individual is told about themselves: (b)(2)(ii).
    Individual,
    /// The individual signed an authorization: (b)(2)(iii).
    Authorization,
    /// The law requires it: (b)(2)(v).
    RequiredByLaw,
}

impl Exemption {
    /// As the file and the record write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::Individual => "individual",
            Self::Authorization => "authorization",
            Self::RequiredByLaw => "required_by_law",
        }
    }
}

/// What becomes of a text that looks like a document and cannot be taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnread {
    /// The request is refused.
    #[default]
    Refuse,
    /// The whole piece of text that holds it is left out.
    Remove,
}

/// What a purpose needs.
#[derive(Debug)]
pub struct Profile {
    id: Slug,
    purposes: Vec<Slug>,
    paths: profile::Profile,
    redact: BTreeSet<Class>,
    when_unread: WhenUnread,
}

impl Profile {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// What of a document it names.
    #[must_use]
    pub const fn paths(&self) -> &profile::Profile {
        &self.paths
    }

    /// The classes that never leave, whatever the policy permits.
    #[must_use]
    pub const fn redact(&self) -> &BTreeSet<Class> {
        &self.redact
    }

    /// What becomes of what looks like a document and is none.
    #[must_use]
    pub const fn when_unread(&self) -> WhenUnread {
        self.when_unread
    }
}

/// What happens when PHI occurs where it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPhi {
    /// It goes on as the policy permits, and an alert is recorded.
    Alert,
    /// What was found is redacted.
    Redact,
    /// Nothing leaves.
    Block,
}

/// A flow in which PHI must not occur: whose keys, for what, over which route.
#[derive(Debug)]
pub struct Flow {
    id: Slug,
    owners: Vec<Title>,
    purposes: Vec<Slug>,
    routes: Vec<Name>,
    classes: Option<BTreeSet<Class>>,
    on_phi: OnPhi,
}

impl Flow {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// What happens when PHI occurs in it.
    #[must_use]
    pub const fn on_phi(&self) -> OnPhi {
        self.on_phi
    }

    /// Whether a prompt belongs to it. What the file does not name is not looked at.
    #[must_use]
    pub fn is_of(&self, owner: &str, purpose: Option<&str>, route: Option<&str>) -> bool {
        (self.owners.is_empty() || self.owners.iter().any(|it| it.as_str() == owner))
            && (self.purposes.is_empty()
                || self.purposes.iter().any(|it| Some(it.as_str()) == purpose))
            && (self.routes.is_empty() || self.routes.iter().any(|it| Some(it.as_str()) == route))
    }

    /// Those of the classes that must not occur in it.
    #[must_use]
    pub fn forbidden(&self, found: &BTreeSet<Class>) -> BTreeSet<Class> {
        match &self.classes {
            None => found.clone(),
            Some(classes) => found.intersection(classes).copied().collect(),
        }
    }
}

/// How the organisation keeps to the minimum necessary.
#[derive(Debug)]
pub struct Minimum {
    profiles: BTreeMap<Slug, Profile>,
    exempt: BTreeMap<Slug, Exemption>,
    resources: u64,
    types: u64,
    flows: BTreeMap<Slug, Flow>,
}

impl Minimum {
    /// The profile of a purpose.
    #[must_use]
    pub fn profile(&self, purpose: &str) -> Option<&Profile> {
        let of = |profile: &&Profile| profile.purposes.iter().any(|it| it.as_str() == purpose);
        self.profiles.values().find(of)
    }

    /// Why a purpose is exempt, when it is.
    #[must_use]
    pub fn exemption(&self, purpose: &str) -> Option<Exemption> {
        self.exempt.get(purpose).copied()
    }

    /// The resources and types above which a prompt counts as a whole chart.
    #[must_use]
    pub const fn chart(&self) -> (u64, u64) {
        (self.resources, self.types)
    }

    /// Every flow without PHI, in order of id.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }

    pub(super) fn parse(
        raw: &RawMinimum<'_>,
        purposes: &BTreeMap<Slug, Title>,
        routes: &BTreeMap<Name, Route>,
    ) -> Result<Self, RulesError> {
        let too_many = |kind: &'static str, count: usize| {
            let fault = Fault::new(kind, format!("at most {MAX_EACH}"));
            if count > MAX_EACH { Err(RulesError::object("the file", fault)) } else { Ok(()) }
        };
        too_many("profile", raw.profiles.len())?;
        too_many("no_phi", raw.flows.len())?;
        let exempt: BTreeMap<Slug, Exemption> = raw
            .exempt
            .iter()
            .filter_map(|(id, exempt)| Some((id.parse().ok()?, (*exempt)?)))
            .collect();
        let mut taken = BTreeSet::new();
        let profiles = each(
            "profile",
            raw.profiles,
            |raw| &raw.id,
            |raw| {
                let profile = raw.parse(purposes)?;
                for purpose in &profile.purposes {
                    if exempt.contains_key(purpose) {
                        let problem = format!(
                            "the purpose \"{purpose}\" is exempt; a profile and an exemption contradict each other"
                        );
                        return Err(Fault::new("purposes", problem));
                    }
                    if !taken.insert(purpose.clone()) {
                        let problem = format!("another profile has the purpose \"{purpose}\"");
                        return Err(Fault::new("purposes", problem));
                    }
                }
                Ok((profile.id.clone(), profile))
            },
        )?;
        let flows = each(
            "no_phi",
            raw.flows,
            |raw| &raw.id,
            |raw| {
                let flow = raw.parse(purposes, routes)?;
                Ok((flow.id.clone(), flow))
            },
        )?;
        let chart = |fault| RulesError::object("chart", fault);
        let within = |field, value: Option<u64>, usual, most| match value.unwrap_or(usual) {
            value if (1..=most).contains(&value) => Ok(value),
            _ => Err(chart(Fault::new(field, format!("from 1 to {most}")))),
        };
        let (resources, types) = raw.chart.map_or((None, None), |raw| (raw.resources, raw.types));
        Ok(Self {
            profiles,
            exempt,
            resources: within("resources", resources, RESOURCES, MAX_RESOURCES)?,
            types: within("types", types, TYPES, MAX_RESOURCES)?,
            flows,
        })
    }
}

/// What the file says of it.
pub(super) struct RawMinimum<'a> {
    pub(super) profiles: &'a [RawProfile],
    pub(super) exempt: Vec<(&'a str, Option<Exemption>)>,
    pub(super) chart: Option<&'a RawChart>,
    pub(super) flows: &'a [RawFlow],
}

/// A profile as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    id: String,
    title: Option<String>,
    purposes: Vec<String>,
    paths: Vec<String>,
    #[serde(default)]
    redact: Vec<String>,
    #[serde(default)]
    when_unread: WhenUnread,
}

impl RawProfile {
    fn parse(&self, known: &BTreeMap<Slug, Title>) -> Result<Profile, Fault> {
        let _: Option<Title> = optional("title", self.title.as_ref())?;
        let purposes = purposes(&self.purposes, known)?;
        if purposes.is_empty() {
            return Err(Fault::new("purposes", "names nothing, so the profile does nothing"));
        }
        // A path is no secret, and without it nobody finds the one of sixty.
        let paths = profile::Profile::parse(&self.paths)
            .map_err(|(index, bad)| Fault::new("paths", format!("number {}: {bad}", index + 1)))?;
        let redact = classes("redact", &self.redact)?;
        Ok(Profile {
            id: word("id", &self.id)?,
            purposes,
            paths,
            redact,
            when_unread: self.when_unread,
        })
    }
}

/// The thresholds of a chart as the file writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChart {
    resources: Option<u64>,
    types: Option<u64>,
}

/// A flow without PHI as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFlow {
    id: String,
    title: Option<String>,
    #[serde(default)]
    owners: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
    #[serde(default)]
    routes: Vec<String>,
    classes: Option<Vec<String>>,
    on_phi: OnPhi,
}

impl RawFlow {
    fn parse(
        &self,
        known: &BTreeMap<Slug, Title>,
        routes: &BTreeMap<Name, Route>,
    ) -> Result<Flow, Fault> {
        let _: Option<Title> = optional("title", self.title.as_ref())?;
        let flow = Flow {
            id: word("id", &self.id)?,
            owners: words("owners", &self.owners)?,
            purposes: purposes(&self.purposes, known)?,
            routes: words("routes", &self.routes)?,
            classes: self.classes.as_deref().map(|texts| classes("classes", texts)).transpose()?,
            on_phi: self.on_phi,
        };
        if flow.classes.as_ref().is_some_and(BTreeSet::is_empty) {
            let problem = "names nothing, so the flow forbids nothing; leave it out for all";
            return Err(Fault::new("classes", problem));
        }
        if flow.routes.iter().any(|route| !routes.contains_key(route)) {
            return Err(Fault::new("routes", "there is no [[route]] with this model"));
        }
        if flow.owners.is_empty() && flow.purposes.is_empty() && flow.routes.is_empty() {
            let problem = "name owners, purposes or routes; a flow without any would be everything";
            return Err(Fault::new("owners", problem));
        }
        Ok(flow)
    }
}

fn purposes(texts: &[String], known: &BTreeMap<Slug, Title>) -> Result<Vec<Slug>, Fault> {
    let purposes: Vec<Slug> = words("purposes", texts)?;
    match purposes.iter().find(|id| !known.contains_key(*id)) {
        Some(id) => {
            Err(Fault::new("purposes", format!("there is no [[purpose]] with the id \"{id}\"")))
        }
        None => Ok(purposes),
    }
}

fn classes(field: &'static str, texts: &[String]) -> Result<BTreeSet<Class>, Fault> {
    if let [star] = texts
        && star == "*"
    {
        return Ok(Class::ALL.iter().copied().collect());
    }
    let class = |text: &String| {
        text.parse::<Class>().map_err(|_| {
            let labels: Vec<_> = Class::ALL.iter().map(|class| class.label()).collect();
            Fault::new(field, format!("a class is \"*\" or one of {}", labels.join(", ")))
        })
    };
    texts.iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::clinic;
    use super::*;
    use crate::rules::Rules;

    const PURPOSE: &str = "[[purpose]]\nid = \"treatment\"";

    /// The clinic's rules with `more` in them.
    fn with(more: &str) -> Result<Rules, String> {
        let clinic = include_str!("../../../../examples/clinic.toml");
        assert!(clinic.contains(PURPOSE));
        let text = clinic.replacen(PURPOSE, &format!("{more}\n{PURPOSE}"), 1);
        Rules::parse(&text).map_err(|error| error.to_string())
    }

    fn check(more: &str, problem: &str) {
        let error = with(more).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn the_thresholds_hold_without_a_word() {
        assert_eq!(clinic(&[]).minimum().chart(), (RESOURCES, TYPES));
        let chart = |keys: &str| with(&format!("[chart]\n{keys}")).map(|it| it.minimum().chart());
        assert_eq!(chart("resources = 7"), Ok((7, TYPES)));
        assert_eq!(chart("types = 3"), Ok((RESOURCES, 3)));
        for wrong in ["resources = 0", "types = 0", "resources = 100001", "resources = -1"] {
            assert!(chart(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_profile_names_paths_and_purposes_that_there_are() {
        let profile = |keys: &str| format!("[[profile]]\nid = \"p\"\n{keys}");
        let good = profile("purposes = [\"payment\"]\npaths = [\"Claim\", \"PID-3\"]");
        let rules = with(&good).unwrap();
        assert_eq!(rules.minimum().profile("payment").map(Profile::id), Some("p"));
        assert!(rules.minimum().profile("treatment").is_none());
        check(&profile("purposes = []\npaths = []"), "names nothing");
        check(&profile("purposes = [\"x\"]\npaths = []"), "no [[purpose]] with the id \"x\"");
        let wrong = "purposes = [\"payment\"]\npaths = [\"Claim\", \"Clam.id\"]";
        check(&profile(wrong), "field \"paths\": number 2: FHIR has no resource of this type");
        let wrong = "purposes = [\"payment\"]\npaths = []\nredact = [\"SNN\"]";
        check(&profile(wrong), "field \"redact\"");
        let second = good.replace("\"p\"", "\"q\"");
        check(&format!("{good}\n{second}"), "another profile has the purpose \"payment\"");
        let exempt = "[[purpose]]\nid = \"own\"\ntitle = \"Own\"\nexempt = \"individual\"\n";
        let both = profile("purposes = [\"own\"]\npaths = []");
        check(&format!("{exempt}{both}"), "the purpose \"own\" is exempt");
        assert_eq!(with(exempt).unwrap().minimum().exemption("own"), Some(Exemption::Individual));
    }

    #[test]
    fn a_flow_without_phi_is_somebodys() {
        let flow = |keys: &str| format!("[[no_phi]]\nid = \"f\"\non_phi = \"block\"\n{keys}");
        check(&flow(""), "a flow without any would be everything");
        check(&flow("routes = [\"nowhere\"]"), "there is no [[route]] with this model");
        check(&flow("purposes = [\"x\"]"), "no [[purpose]] with the id \"x\"");
        check(&flow("owners = [\"a\"]\nclasses = []"), "names nothing");
        let rules = with(&flow("owners = [\"a\"]\nroutes = [\"local\"]")).unwrap();
        let flow = rules.minimum().flows().next().unwrap();
        assert!(flow.is_of("a", None, Some("local")));
        assert!(!flow.is_of("a", None, None));
        assert!(!flow.is_of("b", None, Some("local")));
        assert!(!flow.is_of("a", None, Some("assistant")));
    }

    #[test]
    fn there_is_a_bound_to_how_many_there_are() {
        let flow =
            |n: usize| format!("[[no_phi]]\nid = \"f{n}\"\nowners = [\"a\"]\non_phi = \"alert\"\n");
        let flows = (0..=MAX_EACH).map(flow).collect::<Vec<_>>().concat();
        check(&flows, "field \"no_phi\": at most 64");
    }
}
