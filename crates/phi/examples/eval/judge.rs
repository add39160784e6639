//! Scans, and what others found.

use crate::corpus::Corpus;
use crate::{cpu, done};
use phi::measure::{Document, Policy, Tally, score};
use phi::{Class, Confidence, Detector, Finding, Layers, Part};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

/// A corpus is read again until this much CPU time is spent, so that the clock's grain is no matter.
const MEASURED_SECONDS: f64 = 0.5;
/// And at most this often.
const MEASURED_PASSES: usize = 20;

/// How fast something read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Speed {
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) built_seconds: f64,
    pub(crate) peak_megabytes: f64,
}

impl Speed {
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "sizes of corpora are far below 2^52")]
        let megabytes = self.bytes as f64 / 1e6;
        if self.seconds > 0.0 { megabytes / self.seconds } else { 0.0 }
    }

    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            seconds: self.seconds + other.seconds,
            built_seconds: self.built_seconds.max(other.built_seconds),
            peak_megabytes: self.peak_megabytes.max(other.peak_megabytes),
        }
    }
}

/// What a detector found, document by document.
pub(crate) struct Found {
    pub(crate) findings: Vec<Vec<Finding>>,
    pub(crate) speed: Speed,
}

/// This project's detector.
pub(crate) struct Judge {
    detector: Detector,
    /// CPU seconds that building it took.
    pub(crate) built: f64,
}

impl Judge {
    /// With some of the layers, or all.
    pub(crate) fn with(layers: Layers) -> Self {
        let begun = cpu::thread_seconds();
        let detector = Detector::with(layers);
        Self { detector, built: cpu::thread_seconds() - begun }
    }

    pub(crate) fn scan(&mut self, corpus: &Corpus, quick: bool) -> Result<Found, Box<dyn Error>> {
        let mut findings = Vec::with_capacity(corpus.documents.len());
        let mut speed = Speed { built_seconds: self.built, ..Speed::default() };
        for (at, document) in corpus.documents.iter().enumerate() {
            findings.push(self.timed(document, &mut speed)?);
            done(at + 1, corpus.documents.len());
        }
        let mut passes = 1;
        while !quick && speed.seconds < MEASURED_SECONDS && passes < MEASURED_PASSES {
            for document in &corpus.documents {
                self.timed(document, &mut speed)?;
            }
            passes += 1;
        }
        Ok(Found { findings, speed })
    }

    fn timed(
        &self,
        document: &Document,
        speed: &mut Speed,
    ) -> Result<Vec<Finding>, Box<dyn Error>> {
        let text = document.text.expose();
        let begun = cpu::thread_seconds();
        let found = self.detector.scan(&[Part { text, label: None }])?;
        speed.seconds += cpu::thread_seconds() - begun;
        speed.bytes += text.len();
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

/// Scores the documents of a corpus that are asked for.
pub(crate) fn tallies(
    corpus: &Corpus,
    found: &Found,
    policy: Policy,
    asked: impl Fn(&Document) -> bool,
) -> Vec<Tally> {
    let all = corpus.documents.iter().zip(&found.findings);
    all.filter(|(document, _)| asked(document))
        .map(|(document, findings)| score(document, findings, policy, &corpus.scope))
        .collect()
}

/// Another detector, by what it wrote down.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) speed: Speed,
    corpora: BTreeMap<String, BTreeMap<usize, Vec<Place>>>,
}

/// Start and end in code points, and the class.
type Place = (usize, usize, Class);

/// Reads `{"name", "seconds", "bytes", "built_seconds", "peak_megabytes"}` in the first line, then
/// `{"corpus", "at", "findings": [[start, end, label], ...]}`, offsets in code points.
pub(crate) fn peer(file: &Path) -> Result<Peer, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let mut rows = text.lines().map(serde_json::from_str::<Value>);
    let head = rows.next().ok_or("no first line")??;
    let number = |key: &str| head.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let mut peer = Peer {
        name: head.get("name").and_then(Value::as_str).ok_or("no name")?.to_owned(),
        speed: Speed {
            bytes: head.get("bytes").and_then(Value::as_u64).unwrap_or(0).try_into()?,
            seconds: number("seconds"),
            built_seconds: number("built_seconds"),
            peak_megabytes: number("peak_megabytes"),
        },
        corpora: BTreeMap::new(),
    };
    for row in rows {
        let row = row?;
        let corpus = row.get("corpus").and_then(Value::as_str).ok_or("no corpus")?;
        let at = row.get("at").and_then(Value::as_u64).ok_or("no number")?;
        let findings = row.get("findings").and_then(Value::as_array).ok_or("no findings")?;
        let findings = findings.iter().map(finding).collect::<Option<_>>().ok_or("no finding")?;
        peer.corpora.entry(corpus.to_owned()).or_default().insert(at.try_into()?, findings);
    }
    Ok(peer)
}

fn finding(value: &Value) -> Option<Place> {
    let offset = |at: usize| usize::try_from(value.get(at)?.as_u64()?).ok();
    Some((offset(0)?, offset(1)?, value.get(2)?.as_str()?.parse().ok()?))
}

impl Peer {
    /// What it found in a corpus, if it saw the whole of it.
    pub(crate) fn on(&self, corpus: &Corpus) -> Option<Found> {
        let rows = self.corpora.get(&corpus.name)?;
        let mut findings = Vec::with_capacity(corpus.documents.len());
        for (at, document) in corpus.documents.iter().enumerate() {
            let text = document.text.expose();
            let places: Vec<usize> =
                text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let found = rows.get(&at)?.iter().filter_map(|(start, end, class)| {
                Some(Finding {
                    start: *places.get(*start)?,
                    end: *places.get(*end)?,
                    class: *class,
                    confidence: Confidence::percent(100),
                    recogniser: "peer",
                    why: "another detector",
                })
            });
            findings.push(found.collect());
        }
        Some(Found { findings, speed: self.speed })
    }
}
