//! A time-stamping authority on this machine, so that the way of a stamp can be seen.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{Running, Stop, Trouble, now};
use crate::target_folder;

/// Making two keys and two certificates takes some tenths of a second.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(50);

/// The authority; it ends when this is dropped.
pub(super) struct Authority {
    /// What names it in a governed configuration.
    pub(super) rules: String,
    /// Its root certificate, PEM.
    pub(super) root: String,
    _running: Running,
}

impl Authority {
    /// Starts it; absent where there is no OpenSSL.
    pub(super) fn start(folder: &Path, stop: &Stop) -> Result<Option<Self>, Trouble> {
        let asked = Command::new("openssl").arg("version").stdout(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let mut command = Command::new(target_folder("debug").join("examples").join("authority"));
        command.arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(folder.join("authority.log"))?);
        let mut running = Running::start(&mut command)?;
        let (until, rules) = (now() + READY_LIMIT, folder.join("authority.toml"));
        while !rules.is_file() {
            if running.ended()?.is_some() || now() >= until {
                return Err(Trouble::new("the time-stamping authority of the demo does not start"));
            }
            stop.sleep(READY_POLL)?;
        }
        Ok(Some(Self {
            rules: fs::read_to_string(rules)?,
            root: fs::read_to_string(folder.join("authority.pem"))?,
            _running: running,
        }))
    }
}
