//! Where a prompt goes when a route has more than one destination.

use crate::house::{EMAIL, House, PATHS, SSN, TOKENIZE, said, says};
use gate::exchange::{Exchange, Scanned};
use gate::policy::{Ask, Availability, Decision, Unchosen};
use gate::rules::{Rules, RulesError};
use ledger::Clock as _;
use phi::category::{Categories, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;
use testkit::entropy::Seeded;

/// Two more clouds: one under the same agreement, one under none.
pub(crate) const CLOUDS: &str = r#"
[[hop]]
id = "west-machines"
entity = "Example Cloud Inc. (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa"
hosts = ["west.cloud.example"]
[[hop]]
id = "bare-machines"
entity = "Other Cloud Inc. (synthetic)"
role = "inference"
sees = "content"
boundary = "outside"
hosts = ["api.other.example"]
[[destination]]
id = "west"
title = "There too"
dialect = "openai_compatible"
url = "https://west.cloud.example/v1"
credential = "none"
hops = ["west-machines"]
models = ["large"]
[[destination]]
id = "bare"
title = "Nowhere"
dialect = "openai_compatible"
url = "https://api.other.example/v1"
credential = "none"
hops = ["bare-machines"]
models = ["large"]
"#;

pub(crate) static CATEGORIES: LazyLock<Categories> =
    LazyLock::new(|| Categories::new(&Settings::default()).unwrap());

fn file(route: &str, rows: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{PATHS}{CLOUDS}\n[[route]]\nmodel = \"many\"\n{route}\n");
    for (number, (effect, classes, destinations)) in rows.iter().enumerate() {
        write!(
            text,
            "[[policy]]\nid = \"row-{number}\"\neffect = \"{effect}\"\nclasses = [\"{classes}\"]\n\
             destinations = {destinations}\npurposes = [\"*\"]\n"
        )
        .unwrap();
    }
    text
}

fn house(route: &str, rows: &[(&str, &str, &str)]) -> House {
    House { rules: Rules::parse(&file(route, rows)).unwrap(), ..House::new(TOKENIZE) }
}

fn refused(route: &str) -> String {
    let result = Rules::parse(&file(route, &[]));
    result.map(drop).map_err(|error: RulesError| error.to_string()).unwrap_err()
}

const EVERYWHERE: &str = "[\"local\", \"cloud\", \"west\", \"bare\"]";
const TO_CLOUD: &str = "to = [{ destination = \"cloud\", model = \"large\" }]\n";

fn alternatives(list: &[(&str, &str, Option<u32>)]) -> String {
    let targets: Vec<String> = list
        .iter()
        .map(|(destination, model, weight)| {
            let weight = weight.map(|it| format!(", weight = {it}")).unwrap_or_default();
            format!("{{ destination = \"{destination}\", model = \"{model}\"{weight} }}")
        })
        .collect();
    format!("alternatives = [{}]", targets.join(", "))
}

/// Where it goes, with these destinations out of order and these tried before.
fn choose(
    house: &House,
    scanned: &Exchange<Scanned>,
    down: &[&str],
    tried: &[&str],
) -> Result<Decision, Unchosen> {
    let caller = House::caller();
    let ask = Ask {
        caller: &caller.actor.id,
        owner: &caller.actor.name,
        purpose: caller.purpose.as_deref(),
        surface: caller.surface,
        categories: &BTreeSet::new(),
        route: house.rules.route("many").unwrap(),
    };
    let tried: Vec<String> = tried.iter().map(|id| (*id).to_owned()).collect();
    let in_order = |id: &str| !down.contains(&id);
    let availability = Availability { in_order: &in_order, tried: &tried, entropy: &house.entropy };
    scanned.choose(&house.rules, &ask, &CATEGORIES, &availability, house.clock.now())
}

