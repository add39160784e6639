//! Bulla itself: a fresh data directory, configured so that every control has work to do.

use crate::options::Options;
use crate::process::{Process, free_address, measured, run};
use crate::row::{Ask, Kind, Target};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use testkit::client::{Request, call};
use testkit::proc;
use tokio::time::Instant;

/// The model name whose upstream answers at once.
pub(crate) const FAST: &str = "bench";
/// The model name whose upstream takes its time between events.
pub(crate) const PACED: &str = "bench-paced";

/// A data directory, and the server over it while it runs.
#[derive(Debug)]
pub(crate) struct House {
    options: Options,
    pub(crate) data: PathBuf,
    log: PathBuf,
    key: String,
    address: SocketAddr,
    server: Option<Process>,
}

/// Memory of the server, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl House {
    /// Makes a data directory, puts the configuration in force, and creates a key.
    pub(crate) fn make(
        options: &Options,
        dir: &Path,
        fast: SocketAddr,
        paced: SocketAddr,
    ) -> io::Result<Self> {
        let data = dir.join("data");
        let rules = dir.join("bench.toml");
        fs::write(&rules, configuration(fast, paced))?;
        let program = options.bin_dir.join("bulla");
        let bulla = || Command::new(&program);
        run(bulla().arg("init").arg(&data).args(["--org", ORGANISATION]))?;
        run(bulla().arg("apply").arg(&rules).arg("--data").arg(&data))?;
        let mut create = bulla();
        create.args(["key", "create", "--owner", "Bench", "--purpose", "treatment", "--data"]);
        let said = run(create.arg(&data))?;
        let key = said.lines().last().unwrap_or_default().trim().to_owned();
        let log = dir.join("bulla.log");
        let address = free_address()?;
        Ok(Self { options: options.clone(), data, log, key, address, server: None })
    }

    /// Starts the server; says how long it took from the start of the process to `/readyz` 200.
    pub(crate) async fn start(&mut self) -> io::Result<Duration> {
        let mut command = measured(&self.options, &self.options.bin_dir.join("bulla"));
        let address = self.address.to_string();
        command.arg("serve").arg("--data").arg(&self.data).args(["--listen", &address]);
        let begun = Instant::now();
        let mut server = Process::spawn(command, self.address, self.log.clone())?;
        let ready = |address| async move {
            let response = call(address, &Request::get("/readyz")).await;
            response.is_ok_and(|response| response.status() == 200)
        };
        let took = server.ready(begun, ready).await?;
        self.server = Some(server);
        Ok(took)
    }

    /// Stops the server as an operator does; says how long that took.
    pub(crate) fn stop(&mut self) -> io::Result<Duration> {
        self.server.take().map_or(Ok(Duration::ZERO), Process::stop)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Where it is, how it is asked, and whose CPU time counts.
    pub(crate) fn target(&self, kind: Kind) -> Target {
        let headers = vec![("authorization", format!("Bearer {}", self.key))];
        let model = if kind == Kind::Paced { PACED } else { FAST };
        let ask = Ask { headers, ..Ask::usual(model) };
        Target { address: self.address, ask, pids: vec![self.pid()] }
    }

    /// The process; 0, which has no `/proc`, while there is none.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Process::pid)
    }

    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let pid = self.pid();
        Ok(Memory { resident: proc::rss_bytes(pid)?, peak: proc::peak_rss_bytes(pid)? })
    }

    /// Exports the log; says how many records it has.
    pub(crate) fn export(&self, bundle: &Path) -> io::Result<usize> {
        let mut command = Command::new(self.options.bin_dir.join("bulla"));
        command.args(["audit", "export", "--data"]).arg(&self.data).arg("--out").arg(bundle);
        let said = run(&mut command)?;
        let mut words = said.split_whitespace().skip_while(|&word| word != "Wrote").skip(1);
        let records = words.next().and_then(|word| word.parse().ok());
        records.ok_or_else(|| io::Error::other("the export did not say how much it wrote"))
    }

    /// Verifies a bundle with the auditor's program; says how long that took.
    pub(crate) fn verify(&self, bundle: &Path) -> io::Result<Duration> {
        let begun = Instant::now();
        run(Command::new(self.options.bin_dir.join("bulla-verify")).arg(bundle))?;
        Ok(begun.elapsed())
    }
}

const ORGANISATION: &str = "Lakeside Family Clinic (synthetic)";

/// Both stand-ins play an outside vendor under agreement, so that the whole path is checked; every
/// identifier leaves as a surrogate.
fn configuration(fast: SocketAddr, paced: SocketAddr) -> String {
    format!(
        r#"schema = 1
organisation = "{ORGANISATION}"

[hosting]
hop = "clinic-server"

[[purpose]]
id = "treatment"
title = "Treatment of a patient"

[[agreement]]
id = "baa-bench"
kind = "baa"
counterparty = "Example Models Inc. (synthetic)"
effective = 2026-01-01
expires = 2099-01-01

[[agreement.scope]]
services = ["inference-api"]
tiers = ["enterprise"]
regions = ["us-east"]
apis = ["chat.completions"]
models = ["stand-in"]
modalities = ["text"]
training = "none"

[[hop]]
id = "clinic-server"
entity = "{ORGANISATION}"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "{ORGANISATION}"

[[hop]]
id = "vendor-inference"
entity = "Example Models Inc. (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa-bench"
hosts = ["{fast}", "{paced}"]

[[destination]]
id = "fast"
title = "Stand-in that answers at once"
dialect = "openai_compatible"
url = "http://{fast}/v1"
credential = "none"
hops = ["vendor-inference"]
models = ["stand-in"]

[[destination]]
id = "paced"
title = "Stand-in that takes its time"
dialect = "openai_compatible"
url = "http://{paced}/v1"
credential = "none"
hops = ["vendor-inference"]
models = ["stand-in"]

[[route]]
model = "{FAST}"
to = [{{ destination = "fast", model = "stand-in" }}]

[[route]]
model = "{PACED}"
to = [{{ destination = "paced", model = "stand-in" }}]

[[policy]]
id = "tokenize-everything"
effect = "tokenize"
classes = ["*"]
destinations = ["fast", "paced"]
purposes = ["treatment"]
"#
    )
}
