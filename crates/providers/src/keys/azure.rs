//! Key Vault and Managed HSM of Azure.
//!
//! They wrap keys and bind nothing to them, so the binding of the house alone holds the context.

use super::http::{
    Codes, FORM, Login, Site, Source, Token, Wiped, authority, form, post_bearing, read, segment,
};
use super::{Environment, Fault, KEY_BYTES};
use data_encoding::BASE64URL_NOPAD;
use ledger::Time;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The part of a key file that describes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    /// `https://clinic.vault.azure.net/keys/bulla`
    key: String,
    #[serde(default)]
    algorithm: Algorithm,
    /// What tokens are asked for: `https://vault.azure.net`, unless the key's host says otherwise.
    resource: Option<String>,
    tenant: Option<String>,
    client_id: Option<String>,
    client_secret_env: Option<String>,
    client_secret_file: Option<PathBuf>,
    federated_token_file: Option<PathBuf>,
    authority: Option<String>,
    metadata: Option<String>,
    ca_file: Option<PathBuf>,
}

/// How the key wraps.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
enum Algorithm {
    /// An RSA key, as every vault has them.
    #[default]
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// A symmetric key of a Managed HSM.
    #[serde(rename = "A256KW")]
    A256Kw,
}

const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Where a machine of Azure asks who it is.
const METADATA: &str = "http://169.254.169.254";

const API: &str = "api-version=7.4";

/// The longest version of a key that is believed: they have 32 digits.
const MAX_VERSION_BYTES: usize = 64;

const CODES: Codes = &[
    ("\"KeyDisabled\"", Fault::Refused("KeyDisabled")),
    ("\"KeyNotFound\"", Fault::Refused("KeyNotFound")),
    ("\"KeyOperationForbidden\"", Fault::Refused("KeyOperationForbidden")),
    ("\"AccessDenied\"", Fault::Refused("AccessDenied")),
    ("\"ForbiddenByRbac\"", Fault::Refused("ForbiddenByRbac")),
    ("\"ForbiddenByPolicy\"", Fault::Refused("ForbiddenByPolicy")),
    ("\"ForbiddenByFirewall\"", Fault::Refused("ForbiddenByFirewall")),
    ("\"Forbidden\"", Fault::Refused("Forbidden")),
    ("\"BadParameter\"", Fault::Unsealable),
    ("\"invalid_client\"", Fault::Refused("invalid_client")),
    ("\"unauthorized_client\"", Fault::Refused("unauthorized_client")),
    ("\"Throttled\"", Fault::Unreachable("Throttled")),
];

/// One key, of which each version opens what it wrapped.
pub(super) struct Azure {
    site: Site,
    /// `/keys/bulla`
    below: String,
    algorithm: Algorithm,
    resource: String,
    access: Access,
    login: Login<Token>,
}

enum Access {
    Secret { site: Site, tenant: String, client_id: String, secret: Source },
    Federated { site: Site, tenant: String, client_id: String, token: Source },
    Instance { site: Site, client_id: Option<String> },
}

#[derive(Serialize)]
struct Operation<'a> {
    alg: Algorithm,
    value: &'a str,
}

#[derive(Deserialize)]
struct Done {
    kid: String,
    value: Wiped,
}

#[derive(Deserialize)]
struct LoggedIn {
    access_token: Wiped,
    /// A number of the one, and a text of the other of those who give tokens out.
    expires_in: serde_json::Value,
}

impl Azure {
    pub(super) fn new(
        described: &Described,
        environment: &Environment<'_>,
    ) -> Result<(Self, String), Fault> {
        const FORM: Fault = Fault::Malformed(
            "a key is https://<vault>.vault.azure.net/keys/<name>, without a version",
        );
        let (vault, name) = described.key.split_once("/keys/").ok_or(FORM)?;
        segment(name)?;
        if name.contains('/') {
            return Err(FORM);
        }
        let pem = authority(described.ca_file.as_ref())?;
        let site = Site::new(vault, pem.as_deref())?;
        let resource = if let Some(resource) = &described.resource {
            resource.trim_end_matches('/').to_owned()
        } else {
            let (_, domain) = site.host().split_once('.').ok_or(FORM)?;
            format!("https://{domain}")
        };
        let access = access(described, environment, pem.as_deref())?;
        let (below, algorithm) = (format!("/keys/{name}"), described.algorithm);
        let name = format!("azure:{}", described.key);
        Ok((Self { site, below, algorithm, resource, access, login: Login::default() }, name))
    }

