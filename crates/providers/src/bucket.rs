//! Object storage that speaks S3: four calls, and none that takes anything away.
//!
//! An object is written where none is and never over another (`If-None-Match: *`), read, and listed; and
//! the bucket is asked whether it locks what it holds. Whoever keeps the bucket decides what may be
//! deleted; nothing here asks for it.

use crate::client::{Bounds, Providers, Secret, Sender, exchange};
use crate::sigv4::{self, Request, Signer};
use data_encoding::BASE64;
use gate::UpstreamFailure;
use gate::rules::CoveredCopy;
use ledger::{Hash, Time};
use reqwest::Method;
use reqwest::header::HeaderValue;
use std::time::Duration;

/// An object of some megabytes over a slow line.
const OBJECT_TIMEOUT: Duration = Duration::from_mins(1);

/// The largest object that is read back: an exchange with all that it holds.
const MAX_OBJECT_BYTES: usize = 80 << 20;

/// The largest page of a listing: a thousand names with what is said of each.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// What a bucket says of its lock is some hundred bytes.
const MAX_LOCK_BYTES: usize = 64 << 10;

/// A year of a retention, which S3 counts so.
const YEAR_DAYS: u32 = 365;

/// What requests to a bucket are signed with, and whom they trust.
#[derive(Clone, Debug)]
pub struct BucketLogin {
    /// The id of the access key.
    pub access_key: Secret,
    /// Its secret.
    pub secret_key: Secret,
    /// Its session, when it is a temporary one.
    pub session_token: Option<Secret>,
    /// The only certificate authority that is trusted, in PEM; the system's when absent.
    pub authority_pem: Option<Vec<u8>>,
}

/// What became of an object that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Written,
    /// Another was there before, and is still.
    Exists,
}

/// How a bucket locks what is written into it, by its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// It does not say: it may not be asked, or does not know the question.
    Unknown,
    /// Not at all.
    Open,
    /// So that whoever has the right may take it away.
    Governance,
    /// So that nobody can take anything away for so many days.
    Compliance {
        /// From when an object was written.
        days: u32,
    },
}

/// Names of objects, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Below what was asked for, without the prefix of the place.
    pub names: Vec<String>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Why a bucket did not do what it was asked, in a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BucketFailure {
    /// The word.
    pub reason: &'static str,
}

const fn failure(reason: &'static str) -> BucketFailure {
    BucketFailure { reason }
}

/// One request.
struct Call<'a> {
    method: Method,
    /// Below the bucket.
    name: &'a str,
    /// As it is signed.
    query: &'a str,
    /// Besides those of every request.
    headers: &'a [(&'static str, &'a str)],
    body: Vec<u8>,
    most_bytes: usize,
}

impl Providers {
    /// Writes an object where there is none.
    ///
    /// # Errors
    /// [`BucketFailure`]. The object may be there all the same.
    pub async fn put_object(
        &self,
        covered: &CoveredCopy<'_>,
        login: &BucketLogin,
        name: &str,
        bytes: Vec<u8>,
        now: Time,
    ) -> Result<Put, BucketFailure> {
        // A bucket that locks objects asks for a sum of the bytes, and which one that is.
        let sum = BASE64.encode(Hash::of(&bytes).as_bytes());
        let headers = [
            ("if-none-match", "*"),
            ("x-amz-checksum-sha256", sum.as_str()),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
        ];
        let call = Call {
            method: Method::PUT,
            name: &format!("{}{name}", covered.place().prefix()),
            query: "",
            headers: &headers,
            body: bytes,
            most_bytes: MAX_LOCK_BYTES,
        };
        match self.call(covered, login, call, now).await? {
            // A page of somebody between is no word of the bucket.
            (200, said) if said.is_empty() => Ok(Put::Written),
            (200, _) => Err(failure("garbage")),
            (412, _) => Ok(Put::Exists),
            (status, _) => Err(refusal(status)),
        }
    }

    /// Reads an object; absent when there is none.
    ///
    /// # Errors
    /// [`BucketFailure`].
    pub async fn object(
        &self,
        covered: &CoveredCopy<'_>,
        login: &BucketLogin,
        name: &str,
        now: Time,
    ) -> Result<Option<Vec<u8>>, BucketFailure> {
        let call = Call {
            method: Method::GET,
            name: &format!("{}{name}", covered.place().prefix()),
            query: "",
            headers: &[],
            body: Vec::new(),
            most_bytes: MAX_OBJECT_BYTES,
        };
        match self.call(covered, login, call, now).await? {
            (200, bytes) => Ok(Some(bytes)),
            (404, _) => Ok(None),
            (status, _) => Err(refusal(status)),
        }
    }

