//! Why a prompt was let pass or not: what was decided on which facts, by which rules, and whether the
//! same is decided again.
//!
//! Nothing is opened. The records hold every fact that decides, and every version of the configuration
//! is kept, so that a decision of years ago is made again by the file of that day.

use crate::export::{ReadError, parse};
use crate::house::{Error, House};
use gate::path::Hop;
use gate::policy::{Difference, Recorded, Replay, Ruled, Unreplayable, standing};
use gate::rules::{Route, Rules, RulesError};
use ledger::{About, CoverKind, Event, ExchangeId, Hash, Outcome, Record, Time};
use providers::called;
use store::{ConfigurationVersion, Sought, Term};

/// Exchanges that are followed back from a retry. A request leaves five times at the most.
const MAX_TRIES: usize = 8;

/// Which exchange is to be explained.
#[derive(Clone, Debug)]
pub enum Pointed {
    /// The one with this id.
    Exchange(ExchangeId),
    /// The one of which the record at this position speaks.
    Position(u64),
    /// The same, when the record has this leaf hash: what a receipt names.
    Leaf(u64, Hash),
}

/// A decision, and what it was made of.
#[derive(Debug)]
pub struct Explanation {
    /// What the records say of the exchange.
    pub about: About,
    /// The position of the intent; absent when nothing left.
    pub intent: Option<u64>,
    /// The outcome and its position; absent while the exchange runs.
    pub outcome: Option<(u64, Box<Outcome>)>,
    /// When it was decided.
    pub decided: Time,
    /// The version of the configuration that decided, when it is kept.
    pub version: Option<u64>,
    /// The exchanges before this one of the same request, the latest first.
    pub tries: Vec<Try>,
    /// Every destination of the route, and what became of it.
    pub targets: Vec<TargetView>,
    /// The path that was covered, hop by hop.
    pub hops: Vec<CoveredHop>,
    /// The decision, made again.
    pub replay: Result<Replay, Stopped>,
}

/// An exchange that was not answered, and was tried again.
#[derive(Clone, Debug)]
pub struct Try {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Where it was sent.
    pub destination: Option<String>,
    /// How it ended, in one word.
    pub reason: Option<String>,
}

/// One destination of the route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// The destination.
    pub destination: String,
    /// What it is to the route.
    pub standing: &'static str,
    /// Whether the text went there, or why not, in one word.
    pub became: String,
}

/// One hop of a path that was covered.
#[derive(Clone, Debug)]
pub struct CoveredHop {
    /// Its id.
    pub id: String,
    /// The legal entity, and what it does; absent when the configuration is not kept.
    pub party: Option<(String, &'static str)>,
    /// Where it lies.
    pub region: Option<String>,
    /// Why it is covered.
    pub by: CoverKind,
    /// The agreement or evidence.
    pub cover: Option<String>,
}

/// A decision could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// What decides is not all known.
    #[error(transparent)]
    Facts(#[from] Unreplayable),
    /// No configuration was in force.
    #[error("no configuration was in force")]
    NoRules,
    /// No version of the configuration has the hash that the record names.
    #[error("no version of the configuration that is kept has the hash that the record names")]
    NoVersion,
    /// The stored file is not the one that was applied.
    #[error(
        "what is stored of version {0} of the configuration has another hash than the record names"
    )]
    OtherBytes(u64),
    /// The program reads the file in another way than the one that applied it.
    #[error("version {0} of the configuration is not read by this program")]
    Unread(u64, #[source] RulesError),
    /// An exchange before this one was pruned, so it is not known where the request was sent.
    #[error("the exchange {0}, which this one repeats, is no longer in the log")]
    NoTry(ExchangeId),
}

/// There is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No such record is in the log.
    #[error("this log has no such record; it may have been pruned")]
    NoRecord,
    /// The record is of something else.
    #[error("record {0} speaks of no exchange that was asked for")]
    NoExchange(u64),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<store::Error> for ExplainError {
    fn from(error: store::Error) -> Self {
        Self::Read(error.into())
    }
}

