//! Azure: its key vault, the giving out of tokens, and the machine's own metadata, at one address.

use super::{
    Answer, Complaint, KeyStand, Mood, Refusal, SECRET, Seen, Shared, Stand, a_key, base64url,
};
use super::{expect, fields, text, version_id};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

const RESOURCE: &str = "https://vault.azure.example";
const TENANT: &str = "00000000-0000-0000-0000-000000000001";
const CLIENT: &str = "00000000-0000-0000-0000-000000000002";

pub(super) fn key_file(stand: &KeyStand) -> String {
    let address = stand.address();
    let login = if stand.shared.stand == Stand::AzureSecret {
        "client_secret_env = \"BULLA_TEST_CLIENT_SECRET\"\n".to_owned()
    } else if stand.shared.stand == Stand::AzureFederated {
        let path = stand.write("federated", &format!("{SECRET}-jwt\n"));
        format!("federated_token_file = \"{path}\"\n")
    } else {
        format!("metadata = \"{address}\"\n")
    };
    format!(
        "[key_service]\nkind = \"azure\"\nkey = \"{address}/keys/bulla\"\nresource = \"{RESOURCE}\"\n\
         authority = \"{address}\"\ntenant = \"{TENANT}\"\nclient_id = \"{CLIENT}\"\n{login}"
    )
}

fn error(status: u16, code: &str, inner: &str) -> Answer {
    let error = json!({ "code": code, "message": "synthetic", "innererror": { "code": inner } });
    Answer::of(status, json!({ "error": error }).to_string())
}

pub(super) fn answer(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    if let Some(answer) = login(shared, seen, path, query)? {
        return Ok(answer);
    }
    expect("the method", seen.method.as_str(), "POST")?;
    expect("the query", query, "api-version=7.4")?;
    expect("content-type", seen.header("content-type"), Some("application/json"))?;
    let token = seen.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
    if !shared.is_in(token.ok_or("no bearer token")?) {
        return Ok(error(401, "Unauthorized", "Unauthorized"));
    }
    match shared.refusal() {
        None => {}
        Some(Refusal::Denied) => return Ok(error(403, "Forbidden", "ForbiddenByRbac")),
        Some(Refusal::Disabled) => return Ok(error(403, "Forbidden", "KeyDisabled")),
    }
    let body = seen.json();
    expect("the algorithm", text(&body, "alg")?, "RSA-OAEP-256")?;
    let value = BASE64URL_NOPAD.decode(text(&body, "value")?.as_bytes());
    let value = value.map_err(|_| "the value is not base64url")?;
    let kid = |version| format!("http://{}/keys/bulla/{}", shared.address, version_id(version));
    if path == "/keys/bulla/wrapkey" {
        let (version, sealed) = shared.encrypt("", &a_key(value)?);
        return Ok(Answer::good(&json!({ "kid": kid(version), "value": base64url(&sealed) })));
    }
    let version = path.strip_prefix("/keys/bulla/").and_then(|it| it.strip_suffix("/unwrapkey"));
    let version = version.ok_or("another path")?;
    let Some(version) = (1..=9).find(|it| version_id(*it) == version) else {
        return Ok(error(404, "KeyNotFound", "KeyNotFound"));
    };
    Ok(match shared.decrypt(version, "", &value) {
        Some(plain) => Answer::good(&json!({ "kid": kid(version), "value": base64url(&plain) })),
        None => error(400, "BadParameter", "BadParameter"),
    })
}

fn login(
    shared: &Shared,
    seen: &Seen,
    path: &str,
    query: &str,
) -> Result<Option<Answer>, Complaint> {
    let form = seen.form();
    let field = |name: &str| form.get(name).map(String::as_str);
    if shared.stand == Stand::AzureInstance {
        if path != "/metadata/identity/oauth2/token" {
            return Ok(None);
        }
        expect("the method", seen.method.as_str(), "GET")?;
        expect("metadata", seen.header("metadata"), Some("true"))?;
        let query = fields(query);
        let field = |name: &str| query.get(name).map(String::as_str);
        expect("api-version", field("api-version"), Some("2018-02-01"))?;
        expect("resource", field("resource"), Some(RESOURCE))?;
        expect("client_id", field("client_id"), Some(CLIENT))?;
    } else {
        if path != format!("/{TENANT}/oauth2/v2.0/token") {
            return Ok(None);
        }
        expect("the grant", field("grant_type"), Some("client_credentials"))?;
        expect("client_id", field("client_id"), Some(CLIENT))?;
        let scope = format!("{RESOURCE}/.default");
        expect("the scope", field("scope"), Some(scope.as_str()))?;
        if shared.stand == Stand::AzureSecret {
            let secret = format!("{SECRET}-azure");
            expect("the secret", field("client_secret"), Some(secret.as_str()))?;
        } else {
            let bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            expect("the type", field("client_assertion_type"), Some(bearer))?;
            let jwt = format!("{SECRET}-jwt");
            expect("the assertion", field("client_assertion"), Some(jwt.as_str()))?;
        }
    }
    if shared.mood() == Mood::LetsNobodyIn {
        return Ok(Some(Answer::of(401, json!({ "error": "invalid_client" }).to_string())));
    }
    let token = shared.let_in();
    // The machine's metadata writes the number as a text.
    let expires = if shared.stand == Stand::AzureInstance { json!("3599") } else { json!(3599) };
    Ok(Some(Answer::good(&json!({ "access_token": token, "expires_in": expires }))))
}
