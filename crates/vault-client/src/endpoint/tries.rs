//! Steps with their tries, and how long each may take.

use std::time::{Duration, Instant};

use super::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{Fault, Unreachable, Way, What};
use crate::observe::Event;
use crate::retry::{GivenUp, Policy};
use crate::step::Step;
use crate::time::{Call, Ended, Limit, Limits, Turn, after};

impl Endpoint {
    /// What people have taken of the time since the limits began.
    pub(super) fn granted_since(&self) -> Duration {
        self.server.granted.total().saturating_sub(self.granted_before)
    }

    /// The end of an operation that begins at `begun`, and which limit that is.
    pub(crate) fn end(&self, begun: Instant) -> (Instant, Limit) {
        self.limits().end(begun)
    }

    /// Runs one step, with as many tries as the limits allow.
    pub(crate) fn step<T>(&self, step: &Step, attempt: impl FnMut(&Call) -> Result<T, Fault>) -> Result<T, VaultError> {
        let begun = Instant::now();
        let done = self.part(step, attempt)?;
        // A file that was read is no news.
        if *step != Step::Credential {
            self.note(&Event::Done { step, elapsed: begun.elapsed() });
        }
        Ok(done)
    }

    /// The same of a part of a step, which is no news by itself.
    pub(crate) fn part<T>(
        &self,
        step: &Step,
        mut attempt: impl FnMut(&Call) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let mut done = None;
        self.drive(step, &mut |call| attempt(call).map(|value| done = Some(value)))?;
        // It is there once an attempt has succeeded.
        done.ok_or_else(|| self.failed(step, GivenUp::Cancelled))
    }

    /// The same of any attempt, once for all types that one brings.
    fn drive(&self, step: &Step, attempt: &mut dyn FnMut(&Call) -> Result<(), Fault>) -> Result<(), VaultError> {
        let begun = Instant::now();
        let end = self.end(begun);
        let policy = self.policy(begun);
        let done = policy.run(step, &self.cancel, &*self.server.observer, || attempt(&self.attempt(end)));
        done.map_err(|given_up| self.failed(step, given_up))
    }

    /// The error of a step that was given up.
    pub(crate) fn failed(&self, step: &Step, given_up: GivenUp) -> VaultError {
        let (fault, effort) = match given_up {
            GivenUp::Fault(fault, effort) => (fault, effort),
            GivenUp::Cancelled => (What::Cancelled.into(), Effort::default()),
        };
        VaultError::new(self.at(), step.clone(), fault, effort).asked_in(self.asked_in(step))
    }

    /// Whether [`Limits::wait`] is waited still.
    pub(crate) fn waits(&self) -> bool {
        !self.limits.wait.is_zero() && Instant::now() < self.waits_until + self.granted_since()
    }

    /// How long and how often a step tries that begins at `begun`.
    pub(crate) fn policy(&self, begun: Instant) -> Policy {
        let Limits { retries, delay, wait, whole, .. } = self.limits;
        let wait = Some((self.waits_until + self.granted_since(), wait)).filter(|_| !wait.is_zero());
        Policy { once: self.tries_once, retries, delay, wait, budget: (self.end(begun).0, whole) }
    }

    /// One attempt of an operation that ends at `end`, and by which limit.
    fn attempt(&self, (end, of): (Instant, Limit)) -> Call {
        let now = Instant::now();
        let own = after(now, self.limits.request);
        let (until, limit, length) = if own <= end {
            (own, Limit::Request, self.limits.request)
        } else {
            (end, of, end.saturating_duration_since(now))
        };
        Call { until, limit, length, grace: Duration::ZERO, cancel: self.cancel.clone() }
    }

    /// As long as an operation may take that begins now.
    pub(crate) fn whole(&self) -> Call {
        Call::until(self.end(Instant::now()).0, self.cancel.clone())
    }

    /// One attempt that begins now.
    pub(crate) fn call(&self) -> Call {
        self.attempt(self.end(Instant::now()))
    }

    /// Waits for what another thread does, as long as an operation may take that begins now.
    ///
    /// # Errors
    ///
    /// Why the wait ended before.
    pub(crate) fn wait_for(&self, turn: &Turn) -> Result<(), Ended> {
        let operation = self.for_one_operation();
        loop {
            let call = operation.whole();
            match turn.wait(&call) {
                // A person has taken of the time meanwhile: whoever waits for one waits as long.
                Err(Ended::Deadline) if operation.whole().until > call.until => {}
                done => return done,
            }
        }
    }

    /// The error of `step` that ended without a request: cancelled, out of time, or refused something by the kernel.
    pub(crate) fn ended(&self, step: &Step, ended: Ended) -> VaultError {
        let what = match ended {
            Ended::Cancelled => return self.failed(step, GivenUp::Cancelled),
            Ended::Deadline => What::Unreachable { why: Unreachable::NoTokenInTime, way: Way::Network },
            Ended::Refused(refused) => What::Forbidden(refused),
        };
        VaultError::new(self.at(), step.clone(), what.into(), Effort::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::ToLog;
    use crate::options::{Address, Options};
    use crate::time::Cancel;

    const WHOLE: Duration = Duration::from_millis(40);

    /// One whose operations end together after 40 ms.
    fn short() -> Endpoint {
        let address = Address::parse("http://vault.example:8200").unwrap();
        let limits = Limits { whole: WHOLE, until: Some(Instant::now() + WHOLE), ..Limits::default() };
        Endpoint::canned(&Options::new(address), limits, Arc::new(ToLog), b"")
    }

    /// This much time goes by.
    fn let_pass(time: Duration) {
        let until = Instant::now() + time;
        Call::until(until + WHOLE, Cancel::never()).pause(until).unwrap();
    }

    #[test]
    fn what_a_person_takes_of_the_time_is_added_to_the_ends_that_have_begun_and_to_no_others() {
        let endpoint = short();
        let operation = endpoint.for_one_operation();
        let ends = [&endpoint, &operation].map(|it| it.limits().until.unwrap());
        let begun = Instant::now();
        let taking = endpoint.granted().begin();
        let_pass(3 * WHOLE);
        drop(taking);
        let taken = begun.elapsed();
        let later = [&endpoint, &operation].map(|it| it.limits().until.unwrap());
        for (end, later) in ends.into_iter().zip(later) {
            assert!((3 * WHOLE..=taken).contains(&(later - end)), "{:?} of {taken:?}", later - end);
        }
        // One that is handed on has what the person took in it already.
        let again = endpoint.within(endpoint.limits());
        assert_eq!(again.limits().until, endpoint.limits().until);
        let now = Instant::now();
        let fresh = endpoint.within(Limits { until: Some(now), ..endpoint.limits() });
        assert_eq!(fresh.limits().until, Some(now));
        assert!(endpoint.call().until > now && endpoint.policy(now).budget.0 > now);
    }

    #[test]
    fn whoever_waits_for_another_thread_waits_as_long_as_its_person_takes_and_no_longer() {
        let endpoint = short();
        let turn = Turn::begin().unwrap();
        std::thread::scope(|scope| {
            let taking = endpoint.granted().begin();
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| endpoint.wait_for(&turn))).collect();
            let_pass(4 * WHOLE);
            drop(taking);
            turn.end();
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap() == Ok(())));
        });
        // Nobody takes time now, and the turn of another thread never ends.
        let begun = Instant::now();
        let again = endpoint.within(Limits { until: None, ..endpoint.limits() });
        assert_eq!(again.wait_for(&Turn::begin().unwrap()), Err(Ended::Deadline));
        assert!(begun.elapsed() < 100 * WHOLE);
    }
}
