//! Addresses of the net: web, mail and machine addresses.

use super::finding;
use crate::detect::shape::{self, Bytes, Hex};
use crate::detect::token::{Block, Gap, Kind};
use crate::{Class, Finding};

/// `example.org/path` without a scheme: only well-known endings, so that `e.g.word` is none.
pub(super) fn domain(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    const ENDINGS: &[&str] = &["com", "org", "net", "edu", "gov", "io", "health"];
    let b = Bytes(block.text.as_bytes());
    let token = block.at(i);
    let mut k = i;
    while block.at(k + 1).is_mark(b'.')
        && block.at(k + 1).gap == Gap::None
        && block.at(k + 2).gap == Gap::None
        && matches!(block.at(k + 2).kind, Kind::Word | Kind::Mixed)
        && k < i + 10
    {
        k += 2;
    }
    if k > i && block.word_is(k, ENDINGS) && !block.before(i, 1).is_any_mark(b"@") {
        let mut end = block.at(k).end;
        if b.at(end) == b'/' {
            end = shape::url_end(b, token.start).max(end);
        }
        if b.at(end) != b'@' {
            out.push(finding((token.start, end), Class::Url, 70, "url", "form of a host name"));
        }
    }
}

pub(super) fn url(block: &Block<'_>, colon: usize, out: &mut Vec<Finding>) {
    let scheme = block.before(colon, 1);
    if matches!(scheme.kind, Kind::Word | Kind::Mixed) && block.at(colon).gap == Gap::None {
        let b = Bytes(block.text.as_bytes());
        let end = shape::url_end(b, scheme.start);
        if end > block.at(colon).end + 2 {
            out.push(finding((scheme.start, end), Class::Url, 97, "url", "scheme and ://"));
        }
    }
}

pub(super) fn push_hex(start: usize, hex: &Hex, out: &mut Vec<Finding>) {
    out.push(match *hex {
        Hex::Ip(end) => finding((start, end), Class::Ip, 90, "ip", "form of an IPv6 address"),
        Hex::Mac(end) => {
            finding((start, end), Class::DeviceId, 92, "mac", "form of a hardware address")
        }
    });
}
