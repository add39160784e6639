//! Who else gets something: authorities, witnesses, feeds, copies, the collector of traces.

use super::reach::reach;
use super::{Checks, Group, Network, Plan, causes};
use crate::configuration::read_small;
use crate::house::{House, InForce};
use gate::path::Endpoint;
use gate::rules::{Credential, Feed, FeedTarget, LogCopy, TimeAuthority, Traces, Witness};
use std::path::Path;

/// How far the clocks of this machine and of an authority may be apart, in seconds: as the log has it.
const MAX_SKEW_SECONDS: i64 = 5;

/// Records that a feed or a copy may be behind before somebody should look: some seconds of a busy log.
const FAR_BEHIND: u64 = 10_000;

const UNCOVERED: &str = "Write its agreement into the configuration, or take it out.";
const BEHIND: &str =
    "Find out why it does not keep up: the log says so with feed.failing or copy.failing.";

impl House {
    pub(super) async fn check_outsiders(&self, plan: &Plan) -> Checks {
        let mut checks = Checks::of(Group::Outsiders);
        let Some(in_force) = self.in_force.load_full() else {
            checks.skipped("all", "no configuration is in force");
            return checks;
        };
        let rules = &in_force.rules;
        for authority in rules.authorities() {
            self.check_authority(authority, plan, &mut checks).await;
        }
        for witness in rules.witnesses() {
            self.check_witness(witness, plan, &mut checks).await;
        }
        for feed in rules.feeds() {
            self.check_feed(&in_force, feed, plan, &mut checks).await;
        }
        for copy in rules.copies() {
            self.check_copy(&in_force, copy, plan, &mut checks).await;
        }
        if let Some(traces) = rules.traces() {
            self.check_collector(&in_force, traces, plan, &mut checks).await;
        }
        if checks.made.is_empty() {
            checks.skipped("all", "the configuration names nobody");
        }
        checks
    }

    /// Asks for a stamp over random bytes, checks it, and compares the clocks.
    async fn check_authority(&self, authority: &TimeAuthority, plan: &Plan, checks: &mut Checks) {
        let id = authority.id();
        if plan.network == Network::Leave {
            return checks.skipped(id, "was not asked for a time stamp");
        }
        let mut message = [0; 32];
        self.entropy.fill(&mut message);
        let stamp = match self.stamp(authority, &message).await {
            Ok(stamp) => stamp,
            Err(failing) => {
                return checks.no(
                    id,
                    format_args!("gives no time stamp that holds: {}", failing.reason()),
                    "Look at its \"url\", \"roots_file\" and \"archive_file\" (docs/anchors.md).",
                );
            }
        };
        checks.good(id, format_args!("gave a time stamp that holds, {}", stamp.stamped));
        let apart = self.clock.now().as_micros().saturating_sub(stamp.stamped.as_micros());
        let millis = apart.saturating_abs() / 1000;
        let found = format!("{millis} ms from that of {id}");
        if millis > MAX_SKEW_SECONDS * 1000 {
            checks.no("clock", found, "Set the clock of this machine: chronyc or timedatectl.");
        } else {
            checks.good("clock", found);
        }
    }

    async fn check_witness(&self, witness: &Witness, plan: &Plan, checks: &mut Checks) {
        let id = witness.id();
        let own = self.store.own_log();
        match (own.last_anchor().await, own.last_cosigned(id).await) {
            (Ok(Some(anchor)), Ok(seen)) if seen < anchor.size => checks.advice(
                id,
                format_args!("has cosigned {seen} of {} checkpoints", anchor.size),
                "A running server asks it each minute; the log says anchor.failing where it refuses.",
            ),
            (Ok(_), Ok(seen)) => checks.good(id, format_args!("has cosigned all {seen} checkpoints")),
            (Err(error), _) | (_, Err(error)) => {
                checks.unable(id, causes(&error), "Look at the database.");
            }
        }
        try_out(id, witness.endpoint(), None, plan, checks).await;
    }

