//! Each vendor is addressed, told who asks, and told to forget, in its own way.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use serde_json::{Value, json};
use std::fs;
use testkit::client::Request;
use testkit::keys::{KeyStand, Stand};
use testkit::people::MARISOL;
use testkit::upstream::{Captured, Reply, Upstream};

const SECRET: &str = "sk-example-4c1d9f0a7b";

/// The clinic's rules before a server of this dialect, whose credential is in a file.
fn rules(upstream: &Upstream, house: &House, dialect: &str, below: &str) -> Rules {
    let file = house.path("vendor-credential");
    Rules::cloud(upstream)
        .with("dialect = \"openai_compatible\"", &format!("dialect = \"{dialect}\""))
        .with(&upstream.url(), &format!("http://{}{below}", upstream.address()))
        .with("credential = \"none\"", &format!("credential = \"file:{}\"", file.display()))
        .with(
            "apis = [\"chat.completions\"]",
            "apis = [\"chat.completions\", \"responses\", \"messages\", \"converse\", \"generate_content\"]",
        )
}

/// Asks once in chat completions; what reached the vendor.
async fn asked(
    dialect: &str,
    below: &str,
    secret: &str,
    more: impl Fn(Rules) -> Rules,
) -> Captured {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    fs::write(house.path("vendor-credential"), secret).unwrap();
    house.apply(&more(rules(&upstream, &house, dialect, below))).ok();
    let serving = house.serve();
    let response = serving.ask(&user(MARISOL.name)).await;
    assert_eq!(response.status(), 200, "{dialect}: {}", response.text());
    assert!(response.text().contains(MARISOL.name), "{dialect}: {}", response.text());
    for name in ["request-id", "x-amzn-requestid"] {
        assert_eq!(response.header(name), response.header("x-request-id"), "{name}");
    }
    let sent = upstream.captured().remove(0);
    assert!(!sent.text().contains(MARISOL.name), "{dialect}: {}", sent.text());
    assert!(!serving.log_lines().contains(SECRET), "{dialect}");
    sent
}

fn plain(rules: Rules) -> Rules {
    rules
}

fn bearer() -> String {
    format!("Bearer {SECRET}")
}

#[tokio::test]
async fn openai_and_azure_are_told_to_store_nothing_and_a_compatible_server_is_not() {
    let sent = asked("openai", "/v1", SECRET, plain).await;
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.header("authorization"), Some(bearer().as_str()));
    assert_eq!(sent.json()["store"], json!(false));

    let sent = asked("azure_openai", "/openai/v1", SECRET, plain).await;
    assert_eq!(sent.path, "/openai/v1/chat/completions");
    assert_eq!((sent.header("api-key"), sent.header("authorization")), (Some(SECRET), None));
    assert_eq!(sent.json()["store"], json!(false));

    let versioned = |rules: Rules| {
        rules.with("credential = \"file", "api_version = \"2024-10-21\"\ncredential = \"file")
    };
    let sent = asked("azure_openai", "", SECRET, versioned).await;
    let path = "/openai/deployments/stand-in/chat/completions?api-version=2024-10-21";
    assert_eq!(sent.path, path);

    let sent = asked("openai_compatible", "/v1", SECRET, plain).await;
    assert_eq!(sent.json().get("store"), None);
}

#[tokio::test]
async fn a_caller_cannot_have_its_prompt_stored() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    fs::write(house.path("vendor-credential"), SECRET).unwrap();
    house.apply(&rules(&upstream, &house, "openai", "/v1")).ok();
    let serving = house.serve();
    let mut body = user(MARISOL.name);
    body["store"] = json!(true);
    check_refusal(&serving.ask(&body).await, 400, "unsupported_content", &[MARISOL.name]);
    assert_eq!(upstream.connections(), 0);
    // A response may be asked to be stored, because it is found here again; the vendor keeps nothing.
    let body = json!({ "model": "stand-in", "input": MARISOL.name, "store": true });
    let request = Request::post("/v1/responses", &body).bearer(&house.key);
    let response = serving.call(&request).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let sent: Value = upstream.captured().remove(0).json();
    assert_eq!(sent["store"], json!(false));
}

