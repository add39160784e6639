//! A fast, strict reading of a record: everything is checked, only what verification needs is kept.
//!
//! [`Glance::read`] accepts exactly the bytes that [`Record::from_bytes`](crate::Record::from_bytes)
//! accepts; a property test holds the two together. It exists because a full parse allocates for
//! every field and costs several times the hashing.

use crate::form::{Field, Fields, Kind};
use crate::scan::{Refused, Scanner};
use crate::{
    ActorKind, ApiKeyId, BatchId, ChangeKind, ContentClass, ConversationId, CoverKind, Day,
    DeploymentId, Disposal, ExchangeId, Hash, LogId, RECORD_VERSION, TenantId, Time, Unit,
};
use std::borrow::Cow;
use std::str::FromStr;

/// What verification needs of one record.
#[derive(Debug)]
pub(crate) struct Glance<'a> {
    pub(crate) log: Cow<'a, str>,
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
    pub(crate) time: Time,
    pub(crate) body: Body<'a>,
}

/// What verification needs of one kind of record.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    Opened {
        deployment: Cow<'a, str>,
        tenant: Cow<'a, str>,
        organisation: Cow<'a, str>,
        verifier_key: Cow<'a, str>,
    },
    Intent {
        about: Sealed,
    },
    Outcome {
        about: Sealed,
        intent: Option<u64>,
        reply: Option<Answer>,
    },
    Anchored {
        /// SHA-256 of the token.
        token: Hash,
    },
    Skewed {
        /// What the authority said the time was.
        stamped: Time,
    },
    Disposed {
        scope: Disposal,
        /// A bit for each class.
        classes: Classes,
        authority: Cow<'a, str>,
    },
    AgreementDisposed,
    HoldPlaced {
        hold: Cow<'a, str>,
        unit: Option<Unit>,
    },
    HoldReleased {
        hold: Cow<'a, str>,
    },
    Pruned {
        size: u64,
        root: Hash,
        authority: Cow<'a, str>,
        /// Whether it names a signed decision.
        decided: bool,
    },
    Offboarded {
        authority: Cow<'a, str>,
    },
    Other,
}

/// What verification needs of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) exchange: ExchangeId,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) prompt: Option<Hash>,
    pub(crate) key_day: Option<Day>,
}

/// A set of classes of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    /// Puts one in; whether it was not there.
    fn insert(&mut self, class: ContentClass) -> bool {
        let bit = 1 << class as u8;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    pub(crate) const fn has(self, class: ContentClass) -> bool {
        self.0 & (1 << class as u8) != 0
    }
}

/// The sealed answer to which an outcome commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) windows: u64,
    pub(crate) digest: Hash,
}

/// Values of fields, while the record is being read.
#[derive(Default)]
struct Parts<'a, 'k> {
    known: Option<&'k str>,
    seen: Fields,
    kind: Option<Kind>,
    log: Cow<'a, str>,
    seq: u64,
    prev: Option<Hash>,
    time: Option<Time>,
    deployment: Cow<'a, str>,
    tenant: Cow<'a, str>,
    organisation: Cow<'a, str>,
    verifier_key: Cow<'a, str>,
    exchange: Option<ExchangeId>,
    conversation: Option<ConversationId>,
    prompt: Option<Hash>,
    key_day: Option<Day>,
    before: Option<Day>,
    classes: Classes,
    authority: Cow<'a, str>,
    hold: Cow<'a, str>,
    intent: Option<u64>,
    reply: Option<Answer>,
    sha256: Option<Hash>,
    size: u64,
    root: Option<Hash>,
    stamped: Option<Time>,
    version_is_number: bool,
}

impl<'a> Glance<'a> {
    /// Reads a record's bytes; refuses what is not one in its one canonical form.
    ///
    /// `known` is the name of a log that was parsed before: records of that log need not have it
    /// parsed again.
    pub(crate) fn read(bytes: &'a [u8], known: Option<&str>) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refused)?;
        let mut scanner = Scanner::new(text);
        let mut parts = Parts { known, ..Parts::default() };
        scanner.object(|scanner, key| parts.member(scanner, Field::of(key)?))?;
        scanner.end()?;
        parts.finish()
    }
}

