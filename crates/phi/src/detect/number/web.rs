//! Addresses of the net: web, mail, machine and social addresses.

use super::finding;
use crate::detect::cue;
use crate::detect::shape::{self, Bytes, Hex};
use crate::detect::token::{Block, Gap, Kind};
use crate::{Class, Finding};

/// Last parts of host names that are not words of a sentence.
const ENDINGS: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "io",
    "health",
    "mil",
    "int",
    "info",
    "biz",
    "care",
    "clinic",
    "hospital",
    "doctor",
    "healthcare",
    "dental",
    "app",
    "dev",
    "cloud",
    "online",
    "site",
    "uk",
    "ca",
    "de",
    "fr",
    "es",
    "au",
    "ie",
    "nz",
    "eu",
    "ch",
    "nl",
    "example",
    "ai",
    "co",
    "us",
    "gob",
    "ly",
    "mx",
    "br",
    "jp",
    "cn",
    "ru",
    "se",
    "no",
    "dk",
    "fi",
    "pl",
    "pt",
    "at",
    "be",
    "tech",
    "life",
    "local",
    "internal",
    "test",
    "invalid",
];
/// Endings that are also English words or abbreviations, so that a missing space after a full stop
/// makes no host name: they need a path or three parts.
const WORDLIKE: &[&str] = &[
    "us", "no", "at", "be", "care", "life", "test", "local", "co", "es", "de", "app", "health",
    "online", "site", "cloud", "internal", "invalid", "doctor", "hospital", "clinic", "dental",
    "fi", "se", "info",
];

