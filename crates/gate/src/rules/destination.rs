//! Where prompts can go.

use super::endpoint::Endpoint;
use super::name::{Fault, Malformed, Name, Slug, Title, optional, word, words};
use super::timeout::{RawTimeouts, Timeouts};
use super::tools::{RawTool, Tools};
use crate::path::{Hop, Path, Role};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Where the credential for a destination is kept. The file holds a reference, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The model server asks for none.
    None,
    /// In a file, by its absolute path.
    File(PathBuf),
    /// In an environment variable of the server.
    Env(String),
}

impl FromStr for Credential {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const FORM: Malformed = Malformed::new(
            "a credential is \"none\", \"file:/absolute/path\" or \"env:NAME\"; the secret itself never stands in this file",
        );
        if text == "none" {
            return Ok(Self::None);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return absolute(path).ok_or(FORM).map(Self::File);
        }
        let name = text.strip_prefix("env:").ok_or(FORM)?;
        let first = |b: u8| b.is_ascii_uppercase() || b == b'_';
        if name.bytes().next().is_some_and(first)
            && name.bytes().all(|b| first(b) || b.is_ascii_digit())
        {
            Ok(Self::Env(name.to_owned()))
        } else {
            Err(FORM)
        }
    }
}

pub(super) fn absolute(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    (path.is_absolute() && !text.chars().any(char::is_control)).then_some(path)
}

/// An interface of a model server, by the name that agreements and records have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Api {
    /// Chat completions of `OpenAI`.
    #[serde(rename = "chat.completions")]
    ChatCompletions,
    /// Completions of `OpenAI`, as before there was chat.
    #[serde(rename = "completions")]
    Completions,
    /// Embeddings of `OpenAI`.
    #[serde(rename = "embeddings")]
    Embeddings,
    /// Responses of `OpenAI`.
    #[serde(rename = "responses")]
    Responses,
    /// Messages of Anthropic.
    #[serde(rename = "messages")]
    Messages,
    /// The counting of tokens of Anthropic.
    #[serde(rename = "messages.count_tokens")]
    CountTokens,
    /// Converse and `ConverseStream` of Amazon Bedrock.
    #[serde(rename = "converse")]
    Converse,
    /// `generateContent` and `streamGenerateContent` of Google's Gemini.
    #[serde(rename = "generate_content")]
    GenerateContent,
    /// Tools over the Model Context Protocol.
    #[serde(rename = "mcp")]
    Mcp,
}

impl Api {
    const ALL: [Self; 9] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Converse,
        Self::GenerateContent,
        Self::Mcp,
    ];

    /// The interface of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "messages.count_tokens",
            Self::Converse => "converse",
            Self::GenerateContent => "generate_content",
            Self::Mcp => "mcp",
        }
    }
}

/// The wire dialect of a destination: how it is addressed, how it knows us, and which interfaces it
/// has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `OpenAI` itself, which keeps what it is not told to forget.
    #[serde(rename = "openai")]
    OpenAi,
    /// A server that speaks as `OpenAI` does: `vLLM`, llama.cpp, Ollama, `bulla-model`.
    #[serde(rename = "openai_compatible")]
    OpenAiCompatible,
    /// Azure `OpenAI`.
    #[serde(rename = "azure_openai")]
    AzureOpenAi,
    /// Anthropic.
    Anthropic,
    /// Amazon Bedrock.
    Bedrock,
    /// Gemini on Google's Vertex AI.
    Vertex,
    /// A server of tools, over the Model Context Protocol.
    Mcp,
}

impl Dialect {
    /// The interfaces that a server of the dialect has, unless the file says otherwise, and those that
    /// the file may name beside them.
    const fn apis(self) -> (&'static [Api], &'static [Api]) {
        const OPENAI: &[Api] =
            &[Api::ChatCompletions, Api::Completions, Api::Embeddings, Api::Responses];
        const COMPATIBLE: &[Api] = &[Api::ChatCompletions, Api::Completions, Api::Embeddings];
        match self {
            Self::OpenAi | Self::AzureOpenAi => (OPENAI, &[]),
            Self::OpenAiCompatible => (COMPATIBLE, &[Api::Responses]),
            Self::Anthropic => (&[Api::Messages, Api::CountTokens], &[]),
            Self::Bedrock => (&[Api::Converse], &[]),
            Self::Vertex => (&[Api::GenerateContent], &[]),
            Self::Mcp => (&[Api::Mcp], &[]),
        }
    }
}

