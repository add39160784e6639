//! Compares what left and what came with what was due.

use super::Verdict;
use super::ask::Asking;
use super::hear::{self, Choice, Heard};
use super::vector::{Expect, Vector, Way};
use super::wire::{Came, End};
use crate::upstream::asked::{Route, turns};
use crate::upstream::{Captured, Dialect, Reply, Tokens};
use std::io;

/// Characters of a text that must have come while the model server was silent.
const CLEARLY_FLOWING: usize = 20;

/// Characters of a text that are told when it is not the due one.
const TOLD_CHARS: usize = 160;

/// One vector as it was asked.
pub(super) struct Case<'a> {
    pub(super) vector: &'a Vector,
    pub(super) dialect: Dialect,
    pub(super) way: Way,
    pub(super) asking: &'a Asking,
    pub(super) reply: &'a Reply,
    pub(super) planted: &'a [String],
}

/// No answer began.
pub(super) fn unanswered(vector: &Vector, way: Way, error: &io::Error) -> Verdict {
    match (vector.expect, way) {
        // A document that broke off is no document.
        (Expect::Broken, Way::Whole) => Verdict::Pass,
        (Expect::Answer | Expect::Flowing | Expect::Broken, _) => {
            Verdict::Fail(vec![format!("no answer: {error}")])
        }
    }
}

impl Case<'_> {
    pub(super) fn verdict(&self, came: &Came, captured: &[Captured]) -> Verdict {
        let leaks = self.leaks(captured);
        if !leaks.is_empty() {
            return Verdict::Fail(leaks);
        }
        let status = came.head.status;
        if captured.is_empty() && (400..500).contains(&status) {
            return if self.vector.may_refuse {
                Verdict::Refused
            } else {
                Verdict::Fail(vec![format!("refused with status {status}{}", code(&came.body))])
            };
        }
        if let Some(spoken) = captured.iter().find_map(route).map(|route| route.dialect)
            && spoken != self.dialect
            && !self.vector.carried_by(spoken)
        {
            let why = format!("the model is asked in {}, which cannot say this", spoken.name());
            return Verdict::Unsupported(why);
        }
        let mut faults = Vec::new();
        if captured.is_empty() {
            faults.push("the model server was not asked".to_owned());
        }
        match self.vector.expect {
            Expect::Answer => self.answer(came, captured, &mut faults),
            Expect::Broken => self.broken(came, captured, &mut faults),
            Expect::Flowing => self.flowing(came, captured, &mut faults),
        }
        if faults.is_empty() { Verdict::Pass } else { Verdict::Fail(faults) }
    }

    /// What reached the model server and must not.
    fn leaks(&self, captured: &[Captured]) -> Vec<String> {
        let mut leaks = Vec::new();
        for value in self.planted {
            if captured.iter().any(|captured| left(captured, value)) {
                leaks.push(format!("{value:?} reached the model server"));
            }
        }
        leaks
    }

    /// What the caller must hear: what the model would have said, had it been asked in the clear.
    fn due(&self, captured: &[Captured]) -> Heard {
        let settled = captured.first().map(|captured| self.reply.settled(captured));
        let reply = settled.unwrap_or_else(|| self.reply.clone());
        let reply = reply.seeing(Tokens::values(self.planted));
        let body = reply.body_at(&self.asking.path, &self.asking.body).unwrap_or_default();
        self.hear(&body)
    }

    fn hear(&self, body: &[u8]) -> Heard {
        match self.way {
            Way::Whole => hear::document(self.dialect, body),
            Way::Stream => hear::stream(self.dialect, body),
        }
    }

    fn answer(&self, came: &Came, captured: &[Captured], faults: &mut Vec<String>) {
        let status = came.head.status;
        if status != 200 {
            faults.push(format!("status {status}{}", code(&came.body)));
            return;
        }
        let (due, heard) = (self.due(captured), self.hear(&came.body));
        faults.extend(heard.faults.iter().cloned());
        if came.end != End::Whole {
            faults.push("the connection broke before the answer was whole".to_owned());
        }
        if let Some(error) = &heard.error {
            faults.push(format!("an error came: {}", told(&error.to_string())));
        }
        if !heard.complete {
            faults.push("the answer does not end as the dialect ends one".to_owned());
        }
        if due.usage != heard.usage {
            let which = if due.usage { "missing" } else { "there unasked" };
            faults.push(format!("the usage is {which}"));
        }
        if due.repeated != heard.repeated {
            faults.push("what the server repeats of the request is not what was asked".to_owned());
        }
        if due.choices.len() != heard.choices.len() {
            let (due, heard) = (due.choices.len(), heard.choices.len());
            faults.push(format!("{heard} choices in place of {due}"));
        }
        for (due, heard) in due.choices.iter().zip(&heard.choices) {
            compare(due, heard, faults);
        }
    }

    /// What came must be true as far as it goes, and must not look whole.
    fn broken(&self, came: &Came, captured: &[Captured], faults: &mut Vec<String>) {
        if came.head.status != 200 {
            return;
        }
        let heard = self.hear(&came.body);
        let whole = came.end == End::Whole && heard.complete && heard.error.is_none();
        if whole {
            faults.push("an answer that broke off looks whole".to_owned());
        }
        if came.end == End::Silent {
            faults.push("nothing says that the answer broke off".to_owned());
        }
        self.beginning(&heard, captured, faults);
    }

    fn flowing(&self, came: &Came, captured: &[Captured], faults: &mut Vec<String>) {
        if came.end != End::Silent {
            faults.push("the stream ended though the model server went on".to_owned());
        }
        let heard = self.hear(&came.body);
        let shown = heard.choices.first().map_or(0, |choice| choice.text.chars().count());
        if shown < CLEARLY_FLOWING {
            faults.push(format!("only {shown} characters came before the model server went on"));
        }
        self.beginning(&heard, captured, faults);
    }

    fn beginning(&self, heard: &Heard, captured: &[Captured], faults: &mut Vec<String>) {
        let due = self.due(captured);
        for (due, heard) in due.choices.iter().zip(&heard.choices) {
            // What is left of a surrogate that the end cut stands for nothing.
            if !due.text.starts_with(without_cut_end(&heard.text)) {
                faults.push(differing("the beginning", &due.text, &heard.text));
            }
        }
    }
}

