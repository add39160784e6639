//! Where traces of exchanges are sent to: a collector of OpenTelemetry's.
//!
//! A trace holds no content, but says when somebody asked which model, so the collector is a hop like the
//! receiver of a [`Feed`](super::Feed): it lies inside the boundary, or an agreement covers it.

use super::destination::{Credential, absolute};
use super::endpoint::Endpoint;
use super::feed::registered;
use super::name::{Fault, Title, word};
use crate::agreement::Registry;
use crate::path::{Chain, Features, Gap, Hop, PLAIN, Role, Sees};
use ledger::Time;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The features of a request do not matter: who collects traces serves none.
const NO_REQUEST: Features<'_> = Features { api: "", model: "", modality: "", capabilities: PLAIN };

/// Rarer than one exchange in a million nothing is seen.
const MAX_ONE_IN: u32 = 1_000_000;

/// Where traces go, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    endpoint: Endpoint,
    ca_file: Option<PathBuf>,
    authorization: Credential,
    one_in: u32,
    chain: Chain,
}

impl Traces {
    /// A file of PEM certificates to trust instead of the system's.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Where the value of the header `authorization` is kept.
    #[must_use]
    pub const fn authorization(&self) -> &Credential {
        &self.authorization
    }

    /// Of how many exchanges one is traced, when its caller does not say; from 1 to a million.
    #[must_use]
    pub const fn one_in(&self) -> u32 {
        self.one_in
    }

    /// Checks that the collector is covered at the moment `now`. Only then it is told where it is.
    ///
    /// # Errors
    /// What is not covered: the collector, or the hosting of this server.
    pub fn cover(&self, registry: &Registry, now: Time) -> Result<CoveredCollector<'_>, Gap> {
        self.chain.covers(&NO_REQUEST, registry, now)?;
        Ok(CoveredCollector(self))
    }

    pub(super) fn parse(
        raw: &RawTraces,
        hop: Arc<Hop>,
        organisation: Option<Title>,
        hosting: Option<Arc<Hop>>,
    ) -> Result<Self, Fault> {
        if hop.role() != Role::Siem || hop.sees() == Sees::Hashes {
            let problem =
                "the hop has role = \"siem\" and sees = \"metadata\"; hashes are not enough";
            return Err(Fault::new("hop", problem));
        }
        let endpoint = registered("url", word("url", &raw.url)?, &hop)?;
        let ca_file = raw.ca_file.as_ref().map(|text| {
            absolute(text).ok_or_else(|| Fault::new("ca_file", "write an absolute path"))
        });
        let authorization = match &raw.authorization {
            Some(text) => word("authorization", text)?,
            None => Credential::None,
        };
        if !(1..=MAX_ONE_IN).contains(&raw.one_in) {
            return Err(Fault::new("one_in", format!("a number from 1 to {MAX_ONE_IN}")));
        }
        Ok(Self {
            endpoint,
            ca_file: ca_file.transpose()?,
            authorization,
            one_in: raw.one_in,
            chain: Chain::new(organisation, hosting, vec![hop]),
        })
    }
}

/// Proof that the collector of traces was covered at one moment, and the only way to its address.
///
/// Only [`Traces::cover`] makes one, and without it nobody is told where the collector is:
/// ```compile_fail,E0616
/// fn endpoint(traces: &gate::rules::Traces) -> &gate::path::Endpoint {
///     &traces.endpoint
/// }
/// ```
/// ```compile_fail,E0423
/// fn forge(traces: &gate::rules::Traces) -> gate::rules::CoveredCollector<'_> {
///     gate::rules::CoveredCollector(traces)
/// }
/// ```
/// ```
/// use gate::rules::{CoveredCollector, Rules, Traces};
/// fn covered<'a>(rules: &'a Rules, now: ledger::Time) -> Option<CoveredCollector<'a>> {
///     rules.traces()?.cover(rules.registry(), now).ok()
/// }
/// fn where_to(covered: &CoveredCollector<'_>) -> String {
///     covered.endpoint().to_string()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CoveredCollector<'a>(&'a Traces);

