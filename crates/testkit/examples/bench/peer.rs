//! What is measured beside Bulla: by the same client, against the same stand-in, in the same rounds.

use crate::gateway::{Gateway, Place, Running};
use crate::house::House;
use crate::options::{Options, Which};
use crate::row::{Kind, Target};
use crate::{prompt, tell};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use testkit::proc;

/// A folder whose files are memory, on every Linux.
const MEMORY: &str = "/dev/shm";

/// Something beside Bulla.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What the name stands for.
    pub(crate) what: &'static str,
    runs: Runs,
    /// Removed when the peer goes.
    folder: Option<PathBuf>,
}

#[derive(Debug)]
enum Runs {
    /// The same program over a disk that is memory: what durability costs.
    Bulla(Box<House>),
    /// Another gateway.
    Gateway(Running),
}

/// Why something is not measured.
pub(crate) type LeftOut = (&'static str, String);

impl Peer {
    /// Starts what is there, and looks at one exchange and one stream of it; says of the rest why it is
    /// left out.
    pub(crate) async fn all(place: &Place<'_>) -> io::Result<(Vec<Self>, Vec<LeftOut>)> {
        let options = place.options;
        let (mut peers, mut left_out) = (Vec::new(), Vec::new());
        if options.which != Which::PeersAlone {
            if Path::new(MEMORY).is_dir() {
                peers.push(Self::in_memory(options, place).await?);
            } else {
                left_out.push((IN_MEMORY, format!("there is no {MEMORY}")));
            }
        }
        if options.which != Which::Bulla {
            for gateway in Gateway::ALL.into_iter().filter(|it| options.wants_peer(it.name())) {
                match Self::gateway(place, gateway).await {
                    Ok(peer) => peers.push(peer),
                    Err(error) => left_out.push((gateway.name(), error.to_string())),
                }
            }
        }
        for (name, why) in &left_out {
            tell(&format!("{name} is not measured: {why}"));
        }
        Ok((peers, left_out))
    }

    async fn in_memory(options: &Options, place: &Place<'_>) -> io::Result<Self> {
        let folder = Path::new(MEMORY).join(format!("bulla-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut house = House::make(options, &folder, place.fast, place.paced)?;
        house.start().await?;
        let runs = Runs::Bulla(Box::new(house));
        let what = "the same program with its data directory in memory, where a synchronisation \
                    costs nothing";
        Ok(Self { name: IN_MEMORY, what, runs, folder: Some(folder) })
    }

    async fn gateway(place: &Place<'_>, gateway: Gateway) -> io::Result<Self> {
        let (name, what) = (gateway.name(), gateway.what());
        tell(&format!("starting {name}"));
        let runs = Runs::Gateway(place.start(gateway).await?);
        let peer = Self { name, what, runs, folder: None };
        prompt::check_peer(&peer.target(Kind::Json), place.fast, gateway.treats()).await?;
        Ok(peer)
    }

    /// Where it is, how it is asked, and whose CPU time counts.
    pub(crate) fn target(&self, kind: Kind) -> Target {
        match &self.runs {
            Runs::Bulla(house) => house.target(kind),
            Runs::Gateway(running) => {
                Target { address: running.address(), ask: running.ask(kind), pids: running.pids() }
            }
        }
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match &self.runs {
            Runs::Bulla(house) => vec![house.pid()],
            Runs::Gateway(running) => running.pids(),
        }
    }

    /// Resident memory of its processes, in bytes.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        self.pids().into_iter().try_fold(0, |sum, pid| Ok(sum + proc::rss_bytes(pid)?))
    }
}

const IN_MEMORY: &str = "Bulla, its disk is memory";

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && let Err(error) = fs::remove_dir_all(folder)
        {
            tell(&format!("could not remove {}: {error}", folder.display()));
        }
    }
}
