//! The HTTP client against a model server that does everything wrong that real ones do.

use crate::gateway::{DETECTOR, Gateway, Memory, Place};
use crate::reading::{now, reading};
use gate::exchange::{StreamEnd, World};
use gate::prompt::StreamEvent;
use gate::{Outcome, UpstreamFailure};
use providers::{AnswerStream, Answering, Login, Names, Patience, Providers, Reply, Secret, Wire};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;
use testkit::upstream::Reply as Scripted;
use testkit::upstream::{
    Arguments, Call, Cut, Fault, Flaw, Framing, Pieces, Script, Source, Split, Upstream,
};

const SSN: &str = "219-09-9999";
const OTHER_SSN: &str = "078-05-1120";

/// Long enough for loopback, short enough for a test that waits for it.
const SHORT: Duration = Duration::from_millis(300);

fn providers() -> Providers {
    // The second test of a process finds it installed.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Providers::new()
}

fn wire() -> Wire {
    Wire { login: Login::compatible(None), authority_pem: None, patience: PATIENT }
}

const PATIENT: Patience = Patience {
    connect: Duration::from_secs(20),
    head: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    total: Duration::from_mins(1),
};

fn waiting(patience: Patience) -> Wire {
    Wire { patience, ..wire() }
}

fn impatient() -> Wire {
    waiting(Patience { head: SHORT, idle: SHORT, ..PATIENT })
}

fn asks(text: &str, stream: bool) -> String {
    json!({ "model": "local", "stream": stream, "messages": [{ "role": "user", "content": text }] })
        .to_string()
}

async fn send(url: &str, stream: bool, wire: &Wire) -> Result<Reply, UpstreamFailure> {
    let (outbound, _) =
        Gateway::new(url, Place::Inside).admitted(&asks("good morning", stream)).await;
    providers().send(outbound, wire, &reading(), now()).await
}

/// Checks how a question without a stream fails against a server with this fault.
async fn check_whole(fault: Fault, wire: Wire, expected: UpstreamFailure) {
    let upstream = Upstream::start(Scripted::fault(fault.clone())).await;
    let reply = send(&upstream.url(), false, &wire).await;
    assert_eq!(reply.map(|_| "a reply").unwrap_err(), expected, "{fault:?}");
    assert_eq!(upstream.connections(), 1, "{fault:?}");
}

/// What a stream says in its deltas, unrestored, and how it ends.
async fn listen(mut stream: Box<AnswerStream>) -> (String, Result<(), UpstreamFailure>) {
    let mut said = String::new();
    let mut hear = |events: &[StreamEvent]| {
        for event in events {
            let content = event.parts.iter().filter(|part| part.lane.is_some());
            content.for_each(|part| said.push_str(part.text.expose()));
        }
    };
    loop {
        match stream.next().await {
            Ok(Some(events)) => hear(&events),
            Ok(None) => return (said, Ok(())),
            Err(failure) => {
                hear(&stream.tail());
                return (said, Err(failure));
            }
        }
    }
}

async fn streamed(upstream: &Upstream, wire: &Wire) -> (String, Result<(), UpstreamFailure>) {
    match send(&upstream.url(), true, wire).await {
        Ok(Reply::Stream(stream)) => listen(stream).await,
        Ok(Reply::Whole(_)) => panic!("not a stream"),
        Err(failure) => (String::new(), Err(failure)),
    }
}

/// Checks how a stream ends against a server with this fault.
async fn check_stream(fault: Fault, wire: Wire, expected: (&str, Result<(), UpstreamFailure>)) {
    let upstream = Upstream::start(Scripted::text("abcdefgh").with_fault(fault.clone())).await;
    let (said, end) = streamed(&upstream, &wire).await;
    assert_eq!((said.as_str(), end), expected, "{fault:?}");
}

