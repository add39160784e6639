//! A streamed answer: restored lane by lane, released window by window.

use crate::house::{
    DETECTOR, EMAIL, House, LOG, OTHER_EMAIL, OTHER_SSN, SSN, TOKENIZE, said, says, surrogates,
};
use gate::exchange::{Ended, Exchange, StreamEnd, Streaming, World};
use gate::prompt::{AnswerPart, Lane, StreamEvent};
use gate::shape::Shape;
use gate::stream::{AnswerTooLarge, MAX_ANSWER_BYTES, Window};
use gate::{Outcome, UpstreamFailure};
use ledger::seal::Place;
use ledger::{Blob, BlobPart, ContentClass, Entry, Hash, Journal, Receipt, Unrecorded, Usage};
use phi::Text;
use phi::surrogate::{Escape, MAX_SURROGATE_BYTES, SurrogateMap};
use std::time::Duration;

/// Two choices, and two tool calls of the first.
const LANES: [Lane; 4] = [
    Lane { choice: 0, field: "content", call: 0 },
    Lane { choice: 1, field: "content", call: 0 },
    Lane { choice: 0, field: "arguments", call: 0 },
    Lane { choice: 0, field: "arguments", call: 1 },
];

fn part(lane: Lane, text: &str, last: bool) -> AnswerPart {
    let escape = if lane.field == "arguments" { Escape::Json } else { Escape::Plain };
    AnswerPart { lane: Some(lane), restore: Some(escape), last, again: false, text: text.into() }
}

/// An event with these parts, written as a list of them.
fn event(parts: Vec<AnswerPart>) -> StreamEvent {
    let shape = Shape::List((0..parts.len()).map(Shape::Part).collect());
    let received = parts.iter().map(|part| part.text.expose()).collect::<Vec<_>>().join("|");
    StreamEvent {
        name: None,
        shape,
        parts,
        received: Text::new(received),
        only_with_text: false,
        usage: None,
    }
}

/// An event of the first lane.
fn content(text: &str) -> StreamEvent {
    event(vec![part(LANES[0], text, false)])
}

/// The event that a dialect makes to carry what is held back of the first lane.
fn tail() -> StreamEvent {
    StreamEvent {
        received: Text::default(),
        only_with_text: true,
        ..event(vec![part(LANES[0], "", true)])
    }
}

fn texts(window: &Window) -> Vec<Vec<String>> {
    window.frames().iter().map(|it| serde_json::from_str(it.data.expose()).unwrap()).collect()
}

/// A stream after a prompt that says `text`, and the surrogates that left with it.
async fn stream(house: &House, text: &str) -> (Exchange<Streaming>, Vec<String>) {
    let (outbound, departed) = house.depart(&says("local", text)).await;
    (departed.stream(Some("req_7".into())), surrogates(&said(&outbound)))
}

async fn release(house: &House, streaming: &mut Exchange<Streaming>) -> Window {
    streaming.release(&house.world()).await.unwrap()
}

/// Commits and returns the last window, if there is one, and the record.
async fn finish(house: &House, ended: Exchange<Ended>) -> (Vec<Vec<String>>, ledger::Outcome) {
    let released = house.commit(ended).await;
    let last = match released.outcome().0 {
        Outcome::Streamed(window) | Outcome::UpstreamFailed(_, Some(window)) => texts(window),
        Outcome::UpstreamFailed(_, None)
        | Outcome::Answered(_)
        | Outcome::Cached(_)
        | Outcome::Refused(_)
        | Outcome::FailedClosed(_)
        | Outcome::CallerGone => Vec::new(),
    };
    let mut outcomes = house.journal.outcomes();
    assert_eq!(outcomes.len(), 1);
    (last, outcomes.remove(0))
}

