use super::{Ask, CACHED_ASKERS, Decision, Denial, Row, Treatment};
use crate::outcome::Outcome;
use crate::rules::Rules;
use crate::rules::tests::clinic;
use expect_test::expect;
use phi::Class;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const CLASSES: [&str; 3] = ["NAME", "SSN", "NONE"];
const DESTINATIONS: [&str; 2] = ["one", "two"];
const PURPOSES: [&str; 2] = ["treatment", "payment"];

/// Two destinations, each with a route of its own name, and `policy`.
fn rules(policy: &str) -> Rules {
    let mut text = "schema = 1\n".to_owned();
    for purpose in PURPOSES {
        write!(text, "[[purpose]]\nid = \"{purpose}\"\ntitle = \"A purpose\"\n").unwrap();
    }
    for id in DESTINATIONS {
        write!(
            text,
            "[[hop]]\nid = \"{id}\"\nentity = \"X\"\nrole = \"inference\"\nsees = \"content\"\nboundary = \"outside\"\nhosts = [\"{id}.example\"]\n\
             [[destination]]\nid = \"{id}\"\ntitle = \"X\"\ndialect = \"openai\"\nurl = \"https://{id}.example\"\ncredential = \"none\"\nhops = [\"{id}\"]\nmodels = [\"m\"]\n\
             [[route]]\nmodel = \"{id}\"\nto = [{{ destination = \"{id}\", model = \"m\" }}]\n"
        )
        .unwrap();
    }
    text.push_str("[[route]]\nmodel = \"either\"\nto = [{ destination = \"one\", model = \"m\" }, { destination = \"two\", model = \"m\" }]\n");
    text.push_str(policy);
    Rules::parse(&text).unwrap()
}

fn row(id: &str, effect: &str, class: &str, destination: &str, purpose: &str) -> String {
    format!(
        "[[policy]]\nid = \"{id}\"\neffect = \"{effect}\"\nclasses = [\"{class}\"]\ndestinations = [\"{destination}\"]\npurposes = [\"{purpose}\"]\n"
    )
}

fn cedar(text: &str) -> String {
    format!("[[cedar]]\nid = \"own\"\npolicy = '''\n{text}\n'''\n")
}

fn decide(
    rules: &Rules,
    classes: &[&str],
    route: &str,
    purpose: Option<&str>,
) -> Result<Decision, Denial> {
    decide_as("key_1", rules, classes, route, purpose)
}

fn decide_as(
    caller: &str,
    rules: &Rules,
    classes: &[&str],
    route: &str,
    purpose: Option<&str>,
) -> Result<Decision, Denial> {
    let classes: BTreeSet<Class> = classes
        .iter()
        .filter(|class| **class != "NONE")
        .map(|class| class.parse().unwrap())
        .collect();
    let route = rules.route(route).unwrap();
    rules.decide(
        &classes,
        &Ask { caller, owner: "pat", purpose, surface: "api", categories: &BTreeSet::new(), route },
    )
}

/// The decision in one line.
fn line(result: &Result<Decision, Denial>) -> String {
    match result {
        Ok(decision) => {
            let mut out = format!("{} {}", decision.label(), decision.destination().id());
            for (class, treatment) in decision.treatments() {
                write!(out, " {class}={}", treatment.as_str()).unwrap();
            }
            format!("{out} by {}", decision.rules().join(","))
        }
        Err(denial) => {
            let classes: Vec<_> = denial.classes().iter().map(|class| class.label()).collect();
            let how = if denial.failed() { "failed" } else { "blocked" };
            format!("{how} {} by {}", classes.join(","), denial.rules().join(","))
        }
    }
}

fn check(rules: &Rules, classes: &[&str], route: &str, purpose: &str, expected: &str) {
    assert_eq!(line(&decide(rules, classes, route, Some(purpose))), expected);
}

