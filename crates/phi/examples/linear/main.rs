//! Prints what a text of one, two, four and eight times the size costs: `cargo xtask bench detector`.
//!
//! CPU time, the best of three scans each. It fails when eight times the text costs more than sixteen
//! times as much, which linear work never does and quadratic work always.

mod shapes;

use phi::{Detector, Part};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::io::Write as _;

/// The size of one, in bytes; eight is the megabyte.
const ONE: usize = 128 * 1024;
/// Below this a scan is over before it can be measured.
const NOTHING_MS: f64 = 5.0;
/// Eight times the text may cost this many times as much.
const MOST: f64 = 16.0;

fn main() -> Result<(), Box<dyn Error>> {
    let detector = Detector::new();
    let mut out = std::io::stdout().lock();
    writeln!(out, "| shape | 1x ms | 2x | 4x | 8x | 8x / 1x | MB/s at 8x |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
    let mut slow = Vec::new();
    for (name, make) in shapes::SHAPES {
        let mut row = Vec::new();
        let mut rate = 0.0;
        for times in [1, 2, 4, 8] {
            let text = make(ONE * times);
            let seconds = best(&detector, &text)?;
            rate = megabytes(text.len()) / seconds;
            row.push(seconds * 1e3);
        }
        let (first, last) = (row.first().unwrap_or(&0.0), row.last().unwrap_or(&0.0));
        let ratio = last / first;
        let times: Vec<String> = row.iter().map(|ms| format!("{ms:.1}")).collect();
        writeln!(out, "| {name} | {} | {ratio:.1} | {rate:.1} |", times.join(" | "))?;
        if ratio > MOST && *last > NOTHING_MS {
            slow.push(*name);
        }
    }
    if slow.is_empty() {
        return Ok(());
    }
    Err(format!("more than linear: {}", slow.join(", ")).into())
}

fn best(detector: &Detector, text: &str) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let begun = thread_seconds()?;
        detector.scan(&[Part { text, label: None }])?;
        best = best.min(thread_seconds()? - begun);
    }
    Ok(best.max(1e-6))
}

/// Seconds of CPU time of this thread.
fn thread_seconds() -> Result<f64, Box<dyn Error>> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(std::time::Duration::try_from(time)?.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of texts are far below 2^52")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
