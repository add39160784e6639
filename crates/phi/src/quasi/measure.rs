//! Measures that few people reach.

use super::{QuasiFinding, QuasiKind};

/// What is looked at: the words before the number, the words after it, and the least that is rare.
///
/// The bounds are the project's own: far beyond what a clinic sees every month.
const MEASURES: [(&[&str], &[&str], f64); 5] = [
    (&["bmi", "body mass index"], &[], 60.0),
    (&[], &["year old", "years old", "yo", "y/o", "years of age"], 100.0),
    (&["weight", "weighs", "wt", "weighing", "weighed"], &["lb", "lbs", "pounds"], 500.0),
    (&["weight", "weighs", "wt", "weighing", "weighed"], &["kg", "kilograms"], 227.0),
    (&["height", "ht", "tall"], &["cm"], 213.0),
];

/// Words may stand this far from a number: `BMI today is`.
const REACH_BYTES: usize = 24;

pub(super) fn find(text: &str, out: &mut Vec<QuasiFinding>) {
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit())) {
        let start = at + next;
        let Some(run) = text.get(start..) else { return };
        let len = run.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(run.len());
        let number = run.get(..len).unwrap_or_default().trim_end_matches('.');
        at = start + len;
        let (Some(before), Some(after)) = (text.get(..start), text.get(start + number.len()..))
        else {
            return;
        };
        let joined = before.ends_with(|c: char| c.is_alphanumeric() || "/.-".contains(c));
        let Ok(value) = number.parse::<f64>() else { continue };
        if !joined && MEASURES.iter().any(|measure| reaches(measure, before, value, after)) {
            let end = start + number.len();
            out.push(QuasiFinding { start, end, kind: QuasiKind::Extreme });
        }
    }
}

fn reaches(
    (cues, units, least): &(&[&str], &[&str], f64),
    before: &str,
    value: f64,
    after: &str,
) -> bool {
    // Larger numbers are something else.
    if value < *least || value > least * 4.0 {
        return false;
    }
    let from = before.len().saturating_sub(REACH_BYTES);
    let from = (from..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(0);
    let near = before.get(from..).unwrap_or_default().to_lowercase();
    let near = near.rsplit(['.', ',', ';', '\n']).next().unwrap_or_default();
    let near: Vec<&str> = near.split(|c: char| !c.is_alphanumeric()).collect();
    let near = format!(" {} ", near.join(" "));
    let announced = cues.is_empty() || cues.iter().any(|cue| near.contains(&format!(" {cue} ")));
    let to = (0..=REACH_BYTES.min(after.len())).rev().find(|at| after.is_char_boundary(*at));
    let after = after.get(..to.unwrap_or(0)).unwrap_or_default();
    let after = after.trim_start_matches([' ', '-']).to_lowercase().replace('-', " ");
    let measured = units.is_empty()
        || units.iter().any(|unit| {
            after.strip_prefix(unit).is_some_and(|it| !it.starts_with(char::is_alphanumeric))
        });
    announced && measured
}
