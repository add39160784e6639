//! JSON Lines: the record's exact bytes, with its position and leaf hash around them.
//!
//! Whoever has the line can compute the leaf hash again: SHA-256 over a zero byte and the bytes of
//! `record` as they stand (RFC 6962 section 2.1).

use super::Logged;

pub(super) fn line(logged: &Logged) -> String {
    let (log, seq, leaf) = (logged.record.log, logged.record.seq, logged.leaf);
    // A canonical record is JSON in UTF-8 on one line: RFC 8785 writes no line feed.
    let record = String::from_utf8_lossy(&logged.bytes);
    format!(r#"{{"leaf":"{leaf}","log":"{log}","record":{record},"seq":{seq}}}"#)
}
