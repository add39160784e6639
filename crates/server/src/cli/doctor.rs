//! `bulla doctor`.

use super::screen::{LEAST_COLUMNS, Screen, wrap};
use super::{Data, Environment, Failure};
use clap::Args;
use serde_json::json;
use service::{Check, Examination, Group, Mode, Network, Plan, State, examine};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

/// A name that is longer begins its line, and what was found stands below it.
const MOST_NAME_COLUMNS: usize = 26;

/// What is wrong with this deployment, and what to do: every dependency and control, with evidence
///
/// Exit code 1 says that something is not as it must be, 3 that something could not be looked at.
/// Nothing that a prompt holds is sent anywhere.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    data: Data,
    /// How the deployment is to run; when not given, as its configuration is
    #[arg(long, value_enum)]
    mode: Option<ModeWord>,
    /// Where the server listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Open no connection
    #[arg(long)]
    no_network: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ModeWord {
    /// Every model is inside the organisation's boundary
    Local,
    /// Some are
    Hybrid,
    /// None is
    Cloud,
}

impl Doctor {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let plan = Plan {
            mode: self.mode.map(|word| match word {
                ModeWord::Local => Mode::Local,
                ModeWord::Hybrid => Mode::Hybrid,
                ModeWord::Cloud => Mode::Cloud,
            }),
            network: if self.no_network { Network::Leave } else { Network::Ask },
            listen: self.listen,
        };
        let setup = self.data.setup(environment);
        let examination =
            Box::pin(examine(setup, &plan)).await.map_err(|error| Failure::of_house(&error))?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", document(&examination))?;
        } else {
            Screen::new(environment).draw(&mut out, &examination)?;
        }
        Ok(ExitCode::from(verdict(&examination)))
    }
}

/// A no is an answer; what could not be looked at is none.
fn verdict(examination: &Examination) -> u8 {
    if examination.has(State::No) {
        1
    } else if examination.has(State::Unable) {
        3
    } else {
        0
    }
}

fn document(examination: &Examination) -> serde_json::Value {
    let check = |check: &Check| {
        json!({
            "group": check.group.title(), "name": check.name, "state": check.state.as_str(),
            "found": check.found, "remedy": check.remedy,
        })
    };
    json!({
        "organisation": examination.organisation,
        "mode": examination.mode.map(Mode::as_str),
        "verdict": match verdict(examination) { 0 => "good", 1 => "no", _ => "unable" },
        "checks": examination.checks.iter().map(check).collect::<Vec<_>>(),
    })
}

impl Screen {
    fn sign(&self, state: State) -> String {
        let (sign, word, code) = match state {
            State::Good => ("✓", "ok", "32"),
            State::Advice => ("!", "! ", "33"),
            State::No => ("✗", "NO", "31;1"),
            State::Unable => ("?", "? ", "35"),
            State::Skipped => ("·", "- ", "2"),
        };
        self.paint(code, if self.signs { sign } else { word })
    }

    fn draw(&self, out: &mut impl Write, examination: &Examination) -> io::Result<()> {
        if let Some(organisation) = &examination.organisation {
            let mode = examination.mode.map_or("no mode", Mode::as_str);
            writeln!(out, "{organisation}, {mode} mode")?;
        }
        let names = examination.checks.iter().map(|check| check.name.chars().count());
        let name_columns = names.filter(|it| *it <= MOST_NAME_COLUMNS).max().unwrap_or(0);
        let mut group: Option<Group> = None;
        let mut name = "";
        for check in &examination.checks {
            if group != Some(check.group) {
                writeln!(out, "\n{}", self.paint("1", check.group.title()))?;
                (group, name) = (Some(check.group), "");
            }
            // What is said of one thing in several lines is said under one name.
            let shown = if check.name == name { "" } else { check.name.as_str() };
            self.check(out, check, shown, name_columns)?;
            name = &check.name;
        }
        writeln!(out, "\n{}", summary(examination))
    }

