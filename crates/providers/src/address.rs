//! How a model server is addressed and told who asks, in each dialect.

use crate::client::Secret;
use crate::eventstream;
use crate::keys::ServiceAccount;
use crate::sigv4::{Request, Signer, sha256, stamp};
use gate::path::Endpoint;
use gate::rules::{Api, Destination, Dialect};
use gate::{Outbound, UpstreamFailure};
use ledger::Time;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The version of Anthropic's interface; there is one.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How a destination is addressed, and as whom.
#[derive(Clone, Debug)]
pub struct Login {
    dialect: Dialect,
    api_version: Option<String>,
    region: Option<String>,
    credential: Option<Credential>,
}

/// What a server is shown.
#[derive(Clone)]
enum Credential {
    /// A key, or a signing key.
    Text(Secret),
    /// Tokens that a service account gets.
    Account(Arc<ServiceAccount>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// What the tokens of a service account may be used for: Vertex AI knows no narrower scope.
const VERTEX_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The access key of an AWS account, as a credential holds it: the key's id, its secret and, when it is
/// a temporary one, its session, apart by white space or colons.
struct AccessKey<'a> {
    id: &'a str,
    secret: &'a str,
    session: Option<&'a str>,
}

impl<'a> AccessKey<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split([':', ' ', '\t', '\r', '\n']).filter(|field| !field.is_empty());
        let (id, secret) = (fields.next()?, fields.next()?);
        let session = fields.next();
        fields.next().is_none().then_some(Self { id, secret, session })
    }
}

impl Login {
    /// Of a destination, with what its credential holds; absent when that cannot be used.
    ///
    /// For Vertex the credential may be the file of a service account's key. The host where it gets its
    /// tokens must then be registered for a hop of the destination, as every other host.
    #[must_use]
    pub fn new(destination: &Destination, credential: Option<Secret>) -> Option<Self> {
        let credential = match credential {
            Some(secret)
                if destination.dialect() == Dialect::Vertex && secret.text().starts_with('{') =>
            {
                let account = ServiceAccount::of_file(secret.text(), VERTEX_SCOPE)?;
                let tokens: Endpoint = account.token_uri().parse().ok()?;
                let mut hops = destination.path().hops();
                if !hops.any(|hop| hop.hosts().contains(tokens.authority())) {
                    return None;
                }
                Some(Credential::Account(Arc::new(account)))
            }
            other => other.map(Credential::Text),
        };
        Some(Self {
            dialect: destination.dialect(),
            api_version: destination.api_version().map(ToString::to_string),
            region: destination.region().map(ToString::to_string),
            credential,
        })
    }

    /// Of a server that speaks as `OpenAI` does.
    #[must_use]
    pub fn compatible(credential: Option<Secret>) -> Self {
        let credential = credential.map(Credential::Text);
        Self { dialect: Dialect::OpenAiCompatible, api_version: None, region: None, credential }
    }

