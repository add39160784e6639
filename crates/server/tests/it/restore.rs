//! Under tokenize nothing planted leaves, and every value comes back in its right place.

use crate::house::{House, Serving, streaming, user};
use crate::rules::Rules;
use phi::Class;
use serde_json::{Value, json};
use testkit::client::{Response, chat, streamed};
use testkit::notes::{self, Note};
use testkit::people::{DESMOND, MARISOL, SOLVEIG};
use testkit::upstream::{Arguments, Block, Call, Captured, Pieces, Reply, Source, Upstream};

fn check_clean(note: &Note, captured: &Captured) {
    let left: Vec<_> = note.planted.iter().filter(|it| captured.holds(&it.value)).collect();
    assert!(left.is_empty(), "left the house: {left:?}");
}

/// What the headers must say of any exchange that was tokenized.
fn check_headers(note: &Note, response: &Response) {
    let header = |name| response.header(name).unwrap_or_else(|| panic!("no {name}"));
    assert!(header("x-request-id").starts_with("exc_"));
    assert!(header("x-bulla-receipt").starts_with("bulla/dep_"));
    assert_eq!(header("x-bulla-decision"), "tokenized");
    assert_eq!(header("x-bulla-deidentified"), "false");
    assert_eq!(
        header("x-bulla-path"),
        "cloud; clinic-server=inside, examplecloud=baa-examplecloud"
    );
    assert_eq!(header("cache-control"), "no-store");
    for (name, value) in &response.head.headers {
        assert!(note.leaks_into(value).is_empty(), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_note_of_every_class_leaves_clean_and_comes_back_whole() {
    let note = notes::every_class();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();

    let response = serving.ask(&user(&note.text)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(response.answer().content(), note.text);
    check_headers(&note, &response);
    let found = response.header("x-bulla-phi").unwrap();
    for class in Class::ALL {
        assert!(found.contains(&format!("{class}=")), "{class} is not in {found}");
    }

    let transcript = serving.stream(&user(&note.text)).await;
    let answer = transcript.answer();
    assert_eq!(answer.content(), note.text);
    assert!(answer.done && transcript.end.is_ok() && answer.error.is_none());
    assert_eq!(transcript.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(transcript.head.header("x-bulla-deidentified"), Some("false"));

    let captured = upstream.captured();
    assert_eq!(captured.len(), 2);
    for request in &captured {
        check_clean(&note, request);
        assert!(request.complete);
        assert_eq!(request.path, "/v1/chat/completions");
        assert!(note.clinical.iter().all(|word| request.holds(word)), "{}", request.text());
        assert!(!request.holds("bulla_"), "the caller's key left: {:?}", request.headers);
        assert_eq!(request.header("x-bulla-purpose"), None);
    }
    let first = testkit::upstream::surrogates_in(&captured[0].text());
    let second = testkit::upstream::surrogates_in(&captured[1].text());
    assert!(first.len() >= Class::ALL.len(), "{first:?}");
    assert!(first.iter().all(|it| !second.contains(it)), "surrogates are derived or reused");
    check_records(&house, &serving, &response).await;
}

/// Both records of an answered exchange, and what `bulla audit show` makes of them.
async fn check_records(house: &House, serving: &Serving, response: &Response) {
    let log = house.log();
    let exchange = response.header("x-request-id").unwrap();
    let receipt = response.header("x-bulla-receipt").unwrap();
    let ledger::Event::Outcome(outcome) = &log.at(receipt).event else { panic!("no outcome") };
    assert_eq!(outcome.about.exchange.to_string(), exchange);
    assert_eq!(outcome.outcome, "answered");
    assert_eq!(outcome.about.actor.name, "Example Bot");
    assert_eq!(outcome.about.purpose.as_deref(), Some("treatment"));
    assert!(outcome.about.treatments.values().all(|treatment| treatment == "tokenized"));
    assert!(outcome.reply.as_ref().unwrap().restored > 0);
    assert!(log.intents()[exchange].surrogates.minted > 0);
    assert_eq!(log.intents().len(), 2);

    let note = notes::every_class();
    for which in [exchange, receipt] {
        let shown = house.run(&["audit", "show", which]).ok();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert!(shown["written"].as_str().unwrap().contains(MARISOL.name), "{shown}");
        let left: Vec<_> = note.leaks_into(shown["left"].as_str().unwrap());
        assert!(left.is_empty(), "{left:?}");
        assert!(shown["delivered"].as_str().unwrap().contains(MARISOL.name));
        assert!(note.leaks_into(shown["received"].as_str().unwrap()).is_empty());
    }
    let reads = house.log();
    let reads = reads.events().filter(|it| matches!(it, ledger::Event::ContentRead { .. }));
    assert_eq!(reads.count(), 2);
    // Reading the log from beside did not disturb the server.
    assert_eq!(serving.get("/v1/models").await.status(), 200);
}

/// Every place of a request that can hold text, each with an identifier in it.
fn everywhere() -> (Value, Vec<&'static str>) {
    let mut body = json!({
        "model": "stand-in",
        "messages": [
            { "role": "system", "content": format!("The patient's SSN: {}", MARISOL.ssn) },
            { "role": "user", "name": MARISOL.email, "content": [
                { "type": "text", "text": format!("Phone: {}", MARISOL.phone) },
                { "type": "text", "text": "blood pressure 132/84 mmHg" }
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "call_1", "type": "function", "function": {
                    "name": "look_up",
                    "arguments": json!({ "patient_name": DESMOND.name, DESMOND.email: [1] })
                        .to_string()
                } }
            ] },
            { "role": "tool", "tool_call_id": "call_1",
              "content": json!({ "ssn": DESMOND.ssn, "phone": DESMOND.phone }).to_string() },
            { "role": "user", "content": "Is metformin 1000 mg still right?" }
        ],
        "tools": [ { "type": "function", "function": {
            "name": "look_up",
            "description": format!("Looks up the chart of SSN: {}", SOLVEIG.ssn),
            "parameters": { "type": "object", "properties": {
                "email": { "type": "string", "default": SOLVEIG.email } } }
        } } ],
        "stop": [SOLVEIG.phone],
        "metadata": { "patient_name": SOLVEIG.name },
        "user": "m.quintero@post.example"
    });
    body["prediction"] = json!({ "type": "content", "content": "Fax: (828) 555-0178" });
    let values = vec![
        MARISOL.ssn,
        MARISOL.email,
        MARISOL.phone,
        DESMOND.name,
        DESMOND.email,
        DESMOND.ssn,
        DESMOND.phone,
        SOLVEIG.ssn,
        SOLVEIG.email,
        SOLVEIG.phone,
        SOLVEIG.name,
        "m.quintero@post.example",
        "(828) 555-0178",
    ];
    (body, values)
}

#[tokio::test]
async fn identifiers_leave_through_no_field_of_a_request() {
    let upstream = Upstream::start(Reply::echo_all()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let (body, values) = everywhere();
    for body in [body.clone(), streaming(&body)] {
        let response = serving.ask(&body).await;
        assert_eq!(response.status(), 200, "{}", response.text());
    }
    for captured in upstream.captured() {
        let left: Vec<_> = values.iter().filter(|value| captured.holds(value)).collect();
        assert!(left.is_empty(), "{left:?} left in {}", captured.text());
        assert!(captured.holds("metformin 1000 mg") && captured.holds("132/84 mmHg"));
    }
}

fn with_tools(text: &str) -> Value {
    let mut body = user(text);
    body["tools"] = json!([{ "type": "function", "function": { "name": "keep", "parameters":
        { "type": "object", "properties": { "note": { "type": "string" } } } } }]);
    body
}

#[tokio::test]
async fn the_arguments_of_parallel_tool_calls_come_back_as_valid_json() {
    // The line feeds, quotes and letters outside ASCII of the note must survive inside JSON.
    let note = notes::every_class();
    let text = format!("{}He said \"call {}\".\\", note.text, SOLVEIG.name);
    let field = |source| Arguments::Fields(vec![("note".to_owned(), source)]);
    let calls = vec![
        Call::new("keep", field(Source::LastUser)),
        Call::new("keep", Arguments::Surrogates),
        Call::new("keep", field(Source::Fixed("nothing to restore".to_owned()))),
    ];
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let replies =
        [Reply::calls(calls.clone()), Reply::interleaved_calls(calls).in_pieces(Pieces::Chars(3))];
    for reply in replies {
        upstream.play(reply);
        let whole = serving.ask(&with_tools(&text)).await.answer();
        let transcript = serving.stream(&with_tools(&text)).await;
        assert!(transcript.answer().done);
        for answer in [whole, transcript.answer()] {
            assert_eq!(answer.choices[0].finish_reason, "tool_calls");
            let parsed = |call| -> Value { serde_json::from_str(answer.arguments(call)).unwrap() };
            assert_eq!(parsed(0)["note"], text.as_str());
            let found: Vec<String> = serde_json::from_value(parsed(1)["found"].clone()).unwrap();
            for value in [MARISOL.name, MARISOL.ssn, MARISOL.mrn, SOLVEIG.name] {
                assert!(found.iter().any(|it| it == value), "{value} is not in {found:?}");
            }
            assert_eq!(parsed(2)["note"], "nothing to restore");
            assert!(answer.choices[0].tool_calls.iter().all(|call| call.name == "keep"));
        }
    }
    for captured in upstream.captured() {
        check_clean(&note, &captured);
    }
}

#[tokio::test]
async fn a_value_that_json_must_escape_comes_back_escaped() {
    let name = "Marisol \"Mari\" Quintero";
    let chart = json!({ "patient_name": name, "email": MARISOL.email }).to_string();
    let mut body = with_tools("Keep the chart.");
    body["messages"].as_array_mut().unwrap().extend([
        json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1",
            "type": "function", "function": { "name": "keep", "arguments": chart } }] }),
        json!({ "role": "tool", "tool_call_id": "call_1", "content": chart }),
        json!({ "role": "user", "content": "Once more." }),
    ]);
    let calls = vec![Call::new("keep", Arguments::Surrogates)];
    let upstream = Upstream::start(Reply::calls(calls).in_pieces(Pieces::Chars(2))).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let whole = serving.ask(&body).await.answer();
    let streamed = serving.stream(&body).await.answer();
    for answer in [whole, streamed] {
        let parsed: Value = serde_json::from_str(answer.arguments(0)).unwrap();
        let found: Vec<String> = serde_json::from_value(parsed["found"].clone()).unwrap();
        assert!(found.iter().any(|it| it == name), "{found:?}");
    }
    for captured in upstream.captured() {
        assert!(!captured.holds("Quintero") && !captured.holds(MARISOL.email));
    }
}

#[tokio::test]
async fn every_choice_is_restored_and_usage_comes_only_when_asked_for() {
    let note = notes::second_patient();
    let upstream = Upstream::start(Reply::echo().in_ascii()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let mut body = user(&note.text);
    body["n"] = json!(2);
    let whole = serving.ask(&body).await.answer();
    let transcript = serving.stream(&body).await;
    for answer in [&whole, &transcript.answer()] {
        assert_eq!(answer.choices.len(), 2);
        for choice in &answer.choices {
            assert_eq!(choice.content, note.text);
            assert_eq!(choice.finish_reason, "stop");
        }
    }
    assert!(whole.usage.is_some() && transcript.answer().usage.is_none());
    let counted = serving.stream(&streamed(body)).await;
    let last = &counted.events[counted.events.len() - 2];
    assert_eq!(last.json()["choices"], json!([]));
    assert!(last.json()["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert_eq!(counted.events.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn text_that_looks_like_a_surrogate_stays_what_it_is() {
    let fakes = "[NAME_AB12CD34] [SSN_00000000] [[DATE_ZZZZZZZZ]] [TEXT_7K3QF9ZD] [NAME_";
    let text = format!("{} Patient: {} {}", fakes, MARISOL.name, fakes.repeat(200));
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let response = serving.ask(&user(&text)).await;
    assert_eq!(response.answer().content(), text);
    assert_eq!(serving.stream(&user(&text)).await.answer().content(), text);
    for captured in upstream.captured() {
        assert!(!captured.holds(MARISOL.name));
        assert!(!captured.holds("[NAME_AB12CD34]") && !captured.holds("[SSN_00000000]"));
    }
    // A surrogate that the model invents stands for nothing here, so it stays visible.
    upstream.play(Reply::text("It was [NAME_AB12CD34], or [NAME_, or [SSN_0000"));
    let response = serving.ask(&chat(&[("user", MARISOL.ssn)])).await;
    assert_eq!(response.answer().content(), "It was [NAME_AB12CD34], or [NAME_, or [SSN_0000");
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    assert_eq!(outcome.reply.unwrap().unknown, 1);
}

#[tokio::test]
async fn refusals_and_thoughts_are_restored_like_any_text() {
    let note = notes::second_patient();
    let refusal = Reply::blocks(vec![Block::Refusal(Source::LastUser)]);
    let thinking = Reply::text("Yes.").with_reasoning(Source::LastUser);
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    for (reply, refused) in [(refusal, true), (thinking, false)] {
        upstream.play(reply);
        let whole = serving.ask(&user(&note.text)).await.answer();
        let streamed = serving.stream(&user(&note.text)).await.answer();
        for answer in [whole, streamed] {
            let choice = &answer.choices[0];
            let said = if refused { &choice.refusal } else { &choice.reasoning };
            assert!(answer.done && *said == note.text, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_the_model_adds_of_its_own_is_counted_in_the_record() {
    let (note, other) = (notes::every_class(), notes::second_patient());
    let upstream = Upstream::start(Reply::text(&other.text)).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let response = serving.ask(&user(&note.text)).await;
    assert_eq!(response.answer().content(), other.text);
    let outcome = house.outcome(response.header("x-request-id").unwrap()).await;
    let reply = outcome.reply.unwrap();
    assert_eq!(reply.restored, 0);
    assert!(reply.findings["SSN"] >= 1 && reply.findings["NAME"] >= 1, "{reply:?}");
}

#[tokio::test]
async fn more_look_alikes_than_a_conversation_may_hold_are_refused() {
    let fakes: Vec<String> = (0..50_001).map(|number| format!("[NAME_{number:08}]")).collect();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let serving = house.serve();
    let text = format!("Patient: {} {}", MARISOL.name, fakes.join(" "));
    let response = serving.ask(&user(&text)).await;
    crate::house::check_refusal(&response, 413, "request_too_large", &[MARISOL.name]);
    assert_eq!(upstream.connections(), 0);
}
