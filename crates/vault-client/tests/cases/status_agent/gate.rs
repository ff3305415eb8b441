//! The gate of the example by itself, in a time that the test makes.

use std::time::Duration;

#[path = "../../../examples/status_agent/gate.rs"]
#[expect(clippy::module_inception, reason = "it is the example's")]
mod gate;

use gate::{Gate, Moment, SKEW, Shut};

/// The second of the start.
const START: u64 = 1_000_000;

/// The first in which a request can be signed that passes.
const FIRST: u64 = START + 1;

fn at(second: u64) -> Moment {
    Moment { unix: second, steady: Duration::from_secs(second) }
}

#[test]
fn a_request_is_of_its_time_for_a_minute_both_ways_and_never_of_the_start_or_before() {
    let now = START + 1000;
    for (timestamp, passes) in [
        (now - SKEW - 1, Err(Shut::Clock)),
        (now - SKEW, Ok(())),
        (now, Ok(())),
        (now + SKEW, Ok(())),
        (now + SKEW + 1, Err(Shut::Clock)),
        (0, Err(Shut::Clock)),
        (u64::MAX, Err(Shut::Clock)),
    ] {
        assert_eq!(Gate::new(START, 10, 10).pass("a", "n", timestamp, at(now)), passes, "{timestamp}");
    }
    let mut gate = Gate::new(START, 10, 10);
    // One of the second of the start may have passed before it.
    assert_eq!(gate.pass("a", "n", START, at(START)), Err(Shut::Clock));
    assert_eq!(gate.pass("a", "n", START, at(FIRST)), Err(Shut::Clock));
    assert_eq!(gate.pass("a", "n", FIRST, at(FIRST)), Ok(()));
}

#[test]
fn a_nonce_is_known_as_long_as_its_time_is_accepted_also_where_the_clock_is_set_back() {
    let mut gate = Gate::new(START, 10, 10);
    let first = FIRST + 100;
    assert_eq!(gate.pass("a", "n", first, at(first)), Ok(()));
    // The last second in which it is of its time.
    assert_eq!(gate.pass("a", "n", first, at(first + SKEW)), Err(Shut::Replayed));
    // The same nonce of another second, or of another caller, is another request.
    assert_eq!(gate.pass("a", "n", first + 1, at(first + 1)), Ok(()));
    assert_eq!(gate.pass("b", "n", first, at(first)), Ok(()));
    // It is forgotten, and stays refused after the clock was set back.
    assert_eq!(gate.pass("a", "m", first + 3600, at(first + 3600)), Ok(()));
    assert_eq!(gate.pass("a", "n", first, at(first)), Err(Shut::Clock));
    assert_eq!(gate.pass("a", "new", first + 2, at(first + 2)), Ok(()));
}

#[test]
fn no_more_is_remembered_than_may_be_and_room_comes_back_with_time() {
    let mut gate = Gate::new(START, 10, 2);
    let ask = |gate: &mut Gate, nonce, second| gate.pass("a", nonce, second, at(second));
    assert_eq!(ask(&mut gate, "1", FIRST), Ok(()));
    assert_eq!(ask(&mut gate, "2", FIRST + 10), Ok(()));
    assert_eq!(ask(&mut gate, "3", FIRST + 20), Err(Shut::Full));
    assert_eq!(gate.pass("a", "1", FIRST, at(FIRST + 20)), Err(Shut::Replayed));
    assert_eq!(ask(&mut gate, "3", FIRST + SKEW), Err(Shut::Full));
    assert_eq!(ask(&mut gate, "3", FIRST + SKEW + 1), Ok(()));
    assert_eq!(ask(&mut gate, "4", FIRST + SKEW + 1), Err(Shut::Full));
}

#[test]
fn a_caller_has_its_rate_and_what_is_replayed_takes_nothing_of_it() {
    let mut gate = Gate::new(START, 2, 100);
    let now = |millis| Moment { unix: FIRST, steady: Duration::from_millis(millis) };
    let passed: Vec<_> = [0, 0, 0, 400, 500, 500, 1000, 60_000, 60_000, 60_000]
        .into_iter()
        .enumerate()
        .map(|(number, millis)| gate.pass("a", &number.to_string(), FIRST, now(millis)))
        .collect();
    let (ok, wait) = (Ok(()), Err(Shut::TooMany(1)));
    assert_eq!(passed, [ok, ok, wait, wait, ok, wait, ok, ok, ok, wait]);
    assert_eq!(gate.pass("a", "0", FIRST, now(60_000)), Err(Shut::Replayed));
    assert_eq!(gate.pass("b", "0", FIRST, now(60_000)), Ok(()));
    // A clock that goes back gives nothing.
    assert_eq!(gate.pass("a", "x", FIRST, now(0)), Err(Shut::TooMany(1)));
}
