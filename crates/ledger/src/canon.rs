//! Writes a record in its one canonical form: RFC 8785 (JCS) JSON.
//!
//! A general serializer must collect every object, sort it and look at every number as a float. The
//! fields of a record are known, so they are laid out by [`Field`], whose order is the order of
//! RFC 8785, and written once. A property test holds the bytes to those of another implementation.

use crate::form::{Field, Kind};
use crate::scan::{MAX_INTEGER, cmp_utf16, plain_length};
use crate::{
    About, Actor, ActorKind, Change, ChangeKind, ContentClass, Cover, CoverKind, Day, Disposal,
    Event, Hash, Intent, LogId, Outcome, ReplyContent, Surrogates, Time, Unit, Usage,
};
use data_encoding::HEXLOWER;
use std::collections::BTreeMap;

/// Room for an ordinary record of an exchange, so that its buffer need not grow.
const ORDINARY_BYTES: usize = 1536;

/// What can stand in a record.
pub(crate) trait Canonical {
    /// Writes the value.
    fn write(&self, out: &mut Writer);

    /// Whether there is nothing to say, so that the field is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// One member of an object: its key, its value.
type Member<'a, Key> = (Key, &'a dyn Canonical);

/// The bytes as they grow.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    exact: bool,
}

impl Writer {
    /// A string of pieces that need no escape.
    pub(crate) fn plain(&mut self, pieces: &[&[u8]]) {
        self.bytes.push(b'"');
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.bytes.push(b'"');
    }

    /// Any string, with the escapes of RFC 8785 section 3.2.2.2.
    fn string(&mut self, text: &str) {
        self.bytes.push(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (plain, special) = rest.split_at(plain_length(rest));
            self.bytes.extend_from_slice(plain);
            let Some((byte, after)) = special.split_first() else { break };
            self.escape(*byte);
            rest = after;
        }
        self.bytes.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            _ => {
                self.bytes.extend_from_slice(b"\\u00");
                let mut digits = [0; 2];
                HEXLOWER.encode_mut(&[byte], &mut digits);
                return self.bytes.extend_from_slice(&digits);
            }
        };
        self.bytes.extend_from_slice(&[b'\\', short]);
    }

    /// An integer, which JSON must keep exact (RFC 8785 section 3.2.2.3).
    fn integer(&mut self, number: u64) {
        self.exact &= number <= MAX_INTEGER;
        let (mut digits, mut rest, mut from) = ([b'0'; 20], number, 20);
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            from -= 1;
            if rest == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(digits.get(from..).unwrap_or_default());
    }

    /// What `each` writes of the items, between brackets and with commas.
    fn list<T>(&mut self, ends: [u8; 2], items: impl Iterator<Item = T>, each: fn(&mut Self, T)) {
        let [open, close] = ends;
        self.bytes.push(open);
        let mut first = true;
        for item in items {
            if !first {
                self.bytes.push(b',');
            }
            first = false;
            each(self, item);
        }
        self.bytes.push(close);
    }

    /// An object. The keys are in their order and need no escape.
    fn object<'a>(&mut self, members: impl Iterator<Item = Member<'a, &'static str>>) {
        let present = members.filter(|(_, value)| !value.is_absent());
        self.list(*b"{}", present, |out, (key, value)| {
            out.plain(&[key.as_bytes()]);
            out.bytes.push(b':');
            value.write(out);
        });
    }
}

impl Canonical for u64 {
    fn write(&self, out: &mut Writer) {
        out.integer(*self);
    }
}

impl Canonical for u32 {
    fn write(&self, out: &mut Writer) {
        out.integer(u64::from(*self));
    }
}