/// A model server, and the path to it.
#[derive(Debug)]
pub struct Destination {
    id: Slug,
    title: Title,
    dialect: Dialect,
    apis: BTreeSet<Api>,
    api_version: Option<Name>,
    credential: Credential,
    models: BTreeSet<Name>,
    tools: Option<Arc<Tools>>,
    ca_file: Option<PathBuf>,
    timeouts: Timeouts,
    batches: bool,
    path: Path,
}

impl Destination {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(&self) -> &Title {
        &self.title
    }

    /// Its wire dialect.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether it has this interface.
    #[must_use]
    pub fn has(&self, api: Api) -> bool {
        self.apis.contains(&api)
    }

    /// The interface that conversations are held in, or the first that it has.
    #[must_use]
    pub fn main_api(&self) -> Api {
        // Every destination has one; the order of the names puts conversations first.
        self.apis.first().copied().unwrap_or(Api::ChatCompletions)
    }

    /// The version of the interface that every request names, as Azure's deployments want it.
    #[must_use]
    pub const fn api_version(&self) -> Option<&Name> {
        self.api_version.as_ref()
    }

    /// The region in which the model runs, when its hop says so.
    #[must_use]
    pub fn region(&self) -> Option<&Name> {
        let mut hops = self.path.hops();
        hops.find(|hop| hop.role() == Role::Inference).and_then(Hop::region)
    }

    /// Where its credential is kept.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The models that may be asked for.
    #[must_use]
    pub const fn models(&self) -> &BTreeSet<Name> {
        &self.models
    }

    /// The tools that may be called, when it is a server of tools.
    #[must_use]
    pub const fn tools(&self) -> Option<&Arc<Tools>> {
        self.tools.as_ref()
    }

    /// A file of PEM certificates to trust for this destination instead of the system's.
    #[must_use]
    pub const fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    /// How long each phase of asking it may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Whether it takes requests as files too.
    #[must_use]
    pub const fn takes_batches(&self) -> bool {
        self.batches
    }

    /// The path to it, hosting first.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }

    /// Whether every hop lies inside the organisation's boundary: run by the organisation itself, on
    /// hardware that it owns. Whoever only claims so counts as outside.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.path.is_inside()
    }

    pub(super) fn parse(raw: &RawDestination, path: Path) -> Result<Self, Fault> {
        let ca_file = raw.ca_file.as_ref().map(|text| {
            absolute(text).ok_or_else(|| Fault::new("ca_file", "write an absolute path"))
        });
        let timeouts = Timeouts::parse(RawTimeouts {
            connect: raw.connect_timeout_seconds,
            head: raw.timeout_seconds,
            idle: raw.idle_timeout_seconds,
            total: raw.total_timeout_seconds,
        })?;
        let mut models: BTreeSet<Name> = words("models", &raw.models)?.into_iter().collect();
        let tools = Tools::parse(raw.dialect, &raw.tools)?;
        if let Some(tools) = &tools {
            if !models.is_empty() {
                return Err(Fault::new("models", "a server of tools has \"tools\", not models"));
            }
            // What is said to the server itself goes by its id, a call by the name of the tool.
            models.insert(word("id", &raw.id)?);
            models.extend(tools.names().cloned());
        }
        if models.is_empty() {
            return Err(Fault::new("models", "names no model, so nothing can be asked for"));
        }
        let (own, others) = raw.dialect.apis();
        let apis: BTreeSet<Api> = match &raw.apis {
            None => own.iter().copied().collect(),
            Some(apis) => apis.iter().copied().collect(),
        };
        if apis.is_empty() || !apis.iter().all(|api| own.contains(api) || others.contains(api)) {
            let names: Vec<&str> = own.iter().chain(others).map(|api| api.as_str()).collect();
            let problem = format!("a server of this dialect has {}", names.join(", "));
            return Err(Fault::new("apis", problem));
        }
        check_api_version(raw)?;
        let of_openai = match raw.dialect {
            Dialect::OpenAi | Dialect::OpenAiCompatible => true,
            // Its older interface names the deployment in the address, which a file has none of.
            Dialect::AzureOpenAi => raw.api_version.is_none(),
            Dialect::Anthropic | Dialect::Bedrock | Dialect::Vertex | Dialect::Mcp => false,
        };
        if raw.batches == Some(true) && !of_openai {
            return Err(Fault::new("batches", "a destination of this dialect has none here"));
        }
        let destination = Self {
            id: word("id", &raw.id)?,
            title: word("title", &raw.title)?,
            dialect: raw.dialect,
            apis,
            api_version: optional("api_version", raw.api_version.as_ref())?,
            credential: word("credential", &raw.credential)?,
            models,
            tools: tools.map(Arc::new),
            ca_file: ca_file.transpose()?,
            timeouts,
            // Few servers that speak as OpenAI does take files, so theirs must be said.
            batches: raw.batches.unwrap_or(of_openai && raw.dialect != Dialect::OpenAiCompatible),
            path,
        };
        if destination.dialect == Dialect::Bedrock && destination.region().is_none() {
            return Err(Fault::new(
                "dialect",
                "requests to Bedrock are signed for a region: give the inference hop its \"region\"",
            ));
        }
        Ok(destination)
    }
}

