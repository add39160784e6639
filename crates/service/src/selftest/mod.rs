//! The house tries its own guards, at the start and every hour.
//!
//! Synthetic identifiers of every class are taken through the gate in every dialect, streamed and not:
//! first along routes of the house's own, whose right answers are known (`control.toml`), then along
//! every route in force. A stand-in answers, so nothing leaves, and what the exchanges record is kept in
//! memory, so no review counts them. What came of it is one record, which is read back: that is how the
//! log is tried. A guard that does not do its work closes the house until it does
//! ([decision 033](../../../../docs/decisions/033-self-test.md)).

mod bench;
mod standin;
#[cfg(test)]
mod tests;

use crate::house::{House, InForce};
use crate::mcp::leads_to_tools;
pub(crate) use bench::Guard;
use bench::{Bench, Came, PLANTS, Plant, Read, Trial};
use gate::Code;
use gate::rules::{Api, Route, Rules};
use ledger::seal::KeySet;
use ledger::{Entry, Event, Hash, Receipt, Record, Time, Unrecorded};
use phi::Class;
use standin::{APIS, Way};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The routes whose right answers are known.
const CONTROL: &str = include_str!("control.toml");

/// How often the guards are tried while nothing changes.
const INTERVAL: Duration = Duration::from_hours(1);

/// How much later at the most: nodes that began together do not all try at once.
const JITTER_SECONDS: u32 = 300;

/// How soon after a change of the rules, or after a failure of the test itself, it is made again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Synthetic exchanges along the routes in force in one run, about a millisecond each. Ten routes in every dialect
/// take some 160. What is left out is said in the log lines, and the next run begins there.
const MAX_EXCHANGES: usize = 2000;

/// Those of the run before the first request: the start waits for them. The rest follow at once.
const EXCHANGES_AT_START: usize = 100;

/// Records among which the last self-test is looked for: some days of a busy house, which writes one each
/// hour.
const LOOKED_AT: u64 = 1 << 20;

/// Records that are read at once.
const BATCH: u64 = 1024;

/// Purposes under which a route is looked at for one that opens it: each costs a question for each class.
const MAX_PURPOSES: usize = 16;

/// Identifiers in one trial that does not have all of them.
const DEALT: usize = 4;

/// Failures that are recorded of one run: whoever reads them begins with the first.
const MAX_TOLD: usize = 16;

/// A guard that did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    guard: Guard,
    route: Option<String>,
    api: Option<Api>,
}

impl fmt::Display for Failure {
    /// Names of the organisation's own configuration, and fixed words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.guard.as_str())?;
        if let Some(route) = &self.route {
            write!(f, ", on the route \"{route}\"")?;
        }
        if let Some(api) = self.api {
            write!(f, ", asked as {}", api.as_str())?;
        }
        Ok(())
    }
}

/// Why the guards are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// It is time, and what comes of it is recorded.
    Hour,
    /// The server starts or the rules are others: what fails is recorded, and the hour tells of the rest.
    Change,
}

/// Which routes were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tried {
    /// Not all of any rules.
    #[default]
    NotAll,
    /// Those of these rules, if there were any.
    Under(Option<Hash>),
}

/// What came of the last run.
#[derive(Clone, Debug, Default)]
struct Verdict {
    tried: Tried,
    /// When the next run is due; absent before the first.
    due: Option<Instant>,
    /// When the last one was.
    when: Option<Time>,
    failures: Vec<Failure>,
}

/// The guards as they were found the last time, and what they are tried with.
pub(crate) struct SelfTest {
    verdict: Mutex<Verdict>,
    control: OnceLock<Option<Rules>>,
    text: &'static str,
    read: Read,
    model: fn(&str) -> String,
    /// One run at a time.
    running: tokio::sync::Mutex<usize>,
}

impl Default for SelfTest {
    fn default() -> Self {
        Self {
            verdict: Mutex::default(),
            control: OnceLock::new(),
            text: CONTROL,
            read: providers::Request::read,
            model: str::to_owned,
            running: tokio::sync::Mutex::default(),
        }
    }
}

