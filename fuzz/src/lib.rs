//! The fuzz targets by name.

mod ledger_targets;
mod targets;

/// Runs the target of this name.
///
/// # Panics
/// When the target finds something, or there is none of that name.
pub fn run(name: &str, bytes: &[u8]) {
    let mut targets = targets::TARGETS.iter().chain(ledger_targets::TARGETS);
    let target = targets.find(|(target, _)| *target == name);
    let (_, target) = target.expect("a binary is named as its target");
    target(bytes);
}