/// The records of one exchange.
#[derive(Default)]
struct Records {
    intent: Option<Record>,
    outcome: Option<Record>,
}

impl Records {
    /// What they say, the outcome first, because it says no less than the intent.
    fn about(&self) -> Option<&About> {
        let record = self.outcome.as_ref().or(self.intent.as_ref())?;
        record.event.about()
    }

    fn outcome(&self) -> Option<&Outcome> {
        let Event::Outcome(outcome) = &self.outcome.as_ref()?.event else { return None };
        Some(outcome)
    }

    /// When it was decided. Records that do not say it are of an older version: their own time is
    /// close.
    fn decided(&self) -> Option<Time> {
        let record = self.intent.as_ref().or(self.outcome.as_ref())?;
        Some(self.about()?.decided.unwrap_or(record.time))
    }
}

impl House {
    /// Explains what was decided on an exchange, and decides again.
    ///
    /// # Errors
    /// [`ExplainError`].
    pub async fn explain(&self, pointed: Pointed) -> Result<Explanation, ExplainError> {
        let exchange = self.pointed(pointed).await?;
        let records = self.records_of(exchange).await?;
        let (about, decided) = match (records.about(), records.decided()) {
            (Some(about), Some(decided)) => (about.clone(), decided),
            _ => return Err(ExplainError::NoRecord),
        };
        let (tries, whole) = self.tried(&about).await?;
        let (version, rules) = self.rules_of(&about).await?;
        let known = rules.as_ref().ok();
        let outcome = records.outcome().cloned().map(Box::new);
        let (targets, hops) = (targets(&about, known), hops(&about, known));
        let replay = rules.and_then(|rules| {
            whole?;
            let sent_to: Vec<String> =
                tries.iter().rev().filter_map(|it| it.destination.clone()).collect();
            let recorded = Recorded {
                about: &about,
                code: outcome.as_ref().and_then(|outcome| outcome.code.as_deref()),
                reason: outcome.as_ref().and_then(|outcome| outcome.reason.as_deref()),
                time: decided,
                tried: &sent_to,
            };
            Ok(rules.replay(&recorded, &called)?)
        });
        let seq = |record: &Option<Record>| record.as_ref().map(|record| record.seq);
        Ok(Explanation {
            intent: seq(&records.intent),
            outcome: seq(&records.outcome).zip(outcome),
            decided,
            version,
            tries,
            targets,
            hops,
            replay,
            about,
        })
    }

    async fn pointed(&self, pointed: Pointed) -> Result<ExchangeId, ExplainError> {
        let (seq, wanted) = match pointed {
            Pointed::Exchange(exchange) => return Ok(exchange),
            Pointed::Position(seq) => (seq, None),
            Pointed::Leaf(seq, leaf) => (seq, Some(leaf)),
        };
        let bytes = self.tenant.record(seq).await?.ok_or(ExplainError::NoRecord)?;
        if wanted.is_some_and(|leaf| leaf != ledger::tree::leaf_hash(&bytes)) {
            return Err(ExplainError::NoRecord);
        }
        let record = parse(&bytes)?;
        record.event.about().map(|about| about.exchange).ok_or(ExplainError::NoExchange(seq))
    }

