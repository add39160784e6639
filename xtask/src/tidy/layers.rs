//! The house: a crate uses only crates on floors below its own, and floors 1
//! and 2 are pure (ARCHITECTURE.md).

use super::Fault;
use super::manifest::{DependencyKind, Manifest};

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Floor(u8),
    /// Shares nothing with the house: native code, development commands.
    Apart,
    /// Only for tests: may use floors 1 and 2, and is used in tests alone.
    Testkit,
}

/// Every crate has its place here; one without is a fault.
const PLACES: [(&str, Place); 10] = [
    ("phi", Place::Floor(1)),
    ("ledger", Place::Floor(1)),
    ("gate", Place::Floor(2)),
    ("providers", Place::Floor(3)),
    ("store", Place::Floor(3)),
    ("service", Place::Floor(4)),
    ("server", Place::Floor(5)),
    ("testkit", Place::Testkit),
    ("bulla-model", Place::Apart),
    ("xtask", Place::Apart),
];

/// The highest floor without runtime, clock, randomness, file or environment.
const PURE_FLOOR: u8 = 2;

/// What would bring a runtime, a network, a database or randomness onto a pure floor.
const IMPURE: [&str; 13] = [
    "async-std",
    "axum",
    "getrandom",
    "hyper",
    "hyper-util",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "sqlx",
    "tokio",
    "tokio-rustls",
    "ureq",
];

fn place(name: &str) -> Option<Place> {
    PLACES.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, place)| *place)
}

pub(super) fn check(manifests: &[Manifest]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for manifest in manifests {
        let Some(name) = &manifest.name else { continue };
        let Some(here) = place(name) else {
            let message = format!("`{name}` has no place in the house (xtask/src/tidy/layers.rs)");
            faults.push(Fault::new(&manifest.path, 0, message));
            continue;
        };
        for dependency in &manifest.dependencies {
            if let Some(reason) = refusal(here, &dependency.name, dependency.kind) {
                let message =
                    format!("`{name}` must not depend on `{}`: {reason}", dependency.name);
                faults.push(Fault::new(&manifest.path, 0, message));
            }
        }
    }
    faults
}

/// Why a crate that stands `here` must not have this dependency.
fn refusal(here: Place, dependency: &str, kind: DependencyKind) -> Option<String> {
    let pure = matches!(here, Place::Floor(floor) if floor <= PURE_FLOOR);
    if pure && kind == DependencyKind::Normal && IMPURE.contains(&dependency) {
        return Some(format!("floors 1 to {PURE_FLOOR} are pure"));
    }
    match (here, place(dependency)?) {
        (Place::Floor(_), Place::Testkit) if kind == DependencyKind::Development => None,
        (_, Place::Testkit) => Some("the testkit is for tests alone".into()),
        (_, Place::Apart) => Some("it stands apart from the house".into()),
        (Place::Apart, Place::Floor(_)) => Some("this crate stands apart from the house".into()),
        (Place::Testkit, Place::Floor(below)) if below <= PURE_FLOOR => None,
        (Place::Testkit, Place::Floor(_)) => {
            Some(format!("the testkit uses floors 1 to {PURE_FLOOR} alone"))
        }
        (Place::Floor(floor), Place::Floor(below)) if below < floor => None,
        (Place::Floor(floor), Place::Floor(other)) => {
            Some(format!("it is on floor {other}, and this crate on floor {floor}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::parse;
    /// Checks the faults of one manifest, each of which must mention its `expected` part.
    fn check(text: &str, expected: &[&str]) {
        let mut faults = Vec::new();
        let manifests = parse([("crates/x/Cargo.toml", text)].into_iter(), &mut faults);
        faults.extend(super::check(&manifests));
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.message.contains(part), "{fault} must mention {part}");
        }
    }

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    #[test]
    fn a_crate_may_use_the_floors_below_it() {
        let gate = "[dependencies]\nphi.workspace = true\nledger = { path = \"../ledger\" }\n\
                    [dev-dependencies]\ntestkit.workspace = true\ntokio.workspace = true";
        check(&manifest("gate", gate), &[]);
        let server = "[dependencies]\nservice.workspace = true\nphi.workspace = true\n\
                      tokio.workspace = true";
        check(&manifest("server", server), &[]);
    }

    #[test]
    fn a_crate_must_not_use_its_own_floor_or_one_above() {
        check(&manifest("phi", "[dependencies]\nledger.workspace = true"), &["floor 1"]);
        check(&manifest("store", "[dependencies]\nproviders.workspace = true"), &["floor 3"]);
        check(&manifest("gate", "[dependencies]\nservice.workspace = true"), &["floor 4"]);
        check(&manifest("gate", "[build-dependencies]\nserver.workspace = true"), &["floor 5"]);
        check(&manifest("gate", "[dev-dependencies]\nstore.workspace = true"), &["floor 3"]);
        let hidden = "[target.'cfg(unix)'.dependencies]\nstore.workspace = true";
        check(&manifest("gate", hidden), &["floor 3"]);
        let renamed = "[dependencies]\nkeeper = { package = \"store\", path = \"../store\" }";
        check(&manifest("gate", renamed), &["`store`"]);
    }

    #[test]
    fn the_pure_floors_have_no_runtime_network_database_or_randomness() {
        for name in ["phi", "ledger", "gate"] {
            for dependency in ["tokio", "reqwest", "axum", "rusqlite", "rand"] {
                let text = format!("[dependencies]\n{dependency}.workspace = true");
                check(&manifest(name, &text), &["pure"]);
            }
        }
    }

    #[test]
    fn the_testkit_is_for_tests_alone() {
        check(&manifest("service", "[dependencies]\ntestkit.workspace = true"), &["tests alone"]);
        check(&manifest("testkit", "[dependencies]\nstore.workspace = true"), &["floors 1 to 2"]);
    }

    #[test]
    fn what_stands_apart_stays_apart() {
        check(&manifest("server", "[dependencies]\nbulla-model.workspace = true"), &["apart"]);
        check(&manifest("bulla-model", "[dependencies]\nledger.workspace = true"), &["apart"]);
    }

    #[test]
    fn a_crate_without_a_place_is_a_fault() {
        check(&manifest("misc", ""), &["no place"]);
    }
}
