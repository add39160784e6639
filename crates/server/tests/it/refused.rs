//! Requests that are not what they should be: a clear error, no value in it, nothing sent on.

use crate::house::{House, check_refusal, error_code, user};
use crate::rules::Rules;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::client::{self, Client, Request};
use testkit::entropy::Seeded;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

/// The largest request, as the documentation says it.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// A body that must be refused, and how.
pub(crate) struct Bad {
    name: &'static str,
    pub(crate) body: Vec<u8>,
    status: u16,
    code: &'static str,
}

/// What stands in every bad body and must stand in no error.
pub(crate) const PLANTED: [&str; 3] = [MARISOL.name, MARISOL.ssn, MARISOL.email];

fn planted() -> String {
    PLANTED.join(" ")
}

fn bad(name: &'static str, body: impl Into<Vec<u8>>, code: &'static str) -> Bad {
    Bad { name, body: body.into(), status: 400, code }
}

/// A good request with `value` at `pointer`, as the member of that name.
fn at(pointer: &str, value: Value) -> String {
    let mut body = json!({ "model": "stand-in", "messages": [
        { "role": "user", "content": [{ "type": "text", "text": planted() }] },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "call_1", "type": "function",
              "function": { "name": "look_up", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "call_1", "content": "done" }
    ] });
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body.to_string()
}

/// Fields that nobody scans, and so nobody may send.
fn unknown_fields() -> Vec<Bad> {
    const CODE: &str = "unsupported_content";
    let image = json!([
        { "type": "text", "text": planted() },
        { "type": "image_url", "image_url": { "url": format!("data:{}", planted()) } }
    ]);
    let file = json!([{ "type": "file", "file": { "filename": planted(), "file_data": "QQ==" } }]);
    let audio = json!([{ "type": "input_audio", "input_audio": { "data": planted() } }]);
    let text = || json!(planted());
    vec![
        bad("a field beside the messages", at("/notes", text()), CODE),
        bad("a field named by a value", at(&format!("/{}", MARISOL.ssn), text()), CODE),
        bad("extra_body", at("/extra_body", json!({ "patient": planted() })), CODE),
        bad("input of another API", at("/input", text()), CODE),
        bad("a field of a message", at("/messages/0/patient", text()), CODE),
        bad("a field of a part", at("/messages/0/content/0/caption", text()), CODE),
        bad("a field of a call", at("/messages/1/tool_calls/0/hint", text()), CODE),
        bad("a field of a function", at("/messages/1/tool_calls/0/function/hint", text()), CODE),
        bad("stream options", at("/stream_options", json!({ "note": planted() })), CODE),
        bad("an image", at("/messages/0/content", image), CODE),
        bad("a file", at("/messages/0/content", file), CODE),
        bad("sound", at("/messages/0/content", audio), CODE),
        bad("sound in the answer", at("/audio", json!({ "voice": planted() })), CODE),
        bad("web search", at("/web_search_options", json!({ "place": planted() })), CODE),
    ]
}

/// Values of the wrong kind, some of them with text where no text belongs.
fn wrong_values() -> Vec<Bad> {
    const CODE: &str = "invalid_request";
    let text = || json!(planted());
    vec![
        bad("text as temperature", at("/temperature", text()), CODE),
        bad("text as a role", at("/messages/0/role", text()), CODE),
        bad("text as a part's type", at("/messages/0/content/0/type", text()), CODE),
        bad("text as a service tier", at("/service_tier", text()), CODE),
        bad("text as logit bias", at("/logit_bias", json!({ planted(): 1 })), CODE),
        bad("long digits as logit bias", at("/logit_bias", json!({ "2190999990": 1 })), CODE),
        bad("messages that are text", at("/messages", text()), CODE),
        bad("a model that is no text", at("/model", json!([planted()])), CODE),
        bad("no messages", json!({ "model": "stand-in" }).to_string(), CODE),
        bad("no model", json!({ "messages": [] }).to_string(), CODE),
        bad("a list", json!([planted()]).to_string(), CODE),
        bad("a text", text().to_string(), CODE),
    ]
}