/// How faithful a decision about one class is: 0 blocked, 1 redacted, 2 tokenized, 3 disclosed.
fn fidelity(rules: &Rules, class: &str, destination: &str, purpose: &str) -> u8 {
    let decided = decide(rules, &[class], destination, Some(purpose));
    match decided {
        // Of text in which nothing was found, only whether it may go can be seen.
        Ok(decision) if class == "NONE" => {
            assert_eq!((decision.label(), decision.tokenizes()), ("allowed", false));
            1
        }
        Ok(decision) => match decision.treatment(class.parse().unwrap()) {
            Treatment::Disclose => 3,
            Treatment::Tokenize => 2,
            Treatment::Redact => 1,
        },
        Err(denial) => {
            assert!(!denial.failed());
            0
        }
    }
}

fn cells() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    CLASSES.into_iter().flat_map(|class| {
        DESTINATIONS.into_iter().flat_map(move |destination| {
            PURPOSES.into_iter().map(move |purpose| (class, destination, purpose))
        })
    })
}

#[test]
fn a_row_permits_exactly_its_own_cell_of_the_matrix() {
    for (effect, granted) in [("allow", 3), ("tokenize", 2), ("redact", 1)] {
        for cell in cells() {
            let rules = rules(&row("row", effect, cell.0, cell.1, cell.2));
            for (class, destination, purpose) in cells() {
                let expected = match (cell == (class, destination, purpose), class) {
                    (false, _) => 0,
                    (true, "NONE") => 1,
                    (true, _) => granted,
                };
                let found = fidelity(&rules, class, destination, purpose);
                assert_eq!(found, expected, "{effect} {cell:?}: {class} {destination} {purpose}");
            }
        }
    }
}

#[test]
fn a_block_takes_exactly_its_own_cell_out_of_what_is_permitted() {
    let permitted =
        DESTINATIONS.map(|id| row(&format!("all-{id}"), "allow", "*", id, "*")).concat();
    for cell in cells() {
        let rules = rules(&(permitted.clone() + &row("row", "block", cell.0, cell.1, cell.2)));
        for (class, destination, purpose) in cells() {
            let blocked = cell == (class, destination, purpose);
            assert_eq!(fidelity(&rules, class, destination, purpose) == 0, blocked, "{cell:?}");
        }
    }
}

#[test]
fn a_reroute_row_alone_permits_nothing() {
    for cell in cells() {
        let rules = rules(&row("row", "reroute", cell.0, cell.1, cell.2));
        for (class, destination, purpose) in cells() {
            assert_eq!(fidelity(&rules, class, destination, purpose), 0);
        }
    }
}

#[test]
fn without_a_policy_everything_is_blocked() {
    let rules = rules("");
    for (class, destination, purpose) in cells() {
        assert_eq!(fidelity(&rules, class, destination, purpose), 0);
    }
    check(&rules, &["NAME", "SSN"], "either", "treatment", "blocked NAME,SSN by ");
    check(&rules, &[], "either", "treatment", "blocked  by ");
}

#[test]
fn the_most_faithful_permitted_treatment_is_taken_and_one_refused_class_refuses_the_text() {
    let rules = rules(
        &(row("redact", "redact", "*", "one", "*")
            + &row("tokenize", "tokenize", "NAME", "one", "*")
            + &row("allow", "allow", "AGE", "one", "treatment")
            + &row("never", "block", "SSN", "*", "*")),
    );
    check(&rules, &["AGE"], "one", "treatment", "allowed one AGE=disclosed by allow");
    check(
        &rules,
        &["AGE", "NAME"],
        "one",
        "treatment",
        "tokenized one NAME=tokenized AGE=disclosed by allow,tokenize",
    );
    check(
        &rules,
        &["AGE", "NAME", "DATE"],
        "one",
        "payment",
        "redacted one NAME=tokenized DATE=redacted AGE=redacted by redact,tokenize",
    );
    check(&rules, &[], "one", "treatment", "allowed one by redact");
    check(&rules, &["NAME", "SSN"], "one", "treatment", "blocked SSN by never");
    check(&rules, &["NAME"], "two", "treatment", "blocked NAME by ");
}

