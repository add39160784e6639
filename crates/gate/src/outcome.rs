//! How an exchange can end.

use crate::stream::Window;
use phi::{Class, Text};
use std::borrow::Cow;

/// How an exchange ended. A refusal is an outcome like any other: it is recorded, then shown.
#[derive(Debug)]
pub enum Outcome {
    /// The model answered; the document, restored, in the caller's dialect.
    Answered(Text),
    /// What the model answered before was given again, and nothing left; the document, restored.
    Cached(Text),
    /// The model answered in a stream, whose last window this is.
    Streamed(Window),
    /// A rule says no.
    Refused(Refusal),
    /// A control could not run, so nothing went through.
    FailedClosed(Control),
    /// The model failed. A stream may have begun; this is then its last window.
    UpstreamFailed(UpstreamFailure, Option<Window>),
    /// The caller went away before the answer was whole.
    CallerGone,
}

impl Outcome {
    /// The outcome's name in the record.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) | Self::Streamed(_) => "answered",
            Self::Cached(_) => "cached",
            Self::Refused(_) => "refused",
            Self::FailedClosed(_) => "failed_closed",
            Self::UpstreamFailed(..) => "upstream_failed",
            Self::CallerGone => "caller_gone",
        }
    }

    /// Why, in one word for the record, where the code does not say it all.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::UpstreamFailed(failure, _) => Some(failure.reason()),
            Self::Answered(_)
            | Self::Cached(_)
            | Self::Streamed(_)
            | Self::FailedClosed(_)
            | Self::CallerGone => None,
        }
    }

    /// The stable code of an outcome that is not an answer.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Answered(_) | Self::Cached(_) | Self::Streamed(_) | Self::CallerGone => None,
            Self::Refused(refusal) => Some(refusal.code),
            Self::FailedClosed(control) => Some(control.code()),
            Self::UpstreamFailed(failure, _) => Some(failure.code()),
        }
    }
}

/// A rule says no, and says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// A sentence for the caller. It is made of fixed words and of names that the organisation
    /// configured; it never holds anything that the caller sent.
    pub message: Cow<'static, str>,
    /// The classes that were refused, when that is the reason.
    pub classes: Vec<Class>,
    /// Why, in one word for the record, when the code does not say it all.
    pub reason: Option<&'static str>,
}

impl Refusal {
    /// A refusal with a fixed sentence.
    #[must_use]
    pub const fn fixed(code: Code, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), classes: Vec::new(), reason: None }
    }
}

/// A control that could not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The detector could not vouch for the whole text.
    Detector,
    /// The text is longer than one scan reads.
    DetectorLimit,
    /// A policy could not be evaluated.
    Policy,
    /// The map of surrogates could not be used.
    Surrogates,
    /// The conversation would hold more surrogates than it may.
    SurrogateLimit,
    /// The record could not be made durable.
    Audit,
    /// The key service is away or refuses, so there is nothing to seal content under.
    Keys,
    /// A guard did not do its work when the house tried it.
    SelfTest,
}

impl Control {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Detector => Code::DetectorUnavailable,
            Self::DetectorLimit | Self::SurrogateLimit => Code::TooLarge,
            Self::Policy => Code::PolicyUnavailable,
            Self::Surrogates => Code::SurrogatesUnavailable,
            Self::Audit => Code::AuditUnavailable,
            Self::Keys => Code::KeysUnavailable,
            Self::SelfTest => Code::SelfTestFailed,
        }
    }
}

/// How the model server failed. None of its words are kept: they may repeat the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// No connection, or its certificate did not verify.
    Unreachable,
    /// The address behind the host's name is not one that this path may use.
    AddressRefused,
    /// The credential for it could not be read.
    NoCredential,
    /// No connection in time.
    ConnectTimedOut,
    /// There was a connection, and no head of an answer in time.
    TimedOut,
    /// It redirected elsewhere. Redirects are not followed.
    Redirected,
    /// It answered with something that is not the dialect.
    Garbage,
    /// It answered with more than an answer may have.
    TooLarge,
    /// It began to answer, and the next piece did not come in time.
    Stalled,
    /// It went on answering for longer than a whole answer may take.
    TotalTimedOut,
    /// The stream broke off before its end.
    Cut,
    /// It reported an error inside the stream.
    Reported,
    /// It refused Bulla's credential (401, 403).
    Unauthorized,
    /// It refused the request (another 4xx), with its code when that is one that the dialect defines.
    Rejected(Option<&'static str>),
    /// Too many requests; to be tried again after so many seconds.
    RateLimited(Option<u32>),
    /// It failed (5xx).
    Failed,
}