/// Streams each lane's text in the pieces that `cut` makes of it, interleaved, and checks that each
/// lane comes out as it should.
fn check_lanes(
    streaming: &mut Exchange<Streaming>,
    lanes: &[(String, String); 4],
    cut: impl Fn(&str) -> Vec<String>,
    out: &mut Vec<String>,
) {
    let pieces: Vec<Vec<String>> = lanes.iter().map(|(sent, _)| cut(sent)).collect();
    let rounds = pieces.iter().map(Vec::len).max().unwrap();
    for round in 0..rounds {
        let parts: Vec<(usize, AnswerPart)> = (0..4)
            .filter_map(|lane| {
                let text = pieces[lane].get(round)?;
                let last = round + 1 == pieces[lane].len();
                Some((lane, part(LANES[lane], text, last)))
            })
            .collect();
        let order: Vec<usize> = parts.iter().map(|(lane, _)| *lane).collect();
        streaming.take(&event(parts.into_iter().map(|(_, part)| part).collect())).unwrap();
        out.push(order.iter().map(ToString::to_string).collect());
    }
}

#[tokio::test]
async fn interleaved_lanes_are_restored_unswapped_wherever_a_surrogate_is_cut() {
    let house = House::new(TOKENIZE);
    let text = format!("SSN {SSN} e-mail {EMAIL}; SSN {OTHER_SSN} e-mail {OTHER_EMAIL}");
    let (outbound, departed) = house.depart(&says("local", &text)).await;
    let t = surrogates(&said(&outbound));
    let lane = |form: &str, a: usize, b: usize, values: [&str; 2]| {
        let write = |a: &str, b: &str| form.replace("{a}", a).replace("{b}", b);
        (write(&t[a], &t[b]), write(values[0], values[1]))
    };
    let lanes = [
        lane("é {a}[{b}] [SSN_ x", 0, 1, [SSN, EMAIL]),
        lane("{b}{a} of another", 2, 3, [OTHER_SSN, OTHER_EMAIL]),
        lane(r#"{"x":"{a}"}"#, 3, 0, [OTHER_EMAIL, SSN]),
        lane(r#"{"y":["{b}","{a}"]}"#, 1, 2, [EMAIL, OTHER_SSN]),
    ];
    let mut streaming = departed.stream(None);
    let longest = lanes.iter().map(|(sent, _)| sent.len()).max().unwrap();
    let mut orders = Vec::new();
    let mut times = 0;
    // In two pieces, cut at every byte; then in pieces of every size.
    for at in 0..=longest {
        let halves = |text: &str| {
            let (a, b) = text.split_at(text.floor_char_boundary(at));
            vec![a.to_owned(), b.to_owned()]
        };
        check_lanes(&mut streaming, &lanes, halves, &mut orders);
        times += 1;
    }
    for size in 1..=MAX_SURROGATE_BYTES {
        let pieces = |text: &str| {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(size).map(|piece| piece.iter().collect()).collect()
        };
        check_lanes(&mut streaming, &lanes, pieces, &mut orders);
        times += 1;
    }
    let window = release(&house, &mut streaming).await;
    let mut said = vec![String::new(); 4];
    for (frame, order) in texts(&window).into_iter().zip(&orders) {
        for (text, lane) in frame.iter().zip(order.bytes()) {
            said[usize::from(lane - b'0')].push_str(text);
        }
    }
    for (lane, (_, expected)) in lanes.iter().enumerate() {
        assert_eq!(said[lane], expected.repeat(times), "lane {lane}");
    }
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    let reply = record.reply.unwrap();
    assert_eq!((reply.restored, reply.unknown), (7 * times as u64, 0));
}

#[tokio::test]
async fn what_is_held_back_comes_before_the_event_that_ends_the_choice() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    let begun = &tokens[0][..8];
    streaming.take(&content(&format!("a {begun}"))).unwrap();
    streaming.take(&tail()).unwrap();
    streaming.take(&content("")).unwrap();
    let window = release(&house, &mut streaming).await;
    assert_eq!(
        texts(&window),
        [vec!["a ".to_owned()], vec![begun.to_owned()], vec![String::new()]]
    );
    // What the dialect made was not received.
    let sealed = house.content(BlobPart::Window(0));
    assert_eq!(sealed["received"], format!("a {begun}\n"));
}

#[tokio::test]
async fn an_event_made_for_a_tail_is_dropped_when_there_is_none() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, &format!("SSN {SSN}")).await;
    streaming.take(&tail()).unwrap();
    streaming.take(&content("")).unwrap();
    streaming.take(&tail()).unwrap();
    assert_eq!(texts(&release(&house, &mut streaming).await), [vec![String::new()]]);
}

