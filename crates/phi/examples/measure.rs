//! Measures the detector on annotated texts: `measure [--split NAME] [--misses CLASS] [--extra CLASS] FILE.jsonl...`
//!
//! Each line is `{"text", "spans": [{"start", "end", "label"}]}` with offsets in code points.
//! A span counts as *full* when every letter and digit of it is covered, save for titles and
//! credentials, and as *touched* when any is, whatever the class. Precision counts findings that
//! touch a span, on texts whose labels are complete.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write as _;

use phi::{Detector, Part};
use serde_json::Value;

#[derive(Default, Clone)]
struct Score {
    gold: usize,
    full: usize,
    touched: usize,
    same: usize,
    found: usize,
    right: usize,
}

const AROUND: &[&str] = &[
    "dr", "mr", "mrs", "ms", "miss", "prof", "md", "rn", "np", "phd", "dds", "do", "in", "of",
    "at", "the",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut split, mut misses, mut extra, mut files) = (None, None, None, Vec::new());
    while let Some(a) = arguments.next() {
        match a.as_str() {
            "--split" => split = arguments.next(),
            "--misses" => misses = arguments.next(),
            "--extra" => extra = arguments.next(),
            _ => files.push(a),
        }
    }
    let detector = Detector::new();
    let mut out = std::io::stdout().lock();
    for file in &files {
        let mut scores: BTreeMap<String, Score> = BTreeMap::new();
        let mut complete = true;
        for line in fs::read_to_string(file)?.lines() {
            let row: Value = serde_json::from_str(line)?;
            if split.as_deref().is_some_and(|s| at_key(&row, "split").as_str() != Some(s)) {
                continue;
            }
            complete &= at_key(&row, "complete").as_bool() != Some(false);
            measure(&detector, &row, &mut scores, misses.as_deref(), extra.as_deref(), &mut out)?;
        }
        writeln!(out, "## {file}")?;
        writeln!(out, "| class | gold | full | touched | same class | found | precision |")?;
        let mut all = Score::default();
        for (class, s) in &scores {
            all.gold += s.gold;
            all.full += s.full;
            all.touched += s.touched;
            all.same += s.same;
            all.found += s.found;
            all.right += s.right;
            print(&mut out, class, s, complete)?;
        }
        print(&mut out, "ALL", &all, complete)?;
    }
    Ok(())
}

fn print(
    out: &mut impl std::io::Write,
    class: &str,
    s: &Score,
    complete: bool,
) -> std::io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "counts of findings are small")]
    let share = |a: usize, b: usize| {
        if b == 0 { "-".to_owned() } else { format!("{:.3}", a as f64 / b as f64) }
    };
    let precision = if complete { share(s.right, s.found) } else { "n/a".to_owned() };
    writeln!(
        out,
        "| {class} | {} | {} | {} | {} | {} | {precision} |",
        s.gold,
        share(s.full, s.gold),
        share(s.touched, s.gold),
        share(s.same, s.gold),
        s.found
    )
}

fn measure(
    detector: &Detector,
    row: &Value,
    scores: &mut BTreeMap<String, Score>,
    misses: Option<&str>,
    extra: Option<&str>,
    out: &mut impl std::io::Write,
) -> Result<(), Box<dyn Error>> {
    let text = at_key(row, "text").as_str().ok_or("no text")?;
    let mut bytes: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
    bytes.push(text.len());
    let at = |v: &Value| {
        v.as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .and_then(|n| bytes.get(n).copied())
            .unwrap_or(0)
    };
    let found =
        detector.scan(&[Part { text, label: None }])?.into_iter().next().unwrap_or_default();
    let mut covered = vec![false; text.len()];
    for f in &found {
        covered.get_mut(f.start..f.end).unwrap_or_default().fill(true);
    }
    let mut gold = vec![false; text.len()];
    for span in at_key(row, "spans").as_array().into_iter().flatten() {
        let (start, end) = (at(at_key(span, "start")), at(at_key(span, "end")));
        let label = at_key(span, "label").as_str().unwrap_or("?");
        gold.get_mut(start..end).unwrap_or_default().fill(true);
        let (mut full, mut touched) = (true, false);
        let value = text.get(start..end).unwrap_or_default();
        let mut from = start;
        for word in value.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            let hit = covered.get(from..from + bare.len()).unwrap_or_default();
            touched |= hit.iter().any(|c| *c);
            full &= hit.iter().all(|c| *c) || AROUND.contains(&bare.to_ascii_lowercase().as_str());
            from += word.len();
        }
        let same = found.iter().any(|f| f.start < end && f.end > start && f.class.label() == label);
        let s = scores.entry(label.to_owned()).or_default();
        s.gold += 1;
        s.full += usize::from(full && touched);
        s.touched += usize::from(touched);
        s.same += usize::from(same);
        if misses == Some(label) && !(full && touched) {
            writeln!(
                out,
                "MISS{} {}: {}[[{value}]]{}",
                if touched { " part" } else { "" },
                at_key(row, "id"),
                tail(text, start),
                head(text, end)
            )?;
        }
    }
    for f in &found {
        let right = gold.get(f.start..f.end).unwrap_or_default().iter().any(|g| *g);
        let s = scores.entry(f.class.label().to_owned()).or_default();
        s.found += 1;
        s.right += usize::from(right);
        if extra == Some(f.class.label()) && !right {
            let value = text.get(f.start..f.end).unwrap_or_default();
            writeln!(
                out,
                "EXTRA {} {} {}: {}[[{value}]]{}",
                at_key(row, "id"),
                f.recogniser,
                f.confidence.as_percent(),
                tail(text, f.start),
                head(text, f.end)
            )?;
        }
    }
    Ok(())
}

/// The value under a key; `null` when there is none.
fn at_key<'a>(row: &'a Value, key: &str) -> &'a Value {
    row.get(key).unwrap_or(&Value::Null)
}

fn tail(text: &str, end: usize) -> String {
    let all: Vec<char> = text.get(..end).unwrap_or_default().chars().collect();
    all.iter().skip(all.len().saturating_sub(40)).collect::<String>().replace('\n', "\\n")
}

fn head(text: &str, start: usize) -> String {
    text.get(start..).unwrap_or_default().chars().take(30).collect::<String>().replace('\n', "\\n")
}
