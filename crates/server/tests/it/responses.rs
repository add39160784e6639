//! Responses by their ids: had again, gone on from and withdrawn, in front of destinations of every
//! dialect, by the key that asked and by nobody else.

use crate::clients::{PLACES, rules};
use crate::house::{House, Serving};
use crate::rules::Rules;
use bytes::Bytes;
use ledger::Event;
use serde_json::{Value, json};
use testkit::client::{Request, Response};
use testkit::people::{DESMOND, MARISOL};
use testkit::upstream::{Captured, Reply, Upstream, surrogates_in};

async fn world(reply: Reply) -> (Upstream, House) {
    let upstream = Upstream::start(reply).await;
    let house = House::with(&Rules::cloud(&upstream));
    house.apply(&rules(&upstream, &house)).ok();
    (upstream, house)
}

fn post(serving: &Serving, body: &Value) -> Request {
    Request::post("/v1/responses", body).bearer(serving.key())
}

fn bare(serving: &Serving, method: &str, path: &str) -> Request {
    Request::new(method, path, Bytes::new()).bearer(serving.key())
}

/// What a response is, and the events in which it came when it was streamed.
async fn respond(serving: &Serving, body: &Value) -> (Value, Vec<(Option<String>, String)>) {
    let request = post(serving, body);
    if body["stream"] != true {
        let response = serving.call(&request).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        return (response.json(), Vec::new());
    }
    let events = testkit::client::open(serving.address, &request).await.unwrap().collect().await;
    let last = events.events.last().unwrap().json();
    assert_eq!(last["type"], "response.completed", "{last}");
    let events = events.events.into_iter().map(|event| (event.name, event.data)).collect();
    (last["response"].clone(), events)
}

fn said(response: &Value) -> String {
    let items = response["output"].as_array().unwrap();
    let texts = items.iter().filter_map(|item| item.pointer("/content/0/text")?.as_str());
    texts.collect()
}

fn id(response: &Value) -> String {
    response["id"].as_str().unwrap().to_owned()
}

/// What no model server may see of a chain, whatever it is told.
fn check_sent(captured: &[Captured]) {
    for sent in captured {
        for word in ["previous_response_id", "resp_exc_", "exc_", "bulla_"] {
            assert!(!sent.holds(word), "{word} left: {}", sent.text());
        }
        for person in [MARISOL, DESMOND] {
            let left = [person.name, person.family, person.ssn].map(|value| sent.holds(value));
            assert_eq!(left, [false; 3], "{}", sent.text());
        }
        if sent.path.ends_with("/responses") {
            assert_eq!(sent.json()["store"], false);
        }
    }
}

