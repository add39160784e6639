//! What each way of running asks for, beyond what every deployment needs: one table.

use super::{Checks, Group, Mode, State, many};
use crate::house::House;
use gate::agreement::Agreement;
use gate::path::{CoveredBy, Features, Hop, PLAIN, Role, Sees};
use gate::rules::Rules;
use gate::terms::Terms;
use ledger::Time;
use std::collections::BTreeSet;

/// Whether a mode asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Without it the answer is no.
    Must,
    /// Without it somebody should look.
    Should,
    /// It is not asked for.
    May,
}

/// What is known of a deployment.
struct Known<'a> {
    rules: &'a Rules,
    now: Time,
    /// The key service, where somebody else's machine holds the key.
    service_outside: Option<String>,
    /// Whether the key lies in the data directory, which is what gets copied.
    key_beside_data: bool,
    /// Agreements whose executed documents are filed.
    filed: BTreeSet<String>,
}

/// What was found: that it is so, or that it is not.
type Found = Result<String, String>;

/// One thing that is asked for.
struct Row {
    name: &'static str,
    /// In local, hybrid and cloud mode.
    needs: [Need; 3],
    look: fn(&Known<'_>) -> Found,
    remedy: &'static str,
}

use Need::{May, Must, Should};

/// The profile. docs/operations.md shows it; a test holds it to that.
const ROWS: &[Row] = &[
    Row {
        name: "every model inside",
        needs: [Must, May, May],
        look: all_inside,
        remedy: "Take the destinations outside out of the configuration, or run in hybrid mode.",
    },
    Row {
        name: "hosting covered",
        needs: [Must, Must, Must],
        look: hosting,
        remedy: "Whoever runs this machine for you is a business associate: name the hop in [hosting], with its agreement (45 CFR 160.103).",
    },
    Row {
        name: "every path covered",
        needs: [Must, Must, Must],
        look: paths,
        remedy: "Every destination needs an agreement in force for each hop: bulla path shows which.",
    },
    Row {
        name: "no training",
        needs: [May, Must, Must],
        look: no_training,
        remedy: "Have the contract forbid it and write training = \"none\" into the scope, or opt out and name the evidence.",
    },
    Row {
        name: "terms of the data",
        needs: [May, Should, Must],
        look: terms,
        remedy: "Write into the scope what its terms say: retention_days, abuse_monitoring_days and human_review.",
    },
    Row {
        name: "executed documents",
        needs: [May, Should, Must],
        look: documents,
        remedy: "File the signed contract: bulla agreement file (docs/agreements.md).",
    },
    Row {
        name: "key apart from the data",
        needs: [Should, Should, Must],
        look: key_apart,
        remedy: "Put the operator's key on another disk, or with a key service (docs/keys.md).",
    },
    Row {
        name: "key service outside",
        needs: [May, Should, Must],
        look: key_service,
        remedy: "Have a key service hold the operator's key (docs/keys.md).",
    },
    Row {
        name: "records to a SIEM",
        needs: [Should, Should, Must],
        look: feeds,
        remedy: "Add a [[feed]] (docs/feeds.md).",
    },
    Row {
        name: "time stamps",
        needs: [Should, Should, Must],
        look: stamps,
        remedy: "Add an [[authority]] (docs/anchors.md).",
    },
    Row {
        name: "copy that nobody rewrites",
        needs: [Should, Should, Should],
        look: copies,
        remedy: "Add a [[copy]] into a locked bucket (docs/copy.md).",
    },
    Row {
        name: "readers named",
        needs: [Should, Should, Must],
        look: readers,
        remedy: "Name who may read the log: [log] readers (docs/search.md).",
    },
];

impl Row {
    const fn need(&self, mode: Mode) -> Need {
        let [local, hybrid, cloud] = self.needs;
        match mode {
            Mode::Local => local,
            Mode::Hybrid => hybrid,
            Mode::Cloud => cloud,
        }
    }
}

impl House {
    /// Looks at what `mode` asks for. Where nobody named a mode, nobody set that as a measure, so what is
    /// missing is advice.
    pub(super) async fn check_mode(&self, mode: Option<Mode>, named: Option<Mode>) -> Checks {
        let mut checks = Checks::of(Group::Mode);
        let (Some(mode), Some(in_force)) = (mode, self.in_force.load_full()) else {
            checks.skipped("all", "the configuration has no destinations");
            return checks;
        };
        let documents = self.tenant.documents().await.unwrap_or_default();
        let service = self.content_keys.service();
        let filed = documents.into_iter().filter(|it| it.kept).map(|it| it.agreement);
        let known = Known {
            rules: &in_force.rules,
            now: self.clock.now(),
            service_outside: service.is_outside().then(|| service.name().to_owned()),
            key_beside_data: self.key_path.starts_with(self.dir()),
            filed: filed.collect(),
        };
        for row in ROWS {
            let need = row.need(mode);
            if need == May {
                continue;
            }
            match (row.look)(&known) {
                Ok(found) => checks.good(row.name, found),
                Err(found) => {
                    let asked = need == Must && named.is_some();
                    let state = if asked { State::No } else { State::Advice };
                    checks.add(state, row.name, found, Some(row.remedy));
                }
            }
        }
        if mode != Mode::Local {
            checks.skipped(
                "identity provider",
                "none can be connected to this version: people have no accounts here, programs use API keys, operators the accounts of this machine",
            );
        }
        checks
    }
}

fn all_inside(known: &Known<'_>) -> Found {
    let outside = known.rules.destinations().find(|it| !it.is_inside());
    match outside {
        None => Ok("no destination lies outside the boundary".to_owned()),
        Some(destination) => Err(format!("\"{}\" lies outside the boundary", destination.id())),
    }
}

/// What stands in the way of each destination, for each route that leads there.
fn gaps(known: &Known<'_>) -> Vec<(String, gate::path::Gap)> {
    let mut gaps = Vec::new();
    for route in known.rules.routes() {
        let (first, others) = route.targets();
        for target in std::iter::once(first).chain(others) {
            let id = target.destination().as_str();
            let Some(destination) = known.rules.destination(id) else { continue };
            let model = target.model().as_str();
            let features = Features {
                api: destination.main_api().as_str(),
                model,
                modality: "text",
                capabilities: PLAIN,
            };
            if let Err(gap) = known.rules.cover(destination, &features, known.now) {
                gaps.push((id.to_owned(), gap));
            }
        }
    }
    gaps
}

fn hosting(known: &Known<'_>) -> Found {
    let hops = known.rules.destinations().flat_map(|it| it.path().hops());
    let Some(host) = hops.into_iter().find(|hop| hop.role() == Role::Hosting) else {
        return Err("the configuration does not say who runs this machine".to_owned());
    };
    // The hosting hop comes first on every path, so its own gap is the one that is told.
    let gap = gaps(known).into_iter().find(|(_, gap)| gap.hop() == Some(host.id()));
    match gap {
        Some((_, gap)) => Err(gap.to_string()),
        None => Ok(format!("\"{}\", {}", host.id(), host.entity())),
    }
}

fn paths(known: &Known<'_>) -> Found {
    if known.rules.routes().next().is_none() {
        return Err("no route leads anywhere".to_owned());
    }
    match gaps(known).into_iter().next() {
        Some((destination, gap)) => Err(format!("\"{destination}\": {gap}")),
        None => Ok("nothing is missing on the way of any route".to_owned()),
    }
}

/// The agreements under which somebody outside sees content.
fn agreements<'a>(known: &Known<'a>) -> Vec<&'a Agreement> {
    let registry = known.rules.registry();
    let sees = |hop: &&Hop| matches!(hop.sees(), Sees::Content | Sees::Ciphertext);
    let hops = known.rules.destinations().flat_map(|it| it.path().hops()).filter(sees);
    let mut found: Vec<&Agreement> = Vec::new();
    for hop in hops {
        if let CoveredBy::Agreement(id) = hop.cover()
            && let Some(agreement) = registry.agreement(id)
            && !found.iter().any(|known| known.id() == id)
        {
            found.push(agreement);
        }
    }
    found
}

