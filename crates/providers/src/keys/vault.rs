//! The transit engine of HashiCorp Vault, and of OpenBao, which speaks alike.

use super::http::{Codes, JSON, Login, Site, Source, Token, Wiped, authority, json, read, segment};
use super::{Environment, Fault, KEY_BYTES};
use data_encoding::BASE64;
use ledger::Time;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The part of a key file that describes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    address: String,
    key: String,
    #[serde(default = "transit")]
    mount: String,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
    token_env: Option<String>,
    token_file: Option<PathBuf>,
    approle: Option<AppRole>,
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppRole {
    #[serde(default = "approle")]
    mount: String,
    role_id: String,
    secret_id_env: Option<String>,
    secret_id_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kubernetes {
    #[serde(default = "kubernetes")]
    mount: String,
    role: String,
    #[serde(default = "service_account_token")]
    jwt_file: PathBuf,
}

fn transit() -> String {
    "transit".to_owned()
}

fn approle() -> String {
    "approle".to_owned()
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn service_account_token() -> PathBuf {
    PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token")
}

/// What its errors mean, by the words that its code has for them.
const CODES: Codes = &[
    ("permission denied", Fault::Refused("permission denied")),
    ("invalid role or secret ID", Fault::Refused("the role or its secret id")),
    ("encryption key not found", Fault::Refused("no such key")),
    ("no handler for route", Fault::Refused("no such mount")),
    ("disallowed by policy", Fault::Refused("this version of the key is no longer allowed")),
    ("message authentication failed", Fault::Unsealable),
    ("invalid ciphertext", Fault::Unsealable),
    ("Vault is sealed", Fault::Unreachable("it is sealed")),
];

/// One key of one transit engine.
pub(super) struct Vault {
    site: Site,
    mount: String,
    key: String,
    namespace: Option<String>,
    access: Access,
    login: Login<Token>,
}

/// How we are let in.
enum Access {
    Token(Source),
    AppRole { mount: String, role_id: String, secret_id: Source },
    Kubernetes { mount: String, role: String, jwt: Source },
}

#[derive(Serialize)]
struct Encrypt<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
}

#[derive(Serialize)]
struct Decrypt<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Wiped,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Wiped,
    lease_duration: i64,
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Serialize)]
struct KubernetesLogin<'a> {
    role: &'a str,
    jwt: &'a str,
}

impl Vault {
    pub(super) fn new(
        described: Described,
        environment: &Environment<'_>,
    ) -> Result<(Self, String), Fault> {
        let Described { address, key, mount, namespace, ca_file, .. } = &described;
        let site = Site::new(address, authority(ca_file.as_ref())?.as_deref())?;
        for name in [key, mount].into_iter().chain(namespace) {
            segment(name)?;
        }
        let name = format!("vault:{mount}/{key}");
        let access = access(&described, environment)?;
        let Described { key, mount, namespace, .. } = described;
        Ok((Self { site, mount, key, namespace, access, login: Login::default() }, name))
    }

    pub(super) async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        now: Time,
    ) -> Result<Vec<u8>, Fault> {
        let plaintext = Zeroizing::new(BASE64.encode(key));
        let associated_data = &BASE64.encode(context.as_bytes());
        let request = Encrypt { plaintext: &plaintext, associated_data };
        let body = self.call("encrypt", &request, now).await?;
        let Data { data: Encrypted { ciphertext } } = read(&body)?;
        Ok(ciphertext.into_bytes())
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
        now: Time,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| Fault::Unsealable)?;
        let associated_data = &BASE64.encode(context.as_bytes());
        let body = self.call("decrypt", &Decrypt { ciphertext, associated_data }, now).await?;
        let Data { data: Decrypted { plaintext } } = read(&body)?;
        plaintext.key(&BASE64)
    }

    /// Asks with the token that is kept; where that is refused, once more with a fresh one.
    async fn call<T: Serialize>(
        &self,
        operation: &str,
        request: &T,
        now: Time,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let below = format!("/v1/{}/{operation}/{}", self.mount, self.key);
        if let Some(token) = self.login.held(now).await {
            let answer = self.post(&below, Some(&token), request).await?;
            if !answer.is_unauthorized() {
                return answer.good(CODES);
            }
        }
        let token = self.log_in(now).await?;
        self.post(&below, Some(&token), request).await?.good(CODES)
    }

    async fn log_in(&self, now: Time) -> Result<Token, Fault> {
        let (mount, body) = match &self.access {
            // A token from outside is renewed by whoever put it there, and read at each use.
            Access::Token(source) => return source.read().await,
            Access::AppRole { mount, role_id, secret_id } => {
                let secret_id = secret_id.read().await?;
                (mount, json(&AppRoleLogin { role_id, secret_id: &secret_id })?)
            }
            Access::Kubernetes { mount, role, jwt } => {
                let jwt = jwt.read().await?;
                (mount, json(&KubernetesLogin { role, jwt: &jwt })?)
            }
        };
        let below = format!("/v1/auth/{mount}/login");
        let answer = self.site.post(&below, &self.headers(None), body).await?;
        let body = answer.good(CODES)?;
        let LoggedIn { auth } = read(&body)?;
        let token = Arc::new(auth.client_token.0);
        Ok(self.login.keep(token, now, auth.lease_duration).await)
    }

    async fn post<T: Serialize>(
        &self,
        below: &str,
        token: Option<&Token>,
        request: &T,
    ) -> Result<super::http::Answer, Fault> {
        let body = json(request)?;
        self.site.post(below, &self.headers(token), body).await
    }

    fn headers<'a>(&'a self, token: Option<&'a Token>) -> Vec<(&'static str, &'a str)> {
        // Vault can be told to refuse requests without the second one, which no browser sends.
        let mut headers = vec![("content-type", JSON), ("x-vault-request", "true")];
        headers.extend(self.namespace.as_ref().map(|name| ("x-vault-namespace", name.as_str())));
        headers.extend(token.map(|token| ("x-vault-token", token.as_str())));
        headers
    }
}

fn access(described: &Described, environment: &Environment<'_>) -> Result<Access, Fault> {
    const ONE: Fault =
        Fault::Malformed("name one way to log in: token_env, token_file, approle or kubernetes");
    let token =
        Source::named(described.token_env.as_ref(), described.token_file.as_ref(), environment)?;
    match (token, &described.approle, &described.kubernetes) {
        (Some(source), None, None) => Ok(Access::Token(source)),
        (None, Some(role), None) => {
            segment(&role.mount)?;
            let secret_id = Source::named(
                role.secret_id_env.as_ref(),
                role.secret_id_file.as_ref(),
                environment,
            )?;
            Ok(Access::AppRole {
                mount: role.mount.clone(),
                role_id: role.role_id.clone(),
                secret_id: secret_id
                    .ok_or(Fault::Malformed("name secret_id_env or secret_id_file"))?,
            })
        }
        (None, None, Some(role)) => {
            segment(&role.mount)?;
            let jwt = Source::File(role.jwt_file.clone());
            Ok(Access::Kubernetes { mount: role.mount.clone(), role: role.role.clone(), jwt })
        }
        _ => Err(ONE),
    }
}
