//! Everything that begins with a number, a mark or a code: dates, telephones, identifiers.

use super::checksum;
use super::cue;
use super::date;
use super::label::{Field, Label, Labels, Need};
use super::shape::{self, Bytes, Hex};
use super::token::{Block, Gap, Kind, Phrase, is_connector};
use crate::{Class, Confidence, Finding};

/// A finding, shorter to write.
pub(crate) fn finding(
    (start, end): (usize, usize),
    class: Class,
    percent: u8,
    recogniser: &'static str,
    why: &'static str,
) -> Finding {
    Finding { start, end, class, confidence: Confidence::percent(percent), recogniser, why }
}

/// Finds what the numbers and codes of a block identify.
pub(crate) fn find(block: &Block<'_>, labels: &Labels, out: &mut Vec<Finding>) {
    let mut i = 0;
    while i < block.len() {
        let from = out.len();
        at_token(block, labels, i, out);
        // What was found is passed over, so that no byte is read often.
        let end = out.get(from..).unwrap_or_default().iter().map(|f| f.end).max().unwrap_or(0);
        i += 1;
        while i < block.len() && block.at(i).start < end {
            i += 1;
        }
    }
}

fn at_token(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    match token.kind {
        Kind::Mark(b'@') => {
            if let Some(span) = shape::email(b, token.start) {
                out.push(finding(span, Class::Email, 99, "email", "form of an e-mail address"));
            }
        }
        Kind::Mark(b':') => {
            if b.at(token.end) == b'/' && b.at(token.end + 1) == b'/' {
                url(block, i, out);
            } else if b.at(token.end) == b':'
                && let Some(Hex::Ip(end)) = shape::hex(b, token.start)
            {
                out.push(finding(
                    (token.start, end),
                    Class::Ip,
                    90,
                    "ip",
                    "form of an IPv6 address",
                ));
            }
        }
        Kind::Mark(b'(' | b'+') => {
            let found = shape::phone(b, token.start)
                .is_some_and(|phone| push_phone(block, labels, i, &phone, out));
            if !found && b.at(token.end).is_ascii_digit() {
                loose_phone(block, labels, i, out);
            }
        }
        Kind::Digits | Kind::Mixed => number(block, labels, i, out),
        Kind::Word => word(block, labels, i, out),
        Kind::Mark(_) | Kind::Possessive | Kind::Edge => {}
    }
}

fn word(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    let len = token.end - token.start;
    if token.is(cue::MONTH)
        && let Some((first, last, percent)) = date::written(block, i)
    {
        let span = (block.at(first).start, block.at(last).end);
        out.push(finding(span, Class::Date, percent, "date.written", "month by name"));
        return;
    }
    if len == 3 && block.word_is(i, &["www"]) && b.at(token.end) == b'.' {
        let end = shape::url_end(b, token.start);
        out.push(finding((token.start, end), Class::Url, 95, "url", "begins with www"));
        return;
    }
    if len <= 4
        && b.at(token.end) == b':'
        && let Some(hex) = shape::hex(b, token.start)
    {
        push_hex(token.start, &hex, out);
        return;
    }
    if (len == 2
        && matches!(b.at(token.end), b':' | b'-')
        && b.at(token.end + 3) == b.at(token.end))
        && let Some(hex) = shape::hex(b, token.start)
    {
        push_hex(token.start, &hex, out);
        return;
    }
    // `AB-12345`, `HOC67890` begin with letters; the whole run must hold a digit.
    let joined = matches!(b.at(token.end), b'-' | b'/' | b'.' | b'_');
    if joined
        && (token.is_upper()
            || len == 1
            || token.case == super::token::Case::Initial
            || b.at(token.end) == b'_')
    {
        let end = shape::identifier(b, token.start);
        code(block, labels, i, end, out);
    } else if joined && b.at(token.end) == b'.' {
        domain(block, i, out);
    }
}

