//! A decision that is made again on its record is the one that was recorded.

use crate::house::{DETECTOR, EMAIL, House, LOG, Memory, PATHS, PHONE, SSN, TOKENIZE};
use crate::routes::{CATEGORIES, CLOUDS, SPECIAL};
use gate::exchange::{Exchange, World};
use gate::policy::{Ask, Availability, Recorded, Replay, Unreplayable};
use gate::prompt::{Call, Draft, Parts, Prompt, PromptPart};
use gate::rules::{Api, Destination, Rules};
use gate::shape::{Key, Shape, Word};
use gate::terms::Capability;
use gate::{Code, Refusal};
use ledger::{About, Entropy as _, Event, Record, Time};
use phi::Text;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use testkit::entropy::Seeded;

/// Exchanges of random facts, and the files that decide them.
const EXCHANGES: usize = 10_000;
const FILES: usize = 80;

const DESTINATIONS: [(&str, &str); 4] =
    [("local", "local"), ("cloud", "large"), ("west", "large"), ("bare", "large")];

/// Draws of a test.
struct Draws(Seeded);

impl Draws {
    fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % bound
    }

    fn one_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn some<T: Copy>(&self, items: &[T]) -> Vec<T> {
        items.iter().copied().filter(|_| self.one_in(2)).collect()
    }
}

fn quoted(items: &[&str]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A file of random rules that is read; most that are drawn are.
fn file(draws: &Draws) -> Rules {
    loop {
        let mut text = format!("{PATHS}{CLOUDS}");
        if draws.one_in(4) {
            let regions = draws.of(&["us-east", "us-*", "eu-*"]);
            write!(text, "[constraints]\nregions = [\"{regions}\"]\n").unwrap();
        }
        if draws.one_in(3) {
            let eligible = draws.of(&["\"images\"", "\"images\", \"prompt_caching\""]);
            let training = "training = \"none\"\n";
            text = text.replace(training, &format!("{training}eligible = [{eligible}]\n"));
        }
        let target = |(id, model): (&str, &str)| {
            let weight = if draws.one_in(2) {
                format!(", weight = {}", 1 + draws.below(9))
            } else {
                String::new()
            };
            (
                format!("{{ destination = \"{id}\", model = \"{model}\" }}"),
                format!("{{ destination = \"{id}\", model = \"{model}\"{weight} }}"),
            )
        };
        let (_, first) = target(draws.of(&DESTINATIONS));
        let mut to = vec![first];
        to.extend(draws.some(&DESTINATIONS).into_iter().map(|it| target(it).0));
        let alternatives: Vec<_> =
            draws.some(&DESTINATIONS).into_iter().map(|it| target(it).1).collect();
        write!(
            text,
            "[[route]]\nmodel = \"many\"\nto = [{}]\nalternatives = [{}]\n",
            to.join(", "),
            alternatives.join(", ")
        )
        .unwrap();
        for number in 0..3 + draws.below(5) {
            // Two rows that permit much, so that not everything is blocked.
            let wide = number < 2;
            let effects: &[&str] = if wide {
                &["allow", "tokenize", "redact"]
            } else {
                &["allow", "reroute", "reroute", "block"]
            };
            let effect = draws.of(effects);
            let classes = if wide {
                "[\"*\"]"
            } else {
                draws.of(&["[\"*\"]", "[\"SSN\"]", "[\"EMAIL\", \"PHONE\"]", "[\"NONE\"]"])
            };
            let mut ids: Vec<&str> = draws.some(&DESTINATIONS).into_iter().map(|it| it.0).collect();
            ids.push(draws.of(&DESTINATIONS).0);
            let purposes = draws.of(&["[\"*\"]", "[\"treatment\"]"]);
            write!(text, "[[policy]]\nid = \"row-{number}\"\neffect = \"{effect}\"\nclasses = {classes}\ndestinations = {}\npurposes = {purposes}\n", quoted(&ids)).unwrap();
            if !wide && draws.one_in(3) {
                text.push_str("categories = [\"SUBSTANCE_USE\"]\n");
            }
        }
        if draws.one_in(3) {
            let redact = draws.of(&["[\"SSN\"]", "[\"*\"]", "[\"EMAIL\", \"DATE\"]"]);
            write!(text, "[[profile]]\nid = \"little\"\npurposes = [\"treatment\"]\npaths = [\"Patient.id\"]\nredact = {redact}\n").unwrap();
        }
        if draws.one_in(4) {
            text.push_str("[[cedar]]\nid = \"special\"\npolicy = '''\n@id(\"inside\")\nforbid (principal, action, resource)\nwhen { !resource.inside && context.categories.contains(\"SUBSTANCE_USE\") };\n'''\n");
        }
        if let Ok(rules) = Rules::parse(&text) {
            return rules;
        }
    }
}

/// Which interface is called for a request in another.
fn called(api: Api, destination: &Destination) -> Option<Api> {
    match destination.id() {
        "west" => Some(api),
        _ => (api != Api::Embeddings).then_some(Api::ChatCompletions),
    }
}

/// A request that some destinations have no words for.
#[derive(Debug)]
struct Choosy {
    shape: Shape,
    api: Api,
    unsupported: Vec<&'static str>,
    uses: Vec<Capability>,
}

impl Draft for Choosy {
    fn write(&self, destination: &Destination, _: &[PromptPart]) -> Result<Call<'_>, Refusal> {
        match called(self.api, destination) {
            Some(api) if !self.unsupported.contains(&destination.id()) => Ok(Call {
                api,
                shape: Cow::Borrowed(&self.shape),
                as_written: false,
                // A translation drops some of it.
                capabilities: self
                    .uses
                    .iter()
                    .copied()
                    .skip(usize::from(api != self.api))
                    .collect(),
            }),
            _ => Err(Refusal::fixed(Code::UnsupportedByDestination, "It has no words for it.")),
        }
    }
}

