//! Model servers that fail: the caller gets a clear error, the log says what happened, and nothing
//! that the server said of the prompt is repeated.

use crate::house::{House, check_refusal, error_code, user};
use crate::rules::Rules;
use std::time::Duration;
use testkit::notes;
use testkit::people::MARISOL;
use testkit::upstream::{Cut, Fault, Flaw, Reply, Upstream, surrogates_in};
use tokio::time::Instant;

/// Events of a stream before it breaks.
const AFTER: usize = 40;

/// What each fault looks like to the caller: to one who wants JSON, and to one who wants a stream
/// that has not begun.
fn before_an_answer() -> Vec<(Fault, u16, &'static str)> {
    const INVALID: (u16, &str) = (502, "upstream_invalid");
    let status = |status, retry_after| Fault::Status { status, retry_after };
    let mut cases = vec![
        (status(400, None), 400, "upstream_rejected"),
        (status(401, None), 502, "upstream_unauthorized"),
        (status(403, None), 502, "upstream_unauthorized"),
        (status(404, None), 400, "model_not_found"),
        (status(413, None), 400, "request_too_large"),
        (status(429, Some(7)), 429, "upstream_rate_limited"),
        (status(429, None), 429, "upstream_rate_limited"),
        (status(500, None), 502, "upstream_failed"),
        (status(503, Some(1)), 502, "upstream_failed"),
        (Fault::HangBeforeHeaders, 504, "upstream_timeout"),
    ];
    for fault in [Fault::Html, Fault::Gzip, Fault::ContentType("text/plain")] {
        cases.push((fault, INVALID.0, INVALID.1));
    }
    cases
}

/// Nothing of the prompt may come back in an error: not as it was, not as it left.
fn check_no_echo(text: &str) {
    let note = notes::every_class();
    let leaks = note.leaks_into(text);
    assert!(leaks.is_empty() && surrogates_in(text).is_empty(), "{leaks:?}: {text}");
    assert!(!text.contains("metoprolol") && !text.contains("<html"), "{text}");
}

#[tokio::test]
async fn a_server_that_fails_before_it_answers_is_reported_without_its_words() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).with("seconds = 20", "seconds = 2"));
    let serving = house.serve();
    for (fault, status, code) in before_an_answer() {
        upstream.play(Reply::fault(fault.clone()));
        for stream in [false, true] {
            let mut body = user(&note.text);
            body["stream"] = stream.into();
            let begun = Instant::now();
            let response = serving.ask(&body).await;
            assert!(
                begun.elapsed() < Duration::from_secs(8),
                "{fault:?} took {:?}",
                begun.elapsed()
            );
            let said = response.text();
            assert_eq!(response.status(), status, "{fault:?}: {said}");
            check_refusal(&response, status, code, &[]);
            check_no_echo(&format!("{said}{:?}", response.head.headers));
            let retry = if let Fault::Status { status: 429, retry_after } = fault {
                retry_after.map(|seconds| seconds.to_string())
            } else {
                None
            };
            assert_eq!(response.header("retry-after").map(str::to_owned), retry);
            let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
            assert_eq!(outcome.outcome, "upstream_failed", "{fault:?}");
            assert!(outcome.intent.is_some() && outcome.reply.is_none());
        }
    }
    check_no_echo(&serving.log_lines());
}

#[tokio::test]
async fn a_json_answer_that_breaks_is_not_an_answer() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream).with("seconds = 20", "seconds = 2"));
    let serving = house.serve();
    for (fault, status) in [
        (Fault::Hang { after: 0 }, 504),
        (Fault::Cut { after: 0, how: Cut::Reset }, 502),
        (Fault::Cut { after: 0, how: Cut::Fin }, 502),
        (Fault::Cut { after: 0, how: Cut::End }, 502),
        (Fault::Garbage { after: 0 }, 502),
        (Fault::BrokenJson { after: 0 }, 502),
        (Fault::Error { after: 0 }, 502),
    ] {
        upstream.play(Reply::fault(fault.clone()));
        let response = serving.ask(&user(&note.text)).await;
        assert_eq!(response.status(), status, "{fault:?}: {}", response.text());
        error_code(status, &response.text(), &[]);
        check_no_echo(&response.text());
        let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
        assert_eq!(outcome.outcome, "upstream_failed", "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_larger_than_an_answer_may_be_is_refused() {
    let upstream = Upstream::start(Reply::fault(Fault::Huge { after: 0, bytes: 17 << 20 })).await;
    let house = House::with(&Rules::cloud(&upstream));
    let response = house.serve().ask(&user(MARISOL.name)).await;
    check_refusal(&response, 502, "upstream_invalid", &[MARISOL.name]);
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.outcome, "upstream_failed");
}

