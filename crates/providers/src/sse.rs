//! Server-sent events, as model servers send them (WHATWG HTML, "Server-sent events").

use phi::Text;

/// One event longer than this is not one of a model's answer.
const MAX_EVENT_BYTES: usize = 4 << 20;

/// The stream is not one of server-sent events, or has an event that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream of server-sent events")]
pub(crate) struct MalformedStream;

/// Cuts a stream of bytes into the data of events, whatever pieces the bytes come in.
///
/// It has no `Debug`: what it holds is an answer.
#[derive(Default)]
pub(crate) struct Decoder {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_return: bool,
}

impl Decoder {
    /// Takes the next bytes and returns the data of every event that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Text>, MalformedStream> {
        let mut events = Vec::new();
        let mut rest = bytes;
        // A line feed right after a carriage return belongs to it.
        if !rest.is_empty() && std::mem::take(&mut self.after_return) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at(at);
            self.line.extend_from_slice(line);
            self.end_line(&mut events)?;
            let returned = tail.first() == Some(&b'\r');
            rest = tail.get(1..).unwrap_or_default();
            if returned {
                match rest.first() {
                    Some(b'\n') => rest = rest.get(1..).unwrap_or_default(),
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
            return Err(MalformedStream);
        }
        Ok(events)
    }

    fn end_line(&mut self, events: &mut Vec<Text>) -> Result<(), MalformedStream> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if self.has_data {
                events.push(Text::new(std::mem::take(&mut self.data)));
                self.has_data = false;
            }
            return Ok(());
        }
        let line = String::from_utf8(line).map_err(|_| MalformedStream)?;
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let Some(value) = line.strip_prefix("data:") else {
            // Comments keep the connection open; the other fields carry no content in this dialect,
            // but a line that is no field at all is not a stream of events.
            let known = line.starts_with(':')
                || ["event", "id", "retry", "data"].iter().any(|name| {
                    line.strip_prefix(name)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
                });
            return if known { Ok(()) } else { Err(MalformedStream) };
        };
        if self.has_data {
            self.data.push('\n');
        }
        self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
        self.has_data = true;
        if self.data.len() > MAX_EVENT_BYTES {
            return Err(MalformedStream);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(stream: &str, expected: &[&str]) {
        for cut in 1..=stream.len() {
            let mut decoder = Decoder::default();
            let mut events = Vec::new();
            for piece in stream.as_bytes().chunks(cut) {
                events.extend(decoder.feed(piece).unwrap());
            }
            let events: Vec<&str> = events.iter().map(Text::expose).collect();
            assert_eq!(events, expected, "pieces of {cut} bytes");
        }
    }

    #[test]
    fn events_come_out_whatever_pieces_the_bytes_come_in() {
        check(
            ": hello\n\ndata: {\"é\":1}\n\nevent: x\nid: 7\ndata:two\ndata: lines\n\n",
            &["{\"é\":1}", "two\nlines"],
        );
        check("data: a\r\n\r\ndata: b\r\rdata: c\n\n", &["a", "b", "c"]);
        check("data: [DONE]\n\n", &["[DONE]"]);
        check("data\n\ndata: unfinished", &[]);
    }

    fn check_refused(stream: &[u8]) {
        assert_eq!(Decoder::default().feed(stream).unwrap_err(), MalformedStream);
    }

    #[test]
    fn comments_other_fields_and_a_byte_order_mark_are_passed_over() {
        check("\u{feff}data: a\n\n", &["a"]);
        check(":\n: x\nid\nid: 1\nretry:5\nevent: data\ndata: a\n\n\n\n", &["a"]);
        check("data:  two blanks\n\ndata:\n\n", &[" two blanks", ""]);
        check("\r\n\r\ndata: a\r\n\r\n", &["a"]);
    }

    #[test]
    fn what_is_no_stream_of_events_is_refused() {
        check_refused(b"<html>\n");
        check_refused(b"data: \0\n{\"x\":1}\n");
        check_refused(b"datum: 1\n");
        check_refused(b"{}\n");
        check_refused(b"data: \xff\n");
    }

    #[test]
    fn an_event_is_at_most_4_mib() {
        let line = |bytes: usize| format!("data:{}\n", "x".repeat(bytes));
        assert!(Decoder::default().feed(line(MAX_EVENT_BYTES).as_bytes()).is_ok());
        check_refused(line(MAX_EVENT_BYTES + 1).as_bytes());
        // Over several lines, and in a line that has no end yet.
        check_refused(line(MAX_EVENT_BYTES / 2).repeat(2).as_bytes());
        check_refused(&vec![b'x'; MAX_EVENT_BYTES + 1]);
        // Each event counts for itself.
        let mut decoder = Decoder::default();
        for _ in 0..3 {
            let event = format!("{}\n", line(MAX_EVENT_BYTES / 2));
            assert_eq!(decoder.feed(event.as_bytes()).unwrap().len(), 1);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_read_as_the_whole(
            stream in "(data: ?|event:|:|\\{|a|é|\r|\n|\n\n){0,24}",
            cut in 1_usize..9,
        ) {
            let read = |cut: usize| {
                let mut decoder = Decoder::default();
                let mut events = Vec::new();
                for piece in stream.as_bytes().chunks(cut) {
                    for event in decoder.feed(piece)? {
                        events.push(event.into_exposed());
                    }
                }
                Ok::<_, MalformedStream>(events)
            };
            prop_assert_eq!(read(cut), read(stream.len().max(1)));
        }
    }
}
