//! What a vendor's terms except is not asked of it, in any dialect, and not one connection is made.

use crate::house::{House, check_refusal, user};
use crate::rules::Rules;
use serde_json::{Value, json};
use testkit::client::Request;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

const ELIGIBLE: &str = "eligible = [\"additional_model_fields\", \"citations\", \"extended_thinking\", \"prompt_caching\", \"structured_outputs\"]\n";

/// A chat completion with one more member.
fn chat(name: &str, value: Value) -> Value {
    let mut body = user(MARISOL.name);
    body[name] = value;
    body
}

fn schema() -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object" } } })
}

#[tokio::test]
async fn what_is_not_recorded_as_eligible_is_refused_by_its_word_and_the_rest_goes_on() {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream);
    let house = House::with(&rules.clone().with(ELIGIBLE, ""));
    let serving = house.serve();
    let mut refused = Vec::new();
    for (body, word) in [
        (chat("response_format", schema()), "structured_outputs"),
        (chat("reasoning_effort", json!("high")), "extended_thinking"),
        (chat("prompt_cache_key", json!("a")), "prompt_caching"),
        (chat("prompt_cache_retention", json!("24h")), "extended_prompt_caching"),
    ] {
        let response = serving.ask(&body).await;
        check_refusal(&response, 403, "capability_not_eligible", &[MARISOL.name]);
        assert!(response.text().contains(&format!("\\\"{word}\\\"")), "{}", response.text());
        refused.push((response.header("x-request-id").unwrap().to_owned(), word));
    }
    assert_eq!(upstream.connections(), 0);
    for body in [
        user(MARISOL.name),
        chat("response_format", json!({ "type": "json_object" })),
        chat("reasoning_effort", json!("none")),
        chat("prompt_cache_retention", json!("in_memory")),
    ] {
        assert_eq!(serving.ask(&body).await.status(), 200, "{body}");
    }
    for (exchange, word) in refused {
        let outcome = house.outcome(&exchange).await;
        assert_eq!(outcome.code.as_deref(), Some("capability_not_eligible"));
        assert_eq!(outcome.reason.as_deref(), Some(word));
        // It is decided again as it was.
        house.run(&["explain", &exchange]).ok();
    }
    // With the words everything goes, but for the cache that is kept for a day.
    house.apply(&rules.offering("again")).ok();
    serving.offers("again").await;
    assert_eq!(serving.ask(&chat("response_format", schema())).await.status(), 200);
    let day = chat("prompt_cache_retention", json!("24h"));
    check_refusal(&serving.ask(&day).await, 403, "capability_not_eligible", &[MARISOL.name]);
}

#[tokio::test]
async fn threads_memory_and_files_of_a_vendor_are_refused_by_name_whatever_is_recorded() {
    let upstream = Upstream::start(Reply::echo()).await;
    let every = "eligible = [\"threads\", \"memory\", \"files\", \"file_search\", \"containers\", \"cached_content\", \"stored_prompts\"]\n";
    let house = House::with(&Rules::cloud(&upstream).with(ELIGIBLE, every));
    let serving = house.serve();
    let said = MARISOL.name;
    let turn = json!([{ "role": "user", "content": said }]);
    let response =
        |name: &str, value: Value| json!({ "model": "stand-in", "input": said, (name): value });
    let message = |name: &str, value: Value| json!({ "model": "stand-in", "max_tokens": 1, "messages": turn, (name): value });
    for (path, body, word) in [
        ("/v1/responses", response("conversation", json!("conv_1")), "threads"),
        ("/v1/responses", response("prompt", json!({ "id": "pmpt_1" })), "stored_prompts"),
        (
            "/v1/responses",
            response("tools", json!([{ "type": "file_search", "vector_store_ids": ["vs_1"] }])),
            "file_search",
        ),
        ("/v1/messages", message("container", json!("container_1")), "containers"),
        (
            "/v1/messages",
            message("tools", json!([{ "type": "memory_20250818", "name": "memory" }])),
            "memory",
        ),
        (
            "/v1/messages",
            message(
                "messages",
                json!([{ "role": "user", "content": [{ "type": "document", "source": { "type": "file", "file_id": "file_1" } }] }]),
            ),
            "files",
        ),
        (
            "/v1beta/models/stand-in:generateContent",
            json!({ "contents": [{ "parts": [{ "text": said }] }], "cachedContent": "cachedContents/1" }),
            "cached_content",
        ),
    ] {
        let request = Request::post(path, &body).bearer(&house.key);
        let answer = serving.call(&request).await;
        assert_eq!(answer.status(), 400, "{body}: {}", answer.text());
        assert!(!answer.text().contains(said), "{}", answer.text());
        let exchange = answer.header("x-request-id").unwrap();
        let outcome = house.outcome(exchange).await;
        assert_eq!(outcome.code.as_deref(), Some("unsupported_content"), "{body}");
        assert_eq!(outcome.reason.as_deref(), Some(word), "{body}");
    }
    assert_eq!(upstream.connections(), 0);
}
