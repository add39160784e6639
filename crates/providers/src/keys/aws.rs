//! AWS Key Management Service.

use super::http::{
    Answer, Codes, FORM, Login, Site, Source, Token, Wiped, authority, form, json, read,
};
use super::{Environment, Fault, KEY_BYTES};
use crate::sigv4::{self, Request, Signer};
use data_encoding::BASE64;
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
    key: String,
    #[serde(default)]
    credentials: Credentials,
    endpoint: Option<String>,
    sts_endpoint: Option<String>,
    metadata: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Who says who we are.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Credentials {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and perhaps `AWS_SESSION_TOKEN`.
    #[default]
    Environment,
    /// `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`, as Kubernetes on AWS sets them.
    WebIdentity,
    /// The role of the machine (IMDSv2).
    Instance,
}

/// Where a machine of AWS asks who it is.
const METADATA: &str = "http://169.254.169.254";

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The name of the encryption context: its value is the context of the wrapped key, so that
/// CloudTrail says which key of the house was opened, and a key policy can ask for it.
const CONTEXT: &str = "bulla";

/// A key that AWS gives out lasts for some hours; one of the environment until it is replaced.
const ENVIRONMENT_SECONDS: i64 = 24 * 60 * 60;

/// The login is over before its time: somebody revoked it.
const EXPIRED: &str = "ExpiredTokenException\"";

const CODES: Codes = &[
    ("DisabledException\"", Fault::Refused("DisabledException")),
    ("KMSInvalidStateException\"", Fault::Refused("KMSInvalidStateException")),
    ("AccessDeniedException\"", Fault::Refused("AccessDeniedException")),
    ("NotFoundException\"", Fault::Refused("NotFoundException")),
    ("InvalidKeyUsageException\"", Fault::Refused("InvalidKeyUsageException")),
    ("UnrecognizedClientException\"", Fault::Refused("UnrecognizedClientException")),
    ("ExpiredTokenException\"", Fault::Refused("ExpiredTokenException")),
    ("InvalidSignatureException\"", Fault::Refused("InvalidSignatureException")),
    ("InvalidCiphertextException\"", Fault::Unsealable),
    ("IncorrectKeyException\"", Fault::Unsealable),
    ("ThrottlingException\"", Fault::Unreachable("ThrottlingException")),
    ("KeyUnavailableException\"", Fault::Unreachable("KeyUnavailableException")),
    ("DependencyTimeoutException\"", Fault::Unreachable("DependencyTimeoutException")),
    ("<Code>ExpiredTokenException<", Fault::Refused("ExpiredTokenException")),
    ("<Code>InvalidIdentityToken<", Fault::Refused("InvalidIdentityToken")),
    ("<Code>AccessDenied<", Fault::Refused("AccessDenied")),
];

/// One key.
pub(super) struct Aws {
    site: Site,
    key: String,
    region: String,
    access: Access,
    login: Login<Arc<Identity>>,
}

enum Access {
    Environment(Arc<Identity>),
    WebIdentity { sts: Site, role: String, token: Source },
    Instance(Site),
}

/// What requests are signed with.
struct Identity {
    key_id: String,
    secret: Token,
    session: Option<Token>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt<'a> {
    key_id: &'a str,
    plaintext: &'a str,
    encryption_context: EncryptionContext<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt<'a> {
    /// Named, so that bytes of another key do not open though we may use that one too.
    key_id: &'a str,
    ciphertext_blob: &'a str,
    encryption_context: EncryptionContext<'a>,
}

type EncryptionContext<'a> = std::collections::BTreeMap<&'static str, &'a str>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Wiped,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceRole {
    access_key_id: String,
    secret_access_key: Wiped,
    token: Wiped,
    expiration: Time,
}

