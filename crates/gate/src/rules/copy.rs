//! Where the log is copied to: object storage that nobody can write anew, where its owner locks it.
//!
//! Records hold no content, but who asked for what and when, so whoever keeps the copy is a hop like any
//! other: it lies inside the boundary, or an agreement covers it. Keys are never copied, because nothing
//! could destroy them there.

use super::destination::{Credential, absolute};
use super::endpoint::Endpoint;
use super::name::{Fault, Malformed, Name, Slug, Title, word};
use crate::agreement::Registry;
use crate::path::{Chain, Features, Gap, Hop, PLAIN, Role, Sees};
use ledger::{Cover, Time};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Copies in one file: each reads the whole log, and holds one object in memory.
pub const MAX_COPIES: usize = 4;

/// How often the log is copied when the file does not say, in seconds. Each time makes some objects, which
/// nobody can take away again.
const DEFAULT_EVERY_SECONDS: u32 = 300;

/// The longest time between two turns: a day.
const MAX_EVERY_SECONDS: u32 = 86_400;

/// How long the storage must lock an object, when the file does not say.
const DEFAULT_LOCK_YEARS: u32 = 7;

/// What must be kept is kept for six years: 45 CFR 164.316(b)(2)(i).
const MIN_LOCK_YEARS: u32 = 6;

/// The longest that storage of this kind can be told.
const MAX_LOCK_YEARS: u32 = 100;

/// Longest prefix in bytes, so that with what follows it stays below the 1,024 of a key of S3.
const PREFIX_BYTES: usize = 512;

/// The features of a request do not matter: who keeps records serves none.
const NO_REQUEST: Features<'_> = Features { api: "", model: "", modality: "", capabilities: PLAIN };

/// A copy of the log, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCopy {
    id: Slug,
    place: Place,
    access_key: Credential,
    secret_key: Credential,
    session_token: Credential,
    ca_file: Option<PathBuf>,
    every_seconds: u32,
    lock_years: u32,
    content: bool,
    keeper: Arc<Hop>,
    chain: Chain,
}

/// Where the objects of a copy lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    endpoint: Endpoint,
    bucket: Bucket,
    prefix: Prefix,
    region: Slug,
    path_style: bool,
}

impl Place {
    /// The server that is connected to. Unless the bucket is named in paths, its host begins with it.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.region.as_str()
    }

    /// What stands before the name of each object: empty, or with a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix.0
    }

    /// The path of the bucket: empty, or `/bucket` when it is named in paths.
    #[must_use]
    pub fn base(&self) -> String {
        if self.path_style { format!("/{}", self.bucket.0) } else { String::new() }
    }
}

impl LogCopy {
    /// Its id, which names its position.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Where the id of the access key is kept.
    #[must_use]
    pub const fn access_key(&self) -> &Credential {
        &self.access_key
    }

    /// Where the secret of the access key is kept.
    #[must_use]
    pub const fn secret_key(&self) -> &Credential {
        &self.secret_key
    }

    /// Where the session of a temporary access key is kept.
    #[must_use]
    pub const fn session_token(&self) -> &Credential {
        &self.session_token
    }

    /// A file of PEM certificates to trust instead of the system's.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Seconds between two turns, from 1 to 86,400.
    #[must_use]
    pub const fn every_seconds(&self) -> u32 {
        self.every_seconds
    }

    /// For how many years the storage must lock what is written, from 6 to 100.
    #[must_use]
    pub const fn lock_years(&self) -> u32 {
        self.lock_years
    }

    /// Whether sealed content is copied beside the records.
    #[must_use]
    pub const fn content(&self) -> bool {
        self.content
    }

