use super::{Features, PLAIN};
use crate::rules::tests::{at, clinic};
use ledger::CoverKind;

const IN_FORCE: &str = "2026-06-01T12:00:00Z";
const CHAT: Features<'_> = Features {
    api: "chat.completions",
    model: "example-large",
    modality: "text",
    capabilities: PLAIN,
};

/// Covers the path to the cloud with an edited example, and says how it went.
fn cloud(edits: &[(&str, &str)], moment: &str, features: &Features<'_>) -> String {
    let rules = clinic(edits);
    let cloud = rules.destination("examplecloud").unwrap();
    match rules.cover(cloud, features, at(moment)) {
        Ok(_) => "covered".to_owned(),
        Err(gap) => format!("{}: {gap}", gap.code().as_str()),
    }
}

fn check(edits: &[(&str, &str)], expected: &str) {
    assert_eq!(cloud(edits, IN_FORCE, &CHAT), expected, "{edits:?}");
}

#[test]
fn a_covered_path_names_every_hop_and_what_covers_it() {
    let rules = clinic(&[]);
    let cloud = rules.destination("examplecloud").unwrap();
    let covered = rules.cover(cloud, &CHAT, at(IN_FORCE)).unwrap();
    let covers: Vec<_> =
        covered.covers().iter().map(|c| (c.hop.as_str(), c.by, c.id.as_deref())).collect();
    assert_eq!(
        covers,
        [
            ("clinic-server", CoverKind::Inside, None),
            ("examplecloud-inference", CoverKind::Agreement, Some("baa-examplecloud")),
            ("examplechips-machines", CoverKind::Evidence, Some("chain-examplechips")),
        ]
    );
    assert_eq!(covered.destination().as_str(), "examplecloud");
    assert_eq!(covered.endpoint().to_string(), "https://api.examplecloud.example:443/v1");
    assert_eq!(covered.model(), "example-large");
}

#[test]
fn a_path_is_covered_exactly_while_its_agreement_is_in_force() {
    let check = |moment: &str, expected: &str| assert_eq!(cloud(&[], moment, &CHAT), expected);
    check("2026-01-15T00:00:00Z", "covered");
    check(
        "2025-12-31T23:59:59.999999Z",
        "baa_uncovered_hop: hop \"examplecloud-inference\" has no agreement in force: \"baa-examplecloud\" begins on 2026-01-01",
    );
    check(
        "2029-01-01T00:00:00Z",
        "baa_uncovered_hop: hop \"examplecloud-inference\" has no agreement in force: \"baa-examplecloud\" expired on 2029-01-01",
    );
}

#[test]
fn a_terminated_agreement_covers_nothing() {
    check(
        &[("no_training = true", "no_training = true\nterminated = 2026-05-31")],
        "baa_uncovered_hop: hop \"examplecloud-inference\" has no agreement in force: \"baa-examplecloud\" was terminated on 2026-05-31",
    );
}

#[test]
fn evidence_that_lapsed_breaks_the_path_and_renewing_it_mends_it() {
    let lapsed = ("expires = 2028-01-15", "expires = 2026-06-01");
    check(
        &[lapsed],
        "baa_uncovered_hop: hop \"examplechips-machines\" has no chain evidence in force: \"chain-examplechips\" expired on 2026-06-01",
    );
    check(&[("expires = 2028-01-15", "expires = 2026-06-02")], "covered");
}

#[test]
fn evidence_covers_only_the_entity_and_the_chain_that_it_names() {
    check(
        &[(
            "entity = \"Example Chips LLC (synthetic)\"\nbasis",
            "entity = \"Example Chops LLC (synthetic)\"\nbasis",
        )],
        "baa_uncovered_hop: hop \"examplechips-machines\" is another legal entity than the one that \"chain-examplechips\" names",
    );
    check(
        &[
            (
                "hops = [\"examplecloud-inference\", \"examplechips-machines\"]",
                "hops = [\"clinic-model\", \"examplechips-machines\"]",
            ),
            ("url = \"https://api.examplecloud.example/v1\"", "url = \"http://127.0.0.1:8089\""),
        ],
        "baa_uncovered_hop: hop \"examplechips-machines\" is outside the chain: \"chain-examplechips\" stands under \"baa-examplecloud\", which covers no hop of this path",
    );
}

