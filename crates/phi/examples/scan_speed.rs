//! Prints how fast the detector reads: `cargo run --release -p phi --example scan_speed -- FILE`.
//!
//! The file is read in documents of 4 KiB, with the rules alone, with the scout too, and with every
//! layer: each time one warm-up pass, then whole passes for three seconds. A number after the file has
//! every layer read it so many times, and nothing else, which is what a profiler wants to see.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use phi::{Detector, Layers, Part};

#[expect(clippy::disallowed_methods, reason = "an example that measures needs the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: scan_speed FILE")?;
    let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
    let documents = documents(&text);
    if let Some(times) = std::env::args().nth(2) {
        let detector = Detector::new();
        for _ in 0..times.parse()? {
            for document in &documents {
                detector.scan(&[Part { text: document, label: None }])?;
            }
        }
        return Ok(());
    }
    let rules = Layers::ALL - Layers::SCOUT - Layers::JUDGE;
    let always = Layers::ALL - Layers::JUDGE;
    for (name, layers) in [("rules", rules), ("and scout", always), ("and judge", Layers::ALL)] {
        measure(name, layers, &text, &documents)?;
    }
    Ok(())
}

fn measure(
    name: &str,
    layers: Layers,
    text: &str,
    documents: &[&str],
) -> Result<(), Box<dyn Error>> {
    let start = now();
    let detector = Detector::with(layers);
    let built = start.elapsed();
    let mut found = 0;
    for document in documents {
        found += detector
            .scan(&[Part { text: document, label: None }])?
            .iter()
            .map(Vec::len)
            .sum::<usize>();
    }
    let (mut passes, start) = (0_u32, now());
    while start.elapsed() < Duration::from_secs(3) {
        for document in documents {
            detector.scan(&[Part { text: document, label: None }])?;
        }
        passes += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52")]
    let megabytes = text.len() as f64 * f64::from(passes) / 1e6;
    let rate = megabytes / start.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{name}: {rate:.1} MB/s over {} documents, {found} findings in {} bytes; built in {built:?}",
        documents.len(),
        text.len()
    )?;
    Ok(())
}

fn documents(text: &str) -> Vec<&str> {
    const BYTES: usize = 4096;
    let mut rest = text;
    let mut out = Vec::new();
    while rest.len() > BYTES {
        let at = (BYTES..rest.len()).find(|i| rest.is_char_boundary(*i)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(at);
        out.push(head);
        rest = tail;
    }
    out.push(rest);
    out
}