    /// Checks that whoever keeps the copy is covered at the moment `now`. Only then it is told where
    /// that is.
    ///
    /// # Errors
    /// What is not covered: the storage, or the hosting of this server.
    pub fn cover(&self, registry: &Registry, now: Time) -> Result<CoveredCopy<'_>, Gap> {
        let covers = self.chain.covers(&NO_REQUEST, registry, now)?;
        // A vendor's bucket lies where requests to it are signed for, whatever its hop says. On one's
        // own storage that word means nothing.
        let region: Option<Name> = self.place.region().parse().ok();
        if !self.keeper.is_inside() && !registry.constraints().regions().allow(region.as_ref()) {
            return Err(Gap::RegionNotAllowed { hop: self.keeper.id().clone(), region });
        }
        Ok(CoveredCopy { copy: self, covers })
    }

    pub(super) fn parse(
        raw: &RawCopy,
        hop: Arc<Hop>,
        organisation: Option<Title>,
        hosting: Option<Arc<Hop>>,
    ) -> Result<Self, Fault> {
        let content = raw.content.unwrap_or(false);
        if !matches!(hop.role(), Role::Storage | Role::Backup) || hop.sees() == Sees::Hashes {
            let problem = "the hop has role = \"storage\" or \"backup\" and sees = \"metadata\"";
            return Err(Fault::new("hop", problem));
        }
        if content && hop.sees() == Sees::Metadata {
            let problem = "sealed content is more than metadata; its hop has sees = \"ciphertext\"";
            return Err(Fault::new("content", problem));
        }
        let ca_file = raw.ca_file.as_ref().map(|text| {
            absolute(text).ok_or_else(|| Fault::new("ca_file", "write an absolute path"))
        });
        let credential = |field, text: &str| match word(field, text)? {
            Credential::None => Err(Fault::new(field, "nothing is written without a key")),
            named @ (Credential::File(_) | Credential::Env(_)) => Ok(named),
        };
        let session_token = raw.session_token.as_ref();
        Ok(Self {
            id: word("id", &raw.id)?,
            place: raw.place(&hop)?,
            access_key: credential("access_key", &raw.access_key)?,
            secret_key: credential("secret_key", &raw.secret_key)?,
            session_token: session_token
                .map_or(Ok(Credential::None), |text| credential("session_token", text))?,
            ca_file: ca_file.transpose()?,
            every_seconds: within(
                "every_seconds",
                raw.every_seconds.unwrap_or(DEFAULT_EVERY_SECONDS),
                1,
                MAX_EVERY_SECONDS,
            )?,
            lock_years: within(
                "lock_years",
                raw.lock_years.unwrap_or(DEFAULT_LOCK_YEARS),
                MIN_LOCK_YEARS,
                MAX_LOCK_YEARS,
            )?,
            content,
            keeper: Arc::clone(&hop),
            chain: Chain::new(organisation, hosting, vec![hop]),
        })
    }
}

fn within(field: &'static str, number: u32, least: u32, most: u32) -> Result<u32, Fault> {
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(Fault::new(field, format!("a number from {least} to {most}")))
    }
}

/// Proof that whoever keeps a copy was covered at one moment, and the only way to its address.
///
/// Only [`LogCopy::cover`] makes one:
/// ```
/// use gate::rules::{CoveredCopy, Rules};
/// let minimal = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/minimal.toml"));
/// let copy = r#"
/// [[hop]]
/// id = "worm"
/// entity = "Lakeside Family Clinic (synthetic)"
/// role = "storage"
/// sees = "metadata"
/// boundary = "inside"
/// owner = "Lakeside Family Clinic (synthetic)"
/// hosts = ["10.1.2.3:9000"]
/// [[copy]]
/// id = "worm"
/// hop = "worm"
/// url = "s3://audit/bulla"
/// endpoint = "https://10.1.2.3:9000"
/// region = "us-east-1"
/// path_style = true
/// access_key = "env:WORM_KEY"
/// secret_key = "env:WORM_SECRET"
/// "#;
/// let rules = Rules::parse(&format!("{minimal}{copy}"))?;
/// let now = ledger::Time::from_micros(1_790_000_000_000_000);
/// let copy = rules.copy("worm").ok_or("no copy")?;
/// let covered: CoveredCopy<'_> = copy.cover(rules.registry(), now)?;
/// assert_eq!(covered.place().base(), "/audit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// and a copy that was not covered does not say where it lies:
/// ```compile_fail,E0616
/// fn place(copy: &gate::rules::LogCopy) -> &gate::rules::Place {
///     &copy.place
/// }
/// ```
/// ```compile_fail,E0451
/// fn forge(copy: &gate::rules::LogCopy) -> gate::rules::CoveredCopy<'_> {
///     gate::rules::CoveredCopy { copy, covers: Vec::new() }
/// }
/// ```
#[derive(Debug)]
pub struct CoveredCopy<'a> {
    copy: &'a LogCopy,
    covers: Vec<Cover>,
}