fn check_unknown(response: &Response) {
    assert_eq!(response.status(), 404, "{}", response.text());
    let expected = json!({ "error": {
        "message": "No response of that id can be had with this API key.",
        "type": "invalid_request_error", "param": null, "code": "response_not_found",
    } });
    assert_eq!(response.json(), expected);
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

fn check_no_previous(response: &Response) {
    assert_eq!(response.status(), 400, "{}", response.text());
    let error = &response.json()["error"];
    assert_eq!(error["code"], "previous_response_not_found");
    assert_eq!(error["param"], "previous_response_id");
}

const UNKNOWN: &str = "resp_exc_0193567a00007000800000000000abcd";

/// Three turns about two patients, by ids alone.
async fn chain(upstream: &Upstream, serving: &Serving, model: &str, stream: bool) {
    let before = upstream.captured().len();
    let first_said = format!("Patient: {}, SSN: {}", MARISOL.name, MARISOL.ssn);
    let second_said = format!("And now patient: {}, SSN: {}", DESMOND.name, DESMOND.ssn);
    let ask = |input: Value, previous: Option<&str>| {
        json!({ "model": model, "input": input, "stream": stream,
                "previous_response_id": previous })
    };
    let (first, _) = respond(serving, &ask(json!(first_said), None)).await;
    assert_eq!(said(&first), first_said, "{model}");
    assert_eq!(first["previous_response_id"], Value::Null);
    assert_eq!(first["store"], true);
    let item = json!([{ "role": "user", "content": second_said }]);
    let (second, events) = respond(serving, &ask(item, Some(&id(&first)))).await;
    let all = [&*first_said, &*first_said, &*second_said].join(" | ");
    assert_eq!(said(&second), all, "{model}");
    assert_eq!(second["previous_response_id"], id(&first).as_str());
    let (third, _) = respond(serving, &ask(json!("Who are they?"), Some(&id(&second)))).await;
    let all = [&*all, &*all, "Who are they?"].join(" | ");
    assert_eq!(said(&third), all, "{model}");

    // The same person is the same surrogate in every turn.
    let captured = upstream.captured();
    let captured = &captured[before..];
    assert_eq!(captured.len(), 3);
    let surrogates = |turn: usize| surrogates_in(&captured[turn].text());
    assert!(surrogates(0).len() >= 2, "{:?}", surrogates(0));
    assert!(surrogates(0).iter().all(|it| surrogates(1).contains(it)), "{model}");
    assert!(surrogates(1).iter().all(|it| surrogates(2).contains(it)), "{model}");
    assert_eq!(surrogates(1).len(), surrogates(2).len());

    // What is had again is what was answered.
    let got = serving.get(&format!("/v1/responses/{}", id(&second))).await;
    assert_eq!(got.status(), 200, "{}", got.text());
    assert_eq!(got.json(), second);
    assert!(got.header("x-bulla-receipt").is_some());
    let events_path = format!("/v1/responses/{}?stream=true", id(&second));
    let again = serving.get(&events_path).await;
    if stream {
        let written = |(name, data): &(Option<String>, String)| {
            format!("event: {}\ndata: {data}\n\n", name.as_deref().unwrap())
        };
        assert_eq!(again.text(), events.iter().map(written).collect::<String>());
        let rest = serving.get(&format!("{events_path}&starting_after=2")).await;
        assert_eq!(rest.text(), events[3..].iter().map(written).collect::<String>());
    } else {
        assert_eq!(again.status(), 400, "{}", again.text());
    }
    let listed = serving.get(&format!("/v1/responses/{}/input_items?order=asc", id(&third))).await;
    let items = listed.json();
    let texts: Vec<_> = items["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["role"].as_str().unwrap(), item["content"][0]["text"].as_str().unwrap()))
        .collect();
    let second_answer = said(&second);
    let expected = [
        ("user", &*first_said),
        ("assistant", &*first_said),
        ("user", &*second_said),
        ("assistant", &*second_answer),
        ("user", "Who are they?"),
    ];
    assert_eq!(texts, expected, "{model}");
    assert_eq!(items["has_more"], false);
}

#[tokio::test]
async fn three_turns_about_two_patients_go_on_by_ids_in_front_of_every_dialect() {
    let (upstream, house) = world(Reply::echo_all()).await;
    let serving = house.serve();
    for (dialect, ..) in PLACES {
        for stream in [false, true] {
            chain(&upstream, &serving, &dialect.replace('_', "-"), stream).await;
        }
    }
    check_sent(&upstream.captured());
    let log = house.log();
    let reads = |wanted: &str| {
        let is = |event: &&Event| {
            matches!(event, Event::ContentRead { actor, reason, .. }
            if reason == wanted && actor.name == "Example Bot")
        };
        log.events().filter(is).count()
    };
    let chains = 2 * PLACES.len();
    let going_on = log.outcomes().into_values().filter(|it| it.about.previous.is_some());
    assert_eq!(going_on.count(), 2 * chains);
    assert_eq!(reads("previous_response"), 2 * chains);
    assert_eq!(reads("response_retrieved"), chains + 2 * PLACES.len());
    assert_eq!(reads("response_input_items"), chains);
}

#[tokio::test]
async fn a_response_is_another_keys_to_nobody() {
    let (upstream, house) = world(Reply::echo()).await;
    let serving = house.serve();
    let other = house.create_key(&["--purpose", "treatment"]).secret;
    serving.knows(&other).await;
    let body = json!({ "model": "openai", "input": MARISOL.name });
    let (response, _) = respond(&serving, &body).await;
    let sent = upstream.captured().len();
    let mut said = Vec::new();
    for id in [id(&response), UNKNOWN.to_owned(), "resp_".to_owned(), MARISOL.family.to_owned()] {
        let path = format!("/v1/responses/{id}");
        for (method, below) in [
            ("GET", ""),
            ("GET", "?stream=true"),
            ("GET", "/input_items"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ] {
            let request = Request::new(method, &format!("{path}{below}"), Bytes::new());
            let answer = serving.call(&request.bearer(&other)).await;
            check_unknown(&answer);
            said.push(answer.body);
        }
        let body = json!({ "model": "openai", "input": "Go on.", "previous_response_id": id });
        let request = Request::post("/v1/responses", &body).bearer(&other);
        let answer = serving.call(&request).await;
        check_no_previous(&answer);
        assert!(!answer.text().contains(&id));
    }
    assert!(said.iter().all(|it| *it == said[0]));
    assert_eq!(upstream.captured().len(), sent, "something left");
    assert_eq!(serving.get(&format!("/v1/responses/{}", id(&response))).await.status(), 200);
    // Nobody opened anything but the one who may.
    let log = house.log();
    let reads = log.events().filter(|event| matches!(event, Event::ContentRead { .. }));
    assert_eq!(reads.count(), 1);
}

#[tokio::test]
async fn what_was_withdrawn_or_not_to_be_kept_is_had_no_more_and_its_content_stays() {
    let (_upstream, house) = world(Reply::echo()).await;
    let serving = house.serve();
    let body = json!({ "model": "anthropic", "input": MARISOL.name });
    let (response, _) = respond(&serving, &body).await;
    let path = format!("/v1/responses/{}", id(&response));
    let cancelled = serving.call(&bare(&serving, "POST", &format!("{path}/cancel"))).await;
    assert_eq!(
        (cancelled.status(), &cancelled.json()["error"]["code"]),
        (400, &json!("invalid_request"))
    );
    let deleted = serving.call(&bare(&serving, "DELETE", &path)).await;
    let expected = json!({ "id": id(&response), "object": "response", "deleted": true });
    assert_eq!(deleted.json(), expected);
    check_unknown(&serving.call(&bare(&serving, "DELETE", &path)).await);
    check_unknown(&serving.get(&path).await);
    check_unknown(&serving.get(&format!("{path}/input_items")).await);
    let next = json!({ "model": "anthropic", "input": "?", "previous_response_id": id(&response) });
    check_no_previous(&serving.call(&post(&serving, &next)).await);
    let exchange = id(&response).strip_prefix("resp_").unwrap().to_owned();
    let shown = house.run(&["audit", "show", &exchange]).ok();
    assert!(shown.contains(MARISOL.name), "{shown}");
    let log = house.log();
    let receipt = deleted.header("x-bulla-receipt").unwrap();
    assert!(matches!(&log.at(receipt).event, Event::AnswerWithdrawn { exchange: it, .. }
        if it.to_string() == exchange));

    for stream in [false, true] {
        let body = json!({ "model": "openai", "input": "Hi.", "store": false, "stream": stream });
        let (response, _) = respond(&serving, &body).await;
        assert_eq!(response["store"], false);
        check_unknown(&serving.get(&format!("/v1/responses/{}", id(&response))).await);
    }
    // A chat completion is no response.
    let chat = serving.ask(&crate::house::user("Hi.")).await;
    let exchange = chat.header("x-request-id").unwrap();
    check_unknown(&serving.get(&format!("/v1/responses/resp_{exchange}")).await);
}

#[tokio::test]
async fn what_is_disposed_of_is_had_no_more() {
    let (_upstream, house) = world(Reply::echo()).await;
    let serving = house.serve();
    let body = json!({ "model": "openai", "input": MARISOL.name });
    let (response, _) = respond(&serving, &body).await;
    let exchange = id(&response).strip_prefix("resp_").unwrap().to_owned();
    let decision = house.path("decision.txt");
    std::fs::write(&decision, "Decision 12 (synthetic)").unwrap();
    let dispose =
        ["dispose", "--exchange", &exchange, "--reason", "request", "--authority", "request 12"];
    house.run(&[&dispose[..], &["--decision", decision.to_str().unwrap()]].concat()).ok();
    check_unknown(&serving.get(&format!("/v1/responses/{}", id(&response))).await);
}

#[tokio::test]
async fn a_turn_stays_in_its_conversation_and_with_its_patient() {
    let (upstream, house) = world(Reply::echo()).await;
    let serving = house.serve();
    let ask = |previous: Option<&str>, conversation: Option<&str>, patient: Option<&str>| {
        let body = json!({ "model": "openai", "input": format!("About {}.", MARISOL.name),
                           "previous_response_id": previous });
        let mut request = post(&serving, &body);
        for (name, value) in [("x-bulla-conversation", conversation), ("x-bulla-patient", patient)]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
    };
    let first = serving.call(&ask(None, Some("visit 1"), Some("p-1"))).await.json();
    let sent = upstream.captured().len();
    for (conversation, patient) in
        [(Some("visit 2"), None), (Some("visit 1"), Some("p-2")), (Some("visit 2"), Some("p-2"))]
    {
        let refused = serving.call(&ask(Some(&id(&first)), conversation, patient)).await;
        assert_eq!(refused.status(), 400, "{}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "invalid_request");
    }
    assert_eq!(upstream.captured().len(), sent, "something left");
    // Who names neither goes on in both.
    let second = serving.call(&ask(Some(&id(&first)), None, None)).await;
    assert_eq!(second.status(), 200, "{}", second.text());
    let outcomes = house.log().outcomes();
    let about = |response: &Value| {
        let exchange = id(response).strip_prefix("resp_").unwrap().to_owned();
        let about = &outcomes[&exchange].about;
        (about.conversation, about.patient)
    };
    assert!(about(&first).0.is_some() && about(&first).1.is_some());
    assert_eq!(about(&first), about(&second.json()));
    // What was said outside of a conversation does not get into one.
    let outside = serving.call(&ask(None, None, None)).await.json();
    let refused = serving.call(&ask(Some(&id(&outside)), Some("visit 1"), None)).await;
    assert_eq!(refused.status(), 400, "{}", refused.text());
}

#[tokio::test]
async fn where_digests_are_kept_it_is_said_that_nothing_can_be_had_again() {
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let digests = rules(&upstream, &house).and("[content]\nkeep = \"digests\"\n");
    house.apply(&digests).ok();
    let serving = house.serve();
    let body = json!({ "model": "openai", "input": MARISOL.name });
    let (response, _) = respond(&serving, &body).await;
    assert_eq!(response["store"], false);
    let sent = upstream.captured().len();
    let path = format!("/v1/responses/{}", id(&response));
    for request in [
        bare(&serving, "GET", &path),
        bare(&serving, "GET", &format!("{path}/input_items")),
        bare(&serving, "DELETE", &path),
        post(
            &serving,
            &json!({ "model": "openai", "input": "?", "previous_response_id": id(&response) }),
        ),
    ] {
        let refused = serving.call(&request).await;
        assert_eq!(refused.json()["error"]["code"], "content_not_kept", "{}", refused.text());
        assert_eq!(refused.status(), 400);
    }
    check_unknown(&serving.get(&format!("/v1/responses/{UNKNOWN}")).await);
    assert_eq!(upstream.captured().len(), sent, "something left");
}

#[tokio::test]
async fn a_chain_goes_on_after_kill_9() {
    let (upstream, house) = world(Reply::echo_all()).await;
    let (mut previous, mut turns) = (Value::Null, Vec::new());
    for turn in 0..4 {
        let serving = house.serve();
        let said_now = format!("Turn {turn}: patient {}", MARISOL.name);
        let body =
            json!({ "model": "vertex", "input": said_now, "previous_response_id": previous });
        let (response, _) = respond(&serving, &body).await;
        turns.push(said_now);
        let all = turns.join(" | ");
        assert_eq!(said(&response), all);
        turns.push(all);
        previous = response["id"].clone();
        serving.kill();
    }
    check_sent(&upstream.captured());
}

/// Asks for a response in the background, and waits for its end.
async fn settled(serving: &Serving, id: &str) -> Value {
    let begun = tokio::time::Instant::now();
    loop {
        let response = serving.get(&format!("/v1/responses/{id}")).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        if response.json()["status"] != "in_progress" {
            return response.json();
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it does not end");
        tokio::time::sleep(crate::house::LOOK).await;
    }
}

#[tokio::test]
async fn a_response_in_the_background_runs_without_its_caller_until_it_is_cancelled() {
    let (upstream, house) = world(Reply::echo()).await;
    let serving = house.serve();
    let other = house.create_key(&["--purpose", "treatment"]).secret;
    serving.knows(&other).await;
    for model in ["openai", "bedrock"] {
        upstream.play(Reply::echo());
        let asked = format!("Patient: {}", MARISOL.name);
        let body = json!({ "model": model, "input": asked, "background": true });
        let begun = serving.call(&post(&serving, &body)).await;
        assert_eq!(begun.status(), 200, "{}", begun.text());
        let begun = begun.json();
        assert_eq!((&begun["status"], &begun["background"]), (&json!("in_progress"), &json!(true)));
        let whole = settled(&serving, &id(&begun)).await;
        assert_eq!((&whole["status"], said(&whole)), (&json!("completed"), asked));
        assert_eq!((&whole["id"], &whole["background"]), (&begun["id"], &json!(true)));
        let path = format!("/v1/responses/{}/cancel", id(&begun));
        let late = serving.call(&bare(&serving, "POST", &path)).await;
        assert_eq!(late.status(), 400, "{}", late.text());

        // One that hangs runs until it is cancelled, and only by its own key.
        upstream.play(Reply::echo().with_fault(testkit::upstream::Fault::HangBeforeHeaders));
        let hanging = serving.call(&post(&serving, &body)).await.json();
        let path = format!("/v1/responses/{}", id(&hanging));
        assert_eq!(serving.get(&path).await.json(), hanging);
        for (method, below) in [("GET", ""), ("POST", "/cancel")] {
            let foreign = Request::new(method, &format!("{path}{below}"), Bytes::new());
            check_unknown(&serving.call(&foreign.bearer(&other)).await);
        }
        let cancelled =
            serving.call(&bare(&serving, "POST", &format!("{path}/cancel"))).await.json();
        assert_eq!((&cancelled["status"], &cancelled["id"]), (&json!("cancelled"), &hanging["id"]));
        assert_eq!(serving.get(&path).await.json()["status"], "cancelled");
        let exchange = id(&hanging).strip_prefix("resp_").unwrap().to_owned();
        assert_eq!(house.outcome(&exchange).await.outcome, "caller_gone");

        // One that fails says so, and is not tried again.
        upstream.play(
            Reply::echo()
                .with_fault(testkit::upstream::Fault::Status { status: 503, retry_after: None }),
        );
        let before = upstream.captured().len();
        let failing = serving.call(&post(&serving, &body)).await.json();
        let failed = settled(&serving, &id(&failing)).await;
        assert_eq!(
            (&failed["status"], &failed["error"]["code"]),
            (&json!("failed"), &json!("server_error"))
        );
        assert_eq!(upstream.captured().len(), before + 1);
    }
    for sent in upstream.captured() {
        assert!(!sent.holds("background"), "{}", sent.text());
    }
    for more in [json!({ "store": false }), json!({ "stream": true })] {
        let mut body = json!({ "model": "openai", "input": "Hi.", "background": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = serving.call(&post(&serving, &body)).await;
        assert_eq!(refused.status(), 400, "{}", refused.text());
    }
    // What no policy permits is refused at once.
    let body = json!({ "model": "nothing", "input": "Hi.", "background": true });
    let refused = serving.call(&post(&serving, &body)).await;
    assert_eq!(refused.json()["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn what_kill_9_ends_in_the_background_is_said_to_have_failed() {
    let hang = Reply::echo().with_fault(testkit::upstream::Fault::HangBeforeHeaders);
    let (_upstream, house) = world(hang).await;
    let serving = house.serve();
    let body = json!({ "model": "openai", "input": MARISOL.name, "background": true });
    let begun = serving.call(&post(&serving, &body)).await.json();
    serving.kill();
    let serving = house.serve();
    let failed = serving.get(&format!("/v1/responses/{}", id(&begun))).await.json();
    assert_eq!((&failed["status"], &failed["id"]), (&json!("failed"), &begun["id"]));
    let body = json!({ "model": "openai", "input": "?", "previous_response_id": id(&begun) });
    check_no_previous(&serving.call(&post(&serving, &body)).await);
}
