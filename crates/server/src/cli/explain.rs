//! `bulla explain`.

use super::screen::{LEAST_COLUMNS, Screen, wrap};
use super::{Data, Environment, Failure};
use clap::Args;
use ledger::receipt::RECORD;
use ledger::{CoverKind, MAX_RECORD_BYTES, Record};
use serde_json::{Value, json};
use service::{CoveredHop, ExplainError, Explanation, House, Pointed};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

/// Bytes of a name before it stands on a line of its own.
const MOST_NAME_COLUMNS: usize = 26;

/// Why a prompt was let pass or not, and whether the same is decided again
///
/// Shows the facts, the policy's word on each class, the destinations, and what covered each hop; then
/// decides again, by the configuration that was in force, on what the record says. No content is opened.
/// Exit code 0 says that the same was decided, 1 that something else was, 3 that it could not be decided
/// again.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    data: Data,
    /// A receipt as in the header x-bulla-receipt, the file that `bulla receipt` wrote, an exchange
    /// (exc_...), or LOG:POSITION
    receipt: String,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) async fn run(self, environment: &Environment) -> Result<ExitCode, Failure> {
        let house = self.data.open(environment).await?;
        let pointed = pointed(&self.receipt, &house)?;
        let explanation = house.explain(pointed).await.map_err(|error| match error {
            ExplainError::NoRecord | ExplainError::NoExchange(_) => Failure::usage(&error),
            ExplainError::Read(error) => super::audit::failure(error),
        })?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", document(&explanation))?;
        } else {
            draw(&mut out, &Screen::new(environment), &explanation)?;
        }
        Ok(match explanation.is_same() {
            Some(true) => ExitCode::SUCCESS,
            Some(false) => ExitCode::from(1),
            None => ExitCode::from(3),
        })
    }
}

fn usage(words: impl Into<String>) -> Failure {
    Failure { code: 2, message: words.into() }
}

/// Which exchange is meant.
fn pointed(text: &str, house: &House) -> Result<Pointed, Failure> {
    if let Ok(exchange) = text.parse() {
        return Ok(Pointed::Exchange(exchange));
    }
    let log = house.log().to_string();
    let other_log = || usage("that is a record of another log");
    if let Some((named, rest)) = text.split_once('#')
        && let Some((seq, leaf)) = rest.split_once('@')
        && let (Ok(seq), Ok(leaf)) = (seq.parse(), leaf.parse())
    {
        return if named == log { Ok(Pointed::Leaf(seq, leaf)) } else { Err(other_log()) };
    }
    if let Some((named, seq)) = text.rsplit_once(':')
        && let Ok(seq) = seq.parse()
    {
        return if named == log { Ok(Pointed::Position(seq)) } else { Err(other_log()) };
    }
    if let Ok(seq) = text.parse() {
        return Ok(Pointed::Position(seq));
    }
    let bytes = record_of(Path::new(text))?;
    let record = Record::from_bytes(&bytes).map_err(|error| Failure::usage(&error))?;
    if record.log != house.log() {
        return Err(other_log());
    }
    Ok(Pointed::Leaf(record.seq, ledger::tree::leaf_hash(&bytes)))
}

/// The record in the file that `bulla receipt` wrote.
fn record_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = || {
        usage(
            "write a receipt, the file of one, an exchange (exc_...) or LOG:POSITION; no file of a receipt is called so",
        )
    };
    let file = File::open(path).map_err(|_| unreadable())?;
    let mut record = None;
    let read = ledger::bundle::each_file(BufReader::new(file), |name, content| {
        if name == RECORD && record.is_none() {
            let mut bytes = Vec::new();
            content.take(MAX_RECORD_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            record = Some(bytes);
        }
        Ok(())
    });
    read.map_err(|_| unreadable())?;
    record.ok_or_else(unreadable)
}

fn covered_by(by: CoverKind) -> &'static str {
    match by {
        CoverKind::Inside => "inside",
        CoverKind::Agreement => "agreement",
        CoverKind::Evidence => "evidence",
        CoverKind::NoContent => "no_content",
    }
}

