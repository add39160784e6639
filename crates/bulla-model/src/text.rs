//! From word pieces to text: code points stay whole, and a stop sequence ends
//! the answer before any part of it is shown.

/// Joins the bytes of word pieces into text without ever splitting a code point.
///
/// A model's pieces are byte sequences, and one emoji is often spread over
/// several of them.
#[derive(Debug, Default)]
pub(crate) struct CodePoints {
    pending: Vec<u8>,
}

impl CodePoints {
    /// Takes the next piece and returns the text that is complete.
    ///
    /// Bytes that can never become UTF-8 appear as U+FFFD.
    pub(crate) fn push(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(piece);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let rest = chunk.invalid();
            let unfinished = chunks.peek().is_none()
                && std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
            if unfinished {
                self.pending = rest.to_vec();
            } else if !rest.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }

    /// Ends the text: an unfinished code point appears as U+FFFD.
    pub(crate) fn finish(self) -> &'static str {
        if self.pending.is_empty() { "" } else { "\u{fffd}" }
    }
}

/// What [`Stops::push`] lets through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Text that can no longer be part of a stop sequence.
    pub(crate) text: String,
    /// Whether a stop sequence was complete, which ends the answer.
    pub(crate) stopped: bool,
}

/// Finds stop sequences in text that arrives in pieces.
///
/// Holds back only the longest suffix that could still become a stop sequence.
#[derive(Debug)]
pub(crate) struct Stops {
    sequences: Vec<String>,
    held: String,
}

impl Stops {
    /// Watches for these sequences; empty ones are ignored.
    pub(crate) fn new(sequences: Vec<String>) -> Self {
        let sequences = sequences.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { sequences, held: String::new() }
    }

    /// Takes the next text and returns what may be shown.
    pub(crate) fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        if let Some(at) = self.sequences.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            return Passed { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep_from = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|&at| {
                let (_, suffix) = self.held.split_at(at);
                self.sequences.iter().any(|stop| stop.starts_with(suffix))
            })
            .unwrap_or(self.held.len());
        let kept = self.held.split_off(keep_from);
        Passed { text: std::mem::replace(&mut self.held, kept), stopped: false }
    }

    /// Ends the text: what was held back did not become a stop sequence.
    pub(crate) fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "Blutdruck 120/80, Grüße 👩‍⚕️ – 完了";

    #[test]
    fn a_code_point_is_never_split_whatever_the_piece_size() {
        for size in 1..=SAMPLE.len() {
            let mut points = CodePoints::default();
            let text: String = SAMPLE.as_bytes().chunks(size).map(|c| points.push(c)).collect();
            assert_eq!(text + points.finish(), SAMPLE, "pieces of {size} bytes");
        }
    }

    #[test]
    fn bytes_that_are_not_text_become_replacement_characters() {
        let mut points = CodePoints::default();
        assert_eq!(points.push(b"a\xff"), "a\u{fffd}");
        assert_eq!(points.push(b"b\xe2\x82"), "b");
        assert_eq!(points.finish(), "\u{fffd}");
    }

    /// Feeds `answer` in pieces of every size and compares what was shown.
    fn check(stops: &[&str], answer: &str, shown: &str, stopped: bool) {
        for size in 1..=answer.len() {
            let mut watch = Stops::new(stops.iter().map(|&s| s.to_owned()).collect());
            let mut points = CodePoints::default();
            let (mut text, mut ended) = (String::new(), false);
            for piece in answer.as_bytes().chunks(size) {
                let passed = watch.push(&points.push(piece));
                text.push_str(&passed.text);
                ended = passed.stopped;
                if ended {
                    break;
                }
            }
            if !ended {
                text.push_str(&watch.finish());
            }
            assert_eq!((text.as_str(), ended), (shown, stopped), "pieces of {size} bytes");
        }
    }

    #[test]
    fn a_stop_sequence_ends_the_answer_and_is_not_shown() {
        check(&["END"], "one two END three", "one two ", true);
        check(&["\n\n", "ü!"], "Grü!\n\n", "Gr", true);
    }

    #[test]
    fn text_that_only_begins_like_a_stop_sequence_is_shown() {
        check(&["ENDING"], "the END", "the END", false);
        check(&["aab"], "aaaaac", "aaaaac", false);
        check(&[], "plain", "plain", false);
        check(&[""], "plain", "plain", false);
    }

    #[test]
    fn a_sequence_that_follows_its_own_beginning_is_found() {
        check(&["aab"], "xaaab", "xa", true);
    }
}
