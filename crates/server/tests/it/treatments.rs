//! Redact, allow, block, re-route: what the matrix says is what happens.

use crate::dialects::ask_in_every_dialect;
use crate::house::{HANG_UP, House, check_refusal, streaming, user};
use crate::rules::Rules;
use bytes::Bytes;
use ledger::CoverKind;
use testkit::client::Request;
use testkit::notes;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream, surrogates_in};

const TOKENIZE: &str = "effect = \"tokenize\"";

#[tokio::test]
async fn redacted_text_leaves_as_placeholders_and_is_not_restored() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).with(TOKENIZE, "effect = \"redact\""));
    let serving = house.serve();
    let response = serving.ask(&user(&note.text)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(response.header("x-bulla-decision"), Some("redacted"));
    assert_eq!(response.header("x-bulla-deidentified"), Some("false"));
    let transcript = serving.stream(&user(&note.text)).await;
    assert_eq!(transcript.head.header("x-bulla-deidentified"), Some("false"));

    for (captured, answer) in
        upstream.captured().iter().zip([response.answer(), transcript.answer()])
    {
        let left: Vec<_> = note.planted.iter().filter(|it| captured.holds(&it.value)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(surrogates_in(&captured.text()).is_empty());
        let sent = captured.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert_eq!(answer.content(), sent, "what was redacted stays so");
        assert!(sent.contains("[NAME") && sent.contains("[SSN"), "{sent}");
        assert!(note.clinical.iter().all(|word| sent.contains(word)), "{sent}");
    }
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert!(outcome.about.treatments.values().all(|treatment| treatment == "redacted"));
}

#[tokio::test]
async fn allowed_text_leaves_byte_for_byte_and_the_record_names_the_agreement() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).with(TOKENIZE, "effect = \"allow\""));
    let serving = house.serve();
    // Blanks, order, escapes and numbers as no writer of JSON would choose them.
    let body = format!(
        "{{ \"temperature\" : 1.0e0,\n\t\"messages\": [ {{\"content\":\"{} \\u0041 [NAME_AB12CD34]\" \
         ,\"role\":\"user\"}} ] , \"model\":\"stand-in\" }}\n",
        MARISOL.name
    );
    let request = Request::new("POST", "/v1/chat/completions", Bytes::from(body.clone()));
    let response =
        serving.call(&request.bearer(&house.key).header("content-type", "application/json")).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(response.header("x-bulla-decision"), Some("allowed"));
    assert_eq!(upstream.captured()[0].body, body.as_bytes());
    let expected = format!("{} A [NAME_AB12CD34]", MARISOL.name);
    assert_eq!(response.answer().content(), expected);

    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    let covers: Vec<_> = outcome
        .about
        .path
        .iter()
        .map(|cover| (cover.hop.as_str(), cover.by, cover.id.as_deref()))
        .collect();
    assert_eq!(
        covers,
        [
            ("clinic-server", CoverKind::Inside, None),
            ("examplecloud", CoverKind::Agreement, Some("baa-examplecloud")),
        ]
    );
    assert_eq!(outcome.about.treatments["NAME"], "disclosed");
}

#[tokio::test]
async fn without_a_configuration_everything_is_blocked() {
    let upstream = Upstream::start(Reply::echo()).await;
    let mut house = House::bare();
    house.key = house.create_key(&[]).secret;
    let serving = house.serve();
    for body in [user(MARISOL.ssn), streaming(&user("no identifier"))] {
        let request = serving.request(&body).header("x-bulla-purpose", "treatment");
        let response = serving.call(&request).await;
        assert_eq!(response.status(), 403, "{}", response.text());
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        assert_eq!((outcome.outcome.as_str(), outcome.intent), ("refused", None));
    }
    let ready = serving.get("/readyz").await;
    assert!(ready.text().contains("every prompt is blocked"), "{}", ready.text());
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_class_without_a_permit_is_blocked_and_named_without_its_value() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream).with("[\"*\"]\ndest", "[\"NONE\", \"NAME\"]\ndest");
    let house = House::with(&rules);
    let serving = house.serve();
    let text = format!("Patient: {}, SSN: {}, {}", MARISOL.name, MARISOL.ssn, MARISOL.email);
    let values = [MARISOL.name, MARISOL.ssn, MARISOL.email];
    for body in [user(&text), streaming(&user(&text))] {
        let response = serving.ask(&body).await;
        check_refusal(&response, 403, "phi_blocked", &values);
        let classes = response.json()["error"]["classes"].clone();
        assert_eq!(classes, serde_json::json!(["EMAIL", "SSN"]));
        assert_eq!(response.header("x-bulla-decision"), Some("blocked"));
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        assert_eq!(outcome.code.as_deref(), Some("phi_blocked"));
        assert_eq!(outcome.about.treatments["SSN"], "blocked");
    }
    assert_eq!(upstream.connections(), 0);
    // The same rules let through what they permit.
    let response = serving.ask(&user(&format!("Patient: {}", MARISOL.name))).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    // A purpose without a row is as good as none.
    let key = house.create_key(&["--purpose", "payment"]).secret;
    serving.stop();
    let serving = house.serve();
    let response = serving.call(&Request::chat(&user("no identifier")).bearer(&key)).await;
    check_refusal(&response, 403, "phi_blocked", &[]);
}