#[test]
fn a_class_that_was_not_asked_about_is_redacted() {
    let rules = rules(&row("all", "allow", "*", "one", "*"));
    let decision = decide(&rules, &["NAME"], "one", Some("treatment")).unwrap();
    assert_eq!(decision.treatment(Class::Name), Treatment::Disclose);
    assert_eq!(decision.treatment(Class::Ssn), Treatment::Redact);
}

#[test]
fn a_purpose_that_nobody_registered_matches_no_row() {
    let rules = rules(&row("all", "allow", "*", "one", "*"));
    check(&rules, &["NAME"], "one", "marketing", "blocked NAME by ");
    check(&rules, &["NAME"], "one", "", "blocked NAME by ");
    let without = decide(&rules, &["NAME"], "one", None);
    assert_eq!(line(&without), "allowed one NAME=disclosed by all");
    let rules = self::rules(&PURPOSES.map(|p| row(p, "allow", "*", "one", p)).concat());
    assert_eq!(line(&decide(&rules, &["NAME"], "one", None)), "blocked NAME by ");
}

#[test]
fn what_the_first_destination_refuses_goes_where_a_row_permits() {
    let rules = clinic(&[]);
    check(
        &rules,
        &["NAME", "SSN"],
        "assistant",
        "treatment",
        "rerouted local NAME=disclosed SSN=disclosed by cloud-never,keep-at-home,local-treatment-allow",
    );
    check(
        &rules,
        &["NAME", "SSN"],
        "assistant",
        "payment",
        "rerouted local NAME=tokenized SSN=tokenized by cloud-never,keep-at-home,local-other-tokenize",
    );
    // No row permits to re-route this purpose, and this route has no second destination.
    check(&rules, &["SSN"], "assistant", "operations", "blocked SSN by cloud-never");
    check(&rules, &["SSN"], "assistant-small", "treatment", "blocked SSN by cloud-never");
    // AGE has no treatment for payment in the cloud, and may not be re-routed either.
    check(&rules, &["AGE", "SSN"], "assistant", "payment", "blocked AGE,SSN by cloud-never");
    // What is permitted at the first destination is not re-routed.
    let decision = decide(&rules, &["NAME"], "assistant", Some("treatment")).unwrap();
    assert_eq!((decision.label(), decision.model()), ("tokenized", "example-large"));
    let decision = decide(&rules, &["SSN"], "assistant", Some("treatment")).unwrap();
    assert_eq!((decision.label(), decision.model()), ("rerouted", "local"));
}

#[test]
fn a_reroute_needs_a_treatment_for_every_class_where_it_leads() {
    let base = row("move", "reroute", "SSN", "two", "*")
        + &row("ssn", "redact", "SSN", "two", "*")
        + &row("one", "allow", "NAME", "one", "*");
    check(&rules(&base), &["NAME", "SSN"], "either", "treatment", "blocked SSN by ");
    let with_name = base + &row("name", "tokenize", "NAME", "two", "*");
    check(
        &rules(&with_name),
        &["NAME", "SSN"],
        "either",
        "treatment",
        "rerouted two NAME=tokenized SSN=redacted by move,name,ssn",
    );
}

#[test]
fn an_engineers_cedar_forbids_beside_the_matrix() {
    let rules = clinic(&[]);
    let route = rules.route("assistant").unwrap();
    let none = BTreeSet::new();
    let ask = |surface| Ask {
        caller: "key_1",
        owner: "pat",
        purpose: Some("treatment"),
        surface,
        categories: &none,
        route,
    };
    let names = BTreeSet::from([Class::Name]);
    assert_eq!(
        line(&rules.decide(&names, &ask("studio"))),
        "blocked NAME by surfaces/studio-stays-inside"
    );
    assert_eq!(
        line(&rules.decide(&names, &ask("api"))),
        "tokenized examplecloud NAME=tokenized by cloud-tokenize"
    );
}