/// What reaches a vendor of this dialect when a caller asks in the vendor's own interface, with an
/// identifier in each field that is meant for one.
async fn told(dialect: &str, below: &str, path: &str, body: &Value) -> Captured {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    fs::write(house.path("vendor-credential"), SECRET).unwrap();
    let mut rules = rules(&upstream, &house, dialect, below);
    if dialect == "openai_compatible" {
        // Such a server has responses where the file says so.
        let said = format!("dialect = \"{dialect}\"");
        rules = rules.with(&said, &format!("{said}\napis = [\"chat.completions\", \"responses\"]"));
    }
    house.apply(&rules).ok();
    let request = Request::post(path, body).bearer(&house.key);
    let response = house.serve().call(&request).await;
    assert_eq!(response.status(), 200, "{dialect}: {}", response.text());
    let sent = upstream.captured().remove(0);
    for value in [MARISOL.name, MARISOL.mrn] {
        assert!(!sent.text().contains(value), "{dialect}: {}", sent.text());
    }
    sent
}

/// The names of an object's members, in order.
fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// A chat completion with an identifier wherever OpenAI has a field for one.
fn marked() -> Value {
    let mut body = user(&format!("Patient: {}", MARISOL.name));
    body["user"] = json!(format!("Patient: {}", MARISOL.name));
    body["safety_identifier"] = json!(format!("MRN: {}", MARISOL.mrn));
    body["prompt_cache_key"] = json!(format!("MRN: {}", MARISOL.mrn));
    body["metadata"] = json!({ "mrn": MARISOL.mrn, "patient_name": MARISOL.name });
    body["prompt_cache_retention"] = json!("in_memory");
    body
}

#[tokio::test]
async fn openai_is_told_to_store_nothing_and_who_it_is_about_in_surrogates_only() {
    let sent = told("openai", "/v1", "/v1/chat/completions", &marked()).await.json();
    assert_eq!(sent["store"], json!(false));
    assert_eq!(sent["prompt_cache_retention"], json!("in_memory"));
    let response = json!({
        "model": "stand-in", "input": format!("Patient: {}", MARISOL.name), "store": true,
        "user": format!("Patient: {}", MARISOL.name), "metadata": { "mrn": MARISOL.mrn },
    });
    let sent = told("openai", "/v1", "/v1/responses", &response).await.json();
    assert_eq!(sent["store"], json!(false));
}

#[tokio::test]
async fn azure_is_told_to_store_nothing_and_who_it_is_about_in_surrogates_only() {
    let sent = told("azure_openai", "/openai/v1", "/v1/chat/completions", &marked()).await.json();
    assert_eq!(sent["store"], json!(false));
    let response = json!({ "model": "stand-in", "input": MARISOL.name, "store": true });
    let sent = told("azure_openai", "/openai/v1", "/v1/responses", &response).await.json();
    assert_eq!(sent["store"], json!(false));
}

#[tokio::test]
async fn a_compatible_server_is_told_to_store_no_response() {
    // It may not know the member in a chat completion, where nothing is stored unless it is asked for.
    let sent = told("openai_compatible", "/v1", "/v1/chat/completions", &marked()).await.json();
    assert_eq!(sent.get("store"), None);
    for store in [json!(true), json!(false), Value::Null] {
        let response = json!({ "model": "stand-in", "input": MARISOL.name, "store": store });
        let sent = told("openai_compatible", "/v1", "/v1/responses", &response).await.json();
        assert_eq!(sent["store"], json!(false), "{store}");
    }
}

