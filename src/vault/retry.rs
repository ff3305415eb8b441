//! How often and after which pauses a step is tried again. `backoff` computes the pauses; nothing else knows of it.

use std::time::{Duration, Instant};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use nix::sys::signal::Signal;

use super::fault::Step;
use crate::error::{Effort, Fault, Retry, Seconds, Stop};
use crate::process::wait::Waiter;

/// No pause is longer, unless the server asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses of a poll: the first, and the longest that it doubles to.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// What the last poll of a wait has at least before the budget ends.
const LAST_POLL: Duration = Duration::from_millis(250);

/// After so many short pauses a fault that should have passed by then is one like any other.
const QUICK_TRIES: u32 = 4;

/// How often a fault that may stay is tried again, and the first pause.
const AGAIN: (u32, Duration) = (2, Duration::from_secs(1));

/// What the settings allow.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Tries after the first, per step, after faults that may pass; 0 is none.
    pub retries: u32,
    /// The first pause, before jitter; it doubles from try to try.
    pub delay: Duration,
    /// Until when, and for how long in all, a server that is not ready is polled instead.
    pub wait: Option<(Instant, Duration)>,
    /// The end of everything, and for how long that is in all.
    pub budget: (Instant, Duration),
}

/// Time as the retries see it; tests have one that does not pass.
pub trait Clock {
    /// Now.
    fn now(&self) -> Instant;
    /// Waits until `until`, or less if a signal arrives.
    fn pause(&self, until: Instant);
    /// The signal that has arrived, if one has.
    fn caught(&self) -> Option<Signal>;
}

impl Clock for Waiter {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn pause(&self, until: Instant) {
        self.expect(until, Duration::ZERO);
        // Either end of it is the end of the pause; what it was shows in `caught`.
        let _ = Self::pause(self, until);
    }

    fn caught(&self) -> Option<Signal> {
        Self::caught(self)
    }
}

/// Why a step was given up.
#[derive(Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// After this fault, and this effort.
    Fault(Fault, Effort),
    /// This signal arrived.
    Signal(Signal),
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    /// All that were made.
    made: u32,
    /// Of those that `VAULT_MAX_RETRIES` counts, how many failed.
    counted: u32,
    /// The same of each other kind.
    quick: u32,
    patient: u32,
    polls: u32,
    /// Until when, and for how long in all, this step is polled.
    wait: Option<(Instant, Duration)>,
}

/// The kind of a further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One of a wait's.
    Poll,
    /// One of so many.
    Counted(u32),
    Quick,
    Patient,
}

impl Tries {
    fn note(&mut self, kind: Kind) {
        *match kind {
            Kind::Poll => &mut self.polls,
            Kind::Counted(_) => &mut self.counted,
            Kind::Quick => &mut self.quick,
            Kind::Patient => &mut self.patient,
        } += 1;
    }
}

