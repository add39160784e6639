//! The syslog message around a line (RFC 5424), and its frame on a TLS connection (RFC 5425).

use super::{Level, Logged, Summary};

/// Log audit, RFC 5424 section 6.2.1.
const FACILITY: u8 = 13;

/// `sequenceId` of RFC 5424 section 7.3.1 counts from 1 to this, and then from 1 again.
const MAX_SEQUENCE: u64 = 2_147_483_647;

const fn severity(level: Level) -> u8 {
    match level {
        Level::Info => 6,
        Level::Notice => 5,
        Level::Warning => 4,
        Level::Error => 3,
    }
}

/// The message of a line. Its host is the installation, which stays the same when the data moves to
/// another machine.
///
/// The enterprise number of the structured data is that of RFC 5612, because Bulla has none of its own.
pub(super) fn message(logged: &Logged, line: &str) -> String {
    let (record, leaf) = (&logged.record, logged.leaf);
    let summary = Summary::of(&record.event);
    let priority = FACILITY * 8 + severity(summary.level);
    let (log, seq, kind) = (record.log, record.seq, summary.kind);
    let sequence = seq % MAX_SEQUENCE + 1;
    format!(
        r#"<{priority}>1 {time} {host} bulla - {kind} [meta sequenceId="{sequence}"][bulla@32473 log="{log}" seq="{seq}" leaf="{leaf}"] {line}"#,
        time = record.time,
        host = log.deployment,
    )
}

/// Octet counting, RFC 5425 section 4.3.
pub(super) fn frame(message: &str) -> String {
    format!("{} {message}", message.len())
}