#[test]
fn cedar_sees_the_caller_the_owner_and_where_a_reroute_comes_from() {
    let rules = rules(
        &(cedar(
            "@id(\"k\") permit (principal == Caller::\"key_2\", action == Action::\"disclose\", resource == Destination::\"one\");\n\
             permit (principal, action == Action::\"reroute\", resource) when { context.from == \"one\" && principal.owner == \"pat\" };",
        ) + &row("two", "redact", "*", "two", "*")),
    );
    let as_caller = |caller| line(&decide_as(caller, &rules, &["NAME"], "either", Some("payment")));
    let rerouted = "rerouted two NAME=redacted by own/policy1,two";
    assert_eq!(as_caller("key_1"), rerouted);
    assert_eq!(as_caller("key_2"), "allowed one NAME=disclosed by own/k");
    // From the cache too, each caller gets its own answer.
    assert_eq!(as_caller("key_1"), rerouted);
    assert_eq!(as_caller("key_2"), "allowed one NAME=disclosed by own/k");
    let route = rules.route("either").unwrap();
    let ask = Ask {
        caller: "key_1",
        owner: "sam",
        purpose: None,
        surface: "api",
        categories: &BTreeSet::new(),
        route,
    };
    assert_eq!(line(&rules.decide(&BTreeSet::from([Class::Name]), &ask)), "blocked NAME by ");
    let strange = "a\"b\\c\n";
    assert_eq!(as_caller(strange), rerouted);
}

#[test]
fn a_policy_that_fails_refuses_whatever_the_others_permit() {
    let overflow = "9223372036854775807 + 1 > 0";
    for (effect, action) in
        [("forbid", "disclose"), ("permit", "disclose"), ("forbid", "disclose_redacted")]
    {
        let rules = rules(
            &(row("all", "redact", "*", "one", "*")
                + &cedar(&format!(
                    "@id(\"broken\") {effect} (principal, action == Action::\"{action}\", resource) when {{ {overflow} }};"
                ))),
        );
        let denied = decide(&rules, &["NAME"], "one", Some("treatment"));
        assert_eq!(line(&denied), "failed NAME by own/broken");
        assert!(matches!(denied.unwrap_err().outcome(), Outcome::FailedClosed(_)));
        // A kept failure stays a failure.
        check(&rules, &["NAME"], "one", "treatment", "failed NAME by own/broken");
    }
    // A re-route is not taken when the question whether it is permitted fails.
    let rules = rules(
        &(row("two", "allow", "*", "two", "*")
            + &row("move", "reroute", "*", "two", "*")
            + &cedar(&format!(
                "forbid (principal, action == Action::\"reroute\", resource) when {{ {overflow} }};"
            ))),
    );
    check(&rules, &["NAME"], "either", "treatment", "failed NAME by own/policy0");
}

#[test]
fn cedar_that_does_not_fit_the_schema_is_refused_when_the_file_is_read() {
    let refused = |text: &str| {
        let file = format!("schema = 1\n{}", cedar(text));
        Rules::parse(&file).unwrap_err().to_string()
    };
    let check = |text: &str, place: &str| {
        let message = refused(text);
        assert!(message.starts_with(place), "{message}");
    };
    check("permit (principal, action, resource", "cedar \"own\", field \"policy\": does not parse");
    check(
        "permit (principal == ?principal, action, resource);",
        "cedar \"own\", field \"policy\": templates",
    );
    check(
        "@id(\"a\") permit (principal, action, resource); @id(\"a\") forbid (principal, action, resource);",
        "cedar \"own\", field \"policy\": two policies have the same id",
    );
    for text in [
        "permit (principal, action == Action::\"read\", resource);",
        "permit (principal, action, resource) when { context.clas == \"SSN\" };",
        "permit (principal, action, resource) when { context.class == 1 };",
        "permit (principal, action, resource) when { context.from == \"one\" };",
        "permit (principal == User::\"x\", action, resource);",
    ] {
        check(text, "the policies together, field \"policy\": does not fit the schema");
    }
}