/// A text that breaks off, and the begin of a surrogate at its end, which stays visible.
fn without_fragment(text: &str) -> (&str, &str) {
    text.rfind('[').map_or((text, ""), |at| text.split_at(at))
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for (fault, code) in [
        (Fault::Cut { after: AFTER, how: Cut::Reset }, "upstream_invalid"),
        (Fault::Cut { after: AFTER, how: Cut::Fin }, "upstream_invalid"),
        (Fault::Cut { after: AFTER, how: Cut::End }, "upstream_invalid"),
        (Fault::Garbage { after: AFTER }, "upstream_invalid"),
        (Fault::BrokenJson { after: AFTER }, "upstream_invalid"),
        (Fault::Huge { after: AFTER, bytes: 5 << 20 }, "upstream_invalid"),
        (Fault::Endless { after: AFTER }, "upstream_invalid"),
        (Fault::Error { after: AFTER }, "upstream_failed"),
    ] {
        upstream.play(Reply::fault(fault.clone()));
        let transcript = serving.stream(&user(&note.text)).await;
        assert_eq!(transcript.head.status, 200);
        transcript.end.as_ref().unwrap();
        let answer = transcript.answer();
        assert!(!answer.done, "{fault:?}");
        let last = &transcript.events.last().unwrap().data;
        assert_eq!(error_code(200, last, &[]), code, "{fault:?}");
        check_no_echo(last);
        // What came before is there, restored, and it is the beginning of the note.
        assert!(answer.content().len() > 40, "{fault:?}: {}", answer.content());
        let (whole, fragment) = without_fragment(answer.content());
        assert!(note.text.starts_with(whole), "{fault:?}: {}", answer.content());
        assert!(fragment.len() < phi::surrogate::MAX_SURROGATE_BYTES, "{fault:?}: {fragment}");
        let outcome = house.outcome(transcript.head.header("x-request-id").unwrap()).await;
        assert_eq!(outcome.outcome, "upstream_failed", "{fault:?}");
        assert_eq!(outcome.code.as_deref(), Some(code));
        assert!(outcome.reply.unwrap().bytes > 0);
    }
    check_no_echo(&serving.log_lines());
    // What follows the proper end of a stream is not of it.
    upstream.play(Reply::fault(Fault::TalkAfterDone));
    let transcript = serving.stream(&user(&note.text)).await;
    assert!(transcript.answer().done && transcript.answer().content() == note.text);
    assert_eq!(transcript.events.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::start(Reply::echo()).await;
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/chat/completions?q={}", elsewhere.url(), MARISOL.ssn);
        upstream.play(Reply::fault(Fault::Redirect { status, location }));
        for stream in [false, true] {
            let mut body = user(MARISOL.name);
            body["stream"] = stream.into();
            let response = serving.ask(&body).await;
            check_refusal(&response, 502, "upstream_invalid", &[MARISOL.name, MARISOL.ssn]);
            assert_eq!(response.header("location"), None);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(upstream.captured().len(), 10);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_speaks_no_http_is_an_error() {
    let gone = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&gone);
    gone.stop().await;
    let house = House::with(&rules);
    let serving = house.serve();
    let response = serving.ask(&user(MARISOL.name)).await;
    check_refusal(&response, 503, "upstream_unreachable", &[MARISOL.name]);
    let nonsense = [
        "\u{0}\u{1}\u{2}",
        "HTTP/1.1 abc\r\n\r\n",
        "220 mail.example ESMTP\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
         content-length: 3\r\n\r\n{}",
    ];
    for (number, bytes) in nonsense.into_iter().enumerate() {
        let upstream = Upstream::start_bytes(bytes).await;
        let model = format!("number-{number}");
        house.apply(&Rules::cloud(&upstream).offering(&model)).ok();
        serving.offers(&model).await;
        let response = serving.ask(&user(MARISOL.name)).await;
        assert_eq!(response.status(), 502, "{bytes:?}: {}", response.text());
        error_code(502, &response.text(), &[MARISOL.name]);
    }
}

#[tokio::test]
async fn a_prompt_leaves_over_tls_only_to_the_right_certificate() {
    for flaw in
        [Flaw::None, Flaw::SelfSigned, Flaw::UnknownAuthority, Flaw::WrongName, Flaw::Expired]
    {
        let upstream = Upstream::start_tls(Reply::echo(), flaw).await;
        let scratch = tempfile::tempdir().unwrap();
        let ca = scratch.path().join("ca.pem");
        std::fs::write(&ca, upstream.ca_pem()).unwrap();
        let house = House::with(&Rules::cloud(&upstream).trusting(&ca));
        let serving = house.serve();
        let response = serving.ask(&user(MARISOL.name)).await;
        if flaw == Flaw::None {
            assert_eq!(response.answer().content(), MARISOL.name);
        } else {
            check_refusal(&response, 503, "upstream_unreachable", &[MARISOL.name]);
            assert!(upstream.captured().is_empty(), "{flaw:?}");
            house.outcome(response.header("x-request-id").unwrap()).await;
        }
    }
    // The system's authorities do not know a test's one either.
    let upstream = Upstream::start_tls(Reply::echo(), Flaw::None).await;
    let house = House::with(&Rules::cloud(&upstream));
    let response = house.serve().ask(&user(MARISOL.name)).await;
    check_refusal(&response, 503, "upstream_unreachable", &[MARISOL.name]);
    assert!(upstream.captured().is_empty());
}

#[tokio::test]
#[ignore = "a silent stream is given a minute"]
async fn a_stream_that_falls_silent_ends_within_a_minute() {
    let upstream = Upstream::start(Reply::fault(Fault::Hang { after: 5 })).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let transcript = serving.stream(&user(MARISOL.name)).await;
    let last = &transcript.events.last().unwrap().data;
    assert_eq!(error_code(200, last, &[MARISOL.name]), "upstream_timeout");
    upstream.wait_until_closed().await;
}