/// What a log keeps of one exchange.
struct Kept {
    about: About,
    code: Option<String>,
    reason: Option<String>,
    tried: Vec<String>,
}

impl Kept {
    fn replay(&self, rules: &Rules) -> Result<Replay, Unreplayable> {
        let recorded = Recorded {
            about: &self.about,
            code: self.code.as_deref(),
            reason: self.reason.as_deref(),
            time: self.about.decided.unwrap(),
            tried: &self.tried,
        };
        rules.replay(&recorded, &called)
    }
}

/// Takes an exchange of random facts through the gate, and keeps what its last record says.
async fn exchange(house: &House, draws: &Draws) -> Kept {
    let mut said: Vec<&str> = draws.some(&[SSN, EMAIL, PHONE]);
    if draws.one_in(3) {
        said.push(SPECIAL);
    }
    said.push("good morning");
    let api = draws.of(&[
        Api::ChatCompletions,
        Api::ChatCompletions,
        Api::ChatCompletions,
        Api::Messages,
        Api::Embeddings,
    ]);
    let unsupported = if draws.one_in(4) { vec![draws.of(&DESTINATIONS).0] } else { Vec::new() };
    let uses = if draws.one_in(3) {
        draws.some(&[Capability::Images, Capability::PromptCaching])
    } else {
        Vec::new()
    };
    let mut parts = Parts::new();
    let part = parts.take("request", None, Text::new(said.join(" , ")));
    let say = Key::Word(Word::parse("say").unwrap());
    let shape = Shape::Map(vec![(say, Shape::Part(part))]);
    let draft = Arc::new(Choosy { shape, api, unsupported, uses });
    let prompt = Prompt { draft, parts: parts.into_vec(), written: Text::from("{}") };
    let mut caller = House::caller();
    caller.purpose = draws.of(&[Some("treatment"), Some("treatment"), None]).map(str::to_owned);
    let question = gate::exchange::Question { api, ..house.question("many") };
    let scanned =
        Exchange::open(caller.clone(), question, house.seal(), prompt, &DETECTOR, &house.rules)
            .unwrap();

    let ids: Vec<&str> = DESTINATIONS.iter().map(|it| it.0).collect();
    let down = if draws.one_in(2) { draws.some(&ids) } else { Vec::new() };
    let tried: Vec<String> = (0..draws.below(4)).map(|_| draws.of(&ids).to_owned()).collect();
    // From the end of 2025 to the end of 2029; the agreement is of 2026 to 2028.
    let day = i64::try_from(draws.below(1_400)).unwrap();
    let now = Time::from_micros(1_764_547_200_000_000 + day * 86_400_000_000);
    let ask = Ask {
        caller: &caller.actor.id,
        owner: &caller.actor.name,
        purpose: caller.purpose.as_deref(),
        surface: caller.surface,
        categories: &BTreeSet::new(),
        route: house.rules.route("many").unwrap(),
    };
    let in_order = |id: &str| !down.contains(&id);
    let availability = Availability { in_order: &in_order, tried: &tried, entropy: &draws.0 };
    let journal = Memory::default();
    let world = World { journal: &journal, clock: &house.clock, entropy: &house.entropy };
    let ended = match scanned.choose(&house.rules, &ask, &CATEGORIES, &availability, now) {
        Err(unchosen) => scanned.turn_away(&unchosen, now),
        Ok(decision) => {
            match scanned.clear(&decision, &house.rules, house.map(), now, &house.entropy) {
                Ok(cleared) => cleared.admit(&world).await.unwrap().depart().1.abandon(),
                Err(ended) => ended,
            }
        }
    };
    drop(ended.commit(&world).await.unwrap());
    let record = Record::from_bytes(journal.bytes().last().unwrap()).unwrap();
    assert_eq!(record.log, LOG);
    let Event::Outcome(outcome) = record.event else { panic!("no outcome") };
    let ledger::Outcome { about, code, reason, .. } = *outcome;
    Kept { about, code, reason, tried }
}

