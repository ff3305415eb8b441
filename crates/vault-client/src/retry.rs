//! How often and after which pauses a step is tried again. `backoff` computes the pauses; nothing else knows of it.

use std::time::{Duration, Instant};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::error::{Effort, Stop};
use crate::fault::{Fault, Retry};
use crate::observe::{Event, Next, Observer};
use crate::step::Step;
use crate::time::{Call, Cancel};

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
    /// Whether no fault is tried again, of whatever kind it is.
    pub once: bool,
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
    /// Waits until `until`, or less if it is cancelled.
    fn pause(&self, until: Instant);
    /// Whether it has been cancelled.
    fn is_cancelled(&self) -> bool;
}

impl Clock for Cancel {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn pause(&self, until: Instant) {
        // Either end of it is the end of the pause; which one it was shows in `is_cancelled`.
        let _ = Call::until(until, self.clone()).pause(until);
    }

    fn is_cancelled(&self) -> bool {
        self.fired().is_ok_and(|fired| fired.is_some())
    }
}

/// Why a step was given up.
#[derive(Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// After this fault, and this effort.
    Fault(Fault, Effort),
    /// It was cancelled.
    Cancelled,
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
    /// Tries `attempt` until it succeeds, its fault is final, or a limit is reached; tells
    /// `observer` of every further try.
    ///
    /// # Errors
    ///
    /// The last fault with the effort spent on it, or that it was cancelled.
    pub fn run<T>(
        &self,
        step: &Step,
        clock: &dyn Clock,
        observer: &dyn Observer,
        mut attempt: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, GivenUp> {
        let mut done = None;
        self.drive(step, clock, observer, &mut || attempt().map(|value| done = Some(value)))?;
        // It is there once an attempt has succeeded.
        done.ok_or(GivenUp::Cancelled)
    }

    /// The same of any attempt, once for all types that one brings.
    fn drive(
        &self,
        step: &Step,
        clock: &dyn Clock,
        observer: &dyn Observer,
        attempt: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<(), GivenUp> {
        let start = clock.now();
        let mut tries = Tries { wait: self.wait_for(step, start), ..Tries::default() };
        let mut last_cause = String::new();
        loop {
            // In the pause, or in the step before this one, whose answer was waited for.
            if clock.is_cancelled() {
                return Err(GivenUp::Cancelled);
            }
            let fault = match attempt() {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if clock.is_cancelled() {
                return Err(GivenUp::Cancelled);
            }
            tries.made += 1;
            let now = clock.now();
            let (kind, pause) = match self.decide(&tries, fault.retry, now, spread()) {
                Ok(next) => next,
                Err(stopped_by) => {
                    return Err(GivenUp::Fault(fault, Effort { tries: tries.made, spent: now - start, stopped_by }));
                }
            };
            let cause = fault.to_string();
            if kind != Kind::Poll || cause != last_cause {
                let next = next_of(&tries, kind, pause);
                observer.note(&Event::Retrying { step, fault: &fault, attempt: tries.made, next });
            }
            tries.note(kind);
            last_cause = cause;
            clock.pause(now + pause);
        }
    }

    /// Until when `step`, which begins at `start`, is polled.
    fn wait_for(&self, step: &Step, start: Instant) -> Option<(Instant, Duration)> {
        let waits = matches!(
            step,
            Step::Status | Step::Credential | Step::Wrapping | Step::Unwrap | Step::Login { .. } | Step::Read { .. }
        );
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
        if self.once {
            return Err(None);
        }
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

fn next_of(tries: &Tries, kind: Kind, pause: Duration) -> Next {
    match (kind, tries.wait) {
        (Kind::Poll, Some((_, total))) => Next::Wait(total),
        (Kind::Counted(most), _) => Next::Try { number: u64::from(tries.counted) + 1, of: u64::from(most) + 1, pause },
        _ => Next::Uncounted { pause },
    }
}

/// Tries `attempt` until `end` without a word, as long as its fault may pass, after the pauses of a wait. A
/// cancellation ends a pause, and the try after it is the last; where it came before, so is the first.
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
        if until >= end || clock.is_cancelled() {
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

/// uniform[0, 1], which the plans of the keeper and of the watch take, and who spreads pauses of its own.
pub fn uniform() -> f64 {
    2.0 * spread() - 1.0
}

#[cfg(test)]
mod tests;