impl Canonical for bool {
    fn write(&self, out: &mut Writer) {
        out.bytes.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Canonical for String {
    fn write(&self, out: &mut Writer) {
        out.string(self);
    }
}

impl Canonical for Time {
    fn write(&self, out: &mut Writer) {
        out.plain(&[&self.plain_text()]);
    }
}

impl Canonical for Day {
    fn write(&self, out: &mut Writer) {
        out.plain(&[&self.plain_text()]);
    }
}

impl Canonical for Hash {
    fn write(&self, out: &mut Writer) {
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(self.as_bytes(), &mut digits);
        out.plain(&[&digits]);
    }
}

impl Canonical for LogId {
    fn write(&self, out: &mut Writer) {
        let (deployment, tenant) = (self.deployment.text(), self.tenant.text());
        out.plain(&[b"bulla/", &deployment, b"/", &tenant]);
    }
}

macro_rules! words {
    ($($enum:ident),*) => {$(
        impl Canonical for $enum {
            fn write(&self, out: &mut Writer) {
                out.plain(&[self.text().as_bytes()]);
            }
        }
    )*};
}

words! { ActorKind, ChangeKind, ContentClass, CoverKind, Kind }

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, out: &mut Writer) {
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write(&self, out: &mut Writer) {
        out.list(*b"[]", self.iter(), |out, item| item.write(out));
    }
}

impl<T: Canonical> Canonical for BTreeMap<String, T> {
    fn write(&self, out: &mut Writer) {
        // The map is sorted by UTF-8, the record by UTF-16.
        let mut members: Vec<_> = self.iter().collect();
        members.sort_by(|(a, _), (b, _)| cmp_utf16(a, b));
        out.list(*b"{}", members.into_iter(), |out, (key, value)| {
            out.string(key);
            out.bytes.push(b':');
            value.write(out);
        });
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Objects inside a record. A field that is forgotten here does not compile; one in the wrong
/// place does not pass the tests.
macro_rules! objects {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Canonical for $type {
            fn write(&self, out: &mut Writer) {
                let Self { $($field),* } = self;
                let members: [Member<'_, &'static str>; _] = [$((stringify!($field), $field)),*];
                out.object(members.into_iter());
            }
        }
    )*};
}

objects! {
    Actor { id, kind, name }
    Change { change, object }
    Cover { by, hop, id, region }
    ReplyContent { bytes, digest, findings, restored, unknown, windows }
    Surrogates { minted, read }
    Usage { completion, prompt }
}

/// The fields of one record, each in its place.
struct Members<'a> {
    places: [Option<Member<'a, Field>>; Field::COUNT],
}

impl<'a> Members<'a> {
    fn put<const N: usize>(&mut self, members: [Member<'a, Field>; N]) {
        for (field, value) in members {
            if let Some(place) = self.places.get_mut(field as usize) {
                *place = Some((field, value));
            }
        }
    }

    /// A list that is left out when it is empty.
    fn put_some<T: Canonical>(&mut self, field: Field, list: &'a Vec<T>) {
        if !list.is_empty() {
            self.put([(field, list)]);
        }
    }

    fn put_record(&mut self, frame: &'a Frame, event: &'a Event) {
        let Frame { v, log, seq, prev, time } = frame;
        self.put([
            (Field::V, v),
            (Field::Log, log),
            (Field::Seq, seq),
            (Field::Prev, prev),
            (Field::Time, time),
        ]);
        self.put_event(event);
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
    fn put_event(&mut self, event: &'a Event) {
        match event {
            Event::LogOpened { deployment, tenant, organisation, verifier_key } => self.put([
                (Field::Kind, &Kind::LogOpened),
                (Field::Deployment, deployment),
                (Field::Tenant, tenant),
                (Field::Organisation, organisation),
                (Field::VerifierKey, verifier_key),
            ]),
            Event::Intent(intent) => self.put_intent(intent),
            Event::Outcome(outcome) => self.put_outcome(outcome),
            Event::ConfigurationApplied { actor, version, sha256, changes } => self.put([
                (Field::Kind, &Kind::ConfigurationApplied),
                (Field::Actor, actor),
                (Field::Version, version),
                (Field::Sha256, sha256),
                (Field::Changes, changes),
            ]),
            Event::ApiKeyCreated { actor, key, owner, purpose, expires, role } => self.put([
                (Field::Kind, &Kind::ApiKeyCreated),
                (Field::Actor, actor),
                (Field::Key, key),
                (Field::Owner, owner),
                (Field::Purpose, purpose),
                (Field::Expires, expires),
                (Field::Role, role),
            ]),
            Event::ApiKeyRevoked { actor, key } => self.put([
                (Field::Kind, &Kind::ApiKeyRevoked),
                (Field::Actor, actor),
                (Field::Key, key),
            ]),
            Event::Exported { actor, size } => self.put([
                (Field::Kind, &Kind::Exported),
                (Field::Actor, actor),
                (Field::Size, size),
            ]),
            Event::Streamed { actor, from, size } => self.put([
                (Field::Kind, &Kind::Streamed),
                (Field::Actor, actor),
                (Field::From, from),
                (Field::Size, size),
            ]),
            Event::ContentRead { actor, exchange, reason } => self.put([
                (Field::Kind, &Kind::ContentRead),
                (Field::Actor, actor),
                (Field::Exchange, exchange),
                (Field::Reason, reason),
            ]),
            Event::AnswerWithdrawn { actor, exchange } => self.put([
                (Field::Kind, &Kind::AnswerWithdrawn),
                (Field::Actor, actor),
                (Field::Exchange, exchange),
            ]),
            Event::AccessRefused { count } => {
                self.put([(Field::Kind, &Kind::AccessRefused), (Field::Count, count)]);
            }
            Event::Started { actor, version } => self.put([
                (Field::Kind, &Kind::Started),
                (Field::Actor, actor),
                (Field::Version, version),
            ]),
            Event::Stopped { actor } => {
                self.put([(Field::Kind, &Kind::Stopped), (Field::Actor, actor)]);
            }
            Event::AgreementExpiring { agreement, expires, days } => self.put([
                (Field::Kind, &Kind::AgreementExpiring),
                (Field::Agreement, agreement),
                (Field::Expires, expires),
                (Field::Days, days),
            ]),
            Event::AgreementFiled { actor, agreement, sha256, size, signatories, signed } => {
                self.put([
                    (Field::Kind, &Kind::AgreementFiled),
                    (Field::Actor, actor),
                    (Field::Agreement, agreement),
                    (Field::Sha256, sha256),
                    (Field::Size, size),
                    (Field::Signed, signed),
                ]);
                self.put_some(Field::Signatories, signatories);
            }
            Event::AgreementRead { actor, agreement, sha256 } => self.put([
                (Field::Kind, &Kind::AgreementRead),
                (Field::Actor, actor),
                (Field::Agreement, agreement),
                (Field::Sha256, sha256),
            ]),
            Event::AgreementDisposed { actor, agreement, sha256, authority } => self.put([
                (Field::Kind, &Kind::AgreementDisposed),
                (Field::Actor, actor),
                (Field::Agreement, agreement),
                (Field::Sha256, sha256),
                (Field::Authority, authority),
            ]),
            Event::Anchored { size, authority, stamped, sha256 } => self.put([
                (Field::Kind, &Kind::Anchored),
                (Field::Size, size),
                (Field::Authority, authority),
                (Field::Stamped, stamped),
                (Field::Sha256, sha256),
            ]),
            Event::AnchorFailing { authority, reason } => self.put([
                (Field::Kind, &Kind::AnchorFailing),
                (Field::Authority, authority),
                (Field::Reason, reason),
            ]),
            Event::ClockSkewed { authority, stamped } => self.put([
                (Field::Kind, &Kind::ClockSkewed),
                (Field::Authority, authority),
                (Field::Stamped, stamped),
            ]),
            Event::Disposed { actor, scope, classes, authority, reason, count, held, sha256 } => {
                self.put([
                    (Field::Kind, &Kind::Disposed),
                    (Field::Actor, actor),
                    (Field::Classes, classes),
                    (Field::Authority, authority),
                    (Field::Reason, reason),
                    (Field::Count, count),
                    (Field::Held, held),
                    (Field::Sha256, sha256),
                ]);
                match scope {
                    Disposal::Exchange(exchange) => self.put([(Field::Exchange, exchange)]),
                    Disposal::Conversation(id) => self.put([(Field::Conversation, id)]),
                    Disposal::Before(day) => self.put([(Field::Before, day)]),
                }
            }
            Event::HoldPlaced { actor, hold, unit, authority } => {
                self.put([
                    (Field::Kind, &Kind::HoldPlaced),
                    (Field::Actor, actor),
                    (Field::Hold, hold),
                    (Field::Authority, authority),
                ]);
                match unit {
                    Some(Unit::Exchange(exchange)) => self.put([(Field::Exchange, exchange)]),
                    Some(Unit::Conversation(id)) => self.put([(Field::Conversation, id)]),
                    None => {}
                }
            }
            Event::HoldReleased { actor, hold, authority } => self.put([
                (Field::Kind, &Kind::HoldReleased),
                (Field::Actor, actor),
                (Field::Hold, hold),
                (Field::Authority, authority),
            ]),
            Event::Pruned { actor, size, root, authority, sha256 } => self.put([
                (Field::Kind, &Kind::Pruned),
                (Field::Actor, actor),
                (Field::Size, size),
                (Field::Root, root),
                (Field::Authority, authority),
                (Field::Sha256, sha256),
            ]),
            Event::KeyRotated { actor, level, former, current } => self.put([
                (Field::Kind, &Kind::KeyRotated),
                (Field::Actor, actor),
                (Field::Level, level),
                (Field::Former, former),
                (Field::Current, current),
            ]),
            Event::Offboarded { actor, authority, sha256 } => self.put([
                (Field::Kind, &Kind::Offboarded),
                (Field::Actor, actor),
                (Field::Authority, authority),
                (Field::Sha256, sha256),
            ]),
            Event::FeedFailing { feed, reason } => self.put([
                (Field::Kind, &Kind::FeedFailing),
                (Field::Feed, feed),
                (Field::Reason, reason),
            ]),
            Event::CopyFailing { copy, reason } => self.put([
                (Field::Kind, &Kind::CopyFailing),
                (Field::Copy, copy),
                (Field::Reason, reason),
            ]),
            Event::BatchFile { batch, destination, outcome, file, reason, count, sha256 } => {
                self.put([
                    (Field::Kind, &Kind::BatchFile),
                    (Field::Batch, batch),
                    (Field::Destination, destination),
                    (Field::Outcome, outcome),
                    (Field::File, file),
                    (Field::Reason, reason),
                    (Field::Count, count),
                    (Field::Sha256, sha256),
                ]);
            }
            Event::AccessDenied { actor, reason, count } => self.put([
                (Field::Kind, &Kind::AccessDenied),
                (Field::Actor, actor),
                (Field::Reason, reason),
                (Field::Count, count),
            ]),
            Event::TilesRead { actor, size } => self.put([
                (Field::Kind, &Kind::TilesRead),
                (Field::Actor, actor),
                (Field::Size, size),
            ]),
            Event::Searched { actor, filters, count } => self.put([
                (Field::Kind, &Kind::Searched),
                (Field::Actor, actor),
                (Field::Filters, filters),
                (Field::Count, count),
            ]),
            Event::Reported { actor, from, size, sha256 } => self.put([
                (Field::Kind, &Kind::Reported),
                (Field::Actor, actor),
                (Field::From, from),
                (Field::Size, size),
                (Field::Sha256, sha256),
            ]),
            Event::Reviewed { actor, reviewer, from, size, sha256, reason } => self.put([
                (Field::Kind, &Kind::Reviewed),
                (Field::Actor, actor),
                (Field::Reviewer, reviewer),
                (Field::From, from),
                (Field::Size, size),
                (Field::Sha256, sha256),
                (Field::Reason, reason),
            ]),
            Event::ReviewOverdue { expires, days } => self.put([
                (Field::Kind, &Kind::ReviewOverdue),
                (Field::Expires, expires),
                (Field::Days, days),
            ]),
            Event::SelfTestPassed { count, policy } => self.put([
                (Field::Kind, &Kind::SelfTestPassed),
                (Field::Count, count),
                (Field::Policy, policy),
            ]),
            Event::SelfTestFailed { reason, route, api, policy } => self.put([
                (Field::Kind, &Kind::SelfTestFailed),
                (Field::Reason, reason),
                (Field::Route, route),
                (Field::Api, api),
                (Field::Policy, policy),
            ]),
            Event::CacheMismatch { reason, route } => self.put([
                (Field::Kind, &Kind::CacheMismatch),
                (Field::Reason, reason),
                (Field::Route, route),
            ]),
        }
    }

    fn put_intent(&mut self, intent: &'a Intent) {
        let Intent { about, surrogates } = intent;
        self.put_about(about);
        self.put([(Field::Kind, &Kind::Intent), (Field::Surrogates, surrogates)]);
    }

    fn put_outcome(&mut self, outcome: &'a Outcome) {
        let Outcome { about, outcome, code, reason, intent, reply, upstream_request, usage } =
            outcome;
        self.put_about(about);
        self.put([
            (Field::Kind, &Kind::Outcome),
            (Field::Outcome, outcome),
            (Field::Code, code),
            (Field::Reason, reason),
            (Field::Intent, intent),
            (Field::Reply, reply),
            (Field::UpstreamRequest, upstream_request),
            (Field::Usage, usage),
        ]);
    }

    fn put_about(&mut self, about: &'a About) {
        let About {
            exchange,
            actor,
            surface,
            purpose,
            conversation,
            api,
            stream,
            route,
            policy,
            detector,
            findings,
            treatments,
            categories,
            decision,
            rules,
            destination,
            path,
            considered,
            retry_of,
            prompt,
            key_day,
            patient,
            decided,
            minimum,
            removed,
            alert,
            reduced_by,
            previous,
            capabilities,
            batch,
        } = about;
        self.put([
            (Field::Exchange, exchange),
            (Field::Actor, actor),
            (Field::Surface, surface),
            (Field::Purpose, purpose),
            (Field::Conversation, conversation),
            (Field::Api, api),
            (Field::Stream, stream),
            (Field::Route, route),
            (Field::Policy, policy),
            (Field::Detector, detector),
            (Field::Findings, findings),
            (Field::Treatments, treatments),
            (Field::Considered, considered),
            (Field::RetryOf, retry_of),
            (Field::Decision, decision),
            (Field::Destination, destination),
            (Field::Prompt, prompt),
            (Field::KeyDay, key_day),
            (Field::Patient, patient),
            (Field::Decided, decided),
            (Field::Minimum, minimum),
            (Field::Removed, removed),
            (Field::Alert, alert),
            (Field::ReducedBy, reduced_by),
            (Field::Previous, previous),
            (Field::Capabilities, capabilities),
            (Field::Batch, batch),
        ]);
        self.put_some(Field::Rules, rules);
        self.put_some(Field::Categories, categories);
        self.put_some(Field::Path, path);
    }
}

/// What a record says beside its event. The event stays where it is: whoever appends it has more to do
/// with it, and it may be long.
pub(crate) struct Frame {
    pub(crate) v: u32,
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
    pub(crate) time: Time,
}

/// The bytes of a record, and whether every number in them is one that JSON keeps exact.
pub(crate) fn write(frame: &Frame, event: &Event) -> (Vec<u8>, bool) {
    let mut members = Members { places: [None; Field::COUNT] };
    members.put_record(frame, event);
    let mut out = Writer { bytes: Vec::with_capacity(ORDINARY_BYTES), exact: true };
    let present = members.places.into_iter().flatten();
    out.object(present.map(|(field, value)| (field.text(), value)));
    (out.bytes, out.exact)
}

#[cfg(test)]
mod tests;