    /// The intent and the outcome of an exchange, by the index.
    async fn records_of(&self, exchange: ExchangeId) -> Result<Records, ExplainError> {
        let size = self.tenant.head().await?.size();
        let terms = vec![Term::exchange(exchange)];
        let sought = Sought { terms, since: None, until: None, scan: false };
        let mut found = Records::default();
        let mut next = Some(0);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, size).await?;
            for (_, bytes) in candidates.records {
                let record = parse(&bytes)?;
                // Whoever opened its content, or disposed of it, names it too.
                let its = record.event.about().is_some_and(|about| about.exchange == exchange);
                if its && matches!(record.event, Event::Intent(_)) {
                    found.intent = Some(record);
                } else if its {
                    found.outcome = Some(record);
                }
            }
            next = candidates.next;
        }
        Ok(found)
    }

    /// The exchanges before this one of the same request, the latest first, and whether all are there.
    async fn tried(&self, about: &About) -> Result<(Vec<Try>, Result<(), Stopped>), ExplainError> {
        let mut tries = Vec::new();
        let mut before = about.retry_of;
        while let Some(exchange) = before.filter(|_| tries.len() < MAX_TRIES) {
            let records = self.records_of(exchange).await?;
            let Some(about) = records.about() else {
                return Ok((tries, Err(Stopped::NoTry(exchange))));
            };
            tries.push(Try {
                exchange,
                destination: about.destination.clone(),
                reason: records.outcome().and_then(|outcome| outcome.reason.clone()),
            });
            before = about.retry_of;
        }
        Ok((tries, Ok(())))
    }

    /// The configuration that decided: its version, and the rules in it.
    async fn rules_of(
        &self,
        about: &About,
    ) -> Result<(Option<u64>, Result<Rules, Stopped>), ExplainError> {
        let Some(sha256) = about.policy else { return Ok((None, Err(Stopped::NoRules))) };
        let versions = self.tenant.configurations().await?;
        let mut versions = versions.into_iter().filter(|version| version.sha256 == sha256);
        let Some(ConfigurationVersion { version, .. }) = versions.next() else {
            return Ok((None, Err(Stopped::NoVersion)));
        };
        let row = self.tenant.configuration_version(version).await?;
        let bytes = row.map(|row| row.bytes).unwrap_or_default();
        if Hash::of(&bytes) != sha256 {
            return Ok((Some(version), Err(Stopped::OtherBytes(version))));
        }
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        Ok((Some(version), Rules::parse(text).map_err(|error| Stopped::Unread(version, error))))
    }
}

fn route<'a>(about: &About, rules: Option<&'a Rules>) -> Option<&'a Route> {
    rules?.route(about.route.as_deref()?)
}

/// Every destination of the route once, in the order of the file, and what became of it.
fn targets(about: &About, rules: Option<&Rules>) -> Vec<TargetView> {
    let Some(route) = route(about, rules) else { return Vec::new() };
    let mut views: Vec<TargetView> = Vec::new();
    for target in route.every_target() {
        let id = target.destination().as_str();
        if views.iter().any(|view| view.destination == id) {
            continue;
        }
        let decided_on = about.destination.as_deref() == Some(id);
        let became = match about.considered.get(id) {
            Some(why) => why.as_str(),
            None if decided_on && about.path.is_empty() => "refused",
            None if decided_on => "chosen",
            None => "not_needed",
        };
        let (destination, became) = (id.to_owned(), became.to_owned());
        views.push(TargetView { destination, standing: standing(route, id), became });
    }
    views
}

fn hops(about: &About, rules: Option<&Rules>) -> Vec<CoveredHop> {
    let destination = about.destination.as_deref();
    let destination = rules.and_then(|rules| rules.destination(destination?));
    let hop = |id: &str| destination?.path().hops().find(|hop| hop.id().as_str() == id);
    let party = |hop: &Hop| (hop.entity().to_string(), hop.role().as_str());
    let covered = about.path.iter().map(|cover| CoveredHop {
        id: cover.hop.clone(),
        party: hop(&cover.hop).map(party),
        region: cover.region.clone(),
        by: cover.by,
        cover: cover.id.clone(),
    });
    covered.collect()
}

impl Explanation {
    /// Whether the same was decided again; absent when it could not be.
    #[must_use]
    pub fn is_same(&self) -> Option<bool> {
        self.replay.as_ref().ok().map(|replay| replay.differences.is_empty())
    }

    /// Where the two decisions differ.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        self.replay.as_ref().map_or(&[], |replay| &replay.differences)
    }

    /// What the policy says of each class, at the destinations that it was asked about.
    #[must_use]
    pub fn rulings(&self) -> &[Ruled] {
        self.replay.as_ref().map_or(&[], |replay| &replay.rulings)
    }
}

impl From<Error> for ExplainError {
    fn from(error: Error) -> Self {
        Self::Read(error.into())
    }
}