impl<'a> CoveredCopy<'a> {
    /// The copy.
    #[must_use]
    pub const fn copy(&self) -> &'a LogCopy {
        self.copy
    }

    /// The only place where its objects may go.
    #[must_use]
    pub const fn place(&self) -> &'a Place {
        &self.copy.place
    }

    /// Every hop, hosting first, and what covers it.
    #[must_use]
    pub fn covers(&self) -> &[Cover] {
        &self.covers
    }
}

/// The name of a bucket, without the dots with which it would be no label of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bucket(Box<str>);

impl FromStr for Bucket {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let edge = |c: char| c == '-';
        if (3..=63).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with(edge)
            && !text.ends_with(edge)
        {
            return Ok(Self(text.into()));
        }
        Err(Malformed::new(
            "a copy lies at s3://bucket or s3://bucket/prefix; a bucket is 3 to 63 lower-case letters, digits and hyphens",
        ))
    }
}

/// What stands before the names of objects: empty, or with a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix(Box<str>);

impl FromStr for Prefix {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        // Such a name is signed as it is written.
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if text.is_empty() {
            return Ok(Self("".into()));
        }
        if text.len() <= PREFIX_BYTES && text.split('/').all(segment) {
            return Ok(Self(format!("{text}/").into()));
        }
        Err(Malformed::new(
            "a prefix is made of letters, digits and . _ - between slashes, without one at its end",
        ))
    }
}

/// A copy as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCopy {
    pub(super) id: String,
    pub(super) hop: String,
    url: String,
    endpoint: String,
    region: String,
    path_style: Option<bool>,
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    ca_file: Option<String>,
    every_seconds: Option<u32>,
    lock_years: Option<u32>,
    content: Option<bool>,
}