#[tokio::test]
async fn events_without_text_wait_for_the_next_window() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    streaming.take(&content("")).unwrap();
    assert!(!streaming.has_text());
    let (head, rest) = tokens[0].split_at(5);
    streaming.take(&content(head)).unwrap();
    assert!(!streaming.has_text(), "a beginning of a surrogate is held back");
    streaming.take(&content(rest)).unwrap();
    assert!(streaming.has_text());
    let expected = [vec![String::new()], vec![String::new()], vec![SSN.to_owned()]];
    assert_eq!(texts(&release(&house, &mut streaming).await), expected);
    assert!(!streaming.has_text());
}

#[tokio::test]
async fn a_tail_of_one_lane_is_enough_to_keep_an_event() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    let begun = &tokens[0][..8];
    streaming.take(&event(vec![part(LANES[0], "a", false), part(LANES[1], begun, false)])).unwrap();
    let tails = event(vec![part(LANES[0], "", true), part(LANES[1], "", true)]);
    streaming.take(&StreamEvent { only_with_text: true, ..tails }).unwrap();
    let window = release(&house, &mut streaming).await;
    assert_eq!(texts(&window), [["a", ""], ["", begun]].map(|it| it.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn each_lane_writes_a_value_as_its_surroundings_need_it() {
    let house = House::new(TOKENIZE);
    let mut map = SurrogateMap::new();
    map.remember("[NAME_00000001]\nNAME\nBo \"Red\"\n\\é").unwrap();
    let cleared = house.clear(&says("local", "good morning"), map).unwrap();
    let (_, departed) = cleared.admit(&house.world()).await.unwrap().depart();
    let mut streaming = departed.stream(None);
    for piece in ["[NAME_", "00000001]"] {
        streaming.take(&event(LANES.map(|lane| part(lane, piece, false)).into())).unwrap();
    }
    let window = release(&house, &mut streaming).await;
    let (plain, json) = ("Bo \"Red\"\n\\é", r#"Bo \"Red\"\n\\é"#);
    assert_eq!(texts(&window)[1], [plain, plain, json, json]);
}

#[tokio::test]
async fn a_frame_carries_the_name_of_its_event() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming
        .take(&StreamEvent { name: gate::shape::Word::parse("delta"), ..content("a") })
        .unwrap();
    let window = release(&house, &mut streaming).await;
    assert_eq!(window.frames()[0].name.as_ref().map(gate::shape::Word::as_str), Some("delta"));
}

#[tokio::test]
async fn a_piece_without_a_lane_is_whole_in_itself() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    let whole = |text: &str| AnswerPart {
        lane: None,
        restore: Some(Escape::Plain),
        again: false,
        last: true,
        text: text.into(),
    };
    let (a, b) = tokens[0].split_at(6);
    streaming
        .take(&event(vec![whole(&tokens[0]), whole(a), whole(b), whole("[SSN_00000000]")]))
        .unwrap();
    let window = release(&house, &mut streaming).await;
    assert_eq!(texts(&window), [vec![SSN, a, b, "[SSN_00000000]"]]);
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    let reply = record.reply.unwrap();
    assert_eq!((reply.restored, reply.unknown), (1, 1));
    assert!(reply.findings.contains_key("SSN"));
}

#[tokio::test]
async fn a_tail_that_nothing_was_received_for_is_sealed_before_it_is_shown() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    let begun = &tokens[0][..8];
    streaming.take(&content(begun)).unwrap();
    release(&house, &mut streaming).await;
    streaming.take(&tail()).unwrap();
    let (last, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(last, [vec![begun.to_owned()]]);
    assert_eq!(record.reply.unwrap().windows, 2);
    let sealed = house.content(BlobPart::Window(1));
    assert_eq!(
        (&sealed["received"], &sealed["delivered"]),
        (&"".into(), &format!("[\"{begun}\"]\n").into())
    );
}

#[tokio::test]
async fn surrogates_that_stand_for_nothing_are_counted_in_lanes_and_beside_them() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, &format!("SSN {SSN}")).await;
    let beside = AnswerPart { lane: None, ..part(LANES[0], "[SSN_00000000]", true) };
    let within = part(LANES[0], "[SSN_00000000] [SSN_00000000]", false);
    streaming.take(&event(vec![beside, within])).unwrap();
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(record.reply.unwrap().unknown, 3);
}

