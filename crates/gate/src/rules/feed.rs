//! Where the log is streamed to: the feeds of the organisation's SIEM.
//!
//! Records hold no content, but who asked for what and when, so the receiver is a hop like any other: it
//! lies inside the boundary, or an agreement covers it.

use super::destination::{Credential, absolute};
use super::endpoint::Endpoint;
use super::name::{Fault, Slug, Title, word};
use crate::agreement::Registry;
use crate::path::{Chain, Features, Gap, Hop, PLAIN, Role, Sees};
use ledger::{Cover, Time};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Feeds in one file: each keeps a connection and one batch of lines in memory, and reads the whole log.
pub const MAX_FEEDS: usize = 16;

/// The features of a request do not matter: who collects records serves none.
const NO_REQUEST: Features<'_> = Features { api: "", model: "", modality: "", capabilities: PLAIN };

/// How one record is written as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineFormat {
    /// The record's exact bytes with its position and leaf hash, as JSON.
    Jsonl,
    /// An event of the Open Cybersecurity Schema Framework, 1.8.0.
    Ocsf,
    /// Common Event Format, version 0.
    Cef,
    /// A FHIR R4 `AuditEvent`.
    Fhir,
}

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedTarget {
    /// RFC 5424 messages over TLS, RFC 5425.
    Syslog(Endpoint),
    /// Lines in the body of HTTP POST requests.
    Webhook(Endpoint),
    /// Lines at the end of a file, which an agent of the SIEM follows.
    File(PathBuf),
}

/// A feed, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    id: Slug,
    format: LineFormat,
    target: FeedTarget,
    ca_file: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
    secret: Credential,
    authorization: Credential,
    chain: Chain,
}

impl Feed {
    /// Its id, which names its position in the log.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// How its lines are written.
    #[must_use]
    pub const fn format(&self) -> LineFormat {
        self.format
    }

    /// A file of PEM certificates to trust; for a webhook, instead of the system's.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Files of the certificate chain and the private key, PEM, by which the receiver knows us.
    #[must_use]
    pub fn client(&self) -> Option<(&Path, &Path)> {
        self.client.as_ref().map(|(certificates, key)| (certificates.as_path(), key.as_path()))
    }

    /// Where the secret is kept with which the requests of a webhook are signed.
    #[must_use]
    pub const fn secret(&self) -> &Credential {
        &self.secret
    }

    /// Where the value of the header `authorization` is kept.
    #[must_use]
    pub const fn authorization(&self) -> &Credential {
        &self.authorization
    }

    /// Checks that the receiver is covered at the moment `now`. Only then it is told where it is.
    ///
    /// # Errors
    /// What is not covered: the receiver, or the hosting of this server.
    pub fn cover(&self, registry: &Registry, now: Time) -> Result<CoveredFeed<'_>, Gap> {
        Ok(CoveredFeed { feed: self, covers: self.chain.covers(&NO_REQUEST, registry, now)? })
    }

    pub(super) fn parse(
        raw: &RawFeed,
        hop: Arc<Hop>,
        organisation: Option<Title>,
        hosting: Option<Arc<Hop>>,
    ) -> Result<Self, Fault> {
        if hop.role() != Role::Siem || hop.sees() == Sees::Hashes {
            let problem =
                "the hop has role = \"siem\" and sees = \"metadata\"; hashes are not enough";
            return Err(Fault::new("hop", problem));
        }
        let target = raw.target(&hop)?;
        let path = |field, text: Option<&String>| {
            let read =
                |text| absolute(text).ok_or_else(|| Fault::new(field, "write an absolute path"));
            text.map(|text| read(text)).transpose()
        };
        let ca_file = path("ca_file", raw.ca_file.as_ref())?;
        let certificates = path("cert_file", raw.cert_file.as_ref())?;
        let key = path("key_file", raw.key_file.as_ref())?;
        let client = match (certificates, key) {
            (Some(certificates), Some(key)) => Some((certificates, key)),
            (None, None) => None,
            (Some(_), None) => return Err(Fault::new("key_file", "belongs to \"cert_file\"")),
            (None, Some(_)) => return Err(Fault::new("cert_file", "belongs to \"key_file\"")),
        };
        match &target {
            // RFC 5425 section 4.2: who the receiver is follows from configured trust anchors.
            FeedTarget::Syslog(_) if ca_file.is_none() => {
                let problem = "name the certificates that sign the receiver's, PEM";
                return Err(Fault::new("ca_file", problem));
            }
            FeedTarget::File(_) if ca_file.is_some() || client.is_some() => {
                let problem = "belongs to \"syslog\" and \"webhook\"";
                let field = if ca_file.is_some() { "ca_file" } else { "cert_file" };
                return Err(Fault::new(field, problem));
            }
            FeedTarget::Syslog(_) | FeedTarget::Webhook(_) | FeedTarget::File(_) => {}
        }
        let of_webhook = |field, text: Option<&String>| {
            let Some(text) = text else { return Ok(Credential::None) };
            if matches!(target, FeedTarget::Webhook(_)) {
                word(field, text)
            } else {
                Err(Fault::new(field, "belongs to \"webhook\" only"))
            }
        };
        Ok(Self {
            id: word("id", &raw.id)?,
            format: raw.format,
            ca_file,
            client,
            secret: of_webhook("secret", raw.secret.as_ref())?,
            authorization: of_webhook("authorization", raw.authorization.as_ref())?,
            target,
            chain: Chain::new(organisation, hosting, vec![hop]),
        })
    }
}

