//! What one durable append costs on a disk.

use crate::load::Percentiles;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes in one append: about one record of the log.
const APPEND_BYTES: usize = 1024;

/// Times `rounds` appends of 1 KiB, each followed by `fdatasync`, to a scratch file in `dir`.
///
/// The file is removed afterwards. This is the physical floor under every durable record.
///
/// # Errors
/// When the file cannot be made, written, synced or removed.
pub fn fdatasync(dir: &Path, rounds: usize) -> io::Result<Percentiles> {
    let path = dir.join(format!("fdatasync-probe-{}", std::process::id()));
    let samples = probe(&path, rounds);
    let removed = fs::remove_file(&path);
    let samples = samples?;
    removed?;
    Ok(Percentiles::of(samples))
}

/// As [`fdatasync`], as (median, 99th percentile) in microseconds.
///
/// # Errors
/// As [`fdatasync`].
pub fn fdatasync_micros(dir: &Path, rounds: usize) -> io::Result<(u64, u64)> {
    let micros = |it: Duration| u64::try_from(it.as_micros()).unwrap_or(u64::MAX);
    fdatasync(dir, rounds).map(|it| (micros(it.p50), micros(it.p99)))
}

fn probe(path: &Path, rounds: usize) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
    let block = [0x5a; APPEND_BYTES];
    let mut samples = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        samples.push(begun.elapsed());
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_takes_time_and_leaves_nothing_behind() {
        let dir = std::env::temp_dir();
        let (median, tail) = fdatasync_micros(&dir, 3).unwrap();
        assert!(median <= tail);
        assert!(!dir.join(format!("fdatasync-probe-{}", std::process::id())).exists());
    }
}
