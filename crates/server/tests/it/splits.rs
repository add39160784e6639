//! A stream cut at any byte restores the same.

use crate::house::{House, Serving, streaming, user};
use crate::rules::Rules;
use serde_json::Value;
use std::sync::Arc;
use testkit::people::MARISOL;
use testkit::upstream::{Arguments, Call, Framing, Pieces, Reply, Script, Source, Split, Upstream};
use tokio::task::JoinSet;

/// Requests under way at once, so that waiting for the disk is shared.
const LANES: usize = 12;

fn prompt() -> String {
    // Letters of two to four bytes, so that a cut may fall inside of one.
    format!("née ✓ 🩺 Patient: {}, MRN: {}. [NAME_", MARISOL.name, MARISOL.mrn)
}

/// The whole answer once for each reply; each must be `expected`.
async fn check_each(
    serving: &Serving,
    upstream: &Upstream,
    body: &Value,
    replies: Vec<Reply>,
    expected: impl Fn(&testkit::client::Answer) -> bool,
) {
    let count = replies.len();
    let served = upstream.captured().last().map_or(0, |last| last.number + 1);
    upstream.play(Script::by_request(move |number, _| replies[number - served].clone()));
    let request = Arc::new(serving.request(&streaming(body)));
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (request, address) = (Arc::clone(&request), serving.address);
        let turns = (lane..count).step_by(LANES).count();
        lanes.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..turns {
                let stream = testkit::client::open(address, &request).await.unwrap();
                let transcript = stream.collect().await;
                transcript.end.as_ref().unwrap();
                answers.push(transcript.answer());
            }
            answers
        });
    }
    let answers = lanes.join_all().await.concat();
    assert_eq!(answers.len(), count);
    for answer in &answers {
        assert!(answer.done && expected(answer), "{answer:?}");
    }
    for captured in upstream.captured() {
        assert!(!captured.holds(MARISOL.name) && !captured.holds(MARISOL.mrn));
    }
}

/// As many bytes as the stream of `reply` has for what leaves of `body`.
async fn length(serving: &Serving, upstream: &Upstream, body: &Value, reply: &Reply) -> usize {
    upstream.play(reply.clone());
    serving.stream(body).await;
    reply.body(&upstream.captured().last().unwrap().json()).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_restored_wherever_the_stream_is_cut() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let text = prompt();
    let body = user(&text);
    let reply = Reply::echo().in_pieces(Pieces::Chars(12));
    let bytes = length(&serving, &upstream, &body, &reply).await;
    assert!(bytes > 1000, "{bytes}");

    let mut replies: Vec<Reply> =
        (0..=bytes).map(|place| reply.clone().split(Split::At(vec![place]))).collect();
    replies.extend((1..8).map(|size| reply.clone().split(Split::Bytes(size))));
    for framing in [Framing::Plain, Framing::Crlf, Framing::Tight, Framing::Comments] {
        for split in [Split::Whole, Split::Events, Split::Bytes(1), Split::Bytes(5)] {
            replies.push(reply.clone().framed(framing).split(split));
        }
    }
    // The content itself, cut into deltas at each place, and into ever longer ones.
    replies.extend((0..64).map(|place| Reply::echo().in_pieces(Pieces::At(vec![place]))));
    replies.extend((1..64).map(|count| Reply::echo().in_pieces(Pieces::Chars(count))));
    check_each(&serving, &upstream, &body, replies, |answer| answer.content() == text).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_arguments_of_a_tool_call_are_restored_wherever_the_stream_is_cut() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let text = format!("{}\n\"{}\"", prompt(), MARISOL.name);
    let body = user(&text);
    let call = |name| Call::new(name, Arguments::Fields(vec![("n".to_owned(), Source::LastUser)]));
    let reply =
        Reply::interleaved_calls(vec![call("one"), call("two")]).in_pieces(Pieces::Chars(24));
    let bytes = length(&serving, &upstream, &body, &reply).await;

    // Every fifth byte here: the framing was cut at each byte above.
    let mut replies: Vec<Reply> =
        (0..=bytes).step_by(5).map(|place| reply.clone().split(Split::At(vec![place]))).collect();
    for count in 1..48 {
        replies.push(reply.clone().in_pieces(Pieces::Chars(count)));
        replies.push(reply.clone().in_pieces(Pieces::At(vec![count])));
        replies.push(reply.clone().in_pieces(Pieces::At(vec![count + 24, count + 26])));
    }
    let expected = serde_json::json!({ "n": text });
    check_each(&serving, &upstream, &body, replies, |answer| {
        (0..2).all(|call| {
            serde_json::from_str::<Value>(answer.arguments(call)).is_ok_and(|it| it == expected)
        })
    })
    .await;
}
