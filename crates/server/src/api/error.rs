//! Errors, in the shape of the dialect in which was asked. They are made of codes and fixed sentences,
//! never of what was sent.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gate::{Code, Control, Outcome, Refusal, UpstreamFailure};
use ledger::ExchangeId;
use phi::Class;
use serde::Serialize;
use serde_json::json;
use service::{Right, Unauthenticated};
use std::borrow::Cow;

/// Whose clients read an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// `OpenAI`'s and Azure's.
    #[default]
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Amazon Bedrock's.
    Bedrock,
    /// Google's.
    Google,
    /// Those of the Model Context Protocol.
    Mcp,
}

impl Family {
    /// Whose clients ask at this path, as far as it tells, whether or not there is a route.
    pub(super) fn of_path(path: &str) -> Self {
        let below = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below("/v1/messages") {
            Self::Anthropic
        } else if below("/model") {
            Self::Bedrock
        } else if below("/v1beta") {
            Self::Google
        } else {
            Self::OpenAi
        }
    }
}

/// An error on its way to a caller.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    classes: Vec<Class>,
    retry_after_seconds: Option<u32>,
    exchange: Option<ExchangeId>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<&'static str>,
}

impl ApiError {
    /// An error with a code of the gate.
    pub(super) fn of(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: status(code),
            code: code.as_str(),
            message: message.into(),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// No such route.
    pub(super) const fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "unknown_route",
            message: Cow::Borrowed(
                "There is no such route here, and nothing is passed on. See docs/api.md for those that there are.",
            ),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// The route exists, but not for this method.
    pub(super) const fn wrong_method() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method_not_allowed",
            message: Cow::Borrowed("This route does not take that method."),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// The body is compressed, or encoded otherwise. It was not read: what a few bytes of it unfold to, nobody
    /// knows before.
    pub(super) const fn encoded() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported_encoding",
            message: Cow::Borrowed("Send the request's body without an encoding."),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// No response of that id for this key, whatever there is for others.
    pub(super) const fn no_response() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "response_not_found",
            message: Cow::Borrowed("No response of that id can be had with this API key."),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// No such session with a server of tools, of this caller.
    pub(super) const fn no_session() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "session_not_found",
            message: Cow::Borrowed("There is no such session here. Begin a new one."),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// A web page asks.
    pub(super) const fn wrong_origin() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "origin_not_allowed",
            message: Cow::Borrowed("Web pages have no business here."),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// The last checkpoint does not cover it, or its records were pruned.
    pub(super) const fn no_tile() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "beyond_checkpoint",
            message: Cow::Borrowed(
                "The last checkpoint of the log does not cover that, or its records were pruned.",
            ),
            classes: Vec::new(),
            retry_after_seconds: None,
            exchange: None,
        }
    }

    /// Nobody is let in with that.
    pub(super) fn unauthenticated(refused: Unauthenticated) -> Self {
        let message = match refused {
            Unauthenticated::Unknown => "The API key is missing, unknown, expired or revoked.",
            Unauthenticated::Unreadable => "The API keys cannot be read, so nobody is let in.",
        };
        Self::of(refused.code(), message)
    }

    /// The key is not for what was asked.
    pub(super) fn denied(code: Code, right: Right) -> Self {
        let message = match (code, right) {
            (Code::ReaderNotAllowed, _) => {
                "The owner of this API key is not among the readers of the log that the \
                 configuration in force names."
            }
            (_, Right::Ask) => "This API key sends no prompts.",
            (_, Right::ReadLog) => "This API key does not read the log.",
            (_, Right::ReadFigures) => "This API key does not read the metrics.",
        };
        Self::of(code, message)
    }

    /// There is no room for one more request.
    pub(super) fn overloaded() -> Self {
        let message = "There is no room for one more request. Try again soon.";
        Self { retry_after_seconds: Some(1), ..Self::of(Code::Overloaded, message) }
    }

    /// The record could not be made durable.
    pub(super) fn unrecorded() -> Self {
        Self::of(
            Code::AuditUnavailable,
            "The audit log cannot be written, so nothing goes through.",
        )
    }

    /// What an outcome that is no answer looks like; absent for an answer.
    pub(super) fn of_outcome(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Answered(_) | Outcome::Cached(_) | Outcome::Streamed(_) => None,
            Outcome::Refused(refusal) => Some(Self::refused(refusal)),
            Outcome::FailedClosed(control) => Some(Self::of(control.code(), sentence(*control))),
            Outcome::UpstreamFailed(failure, _) => Some(Self::upstream(*failure)),
            Outcome::CallerGone => Some(Self::of(
                Code::InvalidRequest,
                "The caller went away before the answer was whole.",
            )),
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let mut error = Self::of(refusal.code, refusal.message.clone());
        error.classes.clone_from(&refusal.classes);
        error
    }

    fn upstream(failure: UpstreamFailure) -> Self {
        let mut error = Self::of(failure.code(), failure.message());
        if let UpstreamFailure::RateLimited(seconds) = failure {
            error.retry_after_seconds = seconds;
        }
        if let UpstreamFailure::Rejected(Some(code)) = failure {
            error.code = code;
        }
        error
    }

    /// The stable code.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// The same, of this exchange.
    pub(super) fn of_exchange(self, exchange: ExchangeId) -> Self {
        Self { exchange: Some(exchange), ..self }
    }

    /// What happened, in a sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What Bedrock's clients call it inside a stream.
    pub(super) const fn exception(&self) -> &'static str {
        match self.status.as_u16() {
            429 => "throttlingException",
            400..500 => "validationException",
            503 => "serviceUnavailableException",
            _ => "modelStreamErrorException",
        }
    }

    /// The error as one JSON document of a dialect. Where a dialect has no member for a stable code, it
    /// is one beside the members that there are.
    pub(super) fn document(&self, family: Family) -> String {
        let (status, message, code) = (self.status, &self.message, self.code);
        let document = match family {
            Family::OpenAi => return self.openai(),
            Family::Anthropic => {
                let kind = match status.as_u16() {
                    404 => "not_found_error",
                    413 => "request_too_large",
                    503 | 529 => "overloaded_error",
                    500.. => "api_error",
                    _ => kind(status),
                };
                json!({
                    "type": "error",
                    "error": { "type": kind, "message": message, "code": code },
                    "request_id": self.exchange.map(|exchange| exchange.to_string()),
                })
            }
            Family::Mcp => return self.rpc("null", None),
            Family::Bedrock => json!({ "message": message, "code": code }),
            Family::Google => json!({ "error": {
                "code": status.as_u16(),
                "message": message,
                "status": google_status(status),
                "details": [{
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": code,
                    "domain": "bulla",
                }],
            } }),
        };
        document.to_string()
    }

    /// The error as the answer to the request of this id, which is JSON. `number` is JSON-RPC's own, where it
    /// has one.
    pub(super) fn rpc(&self, id: &str, number: Option<i32>) -> String {
        let number = number.unwrap_or(match self.status.as_u16() {
            400 | 404 => -32602,
            500.. => -32603,
            _ => -32000,
        });
        let mut data = json!({ "code": self.code });
        if let Some(data) = data.as_object_mut() {
            if !self.classes.is_empty() {
                let classes: Vec<&str> = self.classes.iter().map(|class| class.label()).collect();
                data.insert("classes".to_owned(), json!(classes));
            }
            let exchange = self.exchange.map(|exchange| json!(exchange.to_string()));
            data.extend(exchange.map(|exchange| ("exchange".to_owned(), exchange)));
        }
        // What is asked there is no model.
        let message = self.message.replace("model server", "server of tools");
        let error = json!({ "code": number, "message": message, "data": data });
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }

    fn openai(&self) -> String {
        let previous = self.code == Code::PreviousResponseNotFound.as_str();
        let error = Body {
            message: &self.message,
            kind: kind(self.status),
            param: previous.then_some("previous_response_id"),
            code: self.code,
            classes: self.classes.iter().map(|class| class.label()).collect(),
        };
        // Strings always serialise.
        serde_json::to_string(&Envelope { error }).unwrap_or_default()
    }
}

