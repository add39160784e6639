//! A path that is not covered now is closed, and not one connection is made.

use crate::house::{House, check_refusal, streaming, user};
use crate::rules::Rules;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

/// Each way in which a path is not covered: what it is called, how the rules say it, the code.
fn uncovered(rules: &Rules) -> Vec<(&'static str, Rules, &'static str)> {
    const HOP: &str = "baa_uncovered_hop";
    const SCOPE: &str = "baa_scope";
    let with = |from: &str, to: &str| rules.clone().with(from, to);
    vec![
        ("removed", with("agreement = \"baa-examplecloud\"\n", ""), HOP),
        ("expired", with("2099-01-01", "2021-01-01"), HOP),
        ("not yet effective", with("2020-01-01", "2098-01-01"), HOP),
        ("terminated", with("2099-01-01", "2099-01-01\nterminated = 2021-06-01"), HOP),
        ("of another entity", with("counterparty = \"Example", "counterparty = \"Another"), HOP),
        ("a consumer tier", with("\"enterprise\"", "\"consumer\""), HOP),
        ("no tier", with("tier = \"enterprise\"\n", ""), HOP),
        ("no hosting hop", with("[hosting]\nhop = \"clinic-server\"\n", ""), HOP),
        ("no owner", with("owner = \"Lakeside Family Clinic (synthetic)\"\n", ""), HOP),
        ("another tier", with("tiers = [\"enterprise\"]", "tiers = [\"business\"]"), SCOPE),
        (
            "without this model",
            with("\nmodels = [\"stand-in\"]\nmodal", "\nmodels = [\"other\"]\nmodal"),
            SCOPE,
        ),
        ("without any model", with("\nmodels = [\"stand-in\"]\nmodal", "\nmodal"), SCOPE),
        ("another service", with("service = \"inference-api\"", "service = \"beta-api\""), SCOPE),
        ("another region", with("region = \"us-east\"", "region = \"eu-west\""), SCOPE),
        ("another API", with("apis = [\"chat.completions\"]", "apis = [\"responses\"]"), SCOPE),
        ("no term on training", with("training = \"none\"\n", ""), "training_not_excluded"),
        (
            "training permitted",
            with("training = \"none\"", "training = \"permitted\""),
            "training_not_excluded",
        ),
        (
            "retention where none may be",
            with("retention_days = 0", "retention_days = 30")
                .with("[hosting]", "[constraints]\nzdr_required = true\n[hosting]"),
            "retention_not_zero",
        ),
        ("another modality", with("modalities = [\"text\"]", "modalities = [\"audio\"]"), SCOPE),
    ]
}

#[tokio::test]
async fn a_path_without_an_agreement_in_force_is_refused_without_a_connection() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules);
    let serving = house.serve();
    let body = user(&format!("Patient: {}", MARISOL.name));
    assert_eq!(serving.ask(&body).await.status(), 200);
    let (connections, requests) = (upstream.connections(), upstream.captured().len());

    let cases = uncovered(&rules);
    let mut refused = Vec::new();
    for (number, (name, changed, code)) in cases.iter().enumerate() {
        let model = format!("number-{number}");
        house.apply(&changed.clone().offering(&model)).ok();
        serving.offers(&model).await;
        for body in [body.clone(), streaming(&body), user("no identifier at all")] {
            let response = serving.ask(&body).await;
            assert_eq!(response.json()["error"]["code"], *code, "{name}: {}", response.text());
            check_refusal(&response, 403, code, &[MARISOL.name]);
            refused.push((response.header("x-request-id").unwrap().to_owned(), *code));
        }
        let path = house.run(&["path"]);
        assert!(path.code == 1 && path.out.contains("BROKEN"), "{name}: {}", path.out);
    }
    assert_eq!(upstream.connections(), connections);
    assert_eq!(upstream.captured().len(), requests);

    let log = house.log();
    let (outcomes, intents) = (log.outcomes(), log.intents());
    assert_eq!(intents.len(), 1);
    for (exchange, code) in refused {
        let outcome = &outcomes[&exchange];
        assert_eq!((outcome.outcome.as_str(), outcome.code.as_deref()), ("refused", Some(code)));
        assert_eq!(outcome.about.destination.as_deref(), Some("cloud"));
    }

    // The agreement back in force opens the path again.
    house.apply(&rules.offering("restored")).ok();
    serving.offers("restored").await;
    assert_eq!(serving.ask(&body).await.status(), 200);
}

#[test]
fn a_host_that_no_hop_names_is_refused_when_the_file_is_read() {
    let house = House::bare();
    let rules = crate::rules::Rules::of("http://127.0.0.1:9/v1", "127.0.0.1:8");
    house.apply(&rules).fails(2, "Nothing was changed");
    let rules = crate::rules::Rules::of("http://models.example/v1", "models.example");
    house.apply(&rules).fails(2, "Nothing was changed");
}
