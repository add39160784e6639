//! The ways to models: whether each is covered now, for how long, and whether somebody is there.

use super::reach::reach;
use super::{Checks, Group, Mode, Network, Plan, days};
use crate::configuration::read_small;
use crate::house::{House, InForce};
use gate::path::{Features, PLAIN};
use gate::rules::{Credential, Destination};
use ledger::Time;
use std::os::unix::fs::PermissionsExt as _;

/// Fewer days than this until a path closes, and somebody should look.
const SOON_DAYS: i64 = 30;

impl House {
    /// The mode that the configuration in force shows.
    pub(super) fn shown_mode(&self) -> Option<Mode> {
        let in_force = self.in_force.load();
        let destinations = in_force.as_ref()?.rules.destinations();
        let inside: Vec<bool> = destinations.map(Destination::is_inside).collect();
        let mode = match (inside.contains(&true), inside.contains(&false)) {
            (true, false) => Mode::Local,
            (true, true) => Mode::Hybrid,
            (false, true) => Mode::Cloud,
            (false, false) => return None,
        };
        Some(mode)
    }

    pub(super) async fn check_routes(&self, plan: &Plan) -> Checks {
        let mut checks = Checks::of(Group::Destinations);
        let Some(in_force) = self.in_force.load_full() else {
            checks.skipped("all", "no configuration is in force");
            return checks;
        };
        for destination in in_force.rules.destinations() {
            self.check_path(&in_force, destination, &mut checks);
            check_credential(&in_force, destination, &mut checks);
            if plan.network == Network::Leave {
                checks.skipped(destination.id(), "was not connected to");
                continue;
            }
            let authority = in_force.wires.get(destination.id());
            let authority = authority.and_then(|wire| wire.authority_pem.as_deref());
            let endpoint = destination.path().endpoint();
            match reach(endpoint, authority).await {
                Ok(reached) => {
                    let private = if destination.is_inside() { "inside, " } else { "" };
                    checks.good(destination.id(), format_args!("{private}{reached}"));
                }
                Err(unreached) => {
                    let found = format!("{}: {unreached}", endpoint.authority());
                    checks.no(destination.id(), found, unreached.remedy());
                }
            }
        }
        checks
    }

    /// Whether every route that leads there may be taken now, and until when.
    fn check_path(&self, in_force: &InForce, destination: &Destination, checks: &mut Checks) {
        let (rules, now) = (&in_force.rules, self.clock.now());
        let mut models = Vec::new();
        for route in rules.routes() {
            let (first, others) = route.targets();
            let targets = std::iter::once(first).chain(others);
            let here = targets.filter(|target| target.destination().as_str() == destination.id());
            models.extend(here.map(|target| target.model().as_str()));
        }
        if models.is_empty() {
            let found = "no route leads there";
            return checks.advice(destination.id(), found, "Add a [[route]], or take it out.");
        }
        let mut ends: Option<Time> = None;
        for model in models {
            let features = Features {
                api: destination.main_api().as_str(),
                model,
                modality: "text",
                capabilities: PLAIN,
            };
            let covered = match rules.cover(destination, &features, now) {
                Ok(covered) => covered,
                Err(gap) => {
                    return checks.no(
                        destination.id(),
                        format_args!("nothing may leave on its path: {gap}"),
                        "Sign or renew what is missing and write it into the configuration. bulla path shows every hop.",
                    );
                }
            };
            let ids = covered.covers().iter().filter_map(|cover| cover.id.as_deref());
            ends = ids.filter_map(|id| rules.registry().ends(id)).chain(ends).min();
        }
        let hops = destination.path().hops().count();
        let Some(ends) = ends else {
            return checks.good(
                destination.id(),
                format_args!("its path is covered now: {hops} hops, none under an agreement"),
            );
        };
        let left = days(now, ends);
        let found = format!("its path is covered now: {hops} hops, for {left} more days");
        if left <= SOON_DAYS {
            checks.advice(destination.id(), found, "Renew the agreement before the path closes.");
        } else {
            checks.good(destination.id(), found);
        }
    }
}

fn check_credential(in_force: &InForce, destination: &Destination, checks: &mut Checks) {
    let id = destination.id();
    if let Some(path) = destination.ca_file()
        && read_small(path).is_none()
    {
        let found = format!("{} cannot be read", path.display());
        return checks.no(id, found, "Put the PEM file there, or name another \"ca_file\".");
    }
    if in_force.wires.contains_key(id) {
        match destination.credential() {
            Credential::None => {}
            Credential::Env(name) => {
                checks.good(id, format_args!("its credential is in {name}"));
            }
            Credential::File(path) => {
                let open = std::fs::metadata(path)
                    .is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
                if open {
                    let found = format!("others may read its credential, {}", path.display());
                    checks.advice(id, found, "Take it away from them: chmod 600");
                } else {
                    checks.good(id, format_args!("its credential is in {}", path.display()));
                }
            }
        }
        return;
    }
    match destination.credential() {
        Credential::Env(name) => checks.unable(
            id,
            format_args!("{name} is not in the environment of this command"),
            "Run bulla doctor with the environment of the server.",
        ),
        Credential::File(path) => checks.no(
            id,
            format_args!("its credential, {}, cannot be read", path.display()),
            "Put the file there, readable by the account of the server.",
        ),
        Credential::None => {
            checks.no(id, "it cannot be used", "Look at the server's log lines.");
        }
    }
}