/// Where it goes in one line: the destination, and what was passed over.
fn line(chosen: &Result<Decision, Unchosen>) -> String {
    let words = |considered: &BTreeMap<String, String>| {
        considered.iter().map(|(id, why)| [" ", id, "=", why].concat()).collect::<Vec<_>>().concat()
    };
    match chosen {
        Ok(decision) => format!("{}{}", decision.destination().id(), words(decision.considered())),
        Err(Unchosen::Denied(_)) => "denied".to_owned(),
        Err(Unchosen::Unavailable(nowhere)) => format!("nowhere{}", words(nowhere.considered())),
        Err(Unchosen::Apart(_)) => "apart".to_owned(),
    }
}

#[test]
fn an_alternative_is_used_only_when_the_first_is_out_of_order_or_did_not_answer() {
    let route = format!("{TO_CLOUD}{}", alternatives(&[("west", "large", None)]));
    let house = house(&route, &[("tokenize", "*", EVERYWHERE)]);
    let scanned = house.scan(&says("many", SSN)).unwrap();
    for (down, tried, expected) in [
        (&[][..], &[][..], "cloud"),
        (&["cloud"], &[], "west cloud=circuit_open"),
        (&[], &["cloud"], "west cloud=failed"),
        (&[], &["cloud", "west"], "cloud"),
        (&["west"], &["cloud"], "cloud west=circuit_open"),
        (&["cloud", "west"], &[], "nowhere cloud=circuit_open west=circuit_open"),
    ] {
        assert_eq!(line(&choose(&house, &scanned, down, tried)), expected);
    }
}

#[test]
fn an_alternative_that_is_not_covered_or_not_permitted_is_never_used() {
    let route = format!("{TO_CLOUD}{}", alternatives(&[("bare", "large", None)]));
    let uncovered = house(&route, &[("tokenize", "*", EVERYWHERE)]);
    let scanned = uncovered.scan(&says("many", SSN)).unwrap();
    let chosen = choose(&uncovered, &scanned, &["cloud"], &[]);
    assert_eq!(line(&chosen), "nowhere bare=not_covered cloud=circuit_open");

    let route = format!("{TO_CLOUD}{}", alternatives(&[("west", "large", None)]));
    let rows = [("tokenize", "*", EVERYWHERE), ("block", "SSN", "[\"west\"]")];
    let forbidden = house(&route, &rows);
    let scanned = forbidden.scan(&says("many", SSN)).unwrap();
    let chosen = choose(&forbidden, &scanned, &["cloud"], &[]);
    assert_eq!(line(&chosen), "nowhere cloud=circuit_open west=not_permitted");
    let scanned = forbidden.scan(&says("many", EMAIL)).unwrap();
    let chosen = choose(&forbidden, &scanned, &["cloud"], &[]);
    assert_eq!(line(&chosen), "west cloud=circuit_open");
}

#[test]
fn an_alternative_covers_nothing_when_the_first_is_not_covered_or_not_permitted() {
    let to = "to = [{ destination = \"bare\", model = \"large\" }]\n";
    let route = format!("{to}{}", alternatives(&[("west", "large", None)]));
    let uncovered = house(&route, &[("tokenize", "*", EVERYWHERE)]);
    let scanned = uncovered.scan(&says("many", SSN)).unwrap();
    let decision = choose(&uncovered, &scanned, &[], &["bare"]).unwrap();
    let now = uncovered.clock.now();
    let ended =
        scanned.clear(&decision, &uncovered.rules, uncovered.map(), now, &uncovered.entropy);
    assert_eq!(ended.unwrap_err().outcome_name(), "refused");

    let route = format!("{TO_CLOUD}{}", alternatives(&[("west", "large", None)]));
    let forbidden = house(&route, &[("allow", "*", "[\"west\"]")]);
    let scanned = forbidden.scan(&says("many", SSN)).unwrap();
    assert_eq!(line(&choose(&forbidden, &scanned, &[], &[])), "denied");
}