    /// The version that wrapped stands before the wrapped bytes.
    pub(super) async fn wrap(&self, key: &[u8; KEY_BYTES], now: Time) -> Result<Vec<u8>, Fault> {
        const MALFORMED: Fault = Fault::Malformed("its answer is not what it must be");
        let value = Zeroizing::new(BASE64URL_NOPAD.encode(key));
        let done = self.call(&format!("{}/wrapkey", self.below), &value, now).await?;
        let (_, version) = done.kid.rsplit_once('/').ok_or(MALFORMED)?;
        let length = u8::try_from(version.len()).map_err(|_| MALFORMED)?;
        check_version(version).map_err(|_| MALFORMED)?;
        let mut wrapped = vec![length];
        wrapped.extend_from_slice(version.as_bytes());
        let value = BASE64URL_NOPAD.decode(done.value.0.as_bytes()).map_err(|_| MALFORMED)?;
        wrapped.extend_from_slice(&value);
        Ok(wrapped)
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &[u8],
        now: Time,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        let (&length, rest) = wrapped.split_first().ok_or(Fault::Unsealable)?;
        let (version, value) =
            rest.split_at_checked(usize::from(length)).ok_or(Fault::Unsealable)?;
        let version = std::str::from_utf8(version).map_err(|_| Fault::Unsealable)?;
        // It becomes a part of a path, and whoever writes the database could have chosen it.
        check_version(version)?;
        let below = format!("{}/{version}/unwrapkey", self.below);
        let done = self.call(&below, &BASE64URL_NOPAD.encode(value), now).await?;
        done.value.key(&BASE64URL_NOPAD)
    }

    /// Asks with the token that is kept; where that is refused, once more with a fresh one.
    async fn call(&self, below: &str, value: &str, now: Time) -> Result<Done, Fault> {
        let below = format!("{below}?{API}");
        let request = Operation { alg: self.algorithm, value };
        if let Some(token) = self.login.held(now).await {
            let answer = post_bearing(&self.site, &below, &token, &request).await?;
            if !answer.is_unauthorized() {
                return read(&answer.good(CODES)?);
            }
        }
        let token = self.log_in(now).await?;
        read(&post_bearing(&self.site, &below, &token, &request).await?.good(CODES)?)
    }

    async fn log_in(&self, now: Time) -> Result<Token, Fault> {
        const GRANT: (&str, &str) = ("grant_type", "client_credentials");
        const ASSERTION: (&str, &str) =
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let scope = format!("{}/.default", self.resource);
        let answer = match &self.access {
            Access::Secret { site, tenant, client_id, secret } => {
                let secret = secret.read().await?;
                let fields = [
                    GRANT,
                    ("client_id", client_id),
                    ("scope", &scope),
                    ("client_secret", &secret),
                ];
                ask(site, tenant, &fields).await?
            }
            Access::Federated { site, tenant, client_id, token } => {
                let token = token.read().await?;
                let fields = [
                    GRANT,
                    ("client_id", client_id),
                    ("scope", &scope),
                    ASSERTION,
                    ("client_assertion", &token),
                ];
                ask(site, tenant, &fields).await?
            }
            Access::Instance { site, client_id } => {
                let mut fields =
                    vec![("api-version", "2018-02-01"), ("resource", self.resource.as_str())];
                fields.extend(client_id.as_ref().map(|id| ("client_id", id.as_str())));
                let query = form(&fields);
                let query = String::from_utf8_lossy(&query);
                let below = format!("/metadata/identity/oauth2/token?{query}");
                let headers = [("metadata", "true")];
                site.send(Method::GET, &below, &headers, Zeroizing::new(Vec::new())).await?
            }
        };
        let body = answer.good(CODES)?;
        let found: LoggedIn = read(&body)?;
        let seconds = found.expires_in.as_i64();
        let seconds = seconds.or_else(|| found.expires_in.as_str()?.parse().ok()).unwrap_or(0);
        Ok(self.login.keep(Arc::new(found.access_token.0), now, seconds).await)
    }
}

async fn ask(
    site: &Site,
    tenant: &str,
    fields: &[(&str, &str)],
) -> Result<super::http::Answer, Fault> {
    let below = format!("/{tenant}/oauth2/v2.0/token");
    site.post(&below, &[("content-type", FORM)], form(fields)).await
}

fn check_version(version: &str) -> Result<(), Fault> {
    let plain = version.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain && (1..=MAX_VERSION_BYTES).contains(&version.len()) {
        Ok(())
    } else {
        Err(Fault::Unsealable)
    }
}

fn access(
    described: &Described,
    environment: &Environment<'_>,
    pem: Option<&[u8]>,
) -> Result<Access, Fault> {
    const ONE: Fault = Fault::Malformed(
        "name client_secret_env, client_secret_file or federated_token_file, or none of them on a machine of Azure",
    );
    let secret = Source::named(
        described.client_secret_env.as_ref(),
        described.client_secret_file.as_ref(),
        environment,
    )?;
    let token = described.federated_token_file.clone().map(Source::File);
    if secret.is_none() && token.is_none() {
        let site = Site::metadata(METADATA, described.metadata.as_ref())?;
        return Ok(Access::Instance { site, client_id: described.client_id.clone() });
    }
    let (Some(tenant), Some(client_id)) = (described.tenant.clone(), described.client_id.clone())
    else {
        return Err(Fault::Malformed("it needs a tenant and a client_id"));
    };
    segment(&tenant)?;
    let site = Site::new(described.authority.as_deref().unwrap_or(AUTHORITY), pem)?;
    match (secret, token) {
        (Some(secret), None) => Ok(Access::Secret { site, tenant, client_id, secret }),
        (None, Some(token)) => Ok(Access::Federated { site, tenant, client_id, token }),
        (Some(_), Some(_)) | (None, None) => Err(ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_cannot_lead_to_another_key() {
        assert_eq!(check_version("0123456789abcdef0123456789abcdef"), Ok(()));
        for bad in ["", "../other/1", "1/2", "1?x", "%2e", &"0".repeat(65)] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
