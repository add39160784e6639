//! How the tests read answers.

use gate::rules::{Api, Keep};
use gate::shape::Json;
use ledger::{ExchangeId, Time};
use phi::Text;
use phi::surrogate::Escape;
use providers::{Addressed, Reading, Request};
use testkit::entropy::Seeded;

pub(crate) fn now() -> Time {
    Time::from_micros(1_764_000_000_000_000)
}

/// Of an answer to a question of `api`, restored as `escape` says.
pub(crate) fn reading_of(api: Api, escape: Escape) -> Reading {
    let format =
        if escape == Escape::Json { r#","response_format":{"type":"json_object"}"# } else { "" };
    let body = match api {
        Api::ChatCompletions => format!(r#"{{"model":"m","messages":[]{format}}}"#),
        Api::Completions => r#"{"model":"m","prompt":""}"#.to_owned(),
        Api::Embeddings | Api::Responses => r#"{"model":"m","input":""}"#.to_owned(),
        Api::Messages | Api::CountTokens => r#"{"model":"m","messages":[]}"#.to_owned(),
        Api::Converse => r#"{"messages":[]}"#.to_owned(),
        Api::GenerateContent => r#"{"contents":[]}"#.to_owned(),
        Api::Mcp => r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(),
    };
    let json = Json::parse(body.as_bytes()).unwrap();
    let addressed = Addressed { model: Some("m".into()), ..Addressed::default() };
    let asked = Request::read(api, addressed, json, Text::new(body)).unwrap();
    Reading::new(&asked.request, ExchangeId::mint(now(), &Seeded::new(3)), now(), Keep::All)
}

pub(crate) fn reading() -> Reading {
    reading_of(Api::ChatCompletions, Escape::Plain)
}
