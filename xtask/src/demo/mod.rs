//! `cargo xtask demo`: the real product, driven by its own command line, on
//! one prompt from a clinician to a model and back.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use self::authority::Authority;
use self::product::{LocalModel, Product, Server};
use self::rules::Upstream;
use crate::process::{Stop, Trouble, cargo, root, run as run_program};
use crate::screen::{Screen, Style};
use crate::{target_folder, tools};

mod authority;
mod client;
mod note;
pub(crate) mod product;
pub(crate) mod rules;
mod walk;
mod weights;

/// How often the demo looks at its server while it stays up.
const WATCH: Duration = Duration::from_millis(200);

/// What the demo says about its model, in every run.
const CAVEAT: &str =
    "A 135-million-parameter model shows the way of a prompt, not clinical quality.";

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// End after the walk-through instead of staying up.
    #[arg(long)]
    once: bool,
    /// A model file of your own instead of the demo's.
    #[arg(long, value_name = "FILE.gguf", conflicts_with = "upstream")]
    model: Option<PathBuf>,
    /// A running OpenAI-compatible server instead of a local model: https, or http on loopback.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The model to ask for there; its first one by default, where it is on loopback.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_model: Option<String>,
    /// The environment variable with the key for that server.
    #[arg(long, value_name = "VARIABLE", requires = "upstream")]
    upstream_key: Option<String>,
    /// Keep the data directory.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
///
/// # Errors
/// When a part of the walk-through does not go as it must.
pub(crate) fn run(options: &Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    if let Some(file) = options.model.as_deref().filter(|file| !weights::is_gguf(file)) {
        return Err(Trouble(format!("{} is not a GGUF file", file.display())));
    }
    screen.heading("build");
    build(options, screen, stop)?;
    let (upstream, local) = upstream(options, screen, stop)?;
    let scratch = Scratch::create(options.keep)?;
    let product = Product {
        bulla: target_folder("debug").join("bulla"),
        verify: target_folder("debug").join("bulla-verify"),
        data: scratch.path.join("data"),
        shown: true,
    };
    let authority = Authority::start(&scratch.path, stop)?;
    let mut walk = walk::Walk {
        screen,
        stop,
        product: &product,
        folder: &scratch.path,
        authority: authority.as_ref(),
    };
    let key = walk.prepare(&upstream)?;
    screen.heading("start");
    let log = scratch.path.join("server.log");
    let mut server = Server::start(&product, local.as_ref(), log, stop)?;
    println!("ready on http://{}", server.address);
    walk.prompt(&server, &key)?;
    walk.without_agreement(&server, &key, &upstream)?;
    walk.audit()?;
    if !options.once {
        invite(screen, server.address, &key);
        while stop.sleep(WATCH).is_ok() {
            server.still_runs()?;
        }
    }
    println!("\nstopping");
    server.end()
}

/// Builds the programs: the product quickly, the model server as it will run.
fn build(options: &Options, screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    let build =
        |arguments: &[&str]| run_program(cargo().args(["build", "--locked"]).args(arguments), stop);
    println!("bulla and bulla-verify");
    build(&["--package", "server", "--package", "ledger", "--bins"])?;
    build(&["--package", "testkit", "--example", "authority"])?;
    if options.upstream.is_none() {
        tools::provide(&[tools::NATIVE_BUILD], screen, stop).map_err(|Trouble(why)| {
            Trouble(format!(
                "{why}\nOr give a running OpenAI-compatible server with `--upstream URL`: then the \
                 model server is not built."
            ))
        })?;
        println!("bulla-model (llama.cpp is C++ and takes some minutes the first time)");
        build(&["--release", "--package", "bulla-model"])?;
    }
    Ok(())
}

/// Decides where prompts go.
fn upstream(
    options: &Options,
    screen: Screen,
    stop: &Stop,
) -> Result<(Upstream, Option<LocalModel>), Trouble> {
    if let Some(url) = &options.upstream {
        let url = url.trim_end_matches('/').to_owned();
        let model = options.upstream_model.clone().map_or_else(|| first_model(&url), Ok)?;
        let variable = options.upstream_key.as_deref();
        let credential = variable.map_or_else(|| "none".into(), |name| format!("env:{name}"));
        return Ok((Upstream { url, model, credential }, None));
    }
    screen.heading("model");
    let file = match &options.model {
        Some(file) => std::path::absolute(file)?,
        None => weights::fetch(screen, stop)?,
    };
    println!("{CAVEAT}");
    let port = product::free_port()?;
    let url = format!("http://{}/v1", SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let program = target_folder("release").join("bulla-model");
    let upstream = Upstream { url, model: "local".into(), credential: "none".into() };
    Ok((upstream, Some(LocalModel { file, program, port })))
}

/// The first model that a server on loopback offers.
fn first_model(url: &str) -> Result<String, Trouble> {
    let ask = || {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let server: SocketAddr = host.replace("localhost", "127.0.0.1").parse().ok()?;
        let reply = client::get(server, &format!("/{path}/models")).ok()?;
        let list: Value = serde_json::from_str(&reply.body).ok()?;
        list.pointer("/data/0/id")?.as_str().map(str::to_owned)
    };
    ask().ok_or_else(|| {
        Trouble(format!("cannot ask {url} for its models: name one with `--upstream-model NAME`"))
    })
}

/// Says how to go on from here.
fn invite(screen: Screen, server: SocketAddr, key: &str) {
    screen.heading("try it yourself");
    println!(
        "address   http://{server}/v1\n\
         key       {key}\n\
         model     {model}\n\n\
         with curl:\n\n\
         \x20 curl -N http://{server}/v1/chat/completions \\\n\
         \x20   -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \
         \"content\": \"Repeat: Marisol Quintero, MRN RVB-4471902, has diabetes.\"}}]}}'\n\n\
         with the openai package for Python:\n\n\
         \x20 from openai import OpenAI\n\
         \x20 client = OpenAI(base_url=\"http://{server}/v1\", api_key=\"{key}\")\n\
         \x20 answer = client.chat.completions.create(\n\
         \x20     model=\"{model}\",\n\
         \x20     messages=[{{\"role\": \"user\", \"content\": \"Repeat: Marisol Quintero is well.\"}}],\n\
         \x20 )\n\
         \x20 print(answer.choices[0].message.content)\n",
        model = rules::MODEL,
    );
    println!("{}", screen.paint(Style::Heading, "Ctrl-C stops everything."));
}

/// The folder of one demo; removed at the end unless it is to be kept.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    fn create(keep: bool) -> Result<Self, Trouble> {
        let path = root().join("target").join(format!("demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, keep })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            println!("kept: {}", self.path.display());
        } else if let Err(error) = remove(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    if folder.exists() { std::fs::remove_dir_all(folder) } else { Ok(()) }
}