/// Bytes that are no JSON document, or not one only.
fn broken_documents() -> Vec<Bad> {
    const CODE: &str = "invalid_request";
    let good = user(&planted()).to_string();
    let twice = format!("{}, \"model\": \"stand-in\" }}", good.trim_end_matches('}'));
    let inner = good.replacen("\"role\"", "\"content\":\"x\",\"role\"", 1);
    let deep = format!(
        "{{\"model\":\"stand-in\",\"messages\":[],\"metadata\":{}\"{}\"{}}}",
        "[".repeat(100_000),
        planted(),
        "]".repeat(100_000)
    );
    let mut invalid = good.clone().into_bytes();
    let place = good.find(MARISOL.ssn).unwrap();
    invalid.insert(place, 0xff);
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        bad("nothing", "", CODE),
        bad("cut off", good.as_bytes()[..good.len() - 3].to_vec(), CODE),
        bad("something after it", format!("{good} {}", planted()), CODE),
        bad("two documents", format!("{good}{good}"), CODE),
        bad("a member twice", twice, CODE),
        bad("a content twice", inner, CODE),
        bad("deep nesting", deep, CODE),
        bad("a byte outside UTF-8", invalid, CODE),
        bad("UTF-16", utf16, CODE),
        bad("a lone surrogate half", good.replace(MARISOL.ssn, "\\ud800"), CODE),
        bad("a number that is none", good.replace("\"stand-in\"", "NaN"), CODE),
        bad("a form", format!("model=stand-in&note={}", planted()), CODE),
    ]
}

/// Every body that must be refused.
pub(crate) fn bodies() -> Vec<Bad> {
    let mut all = unknown_fields();
    all.extend(wrong_values());
    all.extend(broken_documents());
    all.push(Bad {
        status: 404,
        ..bad("an unknown model", at("/model", json!(planted())), "model_not_found")
    });
    all
}

pub(crate) fn post(body: &[u8]) -> Request {
    let body = Bytes::copy_from_slice(body);
    Request::new("POST", "/v1/chat/completions", body).header("content-type", "application/json")
}

#[tokio::test]
async fn a_bad_body_gets_a_clear_error_and_reaches_nobody() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let mut refused = Vec::new();
    for bad in bodies() {
        let response = serving.call(&post(&bad.body).bearer(&house.key)).await;
        let said = response.text();
        assert_eq!(response.status(), bad.status, "{}: {said}", bad.name);
        check_refusal(&response, bad.status, bad.code, &PLANTED);
        refused.push((bad, response.header("x-request-id").unwrap().to_owned()));
    }
    assert_eq!(upstream.connections(), 0);
    let outcomes = house.log().outcomes();
    for (bad, exchange) in refused {
        let outcome = &outcomes[&exchange];
        assert_eq!(outcome.outcome, "refused", "{}", bad.name);
        assert_eq!(outcome.code.as_deref(), Some(bad.code), "{}", bad.name);
    }
    // A good request, to show that the cases above fail for the reason that they name.
    let response = serving.call(&post(at("/seed", json!(1)).as_bytes()).bearer(&house.key)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read_whole() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let limit = MAX_REQUEST_BYTES;
    let filler = "The patient is stable today. ";
    let fits = user(&filler.repeat((limit - 4096) / filler.len()));
    let response = serving.ask(&fits).await;
    assert_eq!(response.status(), 200, "{}", &response.text()[..200]);
    let sent = upstream.captured().len();
    for excess in [1, 4096, 3 * limit] {
        let mut body = user(MARISOL.name).to_string().into_bytes();
        body.resize(limit + excess, b' ');
        let request = post(&body).bearer(&house.key);
        let mut client = Client::connect(serving.address).await.unwrap();
        // The server may answer and close before it has read all.
        drop(client.send(&request).await);
        let head = client.head().await.unwrap();
        let said = client.piece().await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&said);
        assert_eq!((head.status, &*error_code(413, &said, &PLANTED)), (413, "request_too_large"));
    }
    // The length is announced by nobody here: the limit holds for what arrives.
    let mut client = Client::connect(serving.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        house.key
    );
    client.write(head.as_bytes()).await.unwrap();
    let chunk =
        [format!("{:x}\r\n", limit + 1).as_bytes(), &vec![b' '; limit + 1], b"\r\n"].concat();
    drop(client.write(&chunk).await);
    assert_eq!(client.head().await.unwrap().status, 413);
    assert_eq!(upstream.captured().len(), sent);
}

