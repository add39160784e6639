//! `cargo xtask eval`: what the detector finds, on the fixtures and on public corpora.
//!
//! The measuring is done by an example of `phi` in release; this command builds it, draws what it says,
//! and with `--peers` has other detectors read the same texts first.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{self, Stop, Trouble, cargo, root, run_read};
use crate::screen::{Bar, Screen, Style};
use crate::{target_folder, tools};

/// Where the corpora are unless told, from the root.
const CORPORA: &str = "../shared/corpora";
/// The scripts that run other detectors.
const PRESIDIO: &str = "tests/python/peers/presidio_eval.py";
const PHILTER: &str = "tests/python/peers/philter_eval.py";
/// What other detectors read: they are slow.
const PEER_CORPORA: [&str; 3] =
    ["fixtures", "regression/asq_phi/test", "regression/ambientmeta_context"];
/// The page whose tables `--write-docs` refreshes.
const PAGE: &str = "docs/detection.md";
/// Columns that the wide tables take.
const WIDE: usize = 110;

/// Options of `cargo xtask eval`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Options {
    /// The folder of the public corpora; by default ../shared/corpora
    #[arg(long, value_name = "DIR")]
    corpora: Option<PathBuf>,
    /// At most 200 documents of each corpus, one pass, rough intervals
    #[arg(long)]
    quick: bool,
    /// Have Presidio and Philter read the same texts (installs them into target/)
    #[arg(long)]
    peers: bool,
    /// Only corpora whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print the values of the fixtures in the form of floors.toml, and nothing else
    #[arg(long)]
    floors: bool,
    /// Put the tables into docs/detection.md
    #[arg(long)]
    write_docs: bool,
}

/// Builds, measures, prints the tables.
///
/// # Errors
/// When a build or the measurement failed, or a corpus is not in its form.
pub(crate) fn run(options: &Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    process::run(
        cargo().args(["build", "--locked", "--release", "-p", "phi", "--example", "eval"]),
        stop,
    )?;
    if options.floors {
        let mut worker = worker();
        return run_read(worker.args(["--quick", "--floors"]), stop, |line| {
            if !line.starts_with('{') {
                println!("{line}");
            }
        });
    }
    let corpora = options.corpora.clone().unwrap_or_else(|| root().join(CORPORA));
    let present = corpora.is_dir();
    if !present {
        absent(&corpora, screen);
    }
    let mut arguments: Vec<OsString> = Vec::new();
    if present {
        arguments.extend(["--corpora".into(), corpora.clone().into()]);
    }
    if options.quick {
        arguments.push("--quick".into());
    }
    let mut peers = Vec::new();
    if options.peers {
        peers = peer_files(&arguments, screen, stop)?;
    }
    for file in peers {
        arguments.extend(["--peer".into(), file.into()]);
    }
    if let Some(only) = &options.only {
        arguments.extend(["--only".into(), only.into()]);
    }
    if options.write_docs || screen.width() >= WIDE {
        arguments.push("--wide".into());
    }
    let mut drawing = Drawing::new(screen);
    run_read(worker().args(&arguments), stop, |line| drawing.draw(line))?;
    if !present {
        absent(&corpora, screen);
    }
    if options.write_docs {
        write_docs(&drawing.tables)?;
    }
    Ok(())
}

fn worker() -> Command {
    let mut worker = Command::new(target_folder("release").join("examples").join("eval"));
    worker.current_dir(root());
    worker
}

/// Says loudly that only a part is measured.
fn absent(folder: &Path, screen: Screen) {
    let text = format!(
        "{} is not there: only the project's own fixtures are measured. The public figures of {PAGE} \
         need the corpora that are listed there.",
        folder.display()
    );
    println!();
    screen.say(&screen.paint(Style::Bad, &format!("!! {text}")));
}

/// Has the other detectors read, and returns what they wrote.
fn peer_files(
    arguments: &[OsString],
    screen: Screen,
    stop: &Stop,
) -> Result<Vec<PathBuf>, Trouble> {
    tools::provide(&[tools::PYTHON], screen, stop)?;
    let python = tools::python(tools::PEERS, screen, stop)?;
    let folder = root().join("target").join("eval");
    std::fs::create_dir_all(&folder)?;
    let texts = folder.join("texts.jsonl");
    let all = folder.join("all.jsonl");
    run_read(worker().args(arguments).arg("--export").arg(&all), stop, |line| println!("{line}"))?;
    let rows = std::fs::read_to_string(&all)?;
    let kept: Vec<&str> = rows.lines().filter(|row| is_for_peers(row)).collect();
    std::fs::write(&texts, kept.join("\n") + "\n")?;
    let file = |name: &str| folder.join(format!("{name}.jsonl"));
    let (shipped, organization) = (file("presidio-shipped"), file("presidio-organization"));
    let (philter, together) = (file("philter"), file("together"));
    let read = |name: &str, script: &str, out: &Path, options: &[&OsStr]| {
        let mut command = Command::new(&python);
        command.arg(root().join(script)).arg(&texts).arg(out).args(options);
        let bar = screen.bar(name, kept.len() as u64);
        let mut said = Vec::new();
        let ran = run_read(&mut command, stop, |line| match done(line) {
            Some(at) => bar.set(at),
            None => said.push(line.to_owned()),
        });
        drop(bar);
        ran.map_err(|Trouble(why)| Trouble(format!("{why}\n{}", said.join("\n"))))
    };
    read("Presidio, shipped", PRESIDIO, &shipped, &[])?;
    let all = [OsStr::new("--organization")];
    read("Presidio, organization", PRESIDIO, &organization, &all)?;
    // What either of the two finds is a row of its own: the best that they can do together.
    let beside = [OsStr::new("--beside"), shipped.as_os_str(), together.as_os_str()];
    read("Philter", PHILTER, &philter, &beside)?;
    Ok(vec![shipped, organization, philter, together])
}

