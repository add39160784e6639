//! The detector on the project's own documents (`fixtures/README.md`).

use phi::measure::{
    Document, Estimate, Labels, Policy, Report, Scope, Settings, read_marked, score,
};
use phi::{Detector, Part};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let style = path.file_stem().unwrap().to_str().unwrap();
        let read = read_marked(style, &fs::read_to_string(&path).unwrap());
        documents.extend(read.unwrap_or_else(|fault| panic!("{}: {fault}", path.display())));
    }
    documents
}

fn report() -> Report {
    let detector = Detector::new();
    let documents = documents();
    let scope = Scope::of(&documents);
    let tallies: Vec<_> = documents
        .iter()
        .map(|document| {
            let part = Part { text: document.text.expose(), label: None };
            let found = detector.scan(&[part]).unwrap().remove(0);
            score(document, &found, Policy::SafeHarbor, &scope)
        })
        .collect();
    // The floors hold values, so no interval is needed.
    Report::of(&tallies, Settings { resamples: 0, ..Settings::default() })
}

#[test]
fn no_class_falls_below_its_floor() {
    let file = fs::read_to_string(folder().join("floors.toml")).unwrap();
    let file: toml::Table = file.parse().unwrap();
    let limit = |table: &toml::Value, key: &str| table.get(key).unwrap().as_float().unwrap();
    let value = |estimate: Option<Estimate>| estimate.map_or(0.0, |estimate| estimate.value);
    let report = report();
    let mut broken = Vec::new();
    let mut named = BTreeSet::new();
    for (class, floor) in file["floors"].as_table().unwrap() {
        let line = match class.as_str() {
            "ALL" => &report.all,
            class => report.class(class.parse().unwrap()).unwrap(),
        };
        named.insert(line.class);
        let pairs = [("full", value(line.full)), ("precision", value(line.precision))];
        for (what, value) in pairs.into_iter().filter(|(what, _)| floor.get(what).is_some()) {
            let floor = limit(floor, what);
            if value < floor {
                broken.push(format!("{class}: {what} is {value:.3}, its floor {floor:.3}"));
            }
        }
    }
    let ceilings = &file["ceilings"];
    for (what, value) in [
        ("negatives", value(report.negatives)),
        ("over_redaction", value(report.over_redaction)),
        ("leaked", value(report.all.leaked)),
    ] {
        let ceiling = limit(ceilings, what);
        if value > ceiling {
            broken.push(format!("{what} is {value:.3}, its ceiling {ceiling:.3}"));
        }
    }
    let labelled = report.classes.iter().filter(|line| line.counts.gold > 0);
    for line in labelled.filter(|line| !named.contains(&line.class)) {
        broken.push(format!("{:?} has no floor", line.class));
    }
    assert!(
        broken.is_empty(),
        "`cargo xtask eval --floors` prints today's values; broken:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_fixtures_are_enough_to_say_something() {
    let documents = documents();
    let ids: BTreeSet<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let styles: BTreeSet<_> = documents.iter().map(|document| &document.style).collect();
    let negatives: usize = documents.iter().map(|document| document.negatives.len()).sum();
    let classes: BTreeSet<_> =
        documents.iter().flat_map(|document| &document.spans).map(|span| span.class).collect();
    assert!(documents.len() >= 150 && negatives >= 300 && styles.len() >= 12);
    assert_eq!(ids.len(), documents.len(), "each document has a name of its own");
    assert_eq!(classes.len(), phi::Class::ALL.len(), "each class is labelled somewhere");
    assert!(documents.iter().all(|document| document.labels == Labels::Exhaustive));
}
