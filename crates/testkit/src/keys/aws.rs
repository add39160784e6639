//! AWS: the key management service, the service that gives out identities, and the machine's own
//! metadata, at one address.

use super::text;
use super::{
    Answer, Complaint, KeyStand, Mood, Refusal, SECRET, Seen, Shared, Stand, a_key, bytes, expect,
};
use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;
use std::fmt::Write as _;

pub(super) const KEY_ID: &str = "AKIDSYNTHETIC";
pub(super) const ROLE: &str = "arn:aws:iam::111122223333:role/bulla";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

pub(super) fn key_file(stand: &KeyStand) -> String {
    let address = stand.address();
    let credentials = if stand.shared.stand == Stand::AwsWebIdentity {
        format!("credentials = \"web-identity\"\nsts_endpoint = \"{address}\"\n")
    } else if stand.shared.stand == Stand::AwsInstance {
        format!("credentials = \"instance\"\nmetadata = \"{address}\"\n")
    } else {
        String::new()
    };
    format!(
        "[key_service]\nkind = \"aws\"\nkey = \"{KEY}\"\nendpoint = \"{address}\"\n{credentials}"
    )
}

fn exception(status: u16, kind: &str) -> Answer {
    Answer::of(status, json!({ "__type": kind, "message": "synthetic" }).to_string())
}

pub(super) fn answer(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    match (shared.stand, seen.path.as_str()) {
        (Stand::AwsInstance, path) if path.starts_with("/latest/") => metadata(shared, seen),
        (Stand::AwsWebIdentity, "/") if seen.header("x-amz-target").is_none() => {
            assume(shared, seen)
        }
        _ => keys(shared, seen),
    }
}

fn metadata(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    if seen.path == "/latest/api/token" {
        expect("the method", seen.method.as_str(), "PUT")?;
        let lasting = seen.header("x-aws-ec2-metadata-token-ttl-seconds");
        expect("the lifetime", lasting, Some("60"))?;
        return Ok(Answer::of(200, format!("{SECRET}-word")));
    }
    expect("the method", seen.method.as_str(), "GET")?;
    let word = format!("{SECRET}-word");
    expect("the word", seen.header("x-aws-ec2-metadata-token"), Some(word.as_str()))?;
    if seen.path == ROLES {
        return Ok(Answer::of(200, "bulla-role"));
    }
    expect("the path", seen.path.as_str(), &format!("{ROLES}bulla-role"))?;
    if shared.mood() == Mood::LetsNobodyIn {
        return Ok(Answer::of(404, ""));
    }
    Ok(Answer::good(&json!({
        "Code": "Success",
        "AccessKeyId": KEY_ID,
        "SecretAccessKey": format!("{SECRET}-aws"),
        "Token": shared.let_in(),
        "Expiration": "2036-01-01T00:00:00Z",
    })))
}

fn assume(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    let form = seen.form();
    let field = |name: &str| form.get(name).map(String::as_str);
    expect("the action", field("Action"), Some("AssumeRoleWithWebIdentity"))?;
    expect("the version", field("Version"), Some("2011-06-15"))?;
    expect("the role", field("RoleArn"), Some(ROLE))?;
    let jwt = format!("{SECRET}-jwt");
    expect("the token", field("WebIdentityToken"), Some(jwt.as_str()))?;
    if shared.mood() == Mood::LetsNobodyIn {
        let body =
            "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>";
        return Ok(Answer::of(400, body));
    }
    let token = shared.let_in();
    Ok(Answer::of(
        200,
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\n\
             <AccessKeyId>{KEY_ID}</AccessKeyId>\n\
             <SecretAccessKey>{SECRET}-aws</SecretAccessKey>\n\
             <SessionToken>\n  {token}\n</SessionToken>\n\
             <Expiration>2036-01-01T00:00:00Z</Expiration>\n\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    ))
}

fn keys(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    expect("the method", seen.method.as_str(), "POST")?;
    expect("the path", seen.path.as_str(), "/")?;
    expect("content-type", seen.header("content-type"), Some("application/x-amz-json-1.1"))?;
    check_signature(shared, seen)?;
    let session = seen.header("x-amz-security-token");
    if shared.stand != Stand::AwsKeys && !session.is_some_and(|token| shared.is_in(token)) {
        return Ok(exception(400, "ExpiredTokenException"));
    }
    match shared.refusal() {
        None => {}
        Some(Refusal::Denied) => return Ok(exception(400, "AccessDeniedException")),
        Some(Refusal::Disabled) => return Ok(exception(400, "DisabledException")),
    }
    let body = seen.json();
    expect("the key", text(&body, "KeyId")?, KEY)?;
    let context = body.get("EncryptionContext").cloned().unwrap_or_default();
    let bound = text(&context, "bulla")?;
    match seen.header("x-amz-target") {
        Some("TrentService.Encrypt") => {
            let (version, sealed) = shared.encrypt(bound, &a_key(bytes(&body, "Plaintext")?)?);
            let mut blob = vec![u8::try_from(version).unwrap_or(0)];
            blob.extend_from_slice(&sealed);
            Ok(Answer::good(&json!({ "CiphertextBlob": BASE64.encode(&blob), "KeyId": KEY })))
        }
        Some("TrentService.Decrypt") => {
            let blob = bytes(&body, "CiphertextBlob")?;
            let opened = blob
                .split_first()
                .and_then(|(version, sealed)| shared.decrypt(usize::from(*version), bound, sealed));
            Ok(match opened {
                Some(plain) => {
                    Answer::good(&json!({ "Plaintext": BASE64.encode(&plain), "KeyId": KEY }))
                }
                None => exception(400, "com.amazonaws.kms#InvalidCiphertextException"),
            })
        }
        other => Err(format!("the target is {other:?}")),
    }
}

/// Signs the request once more from what arrived, as the documentation tells it.
fn check_signature(shared: &Shared, seen: &Seen) -> Result<(), Complaint> {
    let header = |name: &str| seen.header(name).ok_or_else(|| format!("no {name}"));
    let authorization = header("authorization")?;
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).ok_or_else(|| format!("no {name}"))?;
        Ok::<_, Complaint>(rest.split(',').next().unwrap_or(rest).to_owned())
    };
    let names = part("SignedHeaders=")?;
    for needed in ["content-type", "host", "x-amz-date", "x-amz-target"] {
        if !names.split(';').any(|name| name == needed) {
            return Err(format!("{needed} is not signed"));
        }
    }
    if seen.header("x-amz-security-token").is_some() && !names.contains("x-amz-security-token") {
        return Err("the session is not signed".to_owned());
    }
    expect("host", header("host")?, &shared.address.to_string())?;
    let date = header("x-amz-date")?;
    let day = date.get(..8).ok_or("a date without a day")?;
    let scope = format!("{day}/us-east-1/kms/aws4_request");
    expect("the credential", part("Credential=")?, format!("{KEY_ID}/{scope}"))?;
    let hash = |bytes: &[u8]| HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref());
    let mut lines = String::new();
    for name in names.split(';') {
        writeln!(lines, "{name}:{}", header(name)?).map_err(|_| "no room")?;
    }
    let request = format!("POST\n/\n\n{lines}\n{names}\n{}", hash(&seen.body));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(request.as_bytes()));
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let mut key = format!("AWS4{SECRET}-aws").into_bytes();
    for step in [day, "us-east-1", "kms", "aws4_request"] {
        key = sign(&key, step);
    }
    expect("the signature", part("Signature=")?, HEXLOWER.encode(&sign(&key, &to_sign)))
}
