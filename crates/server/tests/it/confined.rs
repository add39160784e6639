//! What a deployment knows of its vendors stays inside it, and nothing reaches them but prompts.

use crate::house::{Done, House, Serving, user};
use crate::rules::Rules;
use bytes::Bytes;
use serde_json::{Value, json};
use server::api::ROUTES;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use testkit::client::{Request, Response};
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const SECRET: &str = "sk-example-4c1d9f0a7b";

/// `connect` and what sends without it, with the address written down, where it is one of a network.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static void note(const struct sockaddr *to) {
    char host[INET6_ADDRSTRLEN] = "?", line[128];
    int port = 0;
    if (!to) return;
    if (to->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)to;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        port = ntohs(in->sin_port);
    } else if (to->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)to;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        port = ntohs(in->sin6_port);
    } else return;
    int length = snprintf(line, sizeof line, "%s:%d\n", host, port);
    int file = open(getenv("CONNECT_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || write(file, line, length) != length) abort();
    close(file);
}
int connect(int fd, const struct sockaddr *to, socklen_t size) {
    note(to);
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(fd, to, size);
}
ssize_t sendto(int fd, const void *b, size_t n, int f, const struct sockaddr *to, socklen_t size) {
    note(to);
    return ((ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))
            dlsym(RTLD_NEXT, "sendto"))(fd, b, n, f, to, size);
}
"#;

/// The library that writes down where a program connects to.
fn shim(house: &House) -> PathBuf {
    let (source, library) = (house.path("connect.c"), house.path("connect.so"));
    fs::write(&source, SHIM).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    Done::of(&mut compile).ok();
    library
}

/// Words of what people say about an answer.
const FEEDBACK: &[&str] = &[
    "feedback",
    "rating",
    "rate",
    "vote",
    "thumb",
    "score",
    "eval",
    "grade",
    "annotat",
    "telemetry",
    "usage",
    "event",
    "fine_tun",
    "fine-tun",
    "train",
    "dataset",
];

/// Addresses under which other gateways, and the vendors themselves, take it.
const ELSEWHERE: &[&str] = &[
    "/feedback",
    "/v1/feedback",
    "/v1/evals",
    "/v1/ratings",
    "/v1/events",
    "/v1/telemetry",
    "/v1/fine_tuning/jobs",
    "/v1/chat/completions/chatcmpl-1",
    "/v1/chat/completions/chatcmpl-1/feedback",
    "/v1/responses/resp_1/feedback",
    "/v1/messages/msg_1/feedback",
    "/model/stand-in/feedback",
    "/v1beta/models/stand-in:feedback",
    "/v1beta/tunedModels",
];

#[tokio::test]
async fn no_feedback_is_taken_and_the_program_connects_to_the_registered_host_alone() {
    for route in ROUTES {
        for word in FEEDBACK {
            assert!(!route.path.contains(word), "{} takes {word}", route.path);
        }
    }
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let log = house.path("connects");
    let mut command = house.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", shim(&house)).env("CONNECT_LOG", &log);
    let serving = house.start(command);
    let connects = || fs::read_to_string(&log).unwrap_or_default();
    assert_eq!(connects(), "", "it connects before anybody asked");
    assert_eq!(serving.ask(&user(MARISOL.name)).await.status(), 200);
    let one = format!("{}\n", upstream.address());
    assert_eq!(connects(), one);

    let body = json!({ "id": "chatcmpl-1", "rating": "thumbs_down", "comment": MARISOL.name });
    for path in ELSEWHERE {
        for method in ["POST", "PUT", "PATCH"] {
            let body = Bytes::from(body.to_string());
            let asked = Request::new(method, path, body).bearer(&house.key);
            let answer = serving.call(&asked).await;
            assert!([404, 405].contains(&answer.status()), "{method} {path}: {}", answer.text());
            assert!(!answer.text().contains(MARISOL.name), "{method} {path}");
        }
    }
    // Inside of a request it is a field that nobody knows.
    let mut rated = user(MARISOL.name);
    rated["feedback"] = body;
    assert_eq!(serving.ask(&rated).await.status(), 400);
    assert_eq!(connects(), one);
    assert_eq!(upstream.captured().len(), 1);
    assert_eq!(serving.stream(&user("hello")).await.answer().content(), "hello");
    serving.stop();
    let hosts: BTreeSet<String> = connects().lines().map(str::to_owned).collect();
    assert_eq!(hosts, [upstream.address().to_string()].into());
}