impl Policy {
    /// Tries `attempt` until it succeeds, its fault is final, or a limit is reached; says every further try in one
    /// warning with step, cause, number and pause.
    ///
    /// # Errors
    ///
    /// The last fault with the effort spent on it, or the signal that ended a pause.
    pub fn run<T>(
        &self,
        step: Step,
        clock: &impl Clock,
        mut attempt: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, GivenUp> {
        let start = clock.now();
        let mut tries = Tries { wait: self.wait_for(step, start), ..Tries::default() };
        let mut last_cause = String::new();
        loop {
            // In the pause, or in the step before this one, whose answer was waited for.
            clock.caught().map_or(Ok(()), |signal| Err(GivenUp::Signal(signal)))?;
            let fault = match attempt() {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            clock.caught().map_or(Ok(()), |signal| Err(GivenUp::Signal(signal)))?;
            tries.made += 1;
            let now = clock.now();
            let (kind, pause) = match self.decide(&tries, fault.retry, now, spread()) {
                Ok(next) => next,
                Err(stopped_by) => {
                    return Err(GivenUp::Fault(fault, Effort { tries: tries.made, spent: now - start, stopped_by }));
                }
            };
            if kind != Kind::Poll || fault.cause != last_cause {
                warn(step, &fault, &tries, kind, pause);
            }
            tries.note(kind);
            last_cause = fault.cause;
            clock.pause(now + pause);
        }
    }

    /// Until when `step`, which begins at `start`, is polled.
    fn wait_for(&self, step: Step, start: Instant) -> Option<(Instant, Duration)> {
        let waits = matches!(step, Step::Status | Step::Credential | Step::Login { .. } | Step::Read { .. });
        // The last poll needs some time itself where the wait is as long as the budget.
        let latest = self.budget.0.checked_sub(LAST_POLL).unwrap_or(start);
        self.wait.filter(|(until, _)| waits && start < *until).map(|(until, total)| (until.min(latest), total))
    }

    /// Whether a fault at `now` is tried again after these `tries`, as which kind of try, and after which pause. The
    /// error is the limit that forbids it, none where that is the fault's own nature or the number of tries.
    fn decide(&self, tries: &Tries, retry: Retry, now: Instant, spread: f64) -> Result<(Kind, Duration), Option<Stop>> {
        let least = match retry {
            Retry::After(least) | Retry::Quick(least) | Retry::Patience(least) => least,
            Retry::Never | Retry::InWait | Retry::Soon | Retry::Again => Duration::ZERO,
        };
        let usual = (self.delay, LONGEST_PAUSE);
        let next = match (retry, tries.wait) {
            (Retry::Never, _) | (Retry::InWait, None) => return Err(None),
            // Without a pause, a server that asks for patience would be asked without end.
            (Retry::Patience(_), _) => {
                (Kind::Patient, pause((self.delay.max(POLL.0), usual.1), tries.patient, least, spread))
            }
            (_, Some((until, total))) => {
                let pause = pause(POLL, tries.polls, least, spread);
                // The last poll is at the very end of the wait.
                let pause = if least.is_zero() { pause.min(until.saturating_duration_since(now)) } else { pause };
                if now >= until || now + pause > until {
                    return Err(Some(Stop::Wait(total)));
                }
                (Kind::Poll, pause)
            }
            (Retry::Quick(_), None) if self.retries > 0 && tries.quick < QUICK_TRIES => {
                (Kind::Quick, pause(POLL, tries.quick, least, spread))
            }
            (_, None) => {
                let most = if retry == Retry::Again { self.retries.min(AGAIN.0) } else { self.retries };
                if tries.counted >= most {
                    return Err(None);
                }
                let pause = match retry {
                    Retry::Again => doubled((self.delay.min(AGAIN.1), LONGEST_PAUSE), tries.counted),
                    _ => pause(usual, tries.counted, least, spread),
                };
                (Kind::Counted(most), pause)
            }
        };
        if now + next.1 >= self.budget.0 {
            return Err(Some(Stop::Budget { limit: self.budget.1, pause: next.1 }));
        }
        Ok(next)
    }
}

fn warn(step: Step, fault: &Fault, tries: &Tries, kind: Kind, pause: Duration) {
    let next = match (kind, tries.wait) {
        (Kind::Poll, Some((_, total))) => format!("waiting up to {} (VAULT_WAIT)", Seconds(total)),
        (Kind::Counted(most), _) => {
            let (number, of) = (u64::from(tries.counted) + 1, u64::from(most) + 1);
            format!("try {number} of {of}, the next in {}", Seconds(pause))
        }
        _ => format!("the next try in {}", Seconds(pause)),
    };
    let pause = (kind != Kind::Poll).then(|| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    log::warn!(
        step = step.name(), attempt = tries.made, status = fault.status, pause_ms = pause;
        "{}: {}; {next}", step.name(), fault.cause
    );
}

/// Tries `attempt` until `end` without a word, as long as its fault may pass, after the pauses of a wait. A signal ends a
/// pause, and the try after it is the last; where one has arrived before, so is the first.
///
/// # Errors
///
/// The last fault.
pub fn persist<T>(end: Instant, clock: &impl Clock, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    for number in 0.. {
        let fault = match attempt() {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let least = match fault.retry {
            Retry::Never | Retry::InWait => return Err(fault),
            Retry::Soon | Retry::Again => Duration::ZERO,
            Retry::After(least) | Retry::Quick(least) | Retry::Patience(least) => least,
        };
        let until = clock.now() + pause(POLL, number, least, spread());
        if until >= end || clock.caught().is_some() {
            return Err(fault);
        }
        clock.pause(until);
    }
    unreachable!("the tries are not counted to their end")
}

/// Pause number `number`, from 0 on: the first one doubled so often and spread, or the server's own wish where that is
/// longer, and the spread above. Who obeyed the wish to the second would come back together with everybody else who was
/// told the same; and a wish of zero, which OpenBao's rate limit sends, is no reason to use up all tries at once.
fn pause(first_and_longest: (Duration, Duration), number: u32, least: Duration, spread: f64) -> Duration {
    let whole = doubled(first_and_longest, number);
    (whole / 2).max(least) + whole.mul_f64((spread - 0.5).max(0.0))
}

/// min(longest, first · 2ⁿ)
fn doubled((first, longest): (Duration, Duration), number: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(number)).min(longest)
}

/// uniform[0.5, 1]. `backoff` spreads around a middle, so the middle is three quarters and the spread a third of that.
fn spread() -> f64 {
    let middle = Duration::from_millis(750);
    let mut one = ExponentialBackoff {
        current_interval: middle,
        randomization_factor: 1.0 / 3.0,
        ..ExponentialBackoff::default()
    };
    one.next_backoff().unwrap_or(middle).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::error::Code;

    /// Time that passes only in pauses.
    struct Frozen {
        start: Instant,
        passed: Cell<Duration>,
        pauses: RefCell<Vec<Duration>>,
        signal_in_pause: Option<Signal>,
        caught: Cell<Option<Signal>>,
    }

    impl Frozen {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                passed: Cell::default(),
                pauses: RefCell::default(),
                signal_in_pause: None,
                caught: Cell::default(),
            }
        }

        fn policy(&self, retries: u32, delay: u64, wait: u64, budget: u64) -> Policy {
            let [delay, wait, budget] = [delay, wait, budget].map(Duration::from_secs);
            let wait = Some((self.start + wait, wait)).filter(|_| !wait.is_zero());
            Policy { retries, delay, wait, budget: (self.start + budget, budget) }
        }

        /// Runs a step that always fails so, and returns what came of it.
        fn run(&self, policy: Policy, step: Step, retry: Retry) -> (u32, Option<Stop>, Duration) {
            let fail = || Err::<(), _>(fault(retry));
            match policy.run(step, self, fail) {
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
            self.caught.set(self.signal_in_pause);
        }

        fn caught(&self) -> Option<Signal> {
            self.caught.get()
        }
    }

    fn fault(retry: Retry) -> Fault {
        Fault { code: Code::NotReady, cause: "cause".into(), remedy: "remedy".into(), retry, status: None }
    }

    const READ: Step = Step::Read { mount: "kv", path: "p", version: None, handed_in: false };

    #[test]
    fn pauses_double_up_to_a_minute_and_jitter_down_to_half() {
        for _ in 0..200 {
            let clock = Frozen::new();
            clock.run(clock.policy(6, 5, 0, 3600), READ, Retry::Soon);
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
            let (tries, stop, _) = clock.run(clock.policy(retries, 4, 0, budget), READ, retry);
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
            clock.run(clock.policy(2, 4, 0, 3600), READ, Retry::After(Duration::from_secs(90)));
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
            clock.run(clock.policy(2, 4, 0, 3600), READ, Retry::After(Duration::from_secs(wish)));
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
            assert_eq!(clock.run(clock.policy(0, 4, 0, 3600), READ, retry).0, tried, "{retry:?}");
        }
        let clock = Frozen::new();
        let (tries, stop, spent) = clock.run(clock.policy(0, 0, 0, 120), READ, Retry::Patience(Duration::ZERO));
        assert!(matches!(stop, Some(Stop::Budget { .. })), "{stop:?}");
        // 250 ms doubling to a minute: the eleventh pause does not fit.
        assert!((9..=11).contains(&tries) && spent < Duration::from_secs(120), "{tries} in {spent:?}");
    }

    #[test]
    fn pauses_of_no_length_stay_so_where_the_cause_may_be_one_that_stays() {
        let clock = Frozen::new();
        assert_eq!(clock.run(clock.policy(3, 0, 0, 3600), READ, Retry::Again), (3, None, Duration::ZERO));
    }

    #[test]
    fn a_wait_polls_up_to_the_read_beyond_the_number_of_tries() {
        for step in [Step::Status, Step::Credential, Step::Login { mount: "m", role: "r" }, READ] {
            for retry in [Retry::InWait, Retry::Soon, Retry::Again] {
                let clock = Frozen::new();
                let (tries, stop, spent) = clock.run(clock.policy(0, 5, 30, 60), step, retry);
                assert_eq!(stop, Some(Stop::Wait(Duration::from_secs(30))));
                assert_eq!(spent, Duration::from_secs(30));
                assert!(tries > 15, "{tries}");
                assert!(clock.pauses.take().iter().all(|pause| *pause <= Duration::from_millis(2001)));
            }
        }
        let clock = Frozen::new();
        assert_eq!(clock.run(clock.policy(0, 5, 30, 60), Step::LookUp, Retry::Soon).0, 1);
        assert_eq!(clock.run(clock.policy(0, 5, 30, 60), Step::Status, Retry::Never).0, 1);
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
        assert_eq!(tried(&Frozen { signal_in_pause: Some(Signal::SIGTERM), ..Frozen::new() }, Retry::Soon), 2);
    }

    #[test]
    fn a_signal_in_a_pause_ends_the_step() {
        let clock = Frozen { signal_in_pause: Some(Signal::SIGTERM), ..Frozen::new() };
        let given_up = clock.policy(3, 5, 0, 60).run(READ, &clock, || Err::<(), _>(fault(Retry::Soon)));
        assert_eq!(given_up, Err(GivenUp::Signal(Signal::SIGTERM)));
    }
}