    /// Names of objects below `below` that come after `after`, as many as the bucket gives at once.
    ///
    /// # Errors
    /// [`BucketFailure`].
    pub async fn objects(
        &self,
        covered: &CoveredCopy<'_>,
        login: &BucketLogin,
        below: &str,
        after: &str,
        now: Time,
    ) -> Result<Page, BucketFailure> {
        let prefix = covered.place().prefix();
        let escaped = |name: &str| format!("{prefix}{name}").replace('/', "%2F");
        let query = format!("list-type=2&prefix={}&start-after={}", escaped(below), escaped(after));
        let call = Call {
            method: Method::GET,
            name: "",
            query: &query,
            headers: &[],
            body: Vec::new(),
            most_bytes: MAX_PAGE_BYTES,
        };
        match self.call(covered, login, call, now).await? {
            (200, bytes) => page(&bytes, prefix).ok_or(failure("garbage")),
            (status, _) => Err(refusal(status)),
        }
    }

    /// Asks how the bucket locks what is written into it.
    ///
    /// # Errors
    /// [`BucketFailure`] when it does not answer at all.
    pub async fn lock(
        &self,
        covered: &CoveredCopy<'_>,
        login: &BucketLogin,
        now: Time,
    ) -> Result<Lock, BucketFailure> {
        let call = Call {
            method: Method::GET,
            name: "",
            query: "object-lock=",
            headers: &[],
            body: Vec::new(),
            most_bytes: MAX_LOCK_BYTES,
        };
        Ok(match self.call(covered, login, call, now).await? {
            (200, bytes) => lock(&bytes),
            (404, bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let code = value(&text, "Code");
                if code == Some("NoSuchBucket") {
                    return Err(failure("no_bucket"));
                }
                Lock::Open
            }
            (status @ (429 | 500 | 502 | 503 | 504), _) => return Err(refusal(status)),
            _ => Lock::Unknown,
        })
    }

    async fn call(
        &self,
        covered: &CoveredCopy<'_>,
        login: &BucketLogin,
        call: Call<'_>,
        now: Time,
    ) -> Result<(u16, Vec<u8>), BucketFailure> {
        let place = covered.place();
        let (endpoint, base) = (place.endpoint(), place.base());
        let sender = Sender { authority_pem: login.authority_pem.clone(), identity_pem: None };
        let client = self.client(endpoint, &sender).map_err(|it| failure(it.reason()))?;
        let (authority, host) = (endpoint.authority(), endpoint.host_header());
        let path = format!("{base}/{}", call.name);
        let (stamp, digest) = (sigv4::stamp(now), sigv4::sha256(&call.body));
        let mut headers = vec![("host", host.as_str())];
        headers.extend_from_slice(call.headers);
        headers.extend([("x-amz-content-sha256", digest.as_str()), ("x-amz-date", &stamp)]);
        let session = login.session_token.as_ref();
        headers.extend(session.map(|token| ("x-amz-security-token", token.text())));
        // As they are signed.
        headers.sort_unstable();
        let signer = Signer {
            key_id: login.access_key.text(),
            secret: login.secret_key.text(),
            region: place.region(),
            service: "s3",
        };
        let asked = Request {
            method: call.method.as_str(),
            path: &path,
            query: call.query,
            headers: &headers,
            body: &digest,
        };
        let authorization = signer.authorization(&asked, &stamp);
        let question = if call.query.is_empty() { "" } else { "?" };
        let url = format!("{}://{authority}{path}{question}{}", scheme(endpoint), call.query);
        let mut request = client.request(call.method, url);
        headers.push(("authorization", &authorization));
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| failure(UpstreamFailure::NoCredential.reason()))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if !call.body.is_empty() {
            request = request.body(call.body);
        }
        let bounds = Bounds { timeout: OBJECT_TIMEOUT, bytes: call.most_bytes };
        exchange(request, bounds).await.map_err(|it| failure(it.reason()))
    }
}