#[tokio::test]
async fn what_the_gate_hands_out_is_sent_and_nothing_else() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let body = asks("good morning", false);
    let (outbound, _) = Gateway::new(&upstream.url(), Place::Inside).admitted(&body).await;
    let wire = Wire { login: Login::compatible(Some(Secret::new(" sk-synthetic\n"))), ..wire() };
    let reply = providers().send(outbound, &wire, &reading(), now()).await.unwrap();
    let Reply::Whole(answer) = reply else { panic!("not whole") };
    assert_eq!(answer.upstream_request.as_deref(), Some("req_standin0000000000"));
    assert!(answer.usage.is_some());

    let sent = upstream.captured().remove(0);
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(sent.text(), body);
    let mut names: Vec<&str> = sent.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected =
        ["accept", "authorization", "content-length", "content-type", "host", "user-agent"];
    assert_eq!(names, expected);
    assert_eq!(sent.header("authorization"), Some("Bearer sk-synthetic"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("accept"), Some("application/json"));
    assert!(!format!("{wire:?}").contains("synthetic"));
}

#[tokio::test]
async fn a_stream_is_asked_for_as_one_and_without_a_credential_none_is_sent() {
    let upstream = Upstream::start(Scripted::text("hello")).await;
    let Reply::Stream(stream) = send(&upstream.url(), true, &wire()).await.unwrap() else {
        panic!("not a stream")
    };
    assert_eq!(stream.upstream_request(), Some("req_standin0000000000"));
    assert_eq!(format!("{stream:?}"), "AnswerStream");
    assert_eq!(listen(stream).await, ("hello".to_owned(), Ok(())));
    let sent = upstream.captured().remove(0);
    assert_eq!(sent.header("accept"), Some("text/event-stream"));
    assert_eq!(sent.header("authorization"), None);
}

#[tokio::test]
async fn a_credential_that_is_no_header_stops_before_a_connection() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let wire = Wire { login: Login::compatible(Some(Secret::new("two\nlines"))), ..wire() };
    let failure = send(&upstream.url(), false, &wire).await.map(|_| ()).unwrap_err();
    assert_eq!((failure, upstream.connections()), (UpstreamFailure::NoCredential, 0));
}

#[tokio::test]
async fn connections_are_kept_between_requests() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let providers = providers();
    for _ in 0..3 {
        let (outbound, _) =
            Gateway::new(&upstream.url(), Place::Inside).admitted(&asks("hi", false)).await;
        drop(providers.send(outbound, &wire(), &reading(), now()).await.unwrap());
    }
    assert_eq!((upstream.captured().len(), upstream.connections()), (3, 1));
}

#[tokio::test]
async fn a_server_that_hangs_times_out() {
    check_whole(Fault::HangBeforeHeaders, impatient(), UpstreamFailure::TimedOut).await;
    check_whole(Fault::Hang { after: 0 }, impatient(), UpstreamFailure::Stalled).await;
    let hangs = Err(UpstreamFailure::TimedOut);
    let stalls = Err(UpstreamFailure::Stalled);
    check_stream(Fault::HangBeforeHeaders, impatient(), ("", hangs)).await;
    check_stream(Fault::Hang { after: 0 }, impatient(), ("", stalls)).await;
    check_stream(Fault::Hang { after: 2 }, impatient(), ("abcd", stalls)).await;
}

#[tokio::test]
async fn an_answer_that_trickles_times_out_as_a_whole() {
    let trickle = Scripted::echo().split(Split::Bytes(1)).pausing(Duration::from_millis(20));
    let upstream = Upstream::start(trickle).await;
    let hurried = waiting(Patience { total: SHORT, ..PATIENT });
    let failure = send(&upstream.url(), false, &hurried).await.map(|_| ()).unwrap_err();
    assert_eq!(failure, UpstreamFailure::TotalTimedOut);
}

#[tokio::test]
async fn a_stream_that_trickles_times_out_as_a_whole() {
    let trickle = Scripted::text(&"abcd".repeat(200)).pausing(SHORT / 10);
    let upstream = Upstream::start(trickle).await;
    let (said, end) =
        streamed(&upstream, &waiting(Patience { total: SHORT * 5, idle: SHORT * 4, ..PATIENT }))
            .await;
    assert_eq!(end, Err(UpstreamFailure::TotalTimedOut));
    assert!(said.starts_with("abcd"), "what came was handed on");
}

