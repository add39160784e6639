//! The official packages of every vendor whose dialect is served, unchanged, against the real server,
//! and behind it a destination of every dialect: the caller's own and the others.

use crate::house::{House, Serving};
use crate::python::python;
use crate::rules::Rules;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::notes;
use testkit::upstream::{
    Arguments, Authority, Block, Call, Captured, Flaw, Reply, Script, Source, Upstream,
};

/// A destination of each dialect: its route, what its credential holds, its base path, and more of its
/// keys.
pub(crate) const PLACES: [(&str, &str, &str, &str); 6] = [
    ("openai", "sk-of-openai", "/v1", ""),
    ("openai_compatible", "sk-of-compatible", "/v1", "apis = [\"chat.completions\"]\n"),
    ("azure_openai", "key-of-azure", "", "api_version = \"2024-10-21\"\n"),
    ("anthropic", "sk-ant-key", "/v1", ""),
    ("bedrock", "AKIAEXAMPLE:secret-of-bedrock", "", ""),
    ("vertex", "ya29.token", "/v1beta", ""),
];

/// A header with which each destination is told who asks.
const SHOWN: [(&str, &str, &str); 6] = [
    ("/v1/chat/completions", "authorization", "Bearer sk-of-openai"),
    ("/v1/chat/completions", "authorization", "Bearer sk-of-compatible"),
    ("/openai/deployments/stand-in/chat/completions", "api-key", "key-of-azure"),
    ("/v1/messages", "x-api-key", "sk-ant-key"),
    ("/model/stand-in/converse", "authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"),
    ("/v1beta/models/stand-in:generateContent", "authorization", "Bearer ya29.token"),
];

/// Rules with a route to each of [`PLACES`], by the name of its dialect.
pub(crate) fn rules(upstream: &Upstream, house: &House) -> Rules {
    let mut more = String::new();
    let mut ids = String::from("\"cloud\"");
    for (dialect, credential, path, keys) in PLACES {
        let file = house.path(&format!("credential-{dialect}"));
        std::fs::write(&file, credential).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let id = dialect.replace('_', "-");
        let (address, file) = (upstream.address(), file.display());
        write!(
            more,
            "[[destination]]\nid = \"{id}\"\ntitle = \"{id}\"\ndialect = \"{dialect}\"\n{keys}\
             url = \"http://{address}{path}\"\ncredential = \"file:{file}\"\n\
             hops = [\"examplecloud\"]\nmodels = [\"stand-in\"]\ntimeout_seconds = 20\n\n\
             [[route]]\nmodel = \"{id}\"\nto = [{{ destination = \"{id}\", model = \"stand-in\" }}]\n\n"
        )
        .unwrap();
        write!(ids, ", \"{id}\"").unwrap();
    }
    let apis = "apis = [\"chat.completions\", \"completions\", \"embeddings\", \"responses\", \
                \"messages\", \"messages.count_tokens\", \"converse\", \"generate_content\"]";
    Rules::cloud(upstream)
        .with("apis = [\"chat.completions\"]", apis)
        .with("destinations = [\"cloud\"]", &format!("destinations = [{ids}]"))
        .and(&more)
}

/// The name of the first tool that is offered, in any dialect.
fn tool(request: &Value) -> Option<&str> {
    let places = [
        "/tools/0/function/name",
        "/tools/0/name",
        "/toolConfig/tools/0/toolSpec/name",
        "/tools/0/functionDeclarations/0/name",
    ];
    places.into_iter().find_map(|place| request.pointer(place)).and_then(Value::as_str)
}

/// Says what a tool found when that was said last, calls the tool that is offered, fills the form that
/// is asked for, thinks where that is asked for, and otherwise repeats the user.
fn answer(captured: &Captured) -> Reply {
    let request = captured.json();
    let results = [
        "\"role\":\"tool\"",
        "function_call_output",
        "tool_result",
        "toolResult",
        "functionResponse",
    ];
    let text = captured.text();
    if results.iter().any(|word| text.contains(word)) {
        return Reply::echo_all();
    }
    if let Some(name) = tool(&request) {
        let note = ("note".to_owned(), Source::LastUser);
        return Reply::calls(vec![Call::new(name, Arguments::Fields(vec![note]))]);
    }
    let forms = [
        "/response_format",
        "/text/format/schema",
        "/output_config/format",
        "/output_format",
        "/outputConfig/textFormat",
        "/generationConfig/responseMimeType",
    ];
    if forms.iter().any(|form| request.pointer(form).is_some()) {
        return Reply::blocks(vec![Block::Text(Source::Json(json!({ "note": "{user}" })))]);
    }
    if request.get("thinking").is_some() {
        let thought =
            Block::Thinking(Source::Fixed("Let me see.".to_owned()), "c2lnbmVk".to_owned());
        return Reply::blocks(vec![thought, Block::Text(Source::LastUser)]);
    }
    Reply::echo()
}

/// What the scripts are told.
fn expected(house: &House, base: &str) -> PathBuf {
    let note = notes::every_class();
    let values: Vec<&str> = note.planted.iter().map(|it| it.value.as_str()).collect();
    let models: Vec<String> = PLACES.iter().map(|it| it.0.replace('_', "-")).collect();
    let told = json!({
        "base": base,
        "key": house.key,
        "prompt": note.text,
        "values": values,
        "models": models,
    });
    let path = house.path("expected.json");
    std::fs::write(&path, told.to_string()).unwrap();
    path
}

/// Nothing that was planted reached the model server, and it got this many requests at least.
fn check_captured(upstream: &Upstream, at_least: usize) {
    let note = notes::every_class();
    let captured = upstream.captured();
    assert!(captured.len() >= at_least, "only {} requests arrived", captured.len());
    for sent in &captured {
        let left: Vec<_> = note.planted.iter().filter(|it| sent.holds(&it.value)).collect();
        assert!(left.is_empty(), "{}: {left:?}", sent.path);
    }
}