fn document(it: &Explanation) -> Value {
    let about = &it.about;
    let outcome = it.outcome.as_ref().map(|(_, outcome)| outcome);
    let hop = |hop: &CoveredHop| {
        json!({
            "id": hop.id, "region": hop.region, "by": covered_by(hop.by), "cover": hop.cover,
            "entity": hop.party.as_ref().map(|it| &it.0),
            "role": hop.party.as_ref().map(|it| it.1),
        })
    };
    let rulings = it.rulings().iter().map(|ruled| {
        json!({
            "class": ruled.class, "destination": ruled.destination, "from": ruled.from,
            "permits": ruled.treatment.map(|_| ruled.action()), "rules": ruled.rules,
        })
    });
    let targets = it.targets.iter().map(|target| {
        json!({
            "destination": target.destination, "standing": target.standing,
            "became": target.became,
        })
    });
    let tries = it.tries.iter().map(
        |it| json!({ "exchange": it.exchange, "destination": it.destination, "reason": it.reason }),
    );
    let differences = it.differences().iter().map(|it| {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        json!({
            "field": it.field, "recorded": value(&it.recorded), "replayed": value(&it.replayed),
        })
    });
    json!({
        "exchange": about.exchange,
        "records": { "intent": it.intent, "outcome": it.outcome.as_ref().map(|it| it.0) },
        "configuration": { "sha256": about.policy, "version": it.version },
        "facts": {
            "decided": it.decided, "caller": about.actor, "surface": about.surface,
            "purpose": about.purpose, "api": about.api, "route": about.route,
            "findings": about.findings, "categories": about.categories,
            "capabilities": about.capabilities, "batch": about.batch,
        },
        "decision": {
            "word": about.decision, "destination": about.destination,
            "treatments": about.treatments, "rules": about.rules,
            "code": outcome.and_then(|it| it.code.as_ref()),
            "reason": outcome.and_then(|it| it.reason.as_ref()),
        },
        "outcome": outcome.map(|it| &it.outcome),
        "policy": rulings.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "path": it.hops.iter().map(hop).collect::<Vec<_>>(),
        "gap": it.replay.as_ref().ok().and_then(|replay| replay.gap.as_ref()),
        "tries": tries.collect::<Vec<_>>(),
        "replay": {
            "same": it.is_same(),
            "differences": differences.collect::<Vec<_>>(),
            "cannot": it.replay.as_ref().err().map(|error| super::chain(error)),
        },
    })
}

/// Lines of a name and what is said of it, under a title.
struct Group {
    title: String,
    lines: Vec<(String, String)>,
}

fn group(title: &str, lines: impl IntoIterator<Item = (String, String)>) -> Group {
    Group { title: title.to_owned(), lines: lines.into_iter().collect() }
}

fn line(name: &str, text: impl Into<String>) -> (String, String) {
    (name.to_owned(), text.into())
}

/// A word of the record, for people.
fn plain(word: &str) -> String {
    word.replace('_', " ")
}

fn facts(it: &Explanation) -> Group {
    let about = &it.about;
    let none = || "none".to_owned();
    let rules = match (&about.policy, it.version) {
        (Some(sha256), Some(version)) => format!("version {version}, SHA-256 {sha256}"),
        (Some(sha256), None) => format!("SHA-256 {sha256}, no longer kept"),
        (None, _) => none(),
    };
    let counts = about.findings.iter().map(|(class, count)| format!("{class} {count}"));
    let found: Vec<String> = counts.collect();
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    let mut lines = vec![
        line("decided", it.decided.to_string()),
        line("configuration", rules),
        line("caller", format!("{} ({})", about.actor.name, about.actor.id)),
        line("purpose", about.purpose.clone().unwrap_or_else(none)),
        line("asked", format!("{} through {}", about.api, about.surface)),
        line("found", found),
    ];
    lines.extend(about.batch.map(|batch| line("a line of", batch.to_string())));
    if !about.categories.is_empty() {
        lines.push(line("categories", about.categories.join(", ")));
    }
    lines.extend(about.capabilities.iter().map(|(destination, words)| {
        line("makes use of", format!("{} at {destination}", words.replace(' ', ", ")))
    }));
    group("Facts", lines)
}

/// What the policy permits of each class, and by which rules.
fn policy(it: &Explanation) -> Group {
    let lines = it.rulings().iter().map(|ruled| {
        let place = match &ruled.from {
            Some(from) => format!("from {from} to {}", ruled.destination),
            None => format!("at {}", ruled.destination),
        };
        let rules = if ruled.rules.is_empty() {
            "no rule permits it".to_owned()
        } else {
            format!("by {}", ruled.rules.join(", "))
        };
        let permits = match (ruled.treatment, &ruled.from) {
            (Some(_), Some(_)) => "may be re-routed",
            (None, Some(_)) => "may not be re-routed",
            (Some(treatment), None) => treatment.as_str(),
            (None, None) => "refused",
        };
        line(ruled.class, format!("{permits} {place}, {rules}"))
    });
    group("Policy", lines)
}