impl Aws {
    pub(super) fn new(
        described: Described,
        environment: &Environment<'_>,
    ) -> Result<(Self, String), Fault> {
        let Described { key, endpoint, sts_endpoint, metadata, .. } = described;
        let (partition, region) = place(&key)?;
        let suffix = match partition {
            "aws" | "aws-us-gov" => Some("amazonaws.com"),
            "aws-cn" => Some("amazonaws.com.cn"),
            _ => None,
        };
        let pem = authority(described.ca_file.as_ref())?;
        let site = |named: Option<String>, service: &str| {
            let standard = suffix.map(|suffix| format!("https://{service}.{region}.{suffix}"));
            let address = named.or(standard);
            let address = address.ok_or(Fault::Malformed("this partition needs an endpoint"))?;
            Site::new(&address, pem.as_deref())
        };
        let variable = |name: &str| {
            environment(name).ok_or(Fault::Malformed(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN and \
                 AWS_WEB_IDENTITY_TOKEN_FILE, are not set",
            ))
        };
        let secret = |text: String| Arc::new(Zeroizing::new(text));
        let access = match described.credentials {
            Credentials::Environment => Access::Environment(Arc::new(Identity {
                key_id: variable("AWS_ACCESS_KEY_ID")?,
                secret: secret(variable("AWS_SECRET_ACCESS_KEY")?),
                session: environment("AWS_SESSION_TOKEN").map(secret),
            })),
            Credentials::WebIdentity => Access::WebIdentity {
                sts: site(sts_endpoint, "sts")?,
                role: variable("AWS_ROLE_ARN")?,
                token: Source::File(variable("AWS_WEB_IDENTITY_TOKEN_FILE")?.into()),
            },
            Credentials::Instance => Access::Instance(Site::metadata(METADATA, metadata.as_ref())?),
        };
        let name = format!("aws:{key}");
        let site = site(endpoint, "kms")?;
        let region = region.to_owned();
        Ok((Self { site, key, region, access, login: Login::default() }, name))
    }

    pub(super) async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        now: Time,
    ) -> Result<Vec<u8>, Fault> {
        let plaintext = Zeroizing::new(BASE64.encode(key));
        let request = Encrypt {
            key_id: &self.key,
            plaintext: &plaintext,
            encryption_context: [(CONTEXT, context)].into(),
        };
        let body = self.call("TrentService.Encrypt", &request, now).await?;
        let Encrypted { ciphertext_blob } = read(&body)?;
        BASE64
            .decode(ciphertext_blob.as_bytes())
            .map_err(|_| Fault::Malformed("its answer is not what it must be"))
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
        now: Time,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        let request = Decrypt {
            key_id: &self.key,
            ciphertext_blob: &BASE64.encode(wrapped),
            encryption_context: [(CONTEXT, context)].into(),
        };
        let body = self.call("TrentService.Decrypt", &request, now).await?;
        let Decrypted { plaintext } = read(&body)?;
        plaintext.key(&BASE64)
    }

    /// Asks with the login that is kept; where that is over, once more with a fresh one.
    async fn call<T: Serialize>(
        &self,
        target: &'static str,
        request: &T,
        now: Time,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if let Some(identity) = self.login.held(now).await {
            let answer = self.post(&identity, target, request, now).await?;
            if !answer.says(EXPIRED) {
                return answer.good(CODES);
            }
        }
        let identity = self.log_in(now).await?;
        self.post(&identity, target, request, now).await?.good(CODES)
    }

    async fn post<T: Serialize>(
        &self,
        identity: &Identity,
        target: &'static str,
        request: &T,
        now: Time,
    ) -> Result<Answer, Fault> {
        let body = json(request)?;
        let stamp = sigv4::stamp(now);
        // In alphabetical order, as they are signed.
        let mut headers = vec![
            ("content-type", CONTENT_TYPE),
            ("host", self.site.host()),
            ("x-amz-date", stamp.as_str()),
        ];
        headers.extend(identity.session.as_ref().map(|it| ("x-amz-security-token", it.as_str())));
        headers.push(("x-amz-target", target));
        let signer = Signer {
            key_id: &identity.key_id,
            secret: &identity.secret,
            region: &self.region,
            service: "kms",
        };
        let digest = sigv4::sha256(&body);
        let request =
            Request { method: "POST", path: "/", query: "", headers: &headers, body: &digest };
        let authorization = signer.authorization(&request, &stamp);
        headers.push(("authorization", &authorization));
        self.site.post("/", &headers, body).await
    }

    async fn log_in(&self, now: Time) -> Result<Arc<Identity>, Fault> {
        let (identity, seconds) = match &self.access {
            Access::Environment(identity) => (Arc::clone(identity), ENVIRONMENT_SECONDS),
            Access::WebIdentity { sts, role, token } => {
                let token = token.read().await?;
                let body = form(&[
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", "bulla"),
                    ("WebIdentityToken", &token),
                ]);
                let answer = sts.post("/", &[("content-type", FORM)], body).await?;
                assumed(&answer.good(CODES)?, now)?
            }
            Access::Instance(site) => of_instance(site, now).await?,
        };
        Ok(self.login.keep(identity, now, seconds).await)
    }
}

