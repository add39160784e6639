//! Whether a text that somebody presents is the one of an exchange, also where the text was not kept.

use crate::export::{ExchangeContent, ReadError, ReplyWindow, parse};
use crate::house::{Error, House};
use ledger::seal::{ContentKey, Place};
use ledger::{Actor, Blob, BlobPart, ContentClass, Entry, Event, ExchangeId, Hash};
use phi::Text;
use store::{Sought, Term};

/// One side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was written, and what left.
    Prompt,
    /// What came, and what was delivered.
    Answer,
}

/// What a text that somebody presents is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// What the caller wrote.
    Written,
    /// What left, which differs from what was written.
    Left,
    /// What was delivered.
    Delivered,
    /// What came, which differs from what was delivered.
    Received,
    /// None of these.
    Other,
}

impl House {
    /// Says what a text that somebody presents is to an exchange: byte for byte what was written, left,
    /// came or was delivered, or nothing of that. It works alike where content was kept and where no more
    /// than digests was. That it was compared, and by whom, is recorded before.
    ///
    /// A streamed answer is the data of its events, each followed by a line feed.
    ///
    /// # Errors
    /// [`ReadError`]; also when what is kept is not what the log names, so that nobody who can write
    /// beside the log decides what compares.
    pub async fn compare_content(
        &self,
        exchange: ExchangeId,
        side: Side,
        text: &[u8],
        actor: Actor,
    ) -> Result<Likeness, ReadError> {
        let mut blobs = self.tenant.blobs(exchange).await?;
        blobs.retain(|blob| match blob.part {
            BlobPart::Prompt => side == Side::Prompt,
            BlobPart::Window(_) => side == Side::Answer,
        });
        let first = blobs.first().ok_or(ReadError::NoContent)?;
        let unit = self.tenant.unit(first.key).await?.ok_or(ReadError::NoContent)?;
        let event = Event::ContentRead { actor, exchange, reason: "comparison".to_owned() };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        if !self.named_by_the_log(exchange, side, &blobs).await? {
            return Err(ReadError::Unnamed);
        }
        if first.digests()?.is_none() {
            return Ok(self.open_content(exchange, &blobs).await?.likeness(side, text));
        }
        let (_, keys) = self.content_keys.open_unit(&unit).await.map_err(Error::from)?;
        let key = keys.get(ContentClass::of_part(first.part)).as_ref();
        let key = key.ok_or(ReadError::Disposed)?;
        // A text that is the same as the one before it has no digest of its own.
        let names = match side {
            Side::Prompt => {
                [(["written", "written"], Likeness::Written), (["left", "written"], Likeness::Left)]
            }
            Side::Answer => [
                (["delivered", "received"], Likeness::Delivered),
                (["received", "received"], Likeness::Received),
            ],
        };
        for (names, likeness) in names {
            if self.is_text(key, &blobs, names, text)? {
                return Ok(likeness);
            }
        }
        Ok(Likeness::Other)
    }

    /// Whether the records of the exchange name exactly these rows: all say the same prompt, and the last
    /// one the whole answer.
    async fn named_by_the_log(
        &self,
        exchange: ExchangeId,
        side: Side,
        blobs: &[Blob],
    ) -> Result<bool, ReadError> {
        let terms = vec![Term::exchange(exchange)];
        let sought = Sought { terms, since: None, until: None, scan: false };
        let end = self.tenant.head().await?.size();
        let digests: Vec<Hash> = blobs.iter().map(Blob::digest).collect();
        let (mut named, mut next) = (false, Some(0));
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, end).await?;
            next = candidates.next;
            for (_, bytes) in candidates.records {
                let event = parse(&bytes)?.event;
                let Some(about) = event.about().filter(|about| about.exchange == exchange) else {
                    continue;
                };
                let same = match side {
                    Side::Prompt => about.prompt.as_ref() == digests.first(),
                    Side::Answer => {
                        let Event::Outcome(outcome) = &event else { continue };
                        let all = Hash::of_all(digests.iter().map(|it| it.as_bytes().as_slice()));
                        outcome.reply.as_ref().is_some_and(|reply| reply.digest == all)
                    }
                };
                if !same {
                    return Ok(false);
                }
                named = true;
            }
        }
        Ok(named)
    }

    /// Whether the text is what these parts, one after the other, have digests of: in each part under the
    /// first of these names that it has.
    fn is_text(
        &self,
        key: &ContentKey,
        blobs: &[Blob],
        [name, otherwise]: [&str; 2],
        text: &[u8],
    ) -> Result<bool, ReadError> {
        let mut rest = text;
        for blob in blobs {
            let place = Place { log: self.log, exchange: blob.exchange, part: blob.part };
            let digests = key.open_digests(&place, blob)?.ok_or(ReadError::Malformed)?;
            let name = digests.bytes(name).map_or(otherwise, |_| name);
            let bytes = digests.bytes(name).and_then(|bytes| usize::try_from(bytes).ok());
            let bytes = bytes.ok_or(ReadError::Malformed)?;
            let Some((piece, after)) = rest.split_at_checked(bytes) else { return Ok(false) };
            if !key.compare(&place, blob, name, piece)? {
                return Ok(false);
            }
            rest = after;
        }
        Ok(rest.is_empty())
    }
}

impl ExchangeContent {
    fn likeness(&self, side: Side, text: &[u8]) -> Likeness {
        let is = |kept: Option<&Text>| kept.is_some_and(|kept| kept.expose().as_bytes() == text);
        let all = |of: fn(&ReplyWindow) -> &Text| {
            let windows = &mut self.reply.iter();
            let rest = windows
                .try_fold(text, |rest, window| rest.strip_prefix(of(window).expose().as_bytes()));
            rest.is_some_and(<[u8]>::is_empty)
        };
        match side {
            Side::Prompt if is(self.written.as_ref()) => Likeness::Written,
            Side::Prompt if is(self.left.as_ref()) => Likeness::Left,
            Side::Answer if all(ReplyWindow::shown) => Likeness::Delivered,
            Side::Answer if all(|window| &window.received) => Likeness::Received,
            Side::Prompt | Side::Answer => Likeness::Other,
        }
    }
}