impl<'a> Parts<'a, '_> {
    fn member(&mut self, scanner: &mut Scanner<'a>, field: Field) -> Result<(), Refused> {
        self.seen.insert(field);
        match field {
            Field::Kind => self.kind = Some(Kind::of(&scanner.string()?)?),
            Field::Log => {
                self.log = scanner.string()?;
                if self.known != Some(&*self.log) {
                    self.log.parse::<LogId>().map_err(|_| Refused)?;
                }
            }
            Field::Seq => self.seq = scanner.integer()?,
            Field::Prev => self.prev = Some(parsed(scanner)?),
            Field::Time => self.time = Some(time(scanner)?),
            Field::V => {
                if scanner.integer()? != u64::from(RECORD_VERSION) {
                    return Err(Refused);
                }
            }
            Field::Deployment => self.deployment = named::<DeploymentId>(scanner)?,
            Field::Tenant => self.tenant = named::<TenantId>(scanner)?,
            Field::Organisation => self.organisation = scanner.string()?,
            Field::VerifierKey => self.verifier_key = scanner.string()?,
            Field::Exchange => self.exchange = Some(parsed(scanner)?),
            Field::Prompt => self.prompt = Some(parsed(scanner)?),
            Field::Intent => self.intent = Some(scanner.integer()?),
            Field::Reply => self.reply = Some(reply(scanner)?),
            Field::Version => self.version_is_number = version(scanner)?,
            Field::Actor => actor(scanner)?,
            Field::Conversation => self.conversation = Some(parsed(scanner)?),
            Field::KeyDay => self.key_day = Some(parsed(scanner)?),
            Field::Batch => drop(parsed::<BatchId>(scanner)?),
            Field::Before => self.before = Some(parsed(scanner)?),
            Field::Classes => self.classes = classes(scanner)?,
            Field::Authority => self.authority = scanner.string()?,
            Field::Hold => self.hold = scanner.string()?,
            Field::Key => drop(parsed::<ApiKeyId>(scanner)?),
            Field::Sha256 => self.sha256 = Some(parsed(scanner)?),
            Field::Stamped => self.stamped = Some(time(scanner)?),
            Field::Policy | Field::Patient => drop(parsed::<Hash>(scanner)?),
            Field::Filters => scanner.array(|scanner| scanner.string().map(drop))?,
            Field::Decided | Field::Expires => drop(time(scanner)?),
            Field::Days => drop(u32::try_from(scanner.integer()?).map_err(|_| Refused)?),
            Field::Size => self.size = scanner.integer()?,
            Field::Root => self.root = Some(parsed(scanner)?),
            Field::Count | Field::From | Field::Held => drop(scanner.integer()?),
            Field::Stream => drop(scanner.boolean()?),
            Field::Findings | Field::Removed => counts(scanner)?,
            Field::Capabilities | Field::Considered | Field::Minimum | Field::Treatments => {
                names(scanner)?;
            }
            Field::Previous | Field::ReducedBy | Field::RetryOf => another(scanner)?,
            Field::Signed => drop(parsed::<Day>(scanner)?),
            Field::Categories | Field::Rules | Field::Signatories => {
                some(scanner, |scanner| scanner.string().map(drop))?;
            }
            Field::Path => some(scanner, cover)?,
            Field::Changes => scanner.array(change)?,
            Field::Surrogates => numbers(scanner, ["minted", "read"])?,
            Field::Usage => numbers(scanner, ["completion", "prompt"])?,
            Field::Agreement
            | Field::Alert
            | Field::Api
            | Field::Code
            | Field::Copy
            | Field::Decision
            | Field::Destination
            | Field::Detector
            | Field::Current
            | Field::Feed
            | Field::File
            | Field::Former
            | Field::Level
            | Field::Outcome
            | Field::Owner
            | Field::Purpose
            | Field::Reason
            | Field::Reviewer
            | Field::Role
            | Field::Route
            | Field::Surface
            | Field::UpstreamRequest => drop(scanner.string()?),
        }
        Ok(())
    }

    fn sealed(&self) -> Result<Sealed, Refused> {
        Ok(Sealed {
            exchange: self.exchange.ok_or(Refused)?,
            conversation: self.conversation,
            prompt: self.prompt,
            key_day: self.key_day,
        })
    }

    /// What is disposed of or held alone; at most one thing.
    fn unit(&self) -> Result<Option<Unit>, Refused> {
        match (self.exchange, self.conversation) {
            (Some(_), Some(_)) => Err(Refused),
            (exchange, None) => Ok(exchange.map(Unit::Exchange)),
            (None, conversation) => Ok(conversation.map(Unit::Conversation)),
        }
    }

    fn finish(self) -> Result<Glance<'a>, Refused> {
        let kind = self.kind.ok_or(Refused)?;
        // The one field whose form depends on the kind.
        let numbered = kind == Kind::ConfigurationApplied;
        if !self.seen.fit(kind) || self.version_is_number != numbered {
            return Err(Refused);
        }
        let body = match kind {
            Kind::LogOpened => Body::Opened {
                deployment: self.deployment,
                tenant: self.tenant,
                organisation: self.organisation,
                verifier_key: self.verifier_key,
            },
            Kind::Intent => Body::Intent { about: self.sealed()? },
            Kind::Outcome => {
                Body::Outcome { about: self.sealed()?, intent: self.intent, reply: self.reply }
            }
            Kind::ClockSkewed => Body::Skewed { stamped: self.stamped.ok_or(Refused)? },
            Kind::Anchored => Body::Anchored { token: self.sha256.ok_or(Refused)? },
            Kind::Disposed => Body::Disposed {
                scope: match (self.unit()?, self.before) {
                    (Some(unit), None) => unit.into(),
                    (None, Some(day)) => Disposal::Before(day),
                    _ => return Err(Refused),
                },
                classes: self.classes,
                authority: self.authority,
            },
            Kind::AgreementDisposed => Body::AgreementDisposed,
            Kind::HoldPlaced => Body::HoldPlaced { unit: self.unit()?, hold: self.hold },
            Kind::HoldReleased => Body::HoldReleased { hold: self.hold },
            Kind::Pruned => Body::Pruned {
                size: self.size,
                root: self.root.ok_or(Refused)?,
                authority: self.authority,
                decided: self.sha256.is_some(),
            },
            Kind::Offboarded => Body::Offboarded { authority: self.authority },
            Kind::ConfigurationApplied
            | Kind::ApiKeyCreated
            | Kind::ApiKeyRevoked
            | Kind::Exported
            | Kind::Streamed
            | Kind::ContentRead
            | Kind::AnswerWithdrawn
            | Kind::AccessRefused
            | Kind::Started
            | Kind::Stopped
            | Kind::AgreementExpiring
            | Kind::AgreementFiled
            | Kind::AgreementRead
            | Kind::AnchorFailing
            | Kind::FeedFailing
            | Kind::CopyFailing
            | Kind::BatchFile
            | Kind::AccessDenied
            | Kind::TilesRead
            | Kind::Searched
            | Kind::Reported
            | Kind::Reviewed
            | Kind::ReviewOverdue
            | Kind::KeyRotated
            | Kind::SelfTestPassed
            | Kind::SelfTestFailed
            | Kind::CacheMismatch => Body::Other,
        };
        Ok(Glance {
            log: self.log,
            seq: self.seq,
            prev: self.prev.ok_or(Refused)?,
            time: self.time.ok_or(Refused)?,
            body,
        })
    }
}

