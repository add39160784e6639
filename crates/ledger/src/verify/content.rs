//! Sealed content of a bundle against the records that commit to it.

use super::{MAX_EXCHANGES_WITH_CONTENT, Problem, ProblemKind};
use crate::bundle::{ListedBlobs, MAX_BLOB_HEAD_BYTES, read_blob_head};
use crate::glance::Answer;
use crate::{BlobPart, ExchangeId, Hash};
use aws_lc_rs::digest;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// What the bundle holds of one exchange.
#[derive(Debug)]
struct Held {
    exchange: ExchangeId,
    prompt: Option<Hash>,
    prompt_named: bool,
    answer: Option<Answer>,
    answer_named: bool,
}

/// How sealed content compares with what a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is the content that the record names.
    Fits,
    /// It is not, in words.
    Differs(&'static str),
    /// The bundle does not hold it.
    Absent,
}

struct Windows {
    count: u64,
    digests: digest::Context,
}

/// All content of a bundle: about 120 bytes for each exchange that has any.
pub(super) struct Content {
    held: Vec<Held>,
    open: Option<Windows>,
    count: u64,
    size: u64,
    bytes: digest::Context,
}

impl Default for Content {
    fn default() -> Self {
        let bytes = digest::Context::new(&digest::SHA256);
        Self { held: Vec::new(), open: None, count: 0, size: 0, bytes }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} of {} exchanges)", self.count, self.held.len())
    }
}

impl Content {
    /// Files of content.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// What the manifest must say of all files of content together.
    pub(super) fn listed(&self) -> ListedBlobs {
        let sha256 = Hash::from_digest(&self.bytes.clone().finish());
        ListedBlobs { count: self.count, size: self.size, sha256 }
    }

    /// Reads one file of content. Files come in ascending order of exchange and part.
    pub(super) fn read(
        &mut self,
        exchange: ExchangeId,
        part: BlobPart,
        content: &mut dyn Read,
    ) -> io::Result<Result<(), Problem>> {
        let bad = |words: &str| {
            let words = format!("content of {exchange}: {words}");
            Ok(Err(Problem::nowhere(ProblemKind::Content, &words)))
        };
        self.count += 1;
        let Some(digest) = self.digest(content)? else {
            return bad("a file is not sealed content");
        };
        if self.held.last().is_none_or(|held| held.exchange != exchange) {
            self.close_windows();
            if self.held.len() >= MAX_EXCHANGES_WITH_CONTENT {
                return bad("more exchanges have content than one bundle may hold");
            }
            self.held.push(Held {
                exchange,
                prompt: None,
                prompt_named: false,
                answer: None,
                answer_named: false,
            });
        }
        match part {
            BlobPart::Prompt => {
                if let Some(held) = self.held.last_mut() {
                    held.prompt = Some(digest);
                }
            }
            BlobPart::Window(window) => {
                let open = self.open.get_or_insert_with(|| Windows {
                    count: 0,
                    digests: digest::Context::new(&digest::SHA256),
                });
                if open.count != u64::from(window) {
                    return bad("a window of the answer is missing");
                }
                open.count += 1;
                open.digests.update(digest.as_bytes());
            }
        }
        Ok(Ok(()))
    }

    /// The digest of a file of content (see [`crate::Blob::digest`]); absent when it is none.
    fn digest(&mut self, content: &mut dyn Read) -> io::Result<Option<Hash>> {
        let mut content = BufReader::with_capacity(64 * 1024, content);
        let mut head = Vec::new();
        content.by_ref().take(MAX_BLOB_HEAD_BYTES).read_until(b'\n', &mut head)?;
        self.bytes.update(&head);
        self.size += head.len() as u64;
        let mut sealed = digest::Context::new(&digest::SHA256);
        loop {
            let piece = content.fill_buf()?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            sealed.update(piece);
            self.bytes.update(piece);
            self.size += length as u64;
            content.consume(length);
        }
        let sealed = sealed.finish();
        let named = read_blob_head(&head);
        Ok(named.map(|(_, commitment)| Hash::of_all([sealed.as_ref(), &commitment.as_bytes()[..]])))
    }

    /// Ends the reading of content, before the first record.
    pub(super) fn close_windows(&mut self) {
        if let (Some(open), Some(held)) = (self.open.take(), self.held.last_mut()) {
            let digest = Hash::from_digest(&open.digests.finish());
            held.answer = Some(Answer { windows: open.count, digest });
        }
    }

    fn of(&mut self, exchange: ExchangeId) -> Option<&mut Held> {
        let at = self.held.binary_search_by_key(&exchange, |held| held.exchange).ok()?;
        self.held.get_mut(at)
    }

    /// Compares the prompt that a record names.
    pub(super) fn check_prompt(&mut self, exchange: ExchangeId, named: Hash) -> Checked {
        let Some(held) = self.of(exchange) else { return Checked::Absent };
        let Some(prompt) = held.prompt else { return Checked::Absent };
        held.prompt_named = true;
        if prompt == named {
            Checked::Fits
        } else {
            Checked::Differs("the sealed prompt is not the one that this record names")
        }
    }

    /// Compares the answer that a record names.
    pub(super) fn check_answer(&mut self, exchange: ExchangeId, named: Answer) -> Checked {
        let Some(held) = self.of(exchange) else { return Checked::Absent };
        let Some(answer) = held.answer else { return Checked::Absent };
        held.answer_named = true;
        if answer == named {
            Checked::Fits
        } else {
            Checked::Differs("the sealed answer is not the one that this record names")
        }
    }

    /// The first exchange with content that no record names.
    pub(super) fn unnamed(&self) -> Option<ExchangeId> {
        let stray = |held: &&Held| {
            (held.prompt.is_some() && !held.prompt_named)
                || (held.answer.is_some() && !held.answer_named)
        };
        self.held.iter().find(stray).map(|held| held.exchange)
    }
}