#[test]
fn an_inside_hop_that_names_the_agreement_carries_no_chain() {
    // The agreement of a hop inside the boundary is never looked at, so it can lapse unseen.
    check(
        &[
            (
                "hops = [\"examplecloud-inference\", \"examplechips-machines\"]",
                "hops = [\"clinic-model\", \"examplechips-machines\"]",
            ),
            ("url = \"https://api.examplecloud.example/v1\"", "url = \"http://127.0.0.1:8089\""),
            (
                "hosts = [\"127.0.0.1:8089\"]",
                "hosts = [\"127.0.0.1:8089\"]\nagreement = \"baa-examplecloud\"",
            ),
        ],
        "baa_uncovered_hop: hop \"examplechips-machines\" is outside the chain: \"chain-examplechips\" stands under \"baa-examplecloud\", which covers no hop of this path",
    );
}

#[test]
fn an_agreement_covers_only_its_counterparty() {
    check(
        &[("counterparty = \"Example Cloud Inc.", "counterparty = \"Example Clod Inc.")],
        "baa_uncovered_hop: hop \"examplecloud-inference\" is another legal entity than the one that \"baa-examplecloud\" names",
    );
}

#[test]
fn without_an_agreement_there_is_no_path() {
    check(
        &[("agreement = \"baa-examplecloud\"\n", "")],
        "baa_uncovered_hop: hop \"examplecloud-inference\" has no agreement and no chain evidence",
    );
}

#[test]
fn every_feature_of_the_request_must_be_in_one_scope() {
    let scope = |value: &str| {
        format!(
            "baa_scope: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" does not name {value}"
        )
    };
    check(
        &[("service = \"inference-api\"", "service = \"chat-app\"")],
        &scope("the service \"chat-app\""),
    );
    check(&[("service = \"inference-api\"\n", "")], &scope("a missing service"));
    check(
        &[(
            "tier = \"enterprise\"\nregion = \"us-east\"\nsees = \"content\"",
            "tier = \"startup\"\nregion = \"us-east\"\nsees = \"content\"",
        )],
        &scope("the tier \"startup\""),
    );
    check(&[("regions = [\"us-east\", ", "regions = [\"eu\", ")], &scope("the region \"us-east\""));
    check(
        &[("region = \"us-east\"\nsees = \"content\"", "sees = \"content\"")],
        &scope("a missing region"),
    );
    let asked = |features| cloud(&[], IN_FORCE, &features);
    assert_eq!(asked(Features { api: "files", ..CHAT }), scope("the API \"files\""));
    assert_eq!(
        asked(Features { model: "example-beta", ..CHAT }),
        scope("the model \"example-beta\"")
    );
    assert_eq!(asked(Features { modality: "image", ..CHAT }), scope("the modality \"image\""));
    // A list that is not written names nothing.
    check(&[("apis = [\"chat.completions\"]\n", "")], &scope("the API \"chat.completions\""));
    check(&[("modalities = [\"text\"]\n", "")], &scope("the modality \"text\""));
}

#[test]
fn two_scopes_do_not_add_up() {
    let second = "modalities = [\"text\"]\n\n[[agreement.scope]]\nservices = [\"inference-api\"]\ntiers = [\"enterprise\"]\nregions = [\"*\"]\napis = [\"files\"]\nmodels = [\"*\"]\nmodalities = [\"text\"]\n";
    let edits = [("modalities = [\"text\"]\n", second)];
    let files = Features { api: "files", ..CHAT };
    assert_eq!(cloud(&edits, IN_FORCE, &files), "covered");
    assert_eq!(cloud(&edits, IN_FORCE, &Features { model: "anything", ..files }), "covered");
    assert_eq!(
        cloud(&edits, IN_FORCE, &Features { model: "anything", ..CHAT }),
        "baa_scope: hop \"examplecloud-inference\" is not covered for this: \"baa-examplecloud\" does not name the model \"anything\"",
    );
}

