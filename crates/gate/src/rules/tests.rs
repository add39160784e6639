use super::{Rules, RulesError};
use crate::policy::SCHEMA;
use expect_test::{Expect, expect};
use ledger::{ChangeKind, Time};

const CLINIC: &str = include_str!("../../../../examples/clinic.toml");
const CLOUD: &str = include_str!("../../../../examples/cloud.toml");
const MINIMAL: &str = include_str!("../../../../examples/minimal.toml");
const MANUAL: &str = include_str!("../../../../docs/configuration.md");

/// A moment, RFC 3339.
pub(crate) fn at(moment: &str) -> Time {
    serde_json::from_str(&format!("\"{moment}\"")).unwrap()
}

/// The worked example with each text replaced once.
fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = CLINIC.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "the example does not hold {from:?}");
        text = text.replacen(from, to, 1);
    }
    text
}

pub(crate) fn clinic(edits: &[(&str, &str)]) -> Rules {
    Rules::parse(&edited(edits)).unwrap()
}

fn refused(edits: &[(&str, &str)]) -> String {
    Rules::parse(&edited(edits)).unwrap_err().to_string()
}

fn check(from: &str, to: &str, expected: &Expect) {
    expected.assert_eq(&refused(&[(from, to)]));
}

#[test]
fn the_example_files_are_read() {
    let clinic = clinic(&[]);
    assert_eq!(clinic.organisation().unwrap(), "Lakeside Family Clinic (synthetic)");
    assert_eq!(
        clinic.purposes().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["operations", "payment", "treatment"]
    );
    assert_eq!(
        clinic.destinations().map(super::Destination::id).collect::<Vec<_>>(),
        ["examplecloud", "local"]
    );
    assert_eq!(
        clinic.routes().map(|route| route.model().as_str()).collect::<Vec<_>>(),
        ["assistant", "assistant-small", "local"]
    );
    assert!(clinic.destination("local").unwrap().is_inside());
    assert!(!clinic.destination("examplecloud").unwrap().is_inside());
    assert!(clinic.route("examplecloud").is_none());
    assert_eq!(clinic.sha256(), ledger::Hash::of(CLINIC.as_bytes()));
    Rules::parse(MINIMAL).unwrap();
    let cloud = Rules::parse(CLOUD).unwrap();
    assert!(cloud.destinations().all(|destination| !destination.is_inside()));
}

