use super::*;
use gate::rules::Rules;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;

const FAILED: Option<UpstreamFailure> = Some(UpstreamFailure::Failed);

fn routing() -> (Routing, TestClock) {
    let clock = TestClock::starting("2026-01-10T15:00:00Z");
    (Routing::new(Arc::new(clock.clone()), Arc::new(Seeded::new(3))), clock)
}

/// The smallest file, with another retry.
fn rules(retry: &str) -> Rules {
    let file = include_str!("../../../../examples/minimal.toml");
    let to = "to = [{ destination = \"local\", model = \"local\" }]";
    assert!(file.contains(to));
    Rules::parse(&file.replace(to, &format!("{to}\n{retry}"))).unwrap()
}

#[test]
fn ten_failures_in_a_row_open_a_circuit_and_one_trial_at_a_time_may_close_it() {
    let (routing, clock) = routing();
    for _ in 0..9 {
        routing.tell("a", FAILED);
    }
    routing.tell("a", None);
    for _ in 0..9 {
        routing.tell("a", FAILED);
        assert!(routing.lets_pass("a"));
    }
    routing.tell("a", FAILED);
    assert!(!routing.lets_pass("a") && routing.lets_pass("b"));
    assert_eq!(routing.open(), 1);
    clock.advance(29);
    assert!(!routing.lets_pass("a"));
    clock.advance(1);
    assert!(routing.lets_pass("a"), "the trial");
    assert!(!routing.lets_pass("a"), "one at a time");
    routing.tell("a", FAILED);
    clock.advance(29);
    assert!(!routing.lets_pass("a"));
    clock.advance(1);
    assert!(routing.lets_pass("a"));
    routing.tell("a", None);
    assert!(routing.lets_pass("a") && routing.lets_pass("a"));
    assert_eq!(routing.open(), 0);
}

#[test]
fn half_of_the_last_minutes_answers_open_a_circuit_when_they_are_failures() {
    let (routing, clock) = routing();
    for _ in 0..10 {
        routing.tell("a", None);
        assert!(routing.lets_pass("a"));
        routing.tell("a", FAILED);
    }
    assert!(!routing.lets_pass("a"), "10 of 20");
    // The same over more than a minute is less than half of any minute's twenty.
    for _ in 0..40 {
        routing.tell("b", None);
        routing.tell("b", FAILED);
        clock.advance(20);
        assert!(routing.lets_pass("b"));
    }
}

#[test]
fn what_a_server_refuses_says_that_it_is_in_order_and_too_many_requests_say_nothing() {
    let (routing, _) = routing();
    for _ in 0..100 {
        routing.tell("a", Some(UpstreamFailure::Rejected(None)));
        routing.tell("a", Some(UpstreamFailure::RateLimited(None)));
        routing.tell("a", Some(UpstreamFailure::Unauthorized));
    }
    assert!(routing.lets_pass("a"));
    for _ in 0..10 {
        routing.tell("a", FAILED);
        routing.tell("a", Some(UpstreamFailure::RateLimited(None)));
    }
    assert!(!routing.lets_pass("a"));
}

#[test]
fn a_clock_that_is_set_back_keeps_no_circuit_open() {
    let (routing, clock) = routing();
    for _ in 0..10 {
        routing.tell("a", FAILED);
    }
    clock.advance(-3600);
    assert!(routing.lets_pass("a"));
}

#[test]
fn retries_are_a_share_of_requests_and_ten_more_at_the_most() {
    let (routing, _) = routing();
    let rules = rules("retry = { attempts = 2, budget_percent = 20 }");
    let route = rules.routes().next().unwrap();
    let tried = ["local".to_owned()];
    let mut retries = 0;
    for _ in 0..1000 {
        routing.arrived(route);
        retries +=
            usize::from(routing.again(route, &tried, true, UpstreamFailure::Failed).is_some());
    }
    // The budget begins with ten, and a request that finds it full adds nothing.
    assert!((200..=210).contains(&retries), "{retries}");
}

#[test]
fn a_request_leaves_as_often_as_its_route_says_and_only_when_nothing_was_answered() {
    let tried = |times| vec!["local".to_owned(); times];
    let (routing, _) = routing();
    for (retry, most) in [("", 1), ("retry = { attempts = 3 }", 3)] {
        let rules = rules(retry);
        let route = rules.routes().next().unwrap();
        for times in 1..5 {
            let again = routing.again(route, &tried(times), true, UpstreamFailure::Unreachable);
            assert_eq!(again.is_some(), times < most, "{retry} {times}");
        }
    }
    let rules = rules("retry = { attempts = 3 }");
    let route = rules.routes().next().unwrap();
    for failure in [
        UpstreamFailure::Cut,
        UpstreamFailure::Stalled,
        UpstreamFailure::TotalTimedOut,
        UpstreamFailure::Garbage,
        UpstreamFailure::Rejected(None),
        UpstreamFailure::Unauthorized,
        UpstreamFailure::AddressRefused,
        UpstreamFailure::RateLimited(Some(6)),
    ] {
        assert_eq!(routing.again(route, &tried(1), true, failure), None, "{failure:?}");
    }
    let pause = routing.again(route, &tried(1), true, UpstreamFailure::RateLimited(Some(5)));
    assert!(pause.unwrap() >= Duration::from_secs(5));
}

#[test]
fn waits_are_spread_from_nothing_to_a_bound_that_doubles() {
    let (routing, _) = routing();
    for (attempts, bound) in [(1, 100), (2, 200), (3, 400), (9, 2000), (99, 2000)] {
        let waits: Vec<_> = (0..200).map(|_| routing.jitter(attempts)).collect();
        let bound = Duration::from_millis(bound);
        assert!(waits.iter().all(|wait| *wait < bound));
        assert!(waits.iter().any(|wait| *wait < bound / 4), "{attempts}");
        assert!(waits.iter().any(|wait| *wait > bound / 4 * 3), "{attempts}");
    }
}