/// Runs a script and returns how many checks it made; each must hold.
async fn checks(mut command: Command) -> usize {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    let failed: Vec<&str> = said.lines().filter(|line| !line.contains("\"ok\": true")).collect();
    assert!(output.status.success() && failed.is_empty(), "{}\n{wrong}", failed.join("\n"));
    said.lines().count()
}

fn script(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests")).join(name)
}

async fn world() -> (Upstream, House) {
    let upstream = Upstream::start(Script::by_request(|_, captured| answer(captured))).await;
    let house = House::with(&Rules::cloud(&upstream));
    house.apply(&rules(&upstream, &house)).ok();
    (upstream, house)
}

/// Serves over TLS and returns the certificate that clients are to trust. Amazon's client shows a key
/// over TLS only.
fn serve_secure(house: &House) -> (Serving, PathBuf) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_pem(Flaw::None);
    let file = |name: &str, text: &str| {
        let path = house.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (certificate, key) = (file("tls.pem", &certificate), file("tls.key", &key));
    let serving = house.serve_with(&[
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    (serving, file("authority.pem", &authority.pem()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python clients; cargo xtask test runs it"]
async fn every_official_python_client_reaches_a_destination_of_every_dialect_unchanged() {
    let (upstream, house) = world().await;
    let (serving, authority) = serve_secure(&house);
    let mut command = Command::new(python());
    let base = format!("https://{}", serving.address);
    command.arg(script("python/clients.py")).arg(expected(&house, &base));
    // Where the packages, or what they are built on, look for authorities.
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        command.env(name, &authority);
    }
    let made = checks(command).await;
    assert!(made >= 120, "only {made} checks were made");
    check_captured(&upstream, 100);
    let captured = upstream.captured();
    for (path, header, value) in SHOWN {
        let shown = captured.iter().any(|sent| {
            sent.path.starts_with(path)
                && sent.header(header).is_some_and(|shown| shown.starts_with(value))
        });
        assert!(shown, "no request to {path} showed {value}");
    }
    // The caller's own key went nowhere.
    assert!(!captured.iter().any(|sent| sent.holds(&house.key)));
    house.log();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Node clients; cargo xtask test runs it"]
#[expect(clippy::disallowed_methods, reason = "the test's only word from its runner")]
async fn the_official_node_clients_work_unchanged() {
    let Ok(modules) = std::env::var("BULLA_TEST_NODE") else {
        println!("skipped: BULLA_TEST_NODE names no folder with the packages for Node");
        return;
    };
    let (upstream, house) = world().await;
    let serving = house.serve();
    let mut command = Command::new("node");
    let base = format!("http://{}", serving.address);
    command.arg(script("node/clients.mjs")).arg(modules).arg(expected(&house, &base));
    let made = checks(command).await;
    assert!(made >= 40, "only {made} checks were made");
    check_captured(&upstream, 30);
    house.log();
}

/// The document with the models that there are, so that what is tried gets further than to "no such
/// model".
fn document(house: &House) -> Value {
    let mut document: Value = serde_json::from_str(&house_document(house)).unwrap();
    let models = json!({ "enum": PLACES.map(|it| it.0.replace('_', "-")) });
    let paths = document["paths"].as_object_mut().unwrap();
    for operation in paths.values_mut().flat_map(|it| it.as_object_mut().unwrap().values_mut()) {
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["name"] == "model" || parameter["name"] == "deployment" {
                parameter["schema"] = models.clone();
            }
        }
        let model = "/requestBody/content/application~1json/schema/properties/model";
        if let Some(model) = operation.pointer_mut(model) {
            *model = models.clone();
        }
    }
    document
}

/// What the program prints is what the server serves.
fn house_document(house: &House) -> String {
    let printed = crate::house::bulla().arg("openapi").output().unwrap();
    assert!(printed.status.success(), "{}", house.data().display());
    String::from_utf8(printed.stdout).unwrap()
}

/// Runs schemathesis, for 30 seconds at most, on the operations whose path matches, or does not.
async fn fuzz(house: &House, base: &str, which: &str, key: &str) -> String {
    const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                          response_schema_conformance,response_headers_conformance,\
                          ignored_auth,unsupported_method";
    let file = house.path("openapi.json");
    std::fs::write(&file, document(house).to_string()).unwrap();
    let mut command = Command::new(python().with_file_name("schemathesis"));
    command.current_dir(house.path("")).arg("run").arg(&file).args(["--url", base]);
    command.args(["--header", &format!("Authorization: Bearer {key}"), "--checks", CHECKS]);
    command.args([which, "^/log/", "--phases", "examples,fuzzing"]);
    command.args(["--max-time", "30", "--max-examples", "25", "--seed", "1", "--no-color"]);
    command.args(["--workers", "2", "--continue-on-failure", "--generation-database", "none"]);
    command.args(["--warnings", "off", "--request-timeout", "20", "--no-shrink"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages; cargo xtask test runs it"]
async fn what_is_made_of_the_openapi_document_is_answered_as_the_document_says() {
    let (upstream, house) = world().await;
    let serving = house.serve();
    let base = format!("http://{}", serving.address);
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    serving.knows(&auditor).await;
    let served = serving.call(&testkit::client::Request::get("/openapi.json")).await;
    assert_eq!(served.text().trim(), house_document(&house).trim());
    fuzz(&house, &base, "--exclude-path-regex", &house.key).await;
    fuzz(&house, &base, "--include-path-regex", &auditor).await;
    // What was made went all the way.
    assert!(upstream.captured().len() > 50, "{}", upstream.captured().len());
    house.log();
}