fn route(it: &Explanation) -> Group {
    let name = it.about.route.as_deref().unwrap_or("none");
    let lines = it.targets.iter().map(|target| {
        line(&target.destination, format!("{}: {}", target.standing, plain(&target.became)))
    });
    group(&format!("Route {name}"), lines)
}

fn path(it: &Explanation) -> Group {
    let mut lines: Vec<_> = it
        .hops
        .iter()
        .map(|hop| {
            let party = match &hop.party {
                Some((entity, role)) => format!("{}: {entity}", plain(role)),
                None => "unknown".to_owned(),
            };
            let region = hop.region.as_ref().map(|it| format!(", in {it}")).unwrap_or_default();
            let by = match &hop.cover {
                Some(id) => format!("{} {id}", plain(covered_by(hop.by))),
                None => plain(covered_by(hop.by)),
            };
            line(&hop.id, format!("{party}{region}; {by}"))
        })
        .collect();
    let gap = it.replay.as_ref().ok().and_then(|replay| replay.gap.clone());
    lines.extend(gap.map(|gap| line("gap", gap)));
    group("Path", lines)
}

fn tries(it: &Explanation) -> Group {
    let lines = it.tries.iter().map(|it| {
        let to = it.destination.as_deref().unwrap_or("nowhere");
        let reason = it.reason.as_deref().unwrap_or("no outcome yet");
        (it.exchange.to_string(), format!("sent to {to}: {}", plain(reason)))
    });
    group("Tried before", lines)
}

fn decision(it: &Explanation) -> Group {
    let about = &it.about;
    let word = about.decision.as_deref().unwrap_or("none");
    let to = about.destination.as_ref().map(|it| format!(", to {it}")).unwrap_or_default();
    let treated = about.treatments.iter().map(|(class, how)| format!("{class} {how}"));
    let treated: Vec<String> = treated.collect();
    let mut lines = vec![line("decision", format!("{word}{to}"))];
    if !treated.is_empty() {
        lines.push(line("treatments", treated.join(", ")));
    }
    if !about.rules.is_empty() {
        lines.push(line("rules", about.rules.join(", ")));
    }
    let ended = it.outcome.as_ref().map_or_else(
        || "still runs, or was cut off".to_owned(),
        |(_, outcome)| {
            let more = [&outcome.code, &outcome.reason].into_iter().flatten();
            let more: String = more.flat_map(|word| [", ", word.as_str()]).collect();
            format!("{}{more}", plain(&outcome.outcome))
        },
    );
    lines.push(line("ended", ended));
    let records = [("intent", it.intent), ("outcome", it.outcome.as_ref().map(|it| it.0))];
    let records = records.into_iter().filter_map(|(kind, seq)| Some(format!("{kind} {}", seq?)));
    lines.push(line("records", records.collect::<Vec<_>>().join(", ")));
    group("Decision", lines)
}

fn draw(out: &mut impl Write, screen: &Screen, it: &Explanation) -> io::Result<()> {
    writeln!(out, "Exchange {}", it.about.exchange)?;
    for group in [facts(it), policy(it), route(it), path(it), tries(it), decision(it)] {
        draw_group(out, screen, &group)?;
    }
    writeln!(out, "\n{}", screen.paint("1", "Decided again"))?;
    let (sign, plain_sign, code, words) = match &it.replay {
        Ok(_) if it.is_same() == Some(true) => (
            "✓",
            "ok",
            "32",
            "the same, on the recorded facts and by that configuration".to_owned(),
        ),
        Ok(_) => ("✗", "NO", "31;1", "NOT what was recorded".to_owned()),
        Err(error) => ("?", "?", "35", format!("cannot be: {}", super::chain(error))),
    };
    let sign = if screen.signs { sign } else { plain_sign };
    let room = screen.columns.saturating_sub(5).max(LEAST_COLUMNS / 2);
    writeln!(out, "  {} {}", screen.paint(code, sign), wrap(&words, room).join("\n    "))?;
    for it in it.differences() {
        let words = format!("{}: recorded {}, now {}", it.field, it.recorded, it.replayed);
        writeln!(out, "    {}", wrap(&words, room).join("\n    "))?;
    }
    Ok(())
}