#[tokio::test]
async fn each_phase_ends_by_its_own_limit_and_is_named() {
    let phase = |change: fn(&mut Patience)| {
        let mut patience = PATIENT;
        change(&mut patience);
        waiting(patience)
    };
    // The others would wait for longer than the test.
    let head = phase(|it| it.head = SHORT);
    check_whole(Fault::HangBeforeHeaders, head, UpstreamFailure::TimedOut).await;
    let idle = phase(|it| it.idle = SHORT);
    check_stream(Fault::Hang { after: 2 }, idle, ("abcd", Err(UpstreamFailure::Stalled))).await;
    let total = phase(|it| it.total = SHORT);
    let over = UpstreamFailure::TotalTimedOut;
    check_whole(Fault::HangBeforeHeaders, total.clone(), over).await;
    check_stream(Fault::Hang { after: 2 }, total, ("abcd", Err(over))).await;
}

#[tokio::test]
async fn a_server_that_takes_a_connection_and_never_says_hello_is_not_waited_for() {
    // It accepts, and never answers the greeting of TLS.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", silent.local_addr().unwrap());
    let impatient = waiting(Patience { connect: SHORT, ..PATIENT });
    let failure = send(&url, false, &impatient).await.map(|_| ()).unwrap_err();
    assert_eq!(failure, UpstreamFailure::ConnectTimedOut);
    let total = waiting(Patience { total: SHORT, ..PATIENT });
    let failure = send(&url, false, &total).await.map(|_| ()).unwrap_err();
    assert_eq!(failure, UpstreamFailure::TotalTimedOut);
}

/// Says that every name is at the address that stands here at the moment.
#[derive(Debug)]
struct Moving(Mutex<Vec<IpAddr>>);

impl Names for Moving {
    fn addresses<'a>(&'a self, _: &'a str) -> Answering<'a> {
        let addresses = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(addresses) })
    }
}

#[tokio::test]
async fn a_name_inside_that_moves_outside_is_refused_at_the_connection() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let inside = upstream.address().ip();
    let moving = Arc::new(Moving(Mutex::new(vec![inside])));
    drop(providers());
    let providers = Providers::asking(Arc::<Moving>::clone(&moving));
    let url = format!("http://localhost:{}/v1", upstream.address().port());
    let ask = async |url: &str| {
        let (outbound, _) = Gateway::new(url, Place::Inside).admitted(&asks("hi", false)).await;
        providers.send(outbound, &wire(), &reading(), now()).await.map(drop)
    };
    assert_eq!(ask(&url).await, Ok(()));
    // The same file; the name is somebody else's by now, also when it is only one of its addresses.
    let outside = "192.0.2.1".parse().unwrap();
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    for addresses in [vec![outside], vec![inside, outside], vec![mapped]] {
        *moving.0.lock().unwrap() = addresses;
        // Another port of the same name has no connection yet.
        let other = Upstream::start(Scripted::echo()).await;
        let url = format!("http://localhost:{}/v1", other.address().port());
        assert_eq!(ask(&url).await, Err(UpstreamFailure::AddressRefused));
        assert_eq!(other.connections(), 0);
    }
    assert_eq!(upstream.captured().len(), 1);
}

