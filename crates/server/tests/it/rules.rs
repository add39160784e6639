//! The governed configuration of a test.

use testkit::upstream::Upstream;

const CLOUD: &str = r#"schema = 1
organisation = "Lakeside Family Clinic (synthetic)"

[hosting]
hop = "clinic-server"

[[purpose]]
id = "treatment"
title = "Treatment of a patient"

[[purpose]]
id = "payment"
title = "Payment for care"

[[agreement]]
id = "baa-examplecloud"
kind = "baa"
counterparty = "Example Cloud Inc. (synthetic)"
effective = 2020-01-01
expires = 2099-01-01
document_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[agreement.scope]]
services = ["inference-api"]
tiers = ["enterprise"]
regions = ["us-east"]
apis = ["chat.completions"]
models = ["stand-in"]
modalities = ["text"]
training = "none"
retention_days = 0
abuse_monitoring_days = 0
human_review = "none"
eligible = ["additional_model_fields", "citations", "extended_thinking", "prompt_caching", "structured_outputs"]

[[hop]]
id = "clinic-server"
entity = "Lakeside Family Clinic (synthetic)"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"

[[hop]]
id = "examplecloud"
entity = "Example Cloud Inc. (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa-examplecloud"
hosts = ["ADDRESS"]

[[destination]]
id = "cloud"
title = "Example Cloud, under agreement"
dialect = "openai_compatible"
url = "URL"
credential = "none"
hops = ["examplecloud"]
models = ["stand-in"]
timeout_seconds = 20

[[route]]
model = "stand-in"
to = [{ destination = "cloud", model = "stand-in" }]

[[policy]]
id = "identifiers"
effect = "tokenize"
classes = ["*"]
destinations = ["cloud"]
purposes = ["treatment"]
"#;

const HOME: &str = r#"
[[hop]]
id = "home-model"
entity = "Lakeside Family Clinic (synthetic)"
role = "inference"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"
hosts = ["ADDRESS"]

[[destination]]
id = "home"
title = "Model on the clinic's own server"
dialect = "openai_compatible"
url = "URL"
credential = "none"
hops = ["home-model"]
models = ["stand-in"]
"#;

const TOOLS: &str = r#"schema = 1
organisation = "Lakeside Family Clinic (synthetic)"

[hosting]
hop = "clinic-server"

[[purpose]]
id = "treatment"
title = "Treatment of a patient"

[[agreement]]
id = "baa-charts"
kind = "baa"
counterparty = "Example Charts Inc. (synthetic)"
effective = 2020-01-01
expires = 2099-01-01
document_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[agreement.scope]]
services = ["charts-api"]
tiers = ["enterprise"]
regions = ["us-east"]
apis = ["mcp"]
models = ["*"]
modalities = ["text"]
training = "none"
retention_days = 0
abuse_monitoring_days = 0
human_review = "none"

[[hop]]
id = "clinic-server"
entity = "Lakeside Family Clinic (synthetic)"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "Lakeside Family Clinic (synthetic)"

[[hop]]
id = "examplecharts"
entity = "Example Charts Inc. (synthetic)"
role = "tools"
service = "charts-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa-charts"
hosts = ["ADDRESS"]

[[destination]]
id = "charts"
title = "Charts, over the handshake"
dialect = "mcp"
url = "URL"
credential = "none"
hops = ["examplecharts"]
tools = [{ name = "keep_note" }, { name = "find_chart" }, { name = "draw" }, { name = "slow" }, { name = "fail" }]
timeout_seconds = 3

[[destination]]
id = "charts-new"
title = "Charts, each request alone"
dialect = "mcp"
api_version = "2026-07-28"
url = "URL"
credential = "none"
hops = ["examplecharts"]
tools = [{ name = "keep_note" }, { name = "find_chart" }, { name = "draw" }, { name = "slow" }, { name = "fail" }]
timeout_seconds = 3

[[policy]]
id = "identifiers"
effect = "tokenize"
classes = ["*"]
destinations = ["charts", "charts-new"]
purposes = ["treatment"]
"#;

/// A configuration, edited as text, as its owner would.
#[derive(Clone, Debug)]
pub(crate) struct Rules(String);

impl Rules {
    /// The model `stand-in` in a cloud under agreement, which gets surrogates, for treatment.
    pub(crate) fn cloud(upstream: &Upstream) -> Self {
        Self(at(CLOUD, upstream))
    }

    /// The same with another address of the model server, and another host of its hop.
    pub(crate) fn of(url: &str, host: &str) -> Self {
        Self(CLOUD.replace("ADDRESS", host).replace("URL", url))
    }

    /// One server of tools under agreement, in both versions of its protocol, which gets surrogates, for
    /// treatment.
    pub(crate) fn tools(url: &str, host: &str) -> Self {
        Self(TOOLS.replace("ADDRESS", host).replace("URL", url))
    }

    /// The same with `from` written as `to`, wherever it stands.
    pub(crate) fn with(self, from: &str, to: &str) -> Self {
        assert!(self.0.contains(from), "{from} is not in the rules");
        Self(self.0.replace(from, to))
    }

    /// The same and `more`.
    pub(crate) fn and(self, more: &str) -> Self {
        Self(format!("{}\n{more}", self.0))
    }

    /// The same and a model of the clinic's own, as the route's second destination.
    pub(crate) fn and_home(self, upstream: &Upstream) -> Self {
        let cloud = "{ destination = \"cloud\", model = \"stand-in\" }";
        self.with(cloud, &format!("{cloud}, {{ destination = \"home\", model = \"stand-in\" }}"))
            .and(&at(HOME, upstream))
    }

    /// The model server is called over TLS and must show a certificate of this authority.
    pub(crate) fn trusting(self, ca_file: &std::path::Path) -> Self {
        let credential = "credential = \"none\"";
        let path = ca_file.display();
        self.with(credential, &format!("{credential}\nca_file = \"{path}\""))
    }

    /// The same and one more model by this name, so that `GET /v1/models` shows which rules are in
    /// force.
    pub(crate) fn offering(self, model: &str) -> Self {
        self.and(&format!(
            "[[route]]\nmodel = \"{model}\"\nto = [{{ destination = \"cloud\", model = \"stand-in\" }}]\n"
        ))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

fn at(text: &str, upstream: &Upstream) -> String {
    text.replace("ADDRESS", &upstream.address().to_string()).replace("URL", &upstream.url())
}
