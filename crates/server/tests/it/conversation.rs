//! Several turns of one conversation, several patients, and nobody takes another's place.

use crate::house::{House, Serving};
use crate::rules::Rules;
use serde_json::Value;
use testkit::client::{Request, chat};
use testkit::notes;
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Captured, Reply, Script, Upstream, surrogates_in};

const CONVERSATION: &str = "visit 17 of Marisol Quintero";

fn turn(serving: &Serving, body: &Value) -> Request {
    serving.request(body).header("x-bulla-conversation", CONVERSATION)
}

/// The surrogate that stands after `Patient: ` for the `number`-th time.
fn patient(captured: &Captured, number: usize) -> String {
    let json = captured.json();
    let texts: Vec<&str> = json["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "user")
        .filter_map(|message| message["content"].as_str())
        .collect();
    let texts = texts.join("\n");
    let after = texts.split("Patient: ").nth(number + 1).unwrap();
    surrogates_in(after.lines().next().unwrap()).remove(0)
}

#[tokio::test]
async fn two_patients_in_one_conversation_are_not_swapped() {
    let (first, second) = (notes::every_class(), notes::second_patient());
    let upstream = Upstream::start(Reply::echo_all()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();

    let opening = chat(&[("user", &first.text)]);
    let echoed = serving.call(&turn(&serving, &opening)).await.answer();
    assert_eq!(echoed.content(), first.text);

    let turns = [("user", &*first.text), ("assistant", echoed.content()), ("user", &*second.text)];
    let whole = [&*first.text, &*first.text, &*second.text].join(" | ");
    let body = chat(&turns);
    assert_eq!(serving.call(&turn(&serving, &body)).await.answer().content(), whole);

    // The model speaks of both by the surrogates that it got, in the other order.
    upstream.play(Script::by_request(|_, captured| {
        let (one, two) = (patient(captured, 0), patient(captured, 1));
        Reply::text(&format!("{two} takes metformin; {one} takes metoprolol. {two}, {one}."))
    }));
    let expected = "Desmond Achterberg takes metformin; Marisol Quintero takes metoprolol. \
                    Desmond Achterberg, Marisol Quintero.";
    let response = serving.call(&turn(&serving, &body)).await;
    assert_eq!(response.answer().content(), expected);
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    let stream = testkit::client::open(serving.address, &turn(&serving, &streamed)).await.unwrap();
    assert_eq!(stream.collect().await.answer().content(), expected);

    let captured = upstream.captured();
    let before = surrogates_in(&captured[0].text());
    for request in &captured {
        for note in [&first, &second] {
            let left: Vec<_> = note.planted.iter().filter(|it| request.holds(&it.value)).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let now = surrogates_in(&request.text());
        assert!(before.iter().all(|it| now.contains(it)), "a value changed its surrogate");
        assert!(!request.holds(CONVERSATION) && !request.holds("visit 17"));
    }
}

#[tokio::test]
async fn a_conversations_surrogates_are_restored_in_later_turns_and_nowhere_else() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let body = chat(&[("user", "Patient: Marisol Quintero, MRN: 00482913, is dizzy.")]);
    assert_eq!(serving.call(&turn(&serving, &body)).await.status(), 200);
    let surrogate = patient(&upstream.captured()[0], 0);
    upstream.play(Reply::text(&format!("You mean {surrogate}.")));
    let question = chat(&[("user", "Whom did we speak of?")]);
    let restored = format!("You mean {}.", MARISOL.name);
    let visible = format!("You mean {surrogate}.");

    assert_eq!(serving.call(&turn(&serving, &question)).await.answer().content(), restored);
    // Without the conversation, in another one, or with another key, it means nothing.
    assert_eq!(serving.ask(&question).await.answer().content(), visible);
    let other = serving.request(&question).header("x-bulla-conversation", "visit 18");
    assert_eq!(serving.call(&other).await.answer().content(), visible);
    let key = house.create_key(&["--purpose", "treatment"]).secret;
    let stranger =
        Request::chat(&question).bearer(&key).header("x-bulla-conversation", CONVERSATION);
    let begun = tokio::time::Instant::now();
    let mut response = serving.call(&stranger).await;
    while response.status() == 401 && begun.elapsed() < crate::house::CHANGE_LIMIT {
        tokio::time::sleep(crate::house::LOOK).await;
        response = serving.call(&stranger).await;
    }
    assert_eq!(response.answer().content(), visible);

    // Nor is it forgotten when the server starts anew.
    serving.stop();
    let serving = house.serve();
    assert_eq!(serving.call(&turn(&serving, &question)).await.answer().content(), restored);
}

#[tokio::test]
async fn turns_that_begin_a_conversation_at_once_share_one_map() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let text = format!("Patient: {} has SSN: {}", DESMOND.name, DESMOND.ssn);
    let body = chat(&[("user", &text)]);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (request, address) = (turn(&serving, &body), serving.address);
        calls.spawn(async move { testkit::client::call(address, &request).await.unwrap() });
    }
    for response in calls.join_all().await {
        assert_eq!(response.answer().content(), text, "{}", response.text());
    }
    // Whoever comes later restores every surrogate that any of them used.
    for captured in upstream.captured() {
        let all = surrogates_in(&captured.text()).join(" ");
        upstream.play(Reply::text(&all));
        let answer = serving.call(&turn(&serving, &chat(&[("user", "And?")]))).await.answer();
        assert!(surrogates_in(answer.content()).is_empty(), "{}", answer.content());
    }
    house.log();
}
