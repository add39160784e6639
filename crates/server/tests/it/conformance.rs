//! The conformance suite of the testkit, against the real server: each dialect before a model server of the
//! same dialect, where everything stays in its place, and before those of others, where it is translated.

use crate::house::House;
use crate::rules::Rules;
use testkit::conformance::{self, Row, Target, Vector, Verdict, Way};
use testkit::upstream::{Dialect, Reply, Tokens, Upstream};

/// A vector that is known to fail in a dialect, each with its reason.
type Known = (&'static str, Dialect);

use Dialect::{Chat, Completions, Converse, Gemini, Messages, Responses};

/// Log probabilities name the model's own pieces of text, over which a surrogate is cut.
const LOGPROBS: [Known; 3] =
    [("blocks.logprobs", Chat), ("blocks.logprobs", Responses), ("blocks.logprobs", Completions)];

/// Each dialect cites in a form of its own, and none is carried over.
const CITATIONS: [Known; 5] = [
    ("blocks.citations", Chat),
    ("blocks.citations", Responses),
    ("blocks.citations", Messages),
    ("blocks.citations", Converse),
    ("blocks.citations", Gemini),
];

/// That the model refuses is told at the end, when the text has been handed on.
const REFUSALS: [Known; 2] = [("blocks.refusal", Chat), ("blocks.refusal", Responses)];

/// Where there is no word for any JSON, or for more than one answer, it is refused.
const NO_WORDS: [Known; 5] = [
    ("restore.json_answer", Chat),
    ("restore.json_answer", Responses),
    ("restore.json_answer", Gemini),
    ("restore.choices", Chat),
    ("restore.choices", Gemini),
];

/// What a vendor's model signed or sealed is not carried to where the signature has no place.
const SIGNED: [Known; 3] = [
    ("blocks.signed_thinking", Responses),
    ("blocks.redacted_thinking", Responses),
    ("blocks.signed_thinking", Gemini),
];

const CONVERSATIONS: [Dialect; 5] = [Chat, Responses, Messages, Converse, Gemini];

/// Runs every vector in these dialects before a model server of the dialect `of`, and checks that what
/// fails is what is known to.
async fn check(of: &str, below: &str, dialects: &[Dialect], known: &[Known]) {
    let upstream = Upstream::start(Reply::echo()).await;
    let rules = Rules::cloud(&upstream)
        .with("dialect = \"openai_compatible\"", &format!("dialect = \"{of}\""))
        .with(&upstream.url(), &format!("http://{}{below}", upstream.address()))
        .with(
            "apis = [\"chat.completions\"]",
            "apis = [\"chat.completions\", \"completions\", \"embeddings\", \"responses\", \"messages\", \
             \"messages.count_tokens\", \"converse\", \"generate_content\"]",
        );
    let house = House::with(&rules);
    let serving = house.serve();
    let target = Target {
        address: serving.address,
        prefix: String::new(),
        key: house.key.clone(),
        model: "stand-in".to_owned(),
        tokens: Tokens::bulla(),
        dialects: dialects.to_vec(),
    };
    let vectors = Vector::all().unwrap();
    let rows = conformance::run(&target, &upstream, &vectors, |_| ()).await.unwrap();
    let is_known = |row: &Row| known.contains(&(row.vector.as_str(), row.dialect));
    let fails = |row: &&Row| matches!(row.verdict, Verdict::Fail(_));
    let failed: Vec<&Row> = rows.iter().filter(fails).filter(|row| !is_known(row)).collect();
    assert!(failed.is_empty(), "before {of}: {failed:#?}");
    for (vector, dialect) in known {
        let mut of_it = rows.iter().filter(|row| row.vector == *vector && row.dialect == *dialect);
        assert!(of_it.any(|row| fails(&row)), "{vector} in {dialect:?} before {of} holds by now");
    }
    // Each dialect was judged.
    for dialect in dialects {
        let passed =
            rows.iter().filter(|row| row.dialect == *dialect && row.verdict == Verdict::Pass);
        let least = if CONVERSATIONS.contains(dialect) { 40 } else { 1 };
        assert!(passed.count() >= least, "{dialect:?} before {of}");
    }
    assert!(rows.iter().any(|row| row.way == Way::Stream));
    house.log();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds_before_openai() {
    let dialects = [Dialect::Chat, Dialect::Responses, Dialect::Completions, Dialect::Embeddings];
    check("openai", "/v1", &dialects, &LOGPROBS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds_before_a_server_that_has_chat_completions_alone() {
    let dialects = [Dialect::Responses, Dialect::Messages, Dialect::Converse, Dialect::Gemini];
    let known: Vec<Known> = CITATIONS.into_iter().filter(|it| it.1 != Chat).collect();
    check("openai_compatible", "/v1", &dialects, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds_before_anthropic() {
    let dialects = [&CONVERSATIONS[..], &[Dialect::CountTokens]].concat();
    let own = |it: &Known| it.1 != Messages;
    let known = [&CITATIONS[..], &REFUSALS, &NO_WORDS, &SIGNED].concat();
    let known: Vec<Known> = known.into_iter().filter(own).collect();
    let known = [&known[..], &[("blocks.redacted_thinking", Converse)]].concat();
    check("anthropic", "/v1", &dialects, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds_before_bedrock() {
    let own = |it: &Known| it.1 != Converse;
    let known = [&CITATIONS[..], &REFUSALS, &NO_WORDS, &SIGNED].concat();
    let known: Vec<Known> = known.into_iter().filter(own).collect();
    let known = [&known[..], &[("blocks.redacted_thinking", Messages)]].concat();
    check("bedrock", "", &CONVERSATIONS, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds_before_vertex() {
    let mut known = [&CITATIONS[..], &REFUSALS].concat();
    known.retain(|it| it.1 != Gemini);
    known.extend([
        ("blocks.logprobs", Gemini),
        ("blocks.signed_thinking", Responses),
        ("blocks.signed_thinking", Messages),
        ("blocks.signed_thinking", Converse),
    ]);
    // A function's result is an object there, which the stand-in says again as it came.
    known.extend([Chat, Responses, Messages, Converse].map(|it| ("restore.two_people", it)));
    check("vertex", "/v1beta", &CONVERSATIONS, &known).await;
}
