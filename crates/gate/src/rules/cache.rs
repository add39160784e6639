//! Which answers are kept for a while, to be given again to whoever got them.

use super::name::{Fault, Name, words};
use super::{Destination, Keep, Route, Slug, Target};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest that an answer is kept. What is older is no longer what the model would say of a patient.
const MAX_TTL_SECONDS: u32 = 3600;

/// The most memory for kept answers.
const MAX_MIB: u32 = 1024;

/// The memory for kept answers when the file does not say: some thousand of ordinary length.
const DEFAULT_MIB: u32 = 64;

/// Which answers are kept, for how long and in how much memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caching {
    ttl_seconds: u32,
    mib: u32,
    routes: BTreeSet<Name>,
}

impl Caching {
    /// Seconds for which an answer is given again, from 1 to 3600.
    #[must_use]
    pub const fn ttl_seconds(&self) -> u32 {
        self.ttl_seconds
    }

    /// The most memory for kept answers, in MiB, from 1 to 1024.
    #[must_use]
    pub const fn mib(&self) -> u32 {
        self.mib
    }

    /// Whether answers of this route are kept.
    #[must_use]
    pub fn is_of(&self, route: &str) -> bool {
        self.routes.contains(route)
    }

    pub(super) fn parse(
        raw: Option<&RawCache>,
        keep: Keep,
        routes: &BTreeMap<Name, Route>,
        destinations: &BTreeMap<Slug, Arc<Destination>>,
    ) -> Result<Option<Self>, Fault> {
        let Some(raw) = raw else { return Ok(None) };
        if !(1..=MAX_TTL_SECONDS).contains(&raw.ttl_seconds) {
            let problem = format!("seconds from 1 to {MAX_TTL_SECONDS}");
            return Err(Fault::new("ttl_seconds", problem));
        }
        let mib = raw.mib.unwrap_or(DEFAULT_MIB);
        if !(1..=MAX_MIB).contains(&mib) {
            return Err(Fault::new("mib", format!("MiB from 1 to {MAX_MIB}")));
        }
        let named: BTreeSet<Name> = words("routes", &raw.routes)?.into_iter().collect();
        if named.is_empty() {
            return Err(Fault::new("routes", "names no route, so nothing would be kept"));
        }
        if let Some(unknown) = named.iter().find(|route| !routes.contains_key(*route)) {
            let problem = format!("there is no [[route]] with the model \"{unknown}\"");
            return Err(Fault::new("routes", problem));
        }
        let leads_to_tools = |route: &Route| {
            let to = |target: &Target| destinations.get(target.destination());
            route.every_target().filter_map(to).any(|it| it.tools().is_some())
        };
        if named.iter().filter_map(|route| routes.get(route)).any(leads_to_tools) {
            let problem = "a tool does something, which an answer that is given again would not do";
            return Err(Fault::new("routes", problem));
        }
        if keep == Keep::Digests {
            let problem = "[content] keeps digests only, and a digest answers nothing";
            return Err(Fault::new("routes", problem));
        }
        Ok(Some(Self { ttl_seconds: raw.ttl_seconds, mib, routes: named }))
    }
}

/// The cache as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    ttl_seconds: u32,
    mib: Option<u32>,
    routes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use crate::rules::Rules;

    /// The smallest file with this below it: what is wrong with it, or what is kept.
    fn check(more: &str, expected: &str) {
        let file = include_str!("../../../../examples/minimal.toml");
        let said = match Rules::parse(&format!("{file}\n{more}\n")) {
            Ok(rules) => rules.cache().map_or_else(
                || "nothing".to_owned(),
                |it| format!("{} {} {}", it.ttl_seconds(), it.mib(), it.is_of("local")),
            ),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "{more}: {said}");
    }

    #[test]
    fn nothing_is_kept_unless_the_file_names_a_route_and_a_time() {
        check("", "nothing");
        check("[cache]\nttl_seconds = 60\nroutes = [\"local\"]", "60 64 true");
        check("[cache]\nttl_seconds = 3600\nmib = 1024\nroutes = [\"local\"]", "3600 1024 true");
        check("[cache]\nroutes = [\"local\"]", "missing field `ttl_seconds`");
        check("[cache]\nttl_seconds = 60", "missing field `routes`");
        check("[cache]\nttl_seconds = 60\nroutes = []", "names no route");
        check("[cache]\nttl_seconds = 60\nroutes = [\"cloud\"]", "there is no [[route]]");
        check("[cache]\nttl_seconds = 0\nroutes = [\"local\"]", "seconds from 1 to 3600");
        check("[cache]\nttl_seconds = 3601\nroutes = [\"local\"]", "seconds from 1 to 3600");
        check("[cache]\nttl_seconds = 60\nmib = 0\nroutes = [\"local\"]", "MiB from 1 to 1024");
        let digests =
            "[cache]\nttl_seconds = 60\nroutes = [\"local\"]\n[content]\nkeep = \"digests\"";
        check(digests, "a digest answers nothing");
    }
}
