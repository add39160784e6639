//! The items of a response's input: those that a turn goes on from, and those that are listed.

use super::{MALFORMED, NoResponse, document};
use crate::export::ExchangeContent;
use gate::shape::Json;
use ledger::ExchangeId;
use phi::Text;

/// Items on a page that does not say how many it wants: `OpenAI`'s default.
const ITEMS: usize = 20;

/// The most items on a page: `OpenAI`'s limit.
const MAX_ITEMS: usize = 100;

/// In which order items are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The first first.
    Ascending,
    /// The last first, as `OpenAI` lists them unless it is asked otherwise.
    #[default]
    Descending,
}

/// Which of a list's items are wanted.
#[derive(Clone, Debug)]
pub struct Page {
    /// In which order.
    order: Order,
    /// How many at most.
    limit: usize,
    /// Those behind the item of this id.
    after: Option<String>,
}

/// The list has no such item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list has no item of that id")]
pub struct UnknownItem;

impl Page {
    /// A page of at most `limit` items, behind the one of the id `after`. Absent when no page is that long
    /// or that short.
    #[must_use]
    pub fn new(order: Order, limit: Option<usize>, after: Option<String>) -> Option<Self> {
        let limit = limit.unwrap_or(ITEMS);
        (1..=MAX_ITEMS).contains(&limit).then_some(Self { order, limit, after })
    }

    /// The page of these items, as `OpenAI` writes lists.
    pub(super) fn of(&self, mut items: Vec<Json>) -> Result<Json, UnknownItem> {
        if self.order == Order::Descending {
            items.reverse();
        }
        let begin = match &self.after {
            None => 0,
            Some(after) => {
                let is = |item: &Json| id_of(item).is_some_and(|id| id.expose() == after);
                items.iter().position(is).ok_or(UnknownItem)? + 1
            }
        };
        let has_more = items.len() > begin + self.limit;
        let page: Vec<Json> = items.into_iter().skip(begin).take(self.limit).collect();
        let id = |item: Option<&Json>| {
            item.and_then(id_of).map_or(Json::Null, |id| Json::Text(id.clone()))
        };
        let (first, last) = (id(page.first()), id(page.last()));
        Ok(Json::Map(vec![
            word("object", "list"),
            member("data", Json::List(page)),
            member("first_id", first),
            member("last_id", last),
            member("has_more", Json::Bool(has_more)),
        ]))
    }
}

fn id_of(item: &Json) -> Option<&Text> {
    item.member("id").and_then(Json::as_text)
}

pub(super) fn member(name: &str, value: Json) -> (Text, Json) {
    (Text::from(name), value)
}

pub(super) fn word(name: &str, value: &str) -> (Text, Json) {
    member(name, Json::Text(value.into()))
}

/// The items of the request that was answered, as its caller wrote them.
pub(super) fn written(content: &ExchangeContent) -> Result<Vec<Json>, NoResponse> {
    let Json::Map(members) = document(content.written.as_ref().ok_or(NoResponse::Unknown)?)? else {
        return Err(MALFORMED);
    };
    let input = members.into_iter().find(|(name, _)| name.expose() == "input");
    of_input(input.ok_or(MALFORMED)?.1).ok_or(MALFORMED)
}

/// The items of an input: a text is what a user says.
pub(super) fn of_input(input: Json) -> Option<Vec<Json>> {
    match input {
        Json::List(items) => Some(items),
        text @ Json::Text(_) => Some(vec![Json::Map(vec![
            word("type", "message"),
            word("role", "user"),
            member("content", text),
        ])]),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Map(_) => None,
    }
}

/// What a response said, as items of the next turn's input.
///
/// Ids are left out: no model server has anything under them. So is reasoning that nobody could read
/// without them: one that is neither sealed by the model nor written out.
pub(super) fn said(response: &Json) -> Vec<Json> {
    let Some(Json::List(output)) = response.member("output") else { return Vec::new() };
    output.iter().filter_map(said_again).collect()
}

fn said_again(item: &Json) -> Option<Json> {
    let Json::Map(members) = item else { return Some(item.clone()) };
    let kind = item.member("type").and_then(Json::as_text).map_or("", Text::expose);
    let reasoning = kind == "reasoning";
    if reasoning {
        let sealed =
            matches!(item.member("encrypted_content"), Some(Json::Text(text)) if !text.is_empty());
        let plain = matches!(item.member("content"), Some(Json::List(parts)) if !parts.is_empty());
        if !sealed && !plain {
            return None;
        }
    }
    // What is sealed is bound to its id, which the model server knows it by.
    let left_out = if reasoning { "status" } else { "id" };
    let members = members
        .iter()
        .filter(|(name, value)| name.expose() != left_out && !matches!(value, Json::Null))
        .map(|(name, value)| match (name.expose(), value) {
            ("content", Json::List(parts)) => {
                (name.clone(), Json::List(parts.iter().map(without_measures).collect()))
            }
            (_, value) => (name.clone(), value.clone()),
        });
    Some(Json::Map(members.collect()))
}

