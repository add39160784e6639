//! Other gateways, as their own packages install them under `target/peers`, started on loopback in
//! front of the stand-ins. Each is set up with the least work that it can do, and asks nothing of the
//! network.

use crate::house::{FAST, PACED};
use crate::options::Options;
use crate::process::{Process, free_address, measured};
use crate::prompt::Treats;
use crate::row::{Ask, Kind};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::client::{Request, call};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The repository's scripts for them.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gateway {
    Portkey,
    TensorZero,
    LiteLlm,
    LiteLlmWithPresidio,
}

impl Gateway {
    pub(crate) const ALL: [Self; 4] =
        [Self::Portkey, Self::TensorZero, Self::LiteLlm, Self::LiteLlmWithPresidio];

    /// What the table calls it, and `--peer` chooses it by; `xtask` installs by the same names.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Portkey => "Portkey",
            Self::TensorZero => "TensorZero",
            Self::LiteLlm => "LiteLLM",
            Self::LiteLlmWithPresidio => "LiteLLM with Presidio",
        }
    }

    /// What is measured under that name.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Portkey => {
                "its gateway from npm in one Node process, with hono held at the versions that it \
                 streams with; finds, restores and records nothing"
            }
            Self::TensorZero => {
                "the HTTP server inside its Python wheel, in a process that does nothing else, \
                 observability off; finds, restores and records nothing; its sockets keep Nagle's \
                 delay, which is some 40 ms in a stream"
            }
            Self::LiteLlm => {
                "its proxy with one worker, no database, no log; finds, restores and records nothing"
            }
            Self::LiteLlmWithPresidio => {
                "the same with its Presidio guardrail: masks before the call, restores after it, \
                 records nothing; the analyzer (spaCy's en_core_web_md in place of _lg) and the \
                 anonymizer are one process each, and CPU and memory are of all three; a stream is \
                 held back whole and shown as one event"
            }
        }
    }

    pub(crate) const fn treats(self) -> Treats {
        match self {
            Self::Portkey | Self::TensorZero | Self::LiteLlm => Treats::Nothing,
            Self::LiteLlmWithPresidio => Treats::MasksAndRestores,
        }
    }

    /// What must have been installed, under the folder of the peers.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Portkey => &[PORTKEY],
            Self::TensorZero => &["tensorzero/bin/python"],
            Self::LiteLlm => &["litellm/bin/litellm"],
            Self::LiteLlmWithPresidio => &["litellm/bin/litellm", "presidio/bin/python"],
        }
    }
}

const PORTKEY: &str = "portkey/node_modules/@portkey-ai/gateway/build/start-server.js";

/// A gateway that runs: the process that is asked, and those behind it.
#[derive(Debug)]
pub(crate) struct Running {
    front: Process,
    behind: Vec<Process>,
    gateway: Gateway,
    fast: SocketAddr,
    paced: SocketAddr,
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.front.address
    }

    /// All whose CPU time and memory count.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.behind.iter().chain([&self.front]).map(Process::pid).collect()
    }

    /// How it is asked for this kind of exchange.
    pub(crate) fn ask(&self, kind: Kind) -> Ask {
        let (model, upstream) =
            if kind == Kind::Paced { (PACED, self.paced) } else { (FAST, self.fast) };
        let usual = Ask::usual(model);
        match self.gateway {
            Gateway::LiteLlm | Gateway::LiteLlmWithPresidio => usual,
            Gateway::TensorZero => Ask {
                path: "/openai/v1/chat/completions",
                model: format!("tensorzero::model_name::{model}"),
                ..usual
            },
            Gateway::Portkey => Ask {
                headers: vec![
                    ("x-portkey-provider", "openai".to_owned()),
                    ("x-portkey-custom-host", format!("http://{upstream}/v1")),
                ],
                ..usual
            },
        }
    }
}

/// Where and in front of what gateways are started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) options: &'a Options,
    pub(crate) dir: &'a Path,
    pub(crate) fast: SocketAddr,
    pub(crate) paced: SocketAddr,
}

