//! The content of an exchange as it is sealed beside the log.
//!
//! Where the organisation keeps content. Where it keeps digests only, they are of the same texts under
//! the same names.
//!
//! Plain JSON, so that a court, an auditor with the key, or a program in ten years reads it.

use crate::prompt::PromptPart;
use crate::shape::write_string;
use phi::surrogate::{SurrogateMap, look_alikes};
use phi::{Finding, Text};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// What was written, what left, and what was found where.
#[derive(Debug)]
pub(crate) struct PromptContent {
    written: Text,
    left: Option<Text>,
    findings: String,
    surrogates: Vec<(String, Text)>,
    justification: Option<Text>,
}

impl PromptContent {
    pub(crate) const fn new(written: Text, justification: Option<Text>) -> Self {
        Self { written, left: None, findings: String::new(), surrogates: Vec::new(), justification }
    }

    /// Why all of a chart is needed, in the caller's words.
    pub(crate) const fn justification(&self) -> Option<&Text> {
        self.justification.as_ref()
    }

    /// Notes the places of findings: the part, the class, the bytes, the confidence, the recogniser.
    pub(crate) fn note_findings(&mut self, parts: &[PromptPart], findings: &[Vec<Finding>]) {
        let places = parts.iter().map(|part| part.place).chain(["justification"]);
        for (number, (place, findings)) in places.zip(findings).enumerate() {
            for finding in findings {
                let comma = if self.findings.is_empty() { "" } else { "," };
                // Fixed words and numbers only; writing to a String cannot fail.
                if write!(
                    self.findings,
                    r#"{comma}{{"part":{number},"place":"{}","start":{},"end":{},"class":"{}","confidence":{},"recogniser":"{}"}}"#,
                    place,
                    finding.start,
                    finding.end,
                    finding.class,
                    finding.confidence.as_percent(),
                    finding.recogniser,
                )
                .is_err()
                {
                    self.findings.clear();
                }
            }
        }
    }

    /// Notes what left instead of what was written, and the surrogates in it.
    pub(crate) fn note_left(&mut self, left: Text, map: &SurrogateMap) {
        let sent = left.expose();
        // Sorted, so that a long conversation's whole map costs no search of the text for each.
        let used: BTreeSet<&str> =
            look_alikes(sent).into_iter().filter_map(|range| sent.get(range)).collect();
        self.surrogates = map
            .entries()
            .filter(|(surrogate, _, _)| used.contains(surrogate))
            .map(|(surrogate, _, value)| (surrogate.to_owned(), value.clone()))
            .collect();
        self.left = Some(left);
    }

    /// Nothing of it leaves after all.
    pub(crate) fn stays(&mut self) {
        (self.left, self.surrogates) = (None, Vec::new());
    }

    /// The texts by their names, for digests of them.
    pub(crate) fn texts(&self) -> Vec<(&'static str, &[u8])> {
        let mut texts = vec![("written", self.written.expose().as_bytes())];
        if let Some(left) = &self.left {
            texts.push(("left", left.expose().as_bytes()));
        }
        if let Some(justification) = &self.justification {
            texts.push(("justification", justification.expose().as_bytes()));
        }
        texts
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.written.len() * 2 + 256));
        out.extend_from_slice(br#"{"written":"#);
        write_string(&mut out, self.written.expose());
        if let Some(left) = &self.left {
            out.extend_from_slice(br#","left":"#);
            write_string(&mut out, left.expose());
        }
        if let Some(justification) = &self.justification {
            out.extend_from_slice(br#","justification":"#);
            write_string(&mut out, justification.expose());
        }
        out.extend_from_slice(br#","findings":["#);
        out.extend_from_slice(self.findings.as_bytes());
        out.extend_from_slice(br#"],"surrogates":{"#);
        for (i, (surrogate, value)) in self.surrogates.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(&mut out, surrogate);
            out.push(b':');
            write_string(&mut out, value.expose());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

/// The texts of a window by their names, for digests of them.
pub(crate) fn window_texts<'t>(
    received: &'t Text,
    delivered: &'t Text,
) -> Vec<(&'static str, &'t [u8])> {
    let mut texts = vec![("received", received.expose().as_bytes())];
    if received.expose() != delivered.expose() {
        texts.push(("delivered", delivered.expose().as_bytes()));
    }
    texts
}

/// One window of an answer: what came, and what was delivered when that differs.
pub(crate) fn window_bytes(received: &Text, delivered: &Text) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(received.len() + delivered.len() + 64));
    out.extend_from_slice(br#"{"received":"#);
    write_string(&mut out, received.expose());
    if received.expose() != delivered.expose() {
        out.extend_from_slice(br#","delivered":"#);
        write_string(&mut out, delivered.expose());
    }
    out.push(b'}');
    out
}
