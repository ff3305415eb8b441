//! What a caller and the service may take: requests in a second, requests at once, and the memory for their bodies.

mod bodies;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

pub use bodies::{BODIES, Bodies, Room};

/// After so many requests the subjects are left out that have made none for some time.
const SHED_EVERY: u32 = 8192;

/// How many requests each subject may make in a second.
pub struct Rate<C: Clock = DefaultClock> {
    /// `None`: there is no limit.
    limiter: Option<Limiter<C>>,
    checks: AtomicU32,
}

type Limiter<C> = RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl Rate {
    /// `rate` requests in a second, and `burst` at once. No limit where `rate` is 0; as many as `rate` at once where
    /// `burst` is 0.
    pub fn new(rate: u32, burst: u32) -> Self {
        Self::with_clock(rate, burst, DefaultClock::default())
    }
}

impl<C: Clock> Rate<C> {
    fn with_clock(rate: u32, burst: u32, clock: C) -> Self {
        let limiter = NonZeroU32::new(rate).map(|rate| {
            let quota = Quota::per_second(rate).allow_burst(NonZeroU32::new(burst).unwrap_or(rate));
            RateLimiter::new(quota, DashMapStateStore::default(), clock)
        });
        Self { limiter, checks: AtomicU32::new(0) }
    }

    /// Counts a request of the subject with this key. The error is after how many whole seconds, at least one, a request
    /// may go through.
    pub fn check(&self, subject: u64) -> Result<(), u64> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SHED_EVERY == SHED_EVERY - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(&subject).map_err(|until| whole_seconds(until.wait_time_from(limiter.clock().now())))
    }
}

/// Rounded up.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// How many may be inside at once.
#[derive(Clone)]
pub struct Concurrent(Arc<Places>);

struct Places {
    limit: usize,
    taken: AtomicUsize,
}

/// A place inside, which is free again when this is dropped.
#[must_use]
pub struct Place(Arc<Places>);

impl Concurrent {
    /// So many places.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Places { limit, taken: AtomicUsize::new(0) }))
    }

    /// Takes a place; `None` where there is none.
    pub fn enter(&self) -> Option<Place> {
        let one_more = |taken| (taken < self.0.limit).then_some(taken + 1);
        self.0
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .ok()
            .map(|_| Place(Arc::clone(&self.0)))
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_subject_may_make_a_burst_and_then_its_rate_and_others_do_not_matter() {
        for (rate, burst, at_once, wait, then) in
            [(1, 3, 3, 1000, 1), (2, 0, 2, 500, 1), (10, 1, 1, 100, 1), (1, 1, 1, 2000, 1), (1, 3, 3, 9000, 3)]
        {
            let clock = FakeRelativeClock::default();
            let limit = Rate::with_clock(rate, burst, clock.clone());
            let passes = |subject| std::iter::repeat_with(|| limit.check(subject)).take_while(Result::is_ok).count();
            assert_eq!((passes(1), limit.check(1), passes(2)), (at_once, Err(1), at_once), "{rate} {burst}");
            clock.advance(Duration::from_millis(wait));
            assert_eq!(passes(1), then, "{rate} {burst}");
        }
        assert!((0..10_000).all(|_| Rate::new(0, 5).check(1).is_ok()));
    }

    #[test]
    fn the_time_to_wait_is_whole_seconds_and_never_none() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(wait)), seconds);
        }
    }

    #[test]
    fn subjects_that_are_gone_are_left_out() {
        let clock = FakeRelativeClock::default();
        let limit = Rate::with_clock(1, 1, clock.clone());
        let known = || limit.limiter.as_ref().unwrap().len();
        (0..u64::from(SHED_EVERY) - 1).for_each(|subject| limit.check(subject).unwrap());
        assert_eq!(known(), 8191);
        clock.advance(Duration::from_secs(60));
        limit.check(0).unwrap();
        assert_eq!(known(), 1);
    }

    #[test]
    fn there_are_as_many_places_as_the_limit_and_a_dropped_one_is_free_again() {
        let places = Concurrent::new(2);
        let (one, two) = (places.enter(), places.clone().enter());
        assert!(one.is_some() && two.is_some() && places.enter().is_none());
        drop(one);
        assert_eq!(places.taken(), 1);
        assert!(places.enter().is_some());
        assert_eq!(places.taken(), 1);
        drop(two);
        assert_eq!(places.taken(), 0);
        assert!(Concurrent::new(0).enter().is_none());
    }

    #[test]
    fn threads_never_have_more_places_than_the_limit() {
        let places = Concurrent::new(3);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let place = places.enter();
                        most.fetch_max(places.taken(), Ordering::AcqRel);
                        drop(place);
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::Acquire)));
        assert_eq!(places.taken(), 0);
    }
}