/// Everything that a response shows: status, headers and body.
fn shown(response: &Response) -> String {
    let headers = response.head.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
    response.text() + &headers.collect::<String>()
}

/// What every route answers to a caller, to an auditor and to nobody, right and wrong.
async fn everything(serving: &Serving, keys: &[Option<&str>]) -> Vec<(String, String)> {
    let bodies = [user("hello"), json!({ "model": "unknown", "messages": [] })];
    let mut seen = Vec::new();
    for route in ROUTES {
        let path = route
            .path
            .replace("{*tile}", "0/000.p/1")
            .replace("{*model}", "stand-in")
            .replace("{deployment}/{*below}", "stand-in/chat/completions")
            .replace("{model}/{how}", "stand-in/converse")
            .replace("{call}", "stand-in:generateContent");
        for method in [route.method, "DELETE"] {
            for key in keys {
                for body in &bodies {
                    let asked = Request::new(method, &path, Bytes::from(body.to_string()));
                    let asked = match key {
                        Some(key) => asked.bearer(key),
                        None => asked,
                    };
                    let answer = serving.call(&asked).await;
                    seen.push((format!("{method} {path}"), shown(&answer)));
                }
            }
        }
    }
    seen
}

#[tokio::test]
async fn no_caller_sees_a_vendors_credential_or_address() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let file = house.path("vendor-credential");
    fs::write(&file, SECRET).unwrap();
    let host = upstream.address().to_string();
    let rules = Rules::cloud(&upstream)
        .with("credential = \"none\"", &format!("credential = \"file:{}\"", file.display()))
        .with("dialect = \"openai_compatible\"", "dialect = \"openai\"");
    house.apply(&rules).ok();
    let auditor = house.create_key(&["--role", "auditor"]).secret;
    let serving = house.serve();
    serving.knows(&auditor).await;
    let keys = [None, Some(house.key.as_str()), Some(auditor.as_str())];
    let hidden = [SECRET, host.as_str(), file.to_str().unwrap()];
    let check = |seen: &[(String, String)]| {
        for (what, text) in seen {
            for value in hidden {
                assert!(!text.contains(value), "{what} shows {value}: {text}");
            }
        }
    };
    let seen = everything(&serving, &keys).await;
    assert!(seen.len() > 200 && seen.iter().any(|(_, text)| text.contains("openapi")));
    check(&seen);
    assert!(upstream.captured().iter().any(|sent| sent.header("authorization").is_some()));
    // When the vendor does not answer, and when what it answers says it all.
    upstream.stop().await;
    let answer = serving.ask(&user("hello")).await;
    assert!(answer.status() >= 500, "{}", answer.text());
    check(&[("no vendor".to_owned(), shown(&answer))]);
    for status in ["200 OK", "401 Unauthorized", "302 Found", "500 Internal Server Error"] {
        let said = format!("{{\"error\":{{\"message\":\"{SECRET}\",\"code\":\"{SECRET}\"}}}}");
        let telling = Upstream::start_bytes(format!(
            "HTTP/1.1 {status}\r\nlocation: http://vendor.example/{SECRET}\r\nx-api-base: {SECRET}\r\nx-request-id: {SECRET}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        ))
        .await;
        let model = format!("telling-{}", status.len());
        let there = rules.clone().with(&host, &telling.address().to_string()).offering(&model);
        house.apply(&there).ok();
        serving.offers(&model).await;
        let answer = serving.ask(&user("hello")).await;
        assert!(answer.status() >= 400, "{status}: {}", answer.text());
        let text = shown(&answer);
        assert!(!text.contains(&telling.address().to_string()), "{status}: {text}");
        check(&[(format!("a vendor that answers {status}"), text)]);
    }
    assert!(!serving.log_lines().contains(SECRET));
    // A list of models names routes, and nothing that leads around the server.
    let models: Value = serving.get("/v1/models").await.json();
    assert!(!models.to_string().contains("http"), "{models}");
}