impl ApiError {
    /// The response in the shape of a dialect.
    pub(super) fn respond(self, family: Family) -> Response {
        let mut response = (self.status, self.document(family)).into_response();
        let headers = response.headers_mut();
        if family == Family::Bedrock {
            let exception = HeaderValue::from_static(bedrock_exception(self.status));
            headers.insert("x-amzn-errortype", exception);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.respond(Family::default())
    }
}

/// What Bedrock's clients call an error.
pub(super) const fn bedrock_exception(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        429 => "ThrottlingException",
        400..500 => "ValidationException",
        503 => "ServiceUnavailableException",
        _ => "ModelErrorException",
    }
}

/// What Google's clients call an error.
const fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

const fn sentence(control: Control) -> &'static str {
    match control {
        Control::Detector => "The detector cannot run, so nothing goes through.",
        Control::DetectorLimit => "The request has more text than one scan reads.",
        Control::Policy => "The policy cannot be evaluated, so nothing goes through.",
        Control::SurrogateLimit => {
            "The conversation has more identifiers than one conversation may hold."
        }
        Control::Surrogates => "The map of surrogates cannot be used, so nothing goes through.",
        Control::Audit => "The audit log cannot be written, so nothing goes through.",
        Control::Keys => "The key service does not open the keys, so nothing goes through.",
        Control::SelfTest => {
            "A guard did not do its work on synthetic identifiers, so nothing goes through."
        }
    }
}

/// Refusals are 400 and 403, because SDKs try 408, 409, 429 and 5xx again, and a refusal stays one.
const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidApiKey => StatusCode::UNAUTHORIZED,
        Code::BaaScope
        | Code::BaaUncoveredHop
        | Code::BudgetExceeded
        | Code::CapabilityNotEligible
        | Code::EntireRecord
        | Code::MinimumNecessary
        | Code::PhiBlocked
        | Code::RegionNotAllowed
        | Code::PurposeNotAllowed
        | Code::ReaderNotAllowed
        | Code::RetentionNotZero
        | Code::RoleNotAllowed
        | Code::TrainingNotExcluded => StatusCode::FORBIDDEN,
        Code::ContentNotKept
        | Code::InvalidRequest
        | Code::PreviousResponseNotFound
        | Code::PurposeRequired
        | Code::UnsupportedByDestination
        | Code::UnsupportedContent
        | Code::UpstreamRejected => StatusCode::BAD_REQUEST,
        Code::ModelNotFound | Code::NotFound | Code::ToolNotAllowed => StatusCode::NOT_FOUND,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::AuditUnavailable
        | Code::DestinationUnavailable
        | Code::DetectorUnavailable
        | Code::IdentityUnavailable
        | Code::KeysUnavailable
        | Code::Overloaded
        | Code::PolicyUnavailable
        | Code::SelfTestFailed
        | Code::SurrogatesUnavailable
        // Without a connection there is no answer that could be a bad one, and nothing left.
        | Code::UpstreamUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        Code::UpstreamFailed | Code::UpstreamInvalid | Code::UpstreamUnauthorized => {
            StatusCode::BAD_GATEWAY
        }
        Code::RateLimited | Code::UpstreamRateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

const fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}
