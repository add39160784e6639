//! No content crosses from one conversation to another: what leaves for one holds nothing of another's.

use crate::house::House;
use crate::rules::Rules;
use serde_json::json;
use std::collections::BTreeSet;
use testkit::client::{Request, call};
use testkit::upstream::{Reply, Upstream, surrogates_in};

/// Conversations that take turns at once.
const AT_ONCE: usize = 8;

/// Plain words for digits, in which the detector sees nobody.
const WORDS: [&str; 10] =
    ["apple", "bread", "chair", "door", "engine", "fish", "glass", "house", "island", "juice"];

/// Words in brackets that stand in one conversation and nowhere else.
fn mark(conversation: usize) -> String {
    let digits = format!("{conversation:05}");
    let words: Vec<&str> = digits.bytes().map(|digit| WORDS[usize::from(digit - b'0')]).collect();
    format!("({})", words.join(" "))
}

/// Takes turns in so many conversations, some of them without a name, and reads what left.
async fn check(conversations: usize) {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..AT_ONCE {
        let (address, key) = (serving.address, house.key.clone());
        tasks.spawn(async move {
            for conversation in (lane..conversations).step_by(AT_ONCE) {
                let mark = mark(conversation);
                let text = format!("{mark} MRN: {:08}. Patient: Marisol Quintero.", 10_000_000 + conversation);
                let body = json!({ "model": "stand-in", "messages": [{ "role": "user", "content": text }] });
                let asked = Request::chat(&body).bearer(&key);
                let asked = if conversation % 3 == 0 {
                    asked
                } else {
                    asked.header("x-bulla-conversation", &format!("visit {conversation}"))
                };
                let answer = call(address, &asked).await.unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text());
                assert_eq!(answer.answer().content(), text);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let captured = upstream.captured();
    assert_eq!(captured.len(), conversations);
    let (mut marks, mut surrogates) = (BTreeSet::new(), BTreeSet::new());
    for sent in &captured {
        let text = sent.text();
        let found: Vec<&str> =
            text.split('(').skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert_eq!(found.len(), 1, "what left holds the content of none or several: {text}");
        assert!(marks.insert(found[0].to_owned()), "{found:?} left twice");
        // The same patient has another surrogate in each conversation: nothing is shared.
        for surrogate in surrogates_in(&text) {
            assert!(surrogates.insert(surrogate.clone()), "{surrogate} left in two conversations");
        }
        let names: Vec<&String> = sent.headers.iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.contains("conversation") || name.contains("cookie")));
    }
    let expected: BTreeSet<String> =
        (0..conversations).map(|it| mark(it).trim_matches(['(', ')']).to_owned()).collect();
    assert_eq!(marks, expected);
    assert!(surrogates.len() >= 2 * conversations);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_for_one_conversation_holds_nothing_of_another() {
    check(120).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run it by its name"]
async fn ten_thousand_conversations_share_nothing() {
    check(10_000).await;
}