    async fn check_feed(&self, in_force: &InForce, feed: &Feed, plan: &Plan, checks: &mut Checks) {
        let id = feed.id();
        let covered = match feed.cover(in_force.rules.registry(), self.clock.now()) {
            Ok(covered) => covered,
            Err(gap) => return checks.no(id, format_args!("nothing is sent: {gap}"), UNCOVERED),
        };
        let next = self.tenant.feed_position(id).await.map(|at| at.map_or(0, |at| at.next));
        self.check_position(id, next, checks).await;
        for secret in [feed.secret(), feed.authorization()] {
            self.check_secret(id, secret, checks);
        }
        match covered.target() {
            FeedTarget::Syslog(endpoint) | FeedTarget::Webhook(endpoint) => {
                try_out(id, endpoint, feed.ca_file(), plan, checks).await;
            }
            FeedTarget::File(path) => {
                let folder = path.parent().unwrap_or(path);
                let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
                if path.exists() || writable {
                    checks.good(id, format_args!("goes into {}", path.display()));
                } else {
                    let found = format!("{} cannot be made", path.display());
                    checks.no(id, found, "Make its folder, writable by the account of the server.");
                }
            }
        }
    }

    async fn check_copy(
        &self,
        in_force: &InForce,
        copy: &LogCopy,
        plan: &Plan,
        checks: &mut Checks,
    ) {
        let id = copy.id();
        let covered = match copy.cover(in_force.rules.registry(), self.clock.now()) {
            Ok(covered) => covered,
            Err(gap) => return checks.no(id, format_args!("nothing is copied: {gap}"), UNCOVERED),
        };
        let next = self.tenant.copy_position(id).await.map(|at| at.map_or(0, |at| at.next));
        self.check_position(id, next, checks).await;
        for secret in [copy.access_key(), copy.secret_key(), copy.session_token()] {
            self.check_secret(id, secret, checks);
        }
        try_out(id, covered.place().endpoint(), copy.ca_file(), plan, checks).await;
    }

    async fn check_collector(
        &self,
        in_force: &InForce,
        traces: &Traces,
        plan: &Plan,
        checks: &mut Checks,
    ) {
        match traces.cover(in_force.rules.registry(), self.clock.now()) {
            Ok(covered) => {
                self.check_secret("traces", traces.authorization(), checks);
                try_out("traces", covered.endpoint(), traces.ca_file(), plan, checks).await;
            }
            Err(gap) => checks.no("traces", format_args!("nothing is sent: {gap}"), UNCOVERED),
        }
    }

    async fn check_position(&self, id: &str, next: Result<u64, store::Error>, checks: &mut Checks) {
        let size = self.tenant.head().await.map(|head| head.size());
        let (next, size) = match (next, size) {
            (Ok(next), Ok(size)) => (next, size),
            (Err(error), _) | (_, Err(error)) => {
                return checks.unable(id, causes(&error), "Look at the database.");
            }
        };
        let behind = size.saturating_sub(next);
        let found = format!("has {next} of {size} records");
        if behind > FAR_BEHIND {
            checks.advice(id, found, BEHIND);
        } else {
            checks.good(id, found);
        }
    }

    fn check_secret(&self, id: &str, secret: &Credential, checks: &mut Checks) {
        let remedy = "Put it there, or run bulla doctor with the environment of the server.";
        match secret {
            Credential::None => {}
            Credential::Env(name) => {
                if (self.environment)(name).is_none() {
                    checks.unable(id, format_args!("{name} is not in the environment"), remedy);
                }
            }
            Credential::File(path) => {
                if read_small(path).is_none() {
                    checks.no(id, format_args!("{} cannot be read", path.display()), remedy);
                }
            }
        }
    }
}

/// Connects, unless nobody is to be asked.
async fn try_out(
    id: &str,
    endpoint: &Endpoint,
    ca_file: Option<&Path>,
    plan: &Plan,
    checks: &mut Checks,
) {
    if plan.network == Network::Leave {
        return checks.skipped(id, "was not connected to");
    }
    let pem = match ca_file.map(read_small) {
        None => None,
        Some(Some(text)) => Some(text.into_bytes()),
        Some(None) => {
            return checks.no(
                id,
                "its \"ca_file\" cannot be read",
                "Put the PEM file in its place.",
            );
        }
    };
    match reach(endpoint, pem.as_deref()).await {
        Ok(reached) => checks.good(id, reached),
        Err(unreached) => {
            let found = format!("{}: {unreached}", endpoint.authority());
            checks.no(id, found, unreached.remedy());
        }
    }
}
