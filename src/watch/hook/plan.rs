//! When a hook runs, and when a run has to end. It is told what happens and when, and says what is due: it neither waits
//! nor starts anything.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Ran;
use crate::process::child::Ended;
use crate::process::command::CommandFault;

/// So long a run that took too long has after TERM.
const GRACE: Duration = Duration::from_secs(1);

/// The same at our own end, which has to come within a second in all.
const GRACE_AT_THE_END: Duration = Duration::from_millis(500);

/// A failed run is tried again after at most so many intervals.
const MOST_INTERVALS: u32 = 64;

/// What has to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A run begins. [`Plan::not_started`] says that it could not.
    Start,
    /// The run gets this signal.
    Signal(Signal),
}

/// The runs of one hook.
#[derive(Debug)]
pub struct Plan {
    limit: Duration,
    every: Duration,
    state: State,
    /// There was a change, and no run has begun since.
    is_changed: bool,
    /// Runs in a row that failed since the last change.
    failures: u32,
    is_ok: Option<bool>,
    /// No run begins any more.
    is_over: bool,
}

/// A point in time; `None` never comes.
type At = Option<Instant>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is due without a change.
    Idle,
    /// A failed run is tried again then.
    Again(At),
    /// A run is under way.
    Running(Phase),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has so long.
    Within(At),
    /// It was asked to end, and is killed then.
    Asked(Why, At),
    /// It was killed.
    Killed(Why),
}

/// Why a run was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Late,
    OurEnd,
}

impl Plan {
    /// Of a hook that may run for `limit`. A failed run is tried again after `every` at the earliest.
    pub fn new(limit: Duration, every: Duration) -> Self {
        Self { limit, every, state: State::Idle, is_changed: false, failures: 0, is_ok: None, is_over: false }
    }

    /// There is a change. Those that come before the next run are joined into it.
    pub fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Our own end has come: a run under way is asked to end at once, and none begins.
    pub fn stop(&mut self, now: Instant) {
        self.is_over = true;
        self.state = match self.state {
            State::Running(Phase::Within(_)) => State::Running(Phase::Within(Some(now))),
            State::Running(Phase::Asked(why, at)) => {
                let end = now.checked_add(GRACE_AT_THE_END);
                State::Running(Phase::Asked(why, [at, end].into_iter().flatten().min()))
            }
            State::Running(phase @ Phase::Killed(_)) => State::Running(phase),
            State::Idle | State::Again(_) => State::Idle,
        };
    }

