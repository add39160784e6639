//! The transit engine of Vault.

use super::{
    Answer, Complaint, KeyStand, Mood, Refusal, SECRET, Seen, Shared, Stand, a_key, bound, bytes,
};
use super::{expect, text};
use data_encoding::BASE64;
use serde_json::json;

const MOUNT: &str = "clinic/transit";

pub(super) fn key_file(stand: &KeyStand) -> String {
    let login = if stand.shared.stand == Stand::VaultAppRole {
        let path = stand.write("secret-id", &format!("{SECRET}-id\n"));
        format!("[key_service.approle]\nrole_id = \"role\"\nsecret_id_file = \"{path}\"\n")
    } else if stand.shared.stand == Stand::VaultKubernetes {
        let path = stand.write("jwt", &format!("{SECRET}-jwt\n"));
        format!("[key_service.kubernetes]\nrole = \"bulla\"\njwt_file = \"{path}\"\n")
    } else {
        "token_env = \"BULLA_TEST_TOKEN\"\n".to_owned()
    };
    format!(
        "[key_service]\nkind = \"vault\"\naddress = \"{}\"\nmount = \"{MOUNT}\"\nkey = \"bulla\"\n\
         namespace = \"hospital\"\n{}{login}",
        stand.address(),
        stand.ca_file()
    )
}

fn errors(status: u16, words: &str) -> Answer {
    Answer::of(status, json!({ "errors": [words] }).to_string())
}

pub(super) fn answer(shared: &Shared, seen: &Seen) -> Result<Answer, Complaint> {
    expect("the method", seen.method.as_str(), "POST")?;
    expect("x-vault-request", seen.header("x-vault-request"), Some("true"))?;
    expect("x-vault-namespace", seen.header("x-vault-namespace"), Some("hospital"))?;
    expect("content-type", seen.header("content-type"), Some("application/json"))?;
    let body = seen.json();
    let let_in = || {
        if shared.mood() == Mood::LetsNobodyIn {
            return errors(400, "invalid role or secret ID");
        }
        let token = shared.let_in();
        Answer::good(&json!({ "auth": { "client_token": token, "lease_duration": 3600 } }))
    };
    let secret = |kind: &str| format!("{SECRET}-{kind}");
    match (shared.stand, seen.path.as_str()) {
        (Stand::VaultAppRole, "/v1/auth/approle/login") => {
            expect("role_id", text(&body, "role_id")?, "role")?;
            expect("secret_id", text(&body, "secret_id")?, &secret("id"))?;
            return Ok(let_in());
        }
        (Stand::VaultKubernetes, "/v1/auth/kubernetes/login") => {
            expect("role", text(&body, "role")?, "bulla")?;
            expect("jwt", text(&body, "jwt")?, &secret("jwt"))?;
            return Ok(let_in());
        }
        _ => {}
    }
    let token = seen.header("x-vault-token").ok_or("no x-vault-token")?;
    let known = if shared.stand == Stand::VaultToken {
        token == secret("vault")
    } else {
        shared.is_in(token)
    };
    match shared.refusal() {
        None if known => {}
        None | Some(Refusal::Denied) => {
            return Ok(errors(403, "1 error occurred:\n\t* permission denied\n\n"));
        }
        // Vault has no disabled keys; a deleted one is what comes closest.
        Some(Refusal::Disabled) => return Ok(errors(400, "encryption key not found")),
    }
    let bound = bound(&body, "associated_data")?;
    if seen.path == format!("/v1/{MOUNT}/encrypt/bulla") {
        let (version, sealed) = shared.encrypt(&bound, &a_key(bytes(&body, "plaintext")?)?);
        let ciphertext = format!("vault:v{version}:{}", BASE64.encode(&sealed));
        return Ok(Answer::good(&json!({ "data": { "ciphertext": ciphertext } })));
    }
    expect("the path", seen.path.as_str(), &format!("/v1/{MOUNT}/decrypt/bulla"))?;
    let opened = text(&body, "ciphertext")?.strip_prefix("vault:v").and_then(|rest| {
        let (version, sealed) = rest.split_once(':')?;
        let sealed = BASE64.decode(sealed.as_bytes()).ok()?;
        shared.decrypt(version.parse().ok()?, &bound, &sealed)
    });
    Ok(match opened {
        Some(plain) => Answer::good(&json!({ "data": { "plaintext": BASE64.encode(&plain) } })),
        None => errors(400, "cipher: message authentication failed"),
    })
}
