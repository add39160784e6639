//! Writes what the tagger sees of annotated texts, for training: `export_features OUT FILE.jsonl...`
//!
//! Each line of a file is `{"text", "spans": [{"start", "end", "label"}], "complete"?}` with offsets
//! in code points. The label `IGNORE` marks text on which nothing is learnt. Where `complete` is
//! false, ages and dates that the detector is sure of count as spans, and what else it finds beyond
//! the spans is ignored. Where `classes` lists the labels that the annotators knew, what the
//! detector finds of other classes is ignored.
//!
//! `OUT.tags` holds a byte for the tag of each token (255 is "ignore"), `OUT.counts` a byte for the
//! number of its rows, `OUT.rows` the rows as 16-bit numbers, low byte first. `OUT.documents` holds
//! for each document its number of tokens and the number of its file, as 32-bit numbers.

use std::error::Error;
use std::fs;
use std::io::{BufWriter, Write};

use phi::{Class, Detector, Finding, Part, Tag};
use serde_json::Value;

/// The tag of tokens on which nothing is learnt.
const IGNORE: u8 = 255;
/// From here on the detector's ages and dates are taken for annotations.
const SURE_PERCENT: u8 = 80;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, files @ ..] = arguments.as_slice() else {
        return Err("usage: export_features OUT FILE.jsonl...".into());
    };
    let detector = Detector::new();
    let create = |kind| fs::File::create(format!("{out}.{kind}")).map(BufWriter::new);
    let (mut tags, mut counts) = (create("tags")?, create("counts")?);
    let (mut rows, mut documents) = (create("rows")?, create("documents")?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (number, file) in files.iter().enumerate() {
        let number = u32::try_from(number)?;
        let text = fs::read_to_string(file)?;
        let lines: Vec<&str> = text.lines().collect();
        let share = lines.len().div_ceil(threads).max(1);
        let parts: Vec<Result<Export, String>> = std::thread::scope(|scope| {
            let handles: Vec<_> = lines
                .chunks(share)
                .map(|chunk| {
                    let detector = &detector;
                    scope.spawn(move || export(detector, chunk).map_err(|e| e.to_string()))
                })
                .collect();
            handles
                .into_iter()
                .map(|h| h.join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
                .collect()
        });
        for part in parts {
            let part = part?;
            tags.write_all(&part.tags)?;
            counts.write_all(&part.counts)?;
            rows.write_all(&part.rows)?;
            for count in part.documents {
                documents.write_all(&count.to_le_bytes())?;
                documents.write_all(&number.to_le_bytes())?;
            }
        }
    }
    for mut file in [tags, counts, rows, documents] {
        file.flush()?;
    }
    Ok(())
}

/// What is written of some documents.
#[derive(Default)]
struct Export {
    tags: Vec<u8>,
    counts: Vec<u8>,
    rows: Vec<u8>,
    documents: Vec<u32>,
}

fn export(detector: &Detector, lines: &[&str]) -> Result<Export, Box<dyn Error>> {
    let mut out = Export::default();
    for line in lines {
        let row: Value = serde_json::from_str(line)?;
        let text = row.get("text").and_then(Value::as_str).ok_or("no text")?;
        let mut bytes: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        bytes.push(text.len());
        let mut tags = vec![0_u8; text.len()];
        let partial = row.get("complete").and_then(Value::as_bool) == Some(false);
        let classes = row.get("classes").and_then(Value::as_array);
        if partial || classes.is_some() {
            let known = |f: &Finding| {
                classes.is_some_and(|c| c.iter().any(|l| l.as_str() == Some(f.class.label())))
            };
            let found = detector.scan(&[Part { text, label: None }])?;
            for f in found.iter().flatten().filter(|f| !known(f)) {
                let sure = f.confidence.as_percent() >= SURE_PERCENT && partial;
                let silver = sure && matches!(f.class, Class::Age | Class::Date);
                let tag = if silver { Tag::of(f.class) as u8 } else { IGNORE };
                tags.get_mut(f.start..f.end).unwrap_or_default().fill(tag);
            }
        }
        for span in row.get("spans").and_then(Value::as_array).into_iter().flatten() {
            let at = |key| {
                span.get(key)
                    .and_then(Value::as_u64)
                    .and_then(|n| bytes.get(usize::try_from(n).ok()?).copied())
                    .ok_or("an offset outside the text")
            };
            let label = span.get("label").and_then(Value::as_str).ok_or("no label")?;
            let tag = label.parse::<Class>().map_or(IGNORE, |class| Tag::of(class) as u8);
            tags.get_mut(at("start")?..at("end")?).unwrap_or_default().fill(tag);
        }
        let seen = detector.seen(text);
        out.documents.push(u32::try_from(seen.len())?);
        for token in seen {
            let inside = tags.get(token.start..token.end).unwrap_or_default();
            let tag = inside.iter().copied().find(|t| *t != 0).unwrap_or(0);
            out.tags.push(tag);
            out.counts.push(u8::try_from(token.rows.len())?);
            for row in token.rows {
                out.rows.extend(row.to_le_bytes());
            }
        }
    }
    Ok(out)
}
