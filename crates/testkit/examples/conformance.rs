//! Runs the conformance suite against a gateway, and prints one line of JSON for each row.
//!
//! ```text
//! cargo xtask conformance --url http://127.0.0.1:8443 --key KEY --upstream-listen 127.0.0.1:9100
//! ```
//! The gateway must have `http://127.0.0.1:9100/v1` as its model server. `cargo xtask conformance` shows the
//! lines as a table.

use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use testkit::conformance::{self, Target, Vector, Verdict};
use testkit::upstream::{Dialect, Reply, Tokens, Upstream};

const USAGE: &str = "\
usage: conformance --url http://HOST:PORT[/PREFIX] --key KEY [--model NAME] [--upstream-port N]
                   [--dialects chat,responses,...] [--tokens EXPRESSION] [--only THEME] [--list]";

struct Options {
    target: Target,
    port: u16,
    only: String,
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing failed.
async fn run(options: Options) -> Result<bool, String> {
    let mut vectors = Vector::all()?;
    vectors.retain(|vector| vector.id.starts_with(&options.only));
    if vectors.is_empty() {
        return Err(format!("no vector begins with {:?}", options.only));
    }
    for vector in &vectors {
        let Vector { id, title, reason, seen, .. } = vector;
        say(&json!({ "id": id, "title": title, "reason": reason, "seen": seen }).to_string());
    }
    if options.list {
        return Ok(true);
    }
    let upstream = Upstream::on_port(options.port, Reply::echo()).await;
    let mut good = true;
    conformance::run(&options.target, &upstream, &vectors, |row| {
        good &= !matches!(row.verdict, Verdict::Fail(_));
        say(&row.json().to_string());
    })
    .await?;
    Ok(good)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone needs no lines.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut target = Target {
        address: SocketAddr::from(([127, 0, 0, 1], 8443)),
        prefix: String::new(),
        key: String::new(),
        model: "stand-in".to_owned(),
        tokens: Tokens::bulla(),
        dialects: Dialect::ALL.to_vec(),
    };
    let (mut port, mut only, mut list) = (0, String::new(), false);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--url" => (target.address, target.prefix) = address(value()?)?,
            "--key" => target.key.clone_from(value()?),
            "--model" => target.model.clone_from(value()?),
            "--tokens" => target.tokens = Tokens::matching(value()?)?,
            "--dialects" => target.dialects = dialects(value()?)?,
            "--upstream-port" => {
                port = value()?.parse().map_err(|_| "that is no port".to_owned())?;
            }
            "--only" => only.clone_from(value()?),
            "--list" => list = true,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(Options { target, port, only, list })
}

fn dialects(names: &str) -> Result<Vec<Dialect>, String> {
    let dialect = |name: &str| {
        let known = || Dialect::ALL.map(Dialect::name).join(", ");
        Dialect::named(name).ok_or_else(|| format!("{name} is none of {}", known()))
    };
    names.split(',').map(dialect).collect()
}

/// The address, and what stands before the paths of the dialects.
fn address(url: &str) -> Result<(SocketAddr, String), String> {
    let rest = url.strip_prefix("http://").ok_or("only http:// addresses are called")?;
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/v1").unwrap_or(rest);
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let found = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next();
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    Ok((found.ok_or_else(|| format!("{host} has no address"))?, prefix))
}
