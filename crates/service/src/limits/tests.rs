//! What is not seen from outside: what is remembered, and what it costs.

use super::*;
use gate::rules::Rules;
use ledger::{ApiKeyId, Event};
use testkit::clock::TestClock;
use testkit::records;
use tokio::time::Instant;

const CLINIC: &str = include_str!("../../../../examples/clinic.toml");

const RATES: &str = r#"
[[limit]]
id = "each"
per = "key"
requests_per_minute = 1_000_000_000
tokens_per_minute = 1_000_000_000_000
concurrent = 100_000
[[limit]]
id = "together"
per = "tenant"
requests_per_minute = 1_000_000_000
"#;

const BUDGETS: &str = r#"
[[limit]]
id = "money"
per = "owner"
tokens_per_day = 1_000_000_000_000
money_per_month = "1000000000"
[[price]]
id = "large"
destination = "examplecloud"
model = "example-large"
prompt = "2.50"
completion = "10"
[[price]]
id = "small"
destination = "examplecloud"
model = "example-small"
prompt = "0.15"
completion = "0.6"
[[price]]
id = "local"
destination = "local"
model = "local"
prompt = "0"
completion = "0"
"#;

fn under(more: &str) -> Arc<InForce> {
    let rules = Rules::parse(&format!("currency = \"USD\"\n{CLINIC}{more}")).unwrap();
    Arc::new(InForce { rules, version: 1, wires: BTreeMap::new() })
}

fn limits(clock: &TestClock) -> Arc<Limits> {
    let state = State { tidy_at: SUBJECTS, ..State::default() };
    Arc::new(Limits { clock: Arc::new(clock.clone()), state: Mutex::new(state) })
}

fn caller(number: u64) -> Principal {
    let mut key = [7; 16];
    let (head, _) = key.split_at_mut(8);
    head.copy_from_slice(&number.to_be_bytes());
    Principal::caller(ApiKeyId::from_bytes(key), &format!("Bot {}", number % 7))
}

fn event(wanted: fn(&Event) -> bool) -> Event {
    records::every_kind().into_iter().find(wanted).unwrap()
}

/// One exchange, from its request to its recorded end.
fn exchange(
    limits: &Arc<Limits>,
    in_force: &Arc<InForce>,
    caller: &Principal,
    events: [&Event; 2],
) {
    let route = in_force.rules.route("assistant").unwrap();
    let asked = Some((route, estimate(2000, Some(500))));
    let Passage::Passed(mut hold) = limits.admit(caller, in_force, asked) else {
        panic!("a limit refused it");
    };
    for event in events {
        let mut turn = hold.turn(event);
        drop(turn.effects());
        hold.recorded(&turn);
    }
}

#[test]
fn whoever_has_nothing_that_counts_is_forgotten() {
    let clock = TestClock::starting("2026-11-27T09:00:00Z");
    let (limits, in_force) = (limits(&clock), under(RATES));
    let intent = event(|it| matches!(it, Event::Intent(_)));
    let outcome = event(|it| matches!(it, Event::Outcome(_)));
    let running = {
        let route = in_force.rules.route("assistant").unwrap();
        limits.admit(&caller(0), &in_force, Some((route, estimate(1, None))))
    };
    for number in 1..20 * SUBJECTS as u64 {
        exchange(&limits, &in_force, &caller(number), [&intent, &outcome]);
        // A hundred keys a second: what is remembered is what a minute needs, and as much again.
        if number % 100 == 0 {
            clock.advance(1);
        }
        let remembered = limits.lock().subjects.len();
        assert!(remembered <= 2 * (100 * 62 + 9), "{remembered} after {number}");
    }
    let key = Subject::Key(caller(0).key());
    assert_eq!(limits.lock().subjects[&key].of(Measure::Concurrent, None, &moment(&limits)), 1);
    drop(running);
    assert_eq!(limits.lock().subjects[&key].of(Measure::Concurrent, None, &moment(&limits)), 0);
}

fn moment(limits: &Limits) -> Moment {
    // Another calendar and another steady time than the limits' own, for what does not depend on them.
    State::default().moment(&*limits.clock)
}

#[test]
fn a_task_that_panics_leaves_its_place() {
    let clock = TestClock::starting("2026-11-27T09:00:00Z");
    let (limits, in_force) = (limits(&clock), under(BUDGETS));
    let route = in_force.rules.route("assistant").unwrap();
    let asked = Some((route, estimate(2000, Some(500))));
    let Passage::Passed(hold) = limits.admit(&caller(1), &in_force, asked) else {
        panic!("a limit refused it");
    };
    let used = |measure| {
        let state = limits.lock();
        let currency = in_force.rules.limits().currency();
        state.subjects[&Subject::Tenant].of(measure, currency, &moment(&limits))
    };
    let measures = [Measure::Concurrent, Measure::TokensPerDay, Measure::MoneyPerMonth];
    assert_eq!(measures.map(used), [1, 1000, 1250 + 5000]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _hold = hold;
        panic!("as a defect would");
    }));
    assert!(panicked.is_err());
    assert_eq!(measures.map(used), [0, 0, 0]);
}

/// `cargo test --release -p service --lib limits -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, run by hand in release"]
fn what_limits_cost() {
    const EXCHANGES: u64 = 1_000_000;
    let intent = event(|it| matches!(it, Event::Intent(_)));
    let outcome = event(|it| matches!(it, Event::Outcome(_)));
    let callers: Vec<Principal> = (0..100).map(caller).collect();
    for (name, more) in [("rates", RATES.to_owned()), ("budgets too", format!("{RATES}{BUDGETS}"))]
    {
        let clock = TestClock::starting("2026-11-27T09:00:00Z");
        let (limits, in_force) = (limits(&clock), under(&more));
        let begun = Instant::now();
        for (number, caller) in (0..EXCHANGES).zip(callers.iter().cycle()) {
            exchange(&limits, &in_force, caller, [&intent, &outcome]);
            if number % 10_000 == 0 {
                clock.advance(1);
            }
        }
        let hooks = begun.elapsed() / 1_000_000;
        let begun = Instant::now();
        for caller in callers.iter().cycle().take(1_000_000) {
            assert!(limits.standing(caller, &in_force, Some("assistant")).requests.is_some());
        }
        eprintln!(
            "{name}: hooks {hooks:?} an exchange, standing {:?}",
            begun.elapsed() / 1_000_000
        );
    }
}
