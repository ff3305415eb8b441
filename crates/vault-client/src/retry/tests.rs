//! The rules for trying again, under a clock that stands still.

use std::cell::{Cell, RefCell};

use super::*;
use crate::fault::What;
use crate::observe::ToLog;
use crate::step::{AuthMethod, TokenOf};

/// Time that passes only in pauses.
struct Frozen {
    start: Instant,
    passed: Cell<Duration>,
    pauses: RefCell<Vec<Duration>>,
    cancelled_in_pause: bool,
    cancelled: Cell<bool>,
}

impl Frozen {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            passed: Cell::default(),
            pauses: RefCell::default(),
            cancelled_in_pause: false,
            cancelled: Cell::default(),
        }
    }

    fn policy(&self, retries: u32, delay: u64, wait: u64, budget: u64) -> Policy {
        let [delay, wait, budget] = [delay, wait, budget].map(Duration::from_secs);
        let wait = Some((self.start + wait, wait)).filter(|_| !wait.is_zero());
        Policy { once: false, retries, delay, wait, budget: (self.start + budget, budget) }
    }

    /// Runs a step that always fails so, and returns what came of it.
    fn run(&self, policy: Policy, step: &Step, retry: Retry) -> (u32, Option<Stop>, Duration) {
        let fail = || Err::<(), _>(fault(retry));
        match policy.run(step, self, &ToLog, fail) {
            Err(GivenUp::Fault(_, effort)) => (effort.tries, effort.stopped_by, effort.spent),
            other => panic!("{other:?}"),
        }
    }
}

impl Clock for Frozen {
    fn now(&self) -> Instant {
        self.start + self.passed.get()
    }

