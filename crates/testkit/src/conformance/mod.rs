//! Does the right value come back to the right place? A suite of vectors for any gateway.
//!
//! The gateway under test has the scripted [`Upstream`] as its model server. Each [`Vector`] is asked in
//! each dialect that the gateway serves, as a document and as a stream. What reached the model server
//! must hold none of the planted values; what the caller hears must be what the model would have said,
//! had it been asked in the clear.
//!
//! - `mod`: the runner, and what it reports.
//! - `vector`: the data files (`data/conformance/*.toml`).
//! - `ask`: writes a question in a dialect.
//! - `wire`: reads an answer off the connection.
//! - `hear`: what an answer says, in no dialect.
//! - `judge`: compares it with what was due.

mod ask;
mod hear;
mod judge;
mod vector;
mod wire;

pub use vector::{Unprotected, Vector, Way};

use crate::upstream::asked::Route;
use crate::upstream::{Captured, Dialect, Reply, Tokens, Upstream};
use ask::{Asking, asking};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use vector::{Ask, Expect, Turn};

/// How long an answer may take, and each next piece of it. Nothing here waits for a model.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a silent model server is waited for, where the vector is about what came before.
const SHORT_PATIENCE: Duration = Duration::from_millis(1500);

/// Faults of one vector that are told; the first say enough.
const FAULTS_TOLD: usize = 4;

/// The gateway under test.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens, in plain HTTP.
    pub address: SocketAddr,
    /// What stands before `/v1`, `/model` and `/v1beta` in its paths; empty for most.
    pub prefix: String,
    /// The key of a caller.
    pub key: String,
    /// The model that it offers and sends to the scripted model server.
    pub model: String,
    /// How its surrogates look.
    pub tokens: Tokens,
    /// The dialects that are asked for.
    pub dialects: Vec<Dialect>,
}

/// What became of a vector in a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not; why.
    Fail(Vec<String>),
    /// The gateway refused what it need not take, and nothing left.
    Refused,
    /// The gateway does not serve this dialect, or asks its model in one that cannot say this.
    Unsupported(String),
}

impl Verdict {
    /// One word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Refused => "refused",
            Self::Unsupported(_) => "not supported",
        }
    }
}

/// One vector in one dialect, asked in one way.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name of the vector.
    pub vector: String,
    /// In which dialect it was asked.
    pub dialect: Dialect,
    /// As a document or as a stream.
    pub way: Way,
    /// What became of it.
    pub verdict: Verdict,
}

impl Row {
    /// As a line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let why = match &self.verdict {
            Verdict::Pass | Verdict::Refused => json!([]),
            Verdict::Fail(why) => json!(why),
            Verdict::Unsupported(why) => json!([why]),
        };
        json!({ "vector": self.vector, "dialect": self.dialect.name(),
                "streamed": self.way == Way::Stream, "verdict": self.verdict.word(), "why": why })
    }
}

/// Runs the vectors one after the other, and tells each row as it comes.
///
/// # Errors
/// When the gateway cannot be reached, refuses the key, or serves none of the dialects.
pub async fn run(
    target: &Target,
    upstream: &Upstream,
    vectors: &[Vector],
    mut tell: impl FnMut(&Row),
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut served = 0;
    for dialect in target.dialects.iter().copied() {
        for way in [Way::Whole, Way::Stream] {
            if way == Way::Stream && !dialect.streams() {
                continue;
            }
            let missing = probe(target, upstream, dialect, way).await?;
            served += usize::from(missing.is_none());
            for vector in vectors.iter().filter(|vector| vector.applies(dialect, way)) {
                let verdict = match &missing {
                    Some(why) => Verdict::Unsupported(why.clone()),
                    None => tried(target, upstream, vector, dialect, way).await,
                };
                let row = Row { vector: vector.id.clone(), dialect, way, verdict };
                tell(&row);
                rows.push(row);
            }
        }
    }
    if served == 0 {
        return Err("the gateway serves none of the dialects".to_owned());
    }
    Ok(rows)
}

/// Why a dialect is not served, if it is not.
async fn probe(
    target: &Target,
    upstream: &Upstream,
    dialect: Dialect,
    way: Way,
) -> Result<Option<String>, String> {
    upstream.play(Reply::text("Hello."));
    let turns = vec![Turn::User { user: "Say hello.".to_owned() }];
    let asking = asking(&Ask { turns, ..Ask::default() }, dialect, way, &target.model);
    let asked = ask(target, dialect, &asking, PATIENCE).await;
    drop(upstream.take());
    match asked {
        Err(error) => Err(format!("the gateway at {} does not answer: {error}", target.address)),
        Ok(came) => match came.head.status {
            401 => Err("the gateway refuses the key".to_owned()),
            404 | 405 | 501 => Ok(Some(format!("status {}", came.head.status))),
            _ => Ok(None),
        },
    }
}

async fn ask(
    target: &Target,
    dialect: Dialect,
    asking: &Asking,
    patience: Duration,
) -> std::io::Result<wire::Came> {
    let path = format!("{}{}", target.prefix, asking.path);
    let asking = Asking { path, body: asking.body.clone() };
    wire::call(target.address, &asking.request(dialect, &target.key), patience).await
}

async fn tried(
    target: &Target,
    upstream: &Upstream,
    vector: &Vector,
    dialect: Dialect,
    way: Way,
) -> Verdict {
    let asking = asking(&vector.ask, dialect, way, &target.model);
    let planted: Vec<String> =
        vector.planted.iter().map(|value| value.replace("{key}", &target.key)).collect();
    let patience = if vector.expect == Expect::Flowing { SHORT_PATIENCE } else { PATIENCE };
    let mut verdict = Verdict::Pass;
    for reply in vector.replies(&target.tokens) {
        upstream.play(reply.clone());
        let came = ask(target, dialect, &asking, patience).await;
        let captured: Vec<Captured> = upstream.take().into_iter().filter(is_asked).collect();
        verdict = match came {
            Err(error) => judge::unanswered(vector, way, &error),
            Ok(came) => {
                let asked = judge::Case {
                    vector,
                    dialect,
                    way,
                    asking: &asking,
                    reply: &reply,
                    planted: &planted,
                };
                asked.verdict(&came, &captured)
            }
        };
        if let Verdict::Fail(why) = &mut verdict {
            why.truncate(FAULTS_TOLD);
        }
        if verdict != Verdict::Pass {
            break;
        }
    }
    verdict
}

/// Whether a request asks a model, and not only which models there are.
fn is_asked(captured: &Captured) -> bool {
    Route::of(&captured.method, &captured.path, &captured.json()).is_some()
}