#[test]
fn a_consumer_tier_is_not_covered_even_by_an_agreement_that_names_it() {
    for tier in ["consumer", "free", "team", "personal", "trial"] {
        let hop = format!("service = \"inference-api\"\ntier = \"{tier}\"");
        let scope = format!("tiers = [\"{tier}\"]");
        check(
            &[
                ("service = \"inference-api\"\ntier = \"enterprise\"", &hop),
                ("tiers = [\"enterprise\"]", &scope),
            ],
            &format!(
                "baa_uncovered_hop: hop \"examplecloud-inference\" is on the tier \"{tier}\", which no agreement covers"
            ),
        );
    }
    check(
        &[("service = \"inference-api\"\ntier = \"enterprise\"", "service = \"inference-api\"")],
        "baa_uncovered_hop: hop \"examplecloud-inference\" names no tier, so it counts as a consumer tier, which no agreement covers",
    );
}

#[test]
fn without_a_hosting_hop_every_path_is_broken() {
    let edits = [("[hosting]\nhop = \"clinic-server\"", "")];
    check(
        &edits,
        "baa_uncovered_hop: the configuration names no hosting hop, so no path is complete",
    );
    let rules = clinic(&edits);
    let gap = rules.cover(rules.destination("local").unwrap(), &CHAT, at(IN_FORCE)).unwrap_err();
    assert_eq!(gap.hop(), None);
}

const SERVER: &str = "role = \"hosting\"\nsees = \"content\"\nboundary = \"inside\"\nowner = \"Lakeside Family Clinic (synthetic)\"";

#[test]
fn encrypted_hosting_without_the_key_still_needs_an_agreement() {
    let rented =
        "role = \"hosting\"\nsees = \"ciphertext\"\nboundary = \"outside\"\ntier = \"enterprise\"";
    check(
        &[(SERVER, rented)],
        "baa_uncovered_hop: hop \"clinic-server\" has no agreement and no chain evidence",
    );
}

#[test]
fn hosting_under_an_agreement_needs_service_tier_and_region_but_no_model() {
    let hosted = "entity = \"Example Cloud Inc. (synthetic)\"\nrole = \"hosting\"\nservice = \"inference-api\"\ntier = \"enterprise\"\nregion = \"us-west\"\nsees = \"ciphertext\"\nboundary = \"outside\"\nagreement = \"baa-examplecloud\"";
    let ours = format!("entity = \"Lakeside Family Clinic (synthetic)\"\n{SERVER}");
    check(&[(&ours, hosted)], "covered");
    let elsewhere = hosted.replace("us-west", "eu");
    check(
        &[(&ours, &elsewhere)],
        "baa_scope: hop \"clinic-server\" is not covered for this: \"baa-examplecloud\" does not name the region \"eu\"",
    );
}

#[test]
fn inside_means_on_hardware_that_the_organisation_owns() {
    let unproved = "baa_uncovered_hop: hop \"clinic-server\" claims to lie inside the boundary, but its entity and its owner are not the organisation";
    let without_owner = SERVER.rsplit_once('\n').unwrap().0;
    check(&[(SERVER, without_owner)], unproved);
    let rented = SERVER.replace("Lakeside Family Clinic", "Example Cloud Inc.");
    check(&[(SERVER, &rented)], unproved);
    check(&[("organisation = \"Lakeside Family Clinic (synthetic)\"\n", "")], unproved);
    let ours = format!("entity = \"Lakeside Family Clinic (synthetic)\"\n{SERVER}");
    let managed = format!("entity = \"Example Care IT LLC (synthetic)\"\n{SERVER}");
    check(&[(&ours, &managed)], unproved);
}

#[test]
fn a_party_that_sees_only_hashes_needs_no_agreement() {
    let stamped = "hops = [\"examplecloud-inference\", \"examplechips-machines\", \"stamps\"]";
    let hop = "[[hop]]\nid = \"stamps\"\nentity = \"Example Time GmbH (synthetic)\"\nrole = \"timestamp\"\nsees = \"hashes\"\nboundary = \"outside\"\n\n[[destination]]";
    let edits = [
        ("hops = [\"examplecloud-inference\", \"examplechips-machines\"]", stamped),
        ("[[destination]]", hop),
    ];
    let rules = clinic(&edits);
    let cloud = rules.destination("examplecloud").unwrap();
    let covered = rules.cover(cloud, &CHAT, at(IN_FORCE)).unwrap();
    assert_eq!(covered.covers().last().map(|c| c.by), Some(CoverKind::NoContent));
    // The same party, once it sees content, is a hop like any other.
    let reads = hop.replace("hashes", "ciphertext");
    check(
        &[edits[0], (edits[1].0, &reads)],
        "baa_uncovered_hop: hop \"stamps\" names no tier, so it counts as a consumer tier, which no agreement covers",
    );
}