impl RawCopy {
    fn place(&self, hop: &Hop) -> Result<Place, Fault> {
        let rest = self.url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket: Bucket = word("url", bucket)?;
        let path_style = self.path_style.unwrap_or(false);
        let server: Endpoint = word("endpoint", &self.endpoint)?;
        if !server.path().is_empty() {
            return Err(Fault::new("endpoint", "names a host and perhaps a port, without a path"));
        }
        let endpoint = if path_style {
            server
        } else {
            let scheme = if server.is_secure() { "https" } else { "http" };
            let named = format!("{scheme}://{}.{}", bucket.0, server.authority());
            named.parse().map_err(|_| {
                let problem = "a server without a name needs path_style = true";
                Fault::new("path_style", problem)
            })?
        };
        // An address must be a registered host of the hop: 45 CFR 164.312(e)(1).
        if !hop.hosts().contains(endpoint.authority()) {
            let problem = "its host is not among the \"hosts\" of the hop; without path_style it begins with the bucket";
            return Err(Fault::new("endpoint", problem));
        }
        let endpoint = if hop.is_inside() {
            endpoint.inside().map_err(|it| Fault::new("endpoint", it.to_string()))?
        } else {
            endpoint
        };
        Ok(Place {
            endpoint,
            bucket,
            prefix: word("url", prefix)?,
            region: word("region", &self.region)?,
            path_style,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::Rules;
    use crate::rules::tests::at;

    const CLINIC: &str = include_str!("../../../../examples/clinic.toml");
    const IN_FORCE: &str = "2026-06-01T12:00:00Z";

    /// Storage inside the boundary.
    const INSIDE: &str = r#"
[[hop]]
id = "worm"
entity = "Lakeside Family Clinic (synthetic)"
role = "storage"
sees = "metadata"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["10.1.2.3:9000", "s3.clinic.example", "audit.s3.clinic.example", "192.0.2.1"]
"#;

    /// Storage outside, under an agreement that names it.
    const OUTSIDE: &str = r#"
[[agreement]]
id = "baa-examplestore"
kind = "baa"
counterparty = "Example Storage Inc. (synthetic)"
effective = 2026-01-01
expires = 2027-01-01
[[agreement.scope]]
services = ["object-storage"]
tiers = ["enterprise"]
regions = ["us"]
[[hop]]
id = "worm"
entity = "Example Storage Inc. (synthetic)"
role = "backup"
service = "object-storage"
tier = "enterprise"
region = "us"
sees = "metadata"
boundary = "outside"
agreement = "baa-examplestore"
hosts = ["audit.s3.clinic.example"]
"#;

    const NAMED: &str = "endpoint = \"https://s3.clinic.example\"\n";
    const BY_PATH: &str = "endpoint = \"https://10.1.2.3:9000\"\npath_style = true\n";

    fn copy(more: &str) -> String {
        format!(
            "[[copy]]\nid = \"worm\"\nhop = \"worm\"\nurl = \"s3://audit/clinic/log\"\n\
             region = \"us-east-1\"\naccess_key = \"env:WORM_KEY\"\nsecret_key = \"file:/etc/worm\"\n{more}"
        )
    }

    fn read(hop: &str, copy: &str) -> Result<Rules, String> {
        Rules::parse(&format!("{CLINIC}{hop}{copy}")).map_err(|error| error.to_string())
    }

    fn check_refused(hop: &str, copy: &str, expected: &str) {
        assert_eq!(read(hop, copy).unwrap_err(), format!("copy \"worm\", field {expected}"));
    }

    fn cover(hop: &str, moment: &str) -> String {
        let rules = read(hop, &copy(NAMED)).unwrap();
        match rules.copy("worm").unwrap().cover(rules.registry(), at(moment)) {
            Ok(covered) => format!("{:?}", covered.covers().last().unwrap().by),
            Err(gap) => gap.to_string(),
        }
    }

    #[test]
    fn a_copy_says_what_lies_where() {
        let rules = read(INSIDE, &copy(NAMED)).unwrap();
        let copy_of = rules.copies().next().unwrap();
        assert_eq!((copy_of.id(), copy_of.every_seconds(), copy_of.lock_years()), ("worm", 300, 7));
        assert!(!copy_of.content(), "content is copied only where the file says so");
        let covered = copy_of.cover(rules.registry(), at(IN_FORCE)).unwrap();
        let place = covered.place();
        assert_eq!(place.endpoint().to_string(), "https://audit.s3.clinic.example:443");
        assert!(place.endpoint().must_resolve_private(), "a name inside stays inside");
        assert_eq!((place.base().as_str(), place.prefix()), ("", "clinic/log/"));
        assert_eq!(place.region(), "us-east-1");
        let rules = read(INSIDE, &copy(BY_PATH).replace("/clinic/log", "")).unwrap();
        let covered = rules.copy("worm").unwrap().cover(rules.registry(), at(IN_FORCE)).unwrap();
        assert_eq!(covered.place().endpoint().to_string(), "https://10.1.2.3:9000");
        assert_eq!((covered.place().base().as_str(), covered.place().prefix()), ("/audit", ""));
    }

    #[test]
    fn whoever_keeps_a_copy_is_covered_like_any_other_hop() {
        assert_eq!(cover(INSIDE, IN_FORCE), "Inside");
        assert_eq!(cover(OUTSIDE, IN_FORCE), "Agreement");
        assert_eq!(
            cover(OUTSIDE, "2027-01-01T00:00:00Z"),
            "hop \"worm\" has no agreement in force: \"baa-examplestore\" expired on 2027-01-01"
        );
        assert_eq!(
            cover(&OUTSIDE.replace("agreement = \"baa-examplestore\"\n", ""), IN_FORCE),
            "hop \"worm\" has no agreement and no chain evidence"
        );
    }

    #[test]
    fn a_copy_lies_with_who_keeps_data_and_sees_what_it_gets() {
        let problem =
            "\"hop\": the hop has role = \"storage\" or \"backup\" and sees = \"metadata\"";
        let siem = INSIDE.replace("role = \"storage\"", "role = \"siem\"");
        check_refused(&siem, &copy(NAMED), problem);
        let hashes = INSIDE.replace("sees = \"metadata\"", "sees = \"hashes\"");
        assert!(read(&hashes, &copy(NAMED)).unwrap_err().contains("field \"sees\""));
        let content = copy(&format!("{NAMED}content = true\n"));
        let problem =
            "\"content\": sealed content is more than metadata; its hop has sees = \"ciphertext\"";
        check_refused(INSIDE, &content, problem);
        let ciphertext = INSIDE.replace("sees = \"metadata\"", "sees = \"ciphertext\"");
        assert!(read(&ciphertext, &content).unwrap().copy("worm").unwrap().content());
        let elsewhere = copy(NAMED).replace("hop = \"worm\"", "hop = \"elsewhere\"");
        assert!(read(INSIDE, &elsewhere).unwrap_err().ends_with("no [[hop]] with this id"));
    }

    #[test]
    fn a_copy_goes_to_a_registered_host_only() {
        let host = "\"endpoint\": its host is not among the \"hosts\" of the hop; without path_style it begins with the bucket";
        check_refused(INSIDE, &copy("endpoint = \"https://s3.other.example\"\n"), host);
        check_refused(INSIDE, &copy(NAMED).replace("//audit/", "//other/"), host);
        check_refused(INSIDE, &copy(&NAMED.replace("example", "example:444")), host);
        check_refused(
            INSIDE,
            &copy(&BY_PATH.replace("path_style = true\n", "")),
            "\"path_style\": a server without a name needs path_style = true",
        );
        check_refused(
            INSIDE,
            &copy(&BY_PATH.replace("10.1.2.3:9000", "192.0.2.1")),
            "\"endpoint\": an address inside the boundary is a loopback or private one; this one is public",
        );
        check_refused(
            INSIDE,
            &copy(&BY_PATH.replace("https", "http")),
            "\"endpoint\": plain http is for this machine only (127.0.0.1, [::1] or localhost); use https",
        );
        check_refused(
            INSIDE,
            &copy(&BY_PATH.replace(":9000", ":9000/s3")),
            "\"endpoint\": names a host and perhaps a port, without a path",
        );
    }

    #[test]
    fn no_name_of_an_object_can_be_read_in_two_ways() {
        for url in ["", "audit", "s3://", "s3://a", "s3://-audit", "s3://Audit", "s3://au.dit/x"] {
            let refused = read(INSIDE, &copy(NAMED).replace("s3://audit/clinic/log", url));
            assert!(refused.unwrap_err().contains("field \"url\": a copy lies at"), "{url}");
        }
        for prefix in ["a//b", "a/../b", "a/./b", "a/", "a b", "a%2fb", "a?b", "é"] {
            let refused = read(INSIDE, &copy(NAMED).replace("clinic/log", prefix));
            assert!(refused.unwrap_err().contains("field \"url\": a prefix is"), "{prefix}");
        }
    }

    #[test]
    fn a_copy_is_locked_for_six_years_at_least_and_written_with_a_key() {
        for (line, expected) in [
            ("lock_years = 5", "\"lock_years\": a number from 6 to 100"),
            ("every_seconds = 0", "\"every_seconds\": a number from 1 to 86400"),
            ("every_seconds = 86401", "\"every_seconds\": a number from 1 to 86400"),
            ("ca_file = \"ca.pem\"", "\"ca_file\": write an absolute path"),
        ] {
            check_refused(INSIDE, &copy(&format!("{NAMED}{line}\n")), expected);
        }
        let none = copy(NAMED).replace("env:WORM_KEY", "none");
        check_refused(INSIDE, &none, "\"access_key\": nothing is written without a key");
        let pasted = copy(NAMED).replace("file:/etc/worm", "hunter2");
        let refused = read(INSIDE, &pasted).unwrap_err();
        assert!(refused.contains("field \"secret_key\"") && !refused.contains("hunter2"));
    }

    #[test]
    fn there_are_only_so_many_copies() {
        let many: Vec<String> = (0..=super::MAX_COPIES)
            .map(|n| copy(NAMED).replacen("\"worm\"", &format!("\"worm-{n}\""), 1))
            .collect();
        let refused = read(INSIDE, &many.concat()).unwrap_err();
        assert_eq!(refused, "the file, field \"copy\": at most 4 copies");
        assert_eq!(read(INSIDE, &many[1..].concat()).unwrap().copies().count(), super::MAX_COPIES);
    }
}
