//! What was decided, why, and that it is decided again.

use crate::world::{World, ending};
use gate::policy::{Difference, Treatment};
use ledger::{Event, ExchangeId};
use service::{ExplainError, Explanation, Pointed, TargetView};
use std::time::Duration;
use testkit::upstream::{Fault, Reply, Upstream};

const SSN: &str = "219-09-9999";
pub(crate) const SPECIAL: &str =
    "Started on methadone at the opioid treatment program for heroin use disorder.";

pub(crate) const TO: &str = "to = [{ destination = \"vendor\", model = \"example\" }]";

/// A hop and a destination of the name, at this address.
pub(crate) fn destination(id: &str, url: &str, authority: &str, hop: &str) -> String {
    format!(
        "[[hop]]\nid = \"{id}\"\n{hop}role = \"inference\"\nsees = \"content\"\nhosts = [\"{authority}\"]\n\
         [[destination]]\nid = \"{id}\"\ntitle = \"Another\"\ndialect = \"openai_compatible\"\n\
         url = \"{url}\"\ncredential = \"none\"\nhops = [\"{id}\"]\nmodels = [\"example\"]\n"
    )
}

pub(crate) const OWN: &str = "entity = \"Example Clinic (synthetic)\"\nboundary = \"inside\"\nowner = \"Example Clinic (synthetic)\"\n";

const VENDOR: &str = "entity = \"Example Vendor (synthetic)\"\nservice = \"inference-api\"\ntier = \"enterprise\"\nregion = \"us-east\"\nboundary = \"outside\"\nagreement = \"baa-example\"\n";

pub(crate) fn row(id: &str, effect: &str, destination: &str, more: &str) -> String {
    format!(
        "[[policy]]\nid = \"{id}\"\neffect = \"{effect}\"\nclasses = [\"*\"]\n\
         destinations = [\"{destination}\"]\npurposes = [\"*\"]\n{more}"
    )
}

/// A cloud that gets surrogates, and a model of the clinic's own to which special categories go.
async fn hybrid() -> (World, Upstream) {
    let local = Upstream::start(Reply::echo()).await;
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let special = "categories = [\"SUBSTANCE_USE\", \"PSYCHOTHERAPY_NOTE\"]\n";
    let more = [
        destination("local", &local.url(), &local.address().to_string(), OWN),
        row("special-stays", "block", "vendor", special),
        row("special-goes-inside", "reroute", "local", special),
        row("inside-gets-all", "allow", "local", ""),
    ];
    let more = more.concat();
    let to = "to = [{ destination = \"vendor\", model = \"example\" }, { destination = \"local\", model = \"example\" }]";
    world.apply_changed(|rules| rules.replace(TO, to) + &more).await;
    (world, local)
}

fn exchange(event: &Event) -> ExchangeId {
    event.about().unwrap().exchange
}

pub(crate) async fn explained(world: &World, event: &Event) -> Explanation {
    world.house.explain(Pointed::Exchange(exchange(event))).await.unwrap()
}