#[tokio::test]
async fn a_window_is_durable_when_it_is_released() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    assert_eq!(streaming.intent().seq, 0);
    for number in 0..3 {
        streaming.take(&content(&format!("{} ", tokens[0]))).unwrap();
        let window = release(&house, &mut streaming).await;
        assert_eq!(texts(&window), [vec![format!("{SSN} ")]]);
        let sealed = house.content(BlobPart::Window(number));
        assert_eq!(sealed["received"], format!("{} \n", tokens[0]));
        assert_eq!(sealed["delivered"], format!("[\"{SSN} \"]\n"));
    }
}

#[tokio::test]
async fn the_record_commits_to_every_window_in_order() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    for text in ["one ", "two ", &tokens[0]] {
        streaming.take(&content(text)).unwrap();
        release(&house, &mut streaming).await;
    }
    // What was taken but not released goes out with the record.
    streaming.take(&content(" three")).unwrap();
    let (last, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(last, [vec![" three".to_owned()]]);
    assert_eq!((record.outcome.as_str(), record.code, record.intent), ("answered", None, Some(0)));
    assert_eq!(record.upstream_request.as_deref(), Some("req_7"));

    let windows: Vec<Blob> =
        house.journal.blobs().into_iter().filter(|it| it.part != BlobPart::Prompt).collect();
    let numbers: Vec<BlobPart> = windows.iter().map(|it| it.part).collect();
    assert_eq!(numbers, (0..4).map(BlobPart::Window).collect::<Vec<_>>());
    let digests: Vec<u8> = windows.iter().flat_map(|it| *it.digest().as_bytes()).collect();
    let mut delivered = 0;
    for blob in &windows {
        let place = Place { log: LOG, exchange: blob.exchange, part: blob.part };
        let opened: serde_json::Value = serde_json::from_slice(
            &house.keys.key(ContentClass::of_part(place.part)).open(&place, blob).unwrap(),
        )
        .unwrap();
        delivered += opened["delivered"].as_str().unwrap().len() as u64;
    }
    let reply = record.reply.unwrap();
    assert_eq!((reply.windows, reply.digest, reply.bytes), (4, Hash::of(&digests), delivered));
    assert_eq!((reply.restored, reply.findings.get("SSN")), (1, Some(&1)));
}

#[tokio::test]
async fn a_stream_without_a_last_window_commits_to_those_that_it_had() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming.take(&content("hello")).unwrap();
    release(&house, &mut streaming).await;
    let (last, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert!(last.is_empty());
    assert_eq!(record.reply.unwrap().windows, 1);
}

#[tokio::test]
async fn a_stream_that_said_nothing_has_no_sealed_answer() {
    let house = House::new(TOKENIZE);
    let (streaming, _) = stream(&house, "good morning").await;
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!((record.outcome.as_str(), record.reply), ("answered", None));
    assert_eq!(record.upstream_request.as_deref(), Some("req_7"));
}

