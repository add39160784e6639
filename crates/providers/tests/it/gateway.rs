//! Gets something to send: only the gate can make one.

use gate::exchange::{Departed, Exchange, Question, Seal, World};
use gate::policy::Ask;
use gate::rules::{Api, Keep, Rules};
use gate::shape::Json;
use gate::{Caller, Outbound};
use ledger::seal::KeySet;
use ledger::{
    Actor, ActorKind, Blob, Clock, DeploymentId, Entry, ExchangeId, Head, Journal, LogId, Receipt,
    TenantId, Unrecorded,
};
use phi::surrogate::SurrogateMap;
use phi::{Detector, Text};
use providers::{Addressed, Request};
use std::sync::{Arc, LazyLock, Mutex};
use testkit::clock::TestClock;
use testkit::entropy::Seeded;

pub(crate) static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

const LOG: LogId =
    LogId { deployment: DeploymentId::from_bytes([1; 16]), tenant: TenantId::from_bytes([2; 16]) };

/// A journal that says yes.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Head>);

impl Journal for Memory {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let sealed = self.0.lock().unwrap().seal_next(LOG, entry.time, entry.event)?;
        Ok(Receipt { log: LOG, seq: sealed.seq, leaf: sealed.leaf })
    }
    async fn keep(&self, _: Blob) -> Result<(), Unrecorded> {
        Ok(())
    }
}

/// The governed configuration with one destination at `url` on `host`, run by an outside vendor
/// under an agreement, or by the organisation itself.
fn rules(url: &str, host: &str, place: Place) -> Rules {
    let minimal = include_str!("../../../../examples/minimal.toml")
        .replace("http://127.0.0.1:8089/v1", url)
        .replace("127.0.0.1:8089", host);
    let text = match place {
        Place::Inside => minimal,
        Place::Outside => {
            let inside = "sees = \"content\"\nboundary = \"inside\"\n\
                          owner = \"Lakeside Family Clinic (synthetic)\"\nhosts";
            let outside = "sees = \"content\"\nboundary = \"outside\"\nservice = \"inference\"\n\
                           tier = \"enterprise\"\nregion = \"us\"\nagreement = \"baa\"\nhosts";
            let agreement = "\n[[agreement]]\nid = \"baa\"\nkind = \"baa\"\n\
                 counterparty = \"Lakeside Family Clinic (synthetic)\"\n\
                 effective = 2026-01-01\nexpires = 2029-01-01\n[[agreement.scope]]\n\
                 services = [\"inference\"]\ntiers = [\"enterprise\"]\nregions = [\"us\"]\n\
                 apis = [\"chat.completions\"]\nmodels = [\"local\"]\nmodalities = [\"text\"]\ntraining = \"none\"\n";
            assert!(minimal.contains(inside));
            minimal.replace(inside, outside) + agreement
        }
    };
    Rules::parse(&text).unwrap()
}

/// On which side of the organisation's boundary the model server stands.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Inside,
    Outside,
}

/// The gate in front of one model server.
pub(crate) struct Gateway {
    rules: Rules,
}

impl Gateway {
    pub(crate) fn new(url: &str, place: Place) -> Self {
        Self { rules: rules(url, url.split('/').nth(2).unwrap(), place) }
    }

    /// Takes `body` through the gate, to the point at which it may be sent.
    pub(crate) async fn admitted(&self, body: &str) -> (Outbound, Exchange<Departed>) {
        let rules = &self.rules;
        let clock = TestClock::starting("2026-11-23T09:00:00Z");
        let entropy = Seeded::new(5);
        let now = clock.now();
        let journal = Memory::default();
        let json = Json::parse(body.as_bytes()).unwrap();
        let asked =
            Request::read(Api::ChatCompletions, Addressed::default(), json, Text::from(body))
                .unwrap();
        let caller = Caller {
            actor: Actor { kind: ActorKind::ApiKey, id: "key_1".into(), name: "tests".into() },
            purpose: None,
            surface: "api",
        };
        let question = Question {
            id: ExchangeId::mint(now, &entropy),
            api: Api::ChatCompletions,
            stream: asked.request.stream(),
            route: Some("local".into()),
            conversation: None,
            patient: None,
            retry_of: None,
            reduced_by: None,
            justification: None,
            previous: None,
            policy: None,
            batch: None,
        };
        let keys = Arc::new(KeySet::generate(now, now.day(), &entropy));
        let seal = Seal { log: LOG, keys, new_unit: None, keep: Keep::All };
        let scanned =
            Exchange::open(caller, question, seal, asked.prompt, &DETECTOR, rules).unwrap();
        let ask = Ask {
            caller: "key_1",
            owner: "tests",
            purpose: None,
            surface: "api",
            categories: &std::collections::BTreeSet::new(),
            route: rules.route("local").unwrap(),
        };
        let decision = rules.decide(&scanned.classes(), &ask).unwrap();
        let cleared = scanned.clear(&decision, rules, SurrogateMap::new(), now, &entropy).unwrap();
        let world = World { journal: &journal, clock: &clock, entropy: &entropy };
        cleared.admit(&world).await.unwrap().depart()
    }
}
