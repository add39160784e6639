use super::Capability;
use crate::outcome::Code;
use crate::path::{Features, PLAIN};
use crate::rules::Rules;
use crate::rules::tests::{at, clinic};
use std::collections::BTreeSet;

const IN_FORCE: &str = "2026-06-01T12:00:00Z";
const SCOPE: &str = "modalities = [\"text\"]\n";
const NO_TRAINING: &str = "no_training = true\n";
const CONSTRAINED: (&str, &str) =
    ("[hosting]\n", "[constraints]\nzdr_required = true\n\n[hosting]\n");

/// Covers the path to the cloud with an edited example, and says how it went.
fn cover(edits: &[(&str, &str)], moment: &str, capabilities: &[Capability]) -> String {
    let rules = clinic(edits);
    let capabilities: BTreeSet<Capability> = capabilities.iter().copied().collect();
    let features = Features {
        api: "chat.completions",
        model: "example-large",
        modality: "text",
        capabilities: &capabilities,
    };
    let cloud = rules.destination("examplecloud").unwrap();
    match rules.cover(cloud, &features, at(moment)) {
        Ok(_) => "covered".to_owned(),
        Err(gap) => {
            let word = Capability::ALL.iter().find(|it| it.as_str() == gap.reason());
            let of_capability = gap.code() == Code::CapabilityNotEligible;
            assert!(of_capability == word.is_some());
            assert!(of_capability || gap.reason() == gap.code().as_str());
            assert_eq!(gap.hop().unwrap().as_str(), "examplecloud-inference");
            format!("{}: {gap}", gap.code().as_str())
        }
    }
}

fn check(edits: &[(&str, &str)], capabilities: &[Capability], expected: &str) {
    let said = cover(edits, IN_FORCE, capabilities);
    assert!(said.contains(expected), "{edits:?} {capabilities:?}: {said}");
}

fn refused(edits: &[(&str, &str)]) -> String {
    let mut text = include_str!("../../../../examples/clinic.toml").to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Rules::parse(&text).unwrap_err().to_string()
}

fn scope(more: &str) -> String {
    format!("{SCOPE}{more}\n")
}

const TRAINS: &str = "training_not_excluded: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" has no term against training";

#[test]
fn nothing_leaves_to_a_vendor_whose_terms_do_not_exclude_training() {
    check(&[], &[], "covered");
    check(&[(NO_TRAINING, "")], &[], TRAINS);
    check(&[(NO_TRAINING, "no_training = false\n")], &[], TRAINS);
    check(&[(NO_TRAINING, ""), (SCOPE, &scope("training = \"permitted\""))], &[], TRAINS);
    check(&[(NO_TRAINING, ""), (SCOPE, &scope("training = \"none\""))], &[], "covered");
    check(&[(SCOPE, &scope("training = \"none\""))], &[], "covered");
}

/// The example with an opt-out in the place of a contract that forbids training.
fn opted_out(expires: &str) -> [(String, String); 3] {
    let evidence = format!(
        "[[evidence]]\nid = \"opt-out\"\nentity = \"Example Cloud Inc. (synthetic)\"\n\
         basis = \"The account's setting, seen by the privacy officer\"\n\
         under = \"baa-examplecloud\"\ndated = 2026-02-01\nexpires = {expires}\n\n[[evidence]]\n"
    );
    [
        (NO_TRAINING.to_owned(), String::new()),
        (SCOPE.to_owned(), scope("training = \"opt_out\"\nopt_out_evidence = \"opt-out\"")),
        ("[[evidence]]\n".to_owned(), evidence),
    ]
}

fn as_edits(edits: &[(String, String)]) -> Vec<(&str, &str)> {
    edits.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect()
}

#[test]
fn an_opt_out_is_as_good_as_its_evidence_is_today() {
    let edits = opted_out("2027-02-01");
    let edits = as_edits(&edits);
    let lapsed = "training_not_excluded: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" excludes training by \"opt-out\" only, which is not in force";
    assert_eq!(cover(&edits, "2026-01-31T23:59:59Z", &[]), lapsed);
    assert_eq!(cover(&edits, "2026-02-01T00:00:00Z", &[]), "covered");
    assert_eq!(cover(&edits, "2027-01-31T23:59:59Z", &[]), "covered");
    assert_eq!(cover(&edits, "2027-02-01T00:00:00Z", &[]), lapsed);
    // It is warned of like every other evidence.
    let rules = clinic(&edits);
    let warned: Vec<_> = rules.registry().expiring(at("2027-01-30T00:00:00Z"));
    assert!(warned.iter().any(|it| it.id.as_str() == "opt-out" && it.days == 7), "{warned:?}");
}

#[test]
fn an_opt_out_without_evidence_of_this_vendor_is_no_file() {
    let with = |more: &str| refused(&[(NO_TRAINING, ""), (SCOPE, &scope(more))]);
    assert!(with("training = \"opt_out\"").contains("name the [[evidence]]"));
    let unknown = with("training = \"opt_out\"\nopt_out_evidence = \"opt-out\"");
    assert!(unknown.contains("there is no [[evidence]] with this id"), "{unknown}");
    // The evidence of the subcontractor is about another party.
    let other = with("training = \"opt_out\"\nopt_out_evidence = \"chain-examplechips\"");
    assert!(other.contains("of its counterparty"), "{other}");
    let alone = with("opt_out_evidence = \"chain-examplechips\"");
    assert!(alone.contains("belongs to training = \"opt_out\" only"), "{alone}");
    let contradiction = refused(&[(SCOPE, &scope("training = \"permitted\""))]);
    assert!(contradiction.contains("contradicts no_training = true"), "{contradiction}");
    let unclear = refused(&[(SCOPE, &scope("training = \"maybe\""))]);
    assert!(unclear.contains("expected one of `none`, `opt_out`, `permitted`"), "{unclear}");
}

