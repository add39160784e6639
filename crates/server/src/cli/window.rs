//! Scans a long text in windows, with bounded memory.
//!
//! A scan reads a limited number of bytes. A longer text is cut at line breaks, and each piece begins
//! some lines before the last one ended, so that what stands at a seam is seen whole by one of them.
//! In those lines all findings of both count. The first line of a text goes before every piece: it may
//! name the columns of a table.
//!
//! What is found once is looked for everywhere only within one piece.

use super::input::Unreadable;
use phi::{Detector, Finding, Part, Roster};
use std::io::Read;

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Bytes of one piece, without the first line that goes before it.
    piece_bytes: usize,
    /// Bytes that two pieces share: more than any identifier and what announces it.
    shared_bytes: usize,
}

/// A longer first line is not repeated.
const MAX_LEAD_BYTES: usize = 4096;

impl Cut {
    /// As large as one scan reads: most files are one piece.
    pub(super) const WHOLE: Self =
        Self { piece_bytes: phi::detect::MAX_SCAN_BYTES - MAX_LEAD_BYTES, shared_bytes: 64 * 1024 };
}

/// A part of the text that is done, with its findings.
#[derive(Debug)]
pub(super) struct Window {
    /// Where it begins in the whole text, in bytes.
    pub(super) start: usize,
    pub(super) text: String,
    /// With their places in the whole text; none lies across a window's end.
    pub(super) findings: Vec<Finding>,
}

/// The windows of one text, in order; together they are the whole text.
pub(super) struct Windows<R> {
    reader: R,
    cut: Cut,
    buffer: Vec<u8>,
    /// Where the buffer begins in the whole text.
    base: usize,
    /// Up to here, in the whole text, everything was handed out.
    done: usize,
    /// Findings beyond that, from the piece before.
    pending: Vec<Finding>,
    lead: String,
    ended: bool,
}

impl<R: Read> Windows<R> {
    pub(super) fn new(reader: R, cut: Cut) -> Self {
        Self {
            reader,
            cut,
            buffer: Vec::new(),
            base: 0,
            done: 0,
            pending: Vec::new(),
            lead: String::new(),
            ended: false,
        }
    }

    /// The next window; `None` at the end of the text.
    pub(super) fn next(
        &mut self,
        detector: &Detector,
        roster: &Roster,
    ) -> Result<Option<Window>, Unreadable> {
        self.fill()?;
        if self.ended && self.done == self.base + self.buffer.len() {
            return Ok(None);
        }
        let end = if self.ended { self.buffer.len() } else { last_break(&self.buffer) };
        let piece = self.buffer.get(..end).unwrap_or_default();
        // No text has this byte; half the bytes of UTF-16 are it.
        if piece.contains(&0) {
            return Err(Unreadable::Binary);
        }
        let text = std::str::from_utf8(piece).map_err(|_| Unreadable::NotUtf8)?;
        if self.base == 0 {
            let line = text.split_inclusive('\n').next().unwrap_or_default();
            line.clone_into(&mut self.lead);
            if self.lead.len() > MAX_LEAD_BYTES || !self.lead.ends_with('\n') {
                self.lead.clear();
            }
        }
        let found = self.scan(text, detector, roster)?;
        let found = united(found, std::mem::take(&mut self.pending), self.done);
        let seam = if self.ended { self.base + end } else { self.seam(text, &found) };
        let handed = text.get(self.done - self.base..seam - self.base).unwrap_or_default();
        let window = Window {
            start: self.done,
            text: handed.to_owned(),
            findings: found.iter().filter(|it| it.end <= seam).cloned().collect(),
        };
        self.pending = found.into_iter().filter(|it| it.end > seam).collect();
        // The next piece begins at a line before the seam.
        let from = end.saturating_sub(self.cut.shared_bytes).min(seam - self.base);
        let from = if self.ended { end } else { line_start(text, from) };
        self.buffer.drain(..from);
        self.base += from;
        self.done = seam;
        Ok(Some(window))
    }

    fn fill(&mut self) -> Result<(), Unreadable> {
        while !self.ended && self.buffer.len() < self.cut.piece_bytes {
            let room = (self.cut.piece_bytes - self.buffer.len()) as u64;
            let read = self.reader.by_ref().take(room).read_to_end(&mut self.buffer)?;
            self.ended = (read as u64) < room;
        }
        Ok(())
    }

    /// Scans a piece behind the first line of the text, and returns findings of the piece alone.
    fn scan(
        &self,
        text: &str,
        detector: &Detector,
        roster: &Roster,
    ) -> Result<Vec<Finding>, Unreadable> {
        let behind = self.base > 0 && !self.lead.is_empty();
        let joined = if behind { format!("{}{text}", self.lead) } else { String::new() };
        let (scanned, lead) = if behind { (joined.as_str(), self.lead.len()) } else { (text, 0) };
        let mut lists = detector.scan_with(&[Part { text: scanned, label: None }], roster)?;
        let mut found = lists.pop().unwrap_or_default();
        found.retain(|it| it.end > lead);
        for finding in &mut found {
            finding.start = finding.start.max(lead) - lead + self.base;
            finding.end = finding.end - lead + self.base;
        }
        Ok(found)
    }

    /// Where this window ends: at a line in the middle of what the next piece shares, and inside no
    /// finding.
    fn seam(&self, text: &str, found: &[Finding]) -> usize {
        let middle = text.len().saturating_sub(self.cut.shared_bytes / 2);
        let mut seam = (self.base + line_start(text, middle)).max(self.done);
        while let Some(across) = found.iter().find(|it| it.start < seam && seam < it.end) {
            seam = across.start;
        }
        if seam <= self.done { self.base + text.len() } else { seam }
    }
}