#[test]
fn a_denial_ends_as_a_sentence_without_anything_that_was_sent() {
    let rules = rules(&row("never", "block", "SSN", "*", "*"));
    let message = |classes: &[&str]| {
        let denied = decide(&rules, classes, "one", Some("treatment")).unwrap_err();
        let Outcome::Refused(refusal) = denied.outcome() else { panic!("not a refusal") };
        format!("{}: {}", refusal.code.as_str(), refusal.message)
    };
    assert_eq!(
        message(&["NAME", "SSN"]),
        "phi_blocked: The policy permits no treatment of NAME, SSN at destination \"one\" for this purpose."
    );
    assert_eq!(
        message(&[]),
        "phi_blocked: The policy permits no treatment of text in which nothing was found at destination \"one\" for this purpose."
    );
}

#[test]
fn a_row_compiles_to_cedar_that_people_can_read() {
    let raw = toml::from_str(
        "id = \"cloud-never\"\neffect = \"block\"\nclasses = [\"SSN\", \"NONE\"]\ndestinations = [\"one\", \"two\"]\npurposes = [\"payment\"]",
    );
    let row = Row::parse(&raw.unwrap()).unwrap();
    expect![[r#"
        @id("cloud-never")
        forbid (principal, action == Action::"disclose", resource)
        when { ["SSN", "NONE"].contains(context.class) && ["payment"].contains(context.purpose) && [Destination::"one", Destination::"two"].contains(resource) };"#]]
    .assert_eq(&row.cedar("disclose"));
}

#[test]
fn the_kept_rulings_are_bounded_and_answer_like_fresh_ones() {
    let rules = rules(&row("all", "tokenize", "NAME", "one", "*"));
    for number in 0..CACHED_ASKERS + 10 {
        let caller = format!("key_{number}");
        let decided = decide_as(&caller, &rules, &["NAME"], "one", Some("payment"));
        assert_eq!(line(&decided), "tokenized one NAME=tokenized by all");
        assert!(rules.policy().cache.read().unwrap().len() <= CACHED_ASKERS);
    }
    check(&rules, &["NAME", "SSN"], "one", "payment", "blocked SSN by ");
    check(&rules, &["NAME"], "one", "payment", "tokenized one NAME=tokenized by all");
}

fn any_row() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    (0..4_usize, 0..CLASSES.len() + 1, 0..DESTINATIONS.len(), 0..PURPOSES.len() + 1)
}

fn write_row(
    id: &str,
    (effect, class, destination, purpose): (usize, usize, usize, usize),
) -> String {
    let star = |items: &[&'static str], index: usize| items.get(index).copied().unwrap_or("*");
    row(
        id,
        ["allow", "tokenize", "redact", "block"][effect],
        star(&CLASSES, class),
        DESTINATIONS[destination],
        star(&PURPOSES, purpose),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_further_permission_changes_no_cell_but_its_own(
        rows in prop::collection::vec(any_row(), 0..6),
        (effect, class, destination, purpose) in any_row(),
    ) {
        let added = (effect % 3, class, destination, purpose);
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            text.push_str(&write_row(&format!("r{index}"), *row));
        }
        let before = rules(&text);
        let after = rules(&(text + &write_row("added", added)));
        for (c, d, p) in cells() {
            let inside = CLASSES.get(class).is_none_or(|item| *item == c)
                && DESTINATIONS[destination] == d
                && PURPOSES.get(purpose).is_none_or(|item| *item == p);
            let (was, is) = (fidelity(&before, c, d, p), fidelity(&after, c, d, p));
            if inside {
                prop_assert!(is >= was, "a permission took something away");
            } else {
                prop_assert_eq!(is, was);
            }
        }
    }

    #[test]
    fn a_further_block_never_loosens_a_cell(
        rows in prop::collection::vec(any_row(), 0..6),
        (_, class, destination, purpose) in any_row(),
    ) {
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            text.push_str(&write_row(&format!("r{index}"), *row));
        }
        let before = rules(&text);
        let after = rules(&(text + &write_row("added", (3, class, destination, purpose))));
        for (c, d, p) in cells() {
            prop_assert!(fidelity(&after, c, d, p) <= fidelity(&before, c, d, p));
        }
    }
}