/// A text without the beginning of a surrogate at its end.
fn without_cut_end(text: &str) -> &str {
    match text.rfind(['[', '<']) {
        Some(at) if !text[at..].contains([']', '>']) => &text[..at],
        Some(_) | None => text,
    }
}

fn route(captured: &Captured) -> Option<Route> {
    Route::of(&captured.method, &captured.path, &captured.json())
}

/// Whether a value left with a request, also cut over parts that a model reads as one text.
fn left(captured: &Captured, value: &str) -> bool {
    if captured.holds(value) {
        return true;
    }
    let Some(route) = route(captured) else { return false };
    let flat = |text: &str| text.replace('\n', "");
    turns(route.dialect, &captured.json())
        .iter()
        .any(|turn| flat(&turn.texts.concat()).contains(&flat(value)))
}

/// The stable word of an error, if it has one.
fn code(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = ["/error/code", "/error/type", "/error/status", "/code", "/__type"];
    let code = code.iter().find_map(|pointer| body.pointer(pointer)?.as_str());
    code.map(|code| format!(" {}", told(code))).unwrap_or_default()
}

fn told(text: &str) -> String {
    let mut told: String = text.chars().take(TOLD_CHARS).collect();
    if told.len() < text.len() {
        told.push_str("...");
    }
    told
}

fn differing(what: &str, due: &str, heard: &str) -> String {
    format!("{what}: due {:?}, came {:?}", told(due), told(heard))
}