/// Whether the terms of the data of every party outside that answers requests say something, or whose do
/// not.
fn each_term(known: &Known<'_>, says: impl Fn(&Terms) -> bool, what: &str) -> Found {
    let registry = known.rules.registry();
    let hops = known.rules.destinations().flat_map(|it| it.path().hops());
    let mut count = 0_usize;
    for hop in hops {
        let terms = hop.terms(registry);
        if !terms.iter().all(|terms| says(terms)) {
            return Err(match hop.cover() {
                CoveredBy::Agreement(id) => format!("\"{id}\" has no {what} for \"{}\"", hop.id()),
                CoveredBy::Evidence(_) | CoveredBy::Nothing => format!("no {what}"),
            });
        }
        count = count.saturating_add(terms.len());
    }
    Ok(format!("{what} in {}", many(count, "scope", "scopes")))
}

/// Whether all agreements say something, or which does not.
fn each(known: &Known<'_>, says: impl Fn(&Agreement) -> bool, what: &str) -> Found {
    let agreements = agreements(known);
    match agreements.iter().find(|agreement| !says(agreement)) {
        Some(agreement) => Err(format!("\"{}\" has no {what}", agreement.id())),
        None => Ok(format!("{what} in {}", many(agreements.len(), "agreement", "agreements"))),
    }
}