/// Partition and region of a key's ARN, which is asked for whole: an alias or a bare id would mean
/// another key under other credentials.
fn place(arn: &str) -> Result<(&str, &str), Fault> {
    const FORM: Fault = Fault::Malformed(
        "a key is named by its whole ARN: arn:aws:kms:us-east-1:111122223333:key/...",
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let parts: Vec<&str> = arn.split(':').collect();
    let &["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
        return Err(FORM);
    };
    let good = resource.starts_with("key/")
        && [partition, region, account, resource].iter().all(|it| it.chars().all(plain))
        && !region.is_empty();
    if good { Ok((partition, region)) } else { Err(FORM) }
}

/// What STS answers, in XML: each of its four values stands between tags of its own, and none of
/// them holds what XML would write otherwise.
fn assumed(body: &[u8], now: Time) -> Result<(Arc<Identity>, i64), Fault> {
    const MALFORMED: Fault = Fault::Malformed("its answer is not what it must be");
    let text = std::str::from_utf8(body).map_err(|_| MALFORMED)?;
    let value = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>")).ok_or(MALFORMED)?;
        let (value, _) = rest.split_once(&format!("</{tag}>")).ok_or(MALFORMED)?;
        // XML may be laid out in lines.
        Ok(Zeroizing::new(value.split_whitespace().collect::<String>()))
    };
    let expiration: Time =
        serde_json::from_value(value("Expiration")?.as_str().into()).map_err(|_| MALFORMED)?;
    let identity = Identity {
        key_id: value("AccessKeyId")?.as_str().to_owned(),
        secret: Arc::new(value("SecretAccessKey")?),
        session: Some(Arc::new(value("SessionToken")?)),
    };
    Ok((Arc::new(identity), seconds(now, expiration)))
}

fn seconds(now: Time, until: Time) -> i64 {
    until.as_micros().saturating_sub(now.as_micros()) / 1_000_000
}

/// Asks the machine for its role, by IMDSv2: the first answer is a word that the next ones need,
/// which no forwarded request knows.
async fn of_instance(site: &Site, now: Time) -> Result<(Arc<Identity>, i64), Fault> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let nothing = || Zeroizing::new(Vec::new());
    let lasting = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let word = site.send(Method::PUT, "/latest/api/token", &lasting, nothing()).await?;
    let word = word.good(CODES)?;
    let word = std::str::from_utf8(&word).map_err(|_| Fault::Malformed("its session"))?;
    let headers = [("x-aws-ec2-metadata-token", word)];
    let role = site.send(Method::GET, ROLES, &headers, nothing()).await?.good(CODES)?;
    let role = std::str::from_utf8(&role).unwrap_or_default().trim();
    super::http::segment(role).map_err(|_| Fault::Malformed("the name of a role is none"))?;
    let below = format!("{ROLES}{role}");
    let body = site.send(Method::GET, &below, &headers, nothing()).await?.good(CODES)?;
    let found: InstanceRole = read(&body)?;
    let identity = Identity {
        key_id: found.access_key_id,
        secret: Arc::new(found.secret_access_key.0),
        session: Some(Arc::new(found.token.0)),
    };
    Ok((Arc::new(identity), seconds(now, found.expiration)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_whole_arn() {
        let arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(place(arn), Ok(("aws-cn", "cn-north-1")));
        for bad in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/bulla",
            "arn:aws:kms:us-east-1:111122223333:alias/bulla",
            "arn:aws:s3:us-east-1:111122223333:key/1",
            "arn:aws:kms:us-east-1.evil.example/:111122223333:key/1",
            "arn:aws:kms::111122223333:key/1",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