fn compare(due: &Choice, heard: &Choice, faults: &mut Vec<String>) {
    let mut text = |what: &str, due: &str, heard: &str| {
        if due != heard {
            faults.push(differing(what, due, heard));
        }
    };
    text("text", &due.text, &heard.text);
    text("refusal", &due.refusal, &heard.refusal);
    text("finish", &due.finish, &heard.finish);
    text("log probabilities", &due.logprobs, &heard.logprobs);
    text("redacted thinking", &due.redacted.join(" "), &heard.redacted.join(" "));
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(one, two)| format!("{one} / {two}")).collect::<Vec<_>>().join(" | ")
    };
    text("thinking and signature", &pairs(&due.thinking), &pairs(&heard.thinking));
    text("citations", &pairs(&due.citations), &pairs(&heard.citations));
    let calls = |choice: &Choice| {
        let calls = choice.calls.iter().map(|call| format!("{}({})", call.name, call.arguments));
        calls.collect::<Vec<_>>().join(" ")
    };
    text("tool calls", &calls(due), &calls(heard));
}

#[cfg(test)]
mod tests {
    use super::super::ask::asking;
    use super::*;
    use crate::client::Head;
    use crate::upstream::eventstream;
    use serde_json::Value;

    /// Every vector in every dialect and way in which it says something.
    fn each(mut check: impl FnMut(&Vector, Dialect, Way)) {
        for vector in Vector::all().unwrap() {
            for dialect in Dialect::ALL {
                for way in [Way::Whole, Way::Stream] {
                    if vector.applies(dialect, way) {
                        check(&vector, dialect, way);
                    }
                }
            }
        }
    }

