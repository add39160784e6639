//! The sets of documents that are measured.

use phi::measure::{Document, Scope, read_jsonl_line, read_marked};
use serde_json::json;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// A quick run reads no more documents of one corpus.
const QUICK_DOCUMENTS: usize = 200;

/// A named set of documents.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) scope: Scope,
}

impl Corpus {
    fn new(name: String, documents: Vec<Document>) -> Self {
        let scope = Scope::of(&documents);
        Self { name, documents, scope }
    }

    pub(crate) fn about(&self) -> String {
        let spans: usize = self.documents.iter().map(|document| document.spans.len()).sum();
        let bytes: usize = self.documents.iter().map(|document| document.text.len()).sum();
        format!("{} documents, {} KB, {spans} labels", self.documents.len(), bytes.div_ceil(1000))
    }

    pub(crate) fn styles(&self) -> Vec<&str> {
        let styles: BTreeSet<&str> =
            self.documents.iter().filter_map(|document| document.style.as_deref()).collect();
        styles.into_iter().collect()
    }
}

/// The project's own documents: one file for each style.
pub(crate) fn fixtures(folder: &Path) -> Result<Corpus, Box<dyn Error>> {
    let mut documents = Vec::new();
    for path in listed(folder, "txt")? {
        let style = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = read_marked(&style, &fs::read_to_string(&path)?);
        documents.extend(read.map_err(|fault| format!("{}: {fault}", path.display()))?);
    }
    Ok(Corpus::new("fixtures".to_owned(), documents))
}

/// The public corpora, where they are: those for regression first. One with halves is two.
pub(crate) fn files(folder: &Path, quick: bool) -> Result<Vec<Corpus>, Box<dyn Error>> {
    let mut corpora = Vec::new();
    for part in ["regression", "train"] {
        for path in listed(&folder.join(part), "jsonl")? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            let documents: Vec<Document> = text
                .lines()
                .enumerate()
                .map(|(at, line)| read_jsonl_line(line, at + 1))
                .collect::<Result<_, _>>()
                .map_err(|fault| format!("{}: {fault}", path.display()))?;
            let halves: BTreeSet<Option<String>> =
                documents.iter().map(|document| document.split.clone()).collect();
            let named = halves.iter().all(|half| {
                half.as_deref().is_some_and(|half| matches!(half, "test" | "dev" | "train"))
            });
            let groups: Vec<Option<String>> =
                if named { halves.into_iter().rev().collect() } else { vec![None] };
            for half in groups {
                let of_half: Vec<Document> = documents
                    .iter()
                    .filter(|document| half.is_none() || document.split == half)
                    .take(if quick { QUICK_DOCUMENTS } else { usize::MAX })
                    .cloned()
                    .collect();
                let name = match half {
                    Some(half) => format!("{part}/{stem}/{half}"),
                    None => format!("{part}/{stem}"),
                };
                corpora.push(Corpus::new(name, of_half));
            }
        }
    }
    Ok(corpora)
}

/// Writes the texts alone, for other detectors.
pub(crate) fn export(corpora: &[Corpus], file: &Path) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(fs::File::create(file)?);
    for corpus in corpora {
        for (at, document) in corpus.documents.iter().enumerate() {
            let row = json!({ "corpus": corpus.name, "at": at, "text": document.text.expose() });
            writeln!(out, "{row}")?;
        }
    }
    out.flush()
}

fn listed(folder: &Path, ending: &str) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