/// Proof that the receiver of a feed was covered at one moment, and the only way to its address.
///
/// Only [`Feed::cover`] makes one:
/// ```
/// use gate::rules::{CoveredFeed, FeedTarget, Rules};
/// let minimal = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/minimal.toml"));
/// let feed = r#"
/// [[hop]]
/// id = "siem"
/// entity = "Lakeside Family Clinic (synthetic)"
/// role = "siem"
/// sees = "metadata"
/// boundary = "inside"
/// owner = "Lakeside Family Clinic (synthetic)"
/// [[feed]]
/// id = "siem"
/// hop = "siem"
/// format = "jsonl"
/// file = "/var/log/bulla.jsonl"
/// "#;
/// let rules = Rules::parse(&format!("{minimal}{feed}"))?;
/// let now = ledger::Time::from_micros(1_790_000_000_000_000);
/// let feed = rules.feed("siem").ok_or("no feed")?;
/// let covered: CoveredFeed<'_> = feed.cover(rules.registry(), now)?;
/// assert!(matches!(covered.target(), FeedTarget::File(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// and a feed that was not covered does not say where it goes:
/// ```compile_fail,E0616
/// fn target(feed: &gate::rules::Feed) -> &gate::rules::FeedTarget {
///     &feed.target
/// }
/// ```
/// ```compile_fail,E0451
/// fn forge(feed: &gate::rules::Feed) -> gate::rules::CoveredFeed<'_> {
///     gate::rules::CoveredFeed { feed, covers: Vec::new() }
/// }
/// ```
#[derive(Debug)]
pub struct CoveredFeed<'a> {
    feed: &'a Feed,
    covers: Vec<Cover>,
}

impl<'a> CoveredFeed<'a> {
    /// The feed.
    #[must_use]
    pub const fn feed(&self) -> &'a Feed {
        self.feed
    }

    /// The only place to which lines may go.
    #[must_use]
    pub const fn target(&self) -> &'a FeedTarget {
        &self.feed.target
    }

    /// Every hop, hosting first, and what covers it.
    #[must_use]
    pub fn covers(&self) -> &[Cover] {
        &self.covers
    }
}

/// A feed as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFeed {
    pub(super) id: String,
    pub(super) hop: String,
    format: LineFormat,
    syslog: Option<String>,
    webhook: Option<String>,
    file: Option<String>,
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    secret: Option<String>,
    authorization: Option<String>,
}

impl RawFeed {
    fn target(&self, hop: &Hop) -> Result<FeedTarget, Fault> {
        match (&self.syslog, &self.webhook, &self.file) {
            (Some(text), None, None) => {
                let endpoint = Endpoint::of_syslog(text);
                let endpoint = endpoint.map_err(|it| Fault::new("syslog", it.to_string()))?;
                Ok(FeedTarget::Syslog(registered("syslog", endpoint, hop)?))
            }
            (None, Some(text), None) => {
                let endpoint = word("webhook", text)?;
                Ok(FeedTarget::Webhook(registered("webhook", endpoint, hop)?))
            }
            (None, None, Some(text)) => {
                let path = absolute(text);
                path.ok_or_else(|| Fault::new("file", "write an absolute path"))
                    .map(FeedTarget::File)
            }
            _ => Err(Fault::new("syslog", "name one of \"syslog\", \"webhook\" and \"file\"")),
        }
    }
}

