//! Records, written and read again.

use super::*;
use crate::sample::{self, Seeded};
use crate::{
    ApiKeyId, BatchId, ConversationId, DeploymentId, Entropy, ExchangeId, Head, Record, TenantId,
};
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
                2 => {
                    char::from_u32(0x1_0000 + u32::from_be_bytes(self.bytes()) % 0x10_0000).unwrap()
                }
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
        let kinds =
            [CoverKind::Inside, CoverKind::Agreement, CoverKind::Evidence, CoverKind::NoContent];
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
            batch: self.maybe(BatchId::from_bytes(self.bytes())),
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
                classes: self.of(&[&ContentClass::ALL[..], &[ContentClass::Answers], &[]]).to_vec(),
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
            Kind::BatchFile => Event::BatchFile {
                batch: BatchId::from_bytes(self.bytes()),
                destination: self.text(),
                outcome: self.text(),
                file: self.maybe(self.text()),
                reason: self.maybe(self.text()),
                count: self.maybe(self.number()),
                sha256: self.maybe(self.hash()),
            },
            Kind::AccessDenied => {
                Event::AccessDenied { actor, reason: self.text(), count: self.number() }
            }
            Kind::TilesRead => Event::TilesRead { actor, size: self.number() },
            Kind::Searched => {
                Event::Searched { actor, filters: self.many(|| self.text()), count: self.number() }
            }
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
            Kind::CacheMismatch => Event::CacheMismatch { reason: self.text(), route: self.text() },
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
        let (bytes, exact) = write(&record.frame(), &record.event);
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
        let sealed = head.seal_next(record.log, record.time, &record.event);
        let at_start = Record { seq: 0, prev: Hash::ZERO, ..record };
        prop_assert_eq!(sealed.is_ok(), write(&at_start.frame(), &at_start.event).1);
        prop_assert_eq!(sealed.is_ok(), head.size() == 1);
        if let Ok(sealed) = sealed {
            prop_assert_eq!(Record::from_bytes(&sealed.bytes).unwrap().to_bytes(), sealed.bytes);
        }
    }
}