#[test]
fn an_alternative_never_gets_more_than_the_first_would_have_got() {
    let route = format!("{TO_CLOUD}{}", alternatives(&[("local", "local", None)]));
    for (first, there, expected) in [
        ("redact", "allow", "redacted"),
        ("tokenize", "allow", "tokenized"),
        ("allow", "redact", "redacted"),
        ("allow", "allow", "disclosed"),
    ] {
        let rows = [(first, "*", "[\"cloud\"]"), (there, "*", "[\"local\"]")];
        let house = house(&route, &rows);
        let scanned = house.scan(&says("many", SSN)).unwrap();
        let decision = choose(&house, &scanned, &["cloud"], &[]).unwrap();
        let treatments: Vec<_> = decision.treatments().map(|(_, it)| it.as_str()).collect();
        assert_eq!(treatments, [expected], "{first} {there}");
        assert_eq!(decision.rules(), ["row-0", "row-1"]);
    }
}

#[tokio::test]
async fn what_was_passed_over_is_recorded_and_a_turned_away_prompt_leaves_nothing() {
    let route = format!("{TO_CLOUD}{}", alternatives(&[("west", "large", None)]));
    let house = house(&route, &[("tokenize", "*", EVERYWHERE)]);
    let scanned = house.scan(&says("many", SSN)).unwrap();
    let decision = choose(&house, &scanned, &["cloud"], &[]).unwrap();
    let now = house.clock.now();
    let cleared = scanned.clear(&decision, &house.rules, house.map(), now, &house.entropy);
    let (outbound, departed) = cleared.unwrap().admit(&house.world()).await.unwrap().depart();
    assert_eq!(outbound.path().destination().as_str(), "west");
    assert!(!said(&outbound).contains(SSN));
    house.record(departed.abandon()).await;
    let intent = house.journal.intents().pop().unwrap();
    assert_eq!(intent.about.destination.as_deref(), Some("west"));
    assert_eq!(intent.about.considered["cloud"], "circuit_open");

    let scanned = house.scan(&says("many", SSN)).unwrap();
    let unchosen = choose(&house, &scanned, &["cloud", "west"], &[]).unwrap_err();
    house.record(scanned.turn_away(&unchosen, house.clock.now())).await;
    let outcome = house.journal.outcomes().pop().unwrap();
    assert_eq!(outcome.code.as_deref(), Some("destination_unavailable"));
    assert_eq!((outcome.outcome.as_str(), outcome.intent), ("refused", None));
    assert_eq!(outcome.about.considered.len(), 2);
    assert_eq!(outcome.about.rules, ["row-0"]);
    assert_eq!(outcome.about.decided, Some(house.clock.now()));
    assert_eq!(house.journal.intents().len(), 1, "only the first left");
}

#[test]
fn the_load_is_shared_by_weight() {
    let to = "to = [{ destination = \"cloud\", model = \"large\", weight = 3 }]\n";
    let route = format!("{to}{}", alternatives(&[("west", "large", Some(1))]));
    let house =
        House { entropy: Seeded::new(5), ..house(&route, &[("tokenize", "*", EVERYWHERE)]) };
    let scanned = house.scan(&says("many", "good morning")).unwrap();
    let west = |_: &u32| line(&choose(&house, &scanned, &[], &[])) == "west";
    let count = (0..2000).filter(west).count();
    // A quarter is 500; four standard deviations are 77.
    assert!((423..=577).contains(&count), "{count}");
}

#[test]
fn a_route_that_stays_inside_has_no_alternative_outside() {
    let to = "to = [{ destination = \"local\", model = \"local\" }]\n";
    let said = refused(&format!("{to}{}", alternatives(&[("cloud", "large", None)])));
    assert!(said.contains("never falls over to one that does not"), "{said}");
}