/// The record, with one thing of the decision forged.
fn forged(kept: &Kept, draws: &Draws) -> (&'static str, Kept) {
    let Kept { about, code, reason, tried } = kept;
    let mut about = about.clone();
    let elsewhere = |was: Option<&String>| {
        let others = DESTINATIONS.iter().map(|it| it.0.to_owned());
        others.filter(|id| Some(id) != was).nth(draws.below(3))
    };
    let what = match draws.below(5) {
        0 => {
            about.destination = elsewhere(about.destination.as_ref());
            "destination"
        }
        1 => {
            about.rules.push("row-99".to_owned());
            "rules"
        }
        2 if !about.treatments.is_empty() => {
            for treatment in about.treatments.values_mut() {
                let other = if treatment == "disclosed" { "tokenized" } else { "disclosed" };
                other.clone_into(treatment);
            }
            "treatments"
        }
        3 if !about.path.is_empty() => {
            about.path.pop();
            "path"
        }
        _ => {
            about.considered.insert("nowhere".to_owned(), "failed".to_owned());
            "considered"
        }
    };
    (what, Kept { about, code: code.clone(), reason: reason.clone(), tried: tried.clone() })
}

#[test]
fn ten_thousand_decisions_are_made_again_as_they_were_recorded() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let draws = Draws(Seeded::new(29));
    let mut house = House::new(TOKENIZE);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..EXCHANGES {
        if number % (EXCHANGES / FILES) == 0 {
            house.rules = file(&draws);
        }
        let kept = runtime.block_on(exchange(&house, &draws));
        let replay = kept.replay(&house.rules).unwrap();
        assert!(
            replay.differences.is_empty(),
            "{number}: {:?}\n{:?}",
            replay.differences,
            kept.about
        );
        assert!(!replay.rulings.is_empty());
        let (what, forged) = forged(&kept, &draws);
        let replay = forged.replay(&house.rules).unwrap();
        assert!(!replay.differences.is_empty(), "{number}: {what} {:?}", forged.about);

        let mut count = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
        count(kept.about.decision.as_deref().unwrap());
        let blocked = kept.about.decision.as_deref() == Some("blocked");
        if let Some(code) = kept.code.as_deref().filter(|_| blocked) {
            count(code);
        }
        for why in kept.about.considered.values() {
            count(why);
        }
    }
    // Of everything that can come of a decision there was some.
    for what in [
        "allowed",
        "tokenized",
        "redacted",
        "rerouted",
        "blocked",
        "phi_blocked",
        "baa_scope",
        "capability_not_eligible",
        "baa_uncovered_hop",
        "region_not_allowed",
        "destination_unavailable",
        "unsupported_by_destination",
        "failed",
        "circuit_open",
        "not_covered",
        "not_permitted",
        "unsupported",
    ] {
        assert!(seen.get(what).is_some_and(|count| *count >= 20), "{what}: {seen:?}");
    }
}

#[test]
fn what_was_never_decided_or_says_words_of_another_version_is_not_replayed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let draws = Draws(Seeded::new(30));
    let house = House { rules: file(&draws), ..House::new(TOKENIZE) };
    let kept = runtime.block_on(exchange(&house, &draws));
    let changed = |change: fn(&mut About)| {
        let mut about = kept.about.clone();
        change(&mut about);
        let Kept { code, reason, tried, .. } = &kept;
        let kept = Kept { about, code: code.clone(), reason: reason.clone(), tried: tried.clone() };
        kept.replay(&house.rules).map(|replay| replay.differences.len())
    };
    assert_eq!(changed(|_| ()), Ok(0));
    assert_eq!(changed(|about| about.decision = None), Err(Unreplayable::Undecided));
    let unknown = changed(|about| {
        about.findings.insert("AURA".to_owned(), 1);
    });
    assert_eq!(unknown, Err(Unreplayable::Unknown("class")));
    let unknown = changed(|about| about.categories.push("AURA".to_owned()));
    assert_eq!(unknown, Err(Unreplayable::Unknown("category")));
    let unknown = changed(|about| {
        about.capabilities.insert("cloud".to_owned(), "telepathy".to_owned());
    });
    assert_eq!(unknown, Err(Unreplayable::Unknown("capability")));
    let unknown = changed(|about| "telepathy".clone_into(&mut about.api));
    assert_eq!(unknown, Err(Unreplayable::Unknown("interface")));
    assert_eq!(changed(|about| about.route = Some("gone".to_owned())), Ok(1));
}