/// A part of a message without what was measured of it.
fn without_measures(part: &Json) -> Json {
    let Json::Map(members) = part else { return part.clone() };
    let said = members.iter().filter(|(name, _)| name.expose() != "logprobs");
    Json::Map(said.cloned().collect())
}

/// The items as they are listed: each with an id of its own, so that a page can begin behind it, and with
/// its content in parts.
pub(super) fn listed(items: Vec<Json>, exchange: ExchangeId) -> Vec<Json> {
    items.into_iter().enumerate().map(|(number, item)| one_listed(number, item, exchange)).collect()
}

fn one_listed(number: usize, item: Json, exchange: ExchangeId) -> Json {
    let Json::Map(members) = item else { return item };
    let text_of = |name: &str| {
        let found = members.iter().find(|(key, _)| key.expose() == name);
        found.and_then(|(_, value)| value.as_text()).map(|text| text.expose().to_owned())
    };
    let kind = text_of("type").unwrap_or_else(|| "message".to_owned());
    let assistant = text_of("role").as_deref() == Some("assistant");
    let has_status = members.iter().any(|(name, _)| name.expose() == "status");
    let mut listed =
        vec![word("id", &format!("{}_in{number}_{exchange}", prefix(&kind))), word("type", &kind)];
    if !has_status && kind != "reasoning" {
        listed.push(word("status", "completed"));
    }
    for (name, value) in members {
        let value = match (name.expose(), value) {
            ("id" | "type", _) => continue,
            ("content", text @ Json::Text(_)) => {
                let part = if assistant { "output_text" } else { "input_text" };
                let mut part = vec![word("type", part), member("text", text)];
                if assistant {
                    part.push(member("annotations", Json::List(Vec::new())));
                }
                Json::List(vec![Json::Map(part)])
            }
            (_, value) => value,
        };
        listed.push((name, value));
    }
    Json::Map(listed)
}

/// What ids of items of a kind begin with.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "function_call" => "fc",
        "function_call_output" => "fco",
        "reasoning" => "rs",
        _ => "msg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn items(count: usize) -> Vec<Json> {
        let input = vec![json(r#"{"role":"user","content":"Hello."}"#); count];
        listed(input, "exc_00000000000070008000000000000000".parse().unwrap())
    }

    fn ids(page: &Json) -> Vec<String> {
        let Some(Json::List(items)) = page.member("data") else { panic!("no list") };
        items.iter().map(|item| id_of(item).unwrap().expose().to_owned()).collect()
    }

    #[test]
    fn pages_one_after_the_other_hold_every_item_once() {
        for order in [Order::Ascending, Order::Descending] {
            for (count, limit) in [(0, 1), (1, 1), (7, 3), (6, 3), (100, 100), (101, 100)] {
                let (mut after, mut seen) = (None, Vec::new());
                loop {
                    let page = Page::new(order, Some(limit), after).unwrap();
                    let page = page.of(items(count)).unwrap();
                    seen.extend(ids(&page));
                    let Some(Json::Bool(more)) = page.member("has_more") else { panic!("no end") };
                    let last = page.member("last_id").and_then(Json::as_text);
                    after = last.map(|last| last.expose().to_owned());
                    if !more {
                        break;
                    }
                }
                let mut expected: Vec<_> =
                    items(count).iter().map(|it| id_of(it).unwrap().expose().to_owned()).collect();
                if order == Order::Descending {
                    expected.reverse();
                }
                assert_eq!(seen, expected, "{count} by {limit}");
            }
        }
    }

    #[test]
    fn a_page_of_no_length_and_one_after_nothing_are_refused() {
        assert!(Page::new(Order::Ascending, Some(0), None).is_none());
        assert!(Page::new(Order::Ascending, Some(101), None).is_none());
        let behind = Page::new(Order::Ascending, None, Some("msg_other".to_owned())).unwrap();
        assert_eq!(behind.of(items(3)).unwrap_err(), UnknownItem);
    }

    #[test]
    fn what_was_said_goes_on_without_ids_measures_and_reasoning_that_nobody_can_read() {
        let response = json(
            r#"{"output":[
                {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null},
                {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"c2VhbGVk","status":null},
                {"type":"reasoning","id":"rs_3","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]},
                {"type":"message","id":"msg_1","role":"assistant","status":"completed",
                 "content":[{"type":"output_text","text":"Yes.","annotations":[],"logprobs":[1]}]},
                {"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}"}]}"#,
        );
        let again = Json::List(said(&response)).to_text();
        assert_eq!(
            again.expose(),
            concat!(
                r#"[{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"c2VhbGVk"},"#,
                r#"{"type":"reasoning","id":"rs_3","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]},"#,
                r#"{"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Yes.","annotations":[]}]},"#,
                r#"{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}]"#,
            )
        );
    }
}