    /// The type of the answer that is asked for.
    pub(crate) const fn stream_type(&self, stream: bool) -> &'static str {
        match (stream, self.dialect) {
            (false, _) => "application/json",
            (true, Dialect::Bedrock) => eventstream::CONTENT_TYPE,
            (
                true,
                Dialect::OpenAi
                | Dialect::OpenAiCompatible
                | Dialect::AzureOpenAi
                | Dialect::Anthropic
                | Dialect::Vertex
                | Dialect::Mcp,
            ) => "text/event-stream",
        }
    }

    /// The path and query below the destination's address.
    pub(crate) fn below(&self, outbound: &Outbound) -> String {
        let model = escaped(outbound.path().model());
        let path = match (outbound.api(), outbound.stream()) {
            (Api::ChatCompletions, _) => "/chat/completions".to_owned(),
            (Api::Completions, _) => "/completions".to_owned(),
            (Api::Embeddings, _) => "/embeddings".to_owned(),
            (Api::Responses, _) => "/responses".to_owned(),
            (Api::Messages, _) => "/messages".to_owned(),
            (Api::CountTokens, _) => "/messages/count_tokens".to_owned(),
            (Api::Converse, false) => format!("/model/{model}/converse"),
            (Api::Converse, true) => format!("/model/{model}/converse-stream"),
            (Api::GenerateContent, false) => format!("/models/{model}:generateContent"),
            (Api::GenerateContent, true) => {
                format!("/models/{model}:streamGenerateContent?alt=sse")
            }
            // A server of tools has one address for all that is said to it.
            (Api::Mcp, _) => return String::new(),
        };
        match &self.api_version {
            // Azure's older interface has the deployment in the path, but for responses.
            Some(version) if outbound.api() == Api::Responses => {
                format!("/openai{path}?api-version={}", escaped(version))
            }
            Some(version) => {
                format!("/openai/deployments/{model}{path}?api-version={}", escaped(version))
            }
            None => path,
        }
    }

    /// The headers that say who asks where nothing is signed and no token is fetched, as for files.
    pub(crate) fn plain_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamFailure> {
        let text = match &self.credential {
            None => return Ok(Vec::new()),
            Some(Credential::Text(secret)) => secret.text(),
            Some(Credential::Account(_)) => return Err(UpstreamFailure::NoCredential),
        };
        match self.dialect {
            Dialect::OpenAi | Dialect::OpenAiCompatible => Ok(vec![bearer(text)?]),
            Dialect::AzureOpenAi => Ok(vec![secret("api-key", text)?]),
            // Fail closed: their batches are not spoken here.
            Dialect::Anthropic | Dialect::Bedrock | Dialect::Vertex | Dialect::Mcp => {
                Err(UpstreamFailure::NoCredential)
            }
        }
    }

    /// The headers that say who asks.
    pub(crate) async fn headers(
        &self,
        outbound: &Outbound,
        now: Time,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamFailure> {
        let mut headers = Vec::new();
        if self.dialect == Dialect::Anthropic {
            let version = HeaderValue::from_static(ANTHROPIC_VERSION);
            headers.push((HeaderName::from_static("anthropic-version"), version));
        }
        let text = match &self.credential {
            None => return Ok(headers),
            Some(Credential::Text(secret)) => secret.text(),
            Some(Credential::Account(account)) => {
                let token = account.token(now).await.ok_or(UpstreamFailure::NoCredential)?;
                headers.push(bearer(token.as_str())?);
                return Ok(headers);
            }
        };
        match self.dialect {
            Dialect::OpenAi | Dialect::OpenAiCompatible | Dialect::Vertex | Dialect::Mcp => {
                headers.push(bearer(text)?);
            }
            Dialect::AzureOpenAi => headers.push(secret("api-key", text)?),
            Dialect::Anthropic => headers.push(secret("x-api-key", text)?),
            Dialect::Bedrock => match AccessKey::parse(text) {
                Some(key) => headers.extend(self.signed(&key, outbound, now)?),
                // A key of Bedrock's own is one word.
                None => headers.push(bearer(text)?),
            },
        }
        Ok(headers)
    }

    /// Whether each request to it stands alone, so that no session is begun.
    pub(crate) const fn is_stateless(&self) -> bool {
        matches!(self.dialect, Dialect::Mcp) && self.api_version.is_some()
    }

    /// The headers that tell a server of tools who asks: never the caller's own.
    pub(crate) fn of_tools(&self) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamFailure> {
        match &self.credential {
            None => Ok(Vec::new()),
            Some(Credential::Text(secret)) => Ok(vec![bearer(secret.text())?]),
            // Only Vertex has one.
            Some(Credential::Account(_)) => Err(UpstreamFailure::NoCredential),
        }
    }

    /// The headers of a request that is signed: Signature Version 4 of AWS.
    fn signed(
        &self,
        key: &AccessKey<'_>,
        outbound: &Outbound,
        now: Time,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamFailure> {
        let region = self.region.as_deref().ok_or(UpstreamFailure::NoCredential)?;
        let endpoint = outbound.path().endpoint();
        let path = format!("{}{}", endpoint.path(), self.below(outbound));
        // What is signed is the path escaped once more, as every service but S3 wants it.
        let path: Vec<String> = path.split('/').map(escaped).collect();
        let path = path.join("/");
        let host = endpoint.host_header();
        let stamp = stamp(now);
        let mut signed = vec![("host", host.as_str()), ("x-amz-date", stamp.as_str())];
        signed.extend(key.session.map(|session| ("x-amz-security-token", session)));
        let body = sha256(outbound.body().expose().as_bytes());
        let request =
            Request { method: "POST", path: &path, query: "", headers: &signed, body: &body };
        let aws = Signer { key_id: key.id, secret: key.secret, region, service: "bedrock" };
        let authorization = aws.authorization(&request, &stamp);
        let mut headers =
            vec![secret("authorization", &authorization)?, secret("x-amz-date", &stamp)?];
        if let Some(session) = key.session {
            headers.push(secret("x-amz-security-token", session)?);
        }
        Ok(headers)
    }
}

fn bearer(text: &str) -> Result<(HeaderName, HeaderValue), UpstreamFailure> {
    let (_, value) = secret("authorization", &format!("Bearer {text}"))?;
    Ok((AUTHORIZATION, value))
}

fn secret(name: &'static str, text: &str) -> Result<(HeaderName, HeaderValue), UpstreamFailure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| UpstreamFailure::NoCredential)?;
    value.set_sensitive(true);
    Ok((HeaderName::from_static(name), value))
}

/// One segment of a path, with everything but RFC 3986's unreserved characters escaped.
fn escaped(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            if write!(out, "%{byte:02X}").is_err() {
                out.clear();
            }
        }
    }
    out
}
