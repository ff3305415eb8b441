//! The waits of the program: each ends at a deadline and at a signal.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};
use vault_client::{Call, Cancel, Watch};

use super::Refused;
use super::signal::Signals;

/// Ends calls at a signal, with the signals armed in the program and without any in a passthrough.
#[derive(Debug)]
pub struct Waiter {
    armed: Option<Arc<Armed>>,
    cancel: Cancel,
}

#[derive(Debug)]
struct Armed {
    signals: Signals,
    caught: OnceLock<Signal>,
}

impl Watch for Armed {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.as_fd())
    }

    fn has_fired(&self) -> Result<bool, Refused> {
        Ok(self.look()?.is_some())
    }
}

impl Armed {
    fn look(&self) -> Result<Option<Signal>, Refused> {
        if self.caught.get().is_none()
            && let Some(signal) = self.signals.take()?
        {
            let _ = self.caught.set(signal);
        }
        Ok(self.caught.get().copied())
    }
}

impl Waiter {
    /// One that watches `signals` beside everything else.
    pub fn new(signals: Option<Signals>) -> Self {
        let armed = signals.map(|signals| Arc::new(Armed { signals, caught: OnceLock::new() }));
        let cancel = armed.clone().map_or_else(Cancel::never, |armed| Cancel::watching(armed));
        Self { armed, cancel }
    }

    /// What a signal cancels.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// A call that ends at `until`, and at once at a signal.
    pub fn call(&self, until: Instant) -> Call {
        Call::until(until, self.cancel.clone())
    }

    /// The signal that has arrived, if one has.
    pub fn caught(&self) -> Option<Signal> {
        self.armed.as_ref().and_then(|armed| armed.look().ok().flatten())
    }

    /// The signal mask that was inherited, if signals are armed.
    pub fn inherited_mask(&self) -> Option<SigSet> {
        self.armed.as_ref().map(|armed| armed.signals.inherited())
    }

    /// Gives the signals back to their inherited state, or returns the one that has arrived by now.
    pub fn disarm(&self) -> Result<(), Signal> {
        if let Some(signal) = self.caught() {
            return Err(signal);
        }
        if let Some(armed) = &self.armed {
            armed.signals.restore();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::libc;
    use nix::sys::pthread::{pthread_kill, pthread_self};
    use vault_client::Ended;

    use super::super::sys;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A waiter with SIGTERM waiting in its queue: directed at this thread, so that tests stay independent.
    fn after_a_signal() -> Waiter {
        // Whoever runs the tests may have it ignored, and then it is left alone.
        sys::set(libc::SIGTERM, libc::SIG_DFL).unwrap();
        let waiter = Waiter::new(Some(Signals::arm().unwrap()));
        pthread_kill(pthread_self(), Signal::SIGTERM).unwrap();
        waiter
    }

    #[test]
    fn a_signal_ends_a_pause_at_once() {
        let waiter = after_a_signal();
        let until = Instant::now() + LONG;
        assert_eq!(waiter.call(until).pause(until), Err(Ended::Cancelled));
        assert_eq!(waiter.disarm(), Err(Signal::SIGTERM));
    }

    #[test]
    fn a_signal_is_remembered_within_the_grace_of_a_call() {
        let waiter = after_a_signal();
        let call = Call { grace: LONG, ..waiter.call(Instant::now() + LONG) };
        assert_eq!(call.pause(Instant::now() + Duration::from_millis(5)), Ok(()));
        assert_eq!(waiter.caught(), Some(Signal::SIGTERM));
    }
}
