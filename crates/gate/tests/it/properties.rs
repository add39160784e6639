//! Whatever the request, nothing planted leaves and everything comes back.

use crate::answers::answer;
use crate::house::{
    DETECTOR, EMAIL, House, OTHER_EMAIL, OTHER_SSN, PHONE, SSN, TOKENIZE, answer_text,
};
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;

const PLANTED: [&str; 5] = [SSN, EMAIL, PHONE, OTHER_SSN, OTHER_EMAIL];

/// Any text, with identifiers of our own between the pieces, each on a line with its label.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,24}",
        2 => any::<String>(),
        1 => Just("[SSN_7K3QF9ZD]".to_owned()),
        1 => Just("[SSN_".to_owned()),
    ];
    prop::collection::vec((piece, prop::option::of(0..PLANTED.len())), 0..5).prop_map(|pieces| {
        let mut text = String::new();
        for (piece, planted) in pieces {
            text.push_str(&piece);
            if let Some(planted) = planted {
                let label = ["SSN", "E-mail", "Phone", "SSN", "E-mail"][planted];
                write!(text, "\n{label}: {}\n", PLANTED[planted]).unwrap();
            }
        }
        text
    })
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i32>().prop_map(Value::from),
        6 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A number that was taken for an identifier comes back as text, so numbers are compared as text.
fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Array(items) => items.into_iter().map(as_text).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, as_text(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

fn holds_planted(value: &Value) -> bool {
    let planted = |text: &str| PLANTED.iter().any(|value| text.contains(value));
    match value {
        Value::String(text) => planted(text),
        Value::Array(items) => items.iter().any(holds_planted),
        Value::Object(members) => {
            members.iter().any(|(name, value)| planted(name) || holds_planted(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Sends `tree`, has it echoed, and returns what left and what came back.
async fn echo(tree: &Value) -> (Value, Value) {
    let house = House::new(TOKENIZE);
    let body = serde_json::json!({ "model": "local", "x": tree }).to_string();
    let (outbound, departed) = house.depart(&body).await;
    let left = outbound.body().expose();
    let parsed = serde_json::from_str(left).expect("what leaves is JSON");
    let released = house.commit(departed.end(Ok(answer(left)), &DETECTOR)).await;
    let back = serde_json::from_str(answer_text(released.outcome().0)).expect("an answer is JSON");
    (parsed, back)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_planted_leaves_and_everything_comes_back(tree in tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (left, back) = runtime.block_on(echo(&tree));
        prop_assert!(!holds_planted(&left), "{left}");
        prop_assert_eq!(as_text(back["x"].clone()), as_text(tree));
    }
}
