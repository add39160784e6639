//! What is measured beside Bulla: by the same client, against the same stand-in, in the same rounds.

use crate::house::{FAST, House};
use crate::options::Options;
use crate::process::{Process, free_address};
use crate::row::Target;
use crate::tell;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::client::{Request, call};
use tokio::time::Instant;

/// A folder whose files are memory, on every Linux.
const MEMORY: &str = "/dev/shm";

/// Something beside Bulla.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    kind: Kind,
    /// Removed when the peer goes.
    folder: Option<PathBuf>,
}

#[derive(Debug)]
enum Kind {
    /// The same program over a disk that is memory: what durability costs.
    Bulla(Box<House>),
    /// Another gateway. It finds nothing and records nothing durably.
    Other(Process),
}

impl Peer {
    /// Starts what is there; says of the rest why not.
    pub(crate) async fn all(
        options: &Options,
        dir: &Path,
        fast: SocketAddr,
        paced: SocketAddr,
    ) -> io::Result<Vec<Self>> {
        let mut peers = Vec::new();
        if Path::new(MEMORY).is_dir() {
            peers.push(Self::in_memory(options, fast, paced).await?);
        } else {
            tell(&format!("no {MEMORY}, so no row without a disk"));
        }
        if options.peers {
            let program = options.dir.join("peers/litellm/bin/litellm");
            if program.is_file() {
                peers.push(Self::litellm(&program, dir, fast).await?);
            } else {
                tell("LiteLLM is not installed, so it is not measured");
            }
        }
        Ok(peers)
    }

    async fn in_memory(options: &Options, fast: SocketAddr, paced: SocketAddr) -> io::Result<Self> {
        let folder = Path::new(MEMORY).join(format!("bulla-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut house = House::make(options, &folder, fast, paced)?;
        house.start().await?;
        let kind = Kind::Bulla(Box::new(house));
        Ok(Self { name: "Bulla, its disk is memory", kind, folder: Some(folder) })
    }

    /// The proxy of `LiteLLM` with one worker, without Presidio, a database or a log of requests.
    async fn litellm(program: &Path, dir: &Path, fast: SocketAddr) -> io::Result<Self> {
        let settings = dir.join("litellm.yaml");
        let text = format!(
            "model_list:\n  - model_name: {FAST}\n    litellm_params:\n      model: openai/stand-in\n      \
             api_base: http://{fast}/v1\n      api_key: none\ngeneral_settings:\n  \
             dangerously_permit_weak_or_unset_master_key: true\n"
        );
        fs::write(&settings, text)?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&settings).args(["--host", "127.0.0.1", "--num_workers", "1"]);
        command.args(["--port", &address.port().to_string(), "--telemetry", "False"]);
        // Without this it asks the network for prices as it starts.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
        let mut process = Process::spawn(command, address, dir.join("litellm.log"))?;
        let ready = |address| async move {
            let response = call(address, &Request::get("/health/liveliness")).await;
            response.is_ok_and(|response| response.status() == 200)
        };
        process.ready(Instant::now(), ready).await?;
        Ok(Self { name: "LiteLLM", kind: Kind::Other(process), folder: None })
    }

    /// Where it is, and whose CPU time counts.
    pub(crate) fn target(&self) -> Target<'_> {
        match &self.kind {
            Kind::Bulla(house) => house.target(),
            Kind::Other(process) => {
                Target { address: process.address, key: None, pid: Some(process.pid()) }
            }
        }
    }

    /// Whether it can be asked for the model that takes its time.
    pub(crate) fn knows_paced(&self) -> bool {
        matches!(self.kind, Kind::Bulla(_))
    }

    pub(crate) fn pid(&self) -> u32 {
        match &self.kind {
            Kind::Bulla(house) => house.pid(),
            Kind::Other(process) => process.pid(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && let Err(error) = fs::remove_dir_all(folder)
        {
            tell(&format!("could not remove {}: {error}", folder.display()));
        }
    }
}
