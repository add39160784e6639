//! Events as Amazon's services frame them (`application/vnd.amazon.eventstream`): lengths, headers,
//! a payload, and two sums of CRC-32.

use crate::client::Event;
use gate::UpstreamFailure;
use phi::Text;

/// The type of such a body.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// One message longer than this is not one of a model's answer.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Two lengths and their sum.
const PRELUDE: usize = 12;

/// The sum at the end.
const TRAILER: usize = 4;

/// The type of a header's value that is text.
const TEXT: u8 = 7;

/// Cuts a stream of bytes into events, whatever pieces the bytes come in.
///
/// It has no `Debug`: what it holds is an answer.
#[derive(Default)]
pub(crate) struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    /// Takes the next bytes and returns every event that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, UpstreamFailure> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut done = 0;
        while let Some(rest) = self.held.get(done..) {
            let Some(total) = length(rest)? else { break };
            let Some(message) = rest.get(..total) else { break };
            events.push(event(message)?);
            done += total;
        }
        self.held.drain(..done);
        Ok(events)
    }
}

/// The length of the message that begins here, once its prelude is there.
fn length(rest: &[u8]) -> Result<Option<usize>, UpstreamFailure> {
    let Some(prelude) = rest.get(..PRELUDE) else { return Ok(None) };
    let garbage = UpstreamFailure::Garbage;
    let (lengths, sum) = prelude.split_at(PRELUDE - TRAILER);
    if number(sum) != Some(crc32fast::hash(lengths)) {
        return Err(garbage);
    }
    let total = number(lengths).and_then(|total| usize::try_from(total).ok()).ok_or(garbage)?;
    if total > MAX_MESSAGE_BYTES {
        return Err(UpstreamFailure::TooLarge);
    }
    if total < PRELUDE + TRAILER { Err(garbage) } else { Ok(Some(total)) }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn event(message: &[u8]) -> Result<Event, UpstreamFailure> {
    let garbage = UpstreamFailure::Garbage;
    let (summed, sum) = message.split_at_checked(message.len() - TRAILER).ok_or(garbage)?;
    if number(sum) != Some(crc32fast::hash(summed)) {
        return Err(garbage);
    }
    let headers = summed.get(4..).and_then(number).and_then(|n| usize::try_from(n).ok());
    let body = summed.get(PRELUDE..).ok_or(garbage)?;
    let (mut headers, payload) = headers.and_then(|n| body.split_at_checked(n)).ok_or(garbage)?;
    let mut name = None;
    while !headers.is_empty() {
        let (header, value, rest) = header(headers).ok_or(garbage)?;
        match header {
            b":event-type" => name = Some(value.to_owned()),
            // An exception says in its payload what may repeat the prompt.
            b":message-type" if value != "event" => return Err(UpstreamFailure::Reported),
            _ => {}
        }
        headers = rest;
    }
    let data = std::str::from_utf8(payload).map_err(|_| garbage)?;
    Ok(Event { name, data: Text::from(data) })
}

/// A header's name, its value, and what follows. Bedrock's are all text.
fn header(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    if *kind != TEXT {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((name, std::str::from_utf8(value).ok()?, rest))
}

/// Writes one event as a message.
#[must_use]
pub fn message(name: &str, payload: &str) -> Vec<u8> {
    framed([(":event-type", name), (":message-type", "event")], payload)
}

/// Writes an exception as a message: a stream ends with it.
#[must_use]
pub fn exception_message(name: &str, payload: &str) -> Vec<u8> {
    framed([(":exception-type", name), (":message-type", "exception")], payload)
}

fn framed(about: [(&str, &str); 2], payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (header, value) in about.into_iter().chain([(":content-type", "application/json")]) {
        // Names here are short; one that is not could not be written.
        let (Ok(name_bytes), Ok(value_bytes)) =
            (u8::try_from(header.len()), u16::try_from(value.len()))
        else {
            continue;
        };
        headers.push(name_bytes);
        headers.extend_from_slice(header.as_bytes());
        headers.push(TEXT);
        headers.extend_from_slice(&value_bytes.to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = PRELUDE + headers.len() + payload.len() + TRAILER;
    // A window is smaller than this by far.
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&length(total));
    out.extend_from_slice(&length(headers.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut stream = message("messageStart", r#"{"role":"assistant"}"#);
        stream.extend(message("contentBlockDelta", r#"{"delta":{"text":"é"}}"#));
        stream
    }

    fn read(stream: &[u8], cut: usize) -> Result<Vec<(String, String)>, UpstreamFailure> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for piece in stream.chunks(cut) {
            for event in decoder.feed(piece)? {
                events.push((event.name.unwrap(), event.data.into_exposed()));
            }
        }
        Ok(events)
    }

    #[test]
    fn what_is_written_is_read_whatever_pieces_it_comes_in() {
        let stream = stream();
        for cut in 1..=stream.len() {
            let events = read(&stream, cut).unwrap();
            let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["messageStart", "contentBlockDelta"], "pieces of {cut} bytes");
            assert_eq!(events[1].1, r#"{"delta":{"text":"é"}}"#);
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let stream = stream();
        for at in 0..stream.len() {
            let mut changed = stream.clone();
            changed[at] ^= 0x40;
            let read = read(&changed, changed.len());
            assert!(read.is_err() || read.unwrap().len() < 2, "byte {at}");
        }
    }

    #[test]
    fn an_exception_ends_the_stream_without_its_words() {
        let told = exception_message("throttlingException", r#"{"message":"SSN 219-09-9999"}"#);
        assert_eq!(read(&told, told.len()).unwrap_err(), UpstreamFailure::Reported);
    }

    /// As Amazon's documentation prints it, in the section on the encoding.
    #[test]
    fn an_empty_message_has_the_sums_of_the_documentation() {
        let empty = [
            0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98,
            0xc8, 0xff,
        ];
        assert_eq!(length(&empty).unwrap(), Some(16));
        assert!(event(&empty).is_ok());
    }
}