fn is_for_peers(row: &str) -> bool {
    let row: Value = serde_json::from_str(row).unwrap_or_default();
    row.get("corpus").and_then(Value::as_str).is_some_and(|name| PEER_CORPORA.contains(&name))
}

fn done(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?.get("done")?.as_u64()
}

/// A table as the worker writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn of(value: &Value) -> Option<Self> {
        let words = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|cell| cell.as_str().map(str::to_owned)).collect()
        };
        let rows = value.get("rows")?.as_array()?;
        Some(Self {
            head: words(value.get("head")?)?,
            rows: rows.iter().map(words).collect::<Option<_>>()?,
        })
    }

    fn markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<&str> =
            (0..self.head.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
        let mut out = row(&self.head) + &format!("|{}|\n", rule.join("|"));
        for cells in &self.rows {
            out += &row(cells);
        }
        out
    }
}

/// Draws the worker's lines as they come, and keeps its tables.
struct Drawing {
    screen: Screen,
    bar: Option<Bar>,
    /// What was said before each table, with the table, by name.
    tables: BTreeMap<String, String>,
    said: String,
}

impl Drawing {
    fn new(screen: Screen) -> Self {
        Self { screen, bar: None, tables: BTreeMap::new(), said: String::new() }
    }

    fn draw(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            println!("{line}");
            return;
        };
        let word = |key: &str| value.get(key).and_then(Value::as_str);
        if let Some(at) = value.get("done").and_then(Value::as_u64) {
            if let Some(bar) = &self.bar {
                bar.set(at);
            }
            return;
        }
        // The bar before must be gone before the next one shows.
        self.bar = None;
        if let Some(name) = word("begin") {
            let length = value.get("documents").and_then(Value::as_u64).unwrap_or_default();
            self.bar = Some(self.screen.bar(name, length));
        } else if let Some(text) = word("heading") {
            self.screen.heading(text);
        } else if let Some(text) = word("note") {
            println!();
            self.screen.say(text);
            text.clone_into(&mut self.said);
        } else if let (Some(name), Some(table)) =
            (word("name"), value.get("table").and_then(Table::of))
        {
            self.screen.table(&table.head, &table.rows);
            let said = std::mem::take(&mut self.said);
            let lead = if said.is_empty() { said } else { format!("{said}.\n\n") };
            self.tables.insert(name.to_owned(), lead + &table.markdown());
        }
    }
}

/// Puts the tables between their marks in the page.
fn write_docs(tables: &BTreeMap<String, String>) -> Result<(), Trouble> {
    let path = root().join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    let (written, missing) = refreshed(&page, tables)?;
    std::fs::write(&path, written)?;
    println!();
    for name in missing {
        println!("{PAGE}: `{name}` was not measured, its table stays as it was");
    }
    println!("{PAGE} is refreshed");
    Ok(())
}

/// The page with what stands between `<!-- eval NAME -->` and `<!-- end -->` replaced, and the names
/// for which there is no table.
fn refreshed(
    page: &str,
    tables: &BTreeMap<String, String>,
) -> Result<(String, Vec<String>), Trouble> {
    const BEGIN: &str = "<!-- eval ";
    const END: &str = "<!-- end -->";
    let (mut out, mut missing) = (String::new(), Vec::new());
    let mut rest = page;
    while let Some((before, from)) = rest.split_once(BEGIN) {
        let (name, from) = from
            .split_once(" -->")
            .ok_or_else(|| Trouble(format!("{PAGE}: a mark `{BEGIN}` has no end")))?;
        let (old, after) = from
            .split_once(END)
            .ok_or_else(|| Trouble(format!("{PAGE}: `{name}` has no `{END}`")))?;
        let new = tables.get(name).map(|table| format!("\n{table}"));
        if new.is_none() {
            missing.push(name.to_owned());
        }
        out.extend([before, BEGIN, name, " -->", new.as_deref().unwrap_or(old), END]);
        rest = after;
    }
    Ok((out + rest, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> String {
        format!(r#"{{"name":"{name}","table":{{"head":["a","b"],"rows":[["x","1"]]}}}}"#)
    }

    #[test]
    fn a_table_is_kept_with_what_was_said_before_it() {
        let mut drawing = Drawing::new(Screen::detect());
        drawing.draw(r#"{"note":"strict"}"#);
        drawing.draw(&line("t"));
        drawing.draw(&line("u"));
        let table = "| a | b |\n|---|---:|\n| x | 1 |\n";
        assert_eq!(drawing.tables["t"], format!("strict.\n\n{table}"));
        assert_eq!(drawing.tables["u"], table);
    }

    #[test]
    fn a_page_is_refreshed_between_its_marks_alone() {
        let tables = BTreeMap::from([("t".to_owned(), "new\n".to_owned())]);
        let page = "a\n<!-- eval t -->\nold\n<!-- end -->\nb <!-- eval u -->kept<!-- end --> c";
        let (written, missing) = refreshed(page, &tables).unwrap();
        assert_eq!(
            written,
            "a\n<!-- eval t -->\nnew\n<!-- end -->\nb <!-- eval u -->kept<!-- end --> c"
        );
        assert_eq!(missing, ["u"]);
        assert!(refreshed("<!-- eval t -->", &tables).is_err());
    }

    #[test]
    fn other_detectors_read_what_they_are_compared_on() {
        assert!(is_for_peers(r#"{"corpus":"fixtures","at":0,"text":"x"}"#));
        assert!(!is_for_peers(r#"{"corpus":"train/ner_btc","at":0,"text":"x"}"#));
        assert_eq!(done(r#"{"done": 40}"#), Some(40));
    }
}
