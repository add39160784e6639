//! No more leaves than its purpose needs.

use crate::house::{House, check_refusal, streaming, user};
use crate::rules::Rules;
use ledger::Outcome;
use testkit::client::Request;
use testkit::people::MARISOL;
use testkit::upstream::{Fault, Reply, Upstream};

const VISIT: &str = include_str!("../../../testkit/fixtures/minimum/visit.json");
const PATHS: &str = include_str!("../../../testkit/fixtures/minimum/scribe.paths");
const TOKENIZE: &str = "effect = \"tokenize\"";

/// The fixture's own identifiers.
const PERSON: [&str; 6] =
    ["Exampleton", "000-12-3456", "00998877", "555-0100", "14 Sample Lane", "1958-03-09"];

fn profile() -> String {
    let paths: Vec<&str> = PATHS.lines().collect();
    format!("[[profile]]\nid = \"scribe\"\npurposes = [\"treatment\"]\npaths = {paths:?}\n")
}

fn chart(resources: usize) -> String {
    let one = r#"{"resource":{"resourceType":"Observation","status":"final"}}"#;
    let entries = vec![one; resources].join(",");
    format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#)
}

/// Every outcome of the log, in the order in which the exchanges began.
fn outcomes(house: &House) -> Vec<Outcome> {
    house.log().outcomes().into_values().collect()
}

#[tokio::test]
async fn a_scribe_sends_a_bundle_and_only_the_named_paths_leave_in_every_place_of_a_request() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream).with(TOKENIZE, "effect = \"allow\"").and(&profile());
    let house = House::with(&rules);
    let serving = house.serve();
    let turn = format!("Write the note.\n{VISIT}\nShe says she sleeps badly.");
    let result = serde_json::json!({
        "model": "stand-in",
        "messages": [
            { "role": "user", "content": "Fetch the visit." },
            { "role": "assistant", "tool_calls": [{
                "id": "call_1", "type": "function",
                "function": { "name": "visit", "arguments": "{}" },
            }] },
            { "role": "tool", "tool_call_id": "call_1", "content": VISIT },
        ],
    });
    for body in [user(&turn), streaming(&user(&turn)), result] {
        let response = serving.ask(&body).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(response.header("x-bulla-decision"), Some("redacted"));
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        assert_eq!(outcome.about.minimum["profile"], "scribe");
        assert_eq!(outcome.about.removed["Patient.identifier"], 1);
        assert_eq!(outcome.about.removed["Coverage"], 1);
    }
    for captured in upstream.captured() {
        let left: Vec<_> = PERSON.iter().filter(|value| captured.holds(value)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(captured.holds("shortness of breath on exertion") && captured.holds("152"));
    }
    // What is cut off cannot be reduced, so it goes nowhere.
    let cut_off = &VISIT[..VISIT.len() - 60];
    check_refusal(&serving.ask(&user(cut_off)).await, 403, "minimum_necessary", &PERSON);
    assert_eq!(upstream.captured().len(), 3);
}

#[tokio::test]
async fn an_entire_record_leaves_with_a_justification_only() {
    let upstream = Upstream::start(Reply::text("noted")).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let body = user(&chart(140));
    check_refusal(&serving.ask(&body).await, 403, "entire_record", &[]);
    let why = format!("The appeal of {} cites every visit.", MARISOL.name);
    let justified = |why: &str| serving.request(&body).header("x-bulla-justification", why);
    check_refusal(&serving.call(&justified(" ")).await, 403, "entire_record", &[]);
    check_refusal(&serving.call(&justified(&"x".repeat(1025))).await, 400, "invalid_request", &[]);
    assert_eq!(upstream.connections(), 0);
    let response = serving.call(&justified(&why)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.about.minimum["justification"], "given");
    assert_eq!(outcome.about.minimum["chart"], "141 resources of 2 types");
    assert_eq!(outcome.about.actor.name, "Example Bot");
    assert!(outcome.about.findings["NAME"] >= 1, "it is searched like any text");
    // It goes nowhere but into the sealed content.
    assert!(!upstream.captured()[0].holds(MARISOL.name) && !upstream.captured()[0].holds("appeal"));
}