    /// What has to be done at `now`, if something has to. It counts as done then. To be asked until there is nothing.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        let has_come = |at: At| at.is_some_and(|at| at <= now);
        let (state, due) = match self.state {
            State::Idle | State::Again(_) if self.is_over => return None,
            State::Idle | State::Again(_) if self.is_changed => {
                self.is_changed = false;
                self.failures = 0;
                (Phase::Within(now.checked_add(self.limit)), Due::Start)
            }
            State::Again(at) if has_come(at) => (Phase::Within(now.checked_add(self.limit)), Due::Start),
            State::Running(Phase::Within(end)) if has_come(end) => {
                let (why, grace) = if self.is_over { (Why::OurEnd, GRACE_AT_THE_END) } else { (Why::Late, GRACE) };
                (Phase::Asked(why, now.checked_add(grace)), Due::Signal(Signal::SIGTERM))
            }
            State::Running(Phase::Asked(why, end)) if has_come(end) => {
                (Phase::Killed(why), Due::Signal(Signal::SIGKILL))
            }
            State::Idle | State::Again(_) | State::Running(_) => return None,
        };
        self.state = State::Running(state);
        Some(due)
    }

    /// When something is due without a further event.
    pub fn wakes_at(&self) -> Option<Instant> {
        match self.state {
            State::Again(at) | State::Running(Phase::Within(at) | Phase::Asked(_, at)) => at,
            State::Idle | State::Running(Phase::Killed(_)) => None,
        }
    }

    /// The run could not begin.
    pub fn not_started(&mut self, fault: CommandFault, now: Instant) -> Ran {
        self.finish(Ran::NotStarted(fault), now)
    }

    /// The run has ended. Returns what became of it; `None` if our own end cut it short.
    pub fn ended(&mut self, ended: Ended, now: Instant) -> Option<Ran> {
        let ran = match (self.state, ended) {
            (State::Running(Phase::Asked(Why::Late, _) | Phase::Killed(Why::Late)), _) => Ran::TimedOut,
            (_, Ended::Code(0)) => Ran::Succeeded,
            (State::Running(Phase::Asked(Why::OurEnd, _) | Phase::Killed(Why::OurEnd)), _) => {
                self.state = State::Idle;
                return None;
            }
            (_, Ended::Code(code)) => Ran::Failed(code),
            (_, Ended::Signal(signal)) => Ran::Ended(signal),
        };
        Some(self.finish(ran, now))
    }

    fn finish(&mut self, ran: Ran, now: Instant) -> Ran {
        let is_ok = ran == Ran::Succeeded;
        self.is_ok = Some(is_ok);
        self.state = if is_ok || self.is_over {
            State::Idle
        } else {
            let intervals = 1_u32.checked_shl(self.failures).map_or(MOST_INTERVALS, |it| it.min(MOST_INTERVALS));
            self.failures = self.failures.saturating_add(1);
            State::Again(now.checked_add(self.every.saturating_mul(intervals)))
        };
        ran
    }

    /// Whether the last run succeeded; `None` before the end of the first.
    pub fn is_ok(&self) -> Option<bool> {
        self.is_ok
    }

    /// Whether a run is under way.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(10);
    const EVERY: Duration = Duration::from_secs(60);
    const TERM: Option<Due> = Some(Due::Signal(Signal::SIGTERM));
    const KILL: Option<Due> = Some(Due::Signal(Signal::SIGKILL));
    const START: Option<Due> = Some(Due::Start);
    const GOOD: Ended = Ended::Code(0);
    const BAD: Ended = Ended::Code(3);

    /// A plan with a run under way that began at the time that is returned as well.
    fn running() -> (Plan, Instant) {
        let (mut plan, now) = (Plan::new(LIMIT, EVERY), Instant::now());
        plan.changed();
        assert_eq!((plan.due(now), plan.due(now)), (START, None));
        (plan, now)
    }

    #[test]
    fn nothing_runs_before_a_change() {
        let (mut plan, now) = (Plan::new(LIMIT, EVERY), Instant::now());
        assert_eq!((plan.due(now + 1000 * EVERY), plan.wakes_at(), plan.is_ok()), (None, None, None));
    }

    #[test]
    fn changes_during_a_run_are_joined_into_one_more_after_it() {
        let (mut plan, now) = running();
        plan.changed();
        plan.changed();
        assert_eq!(plan.due(now + SECOND), None);
        assert_eq!(plan.ended(GOOD, now + SECOND), Some(Ran::Succeeded));
        assert_eq!((plan.due(now + SECOND), plan.due(now + SECOND)), (START, None));
        assert_eq!(plan.ended(GOOD, now + 2 * SECOND), Some(Ran::Succeeded));
        assert_eq!((plan.due(now + 2 * SECOND), plan.wakes_at(), plan.is_ok()), (None, None, Some(true)));
    }

    #[test]
    fn a_run_that_takes_too_long_is_asked_to_end_and_killed_a_second_later() {
        let (mut plan, now) = running();
        assert_eq!((plan.wakes_at(), plan.due(now + LIMIT * 9 / 10)), (Some(now + LIMIT), None));
        assert_eq!((plan.due(now + LIMIT), plan.due(now + LIMIT)), (TERM, None));
        assert_eq!((plan.wakes_at(), plan.due(now + LIMIT + SECOND / 2)), (Some(now + LIMIT + SECOND), None));
        assert_eq!((plan.due(now + LIMIT + SECOND), plan.due(now + 2 * LIMIT)), (KILL, None));
        assert_eq!((plan.wakes_at(), plan.is_running()), (None, true));
        assert_eq!(plan.ended(Ended::Signal(9), now + 2 * LIMIT), Some(Ran::TimedOut));
        assert_eq!((plan.is_ok(), plan.is_running()), (Some(false), false));
    }

    #[test]
    fn a_run_that_was_asked_to_end_has_timed_out_whatever_its_code() {
        let (mut plan, now) = running();
        assert_eq!(plan.due(now + LIMIT), TERM);
        assert_eq!(plan.ended(GOOD, now + LIMIT), Some(Ran::TimedOut));
    }

    #[test]
    fn a_failed_run_is_tried_again_after_intervals_that_double_up_to_64() {
        let (mut plan, mut now) = running();
        for (ended, ran) in [(BAD, Ran::Failed(3)), (Ended::Signal(34), Ran::Ended(34))].into_iter().cycle().take(8) {
            now += SECOND;
            assert_eq!(plan.ended(ended, now), Some(ran));
            let wait = plan.wakes_at().unwrap() - now;
            assert_eq!((plan.due(now + wait * 9 / 10), plan.due(now + wait)), (None, START));
            now += wait;
            if plan.failures > 6 {
                assert_eq!(wait, 64 * EVERY);
            } else {
                assert_eq!(wait, EVERY * (1 << (plan.failures - 1)));
            }
        }
        assert_eq!(plan.ended(GOOD, now), Some(Ran::Succeeded));
        assert_eq!((plan.wakes_at(), plan.due(now + 1000 * EVERY)), (None, None));
    }

    #[test]
    fn a_run_that_cannot_start_is_tried_again_as_well() {
        let (mut plan, now) = running();
        assert_eq!(plan.not_started(CommandFault::Busy, now), Ran::NotStarted(CommandFault::Busy));
        assert_eq!((plan.wakes_at(), plan.is_running(), plan.is_ok()), (Some(now + EVERY), false, Some(false)));
        assert_eq!(plan.due(now + EVERY), START);
    }

    #[test]
    fn a_change_is_a_try_at_once_and_the_intervals_begin_anew() {
        let (mut plan, now) = running();
        plan.ended(BAD, now);
        assert_eq!(plan.due(now + EVERY), START);
        plan.ended(BAD, now + EVERY);
        assert_eq!(plan.wakes_at(), Some(now + 3 * EVERY));
        plan.changed();
        assert_eq!(plan.due(now + EVERY + SECOND), START);
        plan.ended(BAD, now + EVERY + SECOND);
        assert_eq!(plan.wakes_at(), Some(now + 2 * EVERY + SECOND));
    }

    #[test]
    fn our_end_asks_at_once_and_kills_half_a_second_later() {
        let (mut plan, now) = running();
        plan.changed();
        let end = now + SECOND;
        plan.stop(end);
        assert_eq!((plan.wakes_at(), plan.due(end)), (Some(end), TERM));
        assert_eq!((plan.wakes_at(), plan.due(end + SECOND / 2)), (Some(end + SECOND / 2), KILL));
        assert_eq!((plan.ended(Ended::Signal(9), end + SECOND / 2), plan.is_ok()), (None, None));
        assert_eq!((plan.due(end + SECOND), plan.wakes_at(), plan.is_running()), (None, None, false));
    }

    #[test]
    fn our_end_shortens_the_time_of_a_run_that_was_asked_to_end_before() {
        let (mut plan, now) = running();
        assert_eq!(plan.due(now + LIMIT), TERM);
        plan.stop(now + LIMIT + SECOND / 4);
        assert_eq!(plan.wakes_at(), Some(now + LIMIT + SECOND * 3 / 4));
        plan.stop(now + LIMIT + SECOND / 2);
        assert_eq!(plan.wakes_at(), Some(now + LIMIT + SECOND * 3 / 4));
        assert_eq!(plan.ended(Ended::Signal(15), now + LIMIT + SECOND), Some(Ran::TimedOut));
        assert_eq!(plan.wakes_at(), None);
    }

    #[test]
    fn a_run_that_succeeds_at_our_end_has_succeeded() {
        let (mut plan, now) = running();
        plan.stop(now);
        assert_eq!(plan.due(now), TERM);
        assert_eq!(plan.ended(GOOD, now), Some(Ran::Succeeded));
    }

    #[test]
    fn no_run_begins_after_our_end() {
        let (mut plan, now) = running();
        plan.ended(BAD, now);
        plan.changed();
        plan.stop(now);
        plan.changed();
        assert_eq!((plan.due(now + 1000 * EVERY), plan.wakes_at()), (None, None));
    }

    #[test]
    fn a_time_that_cannot_be_told_never_comes() {
        let (mut plan, now) = (Plan::new(Duration::MAX, Duration::MAX), Instant::now());
        plan.changed();
        assert_eq!((plan.due(now), plan.wakes_at()), (START, None));
        plan.ended(BAD, now);
        assert_eq!((plan.wakes_at(), plan.due(now + 1000 * EVERY)), (None, None));
    }
}
