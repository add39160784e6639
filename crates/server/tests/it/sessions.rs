//! No content crosses from one conversation to another: what leaves for one holds nothing of another's.

use crate::house::House;
use crate::rules::Rules;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::client::{Request, call};
use testkit::upstream::{Captured, Reply, Upstream, surrogates_in};

/// Conversations that take turns at once.
const AT_ONCE: usize = 8;

/// Turns of a conversation that has a name; one that has none is over after its first.
const TURNS: usize = 2;

/// Plain words for digits, in which the detector hardly ever sees anything.
const WORDS: [&str; 10] = [
    "slowly", "rarely", "gently", "mostly", "badly", "calmly", "loudly", "nearly", "poorly",
    "safely",
];

/// Words that stand in one conversation and nowhere else.
fn mark(conversation: usize) -> String {
    let digits = format!("{conversation:05}");
    let words: Vec<&str> = digits.bytes().map(|digit| WORDS[usize::from(digit - b'0')]).collect();
    format!("({})", words.join(" "))
}

fn text(conversation: usize) -> String {
    let number = 10_000_000 + conversation;
    format!("{} MRN: {number}. Patient: Marisol Quintero.", mark(conversation))
}

const fn is_named(conversation: usize) -> bool {
    !conversation.is_multiple_of(3)
}

/// What left is of the conversation that its seed names and of no other. Whether its mark is to be seen,
/// because nothing in it was taken for an identifier.
fn check_sent(sent: &Captured, rest: &Value, owners: &mut BTreeMap<String, usize>) -> bool {
    let mut body = sent.json();
    // No text stands in the seed, so it leaves as it came and says whose the rest is.
    let seed = body["seed"].take();
    let conversation = usize::try_from(seed.as_u64().unwrap()).unwrap();
    let content = body["messages"][0]["content"].take();
    let content = content.as_str().unwrap();
    // Around them, what leaves is the same for all.
    assert_eq!(&body, rest, "{conversation}");
    let (said, mut left) = (text(conversation), content.to_owned());
    for surrogate in surrogates_in(content) {
        // The same patient has another surrogate in each conversation: nothing is shared.
        let owner = *owners.entry(surrogate.clone()).or_insert(conversation);
        assert_eq!(owner, conversation, "{surrogate} left in two conversations");
        left = left.replace(&surrogate, "\0");
    }
    // What is no surrogate was said in this conversation, in this order, and nothing else leaves.
    let mut own = said.as_str();
    for piece in left.split('\0') {
        let at = own.find(piece);
        let at = at.unwrap_or_else(|| panic!("{piece} is nothing of {conversation}: {content}"));
        own = &own[at + piece.len()..];
    }
    let number = (10_000_000 + conversation).to_string();
    assert!(!content.contains(&number) && !content.contains("Quintero"), "{content}");
    assert!(!sent.headers.iter().any(|(name, _)| {
        name.contains("conversation") || name.contains("cookie") || name.contains("session")
    }));
    content.contains(&mark(conversation))
}

/// Takes turns in so many conversations, some of them without a name, and reads what left.
#[expect(clippy::print_stdout, reason = "what a soak counted goes into docs/faults.md")]
async fn check(conversations: usize) {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..AT_ONCE {
        let (address, key) = (serving.address, house.key.clone());
        tasks.spawn(async move {
            // The second turn comes after as many other conversations as there are.
            for turn in 0..TURNS {
                for conversation in (lane..conversations).step_by(AT_ONCE) {
                    let text = text(conversation);
                    let message = json!([{ "role": "user", "content": text }]);
                    let body =
                        json!({ "model": "stand-in", "messages": message, "seed": conversation });
                    let mut asked = Request::chat(&body).bearer(&key);
                    if is_named(conversation) {
                        let name = format!("visit {conversation}");
                        asked = asked.header("x-bulla-conversation", &name);
                    } else if turn > 0 {
                        continue;
                    }
                    let answer = call(address, &asked).await.unwrap();
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    assert_eq!(answer.answer().content(), text);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let captured = upstream.captured();
    let named = (0..conversations).filter(|it| is_named(*it)).count();
    assert_eq!(captured.len(), conversations + (TURNS - 1) * named);
    let mut rest = captured[0].json();
    (rest["seed"], rest["messages"][0]["content"]) = (Value::Null, Value::Null);
    let mut owners = BTreeMap::new();
    let seen = captured.iter().filter(|sent| check_sent(sent, &rest, &mut owners)).count();
    // A mark that was taken for an identifier is no mark, so nearly all must have been left alone.
    assert!(seen * 100 >= captured.len() * 99, "{seen} marks of {} are seen", captured.len());
    assert!(owners.len() >= 2 * conversations, "{} surrogates", owners.len());
    println!("{} requests left, {seen} marks seen, {} surrogates", captured.len(), owners.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_for_one_conversation_holds_nothing_of_another() {
    check(120).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a soak of minutes; its result is in docs/faults.md"]
async fn ten_thousand_conversations_share_nothing() {
    check(10_000).await;
}