#[tokio::test]
async fn what_the_cloud_may_not_have_is_answered_at_home() {
    let cloud = Upstream::start(Reply::text("from the cloud")).await;
    let home = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&cloud)
        .with("[\"*\"]\ndest", "[\"NONE\", \"NAME\"]\ndest")
        .and_home(&home)
        .and(
            "[[policy]]\nid = \"at-home\"\neffect = \"allow\"\nclasses = [\"*\"]\n\
             destinations = [\"home\"]\npurposes = [\"treatment\"]\n",
        )
        .and(
            "[[policy]]\nid = \"keep-at-home\"\neffect = \"reroute\"\nclasses = [\"SSN\"]\n\
             destinations = [\"home\"]\npurposes = [\"treatment\"]\n",
        );
    let house = House::with(&rules);
    let serving = house.serve();
    let text = format!("Patient: {}, SSN: {}", MARISOL.name, MARISOL.ssn);
    let response = serving.ask(&user(&text)).await;
    assert_eq!(response.answer().content(), text, "{}", response.text());
    assert_eq!(response.header("x-bulla-decision"), Some("rerouted"));
    assert_eq!(
        response.header("x-bulla-path"),
        Some("home; clinic-server=inside, home-model=inside")
    );
    assert_eq!((cloud.connections(), home.captured().len()), (0, 1));

    let response = serving.ask(&user(&format!("Patient: {}", MARISOL.name))).await;
    assert_eq!(response.answer().content(), "from the cloud");
    // A class that nobody lets go home is blocked, also beside one that may.
    let text = format!("SSN: {}, {}", MARISOL.ssn, MARISOL.email);
    check_refusal(&serving.ask(&user(&text)).await, 403, "phi_blocked", &[MARISOL.ssn]);
    assert_eq!((cloud.captured().len(), home.captured().len()), (1, 1));
}

/// A cloud that gets surrogates, and a model of the clinic's own to which what tells of addiction must go.
fn substance_use_stays(cloud: &Upstream, home: &Upstream) -> Rules {
    let row = |id, effect, destination, more| {
        format!(
            "[[policy]]\nid = \"{id}\"\neffect = \"{effect}\"\nclasses = [\"*\"]\n\
             destinations = [\"{destination}\"]\npurposes = [\"treatment\"]\n{more}"
        )
    };
    let special = "categories = [\"SUBSTANCE_USE\"]\n";
    Rules::cloud(cloud)
        .with(
            "apis = [\"chat.completions\"]",
            "apis = [\"chat.completions\", \"messages\", \"converse\", \"generate_content\"]",
        )
        .and_home(home)
        .and(&row("special-stays", "block", "cloud", special))
        .and(&row("special-goes-home", "reroute", "home", special))
        .and(&row("at-home", "allow", "home", ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_required_local_route_is_down_the_caller_gets_503_and_the_cloud_nothing() {
    const SPECIAL: &str = "Started on methadone at the opioid treatment program for heroin use.";
    let text = format!("Patient: {}. {SPECIAL}", MARISOL.name);
    for retry in ["", "\nretry = { attempts = 3 }"] {
        let cloud = Upstream::start(Reply::text("from the cloud")).await;
        let home = Upstream::start(Reply::echo()).await;
        let model = "[[route]]\nmodel = \"stand-in\"";
        let rules = substance_use_stays(&cloud, &home).with(model, &format!("{model}{retry}"));
        let house = House::with(&rules);
        let serving = house.serve();
        let answer = serving.ask(&user(&text)).await;
        assert_eq!(answer.answer().content(), text, "{}", answer.text());
        assert_eq!((cloud.connections(), home.captured().len()), (0, 1));

        home.stop().await;
        tokio::time::sleep(HANG_UP).await;
        // After ten failures its circuit is open, and it is not even tried.
        let mut codes = Vec::new();
        for _ in 0..3 {
            for heard in ask_in_every_dialect(serving.address, serving.key(), &text).await {
                assert_eq!(heard.status, 503, "{heard:?}");
                assert!(!heard.error_text().contains(MARISOL.name), "{heard:?}");
                let code = heard.code().unwrap();
                let record = house.outcome(heard.exchange().unwrap()).await;
                assert_eq!(record.code.as_ref(), Some(&code));
                assert_eq!(record.about.categories, ["SUBSTANCE_USE"]);
                let expected = match code.as_str() {
                    "upstream_unreachable" => ("upstream_failed", Some("unreachable"), true),
                    _ => ("refused", Some("circuit_open"), false),
                };
                let found = (&*record.outcome, record.reason.as_deref(), record.intent.is_some());
                assert_eq!(found, expected, "{heard:?}");
                codes.push(code);
            }
        }
        assert_eq!(codes.pop().as_deref(), Some("destination_unavailable"));
        assert!(!retry.is_empty() || codes[0] == "upstream_unreachable");
        assert_eq!(cloud.connections(), 0);

        // The cloud was there all the time, for what may go there.
        let plain = serving.ask(&user(&format!("Patient: {}", MARISOL.name))).await;
        assert_eq!(plain.answer().content(), "from the cloud");
        assert_eq!((cloud.connections(), cloud.captured().len()), (1, 1));
    }
}
