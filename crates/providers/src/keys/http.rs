//! What the key services behind HTTP share: a bounded call, a login that is kept for a while, and
//! secrets that are read where they lie.

use super::{Environment, Fault};
use crate::client::plain_client;
use futures_util::StreamExt as _;
use gate::path::Endpoint;
use ledger::Time;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// One request and its answer. A key service that needs longer is as good as away.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers are some kilobytes: a wrapped key, or a login with its tokens.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Tokens and certificates that a file holds.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Room for a request, so that no copy of a key stays behind in a buffer that grew.
const REQUEST_BYTES: usize = 16 << 10;

/// A login is renewed so long before it ends, because clocks differ and a call takes time.
const RENEWED_BEFORE_SECONDS: i64 = 60;

/// A login is not believed to last longer, whatever the service says of it.
const MAX_LOGIN_SECONDS: i64 = 24 * 60 * 60;

/// A server, and the client that connects to it alone.
pub(super) struct Site {
    address: String,
    host: String,
    client: reqwest::Client,
}

impl Site {
    /// A server that the operator names: `https`, or plain `http` on this machine.
    pub(super) fn new(address: &str, authority_pem: Option<&[u8]>) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::Malformed(
            "an address is https:// and a host, perhaps with a port; http:// is for this machine",
        );
        let endpoint: Endpoint = address.parse().map_err(|_| MALFORMED)?;
        let host = address.split_once("://").map_or(address, |(_, rest)| rest);
        let host = host.split_once('/').map_or(host, |(host, _)| host);
        let host = host.strip_suffix(":443").unwrap_or(host).to_owned();
        let client =
            plain_client(endpoint.is_secure(), endpoint.must_resolve_private(), authority_pem)
                .map_err(|_| Fault::Malformed("its certificates cannot be read"))?;
        Ok(Self { address: address.trim_end_matches('/').to_owned(), host, client })
    }

    /// The server by which a cloud tells its own machines who they are: plain `http` to a fixed
    /// link-local address, which is why nothing else in the house may reach it.
    pub(super) fn metadata(fixed: &'static str, named: Option<&String>) -> Result<Self, Fault> {
        if let Some(named) = named {
            return Self::new(named, None);
        }
        let client = plain_client(false, false, None)
            .map_err(|_| Fault::Malformed("there is no HTTP client"))?;
        let host = fixed.trim_start_matches("http://").to_owned();
        Ok(Self { address: fixed.to_owned(), host, client })
    }

    /// Host and port, as the `host` header writes them.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn post(
        &self,
        below: &str,
        headers: &[(&'static str, &str)],
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, Fault> {
        self.send(Method::POST, below, headers, body).await
    }

    /// Sends once; every status is an answer.
    pub(super) async fn send(
        &self,
        method: Method,
        below: &str,
        headers: &[(&'static str, &str)],
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Answer, Fault> {
        const AWAY: Fault = Fault::Unreachable("nobody answers");
        let mut request = self.client.request(method, format!("{}{below}", self.address));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Fault::Malformed("a credential holds what no header may"))?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        if !body.is_empty() {
            // The bytes are wiped when the request is gone.
            request = request.body(bytes::Bytes::from_owner(body));
        }
        let exchange = async {
            let response = request.send().await.map_err(|_| AWAY)?;
            let status = response.status();
            let mut pieces = response.bytes_stream();
            let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|_| AWAY)?;
                if body.len() + piece.len() > MAX_ANSWER_BYTES {
                    return Err(Fault::Malformed("its answer is too long"));
                }
                body.extend_from_slice(&piece);
            }
            Ok(Answer { status, body })
        };
        tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .map_err(|_| Fault::Unreachable("it does not answer in time"))?
    }
}

/// What came back.
pub(super) struct Answer {
    status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

/// What a service's own words mean: the first row whose text the answer holds. The words
/// themselves are not kept.
pub(super) type Codes = &'static [(&'static str, Fault)];

impl Answer {
    /// Whether the login may be at fault, and another one worth a try.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// Whether the service's own words hold this one.
    pub(super) fn says(&self, word: &str) -> bool {
        self.status != StatusCode::OK && String::from_utf8_lossy(&self.body).contains(word)
    }

    /// The body of a good answer.
    pub(super) fn good(self, codes: Codes) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if self.status == StatusCode::OK {
            return Ok(self.body);
        }
        let text = String::from_utf8_lossy(&self.body);
        if let Some((_, fault)) = codes.iter().find(|(code, _)| text.contains(code)) {
            return Err(*fault);
        }
        Err(match self.status.as_u16() {
            300..400 => Fault::Malformed("it redirects, which is not followed"),
            408 | 429 => Fault::Unreachable("it is asked too often"),
            401 => Fault::Refused("not logged in (401)"),
            403 => Fault::Refused("permission denied (403)"),
            404 => Fault::Refused("nothing by this name (404)"),
            400..500 => Fault::Refused("the request (400)"),
            500.. => Fault::Unreachable("it answers with an error of its own"),
            _ => Fault::Malformed("its answer has a status that means nothing"),
        })
    }
}

/// Posts JSON with a bearer token.
pub(super) async fn post_bearing<T: Serialize>(
    site: &Site,
    below: &str,
    token: &Token,
    request: &T,
) -> Result<Answer, Fault> {
    let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()));
    let headers = [("content-type", JSON), ("authorization", bearer.as_str())];
    site.post(below, &headers, json(request)?).await
}

/// Reads a JSON answer.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Malformed("its answer is not what it must be"))
}