#[tokio::test]
async fn anthropic_has_no_flag_and_gets_its_users_id_as_a_surrogate() {
    let body = json!({
        "model": "stand-in", "max_tokens": 8, "metadata": { "user_id": format!("MRN: {}", MARISOL.mrn) },
        "messages": [{ "role": "user", "content": format!("Patient: {}", MARISOL.name) }],
    });
    let sent = told("anthropic", "/v1", "/v1/messages", &body).await.json();
    assert_eq!(names(&sent), ["max_tokens", "messages", "metadata", "model"]);
}

#[tokio::test]
async fn bedrock_has_no_flag_and_gets_its_metadata_in_surrogates() {
    let body = json!({
        "messages": [{ "role": "user", "content": [{ "text": format!("Patient: {}", MARISOL.name) }] }],
        "requestMetadata": { "mrn": MARISOL.mrn },
    });
    let sent = told("bedrock", "", "/model/stand-in/converse", &body).await.json();
    assert_eq!(names(&sent), ["messages", "requestMetadata"]);
}

#[tokio::test]
async fn vertex_has_no_flag_and_gets_its_labels_in_surrogates() {
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": format!("Patient: {}", MARISOL.name) }] }],
        "labels": { "mrn": MARISOL.mrn },
    });
    let below = "/v1/projects/p/locations/l/publishers/google";
    let path = "/v1beta/models/stand-in:generateContent";
    let sent = told("vertex", below, path, &body).await.json();
    assert_eq!(names(&sent), ["contents", "labels"]);
}

#[tokio::test]
async fn anthropic_gets_its_key_and_version_in_headers_of_its_own() {
    let sent = asked("anthropic", "/v1", SECRET, plain).await;
    assert_eq!(sent.path, "/v1/messages");
    assert_eq!(sent.header("x-api-key"), Some(SECRET));
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(sent.header("authorization"), None);
}

#[tokio::test]
async fn bedrock_gets_a_bearer_key_or_a_signature() {
    let sent = asked("bedrock", "", SECRET, plain).await;
    assert_eq!(sent.path, "/model/stand-in/converse");
    assert_eq!(sent.header("authorization"), Some(bearer().as_str()));

    let sent = asked("bedrock", "", "AKIDEXAMPLE:secretexample:sessionexample", plain).await;
    let authorization = sent.header("authorization").unwrap();
    let day = &sent.header("x-amz-date").unwrap()[..8];
    let scope = format!("Credential=AKIDEXAMPLE/{day}/us-east/bedrock/aws4_request");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 ") && authorization.contains(&scope));
    assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"));
    assert_eq!(sent.header("x-amz-security-token"), Some("sessionexample"));
    assert!(!authorization.contains("secretexample"));
}

#[tokio::test]
async fn vertex_gets_a_token_of_its_service_account_from_a_registered_host_only() {
    let tokens = KeyStand::start(Stand::GcpAccount);
    let account = fs::read_to_string(tokens.key_file().with_file_name("account.json")).unwrap();
    let address: Value = serde_json::from_str(&account).unwrap();
    let address = address["token_uri"].as_str().unwrap().split('/').nth(2).unwrap().to_owned();
    let registered = |rules: Rules| rules.with("hosts = [", &format!("hosts = [\"{address}\", "));
    let sent =
        asked("vertex", "/v1/projects/p/locations/l/publishers/google", &account, registered);
    let sent = sent.await;
    let path = "/v1/projects/p/locations/l/publishers/google/models/stand-in:generateContent";
    assert_eq!(sent.path, path);
    assert!(sent.header("authorization").unwrap().starts_with("Bearer "));
    assert_eq!((tokens.complaints(), tokens.logins()), (Vec::new(), 1));

    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    fs::write(house.path("vendor-credential"), &account).unwrap();
    house.apply(&rules(&upstream, &house, "vertex", "/v1/projects/p")).ok();
    let response = house.serve().ask(&user(MARISOL.name)).await;
    check_refusal(&response, 502, "upstream_unauthorized", &[MARISOL.name]);
    assert_eq!((upstream.connections(), tokens.logins()), (0, 1));
}