pub(crate) fn check_same(explanation: &Explanation) {
    assert!(explanation.is_same().is_some(), "{:?}", explanation.replay);
    assert_eq!(explanation.differences(), &[] as &[Difference]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_categories_stay_and_the_rest_goes_also_when_the_inside_is_down() {
    let (world, local) = hybrid().await;
    let (event, answer) = world.ask(&format!("SSN {SSN}"), None).await;
    assert_eq!(event.about().unwrap().destination.as_deref(), Some("vendor"));
    assert!(answer.contains(SSN) && !world.upstream.captured()[0].holds(SSN));
    let (event, _) = world.ask(&format!("{SPECIAL} SSN {SSN}"), None).await;
    let about = event.about().unwrap();
    assert_eq!(about.decision.as_deref(), Some("rerouted"));
    assert_eq!(about.destination.as_deref(), Some("local"));
    assert_eq!((world.upstream.captured().len(), local.captured().len()), (1, 1));
    assert!(local.captured()[0].holds(SSN), "the clinic's own model gets the text as it is");

    drop(local);
    for _ in 0..10 {
        let (event, _) = world.ask(SPECIAL, None).await;
        assert_eq!(ending(&event).1, Some("upstream_unreachable"));
    }
    let (event, _) = world.ask(SPECIAL, None).await;
    let expected = ("refused", Some("destination_unavailable"), Some("circuit_open"));
    assert_eq!(ending(&event), expected);
    let about = event.about().unwrap();
    assert_eq!(about.categories, ["SUBSTANCE_USE"]);
    assert!(about.rules.contains(&"special-goes-inside".to_owned()), "{:?}", about.rules);
    check_same(&explained(&world, &event).await);
    // Of all that nothing reached the cloud, and the rest goes there as before.
    assert_eq!(world.upstream.captured().len(), 1);
    assert_eq!(ending(&world.ask("good morning", None).await.0).0, "answered");
    assert_eq!(world.upstream.captured().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_explained_and_decided_again_after_the_rules_changed() {
    let (world, _local) = hybrid().await;
    let (plain, _) = world.ask(&format!("SSN {SSN}"), Some("visit")).await;
    let (special, _) = world.ask(SPECIAL, None).await;
    // Another file decides otherwise today; and by now the agreement has ended.
    world.apply_changed(|rules| rules.replace("effect = \"tokenize\"", "effect = \"block\"")).await;
    world.clock.advance(400 * 86_400);
    let before = world.records().await.len();
    let explanation = explained(&world, &plain).await;
    check_same(&explanation);
    assert_eq!(explanation.version, Some(2));
    assert_eq!(explanation.about.findings["SSN"], 1);
    let [ruled] = explanation.rulings() else { panic!("{:?}", explanation.rulings()) };
    assert_eq!((ruled.class, ruled.treatment), ("SSN", Some(Treatment::Tokenize)));
    assert_eq!(ruled.rules, ["tokenize"]);
    let view = |destination: &str, standing, became: &str| TargetView {
        destination: destination.to_owned(),
        standing,
        became: became.to_owned(),
    };
    assert_eq!(
        explanation.targets,
        [view("vendor", "first", "chosen"), view("local", "for re-routing", "not_needed")]
    );
    let [hosting, vendor] = &explanation.hops[..] else { panic!("{:?}", explanation.hops) };
    assert_eq!((hosting.id.as_str(), hosting.region.as_deref()), ("clinic-server", None));
    assert_eq!(vendor.cover.as_deref(), Some("baa-example"));
    assert_eq!(vendor.region.as_deref(), Some("us-east"), "the region used is recorded");
    assert_eq!(vendor.party.as_ref().unwrap().0, "Example Vendor (synthetic)");

    let explanation = explained(&world, &special).await;
    check_same(&explanation);
    assert_eq!(explanation.about.destination.as_deref(), Some("local"));
    let asked: Vec<_> = explanation.rulings().iter().map(gate::policy::Ruled::action).collect();
    assert_eq!(asked, ["none", "reroute", "disclose"]);
    // By position too; and that it was explained opened nothing and needs no record.
    let (outcome, _) = explanation.outcome.as_ref().unwrap();
    let again = world.house.explain(Pointed::Position(*outcome)).await.unwrap();
    assert_eq!(again.about.exchange, explanation.about.exchange);
    assert_eq!(world.records().await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_explained_with_the_tries_before_it() {
    let second = Upstream::start(Reply::echo()).await;
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let more = destination("second", &second.url(), &second.address().to_string(), VENDOR)
        + &row("second-too", "tokenize", "second", "");
    let alternatives = "alternatives = [{ destination = \"second\", model = \"example\" }]\nretry = { attempts = 2 }";
    world.apply_changed(|rules| rules.replace(TO, &format!("{TO}\n{alternatives}")) + &more).await;
    world.upstream.play(Reply::fault(Fault::Status { status: 500, retry_after: None }));
    let (event, _) = world.ask(&format!("SSN {SSN}"), None).await;
    let explanation = explained(&world, &event).await;
    check_same(&explanation);
    let [before] = &explanation.tries[..] else { panic!("{:?}", explanation.tries) };
    assert_eq!(
        (before.destination.as_deref(), before.reason.as_deref()),
        (Some("vendor"), Some("failed"))
    );
    assert_eq!(explanation.targets[0].became, "failed");
    assert_eq!(explanation.targets[1].became, "chosen");
    check_same(&world.house.explain(Pointed::Exchange(before.exchange)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_explained_with_its_gap_and_what_is_no_decision_is_not() {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    world.clock.advance(400 * 86_400);
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event).1, Some("baa_uncovered_hop"));
    let explanation = explained(&world, &event).await;
    check_same(&explanation);
    let gap = explanation.replay.as_ref().unwrap().gap.as_deref().unwrap();
    assert!(gap.contains("\"baa-example\" expired on 2027-01-01"), "{gap}");

    world
        .apply_changed(|rules| rules.replace("model = \"example\"\nto", "model = \"other\"\nto"))
        .await;
    let (event, _) = world.ask("good morning", None).await;
    assert_eq!(ending(&event).1, Some("model_not_found"));
    let explanation = explained(&world, &event).await;
    assert_eq!(explanation.is_same(), None, "{:?}", explanation.replay);
    // Records of something else, none at all, and an exchange that is not there.
    for (pointed, nothing) in [
        (Pointed::Position(0), false),
        (Pointed::Position(1_000_000), true),
        (Pointed::Leaf(1, ledger::Hash::of(b"another")), true),
        (Pointed::Exchange(ExchangeId::from_bytes([9; 16])), true),
    ] {
        let error = world.house.explain(pointed.clone()).await.unwrap_err();
        assert_eq!(matches!(error, ExplainError::NoRecord), nothing, "{pointed:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_phase_that_takes_too_long_is_named_in_the_record() {
    // It accepts connections and never greets.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let vendor = (world.upstream.url(), world.upstream.address().to_string());
    let (unreachable, late) = ("upstream_unreachable", "upstream_timeout");
    for (key, reply, url, code, reason) in [
        (
            "connect_timeout_seconds",
            None,
            format!("https://{address}/v1"),
            unreachable,
            "connect_timed_out",
        ),
        ("timeout_seconds", Some(Fault::HangBeforeHeaders), vendor.0.clone(), late, "timed_out"),
        ("idle_timeout_seconds", Some(Fault::Hang { after: 1 }), vendor.0.clone(), late, "stalled"),
        (
            "total_timeout_seconds",
            Some(Fault::Hang { after: 1 }),
            vendor.0,
            late,
            "total_timed_out",
        ),
    ] {
        if let Some(fault) = reply {
            world.upstream.play(Reply::fault(fault));
        }
        let host = if reason == "connect_timed_out" { &address } else { &vendor.1 };
        world
            .apply_changed(|rules| {
                let models = "models = [\"example\"]\n[[route]]";
                assert!(rules.contains(models));
                rules
                    .replace(models, &format!("models = [\"example\"]\n{key} = 1\n[[route]]"))
                    .replace(&world.upstream.url(), &url)
                    .replace(
                        &format!("hosts = [\"{}\"]", vendor.1),
                        &format!("hosts = [\"{host}\"]"),
                    )
            })
            .await;
        let asked = world.ask("good morning", None);
        let (event, _) = tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
        let expected = ("upstream_failed", Some(code), Some(reason));
        assert_eq!(ending(&event), expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_hosted_model_at_a_public_address_is_a_third_party_and_gets_nothing() {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let inside = destination("own", "https://192.0.2.7/v1", "192.0.2.7", OWN);
    let route =
        "[[route]]\nmodel = \"own\"\nto = [{ destination = \"own\", model = \"example\" }]\n";
    let more = format!("{inside}{route}{}", row("own-gets-all", "allow", "own", ""));
    // Said to lie inside, at an address of the internet: no such file is taken.
    let error = world.try_with(&more).await.unwrap_err().to_string();
    assert!(error.contains("this one is public"), "{error}");
    // Said to lie outside, it is whoever runs it: without an agreement nothing leaves.
    let outside =
        "entity = \"Example Clinic (synthetic)\"\ntier = \"enterprise\"\nboundary = \"outside\"\n";
    let taken = more.replace(OWN, outside).replace("model = \"own\"", "model = \"example\"");
    world
        .apply_changed(|rules| {
            let (first, rest) = rules.split_once("[[route]]").unwrap();
            let (_, policies) = rest.split_once("[[policy]]").unwrap();
            format!("{first}[[policy]]{policies}{taken}")
        })
        .await;
    let (event, _) = world.ask(&format!("SSN {SSN}"), None).await;
    assert_eq!(ending(&event), ("refused", Some("baa_uncovered_hop"), Some("no_agreement")));
    let intents = world.events().await.iter().filter(|it| matches!(it, Event::Intent(_))).count();
    assert_eq!(intents, 0);
}