#[test]
fn a_path_lists_its_hops_in_order() {
    let rules = clinic(&[]);
    let path = rules.destination("examplecloud").unwrap().path();
    let ids: Vec<_> = path.hops().map(|hop| hop.id().as_str()).collect();
    assert_eq!(ids, ["clinic-server", "examplecloud-inference", "examplechips-machines"]);
}

#[test]
fn a_role_and_what_it_sees_are_written_as_they_are_read() {
    for role in [
        "client_edge",
        "hosting",
        "gateway",
        "network",
        "inference",
        "sub_processor",
        "storage",
        "backup",
        "mail",
        "siem",
        "timestamp",
    ] {
        let read: super::Role = toml::Value::from(role).try_into().unwrap();
        assert_eq!(read.as_str(), role);
    }
    for sees in ["content", "ciphertext", "hashes"] {
        let read: super::Sees = toml::Value::from(sees).try_into().unwrap();
        assert_eq!(read.as_str(), sees);
    }
}

#[test]
fn a_hop_of_a_region_that_is_not_allowed_gets_nothing() {
    let within = |regions: &str| {
        let schema = "schema = 1";
        cloud(
            &[(schema, &format!("{schema}\nconstraints = {{ regions = {regions} }}"))],
            IN_FORCE,
            &CHAT,
        )
    };
    for allowed in ["[\"us-*\"]", "[\"us-east\"]", "[\"ca-central\", \"us-east\"]"] {
        assert_eq!(within(allowed), "covered", "{allowed}");
    }
    for forbidden in ["[\"us-west\"]", "[\"eu-*\"]", "[\"us-east-*\"]"] {
        assert_eq!(
            within(forbidden),
            "region_not_allowed: hop \"examplecloud-inference\" lies in the region \"us-east\", and [constraints] does not allow that",
            "{forbidden}"
        );
    }
}

#[test]
fn a_hop_that_does_not_say_where_it_lies_is_in_no_allowed_region_unless_it_is_ones_own() {
    let schema = "schema = 1";
    let constrained = format!("{schema}\nconstraints = {{ regions = [\"us-*\"] }}");
    let said = cloud(&[(schema, &constrained), ("region = \"us-east\"\n", "")], IN_FORCE, &CHAT);
    assert!(said.starts_with("region_not_allowed: hop \"examplecloud-inference\""), "{said}");
    let rules = clinic(&[(schema, &constrained)]);
    let local = rules.destination("local").unwrap();
    let model = local.models().iter().next().unwrap().as_str();
    let features = Features { model, ..CHAT };
    assert!(rules.cover(local, &features, at(IN_FORCE)).is_ok());
}

#[test]
fn regions_that_allow_nothing_or_everything_are_refused() {
    for (regions, words) in
        [("[]", "names nothing"), ("[\"*\"]", "leave it out"), ("[\"u s*\"]", "regions")]
    {
        let text = include_str!("../../../../examples/minimal.toml");
        let text = format!("{text}\n[constraints]\nregions = {regions}\n");
        let said = crate::rules::Rules::parse(&text).map(drop).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_destination_lies_inside_only_when_the_organisation_owns_every_hop() {
    let machine = "role = \"inference\"\nsees = \"content\"\nboundary = \"inside\"\nowner = \"Lakeside Family Clinic (synthetic)\"";
    let said = "owner = \"Lakeside Family Clinic (synthetic)\"";
    for (owner, inside) in
        [(said, true), ("owner = \"Example Landlord LLC (synthetic)\"", false), ("", false)]
    {
        let rules = clinic(&[(machine, &machine.replace(said, owner))]);
        let local = rules.destination("local").unwrap();
        assert_eq!(local.is_inside(), inside, "{owner}");
        let model = local.models().iter().next().unwrap().as_str();
        let features = Features {
            api: "chat.completions",
            model,
            modality: "text",
            capabilities: super::PLAIN,
        };
        assert_eq!(rules.cover(local, &features, at(IN_FORCE)).is_ok(), inside, "{owner}");
    }
    let elsewhere = clinic(&[("organisation = \"Lakeside", "organisation = \"Seaside")]);
    assert!(!elsewhere.destination("local").unwrap().is_inside());
}