/// A JSON request.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut body = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
    serde_json::to_writer(&mut *body, value)
        .map_err(|_| Fault::Malformed("the request cannot be written"))?;
    Ok(body)
}

/// A form (`application/x-www-form-urlencoded`).
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        escape(value, &mut body);
    }
    body
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let hex = data_encoding::HEXUPPER.encode(&[byte]);
            out.push(b'%');
            out.extend_from_slice(hex.as_bytes());
        }
    }
}

/// The content type of [`form`].
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The content type of [`json`].
pub(super) const JSON: &str = "application/json";

/// Text of an answer that is secret, and wiped when dropped.
pub(super) struct Wiped(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Wiped {
    /// The key that it writes in base64.
    pub(super) fn key(
        &self,
        encoding: &data_encoding::Encoding,
    ) -> Result<Zeroizing<[u8; super::KEY_BYTES]>, Fault> {
        let decoded = encoding.decode(self.0.as_bytes()).map(Zeroizing::new);
        super::key_bytes(&decoded.map_err(|_| Fault::Unsealable)?).ok_or(Fault::Unsealable)
    }
}

/// What is shown to a service to be let in.
pub(super) type Token = Arc<Zeroizing<String>>;

/// A login, kept until shortly before it ends.
pub(super) struct Login<T>(tokio::sync::Mutex<Option<(T, Time)>>);

impl<T> Default for Login<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

impl<T: Clone> Login<T> {
    /// The login that is kept, while it is good.
    pub(super) async fn held(&self, now: Time) -> Option<T> {
        let held = self.0.lock().await;
        held.as_ref().filter(|(_, until)| now < *until).map(|(login, _)| login.clone())
    }

    /// Keeps a login that lasts so many seconds.
    pub(super) async fn keep(&self, login: T, now: Time, seconds: i64) -> T {
        let seconds = seconds.clamp(0, MAX_LOGIN_SECONDS) - RENEWED_BEFORE_SECONDS;
        *self.0.lock().await = Some((login.clone(), now.plus_seconds(seconds)));
        login
    }
}

/// Where a secret lies.
pub(super) enum Source {
    Given(Token),
    /// Read at each login, because whoever writes such files renews them.
    File(PathBuf),
}

impl Source {
    /// A secret that the key file names by a variable or by a file, and never holds.
    pub(super) fn named(
        variable: Option<&String>,
        file: Option<&PathBuf>,
        environment: &Environment<'_>,
    ) -> Result<Option<Self>, Fault> {
        match (variable, file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(Fault::Malformed("name a variable or a file for a secret, not both"))
            }
            (None, Some(path)) => Ok(Some(Self::File(path.clone()))),
            (Some(name), None) => {
                let value = environment(name).map(Zeroizing::new);
                let value = value.ok_or(Fault::Malformed("a variable that it names is not set"))?;
                Ok(Some(Self::Given(Arc::new(Zeroizing::new(value.trim().to_owned())))))
            }
        }
    }

    pub(super) async fn read(&self) -> Result<Token, Fault> {
        const UNREADABLE: Fault = Fault::Unreachable("the file of a secret cannot be read");
        match self {
            Self::Given(secret) => Ok(Arc::clone(secret)),
            Self::File(path) => {
                let path = path.clone();
                let text = tokio::task::spawn_blocking(move || read_small(&path)).await;
                let text = text.ok().flatten().ok_or(UNREADABLE)?;
                Ok(Arc::new(Zeroizing::new(text.trim().to_owned())))
            }
        }
    }
}

/// Reads the file of a secret, or of certificates. Others write such files (agents, orchestrators)
/// with modes of their own, so nothing is asked of those.
pub(super) fn read_small(path: &Path) -> Option<Zeroizing<String>> {
    let file = fs::File::open(path).ok()?;
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_SECRET_BYTES).ok()?));
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The certificates of a file that the key file names.
pub(super) fn authority(path: Option<&PathBuf>) -> Result<Option<Vec<u8>>, Fault> {
    const UNREADABLE: Fault = Fault::Malformed("the file of its certificates cannot be read");
    path.map(|path| Ok(read_small(path).ok_or(UNREADABLE)?.as_bytes().to_vec())).transpose()
}

/// Refuses what would change the path of a request that it becomes a part of.
pub(super) fn segment(text: &str) -> Result<(), Fault> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && part.bytes().any(|byte| byte != b'.')
    };
    if text.len() <= 512 && text.split('/').all(plain) {
        Ok(())
    } else {
        Err(Fault::Malformed("a name has letters, digits, and the signs - _ . only"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_what_would_end_a_field() {
        let body = form(&[("a", "x y&z=1"), ("b", "+/\u{e9}~")]);
        assert_eq!(std::str::from_utf8(&body).unwrap(), "a=x%20y%26z%3D1&b=%2B%2F%C3%A9~");
    }

    #[test]
    fn a_name_cannot_change_the_path_of_a_request() {
        for good in ["transit", "team-a/transit", "v1.2_x"] {
            assert_eq!(segment(good), Ok(()), "{good}");
        }
        for bad in ["", "/transit", "a//b", "..", "a/../b", "a?b", "a b", "a%2fb", "a#b"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_login_is_forgotten_a_minute_before_it_ends() {
        let login = Login::default();
        let now = Time::from_micros(0);
        assert_eq!(login.held(now).await, None);
        assert_eq!(login.keep(7, now, 100).await, 7);
        assert_eq!(login.held(now.plus_seconds(39)).await, Some(7));
        assert_eq!(login.held(now.plus_seconds(40)).await, None);
    }
}