#[tokio::test]
async fn phi_in_a_flow_without_phi_is_recorded_as_an_alert_and_acted_on() {
    let upstream = Upstream::start(Reply::echo()).await;
    let flow = |on_phi: &str| {
        format!(
            "[[no_phi]]\nid = \"web-chat\"\nowners = [\"Example Bot\"]\non_phi = \"{on_phi}\"\n"
        )
    };
    let text = format!("Please call {} at {}", MARISOL.name, MARISOL.email);
    let house = House::with(&Rules::cloud(&upstream).and(&flow("block")));
    let serving = house.serve();
    let refused = serving.ask(&user(&text)).await;
    check_refusal(&refused, 403, "phi_blocked", &[MARISOL.email, MARISOL.name]);
    let outcome = house.outcome(refused.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.reason.as_deref(), Some("no_phi"));
    assert_eq!(outcome.about.alert.as_deref(), Some("web-chat"));
    assert_eq!(upstream.connections(), 0);

    house.apply(&Rules::cloud(&upstream).and(&flow("alert"))).ok();
    serving.stop();
    let serving = house.serve();
    let response = serving.ask(&user(&text)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.about.alert.as_deref(), Some("web-chat"));
}

#[tokio::test]
async fn the_purpose_is_demanded_and_recorded_and_an_exemption_is_a_fact_of_the_record() {
    let upstream = Upstream::start(Reply::echo()).await;
    let purpose = "id = \"treatment\"";
    let rules =
        Rules::cloud(&upstream).with(purpose, &format!("{purpose}\nexempt = \"treatment\""));
    let mut house = House::with(&rules);
    house.key = house.create_key(&[]).secret;
    let serving = house.serve();
    let body = user(&format!("{} {}", MARISOL.name, chart(140)));
    check_refusal(&serving.ask(&body).await, 400, "purpose_required", &[MARISOL.name]);
    assert_eq!(upstream.connections(), 0);
    let response =
        serving.call(&serving.request(&body).header("x-bulla-purpose", "treatment")).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.about.purpose.as_deref(), Some("treatment"));
    assert_eq!(outcome.about.minimum["exempt"], "treatment");
    assert_eq!(outcome.about.minimum["chart"], "141 resources of 2 types");
}

/// A route into the cloud that a model at home reduces first; the cloud gets no identifier.
fn reduced(cloud: &Upstream, home: &Upstream) -> Rules {
    let route = "[[route]]\nmodel = \"stand-in\"";
    Rules::cloud(cloud)
        .with(TOKENIZE, "effect = \"redact\"")
        .and_home(home)
        .with(route, &format!("{route}\nreduce = \"at-home\""))
        .and(
            "[[route]]\nmodel = \"at-home\"\nto = [{ destination = \"home\", model = \"stand-in\" }]\n\
             [[policy]]\nid = \"at-home\"\neffect = \"allow\"\nclasses = [\"*\"]\n\
             destinations = [\"home\"]\npurposes = [\"treatment\"]\n",
        )
}

