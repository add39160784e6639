//! The stand-in says exactly what its script says, cut and broken exactly as asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::Duration;
use testkit::client::{self, Answer, Client, Request, Transcript, chat, streamed};
use testkit::load::{self, Mode, Plan, Until};
use testkit::notes;
use testkit::upstream::canned::{EVENTS, Says, Settings};
use testkit::upstream::{
    Arguments, Call, Canned, Cut, Fault, Flaw, Framing, Pieces, Reply, Script, Source, Split,
    Upstream,
};

/// Long enough to say that nothing comes, short enough to wait for.
const NOTHING_COMES: Duration = Duration::from_millis(80);

const PROMPT: &str = "Say: \"Sólveig\\Núñez\" ✓ [NAME_AB12CD34] and [SSN_00000000].\n2nd line";

fn asked() -> Value {
    chat(&[("system", "be brief"), ("user", "first"), ("assistant", "ok"), ("user", PROMPT)])
}

async fn json_of(upstream: &Upstream, body: &Value) -> client::Response {
    client::call(upstream.address(), &Request::chat(body)).await.unwrap()
}

async fn stream_of(upstream: &Upstream, body: &Value) -> Transcript {
    let request = Request::chat(&streamed(body.clone()));
    client::open(upstream.address(), &request).await.unwrap().collect().await
}

/// Both ways of asking give the same choices, and the stream ends well.
async fn check(reply: Reply, body: &Value) -> Answer {
    let upstream = Upstream::start(reply).await;
    let whole = json_of(&upstream, body).await.answer();
    let transcript = stream_of(&upstream, body).await;
    transcript.end.as_ref().unwrap();
    let parts = transcript.answer();
    assert_eq!(whole, parts);
    assert!(parts.done);
    parts
}

#[tokio::test]
async fn an_echo_is_exact_streamed_and_not() {
    let answer = check(Reply::echo(), &asked()).await;
    assert_eq!(answer.content(), PROMPT);
    assert_eq!(answer.choices[0].finish_reason, "stop");
    let mut three = asked();
    three["n"] = json!(3);
    let answer = check(Reply::echo(), &three).await;
    assert!(answer.choices.iter().all(|choice| choice.content == PROMPT));
    assert_eq!(answer.choices.len(), 3);
    let all = check(Reply::echo_all(), &asked()).await;
    assert_eq!(all.content(), format!("be brief | first | ok | {PROMPT}"));
}

#[tokio::test]
async fn liberties_in_form_do_not_change_what_is_said() {
    for framing in [Framing::Plain, Framing::Crlf, Framing::Tight, Framing::Comments] {
        let reply = Reply::echo().framed(framing).in_ascii().in_pieces(Pieces::Chars(1));
        assert_eq!(check(reply, &asked()).await.content(), PROMPT);
    }
}

