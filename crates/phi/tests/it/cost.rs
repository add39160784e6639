//! The cost of a scan grows as its text does.

#[path = "../../examples/linear/shapes.rs"]
mod shapes;

use phi::{Detector, Part};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The smaller text, in bytes; the larger one is eight times as long.
const ONE: usize = 48 * 1024;
/// Quadratic work costs 64 times as much for eight times the text. CPU time on a busy machine varies
/// by less than what is left here.
const MOST: u32 = 24;

#[test]
fn eight_times_the_text_costs_about_eight_times_as_much() {
    let detector = Detector::new();
    let best = |text: &str| {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let begun = thread_time();
            detector.scan(&[Part { text, label: None }]).unwrap();
            best = best.min(thread_time().saturating_sub(begun));
        }
        best
    };
    for (name, make) in shapes::SHAPES {
        let small = best(&make(ONE)).max(Duration::from_micros(200));
        let large = best(&make(ONE * 8));
        assert!(large < small * MOST, "{name}: {small:?} and {large:?}");
    }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