/// `example.org/path` without a scheme: only well-known endings, so that `e.g.word` is none.
fn domain(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) {
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

fn url(block: &Block<'_>, colon: usize, out: &mut Vec<Finding>) {
    let scheme = block.before(colon, 1);
    if matches!(scheme.kind, Kind::Word | Kind::Mixed) && block.at(colon).gap == Gap::None {
        let b = Bytes(block.text.as_bytes());
        let end = shape::url_end(b, scheme.start);
        if end > block.at(colon).end + 2 {
            out.push(finding((scheme.start, end), Class::Url, 97, "url", "scheme and ://"));
        }
    }
}

fn push_hex(start: usize, hex: &Hex, out: &mut Vec<Finding>) {
    out.push(match *hex {
        Hex::Ip(end) => finding((start, end), Class::Ip, 90, "ip", "form of an IPv6 address"),
        Hex::Mac(end) => {
            finding((start, end), Class::DeviceId, 92, "mac", "form of a hardware address")
        }
    });
}

/// The label before a value in running text.
#[derive(Clone, Copy)]
struct Context {
    label: Label,
    /// `number`, `#`, `:` or `=` stood between.
    marked: bool,
    /// `number` or `#` stood between.
    numbered: bool,
}

impl Context {
    fn class(self) -> Option<Class> {
        let enough = match self.label.need {
            Need::Nothing => true,
            Need::Mark => self.marked,
            Need::Number => self.numbered,
        };
        match self.label.field {
            _ if !enough => None,
            Field::Id(class) => Some(class),
            Field::Phone => Some(Class::Phone),
            Field::Fax => Some(Class::Fax),
            Field::Name
            | Field::NamePart
            | Field::NameOrPlace
            | Field::Date
            | Field::Age
            | Field::Address
            | Field::Place
            | Field::Zip
            | Field::State
            | Field::Whole(_)
            | Field::Code(_)
            | Field::Contact
            | Field::Person
            | Field::Reference
            | Field::Region
            | Field::Position
            | Field::Text(_)
            | Field::File
            | Field::Unknown
            | Field::Technical
            | Field::Neutral => None,
        }
    }

    fn is_neutral(self) -> bool {
        self.label.field == Field::Neutral
    }
}

/// Looks to the left of a token for a label, past words like `number is` and marks like `: #`.
fn context(block: &Block<'_>, labels: &Labels, i: usize) -> Option<Context> {
    /// A label further away belongs to something else.
    const MAX_BETWEEN: usize = 7;
    let mut k = i;
    let (mut numbered, mut marked) = (false, false);
    let mut gap = block.at(i).gap;
    for _ in 0..MAX_BETWEEN {
        k = k.checked_sub(1)?;
        let token = block.at(k);
        // A label may stand on the line before its value, but not with another line between.
        // A full stop belongs to `no.`; any other ends the sentence of the label.
        let stop = token.is_mark(b'.') && !block.before(k, 1).is(cue::NUMBER);
        if !is_connector(token)
            || stop
            || (gap >= Gap::Line && block.at(k + 1).gap >= Gap::Line && k + 1 < i)
        {
            break;
        }
        if token.kind == Kind::Word
            && phrase_label(block, labels, k, false)
                .is_some_and(|l| l.need == Need::Nothing && l.field != Field::Neutral)
            && !token.is(cue::NUMBER)
        {
            break;
        }
        numbered |= token.is(cue::NUMBER) || token.is_mark(b'#');
        marked |= token.is_any_mark(b":=#") || token.is(cue::NUMBER);
        gap = gap.max(token.gap);
    }
    if block.at(k).kind == Kind::Possessive {
        return None;
    }
    // `ID: 987` has no other word before it: the number word is the label.
    let label = phrase_label(block, labels, k, numbered);
    if label.is_none() && numbered && marked {
        let named = (k..i).any(|j| block.word_is(j, &["id", "ids", "identifier"]));
        return named.then_some(Context {
            label: Label { field: Field::Id(Class::OtherId), need: Need::Nothing },
            marked: true,
            numbered: true,
        });
    }
    label.map(|label| Context { label, marked: marked || numbered, numbered })
}

/// The label whose last word is this token.
pub(crate) fn phrase_label(
    block: &Block<'_>,
    labels: &Labels,
    last: usize,
    numbered: bool,
) -> Option<Label> {
    if block.at(last).kind != Kind::Word || !labels.may_end(block.str(last).as_bytes()) {
        return None;
    }
    let mut first = last;
    for _ in 0..3 {
        let Some(before) = first.checked_sub(1) else { break };
        let token = block.at(before);
        if block.at(first).gap > Gap::Space {
            break;
        }
        match token.kind {
            Kind::Word => first = before,
            Kind::Possessive | Kind::Mark(b'-' | b'/')
                if before > 0 && block.before(before, 1).kind == Kind::Word =>
            {
                first = before - 1;
            }
            Kind::Possessive | Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => break,
        }
    }
    let mut phrase = Phrase::new();
    for k in first..=last {
        match block.at(k).kind {
            Kind::Word => {
                phrase.push(block.str(k).as_bytes());
            }
            Kind::Possessive => {
                phrase.push(b"s");
            }
            Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => {}
        }
    }
    labels.of_phrase(phrase.as_bytes(), numbered)
}

fn number(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) {
    let token = block.at(i);
    let b = Bytes(block.text.as_bytes());
    let start = token.start;
    // Inside a run that began earlier nothing starts. After a line it does, because names of files
    // and of callers are joined so: `Ann_Lee_219-09-9999`.
    let before = if start > 0 { b.at(start - 1) } else { b' ' };
    if token.gap == Gap::None
        && before == b'.'
        && start > 1
        && b.at(start - 2).is_ascii_alphanumeric()
    {
        return;
    }
    if before == b'@' {
        return;
    }
    if let Some((end, percent)) = date::age(block, i) {
        out.push(finding((start, end), Class::Age, percent, "age", "number with a word of age"));
        return;
    }
    if token.kind == Kind::Digits && starts_written_date(block, i, out) {
        return;
    }
    if let Some(end) = shape::uuid(b, start) {
        let known = context(block, labels, i).and_then(Context::class);
        if let Some(class) = known {
            out.push(finding((start, end), class, 80, "id.uuid", "UUID under a label"));
            return;
        }
    }
    if let Some(end) = shape::ipv4(b, start) {
        let version = block.word_is(i.wrapping_sub(1), &["version", "v", "section", "oid", "ver"]);
        if !version {
            out.push(finding((start, end), Class::Ip, 88, "ip", "form of an IPv4 address"));
        }
        return;
    }
    if let Some(hex) = shape::hex(b, start).filter(|_| token.end - start <= 4) {
        push_hex(start, &hex, out);
        return;
    }
    if let Some(end) = shape::ssn(b, start) {
        ssn(block, labels, i, end, out);
        return;
    }
    if dates(block, labels, i, out) {
        return;
    }
    if let Some(phone) = shape::phone(b, start)
        && push_phone(block, labels, i, &phone, out)
    {
        return;
    }
    if grouped(block, labels, i, out) || loose_phone(block, labels, i, out) {
        return;
    }
    let end = shape::identifier(b, start);
    code(block, labels, i, end, out);
}

/// `14 March 1962` begins with the day.
fn starts_written_date(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    for k in [i + 1, i + 2] {
        if block.at(k).is(cue::MONTH)
            && let Some((first, last, percent)) = date::written(block, k)
            && first == i
        {
            let span = (block.at(first).start, block.at(last).end);
            out.push(finding(span, Class::Date, percent, "date.written", "day and month by name"));
            return true;
        }
    }
    false
}

fn ssn(block: &Block<'_>, labels: &Labels, i: usize, end: usize, out: &mut Vec<Finding>) {
    let start = block.at(i).start;
    let text = block.text.as_bytes().get(start..end).unwrap_or_default();
    let found = context(block, labels, i);
    out.push(match found.and_then(Context::class) {
        Some(Class::Ssn) => finding((start, end), Class::Ssn, 99, "ssn", "form and label"),
        Some(class) => finding((start, end), class, 92, "id.label", "label before it"),
        None if checksum::is_ssn(text) => {
            finding((start, end), Class::Ssn, 95, "ssn", "form and assigned ranges")
        }
        None => finding((start, end), Class::OtherId, 80, "ssn", "form, outside assigned ranges"),
    });
}

fn dates(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let ranged = out.last().is_some_and(|f| f.class == Class::Date && f.end + 1 == start);
    let joined = start > 1
        && matches!(b.at(start - 1), b'/' | b'-' | b'.')
        && b.at(start - 2).is_ascii_alphanumeric();
    if joined && !ranged {
        return false;
    }
    if let Some(numeric) = date::numeric(b, start) {
        let after = block.token_at(numeric.end);
        let ratio = block.at(after).is(cue::RATIO | cue::UNIT)
            || block.at(after).is_mark(b'%')
            || (block.at(after).is_mark(b'-') && block.at(after).gap == Gap::None);
        let when = block.before(i, 1).is(cue::SINCE);
        let field = context(block, labels, i);
        let dated = field.is_some_and(|c| c.label.field == Field::Date);
        let other =
            field.filter(|c| c.marked || c.label.need == Need::Nothing).and_then(Context::class);
        if numeric.certain {
            let span = (start, numeric.end);
            out.push(finding(span, Class::Date, 96, "date.numeric", "form of a date"));
            return true;
        }
        if dated || (when && !ratio && other.is_none() && block.before(i, 1).kind == Kind::Word) {
            let span = (start, numeric.end);
            out.push(finding(span, Class::Date, 75, "date.numeric", "form of a date and context"));
            return true;
        }
        return false;
    }
    if block.at(i).kind != Kind::Digits && b.digits(start, 9) != 8 {
        return false;
    }
    let labelled = context(block, labels, i).is_some_and(|c| c.label.field == Field::Date);
    if labelled && let Some(end) = date::compact(b, start) {
        out.push(finding((start, end), Class::Date, 90, "date.compact", "label of a date"));
        return true;
    }
    let stamp = b.digits(start, 9) == 8 && b.at(start + 8) == b'T' && b.digits(start + 9, 5) >= 4;
    if stamp && date::compact(b, start).is_some() {
        let end = block.at(i).end;
        out.push(finding((start, end), Class::Date, 85, "date.compact", "form of a timestamp"));
        return true;
    }
    false
}

fn push_phone(
    block: &Block<'_>,
    labels: &Labels,
    i: usize,
    phone: &shape::Phone,
    out: &mut Vec<Finding>,
) -> bool {
    let start = block.at(i).start;
    let found = context(block, labels, i);
    let class = found.and_then(Context::class);
    let fax = block.word_is(block.token_at(phone.end) + 1, &["fax", "f"])
        && block.at(block.token_at(phone.end)).is_mark(b'(');
    let span = (start, phone.end);
    let new = match class {
        Some(Class::Fax) => finding(span, Class::Fax, 97, "fax", "form and label"),
        Some(Class::Phone) | None if fax => finding(span, Class::Fax, 95, "fax", "form and label"),
        Some(Class::Phone) => finding(span, Class::Phone, 97, "phone", "form and label"),
        Some(class) => {
            if !found.is_some_and(|c| c.marked || phone.certain) {
                return false;
            }
            finding(span, class, 90, "id.label", "label before it")
        }
        None if found.is_some_and(Context::is_neutral) && !phone.certain => return false,
        None if phone.certain => {
            finding(span, Class::Phone, 92, "phone", "form of a telephone number")
        }
        None if is_called(block, i) => {
            finding(span, Class::Phone, 80, "phone", "form and a word for calling")
        }
        None if phone.end - start >= 10 => {
            finding(span, Class::Phone, 55, "phone", "form of a telephone number")
        }
        None => return false,
    };
    out.push(new);
    true
}

/// Whether a word for telephoning stands a few words before.
fn is_called(block: &Block<'_>, i: usize) -> bool {
    const WORDS: &[&str] = &[
        "call",
        "calling",
        "reach",
        "reached",
        "dial",
        "text",
        "phone",
        "cell",
        "mobile",
        "contact",
        "answering",
        "messages",
        "telephone",
        "voicemail",
        "callback",
        "registered",
        "whatsapp",
        "tel",
    ];
    (1..=5).any(|back| {
        block.before(i, back).kind == Kind::Word && block.word_is(i.wrapping_sub(back), WORDS)
    })
}

/// Digits in any grouping, where a label or a verb says that they are telephoned.
fn loose_phone(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (end, count) = shape::loose(b, start);
    if !(7..=15).contains(&count) || !b.ends(end) {
        return false;
    }
    let found = context(block, labels, i).and_then(Context::class);
    let class = match found {
        Some(Class::Fax) => Class::Fax,
        Some(Class::Phone) => Class::Phone,
        None if is_called(block, i) => Class::Phone,
        _ => return false,
    };
    out.push(finding(
        (start, end),
        class,
        84,
        "phone.loose",
        "digits after a word for a telephone",
    ));
    true
}

/// Numbers in groups: payment cards, health numbers with spaces.
fn grouped(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (end, count) = shape::grouped(b, start);
    let text = block.text.as_bytes().get(start..end).unwrap_or_default();
    if count >= 13 && b.ends(end) && checksum::is_card(text) {
        out.push(finding((start, end), Class::Account, 93, "card", "valid Luhn digit"));
        return true;
    }
    // `1EG4-TE5-MK73`: the dashes are decoration.
    let run = shape::identifier(b, start);
    let bare: Vec<u8> = block
        .text
        .as_bytes()
        .get(start..run)
        .unwrap_or_default()
        .iter()
        .filter(|c| **c != b'-')
        .copied()
        .collect();
    if bare.len() == 11 && checksum::is_mbi(&bare) {
        out.push(finding(
            (start, run),
            Class::HealthPlanId,
            92,
            "mbi",
            "grammar of a Medicare number",
        ));
        return true;
    }
    if count < 9 && b.digits(start, 2) == 1 && spaced_ssn(block, labels, i, out) {
        return true;
    }
    if count == 9 && end > start + 9 {
        let found = context(block, labels, i).and_then(Context::class);
        if found == Some(Class::Ssn) && b.ends(end) {
            out.push(finding((start, end), Class::Ssn, 90, "ssn", "label before it"));
            return true;
        }
    }
    false
}

/// `5 5 5 - 1 2 - 3 4 5 6` after a label.
fn spaced_ssn(block: &Block<'_>, labels: &Labels, i: usize, out: &mut Vec<Finding>) -> bool {
    const MAX: usize = 24;
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let (mut at, mut end, mut count) = (start, start, 0);
    while at - start < MAX && count < 10 {
        match b.at(at) {
            c if c.is_ascii_digit() => {
                count += 1;
                end = at + 1;
            }
            b' ' | b'-' => {}
            _ => break,
        }
        at += 1;
    }
    let labelled = || context(block, labels, i).and_then(Context::class) == Some(Class::Ssn);
    let found = count == 9 && b.ends(end) && labelled();
    if found {
        out.push(finding((start, end), Class::Ssn, 88, "ssn", "nine digits and label"));
    }
    found
}

/// A run of letters and digits: an identifier by its label, its check digit, or its form.
fn code(block: &Block<'_>, labels: &Labels, i: usize, end: usize, out: &mut Vec<Finding>) {
    let start = block.at(i).start;
    let text = block.text.get(start..end).unwrap_or_default();
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 && !bytes.contains(&b'*') {
        return;
    }
    if let Some(new) = checked(bytes, (start, end)) {
        let found = context(block, labels, i);
        out.push(match found.and_then(Context::class) {
            Some(class) if class != new.class => {
                finding((start, end), class, 90, "id.label", "label before it")
            }
            _ => new,
        });
        return;
    }
    let after = block.at(block.token_at(end));
    // No measure has seven digits; `c/o` is no unit.
    let unit = after.is(cue::UNIT) && after.gap <= Gap::Space && digits < 7;
    let measured = unit || after.is_mark(b'%');
    if let Some(found) = context(block, labels, i)
        && !measured
    {
        if found.is_neutral() {
            return;
        }
        if let Some(class) = found.class() {
            labelled(block, i, (start, end), digits, class, found, out);
            return;
        }
        if found.label.field == Field::Zip && matches!(digits, 5 | 9) {
            out.push(finding((start, end), Class::Location, 92, "zip", "label before it"));
            return;
        }
        if found.label.field == Field::Age && digits <= 3 && bytes.len() <= 3 && found.marked {
            out.push(finding((start, end), Class::Age, 85, "age", "label before it"));
            return;
        }
    }
    if measured {
        return;
    }
    prefixed(labels, text, (start, end), digits, out);
    unlabelled(block, i, (start, end), digits, out);
}

fn checked(bytes: &[u8], span: (usize, usize)) -> Option<Finding> {
    if checksum::is_vin(bytes) {
        return Some(finding(span, Class::Vehicle, 92, "vin", "valid check digit"));
    }
    if checksum::is_dea(bytes) {
        return Some(finding(span, Class::License, 90, "dea", "valid check digit"));
    }
    if checksum::is_iban(bytes) {
        return Some(finding(span, Class::Account, 97, "iban", "valid check digits"));
    }
    if checksum::is_npi(bytes) {
        return Some(finding(span, Class::License, 75, "npi", "valid Luhn digit over 80840"));
    }
    None
}

fn labelled(
    block: &Block<'_>,
    i: usize,
    (start, end): (usize, usize),
    digits: usize,
    class: Class,
    found: Context,
    out: &mut Vec<Finding>,
) {
    let specific = matches!(
        class,
        Class::Mrn | Class::Ssn | Class::License | Class::Vehicle | Class::Biometric
    );
    let (least, percent) = match (found.marked, specific) {
        (true, true) => (2, 95),
        (true, false) => (3, 90),
        (false, true) => (3, 85),
        (false, false) => (5, 65),
    };
    if digits < least && end - start < 6 {
        return;
    }
    // A telephone number has at least seven digits, save for a pager or an extension.
    if matches!(class, Class::Phone | Class::Fax) && digits < 7 {
        return;
    }
    // `case 12/14` and years are no identifiers.
    let text = block.text.get(start..end).unwrap_or_default();
    let year = digits == 4
        && text.len() == 4
        && matches!(text.as_bytes(), [b'1', b'9', ..] | [b'2', b'0', ..]);
    if year && !found.marked {
        return;
    }
    let b = Bytes(block.text.as_bytes());
    // A number sign that belongs to the number is covered with it.
    let hash = start > 0 && b.at(start - 1) == b'#' && block.before(i, 1).gap > Gap::None;
    out.push(finding(
        (start - usize::from(hash), end),
        class,
        percent,
        "id.label",
        "label before it",
    ));
}

/// `MRN133202`, `ACCT41599-7`: the label is the beginning of the number.
fn prefixed(
    labels: &Labels,
    text: &str,
    span: (usize, usize),
    digits: usize,
    out: &mut Vec<Finding>,
) {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let prefix = text.get(..letters).unwrap_or_default();
    if letters < 3 && !matches!(prefix, "MR" | "DL" | "SN") || digits < 3 {
        return;
    }
    if let Some(label) = labels.of_key(prefix)
        && label.need == Need::Nothing
        && let Field::Id(class) = label.field
    {
        out.push(finding(span, class, 82, "id.prefix", "begins with its label"));
    }
}

/// Long numbers and letter-number codes are unlikely to be anything but identifiers.
fn unlabelled(
    block: &Block<'_>,
    i: usize,
    span: (usize, usize),
    digits: usize,
    out: &mut Vec<Finding>,
) {
    let text = block.text.get(span.0..span.1).unwrap_or_default();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let upper = text.bytes().filter(u8::is_ascii_uppercase).count();
    let dots = text.bytes().filter(|b| *b == b'.').count();
    if text.len() == 10 && digits == 9 && text.as_bytes().get(5) == Some(&b'-') {
        if block.before(i, 1).is(cue::STATE) {
            out.push(finding(span, Class::Location, 85, "zip", "state before it"));
        }
        return;
    }
    let long = letters == 0 && dots == 0 && digits >= 8 && text.len() <= 20;
    let code = (1..=6).contains(&letters)
        && upper == letters
        && dots == 0
        && digits >= 5
        && text.len() <= 20;
    // `1995-1996`, `3150-4500`: ranges; `142/71`: a pair of measures.
    let range = text.len() == 9 && text.as_bytes().get(4) == Some(&b'-') || text.contains('/');
    if range {
        return;
    }
    if long {
        out.push(finding(span, Class::OtherId, 50, "id.form", "long number"));
    } else if code {
        out.push(finding(span, Class::OtherId, 55, "id.form", "letters and digits of a code"));
    }
}