#[tokio::test]
async fn a_stream_has_the_shape_of_the_openai_api() {
    let upstream = Upstream::start(Reply::text("Hi").in_pieces(Pieces::Whole)).await;
    let transcript = stream_of(&upstream, &asked()).await;
    let type_ = transcript.head.header("content-type").unwrap();
    assert!(type_.starts_with("text/event-stream"));
    let events: Vec<Value> = transcript.events.iter().map(client::Event::json).collect();
    let delta = |place: usize| events[place]["choices"][0]["delta"].clone();
    assert_eq!(delta(0), json!({ "role": "assistant", "content": "", "refusal": null }));
    assert_eq!(delta(1), json!({ "content": "Hi" }));
    assert_eq!(delta(2), json!({}));
    assert_eq!(events[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[3]["choices"], json!([]));
    assert!(events[3]["usage"]["total_tokens"].is_u64());
    assert_eq!(transcript.events[4].data, "[DONE]");
    assert_eq!(events.len(), 5);
    assert!(events[..4].iter().all(|it| it["object"] == "chat.completion.chunk"));
    assert!(transcript.first_token().is_some());
    // Without include_usage there is neither a usage field nor the extra chunk.
    let mut plain = asked();
    plain["stream"] = json!(true);
    let request = Request::chat(&plain);
    let plain = client::open(upstream.address(), &request).await.unwrap().collect().await;
    assert_eq!(plain.events.len(), 4);
    assert!(plain.events.iter().all(|event| event.json().get("usage").is_none()));
}

#[tokio::test]
async fn everything_that_arrives_is_kept() {
    let upstream = Upstream::start(Reply::echo()).await;
    assert_eq!(upstream.connections(), 0);
    let mut client = Client::connect(upstream.address()).await.unwrap();
    let request = Request::chat(&asked()).bearer("key").header("x-odd", "Ünï");
    client.call(&request).await.unwrap();
    client.call(&Request::get("/v1/models?a=b")).await.unwrap();
    assert_eq!(client.call(&Request::get("/nowhere")).await.unwrap().status(), 404);
    upstream.wait_for(3).await;
    let captured = upstream.captured();
    assert_eq!(upstream.connections(), 1);
    assert_eq!((captured[0].method.as_str(), captured[0].number), ("POST", 0));
    assert_eq!(captured[0].header("authorization"), Some("Bearer key"));
    assert_eq!(captured[0].json(), asked());
    assert!(captured[0].holds("Ünï") && captured[0].complete);
    assert_eq!(captured[1].path, "/v1/models?a=b");
    assert_eq!(upstream.take().len(), 3);
    assert!(upstream.captured().is_empty());
}

#[tokio::test]
async fn a_planted_value_is_found_under_escapes_and_inside_tool_arguments() {
    let upstream = Upstream::start(Reply::echo()).await;
    let hidden = r#"{"a":{"b":"{\"n\":\"N\\u00fa\\u00f1ez\"}","O\u0027Hanlon":1}}"#;
    let request = Request::new("POST", "/v1/chat/completions", hidden.into());
    client::call(upstream.address(), &request).await.unwrap();
    let captured = &upstream.captured()[0];
    assert!(captured.holds("Núñez") && captured.holds("O'Hanlon"));
    assert!(!captured.holds("Quintero"));
}

#[tokio::test]
async fn the_bytes_are_cut_at_every_place_of_the_stream() {
    let body = streamed(chat(&[("user", "né [NAME_AB12CD34]!")]));
    let length = Reply::echo().body(&body).len();
    let cut = |place, _: &_| Reply::echo().split(Split::At(vec![place + 1]));
    let upstream = Upstream::start(Script::by_request(cut)).await;
    let mut client = Client::connect(upstream.address()).await.unwrap();
    for place in 1..length {
        client.send(&Request::chat(&body)).await.unwrap();
        client.head().await.unwrap();
        let first = client.piece().await.unwrap().unwrap();
        assert_eq!(first.len(), place);
        let mut all = first.to_vec();
        while let Some(piece) = client.piece().await.unwrap() {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all.len(), length);
    }
    upstream.play(Reply::echo().split(Split::Bytes(1)));
    let events = client.open(&Request::chat(&body)).await.unwrap().collect().await;
    assert_eq!(events.answer().content(), "né [NAME_AB12CD34]!");
}

#[tokio::test]
async fn tool_calls_carry_what_the_prompt_held() {
    let fields = vec![
        ("note".to_owned(), Source::LastUser),
        ("who".to_owned(), Source::Fixed("O\"Hara".to_owned())),
    ];
    let calls = vec![
        Call::new("look_up", Arguments::Surrogates),
        Call::new("save", Arguments::Fields(fields)),
        Call::new("odd", Arguments::Raw(Source::Fixed("{not json".to_owned()))),
    ];
    for reply in [Reply::calls(calls.clone()), Reply::interleaved_calls(calls)] {
        let answer = check(reply, &asked()).await;
        assert_eq!(answer.choices[0].finish_reason, "tool_calls");
        let arguments = |index| serde_json::from_str::<Value>(answer.arguments(index)).unwrap();
        assert_eq!(arguments(0), json!({ "found": ["[NAME_AB12CD34]", "[SSN_00000000]"] }));
        assert_eq!(arguments(1), json!({ "note": PROMPT, "who": "O\"Hara" }));
        assert_eq!(answer.arguments(2), "{not json");
    }
}

#[tokio::test]
async fn refusals_reasoning_and_probabilities_have_their_own_fields() {
    let answer = check(Reply::refusal("No."), &asked()).await;
    assert_eq!((answer.content(), answer.choices[0].refusal.as_str()), ("", "No."));
    let reply = Reply::echo().with_reasoning(Source::Surrogates).with_logprobs();
    let answer = check(reply.with_finish("length"), &asked()).await;
    assert_eq!(answer.choices[0].reasoning, "[NAME_AB12CD34] [SSN_00000000]");
    assert_eq!(answer.choices[0].logprob_text, PROMPT);
    assert_eq!(answer.choices[0].finish_reason, "length");
}

#[tokio::test]
async fn replies_come_in_turn_and_the_last_one_stays() {
    let script = Script::in_turn(vec![Reply::text("one"), Reply::text("two")]);
    let upstream = Upstream::start(script).await;
    for said in ["one", "two", "two"] {
        assert_eq!(json_of(&upstream, &asked()).await.answer().content(), said);
    }
}

#[tokio::test]
async fn a_hang_gives_nothing() {
    let upstream = Upstream::start(Reply::fault(Fault::HangBeforeHeaders)).await;
    let body = asked();
    let call = tokio::time::timeout(NOTHING_COMES, json_of(&upstream, &body));
    assert!(call.await.is_err());
    upstream.wait_for(1).await;
    upstream.play(Reply::fault(Fault::Hang { after: 2 }));
    let request = Request::chat(&streamed(asked()));
    let mut events = client::open(upstream.address(), &request).await.unwrap();
    events.next().await.unwrap().unwrap();
    events.next().await.unwrap().unwrap();
    assert!(tokio::time::timeout(NOTHING_COMES, events.next()).await.is_err());
    assert_eq!(upstream.open(), 1);
    events.abort().unwrap();
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_cut_ends_the_stream_as_asked() {
    for (how, expected) in [
        (Cut::Reset, Some(ErrorKind::ConnectionReset)),
        (Cut::Fin, Some(ErrorKind::UnexpectedEof)),
        (Cut::End, None),
    ] {
        let upstream = Upstream::start(Reply::fault(Fault::Cut { after: 3, how })).await;
        let transcript = stream_of(&upstream, &asked()).await;
        assert_eq!(transcript.events.len(), 3, "{how:?}");
        assert_eq!(transcript.end.as_ref().err().map(std::io::Error::kind), expected);
        assert!(!transcript.answer().done);
        if how != Cut::End {
            let request = Request::chat(&asked());
            assert!(client::call(upstream.address(), &request).await.is_err());
        }
    }
}

#[tokio::test]
async fn broken_streams_are_broken_where_asked() {
    let upstream = Upstream::start(Reply::fault(Fault::BrokenJson { after: 1 })).await;
    let transcript = stream_of(&upstream, &asked()).await;
    assert_eq!(transcript.events[1].json(), Value::Null);
    assert_eq!(transcript.answer().content(), PROMPT);
    assert_eq!(json_of(&upstream, &asked()).await.json(), Value::Null);
    upstream.play(Reply::fault(Fault::Error { after: 2 }));
    let transcript = stream_of(&upstream, &asked()).await;
    let error = transcript.answer().error.unwrap();
    assert!(error["message"].as_str().unwrap().contains(PROMPT));
    assert_eq!((transcript.events.len(), transcript.answer().done), (3, false));
    upstream.play(Reply::fault(Fault::Garbage { after: 2 }));
    let response = client::call(upstream.address(), &Request::chat(&streamed(asked()))).await;
    assert!(std::str::from_utf8(&response.unwrap().body).is_err());
    upstream.play(Reply::fault(Fault::TalkAfterDone));
    let transcript = stream_of(&upstream, &asked()).await;
    assert!(transcript.events.last().unwrap().has_content());
}

#[tokio::test]
async fn huge_and_endless_answers_are_huge_and_endless() {
    let bytes = 3_000_000;
    let upstream = Upstream::start(Reply::fault(Fault::Huge { after: 1, bytes })).await;
    let transcript = stream_of(&upstream, &asked()).await;
    assert!(transcript.events[1].data.len() > bytes);
    assert!(json_of(&upstream, &asked()).await.body.len() > bytes);
    upstream.play(Reply::fault(Fault::Endless { after: 1 }));
    let mut client = Client::connect(upstream.address()).await.unwrap();
    client.send(&Request::chat(&streamed(asked()))).await.unwrap();
    client.head().await.unwrap();
    let mut read = 0;
    while read < bytes {
        read += client.piece().await.unwrap().unwrap().len();
    }
    client.abort().unwrap();
}

#[tokio::test]
async fn wrong_answers_are_wrong_as_asked() {
    let status = |status, retry_after| Fault::Status { status, retry_after };
    let upstream = Upstream::start(Reply::fault(status(429, Some(7)))).await;
    let response = json_of(&upstream, &asked()).await;
    assert_eq!((response.status(), response.header("retry-after")), (429, Some("7")));
    for code in [401, 500] {
        upstream.play(Reply::fault(status(code, None)));
        let response = json_of(&upstream, &streamed(asked())).await;
        assert_eq!(response.status(), code);
        assert!(response.answer().error.unwrap()["message"].as_str().unwrap().contains(PROMPT));
    }
    let location = "http://127.0.0.1:9/v1".to_owned();
    upstream.play(Reply::fault(Fault::Redirect { status: 307, location }));
    let response = json_of(&upstream, &asked()).await;
    assert_eq!(response.header("location"), Some("http://127.0.0.1:9/v1"));
    upstream.play(Reply::fault(Fault::Html));
    assert!(json_of(&upstream, &asked()).await.text().starts_with("<!doctype html>"));
    upstream.play(Reply::fault(Fault::ContentType("text/plain")));
    assert_eq!(json_of(&upstream, &asked()).await.header("content-type"), Some("text/plain"));
    upstream.play(Reply::fault(Fault::Gzip));
    let response = json_of(&upstream, &asked()).await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    // Ten bytes of header and five of the stored block precede the body, eight of trailer follow.
    let plain = &response.body[15..response.body.len() - 8];
    let plain: Value = serde_json::from_slice(plain).unwrap();
    assert_eq!(Answer::from_json(&plain).content(), PROMPT);
}

#[tokio::test]
async fn a_server_of_bytes_says_just_those() {
    let upstream = Upstream::start_bytes("SSH-2.0-not-http\r\n\r\n").await;
    let error = client::call(upstream.address(), &Request::chat(&asked())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(upstream.captured()[0].holds("be brief"));
}

#[tokio::test]
async fn a_slow_stream_is_slow() {
    let pause = Duration::from_millis(10);
    let reply =
        Reply::text("abcd").in_pieces(Pieces::Chars(1)).pausing(pause).starting_after(pause);
    let upstream = Upstream::start(reply).await;
    let transcript = stream_of(&upstream, &asked()).await;
    let ends = transcript.events.windows(2).map(|it| (it[0].after, it[1].after));
    assert!(ends.clone().count() >= 6 && transcript.events[0].after >= pause);
    assert!(transcript.events.last().unwrap().after >= transcript.events[0].after + pause * 5);
}

#[tokio::test]
async fn only_the_right_certificate_is_accepted() {
    for flaw in
        [Flaw::None, Flaw::SelfSigned, Flaw::UnknownAuthority, Flaw::WrongName, Flaw::Expired]
    {
        let upstream = Upstream::start_tls(Reply::echo(), flaw).await;
        assert!(upstream.url().starts_with("https://127.0.0.1:"));
        let client = Client::connect_tls(upstream.address(), "127.0.0.1", upstream.ca_pem()).await;
        assert_eq!(client.is_ok(), flaw == Flaw::None, "{flaw:?}");
        if let Ok(mut client) = client {
            let response = client.call(&Request::chat(&asked())).await.unwrap();
            assert_eq!(response.answer().content(), PROMPT);
        } else {
            assert!(upstream.captured().is_empty());
        }
    }
}

#[tokio::test]
async fn a_stopped_server_takes_no_connection() {
    let upstream = Upstream::start(Reply::echo()).await;
    let address = upstream.address();
    upstream.stop().await;
    assert!(Client::connect(address).await.is_err());
}

fn plan(upstream: std::net::SocketAddr, mode: Mode, body: &Value) -> Plan {
    Plan {
        address: upstream,
        request: Request::chat(body).bytes("stand-in"),
        mode,
        connections: 3,
        warm_up: 1,
        until: Until::Count(20),
    }
}

#[tokio::test]
async fn a_window_counts_what_was_answered() {
    let canned = Canned::start(0, Settings::default());
    let window = load::run(&plan(canned.address(), Mode::Json, &asked())).await;
    assert!(window.valid(), "{window:?}");
    assert_eq!(window.completed, 60);
    assert!(window.first.p50 <= window.latency.p50 && window.rate() > 0.0);
    let window = load::run(&plan(canned.address(), Mode::Stream, &streamed(asked()))).await;
    assert!(window.valid() && window.completed == 60, "{window:?}");
    assert!(!window.latency.p99.is_zero());
}

#[tokio::test]
async fn one_failure_voids_the_window() {
    let fault = Fault::Cut { after: 3, how: Cut::End };
    let reply = move |number, _: &_| {
        if number == 30 { Reply::fault(fault.clone()) } else { Reply::echo() }
    };
    let upstream = Upstream::start(Script::by_request(reply)).await;
    let window = load::run(&plan(upstream.address(), Mode::Stream, &streamed(asked()))).await;
    assert_eq!((window.valid(), window.failed), (false, 1));
    assert_eq!(window.first_failure.unwrap(), "a stream without its end");
}

#[tokio::test]
async fn the_canned_server_can_give_a_surrogate_back() {
    let settings = Settings { says: Says::FirstSurrogate, ..Settings::default() };
    let canned = Canned::start(0, settings);
    let whole = client::call(canned.address(), &Request::chat(&asked())).await.unwrap();
    assert!(whole.answer().content().starts_with("[NAME_AB12CD34] is stable"));
    let request = Request::chat(&streamed(asked()));
    let parts = client::open(canned.address(), &request).await.unwrap().collect().await;
    assert_eq!(parts.events.len(), EVENTS);
    assert!(parts.answer().content().contains("[NAME_AB12CD34]"));
}

#[tokio::test]
async fn two_notes_in_one_conversation_come_back_whole() {
    let (first, second) = (notes::every_class(), notes::second_patient());
    let body = chat(&[("user", &first.text), ("assistant", "Noted."), ("user", &second.text)]);
    let answer = check(Reply::echo_all(), &body).await;
    assert_eq!(first.leaks_into(answer.content()).len(), first.planted.len());
    assert_eq!(second.leaks_into(answer.content()).len(), second.planted.len());
}