#[test]
fn a_route_that_cannot_be_is_refused_with_its_reason() {
    let weighed = "to = [{ destination = \"cloud\", model = \"large\" }, { destination = \"west\", model = \"large\", weight = 2 }]\n";
    for (route, words) in [
        (weighed.to_owned(), "only the first has a weight"),
        (format!("{TO_CLOUD}{}", alternatives(&[("cloud", "large", None)])), "another destination"),
        (format!("{TO_CLOUD}{}", alternatives(&[("west", "small", None)])), "does not allow"),
        (format!("{TO_CLOUD}{}", alternatives(&[("nobody", "large", None)])), "there is no"),
        (format!("{TO_CLOUD}{}", alternatives(&[("west", "large", Some(0))])), "from 1 to 100"),
        (format!("{TO_CLOUD}{}", alternatives(&[("west", "large", Some(101))])), "from 1 to 100"),
        (format!("{TO_CLOUD}retry = {{ attempts = 1 }}"), "attempts from 2 to 5"),
        (format!("{TO_CLOUD}retry = {{ attempts = 6 }}"), "attempts from 2 to 5"),
        (format!("{TO_CLOUD}retry = {{ attempts = 2, budget_percent = 0 }}"), "from 1 to 100"),
        (format!("{TO_CLOUD}retry = {{ attempts = 2, budget_percent = 101 }}"), "from 1 to 100"),
    ] {
        let said = refused(&route);
        assert!(said.contains(words), "{route}: {said}");
    }
    let nine: Vec<_> = (0..9).map(|_| ("west", "large", None)).collect();
    assert!(refused(&format!("{TO_CLOUD}{}", alternatives(&nine))).contains("at most 8"));
}

/// Belongs to a special category, and holds no identifier.
pub(crate) const SPECIAL: &str =
    "Started on methadone maintenance at the opioid treatment program, heroin use disorder.";

/// The cloud may have everything as it is, and of special categories nothing, by this policy.
fn guarded(policy: &str) -> House {
    let to = "to = [{ destination = \"cloud\", model = \"large\" }, { destination = \"local\", model = \"local\" }]\n";
    let alternatives = alternatives(&[("west", "large", None)]);
    let rows = [("allow", "*", EVERYWHERE), ("reroute", "*", "[\"local\"]")];
    let text = format!("{}{policy}", file(&format!("{to}{alternatives}"), &rows));
    House { rules: Rules::parse(&text).unwrap(), ..House::new(TOKENIZE) }
}

const ROW: &str = r#"
[[policy]]
id = "part-2-stays-inside"
effect = "block"
classes = ["*"]
categories = ["SUBSTANCE_USE", "PSYCHOTHERAPY_NOTE"]
destinations = ["cloud", "west"]
purposes = ["*"]
"#;

const CEDAR: &str = r#"
[[cedar]]
id = "special"
policy = '''
@id("inside")
forbid (principal, action in [Action::"disclose", Action::"disclose_tokenized", Action::"disclose_redacted"], resource)
when { !resource.inside && context.categories.contains("SUBSTANCE_USE") };
'''
"#;

#[tokio::test]
async fn a_text_of_a_special_category_goes_inside_whatever_was_found_in_it() {
    for policy in [ROW, CEDAR] {
        let house = guarded(policy);
        for (text, expected) in [
            ("good morning", "cloud"),
            (SSN, "cloud"),
            (SPECIAL, "local"),
            (&format!("{SPECIAL} SSN {SSN}"), "local"),
        ] {
            let scanned = house.scan(&says("many", text)).unwrap();
            let decision = choose(&house, &scanned, &[], &[]).unwrap();
            assert_eq!(decision.destination().id(), expected, "{text}");
            let special = expected == "local";
            assert_eq!(decision.categories() == ["SUBSTANCE_USE"], special, "{text}");
            assert_eq!(decision.label() == "rerouted", special);
        }
        // When the machine inside is down, it goes nowhere: not to the cloud, nor to its alternative.
        let scanned = house.scan(&says("many", SPECIAL)).unwrap();
        let chosen = choose(&house, &scanned, &["local"], &[]);
        assert_eq!(line(&chosen), "nowhere local=circuit_open");
        let away = house.scan(&says("many", SPECIAL)).unwrap();
        house.record(away.turn_away(&chosen.unwrap_err(), house.clock.now())).await;
        let outcome = house.journal.outcomes().pop().unwrap();
        assert_eq!(outcome.about.categories, ["SUBSTANCE_USE"]);
        assert!(outcome.about.rules.contains(&"row-1".to_owned()), "{:?}", outcome.about.rules);

        let decision = choose(&house, &scanned, &[], &[]).unwrap();
        let now = house.clock.now();
        let cleared = scanned.clear(&decision, &house.rules, house.map(), now, &house.entropy);
        let (_, departed) = cleared.unwrap().admit(&house.world()).await.unwrap().depart();
        house.record(departed.abandon()).await;
        let intent = house.journal.intents().pop().unwrap();
        assert_eq!(intent.about.categories, ["SUBSTANCE_USE"]);
    }
}