#[test]
fn where_nothing_may_be_kept_a_vendor_must_say_that_nothing_is() {
    let keeps = "retention_not_zero: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" does not say that nothing is kept";
    check(&[CONSTRAINED], &[], "covered");
    for (from, to) in [
        ("retention_days = 0\n", ""),
        ("retention_days = 0\n", "retention_days = 1\n"),
        ("abuse_monitoring_days = 0\n", ""),
        ("abuse_monitoring_days = 0\n", "abuse_monitoring_days = 30\n"),
    ] {
        check(&[CONSTRAINED, (from, to)], &[], keeps);
        check(&[(from, to)], &[], "covered");
    }
    let off = ("[hosting]\n", "[constraints]\nzdr_required = false\n\n[hosting]\n");
    check(&[off, ("retention_days = 0\n", "retention_days = 30\n")], &[], "covered");
    assert!(refused(&[("retention_days = 0", "retention_days = 36526")]).contains("36525"));
}

#[test]
fn the_regions_and_zero_retention_are_asked_for_together_or_alone() {
    let both =
        ("[hosting]\n", "[constraints]\nregions = [\"us-*\"]\nzdr_required = true\n\n[hosting]\n");
    check(&[both], &[], "covered");
    check(&[both, ("retention_days = 0\n", "")], &[], "retention_not_zero");
    let none = refused(&[("[hosting]\n", "[constraints]\nregions = []\n\n[hosting]\n")]);
    assert!(none.contains("names nothing"), "{none}");
}

#[test]
fn what_is_not_recorded_as_eligible_is_refused() {
    check(&[], &[Capability::StructuredOutputs, Capability::PromptCaching], "covered");
    check(
        &[],
        &[Capability::StructuredOutputs, Capability::WebSearch],
        "capability_not_eligible: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" does not record \"web_search\" as eligible",
    );
    let none = ("eligible = [\"structured_outputs\", \"prompt_caching\"]\n", "");
    check(&[none], &[], "covered");
    for &capability in Capability::ALL {
        let expected = format!("does not record \"{capability}\" as eligible");
        check(&[none], &[capability], &expected);
        let named = format!("eligible = [\"{capability}\"]\n");
        check(&[(none.0, &named)], &[capability], "covered");
    }
    let twice = "eligible = [\"files\", \"files\"]\n";
    assert!(refused(&[(none.0, twice)]).contains("names the same item twice"));
    assert!(refused(&[(none.0, "eligible = [\"mind_reading\"]\n")]).contains("expected one of"));
}

#[test]
fn the_terms_of_two_scopes_do_not_add_up() {
    // With a schema the vendor keeps something for a day; without, nothing.
    let two = format!(
        "{SCOPE}retention_days = 1\nabuse_monitoring_days = 0\neligible = [\"structured_outputs\"]\n\n\
         [[agreement.scope]]\nservices = [\"inference-api\"]\ntiers = [\"enterprise\"]\n\
         regions = [\"*\"]\napis = [\"chat.completions\"]\nmodels = [\"*\"]\n{SCOPE}"
    );
    let eligible = ("eligible = [\"structured_outputs\", \"prompt_caching\"]\n", "");
    let edits = [(SCOPE, two.as_str()), eligible];
    check(&edits, &[Capability::StructuredOutputs], "covered");
    check(&[CONSTRAINED, edits[0], edits[1]], &[], "covered");
    check(
        &[CONSTRAINED, edits[0], edits[1]],
        &[Capability::StructuredOutputs],
        "capability_not_eligible",
    );
}

#[test]
fn the_terms_of_a_party_that_only_keeps_or_carries_are_not_asked() {
    let rules = clinic(&[(NO_TRAINING, "")]);
    let local = rules.destination("local").unwrap();
    let features =
        Features { api: "chat.completions", model: "local", modality: "text", capabilities: PLAIN };
    assert!(rules.cover(local, &features, at(IN_FORCE)).is_ok());
    // The same agreement, for a party that answers nothing.
    let network = [
        (NO_TRAINING, ""),
        ("role = \"inference\"\nservice", "role = \"network\"\nservice"),
        (
            "hops = [\"examplecloud-inference\", \"examplechips-machines\"]",
            "hops = [\"examplecloud-inference\", \"examplechips-machines\", \"clinic-model\"]",
        ),
    ];
    check(&network, &[], "covered");
}

#[test]
fn each_capability_is_one_word_of_its_own() {
    let words: BTreeSet<&str> = Capability::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(words.len(), Capability::ALL.len());
    assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    let manual = include_str!("../../../../docs/configuration.md");
    for word in words {
        assert!(manual.contains(&format!("`{word}`")), "{word}");
    }
}
