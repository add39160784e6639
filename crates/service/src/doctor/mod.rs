//! `bulla doctor`: every dependency and every control, looked at, each with what was found and what to do.
//!
//! It works beside a running server and without one, and sends no content anywhere: connections are opened
//! and closed again, and an authority is asked for a stamp over random bytes.

mod custody;
mod machine;
mod outsiders;
mod profile;
mod reach;
mod routes;

use crate::house::{Error, House, Setup};
use ledger::Time;
use phi::Detector;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a part of the deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The machine: files, disk, address.
    Machine,
    /// The detector.
    Detector,
    /// The keys and who holds the first of them.
    Keys,
    /// The database and the log in it.
    Log,
    /// The governed configuration.
    Configuration,
    /// The ways to models.
    Destinations,
    /// Who else gets something: time stamps, cosignatures, feeds, copies, traces.
    Outsiders,
    /// What this way of running asks for beside all that.
    Mode,
}

impl Group {
    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Machine => "Machine",
            Self::Detector => "Detector",
            Self::Keys => "Keys",
            Self::Log => "Log",
            Self::Configuration => "Configuration",
            Self::Destinations => "Destinations",
            Self::Outsiders => "Outsiders",
            Self::Mode => "Mode",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as it must be.
    Good,
    /// It works, and somebody should look.
    Advice,
    /// It is not as it must be.
    No,
    /// It could not be looked at.
    Unable,
    /// It was not asked.
    Skipped,
}

impl State {
    /// The state in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "advice",
            Self::No => "no",
            Self::Unable => "unable",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Of what.
    pub group: Group,
    /// What was looked at.
    pub name: String,
    /// What came of it.
    pub state: State,
    /// The evidence, in a sentence.
    pub found: String,
    /// What to do; absent where nothing is to be done.
    pub remedy: Option<String>,
}

/// The way in which a deployment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every model is inside the organisation's boundary.
    Local,
    /// Some are.
    Hybrid,
    /// None is.
    Cloud,
}

impl Mode {
    /// The mode in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Hybrid => "hybrid",
            Self::Cloud => "cloud",
        }
    }
}

/// Whether anything outside of this machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Connections are opened.
    Ask,
    /// None is.
    Leave,
}

/// What is to be examined.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The way in which the deployment is to run; when absent, as the configuration is.
    pub mode: Option<Mode>,
    /// Whether connections are opened.
    pub network: Network,
    /// Where the server listens, or is to.
    pub listen: SocketAddr,
}

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// The organisation; absent when the data directory did not open.
    pub organisation: Option<String>,
    /// The mode that was asked about, or that the configuration shows.
    pub mode: Option<Mode>,
    /// Every check, in order of group.
    pub checks: Vec<Check>,
}

impl Examination {
    /// Whether some check came out so.
    #[must_use]
    pub fn has(&self, state: State) -> bool {
        self.count(state) > 0
    }

    /// How many checks came out so.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }
}

/// The checks of one group, as they are made.
struct Checks {
    group: Group,
    made: Vec<Check>,
}

impl Checks {
    const fn of(group: Group) -> Self {
        Self { group, made: Vec::new() }
    }

    fn add(&mut self, state: State, name: &str, found: impl fmt::Display, remedy: Option<&str>) {
        self.made.push(Check {
            group: self.group,
            name: name.to_owned(),
            state,
            found: found.to_string(),
            remedy: remedy.map(str::to_owned),
        });
    }

    fn good(&mut self, name: &str, found: impl fmt::Display) {
        self.add(State::Good, name, found, None);
    }

    fn advice(&mut self, name: &str, found: impl fmt::Display, remedy: &str) {
        self.add(State::Advice, name, found, Some(remedy));
    }

    fn no(&mut self, name: &str, found: impl fmt::Display, remedy: &str) {
        self.add(State::No, name, found, Some(remedy));
    }

    fn unable(&mut self, name: &str, found: impl fmt::Display, remedy: &str) {
        self.add(State::Unable, name, found, Some(remedy));
    }

    fn skipped(&mut self, name: &str, found: impl fmt::Display) {
        self.add(State::Skipped, name, found, None);
    }
}

/// Looks at everything.
///
/// # Errors
/// [`Error`] when there is no data directory to look at; whatever else is wrong is in the answer.
pub async fn examine(setup: Setup, plan: &Plan) -> Result<Examination, Error> {
    let mut parts = vec![machine::check(&setup, plan).await, detector()];
    let opened = House::open(setup).await;
    let house = match opened {
        Ok(house) => house,
        Err(error @ Error::Store(store::Error::Absent)) => return Err(error),
        Err(error) => {
            parts.push(closed(&error));
            let checks = parts.into_iter().flat_map(|checks| checks.made).collect();
            return Ok(Examination { organisation: None, mode: plan.mode, checks });
        }
    };
    parts.push(house.check_guards().await);
    parts.push(house.check_keys().await);
    parts.push(house.check_log().await);
    parts.push(house.check_configuration());
    let mode = plan.mode.or_else(|| house.shown_mode());
    parts.push(house.check_routes(plan).await);
    parts.push(house.check_outsiders(plan).await);
    parts.push(house.check_mode(mode, plan.mode).await);
    let checks = parts.into_iter().flat_map(|checks| checks.made).collect();
    Ok(Examination { organisation: Some(house.organisation().to_owned()), mode, checks })
}