fn parsed<T: FromStr>(scanner: &mut Scanner<'_>) -> Result<T, Refused> {
    scanner.string()?.parse().map_err(|_| Refused)
}

/// An id whose text is wanted.
fn named<'a, T: FromStr>(scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, Refused> {
    let text = scanner.string()?;
    text.parse::<T>().map_err(|_| Refused)?;
    Ok(text)
}

/// A time in the one form that [`Time`] is written in.
fn time(scanner: &mut Scanner<'_>) -> Result<Time, Refused> {
    Time::from_plain_text(scanner.string()?.as_bytes()).ok_or(Refused)
}

/// Whether the version is a number (of a configuration) and not a text (of the program).
fn version(scanner: &mut Scanner<'_>) -> Result<bool, Refused> {
    if scanner.integer().is_ok() {
        return Ok(true);
    }
    scanner.string().map(|_| false)
}

fn actor(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    let mut fields = 0;
    scanner.object(|scanner, key| {
        fields += 1;
        match key {
            "id" | "name" => scanner.string().map(drop),
            "kind" => word(scanner, ActorKind::of),
            _ => Err(Refused),
        }
    })?;
    if fields == 3 { Ok(()) } else { Err(Refused) }
}

fn cover(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    let mut needed = 0;
    scanner.object(|scanner, key| match key {
        "by" => {
            needed += 1;
            word(scanner, CoverKind::of)
        }
        "hop" => {
            needed += 1;
            scanner.string().map(drop)
        }
        "id" | "region" => scanner.string().map(drop),
        _ => Err(Refused),
    })?;
    if needed == 2 { Ok(()) } else { Err(Refused) }
}