fn draw_group(out: &mut impl Write, screen: &Screen, group: &Group) -> io::Result<()> {
    if group.lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", screen.paint("1", &group.title))?;
    let names = group.lines.iter().map(|(name, _)| name.chars().count());
    let columns = names.filter(|it| *it <= MOST_NAME_COLUMNS).max().unwrap_or(0);
    let blank = " ".repeat(columns + 4);
    let room = screen.columns.saturating_sub(columns + 4).max(LEAST_COLUMNS / 2);
    let mut before = "";
    for (name, text) in &group.lines {
        // What is said of one thing in several lines is said under one name.
        let shown = if name == before { "" } else { name.as_str() };
        before = name;
        if shown.chars().count() > columns {
            write!(out, "  {shown}\n{blank}")?;
        } else {
            write!(out, "  {shown:columns$}  ")?;
        }
        writeln!(out, "{}", wrap(text, room).join(&format!("\n{blank}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use gate::policy::{Difference, Replay, Ruled, Treatment};
    use service::{TargetView, Try};
    use testkit::records;

    fn explanation(differences: Vec<Difference>) -> Explanation {
        let about = records::about();
        let hop = |cover: &ledger::Cover| CoveredHop {
            id: cover.hop.clone(),
            party: Some(("Example Cloud Inc. (synthetic)".to_owned(), "sub_processor")),
            region: cover.region.clone(),
            by: cover.by,
            cover: cover.id.clone(),
        };
        let ruled = |class, treatment, rules: &[&str]| Ruled {
            class,
            destination: "examplecloud".to_owned(),
            from: None,
            treatment,
            rules: rules.iter().map(|it| (*it).to_owned()).collect(),
        };
        Explanation {
            intent: Some(4),
            outcome: None,
            decided: ledger::Time::from_micros(1_790_000_000_000_000),
            version: Some(3),
            tries: vec![Try {
                exchange: about.exchange,
                destination: Some("othercloud".to_owned()),
                reason: Some("timed_out".to_owned()),
            }],
            targets: vec![TargetView {
                destination: "examplecloud".to_owned(),
                standing: "first",
                became: "chosen".to_owned(),
            }],
            hops: about.path.iter().map(hop).collect(),
            replay: Ok(Replay {
                differences,
                rulings: vec![
                    ruled("NAME", Some(Treatment::Tokenize), &["treatment-to-cloud"]),
                    ruled("SSN", None, &[]),
                ],
                gap: None,
            }),
            about,
        }
    }

    fn drawn(explanation: &Explanation) -> String {
        let mut page = Vec::new();
        let screen = Screen { columns: 72, colour: false, signs: true };
        draw(&mut page, &screen, explanation).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn the_page_names_facts_policy_path_and_what_was_decided_again() {
        expect![[r"
            Exchange exc_03030303030303030303030303030303

            Facts
              decided        2026-09-21T14:13:20.000000Z
              configuration  version 3, SHA-256
                             823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812
              caller         Example Scheduling Bot
                             (key_00000000000000000000000000000000)
              purpose        treatment
              asked          chat.completions through api
              found          DATE 1, NAME 2
              a line of      bat_06060606060606060606060606060606
              categories     SUBSTANCE_USE
              makes use of   images, prompt_caching at examplecloud

            Policy
              NAME  tokenized at examplecloud, by treatment-to-cloud
              SSN   refused at examplecloud, no rule permits it

            Route assistant
              examplecloud  first: chosen

            Path
              clinic-server           sub processor: Example Cloud Inc. (synthetic);
                                      inside
              examplecloud-inference  sub processor: Example Cloud Inc. (synthetic),
                                      in us-east; agreement baa-examplecloud
              examplechips-machines   sub processor: Example Cloud Inc. (synthetic),
                                      in us-east; evidence chain-examplechips
              hashes                  sub processor: Example Cloud Inc. (synthetic);
                                      no content

            Tried before
              exc_03030303030303030303030303030303
                sent to othercloud: timed out

            Decision
              decision    tokenized, to examplecloud
              treatments  NAME tokenized
              rules       rule-7
              ended       still runs, or was cut off
              records     intent 4

            Decided again
              ✓ the same, on the recorded facts and by that configuration
        "]]
        .assert_eq(&drawn(&explanation(Vec::new())));
    }

    #[test]
    fn what_differs_is_shown_beside_what_was_recorded() {
        let differs = Difference {
            field: "destination",
            recorded: "\"cloud\"".to_owned(),
            replayed: "\"local\"".to_owned(),
        };
        let explanation = explanation(vec![differs]);
        let page = drawn(&explanation);
        let words = "✗ NOT what was recorded\n    destination: recorded \"cloud\", now \"local\"\n";
        assert!(page.ends_with(words), "{page}");
        let document = document(&explanation);
        assert_eq!(document["replay"]["same"], json!(false));
        assert_eq!(document["replay"]["differences"][0]["replayed"], json!("local"));
    }
}
