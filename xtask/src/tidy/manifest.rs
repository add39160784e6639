//! Manifests: every crate takes the house's lints, every dependency says what
//! it is for, and everything comes from the one public registry.

use super::Fault;

/// Where every package that is not ours comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// In whose build a dependency takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DependencyKind {
    Normal,
    Build,
    Development,
}

#[derive(Debug)]
pub(super) struct Dependency {
    /// The package's own name, also where the manifest renames it.
    pub(super) name: String,
    pub(super) kind: DependencyKind,
}

#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    /// Absent in the manifest of the workspace.
    pub(super) name: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    table: toml::Table,
}

/// Parses manifests; one that does not parse becomes a fault.
pub(super) fn parse<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    faults: &mut Vec<Fault>,
) -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for (path, text) in files {
        match text.parse::<toml::Table>() {
            // A package that is a workspace of its own is not built with the house (`fuzz/`).
            Ok(table) if table.contains_key("package") && table.contains_key("workspace") => {}
            Ok(table) => manifests.push(Manifest {
                path: path.to_owned(),
                name: string(&table, "package", "name"),
                dependencies: dependencies(&table),
                table,
            }),
            Err(error) => faults.push(Fault::new(path, 0, error.message())),
        }
    }
    manifests
}

fn string(table: &toml::Table, section: &str, key: &str) -> Option<String> {
    table.get(section)?.get(key)?.as_str().map(str::to_owned)
}

fn dependencies(table: &toml::Table) -> Vec<Dependency> {
    let targets = table.get("target").and_then(toml::Value::as_table);
    let per_target = targets.into_iter().flat_map(|t| t.values().filter_map(toml::Value::as_table));
    let mut found = Vec::new();
    for table in std::iter::once(table).chain(per_target) {
        for (section, kind) in [
            ("dependencies", DependencyKind::Normal),
            ("build-dependencies", DependencyKind::Build),
            ("dev-dependencies", DependencyKind::Development),
        ] {
            let list = table.get(section).and_then(toml::Value::as_table);
            found.extend(list.into_iter().flatten().map(|(key, value)| {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                Dependency { name: renamed.unwrap_or(key).to_owned(), kind }
            }));
        }
    }
    found
}

/// Checks that every crate takes the house's lints and is built and tested by default.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let workspace = manifests.iter().find(|manifest| manifest.path == "Cargo.toml");
    let members = workspace.and_then(|m| m.table.get("workspace")?.get("default-members"));
    let members: Option<Vec<&str>> =
        members.and_then(|m| m.as_array()).map(|m| m.iter().filter_map(|v| v.as_str()).collect());
    for manifest in manifests {
        let Some(name) = &manifest.name else { continue };
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            let message = "`[lints] workspace = true` is missing";
            faults.push(Fault::new(&manifest.path, 0, message));
        }
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        let by_default = members.as_ref().is_none_or(|members| members.contains(&folder));
        if by_default == (name == "bulla-model") && members.is_some() {
            let message = "every crate but `bulla-model` is a default member of the workspace";
            faults.push(Fault::new(&manifest.path, 0, message));
        }
    }
    faults
}

/// Finds lines of `[workspace.dependencies]` without a comment line above.
///
/// The crates of the house share one comment, as their manifests say what each is.
pub(super) fn uncommented_dependencies(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut inside = false;
    let mut commented = false;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if line.starts_with('#') {
            commented = line.trim_matches(['#', ' ']).contains(' ');
        } else if !inside || line.is_empty() {
            commented = false;
        } else {
            let starts = line.split_once('=').is_some_and(|(key, _)| is_key(key.trim()));
            if starts && !commented {
                let message = "no comment above says what this dependency is for";
                faults.push(Fault::new(path, number + 1, message));
            }
            commented = commented && line.contains("path = \"crates/");
        }
    }
    faults
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Finds packages of the lock file that come from anywhere but the public registry.
pub(super) fn foreign_sources(path: &str, text: &str) -> Vec<Fault> {
    text.lines()
        .enumerate()
        .filter_map(|(number, line)| Some((number, line.strip_prefix("source = ")?)))
        .filter(|(_, source)| source.trim_matches('"') != REGISTRY)
        .map(|(number, _)| Fault::new(path, number + 1, "a package from another registry"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace]\ndefault-members = [\"crates/phi\"]";

    /// Counts the faults of a workspace with this one crate.
    fn check(path: &str, text: &str) -> usize {
        let mut faults = Vec::new();
        let files = [("Cargo.toml", WORKSPACE), (path, text)];
        let manifests = parse(files.into_iter(), &mut faults);
        faults.len() + super::check(&manifests).len()
    }

    #[test]
    fn a_crate_takes_the_lints_of_the_house() {
        let phi = "[package]\nname = \"phi\"\n";
        assert_eq!(check("crates/phi/Cargo.toml", &format!("{phi}[lints]\nworkspace = true")), 0);
        assert_eq!(check("crates/phi/Cargo.toml", phi), 1);
        assert_eq!(check("crates/phi/Cargo.toml", &format!("{phi}[lints]\nworkspace = false")), 1);
    }

    #[test]
    fn every_crate_but_the_native_one_is_built_by_default() {
        let lints = "[lints]\nworkspace = true";
        let left_out = format!("[package]\nname = \"gate\"\n{lints}");
        assert_eq!(check("crates/gate/Cargo.toml", &left_out), 1);
        let native = format!("[package]\nname = \"bulla-model\"\n{lints}");
        assert_eq!(check("crates/bulla-model/Cargo.toml", &native), 0);
        assert_eq!(check("crates/phi/Cargo.toml", &native), 1);
    }

    #[test]
    fn a_workspace_of_its_own_is_not_of_the_house() {
        assert_eq!(check("fuzz/Cargo.toml", "[workspace]\n[package]\nname = \"fuzz\""), 0);
    }

    #[test]
    fn a_manifest_that_does_not_parse_is_a_fault() {
        assert_eq!(check("crates/phi/Cargo.toml", "[package"), 1);
    }

    #[test]
    fn a_dependency_says_what_it_is_for() {
        let text = "[workspace.dependencies]\n# The house.\nphi = { path = \"crates/phi\" }\n\
                    gate = { path = \"crates/gate\" }\n\n# Byte search in hot loops.\nmemchr = \"2\"\n\
                    rand = \"1\"\n\nserde = \"1\"\n[profile.dev]\ndebug = 1\n";
        let lines: Vec<usize> =
            uncommented_dependencies("Cargo.toml", text).iter().map(|f| f.line).collect();
        assert_eq!(lines, [8, 10]);
    }

    #[test]
    fn packages_come_from_the_public_registry() {
        let ours = format!("source = \"{REGISTRY}\"\n");
        assert_eq!(foreign_sources("Cargo.lock", &ours), []);
        let other = "source = \"registry+https://mirror.example/index\"\n";
        assert_eq!(foreign_sources("Cargo.lock", other).len(), 1);
    }
}