fn change(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    let mut fields = 0;
    scanner.object(|scanner, key| {
        fields += 1;
        match key {
            "change" => word(scanner, ChangeKind::of),
            "object" => scanner.string().map(drop),
            _ => Err(Refused),
        }
    })?;
    if fields == 2 { Ok(()) } else { Err(Refused) }
}

/// A list of classes of content, each at most once.
fn classes(scanner: &mut Scanner<'_>) -> Result<Classes, Refused> {
    let mut classes = Classes::default();
    scanner.array(|scanner| {
        let class = ContentClass::of(&scanner.string()?)?;
        if classes.insert(class) { Ok(()) } else { Err(Refused) }
    })?;
    Ok(classes)
}

fn reply(scanner: &mut Scanner<'_>) -> Result<Answer, Refused> {
    let (mut needed, mut windows, mut digest) = (0, 0, None);
    scanner.object(|scanner, key| {
        needed += u32::from(key != "findings");
        match key {
            "bytes" | "restored" | "unknown" => scanner.integer().map(drop),
            "digest" => parsed(scanner).map(|hash| digest = Some(hash)),
            "findings" => counts(scanner),
            "windows" => scanner.integer().map(|count| windows = count),
            _ => Err(Refused),
        }
    })?;
    if needed != 5 {
        return Err(Refused);
    }
    Ok(Answer { windows, digest: digest.ok_or(Refused)? })
}

/// The id of another exchange.
fn another(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    parsed::<ExchangeId>(scanner).map(drop)
}

/// A map of counts, which is left out when it is empty.
fn counts(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    let mut empty = true;
    scanner.object(|scanner, _| {
        empty = false;
        scanner.integer().map(drop)
    })?;
    if empty { Err(Refused) } else { Ok(()) }
}

/// A map of names, which is left out when it is empty.
fn names(scanner: &mut Scanner<'_>) -> Result<(), Refused> {
    let mut empty = true;
    scanner.object(|scanner, _| {
        empty = false;
        scanner.string().map(drop)
    })?;
    if empty { Err(Refused) } else { Ok(()) }
}

/// A list, which is left out when it is empty.
fn some(
    scanner: &mut Scanner<'_>,
    item: impl Fn(&mut Scanner<'_>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let mut empty = true;
    scanner.array(|scanner| {
        empty = false;
        item(scanner)
    })?;
    if empty { Err(Refused) } else { Ok(()) }
}

/// An object of exactly these numbers.
fn numbers(scanner: &mut Scanner<'_>, names: [&str; 2]) -> Result<(), Refused> {
    let mut fields = 0;
    scanner.object(|scanner, key| {
        fields += 1;
        if names.contains(&key) { scanner.integer().map(drop) } else { Err(Refused) }
    })?;
    if fields == names.len() { Ok(()) } else { Err(Refused) }
}

/// A word of an enum.
fn word<T>(scanner: &mut Scanner<'_>, of: fn(&str) -> Result<T, Refused>) -> Result<(), Refused> {
    of(&scanner.string()?).map(drop)
}
