//! What callers send who mean harm or cannot do better: slow, endless, smuggled, oversized, compressed, in
//! another protocol. Each gets a clear end in a bounded time, costs bounded memory, reaches no model server,
//! and honest callers are served meanwhile.

use crate::house::{House, Serving, user};
use crate::rules::Rules;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::client::{Client, Request};
use testkit::people::MARISOL;
use testkit::proc::{peak_rss_bytes, rss_bytes};
use testkit::upstream::{Reply, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Nothing that is refused takes longer, on a busy machine.
const END_LIMIT: Duration = Duration::from_secs(20);

/// Longer than a head may take, and as much again for a busy machine.
const HEAD_LIMIT: Duration = Duration::from_secs(20);

/// Bytes that are offered as a head without an end, and how many of them are taken at most: what is read, and
/// what the buffers of a socket hold beside it.
const OFFERED_BYTES: usize = 64 << 20;
const TAKEN_BYTES: usize = 16 << 20;

const MIB: u64 = 1 << 20;

async fn start() -> (Upstream, House, Serving) {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    (upstream, house, serving)
}

/// What a connection said, and how much of what was written it took.
#[derive(Debug)]
struct Ending {
    said: String,
    took: usize,
}

impl Ending {
    fn statuses(&self) -> Vec<&str> {
        self.said.split("HTTP/1.1 ").skip(1).filter_map(|it| it.get(..3)).collect()
    }
}

/// Writes pieces until the other side ends it, and reads what it says. Panics when it does not end.
async fn ending(address: SocketAddr, pieces: impl Iterator<Item = Vec<u8>>) -> Ending {
    let talking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let (mut said, mut took) = (Vec::new(), 0);
        let writing = async {
            for piece in pieces {
                if writer.write_all(&piece).await.is_err() {
                    break;
                }
                took += piece.len();
            }
        };
        // Whoever was refused is cut off, which is an end too.
        let reading = async { drop(reader.read_to_end(&mut said).await) };
        tokio::select! {
            () = async { tokio::join!(writing, std::future::pending::<()>()); } => {}
            () = reading => {}
        }
        Ending { said: String::from_utf8_lossy(&said).into_owned(), took }
    };
    timeout(END_LIMIT, talking).await.unwrap_or_else(|_| panic!("it does not end"))
}

