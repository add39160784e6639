//! A stand-in model server to try Bulla against by hand, and the canned one of the bench.
//!
//! ```text
//! cargo run -p testkit --example upstream -- --port 9001 --script echo
//! cargo run -p testkit --example upstream -- --port 9001 --fault cut=3
//! cargo run --release -p testkit --example upstream -- --port 9001 --canned
//! ```
//! It prints its address, then each request that it got as one JSON line.

use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use testkit::upstream::canned::{Canned, Says, Settings};
use testkit::upstream::{
    Arguments, Block, Call, Captured, Citation, Cut, Fault, Pieces, Reply, Source, Split, Upstream,
};

const USAGE: &str = "\
usage: upstream [--port N] [--canned | --canned-surrogate] [--first-ms N] [--gap-ms N]
                [--script echo|echo-all|tools|parallel-tools|refusal|everything|text=TEXT]
                [--chars N] [--split-bytes N] [--reasoning] [--ascii]
                [--fault hang|hang=N|cut=N|reset=N|end=N|garbage=N|broken-json=N|error=N|
                         huge=BYTES|endless=N|status=N|redirect=URL|html|gzip|content-type]
--script starts over, so it comes before what changes it.";

struct Options {
    port: u16,
    canned: Option<Says>,
    first_after: Duration,
    gap: Duration,
    reply: Reply,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = options(&arguments) else {
        say(USAGE);
        return ExitCode::from(2);
    };
    if let Some(says) = options.canned {
        let Options { first_after, gap, .. } = options;
        let server = Canned::start(options.port, Settings { says, first_after, gap });
        say(&server.url());
        stopped().await;
    } else {
        let reply = options.reply.starting_after(options.first_after).pausing(options.gap);
        let server = Upstream::on_port(options.port, reply).await;
        say(&server.url());
        tokio::select! {
            () = show(&server) => {}
            () = stopped() => {}
        }
    }
    ExitCode::SUCCESS
}

async fn stopped() {
    // Without a signal handler the process ends by the signal itself.
    drop(tokio::signal::ctrl_c().await);
}

async fn show(server: &Upstream) {
    let mut shown = 0;
    loop {
        server.reaches(shown + 1).await;
        for captured in server.take() {
            say(&line(&captured));
            shown += 1;
        }
    }
}

fn line(captured: &Captured) -> String {
    let json = captured.json();
    let body = if json.is_null() { captured.text().into() } else { json };
    json!({
        "number": captured.number, "connection": captured.connection, "method": captured.method,
        "path": captured.path, "headers": captured.headers, "complete": captured.complete,
        "body": body,
    })
    .to_string()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone needs no lines.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

fn options(arguments: &[String]) -> Option<Options> {
    let mut options = Options {
        port: 0,
        canned: None,
        first_after: Duration::ZERO,
        gap: Duration::ZERO,
        reply: Reply::echo(),
    };
    let mut fault = Fault::None;
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match name.as_str() {
            "--port" => options.port = rest.next()?.parse().ok()?,
            "--canned" => options.canned = Some(Says::Fixed),
            "--canned-surrogate" => options.canned = Some(Says::FirstSurrogate),
            "--first-ms" => options.first_after = millis(rest.next()?)?,
            "--gap-ms" => options.gap = millis(rest.next()?)?,
            "--script" => options.reply = script(rest.next()?)?,
            "--fault" => fault = fault_named(rest.next()?)?,
            "--chars" => {
                let count = rest.next()?.parse().ok()?;
                options.reply = options.reply.in_pieces(Pieces::Chars(count));
            }
            "--split-bytes" => {
                let count = rest.next()?.parse().ok()?;
                options.reply = options.reply.split(Split::Bytes(count));
            }
            "--reasoning" => options.reply = options.reply.with_reasoning(Source::LastUser),
            "--ascii" => options.reply = options.reply.in_ascii(),
            _ => return None,
        }
    }
    options.reply = options.reply.with_fault(fault);
    Some(options)
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

fn script(name: &str) -> Option<Reply> {
    let fields = Arguments::Fields(vec![("note".to_owned(), Source::LastUser)]);
    let calls = vec![Call::new("look_up", Arguments::Surrogates), Call::new("save", fields)];
    match name.split_once('=').unwrap_or((name, "")) {
        ("echo", "") => Some(Reply::echo()),
        ("echo-all", "") => Some(Reply::echo_all()),
        ("tools", "") => Some(Reply::calls(calls)),
        ("parallel-tools", "") => Some(Reply::interleaved_calls(calls)),
        ("everything", "") => Some(Reply::blocks(everything(calls))),
        ("refusal", "") => Some(Reply::refusal("I cannot help with that.")),
        ("text", text) => Some(Reply::text(text)),
        _ => None,
    }
}

/// A block of every kind but a refusal.
fn everything(calls: Vec<Call>) -> Vec<Block> {
    let fixed = |text: &str| Source::Fixed(text.to_owned());
    let citation = Citation { title: fixed("Chart"), cited: fixed("BP 132/84") };
    let said = [
        Block::Thinking(Source::LastUser, "c2lnbmVkLWJ5LW1vZGVs".to_owned()),
        Block::Redacted("c2VhbGVkLWJ5LW1vZGVs".to_owned()),
        Block::Text(Source::LastUser),
        Block::Cited(fixed("The pressure is normal."), citation),
    ];
    said.into_iter().chain(calls.into_iter().map(Block::Call)).collect()
}

fn fault_named(name: &str) -> Option<Fault> {
    let (name, value) = name.split_once('=').unwrap_or((name, ""));
    let count = || value.parse::<usize>().ok();
    let cut = |how| Some(Fault::Cut { after: count()?, how });
    match name {
        "hang" if value.is_empty() => Some(Fault::HangBeforeHeaders),
        "hang" => Some(Fault::Hang { after: count()? }),
        "cut" => cut(Cut::Fin),
        "reset" => cut(Cut::Reset),
        "end" => cut(Cut::End),
        "garbage" => Some(Fault::Garbage { after: count()? }),
        "broken-json" => Some(Fault::BrokenJson { after: count()? }),
        "error" => Some(Fault::Error { after: count()? }),
        "huge" => Some(Fault::Huge { after: 1, bytes: count()? }),
        "endless" => Some(Fault::Endless { after: count()? }),
        "status" => Some(Fault::Status { status: value.parse().ok()?, retry_after: Some(7) }),
        "redirect" => Some(Fault::Redirect { status: 307, location: value.to_owned() }),
        "html" => Some(Fault::Html),
        "gzip" => Some(Fault::Gzip),
        "content-type" => Some(Fault::ContentType("text/plain")),
        _ => None,
    }
}