#[tokio::test]
async fn a_stream_may_take_longer_than_any_of_its_pauses() {
    let slow = Scripted::text("abcdefgh").pausing(SHORT / 3);
    let upstream = Upstream::start(slow).await;
    assert_eq!(streamed(&upstream, &impatient()).await, ("abcdefgh".to_owned(), Ok(())));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut() {
    for how in [Cut::Reset, Cut::Fin, Cut::End] {
        check_whole(Fault::Cut { after: 0, how }, wire(), UpstreamFailure::Cut).await;
    }
    for how in [Cut::Reset, Cut::Fin, Cut::End] {
        let cut = Err(UpstreamFailure::Cut);
        check_stream(Fault::Cut { after: 0, how }, wire(), ("", cut)).await;
        check_stream(Fault::Cut { after: 2, how }, wire(), ("abcd", cut)).await;
    }
}

#[tokio::test]
async fn what_is_not_of_the_dialect_is_garbage() {
    for fault in [
        Fault::Garbage { after: 0 },
        Fault::BrokenJson { after: 0 },
        Fault::Html,
        Fault::Gzip,
        Fault::ContentType("text/plain"),
        Fault::ContentType("text/event-stream"),
    ] {
        check_whole(fault, wire(), UpstreamFailure::Garbage).await;
    }
    let garbage = Err(UpstreamFailure::Garbage);
    check_stream(Fault::Garbage { after: 2 }, wire(), ("abcd", garbage)).await;
    check_stream(Fault::BrokenJson { after: 2 }, wire(), ("abcd", garbage)).await;
    for fault in [Fault::Html, Fault::Gzip, Fault::ContentType("application/json")] {
        check_stream(fault, wire(), ("", garbage)).await;
    }
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let check = async |bytes: &'static str, expected| {
        let upstream = Upstream::start_bytes(bytes).await;
        let failure = send(&upstream.url(), false, &wire()).await.map(|_| ()).unwrap_err();
        assert_eq!(failure, expected, "{bytes}");
    };
    check("", UpstreamFailure::Cut).await;
    check("SSH-2.0-OpenSSH\r\n\r\n", UpstreamFailure::Cut).await;
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}";
    check(twice, UpstreamFailure::Cut).await;
    check("HTTP/1.1 204 No Content\r\n\r\n", UpstreamFailure::Garbage).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", UpstreamFailure::Garbage).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: Application/JSON; charset=utf-8\r\n";
    check(
        Box::leak(format!("{head}content-length: 2\r\n\r\n{{}}").into_boxed_str()),
        UpstreamFailure::Garbage,
    )
    .await;
    let whole = format!("{head}content-length: 14\r\nx-request-id: a b\r\n\r\n{{\"choices\":[]}}");
    let upstream = Upstream::start_bytes(whole).await;
    let Reply::Whole(answer) = send(&upstream.url(), false, &wire()).await.unwrap() else {
        panic!("not whole")
    };
    // An id with a space in it could be a sentence.
    assert_eq!(answer.upstream_request, None);
}

