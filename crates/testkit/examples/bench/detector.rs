//! The detector alone: its speed, and the memory of its tables.

use crate::prompt;
use phi::{Detector, Layers, Part};
use std::io;
use testkit::proc;

/// CPU time over which the speed is measured: `/proc` counts in steps of 10 ms.
const MEASURED_US: u64 = 1_000_000;

/// Figures of the detector without the server around it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Bytes of the short note in a second of CPU time.
    pub(crate) short_bytes_per_second: f64,
    /// Bytes of the long prompt in a second of CPU time.
    pub(crate) long_bytes_per_second: f64,
    /// The same by the rules alone, without the trained networks.
    pub(crate) short_by_rules: f64,
    /// The same by the rules alone.
    pub(crate) long_by_rules: f64,
    /// What this process grew by when it built the tables and scanned both prompts.
    pub(crate) table_bytes: u64,
}

/// Builds a detector in this process and scans both prompts with it.
///
/// Call it first: what the process allocated and freed before would hide the tables.
pub(crate) fn measure() -> io::Result<Figures> {
    let (short, long) = (prompt::short(), prompt::long());
    let pid = std::process::id();
    let before = proc::rss_bytes(pid)?;
    let detector = Detector::new();
    let scan_by = |detector: &Detector, text: &str| {
        let found = detector.scan(&[Part { text, label: None }]).map_err(io::Error::other)?;
        if found.iter().all(Vec::is_empty) {
            return Err(io::Error::other("the detector found nothing in a note about a patient"));
        }
        Ok(())
    };
    let scan = |text: &str| scan_by(&detector, text);
    scan(&short)?;
    scan(&long)?;
    let table_bytes = proc::rss_bytes(pid)?.saturating_sub(before);
    let rules = Detector::with(Layers::ALL - Layers::SCOUT - Layers::JUDGE);
    let by_rules = |text: &str| scan_by(&rules, text);
    Ok(Figures {
        short_by_rules: speed(&short, by_rules)?,
        long_by_rules: speed(&long, by_rules)?,
        short_bytes_per_second: speed(&short, scan)?,
        long_bytes_per_second: speed(&long, scan)?,
        table_bytes,
    })
}

#[expect(clippy::cast_precision_loss, reason = "bytes and microseconds lie far below 2^52")]
fn speed(text: &str, scan: impl Fn(&str) -> io::Result<()>) -> io::Result<f64> {
    let pid = std::process::id();
    let begun = proc::cpu_micros(pid)?;
    let mut bytes = 0_u64;
    loop {
        scan(text)?;
        bytes += text.len() as u64;
        let used = proc::cpu_micros(pid)? - begun;
        if used >= MEASURED_US {
            return Ok(bytes as f64 * 1e6 / used as f64);
        }
    }
}