fn no_training(known: &Known<'_>) -> Found {
    let registry = known.rules.registry();
    each_term(known, |it| it.exclude_training(registry, known.now), "term against training")
}

fn terms(known: &Known<'_>) -> Found {
    each_term(known, Terms::are_complete, "terms of retention, abuse monitoring and review")
}

fn documents(known: &Known<'_>) -> Found {
    let filed = |it: &Agreement| known.filed.contains(it.id().as_str());
    each(known, filed, "filed document")
}

fn key_apart(known: &Known<'_>) -> Found {
    match &known.service_outside {
        Some(name) => Ok(format!("{name} holds it")),
        None if known.key_beside_data => {
            Err("the operator's key lies in the data directory".to_owned())
        }
        None => Ok("the operator's key lies outside of the data directory".to_owned()),
    }
}

fn key_service(known: &Known<'_>) -> Found {
    match &known.service_outside {
        Some(name) => Ok(name.clone()),
        None => Err("the operator's key is in a file on this machine".to_owned()),
    }
}

/// How many there are, unless there is none.
fn some(count: usize, what: &str) -> Found {
    if count > 0 { Ok(format!("{count} in the configuration")) } else { Err(format!("no {what}")) }
}

fn feeds(known: &Known<'_>) -> Found {
    some(known.rules.feeds().count(), "[[feed]] in the configuration")
}

fn stamps(known: &Known<'_>) -> Found {
    some(known.rules.authorities().count(), "[[authority]] in the configuration")
}

fn copies(known: &Known<'_>) -> Found {
    some(known.rules.copies().count(), "[[copy]] in the configuration")
}

fn readers(known: &Known<'_>) -> Found {
    if known.rules.oversight().names_readers() {
        Ok("[log] readers names them".to_owned())
    } else {
        Err("whoever has an auditor's key reads the log".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as the manual writes it.
    #[test]
    fn the_manual_shows_the_profile() {
        const MANUAL: &str = include_str!("../../../../docs/operations.md");
        let word = |need| match need {
            Must => "must",
            Should => "should",
            May => "-",
        };
        let mut rows = Vec::new();
        for Row { name, needs: [local, hybrid, cloud], .. } in ROWS {
            let (local, hybrid, cloud) = (word(*local), word(*hybrid), word(*cloud));
            rows.push(format!("| {name} | {local} | {hybrid} | {cloud} |"));
        }
        let table = MANUAL.lines().skip_while(|line| *line != "| what | local | hybrid | cloud |");
        let shown: Vec<&str> = table.skip(2).take_while(|line| line.starts_with('|')).collect();
        assert_eq!(shown, rows);
    }
}