async fn end_of(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Ending {
    ending(address, std::iter::once(bytes.as_ref().to_vec())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_callers_hold_up_nobody_and_slow_heads_are_cut_off() {
    const HEADS: usize = 400;
    const BODIES: usize = 200;
    let (_upstream, house, serving) = start().await;
    let honest = house.create_key(&["--purpose", "treatment"]).secret;
    serving.knows(&honest).await;
    let before = rss_bytes(serving.pid()).unwrap();
    let address = serving.address;
    let mut heads = JoinSet::new();
    for _ in 0..HEADS {
        heads.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let begun = Instant::now();
            let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ";
            stream.write_all(head).await.unwrap();
            let mut byte = [0; 256];
            loop {
                // One byte of the head each second, for ever.
                let read = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
                let ended = matches!(read, Ok(Ok(0) | Err(_)));
                if ended || stream.write_all(b"x").await.is_err() {
                    return begun.elapsed();
                }
                assert!(begun.elapsed() < HEAD_LIMIT, "a slow head is still read");
            }
        });
    }
    let mut bodies = Vec::new();
    let declared = Request::new("POST", "/v1/chat/completions", vec![b' '; 64 << 10].into());
    let slow = declared.bearer(&house.key).bytes("127.0.0.1");
    for _ in 0..BODIES {
        let mut client = Client::connect(address).await.unwrap();
        client.write(&slow[..400]).await.unwrap();
        bodies.push(client);
    }
    let mut slowest = Duration::ZERO;
    let ask = Request::chat(&user(MARISOL.name)).bearer(&honest);
    let ended = async {
        let mut ended = Vec::new();
        while let Some(lasted) = heads.join_next().await {
            ended.push(lasted.unwrap());
        }
        ended
    };
    tokio::pin!(ended);
    let lasted = loop {
        let begun = Instant::now();
        let response = timeout(END_LIMIT, testkit::client::call(address, &ask)).await;
        assert_eq!(response.unwrap().unwrap().status(), 200);
        slowest = slowest.max(begun.elapsed());
        for client in &mut bodies {
            client.write(b" ").await.unwrap();
        }
        if let Ok(lasted) = timeout(Duration::from_millis(300), &mut ended).await {
            break lasted;
        }
    };
    assert_eq!(lasted.len(), HEADS);
    let grown = rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    println!(
        "{HEADS} slow heads, {BODIES} slow bodies: the honest waited {slowest:?} at most, and the server has {} KiB more",
        grown >> 10
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(grown < 100 * MIB, "{} MiB", grown / MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_headers_is_refused_before_it_is_read_whole() {
    let (upstream, _house, serving) = start().await;
    let before = rss_bytes(serving.pid()).unwrap();
    let address = serving.address;
    let start = || std::iter::once(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n".to_vec());
    let line = |number: usize| format!("x-{number}: y\r\n").into_bytes();
    let filler = || std::iter::repeat_n(vec![b'x'; 64 << 10], OFFERED_BYTES >> 16);
    // Many headers; one header without an end; names without an end; a path and a query without an end.
    let many = ending(address, start().chain((0..5_000_000).map(line))).await;
    let value = start().chain([b"x-huge: ".to_vec()]).chain(filler());
    let value = ending(address, value).await;
    let name = ending(address, start().chain(filler())).await;
    let path = ending(address, std::iter::once(b"GET /v1/".to_vec()).chain(filler())).await;
    let query = std::iter::once(b"GET /v1/models?q=".to_vec()).chain(filler());
    let query = ending(address, query).await;
    for ending in [many, value, name, path, query] {
        let statuses = ending.statuses();
        let refused = ["400", "414", "431"].iter().any(|it| statuses == [*it]);
        // What was refused while it was still being written may be cut off before its answer is read.
        assert!(refused || statuses.is_empty(), "{ending:?}");
        assert!(ending.took <= TAKEN_BYTES, "{} bytes of a head", ending.took);
    }
    // Within the bytes of a head, but too many headers.
    let lines: Vec<String> = (0..150).map(|number| format!("x-{number}: y\r\n")).collect();
    let lines = lines.concat();
    let ending = end_of(address, format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{lines}\r\n")).await;
    assert_eq!(ending.statuses(), ["431"]);
    let long = format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70 << 10));
    let ending = end_of(address, long).await;
    assert!(["414", "431"].contains(&ending.statuses()[0]), "{ending:?}");
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
    assert_eq!(upstream.connections(), 0);
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
}

/// Bodies and heads that two parsers could read in two ways, or that never end.
fn chunked_nonsense(key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let chat = user("hello").to_string();
    let length = chat.len();
    let smuggled =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
    let chunked =
        |body: &str| format!("{head}transfer-encoding: chunked\r\n\r\n{body}").into_bytes();
    let chunk = format!("{length:x}\r\n{chat}\r\n");
    let trailers = "x-trailer: y\r\n".repeat(200_000);
    vec![
        ("a size that is no number", chunked("xyz\r\nhello\r\n0\r\n\r\n")),
        ("a negative size", chunked("-5\r\nhello\r\n0\r\n\r\n")),
        ("a size with a prefix", chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        ("a size beyond all numbers", chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
        ("a size of nothing", chunked("\r\nhello\r\n0\r\n\r\n")),
        ("a chunk that is longer than it says", chunked("2\r\nhello\r\n0\r\n\r\n")),
        ("lines that end in a line feed alone", chunked("5\nhello\n0\n\n")),
        (
            "an extension without an end",
            chunked(&format!("5;x={}\r\nhello\r\n0\r\n\r\n", "y".repeat(1 << 20))),
        ),
        ("trailers without an end", chunked(&format!("{chunk}0\r\n{trailers}\r\n"))),
        (
            "an encoding that is not the last",
            format!("{head}transfer-encoding: chunked, gzip\r\n\r\n{chunk}0\r\n\r\n").into(),
        ),
        (
            "an encoding that there is not",
            format!("{head}transfer-encoding: chunky\r\n\r\n{chunk}0\r\n\r\n").into(),
        ),
        (
            "an encoding in HTTP/1.0",
            format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
                .replace("HTTP/1.1", "HTTP/1.0")
                .into(),
        ),
        (
            "two lengths that differ",
            format!("{head}content-length: 5\r\ncontent-length: {length}\r\n\r\n{chat}").into(),
        ),
        ("two lengths in one", format!("{head}content-length: {length}, 5\r\n\r\n{chat}").into()),
        ("a length with a sign", format!("{head}content-length: +{length}\r\n\r\n{chat}").into()),
        ("a length that is no number", format!("{head}content-length: many\r\n\r\n{chat}").into()),
        (
            "a header that goes on in the next line",
            format!("{head}x-folded: a\r\n b\r\ncontent-length: {length}\r\n\r\n{chat}").into(),
        ),
        (
            "a blank before the colon",
            format!("{head}content-length : {length}\r\n\r\n{chat}").into(),
        ),
        (
            "a zero byte in a header",
            format!("{head}x-zero: a\0b\r\ncontent-length: {length}\r\n\r\n{chat}").into(),
        ),
        ("no version", format!("POST /v1/chat/completions\r\nhost: x\r\n\r\n{smuggled}").into()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_read_in_two_ways_is_read_in_none() {
    let (upstream, house, serving) = start().await;
    let before = rss_bytes(serving.pid()).unwrap();
    for (name, bytes) in chunked_nonsense(&house.key) {
        let ending = end_of(serving.address, &bytes).await;
        let statuses = ending.statuses();
        // What was cut off in the middle of its flood may not get to read its answer.
        let refused = statuses.len() == 1 && statuses[0].starts_with('4');
        assert!(refused || (statuses.is_empty() && bytes.len() > 1 << 20), "{name}: {ending:?}");
    }
    assert_eq!(upstream.connections(), 0);

    // Both a length and chunks: the chunks count, and nothing of what follows is taken for a request (RFC
    // 9112, section 6.3), in whichever order they stand.
    let smuggled = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 2\r\n\r\n{{}}",
        house.key
    );
    for both in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{both}\r\n\r\n0\r\n\r\n",
            house.key
        );
        let ending = end_of(serving.address, head + &smuggled).await;
        assert_eq!(ending.statuses(), ["400"], "{both}: {ending:?}");
        assert!(ending.said.to_ascii_lowercase().contains("connection: close"), "{ending:?}");
    }
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
    assert_eq!(upstream.connections(), 0);
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_not_spoken_and_its_clients_are_told_so() {
    let (upstream, _house, serving) = start().await;
    let before = rss_bytes(serving.pid()).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 0, 0]);
    // A client as it should be; then streams that are opened and reset, headers that go on for ever,
    // settings again and again, and windows of nothing.
    let headers = |stream| frame(1, 1, stream, b"\x83\x84\x86");
    let reset: Vec<u8> = (0..10_000)
        .flat_map(|it| [headers(2 * it + 1), frame(3, 0, 2 * it + 1, &[0, 0, 0, 8])].concat())
        .collect();
    let continued = [frame(1, 0, 1, b"\x83"), frame(9, 0, 1, &[0; 1024]).repeat(2000)].concat();
    let again = settings.repeat(100_000);
    let nothing = frame(8, 0, 0, &[0, 0, 0, 0]).repeat(100_000);
    for (name, flood) in [
        ("none", Vec::new()),
        ("resets", reset),
        ("headers", continued),
        ("settings", again),
        ("windows", nothing),
    ] {
        let pieces = [preface.clone(), settings.clone(), flood.clone()].into_iter();
        let talking = async {
            let mut stream = TcpStream::connect(serving.address).await.unwrap();
            let mut said = Vec::new();
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() {
                    break;
                }
            }
            let read = stream.read_to_end(&mut said).await;
            (said, read.is_ok())
        };
        let (said, read) = timeout(END_LIMIT, talking).await.expect(name);
        let goaway = [frame(4, 0, 0, &[]), frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 13])].concat();
        // A flood that is cut off in the middle may lose its answer.
        assert!(said == goaway || (!read && !flood.is_empty()), "{name}: {said:?}");
    }
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
    // The way to change the protocol in HTTP/1.1 is not taken either.
    let upgrade = Request::get("/healthz")
        .header("connection", "Upgrade, HTTP2-Settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQAAP__");
    assert_eq!(serving.call(&upgrade).await.status(), 200);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_one_write_are_answered_one_after_the_other() {
    const REQUESTS: usize = 40;
    let (upstream, house, serving) = start().await;
    let mut pipeline = Vec::new();
    for number in 0..REQUESTS {
        pipeline.extend_from_slice(&serving.request(&user(&format!("turn {number}"))).bytes("x"));
    }
    let mut client = Client::connect(serving.address).await.unwrap();
    client.write(&pipeline).await.unwrap();
    for number in 0..REQUESTS {
        let head = timeout(END_LIMIT, client.head()).await.unwrap().unwrap();
        assert_eq!(head.status, 200);
        let mut body = Vec::new();
        while let Some(piece) = client.piece().await.unwrap() {
            body.extend_from_slice(&piece);
        }
        let answer = String::from_utf8(body).unwrap();
        assert!(answer.contains(&format!("turn {number}\"")), "{answer}");
    }
    assert_eq!(upstream.captured().len(), REQUESTS);
    assert_eq!(house.log().outcomes().len(), REQUESTS);
}

/// Documents that are large in every way that JSON has, each within what a request may have.
fn oversized() -> Vec<(&'static str, String, u16, &'static str)> {
    let with = |messages: &str| format!(r#"{{"model":"stand-in","messages":{messages}}}"#);
    let content = |content: &str| with(&format!(r#"[{{"role":"user","content":{content}}}]"#));
    let keys: Vec<String> = (0..200_000).map(|number| format!("\"k{number}\":1,")).collect();
    let keys = keys.concat();
    let numbers = "1,".repeat(1_500_000);
    let part = r#"{"type":"text","text":"a"}"#;
    let long = "9".repeat(1 << 20);
    vec![
        ("arrays in arrays", with(&"[".repeat(2_000_000)), 400, "invalid_request"),
        (
            "closed arrays",
            content(&format!("{}{}", "[".repeat(900_000), "]".repeat(900_000))),
            400,
            "invalid_request",
        ),
        ("objects in objects", content(&r#"{"a":"#.repeat(700_000)), 400, "invalid_request"),
        (
            "many members",
            format!(r#"{{{keys}"model":"stand-in","messages":[]}}"#),
            400,
            "unsupported_content",
        ),
        (
            "a member many times",
            format!("{{{}\"model\":\"stand-in\"}}", r#""a":1,"#.repeat(500_000)),
            400,
            "invalid_request",
        ),
        ("many numbers", with(&format!("[{numbers}1]")), 400, "invalid_request"),
        (
            "a number with a million digits",
            format!(r#"{{"model":"stand-in","messages":[],"seed":{long}}}"#),
            400,
            "invalid_request",
        ),
        (
            "a model with a long name",
            format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(4 << 19)),
            404,
            "model_not_found",
        ),
        (
            "many messages",
            with(&format!(
                "[{}{{\"role\":\"user\",\"content\":\"a\"}}]",
                r#"{"role":"user","content":"a"},"#.repeat(8_000)
            )),
            200,
            "",
        ),
        ("many parts", content(&format!("[{}{part}]", format!("{part},").repeat(8_000))), 200, ""),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_are_large_in_every_way_cost_bounded_time_and_memory() {
    let (upstream, house, serving) = start().await;
    let before = rss_bytes(serving.pid()).unwrap();
    let mut exchanges = Vec::new();
    for (name, body, status, code) in oversized() {
        let begun = Instant::now();
        let request = Request::new("POST", "/v1/chat/completions", body.into()).bearer(&house.key);
        let response = timeout(END_LIMIT, serving.call(&request)).await.expect(name);
        println!("{name}: {} in {:?}", response.status(), begun.elapsed());
        if status == 200 {
            assert_eq!(response.status(), 200, "{name}: {}", response.text());
        } else {
            assert_eq!(
                (response.status(), response.json()["error"]["code"].as_str()),
                (status, Some(code)),
                "{name}"
            );
            assert!(response.body.len() < 1000, "{name}: the error repeats what was sent");
        }
        exchanges.push((name, response.header("x-request-id").unwrap().to_owned(), status));
    }
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    println!("documents that are large in every way: {} MiB at most", grown / MIB);
    assert!(grown < 400 * MIB, "{} MiB", grown / MIB);
    let outcomes = house.log().outcomes();
    for (name, exchange, status) in exchanges {
        let expected = if status == 200 { "answered" } else { "refused" };
        assert_eq!(outcomes[&exchange].outcome, expected, "{name}");
    }
    assert_eq!(upstream.captured().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_in_every_dialect_before_it_is_read() {
    let (upstream, house, serving) = start().await;
    for (path, code) in [
        ("/v1/chat/completions", "/error/code"),
        ("/v1/messages", "/error/code"),
        ("/model/stand-in/converse", "/code"),
        ("/v1beta/models/stand-in:generateContent", "/error/details/0/reason"),
    ] {
        for encoding in ["gzip", "br", "zstd", "identity", "gzip, gzip"] {
            // Not one byte of the body is sent.
            let request = Request::new("POST", path, bytes::Bytes::new())
                .bearer(&house.key)
                .header("content-encoding", encoding)
                .header("content-length", "4000000");
            let response = timeout(END_LIMIT, serving.call(&request)).await.unwrap();
            assert_eq!(response.status(), 415, "{path} {encoding}");
            let said: Value = response.json();
            assert_eq!(said.pointer(code), Some(&json!("unsupported_encoding")), "{said}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_path_is_answered_in_the_form_of_those_whose_it_is() {
    let (_upstream, _house, serving) = start().await;
    for (method, path, status, code, pointer) in [
        ("POST", "/v1/messages/batches", 404, "unknown_route", "/error/code"),
        ("GET", "/v1/messages", 405, "method_not_allowed", "/error/code"),
        ("GET", "/model/any/converse", 405, "method_not_allowed", "/code"),
        ("GET", "/model", 404, "unknown_route", "/code"),
        ("GET", "/v1beta/files", 404, "unknown_route", "/error/details/0/reason"),
        ("GET", "/openai/files", 404, "unknown_route", "/error/code"),
        ("GET", "/modelling", 404, "unknown_route", "/error/code"),
        ("DELETE", "/v1/chat/completions", 405, "method_not_allowed", "/error/code"),
    ] {
        let response = serving.call(&Request::new(method, path, bytes::Bytes::new())).await;
        let said = response.json();
        assert_eq!(
            (response.status(), said.pointer(pointer)),
            (status, Some(&json!(code))),
            "{path}: {said}"
        );
        assert_eq!(said["type"] == "error", path.starts_with("/v1/messages"), "{path}: {said}");
        assert_eq!(
            response.header("x-amzn-errortype").is_some(),
            path.starts_with("/model") && path != "/modelling"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a soak of a minute; its result is in docs/faults.md"]
async fn more_slow_heads_than_there_are_places_delay_the_honest_by_seconds() {
    const HEADS: usize = 4500;
    let (_upstream, _house, serving) = start().await;
    let before = rss_bytes(serving.pid()).unwrap();
    let address = serving.address;
    let mut heads = JoinSet::new();
    for _ in 0..HEADS {
        heads.spawn(async move {
            loop {
                // Whoever is cut off comes again at once.
                let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                let begun = stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await;
                if begun.is_ok() {
                    drop(stream.read_to_end(&mut Vec::new()).await);
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (mut slowest, begun) = (Duration::ZERO, Instant::now());
    while begun.elapsed() < Duration::from_secs(40) {
        let asked = Instant::now();
        let response = timeout(HEAD_LIMIT, serving.ask(&user("hello"))).await.unwrap();
        assert_eq!(response.status(), 200);
        slowest = slowest.max(asked.elapsed());
    }
    let grown = rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    println!(
        "{HEADS} slow heads that come again: the honest waited {slowest:?} at most, and the server has {} MiB more",
        grown / MIB
    );
}
