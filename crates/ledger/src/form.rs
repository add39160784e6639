//! The form of a record: its kinds, its fields, the words of its small enums.
//!
//! One table for both directions: [`canon`](crate::canon) writes the fields in the order of
//! [`Field`], [`glance`](crate::glance) reads them by it.

use crate::scan::Refused;
use crate::{ActorKind, ChangeKind, ContentClass, CoverKind};

/// Gives the variants of an enum their texts.
macro_rules! texts {
    ($enum:ident: $($name:ident = $text:literal,)*) => {
        impl $enum {
            /// The variant that is written so.
            pub(crate) fn of(text: &str) -> Result<Self, Refused> {
                Ok(match text { $($text => Self::$name,)* _ => return Err(Refused) })
            }

            /// How the variant is written. No text needs an escape in JSON.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

/// Declares an enum with the texts of its variants.
macro_rules! table {
    ($(#[$doc:meta])* $enum:ident: $($name:ident = $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum $enum { $($name,)* }

        impl $enum {
            /// All of them, in the order of their numbers.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }

        texts! { $enum: $($name = $text,)* }
    };
}

texts! { ActorKind: ApiKey = "api_key", Operator = "operator", System = "system", }
texts! { ChangeKind: Added = "added", Changed = "changed", Removed = "removed", }
texts! {
    ContentClass:
    Prompts = "prompts",
    Answers = "answers",
    Surrogates = "surrogates",
}
texts! {
    CoverKind:
    Inside = "inside",
    Agreement = "agreement",
    Evidence = "evidence",
    NoContent = "no_content",
}

table! {
    /// The kinds of records: what the variants of [`Event`](crate::Event) are called.
    Kind:
    LogOpened = "log.opened",
    Intent = "exchange.intent",
    Outcome = "exchange.outcome",
    ConfigurationApplied = "configuration.applied",
    ApiKeyCreated = "api_key.created",
    ApiKeyRevoked = "api_key.revoked",
    Exported = "audit.exported",
    Streamed = "audit.streamed",
    ContentRead = "content.read",
    AccessRefused = "access.refused",
    Started = "service.started",
    Stopped = "service.stopped",
    AgreementExpiring = "agreement.expiring",
    AgreementFiled = "agreement.filed",
    AgreementRead = "agreement.read",
    AgreementDisposed = "agreement.disposed",
    Anchored = "log.anchored",
    AnchorFailing = "anchor.failing",
    ClockSkewed = "clock.skewed",
    FeedFailing = "feed.failing",
    CopyFailing = "copy.failing",
    BatchFile = "batch.file",
    AccessDenied = "access.denied",
    TilesRead = "audit.tiles",
    Searched = "audit.searched",
    Reported = "activity.reported",
    Reviewed = "activity.reviewed",
    ReviewOverdue = "review.overdue",
    Disposed = "content.disposed",
    HoldPlaced = "hold.placed",
    HoldReleased = "hold.released",
    KeyRotated = "key.rotated",
    Pruned = "records.pruned",
    Offboarded = "tenant.offboarded",
    SelfTestPassed = "selftest.passed",
    SelfTestFailed = "selftest.failed",
    CacheMismatch = "cache.mismatch",
    AnswerWithdrawn = "answer.withdrawn",
}

table! {
    /// The fields of all kinds of records, in the order in which RFC 8785 sorts them.
    Field:
    Actor = "actor",
    Agreement = "agreement",
    Alert = "alert",
    Api = "api",
    Authority = "authority",
    Batch = "batch",
    Before = "before",
    Capabilities = "capabilities",
    Categories = "categories",
    Changes = "changes",
    Classes = "classes",
    Code = "code",
    Considered = "considered",
    Conversation = "conversation",
    Copy = "copy",
    Count = "count",
    Current = "current",
    Days = "days",
    Decided = "decided",
    Decision = "decision",
    Deployment = "deployment",
    Destination = "destination",
    Detector = "detector",
    Exchange = "exchange",
    Expires = "expires",
    Feed = "feed",
    File = "file",
    Filters = "filters",
    Findings = "findings",
    Former = "former",
    From = "from",
    Held = "held",
    Hold = "hold",
    Intent = "intent",
    Key = "key",
    KeyDay = "key_day",
    Kind = "kind",
    Level = "level",
    Log = "log",
    Minimum = "minimum",
    Organisation = "organisation",
    Outcome = "outcome",
    Owner = "owner",
    Path = "path",
    Patient = "patient",
    Policy = "policy",
    Prev = "prev",
    Previous = "previous",
    Prompt = "prompt",
    Purpose = "purpose",
    Reason = "reason",
    ReducedBy = "reduced_by",
    Removed = "removed",
    Reply = "reply",
    RetryOf = "retry_of",
    Reviewer = "reviewer",
    Role = "role",
    Root = "root",
    Route = "route",
    Rules = "rules",
    Seq = "seq",
    Sha256 = "sha256",
    Signatories = "signatories",
    Signed = "signed",
    Size = "size",
    Stamped = "stamped",
    Stream = "stream",
    Surface = "surface",
    Surrogates = "surrogates",
    Tenant = "tenant",
    Time = "time",
    Treatments = "treatments",
    UpstreamRequest = "upstream_request",
    Usage = "usage",
    V = "v",
    VerifierKey = "verifier_key",
    Version = "version",
}

/// A set of fields.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fields(u128);

impl Field {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Version as usize + 1;
}

impl Fields {
    /// Of every record.
    const FRAME: Self =
        Self::of([Field::V, Field::Log, Field::Seq, Field::Prev, Field::Time, Field::Kind]);
    /// Of every record of an exchange.
    const ABOUT: Self =
        Self::of([Field::Exchange, Field::Actor, Field::Surface, Field::Api, Field::Stream]);
    /// Of records of an exchange, when there is something to say.
    const ABOUT_MAY: Self = Self::of([
        Field::Purpose,
        Field::Conversation,
        Field::Route,
        Field::Policy,
        Field::Detector,
        Field::Findings,
        Field::Treatments,
        Field::Categories,
        Field::Considered,
        Field::RetryOf,
        Field::Decision,
        Field::Rules,
        Field::Destination,
        Field::Path,
        Field::Prompt,
        Field::KeyDay,
        Field::Patient,
        Field::Decided,
        Field::Minimum,
        Field::Removed,
        Field::Alert,
        Field::ReducedBy,
        Field::Previous,
        Field::Capabilities,
        Field::Batch,
    ]);

    const fn of<const N: usize>(fields: [Field; N]) -> Self {
        let mut set = Self(0);
        let mut rest: &[Field] = &fields;
        while let [first, tail @ ..] = rest {
            set.insert(*first);
            rest = tail;
        }
        set
    }

    const fn and<const N: usize>(self, fields: [Field; N]) -> Self {
        Self(self.0 | Self::of(fields).0)
    }

    /// Puts one more field in.
    pub(crate) const fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u8;
    }

    /// Whether these are fields that a record of this kind can have.
    pub(crate) const fn fit(self, kind: Kind) -> bool {
        let (must, may) = kind.fields();
        let must = must.0 | Self::FRAME.0;
        self.0 & must == must && self.0 & !(must | may.0) == 0
    }
}

impl Kind {
    /// Which fields a record of the kind must have besides the frame, and which it may have.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
    const fn fields(self) -> (Fields, Fields) {
        const NONE: Fields = Fields(0);
        const ACTOR: Fields = Fields::of([Field::Actor]);
        match self {
            Self::LogOpened => (
                Fields::of([
                    Field::Deployment,
                    Field::Tenant,
                    Field::Organisation,
                    Field::VerifierKey,
                ]),
                NONE,
            ),
            Self::Intent => (Fields::ABOUT.and([Field::Surrogates]), Fields::ABOUT_MAY),
            Self::Outcome => (
                Fields::ABOUT.and([Field::Outcome]),
                Fields::ABOUT_MAY.and([
                    Field::Code,
                    Field::Reason,
                    Field::Intent,
                    Field::Reply,
                    Field::UpstreamRequest,
                    Field::Usage,
                ]),
            ),
            Self::ConfigurationApplied => {
                (ACTOR.and([Field::Version, Field::Sha256, Field::Changes]), NONE)
            }
            Self::ApiKeyCreated => (
                ACTOR.and([Field::Key, Field::Owner]),
                Fields::of([Field::Purpose, Field::Expires, Field::Role]),
            ),
            Self::ApiKeyRevoked => (ACTOR.and([Field::Key]), NONE),
            Self::Exported | Self::TilesRead => (ACTOR.and([Field::Size]), NONE),
            Self::Streamed => (ACTOR.and([Field::From]), Fields::of([Field::Size])),
            Self::ContentRead => (ACTOR.and([Field::Exchange, Field::Reason]), NONE),
            Self::AccessRefused => (Fields::of([Field::Count]), NONE),
            Self::Started => (ACTOR.and([Field::Version]), NONE),
            Self::Stopped => (ACTOR, NONE),
            Self::AgreementExpiring => {
                (Fields::of([Field::Agreement, Field::Expires, Field::Days]), NONE)
            }
            Self::AgreementFiled => (
                ACTOR.and([
                    Field::Agreement,
                    Field::Sha256,
                    Field::Size,
                    Field::Signatories,
                    Field::Signed,
                ]),
                NONE,
            ),
            Self::AgreementRead => (ACTOR.and([Field::Agreement, Field::Sha256]), NONE),
            Self::AgreementDisposed => {
                (ACTOR.and([Field::Agreement, Field::Sha256, Field::Authority]), NONE)
            }
            Self::Anchored => {
                (Fields::of([Field::Size, Field::Authority, Field::Stamped, Field::Sha256]), NONE)
            }
            Self::AnchorFailing => (Fields::of([Field::Authority, Field::Reason]), NONE),
            Self::ClockSkewed => (Fields::of([Field::Authority, Field::Stamped]), NONE),
            Self::FeedFailing => (Fields::of([Field::Feed, Field::Reason]), NONE),
            Self::CopyFailing => (Fields::of([Field::Copy, Field::Reason]), NONE),
            Self::BatchFile => (
                Fields::of([Field::Batch, Field::Destination, Field::Outcome]),
                Fields::of([Field::File, Field::Reason, Field::Count, Field::Sha256]),
            ),
            Self::AccessDenied => (ACTOR.and([Field::Reason, Field::Count]), NONE),
            Self::Searched => (ACTOR.and([Field::Filters, Field::Count]), NONE),
            Self::Reported => (ACTOR.and([Field::From, Field::Size, Field::Sha256]), NONE),
            Self::Reviewed => (
                ACTOR.and([Field::Reviewer, Field::From, Field::Size, Field::Sha256]),
                Fields::of([Field::Reason]),
            ),
            Self::ReviewOverdue => (Fields::of([Field::Expires, Field::Days]), NONE),
            Self::Disposed => (
                ACTOR.and([
                    Field::Classes,
                    Field::Authority,
                    Field::Reason,
                    Field::Count,
                    Field::Held,
                ]),
                Fields::of([Field::Exchange, Field::Conversation, Field::Before, Field::Sha256]),
            ),
            Self::HoldPlaced => (
                ACTOR.and([Field::Hold, Field::Authority]),
                Fields::of([Field::Exchange, Field::Conversation]),
            ),
            Self::HoldReleased => (ACTOR.and([Field::Hold, Field::Authority]), NONE),
            Self::KeyRotated => (ACTOR.and([Field::Level, Field::Former, Field::Current]), NONE),
            Self::Pruned => (
                ACTOR.and([Field::Size, Field::Root, Field::Authority]),
                Fields::of([Field::Sha256]),
            ),
            Self::Offboarded => (ACTOR.and([Field::Authority, Field::Sha256]), NONE),
            Self::SelfTestPassed => (Fields::of([Field::Count]), Fields::of([Field::Policy])),
            Self::SelfTestFailed => {
                (Fields::of([Field::Reason]), Fields::of([Field::Route, Field::Api, Field::Policy]))
            }
            Self::CacheMismatch => (Fields::of([Field::Reason, Field::Route]), NONE),
            Self::AnswerWithdrawn => (ACTOR.and([Field::Exchange]), NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_in_which_they_are_written() {
        assert!(Field::ALL.iter().map(|field| field.text()).is_sorted_by(|a, b| a < b));
        for (number, field) in Field::ALL.iter().enumerate() {
            assert_eq!(*field as usize, number);
        }
        // A set of them is one number.
        assert!(Field::COUNT == Field::ALL.len() && Field::COUNT <= 128);
    }

    #[test]
    fn no_text_of_a_table_needs_an_escape() {
        let fields = Field::ALL.iter().map(|field| field.text());
        let kinds = Kind::ALL.iter().map(|kind| kind.text());
        for text in fields.chain(kinds) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
            assert!(text.bytes().all(plain), "{text}");
        }
    }
}
