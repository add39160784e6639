//! Cloud Key Management Service of Google Cloud.

use super::http::{
    Codes, FORM, Login, Site, Token, Wiped, authority, form, post_bearing, read, read_small,
    segment,
};
use super::{Fault, KEY_BYTES};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ledger::Time;
use reqwest::Method;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The part of a key file that describes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    key: String,
    service_account_file: Option<PathBuf>,
    endpoint: Option<String>,
    metadata: Option<String>,
    ca_file: Option<PathBuf>,
}

const ENDPOINT: &str = "https://cloudkms.googleapis.com";

/// Where a machine of Google Cloud asks who it is. The name is the documented one, and resolves to
/// 169.254.169.254 there.
const METADATA: &str = "http://metadata.google.internal";

const OWN_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// What a token may be used for: this service alone.
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

/// How long an assertion is good. It is used at once.
const ASSERTION_SECONDS: i64 = 300;

const CODES: Codes = &[
    ("\"FAILED_PRECONDITION\"", Fault::Refused("FAILED_PRECONDITION")),
    ("\"PERMISSION_DENIED\"", Fault::Refused("PERMISSION_DENIED")),
    ("\"UNAUTHENTICATED\"", Fault::Refused("UNAUTHENTICATED")),
    ("\"NOT_FOUND\"", Fault::Refused("NOT_FOUND")),
    ("\"INVALID_ARGUMENT\"", Fault::Unsealable),
    ("\"RESOURCE_EXHAUSTED\"", Fault::Unreachable("RESOURCE_EXHAUSTED")),
    ("\"invalid_grant\"", Fault::Refused("invalid_grant")),
];

/// One key.
pub(super) struct Gcp {
    site: Site,
    key: String,
    access: Access,
    login: Login<Token>,
}

enum Access {
    ServiceAccount(ServiceAccount),
    Instance(Site),
}

/// A service account, which gets tokens for what it signs (RFC 7523).
pub(crate) struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    token_uri: String,
    scope: &'static str,
    site: Site,
    login: Login<Token>,
}

/// The file of a service account's key, as Google gives it out.
#[derive(Deserialize)]
struct AccountFile {
    client_email: String,
    private_key: Wiped,
    token_uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Encrypt<'a> {
    plaintext: &'a str,
    additional_authenticated_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decrypt<'a> {
    ciphertext: &'a str,
    additional_authenticated_data: &'a str,
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
    access_token: Wiped,
    expires_in: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl Gcp {
    pub(super) fn new(described: &Described) -> Result<(Self, String), Fault> {
        check_name(&described.key)?;
        let pem = authority(described.ca_file.as_ref())?;
        let address = described.endpoint.as_deref().unwrap_or(ENDPOINT);
        let site = Site::new(address, pem.as_deref())?;
        let access = match &described.service_account_file {
            Some(path) => {
                let text = read_small(path)
                    .ok_or(Fault::Malformed("the file of its service account cannot be read"))?;
                let account = ServiceAccount::parse(&text, SCOPE, pem.as_deref())?;
                Access::ServiceAccount(account)
            }
            None => Access::Instance(Site::metadata(METADATA, described.metadata.as_ref())?),
        };
        let name = format!("gcp:{}", described.key);
        Ok((Self { site, key: described.key.clone(), access, login: Login::default() }, name))
    }

    pub(super) async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        now: Time,
    ) -> Result<Vec<u8>, Fault> {
        let plaintext = Zeroizing::new(BASE64.encode(key));
        let additional_authenticated_data = &BASE64.encode(context.as_bytes());
        let request = Encrypt { plaintext: &plaintext, additional_authenticated_data };
        let body = self.call("encrypt", &request, now).await?;
        let Encrypted { ciphertext } = read(&body)?;
        BASE64
            .decode(ciphertext.as_bytes())
            .map_err(|_| Fault::Malformed("its answer is not what it must be"))
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
        now: Time,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        let request = Decrypt {
            ciphertext: &BASE64.encode(wrapped),
            additional_authenticated_data: &BASE64.encode(context.as_bytes()),
        };
        let body = self.call("decrypt", &request, now).await?;
        let Decrypted { plaintext } = read(&body)?;
        plaintext.key(&BASE64)
    }