    fn check(
        &self,
        out: &mut impl Write,
        check: &Check,
        name: &str,
        name_columns: usize,
    ) -> io::Result<()> {
        let sign_columns = if self.signs { 1 } else { 2 };
        let indent = 2 + sign_columns + 1 + name_columns + 2;
        let room = self.columns.saturating_sub(indent).max(LEAST_COLUMNS / 2);
        let blank = " ".repeat(indent);
        let found = match check.state {
            State::Skipped => self.lines(&check.found, room, "2"),
            State::Good | State::Advice | State::No | State::Unable => wrap(&check.found, room),
        };
        write!(out, "  {} ", self.sign(check.state))?;
        if name.chars().count() > name_columns {
            write!(out, "{name}\n{blank}")?;
        } else {
            write!(out, "{name:name_columns$}  ")?;
        }
        writeln!(out, "{}", found.join(&format!("\n{blank}")))?;
        let Some(remedy) = &check.remedy else { return Ok(()) };
        let arrow = if self.signs { "→ " } else { "> " };
        let room = room.saturating_sub(2).max(LEAST_COLUMNS / 2);
        for (number, line) in wrap(remedy, room).iter().enumerate() {
            let before = if number == 0 { arrow } else { "  " };
            writeln!(out, "{blank}{}", self.paint("36", &format!("{before}{line}")))?;
        }
        Ok(())
    }

    fn lines(&self, text: &str, room: usize, code: &str) -> Vec<String> {
        wrap(text, room).iter().map(|line| self.paint(code, line)).collect()
    }
}

fn summary(examination: &Examination) -> String {
    let counted = [
        (State::Good, "good"),
        (State::Advice, "to look at"),
        (State::No, "wrong"),
        (State::Unable, "could not be looked at"),
        (State::Skipped, "not asked"),
    ];
    let counted = counted.into_iter().filter_map(|(state, words)| {
        let count = examination.count(state);
        (count > 0).then(|| format!("{count} {words}"))
    });
    counted.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn check(group: Group, name: &str, state: State, found: &str, remedy: Option<&str>) -> Check {
        let (name, found) = (name.to_owned(), found.to_owned());
        Check { group, name, state, found, remedy: remedy.map(str::to_owned) }
    }

    fn examination() -> Examination {
        Examination {
            organisation: Some("Lakeside Family Clinic (synthetic)".to_owned()),
            mode: Some(Mode::Hybrid),
            checks: vec![
                check(Group::Machine, "files", State::Good, "9 files, for their owner only", None),
                check(
                    Group::Machine,
                    "disk",
                    State::Advice,
                    "0.4 GiB free",
                    Some("Give it more room: without room for the log nothing goes through."),
                ),
                check(
                    Group::Destinations,
                    "cloud",
                    State::Good,
                    "its path is covered now: 2 hops, for 40 more days",
                    None,
                ),
                check(
                    Group::Destinations,
                    "cloud",
                    State::No,
                    "nobody accepts a connection there",
                    Some("Start it."),
                ),
                check(
                    Group::Mode,
                    "copy that nobody rewrites at all",
                    State::Skipped,
                    "not asked",
                    None,
                ),
            ],
        }
    }

    fn drawn(chart: &Screen) -> String {
        let mut page = Vec::new();
        chart.draw(&mut page, &examination()).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn the_page_is_as_wide_as_the_screen_and_says_a_name_once() {
        let chart = Screen { columns: 50, colour: false, signs: true };
        expect![[r"
            Lakeside Family Clinic (synthetic), hybrid mode

            Machine
              ✓ files  9 files, for their owner only
              ! disk   0.4 GiB free
                       → Give it more room: without room for
                         the log nothing goes through.

            Destinations
              ✓ cloud  its path is covered now: 2 hops, for 40
                       more days
              ✗        nobody accepts a connection there
                       → Start it.

            Mode
              · copy that nobody rewrites at all
                       not asked

            2 good, 1 to look at, 1 wrong, 1 not asked
        "]]
        .assert_eq(&drawn(&chart));
    }

    #[test]
    fn a_plain_terminal_gets_plain_words() {
        let chart = Screen { columns: 80, colour: false, signs: false };
        let page = drawn(&chart);
        assert!(page.is_ascii() && page.contains("  NO ") && page.contains("  ok files"), "{page}");
        let chart = Screen { columns: 80, colour: true, signs: false };
        assert!(drawn(&chart).contains("\x1b[31;1mNO\x1b[0m"));
    }

    #[test]
    fn a_no_weighs_more_than_what_could_not_be_looked_at() {
        let of = |states: &[State]| {
            let checks = states.iter().map(|it| check(Group::Log, "log", *it, "", None)).collect();
            verdict(&Examination { organisation: None, mode: None, checks })
        };
        assert_eq!(of(&[State::Good, State::Advice, State::Skipped]), 0);
        assert_eq!(of(&[State::Good, State::Unable]), 3);
        assert_eq!(of(&[State::Unable, State::No]), 1);
    }
}