fn detector() -> Checks {
    let mut checks = Checks::of(Group::Detector);
    match Detector::new().self_test() {
        Ok(()) => {
            let classes = phi::Class::ALL.len();
            checks.good(
                "self-test",
                format_args!("found one synthetic identifier of each of {classes} classes"),
            );
        }
        Err(error) => checks.no(
            "self-test",
            error,
            "The program is damaged: install it again. Until then no prompt passes.",
        ),
    }
    checks
}

/// What keeps a data directory from opening, and with it every check that needs it.
fn closed(error: &Error) -> Checks {
    use store::Error as Of;
    let (group, state, remedy) = match error {
        Error::Store(
            Of::RolledBack { .. }
            | Of::CheckpointMissing { .. }
            | Of::AnchorRolledBack { .. }
            | Of::AnchorMissing
            | Of::CheckpointMalformed,
        ) => (
            Group::Log,
            State::No,
            "Somebody put an older or another database here, or took a file away. Find out who, and put the newest database back together with the files \"checkpoint\" and \"anchor\".",
        ),
        Error::KeyService(_) | Error::Keys(_) | Error::Signer { .. } => (
            Group::Keys,
            State::No,
            "Without the operator's key nothing opens. Check --key-file and the key service (docs/keys.md).",
        ),
        Error::Configuration { .. } => (
            Group::Configuration,
            State::No,
            "Another version of the program wrote this configuration. Apply it again with this one.",
        ),
        Error::Categories(_) => {
            (Group::Detector, State::No, "This program was not built whole. Install it again.")
        }
        Error::Store(_) | Error::Unrecorded(_) | Error::Empty | Error::Name => (
            Group::Log,
            State::No,
            "The data directory cannot be used as it is. Look at the disk, and restore a copy where it is damaged.",
        ),
    };
    let mut checks = Checks::of(group);
    checks.add(state, "data directory", causes(error), Some(remedy));
    checks.unable(
        "the rest",
        "could not be looked at, because the data directory does not open",
        "Run bulla doctor again when it does.",
    );
    checks
}

/// An error and its causes, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

/// Whole days from `now` until `then`; negative when it is over.
fn days(now: Time, then: Time) -> i64 {
    const DAY_MICROS: i64 = 86_400_000_000;
    then.as_micros().saturating_sub(now.as_micros()).div_euclid(DAY_MICROS)
}

/// A number of things, in words.
fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

impl House {
    async fn check_guards(&self) -> Checks {
        let mut checks = Checks::of(Group::Detector);
        match self.examine_guards().await.first() {
            None => checks.good("guards", "each did its work on synthetic identifiers just now"),
            Some(first) => checks.no(
                "guards",
                first,
                "Nothing goes through while this is so. Install the program again; if it stays, report it.",
            ),
        }
        match self.last_self_test().await {
            Ok(Some(record)) => {
                let when = record.time;
                if let ledger::Event::SelfTestPassed { count, .. } = record.event {
                    let found = format!("the last, of {when}: good, {count} exchanges");
                    checks.good("last self-test", found);
                } else {
                    checks.no(
                        "last self-test",
                        format_args!("the last, of {when}: {}", record.event.kind()),
                        "Read the record: it names the guard and the route.",
                    );
                }
            }
            Ok(None) => checks.skipped("last self-test", "the log has none yet"),
            Err(error) => {
                checks.unable("last self-test", causes(&error), "Look at the database.");
            }
        }
        checks
    }

    fn check_configuration(self: &Arc<Self>) -> Checks {
        let mut checks = Checks::of(Group::Configuration);
        let in_force = self.in_force.load();
        let Some(in_force) = in_force.as_ref() else {
            checks.no(
                "in force",
                "there is none, so every prompt is blocked",
                "Write one (docs/configuration.md) and put it in force: bulla apply FILE",
            );
            return checks;
        };
        let rules = &in_force.rules;
        let sha256 = rules.sha256().to_string();
        // As much of it as fits beside the rest, and tells two versions apart.
        checks.good("in force", format_args!("version {}, {sha256:.16}...", in_force.version));
        if rules.routes().next().is_none() {
            checks.no(
                "routes",
                "there is none, so callers can ask for nothing",
                "Add a [[route]] to the configuration.",
            );
        }
        let now = self.clock.now();
        let registry = rules.registry();
        let ends = registry.ids().filter_map(|id| Some((registry.ends(id.as_str())?, id)));
        let Some((ends, id)) = ends.min_by_key(|(ends, _)| *ends) else {
            checks.skipped("agreements", "the configuration has none");
            return checks;
        };
        let left = days(now, ends);
        let found = match left {
            i64::MIN..0 => format!("\"{id}\" has ended"),
            0.. => format!("the first to end is \"{id}\", in {left} days"),
        };
        match left {
            // What is on the way of a prompt is judged where the prompt goes.
            i64::MIN..0 => checks.advice("agreements", found, "Renew it, or take it out."),
            0..=30 => checks.advice("agreements", found, "Renew it before its paths close."),
            31.. => checks.good("agreements", found),
        }
        checks
    }
}