impl Place<'_> {
    /// Starts one. An error says why it cannot be measured.
    pub(crate) async fn start(&self, gateway: Gateway) -> io::Result<Running> {
        if !gateway.needs().iter().all(|file| self.peers(file).is_file()) {
            return Err(io::Error::other("it is not installed"));
        }
        let mut behind = Vec::new();
        let front = match gateway {
            Gateway::Portkey => self.portkey().await?,
            Gateway::TensorZero => self.tensorzero().await?,
            Gateway::LiteLlm => self.litellm("litellm", "").await?,
            Gateway::LiteLlmWithPresidio => {
                let analyzer = self.presidio("analyzer").await?;
                let anonymizer = self.presidio("anonymizer").await?;
                let guardrail = guardrail(analyzer.address, anonymizer.address);
                behind.extend([analyzer, anonymizer]);
                self.litellm("litellm-presidio", &guardrail).await?
            }
        };
        Ok(Running { front, behind, gateway, fast: self.fast, paced: self.paced })
    }

    fn peers(&self, file: &str) -> PathBuf {
        self.options.peers_dir.join(file)
    }

    /// A program on the core of what is measured. A proxy of the machine is none for loopback.
    fn command(&self, program: &Path) -> Command {
        let mut command = measured(self.options, program);
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    async fn portkey(&self) -> io::Result<Process> {
        let address = free_address()?;
        let mut command = self.command(Path::new("node"));
        command.arg("--require").arg(Path::new(SCRIPTS).join("node/peers/loopback.cjs"));
        command.arg(self.peers(PORTKEY)).arg(format!("--port={}", address.port()));
        // Headless is without its page, which would show every request.
        command.arg("--headless").env("NODE_ENV", "production");
        let mut process = Process::spawn(command, address, self.log("portkey"))?;
        let connects = |address| async move { TcpStream::connect(address).await.is_ok() };
        process.ready(Instant::now(), connects).await?;
        Ok(process)
    }

    async fn tensorzero(&self) -> io::Result<Process> {
        let settings = self.dir.join("tensorzero.toml");
        let model = |name: &str, upstream: SocketAddr| {
            format!(
                "[models.{name}]\nrouting = [\"stand_in\"]\n[models.{name}.providers.stand_in]\n\
                 type = \"openai\"\nmodel_name = \"stand-in\"\napi_base = \"http://{upstream}/v1\"\n\
                 api_key_location = \"none\"\n"
            )
        };
        let text = format!(
            "[gateway]\nobservability.enabled = false\n\
             disable_pseudonymous_usage_analytics = true\n{}{}",
            model(FAST, self.fast),
            model(PACED, self.paced)
        );
        fs::write(&settings, text)?;
        let mut command = self.command(&self.peers("tensorzero/bin/python"));
        command.arg(Path::new(SCRIPTS).join("python/peers/tensorzero_gateway.py")).arg(settings);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process::spawn(command, nowhere, self.log("tensorzero"))?;
        process.ready_where_it_says().await?;
        Ok(process)
    }

    async fn litellm(&self, name: &str, guardrails: &str) -> io::Result<Process> {
        let settings = self.dir.join(format!("{name}.yaml"));
        let model = |name: &str, upstream: SocketAddr| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: openai/stand-in\n      \
                 api_base: http://{upstream}/v1\n      api_key: none\n"
            )
        };
        let text = format!(
            "model_list:\n{}{}{guardrails}general_settings:\n  \
             dangerously_permit_weak_or_unset_master_key: true\n",
            model(FAST, self.fast),
            model(PACED, self.paced)
        );
        fs::write(&settings, text)?;
        let address = free_address()?;
        let mut command = self.command(&self.peers("litellm/bin/litellm"));
        command.arg("--config").arg(&settings).args(["--host", "127.0.0.1", "--num_workers", "1"]);
        command.args(["--port", &address.port().to_string(), "--telemetry", "False"]);
        // By default it ends a connection after 5 idle seconds, which the first client waits through while
        // the last of many is warming up.
        command.args(["--keepalive_timeout", "60"]);
        // Without this it asks the network for prices as it starts.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
        let mut process = Process::spawn(command, address, self.log(name))?;
        process.ready(Instant::now(), |address| answers(address, "/health/liveliness")).await?;
        Ok(process)
    }

    async fn presidio(&self, part: &str) -> io::Result<Process> {
        let address = free_address()?;
        let mut command = self.command(&self.peers("presidio/bin/python"));
        command.arg(Path::new(SCRIPTS).join("python/peers/presidio_server.py"));
        command.args([part, &address.port().to_string()]);
        let mut process = Process::spawn(command, address, self.log(part))?;
        process.ready(Instant::now(), |address| answers(address, "/health")).await?;
        Ok(process)
    }
}

async fn answers(address: SocketAddr, path: &'static str) -> bool {
    call(address, &Request::get(path)).await.is_ok_and(|response| response.status() == 200)
}

/// Masked before the call and restored after it; the scope is that of `LiteLLM`'s own instructions
/// for this, since it otherwise masks its restored answer again.
fn guardrail(analyzer: SocketAddr, anonymizer: SocketAddr) -> String {
    format!(
        "guardrails:\n  - guardrail_name: presidio\n    litellm_params:\n      guardrail: presidio\n      \
         mode: pre_call\n      default_on: true\n      output_parse_pii: true\n      \
         presidio_filter_scope: input\n      presidio_analyzer_api_base: http://{analyzer}\n      \
         presidio_anonymizer_api_base: http://{anonymizer}\n"
    )
}