#[test]
fn the_manual_holds_the_schema_that_is_in_force_and_names_every_key() {
    assert!(MANUAL.contains(SCHEMA));
    let mut keys: Vec<&str> = CLINIC
        .lines()
        .chain(MINIMAL.lines())
        .filter_map(|line| line.split_once(" = ").map(|(key, _)| key))
        .filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect();
    keys.extend(["terminated", "ca_file", "document_sha256", "abuse_review"]);
    keys.extend(["roots_file", "archive_file", "policies", "every_seconds", "key"]);
    keys.extend(["format", "syslog", "webhook", "file", "cert_file", "key_file", "secret"]);
    keys.extend(["authorization", "one_in", "currency", "per", "of", "requests_per_minute"]);
    keys.extend(["tokens_per_minute", "tokens_per_day", "concurrent", "money_per_day"]);
    keys.extend(["money_per_month", "prompt", "completion"]);
    keys.extend([
        "alternatives",
        "weight",
        "retry",
        "attempts",
        "budget_percent",
        "categories",
        "regions",
        "zdr_required",
        "training",
        "opt_out_evidence",
        "retention_days",
        "abuse_monitoring_days",
        "human_review",
        "eligible",
        "connect_timeout_seconds",
        "idle_timeout_seconds",
        "total_timeout_seconds",
        "ttl_seconds",
        "mib",
        "routes",
        "batches",
        "tools",
        "sha256",
    ]);
    keys.extend(["exempt", "paths", "redact", "when_unread", "resources", "types", "owners"]);
    keys.extend(["routes", "on_phi", "reduce"]);
    for key in keys {
        assert!(MANUAL.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_refused_with_its_line() {
    check(
        "no_training = true",
        "no_trianing = true",
        &expect![
            "line 52: unknown field `no_trianing`, expected one of `id`, `kind`, `counterparty`, `effective`, `expires`, `terminated`, `document_sha256`, `retention`, `no_training`, `abuse_review`, `scope`"
        ],
    );
    check(
        "[hosting]",
        "[hostign]",
        &expect![
            "line 19: unknown field `hostign`, expected one of `schema`, `organisation`, `hosting`, `purpose`, `agreement`, `evidence`, `hop`, `destination`, `route`, `policy`, `cedar`, `anchoring`, `content`, `retention`, `log`, `review`, `authority`, `witness`, `feed`, `copy`, `constraints`, `currency`, `limit`, `price`, `traces`, `profile`, `chart`, `no_phi`, `cache`"
        ],
    );
    check(
        "schema = 1",
        "schema = 2",
        &expect![[r#"the file, field "schema": this program reads schema = 1"#]],
    );
    check("schema = 1", "", &expect!["line 1: missing field `schema`"]);
    check("schema = 1", "schema = 1\nschema = 1", &expect!["line 11: duplicate key"]);
    check("schema = 1", "schema = = 1", &expect!["line 10: extra `=`, expected nothing"]);
    check(
        "role = \"hosting\"",
        "role = \"host\"",
        &expect![
            "line 89: not a value that this key takes; expected one of `client_edge`, `hosting`, `gateway`, `network`, `inference`, `tools`, `sub_processor`, `storage`, `backup`, `mail`, `siem`, `timestamp`"
        ],
    );
    check(
        "no_training = true",
        "no_training = \"yes\"",
        &expect!["line 52: not a value that this key takes; expected a boolean"],
    );
    check("kind = \"baa\"\n", "", &expect!["line 42: missing field `kind`"]);
}

#[test]
fn every_reference_must_lead_somewhere() {
    check(
        "[hosting]\nhop = \"clinic-server\"",
        "[hosting]\nhop = \"x\"",
        &expect![[r#"hosting, field "hop": there is no [[hop]] with this id"#]],
    );
    check(
        "[hosting]\nhop = \"clinic-server\"",
        "[hosting]\nhop = \"clinic-model\"",
        &expect![[r#"hosting, field "hop": the hop that hosts this server has role = "hosting""#]],
    );
    check(
        "agreement = \"baa-examplecloud\"",
        "agreement = \"x\"",
        &expect![[
            r#"hop "examplecloud-inference", field "agreement": there is no [[agreement]] with this id"#
        ]],
    );
    check(
        "evidence = \"chain-examplechips\"",
        "evidence = \"x\"",
        &expect![[
            r#"hop "examplechips-machines", field "evidence": there is no [[evidence]] with this id"#
        ]],
    );
    check(
        "under = \"baa-examplecloud\"",
        "under = \"x\"",
        &expect![[
            r#"evidence "chain-examplechips", field "under": there is no [[agreement]] with this id"#
        ]],
    );
    check(
        "hops = [\"clinic-model\"]",
        "hops = [\"x\"]",
        &expect![[r#"destination "local", field "hops": there is no [[hop]] with the id "x""#]],
    );
    check(
        "destination = \"local\", model = \"local\"",
        "destination = \"x\", model = \"local\"",
        &expect![[r#"route "local", field "to": there is no [[destination]] with the id "x""#]],
    );
    check(
        "destination = \"local\", model = \"local\"",
        "destination = \"local\", model = \"x\"",
        &expect![[
            r#"route "local", field "to": destination "local" does not allow this model; add it to its "models""#
        ]],
    );
    check(
        "destinations = [\"local\"]",
        "destinations = [\"x\"]",
        &expect![[
            r#"policy "local-treatment-allow", field "destinations": there is no [[destination]] with the id "x""#
        ]],
    );
    check(
        "purposes = [\"treatment\"]",
        "purposes = [\"marketing\"]",
        &expect![[
            r#"policy "local-treatment-allow", field "purposes": there is no [[purpose]] with the id "marketing""#
        ]],
    );
    check(
        "classes = [\"AGE\"]",
        "classes = [\"AEG\"]",
        &expect![[
            r#"policy "cloud-age-allow", field "classes": a class is "*", NONE or one of NAME, LOCATION, DATE, AGE, PHONE, FAX, EMAIL, SSN, MRN, HEALTH_PLAN_ID, ACCOUNT, LICENSE, VEHICLE, DEVICE_ID, URL, IP, BIOMETRIC, PHOTO, PROFESSION, OTHER_ID"#
        ]],
    );
}

#[test]
fn an_id_is_used_once() {
    check(
        "id = \"payment\"",
        "id = \"treatment\"",
        &expect![[r#"purpose "treatment", field "id": another purpose has the same; rename one"#]],
    );
    check(
        "id = \"clinic-model\"",
        "id = \"clinic-server\"",
        &expect![[r#"hop "clinic-server", field "id": another hop has the same; rename one"#]],
    );
    check(
        "model = \"assistant\"",
        "model = \"local\"",
        &expect![[r#"route "local", field "model": another route has the same; rename one"#]],
    );
    check(
        "id = \"surfaces\"",
        "id = \"cloud-never\"",
        &expect![[r#"cedar "cloud-never", field "id": a [[policy]] has the same id; rename one"#]],
    );
    check(
        "id = \"chain-examplechips\"",
        "id = \"baa-examplecloud\"",
        &expect![[
            r#"evidence "baa-examplecloud", field "id": an agreement has the same id; rename one"#
        ]],
    );
    check(
        "hops = [\"clinic-model\"]",
        "hops = [\"clinic-model\", \"clinic-model\"]",
        &expect![[r#"destination "local", field "hops": names the same item twice; remove one"#]],
    );
}

#[test]
fn an_agreement_that_covers_nothing_or_has_no_dates_is_refused() {
    check(
        "expires = 2029-01-01",
        "expires = 2026-01-01",
        &expect![[
            r#"agreement "baa-examplecloud", field "expires": must be later than "effective""#
        ]],
    );
    check(
        "expires = 2028-01-15",
        "expires = \"soon\"",
        &expect![[
            r#"evidence "chain-examplechips", field "expires": a date is written YYYY-MM-DD"#
        ]],
    );
    check(
        "expires = 2028-01-15",
        "expires = 2028-01-15T10:00:00Z",
        &expect![[
            r#"evidence "chain-examplechips", field "expires": a date is written YYYY-MM-DD"#
        ]],
    );
    check(
        "expires = 2028-01-15",
        "expires = 2028",
        &expect![[
            r#"evidence "chain-examplechips", field "expires": a date is written YYYY-MM-DD"#
        ]],
    );
    check(
        "tiers = [\"enterprise\"]",
        "tiers = []",
        &expect![[
            r#"agreement "baa-examplecloud", field "tiers": names nothing, so the scope covers nothing"#
        ]],
    );
    check(
        "tiers = [\"enterprise\"]",
        "tiers = [\"*\"]",
        &expect![[
            r#"agreement "baa-examplecloud", field "tiers": a name is 1 to 256 characters: letters, digits and . _ - : / @ +"#
        ]],
    );
    check(
        "services = [\"inference-api\"]",
        "services = [\"*\"]",
        &expect![[
            r#"agreement "baa-examplecloud", field "services": a name is 1 to 256 characters: letters, digits and . _ - : / @ +"#
        ]],
    );
    check(
        "apis = [\"chat.completions\"]",
        "apis = [\"*\"]",
        &expect![[
            r#"agreement "baa-examplecloud", field "apis": a name is 1 to 256 characters: letters, digits and . _ - : / @ +"#
        ]],
    );
}

#[test]
fn a_dialect_has_its_own_interfaces_and_keys() {
    let dialect = "dialect = \"openai_compatible\"";
    let to = |keys: &str| refused(&[(dialect, keys)]);
    let each = [
        ("anthropic", "chat.completions", "messages, messages.count_tokens"),
        ("bedrock", "messages", "converse"),
        ("vertex", "converse", "generate_content"),
        ("openai", "messages", "chat.completions, completions, embeddings, responses"),
        ("openai_compatible", "messages", "chat.completions, completions, embeddings, responses"),
    ];
    for (name, api, has) in each {
        let problem = to(&format!("dialect = \"{name}\"\napis = [\"{api}\"]"));
        let expected = format!("field \"apis\": a server of this dialect has {has}");
        assert!(problem.ends_with(&expected), "{name}: {problem}");
    }
    let none = to("dialect = \"anthropic\"\napis = []");
    assert!(none.contains("field \"apis\": a server of this dialect has messages"), "{none}");
    let version = to("dialect = \"openai\"\napi_version = \"2024-10-21\"");
    assert!(
        version.ends_with(
            "field \"api_version\": belongs to dialect = \"azure_openai\" or \"mcp\" only"
        ),
        "{version}"
    );
    for odd in ["dialect = \"vertex\"", "dialect = \"azure_openai\"\napi_version = \"2024-10-21\""]
    {
        let batches = to(&format!("{odd}\nbatches = true"));
        assert!(batches.contains("field \"batches\": a destination of this dialect"), "{batches}");
    }
    let unknown = to("dialect = \"cohere\"");
    let words = "expected one of `openai`, `openai_compatible`, `azure_openai`, `anthropic`, `bedrock`, `vertex`, `mcp`";
    assert!(unknown.ends_with(words) && !unknown.contains("cohere"), "{unknown}");
}

#[test]
fn the_manual_names_every_dialect_and_interface() {
    for word in [
        "openai",
        "openai_compatible",
        "azure_openai",
        "anthropic",
        "bedrock",
        "vertex",
        "chat.completions",
        "completions",
        "embeddings",
        "responses",
        "messages",
        "messages.count_tokens",
        "converse",
        "generate_content",
        "mcp",
        "apis",
        "api_version",
        "dialect",
    ] {
        assert!(MANUAL.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn a_destination_hop_or_row_that_can_do_nothing_is_refused() {
    check(
        "models = [\"local\"]",
        "models = []",
        &expect![[
            r#"destination "local", field "models": names no model, so nothing can be asked for"#
        ]],
    );
    check(
        "hops = [\"clinic-model\"]",
        "hops = []",
        &expect![[
            r#"destination "local", field "hops": a path ends at a model: name a hop with role = "inference""#
        ]],
    );
    check(
        "hops = [\"clinic-model\"]",
        "hops = [\"clinic-server\", \"clinic-model\"]",
        &expect![[
            r#"destination "local", field "hops": hosting is part of every path already; name it in [hosting] only"#
        ]],
    );
    check(
        "sees = \"content\"",
        "sees = \"hashes\"",
        &expect![[
            r#"hop "clinic-server", field "sees": a party in this role handles content: write "content" or "ciphertext""#
        ]],
    );
    check(
        "evidence = \"chain-examplechips\"",
        "evidence = \"chain-examplechips\"\nagreement = \"baa-examplecloud\"",
        &expect![[
            r#"hop "examplechips-machines", field "evidence": name an agreement or evidence, not both"#
        ]],
    );
    check(
        "boundary = \"outside\"",
        "boundary = \"outside\"\nowner = \"X\"",
        &expect![[
            r#"hop "examplecloud-inference", field "owner": belongs to boundary = "inside" only"#
        ]],
    );
    check(
        "timeout_seconds = 120",
        "timeout_seconds = 0",
        &expect![[
            r#"destination "examplecloud", field "timeout_seconds": seconds from 1 to 3600"#
        ]],
    );
    check(
        "timeout_seconds = 120",
        "timeout_seconds = 3601",
        &expect![[
            r#"destination "examplecloud", field "timeout_seconds": seconds from 1 to 3600"#
        ]],
    );
    check(
        "timeout_seconds = 120",
        "ca_file = \"ca.pem\"",
        &expect![[r#"destination "examplecloud", field "ca_file": write an absolute path"#]],
    );
    check(
        "document_sha256 = \"0",
        "document_sha256 = \"",
        &expect![[
            r#"agreement "baa-examplecloud", field "document_sha256": a SHA-256 is 64 lower-case hexadecimal digits"#
        ]],
    );
    check(
        "purposes = [\"treatment\"]",
        "purposes = []",
        &expect![[
            r#"policy "local-treatment-allow", field "purposes": names nothing, so the row does nothing; name some or "*""#
        ]],
    );
    check(
        "destinations = [\"local\"]",
        "destinations = [\"*\"]",
        &expect![[
            r#"policy "local-treatment-allow", field "destinations": only a row that blocks may name every destination; list them"#
        ]],
    );
    let no_scope = CLINIC.split("[[agreement.scope]]").next().unwrap();
    expect![[r#"agreement "baa-examplecloud", field "scope": an agreement covers only what it names: add [[agreement.scope]]"#]].assert_eq(&Rules::parse(no_scope).unwrap_err().to_string());
}

#[test]
fn connections_go_only_to_registered_hosts() {
    let cloud = "url = \"https://api.examplecloud.example/v1\"";
    check(
        cloud,
        "url = \"https://elsewhere.example/v1\"",
        &expect![[
            r#"destination "examplecloud", field "url": its host is registered for none of the destination's hops; add it to "hosts" of its gateway, network or inference hop"#
        ]],
    );
    check(
        cloud,
        "url = \"https://api.examplecloud.example:8443/v1\"",
        &expect![[
            r#"destination "examplecloud", field "url": its host is registered for none of the destination's hops; add it to "hosts" of its gateway, network or inference hop"#
        ]],
    );
    check(
        cloud,
        "url = \"http://api.examplecloud.example/v1\"",
        &expect![[
            r#"destination "examplecloud", field "url": plain http is for this machine only (127.0.0.1, [::1] or localhost); use https"#
        ]],
    );
    check(
        cloud,
        "url = \"http://127.0.0.1@evil.example/v1\"",
        &expect![[
            r#"destination "examplecloud", field "url": a host is a lower-case name ("api.vendor.example"), an IPv4 address or an IPv6 address in brackets"#
        ]],
    );
    check(
        cloud,
        "url = \"https://api.examplecloud.example/v1?to=evil\"",
        &expect![[
            r#"destination "examplecloud", field "url": a base path is made of letters, digits and . _ ~ - between slashes; no user, query, fragment or dot segment"#
        ]],
    );
    // A host of another destination's hop is not a host of this one.
    check(
        cloud,
        "url = \"http://127.0.0.1:8089/v1\"",
        &expect![[
            r#"destination "examplecloud", field "url": its host is registered for none of the destination's hops; add it to "hosts" of its gateway, network or inference hop"#
        ]],
    );
    check(
        "hosts = [\"api.examplecloud.example\"]",
        "hosts = [\"*.example\"]",
        &expect![[
            r#"hop "examplecloud-inference", field "hosts": a host is a lower-case name ("api.vendor.example"), an IPv4 address or an IPv6 address in brackets"#
        ]],
    );
    // A party that is exempt because it sees only hashes is no way out for prompts.
    let stamps = "[[hop]]\nid = \"stamps\"\nentity = \"X\"\nrole = \"timestamp\"\nsees = \"hashes\"\nboundary = \"outside\"\nhosts = [\"elsewhere.example\"]\n\n[[destination]]";
    let text = edited(&[
        ("[[destination]]", stamps),
        ("hops = [\"clinic-model\"]", "hops = [\"clinic-model\", \"stamps\"]"),
        ("url = \"http://127.0.0.1:8089/v1\"", "url = \"https://elsewhere.example\""),
    ]);
    expect![[r#"destination "local", field "url": its host is registered for none of the destination's hops; add it to "hosts" of its gateway, network or inference hop"#]].assert_eq(&Rules::parse(&text).unwrap_err().to_string());
}

#[test]
fn a_model_inside_the_boundary_does_not_answer_from_a_public_address() {
    let with = |host: &str, url: &str| {
        edited(&[
            ("hosts = [\"127.0.0.1:8089\"]", &format!("hosts = [\"{host}\"]")),
            ("url = \"http://127.0.0.1:8089/v1\"", &format!("url = \"{url}\"")),
        ])
    };
    expect![[r#"destination "local", field "url": an address inside the boundary is a loopback or private one; this one is public"#]]
        .assert_eq(&Rules::parse(&with("8.8.8.8", "https://8.8.8.8/v1")).unwrap_err().to_string());
    let rules =
        Rules::parse(&with("model.clinic.example", "https://model.clinic.example")).unwrap();
    assert!(rules.destination("local").unwrap().path().endpoint().must_resolve_private());
    let cloud = rules.destination("examplecloud").unwrap();
    assert!(!cloud.path().endpoint().must_resolve_private());
}

#[test]
fn a_credential_is_a_reference() {
    let read = |to: &str| {
        let text = edited(&[("\"env:EXAMPLECLOUD_API_KEY\"", to)]);
        Rules::parse(&text)
            .map(|rules| format!("{:?}", rules.destination("examplecloud").unwrap().credential()))
    };
    assert_eq!(read("\"none\"").unwrap(), "None");
    assert_eq!(read("\"file:/run/secrets/key\"").unwrap(), "File(\"/run/secrets/key\")");
    assert_eq!(read("\"env:A_1\"").unwrap(), "Env(\"A_1\")");
    for bad in ["sk-1", "", "env:", "env:1A", "env:a", "file:", "file:key", "File:/key", "NONE"] {
        assert!(read(&format!("\"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn no_error_repeats_a_value_of_the_file() {
    let planted = "sk-Planted 078-05-1120";
    let values = [
        ("schema = 1", "schema = "),
        ("[hosting]\nhop = \"clinic-server\"", "[hosting]\nhop = "),
        ("organisation = \"Lakeside Family Clinic (synthetic)\"", "organisation = 1\nx = "),
        ("id = \"treatment\"", "id = "),
        ("kind = \"baa\"", "kind = "),
        ("effective = 2026-01-01", "effective = "),
        ("no_training = true", "no_training = "),
        ("document_sha256 = \"", "document_sha256 = "),
        ("regions = [\"us-east\", \"us-west\"]", "regions = "),
        ("id = \"clinic-model\"", "id = "),
        ("role = \"hosting\"", "role = "),
        ("sees = \"content\"", "sees = "),
        ("boundary = \"inside\"", "boundary = "),
        ("agreement = \"baa-examplecloud\"", "agreement = "),
        ("dialect = \"openai_compatible\"", "dialect = "),
        ("url = \"https://api.examplecloud.example/v1\"", "url = "),
        ("credential = \"none\"", "credential = "),
        ("hops = [\"clinic-model\"]", "hops = "),
        ("models = [\"local\"]", "models = "),
        ("timeout_seconds = 120", "timeout_seconds = "),
        ("timeout_seconds = 120", "ca_file = "),
        ("model = \"assistant\"", "model = "),
        ("effect = \"allow\"", "effect = "),
        ("classes = [\"AGE\"]", "classes = "),
    ];
    for (from, key) in values {
        for value in [format!("\"{planted}\""), format!("[\"{planted}\"]"), planted.to_owned()] {
            let message = refused(&[(from, &format!("{key}{value}"))]);
            for word in ["Planted", "078"] {
                assert!(!message.contains(word), "{key}{value}: {message}");
            }
        }
    }
}

#[test]
fn a_file_that_nobody_could_read_is_refused() {
    let text = format!("{CLINIC}\n#{}", "x".repeat(super::MAX_FILE_BYTES));
    assert!(matches!(Rules::parse(&text), Err(RulesError::TooLarge { .. })));
    let row = |n: usize| {
        format!(
            "\n[[policy]]\nid = \"r{n}\"\neffect = \"allow\"\nclasses = [\"*\"]\ndestinations = [\"local\"]\npurposes = [\"*\"]\n"
        )
    };
    let rows: String = (0..1001).map(row).collect();
    expect![[r#"the policies together, field "policy": the file has more than 1000 policies"#]]
        .assert_eq(&Rules::parse(&format!("{CLINIC}{rows}")).unwrap_err().to_string());
}

#[test]
fn a_difference_is_named_by_object() {
    let check = |edits: &[(&str, &str)], expected: &[(&str, ChangeKind)]| {
        let changes = Rules::diff(Some(&clinic(&[])), &clinic(edits));
        let changes: Vec<_> =
            changes.iter().map(|change| (change.object.as_str(), change.change)).collect();
        assert_eq!(changes, expected);
    };
    check(&[], &[]);
    check(&[("# A worked example", "# An example")], &[]);
    check(
        &[("expires = 2029-01-01", "expires = 2030-01-01")],
        &[("agreement/baa-examplecloud", ChangeKind::Changed)],
    );
    check(
        &[("id = \"cloud-age-allow\"", "id = \"cloud-age\"")],
        &[("policy/cloud-age", ChangeKind::Added), ("policy/cloud-age-allow", ChangeKind::Removed)],
    );
    check(
        &[(
            "model = \"assistant-small\"\ntitle = \"Fast",
            "model = \"assistant-small\"\ntitle = \"Quick",
        )],
        &[("route/assistant-small", ChangeKind::Changed)],
    );
    check(&[("[hosting]\nhop = \"clinic-server\"", "")], &[("hosting", ChangeKind::Removed)]);
    check(
        &[("organisation = \"Lakeside", "organisation = \"Riverside")],
        &[("organisation", ChangeKind::Changed)],
    );
}

#[test]
fn everything_in_a_first_file_is_new() {
    let changes = Rules::diff(None, &Rules::parse(MINIMAL).unwrap());
    assert!(changes.iter().all(|change| change.change == ChangeKind::Added));
    let objects: Vec<_> = changes.into_iter().map(|change| change.object).collect();
    assert_eq!(
        objects,
        [
            "destination/local",
            "hop/clinic-server",
            "hop/local-model",
            "hosting",
            "organisation",
            "policy/tokenize-everything",
            "purpose/treatment",
            "route/local",
            "schema",
        ]
    );
}

const OUTSIDE: &str = r#"
[[hop]]
id = "tsa"
entity = "Example Authority (synthetic)"
role = "timestamp"
sees = "hashes"
boundary = "outside"
hosts = ["tsa.example:80"]

[[authority]]
id = "example"
hop = "tsa"
url = "http://tsa.example/stamp"
roots_file = "/etc/bulla/roots.pem"
policies = ["1.2.3"]

[[witness]]
id = "auditor"
hop = "tsa"
url = "http://tsa.example"
key = "KEY"
"#;

fn outside(from: &str, to: &str) -> Result<Rules, RulesError> {
    let key = ledger::checkpoint::Cosigner::from_seed("w", &[1; 32]).unwrap().verifier_key();
    assert!(OUTSIDE.contains(from), "{from}");
    Rules::parse(&format!("{CLINIC}{}", OUTSIDE.replacen(from, to, 1).replace("KEY", &key)))
}

#[test]
fn authorities_and_witnesses_are_hops_that_see_hashes_alone() {
    let rules = outside("", "").unwrap();
    let authority = rules.authorities().next().unwrap();
    assert_eq!(authority.endpoint().to_string(), "http://tsa.example:80/stamp");
    assert_eq!(authority.policies().collect::<Vec<_>>(), ["1.2.3"]);
    assert_eq!(rules.witnesses().next().unwrap().id(), "auditor");
    assert_eq!(rules.anchor_seconds(), 60);
    let refused = |from, to| outside(from, to).unwrap_err().to_string();
    for (from, to, words) in [
        ("hop = \"tsa\"", "hop = \"clinic-model\"", "the hop has role = \"timestamp\""),
        ("hop = \"tsa\"", "hop = \"nobody\"", "there is no [[hop]] with this id"),
        ("http://tsa.example/stamp", "http://other.example/stamp", "not among the \"hosts\""),
        ("/etc/bulla/roots.pem", "roots.pem", "write an absolute path"),
        ("key = \"KEY\"", "key = \"x\"", "the key of a witness"),
        ("[[witness]]", "[anchoring]\nevery_seconds = 901\n[[witness]]", "seconds from 1 to 900"),
    ] {
        let said = refused(from, to);
        assert!(said.contains(words), "{to}: {said}");
    }
}

#[test]
fn plain_http_outside_of_this_machine_is_for_hashes_only() {
    let said = refused(&[("url = \"https://", "url = \"http://")]);
    assert!(said.contains("plain http is for this machine only"), "{said}");
}