/// `example.org/path` without a scheme: only well-known endings, so that `e.g.word` is none.
pub(super) fn domain(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    let b = Bytes(block.text.as_bytes());
    let token = block.at(i);
    let mut k = i;
    while block.at(k + 1).is_any_mark(b".-_")
        && block.at(k + 1).gap == Gap::None
        && block.at(k + 2).gap == Gap::None
        && matches!(block.at(k + 2).kind, Kind::Word | Kind::Mixed | Kind::Digits)
        && k < i + 12
    {
        k += 2;
    }
    if k == i || !block.at(k - 1).is_mark(b'.') || block.before(i, 1).is_any_mark(b"@") {
        return;
    }
    let dots = (i..k).filter(|j| block.at(*j).is_mark(b'.')).count();
    let mut end = block.at(k).end;
    let path = b.at(end) == b'/' && b.at(end + 1).is_ascii_alphanumeric()
        || b.at(end) == b':' && b.at(end + 1).is_ascii_digit();
    let known = block.word_is(k, ENDINGS)
        && (path || dots >= 2 || !block.word_is(k, WORDLIKE) && !block.at(k).is_capital());
    // Any ending of letters will do before a long path: `clinic.zone/patients/7781`.
    let letters = block.at(k).kind == Kind::Word && (2..=6).contains(&block.str(k).len());
    let deep = path && letters && block.at(k).is_lower() && {
        let stop = shape::url_end(b, token.start);
        let tail = block.text.get(end..stop).unwrap_or_default();
        tail.contains(|c: char| c.is_ascii_digit()) && tail.len() > 4
            || tail.matches('/').count() > 1
    };
    if !known && !deep {
        return;
    }
    if path {
        end = shape::url_end(b, token.start).max(end);
    }
    if b.at(end) != b'@' {
        out.push(finding((token.start, end), Class::Url, 70, "url", "form of a host name"));
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

/// What an `@` at this token belongs to: a mail address, or the name of an account.
pub(super) fn at_sign(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    let b = Bytes(block.text.as_bytes());
    let token = block.at(i);
    if let Some(span) = shape::email(b, token.start) {
        out.push(finding(span, Class::Email, 99, "email", "form of an e-mail address"));
        return;
    }
    if let Some(span) = torn_email(block, i) {
        out.push(finding(span, Class::Email, 85, "email", "form of an e-mail address with spaces"));
        return;
    }
    handle(block, i, out);
}

/// `ann.lee @ example.org`, `ann.lee@ example.org`; under a label also `ann@ward`.
fn torn_email(block: &Block<'_>, i: usize) -> Option<(usize, usize)> {
    let at = block.at(i);
    let (left, right) = (block.before(i, 1), block.at(i + 1));
    let named = |k: Kind| matches!(k, Kind::Word | Kind::Mixed | Kind::Digits);
    if !named(left.kind) || !named(right.kind) || at.gap > Gap::Space || right.gap > Gap::Space {
        return None;
    }
    let mut last = i + 1;
    while block.at(last + 1).is_any_mark(b".-")
        && block.at(last + 1).gap == Gap::None
        && block.at(last + 2).gap == Gap::None
        && named(block.at(last + 2).kind)
        && last < i + 10
    {
        last += 2;
    }
    let mut first = i - 1;
    while first >= 2
        && block.at(first).gap == Gap::None
        && block.at(first - 1).is_any_mark(b"._-+")
        && block.at(first - 1).gap == Gap::None
        && named(block.at(first - 2).kind)
        && i - first < 10
    {
        first -= 2;
    }
    let ending = last > i + 1 && block.word_is(last, ENDINGS) && block.at(last).is_lower();
    let label = (1..=2).any(|back| {
        block.word_is(first.wrapping_sub(back), &["email", "mail", "correo", "electrónico"])
    });
    let whole = at.gap == Gap::None && right.gap == Gap::None;
    (ending || label && whole).then(|| (block.at(first).start, block.at(last).end))
}

/// `annlee(at)example.org`: the token `at` in its brackets.
pub(super) fn bracketed_at(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let named = |k: usize| matches!(block.at(k).kind, Kind::Word | Kind::Mixed | Kind::Digits);
    let Some(mut first) = i.checked_sub(2).filter(|k| named(*k)) else { return false };
    let mut last = i + 2;
    if !block.at(i + 1).is_any_mark(b")]}>") || !named(last) || block.at(last).gap > Gap::Space {
        return false;
    }
    let joins = |k: usize| block.at(k).is_any_mark(b"._-+") && block.at(k).gap == Gap::None;
    while last < i + 12 && joins(last + 1) && block.at(last + 2).gap == Gap::None && named(last + 2)
    {
        last += 2;
    }
    while first >= 2
        && i - first < 12
        && block.at(first).gap == Gap::None
        && joins(first - 1)
        && named(first - 2)
    {
        first -= 2;
    }
    let found = last > i + 2 && block.word_is(last, ENDINGS);
    if found {
        let span = (block.at(first).start, block.at(last).end);
        out.push(finding(span, Class::Email, 90, "email.spelled", "address that is spelled out"));
    }
    found
}

/// `@annlee92` after the name of a network.
fn handle(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    const NETWORKS: &[&str] = &[
        "twitter",
        "instagram",
        "handle",
        "username",
        "tiktok",
        "facebook",
        "snapchat",
        "telegram",
        "venmo",
        "cashapp",
        "handles",
        "threads",
        "mastodon",
        "youtube",
        "linkedin",
        "ig",
        "insta",
        "tweeted",
        "tweets",
        "tagged",
        "dm",
        "discord",
        "reddit",
        "whatsapp",
        "skype",
    ];
    let name = block.at(i + 1);
    let free = block.at(i).gap > Gap::None
        || !matches!(block.before(i, 1).kind, Kind::Word | Kind::Mixed | Kind::Digits);
    let known = (1..=6).any(|back| block.word_is(i.wrapping_sub(back), NETWORKS));
    if name.gap == Gap::None && free && known && matches!(name.kind, Kind::Word | Kind::Mixed) {
        let end = shape::identifier(Bytes(block.text.as_bytes()), name.start);
        let span = (block.at(i).start, end);
        out.push(finding(span, Class::OtherId, 78, "handle", "name of an account"));
    }
}

/// `login: annlee`, `username is a.lee_92`: the name of an account after the word for it.
pub(super) fn login(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
    const NO_VALUE: &[&str] = &[
        "and", "or", "is", "was", "page", "the", "password", "required", "not", "none", "for",
        "to", "with", "in", "n", "unknown", "name", "id", "as", "screen", "to",
    ];
    let mut k = i + 1;
    let mut marked = false;
    for _ in 0..4 {
        let token = block.at(k);
        if token.gap >= Gap::Line
            || !(token.is_any_mark(b":=#\"'(@")
                || block.word_is(k, &["is", "name", "id", "was", "as"]))
        {
            break;
        }
        marked |= token.is_any_mark(b":=@");
        k += 1;
    }
    let token = block.at(k);
    if k == i + 1
        || token.gap >= Gap::Wide
        || !matches!(token.kind, Kind::Word | Kind::Mixed)
        || block.word_is(k, NO_VALUE)
    {
        return;
    }
    let end = shape::identifier(Bytes(block.text.as_bytes()), token.start);
    let text = block.text.get(token.start..end).unwrap_or_default();
    let coded = text.contains(|c: char| c.is_ascii_digit() || matches!(c, '_' | '.' | '-'));
    if text.len() >= 3 && (coded || marked && token.is_lower()) {
        let sign = block.before(k, 1);
        let start = if sign.is_mark(b'@') { sign.start } else { token.start };
        let span = (start, end);
        out.push(finding(span, Class::OtherId, 80, "login", "name of an account after its label"));
    }
}

/// Words that are no part of a host name: `at the dot com`.
const ARTICLES: &[&str] = &["the", "a", "an", "this", "that", "my", "our", "its", "is", "was"];

/// `ann dot lee at example dot org`, `ann.lee(at)example[dot]org`: an address that was spelled out.
///
/// `i` is the token `dot` before the last part of the host name.
pub(super) fn spelled_email(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    const MAX_PARTS: usize = 6;
    let named = |k: usize| matches!(block.at(k).kind, Kind::Word | Kind::Mixed | Kind::Digits);
    // One step back over a joining word or mark, in brackets or not.
    let joint = |k: usize, words: &[&str], marks: &[u8]| -> Option<usize> {
        let token = block.at(k);
        if token.is_any_mark(b")]}>") && block.word_is(k.checked_sub(1)?, words) {
            let open = k.checked_sub(2)?;
            return block.at(open).is_any_mark(b"([{<").then(|| open.checked_sub(1)).flatten();
        }
        let here = block.word_is(k, words) || token.is_any_mark(marks);
        here.then(|| k.checked_sub(1)).flatten()
    };
    let closed = usize::from(block.at(i + 1).is_any_mark(b")]}>"));
    let last = i + 1 + closed;
    if !block.word_is(last, ENDINGS) || block.at(last).gap > Gap::Space {
        return false;
    }
    let mut k = i + closed;
    let mut found = None;
    for _ in 0..MAX_PARTS {
        if let Some(before) = joint(k, &["at"], b"@") {
            found = Some(before);
            break;
        }
        let Some(before) = joint(k, &["dot", "dash", "hyphen"], b".-") else {
            if !named(k) || block.word_is(k, ARTICLES) {
                return false;
            }
            let Some(before) = k.checked_sub(1) else { return false };
            k = before;
            continue;
        };
        k = before;
    }
    let Some(mut first) = found.filter(|k| named(*k)) else { return false };
    for _ in 0..MAX_PARTS {
        let Some(before) = first
            .checked_sub(1)
            .and_then(|k| joint(k, &["dot", "underscore", "dash", "hyphen", "plus"], b"._-+"))
            .filter(|k| named(*k) && block.at(first).gap <= Gap::Space)
        else {
            break;
        };
        first = before;
    }
    // Digits that are said after a name belong to it: `ann lee 92 at`.
    while first > 0
        && (block.at(first).kind == Kind::Digits || block.at(first).is(cue::NUMERAL))
        && named(first - 1)
        && block.at(first).gap == Gap::Space
        && !block.at(first - 1).is(cue::CONNECT)
    {
        first -= 1;
    }
    let span = (block.at(first).start, block.at(last).end);
    out.push(finding(span, Class::Email, 90, "email.spelled", "address that is spelled out"));
    true
}
