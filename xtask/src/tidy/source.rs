//! Source files: their size, their names, the places they mention, and where
//! PHI leaves its type.

use std::collections::BTreeMap;

use super::Fault;

/// Lines of a Rust file at which it is worth a look.
const LONG_LINES: usize = 800;
/// Lines of a Rust file at which it must be divided.
const TOO_LONG_LINES: usize = 1000;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["common", "helper", "helpers", "manager", "misc", "shared", "stuff", "util", "utils"];

/// Places of one machine or one network that no file may depend on. A letter is
/// escaped in each, so that this file keeps the rule too.
const PLACES: [&str; 9] = [
    "/\u{77}ork/",
    "/\u{72}oot/",
    "/tmp/\u{62}rief",
    "--index-\u{75}rl",
    "--extra-index-\u{75}rl",
    "sparse+\u{68}ttp",
    "\u{61}rtifactory",
    "pypi.org/\u{73}imple",
    "replace-\u{77}ith",
];

/// What [`size`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Size {
    Long(Fault),
    TooLong(Fault),
}

pub(super) fn size(path: &str, text: &str) -> Option<Size> {
    let lines = text.lines().count();
    let fault = |limit: usize| Fault::new(path, 0, format!("{lines} lines, above {limit}"));
    match lines {
        0..=LONG_LINES => None,
        _ if lines <= TOO_LONG_LINES => Some(Size::Long(fault(LONG_LINES))),
        _ => Some(Size::TooLong(fault(TOO_LONG_LINES))),
    }
}

pub(super) fn name(path: &str) -> Option<Fault> {
    let module = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    let name = module.rsplit('/').next().unwrap_or(module);
    EMPTY_NAMES
        .contains(&name)
        .then(|| Fault::new(path, 0, format!("`{name}` says nothing about what is inside")))
}

pub(super) fn places(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for place in PLACES {
            if line.match_indices(place).any(|(at, _)| begins(line, at, place)) {
                let message = format!("names a place of one machine or network: `{place}`");
                faults.push(Fault::new(path, number + 1, message));
            }
        }
    }
    faults
}

/// Whether a match is a path of its own and not the inside of a longer one.
fn begins(line: &str, at: usize, place: &str) -> bool {
    let before = line.split_at(at).0.chars().next_back();
    !place.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "-_.}~".contains(c))
}

/// Counts the call sites of `.expose()` by crate, without test modules and test folders.
pub(super) fn exposures<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (path, text) in files {
        let mut folders = path.split('/');
        let (Some("crates"), Some(name), Some("src")) =
            (folders.next(), folders.next(), folders.next())
        else {
            continue;
        };
        if path.ends_with("/tests.rs") {
            continue;
        }
        let code = text.split_once("#[cfg(test)]").map_or(text, |(code, _)| code);
        let calls = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| line.matches(".expose()").count())
            .sum::<usize>();
        if calls > 0 {
            *counts.entry(name.to_owned()).or_default() += calls;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_a_sign_and_a_longer_one_a_fault() {
        assert_eq!(size("x.rs", &"\n".repeat(LONG_LINES)), None);
        assert!(matches!(size("x.rs", &"\n".repeat(LONG_LINES + 1)), Some(Size::Long(_))));
        assert!(matches!(size("x.rs", &"\n".repeat(TOO_LONG_LINES)), Some(Size::Long(_))));
        assert!(matches!(size("x.rs", &"\n".repeat(TOO_LONG_LINES + 1)), Some(Size::TooLong(_))));
    }

    #[test]
    fn a_name_that_says_nothing_is_a_fault() {
        assert!(name("crates/gate/src/utils.rs").is_some());
        assert!(name("crates/gate/src/common/mod.rs").is_some());
        assert_eq!(name("crates/gate/src/policy.rs"), None);
        assert_eq!(name("crates/gate/src/policy/mod.rs"), None);
    }

    #[test]
    fn a_place_of_one_machine_is_a_fault() {
        let bad = ["cd /\u{77}ork/x", "\"/\u{72}oot/.cargo\"", "pip --index-\u{75}rl http://x"];
        for line in bad {
            assert_eq!(places("x.md", line).len(), 1, "{line}");
        }
        assert_eq!(places("x.md", "see docs/\u{77}ork/plan and https://x.example/v1"), []);
    }

    #[test]
    fn call_sites_of_expose_are_counted_without_tests() {
        let code = "a.expose(); b.expose();\n// c.expose()\n#[cfg(test)]\nmod tests { d.expose() }";
        let files = [
            ("crates/gate/src/a.rs", code),
            ("crates/gate/tests/b.rs", code),
            ("crates/phi/src/tests.rs", code),
        ];
        let counts = exposures(files.into_iter());
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("gate".to_owned(), 2)]);
    }
}