fn scheme(endpoint: &gate::path::Endpoint) -> &'static str {
    if endpoint.is_secure() { "https" } else { "http" }
}

/// What a status means that is no answer. What the bucket says of it is not kept.
const fn refusal(status: u16) -> BucketFailure {
    failure(match status {
        300..=399 => "redirected",
        401 | 403 => "unauthorized",
        404 => "no_bucket",
        429 | 503 => "slow_down",
        500.. => "failed",
        _ => "refused",
    })
}

/// The text between the first tags of this name. None of the values that are asked for holds what XML
/// writes otherwise.
fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0.trim())
}

/// Reads a page of a listing.
fn page(body: &[u8], prefix: &str) -> Option<Page> {
    let text = std::str::from_utf8(body).ok()?;
    // What is no listing must not be taken for an empty one.
    let more = match value(text, "IsTruncated")? {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<Key>") {
        let (key, behind) = after.split_once("</Key>")?;
        // A name with what XML writes otherwise is nobody's of ours.
        names.push(key.strip_prefix(prefix)?.to_owned());
        rest = behind;
    }
    // A page without an end is none.
    if more && names.is_empty() { None } else { Some(Page { names, more }) }
}

/// Reads what a bucket says of its lock.
fn lock(body: &[u8]) -> Lock {
    let Ok(text) = std::str::from_utf8(body) else { return Lock::Unknown };
    if !text.contains("<ObjectLockConfiguration") {
        return Lock::Unknown;
    }
    let number = |tag| value(text, tag).and_then(|it| it.parse::<u32>().ok());
    // One of the two says it; some servers write the other as 0.
    let years = number("Years").map(|years| years.saturating_mul(YEAR_DAYS));
    let days = number("Days").max(years);
    match (value(text, "ObjectLockEnabled"), value(text, "Mode"), days) {
        (Some("Enabled"), Some("COMPLIANCE"), Some(days)) => Lock::Compliance { days },
        (Some("Enabled"), Some("GOVERNANCE"), _) => Lock::Governance,
        _ => Lock::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_and_what_is_none_is_refused() {
        let listing = "<?xml version=\"1.0\"?><ListBucketResult><Name>audit</Name>\
             <IsTruncated>true</IsTruncated><Contents><Key>p/a</Key><Size>1</Size></Contents>\
             <Contents><Key>p/b/c</Key></Contents></ListBucketResult>";
        let names = vec!["a".to_owned(), "b/c".to_owned()];
        assert_eq!(page(listing.as_bytes(), "p/"), Some(Page { names, more: true }));
        let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(page(empty.as_bytes(), "p/"), Some(Page { names: Vec::new(), more: false }));
        for bad in [
            "",
            "<html>synthetic</html>",
            "<ListBucketResult></ListBucketResult>",
            &empty.replace("false", "true"),
            &listing.replace("</Key>", ""),
            &listing.replace("p/a", "q/a"),
        ] {
            assert_eq!(page(bad.as_bytes(), "p/"), None, "{bad}");
        }
    }

    #[test]
    fn a_lock_counts_when_nobody_can_open_it() {
        let check = |inside: &str, expected: Lock| {
            let body =
                format!("<ObjectLockConfiguration xmlns=\"x\">{inside}</ObjectLockConfiguration>");
            assert_eq!(lock(body.as_bytes()), expected, "{inside}");
        };
        let enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        let rule = |rule: &str| {
            format!("{enabled}<Rule><DefaultRetention>{rule}</DefaultRetention></Rule>")
        };
        check(&rule("<Mode>COMPLIANCE</Mode><Years>7</Years>"), Lock::Compliance { days: 2555 });
        check(&rule("<Mode>COMPLIANCE</Mode><Days>30</Days>"), Lock::Compliance { days: 30 });
        let both = "<Mode>COMPLIANCE</Mode><Days>0</Days><Years>7</Years>";
        check(&rule(both), Lock::Compliance { days: 2555 });
        check(&rule("<Mode>GOVERNANCE</Mode><Years>7</Years>"), Lock::Governance);
        check(&rule("<Mode>COMPLIANCE</Mode>"), Lock::Open);
        check(enabled, Lock::Open);
        check("<Mode>COMPLIANCE</Mode><Years>7</Years>", Lock::Open);
        assert_eq!(lock(b"<html>synthetic</html>"), Lock::Unknown);
    }
}