#[tokio::test]
async fn an_error_is_reported_without_the_servers_words() {
    check_whole(Fault::Error { after: 0 }, wire(), UpstreamFailure::Reported).await;
    let reported = Err(UpstreamFailure::Reported);
    check_stream(Fault::Error { after: 2 }, wire(), ("abcd", reported)).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_too_large() {
    check_whole(Fault::Endless { after: 0 }, wire(), UpstreamFailure::TooLarge).await;
    let huge = Fault::Huge { after: 0, bytes: 17 << 20 };
    check_whole(huge, wire(), UpstreamFailure::TooLarge).await;
    let garbage = Err(UpstreamFailure::Garbage);
    check_stream(Fault::Endless { after: 2 }, wire(), ("abcd", garbage)).await;
    check_stream(Fault::Huge { after: 2, bytes: 5 << 20 }, wire(), ("abcd", garbage)).await;
}

#[tokio::test]
async fn each_status_is_a_failure_of_its_own() {
    use UpstreamFailure as Failure;
    for (status, retry_after, expected) in [
        (400, None, Failure::Rejected(None)),
        (401, None, Failure::Unauthorized),
        (403, None, Failure::Unauthorized),
        (404, None, Failure::Rejected(Some("model_not_found"))),
        (408, None, Failure::TimedOut),
        (413, None, Failure::Rejected(Some("request_too_large"))),
        (429, Some(7), Failure::RateLimited(Some(7))),
        (429, None, Failure::RateLimited(None)),
        (500, None, Failure::Failed),
        (503, Some(7), Failure::Failed),
        (504, None, Failure::TimedOut),
    ] {
        check_whole(Fault::Status { status, retry_after }, wire(), expected).await;
        check_stream(Fault::Status { status, retry_after }, wire(), ("", Err(expected))).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Upstream::start(Scripted::echo()).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/chat/completions", target.url());
        check_whole(Fault::Redirect { status, location }, wire(), UpstreamFailure::Redirected)
            .await;
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let url = upstream.url();
    upstream.stop().await;
    let failure = send(&url, false, &wire()).await.map(|_| ()).unwrap_err();
    assert_eq!(failure, UpstreamFailure::Unreachable);
}

#[tokio::test]
async fn a_stream_is_read_however_its_bytes_are_cut_and_framed() {
    for framing in [Framing::Plain, Framing::Crlf, Framing::Tight, Framing::Comments] {
        for split in [Split::Events, Split::Whole, Split::Bytes(1), Split::Bytes(7)] {
            let reply = Scripted::text("né ✓ x").framed(framing).split(split.clone());
            let upstream = Upstream::start(reply).await;
            let heard = streamed(&upstream, &wire()).await;
            assert_eq!(heard, ("né ✓ x".to_owned(), Ok(())), "{framing:?} {split:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_heard_after_the_end() {
    check_stream(Fault::TalkAfterDone, wire(), ("abcdefgh", Ok(()))).await;
}

#[tokio::test]
async fn a_stream_says_whether_more_is_there_without_waiting() {
    let upstream = Upstream::start(Scripted::text("abcdefgh").split(Split::Whole)).await;
    let Reply::Stream(mut stream) = send(&upstream.url(), true, &wire()).await.unwrap() else {
        panic!("not a stream")
    };
    assert!(!stream.is_ready());
    assert!(stream.next().await.unwrap().is_some());
    assert!(stream.is_ready());
    while stream.next().await.unwrap().is_some() {}
    assert!(!stream.is_ready());
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_certificate_is_verified_by_the_configured_authority() {
    let upstream = Upstream::start_tls(Scripted::echo(), Flaw::None).await;
    let authority_pem = Some(upstream.ca_pem().as_bytes().to_vec());
    let trusting = Wire { authority_pem, ..wire() };
    assert!(send(&upstream.url(), false, &trusting).await.is_ok());
    // Another authority, none but the system's, and one that is no certificate.
    let other = testkit::upstream::Authority::new().pem().into_bytes();
    for authority_pem in [Some(other), None, Some(b"-----BEGIN".to_vec())] {
        let failure = send(&upstream.url(), false, &Wire { authority_pem, ..wire() }).await;
        assert_eq!(failure.map(|_| ()).unwrap_err(), UpstreamFailure::Unreachable);
    }
    assert_eq!(upstream.captured().len(), 1);
}

#[tokio::test]
async fn a_wrong_certificate_is_refused_before_anything_is_sent() {
    for flaw in [Flaw::SelfSigned, Flaw::UnknownAuthority, Flaw::WrongName, Flaw::Expired] {
        let upstream = Upstream::start_tls(Scripted::echo(), flaw).await;
        let authority_pem = Some(upstream.ca_pem().as_bytes().to_vec());
        let failure = send(&upstream.url(), false, &Wire { authority_pem, ..wire() }).await;
        assert_eq!(failure.map(|_| ()).unwrap_err(), UpstreamFailure::Unreachable, "{flaw:?}");
        assert!(upstream.captured().is_empty(), "{flaw:?}");
    }
}

#[tokio::test]
async fn plain_http_is_not_spoken_to_a_server_that_should_speak_tls() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let url = upstream.url().replace("http://", "https://");
    let (outbound, _) =
        Gateway::new(&url, Place::Outside).admitted(&asks("good morning", false)).await;
    let failure = providers().send(outbound, &wire(), &reading(), now()).await.map(|_| ());
    assert_eq!(failure.unwrap_err(), UpstreamFailure::Unreachable);
    assert!(upstream.captured().iter().all(|it| it.path.is_empty()));
}

#[tokio::test]
async fn a_name_inside_the_boundary_is_reached_at_its_private_address() {
    let upstream = Upstream::start(Scripted::echo()).await;
    let url = upstream.url().replace("127.0.0.1", "localhost");
    assert!(send(&url, false, &wire()).await.is_ok());
}

/// Takes `body` through gate and client and returns what a caller gets: the restored document, or
/// the restored events.
async fn round_trip(gateway: &Gateway, providers: &Providers, body: &str) -> Vec<Value> {
    let (outbound, departed) = gateway.admitted(body).await;
    let (journal, clock) = (Memory::default(), TestClock::starting("2026-11-23T09:00:00Z"));
    let entropy = Seeded::new(3);
    let world = World { journal: &journal, clock: &clock, entropy: &entropy };
    let mut windows = Vec::new();
    let ended = match providers.send(outbound, &wire(), &reading(), now()).await.unwrap() {
        Reply::Whole(answer) => departed.end(Ok(answer), &DETECTOR),
        Reply::Stream(mut stream) => {
            let mut streaming = departed.stream(None);
            while let Some(events) = stream.next().await.unwrap() {
                for event in &events {
                    streaming.take(event).unwrap();
                }
                windows.push(streaming.release(&world).await.unwrap());
            }
            streaming.end(StreamEnd::Complete, &DETECTOR)
        }
    };
    let released = ended.commit(&world).await.unwrap();
    let mut documents: Vec<&str> = Vec::new();
    for window in &windows {
        documents.extend(window.frames().iter().map(|frame| frame.data.expose()));
    }
    match released.outcome().0 {
        Outcome::Answered(document) => documents.push(document.expose()),
        Outcome::Streamed(window) => {
            documents.extend(window.frames().iter().map(|frame| frame.data.expose()));
        }
        other @ (Outcome::Cached(_)
        | Outcome::Refused(_)
        | Outcome::FailedClosed(_)
        | Outcome::UpstreamFailed(..)
        | Outcome::CallerGone) => panic!("not answered: {}", other.name()),
    }
    documents.into_iter().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test]
async fn two_patients_come_back_in_their_places_through_choices_and_tool_calls() {
    let text = format!("First SSN {SSN}. Second SSN {OTHER_SSN}.");
    let script = Script::by_request(|_, captured| {
        let tokens = testkit::upstream::surrogates_in(&captured.text());
        let field = |at: usize| {
            let text = tokens.get(at).cloned().unwrap_or_default();
            Arguments::Fields(vec![("who".to_owned(), Source::Fixed(text))])
        };
        let calls = vec![Call::new("first", field(0)), Call::new("second", field(1))];
        Scripted::interleaved_calls(calls).in_pieces(Pieces::Chars(3)).split(Split::Bytes(11))
    });
    let upstream = Upstream::start(script).await;
    let (gateway, providers) = (Gateway::new(&upstream.url(), Place::Inside), providers());
    for stream in [false, true] {
        let body = json!({ "model": "local", "stream": stream, "n": 2,
                           "messages": [{ "role": "user", "content": text }] });
        let documents = round_trip(&gateway, &providers, &body.to_string()).await;
        for choice in 0..2 {
            for (call, expected) in [SSN, OTHER_SSN].into_iter().enumerate() {
                let arguments = arguments_of(&documents, choice, call as u64);
                let arguments: Value = serde_json::from_str(&arguments).unwrap();
                assert_eq!(arguments, json!({ "who": expected }));
            }
        }
    }
    for captured in upstream.captured() {
        assert!(!captured.holds(SSN) && !captured.holds(OTHER_SSN));
    }
}

/// The arguments of one call of one choice, joined over whatever documents hold them.
fn arguments_of(documents: &[Value], choice: u64, call: u64) -> String {
    let mut joined = String::new();
    for document in documents {
        for found in document["choices"].as_array().unwrap() {
            if found["index"] != choice {
                continue;
            }
            let said = found.get("delta").or(found.get("message")).unwrap();
            for (place, it) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
                if it["index"].as_u64().unwrap_or(place as u64) == call {
                    joined.push_str(it["function"]["arguments"].as_str().unwrap_or_default());
                }
            }
        }
    }
    joined
}

#[tokio::test]
async fn a_surrogate_cut_at_every_byte_of_the_stream_comes_back() {
    let body = asks(&format!("SSN {SSN}é"), true);
    let upstream = Upstream::start(Scripted::echo()).await;
    let (gateway, providers) = (Gateway::new(&upstream.url(), Place::Inside), providers());
    let reply = Scripted::echo().in_pieces(Pieces::Chars(5));
    let mut length = 1;
    let mut at = 0;
    while at < length {
        upstream.play(reply.clone().split(Split::At(vec![at])));
        let documents = round_trip(&gateway, &providers, &body).await;
        let deltas = documents.iter().map(|it| &it["choices"][0]["delta"]["content"]);
        let said: String = deltas.filter_map(Value::as_str).collect();
        assert_eq!(said, format!("SSN {SSN}é"), "cut at {at}");
        length = reply.body(&upstream.take()[0].json()).len();
        at += 1;
    }
    assert!(length > 500, "{length}");
}
