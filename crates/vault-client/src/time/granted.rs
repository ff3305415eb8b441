//! Time that people take. No limit of the program is about it: what has to be done by machines has its time all the same.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much time people have taken so far. What is under way counts as it goes by.
#[derive(Debug, Default)]
pub struct Granted(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What has ended.
    spent: Duration,
    /// How many are under way, and since when the first of them is.
    under_way: Option<(usize, Instant)>,
}

/// Somebody takes time until this is dropped.
#[derive(Debug)]
pub struct Taking<'a>(&'a Granted);

impl Granted {
    /// How much it is.
    pub fn total(&self) -> Duration {
        let state = self.lock();
        state.spent + state.under_way.map(|(_, since)| since.elapsed()).unwrap_or_default()
    }

    /// Somebody takes time from now on. What two take together is counted once.
    pub fn begin(&self) -> Taking<'_> {
        let mut state = self.lock();
        let (others, since) = state.under_way.unwrap_or_else(|| (0, Instant::now()));
        state.under_way = Some((others + 1, since));
        Taking(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        match state.under_way {
            Some((others, since)) if others > 1 => state.under_way = Some((others - 1, since)),
            Some((_, since)) => {
                state.spent += since.elapsed();
                state.under_way = None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_as_it_goes_by_and_once_for_all_who_take_it() {
        let granted = Granted::default();
        assert_eq!(granted.total(), Duration::ZERO);
        let begun = Instant::now();
        let (first, second) = (granted.begin(), granted.begin());
        while granted.total() < Duration::from_millis(5) {}
        drop(first);
        while granted.total() < Duration::from_millis(10) {}
        drop(second);
        let (total, elapsed) = (granted.total(), begun.elapsed());
        assert!(total >= Duration::from_millis(10) && total <= elapsed, "{total:?} of {elapsed:?}");
        while begun.elapsed() < elapsed + Duration::from_millis(5) {}
        assert_eq!(granted.total(), total);
    }
}
