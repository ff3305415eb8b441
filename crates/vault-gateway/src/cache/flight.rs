//! Reads under way, each shared by all who ask for the same. One ends when nobody waits for it any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};

use super::realm::Key;

/// Reads under way, by what they read.
pub(super) struct Flights<T: Clone> {
    under_way: Arc<Mutex<UnderWay<T>>>,
    number: AtomicU64,
}

type Flight<T> = BoxFuture<'static, T>;
type UnderWay<T> = HashMap<Key, (u64, WeakShared<Flight<T>>)>;

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self { under_way: Arc::default(), number: AtomicU64::new(0) }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// The read of `key` that is under way, or the one that `make` makes of `begin`; `begin` comes back where it was not
    /// needed. `make` is not to run anything itself.
    pub(super) fn join<B>(
        &self,
        key: &Key,
        begin: B,
        make: impl FnOnce(B) -> Flight<T>,
    ) -> (Shared<Flight<T>>, Option<B>) {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(key).and_then(|(_, flight)| flight.upgrade()) {
            return (flight, Some(begin));
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let landing = Landing { under_way: Arc::clone(&self.under_way), key: key.clone(), number };
        let flight = make(begin);
        let flight = async move {
            // It goes with the flight, whether that ends or is given up.
            let _landing = landing;
            flight.await
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(key.clone(), (number, weak));
        }
        (flight, None)
    }
}

/// Takes a flight out of the list at its end.
struct Landing<T: Clone> {
    under_way: Arc<Mutex<UnderWay<T>>>,
    key: Key,
    number: u64,
}

impl<T: Clone> Drop for Landing<T> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        // Where all have left, the next one for the same may have begun already.
        if under_way.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            under_way.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl<T: Clone> Flights<T> {
    /// Whether no read is under way.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.under_way).is_empty()
    }
}