/// The findings of two scans beyond `done`: what either found is found.
fn united(first: Vec<Finding>, second: Vec<Finding>, done: usize) -> Vec<Finding> {
    let mut all: Vec<Finding> =
        first.into_iter().chain(second).filter(|it| it.end > done).collect();
    all.sort_by_key(|it| (it.start, std::cmp::Reverse(it.end)));
    let mut apart: Vec<Finding> = Vec::with_capacity(all.len());
    for mut next in all {
        next.start = next.start.max(apart.last().map_or(done, |it| it.end));
        if next.start < next.end {
            apart.push(next);
        }
    }
    apart
}

/// The end of the last line in the second half; else of the last word, else of the last character.
fn last_break(bytes: &[u8]) -> usize {
    let half = bytes.len() / 2;
    let second = bytes.get(half..).unwrap_or_default();
    let find = |mark: u8| second.iter().rposition(|byte| *byte == mark).map(|at| half + at + 1);
    let character = || {
        // Continuation bytes of UTF-8 are 10xxxxxx.
        bytes.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(bytes.len())
    };
    find(b'\n').or_else(|| find(b' ')).unwrap_or_else(character).max(1)
}

/// The beginning of the line that holds `at`, else the character's.
fn line_start(text: &str, at: usize) -> usize {
    /// A longer line is cut.
    const REACH_BYTES: usize = 16 * 1024;
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = text.as_bytes().get(at.saturating_sub(REACH_BYTES)..at).unwrap_or_default();
    let back = before.iter().rev().position(|byte| *byte == b'\n');
    back.map_or(at, |back| at - back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    const SMALL: Cut = Cut { piece_bytes: 2048, shared_bytes: 512 };

    fn all(bytes: &[u8], cut: Cut) -> Result<(String, Vec<Finding>), Unreadable> {
        let detector = Detector::new();
        let mut windows = Windows::new(bytes, cut);
        let (mut text, mut findings) = (String::new(), Vec::new());
        while let Some(window) = windows.next(&detector, &Roster::default())? {
            assert_eq!(window.start, text.len());
            text.push_str(&window.text);
            assert!(
                window.findings.iter().all(|it| it.start >= window.start && it.end <= text.len())
            );
            findings.extend(window.findings);
            assert!(windows.buffer.len() <= cut.piece_bytes + MAX_LEAD_BYTES);
        }
        assert!(findings.is_sorted_by(|a, b| a.end <= b.start));
        Ok((text, findings))
    }

    #[test]
    fn what_stands_at_a_seam_is_found_wherever_the_seam_falls() {
        let note = "The course was unremarkable and the wound is clean and dry today, é.\n";
        for shift in 0..64 {
            let mut text = "x".repeat(shift);
            text.push('\n');
            let mut planted = Vec::new();
            while text.len() < 9000 {
                text.push_str(note);
                text.push_str("SSN ");
                planted.push(text.len());
                text.push_str(
                    "219-09-9999, blood pressure normal, mail to m.quintero@mailbox.example now\n",
                );
            }
            let (back, findings) = all(text.as_bytes(), SMALL).unwrap();
            assert_eq!(back, text);
            for at in planted {
                let found = findings.iter().any(|it| it.start <= at && it.end >= at + 11);
                assert!(found, "shift {shift}, at {at}");
            }
        }
    }

    #[test]
    fn the_first_line_names_the_columns_of_every_piece() {
        let mut text = String::from("visit,mrn,note\n");
        for i in 0..400 {
            writeln!(text, "{i},{},well", 48_291_300 + i).unwrap();
        }
        let (_, whole) = all(text.as_bytes(), Cut::WHOLE).unwrap();
        let (_, pieces) = all(text.as_bytes(), SMALL).unwrap();
        let numbers = |found: &[Finding]| found.iter().filter(|it| it.end - it.start >= 8).count();
        assert_eq!((numbers(&whole), numbers(&pieces)), (400, 400));
    }

    #[test]
    fn what_is_no_text_is_an_error_in_any_window() {
        let text = "all is well today\n".repeat(500);
        for (bad, is_binary) in [(&b"\xff"[..], false), (&b"\x00"[..], true), (&b"\xc3"[..], false)]
        {
            let mut bytes = text.clone().into_bytes();
            bytes.extend_from_slice(bad);
            for cut in [SMALL, Cut::WHOLE] {
                let error = all(&bytes, cut).unwrap_err();
                assert_eq!(matches!(error, Unreadable::Binary), is_binary, "{error}");
            }
        }
    }

    #[test]
    fn lines_longer_than_a_piece_are_cut_between_words_and_characters() {
        for text in ["é".repeat(9000), "well é ".repeat(2000), "a\n".repeat(5000), String::new()]
        {
            assert_eq!(all(text.as_bytes(), SMALL).unwrap().0, text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_windows_together_are_the_text(
            lines in prop::collection::vec("[A-Za-zé 0-9@.,:/-]{0,120}", 0..120),
            piece_bytes in 700_usize..3000,
        ) {
            let text = lines.join("\n");
            let cut = Cut { piece_bytes, shared_bytes: 200 };
            prop_assert_eq!(all(text.as_bytes(), cut).unwrap().0, text);
        }
    }
}