/// The version of the protocol that a server of tools speaks without a handshake.
const STATELESS: &str = "2026-07-28";

fn check_api_version(raw: &RawDestination) -> Result<(), Fault> {
    let Some(version) = raw.api_version.as_deref() else { return Ok(()) };
    match raw.dialect {
        Dialect::AzureOpenAi => Ok(()),
        Dialect::Mcp if version == STATELESS => Ok(()),
        Dialect::Mcp => {
            let problem = format!(
                "write \"{STATELESS}\" for a server that speaks it, and nothing for one that is greeted with a handshake"
            );
            Err(Fault::new("api_version", problem))
        }
        Dialect::OpenAi
        | Dialect::OpenAiCompatible
        | Dialect::Anthropic
        | Dialect::Bedrock
        | Dialect::Vertex => {
            Err(Fault::new("api_version", "belongs to dialect = \"azure_openai\" or \"mcp\" only"))
        }
    }
}

/// Reads the address of a destination, which must be a registered host of one of its hops: 45 CFR
/// 164.312(e)(1), and the reason why no caller can name an address.
pub(super) fn endpoint(url: &str, hops: &[Arc<Hop>]) -> Result<Endpoint, Fault> {
    let endpoint: Endpoint = word("url", url)?;
    // A party that takes no prompts (a time stamp authority) may be exempt from agreements, so its
    // hosts are no place to send one to.
    let owners = || {
        hops.iter()
            .filter(|hop| hop.role().takes_prompts() && hop.hosts().contains(endpoint.authority()))
    };
    if owners().next().is_none() {
        return Err(Fault::new(
            "url",
            "its host is registered for none of the destination's hops; add it to \"hosts\" of its gateway, network or inference hop",
        ));
    }
    if !owners().any(|hop| hop.is_inside()) {
        return Ok(endpoint);
    }
    endpoint.inside().map_err(|malformed| Fault::new("url", malformed.to_string()))
}

/// A destination as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDestination {
    pub(super) id: String,
    title: String,
    pub(super) dialect: Dialect,
    apis: Option<Vec<Api>>,
    api_version: Option<String>,
    pub(super) url: String,
    credential: String,
    pub(super) hops: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    tools: Vec<RawTool>,
    ca_file: Option<String>,
    timeout_seconds: Option<u32>,
    connect_timeout_seconds: Option<u32>,
    idle_timeout_seconds: Option<u32>,
    total_timeout_seconds: Option<u32>,
    batches: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::{Api, Dialect};

    #[test]
    fn every_interface_is_known_by_its_name() {
        for dialect in [
            Dialect::OpenAi,
            Dialect::OpenAiCompatible,
            Dialect::AzureOpenAi,
            Dialect::Anthropic,
            Dialect::Bedrock,
            Dialect::Vertex,
        ] {
            let (own, others) = dialect.apis();
            for api in own.iter().chain(others) {
                assert_eq!(Api::named(api.as_str()), Some(*api));
            }
        }
        assert_eq!(Api::named("telepathy"), None);
    }
}