/// An address must be a registered host of the hop: 45 CFR 164.312(e)(1).
pub(super) fn registered(
    field: &'static str,
    endpoint: Endpoint,
    hop: &Hop,
) -> Result<Endpoint, Fault> {
    if !hop.hosts().contains(endpoint.authority()) {
        return Err(Fault::new(field, "its host is not among the \"hosts\" of the hop"));
    }
    if !hop.is_inside() {
        return Ok(endpoint);
    }
    endpoint.inside().map_err(|malformed| Fault::new(field, malformed.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{FeedTarget, LineFormat};
    use crate::rules::Rules;
    use crate::rules::tests::at;

    const CLINIC: &str = include_str!("../../../../examples/clinic.toml");
    const IN_FORCE: &str = "2026-06-01T12:00:00Z";

    /// A receiver inside the boundary.
    const INSIDE: &str = r#"
[[hop]]
id = "siem"
entity = "Lakeside Family Clinic (synthetic)"
role = "siem"
sees = "metadata"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["siem.clinic.example:6514", "10.1.2.3", "192.0.2.1"]
"#;

    /// A receiver outside, under an agreement that names it.
    const OUTSIDE: &str = r#"
[[agreement]]
id = "baa-examplesiem"
kind = "baa"
counterparty = "Example SIEM Inc. (synthetic)"
effective = 2026-01-01
expires = 2027-01-01
[[agreement.scope]]
services = ["log-cloud"]
tiers = ["enterprise"]
regions = ["us"]
[[hop]]
id = "siem"
entity = "Example SIEM Inc. (synthetic)"
role = "siem"
service = "log-cloud"
tier = "enterprise"
region = "us"
sees = "metadata"
boundary = "outside"
agreement = "baa-examplesiem"
hosts = ["siem.clinic.example:6514", "10.1.2.3", "192.0.2.1"]
"#;

    const SYSLOG: &str = "syslog = \"tls://siem.clinic.example\"\nca_file = \"/etc/ca.pem\"\n";
    const WEBHOOK: &str = "webhook = \"https://10.1.2.3/collect\"\n";

    fn feed(more: &str) -> String {
        format!("[[feed]]\nid = \"siem\"\nhop = \"siem\"\nformat = \"ocsf\"\n{more}")
    }

    fn read(hop: &str, feed: &str) -> Result<Rules, String> {
        Rules::parse(&format!("{CLINIC}{hop}{feed}")).map_err(|error| error.to_string())
    }

    fn check_refused(hop: &str, more: &str, expected: &str) {
        assert_eq!(read(hop, &feed(more)).unwrap_err(), format!("feed \"siem\", field {expected}"));
    }

    /// How a feed to this hop is covered at a moment.
    fn cover(hop: &str, moment: &str) -> String {
        let rules = read(hop, &feed(SYSLOG)).unwrap();
        match rules.feed("siem").unwrap().cover(rules.registry(), at(moment)) {
            Ok(covered) => {
                assert!(matches!(covered.target(), FeedTarget::Syslog(_)));
                format!("{:?}", covered.covers().last().unwrap().by)
            }
            Err(gap) => gap.to_string(),
        }
    }

    #[test]
    fn a_feed_says_what_goes_where() {
        let rules = read(INSIDE, &feed(SYSLOG)).unwrap();
        let feed = rules.feeds().next().unwrap();
        assert_eq!((feed.id(), feed.format()), ("siem", LineFormat::Ocsf));
        assert_eq!(feed.ca_file().unwrap().to_str(), Some("/etc/ca.pem"));
        let covered = feed.cover(rules.registry(), at(IN_FORCE)).unwrap();
        let FeedTarget::Syslog(endpoint) = covered.target() else { panic!("not syslog") };
        assert_eq!(endpoint.authority().to_string(), "siem.clinic.example:6514");
        assert!(endpoint.must_resolve_private(), "a name inside stays inside");
    }

    #[test]
    fn a_receiver_is_covered_like_any_other_hop() {
        assert_eq!(cover(INSIDE, IN_FORCE), "Inside");
        assert_eq!(cover(OUTSIDE, IN_FORCE), "Agreement");
        assert_eq!(
            cover(OUTSIDE, "2027-01-01T00:00:00Z"),
            "hop \"siem\" has no agreement in force: \"baa-examplesiem\" expired on 2027-01-01"
        );
        assert_eq!(
            cover(&OUTSIDE.replace("agreement = \"baa-examplesiem\"\n", ""), IN_FORCE),
            "hop \"siem\" has no agreement and no chain evidence"
        );
        assert_eq!(
            cover(&OUTSIDE.replace("tier = \"enterprise\"\n", ""), IN_FORCE),
            "hop \"siem\" names no tier, so it counts as a consumer tier, which no agreement covers"
        );
        assert_eq!(
            cover(&INSIDE.replace("owner = \"Lakeside", "owner = \"Riverside"), IN_FORCE),
            "hop \"siem\" claims to lie inside the boundary, but its entity and its owner are not the organisation"
        );
    }

    #[test]
    fn without_a_word_on_hosting_no_feed_is_covered() {
        let text = format!("{CLINIC}{INSIDE}{}", feed(SYSLOG));
        let rules = Rules::parse(&text.replace("[hosting]\nhop = \"clinic-server\"", "")).unwrap();
        let gap = rules.feed("siem").unwrap().cover(rules.registry(), at(IN_FORCE)).unwrap_err();
        assert_eq!(gap.reason(), "no_hosting_hop");
    }

    #[test]
    fn a_feed_goes_to_a_siem_that_may_see_records() {
        let problem =
            "\"hop\": the hop has role = \"siem\" and sees = \"metadata\"; hashes are not enough";
        let hashes = INSIDE.replace("sees = \"metadata\"", "sees = \"hashes\"");
        check_refused(&hashes, SYSLOG, problem);
        let storage = INSIDE.replace(
            "role = \"siem\"\nsees = \"metadata\"",
            "role = \"storage\"\nsees = \"content\"",
        );
        check_refused(&storage, SYSLOG, problem);
        let elsewhere = feed(SYSLOG).replace("hop = \"siem\"", "hop = \"elsewhere\"");
        let refused = read(INSIDE, &elsewhere).unwrap_err();
        assert!(refused.ends_with("there is no [[hop]] with this id"), "{refused}");
        // A party that handles prompts cannot be said to see records only.
        let gateway = INSIDE.replace("role = \"siem\"", "role = \"gateway\"");
        let refused = read(&gateway, "").unwrap_err();
        assert!(refused.contains("field \"sees\""), "{refused}");
    }

    #[test]
    fn a_feed_has_one_target_at_a_registered_host() {
        check_refused(INSIDE, "", "\"syslog\": name one of \"syslog\", \"webhook\" and \"file\"");
        let two = format!("{SYSLOG}{WEBHOOK}");
        check_refused(INSIDE, &two, "\"syslog\": name one of \"syslog\", \"webhook\" and \"file\"");
        for (from, to) in [("siem.clinic", "other.clinic"), ("example\"", "example:7514\"")] {
            let other = SYSLOG.replacen(from, to, 1);
            check_refused(
                INSIDE,
                &other,
                "\"syslog\": its host is not among the \"hosts\" of the hop",
            );
        }
        check_refused(
            INSIDE,
            "webhook = \"https://192.0.2.1/x\"\n",
            "\"webhook\": an address inside the boundary is a loopback or private one; this one is public",
        );
        check_refused(
            INSIDE,
            "webhook = \"http://10.1.2.3/x\"\n",
            "\"webhook\": plain http is for this machine only (127.0.0.1, [::1] or localhost); use https",
        );
        check_refused(
            INSIDE,
            "syslog = \"tcp://siem.clinic.example\"\n",
            "\"syslog\": a syslog receiver is written tls://host or tls://host:port; without a port, 6514",
        );
        check_refused(INSIDE, "file = \"siem.jsonl\"\n", "\"file\": write an absolute path");
    }

    #[test]
    fn what_belongs_to_another_target_is_refused() {
        check_refused(
            INSIDE,
            "syslog = \"tls://siem.clinic.example\"\n",
            "\"ca_file\": name the certificates that sign the receiver's, PEM",
        );
        let signed = format!("{SYSLOG}secret = \"env:SIEM\"\n");
        check_refused(INSIDE, &signed, "\"secret\": belongs to \"webhook\" only");
        let named = "file = \"/var/x\"\nauthorization = \"env:SIEM\"\n";
        check_refused(INSIDE, named, "\"authorization\": belongs to \"webhook\" only");
        let file = "file = \"/var/x\"\nca_file = \"/etc/ca.pem\"\n";
        check_refused(INSIDE, file, "\"ca_file\": belongs to \"syslog\" and \"webhook\"");
        let half = format!("{SYSLOG}cert_file = \"/etc/cert.pem\"\n");
        check_refused(INSIDE, &half, "\"key_file\": belongs to \"cert_file\"");
        let pasted = format!("{WEBHOOK}secret = \"hunter2\"\n");
        let refused = read(INSIDE, &feed(&pasted)).unwrap_err();
        assert!(refused.contains("field \"secret\"") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn there_are_only_so_many_feeds() {
        let many: Vec<String> = (0..=super::MAX_FEEDS)
            .map(|n| feed(SYSLOG).replacen("\"siem\"", &format!("\"siem-{n}\""), 1))
            .collect();
        let refused = read(INSIDE, &many.concat()).unwrap_err();
        assert_eq!(refused, "the file, field \"feed\": at most 16 feeds");
        assert_eq!(read(INSIDE, &many[1..].concat()).unwrap().feeds().count(), super::MAX_FEEDS);
    }
}
