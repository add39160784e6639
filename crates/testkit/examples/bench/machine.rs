//! The machine that the figures come from, and who else used it.

use crate::FLOOR_APPENDS;
use crate::options::Options;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use testkit::disk;

/// What a reader must know to compare.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) disk: String,
    pub(crate) load: String,
    pub(crate) commit: String,
    pub(crate) profile: String,
}

impl Machine {
    /// Reads the facts about this machine and the disk under `dir`.
    pub(crate) fn read(options: &Options, dir: &Path) -> io::Result<Self> {
        let cpu = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let memory = line_of("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        let cores = std::thread::available_parallelism()?.get();
        let profile =
            options.bin_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            cpu,
            cores: if options.pin { all_cores().unwrap_or(cores) } else { cores },
            memory,
            kernel,
            disk: disk(dir).unwrap_or_else(|| "unknown".to_owned()),
            load,
            commit: commit(),
            profile,
        })
    }
}

/// The value of the first `key : value` line.
fn line_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Cores of the machine, not only those that this process is pinned to.
fn all_cores() -> Option<usize> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().filter(|line| line.starts_with("processor")).count())
}

/// The file system that holds `dir` (proc(5), mountinfo): type and device.
fn disk(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = text.lines().filter_map(|line| {
        let (place, rest) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        let mut rest = rest.split(' ');
        let (kind, device) = (rest.next()?, rest.next()?);
        dir.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    });
    // Of two mounts at one place the later one is seen.
    mounts.max_by_key(|(length, _)| *length).map(|(_, disk)| disk)
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.lock"]);
    match changed.as_deref() {
        Some("") => commit,
        _ => format!("{commit} with changes"),
    }
}

/// Bytes of all files under a folder.
pub(crate) fn bytes_under(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { bytes_under(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

/// CPU time of one append of 1 KiB with its `fdatasync`, in microseconds: what the kernel takes for
/// each durable record before any program has done anything. None where the kernel does not say.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one run lie far below 2^52")]
pub(crate) fn cpu_of_fdatasync(dir: &Path) -> io::Result<Option<f64>> {
    let Some(before) = thread_cpu_nanos() else { return Ok(None) };
    disk::fdatasync(dir, FLOOR_APPENDS)?;
    let used = thread_cpu_nanos().and_then(|after| after.checked_sub(before));
    Ok(used.map(|nanos| nanos as f64 / 1000.0 / FLOOR_APPENDS as f64))
}

/// CPU time of this thread: the first figure of `schedstat`, in nanoseconds, where the steps of
/// 10 ms elsewhere would be too coarse.
fn thread_cpu_nanos() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// CPU time of the whole machine, in ticks of 10 ms (proc(5), `/proc/stat`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    busy: u64,
    all: u64,
}

impl Usage {
    /// Since the machine started.
    pub(crate) fn now() -> io::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).map_while(|it| it.parse().ok()).collect();
        let &[user, nice, system, idle, iowait, irq, softirq, steal] = ticks.as_slice() else {
            return Err(io::Error::other("/proc/stat without its first line"));
        };
        let busy = user + nice + system + irq + softirq + steal;
        Ok(Self { busy, all: busy + idle + iowait })
    }

    /// The share of the machine that others used since then, from 0 to 1, when the bench and what it
    /// measured used `own_us` microseconds.
    #[expect(clippy::cast_precision_loss, reason = "ticks lie far below 2^52")]
    pub(crate) fn others_share(self, own_us: u64) -> io::Result<f64> {
        let now = Self::now()?;
        let others = (now.busy - self.busy).saturating_sub(own_us / 10_000);
        Ok(others as f64 / (now.all - self.all).max(1) as f64)
    }
}