impl fmt::Debug for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SelfTest")
    }
}

impl SelfTest {
    fn verdict(&self) -> MutexGuard<'_, Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guards that did not do their work the last time.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.verdict().failures.clone()
    }

    /// Whether nothing may go through.
    pub(crate) fn failed(&self) -> bool {
        !self.verdict().failures.is_empty()
    }

    /// When the guards were tried last.
    pub(crate) fn last(&self) -> Option<Time> {
        self.verdict().when
    }

    fn control(&self) -> Option<&Rules> {
        self.control.get_or_init(|| Rules::parse(self.text).ok()).as_ref()
    }
}

/// The log, as the self-test tries it.
trait Log {
    async fn append(&self, event: Event, time: Time) -> Result<Receipt, Unrecorded>;
    async fn read(&self, seq: u64) -> Option<Vec<u8>>;
}

impl Log for store::Tenant {
    async fn append(&self, event: Event, time: Time) -> Result<Receipt, Unrecorded> {
        self.append_with(Entry::bare(time, event), Vec::new()).await
    }

    async fn read(&self, seq: u64) -> Option<Vec<u8>> {
        self.record(seq).await.ok().flatten()
    }
}

/// Records an event and reads it back: whether the log has what it gave a receipt for.
async fn prove(log: &impl Log, event: Event, time: Time) -> Result<bool, Unrecorded> {
    let receipt = log.append(event.clone(), time).await?;
    let Some(bytes) = log.read(receipt.seq).await else { return Ok(false) };
    let said = Record::from_bytes(&bytes).is_ok_and(|record| record.event == event);
    Ok(said && ledger::tree::leaf_hash(&bytes) == receipt.leaf)
}

/// Whether the log has its last record.
async fn prove_last(tenant: &store::Tenant) -> bool {
    let Ok(head) = tenant.head().await else { return true };
    let Some(last) = head.size().checked_sub(1) else { return false };
    let bytes = Log::read(tenant, last).await;
    bytes.is_some_and(|bytes| ledger::tree::leaf_hash(&bytes) == head.last())
}

/// What the house's own routes must come to.
struct Known {
    route: &'static str,
    apis: &'static [Api],
    guard: Guard,
    came: Came,
}

/// Those in which a conversation can be asked for and translated.
const CONVERSATIONS: &[Api] =
    &[Api::ChatCompletions, Api::Responses, Api::Messages, Api::Converse, Api::GenerateContent];

const fn known(route: &'static str, apis: &'static [Api], guard: Guard, came: Came) -> Known {
    Known { route, apis, guard, came }
}

/// Each control route, the interfaces in which it is asked, and which guard is to blame when it comes to
/// anything else.
static KNOWN: &[Known] = &[
    known("chat", CONVERSATIONS, Guard::Pipeline, Came::Back),
    known("chat", &[Api::Completions, Api::Embeddings], Guard::Pipeline, Came::Back),
    known("messages", CONVERSATIONS, Guard::Pipeline, Came::Back),
    known("messages", &[Api::CountTokens], Guard::Pipeline, Came::Back),
    known("converse", CONVERSATIONS, Guard::Pipeline, Came::Back),
    known("generate", CONVERSATIONS, Guard::Pipeline, Came::Back),
    known("tools/echo", &[Api::Mcp], Guard::Pipeline, Came::Back),
    known("redacting", &[Api::ChatCompletions], Guard::Pipeline, Came::Back),
    known("blocking", &[Api::ChatCompletions], Guard::Policy, Came::Refused(Code::PhiBlocked)),
    known("unruled", &[Api::Messages], Guard::Policy, Came::Refused(Code::PhiBlocked)),
    known("lapsed", &[Api::ChatCompletions], Guard::Path, Came::Refused(Code::BaaUncoveredHop)),
    known("unsigned", &[Api::Messages], Guard::Path, Came::Refused(Code::BaaUncoveredHop)),
];

