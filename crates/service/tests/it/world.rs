//! A house on a test clock, with a stand-in upstream under an agreement.

use ledger::{Actor, ActorKind, Event, Record};
use service::{Converse, House, KeyRequest, KeyRole, Principal, Setup, Started};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;
use testkit::upstream::{Reply, Upstream};

static SEED: AtomicU64 = AtomicU64::new(7);

/// A house, its clock, its upstream, and a caller.
pub(crate) struct World {
    pub(crate) house: Arc<House>,
    pub(crate) clock: TestClock,
    pub(crate) upstream: Upstream,
    pub(crate) secret: String,
    pub(crate) environment: Environment,
    dir: tempfile::TempDir,
}

/// Variables that a test sets, also while a house is open.
#[derive(Clone, Default)]
pub(crate) struct Environment(Arc<Mutex<Option<Arc<service::Environment>>>>);

impl Environment {
    pub(crate) fn set(&self, variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.0.lock().unwrap() = Some(Arc::new(variables));
    }

    fn reader(&self) -> Arc<service::Environment> {
        let this = self.clone();
        Arc::new(move |name| {
            let variables = this.0.lock().unwrap().clone();
            variables.and_then(|variables| variables(name))
        })
    }
}

pub(crate) fn operator() -> Actor {
    Actor { kind: ActorKind::Operator, id: "uid:0".to_owned(), name: "A. Tester".to_owned() }
}

/// A vendor on this machine, under an agreement in force from 2026-01-01 until 2027-01-01.
fn rules(upstream: &Upstream) -> String {
    format!(
        r#"
schema = 1
organisation = "Example Clinic (synthetic)"
[hosting]
hop = "clinic-server"
[[purpose]]
id = "treatment"
title = "Treatment"
[[agreement]]
id = "baa-example"
kind = "baa"
counterparty = "Example Vendor (synthetic)"
effective = 2026-01-01
expires = 2027-01-01
[[agreement.scope]]
services = ["inference-api"]
tiers = ["enterprise"]
regions = ["*"]
apis = ["chat.completions"]
models = ["example"]
modalities = ["text"]
training = "none"
[[hop]]
id = "clinic-server"
entity = "Example Clinic (synthetic)"
role = "hosting"
sees = "content"
boundary = "inside"
owner = "Example Clinic (synthetic)"
[[hop]]
id = "vendor"
entity = "Example Vendor (synthetic)"
role = "inference"
service = "inference-api"
tier = "enterprise"
region = "us-east"
sees = "content"
boundary = "outside"
agreement = "baa-example"
hosts = ["{authority}"]
[[destination]]
id = "vendor"
title = "Vendor"
dialect = "openai_compatible"
url = "{url}"
credential = "none"
hops = ["vendor"]
models = ["example"]
[[route]]
model = "example"
to = [{{ destination = "vendor", model = "example" }}]
[[policy]]
id = "tokenize"
effect = "tokenize"
classes = ["*"]
destinations = ["vendor"]
purposes = ["*"]
"#,
        authority = upstream.address(),
        url = upstream.url(),
    )
}

impl World {
    /// A house at `moment`, with its rules in force and one key.
    pub(crate) async fn at(moment: &str, key_days: Option<u32>) -> Self {
        Self::with(moment, key_days, Environment::default()).await
    }