    fn masked(value: &Value, planted: &[String]) -> Value {
        let mask = |text: &str| {
            planted.iter().enumerate().fold(text.to_owned(), |text, (number, value)| {
                text.replace(value, &format!("[NAME_{:08}]", number + 70_000_000))
            })
        };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner) if inner.is_object() => {
                    Value::String(masked(&inner, planted).to_string())
                }
                Ok(_) | Err(_) => Value::String(mask(text)),
            },
            Value::Array(items) => items.iter().map(|item| masked(item, planted)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                fields.map(|(key, item)| (mask(key), masked(item, planted))).collect()
            }
        }
    }

    fn captured(path: &str, body: &Value) -> Captured {
        Captured {
            number: 0,
            connection: 0,
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_string().into(),
            complete: true,
        }
    }

    /// What is judged when a gateway masks the planted values, and delivers `alter` of what is due.
    fn judged(
        vector: &Vector,
        dialect: Dialect,
        way: Way,
        alter: &dyn Fn(&str) -> String,
    ) -> Verdict {
        let asking = asking(&vector.ask, dialect, way, "stand-in");
        let reply = vector.replies(&Tokens::bulla()).swap_remove(0);
        let sent = captured(&asking.path, &masked(&asking.body, &vector.planted));
        let due = reply.settled(&sent).seeing(Tokens::values(&vector.planted));
        let mut body = due.body_at(&asking.path, &asking.body).unwrap();
        body = altered(&body, dialect, way, alter);
        let end = match vector.expect {
            Expect::Answer => End::Whole,
            Expect::Broken => End::Broken,
            Expect::Flowing => End::Silent,
        };
        if end != End::Whole {
            body.truncate(body.len() / 2);
        }
        let head = Head { status: 200, headers: Vec::new() };
        let planted = &vector.planted;
        let case = Case { vector, dialect, way, asking: &asking, reply: &reply, planted };
        case.verdict(&Came { head, body, end }, &[sent])
    }

    fn altered(body: &[u8], dialect: Dialect, way: Way, alter: &dyn Fn(&str) -> String) -> Vec<u8> {
        if (dialect, way) != (Dialect::Converse, Way::Stream) {
            return alter(std::str::from_utf8(body).unwrap()).into_bytes();
        }
        let (mut rest, mut altered) = (body, Vec::new());
        while let Some((message, length)) = eventstream::take(rest).unwrap() {
            let payload = alter(std::str::from_utf8(&message.payload).unwrap());
            let headers: Vec<(&str, &str)> = message
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            altered.extend(eventstream::message(&headers, payload.as_bytes()));
            rest = &rest[length..];
        }
        altered
    }

    fn failed(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Fail(_))
    }

    #[test]
    fn what_a_faultless_gateway_delivers_passes_every_vector_in_every_dialect() {
        each(|vector, dialect, way| {
            // Masking value by value cannot see one that is cut over two parts, nor the caller's key.
            if ["places.two_parts", "places.key"].contains(&vector.id.as_str()) {
                return;
            }
            let verdict = judged(vector, dialect, way, &str::to_owned);
            assert_eq!(verdict, Verdict::Pass, "{} {dialect:?} {way:?}", vector.id);
        });
    }

    /// What a careless gateway does to an answer.
    const CARELESS: [(&str, &str); 9] = [
        ("c2lnbmVk", "c2lnbmVl"),
        ("c2VhbGVk", "c2VhbGVl"),
        ("YzJsbmJt", "YzJsbmJu"),
        ("YzJWaGJH", "YzJWaGJI"),
        ("\"usage\"", "\"used\""),
        ("max_tokens", "end_turn"),
        ("length", "stop"),
        ("MAX_TOKENS", "STOP"),
        ("max_output_tokens", "content_filter"),
    ];

    const FILTERED: [(&str, &str); 4] = [
        ("\"refusal\"", "\"end_turn\""),
        ("\"content_filter\"", "\"stop\""),
        ("\"content_filtered\"", "\"end_turn\""),
        ("\"SAFETY\"", "\"STOP\""),
    ];

    #[test]
    fn a_careless_change_fails_the_vector_that_is_about_it() {
        each(|vector, dialect, way| {
            if vector.unprotected == super::super::Unprotected::Fails {
                return;
            }
            let changes = CARELESS.iter().chain(&FILTERED);
            let noticed = changes.filter(|(from, to)| {
                failed(&judged(vector, dialect, way, &|body| body.replace(from, to)))
            });
            assert!(noticed.count() > 0, "{} {dialect:?} {way:?}", vector.id);
        });
    }

    #[test]
    fn another_persons_name_in_the_answer_fails() {
        each(|vector, dialect, way| {
            let Some(value) = vector.planted.first().filter(|it| it.is_ascii()) else { return };
            let part: String = value.chars().take(1).collect();
            // Letter by letter, no name stands in one piece.
            let alter = |body: &str| body.replace(&part, "Z");
            let whole = judged(vector, dialect, Way::Whole, &|body| body.to_owned());
            let answers = dialect.streams() && !vector.id.starts_with("places.");
            if answers && vector.expect == Expect::Answer && whole == Verdict::Pass {
                let verdict = judged(vector, dialect, way, &alter);
                assert!(failed(&verdict), "{} {dialect:?} {way:?}", vector.id);
            }
        });
    }

    #[test]
    fn an_answer_without_its_end_fails() {
        each(|vector, dialect, way| {
            let ends = way == Way::Stream && vector.expect == Expect::Answer;
            if ends && dialect != Dialect::Converse {
                let cut = |body: &str| {
                    let events: Vec<&str> = body.split_inclusive("\n\n").collect();
                    events[..events.len() - 1].concat()
                };
                let verdict = judged(vector, dialect, way, &cut);
                // With lines that end in CRLF the whole stream is one such piece.
                assert!(failed(&verdict), "{} {dialect:?}", vector.id);
            }
        });
    }

    #[test]
    fn a_value_that_is_cut_over_two_parts_is_found() {
        let body = serde_json::json!({ "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "219-0" }, { "type": "text", "text": "9-9999" }] }] });
        let sent = captured("/v1/chat/completions", &body);
        assert!(left(&sent, "219-09-9999") && !left(&sent, "219-09-9998"));
    }
}