/// The failures of a run, and how many exchanges it made.
#[derive(Default)]
struct Tally {
    failures: BTreeSet<Failure>,
    count: usize,
    left_out: usize,
}

impl Tally {
    fn failed(&mut self, guard: Guard, route: Option<&Route>, api: Api) {
        let route = route.map(|route| route.model().to_string());
        self.failures.insert(Failure { guard, route, api: Some(api) });
    }
}

impl House {
    /// Tries every guard before the first request is taken, along some of the routes; the rest follow.
    /// One that fails is recorded; that all passed is, within the hour.
    pub async fn self_test_at_start(&self) {
        self.self_test_within(EXCHANGES_AT_START, Occasion::Change).await;
    }

    /// Tries every guard, and records what came of it. Until a run finds every guard at its work again,
    /// nothing goes through.
    pub async fn self_test(&self) {
        self.self_test_within(MAX_EXCHANGES, Occasion::Hour).await;
    }

    async fn self_test_within(&self, most: usize, occasion: Occasion) {
        let mut begin = self.selftest.running.lock().await;
        let in_force = self.in_force.load_full();
        let policy = in_force.as_ref().map(|it| it.rules.sha256());
        let now = self.clock.now();
        let tally = self.try_guards(in_force.as_deref(), &mut begin, most).await;
        let recorded = self.record_self_test(&tally, policy, occasion).await;
        let mut failures: Vec<Failure> = tally.failures.into_iter().collect();
        match recorded {
            Ok(true) => {}
            Ok(false) => {
                failures.push(Failure { guard: Guard::Record, route: None, api: None });
            }
            // The log says for itself that it cannot be written.
            Err(error) => tracing::error!(%error, "the self-test cannot be recorded"),
        }
        for failure in failures.iter().take(MAX_TOLD) {
            tracing::error!(%failure, "a guard does not do its work; nothing goes through");
        }
        let goes_on = tally.left_out > 0 && most < MAX_EXCHANGES;
        if tally.left_out > 0 && !goes_on {
            tracing::warn!(left_out = tally.left_out, "the self-test did not try every route");
        }
        let next = Instant::now() + INTERVAL + self.jitter();
        let mut verdict = self.selftest.verdict();
        let due = match occasion {
            Occasion::Hour => next,
            Occasion::Change => verdict.due.unwrap_or(next),
        };
        let tried = if goes_on { Tried::NotAll } else { Tried::Under(policy) };
        let due = Some(due);
        *verdict = Verdict { tried, due, when: Some(now), failures };
    }

    /// Takes synthetic identifiers through every guard. They are sealed under keys of their own, which end
    /// with the run: whether the organisation's are open is another question.
    async fn try_guards(
        &self,
        in_force: Option<&InForce>,
        begin: &mut usize,
        most: usize,
    ) -> Tally {
        let now = self.clock.now();
        let keys = KeySet::generate(now, now.day(), &*self.entropy);
        let bench = Bench {
            detector: &self.detector,
            categories: &self.categories,
            clock: &*self.clock,
            entropy: &*self.entropy,
            log: self.log,
            keys: Arc::new(keys),
            read: self.selftest.read,
            model: self.selftest.model,
        };
        let mut tally = Tally::default();
        // What the detector lacks may not show in the exchanges of a bench: one layer stands in for another.
        if self.detector.self_test().is_err() || self.categories.self_test().is_err() {
            tally.failures.insert(Failure { guard: Guard::Detector, route: None, api: None });
        }
        self.try_known(&bench, &mut tally).await;
        if let Some(in_force) = in_force {
            let rules = &in_force.rules;
            *begin = try_routes(&bench, rules, (*begin, most), &mut tally).await;
        }
        tally
    }