impl<'a> CoveredCollector<'a> {
    /// What the file says of it.
    #[must_use]
    pub const fn traces(self) -> &'a Traces {
        self.0
    }

    /// The only place to which traces may go.
    #[must_use]
    pub const fn endpoint(&self) -> &'a Endpoint {
        &self.0.endpoint
    }
}

/// Where traces go, as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTraces {
    pub(super) hop: String,
    url: String,
    ca_file: Option<String>,
    authorization: Option<String>,
    #[serde(default = "every")]
    one_in: u32,
}

const fn every() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use crate::rules::Rules;
    use crate::rules::tests::at;

    const CLINIC: &str = include_str!("../../../../examples/clinic.toml");
    const NOW: &str = "2026-06-01T12:00:00Z";

    const INSIDE: &str = r#"
[[hop]]
id = "collector"
entity = "Lakeside Family Clinic (synthetic)"
role = "siem"
sees = "metadata"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["127.0.0.1:4318", "otel.clinic.example", "192.0.2.1"]
"#;

    const TRACES: &str =
        "[traces]\nhop = \"collector\"\nurl = \"http://127.0.0.1:4318/v1/traces\"\n";

    fn read(hop: &str, traces: &str) -> Result<Rules, String> {
        Rules::parse(&format!("{CLINIC}{hop}{traces}")).map_err(|error| error.to_string())
    }

    fn refused(hop: &str, traces: &str) -> String {
        read(hop, traces).unwrap_err()
    }

    #[test]
    fn without_a_word_about_traces_there_are_none() {
        assert!(read(INSIDE, "").unwrap().traces().is_none());
    }

    #[test]
    fn a_collector_inside_is_told_where_it_is_once_it_is_covered() {
        let rules = read(INSIDE, TRACES).unwrap();
        let traces = rules.traces().unwrap();
        assert_eq!(traces.one_in(), 1);
        let covered = traces.cover(rules.registry(), at(NOW)).unwrap();
        assert_eq!(covered.endpoint().to_string(), "http://127.0.0.1:4318/v1/traces");
        let named = TRACES.replace("http://127.0.0.1:4318", "https://otel.clinic.example");
        let rules = read(INSIDE, &named).unwrap();
        let covered = rules.traces().unwrap().cover(rules.registry(), at(NOW)).unwrap();
        assert!(covered.endpoint().must_resolve_private(), "a name inside stays inside");
    }

    #[test]
    fn a_collector_outside_needs_an_agreement() {
        let outside = INSIDE
            .replace(
                "boundary = \"inside\"\nowner = \"Lakeside Family Clinic (synthetic)\"",
                "boundary = \"outside\"\ntier = \"enterprise\"",
            )
            .replace(
                "entity = \"Lakeside Family Clinic (synthetic)\"",
                "entity = \"Example Traces Inc. (synthetic)\"",
            );
        let rules =
            read(&outside, &TRACES.replace("http://127.0.0.1:4318", "https://otel.clinic.example"))
                .unwrap();
        let gap = rules.traces().unwrap().cover(rules.registry(), at(NOW)).unwrap_err();
        assert_eq!(gap.to_string(), "hop \"collector\" has no agreement and no chain evidence");
    }

    #[test]
    fn an_address_that_nobody_registered_is_refused() {
        assert_eq!(
            refused(INSIDE, &TRACES.replace("4318", "4319")),
            "traces, field \"url\": its host is not among the \"hosts\" of the hop"
        );
        assert_eq!(
            refused(INSIDE, &TRACES.replace("http://127.0.0.1:4318", "https://192.0.2.1")),
            "traces, field \"url\": an address inside the boundary is a loopback or private one; this one is public"
        );
        assert_eq!(
            refused(INSIDE, &TRACES.replace("\"collector\"", "\"elsewhere\"")),
            "traces, field \"hop\": there is no [[hop]] with this id"
        );
        let hashes = INSIDE.replace("sees = \"metadata\"", "sees = \"hashes\"");
        assert!(refused(&hashes, TRACES).contains("hashes are not enough"));
        assert_eq!(
            refused(INSIDE, &format!("{TRACES}one_in = 0\n")),
            "traces, field \"one_in\": a number from 1 to 1000000"
        );
        assert!(refused(INSIDE, &format!("{TRACES}headers = 1\n")).contains("unknown field"));
    }
}
