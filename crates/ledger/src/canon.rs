//! Writes a record in its one canonical form: RFC 8785 (JCS) JSON.
//!
//! A general serializer must collect every object, sort it and look at every number as a float. The
//! fields of a record are known, so they are laid out by [`Field`], whose order is the order of
//! RFC 8785, and written once. A property test holds the bytes to those of another implementation.

use crate::form::{Field, Kind};
use crate::scan::{MAX_INTEGER, cmp_utf16, plain_length};
use crate::{
    About, Actor, ActorKind, Change, ChangeKind, ContentClass, Cover, CoverKind, Day, Disposal,
    Event, Hash, Intent, LogId, Outcome, Record, ReplyContent, Surrogates, Time, Unit, Usage,
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

    fn put_record(&mut self, record: &'a Record) {
        let Record { v, log, seq, prev, time, event } = record;
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
        ]);
        self.put_some(Field::Rules, rules);
        self.put_some(Field::Categories, categories);
        self.put_some(Field::Path, path);
    }
}

/// The bytes of a record, and whether every number in them is one that JSON keeps exact.
pub(crate) fn write(record: &Record) -> (Vec<u8>, bool) {
    let mut members = Members { places: [None; Field::COUNT] };
    members.put_record(record);
    let mut out = Writer { bytes: Vec::with_capacity(ORDINARY_BYTES), exact: true };
    let present = members.places.into_iter().flatten();
    out.object(present.map(|(field, value)| (field.text(), value)));
    (out.bytes, out.exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Seeded};
    use crate::{ApiKeyId, ConversationId, DeploymentId, Entropy, ExchangeId, Head, TenantId};
    use proptest::prelude::*;

    /// Builds arbitrary records out of a seed.
    struct Dice(Seeded);

    impl Dice {
        fn bytes<const N: usize>(&self) -> [u8; N] {
            let mut bytes = [0; N];
            self.0.fill(&mut bytes);
            bytes
        }

        fn below(&self, n: u64) -> u64 {
            u64::from_be_bytes(self.bytes()) % n
        }

        fn of<T: Clone>(&self, choices: &[T]) -> T {
            choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
        }

        fn maybe<T>(&self, value: T) -> Option<T> {
            (self.below(3) > 0).then_some(value)
        }

        fn many<T>(&self, one: impl Fn() -> T) -> Vec<T> {
            (0..self.below(5)).map(|_| one()).collect()
        }

        /// Of every length in digits, and once in a while one that JSON does not keep.
        fn number(&self) -> u64 {
            match self.below(200) {
                0 => self.of(&[MAX_INTEGER + 1, 1 << 63, u64::MAX]),
                1..20 => self.of(&[0, 9, 10, MAX_INTEGER]),
                _ => self.below(MAX_INTEGER) >> self.below(53),
            }
        }

        fn text(&self) -> String {
            let odd = ['"', '\\', '/', '\0', '\u{8}', '\t', '\n', '\u{b}', '\u{c}', '\r'];
            let wide = ['\u{1f}', '\u{7f}', '\u{e9}', '\u{2028}', '\u{ff5e}', '\u{fffd}'];
            (0..self.below(12))
                .map(|_| match self.below(6) {
                    0 => self.of(&odd),
                    1 => self.of(&wide),
                    // Outside the first plane, where UTF-8 and UTF-16 sort differently.
                    2 => char::from_u32(0x1_0000 + u32::from_be_bytes(self.bytes()) % 0x10_0000)
                        .unwrap(),
                    _ => char::from(b' ' + u8::try_from(self.below(95)).unwrap()),
                })
                .collect()
        }

        fn time(&self) -> Time {
            Time::from_micros(match self.below(8) {
                0 => i64::from_be_bytes(self.bytes()),
                1 => 253_402_300_799_999_999 - i64::from_be_bytes(self.bytes()) % (1 << 50),
                _ => {
                    sample::time(i64::from(i32::from_be_bytes(self.bytes()))).as_micros()
                        + i64::from(u16::from_be_bytes(self.bytes()))
                }
            })
        }

        fn hash(&self) -> Hash {
            Hash::from_bytes(self.bytes())
        }

        fn counts(&self) -> BTreeMap<String, u64> {
            self.many(|| (self.text(), self.number())).into_iter().collect()
        }

        fn actor(&self) -> Actor {
            let kind = self.of(&[ActorKind::ApiKey, ActorKind::Operator, ActorKind::System]);
            Actor { kind, id: self.text(), name: self.text() }
        }

        fn cover(&self) -> Cover {
            let kinds = [
                CoverKind::Inside,
                CoverKind::Agreement,
                CoverKind::Evidence,
                CoverKind::NoContent,
            ];
            Cover {
                hop: self.text(),
                by: self.of(&kinds),
                id: self.maybe(self.text()),
                region: self.maybe(self.text()),
            }
        }

        fn about(&self) -> About {
            About {
                exchange: ExchangeId::from_bytes(self.bytes()),
                actor: self.actor(),
                surface: self.text(),
                purpose: self.maybe(self.text()),
                conversation: self.maybe(ConversationId::from_bytes(self.bytes())),
                api: self.text(),
                stream: self.of(&[true, false]),
                route: self.maybe(self.text()),
                policy: self.maybe(self.hash()),
                detector: self.maybe(self.text()),
                findings: self.counts(),
                treatments: self.many(|| (self.text(), self.text())).into_iter().collect(),
                categories: self.many(|| self.text()),
                decision: self.maybe(self.text()),
                rules: self.many(|| self.text()),
                destination: self.maybe(self.text()),
                path: self.many(|| self.cover()),
                considered: self.many(|| (self.text(), self.text())).into_iter().collect(),
                retry_of: self.maybe(ExchangeId::from_bytes(self.bytes())),
                prompt: self.maybe(self.hash()),
                key_day: self.maybe(self.time().day()),
                patient: self.maybe(self.hash()),
                decided: self.maybe(self.time()),
                minimum: self.many(|| (self.text(), self.text())).into_iter().collect(),
                removed: self.counts(),
                alert: self.maybe(self.text()),
                reduced_by: self.maybe(ExchangeId::from_bytes(self.bytes())),
                previous: self.maybe(ExchangeId::from_bytes(self.bytes())),
                capabilities: self.many(|| (self.text(), self.text())).into_iter().collect(),
            }
        }

        fn unit(&self) -> Unit {
            self.of(&[
                Unit::Exchange(ExchangeId::from_bytes(self.bytes())),
                Unit::Conversation(ConversationId::from_bytes(self.bytes())),
            ])
        }

        fn outcome(&self) -> Outcome {
            Outcome {
                about: self.about(),
                outcome: self.text(),
                code: self.maybe(self.text()),
                reason: self.maybe(self.text()),
                intent: self.maybe(self.number()),
                reply: self.maybe(ReplyContent {
                    windows: self.number(),
                    digest: self.hash(),
                    bytes: self.number(),
                    restored: self.number(),
                    unknown: self.number(),
                    findings: self.counts(),
                }),
                upstream_request: self.maybe(self.text()),
                usage: self.maybe(Usage { prompt: self.number(), completion: self.number() }),
            }
        }

        fn change(&self) -> Change {
            let kinds = [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed];
            Change { object: self.text(), change: self.of(&kinds) }
        }

        #[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
        fn event(&self) -> Event {
            let (actor, key) = (self.actor(), ApiKeyId::from_bytes(self.bytes()));
            match self.of(Kind::ALL) {
                Kind::LogOpened => Event::LogOpened {
                    deployment: DeploymentId::from_bytes(self.bytes()),
                    tenant: TenantId::from_bytes(self.bytes()),
                    organisation: self.text(),
                    verifier_key: self.text(),
                },
                Kind::Intent => Event::Intent(Box::new(Intent {
                    about: self.about(),
                    surrogates: Surrogates { minted: self.number(), read: self.number() },
                })),
                Kind::Outcome => Event::Outcome(Box::new(self.outcome())),
                Kind::ConfigurationApplied => Event::ConfigurationApplied {
                    actor,
                    version: self.number(),
                    sha256: self.hash(),
                    changes: self.many(|| self.change()),
                },
                Kind::ApiKeyCreated => Event::ApiKeyCreated {
                    actor,
                    key,
                    owner: self.text(),
                    purpose: self.maybe(self.text()),
                    expires: self.maybe(self.time()),
                    role: self.maybe(self.text()),
                },
                Kind::ApiKeyRevoked => Event::ApiKeyRevoked { actor, key },
                Kind::Exported => Event::Exported { actor, size: self.number() },
                Kind::Streamed => {
                    Event::Streamed { actor, from: self.number(), size: self.maybe(self.number()) }
                }
                Kind::ContentRead => Event::ContentRead {
                    actor,
                    exchange: ExchangeId::from_bytes(self.bytes()),
                    reason: self.text(),
                },
                Kind::AnswerWithdrawn => {
                    Event::AnswerWithdrawn { actor, exchange: ExchangeId::from_bytes(self.bytes()) }
                }
                Kind::AccessRefused => Event::AccessRefused { count: self.number() },
                Kind::Started => Event::Started { actor, version: self.text() },
                Kind::Stopped => Event::Stopped { actor },
                Kind::AgreementExpiring => Event::AgreementExpiring {
                    agreement: self.text(),
                    expires: self.time(),
                    days: u32::from_be_bytes(self.bytes()),
                },
                Kind::AgreementFiled => Event::AgreementFiled {
                    actor,
                    agreement: self.text(),
                    sha256: self.hash(),
                    size: self.number(),
                    signatories: [self.many(|| self.text()), vec![self.text()]].concat(),
                    signed: self.time().day(),
                },
                Kind::AgreementRead => {
                    Event::AgreementRead { actor, agreement: self.text(), sha256: self.hash() }
                }
                Kind::AgreementDisposed => Event::AgreementDisposed {
                    actor,
                    agreement: self.text(),
                    sha256: self.hash(),
                    authority: self.text(),
                },
                Kind::Anchored => Event::Anchored {
                    size: self.number(),
                    authority: self.text(),
                    stamped: self.time(),
                    sha256: self.hash(),
                },
                Kind::AnchorFailing => {
                    Event::AnchorFailing { authority: self.text(), reason: self.text() }
                }
                Kind::ClockSkewed => {
                    Event::ClockSkewed { authority: self.text(), stamped: self.time() }
                }
                Kind::Disposed => Event::Disposed {
                    actor,
                    scope: self.of(&[self.unit().into(), Disposal::Before(self.time().day())]),
                    classes: self
                        .of(&[&ContentClass::ALL[..], &[ContentClass::Answers], &[]])
                        .to_vec(),
                    authority: self.text(),
                    reason: self.text(),
                    count: self.number(),
                    held: self.number(),
                    sha256: self.maybe(self.hash()),
                },
                Kind::HoldPlaced => Event::HoldPlaced {
                    actor,
                    hold: self.text(),
                    unit: self.maybe(self.unit()),
                    authority: self.text(),
                },
                Kind::HoldReleased => {
                    Event::HoldReleased { actor, hold: self.text(), authority: self.text() }
                }
                Kind::Pruned => Event::Pruned {
                    actor,
                    size: self.number(),
                    root: self.hash(),
                    authority: self.text(),
                    sha256: self.maybe(self.hash()),
                },
                Kind::KeyRotated => Event::KeyRotated {
                    actor,
                    level: self.text(),
                    former: self.text(),
                    current: self.text(),
                },
                Kind::Offboarded => {
                    Event::Offboarded { actor, authority: self.text(), sha256: self.hash() }
                }
                Kind::FeedFailing => Event::FeedFailing { feed: self.text(), reason: self.text() },
                Kind::CopyFailing => Event::CopyFailing { copy: self.text(), reason: self.text() },
                Kind::AccessDenied => {
                    Event::AccessDenied { actor, reason: self.text(), count: self.number() }
                }
                Kind::TilesRead => Event::TilesRead { actor, size: self.number() },
                Kind::Searched => Event::Searched {
                    actor,
                    filters: self.many(|| self.text()),
                    count: self.number(),
                },
                Kind::Reported => Event::Reported {
                    actor,
                    from: self.number(),
                    size: self.number(),
                    sha256: self.hash(),
                },
                Kind::Reviewed => Event::Reviewed {
                    actor,
                    reviewer: self.text(),
                    from: self.number(),
                    size: self.number(),
                    sha256: self.hash(),
                    reason: self.maybe(self.text()),
                },
                Kind::ReviewOverdue => Event::ReviewOverdue {
                    expires: self.time(),
                    days: u32::from_be_bytes(self.bytes()),
                },
                Kind::SelfTestPassed => {
                    Event::SelfTestPassed { count: self.number(), policy: self.maybe(self.hash()) }
                }
                Kind::SelfTestFailed => Event::SelfTestFailed {
                    reason: self.text(),
                    route: self.maybe(self.text()),
                    api: self.maybe(self.text()),
                    policy: self.maybe(self.hash()),
                },
                Kind::CacheMismatch => {
                    Event::CacheMismatch { reason: self.text(), route: self.text() }
                }
            }
        }

        fn record(&self) -> Record {
            Record {
                v: crate::RECORD_VERSION,
                log: LogId {
                    deployment: DeploymentId::from_bytes(self.bytes()),
                    tenant: TenantId::from_bytes(self.bytes()),
                },
                seq: self.number(),
                prev: self.hash(),
                time: self.time(),
                event: self.event(),
            }
        }
    }

    fn check_string(text: &str, expected: &str) {
        let mut out = Writer { bytes: vec![], exact: true };
        out.string(text);
        assert_eq!(String::from_utf8(out.bytes).unwrap(), expected);
    }

    #[test]
    fn only_what_must_be_escaped_is_escaped() {
        check_string("", r#""""#);
        check_string("\"\\/\u{7f}\u{2028}\u{1f600}", "\"\\\"\\\\/\u{7f}\u{2028}\u{1f600}\"");
        check_string("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#);
        check_string("\0\u{b}\u{1f} ", r#""\u0000\u000b\u001f ""#);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_bytes_are_those_that_another_implementation_writes(seed in any::<u64>()) {
            let record = Dice(Seeded::new(seed)).record();
            let (bytes, exact) = write(&record);
            let text = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(exact, crate::is_canonical(&bytes), "{}", text);
            if exact {
                let other = serde_json_canonicalizer::to_vec(&record).unwrap();
                prop_assert_eq!(&text, &String::from_utf8_lossy(&other));
            }
        }

        #[test]
        fn what_is_sealed_is_read_back_and_what_is_not_exact_is_not_sealed(seed in any::<u64>()) {
            let record = Dice(Seeded::new(seed)).record();
            let mut head = Head::new();
            let sealed = head.seal_next(record.log, record.time, record.event.clone());
            let at_start = Record { seq: 0, prev: Hash::ZERO, ..record };
            prop_assert_eq!(sealed.is_ok(), write(&at_start).1);
            prop_assert_eq!(sealed.is_ok(), head.size() == 1);
            if let Ok(sealed) = sealed {
                prop_assert_eq!(Record::from_bytes(&sealed.bytes).unwrap().to_bytes(), sealed.bytes);
            }
        }
    }
}