    /// Tries the guards without a record, for whoever looks at the house from outside of the server.
    pub(crate) async fn examine_guards(&self) -> Vec<Failure> {
        let in_force = self.in_force.load_full();
        let tally = self.try_guards(in_force.as_deref(), &mut 0, MAX_EXCHANGES).await;
        tally.failures.into_iter().collect()
    }

    /// The last record of a self-test, among the newest records.
    pub(crate) async fn last_self_test(&self) -> Result<Option<Record>, crate::house::Error> {
        let mut end = self.tenant.head().await?.size();
        let last = end.saturating_sub(LOOKED_AT);
        while end > last {
            let from = end.saturating_sub(BATCH).max(last);
            let limit = usize::try_from(end - from).unwrap_or(usize::MAX);
            for (_, bytes) in self.tenant.records_from(from, limit).await?.into_iter().rev() {
                let record = Record::from_bytes(&bytes).ok();
                let found = record.filter(|record| record.event.kind().starts_with("selftest."));
                if found.is_some() {
                    return Ok(found);
                }
            }
            end = from;
        }
        Ok(None)
    }

    /// Tries the guards whenever that is due.
    pub(crate) async fn keep_testing(&self) {
        loop {
            let policy = self.in_force.load().as_ref().map(|it| it.rules.sha256());
            let occasion = {
                let verdict = self.selftest.verdict();
                if verdict.due.is_some_and(|due| due <= Instant::now()) {
                    Some(Occasion::Hour)
                } else {
                    (verdict.tried != Tried::Under(policy)).then_some(Occasion::Change)
                }
            };
            if let Some(occasion) = occasion {
                Box::pin(self.self_test_within(MAX_EXCHANGES, occasion)).await;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn jitter(&self) -> Duration {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        Duration::from_secs(u64::from(u32::from_le_bytes(bytes) % JITTER_SECONDS))
    }

    /// Whether the log has what came of the run.
    async fn record_self_test(
        &self,
        tally: &Tally,
        policy: Option<Hash>,
        occasion: Occasion,
    ) -> Result<bool, Unrecorded> {
        let now = self.clock.now();
        if tally.failures.is_empty() {
            if occasion == Occasion::Change {
                return Ok(prove_last(&self.tenant).await);
            }
            let event = Event::SelfTestPassed { count: tally.count as u64, policy };
            return prove(&self.tenant, event, now).await;
        }
        let mut whole = true;
        for Failure { guard, route, api } in tally.failures.iter().take(MAX_TOLD) {
            let event = Event::SelfTestFailed {
                reason: guard.as_str().to_owned(),
                route: route.clone(),
                api: api.map(|api| api.as_str().to_owned()),
                policy,
            };
            whole &= prove(&self.tenant, event, now).await?;
        }
        Ok(whole)
    }

    /// The routes whose right answers are known.
    async fn try_known(&self, bench: &Bench<'_>, tally: &mut Tally) {
        let Some(rules) = self.selftest.control() else {
            tally.failures.insert(Failure { guard: Guard::Policy, route: None, api: None });
            return;
        };
        let mut turn = Turn::default();
        for Known { route, apis, guard, came } in KNOWN {
            let Some(route) = rules.route(route) else {
                tally.failures.insert(Failure { guard: *guard, route: None, api: None });
                continue;
            };
            // What is to be refused has every identifier in it.
            let all = *came != Came::Back;
            for &api in *apis {
                for &way in Way::of(api) {
                    let every: Vec<&Plant> = PLANTS.iter().collect();
                    // All of them also where the house's own speech meets itself.
                    let all =
                        all || (route.model().as_str() == "chat" && api == Api::ChatCompletions);
                    let plants = &if all { every } else { turn.some(&every) };
                    let (target, purpose) = (None, None);
                    let trial = Trial { rules, route, target, purpose, api, way, plants };
                    tally.count += 1;
                    match bench.try_out(&trial).await {
                        Ok(it) if it == *came => {}
                        Ok(_) => tally.failed(*guard, None, api),
                        Err(guard) => tally.failed(guard, None, api),
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Deals identifiers out, a few for each trial, so that each has its turn: which dialect is spoken makes no
/// difference to a class, and most of the time goes into searching.
#[derive(Default)]
struct Turn(usize);

impl Turn {
    fn some(&mut self, of: &[&'static Plant]) -> Vec<&'static Plant> {
        let dealt: Vec<&Plant> =
            of.iter().cycle().skip(self.0).take(DEALT.min(of.len())).copied().collect();
        self.0 = (self.0 + DEALT) % of.len().max(1);
        dealt
    }
}

/// Every route in force, in every dialect, to each of its destinations: so many trials at most, from the
/// route of that number on. Says with which route the next run begins.
async fn try_routes(
    bench: &Bench<'_>,
    rules: &Rules,
    (begin, most): (usize, usize),
    tally: &mut Tally,
) -> usize {
    let mut routes: Vec<&Route> = rules.routes().collect();
    let begin = begin.checked_rem(routes.len()).unwrap_or_default();
    routes.rotate_left(begin);
    let known = tally.count;
    for (number, route) in routes.iter().enumerate() {
        if tally.count - known >= most {
            tally.left_out = routes.len() - number;
            return begin + number;
        }
        try_route(bench, rules, route, tally).await;
    }
    begin
}

/// The interfaces in which a route is tried: a tool is called over its own protocol, and a model is asked in
/// every other. Whoever asks a tool as a model is refused in the same way at each, so that is not tried at
/// each, of which there may be hundreds.
///
/// What is said to a server of tools itself is not tried. It is Bulla's greeting, and the mark of a page that
/// the server gave; it takes the path of the server's tools, which are.
fn asked_in(rules: &Rules, route: &Route) -> &'static [Api] {
    if !leads_to_tools(rules, route) {
        return &APIS;
    }
    let (target, _) = route.targets();
    let to_server = target.destination().as_str() == route.model().as_str();
    if to_server { &[] } else { &[Api::Mcp] }
}

async fn try_route(bench: &Bench<'_>, rules: &Rules, route: &Route, tally: &mut Tally) {
    let apis = asked_in(rules, route);
    let (purpose, permitted, refused) = expected(rules, route);
    let targets: BTreeSet<&str> =
        route.every_target().map(|it| it.destination().as_str()).collect();
    let mut turn = Turn::default();
    for &api in apis {
        for &way in Way::of(api) {
            // Every class is tried on every route, in the first dialect.
            let first = apis.first() == Some(&api) && way == Way::Whole;
            for plants in [&permitted, &refused] {
                let plants = if first { plants.clone() } else { turn.some(plants) };
                if plants.is_empty() {
                    continue;
                }
                for target in &targets {
                    let (target, plants) = (Some(*target), &plants[..]);
                    let trial = Trial { rules, route, target, purpose, api, way, plants };
                    tally.count += 1;
                    // What is refused does not leave: whether it should have been permitted is no
                    // matter of safety.
                    if let Err(guard) = bench.try_out(&trial).await {
                        tally.failed(guard, Some(route), api);
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// The purpose under which most of what is planted may take the route, and what may and may not.
fn expected<'a>(
    rules: &'a Rules,
    route: &'a Route,
) -> (Option<&'a str>, Vec<&'static Plant>, Vec<&'static Plant>) {
    let purposes = rules.purposes().map(|(id, _)| Some(id.as_str()));
    let sorted =
        std::iter::once(None).chain(purposes.take(MAX_PURPOSES)).map(|purpose: Option<&'a str>| {
            let nothing = BTreeSet::new();
            let ask = bench::ask(route, purpose, &nothing);
            let permits = |class: Class| rules.decide(&BTreeSet::from([class]), &ask).is_ok();
            let (permitted, refused): (Vec<_>, Vec<_>) =
                PLANTS.iter().partition(|plant| permits(plant.class));
            (purpose, permitted, refused)
        });
    sorted.max_by_key(|(_, permitted, _)| permitted.len()).unwrap_or_default()
}
