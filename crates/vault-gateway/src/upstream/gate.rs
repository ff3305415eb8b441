//! How many requests of one tenant are under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Kind, Problem};

/// Lets so many in at once, and as many wait.
#[derive(Clone)]
pub(super) struct Gate {
    /// Those who are in, and those who wait.
    places: Arc<Semaphore>,
    inside: Arc<Semaphore>,
    patience: Duration,
}

/// The right to be in; its drop gives it back.
pub(super) struct Pass {
    _inside: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Gate {
    /// One that lets `most` in, and waits no longer than `patience`.
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS / 2);
        Self { places: Arc::new(Semaphore::new(2 * most)), inside: Arc::new(Semaphore::new(most)), patience }
    }

    /// Waits until there is room.
    ///
    /// # Errors
    ///
    /// `busy` where too many wait already, or there is no room in time.
    pub(super) async fn enter(&self) -> Result<Pass, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let inside = tokio::time::timeout(self.patience, Arc::clone(&self.inside).acquire_owned()).await;
        match inside {
            Ok(Ok(inside)) => Ok(Pass { _inside: inside, _place: place }),
            _ => Err(busy()),
        }
    }
}

fn busy() -> Problem {
    Problem::new(Kind::Busy, "too many requests of this tenant wait for Vault; try again later").after(1)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn so_many_are_in_and_as_many_wait_and_the_next_is_sent_away() {
        let gate = Gate::new(2, Duration::from_secs(60));
        let mut passes = vec![gate.enter().await.ok(), gate.enter().await.ok()];
        let mut waiting = [Box::pin(gate.enter()), Box::pin(gate.enter())];
        for waits in &mut waiting {
            assert!(waits.now_or_never().is_none());
        }
        let refused = gate.enter().await.err().unwrap();
        assert_eq!((refused.kind, refused.status, refused.retry_after), (Kind::Busy, 503, Some(1)));
        passes.clear();
        for waits in waiting {
            assert!(waits.await.is_ok());
        }
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_sent_away() {
        let gate = Gate::new(1, Duration::ZERO);
        let _inside = gate.enter().await;
        assert_eq!(gate.enter().await.err().map(|it| it.kind), Some(Kind::Busy));
    }
}