    fn pause(&self, until: Instant) {
        let pause = until - self.now();
        self.pauses.borrow_mut().push(pause);
        self.passed.set(self.passed.get() + pause);
        self.cancelled.set(self.cancelled_in_pause);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

fn fault(retry: Retry) -> Fault {
    Fault::new(What::NotInitialised, retry)
}

fn read() -> Step {
    Step::Read { mount: "kv".into(), path: "p".into(), version: None, token: TokenOf::Login }
}

#[test]
fn pauses_double_up_to_a_minute_and_jitter_down_to_half() {
    for _ in 0..200 {
        let clock = Frozen::new();
        clock.run(clock.policy(6, 5, 0, 3600), &read(), Retry::Soon);
        let pauses = clock.pauses.take();
        assert_eq!(pauses.len(), 6);
        for (pause, whole) in pauses.iter().zip([5.0, 10.0, 20.0, 40.0, 60.0, 60.0]) {
            assert!((whole / 2.0 - 0.001..=whole + 0.001).contains(&pause.as_secs_f64()), "{pause:?} of {whole}");
        }
    }
}

#[test]
fn the_number_of_tries_the_budget_and_finality_each_end_a_step() {
    let tried = |retries, budget, retry| {
        let clock = Frozen::new();
        let (tries, stop, _) = clock.run(clock.policy(retries, 4, 0, budget), &read(), retry);
        (tries, stop.map(|stop| if let Stop::Budget { limit, .. } = stop { limit } else { Duration::ZERO }))
    };
    let seconds = Duration::from_secs;
    assert_eq!(tried(3, 3600, Retry::Never), (1, None));
    assert_eq!(tried(3, 3600, Retry::InWait), (1, None));
    assert_eq!(tried(3, 3600, Retry::Soon), (4, None));
    assert_eq!(tried(0, 3600, Retry::Soon), (1, None));
    assert_eq!(tried(3, 1, Retry::Soon), (1, Some(seconds(1))));
    assert_eq!(tried(3, 60, Retry::After(seconds(61))), (1, Some(seconds(60))));
}

#[test]
fn a_longer_pause_of_the_servers_own_is_kept_with_our_jitter_above_it() {
    let mut firsts = Vec::new();
    for _ in 0..200 {
        let clock = Frozen::new();
        clock.run(clock.policy(2, 4, 0, 3600), &read(), Retry::After(Duration::from_secs(90)));
        let pauses: Vec<_> = clock.pauses.take().iter().map(Duration::as_secs_f64).collect();
        assert!(matches!(pauses[..], [90.0..=92.001, 90.0..=94.001]), "{pauses:?}");
        firsts.push(pauses[0]);
    }
    let together = |from: &f64| firsts.iter().filter(|it| (*from..from + 0.1).contains(it)).count();
    // A twentieth is what even jitter comes to.
    assert!(firsts.iter().map(together).max() < Some(40), "they come back in a wave: {firsts:?}");
}

#[test]
fn a_shorter_pause_of_the_servers_own_changes_nothing() {
    for wish in [0, 2] {
        let clock = Frozen::new();
        clock.run(clock.policy(2, 4, 0, 3600), &read(), Retry::After(Duration::from_secs(wish)));
        let pauses: Vec<_> = clock.pauses.take().iter().map(Duration::as_secs_f64).collect();
        assert!(matches!(pauses[..], [1.999..=4.001, 3.999..=8.001]), "{pauses:?}");
    }
}

/// What is decided in the middle of the spread, after so many failures of the kind, with three retries, a delay of 4 s
/// and a budget of an hour.
fn decided(retry: Retry, failed: u32, wait: Option<u64>) -> Result<(Kind, f64), Option<Stop>> {
    let clock = Frozen::new();
    let policy = clock.policy(3, 4, 0, 3600);
    let wait = wait.map(Duration::from_secs).map(|wait| (clock.start + wait, wait));
    let tries = Tries { counted: failed, quick: failed, patient: failed, polls: failed, wait, ..Tries::default() };
    policy.decide(&tries, retry, clock.now(), 0.75).map(|(kind, pause)| (kind, pause.as_secs_f64()))
}

#[test]
fn each_kind_of_fault_has_its_own_pauses_and_its_own_end() {
    use Kind::{Counted, Patient, Poll, Quick};
    let second = Duration::from_secs(1);
    let (wait, is_over) = (Some(30), Err(Some(Stop::Wait(Duration::ZERO))));
    for (retry, failed, wait, next) in [
        (Retry::Never, 0, None, Err(None)),
        (Retry::Never, 0, wait, Err(None)),
        (Retry::InWait, 0, None, Err(None)),
        (Retry::InWait, 0, wait, Ok((Poll, 0.1875))),
        (Retry::InWait, 9, wait, Ok((Poll, 1.5))),
        (Retry::InWait, 9, Some(1), Ok((Poll, 1.0))),
        (Retry::InWait, 0, Some(0), is_over),
        (Retry::Soon, 0, None, Ok((Counted(3), 3.0))),
        (Retry::Soon, 2, None, Ok((Counted(3), 12.0))),
        (Retry::Soon, 3, None, Err(None)),
        (Retry::Soon, 3, wait, Ok((Poll, 1.5))),
        (Retry::After(9 * second), 0, None, Ok((Counted(3), 10.0))),
        (Retry::After(9 * second), 0, wait, Ok((Poll, 9.0625))),
        (Retry::After(9 * second), 0, Some(5), Err(Some(Stop::Wait(5 * second)))),
        (Retry::Quick(Duration::ZERO), 0, None, Ok((Quick, 0.1875))),
        (Retry::Quick(Duration::ZERO), 3, None, Ok((Quick, 1.5))),
        (Retry::Quick(second), 0, None, Ok((Quick, 1.0625))),
        (Retry::Quick(second), 0, wait, Ok((Poll, 1.0625))),
        (Retry::Again, 0, None, Ok((Counted(2), 1.0))),
        (Retry::Again, 1, None, Ok((Counted(2), 2.0))),
        (Retry::Again, 2, None, Err(None)),
        (Retry::Again, 2, wait, Ok((Poll, 0.75))),
        (Retry::Patience(Duration::ZERO), 0, None, Ok((Patient, 3.0))),
        (Retry::Patience(Duration::ZERO), 3, None, Ok((Patient, 24.0))),
        (Retry::Patience(Duration::ZERO), 99, None, Ok((Patient, 45.0))),
        (Retry::Patience(90 * second), 99, None, Ok((Patient, 105.0))),
        (Retry::Patience(Duration::ZERO), 3, wait, Ok((Patient, 24.0))),
    ] {
        assert_eq!(decided(retry, failed, wait), next, "{retry:?} after {failed}, {wait:?}");
    }
    let after_the_quick_ones = Tries { quick: QUICK_TRIES, ..Tries::default() };
    let clock = Frozen::new();
    let decide = |retries| {
        let policy = clock.policy(retries, 4, 0, 3600);
        policy.decide(&after_the_quick_ones, Retry::Quick(Duration::ZERO), clock.now(), 0.75)
    };
    assert_eq!(decide(1), Ok((Counted(1), Duration::from_secs(3))));
    assert_eq!(decide(0), Err(None));
}

#[test]
fn without_retries_nothing_is_tried_again_but_what_asks_for_patience() {
    for (retry, tried) in [(Retry::Quick(Duration::ZERO), 1), (Retry::Again, 1), (Retry::Soon, 1)] {
        let clock = Frozen::new();
        assert_eq!(clock.run(clock.policy(0, 4, 0, 3600), &read(), retry).0, tried, "{retry:?}");
    }
    let clock = Frozen::new();
    let (tries, stop, spent) = clock.run(clock.policy(0, 0, 0, 120), &read(), Retry::Patience(Duration::ZERO));
    assert!(matches!(stop, Some(Stop::Budget { .. })), "{stop:?}");
    // 250 ms doubling to a minute: the eleventh pause does not fit.
    assert!((9..=11).contains(&tries) && spent < Duration::from_secs(120), "{tries} in {spent:?}");
}

#[test]
fn pauses_of_no_length_stay_so_where_the_cause_may_be_one_that_stays() {
    let clock = Frozen::new();
    assert_eq!(clock.run(clock.policy(3, 0, 0, 3600), &read(), Retry::Again), (3, None, Duration::ZERO));
}

#[test]
fn a_wait_polls_up_to_the_read_beyond_the_number_of_tries() {
    for step in
        [Step::Status, Step::Credential, Step::Login { method: AuthMethod::Jwt, mount: "m".into(), role: None }, read()]
    {
        for retry in [Retry::InWait, Retry::Soon, Retry::Again] {
            let clock = Frozen::new();
            let (tries, stop, spent) = clock.run(clock.policy(0, 5, 30, 60), &step, retry);
            assert_eq!(stop, Some(Stop::Wait(Duration::from_secs(30))));
            assert_eq!(spent, Duration::from_secs(30));
            assert!(tries > 15, "{tries}");
            assert!(clock.pauses.take().iter().all(|pause| *pause <= Duration::from_millis(2001)));
        }
    }
    let clock = Frozen::new();
    assert_eq!(clock.run(clock.policy(0, 5, 30, 60), &Step::LookUp, Retry::Soon).0, 1);
    assert_eq!(clock.run(clock.policy(0, 5, 30, 60), &Step::Status, Retry::Never).0, 1);
}

#[test]
fn who_persists_tries_until_the_end_of_the_time_or_of_hope() {
    let tried = |clock: &Frozen, retry| {
        let mut tries = 0;
        let end = clock.start + Duration::from_secs(2);
        let given_up = persist(end, clock, || {
            tries += 1;
            Err::<(), _>(fault(retry))
        });
        assert_eq!((given_up, clock.now() < end), (Err(fault(retry)), true));
        tries
    };
    let second = Duration::from_secs(1);
    assert!((4..=5).contains(&tried(&Frozen::new(), Retry::Soon)));
    assert_eq!(tried(&Frozen::new(), Retry::After(second)), 2);
    assert_eq!(tried(&Frozen::new(), Retry::After(2 * second)), 1);
    assert_eq!(tried(&Frozen::new(), Retry::Never), 1);
    assert_eq!(tried(&Frozen { cancelled_in_pause: true, ..Frozen::new() }, Retry::Soon), 2);
}

#[test]
fn a_cancellation_in_a_pause_ends_the_step() {
    let clock = Frozen { cancelled_in_pause: true, ..Frozen::new() };
    let given_up = clock.policy(3, 5, 0, 60).run(&read(), &clock, &ToLog, || Err::<(), _>(fault(Retry::Soon)));
    assert_eq!(given_up, Err(GivenUp::Cancelled));
}
