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

/// What the last poll of a wait has at least before the budget ends.
const LAST_POLL: Duration = Duration::from_millis(250);

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
        let patient = matches!(step, Step::Status | Step::Login { .. });
        // The last poll needs some time itself where the wait is as long as the budget.
        let latest = self.budget.0.checked_sub(LAST_POLL).unwrap_or(start);
        let wait =
            self.wait.filter(|(until, _)| patient && start < *until).map(|(until, total)| (until.min(latest), total));
        let mut pauses = if wait.is_some() { poll_pauses() } else { retry_pauses(self.delay) };
        let mut last_cause = String::new();
        for tries in 1.. {
            // In the pause, or in the step before this one, whose answer was waited for.
            if let Some(signal) = clock.caught() {
                return Err(GivenUp::Signal(signal));
            }
            let fault = match attempt() {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            if let Some(signal) = clock.caught() {
                return Err(GivenUp::Signal(signal));
            }
            let now = clock.now();
            let give_up =
                |fault, stopped_by| Err(GivenUp::Fault(fault, Effort { tries, spent: now - start, stopped_by }));
            let pause = match fault.retry {
                Retry::Never => return give_up(fault, None),
                Retry::InWait if wait.is_none() => return give_up(fault, None),
                _ if wait.is_none() && tries > self.retries => return give_up(fault, None),
                Retry::After(least) => next_pause(&mut pauses, least),
                // The last poll is at the very end of the wait.
                Retry::InWait | Retry::Soon => wait
                    .map_or(Duration::MAX, |(until, _)| until.saturating_duration_since(now))
                    .min(next_pause(&mut pauses, Duration::ZERO)),
            };
            match wait {
                Some((until, total)) if now >= until || now + pause > until => {
                    return give_up(fault, Some(Stop::Wait(total)));
                }
                _ if now + pause >= self.budget.0 => {
                    return give_up(fault, Some(Stop::Budget { limit: self.budget.1, pause }));
                }
                Some((_, total)) if fault.cause != last_cause => log::warn!(
                    step = step.name(), attempt = tries, status = fault.status;
                    "{}: {}; waiting up to {} (VAULT_WAIT)", step.name(), fault.cause, Seconds(total)
                ),
                Some(_) => {}
                None => log::warn!(
                    step = step.name(), attempt = tries, status = fault.status, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    "{}: {}; try {tries} of {}, the next in {}", step.name(), fault.cause, u64::from(self.retries) + 1, Seconds(pause)
                ),
            }
            last_cause = fault.cause;
            clock.pause(now + pause);
        }
        unreachable!("the tries are not counted to their end")
    }
}

/// Tries `attempt` until `end` without a word, as long as its fault may pass, after the pauses of a wait. A signal ends a
/// pause, and the try after it is the last; where one has arrived before, so is the first.
///
/// # Errors
///
/// The last fault.
pub fn persist<T>(end: Instant, clock: &impl Clock, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let mut pauses = poll_pauses();
    loop {
        let fault = match attempt() {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let pause = match fault.retry {
            Retry::Never | Retry::InWait => return Err(fault),
            Retry::Soon => next_pause(&mut pauses, Duration::ZERO),
            Retry::After(least) => next_pause(&mut pauses, least),
        };
        let until = clock.now() + pause;
        if until >= end || clock.caught().is_some() {
            return Err(fault);
        }
        clock.pause(until);
    }
}

/// The next of `pauses`: half of it, or the server's own wish where that is longer, and the jitter above. Who obeyed the
/// wish to the second would come back together with everybody else who was told the same; and a wish of zero, which
/// OpenBao's rate limit sends, is no reason to use up all tries at once.
fn next_pause(pauses: &mut ExponentialBackoff, least: Duration) -> Duration {
    let half = pauses.current_interval.mul_f64(2.0 / 3.0);
    let whole = pauses.next_backoff().unwrap_or_default();
    half.max(least) + whole.saturating_sub(half)
}

/// min(60 s, delay · 2ⁿ) × uniform[0.5, 1]. `backoff` spreads around a middle, so the middle is three quarters of the
/// pause and the spread a third of that.
fn retry_pauses(delay: Duration) -> ExponentialBackoff {
    pauses(delay.min(LONGEST_PAUSE), LONGEST_PAUSE)
}

/// 250 ms doubling to 2 s, with the same jitter.
fn poll_pauses() -> ExponentialBackoff {
    pauses(Duration::from_millis(250), Duration::from_secs(2))
}

fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: first.mul_f64(0.75),
        initial_interval: first.mul_f64(0.75),
        max_interval: longest.mul_f64(0.75),
        multiplier: 2.0,
        randomization_factor: 1.0 / 3.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
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

    #[test]
    fn a_wait_polls_status_and_login_beyond_the_number_of_tries_and_nothing_else() {
        for step in [Step::Status, Step::Login { mount: "m", role: "r" }] {
            for retry in [Retry::InWait, Retry::Soon] {
                let clock = Frozen::new();
                let (tries, stop, spent) = clock.run(clock.policy(0, 5, 30, 60), step, retry);
                assert_eq!(stop, Some(Stop::Wait(Duration::from_secs(30))));
                assert_eq!(spent, Duration::from_secs(30));
                assert!(tries > 15, "{tries}");
                assert!(clock.pauses.take().iter().all(|pause| *pause <= Duration::from_millis(2001)));
            }
        }
        let clock = Frozen::new();
        assert_eq!(clock.run(clock.policy(0, 5, 30, 60), READ, Retry::Soon).0, 1);
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