    /// Asks with the token that is kept; where that is refused, once more with a fresh one.
    async fn call<T: Serialize>(
        &self,
        operation: &str,
        request: &T,
        now: Time,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let below = format!("/v1/{}:{operation}", self.key);
        if let Some(token) = self.login.held(now).await {
            let answer = post_bearing(&self.site, &below, &token, request).await?;
            if !answer.is_unauthorized() {
                return answer.good(CODES);
            }
        }
        let token = self.log_in(now).await?;
        post_bearing(&self.site, &below, &token, request).await?.good(CODES)
    }

    async fn log_in(&self, now: Time) -> Result<Token, Fault> {
        let found = match &self.access {
            Access::ServiceAccount(account) => account.log_in(now).await?,
            Access::Instance(site) => {
                let headers = [("metadata-flavor", "Google")];
                let nothing = Zeroizing::new(Vec::new());
                let answer = site.send(Method::GET, OWN_TOKEN, &headers, nothing).await?;
                read(&answer.good(CODES)?)?
            }
        };
        Ok(self.login.keep(Arc::new(found.access_token.0), now, found.expires_in).await)
    }
}

impl ServiceAccount {
    /// Reads the file of a service account's key, as Google gives it out.
    fn parse(text: &str, scope: &'static str, pem: Option<&[u8]>) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::Malformed("the file of its service account is not one");
        let account: AccountFile = serde_json::from_str(text).map_err(|_| MALFORMED)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(account.private_key.0.as_bytes())
            .map_err(|_| MALFORMED)?;
        let der = Zeroizing::new(der.secret_pkcs8_der().to_vec());
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|_| MALFORMED)?;
        let site = Site::new(&account.token_uri, pem)?;
        let (email, token_uri) = (account.client_email, account.token_uri);
        Ok(Self { email, key, token_uri, scope, site, login: Login::default() })
    }

    /// Reads such a file; absent when it is not one.
    pub(crate) fn of_file(text: &str, scope: &'static str) -> Option<Self> {
        Self::parse(text, scope, None).ok()
    }

    /// Where it gets its tokens.
    pub(crate) fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// A token that is still good: the one that is held, or a fresh one; absent when none can be had.
    pub(crate) async fn token(&self, now: Time) -> Option<Arc<Zeroizing<String>>> {
        if let Some(token) = self.login.held(now).await {
            return Some(token);
        }
        let found = self.log_in(now).await.ok()?;
        Some(self.login.keep(Arc::new(found.access_token.0), now, found.expires_in).await)
    }

    async fn log_in(&self, now: Time) -> Result<LoggedIn, Fault> {
        let assertion = self.assertion(now)?;
        let body = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ]);
        let answer = self.site.post("", &[("content-type", FORM)], body).await?;
        read(&answer.good(CODES)?)
    }

    /// What it shows to get a token: who it is, signed with its key.
    fn assertion(&self, now: Time) -> Result<Zeroizing<String>, Fault> {
        const UNSIGNED: Fault = Fault::Malformed("its service account cannot sign");
        let iat = now.as_micros() / 1_000_000;
        let claims = Claims {
            iss: &self.email,
            scope: self.scope,
            aud: &self.token_uri,
            iat,
            exp: iat + ASSERTION_SECONDS,
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| UNSIGNED)?;
        let head = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let text = format!("{head}.{}", BASE64URL_NOPAD.encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        // A signature of this kind draws no randomness; the library asks for a source all the same.
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| UNSIGNED)?;
        Ok(Zeroizing::new(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))))
    }
}

fn check_name(key: &str) -> Result<(), Fault> {
    const FORM: Fault = Fault::Malformed(
        "a key is projects/.../locations/.../keyRings/.../cryptoKeys/..., without a version",
    );
    segment(key)?;
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _] => Ok(()),
        _ => Err(FORM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_whole_and_without_a_version() {
        let key = "projects/clinic/locations/us-east1/keyRings/bulla/cryptoKeys/top";
        assert_eq!(check_name(key), Ok(()));
        for bad in [
            "top",
            "projects/clinic/locations/us-east1/keyRings/bulla/cryptoKeys/top/cryptoKeyVersions/1",
            "projects/clinic/locations/us-east1/keyRings/bulla/cryptoKeys/top:encrypt",
            "projects/../locations/us-east1/keyRings/bulla/cryptoKeys/top",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
