//! Model servers that answer with floods, without end, or before they were asked. Each answer ends, in a
//! bounded time and with bounded memory, in a clear error and its record; what of it was shown is recorded.
//!
//! Those that fail as servers do are in `broken_upstream`; these do what no server does by mistake.

use crate::house::{House, Serving, error_code, user};
use crate::rules::Rules;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::people::MARISOL;
use testkit::proc::{peak_rss_bytes, rss_bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// All of a JSON answer is waited for six seconds; the rest is for a busy machine.
const END_LIMIT: Duration = Duration::from_secs(30);

/// More than any answer here may cost: what is kept of one, twice as text and once as events.
const MEMORY: u64 = 160 << 20;

/// What is written at once of a flood.
const BLOCK: usize = 64 << 10;

/// What a model server does with a connection.
#[derive(Clone, Debug)]
enum Act {
    /// Writes this, then the block again and again, so many times, then this; then stays.
    Flood { head: String, block: String, times: usize, tail: String },
    /// Writes this byte by byte.
    Trickle { head: String, pause: Duration },
    /// Writes this at once, and reads nothing.
    Unasked(String),
}

struct Hostile {
    address: SocketAddr,
    act: Arc<Mutex<Act>>,
    _accepting: JoinSet<()>,
}

impl Hostile {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let act = Arc::new(Mutex::new(Act::Unasked(String::new())));
        let (mut accepting, acts) = (JoinSet::new(), Arc::clone(&act));
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let act = acts.lock().unwrap().clone();
                // Whoever hangs up on it does what it should.
                connections.spawn(async move { drop(play(stream, act).await) });
            }
        });
        Self { address, act, _accepting: accepting }
    }

    fn acts(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }
}

