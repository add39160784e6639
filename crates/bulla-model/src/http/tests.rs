//! The routes over a real socket, with a scripted engine in place of a model.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver as Queue, sync_channel};
use std::time::Duration;

use super::*;
use crate::engine::{Finish, Refusal};

/// Longest wait for anything in these tests, so that a fault fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the server with a queue of `depth`; returns its address and the queue.
fn start(depth: usize, loaded: bool) -> (SocketAddr, Queue<Job>) {
    let (jobs, queue) = sync_channel(depth);
    let ready = Arc::new(OnceLock::new());
    if loaded {
        ready.get_or_init(|| Card { context: 100, parameters: 1 });
    }
    let app = App::new("scripted".into(), jobs, ready, 1_700_000_000);
    let (sender, address) = sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, app).await.unwrap();
        });
    });
    (address.recv_timeout(PATIENCE).unwrap(), queue)
}

/// Answers every job of the queue with the same events.
fn script(queue: Queue<Job>, events: fn() -> Vec<Event>) {
    std::thread::spawn(move || {
        for job in queue {
            for event in events() {
                assert!(job.events.try_send(event).is_ok(), "the channel has room for a script");
            }
        }
    });
}

fn open(address: SocketAddr, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let text = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

fn call(address: SocketAddr, line: &str, body: &str) -> String {
    let mut reply = String::new();
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\n");
    open(address, &head, body).read_to_string(&mut reply).unwrap();
    reply
}

fn ask(address: SocketAddr, extra: &str) -> String {
    call(address, "POST /v1/chat/completions", &question(extra))
}

fn question(extra: &str) -> String {
    format!(r#"{{"model":"scripted","messages":[{{"role":"user","content":"hi"}}]{extra}}}"#)
}

fn greeting() -> Vec<Event> {
    vec![
        Event::Started { prompt_words: 5 },
        Event::Text("Grüß".into()),
        Event::Text(" Gott".into()),
        Event::Done { finish: Finish::Stop, answer_words: 2 },
    ]
}

/// The JSON of the data lines of a stream, without `[DONE]`.
fn data(reply: &str) -> Vec<Value> {
    reply
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn an_answer_comes_whole() {
    let (address, queue) = start(1, true);
    script(queue, greeting);
    let reply = ask(address, "");
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    let (_, body) = reply.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Grüß Gott");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        body["usage"],
        json!({ "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 })
    );
}

#[test]
fn an_answer_comes_as_a_stream_with_counts_last() {
    let (address, queue) = start(1, true);
    script(queue, greeting);
    let reply = ask(address, r#","stream":true,"stream_options":{"include_usage":true}"#);
    let events = data(&reply);
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Grüß Gott");
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., ending, counts] = events.as_slice() else { panic!("{reply}") };
    assert_eq!(ending["choices"][0]["finish_reason"], "stop");
    assert_eq!(ending["usage"], Value::Null);
    assert_eq!(counts["usage"]["total_tokens"], 7);
    assert_eq!(counts["choices"], json!([]));
    assert!(reply.contains("data: [DONE]"));
}

#[test]
fn counts_are_not_in_a_stream_that_did_not_ask_for_them() {
    let (address, queue) = start(1, true);
    script(queue, greeting);
    let reply = ask(address, r#","stream":true"#);
    assert!(data(&reply).iter().all(|event| event.get("usage").is_none()), "{reply}");
    assert!(reply.contains("data: [DONE]"));
}

#[test]
fn a_stream_that_fails_says_so_and_does_not_look_complete() {
    let (address, queue) = start(1, true);
    script(queue, || {
        vec![Event::Started { prompt_words: 1 }, Event::Text("half".into()), Event::Failed]
    });
    let reply = ask(address, r#","stream":true"#);
    assert_eq!(data(&reply).last().unwrap()["error"]["code"], "inference_failed");
    assert!(!reply.contains("[DONE]"), "{reply}");
}

/// Checks the status line and the code of a refusal.
fn check(reply: &str, status: u16, code: &str) {
    assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    assert!(reply.contains(&format!(r#""code":"{code}""#)), "{reply}");
}

#[test]
fn a_prompt_that_does_not_fit_is_a_refusal_of_the_dialect() {
    let (address, queue) = start(1, true);
    script(queue, || vec![Event::Refused(Refusal::TooLong { words: 101, limit: 100 })]);
    check(&ask(address, r#","stream":true"#), 400, "context_length_exceeded");
}

#[test]
fn other_routes_methods_models_and_bodies_are_refused() {
    let (address, _queue) = start(1, true);
    check(&call(address, "GET /v1/completions", ""), 404, "unknown_url");
    check(&call(address, "GET /v1/chat/completions", ""), 405, "method_not_allowed");
    check(&ask(address, r#","n":3"#), 400, "unsupported_parameter");
    let other = question("").replace("scripted", "gpt-4o");
    check(&call(address, "POST /v1/chat/completions", &other), 404, "model_not_found");
    let large = "x".repeat(BODY_BYTES_LIMIT + 1);
    check(&call(address, "POST /v1/chat/completions", &large), 413, "body_too_large");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let (address, queue) = start(1, true);
    // Nobody works on the queue, so the first request stays in it.
    let waiting = open(
        address,
        &format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n"),
        &question(""),
    );
    let first = queue.recv_timeout(PATIENCE).unwrap();
    let next = open(
        address,
        &format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n"),
        &question(""),
    );
    // The second one is in the queue as soon as a third one is refused.
    let deadline = 200;
    let refused = (0..deadline).map(|_| ask_briefly(address)).find(|reply| !reply.is_empty());
    check(&refused.expect("a request over the limit is refused"), 429, "queue_full");
    drop((waiting, first, next));
}

/// Asks and hangs up when there is no reply within a moment.
fn ask_briefly(address: SocketAddr) -> String {
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n");
    let mut stream = open(address, &head, &question(""));
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut reply = Vec::new();
    match stream.read_to_end(&mut reply) {
        Ok(_) => String::from_utf8(reply).unwrap(),
        Err(_) => String::new(),
    }
}

#[test]
fn the_engine_learns_that_the_client_has_gone() {
    let (address, queue) = start(1, true);
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n");
    let mut stream = open(address, &head, &question(r#","stream":true"#));
    let job = queue.recv_timeout(PATIENCE).unwrap();
    job.events.try_send(Event::Started { prompt_words: 1 }).ok().unwrap();
    let mut first = [0_u8; 16];
    stream.read_exact(&mut first).unwrap();
    assert!(!job.events.is_closed());
    drop(stream);
    let closed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        job.events.is_closed()
    });
    assert!(closed, "the job must be closed once the client has hung up");
}

#[test]
fn a_model_that_still_loads_is_not_ready() {
    let (address, _queue) = start(1, false);
    assert!(call(address, "GET /health", "").starts_with("HTTP/1.1 503 "));
    check(&ask(address, ""), 503, "model_loading");
    let (address, _queue) = start(1, true);
    assert!(call(address, "GET /health", "").starts_with("HTTP/1.1 200 "));
    assert!(call(address, "GET /v1/models", "").contains(r#""id":"scripted""#));
}

#[test]
fn web_pages_are_refused() {
    let (address, _queue) = start(1, true);
    for head in [
        "GET /v1/models HTTP/1.1\r\nHost: attacker.example\r\n".to_owned(),
        format!("GET /v1/models HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n"),
    ] {
        let mut reply = String::new();
        open(address, &head, "").read_to_string(&mut reply).unwrap();
        check(&reply, 403, "not_local");
    }
    let mut reply = String::new();
    let head = "GET /v1/models HTTP/1.1\r\nHost: localhost:1\r\n";
    open(address, head, "").read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}