impl UpstreamFailure {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Unreachable | Self::AddressRefused | Self::ConnectTimedOut => {
                Code::UpstreamUnreachable
            }
            Self::NoCredential | Self::Unauthorized => Code::UpstreamUnauthorized,
            Self::TimedOut | Self::Stalled | Self::TotalTimedOut => Code::UpstreamTimeout,
            Self::Redirected | Self::Garbage | Self::TooLarge | Self::Cut => Code::UpstreamInvalid,
            Self::Reported | Self::Failed => Code::UpstreamFailed,
            Self::Rejected(_) => Code::UpstreamRejected,
            Self::RateLimited(_) => Code::UpstreamRateLimited,
        }
    }

    /// Whether nothing of an answer came and another try may be answered. A request that was refused
    /// is refused again, and an answer that began may have been charged for and acted on.
    #[must_use]
    pub const fn may_be_retried(self) -> bool {
        match self {
            Self::Unreachable
            | Self::ConnectTimedOut
            | Self::TimedOut
            | Self::RateLimited(_)
            | Self::Failed => true,
            Self::AddressRefused
            | Self::NoCredential
            | Self::Redirected
            | Self::Garbage
            | Self::TooLarge
            | Self::Stalled
            | Self::TotalTimedOut
            | Self::Cut
            | Self::Reported
            | Self::Unauthorized
            | Self::Rejected(_) => false,
        }
    }

    /// Whether it says that the server is not in order, rather than that it did not like a request.
    #[must_use]
    pub const fn is_ill_health(self) -> bool {
        match self {
            Self::Unreachable
            | Self::AddressRefused
            | Self::ConnectTimedOut
            | Self::TimedOut
            | Self::Stalled
            | Self::TotalTimedOut
            | Self::Cut
            | Self::Failed => true,
            Self::NoCredential
            | Self::Redirected
            | Self::Garbage
            | Self::TooLarge
            | Self::Reported
            | Self::Unauthorized
            | Self::Rejected(_)
            | Self::RateLimited(_) => false,
        }
    }

    /// The failure in one word, for the record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::AddressRefused => "address_refused",
            Self::NoCredential => "no_credential",
            Self::ConnectTimedOut => "connect_timed_out",
            Self::TimedOut => "timed_out",
            Self::Stalled => "stalled",
            Self::TotalTimedOut => "total_timed_out",
            Self::Redirected => "redirected",
            Self::Garbage => "garbage",
            Self::TooLarge => "too_large",
            Self::Cut => "cut",
            Self::Reported => "reported_error",
            Self::Unauthorized => "unauthorized",
            Self::Rejected(_) => "rejected",
            Self::RateLimited(_) => "rate_limited",
            Self::Failed => "failed",
        }
    }

    /// A sentence for the caller.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "The model server could not be reached over a verified connection."
            }
            Self::AddressRefused => {
                "The model server's name leads to an address that this path may not use."
            }
            Self::NoCredential => "The credential for the model server could not be read.",
            Self::ConnectTimedOut => "The model server did not accept a connection in time.",
            Self::TimedOut => "The model server did not answer in time.",
            Self::Stalled => "The model server began to answer and did not go on in time.",
            Self::TotalTimedOut => "The model server did not finish its answer in time.",
            Self::Redirected => {
                "The model server redirected the request; redirects are not followed."
            }
            Self::Garbage => "The model server's answer is not in the dialect of this destination.",
            Self::TooLarge => "The model server's answer is larger than an answer may be.",
            Self::Cut => "The model server's stream broke off before its end.",
            Self::Reported => "The model server reported an error in its stream.",
            Self::Unauthorized => "The model server refused Bulla's credential.",
            Self::Rejected(_) => "The model server refused the request.",
            Self::RateLimited(_) => "The model server has too many requests.",
            Self::Failed => "The model server failed.",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// The stable code of an error. Programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as written on the wire and in the record.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The record cannot be made durable, so nothing goes through.
    AuditUnavailable = "audit_unavailable";
    /// An agreement is in force but does not cover this use.
    BaaScope = "baa_scope";
    /// A hop of the path is covered by nothing.
    BaaUncoveredHop = "baa_uncovered_hop";
    /// What may be spent is spent.
    BudgetExceeded = "budget_exceeded";
    /// The terms of the data are not recorded as holding for something that the request makes use of.
    CapabilityNotEligible = "capability_not_eligible";
    /// The organisation keeps digests of content, so there is none to go on from or to give out.
    ContentNotKept = "content_not_kept";
    /// No destination of the route is in order, so that nothing left.
    DestinationUnavailable = "destination_unavailable";
    /// The detector cannot run.
    DetectorUnavailable = "detector_unavailable";
    /// A whole chart, without a justification.
    EntireRecord = "entire_record";
    /// The API keys cannot be read, so nobody is let in.
    IdentityUnavailable = "identity_unavailable";
    /// The request is not in the dialect.
    InvalidRequest = "invalid_request";
    /// The API key is missing, unknown, expired or revoked.
    InvalidApiKey = "invalid_api_key";
    /// The key service is away or refuses, so nothing can be sealed or read.
    KeysUnavailable = "keys_unavailable";
    /// The request cannot be reduced to what its purpose needs.
    MinimumNecessary = "minimum_necessary";
    /// No route of that name.
    ModelNotFound = "model_not_found";
    /// This API key has nothing of that id.
    NotFound = "not_found";
    /// There is no room for one more request.
    Overloaded = "overloaded";
    /// The policy permits no treatment of a class that is present.
    PhiBlocked = "phi_blocked";
    /// The policy cannot be evaluated.
    PolicyUnavailable = "policy_unavailable";
    /// There is no response of that id to go on from.
    PreviousResponseNotFound = "previous_response_not_found";
    /// The purpose is not one of the organisation's, or not this key's.
    PurposeNotAllowed = "purpose_not_allowed";
    /// The request names no purpose and the key has none.
    PurposeRequired = "purpose_required";
    /// A limit of requests, tokens or exchanges at once is reached.
    RateLimited = "rate_limited";
    /// The key's owner is not among the readers of the log.
    ReaderNotAllowed = "reader_not_allowed";
    /// A hop of the path lies in a region that the organisation does not allow.
    RegionNotAllowed = "region_not_allowed";
    /// A hop of the path may keep what it is sent, and the organisation requires that nothing is kept.
    RetentionNotZero = "retention_not_zero";
    /// The key is for something else: a caller's key reads no log, an auditor's sends no prompts.
    RoleNotAllowed = "role_not_allowed";
    /// A guard did not do its work when the house tried it, so nothing goes through.
    SelfTestFailed = "self_test_failed";
    /// The map of surrogates cannot be used.
    SurrogatesUnavailable = "surrogates_unavailable";
    /// No tool of that name may be called.
    ToolNotAllowed = "tool_not_allowed";
    /// The request is larger than a request may be.
    TooLarge = "request_too_large";
    /// No term excludes that a hop of the path trains on what it is sent.
    TrainingNotExcluded = "training_not_excluded";
    /// The destination's dialect has no words for something that was asked.
    UnsupportedByDestination = "unsupported_by_destination";
    /// A field that could carry content and that is not scanned.
    UnsupportedContent = "unsupported_content";
    /// The model server failed.
    UpstreamFailed = "upstream_failed";
    /// The model server's answer is not an answer.
    UpstreamInvalid = "upstream_invalid";
    /// The model server has too many requests.
    UpstreamRateLimited = "upstream_rate_limited";
    /// The model server refused the request.
    UpstreamRejected = "upstream_rejected";
    /// The model server did not answer in time.
    UpstreamTimeout = "upstream_timeout";
    /// The model server refused the credential.
    UpstreamUnauthorized = "upstream_unauthorized";
    /// There was no connection to the model server, so that nothing left.
    UpstreamUnreachable = "upstream_unreachable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_one_word_of_its_own() {
        let words: std::collections::BTreeSet<&str> =
            Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        let of_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(words.iter().all(|word| word.bytes().all(of_word)));
    }
}