#[tokio::test]
async fn a_window_that_is_not_durable_is_gone_and_the_stream_fails_closed() {
    for end in [
        StreamEnd::Unrecorded,
        StreamEnd::Complete,
        StreamEnd::CallerGone,
        StreamEnd::Failed(UpstreamFailure::Cut),
    ] {
        let house = House::new(TOKENIZE);
        let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
        streaming.take(&content("one ")).unwrap();
        release(&house, &mut streaming).await;
        house.journal.fail_keep(0);
        streaming.take(&content(&tokens[0])).unwrap();
        assert_eq!(streaming.release(&house.world()).await.unwrap_err(), Unrecorded::Full);
        assert!(!streaming.has_text());
        // Not even when the disk has room again.
        streaming.take(&content("three")).unwrap();
        assert_eq!(streaming.release(&house.world()).await.unwrap_err(), Unrecorded::Stopped);

        let (last, record) = finish(&house, streaming.end(end, &DETECTOR)).await;
        assert!(last.is_empty());
        assert_eq!(record.outcome, "failed_closed");
        assert_eq!(record.code.as_deref(), Some("audit_unavailable"));
        assert_eq!(record.reply.unwrap().windows, 1);
        assert_eq!(house.journal.blobs().len(), 2);
    }
}

#[tokio::test]
async fn a_stream_that_ends_as_unrecorded_fails_closed() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming.take(&content("hello")).unwrap();
    let (last, record) = finish(&house, streaming.end(StreamEnd::Unrecorded, &DETECTOR)).await;
    assert!(last.is_empty());
    assert_eq!((record.outcome.as_str(), record.reply), ("failed_closed", None));
}

/// A journal that never answers.
struct Stuck;

impl Journal for Stuck {
    async fn append(&self, _: Entry) -> Result<Receipt, Unrecorded> {
        std::future::pending().await
    }
    async fn keep(&self, _: Blob) -> Result<(), Unrecorded> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_release_that_was_given_up_fails_closed() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming.take(&content("hello")).unwrap();
    let stuck = World { journal: &Stuck, clock: &house.clock, entropy: &house.entropy };
    let given_up = tokio::time::timeout(Duration::ZERO, streaming.release(&stuck)).await;
    assert!(given_up.is_err());
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(record.code.as_deref(), Some("audit_unavailable"));
}

#[tokio::test]
async fn what_a_caller_that_left_did_not_get_is_not_recorded_as_delivered() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming.take(&content("one")).unwrap();
    release(&house, &mut streaming).await;
    streaming.take(&content("two")).unwrap();
    let (_, record) = finish(&house, streaming.end(StreamEnd::CallerGone, &DETECTOR)).await;
    assert_eq!((record.outcome.as_str(), record.code), ("caller_gone", None));
    assert_eq!(record.reply.unwrap().windows, 1);
    assert_eq!(house.journal.blobs().len(), 2);
}

#[tokio::test]
async fn what_came_before_a_model_server_failed_is_delivered_with_the_record() {
    let house = House::new(TOKENIZE);
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    streaming.take(&content(&tokens[0])).unwrap();
    let ended = streaming.end(StreamEnd::Failed(UpstreamFailure::Cut), &DETECTOR);
    assert_eq!(ended.outcome_name(), "upstream_failed");
    let (last, record) = finish(&house, ended).await;
    assert_eq!(last, [vec![SSN.to_owned()]]);
    assert_eq!(record.code.as_deref(), Some("upstream_invalid"));
    assert_eq!(record.reply.unwrap().windows, 1);
}

#[tokio::test]
async fn the_last_count_of_tokens_is_the_one_that_is_recorded() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    let usage = |completion| Some(Usage { prompt: 3, completion });
    for usage in [None, usage(1), usage(2), None] {
        streaming.take(&StreamEvent { usage, ..content("a") }).unwrap();
    }
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(record.usage, usage(2));
}

#[tokio::test]
async fn an_answer_has_at_most_as_much_text_as_one_scan_reads() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    streaming.take(&content(&"a ".repeat(MAX_ANSWER_BYTES / 2))).unwrap();
    assert_eq!(streaming.take(&content("b")), Err(AnswerTooLarge));
    streaming.take(&content("")).unwrap();
    let ended = streaming.end(StreamEnd::Failed(UpstreamFailure::TooLarge), &DETECTOR);
    assert_eq!(ended.outcome_name(), "upstream_failed");
}

