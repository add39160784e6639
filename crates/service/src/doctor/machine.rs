//! The machine: who may read the files, how much room there is, and where the server listens.

use super::{Checks, Group, Network, Plan, many};
use crate::house::Setup;
use rustix::fs::statvfs;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Files and folders that are looked at; a data directory has some twenty.
const MAX_FILES: usize = 1000;

/// Folders within folders; a data directory has one.
const MAX_DEPTH: usize = 4;

/// Below this the log may soon stop, and with it everything.
const LITTLE_ROOM: u64 = 1 << 30;

/// Below this it stops within minutes of ordinary work.
const NO_ROOM: u64 = 64 << 20;

/// A server on this machine accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

pub(super) async fn check(setup: &Setup, plan: &Plan) -> Checks {
    let mut checks = Checks::of(Group::Machine);
    files(setup, &mut checks);
    room(&setup.dir, &mut checks);
    address(&setup.dir, plan, &mut checks).await;
    checks
}

/// A file that others may read, or that is somebody else's.
struct Open {
    path: PathBuf,
    mode: u32,
    owner: u32,
}

fn files(setup: &Setup, checks: &mut Checks) {
    let mut seen = Vec::new();
    collect(&setup.dir, MAX_DEPTH, &mut seen);
    // A socket or folder of systemd's credentials has its own guards; a key file is ours to look at.
    if let Ok(metadata) = fs::symlink_metadata(setup.key_path())
        && metadata.is_file()
        && !setup.key_path().starts_with(&setup.dir)
    {
        let (path, mode) = (setup.key_path(), metadata.permissions().mode());
        seen.push(Open { path, mode, owner: metadata.uid() });
    }
    let us = rustix::process::geteuid().as_raw();
    let open = seen.iter().find(|file| file.mode & OTHERS != 0);
    let foreign = seen.iter().find(|file| file.owner != us);
    let count = many(seen.len(), "file and folder", "files and folders");
    if let Some(Open { path, mode, .. }) = open {
        checks.no(
            "files",
            format_args!("{} has the mode {:04o}", path.display(), mode & 0o7777),
            "Take it away from others: chmod -R go-rwx on the data directory and the key file.",
        );
    } else if let Some(Open { path, owner, .. }) = foreign {
        checks.advice(
            "files",
            format_args!("{} belongs to the account {owner}, not to {us}", path.display()),
            "Run the server and its commands under one account.",
        );
    } else {
        checks.good("files", format_args!("{count}, for their owner only"));
    }
}

/// Every file and folder below `dir`, it included.
fn collect(dir: &Path, depth: usize, seen: &mut Vec<Open>) {
    let Ok(metadata) = fs::symlink_metadata(dir) else { return };
    let (mode, owner) = (metadata.permissions().mode(), metadata.uid());
    seen.push(Open { path: dir.to_owned(), mode, owner });
    if !metadata.is_dir() || depth == 0 {
        return;
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if seen.len() >= MAX_FILES {
            return;
        }
        collect(&entry.path(), depth - 1, seen);
    }
}

fn room(dir: &Path, checks: &mut Checks) {
    const REMEDY: &str = "Give it more room: without room for the log nothing goes through.";
    let Ok(disk) = statvfs(dir) else {
        checks.unable("disk", "its room cannot be read", "Look at it with: df");
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} free", bytes(free));
    if free < NO_ROOM {
        checks.no("disk", found, REMEDY);
    } else if free < LITTLE_ROOM {
        checks.advice("disk", found, REMEDY);
    } else {
        checks.good("disk", found);
    }
}

/// A number of bytes, as people say it.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)];
    let unit = UNITS.into_iter().find(|(_, size)| count >= *size);
    unit.map_or_else(
        || format!("{} KiB", count >> 10),
        |(name, size)| format!("{}.{} {name}", count / size, count % size * 10 / size),
    )
}

/// Whether a server runs, and answers where it is said to.
async fn address(dir: &Path, plan: &Plan, checks: &mut Checks) {
    let listen = plan.listen;
    let serving = matches!(
        Store::open(dir).map(|store| store.lock_for_serving().map(drop)),
        Ok(Err(store::Error::AlreadyServing))
    );
    if plan.network == Network::Leave {
        let state = if serving { "a server runs" } else { "no server runs" };
        checks.skipped("server", format_args!("{state}; its address was not tried"));
        return;
    }
    let answers = timeout(CONNECT_TIMEOUT, TcpStream::connect(listen)).await;
    let answers = matches!(answers, Ok(Ok(_)));
    match (serving, answers) {
        (true, true) => checks.good("server", format_args!("runs, and answers at {listen}")),
        (true, false) => checks.advice(
            "server",
            format_args!("runs, and does not answer at {listen}"),
            "Say where it listens: bulla doctor --listen ADDRESS",
        ),
        (false, true) => checks.no(
            "server",
            format_args!("does not run, and another program answers at {listen}"),
            "End the other program, or have this one listen elsewhere: bulla serve --listen ADDRESS",
        ),
        (false, false) => match TcpListener::bind(listen).await {
            Ok(_) => checks.good("server", format_args!("does not run; {listen} is free for it")),
            Err(error) => checks.no(
                "server",
                format_args!("does not run, and {listen} cannot be had: {error}"),
                "Name an address of this machine: bulla serve --listen ADDRESS",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_said_as_people_say_them() {
        assert_eq!(bytes(52 << 30), "52.0 GiB");
        assert_eq!(bytes((3 << 29) + 1), "1.5 GiB");
        assert_eq!(bytes(2048), "2 KiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
    }
}
