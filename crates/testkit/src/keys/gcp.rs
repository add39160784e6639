//! Google Cloud: its key service, the giving out of tokens, and the machine's own metadata, at one
//! address.

use super::{
    Answer, Complaint, KeyStand, Mood, Refusal, SECRET, Seen, Shared, Stand, a_key, bound, bytes,
};
use super::{expect, text};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

const KEY: &str = "projects/clinic/locations/us-east1/keyRings/bulla/cryptoKeys/top";
const EMAIL: &str = "bulla@clinic.iam.example";

pub(super) fn key_file(stand: &KeyStand) -> String {
    let address = stand.address();
    let login = match &stand.shared.account {
        None => format!("metadata = \"{address}\"\n"),
        Some(key) => {
            let der: Pkcs8V1Der<'_> = key.as_der().expect("a key in PKCS #8");
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                BASE64.encode(der.as_ref())
            );
            let account = json!({
                "type": "service_account",
                "client_email": EMAIL,
                "private_key_id": SECRET,
                "private_key": pem,
                "token_uri": format!("{address}/token"),
            });
            let path = stand.write("account.json", &account.to_string());
            format!("service_account_file = \"{path}\"\n")
        }
    };
    format!("[key_service]\nkind = \"gcp\"\nkey = \"{KEY}\"\nendpoint = \"{address}\"\n{login}")
}

fn error(code: u16, status: &str) -> Answer {
    let body = json!({ "error": { "code": code, "message": "synthetic", "status": status } });
    Answer::of(code, body.to_string())
}

pub(super) fn answer(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    const OWN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
    match (shared.stand, seen.path.as_str()) {
        (Stand::GcpAccount, "/token") => {
            check_assertion(shared, seen)?;
            return Ok(let_in(shared));
        }
        (Stand::GcpInstance, OWN) => {
            expect("the method", seen.method.as_str(), "GET")?;
            expect("metadata-flavor", seen.header("metadata-flavor"), Some("Google"))?;
            return Ok(let_in(shared));
        }
        _ => {}
    }
    expect("the method", seen.method.as_str(), "POST")?;
    expect("content-type", seen.header("content-type"), Some("application/json"))?;
    let token = seen.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
    if !shared.is_in(token.ok_or("no bearer token")?) {
        return Ok(error(401, "UNAUTHENTICATED"));
    }
    match shared.refusal() {
        None => {}
        Some(Refusal::Denied) => return Ok(error(403, "PERMISSION_DENIED")),
        Some(Refusal::Disabled) => return Ok(error(400, "FAILED_PRECONDITION")),
    }
    let body = seen.json();
    let bound = bound(&body, "additionalAuthenticatedData")?;
    if seen.path == format!("/v1/{KEY}:encrypt") {
        let (version, sealed) = shared.encrypt(&bound, &a_key(bytes(&body, "plaintext")?)?);
        let mut blob = vec![u8::try_from(version).unwrap_or(0)];
        blob.extend_from_slice(&sealed);
        let name = format!("{KEY}/cryptoKeyVersions/{version}");
        return Ok(Answer::good(&json!({ "name": name, "ciphertext": BASE64.encode(&blob) })));
    }
    expect("the path", seen.path.as_str(), &format!("/v1/{KEY}:decrypt"))?;
    let blob = bytes(&body, "ciphertext")?;
    let opened = blob
        .split_first()
        .and_then(|(version, sealed)| shared.decrypt(usize::from(*version), &bound, sealed));
    Ok(match opened {
        Some(plain) => Answer::good(&json!({ "plaintext": BASE64.encode(&plain) })),
        None => error(400, "INVALID_ARGUMENT"),
    })
}

fn let_in(shared: &Shared) -> Answer {
    if shared.mood() == Mood::LetsNobodyIn {
        return Answer::of(400, json!({ "error": "invalid_grant" }).to_string());
    }
    let token = shared.let_in();
    Answer::good(&json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
}

fn check_assertion(shared: &Shared, seen: &Seen) -> Result<(), Complaint> {
    let form = seen.form();
    let grant = form.get("grant_type").map(String::as_str);
    expect("the grant", grant, Some("urn:ietf:params:oauth:grant-type:jwt-bearer"))?;
    let assertion = form.get("assertion").ok_or("no assertion")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("no signature")?;
    let decode = |text: &str| {
        BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "not base64url".to_owned())
    };
    let key = shared.account.as_ref().ok_or("no account")?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key())
        .verify(signed.as_bytes(), &decode(signature)?)
        .map_err(|_| "another signature")?;
    let (_, claims) = signed.split_once('.').ok_or("no claims")?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).map_err(|_| "no claims")?;
    expect("iss", text(&claims, "iss")?, EMAIL)?;
    // A key service asks for its own scope; Vertex AI knows none that is narrower than the platform.
    let scope = text(&claims, "scope")?;
    let known =
        ["cloudkms", "cloud-platform"].map(|it| format!("https://www.googleapis.com/auth/{it}"));
    expect("whether the scope is known", known.iter().any(|it| it == scope), true)?;
    expect("aud", text(&claims, "aud")?, &format!("http://{}/token", shared.address))?;
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    expect("its seconds", time("exp") - time("iat"), 300)
}