#[tokio::test]
async fn what_is_no_request_of_the_dialect_is_refused_by_its_head() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let good = serving.request(&user(MARISOL.name));
    let encoded = serving.call(&good.clone().header("content-encoding", "gzip")).await;
    check_refusal(&encoded, 415, "unsupported_encoding", &PLANTED);
    let long = "Marisol Quintero ".repeat(16);
    let named = serving.call(&good.clone().header("x-bulla-conversation", &long)).await;
    check_refusal(&named, 400, "invalid_request", &PLANTED);
    let hugely = serving.call(&good.clone().header("x-filler", &"x".repeat(128 << 10))).await;
    assert!(matches!(hugely.status(), 400 | 431), "{}", hugely.status());
    for path in
        ["/v1/images/generations", "/v1/chat/completions/", "/v1/chat/completions/219-09-9999"]
    {
        let body = user(&planted());
        let response = serving.call(&Request::post(path, &body).bearer(&house.key)).await;
        check_refusal(&response, 404, "unknown_route", &PLANTED);
    }
    assert_eq!(upstream.connections(), 0);
    // A conversation may be named with bytes that are no text, too.
    let odd = serving.call(&good.header("x-bulla-conversation", "caf\u{e9}")).await;
    assert_eq!(odd.status(), 200, "{}", odd.text());
}

#[tokio::test]
async fn a_request_that_comes_slowly_is_answered_and_one_that_is_cut_short_is_not_sent() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let whole = serving.request(&user(MARISOL.name)).bytes("localhost");
    let head = whole.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    for cut in [10, head - 2, head, head + 20, whole.len() - 1] {
        let mut client = Client::connect(serving.address).await.unwrap();
        client.write(&whole[..cut]).await.unwrap();
        if cut % 2 == 0 {
            client.abort().unwrap();
        }
    }
    let mut client = Client::connect(serving.address).await.unwrap();
    for piece in whole.chunks(whole.len() / 20) {
        client.write(piece).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    }
    assert_eq!(client.head().await.unwrap().status, 200);
    assert_eq!(upstream.captured().len(), 1);
    assert_eq!(house.log().intents().len(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_http_disturb_nobody() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
    {
        let mut client = Client::connect(serving.address).await.unwrap();
        client.write(bytes).await.unwrap();
        if let Ok(head) = client.head().await {
            assert!((400..500).contains(&head.status) || head.status == 505, "{}", head.status);
        }
    }
    // Two lengths that differ: the way to smuggle a second request past a proxy.
    let smuggled = serving
        .request(&user("x"))
        .header("content-length", "5")
        .header("transfer-encoding", "chunked");
    if let Ok(response) = client::call(serving.address, &smuggled).await {
        assert_ne!(response.status(), 200);
        assert_ne!(error_code(400, &response.text(), &PLANTED), "");
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
}

/// Changes some bytes of `good`: other bytes, cuts, pieces twice.
fn mutilated(good: &[u8], random: &Seeded) -> Vec<u8> {
    let mut body = good.to_vec();
    let below = |limit: usize| usize::try_from(random.next_u64()).unwrap_or(0) % limit.max(1);
    for _ in 0..=below(3) {
        let (from, to) = (below(body.len()), below(body.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
        let piece = body[from..to].to_vec();
        match below(4) {
            0 => body[from] = b"\"\\{}[]:,0-\xff\0 "[below(13)],
            1 => drop(body.drain(from..to)),
            2 => drop(body.splice(to..to, piece)),
            _ => body.truncate(from + 1),
        }
    }
    body
}

#[tokio::test]
async fn no_mutilated_request_breaks_the_house() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let good = at("/metadata", json!({ "visit": { "number": [1, null, true, -0.5e-3] } }));
    let random = Seeded::new(20_261_123);
    let mut client = Client::connect(serving.address).await.unwrap();
    let mut statuses = BTreeSet::new();
    for _ in 0..600 {
        let body = mutilated(good.as_bytes(), &random);
        let response = client.call(&post(&body).bearer(&house.key)).await.unwrap();
        statuses.insert(response.status());
        assert!(matches!(response.status(), 200 | 400 | 404), "{}", response.text());
        if response.status() != 200 {
            error_code(response.status(), &response.text(), &PLANTED);
        }
    }
    assert!(statuses.contains(&200) && statuses.contains(&400), "{statuses:?}");
    assert!(!serving.log_lines().contains("broke off"));
    assert!(house.log().outcomes().len() >= 600);
}
