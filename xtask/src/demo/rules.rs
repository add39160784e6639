//! The governed configuration of the demo, in two versions: with the agreement
//! that covers the path, and without it.

/// Where the prompts of the demo go.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    /// Its base address, up to and with `/v1`.
    pub(super) url: String,
    pub(super) model: String,
    /// `none` or `env:NAME`.
    pub(super) credential: String,
}

impl Upstream {
    /// The host as a hop registers it: with its port where the address has one.
    fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// Whether the agreement with the model's operator is among the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    InForce,
    Removed,
}

/// The organisation of the demo.
pub(crate) const ORGANISATION: &str = "Lakeside Family Clinic (synthetic)";
/// The model name that callers use.
pub(super) const MODEL: &str = "demo";

/// The rules as `bulla apply` reads them.
///
/// The model on this machine plays the part of an outside vendor, so that what
/// an agreement permits and what its absence refuses can be seen.
pub(super) fn file(upstream: &Upstream, agreement: Agreement) -> String {
    let (cover, section) = match agreement {
        Agreement::InForce => ("agreement = \"baa-demo\"", AGREEMENT),
        Agreement::Removed => ("", ""),
    };
    let Upstream { url, model, credential } = upstream;
    let host = upstream.host();
    format!(
        r#"schema = 1
organisation = "{ORGANISATION}"

[hosting]
hop = "clinic-server"

[[purpose]]
id = "treatment"
title = "Treatment of a patient"
{section}
[[hop]]
id = "clinic-server"
entity = "{ORGANISATION}"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "{ORGANISATION}"

[[hop]]
id = "vendor-inference"
entity = "Example Models Inc. (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
{cover}
hosts = ["{host}"]

[[destination]]
id = "vendor"
title = "A model outside, played by a small model on this machine"
dialect = "openai_compatible"
url = "{url}"
credential = "{credential}"
hops = ["vendor-inference"]
models = ["{model}"]

[[route]]
model = "{MODEL}"
title = "The model of the demo"
to = [{{ destination = "vendor", model = "{model}" }}]

[[policy]]
id = "vendor-tokenize"
title = "Identifiers leave only as surrogates"
effect = "tokenize"
classes = ["*"]
destinations = ["vendor"]
purposes = ["treatment"]
"#
    )
}

const AGREEMENT: &str = r#"
[[agreement]]
id = "baa-demo"
kind = "baa"
counterparty = "Example Models Inc. (synthetic)"
effective = 2020-01-01
expires = 2099-01-01
document_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[agreement.scope]]
services = ["inference-api"]
tiers = ["enterprise"]
regions = ["us-east"]
apis = ["chat.completions"]
models = ["*"]
modalities = ["text"]
training = "none"
retention_days = 0
abuse_monitoring_days = 0
human_review = "none"
eligible = ["structured_outputs", "extended_thinking", "prompt_caching"]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_versions_differ_in_the_agreement_alone() {
        let upstream = Upstream {
            url: "http://127.0.0.1:8089/v1".into(),
            model: "small".into(),
            credential: "none".into(),
        };
        let with = file(&upstream, Agreement::InForce);
        let without = file(&upstream, Agreement::Removed);
        let stripped = with.replace(AGREEMENT, "").replace("agreement = \"baa-demo\"", "");
        assert_eq!(stripped, without);
        for text in [with, without] {
            let table: toml::Table = text.parse().unwrap();
            assert_eq!(table["hop"][1]["hosts"][0].as_str(), Some("127.0.0.1:8089"));
        }
    }
}