    /// The same, with an environment.
    pub(crate) async fn with(
        moment: &str,
        key_days: Option<u32>,
        environment: Environment,
    ) -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::starting(moment);
        let upstream = Upstream::start(Reply::echo()).await;
        let setup = Self::setup(&dir, &clock, &environment);
        let house = House::create(setup, "Example Clinic (synthetic)").await.unwrap();
        house.apply(&rules(&upstream), operator()).await.unwrap();
        house.reload().await.unwrap();
        let request = KeyRequest {
            owner: "Example Scheduling Bot".to_owned(),
            role: KeyRole::Caller,
            purpose: Some("treatment".to_owned()),
            days: key_days,
        };
        let (_, secret, _) = house.create_key(request, operator()).await.unwrap();
        house.reload().await.unwrap();
        Self { house, clock, upstream, secret: secret.reveal().to_owned(), environment, dir }
    }

    /// A key that reads the log.
    pub(crate) async fn auditor(&self, owner: &str) -> Principal {
        let request = KeyRequest {
            owner: owner.to_owned(),
            role: KeyRole::Auditor,
            purpose: None,
            days: None,
        };
        let (_, secret, _) = self.house.create_key(request, operator()).await.unwrap();
        self.house.reload().await.unwrap();
        self.house.authenticate(secret.reveal()).unwrap()
    }

    /// Puts the same rules in force with `more` below them.
    pub(crate) async fn apply_with(&self, more: &str) {
        let rules = format!("{}{more}", rules(&self.upstream));
        self.house.apply(&rules, operator()).await.unwrap();
        self.house.reload().await.unwrap();
    }

    /// Puts changed rules in force.
    pub(crate) async fn apply_changed(&self, change: impl Fn(String) -> String) {
        self.house.apply(&change(rules(&self.upstream)), operator()).await.unwrap();
        self.house.reload().await.unwrap();
    }

    /// Applies the same rules with `more` below them, or says why not.
    pub(crate) async fn try_with(&self, more: &str) -> Result<(), service::ApplyError> {
        let rules = format!("{}{more}", rules(&self.upstream));
        self.house.apply(&rules, operator()).await.map(drop)
    }

    /// The same data directory, opened again.
    pub(crate) async fn reopened(self) -> Self {
        self.closed_and(|_| ()).await
    }

    fn setup(dir: &tempfile::TempDir, clock: &TestClock, environment: &Environment) -> Setup {
        Setup {
            dir: dir.path().join("data"),
            key_file: None,
            // Short, so that a test sees keys close.
            keys_ttl: Duration::from_secs(1),
            clock: Arc::new(clock.clone()),
            // Another for each process, as with real randomness.
            entropy: Arc::new(Seeded::new(SEED.fetch_add(1, Ordering::Relaxed))),
            environment: environment.reader(),
        }
    }

    /// What another process opens the same data directory with.
    pub(crate) fn setup_again(&self) -> Setup {
        Self::setup(&self.dir, &self.clock, &self.environment)
    }

    /// Closes the house, does something to its data directory, and opens it again.
    pub(crate) async fn closed_and(self, change: impl FnOnce(&std::path::Path)) -> Self {
        let Self { house, clock, upstream, secret, environment, dir } = self;
        drop(house);
        change(&dir.path().join("data"));
        let house = House::open(Self::setup(&dir, &clock, &environment)).await.unwrap();
        Self { house, clock, upstream, secret, environment, dir }
    }

    pub(crate) fn principal(&self) -> Principal {
        self.house.authenticate(&self.secret).unwrap()
    }

    /// Sends one user turn; says the outcome's name, its code and reason, from the record.
    pub(crate) async fn ask(&self, text: &str, conversation: Option<&str>) -> (Event, String) {
        self.ask_about(text, conversation, None).await
    }

    /// The same, about a patient.
    pub(crate) async fn ask_about(
        &self,
        text: &str,
        conversation: Option<&str>,
        patient: Option<&str>,
    ) -> (Event, String) {
        let body = serde_json::json!({
            "model": "example",
            "messages": [{ "role": "user", "content": text }],
        });
        let request = Converse {
            api: gate::rules::Api::ChatCompletions,
            addressed: providers::Addressed::default(),
            principal: self.principal(),
            body: body.to_string().into_bytes(),
            purpose: None,
            conversation: conversation.map(phi::Text::from),
            patient: patient.map(phi::Text::from),
            justification: None,
            traceparent: None,
            earlier: service::Earlier::default(),
        };
        let place = self.house.enter(&request.principal).await.unwrap();
        let Started::Ended(ended) = self.house.converse(request, place).await else {
            panic!("no stream was asked for");
        };
        let (_, outcome, receipt) = *ended.released.expect("recorded");
        let bytes = self.house.record(receipt.seq).await.unwrap().unwrap();
        let answer = match outcome {
            gate::Outcome::Answered(answer) => answer.into_exposed(),
            _ => String::new(),
        };
        (Record::from_bytes(&bytes).unwrap().event, answer)
    }

    /// Every record of the log that was not pruned.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for seq in 0..self.house.status().await.unwrap().records {
            let bytes = self.house.record(seq).await.unwrap();
            records.extend(bytes.map(|bytes| Record::from_bytes(&bytes).unwrap()));
        }
        records
    }

    /// Their events.
    pub(crate) async fn events(&self) -> Vec<Event> {
        self.records().await.into_iter().map(|record| record.event).collect()
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
}

/// Outcome, code, reason.
pub(crate) fn ending(event: &Event) -> (&str, Option<&str>, Option<&str>) {
    let Event::Outcome(outcome) = event else { panic!("not an outcome") };
    (&outcome.outcome, outcome.code.as_deref(), outcome.reason.as_deref())
}