#[tokio::test]
async fn a_text_of_a_special_category_is_blocked_where_no_rule_lets_it_elsewhere() {
    let blocks = ROW.replace("[\"cloud\", \"west\"]", "[\"*\"]");
    let house = guarded(&blocks);
    let scanned = house.scan(&says("many", SPECIAL)).unwrap();
    let unchosen = choose(&house, &scanned, &[], &[]).unwrap_err();
    house.record(scanned.turn_away(&unchosen, house.clock.now())).await;
    let outcome = house.journal.outcomes().pop().unwrap();
    assert_eq!(outcome.code.as_deref(), Some("phi_blocked"));
    assert_eq!(outcome.about.categories, ["SUBSTANCE_USE"]);
    assert_eq!(outcome.about.rules, ["part-2-stays-inside"]);
    assert_eq!(outcome.intent, None);
}

/// The route leads inside first; this class is refused there, and an officer lets it go to the cloud.
fn hybrid(class: &str) -> House {
    let to = "to = [{ destination = \"local\", model = \"local\" }, { destination = \"cloud\", model = \"large\" }]\n";
    let rows = [
        ("allow", "*", "[\"local\"]"),
        ("block", class, "[\"local\"]"),
        ("reroute", "*", "[\"cloud\"]"),
        ("allow", "*", "[\"cloud\"]"),
    ];
    house(to, &rows)
}

#[test]
fn what_the_inside_refused_leaves_only_by_an_officers_permit_and_never_of_a_special_category() {
    // No rule speaks of categories, and none is needed for it.
    for (class, plain) in [("NONE", "good morning".to_owned()), ("SSN", format!("SSN {SSN}"))] {
        let house = hybrid(class);
        let scanned = house.scan(&says("many", &plain)).unwrap();
        let decision = choose(&house, &scanned, &[], &[]).unwrap();
        assert_eq!((decision.destination().id(), decision.label()), ("cloud", "rerouted"));
        let special = format!("{SPECIAL} {plain}");
        let scanned = house.scan(&says("many", &special)).unwrap();
        let Err(Unchosen::Denied(denial)) = choose(&house, &scanned, &[], &[]) else {
            panic!("a text of a special category left the inside");
        };
        assert_eq!(denial.categories(), ["SUBSTANCE_USE"]);
    }
    // What stays inside stays inside.
    let house = hybrid("NONE");
    let scanned = house.scan(&says("many", &format!("SSN {SSN}"))).unwrap();
    assert_eq!(line(&choose(&house, &scanned, &[], &[])), "local");
    assert_eq!(line(&choose(&house, &scanned, &["local"], &[])), "nowhere local=circuit_open");
}

#[test]
fn no_text_is_searched_for_categories_that_no_policy_speaks_of() {
    let house = guarded("");
    let scanned = house.scan(&says("many", SPECIAL)).unwrap();
    let decision = choose(&house, &scanned, &[], &[]).unwrap();
    assert_eq!((decision.destination().id(), decision.categories().len()), ("cloud", 0));
}

#[test]
fn a_row_names_categories_that_there_are() {
    for (from, to, words) in [
        ("\"PSYCHOTHERAPY_NOTE\"", "\"SUD\"", "a category is one of SUBSTANCE_USE"),
        ("[\"SUBSTANCE_USE\", \"PSYCHOTHERAPY_NOTE\"]", "[]", "names nothing"),
    ] {
        let row = ROW.replace(from, to);
        let text = format!("{}{row}", file(TO_CLOUD, &[]));
        let said = Rules::parse(&text).map(drop).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}
