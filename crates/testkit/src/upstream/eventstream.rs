//! The binary framing `application/vnd.amazon.eventstream`, written and read.
//!
//! A message is: its length and that of its headers (4 bytes each, big-endian), the CRC-32 of these
//! eight bytes, the headers, the payload, and the CRC-32 of all before it.

/// Bytes before the headers.
const PRELUDE_BYTES: usize = 12;

/// Bytes of a message around its headers and payload.
const FRAME_BYTES: usize = PRELUDE_BYTES + 4;

/// The type of a header whose value is a string.
const STRING: u8 = 7;

/// The longest message that is read; the service's own limit is 16 MiB.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// CRC-32 as gzip has it (ISO-HDLC).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// One message with these headers, all of them strings.
pub(crate) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        written.extend(name.as_bytes());
        written.push(STRING);
        written.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        written.extend(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = Vec::new();
    bytes.extend(length(FRAME_BYTES + written.len() + payload.len()));
    bytes.extend(length(written.len()));
    bytes.extend(crc32(&bytes).to_be_bytes());
    bytes.extend(written);
    bytes.extend(payload);
    bytes.extend(crc32(&bytes).to_be_bytes());
    bytes
}

/// One message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Takes the first message off the bytes; none when it is not whole yet.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn take(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let number = |at: usize, of: &[u8]| {
        let four = of.get(at..at + 4)?;
        four.try_into().ok().map(u32::from_be_bytes)
    };
    let size = |at: usize| number(at, bytes).and_then(|it| usize::try_from(it).ok());
    let (Some(total), Some(headers), Some(crc)) = (size(0), size(4), number(8, bytes)) else {
        return Ok(None);
    };
    if crc != crc32(bytes.get(..8).unwrap_or_default()) {
        return Err("the checksum of a prelude is wrong".to_owned());
    }
    if total > MESSAGE_LIMIT || total < FRAME_BYTES + headers {
        return Err("the lengths of a message are wrong".to_owned());
    }
    let Some(message) = bytes.get(..total) else { return Ok(None) };
    let (before, last) = message.split_at(total - 4);
    if number(0, last) != Some(crc32(before)) {
        return Err("the checksum of a message is wrong".to_owned());
    }
    let (headers, payload) = before.get(PRELUDE_BYTES..).unwrap_or_default().split_at(headers);
    let headers = read_headers(headers).ok_or("a header is not a string")?;
    Ok(Some((Message { headers, payload: payload.to_vec() }, total)))
}

fn read_headers(mut bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if *kind != STRING {
            return None;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        headers.push((text(name)?, text(value)?));
        bytes = rest;
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_empty_message_has_the_published_bytes() {
        // `empty_message` of the test vectors of Amazon's own libraries.
        let expected = [
            0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98,
            0xc8, 0xff,
        ];
        assert_eq!(message(&[], b""), expected);
    }

    #[test]
    fn what_was_written_is_read_and_a_changed_byte_is_noticed() {
        let bytes =
            message(&[(":event-type", "messageStop"), (":message-type", "event")], b"{\"a\":1}");
        let (read, length) = take(&bytes).unwrap().unwrap();
        assert_eq!((read.header(":event-type"), length), (Some("messageStop"), bytes.len()));
        assert_eq!(read.payload, b"{\"a\":1}");
        for cut in 0..bytes.len() {
            assert_eq!(take(&bytes[..cut]), Ok(None));
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(take(&wrong).is_err(), "byte {at}");
        }
    }
}