#[tokio::test]
async fn the_model_at_home_gets_the_person_and_the_cloud_gets_what_is_left() {
    let cloud = Upstream::start(Reply::echo()).await;
    let home = Upstream::start(Reply::text("The patient sleeps badly; what helps?")).await;
    let house = House::with(&reduced(&cloud, &home));
    let serving = house.serve();
    let text = format!("{}, {}, sleeps badly. What helps?", MARISOL.name, MARISOL.ssn);
    let response = serving.ask(&user(&text)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(response.answer().content(), "The patient sleeps badly; what helps?");
    let (at_home, in_cloud) = (home.captured(), cloud.captured());
    assert_eq!((at_home.len(), in_cloud.len()), (1, 1));
    assert!(at_home[0].holds(MARISOL.name) && at_home[0].holds(MARISOL.ssn));
    assert!(!in_cloud[0].holds(MARISOL.name) && !in_cloud[0].holds(MARISOL.ssn));

    let both = outcomes(&house);
    let [first, second] = &both[..] else { panic!("{both:?}") };
    assert_eq!(first.about.destination.as_deref(), Some("home"));
    assert!(first.about.findings["SSN"] >= 1);
    assert_eq!(second.about.destination.as_deref(), Some("cloud"));
    assert_eq!(second.about.reduced_by, Some(first.about.exchange));
    assert!(second.about.findings.is_empty(), "{:?}", second.about.findings);
    assert_eq!(first.about.reduced_by, None);
    assert_eq!(response.header("x-request-id"), Some(&*second.about.exchange.to_string()));
    // A stream goes the same way.
    let transcript = serving.stream(&user(&text)).await;
    assert_eq!(transcript.answer().content(), "The patient sleeps badly; what helps?");
}

#[tokio::test]
async fn what_was_reduced_is_kept_for_the_next_stage_and_is_no_answer() {
    let cloud = Upstream::start(Reply::text("Sleep hygiene.")).await;
    let home = Upstream::start(Reply::text("The patient sleeps badly; what helps?")).await;
    let kept = "[cache]\nttl_seconds = 600\nroutes = [\"at-home\"]\n";
    let house = House::with(&reduced(&cloud, &home).and(kept));
    let serving = house.serve();
    let text = format!("{}, {}, sleeps badly. What helps?", MARISOL.name, MARISOL.ssn);
    for _ in 0..2 {
        let response = serving.ask(&user(&text)).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(response.answer().content(), "Sleep hygiene.");
    }
    assert_eq!((home.captured().len(), cloud.captured().len()), (1, 2));
    let ended = outcomes(&house);
    let ends: Vec<_> = ended.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(ends, ["answered", "answered", "cached", "answered"]);
    assert_eq!(ended[3].about.reduced_by, Some(ended[2].about.exchange));
}

#[tokio::test]
async fn what_the_model_at_home_leaves_in_is_treated_like_any_prompt() {
    let cloud = Upstream::start(Reply::echo()).await;
    // It does not do as it is told.
    let home = Upstream::start(Reply::text(&format!("Patient: {}, {}", MARISOL.name, MARISOL.ssn)));
    let home = home.await;
    let house = House::with(&reduced(&cloud, &home));
    let serving = house.serve();
    let response = serving.ask(&user(&format!("Patient: {}", MARISOL.name))).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert!(!cloud.captured()[0].holds(MARISOL.name) && !cloud.captured()[0].holds(MARISOL.ssn));
    assert!(outcomes(&house)[1].about.findings["SSN"] >= 1);
}

#[tokio::test]
async fn when_nothing_was_reduced_nothing_goes_on() {
    let cloud = Upstream::start(Reply::echo()).await;
    let home = Upstream::start(Reply::echo()).await;
    let house = House::with(&reduced(&cloud, &home));
    let serving = house.serve();
    let text = format!("Patient: {}", MARISOL.name);
    home.play(Reply::fault(Fault::Status { status: 500, retry_after: None }));
    let response = serving.ask(&user(&text)).await;
    check_refusal(&response, 502, "upstream_failed", &[MARISOL.name]);
    home.play(Reply::text(" "));
    let response = serving.ask(&user(&text)).await;
    check_refusal(&response, 502, "upstream_invalid", &[MARISOL.name]);
    let last = outcomes(&house).pop().unwrap();
    assert_eq!(last.reason.as_deref(), Some("not_reduced"));
    assert!(last.about.reduced_by.is_some());
    // More than one turn would take what was said before along, unreduced.
    let before =
        testkit::client::chat(&[("user", &text), ("assistant", "Yes?"), ("user", "And now?")]);
    let response = serving.ask(&before).await;
    check_refusal(&response, 400, "invalid_request", &[MARISOL.name]);
    assert_eq!(outcomes(&house).pop().unwrap().reason.as_deref(), Some("not_one_turn"));
    assert_eq!(cloud.connections(), 0);
    // A caller may ask the model at home by itself.
    home.play(Reply::echo());
    let mut alone = user(&text);
    alone["model"] = "at-home".into();
    let response = serving.call(&Request::chat(&alone).bearer(&house.key)).await;
    assert_eq!(response.answer().content(), text);
}

#[test]
fn a_route_that_leads_outside_reduces_nothing() {
    let house = House::bare();
    let rules = Rules::of("http://127.0.0.1:9/v1", "127.0.0.1:9");
    let route = "[[route]]\nmodel = \"stand-in\"";
    let to = |by: &str| rules.clone().with(route, &format!("{route}\nreduce = \"{by}\""));
    house.apply(&to("nowhere")).fails(2, "there is no [[route]] with this model");
    house.apply(&to("stand-in")).fails(2, "the route that reduces is reduced itself");
    let other = to("other").and(
        "[[route]]\nmodel = \"other\"\nto = [{ destination = \"cloud\", model = \"stand-in\" }]\n",
    );
    house.apply(&other).fails(2, "this one leads outside");
}
