//! Every wait of the program: for a descriptor, or for time to pass; each ends at a deadline and at a signal.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::signal::Signals;

/// What a signal does to the wait under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSignal {
    /// It ends at once.
    Stop,
    /// It goes on for at most this long: a login's answer that is nearly here holds a token that must be revoked.
    Linger(Duration),
    /// It goes on: this is the revoke that the signal asked for.
    Finish,
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This signal arrived.
    Signal(Signal),
    /// The deadline passed.
    Deadline,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "{signal} arrived"),
            Self::Deadline => f.write_str("the time limit passed"),
        }
    }
}

impl std::error::Error for Ended {}

/// Waits, with the signals armed in the program and without any in a library's caller.
#[derive(Debug)]
pub struct Waiter {
    signals: Mutex<Option<Signals>>,
    rules: Mutex<Rules>,
}

#[derive(Debug)]
struct Rules {
    deadline: Instant,
    on_signal: OnSignal,
    caught: Option<(Signal, Instant)>,
}

impl Waiter {
    /// One that watches `signals` beside everything else.
    pub fn new(signals: Option<Signals>) -> Self {
        let rules = Rules { deadline: Instant::now(), on_signal: OnSignal::Stop, caught: None };
        Self { signals: Mutex::new(signals), rules: Mutex::new(rules) }
    }

    /// Sets what holds for every wait from now on.
    pub fn expect(&self, deadline: Instant, on_signal: OnSignal) {
        let mut rules = lock(&self.rules);
        rules.deadline = deadline;
        rules.on_signal = on_signal;
    }

    /// The signal that has arrived, if one has.
    pub fn caught(&self) -> Option<Signal> {
        let mut rules = lock(&self.rules);
        if rules.caught.is_none() {
            rules.caught = lock(&self.signals).as_ref().and_then(Signals::take).map(|signal| (signal, Instant::now()));
        }
        rules.caught.map(|(signal, _)| signal)
    }

    /// Gives the signals back to their inherited state, or returns the one that has arrived by now.
    pub fn disarm(&self) -> Result<(), Signal> {
        if let Some(signal) = self.caught() {
            return Err(signal);
        }
        lock(&self.signals).take().map_or(Ok(()), Signals::disarm)
    }

    /// Waits until `until`.
    pub fn pause(&self, until: Instant) -> Result<(), Ended> {
        self.ready(&[], Some(until)).map(drop)
    }

    /// Waits until one of `descriptors` is ready and returns its index; none when `until` comes first.
    pub fn ready(&self, descriptors: &[PollFd<'_>], until: Option<Instant>) -> Result<Option<usize>, Ended> {
        loop {
            let watch_signals = match (self.caught(), lock(&self.rules).on_signal) {
                (None, _) => true,
                (Some(signal), OnSignal::Stop) => return Err(Ended::Signal(signal)),
                (Some(_), OnSignal::Linger(_) | OnSignal::Finish) => false,
            };
            let deadline = self.deadline();
            if let Some(index) = self.poll(descriptors, watch_signals, until.map_or(deadline, |u| u.min(deadline))) {
                return Ok(Some(index));
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(self.caught().map_or(Ended::Deadline, Ended::Signal));
            }
            if until.is_some_and(|until| now >= until) {
                return Ok(None);
            }
        }
    }

    /// One poll of `descriptors` and the signals until `next`; the index of the first that is ready.
    fn poll(&self, descriptors: &[PollFd<'_>], watch_signals: bool, next: Instant) -> Option<usize> {
        // Rounded up, else the last millisecond is spent spinning.
        let timeout = next.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        let signals = lock(&self.signals);
        let mut all = descriptors.to_vec();
        all.extend(signals.as_ref().filter(|_| watch_signals).map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        // The only error with valid arguments is EINTR, from a process that was stopped and goes on; the caller's loop
        // waits for the rest.
        poll(&mut all, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)).ok()?;
        all.iter().take(descriptors.len()).position(|fd| fd.any().unwrap_or(true))
    }

    /// The deadline in force: a signal that is lingered for brings it nearer.
    fn deadline(&self) -> Instant {
        let rules = lock(&self.rules);
        match (rules.caught, rules.on_signal) {
            (Some((_, at)), OnSignal::Linger(grace)) => rules.deadline.min(at + grace),
            _ => rules.deadline,
        }
    }
}

/// A poisoned lock only means that a panic is under way; nothing here is half-changed then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::pthread::{pthread_kill, pthread_self};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A waiter with SIGTERM waiting in its queue: directed at this thread, so that tests stay independent.
    fn after_a_signal(deadline: Duration, on_signal: OnSignal) -> Waiter {
        let waiter = Waiter::new(Some(Signals::arm().unwrap()));
        waiter.expect(Instant::now() + deadline, on_signal);
        pthread_kill(pthread_self(), Signal::SIGTERM).unwrap();
        waiter
    }

    #[test]
    fn a_signal_ends_a_pause_at_once() {
        let waiter = after_a_signal(LONG, OnSignal::Stop);
        assert_eq!(waiter.pause(Instant::now() + LONG), Err(Ended::Signal(Signal::SIGTERM)));
        assert_eq!(waiter.disarm(), Err(Signal::SIGTERM));
    }

    #[test]
    fn a_login_under_way_is_waited_for_a_little_longer() {
        let start = Instant::now();
        let waiter = after_a_signal(LONG, OnSignal::Linger(Duration::from_millis(30)));
        assert_eq!(waiter.pause(start + LONG), Err(Ended::Signal(Signal::SIGTERM)));
        assert!((Duration::from_millis(30)..LONG).contains(&start.elapsed()));
    }

    #[test]
    fn a_revoke_goes_on_after_a_signal_until_its_own_deadline() {
        let waiter = after_a_signal(LONG, OnSignal::Finish);
        assert_eq!(waiter.pause(Instant::now() + Duration::from_millis(5)), Ok(()));
        assert_eq!(waiter.caught(), Some(Signal::SIGTERM));
    }

    #[test]
    fn the_deadline_ends_a_wait_for_a_silent_descriptor() {
        let (silent, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let waiter = Waiter::new(None);
        waiter.expect(Instant::now() + Duration::from_millis(5), OnSignal::Stop);
        let readable = || PollFd::new(silent.as_fd(), PollFlags::POLLIN);
        assert_eq!(waiter.ready(&[readable()], None), Err(Ended::Deadline));

        waiter.expect(Instant::now() + LONG, OnSignal::Stop);
        assert_eq!(waiter.ready(&[readable()], Some(Instant::now())), Ok(None));
        peer.write_all(b"x").unwrap();
        assert_eq!(waiter.ready(&[readable()], None), Ok(Some(0)));
    }
}