#[tokio::test]
async fn restored_values_count_towards_the_size_of_an_answer() {
    let house = House::new(TOKENIZE);
    let mut map = SurrogateMap::new();
    let value = "v".repeat(MAX_ANSWER_BYTES / 2);
    map.remember(&format!("[NAME_00000001]\nNAME\n{value}")).unwrap();
    let cleared = house.clear(&says("local", "good morning"), map).unwrap();
    let (_, departed) = cleared.admit(&house.world()).await.unwrap().depart();
    let mut streaming = departed.stream(None);
    streaming.take(&content("[NAME_00000001][NAME_00000001]")).unwrap();
    assert_eq!(streaming.take(&content("[NAME_00000001]")), Err(AnswerTooLarge));
}

#[tokio::test]
async fn an_answer_has_at_most_4096_lanes() {
    let house = House::new(TOKENIZE);
    let (mut streaming, _) = stream(&house, "good morning").await;
    let lane = |choice| Lane { choice, ..LANES[0] };
    let parts = (0..4096).map(|choice| part(lane(choice), "", false)).collect();
    streaming.take(&event(parts)).unwrap();
    assert_eq!(streaming.take(&event(vec![part(lane(4096), "", false)])), Err(AnswerTooLarge));
    streaming.take(&event(vec![part(lane(4095), "more", false)])).unwrap();
}

#[tokio::test]
async fn where_digests_are_kept_a_window_is_still_durable_before_it_is_handed_out() {
    let house = House::new(TOKENIZE).keeping_digests();
    let (mut streaming, tokens) = stream(&house, &format!("SSN {SSN}")).await;
    let mut shown = String::new();
    for text in ["one ", &tokens[0]] {
        streaming.take(&content(text)).unwrap();
        for frame in release(&house, &mut streaming).await.frames() {
            shown.push_str(frame.data.expose());
            shown.push('\n');
        }
    }
    let kept = |blob: &Blob| blob.digests().unwrap().unwrap();
    let windows = |blobs: &[Blob]| blobs.iter().filter(|it| it.part != BlobPart::Prompt).count();
    assert_eq!(windows(&house.journal.blobs()), 2, "each had its row first");
    house.journal.fail_keep(0);
    streaming.take(&content("three")).unwrap();
    assert_eq!(streaming.release(&house.world()).await.unwrap_err(), Unrecorded::Full);
    let (_, record) = finish(&house, streaming.end(StreamEnd::Complete, &DETECTOR)).await;
    assert_eq!(record.outcome, "failed_closed");

    let (reply, about) = (record.reply.unwrap(), record.about);
    assert_eq!((reply.windows, reply.bytes), (2, shown.len() as u64));
    let blobs = house.journal.blobs();
    let digests: Vec<u8> = blobs[1..].iter().flat_map(|it| *it.digest().as_bytes()).collect();
    assert_eq!(reply.digest, Hash::of(&digests));
    assert_eq!(about.prompt, Some(blobs[0].digest()));
    assert_eq!(about.key_day, Some(house.keys.day()), "the digests go with the keys of that day");
    let mut rest = shown.as_bytes();
    for blob in &blobs {
        let key = house.keys.key(ContentClass::of_part(blob.part));
        let place = Place { log: LOG, exchange: blob.exchange, part: blob.part };
        assert!(key.open(&place, blob).is_err(), "there is nothing to open");
        let sealed = String::from_utf8_lossy(&blob.sealed);
        assert!(!sealed.contains(SSN) && !sealed.contains(&tokens[0]) && !sealed.contains("one"));
        let (name, text) = if blob.part == BlobPart::Prompt {
            ("written", says("local", &format!("SSN {SSN}")).into_bytes())
        } else {
            let name = kept(blob).bytes("delivered").map_or("received", |_| "delivered");
            let bytes = usize::try_from(kept(blob).bytes(name).unwrap()).unwrap();
            let (window, after) = rest.split_at(bytes);
            rest = after;
            (name, window.to_vec())
        };
        assert_eq!(key.compare(&place, blob, name, &text), Ok(true));
        assert_eq!(key.compare(&place, blob, name, &text[1..]), Ok(false));
    }
    assert!(rest.is_empty());
}
