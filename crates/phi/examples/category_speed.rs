//! Prints how fast the special categories are looked for:
//! `cargo run --release -p phi --example category_speed -- FILE`.
//!
//! The file is read as one text; one warm-up pass, then whole passes for three seconds.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use phi::category::Settings;
use phi::{Categories, Part};

#[expect(clippy::disallowed_methods, reason = "an example that measures needs the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: category_speed FILE")?;
    let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
    let start = now();
    let categories = Categories::new(&Settings::default())?;
    let built = start.elapsed();
    let parts = [Part { text: &text, label: None }];
    let mentions: usize = categories.weigh(&parts).iter().map(|f| f.mentions).sum();
    let (mut passes, start) = (0_u32, now());
    while start.elapsed() < Duration::from_secs(3) {
        std::hint::black_box(categories.weigh(&parts));
        passes += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52")]
    let megabytes = text.len() as f64 * f64::from(passes) / 1e6;
    let rate = megabytes / start.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{rate:.1} MB/s, {mentions} mentions in {} bytes; built in {built:?}",
        text.len()
    )?;
    Ok(())
}