async fn play(mut stream: TcpStream, act: Act) -> std::io::Result<()> {
    if let Act::Unasked(answer) = act {
        stream.write_all(answer.as_bytes()).await?;
        sleep(END_LIMIT).await;
        return Ok(());
    }
    let mut request = vec![0; BLOCK];
    // Small requests come in one piece.
    let _read = stream.read(&mut request).await?;
    match act {
        Act::Flood { head, block, times, tail } => {
            stream.write_all(head.as_bytes()).await?;
            for _ in 0..times {
                stream.write_all(block.as_bytes()).await?;
            }
            stream.write_all(tail.as_bytes()).await?;
        }
        Act::Trickle { head, pause } => {
            for byte in head.bytes() {
                stream.write_all(&[byte]).await?;
                sleep(pause).await;
            }
        }
        Act::Unasked(_) => {}
    }
    sleep(END_LIMIT).await;
    Ok(())
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/// With a body that ends when the connection does.
fn flood(head: &str, block: &str, times: usize) -> Act {
    Act::Flood { head: head.to_owned(), block: block.to_owned(), times, tail: String::new() }
}

fn event(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"stand-in\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

/// With two seconds for a head and between two pieces, and so many for all.
async fn start(total: u32) -> (Hostile, House, Serving) {
    let hostile = Hostile::start().await;
    let host = hostile.address.to_string();
    let rules = Rules::of(&format!("http://{host}/v1"), &host);
    let timeouts =
        format!("timeout_seconds = 2\nidle_timeout_seconds = 2\ntotal_timeout_seconds = {total}");
    let house = House::with(&rules.with("timeout_seconds = 20", &timeouts));
    let serving = house.serve();
    (hostile, house, serving)
}

/// Before an answer begins, whoever asks for JSON and whoever asks for a stream gets the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_floods_or_never_ends_is_an_error_within_its_time_and_memory() {
    let (hostile, house, serving) = start(6).await;
    let before = rss_bytes(serving.pid()).unwrap();
    let large = "x".repeat(BLOCK);
    let many = usize::MAX;
    let half_a_json =
        format!("{JSON}\r\n{{\"id\":\"x\",\"choices\":[{{\"message\":{{\"content\":\"");
    let cases = [
        ("headers without an end", flood(JSON, "x-more: y\r\n", 1_000_000), "upstream_invalid"),
        (
            "one header without an end",
            flood(&format!("{JSON}x-huge: "), &large, 1000),
            "upstream_invalid",
        ),
        ("a status line without an end", flood("HTTP/1.1 200 ", &large, 1000), "upstream_invalid"),
        (
            "preliminary answers without an end",
            flood("", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", many),
            "upstream_timeout",
        ),
        ("a document without an end", flood(&half_a_json, &large, 10_000), "upstream_invalid"),
        (
            "arrays in arrays",
            flood(&format!("{JSON}\r\n"), &"[".repeat(BLOCK), 10_000),
            "upstream_invalid",
        ),
        (
            "a chunk with a size that is none",
            flood(&format!("{JSON}transfer-encoding: chunked\r\n\r\nxyz\r\n{{}}\r\n"), "", 0),
            "upstream_invalid",
        ),
        (
            "chunks in pieces of a byte",
            flood(&format!("{JSON}transfer-encoding: chunked\r\n\r\n"), "1\r\n \r\n", many),
            "upstream_timeout",
        ),
        (
            "an extension of a chunk without an end",
            flood(&format!("{JSON}transfer-encoding: chunked\r\n\r\n1;x="), &large, 1000),
            "upstream_invalid",
        ),
        (
            "a body that trickles",
            Act::Trickle {
                head: format!("{JSON}\r\n{}", " ".repeat(1000)),
                pause: Duration::from_millis(1),
            },
            "upstream_timeout",
        ),
        (
            "a head that trickles",
            Act::Trickle { head: JSON.repeat(100), pause: Duration::from_millis(20) },
            "upstream_timeout",
        ),
        (
            "a body in a code",
            flood(&format!("{JSON}content-encoding: gzip\r\n\r\n"), &large, 10),
            "upstream_invalid",
        ),
    ];
    let mut exchanges = Vec::new();
    for (name, act, code) in cases {
        hostile.acts(act);
        let begun = Instant::now();
        let asked = timeout(END_LIMIT, serving.ask(&user(MARISOL.name))).await;
        let response = asked.unwrap_or_else(|_| panic!("{name}: no end"));
        let said = response.text();
        println!("{name}: {} in {:?}", response.status(), begun.elapsed());
        assert!((500..=504).contains(&response.status()), "{name}: {said}");
        assert_eq!(error_code(response.status(), &said, &[MARISOL.name]), code, "{name}");
        exchanges.push(response.header("x-request-id").unwrap().to_owned());
    }
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    println!("answers that flood: {} MiB at most", grown >> 20);
    assert!(grown < MEMORY, "{} MiB", grown >> 20);
    let outcomes = house.log().outcomes();
    for exchange in exchanges {
        assert_eq!(outcomes[&exchange].outcome, "upstream_failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_floods_ends_and_what_was_shown_of_it_is_recorded() {
    let (hostile, house, serving) = start(600).await;
    let before = rss_bytes(serving.pid()).unwrap();
    let head = format!("{EVENTS}\r\n");
    let done = "data: [DONE]\n\n".to_owned();
    let blank = event("{}").repeat(100);
    let tiny = event("{\"content\":\"a\"}").repeat(100);
    let huge = event(&format!("{{\"content\":\"{}\"}}", "word ".repeat(BLOCK / 5)));
    let comments = ": still here\n\n".repeat(BLOCK / 14);
    let cases = [
        (
            "events that say nothing",
            Act::Flood { head: head.clone(), block: blank, times: 40, tail: done.clone() },
            0,
            None,
        ),
        (
            "events of one letter",
            Act::Flood { head: head.clone(), block: tiny, times: 100, tail: done.clone() },
            10_000,
            None,
        ),
        (
            "comments",
            Act::Flood { head: head.clone(), block: comments, times: 200, tail: done },
            0,
            None,
        ),
        ("text without an end", flood(&head, &huge, 1000), 1 << 20, Some("upstream_invalid")),
    ];
    for (name, act, least, code) in cases {
        hostile.acts(act);
        let begun = Instant::now();
        let streamed = timeout(END_LIMIT * 2, serving.stream(&user(MARISOL.name))).await;
        let transcript = streamed.unwrap_or_else(|_| panic!("{name}: no end"));
        let answer = transcript.answer();
        let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
        println!(
            "{name}: {} bytes in {:?}, {} MiB at most",
            answer.content().len(),
            begun.elapsed(),
            grown >> 20
        );
        assert_eq!(answer.done, code.is_none(), "{name}");
        assert!(answer.content().len() >= least, "{name}: {}", answer.content().len());
        if let Some(code) = code {
            let last = &transcript.events.last().unwrap().data;
            assert_eq!(error_code(200, last, &[MARISOL.name]), code, "{name}");
        }
        let outcome = house.outcome(transcript.head.header("x-request-id").unwrap()).await;
        let expected = if code.is_none() { "answered" } else { "upstream_failed" };
        assert_eq!(outcome.outcome, expected, "{name}");
        let (recorded, windows) = outcome.reply.map_or((0, 0), |it| (it.bytes, it.windows));
        // A thousand of them are a window: they do not pile up.
        assert!(windows >= 4 || name != "events that say nothing", "{windows}");
        assert!(recorded >= answer.content().len() as u64, "{name}");
        assert!(grown < MEMORY, "{name}: {} MiB", grown >> 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_begins_before_the_prompt_was_read_has_its_end_too() {
    let (hostile, house, serving) = start(600).await;
    let document = r#"{"id":"x","object":"chat.completion","created":1,"model":"stand-in","choices":[{"index":0,"message":{"role":"assistant","content":"Unasked."},"finish_reason":"stop"}]}"#;
    let answer = format!("{JSON}content-length: {}\r\n\r\n{document}", document.len());
    let long = format!("{} {}", MARISOL.name, "The patient is stable. ".repeat(20_000));
    for text in [MARISOL.name, &long] {
        hostile.acts(Act::Unasked(answer.clone()));
        let begun = Instant::now();
        let response = timeout(END_LIMIT, serving.ask(&user(text))).await.unwrap();
        println!("unasked, {} bytes: {} in {:?}", text.len(), response.status(), begun.elapsed());
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        // Whichever came first: it is an answer, or it is none, and the record says the same as the caller got.
        match response.status() {
            200 => assert_eq!(
                (outcome.outcome.as_str(), response.answer().content()),
                ("answered", "Unasked.")
            ),
            502 | 504 => assert_eq!(outcome.outcome, "upstream_failed"),
            other => panic!("{other}: {}", response.text()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a soak of minutes; its result is in docs/faults.md"]
async fn a_million_events_of_one_letter_cost_no_more_than_their_text() {
    let (hostile, house, serving) = start(600).await;
    let before = rss_bytes(serving.pid()).unwrap();
    let tiny = event("{\"content\":\"a\"}").repeat(1000);
    let (head, tail) = (format!("{EVENTS}\r\n"), "data: [DONE]\n\n".to_owned());
    hostile.acts(Act::Flood { head, block: tiny, times: 1000, tail });
    let begun = Instant::now();
    let transcript = serving.stream(&user(MARISOL.name)).await;
    let grown = peak_rss_bytes(serving.pid()).unwrap().saturating_sub(before);
    println!("a million events: {:?}, {} MiB at most", begun.elapsed(), grown >> 20);
    assert_eq!(transcript.answer().content().len(), 1_000_000);
    house.outcome(transcript.head.header("x-request-id").unwrap()).await;
    assert!(grown < 2 * MEMORY, "{} MiB", grown >> 20);
}
