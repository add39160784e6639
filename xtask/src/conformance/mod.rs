//! `cargo xtask conformance`: does the right value come back to the right place, in every dialect, with
//! this gateway or another?

mod house;
mod table;

use crate::process::{self, Stop, Trouble, cargo};
use crate::screen::{Screen, Style};
use crate::target_folder;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use table::Row;

/// What the program that runs the vectors says when one of them failed.
const FAILED: i32 = 1;

/// Options of `cargo xtask conformance`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Build a Bulla, start it with rules of its own, and run everything against it.
    #[arg(long, conflicts_with_all = ["url", "key", "upstream_listen", "tokens"])]
    bulla: bool,
    /// The gateway: http://HOST:PORT, with what stands before /v1 in its paths.
    #[arg(long, value_name = "URL", required_unless_present = "bulla")]
    url: Option<String>,
    /// The key of a caller there.
    #[arg(long, required_unless_present = "bulla")]
    key: Option<String>,
    /// The model that the gateway offers.
    #[arg(long, default_value = "stand-in")]
    model: String,
    /// Where the scripted model server listens, on loopback. The gateway must have it as its model server.
    #[arg(long, value_name = "127.0.0.1:PORT", default_value = "127.0.0.1:9100")]
    upstream_listen: SocketAddr,
    /// Only these dialects: chat, responses, completions, embeddings, messages, `count_tokens`, converse, gemini.
    #[arg(long, value_name = "NAME,...")]
    dialects: Option<String>,
    /// What the gateway's surrogates look like, as a regular expression; for Presidio `<[A-Z_]+(_[0-9]+)?>`.
    #[arg(long, value_name = "EXPRESSION")]
    tokens: Option<String>,
    /// Only vectors whose name begins so: `restore.`
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print lines of JSON in place of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the vectors and prints what became of them.
///
/// # Errors
/// When a vector failed, or the run could not be made.
pub(crate) fn run(options: &Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    let build = ["build", "--locked", "--quiet", "-p", "testkit", "--example", "conformance"];
    process::run(cargo().args(build), stop)?;
    let mut command = Command::new(target_folder("debug").join("examples").join("conformance"));
    let house = if options.bulla { Some(house::House::start(&options.model, stop)?) } else { None };
    if let Some(house) = &house {
        command.args(["--url", &house.url, "--key", &house.key]);
        command.args(["--upstream-port", &house.upstream.port().to_string()]);
    } else {
        if !options.upstream_listen.ip().is_loopback() {
            return Err(Trouble::new("the scripted model server listens on loopback only"));
        }
        command.args(["--url", options.url.as_deref().unwrap_or_default()]);
        command.args(["--key", options.key.as_deref().unwrap_or_default()]);
        command.args(["--upstream-port", &options.upstream_listen.port().to_string()]);
    }
    command.args(["--model", &options.model]);
    for (name, value) in [
        ("--dialects", &options.dialects),
        ("--tokens", &options.tokens),
        ("--only", &options.only),
    ] {
        if let Some(value) = value {
            command.args([name, value]);
        }
    }
    let (lines, code) = process::output_and_code(&mut command, stop)?;
    if let Some(house) = house {
        house.end()?;
    }
    if options.json {
        print!("{lines}");
    }
    let lines: Vec<Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let rows: Vec<Row> = lines.iter().filter_map(Row::of).collect();
    if !options.json {
        let vectors: Vec<&str> = lines.iter().filter_map(|line| line.get("id")?.as_str()).collect();
        table::print(screen, &vectors, &rows);
    }
    let failed = rows.iter().filter(|row| row.verdict == table::Verdict::Fail).count();
    match code {
        0 => Ok(()),
        FAILED => Err(Trouble(format!("{failed} of {} did not hold", rows.len()))),
        _ => Err(Trouble::new("the vectors could not be run")),
    }
    .inspect(|()| {
        if !options.json {
            println!("{}", screen.paint(Style::Good, "nothing failed"));
        }
    })
}
