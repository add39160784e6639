use crate::path::{Features, PLAIN};
use crate::rules::Rules;
use crate::rules::tests::at;

const TEXAS: &str = include_str!("../../../../../examples/texas.toml");
const IN_FORCE: &str = "2026-06-01T12:00:00Z";

/// The example with each text replaced once, after the line that names the object.
fn texas(edits: &[(&str, &str, &str)]) -> Rules {
    let mut text = TEXAS.to_owned();
    for (object, from, to) in edits {
        let (before, after) = text.split_once(&format!("id = \"{object}\"\n")).unwrap();
        assert!(after.contains(from), "{object} does not hold {from:?}");
        text = format!("{before}id = \"{object}\"\n{}", after.replacen(from, to, 1));
    }
    Rules::parse(&text).unwrap()
}

/// What a prompt, the copy and the feed are told, in that order.
fn said(rules: &Rules) -> [String; 4] {
    let prompt = |id: &str| {
        let destination = rules.destination(id).unwrap();
        let model = destination.models().iter().next().unwrap().as_str();
        let features =
            Features { api: "chat.completions", model, modality: "text", capabilities: PLAIN };
        rules.cover(destination, &features, at(IN_FORCE)).map(drop)
    };
    let copy = rules.copy("worm").unwrap().cover(rules.registry(), at(IN_FORCE)).map(drop);
    let feed = rules.feed("watch").unwrap().cover(rules.registry(), at(IN_FORCE)).map(drop);
    [prompt("local"), prompt("examplecloud"), copy, feed].map(|covered| match covered {
        Ok(()) => "covered".to_owned(),
        Err(gap) => format!("{}: {}", gap.code().as_str(), gap.hop().unwrap()),
    })
}

fn check(edits: &[(&str, &str, &str)], expected: [&str; 4]) {
    assert_eq!(said(&texas(edits)), expected, "{edits:?}");
}

#[test]
fn in_the_texas_example_nothing_is_kept_outside_the_united_states() {
    check(&[], ["covered"; 4]);
    // Where this server itself stands: then nothing leaves at all, not even to the model beside it.
    let hosting = "region_not_allowed: clinic-server";
    check(&[("clinic-server", "us-tx", "mx-central")], [hosting; 4]);
    let model = "region_not_allowed: examplecloud-inference";
    check(
        &[("examplecloud-inference", "us-south", "ca-central")],
        ["covered", model, "covered", "covered"],
    );
    let copy = "region_not_allowed: examplestore";
    check(&[("examplestore", "us-east", "eu-west")], ["covered", "covered", copy, "covered"]);
    let feed = "region_not_allowed: examplewatch";
    check(&[("examplewatch", "us-east", "eu-west")], ["covered", "covered", "covered", feed]);
    // Nobody who keeps something may leave out where.
    check(
        &[("examplestore", "region = \"us-east\"\n", "")],
        ["covered", "covered", copy, "covered"],
    );
}

#[test]
fn a_copy_that_is_signed_for_another_region_than_its_hop_names_is_refused() {
    // The hop says one region, and the objects would lie in another.
    let copy = "region_not_allowed: examplestore";
    check(
        &[("worm", "region = \"us-east\"", "region = \"eu-west-1\"")],
        ["covered", "covered", copy, "covered"],
    );
}

#[test]
fn who_sees_hashes_alone_may_stand_anywhere() {
    let rules = texas(&[]);
    let authority = rules.authorities().next().unwrap();
    assert_eq!(authority.id(), "exampletime");
    assert!(TEXAS.contains("region = \"eu-central\"\nsees = \"hashes\""));
}
